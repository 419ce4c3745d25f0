"""``equiderm manifest``: a downloaded data set becomes one checked table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.data.sources.release import Reading


def manifest(
    source: Annotated[str, typer.Argument(help="A data set; `equiderm datasets` lists them.")],
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of its unpacked download.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The manifest to write: .parquet, .csv or .tsv.")
    ],
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
        str | None, typer.Option(help="The paper's: neoplastic (fitzpatrick17k), paper (asan).")
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
            help="Decode every image once into this image store; unreadable ones leave the "
            "manifest. Killed, the same command goes on.",
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(min=16, help="With --store: pixels of a side of its square images.")
    ] = 256,
    report: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="Write the list of missing images: .csv or .parquet."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Read a data set as its owner ships it and write one checked table, one row an image.

    Images that a table names and the folder lacks are left out of the manifest, counted, and
    listed on stderr (the first ten) or in --report (all).

    Exit status: 0 every image is there, 1 some are missing or unreadable, 2 not that data set or
    unusable.

    Examples:
        equiderm manifest ham10000 data/ham10000 -o ham10000.parquet
        equiderm manifest fitzpatrick17k data --subset neoplastic -o neoplastic.parquet
        equiderm manifest folder photographs -o mine.parquet --store pixels
    """
    from equiderm.data import read_source
    from equiderm.data.manifest import hash_images, write_manifest
    from equiderm.files import check_table_path, write_table

    for path in (output, report):
        if path is not None:
            check_table_path(path)
    choices = {"target": target, "premalignant": premalignant, "rater": rater, "subset": subset}
    own = {"table": table, "column": column, "positive": positive}
    found = read_source(source, directory, **choices, **own)
    frame = hash_images(found.frame) if hash_files else found.frame
    unreadable = 0
    if store is not None:
        frame, unreadable = _decode_into(frame, store, size)
    write_manifest(frame, output)
    if report is not None:
        write_table(found.missing, report)
    _say(found, report)
    _summarise(frame, found, output, as_json)
    if len(found.missing) or unreadable:
        raise typer.Exit(1)


def _decode_into(frame: pd.DataFrame, store: Path, size: int) -> tuple[pd.DataFrame, int]:
    """Build the image store; return the rows that it holds, and how many could not be read."""
    from equiderm.data.images import build_store

    kept, errors = build_store(frame, store, size=size)
    for _, row in errors.iterrows():
        typer.echo(f"{row['path']}: {row['error']}; left out", err=True)
    return frame[frame["image_id"].isin(kept.image_ids)].reset_index(drop=True), len(errors)


def _say(found: Reading, report: Path | None) -> None:
    """Say on stderr what was left out."""
    for note in found.notes:
        typer.echo(note, err=True)
    if found.unnamed:
        typer.echo(f"{found.unnamed:,} images of the folder belong to no row, left out", err=True)
    if len(found.missing):
        typer.echo(f"{len(found.missing):,} images are missing, left out:", err=True)
        shown = found.missing if report is None else found.missing.head(0)
        for name in shown["expected"].head(10):
            typer.echo(f"  {name}", err=True)
        if len(shown) > 10:
            typer.echo(f"  and {len(shown) - 10:,} more: --report lists them all", err=True)


def _summarise(frame: pd.DataFrame, found: Reading, output: Path, as_json: bool) -> None:
    import json

    from equiderm.data.manifest import manifest_hash

    summary = {
        "images": len(frame),
        "missing": len(found.missing),
        "patients": int(frame["patient_id"].nunique()),
        "lesions": int(frame["lesion_id"].nunique()),
        "target": frame["target_name"].dropna().drop_duplicates().tolist(),
        "positive": int((frame["target"] == 1).sum()),
        "negative": int((frame["target"] == 0).sum()),
        "with_fitzpatrick_type": int(frame["fitzpatrick_type"].notna().sum()),
        "manifest_hash": manifest_hash(frame),
    }
    if as_json:
        typer.echo(json.dumps({"output": str(output), **summary}, indent=2))
        return
    typer.echo(f"{output}: {len(frame):,} images")
    for name, value in list(summary.items())[1:]:
        shown = ", ".join(value) or "–" if isinstance(value, list) else value
        typer.echo(f"  {name.replace('_', ' '):22}{shown}")
