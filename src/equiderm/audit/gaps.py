"""The gap of a figure between groups, its size under the null, and the detectable drop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.differences import row_to_name
from equiderm.audit.metrics import METRICS
from equiderm.audit.power import detectable
from equiderm.audit.sampling import of_groups
from equiderm.errors import InputError
from equiderm.format import listed
from equiderm.records import remembered
from equiderm.statistics.estimates import spread
from equiderm.statistics.intervals import difference, simultaneous_z

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.audit.groups import ByGroup

DRAWS = 10_000
ODDS_DIFFERENCES = {  # fairlearn's name: the figures of which it is the largest gap
    "equal_opportunity_difference": ("sensitivity",),
    "equalized_odds_difference": ("sensitivity", "specificity"),
}


@dataclass(frozen=True)
class Gap:
    """The gap of a figure between the groups of a column.

    Attributes:
        metric: The figure.
        by: The group column.
        value: Max - min over the groups that have the figure.
        low: Lower end of an interval that covers the true gap in at least 95 % of samples. It is
            above 0 exactly if ``p`` is below 0.05: both come from the groups' differences
            (`equiderm.audit.differences`).
        high: Upper end.
        lowest: The group with the lowest value.
        highest: The group with the highest value.
        worst: The group with the worst value; empty if no direction is worse.
        p: Adjusted p of the group that a verdict names.
        null_mean: Mean gap of groups of these sizes that do not differ.
        null_95: Its 95 % quantile.
        detectable: By group, the drop in that group alone that would be noticed in 80 % of samples;
            NaN if even the largest would not.
        why: Why there is no gap, or empty.
    """

    metric: str
    by: str
    value: float
    low: float
    high: float
    lowest: str
    highest: str
    worst: str
    p: float
    null_mean: float
    null_95: float
    detectable: dict[str, float]
    why: str = ""


@remembered
def gap(results: ByGroup, metric: str, level: float = 0.95) -> Gap:
    """Return the gap of a figure between the groups, with its null and its power."""
    names = _spread_over(results, metric)
    compared = results.differences().compared(metric) if len(names) > 1 else []
    if not compared:
        why = of_groups(len(names), len(results.grouping.labels))
        nan = float("nan")
        return Gap(metric, results.grouping.name, nan, nan, nan, "", "", "", nan, nan, nan, {}, why)
    values = {name: results.value(metric, name)[0] for name in names}
    lowest, highest = min(names, key=values.__getitem__), max(names, key=values.__getitem__)
    value = values[highest] - values[lowest]
    # The gap is at least the difference of any group from a mean of the others.
    low = max(max(row.low_adjusted, -row.high_adjusted, 0.0) for row in compared)
    z = simultaneous_z(len(names), level)
    figures = {name: results.figure(metric, name, z) for name in names}
    pairs = [difference(figures[a][:3], figures[b][:3]) for a in names for b in names if a != b]
    by_chance = _chance(results, metric, names)
    return Gap(
        metric,
        results.grouping.name,
        value,
        min(low, value),
        max(pair[2] for pair in pairs),
        lowest,
        highest,
        worst_of(metric, values),
        row_to_name(compared).p_adjusted,
        float(by_chance.mean()),
        float(np.quantile(by_chance, 0.95)),
        {name: detectable(results, metric, name) for name in names},
    )


def odds_difference(results: ByGroup, name: str) -> tuple[float, float, float, str]:
    """Return value, low, high and the reason if missing of one of `ODDS_DIFFERENCES`."""
    if name not in ODDS_DIFFERENCES:
        raise InputError(f"there is no '{name}'; choose {listed(ODDS_DIFFERENCES, last='or')}.")
    metrics = ODDS_DIFFERENCES[name]
    each = [gap(results, metric, 1 - 0.05 / len(metrics)) for metric in metrics]
    why = "; ".join(part.why for part in each if part.why)
    if why:
        return math.nan, math.nan, math.nan, why
    value, low, high = (max(getattr(g, end) for g in each) for end in ("value", "low", "high"))
    return value, low, high, ""


def null_spread(results: ByGroup, metric: str) -> NDArray[np.float64]:
    """Return simulated gaps of groups with these standard errors and no difference, (draws,)."""
    return _chance(results, metric, _spread_over(results, metric))


def _spread_over(results: ByGroup, metric: str) -> list[str]:
    """Return the groups that have the figure, and the pooled bands of which one lacks it."""
    names = results.compared(metric)
    pooled = [name for name in results.units(metric) if name in results.pooled]
    return names + [name for name in pooled if not set(results.pooled[name]) <= set(names)]


def _chance(results: ByGroup, metric: str, names: list[str]) -> NDArray[np.float64]:
    errors = [math.sqrt(spread(results.estimate(metric, name))) for name in names]
    random = np.random.default_rng(results.options.seed)
    return np.ptp(random.standard_normal((DRAWS, len(names))) * errors, axis=1)


VERSUS = (
    "difference", "low", "high", "p", "p_holm", "low_adjusted", "high_adjusted", "ratio",
    "ratio_low", "ratio_high",
)  # fmt: skip


def versus(results: ByGroup, metric: str, reference: str | None = None) -> list[dict[str, Any]]:
    """Return each group against the others, or against ``reference``.

    ``low``, ``high`` and ``p`` are of the difference alone; ``low_adjusted``, ``high_adjusted``
    and ``p_holm`` are adjusted over the groups and the three figures of the verdict.
    """
    return [
        {"group": row.group}
        | {key: getattr(row, "p_adjusted" if key == "p_holm" else key) for key in VERSUS}
        for row in results.differences(reference).compared(metric)
    ]


def worst_of(metric: str, values: dict[str, float]) -> str:
    """Return the group with the worst figure; an empty text if no direction is worse."""
    kind = METRICS[metric]
    if kind.better:
        return min(values, key=lambda name: kind.better * values[name])
    if kind.ideal == kind.ideal:
        return max(values, key=lambda name: abs(values[name] - kind.ideal))
    return ""
