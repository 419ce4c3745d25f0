"""Estimates with their interval at any level, and the interval at another value of the estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from equiderm.statistics.delong import delong, kish_n
from equiderm.statistics.delong import influence as auroc_influence
from equiderm.statistics.intervals import (
    Z95,
    implied_variance,
    logit_interval,
    newcombe_auroc,
    steadied,
    t_quantile,
    wilson,
)

MOST_LOG = 50.0  # largest exponent: exp(50) is as good as infinite
LEAST, MOST = 1e-12, 1e12  # limits of a variance: as good as exact, as good as unknown
SMALLEST = 1e-3  # distance kept from 0 (and, on the logit scale, from 1)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


class Estimate(Protocol):
    """A value, its bounds as a function of a quantile, and the degrees of freedom."""

    @property
    def value(self) -> float:
        """The estimate."""
        ...

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the variance; infinite where it is taken as known."""
        ...

    def bounds(self, quantile: float) -> tuple[float, float]:
        """Return low and high, ``quantile`` standard errors away."""
        ...

    def moved(self, value: float) -> Estimate:
        """Return the estimate from as many rows if its value were ``value``."""
        ...


@dataclass(frozen=True)
class Share:
    """A proportion of ``n`` independent rows (or an effective n), with Wilson's bounds.

    ``freedom`` is finite if ``n`` is an effective n that was estimated from few patients.
    """

    value: float
    n: float
    freedom: float = math.inf

    def bounds(self, quantile: float) -> tuple[float, float]:
        """Return Wilson's bounds."""
        return wilson(self.value, self.n, quantile)

    def moved(self, value: float) -> Self:
        """Return the same number of rows with the share ``value``."""
        return replace(self, value=min(max(value, 0.0), 1.0))


@dataclass(frozen=True)
class Ranked:
    """An AUROC (or a weighted mean of several) with its variance, on the logit scale.

    ``positives`` and ``negatives`` are effective numbers of independent images.

    Source:
        Qin and Hotilovac 2008, Statistical Methods in Medical Research 17:207 (logit scale);
        Newcombe 2006, Statistics in Medicine 25:559 (method 5, where the classes separate).
    """

    value: float
    variance: float
    positives: float
    negatives: float
    freedom: float = math.inf

    def bounds(self, quantile: float) -> tuple[float, float]:
        """Return bounds on the logit scale, or Newcombe's if the classes separate."""
        if self.variance <= 0 or not 0 < self.value < 1:
            return newcombe_auroc(self.value, self.positives, self.negatives, quantile)
        return logit_interval(self.value, self.variance, quantile)

    def moved(self, value: float) -> Self:
        """Return as many images with the AUROC ``value``, and the variance in proportion."""
        value = min(max(value, 0.0), 1.0)
        here, there = (
            implied_variance(min(max(v, 0.01), 0.99), self.positives, self.negatives)
            for v in (self.value, value)
        )
        return replace(self, value=value, variance=self.variance * there / here)


@dataclass(frozen=True)
class Curved:
    """A value whose error is symmetric on another scale.

    The scale is "logit" (in 0 to 1), "log", "fisher" (a correlation's) or "plain".
    """

    value: float
    variance: float
    freedom: float = math.inf
    scale: str = "plain"

    def bounds(self, quantile: float) -> tuple[float, float]:
        """Return bounds that are symmetric on the scale."""
        if self.scale == "logit" and 0 < self.value < 1:
            return logit_interval(self.value, self.variance, quantile)
        half = quantile * math.sqrt(self.variance)
        if self.scale == "log" and self.value > 0:
            factor = math.exp(min(half / self.value, MOST_LOG))
            return self.value / factor, self.value * factor
        if self.scale == "fisher" and abs(self.value) < 1:
            centre, half = math.atanh(self.value), half / (1 - self.value**2)
            return math.tanh(centre - half), math.tanh(centre + half)
        return self.value - half, self.value + half

    def moved(self, value: float) -> Self:
        """Return the estimate at ``value`` with the same error on the scale."""
        if self.scale in ("plain", "fisher"):
            return replace(self, value=value)
        if self.scale == "log":
            here, there = max(self.value, SMALLEST), max(value, SMALLEST)
            return replace(self, value=there, variance=self.variance * (there / here) ** 2)
        value = _inside(value)
        here, there = (v * (1 - v) for v in (_inside(self.value), value))
        return replace(self, value=value, variance=self.variance * (there / here) ** 2)


