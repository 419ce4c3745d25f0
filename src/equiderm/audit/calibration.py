"""Calibration: its figures, their terms for resampling, and the interval of the error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from equiderm.statistics.intervals import Z95, normal_cdf

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

CALIBRATION_BINS = 10
ROWS_PER_BIN = 10
ROUNDING = 1e-9  # tolerance of a running sum of weights, as a share of the total
LOGIT_CLIP = 1e-6  # a score of exactly 0 or 1 has no logit; it is read as 1e-6 or 1 - 1e-6
LEAST = 0.25  # lowest variance of a bin, in squared cases: also a share of 0 or 1 is uncertain


def calibration_edges(
    score: NDArray[Any], weight: NDArray[np.float64] | None = None
) -> NDArray[Any]:
    """Return the lower edges of bins that have about equally many scores, descending.

    Ten bins, or fewer if a bin would have under 10 rows; equal scores share a bin. With sampling
    weights, shape (n,), the bins have about equal weight.
    """
    bins = max(1, min(CALIBRATION_BINS, len(score) // ROWS_PER_BIN))
    if weight is not None:
        order = np.argsort(score, kind="stable")
        running = np.cumsum(weight[order])
        starts = (np.arange(1, bins) / bins + ROUNDING) * running[-1]
        edges = score[order][np.searchsorted(running, starts, "right")]
        return np.concatenate([np.unique(edges)[::-1], [-np.inf]])
    starts = np.arange(1, bins) * len(score) // bins
    ordered = np.partition(score, starts) if bins > 1 else score
    return np.concatenate([np.unique(ordered[starts])[::-1], [-np.inf]])


def calibration_error(target: ArrayLike, score: ArrayLike) -> float:
    """Return the expected calibration error over bins of equally many rows, in [0, 1].

    The distance between observed share and mean score in a bin of `calibration_edges`, averaged
    over rows. It is biased upwards if rows are few.

    Source:
        Nixon et al. 2019, arXiv:1904.01685 (adaptive bins).
    """
    scores = np.asarray(score, dtype=float)
    if not len(scores):
        return float("nan")
    bin_of = np.searchsorted(-calibration_edges(scores), -scores, "left")
    residual = np.bincount(bin_of, weights=np.asarray(target, dtype=float) - scores)
    return float(np.abs(residual).sum() / len(scores))


def logit(score: ArrayLike) -> NDArray[np.float64]:
    """Return the log-odds of scores, which are clipped to [1e-6, 1 - 1e-6] first."""
    clipped = np.clip(np.asarray(score, dtype=float), LOGIT_CLIP, 1 - LOGIT_CLIP)
    return np.log(clipped / (1 - clipped))


def calibration_fit(
    target: ArrayLike, score: ArrayLike, weight: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """Return intercept and slope of the logistic regression of the target on the score's logit.

    NaN if no finite fit exists: one class, constant scores, or classes that a threshold separates.
    ``weight``: weights of the rows, shape (n,); any scale.

    Source:
        Cox 1958, Biometrika 45:562.
    """
    missing = (float("nan"), float("nan"))
    y, x = np.asarray(target, dtype=float), logit(score)
    if not 0 < y.sum() < len(y) or np.ptp(x) == 0:
        return missing
    centre, scale = x.mean(), x.std()
    design = np.stack([np.ones_like(x), (x - centre) / scale])
    w = np.ones_like(x) if weight is None else weight / weight.mean()
    share = y.mean() if weight is None else np.average(y, weights=w)
    fit = np.array([np.log(share / (1 - share)), 0.0])
    for _ in range(50):
        expected = 1 / (1 + np.exp(-np.clip(fit @ design, -500, 500)))
        information = (design * (w * expected * (1 - expected))) @ design.T
        if np.linalg.cond(information) > 1e12:
            return missing
        step = np.linalg.solve(information, design @ (w * (y - expected)))
        fit += step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-300))
        if np.abs(fit).max() > 200:
            return missing
        if np.abs(step).max() < 1e-10:
            slope = float(fit[1] / scale)
            return float(fit[0] - slope * centre), slope
    return missing


def calibration_slope(target: ArrayLike, score: ArrayLike) -> float:
    """Return the calibration slope: 1 is ideal, below 1 the scores are too extreme."""
    return calibration_fit(target, score)[1]


def loss_terms(
    target: NDArray[np.bool_], score: NDArray[np.float64], fit: tuple[float, float]
) -> NDArray[np.float64]:
    """Return residual, squared error and the Newton terms of the slope, shape (n, 2 or 7).

    They are around the intercept and slope of `calibration_fit`; without a fit there are two.
    """
    residual = target - score
    values = [residual, residual**2]
    intercept, slope = fit
    if np.isfinite(slope):
        x = logit(score)
        expected = 1 / (1 + np.exp(-np.clip(intercept + slope * x, -500, 500)))
        h = expected * (1 - expected)
        off = target - expected
        values += [off, off * x, h, h * x, h * x * x]
    return np.stack(values, axis=1)


class _Length(NamedTuple):
    """Mean, standard deviation and skewness of a sum of distances |N(centre, variance)|."""

    mean: float
    deviation: float
    skewness: float

    def quantile(self, z: float) -> float:
        """Return the quantile at normal quantile ``z``, by Cornish and Fisher's first term."""
        return self.mean + self.deviation * (z + self.skewness * (z**2 - 1) / 6)


