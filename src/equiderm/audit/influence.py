"""How much each row moves a figure: what closed-form variances are made of.

Each function returns shape (n,): the derivative of the figure by the row's weight, times that
weight where rows have one. They sum to 0.
The figure's variance is about the sum of their squares, with patients that of each patient's sum.

Source:
    Hampel 1974, JASA 69:383; the infinitesimal jackknife of Jaeckel 1972, Bell Laboratories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.statistics.delong import influence as auroc
from equiderm.statistics.delong import people

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

    The threshold holds a share of the other class (specificity, where the figure is a sensitivity);
    a row of that class moves it, and with it the figure, by the slope of the ROC curve there.

    Args:
        target: Shape (n,).
        score: Shape (n,).
        segment: Which rows the figure is of, shape (n,).
        weight: Of the rows, where they are weighted, shape (n,).
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
    if weight is not None:
        return _weighted_share(weight, (own, hit), (held, right), score, of_positives=of_positives)
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


def _weighted_share(
    weight: NDArray[np.float64],
    figure: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    holds: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    score: NDArray[np.float64],
    *,
    of_positives: bool,
) -> NDArray[np.float64]:
    """Return `threshold_share` of weighted rows, from who counts and who is right."""
    (own, hit), (held, right) = figure, holds
    count, others = weight[own].sum(), weight[held].sum()
    level = float(weight[held & right].sum() / others)
    size = people(weight[held])
    width = max(2 * np.sqrt(level * (1 - level) / size), 2 / size)
    order = np.argsort(score[held], kind="stable")
    running = np.cumsum(weight[held][order])
    ends = np.clip([level - width, level + width], 0, 1)
    place = np.searchsorted(running, _from_below(ends, of_positives) * others, "right")
    quantiles = score[held][order][np.clip(place, 0, len(order) - 1)]
    shares = [weight[own & ((score >= cut) == of_positives)].sum() / count for cut in quantiles]
    slope = abs(shares[0] - shares[1]) / max(ends[1] - ends[0], 1e-12)
    mean = weight[own & hit].sum() / count
    return weight * (own * (hit - mean) / count + held * slope * (right - level) / others)


def _from_below(level: NDArray[np.float64], of_positives: bool) -> NDArray[np.float64]:
    """Return the share of the held class below the threshold: the specificity, or the misses."""
    return level if of_positives else 1 - level


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
    last = np.searchsorted(level, level, "right") - 1  # of the rows with this score
    counts = np.ones(len(score)) if weight is None else weight[order]
    found = np.cumsum(target[order] * counts)[last]
    wrong = np.cumsum(~target[order] * counts)[last]
    precision = found / (found + wrong)
    # A row changes the precision at each score up to its own, by these parts a positive there.
    hits = target[order] * counts / (found + wrong) ** 2
    first = np.searchsorted(level, level, "left")
    m = float((target[order] * counts).sum())

    def below(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])
        return sums[first]

    moved = np.where(target[order], below(hits * wrong), -below(hits * found))
    average = float((target[order] * counts * precision).sum() / m)
    values = counts * (moved + target[order] * (precision - average)) / m
    result = np.empty(len(score))
    result[order] = values
    return result


def pauc(share: float, *, normalised: bool = False) -> Callable[..., NDArray[np.float64]]:
    """Return the influence on the area above a sensitivity, of the positives' lowest ``share``."""
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


def _weighted_pauc(
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    weight: NDArray[np.float64],
    share: float,
) -> NDArray[np.float64]:
    """Return the influence of weighted rows on the area of the positives' lowest ``share``."""
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
