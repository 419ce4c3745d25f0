"""The report on a planned test set: sentences, tables, plots and the page."""

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

    from equiderm.audit.planning import Need, Plan


def render(planned: Plan) -> str:
    """Return the report as an HTML page; all text from the input is escaped."""
    needs, *rest = [table_block(frame, caption=title) for title, frame in planned.summaries()]
    panels = [_needed(planned)]
    if planned.rule is not None:
        panels.append(_thirds(planned))
    sections = [
        Section("The answer", blocks=(bullets_block(planned.answer()),)),
        Section("Images needed", blocks=(panel_block(panels), needs, *rest), notes=planned.notes),
        Section("What was assumed", blocks=(bullets_block(_assumed(planned)),)),
    ]
    return render_page("How large must the test set be?", sections)


def _assumed(planned: Plan) -> list[str]:
    lines = [
        "Three groups of tone, each compared with the other two by the audit's own test: intervals "
        "that are simultaneous over groups, adjusted over AUROC, sensitivity and specificity.",
        "The drop is in the dark group alone. To notice half the drop takes about four times the "
        "images.",
        f"{planned.images_per_patient:.3g} images of one class per patient, whose decisions have "
        f"a correlation of {planned.correlation:g}; {100 * planned.prevalence:.3g} % of the images "
        "are positive.",
        "Scores that are normal in both classes, for the AUROC. All tone labels are right: label "
        "errors hide a part of any drop.",
    ]
    if not planned.thirds:
        size = "as many light and middle images as dark ones"
        if math.isfinite(planned.others):
            size = f"{count(planned.others)} positive images each of light and of middle tones"
        lines.insert(1, f"A new test set with {size}.")
    return lines


def _needed(planned: Plan) -> Any:
    """Return a plot of the images of dark skin that are needed, and that the test set has."""
    figure, axes = figure_axes(1.2 + 0.55 * len(planned.needs))
    finite = [need.images for need in planned.needs if need.images < math.inf]
    most = max([*finite, *(need.have for need in planned.needs), 1])
    texts: list[str] = []
    for k, need in enumerate(planned.needs):
        if need.images < math.inf:
            axes.barh(k, need.images, 0.62, color="none", edgecolor="#444444", linewidth=1.2)
            note = f"{count(need.images)} needed"
        else:
            note = "none suffice"
        axes.barh(k, need.have, 0.62, color=PALETTE[0])
        label = f"{note}, {count(need.have)} there" if planned.thirds else note
        end = max(need.images if need.images < math.inf else 0, need.have)
        inside = end > 0.5 * most
        axes.text(
            end - 0.015 * most if inside else end + 0.015 * most, k, label, va="center",
            ha="right" if inside else "left", fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.85},
        )  # fmt: skip
        texts.append(f"{METRICS[need.metric].label}: {label}")
    labels = [METRICS[need.metric].label for need in planned.needs]
    drops = [f"{number(n.base, 2)} to {number(n.base - n.drop, 2)}" for n in planned.needs]
    names = [f"{label}\n{drop}" for label, drop in zip(labels, drops, strict=True)]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.04 * most)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("Images of dark skin (positive; for specificity, negative)")
    there = " Filled: images in the test set." if planned.thirds else ""
    return figure_block(
        figure,
        alt=f"Images of dark skin needed: {'; '.join(texts)}.",
        caption=f"Images of dark skin that show the drop in 80 of 100 test sets.{there}",
    )


def _thirds(planned: Plan) -> Any:
    """Return a plot of the share of each third of the tones, with a quarter marked."""
    assert planned.rule is not None
    figure, axes = figure_axes(2.2)
    names = list(planned.rule.shares)
    shares = [100 * planned.rule.shares[name] for name in names]
    axes.barh(range(3), shares, 0.62, color=[PALETTE[0] if s >= 25 else PALETTE[1] for s in shares])
    axes.axvline(100 * QUARTER, color="#444444", linestyle=":", linewidth=1.5)
    for k, share in enumerate(shares):
        axes.text(share + 1, k, f"{number(share, 0)} %", va="center", fontsize=9)
    axes.set_yticks(range(3), names)
    axes.set_ylim(2.6, -0.6)
    axes.set_xlim(0, max(*shares, 30) * 1.15)
    axes.set_xlabel(f"Per cent of {planned.rule.counted}")
    values = ", ".join(
        f"{name} {number(share, 0)} %" for name, share in zip(names, shares, strict=True)
    )
    return figure_block(
        figure,
        alt=f"Share of each third of the tones: {values}; a quarter is 25 %.",
        caption=f"Share of the {planned.rule.counted} in each third of the tones. Dotted: a "
        "quarter.",
    )


