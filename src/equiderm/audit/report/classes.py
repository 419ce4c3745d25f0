"""The report of an audit of several classes: sentences, tables, plots and the page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from equiderm.audit.class_figures import MACRO
from equiderm.audit.confusions import LEAST_CONFUSED, LEAST_OF_CLASS
from equiderm.audit.metrics import HEADLINE, METRICS
from equiderm.audit.report.charts import COLOURS, MARKS, short
from equiderm.audit.report.export import answered_page, small_groups
from equiderm.format import (
    counted,
    listed,
    number,
    of_100,
    p_value,
    per_hundred,
    percent,
    with_interval,
)
from equiderm.page import (
    Section,
    figure_axes,
    figure_block,
    panel_block,
    table_block,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from equiderm.audit.classes import ClassesAudit, ClassFinding
    from equiderm.audit.confusions import Confused

MOST_SHOWN = 12  # confusions in the table
MOST_GROUPS = 8  # drawn
STAR = "a star: the group differs from the others by more than chance explains"
MEANS = {
    "auroc": "Macro AUROC",
    "sensitivity": "Macro sensitivity (balanced accuracy)",
    "specificity": "Macro specificity",
    "f1": "Macro F1",
    "accuracy": "Correct answers",
}


def sentences(audit: ClassesAudit) -> tuple[str, ...]:
    """Return the verdict over all classes and its evidence."""
    lines: list[str] = []
    for by in audit.columns:
        rows = [row for row in audit.findings(by) if row.established]
        means = [row for row in audit.macro_findings(by) if row.established]
        confused = [row for row in audit.confusions(by) if row.established]
        start = f"By {by}: "
        if not (rows or means or confused):
            lines += [start + _nothing_found(audit, by), *_of_small_groups(audit, by)]
            continue
        classes = list(dict.fromkeys(row.name for row in rows))
        if classes:
            named = listed(classes)
            word = "differs" if len(classes) == 1 else "differ"
            lines.append(f"{start}{named} {word} between groups by more than chance explains.")
        else:
            lines.append(f"{start}no single class differs by more than chance explains.")
        lines += [_of_class(row) for row in (*rows[:3], *means[:1])]
        lines += [_of_confusion(row) for row in confused[:3]]
        lines += _of_small_groups(audit, by)
    return (*lines, _against_constant(audit))


def _nothing_found(audit: ClassesAudit, by: str) -> str:
    if audit.can_say(by):
        return (
            "no class, no mean over the classes and no confusion differs between groups by more "
            "than chance explains. That is no proof that none does."
        )
    return (
        "nobody can say whether the classes differ between groups, because fewer than two groups "
        "have enough images of half of the classes or more."
    )


def _of_small_groups(audit: ClassesAudit, by: str) -> list[str]:
    """Return a sentence on the groups with too few images of most classes; none if all have."""
    few, least = audit.too_few(by), audit.options.min_count
    return [small_groups(audit, by, few, least, " of most classes")] if few else []


def _against_constant(audit: ClassesAudit) -> str:
    """Return a sentence on the share of correct answers, beside the best constant answer's."""
    counts = np.bincount(audit.truth, audit.study.weight, minlength=len(audit.classes))
    best = int(counts.argmax())
    constant = float(counts[best] / counts.sum())
    always = f"always answering {audit.classes[best]} would be correct in {of_100(constant)}"
    row = _cells(audit, audit.columns[0])["macro", "accuracy", "overall"]
    if row["missing"]:
        return f"{always[0].upper()}{always[1:]} of 100 images."
    right = per_hundred(row["value"], row["low"], row["high"])
    text = f"Of 100 answers {right} are correct; {always}"
    if row["low"] > constant:
        return f"{text}."
    if row["high"] < constant:
        return f"{text}: the model does worse than that."
    return f"{text}: the model is not established to do better than that."


def _of_class(row: ClassFinding) -> str:
    label = MEANS[row.metric] if row.name == "macro" else METRICS[row.metric].label
    of = "" if row.name == "macro" else f"{row.name}: "
    gap = with_interval(row.difference, row.low, row.high, with_sign=True)
    return (
        f"{of}{label} {number(row.value, 2)} in {row.by} {row.group}, "
        f"{number(row.others_value, 2)} in the others; "
        f"difference {gap}, p {p_value(row.p)} after all adjustments."
    )


