"""Labels against people: how far a tone label can be trusted, beside the best constant answer."""

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
    interval,
    resample,
    reweight,
)
from equiderm.errors import InputError

SCHEMA = "equiderm.agreement/1"
MINIMUM_IMAGES = 20
MINIMUM_PATIENTS = 10
SHARES = ("exact", "within_one", "recall_dark", "precision_dark")


@dataclass(frozen=True)
class Figure:
    """One figure with its 95 % interval, the best constant's value and a second rater's.

    NaN where a figure has no value. ``constant_type`` is the type that the best constant answers.
    """

    value: float
    low: float
    high: float
    constant: float
    constant_type: int | None
    second_rater: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Agreement:
    """Labels against people on the same images.

    Attributes:
        types: The scale, lightest first.
        confusion: Counts of labelled images, shape (k, k); rows are truth, columns labels.
        abstained: Images of each true type without a label, shape (k,).
        figures: The figures of `FIGURES`, over the labelled images.
        answered: Accuracy against the share answered, one row a share.
        patients: How many patients the intervals are drawn over; None where they are by image.
        second_confusion: The second rater's counts; None where none is named.
        notes: What a reader has to know: rows that matched nothing, rows without truth.
    """

    types: tuple[int, ...]
    confusion: NDArray[np.int64]
    abstained: NDArray[np.int64]
    figures: dict[str, Figure]
    answered: tuple[dict[str, float], ...]
    patients: int | None = None
    second_confusion: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def n(self) -> int:
        """Return how many images have a label and a judged type."""
        return int(self.confusion.sum())

    def to_json(self) -> dict[str, Any]:
        """Return the agreement as plain values; a figure without a value is null."""
        return {
            "schema": SCHEMA,
            "types": list(self.types),
            "dark_types": list(dark_types(self.types)),
            "n": self.n,
            "abstained": int(self.abstained.sum()),
            "patients": self.patients,
            "confusion": self.confusion.tolist(),
            "abstained_by_type": self.abstained.tolist(),
            "figures": {name: _figure_json(figure) for name, figure in self.figures.items()},
            "answered": [{k: _or_none(v) for k, v in row.items()} for row in self.answered],
            "second_rater_confusion": (
                None if self.second_confusion is None else self.second_confusion.tolist()
            ),
            "notes": list(self.notes),
        }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


def _figure_json(figure: Figure) -> dict[str, Any]:
    rater = figure.second_rater
    return {
        "value": _or_none(figure.value),
        "low": _or_none(figure.low),
        "high": _or_none(figure.high),
        "constant": _or_none(figure.constant),
        "constant_type": figure.constant_type,
        "second_rater": (
            None
            if rater is None
            else dict(zip(("value", "low", "high"), map(_or_none, rater), strict=True))
        ),
    }


