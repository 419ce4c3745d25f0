"""A planned test set, and whether a drop in one group would be noticed in it.

The calculation is that of the audit's own test (`equiderm.audit.power`): three groups of tone, each
against the others, with AUROC, sensitivity and specificity jointly adjusted.
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
from equiderm.statistics.intervals import Z95, normal_quantile
from equiderm.statistics.simultaneous import Difference, Largest, correlation_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.audit.thirds import Third

USUAL = {"auroc": 0.85, "sensitivity": 0.80, "specificity": 0.80}
LEAST = 5  # images of a class that a figure needs, as `Options.min_count`
GRID = 4_000  # quantiles of each score distribution, for the figures' correlation


@dataclass(frozen=True)
class Sample:
    """Images of one group.

    Attributes:
        positives: Number of positive images; any number above 0.
        negatives: Number of negative images.
        together: Positive images per patient that has any, and likewise negative images.
    """

    positives: float
    negatives: float
    together: tuple[float, float]


@dataclass(frozen=True)
class Design:
    """A planned test set.

    Attributes:
        thirds: The light, middle and dark thirds of a present test set; empty without one.
        prevalence: Share of positives, in (0, 1).
        together: Images per patient, as in `Sample`.
        correlation: Correlation of a patient's images, in [0, 1].
        others: Positive images in each other group, if fixed.
    """

    thirds: tuple[Third, ...]
    prevalence: float
    together: tuple[float, float]
    correlation: float
    others: float | None

    def dark(self, count: float, *, negative: bool) -> Sample:
        """Return ``count`` images of one class of dark skin, and the other class in proportion."""
        positives, negatives = self._in_proportion(count, negative=negative)
        if self.thirds and negative:
            positives = max(positives, self.thirds[2].positives)
        elif self.thirds:
            negatives = max(negatives, self.thirds[2].negatives)
        return Sample(positives, negatives, self.together)

    def _in_proportion(self, count: float, *, negative: bool) -> tuple[float, float]:
        """Return the numbers of positives and negatives, of which ``count`` are of one class."""
        odds = self.prevalence / (1 - self.prevalence)
        return (count * odds, count) if negative else (count, count / odds)

    def groups(self, count: float, *, negative: bool) -> list[Sample]:
        """Return the dark group, then the light and the middle one if they have enough images."""
        return [self.dark(count, negative=negative), *self.rest(count, negative=negative)]

    def rest(self, count: float, *, negative: bool) -> list[Sample]:
        """Return the light and the middle group, without those that have too few images."""
        if self.thirds and self.others is None:
            return [
                Sample(third.positives, third.negatives, third.together)
                for third in self.thirds[:2]
                if min(third.positives, third.negatives) >= LEAST
            ]
        if self.others is not None:
            count, negative = self.others, False
        return [Sample(*self._in_proportion(count, negative=negative), self.together)] * 2


def _estimate(metric: str, value: float, sample: Sample, correlation: float) -> Estimate:
    """Return a figure as the audit would estimate it from the sample."""
    if metric == "auroc":
        correlation = _rank_correlation(correlation, round(value, 9))
    effects = [1 + (size - 1) * correlation for size in sample.together]
    positives, negatives = sample.positives / effects[0], sample.negatives / effects[1]

    def freedom(images: float, size: float, effect: float) -> float:
        excess = 1 - 1 / effect
        return max(images / size - 1, 1.0) / min(1.0, 2 * excess) if excess > 0 else math.inf

    if metric != "auroc":
        k = 0 if metric == "sensitivity" else 1
        images = (sample.positives, sample.negatives)[k]
        return Share(value, images / effects[k], freedom(images, sample.together[k], effects[k]))
    parts = np.array([1 / positives, 1 / negatives])
    images = np.array([sample.positives, sample.negatives])
    patients = images / np.array(sample.together)
    both = float(parts.sum() ** 2 / (parts**2 / np.maximum(patients - 1, 1.0)).sum())
    variance = _placement_variance(round(value, 9)) * float(parts.sum())
    return Ranked(value, variance, positives, negatives, both)


@functools.cache
def _placement_variance(auroc: float) -> float:
    """Return the variance of a positive's (or negative's) placement, for normal scores."""
    return float(_placements(auroc)[0].var())


def _placements(auroc: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the placements of positives and of negatives (DeLong's V10 and V01).

    At the quantiles of two unit normal distributions; shapes (GRID,), by ascending score.
    """
    from scipy import special

    apart, grid = _apart(auroc), _grid()
    return special.ndtr(grid + apart), special.ndtr(apart - grid)


