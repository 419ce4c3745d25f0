"""Spearman's rank correlation, of rows or of rows drawn again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rank_correlation(
    first: NDArray[Any], second: NDArray[Any], times: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Return Spearman's correlation where each row stands so many times; 0 where one is constant.

    Args:
        first: Of each row, shape (n,), one or more.
        second: Likewise.
        times: How often each row stands, shape (count, n); once, a count of 1, where not given.

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
        middle = count.cumsum(1) - (count - 1) / 2  # of equal values the mean rank
        place = np.empty(len(order), np.int64)
        place[order] = np.repeat(np.arange(len(ties)), np.diff(ties, append=len(order)))
        ranks.append(middle[:, place] - ((total + 1) / 2)[:, None])
    a, b = ranks
    both, of_a, of_b = ((times * one).sum(1) for one in (a * b, a * a, b * b))
    spread = np.sqrt(of_a * of_b)
    return np.divide(both, spread, out=np.zeros_like(both), where=spread > 0)
