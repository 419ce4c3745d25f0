"""The rows behind each figure, and the strata of the bootstrap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.statistics.bootstrap import Resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.audit.groupings import Grouping
    from equiderm.audit.input import Study

MIN_PATIENTS = 5  # that a figure needs: with fewer, the variance between patients is unknown
FEW = 10  # rows of a class in a group below which its counts are stratified, so that none vanishes


def cells(study: Study, rows: NDArray[np.intp], threshold: float) -> dict[str, NDArray[np.bool_]]:
    """Return which of the rows are of each kind that figures count, each of shape (rows,)."""
    target, called = study.target[rows], study.score[rows] >= threshold
    return {
        "rows": np.ones(len(rows), dtype=bool),
        "positives": target,
        "negatives": ~target,
        "called": called,
        "cleared": ~called,
    }


def count_cells(study: Study, rows: NDArray[np.intp], threshold: float) -> dict[str, float]:
    """Return the number of rows of each kind, and of their patients under ``clusters_<kind>``."""
    behind = cells(study, rows, threshold)
    counts: dict[str, float] = {name: int(cell.sum()) for name, cell in behind.items()}
    for name, cell in behind.items():
        counts[f"clusters_{name}"] = study.count_patients(rows[cell])
    return counts


def fewest(counts: dict[str, float], needs: str) -> int:
    """Return the number of independent rows (patients) of a figure's rarer kind."""
    return int(min(counts[f"clusters_{kind}"] for kind in kinds_of(needs)))


def kinds_of(needs: str) -> tuple[str, ...]:
    """Return the kinds of rows that a figure needs: both classes, or one kind."""
    return ("positives", "negatives") if needs == "classes" else (needs,)


def lacking(counts: dict[str, float], needs: str, least: int, rests_on: float = 1.0) -> str:
    """Return why a figure is missing for these counts, or an empty text.

    If a figure depends on a share of the positives only (``rests_on``), ``least`` of these are
    needed. The rows must be of at least `MIN_PATIENTS` patients (or ``least``, if that is fewer).
    """
    words = {"called": "called positive", "cleared": "called negative"}

    def named(kind: str) -> str:
        count = int(counts[kind])
        return f"{count} {words.get(kind, kind.removesuffix('s') if count == 1 else kind)}"

    least_of = dict.fromkeys(kinds_of(needs), least)
    if "positives" in least_of:
        least_of["positives"] = math.ceil(least / rests_on - 1e-9)
    kinds = [kind for kind, few in least_of.items() if counts[kind] < few]
    short = [named(kind) for kind in kinds]
    needed = " and ".join(f"{few}" for few in dict.fromkeys(least_of[kind] for kind in kinds))
    if short:
        return f"{' and '.join(short)}, at least {needed} are needed"
    patients = min(least, MIN_PATIENTS)
    people = {kind: int(counts[f"clusters_{kind}"]) for kind in least_of}
    scarce = [kind for kind, count in people.items() if count < patients]
    if not scarce:
        return ""
    short = [
        f"{named(kind)} of {people[kind]} patient{'s' if people[kind] > 1 else ''}"
        for kind in scarce
    ]
    return f"{' and '.join(short)}, at least {patients} patients are needed"


def of_groups(count: int, groups: int) -> str:
    """Return why groups cannot be compared: too few of them have the figure."""
    if groups == 1:
        return "there is 1 group, 2 are needed"
    return f"{count} of {groups} groups {'has' if count == 1 else 'have'} the figure, 2 are needed"


def make_resampler(study: Study, grouping: Grouping) -> Resampler:
    """Return the resampler of patients (or rows) within strata that keep every group.

    A patient's stratum is the rarest of the groups of its rows. If that group has fewer than `FEW`
    positives or negatives, the stratum is split by whether the patient has one.
    """
    codes = grouping.codes + 1
    size = np.bincount(codes, minlength=len(grouping.labels) + 1)
    positives = np.bincount(codes, weights=study.target, minlength=len(size))
    scarce = np.minimum(positives, size - positives) < FEW
    rank = np.argsort(np.argsort(size, kind="stable"), kind="stable")
    if study.patient is None:
        return Resampler(_compact(codes * 2 + (study.target & scarce[codes])))
    patients = study.clusters
    rarest = np.full(patients, len(size), dtype=np.intp)
    np.minimum.at(rarest, study.patient, rank[codes])
    code = np.argsort(size, kind="stable")[rarest]
    common = positives * 2 > size  # the negatives are the scarce class
    marked = np.where(common[codes], ~study.target, study.target)
    holds = np.bincount(study.patient[marked], minlength=patients) > 0
    return Resampler(_compact(code * 2 + (holds & scarce[code])), study.patient)


def _compact(codes: NDArray[Any]) -> NDArray[np.intp]:
    return np.unique(codes, return_inverse=True)[1].astype(np.intp)
