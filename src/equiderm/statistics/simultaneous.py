"""Several differences at once: each studentised by its own interval, all judged together.

A difference's statistic is the normal quantile at which its own interval would just touch 0, so a
small group, whose interval is wide, has a small statistic of its own and touches nobody else's.
Interval and p-value follow from the same statistic: one excludes 0 where the other is below 0.05.
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

DRAWS = 60_000  # of the largest statistic; the 5 % point is then known to 0.01
MOST_VALUES = 6_000_000  # normal deviates held at once
TAIL = 0.002  # below this p the draws are few, and the normal tail's shape is used
MOST = 1e6  # standard errors
EXACT = 1e-12  # to how many of them a statistic is known
FLOOR, CEILING = 1e-9, 1e9  # of a value whose logarithm is taken
CORRECTION = 0.3  # of a row, in the correlation of two models' shares
TOGETHER = 3.0  # times the freedom, of two shares: most of their errors is shared and cancels


@dataclass(frozen=True)
class Difference:
    """One estimate minus another; ``correlation`` is that of their errors.

    ``paired``: both are of the same patients, whose number limits the degrees of freedom.
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
        parts = [(spread(one), one.freedom) for one in (self.one, self.other)]
        below = sum(variance**2 / freedom for variance, freedom in parts)
        return sum(variance for variance, _ in parts) ** 2 / below if below > 0 else math.inf

    def bounds(self, quantile: float) -> tuple[float, float]:
        """Return the bounds so many standard errors away (MOVER).

        Two AUROCs of the same patients count with half the width of their own intervals to either
        side: most of their errors is shared, and so is that by which these are lopsided.
        """
        parts = ((one.value, *one.bounds(quantile)) for one in (self.one, self.other))
        one, other = ((value, min(low, value), max(high, value)) for value, low, high in parts)
        if self._is_of_ranks:
            one, other = (
                (v, v - (high - low) / 2, v + (high - low) / 2) for v, low, high in (one, other)
            )
        return difference(one, other, self.correlation)[1:]

    def interval(self, z: float) -> tuple[float, float]:
        """Return the interval at the level that ``z`` is the normal quantile of."""
        return self.bounds(t_quantile(z, self.freedom))

    def ratio(self, z: float) -> tuple[float, float, float]:
        """Return one over other and its interval at the level of ``z``; NaN if one is not above 0.

        Source:
            MOVER on the logarithm: Zou and Donner 2008, Statistics in Medicine 27:1693.
        """
        if not (self.one.value > 0 and self.other.value > 0):
            return math.nan, math.nan, math.nan
        quantile = t_quantile(z, self.freedom)
        sides = [(one.value, *one.bounds(quantile)) for one in (self.one, self.other)]
        logs = [tuple(math.log(min(max(v, FLOOR), CEILING)) for v in side) for side in sides]
        ends = difference(logs[0], logs[1], self.correlation)  # pyright: ignore[reportArgumentType]
        return tuple(map(math.exp, ends))  # pyright: ignore[reportReturnType]

    @property
    def p(self) -> float:
        """Below 0.05 exactly where the 95 % interval excludes 0."""
        return beside(min(1.0, 2 * float(normal_cdf(-self.statistic))), *self.interval(Z95))

    @cached_property
    def statistic(self) -> float:
        """The normal quantile of the level at which the interval touches 0."""
        from scipy.optimize import brentq

        side = 0 if self.value > 0 else 1
        if self.value == 0 or self.value != self.value:
            return 0.0

        def off(quantile: float) -> float:
            return self.bounds(quantile)[side] * (1 - 2 * side)

        low, high = 0.0, 4.0
        while high < MOST and off(high) > 0:
            low, high = high, high * 2
        if off(low) > 0 >= off(high):
            high = float(brentq(off, low, high, xtol=EXACT))  # pyright: ignore[reportArgumentType]
        return z_of(high, self.freedom)


