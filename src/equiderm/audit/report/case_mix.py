"""The report on groups at equal case mix: sentences, plots and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm.audit.metrics import HEADLINE, METRICS
from equiderm.audit.report.naming import Naming, naming
from equiderm.format import counted, listed, number, p_equals, p_value, with_interval
from equiderm.page import PALETTE, Section, figure_axes, figure_block, panel_block, table_block
from equiderm.statistics.intervals import ALPHA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from equiderm.audit.adjust import Adjusted, Row, Side
    from equiderm.audit.audit import Audit

MOST_KINDS = 6  # of images, that a sentence names


def sections(audit: Audit) -> list[Section]:
    """Return one section per group column, if a case mix was requested."""
    return [_section(audit, by) for by in audit.columns if audit.study.mix]


def sentences(audit: Audit, adjusted: Adjusted) -> list[str]:
    """Return for each figure whether case mix explains its gap, then what was left out."""
    names = naming(audit, adjusted.by)
    mix = listed(adjusted.columns)
    texts = [_figure_words(adjusted, metric, names, mix) for metric in HEADLINE[1:] + HEADLINE[:1]]
    return [*(text for text in texts if text), *_left_out(adjusted, names)]


def table(audit: Audit, adjusted: Adjusted) -> pd.DataFrame:
    """Return every group as it is and at equal mix, as text."""
    names = naming(audit, adjusted.by)
    rows: list[dict[str, str]] = []
    for row in adjusted.rows:
        line = {"figure": METRICS[row.figure].label, names.heading: names.shown(row.group)}
        for title, side in (("as it is", row.raw), ("at equal mix", row.adjusted)):
            line[title] = with_interval(side.value, side.low, side.high, 2)
            line[f"{title}: minus others"] = with_interval(
                side.difference, side.low_adjusted, side.high_adjusted, 2, with_sign=True
            )
            line[f"p, {title}"] = p_value(side.p_adjusted)
        size = f"{row.images:,} ({number(row.effective_n, 0)})"
        rows.append(line | {"images (effective n)": "not adjusted" if row.missing else size})
    return pd.DataFrame(rows)


def picture(audit: Audit, adjusted: Adjusted, metric: str) -> Any:
    """Return a plot of each group minus the others, as it is and at equal mix."""
    from equiderm.audit.report.charts import short

    names, label = naming(audit, adjusted.by), METRICS[metric].label
    rows = [row for row in adjusted.rows if row.figure == metric]
    figure, axes = figure_axes(1.3 + 0.42 * len(rows))
    axes.axvline(0, color="#666666", linewidth=1, linestyle=":")
    values: list[str] = []
    for k, row in enumerate(rows):
        for side, off, mark, colour in (
            (row.raw, -0.14, "o", "#777777"),
            (row.adjusted, 0.14, "s", PALETTE[0]),
        ):
            if side.difference == side.difference:
                ends = [side.low_adjusted, side.high_adjusted]
                axes.plot(ends, [k + off] * 2, color=colour, linewidth=2)
                axes.plot(side.difference, k + off, mark, color=colour, markersize=6)
            elif side is row.adjusted:
                axes.text(0.02, k + off, "cannot be adjusted", va="center", fontsize=8,
                          transform=axes.get_yaxis_transform())  # fmt: skip
        pair = (number(side.difference, 2) for side in (row.raw, row.adjusted))
        values.append(f"{names.shown(row.group)} {' and '.join(pair)}")
    axes.set_yticks(range(len(rows)), [short(names.shown(row.group)) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"{label}, minus others")
    return figure_block(
        figure,
        alt=f"{label} of each group minus the others, as it is and at equal mix: "
        f"{'; '.join(values)}.",
        caption=f"{label}, minus others. Grey circle: as it is. Blue square: at equal mix.",
    )


def _section(audit: Audit, by: str) -> Section:
    adjusted = audit.adjusted(by)
    return Section(
        f"The gap at equal {listed(adjusted.columns)}: by {naming(audit, by).heading}",
        paragraphs=tuple(sentences(audit, adjusted)),
        blocks=(
            panel_block([picture(audit, adjusted, metric) for metric in HEADLINE]),
            table_block(
                table(audit, adjusted),
                caption="Every group as it is, and with its positives and negatives weighted to "
                "the mix of all groups; differences and p adjusted over the groups and the three "
                "figures",
            ),
        ),
        notes=(
            "Only the named columns are held equal, each by itself: groups may differ in anything "
            "else.",
        ),
    )


def _figure_words(adjusted: Adjusted, metric: str, names: Naming, mix: str) -> str:
    """Return sentences on one figure's gap as it is, at equal mix, and what that means."""
    rows = [row for row in adjusted.rows if row.figure == metric]
    compared = [row for row in rows if row.raw.difference == row.raw.difference]
    if not compared:
        return ""
    better = METRICS[metric].better or 1

    def rank(row: Row) -> tuple[bool, bool, float]:
        worse = row.raw.difference * better < 0
        return row.raw.p_adjusted >= ALPHA, not worse, row.raw.p_adjusted

    row = min(compared, key=rank)
    at, rest = names.at(row.group), names.at_rest(row.group)
    before = (
        f"{at[:1].upper()}{at[1:]} {_words(metric, row.raw, names)}, {rest} "
        f"{_shown(metric, row.raw.others)}"
    )
    if row.missing:
        return f"{before} (p {p_equals(row.raw.p_adjusted)}). It cannot be adjusted (see below)."
    after = (
        f"At equal {mix} it would be {_shown(metric, row.adjusted.value)} and "
        f"{_shown(metric, row.adjusted.others)}: {_difference(metric, row.adjusted)}"
    )
    p = f"{p_value(row.raw.p_adjusted)} as it is, {p_value(row.adjusted.p_adjusted)} at equal mix"
    was, stays = (side.p_adjusted < ALPHA for side in (row.raw, row.adjusted))
    meaning = {
        (True, True): "Chance does not explain what remains",
        (True, False): "What remains may be chance",
        (False, True): "The case mix hid a difference that chance does not explain",
        (False, False): "No difference is established, with or without it",
    }[was, stays]
    return f"{before}. {after}. {meaning} (p {p})."


