"""Figures along a number such as ITA: curves without bins, simultaneous bands, and a test.

Sensitivity and specificity at a value of the number are shares of the positives and negatives near
it, by local regression (`equiderm.statistics.local`). The AUROC there is how often a positive near
it outranks a negative near it; each pair is weighted by the product of its two weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from equiderm.audit.metrics import HEADLINE
from equiderm.errors import InputError
from equiderm.format import counted
from equiderm.records import Record
from equiderm.statistics.delong import placements
from equiderm.statistics.estimates import Share
from equiderm.statistics.intervals import ALPHA, Z95, holm, steadied, t_quantile
from equiderm.statistics.local import Local, half_width, local_weights
from equiderm.statistics.simultaneous import Difference, Largest, correlation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from equiderm.audit.input import Study

PLACES = 41  # values of the number at which a curve is computed
LEAST = 10.0  # lowest effective number of positives, and of negatives, at a place
OUTER = 5  # patients of each class at or beyond the ends of the curves
FEWEST = 30  # patients of each class that a curve needs
DISTINCT = 10  # different values of the number that a curve needs
DRAWS = 10_000  # of the largest deviation; its 5 % point is then accurate to 0.02


@dataclass(frozen=True, eq=False, repr=False)
class Curve(Record):
    """One figure along a number.

    Attributes:
        metric: "auroc", "sensitivity" or "specificity".
        x: Places (values of the number), ascending, shape (places,).
        value: The figure at each place, in [0, 1].
        low: Lower end of a band that covers the whole curve in 95 of 100 samples.
        high: Upper end.
        positives: Effective number of positives near each place; 0 if the figure needs none.
        negatives: Likewise.
        mean: Mean over the places, each weighted by its effective number.
        p: Probability that chance alone bends a flat curve as much.
        p_adjusted: The same, adjusted over the three figures (Holm).
    """

    metric: str
    x: NDArray[np.float64]
    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    positives: NDArray[np.float64]
    negatives: NDArray[np.float64]
    mean: float
    p: float
    p_adjusted: float

    @property
    def bends(self) -> bool:
        """Whether the curve is not flat beyond chance."""
        return self.p_adjusted < ALPHA

    def at(self, place: float) -> tuple[float, float, float]:
        """Return value, low and high at a place; NaN beyond the ends of the curve."""
        ends = (self.value, self.low, self.high)
        value, low, high = (
            float(np.interp(place, self.x, line, left=np.nan, right=np.nan)) for line in ends
        )
        return value, low, high


@dataclass(frozen=True, eq=False, repr=False)
class Along(Record):
    """AUROC, sensitivity and specificity along a number; from `Audit.along`.

    Attributes:
        column: Name of the number's column.
        curves: One curve per figure, over the same places.
        images: Number of rows that have the number.
        below: How many of these are below the first place, where images are too few.
        above: How many are above the last place.
        lowest: The lowest value of the number.
        highest: The highest value.
        unknown: Rows without the number.
    """

    column: str
    curves: tuple[Curve, ...]
    images: int
    below: int
    above: int
    lowest: float
    highest: float
    unknown: int

    def curve(self, metric: str = "auroc") -> Curve:
        """Return the curve of "auroc", "sensitivity" or "specificity"."""
        for curve in self.curves:
            if curve.metric == metric:
                return curve
        raise InputError(f"there is no curve of '{metric}'; choose one of {', '.join(HEADLINE)}.")

    @property
    def start(self) -> float:
        """The first place."""
        return float(self.curves[0].x[0])

    @property
    def end(self) -> float:
        """The last place."""
        return float(self.curves[0].x[-1])

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per figure and place."""
        import pandas as pd

        names = ("x", "value", "low", "high", "positives", "negatives")
        parts = [
            pd.DataFrame({name: getattr(curve, name) for name in names}).assign(figure=curve.metric)
            for curve in self.curves
        ]
        table = pd.concat(parts, ignore_index=True).assign(along=self.column)
        return table[["along", "figure", *names]]

    @cached_property
    def tests(self) -> pd.DataFrame:
        """One row per figure: mean, p of a flat curve, and whether flatness is rejected."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"along": self.column, "figure": curve.metric, "mean": curve.mean, "p": curve.p}
                | {"p_adjusted": curve.p_adjusted, "flat_is_refuted": curve.bends}
                for curve in self.curves
            ]
        )


def curves_along(
    study: Study,
    column: str,
    x: NDArray[np.float64],
    threshold: float,
) -> Along:
    """Return the three figures along a number.

    Args:
        study: The checked rows.
        column: Name of the number's column.
        x: The number of each row, NaN where it is not known, shape (n,).
        threshold: Score from which an image is called positive.

    Raises:
        InputError: No truth, too few different values, or too few patients of a class.
    """
    classes = _classes(study, column, x)
    places = _places(classes)
    if not len(places):
        raise InputError(
            f"{study.name}: no range of '{column}' has {LEAST:.0f} positives and {LEAST:.0f} "
            "negatives near every value; audit more images, or groups of it with `by`."
        )
    near = [_Near.around(rows, places) for rows in classes]
    called = [rows.score >= threshold for rows in classes]
    makers: dict[str, Callable[[], _Curved]] = {
        "auroc": lambda: _Ranks(near, places),
        "sensitivity": lambda: _Shares(near[0], places, called[0].astype(float)),
        "specificity": lambda: _Shares(near[1], places, (~called[1]).astype(float)),
    }
    curves = [_curve(metric, makers[metric](), places) for metric in HEADLINE]
    adjusted = holm([curve.p for curve in curves])
    known = x[np.isfinite(x)]
    return Along(
        column,
        tuple(replace(c, p_adjusted=float(p)) for c, p in zip(curves, adjusted, strict=True)),
        images=len(known),
        below=int((known < places[0]).sum()),
        above=int((known > places[-1]).sum()),
        lowest=float(known.min()),
        highest=float(known.max()),
        unknown=len(x) - len(known),
    )


class _Class(NamedTuple):
    """The rows of one class that have the number, by ascending x."""

    x: NDArray[np.float64]
    score: NDArray[np.float64]
    patient: NDArray[np.intp]
    counts: NDArray[np.float64] | None
    width: float
    patients: int


def _classes(study: Study, column: str, x: NDArray[np.float64]) -> tuple[_Class, _Class]:
    """Return the positives and the negatives; raise InputError if they are too few."""
    if not study.truth:
        raise InputError(
            f"{study.name}: curves along '{column}' need a target, which the audit lacks."
        )
    known = x[np.isfinite(x)]
    distinct = len(np.unique(known))
    if distinct == 1:
        raise InputError(
            f"{study.name}: every value in column '{column}' is {known[0]:g}; a curve along it "
            "needs values that differ."
        )
    if distinct < DISTINCT:
        raise InputError(
            f"{study.name}: column '{column}' has {distinct} different values, but a curve needs "
            f'{DISTINCT}; audit them as groups, as in `by="{column}"`.'
        )
    classes = _class(study, x, study.target), _class(study, x, ~study.target)
    for rows, name in zip(classes, ("positive", "negative"), strict=True):
        if rows.patients < FEWEST:
            by_image = study.patient is None
            unit = f"{name} image" if by_image else "patient"
            has = "has" if rows.patients == 1 else "have"
            which = "" if by_image else f" with a {name} image"
            raise InputError(
                f"{study.name}: {counted(rows.patients, unit)}{which} {has} a value in column "
                f"'{column}', but a curve needs {FEWEST}; audit more, or leave `along` out."
            )
    return classes


def _class(study: Study, x: NDArray[np.float64], rows: NDArray[np.bool_]) -> _Class:
    index = np.flatnonzero(rows & np.isfinite(x))
    index = index[np.argsort(x[index], kind="stable")]
    patient = study.cluster_of(index)
    count = len(np.unique(patient))
    counts = study.weight_of(index)
    width = half_width(x[index], count) if count else 0.0
    return _Class(x[index], study.score[index], patient, counts, width, count)


def _places(classes: tuple[_Class, _Class]) -> NDArray[np.float64]:
    """Return equidistant places over a range in which both classes have enough rows everywhere.

    Of several such ranges, the one with the most positives; without one, an empty array.
    """
    ends: list[tuple[float, float]] = []
    for rows in classes:
        first = rows.x[np.unique(rows.patient, return_index=True)[1]]
        last = rows.x[::-1][np.unique(rows.patient[::-1], return_index=True)[1]]
        ends.append((float(np.sort(first)[OUTER - 1]), float(np.sort(last)[-OUTER])))
    low, high = max(a for a, _ in ends), min(b for _, b in ends)
    fine = np.linspace(low, high, 2 * PLACES) if high > low else np.array([])
    enough = np.ones(len(fine), dtype=bool)
    for rows in classes:
        near = (local_weights(rows.x, place, rows.width, rows.counts) for place in fine)
        enough &= np.array([w is not None and w.size >= LEAST for w in near], dtype=bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], enough, [False]]).astype(int)))
    runs = [(fine[a], fine[b - 1]) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    runs = [(a, b) for a, b in runs if b > a]
    if not runs:
        return np.array([])
    x = classes[0].x
    a, b = max(runs, key=lambda run: int(((x >= run[0]) & (x <= run[1])).sum()))
    return np.linspace(a, b, PLACES)


class _Near(NamedTuple):
    """The rows of one class with their weights at every place."""

    rows: _Class
    at: list[Local]
    table: NDArray[np.float64]  # (rows, places)

    @classmethod
    def around(cls, rows: _Class, places: NDArray[np.float64]) -> _Near:
        at: list[Local] = []
        table = np.zeros((len(rows.x), len(places)))
        for k, place in enumerate(places):
            near = local_weights(rows.x, place, rows.width, rows.counts)
            assert near is not None  # `_places` returns only places with enough rows
            table[near.rows, k] = near.weight
            at.append(near)
        return cls(rows, at, table)


class _Curved(Protocol):
    """A figure at every place, and the estimate of any weighted mean over the places."""

    value: NDArray[np.float64]
    covariance: NDArray[np.float64]
    sizes: tuple[NDArray[np.float64], NDArray[np.float64]]  # positives, negatives; or one of them
    weight: NDArray[np.float64]

    def estimate(self, mean: NDArray[np.float64]) -> Share: ...


class _Shares:
    """A share along the number; ``covariance`` is in units of p (1 - p)."""

    def __init__(self, near: _Near, places: NDArray[np.float64], hit: NDArray[np.float64]) -> None:
        self.value = np.clip(near.table.T @ hit, 0.0, 1.0)
        self.covariance = near.table.T @ near.table
        if near.rows.patients < len(hit):
            patient = np.unique(near.rows.patient, return_inverse=True)[1]
            order = np.argsort(patient, kind="stable")
            starts = np.flatnonzero(np.diff(patient[order], prepend=-1))
            whole = np.add.reduceat(near.table[order], starts, axis=0)
            of_hits = np.add.reduceat((near.table * hit[:, None])[order], starts, axis=0)
            without = self.value - of_hits[patient], np.maximum(1 - whole[patient], 0.1)
            expected = _at(near.rows.x, places, without[0]) / _at(near.rows.x, places, without[1])
            shared = _together(hit, np.clip(expected, 0.01, 0.99), patient)
            self.covariance = (1 - shared) * self.covariance + shared * (whole.T @ whole)
        self.weight = 1 / np.diag(self.covariance)
        self.sizes = self.weight, self.weight

    def estimate(self, mean: NDArray[np.float64]) -> Share:
        """Return the weighted mean of the shares at the places."""
        value = min(max(float(mean @ self.value), 0.0), 1.0)  # rounding
        return Share(value, 1 / float(mean @ self.covariance @ mean))


def _at(
    x: NDArray[np.float64], places: NDArray[np.float64], table: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each row of a table, shape (rows, places), interpolated at the row's x."""
    step = places[1] - places[0]
    along = np.clip((x - places[0]) / step, 0, len(places) - 1)
    k = np.minimum(along.astype(np.intp), len(places) - 2)
    rows = np.arange(len(x))
    return table[rows, k] * (1 - along + k) + table[rows, k + 1] * (along - k)


