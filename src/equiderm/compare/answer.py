"""What may be concluded from a comparison, in sentences: what helps whom, and what stays undecided.

Every sentence rests on adjusted intervals and p, or on one-sided bounds; none on an estimate alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from equiderm.format import count, counted, interval, is_known, listed, number
from equiderm.statistics.intervals import ALPHA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from equiderm.compare.result import Compared, TestSet

Row = dict[str, Any]
Kind = Literal["help", "harm", "equivalent", "unknown"]
COPY = "has the scores of seed"  # why a run that is there twice counts once
WHOLE = ("worst", "gap", "overall")  # the figures that are of no single group, as tables have them
SCALES: dict[str, tuple[str, str]] = {  # lightest and darkest value of the scales of skin tone
    "ita_band": ("1", "6"),
    "fitzpatrick": ("1", "6"),
    "monk": ("1", "10"),
}


@dataclass(frozen=True)
class Answer:
    """What a comparison says.

    Attributes:
        kind: ``help``: a group is established to gain; ``harm``: differences are established, no
            gain among them; ``equivalent``: no method helps the worst group by more than the
            margin; ``unknown``: none of these.
        headline: The conclusion in one sentence.
        sentences: What it rests on, and what stays undecided.
    """

    kind: Kind
    headline: str
    sentences: tuple[str, ...]


def conclude(compared: Compared) -> Answer:
    """Return what may be concluded."""
    doubts = [
        sentence
        for test in compared.tests
        for sentence in (*_left_out(compared, test), *_against_constant(compared, test))
    ]
    doubts += _failed(compared)
    if problem := _not_compared(compared):
        return Answer("unknown", "The methods could not be compared.", (problem, *doubts))
    sentences: list[str] = []
    for test in compared.tests:
        sentences += _established(compared, test)
        for reference in compared.references:
            sentences += _equivalence(compared, test, reference)
        sentences += _levelled(compared, test)
    kind, headline = _headline(compared)
    return Answer(kind, headline, (*sentences, *doubts))


def answer(compared: Compared) -> list[str]:
    """Return the conclusion and what it rests on, a sentence each."""
    conclusion = conclude(compared)
    return [conclusion.headline, *conclusion.sentences]


def established(row: Mapping[Any, Any]) -> bool:
    """Return whether a difference is established after the adjustment for all of them."""
    return bool(row["p_holm"] < ALPHA)


def _not_compared(compared: Compared) -> str:
    """Return why nothing could be compared, or nothing."""
    rows = [row for test in compared.tests for row in test.differences.to_dict("records")]
    if not rows:
        return f"There is no method beside {listed(compared.references)} to compare."
    if any(is_known(row["p"]) for row in rows):
        return ""
    most = max(row["seeds"] for row in rows)
    if most == 0:
        return "No seed has scores of a method and of what it is compared with."
    if most == 1 or compared.units == 1:
        start = "Only one seed has scores of a method and of what it is compared with"
        return (
            f"{'One seed of each method' if compared.units == 1 else start}: how far seeds scatter "
            "is unknown, so there is no p and no interval of a difference; train two or more, "
            "better five."
        )
    return (
        "No interval of a difference could be computed: too few images, or positive ones, of too "
        "few patients, or none on which a run errs."
    )


def _headline(compared: Compared) -> tuple[Kind, str]:
    every: list[Any] = [
        row | {"test": test.split}
        for test in compared.tests
        for row in test.differences.to_dict("records")
        if row["experiment"] not in compared.references
    ]
    if not every:
        return "unknown", "There are only references: no method was compared."
    rows = [row for row in every if established(row) and row["figure"] != "gap"]
    gained = [row for row in rows if compared.gain(row) > 0]
    lost = [row for row in rows if compared.gain(row) < 0]
    worst, groups, overall = (
        [row for row in gained if (row["figure"] if row["figure"] in WHOLE else "group") == of]
        for of in ("worst", "group", "overall")
    )
    told = {row["experiment"] for row in lost if row["figure"] not in WHOLE}
    lost = [row for row in lost if row["figure"] not in WHOLE or row["experiment"] not in told]
    but = f" Worse: {_whom(compared, lost, every)}." if lost else ""
    if worst:
        named = _named(compared, worst, every)
        return "help", f"The worst group gains from {named}.{but}"
    if groups:
        return "help", (
            f"Better: {_whom(compared, groups, every)}; for the worst group no gain is "
            f"established.{but}"
        )
    and_better = f" Better: {_whom(compared, overall, every)}." if overall else ""
    what, of_worst = compared.about.name, [row for row in every if row["figure"] == "worst"]
    if not any(is_known(row["difference"]) for row in of_worst):
        none = "" if overall or lost else f" No difference in {what} is established."
        kind = "help" if overall else "harm" if lost else "unknown"
        return kind, (
            "There is no worst group: fewer than two groups could be compared."
            f"{none}{and_better}{but}"
        )
    if lost:
        return "harm", f"No method is established to help a group.{and_better}{but}"
    if all(compared.gain(row, "at_most") <= compared.margin for row in of_worst):
        return "equivalent", (
            f"No method helps the worst group by more than {_margin(compared)} of {what}."
            f"{and_better}"
        )
    return "unknown", (
        f"Whether a method helps the worst group cannot be decided from {compared.repeats} and "
        f"these images.{and_better}"
    )


def _whom(compared: Compared, rows: list[Row], every: list[Row]) -> str:
    """Return groups with the experiments that move them: "ita_band 1 (lightest) by tabe"."""
    names = {"overall": f"overall {compared.about.name}", "worst": "the worst group"}
    by_group: dict[str, list[Row]] = {}
    for row in rows:
        group = f"{compared.by} {group_name(compared.by, row['figure'])}"
        by_group.setdefault(names.get(row["figure"], group), []).append(row)
    return listed(f"{group} by {_named(compared, of, every)}" for group, of in by_group.items())


def _named(compared: Compared, rows: list[Row], every: list[Row]) -> str:
    """Return the experiments of rows of one figure, each with where it holds if not everywhere."""

    def where(row: Row) -> str:
        against = f"against {row['against']}" if len(compared.references) > 1 else ""
        test = f"on {row['test']}" if len(compared.tests) > 1 else ""
        return " ".join(filter(None, (against, test)))

    parts: list[str] = []
    for name in dict.fromkeys(row["experiment"] for row in rows):
        held = [where(row) for row in rows if row["experiment"] == name]
        asked = [
            where(r) for r in every if (r["experiment"], r["figure"]) == (name, rows[0]["figure"])
        ]
        others = [one for one in asked if one not in held]
        part = f" ({listed(held)}, not {listed(others, last='or')})" if others else ""
        parts.append(f"{name}{part}")
    return listed(parts)


def _left_out(compared: Compared, test: TestSet) -> list[str]:
    """Return which groups are not compared, and why."""
    few = [
        f"{compared.by} {group_name(compared.by, row['group'])} ({row['missing']})"
        for row in test.groups.to_dict("records")
        if row["missing"]
    ]
    if not few:
        return []
    return [f"On {test.split}, not compared, and so not the worst group: {listed(few, most=6)}."]


def _against_constant(compared: Compared, test: TestSet) -> list[str]:
    """Return which experiments are worse, or not established to be better, than any constant."""
    constant, sign = test.constant["overall"], compared.about.sign
    worse: list[str] = []
    unsure: list[str] = []
    for name in compared.names:
        row = test.figure(name, "overall")
        ends = sorted((sign * row["low"], sign * row["high"]))
        if is_known(ends[0]) and ends[0] <= sign * constant:
            (worse if ends[1] < sign * constant else unsure).append(name)
    of = f"than {compared.about.trivial} ({number(constant)}), over all images"
    sentences: list[str] = []
    if worse:
        turned = "; are the scores turned round?" if compared.measure == "auroc" else "."
        sentences.append(f"On {test.split}, {listed(worse)} {_do(worse)} worse {of}{turned}")
    if unsure:
        sentences.append(
            f"On {test.split}, {listed(unsure)} {_do(unsure, 'is', 'are')} not established to do "
            f"better {of}."
        )
    return sentences


def _do(names: list[str], one: str = "does", several: str = "do") -> str:
    return one if len(names) == 1 else several


def _established(compared: Compared, test: TestSet) -> list[str]:
    """Return what differs, by experiment, with direction and size."""
    sentences: list[str] = []
    table: Any = test.differences
    for (name, reference), part in table.groupby(["experiment", "against"], sort=False):
        held = [row for row in part.to_dict("records") if established(row)]
        if held:
            parts = [
                f"{figure_name(compared, row['figure'])} {_direction(row)} by "
                f"{number(abs(row['difference']))} "
                f"({interval(*sorted((abs(row['low_holm']), abs(row['high_holm']))))})"
                for row in held
            ]
            sentences.append(f"On {test.split}, {name} against {reference}: {'; '.join(parts)}.")
    if not sentences and any(is_known(row["p"]) for row in table.to_dict("records")):
        count = int(table["p"].notna().sum())
        sentences.append(
            f"On {test.split}, none of {counted(count, 'difference')} (overall, every group, worst "
            "group, gap) is established after Holm's adjustment for testing all of them."
        )
    if len(table) and not table["p"].notna().any():
        sentences.append(f"On {test.split}, nothing could be compared.")
    return sentences


def _direction(row: Row) -> str:
    if row["figure"] == "gap":
        return "narrower" if row["difference"] < 0 else "wider"
    return "higher" if row["difference"] > 0 else "lower"


def figure_name(compared: Compared, figure: str) -> str:
    """Return a figure in words: ``worst`` is the worst group's AUROC."""
    what = compared.about.name
    names = {"overall": f"overall {what}", "worst": f"worst group's {what}", "gap": "gap"}
    return names.get(figure) or f"{what} of {compared.by} {group_name(compared.by, figure)}"