def calibration_interval(
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    patient: NDArray[np.intp] | None = None,
    z: float = Z95,
    weight: NDArray[np.float64] | None = None,
) -> tuple[float, float]:
    """Return the interval of `calibration_error`.

    A bin's residual sum is normal about its true value. The error is the sum of their absolute
    values, so noise increases it, most where the true error is small. The true residuals are taken
    as the observed ones times a common factor. The ends are the factors at which an error as large
    (or as small) as the observed one has probability 0.025 (at ``z`` 1.96). The lower end is thus 0
    if chance alone could explain the error. The upper end is at least the observed error minus its
    mean excess plus ``z`` standard errors.

    Args:
        target: Whether each row is positive, shape (n,).
        score: Scores in [0, 1], shape (n,).
        patient: Patient code of each row, shape (n,); None if rows are independent.
        z: Normal quantile of the level.
        weight: Sampling weights of the rows, above 0, shape (n,); any scale.

    Returns:
        Low and high, in [0, 1]; NaN without rows.

    Source:
        Inversion of the sum's distribution (folded normals: Leone, Nelson and Nottingham 1961,
        Technometrics 3:543), its quantiles after Cornish and Fisher 1938. Chosen by simulation
        over bootstrap intervals, whose coverage is too low (docs/audit.md has the coverage).
    """
    if not len(score):
        return float("nan"), float("nan")
    # In units of a row of equal weight, so that `LEAST` is in squared cases.
    counts = np.ones(len(score)) if weight is None else weight * (weight.sum() / (weight @ weight))
    edges = calibration_edges(score, None if weight is None else counts)
    off, variance = _bins(target, score, patient, counts, edges)
    seen = float(np.abs(off).sum())
    low = _factor(off, variance, seen, z)
    high = _factor(off, variance, seen, -z)
    excess = _length(off, variance).mean - seen
    plain = seen - excess + z * float(np.sqrt(variance.sum()))
    whole = float(counts.sum())
    return low * seen / whole, min(1.0, max(high * seen, plain) / whole)


def _bins(
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    patient: NDArray[np.intp] | None,
    counts: NDArray[np.float64],
    edges: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each bin's sum of residuals and the variance of that sum."""
    bin_of = np.searchsorted(-edges, -score, "left")
    rows, squares = (np.bincount(bin_of, weights=values) for values in (counts, counts**2))
    off = np.bincount(bin_of, weights=counts * (target - score)).astype(np.float64)
    expected = np.bincount(bin_of, weights=counts * score) / rows
    share = (np.bincount(bin_of, weights=counts * target) + expected) / (rows + 1)
    variance = np.maximum(squares * share * (1 - share), LEAST)
    around = counts * (target - score - (off / rows)[bin_of])
    together = 0.0  # variance of the sum over bins, in which a patient may have several rows
    if patient is not None:
        _, cell = np.unique(patient * len(edges) + bin_of, return_inverse=True)
        whole = np.bincount(patient, weights=around * np.sign(off)[bin_of])
        together = float((whole**2).sum())
        around = np.bincount(cell, weights=around)
    seen = max(together, float((around**2).sum()))
    return off, variance * max(1.0, seen / float(variance.sum()))


def _length(centre: NDArray[np.float64], variance: NDArray[np.float64]) -> _Length:
    deviation = np.sqrt(variance)
    density = 2 * deviation * np.exp(-(centre**2) / (2 * variance)) / np.sqrt(2 * np.pi)
    signed = centre * (2 * normal_cdf(centre / deviation) - 1)
    first = density + signed
    second = centre**2 + variance
    third = (centre**2 + 3 * variance) * signed + (centre**2 + 2 * variance) * density
    spread = float((second - first**2).sum())
    skew = float((third - 3 * first * second + 2 * first**3).sum())
    return _Length(float(first.sum()), spread**0.5, skew / spread**1.5)


def _factor(
    off: NDArray[np.float64], variance: NDArray[np.float64], seen: float, z: float
) -> float:
    """Return the factor of the residuals at which ``seen`` is the quantile at ``z``."""
    low, high = 0.0, 1.0
    while _length(high * off, variance).quantile(z) < seen and high < 1e3:
        high *= 2
    for _ in range(40):
        middle = (low + high) / 2
        reached = _length(middle * off, variance).quantile(z) < seen
        low, high = (middle, high) if reached else (low, middle)
    return low
