"""Thresholds for a required sensitivity or specificity, chosen on the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def threshold_at_specificity(
    target: ArrayLike,
    score: ArrayLike,
    level: float,
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Return the lowest observed score that, as threshold, keeps specificity at ``level`` or above.

    Infinity if no score does (no image is then called positive). ``weight``: weights of the rows,
    shape (n,), mean about 1, for a weighted specificity.
    """
    scores = np.asarray(score, dtype=float)
    negative = ~np.asarray(target).astype(bool)
    ordered = np.sort(scores[negative])[::-1]
    allowed = int(np.floor((1 - level) * len(ordered) + 1e-9))
    if weight is not None:
        running = _running(scores[negative], weight[negative])
        allowed = int(np.searchsorted(running, (1 - level) * running[-1] + 1e-9, "right"))
    if allowed >= len(ordered):
        return float(scores.min())
    above = scores[scores > ordered[allowed]]
    return float(above.min()) if len(above) else float("inf")


def threshold_at_sensitivity(
    target: ArrayLike,
    score: ArrayLike,
    level: float,
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Return the highest observed score that, as threshold, keeps sensitivity at ``level``.

    NaN without positives. ``weight``: weights of the rows, shape (n,), mean about 1.
    """
    is_positive = np.asarray(target).astype(bool)
    positive = np.asarray(score, dtype=float)[is_positive]
    if not len(positive):
        return float("nan")
    needed = max(int(np.ceil(level * len(positive) - 1e-9)), 1)
    if weight is not None:
        running = _running(positive, weight[is_positive])
        needed = int(np.searchsorted(running, level * running[-1] - 1e-9, "left")) + 1
        needed = min(needed, len(positive))
    return float(np.sort(positive)[::-1][needed - 1])


def _running(score: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the running sums of the weights by descending score."""
    return np.cumsum(weight[np.argsort(-score, kind="stable")])


def specificity_at_true_sensitivity(
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    negative: NDArray[np.float64],
    level: float,
) -> tuple[float, float]:
    """Return mean and variance of the specificity at a true sensitivity of ``level``.

    A threshold at the k-th highest of m positives has sensitivity k / m on these, but its true
    sensitivity is distributed as Beta(k, m + 1 - k). The threshold with true sensitivity L is thus
    between two consecutive positives with a known probability (below the lowest with L ** m).
    Between them the specificity is taken as uniform.

    Args:
        target: Booleans, shape (n,), for choosing the threshold.
        score: Scores of the same rows, shape (n,).
        negative: Scores of the negatives of the specificity, any number.
        level: The sensitivity L, in (0, 1].

    Source:
        Order statistics of a uniform sample; the gaps are those of Banks 1988, Biometrika 75:673.
    """
    from scipy import special

    positive = np.sort(score[target])[::-1]
    rank = np.arange(1, len(positive) + 1)
    reached = 1 - special.betainc(rank, len(positive) + 1 - rank, level)
    share = np.diff(reached, prepend=0.0, append=1.0)
    at = np.searchsorted(np.sort(negative), positive, "left") / len(negative)
    high, low = np.append(1.0, at), np.append(at, 0.0)
    mean = float(share @ (high + low) / 2)
    return mean, float(share @ (high**2 + high * low + low**2) / 3) - mean**2
