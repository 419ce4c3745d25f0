"""The audit in plain sentences: the limits, the label error, which of two models is better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.metrics import METRICS
from equiderm.audit.report.first_screen import spell
from equiderm.audit.report.naming import naming
from equiderm.format import listed, number, p_value, per_hundred, percent, signed, with_interval

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
    """Return which model is better, for whom, and how sure that is."""
    a, b = _models(comparison)
    n = len(comparison.a.study.target)
    table: Any = comparison.table
    sentences: list[str] = [_better(comparison, a, b)]
    for by in comparison.a.columns:
        part = table[table["by"] == by].set_index(["figure", "group"])
        sentences += _for_whom(comparison, by, part, (a, b))
        sentences += _gap_words(by, part, (a, b))
    sentences.append(f"A is {a}, B is {b}; both scored the same {n:,} images.")
    sentences += [spell(comparison.a, note) for note in comparison.a.study.notes]
    return tuple(dict.fromkeys(sentences))


def _models(comparison: Comparison) -> tuple[str, str]:
    a, b = (one.provenance.model or one.study.name for one in (comparison.a, comparison.b))
    return (f"{a} (first)", f"{b} (second)") if a == b else (a, b)


def _better(comparison: Comparison, a: str, b: str) -> str:
    table: Any = comparison.table
    rows = table[(table["group"] == "overall") & (table["figure"] == "auroc")].to_dict("records")
    if not rows or rows[0]["difference"] != rows[0]["difference"]:
        return f"Whether {a} or {b} is better overall cannot be said: too few images."
    row = rows[0]
    ends = f"95 % interval {signed(row['low'], 3)} to {signed(row['high'], 3)}"
    pair = f"AUROC {number(row['a'])} against {number(row['b'])}"
    if row["p"] < 0.05 and row["low"] * row["high"] > 0:
        better, worse = (a, b) if row["difference"] > 0 else (b, a)
        how = f"{a} minus {b} {signed(row['difference'], 3)}, {ends}, p {p_value(row['p'])}"
        return f"{better} is better than {worse} overall: {pair} ({how})."
    return (
        f"Neither {a} nor {b} is established to be better overall: {pair} (difference "
        f"{signed(row['difference'], 3)}, {ends}, p {p_value(row['p'])})."
    )


def _for_whom(comparison: Comparison, by: str, part: Any, models: tuple[str, str]) -> list[str]:
    """Return for which groups one of the two is better, over AUROC, sensitivity, specificity."""
    names = naming(comparison.a, by)
    sentences: list[str] = []
    for metric in ("auroc", "sensitivity", "specificity"):
        for group in names.grouping.labels:
            if (metric, group) not in part.index:
                continue
            row = part.loc[(metric, group)]
            if not float(row["p_holm"]) < 0.05:
                continue
            up = float(row["difference"]) > 0
            better, worse = models if up else models[::-1]
            first, second = (float(row["a"]), float(row["b"]))[:: 1 if up else -1]
            sentences.append(_group_words(metric, names.at(group), (better, worse), (first, second),
                                     names, p_value(float(row["p_holm"]))))  # fmt: skip
    if not sentences:
        sentences.append(
            f"For no group of {by} alone is one of them established to be better (adjusted over "
            f"{len(names.grouping.labels)} groups)."
        )
    return sentences


def _group_words(
    metric: str,
    at: str,
    models: tuple[str, str],
    values: tuple[float, float],
    names: Any,
    p: str,
) -> str:
    better, worse = models
    if metric == "auroc":
        return (
            f"{_start(at)} {better} tells {names.positives} from other images better: AUROC "
            f"{number(values[0], 2)} against {number(values[1], 2)} (p {p}, adjusted)."
        )
    one, other = (round(100 * value) for value in values)
    if metric == "sensitivity":
        return (
            f"{_start(at)} {better} finds {one} of 100 {names.positives} and {worse} {other} "
            f"(p {p}, adjusted)."
        )
    return (
        f"{_start(at)} {better} raises {100 - one} false alarms per 100 {names.negatives} and "
        f"{worse} {100 - other} (p {p}, adjusted)."
    )


def _start(text: str) -> str:
    return text[:1].upper() + text[1:]


def _gap_words(by: str, part: Any, models: tuple[str, str]) -> list[str]:
    if ("auroc", "gap") not in part.index:
        return []
    row = part.loc[("auroc", "gap")]
    low, high = float(row["low"]), float(row["high"])
    pair = f"{number(float(row['a']), 2)} against {number(float(row['b']), 2)}"
    ends = f"95 % interval of the difference {signed(low, 2)} to {signed(high, 2)}"
    if float(row["p"]) < 0.05 and low * high > 0:
        smaller, larger = models if float(row["difference"]) < 0 else models[::-1]
        return [f"{smaller} differs less between groups of {by} than {larger}: gap of AUROC {pair} "
                f"({ends})."]  # fmt: skip
    return [f"Neither is established to differ less between groups of {by}: gap of AUROC {pair} "
            f"({ends})."]  # fmt: skip


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
            f"{label}: the gap is {one.gap_labelled:.3f} as labelled and {one.gap_corrected:.3f} "
            f"({one.gap_low:.3f} to {one.gap_high:.3f}) with the label error taken away; the worst "
            f"group is {names.shown(one.worst_labelled)} as labelled and "
            f"{names.shown(one.worst_corrected)} then, and {names.shown(one.worst_labelled)} stays "
            f"worst in {100 * one.worst_stays:.0f} of 100 draws."
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
