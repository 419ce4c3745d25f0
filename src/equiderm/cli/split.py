"""``equiderm split``: which images train, which test, with no patient on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def split(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="Parquet or CSV.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The manifest to write, with its split.")
    ] = None,
    fractions: Annotated[
        str, typer.Option(help="Shares of the images, by patient.")
    ] = "train=0.8,validation=0.1,test=0.1",
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
            help="Balance this beside the target.",
            show_default="fitzpatrick_type, monk_tone or ita_band, the first that is known",
        ),
    ] = None,
    tones: Annotated[
        Path | None,
        typer.Option(help="Table of `equiderm label`: fills ita, ita_band and tone_method."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Pairs from `equiderm duplicates` of this manifest, kept together."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    check: Annotated[
        bool, typer.Option("--check", help="Only look for leaks in the split that is there.")
    ] = False,
) -> None:
    """Split a manifest by patient (or lesion, where no patient is known), never across one.

    The same seed and rows give the same split. A leak, in the split made or with --check in the
    one that is there, is an error (exit status 2).

    Examples:
        equiderm split manifest.parquet -o split.parquet
        equiderm split manifest.parquet -o folds.parquet --folds 5 --tone fitzpatrick_type
        equiderm split manifest.parquet -o by-type.parquet --by ita_band --group dark=5,6
        equiderm split split.parquet --check
    """
    from equiderm.data import split as splits
    from equiderm.data.manifest import join_tones, read_manifest, write_manifest
    from equiderm.files import read_table

    frame = read_manifest(manifest)
    if tones is not None:
        frame, notes = join_tones(frame, read_table(tones))
        for note in notes:
            typer.echo(note, err=True)
    same = None if pairs is None else _positions(read_table(pairs), frame, manifest)
    if check:
        splits.check_leaks(frame, same=same)
        typer.echo(f"{manifest}: no leak in {len(frame)} images.")
        return
    if output is None:
        raise InputError("no output is named; add -o and the manifest to write.")
    if by or group:
        if not (by and group):
            raise InputError("--by and --group belong together; give both.")
        named = {name: values.split(",") for name, values in map(_pair, group)}
        done = splits.split_groups(frame, by, named, validation=validation, seed=seed, same=same)
    elif folds:
        done = splits.split_folds(frame, folds, seed=seed, tone=tone, same=same)
    else:
        done = splits.split_random(
            frame, fractions=_read_fractions(fractions), seed=seed, tone=tone, same=same
        )
    write_manifest(done, output)
    _print_summary(done, by or tone or splits.tone_column(done))


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not (name and found and value):
        raise InputError(f"{text}: give NAME=VALUE, such as train=1,2.")
    return name, value


def _read_fractions(text: str) -> dict[str, float]:
    try:
        return {name: float(share) for name, share in map(_pair, text.split(","))}
    except ValueError as error:
        raise InputError(
            f"--fractions {text}: give shares such as train=0.8,validation=0.1,test=0.1."
        ) from error


def _positions(pairs: pd.DataFrame, frame: pd.DataFrame, manifest: Path) -> pd.DataFrame:
    """Return the pairs as positions in the manifest, by the paths they name."""
    import pandas as pd

    place = pd.Series(range(len(frame)), index=frame["path"].to_numpy())
    place = place[~place.index.duplicated()]
    rows = pd.DataFrame({f"row_{side}": pairs[f"path_{side}"].map(place) for side in "ab"})
    found = rows.dropna().astype(int)
    if len(pairs) and not len(found):
        raise InputError(f"none of the pairs is of images in {manifest}; compare that manifest.")
    return found


def _print_summary(frame: pd.DataFrame, tone: str | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from equiderm.data.split import units

    frame = frame.assign(unit=units(frame), split=frame["split"].fillna("(left out)"))
    table = Table("split", "images", "patients", "target 1")
    values = sorted(frame[tone].dropna().unique()) if tone else []
    for value in values[:10]:
        table.add_column(f"{tone} {value}" if value == values[0] else str(value))
    for name, part in frame.groupby("split", sort=False):
        shares = [f"{(part[tone] == value).mean():.1%}" for value in values[:10]]
        table.add_row(
            str(name),
            str(len(part)),
            str(part["unit"].nunique()),
            f"{part['target'].mean():.1%}" if part["target"].notna().any() else "-",
            *shares,
        )
    Console().print(table)
