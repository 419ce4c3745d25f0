"""The paper's claims one by one: what it says, the estimates here, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from equiderm.format import MISSING, percent, signed, with_interval
from equiderm.reproduce.published import BACKBONES, FIGURE4_SHARES, TABLES
from equiderm.reproduce.result import Estimate, difference_interval, written
from equiderm.statistics.intervals import wilson

if TYPE_CHECKING:
    from equiderm.reproduce.result import Difference, Figure, Reproduction, Result

Judgement = Literal["held", "not held", "cannot be told here"]
UNDECIDED: Judgement = "cannot be told here"  # the word that saved JSON holds
Judge = Callable[["Result"], tuple[str, Judgement, str]]
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
        published: Its figures, as it prints them; percentages of improvement are relative there.
        table: The part of the reproduction that decides it.
        judge: Returns the estimates here, the verdict, and why.
    """

    section: str
    says: str
    published: str
    table: str
    judge: Judge


@dataclass(frozen=True)
class Judged:
    """A claim and its verdict here.

    Attributes:
        claim: The claim.
        here: The estimates, with their intervals.
        verdict: ``held``, ``not held`` or ``cannot be told here``.
        why: What the verdict rests on, or what prevents one.
        part: The part of the data that was missing; empty where all was there.
    """

    claim: Claim
    here: str
    verdict: Judgement
    why: str
    part: str = ""

    @property
    def shown(self) -> str:
        """Return the verdict, with a remark where it is on a part of the data."""
        decided = self.verdict != UNDECIDED
        return f"{self.verdict}, on a part of the data" if decided and self.part else self.verdict


def judge(reproduction: Reproduction) -> tuple[Judged, ...]:
    """Return every claim with its verdict, in the paper's order; what did not run says why."""
    results = {result.name: result for result in reproduction.results}
    judged: list[Judged] = []
    for claim in CLAIMS:
        result = results.get(claim.table)
        if result is None or not result.listed:
            why = f"{claim.table} was not run"
            if result is not None and result.missing:
                why = f"{why}: {result.missing[0]}"
            judged.append(Judged(claim, MISSING, UNDECIDED, why))
            continue
        here, verdict, why = claim.judge(result)
        if result.trained_on and here != MISSING:
            verdict = UNDECIDED
            why = f"{why}, but on other training data ({result.trained_on})"
        part = result.missing[0] if result.missing else ""
        if part and not result.trained_on:
            why = f"{why}; only a part was there ({part})"
        judged.append(Judged(claim, here, verdict, why, part))
    return tuple(judged)


def summary(judged: Iterable[Judged]) -> str:
    """Return how many claims held, did not hold, or are undecided, in a sentence."""
    judged = list(judged)
    counts = [
        f"{sum(claim.verdict == verdict for claim in judged)} {verdict}"
        for verdict in ("held", "not held", UNDECIDED)
    ]
    part = sum(claim.shown != claim.verdict for claim in judged)
    rest = f" {part} of the verdicts are on a part of the data." if part else ""
    return f"Of {len(judged)} claims of the paper: {', '.join(counts)}.{rest}"


def _difference(row: str, column: str, *, above: bool = True) -> Judge:
    """Return a judge of a difference: the row above (or below) its baseline on a column."""

    def judge(result: Result) -> tuple[str, Judgement, str]:
        matches = [
            difference
            for difference in result.differences
            if (difference.row, difference.column) == (row, column) and difference.base in _BASES
        ]
        if not matches or math.isnan(matches[0].value):
            return MISSING, UNDECIDED, f"{row} on {column} was not measured"
        return (_shown(matches[0]), *_side(matches[0], above=above))

    return judge


def _between(row: str, other: str, column: str, *, above: bool = False) -> Judge:
    """Return a judge of one row below another (or above it).

    Each is known by its difference from the baseline. The interval takes the two differences as
    independent, so it is wider than necessary.
    """

    def judge(result: Result) -> tuple[str, Judgement, str]:
        difference = _row_difference(result, row, other, column)
        if difference is None:
            return MISSING, UNDECIDED, f"{row} or {other} was not measured"
        return (_shown(difference), *_side(difference, above=above))

    return judge


def _row_difference(result: Result, row: str, other: str, column: str) -> Difference | None:
    by_row = {
        difference.row: difference
        for difference in result.differences
        if difference.base in _BASES
        and difference.column == column
        and difference.row in (row, other)
    }
    if len(by_row) < 2:
        return None
    first, second = (
        (by_row[name].value, by_row[name].low, by_row[name].high) for name in (row, other)
    )
    value, low, high = difference_interval(first, second)
    return replace(by_row[row], base=other, value=value, low=low, high=high)


