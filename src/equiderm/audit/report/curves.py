"""The curves along a number in the report: what they say in words, pictures, a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from equiderm.audit.metrics import METRICS
from equiderm.audit.report.naming import Naming, naming
from equiderm.format import counted, number, p_value, with_interval
from equiderm.page import PALETTE, Section, figure_axes, figure_block, panel_block, table_block

if TYPE_CHECKING:
    from equiderm.audit.along import Along, Curve
    from equiderm.audit.audit import Audit

SHOWN = 7  # places in the table
DARK = -30  # an ITA below is dark skin: Chardon, Cretois and Hourseau 1991
_ITA = re.compile(r"(?:^|[^a-z])ita(?:$|[^a-z])")


def sections(audit: Audit) -> list[Section]:
    """Return a section for each number that curves were asked for along."""
    return [_section(audit, audit.along(column)) for column in audit.study.numbers]


def sentences(audit: Audit, along: Along) -> list[str]:
    """Return what the curves say, the figures that chance does not explain first."""
    names = naming(audit)
    in_people = sorted(along.curves, key=lambda one: one.metric == "auroc")
    ordered = sorted(in_people, key=lambda one: not one.bends)
    said = [_curve_words(along, one, names) for one in ordered]
    return [*_no_dark_skin(along), *said, _ends(along)]


def table(along: Along) -> pd.DataFrame:
    """Return the three curves at some places, as text."""
    places = np.unique(np.linspace(0, len(along.curves[0].x) - 1, SHOWN).astype(int))
    heads = {one.metric: METRICS[one.metric].label for one in along.curves}
    return pd.DataFrame(
        [
            {along.column: _place(along, float(along.curves[0].x[k]))}
            | {heads[one.metric]: with_interval(*_at_place(one, int(k)), 2) for one in along.curves}
            for k in places
        ]
    )


def _at_place(one: Curve, k: int) -> tuple[float, float, float]:
    """Return value, low and high at a place."""
    return float(one.value[k]), float(one.low[k]), float(one.high[k])


def picture(along: Along, metric: str) -> Any:
    """Return a curve with its band, as a picture block."""
    one, label = along.curve(metric), METRICS[metric].label
    figure, axes = figure_axes(3.1)
    axes.fill_between(one.x, one.low, one.high, color=PALETTE[4], alpha=0.45, linewidth=0)
    axes.plot(one.x, one.value, color=PALETTE[0], linewidth=2.2)
    axes.axhline(one.mean, color="#666666", linewidth=1, linestyle=":")
    axes.set_xlim(one.x[0], one.x[-1])
    bottom = 0.4 if metric == "auroc" and one.low.min() > 0.4 else 0.0
    axes.set(ylabel=label, ylim=(bottom, 1.005), xlabel=_axis(along))
    ends = [f"{_place(along, float(one.x[k]))}: {number(one.value[k], 2)}" for k in (0, 20, -1)]
    return figure_block(
        figure,
        alt=f"{label} along {along.column} with a 95 % band; {'; '.join(ends)}.",
        caption=f"{label} along {along.column}. The band holds the whole curve in 95 of 100 "
        "samples. Dotted: the mean.",
    )


def _section(audit: Audit, along: Along) -> Section:
    return Section(
        f"Performance along {along.column}, without bands",
        paragraphs=tuple(sentences(audit, along)),
        blocks=(
            panel_block([picture(along, one.metric) for one in along.curves]),
            table_block(
                table(along),
                caption=f"Along {along.column}, with bands that hold all places at once; p of a "
                "flat curve, adjusted over the three figures: "
                + ", ".join(
                    f"{METRICS[one.metric].label} {p_value(one.p_adjusted)}" for one in along.curves
                ),
            ),
        ),
        notes=(
            f"Flagged from a score of {audit.options.threshold:g}. Every place is judged by the "
            "images near it, those nearest counting most; images of one patient count together.",
        ),
    )


def is_ita(column: str) -> bool:
    """Return whether a number is ITA, of which the low end is dark skin, by its name."""
    return _ITA.search(column.lower()) is not None


def _axis(along: Along) -> str:
    if is_ita(along.column):
        return f"{along.column}, degrees (left: dark skin)"
    return along.column.replace("$", r"\$")


def _place(along: Along, place: float) -> str:
    """Return a place with the end of the scale that it is, where that has a name."""
    span = along.end - along.start
    digits = max(0, int(np.ceil(1 - np.log10(span)))) if span > 0 else 0
    text = number(place, digits)
    if not is_ita(along.column):
        return text
    end = {along.start: "dark", along.end: "light"}.get(place)
    return f"{text} ({end} end)" if end else text


def _at(along: Along, place: float) -> str:
    """Return a place in a sentence: "at an ITA of -20 (the dark end)"."""
    text = _place(along, place).replace("(dark", "(the dark").replace("(light", "(the light")
    return f"at {'an ITA' if is_ita(along.column) else along.column} of {text}"


def _curve_words(along: Along, one: Curve, names: Naming) -> str:
    """Return what one curve says: both ends, the worst place, and whether chance explains it."""
    start, end = _said(one, 0, names), _short(one, len(one.x) - 1)
    text = f"{_at(along, along.start)} {start}, {_at(along, along.end)} {end}."
    worst = int(np.argmin(one.value))
    inside = 0.1 * len(one.x) < worst < 0.9 * len(one.x)
    if one.bends and inside:
        text += f" It is worst {_at(along, float(one.x[worst]))}: {_short(one, worst)}."
    p = f"(p {_equals(one.p_adjusted)}, allowing for three figures)"
    if one.bends:
        text += f" Chance does not explain that this changes along {along.column} {p}."
    else:
        text += f" Chance alone may explain the difference {p}"
        width = float((one.high - one.low).max())
        text += "; the band says what is left open." if width < 0.2 else (
            f", but the band is up to {round(100 * width)} points wide: this is no evidence that "
            "they are equal."
        )  # fmt: skip
    return text[:1].upper() + text[1:]


def _equals(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _short(one: Curve, k: int) -> str:
    if one.metric == "auroc":
        return with_interval(one.value[k], one.low[k], one.high[k], 2)
    share, low, high = (round(100 * v) for v in (one.value[k], one.low[k], one.high[k]))
    if one.metric == "specificity":
        share, low, high = 100 - share, 100 - high, 100 - low
    return f"{share} of 100 ({low} to {high})"


def _said(one: Curve, k: int, names: Naming) -> str:
    """Return the figure at a place as people say it."""
    if one.metric == "auroc":
        return f"the AUROC is {_short(one, k)}"
    if one.metric == "sensitivity":
        return f"the model finds {_short(one, k).replace(' of 100', f' of 100 {names.positives}')}"
    return f"it raises {_short(one, k).replace(' of', ' false alarms per', 1)}".replace(
        "100 (", f"100 {names.negatives} ("
    )


def _no_dark_skin(along: Along) -> list[str]:
    """Say first where the curves do not reach dark skin."""
    if not is_ita(along.column) or along.start <= DARK:
        return []
    start = _place(along, along.start).split()[0]
    return [
        f"Dark skin was hardly tested: below an ITA of {start} there are "
        f"{counted(along.below, 'image')}, too few for the curves to reach dark skin (an ITA below "
        f"{DARK})."
    ]


def _ends(along: Along) -> str:
    """Return where the curves end and what is said of nobody."""
    start, end = _place(along, along.start), _place(along, along.end)
    text = f"The curves run from {start} to {end}."
    outside = along.below + along.above
    if outside:
        parts = [
            f"{counted(count, 'image')} {where} (as far as {number(far, 0)})"
            for count, where, far in (
                (along.below, "below", along.lowest),
                (along.above, "above", along.highest),
            )
            if count
        ]
        text += f" Of {' and '.join(parts)} nothing is said: too few are near each other there."
    if along.unknown:
        has = "has" if along.unknown == 1 else "have"
        text += f" {counted(along.unknown, 'image')} {has} no {along.column}."
    return text
