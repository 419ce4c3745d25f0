"""Simultaneous inference on several differences, each studentised by its own interval.

A difference's statistic is the normal quantile at which its own interval just touches 0. A small
group has a wide interval, hence a small statistic, and does not affect those of other groups.
The interval and the p-value follow from this statistic: one excludes 0 if the other is below 0.05.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from equiderm.statistics.estimates import Estimate, Ranked, Share, clustered_variance, spread
from equiderm.statistics.intervals import Z95, difference, normal_cdf, t_quantile, tango, z_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DRAWS = 60_000  # of the largest statistic; its 5 % point is then accurate to 0.01
MOST_VALUES = 6_000_000  # normal deviates held in memory
TAIL = 0.002  # below this p there are few draws, and the normal tail's shape is used
MOST = 1e6  # largest statistic searched for, in standard errors
FARTHEST = 32.0  # the same for a normal quantile, whose tail is still above 0
SMALLEST = 1e-9  # normal quantile of an interval without width
EXACT = 1e-12  # tolerance of a statistic, in standard errors
FLOOR, CEILING = 1e-9, 1e9  # limits of a value before its logarithm is taken
CORRECTION = 0.3  # rows by which the correlation of two models' shares is lowered
TOGETHER = 3.0  # factor on the freedom of two paired shares: most of their error is shared


@dataclass(frozen=True)
class Difference:
    """One estimate minus another.

    Attributes:
        one: The minuend.
        other: The subtrahend.
        correlation: Correlation of their errors.
        paired: Both are of the same patients, whose number limits the degrees of freedom.
    """

    one: Estimate
    other: Estimate
    correlation: float = 0.0
    paired: bool = False

    @property
    def value(self) -> float:
        """One minus other."""
        return self.one.value - self.other.value

    @property
    def _is_of_ranks(self) -> bool:
        return self.paired and isinstance(self.one, Ranked) and isinstance(self.other, Ranked)

    @cached_property
    def freedom(self) -> float:
        """Welch and Satterthwaite's degrees of freedom."""
        if self.paired:
            fewer = min(self.one.freedom, self.other.freedom)
            return fewer if self._is_of_ranks else TOGETHER * fewer
        parts = [(spread(part), part.freedom) for part in (self.one, self.other)]
        below = sum(variance**2 / freedom for variance, freedom in parts)
        return sum(variance for variance, _ in parts) ** 2 / below if below > 0 else math.inf

    def bounds(self, quantile: float) -> tuple[float, float]:
        """Return low and high, ``quantile`` standard errors away (MOVER).

        The intervals of two AUROCs of the same patients are made symmetric first: most of their
        error is shared, and so is most of their asymmetry.
        """
        parts = ((part.value, *part.bounds(quantile)) for part in (self.one, self.other))
        one, other = ((value, min(low, value), max(high, value)) for value, low, high in parts)
        if self._is_of_ranks:
            one, other = (
                (v, v - (high - low) / 2, v + (high - low) / 2) for v, low, high in (one, other)
            )
        return difference(one, other, self.correlation)[1:]

    @property
    def _is_of_bounded(self) -> bool:
        return self.paired and all(isinstance(s, Ranked | Share) for s in (self.one, self.other))

    def interval(self, z: float) -> tuple[float, float]:
        """Return the interval whose level has the normal quantile ``z``.

        Student's quantile of few patients is so large that the bounds of an AUROC or a share reach
        0 and 1. Two models' bounds then nearly agree, and their difference would be the narrower,
        the higher the level: their bounds at ``z`` are widened in proportion instead.
        """
        quantile = t_quantile(z, self.freedom)
        if not self._is_of_bounded or z < SMALLEST:
            return self.bounds(quantile)
        low, high = (self.value + quantile / z * (end - self.value) for end in self.bounds(z))
        return low, high

    def ratio(self, z: float) -> tuple[float, float, float]:
        """Return one / other with its interval at the level of ``z``; NaN unless both are above 0.

        Source:
            MOVER on the logarithm: Zou and Donner 2008, Statistics in Medicine 27:1693.
        """
        if not (self.one.value > 0 and self.other.value > 0):
            return math.nan, math.nan, math.nan
        quantile = t_quantile(z, self.freedom)
        sides = [(part.value, *part.bounds(quantile)) for part in (self.one, self.other)]
        logs = [tuple(math.log(min(max(v, FLOOR), CEILING)) for v in side) for side in sides]
        ends = difference(logs[0], logs[1], self.correlation)  # pyright: ignore[reportArgumentType]
        return tuple(map(math.exp, ends))  # pyright: ignore[reportReturnType]

    @property
    def p(self) -> float:
        """Two-sided p-value, below 0.05 exactly if the 95 % interval excludes 0."""
        return beside(min(1.0, 2 * float(normal_cdf(-self.statistic))), *self.interval(Z95))

    @cached_property
    def statistic(self) -> float:
        """The normal quantile of the level at which the interval touches 0."""
        from scipy.optimize import brentq

        side = 0 if self.value > 0 else 1
        if self.value == 0 or self.value != self.value:
            return 0.0

        at = self.interval if self._is_of_bounded else self.bounds
        most = FARTHEST if self._is_of_bounded else MOST

        def off(quantile: float) -> float:
            return at(quantile)[side] * (1 - 2 * side)

        low, high = 0.0, 4.0
        while high < most and off(high) > 0:
            low, high = high, high * 2
        if off(low) > 0 >= off(high):
            high = float(brentq(off, low, high, xtol=EXACT))  # pyright: ignore[reportArgumentType]
        return high if self._is_of_bounded else z_of(high, self.freedom)