@dataclass(frozen=True)
class SameRows(Difference):
    """Two models' shares of the same rows: Tango's interval and, with it, McNemar's statistic.

    ``discordant``: the share of rows that count in one of the two only; ``rows``: as many
    independent ones as have the variance seen.
    """

    discordant: float = 0.0
    rows: float = 0.0

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
    """Return ``p`` on the interval's side of 1 - ``level``; rounding may have it on the other."""
    edge = round(1 - level, 12)
    return max(p, edge) if low <= 0 <= high else min(p, math.nextafter(edge, 0))


def paired(
    one: Estimate,
    other: Estimate,
    influences: tuple[NDArray[np.float64], NDArray[np.float64]],
    patient: NDArray[np.intp] | None = None,
) -> Difference:
    """Return the difference of two models' figures of the same patients.

    Args:
        one: The first model's.
        other: The second model's.
        influences: How much each row moves either figure, two of shape (n,).
        patient: The patient of each row.

    Source:
        Newcombe 1998, Statistics in Medicine 17:2635 (method 10): of two shares the correlation is
        lowered for few rows, where rows on which the models differ are rare. His correction takes
        half a row; 0.3 holds 95 % more closely. This, and how many degrees of freedom the
        difference has beyond one model's, rests on simulation (docs/audit.md has the coverage).
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
        counted: 1 where a row counts in either share, else 0; two of shape (n,).
        weight: Of each row; equal where not given.
        patient: The patient of each row; each of another where not given.

    Source:
        Tango 1998, Statistics in Medicine 17:891; for rows that depend, with the effective number
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
    """The distribution of the largest of several correlated standard normal deviates, in size.

    Args:
        correlation: Shape (k, k).
        draws: How many of the largest are drawn.
        seed: Of the draws; the same statistics always get the same p.

    Source:
        The equicoordinate quantile of Hothorn, Bretz and Westfall 2008, Biometrical Journal 50:346.
    """

    def __init__(self, correlation: NDArray[np.float64], draws: int = DRAWS, seed: int = 0) -> None:
        self._kept = _distinct(correlation)
        part = correlation[np.ix_(self._kept, self._kept)]
        values, vectors = np.linalg.eigh(part)
        self._root = vectors * np.sqrt(np.maximum(values, 0.0))
        self._draws, self._seed = draws, seed

    @cached_property
    def deviates(self) -> NDArray[np.float64]:
        """Draws of the distinct statistics, shape (draws, distinct)."""
        return np.concatenate([self._half, -self._half])

    @cached_property
    def _half(self) -> NDArray[np.float64]:
        k = max(len(self._kept), 1)
        draws = min(self._draws, max(2000, MOST_VALUES // k)) // 2
        return np.random.default_rng(self._seed).standard_normal((draws, k)) @ self._root.T

    @cached_property
    def _sorted(self) -> NDArray[np.float64]:
        largest = np.sort(np.abs(self._half).max(axis=1))[::-1]
        return np.repeat(largest, 2)  # the mirror image of a draw is as large

    @property
    def kept(self) -> list[int]:
        """Which statistics are distinct: two groups' differences are the same one twice."""
        return self._kept

    def p(self, z: float) -> float:
        """Return how often the largest is ``z`` or more where nothing differs."""
        if len(self._kept) <= 1:
            return min(1.0, 2 * float(normal_cdf(-z)))
        size = len(self._sorted)
        start = self._sorted[int(TAIL * size)]
        if z > start:
            return (1 + TAIL * size) / (1 + size) * float(normal_cdf(-z) / normal_cdf(-start))
        return (1 + int(np.searchsorted(-self._sorted, -z, "right"))) / (1 + size)

    def quantile(self, level: float = 0.95) -> float:
        """Return the z above which `p` is below 1 - ``level``."""
        from scipy import special

        if len(self._kept) <= 1:
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
    """Return the correlation; a statistic without variance is independent of the others."""
    size = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    some = size > 0
    scale = np.where(some, size, 1.0)
    result = covariance / np.outer(scale, scale)
    result[~some, :] = 0.0
    result[:, ~some] = 0.0
    np.fill_diagonal(result, 1.0)
    return np.clip(result, -1.0, 1.0)
