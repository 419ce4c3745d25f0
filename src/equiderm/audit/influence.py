"""How much each row moves a figure: what closed-form variances are made of.

Each function returns shape (n,): the derivative of the figure by the row's weight. They sum to 0.
The figure's variance is about the sum of their squares, with patients that of each patient's sum.

Source:
    Hampel 1974, JASA 69:383; the infinitesimal jackknife of Jaeckel 1972, Bell Laboratories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.statistics.delong import influence as auroc

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["auprc", "auroc", "brier", "calibration_slope", "pauc", "threshold_share"]


def threshold_share(
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    segment: NDArray[np.bool_],
    *,
    threshold: float,
    of_positives: bool,
) -> NDArray[np.float64]:
    """Return the influence on a segment's share at a threshold that is chosen on all rows.

    The threshold holds a share of the other class (specificity, where the figure is a sensitivity);
    a row of that class moves it, and with it the figure, by the slope of the ROC curve there.

    Args:
        target: Shape (n,).
        score: Shape (n,).
        segment: Which rows the figure is of, shape (n,).
        threshold: As chosen.
        of_positives: Whether the figure is a sensitivity.

    Source:
        Woodruff 1952, JASA 47:635; the slope is taken over his interval of the held share.
    """
    called = score >= threshold
    own = segment & (target == of_positives)
    held = target != of_positives
    hit = called == of_positives
    count, others = max(int(own.sum()), 1), max(int(held.sum()), 1)
    right = called != of_positives
    level = float(right[held].mean())
    width = max(2 * np.sqrt(level * (1 - level) / others), 2 / others)
    ordered = np.sort(score[held])
    ends = np.clip([level - width, level + width], 0, 1)
    quantiles = ordered[
        np.clip((_from_below(ends, of_positives) * others).astype(int), 0, others - 1)
    ]
    shares = [((score[own] >= cut) == of_positives).mean() for cut in quantiles]
    slope = abs(shares[0] - shares[1]) / max(ends[1] - ends[0], 1e-12)
    return own * (hit - hit[own].mean()) / count + held * slope * (right - level) / others


def _from_below(level: NDArray[np.float64], of_positives: bool) -> NDArray[np.float64]:
    """Return the share of the held class below the threshold: the specificity, or the misses."""
    return level if of_positives else 1 - level


def brier(target: NDArray[np.bool_], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the influence on the mean squared error."""
    loss = (score - target) ** 2
    return (loss - loss.mean()) / len(loss)


def auprc(target: NDArray[np.bool_], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the influence on average precision."""
    order = np.argsort(-score, kind="stable")
    level = -score[order]
    last = np.searchsorted(level, level, "right") - 1  # of the rows with this score
    found = np.cumsum(target[order])[last].astype(np.float64)
    wrong = last + 1 - found
    precision = found / (found + wrong)
    # A row changes the precision at each score up to its own, by these parts a positive there.
    hits = target[order] / (found + wrong) ** 2
    first = np.searchsorted(level, level, "left")
    m = int(target.sum())

    def below(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])
        return sums[first]

    moved = np.where(target[order], below(hits * wrong), -below(hits * found))
    average = float((target[order] * precision).sum() / m)
    values = (moved + target[order] * (precision - average)) / m
    result = np.empty(len(score))
    result[order] = values
    return result


def pauc(share: float, *, normalised: bool = False) -> Callable[..., NDArray[np.float64]]:
    """Return the influence on the area above a sensitivity, of the positives' lowest ``share``."""
    most = share if normalised else 1.0

    def influence(target: NDArray[np.bool_], score: NDArray[np.float64]) -> NDArray[np.float64]:
        positive, negative = score[target], np.sort(score[~target])
        m, n = len(positive), len(negative)
        beaten = _below(negative, positive) / n
        ordered = np.sort(positive)
        reach = share * m
        edge = ordered[min(int(np.ceil(reach - 1e-9)), m) - 1]
        # Of the positives that tie at the edge only as many count as fill the share; among them
        # and the negatives that tie with them the curve is a straight line.
        under, level = (positive < edge), (positive == edge)
        part = float((reach - under.sum()) / level.sum())
        counts = under + level * part
        below, upto = (np.searchsorted(negative, edge, side) for side in ("left", "right"))
        beaten[level] = (below + (upto - below) * part / 2) / n
        at_edge = float(below + (upto - below) * part) / n
        area = float((counts * beaten).sum() / m)
        result = np.empty(len(score))
        result[target] = (counts * beaten - area + at_edge * (share - counts)) / m
        rank = np.argsort(positive, kind="stable")
        running = np.concatenate([[0.0], np.cumsum(counts[rank])])
        low, high = (
            running[np.searchsorted(positive[rank], score[~target], side)]
            for side in ("left", "right")
        )
        tied = np.where(score[~target] == edge, part / 2, 0.5)
        above = running[-1] - high + (high - low) * tied
        result[~target] = (above / m - area) / n
        return result / most

    return influence


def _below(ordered: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return sum(sides, np.zeros(len(values))) / 2


def calibration_slope(
    fit: Callable[..., tuple[float, float]], logit: Callable[..., NDArray[np.float64]]
) -> Callable[..., NDArray[np.float64]]:
    """Return the influence on the slope of a logistic regression on the score's logit."""

    def influence(target: NDArray[np.bool_], score: NDArray[np.float64]) -> NDArray[np.float64]:
        intercept, slope = fit(target, score)
        x = logit(score)
        expected: Any = 1 / (1 + np.exp(-np.clip(intercept + slope * x, -500, 500)))
        weight = expected * (1 - expected)
        centre = float((weight * x).sum() / weight.sum())
        information = float((weight * (x - centre) ** 2).sum())
        return (target - expected) * (x - centre) / information

    return influence
