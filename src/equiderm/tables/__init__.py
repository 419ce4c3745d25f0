"""Tables in and out: any common form is read; Parquet, CSV, TSV and JSON lines are written."""

from __future__ import annotations

import gzip
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.errors import InputError
from equiderm.files import AnyPath, write_whole
from equiderm.tables.content import check_no_foreign_file, decoded, read_bytes, unpacked, utf8
from equiderm.tables.json_lines import as_json_lines, json_rows, read_json_lines
from equiderm.tables.names import (
    ID_COLUMNS,
    LINES_ENDINGS,
    MISSING_WORDS,
    check_table_path,
    columns_by_name,
    is_parquet_folder,
    is_table,
    is_written_as_folder,
    parquet_files,
    table_ending,
    text_columns,
)
from equiderm.tables.parquet import (
    arrow_table,
    parts_of,
    read_parquet,
    read_parquet_folder,
    write_parquet,
    write_parts,
)
from equiderm.tables.separated import as_separated, read_separated

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ID_COLUMNS",
    "MISSING_WORDS",
    "check_table_path",
    "columns_by_name",
    "is_parquet_folder",
    "is_table",
    "is_written_as_folder",
    "parquet_files",
    "parse_table",
    "parts_of",
    "read_bytes",
    "read_table",
    "table_ending",
    "write_parts",
    "write_table",
]


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
        write_parts(parts_of(arrow_table(frame, path)), path)
        return
    ending = table_ending(path) or ".csv"
    with write_whole(path) as temporary:
        if ending == ".parquet":
            write_parquet(arrow_table(frame, path), temporary)
            return
        text = as_json_lines(frame) if ending == ".jsonl" else as_separated(frame, ending)
        if "\0" in text:
            raise InputError(
                f"{path}: its text holds a null character, which {ending[1:].upper()} "
                "cannot hold; write the table as .parquet or .jsonl."
            )
        body, packed = utf8(text), path.suffix.lower() == ".gz"
        temporary.write_bytes(gzip.compress(body, mtime=0) if packed else body)


def _check_names(frame: pd.DataFrame, path: Path) -> None:
    twice = frame.columns[frame.columns.map(str).duplicated()]
    if len(twice):
        raise InputError(
            f"{path}: cannot be written with several columns '{twice[0]}'; rename all but one."
        )


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
        frame = read_parquet_folder(path, text_columns(text), as_text=as_text)
    else:
        frame = parse_table(read_bytes(path), path, as_text=as_text, text=text)
    return frame.mask(frame.isin(list(missing))) if missing else frame


def parse_table(
    raw: bytes, path: Path, *, as_text: bool = False, text: Collection[str] = ()
) -> pd.DataFrame:
    """Return the table of a file's bytes as `read_table` does; ``path`` is for its ending."""
    raw = unpacked(raw, path)
    if raw[:4] == b"PAR1":
        return read_parquet(raw, path)
    check_no_foreign_file(raw, path)
    content = decoded(raw, path)
    if table_ending(path) in LINES_ENDINGS:
        return read_json_lines(content, path)
    first = content.lstrip()[:1]
    lines = json_rows(content) if first in ("{", "[") else ""
    if lines or first == "{":
        return read_json_lines(lines or content, path)
    return read_separated(content, path, as_text=as_text, names=text_columns(text))
