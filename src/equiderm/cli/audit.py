"""``equiderm audit``: a table of predictions in, one report by group out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from equiderm.cli import audit_options as option
from equiderm.cli.console import (
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

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.audit import Audit, Comparison, Comparisons, Request


def audit(
    predictions: option.Predictions,
    other: option.Other = None,
    by: option.By = None,
    output: option.Output = None,
    target: Target = "target",
    positive: Positive = None,
    classes: option.Classes = None,
    predicted: option.Predicted = None,
    number: option.Number = False,
    score: option.Score = "score",
    models: option.Models = None,
    model_column: option.ModelColumn = None,
    truth: option.Truth = None,
    no_truth: option.NoTruth = False,
    patient: option.Patient = None,
    along: option.Along = None,
    adjust: option.Adjust = None,
    no_patient: NoPatient = False,
    image: option.Image = None,
    weight: option.Weight = None,
    average_views: option.AverageViews = False,
    tones: option.Tones = None,
    images: option.Images = None,
    missing: option.Missing = None,
    cut: option.Cut = None,
    threshold: option.Threshold = 0.5,
    specificity: option.Specificity = 0.90,
    sensitivity: option.Sensitivity = 0.90,
    find: option.Find = None,
    find_depth: option.FindDepth = 2,
    reference: option.Reference = None,
    label_error: option.LabelError = None,
    fail_if: option.FailIf = None,
    logits: option.Logits = False,
    percent: option.Percent = False,
    drop_missing: option.DropMissing = False,
    min_count: option.MinCount = 5,
    min_rows: option.MinRows = 30,
    replicates: option.Replicates = 2000,
    interval: option.Interval = "bca",
    seed: option.Seed = 0,
    model: option.Model = "",
    finding: option.Finding = "positive",
    acceptable: option.Acceptable = None,
    summary: option.Summary = None,
    answers: option.Answers = None,
    missed: option.Missed = None,
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
        equiderm audit predictions.csv --target ita --number --by ita_band -o report.html
        equiderm audit predictions.csv --fail-if "gap(auroc) > 0.05 with confidence"
    """
    from equiderm.audit import Options, Request, audit_files, parse_condition
    from equiderm.audit.report.checklist import read_answers
    from equiderm.errors import InputError
    from equiderm.files import write_text
    from equiderm.tables import check_table_path, write_table

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
    console.hold(*outputs, summary, missed, inputs=[predictions, other, tones, truth])
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
    if classes or predicted or number:
        _refuse_with_several(
            number, classes=number and classes, score=number and score != "score",
            logits=number and logits, percent=number and percent, along=number and along,
            adjust=number and adjust, other=other, positive=positive, models=models, weight=weight,
            truth=truth, no_truth=no_truth, average_views=average_views, summary=summary,
            answers=answers, missed=missed, fail_if=fail_if, reference=reference,
            label_error=label_error, acceptable=acceptable, find=find,
        )  # fmt: skip
        _of_several(
            predictions, request, split_commas(classes), predicted, outputs, console, number=number
        )
        return
    with console.progress("auditing", "steps") as progress:
        result = audit_files(predictions, other, request)
        first = result.audits[0]
        first.compute(progress, figures=bool(outputs) or as_json)
        written = reports_of(result, outputs)
        if summary is not None:
            written.append((summary, first.to_summary()))
        if as_json:
            console.print(result.to_json())
        _print(result, console, saved=bool(written))
    for path, text in written:
        write_text(path, text)
        console.note(f"wrote {name_of(path)}")
    if missed is not None:
        rows = first.missed()
        write_table(rows, missed)
        console.note(f"{len(rows):,} missed positives are in {_name(missed) or 'standard output'}")
    decided = [condition.decide(first) for condition in conditions]
    held = any(outcome for outcome, _ in decided)
    for outcome, sentence in decided:
        if held or outcome is not None:
            console.warn(sentence)
    if held:
        raise typer.Exit(3)
    for condition in conditions:
        condition.holds(first)  # an InputError if it is undecided


def _refuse_with_several(number: bool, /, **options: object) -> None:
    """Raise InputError for an option that an audit of classes, or of a number, does not take."""
    from equiderm.errors import InputError

    for name, value in options.items():
        if value:
            flag = "a second table" if name == "other" else f"--{name.replace('_', '-')}"
            if number:
                raise InputError(f"{flag} is not for an audit of a number; leave out one of both.")
            raise InputError(
                f"{flag} is for an audit of one class against the rest; leave it out, or name that "
                "class with --positive in place of --classes."
            )


def _of_several(
    predictions: Path,
    request: Request,
    classes: tuple[str, ...],
    predicted: str | None,
    outputs: list[Path],
    console: Console,
    *,
    number: bool,
) -> None:
    """Audit several classes or a number, print the results and write the reports."""
    from dataclasses import replace

    from equiderm.audit.from_tables import classes_files, number_files
    from equiderm.errors import as_flags
    from equiderm.files import write_text

    taken = ["missing", "cut", "drop_missing", "min_rows"]
    taken += [] if number else ["logits", "percent"]
    request = replace(request, cells={name: request.cells[name] for name in taken})
    with console.progress("auditing", "steps") as progress:
        if number:
            result = number_files(predictions, request, predicted=predicted or "predicted")
        else:
            result = classes_files(predictions, request, classes=classes, predicted=predicted)
        result.compute(progress)
        console.json(result.to_dict())
        written = reports_of(result, outputs)
    console.say("\n".join(result.answers()) + "\n")
    for title, frame in result.summaries():
        console.table(frame, title=title)
    for note in result.notes:
        console.note(as_flags(note))
    for path, text in written:
        write_text(path, text)
        console.note(f"wrote {name_of(path)}")


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
