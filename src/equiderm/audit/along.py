"""The figures along a number such as ITA: curves without bins, bands that hold at once, and a test.

Sensitivity and specificity at a place are the shares of the positives and negatives near it, by
local regression (`equiderm.statistics.local`). The AUROC at a place is how often a positive there
outranks a negative there: every pair counts by the product of its two weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from equiderm.audit.metrics import HEADLINE
from equiderm.errors import InputError
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

PLACES = 41  # at which a curve is computed
LEAST = 10.0  # positives, and negatives, that count at a place (effective number)
OUTER = 5  # patients of either class at or beyond the ends of the curves
FEWEST = 30  # patients of either class
DISTINCT = 10  # values of the number
DRAWS = 10_000  # of the largest deviation; the 5 % point is then known to 0.02


@dataclass(frozen=True, eq=False, repr=False)
class Curve(Record):
    """One figure along a number.

    Attributes:
        metric: "auroc", "sensitivity" or "specificity".
        x: Places, ascending, shape (places,).
        value: The figure at each, in [0, 1].
        low: Lower end of a band that holds the whole curve in 95 of 100 samples.
        high: Upper end.
        positives: As how many positives of equal weight those near each place count; 0 where the
            figure needs none.
        negatives: Likewise.
        mean: Over the places, each weighted by how much is known there.
        p: How often chance alone would bend a flat curve as much.
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
        """Whether chance does not explain that the curve is not flat."""
        return self.p_adjusted < ALPHA

    def at(self, place: float) -> tuple[float, float, float]:
        """Return value, low and high at a place; NaN beyond the ends of the curve."""
        ends = (self.value, self.low, self.high)
        value, low, high = (
            float(np.interp(place, self.x, one, left=np.nan, right=np.nan)) for one in ends
        )
        return value, low, high


@dataclass(frozen=True, eq=False, repr=False)
class Along(Record):
    """AUROC, sensitivity and specificity along a number; made by `Audit.along`.

    Attributes:
        column: The number's name.
        curves: One of each figure, over the same places.
        images: Rows that have the number.
        below: Of these, how many lie below the first place: too few are near each other there.
        above: How many lie above the last place.
        lowest: The least number of all.
        highest: The greatest number of all.
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
        for one in self.curves:
            if one.metric == metric:
                return one
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
        """One row for each figure and place."""
        import pandas as pd

        names = ("x", "value", "low", "high", "positives", "negatives")
        parts = [
            pd.DataFrame({name: getattr(one, name) for name in names}).assign(figure=one.metric)
            for one in self.curves
        ]
        table = pd.concat(parts, ignore_index=True).assign(along=self.column)
        return table[["along", "figure", *names]]

    @cached_property
    def tests(self) -> pd.DataFrame:
        """One row for each figure: mean, p of a flat curve, and whether it is not flat."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"along": self.column, "figure": one.metric, "mean": one.mean, "p": one.p}
                | {"p_adjusted": one.p_adjusted, "flat_is_refuted": one.bends}
                for one in self.curves
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
        study: The rows.
        column: What the number is called.
        x: Of each row, NaN where it is not known, shape (n,).
        threshold: Score from which an image is called positive.

    Raises:
        InputError: No truth, too few different values, or too few patients of a class.
    """
    classes = _classes(study, column, x)
    places = _places(classes)
    if not len(places):
        raise InputError(
            f"{study.name}: along '{column}' there is no stretch with {LEAST:.0f} positives and "
            f"{LEAST:.0f} negatives near every place; audit more images, or groups of it with `by`."
        )
    near = [_Near.around(one, places) for one in classes]
    called = [one.score >= threshold for one in classes]
    makers: dict[str, Callable[[], _Curved]] = {
        "auroc": lambda: _Ranks(near, places),
        "sensitivity": lambda: _Shares(near[0], places, called[0].astype(float)),
        "specificity": lambda: _Shares(near[1], places, (~called[1]).astype(float)),
    }
    curves = [_curve(metric, makers[metric](), places) for metric in HEADLINE]
    adjusted = holm([one.p for one in curves])
    known = x[np.isfinite(x)]
    return Along(
        column,
        tuple(replace(one, p_adjusted=float(p)) for one, p in zip(curves, adjusted, strict=True)),
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
    """Return positives and negatives, checked."""
    if not study.truth:
        raise InputError(
            f"{study.name}: curves along '{column}' need a target, and the truth is not known yet."
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
            f"{study.name}: column '{column}' has {distinct} different values, a curve along it "
            f'needs {DISTINCT}; audit them as groups, as in `by="{column}"`.'
        )
    found = _class(study, x, study.target), _class(study, x, ~study.target)
    for one, name in zip(found, ("positive", "negative"), strict=True):
        if one.patients < FEWEST:
            unit = "images" if study.patient is None else f"patients with a {name} image"
            unit = f"{name} images" if study.patient is None else unit
            raise InputError(
                f"{study.name}: {one.patients} {unit} have a value in column '{column}', a curve "
                f"along it needs {FEWEST}; audit more, or leave `along` out."
            )
    return found


def _class(study: Study, x: NDArray[np.float64], rows: NDArray[np.bool_]) -> _Class:
    index = np.flatnonzero(rows & np.isfinite(x))
    index = index[np.argsort(x[index], kind="stable")]
    patient = index if study.patient is None else study.patient[index]
    count = len(np.unique(patient))
    counts = None if study.weight is None else study.weight[index]
    width = half_width(x[index], count) if count else 0.0
    return _Class(x[index], study.score[index], patient, counts, width, count)


def _places(classes: tuple[_Class, _Class]) -> NDArray[np.float64]:
    """Return the places: from where to where both classes have enough, without a hole.

    Of several such stretches the one that holds the most positives; none is an empty array.
    """
    ends: list[tuple[float, float]] = []
    for one in classes:
        first = one.x[np.unique(one.patient, return_index=True)[1]]
        last = one.x[::-1][np.unique(one.patient[::-1], return_index=True)[1]]
        ends.append((float(np.sort(first)[OUTER - 1]), float(np.sort(last)[-OUTER])))
    low, high = max(a for a, _ in ends), min(b for _, b in ends)
    fine = np.linspace(low, high, 2 * PLACES) if high > low else np.array([])
    enough = np.ones(len(fine), dtype=bool)
    for one in classes:
        near = (local_weights(one.x, place, one.width, one.counts) for place in fine)
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
    """One class with the weights of its rows at every place."""

    rows: _Class
    at: list[Local]
    table: NDArray[np.float64]  # (rows, places)

    @classmethod
    def around(cls, one: _Class, places: NDArray[np.float64]) -> _Near:
        at: list[Local] = []
        table = np.zeros((len(one.x), len(places)))
        for k, place in enumerate(places):
            near = local_weights(one.x, place, one.width, one.counts)
            assert near is not None  # `_places` keeps to where there are some
            table[near.rows, k] = near.weight
            at.append(near)
        return cls(one, at, table)


class _Curved(Protocol):
    """A figure at every place, and how sure every weighted mean of them is."""

    value: NDArray[np.float64]
    covariance: NDArray[np.float64]
    sizes: tuple[NDArray[np.float64], NDArray[np.float64]]  # positives, negatives; or one of them
    weight: NDArray[np.float64]

    def estimate(self, mean: NDArray[np.float64]) -> Share: ...


class _Shares:
    """A share along the number. Its variance is that of a share, in units of p (1 - p)."""

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
        """Return a weighted mean of the places' shares."""
        value = min(max(float(mean @ self.value), 0.0), 1.0)  # rounding
        return Share(value, 1 / float(mean @ self.covariance @ mean))


