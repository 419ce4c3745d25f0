"""The plan of a test set in words, tables and as one offline page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from equiderm.audit.metrics import METRICS
from equiderm.audit.report.export import markdown_table
from equiderm.audit.thirds import PARTICIPANTS, QUARTER
from equiderm.format import MISSING, count, number, percent
from equiderm.page import (
    PALETTE,
    Section,
    bullets_block,
    figure_axes,
    figure_block,
    panel_block,
    render_page,
    table_block,
)

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.audit.planning import Plan


def render(made: Plan) -> str:
    """Return the page; every text from the input is escaped."""
    needs, *rest = [table_block(frame, caption=title) for title, frame in made.summaries()]
    panels = [_needed(made)]
    if made.rule is not None:
        panels.append(_thirds(made))
    sections = [
        Section("The answer", blocks=(bullets_block(made.answer()),)),
        Section("Images needed", blocks=(panel_block(panels), needs, *rest), notes=made.notes),
        Section("What was assumed", blocks=(bullets_block(_assumed(made)),)),
    ]
    return render_page("How large must the test set be?", sections)


def _assumed(made: Plan) -> list[str]:
    lines = [
        "Three groups of tone, each compared with the other two by the audit's own test: intervals "
        "that are simultaneous over groups, adjusted over AUROC, sensitivity and specificity.",
        "The drop is one of the dark group alone. Whoever expects another drop needs other "
        "numbers: half the drop takes about four times the images.",
        f"{made.images_per_patient:.3g} images of one class per patient, whose calls correlate "
        f"with {made.correlation:g}; {100 * made.prevalence:.3g} % of the images positive.",
        "Scores that are normal in both classes, for the AUROC. The counts are of images whose "
        "tone label is right: label errors hide a part of any drop.",
    ]
    if not made.thirds:
        size = "as many light and middle images as dark ones"
        if math.isfinite(made.others):
            size = f"{count(made.others)} positive images each of light and of middle tones"
        lines.insert(1, f"A new test set with {size}.")
    return lines


def _needed(made: Plan) -> Any:
    """Return what is needed of dark skin beside what there is."""
    figure, axes = figure_axes(1.2 + 0.55 * len(made.needs))
    finite = [one.images for one in made.needs if one.images < math.inf]
    most = max([*finite, *(one.have for one in made.needs), 1])
    texts: list[str] = []
    for k, one in enumerate(made.needs):
        if one.images < math.inf:
            axes.barh(k, one.images, 0.62, color="none", edgecolor="#444444", linewidth=1.2)
            note = f"{count(one.images)} needed"
        else:
            note = "none suffice"
        axes.barh(k, one.have, 0.62, color=PALETTE[0])
        label = f"{note}, {count(one.have)} there" if made.thirds else note
        end = max(one.images if one.images < math.inf else 0, one.have)
        inside = end > 0.5 * most
        axes.text(
            end - 0.015 * most if inside else end + 0.015 * most, k, label, va="center",
            ha="right" if inside else "left", fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.85},
        )  # fmt: skip
        texts.append(f"{METRICS[one.metric].label}: {label}")
    labels = [METRICS[one.metric].label for one in made.needs]
    drops = [f"{number(one.base, 2)} to {number(one.base - one.drop, 2)}" for one in made.needs]
    names = [f"{label}\n{drop}" for label, drop in zip(labels, drops, strict=True)]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.04 * most)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("Images of dark skin (positive; for specificity, negative)")
    there = " Filled: what there is." if made.thirds else ""
    return figure_block(
        figure,
        alt=f"Images of dark skin needed: {'; '.join(texts)}.",
        caption=f"Images of dark skin that show the drop in 80 of 100 test sets.{there}",
    )


def _thirds(made: Plan) -> Any:
    """Return the share of each third beside a quarter."""
    assert made.rule is not None
    figure, axes = figure_axes(2.2)
    names = list(made.rule.shares)
    shares = [100 * made.rule.shares[name] for name in names]
    axes.barh(range(3), shares, 0.62, color=[PALETTE[0] if s >= 25 else PALETTE[1] for s in shares])
    axes.axvline(100 * QUARTER, color="#444444", linestyle=":", linewidth=1.5)
    for k, share in enumerate(shares):
        axes.text(share + 1, k, f"{number(share, 0)} %", va="center", fontsize=9)
    axes.set_yticks(range(3), names)
    axes.set_ylim(2.6, -0.6)
    axes.set_xlim(0, max(*shares, 30) * 1.15)
    axes.set_xlabel(f"Per cent of {made.rule.counted}")
    values = ", ".join(
        f"{name} {number(share, 0)} %" for name, share in zip(names, shares, strict=True)
    )
    return figure_block(
        figure,
        alt=f"Share of each third of the tones: {values}; a quarter is 25 %.",
        caption=f"Share of the {made.rule.counted} in each third of the tones. Dotted: a quarter.",
    )


def sentences(made: Plan) -> tuple[str, ...]:
    """Return the answer, a sentence or two for each question."""
    lines: list[str] = []
    for one in made.needs:
        label = METRICS[one.metric].label
        what = (
            f"{label} {number(one.base, 2)} on the other tones, "
            f"{number(one.base - one.drop, 2)} on dark skin: "
        )
        if one.images == math.inf:
            lines.append(
                what
                + "no number of images of dark skin shows it in 80 of 100 test sets; the other "
                "tones have too few."
            )
            continue
        patients = f" of {count(one.patients)} patients" if made.images_per_patient > 1 else ""
        beside = f" (and {count(one.negatives)} negative)" if one.negatives == one.negatives else ""
        text = (
            f"{what}noticed in 80 of 100 test sets from {count(one.images)} {one.counted} images "
            f"of dark skin{beside}{patients} on."
        )
        if made.thirds:
            text += f" There are {count(one.have)}"
            text += f": {count(one.missing)} more are needed." if one.missing else ": enough."
            if one.noticed == one.noticed and one.missing:
                text += (
                    f" The {count(one.have)} alone would show a drop of {number(one.noticed, 2)}."
                )
            elif one.missing:
                text += f" The {count(one.have)} alone would show no drop, however large."
        lines.append(text)
    if made.rule is not None:
        rule = made.rule
        shares = ", ".join(f"{name} {percent(part, 0)}" for name, part in rule.shares.items())
        met = "has" if rule.quarter else "does not have"
        size = "at least" if rule.enough else "fewer than"
        lines.append(
            f"By {made.by} this test set {met} a quarter of its {rule.counted} in each third of "
            f"the tones ({shares} of {count(rule.number)}; {size} {PARTICIPANTS})."
        )
        lines.append(f"The quarter is from the {rule.source}. {rule.says}")
    return tuple(lines)


def summaries(made: Plan) -> list[tuple[str, pd.DataFrame]]:
    """Return titles and small tables of text."""
    import pandas as pd

    def whole(value: float) -> str:
        return count(value) if math.isfinite(value) else "none suffice"

    rows: list[dict[str, str]] = []
    for one in made.needs:
        row = {"figure": METRICS[one.metric].label, "other tones": number(one.base, 2)}
        row |= {"drop": number(one.drop, 2)}
        row |= {"of dark skin, needed": f"{whole(one.images)} {one.counted}"}
        row |= {"patients": whole(one.patients)}
        if made.thirds:
            row |= {"there are": count(one.have), "still needed": whole(one.missing)}
            shown = number(one.noticed, 2) if one.noticed == one.noticed else "none"
            row |= {"drop that these show": shown}
        rows.append(row)
    parts = [
        ("Images needed for the drop to be noticed in 80 of 100 test sets", pd.DataFrame(rows))
    ]
    if made.rule is not None:
        counts = pd.DataFrame(
            [
                {
                    "tones": one.name,
                    made.by: ", ".join(one.labels) or MISSING,
                    "patients": count(one.patients),
                    "images": count(one.images),
                    "positive": count(one.positives),
                    "negative": count(one.negatives),
                    f"share of {made.rule.counted}": percent(made.rule.shares[one.name]),
                }
                for one in made.thirds
            ]
        )
        parts.append(("What the test set has", counts))
    return parts


def to_markdown(made: Plan) -> str:
    """Return the answer and the tables as Markdown."""
    parts = ["# How large must the test set be?", *made.answer()]
    for title, frame in made.summaries():
        parts += [f"## {title}", markdown_table(frame)]
    return "\n\n".join(parts) + "\n"


def notebook(made: Plan) -> str:
    """Return the answer and the tables as an HTML fragment for notebooks."""
    blocks = [str(table_block(frame, caption=title)) for title, frame in made.summaries()]
    return str(bullets_block(made.answer())) + "".join(blocks)
