"""The paper's claims one by one: what it says, what was found here, and whether that holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from equiderm.format import MISSING, percent, signed, with_interval
from equiderm.reproduce.published import BACKBONES, FIGURE4_SHARES, TABLES
from equiderm.statistics.intervals import wilson

if TYPE_CHECKING:
    from equiderm.reproduce.result import Difference, Figure, Reproduction, Result

Judgement = Literal["held", "not held", "cannot be told here"]
Look = Callable[["Result"], tuple[str, Judgement, str]]
_PUBLISHED, _CORRECTED = "patch-max-arctan", "patch-max"
_BASES = ("Baseline", "Baseline, ResNeXt-101")
NOTICEABLE = 0.006  # Table 3's "degraded performance" without reversal, types 3 and 4
_LABELLER = "Patch-max as published, one-argument arctangent"


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper, in our words.

    Attributes:
        section: Where the paper says it.
        says: What it says.
        published: Its figures, as it prints them; per cents of improvement are relative there.
        table: The part of the reproduction that can tell.
        judge: Returns what was found, the verdict, and why.
    """

    section: str
    says: str
    published: str
    table: str
    judge: Look


@dataclass(frozen=True)
class Judged:
    """A claim and its verdict here.

    Attributes:
        claim: The claim.
        here: What was found, with its intervals.
        verdict: ``held``, ``not held`` or ``cannot be told here``.
        why: On what it rests, or what stands in the way.
        part: What of the data was missing; empty where all was there.
    """

    claim: Claim
    here: str
    verdict: Judgement
    why: str
    part: str = ""

    @property
    def shown(self) -> str:
        """Return the verdict, and that it is on a part of the data where it is."""
        told = self.verdict != "cannot be told here"
        return f"{self.verdict}, on a part of the data" if told and self.part else self.verdict


def judge(reproduction: Reproduction) -> tuple[Judged, ...]:
    """Return every claim with its verdict, in the paper's order; what did not run says why."""
    results = {one.name: one for one in reproduction.results}
    judged: list[Judged] = []
    for claim in CLAIMS:
        result = results.get(claim.table)
        if result is None or not result.listed:
            why = f"{claim.table} was not run"
            if result is not None and result.missing:
                why = f"{why}: {result.missing[0]}"
            judged.append(Judged(claim, MISSING, "cannot be told here", why))
            continue
        here, verdict, why = claim.judge(result)
        if result.trained_on and here != MISSING:
            verdict = "cannot be told here"
            why = f"{why}, but on other training data ({result.trained_on})"
        part = result.missing[0] if result.missing else ""
        if part and not result.trained_on:
            why = f"{why}; only a part was there ({part})"
        judged.append(Judged(claim, here, verdict, why, part))
    return tuple(judged)


def summary(judged: Iterable[Judged]) -> str:
    """Return how many claims held, did not, and cannot be told, in a sentence."""
    judged = list(judged)
    counts = [
        f"{sum(one.verdict == verdict for one in judged)} {verdict}"
        for verdict in ("held", "not held", "cannot be told here")
    ]
    part = sum(one.shown != one.verdict for one in judged)
    rest = f" {part} of the verdicts are on a part of the data." if part else ""
    return f"Of {len(judged)} claims of the paper: {', '.join(counts)}.{rest}"


def _difference(row: str, column: str, *, above: bool = True) -> Look:
    """Return a judge of a difference: the row above (or below) its baseline on a column."""

    def look(result: Result) -> tuple[str, Judgement, str]:
        found = [
            one
            for one in result.differences
            if (one.row, one.column) == (row, column) and one.base in _BASES
        ]
        if not found or math.isnan(found[0].value):
            return MISSING, "cannot be told here", f"{row} on {column} was not measured"
        return (_shown(found[0]), *_side(found[0], above=above))

    return look


def _between(row: str, other: str, column: str, *, above: bool = False) -> Look:
    """Return a judge of one row below another (or above it).

    Each is known by its difference from the baseline. The interval takes the two differences as
    independent, so it is wider than it need be.
    """

    def look(result: Result) -> tuple[str, Judgement, str]:
        apart = _apart(result, row, other, column)
        if apart is None:
            return MISSING, "cannot be told here", f"{row} or {other} was not measured"
        return (_shown(apart), *_side(apart, above=above))

    return look


def _apart(result: Result, row: str, other: str, column: str) -> Difference | None:
    found = {
        one.row: one
        for one in result.differences
        if one.base in _BASES and one.column == column and one.row in (row, other)
    }
    if len(found) < 2:
        return None
    one, two = found[row], found[other]
    value = one.value - two.value
    return replace(
        one,
        base=other,
        value=value,
        low=value - math.hypot(one.value - one.low, two.high - two.value),
        high=value + math.hypot(one.high - one.value, two.value - two.low),
    )


