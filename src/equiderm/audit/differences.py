"""Each group against the others or a reference: one statistic for interval, p and verdict.

A group's difference is tested by its own interval (`equiderm.statistics.simultaneous`). The
correlation between groups and figures is computed from each patient's contributions, so that all
differences are tested jointly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from equiderm.audit.metrics import HEADLINE, METRICS
from equiderm.records import remembered
from equiderm.statistics.estimates import (
    Estimate,
    Mean,
    Ranked,
    Scaled,
    Share,
    freedom_of_sum,
    spread,
)
from equiderm.statistics.intervals import ALPHA, Z95, effective_n
from equiderm.statistics.simultaneous import DRAWS, Difference, Largest, beside, correlation_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from equiderm.audit.input import Study

LEVEL = 0.95


class Figures(Protocol):
    """The figures of groups that are compared, such as `ByGroup`."""

    @property
    def study(self) -> Study: ...  # noqa: D102

    @property
    def names(self) -> list[str]: ...  # noqa: D102

    @property
    def rows(self) -> list[NDArray[np.intp]]: ...  # noqa: D102

    def units(self, metric: str) -> list[str]: ...  # noqa: D102
    def estimate(self, metric: str, segment: str) -> Estimate: ...  # noqa: D102
    def weight(self, metric: str, segment: str) -> float: ...  # noqa: D102
    def value(self, metric: str, segment: str) -> tuple[float, int, str]: ...  # noqa: D102
    def influence(self, metric: str, segment: str) -> NDArray[np.float64]: ...  # noqa: D102


class Compared(NamedTuple):
    """A group's figure minus that of the others (or of a reference).

    ``low``, ``high`` and ``p`` are of this difference alone. Names in ``_adjusted`` are
    simultaneous over the groups of the column and, for AUROC, sensitivity and specificity, adjusted
    over the three (Holm). An interval excludes 0 exactly if its p is below 0.05. ``ratio`` is the
    group's figure over the other's, with its own 95 % interval.
    """

    metric: str
    group: str
    estimate: Estimate
    other: Estimate
    difference: float
    low: float
    high: float
    p: float
    low_adjusted: float
    high_adjusted: float
    p_adjusted: float
    ratio: float
    ratio_low: float
    ratio_high: float

    @property
    def established(self) -> bool:
        """Whether the difference is beyond chance."""
        return self.p_adjusted < ALPHA


@dataclass(frozen=True)
class Contrasts:
    """The differences of one figure between groups, before they are tested.

    Attributes:
        metric: The figure.
        groups: The compared groups: ``names`` without the reference.
        differences: One per compared group.
        weights: Shape (groups, names): a difference is the weighted sum of the groups' figures.
        names: The groups that have the figure.
    """

    metric: str
    groups: tuple[str, ...]
    differences: tuple[Difference, ...]
    weights: NDArray[np.float64]
    names: tuple[str, ...]

    @property
    def largest(self) -> float:
        """The largest statistic."""
        return max(difference.statistic for difference in self.differences)


class Differences:
    """All differences of one grouping, cached by `ByGroup.differences`.

    Args:
        results: The figures of the grouping.
        reference: The group to compare with; by default all others.
        level: Level of the adjusted intervals; p is below 1 - ``level`` exactly if they exclude 0.
        family: The figures that are tested jointly; every other is tested alone.
    """

    def __init__(
        self,
        results: Figures,
        reference: str | None = None,
        level: float = LEVEL,
        family: tuple[str, ...] = HEADLINE,
    ) -> None:
        self.results = results
        self.reference = reference
        self.level = level
        self.family = family
        self._judged: dict[str, tuple[float, float, Largest]] = {}

    @remembered
    def contrasts(self, metric: str) -> Contrasts | None:
        """Return the differences of one figure; None if fewer than two groups have it."""
        names = tuple(self.results.units(metric))
        if len(names) < 2 or (self.reference is not None and self.reference not in names):
            return None
        estimates = [self.results.estimate(metric, name) for name in names]
        size = np.array([self.results.weight(metric, name) for name in names])
        counts = np.array([float(self.results.value(metric, name)[1]) for name in names])
        covariance = self._covariance([(metric, name) for name in names])
        groups = tuple(name for name in names if name != self.reference)
        weights = np.zeros((len(groups), len(names)))
        differences: list[Difference] = []
        for k, name in enumerate(groups):
            own = names.index(name)
            rest = np.array([float(other != name) for other in names])
            if self.reference is not None:
                rest = np.array([float(other == self.reference) for other in names])
            rest *= size / (rest * size).sum()
            weights[k] = -rest
            weights[k, own] += 1.0
            differences.append(from_others(estimates, own, rest, counts, covariance))
        return Contrasts(metric, groups, tuple(differences), weights, names)

    def _covariance(self, columns: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Return the covariance of figures of groups, from each patient's contributions."""
        results, study = self.results, self.results.study

        def moved(metric: str, group: str) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
            if metric in METRICS and METRICS[metric].influence is None:
                return np.array([], dtype=np.intp), np.array([])
            rows = results.rows[results.names.index(group)]
            return study.cluster_of(rows), results.influence(metric, group)

        covariance = covariance_of([moved(*column) for column in columns], study.clusters)
        # A figure of exactly 0 or 1 has an observed variance of 0, which is too low.
        least = [spread(results.estimate(*column)) for column in columns]
        np.fill_diagonal(covariance, np.maximum(np.diag(covariance), least))
        return covariance

    @remembered
    def correlation(self, metrics: tuple[str, ...]) -> NDArray[np.float64]:
        """Return the correlation of all differences of several figures."""
        parts = self._compared(metrics)
        columns = [(part.metric, name) for part in parts for name in part.names]
        weights = np.zeros((sum(len(part.groups) for part in parts), len(columns)))
        row = column = 0
        for part in parts:
            high, wide = part.weights.shape
            weights[row : row + high, column : column + wide] = part.weights
            row, column = row + high, column + wide
        return correlation_of(weights @ self._covariance(columns) @ weights.T)

    def usual_quantile(self, metric: str) -> float:
        """Return the quantile that a difference must usually exceed to be established.

        AUROC, sensitivity and specificity rarely change alone. In about half of the cases another
        of them is established first, and this one is then tested without it: the mean of both.
        """
        if metric not in HEADLINE:
            return self._quantile((metric,))
        others = [name for name in HEADLINE if name != metric]
        rank = [name for name in others if METRICS[name].interval == "rank"]
        without = tuple(name for name in HEADLINE if name not in (rank or others[:1]))
        return (self._quantile(HEADLINE) + self._quantile(without)) / 2

    @remembered
    def _quantile(self, metrics: tuple[str, ...]) -> float:
        draws = DRAWS if metrics[0] in HEADLINE else DRAWS // 4
        largest = Largest(self.correlation(metrics), draws)
        return max(largest.quantile(self.level), Z95)

    def _compared(self, metrics: tuple[str, ...]) -> list[Contrasts]:
        """Return the differences of those of the figures that can be compared."""
        return [part for metric in metrics if (part := self.contrasts(metric)) is not None]

    def judge(self, metric: str) -> tuple[float, float, Largest] | None:
        """Return the quantile, the lowest p and the null distribution by which a figure is tested.

        The figures of the family (AUROC, sensitivity and specificity) are tested in steps: first
        the one with the largest statistic, among all; if it is established, the others without it.
        Every other figure is tested alone.

        Source:
            Holm's (1979) steps with the joint distribution instead of the sum of the p-values:
            Romano and Wolf 2005, JASA 100:94.
        """
        if metric not in self._judged:
            self._judge(self.family if metric in self.family else (metric,))
        return self._judged.get(metric)

    def _judge(self, metrics: tuple[str, ...]) -> None:
        parts = sorted(self._compared(metrics), key=lambda part: -part.largest)
        least, quantile, step = 0.0, Z95, None
        for k, first in enumerate(parts):
            if step is None or least < round(1 - self.level, 12):
                draws = DRAWS if metrics == self.family else DRAWS // 4
                step = Largest(self.correlation(tuple(part.metric for part in parts[k:])), draws)
                quantile = max(step.quantile(self.level), Z95)
            self._judged[first.metric] = quantile, least, step
            least = max(least, step.p(first.largest))

    def compared(self, metric: str) -> list[Compared]:
        """Return each group's difference, in the order of the groups."""
        contrasts, judged = self.contrasts(metric), self.judge(metric)
        if contrasts is None or judged is None:
            return []
        quantile, least, largest = judged
        rows: list[Compared] = []
        for name, off in zip(contrasts.groups, contrasts.differences, strict=True):
            adjusted = off.interval(quantile)
            p = beside(max(least, off.p, largest.p(off.statistic)), *adjusted, self.level)
            ends = (*off.interval(Z95), off.p, *adjusted, p, *off.ratio(Z95))
            rows.append(Compared(metric, name, off.one, off.other, off.value, *ends))
        return rows


