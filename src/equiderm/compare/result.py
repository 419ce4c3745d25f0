"""The result of a comparison: every figure of every run on every test set, and the differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm.compare.measures import BY_KEY, MARGIN, Measure
from equiderm.format import counted
from equiderm.records import Record, one_line

if TYPE_CHECKING:
    from equiderm.compare.plots import Plots
    from equiderm.training import Experiment

__all__ = ["MARGIN", "Compared", "TestSet", "no_images", "no_splits", "no_trials"]


@dataclass(frozen=True, eq=False, repr=False)
class TestSet(Record):
    """The results on one test split.

    Attributes:
        split: Its name.
        n: Images; with several splits, those that any of them tests.
        patients: Patients (lesions or images, where those are unknown).
        positives: Images with target 1; 0 where the target is not binary.
        groups: ``group``, ``n``, ``positives`` (missing where the target is not binary) and, where
            it has no figure, ``missing``: why.
        figures: ``experiment``, ``figure`` (``overall``, a group, ``worst``, ``gap``), ``value``
            (mean over seeds, and over splits), ``low``, ``high`` (95 %), ``seed_deviation`` (of
            splits, where there are several), ``seeds`` (runs behind it).
        differences: ``experiment``, ``against``, ``figure``, ``difference`` (mean over the seeds
            that both have), ``seeds``; ``low``, ``high``, ``p``: of this difference alone; the
            same with ``_holm``: adjusted for all differences of the comparison, so that the
            interval leaves 0 out where p is below 0.05; ``at_least``, ``at_most``: one-sided 95 %
            bounds, for equivalence. All but the difference are NaN for one seed.
        probes: ``experiment``, ``features``, ``group`` (the column), ``figure`` (balanced accuracy
            or, of a number, Spearman's correlation), ``value`` (its mean over seeds), ``low``,
            ``high``, the same of a small network with ``mlp_``, ``chance``, ``n``; empty where too
            few patients.
        runs: ``experiment``, ``split`` where there are several, ``seed``, ``figure``, ``value``: of
            every run.
        needs: ``experiment``, ``against``, ``seeds`` (splits, where there are several),
            ``images``: what would establish a difference of the margin in the worst group, in 80
            of 100 comparisons.
        constant: By figure, what the best answer that is the same for every image is worth.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    split: str
    n: int
    patients: int
    positives: int
    groups: pd.DataFrame
    figures: pd.DataFrame
    differences: pd.DataFrame
    probes: pd.DataFrame
    runs: pd.DataFrame
    needs: pd.DataFrame
    constant: Mapping[str, float] = field(default_factory=dict)

    def figure(self, experiment: str, figure: str) -> Mapping[str, float]:
        """Return a row of `figures`."""
        table: Any = self.figures
        row = table[(table["experiment"] == experiment) & (table["figure"] == figure)]
        return row.iloc[0].to_dict()

    def difference(self, experiment: str, against: str, figure: str) -> Mapping[str, float] | None:
        """Return a row of `differences`; None where there is none."""
        table: Any = self.differences
        row = table[
            (table["experiment"] == experiment)
            & (table["against"] == against)
            & (table["figure"] == figure)
        ]
        return row.iloc[0].to_dict() if len(row) else None


def no_trials() -> pd.DataFrame:
    """Return the table of a search's draws where there was none."""
    columns = ["experiment", "draw", "settings", "value", "chosen", "reason"]
    return pd.DataFrame(columns=columns)


def no_splits() -> pd.DataFrame:
    """Return the table of splits where there is one."""
    return pd.DataFrame(columns=["split", "test", "positives", "patients", "in_other_tests"])


def lost_runs(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the table of runs that are left out of every mean: `Compared.failed`."""
    return pd.DataFrame(rows, columns=["experiment", "seed", "reason"])


def no_images() -> pd.DataFrame:
    """Return the table of unreadable images where there is none."""
    return pd.DataFrame(columns=["image_id", "path", "error"])


@dataclass(frozen=True, eq=False, repr=False)
class Compared(Record):
    """Every experiment on every test split.

    Attributes:
        experiments: By name, in order; None where scores alone were compared.
        references: Names of those that the others are compared with: the ERMs.
        seeds: Seeds of the runs; of several splits, those of the first.
        group: The first group column of the experiments, which probes read.
        by: The column by which test sets are grouped.
        margin: Difference in the measure below which methods count as equivalent.
        tests: The results on each test split.
        costs: Time of a training step per image, relative to the first reference's.
        selection: For each experiment, ``rule`` and the images of validation that it saw.
        failed: ``experiment``, ``seed``, ``reason`` of runs without scores: those that diverged.
        unreadable: ``image_id``, ``path``, ``error`` of images that no run used.
        curves: ``experiment``, ``seed``, ``epoch``, ``name``, ``value``: mean losses and validation
            figures of every epoch.
        tried: ``experiment``, ``draw``, ``settings`` (as JSON), ``value`` (the highest validation
            figure; missing where the draw diverged), ``chosen``, ``reason``: every draw of a
            search; empty where there was none.
        splits: ``split``, ``train`` and ``validation`` (images; not where scores alone were
            compared), ``test`` (images), ``positives`` and ``patients`` of the test, and
            ``in_other_tests``: how many of these patients another split tests too. Empty where
            there is one split.
        measure: What is compared: ``auroc`` of a binary target, ``macro_auroc`` of several classes,
            ``weighted_kappa`` of ordered ones, ``mean_absolute_error`` of a number.
    """

    experiments: Mapping[str, Experiment | None]
    references: tuple[str, ...]
    seeds: tuple[int, ...]
    group: str
    by: str
    margin: float
    tests: tuple[TestSet, ...]
    costs: Mapping[str, float]
    selection: pd.DataFrame
    failed: pd.DataFrame
    unreadable: pd.DataFrame
    curves: pd.DataFrame = field(repr=False)
    tried: pd.DataFrame = field(default_factory=no_trials, repr=False)
    splits: pd.DataFrame = field(default_factory=no_splits, repr=False)
    measure: str = "auroc"

    def __repr__(self) -> str:
        tests = ", ".join(f"{test.split} ({test.n} images)" for test in self.tests)
        parts = [", ".join(self.names), self.repeats, f"by {self.by}", f"on {tests}"]
        return one_line("Compared", parts)

    def _repr_html_(self) -> str:
        from equiderm.compare import report

        return report.notebook(self)

    @property
    def plot(self) -> Plots:
        """The report's pictures as matplotlib figures: ``plot.levels()``, ``plot.curves()``."""
        from equiderm.compare import plots

        return plots.Plots(self)

    @property
    def about(self) -> Measure:
        """The figure that is compared, with its terms."""
        return BY_KEY[self.measure]

    def gain(self, row: Mapping[str, float], value: str = "difference") -> float:
        """Return how much better a row of `TestSet.differences` is than its reference.

        Args:
            row: The row.
            value: ``difference``; or ``at_most``: the most that it may be better, by a one-sided
                95 % bound.
        """
        if self.about.sign > 0:
            return row[value]
        return -row["at_least" if value == "at_most" else value]

    @property
    def unit(self) -> str:
        """What the intervals count: a seed or, where there are several splits, a split."""
        return "split" if len(self.splits) else "seed"

    @property
    def units(self) -> int:
        """How many of these."""
        return len(self.splits) or len(self.seeds)

    @property
    def repeats(self) -> str:
        """How often every experiment was run: "5 seeds", "3 splits of 5 seeds"."""
        seeds = counted(len(self.seeds), "seed")
        return f"{counted(len(self.splits), 'split')} of {seeds}" if len(self.splits) else seeds

    @property
    def names(self) -> list[str]:
        """Names of the experiments, in order."""
        return list(self.experiments)
