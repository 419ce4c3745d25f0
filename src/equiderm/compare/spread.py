"""A figure of many runs on one test set, and what each patient contributes to its errors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.class_figures import in_every_group
from equiderm.compare.measures import MEASURES, MacroAuroc, Measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.audit.groupings import Grouping

FAR = 3.0  # standard errors from the worst (best) group from which another cannot be the worst
DRAWS = 1000  # for the mean of the least of a few normal variables


@dataclass(frozen=True)
class Test:
    """The images of a test set.

    Attributes:
        name: Its name.
        target: Booleans, shape (n,); indices of several classes, ranks of ordered ones, or numbers.
        patient: Whole numbers from 0, shape (n,).
        grouping: Each image's group.
        splits: Rows that the runs of each split were tested on; empty: there is one split, and all
            runs were tested on all rows.
        kind: Kind of target: ``binary``, ``classes``, ``ordered`` or ``number``.
        classes: Names of the classes.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    name: str
    target: NDArray[Any]
    patient: NDArray[np.intp]
    grouping: Grouping
    splits: tuple[NDArray[np.intp], ...] = ()
    kind: str = "binary"
    classes: tuple[str, ...] = ()

    @property
    def tested(self) -> tuple[NDArray[np.intp], ...]:
        """Rows that each split tests."""
        return self.splits or (np.arange(len(self.target)),)

    @cached_property
    def measure(self) -> Measure:
        """The figure that is compared.

        For several classes the mean is over the same ones in every group: those that each group has
        enough images of, except groups that lack most classes. If these are fewer than two, it is
        over those that all images together have enough of.
        """
        if self.kind != "classes":
            return MEASURES[self.kind]
        every, anywhere = range(len(self.classes)), np.ones(len(self.target), bool)
        groups = [self.grouping.codes == k for k in range(len(self.grouping.labels))]
        has = np.array([[self._has(k, group) for group in groups] for k in every])
        _, kept = in_every_group(has.reshape(len(every), len(groups)))
        if len(kept) < 2:
            kept = [k for k in every if self._has(k, anywhere)]
        return MacroAuroc(tuple(kept), self.classes)

    def _has(self, index: int, group: NDArray[np.bool_]) -> bool:
        """Return whether a group has enough images of a class, and of others, in every split."""
        rows = [tested[group[tested]] for tested in self.tested]
        binary = MEASURES["binary"]
        return not any(binary.missing(self.target[r] == index, self.patient[r]) for r in rows)

    def behind(self, rows: NDArray[np.intp]) -> tuple[int, int]:
        """Return how many patients are behind the figure of some rows."""
        return self.measure.behind(self.target[rows], self.patient[rows])

    def missing(self, group: int) -> str:
        """Return why a group has no figure in some split, or nothing."""
        for j, tested in enumerate(self.tested):
            rows = tested[self.grouping.codes[tested] == group]
            if why := self.measure.missing(self.target[rows], self.patient[rows]):
                return f"split {j}: {why}" if self.splits else why
        return ""

    @property
    def kept(self) -> list[int]:
        """Groups that have a figure."""
        return [k for k in range(len(self.grouping.labels)) if not self.missing(k)]


@dataclass(frozen=True)
class Spread:
    """Every figure of every run, and what each patient adds to its error.

    Attributes:
        figures: Names of the figures, F of them: ``overall``, the groups, ``worst``, ``gap``.
        values: Of each run, shape (experiments, runs, F), times the measure's sign but for the gap;
            NaN for a run that has no scores.
        parts: What each patient adds to a figure's error, shape (experiments, runs, F, patients);
            0 where the run was not tested on the patient. Products summed over patients are
            covariances. Those of the worst group and of the gap are their groups'.
        noise: How far noise alone can move a run's worst group down and its gap up, shape
            (experiments, runs, 2).
        maybe_worst: Groups that may be the worst of some run, shape (experiments, groups).
        maybe_best: Groups that may be the best, likewise.
        patients: Patients with a positive and with a negative image behind each figure, shape
            (F, 2), of the split that has the fewest; for other targets see `Measure.behind`.
        split: Split of each run, shape (runs,); the seeds of a split one after the other.
        measure: The figure that is compared.
    """

    figures: tuple[str, ...]
    values: NDArray[np.float64]
    parts: NDArray[np.float32]
    noise: NDArray[np.float64]
    maybe_worst: NDArray[np.bool_]
    maybe_best: NDArray[np.bool_]
    patients: NDArray[np.intp]
    split: NDArray[np.intp]
    measure: Measure = MEASURES["binary"]