def _alike(pairs: Sequence[tuple[str, str]], columns: Sequence[str]) -> Look:
    """Return a judge of rows that are said not to differ noticeably.

    Held where every interval lies within `NOTICEABLE`, not held where one leaves 0 out.
    """

    def look(result: Result) -> tuple[str, Judgement, str]:
        apart = [
            one
            for row, other in pairs
            for column in columns
            if (one := _apart(result, row, other, column)) is not None
        ]
        if not apart:
            return MISSING, "cannot be told here", "it was not measured"
        here = "; ".join(map(_shown, apart))
        if any(math.isnan(one.low) for one in apart):
            return here, "cannot be told here", "one seed: a difference has no interval"
        if any(one.established for one in apart):
            return here, "not held", "an interval leaves 0 out"
        margin = f"{NOTICEABLE}, the least that the paper calls a difference"
        if all(one.low > -NOTICEABLE and one.high < NOTICEABLE for one in apart):
            return here, "held", f"every interval lies within {margin}"
        return here, "cannot be told here", f"an interval includes 0 and more than {margin}"

    return look


def _side(one: Difference, *, above: bool) -> tuple[Judgement, str]:
    """Return whether a difference is established on the side that is claimed, and why."""
    if math.isnan(one.low):
        return "cannot be told here", "one seed: a difference has no interval"
    low, high = (one.low, one.high) if above else (-one.high, -one.low)
    if low > 0:
        return "held", "the 95 % interval is on that side of 0"
    if high < 0:
        return "not held", "the 95 % interval is on the other side of 0"
    return "cannot be told here", "the 95 % interval includes 0"


def _shown(one: Difference) -> str:
    value = with_interval(one.value, one.low, one.high, with_sign=True)
    return f"{_against(one)}{one.column}: {value}"


def _against(one: Difference) -> str:
    return "" if one.base == "Baseline" else f"{one.row} less {one.base}, "


def _all_of(looks: Sequence[Look]) -> Look:
    """Return a judge of several figures: held only where each is, not held where one is not."""

    def look(result: Result) -> tuple[str, Judgement, str]:
        parts = [one(result) for one in looks]
        known = [(here, verdict) for here, verdict, _ in parts if here != MISSING]
        here = "; ".join(text for text, _ in known) or MISSING
        verdicts = [verdict for _, verdict in known]
        held = sum(verdict == "held" for verdict in verdicts)
        why = f"established on {held} of {len(looks)}"
        if "not held" in verdicts:
            return here, "not held", why
        return here, "held" if held == len(looks) else "cannot be told here", why

    return look


def _all_above(row: str, columns: tuple[str, ...]) -> Look:
    """Return a judge of a row that is said to be above its baseline on each of several columns."""
    return _all_of([_difference(row, column) for column in columns])


def _baseline_gap(result: Result) -> tuple[str, Judgement, str]:
    one = _figure(result, "Baseline", "Gap")
    if one is None:
        return MISSING, "cannot be told here", "the baseline's gap was not measured"
    here = f"gap {with_interval(one.value, one.low, one.high, with_sign=True)}"
    if one.low > 0:
        return here, "held", "the 95 % interval is above 0"
    if one.high < 0:
        return here, "not held", "the 95 % interval is below 0"
    return here, "cannot be told here", "the 95 % interval includes 0"


def _figure(result: Result, row: str, column: str) -> Figure | None:
    found = [one for one in result.figures if (one.row, one.column) == (row, column)]
    return found[0] if found and not math.isnan(found[0].value) else None


def _labelling(other: str | None, *, published: float = math.nan) -> Look:
    """Return a judge of the labelling: above another on all images, or at a published figure."""

    def look(result: Result) -> tuple[str, Judgement, str]:
        one = _figure(result, _LABELLER, "all")
        two = _figure(result, other, "all") if other else None
        if one is None or (other and two is None):
            return MISSING, "cannot be told here", "it was not measured"
        here = f"{with_interval(one.value, one.low, one.high, as_percent=True)}"
        if two is None:
            inside = one.low <= published <= one.high
            why = (
                "the published figure is within our interval"
                if inside
                else ("the published figure is outside our interval")
            )
            return here, "held" if inside else "not held", why
        here += f" against {with_interval(two.value, two.low, two.high, as_percent=True)}"
        if one.low > two.high:
            return here, "held", "the intervals do not meet"
        if one.high < two.low:
            return here, "not held", "the intervals do not meet, the other way round"
        return here, "cannot be told here", "the intervals overlap"

    return look


