"""The printed summary of an agreement, and its offline page with plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from equiderm.agreement.agreement import Agreement
from equiderm.agreement.confusion import FIGURES, dark_types
from equiderm.agreement.distributions import DistributionQuality
from equiderm.agreement.labelings import Pair
from equiderm.format import count, interval, number, percent, signed, with_interval
from equiderm.page import PALETTE, Section, figure_block, new_figure, render_page, table_block

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NUMBERS = ("mean_absolute_error", "kappa", "spearman")
INTERVAL = "95 % interval"


def figure_text(name: str, value: float) -> str:
    """Return a figure as text: shares in per cent, the rest with three digits."""
    return number(value) if name in _NUMBERS else percent(value)


def _span(name: str, low: float, high: float) -> str:
    shares = name not in _NUMBERS
    return interval(low, high, 1 if shares else 3, as_percent=shares)


def figure_table(agreement: Agreement) -> pd.DataFrame:
    """Return the printed table, one row per figure: interval, best constant, second rater."""
    dark = dark_types(agreement.types)
    span = "-".join(dict.fromkeys((str(dark[0]), str(dark[-1]))))
    rows: list[dict[str, str]] = []
    for name, figure in agreement.figures.items():
        constant = figure_text(name, figure.constant)
        if figure.constant_type is not None:
            constant += f" (always {figure.constant_type})"
        row = {
            "figure": FIGURES[name].replace("the dark types", f"types {span}"),
            "labels": figure_text(name, figure.value),
            INTERVAL: _span(name, figure.low, figure.high),
            "best constant": constant,
        }
        if figure.second_rater is not None:
            value, low, high = figure.second_rater
            row["second rater"] = figure_text(name, value)
            row[f"{INTERVAL} "] = _span(name, low, high)
        rows.append(row)
    return pd.DataFrame(rows)


def verdict(agreement: Agreement) -> str:
    """Return in a few sentences whether the labels are better than the best constant answer."""
    figure = agreement.figures["within_one"]
    kappa = agreement.figures["kappa"]
    _, low, high = agreement.over_constant
    gain = f"by {points(low)} to {points(high)} points on the same images"
    if low > 0:
        comparison = f"The labels do better than that, {gain}"
    elif high < 0:
        less = f"by {points(-high).lstrip('+')} to {points(-low).lstrip('+')} points"
        comparison = f"The labels do worse than that, {less} on the same images"
    else:
        comparison = f"There is no evidence that the labels do better or worse: they differ {gain}"
    span = _span("within_one", figure.low, figure.high)
    return (
        f"Within one type of the judged type on {figure_text('within_one', figure.value)} of "
        f"{agreement.n:,} images ({span}); always answering type {figure.constant_type} gives "
        f"{figure_text('within_one', figure.constant)}. {comparison}. Quadratic-weighted kappa "
        f"{figure_text('kappa', kappa.value)}; any constant has 0."
    )


def points(share: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return signed(100 * share, 1)


def summary_lines(agreement: Agreement) -> list[str]:
    """Return the lines printed below the table of figures, the verdict last."""
    judged = agreement.n + int(agreement.abstained.sum())
    lines = [f"Answered: {percent(agreement.n / judged)} of {count(judged)} judged images."]
    lines += [
        f"  the surest {percent(row['share'], 0)}: {percent(row['within_one'])} within one type "
        f"({interval(row['low'], row['high'], 1, as_percent=True)})"
        for row in agreement.answered[1:]
    ]
    return [*lines, interval_note(agreement), *agreement.notes, verdict(agreement)]


def quality_line(quality: DistributionQuality) -> str:
    """Return the printed sentence on predicted distributions."""
    value, low, high = quality.ranked_probability_score
    return (
        f"Distribution over types: ranked probability score {number(value, 4)} "
        f"({interval(low, high, 4)}); the judged distribution for every image scores "
        f"{number(quality.marginal, 4)}; expected calibration error "
        f"{number(100 * quality.calibration_error, 1)} points."
    )


def interval_note(agreement: Agreement) -> str:
    """Return whether intervals are by patient or by image, and when they are too narrow."""
    if agreement.patients is not None:
        named = agreement.patients - agreement.unnamed
        split = f" ({named:,} named, {agreement.unnamed:,} images without one)"
        return (
            f"Intervals: bootstrap over {agreement.patients:,} patients"
            f"{split if agreement.unnamed else ''}."
        )
    return (
        "Intervals: bootstrap over images, too narrow if patients have several; name the column "
        "of patients."
    )


def agreement_page(
    agreement: Agreement,
    *,
    title: str,
    quality: DistributionQuality | None = None,
    remarks: Sequence[str] = (),
) -> str:
    """Return the page on an agreement, with the quality of a fit's distributions if given."""
    figures = Section(
        "How far the labels agree with people",
        blocks=(table_block(figure_table(agreement), caption=f"{agreement.n:,} images"),),
        notes=(
            f"{interval_note(agreement)} The best constant is chosen separately for each figure; "
            "always answering a dark type has full recall at a low precision.",
            *agreement.notes,
        ),
    )
    confusion = Section(
        "Which types are confused",
        blocks=(
            figure_block(
                confusion_picture(agreement.confusion, agreement.types, rows=agreement.judged),
                alt="Confusion matrix: judged type in rows, label in columns",
                caption="Share of each judged type by label, with the number of images.",
            ),
        ),
    )
    sections = [figures, confusion, _answered_section(agreement)]
    if quality is not None:
        sections.append(_distribution_section(quality))
    if remarks:
        sections.append(Section("How it was fitted", paragraphs=tuple(remarks)))
    return render_page(title, sections, lead=verdict(agreement))


