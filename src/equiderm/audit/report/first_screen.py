"""The first screen of a report: is there a gap, how big, for whom, and what should be done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from equiderm import __version__
from equiderm.audit.metrics import METRICS
from equiderm.audit.report.naming import Naming, naming
from equiderm.errors import as_flags
from equiderm.format import counted, listed, p_value, per_hundred, with_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from equiderm.audit.audit import Audit
    from equiderm.audit.verdict import Finding, TooFew, Verdict

# Measured on the photographs whose types people judged that docs/trust.md lists, per 100: the
# computed band or the estimate fitted to types is the same, or within one. For types that people
# judged, a second person's.
COMPUTED_EXACT, COMPUTED_WITHIN_ONE = (26, 32), (57, 83)
JUDGED_EXACT, JUDGED_WITHIN_ONE = 48, 91


@dataclass(frozen=True)
class Row:
    """One group in the table of the first screen.

    Attributes:
        group: Its name, with the end of the scale.
        tested: Its positives.
        share: How many of 100 are found, with the interval; or, without a truth, are flagged.
        low: Lower end of the interval, of 100.
        at: The estimate, of 100.
        high: Upper end, of 100.
        more: Further cells: false alarms per 100, AUROC.
        why: Why it cannot be judged; empty where it can.
        state: "worst" or "few", or nothing.
    """

    group: str
    tested: str
    share: str
    low: float
    at: float
    high: float
    more: tuple[str, ...]
    why: str = ""
    state: str = ""


@dataclass(frozen=True)
class FirstScreen:
    """What the first sheet says, as text.

    Attributes:
        title: The question that the audit answers.
        about: What was tested, when, by which labels.
        outcome: "gap", "none found", "cannot say" or "mixed".
        headline: The verdict in one or two sentences.
        evidence: What it rests on, the most important first.
        question: The heading of the table.
        caption: How to read the table.
        columns: Heads of the table.
        rows: The groups.
        meaning: What it means for 100 people.
        others: The verdict by each further grouping.
        steps: What to do next.
        trust: How far the group labels can be trusted.
        left_out: Who was left out.
        foot: What the report is not, and how p was adjusted.
    """

    title: str
    about: str
    outcome: str
    headline: str
    evidence: tuple[str, ...]
    question: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    meaning: tuple[str, ...]
    others: tuple[str, ...]
    steps: tuple[str, ...]
    trust: tuple[str, ...]
    left_out: tuple[str, ...]
    foot: str

    def lines(self) -> list[str]:
        """Return verdict, meaning and steps as lines of text, for a terminal."""
        steps = [f"{k}. {text}" for k, text in enumerate(self.steps, 1)]
        sentences = [self.headline, *self.evidence, *self.meaning, *self.others]
        return [*sentences, "What to do next:", *steps]


def first_screen(
    audit: Audit,
    by: str | None = None,
    *,
    acceptable: float | Mapping[str, float] | None = None,
) -> FirstScreen:
    """Return the first screen of an audit by one group column (the first, if not said).

    Args:
        audit: The audit.
        by: The group column.
        acceptable: The greatest difference that is acceptable; that of the options, if not said.
    """
    by = by or audit.columns[0]
    names = naming(audit, by)
    if not audit.study.truth:
        return _without_truth(audit, by, names)
    if acceptable is None:
        acceptable = audit.options.acceptable
    sentences = _Sentences(audit, by, names, audit.verdict(by, acceptable), acceptable is not None)
    headline, evidence = sentences.verdict_words()
    threshold = audit.options.threshold
    return FirstScreen(
        title=_title(audit, names),
        about=_about(audit, names),
        outcome=sentences.verdict.outcome,
        headline=headline,
        evidence=(*evidence, *(spell(audit, doubt) for doubt in audit.study.doubts)),
        question=f"Out of 100 {names.positives}, how many does the model find?",
        caption=f"Flagged from a score of {threshold:g}. In brackets the 95 % interval: the range "
        f"that the true number probably lies in. False alarms: of 100 {names.negatives}. AUROC: "
        f"how often {names.a_finding} gets a higher score than another image; 0.5 is chance, 1 is "
        "perfect.",
        columns=(
            names.heading,
            names.positives,
            "found of 100",
            "0 to 100",
            "false alarms of 100",
            "AUROC",
        ),
        rows=tuple(sentences.rows()),
        meaning=tuple(spell(audit, text) for text in sentences.meaning()),
        others=tuple(_others(audit, by, acceptable)),
        steps=tuple(spell(audit, step) for step in sentences.steps()),
        trust=tuple(_trust(audit, names)),
        left_out=tuple(_left_out(audit, names, sentences.verdict)),
        foot=_foot(audit, f"p is adjusted over {len(names.grouping.labels)} groups and over AUROC, "
        "sensitivity and specificity. "),
    )  # fmt: skip


def _others(audit: Audit, by: str, acceptable: float | Mapping[str, float] | None) -> Iterable[str]:
    """Return the verdict by each further grouping in a sentence."""
    for other in audit.results:
        if other == by:
            continue
        verdict = audit.verdict(other, acceptable)
        sentences = _Sentences(audit, other, naming(audit, other), verdict, acceptable is not None)
        headline, evidence = sentences.verdict_words()
        why = f" {evidence[0]}" if evidence and verdict.outcome in ("gap", "mixed") else ""
        yield f"By {other}: {headline}{why}"


def _title(audit: Audit, names: Naming) -> str:
    model = audit.provenance.model or audit.study.name
    where = "on all skin tones" if names.is_tone else f"in all groups of {names.grouping.name}"
    return f"{model}: does it work equally well {where}?"


def today() -> str:
    """Return the date as people write it."""
    now = datetime.now(UTC)
    return f"{now.day} {now:%B %Y}"


def _about(audit: Audit, names: Naming) -> str:
    study, labels = audit.study, names.grouping.labels
    of = "" if study.patient is None else f" of {int(study.patient.max()) + 1:,} patients"
    positive = f", {int(study.target.sum()):,} {names.positives}" if study.truth else ""
    text = f"{counted(len(study.target), 'image')}{of}{positive}. "
    if (weighting := study.weighting) is not None:
        text += (
            f"Every figure is weighted by {weighting.column} (the weights add up to "
            f"{weighting.sum:,.6g}; effective n {weighting.effective_n:,.0f}); counts are not. "
        )
    if names.is_tone:
        how = "judged by people" if names.is_judged else "computed from each photograph"
        if audit.provenance.tone_source == "" and not names.is_judged:
            how = f"as given in the column {names.grouping.name}"
        text += (
            f"Skin tone {how}: {names.noun} {labels[0]} is the lightest, {labels[-1]} the darkest. "
        )
    return f"{text}Audited on {today()}."


def _foot(audit: Audit, adjusted: str = "") -> str:
    return (
        f"{adjusted}This describes the images that were tested, not every clinic. Equiderm "
        f"{__version__} measures; it is not a diagnosis tool. The full report has every figure, "
        f"its interval and how it was computed."
    )


def _whole(value: float) -> int:
    return round(100 * value)


def _range(low: float, high: float) -> str:
    return f"{_whole(low)} to {_whole(high)}"


def rounded(count: float) -> str:
    """Return a needed number of images, to two digits upwards."""
    if not math.isfinite(count):
        return "any number of"
    unit = 10 ** max(0, math.floor(math.log10(max(count, 1))) - 1)
    return f"{math.ceil(count / unit) * unit:,}"


@dataclass(frozen=True)
class _Sentences:
    """The sentences of one verdict."""

    audit: Audit
    by: str
    names: Naming
    verdict: Verdict
    asked: bool

    @property
    def gaps(self) -> list[Finding]:
        """The established findings, those in a group's disfavour first."""
        found = [one for one in self.verdict.findings if one.outcome == "gap"]
        return sorted(found, key=lambda one: not _is_worse(one))

    @property
    def few(self) -> tuple[TooFew, ...]:
        return self.verdict.too_few

    @property
    def few_dark(self) -> list[TooFew]:
        return [one for one in self.few if one.group in self.names.dark_half]

    def verdict_words(self) -> tuple[str, list[str]]:
        """Return headline and evidence; too few on dark skin is the first that is said."""
        few = list(self._few_sentences())
        if self.gaps:
            return self._gap_words(few)
        if self.verdict.outcome == "cannot say":
            return self._unknown_words(few)
        return self._none_words(), [*self._no_difference(), *few]

    def _gap_words(self, few: list[str]) -> tuple[str, list[str]]:
        first = self.gaps[0]
        start = "No. "
        if self.few_dark:
            start = "Dark skin was hardly tested. Elsewhere: "
        elif self.verdict.outcome == "mixed":
            start = "No, and the figures disagree on who is worse off. "
        sentences = [self._gap_sentence(one) for one in self.gaps]
        groups = len(self.names.grouping.labels)
        sentences[0] += (
            f" Chance does not explain this (p {_equals(first.p)}, allowing for {groups} groups "
            "and three figures)."
        )
        parts = [self._headline(one) for one in self._worse_groups() or [first]]
        headline = start + " ".join(parts)
        return headline, [*few, *sentences] if self.few_dark else [*sentences, *few]

    def _worse_groups(self) -> list[Finding]:
        """Return the first finding in each group's disfavour; false alarms only where no other is.

        One where the verdict is a gap; where it is mixed, those that disagree.
        """
        worse = [one for one in self.gaps if _is_worse(one)]
        if self.verdict.outcome != "mixed":
            return worse[:1]
        misses = [one for one in worse if one.metric != "specificity"]
        return list({one.group: one for one in reversed(misses)}.values())[::-1]

    def _unknown_words(self, few: list[str]) -> tuple[str, list[str]]:
        labels = self.names.grouping.labels
        judged = [name for name in labels if name not in self._few_names]
        if len(labels) < 2:
            return "Nobody can say: all images are of one group.", few
        if all(one.outcome == "cannot say" for one in self.verdict.findings):
            why = next((one.why for one in self.verdict.findings if one.why), "")
            sentences = [*few, *([f"Groups cannot be compared: {why}."] if why and not few else [])]
            return "Nobody can say: too few images to compare any groups.", sentences
        if not judged:
            headline = "Nobody can say: every group has too few images."
        elif self.few_dark:
            headline = "Nobody can say: dark skin was hardly tested."
        else:
            headline = f"Nobody can say for all: {self._few_groups()} had too few images."
        return headline, [*few, *self._no_difference()]

    @property
    def _few_names(self) -> set[str]:
        return {one.group for one in self.few}

    def _few_groups(self) -> str:
        return self.names.several([one.group for one in self.few])

    def _none_words(self) -> str:
        limits = [one for one in self.verdict.findings if one.outcome == "within acceptable"]
        if self.asked and len(limits) == len(self.verdict.findings):
            limit = max(self.verdict.acceptable[one.metric] for one in limits)
            return f"No group differs by {limit:g} or more: the difference called acceptable."
        if self.asked:
            limit = min(self.verdict.acceptable.values())
            return (
                f"No difference was established, but one above the acceptable {limit:g} cannot be "
                "ruled out."
            )
        hidden = self._hidden()
        if hidden is None:
            return "No difference was established, but even a large one could not be noticed."
        return f"No difference was established. One of up to {hidden} in 100 could still be there."

    def _hidden(self) -> int | None:
        """The drop of sensitivity, of 100, that would be noticed in every group; None if none."""
        drops = list(self.verdict.detectable.get("sensitivity", {}).values())
        if not drops or any(drop != drop for drop in drops):
            return None
        return math.ceil(100 * max(drops))

    def _few_sentences(self) -> Iterable[str]:
        """Say which groups have too few for a figure, and where a large loss would not show."""
        results, names = self.audit.results[self.by], self.names
        lacking = [one for one in self.few if results.value("sensitivity", one.group)[2]]
        unnoticed = [one for one in self.few if one not in lacking]
        for groups, so in (
            (lacking, "so the test says nothing about them"),
            (unnoticed, "so few that finding half as many as elsewhere would go unnoticed"),
        ):
            if groups:
                counts = listed(f"{one.positives:,}" for one in groups)
                single = all(one.positives == 1 for one in groups)
                what = names.finding if single else names.positives
                has = "has" if len(groups) == 1 else "have"
                where = names.several([one.group for one in groups])
                yield f"Too few images: {where} {has} {counts} {what}, {so}."

    def _headline(self, one: Finding) -> str:
        names, at = self.names, self.names.at(one.group)
        worse = {
            "sensitivity": f"It misses more {names.positives} {at}.",
            "specificity": f"It raises more false alarms {at}.",
            "auroc": f"It tells {names.positives} from other images less well {at}.",
        }
        better = {
            "sensitivity": f"It finds more {names.positives} {at} than elsewhere.",
            "specificity": f"It raises fewer false alarms {at} than elsewhere.",
            "auroc": f"It tells {names.positives} from other images better {at}.",
        }
        return (worse if _is_worse(one) else better)[one.metric]

    def _gap_sentence(self, one: Finding) -> str:
        at, rest = self.names.at(one.group), self.names.at_rest(one.group)
        if one.metric == "auroc":
            low, high = sorted((abs(one.difference_low), abs(one.difference_high)))
            way = "lower" if one.difference < 0 else "higher"
            return (
                f"The AUROC is {one.value:.2f} {at} and {one.others_value:.2f} {rest}: "
                f"{abs(one.difference):.2f} {way} (95 % interval {low:.2f} to {high:.2f})."
            )
        value, other = one.value, one.others_value
        low, high = one.difference_low, one.difference_high
        what = f"Of 100 {self.names.positives} it finds"
        if one.metric == "specificity":
            what = f"Of 100 {self.names.negatives} it flags"
            value, other = 1 - value, 1 - other
            low, high = -high, -low
        down = value < other
        word = "fewer" if down else "more"
        ends = sorted((abs(low), abs(high)))
        return (
            f"{what} {_whole(value)} {at}, {_whole(other)} {rest}: "
            f"{abs(_whole(value) - _whole(other))} {word} (95 % interval {_range(*ends)} {word})."
        )

    def _no_difference(self) -> list[str]:
        """Return the spread of what is found, and the largest difference, which chance explains."""
        one = next((f for f in self.verdict.findings if f.metric == "sensitivity"), None)
        if one is None or one.outcome == "cannot say":
            return []
        results, names = self.audit.results[self.by], self.names
        known = results.compared("sensitivity")
        whole = len(known) == len(names.grouping.labels)
        start = "O" if whole else f"Among {names.several(known)}: o"
        shares = [_whole(results.value("sensitivity", name)[0]) for name in known]
        if len(set(shares)) == 1:
            return [f"{start}f 100 {names.positives} it finds {shares[0]} in each of the groups."]
        off = one.difference
        word = "fewer" if off < 0 else "more"
        opposite = "more" if off < 0 else "fewer"
        near, far = sorted((one.difference_low, one.difference_high), key=lambda end: end * off)
        sentences = [
            f"{start}f 100 {names.positives} it finds {min(shares)} to {max(shares)} in the "
            f"{len(shares)} groups. The largest difference, {abs(_whole(off))} {word} "
            f"{names.at(one.group)} than {names.at_rest(one.group)}, is no more than chance gives "
            f"(p {_equals(one.p)}; 95 % interval {abs(_whole(far))} {word} to "
            f"{abs(_whole(near))} {opposite})."
        ]
        if (hidden := self._hidden()) is not None:
            sentences.append(
                f"Only if it found {hidden} of 100 fewer in a group would that be noticed in 80 of "
                "100 such audits."
            )
        return sentences

    def rows(self) -> Iterable[Row]:
        """Return the table: all, then every group."""
        results = self.audit.results[self.by]
        named = [one.group for one in self.gaps if _is_worse(one)]
        worst = {*named, *(member for name in named for member in self.names.members(name))}
        joined = [name for name in self.names.pooled if name in worst]
        for group in ["overall", *results.grouping.labels, *joined]:
            positives = int(self.audit.study.target[results.rows[results.names.index(group)]].sum())
            found, clear, ranks = (
                results.figure(metric, group) for metric in ("sensitivity", "specificity", "auroc")
            )
            alarms = per_hundred(1 - clear.value, 1 - clear.high, 1 - clear.low)
            auroc = with_interval(*ranks[:3], 2)
            why = found.why
            state = "worst" if group in worst else "few" if group in self._few_names else ""
            yield Row(
                group=self.names.shown(group),
                tested=f"{positives:,}",
                share="" if why else per_hundred(*found[:3]),
                low=0 if why else 100 * found.low,
                at=0 if why else min(100 * found.value, 97.0),
                high=0 if why else 100 * found.high,
                more=(alarms, auroc),
                why=self._too_few(positives, why) if why else "",
                state=state,
            )  # fmt: skip

    def _too_few(self, positives: int, why: str) -> str:
        """Return why a group cannot be judged; the audit's own reason where patients are few."""
        if "patient" in why:
            return why.replace("positives", self.names.positives)
        return f"{counted(positives, self.names.finding, self.names.positives)}, too few"

    def meaning(self) -> Iterable[str]:
        """Return what the verdict means for 100 people."""
        names = self.names
        if not self.gaps:
            overall = self.audit.figure("sensitivity", by=self.by)
            if not overall.why:
                yield (
                    f"It finds {_whole(overall.value)} of 100 {names.positives} over all groups: "
                    "whether that is enough is a separate, clinical question."
                )
            if self.audit.results[self.by].value("selection_rate")[0] == 0:
                yield (
                    f"No image at all is flagged from a score of {self.audit.options.threshold:g}: "
                    "choose the threshold that is used (`threshold=0.1`)."
                )
            for one in self.few:
                if one.positives and self.audit.study.weight is None:
                    yield (
                        f"{_capital(names.thing(one.group))}: "
                        f"{counted(one.positives + one.negatives, 'image')} of which "
                        f"{one.positives:,} show {names.positives}; one more or one fewer found "
                        f"would move the result by {round(100 / one.positives)} of 100."
                    )
            return
        worse = [one for one in self.gaps if _is_worse(one)]
        for one in worse:
            at, rest = names.at(one.group), names.at_rest(one.group)
            if one.metric == "sensitivity":
                more = _whole(one.others_value) - _whole(one.value)
                yield (
                    f"Of every 100 {names.positives} {at}, about {more} more would be missed than "
                    f"{rest}."
                )
                yield self._cutoff(one.group)
            elif one.metric == "specificity":
                more = _whole(one.others_value) - _whole(one.value)
                yield (
                    f"Of every 100 {names.negatives} {at}, about {more} more would be flagged "
                    f"than {rest}."
                )
            elif not any(o.metric == "sensitivity" and o.group == one.group for o in worse):
                yield (
                    f"Of 100 pairs of {names.a_finding} and another image, it gives the first the "
                    f"higher score in {_whole(one.value)} {at} and in {_whole(one.others_value)} "
                    f"{rest}; another cut-off would not change that."
                )

    def _cutoff(self, group: str) -> str:
        """Say whether another threshold would help: whether the order of the scores is worse."""
        results = self.audit.results[self.by]
        rows = {row.group: row for row in results.differences().compared("auroc")}
        row = rows.get(group)
        if row is None:
            return "Whether another cut-off would help cannot be said: too few for an AUROC."
        pair = f"AUROC {row.estimate.value:.2f} against {row.other.value:.2f}"
        if row.established and row.difference < 0:
            return (
                f"The order of the scores is worse there, too ({pair}), so that another cut-off "
                "alone would not repair it."
            )
        return (
            f"The order of the scores is not established to be worse there ({pair}): a lower "
            "cut-off on this skin would find more, at the price of more false alarms."
            if self.names.is_tone
            else f"The order of the scores is not established to be worse there ({pair}): a lower "
            "cut-off for this group would find more, at the price of more false alarms."
        )

    def steps(self) -> list[str]:
        """Return what should be done next."""
        worse = [one for one in self.gaps if _is_worse(one)]
        sentences: list[str] = []
        if worse:
            things = listed(self.names.thing(one.group) for one in self._worse_groups())
            sentences.append(f"Do not rely on it for {things} before this is solved.")
            sentences.append(self._look(worse[0].metric))
            need = self.verdict.needed.get(worse[0].group, math.nan)
            limit = _whole(self.verdict.acceptable["sensitivity"])
            if need == need and worse[0].metric != "specificity":
                sentences.append(
                    f"Measure again on new images of that group: {rounded(need)} "
                    f"{self.names.positives} show a difference of {limit} in 100."
                )
        if self.few:
            sentences += self._collect()
        elif not worse:
            sentences += self._more_steps()
        return sentences or ["Audit again when the model, the camera or the clinic changes."]

    def _look(self, metric: str) -> str:
        if metric == "specificity":
            return (
                f"Look at the {self.names.negatives} that it flagged there, at how many such "
                "images it was trained on, and at who labelled them."
            )
        origin = self.audit.provenance
        how = '`missed="missed.csv"`' if origin.command else "Audit.missed()"
        where = f"in {origin.missed}" if origin.missed else f"by {how}"
        return (
            f"Look at the {self.names.positives} that it missed there (listed {where}), at how "
            "many such images it was trained on, and at who labelled them."
        )

    def _collect(self) -> list[str]:
        """Return what to do about groups with too few images."""
        few = self._few_groups()
        sentences = [f"Do not state that it works on {few}; say so in its instructions for use."]
        needs = [one for one in self.few if one.needed_positives == one.needed_positives]
        if needs:
            most = max(needs, key=lambda one: one.needed_positives)
            limit = self.verdict.acceptable[most.needed_for]
            size = f"{limit:g} in the AUROC" if most.needed_for == "auroc" else (
                f"{_whole(limit)} in 100"
            )  # fmt: skip
            each = f"each of {few}" if len(self.few) > 1 else few
            sentences.append(
                f"Collect {rounded(most.needed_positives)} {self.names.positives} in {each}: "
                f"enough to notice a difference of {size}."
            )
        return sentences

    def _more_steps(self) -> list[str]:
        known = {g: n for g, n in self.verdict.needed.items() if n == n and math.isfinite(n)}
        sentences: list[str] = []
        limit = _whole(self.verdict.acceptable["sensitivity"])
        if known:
            results = self.audit.results[self.by]
            most = max(known.values())
            short = [g for g, n in known.items() if results.people(g)[1] < n]
            if short:
                now = sorted(results.people(group)[1] for group in known)
                has = f"{now[0]:,}" if now[0] == now[-1] else f"{now[0]:,} to {now[-1]:,}"
                sentences.append(
                    f"To notice a group of which it finds {limit} in 100 fewer: {rounded(most)} "
                    f"{self.names.positives} in each of the {len(known)} groups (they have {has})."
                )
        if len(self.names.grouping.labels) < 2:
            return ['Add images of other groups, or name another column (`by="COLUMN"`).']
        if not self.asked:
            sentences.append(
                "Decide on the largest difference that is acceptable before testing again "
                "(`acceptable=0.05`)."
            )
        return sentences


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _is_worse(one: Finding) -> bool:
    return one.difference * METRICS[one.metric].better < 0


