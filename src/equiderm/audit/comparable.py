"""The images by which groups can be compared at equal case mix, and their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from equiderm.audit.groupings import MOST_GROUPS, as_text, band_names
from equiderm.errors import InputError
from equiderm.format import counted, listed
from equiderm.statistics.calibrated import balanced, residuals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from equiderm.audit.groups import ByGroup
    from equiderm.audit.input import Study

FEWEST = 20  # images of a class that a group needs to be adjusted
PER_MOMENT = 4  # images of a class that it needs per share or mean to balance
KEPT = 0.5  # share of a class: if less is left, the group that costs most is left out instead
BANDS, DISTINCT = 5, 10  # a number is cut into 5 bands if it has more than 10 different values
UNKNOWN = "not known"


@dataclass(frozen=True)
class Thin:
    """A kind of image of which a group has too few.

    Attributes:
        among: "positives" or "negatives".
        column: Column of the case mix.
        level: Its value.
        group: The group that has too few.
        count: How many images of the kind it has.
        images: How many all groups have; they are left out.
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
        group: Name of the group.
        reason: Why it cannot be adjusted.
    """

    among: str
    group: str
    reason: str


class Covariate(NamedTuple):
    """One column of the case mix: the level of every row, and the number of a numeric column."""

    name: str
    levels: tuple[str, ...]
    codes: NDArray[np.intp]
    number: NDArray[np.float64] | None


def covariate_of(study: Study, name: str, cells: NDArray[Any], by: str) -> Covariate:
    """Return a column of the case mix as levels; numbers with many values as bands and numbers.

    Raises:
        InputError: The group column itself, one value only, or too many different texts.
    """
    import pandas as pd

    if name == by:
        raise InputError(
            f"{study.name}: '{name}' is the group column itself; adjust for other columns."
        )
    column = pd.Series(cells, dtype=object)
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(float)
    known = column.notna().to_numpy(bool)
    if (numbers[known] == numbers[known]).all() and len(np.unique(numbers[known])) > DISTINCT:
        edges = np.quantile(numbers[known], np.arange(1, BANDS) / BANDS)
        span = max(float(np.ptp(numbers[known])), 1e-300)
        edges = np.unique(np.round(edges, max(0, int(np.ceil(1.5 - np.log10(span))))))
        codes = np.where(known, np.searchsorted(edges, numbers, "right"), len(edges) + 1)
        names = (*band_names(edges.tolist()), UNKNOWN)
        filled = np.where(known, numbers, np.median(numbers[known]))
        spread = float(filled.std()) or 1.0
        return Covariate(name, names, codes.astype(np.intp), (filled - filled.mean()) / spread)
    texts = [UNKNOWN if not there else as_text(v) for v, there in zip(column, known, strict=True)]
    codes, levels = pd.factorize(np.array(texts, dtype=object), sort=True)
    if len(levels) == 1:
        raise InputError(
            f"{study.name}: every value in column '{name}' is '{levels[0]}', so it cannot explain "
            "a difference; leave it out of `adjust`."
        )
    if len(levels) > MOST_GROUPS:
        raise InputError(
            f"{study.name}: column '{name}' has {len(levels)} different values, but at most "
            f"{MOST_GROUPS} can be held equal; merge values first."
        )
    return Covariate(name, tuple(map(str, levels)), codes.astype(np.intp), None)


class Comparable:
    """The comparable positives, or negatives, and every group's weights."""

    def __init__(self, results: ByGroup, covariates: Sequence[Covariate], among: str) -> None:
        study, self.among = results.study, among
        self._study, self._labels = study, results.grouping.labels
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
        weight = study.weight_of(self.index)
        self.counts = np.ones(len(self.index)) if weight is None else weight
        self.wanted = self.counts @ self.mix / max(float(self.counts.sum()), 1e-300)
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
        covariates: Sequence[Covariate],
        groups: list[int],
    ) -> tuple[NDArray[np.intp], list[int]]:
        """Return the images of kinds that all groups have, and these groups.

        If under half of a group's images or of all images are left, the group that lacks most is
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
            lacks = [f"{t.column} {t.level} ({t.count})" for t in thin if t.group == name]
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
        covariates: Sequence[Covariate],
        groups: list[int],
    ) -> tuple[NDArray[np.intp], list[Thin], dict[int, int]]:
        """Return the images without thin kinds, these kinds, and the images each group costs."""
        thin: list[Thin] = []
        costs: dict[int, int] = {}
        before = -1
        while len(index) != before and len(index):
            before = len(index)
            for column in covariates:
                size = len(column.levels)
                table = np.array(
                    [
                        np.bincount(column.codes[index[codes[index] == g]], minlength=size)
                        for g in groups
                    ]
                )
                lacking = (table < self._least) & (table.sum(axis=0) > 0)
                out = np.flatnonzero(lacking.any(axis=0))
                for level in out:
                    images = int(table[:, level].sum())
                    for row in np.flatnonzero(lacking[:, level]):
                        costs[groups[row]] = costs.get(groups[row], 0) + images
                        kind = column.name, column.levels[level], self._labels[groups[row]]
                        thin.append(Thin(self.among, *kind, int(table[row, level]), images))
                index = index[~np.isin(column.codes[index], out)]
        return index, thin, costs

    def _weigh(self, group: int) -> None:
        own, name = np.flatnonzero(self._codes == group), self._labels[group]
        moments = int(np.linalg.matrix_rank(self.mix[own])) if self.mix[own].size else 0
        if len(own) < PER_MOMENT * moments:
            reason = f"{len(own)} {self.among} for {moments} shares and means to hold equal"
        elif (weight := balanced(self.mix[own], self.wanted, self.counts[own])) is None:
            reason = f"no weights of its {len(own)} {self.among} give them the common mix"
        else:
            self.weights[name] = own, weight
            return
        self.left_out.append(LeftOut(self.among, name, reason))

    def spread_of(
        self, group: str, values: NDArray[np.float64], rows: int
    ) -> tuple[NDArray[np.float64], int]:
        """Return how much each row moves a weighted mean, shape (rows,), and the slope count."""
        own, weight = self.weights[group]
        patient = self._study.patient_of(self.index[own])
        off, slopes = residuals(values, self.mix[own], weight, patient)
        moved = np.zeros(rows)
        moved[self.index[own]] = weight * off
        share = self.counts / self.counts.sum()
        moved[self.index] += share * ((self.mix - self.wanted) @ slopes)
        return moved, len(slopes)


def _moments(covariates: Sequence[Covariate], index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the variables to balance: all levels but the most common, and the numbers."""
    columns: list[NDArray[np.float64]] = []
    for column in covariates:
        counts = np.bincount(column.codes[index], minlength=len(column.levels))
        present = np.flatnonzero(counts)
        kept = present[present != np.argmax(counts)]
        columns += [(column.codes[index] == level).astype(float) for level in kept]
        if column.number is not None:
            columns.append(column.number[index])
    return np.column_stack(columns) if columns else np.zeros((len(index), 0))
