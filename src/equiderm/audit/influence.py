"""Influence of each row on a figure, from which closed-form variances are computed.

Each function returns shape (n,): the derivative of the figure with respect to the row's weight,
times that weight if rows are weighted. The values sum to 0. The variance of the figure is about the
sum of their squares; with patients, of the squared sums per patient.

Source:
    Hampel 1974, JASA 69:383; the infinitesimal jackknife of Jaeckel 1972, Bell Laboratories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.statistics.delong import influence as auroc
from equiderm.statistics.delong import kish_n

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["auprc", "auroc", "brier", "calibration_slope", "pauc", "threshold_share"]


def threshold_share(
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    segment: NDArray[np.bool_],
    weight: NDArray[np.float64] | None = None,
    *,
    threshold: float,
    of_positives: bool,
) -> NDArray[np.float64]:
    """Return the influence on a segment's share at a threshold that is chosen on all rows.

    The threshold fixes a share of the other class (the specificity, if the figure is a
    sensitivity). A row of that class moves the threshold, and thereby the figure, by the slope of
    the ROC curve there.

    Args:
        target: Booleans, shape (n,).
        score: Scores, shape (n,).
        segment: Which rows are in the segment, shape (n,).
        weight: Sampling weights, shape (n,); 1 each if not given.
        threshold: The chosen threshold.
        of_positives: Whether the figure is a sensitivity.

    Source:
        Woodruff 1952, JASA 47:635; the slope is taken over his interval of the fixed share.
    """
    weight = np.ones(len(score)) if weight is None else weight
    called = score >= threshold
    own, hit = segment & (target == of_positives), called == of_positives
    held, right = target != of_positives, called != of_positives
    count, others = weight[own].sum(), weight[held].sum()
    level = float(weight[held & right].sum() / others)
    size = kish_n(weight[held])
    width = max(2 * np.sqrt(level * (1 - level) / size), 2 / size)
    order = np.argsort(score[held], kind="stable")
    running = np.cumsum(weight[held][order])
    ends = np.clip([level - width, level + width], 0, 1)
    below = ends if of_positives else 1 - ends  # share of the fixed class below the threshold
    place = np.searchsorted(running, below * others, "right")
    quantiles = score[held][order][np.clip(place, 0, len(order) - 1)]
    shares = [weight[own & ((score >= cut) == of_positives)].sum() / count for cut in quantiles]
    slope = abs(shares[0] - shares[1]) / max(ends[1] - ends[0], 1e-12)
    mean = weight[own & hit].sum() / count
    return weight * (own * (hit - mean) / count + held * slope * (right - level) / others)


def brier(
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    weight: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the influence on the mean squared error."""
    loss = (score - target) ** 2
    if weight is not None:
        return weight * (loss - np.average(loss, weights=weight)) / weight.sum()
    return (loss - loss.mean()) / len(loss)


def auprc(
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    weight: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the influence on average precision."""
    order = np.argsort(-score, kind="stable")
    level = -score[order]
    last = np.searchsorted(level, level, "right") - 1  # the last row with this score
    counts = np.ones(len(score)) if weight is None else weight[order]
    tp = np.cumsum(target[order] * counts)[last]
    fp = np.cumsum(~target[order] * counts)[last]
    precision = tp / (tp + fp)
    # A row changes the precision at each score up to its own, by these amounts per positive there.
    hits = target[order] * counts / (tp + fp) ** 2
    first = np.searchsorted(level, level, "left")
    m = float((target[order] * counts).sum())

    def below(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])
        return sums[first]

    moved = np.where(target[order], below(hits * fp), -below(hits * tp))
    average = float((target[order] * counts * precision).sum() / m)
    values = counts * (moved + target[order] * (precision - average)) / m
    result = np.empty(len(score))
    result[order] = values
    return result


def pauc(share: float, *, normalised: bool = False) -> Callable[..., NDArray[np.float64]]:
    """Return the influence on the area under the ROC curve of the lowest ``share`` of positives."""
    most = share if normalised else 1.0

    def influence(
        target: NDArray[np.bool_],
        score: NDArray[np.float64],
        weight: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        if weight is not None:
            return _weighted_pauc(target, score, weight, share) / most
        positive, negative = score[target], np.sort(score[~target])
        m, n = len(positive), len(negative)
        beaten = _below(negative, positive) / n
        ordered = np.sort(positive)
        reach = share * m
        edge = ordered[min(int(np.ceil(reach - 1e-9)), m) - 1]
        # Of the positives tied at the edge only as many count as fill the share; between them and
        # the negatives tied with them the curve is a straight line.
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


def _weighted_pauc(
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    weight: NDArray[np.float64],
    share: float,
) -> NDArray[np.float64]:
    """Return the influence of `pauc` for weighted rows."""
    positive, negative, up, down = (
        *(score[target], score[~target]),
        *(weight[target], weight[~target]),
    )
    m, n = up.sum(), down.sum()
    order, rank = np.argsort(negative, kind="stable"), np.argsort(positive, kind="stable")
    ordered, levels = negative[order], positive[rank]
    below_sum = np.concatenate([[0.0], np.cumsum(down[order])]) / n

    def beaten(values: NDArray[np.float64], side: Any) -> NDArray[np.float64]:
        return below_sum[np.searchsorted(ordered, values, side)]

    reach = share * m
    held = np.cumsum(up[rank])
    edge = levels[min(int(np.searchsorted(held, reach - 1e-9)), len(levels) - 1)]
    under, level = positive < edge, positive == edge
    part = float((reach - up[under].sum()) / up[level].sum())
    counts = under + level * part
    lower, upper = (float(beaten(np.array([edge]), side)[0]) for side in ("left", "right"))
    passed = (beaten(positive, "left") + beaten(positive, "right")) / 2
    passed[level] = lower + (upper - lower) * part / 2
    at_edge = lower + (upper - lower) * part
    area = float((up * counts * passed).sum() / m)
    result = np.empty(len(score))
    result[target] = up * (counts * passed - area + at_edge * (share - counts)) / m
    running = np.concatenate([[0.0], np.cumsum((up * counts)[rank])])
    low, high = (running[np.searchsorted(levels, negative, side)] for side in ("left", "right"))
    tied = np.where(negative == edge, part / 2, 0.5)
    above = running[-1] - high + (high - low) * tied
    result[~target] = down * (above / m - area) / n
    return result


def _below(ordered: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return sum(sides, np.zeros(len(values))) / 2


def calibration_slope(
    fit: Callable[..., tuple[float, float]], logit: Callable[..., NDArray[np.float64]]
) -> Callable[..., NDArray[np.float64]]:
    """Return the influence on the slope of a logistic regression on the score's logit."""

    def influence(
        target: NDArray[np.bool_],
        score: NDArray[np.float64],
        weight: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        intercept, slope = fit(target, score, weight)
        x, counts = logit(score), 1.0 if weight is None else weight
        expected: Any = 1 / (1 + np.exp(-np.clip(intercept + slope * x, -500, 500)))
        spread = counts * expected * (1 - expected)
        centre = float((spread * x).sum() / spread.sum())
        information = float((spread * (x - centre) ** 2).sum())
        return counts * (target - expected) * (x - centre) / information

    return influence
