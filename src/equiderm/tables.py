"""Tables in and out: any common form is read; Parquet, CSV, TSV and JSON lines are written."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import json
import os
import re
import sys
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiderm.errors import InputError, reason_of
from equiderm.files import STANDARD, AnyPath, cannot_write, is_stream, write_whole
from equiderm.remote import files_below, name_of, read_url, url_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_OUTPUT_ENDINGS = (".parquet", ".csv", ".tsv", ".jsonl")
_LINES_ENDINGS = (".jsonl", ".ndjson")
_ENDINGS = (*_OUTPUT_ENDINGS, ".ndjson")
# Columns that name the image, the likeliest first: they are text, whatever their cells look like.
ID_COLUMNS = (
    "image", "image_id", "isic_id", "image_name", "img_id", "md5hash", "path", "image_path",
    "file", "filename", "file_name", "filepath", "file_path", "id",
)  # fmt: skip
_NAME_COLUMNS = frozenset((*ID_COLUMNS, "patient_id", "lesion_id"))

# What a column of numbers may hold where a number is missing, as R, pandas and spreadsheets write.
# In a column of text the same words are names: NA is a region, None a split.
MISSING_WORDS = frozenset(
    ("", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None", "<NA>",
     "#N/A", "#NA", "#N/A N/A", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN")
)  # fmt: skip
_TRUTHS = {
    "True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False,
}  # fmt: skip
_WHOLE, _INTEGER = r"^-?[0-9]+$", r"^-?(0|[1-9][0-9]{0,17})$"
_INFINITE = "^-?[iI]nf$"  # as pandas and R write it
_NUMBER = rf"^-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|{_INFINITE}"
_EXACT = 2**53  # beyond, not every whole number is a float64

# A name is quoted where it holds what separates columns elsewhere, or begins as JSON or a web page.
_NAME_TO_QUOTE = re.compile(r'[,;\t|"\r\n]|^[\[{<%$\ufeff]|^\s*$')
_QUOTED_NAME = r'(?:^|(?<=[,;\t|]))"[^"]*(?:""[^"]*)*"'
_HEADER = re.compile(rf"(?:{_QUOTED_NAME}|[^\n])*")
_JSON_INFINITY = "1e999"  # JSON has no word for it; a number that is too large is read as it

_FOREIGN_FILES = {  # the first bytes of files that are mistaken for a table
    b"PK\x03\x04": "an Excel file or a zip archive", b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"$FL2": "an SPSS file", b"<stata_dta>": "a Stata file", b"%PDF": "a PDF",
    b"<!doctype": "a web page", b"<html": "a web page", b"<table": "a web page", b"<?xml": "XML",
    b"BZh": "packed with bzip2", b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd", b"ARROW1": "an Arrow (Feather) file",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file", b"SQLite format 3": "a database",
}  # fmt: skip

PART_ROWS = 100_000  # of a table that is a folder
_PART = re.compile(r"part-[0-9]{5}-of-([0-9]{5})\.parquet")
_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"  # what programs call the folder of empty cells
_UNPACKED, _UNPACKED_RATIO = 100_000_000, 200  # bytes of a packed table; beyond, times its size

# A spreadsheet runs a cell that begins with one of these; a quote before it makes it text.
_RISKY = r"[=+\-@\x00-\x1f\x7f]"
_TO_QUOTE = re.compile(f"'*{_RISKY}")
_QUOTED = f"^'+{_RISKY}"
_PLAIN_NUMBERS = re.compile(  # or one with its interval
    r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?( [+-]?[0-9.]+([eE][+-]?[0-9]+)?)*"
    r"( \([+-]?[0-9.]+ to [+-]?[0-9.]+\))?"
)


def table_ending(path: Path) -> str | None:
    """Return the ending of a table's format, also ``.csv`` for ``t.csv.gz``; None for others."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in _ENDINGS else None


def is_table(path: Path) -> bool:
    """Return whether a name is that of a table: by its ending, or as a folder of Parquet files."""
    if _is_folder(path):
        return is_parquet_folder(path)
    return table_ending(path) is not None or is_parquet_folder(path)


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 of a name that is too long this is false


