"""The report of an audit of a predicted number: sentences, tables, plots and the page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from equiderm.audit.number_figures import OF_NUMBERS
from equiderm.audit.report.charts import short
from equiderm.audit.report.classes import STAR
from equiderm.audit.report.export import answered_page, small_groups
from equiderm.format import count, listed, number, p_equals, p_value, with_interval
from equiderm.page import (
    PALETTE,
    Section,
    figure_axes,
    figure_block,
    panel_block,
    table_block,
)

if TYPE_CHECKING:
    from equiderm.audit.differences import Compared
    from equiderm.audit.number import NumberAudit

NAMES = {
    "mean_absolute_error": "Mean absolute error",
    "bias": "Bias (predicted minus true)",
    "spearman": "Spearman's correlation",
}
_BETTER = {"mean_absolute_error": -1, "bias": 0, "spearman": 1}
MOST_NAMED = 6  # groups in a sentence
MOST_FOUND = 4  # differences in a sentence each


def _digits(audit: NumberAudit, metric: str = "bias") -> int:
    """Return the decimals that show a typical error to three digits."""
    size = float(np.abs(audit.predicted - audit.truth).mean())
    if metric == "spearman" or not size > 0:
        return 2
    return min(max(2 - math.floor(math.log10(size)), 0), 12)


def sentences(audit: NumberAudit) -> tuple[str, ...]:
    """Return the verdict by each column and its evidence."""
    lines: list[str] = []
    for by in audit.columns:
        lines += _verdict(audit, by)
        if few := audit.too_few(by):
            lines.append(small_groups(audit, by, few, audit.least))
    return (*lines, *_against_constants(audit))


def _verdict(audit: NumberAudit, by: str) -> list[str]:
    rows = [row for row in audit.findings(by) if row.established]
    if not audit.can_say(by):
        return [
            f"By {by}: nobody can say whether the error differs between groups, because fewer than "
            f"two groups have {audit.least} images (and patients) or more whose errors differ."
        ]
    if rows:
        worse = [row for row in rows if row.difference * _BETTER[row.metric] <= 0] or rows
        # Of two groups both differences are the same, up to the sign: the one further off is named.
        worse.sort(key=lambda row: abs(row.estimate.value))
        named = {(row.metric, abs(row.difference)): row for row in worse}
        ranked = sorted(named.values(), key=lambda row: (OF_NUMBERS.index(row.metric), row.p))
        (first, evidence), *more = [_of_row(audit, row) for row in ranked[:MOST_FOUND]]
        return [
            f"In {by} {first}: more than chance explains.",
            f"{evidence[0].upper()}{evidence[1:]}.",
            *(f"In {by} {text}; {why}." for text, why in more),
        ]
    sizes = [
        f"{number(size, _digits(audit))} in {by} {group}"
        for group, size in audit.noticed(by).items()
        if size == size
    ]
    proof = "That is no proof that none does"
    if sizes:
        proof += f": a mean absolute error larger by {listed(sizes, most=MOST_NAMED)} than that of "
        proof += "the others would be found in 80 of 100 such tables"
    return [
        f"By {by}: neither mean absolute error nor bias nor Spearman's correlation differs between "
        "groups by more than chance explains.",
        f"{proof}.",
    ]


def _of_row(audit: NumberAudit, row: Compared) -> tuple[str, str]:
    """Return what differs in a group, and the evidence, without the full stops."""
    digits = _digits(audit, row.metric)
    ends = row.difference, row.low_adjusted, row.high_adjusted
    gap = f"difference {with_interval(*ends, digits, with_sign=True)}"
    own, others = (part.value for part in (row.estimate, row.other))
    if row.metric == "bias":
        own, others = (
            f"{number(abs(value), digits)} too {'high' if value > 0 else 'low'}"
            for value in (own, others)
        )
        text = f"predicted {audit.target} is {own} on average, in the others {others}"
    elif row.metric == "spearman":
        own, others = (number(value, digits) for value in (own, others))
        text = f"predicted and true {audit.target} have a rank correlation of {own}, in the others "
        text += others
        gap += " (it also falls where the true numbers lie closer together)"
    else:
        own, others = (number(value, digits) for value in (own, others))
        text = f"predicted {audit.target} is off by {own} on average, in the others by {others}"
    unit = "" if row.metric == "spearman" else f" in the unit of {audit.target}"
    p = f"p {p_equals(row.p_adjusted)} over all groups and figures"
    return f"{row.group} {text}", f"{gap}{unit}, {p}"


def _against_constants(audit: NumberAudit) -> list[str]:
    """Return a sentence on the error beside the best constant answer's; one on groups, if any."""
    digits = _digits(audit)
    _, low, high = audit.against_constant()
    table = audit.table[audit.table["figure"] == OF_NUMBERS[0]]
    row = table[table["group"] == "overall"].iloc[0]
    median = number(float(np.median(audit.truth)), digits)
    error = with_interval(row["value"], row["low"], row["high"], digits)
    if row["missing"]:
        error = number(float(np.abs(audit.predicted - audit.truth).mean()), digits)
    text = (
        f"Predictions are off by {error} on average; "
        f"always answering the median, {median}, would be off by {number(row['constant'], digits)}"
    )
    if low > 0:
        text += ": the model does worse than that"
    elif not high < 0:
        text += ": the model is not established to do better than that"
    lines = [f"{text}."]
    groups = table[table["group"] != "overall"]
    for by in audit.columns:
        part = groups[(groups["by"] == by) & (groups["value"] >= groups["own_constant"])]
        if len(part):
            lines.append(
                f"In {by} {listed(part['group'], most=MOST_NAMED)} predictions are no closer than "
                "always answering that group's own median."
            )
    return lines


