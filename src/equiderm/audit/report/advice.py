"""Sentences on what a verdict means for 100 patients, and what to do next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from equiderm.audit.metrics import phrases_of
from equiderm.audit.report.naming import MOST_NAMED
from equiderm.format import counted, whole_of_100, with_interval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from equiderm.audit.report.statement import Statement
    from equiderm.audit.verdict import Finding


def against_constant(statement: Statement) -> Iterable[str]:
    """Yield a sentence where the scores rank the wrong way round, or no better than chance."""
    names, auroc = statement.names, statement.audit.figure("auroc", by=statement.by)
    start = f"Over all images the AUROC is {with_interval(*auroc[:3], 2)}"
    if auroc.why or auroc.low > 0.5:
        return
    if auroc.high < 0.5:
        yield (
            f"{start}, below the 0.5 of any constant score: the scores rank {names.positives} "
            f"below {names.negatives}. If a low score means {names.a_finding}, audit 1 - score."
        )
    else:
        yield f"{start}: not established to be above the 0.5 of any constant score."


def meaning(statement: Statement) -> Iterable[str]:
    """Yield sentences on what the verdict means for 100 patients."""
    if not statement.gaps:
        yield from _meaning_without_gap(statement)
        return
    worse = [finding for finding in statement.gaps if finding.is_worse]
    with_cutoff = {finding.group for finding in worse if finding.phrases.cutoff}
    for finding in worse:
        if not finding.phrases.of_100 and finding.group in with_cutoff:
            continue  # the sentence of `_cutoff` has the AUROC
        yield statement.names.fill(finding.phrases.meaning, finding.group, **finding.words())
        if finding.phrases.cutoff:
            yield _cutoff(statement, finding.group)


def _meaning_without_gap(statement: Statement) -> Iterable[str]:
    names, audit = statement.names, statement.audit
    overall = audit.figure("sensitivity", by=statement.by)
    flagged = audit.results[statement.by].value("selection_rate")[0]
    if flagged in (0, 1):
        which = "No image at all" if flagged == 0 else "Every image"
        yield f"{which} is flagged from a score of {audit.options.threshold:g}."
    elif not overall.why:
        yield (
            f"It finds {whole_of_100(overall.value)} of 100 {names.positives} over all groups: "
            "whether that is enough is a separate, clinical question."
        )
    few_positives = statement.few_positives
    if len(few_positives) > MOST_NAMED or audit.study.weight is not None:
        return
    for few in few_positives:
        moved = round(100 / few.positives) if few.positives else 0
        if moved and "patient" not in few.reason:  # else its images tell of few patients
            yield (
                f"{_capital(names.thing(few.group))}: "
                f"{counted(few.positives + few.negatives, 'image')}, {few.positives:,} of them "
                f"{names.positives if few.positives > 1 else names.a_finding}; one more or "
                f"one fewer found would move the result by {moved} of 100."
            )


def _cutoff(statement: Statement, group: str) -> str:
    """Return a sentence on whether another threshold would help, by the group's AUROC."""
    results = statement.audit.results[statement.by]
    rows = {row.group: row for row in results.differences().compared("auroc")}
    row = rows.get(group)
    if row is None:
        return "Whether another cut-off would help cannot be said: too few for an AUROC."
    one, other = phrases_of("auroc").write_pair(row.estimate.value, row.other.value)
    pair = f"AUROC {one} against {other}"
    if row.established and row.difference < 0:
        return (
            f"The ranking of the images is worse there, too ({pair}), so that another cut-off "
            "alone would not repair it."
        )
    where = "on this skin" if statement.names.is_tone else "for this group"
    return (
        f"The ranking of the images is not established to be worse there ({pair}): a lower "
        f"cut-off {where} would find more, at the price of more false alarms."
    )


