"""``equiderm duplicates``: photographs that occur twice, across data sets and splits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from equiderm.cli.console import Console, Engine, Json, OptionalOutput, Quiet, Workers


def duplicates(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DATA...", help="Manifests (Parquet, CSV) or folders of images."),
    ],
    output: OptionalOutput = None,
    clean: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Write the first manifest without the training rows that occur elsewhere: in "
            "another split, in a later manifest, or a second time.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="HTML", help="Write a page that shows the pairs.")
    ] = None,
    workers: Workers = None,
    engine: Engine = "local",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Find the same photograph twice: same id, same bytes, or same picture.

    Copies that were resized, recompressed, stretched, recoloured, cropped, turned, mirrored,
    marked or framed in black or white count as the same picture. For a picture that occurs m
    times, about m - 1 pairs are given, which link all copies.

    Exit status: 0 all read, 1 some images could not be read (listed on stderr), 2 unusable input.

    Examples:
        equiderm duplicates manifest.parquet
        equiderm duplicates manifest.parquet photographs --report pairs.html
        equiderm duplicates manifest.parquet other.parquet -o pairs.csv --clean cleaned.parquet
    """
    import pandas as pd

    from equiderm.data.duplicates import (
        duplicates_page,
        find_duplicates,
        read_images,
        rows_to_drop_of_first,
        summarize,
    )
    from equiderm.data.manifest import write_manifest
    from equiderm.files import write_whole
    from equiderm.photo.walk import keep_out_of_image_folders
    from equiderm.tables import check_table_path, write_table

    console = Console(quiet=quiet, as_json=as_json, output=output)
    for path in filter(None, (output, clean)):
        check_table_path(path)
    first, *others = [read_images(path) for path in data]
    frame = pd.concat([first, *others], ignore_index=True)
    keep_out_of_image_folders(
        [output, clean, report], map(str, data), frame["path"].dropna().astype(str)
    )
    in_place = clean is not None and os.path.realpath(clean) == os.path.realpath(data[0])
    console.hold(output, clean, report, inputs=data[1:] if in_place else data)
    with console.progress("reading") as progress:
        pairs, errors = find_duplicates(frame, workers=workers, engine=engine, progress=progress)
    drop = rows_to_drop_of_first(first, frame.iloc[len(first) :], pairs)
    if output is not None:
        write_table(pairs, output)
    if clean is not None:
        write_manifest(first.drop(index=drop), clean)
    if report is not None:
        with write_whole(report) as temporary:
            temporary.write_text(duplicates_page(pairs, len(frame)), encoding="utf-8")
    summary = summarize(len(frame), pairs, errors) | {"training_rows_to_drop": len(drop)}
    console.json(summary)
    console.table([{"": name.replace("_", " "), "n": value} for name, value in summary.items()])
    console.warn_each(f"{row.path}: {row.error}." for row in errors.itertuples())
    if len(errors):
        raise typer.Exit(1)