def _table(audit: NumberAudit, by: str) -> pd.DataFrame:
    """Return a row per group; a star marks figures that differ beyond chance."""
    part = audit.table[audit.table["by"] == by]
    stars = {(row.group, row.metric) for row in audit.findings(by) if row.established}
    rows: list[dict[str, str]] = []
    for group, figures in part.groupby("group", sort=False):
        first = figures.iloc[0]
        row = {by: str(group), "images": count(first["n"])}
        if audit.patients is not None:
            row["patients"] = count(first["patients"])
        for figure in figures.to_dict("records"):
            digits = _digits(audit, figure["figure"])
            text = with_interval(
                figure["value"], figure["low"], figure["high"], digits, why=figure["missing"]
            )
            row[NAMES[figure["figure"]]] = text + " *" * ((group, figure["figure"]) in stars)
        row["error of the median of all"] = number(first["constant"], _digits(audit))
        row["error of the group's median"] = number(first["own_constant"], _digits(audit))
        rows.append(row)
    return pd.DataFrame(rows)


def _differences(audit: NumberAudit, by: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                by: row.group,
                "figure": NAMES[row.metric],
                "group": number(row.estimate.value, _digits(audit, row.metric)),
                "others": number(row.other.value, _digits(audit, row.metric)),
                "difference, adjusted": with_interval(
                    row.difference,
                    row.low_adjusted,
                    row.high_adjusted,
                    _digits(audit, row.metric),
                    with_sign=True,
                ),
                "p, adjusted": p_value(row.p_adjusted),
            }
            for row in audit.findings(by)
        ]
    )


def summaries(audit: NumberAudit) -> list[tuple[str, pd.DataFrame]]:
    """Return titles and small tables of text for a terminal."""
    return [part for by in audit.columns for part in _frames(audit, by)]


def _frames(audit: NumberAudit, by: str) -> list[tuple[str, pd.DataFrame]]:
    unit = f"in the unit of {audit.target}"
    title = f"errors by {by}, {unit}, with 95 % intervals; {STAR}"
    parts = [(title, _table(audit, by))]
    if audit.findings(by):
        parts.append((f"each group minus the others, by {by}", _differences(audit, by)))
    return parts


def render(audit: NumberAudit) -> str:
    """Return the report as an HTML page; all text from the input is escaped."""
    sections: list[Section] = []
    for by in audit.columns:
        plots = [_dots(audit, by, metric) for metric in OF_NUMBERS[:2]]
        tables = (table_block(frame, caption=title) for title, frame in _frames(audit, by))
        sections.append(Section(f"By {by}", blocks=(panel_block(plots), *tables)))
    method = (
        f"Errors are predicted minus true, in the unit of {audit.target}. A patient's images are "
        "one cluster. Intervals are Student's, of the mean absolute error on the logarithm, of the "
        "correlation on Fisher's scale. Differences of a group from the others are adjusted over "
        "the groups and over the three figures, in steps: an interval excludes 0 exactly where its "
        "p is below 0.05. The best constant answer is the median."
    )
    return answered_page(audit, "", sections, method)


def _dots(audit: NumberAudit, by: str, metric: str) -> Any:
    """Return a plot of a figure by group, with intervals."""
    part = audit.table[(audit.table["by"] == by) & (audit.table["figure"] == metric)]
    rows = [row for row in part.to_dict("records") if not row["missing"]]
    figure, axes = figure_axes(1.2 + 0.3 * len(rows))
    for y, row in enumerate(rows):
        axes.plot([row["low"], row["high"]], [y, y], color=PALETTE[0], linewidth=1.5)
        axes.plot(row["value"], y, "o", color=PALETTE[0], markersize=5)
        axes.plot(row["own_constant"], y, "|", color="#777777", markersize=11)
    axes.set_yticks(range(len(rows)), [f"{short(row['group'])} ({row['n']:,})" for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(f"{NAMES[metric]}, in the unit of {short(audit.target)}")
    digits = _digits(audit)
    texts = "; ".join(f"{row['group']} {number(row['value'], digits)}" for row in rows)
    return figure_block(
        figure,
        alt=f"{NAMES[metric]} by {by}: {texts}.",
        caption=f"{NAMES[metric]} with 95 % intervals; the grey line: always the group's median.",
    )