def sentences(planned: Plan) -> tuple[str, ...]:
    """Return the answer, a sentence or two per question."""
    lines: list[str] = []
    for need in planned.needs:
        label = METRICS[need.metric].label
        what = (
            f"{label} {number(need.base, 2)} on the other tones, "
            f"{number(need.base - need.drop, 2)} on dark skin: "
        )
        if need.images == math.inf:
            lines.append(
                what
                + "no number of images of dark skin shows it in 80 of 100 test sets; the other "
                "tones have too few."
            )
            continue
        patients = f" of {count(need.patients)} patients" if planned.images_per_patient > 1 else ""
        beside = "" if math.isnan(need.negatives) else f" (and {count(need.negatives)} negative)"
        text = (
            f"{what}noticed in 80 of 100 test sets from {count(need.images)} {need.counted} images "
            f"of dark skin{beside}{patients} on."
        )
        if planned.thirds:
            are, have = ("is", "1") if need.have == 1 else ("are", count(need.have))
            if beside:
                have += f" (and {count(need.have_negatives)} negative)"
            text += f" There {are} {have}: {_still(need)}."
            if need.missing or need.missing_negatives:
                none = math.isnan(need.noticed)
                shown = "no drop, however large" if none else f"a drop of {_shown(need)}"
                text += f" {'It' if have == '1' else 'They'} alone would show {shown}."
        lines.append(text)
    if planned.rule is not None:
        rule = planned.rule
        shares = ", ".join(f"{name} {percent(part, 0)}" for name, part in rule.shares.items())
        met = "has" if rule.quarter else "does not have"
        size = "at least" if rule.enough else "fewer than"
        lines.append(
            f"By {planned.by} this test set {met} a quarter of its {rule.counted} in each third of "
            f"the tones ({shares} of {count(rule.number)}; {size} {PARTICIPANTS})."
        )
        lines.append(f"The quarter is from the {rule.source}. {rule.says}")
    return tuple(lines)


def _still(need: Need) -> str:
    """Return how many more images of dark skin are needed, in words."""
    if need.missing:
        beside = f" (and {count(need.missing_negatives)} negative)" * (need.missing_negatives > 0)
        one = need.missing == 1 and not beside
        return f"{count(need.missing)} more{beside} {'is' if one else 'are'} needed"
    if need.missing_negatives:
        is_one = need.missing_negatives == 1
        images = "image is" if is_one else "images are"
        return f"{count(need.missing_negatives)} more negative {images} needed"
    return "enough"


def _shown(need: Need) -> str:
    """Return the drop that the test set shows as text, rounded up: a smaller one it does not."""
    return number(math.ceil(100 * need.noticed - 0.05) / 100, 2)


def summaries(planned: Plan) -> list[tuple[str, pd.DataFrame]]:
    """Return titles and small tables of text."""
    import pandas as pd

    def whole(value: float) -> str:
        return count(value) if math.isfinite(value) else "none suffice"

    rows: list[dict[str, str]] = []
    for need in planned.needs:
        row = {"figure": METRICS[need.metric].label, "other tones": number(need.base, 2)}
        row |= {"drop": number(need.drop, 2)}
        row |= {"of dark skin, needed": f"{whole(need.images)} {need.counted}"}
        row |= {"patients": whole(need.patients)}
        if planned.thirds:
            still = whole(need.missing)
            if need.missing_negatives:
                still += f" and {count(need.missing_negatives)} negative"
            row |= {"there are": count(need.have), "still needed": still}
            shown = "none" if math.isnan(need.noticed) else _shown(need)
            row |= {"drop that these show": shown}
        rows.append(row)
    parts = [
        ("Images needed for the drop to be noticed in 80 of 100 test sets", pd.DataFrame(rows))
    ]
    if planned.rule is not None:
        counts = pd.DataFrame(
            [
                {
                    "tones": third.name,
                    planned.by: ", ".join(third.labels) or MISSING,
                    "patients": count(third.patients),
                    "images": count(third.images),
                    "positive": count(third.positives),
                    "negative": count(third.negatives),
                    f"share of {planned.rule.counted}": percent(planned.rule.shares[third.name]),
                }
                for third in planned.thirds
            ]
        )
        parts.append(("What the test set has", counts))
    return parts


def to_markdown(planned: Plan) -> str:
    """Return the answer and the tables as Markdown."""
    parts = ["# How large must the test set be?", *planned.answer()]
    for title, frame in planned.summaries():
        parts += [f"## {title}", markdown_table(frame)]
    return "\n\n".join(parts) + "\n"