def _at(
    x: NDArray[np.float64], places: NDArray[np.float64], table: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each row of a table, shape (rows, places), at its own x."""
    step = places[1] - places[0]
    along = np.clip((x - places[0]) / step, 0, len(places) - 1)
    k = np.minimum(along.astype(np.intp), len(places) - 2)
    rows = np.arange(len(x))
    return table[rows, k] * (1 - along + k) + table[rows, k + 1] * (along - k)


def _together(
    hit: NDArray[np.float64], expected: NDArray[np.float64], patient: NDArray[np.intp]
) -> float:
    """Return how much two rows of a patient depend on each other, 0 to 1.

    One number for the whole curve: near one place there are too few patients to see it.

    Args:
        hit: 0 or 1, shape (n,).
        expected: By a curve without the row's own patient, whose rows would draw it to themselves
            and so hide that they agree, shape (n,).
        patient: Whole numbers from 0, shape (n,).

    Source:
        The moment estimator of Liang and Zeger 1986, Biometrika 73:13.
    """
    off = (hit - expected) / np.sqrt(expected * (1 - expected))
    size = np.bincount(patient).astype(float)
    pairs = np.bincount(patient, off) ** 2 - np.bincount(patient, off**2)
    return min(max(float(pairs.sum() / (size * (size - 1)).sum()), 0.0), 1.0)


class _Ranks:
    """The AUROC along the number. Its variance is DeLong's, of patients Obuchowski's."""

    def __init__(self, near: list[_Near], places: NDArray[np.float64]) -> None:
        self._near = near
        people = np.unique(np.concatenate([one.rows.patient for one in near]))
        self._codes = [np.searchsorted(people, one.rows.patient) for one in near]
        self._moved = np.zeros((2, len(people), len(places)))
        self.value = np.empty(len(places))
        for k in range(len(places)):
            a, b = (one.at[k] for one in near)
            scores = near[0].rows.score[a.rows], near[1].rows.score[b.rows]
            pair = placements(*scores, (a.weight, b.weight))
            self.value[k] = np.clip(a.weight @ pair[0], 0.0, 1.0)
            for side, (one, values) in enumerate(zip((a, b), pair, strict=True)):
                codes = self._codes[side][one.rows]
                moved = one.weight * one.residuals(values, codes)
                self._moved[side, :, k] = np.bincount(codes, moved, minlength=len(people))
        whole = self._moved.sum(axis=0)
        self.covariance = whole.T @ whole
        m, n = (1 / (one.table**2).sum(axis=0) for one in near)
        self.sizes = m, n
        self.weight = m * n / (m + n)

    def estimate(self, mean: NDArray[np.float64]) -> Share:
        """Return a weighted mean of the places' AUROCs."""
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
    """Return a figure's curve with its band and its test; not yet adjusted."""
    estimates = [curved.estimate(one) for one in np.eye(len(places))]
    quantile = max(Largest(correlation_of(curved.covariance), DRAWS).quantile(1 - ALPHA), Z95)
    low, high = np.transpose([one.bounds(t_quantile(quantile, one.freedom)) for one in estimates])
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
    """Return the p of a flat curve.

    Its statistic is the largest of these differences over their standard errors: of every place
    from the curve's mean elsewhere (a place counts there the less, the more images it shares), and
    of the upper half from the lower half, in which a place counts by its distance from the middle:
    the trend.
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
        if largest == 0 or not low <= 0 <= high:  # else its statistic is smaller
            largest = max(largest, difference.statistic)
    contrasts = np.array([a - b for a, b in pairs])
    return Largest(correlation_of(contrasts @ c @ contrasts.T), DRAWS).p(largest)
