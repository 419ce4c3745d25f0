"""Spearman's rank correlation, of rows or of their bootstrap resamples, and its influence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rank_correlation(
    first: NDArray[Any], second: NDArray[Any], times: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Return Spearman's correlation, in [-1, 1]; 0 if either variable is constant.

    Args:
        first: A value per row, shape (n,), n at least 1.
        second: Likewise.
        times: How often each row counts, shape (count, n); if not given, once, and count is 1.

    Returns:
        Shape (count,).
    """
    times = np.ones((1, len(first))) if times is None else times
    total = times.sum(1)
    ranks: list[NDArray[np.float64]] = []
    for column in (first, second):
        order = np.argsort(column, kind="stable")
        ties = np.flatnonzero(np.diff(column[order], prepend=np.nan) != 0)
        count = np.add.reduceat(times[:, order], ties, axis=1)
        middle = count.cumsum(1) - (count - 1) / 2  # mean rank of tied values
        place = np.empty(len(order), np.int64)
        place[order] = np.repeat(np.arange(len(ties)), np.diff(ties, append=len(order)))
        ranks.append(middle[:, place] - ((total + 1) / 2)[:, None])
    a, b = ranks
    both, of_a, of_b = ((times * product).sum(1) for product in (a * b, a * a, b * b))
    spread = np.sqrt(of_a * of_b)
    return np.divide(both, spread, out=np.zeros_like(both), where=spread > 0)


def rank_influence(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Return how much each row moves Spearman's correlation, shape (n,); neither is constant.

    The sum of squares is the correlation's variance if rows are independent. It allows for the
    ranks, which change with the rows, and for ties.

    Source:
        The influence function: Croux and Dehon 2010, Statistical Methods and Applications 19:497.
    """
    places = [_places(first), _places(second)]
    both, (of_a, moves_a), (of_b, moves_b) = (
        _moves(*pair) for pair in (places, places[:1] * 2, places[1:] * 2)
    )
    value = both[0] / np.sqrt(of_a * of_b)
    moved = both[1] / np.sqrt(of_a * of_b) - value / 2 * (moves_a / of_a + moves_b / of_b)
    return moved / len(first)


def _places(column: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Return the share of rows below each row (ties half) minus 1/2, its level, and the counts."""
    _, level, count = np.unique(column, return_inverse=True, return_counts=True)
    middle = (count.cumsum() - count / 2) / len(column) - 0.5
    return middle[level], level, count


def _moves(a: Any, b: Any) -> tuple[float, NDArray[np.float64]]:
    """Return the covariance of two columns' places and how much each row moves it, times n."""
    covariance = float(np.mean(a[0] * b[0]))
    moved = a[0] * b[0] - covariance
    for (_, level, count), (other, *_) in ((a, b), (b, a)):
        total = np.bincount(level, weights=other, minlength=len(count))
        above = total.sum() - total.cumsum() + total / 2  # a row lifts the place of rows above it
        moved += (above[level] - float((above * count).sum()) / len(level)) / len(level)
    return covariance, moved
