"""What the name of a table, or of a column, says of it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.errors import InputError
from equiderm.files import AnyPath, cannot_write, is_stream
from equiderm.remote import files_below, name_of, url_of

if TYPE_CHECKING:
    import pandas as pd

OUTPUT_ENDINGS = (".parquet", ".csv", ".tsv", ".jsonl")
LINES_ENDINGS = (".jsonl", ".ndjson")
_ENDINGS = (*OUTPUT_ENDINGS, ".ndjson")
PART = re.compile(r"part-[0-9]{5}-of-([0-9]{5})\.parquet")

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
EXACT = 2**53  # beyond, not every whole number is a float64


def table_ending(path: Path) -> str | None:
    """Return the ending of a table's format, also ``.csv`` for ``t.csv.gz``; None for others."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in _ENDINGS else None


def is_table(path: Path) -> bool:
    """Return whether a name is that of a table: by its ending, or as a folder of Parquet files."""
    if is_folder(path):
        return is_parquet_folder(path)
    return table_ending(path) is not None or is_parquet_folder(path)


def is_folder(path: Path) -> bool:
    """Return whether there is a folder of this name."""
    return os.path.isdir(path)  # noqa: PTH112 of a name that is too long this is false


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
    counts = [int(match[1]) for one in files if (match := PART.fullmatch(one.name))]
    if counts and {len(counts)} != set(counts):
        wanted = " or of ".join(map(str, sorted(set(counts))))
        raise InputError(
            f"{folder}: holds {len(counts)} files of a table of {wanted}; writing or "
            "copying it was cut short: do it again."
        )
    return files


def _is_note(file: Path, folder: Path) -> bool:
    return any(part[0] in "._" for part in file.relative_to(folder).parts)


def is_written_as_folder(path: Path) -> bool:
    """Return whether a table of this name is written as a folder of Parquet files.

    That is a name without an ending, and a folder whose name ends in .parquet.
    """
    if url_of(path) is not None:
        return not path.suffix
    if is_stream(path):
        return False
    return not path.suffix or (path.suffix.lower() == ".parquet" and is_folder(path))


def check_table_path(path: Path) -> None:
    """Raise InputError unless `write_table` can write there.

    That is a stream, a file of a known ending, or a folder that is to be made or that holds a table
    of `write_table` alone.
    """
    if is_written_as_folder(path):
        _check_table_folder(path)
        return
    if table_ending(path) in OUTPUT_ENDINGS or is_stream(path):
        return
    known = ", ".join(OUTPUT_ENDINGS)
    raise InputError(
        f"{path}: a table's name must end in one of {known}, or have no ending, which "
        "makes it a folder of Parquet files; rename the output."
    )


def _check_table_folder(path: Path) -> None:
    name, url = name_of(path), url_of(path)
    if url is None and Path.cwd().is_relative_to(path.resolve()):
        raise InputError(
            f"{name}: is the folder that you work in, or holds it; give the table a name."
        )
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
    others = [one for one in there if not PART.fullmatch(one.name) or one.parent != path]
    if others:
        raise InputError(
            f"{name}: is a folder that holds something else than a table's parts "
            f"({others[0].name}); choose another name, such as {name}.parquet."
        )


def text_columns(text: Collection[str]) -> frozenset[str]:
    """Return the columns that are text whatever they hold, in lower case: of names, and these."""
    return _NAME_COLUMNS.union(name.strip().lower() for name in text)


def is_among(name: str, names: Collection[str]) -> bool:
    """Return whether a column's name, whatever its capitals, is among names in lower case."""
    return name.strip().lower() in names


def columns_by_name(table: pd.DataFrame) -> dict[str, str]:
    """Return columns by name, lower-cased and stripped; the first of those that become equal."""
    return {str(column).strip().lower(): column for column in reversed(table.columns)}
