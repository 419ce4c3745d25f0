"""``equiderm synthesize``: lesion photographs on skin of known tone, with their manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equiderm.cli.console import Console, Json, Quiet, Workers
from equiderm.errors import InputError
from equiderm.format import counted, number
from equiderm.remote import name_of


def synthesize(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; new or empty.")],
    n: Annotated[int, typer.Option("--n", min=1, help="Training images.")] = 1000,
    test: Annotated[int, typer.Option(min=0, help="Test images, of other patients.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other patients.")] = 0,
    size: Annotated[int, typer.Option(min=16, help="Side of the images, in pixels.")] = 128,
    look: Annotated[
        str, typer.Option(help="How they are photographed: dermoscopic or clinical.")
    ] = "dermoscopic",
    tones: Annotated[
        str,
        typer.Option(
            help="uniform (ITA -50 to 70 degrees), archive (light, as public archives are), or a "
            "table whose 'ita' column to draw from."
        ),
    ] = "uniform",
    prevalence: Annotated[
        str,
        typer.Option(help="Share of melanoma: 0.3, or by ITA with lines between: -50:0.1,70:0.4."),
    ] = "0.3",
    confounding: Annotated[
        float,
        typer.Option(
            min=-1,
            max=1,
            help="Share of training images whose diagnosis is decided by tone: the lightest have "
            "the melanomas, below 0 the darkest.",
        ),
    ] = 0.0,
    test_confounding: Annotated[
        float, typer.Option(min=-1, max=1, help="The same for the test images.")
    ] = 0.0,
    test_shift: Annotated[
        float, typer.Option(min=0, help="How far the test cameras differ in light and colour; 0-1.")
    ] = 0.0,
    png: Annotated[bool, typer.Option("--png", help="Lossless files.")] = False,
    workers: Workers = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Make lesion photographs on skin of known ITA: for tests, demonstrations and teaching.

    Writes DIR/images and DIR/manifest.parquet. They are drawings by a rule and no evidence about
    real lesions, real people or the performance of any model on them. After an interruption the
    same command resumes where it stopped.

    Examples:
        equiderm synthesize drawn --n 1000 --test 300
        equiderm synthesize drawn --look clinical --tones archive --confounding 0.5
    """
    from equiderm.data import synthetic

    console = Console(quiet=quiet, as_json=as_json)
    shared = {
        "seed": seed,
        "size": size,
        "look": look,
        "tones": _read_tones(tones),
        "prevalence": _read_prevalence(prevalence),
    }
    sets: list[dict[str, object]] = [{"n": n, "confounding": confounding, **shared}]
    if test:
        held_out = {"confounding": test_confounding, "shift": test_shift, "split": "test"}
        sets.append({"n": test, **held_out, **shared})
    with console.progress("drawing") as progress:
        manifest, table = synthetic.synthesize_to(
            directory,
            *sets,
            ending=".png" if png else ".jpg",
            workers=workers,
            progress=progress,
        )
    summary = {
        "manifest": str(manifest),
        "images": len(table),
        "patients": int(table["patient_id"].nunique()),
        "melanomas": int(table["target"].sum()),
        "ita": [float(table["skin_ita"].min()), float(table["skin_ita"].max())],
    }
    console.json(summary)
    low, high = (number(end, 0) for end in summary["ita"])
    console.say(
        f"{name_of(manifest)}: {counted(len(table), 'image')} of "
        f"{counted(summary['patients'], 'patient')}, {counted(summary['melanomas'], 'melanoma')}, "
        f"ITA {low} to {high} degrees"
    )


def _read_tones(text: str) -> str | list[float]:
    if text in ("uniform", "archive"):
        return text
    from equiderm.tables import read_table

    table = read_table(Path(text))
    if "ita" not in table:
        raise InputError(f"{text}: has no column 'ita'; give a table that `label` wrote.")
    return table["ita"].dropna().tolist()


def _read_prevalence(text: str) -> float | list[tuple[float, float]]:
    try:
        if ":" not in text:
            return float(text)
        points = [point.split(":") for point in text.split(",")]
        return [(float(ita), float(share)) for ita, share in points]
    except ValueError as error:
        raise InputError(
            f"--prevalence {text}: give a share such as 0.3, or points such as -50:0.1,70:0.4."
        ) from error