def _alike(pairs: Sequence[tuple[str, str]], columns: Sequence[str]) -> Judge:
    """Return a judge of rows that are said not to differ noticeably.

    Held where every interval lies within `NOTICEABLE`, not held where one excludes 0.
    """

    def judge(result: Result) -> tuple[str, Judgement, str]:
        differences = [
            difference
            for row, other in pairs
            for column in columns
            if (difference := _row_difference(result, row, other, column)) is not None
        ]
        if not differences:
            return MISSING, UNDECIDED, "it was not measured"
        here = "; ".join(map(_shown, differences))
        if any(math.isnan(difference.low) for difference in differences):
            return here, UNDECIDED, "one seed: a difference has no interval"
        if any(difference.established for difference in differences):
            return here, "not held", "an interval excludes 0"
        margin = f"{NOTICEABLE}, the least that the paper calls a difference"
        if all(-NOTICEABLE < end < NOTICEABLE for d in differences for end in (d.low, d.high)):
            return here, "held", f"every interval lies within {margin}"
        return here, UNDECIDED, f"an interval includes 0 and more than {margin}"

    return judge


def _side(difference: Difference, *, above: bool) -> tuple[Judgement, str]:
    """Return whether a difference is established on the side that is claimed, and why."""
    low, high = difference.low, difference.high
    if math.isnan(low):
        return UNDECIDED, "one seed: a difference has no interval"
    low, high = (low, high) if above else (-high, -low)
    if low > 0:
        return "held", "the 95 % interval is on that side of 0"
    if high < 0:
        return "not held", "the 95 % interval is on the other side of 0"
    return UNDECIDED, "the 95 % interval includes 0"


def _shown(difference: Difference) -> str:
    value, base = written(difference, with_sign=True), difference.base
    against = "" if base == "Baseline" else f"{difference.row} less {base}, "
    return f"{against}{difference.column}: {value}"


def _all_of(judges: Sequence[Judge]) -> Judge:
    """Return a judge of several figures: held only where each is, not held where one is not."""

    def judge_all(result: Result) -> tuple[str, Judgement, str]:
        parts = [judge(result) for judge in judges]
        known = [(here, verdict) for here, verdict, _ in parts if here != MISSING]
        here = "; ".join(text for text, _ in known) or MISSING
        verdicts = [verdict for _, verdict in known]
        held = sum(verdict == "held" for verdict in verdicts)
        why = f"established on {held} of {len(judges)}"
        if "not held" in verdicts:
            return here, "not held", why
        return here, "held" if held == len(judges) else UNDECIDED, why

    return judge_all


def _all_above(row: str, columns: tuple[str, ...]) -> Judge:
    """Return a judge of a row that is said to be above its baseline on each of several columns."""
    return _all_of([_difference(row, column) for column in columns])


def _baseline_gap(result: Result) -> tuple[str, Judgement, str]:
    gap = _figure(result, "Baseline", "Gap")
    if gap is None:
        return MISSING, UNDECIDED, "the baseline's gap was not measured"
    here = f"gap {written(gap, with_sign=True)}"
    if gap.low > 0:
        return here, "held", "the 95 % interval is above 0"
    if gap.high < 0:
        return here, "not held", "the 95 % interval is below 0"
    return here, UNDECIDED, "the 95 % interval includes 0"


def _figure(result: Result, row: str, column: str) -> Figure | None:
    matches = [f for f in result.figures if (f.row, f.column) == (row, column)]
    return matches[0] if matches and not math.isnan(matches[0].value) else None


def _labelling(other: str | None, *, published: float = math.nan) -> Judge:
    """Return a judge of the labelling: above another on all images, or at a published figure."""

    def judge(result: Result) -> tuple[str, Judgement, str]:
        ours = _figure(result, _LABELLER, "all")
        rival = _figure(result, other, "all") if other else None
        if ours is None or (other and rival is None):
            return MISSING, UNDECIDED, "it was not measured"
        here = written(ours, as_percent=True)
        if rival is None:
            inside = ours.low <= published <= ours.high
            where = "within" if inside else "outside"
            why = f"the published figure is {where} our interval"
            return here, "held" if inside else "not held", why
        here += f" against {written(rival, as_percent=True)}"
        if ours.low > rival.high:
            return here, "held", "the intervals do not overlap"
        if ours.high < rival.low:
            return here, "not held", "the intervals do not overlap, the other way round"
        return here, UNDECIDED, "the intervals overlap"

    return judge


def _against_constant(result: Result) -> tuple[str, Judgement, str]:
    ours = _figure(result, _LABELLER, "all")
    if ours is None:
        return MISSING, UNDECIDED, "it was not measured"
    here = f"{written(ours, as_percent=True)}; always answering one type: {percent(ours.trivial)}"
    if ours.low > ours.trivial:
        return here, "held", "it is above the best constant answer, too"
    return here, "not held", "always answering one type does as well or better"


