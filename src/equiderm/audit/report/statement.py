"""The verdict by one grouping in words: the headline, and what it rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equiderm.audit.report.naming import Naming, naming
from equiderm.format import listed, of_100, p_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from equiderm.audit.audit import Audit
    from equiderm.audit.verdict import Finding, TooFew, Verdict


@dataclass(frozen=True)
class Statement:
    """What is stated of one grouping.

    Attributes:
        audit: The audit.
        by: The group column.
        names: What its groups are called.
        verdict: The verdict by it.
        asked: Whether someone named the greatest difference that is acceptable.
    """

    audit: Audit
    by: str
    names: Naming
    verdict: Verdict
    asked: bool

    @property
    def gaps(self) -> list[Finding]:
        """The established findings, those to a group's disadvantage first."""
        found = [one for one in self.verdict.findings if one.outcome == "gap"]
        return sorted(found, key=lambda one: not one.is_worse)

    @property
    def few(self) -> tuple[TooFew, ...]:
        """The groups with too few images for a figure, or for a large loss to be noticed."""
        return self.verdict.too_few

    @property
    def few_dark(self) -> list[TooFew]:
        """Those of them in the darker half of the groups."""
        return [one for one in self.few if one.group in self.names.dark_half]

    @property
    def few_names(self) -> set[str]:
        """The names of the groups with too few images."""
        return {one.group for one in self.few}

    def few_groups(self) -> str:
        """Return the groups with too few images as a noun."""
        return self.names.several([one.group for one in self.few])

    def worse_groups(self) -> list[Finding]:
        """Return the first finding to each group's disadvantage; of false alarms if no other is.

        One where the verdict is a gap; where it is mixed, those that disagree.
        """
        worse = [one for one in self.gaps if one.is_worse]
        if self.verdict.outcome != "mixed":
            return worse[:1]
        misses = [one for one in worse if one.is_of_positives]
        return list({one.group: one for one in reversed(misses)}.values())[::-1]

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
        dark = {one.group for one in self.few_dark}
        named = self.worse_groups() or [first]
        if dark & {group for one in named for group in (one.group, *self.worse(one))}:
            start = f"Too few {self.names.positives} on dark skin to say how many it finds. Still: "
        elif dark:
            start = "Dark skin was hardly tested. Elsewhere: "
        elif self.verdict.outcome == "mixed":
            start = "No, and the figures disagree on who is worse off. "
        sentences = [self._gap_sentence(one) for one in self.gaps]
        groups = len(self.names.grouping.labels)
        sentences[0] += (
            f" Chance does not explain this (p {_equals(first.p)}, allowing for {groups} groups "
            "and three measures)."
        )
        for k, one in enumerate(self.gaps[1:], 1):
            sentences[k] += f" Chance does not explain this either (p {_equals(one.p)})."
        sentences = [
            text + self._likewise(one) for text, one in zip(sentences, self.gaps, strict=True)
        ]
        parts = [self._headline(one) for one in named]
        headline = start + " ".join(parts)
        return headline, [*few, *sentences] if self.few_dark else [*sentences, *few]

    def _unknown_words(self, few: list[str]) -> tuple[str, list[str]]:
        labels = self.names.grouping.labels
        judged = [name for name in labels if name not in self.few_names]
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
            headline = f"Nobody can say for all: {self.few_groups()} had too few images."
        return headline, [*few, *self._no_difference()]

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
        hidden = self.hidden()
        if hidden is None:
            return "No difference was established, but even a large one could not be noticed."
        return (
            f"No difference was established. A difference of up to {hidden} in 100 could have gone "
            "unnoticed."
        )

    def hidden(self) -> int | None:
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
            (lacking, "so this audit says nothing about them"),
            (unnoticed, "so few that finding half as many as elsewhere would go unnoticed"),
        ):
            if groups:
                counts = listed(f"{one.positives:,}" for one in groups)
                single = all(one.positives == 1 for one in groups)
                what = names.finding if single else names.positives
                short = "images"
                if all("patient" in results.value("sensitivity", one.group)[2] for one in groups):
                    short = "patients"
                    people = listed(f"{one.patients:,}" for one in groups)
                    alone = all(one.patients == 1 for one in groups)
                    what += f" of {people} patient{'' if alone else 's'}"
                has = "has" if len(groups) == 1 else "have"
                where = names.several([one.group for one in groups])
                yield f"Too few {short}: {where} {has} {counts} {what}, {so}."

    def _headline(self, one: Finding) -> str:
        if not one.is_worse:
            return self.names.fill(one.phrases.better, one.group)
        groups = [one.group] if self.verdict.outcome == "mixed" else self.worse(one)
        return self.names.fill(one.phrases.worse, *groups)

    def worse(self, one: Finding) -> list[str]:
        """Return the groups that the figure of a finding establishes to be worse, as it is."""
        return self.verdict.worse(one.metric)

    def _likewise(self, first: Finding) -> str:
        """Return the same of the further groups that the figure establishes to be worse."""
        further = [one for one in self.verdict.also if one.metric == first.metric]
        write, shown = first.phrases.write, first.phrases.shown
        pairs = (
            f"{self.names.at(one.group)}: {write(shown(one.value))} against "
            f"{write(shown(one.others_value))}"
            for one in further
        )
        return f" Likewise {'; '.join(pairs)}." if further else ""

    def _gap_sentence(self, one: Finding) -> str:
        phrases = one.phrases
        value, other = phrases.shown(one.value), phrases.shown(one.others_value)
        low, high = sorted((abs(one.difference_low), abs(one.difference_high)))
        return self.names.fill(
            phrases.difference,
            one.group,
            one=phrases.write(value),
            other=phrases.write(other),
            size=phrases.apart(value, other),
            way=phrases.ways[0 if value < other else 1],
            low=phrases.write_above_0(low),
            high=phrases.write_above_0(high),
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
        shares = [of_100(results.value("sensitivity", name)[0]) for name in known]
        if len(set(shares)) == 1:
            return [f"{start}f 100 {names.positives} it finds {shares[0]} in each of the groups."]
        off = one.difference
        word = "fewer" if off < 0 else "more"
        opposite = "more" if off < 0 else "fewer"
        near, far = sorted((one.difference_low, one.difference_high), key=lambda end: end * off)
        sentences = [
            f"{start}f 100 {names.positives} it finds {min(shares)} in the group with the "
            f"fewest and {max(shares)} in that with the most. The clearest difference, "
            f"{abs(of_100(off))} {word} {names.at(one.group)} than "
            f"{names.at_rest(one.group)}, could be chance "
            f"(p {_equals(one.p)}; 95 % interval {abs(of_100(far))} {word} to "
            f"{abs(of_100(near))} {opposite})."
        ]
        if (hidden := self.hidden()) is not None:
            sentences.append(
                f"If it found {hidden} of 100 fewer in a group, 80 of 100 such audits would "
                "notice; a smaller difference would often be missed."
            )
        return sentences


def state(
    audit: Audit, by: str, acceptable: float | Mapping[str, float] | None = None
) -> Statement:
    """Return what is stated of one grouping.

    Args:
        audit: The audit.
        by: The group column.
        acceptable: The greatest difference that is acceptable, if someone named one.
    """
    verdict = audit.verdict(by, acceptable)
    return Statement(audit, by, naming(audit, by), verdict, acceptable is not None)


def _equals(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"