def measure_agreement(
    truth: NDArray[np.float64],
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
        truth: Judged types, shape (n,); rows with NaN are left out.
        label: Labels on the same scale, shape (n,); NaN is an abstention.
        types: The scale, lightest first, length k.
        patient: Patient of each row, shape (n,): intervals by patient; a missing one is its own.
        second_rater: A second person's types, shape (n,), measured against the same truth.
        doubt: How unsure each label is, shape (n,), higher less sure: orders the answered curve.
        target: Share of each type where the labels will be used, shape (k,): rows are reweighted.
        notes: Remarks to carry along.

    Raises:
        InputError: Fewer rows or patients than an interval needs, or one type only.
    """
    types = tuple(types)
    keep = ~np.isnan(truth)
    truth, label = truth[keep], label[keep]
    clusters = None if patient is None else patient_codes(patient.loc[keep])
    answered = ~np.isnan(label)
    _check_enough(truth[answered], None if clusters is None else clusters[answered])

    main = _Table(truth, label, types, clusters)
    second = None
    if second_rater is not None:
        second_rater = second_rater[keep]
        rated = ~np.isnan(second_rater)
        _check_enough(truth[rated], None if clusters is None else clusters[rated])
        second = _Table(truth, second_rater, types, clusters)
    others = second.figures(target) if second else {}
    constants = main.constants(target)
    made: dict[str, Figure] = {}
    for name, (value, low, high) in main.figures(target).items():
        constant, index = constants[name]
        made[name] = Figure(
            value, low, high, constant, None if index is None else types[index], others.get(name)
        )
    doubt = None if doubt is None else doubt[keep]
    curve = _answered_curve(truth, label, types, doubt=doubt, clusters=clusters, target=target)
    if target is not None:
        shares = ", ".join(f"{share:.3f}" for share in target)
        notes = [*notes, f"Figures are reweighted to types at {shares}; counts are as judged."]
    missing = int((~keep).sum())
    if missing:
        notes = [*notes, f"{missing} images have no judged type and are left out."]
    return Agreement(
        types,
        main.counts[:, :-1],
        main.counts[:, -1],
        made,
        tuple(curve),
        None if clusters is None else int(clusters.max()) + 1,
        None if second is None else second.counts[:, :-1],
        tuple(notes),
    )


def patient_codes(patient: pd.Series) -> NDArray[np.intp]:
    """Return patients as 0, 1, ..., shape (n,); each row without a patient is one of its own."""
    codes, known = pd.factorize(patient)
    missing = codes < 0
    codes[missing] = len(known) + np.arange(missing.sum())
    return np.unique(codes, return_inverse=True)[1]


def _check_enough(truth: NDArray[np.float64], clusters: NDArray[np.intp] | None) -> None:
    if len(truth) < MINIMUM_IMAGES:
        raise InputError(
            f"only {len(truth)} images have both a judged type and a label; a 95 % interval needs "
            f"at least {MINIMUM_IMAGES}."
        )
    if clusters is not None and len(np.unique(clusters)) < MINIMUM_PATIENTS:
        raise InputError(
            f"only {len(np.unique(clusters))} patients have labelled images; an interval by "
            f"patient needs at least {MINIMUM_PATIENTS}: leave --patient out or add patients."
        )
    if len(np.unique(truth)) < 2:
        raise InputError(
            f"every labelled image was judged type {truth[0]:.0f}; agreement needs at least two "
            "types."
        )


class _Table:
    """One rater's counts against the truth, and their resamples."""

    def __init__(
        self,
        truth: NDArray[np.float64],
        label: NDArray[np.float64],
        types: Sequence[int],
        clusters: NDArray[np.intp] | None,
    ):
        k = len(types)
        self.counts = confusion_matrix(truth, label, types)
        drawn = resample(cell_index(truth, label, types), k * (k + 1), clusters=clusters)
        self.drawn = drawn.reshape(-1, k, k + 1)[:, :, :-1]
        self.n_dark = len(dark_types(types))
        self.n_units = len(truth) if clusters is None else len(np.unique(clusters))

    def figures(self, target: NDArray[np.float64] | None) -> dict[str, tuple[float, float, float]]:
        """Return each figure's value and interval."""
        counts = self.counts[:, :-1].astype(float)
        values = agreement_figures(reweight(counts, target), self.n_dark)
        drawn = agreement_figures(reweight(self.drawn, target), self.n_dark)
        made = {name: (float(values[name]), *interval(drawn[name])) for name in values}
        return made | {name: self._widen(name, made[name]) for name in SHARES}

    def _widen(self, name: str, figure: tuple[float, float, float]) -> tuple[float, float, float]:
        """Return a share of 0 or 1, which no resample can vary, with its exact interval instead.

        Source:
            Clopper and Pearson 1934, Biometrika 26:404; patients count where they are drawn.
        """
        value, low, high = figure
        if value not in (0.0, 1.0):
            return figure
        counts = self.counts[:, :-1]
        part = {"recall_dark": counts[-self.n_dark :], "precision_dark": counts[:, -self.n_dark :]}
        bound = 0.025 ** (1 / min(int(part.get(name, counts).sum()), self.n_units))
        return (value, bound, high) if value == 1 else (value, low, 1 - bound)

    def constants(self, target: NDArray[np.float64] | None) -> dict[str, tuple[float, int | None]]:
        """Return each figure's best constant value and the index of the type that it answers."""
        counts = reweight(self.counts[:, :-1].astype(float), target)
        return best_constants(counts.sum(-1), self.n_dark)


def _answered_curve(
    truth: NDArray[np.float64],
    label: NDArray[np.float64],
    types: Sequence[int],
    *,
    doubt: NDArray[np.float64] | None,
    clusters: NDArray[np.intp] | None,
    target: NDArray[np.float64] | None,
) -> list[dict[str, float]]:
    """Return accuracy against the share of images answered, from all answers to the surest tenth.

    Without ``doubt`` there is one row: the share that has a label. A label whose doubt is missing
    is the first to go.
    """
    answered = np.flatnonzero(~np.isnan(label))
    sizes = [len(answered)]
    if doubt is not None:
        answered = answered[np.argsort(np.nan_to_num(doubt[answered], nan=np.inf), kind="stable")]
        tenths = [round(len(truth) * tenth / 10) for tenth in range(9, 0, -1)]
        sizes += [size for size in tenths if MINIMUM_IMAGES <= size < len(answered)]
    curve: list[dict[str, float]] = []
    for size in sizes:
        rows = answered[:size]
        people = None if clusters is None else np.unique(clusters[rows], return_inverse=True)[1]
        table = _Table(truth[rows], label[rows], types, people)
        figures = table.figures(target)
        within_one, low, high = figures["within_one"]
        curve.append(
            {
                "share": size / len(truth),
                "n": float(size),
                "within_one": within_one,
                "low": low,
                "high": high,
                "constant": table.constants(target)["within_one"][0],
                "kappa": figures["kappa"][0],
            }
        )
    return curve
