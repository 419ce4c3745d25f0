"""Intervals and multiplicity: Wilson, logit, bootstrap percentile and BCa, differences, Holm."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from equiderm.statistics.delong import DeLong

Z95 = 1.959963984540054
IMPLIED_CASES = 2


def wilson(share: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion from ``n`` (effective, not whole) draws.

    Source:
        Wilson 1927, JASA 22:209. With an effective n: Korn and Graubard 1998, Survey Methodology
        24:193.
    """
    if not n > 0 or share != share:
        return float("nan"), float("nan")
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def effective_n(share: float, variance: float, n: float, clusters: float) -> float:
    """Return how many independent draws would give a proportion this variance, at most ``n``.

    A share of exactly 0 or 1 shows no variance; then the number of patients counts.
    """
    if not 0 < share < 1:
        return clusters
    return min(n, share * (1 - share) / variance) if variance > 0 else n


def auroc_interval(result: DeLong, m: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Return DeLong's interval of one AUROC on the logit scale, with t instead of z quantiles.

    ``m`` positives and ``n`` negatives (patients, where rows of one depend on each other). With few
    of either DeLong's variance is itself unsure and often too small, so it is averaged with the
    variance that the AUROC alone implies, which counts as two cases. Where every positive outranks
    every negative (or the reverse) the interval is Newcombe's, which stays wide.

    Source:
        Qin and Hotilovac 2008, Statistical Methods in Medical Research 17:207 (logit scale);
        Newcombe 2006, Statistics in Medicine 25:559 (method 5, and the implied variance). The
        weight of two was chosen by simulation (docs/audit.md has the coverage).
    """
    from scipy import special

    auroc, variance = float(result.auroc[0]), float(result.covariance[0, 0])
    if auroc != auroc or variance != variance:
        return float("nan"), float("nan")
    if variance <= 0 or not 0 < auroc < 1:
        return newcombe_auroc(auroc, m, n, z)
    fewer = min(m, n)
    implied = _implied_variance(auroc, m, n)
    variance = (fewer * variance + IMPLIED_CASES * implied) / (fewer + IMPLIED_CASES)
    quantile = float(special.stdtrit(max(float(result.freedom[0]), 1.0), normal_cdf(z)))
    centre = np.log(auroc / (1 - auroc))
    half = quantile * np.sqrt(variance) / (auroc * (1 - auroc))
    low, high = 1 / (1 + np.exp(-(centre - half))), 1 / (1 + np.exp(-(centre + half)))
    return float(low), float(high)


def _implied_variance(auroc: float, m: int, n: int) -> float:
    middle = (m + n) / 2 - 1
    spread = 1 + middle * (1 - auroc) / (2 - auroc) + middle * auroc / (1 + auroc)
    return auroc * (1 - auroc) * spread / (m * n)


def newcombe_auroc(auroc: float, m: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Return Newcombe's score-type interval of an AUROC from ``m`` positives, ``n`` negatives."""
    return _newcombe_low(auroc, m, n, z), 1 - _newcombe_low(1 - auroc, m, n, z)


def _newcombe_low(auroc: float, m: int, n: int, z: float) -> float:
    from scipy.optimize import brentq

    if auroc <= 0:
        return 0.0

    def off(true: float) -> float:
        return (auroc - true) ** 2 - z**2 * _implied_variance(true, m, n)

    root: Any = brentq(off, 0.0, min(auroc, 1 - 1e-9))
    return float(root)


def percentile(replicates: NDArray[np.float64], z: float = Z95) -> tuple[float, float]:
    """Return the bootstrap percentile interval; replicates without the figure are left out."""
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
        value: The figure from the data.
        replicates: Bootstrap figures, shape (r,).
        jackknife: The figure without each of the blocks of patients, shape (blocks,).
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


def difference(
    one: tuple[float, float, float], other: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Return one minus other with the interval that their own intervals imply (MOVER).

    Each argument is (value, low, high) of figures from different rows.

    Source:
        Newcombe 1998, Statistics in Medicine 17:873; Zou and Donner 2008, ibid. 27:1693.
    """
    value = one[0] - other[0]
    low = value - np.hypot(one[0] - one[1], other[2] - other[0])
    high = value + np.hypot(one[2] - one[0], other[0] - other[1])
    return float(value), float(low), float(high)


@functools.cache
def simultaneous_z(groups: int, level: float = 0.95) -> float:
    """Return the normal quantile that covers all pairwise differences of ``groups`` at once.

    Source:
        Tukey's studentized range, infinite degrees of freedom; 1.96 for two groups at 95 %.
    """
    from scipy import special

    smallest = np.linspace(-9.0, 9.0, 4001)  # of the groups; the others lie within q above it
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
    """Return p-values adjusted for making all of these comparisons; NaN stays NaN.

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
