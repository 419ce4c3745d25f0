"""The audit in plain sentences: the answer, the limits, and numbers as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.metrics import METRICS
from equiderm.audit.sampling import is_nested

if TYPE_CHECKING:
    from collections.abc import Sequence

    from equiderm.audit.audit import Audit
    from equiderm.audit.comparison import Comparison
    from equiderm.audit.gaps import Gap
    from equiderm.audit.groups import Figure
    from equiderm.audit.label_error import Corrected

SMALL_GAP = 0.05  # the drop that the advice on sample size is given for


def number(value: float, digits: int = 3) -> str:
    """Return a number as text, a missing one as a dash."""
    return "–" if value != value else f"{value:.{digits}f}"


def with_interval(figure: Figure, digits: int = 3) -> str:
    """Return "0.905 (0.890 to 0.918)", or why the figure is missing."""
    if figure.why:
        return f"– ({figure.why})"
    low, high = number(figure.low, digits), number(figure.high, digits)
    return f"{number(figure.value, digits)} ({low} to {high})"


def p_value(p: float) -> str:
    """Return a p-value to three digits, small ones as a bound."""
    if p != p:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def per_hundred(figure: Figure) -> str:
    """Return a share as "61 (45 to 76)" of 100, or why it is missing."""
    if figure.why:
        return f"– ({figure.why})"
    return f"{100 * figure.value:.0f} ({100 * figure.low:.0f} to {100 * figure.high:.0f})"


def answer(audit: Audit, by: str | None = None) -> tuple[str, str, str]:
    """Return the three sentences: how well for whom, how sure, what to do."""
    by = by or audit.columns[0]
    gap = audit.gap("auroc", by=by)
    return _how_well(audit, by, gap), _how_sure(audit, by, gap), _what_to_do(audit, by, gap)


def _how_well(audit: Audit, by: str, gap: Gap) -> str:
    study, overall = audit.study, audit.figure("auroc", by=by)
    start = (
        f"Over {len(study.target):,} images ({int(study.target.sum()):,} {plural(audit)}) the "
        f"AUROC is {with_interval(overall, 2)}"
    )
    if gap.why:
        return f"{start}; the groups of {by} cannot be compared ({gap.why})."
    lowest = with_interval(audit.figure("auroc", gap.lowest, by=by), 2)
    highest = with_interval(audit.figure("auroc", gap.highest, by=by), 2)
    text = f"{start}: lowest in {by} {gap.lowest}, {lowest}, highest in {gap.highest}, {highest}"
    found = [audit.figure("sensitivity", name, by=by) for name in (gap.lowest, gap.highest)]
    if any(figure.why for figure in found):
        return f"{text}."
    return (
        f"{text}; called positive from a score of {audit.options.threshold:g}, of 100 "
        f"{plural(audit)} it finds {per_hundred(found[0])} in {by} {gap.lowest} and "
        f"{per_hundred(found[1])} in {gap.highest}."
    )


def plural(audit: Audit) -> str:
    """Return what positive images show, in the plural."""
    finding = audit.provenance.finding
    return finding if finding.endswith("s") else f"{finding}s"


def _how_sure(audit: Audit, by: str, gap: Gap) -> str:
    if gap.why:
        return f"How sure that is cannot be said, because {gap.why}."
    verdict = "is more than" if gap.p < 0.05 else "is no more than"
    return (
        f"The gap of {number(gap.value, 2)} {verdict} chance gives groups of these sizes: with "
        f"the group labels shuffled it is {number(gap.null_mean, 2)} on average and as large as "
        f"this in {100 * gap.p:.1f} of 100 shuffles; the true gap lies between "
        f"{number(gap.low, 2)} and {number(gap.high, 2)} with 95 % confidence."
    )


def _what_to_do(audit: Audit, by: str, gap: Gap) -> str:
    unjudged = unjudged_groups(audit, by)
    rest = f"; nothing can be said of {by} {' and '.join(unjudged)}" if unjudged else ""
    if gap.why:
        return (
            f"Collect images until each group of {by} has at least {audit.options.min_count} "
            f"{plural(audit)} and as many others, and audit again."
        )
    group, drop = max(gap.detectable.items(), key=lambda item: item[1])
    held = int(audit.study.target[audit.results[by].groups[_place(audit, by, group)]].sum())
    if gap.p < 0.05:
        return (
            f"Before it is used on {by} {gap.worst}, find out why it is worse there (photographs, "
            f"share of the training data, labels) and measure again on new images of that group"
            f"{rest}."
        )
    needed = round(held * (drop / SMALL_GAP) ** 2, -1)
    more = (
        f", and noticing {SMALL_GAP:g} would take about {needed:,.0f}" if drop > SMALL_GAP else ""
    )
    return (
        f"Do not read this as proof that all groups are served alike: {by} {group} has {held} "
        f"{plural(audit)}, so only a drop of {number(drop, 2)} or more would probably have been "
        f"noticed there{more}{rest}."
    )


def _place(audit: Audit, by: str, group: str) -> int:
    return audit.results[by].grouping.labels.index(group)


def unjudged_groups(audit: Audit, by: str) -> list[str]:
    """Return the groups of a column that have too few images for an AUROC."""
    results = audit.results[by]
    return [name for name in results.grouping.labels if results.figure("auroc", name).why]


def limits(audit: Audit) -> list[str]:
    """Return what this audit cannot say, sentence by sentence."""
    study, options = audit.study, audit.options
    told = [
        "The figures describe these images; another clinic, camera or case mix may differ.",
        "The gap of noisy groups is larger than the true gap; read it beside what chance gives.",
        f"A group needs {options.min_count} images of the kind that a figure counts; below that "
        "it is missing, not zero.",
        "AUPRC, PPV, NPV and the selection rate depend on how common positives are in a group.",
    ]
    if study.patient is None:
        told.append(
            "No patient column (or one image a patient): images are taken as independent, which "
            "makes intervals too narrow where one patient gave several."
        )
    else:
        for one in study.groupings:
            if not is_nested(study, one):
                told.append(
                    f"Patients have images in several groups of {one.name}: chance was judged by "
                    "shuffling images, not patients, which may understate it."
                )
    if audit.agreement is None and not audit.labelings:
        told.append(
            "The group labels are taken as true; their error is not known here and usually makes "
            "the gap look smaller."
        )
    return [*told, *study.notes]


def label_of(metric: str) -> str:
    """Return a figure's name for people."""
    return METRICS[metric].label


