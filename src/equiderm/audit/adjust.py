"""The gap at equal case mix: each group weighted to the mix that all groups together have.

Among the positives, and among the negatives, every group's images get weights with which its
diagnoses, ages, sites (the columns given) are mixed as in all groups together. Its sensitivity,
specificity and AUROC are then those of the weighted images, and groups are judged as they are
without weights (`equiderm.audit.differences`). Where a group has too few images of a kind, that
kind is left out for all groups, and named.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from equiderm.audit.differences import Compared, Differences
from equiderm.audit.groupings import MOST_GROUPS, as_text
from equiderm.audit.metrics import HEADLINE
from equiderm.errors import InputError
from equiderm.format import counted, listed
from equiderm.records import Record
from equiderm.statistics.calibrated import balanced, residuals
from equiderm.statistics.delong import people, placements
from equiderm.statistics.estimates import Estimate, Ranked, Share, interval
from equiderm.statistics.intervals import effective_n, steadied

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from equiderm.audit.groups import ByGroup
    from equiderm.audit.input import Study

CLASSES = ("positives", "negatives")
OF = {"sensitivity": ("positives",), "specificity": ("negatives",), "auroc": CLASSES}
FEWEST = 20  # images of a class, for a group to be adjusted at all
PER_MOMENT = 4  # images of a class for each share or mean that is balanced
KEPT = 0.5  # of a class: where less is left, the group that costs most is left out instead
BANDS, DISTINCT = 5, 10  # of a number: how many it is cut into; with fewer values it is not
UNKNOWN = "not known"
ALONE = "no other group has enough images to be compared with"
NAN = float("nan")


@dataclass(frozen=True)
class Thin:
    """A kind of image that a group has too few of.

    Attributes:
        among: "positives" or "negatives".
        column: Of the case mix.
        level: Its value.
        group: Which has too few.
        count: How many it has.
        images: How many all groups have: they are left out.
    """

    among: str
    column: str
    level: str
    group: str
    count: int
    images: int


@dataclass(frozen=True)
class LeftOut:
    """A group that cannot be adjusted.

    Attributes:
        among: "positives" or "negatives".
        group: Its name.
        reason: Why.
    """

    among: str
    group: str
    reason: str


@dataclass(frozen=True)
class Side:
    """A group's figure, and its difference from that of all other groups; NaN where missing.

    Attributes:
        value: The figure, with its 95 % interval ``low`` to ``high``.
        difference: Minus that of the other groups, with the interval and p of this difference
            alone; those that end in ``_adjusted`` are simultaneous over the groups and adjusted
            over the three figures, as the verdict's. Each interval excludes 0 where its p is below
            0.05.
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


