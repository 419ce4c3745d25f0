"""Plots of the report: forest, ROC, calibration, and the gap against chance.

Each is small enough for a telephone; groups differ by colour and by line or marker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.calibration import calibration_edges
from equiderm.audit.gaps import null_spread
from equiderm.audit.metrics import METRICS
from equiderm.audit.report.naming import naming
from equiderm.format import number
from equiderm.page import PALETTE, figure_axes, figure_block

if TYPE_CHECKING:
    from equiderm.audit.audit import Audit
    from equiderm.audit.comparison import Comparison
    from equiderm.audit.gaps import Gap
    from equiderm.audit.groups import ByGroup

MOST_LINES = 7
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
COLOURS = tuple(colour for colour in PALETTE if colour != "#F0E442")  # too pale for a line


def short(text: str, most: int = 24) -> str:
    """Return a label shortened to fit an axis, with mathematical markup escaped."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return cut.replace("$", r"\$")


def forest(audit: Audit, by: str, metric: str) -> Any:
    """Return a forest plot of a figure overall and by group, with intervals."""
    results, shown = audit.results[by], naming(audit, by).shown
    names = ["overall", *results.grouping.labels]
    figures = [results.figure(metric, name) for name in names]
    figure, axes = figure_axes(1.1 + 0.32 * len(names))
    overall = figures[0]
    if not overall.why:
        axes.axvline(overall.value, color="#666666", linewidth=1, linestyle=":")
    for k, (name, value) in enumerate(zip(names, figures, strict=True)):
        if value.why:
            axes.text(0.02, k, "too few", transform=axes.get_yaxis_transform(), va="center")
            continue
        colour = "#000000" if name == "overall" else PALETTE[0]
        axes.plot([value.low, value.high], [k, k], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(value.value, k, "D" if name == "overall" else "o", color=colour, markersize=6)
    axes.set_yticks(range(len(names)), [short(shown(name)) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(METRICS[metric].label)
    values = "; ".join(
        f"{shown(name)} missing" if value.why else f"{shown(name)} {number(value.value, 2)}"
        for name, value in zip(names, figures, strict=True)
    )
    return figure_block(
        figure,
        alt=f"Forest plot of {METRICS[metric].label} by {results.grouping.name}: {values}.",
        caption=f"{METRICS[metric].label}, with 95 % intervals. Dotted: overall.",
    )


def _drawn(results: ByGroup) -> list[tuple[str, Any]]:
    """Return the groups to draw: those with an AUROC, only the largest if there are too many."""
    kept = results.compared("auroc")
    rows = dict(zip(results.grouping.labels, results.groups, strict=True))
    largest = sorted(kept, key=lambda name: -len(rows[name]))[:MOST_LINES]
    return [(name, rows[name]) for name in kept if name in largest]


def roc(audit: Audit, by: str) -> Any:
    """Return a plot of the ROC curves by group."""
    results, shown = audit.results[by], naming(audit, by).shown
    from sklearn.metrics import roc_curve

    figure, axes = figure_axes(4.9)
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    study, drawn = results.study, _drawn(results)
    values: list[str] = []
    for k, (name, rows) in enumerate(drawn):
        weight = study.weight_of(rows)
        x, y, _ = roc_curve(study.target[rows], study.score[rows], sample_weight=weight)
        keep = _thin(len(x))
        value = number(results.figure("auroc", name).value, 2)
        axes.plot(
            x[keep], y[keep], color=COLOURS[k], linestyle=_LINES[k], linewidth=1.8,
            label=f"{short(shown(name))}: {value}",
        )  # fmt: skip
        values.append(f"{shown(name)} {value}")
    axes.set(xlabel="1 - specificity", ylabel="Sensitivity", xlim=(0, 1), ylim=(0, 1.005))
    axes.set_aspect("equal")
    if drawn:
        axes.legend(title="AUROC", frameon=False, loc="lower right")
    return figure_block(
        figure,
        alt=f"ROC curves by {results.grouping.name}; AUROC: {', '.join(values)}.",
        caption=_only(results, drawn) + "Higher and further left is better; grey is chance.",
    )


def _thin(points: int, most: int = 1500) -> Any:
    return np.unique(np.linspace(0, points - 1, min(points, most)).astype(int))


def _only(results: ByGroup, drawn: list[tuple[str, Any]]) -> str:
    left = len(results.compared("auroc")) - len(drawn)
    return f"The {MOST_LINES} largest groups; {left} more are in the tables. " if left else ""


def calibration(audit: Audit, by: str) -> Any:
    """Return a plot of observed share against mean score in bins of equal counts, by group."""
    results, shown = audit.results[by], naming(audit, by).shown
    figure, axes = figure_axes(4.9)
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    study, drawn = results.study, _drawn(results)
    top = 0.0
    for k, (name, rows) in enumerate(drawn):
        score, target = study.score[rows], study.target[rows]
        weight = study.weight_of(rows)
        bin_of = np.searchsorted(-calibration_edges(score, weight), -score, "left")
        weight = np.ones(len(rows)) if weight is None else weight
        size = np.bincount(bin_of, weights=weight)
        mean = np.bincount(bin_of, weights=weight * score) / size
        share = np.bincount(bin_of, weights=weight * target) / size
        top = max(top, float(mean.max()), float(share.max()))
        axes.plot(
            mean, share, color=COLOURS[k], linestyle=_LINES[k], marker=MARKS[k], markersize=5,
            linewidth=1.2, label=short(shown(name)),
        )  # fmt: skip
    end = min(1.0, 1.05 * top) if drawn else 1.0
    axes.set(
        xlabel="Mean score", ylabel="Observed share of positives", xlim=(0, end), ylim=(0, end)
    )
    axes.set_aspect("equal")
    if drawn:
        axes.legend(frameon=False, loc="upper left")
    return figure_block(
        figure,
        alt=f"Calibration by {results.grouping.name}: observed share of positives against mean "
        "score, in up to ten bins per group; the table below gives error and slope.",
        caption=_only(results, drawn) + "On the grey line a score of 0.2 means 20 of 100; below "
        "it the scores are too high.",
    )


def chance(audit: Audit, gap: Gap) -> Any:
    """Return a histogram of the gaps that chance gives, with the observed gap marked."""
    results = audit.results[gap.by]
    figure, axes = figure_axes(3.0)
    axes.hist(null_spread(results, gap.metric), bins=40, color=PALETTE[4], edgecolor="white")
    axes.axvline(gap.value, color=PALETTE[1], linewidth=2.5)
    axes.text(
        gap.value, 1.02, "observed", color="#8a3d00", ha="center", va="bottom",
        transform=axes.get_xaxis_transform(),
    )  # fmt: skip
    axes.set(xlabel=f"Gap of {METRICS[gap.metric].label}", ylabel="Draws")
    axes.set_xlim(left=0)
    return figure_block(
        figure,
        alt=f"Histogram of the gap in {METRICS[gap.metric].label} of groups that do not differ, "
        f"mean {number(gap.null_mean, 2)}, 95 % below {number(gap.null_95, 2)}; observed "
        f"{number(gap.value, 2)}.",
        caption="Blue: gaps of groups of these sizes that do not differ.",
    )


def paired_forest(comparison: Comparison, by: str, metric: str) -> Any:
    """Return a forest plot of the paired differences A minus B by group."""
    table: Any = comparison.table
    part = table[(table["by"] == by) & (table["figure"] == metric) & (table["group"] != "gap")]
    rows: list[dict[str, Any]] = part.to_dict("records")
    figure, axes = figure_axes(1.1 + 0.32 * len(part))
    axes.axvline(0, color="#666666", linewidth=1, linestyle=":")
    values: list[str] = []
    for k, row in enumerate(rows):
        if row["difference"] != row["difference"]:
            axes.text(0.02, k, "too few", transform=axes.get_yaxis_transform(), va="center")
            continue
        axes.plot([row["low_holm"], row["high_holm"]], [k, k], color=PALETTE[0], linewidth=2)
        axes.plot(row["difference"], k, "o", color=PALETTE[0], markersize=6)
        values.append(f"{row['group']} {number(row['difference'], 2)}")
    shown = naming(comparison.a, by).shown
    axes.set_yticks(range(len(part)), [short(shown(str(name))) for name in part["group"]])
    axes.set_ylim(len(part) - 0.5, -0.5)
    axes.set_xlabel(f"{METRICS[metric].label}, A minus B")
    return figure_block(
        figure,
        alt=f"Paired differences of {METRICS[metric].label} by {by}: {'; '.join(values)}.",
        caption=f"{METRICS[metric].label} of A minus B, same images, adjusted 95 % intervals.",
    )