@dataclass(frozen=True)
class SameRows(Difference):
    """Two models' shares of the same rows: Tango's interval with McNemar's statistic.

    Attributes:
        discordant: Share of rows that count in only one of the two shares.
        rows: Number of independent rows that would have the observed variance.
    """

    discordant: float = 0.0
    rows: float = 0.0

    @property
    def _is_of_bounded(self) -> bool:
        return False  # Tango's interval widens with the level

    @property
    def value(self) -> float:
        """One minus other; exactly 0 if every row counts in both or in neither."""
        return super().value if self.discordant > 0 else 0.0

    def bounds(self, quantile: float) -> tuple[float, float]:
        """Return Tango's bounds."""
        return tango(self.value, self.discordant, self.rows, quantile)

    @cached_property
    def statistic(self) -> float:
        """The normal quantile of the level at which the interval touches 0."""
        if self.value == 0 or self.value != self.value:
            return 0.0
        return z_of(abs(self.value) * math.sqrt(self.rows / self.discordant), self.freedom)


def beside(p: float, low: float, high: float, level: float = 0.95) -> float:
    """Return ``p`` moved, where rounding put it wrong, to the interval's side of 1 - ``level``."""
    edge = round(1 - level, 12)
    return max(p, edge) if low <= 0 <= high else min(p, math.nextafter(edge, 0))


def paired(
    one: Estimate,
    other: Estimate,
    influences: tuple[NDArray[np.float64], NDArray[np.float64]],
    patient: NDArray[np.intp] | None = None,
) -> Difference:
    """Return the difference of two models' estimates on the same patients.

    Args:
        one: The first model's estimate.
        other: The second model's.
        influences: How much each row moves each estimate, two arrays of shape (n,).
        patient: Patient code of each row, shape (n,).

    Source:
        Newcombe 1998, Statistics in Medicine 17:2635 (method 10) lowers the correlation of two
        shares when there are few rows. His correction is half a row; 0.3 comes closer to 95 %. This
        value and `TOGETHER` were chosen by simulation (docs/audit.md has the coverage).
    """
    a, b = influences
    if patient is not None:
        a, b = (np.bincount(patient, weights=each) for each in influences)
    scale = math.sqrt(float(a @ a) * float(b @ b))
    shared = float(a @ b) / scale if scale > 0 else 0.0
    if isinstance(one, Share) and isinstance(other, Share) and shared > 0:
        size = (one.n + other.n) / 2
        variance = one.value * (1 - one.value) * other.value * (1 - other.value)
        shared = max(shared - CORRECTION / (size * math.sqrt(variance)), 0.0) if variance else 0.0
    return Difference(one, other, shared, paired=True)


