"""Confusions between several classes, compared between groups."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from equiderm.audit.class_figures import GroupRows
from equiderm.audit.differences import combined
from equiderm.statistics.estimates import Share, clustered_share, spread
from equiderm.statistics.intervals import ALPHA, normal_quantile
from equiderm.statistics.simultaneous import Difference, Largest, beside, correlation_of

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    from scipy import sparse

    segments = GroupRows(study, grouping, LEAST_OF_CLASS)
    size = len(truth) if study.patient is None else int(study.patient.max()) + 1
    parts: list[tuple[int, int, list[str], list[Share]]] = []
    rows_of, places, values = [], [], []
    columns = 0
    for i in range(len(classes)):
        held = {
            name: rows[truth[rows] == i]
            for name, rows in zip(segments.names[1:], segments.rows[1:], strict=True)
        }
        large = {
            name: rows for name, rows in held.items() if segments.patients(rows) >= LEAST_OF_CLASS
        }
        if len(large) < 2:
            continue
        for j in range(len(classes)):
            total = sum(int((answer[rows] == j).sum()) for rows in large.values())
            if i == j or total < LEAST_CONFUSED:
                continue
            shares: list[Share] = []
            for rows in large.values():
                hit = answer[rows] == j
                moved = (hit - hit.mean()) / len(rows)
                patient = segments.patient(rows)
                count = segments.patients(rows)
                share = float(hit.mean())
                shares.append(clustered_share(share, len(rows), moved, patient, patients=count))
                kept = np.flatnonzero(moved)
                rows_of.append(rows[kept] if patient is None else patient[kept])
                places.append(np.full(len(kept), columns))
                values.append(moved[kept])
                columns += 1
            parts.append((i, j, list(large), shares))
    if not parts:
        return []
    index = np.concatenate(rows_of), np.concatenate(places)
    table = sparse.csr_array(sparse.coo_array((np.concatenate(values), index), (size, columns)))
    covariance = np.asarray((table.T @ table).todense(), dtype=np.float64)
    weights = np.zeros((columns, columns))
    differences: list[tuple[Confused, Difference]] = []
    start = 0
    for i, j, names, shares in parts:
        part = slice(start, start + len(names))
        inner = covariance[part, part]
        np.fill_diagonal(inner, np.maximum(np.diag(inner), [spread(share) for share in shares]))
        covariance[part, part] = inner
        n = np.array([float((truth[segments.of(name)] == i).sum()) for name in names])
        for k, name in enumerate(names):
            rest = np.where(np.arange(len(names)) == k, 0.0, n)
            rest /= rest.sum()
            other = combined(shares, rest, n, inner)
            weights[start + k, part] = -rest
            weights[start + k, start + k] = 1.0
            scale = math.sqrt(inner[k, k] * float(rest @ inner @ rest))
            shared = float(inner[k] @ rest) / scale if scale else 0.0
            difference = Difference(shares[k], other, shared)
            count = round(shares[k].value * n[k])
            row = Confused(
                *(grouping.name, classes[i], classes[j], name, count, int(n[k])),
                *(shares[k].value, other.value, difference.value, math.nan, math.nan, math.nan),
            )
            differences.append((row, difference))
        start += len(names)
    largest = Largest(correlation_of(weights @ covariance @ weights.T))
    quantile = max(largest.quantile(1 - ALPHA / times), normal_quantile(1 - ALPHA / times / 2))
    judged: list[Confused] = []
    for row, difference in differences:
        low, high = difference.interval(quantile)
        p = min(times * max(difference.p, largest.p(difference.statistic)), 1.0)
        p = beside(p, low, high)
        judged.append(replace(row, low=low, high=high, p=p))
    return judged