def spread(test: Test, scores: NDArray[np.float64]) -> Spread:
    """Return the figures of every run, and what each patient adds to their errors.

    Args:
        test: The images.
        scores: Shape (experiments, runs, n), of several classes (experiments, runs, n, classes); as
            many runs of each split, one split after the other; all NaN for a run that has none.
            Scores of rows that a run's split does not test are ignored.
    """
    inside = [test.grouping.codes == k for k in test.kept]
    rows = [[index, *(index[group[index]] for group in inside)] for index in test.tested]
    e, s = scores.shape[:2]
    split = np.repeat(np.arange(len(rows)), s // len(rows))
    patients = int(test.patient.max()) + 1
    values = np.full((e, s, len(inside) + 3), np.nan)
    parts = np.full((*values.shape, patients), np.nan, dtype=np.float32)
    noise = np.full((e, s, 2), np.nan)
    maybe = np.zeros((2, e, len(inside)), dtype=np.bool_)
    for run in np.ndindex(e, s):
        own = rows[split[run[1]]]
        if not np.isfinite(scores[run][own[0]]).all():
            continue
        for f, index in enumerate(own):
            value, of = test.measure.of(
                test.target[index], scores[*run][index], test.patient[index]
            )
            values[*run, f] = value
            parts[*run, f] = np.pad(of, (0, patients - len(of)))
        if len(inside) > 1:
            groups, of = values[*run, 1:-2], parts[*run, 1:-2].astype(np.float64)
            worst, best = groups.argmin(), groups.argmax()
            values[*run, -2:] = groups[worst], groups[best] - groups[worst]
            parts[*run, -2:] = of[worst], of[best] - of[worst]
            down, near_worst = _ends(groups - groups[worst], of - of[worst], of)
            up, near_best = _ends(groups[best] - groups, of - of[best], of)
            noise[*run] = down, down + up
            maybe[0, run[0]] |= near_worst
            maybe[1, run[0]] |= near_best
    names = ("overall", *(test.grouping.labels[k] for k in test.kept), "worst", "gap")
    counts = [[test.behind(index) for index in own] for own in rows]
    behind = np.min(counts, axis=0).tolist()
    behind += [np.min(behind[1:] or behind, axis=0).tolist()] * 2
    behind = np.array(behind, dtype=np.intp)
    return Spread(names, values, parts, noise, maybe[0], maybe[1], behind, split, test.measure)


def _ends(
    distance: NDArray[np.float64], apart: NDArray[np.float64], parts: NDArray[np.float64]
) -> tuple[float, NDArray[np.bool_]]:
    """Return how far noise moves the least of some groups' figures at most, and which may be least.

    A group `FAR` standard errors from the least is not; nearer ones count as equal to it, where
    noise moves the least most.

    Args:
        distance: Of each group from the least, shape (groups,).
        apart: Each group's contributions minus the least's, shape (groups, patients).
        parts: Contributions, shape (groups, patients).
    """
    lead = distance - FAR * np.sqrt((apart**2).sum(axis=1))
    values, vectors = np.linalg.eigh(parts @ parts.T)
    root = vectors * np.sqrt(np.maximum(values, 0))
    normal = np.random.default_rng(0).standard_normal((DRAWS, len(distance)))
    moved = normal @ root.T + np.maximum(lead, 0)
    return max(-float(moved.min(axis=1).mean()), 0.0), lead <= 0
