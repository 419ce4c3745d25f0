"""Intervals and multiplicity: Wilson, logit, bootstrap percentile and BCa, differences, Holm."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


ALPHA = 0.05  # level of every test: a 95 % interval excludes 0 exactly if its p is below
Z95 = 1.959963984540054
EDGE = 1e-13  # tolerance of the ends of a score interval
IMPLIED_CASES = 2  # weight of the implied variance in `steadied`, in rows


def wilson(share: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion of ``n`` draws (any number above 0).

    Source:
        Wilson 1927, JASA 22:209. With an effective n: Korn and Graubard 1998, Survey Methodology
        24:193.
    """
    if not n > 0 or share != share:
        return float("nan"), float("nan")
    if z > 1e100:
        return 0.0, 1.0
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def effective_n(share: float, variance: float, n: float, clusters: float) -> float:
    """Return how many independent draws would give a proportion this variance, at most ``n``.

    A share of exactly 0 or 1 shows no variance; then the number of patients counts.
    """
    if not 0 < share < 1:
        return clusters
    return min(n, share * (1 - share) / variance) if variance > 0 else n


def steadied(variance: float, auroc: float, m: float, n: float) -> float:
    """Return the weighted mean of DeLong's variance and the one that the AUROC implies.

    With few rows of a class, DeLong's variance is itself uncertain and often too small. It is
    weighted by the smaller class and the other by `IMPLIED_CASES`, chosen by simulation
    (docs/audit.md has the coverage).
    """
    fewer = min(m, n)
    implied = implied_variance(auroc, m, n)
    return (fewer * variance + IMPLIED_CASES * implied) / (fewer + IMPLIED_CASES)


def logit_interval(value: float, variance: float, quantile: float) -> tuple[float, float]:
    """Return the interval of a value in (0, 1) that is symmetric on the logit scale."""
    centre = math.log(value / (1 - value))
    half = quantile * math.sqrt(variance) / (value * (1 - value))
    return _expit(centre - half), _expit(centre + half)


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def implied_variance(auroc: float, m: float, n: float) -> float:
    """Return the variance of an AUROC that its value implies, from m positives and n negatives.

    Source:
        Newcombe 2006, Statistics in Medicine 25:559, after Hanley and McNeil 1982.
    """
    middle = (m + n) / 2 - 1
    spread = 1 + middle * (1 - auroc) / (2 - auroc) + middle * auroc / (1 + auroc)
    return auroc * (1 - auroc) * spread / (m * n)


