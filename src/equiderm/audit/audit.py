"""The audit: `audit` and its result, with all figures as tables, text or a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from equiderm.audit import comparison, gaps, missed
from equiderm.audit.adjust import Adjusted, adjust_mix
from equiderm.audit.along import Along, curves_along
from equiderm.audit.find import Found
from equiderm.audit.gaps import Gap
from equiderm.audit.groupings import are_labelings, as_text
from equiderm.audit.groups import ByGroup, Figure, Options
from equiderm.audit.input import (
    Provenance,
    Reading,
    Study,
    as_texts,
    from_arrays,
    make_study,
    parse_cuts,
)
from equiderm.audit.label_error import Agreement, Corrected, correct
from equiderm.audit.metrics import HEADLINE, METRICS, WITHOUT_TRUTH
from equiderm.audit.saved import SavedAudit, read_audit, tables_of
from equiderm.audit.shown import report
from equiderm.audit.verdict import Verdict, verdict
from equiderm.errors import InputError
from equiderm.format import json_text, listed
from equiderm.records import Record, remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from equiderm.audit.comparison import Comparison
    from equiderm.audit.report.first_screen import FirstScreen
    from equiderm.audit.report.plots import Plots
    from equiderm.files import AnyPath


@dataclass(frozen=True, eq=False, repr=False)
class Audit(Record):
    """Figures of a classifier overall and by group, with their intervals; from `audit`.

    Attributes:
        study: The checked rows.
        options: Threshold, levels, replicates, seed.
        provenance: Origin of model, data and labels, for the report.
        agreement: The labeller's errors, if known.
        reference: The reference group of each column; by default the largest.
        found: The result of a search over subgroups, if there was one (`find_subgroups`).
        answers: Answers to points of the checklist that the table cannot give, by their key
            (`equiderm.audit.report.checklist.KEYS`).
    """

    study: Study
    options: Options = field(default_factory=Options)
    provenance: Provenance = field(default_factory=Provenance)
    agreement: Agreement | None = None
    reference: Mapping[str, str] = field(default_factory=dict)
    found: Found | None = None
    answers: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def results(self) -> dict[str, ByGroup]:
        """Results of each group column, and of their intersection if there are several."""
        return {g.name: ByGroup(self.study, g, self.options) for g in self.study.groupings}

    @property
    def columns(self) -> list[str]:
        """The group columns, without their intersection."""
        return [g.name for g in self.study.groupings if not g.is_intersection]

    @property
    def audits(self) -> tuple[Audit, ...]:
        """This audit alone; a comparison has several."""
        return (self,)

    def compute(
        self, progress: Callable[[int, int], None] | None = None, *, figures: bool = True
    ) -> None:
        """Compute every figure of every grouping now, instead of when it is first read.

        Args:
            progress: Called with the number of steps done and the number of all steps.
            figures: False computes only the curves and the equal case mix, if requested.
        """
        metrics = METRICS if self.study.truth else WITHOUT_TRUTH
        pairs = [(by, metric) for by in self.results if figures for metric in metrics]
        steps: list[Callable[[], Any]] = [partial(self._compute, *pair) for pair in pairs]
        steps += [partial(self.along, column) for column in self.study.numbers]
        steps += [partial(self.adjusted, by) for by in self.columns if self.study.mix]
        for done, step in enumerate(steps):
            if progress is not None:
                progress(done, len(steps))
            step()
        if progress is not None and steps:
            progress(len(steps), len(steps))

    def _compute(self, by: str, metric: str) -> None:
        results = self.results[by]
        for group in ["overall", *results.grouping.labels]:
            results.figure(metric, group)
        self.gap(metric, by=by)

    @property
    def plot(self) -> Plots:
        """The report's pictures as matplotlib figures: ``plot.forest()``, ``plot.roc()``, ..."""
        return report().plots.Plots(self)

    @property
    def labelings(self) -> bool:
        """Whether the group columns are several labelings of the same thing."""
        return are_labelings([g for g in self.study.groupings if not g.is_intersection])

    def _results_of(self, by: str | None) -> ByGroup:
        if by is not None and by not in self.results:
            raise InputError(f"there is no group column '{by}'; choose {', '.join(self.results)}.")
        return self.results[by or self.columns[0]]

    def figure(self, metric: str, group: str = "overall", *, by: str | None = None) -> Figure:
        """Return one figure of "overall" or a group of column ``by`` (the first by default)."""
        results = self._results_of(by)
        return results.figure(_known(metric), _group_of(results, group))

    def gap(self, metric: str = "auroc", *, by: str | None = None) -> Gap:
        """Return the gap of a figure between the groups of a column, with its null and power."""
        return gaps.gap(self._results_of(by), _known(metric))

    def verdict(
        self, by: str | None = None, acceptable: float | Mapping[str, float] | None = None
    ) -> Verdict:
        """Return whether there is a gap, to whose disadvantage, and who cannot be judged.

        Args:
            by: The group column; the first by default.
            acceptable: The largest acceptable difference, one for all of AUROC, sensitivity and
                specificity, or by figure; by default that of the options.
        """
        limit = self.options.acceptable if acceptable is None else acceptable
        return verdict(self._results_of(by), limit)

    def along(self, column: str | None = None) -> Along:
        """Return AUROC, sensitivity and specificity along a number, without bins.

        Args:
            column: A column that `audit` was given as ``along``; by default the first.

        Raises:
            InputError: No such column, or too few images for a curve.
        """
        return self._curves(self._wanted(column, list(self.study.numbers), "along"))

    @remembered
    def _curves(self, column: str) -> Along:
        return curves_along(self.study, column, self.study.numbers[column], self.options.threshold)

    def adjusted(self, by: str | None = None) -> Adjusted:
        """Return every group as it is and at equal case mix, the mix of all groups together.

        The columns that `audit` was given as ``adjust`` are held equal.

        Args:
            by: The group column; by default the first.

        Raises:
            InputError: No such column, or too little overlap between the groups.
        """
        results = self._results_of(by)
        self._wanted(None, list(self.study.mix), "adjust")
        return self._mixed(results.grouping.name)

    @remembered
    def _mixed(self, by: str) -> Adjusted:
        return adjust_mix(self.results[by], self.study.mix)

    def _wanted(self, column: str | None, given: list[str], option: str) -> str:
        if not given:
            raise InputError(f"name the columns when auditing, as in `audit(..., {option}=...)`.")
        if column is not None and column not in given:
            raise InputError(
                f"'{column}' was not given as `{option}` when auditing; choose {', '.join(given)}."
            )
        return column or given[0]

    def odds_difference(
        self, name: str = "equalized_odds_difference", *, by: str | None = None
    ) -> tuple[float, float, float, str]:
        """Return value, low, high and the reason if missing, by fairlearn's definitions.

        ``equal_opportunity_difference`` is the largest difference of the true positive rate
        between groups; ``equalized_odds_difference`` is the larger of this and the same difference
        of the false positive rate. 0 is no difference.

        Source:
            Hardt, Price and Srebro 2016, arXiv:1610.02413; fairlearn.metrics, agg="worst_case".
        """
        return gaps.odds_difference(self._results_of(by), name)

    def reference_of(self, by: str) -> str:
        """Return the group that the others of a column are compared with."""
        results = self._results_of(by)
        if (chosen := self.reference.get(by)) is not None:
            return chosen
        return max(results.grouping.labels, key=lambda name: len(results.of(name)))

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per column, group and figure: value, low, high, n, positives, missing."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for by, results in self.results.items():
            for group in ["overall", *results.grouping.labels]:
                held = self.study.target[results.of(group)]
                for metric in METRICS:
                    figure = results.figure(metric, group)
                    rows.append(
                        {
                            "by": by,
                            "group": group,
                            "figure": metric,
                            "value": figure.value,
                            "low": figure.low,
                            "high": figure.high,
                            "n": len(held),
                            "positives": int(held.sum()),
                            "missing": figure.why,
                        }
                    )
        return pd.DataFrame(rows)

    def by_group(self, by: str | None = None) -> pd.DataFrame:
        """Return values in the shape of fairlearn's ``MetricFrame.by_group``: groups x figures."""
        import pandas as pd

        results = self._results_of(by)
        groups = results.grouping.labels
        wide = {m: [results.value(m, group)[0] for group in groups] for m in METRICS}
        return pd.DataFrame(wide, index=pd.Index(groups, name=results.grouping.name))

    @property
    def overall(self) -> pd.Series:
        """Values over all rows, in the shape of fairlearn's ``MetricFrame.overall``."""
        import pandas as pd

        results = self._results_of(None)
        return pd.Series({metric: results.value(metric)[0] for metric in METRICS})

    def difference(self, by: str | None = None) -> pd.Series:
        """Return max - min of every figure, as ``MetricFrame.difference()`` does."""
        wide = self.by_group(by)
        return (wide.max() - wide.min()).where(wide.notna().sum() > 1)

    def corrected(self, by: str | None = None) -> list[Corrected]:
        """Return the figures extrapolated to a labeller without error; needs `agreement`."""
        if self.agreement is None:
            return []
        results = self._results_of(by)
        corrected = (correct(results, self.agreement, metric) for metric in HEADLINE)
        return [figure for figure in corrected if figure is not None]

    def compare(self, other: Audit) -> Comparison:
        """Return this model minus ``other`` on the same images, paired."""
        return comparison.compare(self, other)

    def first_screen(self, by: str | None = None) -> FirstScreen:
        """Return the first screen in words: verdict, figures of 100 patients, what to do."""
        return report().first_screen.first_screen(self, self._results_of(by).grouping.name)

    def answer(self) -> tuple[str, str, str]:
        """Return the verdict, its evidence and what to do, in words."""
        screen = report().first_screen.first_screen(self, others=False)
        return screen.headline, " ".join(screen.evidence), " ".join(screen.steps)

    def more_answers(self) -> list[tuple[str, list[str]]]:
        """Return titles and sentences on the requested curves and the equal case mix."""
        study = self.study
        curves = [
            (f"Along {column}", report().curves.sentences(self, self.along(column)))
            for column in study.numbers
        ]
        mixes = [
            (f"At equal {', '.join(study.mix)}, by {by}",
             report().case_mix.sentences(self, self.adjusted(by)))
            for by in self.columns if study.mix
        ]  # fmt: skip
        return curves + mixes

    def missed(self, by: str | None = None, group: str | None = None) -> pd.DataFrame:
        """Return the positives that were missed in a group, the lowest score first.

        Args:
            by: The group column; the first by default.
            group: The group; by default the one that the verdict names as worse, or else the one
                with the lowest sensitivity.
        """
        results = self._results_of(by)
        if group is not None:
            _group_of(results, group)
        return missed.missed_positives(self, results.grouping.name, group)

    def summaries(self, *, crossed: bool = True) -> list[tuple[str, pd.DataFrame]]:
        """Return titles and small tables of text for a terminal, one per grouping.

        Args:
            crossed: Whether intersections of the group columns are included.
        """
        return [
            (f"by {by}, with 95 % intervals", report().tables.by_group_table(self, by))
            for by in (self.results if crossed else self.columns)
        ]

    def to_html(self, *, answers: Mapping[str, str] | None = None) -> str:
        """Return the report as one HTML page that needs no network.

        Args:
            answers: More answers to points of the checklist; they replace the audit's own.
        """
        return report().page.render(self, answers=answers)

    def to_summary(self) -> str:
        """Return the first sheet of the report as an HTML page of its own."""
        return report().page.render_summary(self)

    def to_markdown(self) -> str:
        """Return the report's answer and tables as Markdown."""
        return report().export.to_markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types, in the schema "equiderm.audit/3"."""
        return report().export.to_dict(self)

    def to_json(self) -> str:
        """Return `to_dict` as text; a missing number is null."""
        return json_text(self.to_dict())

    @staticmethod
    def from_json(text: AnyPath) -> SavedAudit:
        """Return an audit that `to_json` wrote, from its text or file: figures, gaps, verdicts.

        The file has no rows, so that nothing further can be computed.

        Raises:
            InputError: Not the JSON of an audit.
        """
        return read_audit(text)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return everything as tidy frames by name, as `SavedAudit.tables` does."""
        return tables_of(self.to_dict())

    def _repr_html_(self) -> str:
        rest = "<p>More is computed on request: .plot, .tables(), .to_html().</p>"
        return report().export.fragment(self.answer(), self.summaries(crossed=False)) + rest

    def __repr__(self) -> str:
        columns = ", ".join(self.results)
        return f"Audit({len(self.study.target)} rows by {columns})"


