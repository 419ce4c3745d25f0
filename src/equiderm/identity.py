"""Two tables about the same photographs: ids matched, types read, nothing lost in silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from equiderm.errors import InputError

ID_COLUMNS = (
    "image", "image_id", "isic_id", "image_name", "id", "md5hash", "path", "file", "filename",
)  # fmt: skip
_IMAGE_ENDINGS = r"\.(?:jpe?g|png|tiff?|bmp|webp|dcm)$"
_ROMAN = {
    "I": 1,
    "II": 2,
    "III": 3,
    "IV": 4,
    "V": 5,
    "VI": 6,
    "VII": 7,
    "VIII": 8,
    "IX": 9,
    "X": 10,
}


@dataclass(frozen=True)
class Matching:
    """Which rows of two tables are the same photograph.

    Attributes:
        left: Row positions in the left table, shape (n,), ascending.
        right: The matching row positions in the right table, shape (n,).
        left_only: Ids of the left table that the right one lacks.
        right_only: Ids of the right table that the left one lacks.
    """

    left: NDArray[np.intp]
    right: NDArray[np.intp]
    left_only: tuple[str, ...]
    right_only: tuple[str, ...]


def require_column(frame: pd.DataFrame, name: str, where: str) -> pd.Series:
    """Return a column, or raise InputError with the columns that there are."""
    if name not in frame.columns:
        known = ", ".join(map(str, frame.columns))
        raise InputError(f"{where}: has no column '{name}'; its columns are {known}.")
    column = frame[name]
    assert isinstance(column, pd.Series)
    return column


def some(items: Sequence[object]) -> str:
    """Return up to three of the items as text, for a message."""
    shown = ", ".join(str(item) for item in items[:3])
    return f"{shown}, ..." if len(items) > 3 else shown


def find_ids(frame: pd.DataFrame, column: str | None, where: str) -> pd.Series:
    """Return the image ids as text: of the column named, or else of the first that is known.

    Raises:
        InputError: No such column, or a row without an id.
    """
    if column is None:
        column = next((name for name in ID_COLUMNS if name in frame.columns), None)
    if column is None:
        known = ", ".join(ID_COLUMNS)
        raise InputError(f"{where}: no column names the image ({known}); name it with --id-column.")
    ids = require_column(frame, column, where)
    if ids.isna().any():
        row = int(np.flatnonzero(ids.isna().to_numpy())[0]) + 2
        raise InputError(f"{where}: line {row} has no image id in column '{column}'; fill it in.")
    if pd.api.types.is_float_dtype(ids) and (ids == ids.round()).all():
        ids = ids.astype("int64")
    return ids.astype(str).str.strip()


def stem(ids: pd.Series) -> pd.Series:
    """Return ids without folders and without the ending of an image file."""
    names = ids.str.replace("\\", "/", regex=False).str.rsplit("/", n=1).str[-1]
    return names.str.replace(_IMAGE_ENDINGS, "", case=False, regex=True)


def _plain(ids: pd.Series) -> pd.Series:
    """Return stems without the leading zeros that a spreadsheet drops from numbers."""
    return stem(ids).str.replace(r"^0+(?=\d+$)", "", regex=True)


def common_key(left: pd.Series, right: pd.Series) -> Callable[[pd.Series], pd.Series]:
    """Return what to do to ids so that most match: nothing, their stem, or without leading zeros.

    The first of the three that matches the most of ``left``.
    """
    keys: tuple[Callable[[pd.Series], pd.Series], ...] = (lambda ids: ids, stem, _plain)
    return max(keys, key=lambda key: int(key(left).isin(set(key(right))).sum()))


def check_unique(ids: pd.Series, where: str) -> None:
    """Raise InputError if an id stands in more than one row."""
    twice = list(dict.fromkeys(ids[ids.duplicated()]))
    if twice:
        raise InputError(
            f"{where}: {len(twice)} image ids stand in more than one row ({some(twice)}); "
            "keep one row an image."
        )


def match_rows(left: pd.Series, right: pd.Series, names: tuple[str, str]) -> Matching:
    """Match ids as they are written, or by `common_key` where that matches more of them.

    Args:
        left: Ids of the left table, from `find_ids`.
        right: Ids of the right table.
        names: What to call the two tables in a message.

    Raises:
        InputError: An id stands twice in one table, or no id stands in both.
    """
    key = common_key(left, right)
    left, right = key(left), key(right)
    check_unique(left, names[0])
    check_unique(right, names[1])
    position = pd.Index(right).get_indexer(pd.Index(left))
    found = position >= 0
    if not found.any():
        raise InputError(
            f"none of the {len(left)} image ids of {names[0]} ({some(list(left))}) is among the "
            f"{len(right)} of {names[1]} ({some(list(right))}); name the column with --id-column."
        )
    taken = np.zeros(len(right), dtype=bool)
    taken[position[found]] = True
    return Matching(
        np.flatnonzero(found),
        position[found],
        tuple(left[~found]),
        tuple(right[~taken]),
    )


def unmatched_notes(rows: Matching, names: tuple[str, str]) -> list[str]:
    """Return a sentence for each table with ids that the other one lacks."""
    return [
        f"{len(ids):,} images of {name} are not in {other} ({some(ids)})."
        for ids, name, other in (
            (rows.left_only, names[0], names[1]),
            (rows.right_only, names[1], names[0]),
        )
        if ids
    ]


def read_numbers(frame: pd.DataFrame, name: str, where: str) -> NDArray[np.float64]:
    """Return a column of numbers, shape (n,), NaN where empty; InputError where it holds text."""
    try:
        return pd.to_numeric(require_column(frame, name, where)).to_numpy(float, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{where}: column '{name}' holds a cell that is no number ({error}); name a column of "
            "numbers."
        ) from error


def parse_types(text: str) -> tuple[int, ...]:
    """Return the types of a scale written as ``LIGHTEST-DARKEST``, such as ``1-6`` or ``1-10``.

    Example:
        >>> parse_types("1-6")
        (1, 2, 3, 4, 5, 6)
    """
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit() and 1 <= int(last) - int(first) <= 19):
        raise InputError(f"--types {text}: write the first and the last type, as in 1-6 or 1-10.")
    return tuple(range(int(first), int(last) + 1))


def read_types(
    column: pd.Series,
    types: Sequence[int],
    where: str,
    *,
    bands: Mapping[str, int] | None = None,
) -> NDArray[np.float64]:
    """Return types as numbers, shape (n,); NaN where the cell is empty or -1.

    Understands whole numbers, Roman numerals and, where ``bands`` maps them, the names of a scheme.

    Raises:
        InputError: A cell holds something else or a type outside the scale.
    """
    text = column.astype("string").str.strip()
    missing = (column.isna() | text.isin(["", "-1", "-1.0", "nan", "None"])).to_numpy(bool)
    known = {**_ROMAN, **(bands or {}), **{str(kind): kind for kind in types}}
    known |= {f"{kind}.0": kind for kind in types}
    numbers = np.array([known.get(cell, np.nan) for cell in text.fillna("")], dtype=float)
    numbers[missing] = np.nan
    wrong = ~missing & ~np.isin(numbers, list(types))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{where}: {int(wrong.sum())} cells of column '{column.name}' are no type of the scale "
            f"{types[0]}-{types[-1]}, the first '{text.iloc[row]}' in line {row + 2}; mend them or "
            "name another scale with --types."
        )
    return numbers