def row_to_name(compared: Sequence[Compared]) -> Compared:
    """Return the row to name in a verdict: established and worse, else established, else worse."""

    def rank(row: Compared) -> tuple[bool, bool, float, float, float]:
        worse = row.difference * (METRICS[row.metric].better or 1) < 0
        return not row.established, not worse, row.p_adjusted, row.p, -abs(row.difference)

    return min(compared, key=rank)


def covariance_of(
    moved: Sequence[tuple[NDArray[np.intp], NDArray[np.float64]]], clusters: int
) -> NDArray[np.float64]:
    """Return the covariance of several figures, shape (k, k); most pairs share no patient.

    Args:
        moved: For each figure, the patients (or rows) behind it and how much each moves it.
        clusters: Number of patients (or rows).
    """
    from scipy import sparse

    used = [np.flatnonzero(values) for _, values in moved]
    places = np.repeat(np.arange(len(moved)), list(map(len, used)))
    people = [who[kept] for (who, _), kept in zip(moved, used, strict=True)]
    values = [value[kept] for (_, value), kept in zip(moved, used, strict=True)]
    cells = np.concatenate(values), (np.concatenate(people), places)
    table = sparse.csr_array(sparse.coo_array(cells, shape=(clusters, len(moved))))
    return np.asarray((table.T @ table).todense(), dtype=np.float64)


