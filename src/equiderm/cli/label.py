"""``equiderm label``: photographs in, one table of skin tones out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.cli.console import Console, Json, Output, Overwrite, Quiet, Workers
from equiderm.format import count, counted, duration, percent

if TYPE_CHECKING:
    import pandas as pd


def label(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Folders (walked), image files, patterns, or a CSV or Parquet table with an "
            "'image' column.",
        ),
    ],
    output: Output,
    method: Annotated[
        str,
        typer.Option(
            help="patch-max (the paper's, arctangent corrected), patch-max-arctan (as published), "
            "patch-median, whole, border-median, ycbcr, healthy-skin or robust (1,024 small cells; "
            "leaves out what is not skin, abstains where there is none)."
        ),
    ] = "patch-max",
    scheme: Annotated[
        str,
        typer.Option(
            help="Bands: paper, groh, kinyanjui, del-bino, 25-degrees, monk, or a file that "
            "`calibrate` saved."
        ),
    ] = "paper",
    workers: Workers = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Decode large JPEGs at full size; several times slower.")
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="LEFT,TOP,WIDTH,HEIGHT[,L*]",
            help="Where in every photograph a gray or white patch lies, in px of the upright "
            "original: exposure and white balance are corrected by it. L* is 49.5, a gray card, "
            "unless given.",
        ),
    ] = None,
    overlays: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a picture an image: what was measured."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="HTML", help="Write one offline page on the result.")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Label the skin tone of lesion photographs: one row per image.

    The table has the raw colour (L, a, b), the angle (ITA), its band, flags that say why a label
    may be wrong, and the reason where an image could not be read. Image folders are never written
    to. Killed and started again, the same command goes on where it stopped; once it has ended, it
    measures what is new or has changed.

    Exit status: 0 all read, 1 some rows have an error, 2 unusable arguments.

    Examples:
        equiderm label photographs -o tones.csv --report tones.html
        equiderm label manifest.parquet --method robust -o tones.parquet --overlays overlays
    """
    import time

    from equiderm.photo.walk import find_images, keep_out_of_image_folders
    from equiderm.tone import label as label_images
    from equiderm.tone.report import summarize, write_report

    console = Console(quiet=quiet, as_json=as_json, output=output)
    if report is not None:
        keep_out_of_image_folders([report], paths, find_images(paths))
    started = time.monotonic()
    with console.progress("labelling") as progress:
        tones = label_images(
            paths,
            method=method,
            scheme=scheme,
            exact=exact,
            reference=reference,
            workers=workers,
            output=output,
            overwrite=overwrite,
            overlays=overlays,
            progress=progress,
        )
    if report is not None:
        write_report(tones, report)
    seconds = time.monotonic() - started
    files = {"output": str(output), "report": str(report) if report else None}
    console.json({**summarize(tones), **files, "seconds": round(seconds, 2)})
    print_summary(console, tones, output, report, seconds)
    if tones["error"].notna().any():
        raise typer.Exit(1)


def print_summary(
    console: Console,
    tones: pd.DataFrame,
    output: Path,
    report: Path | None,
    seconds: float | None = None,
) -> None:
    """Print the bands, flags and errors of a tone table."""
    from equiderm.tone.report import summarize

    summary = summarize(tones)
    console.table(
        [
            {
                "ITA band": band["band"],
                "images": band["images"],
                "share": percent(band["share"]),
                "flagged": band["flagged"],
            }
            for band in summary["bands"]
        ],
        title=f"{summary['method']}, scheme {summary['scheme']}",
    )
    for name, flagged in summary["flags"].items():
        console.say(f"  {name}: {count(flagged)}")
    images = summary["images"]
    rate = ""
    if seconds:
        rate = f" in {duration(seconds)} ({count(images / seconds)} per second)"
    console.say(
        f"{counted(images, 'image')}{rate}, {count(summary['errors'])} could not be read, "
        f"{count(summary['unmeasured'])} have no measurable tone. Written: {output}"
        + (f", {report}" if report else "")
    )
    console.warn_each(
        (
            f"{row['image']}: {row['error']}."
            for row in tones[tones["error"].notna()].to_dict("records")
        ),
        most=5,
        rest="the column error has the reason of each.",
    )
