"""Thresholds for a wished sensitivity or specificity, chosen on the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def threshold_at_specificity(target: ArrayLike, score: ArrayLike, level: float) -> float:
    """Return the lowest observed score that, as threshold, keeps specificity at ``level`` or above.

    Infinity where none does (nobody is then called positive).
    """
    scores = np.asarray(score, dtype=float)
    ordered = np.sort(scores[~np.asarray(target).astype(bool)])[::-1]
    allowed = int(np.floor((1 - level) * len(ordered) + 1e-9))
    if allowed >= len(ordered):
        return float(scores.min())
    above = scores[scores > ordered[allowed]]
    return float(above.min()) if len(above) else float("inf")


def threshold_at_sensitivity(target: ArrayLike, score: ArrayLike, level: float) -> float:
    """Return the highest observed score whose use as threshold keeps sensitivity at ``level``.

    NaN without positives.
    """
    positive = np.asarray(score, dtype=float)[np.asarray(target).astype(bool)]
    if not len(positive):
        return float("nan")
    needed = max(int(np.ceil(level * len(positive) - 1e-9)), 1)
    return float(np.sort(positive)[::-1][needed - 1])


def specificity_at_expected_sensitivity(
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    negative: NDArray[np.float64],
    level: float,
) -> float:
    """Return the specificity where the positives of another sample are found with ``level``.

    The k-th highest of m positives finds k / m of these, but k / (m + 1) of all positives on
    average, so `threshold_at_sensitivity` stands too high by up to one of the m. Between two
    positives the specificity is interpolated.

    Args:
        target: Shape (n,); with ``score``, what the threshold is chosen on.
        score: Shape (n,).
        negative: The scores that count, those of negatives.
        level: The sensitivity, in (0, 1].
    """
    found = np.sort(score[target])[::-1]
    rank = min((len(found) + 1) * level, float(len(found))) - 1
    first = max(int(rank), 0)
    ends = [float((negative < found[k]).mean()) for k in (first, min(first + 1, len(found) - 1))]
    return ends[0] + max(rank - first, 0.0) * (ends[1] - ends[0])
