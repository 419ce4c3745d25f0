"""Estimates that know their interval at every level, and what it would be at another value."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from equiderm.statistics.intervals import (
    Z95,
    implied_variance,
    logit_interval,
    newcombe_auroc,
    steadied,
    t_quantile,
    wilson,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.statistics.delong import DeLong


class Estimate(Protocol):
    """A value and its interval as a function of the normal quantile of the level."""

    @property
    def value(self) -> float:
        """The estimate."""
        ...

    def interval(self, z: float) -> tuple[float, float]:
        """Return low and high at the level that ``z`` is the normal quantile of."""
        ...

    def moved(self, value: float) -> Self:
        """Return the estimate as it would be from as many rows if its value were another."""
        ...


@dataclass(frozen=True)
class Share:
    """A proportion of ``n`` rows that count as independent; Wilson's interval.

    ``freedom``: degrees of freedom of ``n``, where it is itself estimated from few patients.
    """

    value: float
    n: float
    freedom: float = math.inf

    def interval(self, z: float) -> tuple[float, float]:
        """Return Wilson's interval."""
        return wilson(self.value, self.n, t_quantile(z, self.freedom))

    def moved(self, value: float) -> Self:
        """Return the same number of rows with another share."""
        return replace(self, value=min(max(value, 0.0), 1.0))


@dataclass(frozen=True)
class Ranked:
    """An AUROC (or a weighted mean of several) with its variance; the logit scale.

    ``positives`` and ``negatives`` count patients; ``freedom`` is that of the variance.
    """

    value: float
    variance: float
    positives: float
    negatives: float
    freedom: float = math.inf

    def interval(self, z: float) -> tuple[float, float]:
        """Return the interval on the logit scale, Newcombe's where the classes separate."""
        if self.variance <= 0 or not 0 < self.value < 1:
            return newcombe_auroc(self.value, self.positives, self.negatives, z)
        return logit_interval(self.value, self.variance, t_quantile(z, self.freedom))

    def moved(self, value: float) -> Self:
        """Return as many patients with another AUROC; the variance follows the one it implies."""
        value = min(max(value, 0.0), 1.0)
        here, there = (
            implied_variance(min(max(v, 0.01), 0.99), self.positives, self.negatives)
            for v in (self.value, value)
        )
        return replace(self, value=value, variance=self.variance * there / here)


@dataclass(frozen=True)
class Scaled:
    """A value whose interval at 95 % is known and taken as proportional to z elsewhere."""

    value: float
    low: float
    high: float

    def interval(self, z: float) -> tuple[float, float]:
        """Return the interval, scaled."""
        share = z / Z95
        return (
            self.value - (self.value - self.low) * share,
            self.value + (self.high - self.value) * share,
        )

    def moved(self, value: float) -> Self:
        """Return the interval shifted to another value."""
        off = value - self.value
        return replace(self, value=value, low=self.low + off, high=self.high + off)


def spread(one: Estimate) -> float:
    """Return the variance that the width of the 95 % interval implies; it is above 0."""
    low, high = one.interval(Z95)
    return ((high - low) / (2 * Z95)) ** 2


def ranked(result: DeLong, positives: float, negatives: float) -> Ranked:
    """Return one AUROC with the variance of `intervals.auroc_interval`."""
    auroc, variance = float(result.auroc[0]), float(result.covariance[0, 0])
    if variance > 0 and 0 < auroc < 1:
        variance = steadied(variance, auroc, positives, negatives)
    return Ranked(auroc, variance, positives, negatives, float(result.freedom[0]))


def clustered_share(
    value: float,
    n: float,
    influence: NDArray[np.float64] | None = None,
    patient: NDArray[np.intp] | None = None,
    *,
    patients: float = math.nan,
) -> Share:
    """Return the share of ``n`` rows of ``patients``, whose rows count together.

    Args:
        value: The share, in [0, 1].
        n: Rows counted.
        influence: How much each row moves it; 0 for rows not counted. None where rows are
            independent.
        patient: Whose row each is.
        patients: How many patients the rows counted are of.

    Source:
        Effective n: Korn and Graubard 1998, Survey Methodology 24:193. Degrees of freedom:
        Satterthwaite 1946, for patients of unequal size that depend as much as was observed.
    """
    if influence is None or patient is None or patients >= n:
        return Share(value, n)
    if not 0 < value < 1:
        return Share(value, patients)
    counted = influence != 0
    whole = np.bincount(patient[counted], weights=influence[counted])
    size = np.bincount(patient[counted])
    size = size[size > 0].astype(np.float64)
    variance = float((whole**2).sum()) * patients / (patients - 1) if patients > 1 else math.inf
    independent = value * (1 - value) / n
    usual = float((size**2).sum() / size.sum())  # the size of the patient of a row
    shared = min(max(variance / independent - 1, 0.0) / max(usual - 1, 1e-9), 1.0)
    part = size * (1 + (size - 1) * shared)
    freedom = max(float(part.sum() ** 2 / (part**2).sum()) - 1, 1.0)
    return Share(value, min(n, independent * n / variance), freedom)