@dataclass(frozen=True)
class Mean(Curved):
    """A figure of rows that may have any value, or a weighted mean of several groups' figures."""


@dataclass(frozen=True)
class OfShares:
    """A monotone function of two shares at an extreme, where its observed variance is 0.

    Its bounds are the extremes over both shares' bounds, so it is covered whenever both shares are.
    """

    value: float
    shares: tuple[Share, Share]
    formula: Callable[[float, float], float]

    @property
    def freedom(self) -> float:
        """The lower of the two shares' degrees of freedom."""
        return min(share.freedom for share in self.shares)

    def bounds(self, quantile: float) -> tuple[float, float]:
        """Return the lowest and the highest value over the bounds of both shares."""
        first, second = (share.bounds(quantile) for share in self.shares)
        corners = [self.formula(a, b) for a in first for b in second]
        finite = [corner for corner in corners if math.isfinite(corner)]
        ends = (min(finite), max(finite)) if finite else (self.value, self.value)
        return ends[0], math.inf if math.inf in corners else ends[1]

    def moved(self, value: float) -> Scaled:
        """Return the interval shifted to ``value``."""
        low, high = self.bounds(Z95)
        return Scaled(self.value, low, min(high, MOST)).moved(value)


@dataclass(frozen=True)
class Scaled:
    """A value with a known 95 % interval; at other levels its width scales with the quantile."""

    value: float
    low: float
    high: float
    freedom: float = math.inf

    def bounds(self, quantile: float) -> tuple[float, float]:
        """Return the interval scaled to ``quantile``."""
        share = quantile / Z95
        return (
            self.value - (self.value - self.low) * share,
            self.value + (self.high - self.value) * share,
        )

    def moved(self, value: float) -> Self:
        """Return the interval shifted to ``value``."""
        off = value - self.value
        return replace(self, value=value, low=self.low + off, high=self.high + off)


def interval(estimate: Estimate, z: float = Z95) -> tuple[float, float]:
    """Return the interval whose level has the normal quantile ``z``; it holds the estimate."""
    low, high = estimate.bounds(t_quantile(z, estimate.freedom))
    return min(low, estimate.value), max(high, estimate.value)


def _inside(value: float) -> float:
    return min(max(value, SMALLEST), 1 - SMALLEST)


def spread(estimate: Estimate) -> float:
    """Return the variance that the width of the bounds implies; it is above 0 and finite."""
    low, high = estimate.bounds(Z95)
    variance = ((high - low) / (2 * Z95)) ** 2
    return min(max(variance, LEAST), MOST) if variance == variance else MOST


def freedom_of_sum(parts: Sequence[Estimate], weights: NDArray[np.float64]) -> float:
    """Return Satterthwaite's degrees of freedom of the variance of a weighted sum of estimates."""
    variance = np.array([w**2 * spread(part) for part, w in zip(parts, weights, strict=True)])
    below = sum(v**2 / part.freedom for v, part in zip(variance, parts, strict=True))
    return float(variance.sum() ** 2 / below) if below > 0 else math.inf


def clustered_variance(
    influence: NDArray[np.float64], patient: NDArray[np.intp] | None = None
) -> tuple[float, float]:
    """Return an estimate's variance and its degrees of freedom; NaN and 1 below two patients.

    Args:
        influence: How much each row moves the estimate, shape (n,).
        patient: Patient code of each row, shape (n,); None if rows are independent.

    Source:
        Liang and Zeger 1986, Biometrika 73:13; Satterthwaite 1946 for the freedom.
    """
    whole = influence
    if patient is not None:
        whole = np.bincount(patient, weights=influence)
        whole = whole[np.bincount(patient) > 0]
    count = len(whole)
    if count < 2:
        return math.nan, 1.0
    return float((whole**2).sum()) * count / (count - 1), float(count - 1)


