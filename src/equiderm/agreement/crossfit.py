"""Fit a scheme and judge it out of fold: no choice sees the people it is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from equiderm.agreement.confusion import agreement_figures, reweight
from equiderm.agreement.cuts import fit_cuts
from equiderm.agreement.distributions import ranked_probability_scores
from equiderm.errors import InputError
from equiderm.tone.fitted_scheme import (
    DECISIONS,
    FittedScheme,
    cost_matrix,
    decide,
)
from equiderm.tone.splines import fit_cumulative_logits

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
N_KNOTS = (4, 6)
STRENGTHS = (0.3, 3.0)
MINIMUM_FOLDS = 3
MINIMUM_OF_A_TYPE = 5


@dataclass(frozen=True)
class Choice:
    """What is chosen on training folds: the answer's cost, and the splines of an ordinal model."""

    decision: str
    n_knots: int = 0
    strength: float = 0.0


@dataclass(frozen=True)
class CrossFit:
    """A fitted scheme and what it answers for people it was not fitted on.

    Attributes:
        scheme: Fitted on all rows.
        index: Out-of-fold answers as 0 .. k - 1, shape (n,).
        shares: Out-of-fold distributions, shape (n, k).
        choices: The choice made in each fold, then on all rows.
    """

    scheme: FittedScheme
    index: Indices
    shares: Floats
    choices: tuple[Choice, ...]


class _Problem:
    """Features, judged types and where the scheme will be used: what every fit needs."""

    def __init__(self, features: Floats, index: Indices, k: int, target: Floats | None):
        self.features, self.index, self.k, self.target = features, index, k, target

    def judged(self, rows: Indices) -> Floats:
        return np.bincount(self.index[rows], minlength=self.k) / len(rows)

    def weights(self, rows: Indices) -> Floats:
        """Return the weight that moves each row to the target distribution, shape (n,)."""
        if self.target is None:
            return np.ones(len(rows))
        return (self.target / np.maximum(self.judged(rows), 1e-12))[self.index[rows]]

    def fit(self, rows: Indices, choice: Choice, names: Sequence[str], columns: Sequence[str]):
        common = (tuple(names), tuple(columns), choice.decision, self.judged(rows), self.target)
        if choice.n_knots:
            model = fit_cumulative_logits(
                self.features[rows],
                self.index[rows],
                self.k,
                n_knots=choice.n_knots,
                strength=choice.strength,
            )
            return FittedScheme(*common, model=model)
        weights = np.zeros((len(rows), self.k))
        weights[np.arange(len(rows)), self.index[rows]] = self.weights(rows)
        values = self.features[rows, 0]
        cuts = fit_cuts(values, weights, cost_matrix(choice.decision, self.k))
        band = (values[:, None] <= cuts).sum(axis=1)
        given = np.tile(self.judged(rows), (self.k, 1))  # one image's worth of the marginal
        np.add.at(given, (band, self.index[rows]), 1.0)
        return FittedScheme(*common, cuts=cuts, given_band=given / given.sum(axis=1, keepdims=True))

    def kappa(self, rows: Indices, answers: Indices) -> float:
        """Return quadratic-weighted kappa on the target distribution; 0 where undefined."""
        cells = self.index[rows] * self.k + answers
        counts = np.bincount(cells, minlength=self.k**2).reshape(self.k, self.k).astype(float)
        return float(np.nan_to_num(agreement_figures(reweight(counts, self.target), 1)["kappa"]))

    def loss(self, rows: Indices, shares: Floats) -> float:
        scores = ranked_probability_scores(shares, self.index[rows])
        return float(np.average(scores, weights=self.weights(rows)))


