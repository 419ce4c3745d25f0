"""One formula for interval and p of a mean over few seeds, or splits, and many patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from equiderm.statistics.intervals import ALPHA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from equiderm.compare.spread import Spread

LUCK = 0.1  # of the runs' own noise: seeds that scatter less agree by luck (see `Mean`)
POWER_Z = 0.8416212335729143  # normal quantile of 0.80
SMALLEST = -300.0  # of the logarithm of p
MOST_SEEDS, MOST_TIMES = 100, 1000  # that a plan asks for
SEEDS_AT_LEAST = 10  # where a plan asks for more images, too


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with the two sources of its uncertainty.

    With several splits the units are the splits, each the mean of its seeds: how far they differ
    holds what seeds, training rows and those test patients do that the splits do not share.

    Attributes:
        value: The mean.
        units: How many seeds, or splits where there are several: k.
        over_seeds: Variance of one unit's value, s^2 with k - 1 degrees of freedom; NaN for one. At
            least a tenth of V_int, the variance that the units' own noise on these patients gives:
            AUROCs of few images take few values, so that two seeds may agree to the digit.
        over_images: Variance that all units share, as far as they see the same patients: that of
            the mean over patients, less the part that is each unit's own (V_int / k), which s^2
            holds already. 0 where no patient is in two splits' tests.
        freedom: Degrees of freedom of the latter.
        own: V_int: of ``over_seeds`` the part that more images make smaller.
    """

    value: float
    units: int
    over_seeds: float
    over_images: float
    freedom: float
    own: float = 0.0

    def half(self, alpha: float) -> float:
        """Return half the width of the interval of level 1 - alpha.

        sqrt(t^2 s^2 / k + u^2 V): the half widths of seeds and of images in quadrature, with t of
        k - 1 degrees of freedom and u of as many as there are patients of the rarer class. One
        seed: of images alone.
        """
        u = float(special.stdtrit(self.freedom, alpha / 2))
        images = u * u * self.over_images
        if self.units < 2:
            return float(np.sqrt(images))
        t = float(special.stdtrit(self.units - 1, alpha / 2))
        return float(np.sqrt(t * t * self.over_seeds / self.units + images))

    def p(self) -> float:
        """Return the smallest alpha whose interval leaves 0 out: the same formula, inverted."""
        off = abs(self.value)
        if not off > 0:
            return 1.0 if off == 0 else float("nan")
        if np.isnan(self.half(ALPHA)):
            return float("nan")
        low, high = SMALLEST, 0.0  # of log10 alpha; the half width falls as alpha rises
        if self.half(10.0**low) < off:
            return 10.0**low
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if self.half(10.0**middle) < off else (middle, high)
        return float(10.0**high)

    def needed(self, margin: float, alpha: float) -> tuple[int, float]:
        """Return units and times as many images that establish a difference of ``margin``.

        In 80 of 100 comparisons, at level alpha, by the variances that these runs show. More
        images are asked for only where no number of units is enough with these.
        """

        def enough(k: int, times: float) -> bool:
            u = -float(special.stdtrit(self.freedom * times, alpha / 2))
            t = -float(special.stdtrit(k - 1, alpha / 2))
            seeds = (max(self.over_seeds - self.own, 0.0) + self.own / times) / k
            images = self.over_images / times
            half = np.sqrt(t * t * seeds + u * u * images)
            return bool(half + POWER_Z * np.sqrt(seeds + images) <= margin)

        for k in range(2, MOST_SEEDS + 1):
            if enough(k, 1.0):
                return k, 1.0
        k = max(self.units, SEEDS_AT_LEAST)
        for times in np.geomspace(1.1, MOST_TIMES, 80):
            if enough(k, float(times)):
                return k, float(times)
        return k, float("inf")