def _together(
    hit: NDArray[np.float64], expected: NDArray[np.float64], patient: NDArray[np.intp]
) -> float:
    """Return the correlation of two rows of a patient, in [0, 1].

    One value for the whole curve: near a single place there are too few patients to estimate it.

    Args:
        hit: 0 or 1, shape (n,).
        expected: The curve at each row without its own patient, shape (n,). With that patient, the
            curve would follow its rows and hide their correlation.
        patient: Patient codes from 0, shape (n,).

    Source:
        The moment estimator of Liang and Zeger 1986, Biometrika 73:13.
    """
    off = (hit - expected) / np.sqrt(expected * (1 - expected))
    size = np.bincount(patient).astype(float)
    pairs = np.bincount(patient, off) ** 2 - np.bincount(patient, off**2)
    return min(max(float(pairs.sum() / (size * (size - 1)).sum()), 0.0), 1.0)


class _Ranks:
    """The AUROC along the number, with DeLong's variance, or Obuchowski's with patients."""

    def __init__(self, near: list[_Near], places: NDArray[np.float64]) -> None:
        self._near = near
        people = np.unique(np.concatenate([part.rows.patient for part in near]))
        self._codes = [np.searchsorted(people, part.rows.patient) for part in near]
        self._moved = np.zeros((2, len(people), len(places)))
        self.value = np.empty(len(places))
        for k in range(len(places)):
            a, b = (part.at[k] for part in near)
            scores = near[0].rows.score[a.rows], near[1].rows.score[b.rows]
            pair = placements(*scores, (a.weight, b.weight))
            self.value[k] = np.clip(a.weight @ pair[0], 0.0, 1.0)
            for side, (local, values) in enumerate(zip((a, b), pair, strict=True)):
                codes = self._codes[side][local.rows]
                moved = local.weight * local.residuals(values, codes)
                self._moved[side, :, k] = np.bincount(codes, moved, minlength=len(people))
        whole = self._moved.sum(axis=0)
        self.covariance = whole.T @ whole
        m, n = (1 / (part.table**2).sum(axis=0) for part in near)
        self.sizes = m, n
        self.weight = m * n / (m + n)

    def estimate(self, mean: NDArray[np.float64]) -> Share:
        """Return the weighted mean of the AUROCs at the places."""
        value = min(max(float(mean @ self.value), 0.0), 1.0)  # rounding
        variance = float(mean @ self.covariance @ mean)
        sizes: list[float] = []
        whole = below = 0.0
        for side, codes in enumerate(self._codes):
            square = np.bincount(codes, (self._near[side].table @ mean) ** 2)
            sizes.append(1 / float(square.sum()))
            part = float(((self._moved[side] @ mean) ** 2).sum())
            whole += part
            below += part**2 * float((square**2).sum()) * sizes[-1] ** 2
        freedom = whole**2 / below if below > 0 else np.inf
        if not (0 < value < 1 and variance > 0):
            return Share(value, min(sizes), freedom)
        variance = steadied(variance, value, *sizes)
        return Share(value, value * (1 - value) / variance, freedom)


