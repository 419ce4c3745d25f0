"""Search for subgroups: values and intersections of columns whose figures differ most.

Every value of the given columns and every intersection of a few is compared with all other rows.
All are tested by the largest statistic, so that the search is adjusted for multiplicity.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.groupings import as_text
from equiderm.audit.input import as_frame, as_texts, check_column, make_study, parse_cuts
from equiderm.audit.input.cells import Reading, fill, numbers_of
from equiderm.audit.metrics import HEADLINE
from equiderm.audit.shown import report
from equiderm.audit.subsets import Subsets
from equiderm.errors import InputError
from equiderm.records import Record
from equiderm.statistics.estimates import spread
from equiderm.statistics.intervals import ALPHA, Z95, normal_quantile
from equiderm.statistics.simultaneous import Difference, Largest, beside, correlation_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from equiderm.audit.groupings import Grouping
    from equiderm.audit.input import Study

MOST_VALUES = 10  # of a column of numbers that stays uncut
BANDS = 3
MOST_CONTRIBUTIONS = 80_000_000  # patients times subgroups in memory, 4 bytes each
MOST_DEPTH = 3
MOST_NAMED = 10

Conditions = tuple[tuple[str, str], ...]  # column and value of each


@dataclass(frozen=True)
class Subgroup:
    """One figure of one subgroup, compared with all rows outside it.

    Attributes:
        conditions: Column and value of each condition, at most `MOST_DEPTH`.
        metric: "auroc", "sensitivity" or "specificity".
        value: The subgroup's figure.
        others_value: The figure of all other rows.
        difference: ``value`` minus ``others_value``. Its interval is simultaneous over all
            subgroups and figures; it excludes 0 exactly if ``p`` is below 0.05.
        low: Lower bound.
        high: Upper bound.
        p: P-value with the same adjustment.
        images: Images of the subgroup.
        positives: Positive images of the subgroup.
        patients: Patients of the subgroup, or its images if patients are not known.
        noticed: About the drop that would be noticed in 80 of 100 tables of these sizes.
    """

    conditions: Conditions
    metric: str
    value: float
    others_value: float
    difference: float
    low: float
    high: float
    p: float
    images: int
    positives: int
    patients: int
    noticed: float

    @property
    def name(self) -> str:
        """The conditions in words."""
        return _in_words(self.conditions)

    @property
    def established(self) -> bool:
        """Whether the difference is beyond chance, adjusted for all that were compared."""
        return self.p < ALPHA


@dataclass(frozen=True)
class Unseen:
    """A subgroup that is too small to be compared."""

    conditions: Conditions
    images: int
    positives: int
    patients: int

    @property
    def name(self) -> str:
        """The conditions in words."""
        return _in_words(self.conditions)


def _in_words(conditions: Conditions) -> str:
    return " and ".join(f"{column} {value}" for column, value in conditions)


@dataclass(frozen=True, eq=False, repr=False)
class Found(Record):
    """The result of a search over subgroups; from `find_subgroups`.

    Attributes:
        columns: The columns whose values were crossed.
        depth: The most conditions of a subgroup.
        rows: Every figure of every compared subgroup, ordered by p.
        looked: Number of compared subgroups.
        unseen: The largest subgroups that are too small to be compared.
        unseen_count: Number of subgroups that are too small.
        notes: Columns that were cut into bands, and what was not compared.
    """

    columns: tuple[str, ...]
    depth: int
    rows: tuple[Subgroup, ...]
    looked: int
    unseen: tuple[Unseen, ...]
    unseen_count: int
    notes: tuple[str, ...] = ()

    @property
    def established(self) -> tuple[Subgroup, ...]:
        """The established differences, ordered by p."""
        return tuple(row for row in self.rows if row.established)

    @property
    def table(self) -> pd.DataFrame:
        """One row per subgroup and figure."""
        import pandas as pd

        return pd.DataFrame([{"subgroup": row.name} | row.__dict__ for row in self.rows]).drop(
            columns="conditions", errors="ignore"
        )

    def answer(self) -> tuple[str, ...]:
        """Return the established differences, and what was too small to compare, in words."""
        return report().subgroups.sentences(self)

    def shown(self, most: int = 12) -> pd.DataFrame:
        """Return the differences with the lowest p as text; a star marks established ones."""
        return report().subgroups.table(self, most)


def find_subgroups(
    frame: Any,
    columns: str | Sequence[str],
    *,
    depth: int = 2,
    metrics: str | Sequence[str] = HEADLINE,
    target: str = "target",
    score: str | Sequence[str] = "score",
    patient: str | None = None,
    weight: str | None = None,
    threshold: float = 0.5,
    positive: str | Sequence[str] = (),
    missing: str | Sequence[str] = (),
    cut: str | Sequence[str] | Mapping[str, Sequence[float]] = (),
    logits: bool = False,
    percent: bool = False,
    drop_missing: bool = False,
    name: str = "the table",
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Return the subgroups of several columns whose figures differ most from all other rows.

    Args:
        frame: One row per image.
        columns: The columns to cross. A column of numbers with over `MOST_VALUES` values is cut at
            its thirds, or as in ``cut``.
        depth: The most conditions of a subgroup, 1 to `MOST_DEPTH`.
        metrics: Any of "auroc", "sensitivity" and "specificity".
        target: Column of 0 and 1, or of class names with ``positive``.
        score: Column of the score, or several to sum.
        patient: Column of the patient; rows of one patient are not independent.
        weight: Column of sampling weights; by default every row counts once.
        threshold: Score from which an image is called positive.
        positive: Names of the classes that count as positive.
        missing: Texts that mean "not known".
        cut: Bands of a column of numbers: ``{"age": [40, 60]}`` or ``"age=40,60"``.
        logits: Whether the scores are log-odds.
        percent: Whether the scores are per cent.
        drop_missing: Leave rows without target or score out.
        name: Name of the table for messages.
        progress: Called with the number of steps done and the number of all steps.

    Raises:
        InputError: Input that cannot be searched.
    """
    wanted, chosen = as_texts(columns), as_texts(metrics)
    if not 1 <= depth <= MOST_DEPTH:
        raise InputError(f"the depth of subgroups is {depth}; give 1 to {MOST_DEPTH}.")
    if unknown := [metric for metric in chosen if metric not in HEADLINE]:
        raise InputError(f"'{unknown[0]}' is not searched; choose from {', '.join(HEADLINE)}.")
    frame, edges, notes = as_frame(frame), dict(parse_cuts(cut)), []
    for column in wanted:
        check_column(frame, column, name, "by")
        if column not in edges and (own := _thirds(fill(frame[column], as_texts(missing)))):
            edges[column] = own
            notes.append(f"{column} was cut at {', '.join(f'{edge:g}' for edge in own)}.")
    reading = Reading(
        positive=as_texts(positive),
        missing=as_texts(missing),
        cut=edges,
        logits=logits,
        percent=percent,
        drop_missing=drop_missing,
    )
    studies = [
        make_study(
            frame,
            target=target,
            score=score,
            by=[column],
            patient=patient,
            weight=weight,
            reading=reading,
            name=name,
        )
        for column in wanted
    ]
    return search(
        *(studies[0], [study.groupings[0] for study in studies]),
        *(depth, chosen, threshold, notes, progress),
    )


