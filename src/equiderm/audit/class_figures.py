"""Figures of several classes: each class against the rest, and the mean over classes.

Both have the interface that `equiderm.audit.differences` compares, so that several classes use the
same statistics as one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from equiderm.audit.metrics import HEADLINE, METRICS
from equiderm.audit.sampling import lacking
from equiderm.format import counted
from equiderm.records import remembered
from equiderm.statistics.delong import influence as auroc_influence
from equiderm.statistics.estimates import (
    LEAST,
    Curved,
    Estimate,
    Scaled,
    clustered_share,
    clustered_variance,
    freedom_of_sum,
    ranked,
    spread,
)
from equiderm.statistics.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from equiderm.audit.groupings import Grouping
    from equiderm.audit.input import Study

MACRO = (*HEADLINE, "f1", "accuracy")


@dataclass(frozen=True)
class MeanOf:
    """The mean of several estimates; ``ratio`` is its standard error over that if independent.

    Source:
        MOVER: Zou and Donner 2008, Statistics in Medicine 27:1693; Satterthwaite for the freedom.
    """

    parts: tuple[Estimate, ...]
    ratio: float = 1.0
    moved_by: float = 0.0

    @property
    def value(self) -> float:
        """The mean."""
        return float(np.mean([part.value for part in self.parts])) + self.moved_by

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the sum of the variances."""
        return freedom_of_sum(self.parts, np.ones(len(self.parts)))

    def bounds(self, quantile: float) -> tuple[float, float]:
        """Return low and high: the distances of the parts' bounds added in quadrature (MOVER)."""
        ends = np.array([part.bounds(quantile) for part in self.parts])
        values = np.array([part.value for part in self.parts])
        below, above = np.maximum(values - ends[:, 0], 0), np.maximum(ends[:, 1] - values, 0)
        sides = [self.ratio * math.sqrt(float((side**2).sum())) for side in (below, above)]
        return self.value - sides[0] / len(values), self.value + sides[1] / len(values)

    def moved(self, value: float) -> MeanOf:
        """Return the interval shifted to ``value``."""
        return replace(self, moved_by=self.moved_by + value - self.value)


