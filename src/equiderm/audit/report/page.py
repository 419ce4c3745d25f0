"""The audit as one offline page for people who do not code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from equiderm.audit.metrics import METRICS
from equiderm.audit.report import charts, tables, words
from equiderm.audit.report.checklist import SOURCES, checklist
from equiderm.audit.report.tables import HEADLINE
from equiderm.page import Section, panel_block, render_page, table_block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from equiderm.audit.audit import Audit
    from equiderm.audit.comparison import Comparison
    from equiderm.audit.groups import ByGroup


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
    return render_page(f"Audit: {_model(a)} against {_model(b)}", _compared(comparison))


def render_comparisons(pairs: Sequence[Comparison]) -> str:
    """Return the report of the first of several models against each of the others as HTML."""
    sections = [section for pair in pairs for section in _compared(pair)]
    others = ", ".join(_model(pair.b) for pair in pairs)
    return render_page(f"Audit: {_model(pairs[0].a)} against {others}", sections)


def _compared(comparison: Comparison) -> list[Section]:
    a, b = comparison.a, comparison.b
    sections = [
        Section(
            f"The answer: {_model(a)} against {_model(b)}",
            paragraphs=words.paired_answer(comparison),
        )
    ]
    for by in a.results:
        panels = [charts.paired_forest(comparison, by, metric) for metric in HEADLINE]
        table = tables.paired_table(comparison, by)
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
    return sections


def notebook(one: Audit | Comparison) -> str:
    """Return the answer and the headline tables as an HTML fragment for notebooks."""
    blocks = [str(table_block(table, caption=title)) for title, table in one.summaries()]
    return "".join([str(_bullets(list(one.answer()))), *blocks])


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


def _cohort(audit: Audit) -> Section:
    blocks = tuple(
        table_block(tables.cohort_table(audit.results[by]), caption=f"Images by {by}")
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
            table_block(tables.by_group_table(results), caption=f"By {by}, with 95 % intervals"),
        ),
        notes=notes,
    )


def _operating(audit: Audit, by: str) -> Section:
    results, options = audit.results[by], audit.options
    chosen = tables.by_group_table(
        results, ("sensitivity_at_specificity", "specificity_at_sensitivity")
    )
    cuts = results.thresholds
    return Section(
        f"At the threshold, in people: by {by}",
        blocks=(
            table_block(
                tables.operating_table(audit, by),
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
    table = tables.by_group_table(results, ("brier", "calibration_error", "calibration_slope"))
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


def _gaps(audit: Audit, by: str) -> Section:
    gaps = [audit.gap(metric, by=by) for metric in HEADLINE]
    panels = [charts.chance(audit.results[by], gap) for gap in gaps if not gap.why]
    power = tables.power_table(audit, by, HEADLINE)
    return Section(
        f"The gap, chance and power: by {by}",
        paragraphs=(
            "The gap is the best group minus the worst. Noisy groups make a gap even where there "
            "is none, so it stands beside the gaps that shuffled group labels give.",
        ),
        blocks=(
            panel_block(panels),
            table_block(tables.gap_table(audit, by), caption=f"Gaps by {by}"),
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


def _versus(audit: Audit, by: str) -> Section:
    reference = audit.reference_of(by)
    rest, against = tables.versus_table(audit, by, None), tables.versus_table(audit, by, reference)
    blocks: list[Any] = []
    if len(rest):
        blocks.append(table_block(rest, caption="Each group minus all the others"))
    if len(against):
        blocks.append(table_block(against, caption=f"Each group minus {by} {reference}"))
    return Section(
        f"Each group against the rest and against {by} {reference}",
        blocks=tuple(blocks),
        notes=(
            "p: how often a random choice of images of the same classes lies as far from the "
            "overall figure; Holm's adjustment over the groups of the column. Each group keeps its "
            "share of positives, so PPV and Brier score may differ by prevalence while p is large.",
        ),
    )


def _labels(audit: Audit) -> Section:
    blocks: list[Any] = []
    if len(audit.columns) > 1:
        table = tables.labels_table(audit)
        blocks.append(table_block(table, caption="The same question by each column of labels"))
    corrected = audit.corrected()
    for one in corrected:
        frame = tables.corrected_table(one, audit.columns[0])
        label = METRICS[one.metric].label
        blocks.append(table_block(frame, caption=f"{label} and the label error (SIMEX)"))
    told = words.if_labels_are_wrong(audit, corrected)
    return Section("If the group labels are wrong", paragraphs=told, blocks=tuple(blocks))


def _checklist(audit: Audit) -> Section:
    items = checklist(audit)
    table = tables.checklist_table(items)
    filled = sum(item.state == "filled" for item in items)
    return Section(
        "Checklist",
        paragraphs=(f"{filled} of {len(items)} points could be filled from the table.",),
        blocks=(table_block(table, caption="Reporting guidelines, in our words"),),
        notes=(f"{'; '.join(SOURCES)}. They prompt questions; a filled list proves nothing.",),
    )


def _all_figures(audit: Audit) -> Section:
    return Section(
        "Every figure",
        blocks=(table_block(tables.every_figure(audit), caption="Values with 95 % intervals"),),
        notes=(
            "pAUC: the area above 80 % sensitivity, as the ISIC 2024 challenge scored it (0 to "
            "0.20), and divided by 0.20 (0 to 1).",
        ),
    )


def _provenance(audit: Audit) -> Section:
    import pandas as pd

    told = [f"{name} {number}" for name, number in tables.versions().items()]
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