def _words(metric: str, side: Side, names: Naming) -> str:
    value = _shown(metric, side.value)
    if metric == "auroc":
        return f"the AUROC is {value}"
    if metric == "sensitivity":
        return f"the model finds {value} of 100 {names.positives}"
    return f"it raises {value} false alarms per 100 {names.negatives}"


def _shown(metric: str, value: float) -> str:
    """Return a figure as text, out of 100 if it is a share; false alarms for specificity."""
    if metric == "auroc":
        return number(value, 2)
    return f"{round(100 * (1 - value if metric == 'specificity' else value))}"


def _difference(metric: str, side: Side) -> str:
    """Return a difference with its interval, out of 100 if the figure is a share."""
    if metric == "auroc":
        ends = side.low_adjusted, side.high_adjusted
        return with_interval(side.difference, *ends, 2, with_sign=True)
    sign = -1 if metric == "specificity" else 1
    ends = sorted((sign * side.low_adjusted, sign * side.high_adjusted), key=abs)
    near, far = ends if ends[0] * ends[1] > 0 else sorted(ends)
    if near * far > 0:
        within = f"{abs(round(100 * near))} to {_more(far)}"
    else:
        within = f"{_more(near)} to {_more(far)}"
    value = int(_shown(metric, side.value)) - int(
        _shown(metric, side.others)
    )  # of the numbers as written
    return f"{_more(value / 100) if value else 'as many'} (interval {within})"


def _more(difference: float) -> str:
    return f"{abs(round(100 * difference))} {'fewer' if difference < 0 else 'more'}"


def _called(group: str, names: Naming) -> str:
    return f"{names.noun} {group}" if names.is_tone and group.isdigit() else group


def _left_out(adjusted: Adjusted, names: Naming) -> Iterator[str]:
    """Yield sentences on what was left out for lack of overlap: kinds, groups, images."""
    counts = [f"{adjusted.kept[k]:,} of {adjusted.total[k]:,} {k}" for k in adjusted.total]
    if adjusted.kept == adjusted.total and not adjusted.left_out:
        yield f"All groups overlap: behind the adjusted figures are {' and '.join(counts)}."
        return
    yield f"Behind the adjusted figures are {' and '.join(counts)}."
    kinds: dict[tuple[str, str, str], list[str]] = {}
    images: dict[tuple[str, str, str], int] = {}
    for thin in adjusted.thin:
        key = thin.among, thin.column, thin.level
        kinds.setdefault(key, []).append(f"{_called(thin.group, names)} has {thin.count}")
        images[key] = thin.images
    if kinds:
        shown = [
            f"{images[key]:,} {key[0]} with {key[1]} {key[2]} ({listed(groups, most=3)})"
            for key, groups in list(kinds.items())[:MOST_KINDS]
        ]
        more = len(kinds) - len(shown)
        rest = f"; and {counted(more, 'kind')} more, in the JSON" if more else ""
        yield f"Left out for all groups, because a group has too few: {'; '.join(shown)}{rest}."
    for out in adjusted.left_out:
        thing = names.thing(out.group)
        yield f"{thing[:1].upper()}{thing[1:]} cannot be adjusted among {out.among}: {out.reason}."
