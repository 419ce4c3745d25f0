"""Sentences on the limits of an audit, and on what label errors would change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from equiderm.audit.metrics import METRICS
from equiderm.audit.report.naming import naming, spell
from equiderm.format import (
    listed,
    number,
    of_100,
    per_hundred,
    percent,
    with_interval,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from equiderm.audit.audit import Audit
    from equiderm.audit.groups import Figure
    from equiderm.audit.label_error import Corrected


def estimate(figure: Figure, digits: int = 3) -> str:
    """Return "0.905 (0.890 to 0.918)", or why the figure is missing."""
    return with_interval(*figure[:3], digits, why=figure.why)


def of_hundred(figure: Figure) -> str:
    """Return a share as "61 (45 to 76)" of 100, or why it is missing."""
    return per_hundred(*figure[:3], why=figure.why)


def unjudged_groups(audit: Audit, by: str) -> list[str]:
    """Return the groups of a column that have too few images for an AUROC."""
    results = audit.results[by]
    return [name for name in results.grouping.labels if results.value("auroc", name)[2]]


def limits(audit: Audit) -> list[str]:
    """Return sentences on what the audit cannot say."""
    study, options = audit.study, audit.options
    sentences = [
        "The figures describe these images; another clinic, camera or case mix may differ.",
        "Noise makes the gap larger than the true one; compare it with the gaps that chance gives.",
        f"A group needs {options.min_count} patients with an image of the kind that a figure "
        "counts; below that the figure is missing, not zero.",
        "AUPRC, PPV, NPV and the selection rate depend on how common positives are in a group.",
    ]
    if study.patient is None:
        sentences.append(
            "No patient column (or one image per patient): images are taken as independent, which "
            "makes intervals too narrow if a patient has several."
        )
    if audit.agreement is None and not audit.labelings:
        sentences.append(
            "The group labels are taken as true; their error is not known here and usually makes "
            "the gap look smaller."
        )
    return [*sentences, *(spell(audit, note) for note in (*study.notes, *study.doubts))]


def if_labels_are_wrong(audit: Audit, corrected: Sequence[Corrected]) -> tuple[str, ...]:
    """Return sentences on what other labelings, or the label error, would change."""
    sentences: list[str] = []
    if audit.labelings:
        sentences += [_agreement_of(audit, other) for other in audit.columns[1:]]
        worst = {audit.gap("auroc", by=by).worst for by in audit.columns}
        sentences.append(
            "All labelings name the same worst group."
            if len(worst) == 1
            else "The labelings differ in which group is worst: do not rely on one of them alone."
        )
    names = naming(audit)
    for c in corrected:
        worst = names.shown(c.worst_labelled)
        sentences.append(
            f"{METRICS[c.metric].label}: the gap is {number(c.gap_labelled)} as labelled and "
            f"{with_interval(c.gap_corrected, c.gap_low, c.gap_high)} corrected for the label "
            f"error. The worst group is {worst} as labelled and {names.shown(c.worst_corrected)} "
            f"corrected; {worst} stays worst in {of_100(c.worst_stays)} of 100 draws."
        )
    if audit.agreement is not None and audit.agreement.exact < 0.5:
        sentences.append(
            "Under half of the labels are right: the correction extrapolates far beyond the data "
            "and gives a direction, not a value."
        )
    if not sentences and len(audit.columns) == 1:
        sentences.append(
            "Not examined: give the labeller's errors or a second labeling to see whether the "
            "conclusion would change."
        )
    return tuple(sentences)


def _agreement_of(audit: Audit, other: str) -> str:
    first = audit.columns[0]
    a, b = (audit.results[name].grouping for name in (first, other))
    both = (a.codes >= 0) & (b.codes >= 0)
    same = (np.array([*a.labels, ""])[a.codes] == np.array([*b.labels, ""])[b.codes])[both]
    share = float(same.mean()) if len(same) else float("nan")
    return f"{first} and {other} agree on {percent(share, 0)} of {len(same):,} images."


def intersections(audit: Audit) -> str:
    """Return a sentence on the intersections of groups that were examined."""
    crossed = [name for name in audit.results if name not in audit.columns]
    return f"Examined: {listed(crossed)}." if crossed else "No intersections examined."