def paired_answer(comparison: Comparison) -> tuple[str, ...]:
    """Return what differs between A and B: the AUROC overall, and the gap of each column."""
    a, b = (one.provenance.model or one.study.name for one in (comparison.a, comparison.b))
    told = [f"A is {a}, B is {b}, on the same {len(comparison.a.study.target):,} images."]
    table: Any = comparison.table[comparison.table["figure"] == "auroc"]
    for by in comparison.a.columns:
        part = table[table["by"] == by].set_index("group")
        for group, what in (("overall", "AUROC overall"), ("gap", f"gap of AUROC by {by}")):
            if group in part.index:
                row = {name: float(part.at[group, name]) for name in ("difference", *_ENDS)}
                told.append(
                    f"A minus B, {what}: {row['difference']:+.3f} ({row['low']:+.3f} to "
                    f"{row['high']:+.3f}, p {p_value(row['p'])})."
                )
    return tuple(dict.fromkeys(told))


_ENDS = ("low", "high", "p")


def if_labels_are_wrong(audit: Audit, corrected: Sequence[Corrected]) -> tuple[str, ...]:
    """Return what other labelings, or the labeller's errors (`Audit.corrected`), would change."""
    told: list[str] = []
    if audit.labelings:
        told += [_agreement_of(audit, other) for other in audit.columns[1:]]
        worst = {audit.gap("auroc", by=by).worst for by in audit.columns}
        told.append(
            "All labelings name the same worst group."
            if len(worst) == 1
            else "The labelings differ in which group is worst: do not rest a conclusion on one."
        )
    for one in corrected:
        label = METRICS[one.metric].label
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
    if not told and len(audit.columns) == 1:
        told.append(
            "Not examined: give the labeller's errors or a second labeling to see whether the "
            "conclusion would change."
        )
    return tuple(told)


def _agreement_of(audit: Audit, other: str) -> str:
    first = audit.columns[0]
    one, two = (audit.results[name].grouping for name in (first, other))
    names = np.array([*one.labels, ""]), np.array([*two.labels, ""])
    both = (one.codes >= 0) & (two.codes >= 0)
    same = (names[0][one.codes] == names[1][two.codes])[both]
    share = 100 * float(same.mean()) if len(same) else float("nan")
    return f"{first} and {other} agree on {share:.0f} % of {len(same):,} images."