def is_written_as_folder(path: Path) -> bool:
    """Return whether a table of this name is written as a folder of Parquet files.

    That is a name without an ending, and a folder whose name ends in .parquet.
    """
    if url_of(path) is not None:
        return not path.suffix
    if is_stream(path):
        return False
    return not path.suffix or (path.suffix.lower() == ".parquet" and _is_folder(path))


def check_table_path(path: Path) -> None:
    """Raise InputError unless `write_table` can write there.

    That is a stream, a file of a known ending, or a folder that is to be made or that holds a table
    of `write_table` alone.
    """
    if is_written_as_folder(path):
        _check_table_folder(path)
        return
    if table_ending(path) in _OUTPUT_ENDINGS or is_stream(path):
        return
    known = ", ".join(_OUTPUT_ENDINGS)
    raise InputError(
        f"{path}: a table's name must end in one of {known}, or have no ending, which "
        "makes it a folder of Parquet files; rename the output."
    )


def _check_table_folder(path: Path) -> None:
    name, url = name_of(path), url_of(path)
    try:
        if url is None and path.is_file():
            raise InputError(
                f"{name}: is a file, and a table without an ending is a folder; choose another "
                "name."
            )
        if url is not None:
            there = [Path(one) for one in files_below(url)]
        else:
            there = list(path.iterdir()) if path.exists() else []
    except OSError as error:
        raise InputError(cannot_write(path, error)) from error
    others = [one for one in there if not _PART.fullmatch(one.name) or one.parent != path]
    if others:
        raise InputError(
            f"{name}: is a folder that holds something else than a table's parts "
            f"({others[0].name}); choose another name, such as {name}.parquet."
        )


def write_table(frame: pd.DataFrame, path: AnyPath) -> None:
    """Write a table as Parquet, CSV, TSV or JSON lines, whole or not at all.

    The ending of ``path`` decides; without one it is a folder of Parquet files. ``.gz`` after an
    ending of text packs it; ``-``, a device and a FIFO get CSV. List-valued cells stay lists in
    Parquet and JSON and become space-separated text in CSV and TSV. There, text that a spreadsheet
    would run (it begins with ``= + - @`` or a control character, and is not a number) gets a quote
    ``'`` before it, which `read_table` removes. Every number is written with all its digits.

    Raises:
        InputError: Nothing can be written there, two columns have one name, or the format cannot
            hold a column.
    """
    path = Path(path)
    check_table_path(path)
    _check_names(frame, path)
    if is_written_as_folder(path):
        write_parts(parts_of(_arrow(frame, path)), path)
        return
    ending = table_ending(path) or ".csv"
    with write_whole(path) as temporary:
        if ending == ".parquet":
            import pyarrow.parquet as pq

            pq.write_table(_arrow(frame, path), temporary)
            return
        text = _json_lines(frame) if ending == ".jsonl" else _separated(frame, ending)
        if "\0" in text:
            raise InputError(
                f"{path}: its text holds a null character, which {ending[1:].upper()} "
                "cannot hold; write the table as .parquet or .jsonl."
            )
        body, packed = _utf8(text), path.suffix.lower() == ".gz"
        temporary.write_bytes(gzip.compress(body, mtime=0) if packed else body)


def _check_names(frame: pd.DataFrame, path: Path) -> None:
    twice = frame.columns[frame.columns.map(str).duplicated()]
    if len(twice):
        raise InputError(
            f"{path}: cannot be written with several columns '{twice[0]}'; rename all but one."
        )


def _arrow(frame: pd.DataFrame, path: Path) -> pa.Table:
    import pyarrow as pa

    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        reason = "; ".join(error.args) if isinstance(error, pa.ArrowException) else error
        raise InputError(
            f"{path}: Parquet cannot hold this table ({reason}); give each column cells "
            "of one type, or write it as .csv or .jsonl."
        ) from error


def parts_of(table: pa.Table) -> list[pa.Table]:
    """Return a table cut into the files of a folder; an empty one is one part."""
    return [table.slice(start, PART_ROWS) for start in range(0, max(len(table), 1), PART_ROWS)]