def groups_of(test: TestSet) -> list[str]:
    """Return the groups of a test set that have a figure."""
    return [figure for figure in dict.fromkeys(test.figures["figure"]) if figure not in WHOLE]


def capital(text: str) -> str:
    """Return a text with a capital at its start."""
    return text[0].upper() + text[1:]


def _margin(compared: Compared) -> str:
    return f"{compared.margin:.3g}"


def _equivalence(compared: Compared, test: TestSet, reference: str) -> list[str]:
    """Return whether a worst group's gain beyond the margin is excluded; if not, what is needed.

    That every one-sided bound is below the margin is one claim; it needs no adjustment (Berger
    1982, Technometrics 24:295).
    """
    table: Any = test.differences
    rows = [
        row
        for row in table[(table["against"] == reference) & (table["figure"] == "worst")].to_dict(
            "records"
        )
        if row["experiment"] not in compared.references
    ]
    margin = _margin(compared)
    gains = [row for row in rows if not (established(row) and compared.gain(row) > 0)]
    bounds = [compared.gain(row, "at_most") for row in gains]
    if not any(is_known(bound) for bound in bounds):
        return []
    most = max(bound for bound in bounds if is_known(bound))
    if all(bound <= compared.margin for bound in bounds):
        return [
            f"On {test.split}, the worst group gains at most {number(max(most, 0.0))} over "
            f"{reference} from {listed(row['experiment'] for row in gains)}: less than {margin}."
        ]
    undecided = [row for row in gains if not compared.gain(row, "at_most") <= compared.margin]
    because = f"a gain of up to {number(most)} is not excluded"
    if not any(is_known(row["at_most"]) for row in undecided):
        because = "fewer than two of its seeds can be compared"
        if min(row["seeds"] for row in undecided) > 1:
            because = "no run errs there, and nothing shows how far other images would move it"
    names = [str(row["experiment"]) for row in undecided]
    return [
        f"On {test.split}, whether the worst group gains more than {margin} against {reference} "
        f"cannot be decided for {listed(names)}: {because}."
        + _need(compared, test, reference, names)
    ]


