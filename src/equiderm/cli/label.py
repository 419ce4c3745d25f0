"""``equiderm label``: photographs in, one table of skin tones out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.cli.console import (
    Console,
    Engine,
    Json,
    OptionalOutput,
    Overwrite,
    Quiet,
    Workers,
    keep_apart,
)
from equiderm.errors import require_training
from equiderm.format import count, counted, duration, percent
from equiderm.remote import name_of

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.tone.learned import Model


def label(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Folders (walked), image files, patterns, or a CSV or Parquet table with an "
            "'image' column.",
        ),
    ],
    output: OptionalOutput = None,
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
            help="Bands: paper, groh, kinyanjui, del-bino, 25-degrees, monk (not validated), "
            "thresholds as cuts:55,41,28,19,10, or a .json file: a scheme that `calibrate` saved, "
            "or a palette."
        ),
    ] = "paper",
    workers: Workers = None,
    engine: Engine = "local",
    device: Annotated[
        str | None,
        typer.Option(
            metavar="cuda|cpu",
            help="Decode JPEGs and remove hair in batches with torch, on a GPU (extra train); "
            "other files are read as without it. About 1 band of 2,000 differs; slower than the "
            "16 cores that it was measured beside.",
        ),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Decode large JPEGs at full size; several times slower.")
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="LEFT,TOP,WIDTH,HEIGHT[,L*]",
            help="Where a gray or white patch is in every photograph, in px of the upright "
            "original: exposure and white balance are corrected by it. L* is 49.5, a gray card, "
            "unless given. card:LEFT,TOP,WIDTH,HEIGHT or card: and four corners X,Y is a card of "
            "24 colours, card alone searches for one; a table with columns image and reference "
            "gives one per image.",
        ),
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN",
            help="A run of `train` whose target is a type in its order, or a number (ita, L, a, b, "
            "...): its estimates take the place of the bands, or of the colour. Several runs of "
            "numbers may be named. Needs the extra train.",
        ),
    ] = None,
    dicom_columns: Annotated[
        str | None,
        typer.Option(
            metavar="KEYWORD,...",
            help="Attributes of DICOM files that become columns, such as "
            "PatientAge,BodyPartExamined; nothing else but the picture is copied.",
        ),
    ] = None,
    overlays: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write a picture per image: what was measured; or its URL."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="HTML",
            help="Write an offline page: every photograph by doubt, to correct or exclude. Of a "
            "table that `label` wrote, without -o: nothing is measured.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Label the skin tone of lesion photographs: one row per image.

    The table has the raw colour (L, a, b), the angle (ITA), its band, flags that say why a label
    may be wrong, and the reason where an image could not be read. Image folders are never written
    to. After an interruption the same command resumes where it stopped; once finished, it measures
    only new or changed images.

    Exit status: 0 all read, 1 some rows have an error, 2 unusable arguments.

    Examples:
        equiderm label photographs -o tones.csv --report tones.html
        equiderm label manifest.parquet --method robust -o tones.parquet --overlays overlays
        equiderm label tones.parquet --report tones.html --overlays overlays
        equiderm label photographs --model runs/tone --method robust -o types.parquet
    """
    import time

    from equiderm.photo.walk import find_images, keep_out_of_image_folders
    from equiderm.tone import label as label_images
    from equiderm.tone.report import summarize, write_report

    console = Console(quiet=quiet, as_json=as_json, output=output)
    images: list[str] | None = None
    keep_apart([output, report], [name for name in (scheme, reference) if name and "." in name])
    keep_apart([report], paths)
    if report is not None:
        images = find_images(paths)
        walked = (
            paths if output is not None else []
        )  # a tone table's page may lie beside its images
        keep_out_of_image_folders([report], walked, images)
    started, estimator = time.monotonic(), None
    if output is None:
        tones = _read_tones(paths, report)
    else:
        estimator = _read_model(model)
        with console.progress("labelling") as progress:
            tones = label_images(
                paths,
                method=method,
                scheme=scheme,
                exact=exact,
                reference=reference,
                model=estimator,
                dicom_columns=[name.strip() for name in (dicom_columns or "").split(",") if name],
                workers=workers,
                engine=engine,
                device=device,
                output=output,
                overwrite=overwrite,
                overlays=overlays,
                progress=progress,
            )
    seconds = time.monotonic() - started
    pages: list[Path] = []
    if report is not None:
        with console.progress("drawing the page") as progress:
            pages = write_report(
                tones, report, files=images, overlays=overlays, workers=workers, progress=progress
            )
    files = {
        "output": None if output is None else name_of(output),
        "report": str(report) if report else None,
        "pages": [str(page) for page in pages],
    }
    console.json({**summarize(tones), **files, "seconds": round(seconds, 2)})
    written = [*([output] if output is not None else []), *pages]
    print_summary(console, tones, written, seconds if output is not None else None)
    for scale in estimator.scales if estimator is not None else ():
        what = "types" if scale.names else "numbers"
        console.note(f"The model learned the {what} of column {scale.column}.")
    if tones["error"].notna().any():
        raise typer.Exit(1)


def _read_model(runs: Sequence[Path] | None) -> Model | None:
    """Return the model of the named runs, if any; only this needs torch."""
    if not runs:
        return None
    require_training()

    from equiderm.training import ToneModel

    return ToneModel(*runs)


def _read_tones(paths: list[str], report: Path | None) -> pd.DataFrame:
    """Return the table of tones that is given instead of photographs, without -o."""
    from equiderm.errors import InputError
    from equiderm.tables import is_table
    from equiderm.tone.report import is_tone_table
    from equiderm.tone.table import read_tones

    if report is None or len(paths) != 1 or not is_table(Path(paths[0])):
        raise InputError("--output (-o) is needed: the table to write.")
    tones = read_tones(Path(paths[0]))
    if not is_tone_table(tones):
        raise InputError(
            f"{paths[0]}: is not a table of tones; to measure the images that it names, "
            "name the table to write with --output (-o)."
        )
    return tones


def print_summary(
    console: Console,
    tones: pd.DataFrame,
    written: Sequence[Path],
    seconds: float | None = None,
) -> None:
    """Print the bands, flags and errors of a tone table."""
    from equiderm.tone.report import summarize
    from equiderm.tone.scales import band_word

    summary = summarize(tones)
    word = band_word(summary["scheme"])
    console.table(
        [
            {
                word: band["band"],
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
        f"{count(summary['unmeasured'])} have {summary['why']}. Written: "
        f"{', '.join(map(name_of, written))}"
    )
    if summary["caution"]:
        console.say(f"Bands: {summary['caution']}.")
    if summary["corrected"] or summary["excluded"]:
        console.say(
            f"By hand: {counted(summary['corrected'], 'band')} corrected, "
            f"{counted(summary['excluded'], 'image')} excluded; the bands above are as computed."
        )
    console.warn_each(
        (
            f"{row['image']}: {row['error']}."
            for row in tones[tones["error"].notna()].to_dict("records")
        ),
        most=5,
        rest="the column error has the reason of each.",
    )
