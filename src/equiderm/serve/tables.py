"""Tables that were dropped on a page: their audit or their plan, as the commands give it."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit import Request, audit_files, plan
from equiderm.audit.reading import patient_column, read_joined
from equiderm.engine import Failure, run
from equiderm.errors import InputError
from equiderm.format import counted, number
from equiderm.tables import read_table

if TYPE_CHECKING:
    from equiderm.audit import Audit
    from equiderm.audit.comparison import Comparison, Comparisons
    from equiderm.audit.input.study import Study

SECONDS = 180.0


@dataclass(frozen=True)
class Answered:
    """What came of one upload.

    Attributes:
        text: The report as HTML, or what the command prints with ``--json``; "" if there is none.
        error: Why there is none, in a sentence.
        columns: Of the tables, where they could be read but not used.
        preview: What would be done with the tables, in sentences.
    """

    text: str = ""
    error: str = ""
    columns: tuple[str, ...] = ()
    preview: tuple[str, ...] = ()


def answer_upload(
    work: Callable[[Mapping[str, Path], Any], Answered],
    tables: Mapping[str, tuple[str, bytes]],
    how: Any,
    *,
    seconds: float = SECONDS,
) -> Answered:
    """Return what came of uploaded tables, worked on in another process and kept nowhere.

    Args:
        work: `audit_one`, `preview_one` or `plan_one`.
        tables: Name and bytes of each table, by what it is.
        how: What ``work`` is given beside the files.
        seconds: That it may take.
    """
    with tempfile.TemporaryDirectory(prefix="equiderm-") as folder:
        paths: dict[str, Path] = {}
        for kind, (name, blob) in tables.items():
            place = Path(folder) / kind
            place.mkdir()
            paths[kind] = place / safe_name(name)
            paths[kind].write_bytes(blob)
        with closing(run(work, [paths], shared=how, seconds=seconds)) as done:
            result = next(iter(done))[1]
        if isinstance(result, Failure):
            if result.error is not None:
                raise result.error
            result = Answered(error=f"The work on it {result.reason}.")
        said = re.sub(re.escape(folder) + r"/\w+/", "", result.error)
        return replace(result, error=said)


def safe_name(name: str) -> str:
    """Return a file name that names nothing but a file in the folder where it is put."""
    kept = re.sub(r"[^\w.-]", "_", name.replace("\\", "/").rpartition("/")[2])[-80:].lstrip(".")
    return kept or "table.csv"


def audit_one(paths: Mapping[str, Path], how: tuple[Request, bool]) -> Answered:
    """Return the audit of files; the work of one process."""
    request, as_json = how
    try:
        result = _audit_of(paths, request)
        result.audits[0].compute()
        return Answered(result.to_json() if as_json else result.to_html())
    except InputError as error:
        return Answered(error=str(error), columns=_columns(paths.values()))


def preview_one(paths: Mapping[str, Path], how: tuple[Request, bool]) -> Answered:
    """Return what an audit of files would be of; nothing is computed yet. As `audit_one`."""
    request, _ = how
    try:
        audits = _audit_of(paths, request).audits
    except InputError as error:
        return Answered(error=str(error), columns=_columns(paths.values()))
    lines = [line for one in audits for line in _preview(one.study, request)]
    drawn = f"Intervals: {request.options.replicates:,} bootstrap replicates."
    return Answered(preview=(*dict.fromkeys(lines), drawn))


def _audit_of(paths: Mapping[str, Path], request: Request) -> Audit | Comparison | Comparisons:
    request = replace(request, tones=paths.get("tones"), truth=paths.get("truth"))
    return audit_files(paths["predictions"], paths.get("other"), request)


def _preview(study: Study, request: Request) -> Iterator[str]:
    n, positive = len(study.target), int(study.target.sum())
    yield f"{study.name}: {counted(n, 'image')} to audit."
    yield f"Truth (column {request.target}): {positive:,} positive, {n - positive:,} negative."
    low, middle, high = (number(q) for q in np.quantile(study.score, (0, 0.5, 1)))
    named = " + ".join(request.score)
    yield f"Score (column {named}): {low} to {high}, half of them up to {middle}."
    if study.patient is None:
        yield "Patient: no column; every image counts as a patient of its own."
    else:
        people = counted(len(np.unique(study.patient)), "patient")
        yield f"Patient (column {request.patient or 'patient_id'}): {people}."
    for grouping in study.groupings:
        sizes = [
            f"{label}: {int(here.sum()):,} ({int((here & study.target).sum()):,} positive)"
            for label, here in ((x, grouping.codes == k) for k, x in enumerate(grouping.labels))
        ]
        yield f"Groups (column {grouping.name}), images of each: {', '.join(sizes)}."
    yield from (*study.notes, *study.doubts)


def plan_one(paths: Mapping[str, Path], how: tuple[Mapping[str, Any], bool]) -> Answered:
    """Return the plan of a test set, or of a new one where there is no table; as `audit_one`."""
    wanted, as_json = how
    try:
        table: dict[str, Any] = {}
        if "test_set" in paths:
            asked = Request(by=(wanted["by"],), tones=paths.get("tones"), patient=wanted["patient"])
            frame, name, *_ = read_joined(paths["test_set"], asked)
            table = {"frame": frame, "name": name, "patient": patient_column(frame, asked)}
        made = plan(**{**wanted, **table})
        return Answered(made.to_json() if as_json else made.to_html())
    except InputError as error:
        return Answered(error=str(error), columns=_columns(paths.values()))


def _columns(paths: Iterable[Path]) -> tuple[str, ...]:
    names: list[str] = []
    for path in paths:
        with contextlib.suppress(InputError):
            names += map(str, read_table(path).columns)
    return tuple(dict.fromkeys(names))