def _apart(auroc: float) -> float:
    """Return the distance of two unit normal distributions of scores that gives an AUROC."""
    return math.sqrt(2) * normal_quantile(min(max(auroc, 0.01), 0.999))


@functools.cache
def _grid() -> NDArray[np.float64]:
    """Return the quantiles of the unit normal distribution, ascending, shape (GRID,)."""
    from scipy import special

    return special.ndtri((np.arange(GRID) + 0.5) / GRID)


@functools.cache
def _rank_correlation(correlation: float, auroc: float) -> float:
    """Return the correlation of placements of a patient's images from that of their decisions.

    For normal scores with a shared component, and decisions at the usual sensitivity.
    """
    from scipy import special

    if correlation in (0.0, 1.0):
        return correlation
    grid, right = _grid(), USUAL["sensitivity"]

    def of_decisions(shared: float) -> float:
        edge = special.ndtri(right) + math.sqrt(shared) * grid
        given = special.ndtr(edge / math.sqrt(1 - shared))
        return float(given.var()) / (right * (1 - right))

    shared = smallest(lambda part: of_decisions(part) >= correlation, 0.9999)
    given = special.ndtr((_apart(auroc) + math.sqrt(shared) * grid) / math.sqrt(2 - shared))
    return float(given.var()) / _placement_variance(auroc)


def figures_correlation(
    auroc: float, sensitivity: float, specificity: float, prevalence: float = 0.5
) -> NDArray[np.float64]:
    """Return the correlation of AUROC, sensitivity and specificity of one group, shape (3, 3).

    For scores that are normal in both classes, with ``prevalence`` the share of positives.
    """
    (v10, v01), grid = _placements(auroc), _grid()
    called = grid > normal_quantile(1 - sensitivity)
    cleared = grid < normal_quantile(specificity)
    parts = float(v10.var()) / prevalence, float(v01.var()) / (1 - prevalence)
    size = math.sqrt(sum(parts))
    result = np.eye(3)
    up, down = size * math.sqrt(prevalence), size * math.sqrt(1 - prevalence)
    result[0, 1] = result[1, 0] = np.cov(v10, called)[0, 1] / (up * called.std())
    result[0, 2] = result[2, 0] = np.cov(v01, cleared)[0, 1] / (down * cleared.std())
    return result


def _differences(
    metric: str, base: float, drop: float, groups: Sequence[Sample], correlation: float
) -> tuple[list[Difference], NDArray[np.float64]]:
    """Return each group against the others, as the audit compares them, and the weights."""
    values = [base - drop, *[base] * (len(groups) - 1)]
    estimates = [
        _estimate(metric, value, group, correlation)
        for value, group in zip(values, groups, strict=True)
    ]
    sizes = np.array([_weight(metric, group) for group in groups])
    weights = np.eye(len(groups))
    differences: list[Difference] = []
    for k, own in enumerate(estimates):
        rest = np.where(np.arange(len(groups)) == k, 0.0, sizes)
        rest /= rest.sum()
        weights[k] -= rest
        parts = [e for j, e in enumerate(estimates) if j != k]
        other = _joined(metric, parts, rest[np.arange(len(groups)) != k])
        differences.append(Difference(own, other))
    return differences, weights


def _weight(metric: str, sample: Sample) -> float:
    if metric == "auroc":
        m, n = sample.positives / sample.together[0], sample.negatives / sample.together[1]
        return m * n / (m + n)
    return sample.positives if metric == "sensitivity" else sample.negatives


