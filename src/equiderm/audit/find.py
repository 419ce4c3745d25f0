"""Subgroups that no column names: intersections whose figures differ most, and what was unseen.

Every value of the given columns and every intersection of a few is compared with all other rows,
and all are judged by the largest statistic, so that looking at many is paid for.
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
from equiderm.audit.input.cells import Reading, fill
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

MOST_VALUES = 10  # of a column of numbers that is not cut
BANDS = 3
MOST_CONTRIBUTIONS = 80_000_000  # patients times subgroups held at once, 4 bytes each
MOST_DEPTH = 3
MOST_NAMED = 10


@dataclass(frozen=True)
class Subgroup:
    """One figure of one subgroup, against all rows outside it.

    Attributes:
        conditions: Column and value of each, at most `MOST_DEPTH`.
        metric: "auroc", "sensitivity" or "specificity".
        value: The subgroup's figure.
        others_value: That of all rows outside.
        difference: Value minus others, with an interval that is simultaneous over all subgroups
            and the figures; it excludes 0 exactly where ``p`` is below 0.05.
        low: Lower bound.
        high: Upper bound.
        p: Adjusted likewise.
        images: Of the subgroup.
        positives: Positive images of it.
        patients: Of the subgroup; its images where patients are not known.
        noticed: The drop that would be noticed in 80 of 100 tables of these sizes, about.
    """

    conditions: tuple[tuple[str, str], ...]
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
        return " and ".join(f"{column} {value}" for column, value in self.conditions)

    @property
    def established(self) -> bool:
        """Whether chance, and having looked at all of them, does not explain the difference."""
        return self.p < ALPHA


@dataclass(frozen=True)
class Unseen:
    """A subgroup that is too small to be looked at."""

    conditions: tuple[tuple[str, str], ...]
    images: int
    positives: int
    patients: int

    @property
    def name(self) -> str:
        """The conditions in words."""
        return " and ".join(f"{column} {value}" for column, value in self.conditions)


@dataclass(frozen=True, eq=False, repr=False)
class Found(Record):
    """What a search over subgroups saw; made by `find_subgroups`.

    Attributes:
        columns: The columns whose values were crossed.
        depth: How many conditions a subgroup has at most.
        rows: Every figure of every subgroup that was looked at, the surest first.
        looked: How many subgroups that is.
        unseen: The largest subgroups that are too small, by images.
        unseen_count: How many there are.
        notes: What was cut into bands, or not looked at.
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
        """The differences that are established, the surest first."""
        return tuple(one for one in self.rows if one.established)

    @property
    def table(self) -> pd.DataFrame:
        """A row per subgroup and figure."""
        import pandas as pd

        return pd.DataFrame([{"subgroup": one.name} | one.__dict__ for one in self.rows]).drop(
            columns="conditions", errors="ignore"
        )

    def answer(self) -> tuple[str, ...]:
        """Return what was found, and what could not have been, in words."""
        return report().subgroups.sentences(self)

    def shown(self, most: int = 12) -> pd.DataFrame:
        """Return the surest differences as text; a star marks the established ones."""
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
        columns: The columns to cross; one of numbers with over `MOST_VALUES` values is cut at its
            thirds, or where ``cut`` says.
        depth: How many conditions a subgroup has at most, 1 to `MOST_DEPTH`.
        metrics: AUROC, sensitivity and specificity, or some of them.
        target: Column of 0 and 1, or of class names with ``positive``.
        score: Column of the score, or several to sum.
        patient: Column of the patient: one patient's images stay together.
        weight: Column of sampling weights; every row counts once where not given.
        threshold: Score from which an image is called positive.
        positive: Names of the classes that count as positive.
        missing: Texts that mean "not known".
        cut: Bands of a column of numbers: ``{"age": [40, 60]}`` or ``"age=40,60"``.
        logits: Whether the scores are log-odds.
        percent: Whether the scores are per cent.
        drop_missing: Leave rows without target or score out.
        name: What messages call the table.
        progress: Called with the steps done and their number.

    Raises:
        InputError: Input that cannot be searched.
    """
    wanted, chosen = as_texts(columns), as_texts(metrics)
    if not 1 <= depth <= MOST_DEPTH:
        raise InputError(f"subgroups of {depth} conditions; give 1 to {MOST_DEPTH}.")
    if unknown := [one for one in chosen if one not in HEADLINE]:
        raise InputError(f"'{unknown[0]}' is not searched; choose of {', '.join(HEADLINE)}.")
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
        studies[0], [one.groupings[0] for one in studies], depth, chosen, threshold, notes, progress
    )


def _thirds(column: Any) -> tuple[float, ...]:
    """Return where a column of many numbers is cut into bands of about equal size."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
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
    """Return what `find_subgroups` does, of rows that are read already."""
    tell = progress or (lambda done, total: None)
    sorted_rows = Subsets(study, threshold)
    people = sorted_rows.size
    masks: list[tuple[tuple[tuple[str, str], ...], NDArray[np.bool_]]] = []
    unseen: list[Unseen] = []
    said = list(notes)
    for deep in range(1, min(depth, len(groupings)) + 1):
        seen: list[tuple[tuple[tuple[str, str], ...], NDArray[np.bool_]]] = []
        for conditions, mask in _subgroups(groupings, deep):
            if sorted_rows.lacks(~mask):
                continue  # nearly everybody: there is nobody to compare with
            if sorted_rows.lacks(mask):
                who = sorted_rows.people(mask)
                unseen.append(
                    Unseen(conditions, int(mask.sum()), int((mask & study.target).sum()), who)
                )
            else:
                seen.append((conditions, mask))
        if deep > 1 and (len(masks) + len(seen)) * people > MOST_CONTRIBUTIONS:
            said.append(
                f"Subgroups of {deep} conditions were not looked at: {len(seen):,} of them are too "
                "many at once for so many rows."
            )
            break
        masks += seen
    rows: list[Subgroup] = []
    for k, metric in enumerate(metrics):
        tell(k, len(metrics))
        rows += _judged(sorted_rows, masks, metric, len(metrics))
    tell(len(metrics), len(metrics))
    rows.sort(key=lambda one: (one.p, -abs(one.difference)))
    unseen = sorted((one for one in unseen if one.images), key=lambda one: -one.images)
    return Found(
        tuple(one.name for one in groupings),
        depth,
        tuple(rows),
        len(masks),
        tuple(unseen[:MOST_NAMED]),
        len(unseen),
        tuple(said),
    )


