"""Ranges of an experiment's settings, which its file states, and draws from them."""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.debias.settings import settings
from equiderm.errors import InputError

if TYPE_CHECKING:
    from equiderm.training.experiment import Experiment

TABLES = ("method", "backbone", "optimizer", "training")  # the others decide the rows and figures


@settings("[search]")
class Range:
    """A range from which a setting is drawn evenly.

    Attributes:
        low: The lowest value.
        high: The highest; where both are whole numbers, so is every draw.
        log: Evenly in the logarithm; needs ``low`` above 0.
    """

    low: int | float
    high: int | float
    log: bool = False

    def __post_init__(self) -> None:
        """Check what the types cannot."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(f"low = {self.low:g}, high = {self.high:g}: low must be below high.")
        if self.log and self.low <= 0:
            raise InputError(f"low = {self.low:g}: log = true needs low above 0.")

    def at(self, share: float) -> int | float:
        """Return the value at a share of the range, from 0 to 1."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        # Whole numbers are equally likely, the ends included.
        low, high = (self.low - 0.5, self.high + 0.5) if whole else (self.low, self.high)
        value = low * (high / low) ** share if self.log else low + share * (high - low)
        value = min(max(value, self.low), self.high)
        return round(value) if whole else float(value)


def check_ranges(experiment: Experiment) -> None:
    """Raise InputError unless every end and choice of an experiment's ranges can be its setting."""
    for table, key, choices in _ranges(experiment.search):
        values = (choices.low, choices.high) if isinstance(choices, Range) else choices
        for value in values:
            try:
                _with(experiment, {(table, key): value})
            except InputError as error:
                raise InputError(f"[search.{table}] {key} = {value!r}: {error}") from error


def draw(experiment: Experiment, number: int) -> tuple[Experiment, dict[str, Any]]:
    """Return an experiment with settings drawn from its ranges, and these by name.

    A draw is a function of its number and the setting's name: experiments that state the same range
    have the same values, and more draws begin with the same ones.

    Args:
        experiment: With a ``[search]`` table.
        number: Number of the draw, from 0.

    Raises:
        InputError: Values that cannot be combined.

    Source:
        Bergstra and Bengio 2012, Random search for hyper-parameter optimization.
    """
    values: dict[tuple[str, str], Any] = {}
    for table, key, choices in _ranges(experiment.search):
        name = zlib.crc32(f"{table}.{key}".encode())
        share = float(np.random.default_rng([number, name]).random())
        in_range = isinstance(choices, Range)
        chosen = choices.at(share) if in_range else choices[int(share * len(choices))]
        values[table, key] = chosen
    named = {f"{table}.{key}": value for (table, key), value in values.items()}
    return _with(experiment, values), named


def _ranges(search: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield each range as table, key, and a `Range` or a list of choices."""
    for table, keys in search.items():
        if table not in TABLES or not isinstance(keys, Mapping):
            raise InputError(
                f"[search] {table}: give ranges as table.key, of {', '.join(TABLES)}; such as "
                "optimizer.backbone = {low = 1e-4, high = 1e-2, log = true}."
            )
        for key, given in keys.items():
            if isinstance(given, Mapping):
                try:
                    yield table, key, Range(**given)
                except InputError as error:
                    raise InputError(f"[search.{table}] {key}: {error}") from error
            elif isinstance(given, list | tuple) and given:
                yield table, key, list(given)
            else:
                raise InputError(
                    f"[search.{table}] {key} = {given!r}: a list of choices, or {{low = ..., "
                    "high = ...}, is expected."
                )


def _with(experiment: Experiment, values: Mapping[tuple[str, str], Any]) -> Experiment:
    changed: dict[str, Any] = {"search": {}}
    for (table, key), value in values.items():
        if (table, key) == ("method", "name"):
            raise InputError("the method's name is not a setting; write a file for each method.")
        changed.setdefault(table, {})[key] = value
    for table in changed.keys() & set(TABLES):
        now: Any = getattr(experiment, table)
        if table == "method":
            changed[table] = {**now, **changed[table]}
        else:
            kind: Any = type(now)
            changed[table] = kind(**{**dataclasses.asdict(now), **changed[table]})
    return dataclasses.replace(experiment, **changed)
