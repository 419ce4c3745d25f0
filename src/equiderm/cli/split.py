"""``equiderm split``: which images train, which test, with no patient on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.cli.console import Console, Json, OptionalOutput, Quiet
from equiderm.errors import InputError
from equiderm.format import counted, percent
from equiderm.remote import name_of

if TYPE_CHECKING:
    import pandas as pd


def split(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="Parquet or CSV; - reads stdin.")
    ],
    output: OptionalOutput = None,
    fractions: Annotated[
        str | None,
        typer.Option(
            help="Shares of the images, by patient.",
            show_default="train=0.8,validation=0.1,test=0.1",
        ),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Folds of equal size instead of shares.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Split by the values of this column; with --group."),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,...",
            help="A split and its values, e.g. --by fitzpatrick_type --group train=1,2 --group "
            "test-34=3,4 --group test-56=5,6.",
        ),
    ] = None,
    validation: Annotated[
        float,
        typer.Option(min=0, max=0.9, help="With --group: share of the first to set aside."),
    ] = 0.0,
    tone: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Balance this as well as the target.",
            show_default="people's types, groups or tones before ita_band, the first that is known",
        ),
    ] = None,
    tones: Annotated[
        Path | None,
        typer.Option(help="Table of `equiderm label`: fills ita, ita_band and tone_method."),
    ] = None,
    pairs: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="TABLE",
            help="Pairs that stay together: from `equiderm duplicates` of this manifest, or an "
            "owner's list of duplicates, whose two columns name images; repeat it.",
        ),
    ] = None,
    leave_out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="LIST",
            help="Images that get no split, such as a published list of duplicates to remove: a "
            ".txt with a name per line, or a table; repeat it.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same split.")] = 0,
    check: Annotated[
        bool, typer.Option("--check", help="Only look for leaks in the existing split.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Split a manifest by patient (or lesion, where no patient is known), never across one.

    The same seed and rows give the same split. A leak, in the new split or with --check in the
    existing one, is an error (exit status 2).

    Examples:
        equiderm split manifest.parquet -o split.parquet
        equiderm split manifest.parquet -o folds.parquet --folds 5 --tone fitzpatrick_type
        equiderm split manifest.parquet -o by-type.parquet --by ita_band --group dark=5,6
        equiderm split isic2020.parquet -o split.parquet --pairs ISIC_2020_Training_Duplicates.csv
        equiderm split split.parquet --check
    """
    import numpy as np
    import pandas as pd

    from equiderm.data import split as splits
    from equiderm.data.manifest import join_tones, read_manifest, write_manifest
    from equiderm.tables import check_table_path, read_table

    console = Console(quiet=quiet, as_json=as_json, output=output)
    if output is not None:
        check_table_path(output)
    elif not check:
        raise InputError("no output is named; name the manifest to write with --output (-o).")
    if bool(by) != bool(group):
        raise InputError("--by and --group belong together; give both.")
    ways = {"--by": by, "--folds": folds, "--fractions": fractions}
    if len(given := [flag for flag, value in ways.items() if value]) > 1:
        raise InputError(f"{' and '.join(given)} are different splits; give one of them.")
    if validation and not group:
        raise InputError("--validation belongs to --group; give shares by --fractions.")
    lists = [tones, *(pairs or ()), *(leave_out or ())]
    console.hold(None if check else output, inputs=lists)
    frame = read_manifest(manifest)
    for sentence in splits.doubts(frame):
        console.note(sentence)
    if tones is not None:
        frame, notes = join_tones(frame, read_table(tones))
        for note in notes:
            console.note(note)
    same = None
    if pairs:
        tables = [read_table(path, as_text=True) for path in pairs]
        found = [splits.rows_of_pairs(table, frame, name_of(manifest)) for table in tables]
        for path, rows in zip(pairs, found, strict=True):
            count = counted(len(rows), "pair")
            console.note(f"{name_of(path)}: names {count} within {name_of(manifest)}.")
        same = pd.concat(found)
    out = np.zeros(len(frame), bool)
    for listed in leave_out or ():
        names = _read_list(listed)
        named = splits.rows_of_list(names, frame, name_of(manifest))
        count = counted(int(named.sum()), "image")
        console.note(
            f"{name_of(listed)}: names {count} of {name_of(manifest)} in {len(names):,} lines."
        )
        out |= named
    if check:
        frame = frame.assign(split=frame["split"].mask(out))
        splits.check_leaks(frame, same=same)
        console.json({"images": len(frame), "leaks": 0})
        console.say(f"{name_of(manifest)}: no leak in {counted(len(frame), 'image')}.")
        return
    shares: dict[str, float] = {}
    if by and group:
        named = {name: values.split(",") for name, values in map(_pair, group)}
        if len(named) < len(group):
            raise InputError("--group names a split twice; give its values together.")
        done = splits.split_groups(frame, by, named, validation=validation, seed=seed, same=same)
        if absent := splits.absent_values(frame, by, named):
            console.note(f"No image has {by} {' or '.join(absent)}.")
    elif folds:
        done = splits.split_folds(frame, folds, seed=seed, tone=tone, same=same)
    else:
        shares = splits.FRACTIONS if fractions is None else _read_fractions(fractions)
        done = splits.split_random(frame, fractions=shares, seed=seed, tone=tone, same=same)
    done["split"] = done["split"].mask(out)
    if shares:
        for sentence in splits.far_shares(done, shares, same=same):
            console.note(sentence)
    assert output is not None
    write_manifest(done, output)
    summary = splits.summarize(done, by or tone)
    console.json({"output": name_of(output), "splits": summary.to_dict("records")})
    of = by or tone or splits.tone_column(done)
    of_tone = [column for column in map(str, summary.columns) if column.startswith(f"{of} ")]
    shown = summary.assign(target=summary["target"].map(percent))
    for column in of_tone:
        shown[column] = [percent(share, 0) for share in summary[column]]
    console.table(shown.rename(columns=lambda column: column.removeprefix(f"{of} ")))
    if of_tone:
        console.say(f"Columns after target: share of the images by {of}.")


def _read_list(path: Path) -> pd.DataFrame:
    """Return an owner's list of images: the lines of a .txt, or a table."""
    import pandas as pd

    from equiderm.tables import read_table

    if path.suffix.lower() != ".txt":
        return read_table(path, as_text=True)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    return pd.DataFrame({"image": [line.strip() for line in lines if line.strip()]})


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise InputError(f"{text}: give NAME=VALUE, such as train=1,2.")
    return name, value


def _read_fractions(text: str) -> dict[str, float]:
    from fractions import Fraction

    try:
        shares = [(name, float(Fraction(share))) for name, share in map(_pair, text.split(","))]
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"--fractions {text}: give shares such as train=0.8,validation=0.1,test=0.1."
        ) from error
    if len(dict(shares)) < len(shares):
        raise InputError(f"--fractions {text}: names a split twice; name each once.")
    return dict(shares)
