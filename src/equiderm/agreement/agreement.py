"""Agreement of labels with judged skin types, beside the best constant answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from equiderm.agreement.confusion import (
    agreement_figures,
    best_constants,
    cell_index,
    confusion_matrix,
    dark_types,
    exact_bound,
    exact_mean_bound,
    resample,
    reweight,
)
from equiderm.agreement.judged import JudgedTypes, as_judged, distances
from equiderm.errors import InputError
from equiderm.format import number
from equiderm.identity import person_ids
from equiderm.records import Record
from equiderm.statistics.confusion import confusion_json
from equiderm.statistics.intervals import percentile

MINIMUM_IMAGES = 20
MINIMUM_PATIENTS = 10
SHARES = ("exact", "within_one", "mean_within_one", "recall_dark", "precision_dark")


@dataclass(frozen=True)
class Figure:
    """A measure of agreement with its 95 % interval, beside the best constant and a second rater.

    Attributes:
        value: The measure; NaN if it is undefined.
        low: Lower end of the interval; NaN if there is none.
        high: Upper end.
        constant: The measure of the best constant answer on the same images.
        constant_type: The type that this answer is; None if no single one is best.
        second_rater: Value, low and high of the second rater; None without one.
    """

    value: float
    low: float
    high: float
    constant: float
    constant_type: int | None
    second_rater: tuple[float, float, float] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Agreement(Record):
    """Agreement of labels with people's judgements of the same images.

    Attributes:
        types: The scale, lightest first.
        confusion: Counts of labelled images, shape (r, k); rows are judgements, columns labels.
        abstained: Images of each judgement without a label, shape (r,).
        figures: The measures of `FIGURES`, over the labelled images.
        answered: Accuracy against the share of images answered, one row per share.
        patients: Patients that the bootstrap draws; None if it draws images.
        second_confusion: The second rater's counts; None without a second rater.
        notes: Remarks for the reader: rows without a match, rows without a judgement.
        judged: The judgement of each row of the counts, length r: the types, then the ranges.
        over_constant: The share within one type minus that of the best constant answer on the same
            images: value, low, high.
        unnamed: Images without a patient, each of which counts as a patient of its own.
    """

    types: tuple[int, ...]
    confusion: NDArray[np.int64]
    abstained: NDArray[np.int64]
    figures: dict[str, Figure]
    answered: tuple[dict[str, float], ...]
    patients: int | None = None
    second_confusion: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = field(default=())
    judged: tuple[str, ...] = ()
    over_constant: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    unnamed: int = 0

    @property
    def n(self) -> int:
        """Number of images with a label and a judged type."""
        return int(self.confusion.sum())

    def to_json(self) -> dict[str, Any]:
        """Return the agreement as plain values; an undefined figure is null."""
        return {
            **confusion_json(self.types, self.judged, self.confusion),
            "dark_types": list(dark_types(self.types)),
            "n": self.n,
            "abstained": int(self.abstained.sum()),
            "patients": self.patients,
            "images_without_patient": self.unnamed,
            "abstained_by_type": self.abstained.tolist(),
            "figures": {name: _figure_json(figure) for name, figure in self.figures.items()},
            "within_one_over_constant": interval_json(self.over_constant),
            "answered": [{k: _rounded(v) for k, v in row.items()} for row in self.answered],
            "second_rater_confusion": (
                None if self.second_confusion is None else self.second_confusion.tolist()
            ),
            "notes": list(self.notes),
        }


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


def interval_json(figure: tuple[float, float, float]) -> dict[str, float | None]:
    """Return value, low and high by name, to six digits; an undefined one is None."""
    value, low, high = map(_rounded, figure)
    return {"value": value, "low": low, "high": high}


def _figure_json(figure: Figure) -> dict[str, Any]:
    rater = figure.second_rater
    return {
        **interval_json((figure.value, figure.low, figure.high)),
        "constant": _rounded(figure.constant),
        "constant_type": figure.constant_type,
        "second_rater": None if rater is None else interval_json(rater),
    }


def measure_agreement(
    truth: NDArray[np.float64] | NDArray[np.bool_] | JudgedTypes,
    label: NDArray[np.float64],
    types: Sequence[int],
    *,
    patient: pd.Series | None = None,
    second_rater: NDArray[np.float64] | None = None,
    doubt: NDArray[np.float64] | None = None,
    target: NDArray[np.float64] | None = None,
    notes: Sequence[str] = (),
) -> Agreement:
    """Return how well labels agree with judged types, with 95 % bootstrap intervals.

    Args:
        truth: Judged types, shape (n,), NaN where there is none; or the types that people allow,
            shape (n, k). A label inside a range is right. Rows without a judgement are left out.
        label: Labels on the same scale, shape (n,); NaN is an abstention.
        types: The scale, lightest first, length k.
        patient: Patient of each row, shape (n,), for intervals by patient; a row without one is
            its own patient.
        second_rater: A second person's types, shape (n,), measured against the same truth.
        doubt: How uncertain each label is, shape (n,), higher is less certain; orders `answered`.
        target: Share of each type where the labels will be used, shape (k,): rows are reweighted.
        notes: Remarks to put before the agreement's own.

    Raises:
        InputError: Fewer rows or patients than an interval needs, or only one judged type.
    """
    types = tuple(types)
    judged = as_judged(truth, types)
    keep = judged.known
    judged, label = judged.take(keep), label[keep]
    patient = None if patient is None else patient.loc[keep]
    clusters = None if patient is None else patient_codes(patient)
    answered = ~np.isnan(label)
    _check_enough(judged.take(answered), None if clusters is None else clusters[answered])

    main = _Table(judged, label, clusters, target)
    others: dict[str, tuple[float, float, float]] = {}
    second = None
    if second_rater is not None:
        rated = second_rater[keep]
        known = ~np.isnan(rated)
        _check_enough(judged.take(known), None if clusters is None else clusters[known])
        second = _Table(judged, rated, clusters, target)
        others = second.figures()
    constants = main.constants()
    figures: dict[str, Figure] = {}
    for name, (value, low, high) in main.figures().items():
        constant, index = constants[name]
        figures[name] = Figure(
            value, low, high, constant, None if index is None else types[index], others.get(name)
        )
    doubt = None if doubt is None else doubt[keep]
    curve = _answered_curve(judged, label, doubt=doubt, clusters=clusters, target=target)
    unnamed = 0 if patient is None else int(without_patient(patient).sum())
    return Agreement(
        types,
        main.counts[:, :-1],
        main.counts[:, -1],
        figures,
        tuple(curve),
        None if clusters is None else int(clusters.max()) + 1,
        None if second is None else second.counts[:, :-1],
        (*notes, *_notes(judged, int((~keep).sum()), target, unnamed, patient)),
        judged.names,
        main.over_constant(constants["within_one"][1]),
        unnamed,
    )


def _notes(
    judged: JudgedTypes,
    missing: int,
    target: NDArray[np.float64] | None,
    unnamed: int,
    patient: pd.Series | None,
) -> list[str]:
    notes: list[str] = []
    ranges = int((judged.row >= len(judged.types)).sum())
    if ranges:
        notes.append(
            f"{ranges:,} of {len(judged.row):,} images are judged a range of types; a label inside "
            "it is right, and outside it the nearest type of the range counts."
        )
    if target is not None:
        shares = ", ".join(number(share) for share in target)
        notes.append(f"Figures are reweighted to types at {shares}; counts are as judged.")
    if missing:
        notes.append(f"{missing:,} images have no judged type and are left out.")
    if unnamed and patient is not None:
        notes.append(
            f"{unnamed:,} images have no patient in column '{patient.name}'; each counts as a "
            "patient of its own."
        )
    return notes


def without_patient(patient: pd.Series) -> NDArray[np.bool_]:
    """Return which rows have no patient (an empty or blank cell), shape (n,)."""
    text = patient.astype("string").str.strip()
    return (patient.isna() | (text == "").fillna(True)).to_numpy(bool)


def patient_codes(patient: pd.Series) -> NDArray[np.intp]:
    """Return patients as codes 0, 1, ..., shape (n,); a row without a patient has its own code."""
    codes, known = pd.factorize(person_ids(patient))
    missing = without_patient(patient)
    codes[missing] = len(known) + np.arange(missing.sum())
    return np.unique(codes, return_inverse=True)[1]


def _check_enough(judged: JudgedTypes, clusters: NDArray[np.intp] | None) -> None:
    n = len(judged.row)
    if n < MINIMUM_IMAGES:
        raise InputError(
            f"only {n} images have both a judged type and a label; a 95 % interval needs at least "
            f"{MINIMUM_IMAGES}."
        )
    if clusters is not None and len(np.unique(clusters)) < MINIMUM_PATIENTS:
        raise InputError(
            f"only {len(np.unique(clusters))} patients have labelled images; an interval by "
            f"patient needs at least {MINIMUM_PATIENTS}: leave out the column of patients, or add "
            "patients."
        )
    if len(np.unique(judged.row)) < 2:
        raise InputError(
            f"every labelled image was judged type {judged.names[judged.row[0]]}; agreement needs "
            "at least two types."
        )


class _Table:
    """Counts of labels against judgements and their bootstrap resamples, reweighted to a target."""

    def __init__(
        self,
        judged: JudgedTypes,
        label: NDArray[np.float64],
        clusters: NDArray[np.intp] | None,
        target: NDArray[np.float64] | None,
    ):
        types, self.members = judged.types, judged.members
        r, k = self.members.shape
        self.counts = confusion_matrix(judged.row, label, types, r)
        cells = cell_index(judged.row, label, types)
        drawn = resample(cells, r * (k + 1), clusters=clusters).reshape(-1, r, k + 1)[:, :, :-1]
        self.n_dark = len(dark_types(types))
        self.n_units = len(label) if clusters is None else len(np.unique(clusters))
        self.target = judged_target(target, judged)
        self._counts = reweight(self.counts[:, :-1].astype(float), self.target)
        self._drawn = reweight(drawn, self.target)

    def figures(self) -> dict[str, tuple[float, float, float]]:
        """Return each figure's value and interval; the interval is NaN if no resample differs."""
        values = agreement_figures(self._counts, self.n_dark, self.members)
        drawn = agreement_figures(self._drawn, self.n_dark, self.members)
        figures = {name: (float(values[name]), *percentile(drawn[name])) for name in values}
        shares = {name: self._widen(name, figures[name]) for name in SHARES}
        for name, (value, low, high) in figures.items():
            if low == high:
                figures[name] = (value, np.nan, np.nan)
        return figures | shares

    def _widen(self, name: str, figure: tuple[float, float, float]) -> tuple[float, float, float]:
        """Return a share of 0 or 1, which no resample can vary, with its exact interval.

        Its n is at most the number of patients. A mean over types that is 0 is bounded as one
        share.
        """
        value, low, high = figure
        if value not in (0.0, 1.0):
            return figure
        counts = self.counts[:, :-1]
        if name == "mean_within_one" and value == 1:
            rows = counts.sum(axis=1).astype(float)
            rows *= min(1.0, self.n_units / rows.sum())
            return (value, exact_mean_bound(rows[rows > 0]), high)
        dark = ~self.members[:, : -self.n_dark].any(axis=1)
        part = {"recall_dark": counts[dark], "precision_dark": counts[:, -self.n_dark :]}
        bound = exact_bound(min(int(part.get(name, counts).sum()), self.n_units))
        return (value, bound, high) if value == 1 else (value, low, 1 - bound)

    def constants(self) -> dict[str, tuple[float, int | None]]:
        """Return each figure's value for the best constant answer, and the index of that type."""
        return best_constants(self._counts.sum(-1), self.n_dark, self.members)

    def over_constant(self, index: int | None) -> tuple[float, float, float]:
        """Return the share within one type minus that of a constant answer, with its interval."""
        if index is None:
            return np.nan, np.nan, np.nan
        near = distances(self.members) <= 1
        gain = near.astype(float) - near[:, index : index + 1]
        value, *drawn = (
            (counts * gain).sum((-2, -1)) / counts.sum((-2, -1))
            for counts in (self._counts, self._drawn)
        )
        return (float(value), *percentile(drawn[0]))