def steps(statement: Statement) -> list[str]:
    """Return sentences on what to do next."""
    worse = [finding for finding in statement.gaps if finding.is_worse]
    sentences: list[str] = []
    if statement.audit.results[statement.by].value("selection_rate")[0] in (0, 1):
        sentences.append("Choose the threshold that is used (`threshold=0.1`), and audit again.")
    if worse:
        groups = [g for name in statement.worse_groups() for g in statement.worse(name)]
        groups, first = list(dict.fromkeys(groups)), worse[0].group
        several = len(groups) > 1
        things = statement.names.things(groups)
        sentences.append(f"Do not rely on it for {things} before this is solved.")
        there = statement.names.at(first) if several else "there"
        sentences.append(_look(statement, worse[0], there))
        need = statement.verdict.needed.get(first, math.nan)
        wanted = statement.verdict.acceptable["sensitivity"]
        if need == need and worse[0].is_of_positives:
            that = statement.names.thing(first) if several else "that group"
            sentences.append(
                f"Measure again on new images of {that}: {rounded(need)} "
                f"{statement.names.positives} are needed to notice a difference of "
                f"{phrases_of('sensitivity').write_limit(wanted)}."
            )
    if statement.few:
        sentences += _collect(statement)
    elif not worse:
        sentences += _more_steps(statement)
    return sentences or ["Audit again when the model, the camera or the clinic changes."]


def _look(statement: Statement, finding: Finding, there: str) -> str:
    origin = statement.audit.provenance
    how = '`missed="missed.csv"`' if origin.command else "Audit.missed()"
    where = f"in {origin.missed}" if origin.missed else f"by {how}"
    return statement.names.fill(finding.phrases.look, where=where, there=there)


def _collect(statement: Statement) -> list[str]:
    """Return sentences on what to do about groups with too few images."""
    names, sentences, few = statement.names, [], statement.few_positives
    if lacking := statement.few_negatives:
        groups = [one.group for one in lacking]
        sentences.append(
            names.fill(
                "Collect {negatives} {at}, too: without them nobody can say how many false alarms "
                "it raises there.",
                *groups,
            )
        )
    if not few:
        return sentences
    groups = names.several([one.group for one in few])
    sentences.append(
        f"Do not claim that it works on {groups}; its instructions for use must say that this was "
        "not tested."
    )
    needs = [one for one in few if one.needed_positives > one.positives]  # False for NaN
    if needs:
        most = max(needs, key=lambda one: one.needed_positives)
        limit = statement.verdict.acceptable[most.needed_for]
        where = names.at(needs[0].group)
        if len(needs) > 1:
            where = f"in each of {names.several([one.group for one in needs])}"
        sentences.append(
            f"Collect {rounded(most.needed_positives)} {statement.names.positives} {where}: "
            f"enough to notice a difference of "
            f"{phrases_of(most.needed_for).write_limit(limit)}."
        )
    return sentences


def _more_steps(statement: Statement) -> list[str]:
    if len(statement.names.grouping.labels) < 2:
        return ['Add images of other groups, or name another column (`by="COLUMN"`).']
    known = {g: n for g, n in statement.verdict.needed.items() if math.isfinite(n)}
    sentences: list[str] = []
    limit = phrases_of("sensitivity").write_limit(statement.verdict.acceptable["sensitivity"])
    if known:
        results = statement.audit.results[statement.by]
        most = max(known.values())
        short = [g for g, n in known.items() if results.people(g)[1] < n]
        if short:
            now = sorted(results.people(group)[1] for group in known)
            has = f"{now[0]:,}" if now[0] == now[-1] else f"{now[0]:,} to {now[-1]:,}"
            sentences.append(
                f"Collect {rounded(most)} {statement.names.positives} in each of the "
                f"{len(known)} groups (now {has}): enough to notice one in which it finds "
                f"{limit} fewer."
            )
    if not statement.asked:
        sentences.append(
            "Decide on the largest difference that is acceptable before testing again, and "
            "audit with it: `acceptable=0.05` is 5 in 100."
        )
    return sentences


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def rounded(count: float) -> str:
    """Return a needed number of images as text, rounded up to two digits."""
    if not math.isfinite(count):
        return "any number of"
    unit = 10 ** max(0, math.floor(math.log10(max(count, 1))) - 1)
    return f"{math.ceil(count / unit) * unit:,}"
