"""The verdict of an audit: whether there is a gap, to whose disadvantage, who cannot be judged."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from equiderm.audit.differences import row_to_name
from equiderm.audit.metrics import HEADLINE, METRICS, phrases_of
from equiderm.audit.power import detectable, needed
from equiderm.audit.sampling import of_groups
from equiderm.errors import InputError
from equiderm.records import remembered
from equiderm.statistics.estimates import interval, spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from equiderm.audit.differences import Compared
    from equiderm.audit.groups import ByGroup
    from equiderm.audit.phrases import Phrases

Outcome = Literal["gap", "none found", "cannot say", "within acceptable"]
ACCEPTABLE = {"auroc": 0.05, "sensitivity": 0.10, "specificity": 0.10}  # unless the user sets one


@dataclass(frozen=True)
class Finding:
    """One figure's verdict: the group that differs most from all others.

    Attributes:
        metric: "auroc", "sensitivity" or "specificity".
        by: The group column.
        group: The group whose difference is most certain; an established worse one if there is one.
        value: The group's figure, with its 95 % interval ``low`` to ``high``.
        others_value: The figure of all other groups that have it: for sensitivity and specificity
            the share of all their images, for the AUROC the mean of theirs.
        difference: ``value`` minus ``others_value``. Its interval is simultaneous over the groups
            and adjusted over the three figures; it excludes 0 exactly if ``p`` is below 0.05.
        p: P-value with the same adjustment.
        outcome: "gap" (beyond chance), "within acceptable" (every group's interval is within the
            acceptable difference), "none found", or "cannot say" (fewer than two groups have the
            figure).
        patients: Patients of the group, or its images if patients are not known.
        positives: Positive images of the group.
        negatives: Negative images of the group.
        why: Why the outcome is "cannot say", or empty.
    """

    metric: str
    by: str
    group: str
    value: float
    low: float
    high: float
    others_value: float
    others_low: float
    others_high: float
    difference: float
    difference_low: float
    difference_high: float
    p: float
    outcome: Outcome
    patients: int
    positives: int
    negatives: int
    why: str = ""

    @property
    def is_worse(self) -> bool:
        """Whether the difference is to the group's disadvantage."""
        return self.difference * METRICS[self.metric].better < 0

    @property
    def is_of_positives(self) -> bool:
        """Whether a worse figure means missed positives, and not flagged negatives."""
        return METRICS[self.metric].is_of_positives

    @property
    def phrases(self) -> Phrases:
        """The words of the figure."""
        return phrases_of(self.metric)

    def words(self) -> dict[str, str]:
        """Return both figures, their difference and its interval as text."""
        sides = self.phrases.shown(self.value), self.phrases.shown(self.others_value)
        low, high = sorted((abs(self.difference_low), abs(self.difference_high)))
        return self.phrases.write_difference(*sides, low, high)


