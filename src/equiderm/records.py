"""Records of results: frozen dataclasses that hold arrays and tables, compared and shown as wholes.

A dataclass's own ``==`` fails on an array, and its own repr prints every row.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

LONGEST = 160  # characters of a repr

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def remembered(
    method: Callable[Concatenate[Any, _Given], _Result],
) -> Callable[Concatenate[Any, _Given], _Result]:
    """Return a method, or a function of an object, whose results the object keeps by arguments.

    The arguments are hashable; one that is left out is its default.
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def once(*given: Any, **named: Any) -> _Result:
        if named or len(given) < len(signature.parameters):
            bound = signature.bind(*given, **named)
            bound.apply_defaults()
            given = bound.args
        of, *arguments = given
        known, key = vars(of).setdefault("_remembered", {}), (method.__qualname__, *arguments)
        if key not in known:
            known[key] = method(of, *arguments)  # pyright: ignore[reportCallIssue]
        return known[key]

    return once  # pyright: ignore[reportReturnType]


class Record:
    """A base of dataclasses with ``eq=False, repr=False``: equal by value, shown in a line."""

    __hash__ = None  # pyright: ignore[reportAssignmentType] - arrays and tables have none, either

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _same_fields(self, other)

    def __repr__(self) -> str:
        shown = [
            f"{field.name}={brief(getattr(self, field.name))}"
            for field in dataclasses.fields(self)  # pyright: ignore[reportArgumentType]
            if field.repr
        ]
        return one_line(type(self).__name__, shown)


def one_line(name: str, parts: list[str]) -> str:
    """Return ``name(part, part, ...)``, ended by "..." before the part that makes it too long."""
    text = f"{name}({', '.join(parts)})"
    while len(text) > LONGEST and len(parts) > 1:
        parts = parts[:-1]
        text = f"{name}({', '.join(parts)}, ...)"
    return text


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal, arrays and tables by what they hold; NaN equals NaN."""
    if hasattr(one, "equals") and hasattr(one, "columns"):  # a frame of pandas
        return type(one) is type(other) and bool(one.equals(other))
    if hasattr(one, "dtype") or hasattr(other, "dtype"):
        return _same_arrays(one, other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and type(one) is type(other):
        return len(one) == len(other) and all(map(same, one, other))
    if dataclasses.is_dataclass(one) and type(one) is type(other):
        return _same_fields(one, other)
    return bool(one == other or (one != one and other != other))


def _same_fields(one: Any, other: Any) -> bool:
    fields = [field.name for field in dataclasses.fields(one) if field.compare]
    return all(same(getattr(one, name), getattr(other, name)) for name in fields)


def _same_arrays(one: Any, other: Any) -> bool:
    import numpy as np

    a, b = np.asarray(one), np.asarray(other)
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def brief(value: Any) -> str:
    """Return a value in a few words: numbers to four digits, arrays and tables by their size."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str | Path):
        text = str(value)
        return repr(text if len(text) <= 40 else text[:39] + "…")
    if hasattr(value, "shape"):
        size = " x ".join(map(str, value.shape))
        return f"<{size} {getattr(value, 'dtype', 'table')}>"
    if isinstance(value, Mapping):
        return f"<{len(value)} entries>" if len(value) > 3 else _names(map(str, value), "{}")
    if isinstance(value, list | tuple):
        ends = "(,)" if len(value) == 1 else "()"
        return f"<{len(value)} items>" if len(value) > 6 else _names(map(brief, value), ends)
    if dataclasses.is_dataclass(value) and not isinstance(value, Record):
        return type(value).__name__
    text = repr(value)
    return text if len(text) <= 40 else f"<{type(value).__name__}>"


def _names(parts: Any, ends: str) -> str:
    return ends[0] + ", ".join(parts) + ends[1:]