def write_parts(parts: Sequence[pa.Table], path: Path) -> None:
    """Write a folder of Parquet files, whole or not at all; names tell how many there are.

    Args:
        parts: Tables of the same columns, in order.
        path: The folder; its earlier files are replaced.
    """
    import pyarrow.parquet as pq

    with write_whole(path, folder=True) as folder:
        for number, part in enumerate(parts):
            pq.write_table(part, folder / f"part-{number:05d}-of-{len(parts):05d}.parquet")


def _separated(frame: pd.DataFrame, ending: str) -> str:
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


def _utf8(text: str) -> bytes:
    """Return text as UTF-8; what a name that is not UTF-8 holds is escaped."""
    return text.encode("utf-8", "backslashreplace")


def _quote(cell: Any) -> Any:
    if not isinstance(cell, str) or not _TO_QUOTE.match(cell) or _PLAIN_NUMBERS.fullmatch(cell):
        return cell
    return f"'{cell}"


def _flatten_cell(cell: Any) -> Any:
    if isinstance(cell, bytes):
        return cell.decode(errors="backslashreplace")
    if isinstance(cell, Mapping):
        return _json(cell)
    if isinstance(cell, str) or not hasattr(cell, "__iter__"):
        return cell
    return " ".join(map(str, cell))


def _json_lines(frame: pd.DataFrame) -> str:
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    pieces: list[Any] = []
    for place, name in enumerate(frame.columns):
        start = f"{',' if place else '{'}{_json(str(name))}:"
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
        return pa.array(map(_json, column.tolist()), pa.large_string())
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


def _json(cell: Any) -> str:
    """Return a cell as JSON; what JSON does not know is text, and a time is ISO 8601."""
    if isinstance(cell, str):
        return _json_text(cell if cell.isascii() else _utf8(cell).decode())
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
        return f"{{{','.join(f'{_json(str(key))}:{_json(cell[key])}' for key in cell)}}}"
    if hasattr(cell, "__iter__"):
        return f"[{','.join(map(_json, cell))}]"
    if pd.isna(cell):
        return "null"
    return _json_text(cell.isoformat() if hasattr(cell, "isoformat") else str(cell))


def read_table(
    path: AnyPath,
    *,
    as_text: bool = False,
    text: Collection[str] = (),
    missing: Collection[str] = (),
) -> pd.DataFrame:
    """Return a table from Parquet, CSV, TSV or JSON lines, whatever its encoding or separator.

    Parquet and gzip are recognised by their first bytes, JSON lines by their ending or first brace;
    JSON as pandas writes it in any form is read, too (labels of rows that are no numbers are the
    column ``image`` if no other names it), ``-`` is standard input, and a URL is read with fsspec.
    A folder of Parquet files (`is_parquet_folder`) is one table; the partitions in the names of its
    folders, such as ``split=test``, are columns.
    Text is read as UTF-8 (with or without a byte order mark), UTF-16, or else Windows-1252; the
    separator (comma, semicolon, tab, bar) is the most frequent in the header line, outside of
    quotes, or the one that a first line ``sep=;`` names. With semicolons, a decimal comma is
    understood. Empty lines at the end are not rows.

    Only an empty cell is missing; NA and None are names. A column of CSV becomes numbers only if
    that loses nothing: each cell is a plain number without leading zeros, ``inf`` beside others, or
    a word for a missing number. Columns of names (`ID_COLUMNS`, patients, lesions) are always text.

    Args:
        path: The file, or ``-``.
        as_text: Keep every cell of a CSV or TSV as text. Parquet and JSON have their own types and
            keep them.
        text: Further columns to keep as text.
        missing: Words that mean an empty cell in this table, such as `MISSING_WORDS`.

    Raises:
        InputError: No such file, not a table, or a table without a header.
    """
    path = Path(path)
    if is_parquet_folder(path):
        frame = _read_parquet_folder(path, _text_columns(text), as_text=as_text)
    else:
        frame = parse_table(read_bytes(path), path, as_text=as_text, text=text)
    return frame.mask(frame.isin(list(missing))) if missing else frame


