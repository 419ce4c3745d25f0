"""Figures by group with their intervals."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from equiderm.audit import metrics
from equiderm.audit.calibration import calibration_interval
from equiderm.audit.counting import Segments
from equiderm.audit.differences import Differences
from equiderm.audit.influence import threshold_share
from equiderm.audit.metrics import GIVEN, HEADLINE, METRICS, WITHOUT_TRUTH
from equiderm.audit.sampling import (
    MIN_PATIENTS,
    cells,
    count_cells,
    fewest,
    kinds_of,
    lacking,
    make_resampler,
)
from equiderm.audit.thresholds import (
    specificity_at_true_sensitivity,
    threshold_at_sensitivity,
    threshold_at_specificity,
)
from equiderm.errors import InputError
from equiderm.records import remembered
from equiderm.statistics.bootstrap import Resampler, replicate
from equiderm.statistics.estimates import (
    LEAST,
    Curved,
    Estimate,
    OfShares,
    Scaled,
    Share,
    clustered_share,
    clustered_variance,
    interval,
    ranked,
    weighted_share,
)
from equiderm.statistics.intervals import (
    Z95,
    bca,
    effective_n,
    expanded,
    percentile,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.audit.groupings import Grouping
    from equiderm.audit.input import Study

JACKKNIFE_BLOCKS = 100
LARGE_ROWS, LARGE_CLASS = 2000, 100  # rows, and patients per class, for closed-form variances
VAST_ROWS = 20_000  # rows for closed-form variances even if a class is rare
FEW_MISSED = 2  # missed positives, up to which the bootstrap at a chosen sensitivity is too narrow
WEIGHT_OF_TAIL = 2  # factor on the positives behind a partial AUC; by simulation (docs/audit.md)
RESAMPLED = tuple(name for name, kind in METRICS.items() if kind.resampled)


@dataclass(frozen=True)
class Options:
    """The settings of an audit: every number that is needed to repeat it.

    Attributes:
        threshold: Score from which an image is called positive, in [0, 1].
        specificity: Overall specificity at which ``sensitivity_at_specificity`` is read.
        sensitivity: Overall sensitivity at which ``specificity_at_sensitivity`` is read.
        replicates: Number of bootstrap replicates.
        min_count: Fewest images (positives, negatives, called positive...) that a figure needs, at
            least 2.
        interval: "bca" or "percentile", for the figures without a closed-form interval.
        seed: Seed of all random draws.
        acceptable: The largest acceptable difference between groups, if set.
    """

    threshold: float = 0.5
    specificity: float = 0.90
    sensitivity: float = 0.90
    replicates: int = 2000
    min_count: int = 5
    interval: str = "bca"
    seed: int = 0
    acceptable: float | None = None

    def __post_init__(self) -> None:
        if self.min_count < 2:
            raise InputError(
                f"`min_count` is {self.min_count}, but the interval of a figure needs 2 images or "
                "more; give at least 2."
            )


class Figure(NamedTuple):
    """A figure of one group with its 95 % interval.

    Attributes:
        value: The figure; NaN if missing.
        low: Lower end of the interval.
        high: Upper end.
        counted: Number of images that it counts.
        why: Why it is missing, or empty.
    """

    value: float
    low: float
    high: float
    counted: int
    why: str = ""


class ByGroup:
    """All figures of one grouping with their intervals, computed on demand."""

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
        self.values = self._all_values()

    def _all_values(self) -> NDArray[np.float64]:
        """Return every figure of every segment, shape (metrics, segments)."""
        study = self.study
        if study.weight is not None:
            segments = Segments(
                *(study.target, study.score, self.rows),
                levels=self.levels,
                cuts=self.thresholds,
                weight=study.weight,
            )
            values = segments.count(np.ones((1, len(study.target))))[0]
            shares = [METRICS[name].interval in ("share", "rank") for name in METRICS]
            values[shares] = np.clip(values[shares], 0.0, 1.0)  # sums of weights are rounded
            return values
        return np.array(
            [
                [
                    metrics.figure(name, study.target[r], study.score[r], self.thresholds)
                    for r in self.rows
                ]
                for name in METRICS
            ]
        )

    def _pool(self, order: NDArray[np.intp], codes: NDArray[np.intp]) -> dict[str, tuple[str, ...]]:
        """Pool neighbouring bands that have too few images each; return the bands by pooled name.

        Each pooled band becomes a segment.
        """
        labels = self.grouping.labels
        if not self.grouping.is_ordered or not self.study.truth:
            return {}
        short = [self._lacking("auroc", name) != "" for name in labels]
        pooled: dict[str, tuple[str, ...]] = {}
        for is_short, run in itertools.groupby(range(len(labels)), key=short.__getitem__):
            members = list(run)
            if not is_short or not 1 < len(members) < len(labels):
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
        why = lacking(counts, kind.needs, self.options.min_count, kind.rests_on)
        return why or self._lopsided(kind.needs, segment)

    def _lopsided(self, needs: str, segment: str) -> str:
        """Return which images are effectively too few because some have most of the weight."""
        if self.study.weight is None:
            return ""
        least = min(self.options.min_count, MIN_PATIENTS)
        for kind in kinds_of(needs):
            counted = self._of_kind(kind, segment)
            if (size := self.study.effective_n(counted)) < least:
                return (
                    f"{len(counted):,} {kind} that weigh as much as {size:.1f} of equal weight, at "
                    f"least {least} are needed"
                )
        return ""

    def of(self, segment: str) -> NDArray[np.intp]:
        """Return the rows of "overall", a group or a pooled band, by descending score."""
        return self.rows[self.names.index(segment)]

    def _of_kind(self, kind: str, segment: str) -> NDArray[np.intp]:
        """Return those of a segment's rows that are of a kind (`equiderm.audit.sampling.cells`)."""
        rows = self.of(segment)
        return rows[cells(self.study, rows, self.options.threshold)[kind]]

    def _is_large(self, s: int) -> bool:
        """Return whether a segment is large enough for closed-form variances."""
        counts = self._counts[s]
        few = min(counts["clusters_positives"], counts["clusters_negatives"])
        return counts["rows"] >= VAST_ROWS or (few >= LARGE_CLASS and counts["rows"] >= LARGE_ROWS)

    @cached_property
    def _resampled(self) -> tuple[list[int], NDArray[np.intp], Study]:
        """The segments to resample, their rows, and the study of these rows.

        All segments of a small table; of a large one only small groups, because the thresholds
        that are chosen on all rows are then practically known.
        """
        if not self._is_large(0):
            return list(range(len(self.rows))), np.arange(len(self.study.target)), self.study
        small = [s for s in range(len(self.rows)) if not self._is_large(s)]
        rows = (
            np.unique(np.concatenate([self.rows[s] for s in small])) if small else np.array([], int)
        )
        return small, rows, self.study.take(rows)

    @cached_property
    def _segments(self) -> Segments:
        segments, kept, study = self._resampled
        place = np.full(len(self.study.target), -1)
        place[kept] = np.arange(len(kept))
        held = self.thresholds if self._is_large(0) else None
        rows = [place[self.rows[s]] for s in segments]
        return Segments(
            *(study.target, study.score, rows),
            levels=self.levels,
            cuts=held,
            metrics=RESAMPLED,
            weight=study.weight,
            place=self.resampler.place,
        )

    @cached_property
    def resampler(self) -> Resampler:
        """The resampler of patients, stratified so that no group vanishes."""
        _, kept, study = self._resampled
        return make_resampler(study, replace(self.grouping, codes=self.grouping.codes[kept]))

    @cached_property
    def _replicates(self) -> NDArray[np.float64]:
        """Bootstrap figures, shape (replicates, metrics, segments)."""
        return replicate(
            lambda random, count: self._segments.count(self.resampler.draw(random, count)),
            rows=len(self._resampled[1]),
            replicates=self.options.replicates,
            seed=self.options.seed,
        )

    @cached_property
    def _jackknife(self) -> NDArray[np.float64]:
        """Figures without each block of patients, shape (blocks, metrics, segments)."""
        return self._segments.count(self.resampler.blocks(JACKKNIFE_BLOCKS))

    @remembered
    def differences(self, reference: str | None = None) -> Differences:
        """Return every group against the others, or against ``reference``."""
        return Differences(self, reference)

    @remembered
    def estimate(self, metric: str, segment: str = "overall") -> Estimate:
        """Return a figure, which must not be missing, with its interval at any level."""
        s, kind = self.names.index(segment), METRICS[metric]
        rows, study = self.rows[s], self.study
        patient, weight = study.patient_of(rows), study.weight_of(rows)
        if kind.interval == "rank":
            return ranked(study.target[rows], study.score[rows], patient, weight)
        value = float(self.values[list(METRICS).index(metric), s])
        if kind.interval == "share":
            return self._share(metric, segment, value)
        if kind.interval == "calibration":
            rows_of = study.target[rows], study.score[rows]
            low, high = calibration_interval(*rows_of, patient, weight=weight)
        elif self._is_large(s) or not kind.resampled:
            variance, freedom = clustered_variance(self.influence(metric, segment), patient)
            if weight is not None:
                freedom = max(study.effective_n(rows) - 1, 1.0)
            if variance > LEAST:
                return Curved(value, variance, freedom, kind.interval)
            return self._extreme(metric, segment, value)
        else:
            low, high = self._bootstrapped(metric, s, value)
        return Scaled(value, min(low, value), max(high, value))

    def _extreme(self, metric: str, segment: str, value: float) -> Estimate:
        """Return a figure of the counts without observed variance: all or none called positive."""
        formula, names = METRICS[metric].formula, ("sensitivity", "specificity")
        shares = [self.estimate(name, segment) for name in names]
        p, n = (self._size(kind, segment) for kind in ("positives", "negatives"))
        cut = self.options.threshold
        if formula is None or not all(isinstance(share, Share) for share in shares):
            return Scaled(value, value, value)

        def figure(sensitivity: float, specificity: float) -> float:
            counts = sensitivity * p, (1 - specificity) * n, p, n
            with np.errstate(divide="ignore", invalid="ignore"):
                return float(formula(*map(np.float64, counts), cut))

        return OfShares(value, (shares[0], shares[1]), figure)  # pyright: ignore[reportArgumentType]

    def _share(self, metric: str, segment: str, value: float) -> Estimate:
        """Return a share with its effective number of rows."""
        s, kind, study = self.names.index(segment), METRICS[metric], self.study
        if kind.at != GIVEN:
            return self._share_at_chosen(metric, s, value)
        rows, n = self.rows[s], self._counts[s][kind.needs]
        if study.weight is None and study.patient is None:
            return clustered_share(value, n)
        influence, patient = self.influence(metric, segment), study.patient_of(rows)
        if study.weight is None:
            patients = self._counts[s][f"clusters_{kind.needs}"]
            return clustered_share(value, n, influence, patient, patients=patients)
        cell = cells(study, rows, self.options.threshold)[kind.needs]
        counted = rows[cell]
        return weighted_share(
            value, influence[cell], study.weight[counted], study.patient_of(counted)
        )

    def _share_at_chosen(self, metric: str, s: int, value: float) -> Estimate:
        """Return a share at a threshold that is chosen on all rows."""
        kind, study, freedom = METRICS[metric], self.study, math.inf
        n, least = self._counts[s][kind.needs], self._counts[s][f"clusters_{kind.needs}"]
        if study.weight is not None:
            least = study.effective_n(self._of_kind(kind.needs, self.names[s]))
            freedom = max(least - 1, 1.0)
        if self._is_large(0):
            moved = threshold_share(
                study.target,
                study.score,
                np.isin(np.arange(len(study.target)), self.rows[s]),
                study.weight,
                threshold=self.thresholds[kind.at],
                of_positives=kind.needs == "positives",
            )
            variance, _ = clustered_variance(moved, study.patient)
        else:
            variance = float(np.nanvar(self._replicates[:, RESAMPLED.index(metric), s]))
            if kind.at == "sensitivity":
                mean, lowest = self._specificity(self.rows[s])
                n = effective_n(mean, max(variance, lowest), n, least)
                low, high = Share(mean, n).bounds(Z95)
                return Scaled(value, min(low, value), max(high, value))
        return Share(value, effective_n(value, variance, n, least), freedom)

    def _bootstrapped(self, metric: str, s: int, value: float) -> tuple[float, float]:
        kind = METRICS[metric]
        few = self._fewest(kind.needs, s)
        z = expanded(Z95, int(few * min(1.0, WEIGHT_OF_TAIL * kind.rests_on)))
        m, k = RESAMPLED.index(metric), self._resampled[0].index(s)
        drawn = self._replicates[:, m, k]
        if self.options.interval == "percentile":
            return percentile(drawn, z)
        return bca(value, drawn, self._jackknife[:, m, k], z)

    def _fewest(self, needs: str, s: int) -> float:
        """Return the independent rows (patients) of a figure's rarer kind; Kish's if weighted."""
        if self.study.weight is None:
            return fewest(self._counts[s], needs)
        counted = (self._of_kind(kind, self.names[s]) for kind in kinds_of(needs))
        return min(map(self.study.effective_n, counted))

    def influence(self, metric: str, segment: str) -> NDArray[np.float64]:
        """Return how much each row of a segment moves its figure, in the order of ``rows``."""
        kind, rows = METRICS[metric], self.of(segment)
        more: dict[str, Any] = {"threshold": self.thresholds[kind.at]} if kind.at else {}
        if self.study.weight is not None:
            more["weight"] = self.study.weight[rows]
        assert kind.influence is not None
        return kind.influence(self.study.target[rows], self.study.score[rows], **more)

    def _size(self, kind: str, segment: str) -> float:
        """Return the number of a segment's rows of a kind, or their total weight."""
        if self.study.weight is None:
            return self._counts[self.names.index(segment)][kind]
        return float(self.study.weight[self._of_kind(kind, segment)].sum())

    def weight(self, metric: str, segment: str) -> float:
        """Return the weight of a group in the mean of several: rows, or precision of its AUROC."""
        counts, needs = self._counts[self.names.index(segment)], METRICS[metric].needs
        if needs == "classes":
            m, n = counts["clusters_positives"], counts["clusters_negatives"]
            return m * n / (m + n)
        return self._size(needs, segment)

    def figure(self, metric: str, segment: str = "overall", z: float = Z95) -> Figure:
        """Return a figure of "overall" or of a group, with its interval."""
        value, count, why = self.value(metric, segment)
        if why:
            return Figure(value, value, value, count, why)
        low, high = interval(self.estimate(metric, segment), z)
        return Figure(value, min(low, value), max(high, value), count)

    def value(self, metric: str, segment: str = "overall") -> tuple[float, int, str]:
        """Return a figure, its number of images, and why it is missing."""
        s, m = self.names.index(segment), list(METRICS).index(metric)
        counts, needs = self._counts[s], METRICS[metric].needs
        why = self._lacking(metric, segment)
        if not self.study.truth and metric not in WITHOUT_TRUTH:
            why = "the truth is not known"
        if self.study.weight is not None and not why:
            why = self._not_weighted(metric)
        value = float("nan") if why else float(self.values[m, s])
        if not why and value != value:
            why = "no finite value: a threshold parts the classes, or all scores are equal"
        return value, int(counts["rows" if needs == "classes" else needs]), why

    def _not_weighted(self, metric: str) -> str:
        """Return why a figure is missing for rows with sampling weights, or an empty text."""
        kind = METRICS[metric]
        if kind.counter is None:
            return "it has no form with sampling weights"
        if kind.at == "sensitivity" and not self._is_large(0):
            return (
                f"with sampling weights it has an interval from {LARGE_ROWS:,} rows on, "
                f"{LARGE_CLASS} patients in either class"
            )
        return ""

    def _specificity(self, rows: NDArray[np.intp]) -> tuple[float, float]:
        """Return mean and lowest variance of the specificity at the chosen sensitivity."""
        study = self.study
        negative = study.score[rows][~study.target[rows]]
        mean, variance = specificity_at_true_sensitivity(
            study.target, study.score, negative, self.options.sensitivity
        )
        missed = study.target.sum() * (1 - self.options.sensitivity)
        least = 0.0 if missed > FEW_MISSED - 1e-9 else variance + mean * (1 - mean) / len(negative)
        return mean, least

    def people(self, segment: str) -> tuple[int, int, int]:
        """Return the numbers of patients (or images), of positive and of negative images."""
        counts = self._counts[self.names.index(segment)]
        return (
            int(counts["clusters_rows"]),
            int(counts["positives"]),
            int(counts["negatives"]),
        )

    def patients_of(self, kind: str, segment: str) -> int:
        """Return the number of patients (or images) behind the "positives" or "negatives"."""
        return int(self._counts[self.names.index(segment)][f"clusters_{kind}"])

    def units(self, metric: str) -> list[str]:
        """Return the groups and the pooled bands that have the figure."""
        if metric not in HEADLINE:
            return self.compared(metric)
        pooled = {label: name for name, labels in self.pooled.items() for label in labels}
        names = dict.fromkeys(pooled.get(label, label) for label in self.grouping.labels)
        return [name for name in names if not self.value(metric, name)[2]]

    def compared(self, metric: str) -> list[str]:
        """Return the groups that have the figure."""
        return [name for name in self.grouping.labels if not self.value(metric, name)[2]]


def _thresholds(study: Study, options: Options) -> dict[str, float]:
    """Return the given threshold and the two that are chosen on all rows, by name."""
    rows = study.target, study.score
    return {
        "threshold": options.threshold,
        "specificity": threshold_at_specificity(*rows, options.specificity, study.weight),
        "sensitivity": threshold_at_sensitivity(*rows, options.sensitivity, study.weight),
    }