def newcombe_auroc(auroc: float, m: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Return Newcombe's score-type interval of an AUROC from ``m`` positives, ``n`` negatives."""
    return _newcombe_low(auroc, m, n, z), 1 - _newcombe_low(1 - auroc, m, n, z)


def _newcombe_low(auroc: float, m: float, n: float, z: float) -> float:
    from scipy.optimize import brentq

    if auroc <= 0 or z < 1e-3:
        return max(auroc, 0.0)

    def off(true: float) -> float:
        return (auroc - true) ** 2 - z**2 * implied_variance(true, m, n)

    root: Any = brentq(off, 0.0, min(auroc, 1 - 1e-9))
    return float(root)


def t_quantile(z: float, freedom: float) -> float:
    """Return Student's quantile of the level whose normal quantile is ``z``.

    Computed in the lower tail, because the upper one rounds to 1.
    """
    from scipy import special

    if freedom == math.inf:
        return z
    return -float(special.stdtrit(max(freedom, 1.0), special.ndtr(-z)))


def z_of(quantile: float, freedom: float) -> float:
    """Return the normal quantile of the level whose Student quantile is given (`t_quantile`)."""
    from scipy import special

    if freedom == math.inf:
        return quantile
    return -float(special.ndtri(special.stdtr(max(freedom, 1.0), -quantile)))


def percentile(replicates: NDArray[np.float64], z: float = Z95) -> tuple[float, float]:
    """Return the bootstrap percentile interval; replicates that are not finite are left out."""
    return _quantiles(replicates, normal_cdf(-z), normal_cdf(z))


def expanded(z: float, n: int) -> float:
    """Return the normal quantile widened for the bootstrap of ``n`` independent rows.

    Resampled rows vary about their own mean, so bootstrap intervals are too narrow by
    sqrt((n - 1) / n), and by the difference of normal and t quantiles.

    Source:
        Hesterberg 2015, The American Statistician 69:371 (the expanded percentile interval).
    """
    from scipy import special

    if n < 2:
        return z
    return float(np.sqrt(n / (n - 1)) * special.stdtrit(n - 1, normal_cdf(z)))


def bca(
    value: float, replicates: NDArray[np.float64], jackknife: NDArray[np.float64], z: float = Z95
) -> tuple[float, float]:
    """Return the bias-corrected and accelerated bootstrap interval.

    Args:
        value: The estimate from the data.
        replicates: Bootstrap replicates of it, shape (r,).
        jackknife: The estimate without each block of patients, shape (blocks,).
        z: Normal quantile of the level.

    Source:
        Efron 1987, JASA 82:171.
    """
    from scipy import special

    drawn = replicates[np.isfinite(replicates)]
    if len(drawn) < 2 or value != value:
        return float("nan"), float("nan")
    below = ((drawn < value).sum() + (drawn == value).sum() / 2) / len(drawn)
    if not 0 < below < 1:
        return percentile(drawn, z)
    shift = float(special.ndtri(below))
    pull = jackknife[np.isfinite(jackknife)]
    pull = pull.mean() - pull if len(pull) else np.zeros(1)
    size = (pull**2).sum() ** 1.5
    acceleration = (pull**3).sum() / (6 * size) if size > 0 else 0.0

    def adjusted(quantile: float) -> float:
        total = shift + quantile
        return normal_cdf(shift + total / (1 - acceleration * total))

    return _quantiles(drawn, adjusted(-z), adjusted(z))


def _quantiles(replicates: NDArray[np.float64], low: float, high: float) -> tuple[float, float]:
    drawn = replicates[np.isfinite(replicates)]
    if len(drawn) < 2:
        return float("nan"), float("nan")
    ends = np.quantile(drawn, [low, high])
    return float(ends[0]), float(ends[1])


def normal_cdf(z: Any) -> Any:
    """Return the share of the standard normal distribution below ``z``."""
    from scipy import special

    return special.ndtr(z)


def normal_quantile(share: float) -> float:
    """Return the quantile below which ``share`` of the standard normal distribution lies."""
    from scipy import special

    return float(special.ndtri(share))


def difference(
    one: tuple[float, float, float], other: tuple[float, float, float], correlation: float = 0.0
) -> tuple[float, float, float]:
    """Return ``one`` minus ``other`` with the interval that their own intervals imply (MOVER).

    Args:
        one: (value, low, high).
        other: (value, low, high).
        correlation: Correlation of their errors, 0 if they are of different patients.

    Source:
        Newcombe 1998, Statistics in Medicine 17:873; Zou and Donner 2008, ibid. 27:1693.
    """
    value = one[0] - other[0]

    def distance(a: float, b: float) -> float:
        return math.sqrt(max(a * a + b * b - 2 * correlation * a * b, 0.0))

    low = value - distance(one[0] - one[1], other[2] - other[0])
    high = value + distance(one[2] - one[0], other[0] - other[1])
    return value, low, high


def tango(off: float, discordant: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Return Tango's score interval of the difference of two shares of the same rows.

    Args:
        off: One share minus the other.
        discordant: Share of rows that count in only one of the two shares.
        n: Rows, or the number of independent rows that would have the observed variance.
        z: Normal quantile of the level.

    Source:
        Tango 1998, Statistics in Medicine 17:891.
    """
    from scipy.optimize import brentq

    def beyond(true: float) -> float:
        # Maximum likelihood share of rows that count in the second only, if `true` holds.
        second = 2 * true - discordant - off * true
        third = -(discordant - off) / 2 * true * (1 - true)
        likely = (math.sqrt(max(second * second - 8 * third, 0.0)) - second) / 4
        spread = max(2 * likely + true * (1 - true), 0.0)
        return n * (off - true) ** 2 - z * z * spread

    if z <= 0:
        return off, off
    ends: list[float] = []
    for limit in (-1.0, 1.0):
        beside = off + (limit - off) * EDGE  # without discordant rows the statistic is 0/0 at off
        end: Any = limit if beyond(limit) <= 0 else beside
        if beyond(limit) > 0 >= beyond(beside):
            end = brentq(beyond, beside, limit, xtol=EDGE)
        ends.append(float(end))
    return ends[0], ends[1]


@functools.cache
def simultaneous_z(groups: int, level: float = 0.95) -> float:
    """Return the normal quantile that covers all pairwise differences of ``groups`` at once.

    Source:
        Tukey's studentized range, infinite degrees of freedom; 1.96 for two groups at 95 %.
    """
    from scipy import special

    smallest = np.linspace(-9.0, 9.0, 4001)  # lowest group; all others within the range above it
    density = np.exp(-(smallest**2) / 2) / np.sqrt(2 * np.pi)
    below = special.ndtr(smallest)
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        within = (special.ndtr(smallest + middle) - below) ** (groups - 1)
        reached = groups * np.trapezoid(density * within, smallest) >= level
        low, high = (low, middle) if reached else (middle, high)
    return float(high / np.sqrt(2))


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return p-values with Holm's adjustment for multiple comparisons; NaN stays NaN.

    Source:
        Holm 1979, Scandinavian Journal of Statistics 6:65.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=float)
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known])]
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def holm_levels(p: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return p after Holm's adjustment, and the alpha of each comparison's adjusted interval.

    An interval at its alpha excludes 0 exactly if the adjusted p is below `ALPHA`. A rejected
    comparison has the alpha of its own step, all others that of the first step not rejected.
    """
    values = np.asarray(p, dtype=float)
    adjusted = holm(values)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    established = int((adjusted[known] < ALPHA).sum())
    alphas = np.full(len(values), np.nan)
    left = len(known) - np.minimum(np.arange(len(known)), established)
    alphas[order] = ALPHA / np.maximum(left, 1)
    alphas[~np.isfinite(values)] = ALPHA
    return adjusted, alphas
