"""``equiderm manifest``: a downloaded data set becomes one checked table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.cli.console import Console, Engine, Json, Output, Quiet, Workers
from equiderm.errors import InputError
from equiderm.format import MISSING, count, counted, listed
from equiderm.remote import name_of

if TYPE_CHECKING:
    from equiderm.data.sources.release import Reading


def manifest(
    source: Annotated[str, typer.Argument(help="A data set; `equiderm datasets` lists them.")],
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of its unpacked download.")
    ],
    output: Output,
    target: Annotated[
        str | None, typer.Option(help="What target 1 means: malignant or melanoma.")
    ] = None,
    premalignant: Annotated[
        str | None,
        typer.Option(help="Actinic keratosis against malignant: benign, malignant or unknown."),
    ] = None,
    rater: Annotated[
        str | None,
        typer.Option(
            help="Whose skin type: scale or centaur (fitzpatrick17k), dermatologist or self (scin)."
        ),
    ] = None,
    subset: Annotated[
        str | None, typer.Option(help="fitzpatrick17k: neoplastic or cleaned; asan: paper.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="folder: a CSV or Parquet that names the images.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="OURS=THEIRS", help="folder: a column of the table; repeat it."),
    ] = None,
    positive: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="folder: a class that is target 1; repeat it."),
    ] = None,
    hash_files: Annotated[
        bool, typer.Option("--hash", help="Fill in sha256; reads every image once.")
    ] = False,
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Decode every image once into this image store, or its URL; unreadable ones are "
            "left out of the manifest. After an interruption the same command resumes.",
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(min=16, help="With --store: side of its square images, in pixels.")
    ] = 256,
    report: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="Write the list of missing images: .csv or .parquet."),
    ] = None,
    workers: Workers = None,
    engine: Engine = "local",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Read a data set as its owner ships it and write one checked table, one row per image.

    Images that a table names and the folder lacks are left out of the manifest, counted, and
    listed on stderr (the first ten) or in --report (all).

    Exit status: 0 every image is there, 1 some are missing or unreadable, or the set is not
    complete, 2 not that data set or unusable.

    Examples:
        equiderm manifest ham10000 data/ham10000 -o ham10000.parquet
        equiderm manifest fitzpatrick17k data --subset neoplastic -o neoplastic.parquet
        equiderm manifest folder photographs -o mine.parquet --store pixels
    """
    from equiderm.data import read_source
    from equiderm.data.catalogue import fragment
    from equiderm.data.images import store_readable
    from equiderm.data.manifest import hash_images, summarize, write_manifest
    from equiderm.tables import check_table_path, write_table

    console = Console(quiet=quiet, as_json=as_json, output=output)
    for path in (output, report):
        if path is not None:
            check_table_path(path)
    console.hold(output, report, inputs=[table])
    if store is not None and store.resolve() == directory.resolve():
        raise InputError(f"{store}: holds the data set; name another folder for the store.")
    choices = {"target": target, "premalignant": premalignant, "rater": rater, "subset": subset}
    own = {"table": table, "column": column, "positive": positive}
    reading = read_source(source, directory, **choices, **own)
    frame = reading.frame
    if hash_files:
        with console.progress("hashing") as progress:
            frame = hash_images(frame, workers=workers, progress=progress)
    unreadable = 0
    if store is not None:
        with console.progress("decoding") as progress:
            frame, errors = store_readable(
                frame, store, size=size, workers=workers, engine=engine, progress=progress
            )
        unreadable = len(errors)
        console.warn_each(f"{row.path}: {row.error}; left out." for row in errors.itertuples())
    write_manifest(frame, output)
    if report is not None:
        write_table(reading.missing, report)
    _name_missing(console, reading, report)
    part = "" if subset else fragment(source, len(reading.frame))
    if part:
        console.warn(f"{part}: a part of the set, not all.")
    summary = {**summarize(frame), "missing": len(reading.missing), "part": part or None}
    console.json({"output": name_of(output), **summary, "notes": list(reading.notes)})
    console.say(f"{name_of(output)}: {counted(len(frame), 'image')}")
    for name, value in list(summary.items())[1:]:
        shown = listed(value) if isinstance(value, list) else value
        shown = MISSING if shown in (None, "") else shown
        shown = count(shown) if isinstance(shown, int) else shown
        line = f"  {name.replace('_', ' '):22}{shown}"
        console.say(line if len(line) <= 80 else f"  {name.replace('_', ' ')}\n    {shown}")
    if len(reading.missing) or unreadable or part:
        raise typer.Exit(1)


def _name_missing(console: Console, reading: Reading, report: Path | None) -> None:
    """Print what was left out on stderr."""
    for note in reading.notes:
        console.note(note)
    if reading.unnamed:
        images = counted(reading.unnamed, "image")
        console.note(f"{images} in the folder that no row names, left out")
    missing = reading.missing["expected"]
    if not len(missing):
        return
    console.warn(
        f"{counted(len(missing), 'image')} missing, left out" + (":" if report is None else ".")
    )
    if report is None:
        console.warn_each(map(str, missing), rest="--report lists them all.")
