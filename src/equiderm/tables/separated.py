"""Tables as text with separators (CSV, TSV)."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiderm.errors import InputError, reason_of
from equiderm.tables.json_lines import as_json
from equiderm.tables.names import EXACT, MISSING_WORDS, is_among, table_ending

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_TRUTHS = {
    "True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False,
}  # fmt: skip
_WHOLE, _INTEGER = r"^-?[0-9]+$", r"^-?(0|[1-9][0-9]{0,17})$"
_INFINITE = "^-?[iI]nf$"  # as pandas and R write it
_NUMBER = rf"^-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|{_INFINITE}"

# A name is quoted where it holds what separates columns elsewhere, or begins as JSON or a web page.
_NAME_TO_QUOTE = re.compile(r'[,;\t|"\r\n]|^[\[{<%$\ufeff]|^\s*$')
_QUOTED_NAME = r'(?:^|(?<=[,;\t|]))"[^"]*(?:""[^"]*)*"'
_HEADER = re.compile(rf"(?:{_QUOTED_NAME}|[^\n])*")

# A spreadsheet runs a cell that begins with one of these; a quote before it makes it text.
_RISKY = r"[=+\-@\x00-\x1f\x7f]"
_TO_QUOTE = re.compile(f"'*{_RISKY}")
_QUOTED = f"^'+{_RISKY}"
_PLAIN_NUMBERS = re.compile(  # or one with its interval
    r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?( [+-]?[0-9.]+([eE][+-]?[0-9]+)?)*"
    r"( \([+-]?[0-9.]+ to [+-]?[0-9.]+\))?"
)


def as_separated(frame: pd.DataFrame, ending: str) -> str:
    """Return a table as CSV, or as TSV where that is the ending."""
    import pandas as pd

    separator = "\t" if ending == ".tsv" else ","
    header = separator.join(_name_cell(_quote(str(name))) for name in frame.columns)
    flat, returns = frame.copy(), False
    for place in range(flat.shape[1]):
        column: Any = frame.iloc[:, place]
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
            continue
        cells: Any = pd.Series(
            [_quote(_flatten_cell(cell)) for cell in column], flat.index, dtype=object
        )
        returns = returns or any(isinstance(cell, str) and "\r" in cell for cell in cells)
        flat.isetitem(place, cells)
    # Python's writer quotes a cell with \r only where \r ends a line
    end = "\r\n" if returns else "\n"
    return f"{header}{end}" + flat.to_csv(
        index=False, header=False, sep=separator, lineterminator=end, quoting=csv.QUOTE_MINIMAL
    )


def _name_cell(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""')) if _NAME_TO_QUOTE.search(name) else name


def _quote(cell: Any) -> Any:
    if not isinstance(cell, str) or not _TO_QUOTE.match(cell) or _PLAIN_NUMBERS.fullmatch(cell):
        return cell
    return f"'{cell}"


def _flatten_cell(cell: Any) -> Any:
    if isinstance(cell, bytes):
        return cell.decode(errors="backslashreplace")
    if isinstance(cell, Mapping):
        return as_json(cell)
    if isinstance(cell, str) or not hasattr(cell, "__iter__"):
        return cell
    return " ".join(map(str, cell))


def read_separated(
    content: str, path: Path, *, as_text: bool, names: Collection[str]
) -> pd.DataFrame:
    """Return the table of a text with separators.

    Args:
        content: The text.
        path: For its ending, and for errors.
        as_text: Whether all columns are text.
        names: Columns that are text whatever they hold, in lower case.
    """
    import pandas as pd

    content = content.lstrip("\r\n")
    named = re.match(r"sep=([,;\t|])\r?\n", content, re.IGNORECASE)  # as Excel reads it
    content = content[named.end() :] if named else content
    line = _HEADER.match(content)
    header = line[0] if line else ""
    if not header.strip() or "\0" in content:
        raise InputError(
            f"{path}: holds no table; a CSV with a header line or Parquet is expected."
        )
    separator = named[1] if named else _likeliest_separator(header, path)
    _check_end(content, separator, path)
    frame = _parse(content, separator, path)
    decimal = "," if separator == ";" else "."
    columns: list[pd.Series] = []
    for place, name in enumerate(frame.columns):
        column: pd.Series = frame.iloc[:, place]
        if "'" in content:
            column = _unquote(column)
        if as_text:
            column = column.astype("string")
        elif not is_among(name, names):
            column = typed(column, decimal)
        columns.append(column)
    return pd.concat(columns, axis=1) if columns else frame


def _likeliest_separator(header: str, path: Path) -> str:
    """Return what is most often between the names of a header, or else what the ending says."""
    known = "\t,;|" if table_ending(path) == ".tsv" else ",;\t|"
    return max(known, key=re.sub(_QUOTED_NAME, "", header).count)


def _check_end(content: str, separator: str, path: Path) -> None:
    """Raise InputError where a copy was cut off: in a last line that has no end and fewer cells."""
    *_, before, last = ["", *content.rsplit("\n", 2)]
    if last and '"' not in before + last and last.count(separator) < before.count(separator):
        raise InputError(
            f"{path}: its last line has no end and fewer cells than the line before it, so the "
            "file seems cut off; copy it again, or complete that line."
        )


def _parse(content: str, separator: str, path: Path) -> pd.DataFrame:
    """Return all cells as text, an empty one missing."""
    import numpy as np
    import pandas as pd

    options: dict[str, Any] = {
        "sep": separator, "dtype": str, "keep_default_na": False, "na_values": [""],
    }  # fmt: skip
    try:
        frame = pd.read_csv(io.StringIO(content), **options)
    except (ValueError, pd.errors.ParserError, csv.Error) as error:
        raise InputError(
            f"{path}: cannot be read as a table ({reason_of(error, line=-1)}); check that line."
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):  # more cells than names: pandas shifts them
        names = list(frame.columns)
        frame = frame.reset_index()
        if not frame.iloc[:, len(names) :].isna().all(axis=None):
            raise InputError(
                f"{path}: rows have more cells than the header ({', '.join(names)[:60]}); name "
                "every column in the first line."
            )
        frame = frame.iloc[:, : len(names)].set_axis(names, axis=1)
    frame.columns = _told_apart(_unquote_name(str(name).strip()) for name in frame.columns)
    filled = frame.notna().any(axis=1).to_numpy()
    if len(frame) and not filled[-1]:  # a spreadsheet's empty lines at the end
        frame = frame.iloc[: int(np.flatnonzero(filled)[-1]) + 1 if filled.any() else 0]
    return frame


def _told_apart(names: Iterable[str]) -> list[str]:
    """Return names of which equal ones end in .1, .2 ... as pandas reads them."""
    apart: dict[str, None] = {}
    for name in names:
        ends = (f"{name}.{number}" if number else name for number in itertools.count())
        apart[next(one for one in ends if one not in apart)] = None
    return list(apart)


def _unquote_name(name: str) -> str:
    return name[1:] if re.match(_QUOTED, name) else name


def _unquote(column: pd.Series) -> pd.Series:
    """Return text without the quote that `write_table` puts before what a spreadsheet would run."""
    quoted = column.str.match(_QUOTED, na=False).astype(bool)
    return column.mask(quoted, column.str[1:]) if quoted.any() else column


def typed(column: pd.Series, decimal: str) -> pd.Series:
    """Return numbers or booleans if all cells are such and nothing is lost, else the text."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute  # its functions are made at run time, unknown to a type checker
    cells = pa.array(column, pa.string(), from_pandas=True)
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    cells = pc.utf8_trim_whitespace(cells)
    if decimal == ",":
        cells = pc.replace_substring(cells, ",", ".")
    known = pc.invert(pc.is_in(cells, pa.array([*MISSING_WORDS, None], pa.string())))
    values = cells.filter(known)
    if not len(values):
        return column if cells.null_count < len(cells) else column.astype("float64")
    numbers = _numbers(values, gaps=len(values) < len(cells))
    if numbers is not None:
        whole = pd.Series(float("nan"), index=column.index, name=column.name)
        there = known.to_numpy(zero_copy_only=False)
        if there.all():
            return pd.Series(numbers, index=column.index, name=column.name)
        whole[there] = numbers
        return whole
    if pc.all(pc.is_in(values, pa.array(list(_TRUTHS)))).as_py():
        truths = cells.to_pandas().map(_TRUTHS)
        truths = truths.astype(bool) if len(values) == len(cells) else truths.astype(object)
        return truths.set_axis(column.index).rename(column.name)
    return column


