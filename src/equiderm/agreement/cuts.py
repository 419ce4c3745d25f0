"""Cut-points on one colour value that divide it into ordered types at the lowest cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEVER = 180.0  # degrees beyond the data, where no angle lies


def fit_cuts(values: Floats, weights: Floats, cost: Floats) -> Floats:
    """Return descending cut-points, shape (k - 1,), with the lowest total cost.

    A value above the first cut is the first type; a value at or below the last cut is the last. If
    a type is best for no value, its two cuts coincide; at the ends of the scale the cut is `NEVER`
    beyond the data.

    Args:
        values: A colour that falls from the first type to the last, such as ITA, shape (n,).
        weights: Weight of each row at its judgement and 0 elsewhere, shape (n, r).
        cost: Cost of answering type i (row) for judgement j (column), shape (k, r).

    Source:
        Dynamic programming over the sorted values, Bellman and Dreyfus 1962; exact in O(n k).
    """
    k = cost.shape[0]
    levels, place = np.unique(-values, return_inverse=True)
    judged = np.zeros((len(levels), cost.shape[1]))
    np.add.at(judged, place, weights)
    # spent[i, b]: cost of the first i levels if all are answered with type b
    spent = np.vstack([np.zeros(k), np.cumsum(judged @ cost.T, axis=0)])
    best = spent[:, 0]
    origins: list[NDArray[np.intp]] = []
    for band in range(1, k):
        gain = best - spent[:, band]
        lowest = np.minimum.accumulate(gain)
        first = np.concatenate([[True], gain[1:] < lowest[:-1]])
        origins.append(np.maximum.accumulate(np.where(first, np.arange(len(gain)), 0)))
        best = lowest + spent[:, band]
    ends = [len(levels)]
    for origin in reversed(origins):
        ends.append(int(origin[ends[-1]]))
    edges = np.concatenate([[-levels[0] + 2 * NEVER], -levels, [-levels[-1] - 2 * NEVER]])
    return np.array([(edges[end] + edges[end + 1]) / 2 for end in reversed(ends[1:])])
