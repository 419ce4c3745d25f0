"""Cumulative logits on splines: ordered types from a few colour columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

DEGREE = 3
ROUNDS = 3
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CumulativeLogits:
    """The model P(type > j | x) = 1 / (1 + exp(-(a_j + b_j . basis(x)))), one line per threshold.

    Attributes:
        knots: Knots of each feature's cubic splines, ascending; beyond the ends a feature is
            constant.
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

        The thresholds are fitted separately and may cross; the mean of the two nearest monotone
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
    judged: NDArray[np.intp] | NDArray[np.bool_],
    k: int,
    *,
    n_knots: int,
    strength: float,
) -> CumulativeLogits:
    """Return the model fitted with scikit-learn's ridge-penalised logistic regression.

    Where a row may be any of several types, the likelihood of the set is maximised by EM: in turn,
    the row is shared among its types by the model's probabilities, and the model is fitted to that.

    Args:
        features: Colour columns, shape (n, f), none missing.
        judged: Type of each row as 0 .. k - 1, shape (n,), or the types allowed, shape (n, k).
        k: How many types the scale has.
        n_knots: Knots of each feature, at even quantiles; ties make one knot.
        strength: scikit-learn's ``C``: the smaller, the smoother.

    Source:
        For the sets: Dempster, Laird and Rubin 1977, JRSS B 39:1 (EM), `ROUNDS` rounds.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    quantiles = np.linspace(0, 1, n_knots)
    knots = tuple(np.unique(np.quantile(column, quantiles)) for column in features.T)
    products = 1 < features.shape[1] <= 3
    basis = design(features, knots, products)
    allowed = np.eye(k, dtype=np.bool_)[judged] if judged.ndim == 1 else judged.astype(np.bool_)
    parts = allowed / allowed.sum(axis=1, keepdims=True)
    fits = [LogisticRegression(C=strength, max_iter=1000, warm_start=True) for _ in range(k - 1)]
    with threadpool_limits(1):  # on fits this small, threads cost more than they save
        model = CumulativeLogits(knots, products, *_fit_thresholds(basis, parts, fits))
        for _ in range(ROUNDS if (parts < 1)[allowed].any() else 0):
            inside = model.predict_proba(features) * allowed
            total = inside.sum(axis=1, keepdims=True)
            parts = np.divide(inside, total, out=parts.copy(), where=total > 0)
            model = CumulativeLogits(knots, products, *_fit_thresholds(basis, parts, fits))
    return model


def _fit_thresholds(
    basis: Floats, parts: Floats, fits: Sequence[LogisticRegression]
) -> tuple[Floats, Floats]:
    """Return intercepts and coefficients of P(type > j), rows shared among types, shape (n, k).

    Each threshold's fit starts from its previous coefficients.
    """
    n, k = parts.shape
    intercepts, coefficients = np.zeros(k - 1), np.zeros((k - 1, basis.shape[1]))
    for j in range(k - 1):
        beyond: Floats = parts[:, j + 1 :].sum(axis=1).clip(max=1.0)
        if np.isin(beyond, (0, 1)).all():
            rows, sides, weights = np.arange(n), beyond > 0, None
        else:  # a row with a part on each side is entered on both
            above, below = np.flatnonzero(beyond > 0), np.flatnonzero(beyond < 1)
            rows, sides = np.concatenate([above, below]), np.arange(len(above) + len(below))
            sides = sides < len(above)
            weights = np.concatenate([beyond[above], 1 - beyond[below]])
        if sides.all() or not sides.any():
            intercepts[j] = np.log(2 * n + 1) * (1 if sides.all() else -1)
            continue
        fits[j].fit(basis[rows], sides, sample_weight=weights)
        intercepts[j], coefficients[j] = np.ravel(fits[j].intercept_)[0], fits[j].coef_[0]
    return intercepts, coefficients


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