def _equals(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _trust(audit: Audit, names: Naming) -> Iterable[str]:
    yield from (note for note in audit.study.notes if "corrected by hand" in note)
    if audit.agreement is not None:
        yield (
            f"Compared with people the labels were right in {100 * audit.agreement.exact:.0f} of "
            f"100 of {audit.agreement.confusion.sum():,.0f} images; the report shows the figures "
            "with that error taken away."
        )
        return
    if not names.is_tone:
        yield "Not examined here: the groups are taken as given."
        return
    if names.is_judged:
        yield (
            f"Not checked here. Where two people judged the same photographs they agreed on "
            f"{JUDGED_EXACT} of 100 and within one type on {JUDGED_WITHIN_ONE} of 100 "
            "(Fitzpatrick17k). Such errors mix the groups and usually hide a gap."
        )
        return
    exact, one = COMPUTED_EXACT, COMPUTED_WITHIN_ONE
    yield (
        "Not checked here. Where people had judged the skin type, a computed label was the same on "
        f"{exact[0]} to {exact[1]} of 100 photographs and within one on {one[0]} to {one[1]} of "
        "100, by data set and method. Such errors mix neighbouring groups and usually hide a gap "
        "rather than create one. To check these labels, have two people judge 100 of the "
        "photographs and run equiderm agree."
    )


def _left_out(audit: Audit, names: Naming, verdict: Verdict | None) -> list[str]:
    enough: list[str] = []
    if verdict is not None:
        joined = [names.several(groups) for groups in verdict.pooled]
        few = [one.group for one in verdict.too_few]
        enough = [f"Judged together, as each alone has too few images: {one}." for one in joined]
        if few:
            enough.append(f"Too few images to be judged: {names.several(few)}.")
        elif not joined:
            results = audit.results[names.grouping.name]
            counts = {name: results.people(name)[1] for name in names.grouping.labels}
            least = min(counts, key=counts.__getitem__)
            enough.append(
                f"No group has too few images to be judged; the fewest {names.positives}, "
                f"{counts[least]:,}, are {names.at(least)}."
            )
    elsewhere = ("The score is", "corrected by hand", "Every figure is weighted")
    notes = [note for note in audit.study.notes if not any(word in note for word in elsewhere)]
    for grouping in audit.study.groupings:
        if grouping.left_out:
            notes.append(
                f"{counted(grouping.left_out, 'image')} in intersections of {grouping.name} that "
                "are too small to show."
            )
    source = audit.provenance.tone_source
    if "not in" in source:
        notes.append(source)
    notes = [spell(audit, note) for note in notes]
    return [*enough, *(notes or ["No row of the table was left out."])]


def spell(audit: Audit, text: str) -> str:
    """Return a sentence with options as flags where the audit came from the command line."""
    return as_flags(text) if audit.provenance.command else text


def _without_truth(audit: Audit, by: str, names: Naming) -> FirstScreen:
    """Return the first screen where nobody knows yet which images are positive."""
    results = audit.results[by]
    shares = {name: results.figure("selection_rate", name) for name in results.grouping.labels}
    known = {name: one for name, one in shares.items() if not one.why}
    evidence = [
        "Without knowing which images are positive, only how many it flags can be compared."
    ]
    if len(known) > 1:
        low, high = (pick(known, key=lambda n: known[n].value) for pick in (min, max))
        evidence.append(
            f"Of 100 images it flags {_whole(known[low].value)} {names.at(low)} and "
            f"{_whole(known[high].value)} {names.at(high)}; that may be right or wrong."
        )
    rows: list[Row] = []
    for group in ["overall", *results.grouping.labels]:
        one = results.figure("selection_rate", group)
        rows.append(
            Row(
                names.shown(group),
                f"{len(results.rows[results.names.index(group)]):,}",
                "" if one.why else per_hundred(*one[:3]),
                *((0, 0, 0) if one.why else (100 * one.low, min(100 * one.value, 97.0),
                                             100 * one.high)),
                more=(),
                why=one.why,
            )
        )  # fmt: skip
    return FirstScreen(
        title=_title(audit, names),
        about=_about(audit, names),
        outcome="cannot say",
        headline="Nobody can say: the truth is not known yet.",
        evidence=tuple(evidence),
        question="Out of 100 images, how many does the model flag?",
        caption=f"Flagged from a score of {audit.options.threshold:g}. In brackets the 95 % "
        "interval: the range that the true number probably lies in.",
        columns=(names.heading, "images", "flagged of 100", "0 to 100"),
        rows=tuple(rows),
        meaning=(),
        others=(),
        steps=(
            "Have the images diagnosed, and audit again with the truth.",
            "Until then do not read a difference in what is flagged as good or bad: groups may "
            "differ in how many have the disease.",
        ),
        trust=tuple(_trust(audit, names)),
        left_out=tuple(_left_out(audit, names, None)),
        foot=_foot(audit),
    )  # fmt: skip


def missed_positives(audit: Audit, by: str | None = None, group: str | None = None) -> pd.DataFrame:
    """Return the missed positives of a group, the lowest score first.

    Args:
        audit: The audit.
        by: The group column; the first, if not said.
        group: The group; the one that the verdict names as worse, or else that of which the fewest
            positives are found.

    Returns:
        A data frame with ``image`` (or ``row``, from 1, without ids), the group column, ``score``
        and ``threshold``.
    """
    import pandas as pd

    by = by or audit.columns[0]
    results, study = audit.results[by], audit.study
    group = group or worst_group(audit, by)
    rows = results.rows[results.names.index(group)] if group else np.array([], dtype=np.intp)
    rows = rows[study.target[rows] & (study.score[rows] < audit.options.threshold)]
    rows = rows[np.argsort(study.score[rows], kind="stable")]
    name = {"row": rows + 1} if study.ids is None else {"image": study.ids[rows]}
    labels = np.array([*results.grouping.labels, ""], dtype=object)[results.grouping.codes[rows]]
    return pd.DataFrame(
        {**name, by: labels, "score": study.score[rows], "threshold": audit.options.threshold}
    )


def worst_group(audit: Audit, by: str) -> str:
    """Return the group that the verdict names as worse; else that of the lowest sensitivity."""
    findings = audit.verdict(by).findings
    worse = [one for one in findings if one.outcome == "gap" and _is_worse(one)]
    worse.sort(key=lambda one: one.metric == "specificity")
    if worse:
        return worse[0].group
    results = audit.results[by]
    names: Sequence[str] = results.compared("sensitivity")
    return min(names, key=lambda name: results.value("sensitivity", name)[0], default="")
