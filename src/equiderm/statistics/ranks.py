"""Spearman's rank correlation, of rows or of their bootstrap resamples."""

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