@dataclass(frozen=True)
class Row:
    """One figure of one group, as it is and at equal case mix.

    Attributes:
        figure: "auroc", "sensitivity" or "specificity".
        group: Its name.
        raw: As it is.
        adjusted: At equal case mix.
        images: Behind the adjusted figure.
        effective_n: As how many images of equal weight they count.
        missing: Why there is no adjusted figure.
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
    """Every group as it is and at equal case mix; made by `Audit.adjusted`.

    Attributes:
        by: The group column.
        columns: What is held equal.
        rows: A row for each figure and group.
        thin: Kinds of images that were left out.
        left_out: Groups that cannot be adjusted.
        kept: By "positives" and "negatives", the images behind the adjusted figures.
        total: Likewise, all images that are in a group.
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
        """One row for each figure and group."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"by": self.by, "figure": one.figure, "group": one.group}
                | {f"raw_{name}": value for name, value in asdict(one.raw).items()}
                | {f"adjusted_{name}": value for name, value in asdict(one.adjusted).items()}
                | {"images": one.images, "effective_n": one.effective_n, "missing": one.missing}
                for one in self.rows
            ]
        )

    @cached_property
    def overlap(self) -> pd.DataFrame:
        """One row for each kind of image that was left out because a group has too few."""
        import pandas as pd

        names = ["by", *(one.name for one in fields(Thin))]
        return pd.DataFrame([{"by": self.by} | asdict(one) for one in self.thin], columns=names)

    def row(self, figure: str, group: str) -> Row:
        """Return the row of one figure and group."""
        for one in self.rows:
            if (one.figure, one.group) == (figure, group):
                return one
        raise InputError(f"there is no row of '{figure}' and the group '{group}' of {self.by}.")


def adjust_mix(
    results: ByGroup,
    columns: Mapping[str, NDArray[Any]],
) -> Adjusted:
    """Return every group of a grouping as it is and at equal case mix.

    Args:
        results: The grouping's figures.
        columns: The case mix: the cells of each column, shape (n,).

    Raises:
        InputError: No truth, or a column that is constant, of too many values, or the group column.
    """
    study, by = results.study, results.grouping.name
    if not study.truth:
        raise InputError(
            f"{study.name}: a case mix is of positives and negatives, and the truth is not known."
        )
    covariates = [_covariate(study, name, cells, by) for name, cells in columns.items()]
    parts = {name: _Part(results, covariates, name) for name in CLASSES}
    at_equal_mix = _Equal(results, parts)
    raw = _by_group(results.differences())
    rows = _rows(results, raw, at_equal_mix, _by_group(Differences(at_equal_mix)))
    return Adjusted(
        by,
        tuple(columns),
        tuple(rows),
        tuple(one for part in parts.values() for one in part.thin),
        tuple(one for part in parts.values() for one in part.left_out),
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


class _Covariate(NamedTuple):
    """One column of the case mix: the level of every row, and its number where it is one."""

    name: str
    levels: tuple[str, ...]
    codes: NDArray[np.intp]
    number: NDArray[np.float64] | None


def _covariate(study: Study, name: str, cells: NDArray[Any], by: str) -> _Covariate:
    """Return a column as levels; numbers of many values as bands, and as numbers within them."""
    import pandas as pd

    if name == by:
        raise InputError(
            f"{study.name}: '{name}' is the group column itself; adjust for what groups differ in."
        )
    column = pd.Series(cells, dtype=object)
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(float)
    known = column.notna().to_numpy(bool)
    if (numbers[known] == numbers[known]).all() and len(np.unique(numbers[known])) > DISTINCT:
        edges = np.quantile(numbers[known], np.arange(1, BANDS) / BANDS)
        span = max(float(np.ptp(numbers[known])), 1e-300)
        edges = np.unique(np.round(edges, max(0, int(np.ceil(1.5 - np.log10(span))))))
        codes = np.where(known, np.searchsorted(edges, numbers, "right"), len(edges) + 1)
        names = (
            f"under {edges[0]:g}",
            *(f"{a:g} to under {b:g}" for a, b in pairwise(edges)),
            f"{edges[-1]:g} or more",
            UNKNOWN,
        )
        filled = np.where(known, numbers, np.median(numbers[known]))
        spread = float(filled.std()) or 1.0
        return _Covariate(name, names, codes.astype(np.intp), (filled - filled.mean()) / spread)
    texts = [UNKNOWN if not there else as_text(v) for v, there in zip(column, known, strict=True)]
    codes, levels = pd.factorize(np.array(texts, dtype=object), sort=True)
    if len(levels) == 1:
        raise InputError(
            f"{study.name}: every value in column '{name}' is '{levels[0]}'; it cannot explain a "
            "difference, leave it out of `adjust`."
        )
    if len(levels) > MOST_GROUPS:
        raise InputError(
            f"{study.name}: column '{name}' has {len(levels)} different values, at most "
            f"{MOST_GROUPS} can be held equal; join values first."
        )
    return _Covariate(name, tuple(map(str, levels)), codes.astype(np.intp), None)


class _Part:
    """The positives or the negatives: who is comparable, and every group's weights."""

    def __init__(self, results: ByGroup, covariates: Sequence[_Covariate], among: str) -> None:
        study, self.among = results.study, among
        self._labels, self._patient = results.grouping.labels, study.patient
        self._least = results.options.min_count
        codes = results.grouping.codes
        index = np.flatnonzero((study.target == (among == "positives")) & (codes >= 0))
        self.total = len(index)
        self.thin: list[Thin] = []
        self.left_out: list[LeftOut] = []
        groups = self._large_enough(codes[index])
        index, groups = self._comparable(index, codes, covariates, groups)
        self.index = index[np.isin(codes[index], groups)]
        self._codes = codes[self.index]
        self.mix = _moments(covariates, self.index)
        self.counts = None if study.weight is None else study.weight[self.index]
        counts = np.ones(len(self.index)) if self.counts is None else self.counts
        self.wanted = counts @ self.mix / max(float(counts.sum()), 1e-300)
        self.weights: dict[str, tuple[NDArray[np.intp], NDArray[np.float64]]] = {}
        for group in groups:
            self._weigh(group)

    def _large_enough(self, codes: NDArray[np.intp]) -> list[int]:
        counts = np.bincount(codes, minlength=len(self._labels))
        for k in np.flatnonzero(counts < FEWEST):
            reason = f"{counted(int(counts[k]), self.among[:-1])}, {FEWEST} are needed"
            self.left_out.append(LeftOut(self.among, self._labels[k], reason))
        return np.flatnonzero(counts >= FEWEST).tolist()

    def _comparable(
        self,
        index: NDArray[np.intp],
        codes: NDArray[np.intp],
        covariates: Sequence[_Covariate],
        groups: list[int],
    ) -> tuple[NDArray[np.intp], list[int]]:
        """Return the images of kinds that all groups have, and the groups.

        Where these are under half of a group's or of all images, the group that lacks the most is
        left out instead.
        """
        index = index[np.isin(codes[index], groups)]
        while len(groups) > 1:
            kept, thin, costs = self._without_thin(index, codes, covariates, groups)
            share = [np.isin(kept, index[codes[index] == g]).sum() for g in groups]
            whole = [(codes[index] == g).sum() for g in groups]
            if len(kept) >= KEPT * len(index) and all(
                a >= KEPT * b and a >= FEWEST for a, b in zip(share, whole, strict=True)
            ):
                self.thin += thin
                return kept, groups
            worst = max(groups, key=lambda g: (costs.get(g, 0), -int((codes[index] == g).sum())))
            name = self._labels[worst]
            lacks = [f"{one.column} {one.level} ({one.count})" for one in thin if one.group == name]
            reason = (
                f"under {self._least} {self.among} with {listed(lacks, most=4)}; together these "
                f"are {costs.get(worst, 0):,} of the {len(index):,} of all groups"
                if lacks
                else f"with the kinds that all groups have, too few of its {self.among} are left"
            )
            self.left_out.append(LeftOut(self.among, self._labels[worst], reason))
            groups = [g for g in groups if g != worst]
            index = index[codes[index] != worst]
        return index, groups

    def _without_thin(
        self,
        index: NDArray[np.intp],
        codes: NDArray[np.intp],
        covariates: Sequence[_Covariate],
        groups: list[int],
    ) -> tuple[NDArray[np.intp], list[Thin], dict[int, int]]:
        """Return the images without thin kinds, these kinds, and what each group's lack costs."""
        thin: list[Thin] = []
        costs: dict[int, int] = {}
        before = -1
        while len(index) != before and len(index):
            before = len(index)
            for one in covariates:
                size = len(one.levels)
                table = np.array(
                    [
                        np.bincount(one.codes[index[codes[index] == g]], minlength=size)
                        for g in groups
                    ]
                )
                lacking = (table < self._least) & (table.sum(axis=0) > 0)
                out = np.flatnonzero(lacking.any(axis=0))
                for level in out:
                    images = int(table[:, level].sum())
                    for row in np.flatnonzero(lacking[:, level]):
                        costs[groups[row]] = costs.get(groups[row], 0) + images
                        kind = one.name, one.levels[level], self._labels[groups[row]]
                        thin.append(Thin(self.among, *kind, int(table[row, level]), images))
                index = index[~np.isin(one.codes[index], out)]
        return index, thin, costs

    def _weigh(self, group: int) -> None:
        own, name = np.flatnonzero(self._codes == group), self._labels[group]
        moments = int(np.linalg.matrix_rank(self.mix[own])) if len(own) else 0
        reason = ""
        if len(own) < PER_MOMENT * moments:
            reason = f"{len(own)} {self.among} for {moments} shares and means to hold equal"
        else:
            counts = None if self.counts is None else self.counts[own]
            weight = balanced(self.mix[own], self.wanted, counts)
            if weight is None:
                reason = f"no weights of its {len(own)} {self.among} give them the common mix"
            else:
                self.weights[name] = own, weight
        if reason:
            self.left_out.append(LeftOut(self.among, name, reason))

    def spread_of(
        self, group: str, values: NDArray[np.float64], rows: int
    ) -> tuple[NDArray[np.float64], int]:
        """Return how much each row of the table moves a weighted mean, and the slopes' number."""
        own, weight = self.weights[group]
        patient = None if self._patient is None else self._patient[self.index[own]]
        off, slopes = residuals(values, self.mix[own], weight, patient)
        moved = np.zeros(rows)
        moved[self.index[own]] = weight * off
        counts = np.ones(len(self.index)) if self.counts is None else self.counts
        moved[self.index] += counts / counts.sum() * ((self.mix - self.wanted) @ slopes)
        return moved, len(slopes)