def _known(metric: str) -> str:
    if metric not in METRICS:
        raise InputError(f"there is no figure '{metric}'; choose one of {', '.join(METRICS)}.")
    return metric


def _group_of(results: ByGroup, group: str) -> str:
    if group not in results.names:
        raise InputError(f"there is no group '{group}'; choose {', '.join(results.names)}.")
    return group


def audit(
    frame: Any = None,
    *,
    target: Any = "target",
    score: Any = "score",
    by: Any = None,
    patient: Any = None,
    image: str | None = None,
    weight: Any = None,
    along: str | Sequence[str] = (),
    adjust: str | Sequence[str] = (),
    options: Options | None = None,
    reference: Mapping[str, str] | None = None,
    agreement: Agreement | None = None,
    provenance: Provenance | None = None,
    positive: str | Sequence[str] = (),
    missing: str | Sequence[str] = (),
    cut: str | Sequence[str] | Mapping[str, Sequence[float]] = (),
    logits: bool = False,
    percent: bool = False,
    drop_missing: bool = False,
    average_views: bool = False,
    no_truth: bool = False,
    min_rows: int = 30,
    name: str = "the table",
) -> Audit:
    """Return how well a classifier does for each group, and how certain that is.

    Args:
        frame: One row per image (a pandas or polars frame, a mapping of columns); or None, and
            arrays instead of column names below. Series are aligned by their index.
        target: Column, or array (n,), of 0 and 1, or of class names with ``positive``.
        score: Column, or array (n,), of probabilities (log-odds where ``logits``); several columns
            are summed. Of an array (n, 2), as from `predict_proba`, the second column is used.
        by: Group columns; without a frame an array or fairlearn's ``sensitive_features``.
        patient: Column, or array (n,): rows of one patient are resampled together.
        image: Column of unique image ids; needed to pair two audits whose rows differ in order.
        weight: Column, or array (n,), of sampling weights, 0 or above: how many people of the
            population a row represents, up to a factor. Every figure is then weighted, with an
            interval that allows for the weights; counts stay counts of images and patients.
        along: Columns of numbers, such as ITA, to draw curves along (`Audit.along`).
        adjust: Columns of the case mix to hold equal between groups (`Audit.adjusted`).
        options: Threshold, levels, replicates, seed.
        reference: For a group column, the group to compare the others with.
        agreement: The labeller's errors (`read_agreement`).
        provenance: Origin of model, data and labels, for the report.
        positive: Names of the classes that count as positive.
        missing: Texts that mean "not known" in target, score, group and patient columns.
        cut: Bands of a column of numbers: ``{"age": [40, 60]}`` or ``"age=40,60"``.
        logits: Whether the scores are log-odds.
        percent: Whether the scores are per cent, 0 to 100.
        drop_missing: Leave rows without target or score out and count them.
        average_views: Average the scores of the rows that share an image id.
        no_truth: There is no target yet: only the shares called positive can be compared.
        min_rows: Fewest rows of an intersection of groups that is shown.
        name: Name of the table for messages.

    Raises:
        InputError: Input that cannot be audited.

    Example:
        >>> result = audit(target=[0, 1] * 20, score=[0.2, 0.7] * 20, by=["a", "b", "b", "a"] * 10)
        >>> result.gap("auroc").value
        0.0
    """
    if no_truth:
        if along or adjust:
            raise InputError(
                f"{name}: curves and the case mix need a target; leave out `no_truth`."
            )
        target = None
    table, (target, score, columns, patient, weight) = from_arrays(
        frame, target, score, by, patient, weight
    )
    study = make_study(
        table,
        target=target,
        score=score,
        by=columns,
        patient=patient,
        image=image,
        weight=weight,
        along=as_texts(along),
        adjust=as_texts(adjust),
        reading=Reading(
            positive=as_texts(positive),
            missing=as_texts(missing),
            cut=parse_cuts(cut),
            logits=logits,
            percent=percent,
            drop_missing=drop_missing,
            average_views=average_views,
            min_rows=min_rows,
        ),
        name=name,
    )
    result = Audit(
        study,
        options or Options(),
        provenance or Provenance(),
        agreement,
        {column: as_text(group) for column, group in (reference or {}).items()},
    )
    for column, group in result.reference.items():
        labels = result.results[column].grouping.labels if column in result.results else ()
        if group not in labels:
            raise InputError(
                f"{name}: column '{column}' has no group '{group}' to compare with; it has "
                f"{listed(labels, most=10)}."
            )
    return result
