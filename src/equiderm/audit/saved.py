"""Read an audit's JSON back, checked against its schema, such as "equiderm.audit/3".

``audit.schema.json`` in this folder is the result of `json_schema`, for other languages.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from equiderm.audit.adjust import Adjusted
from equiderm.audit.along import Along
from equiderm.audit.find import Found
from equiderm.audit.gaps import VERSUS, Gap
from equiderm.audit.groups import Figure, Options
from equiderm.audit.input import Provenance, Weighting
from equiderm.audit.label_error import Corrected
from equiderm.audit.metrics import HEADLINE
from equiderm.audit.verdict import Finding, TooFew, Verdict
from equiderm.errors import InputError
from equiderm.files import AnyPath
from equiderm.format import json_text
from equiderm.records import Record

if TYPE_CHECKING:
    import pandas as pd

SCHEMA, CLASSES, NUMBER = "equiderm.audit/3", "equiderm.classes/1", "equiderm.number/1"
OTHERS = {CLASSES: "several classes", NUMBER: "a predicted number"}
YOUNGER = {  # keys that were added after "equiderm.audit/2", which a file may lack
    "weighting",
    "along",
    "adjusted",
    "find",
    "checklist",
}
SCHEMA_FILE = Path(__file__).with_name("audit.schema.json")


@functools.cache
def _model() -> Any:
    """Return the pydantic model of an audit's JSON, in which a missing number is null."""
    from pydantic import ConfigDict, Field, create_model

    strict = ConfigDict(extra="forbid", strict=True)

    def model(name: str, /, **hints: Any) -> Any:
        fields: dict[str, Any] = {key: (hint, ...) for key, hint in hints.items()}
        for key in YOUNGER & fields.keys():
            fields[key] = (hints[key], None if key in ("weighting", "find") else [])
        if "schema" in fields:  # pydantic's models have a method of this name
            fields["schema_"] = (fields.pop("schema")[0], Field(alias="schema"))
        return create_model(name, __config__=strict, **fields)

    def of(kind: Any) -> Any:
        hints = _hints(kind)
        return model(kind.__name__, **{key: as_json(hint) for key, hint in hints.items()})

    def as_json(hint: Any) -> Any:
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if hint is float:
            return float | None
        if dataclasses.is_dataclass(hint):
            return of(hint)
        if origin is np.ndarray:
            return list[float | None]
        if origin is tuple and inner[-1] is not Ellipsis:
            return tuple[tuple(map(as_json, inner))]  # pyright: ignore[reportInvalidTypeArguments]
        if origin in (list, tuple):
            return list[as_json(inner[0])]
        if _is_mapping(origin):
            return dict[str, as_json(inner[1])]
        if origin in (typing.Union, types.UnionType):
            return functools.reduce(lambda a, b: a | b, map(as_json, inner))
        return hint

    number = float | None
    place = {"by": str, "figure": str}
    interval = {"value": number, "low": number, "high": number}
    difference = dict.fromkeys(VERSUS, number)
    versus = model("Versus", **place, reference=str | None, group=str, **difference)
    counts = {"n": int, "positives": int, "missing": str}
    return model(
        "Audit",
        schema=Literal["equiderm.audit/3", "equiderm.audit/2"],
        answer=list[str],
        verdicts=list[of(Verdict)],
        rows=int,
        patients=int | None,
        positives=int,
        truth=bool,
        weighting=of(Weighting) | None,
        notes=list[str],
        options=of(Options),
        provenance=of(Provenance),
        versions=dict[str, str],
        thresholds=dict[str, number],
        figures=list[model("Row", **place, group=str, **interval, **counts)],
        gaps=list[of(Gap)],
        differences=list[model("OddsDifference", by=str, name=str, **interval, why=str)],
        against_rest=list[versus],
        against_reference=list[versus],
        label_error=list[of(Corrected)],
        along=list[of(Along)],
        adjusted=list[of(Adjusted)],
        find=of(Found) | None,
        checklist=list[model("Point", guideline=str, key=str, asks=str, answer=str, state=str)],
    )


@functools.cache
def _other_model() -> Any:
    """Return the pydantic model of what the JSON of audits of classes and of a number share."""
    from pydantic import ConfigDict, create_model

    def model(name: str, /, **hints: Any) -> Any:
        fields: dict[str, Any] = {key: (hint, ...) for key, hint in hints.items()}
        return create_model(name, __config__=ConfigDict(extra="allow", strict=True), **fields)

    number = float | None
    row = model(
        "Row", by=str, group=str, figure=str, value=number, low=number, high=number, n=int,
        missing=str,
    )  # fmt: skip
    return model(
        "Answered",
        answer=list[str],
        summaries=list[model("Summary", title=str, rows=list[dict[str, str]])],
        rows=int,
        patients=int | None,
        notes=list[str],
        provenance=model("Files", files=list[tuple[str, str]]),
        figures=list[row],
    )


