"""Figures of many subsets of one table, whose rows are sorted by score only once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from equiderm.statistics.estimates import (
    Estimate,
    Ranked,
    clustered_share,
    clustered_variance,
    weighted_share,
)
from equiderm.statistics.intervals import steadied

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.audit.input import Study

LEAST = 10  # patients (images) of each class that a subset, and its complement, needs


class Subsets:
    """A study's rows in order of score, so that a subset's AUROC takes a few cumulative sums.

    Args:
        study: The checked rows.
        threshold: Score from which an image is called positive.
    """

    def __init__(self, study: Study, threshold: float) -> None:
        self.study = study
        self.order = np.argsort(study.score, kind="stable")
        level = study.score[self.order]
        self.first = np.searchsorted(level, level, "left")
        self.last = np.searchsorted(level, level, "right")
        self.target = study.target
        self.called = study.score >= threshold
        self.weight = np.ones(len(study.target)) if study.weight is None else study.weight

    def lacks(self, mask: NDArray[np.bool_]) -> bool:
        """Return whether a subset has too few positives, negatives, or patients with either."""
        for of_class in (self.target, ~self.target):
            rows = mask & of_class
            if rows.sum() < LEAST or self.study.count_patients(rows) < LEAST:
                return True
        return False

    def figure(self, metric: str, mask: NDArray[np.bool_]) -> tuple[Estimate, NDArray[np.float64]]:
        """Return a subset's figure, and how much each row moves it, shape (n,)."""
        if metric == "auroc":
            return self._auroc(mask)
        is_positive = metric == "sensitivity"
        cell = mask & (self.target == is_positive)
        hit = self.called == is_positive
        weight = cell * self.weight
        whole = float(weight.sum())
        share = float(weight @ hit) / whole
        moved = weight * (hit - share) / whole
        if self.study.weight is not None:
            patient = self.study.patient_of(cell)
            return weighted_share(share, moved[cell], weight[cell], patient), moved
        patients = self.study.count_patients(cell)
        n, patient = int(cell.sum()), self.study.patient
        return clustered_share(share, n, moved, patient, patients=patients), moved

    def _auroc(self, mask: NDArray[np.bool_]) -> tuple[Ranked, NDArray[np.float64]]:
        cells = mask & self.target, mask & ~self.target
        up, down = ((cell * self.weight)[self.order] for cell in cells)
        m, n = float(up.sum()), float(down.sum())
        below, above = (np.concatenate([[0.0], np.cumsum(part)]) for part in (down, up))
        passed = (below[self.first] + below[self.last]) / (2 * n)
        beaten = 1 - (above[self.first] + above[self.last]) / (2 * m)
        auroc = float(up @ passed) / m
        moved = np.empty(len(mask))
        moved[self.order] = up * (passed - auroc) / m + down * (beaten - auroc) / n
        variance, _ = clustered_variance(moved, self.study.patient)
        alone = self._alone(moved, cells)
        repeats = max(variance / alone, 1.0) if alone > 0 else math.inf
        least = [self._as_equal(cell) for cell in cells]
        positives, negatives = (
            max(int(cell.sum()) / repeats, few) for cell, few in zip(cells, least, strict=True)
        )
        if variance > 0 and 0 < auroc < 1:
            variance = steadied(variance, auroc, positives, negatives)
        return Ranked(auroc, variance, positives, negatives, max(min(least) - 1.0, 1.0)), moved

    def _as_equal(self, cell: NDArray[np.bool_]) -> float:
        """Return a subset's effective number of patients of equal weight (Kish)."""
        if self.study.weight is None:
            return float(self.study.count_patients(cell))
        return self.study.effective_n(cell)

    def _alone(self, moved: NDArray[np.float64], cells: tuple[NDArray[np.bool_], ...]) -> float:
        """Return the variance of an AUROC if its rows had equal weights and were independent."""
        if self.study.weight is None:
            return clustered_variance(moved)[0]
        variance = 0.0
        for cell in cells:
            weight = self.weight[cell]
            squares = float((moved[cell] ** 2 / weight).sum()) * float(weight.sum())
            variance += squares / max(len(weight) - 1, 1)
        return variance