def _against_constant(result: Result) -> tuple[str, Judgement, str]:
    one = _figure(result, _LABELLER, "all")
    if one is None:
        return MISSING, "cannot be told here", "it was not measured"
    here = (
        f"{with_interval(one.value, one.low, one.high, as_percent=True)}; always answering one "
        f"type: {percent(one.trivial)}"
    )
    if one.low > one.trivial:
        return here, "held", "it is above the best constant answer, too"
    return here, "not held", "always answering one type does as well or better"


def _band(band: str, *, most: bool) -> Look:
    def look(result: Result) -> tuple[str, Judgement, str]:
        table = dict(result.tables).get("Images by computed band, lightest first")
        if table is None:
            return MISSING, "cannot be told here", "no band was computed"
        shares = table.set_index("band")
        ours, corrected = (
            float(shares[f"{method}, share (%)"].to_dict()[band])
            for method in (_PUBLISHED, _CORRECTED)
        )
        here = (
            f"{percent(ours / 100)} as published, "
            f"{percent(corrected / 100)} with the corrected arctangent"
        )
        if most:
            top = shares[f"{_CORRECTED}, share (%)"].drop("none").idxmax() == band
            return here, "held" if top else "not held", "the largest band of the corrected labels"
        less = corrected < ours
        why = "the corrected arctangent leaves fewer there" if less else "it is not fewer"
        return here, "held" if less else "not held", why

    return look


# People on the MClass tests: how many, mean sensitivity and specificity.
# Source: Brinker et al. 2019, European Journal of Cancer 111:30; 20 melanomas among 100 images.
PEOPLE = {
    "MClass, dermoscopic": (157, 0.741, 0.600),
    "MClass, clinical": (145, 0.894, 0.644),
}
_MELANOMAS, _OTHERS = 20, 80


def people_interval(test: str) -> tuple[float, float, float]:
    """Return the people's figure on a test, the mean of sensitivity and specificity, and its ends.

    The 95 % interval is that of one reader of 20 and 80 images (Wilson's, half widths in
    quadrature); the mean over all of them is at most as uncertain.
    """
    _, sensitivity, specificity = PEOPLE[test]
    ends = [wilson(sensitivity, _MELANOMAS), wilson(specificity, _OTHERS)]
    shares = (sensitivity, specificity)
    below, above = (
        math.hypot(*(share - end[k] for share, end in zip(shares, ends, strict=True))) / 2
        for k in (0, 1)
    )
    value = (sensitivity + specificity) / 2
    return value, value - below, value + above


def _dermatologists(test: str) -> Look:
    """Return a judge of the models against people, both with their intervals."""

    def look(result: Result) -> tuple[str, Judgement, str]:
        rows = [
            one
            for one in result.figures
            if one.column == test and one.row != "Dermatologists" and not math.isnan(one.value)
        ]
        if not rows:
            return MISSING, "cannot be told here", f"{test} was not tested"
        people, low, high = people_interval(test)
        apart = [
            (
                one.value - people - math.hypot(one.value - one.low, high - people),
                one.value - people + math.hypot(one.high - one.value, people - low),
            )
            for one in rows
        ]
        here = "; ".join(f"{one.row} {with_interval(one.value, one.low, one.high)}" for one in rows)
        here += f"; {PEOPLE[test][0]} people {with_interval(people, low, high)}"
        above, below = sum(end[0] > 0 for end in apart), sum(end[1] < 0 for end in apart)
        why = (
            f"{above} of {len(rows)} models are established above people, {below} below; with 20 "
            "melanomas and 80 other images. The people's figure is the mean of their sensitivity "
            "and specificity, one threshold each, where a model has all of its thresholds"
        )
        if above == len(rows):
            return here, "held", why
        return here, "not held" if below else "cannot be told here", why

    return look


def _no_figures(why: str) -> Look:
    def look(result: Result) -> tuple[str, Judgement, str]:
        return MISSING, "cannot be told here", why

    return look


_FIVE = tuple(column.name for column in TABLES["table2"].columns)  # pyright: ignore[reportAttributeAccessIssue]
_MCLASS = ("MClass, dermoscopic", "MClass, clinical")