def _hints(kind: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields, including those imported for type checkers."""
    return typing.get_type_hints(kind, localns={"Mapping": Mapping, "NDArray": NDArray})


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `equiderm.audit.Audit.to_json`."""
    schema = _model().model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


@dataclass(frozen=True, eq=False, repr=False)
class SavedAnswer(Record):
    """An audit of any kind, read back from its JSON; from `read_saved`.

    Attributes:
        content: The JSON, checked against the schema.
    """

    content: dict[str, Any]

    @property
    def columns(self) -> list[str]:
        """The group columns, and their intersection if there are several."""
        return list(dict.fromkeys(row["by"] for row in self.content["figures"]))

    @functools.cached_property
    def table(self) -> pd.DataFrame:
        """One row per column, group and figure, as the audit's own ``table``."""
        import pandas as pd

        return pd.DataFrame(self.content["figures"])

    def answer(self) -> tuple[str, ...]:
        """Return the verdict, its evidence and what to do, in words."""
        return tuple(self.content["answer"])

    def summaries(self) -> list[tuple[str, pd.DataFrame]]:
        """Return titles and small tables of text; none of an audit of 0 and 1."""
        import pandas as pd

        return [
            (part["title"], pd.DataFrame(part["rows"]))
            for part in self.content.get("summaries", [])
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON types that it was read from."""
        return json.loads(self.to_json())

    def to_json(self) -> str:
        """Return the text that it was read from."""
        return json_text(self.content)

    def __repr__(self) -> str:
        rows = self.content["rows"]
        return f"{type(self).__name__}({rows} rows by {', '.join(self.columns)})"


class SavedAudit(SavedAnswer):
    """An audit of 0 and 1 read back from its JSON; from `Audit.from_json`."""

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return everything as tidy frames by name.

        ``figures``, ``gaps``, ``detectable`` (the drop that would be noticed), ``findings`` and
        ``too_few`` of the verdicts, ``differences`` of the odds, ``against_rest`` and
        ``against_reference``, ``checklist``. If requested, also ``along`` and ``along_tests`` of
        the curves, ``adjusted`` and ``overlap`` of the equal case mix, ``subgroups`` of a search.
        """
        return tables_of(self.content)

    def figure(self, metric: str, group: str = "overall", *, by: str | None = None) -> Figure:
        """Return one figure, as `Audit.figure`; ``counted`` is the number of the group's rows."""
        row = self._row("figures", by, figure=metric, group=group)
        value, low, high = (_number(row[key]) for key in ("value", "low", "high"))
        return Figure(value, low, high, row["n"], row["missing"])

    def gap(self, metric: str = "auroc", *, by: str | None = None) -> Gap:
        """Return the gap of a figure between the groups of a column, as `Audit.gap`."""
        return _build(Gap, self._row("gaps", by, metric=metric))

    def verdict(self, by: str | None = None) -> Verdict:
        """Return the verdict by one group column, as `Audit.verdict`."""
        return _build(Verdict, self._row("verdicts", by))

    def along(self, column: str | None = None) -> Along:
        """Return the curves along a number, by default the first, as `Audit.along`."""
        rows = self.content.get("along", [])
        for row in rows:
            if column in (None, row["column"]):
                return _build(Along, row)
        there = ", ".join(row["column"] for row in rows) or "none"
        raise InputError(f"this audit has no curves along '{column}'; it has {there}.")

    def adjusted(self, by: str | None = None) -> Adjusted:
        """Return the groups of a column at equal case mix, as `Audit.adjusted`."""
        return _build(Adjusted, self._row("adjusted", by))

    def _row(self, table: str, by: str | None, **wanted: str) -> dict[str, Any]:
        if by is not None and by not in self.columns:
            raise InputError(f"there is no group column '{by}'; choose {', '.join(self.columns)}.")
        wanted["by"] = by or self.columns[0]
        for row in self.content.get(table, []):
            if all(row[key] == value for key, value in wanted.items()):
                return row
        named = ", ".join(f"{key} '{value}'" for key, value in wanted.items())
        raise InputError(f"this audit has no row of {table} for {named}.")

    def _repr_html_(self) -> str:
        from equiderm.page import bullets_block, table_block

        shown = self.table[self.table["figure"].isin(HEADLINE)]
        return str(bullets_block(self.answer())) + str(table_block(shown, caption=repr(self)))


def read_audit(source: AnyPath) -> SavedAudit:
    """Return an audit of 0 and 1 from its JSON, a text or a file; use `Audit.from_json`.

    Raises:
        InputError: The file cannot be read, or is not the JSON of such an audit.
    """
    saved = read_saved(source)
    if not isinstance(saved, SavedAudit):
        kind = OTHERS[saved.content["schema"]]
        raise InputError(
            f"{_name(source)}: is not the JSON of an audit ({SCHEMA}): it is an audit of {kind}."
        )
    return saved


def read_saved(source: AnyPath) -> SavedAnswer:
    """Return an audit of 0 and 1, of classes or of a number from its JSON, a text or a file.

    Raises:
        InputError: The file cannot be read, or is not the JSON of an audit.
    """
    from pydantic import ValidationError

    name, schema = _name(source), SCHEMA
    try:
        text = os.fspath(source) if _is_text(source) else Path(source).read_text(encoding="utf-8")
        schema = _schema_of(text)
        (_other_model() if schema in OTHERS else _model()).model_validate_json(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: cannot be read ({error}).") from error
    except ValidationError as error:
        errors = error.errors()
        first = next((one for one in errors if one["loc"] == ("schema",)), errors[0])
        where = ".".join(map(str, first["loc"])) or "its content"
        raise InputError(
            f"{name}: is not the JSON of an audit ({schema}): {where}: {first['msg']}."
        ) from error
    content = json.loads(text)
    if not content["figures"]:
        raise InputError(f"{name}: is an audit without figures; audit the predictions again.")
    return SavedAnswer(content) if schema in OTHERS else SavedAudit(content)


def _is_text(source: AnyPath) -> bool:
    return isinstance(source, str) and source.lstrip().startswith("{")


def _name(source: AnyPath) -> str:
    return "the text" if _is_text(source) else os.fspath(source)


def _schema_of(text: str) -> str:
    """Return which schema a text is to follow: of another audit if it says so."""
    with contextlib.suppress(ValueError, RecursionError, AttributeError):
        named = str(json.loads(text).get("schema"))
        return named if named in OTHERS else SCHEMA
    return SCHEMA


def tables_of(content: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Return the tables of an audit's JSON as tidy frames; see `SavedAudit.tables`."""
    import pandas as pd

    def frame(rows: list[dict[str, Any]], kind: Any = None) -> pd.DataFrame:
        names = [field.name for field in dataclasses.fields(kind)] if kind and not rows else None
        return pd.DataFrame(rows, columns=names)

    verdicts, gaps = content["verdicts"], content["gaps"]
    flat = [{key: value for key, value in gap.items() if key != "detectable"} for gap in gaps]
    noticed = [
        {"by": gap["by"], "figure": gap["metric"], "group": group, "drop": drop}
        for gap in gaps
        for group, drop in gap["detectable"].items()
    ]
    too_few = [{"by": verdict["by"], **row} for verdict in verdicts for row in verdict["too_few"]]
    return {
        "figures": frame(content["figures"]),
        "gaps": frame(flat, Gap),
        "detectable": frame(noticed),
        "findings": frame([row for verdict in verdicts for row in verdict["findings"]], Finding),
        "too_few": frame(too_few, TooFew),
        "differences": frame(content["differences"]),
        "against_rest": frame(content["against_rest"]),
        "against_reference": frame(content["against_reference"]),
        "checklist": frame(content.get("checklist", [])),
        **_requested(content),
    }


def _requested(content: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Return the tables of curves, equal case mix and subgroups, if there are any."""
    import pandas as pd

    curves = [_build(Along, row) for row in content.get("along", [])]
    mixes = [_build(Adjusted, row) for row in content.get("adjusted", [])]
    tables = {
        "along": [along.table for along in curves],
        "along_tests": [along.tests for along in curves],
        "adjusted": [mix.table for mix in mixes],
        "overlap": [mix.overlap for mix in mixes],
    }
    if (found := content.get("find")) is not None:
        tables["subgroups"] = [pd.DataFrame(found["rows"])]
    return {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items() if parts}


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _build(kind: Any, value: Any) -> Any:
    """Return a JSON value as the type of a hint; null is NaN for a number."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is float:
        return _number(value)
    if dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{key: _build(hints[key], item) for key, item in value.items()})  # pyright: ignore[reportCallIssue]
    if origin is tuple:
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_build(hint, item) for hint, item in zip(kinds, value, strict=True))
    if origin is np.ndarray:
        return np.array([_number(item) for item in value])
    if _is_mapping(origin):
        return {key: _build(inner[1], item) for key, item in value.items()}
    return value
