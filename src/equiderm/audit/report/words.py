"""The audit in plain sentences: the limits, the label error, which of two models is better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.metrics import HEADLINE, METRICS, phrases_of
from equiderm.audit.report.naming import Naming, naming, spell
from equiderm.format import (
    listed,
    number,
    of_100,
    p_value,
    per_hundred,
    percent,
    signed,
    with_interval,
)
from equiderm.statistics.intervals import holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from equiderm.audit.audit import Audit
    from equiderm.audit.comparison import Comparison
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
    """Return what this audit cannot say, sentence by sentence."""
    study, options = audit.study, audit.options
    sentences = [
        "The figures describe these images; another clinic, camera or case mix may differ.",
        "The gap of noisy groups is larger than the true gap; read it beside what chance gives.",
        f"A group needs {options.min_count} patients with an image of the kind that a figure "
        "counts; below that the figure is missing, not zero.",
        "AUPRC, PPV, NPV and the selection rate depend on how common positives are in a group.",
    ]
    if study.patient is None:
        sentences.append(
            "No patient column (or one image per patient): images are taken as independent, which "
            "makes intervals too narrow where one patient gave several."
        )
    if audit.agreement is None and not audit.labelings:
        sentences.append(
            "The group labels are taken as true; their error is not known here and usually makes "
            "the gap look smaller."
        )
    return [*sentences, *(spell(audit, note) for note in (*study.notes, *study.doubts))]


def paired_answer(comparison: Comparison) -> tuple[str, ...]:
    """Return which model is better, for whom, and how certain that is."""
    a, b = _models(comparison)
    n = len(comparison.a.study.target)
    table: Any = comparison.table
    sentences = _overall(comparison, a, b)
    for by in comparison.a.columns:
        sentences += _for_whom(comparison, by, (a, b))
        gaps = table[(table["by"] == by) & (table["group"] == "gap") & (table["figure"] == "auroc")]
        sentences += [_gap_words(by, row, (a, b)) for row in gaps.to_dict("records")]
    sentences.append(f"A is {a}, B is {b}; both scored the same {n:,} images.")
    sentences += [spell(comparison.a, note) for note in comparison.a.study.notes]
    return tuple(dict.fromkeys(sentences))


def _models(comparison: Comparison) -> tuple[str, str]:
    a, b = (one.provenance.model or one.study.name for one in (comparison.a, comparison.b))
    return (f"{a} (first)", f"{b} (second)") if a == b else (a, b)


def _judged(table: Any, groups: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of AUROC, sensitivity and specificity of some groups, p adjusted over all.

    ``p_all`` is Holm's over the figures and the groups; "" in ``better`` where it is 0.05 or more.
    """
    rows = [
        row
        for metric in HEADLINE
        for group in groups
        for row in table[(table["figure"] == metric) & (table["group"] == group)].to_dict("records")
        if row["difference"] == row["difference"]
    ]
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_all"] = float(p)
        better = row["difference"] * METRICS[row["figure"]].better > 0
        row["better"] = "" if p >= 0.05 else "a" if better else "b"
    return rows


def _overall(comparison: Comparison, a: str, b: str) -> list[str]:
    """Return whether one is better over all images, by AUROC and at the threshold."""
    table: Any = comparison.table
    table = table[table["by"] == comparison.a.columns[0]]
    rows = _judged(table, ["overall"])
    ranks = [row for row in rows if row["figure"] == "auroc"]
    if not ranks:
        return [f"Whether {a} or {b} is better overall cannot be said: too few images."]
    row = ranks[0]
    ends = f"95 % interval {signed(row['low'])} to {signed(row['high'])}"
    pair = f"AUROC {number(row['a'])} against {number(row['b'])}"
    how = f"{a} minus {b} {signed(row['difference'])}, {ends}, p {p_value(row['p_all'])}"
    better, worse = (a, b) if row["better"] == "a" else (b, a)
    sentences = [
        f"{better} is better than {worse} overall: {pair} ({how}, adjusted)."
        if row["better"]
        else f"Neither {a} nor {b} is established to be better overall: {pair} ({how}, adjusted)."
    ]
    names = naming(comparison.a)
    sentences += [
        _group_words(row, "over all groups", (a, b), names)
        for row in rows
        if row["better"] and row["figure"] != "auroc"
    ]
    return sentences


