"""``equiderm audit``: a table of predictions in, one report by group out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.audit import Audit, Comparison, Comparisons, Request

_GROUPS = "Groups"
_STATISTICS = "Thresholds and statistics"
_REPORT = "What is written"


def audit(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="CSV, Parquet or JSON lines, one row per image: target, score, groups."
        ),
    ],
    other: Annotated[
        Path | None, typer.Argument(help="A second model's table of the same images: A minus B.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Group columns, repeated or separated by commas; their intersections follow. "
            "Default: ita_band.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="Report to write: .html, .md or .json; repeatable.",
            rich_help_panel=_REPORT,
        ),
    ] = None,
    target: Target = "target",
    positive: Positive = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            help="Audit several classes, each against the rest: their names, or all. Their scores "
            "are in columns of these names (or p_..., prob_...).",
            rich_help_panel=HELD,
        ),
    ] = None,
    predicted: Annotated[
        str | None,
        typer.Option(
            help="Column of the class that the model predicts, for several classes.",
            rich_help_panel=HELD,
        ),
    ] = None,
    score: Annotated[
        str,
        typer.Option(
            help="Column of probabilities, or several, by commas, to be summed.",
            rich_help_panel=HELD,
        ),
    ] = "score",
    models: Annotated[
        list[str] | None,
        typer.Option(
            help="Models to compare in one table: their score columns, or their names in "
            "--model-column.",
            rich_help_panel=HELD,
        ),
    ] = None,
    model_column: Annotated[
        str | None,
        typer.Option(help="Column that names the model of each row's score.", rich_help_panel=HELD),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Table with the target of each image, or one column per class.",
            rich_help_panel=HELD,
        ),
    ] = None,
    no_truth: Annotated[
        bool,
        typer.Option(
            "--no-truth",
            help="There is no target yet: selection rates only.",
            rich_help_panel=HELD,
        ),
    ] = False,
    patient: Annotated[
        str | None,
        typer.Option(
            help="Column of the patient: one patient's images stay together. Default: "
            "patient_id where there is one.",
            show_default=False,
            rich_help_panel=HELD,
        ),
    ] = None,
    along: Annotated[
        list[str] | None,
        typer.Option(
            help="Columns of numbers to draw the figures along, without bins: ita.",
            rich_help_panel=_GROUPS,
        ),
    ] = None,
    adjust: Annotated[
        list[str] | None,
        typer.Option(
            help="Columns of the case mix to hold equal between groups: diagnosis,age,site.",
            rich_help_panel=_GROUPS,
        ),
    ] = None,
    no_patient: NoPatient = False,
    image: Annotated[
        str | None,
        typer.Option(
            help="Column of the image. Default: image_id, image or path.", rich_help_panel=HELD
        ),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(
            help="Column of sampling weights: every figure is weighted by it, with an interval "
            "that allows for it; counts are not. Default: every image counts once.",
            show_default=False,
            rich_help_panel=HELD,
        ),
    ] = None,
    average_views: Annotated[
        bool,
        typer.Option(
            "--average-views",
            help="Average the scores of rows with the same image.",
            rich_help_panel=HELD,
        ),
    ] = False,
    tones: Annotated[
        Path | None,
        typer.Option(
            help="Tone table (from `equiderm label`) to join by image.", rich_help_panel=_GROUPS
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the images: label their tone on the way.", rich_help_panel=_GROUPS
        ),
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(
            help="Words that mean not known in target, score, groups and patient: -1,unknown.",
            rich_help_panel=HELD,
        ),
    ] = None,
    cut: Annotated[
        list[str] | None,
        typer.Option(
            help="Cut a column of numbers into bands: age=40,60; repeatable.",
            rich_help_panel=HELD,
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Score from which an image is called positive.",
            rich_help_panel=_STATISTICS,
        ),
    ] = 0.5,
    specificity: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=0.99,
            help="Overall specificity to read sensitivity at.",
            rich_help_panel=_STATISTICS,
        ),
    ] = 0.90,
    sensitivity: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=0.99,
            help="Overall sensitivity to read specificity at.",
            rich_help_panel=_STATISTICS,
        ),
    ] = 0.90,
    find: Annotated[
        list[str] | None,
        typer.Option(
            help="Look through these columns and their intersections for the subgroups that differ "
            "most: sex,age,site.",
            show_default=False,
            rich_help_panel=_GROUPS,
        ),
    ] = None,
    find_depth: Annotated[
        int,
        typer.Option(
            min=1,
            max=3,
            help="Most conditions that define such a subgroup.",
            rich_help_panel=_GROUPS,
        ),
    ] = 2,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Group of the first column to compare with. Default: the largest.",
            show_default=False,
            rich_help_panel=_GROUPS,
        ),
    ] = None,
    label_error: Annotated[
        Path | None,
        typer.Option(
            help="JSON from `equiderm agree`: how the labeller errs.", rich_help_panel=_GROUPS
        ),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            help='Exit with 3 if it holds: "gap(auroc) > 0.05 with confidence".',
            rich_help_panel=_REPORT,
        ),
    ] = None,
    logits: Annotated[
        bool, typer.Option("--logits", help="The scores are log-odds.", rich_help_panel=HELD)
    ] = False,
    percent: Annotated[
        bool,
        typer.Option("--percent", help="The scores are per cent, 0 to 100.", rich_help_panel=HELD),
    ] = False,
    drop_missing: Annotated[
        bool,
        typer.Option(
            "--drop-missing", help="Leave rows without target or score out.", rich_help_panel=HELD
        ),
    ] = False,
    min_count: Annotated[
        int,
        typer.Option(
            min=2,
            help="Fewest positives (negatives, ...) that a figure needs.",
            rich_help_panel=_STATISTICS,
        ),
    ] = 5,
    min_rows: Annotated[
        int, typer.Option(min=1, help="Smallest intersection shown.", rich_help_panel=_GROUPS)
    ] = 30,
    replicates: Annotated[
        int,
        typer.Option(
            min=100,
            help="Bootstrap replicates, for figures of small groups.",
            rich_help_panel=_STATISTICS,
        ),
    ] = 2000,
    interval: Annotated[
        str,
        typer.Option(help="Bootstrap interval: bca or percentile.", rich_help_panel=_STATISTICS),
    ] = "bca",
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of all random draws.", rich_help_panel=_STATISTICS)
    ] = 0,
    model: Annotated[
        str, typer.Option(help="The model's name, for the report.", rich_help_panel=_REPORT)
    ] = "",
    finding: Annotated[
        str,
        typer.Option(
            help="What a positive image shows, in the singular: melanoma.", rich_help_panel=_REPORT
        ),
    ] = "positive",
    acceptable: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=1,
            help="The largest difference between groups that is acceptable: 0.05. Where all are "
            "established to be smaller the verdict says so.",
            rich_help_panel=_STATISTICS,
        ),
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            help="Write the first sheet alone, as .html.",
            show_default=False,
            rich_help_panel=_REPORT,
        ),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            help="TOML or JSON with answers for the checklist, by key.",
            show_default=False,
            rich_help_panel=_REPORT,
        ),
    ] = None,
    missed: Annotated[
        Path | None,
        typer.Option(
            help="Write the missed positives of the worst group, as CSV or Parquet.",
            show_default=False,
            rich_help_panel=_REPORT,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Audit any classifier by group: how well it does, for whom, how certain that is.

    Every figure comes overall and by group with n and a 95 % interval, every gap beside the gap
    that chance gives and the smallest gap these numbers could show. With two tables the models are
    compared on the same images, paired.

    Exit status: 0 done, 2 unusable input, 3 a --fail-if condition holds.

    Examples:
        equiderm audit predictions.csv --by ita_band -o report.html
        equiderm audit predictions.csv --tones tones.csv --by ita_band,sex -o report.json
        equiderm audit ours.csv theirs.csv --by ita_band -o difference.html
        equiderm audit predictions.csv --fail-if "gap(auroc) > 0.05 with confidence"
    """
    from equiderm.audit import Options, Request, audit_files, parse_condition
    from equiderm.audit.report.checklist import read_answers
    from equiderm.errors import InputError
    from equiderm.files import check_table_path, write_table, write_text

    console = Console(quiet=quiet, as_json=as_json, output=missed)
    if interval not in ("bca", "percentile"):
        raise InputError(f"there is no interval '{interval}'; choose bca or percentile.")
    outputs = check_endings(output)
    if summary is not None and summary.suffix.lower() != ".html":
        raise InputError(f"{summary}: the first sheet is a page; let its name end in .html.")
    if missed is not None:
        check_table_path(missed)
    conditions = [parse_condition(text) for text in fail_if or []]
    if images is not None:
        from equiderm.photo.walk import keep_out_of_image_folders

        keep_out_of_image_folders([*outputs, summary, missed], [str(images)], [])
    console.hold(*outputs, summary, missed)
    tone_table, source = _tones(tones, images)
    request = Request(
        by=split_commas(by) or ("ita_band",),
        target=target,
        score=(score,),
        patient=patient,
        no_patient=no_patient,
        image=image,
        weight=weight,
        along=split_commas(along),
        adjust=split_commas(adjust),
        models=split_commas(models),
        model_column=model_column,
        truth=truth,
        tones=tone_table,
        tone_source=source,
        reference=reference,
        agreement=label_error,
        options=Options(
            threshold, specificity, sensitivity, replicates, min_count, interval, seed, acceptable
        ),
        cells={
            "positive": split_commas(positive),
            "missing": split_commas(missing),
            "cut": cut or (),
            "logits": logits,
            "percent": percent,
            "drop_missing": drop_missing,
            "average_views": average_views,
            "no_truth": no_truth,
            "min_rows": min_rows,
        },
        model=model,
        finding=finding,
        missed=_name(missed),
        find=split_commas(find),
        depth=find_depth,
        answers={} if answers is None else read_answers(answers),
        command=shlex.join(["equiderm", *sys.argv[1:]]),
    )
    if classes or predicted:
        _refuse_with_classes(
            other=other, positive=positive, models=models, weight=weight, truth=truth,
            no_truth=no_truth, average_views=average_views, summary=summary, answers=answers,
            missed=missed, fail_if=fail_if, reference=reference, label_error=label_error,
            acceptable=acceptable, find=find,
        )  # fmt: skip
        _of_classes(predictions, request, classes, predicted, outputs, console)
        return
    with console.progress("auditing", "steps") as progress:
        result = audit_files(predictions, other, request)
        first = result.audits[0]
        first.compute(progress, figures=bool(outputs) or as_json)
        written = reports_of(result, outputs)
        if summary is not None:
            written.append((summary, first.to_summary()))
        if as_json:
            sys.stdout.write(result.to_json())
        _print(result, console, saved=bool(written))
    for path, text in written:
        write_text(path, text)
        console.note(f"wrote {path}")
    if missed is not None:
        rows = first.missed()
        write_table(rows, missed)
        console.note(f"{len(rows):,} missed positives are in {_name(missed) or 'standard output'}")
    held = [condition.holds(first) for condition in conditions]
    for _, sentence in held:
        console.warn(sentence)
    if any(holds for holds, _ in held):
        raise typer.Exit(3)


