"""The audit as JSON (schemas "equiderm.audit/3" and "equiderm.comparison/1") and as Markdown.

Also what the reports of audits of classes and of a number share: page, Markdown, fragment.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from equiderm.audit.gaps import ODDS_DIFFERENCES, versus
from equiderm.audit.metrics import METRICS
from equiderm.audit.report import case_mix, curves, tables, words
from equiderm.audit.report.checklist import checklist
from equiderm.audit.report.naming import model_of, naming, spell
from equiderm.format import counted, listed, plain
from equiderm.page import Section, bullets_block, render_page, table_block, verdict_block

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from equiderm.audit.audit import Audit
    from equiderm.audit.comparison import Comparison
    from equiderm.audit.shown import ShownAudit

SCHEMA = "equiderm.audit/3"
COMPARISON_SCHEMA = "equiderm.comparison/1"


def to_dict(audit: Audit) -> dict[str, Any]:
    """Return the content of the report as JSON types, in the schema of docs/audit.md."""
    study = audit.study
    return plain(
        {
            "schema": SCHEMA,
            "answer": audit.answer(),
            "verdicts": [asdict(audit.verdict(by)) for by in audit.results] if study.truth else [],
            "rows": len(study.target),
            "patients": study.patients,
            "positives": int(study.target.sum()),
            "truth": study.truth,
            "weighting": None if study.weighting is None else asdict(study.weighting),
            "notes": (*study.notes, *study.doubts),
            "options": asdict(audit.options),
            "provenance": asdict(audit.provenance),
            "versions": tables.versions(),
            "thresholds": audit.results[audit.columns[0]].thresholds,
            "figures": audit.table.to_dict("records"),
            "gaps": [asdict(audit.gap(m, by=by)) for by in audit.results for m in METRICS],
            "differences": [
                {"by": by, "name": name}
                | dict(zip(("value", "low", "high", "why"), difference, strict=True))
                for by in audit.results
                for name in ODDS_DIFFERENCES
                for difference in [audit.odds_difference(name, by=by)]
            ],
            "against_rest": _versus(audit, reference=False),
            "against_reference": _versus(audit, reference=True),
            "label_error": [asdict(figure) for figure in audit.corrected()],
            "along": [asdict(audit.along(column)) for column in study.numbers],
            "adjusted": [asdict(audit.adjusted(by)) for by in audit.columns if study.mix],
            "find": None if audit.found is None else asdict(audit.found),
            "checklist": [item._asdict() | {"state": item.state} for item in checklist(audit)],
        }
    )


def _versus(audit: Audit, *, reference: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for by in audit.columns:
        other = audit.reference_of(by) if reference else None
        for metric in METRICS:
            for row in versus(audit.results[by], metric, other):
                rows.append({"by": by, "figure": metric, "reference": other} | row)
    return rows


def comparison_to_dict(comparison: Comparison) -> dict[str, Any]:
    """Return the paired differences and both audits as JSON types."""
    return plain(
        {
            "schema": COMPARISON_SCHEMA,
            "differences": comparison.table.to_dict("records"),
            "a": to_dict(comparison.a),
            "b": to_dict(comparison.b),
        }
    )


def to_markdown(audit: Audit) -> str:
    """Return the first screen, the tables by group and the limits as Markdown."""
    screen = audit.first_screen()
    bullets = [*screen.evidence, *screen.meaning]
    parts = [
        "# " + _cell(screen.title),
        _cell(screen.about),
        f"**{_cell(screen.headline)}**",
        markdown_bullets(bullets),
        *(["## By other groups", markdown_bullets(screen.others)] if screen.others else []),
        "## What to do next",
        "\n".join(f"{k}. {_cell(text)}" for k, text in enumerate(screen.steps, 1)),
        "## How far can the group labels be trusted?",
        markdown_bullets(screen.trust),
        "## Who was left out, and for whom there are too few",
        markdown_bullets(screen.left_out),
    ]
    for by in audit.results:
        parts += [
            f"## By {_cell(naming(audit, by).heading)}",
            markdown_table(tables.cohort_table(audit, by)),
            markdown_table(tables.by_group_table(audit, by)),
        ]
        if audit.study.truth:
            parts += [
                markdown_table(tables.verdict_table(audit, by)),
                markdown_table(tables.gap_table(audit, by)),
            ]
    for column in audit.study.numbers:
        along = audit.along(column)
        parts.append(f"## Along {_cell(column)}")
        parts.append(markdown_bullets(curves.sentences(audit, along)))
        parts.append(markdown_table(curves.table(along)))
    for by in audit.columns if audit.study.mix else []:
        mix = audit.adjusted(by)
        parts.append(f"## At equal {_cell(listed(mix.columns))}: by {_cell(by)}")
        parts.append(markdown_bullets(case_mix.sentences(audit, mix)))
        parts.append(markdown_table(case_mix.table(audit, mix)))
    if audit.found is not None:
        parts += [
            "## Search for subgroups",
            markdown_bullets(audit.found.answer()),
        ]
        parts.append(markdown_table(audit.found.shown()))
    parts += ["## Limits", markdown_bullets(words.limits(audit))]
    parts.append(f"Written with {tables.versions_text()}; seed {audit.options.seed}.")
    return "\n\n".join(parts) + "\n"


def comparison_to_markdown(comparison: Comparison) -> str:
    """Return which model is better and the paired differences as Markdown."""
    parts = ["# A minus B on the same images"]
    parts.append(markdown_bullets(comparison.answer()))
    for by in comparison.a.results:
        parts += [f"## By {_cell(by)}", markdown_table(tables.paired_table(comparison, by))]
    return "\n\n".join(parts) + "\n"


def answered_markdown(audit: ShownAudit) -> str:
    """Return the answer and the tables of an audit as Markdown."""
    parts = [f"# {_cell(audit.title)}", markdown_bullets(audit.answers())]
    for title, frame in audit.summaries():
        parts += [f"## {_cell(title[:1].upper() + title[1:])}", markdown_table(frame)]
    if audit.notes:
        parts += ["## Notes", markdown_bullets(spell(audit, note) for note in audit.notes)]
    return "\n\n".join(parts) + "\n"


def answered_page(audit: ShownAudit, also: str, sections: Sequence[Section], method: str) -> str:
    """Return an audit as an HTML page; all text from the input is escaped.

    Args:
        audit: The audit.
        also: What was audited beside its images.
        sections: The sections between the answer and how it was computed.
        method: How it was computed.
    """
    lines = audit.answers()
    outcome = "none-found" if all(map(audit.can_say, audit.columns)) else "cannot-say"
    people = "" if audit.patients is None else f" of {counted(audit.patients, 'patient')}"
    answer = Section(
        "The answer",
        paragraphs=(f"{counted(len(audit.study.target), 'image')}{people}{also}.",),
        blocks=(verdict_block("gap" if audit.claims else outcome, lines[0], lines[1:]),),
        notes=tuple(spell(audit, note) for note in audit.notes),
    )
    versions = f"Versions: {tables.versions_text()}."
    computed = Section("How it was computed", paragraphs=(method, versions, *tables.command(audit)))
    return render_page(f"{audit.title}: {model_of(audit)}", [answer, *sections, computed])


def small_groups(audit: ShownAudit, by: str, few: Sequence[str], least: int, of: str = "") -> str:
    """Return a sentence on groups of a column with under ``least`` images (of what is named)."""
    people = "" if audit.patients is None else " (or patients)"
    has, it = ("has", "it") if len(few) == 1 else ("have", "them")
    little = "little or nothing" if of else "nothing"
    return (
        f"{by} {listed(few, most=12)} {has} under {least} images{people}{of}: this audit says "
        f"{little} about {it}."
    )


def fragment(answer: Sequence[str], parts: Iterable[tuple[str, pd.DataFrame]]) -> str:
    """Return sentences, and tables with their titles, as an HTML fragment for notebooks."""
    blocks = [str(table_block(frame, caption=title)) for title, frame in parts]
    return str(bullets_block(answer)) + "".join(blocks)


def markdown_table(frame: pd.DataFrame) -> str:
    """Return a frame as a Markdown table, with Markdown and HTML escaped."""
    lines = [list(frame.columns), ["---"] * len(frame.columns), *frame.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def markdown_bullets(texts: Iterable[object]) -> str:
    """Return sentences as a Markdown list, with Markdown and HTML escaped."""
    return "\n".join(f"- {_cell(text)}" for text in texts)


def _cell(value: Any) -> str:
    text = " ".join(str(value).split())
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("`", "\\`")):
        text = text.replace(mark, safe)
    return text