def _need(compared: Compared, test: TestSet, reference: str, undecided: list[str]) -> str:
    """Return how many seeds and images a difference of the margin needs; the median of several."""
    table: Any = test.needs
    rows = table[(table["against"] == reference) & table["experiment"].isin(undecided)]
    if not len(rows):
        return ""
    ordered = rows.sort_values(["images", "seeds"])
    seeds, images = ordered[["seeds", "images"]].iloc[(len(rows) - 1) // 2].astype(float)
    what = f" A difference of {_margin(compared)} would be established in 80 of 100 comparisons"
    if images == float("inf"):
        return f"{what} only with far more than 100 {compared.unit}s and 1,000 times the images."
    if images > test.n:
        return (
            f"{what} with about {counted(round(seeds), compared.unit)} and {count(images)} images "
            f"(now {compared.units} and {test.n:,}); on these images no number of {compared.unit}s "
            "is enough."
        )
    return (
        f"{what} with about {counted(round(seeds), compared.unit)} on these images "
        f"(now {compared.units})."
    )


def _levelled(compared: Compared, test: TestSet) -> list[str]:
    """Return where the best group's loss is established and the worst's gain is excluded."""
    sentences: list[str] = []
    for reference in compared.references:
        known = {g: test.figure(reference, g)["value"] for g in groups_of(test)}
        if len(known) < 2:
            continue
        sign = compared.about.sign
        best = max(known, key=lambda group: sign * known[group])
        for name in compared.names:
            loss, gain = (test.difference(name, reference, figure) for figure in (best, "worst"))
            if loss is None or gain is None or name in compared.references:
                continue
            lost, most = -compared.gain(loss), compared.gain(gain, "at_most")
            if established(loss) and lost > 0 and most <= compared.margin:
                verb = "lowers" if sign > 0 else "worsens"
                sentences.append(
                    f"Levelling down on {test.split}: {name} {verb} the best group, {compared.by} "
                    f"{group_name(compared.by, best)}, by {number(lost)} against "
                    f"{reference}, and does not help the worst group by more than "
                    f"{_margin(compared)}."
                )
    return sentences


def _failed(compared: Compared) -> list[str]:
    if not len(compared.failed):
        return []
    sentences: list[str] = []
    rows: list[Any] = compared.failed.to_dict("records")
    copies = [row for row in rows if row["reason"].startswith(COPY)]
    if runs := [f"{row['experiment']} seed {row['seed']}" for row in rows if row not in copies]:
        sentences.append(
            f"{counted(len(runs), 'run')} without scores, left out of every mean: "
            f"{listed(runs, most=6)}. A mean over the runs that ended flatters a method that "
            "diverges."
        )
    if copies:
        seeds: dict[tuple[str, str], list[int]] = {}
        for row in copies:
            seeds.setdefault((row["experiment"], row["reason"]), []).append(row["seed"])
        named = [f"{name} seed {listed(of)} {reason}" for (name, reason), of in seeds.items()]
        sentences.append(
            f"A run counts once: {listed(named, most=6)}. A method that heeds no seed is compared "
            "over several splits."
        )
    return sentences


def group_name(by: str, group: str) -> str:
    """Return a group with what its name means, where it is an end of a scale of skin tone.

    Example:
        >>> group_name("ita_band", "6"), group_name("ita_band", "3"), group_name("site", "6")
        ('6 (darkest)', '3', '6')
    """
    for column, (light, dark) in SCALES.items():
        if by.startswith(column) or by.endswith(column):
            return {light: f"{group} (lightest)", dark: f"{group} (darkest)"}.get(group, group)
    return group
