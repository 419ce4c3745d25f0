"""Audit of a predicted number: how far off it is, which way, and how well it ranks, by group.

The statistics are those of the other audits (`equiderm.audit.differences`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

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
from equiderm.audit.input.cells import doubtful_number, read_numbers
from equiderm.audit.number_figures import OF_NUMBERS, NumberFigures
from equiderm.audit.power import POWER, is_noticed, smallest
from equiderm.audit.saved import NUMBER
from equiderm.audit.shown import ShownAudit, report
from equiderm.errors import InputError
from equiderm.format import plain
from equiderm.records import remembered
from equiderm.statistics.estimates import Mean, clustered_variance, interval
from equiderm.statistics.intervals import normal_quantile
from equiderm.statistics.simultaneous import Difference

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from equiderm.audit.groupings import Grouping

LEAST = 10  # images, and patients, of a group: the variance of fewer errors is too uncertain
MOST_NOTICED = 4  # times the others' error: the largest difference that is looked for


@dataclass(frozen=True, eq=False, repr=False)
class NumberAudit(ShownAudit):
    """An audit of a predicted number; from `audit_number`.

    Attributes:
        study: The checked rows; it has no target and no scores.
        target: Column of the true number, whose unit all errors have.
        truth: The true numbers, shape (n,).
        predicted: The predicted numbers, shape (n,).
        options: Only ``min_count`` is used.
        provenance: Origin of model, data and labels, for the report.
    """

    study: Study
    target: str
    truth: NDArray[np.float64]
    predicted: NDArray[np.float64]
    options: Options = field(default_factory=Options)
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def title(self) -> str:
        """What is audited: a predicted number."""
        return f"Audit of predicted {self.target}"

    @property
    def least(self) -> int:
        """Fewest images, and patients, of a group that is compared."""
        return max(self.options.min_count, LEAST)

    def _figures(self, by: str | None) -> tuple[NumberFigures, Differences]:
        return self._of_column(self._grouping(by).name)

    @remembered
    def _of_column(self, by: str) -> tuple[NumberFigures, Differences]:
        both = self.truth / self._unit, self.predicted / self._unit
        figures = NumberFigures(self.study, self._grouping(by), self.least, *both)
        return figures, Differences(figures, family=OF_NUMBERS)

    @cached_property
    def _unit(self) -> float:
        """A size of the numbers, a power of 2: variances of very small or large ones are cut."""
        return 2.0 ** round(math.log2(float(np.std(self.truth))))

    def findings(self, by: str | None = None) -> list[Compared]:
        """Return each group's figures minus those of the others, ordered by p.

        The adjusted interval and p are over the groups and the three figures. A mean over the
        others is over their images.
        """
        differences = self._figures(by)[1]
        rows = [
            _in_unit(row, _size_of(metric, self._unit))
            for metric in OF_NUMBERS
            for row in differences.compared(metric)
        ]
        return sorted(rows, key=lambda row: (row.p_adjusted, row.p, -abs(row.difference)))

    def noticed(self, by: str | None = None) -> dict[str, float]:
        """Return by group how much larger its mean absolute error had to be than the others'.

        So much that the difference is found in 80 of 100 such tables.
        """
        differences = self._figures(by)[1]
        contrasts = differences.contrasts(OF_NUMBERS[0])
        judged = differences.judge(OF_NUMBERS[0])
        if contrasts is None or judged is None:
            return {}
        sizes: dict[str, float] = {}
        for group, off in zip(contrasts.groups, contrasts.differences, strict=True):

            def found(size: float, off: Difference = off) -> bool:
                one = off.one.moved(off.other.value + size)
                true = Difference(one, off.other, off.correlation)
                return is_noticed(true, normal_quantile(POWER), judged[0])

            most = MOST_NOTICED * off.other.value
            sizes[group] = self._unit * smallest(found, most) if found(most) else math.nan
        return sizes

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per column, group and figure: value, low, high, n, patients, missing.

        Beside it the same figure of the best constant answer, the median: ``constant`` of all
        images, ``own_constant`` of the group's.
        """
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for by in self.columns:
            figures = self._figures(by)[0]
            for group in figures.names:
                for metric in OF_NUMBERS:
                    value, n, why = figures.value(metric, group)
                    low = high = math.nan
                    if not why:
                        low, high = interval(figures.estimate(metric, group))
                    size, own = _size_of(metric, self._unit), self.truth[figures.of(group)]
                    rows.append(
                        {
                            "by": by,
                            "group": group,
                            "figure": metric,
                            "value": value * size,
                            "low": low * size,
                            "high": high * size,
                            "n": n,
                            "patients": self.study.count_patients(figures.of(group)),
                            "constant": _of_constant(metric, own, self.truth),
                            "own_constant": _of_constant(metric, own, own),
                            "missing": why,
                        }
                    )
        return pd.DataFrame(rows)

    def too_few(self, by: str | None = None) -> list[str]:
        """Return the groups with too few images, or patients, to be compared."""
        figures = self._figures(by)[0]
        return [group for group in figures.names[1:] if figures.few_people(figures.of(group))]

    def can_say(self, by: str | None = None) -> bool:
        """Return whether two groups or more can be compared."""
        return bool(self.findings(by))

    @property
    def claims(self) -> bool:
        """Whether a difference between groups is established."""
        return any(row.established for by in self.columns for row in self.findings(by))

    def against_constant(self) -> tuple[float, float, float]:
        """Return how much further off the model is than the median, on average, with its interval.

        Below 0 the model is closer.
        """
        constant = np.abs(self.truth - np.median(self.truth))
        farther = np.abs(self.predicted - self.truth) - constant
        value = float(farther.mean())
        spread = clustered_variance((farther - value) / len(farther), self.study.patient)
        return value, *interval(Mean(value, *spread))

    def answers(self) -> tuple[str, ...]:
        """Return the verdict and its evidence, in words."""
        return report().number.sentences(self)

    def summaries(self) -> list[tuple[str, pd.DataFrame]]:
        """Return titles and small tables of text for a terminal."""
        return report().number.summaries(self)

    def compute(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compute everything now, instead of when it is first read; see `Audit.compute`."""
        for done, by in enumerate(self.columns):
            self.findings(by)
            if progress is not None:
                progress(done + 1, len(self.columns))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types, in the schema "equiderm.number/1"."""
        return plain(
            {
                **self._about(NUMBER),
                "target": self.target,
                "figures": self.table.to_dict("records"),
                "findings": [
                    {"by": by, "figure": row.metric, "group": row.group}
                    | {"value": row.estimate.value, "others_value": row.other.value}
                    | {"difference": row.difference, "p": row.p_adjusted}
                    | {"low": row.low_adjusted, "high": row.high_adjusted}
                    for by in self.columns
                    for row in self.findings(by)
                ],
                "noticed": {by: self.noticed(by) for by in self.columns},
                "too_few": {by: self.too_few(by) for by in self.columns},
                "against_constant": dict(
                    zip(("difference", "low", "high"), self.against_constant(), strict=True)
                ),
            }
        )

    def to_html(self) -> str:
        """Return the report as one HTML page that needs no network."""
        return report().number.render(self)


def _size_of(metric: str, unit: float) -> float:
    return 1.0 if metric == "spearman" else unit


def _in_unit(row: Compared, size: float) -> Compared:
    """Return a difference of numbers that were divided by ``size``, times it."""
    of = ("difference", "low", "high", "low_adjusted", "high_adjusted")
    scaled: dict[str, Any] = {name: getattr(row, name) * size for name in of}
    for name in ("estimate", "other"):
        part = getattr(row, name)
        scaled[name] = replace(part, value=part.value * size, variance=part.variance * size**2)
    return row._replace(**scaled)


def _of_constant(metric: str, truth: NDArray[np.float64], answered: NDArray[np.float64]) -> float:
    """Return a figure of the answer that is always the median of ``answered``."""
    errors = np.median(answered) - truth
    return {
        "mean_absolute_error": float(np.abs(errors).mean()),
        "bias": float(errors.mean()),
        "spearman": 0.0,
    }[metric]


def audit_number(
    frame: Any,
    *,
    target: str = "target",
    predicted: str = "predicted",
    by: str | Sequence[str] = "ita_band",
    patient: str | None = None,
    options: Options | None = None,
    provenance: Provenance | None = None,
    missing: str | Sequence[str] = (),
    cut: str | Sequence[str] | Mapping[str, Sequence[float]] = (),
    drop_missing: bool = False,
    min_rows: int = 30,
    name: str = "the table",
) -> NumberAudit:
    """Return how far off a predicted number is for each group.

    Args:
        frame: One row per image.
        target: Column of the true number, in any unit.
        predicted: Column of the predicted number, in the same unit.
        by: Group columns; several are also crossed.
        patient: Column of the patient; rows of one patient are not independent.
        options: Only ``min_count`` is used, if it is above 10.
        provenance: Origin of model, data and labels, for the report.
        missing: Texts that mean "not known".
        cut: Bands of a column of numbers: ``{"age": [40, 60]}`` or ``"age=40,60"``.
        drop_missing: Leave rows without a true or predicted number out and count them.
        min_rows: Fewest rows of an intersection of groups that is shown.
        name: Name of the table for messages.

    Raises:
        InputError: Input that cannot be audited.
    """
    frame = as_frame(frame).reset_index(drop=True)
    columns = [by] if isinstance(by, str) else list(by)
    reading = Reading(
        missing=as_texts(missing), cut=parse_cuts(cut), drop_missing=drop_missing, min_rows=min_rows
    )
    for column, option in ((target, "target"), (predicted, "predicted")):
        check_column(frame, column, name, option)
    if target == predicted:
        raise InputError(f"{name}: '{target}' cannot be both the true and the predicted number.")
    for column in {target, predicted} & set(columns) - set(reading.cut):
        raise InputError(
            f"{name}: '{column}' is a number and no group; group by another column, or by its "
            f'bands, as in `cut="{column}=40,60"`.'
        )
    truth, answer = (
        read_numbers(frame[column], reading.missing, name, needs="an audit of a number")
        for column in (target, predicted)
    )
    study, rows = study_of_read(
        frame,
        np.isnan(truth) | np.isnan(answer),
        f"{target} or {predicted}",
        target=None,
        by=columns,
        patient=patient,
        reading=reading,
        name=name,
    )
    truth, answer = truth[rows], answer[rows]
    if np.ptp(truth) == 0:
        raise InputError(
            f"{name}: every number in column '{target}' is {truth[0]:g}; an audit of a number "
            "needs true numbers that differ."
        )
    notes = study.notes + tuple(
        f"The groups of {grouping.name} follow {target} itself: predictions that are uncertain are "
        "drawn to the middle, so that some bias at both ends is expected of any model."
        for grouping in study.groupings
        if _are_bands(grouping, truth)
    )
    doubts = [
        doubt
        for column, numbers in {target: truth, predicted: answer}.items()
        for doubt in doubtful_number(numbers, column)
    ]
    study = replace(study, notes=notes, doubts=(*study.doubts, *doubts))
    made = options or Options(), provenance or Provenance()
    return NumberAudit(study, target, truth, answer, *made)


def _are_bands(grouping: Grouping, truth: NDArray[np.float64]) -> bool:
    """Return whether the groups' true numbers do not overlap, as those of bands of the number."""
    groups = [truth[grouping.codes == k] for k in range(len(grouping.labels))]
    ends = sorted((part.min(), part.max()) for part in groups)
    return len(ends) > 1 and all(low[1] <= high[0] for low, high in pairwise(ends))