@dataclass(frozen=True)
class Estimate:
    """A figure or a difference, between bounds that are means themselves.

    Overall and a group have one mean, which bounds itself on both sides. A difference of worst
    groups has several: see `Contrast.worst`.

    Attributes:
        value: The estimate.
        seeds: Runs behind it, of each experiment: seeds of all splits.
        below: It is at least the least of these.
        above: It is at most the greatest of these.
        span: No difference is beyond it, on either side: 1 of two AUROCs.
    """

    value: float
    seeds: int
    below: tuple[Mean, ...]
    above: tuple[Mean, ...]
    span: float = 1.0

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Return the ends of the interval of level 1 - alpha; NaN where it is undecided."""
        if not self.below or not self.above:
            return float("nan"), float("nan")
        low = min(mean.value - mean.half(alpha) for mean in self.below)
        high = max(mean.value + mean.half(alpha) for mean in self.above)
        return max(low, -self.span), min(high, self.span)

    def p(self) -> float:
        """Return the smallest alpha whose interval leaves 0 out."""
        if not self.below or self.value != self.value:
            return float("nan")
        if all(mean.value > 0 for mean in self.below):
            return max(mean.p() for mean in self.below)
        if all(mean.value < 0 for mean in self.above):
            return max(mean.p() for mean in self.above)
        return 1.0


class Contrast:
    """Means over seeds of all figures of an experiment, or of its differences from another.

    Where there are several splits: means over splits of the means over a split's seeds.

    Args:
        runs: The runs.
        one: Index of the experiment.
        other: Index of the experiment that it is compared with; None for its figures alone.
    """

    def __init__(self, runs: Spread, one: int, other: int | None = None) -> None:
        self._runs, self._pair = runs, (one,) if other is None else (one, other)
        self._figures = len(runs.figures)
        values = np.concatenate([runs.values[e] for e in self._pair], axis=1)
        parts = np.concatenate([runs.parts[e] for e in self._pair], axis=1)
        self.known = np.isfinite(values[:, :: self._figures]).all(axis=1)
        self.seeds = int(self.known.sum())
        self._freedom = np.tile(runs.patients.min(axis=1) - 1.0, len(self._pair))
        self.values, parts = values[self.known], parts[self.known].astype(np.float64)
        if runs.split.any():
            splits = np.unique(runs.split[self.known])
            of = [runs.split[self.known] == split for split in splits]
            self.values, parts = (
                np.array([array[here].mean(axis=0) for here in of]).reshape(-1, *array.shape[1:])
                for array in (self.values, parts)
            )
        self.units = k = len(self.values)
        if not k:
            return
        self._shared = _products(parts.mean(axis=0))
        if k > 1:
            each = np.mean([_products(part) for part in parts], axis=0)
            self._shared = (k * self._shared - each) / (k - 1)
            self._own = each - self._shared
            off = self.values - self.values.mean(axis=0)
            self._over_seeds = off.T @ off / (k - 1)

    def mean(self, here: Mapping[int, float], there: Mapping[int, float] | None = None) -> Mean:
        """Return the mean of a weighted sum of figures, given as factors by figure index.

        Args:
            here: Figures of the experiment.
            there: Figures of the one that it is compared with.
        """
        index = [*here, *(self._figures + f for f in there or {})]
        factor = np.array([*here.values(), *(there or {}).values()])
        nan = float("nan")
        if not self.units:
            return Mean(nan, 0, nan, nan, nan)

        def variance(of_all: NDArray[np.float64]) -> float:
            return max(float(factor @ of_all[np.ix_(index, index)] @ factor), 0.0)

        seeds, own = nan, 0.0
        if self.units > 1:
            own = variance(self._own)
            seeds = max(variance(self._over_seeds), LUCK * own)
        value = float(self.values.mean(axis=0)[index] @ factor)
        freedom = float(min(self._freedom[f] for f in index))
        return Mean(value, self.units, seeds, variance(self._shared), freedom, own)

    def difference(self, figure: int) -> Mean:
        """Return the mean difference in a figure."""
        return self.mean({figure: 1.0}, {figure: -1.0})

    def estimate(self, figure: int) -> Estimate:
        """Return the difference in a figure with its bounds.

        Without bounds for one seed (or split), and where every run separates the classes (or
        reverses them, or never errs): nothing shows how far other images would have moved them.
        """
        plain = self.difference(figure)
        of = range(1, figure - 1) if figure == self._figures - 1 else (figure,)  # a gap: all groups
        both = self.values[:, [*of, *(self._figures + f for f in of)]]
        separated = bool(np.isin(both, self._runs.measure.exact).all())
        if self.units < 2 or plain.value != plain.value or separated:
            return Estimate(plain.value, self.seeds, (), ())
        below: list[Mean] = []
        above: list[Mean] = []
        if figure == self._figures - 2:
            below, above = self._worst()
        if figure == self._figures - 1:
            below, above = self._gap()
        span = self._runs.measure.span
        return Estimate(plain.value, self.seeds, (plain, *below), (plain, *above), span)

    def _worst(self) -> tuple[list[Mean], list[Mean]]:
        """Return bounds of the difference of the worst groups.

        No group is worse than the worst, so that the worst of one experiment minus any group of the
        other is a bound. Which group is the worst noise decides, and more so where groups are
        alike: every group counts that may be it (`Spread.maybe_worst`). It is compared with itself,
        or, where it cannot be the worst of the other, with those that may.
        """
        here, there = (np.flatnonzero(self._runs.maybe_worst[e]) for e in self._pair)
        below = [self.mean({1 + g: 1.0}, {1 + h: -1.0}) for g, h in _matched(here, there)]
        above = [self.mean({1 + g: 1.0}, {1 + h: -1.0}) for h, g in _matched(there, here)]
        return below, above

    def _gap(self) -> tuple[list[Mean], list[Mean]]:
        """Return bounds of the difference of the gaps, as `_worst` does.

        No two groups are farther apart than best and worst: the best and worst of one experiment
        are matched with groups of the other.
        """
        bounds: list[list[Mean]] = []
        here, there = self._pair[0], self._pair[-1]
        for sign, one, other in ((-1.0, there, here), (1.0, here, there)):
            best, worst = (
                _matched(np.flatnonzero(maybe[one]), np.flatnonzero(maybe[other]))
                for maybe in (self._runs.maybe_best, self._runs.maybe_worst)
            )
            pairs = [
                (_minus(b, w, sign), _minus(c, v, -sign))
                for b, c in best
                for w, v in worst
                if b != w
            ]
            bounds.append([self.mean(*(pair if sign > 0 else pair[::-1])) for pair in pairs])
        return bounds[0], bounds[1]


def _matched(groups: NDArray[np.intp], others: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Return each group with itself where it is among the others too, else with each of them."""
    return [(int(g), int(h)) for g in groups for h in ([g] if g in others else others)]


