"""Audit of several classes: each against the rest, means over the classes, and confusions.

The statistics are those of a single class (`equiderm.audit.differences`), adjusted over the
classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from equiderm.audit.class_figures import MACRO, Macro, OneClass
from equiderm.audit.confusions import Confused, confusions, counts_of
from equiderm.audit.differences import Compared, Differences
from equiderm.audit.groups import Options
from equiderm.audit.input import (
    Provenance,
    Reading,
    Study,
    as_frame,
    as_texts,
    check_column,
    parse_cuts,
    study_of_read,
)
from equiderm.audit.input.cells import columns_of, fill, named_classes, read_scores
from equiderm.audit.metrics import HEADLINE
from equiderm.audit.saved import CLASSES
from equiderm.audit.shown import ShownAudit, report
from equiderm.columns import plain_spelling
from equiderm.errors import InputError
from equiderm.format import listed, plain
from equiderm.records import remembered
from equiderm.statistics.estimates import interval
from equiderm.statistics.intervals import ALPHA
from equiderm.statistics.simultaneous import beside

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

MOST_CLASSES = 50


@dataclass(frozen=True)
class ClassFinding:
    """One figure of one class in one group, compared with the other groups.

    Attributes:
        by: The group column.
        name: The class; "macro" is the mean over classes.
        metric: "auroc", "sensitivity" or "specificity" of this class against the rest; for "macro"
            also "f1" and "accuracy", the share of correct answers.
        group: The group.
        value: The group's figure.
        others_value: The figure of the other groups.
        difference: ``value`` minus ``others_value``. Its interval is simultaneous over the groups
            and adjusted over the three figures, the classes and the page's three questions (Holm).
            It excludes 0 exactly if ``p`` is below 0.05.
        low: Lower bound.
        high: Upper bound.
        p: P-value with the same adjustment.
        images: Images of the class in the group; for "macro", of all classes.
    """

    by: str
    name: str
    metric: str
    group: str
    value: float
    others_value: float
    difference: float
    low: float
    high: float
    p: float
    images: int

    @property
    def established(self) -> bool:
        """Whether the difference is beyond chance."""
        return self.p < ALPHA


_Row = TypeVar("_Row", ClassFinding, Confused)


@dataclass(frozen=True, eq=False, repr=False)
class ClassesAudit(ShownAudit):
    """An audit of several classes; from `audit_classes`.

    Attributes:
        study: The checked rows; its target is that of the first class, its scores are all 0.
        classes: Names of the classes.
        truth: Index of each row's class, shape (n,).
        answer: Index of the class that the model answers, shape (n,).
        scores: Score of each class, in [0, 1], shape (n, classes); None if there are only answers.
        options: Only ``min_count`` is used.
        provenance: Origin of model, data and labels, for the report.
    """

    study: Study
    classes: tuple[str, ...]
    truth: NDArray[np.intp]
    answer: NDArray[np.intp]
    scores: NDArray[np.float64] | None
    options: Options = field(default_factory=Options)
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def title(self) -> str:
        """What is audited: so many classes."""
        return f"Audit of {len(self.classes)} classes"

    def _figures(self, by: str | None) -> tuple[list[OneClass], Macro]:
        return self._of_column(self._grouping(by).name)

    @remembered
    def _of_column(self, by: str) -> tuple[list[OneClass], Macro]:
        single: list[OneClass] = []
        for k in range(len(self.classes)):
            score = np.full(len(self.truth), math.nan) if self.scores is None else self.scores[:, k]
            study = replace(self.study, target=self.truth == k, score=score)
            called, least = self.answer == k, self.options.min_count
            single.append(OneClass(study, self._grouping(by), called, least))
        return single, Macro(single, self.truth == self.answer)

    @remembered
    def _judged(self, by: str) -> _Judged:
        """Return the three questions' differences: the page claims any that is established.

        By Holm's steps over the questions that have any: a question's p is multiplied by the number
        of those left, and its intervals are at that level.
        """
        single, macro = self._figures(by)
        least = _least(single)
        images = self.study, self._grouping(by), self.truth, self.answer
        questions: dict[str, Callable[[int], Sequence[Any]]] = {
            "findings": lambda times: _judge(by, self.classes, single, least, times),
            "macro_findings": lambda times: _judge_macro(by, macro, times),
            "confusions": lambda times: _by_p(confusions(*images, self.classes, times=times)),
        }
        alone = {key: questions[key](1) for key in ("macro_findings", "confusions")}
        smallest = {key: rows[0].p for key, rows in alone.items() if rows}
        alone["findings"] = ()
        if least:
            smallest["findings"] = min(least.values()) * len(least)
        times, rejecting = len(smallest), True
        for key in sorted(smallest, key=smallest.__getitem__):
            if times > 1 or key == "findings":
                alone[key] = questions[key](times)
            rejecting = rejecting and any(row.established for row in alone[key])
            times -= rejecting
        return _Judged(**alone)

    def findings(self, by: str | None = None) -> Sequence[ClassFinding]:
        """Return every class's differences between groups, adjusted over classes, by p."""
        return self._judged(self._grouping(by).name).findings

    def macro_findings(self, by: str | None = None) -> Sequence[ClassFinding]:
        """Return the groups' differences in the means over classes, ordered by p.

        AUROC, sensitivity and specificity are one family; p is adjusted over it, F1 and the share
        of correct answers, hence times three.
        """
        return self._judged(self._grouping(by).name).macro_findings

    def confusions(self, by: str | None = None) -> Sequence[Confused]:
        """Return the confusions' differences between groups, jointly adjusted, ordered by p."""
        return self._judged(self._grouping(by).name).confusions

    def confusion(self, group: str = "overall", *, by: str | None = None) -> NDArray[np.intp]:
        """Return the number of images of each class (rows) per answer (columns), shape (k, k)."""
        grouping = self._grouping(by)
        rows = np.arange(len(self.truth))
        if group != "overall":
            if group not in grouping.labels:
                raise InputError(
                    f"there is no group '{group}'; choose {', '.join(grouping.labels)}."
                )
            rows = np.flatnonzero(grouping.codes == grouping.labels.index(group))
        return counts_of(self.truth[rows], self.answer[rows], len(self.classes))

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per column, group, class and figure: value, low, high, n, missing.

        The class is "macro" for the means over classes.
        """
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for by in self.columns:
            single, macro = self._figures(by)
            named = [*zip(self.classes, single, strict=True), ("macro", macro)]
            for group in ["overall", *self._grouping(by).labels]:
                for name, figures in named:
                    for metric in MACRO if figures is macro else HEADLINE:
                        rows.append({"by": by, "group": group, "class": name, "figure": metric})
                        rows[-1] |= _row(figures, metric, group)
        return pd.DataFrame(rows)

    def left_out(self, by: str | None = None) -> list[str]:
        """Return the classes that are in no mean, because a compared group has too few images."""
        kept = self._figures(by)[1].kept
        return [name for k, name in enumerate(self.classes) if k not in kept]

    def too_few(self, by: str | None = None) -> list[str]:
        """Return the groups that are in no mean, because they have too few images of most classes.

        Where fewer than two groups are left, no audit can say whether the classes differ.
        """
        compared = self._figures(by)[1].compared
        return [group for group in self._grouping(by).labels if group not in compared]

    def can_say(self, by: str | None = None) -> bool:
        """Return whether two groups or more have enough images to be compared."""
        return len(self._grouping(by).labels) - len(self.too_few(by)) >= 2

    @property
    def claims(self) -> bool:
        """Whether a difference of a class, a mean or a confusion is established."""
        return any(
            row.established
            for by in self.columns
            for row in (*self.findings(by), *self.macro_findings(by), *self.confusions(by))
        )

    def compute(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compute everything now, instead of when it is first read; see `Audit.compute`."""
        steps = [(f, by) for by in self.columns for f in (self.findings, self.confusions)]
        for done, (step, by) in enumerate(steps):
            if progress is not None:
                progress(done, len(steps) + 1)
            step(by)
        _ = self.table
        if progress is not None:
            progress(len(steps) + 1, len(steps) + 1)

    def answers(self) -> tuple[str, ...]:
        """Return the verdict over all classes and its evidence, in words."""
        return report().classes.sentences(self)

    def summaries(self) -> list[tuple[str, pd.DataFrame]]:
        """Return titles and small tables of text for a terminal."""
        return report().classes.summaries(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types, in the schema "equiderm.classes/1"."""
        return plain(
            {
                **self._about(CLASSES),
                "classes": self.classes,
                "figures": self.table.to_dict("records"),
                "findings": [asdict(row) for by in self.columns for row in self.findings(by)],
                "macro_findings": [
                    asdict(row) for by in self.columns for row in self.macro_findings(by)
                ],
                "not_in_macro": {by: self.left_out(by) for by in self.columns},
                "confusion": {
                    by: {
                        group: self.confusion(group, by=by).tolist()
                        for group in ["overall", *self._grouping(by).labels]
                    }
                    for by in self.columns
                },
                "confusions": [asdict(row) for by in self.columns for row in self.confusions(by)],
            }
        )

    def to_html(self) -> str:
        """Return the report as one HTML page that needs no network."""
        return report().classes.render(self)


def _row(figures: OneClass | Macro, metric: str, group: str) -> dict[str, Any]:
    value, count, why = figures.value(metric, group)
    low = high = math.nan
    if not why:
        low, high = interval(figures.estimate(metric, group))
        low, high = min(low, value), max(high, value)
    return {"value": value, "low": low, "high": high, "n": count, "missing": why}


class _Judged(NamedTuple):
    """The differences that answer the three questions of a group column, each ordered by p."""

    findings: Sequence[ClassFinding]
    macro_findings: Sequence[ClassFinding]
    confusions: Sequence[Confused]


def _finding(row: Compared, by: str, name: str, times: int, images: int) -> ClassFinding:
    """Return a difference with p adjusted ``times`` more, as its interval already is."""
    ends = row.low_adjusted, row.high_adjusted
    p = beside(min(row.p_adjusted * times, 1.0), *ends)
    figures = row.estimate.value, row.other.value, row.difference
    return ClassFinding(by, name, row.metric, row.group, *figures, *ends, p, images)


def _least(classes: Sequence[OneClass]) -> dict[int, float]:
    """Return the least p of each class that can be compared, adjusted over groups and figures."""
    least: dict[int, float] = {}
    for k, figures in enumerate(classes):
        rows = [row for metric in HEADLINE for row in Differences(figures).compared(metric)]
        if rows:
            least[k] = min(row.p_adjusted for row in rows)
    return least


def _judge(
    by: str,
    names: Sequence[str],
    classes: Sequence[OneClass],
    least: Mapping[int, float],
    questions: int,
) -> list[ClassFinding]:
    """Return every class's differences, adjusted over the classes by Holm's steps, ordered by p.

    A class's own p-values are already adjusted over its groups and figures. At each step they are
    multiplied by the number of classes left, and its intervals are at that level.

    Source:
        Holm 1979, Scandinavian Journal of Statistics 6:65.
    """
    findings: list[ClassFinding] = []
    times, rejecting = len(least), True
    for k in sorted(least, key=least.__getitem__):
        all_times = times * questions
        differences = Differences(classes[k], level=1 - ALPHA / all_times)
        rows = [row for metric in HEADLINE for row in differences.compared(metric)]
        findings += [
            _finding(row, by, names[k], all_times, classes[k].value("sensitivity", row.group)[1])
            for row in rows
        ]
        rejecting = rejecting and any(row.established for row in findings[-len(rows) :])
        times -= rejecting
    return _by_p(findings)


def _judge_macro(by: str, macro: Macro, questions: int) -> list[ClassFinding]:
    times = 3 * questions
    differences = Differences(macro, level=1 - ALPHA / times)
    rows = [row for metric in MACRO for row in differences.compared(metric)]
    return _by_p(_finding(row, by, "macro", times, len(macro.of(row.group))) for row in rows)


def _by_p(rows: Iterable[_Row]) -> list[_Row]:
    return sorted(rows, key=lambda row: (row.p, -abs(row.difference)))


# The rows ----------------------------------------------------------------------------------------


def audit_classes(
    frame: Any,
    *,
    target: str = "target",
    classes: str | Sequence[str] = (),
    scores: Mapping[str, str] | None = None,
    predicted: str | None = None,
    by: str | Sequence[str] = "ita_band",
    patient: str | None = None,
    options: Options | None = None,
    provenance: Provenance | None = None,
    missing: str | Sequence[str] = (),
    cut: str | Sequence[str] | Mapping[str, Sequence[float]] = (),
    logits: bool = False,
    percent: bool = False,
    drop_missing: bool = False,
    min_rows: int = 30,
    name: str = "the table",
) -> ClassesAudit:
    """Return how well a classifier of several classes does for each group.

    Args:
        frame: One row per image.
        target: Column of the true class.
        classes: The classes; by default those in the target column.
        scores: The score column of each class; by default the columns named after the classes (in
            any case, and with ``p_``, ``prob_``, ``score_`` or ``proba_`` before the name).
        predicted: Column of the class that the model answers; by default the class with the
            highest score.
        by: Group columns; several are also crossed.
        patient: Column of the patient; rows of one patient are not independent.
        options: Only ``min_count`` is used.
        provenance: Origin of model, data and labels, for the report.
        missing: Texts that mean "not known".
        cut: Bands of a column of numbers: ``{"age": [40, 60]}`` or ``"age=40,60"``.
        logits: Whether the scores are log-odds or other numbers before the softmax.
        percent: Whether the scores are per cent.
        drop_missing: Leave rows without class, answer or score out and count them.
        min_rows: Fewest rows of an intersection of groups that is shown.
        name: Name of the table for messages.

    Raises:
        InputError: Input that cannot be audited.
    """
    frame = as_frame(frame).reset_index(drop=True)
    reading = Reading(
        missing=as_texts(missing),
        cut=parse_cuts(cut),
        logits=logits,
        percent=percent,
        drop_missing=drop_missing,
        min_rows=min_rows,
    )
    check_column(frame, target, name, "target")
    if target in ([by] if isinstance(by, str) else by):
        raise InputError(
            f"{name}: '{target}' says the class, so that each of its groups holds one class "
            "alone; group by another column."
        )
    said = fill(frame[target], reading.missing)
    answered = None
    if predicted is not None:
        check_column(frame, predicted, name, "predicted")
        answered = fill(frame[predicted], reading.missing)
    known = _classes(as_texts(classes), said, answered, target, name)
    columns = _score_columns(frame, known, scores, name, needed=answered is None)
    table = None if columns is None else _read(frame, columns, reading, name)
    empty = said.isna().to_numpy(bool)
    if answered is not None:
        empty = empty | answered.isna().to_numpy(bool)
    if table is not None:
        empty = empty | np.isnan(table).any(axis=1)
    study, rows = study_of_read(
        frame,
        empty,
        "without score or answer",
        target=target,
        by=by,
        patient=patient,
        reading=replace(reading, positive=known[:1], logits=False, percent=False),
        name=name,
    )
    place = {kind: k for k, kind in enumerate(known)}
    truth = said.map(place).to_numpy(float)[rows].astype(np.intp)
    table = None if table is None else table[rows]
    if answered is not None:
        answer = answered.map(place).to_numpy(float)[rows].astype(np.intp)
    else:
        assert table is not None
        answer = table.argmax(axis=1).astype(np.intp)
    notes = study.notes
    if table is None and (scored := [k for k in known if columns_of([k], list(frame.columns))]):
        lacking = next(kind for kind in known if kind not in scored)
        notes += (
            f"No AUROC: the class '{lacking}' has no score column. Leave its rows out, or name "
            "its column after it.",
        )
    study = replace(study, notes=notes)
    return ClassesAudit(
        study, known, truth, answer, table, options or Options(), provenance or Provenance()
    )


def _classes(
    given: Sequence[str], said: Any, answered: Any, target: str, name: str
) -> tuple[str, ...]:
    """Return the classes: those given, or those among the truth and the answers."""
    there = list(dict.fromkeys(said.dropna()))
    more = [] if answered is None else list(dict.fromkeys(answered.dropna()))
    spelled: dict[str, str] = {}
    for kind in (*there, *more):
        if (other := spelled.setdefault(plain_spelling(kind), kind)) != kind:
            raise InputError(
                f"{name}: '{other}' and '{kind}' are classes of '{target}' or of the answers, and "
                "differ in capitals, blanks or dashes only; write them alike."
            )
    if not given or tuple(given) == ("all",):
        known = tuple(sorted({*there, *more}))
    else:
        known = tuple(named_classes(given, [*there, *more]))
        if other := [kind for kind in (*there, *more) if kind not in known]:
            raise InputError(
                f"{name}: column '{target}' has '{other[0]}', which is not one of the classes "
                f"{', '.join(known)}; name every class, or say what means not known with "
                f'`missing="{other[0]}"`.'
            )
        if absent := [kind for kind in known if kind not in there]:
            raise InputError(
                f"{name}: column '{target}' never has the class '{absent[0]}'; leave it out."
            )
    if len(known) < 3:
        raise InputError(
            f"{name}: column '{target}' has {listed(known)}; an audit of classes needs three or "
            f'more. Of two, name the positive: `positive="{known[-1] if known else "malignant"}"`.'
        )
    if len(known) > MOST_CLASSES:
        raise InputError(
            f"{name}: column '{target}' has {len(known)} classes, but at most {MOST_CLASSES} can "
            "be audited at once; merge some."
        )
    return known


def _score_columns(
    frame: pd.DataFrame,
    classes: Sequence[str],
    given: Mapping[str, str] | None,
    name: str,
    *,
    needed: bool,
) -> list[str] | None:
    """Return the score column of each class; None if there are none but answers are given."""
    if given is not None:
        if absent := [kind for kind in classes if kind not in given]:
            raise InputError(f"{name}: no score column is named for the class '{absent[0]}'.")
        for column in given.values():
            check_column(frame, column, name)
        return [given[kind] for kind in classes]
    if (columns := columns_of(classes, list(frame.columns))) is not None:
        return columns
    if not needed:
        return None
    there = list(frame.columns)
    absent = next((kind for kind in classes if columns_of([kind], there) is None), classes[0])
    raise InputError(
        f"{name}: has no score column '{absent}' for the class '{absent}'; name the columns after "
        'the classes, or give the column of the answer with `predicted="COLUMN"`.'
    )


def _read(
    frame: pd.DataFrame, columns: Sequence[str], reading: Reading, name: str
) -> NDArray[np.float64]:
    """Return the scores of all classes, in [0, 1], shape (n, classes); NaN for empty cells."""
    for column in columns:
        check_column(frame, column, name)
    table = np.column_stack([read_scores(frame, [column], reading, name) for column in columns])
    if reading.logits:
        table = np.exp(table - np.max(table, axis=1, keepdims=True))
        table /= table.sum(axis=1, keepdims=True)
    return table
