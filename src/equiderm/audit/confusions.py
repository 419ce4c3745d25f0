"""Confusions between several classes, compared between groups."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from equiderm.audit.differences import covariance_of, from_others
from equiderm.statistics.estimates import Share, clustered_share, spread
from equiderm.statistics.intervals import ALPHA, normal_quantile
from equiderm.statistics.simultaneous import Difference, Largest, beside, correlation_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from equiderm.audit.groupings import Grouping
    from equiderm.audit.input import Study

LEAST_OF_CLASS = 10  # images of a class that a group needs
LEAST_CONFUSED = 10  # images that a confusion needs, over all groups


@dataclass(frozen=True)
class Confused:
    """How often a group's images of one class get another answer, against the other groups.

    Attributes:
        by: The group column.
        truth: The true class of the images.
        answer: The class that the model answers.
        group: The group.
        count: Images of the class in the group with that answer.
        n: Images of the class in the group.
        share: ``count`` over ``n``.
        others_share: The share of all other compared groups.
        difference: ``share`` minus ``others_share``. Its interval is simultaneous over all
            confusions and groups, and adjusted over the page's three questions. It excludes 0
            exactly if ``p`` is below 0.05.
        low: Lower bound.
        high: Upper bound.
        p: P-value with the same adjustment.
    """

    by: str
    truth: str
    answer: str
    group: str
    count: int
    n: int
    share: float
    others_share: float
    difference: float
    low: float
    high: float
    p: float

    @property
    def established(self) -> bool:
        """Whether the difference is beyond chance."""
        return self.p < ALPHA


def counts_of(truth: NDArray[np.intp], answer: NDArray[np.intp], classes: int) -> NDArray[np.intp]:
    """Return the number of images of each class (rows) per answer (columns), shape (k, k)."""
    flat = np.bincount(truth * classes + answer, minlength=classes**2)
    return flat.reshape(classes, classes)


def confusions(
    study: Study,
    grouping: Grouping,
    truth: NDArray[np.intp],
    answer: NDArray[np.intp],
    classes: Sequence[str],
    *,
    times: int = 1,
) -> list[Confused]:
    """Return every confusion that can be compared between groups, jointly adjusted.

    A class needs `LEAST_OF_CLASS` images (and patients) in a group, a confusion `LEAST_CONFUSED`
    images over all groups.

    Args:
        study: The checked rows, with their patients.
        grouping: The groups.
        truth: Index of each row's class, shape (n,).
        answer: Index of the class that the model answers, shape (n,).
        classes: Names of the classes.
        times: How many families of differences are judged: p is multiplied by it.
    """
    found = list(_comparable(study, grouping, truth, answer, len(classes)))
    if not found:
        return []
    hits = [(rows, answer[rows] == one.answer) for one in found for rows in one.rows.values()]
    shares = [_share(study, rows, hit) for rows, hit in hits]
    moved = [(study.cluster_of(rows), _moved(hit)) for rows, hit in hits]
    covariance = covariance_of(moved, study.clusters)
    least = [spread(share) for share in shares]
    np.fill_diagonal(covariance, np.maximum(np.diag(covariance), least))
    weights = np.zeros_like(covariance)
    differences: list[tuple[Confused, Difference]] = []
    start = 0
    for one in found:
        part = slice(start, start + len(one.rows))
        n = np.array([float(len(rows)) for rows in one.rows.values()])
        for k, group in enumerate(one.rows):
            rest = np.where(np.arange(len(n)) == k, 0.0, n)
            rest /= rest.sum()
            weights[start + k, part] = -rest
            weights[start + k, start + k] = 1.0
            difference = from_others(shares[part], k, rest, n, covariance[part, part])
            share, other = difference.one.value, difference.other.value
            row = Confused(
                *(grouping.name, classes[one.truth], classes[one.answer], group),
                *(round(share * n[k]), int(n[k]), share, other, difference.value),
                *(math.nan, math.nan, math.nan),
            )
            differences.append((row, difference))
        start = part.stop
    largest = Largest(correlation_of(weights @ covariance @ weights.T))
    quantile = max(largest.quantile(1 - ALPHA / times), normal_quantile(1 - ALPHA / times / 2))
    judged: list[Confused] = []
    for row, difference in differences:
        low, high = difference.interval(quantile)
        p = min(times * max(difference.p, largest.p(difference.statistic)), 1.0)
        judged.append(replace(row, low=low, high=high, p=beside(p, low, high)))
    return judged


class _Confusion(NamedTuple):
    """One confusion, and by group the rows of its class, where there are enough."""

    truth: int
    answer: int
    rows: dict[str, NDArray[np.intp]]


def _comparable(
    study: Study,
    grouping: Grouping,
    truth: NDArray[np.intp],
    answer: NDArray[np.intp],
    classes: int,
) -> Iterator[_Confusion]:
    for i in range(classes):
        large: dict[str, NDArray[np.intp]] = {}
        for k, name in enumerate(grouping.labels):
            rows = np.flatnonzero((grouping.codes == k) & (truth == i))
            if study.count_patients(rows) >= LEAST_OF_CLASS:
                large[name] = rows
        for j in range(classes) if len(large) > 1 else ():
            total = sum(int((answer[rows] == j).sum()) for rows in large.values())
            if i != j and total >= LEAST_CONFUSED:
                yield _Confusion(i, j, large)


def _moved(hit: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how much each image moves the share of hits."""
    return (hit - hit.mean()) / len(hit)


def _share(study: Study, rows: NDArray[np.intp], hit: NDArray[np.bool_]) -> Share:
    patient, patients = study.patient_of(rows), study.count_patients(rows)
    return clustered_share(float(hit.mean()), len(rows), _moved(hit), patient, patients=patients)