def from_others(
    estimates: Sequence[Estimate],
    own: int,
    rest: NDArray[np.float64],
    counts: NDArray[np.float64],
    covariance: NDArray[np.float64],
) -> Difference:
    """Return a group's estimate minus that of the others, weighted by ``rest`` (`combined`)."""
    other = combined(estimates, rest, counts, covariance)
    scale = np.sqrt(covariance[own, own] * (rest @ covariance @ rest))
    shared = float(covariance[own] @ rest / scale) if scale > 0 else 0.0
    return Difference(estimates[own], other, shared)


def combined(
    estimates: Sequence[Estimate],
    weights: NDArray[np.float64],
    counts: NDArray[np.float64],
    covariance: NDArray[np.float64],
) -> Estimate:
    """Return the weighted mean of several groups' estimates as one estimate.

    Args:
        estimates: One per group, length k.
        weights: For a share the rows of each group (or their weights), so that the mean is the
            share of all rows. For an AUROC those with the lowest variance for independent groups:
            the others' AUROC is within groups, never between, so that scores which are higher in
            one group have no effect. Shape (k,), sum 1, 0 for groups to leave out.
        counts: Rows behind each estimate, shape (k,).
        covariance: Covariance of the estimates, shape (k, k).
    """
    used = np.flatnonzero(weights).tolist()
    parts = [estimates[k] for k in used]
    if len(parts) == 1:
        return parts[0]
    values = np.array([part.value for part in parts])
    value = float(sum(weights[k] * estimates[k].value for k in used))
    value = min(max(value, values.min()), values.max())  # rounding may put shares of 1 above 1
    variance = float(weights @ covariance @ weights)
    if all(isinstance(part, Share) for part in parts):
        n = float(counts[used].sum())
        least = sum(part.n for part in parts)  # pyright: ignore[reportAttributeAccessIssue]
        freedom = freedom_of_sum(parts, weights[used])
        return Share(value, effective_n(value, variance, n, least), freedom)
    if all(isinstance(part, Ranked) for part in parts):
        m, n = (sum(getattr(part, kind) for part in parts) for kind in ("positives", "negatives"))
        return Ranked(value, variance, m, n, freedom_of_sum(parts, weights[used]))
    if all(isinstance(part, Mean) for part in parts):
        scale: str = parts[0].scale  # pyright: ignore[reportAttributeAccessIssue]
        return Mean(value, variance, freedom_of_sum(parts, weights[used]), scale)
    low, high = np.transpose([part.bounds(Z95) for part in parts])
    w = weights[used]
    return Scaled(
        value,
        value - float(np.sqrt((w**2 * (values - low) ** 2).sum())),
        value + float(np.sqrt((w**2 * (high - values) ** 2).sum())),
    )