def _moments(covariates: Sequence[_Covariate], index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return what is balanced: shares of the levels but the commonest, means of the numbers."""
    columns: list[NDArray[np.float64]] = []
    for one in covariates:
        counts = np.bincount(one.codes[index], minlength=len(one.levels))
        some = np.flatnonzero(counts)
        kept = some[some != np.argmax(counts)]
        columns += [(one.codes[index] == level).astype(float) for level in kept]
        if one.number is not None:
            columns.append(one.number[index])
    return np.column_stack(columns) if columns else np.zeros((len(index), 0))


class _Equal:
    """The figures at equal case mix, as `equiderm.audit.differences.Differences` asks for them."""

    def __init__(self, results: ByGroup, parts: Mapping[str, _Part]) -> None:
        self.study = results.study
        self._raw, self._parts = results, parts
        self.names = list(results.grouping.labels)
        every = np.arange(len(self.study.target))
        self.rows = [every] * len(self.names)
        self._made: dict[tuple[str, str], tuple[Estimate, NDArray[np.float64]]] = {}

    def missing(self, metric: str, segment: str) -> str:
        """Return why a group has no figure, or nothing."""
        if why := self._raw.value(metric, segment)[2]:
            return why
        for name in OF[metric]:
            part = self._parts[name]
            if segment not in part.weights:
                reasons = [one.reason for one in part.left_out if one.group == segment]
                return reasons[0] if reasons else ALONE
        return ""

    def units(self, metric: str) -> list[str]:
        """Return the groups that have the figure."""
        return [name for name in self.names if not self.missing(metric, name)]

    def size(self, metric: str, segment: str) -> tuple[int, float]:
        """Return images behind a figure, and as how many of equal weight they count."""
        held = [self._parts[name].weights[segment] for name in OF[metric]]
        return sum(len(own) for own, _ in held), sum(people(weight) for _, weight in held)

    def weight(self, metric: str, segment: str) -> float:
        """Return how much a group counts in the mean of several."""
        sizes = [people(*self._weighed(among, segment)) for among in OF[metric]]
        return sizes[0] if len(sizes) == 1 else sizes[0] * sizes[1] / sum(sizes)

    def value(self, metric: str, segment: str) -> tuple[float, int, str]:
        """Return the figure, the images it counts, and why it is missing."""
        if why := self.missing(metric, segment):
            return float("nan"), 0, why
        return self.estimate(metric, segment).value, self.size(metric, segment)[0], ""

    def estimate(self, metric: str, segment: str) -> Estimate:
        """Return a figure with its interval at every level."""
        return self._figure(metric, segment)[0]

    def influence(self, metric: str, segment: str) -> NDArray[np.float64]:
        """Return how much each row of the table moves a figure, shape (n,)."""
        return self._figure(metric, segment)[1]

    def _weighed(self, among: str, segment: str) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return a group's weights and whose row each is."""
        part = self._parts[among]
        own, weight = part.weights[segment]
        index = part.index[own]
        return weight, index if self.study.patient is None else self.study.patient[index]

    def _figure(self, metric: str, segment: str) -> tuple[Estimate, NDArray[np.float64]]:
        if (metric, segment) not in self._made:
            make = self._ranked if metric == "auroc" else self._share
            self._made[metric, segment] = make(metric, segment)
        return self._made[metric, segment]

    def _variance(self, moved: NDArray[np.float64]) -> float:
        patient = self.study.patient
        whole = moved if patient is None else np.bincount(patient, moved)
        return float((whole**2).sum())

    def _share(self, metric: str, segment: str) -> tuple[Estimate, NDArray[np.float64]]:
        (among,) = OF[metric]
        part = self._parts[among]
        own, weight = part.weights[segment]
        called = self.study.score[part.index[own]] >= self._raw.options.threshold
        hit = (called == (metric == "sensitivity")).astype(float)
        moved, slopes = part.spread_of(segment, hit, len(self.study.target))
        value = float(np.clip(weight @ hit, 0.0, 1.0))
        least = people(*self._weighed(among, segment))
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
            sizes.append(people(*self._weighed(name, segment)))
            moved += part
            variance = self._variance(part)
            whole += variance
            below += variance**2 / max(sizes[-1] - 1 - slopes, 1.0)
        variance = self._variance(moved)
        if variance > 0 and 0 < value < 1:
            variance = steadied(variance, value, sizes[0], sizes[1])
        freedom = whole**2 / below if below > 0 else np.inf
        return Ranked(value, variance, sizes[0], sizes[1], freedom), moved
