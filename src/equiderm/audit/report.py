"""The audit as one offline page for people who do not code."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from equiderm.audit import charts, words
from equiderm.audit.checklist import SOURCES, checklist
from equiderm.audit.metrics import METRICS
from equiderm.page import Section, panel_block, render_page, table_block

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.audit.comparison import Comparison
    from equiderm.audit.groups import ByGroup
    from equiderm.audit.result import Audit

HEADLINE = ("auroc", "sensitivity", "specificity")
COMPARED = ("auroc", "sensitivity", "specificity", "ppv", "brier")


def render(audit: Audit) -> str:
    """Return the whole report as HTML; every text from the input is escaped."""
    sections = [Section("The answer", paragraphs=words.answer(audit)), _cohort(audit)]
    for by, results in audit.results.items():
        sections.append(_by_group(audit, by, results))
    for by in audit.columns:
        sections += [
            _operating(audit, by),
            _calibration(audit.results[by]),
            _gaps(audit, by),
            _versus(audit, by),
        ]
    sections += [
        _labels(audit),
        Section("Limits", blocks=(_bullets(words.limits(audit)),)),
        _checklist(audit),
        _all_figures(audit),
        _provenance(audit),
    ]
    return render_page(_title(audit), sections, lead=_lead(audit))


def render_comparison(comparison: Comparison) -> str:
    """Return the report of two models on the same images as HTML."""
    a, b = comparison.a, comparison.b
    sections = [_paired_answer(comparison)]
    for by in a.results:
        panels = [charts.paired_forest(comparison, by, metric) for metric in HEADLINE]
        table = paired_table(comparison, by)
        sections.append(
            Section(
                f"A against B by {by}",
                blocks=(
                    panel_block(panels),
                    table_block(table, caption=f"A minus B by {by}, with 95 % intervals"),
                ),
                notes=(
                    "AUROC by DeLong's paired method, the rest by a bootstrap that draws the same "
                    "patients for both; p after Holm over the groups. 'gap' compares the gaps.",
                ),
            )
        )
    for name, one in (("A", a), ("B", b)):
        sections.append(Section(f"Model {name}: {_model(one)}", paragraphs=words.answer(one)))
        sections += [_by_group(one, by, results) for by, results in one.results.items()]
    sections += [
        Section("Limits", blocks=(_bullets(words.limits(a)),)),
        _provenance(a),
        _provenance(b),
    ]
    return render_page(f"Audit: {_model(a)} against {_model(b)}", sections)


def notebook(audit: Audit) -> str:
    """Return the answer and the headline tables as an HTML fragment for notebooks."""
    blocks = [
        str(table_block(by_group_table(results), caption=f"By {by}, with 95 % intervals"))
        for by, results in audit.results.items()
    ]
    return "".join([str(_bullets(list(words.answer(audit)))), *blocks])


def _model(audit: Audit) -> str:
    return audit.provenance.model or audit.study.name


def _title(audit: Audit) -> str:
    return f"Audit of {_model(audit)} by {', '.join(audit.columns)}"


def _lead(audit: Audit) -> str:
    study = audit.study
    patients = "" if study.patient is None else f" of {int(study.patient.max()) + 1:,} patients"
    return (
        f"How well the scores tell {audit.provenance.finding} images from the others, for whom, "
        f"and how sure that is: {len(study.target):,} images{patients}."
    )


def _bullets(texts: list[str]) -> Any:
    from markupsafe import Markup

    items = Markup("").join(Markup("<li>{}</li>").format(text) for text in texts)
    return Markup("<ul>{}</ul>").format(items)


def cohort_table(results: ByGroup) -> pd.DataFrame:
    """Return rows, patients, positives and prevalence, overall and by group."""
    import numpy as np
    import pandas as pd

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


def _cohort(audit: Audit) -> Section:
    blocks = tuple(
        table_block(cohort_table(audit.results[by]), caption=f"Images by {by}")
        for by in audit.columns
    )
    source = audit.provenance.tone_source or "Group labels as given in the table."
    reliability = "Their reliability is not known here."
    if audit.agreement is not None:
        reliability = (
            f"Against people the labeller was right in {100 * audit.agreement.exact:.0f} % of "
            f"{audit.agreement.confusion.sum():,.0f} images."
        )
    return Section(
        "What was audited",
        paragraphs=(f"{source} {reliability}",),
        blocks=blocks,
        notes=audit.study.notes,
    )


def by_group_table(results: ByGroup, names: tuple[str, ...] = HEADLINE) -> pd.DataFrame:
    """Return figures with intervals as text, overall and by group."""
    import pandas as pd

    rows: list[dict[str, str]] = []
    for group in ["overall", *results.grouping.labels]:
        row = {results.grouping.name: group}
        for metric in names:
            row[METRICS[metric].label] = words.with_interval(results.figure(metric, group))
        rows.append(row)
    return pd.DataFrame(rows)


def _by_group(audit: Audit, by: str, results: ByGroup) -> Section:
    panels = [charts.forest(results, metric) for metric in HEADLINE]
    left_out = results.grouping.left_out
    notes = (f"{left_out} images in smaller intersections are not shown.",) if left_out else ()
    return Section(
        f"How well, for whom: by {by}",
        paragraphs=(
            f"Sensitivity and specificity at a score of {audit.options.threshold:g} or more.",
        ),
        blocks=(
            panel_block([*panels, charts.roc(results)]),
            table_block(by_group_table(results), caption=f"By {by}, with 95 % intervals"),
        ),
        notes=notes,
    )


def operating_table(audit: Audit, by: str) -> pd.DataFrame:
    """Return what happens to 100 people of each group at the threshold, as text."""
    import pandas as pd

    finding = audit.provenance.finding
    results = audit.results[by]
    return pd.DataFrame(
        [
            {
                by: group,
                f"of 100 {finding} it finds": words.per_hundred(
                    results.figure("sensitivity", group)
                ),
                "of 100 others it clears": words.per_hundred(results.figure("specificity", group)),
                f"of 100 it calls, {finding}": words.per_hundred(results.figure("ppv", group)),
                "of 100 images it calls": words.per_hundred(
                    results.figure("selection_rate", group)
                ),
            }
            for group in ["overall", *results.grouping.labels]
        ]
    )


def _operating(audit: Audit, by: str) -> Section:
    results, options = audit.results[by], audit.options
    chosen = by_group_table(results, ("sensitivity_at_specificity", "specificity_at_sensitivity"))
    cuts = results.thresholds
    return Section(
        f"At the threshold, in people: by {by}",
        blocks=(
            table_block(
                operating_table(audit, by),
                caption=f"Called positive from a score of {options.threshold:g} (95 % interval)",
            ),
            table_block(
                chosen,
                caption=f"Thresholds set on all images: {cuts['specificity']:.3g} for an overall "
                f"specificity of {options.specificity:g}, {cuts['sensitivity']:.3g} for an overall "
                f"sensitivity of {options.sensitivity:g}",
            ),
        ),
    )


def _calibration(results: ByGroup) -> Section:
    by = results.grouping.name
    table = by_group_table(results, ("brier", "calibration_error", "calibration_slope"))
    return Section(
        f"Can the scores be read as risks? By {by}",
        blocks=(
            panel_block([charts.calibration(results)]),
            table_block(table, caption=f"Calibration by {by}, with 95 % intervals"),
        ),
        notes=(
            "A slope below 1 means scores that are too extreme. The calibration error is "
            "larger by chance where images are few.",
        ),
    )


def gap_table(audit: Audit, by: str) -> pd.DataFrame:
    """Return the gap of every figure beside what chance gives, as text."""
    import pandas as pd

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


_CHANCE = ("by chance, mean", "by chance, 95 % below", "p")


def _gaps(audit: Audit, by: str) -> Section:
    import pandas as pd

    gaps = [audit.gap(metric, by=by) for metric in HEADLINE]
    panels = [charts.chance(audit.results[by], gap) for gap in gaps if not gap.why]
    power = pd.DataFrame(
        [
            {by: group}
            | {
                METRICS[gap.metric].label: words.number(gap.detectable.get(group, float("nan")))
                for gap in gaps
            }
            for group in audit.results[by].grouping.labels
        ]
    )
    return Section(
        f"The gap, chance and power: by {by}",
        paragraphs=(
            "The gap is the best group minus the worst. Noisy groups make a gap even where there "
            "is none, so it stands beside the gaps that shuffled group labels give.",
        ),
        blocks=(
            panel_block(panels),
            table_block(gap_table(audit, by), caption=f"Gaps by {by}"),
            table_block(
                power,
                caption="The smallest drop of one group alone that these numbers would show in 80 "
                "of 100 samples",
            ),
        ),
        notes=(
            "Equal opportunity and equalized odds differences as fairlearn defines them: the "
            "greatest difference of sensitivity between groups, and the greater of that and the "
            "same of the false positive rate; 0 is no difference.",
        ),
    )


def versus_table(audit: Audit, by: str, reference: str | None) -> pd.DataFrame:
    """Return each group against the rest, or against a reference, as text."""
    import pandas as pd

    rows: list[dict[str, str]] = []
    for metric in COMPARED:
        for row in audit.results[by].versus(metric, reference):
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


def _versus(audit: Audit, by: str) -> Section:
    reference = audit.reference_of(by)
    rest, against = versus_table(audit, by, None), versus_table(audit, by, reference)
    blocks: list[Any] = []
    if len(rest):
        blocks.append(table_block(rest, caption="Each group minus all the others"))
    if len(against):
        blocks.append(table_block(against, caption=f"Each group minus {by} {reference}"))
    return Section(
        f"Each group against the rest and against {reference}",
        blocks=tuple(blocks),
        notes=(
            "p: how often a random choice of images of the same classes lies as far from the "
            "overall figure; Holm's adjustment over the groups of the column.",
        ),
    )


def _labels(audit: Audit) -> Section:
    import pandas as pd

    blocks: list[Any] = []
    told: list[str] = []
    if len(audit.columns) > 1:
        gaps = [audit.gap("auroc", by=by) for by in audit.columns]
        table = pd.DataFrame(
            [
                {"labels": gap.by, "gap of AUROC": words.number(gap.value)}
                | {"95 % interval": f"{words.number(gap.low)} to {words.number(gap.high)}"}
                | {"worst": gap.worst or "–", "p": words.p_value(gap.p)}
                for gap in gaps
            ]
        )
        blocks.append(table_block(table, caption="The same question by each column of labels"))
    if audit.labelings:
        told += [_agreement_of(audit, other) for other in audit.columns[1:]]
        worst = {audit.gap("auroc", by=by).worst for by in audit.columns}
        told.append(
            "All labelings name the same worst group."
            if len(worst) == 1
            else "The labelings differ in which group is worst: do not rest a conclusion on one."
        )
    for one in audit.corrected():
        frame = pd.DataFrame(
            {
                audit.columns[0]: one.groups,
                "as labelled": one.labelled,
                "with twice the label error": one.doubled,
                "label error taken away": [
                    f"{value:.3f} ± {error:.3f}"
                    for value, error in zip(one.corrected, one.error, strict=True)
                ],
            }
        )
        label = METRICS[one.metric].label
        blocks.append(table_block(frame, caption=f"{label} and the label error (SIMEX)"))
        told.append(
            f"{label}: the gap is {one.gap_labelled:.3f} as labelled and {one.gap_corrected:.3f} "
            f"({one.gap_low:.3f} to {one.gap_high:.3f}) with the label error taken away; the worst "
            f"group is {one.worst_labelled} as labelled and {one.worst_corrected} then, and "
            f"{one.worst_labelled} stays worst in {100 * one.worst_stays:.0f} of 100 draws."
        )
    if audit.agreement is not None and audit.agreement.exact < 0.5:
        told.append(
            "Under half of the labels are right: the correction reaches far beyond the data and "
            "gives a direction, not a value."
        )
    if not told and not blocks:
        told.append(
            "Not examined: give the labeller's errors or a second labeling to see whether the "
            "conclusion would change."
        )
    return Section("If the group labels are wrong", paragraphs=tuple(told), blocks=tuple(blocks))


def _agreement_of(audit: Audit, other: str) -> str:
    import numpy as np

    first = audit.columns[0]
    one, two = (audit.results[name].grouping for name in (first, other))
    names = np.array([*one.labels, ""]), np.array([*two.labels, ""])
    both = (one.codes >= 0) & (two.codes >= 0)
    same = (names[0][one.codes] == names[1][two.codes])[both]
    share = 100 * float(same.mean()) if len(same) else float("nan")
    return f"{first} and {other} agree on {share:.0f} % of {len(same):,} images."


def _checklist(audit: Audit) -> Section:
    import pandas as pd

    items = checklist(audit)
    table = pd.DataFrame(
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
    filled = sum(item.state == "filled" for item in items)
    return Section(
        "Checklist",
        paragraphs=(f"{filled} of {len(items)} points could be filled from the table.",),
        blocks=(table_block(table, caption="Reporting guidelines, in our words"),),
        notes=(f"{'; '.join(SOURCES)}. They prompt questions; a filled list proves nothing.",),
    )


def _all_figures(audit: Audit) -> Section:
    import pandas as pd

    rows = [
        {"by": row["by"], "group": row["group"], "figure": METRICS[str(row["figure"])].label}
        | {"value": words.number(row["value"]), "low": words.number(row["low"])}
        | {"high": words.number(row["high"]), "n": row["n"], "positives": row["positives"]}
        | {"missing": row["missing"]}
        for row in audit.table.to_dict("records")
    ]
    return Section(
        "Every figure",
        blocks=(table_block(pd.DataFrame(rows), caption="Values with 95 % intervals"),),
        notes=(
            "pAUC: the area above 80 % sensitivity, as the ISIC 2024 challenge scored it (0 to "
            "0.20), and divided by 0.20 (0 to 1).",
        ),
    )


def versions() -> dict[str, str]:
    """Return the versions of what the figures were computed with."""
    packages = ("equiderm", "numpy", "pandas", "scikit-learn", "scipy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def _provenance(audit: Audit) -> Section:
    import pandas as pd

    told = [f"{name} {number}" for name, number in versions().items()]
    options = audit.options
    blocks: tuple[Any, ...] = ()
    if audit.provenance.files:
        files = pd.DataFrame(list(audit.provenance.files), columns=["file", "SHA-256"])
        blocks = (table_block(files, caption="Input files"),)
    command = (f"Command: {audit.provenance.command}",) if audit.provenance.command else ()
    return Section(
        f"Made from: {_model(audit)}",
        paragraphs=(
            f"Versions: {', '.join(told)}. Seed {options.seed}, {options.replicates:,} replicates, "
            f"intervals of bootstrap figures: {options.interval}.",
            *command,
        ),
        blocks=blocks,
    )


def _paired_answer(comparison: Comparison) -> Section:
    a, b = comparison.a, comparison.b
    told: list[str] = [f"A is {_model(a)}, B is {_model(b)}, on the same images."]
    for by in a.columns:
        table = comparison.table
        part = table[(table["by"] == by) & (table["figure"] == "auroc")].set_index("group")
        for group, what in (("overall", "AUROC overall"), ("gap", f"gap of AUROC by {by}")):
            if group in part.index:
                row = part.loc[group]
                told.append(
                    f"A minus B, {what}: {row['difference']:+.3f} ({row['low']:+.3f} to "
                    f"{row['high']:+.3f}, p {words.p_value(row['p'])})."
                )
    return Section("The answer", paragraphs=tuple(dict.fromkeys(told)))


def paired_table(comparison: Comparison, by: str) -> pd.DataFrame:
    """Return A, B and A minus B for the compared figures, as text."""
    import pandas as pd

    table = comparison.table
    part = table[(table["by"] == by) & table["figure"].isin(COMPARED)]
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
            for row in part.to_dict("records")
        ]
    )