def _of_confusion(row: Confused) -> str:
    return (
        f"{row.truth} is taken for {row.answer} in {percent(row.share, 0)} of {row.by} {row.group} "
        f"({row.count} of {row.n}), in {percent(row.others_share, 0)} of the others; p "
        f"{p_value(row.p)} over all confusions and groups."
    )


def summaries(audit: ClassesAudit) -> list[tuple[str, pd.DataFrame]]:
    """Return titles and small tables of text for a terminal."""
    parts: list[tuple[str, pd.DataFrame]] = []
    for by in audit.columns:
        parts.append((f"means over the classes by {by}, with 95 % intervals", _means(audit, by)))
        parts.append((f"each class against the rest by {by}; {STAR}", _classes(audit, by)))
        if audit.confusions(by):
            parts.append((f"confusions that differ most by {by}", _confused(audit, by)))
    return parts


def _groups(audit: ClassesAudit, by: str) -> list[str]:
    part = audit.table[audit.table["by"] == by]
    return list(dict.fromkeys(part["group"]))


def _cells(audit: ClassesAudit, by: str) -> dict[tuple[str, str, str], Any]:
    part = audit.table[audit.table["by"] == by]
    return {(row["class"], row["figure"], row["group"]): row for row in part.to_dict("records")}


def _text(row: Any) -> str:
    return "–" if row["missing"] else with_interval(row["value"], row["low"], row["high"], 2)


def _means(audit: ClassesAudit, by: str) -> pd.DataFrame:
    cells = _cells(audit, by)
    return pd.DataFrame(
        [
            {by: group} | {MEANS[m]: _text(cells["macro", m, group]) for m in MACRO}
            for group in _groups(audit, by)
        ]
    )


def _classes(audit: ClassesAudit, by: str, metrics: Sequence[str] = HEADLINE) -> pd.DataFrame:
    """Return one row per class and figure; a star marks groups that differ beyond chance."""
    cells = _cells(audit, by)
    stars = {(f.name, f.metric, f.group) for f in audit.findings(by) if f.established}
    rows: list[dict[str, str]] = []
    for name in audit.classes:
        for metric in metrics:
            if metric == "auroc" and audit.scores is None:
                continue
            row = {"class": name, "figure": METRICS[metric].label}
            for group in _groups(audit, by):
                star = " *" if (name, metric, group) in stars else ""
                row[group] = _text(cells[name, metric, group]) + star
            rows.append(row)
    return pd.DataFrame(rows)


def _confused(audit: ClassesAudit, by: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "truth": row.truth,
                "answer": row.answer,
                by: row.group,
                "taken for it": f"{row.count} of {row.n} ({percent(row.share, 0)})",
                "others": percent(row.others_share, 0),
                "difference, adjusted": with_interval(
                    row.difference, row.low, row.high, 2, with_sign=True
                ),
                "p, adjusted": p_value(row.p),
            }
            for row in audit.confusions(by)[:MOST_SHOWN]
        ]
    )


def render(audit: ClassesAudit) -> str:
    """Return the report as an HTML page; all text from the input is escaped."""
    sections: list[Section] = []
    for by in audit.columns:
        sections += [_section(audit, by), _confusion_section(audit, by)]
    answer = "the column of the answer" if audit.scores is None else "the highest score"
    method = (
        f"The answer is {answer}. AUROC of a class: its score against all other images. Intervals "
        "and tests are those of an audit of one class; a class's differences are adjusted over its "
        "groups, over AUROC, sensitivity and specificity, and over the classes (Holm); classes, "
        "means and confusions over the three of them (Holm). Means are over the classes of which "
        "every compared group has enough images."
    )
    return answered_page(audit, f", {len(audit.classes)} classes", sections, method)


def _section(audit: ClassesAudit, by: str) -> Section:
    metrics = [m for m in HEADLINE[:2] if m != "auroc" or audit.scores is not None]
    panels = [_dots(audit, by, metric) for metric in metrics]
    left = audit.left_out(by)
    notes = ["A star: chance does not explain that the group differs from the others."]
    if left:
        notes.append(
            f"Not in the means, because a compared group has too few images: {listed(left)}."
        )
    return Section(
        f"Classes by {by}",
        blocks=(
            panel_block(panels),
            table_block(_means(audit, by), caption="Means over the classes, with 95 % intervals"),
            table_block(
                _classes(audit, by), caption="Each class against the rest, with 95 % intervals"
            ),
        ),
        notes=tuple(notes),
    )


