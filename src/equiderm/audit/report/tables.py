"""The tables of the report as text, shared by the page, Markdown and the terminal."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from equiderm.audit.gaps import versus
from equiderm.audit.metrics import METRICS
from equiderm.audit.report import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from equiderm.audit.audit import Audit
    from equiderm.audit.comparison import Comparison
    from equiderm.audit.groups import ByGroup
    from equiderm.audit.label_error import Corrected
    from equiderm.audit.report.checklist import Item

HEADLINE = ("auroc", "sensitivity", "specificity")
COMPARED = ("auroc", "sensitivity", "specificity", "ppv", "brier")
_CHANCE = ("by chance, mean", "by chance, 95 % below", "p")


def cohort_table(results: ByGroup) -> pd.DataFrame:
    """Return rows, patients, positives and prevalence, overall and by group."""
    study = results.study
    rows: list[dict[str, Any]] = []
    for name, index in zip(["overall", *results.grouping.labels], results.rows, strict=False):
        positives = int(study.target[index].sum())
        row: dict[str, Any] = {results.grouping.name: name, "images": len(index)}
        if study.patient is not None:
            row["patients"] = len(np.unique(study.patient[index]))
        row |= {"positives": positives, "prevalence": f"{100 * positives / len(index):.1f} %"}
        rows.append(row)
    return pd.DataFrame(rows)


def by_group_table(results: ByGroup, names: tuple[str, ...] = HEADLINE) -> pd.DataFrame:
    """Return figures with intervals as text, overall and by group."""
    rows: list[dict[str, str]] = []
    for group in ["overall", *results.grouping.labels]:
        row = {results.grouping.name: group}
        for metric in names:
            row[METRICS[metric].label] = words.with_interval(results.figure(metric, group))
        rows.append(row)
    return pd.DataFrame(rows)


def operating_table(audit: Audit, by: str) -> pd.DataFrame:
    """Return what happens to 100 people of each group at the threshold, as text."""
    finding = words.plural(audit)
    results = audit.results[by]
    return pd.DataFrame(
        [
            {
                by: group,
                f"of 100 {finding} it finds": words.per_hundred(
                    results.figure("sensitivity", group)
                ),
                "of 100 others it clears": words.per_hundred(results.figure("specificity", group)),
                f"of 100 it calls, truly {finding}": words.per_hundred(
                    results.figure("ppv", group)
                ),
                "of 100 images it calls": words.per_hundred(
                    results.figure("selection_rate", group)
                ),
            }
            for group in ["overall", *results.grouping.labels]
        ]
    )


def gap_table(audit: Audit, by: str) -> pd.DataFrame:
    """Return the gap of every figure beside what chance gives, as text."""
    rows: list[dict[str, str]] = []
    for metric in METRICS:
        gap = audit.gap(metric, by=by)
        row = {"figure": METRICS[metric].label, "gap": words.number(gap.value)}
        row["95 % interval"] = f"{words.number(gap.low)} to {words.number(gap.high)}"
        row |= {"worst": gap.worst or "–", "by chance, mean": words.number(gap.null_mean)}
        row |= {"by chance, 95 % below": words.number(gap.null_95), "p": words.p_value(gap.p)}
        rows.append(row)
    for name in ("equal_opportunity_difference", "equalized_odds_difference"):
        value, low, high, _ = audit.odds_difference(name, by=by)
        row = {"figure": name.replace("_", " ").capitalize(), "gap": words.number(value)}
        row["95 % interval"] = f"{words.number(low)} to {words.number(high)}"
        rows.append(row | dict.fromkeys(["worst", *_CHANCE], "–"))
    return pd.DataFrame(rows)


def versus_table(audit: Audit, by: str, reference: str | None) -> pd.DataFrame:
    """Return each group against the rest, or against a reference, as text."""
    rows: list[dict[str, str]] = []
    for metric in COMPARED:
        for row in versus(audit.results[by], metric, reference):
            rows.append(
                {
                    by: row["group"],
                    "figure": METRICS[metric].label,
                    "difference": f"{row['difference']:+.3f} ({row['low']:+.3f} to "
                    f"{row['high']:+.3f})",
                    "p": words.p_value(row["p"]),
                    "p, Holm": words.p_value(row["p_holm"]),
                }
            )
    return pd.DataFrame(rows)


def paired_table(comparison: Comparison, by: str, names: Sequence[str] = COMPARED) -> pd.DataFrame:
    """Return A, B and A minus B for the compared figures, as text."""
    table = comparison.table
    part = table[(table["by"] == by) & table["figure"].isin(list(names))]
    return pd.DataFrame(
        [
            {
                by: row["group"],
                "figure": METRICS[str(row["figure"])].label,
                "A": words.number(row["a"]),
                "B": words.number(row["b"]),
                "A minus B": words.number(row["difference"]),
                "95 % interval": f"{words.number(row['low'])} to {words.number(row['high'])}",
                "p": words.p_value(row["p"]),
                "p, Holm": words.p_value(row["p_holm"]),
            }
            for row in cast("Any", part).to_dict("records")
        ]
    )


def power_table(audit: Audit, by: str, names: Sequence[str]) -> pd.DataFrame:
    """Return the smallest noticeable drop of each group alone, as text."""
    gaps = [audit.gap(metric, by=by) for metric in names]
    return pd.DataFrame(
        [
            {by: group}
            | {
                METRICS[gap.metric].label: words.number(gap.detectable.get(group, float("nan")))
                for gap in gaps
            }
            for group in audit.results[by].grouping.labels
        ]
    )


def labels_table(audit: Audit) -> pd.DataFrame:
    """Return the gap of the AUROC by each column of labels, as text."""
    gaps = [audit.gap("auroc", by=by) for by in audit.columns]
    return pd.DataFrame(
        [
            {"labels": gap.by, "gap of AUROC": words.number(gap.value)}
            | {"95 % interval": f"{words.number(gap.low)} to {words.number(gap.high)}"}
            | {"worst": gap.worst or "–", "p": words.p_value(gap.p)}
            for gap in gaps
        ]
    )


def corrected_table(one: Corrected, by: str) -> pd.DataFrame:
    """Return a figure by group as labelled, with the error doubled, and with it taken away."""
    return pd.DataFrame(
        {
            by: one.groups,
            "as labelled": one.labelled,
            "with twice the label error": one.doubled,
            "label error taken away": [
                f"{value:.3f} ± {error:.3f}"
                for value, error in zip(one.corrected, one.error, strict=True)
            ],
        }
    )


def every_figure(audit: Audit) -> pd.DataFrame:
    """Return all figures of all groups, as text."""
    table: Any = cast("Any", audit.table)
    return pd.DataFrame(
        [
            {"by": row["by"], "group": row["group"], "figure": METRICS[str(row["figure"])].label}
            | {"value": words.number(row["value"]), "low": words.number(row["low"])}
            | {"high": words.number(row["high"]), "n": row["n"], "positives": row["positives"]}
            | {"missing": row["missing"]}
            for row in table.to_dict("records")
        ]
    )


def checklist_table(items: Sequence[Item]) -> pd.DataFrame:
    """Return the checklist, as text."""
    return pd.DataFrame(
        [
            {
                "guideline": item.guideline,
                "asks": item.asks,
                "state": item.state,
                "answer": item.answer or "–",
            }
            for item in items
        ]
    )


def versions() -> dict[str, str]:
    """Return the versions of what the figures were computed with."""
    packages = ("equiderm", "numpy", "pandas", "scikit-learn", "scipy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