def _choose(problem: _Problem, rows: Indices, folds: Indices) -> Choice:
    """Return the choice that does best on the rows, each fold predicted from the other ones.

    The splines with the least ranked probability score; then the cost whose answers have the
    largest kappa. Not by the share within one type: answering only 2 and 5 on a scale of six raises
    it without measuring anything.
    """
    parts = [
        (rows[folds[rows] != f], np.flatnonzero(folds[rows] == f)) for f in np.unique(folds[rows])
    ]
    if problem.features.shape[1] == 1:
        answers = {
            decision: _predict_parts(problem, parts, rows, Choice(decision))[0]
            for decision in DECISIONS
        }
        return Choice(max(answers, key=lambda name: problem.kappa(rows, answers[name])))
    tried: list[tuple[float, Choice, Floats]] = []
    for n_knots, strength in product(N_KNOTS, STRENGTHS):
        choice = Choice("absolute", n_knots, strength)
        shares = _predict_parts(problem, parts, rows, choice)[1]
        tried.append((problem.loss(rows, shares), choice, shares))
    _, best, shares = min(tried, key=lambda item: item[0])
    decision = max(DECISIONS, key=lambda name: problem.kappa(rows, decide(shares, name)))
    return Choice(decision, best.n_knots, best.strength)


def _predict_parts(
    problem: _Problem, parts: list[tuple[Indices, Indices]], rows: Indices, choice: Choice
) -> tuple[Indices, Floats]:
    answers = np.zeros(len(rows), dtype=np.intp)
    shares = np.zeros((len(rows), problem.k))
    for train, test in parts:
        scheme = problem.fit(train, choice, (), ())
        answers[test] = scheme.index_of(problem.features[rows[test]])
        shares[test] = scheme.proba_of(problem.features[rows[test]])
    return answers, shares


def crossfit(
    features: Floats,
    index: Indices,
    folds: Indices,
    *,
    types: Sequence[int],
    columns: Sequence[str],
    target: Floats | None = None,
) -> CrossFit:
    """Return a scheme fitted on all rows and its answers out of fold.

    One feature gives cut-points, several an ordinal model. For each fold the settings and the
    decision are chosen on the other folds alone, by predicting each of those from the rest.

    Args:
        features: Colour columns, shape (n, f), none missing.
        index: Judged types as 0 .. k - 1, shape (n,), that pass `check_types`.
        folds: The fold of each row, shape (n,); a patient is in one fold only.
        types: The scale, lightest first, length k.
        columns: The columns that the features were read from.
        target: Share of each type where the scheme will be used, shape (k,); None: as judged.

    Raises:
        InputError: Fewer than three folds.
    """
    if len(np.unique(folds)) < MINIMUM_FOLDS:
        raise InputError(
            f"only {len(np.unique(folds))} folds; a choice without the tested people needs at "
            f"least {MINIMUM_FOLDS}."
        )
    problem = _Problem(features, index, len(types), target)
    everything = np.arange(len(index))
    answers = np.zeros(len(index), dtype=np.intp)
    shares = np.zeros((len(index), len(types)))
    choices: list[Choice] = []
    names = [str(kind) for kind in types]
    for fold in np.unique(folds):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        choices.append(_choose(problem, train, folds))
        scheme = problem.fit(train, choices[-1], names, columns)
        answers[test] = scheme.index_of(features[test])
        shares[test] = scheme.proba_of(features[test])
    choices.append(_choose(problem, everything, folds))
    scheme = problem.fit(everything, choices[-1], names, columns)
    return CrossFit(scheme, answers, shares, tuple(choices))


def check_types(index: Indices, types: Sequence[int], target: Floats | None) -> None:
    """Raise InputError where the judged types cannot carry a fit or do not cover the target."""
    counts = np.bincount(index, minlength=len(types))
    if (counts > 0).sum() < 2:
        raise InputError("every image has the same judged type; a scheme needs at least two types.")
    pairs = zip(types, counts, strict=True)
    few = [f"{kind} ({n})" for kind, n in pairs if 0 < n < MINIMUM_OF_A_TYPE]
    if few:
        raise InputError(
            f"fewer than {MINIMUM_OF_A_TYPE} images of type {', '.join(few)}; add images or leave "
            "the type out."
        )
    if target is not None and (target[counts == 0] > 0).any():
        kind = types[int(np.flatnonzero((counts == 0) & (target > 0))[0])]
        raise InputError(
            f"the target distribution has type {kind}, of which no judged image is in the table."
        )