def _numbers(values: pa.Array, *, gaps: bool) -> Any:
    """Return an array of whole or of float numbers, or None where a cell is neither or is lost.

    Args:
        values: Text.
        gaps: Whether the column has missing cells, and hence can hold floats alone.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    values = pc.utf8_ltrim(values, "+")
    is_whole = pc.match_substring_regex(values, _WHOLE)
    whole, others = values.filter(is_whole), values.filter(pc.invert(is_whole))
    if not _all_match(whole, _INTEGER):
        return None  # whole numbers of more than 18 digits are names
    integers = pc.cast(whole, pa.int64()).to_numpy()
    if len(whole) == len(values) and not gaps:
        return integers
    if (np.abs(integers) > EXACT).any() or not _all_match(others, _NUMBER):
        return None
    numbers = pc.cast(values, pa.float64()).to_numpy()
    infinite = np.isinf(numbers)
    is_named = pc.match_substring_regex(values, _INFINITE).to_numpy(zero_copy_only=False)
    return None if infinite.all() or (infinite != is_named).any() else numbers


def _all_match(values: pa.Array, pattern: str) -> bool:
    import pyarrow.compute

    pc: Any = pyarrow.compute
    return pc.all(pc.match_substring_regex(values, pattern), min_count=0).as_py()
