"""The grammar of ``--fail-if``: one figure, one comparison, one number.

condition := subject ("<" | "<=" | ">" | ">=") number ["with confidence"]
subject   := ("gap" | "worst" | "overall") "(" figure ")"
           | "equal_opportunity_difference" | "equalized_odds_difference"
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from equiderm.audit.gaps import ODDS_DIFFERENCES
from equiderm.audit.metrics import METRICS
from equiderm.errors import InputError
from equiderm.format import with_interval

if TYPE_CHECKING:
    from equiderm.audit.audit import Audit

_SHAPE = re.compile(
    r"\s*(?:(gap|worst|overall)\s*\(\s*(\w+)\s*\)|(" + "|".join(ODDS_DIFFERENCES) + r"))\s*"
    r"(<=|>=|<|>)\s*([0-9]*\.?[0-9]+)\s*(with\s+confidence)?\s*",
    re.ASCII,
)


class Condition(NamedTuple):
    """A parsed condition; if ``confident``, the whole 95 % interval must be beyond the number."""

    text: str
    subject: str
    metric: str
    sign: str
    number: float
    confident: bool

    def decide(self, audit: Audit) -> tuple[bool | None, str]:
        """Return whether it holds for any group column, and a sentence with the figures.

        None if undecided: it holds for no column and a figure is missing. ``worst`` is undecided
        also if it does not hold for the groups that have the figure but another group lacks it.
        """
        sentences: list[str] = []
        outcomes: list[bool | None] = []
        columns = [None] if self.subject == "overall" else audit.columns
        for column in columns:
            where, (value, low, high, why) = self._read(audit, column)
            if why or value != value or (self.confident and (low != low or high != high)):
                outcomes.append(None)
                reason = why or "it has no interval"
                sentences.append(f"'{self.text}' cannot be decided: {where} is missing ({reason})")
                continue
            held = self._beyond(value, low, high)
            shown = f"{where} is {with_interval(value, low, high)}"
            absent = self._unjudged(audit, column) if not held else ""
            outcomes.append(None if absent else held)
            state = "holds" if held else "does not hold"
            sentences.append(
                f"'{self.text}' cannot be decided: {shown}, but {absent}"
                if absent
                else f"'{self.text}' {state}: {shown}"
            )
        outcome = True if True in outcomes else None if None in outcomes else False
        return outcome, "; ".join(sentences) + "."

    def holds(self, audit: Audit) -> tuple[bool, str]:
        """Return the result of `decide`.

        Raises:
            InputError: It is undecided.
        """
        outcome, sentence = self.decide(audit)
        if outcome is None:
            raise InputError(
                f"{sentence.removesuffix('.')}; drop the condition or audit more images."
            )
        return outcome, sentence

    def _beyond(self, value: float, low: float, high: float) -> bool:
        compared = (low if self.sign.startswith(">") else high) if self.confident else value
        return {
            ">": compared > self.number,
            ">=": compared >= self.number,
            "<": compared < self.number,
            "<=": compared <= self.number,
        }[self.sign]

    def _unjudged(self, audit: Audit, column: str | None) -> str:
        """Return which groups lack the figure, if the condition is on the worst group."""
        if column is None or self.subject != "worst":
            return ""
        results = audit.results[column]
        lacking = {name: results.value(self.metric, name)[2] for name in results.grouping.labels}
        return "; ".join(
            f"{column} {name} has none ({why})" for name, why in lacking.items() if why
        )

    def _read(
        self, audit: Audit, column: str | None
    ) -> tuple[str, tuple[float, float, float, str]]:
        if column is None:
            figure = audit.figure(self.metric)
            return f"overall {self.metric}", (*figure[:3], figure.why)
        if self.subject == "worst":
            worst = audit.gap(self.metric, by=column).worst
            names = audit.results[column].compared(self.metric)
            if len(names) == 1:
                worst = names[0]
            if not worst:
                return f"worst {self.metric} by {column}", (0.0, 0.0, 0.0, "no group is worst")
            figure = audit.figure(self.metric, worst, by=column)
            return f"{self.metric} of {column} {worst}", (*figure[:3], figure.why)
        if self.subject in ODDS_DIFFERENCES:
            return f"{self.subject} by {column}", audit.odds_difference(self.subject, by=column)
        gap = audit.gap(self.metric, by=column)
        return f"gap of {self.metric} by {column}", (gap.value, gap.low, gap.high, gap.why)


def parse_subject(text: str) -> tuple[str, str]:
    """Return function and figure of a subject such as ``worst(auroc)``.

    Raises:
        InputError: Not the gap, worst or overall of a known figure.
    """
    match = re.fullmatch(r"\s*(gap|worst|overall)\s*\(\s*(\w+)\s*\)\s*", text, re.ASCII)
    if not match or match[2] not in METRICS:
        raise InputError(
            f"'{text}' is not understood; write worst(...), gap(...) or overall(...) of one of "
            f"{', '.join(METRICS)}."
        )
    return match[1], match[2]


def parse_condition(text: str) -> Condition:
    """Return the parsed condition.

    Raises:
        InputError: It does not follow the grammar, or names an unknown figure.

    Example:
        >>> parse_condition("gap(auroc) > 0.05 with confidence").number
        0.05
    """
    match = _SHAPE.fullmatch(text)
    if not match:
        raise InputError(
            f"the condition '{text}' is not understood; write for example "
            '"gap(auroc) > 0.05 with confidence" or "worst(sensitivity) < 0.7".'
        )
    function, metric, difference, sign, number, confident = match.groups()
    if function and metric not in METRICS:
        raise InputError(
            f"the condition '{text}' names no known figure; choose one of {', '.join(METRICS)}."
        )
    return Condition(
        text.strip(), function or difference, metric or "", sign, float(number), bool(confident)
    )
