"""Which rows are counted, and which are resampled together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.statistics.bootstrap import Resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.audit.groupings import Grouping
    from equiderm.audit.input import Study

MIN_PATIENTS = 5  # behind a figure: of fewer nobody knows how much patients differ
FEW = 10  # of one class in a group: its class counts are then held, so that it never vanishes


def cells(study: Study, rows: NDArray[np.intp], threshold: float) -> dict[str, NDArray[np.bool_]]:
    """Return which of the rows stand behind each kind of figure."""
    target, called = study.target[rows], study.score[rows] >= threshold
    return {
        "rows": np.ones(len(rows), dtype=bool),
        "positives": target,
        "negatives": ~target,
        "called": called,
        "cleared": ~called,
    }


def count_cells(study: Study, rows: NDArray[np.intp], threshold: float) -> dict[str, float]:
    """Return how many rows, and how many patients, stand behind each kind of figure."""
    behind = cells(study, rows, threshold)
    counts: dict[str, float] = {name: int(cell.sum()) for name, cell in behind.items()}
    for name, cell in behind.items():
        patients = counts[name]
        if study.patient is not None:
            patients = len(np.unique(study.patient[rows[cell]]))
        counts[f"clusters_{name}"] = patients
    return counts


def fewest(counts: dict[str, float], needs: str) -> int:
    """Return how many independent rows (patients) the figure has, of its rarer kind."""
    return int(min(counts[f"clusters_{kind}"] for kind in kinds_of(needs)))


def kinds_of(needs: str) -> tuple[str, ...]:
    """Return the kinds of rows that a figure needs: both classes, or one kind."""
    return ("positives", "negatives") if needs == "classes" else (needs,)


def lacking(counts: dict[str, float], needs: str, least: int, rests_on: float = 1.0) -> str:
    """Return why a figure is not given for these counts, or nothing.

    Where only a share of the positives decides the figure, ``least`` are needed among these. They
    must be of at least `MIN_PATIENTS` patients (or ``least``, if that is fewer).
    """
    words = {"called": "called positive", "cleared": "called negative"}
    least_of = dict.fromkeys(kinds_of(needs), least)
    if "positives" in least_of:
        least_of["positives"] = math.ceil(least / rests_on - 1e-9)
    kinds = [kind for kind, few in least_of.items() if counts[kind] < few]
    short = [f"{int(counts[kind])} {words.get(kind, kind)}" for kind in kinds]
    needed = " and ".join(f"{few}" for few in dict.fromkeys(least_of[kind] for kind in kinds))
    if short:
        return f"{' and '.join(short)}, at least {needed} are needed"
    patients = min(least, MIN_PATIENTS)
    people = {kind: int(counts[f"clusters_{kind}"]) for kind in least_of}
    scarce = [kind for kind, some in people.items() if some < patients]
    if not scarce:
        return ""
    short = [
        f"{int(counts[kind])} {words.get(kind, kind)} of {people[kind]} "
        f"patient{'s' if people[kind] > 1 else ''}"
        for kind in scarce
    ]
    return f"{' and '.join(short)}, at least {patients} patients are needed"


def make_resampler(study: Study, grouping: Grouping) -> Resampler:
    """Return the draw of patients (or rows) within strata that keep every group.

    A patient's stratum is the rarest of the groups it has rows in; where a group has under ten
    positives or negatives, whether the patient has one splits the stratum as well.
    """
    codes = grouping.codes + 1
    size = np.bincount(codes, minlength=len(grouping.labels) + 1)
    positives = np.bincount(codes, weights=study.target, minlength=len(size))
    scarce = np.minimum(positives, size - positives) < FEW
    rank = np.argsort(np.argsort(size, kind="stable"), kind="stable")
    if study.patient is None:
        return Resampler(_compact(codes * 2 + (study.target & scarce[codes])))
    patients = int(study.patient.max()) + 1
    rarest = np.full(patients, len(size), dtype=np.intp)
    np.minimum.at(rarest, study.patient, rank[codes])
    code = np.argsort(size, kind="stable")[rarest]
    common = positives * 2 > size  # then it is the negatives that are scarce
    marked = np.where(common[codes], ~study.target, study.target)
    holds = np.bincount(study.patient[marked], minlength=patients) > 0
    return Resampler(_compact(code * 2 + (holds & scarce[code])), study.patient)


def _compact(codes: NDArray[Any]) -> NDArray[np.intp]:
    return np.unique(codes, return_inverse=True)[1].astype(np.intp)