def parse_table(
    raw: bytes, path: Path, *, as_text: bool = False, text: Collection[str] = ()
) -> pd.DataFrame:
    """Return the table of a file's bytes as `read_table` does; ``path`` is for its ending."""
    raw = _unpack(raw, path)
    if raw[:4] == b"PAR1":
        return _read_parquet(raw, path)
    start = raw[:20].lstrip().lower()
    for first, what in _FOREIGN_FILES.items():
        if start.startswith(first.lower()):
            raise InputError(f"{path}: is {what}, not a table; save it as CSV.")
    content = _decode(raw, path)
    if table_ending(path) in _LINES_ENDINGS:
        return _read_json_lines(content, path)
    first = content.lstrip()[:1]
    lines = _json_rows(content) if first in ("{", "[") else ""
    if lines or first == "{":
        return _read_json_lines(lines or content, path)
    return _read_separated(content, path, as_text=as_text, names=_text_columns(text))


def _text_columns(text: Collection[str]) -> frozenset[str]:
    return _NAME_COLUMNS.union(name.strip().lower() for name in text)


def _is_among(name: str, names: Collection[str]) -> bool:
    """Return whether a column's name, whatever its capitals, is among names in lower case."""
    return name.strip().lower() in names


def columns_by_name(table: pd.DataFrame) -> dict[str, str]:
    """Return columns by name, lower-cased and stripped; the first of those that become equal."""
    return {str(column).strip().lower(): column for column in reversed(table.columns)}


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file, of standard input where it is ``-``, or of a URL.

    Raises:
        InputError: A folder, no such file, or no permission to read it.
    """
    if path == STANDARD:
        return sys.stdin.buffer.read()
    url = url_of(path)
    if url is None and _is_folder(path):
        raise InputError(f"{path}: is a folder; give a table (CSV or Parquet).")
    try:
        return path.read_bytes() if url is None else read_url(url)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason}); check the name.") from error


def _unpack(raw: bytes, path: Path) -> bytes:
    if raw[:2] != b"\x1f\x8b":
        return raw
    most = max(_UNPACKED, _UNPACKED_RATIO * len(raw))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            body = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: a damaged gzip file ({error}); write it again.") from error
    if len(body) > most:
        raise InputError(
            f"{path}: unpacks to more than {_UNPACKED_RATIO} times its size, which no table does "
            "(a decompression bomb?); unpack it yourself if it is one."
        )
    return body


def _read_parquet(raw: bytes, path: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(raw))
        table.validate(full=True)  # text that is not UTF-8 would crash later
        frame: pd.DataFrame = table.to_pandas()
    except Exception as error:
        raise InputError(f"{path}: a damaged Parquet file; write it again.") from error
    # pandas writes the row labels, too, such as those that a filter left; pandas would align two
    # tables by them.
    if named := [name for name in frame.index.names if name is not None and name not in frame]:
        frame = frame.reset_index(named)
    return frame.reset_index(drop=True)


def is_parquet_folder(path: AnyPath) -> bool:
    """Return whether a folder is a table: Parquet files, and folders named as ``column=value``.

    What begins with a dot or an underscore, as the notes of programs that write such tables, does
    not count. A URL without an ending is listed, unless it is a web server's.
    """
    path = Path(path)
    try:
        if url := url_of(path):
            if path.suffix or url.startswith("http"):
                return False
            seen = [one for one in map(Path, files_below(url)) if not _is_note(one, path)]
            return bool(seen) and all(
                one.suffix.lower() == ".parquet"
                and all("=" in name for name in one.relative_to(path).parts[:-1])
                for one in seen
            )
        seen = [one for one in path.iterdir() if one.name[0] not in "._"]
    except (OSError, ValueError):  # a name may hold a null byte
        return False
    return bool(seen) and all(
        "=" in one.name if one.is_dir() else one.suffix.lower() == ".parquet" for one in seen
    )


def parquet_files(folder: Path) -> list[Path]:
    """Return the files of a folder that is a table, in the order in which they are read.

    Raises:
        InputError: Of the parts that `write_table` has written, some are missing.
    """
    url = url_of(folder)
    there = map(Path, files_below(url)) if url else filter(Path.is_file, folder.rglob("*"))
    files = sorted(
        one for one in there if one.suffix.lower() == ".parquet" and not _is_note(one, folder)
    )
    counts = [int(match[1]) for one in files if (match := _PART.fullmatch(one.name))]
    if counts and {len(counts)} != set(counts):
        wanted = " or of ".join(map(str, sorted(set(counts))))
        raise InputError(
            f"{folder}: holds {len(counts)} files of a table of {wanted}; writing or "
            "copying it was cut short: do it again."
        )
    return files


def _is_note(file: Path, folder: Path) -> bool:
    return any(part[0] in "._" for part in file.relative_to(folder).parts)


def _read_parquet_folder(path: Path, names: Collection[str], *, as_text: bool) -> pd.DataFrame:
    from urllib.parse import unquote

    import pandas as pd

    files = parquet_files(path)
    if not files:
        raise InputError(f"{path}: holds no Parquet file; give a table (CSV or Parquet).")
    parts: list[pd.DataFrame] = []
    partitions: set[str] = set()
    for file in files:
        folders = [name.partition("=") for name in file.relative_to(path).parts[:-1]]
        named = {key: unquote(value) for key, _, value in folders}
        partitions.update(named)
        missing = {key: None for key, value in named.items() if value == _NO_PARTITION}
        parts.append(_read_parquet(read_bytes(file), file).assign(**named | missing))
    frame = pd.concat(parts, ignore_index=True)
    for key in partitions:
        column = frame[key].astype("string")
        frame[key] = (
            column if as_text or _is_among(key, names) else _typed(column.astype(object), ".")
        )
    return frame


def _decode(raw: bytes, path: Path) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    for order, blank in (("utf-16-le", raw[1:8:2]), ("utf-16-be", raw[:8:2])):
        if len(raw) >= 8 and not any(blank):
            return raw.decode(order, errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in raw:
            raise InputError(
                f"{path}: is not text, hence no table that can be read; save it as CSV or Parquet."
            ) from error
        # A valid letter of several bytes tells a damaged UTF-8 file from Windows-1252
        if re.search(rb"[\xc3-\xf4][\x80-\xbf]{1,3}", raw):
            line = raw.count(b"\n", 0, error.start) + 1
            raise InputError(
                f"{path}: line {line} holds a byte that is not UTF-8, although other lines are; "
                "save the table again as UTF-8."
            ) from error
    return raw.decode("cp1252", errors="replace")


def _json_rows(content: str) -> str:
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


def _read_json_lines(content: str, path: Path) -> pd.DataFrame:
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
    of_columns = dict if table_ending(path) in _LINES_ENDINGS else (dict, list)
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
        elif column.dtype == "float64" and (column.abs() >= _EXACT).any():
            cells = [row.get(name) for row in rows]
            if any(isinstance(cell, int) and abs(cell) > _EXACT for cell in cells):
                frame[name] = pd.Series(cells, dtype=object)
    return frame


def _read_separated(
    content: str, path: Path, *, as_text: bool, names: Collection[str]
) -> pd.DataFrame:
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
    frame = _parse(content, separator, path)
    decimal = "," if separator == ";" else "."
    columns: list[pd.Series] = []
    for place, name in enumerate(frame.columns):
        column: pd.Series = frame.iloc[:, place]
        if "'" in content:
            column = _unquote(column)
        if as_text:
            column = column.astype("string")
        elif not _is_among(name, names):
            column = _typed(column, decimal)
        columns.append(column)
    return pd.concat(columns, axis=1) if columns else frame


def _likeliest_separator(header: str, path: Path) -> str:
    """Return what is most often between the names of a header, or else what the ending says."""
    known = "\t,;|" if table_ending(path) == ".tsv" else ",;\t|"
    return max(known, key=re.sub(_QUOTED_NAME, "", header).count)


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


def _typed(column: pd.Series, decimal: str) -> pd.Series:
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
    if (np.abs(integers) > _EXACT).any() or not _all_match(others, _NUMBER):
        return None
    numbers = pc.cast(values, pa.float64()).to_numpy()
    infinite = np.isinf(numbers)
    is_named = pc.match_substring_regex(values, _INFINITE).to_numpy(zero_copy_only=False)
    return None if infinite.all() or (infinite != is_named).any() else numbers


def _all_match(values: pa.Array, pattern: str) -> bool:
    import pyarrow.compute

    pc: Any = pyarrow.compute
    return pc.all(pc.match_substring_regex(values, pattern), min_count=0).as_py()
