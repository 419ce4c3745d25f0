"""A test set as it is planned, and whether a drop is noticed in it.

The arithmetic is that of the audit's own test (`equiderm.audit.power`): three groups of tone, each
against the others, AUROC, sensitivity and specificity adjusted over each other.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.metrics import HEADLINE
from equiderm.audit.power import is_noticed, least_luck, smallest
from equiderm.statistics.estimates import Estimate, Ranked, Share, spread
from equiderm.statistics.intervals import Z95
from equiderm.statistics.simultaneous import Difference, Largest, correlation_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.audit.thirds import Third

USUAL = {"auroc": 0.85, "sensitivity": 0.80, "specificity": 0.80}
LEAST = 5  # images of a class behind a figure, as `Options.min_count`
GRID = 4_000  # places of the two score distributions, for the figures' correlation


@dataclass(frozen=True)
class Sample:
    """Images of one group, and how many of one class a patient has."""

    positives: float
    negatives: float
    together: tuple[float, float]


@dataclass(frozen=True)
class Design:
    """A test set as it is planned."""

    thirds: tuple[Third, ...]
    prevalence: float
    together: tuple[float, float]
    correlation: float
    others: float | None

    def dark(self, count: float, *, negative: bool) -> Sample:
        """Return so many images of a class of dark skin, and as many of the other in proportion."""
        odds = self.prevalence / (1 - self.prevalence)
        there = self.thirds[2] if self.thirds else None
        positives, negatives = (count * odds, count) if negative else (count, count / odds)
        if there is not None:
            if negative:
                positives = max(positives, there.positives)
            else:
                negatives = max(negatives, there.negatives)
        return Sample(positives, negatives, self.together)

    def groups(self, count: float, *, negative: bool) -> list[Sample]:
        """Return the dark, the light and the middle group, of those that have enough."""
        return [self.dark(count, negative=negative), *self.rest(count, negative=negative)]

    def rest(self, count: float, *, negative: bool) -> list[Sample]:
        """Return the light and the middle group."""
        odds = self.prevalence / (1 - self.prevalence)
        if self.thirds and self.others is None:
            return [
                Sample(one.positives, one.negatives, one.together)
                for one in self.thirds[:2]
                if min(one.positives, one.negatives) >= LEAST
            ]
        if self.others is not None:
            return [Sample(self.others, self.others / odds, self.together)] * 2
        one = (count * odds, count) if negative else (count, count / odds)
        return [Sample(*one, self.together)] * 2


def _estimate(metric: str, value: float, one: Sample, correlation: float) -> Estimate:
    """Return a figure as the audit would estimate it from so many images."""
    if metric == "auroc":
        correlation = _of_ranks(correlation, round(value, 9))
    effects = [1 + (size - 1) * correlation for size in one.together]
    positives, negatives = one.positives / effects[0], one.negatives / effects[1]

    def freedom(images: float, size: float, effect: float) -> float:
        excess = 1 - 1 / effect
        return max(images / size - 1, 1.0) / min(1.0, 2 * excess) if excess > 0 else math.inf

    if metric != "auroc":
        k = 0 if metric == "sensitivity" else 1
        images = (one.positives, one.negatives)[k]
        return Share(value, images / effects[k], freedom(images, one.together[k], effects[k]))
    parts = np.array([1 / positives, 1 / negatives])
    patients = np.array([one.positives / one.together[0], one.negatives / one.together[1]])
    both = float(parts.sum() ** 2 / (parts**2 / np.maximum(patients - 1, 1.0)).sum())
    variance = _of_one(round(value, 9)) * float(parts.sum())
    return Ranked(value, variance, positives, negatives, both)


@functools.cache
def _of_one(auroc: float) -> float:
    """Return the variance that one positive (or negative) image gives an AUROC, both normal."""
    return float(_placed(auroc)[0].var())


def _placed(auroc: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return which share of negatives positives pass, and of positives negatives stay under.

    At the quantiles of two unit normal distributions; shapes (GRID,), by ascending score.
    """
    from scipy import special

    apart = math.sqrt(2) * float(special.ndtri(min(max(auroc, 0.01), 0.999)))
    grid = special.ndtri((np.arange(GRID) + 0.5) / GRID)
    return special.ndtr(grid + apart), special.ndtr(apart - grid)


@functools.cache
def _of_ranks(correlation: float, auroc: float) -> float:
    """Return how alike the ranks of one patient's images are whose calls have this correlation.

    Of normal scores that share a part; the calls are right at the usual sensitivity.
    """
    from scipy import special

    if correlation in (0.0, 1.0):
        return correlation
    grid = special.ndtri((np.arange(GRID) + 0.5) / GRID)
    right = USUAL["sensitivity"]

    def of_calls(shared: float) -> float:
        edge = special.ndtri(right) + math.sqrt(shared) * grid
        given = special.ndtr(edge / math.sqrt(1 - shared))
        return float(given.var()) / (right * (1 - right))

    shared = smallest(lambda part: of_calls(part) >= correlation, 0.9999)
    apart = math.sqrt(2) * float(special.ndtri(min(max(auroc, 0.01), 0.999)))
    given = special.ndtr((apart + math.sqrt(shared) * grid) / math.sqrt(2 - shared))
    return float(given.var()) / _of_one(auroc)


