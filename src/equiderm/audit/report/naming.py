"""Names of groups and images for readers: which end of a scale is dark, what is positive."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from equiderm.audit.groupings import rank_of_tone, step_of
from equiderm.errors import as_flags
from equiderm.format import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from equiderm.audit.audit import Audit
    from equiderm.audit.groupings import Grouping
    from equiderm.audit.shown import ShownAudit

MOST_NAMED = 12  # groups that a sentence names one by one
_TONE_WORDS = ("ita_band", "band", "fitz", "fst", "monk", "tone", "skin", "type")
_HEADINGS = {
    "ita_band": "Skin tone band",
    "fitzpatrick": "Fitzpatrick type",
    "fitzpatrick_type": "Fitzpatrick type",
    "fitzpatrick_group": "Fitzpatrick types",
    "skin_tone": "Skin tone",
    "monk_tone": "Monk tone",
}
_JUDGED = ("fitz", "fst", "monk", "type", "judged")
_PLURALS = (("ss", "sses"), ("evus", "evi"), ("us", "uses"), ("sis", "ses"), ("itis", "itides"))
_SCALES = {"monk": "10", "fitz": "6", "fst": "6", "ita_band": "6"}  # darkest step of each scale


@dataclass(frozen=True)
class Naming:
    """The names of one grouping's groups, and of what positive images show.

    Attributes:
        grouping: The groups.
        finding: What a positive image shows, in the singular.
        pooled: Neighbouring groups that are pooled, by their common name.
    """

    grouping: Grouping
    finding: str = "positive"
    pooled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_tone(self) -> bool:
        """Whether the groups are of skin tone, from light to dark."""
        labels, name = self.grouping.labels, self.grouping.name.lower()
        if self.grouping.is_intersection or not labels:
            return False
        if rank_of_tone(labels) is not None:
            return True
        by_name = any(word in name for word in _TONE_WORDS)
        return by_name and all(step_of(label) is not None for label in labels)

    @property
    def is_judged(self) -> bool:
        """Whether people assigned the tone, by the column's name."""
        name = self.grouping.name.lower()
        return self.is_tone and any(word in name for word in _JUDGED)

    @property
    def dark_half(self) -> tuple[str, ...]:
        """The darker half of the groups; empty if they are not of skin tone."""
        labels = self.grouping.labels
        return labels[(len(labels) + 1) // 2 :] if self.is_tone else ()

    @property
    def heading(self) -> str:
        """Name of the grouping, as a column heading."""
        name = self.grouping.name
        return _HEADINGS.get(name.lower(), name)

    @property
    def noun(self) -> str:
        """Noun before a group's name: band, type, tone, or the column's name."""
        name = self.grouping.name.lower()
        if "band" in name:
            return "band"
        if "fitz" in name or "type" in name or "fst" in name:
            return "type"
        tone = any(word in name for word in ("monk", "tone", "skin"))
        return "tone" if tone else self.grouping.name

    def shown(self, group: str) -> str:
        """Return a group's name for a table or an axis: "1 lightest", "6 darkest"."""
        if group == "overall":
            return "all groups" if "all" in self.grouping.labels else "all"
        if group in self.pooled:
            return f"{group} together"
        if not self.is_tone or group not in self.grouping.labels or len(self.grouping.labels) < 2:
            return group
        end = {self.grouping.labels[0]: "lightest", self.grouping.labels[-1]: "darkest"}.get(group)
        if end is None:
            return self.spelled(group)
        if group == self.grouping.labels[-1] and group != self._darkest:
            end = f"{end} here"
        if group.lower() in ("light", "dark"):
            return group
        if _is_word(group):
            return f"{group} ({end})"
        return f"{self.spelled(group)} {end}"

    @property
    def is_in_pairs(self) -> bool:
        """Whether each group is two types, such as DDI's 12, 34 and 56."""
        labels = self.grouping.labels
        return self.is_tone and all(re.fullmatch("12|23|34|45|56", label) for label in labels)

    def spelled(self, group: str) -> str:
        """Return a group's name as it is written in text: "5-6" for DDI's 56."""
        return "-".join(group) if self.is_in_pairs else group

    @property
    def _darkest(self) -> str:
        name = self.grouping.name.lower()
        if self.is_in_pairs:
            return "56"
        last = next((top for word, top in _SCALES.items() if word in name), None)
        return last if last is not None and self._numbered else self.grouping.labels[-1]

    @property
    def _numbered(self) -> bool:
        return all(label.isdigit() and len(label) < 3 for label in self.grouping.labels)

    def thing(self, group: str) -> str:
        """Return a group as a noun: "the darkest skin (band 6)", "group f of sex"."""
        labels, members = self.grouping.labels, self.members(group)
        first, s = members[0], "s" if len(members) > 1 or self.is_in_pairs else ""
        if not self.is_tone:
            return f"group{s} {group} of {self.grouping.name}"
        if _is_word(first):
            return f"{group} skin"
        end = {labels[0]: "lightest", labels[-1]: "darkest"} if len(labels) > 1 else {}
        which = next((end[member] for member in members if member in end), "")
        if which:
            return f"the {which} skin ({self.noun}{s} {self.spelled(group)})"
        return f"skin of {self.noun}{s} {self.spelled(group)}"

    def members(self, group: str) -> tuple[str, ...]:
        """Return the groups of a name: itself, or those pooled under it."""
        return self.pooled.get(group, (group,))

    def rest(self, group: str) -> str:
        """Return all other groups as a noun; with two groups, the other's name."""
        rest = [label for label in self.grouping.labels if label not in self.members(group)]
        if len(rest) == 1:
            return self.thing(rest[0])
        return "all other skin" if self.is_tone else "all other groups"

    def at(self, group: str) -> str:
        """Return a group with its preposition: "on dark skin", "in group f of sex"."""
        return f"{self._preposition} {self.thing(group)}"

    def at_rest(self, group: str) -> str:
        """Return all other groups with their preposition."""
        return f"{self._preposition} {self.rest(group)}"

    @property
    def _preposition(self) -> str:
        return "on" if self.is_tone else "in"

    def several(self, groups: Sequence[str]) -> str:
        """Return groups as a noun: "bands 1 to 4", "bands 5 and 6 (the darkest)".

        Of more than `MOST_NAMED` groups that are no tones it says how many they are.
        """
        labels = self.grouping.labels
        if not self.is_tone and len(groups) > MOST_NAMED:
            some = "all" if len(groups) == len(labels) else f"{len(groups)} of the"
            return f"{some} {len(labels)} groups of {self.grouping.name}"
        if not self.is_tone:
            return f"group{'s' if len(groups) > 1 else ''} {listed(groups)} of {self.grouping.name}"
        if all(map(_is_word, groups)):
            return f"{listed(groups)} skin"
        noun = f"{self.noun}{'s' if len(groups) > 1 or self.is_in_pairs else ''}"
        start = labels.index(groups[0])
        spelled = [self.spelled(group) for group in groups]
        if (
            len(groups) > 2
            and tuple(groups) == labels[start : start + len(groups)]
            and _consecutive(groups)
        ):
            return f"{noun} {spelled[0]} to {spelled[-1]}"
        if groups[-1] == labels[-1]:
            spelled[-1] += " (the darkest)"
        return f"{noun} {listed(spelled)}"

    def things(self, groups: Sequence[str]) -> str:
        """Return groups as one noun: "skin of bands 4 and 5", "the darkest skin (band 6)"."""
        if len(groups) == 1:
            return self.thing(groups[0])
        members = [name for group in groups for name in self.members(group)]
        text = self.several(sorted(members, key=self.grouping.labels.index))
        return text if not self.is_tone or all(map(_is_word, members)) else f"skin of {text}"

    @property
    def positives(self) -> str:
        """What positive images show, in the plural."""
        return _plural(self.finding)

    @property
    def negatives(self) -> str:
        """Name of the other images, in the plural."""
        return self.negative.replace("image", "images", 1)

    @property
    def negative(self) -> str:
        """Name of one of the other images, without its article."""
        if self.finding == "positive":
            return "negative image"
        return f"image without {self.a_finding}"

    @property
    def a_negative(self) -> str:
        """Name of an image without the finding, in contrast to one with it."""
        return "a negative one" if self.finding == "positive" else "an image without"

    @property
    def a_finding(self) -> str:
        """What a positive image shows, with its article."""
        if self.finding == "positive":
            return "a positive image"
        return f"{'an' if self.finding[:1].lower() in 'aeiou' else 'a'} {self.finding}"

    def fill(self, template: str, *groups: str, **numbers: str) -> str:
        """Return a template of `equiderm.audit.phrases` filled with names, groups and numbers."""
        where = {"at": f"{self._preposition} {self.things(groups)}"} if groups else {}
        where |= {"rest": self.at_rest(groups[0])} if len(groups) == 1 else {}
        return template.format(
            positives=self.positives,
            negatives=self.negatives,
            a_finding=self.a_finding,
            **where,
            **numbers,
        )


def _plural(noun: str) -> str:
    """Return the plural of a finding: abscesses, nevi, keratoses; a plural stays as it is."""
    for end, plural in _PLURALS:
        if noun.endswith(end):
            return noun.removesuffix(end) + plural
    if re.search("[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return noun if noun.endswith("s") else f"{noun}s"


def _consecutive(groups: Sequence[str]) -> bool:
    """Return whether no number between the first and the last is missing; of words, True."""
    if not all(group.isdecimal() for group in groups):
        return True
    return abs(int(groups[-1]) - int(groups[0])) == len(groups) - 1


def _is_word(group: str) -> bool:
    """Return whether a group's name is a word, such as dark or very-light, and not a number."""
    return any(letter.islower() for letter in group)


def naming(audit: Audit, by: str | None = None) -> Naming:
    """Return the names of a column's groups."""
    results = audit.results[by or audit.columns[0]]
    return Naming(results.grouping, audit.provenance.finding, results.pooled)


def model_of(audit: Audit | ShownAudit) -> str:
    """Return the name of the audited model, or of its table."""
    return audit.provenance.model or audit.study.name


def spell(audit: Audit | ShownAudit, text: str) -> str:
    """Return a sentence with options as flags if the audit came from the command line."""
    return as_flags(text) if audit.provenance.command else text


def each_count(counts: Sequence[int], noun: str, plural: str | None = None) -> str:
    """Return a count for each group with its noun; of more than `MOST_NAMED` groups their range."""
    plural = f"{noun}s" if plural is None else plural
    if len(counts) > MOST_NAMED and min(counts) < max(counts):
        return f"{min(counts):,} to {max(counts):,} {plural}"
    if len(set(counts)) == 1:
        what = noun if counts[0] == 1 else plural
        return f"{counts[0]:,} {what}" + " each" * (len(counts) > 1)
    return f"{listed(f'{count:,}' for count in counts)} {plural}"
