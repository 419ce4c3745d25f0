"""The report of an audit as one offline HTML page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from equiderm.audit.groupings import MOST_GROUPS
from equiderm.audit.metrics import HEADLINE, METRICS
from equiderm.audit.report import case_mix, charts, curves, subgroups, tables, words
from equiderm.audit.report.checklist import NO_ADVICE, SOURCES, checklist
from equiderm.audit.report.first_screen import first_screen
from equiderm.audit.report.naming import model_of, naming, spell
from equiderm.audit.report.paired import paired_answer
from equiderm.format import count, listed, percent
from equiderm.page import (
    Section,
    bullets_block,
    first_screen_block,
    panel_block,
    render_page,
    table_block,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from equiderm.audit.audit import Audit
    from equiderm.audit.comparison import Comparison


def render(audit: Audit, *, answers: Mapping[str, str] | None = None) -> str:
    """Return the whole report as HTML; all text from the input is escaped."""
    screen = first_screen(audit)
    sections = [_cohort(audit)]
    sections += [replace(_by_group(audit, by), printed=by in audit.columns) for by in audit.results]
    sections += [*curves.sections(audit), *case_mix.sections(audit)]
    if audit.study.truth:
        for by in audit.columns:
            parts = [_operating(audit, by), _calibration(audit, by)]
            parts += [_gaps(audit, by), _versus(audit, by)]
            sections += [replace(part, printed=by == audit.columns[0]) for part in parts]
        sections.append(_labels(audit))
    if audit.found is not None:
        sections.append(subgroups.section(audit.found))
    sections += [
        Section("Limits", blocks=(bullets_block(words.limits(audit)),)),
        *_every_figure(audit),
        _checklist(audit, answers),
        _provenance(audit),
    ]
    return render_page(screen.title, sections, first=first_screen_block(screen))


def render_summary(audit: Audit) -> str:
    """Return the first sheet as an HTML page of its own."""
    screen = first_screen(audit)
    return render_page(screen.title, [], first=first_screen_block(screen))


def render_comparison(comparison: Comparison) -> str:
    """Return the report of two models on the same images as HTML."""
    a, b = comparison.a, comparison.b
    return render_page(f"Audit: {model_of(a)} against {model_of(b)}", _compared(comparison))


def render_comparisons(pairs: Sequence[Comparison]) -> str:
    """Return the report of the first of several models against each of the others as HTML."""
    sections = [section for pair in pairs for section in _compared(pair)]
    others = ", ".join(model_of(pair.b) for pair in pairs)
    return render_page(f"Audit: {model_of(pairs[0].a)} against {others}", sections)


def _compared(comparison: Comparison) -> list[Section]:
    a, b = comparison.a, comparison.b
    sections = [
        Section(
            f"Which is better, for whom: {model_of(a)} or {model_of(b)}",
            paragraphs=paired_answer(comparison),
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
                    table_block(table, caption=f"A minus B by {by}, with adjusted intervals"),
                ),
                notes=(
                    "AUROC and shares are compared by each patient's contribution to both models, "
                    "the rest by a bootstrap of the same patients for both. Intervals and p are "
                    "adjusted (Holm) over the groups and, for AUROC, sensitivity and specificity, "
                    "over the three. 'gap' compares the gaps.",
                ),
            )
        )
    for name, audit in (("A", a), ("B", b)):
        screen, title = first_screen(audit), f"Model {name}: {model_of(audit)}"
        sections.append(Section(title, paragraphs=(screen.headline, *screen.evidence)))
        sections += [_by_group(audit, by) for by in audit.results]
        sections += [*curves.sections(audit), *case_mix.sections(audit)]
    return [
        *sections,
        Section("Limits", blocks=(bullets_block(words.limits(a)),)),
        _provenance(a),
        _provenance(b),
    ]


def _cohort(audit: Audit) -> Section:
    blocks = tuple(
        table_block(tables.cohort_table(audit, by), caption=f"Images by {by}")
        for by in audit.columns
    )
    source = audit.provenance.tone_source or "Group labels as given in the table."
    reliability = "Their reliability is not known here."
    if audit.agreement is not None:
        reliability = (
            f"Against people the labeller was right in {percent(audit.agreement.exact, 0)} of "
            f"{count(audit.agreement.confusion.sum())} images."
        )
    return Section(
        "What was audited",
        paragraphs=(f"{source} {reliability}",),
        blocks=blocks,
        notes=tuple(spell(audit, note) for note in audit.study.notes),
    )


def _by_group(audit: Audit, by: str) -> Section:
    results, heading = audit.results[by], naming(audit, by).heading
    panels = [charts.forest(audit, by, metric) for metric in tables.headline(audit)]
    if audit.study.truth:
        panels.append(charts.roc(audit, by))
    grouping = results.grouping
    notes: list[str] = []
    if grouping.left_out:
        notes.append(f"{grouping.left_out} images in smaller intersections are not shown.")
    if grouping.unshown:
        notes.append(
            f"Not shown, as only the {MOST_GROUPS} intersections with the most images are: "
            f"{listed(grouping.unshown)}."
        )
    return Section(
        f"Performance by {_lower(heading)}",
        paragraphs=(f"Flagged from a score of {audit.options.threshold:g}.",),
        blocks=(
            panel_block(panels),
            table_block(tables.by_group_table(audit, by), caption=f"By {by}, with 95 % intervals"),
        ),
        notes=tuple(notes),
    )


def _lower(heading: str) -> str:
    return heading[:1].lower() + heading[1:] if heading == "Skin tone band" else heading


def _operating(audit: Audit, by: str) -> Section:
    results, options = audit.results[by], audit.options
    chosen = tables.by_group_table(
        audit, by, ("sensitivity_at_specificity", "specificity_at_sensitivity")
    )
    cuts = results.thresholds
    return Section(
        f"Out of 100 patients: by {_lower(naming(audit, by).heading)}",
        blocks=(
            table_block(
                tables.operating_table(audit, by),
                caption=f"Flagged from a score of {options.threshold:g} (95 % interval)",
            ),
            table_block(
                chosen,
                caption=f"Thresholds set on all images: {cuts['specificity']:.3g} for an overall "
                f"specificity of {options.specificity:g}, {cuts['sensitivity']:.3g} for an overall "
                f"sensitivity of {options.sensitivity:g}",
            ),
        ),
    )


def _calibration(audit: Audit, by: str) -> Section:
    table = tables.by_group_table(audit, by, ("brier", "calibration_error", "calibration_slope"))
    return Section(
        f"Can the scores be read as risks? By {_lower(naming(audit, by).heading)}",
        blocks=(
            panel_block([charts.calibration(audit, by)]),
            table_block(table, caption=f"Calibration by {by}, with 95 % intervals"),
        ),
        notes=(
            "A slope below 1 means scores that are too extreme. The calibration error is "
            "larger by chance where images are few.",
        ),
    )


def _gaps(audit: Audit, by: str) -> Section:
    gaps = [audit.gap(metric, by=by) for metric in HEADLINE]
    panels = [charts.chance(audit, gap) for gap in gaps if not gap.why]
    return Section(
        f"The gap, chance and power: by {_lower(naming(audit, by).heading)}",
        paragraphs=(
            "The gap is the best group minus the worst. Noise alone makes it larger than 0, so it "
            "is shown beside the gaps that groups of these sizes have by chance. Whether a "
            "difference is established is decided by the verdict alone.",
        ),
        blocks=(
            table_block(
                tables.verdict_table(audit, by),
                caption="The verdict: for each figure the group that differs most from all others; "
                "interval and p adjusted over the groups and the three figures",
            ),
            panel_block(panels),
            table_block(tables.gap_table(audit, by), caption=f"Gaps by {by}"),
            table_block(
                tables.power_table(audit, by, HEADLINE),
                caption="The smallest drop in one group alone that would be noticed in 80 of 100 "
                "samples of these sizes",
            ),
        ),
        notes=(
            "Equal opportunity and equalized odds differences follow fairlearn: the largest "
            "difference in sensitivity between groups, and the larger of this and the same "
            "difference in the false positive rate; 0 is no difference.",
        ),
    )


def _versus(audit: Audit, by: str) -> Section:
    reference = audit.reference_of(by)
    shown = naming(audit, by).shown(reference)
    rest, against = tables.versus_table(audit, by, None), tables.versus_table(audit, by, reference)
    blocks: list[Any] = []
    if len(rest):
        blocks.append(table_block(rest, caption="Each group minus all the others"))
    if len(against) and len(audit.results[by].grouping.labels) > 2:
        blocks.append(table_block(against, caption=f"Each group minus {by} {shown}"))
    return Section(
        f"Each group against the rest and against {by} {shown}",
        blocks=tuple(blocks),
        notes=(
            "Intervals are adjusted over the groups (and AUROC, sensitivity and specificity over "
            "each other); a star marks differences that chance does not explain. PPV and Brier "
            "score also differ if groups differ in prevalence.",
        ),
    )


def _labels(audit: Audit) -> Section:
    blocks: list[Any] = []
    if len(audit.columns) > 1:
        table = tables.labels_table(audit)
        blocks.append(table_block(table, caption="The same question by each column of labels"))
    corrected = audit.corrected()
    for figure in corrected:
        frame = tables.corrected_table(audit, figure, audit.columns[0])
        label = METRICS[figure.metric].label
        blocks.append(table_block(frame, caption=f"{label} and the label error (SIMEX)"))
    sentences = words.if_labels_are_wrong(audit, corrected)
    return Section("If the group labels are wrong", paragraphs=sentences, blocks=tuple(blocks))


def _checklist(audit: Audit, answers: Mapping[str, str] | None) -> Section:
    items = checklist(audit, answers)
    table = tables.checklist_table(items)
    filled = sum(item.state == "filled" for item in items)
    how = "" if filled == len(items) else spell(
        audit, " Answer the others in a file of keys and texts: `answers=\"answers.toml\"`."
    )  # fmt: skip
    return Section(
        "Checklist",
        paragraphs=(f"{filled} of {len(items)} points are filled.{how}",),
        blocks=(table_block(table, caption="Reporting guidelines, in our words"),),
        notes=(
            f"{'; '.join(SOURCES)}. They prompt questions; a filled list proves nothing.",
            NO_ADVICE,
        ),
    )


def _every_figure(audit: Audit) -> list[Section]:
    return [
        Section(
            f"Every figure by {_lower(naming(audit, by).heading)}",
            blocks=tuple(
                table_block(frame, caption=f"By {by}, with 95 % intervals")
                for frame in tables.every_figure(audit, by)
            ),
            notes=(
                "pAUC: the area above 80 % sensitivity, as the ISIC 2024 challenge scored it (0 to "
                "0.20), and divided by 0.20 (0 to 1). These intervals are not adjusted for their "
                "number; the verdict is.",
                *tables.missing_figures(audit, by),
            ),
            printed=by == audit.columns[0],
        )
        for by in audit.results
    ]


def _provenance(audit: Audit) -> Section:
    import pandas as pd

    options = audit.options
    blocks: tuple[Any, ...] = ()
    if audit.provenance.files:
        files = pd.DataFrame(list(audit.provenance.files), columns=["file", "SHA-256"])
        blocks = (table_block(files, caption="Input files"),)
    return Section(
        f"How it was computed: {model_of(audit)}",
        paragraphs=(
            f"Versions: {tables.versions_text()}. Seed {options.seed}, {options.replicates:,} "
            f"replicates, intervals of bootstrap figures: {options.interval}.",
            *tables.command(audit),
        ),
        blocks=blocks,
    )