def ranked(
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    patient: NDArray[np.intp] | None = None,
    weight: NDArray[np.float64] | None = None,
) -> Ranked:
    """Return an AUROC with DeLong's variance (Obuchowski's with patients), `steadied` if few rows.

    Positives and negatives are reduced to the number of independent images that would have the
    observed variance, but not below the number of patients (with weights, Kish's effective number).
    """
    result = delong(target, score, patient=patient, weight=weight)
    auroc, variance = float(np.clip(result.auroc[0], 0, 1)), float(result.covariance[0, 0])
    counts = float(target.sum()), float((~target).sum())
    if variance == variance and not (weight is None and patient is None):
        of = np.arange(len(target)) if patient is None else patient
        if weight is None:
            alone = float(delong(target, score).covariance[0, 0])
            least = [len(np.unique(of[part])) for part in (target, ~target)]
        else:
            alone = _as_if_equal(target, score, weight)
            least = [kish_n(weight[part], of[part]) for part in (target, ~target)]
        repeats = max(variance / alone, 1.0) if alone > 0 else math.inf
        counts = tuple(max(n / repeats, k) for n, k in zip(counts, least, strict=True))
    positives, negatives = counts
    if variance > 0 and 0 < auroc < 1:
        variance = steadied(variance, auroc, positives, negatives)
    return Ranked(auroc, variance, positives, negatives, float(result.freedom[0]))


def _as_if_equal(
    target: NDArray[np.bool_], score: NDArray[np.float64], weight: NDArray[np.float64]
) -> float:
    """Return the variance of a weighted AUROC if its rows had equal weights and no patients."""
    moved, variance = auroc_influence(target, score, weight), 0.0
    for part in (target, ~target):
        w = weight[part] / weight[part].sum()
        variance += float((moved[part] ** 2 / w).sum()) / max(int(part.sum()) - 1, 1)
    return variance


def weighted_share(
    value: float,
    influence: NDArray[np.float64],
    weight: NDArray[np.float64],
    patient: NDArray[np.intp] | None = None,
) -> Share:
    """Return a weighted share with its effective n, with the rows of a patient as one cluster.

    Args:
        value: The weighted share, in [0, 1].
        influence: How much each counted row moves it, shape (n,).
        weight: Weights of the same rows, above 0; any scale.
        patient: Patient code of each row; None if each row is another patient's.

    Source:
        The linearised variance: Binder 1983, International Statistical Review 51:279; effective n:
        Korn and Graubard 1998, Survey Methodology 24:193. Degrees of freedom: Satterthwaite 1946,
        for patients of unequal weight whose rows correlate as much as observed.
    """
    of = np.arange(len(weight)) if patient is None else patient
    if not 0 < value < 1:
        return Share(value, kish_n(weight, of))
    count = len(np.unique(of))
    variance, _ = clustered_variance(influence, of)
    if not variance > 0 or count < 2:
        return Share(value, kish_n(weight, of))
    whole = np.bincount(of, weights=weight)
    squares = np.bincount(of, weights=weight**2)
    apart, together = float(squares.sum()), float((whole**2).sum())
    seen = variance * float(whole.sum()) ** 2 / (value * (1 - value))
    shared = (seen - apart) / (together - apart) if together > apart * (1 + 1e-9) else 0.0
    part = squares + (whole**2 - squares) * min(max(shared, 0.0), 1.0)
    freedom = _freedom_of(part, apart, seen)
    return Share(value, min(float(len(weight)), value * (1 - value) / variance), freedom)


def _freedom_of(part: NDArray[np.float64], alone: float, seen: float) -> float:
    """Return the degrees of freedom of the variance of a share.

    If patients hardly matter, the variance is that of independent rows, which is known.

    Args:
        part: Each patient's part in the variance, up to a factor.
        alone: The variance if rows were independent.
        seen: The variance on the same scale.
    """
    excess = 1 - alone / seen if seen > alone else 0.0
    return max(kish_n(part) - 1, 1.0) / min(1.0, 2 * excess) if excess > 0 else math.inf


def clustered_share(
    value: float,
    n: float,
    influence: NDArray[np.float64] | None = None,
    patient: NDArray[np.intp] | None = None,
    *,
    patients: float = math.nan,
) -> Share:
    """Return a share with its effective n, with the rows of a patient as one cluster.

    Args:
        value: The share, in [0, 1].
        n: Rows counted.
        influence: How much each row moves it; 0 for rows that are not counted. None if rows are
            independent.
        patient: Patient code of each row.
        patients: Number of patients of the counted rows.

    Source:
        Effective n: Korn and Graubard 1998, Survey Methodology 24:193. Degrees of freedom:
        Satterthwaite 1946, for patients of unequal size whose rows correlate as much as observed.
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
    usual = float((size**2).sum() / size.sum())  # mean over rows of their patient's size
    shared = min(max(variance / independent - 1, 0.0) / max(usual - 1, 1e-9), 1.0)
    part = size * (1 + (size - 1) * shared)
    freedom = _freedom_of(part, independent, variance)
    return Share(value, min(n, independent * n / variance) if variance > 0 else n, freedom)
