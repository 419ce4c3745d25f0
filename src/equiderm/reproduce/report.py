"""The reproduction as one offline page, as Markdown and as JSON."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm import __version__
from equiderm.audit.report.export import markdown_table
from equiderm.files import write_text
from equiderm.format import (
    MISSING,
    count,
    counted,
    duration,
    json_text,
    listed,
    number,
    percent,
    plain,
)
from equiderm.page import Section, link_block, render_page, table_block
from equiderm.reproduce.claims import judge, summary
from equiderm.reproduce.downloads import NO_FOLDER, state
from equiderm.reproduce.published import TABLES, gpu_hours, sources_of
from equiderm.reproduce.result import Result, agreement_with_paper, beside_published, written

if TYPE_CHECKING:
    from equiderm.reproduce.result import Reproduction

SCHEMA = "equiderm.reproduce/2"
RELEASED = (
    "Bands of patch-max-arctan: Eq. 1 with the one-argument arctangent, which wraps where b* < 0.",
    "TABE and CLGR confuse towards fresh noise, step the backbone with a second optimiser on the "
    "same gradient, and TABE's bias step moves the backbone towards the group.",
    "Zeros for cleared gradients (torch before 2.0): momentum moves the target head in the bias "
    "step, too.",
    "Left out of training: the images of MClass-D by their archive id, repeated ids, and images of "
    "ISIC 2020 with tfrecord -1 in its Kaggle copy's table (else the owner's list of duplicates).",
    "What it calls 2017 is read from ISIC 2019, where that is there: the images that are neither "
    "HAM10000 nor BCN20000.",
    "Not followed: an image that cannot be labelled is left out of the bias loss, where the "
    "released code gives it the label -1, which shifts every class by one; log-softmax is taken "
    "where it takes the logarithm of a softmax; LNTL and TABE run, where they stop as released.",
)
CORRECTED = (
    "Bands of patch-max: the two-argument arctangent.",
    "TABE and CLGR confuse towards 1/K with one optimiser of the backbone; TABE's bias head learns "
    "alone.",
    "Gradients are cleared to none: momentum does not move the target head in the bias step.",
    "Left out of training besides the images of MClass-D: other images of a patient or lesion that "
    "is tested on, ISIC 2020's own duplicates, and the same photograph under another name.",
)
BOTH = (
    "ResNeXt-101 32x8d from ImageNet weights, one linear layer per head, SGD with momentum 0.9, "
    "batch 64, 256 px, no augmentation, eight test-time views; 30 epochs on Fitzpatrick17k "
    "(K = 2), 4 on ISIC (K = the number of bands), unless other experiment files were given.",
    "Baseline, rate matched: ERM at 3.3e-3, the backbone rate that the released TABE and CLGR have "
    "in effect. Without it a gain may be due to the rate.",
    "Positive is malignant on Fitzpatrick17k and melanoma elsewhere. The Atlas has 1,011 cases "
    "where the paper says 1,000. Its 4,316 rows of Fitzpatrick17k are the neoplastic ones with a "
    "type and a URL; 5 of them are 3 Wrongly labelled, which leaves 4,311.",
    "The paper's percentages of improvement are relative (5.3 % is 0.809 over 0.768).",
)
LEFT_OUT_OF_PAPER = (
    "Every figure of the paper is of one seed, without an interval. In the authors' own logs two "
    "runs of one configuration (TABE on ISIC) have AUROCs of 0.661 and 0.809 on Asan, 0.717 and "
    "0.825 on the Atlas, 0.757 and 0.865 on MClass: up to 0.15 apart, as far as the differences "
    "that the tables show. MClass has 20 melanomas. At threshold 0.5 the published TABE model "
    "calls nothing malignant."
)


EASY = (
    "Labelling and Figure 4 need no training and no GPU: the published estimator is written out in "
    "the released code, and the predictions stored with it give a second figure to compare with.",
    "The order of the updates of LNTL, TABE and CLGR can be read from the released code; its "
    "arithmetic on a tiny network is a test here.",
    "Most images can be downloaded without an account.",
)
HARD = (
    "Constants (rates, epochs, weights, sample positions) are in the released code and its logs, "
    "not in the paper; code and paper differ in what TABE confuses towards, in which optimisers "
    "step the backbone, and in whether TABE's bias step moves it. As released, LNTL, TABE and "
    "training on ISIC stop on options that are not defined.",
    "Which images: 35,574 and 4,316 had to be worked out from the released tables; what is called "
    "2017 is a part of ISIC 2019.",
    "The images of Fitzpatrick17k and of the Atlas have to be asked for; most of the URLs of "
    "Fitzpatrick17k are dead.",
)


def write_report(reproduction: Reproduction, names: Sequence[str]) -> None:
    """Write page, Markdown and JSON, named after the table, or ``all`` for several."""
    stem = reproduction.settings.out / file_stem(names)
    for suffix, content in (
        (".html", render(reproduction)),
        (".md", to_markdown(reproduction)),
        (".json", json_text(to_dict(reproduction))),
    ):
        write_text(stem.with_suffix(suffix), content)


def file_stem(names: Sequence[str]) -> str:
    """Return the name of the page, without its ending."""
    return names[0] if len(names) == 1 else "all"


def to_dict(reproduction: Reproduction) -> dict[str, Any]:
    """Return everything as JSON types, by the schema that docs/reproduce.md has."""
    return plain(
        {
            "schema": SCHEMA,
            "equiderm": __version__,
            "as_published": reproduction.settings.as_published,
            "stand_in": reproduction.settings.stand_in,
            "seeds": reproduction.settings.seeds,
            "sources": state(reproduction.downloads),
            "claims": [
                {
                    "section": judged.claim.section,
                    "says": judged.claim.says,
                    "published": judged.claim.published,
                    "table": judged.claim.table,
                    "here": judged.here,
                    "verdict": judged.verdict,
                    "part": judged.part,
                    "why": judged.why,
                }
                for judged in judge(reproduction)
            ],
            "tables": [_result_dict(result) for result in reproduction.results],
        }
    )


def _result_dict(result: Result) -> dict[str, Any]:
    return {
        "table": result.name,
        "title": result.title,
        "status": result.status,
        "trained_on": result.trained_on,
        "seconds": result.seconds,
        "missing": result.missing,
        "figure": "within_one" if result.percent else "auroc",
        "figures": [asdict(f) | {"holds_published": f.holds_published} for f in result.figures],
        "listed": result.listed,
        "left_out": [asdict(part) for part in result.left_out],
        "kept": result.kept,
        "answers": result.conclusions,
        "notes": result.notes,
        "detail": result.detail,
    }


def claim_table(reproduction: Reproduction) -> pd.DataFrame:
    """Return the claims that rest on the parts that were asked for, with their verdicts."""
    asked = {result.name for result in reproduction.results}
    return pd.DataFrame(
        [
            {
                "the paper says (section)": f"{judged.claim.says} ({judged.claim.section})",
                "verdict": judged.shown,
                "published": judged.claim.published,
                "here (95 % interval)": judged.here,
                "why": judged.why,
            }
            for judged in judge(reproduction)
            if judged.claim.table in asked
        ]
    )


def claim_summary(reproduction: Reproduction) -> str:
    """Return how many claims held, and on which parts rest those that the table leaves out."""
    judged, asked = judge(reproduction), {one.name for one in reproduction.results}
    others = [one.claim.table for one in judged if one.claim.table not in asked]
    sentence = summary(judged)
    if others:
        sentence += (
            f" {count(len(others))} of them, on {listed(dict.fromkeys(others))}, "
            "are not listed: those parts were not run in this call."
        )
    return sentence


def run_table(reproduction: Reproduction) -> pd.DataFrame:
    """Return what ran, one row per table."""
    rows = [
        {"part": part.name, "state": part.status, "why not": "; ".join(part.missing) or MISSING}
        for part in reproduction.results
    ]
    return pd.DataFrame(rows)


def source_table(reproduction: Reproduction) -> pd.DataFrame:
    """Return the sources, whether they are there, and how to get those that are not."""
    rows = [
        {
            "source": row["source"],
            "for": ", ".join(_users(row["source"], reproduction)),
            "images": count(row["images"]) if row["images"] is not None else "none",
            "what to do": _what_to_do(row),
        }
        for row in state(reproduction.downloads)
    ]
    return pd.DataFrame(rows)


def _what_to_do(row: Mapping[str, Any]) -> str:
    if not row["missing"]:
        return MISSING
    return row["get"] if row["missing"] == NO_FOLDER else f"{row['missing']} ({row['get']})"


def _users(source: str, reproduction: Reproduction) -> list[str]:
    asked = [result.name for result in reproduction.results] or list(TABLES)
    stand_in = reproduction.settings.stand_in
    return [
        f"{name} (optional)" if source in TABLES[name].uses else name
        for name in asked
        if source in sources_of(TABLES[name], as_published=True, stand_in=stand_in)
    ]


def left_out_table(result: Result) -> pd.DataFrame:
    """Return every step that left rows out, and the rows that are kept."""
    rows = [{"rows": "in the owners' tables", "source": "", "images": count(result.listed)}]
    rows += [
        {"rows": f"left out: {part.why}", "source": part.source, "images": count(part.n)}
        for part in result.left_out
    ]
    rows += [
        {"rows": f"kept: {name}", "source": "", "images": count(n)}
        for name, n in result.kept.items()
    ]
    return pd.DataFrame(rows)


def answers(reproduction: Reproduction) -> list[str]:
    """Return the answers of every table that ran, each with its table's name."""
    return [f"{part.name}: {text}" for part in reproduction.results for text in part.conclusions]


