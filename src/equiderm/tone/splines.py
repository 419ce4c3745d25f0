"""Cumulative logits on splines: types in order from a few colour columns, small enough to read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEGREE = 3
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CumulativeLogits:
    """The model P(type > j | x) = 1 / (1 + exp(-(a_j + b_j . basis(x)))), one line a threshold.

    Attributes:
        knots: Of each feature's cubic splines, ascending; beyond the ends a feature is constant.
        products: Whether the basis also holds the products of two features' splines.
        intercepts: a_j, shape (k - 1,).
        coefficients: b_j, shape (k - 1, m): each feature's splines, then the products, the first
            feature's spline varying slowest.
    """

    knots: tuple[Floats, ...]
    products: bool
    intercepts: Floats
    coefficients: Floats

    def predict_proba(self, features: Floats) -> Floats:
        """Return the distribution over types, shape (n, k), for features of shape (n, f).

        The thresholds are fitted apart and may cross; the mean of the two nearest monotone
        envelopes puts them in order.
        """
        logits = design(features, self.knots, self.products) @ self.coefficients.T + self.intercepts
        beyond = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
        falling = np.minimum.accumulate(beyond, axis=1)
        rising = np.maximum.accumulate(beyond[:, ::-1], axis=1)[:, ::-1]
        beyond = (falling + rising) / 2
        edges = np.ones((len(beyond), 1)), np.zeros((len(beyond), 1))
        return -np.diff(np.hstack([edges[0], beyond, edges[1]]), axis=1)


def fit_cumulative_logits(
    features: Floats,
    index: NDArray[np.intp],
    k: int,
    *,
    n_knots: int,
    strength: float,
    last: NDArray[np.intp] | None = None,
) -> CumulativeLogits:
    """Return the model fitted with scikit-learn's ridge-penalised logistic regression.

    Args:
        features: Colour columns, shape (n, f), none missing.
        index: Type of each row as 0 .. k - 1, shape (n,).
        k: How many types the scale has.
        n_knots: Knots of each feature, at even quantiles; ties make one knot.
        strength: scikit-learn's ``C``: the smaller, the smoother.
        last: Where a row may be any type from ``index`` to here, shape (n,). The likelihood of such
            a range holds nothing on the thresholds within it, so the row takes no part there. Where
            no other row tells a threshold's two sides apart, it counts half on either.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    quantiles = np.linspace(0, 1, n_knots)
    knots = tuple(np.unique(np.quantile(column, quantiles)) for column in features.T)
    products = 1 < features.shape[1] <= 3
    basis = design(features, knots, products)
    intercepts, coefficients = np.zeros(k - 1), np.zeros((k - 1, basis.shape[1]))
    for j in range(k - 1):
        rows, beyond, weights = _sides(j, index, index if last is None else last)
        if beyond.all() or not beyond.any():
            intercepts[j] = np.log(2 * len(index) + 1) * (1 if beyond.all() else -1)
            continue
        with threadpool_limits(1):  # on fits this small, threads cost several times what they give
            model = LogisticRegression(C=strength, max_iter=1000)
            model.fit(basis[rows], beyond, sample_weight=weights)
        intercepts[j], coefficients[j] = model.intercept_[0], model.coef_[0]
    return CumulativeLogits(knots, products, intercepts, coefficients)


def _sides(
    j: int, first: NDArray[np.intp], last: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.bool_], Floats | None]:
    """Return the rows that tell on which side of a threshold they lie, the side, and weights."""
    told = (first > j) | (last <= j)
    rows = np.flatnonzero(told)
    beyond = first[rows] > j
    if told.all() or (beyond.any() and not beyond.all()):
        return rows, beyond, None
    open_rows = np.flatnonzero(~told)
    sides = np.concatenate([beyond, np.ones(len(open_rows), bool), np.zeros(len(open_rows), bool)])
    weights = np.concatenate([np.ones(len(rows)), np.full(2 * len(open_rows), 0.5)])
    return np.concatenate([rows, open_rows, open_rows]), sides, weights


def design(features: Floats, knots: tuple[Floats, ...], products: bool) -> Floats:
    """Return the basis of each row, shape (n, m): splines of each feature, then their products."""
    bases = [spline_basis(column, at) for column, at in zip(features.T, knots, strict=True)]
    blocks = list(bases)
    if products:
        for i, first in enumerate(bases):
            for second in bases[i + 1 :]:
                blocks.append((first[:, :, None] * second[:, None, :]).reshape(len(features), -1))
    return np.hstack(blocks)


def spline_basis(values: Floats, knots: Floats) -> Floats:
    """Return cubic B-splines on clamped knots, shape (n, len(knots) + 2); each row sums to 1.

    Values beyond the end knots count as the end knots. A single knot gives one constant column.

    Source:
        de Boor 1978, A Practical Guide to Splines: the Cox-de Boor recursion.
    """
    if len(knots) < 2:
        return np.ones((len(values), 1))
    values = np.clip(values, knots[0], knots[-1])
    t = np.concatenate([[knots[0]] * DEGREE, knots, [knots[-1]] * DEGREE])
    span = np.clip(np.searchsorted(t, values, side="right") - 1, DEGREE, len(t) - DEGREE - 2)
    basis = (np.arange(len(t) - 1) == span[:, None]).astype(float)
    for degree in range(1, DEGREE + 1):
        rise = _slope(values, t[: -degree - 1], t[degree:-1])
        fall = 1 - _slope(values, t[1:-degree], t[degree + 1 :])
        fall[:, t[degree + 1 :] == t[1:-degree]] = 0
        basis = rise * basis[:, :-1] + fall * basis[:, 1:]
    return basis


def _slope(values: Floats, start: Floats, end: Floats) -> Floats:
    """Return how far each value is from start to end, shape (n, m); 0 where they coincide."""
    width = np.where(end > start, end - start, np.inf)
    return (values[:, None] - start) / width
