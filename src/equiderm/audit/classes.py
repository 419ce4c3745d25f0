"""Several classes: every class against the rest, means over the classes, and who is taken for whom.

The statistics are those of one class at a time (`equiderm.audit.differences`), adjusted over the
classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

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
    make_study,
    parse_cuts,
)
from equiderm.audit.input.cells import columns_of, fill, read_scores
from equiderm.audit.metrics import HEADLINE
from equiderm.audit.shown import report
from equiderm.errors import InputError
from equiderm.format import json_text, listed, plain
from equiderm.records import Record
from equiderm.statistics.estimates import interval
from equiderm.statistics.intervals import ALPHA

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from equiderm.audit.groupings import Grouping

SCHEMA = "equiderm.classes/1"
MOST_CLASSES = 50
_STAND_IN, _ROW = "score of the class", "row of the table"


@dataclass(frozen=True)
class ClassFinding:
    """One figure of one class in one group, against the other groups.

    Attributes:
        by: The group column.
        name: The class; "macro" is the mean over classes.
        metric: "auroc", "sensitivity" or "specificity" of this class against the rest; of the mean
            also "f1" and "accuracy", the share of right answers.
        group: The group.
        value: The group's figure.
        others_value: That of the other groups.
        difference: Value minus others, with an interval that is simultaneous over the groups and
            adjusted over the three figures and over the classes (Holm); it excludes 0 exactly where
            ``p`` is below 0.05.
        low: Lower bound.
        high: Upper bound.
        p: Adjusted likewise.
        images: Of the class in the group; of all classes for a mean.
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
        """Whether chance does not explain the difference."""
        return self.p < ALPHA