def render(reproduction: Reproduction) -> str:
    """Return the whole page."""
    sections = [
        Section(
            "The paper's claims, one by one",
            (claim_summary(reproduction),),
            (
                table_block(
                    claim_table(reproduction), caption="Each claim in our words, and its verdict"
                ),
            ),
        ),
        Section("Scope", tuple(scope(reproduction))),
        Section(
            "What ran",
            blocks=(
                table_block(run_table(reproduction), caption="Parts of the paper"),
                table_block(
                    source_table(reproduction), caption=f"Downloads in {reproduction.settings.data}"
                ),
            ),
        ),
        *(_section(result) for result in reproduction.results if result.listed),
        *(
            Section(title, paragraphs=tuple(paragraphs))
            for title, paragraphs in _account(reproduction)
        ),
        Section(
            "What it cost",
            (costs_note(reproduction),),
            (table_block(cost_table(reproduction), caption="Parts of the paper"),),
        ),
    ]
    return render_page("The paper's tables, run again", sections, lead=lead(reproduction))


def lead(reproduction: Reproduction) -> str:
    """Return in a sentence or two what this is."""
    mode = "the released code" if reproduction.settings.as_published else "the paper, corrected"
    states = Counter(result.status for result in reproduction.results)
    ran = ", ".join(f"{n} {state}" for state, n in states.items())
    return (
        f"Detecting Melanoma Fairly (Bevan and Atapour-Abarghouei 2022), after {mode}. "
        f"Parts: {ran}. "
        + agreement_with_paper([f for result in reproduction.results for f in result.compared])
    )