def in_every_group(has: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """Return the groups that are compared, and the classes that their means are over.

    Args:
        has: Whether there is enough of a class in a group, shape (classes, groups).

    Returns:
        Groups that have half of the classes or more; classes that each of these groups has.
    """
    enough = has.mean(axis=0) >= 0.5
    kept = has[:, enough].all(axis=1) if enough.any() else np.zeros(len(has), bool)
    return np.flatnonzero(enough).tolist(), np.flatnonzero(kept).tolist()


class GroupFigures(ABC):
    """Figures of each group, as `equiderm.audit.differences.Differences` needs them.

    Args:
        study: The checked rows.
        grouping: The groups.
        min_count: Fewest images, and patients, that a figure needs.
    """

    def __init__(self, study: Study, grouping: Grouping, min_count: int) -> None:
        self.study, self.grouping, self.min_count = study, grouping, min_count
        self.names = ["overall", *grouping.labels]
        rows = [np.flatnonzero(grouping.codes == k) for k in range(len(grouping.labels))]
        self.rows = [np.arange(len(grouping.codes)), *rows]

    def of(self, segment: str) -> NDArray[np.intp]:
        """Return the rows of "overall" or of a group."""
        return self.rows[self.names.index(segment)]

    def few_people(self, rows: NDArray[np.intp]) -> str:
        """Return that these rows are of too few patients for a figure, or an empty text."""
        patients = self.study.count_patients(rows)
        people = "image" if self.study.patient is None else "patient"
        few = f"{counted(patients, people)}, at least {self.min_count} are needed"
        return few if patients < self.min_count else ""

    @abstractmethod
    def value(self, metric: str, segment: str = "overall") -> tuple[float, int, str]:
        """Return a figure, its number of images, and why it is missing."""

    @abstractmethod
    def _estimate(self, metric: str, segment: str) -> Estimate: ...

    def units(self, metric: str) -> list[str]:
        """Return the groups that have the figure."""
        return [name for name in self.grouping.labels if not self.value(metric, name)[2]]

    @remembered
    def estimate(self, metric: str, segment: str = "overall") -> Estimate:
        """Return a figure with its interval at any level."""
        return self._estimate(metric, segment)


class OneClass(GroupFigures):
    """AUROC, sensitivity, specificity and F1 of one class against the rest, by group.

    Args:
        study: Targets and scores of this class; scores are NaN if there is only an answer.
        grouping: The groups.
        called: Whether the model's answer is this class, shape (n,).
        min_count: Fewest images of the class, and of the rest, that a figure needs.
    """

    def __init__(
        self, study: Study, grouping: Grouping, called: NDArray[np.bool_], min_count: int
    ) -> None:
        super().__init__(study, grouping, min_count)
        self.called = called
        self._has_scores = not np.isnan(study.score).any()

    @cached_property
    def _counts(self) -> dict[str, dict[str, float]]:
        counts: dict[str, dict[str, float]] = {}
        for name in self.names:
            rows = self.of(name)
            target = self.study.target[rows]
            counts[name] = {
                "positives": int(target.sum()),
                "negatives": int((~target).sum()),
                "clusters_positives": self.study.count_patients(rows[target]),
                "clusters_negatives": self.study.count_patients(rows[~target]),
            }
        return counts

    def value(self, metric: str, segment: str = "overall") -> tuple[float, int, str]:
        """Return a figure, its number of images, and why it is missing."""
        needs, counts = METRICS[metric].needs, self._counts[segment]
        why = lacking(counts, needs, self.min_count)
        if metric == "auroc" and not self._has_scores:
            why = "there is an answer and no score"
        counted = sum(counts[kind] for kind in ("positives", "negatives"))
        counted = counted if needs == "classes" else counts[needs]
        value = math.nan if why else self.estimate(metric, segment).value
        return value, int(counted), why

    def _estimate(self, metric: str, segment: str) -> Estimate:
        if metric == "f1":
            return self.f1_estimate(segment)
        rows = self.of(segment)
        target, patient = self.study.target[rows], self.study.patient_of(rows)
        if metric == "auroc":
            return ranked(target, self.study.score[rows], patient)
        cell, hit = self._cell(metric, segment)
        patients = self._counts[segment][f"clusters_{METRICS[metric].needs}"]
        moved = self.influence(metric, segment)
        return clustered_share(
            float(hit[cell].mean()), int(cell.sum()), moved, patient, patients=patients
        )

    def _cell(self, metric: str, segment: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        rows = self.of(segment)
        is_positive = metric == "sensitivity"
        return self.study.target[rows] == is_positive, self.called[rows] == is_positive

    def influence(self, metric: str, segment: str) -> NDArray[np.float64]:
        """Return how much each row of a segment moves its figure, shape (rows,)."""
        rows = self.of(segment)
        if metric == "auroc":
            return auroc_influence(self.study.target[rows], self.study.score[rows])
        if metric == "f1":
            return self.f1(segment)[1]
        cell, hit = self._cell(metric, segment)
        return cell * (hit - hit[cell].mean()) / cell.sum()

    def f1(self, segment: str) -> tuple[float, NDArray[np.float64]]:
        """Return F1 and how much each row moves it."""
        rows = self.of(segment)
        target, called = self.study.target[rows], self.called[rows]
        hit, error = target & called, target ^ called
        below = 2.0 * hit.sum() + error.sum()
        value = 2.0 * hit.sum() / below
        return float(value), (2.0 * hit - value * (2.0 * hit + error)) / below

    def f1_estimate(self, segment: str) -> Estimate:
        """Return F1 with its interval at any level."""
        rows = self.of(segment)
        value, moved = self.f1(segment)
        patients = self.study.count_patients(rows[self.study.target[rows]])
        variance, _ = clustered_variance(moved, self.study.patient_of(rows))
        if variance > LEAST and 0 < value < 1:
            return Curved(value, variance, max(patients - 1.0, 1.0), "logit")
        low, high = wilson(value, patients)
        return Scaled(value, min(low, value), max(high, value))

    def weight(self, metric: str, segment: str) -> float:
        """Return the weight of a group in the mean of several."""
        counts = self._counts[segment]
        if metric == "auroc":
            m, n = counts["clusters_positives"], counts["clusters_negatives"]
            return m * n / (m + n)
        return counts[METRICS[metric].needs]


class Macro(GroupFigures):
    """Means over the classes, by group, and the share of correct answers.

    The means of all groups are over the same classes, of which every compared group has enough
    images. A group that lacks most classes is not compared, since it would leave few for all.

    Args:
        classes: Each class against the rest.
        right: Whether the answer is correct, shape (n,).
    """

    def __init__(self, classes: Sequence[OneClass], right: NDArray[np.bool_]) -> None:
        first = classes[0]
        super().__init__(first.study, first.grouping, first.min_count)
        self.right = right
        self._every = list(classes)
        has = np.array(
            [
                [not figures.value("sensitivity", name)[2] for name in self.grouping.labels]
                for figures in classes
            ]
        ).reshape(len(classes), len(self.grouping.labels))
        compared, self.kept = in_every_group(has)
        self.compared = [self.grouping.labels[k] for k in compared]

    def value(self, metric: str, segment: str = "overall") -> tuple[float, int, str]:
        """Return a mean, its number of images, and why it is missing."""
        rows = self.of(segment)
        if metric == "accuracy":
            why = self.few_people(rows)
        elif len(self.kept) < 2:
            has = "class has" if len(self.kept) == 1 else "classes have"
            why = f"{len(self.kept)} {has} enough images in every group, 2 are needed"
        elif segment not in ("overall", *self.compared):
            why = "too few images of most classes"
        else:
            reasons = [self._every[k].value(self._single(metric), segment)[2] for k in self.kept]
            why = next((reason for reason in reasons if reason), "")
        return math.nan if why else self.estimate(metric, segment).value, len(rows), why

    def _single(self, metric: str) -> str:
        return "sensitivity" if metric == "f1" else metric

    def _estimate(self, metric: str, segment: str) -> Estimate:
        rows = self.of(segment)
        patient, moved = self.study.patient_of(rows), self.influence(metric, segment)
        if metric == "accuracy":
            share = float(self.right[rows].mean())
            return clustered_share(
                share, len(rows), moved, patient, patients=self.study.count_patients(rows)
            )
        single = [self._every[k] for k in self.kept]
        parts = tuple(figures.estimate(metric, segment) for figures in single)
        each = [figures.influence(metric, segment) for figures in single]
        alone = sum(clustered_variance(own, patient)[0] for own in each) / len(each) ** 2
        whole = clustered_variance(moved, patient)[0]
        return MeanOf(parts, math.sqrt(whole / alone) if alone > 0 else 1.0)

    def influence(self, metric: str, segment: str) -> NDArray[np.float64]:
        """Return how much each row of a segment moves the mean, shape (rows,)."""
        rows = self.of(segment)
        if metric == "accuracy":
            right = self.right[rows]
            return (right - right.mean()) / len(rows)
        return np.mean([self._every[k].influence(metric, segment) for k in self.kept], axis=0)

    def weight(self, metric: str, segment: str) -> float:
        """Return the weight of a group in the mean of several: the inverse of its variance."""
        if metric == "accuracy":
            return float(len(self.of(segment)))
        return 1 / spread(self.estimate(metric, segment))
