"""Tables as JSON lines, and JSON as pandas writes it in any form."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiderm.errors import InputError
from equiderm.tables.content import utf8
from equiderm.tables.names import EXACT, ID_COLUMNS, LINES_ENDINGS, table_ending

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_JSON_INFINITY = "1e999"  # JSON has no word for it; a number that is too large is read as it


def as_json_lines(frame: pd.DataFrame) -> str:
    """Return a table as JSON lines, an object per row."""
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    pieces: list[Any] = []
    for place, name in enumerate(frame.columns):
        start = f"{',' if place else '{'}{as_json(str(name))}:"
        pieces += [pa.scalar(start, pa.large_string()), _json_cells(frame.iloc[:, place])]
    ends = (pa.scalar(end, pa.large_string()) for end in ("}\n", ""))
    return "".join(pc.binary_join_element_wise(*pieces, *ends).to_pylist()) if pieces else ""


def _json_cells(column: pd.Series) -> pa.Array:
    """Return the cells of a column as JSON; each number in the fewest digits that give it back."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    kind = column.dtype.kind
    odd = column.dtype == "float16" or isinstance(column.dtype, pd.SparseDtype)  # to Arrow
    if kind not in "biuf" or odd:
        return pa.array(map(as_json, column.tolist()), pa.large_string())
    cells = pc.cast(pa.array(column, from_pandas=True), pa.large_string())
    if kind == "f":
        cells = pc.replace_substring_regex(cells, "^(-?[0-9]+)$", r"\1.0")  # it stays a float
        cells = pc.replace_substring(cells, "inf", _JSON_INFINITY)
    return pc.fill_null(cells, "null")


def _listed(cell: Any) -> Any:
    """Return what NumPy holds as Python does, but a float32, which would get more digits."""
    dtype = getattr(cell, "dtype", None)
    if dtype is None or (dtype.kind == "f" and dtype != "float64"):
        raise TypeError
    return cell.tolist()


_json_text = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_listed
).encode


def as_json(cell: Any) -> str:
    """Return a cell as JSON; what JSON does not know is text, and a time is ISO 8601."""
    if isinstance(cell, str):
        return _json_text(cell if cell.isascii() else utf8(cell).decode())
    if not isinstance(cell, float):
        with contextlib.suppress(TypeError, ValueError):  # quick, for nearly all
            if (text := _json_text(cell)).isascii():
                return text
    import numpy as np
    import pandas as pd

    if isinstance(cell, float | np.floating):
        text = str(cell).replace("inf", _JSON_INFINITY)
        return "null" if text == "nan" else text
    if isinstance(cell, bytes):
        return _json_text(cell.decode(errors="backslashreplace"))
    if isinstance(cell, Mapping):
        return f"{{{','.join(f'{as_json(str(key))}:{as_json(cell[key])}' for key in cell)}}}"
    if hasattr(cell, "__iter__"):
        return f"[{','.join(map(as_json, cell))}]"
    if pd.isna(cell):
        return "null"
    return _json_text(cell.isoformat() if hasattr(cell, "isoformat") else str(cell))


def json_rows(content: str) -> str:
    """Return one JSON value that is a table, in any form of pandas, as JSON lines; else ""."""
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    if isinstance(rows, dict):
        rows = _rows_of_object(rows)
    return "\n".join(json.dumps(row) for row in rows) if isinstance(rows, list) else ""


def _rows_of_object(table: dict[str, Any]) -> list[Any]:
    columns, data = table.get("columns"), table.get("data")
    if isinstance(columns, list) and isinstance(data, list):  # pandas' "split"
        return [dict(zip(columns, row, strict=False)) for row in data]
    lists = [cells for cells in table.values() if isinstance(cells, list)]
    if len(lists) == 1 and lists[0] and all(isinstance(row, dict) for row in lists[0]):
        return lists[0]  # rows beside remarks, as in pandas' "table"
    if not table or not all(isinstance(cells, dict) for cells in table.values()):
        return [table]
    inner = list(dict.fromkeys(key for cells in table.values() for key in cells))
    long = len(inner) > len(table) and not "".join(table).isdigit()
    if long or "".join(inner).isdigit():  # each value is a column
        table = {key: {name: table[name].get(key) for name in table} for key in inner}
        inner = list(next(iter(table.values())))
    if "".join(table).isdigit() or {key.lower() for key in inner} & set(ID_COLUMNS):
        return list(table.values())
    return [{"image": label, **cells} for label, cells in table.items()]


def read_json_lines(content: str, path: Path) -> pd.DataFrame:
    """Return the table of JSON lines; ``path`` is for its ending, and for errors."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}: line {number} is not JSON ({type(error).__name__}); write one object "
                "per line."
            ) from error
        if not isinstance(row, dict):
            raise InputError(
                f"{path}: line {number} is not a JSON object; write one object per line."
            )
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: holds no table; one JSON object per line is expected.")
    of_columns = dict if table_ending(path) in LINES_ENDINGS else (dict, list)
    try:
        if len(rows) == 1 and all(isinstance(cells, of_columns) for cells in rows[0].values()):
            return pd.DataFrame(rows[0])  # an object of columns, as pandas writes by default
        frame = pd.DataFrame(rows)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); check it.") from error
    for name in frame.columns:
        column = frame[name]
        if column.isna().all():
            frame[name] = column.astype("float64")
        elif column.dtype == "float64" and (column.abs() >= EXACT).any():
            cells = [row.get(name) for row in rows]
            if any(isinstance(cell, int) and abs(cell) > EXACT for cell in cells):
                frame[name] = pd.Series(cells, dtype=object)
    return frame