def judged_target(
    target: NDArray[np.float64] | None, judged: JudgedTypes
) -> NDArray[np.float64] | None:
    """Return the share of each judgement, shape (r,), if types have the target shares, (k,).

    Bayes' rule, with the probability of a judgement given the type as in this table.
    """
    if target is None:
        return None
    counts = judged.counts()
    if not judged.has_ranges:
        return target
    here = judged.members @ judged.shares()
    there = judged.members @ target
    ratio = np.divide(there, here, out=np.zeros_like(there), where=here > 0)
    return counts / counts.sum() * ratio


def _answered_curve(
    judged: JudgedTypes,
    label: NDArray[np.float64],
    *,
    doubt: NDArray[np.float64] | None,
    clusters: NDArray[np.intp] | None,
    target: NDArray[np.float64] | None,
) -> list[dict[str, float]]:
    """Return accuracy against the share answered, from all labels to the least doubtful tenth.

    Without ``doubt`` there is one row: the share that has a label. Labels whose doubt is missing
    are dropped first.
    """
    answered = np.flatnonzero(~np.isnan(label))
    sizes = [len(answered)]
    if doubt is not None:
        answered = answered[np.argsort(np.nan_to_num(doubt[answered], nan=np.inf), kind="stable")]
        tenths = [round(len(label) * tenth / 10) for tenth in range(9, 0, -1)]
        sizes += [size for size in tenths if MINIMUM_IMAGES <= size < len(answered)]
    curve: list[dict[str, float]] = []
    for size in sizes:
        rows = answered[:size]
        surest = np.zeros(len(label), dtype=np.bool_)
        surest[rows] = True
        people = None if clusters is None else np.unique(clusters[surest], return_inverse=True)[1]
        table = _Table(judged.take(surest), label[surest], people, target)
        figures = table.figures()
        within_one, low, high = figures["within_one"]
        curve.append(
            {
                "share": size / len(label),
                "n": float(size),
                "within_one": within_one,
                "low": low,
                "high": high,
                "constant": table.constants()["within_one"][0],
                "kappa": figures["kappa"][0],
            }
        )
    return curve
