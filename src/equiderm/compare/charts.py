"""The comparison's pictures: worst group against overall, and the paired differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from equiderm.page import PALETTE, figure_block

if TYPE_CHECKING:
    from equiderm.compare.comparison import Compared, TestSet

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
COLOURS = tuple(colour for colour in PALETTE if colour != "#F0E442")  # too pale for a mark


def pareto(compared: Compared, test: TestSet) -> Any:
    """Return worst-group against overall AUROC with intervals; circled where nothing beats it."""
    figure, axes = _axes(4.0)
    points = {
        name: (test.figure(name, "overall"), test.figure(name, "worst"))
        for name in compared.experiments
    }
    best = undominated({k: (x["value"], y["value"]) for k, (x, y) in points.items()})
    for k, (name, (x, y)) in enumerate(points.items()):
        colour = COLOURS[k % len(COLOURS)]
        axes.plot([x["low"], x["high"]], [y["value"]] * 2, color=colour, linewidth=1, alpha=0.6)
        axes.plot([x["value"]] * 2, [y["low"], y["high"]], color=colour, linewidth=1, alpha=0.6)
        mark = MARKS[k % len(MARKS)]
        axes.plot(x["value"], y["value"], mark, color=colour, markersize=7, label=name)
        if name in best:
            axes.plot(x["value"], y["value"], "o", color="#000000", mfc="none", markersize=14)
    axes.plot(0.5, 0.5, "x", color="#666666", label="any constant score")
    axes.set(xlabel="Overall AUROC", ylabel="Worst group's AUROC")
    figure.legend(fontsize="small", frameon=False, loc="outside lower center", ncols=3)
    told = "; ".join(
        f"{name} {x['value']:.2f}, {y['value']:.2f}" for name, (x, y) in points.items()
    )
    return figure_block(
        figure,
        alt=f"Overall and worst-group AUROC on {test.split}: {told}.",
        caption="Up and right is better, 95 % intervals. Circled: no other is better in both.",
    )


def undominated(points: dict[str, tuple[float, float]]) -> set[str]:
    """Return the names whose point no other equals or exceeds in both, and exceeds in one."""
    return {
        name
        for name, (x, y) in points.items()
        if x == x
        and y == y
        and not any(a >= x and b >= y and (a, b) != (x, y) for a, b in points.values())
    }


def differences(test: TestSet, reference: str) -> Any:
    """Return the paired differences against a reference as a picture block."""
    table: Any = test.differences
    part = table[table["against"] == reference]
    names = list(dict.fromkeys(part["experiment"]))
    figure, axes = _axes(1.2 + 0.42 * len(names))
    axes.axvline(0, color="#666666", linewidth=1, linestyle=":")
    told: list[str] = []
    for f, (what, words) in enumerate((("overall", "overall"), ("worst", "worst group"))):
        colour, mark = COLOURS[f], MARKS[f]
        for k, name in enumerate(names):
            row = part[(part["experiment"] == name) & (part["figure"] == what)].iloc[0]
            y = k + 0.15 * (2 * f - 1)
            axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2)
            label = words if k == 0 else None
            axes.plot(row["difference"], y, mark, color=colour, markersize=5, label=label)
            told.append(f"{name} {words} {row['difference']:+.2f}")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(f"AUROC minus that of {reference}")
    if names:
        figure.legend(fontsize="small", frameon=False, loc="outside lower center", ncols=2)
    return figure_block(
        figure,
        alt=f"Paired AUROC differences against {reference}: {'; '.join(told)}.",
        caption=f"AUROC minus {reference}'s, 95 % intervals, same seeds and images.",
    )


def _axes(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
