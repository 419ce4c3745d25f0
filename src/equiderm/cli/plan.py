"""``equiderm plan``: how many images of dark skin a test set needs for a drop to be noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from equiderm.cli.console import (
    HELD,
    Console,
    Json,
    NoPatient,
    Positive,
    Quiet,
    Target,
    check_endings,
    reports_of,
    split_commas,
)
from equiderm.remote import name_of

_DESIGN = "What is planned"


def plan(
    manifest: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MANIFEST]",
            help="An existing test set: CSV or Parquet, one row per image, with tone and target. "
            "Without one a new test set is planned.",
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            help="How much lower the figure is on dark skin: 0.1, or by figure: sensitivity=0.1.",
            show_default="0.05 of the AUROC, 0.10 of the others",
            rich_help_panel=_DESIGN,
        ),
    ] = None,
    base: Annotated[
        list[str] | None,
        typer.Option(
            help="The figure on the other tones: 0.9, or by figure: auroc=0.9.",
            show_default="AUROC 0.85, the others 0.80",
            rich_help_panel=_DESIGN,
        ),
    ] = None,
    figure: Annotated[
        list[str] | None,
        typer.Option(
            help="auroc, sensitivity or specificity, repeated or separated by commas.",
            show_default="all three",
            rich_help_panel=_DESIGN,
        ),
    ] = None,
    images_per_patient: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Images of one class per patient who has any.",
            show_default="the test set's, or 1",
            rich_help_panel=_DESIGN,
        ),
    ] = None,
    correlation: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Correlation, within a patient, of being classified correctly.",
            rich_help_panel=_DESIGN,
        ),
    ] = 0.3,
    prevalence: Annotated[
        float | None,
        typer.Option(
            help="Share of the planned images that is positive.",
            show_default="the test set's, or 0.25",
            rich_help_panel=_DESIGN,
        ),
    ] = None,
    others: Annotated[
        float | None,
        typer.Option(
            help="Positive images of light and of middle tones, each.",
            show_default="the test set's, or as many as of dark skin",
            rich_help_panel=_DESIGN,
        ),
    ] = None,
    by: Annotated[str, typer.Option(help="The tone column.", rich_help_panel=HELD)] = "ita_band",
    thirds: Annotated[
        str,
        typer.Option(
            help="Which labels are light/middle/dark: 1,2/3,4/5,6.",
            show_default="by the scale",
            rich_help_panel=HELD,
        ),
    ] = "",
    target: Target = "target",
    positive: Positive = None,
    patient: Annotated[
        str | None,
        typer.Option(
            help="Column of the patient.",
            show_default="patient_id where there is one",
            rich_help_panel=HELD,
        ),
    ] = None,
    no_patient: NoPatient = False,
    split: Annotated[
        str,
        typer.Option(
            help="The test set's name in the column split.",
            show_default="all rows",
            rich_help_panel=HELD,
        ),
    ] = "",
    tones: Annotated[
        Path | None,
        typer.Option(
            help="Tone table (from `equiderm label`) to join by image.", rich_help_panel=HELD
        ),
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(help="Words that mean not known: -1,unknown.", rich_help_panel=HELD),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="Page to write: .html, .md or .json; repeatable."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Plan a test set: how many images of dark skin show a drop in 80 of 100 test sets.

    The drop is one of AUROC, sensitivity or specificity; noticed is what `equiderm audit` calls
    established, with its own test. With a manifest: how far it is from that, and whether each third
    of the tones has a quarter of its patients, as FDA's draft guidance of January 2025 asks of
    pulse oximeters (it says nothing of images of skin).

    Examples:
        equiderm plan --figure sensitivity --base 0.85 --drop 0.10
        equiderm plan manifest.csv --split test --by ita_band --images-per-patient 2 -o plan.html
        equiderm plan manifest.csv --tones tones.csv --positive melanoma --target dx
    """
    from equiderm.audit.planning import plan as planned
    from equiderm.audit.reading import Request, patient_column, read_joined
    from equiderm.errors import InputError, as_flags
    from equiderm.files import write_text

    console = Console(quiet=quiet, as_json=as_json)
    outputs = check_endings(output)
    console.hold(*outputs, inputs=[manifest, tones])
    table: dict[str, Any] = {}
    if manifest is not None:
        request = Request(by=(by,), tones=tones, patient=patient, no_patient=no_patient)
        frame, name, _, note, _ = read_joined(manifest, request)
        if note:
            console.note(note)
        table = {"frame": frame, "name": name, "patient": patient_column(frame, request)}
    elif tones is not None:
        raise InputError("--tones needs a manifest, whose images it labels.")
    result = planned(
        by=by,
        target=target,
        positive=split_commas(positive),
        missing=split_commas(missing),
        split=split,
        thirds=thirds,
        drop=_numbers(drop, "drop"),
        base=_numbers(base, "base"),
        metrics=split_commas(figure) or ("auroc", "sensitivity", "specificity"),
        images_per_patient=images_per_patient,
        correlation=correlation,
        prevalence=prevalence,
        others=others,
        **table,
    )
    console.json(result.to_dict())
    console.say("\n".join(result.answer()) + "\n")
    for title, rows in result.summaries():
        console.table(rows, title=title)
    for note in result.notes:
        console.note(as_flags(note))
    for path, text in reports_of(result, outputs):
        write_text(path, text)
        console.note(f"wrote {name_of(path)}")


def _numbers(values: list[str] | None, option: str) -> float | dict[str, float] | None:
    """Return one number for all figures, or numbers by figure."""
    from equiderm.errors import InputError

    parts = split_commas(values)
    named: dict[str, float] = {}
    for part in parts:
        figure, _, number = part.rpartition("=")
        try:
            named[figure.strip()] = float(number)
        except ValueError as error:
            raise InputError(
                f"--{option} '{part}' is not a number; write 0.1, or by figure sensitivity=0.1."
            ) from error
    if not parts:
        return None
    if "" in named and len(named) > 1:
        raise InputError(f"--{option} is one number for all figures, or a number by figure.")
    return named.get("") if "" in named else named