def _answered_section(agreement: Agreement) -> Section:
    rows = pd.DataFrame(agreement.answered)
    shown = pd.DataFrame(
        {
            "share answered": [percent(share) for share in rows["share"]],
            "images": rows["n"].astype(int),
            "within one type": [figure_text("within_one", value) for value in rows["within_one"]],
            INTERVAL: [
                _span("within_one", low, high)
                for low, high in zip(rows["low"], rows["high"], strict=True)
            ],
            "best constant": [figure_text("within_one", value) for value in rows["constant"]],
            "kappa": [figure_text("kappa", value) for value in rows["kappa"]],
        }
    )
    by_type = ", ".join(
        f"{images:,} of type {kind}"
        for kind, images in zip(agreement.judged, agreement.abstained, strict=True)
        if images
    )
    total = int(agreement.abstained.sum())
    sentence = (
        f"{total:,} images have no label: {by_type}."
        if total
        else "Every image that people judged has a label."
    )
    caption = "Accuracy against the share of images answered, surest first"
    return Section("Images without a label", (sentence,), (table_block(shown, caption=caption),))


def _distribution_section(quality: DistributionQuality) -> Section:
    value, low, high = quality.ranked_probability_score
    sentence = (
        f"Ranked probability score {with_interval(value, low, high, 4)}, where 0 is perfect; the "
        f"judged distribution for every image scores {number(quality.marginal, 4)}. Expected "
        "calibration error of P(type > j), mean over thresholds: "
        f"{number(100 * quality.calibration_error, 1)} points."
    )
    picture = figure_block(
        reliability_picture(quality.dark_reliability),
        alt="Predicted against observed share of the dark types",
        caption="The dark types, one point per tenth of the images; on the line is calibrated.",
    )
    return Section("The predicted distribution over types", (sentence,), (picture,))


def labelings_table(pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return one row per pair of labelings, with each figure and its interval."""
    names = {"changed": "changed", "exact": "exact", "within_one": "within one", "kappa": "kappa"}
    return pd.DataFrame(
        {
            "labelings": f"{pair.first} / {pair.second}",
            "images": pair.n,
            "in one only": pair.one_only,
        }
        | {
            title: f"{figure_text(name, value)} ({_span(name, low, high)})"
            for name, title in names.items()
            for value, low, high in [pair.figures[name]]
        }
        for pair in pairs
    )


def labelings_page(pairs: Sequence[Pair], types: Sequence[int]) -> str:
    """Return the page that compares labelings of the same images."""
    pictures = tuple(
        figure_block(
            confusion_picture(pair.confusion, types, axes=(pair.first, pair.second)),
            alt=f"{pair.first} in rows against {pair.second} in columns",
            caption=f"{pair.first} against {pair.second}, {pair.n:,} images.",
        )
        for pair in pairs
    )
    table = table_block(labelings_table(pairs), caption="Each pair, with 95 % intervals")
    worst = max(pairs, key=lambda pair: pair.figures["changed"][0])
    share = figure_text("exact", worst.figures["changed"][0])
    lead = (
        f"Between {worst.first} and {worst.second}, {share} of {worst.n:,} labels change. "
        "No one judged these images: this says how much depends on the method, not which is right."
    )
    sections = [Section("Pair by pair", (), (table,)), Section("Where they differ", (), pictures)]
    return render_page("Agreement between labelings", sections, lead=lead)


def confusion_picture(
    counts: np.ndarray,
    types: Sequence[int],
    *,
    rows: Sequence[str] = (),
    axes: tuple[str, str] = ("judged type", "label"),
) -> Figure:
    """Return a plot of a confusion matrix: row shares as shade, counts as numbers.

    Args:
        counts: Images per row and column, shape (r, k).
        types: Names of the columns, length k.
        rows: Names of the rows, length r; by default the types. If there are ranges beside the
            types, rows without images are left out.
        axes: Labels of the rows and of the columns.
    """
    names = list(rows or map(str, types))
    single = len(names) == len(types)
    shown = [place for place in range(len(names)) if single or counts[place].any()]
    counts, names = counts[shown], [names[place] for place in shown]
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    width, height = 1.6 + 0.62 * len(types), 1.6 + 0.62 * len(names)
    figure = new_figure(width + 0.9, height)
    plot = figure.add_subplot()
    image = plot.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), cell in np.ndenumerate(counts):
        color = "white" if share[i, j] > 0.55 else "#1a1a1a"
        plot.text(j, i, f"{cell:,}", ha="center", va="center", fontsize=9, color=color)
    plot.set_xticks(range(len(types)), [str(kind) for kind in types])
    plot.set_yticks(range(len(names)), names)
    plot.set_ylabel(axes[0])
    plot.set_xlabel(axes[1])
    figure.colorbar(image, ax=plot, label="share of the row", shrink=0.85)
    return figure


def reliability_picture(rows: Sequence[dict[str, Any]]) -> Figure:
    """Return a reliability plot of `DistributionQuality.dark_reliability`."""
    figure = new_figure(4.4, 4.2)
    plot = figure.add_subplot()
    plot.plot([0, 1], [0, 1], color="#888", linewidth=1)
    predicted, observed = ([row[key] for row in rows] for key in ("predicted", "observed"))
    plot.plot(predicted, observed, "o-", color=PALETTE[0])
    plot.set(xlabel="predicted share", ylabel="observed share", xlim=(0, 1), ylim=(0, 1))
    return figure
