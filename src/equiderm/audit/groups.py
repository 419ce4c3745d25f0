"""Figures by group with their intervals; gaps, worst groups, differences and what n can detect."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from equiderm.audit import metrics
from equiderm.audit.calibration import calibration_interval, loss_terms
from equiderm.audit.counting import Segments
from equiderm.audit.differences import Differences
from equiderm.audit.metrics import GIVEN, HEADLINE, METRICS, WITHOUT_TRUTH
from equiderm.audit.sampling import count_cells, fewest, lacking, make_dealer, make_resampler
from equiderm.audit.thresholds import (
    specificity_at_true_sensitivity,
    threshold_at_sensitivity,
    threshold_at_specificity,
)
from equiderm.statistics.bootstrap import Resampler, replicate
from equiderm.statistics.estimates import Estimate, Scaled, clustered_share, interval, ranked
from equiderm.statistics.intervals import (
    Z95,
    bca,
    effective_n,
    expanded,
    percentile,
    wilson,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.audit.gaps import Gap
    from equiderm.audit.groupings import Grouping
    from equiderm.audit.input import Study

JACKKNIFE_BLOCKS = 100
FEW_MISSED = 2  # positives, at the chosen sensitivity: with fewer the bootstrap varies too little
WEIGHT_OF_TAIL = 2  # of the positives that a partial AUC rests on; by simulation (docs/audit.md)


@dataclass(frozen=True)
class Options:
    """How an audit is made; every number that a reader would have to know to repeat it.

    Attributes:
        threshold: Score from which an image is called positive, in [0, 1].
        specificity: Overall specificity at which ``sensitivity_at_specificity`` is read.
        sensitivity: Overall sensitivity at which ``specificity_at_sensitivity`` is read.
        replicates: Bootstrap replicates and shufflings of the group labels.
        min_count: Smallest count (of positives, negatives, those called...) behind a figure.
        interval: "bca" or "percentile", for the figures without a closed-form interval.
        seed: Of all random draws.
        acceptable: The greatest difference between groups that is acceptable, if one was set.
    """

    threshold: float = 0.5
    specificity: float = 0.90
    sensitivity: float = 0.90
    replicates: int = 2000
    min_count: int = 5
    interval: str = "bca"
    seed: int = 0
    acceptable: float | None = None


class Figure(NamedTuple):
    """A figure of one group: its value and 95 % interval; ``why`` it is missing, where it is."""

    value: float
    low: float
    high: float
    counted: int
    why: str = ""


class ByGroup:
    """All figures of one grouping: observed, resampled, and with the group labels shuffled."""

    def __init__(self, study: Study, grouping: Grouping, options: Options) -> None:
        self.study = study
        self.grouping = grouping
        self.options = options
        order = study.order
        codes = grouping.codes[order]
        self.groups = [order[codes == k] for k in range(len(grouping.labels))]
        self.names = ["overall", *grouping.labels]
        self.rows = [order, *self.groups]
        self.thresholds = _thresholds(study, options)
        self.levels = {
            "threshold": options.threshold,
            "specificity": options.specificity,
            "sensitivity": options.sensitivity,
        }
        self._counts = [count_cells(study, r, options.threshold) for r in self.rows]
        self.pooled = self._pool(order, codes)
        self.values = np.array(
            [
                [
                    metrics.figure(name, study.target[r], study.score[r], self.thresholds)
                    for r in self.rows
                ]
                for name in METRICS
            ]
        )

    def _pool(self, order: NDArray[np.intp], codes: NDArray[np.intp]) -> dict[str, tuple[str, ...]]:
        """Join neighbouring bands that have too few images each; return the bands of each name."""
        labels = self.grouping.labels
        if not self.grouping.is_ordered:
            return {}
        short = [self._lacking("auroc", name) != "" for name in labels]
        pooled: dict[str, tuple[str, ...]] = {}
        for is_short, run in itertools.groupby(range(len(labels)), key=short.__getitem__):
            members = list(run)
            if not is_short or len(members) < 2:
                continue
            name = f"{labels[members[0]]} to {labels[members[-1]]}"
            rows = order[np.isin(codes, members)]
            pooled[name] = tuple(labels[k] for k in members)
            self.names.append(name)
            self.rows.append(rows)
            self._counts.append(count_cells(self.study, rows, self.options.threshold))
        return pooled

    def _lacking(self, metric: str, segment: str) -> str:
        kind, counts = METRICS[metric], self._counts[self.names.index(segment)]
        return lacking(counts, kind.needs, self.options.min_count, kind.rests_on)

    @cached_property
    def _segments(self) -> Segments:
        return Segments(self.study.target, self.study.score, self.rows, levels=self.levels)

    @cached_property
    def resampler(self) -> Resampler:
        """The draw of patients, stratified so that no group vanishes."""
        return make_resampler(self.study, self.grouping)

    @cached_property
    def replicates(self) -> NDArray[np.float64]:
        """Bootstrap figures, shape (replicates, metrics, segments)."""
        return replicate(
            lambda random, count: self._segments.count(self.resampler.draw(random, count)),
            rows=len(self.study.target),
            replicates=self.options.replicates,
            seed=self.options.seed,
        )

    @cached_property
    def jackknife(self) -> NDArray[np.float64]:
        """Figures without each block of patients, shape (blocks, metrics, segments)."""
        return self._segments.count(self.resampler.blocks(JACKKNIFE_BLOCKS))

    @cached_property
    def null(self) -> NDArray[np.float64]:
        """Figures under shuffled group labels, shape (replicates, metrics, groups)."""
        study, labels = self.study, self.grouping.labels
        order, deal = study.order, make_dealer(study, self.grouping)
        fit = metrics.calibration_fit(study.target, study.score)
        terms = loss_terms(study.target, study.score, fit)
        once = np.ones((1, len(study.target)), dtype=np.int64)

        def shuffled(random: np.random.Generator, count: int) -> NDArray[np.float64]:
            counted: list[NDArray[np.float64]] = []
            for _ in range(count):
                codes = deal(random).astype(np.int8)[order]
                rows = [order[codes == k] for k in range(len(labels))]
                segments = Segments(
                    study.target,
                    study.score,
                    rows,
                    levels=self.levels,
                    cuts=self.thresholds,
                    terms=terms,
                )
                counted.append(segments.count(once))
            return np.concatenate(counted)

        return replicate(
            shuffled,
            rows=len(study.target),
            replicates=self.options.replicates,
            seed=self.options.seed + 1,
        )

    def differences(self, reference: str | None = None) -> Differences:
        """Return every group against the others, or against ``reference``; worked out once."""
        if reference not in self._differences:
            self._differences[reference] = Differences(self, reference)
        return self._differences[reference]

    @cached_property
    def _differences(self) -> dict[str | None, Differences]:
        return {}

    @cached_property
    def gaps(self) -> dict[tuple[str, float], Gap]:
        """The gaps that were worked out (`equiderm.audit.gaps`), by figure and level."""
        return {}

    def estimate(self, metric: str, segment: str = "overall") -> Estimate:
        """Return a figure that is not missing, with its interval at every level."""
        if (metric, segment) not in self._estimates:
            self._estimates[metric, segment] = self._estimate(metric, segment)
        return self._estimates[metric, segment]

    @cached_property
    def _estimates(self) -> dict[tuple[str, str], Estimate]:
        return {}

    def _estimate(self, metric: str, segment: str) -> Estimate:
        s, m = self.names.index(segment), list(METRICS).index(metric)
        counts, kind, value = self._counts[s], METRICS[metric], float(self.values[m, s])
        if metric == "auroc":
            rows, patient = self.rows[s], self.study.patient
            return ranked(
                self.study.target[rows],
                self.study.score[rows],
                None if patient is None else patient[rows],
            )
        if kind.proportion and kind.at == GIVEN:
            n, patients = counts[kind.needs], counts[f"clusters_{kind.needs}"]
            if self.study.patient is None:
                return clustered_share(value, n)
            influence, patient = self.influence(metric, segment), self.study.patient[self.rows[s]]
            return clustered_share(value, n, influence, patient, patients=patients)
        return Scaled(value, *self._interval(metric, m, s, Z95))

    def influence(self, metric: str, segment: str) -> NDArray[np.float64]:
        """Return how much each row of a segment moves its figure, in the order of ``rows``."""
        kind, rows = METRICS[metric], self.rows[self.names.index(segment)]
        at = {"threshold": self.thresholds[kind.at]} if kind.at else {}
        assert kind.influence is not None
        return kind.influence(self.study.target[rows], self.study.score[rows], **at)

    def weight(self, metric: str, segment: str) -> float:
        """Return how much a group counts in the mean of several: rows, or how sure its AUROC is."""
        counts, needs = self._counts[self.names.index(segment)], METRICS[metric].needs
        if needs == "classes":
            m, n = counts["clusters_positives"], counts["clusters_negatives"]
            return m * n / (m + n)
        return counts[needs]

    def figure(self, metric: str, segment: str = "overall", z: float = Z95) -> Figure:
        """Return a figure of "overall" or a group, with its interval."""
        value, count, why = self.value(metric, segment)
        if why:
            return Figure(value, value, value, count, why)
        s, m = self.names.index(segment), list(METRICS).index(metric)
        low, high = self._interval(metric, m, s, z)
        return Figure(value, min(low, value), max(high, value), count)

    def value(self, metric: str, segment: str = "overall") -> tuple[float, int, str]:
        """Return a figure alone, how many images it counts, and why it is missing."""
        s, m = self.names.index(segment), list(METRICS).index(metric)
        counts, needs = self._counts[s], METRICS[metric].needs
        why = self._lacking(metric, segment)
        if not self.study.truth and metric not in WITHOUT_TRUTH:
            why = "the truth is not known"
        value = float("nan") if why else float(self.values[m, s])
        if not why and value != value:
            why = "no finite value: a threshold parts the classes, or all scores are equal"
        return value, int(counts["rows" if needs == "classes" else needs]), why

    def _interval(self, metric: str, m: int, s: int, z: float) -> tuple[float, float]:
        counts, kind, value = self._counts[s], METRICS[metric], float(self.values[m, s])
        if metric == "auroc" or (kind.proportion and kind.at == GIVEN):
            return interval(self.estimate(metric, self.names[s]), z)
        if kind.proportion:
            n = counts[kind.needs]
            variance = float(np.nanvar(self.replicates[:, m, s]))
            if metric == "specificity_at_sensitivity":
                value, least = self._specificity(self.rows[s])
                variance = max(variance, least)
            n = effective_n(value, variance, n, counts[f"clusters_{kind.needs}"])
            return wilson(value, n, z)
        if metric == "calibration_error":
            study, rows = self.study, self.rows[s]
            patient = None if study.patient is None else study.patient[rows]
            return calibration_interval(study.target[rows], study.score[rows], patient, z)
        drawn = self.replicates[:, m, s]
        few = fewest(counts, kind.needs)
        z = expanded(z, int(few * min(1.0, WEIGHT_OF_TAIL * kind.rests_on)))
        if self.options.interval == "percentile":
            return percentile(drawn, z)
        return bca(value, drawn, self.jackknife[:, m, s], z)

    def _specificity(self, rows: NDArray[np.intp]) -> tuple[float, float]:
        """Return mean and least variance of the specificity at the chosen sensitivity."""
        study = self.study
        negative = study.score[rows][~study.target[rows]]
        mean, variance = specificity_at_true_sensitivity(
            study.target, study.score, negative, self.options.sensitivity
        )
        missed = study.target.sum() * (1 - self.options.sensitivity)
        least = 0.0 if missed > FEW_MISSED - 1e-9 else variance + mean * (1 - mean) / len(negative)
        return mean, least

    def people(self, segment: str) -> tuple[int, int, int]:
        """Return patients (images, where they are not known), positive and negative images."""
        counts = self._counts[self.names.index(segment)]
        return (
            int(counts["clusters_rows"]),
            int(counts["positives"]),
            int(counts["negatives"]),
        )

    def units(self, metric: str) -> list[str]:
        """Return what is judged: groups that have the figure, and bands that were joined for it."""
        if metric not in HEADLINE:
            return self.compared(metric)
        joined = {label: name for name, labels in self.pooled.items() for label in labels}
        names = dict.fromkeys(joined.get(label, label) for label in self.grouping.labels)
        return [name for name in names if not self.value(metric, name)[2]]

    def compared(self, metric: str) -> list[str]:
        """Return the groups that have the figure."""
        return [name for name in self.grouping.labels if not self.value(metric, name)[2]]


def _thresholds(study: Study, options: Options) -> dict[str, float]:
    """Return by name the given one and the two that are chosen on all rows."""
    return {
        "threshold": options.threshold,
        "specificity": threshold_at_specificity(study.target, study.score, options.specificity),
        "sensitivity": threshold_at_sensitivity(study.target, study.score, options.sensitivity),
    }
