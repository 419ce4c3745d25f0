"""Figures of a predicted number by group, as `equiderm.audit.differences` compares them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from equiderm.audit.class_figures import GroupFigures
from equiderm.statistics.estimates import Mean, clustered_variance
from equiderm.statistics.ranks import rank_correlation, rank_influence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.audit.groupings import Grouping
    from equiderm.audit.input import Study
    from equiderm.statistics.estimates import Estimate

OF_NUMBERS = ("mean_absolute_error", "bias", "spearman")
STEADIED = 200  # patients that the spread of all errors counts for beside a group's own
LEAST_MOVED = 1e-9  # of a figure, by any row: less is rounding
_SCALES = {"mean_absolute_error": "log", "bias": "plain", "spearman": "fisher"}


class NumberFigures(GroupFigures):
    """Mean absolute error, bias and Spearman's correlation by group.

    Args:
        study: The checked rows.
        grouping: The groups.
        min_count: Fewest images, and patients, that a figure needs.
        truth: The true numbers, shape (n,).
        predicted: The predicted numbers, shape (n,).
    """

    def __init__(
        self,
        study: Study,
        grouping: Grouping,
        min_count: int,
        truth: NDArray[np.float64],
        predicted: NDArray[np.float64],
    ) -> None:
        super().__init__(study, grouping, min_count)
        self._both = truth, predicted

    def _moved(self, metric: str, segment: str) -> tuple[float, NDArray[np.float64]]:
        """Return a figure and how much each row of the segment moves it."""
        truth, predicted = (values[self.of(segment)] for values in self._both)
        if metric == "spearman":
            return float(rank_correlation(truth, predicted)[0]), rank_influence(truth, predicted)
        errors = predicted - truth if metric == "bias" else np.abs(predicted - truth)
        return float(errors.mean()), (errors - errors.mean()) / len(errors)

    def influence(self, metric: str, segment: str) -> NDArray[np.float64]:
        """Return how much each row of a segment moves its figure, shape (rows,)."""
        return self._moved(metric, segment)[1]

    def value(self, metric: str, segment: str = "overall") -> tuple[float, int, str]:
        """Return a figure, its number of images, and why it is missing."""
        rows = self.of(segment)
        if few := self.few_people(rows):
            return math.nan, len(rows), few
        if metric == "spearman" and any(np.ptp(values[rows]) == 0 for values in self._both):
            return math.nan, len(rows), "a rank needs numbers that differ"
        value, moved = self._moved(metric, segment)
        if np.abs(moved).max() * len(rows) <= LEAST_MOVED * abs(value):  # no interval could be had
            return math.nan, len(rows), "every row says the same"
        return value, len(rows), ""

    def _estimate(self, metric: str, segment: str) -> Estimate:
        """Return a figure with its interval at any level.

        A group without an outlier has a small error and, by the same chance, a small variance. Its
        variance is therefore not below its mean with that of all images, in proportion to their
        errors; `STEADIED` was chosen by simulation (docs/number.md has the claims).
        """
        rows = self.of(segment)
        value, moved = self._moved(metric, segment)
        variance, freedom = clustered_variance(moved, self.study.patient_of(rows))
        if segment != "overall" and metric != "bias":
            everyone, n = self.estimate(metric), self.study.count_patients(rows)
            assert isinstance(everyone, Mean)
            there, here = (_stretch(metric, v) for v in (everyone.value, value))
            implied = everyone.variance * self.study.count_patients(self.of("overall")) / n
            implied *= (here / there) ** 2
            variance = max(variance, (n * variance + STEADIED * implied) / (n + STEADIED))
        return Mean(value, variance, freedom, _SCALES[metric])

    def weight(self, metric: str, segment: str) -> float:
        """Return the weight of a group in the mean of several: its images."""
        return float(len(self.of(segment)))


def _stretch(metric: str, value: float) -> float:
    """Return the size of an error of the figure, up to a factor, where it has this value."""
    return 1 - value**2 if metric == "spearman" else value
