"""Which of two models is better, and for whom, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from equiderm.audit.metrics import HEADLINE, phrases_of
from equiderm.audit.report.naming import Naming, model_of, naming, spell
from equiderm.format import counted, number, p_value, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from equiderm.audit.comparison import Comparison


def paired_answer(comparison: Comparison) -> tuple[str, ...]:
    """Return which model is better, for whom, and how certain that is."""
    a, b = _models(comparison)
    n = len(comparison.a.study.target)
    table: Any = comparison.table
    sentences = _overall(comparison, a, b)
    for by in comparison.a.columns:
        start = f"By {by}: " if len(comparison.a.columns) > 1 else ""
        gaps = table[(table["by"] == by) & (table["group"] == "gap") & (table["figure"] == "auroc")]
        sentences += [
            start + text
            for text in (
                *_for_whom(comparison, by, (a, b)),
                *(_gap_words(by, row, (a, b)) for row in gaps.to_dict("records")),
            )
        ]
    sentences.append(f"A is {a}, B is {b}; both scored the same {n:,} images.")
    sentences += [spell(comparison.a, note) for note in comparison.a.study.notes]
    return tuple(dict.fromkeys(sentences))


def _models(comparison: Comparison) -> tuple[str, str]:
    a, b = map(model_of, comparison.audits)
    return (f"{a} (first)", f"{b} (second)") if a == b else (a, b)


def _judged(table: Any, groups: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of AUROC, sensitivity and specificity of these groups that have a value."""
    return [
        row
        for metric in HEADLINE
        for group in groups
        for row in table[(table["figure"] == metric) & (table["group"] == group)].to_dict("records")
        if row["difference"] == row["difference"]
    ]


def _overall(comparison: Comparison, a: str, b: str) -> list[str]:
    """Return sentences on which model is better over all images, by AUROC and at the threshold."""
    table: Any = comparison.table
    table = table[table["by"] == comparison.a.columns[0]]
    rows = _judged(table, ["overall"])
    ranks = [row for row in rows if row["figure"] == "auroc"]
    names = naming(comparison.a)
    sentences = [_rank_words(row, a, b) for row in ranks]
    if not rows:
        return [f"Whether {a} or {b} is better overall cannot be said: too few images."]
    if not ranks:
        sentences = [
            f"Whether {a} or {b} tells {names.positives} from other images better overall cannot "
            "be said: too few images for an AUROC."
        ]
    sentences += [
        _group_words(row, "over all groups", (a, b), names)
        for row in rows
        if row["better"] and row["figure"] != "auroc"
    ]
    return sentences


def _rank_words(row: dict[str, Any], a: str, b: str) -> str:
    """Return a sentence on which model has the better AUROC over all images."""
    ends = f"95 % interval {signed(row['low_holm'])} to {signed(row['high_holm'])}"
    pair = f"AUROC {number(row['a'])} against {number(row['b'])}"
    how = f"{a} minus {b} {signed(row['difference'])}, {ends}, p {p_value(row['p_holm'])}"
    better, worse = (a, b) if row["better"] == "a" else (b, a)
    if row["better"]:
        return f"{better} is better than {worse} overall: {pair} ({how}, adjusted)."
    return f"Neither {a} nor {b} is established to be better overall: {pair} ({how}, adjusted)."


def _for_whom(comparison: Comparison, by: str, models: tuple[str, str]) -> list[str]:
    """Return sentences on the groups for which one model is better, by the three figures."""
    names = naming(comparison.a, by)
    table: Any = comparison.table
    rows = _judged(table[table["by"] == by], names.grouping.labels)
    sentences = [
        _group_words(row, names.at(row["group"]), models, names) for row in rows if row["better"]
    ]
    if not rows:
        return [f"For no group of {by} can it be said which is better: too few images."]
    return sentences or [
        f"Neither is established to be better for any group of {by} (adjusted over "
        f"{counted(len(names.grouping.labels), 'group')} and three figures)."
    ]


def _group_words(row: dict[str, Any], at: str, models: tuple[str, str], names: Naming) -> str:
    """Return a sentence on which model is better by one figure, with both figures."""
    first = row["better"] == "a"
    better, worse = models if first else models[::-1]
    phrases = phrases_of(row["figure"])
    shown = phrases.write_pair(*(phrases.shown(row[model]) for model in ("a", "b")))
    one, other = shown if first else shown[::-1]
    words = names.fill(phrases.compared, better=better, worse=worse, one=one, other=other)
    return f"{at[:1].upper()}{at[1:]} {words} (p {p_value(row['p_holm'])}, adjusted)."


def _gap_words(by: str, row: dict[str, Any], models: tuple[str, str]) -> str:
    """Return a sentence on whether one model differs less between the groups of a column."""
    pair = f"{number(row['a'], 2)} against {number(row['b'], 2)}"
    if row["p"] != row["p"]:
        return f"Gap of AUROC between groups of {by} {pair}: too few to say which is smaller."
    ends = f"95 % interval of the difference {signed(row['low'], 2)} to {signed(row['high'], 2)}"
    if row["p"] < 0.05:
        smaller, larger = models if row["difference"] < 0 else models[::-1]
        start = f"{smaller} differs less between groups of {by} than {larger}"
    else:
        start = f"Neither is established to differ less between groups of {by}"
    return f"{start}: gap of AUROC {pair} ({ends}, p {p_value(row['p'])})."