_TYPES = ("Types 3&4", "Types 5&6")

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "3.4",
        "Of five backbones ResNeXt-101 does best.",
        MISSING,
        "backbones",
        _all_of(
            [
                _difference(row.name, "Types 3 to 6", above=False)
                for row in BACKBONES.rows
                if row.name not in _BASES
            ]
        ),
    ),
    Claim(
        "4.1",
        "A network trained on types 1 and 2 does better on types 3 and 4 than on 5 and 6.",
        "gap +0.037",
        "table1",
        _baseline_gap,
    ),
    Claim(
        "4.1",
        "CLGR narrows that gap.",
        "+0.037 to +0.030",
        "table1",
        _difference("CLGR", "Gap", above=False),
    ),
    Claim(
        "4.1",
        "CLGR does better than the baseline on types 3 and 4.",
        "+0.011 (1.3 % relative)",
        "table1",
        _difference("CLGR", "Types 3&4"),
    ),
    Claim(
        "4.1",
        "CLGR does better than the baseline on types 5 and 6.",
        "+0.018 (2.2 % relative)",
        "table1",
        _difference("CLGR", "Types 5&6"),
    ),
    Claim(
        "4.1",
        "CLGR is the most effective of the three methods.",
        "authors' logs, LNTL 0.872 and 0.844, TABE 0.878 and 0.849, CLGR 0.883 and 0.853: the best "
        "AUROCs, and the largest gap of the three",
        "table1",
        _all_of(
            [
                _between("CLGR", other, column, above=True)
                for other in ("LNTL", "TABE")
                for column in _TYPES
            ]
        ),
    ),
    Claim(
        "4.2",
        "The labels are within one type of people's on 60.61 % of Fitzpatrick17k.",
        "60.6 %",
        "labelling",
        _labelling(None, published=0.6061),
    ),
    Claim(
        "4.2",
        "That is better than the labelling of Groh et al. (YCbCr mask).",
        "60.6 % against 53.3 %",
        "labelling",
        _labelling("Groh's YCbCr mask"),
    ),
    Claim(
        "4.4",
        "Samples do better than the whole image.",
        "60.6 % against 56.1 %",
        "labelling",
        _labelling("The whole image"),
    ),
    Claim(
        "abstract",
        "The labelling outperforms existing solutions.",
        "60.6 %; always answering one type, not in the paper: 69.1 %",
        "labelling",
        _against_constant,
    ),
    Claim(
        "4.2",
        "The labelling does better still on ISIC's less noisy images.",
        MISSING,
        "figure4",
        _no_figures("nobody judged the types of those images"),
    ),
    Claim(
        "4.2, Figure 4",
        "The ISIC training data are mostly light.",
        f"band 1: {FIGURE4_SHARES['1'][0]} %",
        "figure4",
        _band("1", most=True),
    ),
    Claim(
        "4.2, Figure 4",
        "Band 6 is over-counted.",
        f"band 6: {FIGURE4_SHARES['6'][0]} %",
        "figure4",
        _band("6", most=False),
    ),
    Claim(
        "4.3",
        "TABE does better than the baseline on all five tests.",
        "; ".join(
            f"{test} {signed(value)}"
            for test, value in zip(_FIVE, (0.006, 0.091, 0.041, 0.012, 0.115), strict=True)
        ),
        "table2",
        _all_above("TABE", _FIVE),
    ),
    Claim(
        "4.3",
        "TABE does better on Asan, a shift of population.",
        "+0.041 (5.3 % relative)",
        "table2",
        _difference("TABE", "Asan, clinical"),
    ),
    Claim(
        "4.3",
        "TABE does better on the Atlas' clinical images.",
        "+0.091 (14.8 % relative)",
        "table2",
        _difference("TABE", "Atlas, clinical"),
    ),
    *(
        Claim(
            "4.3",
            f"{name} does better on both MClass tests.",
            published,
            "table2",
            _all_above(name, _MCLASS),
        )
        for name, published in (
            ("LNTL", "+0.005 and +0.043"),
            ("TABE", "+0.012 and +0.115"),
            ("CLGR", "+0.065 and +0.027"),
        )
    ),
    Claim(
        "4.3",
        "The models do better than 157 dermatologists on dermoscopic images, 20 of melanoma.",
        "0.853 to 0.918 against 0.671",
        "table2",
        _dermatologists("MClass, dermoscopic"),
    ),
    Claim(
        "4.3",
        "The models do better than 145 dermatologists on clinical images, 20 of melanoma.",
        "0.744 to 0.859 against 0.769: the baseline is below",
        "table2",
        _dermatologists("MClass, clinical"),
    ),
    Claim(
        "4.4",
        "Without gradient reversal LNTL does worse on types 3 and 4.",
        "-0.006",
        "table3",
        _between("LNTL*, no reversal", "LNTL", "Types 3&4"),
    ),
    Claim(
        "4.4",
        "Without gradient reversal LNTL does worse on types 5 and 6.",
        "-0.005; in the authors' archived run -0.015",
        "table3",
        _between("LNTL*, no reversal", "LNTL", "Types 5&6"),
    ),
    Claim(
        "4.4",
        "Deeper secondary heads make no noticeable difference.",
        MISSING,
        "heads",
        _alike([(f"{name}, deeper head", name) for name in ("LNTL", "TABE", "CLGR")], _TYPES),
    ),
    Claim(
        "6",
        "The bias is at least partially mitigated by unlearning skin tone.",
        "+0.037 to +0.030, one seed",
        "table1",
        _difference("CLGR", "Gap", above=False),
    ),
)