def _refuse_with_classes(**options: object) -> None:
    from equiderm.errors import InputError

    for name, value in options.items():
        if value:
            flag = "a second table" if name == "other" else f"--{name.replace('_', '-')}"
            raise InputError(
                f"{flag} is for an audit of one class against the rest; leave it out, or name that "
                "class with --positive in place of --classes."
            )


def _of_classes(
    predictions: Path,
    request: Request,
    classes: list[str] | None,
    predicted: str | None,
    outputs: list[Path],
    console: Console,
) -> None:
    """Audit several classes, print the results and write the reports."""
    from dataclasses import replace

    from equiderm.audit.from_tables import classes_files
    from equiderm.errors import as_flags
    from equiderm.files import write_text

    taken = ("missing", "cut", "logits", "percent", "drop_missing", "min_rows")
    request = replace(request, cells={name: request.cells[name] for name in taken})
    with console.progress("auditing", "steps") as progress:
        result = classes_files(
            predictions, request, classes=split_commas(classes), predicted=predicted
        )
        result.compute(progress)
        console.json(result.to_dict())
        written = reports_of(result, outputs)
    console.say("\n".join(result.answers()) + "\n")
    for title, frame in result.summaries():
        console.table(frame, title=title)
    for note in result.study.notes:
        console.note(as_flags(note))
    for path, text in written:
        write_text(path, text)
        console.note(f"wrote {path}")