def _for_whom(comparison: Comparison, by: str, models: tuple[str, str]) -> list[str]:
    """Return for which groups one of the two is better, over AUROC, sensitivity, specificity."""
    names = naming(comparison.a, by)
    table: Any = comparison.table
    rows = _judged(table[table["by"] == by], names.grouping.labels)
    sentences = [
        _group_words(row, names.at(row["group"]), models, names) for row in rows if row["better"]
    ]
    return sentences or [
        f"For no group of {by} alone is one of them established to be better (adjusted over "
        f"{len(names.grouping.labels)} groups and three figures)."
    ]


def _group_words(row: dict[str, Any], at: str, models: tuple[str, str], names: Naming) -> str:
    """Return which model is better on one figure, and both figures."""
    first = row["better"] == "a"
    better, worse = models if first else models[::-1]
    phrases = phrases_of(row["figure"])
    shown = [phrases.write(phrases.shown(row[model])) for model in ("a", "b")]
    one, other = shown if first else shown[::-1]
    words = names.fill(phrases.compared, better=better, worse=worse, one=one, other=other)
    return f"{at[:1].upper()}{at[1:]} {words} (p {p_value(row['p_all'])}, adjusted)."


def _gap_words(by: str, row: dict[str, Any], models: tuple[str, str]) -> str:
    """Return whether one of the two differs less between the groups of a column."""
    pair = f"{number(row['a'], 2)} against {number(row['b'], 2)}"
    ends = f"95 % interval of the difference {signed(row['low'], 2)} to {signed(row['high'], 2)}"
    if row["p"] < 0.05:
        smaller, larger = models if row["difference"] < 0 else models[::-1]
        start = f"{smaller} differs less between groups of {by} than {larger}"
    else:
        start = f"Neither is established to differ less between groups of {by}"
    return f"{start}: gap of AUROC {pair} ({ends}, p {p_value(row['p'])})."


def if_labels_are_wrong(audit: Audit, corrected: Sequence[Corrected]) -> tuple[str, ...]:
    """Return what other labelings, or the labeller's errors (`Audit.corrected`), would change."""
    sentences: list[str] = []
    if audit.labelings:
        sentences += [_agreement_of(audit, other) for other in audit.columns[1:]]
        worst = {audit.gap("auroc", by=by).worst for by in audit.columns}
        sentences.append(
            "All labelings name the same worst group."
            if len(worst) == 1
            else "The labelings differ in which group is worst: do not rest a conclusion on one."
        )
    names = naming(audit)
    for one in corrected:
        label = METRICS[one.metric].label
        sentences.append(
            f"{label}: the gap is {number(one.gap_labelled)} as labelled and "
            f"{with_interval(one.gap_corrected, one.gap_low, one.gap_high)} corrected for the "
            f"label error; the worst group is {names.shown(one.worst_labelled)} as labelled and "
            f"{names.shown(one.worst_corrected)} then, and {names.shown(one.worst_labelled)} stays "
            f"worst in {of_100(one.worst_stays)} of 100 draws."
        )
    if audit.agreement is not None and audit.agreement.exact < 0.5:
        sentences.append(
            "Under half of the labels are right: the correction reaches far beyond the data and "
            "gives a direction, not a value."
        )
    if not sentences and len(audit.columns) == 1:
        sentences.append(
            "Not examined: give the labeller's errors or a second labeling to see whether the "
            "conclusion would change."
        )
    return tuple(sentences)


def _agreement_of(audit: Audit, other: str) -> str:
    first = audit.columns[0]
    one, two = (audit.results[name].grouping for name in (first, other))
    names = np.array([*one.labels, ""]), np.array([*two.labels, ""])
    both = (one.codes >= 0) & (two.codes >= 0)
    same = (names[0][one.codes] == names[1][two.codes])[both]
    share = float(same.mean()) if len(same) else float("nan")
    return f"{first} and {other} agree on {percent(share, 0)} of {len(same):,} images."


def intersections(audit: Audit) -> str:
    """Return which intersections of groups were examined."""
    crossed = [name for name in audit.results if name not in audit.columns]
    return f"Examined: {listed(crossed)}." if crossed else "No intersections examined."
