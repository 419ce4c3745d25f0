"""Settings: frozen dataclasses that pydantic checks, with errors of one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import Annotated, Any, TypeVar, dataclass_transform

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from equiderm.errors import InputError

Finite = Annotated[float, Field(allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Listed = BeforeValidator(_as_tuple)  # a list may stand for a tuple, as in TOML

_T = TypeVar("_T", bound=type)
_EXPECTED = {
    "int_type": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "float_type": "a number is expected",
    "finite_number": "a finite number is expected",
    "bool_type": "true or false is expected",
    "string_type": "text is expected",
    "tuple_type": "a list is expected",
    "mapping_type": "a table is expected",
    "dataclass_type": "a table is expected",
    "dataclass_exact_type": "a table is expected",
    "literal_error": "give {expected}",
    "greater_than": "give more than {gt:g}",
    "greater_than_equal": "give {ge:g} or more",
    "less_than": "give less than {lt:g}",
    "less_than_equal": "give {le:g} or less",
}


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def settings(where: str) -> Callable[[_T], _T]:
    """Return a decorator that makes a class a frozen dataclass whose every value is checked.

    Types are strict (only a whole number may stand for a float), unknown names are refused, and
    `dataclasses.replace` checks, too. A wrong value raises `InputError` with one sentence that
    names the key.

    Args:
        where: The table of the experiment file, as messages name it: ``[method]``; or empty.
    """

    def decorate(cls: _T) -> _T:
        checked: Any = dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))(cls)
        construct = checked.__init__

        def __init__(self: Any, *args: Any, **values: Any) -> None:
            try:
                construct(self, *args, **values)
            except ValidationError as error:
                known = [option.name for option in fields(type(self))]
                raise InputError(_sentence(error.errors()[0], where, known)) from error

        checked.__init__ = __init__
        return checked

    return decorate


def _sentence(first: Mapping[str, Any], where: str, known: list[str]) -> str:
    context: Any = first.get("ctx", {})
    if isinstance(context.get("error"), InputError):  # from the class's own check
        return str(context["error"])
    key = f"{where} {first['loc'][0]}".strip() if first["loc"] else where
    if first["type"] == "unexpected_keyword_argument":
        near = difflib.get_close_matches(str(first["loc"][0]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(known)}."
        return f"{key}: unknown key; {hint}"
    expected = _EXPECTED.get(first["type"])
    reason = expected.format(**context) if expected else str(first["msg"])
    return f"{key} = {first['input']!r}: {reason}."