@dataclass(frozen=True)
class TooFew:
    """A group that cannot be judged, and how many positives it needs.

    It has too few images or patients for a figure, or so few that even half of the other groups'
    figure would go unnoticed.

    Attributes:
        group: Name of the group.
        patients: Its number of patients, or of images if patients are not known.
        positives: Its positive images.
        negatives: Its negative images.
        needed_positives: Positive images with which the acceptable difference would be noticed in
            80 of 100 samples; NaN if no other group has the figure.
        needed_for: The figure that needs them.
        reason: Why the group cannot be judged.
    """

    group: str
    patients: int
    positives: int
    negatives: int
    needed_positives: float
    needed_for: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The verdict of an audit by one group column.

    Attributes:
        by: The group column.
        outcome: "gap" (a difference is established), "mixed" (AUROC and sensitivity have
            established differences, but no group is worse by both), "cannot say" (none is
            established and a group has too few images, or fewer than two groups can be compared),
            or "none found".
        findings: One for each of AUROC, sensitivity and specificity: established ones first, then
            by size.
        too_few: Groups that cannot be judged.
        acceptable: By figure, the acceptable difference; by default `ACCEPTABLE`, which then only
            sets the numbers needed.
        pooled: Neighbouring bands that were pooled because each alone has too few images; the
            pooled group is named as in "5 to 6".
        detectable: By figure and group, the drop in that group alone that would be noticed in 80
            of 100 samples of these sizes.
        needed: By group, the positives needed to notice the acceptable difference of sensitivity.
        also: Findings of further groups that a figure establishes to be worse, other than the one
            in ``findings``; the most certain first.
    """

    by: str
    outcome: Literal["gap", "none found", "cannot say", "mixed"]
    findings: tuple[Finding, ...]
    too_few: tuple[TooFew, ...]
    acceptable: Mapping[str, float]
    pooled: tuple[tuple[str, ...], ...] = ()
    detectable: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    needed: Mapping[str, float] = field(default_factory=dict)
    also: tuple[Finding, ...] = ()

    def worse(self, metric: str) -> list[str]:
        """Return the groups that one figure establishes to be worse, the most certain first."""
        gaps = (f for f in (*self.findings, *self.also) if f.outcome == "gap")
        return [f.group for f in gaps if f.metric == metric and f.is_worse]


def verdict(results: ByGroup, acceptable: float | Mapping[str, float] | None = None) -> Verdict:
    """Return the verdict on one grouping.

    Args:
        results: The figures of the grouping.
        acceptable: The largest acceptable difference, one for all three figures or by figure; if
            given, a figure can be "within acceptable".
    """
    limits = by_figure(acceptable, ACCEPTABLE, "acceptable")
    return _verdict(results, tuple(limits.items()), acceptable is not None)


@remembered
def _verdict(results: ByGroup, given: tuple[tuple[str, float], ...], asked: bool) -> Verdict:
    limits = dict(given)
    findings = [_finding(results, metric, limits, asked) for metric in HEADLINE]
    findings.sort(key=lambda finding: (finding.outcome != "gap", -_size(finding.difference)))
    also = [further for first in findings for further in _further(results, first)]
    noticed = {
        metric: {name: detectable(results, metric, name) for name in results.units(metric)}
        for metric in HEADLINE
    }
    too_few = tuple(_too_few(results, limits, noticed))
    return Verdict(
        results.grouping.name,
        _outcome(findings, also, bool(too_few)),
        tuple(findings),
        too_few,
        limits,
        pooled=tuple(
            labels
            for labels in results.pooled.values()
            if not {few.group for few in too_few} & set(labels)
        ),
        detectable=noticed,
        needed={
            name: needed(results, "sensitivity", name, limits["sensitivity"])
            for name in results.grouping.labels
        },
        also=tuple(also),
    )


def by_figure(
    given: float | Mapping[str, float] | None, usual: Mapping[str, float], option: str
) -> dict[str, float]:
    """Return a number for each figure: one for all, those given by figure, or the usual ones.

    Raises:
        InputError: A name that is no such figure.
    """
    if given is None:
        return dict(usual)
    if isinstance(given, int | float):
        return dict.fromkeys(usual, float(given))
    if unknown := [name for name in given if name not in usual]:
        raise InputError(f"`{option}` names '{unknown[0]}'; choose from {', '.join(usual)}.")
    return {**usual, **{key: float(value) for key, value in given.items()}}


def _size(difference: float) -> float:
    return abs(difference) if difference == difference else -1.0


def _finding(results: ByGroup, metric: str, limits: dict[str, float], asked: bool) -> Finding:
    compared = results.differences().compared(metric)
    by = results.grouping.name
    if not compared:
        nan = math.nan
        why = of_groups(len(results.units(metric)), len(results.grouping.labels))
        values = (nan, nan, nan, nan, nan, nan, nan, nan, nan, nan)
        return Finding(metric, by, "", *values, "cannot say", 0, 0, 0, why)
    row = row_to_name(compared)
    limit = limits[metric]
    within = all(max(-other.low_adjusted, other.high_adjusted) <= limit for other in compared)
    outcome: Outcome = "gap" if row.established else "none found"
    if asked and within:
        outcome = "within acceptable"
    return _of_group(results, row, outcome)


def _further(results: ByGroup, first: Finding) -> Iterator[Finding]:
    """Yield findings of further groups that the finding's figure establishes to be worse."""
    if first.outcome != "gap" or not first.is_worse:
        return
    rows = results.differences().compared(first.metric)
    for row in sorted(rows, key=lambda row: (row.p_adjusted, row.p)):
        finding = _of_group(results, row, "gap")
        if row.established and finding.is_worse and finding.group != first.group:
            yield finding


