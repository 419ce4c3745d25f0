"""The small language of ``--fail-if``: one figure, one comparison, one number.

condition := subject ("<" | "<=" | ">" | ">=") number ["with confidence"]
subject   := ("gap" | "worst" | "overall") "(" figure ")"
           | "equal_opportunity_difference" | "equalized_odds_difference"
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from equiderm.audit.metrics import METRICS
from equiderm.errors import InputError

if TYPE_CHECKING:
    from equiderm.audit.audit import Audit

_DIFFERENCES = ("equal_opportunity_difference", "equalized_odds_difference")
_SHAPE = re.compile(
    r"\s*(?:(gap|worst|overall)\s*\(\s*(\w+)\s*\)|(" + "|".join(_DIFFERENCES) + r"))\s*"
    r"(<=|>=|<|>)\s*([0-9]*\.?[0-9]+)\s*(with\s+confidence)?\s*",
    re.ASCII,
)


class Condition(NamedTuple):
    """A parsed condition; ``confident`` asks the whole 95 % interval to be beyond the number."""

    text: str
    subject: str
    metric: str
    sign: str
    number: float
    confident: bool

    def holds(self, audit: Audit) -> tuple[bool, str]:
        """Return whether it holds for any group column, and the sentence that says so.

        Raises:
            InputError: The figure is missing, so that nothing can be decided.
        """
        told: list[str] = []
        held = False
        columns = [None] if self.subject == "overall" else audit.columns
        for column in columns:
            where, (value, low, high, why) = self._read(audit, column)
            if why:
                raise InputError(
                    f"'{self.text}' cannot be decided: {where} is missing ({why}); drop the "
                    "condition or audit more images."
                )
            above = self.sign.startswith(">")
            compared = (low if above else high) if self.confident else value
            beyond = {
                ">": compared > self.number,
                ">=": compared >= self.number,
                "<": compared < self.number,
                "<=": compared <= self.number,
            }[self.sign]
            held |= beyond
            told.append(
                f"'{self.text}' {'holds' if beyond else 'does not hold'}: {where} is {value:.3f} "
                f"({low:.3f} to {high:.3f})"
            )
        return held, "; ".join(told) + "."

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
        if self.subject in _DIFFERENCES:
            found = audit.odds_difference(self.subject, by=column)
            return f"{self.subject} by {column}", found
        gap = audit.gap(self.metric, by=column)
        return f"gap of {self.metric} by {column}", (gap.value, gap.low, gap.high, gap.why)


def parse_subject(text: str) -> tuple[str, str]:
    """Return function and figure of a subject such as ``worst(auroc)``.

    Raises:
        InputError: It is no gap, worst or overall of a known figure.
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
