"""The verdict by one grouping in words: the headline and its evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equiderm.audit.report.naming import Naming, each_count, naming
from equiderm.format import p_equals, whole_of_100
from equiderm.statistics.intervals import ALPHA

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from equiderm.audit.audit import Audit
    from equiderm.audit.verdict import Finding, TooFew, Verdict


@dataclass(frozen=True)
class Statement:
    """The verdict by one grouping, with all that its sentences need.

    Attributes:
        audit: The audit.
        by: The group column.
        names: The names of its groups.
        verdict: The verdict by it.
        asked: Whether the user set an acceptable difference.
    """

    audit: Audit
    by: str
    names: Naming
    verdict: Verdict
    asked: bool

    @property
    def gaps(self) -> list[Finding]:
        """The established findings, those to a group's disadvantage first."""
        gaps = [finding for finding in self.verdict.findings if finding.outcome == "gap"]
        return sorted(gaps, key=lambda finding: not finding.is_worse)

    @property
    def few(self) -> tuple[TooFew, ...]:
        """The groups with too few images for a figure, or to notice even a large loss."""
        return self.verdict.too_few

    @property
    def few_negatives(self) -> list[TooFew]:
        """Those of `few` that have enough positives for a figure and too few negatives for one."""
        results = self.audit.results[self.by]
        return [
            few
            for few in self.few
            if results.value("auroc", few.group)[2]
            and not results.value("sensitivity", few.group)[2]
        ]

    @property
    def few_positives(self) -> list[TooFew]:
        """Those of `few` that have too few positives for a figure, or to notice a large loss."""
        negatives = self.few_negatives
        return [few for few in self.few if few not in negatives]

    @property
    def few_dark(self) -> list[TooFew]:
        """Those of `few_positives` that are in the darker half of the groups."""
        return [few for few in self.few_positives if few.group in self.names.dark_half]

    @property
    def few_names(self) -> set[str]:
        """The names of the groups with too few images."""
        return {few.group for few in self.few}

    def few_groups(self) -> str:
        """Return the groups with too few images as a noun."""
        return self.names.several([few.group for few in self.few])

    def worse_groups(self) -> list[Finding]:
        """Return the findings for the headline, to a group's disadvantage.

        The first one; if the verdict is mixed, the first of each group by AUROC or sensitivity.
        """
        worse = [finding for finding in self.gaps if finding.is_worse]
        if self.verdict.outcome != "mixed":
            return worse[:1]
        misses = [finding for finding in worse if finding.is_of_positives]
        return list({finding.group: finding for finding in reversed(misses)}.values())[::-1]

    def verdict_words(self) -> tuple[str, list[str]]:
        """Return headline and evidence; too few images of dark skin are stated first."""
        few = list(self._few_sentences())
        if self.gaps:
            return self._gap_words(few)
        if self.verdict.outcome == "cannot say":
            return self._unknown_words(few)
        return self._none_words(), [*self._no_difference(), *few]

    def _gap_words(self, few: list[str]) -> tuple[str, list[str]]:
        first = self.gaps[0]
        start = "No. "
        dark = {few.group for few in self.few_dark}
        named = self.worse_groups() or [first]
        if dark & {group for finding in named for group in (finding.group, *self.worse(finding))}:
            start = f"Too few {self.names.positives} on dark skin to say how many it finds. Still: "
        elif dark:
            start = "Dark skin was hardly tested. Elsewhere: "
        elif self.verdict.outcome == "mixed":
            start = "No, and the figures disagree on who is worse off. "
        sentences = [self._gap_sentence(finding) for finding in self.gaps]
        groups = len(self.names.grouping.labels)
        sentences[0] += (
            f" Chance does not explain this (p {p_equals(first.p)}, allowing for {groups} groups "
            "and three measures)."
        )
        for k, finding in enumerate(self.gaps[1:], 1):
            sentences[k] += f" Chance does not explain this either (p {p_equals(finding.p)})."
        sentences = [
            text + self._likewise(gap) for text, gap in zip(sentences, self.gaps, strict=True)
        ]
        parts = [self._headline(finding) for finding in named]
        headline = start + " ".join(parts)
        return headline, [*few, *sentences] if self.few_dark else [*sentences, *few]

    def _unknown_words(self, few: list[str]) -> tuple[str, list[str]]:
        labels = self.names.grouping.labels
        judged = [name for name in labels if name not in self.few_names]
        short = self._short_of(self.few) if self.few else "images"
        if len(labels) < 2:
            return "Nobody can say: all images are of one group.", few
        if all(finding.outcome == "cannot say" for finding in self.verdict.findings):
            why = next((finding.why for finding in self.verdict.findings if finding.why), "")
            sentences = [*few, *([f"Groups cannot be compared: {why}."] if why and not few else [])]
            return f"Nobody can say: too few {short} to compare any groups.", sentences
        if not judged:
            headline = f"Nobody can say: every group has too few {short}."
        elif self.few_dark:
            headline = "Nobody can say: dark skin was hardly tested."
        else:
            headline = f"Nobody can say for all: {self.few_groups()} had too few {short}."
        return headline, [*few, *self._no_difference()]

    def _none_words(self) -> str:
        within = [f for f in self.verdict.findings if f.outcome == "within acceptable"]
        if self.asked and len(within) == len(self.verdict.findings):
            limit = max(self.verdict.acceptable[finding.metric] for finding in within)
            return f"No group differs by {limit:g} or more: the difference called acceptable."
        if self.asked:
            limit = min(self.verdict.acceptable.values())
            return (
                f"No difference above the acceptable {limit:g} was established, but one cannot be "
                "ruled out."
            )
        hidden = self.hidden()
        if hidden is None:
            return "No difference was established, but even a large one could not be noticed."
        return (
            f"No difference was established. A difference of up to {hidden} in 100 could have gone "
            "unnoticed."
        )

    def hidden(self) -> int | None:
        """Return the drop of sensitivity, out of 100, noticed in every group; None if none is."""
        drops = list(self.verdict.detectable.get("sensitivity", {}).values())
        if not drops or any(drop != drop for drop in drops):
            return None
        return math.ceil(100 * max(drops))

    def _few_sentences(self) -> Iterable[str]:
        """Yield sentences on groups with too few images for a figure, or to notice a large loss."""
        results, names = self.audit.results[self.by], self.names
        lacking = [few for few in self.few if results.value("sensitivity", few.group)[2]]
        unnoticed = [few for few in self.few_positives if few not in lacking]
        units = results.units("sensitivity")
        pooled = {name: labels for name, labels in names.pooled.items() if name in units}
        judged = {label for labels in pooled.values() for label in labels}
        together = [few for few in lacking if few.group in judged]
        alone = [few for few in lacking if few not in together]
        it = "them" if self._is_plural(alone) else "it"
        half = "so few that finding half as many as elsewhere would go unnoticed"
        both = f"so this audit says nothing about them one by one; together they are {half}"
        for groups, so in (
            (alone, f"so this audit says nothing about {it}"),
            (together, both),
            (unnoticed, half),
        ):
            if groups:
                counts = each_count([f.positives for f in groups], names.finding, names.positives)
                yield self._too_few(groups, "positives", counts, so)
        if groups := self.few_negatives:
            nouns = (names.negative, names.negatives)
            if self._short_of(groups) != "patients":
                nouns = ("", "")  # the sentence has named them
            counts = " ".join(each_count([f.negatives for f in groups], *nouns).split())
            so = "so this audit says nothing about false alarms there, nor about the AUROC"
            yield self._too_few(groups, "negatives", counts, so)

    def _too_few(self, groups: Sequence[TooFew], kind: str, counts: str, so: str) -> str:
        """Return a sentence on groups that have these counts of one kind of image."""
        short = self._short_of(groups)
        if short == "patients":
            results = self.audit.results[self.by]
            people = [results.patients_of(kind, few.group) for few in groups]
            counts = f"{counts.removesuffix(' each')} of {each_count(people, 'patient')}"
        have = "have" if self._is_plural(groups) else "has"
        where = self.names.several([few.group for few in groups])
        return f"Too few {short}: {where} {have} {counts}, {so}."

    def _is_plural(self, groups: Sequence[TooFew]) -> bool:
        return len(groups) > 1 or self.names.is_in_pairs

    def _short_of(self, groups: Sequence[TooFew]) -> str:
        """Return what all of these groups have too few of: patients, negatives, or images."""
        results, negatives = self.audit.results[self.by], self.few_negatives
        only = all(few in negatives for few in groups)
        metric = "specificity" if only else "sensitivity"
        if all("patient" in results.value(metric, few.group)[2] for few in groups):
            return "patients"
        return self.names.negatives if only else "images"

    def _headline(self, finding: Finding) -> str:
        if not finding.is_worse:
            return self.names.fill(finding.phrases.better, finding.group)
        groups = [finding.group] if self.verdict.outcome == "mixed" else self.worse(finding)
        return self.names.fill(finding.phrases.worse, *groups)

    def worse(self, finding: Finding) -> list[str]:
        """Return the groups that the finding's figure establishes to be worse."""
        return self.verdict.worse(finding.metric)

    def _likewise(self, first: Finding) -> str:
        """Return a sentence on further groups that the finding's figure establishes to be worse."""
        further = [finding for finding in self.verdict.also if finding.metric == first.metric]
        texts = [(self.names.at(finding.group), finding.words()) for finding in further]
        pairs = (f"{at}: {words['one']} against {words['other']}" for at, words in texts)
        return f" Likewise {'; '.join(pairs)}." if further else ""

    def _gap_sentence(self, finding: Finding) -> str:
        phrases = finding.phrases
        value, other = phrases.shown(finding.value), phrases.shown(finding.others_value)
        return self.names.fill(
            phrases.difference,
            finding.group,
            way=phrases.ways[0 if value < other else 1],
            **finding.words(),
        )

    def _no_difference(self) -> list[str]:
        """Return sentences on the range of sensitivity, and its clearest difference."""
        finding = next((f for f in self.verdict.findings if f.metric == "sensitivity"), None)
        if finding is None or finding.outcome == "cannot say":
            return []
        results, names = self.audit.results[self.by], self.names
        known = results.units("sensitivity")
        members = [member for name in known for member in names.members(name)]
        whole = len(members) == len(names.grouping.labels)
        start = "O" if whole else f"Among {names.several(members)}: o"
        shares = [results.value("sensitivity", name)[0] for name in known]
        fewest, most = (whole_of_100(pick(shares)) for pick in (min, max))
        if fewest == most:
            return [f"{start}f 100 {names.positives} it finds {fewest} in each of the groups."]
        sentences = [
            f"{start}f 100 {names.positives} it finds {fewest} in the group with the fewest and "
            f"{most} in that with the most. {self._clearest(finding)}"
        ]
        if (hidden := self.hidden()) is not None:
            sentences.append(
                f"If it found {hidden} of 100 fewer in a group, 80 of 100 such audits would "
                "notice; a smaller difference would often be missed."
            )
        return sentences

    def _clearest(self, finding: Finding) -> str:
        """Return a sentence on the clearest difference of sensitivity if it is no gap."""
        off, write = finding.difference, finding.phrases.write_above_0
        word, opposite = ("fewer", "more") if off < 0 else ("more", "fewer")
        ends = finding.difference_low, finding.difference_high
        near, far = sorted(ends, key=lambda end: end * off)
        text = (
            f"The clearest difference, {write(abs(off))} {word} {self.names.at(finding.group)} "
            f"than {self.names.at_rest(finding.group)}, "
        )
        p, near, far = f"p {p_equals(finding.p)}", write(abs(near)), write(abs(far))
        if finding.p < ALPHA:
            limit = finding.phrases.write_limit(self.verdict.acceptable[finding.metric])
            return (
                f"{text}is more than chance explains ({p}; 95 % interval {near} to {far} {word}), "
                f"but within the {limit} called acceptable."
            )
        return f"{text}could be chance ({p}; 95 % interval {far} {word} to {near} {opposite})."


def state(audit: Audit, by: str) -> Statement:
    """Return the statement on one grouping.

    Args:
        audit: The audit.
        by: The group column.
    """
    asked = audit.options.acceptable is not None
    return Statement(audit, by, naming(audit, by), audit.verdict(by), asked)
