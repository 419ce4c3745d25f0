"""Tables as Parquet: one file, or a folder of them."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.errors import InputError
from equiderm.files import write_whole
from equiderm.tables.content import read_bytes
from equiderm.tables.names import is_among, parquet_files
from equiderm.tables.separated import typed

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PART_ROWS = 100_000  # of a table that is a folder
_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"  # what programs call the folder of empty cells


def arrow_table(frame: pd.DataFrame, path: Path) -> pa.Table:
    """Return a frame as Arrow holds it, without its labels of rows; ``path`` is for the error."""
    import pyarrow as pa

    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        reason = "; ".join(error.args) if isinstance(error, pa.ArrowException) else error
        raise InputError(
            f"{path}: Parquet cannot hold this table ({reason}); give each column cells "
            "of one type, or write it as .csv or .jsonl."
        ) from error


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write one Parquet file."""
    import pyarrow.parquet as pq

    pq.write_table(table, path)


def parts_of(table: pa.Table) -> list[pa.Table]:
    """Return a table cut into the files of a folder; an empty one is one part."""
    return [table.slice(start, PART_ROWS) for start in range(0, max(len(table), 1), PART_ROWS)]


def write_parts(parts: Sequence[pa.Table], path: Path) -> None:
    """Write a folder of Parquet files, whole or not at all; names tell how many there are.

    Args:
        parts: Tables of the same columns, in order.
        path: The folder; its earlier files are replaced.
    """
    with write_whole(path, folder=True) as folder:
        for number, part in enumerate(parts):
            write_parquet(part, folder / f"part-{number:05d}-of-{len(parts):05d}.parquet")


def read_parquet(raw: bytes, path: Path) -> pd.DataFrame:
    """Return the table of a Parquet file's bytes."""
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


def read_parquet_folder(path: Path, names: Collection[str], *, as_text: bool) -> pd.DataFrame:
    """Return a folder of Parquet files as one table, partitions as columns.

    Args:
        path: The folder.
        names: Partitions that are text whatever they hold, in lower case.
        as_text: Whether all partitions are text.
    """
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
        parts.append(read_parquet(read_bytes(file), file).assign(**named | missing))
    frame = pd.concat(parts, ignore_index=True)
    for key in partitions:
        column = frame[key].astype("string")
        frame[key] = (
            column if as_text or is_among(key, names) else typed(column.astype(object), ".")
        )
    return frame