def same_rows(
    one: Share,
    other: Share,
    counted: Sequence[NDArray[np.float64]],
    weight: NDArray[np.float64] | None = None,
    patient: NDArray[np.intp] | None = None,
) -> SameRows:
    """Return the difference of two models' shares of the same rows.

    Args:
        one: The first model's share.
        other: The second model's.
        counted: For each model, 1 where a row counts in its share, else 0; two of shape (n,).
        weight: Weight of each row, shape (n,); equal if not given.
        patient: Patient code of each row, shape (n,); if not given, each row is another patient's.

    Source:
        Tango 1998, Statistics in Medicine 17:891; for dependent rows with the effective number
        of rows of Korn and Graubard 1998, Survey Methodology 24:193.
    """
    part = np.ones(len(counted[0])) if weight is None else weight
    part = part / part.sum()
    off = counted[0] - counted[1]
    value = one.value - other.value
    discordant, rows = float(part @ np.abs(off)), 1 / float(part @ part)
    independent = discordant - value**2
    variance, _ = clustered_variance(part * (off - value), patient)
    if independent <= 0 or not variance > 0:
        rows = min(rows, (one.n + other.n) / 2)
    elif weight is not None or patient is not None:
        rows = min(rows, independent / variance)
    return SameRows(one, other, paired=True, discordant=discordant, rows=rows)


class Largest:
    """The distribution of the largest absolute value of several correlated normal deviates.

    Args:
        correlation: Correlation of the deviates, shape (k, k).
        draws: Number of draws of the largest value.
        seed: Seed of the draws; the same statistics always get the same p.

    Attributes:
        kept: Indices of the distinct statistics: with two groups both differences are the same.

    Source:
        The equicoordinate quantile of Hothorn, Bretz and Westfall 2008, Biometrical Journal 50:346.
    """

    def __init__(self, correlation: NDArray[np.float64], draws: int = DRAWS, seed: int = 0) -> None:
        self.kept = _distinct(correlation)
        part = correlation[np.ix_(self.kept, self.kept)]
        values, vectors = np.linalg.eigh(part)
        self._root = vectors * np.sqrt(np.maximum(values, 0.0))
        self._draws, self._seed = draws, seed

    @cached_property
    def deviates(self) -> NDArray[np.float64]:
        """Draws of the distinct statistics, shape (draws, distinct)."""
        return np.concatenate([self._half, -self._half])

    @cached_property
    def _half(self) -> NDArray[np.float64]:
        k = max(len(self.kept), 1)
        draws = min(self._draws, max(2000, MOST_VALUES // k)) // 2
        return np.random.default_rng(self._seed).standard_normal((draws, k)) @ self._root.T

    @cached_property
    def _sorted(self) -> NDArray[np.float64]:
        largest = np.sort(np.abs(self._half).max(axis=1))[::-1]
        return np.repeat(largest, 2)  # `deviates` holds each draw and its negative

    def p(self, z: float) -> float:
        """Return the probability that the largest is ``z`` or more if nothing differs."""
        if len(self.kept) <= 1:
            return min(1.0, 2 * float(normal_cdf(-z)))
        size = len(self._sorted)
        start = self._sorted[int(TAIL * size)]
        if z > start:
            return (1 + TAIL * size) / (1 + size) * float(normal_cdf(-z) / normal_cdf(-start))
        return (1 + int(np.searchsorted(-self._sorted, -z, "right"))) / (1 + size)

    def quantile(self, level: float = 0.95) -> float:
        """Return the z above which `p` is below 1 - ``level``."""
        from scipy import special

        if len(self.kept) <= 1:
            return float(special.ndtri((1 + level) / 2))
        size = len(self._sorted)
        rank = int(np.ceil((1 - level) * (1 + size) - 1e-9)) - 2
        return float(self._sorted[min(max(rank, int(TAIL * size)), size - 1)])


def _distinct(correlation: NDArray[np.float64]) -> list[int]:
    kept: list[int] = []
    for k in range(len(correlation)):
        if all(abs(correlation[k, j]) < 1 - 1e-6 for j in kept):
            kept.append(k)
    return kept


def correlation_of(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation, shape (k, k); 0 beside a statistic that has no variance."""
    size = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    varies = size > 0
    scale = np.where(varies, size, 1.0)
    result = covariance / np.outer(scale, scale)
    result[~varies, :] = 0.0
    result[:, ~varies] = 0.0
    np.fill_diagonal(result, 1.0)
    return np.clip(result, -1.0, 1.0)
