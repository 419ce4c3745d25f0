"""The tables of the report as text, shared by the page, Markdown and the terminal."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from equiderm.audit.gaps import ODDS_DIFFERENCES
from equiderm.audit.metrics import HEADLINE, METRICS, WITHOUT_TRUTH
from equiderm.audit.report import words
from equiderm.audit.report.naming import naming
from equiderm.format import count, interval, number, p_value, percent, with_interval
from equiderm.statistics.delong import kish_n

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from equiderm.audit.audit import Audit
    from equiderm.audit.comparison import Comparison
    from equiderm.audit.label_error import Corrected
    from equiderm.audit.report.checklist import Item
    from equiderm.audit.shown import ShownAudit

COMPARED = ("auroc", "sensitivity", "specificity", "ppv", "brier")
MOST_COLUMNS = 6  # groups side by side in a table


def headline(audit: Audit) -> tuple[str, ...]:
    """Return the figures that are shown first; without a truth, those that need none."""
    return HEADLINE if audit.study.truth else WITHOUT_TRUTH


def cohort_table(audit: Audit, by: str) -> pd.DataFrame:
    """Return rows, patients, positives and prevalence, overall and by group."""
    results, study, names = audit.results[by], audit.study, naming(audit, by)
    rows: list[dict[str, Any]] = []
    for name, index in zip(["overall", *results.grouping.labels], results.rows, strict=False):
        row: dict[str, Any] = {names.heading: names.shown(name), "images": f"{len(index):,}"}
        if study.patient is not None:
            row["patients"] = f"{study.count_patients(index):,}"
        if study.truth:
            positives = int(study.target[index].sum())
            share = positives / len(index) if len(index) else float("nan")
            if study.weight is not None and len(index):
                share = float(np.average(study.target[index], weights=study.weight[index]))
            row |= {names.positives: f"{positives:,}", "prevalence": percent(share)}
        if study.weight is not None:
            weight = study.weight[index]
            row["weights add up to"] = f"{weight.sum() * study.weight_unit:,.6g}"
            row["effective n"] = count(kish_n(weight))
        rows.append(row)
    return pd.DataFrame(rows)


def by_group_table(audit: Audit, by: str, metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """Return figures with intervals as text, overall and by group."""
    results, names = audit.results[by], naming(audit, by)
    rows: list[dict[str, str]] = []
    for group in ["overall", *results.grouping.labels]:
        row = {names.heading: names.shown(group)}
        for metric in metrics or headline(audit):
            row[METRICS[metric].label] = words.estimate(results.figure(metric, group))
        rows.append(row)
    return pd.DataFrame(rows)


def operating_table(audit: Audit, by: str) -> pd.DataFrame:
    """Return results at the threshold for 100 patients of each group, as text."""
    results, names = audit.results[by], naming(audit, by)
    heads = {
        f"of 100 {names.positives}, found": "sensitivity",
        f"of 100 {names.negatives}, correctly negative": "specificity",
        f"of 100 flagged, how many are {names.positives}": "ppv",
        "of 100 images, flagged": "selection_rate",
    }
    return pd.DataFrame(
        [
            {names.heading: names.shown(group)}
            | {head: words.of_hundred(results.figure(m, group)) for head, m in heads.items()}
            for group in ["overall", *results.grouping.labels]
        ]
    )


def verdict_table(audit: Audit, by: str) -> pd.DataFrame:
    """Return the verdict on each of the three figures, adjusted, as text."""
    names = naming(audit, by)
    return pd.DataFrame(
        [
            {
                "figure": METRICS[f.metric].label,
                names.heading: names.shown(f.group) if f.group else "–",
                "this group": with_interval(f.value, f.low, f.high),
                "all others": with_interval(f.others_value, f.others_low, f.others_high),
                "difference, adjusted interval": with_interval(
                    f.difference, f.difference_low, f.difference_high, with_sign=True
                ),
                "p, adjusted": p_value(f.p),
                "verdict": f.outcome,
            }
            for f in audit.verdict(by).findings
        ]
    )


def gap_table(audit: Audit, by: str) -> pd.DataFrame:
    """Return the gap of every figure beside what chance gives, as text."""
    names = naming(audit, by)
    rows: list[dict[str, str]] = []
    for metric in METRICS:
        gap = audit.gap(metric, by=by)
        row = {"figure": METRICS[metric].label, "gap": number(gap.value)}
        row |= {"95 % interval": interval(gap.low, gap.high)}
        row |= {"lowest": names.shown(gap.lowest) if gap.lowest else "–"}
        row |= {"highest": names.shown(gap.highest) if gap.highest else "–"}
        row |= {"by chance, mean": number(gap.null_mean)}
        rows.append(row | {"by chance, 95 % below": number(gap.null_95)})
    for name in ODDS_DIFFERENCES:
        value, low, high, _ = audit.odds_difference(name, by=by)
        row = {"figure": name.replace("_", " ").capitalize(), "gap": number(value)}
        row["95 % interval"] = interval(low, high)
        others = ("lowest", "highest", "by chance, mean", "by chance, 95 % below")
        rows.append(row | dict.fromkeys(others, "–"))
    return pd.DataFrame(rows)


def versus_table(audit: Audit, by: str, reference: str | None) -> pd.DataFrame:
    """Return each group against the rest, or a reference, as text, one row per group.

    Intervals are adjusted over the groups; a star marks a difference that chance does not explain.
    """
    names = naming(audit, by)
    cells: dict[str, dict[str, str]] = {}
    for metric in COMPARED:
        for row in audit.results[by].differences(reference).compared(metric):
            ends = row.difference, row.low_adjusted, row.high_adjusted
            text = with_interval(*ends, with_sign=True) + " *" * row.established
            cells.setdefault(row.group, {})[METRICS[metric].label] = text
    heads = [METRICS[metric].label for metric in COMPARED]
    heads = [head for head in heads if any(head in row for row in cells.values())]
    return pd.DataFrame(
        [
            {names.heading: names.shown(group)} | {head: row.get(head, "–") for head in heads}
            for group, row in cells.items()
        ]
    )


def paired_table(
    comparison: Comparison, by: str, metrics: Sequence[str] = COMPARED
) -> pd.DataFrame:
    """Return A, B and A minus B for the compared figures, as text; interval and p adjusted."""
    table, names = comparison.table, naming(comparison.a, by)
    part = table[(table["by"] == by) & table["figure"].isin(list(metrics))]
    return pd.DataFrame(
        [
            {
                names.heading: names.shown(str(row["group"])),
                "figure": METRICS[str(row["figure"])].label,
                "A": number(row["a"]),
                "B": number(row["b"]),
                "A minus B": with_interval(
                    row["difference"], row["low_holm"], row["high_holm"], with_sign=True
                ),
                "p": p_value(row["p_holm"]),
            }
            for row in cast("Any", part).to_dict("records")
        ]
    )


def power_table(audit: Audit, by: str, metrics: Sequence[str]) -> pd.DataFrame:
    """Return the smallest noticeable drop of each group alone, as text."""
    verdict, names = audit.verdict(by), naming(audit, by)

    def drop(metric: str, group: str) -> str:
        value = verdict.detectable.get(metric, {}).get(group, float("nan"))
        missing = audit.results[by].value(metric, group)[2]
        return number(value) if value == value else "–" if missing else "none would be"

    return pd.DataFrame(
        [
            {names.heading: names.shown(group)}
            | {METRICS[metric].label: drop(metric, group) for metric in metrics}
            for group in audit.results[by].grouping.labels
        ]
    )


def labels_table(audit: Audit) -> pd.DataFrame:
    """Return the gap of the AUROC by each column of labels, as text."""
    rows: list[dict[str, str]] = []
    for by in audit.columns:
        gap, names = audit.gap("auroc", by=by), naming(audit, by)
        rows.append(
            {"labels": by, "gap of AUROC": with_interval(gap.value, gap.low, gap.high)}
            | {"worst": names.shown(gap.worst) if gap.worst else "–"}
            | {"p, adjusted": p_value(gap.p), "verdict": audit.verdict(by).outcome}
        )
    return pd.DataFrame(rows)


def corrected_table(audit: Audit, corrected: Corrected, by: str) -> pd.DataFrame:
    """Return a figure by group as labelled, with the error doubled, and corrected for it."""
    names = naming(audit, by)
    return pd.DataFrame(
        {
            names.heading: [names.shown(group) for group in corrected.groups],
            "as labelled": corrected.labelled,
            "with twice the label error": corrected.doubled,
            "corrected for label error": [
                f"{number(value)} ± {number(error)}"
                for value, error in zip(corrected.corrected, corrected.error, strict=True)
            ],
        }
    )


def every_figure(audit: Audit, by: str) -> Iterator[pd.DataFrame]:
    """Yield all figures of a grouping as text, one row per figure, a few groups per table."""
    results, names = audit.results[by], naming(audit, by)
    groups = ["overall", *results.grouping.labels]
    metrics = METRICS if audit.study.truth else WITHOUT_TRUTH
    for start in range(0, len(groups), MOST_COLUMNS + 1):
        part = groups[start : start + MOST_COLUMNS + 1]
        yield pd.DataFrame(
            [
                {"figure": METRICS[metric].label}
                | {names.shown(group): _short(results.figure(metric, group)) for group in part}
                for metric in metrics
            ]
        )


def _short(figure: Any) -> str:
    return "–" if figure.why else words.estimate(figure)


def missing_figures(audit: Audit, by: str) -> tuple[str, ...]:
    """Return why figures of a grouping are missing, one sentence per reason."""
    results, names = audit.results[by], naming(audit, by)
    reasons: dict[str, dict[str, None]] = {}
    for group in ["overall", *results.grouping.labels]:
        for metric in METRICS if audit.study.truth else WITHOUT_TRUTH:
            if why := results.value(metric, group)[2]:
                reasons.setdefault(f"{names.shown(group)}: {why}", {})[METRICS[metric].label] = None
    return tuple(f"{reason} ({', '.join(figures)})." for reason, figures in reasons.items())


def checklist_table(items: Sequence[Item]) -> pd.DataFrame:
    """Return the checklist, as text."""
    return pd.DataFrame(
        [
            {
                "guideline": item.guideline,
                "asks": item.asks,
                "state": item.state,
                "answer": item.answer or f"– ({item.key})",
            }
            for item in items
        ]
    )


def command(audit: Audit | ShownAudit) -> tuple[str, ...]:
    """Return a sentence with the command line that asked for an audit, if there was one."""
    line = audit.provenance.command
    return (f"Command: {line}",) if line else ()


def versions_text() -> str:
    """Return `versions` as text."""
    return ", ".join(f"{name} {number}" for name, number in versions().items())


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that computed the figures."""
    packages = ("equiderm", "numpy", "pandas", "scikit-learn", "scipy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