def _of_group(results: ByGroup, row: Compared, outcome: Outcome) -> Finding:
    return Finding(
        row.metric,
        results.grouping.name,
        row.group,
        *results.figure(row.metric, row.group)[:3],
        row.other.value,
        *interval(row.other),
        row.difference,
        row.low_adjusted,
        row.high_adjusted,
        row.p_adjusted,
        outcome,
        *results.people(row.group),
    )


def _too_few(
    results: ByGroup, limits: dict[str, float], noticed: Mapping[str, Mapping[str, float]]
) -> Iterator[TooFew]:
    """Yield the groups without a figure, and those in which even a large loss goes unnoticed."""
    pooled = {label: name for name, labels in results.pooled.items() for label in labels}
    judged = set(results.units("auroc"))
    for name in results.grouping.labels:
        together = pooled.get(name)
        if together in judged and not _hopeless(results, together, noticed):
            continue
        reasons = [why for metric in HEADLINE[:2] if (why := results.value(metric, name)[2])]
        if not reasons and _hopeless(results, name, noticed):
            count = results.people(name)[1]
            reasons = [
                f"{count} positives: even if the model found half as many as elsewhere, that would "
                "probably go unnoticed"
            ]
        if reasons:
            need = {m: needed(results, m, name, limits[m]) for m in HEADLINE[:2]}
            known = {metric: count for metric, count in need.items() if count == count}
            metric = max(known, key=known.__getitem__) if known else "sensitivity"
            count = known.get(metric, math.nan)
            yield TooFew(name, *results.people(name), count, metric, reasons[0])


def _hopeless(results: ByGroup, name: str, noticed: Mapping[str, Mapping[str, float]]) -> bool:
    """Return whether even half of the others' figure would go unnoticed in a group.

    Half of their sensitivity, and half of their AUROC's excess over 0.5.
    """
    if len(noticed["auroc"]) < 2:
        return False
    of_positives = ("auroc", "sensitivity")
    rows = [row for metric in of_positives for row in results.differences().compared(metric)]
    if any(row.established for row in rows if row.group == name):
        return False
    for metric, chance in (("auroc", 0.5), ("sensitivity", 0.0)):
        for row in rows:
            if (row.metric, row.group) != (metric, name):
                continue
            if spread(row.estimate) < spread(row.other):
                return False  # the other groups are the ones with too few images
            if noticed[metric][name] <= (row.other.value - chance) / 2:
                return False
    return True


def _outcome(
    findings: list[Finding], also: list[Finding], too_few: bool
) -> Literal["gap", "none found", "cannot say", "mixed"]:
    gaps = [finding for finding in findings if finding.outcome == "gap"]
    if gaps:
        worse: dict[str, set[str]] = {}
        for finding in (*gaps, *also):
            if finding.is_of_positives and finding.is_worse:
                worse.setdefault(finding.metric, set()).add(finding.group)
        return "gap" if not worse or set.intersection(*worse.values()) else "mixed"
    if too_few or all(finding.outcome == "cannot say" for finding in findings):
        return "cannot say"
    return "none found"
