"""How far a figure spreads over the groups of a column, what chance gives, what n can detect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.metrics import METRICS
from equiderm.statistics.intervals import difference, holm, simultaneous_z

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.audit.groups import ByGroup

POWER = 0.80


@dataclass(frozen=True)
class Gap:
    """How far a figure spreads over the groups of a column.

    ``value`` is max - min over the groups that have the figure. ``low`` and ``high`` cover the true
    spread in at least 95 % of samples (all pairwise differences at once). ``null_mean`` and
    ``null_95`` are what shuffled group labels give, ``p`` how often they give as much.
    ``detectable`` tells, for each group, the drop of that group alone that would be noticed in 80 %
    of samples.
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


def gap(results: ByGroup, metric: str, level: float = 0.95) -> Gap:
    """Return the spread of a figure over the groups, its null distribution and its power."""
    names = results.compared(metric)
    if len(names) < 2:
        why = f"{len(names)} of {len(results.grouping.labels)} groups have the figure, 2 are needed"
        nan = float("nan")
        return Gap(metric, results.grouping.name, nan, nan, nan, "", "", "", nan, nan, nan, {}, why)
    z = simultaneous_z(len(names), level)
    figures = {name: results.figure(metric, name, z) for name in names}
    lowest = min(names, key=lambda name: figures[name].value)
    highest = max(names, key=lambda name: figures[name].value)
    pairs = [difference(figures[a][:3], figures[b][:3]) for a in names for b in names if a != b]
    value = figures[highest].value - figures[lowest].value
    null = _null_of(results, metric, names)
    spread = np.ptp(null, axis=1)
    critical = float(np.quantile(spread, 0.95))
    return Gap(
        metric,
        results.grouping.name,
        value,
        max(0.0, max(pair[1] for pair in pairs)),
        max(pair[2] for pair in pairs),
        lowest,
        highest,
        worst_of(metric, {name: figures[name].value for name in names}),
        float((1 + (spread >= value - 1e-12).sum()) / (1 + len(spread))),
        float(spread.mean()),
        critical,
        {
            name: _detectable(null, k, critical, METRICS[metric].better)
            for k, name in enumerate(names)
        },
    )


def null_spread(results: ByGroup, metric: str) -> NDArray[np.float64]:
    """Return the gaps that shuffled group labels give, shape (replicates,)."""
    return np.ptp(_null_of(results, metric, results.compared(metric)), axis=1)


def _null_of(results: ByGroup, metric: str, names: list[str]) -> NDArray[np.float64]:
    columns = [results.grouping.labels.index(name) for name in names]
    null = results.null[:, list(METRICS).index(metric), :][:, columns]
    return null[np.isfinite(null).all(axis=1)]


def versus(results: ByGroup, metric: str, reference: str | None = None) -> list[dict[str, Any]]:
    """Return each group against the rest, or against ``reference``, with Holm's p-values.

    The p-value is that of the group's label: how often a random choice of as many positives
    and negatives lies as far from the overall figure.
    """
    if reference is None and f"not {results.grouping.labels[0]}" not in results.names:
        return []
    names = [name for name in results.compared(metric) if name != reference]
    if reference is not None and reference not in results.compared(metric):
        return []
    found: list[dict[str, Any]] = []
    for name in names:
        other = results.figure(metric, reference or f"not {name}")
        if other.why:
            continue
        value, low, high = difference(results.figure(metric, name)[:3], other[:3])
        p = _label_p(results, metric, name)
        found.append({"group": name, "difference": value, "low": low, "high": high, "p": p})
    for row, p in zip(found, holm([row["p"] for row in found]), strict=True):
        row["p_holm"] = float(p)
    return found


def _label_p(results: ByGroup, metric: str, name: str) -> float:
    drawn = _null_of(results, metric, [name])[:, 0]
    middle = float(drawn.mean())
    off = abs(results.figure(metric, name).value - middle) - 1e-12
    return float((1 + (np.abs(drawn - middle) >= off).sum()) / (1 + len(drawn)))


def worst_of(metric: str, values: dict[str, float]) -> str:
    """Return the group with the worst figure; nothing where no direction is worse."""
    kind = METRICS[metric]
    if kind.better:
        return min(values, key=lambda name: kind.better * values[name])
    if kind.ideal == kind.ideal:
        return max(values, key=lambda name: abs(values[name] - kind.ideal))
    return ""


def _detectable(null: NDArray[np.float64], column: int, critical: float, better: int) -> float:
    """Return the change of one group for which the gap passes ``critical`` 80 times of 100."""
    others = np.delete(null, column, axis=1)
    top, bottom = others.max(axis=1), others.min(axis=1)

    def power(change: float) -> float:
        moved = null[:, column] - (better or 1) * change
        return float((np.maximum(top, moved) - np.minimum(bottom, moved) > critical).mean())

    low, high = 0.0, max(10 * critical, 1e-6)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high