def _thirds(column: Any) -> tuple[float, ...]:
    """Return the edges of bands of about equal size; empty for a column of few numbers or text."""
    import pandas as pd

    numbers = pd.to_numeric(numbers_of(column), errors="coerce")
    known = column.notna()
    if numbers[known].isna().any() or numbers.nunique() <= MOST_VALUES:
        return ()
    values = numbers[known].to_numpy(float)
    cuts = np.quantile(values, [k / BANDS for k in range(1, BANDS)], method="higher")
    return tuple(dict.fromkeys(float(cut) for cut in cuts if cut > values.min()))


def search(
    study: Study,
    groupings: Sequence[Grouping],
    depth: int,
    metrics: Sequence[str],
    threshold: float,
    notes: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Return the result of `find_subgroups` for rows that are already read."""
    report_progress = progress or (lambda done, total: None)
    sorted_rows = Subsets(study, threshold)
    masks: list[tuple[Conditions, NDArray[np.bool_]]] = []
    unseen: list[Unseen] = []
    remarks = list(notes)
    for deep in range(1, min(depth, len(groupings)) + 1):
        seen: list[tuple[Conditions, NDArray[np.bool_]]] = []
        for conditions, mask in _subgroups(groupings, deep):
            if sorted_rows.lacks(~mask):
                continue  # too few rows are left to compare with
            if sorted_rows.lacks(mask):
                who = study.count_patients(mask)
                unseen.append(
                    Unseen(conditions, int(mask.sum()), int((mask & study.target).sum()), who)
                )
            else:
                seen.append((conditions, mask))
        if deep > 1 and (len(masks) + len(seen)) * study.clusters > MOST_CONTRIBUTIONS:
            remarks.append(
                f"Subgroups of {deep} conditions were not compared: {len(seen):,} of them are too "
                "many for so many rows."
            )
            break
        masks += seen
    rows: list[Subgroup] = []
    for k, metric in enumerate(metrics):
        report_progress(k, len(metrics))
        rows += _judged(sorted_rows, masks, metric, len(metrics))
    report_progress(len(metrics), len(metrics))
    rows.sort(key=lambda row: (row.p, -abs(row.difference)))
    unseen = sorted((small for small in unseen if small.images), key=lambda small: -small.images)
    return Found(
        tuple(grouping.name for grouping in groupings),
        depth,
        tuple(rows),
        len(masks),
        tuple(unseen[:MOST_NAMED]),
        len(unseen),
        tuple(remarks),
    )


def _subgroups(groupings: Sequence[Grouping], deep: int) -> Any:
    """Yield conditions and rows of the intersections of ``deep`` columns that are new."""
    for chosen in itertools.combinations(groupings, deep):
        for values in itertools.product(*(range(len(column.labels)) for column in chosen)):
            parts = [column.codes == k for column, k in zip(chosen, values, strict=True)]
            mask = np.logical_and.reduce(parts)
            size = int(mask.sum())
            inner = [
                int(np.logical_and.reduce(parts[:k] + parts[k + 1 :]).sum())
                for k in range(deep)
                if deep > 1
            ]
            if not size or size in inner:
                continue  # no rows, or the same rows as with one condition fewer
            names = zip(chosen, values, strict=True)
            yield tuple((column.name, as_text(column.labels[k])) for column, k in names), mask


def _judged(
    rows: Subsets,
    masks: Sequence[tuple[Conditions, NDArray[np.bool_]]],
    metric: str,
    times: int,
) -> list[Subgroup]:
    """Return one figure of every subgroup, adjusted over the subgroups and ``times`` figures.

    Source:
        The covariance of the statistics is that of a multiplier bootstrap over patients:
        Chernozhukov, Chetverikov and Kato 2013, Annals of Statistics 41:2786.
    """
    if not masks:
        return []
    study, patient = rows.study, rows.study.patient
    moved = np.empty((len(masks), study.clusters), dtype=np.float32)
    differences: list[Difference] = []
    for k, (_, mask) in enumerate(masks):
        own, inner = rows.figure(metric, mask)
        other, outer = rows.figure(metric, ~mask)
        each = inner - outer
        if patient is not None:
            both = [np.bincount(patient, weights=part) for part in (inner, outer)]
            each = both[0] - both[1]
            scale = math.sqrt(float((both[0] ** 2).sum() * (both[1] ** 2).sum()))
            shared = float(both[0] @ both[1]) / scale if scale > 0 else 0.0
        else:
            shared = 0.0
        moved[k] = each / (math.sqrt(float(each @ each)) or 1.0)
        differences.append(Difference(own, other, shared))
    correlation = correlation_of(np.asarray(moved @ moved.T, dtype=np.float64))
    largest = Largest(correlation)
    quantile = max(largest.quantile(1 - ALPHA / times), Z95)
    subgroups: list[Subgroup] = []
    for (conditions, mask), off in zip(masks, differences, strict=True):
        low, high = off.interval(quantile)
        p = beside(min(max(off.p, largest.p(off.statistic)) * times, 1.0), low, high)
        error = math.sqrt(spread(off.one) + spread(off.other))
        subgroups.append(
            Subgroup(
                conditions,
                metric,
                *(off.one.value, off.other.value, off.value, low, high, p),
                images=int(mask.sum()),
                positives=int((mask & study.target).sum()),
                patients=study.count_patients(mask),
                noticed=min((quantile + normal_quantile(0.8)) * error, 1.0),
            )
        )
    return subgroups
