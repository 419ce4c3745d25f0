"""Power of an audit: the drop that would be noticed, and how many images are needed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from equiderm.audit.metrics import METRICS
from equiderm.statistics.estimates import spread
from equiderm.statistics.intervals import Z95, implied_variance, normal_quantile
from equiderm.statistics.simultaneous import Difference, Largest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from equiderm.audit.groups import ByGroup

POWER = 0.80
STEPS = 20  # of bisection
EXTREME = 0.02  # closer to 0 or 1 the standard error of an AUROC is not usable
DRAWS = 8_000


def detectable(results: ByGroup, metric: str, group: str) -> float:
    """Return the drop in one group alone that is noticed in 80 of 100 samples of these sizes.

    All groups are set to their mean and this one is lowered; the drop is noticed if any difference
    of the figure is established. NaN if even the largest drop would be noticed less often.
    """
    differences = results.differences()
    contrasts = differences.contrasts(metric)
    if contrasts is None or group not in contrasts.groups:
        return math.nan
    quantile = differences.usual_quantile(metric)
    own = contrasts.groups.index(group)
    order = [own, *(k for k in range(len(contrasts.groups)) if k != own)]
    base = float(
        np.average(
            [results.value(metric, name)[0] for name in contrasts.names],
            weights=[results.weight(metric, name) for name in contrasts.names],
        )
    )
    sign = METRICS[metric].better or 1
    correlation = differences.correlation((metric,))[np.ix_(order, order)]
    loading = contrasts.weights[order, contrasts.names.index(group)]
    margin = least_luck([contrasts.differences[k] for k in order], loading, correlation, quantile)
    off = contrasts.differences[own]

    def noticed(drop: float) -> bool:
        true = Difference(off.one.moved(base - sign * drop), off.other.moved(base), off.correlation)
        return is_noticed(true, margin, quantile)

    room = base if sign > 0 else 1 - base
    most = max(room - EXTREME, room / 2)
    return smallest(noticed, most) if noticed(most) else math.nan


def least_luck(
    differences: Sequence[Difference],
    loading: NDArray[np.float64],
    correlation: NDArray[np.float64],
    quantile: float,
) -> float:
    """Return how far beyond the quantile a drop must be for any difference to pass in 80 of 100.

    In standard errors of the lowered group's own difference; another group's may pass instead.

    Args:
        differences: Each group against the others, the lowered group's own first.
        loading: The share of the drop that shows in each difference, shape (groups,).
        correlation: Correlation of their statistics, shape (groups, groups).
        quantile: The value that a statistic must exceed.
    """
    drawn = Largest(correlation, draws=DRAWS)
    errors = [math.sqrt(spread(off.one) + spread(off.other)) for off in differences]
    deviates, shift = drawn.deviates, (loading / errors)[drawn.kept]
    relative = np.where(shift == 0, 1e-9, shift / shift[0])
    passes = (quantile - deviates * np.sign(relative)) / np.abs(relative)
    passes[np.abs(deviates) > quantile] = 0.0
    return float(np.quantile(passes.min(axis=1), POWER)) - quantile


def is_noticed(true: Difference, margin: float, quantile: float) -> bool:
    """Return whether a true difference is noticed in 80 of 100 samples.

    In 20 of 100 samples the observed difference is at least ``margin`` standard errors closer to 0
    than the true one. The test uses the standard errors at the observed values, because those of
    an AUROC or a share depend on its value.

    Args:
        true: The expected estimates.
        margin: Number of standard errors; 0.84 for a single difference.
        quantile: The value that a statistic must exceed.
    """
    sign = math.copysign(1.0, true.value)
    one, other = spread(true.one), spread(true.other)
    shared = true.correlation * math.sqrt(one * other)
    error = math.sqrt(max(one + other - 2 * shared, 0.0))
    luck = sign * margin / error if error > 0 else 0.0  # without any variance all samples agree
    seen = (
        true.one.moved(true.one.value - luck * (one - shared)),
        true.other.moved(true.other.value + luck * (other - shared)),
    )
    low, high = Difference(*seen, true.correlation).interval(quantile)
    return low > 0 if sign > 0 else high < 0


def smallest(holds: Callable[[float], bool], high: float) -> float:
    """Return the smallest number from which on a condition holds, up to ``high``."""
    low = 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def needed(results: ByGroup, metric: str, group: str, drop: float) -> float:
    """Return the positive images a group needs for a drop in it alone to be noticed in 80 of 100.

    Negatives and images per patient are in proportion as in the other groups. Other groups with
    fewer positives are assumed to get as many. NaN if no other group has the figure; never below
    the number that a figure needs at all.
    """
    names = [name for name in results.units(metric) if name != group]
    if not names:
        return math.nan
    weights = np.array([results.weight(metric, name) for name in names], dtype=np.float64)
    weights /= weights.sum()
    estimates = [results.estimate(metric, name) for name in names]
    base = float(weights @ [estimate.value for estimate in estimates])
    inside = min(max(base, 0.02), 0.98)
    variances = np.array([spread(estimate.moved(inside)) for estimate in estimates])
    positives = [results.people(name)[1] for name in names]
    unit = float(np.average(variances * positives, weights=positives))  # of one positive
    lowered = (
        unit * _variance(metric, min(max(base - drop, 0.02), 0.98)) / _variance(metric, inside)
    )
    quantile = Z95
    if len(results.units(metric)) > 1:
        quantile = results.differences().usual_quantile(metric)
    allowed = (drop / (quantile + normal_quantile(POWER))) ** 2

    def enough(count: float) -> bool:
        others = weights**2 @ np.minimum(variances, unit / max(count, 1.0))
        return lowered / max(count, 1.0) + float(others) <= allowed

    count = math.ceil(smallest(enough, (lowered + unit) / allowed) - 1e-3)
    return max(count, results.options.min_count)


def _variance(metric: str, value: float) -> float:
    """Return the variance that one positive image contributes to a figure, up to a factor."""
    if METRICS[metric].interval == "rank":
        return implied_variance(value, 100, 300)
    return value * (1 - value)