def _joined(metric: str, parts: Sequence[Any], rest: NDArray[np.float64]) -> Estimate:
    value = float(sum(w * part.value for w, part in zip(rest, parts, strict=True)))
    freedom = min(part.freedom for part in parts)
    if metric == "auroc":
        variance = float(sum(w**2 * part.variance for w, part in zip(rest, parts, strict=True)))
        m, n = (sum(getattr(part, kind) for part in parts) for kind in ("positives", "negatives"))
        return Ranked(value, variance, m, n, freedom)
    return Share(value, sum(part.n for part in parts), freedom)


@functools.lru_cache(maxsize=512)
def _quantiles(design: Design, metric: str, base: float, count: float) -> tuple[float, float]:
    """Return the quantiles that a difference must exceed to be established.

    The first is over all three figures; for an AUROC, the second omits the larger class's share.
    """
    groups = design.groups(count, negative=metric == "specificity")
    _, weights = _differences(metric, base, 0.0, groups, design.correlation)
    bases = {**USUAL, metric: base}
    inside = figures_correlation(*(bases[name] for name in HEADLINE), prevalence=design.prevalence)
    sizes = np.sqrt([[_variance(name, bases[name], part) for part in groups] for name in HEADLINE])

    def of(figures: Sequence[int]) -> float:
        blocks = [
            [weights @ np.diag(sizes[a] * sizes[b] * inside[a, b]) @ weights.T for b in figures]
            for a in figures
        ]
        largest = Largest(correlation_of(np.block(blocks)))
        return max(largest.quantile(0.95), Z95)

    whole = of((0, 1, 2))
    return whole, of((0, 3 - _larger(groups[0]))) if metric == "auroc" else whole


def _larger(sample: Sample) -> int:
    """Return the index in `HEADLINE` of the share of the larger class."""
    return 1 if sample.positives > sample.negatives else 2


def _established(
    metric: str,
    base: float,
    drop: float,
    groups: Sequence[Sample],
    correlation: float,
    quantile: float,
) -> float:
    """Return how often a drop of the AUROC, half of it in each class, shows in that share."""
    from scipy import special

    before, after = special.ndtri(np.clip([base, base - drop], 0.01, 0.999))
    level = USUAL[metric]
    low = float(special.ndtr(special.ndtri(level) - (before - after) / math.sqrt(2)))
    others = [_estimate(metric, level, group, correlation) for group in groups[1:]]
    equal = np.full(len(others), 1 / len(others))  # for shares, `_joined` needs no others
    rest = spread(_joined(metric, others, equal))
    error = spread(_estimate(metric, low, groups[0], correlation)) + rest
    return float(special.ndtr((level - low) / math.sqrt(error) - quantile))


def _variance(metric: str, base: float, sample: Sample) -> float:
    return spread(_estimate(metric, base, sample, 0.0))


def notices(design: Design, metric: str, base: float, count: float, drop: float) -> bool:
    """Return whether a drop is noticed in 80 of 100 samples with ``count`` images of dark skin."""
    groups = design.groups(count, negative=metric == "specificity")
    if len(groups) < 2 or min(groups[0].positives, groups[0].negatives) < 2:
        return False
    level, weights = _differences(metric, base, 0.0, groups, design.correlation)
    # The quantile is simulated and hardly depends on the count: rounding keeps it from jumping.
    quantile, without = _quantiles(design, metric, base, max(float(f"{count:.2g}"), 2.0))
    if metric == "auroc":  # its drop shows in the other two figures, which may be established first
        share = HEADLINE[_larger(groups[0])]
        first = _established(share, base, drop, groups, design.correlation, quantile)
        quantile += first * (without - quantile)
    variances = np.array([spread(d.one) for d in level])
    correlation = correlation_of(weights @ np.diag(variances) @ weights.T)
    margin = least_luck(level, weights[:, 0], correlation, quantile)
    lowered, _ = _differences(metric, base, drop, groups, design.correlation)
    return is_noticed(lowered[0], margin, quantile)