def _section(result: Result) -> Section:
    blocks: list[Any] = []
    if result.figures:
        blocks.append(table_block(beside_published(result), caption=_figure_caption(result)))
    blocks += result.pictures
    blocks += [table_block(table, caption=text) for text, table in result.tables if len(table)]
    caption = "Which images, and why not the others"
    blocks.append(table_block(left_out_table(result), caption=caption))
    if result.page:
        text = "The whole comparison: groups, probes, costs, settings"
        blocks.append(link_block(result.page, text))
    return Section(
        result.title, result.conclusions, tuple(blocks), (*result.missing, *result.notes)
    )


def _figure_caption(result: Result) -> str:
    if result.percent:
        return "Images within one type of the judged one, with 95 % intervals over images"
    return "AUROC: as published, and here the mean over seeds (95 % interval over seeds and images)"


def scope(reproduction: Reproduction) -> list[str]:
    """Return what was run, on which data, in sentences."""
    settings = reproduction.settings
    here = {d.source: d.reading for d in reproduction.downloads.values() if d.reading is not None}
    images = sum(len(reading.frame) for reading in here.values())
    parts = listed(result.name for result in reproduction.results) or "none"
    sentences = [
        f"Parts: {parts}. Sources that are there: {listed(here) or 'none'}, "
        f"{counted(images, 'image')}. Each trained row has {counted(settings.seeds, 'seed')}; the "
        "paper has one.",
        "Claims are judged by intervals: held where the 95 % interval is on the claimed side, not "
        "held where it is on the other, and undecided otherwise. What is not a figure of the "
        "paper, such as how good a model would be in a clinic, is not judged.",
    ]
    for part in reproduction.results:
        if part.trained_on:
            sentences.append(f"{part.name} is not on the paper's training data: {part.trained_on}.")
    return sentences


