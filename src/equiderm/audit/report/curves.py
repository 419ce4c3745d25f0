"""The report on curves along a number: sentences, plots and a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from equiderm.audit.metrics import METRICS
from equiderm.audit.report.naming import Naming, naming
from equiderm.format import counted, number, p_equals, p_value, with_interval
from equiderm.page import PALETTE, Section, figure_axes, figure_block, panel_block, table_block

if TYPE_CHECKING:
    from equiderm.audit.along import Along, Curve
    from equiderm.audit.audit import Audit

SHOWN = 7  # places in the table
DARK = -30  # ITA in degrees below which skin is dark: Chardon, Cretois and Hourseau 1991
_ITA = re.compile(r"(?:^|[^a-z])ita(?:$|[^a-z])")


def sections(audit: Audit) -> list[Section]:
    """Return one section per number along which curves were requested."""
    return [_section(audit, audit.along(column)) for column in audit.study.numbers]


def sentences(audit: Audit, along: Along) -> list[str]:
    """Return sentences on the curves, those that bend beyond chance first, AUROC last."""
    names = naming(audit)
    ordered = sorted(along.curves, key=lambda curve: (not curve.bends, curve.metric == "auroc"))
    texts = [_curve_words(along, curve, names) for curve in ordered]
    return [*_no_dark_skin(along), *texts, _ends(along)]


def table(along: Along) -> pd.DataFrame:
    """Return the three curves at `SHOWN` places, as text."""
    places = np.unique(np.linspace(0, len(along.curves[0].x) - 1, SHOWN).astype(int))
    heads = {curve.metric: METRICS[curve.metric].label for curve in along.curves}
    return pd.DataFrame(
        [
            {along.column: _place(along, float(along.curves[0].x[k]))}
            | {heads[c.metric]: with_interval(*_at_place(c, int(k)), 2) for c in along.curves}
            for k in places
        ]
    )


def _at_place(curve: Curve, k: int) -> tuple[float, float, float]:
    """Return value, low and high at place ``k``."""
    return float(curve.value[k]), float(curve.low[k]), float(curve.high[k])


def picture(along: Along, metric: str) -> Any:
    """Return a plot of a curve with its band."""
    curve, label = along.curve(metric), METRICS[metric].label
    figure, axes = figure_axes(3.1)
    axes.fill_between(curve.x, curve.low, curve.high, color=PALETTE[4], alpha=0.45, linewidth=0)
    axes.plot(curve.x, curve.value, color=PALETTE[0], linewidth=2.2)
    axes.axhline(curve.mean, color="#666666", linewidth=1, linestyle=":")
    axes.set_xlim(curve.x[0], curve.x[-1])
    bottom = 0.4 if metric == "auroc" and curve.low.min() > 0.4 else 0.0
    axes.set(ylabel=label, ylim=(bottom, 1.005), xlabel=_axis(along))
    ends = [f"{_place(along, float(curve.x[k]))}: {number(curve.value[k], 2)}" for k in (0, 20, -1)]
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
            panel_block([picture(along, curve.metric) for curve in along.curves]),
            table_block(
                table(along),
                caption=f"Along {along.column}, with bands that hold all places at once; p of a "
                "flat curve, adjusted over the three figures: "
                + ", ".join(
                    f"{METRICS[c.metric].label} {p_value(c.p_adjusted)}" for c in along.curves
                ),
            ),
        ),
        notes=(
            f"Flagged from a score of {audit.options.threshold:g}. Each place is estimated from "
            "the images near it, weighted by distance; intervals allow for images of one patient.",
        ),
    )


def is_ita(column: str) -> bool:
    """Return whether a column is ITA, whose low end is dark skin, by its name."""
    return _ITA.search(column.lower()) is not None


def _axis(along: Along) -> str:
    if is_ita(along.column):
        return f"{along.column}, degrees (left: dark skin)"
    return along.column.replace("$", r"\$")


def _place(along: Along, place: float) -> str:
    """Return a place as text; at the end of an ITA curve with "(dark end)" or "(light end)"."""
    span = along.end - along.start
    digits = max(0, int(np.ceil(1 - np.log10(span)))) if span > 0 else 0
    text = number(place, digits)
    if not is_ita(along.column):
        return text
    end = {along.start: "dark", along.end: "light"}.get(place)
    return f"{text} ({end} end)" if end else text


def _at(along: Along, place: float) -> str:
    """Return a place for a sentence: "at an ITA of -20 (the dark end)"."""
    text = _place(along, place).replace("(dark", "(the dark").replace("(light", "(the light")
    return f"at {'an ITA' if is_ita(along.column) else along.column} of {text}"


def _curve_words(along: Along, curve: Curve, names: Naming) -> str:
    """Return sentences on one curve: both ends, the worst place, whether chance explains it."""
    start, end = _words(curve, 0, names), _short(curve, len(curve.x) - 1)
    text = f"{_at(along, along.start)} {start}, {_at(along, along.end)} {end}."
    worst = int(np.argmin(curve.value))
    inside = 0.1 * len(curve.x) < worst < 0.9 * len(curve.x)
    if curve.bends and inside:
        text += f" It is worst {_at(along, float(curve.x[worst]))}: {_short(curve, worst)}."
    p = f"(p {p_equals(curve.p_adjusted)}, allowing for three figures)"
    if curve.bends:
        text += f" Chance does not explain that this changes along {along.column} {p}."
    else:
        text += f" Chance alone may explain the difference {p}"
        width = float((curve.high - curve.low).max())
        text += "; the band shows which differences remain possible." if width < 0.2 else (
            f", but the band is up to {round(100 * width)} points wide: this is no evidence that "
            "they are equal."
        )  # fmt: skip
    return text[:1].upper() + text[1:]


def _short(curve: Curve, k: int) -> str:
    value, low, high = _at_place(curve, k)
    if curve.metric == "auroc":
        return with_interval(value, low, high, 2)
    share, low, high = (round(100 * v) for v in (value, low, high))
    if curve.metric == "specificity":
        share, low, high = 100 - share, 100 - high, 100 - low
    return f"{share} of 100 ({low} to {high})"


def _words(curve: Curve, k: int, names: Naming) -> str:
    """Return the figure at place ``k`` as a clause."""
    text = _short(curve, k)
    if curve.metric == "auroc":
        return f"the AUROC is {text}"
    if curve.metric == "sensitivity":
        return f"the model finds {text.replace(' of 100', f' of 100 {names.positives}')}"
    return f"it raises {text.replace(' of', ' false alarms per', 1)}".replace(
        "100 (", f"100 {names.negatives} ("
    )


def _no_dark_skin(along: Along) -> list[str]:
    """Return a sentence if the curves of ITA do not reach dark skin."""
    if not is_ita(along.column) or along.start <= DARK:
        return []
    start = _place(along, along.start).split()[0]
    return [
        f"Dark skin was hardly tested: below an ITA of {start} there are "
        f"{counted(along.below, 'image')}, too few for the curves to reach dark skin (an ITA below "
        f"{DARK})."
    ]


def _ends(along: Along) -> str:
    """Return sentences on the ends of the curves and the images beyond them."""
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
        text += f" Nothing is said about {' and '.join(parts)}, where images are too few."
    if along.unknown:
        has = "has" if along.unknown == 1 else "have"
        text += f" {counted(along.unknown, 'image')} {has} no {along.column}."
    return text
