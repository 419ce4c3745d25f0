"""Fit a scheme and assess it out of fold: no choice depends on the patients it is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from equiderm.agreement.confusion import agreement_figures, reweight
from equiderm.agreement.cuts import fit_cuts
from equiderm.agreement.distributions import ranked_probability_scores
from equiderm.agreement.judged import (
    JudgedTypes,
    as_judged,
    counts_of_types,
    type_shares,
)
from equiderm.errors import InputError
from equiderm.format import count
from equiderm.records import Record
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
    """Settings chosen on the training folds.

    Attributes:
        decision: The cost that an answer minimises, a name of `DECISIONS`.
        n_knots: Knots of each spline of an ordinal model; 0 for cut-points.
        strength: Inverse regularisation (C) of an ordinal model.
    """

    decision: str
    n_knots: int = 0
    strength: float = 0.0


@dataclass(frozen=True, eq=False, repr=False)
class CrossFit(Record):
    """A fitted scheme and its out-of-fold answers.

    Attributes:
        scheme: The scheme, fitted on all rows.
        index: Out-of-fold answers as 0 .. k - 1, shape (n,).
        shares: Out-of-fold distributions, shape (n, k).
        choices: The choice of each fold, then that on all rows.
    """

    scheme: FittedScheme
    index: Indices
    shares: Floats
    choices: tuple[Choice, ...]


class _Problem:
    """Features, judged types and the target distribution, which every fit needs."""

    def __init__(self, features: Floats, judged: JudgedTypes, target: Floats | None):
        self.features, self.row, self.members = features, judged.row, judged.members
        self.k, self.target = len(judged.types), target
        self.allowed = judged.allowed if judged.has_ranges else judged.row

    def judged(self, rows: Indices) -> Floats:
        return type_shares(self._counts(rows), self.members)

    def _counts(self, rows: Indices) -> Floats:
        return np.bincount(self.row[rows], minlength=len(self.members)).astype(float)

    def _ratio(self, rows: Indices) -> Floats:
        """Return the factor that moves each judgement to the target distribution, shape (r,)."""
        assert self.target is not None
        here = self.members @ self.judged(rows)
        return (self.members @ self.target) / np.maximum(here, 1e-12)

    def weights(self, rows: Indices) -> Floats:
        """Return the weight that moves each row to the target distribution, shape (n,)."""
        if self.target is None:
            return np.ones(len(rows))
        return self._ratio(rows)[self.row[rows]]

    def fit(self, rows: Indices, choice: Choice, names: Sequence[str], columns: Sequence[str]):
        common = (tuple(names), tuple(columns), choice.decision, self.judged(rows), self.target)
        if choice.n_knots:
            model = fit_cumulative_logits(
                self.features[rows],
                self.allowed[rows],
                self.k,
                n_knots=choice.n_knots,
                strength=choice.strength,
            )
            return FittedScheme(*common, model=model)
        weights = np.zeros((len(rows), len(self.members)))
        weights[np.arange(len(rows)), self.row[rows]] = self.weights(rows)
        values = self.features[rows, 0]
        cuts = fit_cuts(values, weights, self.cost(choice.decision))
        band = (values[:, None] <= cuts).sum(axis=1)
        counts = np.zeros((self.k, len(self.members)))
        np.add.at(counts, (band, self.row[rows]), 1.0)
        # The distribution of all rows is added to each band with the weight of one image.
        given = np.array([counts_of_types(row, self.members, common[3]) for row in counts])
        return FittedScheme(*common, cuts=cuts, given_band=given / given.sum(axis=1, keepdims=True))

    def cost(self, decision: str) -> Floats:
        """Return the cost of each answer for each judgement, shape (k, r): a range's lowest."""
        cost = cost_matrix(decision, self.k)
        return np.where(self.members[None], cost[:, None, :], np.inf).min(axis=2)

    def kappa(self, rows: Indices, answers: Indices) -> float:
        """Return quadratic-weighted kappa on the target distribution; 0 where undefined."""
        r = len(self.members)
        cells = self.row[rows] * self.k + answers
        counts = np.bincount(cells, minlength=r * self.k).reshape(r, self.k).astype(float)
        target = self.target
        if target is not None and r > self.k:
            target = self._counts(rows) / len(rows) * self._ratio(rows)
        figures = agreement_figures(reweight(counts, target), 1, self.members)
        return float(np.nan_to_num(figures["kappa"]))

    def loss(self, rows: Indices, shares: Floats) -> float:
        scores = ranked_probability_scores(shares, self.allowed[rows])
        return float(np.average(scores, weights=self.weights(rows)))


def _choose(problem: _Problem, rows: Indices, folds: Indices) -> Choice:
    """Return the best choice for the rows, with each fold predicted from the others.

    The splines with the lowest ranked probability score, then the cost whose answers have the
    highest kappa. The share within one type is no criterion: on a scale of six, answering only
    2 and 5 raises it without any measurement.
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
    judged: JudgedTypes | Indices,
    folds: Indices,
    *,
    types: Sequence[int],
    columns: Sequence[str],
    target: Floats | None = None,
) -> CrossFit:
    """Return a scheme fitted on all rows and its out-of-fold answers.

    One feature gives cut-points, several an ordinal model. The settings for each fold are chosen by
    cross-validation within the other folds.

    Args:
        features: Colour columns, shape (n, f), none missing.
        judged: Judgements of all n images that pass `check_types`; or types as 0 .. k - 1, (n,).
        folds: The fold of each row, shape (n,); a patient is in one fold only.
        types: The scale, lightest first, length k.
        columns: The columns that the features were read from.
        target: Share of each type where the scheme will be used, shape (k,); None: as judged.

    Raises:
        InputError: Fewer than three folds.
    """
    if len(np.unique(folds)) < MINIMUM_FOLDS:
        raise InputError(
            f"only {len(np.unique(folds))} folds; choosing settings out of fold needs at least "
            f"{MINIMUM_FOLDS}."
        )
    if not isinstance(judged, JudgedTypes):
        judged = as_judged(np.asarray(types, dtype=float)[judged], types)
    problem = _Problem(features, judged, target)
    everything = np.arange(len(folds))
    answers = np.zeros(len(folds), dtype=np.intp)
    shares = np.zeros((len(folds), len(types)))
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


def check_types(judged: JudgedTypes, target: Floats | None) -> None:
    """Raise InputError if the judged types are too few for a fit or do not cover the target."""
    counts, types = judged.counts(), judged.types
    if (counts > 0).sum() < 2:
        raise InputError("every image has the same judged type; a scheme needs at least two types.")
    few = [
        f"{kind} ({count(n)})" for kind, n in zip(types, counts, strict=False)
        if 0 < n < MINIMUM_OF_A_TYPE
    ]  # fmt: skip
    if few and not judged.has_ranges:
        raise InputError(
            f"fewer than {MINIMUM_OF_A_TYPE} images of type {', '.join(few)}; add images or leave "
            "the type out."
        )
    named = judged.members[counts > 0].any(axis=0)
    if target is not None and (target[~named] > 0).any():
        kind = types[int(np.flatnonzero(~named & (target > 0))[0])]
        raise InputError(
            f"the target distribution has type {kind}, but the table has no image judged so; give "
            "it a share of 0 or add images."
        )
