"""The comparison's pictures: every seed is a dot, and only established differences are marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.compare.answer import capital, established, figure_name
from equiderm.format import number, signed
from equiderm.page import PALETTE, figure_axes, figure_block

if TYPE_CHECKING:
    from equiderm.compare.result import Compared, TestSet

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
COLOURS = tuple(colour for colour in PALETTE if colour != "#F0E442")  # too pale for a mark


def pareto(compared: Compared, test: TestSet) -> Any:
    """Return the worst group's figure against the overall one, with intervals.

    Circled: the worst group's gain over the first reference is established.
    """
    figure, axes = figure_axes(4.0)
    circled: list[str] = []
    values: list[str] = []
    for k, name in enumerate(compared.names):
        x, y = test.figure(name, "overall"), test.figure(name, "worst")
        values.append(f"{name} {number(x['value'], 2)}, {number(y['value'], 2)}")
        style = {"color": COLOURS[k % len(COLOURS)]}
        axes.plot([x["low"], x["high"]], [y["value"]] * 2, linewidth=1, alpha=0.6, **style)
        axes.plot([x["value"]] * 2, [y["low"], y["high"]], linewidth=1, alpha=0.6, **style)
        mark = MARKS[k % len(MARKS)]
        axes.plot(x["value"], y["value"], mark, markersize=7, label=name, **style)
        gain = test.difference(name, compared.references[0], "worst")
        if gain is not None and established(gain) and compared.gain(gain) > 0:
            circled.append(name)
            axes.plot(x["value"], y["value"], "o", color="#000000", mfc="none", markersize=14)
    constant, about = test.constant, compared.about
    at = constant.get("overall"), constant.get("worst")
    axes.plot(*at, "x", color="#666666", label=about.trivial)
    axes.set(xlabel=f"Overall {about.name}", ylabel=f"Worst group's {about.name}")
    if about.sign < 0:  # up and right is better there, too
        axes.invert_xaxis()
        axes.invert_yaxis()
    figure.legend(fontsize="small", frameon=False, loc="outside lower center", ncols=3)
    mark = f"Circled: the worst group's gain over {compared.references[0]} is established."
    return figure_block(
        figure,
        alt=f"Overall and worst-group {about.name} on {test.split}: {'; '.join(values)}.",
        caption=f"Up and right is better; 95 % intervals. {mark if circled else ''}".strip(),
    )


def levels(compared: Compared, test: TestSet, figure: str) -> Any:
    """Return a figure of every method: the mean with its interval, and a dot for every run."""
    names = compared.names
    canvas, axes = figure_axes(1.2 + 0.34 * len(names))
    for y, name in enumerate(names):
        colour = COLOURS[y % len(COLOURS)]
        row = test.figure(name, figure)
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2)
        axes.plot(row["value"], y, "|", color=colour, markersize=14, markeredgewidth=2)
        dots = _runs(test, name, figure)
        axes.plot(dots, np.full(len(dots), y + 0.22), "o", color=colour, markersize=3.5, alpha=0.8)
    if figure != "gap":
        axes.axvline(test.constant[figure], color="#666666", linewidth=1, linestyle=":")
    what = figure_name(compared, figure)
    _rows(axes, names, what)
    values = "; ".join(f"{name} {number(test.figure(name, figure)['value'], 2)}" for name in names)
    return figure_block(
        canvas,
        alt=f"{what} on {test.split}: {values}.",
        caption=f"{capital(what)}: mean, 95 % interval, and every run as a dot.",
    )


def differences(compared: Compared, test: TestSet, figure: str) -> Any:
    """Return a figure's paired differences from every reference, with every seed as a dot.

    Lines are the adjusted intervals; a filled mark is established.
    """
    names = [
        name
        for name in compared.names
        if any(
            test.difference(name, reference, figure) is not None
            for reference in compared.references
        )
    ]
    canvas, axes = figure_axes(1.3 + 0.42 * len(names))
    axes.axvline(0, color="#666666", linewidth=1, linestyle=":")
    values: list[str] = []
    step = 0.36 / max(len(compared.references), 1)
    for r, reference in enumerate(compared.references):
        colour, mark, labelled = COLOURS[r % len(COLOURS)], MARKS[r % len(MARKS)], False
        for k, name in enumerate(names):
            row = test.difference(name, reference, figure)
            if row is None:
                continue
            y = k + step * (2 * r - len(compared.references) + 1)
            axes.plot([row["low_holm"], row["high_holm"]], [y, y], color=colour, linewidth=1.6)
            face = colour if established(row) else "#ffffff"
            label = None if labelled else f"minus {reference}"
            axes.plot(row["difference"], y, mark, color=colour, mfc=face, markersize=6, label=label)
            labelled = True
            dots = (_runs(test, name, figure) - _runs(test, reference, figure)).dropna()
            height = np.full(len(dots), y + 0.5 * step)
            axes.plot(dots, height, ".", color=colour, markersize=4, alpha=0.7)
            values.append(f"{name} minus {reference} {signed(row['difference'], 2)}")
    what = figure_name(compared, figure)
    _rows(axes, names, f"Difference in {what}")
    if names:
        canvas.legend(fontsize="small", frameon=False, loc="outside lower center", ncols=2)
    return figure_block(
        canvas,
        alt=f"Paired differences in {what} on {test.split}: {'; '.join(values)}.",
        caption=f"{capital(what)}: adjusted intervals, a dot per run; a filled mark is "
        "established.",
    )


def learning_curves(compared: Compared) -> list[Any]:
    """Return the losses and validation figures of each experiment by epoch, a line per seed."""
    blocks: list[Any] = []
    table: Any = compared.curves
    for name, part in table.groupby("experiment", sort=False):
        canvas, axes = figure_axes(2.6)
        for k, (what, of) in enumerate(part.groupby("name", sort=False)):
            for s, (_, line) in enumerate(of.groupby("seed")):
                axes.plot(
                    line["epoch"],
                    line["value"],
                    color=COLOURS[k % len(COLOURS)],
                    linewidth=1,
                    marker="." if len(line) < 12 else None,
                    label=what if s == 0 else None,
                )
        axes.set(xlabel="Epoch", ylabel="Mean over the epoch")
        canvas.legend(fontsize="small", frameon=False, loc="outside lower center", ncols=3)
        last = part[part["epoch"] == part["epoch"].max()].groupby("name", sort=False)["value"]
        values = ", ".join(f"{what} {number(value)}" for what, value in last.mean().items())
        blocks.append(
            figure_block(
                canvas, alt=f"Learning curves of {name}; last epoch: {values}.", caption=str(name)
            )
        )
    return blocks


def ranks(compared: Compared, table: Any, critical: float) -> Any:
    """Return mean ranks over several tests with the critical difference as a bar.

    Args:
        compared: What was compared.
        table: ``experiment`` and ``rank``, best first.
        critical: Mean ranks closer than this are not distinguished.
    """
    canvas, axes = figure_axes(1.2 + 0.34 * len(table))
    for y, row in enumerate(table.to_dict("records")):
        axes.plot(row["rank"], y, "o", color=COLOURS[0], markersize=6)
    best = float(table["rank"].min())
    axes.plot([best, best + critical], [-0.7, -0.7], color="#000000", linewidth=3)
    axes.text(best, -0.85, "critical difference", fontsize="small", va="bottom")
    _rows(axes, list(table["experiment"]), f"Mean rank by the worst group's {compared.about.name}")
    axes.set_ylim(len(table) - 0.5, -1.6)
    ranked = zip(table["experiment"], table["rank"], strict=True)
    values = "; ".join(f"{name} {number(rank, 1)}" for name, rank in ranked)
    return figure_block(
        canvas,
        alt=f"Mean ranks: {values}; critical difference {number(critical, 1)}.",
        caption="1 is best. Methods within the bar's length of one another are not distinguished.",
    )


def _runs(test: TestSet, name: str, figure: str) -> Any:
    table: Any = test.runs
    part = table[(table["experiment"] == name) & (table["figure"] == figure)]
    return part.set_index("seed")["value"]


def _rows(axes: Any, names: list[str], label: str) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(label)