def _curve(metric: str, curved: _Curved, places: NDArray[np.float64]) -> Curve:
    """Return a figure's curve with its band and its test, p not yet adjusted."""
    estimates = [curved.estimate(unit) for unit in np.eye(len(places))]
    quantile = max(Largest(correlation_of(curved.covariance), DRAWS).quantile(1 - ALPHA), Z95)
    low, high = np.transpose([e.bounds(t_quantile(quantile, e.freedom)) for e in estimates])
    low, high = np.minimum(low, curved.value), np.maximum(high, curved.value)
    centre = curved.weight / curved.weight.sum()
    p = _flat(curved, places, centre)
    if low.max() > high.min():  # no flat line lies within the band
        p = min(p, float(np.nextafter(ALPHA, 0)))
    m, n = curved.sizes
    return Curve(
        metric,
        *(places, curved.value, low, high),
        positives=np.zeros(len(places)) if metric == "specificity" else m,
        negatives=np.zeros(len(places)) if metric == "sensitivity" else n,
        mean=float(centre @ curved.value),
        p=p,
        p_adjusted=p,
    )


def _flat(curved: _Curved, places: NDArray[np.float64], centre: NDArray[np.float64]) -> float:
    """Return the p-value of a flat curve.

    The statistic is the largest of these studentised differences: each place minus the mean
    elsewhere (other places are weighted down as their correlation with it rises), and the upper
    minus the lower half, weighted by the distance from the middle (the trend).
    """
    away = places - centre @ places
    halves = [np.where(side, centre * np.abs(away), 0.0) for side in (away > 0, away < 0)]
    pairs = [(halves[0] / halves[0].sum(), halves[1] / halves[1].sum())]
    elsewhere = centre * np.clip(1 - correlation_of(curved.covariance), 0, 1) ** 2
    pairs += list(zip(np.eye(len(places)), elsewhere, strict=True))
    pairs = [(one, other / other.sum()) for one, other in pairs if other.sum() > 0]
    c, largest = curved.covariance, 0.0
    for a, b in pairs:
        scale = float(a @ c @ a) * float(b @ c @ b)
        shared = float(a @ c @ b) / scale**0.5 if scale > 0 else 0.0
        difference = Difference(curved.estimate(a), curved.estimate(b), shared)
        low, high = difference.interval(largest)
        if largest == 0 or not low <= 0 <= high:  # otherwise its statistic is smaller
            largest = max(largest, difference.statistic)
    contrasts = np.array([a - b for a, b in pairs])
    return Largest(correlation_of(contrasts @ c @ contrasts.T), DRAWS).p(largest)
