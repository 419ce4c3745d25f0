"""Group comparisons at equal case mix: each group is weighted to the mix of all groups together.

The positives and the negatives of each group get weights that give its diagnoses, ages, sites (the
given columns) the same mix as in all groups together. Sensitivity, specificity and AUROC are
those of the weighted images, and groups are compared as without weights
(`equiderm.audit.differences`). If a group has too few images of a kind, that kind is left out of
all groups, and named.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.comparable import Comparable, LeftOut, Thin, covariate_of
from equiderm.audit.differences import Compared, Differences
from equiderm.audit.metrics import HEADLINE
from equiderm.errors import InputError
from equiderm.records import Record, remembered
from equiderm.statistics.delong import kish_n, placements
from equiderm.statistics.estimates import Estimate, Ranked, Share, interval
from equiderm.statistics.intervals import effective_n, steadied

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from equiderm.audit.groups import ByGroup

CLASSES = ("positives", "negatives")
OF = {"sensitivity": ("positives",), "specificity": ("negatives",), "auroc": CLASSES}
ALONE = "no other group has enough images to be compared with"
NAN = float("nan")


@dataclass(frozen=True)
class Side:
    """A group's figure, and its difference from that of all other groups; NaN if missing.

    Attributes:
        value: The figure, with its 95 % interval ``low`` to ``high``.
        difference: The figure minus that of the other groups, with the interval and p of this
            difference alone. Names in ``_adjusted`` are simultaneous over the groups and adjusted
            over the three figures, as in the verdict. An interval excludes 0 exactly if its p is
            below 0.05.
    """

    value: float = NAN
    low: float = NAN
    high: float = NAN
    difference: float = NAN
    difference_low: float = NAN
    difference_high: float = NAN
    p: float = NAN
    low_adjusted: float = NAN
    high_adjusted: float = NAN
    p_adjusted: float = NAN

    @property
    def others(self) -> float:
        """The figure of the other groups."""
        return self.value - self.difference


@dataclass(frozen=True)
class Row:
    """One figure of one group, as it is and at equal case mix.

    Attributes:
        figure: "auroc", "sensitivity" or "specificity".
        group: Name of the group.
        raw: The figure as it is.
        adjusted: The figure at equal case mix.
        images: Number of images behind the adjusted figure.
        effective_n: Effective number of images of equal weight.
        missing: Why there is no adjusted figure, or empty.
    """

    figure: str
    group: str
    raw: Side
    adjusted: Side
    images: int
    effective_n: float
    missing: str


@dataclass(frozen=True, eq=False, repr=False)
class Adjusted(Record):
    """Every group as it is and at equal case mix; from `Audit.adjusted`.

    Attributes:
        by: The group column.
        columns: The columns that are held equal.
        rows: One row per figure and group.
        thin: Kinds of images that were left out.
        left_out: Groups that cannot be adjusted.
        kept: Number of "positives" and "negatives" behind the adjusted figures.
        total: Likewise, number of all images that are in a group.
    """

    by: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    thin: tuple[Thin, ...]
    left_out: tuple[LeftOut, ...]
    kept: Mapping[str, int]
    total: Mapping[str, int]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per figure and group."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"by": self.by, "figure": row.figure, "group": row.group}
                | {f"raw_{name}": value for name, value in asdict(row.raw).items()}
                | {f"adjusted_{name}": value for name, value in asdict(row.adjusted).items()}
                | {"images": row.images, "effective_n": row.effective_n, "missing": row.missing}
                for row in self.rows
            ]
        )

    @cached_property
    def overlap(self) -> pd.DataFrame:
        """One row per kind of image that was left out because a group has too few."""
        import pandas as pd

        names = ["by", *(field.name for field in fields(Thin))]
        return pd.DataFrame([{"by": self.by} | asdict(kind) for kind in self.thin], columns=names)

    def row(self, figure: str, group: str) -> Row:
        """Return the row of one figure and group."""
        for row in self.rows:
            if (row.figure, row.group) == (figure, group):
                return row
        raise InputError(f"there is no row of '{figure}' and the group '{group}' of {self.by}.")


def adjust_mix(
    results: ByGroup,
    columns: Mapping[str, NDArray[Any]],
) -> Adjusted:
    """Return every group of a grouping as it is and at equal case mix.

    Args:
        results: The results of the grouping.
        columns: The case mix: each column by name, shape (n,).

    Raises:
        InputError: No truth, or a column that is constant, of too many values, or the group column.
    """
    study, by = results.study, results.grouping.name
    if not study.truth:
        raise InputError(
            f"{study.name}: a case mix is held equal by class, so it needs a column of targets."
        )
    covariates = [covariate_of(study, name, cells, by) for name, cells in columns.items()]
    parts = {name: Comparable(results, covariates, name) for name in CLASSES}
    at_equal_mix = _Equal(results, parts)
    raw = _by_group(results.differences())
    rows = _rows(results, raw, at_equal_mix, _by_group(Differences(at_equal_mix)))
    return Adjusted(
        by,
        tuple(columns),
        tuple(rows),
        tuple(kind for part in parts.values() for kind in part.thin),
        tuple(group for part in parts.values() for group in part.left_out),
        {name: len(part.index) for name, part in parts.items()},
        {name: part.total for name, part in parts.items()},
    )


def _by_group(differences: Differences) -> dict[tuple[str, str], Compared]:
    return {(metric, row.group): row for metric in HEADLINE for row in differences.compared(metric)}


def _rows(
    results: ByGroup,
    raw: Mapping[tuple[str, str], Compared],
    equal: _Equal,
    adjusted: Mapping[tuple[str, str], Compared],
) -> list[Row]:
    rows: list[Row] = []
    for metric in HEADLINE:
        alone = ALONE if len(equal.units(metric)) < 2 else ""
        for group in results.grouping.labels:
            figure, why = results.figure(metric, group), equal.missing(metric, group) or alone
            before = _side(figure[:3], raw.get((metric, group)))
            after, images, size = Side(), 0, NAN
            if not why:
                estimate = equal.estimate(metric, group)
                own = (estimate.value, *interval(estimate))
                after = _side(own, adjusted.get((metric, group)))
                images, size = equal.size(metric, group)
            rows.append(Row(metric, group, before, after, images, size, why))
    return rows


def _side(figure: tuple[float, float, float], row: Compared | None) -> Side:
    if row is None:
        return Side(*figure)
    alone = row.difference, row.low, row.high, row.p
    return Side(*figure, *alone, row.low_adjusted, row.high_adjusted, row.p_adjusted)


class _Equal:
    """The figures at equal case mix, as `equiderm.audit.differences.Differences` needs them."""

    def __init__(self, results: ByGroup, parts: Mapping[str, Comparable]) -> None:
        self.study = results.study
        self._raw, self._parts = results, parts
        self.names = list(results.grouping.labels)
        every = np.arange(len(self.study.target))
        self.rows = [every] * len(self.names)

    def missing(self, metric: str, segment: str) -> str:
        """Return why a group has no figure, or an empty text."""
        if why := self._raw.value(metric, segment)[2]:
            return why
        for name in OF[metric]:
            part = self._parts[name]
            if segment not in part.weights:
                reasons = [group.reason for group in part.left_out if group.group == segment]
                return reasons[0] if reasons else ALONE
        return ""

    def units(self, metric: str) -> list[str]:
        """Return the groups that have the figure."""
        return [name for name in self.names if not self.missing(metric, name)]

    def size(self, metric: str, segment: str) -> tuple[int, float]:
        """Return the number of images behind a figure, and their effective number."""
        held = [self._parts[name].weights[segment] for name in OF[metric]]
        return sum(len(own) for own, _ in held), sum(kish_n(weight) for _, weight in held)

    def weight(self, metric: str, segment: str) -> float:
        """Return the weight of a group in the mean of several."""
        sizes = [kish_n(*self._weights(among, segment)) for among in OF[metric]]
        return sizes[0] if len(sizes) == 1 else sizes[0] * sizes[1] / sum(sizes)

    def value(self, metric: str, segment: str) -> tuple[float, int, str]:
        """Return the figure, its number of images, and why it is missing."""
        if why := self.missing(metric, segment):
            return float("nan"), 0, why
        return self.estimate(metric, segment).value, self.size(metric, segment)[0], ""

    def estimate(self, metric: str, segment: str) -> Estimate:
        """Return a figure with its interval at any level."""
        return self._figure(metric, segment)[0]

    def influence(self, metric: str, segment: str) -> NDArray[np.float64]:
        """Return how much each row of the table moves a figure, shape (n,)."""
        return self._figure(metric, segment)[1]

    def _weights(self, among: str, segment: str) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return the weights of a group's rows and their patients."""
        part = self._parts[among]
        own, weight = part.weights[segment]
        index = part.index[own]
        return weight, self.study.cluster_of(index)

    @remembered
    def _figure(self, metric: str, segment: str) -> tuple[Estimate, NDArray[np.float64]]:
        compute = self._ranked if metric == "auroc" else self._share
        return compute(metric, segment)

    def _variance(self, moved: NDArray[np.float64]) -> float:
        patient = self.study.patient
        whole = moved if patient is None else np.bincount(patient, moved)
        return float((whole**2).sum())

    def _share(self, metric: str, segment: str) -> tuple[Estimate, NDArray[np.float64]]:
        (among,) = OF[metric]
        part = self._parts[among]
        own, weight = part.weights[segment]
        positive = self.study.score[part.index[own]] >= self._raw.options.threshold
        hit = (positive == (metric == "sensitivity")).astype(float)
        moved, slopes = part.spread_of(segment, hit, len(self.study.target))
        value = float(np.clip(weight @ hit, 0.0, 1.0))
        least = kish_n(*self._weights(among, segment))
        n = effective_n(value, self._variance(moved), len(own), least)
        return Share(value, n, max(least - 1 - slopes, 1.0)), moved

    def _ranked(self, metric: str, segment: str) -> tuple[Estimate, NDArray[np.float64]]:
        held = [self._parts[name].weights[segment] for name in OF[metric]]
        scores = [
            self.study.score[self._parts[name].index[own]]
            for name, (own, _) in zip(OF[metric], held, strict=True)
        ]
        pair = placements(scores[0], scores[1], (held[0][1], held[1][1]))
        value = float(np.clip(held[0][1] @ pair[0], 0.0, 1.0))
        moved = np.zeros(len(self.study.target))
        whole = below = 0.0
        sizes: list[float] = []
        for name, values in zip(OF[metric], pair, strict=True):
            part, slopes = self._parts[name].spread_of(segment, values, len(moved))
            sizes.append(kish_n(*self._weights(name, segment)))
            moved += part
            variance = self._variance(part)
            whole += variance
            below += variance**2 / max(sizes[-1] - 1 - slopes, 1.0)
        variance = self._variance(moved)
        if variance > 0 and 0 < value < 1:
            variance = steadied(variance, value, sizes[0], sizes[1])
        freedom = whole**2 / below if below > 0 else np.inf
        return Ranked(value, variance, sizes[0], sizes[1], freedom), moved