def _minus(one: int, other: int, sign: float) -> dict[int, float]:
    return {} if one == other else {1 + one: sign, 1 + other: -sign}


def _products(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    return parts @ parts.T


def level(runs: Spread, one: int, figure: int) -> tuple[Mean, float, float]:
    """Return an experiment's figure and its 95 % interval, times the measure's sign.

    On the figure's own scale, the logit's for an AUROC. What noise may have added is taken off one
    end: it makes the worst group look worse and the gap wider than they are, by as much as
    `Spread.noise` at most.

    Source:
        Qin and Hotilovac 2008, Statistical Methods in Medical Research 17:207 (logit scale);
        Newcombe 2006, Statistics in Medicine 25:559, where every run separates the classes.
    """
    contrast = Contrast(runs, one)
    mean = contrast.mean({figure: 1.0})
    value, half = mean.value, mean.half(ALPHA)
    if value != value:
        return mean, value, value
    if figure == len(runs.figures) - 1:
        widened = float(runs.noise[one][contrast.known, 1].mean())
        return mean, max(value - widened - half, 0.0), min(value + half, runs.measure.span)
    m, n = runs.patients[figure]
    low, high = runs.measure.bounds(value, half, (int(m), int(n)))
    if figure == len(runs.figures) - 2:
        noise = float(runs.noise[one][contrast.known, 0].mean())
        high = min(high + noise, runs.measure.best)
    return mean, low, high