def _share(result: Result, method: str, bands: Sequence[str]) -> Estimate | None:
    """Return the share of the images in some bands with Wilson's interval; None without images."""
    table = (result.detail or {}).get("bands")
    if table is None:
        return None
    images = dict(zip(table["band"], table[f"{method}, images"], strict=True))
    n = sum(images.values())
    share = sum(images[band] for band in bands) / n if n else math.nan
    return (share, *wilson(share, n)) if n else None


def _of_bands(
    bands: Sequence[str], decide: Callable[[Estimate, Estimate], tuple[Judgement, str]]
) -> Judge:
    """Return a judge of the images in some bands by the published and the corrected estimator."""

    def judge(result: Result) -> tuple[str, Judgement, str]:
        published, corrected = (_share(result, way, bands) for way in (_PUBLISHED, _CORRECTED))
        if published is None or corrected is None:
            return MISSING, UNDECIDED, "no band was computed"
        one, other = (with_interval(*each, as_percent=True) for each in (published, corrected))
        here = f"{one} as published, {other} with the corrected arctangent"
        return (here, *decide(published, corrected))

    return judge


def _are_most(_: Estimate, corrected: Estimate) -> tuple[Judgement, str]:
    if corrected[1] > 0.5:
        return "held", "of the corrected labels more than half, and the interval too"
    if corrected[2] < 0.5:
        return "not held", "of the corrected labels less than half, and the interval too"
    return UNDECIDED, "the interval of the corrected labels includes half"


def _are_too_many(published: Estimate, corrected: Estimate) -> tuple[Judgement, str]:
    if corrected[2] < published[1]:
        return "held", "the corrected arctangent leaves fewer there; the intervals do not meet"
    if corrected[1] > published[2]:
        return "not held", "the corrected arctangent puts more there"
    return UNDECIDED, "the intervals overlap"


# People on the MClass tests: how many, mean sensitivity and specificity.
# Source: Brinker et al. 2019, European Journal of Cancer 111:30; 20 melanomas among 100 images.
PEOPLE = {
    "MClass, dermoscopic": (157, 0.741, 0.600),
    "MClass, clinical": (145, 0.894, 0.644),
}
_MELANOMAS, _OTHERS = 20, 80


def people_interval(test: str) -> Estimate:
    """Return the people's mean of sensitivity and specificity on a test, with its interval.

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


def _dermatologists(test: str) -> Judge:
    """Return a judge of the models against people, both with their intervals."""

    def judge(result: Result) -> tuple[str, Judgement, str]:
        rows = [
            f
            for f in result.figures
            if f.column == test and f.row != "Dermatologists" and not math.isnan(f.value)
        ]
        if not rows:
            return MISSING, UNDECIDED, f"{test} was not tested"
        people, low, high = people_interval(test)
        differences = [
            difference_interval((f.value, f.low, f.high), (people, low, high)) for f in rows
        ]
        here = "; ".join(f"{f.row} {written(f)}" for f in rows)
        here += f"; {PEOPLE[test][0]} people {with_interval(people, low, high)}"
        above = sum(low > 0 for _, low, _ in differences)
        below = sum(high < 0 for _, _, high in differences)
        why = (
            f"{above} of {len(rows)} models are established above people, {below} below; with 20 "
            "melanomas and 80 other images. The people's figure is the mean of their sensitivity "
            "and specificity, one threshold each, where a model has all of its thresholds"
        )
        if above == len(rows):
            return here, "held", why
        return here, "not held" if below else UNDECIDED, why

    return judge


def _no_figures(why: str) -> Judge:
    def judge(result: Result) -> tuple[str, Judgement, str]:
        return MISSING, UNDECIDED, why

    return judge


_TEST_SETS = tuple(column.name for column in TABLES["table2"].columns)  # pyright: ignore[reportAttributeAccessIssue]
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
        f"bands 1 and 2: {percent((FIGURE4_SHARES['1'][0] + FIGURE4_SHARES['2'][0]) / 100)}",
        "figure4",
        _of_bands(("1", "2"), _are_most),
    ),
    Claim(
        "4.2, Figure 4",
        "Band 6 is over-counted.",
        f"band 6: {FIGURE4_SHARES['6'][0]} %",
        "figure4",
        _of_bands(("6",), _are_too_many),
    ),
    Claim(
        "4.3",
        "TABE does better than the baseline on all five tests.",
        "; ".join(
            f"{test} {signed(value)}"
            for test, value in zip(_TEST_SETS, (0.006, 0.091, 0.041, 0.012, 0.115), strict=True)
        ),
        "table2",
        _all_above("TABE", _TEST_SETS),
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