@dataclass(frozen=True, eq=False, repr=False)
class ClassesAudit(Record):
    """An audit of several classes; made by `audit_classes`.

    Attributes:
        study: The checked rows; its target and score are those of the first class.
        classes: Names of the classes.
        truth: The class of each row, shape (n,).
        answer: The class that the model answers, shape (n,).
        scores: Of each class, shape (n, classes); None where there is only an answer.
        options: ``min_count`` is used.
        provenance: What the report says about the origin.
    """

    study: Study
    classes: tuple[str, ...]
    truth: NDArray[np.intp]
    answer: NDArray[np.intp]
    scores: NDArray[np.float64] | None
    options: Options = field(default_factory=Options)
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def columns(self) -> list[str]:
        """The group columns, and their intersection where there are several."""
        return [one.name for one in self.study.groupings]

    @property
    def patients(self) -> int | None:
        """How many patients there are; None where every image stands for itself."""
        return None if self.study.patient is None else int(self.study.patient.max()) + 1

    def _grouping(self, by: str | None) -> Grouping:
        for one in self.study.groupings:
            if one.name == (by or self.columns[0]):
                return one
        raise InputError(f"there is no group column '{by}'; it is {', '.join(self.columns)}.")

    @cached_property
    def _by_column(self) -> dict[str, tuple[list[OneClass], Macro]]:
        return {}

    def _figures(self, by: str | None) -> tuple[list[OneClass], Macro]:
        grouping = self._grouping(by)
        if grouping.name not in self._by_column:
            made: list[OneClass] = []
            for k in range(len(self.classes)):
                score = np.full(len(self.truth), math.nan)
                if self.scores is not None:
                    score = self.scores[:, k]
                study = replace(self.study, target=self.truth == k, score=score)
                made.append(OneClass(study, grouping, self.answer == k, self.options.min_count))
            self._by_column[grouping.name] = made, Macro(made, self.truth == self.answer)
        return self._by_column[grouping.name]

    @cached_property
    def _judged(self) -> dict[str, list[ClassFinding]]:
        return {}

    def findings(self, by: str | None = None) -> list[ClassFinding]:
        """Return every class's differences between groups, adjusted over classes, worst first."""
        name = self._grouping(by).name
        if name not in self._judged:
            self._judged[name] = _judge(name, self.classes, self._figures(name)[0])
        return self._judged[name]

    def macro_findings(self, by: str | None = None) -> list[ClassFinding]:
        """Return the groups' differences of the means over classes, the surest first.

        AUROC, sensitivity and specificity are judged together; they, F1 and the share of right
        answers are three, over which everything is adjusted.
        """
        macro = self._figures(by)[1]
        differences = Differences(macro, level=1 - ALPHA / 3)
        rows = [row for metric in MACRO for row in differences.compared(metric)]
        name = self._grouping(by).name
        made = [_finding(row, name, "macro", 3, len(macro.of(row.group))) for row in rows]
        return sorted(made, key=lambda one: (one.p, -abs(one.difference)))

    def confusions(self, by: str | None = None) -> list[Confused]:
        """Return how the confusions differ between groups, judged together, the surest first."""
        name = self._grouping(by).name
        if name not in self._confused:
            made = confusions(self.study, self._grouping(by), self.truth, self.answer, self.classes)
            self._confused[name] = sorted(made, key=lambda one: (one.p, -abs(one.difference)))
        return self._confused[name]

    @cached_property
    def _confused(self) -> dict[str, list[Confused]]:
        return {}

    def confusion(self, group: str = "overall", *, by: str | None = None) -> NDArray[np.intp]:
        """Return how many images of each class (rows) get each answer (columns)."""
        grouping = self._grouping(by)
        rows = np.arange(len(self.truth))
        if group != "overall":
            if group not in grouping.labels:
                raise InputError(
                    f"there is no group '{group}'; it is {', '.join(grouping.labels)}."
                )
            rows = np.flatnonzero(grouping.codes == grouping.labels.index(group))
        return counts_of(self.truth[rows], self.answer[rows], len(self.classes))

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row per column, group, class and figure: value, low, high, n, missing.

        The class is "macro" for the means over classes.
        """
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for by in self.columns:
            single, macro = self._figures(by)
            named = [*zip(self.classes, single, strict=True), ("macro", macro)]
            for group in ["overall", *self._grouping(by).labels]:
                for name, one in named:
                    for metric in MACRO if one is macro else HEADLINE:
                        rows.append({"by": by, "group": group, "class": name, "figure": metric})
                        rows[-1] |= _row(one, metric, group)
        return pd.DataFrame(rows)

    def left_out(self, by: str | None = None) -> list[str]:
        """Return the classes that are in no mean: a group that is compared has too few of them."""
        kept = self._figures(by)[1].kept
        return [name for k, name in enumerate(self.classes) if k not in kept]

    def compute(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compute everything now, and not when it is first read; see `Audit.compute`."""
        steps = [one for by in self.columns for one in ((self.findings, by), (self.confusions, by))]
        for done, (step, by) in enumerate(steps):
            if progress is not None:
                progress(done, len(steps) + 1)
            step(by)
        _ = self.table
        if progress is not None:
            progress(len(steps) + 1, len(steps) + 1)

    def answers(self) -> tuple[str, ...]:
        """Return the verdict over all classes and what it rests on, in words."""
        return report().classes.sentences(self)

    def summaries(self) -> list[tuple[str, pd.DataFrame]]:
        """Return titles and small tables of text for a terminal."""
        return report().classes.summaries(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types, by the schema "equiderm.classes/1"."""
        return plain(
            {
                "schema": SCHEMA,
                "answer": self.answers(),
                "classes": self.classes,
                "rows": len(self.truth),
                "patients": None
                if self.study.patient is None
                else int(self.study.patient.max()) + 1,
                "notes": (*self.study.notes, *self.study.doubts),
                "options": asdict(self.options),
                "provenance": asdict(self.provenance),
                "versions": report().tables.versions(),
                "figures": self.table.to_dict("records"),
                "findings": [asdict(one) for by in self.columns for one in self.findings(by)],
                "macro_findings": [
                    asdict(one) for by in self.columns for one in self.macro_findings(by)
                ],
                "not_in_macro": {by: self.left_out(by) for by in self.columns},
                "confusion": {
                    by: {
                        group: self.confusion(group, by=by).tolist()
                        for group in ["overall", *self._grouping(by).labels]
                    }
                    for by in self.columns
                },
                "confusions": [asdict(one) for by in self.columns for one in self.confusions(by)],
            }
        )

    def to_json(self) -> str:
        """Return `to_dict` as text; a missing number is null."""
        return json_text(self.to_dict())

    def to_markdown(self) -> str:
        """Return the answer and the tables as Markdown."""
        return report().classes.to_markdown(self)

    def to_html(self) -> str:
        """Return the report as one HTML page that needs no network."""
        return report().classes.render(self)

    def _repr_html_(self) -> str:
        return report().classes.notebook(self)


def _row(one: OneClass | Macro, metric: str, group: str) -> dict[str, Any]:
    value, count, why = one.value(metric, group)
    low = high = math.nan
    if not why:
        low, high = interval(one.estimate(metric, group))
        low, high = min(low, value), max(high, value)
    return {"value": value, "low": low, "high": high, "n": count, "missing": why}


def _finding(row: Compared, by: str, name: str, times: int, images: int) -> ClassFinding:
    """Return a difference that is adjusted for so many, of which its interval knows already."""
    p = min(row.p_adjusted * times, 1.0)
    excluded = row.low_adjusted > 0 or row.high_adjusted < 0
    p = min(p, math.nextafter(ALPHA, 0)) if excluded else max(p, ALPHA)
    figures = row.estimate.value, row.other.value, row.difference
    ends = row.low_adjusted, row.high_adjusted
    return ClassFinding(by, name, row.metric, row.group, *figures, *ends, p, images)


def _judge(by: str, names: Sequence[str], classes: Sequence[OneClass]) -> list[ClassFinding]:
    """Return every class's differences, adjusted over the classes by Holm's steps.

    A class's own p-values hold for all its groups and figures together; at the k-th step they are
    taken times the number of classes left, and its intervals at that level.

    Source:
        Holm 1979, Scandinavian Journal of Statistics 6:65.
    """
    least: dict[int, float] = {}
    for k, one in enumerate(classes):
        rows = [row for metric in HEADLINE for row in Differences(one).compared(metric)]
        if rows:
            least[k] = min(row.p_adjusted for row in rows)
    made: list[ClassFinding] = []
    times, going = len(least), True
    for k in sorted(least, key=least.__getitem__):
        differences = Differences(classes[k], level=1 - ALPHA / times)
        rows = [row for metric in HEADLINE for row in differences.compared(metric)]
        made += [
            _finding(row, by, names[k], times, classes[k].value("sensitivity", row.group)[1])
            for row in rows
        ]
        going = going and any(one.established for one in made[-len(rows) :])
        times -= going
    return sorted(made, key=lambda one: (one.p, -abs(one.difference)))


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
        target: Column of the class that an image truly is of.
        classes: The classes; where not given, those that the target column says.
        scores: For each class the column of its score; where not given, the columns called as the
            classes (also with ``p_``, ``prob_``, ``score_`` or ``proba_`` before, or in other
            capitals).
        predicted: Column of the class that the model answers; where not given, the class with the
            highest score.
        by: Group columns; intersections of several are made as well.
        patient: Column of the patient: one patient's images stay together.
        options: ``min_count`` is used.
        provenance: What the report says about the origin.
        missing: Texts that mean "not known".
        cut: Bands of a column of numbers: ``{"age": [40, 60]}`` or ``"age=40,60"``.
        logits: Whether the scores are log-odds or other numbers before the softmax.
        percent: Whether the scores are per cent.
        drop_missing: Leave rows without class, answer or score out and count them.
        min_rows: Smallest intersection of groups that is shown.
        name: What messages call the table.

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
    study = make_study(
        frame.assign(
            **{
                _STAND_IN: np.where(empty, np.nan, np.arange(len(frame)) % 2 / 2),
                _ROW: np.arange(len(frame)),
            }
        ),
        target=target,
        score=_STAND_IN,
        by=[by] if isinstance(by, str) else list(by),
        patient=patient,
        image=_ROW,
        reading=replace(reading, positive=known[:1], logits=False, percent=False),
        name=name,
    )
    assert study.ids is not None
    rows = study.ids.astype(np.intp)
    place = {one: k for k, one in enumerate(known)}
    truth = said.map(place).to_numpy(float)[rows].astype(np.intp)
    table = None if table is None else table[rows]
    if answered is not None:
        answer = answered.map(place).to_numpy(float)[rows].astype(np.intp)
    else:
        assert table is not None
        answer = table.argmax(axis=1).astype(np.intp)
    notes = [note for note in study.notes if "The score is" not in note]
    notes = tuple(note.replace(_STAND_IN, "score") for note in notes)
    study = replace(study, ids=None, notes=notes)
    return ClassesAudit(
        study, known, truth, answer, table, options or Options(), provenance or Provenance()
    )


def _classes(
    given: Sequence[str], said: Any, answered: Any, target: str, name: str
) -> tuple[str, ...]:
    """Return the classes: those given, or those that truth and answers say."""
    there = list(dict.fromkeys(said.dropna()))
    more = [] if answered is None else list(dict.fromkeys(answered.dropna()))
    if not given or tuple(given) == ("all",):
        known = tuple(sorted({*there, *more}))
    else:
        known = tuple(dict.fromkeys(given))
        if other := [one for one in (*there, *more) if one not in known]:
            raise InputError(
                f"{name}: column '{target}' says '{other[0]}', which is none of the classes "
                f"{', '.join(known)}; name every class, or say what is not known with "
                f'`missing="{other[0]}"`.'
            )
        if absent := [one for one in known if one not in there]:
            raise InputError(f"{name}: column '{target}' never says '{absent[0]}'; leave it out.")
    if len(known) < 3:
        raise InputError(
            f"{name}: column '{target}' says {listed(known)}; several classes are three or more. "
            f'Of two, name the positive one: `positive="{known[-1] if known else "malignant"}"`.'
        )
    if len(known) > MOST_CLASSES:
        raise InputError(
            f"{name}: column '{target}' has {len(known)} classes, at most {MOST_CLASSES} can be "
            "audited at once; join some."
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
    """Return the score column of each class; None where there are none and an answer is given."""
    if given is not None:
        if absent := [one for one in classes if one not in given]:
            raise InputError(f"{name}: no score column is named for the class '{absent[0]}'.")
        for column in given.values():
            check_column(frame, column, name)
        return [given[one] for one in classes]
    if (columns := columns_of(classes, list(frame.columns))) is not None:
        return columns
    if not needed:
        return None
    absent = next(one for one in classes if one not in frame.columns)
    raise InputError(
        f"{name}: has no score column '{absent}' for the class '{absent}'; name the columns as the "
        'classes, or give the column of the answer with `predicted="COLUMN"`.'
    )


def _read(
    frame: pd.DataFrame, columns: Sequence[str], reading: Reading, name: str
) -> NDArray[np.float64]:
    """Return the scores of all classes, shape (n, classes); NaN where a cell is empty."""
    for column in columns:
        check_column(frame, column, name)
    table = np.column_stack([read_scores(frame, [column], reading, name) for column in columns])
    if reading.logits:
        table = np.exp(table - np.max(table, axis=1, keepdims=True))
        table /= table.sum(axis=1, keepdims=True)
    return table