def figures_correlation(
    auroc: float, sensitivity: float, specificity: float, prevalence: float = 0.5
) -> NDArray[np.float64]:
    """Return the correlation of AUROC, sensitivity and specificity of one group, shape (3, 3).

    Of scores that are normal in both classes, of which ``prevalence`` are positive.
    """
    from scipy import special

    found, spared = _placed(auroc)
    grid = special.ndtri((np.arange(GRID) + 0.5) / GRID)
    called = grid > special.ndtri(1 - sensitivity)
    cleared = grid < special.ndtri(specificity)
    parts = float(found.var()) / prevalence, float(spared.var()) / (1 - prevalence)
    size = math.sqrt(sum(parts))
    result = np.eye(3)
    up, down = size * math.sqrt(prevalence), size * math.sqrt(1 - prevalence)
    result[0, 1] = result[1, 0] = np.cov(found, called)[0, 1] / (up * called.std())
    result[0, 2] = result[2, 0] = np.cov(spared, cleared)[0, 1] / (down * cleared.std())
    return result


def _differences(
    metric: str, base: float, drop: float, groups: Sequence[Sample], correlation: float
) -> tuple[list[Difference], NDArray[np.float64]]:
    """Return each group against the others, as the audit compares them, and its weights."""
    values = [base - drop, *[base] * (len(groups) - 1)]
    estimates = [
        _estimate(metric, value, one, correlation)
        for value, one in zip(values, groups, strict=True)
    ]
    sizes = np.array([_weight(metric, one) for one in groups])
    weights = np.eye(len(groups))
    made: list[Difference] = []
    for k, one in enumerate(estimates):
        rest = np.where(np.arange(len(groups)) == k, 0.0, sizes)
        rest /= rest.sum()
        weights[k] -= rest
        parts = [e for j, e in enumerate(estimates) if j != k]
        made.append(Difference(one, _joined(metric, parts, rest[np.arange(len(groups)) != k])))
    return made, weights


def _weight(metric: str, one: Sample) -> float:
    if metric == "auroc":
        m, n = one.positives / one.together[0], one.negatives / one.together[1]
        return m * n / (m + n)
    return one.positives if metric == "sensitivity" else one.negatives


def _joined(metric: str, parts: Sequence[Any], rest: NDArray[np.float64]) -> Estimate:
    value = float(sum(w * one.value for w, one in zip(rest, parts, strict=True)))
    freedom = min(one.freedom for one in parts)
    if metric == "auroc":
        variance = float(sum(w**2 * one.variance for w, one in zip(rest, parts, strict=True)))
        m, n = (sum(getattr(one, kind) for one in parts) for kind in ("positives", "negatives"))
        return Ranked(value, variance, m, n, freedom)
    return Share(value, sum(one.n for one in parts), freedom)


@functools.lru_cache(maxsize=512)
def _quantiles(design: Design, metric: str, base: float, count: float) -> tuple[float, float]:
    """Return what a difference must pass to be established.

    As the largest of all three figures; and of an AUROC, without the share of the larger class.
    """
    groups = design.groups(count, negative=metric == "specificity")
    _, weights = _differences(metric, base, 0.0, groups, design.correlation)
    bases = {**USUAL, metric: base}
    inside = figures_correlation(*(bases[name] for name in HEADLINE), prevalence=design.prevalence)
    sizes = np.sqrt([[_variance(name, bases[name], one) for one in groups] for name in HEADLINE])

    def of(figures: Sequence[int]) -> float:
        blocks = [
            [weights @ np.diag(sizes[a] * sizes[b] * inside[a, b]) @ weights.T for b in figures]
            for a in figures
        ]
        largest = Largest(correlation_of(np.block(blocks)))
        return max(largest.quantile(0.95), Z95)

    whole = of((0, 1, 2))
    return whole, of((0, 3 - _larger(groups[0]))) if metric == "auroc" else whole


def _larger(one: Sample) -> int:
    """Return which of `HEADLINE` is the share of the larger class."""
    return 1 if one.positives > one.negatives else 2


def _established(
    metric: str,
    base: float,
    drop: float,
    groups: Sequence[Sample],
    correlation: float,
    quantile: float,
) -> float:
    """Return how often a drop of the AUROC, half of it in each class, establishes that share's."""
    from scipy import special

    before, after = special.ndtri(np.clip([base, base - drop], 0.01, 0.999))
    level = USUAL[metric]
    low = float(special.ndtr(special.ndtri(level) - (before - after) / math.sqrt(2)))
    others = [_estimate(metric, level, one, correlation) for one in groups[1:]]
    equal = np.full(len(others), 1 / len(others))  # of a share nothing depends on them
    rest = spread(_joined(metric, others, equal))
    error = spread(_estimate(metric, low, groups[0], correlation)) + rest
    return float(special.ndtr((level - low) / math.sqrt(error) - quantile))


def _variance(metric: str, base: float, one: Sample) -> float:
    return spread(_estimate(metric, base, one, 0.0))


def notices(design: Design, metric: str, base: float, count: float, drop: float) -> bool:
    """Return whether a drop is noticed in 80 of 100 with so many images of dark skin."""
    groups = design.groups(count, negative=metric == "specificity")
    if len(groups) < 2 or min(groups[0].positives, groups[0].negatives) < 2:
        return False
    level, weights = _differences(metric, base, 0.0, groups, design.correlation)
    # It hardly depends on the count, and is drawn: of a round one, so that it does not jump.
    quantile, without = _quantiles(design, metric, base, max(float(f"{count:.2g}"), 2.0))
    if metric == "auroc":  # its drop shows in the other two as well, and one of them may pass first
        share = HEADLINE[_larger(groups[0])]
        first = _established(share, base, drop, groups, design.correlation, quantile)
        quantile += first * (without - quantile)
    variances = np.array([spread(d.one) for d in level])
    correlation = correlation_of(weights @ np.diag(variances) @ weights.T)
    margin = least_luck(level, weights[:, 0], correlation, quantile)
    lowered, _ = _differences(metric, base, drop, groups, design.correlation)
    return is_noticed(lowered[0], margin, quantile)