def _subgroups(groupings: Sequence[Grouping], deep: int) -> Any:
    """Yield every intersection of so many columns that is not one of fewer: names and rows."""
    for chosen in itertools.combinations(groupings, deep):
        for values in itertools.product(*(range(len(one.labels)) for one in chosen)):
            parts = [one.codes == k for one, k in zip(chosen, values, strict=True)]
            mask = np.logical_and.reduce(parts)
            size = int(mask.sum())
            inner = [
                int(np.logical_and.reduce(parts[:k] + parts[k + 1 :]).sum())
                for k in range(deep)
                if deep > 1
            ]
            if not size or size in inner:
                continue  # nobody, or the same rows as with one condition less
            names = zip(chosen, values, strict=True)
            yield tuple((one.name, as_text(one.labels[k])) for one, k in names), mask


def _judged(
    rows: Subsets,
    masks: Sequence[tuple[tuple[tuple[str, str], ...], NDArray[np.bool_]]],
    metric: str,
    times: int,
) -> list[Subgroup]:
    """Return one figure of every subgroup, judged by the largest statistic; over ``times`` figures.

    Source:
        The covariance of the statistics is that of a multiplier bootstrap over patients:
        Chernozhukov, Chetverikov and Kato 2013, Annals of Statistics 41:2786.
    """
    if not masks:
        return []
    moved = np.empty((len(masks), rows.size), dtype=np.float32)
    differences: list[Difference] = []
    patient = rows.study.patient
    for k, (_, mask) in enumerate(masks):
        one, inner = rows.figure(metric, mask)
        other, outer = rows.figure(metric, ~mask)
        each = inner - outer
        if patient is not None:
            both = [
                np.bincount(patient, weights=part, minlength=rows.size) for part in (inner, outer)
            ]
            each = both[0] - both[1]
            scale = math.sqrt(float((both[0] ** 2).sum() * (both[1] ** 2).sum()))
            shared = float(both[0] @ both[1]) / scale if scale > 0 else 0.0
        else:
            shared = 0.0
        moved[k] = each / (math.sqrt(float(each @ each)) or 1.0)
        differences.append(Difference(one, other, shared))
    correlation = correlation_of(np.asarray(moved @ moved.T, dtype=np.float64))
    largest = Largest(correlation)
    quantile = max(largest.quantile(1 - ALPHA / times), Z95)
    made: list[Subgroup] = []
    for (conditions, mask), one in zip(masks, differences, strict=True):
        low, high = one.interval(quantile)
        p = beside(min(max(one.p, largest.p(one.statistic)) * times, 1.0), low, high)
        error = math.sqrt(spread(one.one) + spread(one.other))
        made.append(
            Subgroup(
                conditions,
                metric,
                *(one.one.value, one.other.value, one.value, low, high, p),
                images=int(mask.sum()),
                positives=int((mask & rows.target).sum()),
                patients=rows.people(mask),
                noticed=min((quantile + normal_quantile(0.8)) * error, 1.0),
            )
        )
    return made