def _tones(tones: Path | None, images: Path | None) -> tuple[pd.DataFrame | Path | None, str]:
    """Return the tone table to join, or its path, and where the labels come from."""
    from equiderm.errors import InputError

    if tones is not None and images is not None:
        raise InputError("--tones and --images both give tone labels; choose one.")
    if images is None:
        return tones, ""
    from equiderm.tone import label

    table = label([images], workers=None)
    return table, f"Tone labels computed from the images in {images.name}: "


def _name(path: Path | None) -> str:
    return "" if path is None or path.name == "-" else path.name


def _print(result: Audit | Comparison | Comparisons, console: Console, *, saved: bool) -> None:
    """Print the verdict first, then the tables, then what was left out and what else there is."""
    from equiderm.errors import as_flags

    first = result.audits[0]
    if first is result:
        screen = first.first_screen()
        console.say("\n".join(as_flags(line) for line in screen.lines()) + "\n")
    else:
        console.say("\n".join(as_flags(line) for line in result.answer()) + "\n")
    for title, frame in result.summaries():
        console.table(frame, title=title)
    for each in result.audits:
        model = "" if first is result else f"{each.provenance.model or each.study.name}: "
        for title, lines in each.more_answers():
            text = "\n".join(as_flags(line) for line in lines)
            console.say(f"{model}{title}\n{text}\n")
    if first is result and first.found is not None:
        console.table(first.found.shown(), title="subgroups that differ most, a star: established")
        console.say("\n".join(as_flags(line) for line in first.found.answer()) + "\n")
    if first is result:
        for note in first.study.notes:
            console.note(as_flags(note))
    if not saved:
        console.note("-o report.html writes the page.")
