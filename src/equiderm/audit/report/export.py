"""The audit as data and as Markdown: the schemas "equiderm.audit/1" and "equiderm.comparison/1"."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.gaps import versus
from equiderm.audit.metrics import METRICS
from equiderm.audit.report import tables, words

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.audit.audit import Audit
    from equiderm.audit.comparison import Comparison

SCHEMA = "equiderm.audit/1"
COMPARISON_SCHEMA = "equiderm.comparison/1"
_DIFFERENCES = ("equal_opportunity_difference", "equalized_odds_difference")


def plain(value: Any) -> Any:
    """Return a value as JSON types; NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def as_text(content: dict[str, Any]) -> str:
    """Return JSON types as text; a missing number is null."""
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def to_dict(audit: Audit) -> dict[str, Any]:
    """Return everything the report says, by the schema that docs/audit.md describes."""
    study = audit.study
    return plain(
        {
            "schema": SCHEMA,
            "answer": words.answer(audit),
            "rows": len(study.target),
            "patients": None if study.patient is None else int(study.patient.max()) + 1,
            "positives": int(study.target.sum()),
            "notes": study.notes,
            "options": asdict(audit.options),
            "provenance": asdict(audit.provenance),
            "versions": tables.versions(),
            "thresholds": audit.results[audit.columns[0]].thresholds,
            "figures": audit.table.to_dict("records"),
            "gaps": [asdict(audit.gap(m, by=by)) for by in audit.results for m in METRICS],
            "differences": [
                {"by": by, "name": name}
                | dict(zip(("value", "low", "high", "why"), found, strict=True))
                for by in audit.results
                for name in _DIFFERENCES
                for found in [audit.odds_difference(name, by=by)]
            ],
            "against_rest": _versus(audit, reference=False),
            "against_reference": _versus(audit, reference=True),
            "label_error": [asdict(one) for one in audit.corrected()],
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
    """Return the answer, the tables by group and the limits as Markdown."""
    parts = ["# Audit by " + _cell(", ".join(audit.columns))]
    parts.append("\n".join(f"{k}. {_cell(text)}" for k, text in enumerate(words.answer(audit), 1)))
    for by, results in audit.results.items():
        parts += [
            f"## By {_cell(by)}",
            markdown_table(tables.cohort_table(results)),
            markdown_table(tables.by_group_table(results)),
            markdown_table(tables.gap_table(audit, by)),
        ]
    parts += ["## Limits", "\n".join(f"- {_cell(text)}" for text in words.limits(audit))]
    told = ", ".join(f"{name} {number}" for name, number in tables.versions().items())
    parts.append(f"Made with {told}; seed {audit.options.seed}.")
    return "\n\n".join(parts) + "\n"


def comparison_to_markdown(comparison: Comparison) -> str:
    """Return the paired differences as Markdown."""
    parts = ["# A minus B on the same images"]
    for by in comparison.a.results:
        parts += [f"## By {_cell(by)}", markdown_table(tables.paired_table(comparison, by))]
    return "\n\n".join(parts) + "\n"


def markdown_table(frame: pd.DataFrame) -> str:
    """Return a frame as a Markdown table; what Markdown or HTML would read is escaped."""
    lines = [list(frame.columns), ["---"] * len(frame.columns), *frame.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    text = " ".join(str(value).split())
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("`", "\\`")):
        text = text.replace(mark, safe)
    return text