def _confusion_section(audit: ClassesAudit, by: str) -> Section:
    groups = _groups(audit, by)[: 1 + MOST_GROUPS]
    blocks: list[Any] = [panel_block([_heat(audit, by, group) for group in groups])]
    if audit.confusions(by):
        blocks.append(table_block(_confused(audit, by), caption="Confusions that differ most"))
    return Section(
        f"Confusions by {by}",
        paragraphs=(
            "Of 100 images of each class (rows), how many get each answer (columns). Boxed: the "
            "group differs from the others by more than chance explains, over all confusions and "
            "groups.",
        ),
        blocks=tuple(blocks),
        notes=(
            f"Confusions of {LEAST_CONFUSED} images or more are compared, in groups with at least "
            f"{LEAST_OF_CLASS} images (and patients) of the class.",
        ),
    )


def _dots(audit: ClassesAudit, by: str, metric: str) -> Any:
    """Return a plot of a figure of every class by group, with intervals."""
    cells, groups = _cells(audit, by), _groups(audit, by)[1 : 1 + MOST_GROUPS]
    names = [*audit.classes, "macro"]
    step = 0.8 / max(len(groups), 1)
    figure, axes = figure_axes(1.2 + len(names) * (0.22 + 0.12 * len(groups)))
    texts: list[str] = []
    for g, group in enumerate(groups):
        colour, label = COLOURS[g % len(COLOURS)], short(group)
        for k, name in enumerate(names):
            row = cells[name, metric, group]
            if row["missing"]:
                continue
            y = k + (g - (len(groups) - 1) / 2) * step
            axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1.5)
            axes.plot(
                row["value"], y, MARKS[g % len(MARKS)], color=colour, markersize=4.5, label=label
            )
            label = "_"
            texts.append(f"{name} {group} {number(row['value'], 2)}")
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.axhline(len(names) - 1.5, color="#999999", linewidth=0.8)
    axes.set_xlabel(METRICS[metric].label)
    if texts:
        figure.legend(
            title=by, frameon=False, loc="outside upper center", ncols=min(len(groups), 4)
        )
    return figure_block(
        figure,
        alt=f"{METRICS[metric].label} of each class by {by}: {'; '.join(texts)}.",
        caption=f"{METRICS[metric].label} of each class against the rest, with 95 % intervals.",
    )


def _heat(audit: ClassesAudit, by: str, group: str) -> Any:
    """Return a plot of the confusion matrix of one group, per 100 images of each class."""
    from matplotlib.patches import Rectangle

    counts = audit.confusion(group, by=by)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(
        100.0 * counts, totals, out=np.full(counts.shape, math.nan), where=totals > 0
    )
    size = len(audit.classes)
    figure, axes = figure_axes(1.1 + 0.42 * size)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    boxed = {
        (row.truth, row.answer)
        for row in audit.confusions(by)
        if row.established and row.group == group
    }
    small = 8 if size <= 8 else 5.5
    for i, truth in enumerate(audit.classes):
        for j, answer in enumerate(audit.classes):
            if shares[i, j] == shares[i, j]:
                colour = "white" if shares[i, j] > 55 else "#222222"
                axes.text(
                    j, i, f"{shares[i, j]:.0f}", ha="center", va="center", fontsize=small,
                    color=colour,
                )  # fmt: skip
            if (truth, answer) in boxed:
                box = (j - 0.47, i - 0.47), 0.94, 0.94
                axes.add_patch(Rectangle(*box, fill=False, edgecolor="#D55E00", linewidth=2))
    names = [short(name, 10) for name in audit.classes]
    axes.set_xticks(range(size), names, rotation=45, ha="right", fontsize=8)
    rows = [f"{name} ({n:,})" for name, n in zip(names, totals[:, 0], strict=True)]
    axes.set_yticks(range(size), rows, fontsize=8)
    axes.set_xlabel("Answer")
    title = "overall" if group == "overall" else f"{by} {group}"
    wrong = 100 * (1 - np.trace(counts) / counts.sum()) if counts.sum() else math.nan
    return figure_block(
        figure,
        alt=f"Confusion of {title}: {wrong:.0f} of 100 answers are wrong.",
        caption=f"{title}: {counted(int(counts.sum()), 'image')}",
    )
