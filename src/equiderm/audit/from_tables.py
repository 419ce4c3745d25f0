"""Audits of tables in files: of one model, of several to compare, of classes or of a number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from equiderm.audit.audit import audit
from equiderm.audit.classes import ClassesAudit, audit_classes
from equiderm.audit.comparison import Comparison, Comparisons
from equiderm.audit.find import Found, find_subgroups
from equiderm.audit.input import Provenance, as_frame
from equiderm.audit.label_error import Agreement, read_agreement
from equiderm.audit.number import NumberAudit, audit_number
from equiderm.audit.reading import (
    Request,
    image_column,
    patient_column,
    read_joined,
    split_models,
)
from equiderm.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from equiderm.audit.audit import Audit
    from equiderm.files import AnyPath

_Result = TypeVar("_Result", "Audit", ClassesAudit, NumberAudit)


def audit_files(
    predictions: AnyPath, other: AnyPath | None = None, request: Request | None = None
) -> Audit | Comparison | Comparisons:
    """Return the audit of a table of predictions, or the comparison of its models.

    Args:
        predictions: A table with one row per image, or per image and model.
        other: A second model's table of the same images, for a paired comparison.
        request: What to audit; by default the columns target, score and ita_band.

    Returns:
        The audit of one model; the first of two models minus the second; or, with more models, the
        first minus each of the others.

    Raises:
        InputError: A table cannot be read, joined or audited.
    """
    predictions, other = Path(predictions), None if other is None else Path(other)
    request = request or Request()
    if request.cells.get("no_truth") and request.truth is not None:
        raise InputError("both `truth` and `no_truth` are given; leave out one of the two.")
    audits = list(_audits_of(predictions, request))
    if other is not None:
        audits += _audits_of(other, request, beside=predictions)
    if len(audits) == 1:
        return audits[0]
    pairs = [audits[0].compare(second) for second in audits[1:]]
    return pairs[0] if len(pairs) == 1 else Comparisons(tuple(pairs))


def classes_files(
    predictions: AnyPath,
    request: Request,
    *,
    classes: Sequence[str] = (),
    predicted: str | None = None,
) -> ClassesAudit:
    """Return the audit of several classes of one table; see `audit_classes`.

    Args:
        predictions: A table with one row per image.
        request: What to audit; of its ``cells`` those that `audit_classes` takes.
        classes: Names of the classes; by default all in the target column.
        predicted: Column of the class that the model answers.

    Raises:
        InputError: The table cannot be read, joined or audited.
    """
    frame, given, notes = _joined(predictions, request)
    return _with_notes(audit_classes(frame, classes=classes, predicted=predicted, **given), notes)


def number_files(
    predictions: AnyPath, request: Request, *, predicted: str = "predicted"
) -> NumberAudit:
    """Return the audit of a predicted number of one table; see `audit_number`.

    Args:
        predictions: A table with one row per image.
        request: What to audit; of its ``cells`` those that `audit_number` takes.
        predicted: Column of the predicted number.

    Raises:
        InputError: The table cannot be read, joined or audited.
    """
    frame, given, notes = _joined(predictions, request)
    return _with_notes(audit_number(frame, predicted=predicted, **given), notes)


def _joined(predictions: AnyPath, request: Request) -> tuple[Any, dict[str, Any], tuple[str, ...]]:
    """Return a table, what an audit of classes or of a number is given beside it, and notes."""
    frame, called, files, tone_source, request = read_joined(Path(predictions), request)
    provenance = Provenance(
        files=tuple(files), command=request.command, model=request.model, tone_source=tone_source
    )
    given = {
        "target": request.target,
        "by": list(request.by),
        "patient": patient_column(frame, request),
        "options": request.options,
        "provenance": provenance,
        "name": called,
        **request.cells,
    }
    return frame, given, request.notes


def _audits_of(path: Path, request: Request, beside: Path | None = None) -> Iterator[Audit]:
    """Return the audits of every model in one file, with the file's name and checksum."""
    frame, called, files, tone_source, request = read_joined(path, request, beside)
    agreement = request.agreement
    if agreement is not None and not isinstance(agreement, Agreement):
        agreement = read_agreement(agreement)
    options: dict[str, Any] = {
        "target": request.target,
        "by": list(request.by),
        "patient": patient_column(frame, request),
        "image": image_column(frame, request.image),
        "weight": request.weight,
        "along": request.along,
        "adjust": request.adjust,
        "options": request.options,
        "agreement": agreement,
        "reference": {request.by[0]: request.reference} if request.reference else None,
        "name": called,
        **request.cells,
    }
    for model, (part, score, notes) in split_models(
        frame, score=list(request.score), request=request, image=options["image"], name=called
    ).items():
        provenance = Provenance(
            files=tuple(files),
            command=request.command,
            model=request.model or model,
            tone_source=tone_source,
            finding=request.finding,
            missed=request.missed,
        )
        result = audit(part, score=score, provenance=provenance, **options)
        result = replace(result, answers=request.answers)
        if request.find:
            result = replace(result, found=_search(part, score, options, request))
        yield _with_notes(result, [*request.notes, *notes])


def _search(part: Any, score: Any, options: Mapping[str, Any], request: Request) -> Found:
    """Return the subgroups of one model's rows; see `find_subgroups`."""
    if request.cells.get("average_views"):
        raise InputError(
            "subgroups cannot be searched if views are averaged; leave out `find`, or give one row "
            "per image."
        )
    taken = ("positive", "missing", "cut", "logits", "percent", "drop_missing")
    return find_subgroups(
        part,
        request.find,
        depth=request.depth,
        target=request.target,
        score=score,
        patient=options["patient"],
        weight=request.weight,
        threshold=request.options.threshold,
        name=options["name"],
        **{key: request.cells[key] for key in taken if key in request.cells},
    )


def _with_notes(result: _Result, notes: Sequence[str]) -> _Result:
    return replace(result, study=replace(result.study, notes=(*notes, *result.study.notes)))


def audit_models(
    frame: Any, *, models: Sequence[str] = (), model_column: str | None = None, **options: Any
) -> dict[str, Audit]:
    """Return the audit of each model of one table, over the images that all of them have scored.

    Args:
        frame: One row per image, with a score column per model; or, with ``model_column``, one row
            per image and model.
        models: The score columns; or values of ``model_column`` (by default all).
        model_column: Column that names the model of a row's score.
        options: Further arguments of `audit`.

    Raises:
        InputError: No such model, or rows that cannot be paired.
    """
    image, name = options.get("image"), options.get("name", "the table")
    request = Request(models=tuple(models), model_column=model_column)
    parts = split_models(
        as_frame(frame),
        score=options.pop("score", "score"),
        request=request,
        image=image,
        name=name,
    )
    return {
        model: _with_notes(audit(part, score=score, **options), notes)
        for model, (part, score, notes) in parts.items()
    }