def _account(reproduction: Reproduction) -> list[tuple[str, Sequence[str]]]:
    """Return heading and paragraphs on what was easy, what was hard, and what differs."""
    released = reproduction.settings.as_published
    how = "as the released code has it" if released else "corrected"
    return [
        ("What was easy", EASY),
        ("What was hard", (LEFT_OUT_OF_PAPER, *HARD, *_absent(reproduction))),
        (
            f"What differs: {how}",
            (*(RELEASED if released else CORRECTED), *BOTH, *_outside(reproduction)),
        ),
    ]


def _absent(reproduction: Reproduction) -> list[str]:
    downloads = reproduction.downloads.values()
    absent = [download.source for download in downloads if download.reading is None]
    parts = [download.fragment for download in downloads if download.fragment]
    sentences = [f"Not available: {listed(absent)}."] if absent else []
    return [*sentences, *([f"Only in part: {'; '.join(parts)}."] if parts else [])]


def _outside(reproduction: Reproduction) -> list[str]:
    outside = [
        f"{table.name}, {figure.row}, {figure.column}: {show(figure.published)} against "
        f"{written(figure, as_percent=table.percent)}"
        for table in reproduction.results
        for show in [percent if table.percent else number]
        for figure in table.compared
        if figure.holds_published is False
    ]
    return [f"Published figures outside our intervals: {'; '.join(outside)}."] if outside else []


def cost_table(reproduction: Reproduction) -> pd.DataFrame:
    """Return the time of each part here, and the authors' GPU hours for one seed of it."""
    rows = [
        {
            "part": part.name,
            "state": part.status,
            "time here": duration(part.seconds) if part.listed else MISSING,
            "authors' GPU hours per seed": number(gpu_hours([TABLES[part.name]]), 1),
        }
        for part in reproduction.results
    ]
    return pd.DataFrame(rows)


def costs_note(reproduction: Reproduction) -> str:
    """Return on what machine it ran, and what the table of costs counts."""
    sentence = f"Here: {platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    torch = sys.modules.get("torch")
    if torch is not None:
        gpus = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
        sentence += f", {', '.join(gpus) or 'no GPU'}, torch {torch.__version__}"
    return (
        f"{sentence}. The time is that of this call: labels, images and runs of an earlier call "
        "are reused. The authors' hours are of two Titan RTX together, by their logs; rows "
        "that tables share count in each, and every backbone as ResNeXt-101."
    )


def to_markdown(reproduction: Reproduction) -> str:
    """Return the tables and what they say as Markdown."""
    parts = [
        "# The paper's tables, run again",
        lead(reproduction),
        "## The paper's claims, one by one",
    ]
    parts += [
        claim_summary(reproduction),
        markdown_table(claim_table(reproduction)),
        "## Scope",
        *scope(reproduction),
        "## What ran",
    ]
    parts += [markdown_table(run_table(reproduction)), markdown_table(source_table(reproduction))]
    for result in reproduction.results:
        if not result.listed:
            continue
        parts += [f"## {result.title}", *result.conclusions]
        if result.figures:
            parts += [_figure_caption(result), markdown_table(beside_published(result))]
        for caption, table in result.tables:
            if len(table):
                parts += [caption, markdown_table(table)]
        parts += [markdown_table(left_out_table(result)), *(f"- {text}" for text in result.notes)]
    for title, paragraphs in _account(reproduction):
        parts += [f"## {title}", "\n".join(f"- {text}" for text in paragraphs)]
    parts += ["## What it cost", costs_note(reproduction), markdown_table(cost_table(reproduction))]
    return "\n\n".join(parts) + "\n"
