"""Image ids as text, matched between tables, with what did not match and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from equiderm.columns import (
    parse_types,
    read_numbers,
    read_types,
    require_column,
    without_zeros,
)
from equiderm.errors import InputError
from equiderm.files import FOREIGN_ENDINGS, IMAGE_ENDINGS
from equiderm.tables import ID_COLUMNS, columns_by_name

if TYPE_CHECKING:
    import pandas as pd

# The readers of columns moved to equiderm.columns; their names stay here for one version.
__all__ = [
    "ID_COLUMNS",
    "Matching",
    "as_ids",
    "check_unique",
    "common_key",
    "find_id_column",
    "find_ids",
    "find_rows",
    "first_few",
    "id_columns",
    "join_columns",
    "match_rows",
    "match_tables",
    "numbered_notes",
    "parse_types",
    "read_numbers",
    "read_types",
    "require_column",
    "some",
    "stem",
    "unmatched_notes",
]

_ENDING = re.compile(
    r"\.(?:" + "|".join(sorted(e[1:] for e in IMAGE_ENDINGS | FOREIGN_ENDINGS)) + ")$",
    re.IGNORECASE,
)
_ENCLOSING = "\"'(){}[],"
_NUMBERED = 10  # rows from which ids 0, 1, 2, ... in their order are no coincidence
_ENOUGH = 0.5  # share of the shorter table from which two columns are taken to name the same images


@dataclass(frozen=True)
class Matching:
    """Which rows of two tables are the same photograph, and which matched nothing.

    Attributes:
        left: Row positions in the left table, shape (n,), ascending.
        right: The matching row positions in the right table, shape (n,).
        left_only: Ids of the left table that the right one lacks.
        right_only: Ids of the right table that the left one lacks.
        left_empty: Rows of the left table without an id.
        right_empty: Rows of the right table without an id.
        doubles: Ids in several rows of the right table that the left table lacks.
        numbered: Whether the ids of both tables are the numbers of their rows.
    """

    left: NDArray[np.intp]
    right: NDArray[np.intp]
    left_only: tuple[str, ...]
    right_only: tuple[str, ...]
    left_empty: int = 0
    right_empty: int = 0
    doubles: tuple[str, ...] = ()
    numbered: bool = False


def first_few(items: Sequence[object]) -> str:
    """Return up to three of the items as text, for a message."""
    shown = ", ".join(str(item) for item in items[:3])
    return f"{shown}, ..." if len(items) > 3 else shown


some = first_few  # the former name, kept for one version


def find_rows(
    row_of: Mapping[str, int], image_ids: Iterable[object], where: str, advice: str
) -> NDArray[np.int64]:
    """Return the row of each image, shape (n,).

    Args:
        row_of: The row of each image id.
        image_ids: The images to find.
        where: What holds the rows, for the message: "the features".
        advice: What to do about an image that is not there.

    Raises:
        InputError: An image that is not there.
    """
    ids = [str(name) for name in image_ids]
    absent = [name for name in ids if name not in row_of]
    if absent:
        raise InputError(
            f"{len(absent):,} of {len(ids):,} images are not in {where} ({first_few(absent)}); "
            f"{advice}."
        )
    return np.array([row_of[name] for name in ids], np.int64)


def id_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns of a table that name its images, the likeliest first."""
    named = columns_by_name(frame)
    return [named[name] for name in ID_COLUMNS if name in named]


def find_id_column(frame: pd.DataFrame, wanted: str | None, where: str) -> str:
    """Return the column that names the images: the one wanted, or else the likeliest there is.

    Raises:
        InputError: No such column; the message lists the names that are known.
    """
    if wanted is not None:
        require_column(frame, wanted, where)
        return wanted
    columns = id_columns(frame)
    if not columns:
        known = ", ".join(ID_COLUMNS)
        raise InputError(
            f'{where}: no column names the image ({known}); say which, as in `id_column="image"`.'
        )
    return columns[0]


def find_ids(frame: pd.DataFrame, column: str | None, where: str) -> pd.Series:
    """Return the image ids as text, missing where the cell is empty; ``NA`` is a name.

    Args:
        frame: A table, best from `read_table`, which keeps ids as they are written.
        column: The column of ids, or None for the likeliest of `ID_COLUMNS`.
        where: What to call the table in a message.

    Raises:
        InputError: No such column, or no row has an id.
    """
    column = find_id_column(frame, column, where)
    ids = as_ids(frame[column])
    if len(ids) and ids.isna().all():
        raise InputError(f"{where}: column '{column}' names no image; fill it in.")
    return ids


def as_ids(column: pd.Series) -> pd.Series:
    """Return the cells of a column as ids: text without blanks about it, missing where empty."""
    import pandas as pd

    if pd.api.types.is_float_dtype(column):
        known = column.dropna()
        if (known == known.round()).all() and (known.abs() < 2**53).all():
            column = column.astype("Int64")  # whole numbers that a missing cell made floats
    ids = column.astype("string").str.strip()
    return ids.mask(ids == "")


def person_ids(column: pd.Series) -> pd.Series:
    """Return ids of people in one form: "7" for " 7.0", letters in Unicode's form NFC."""
    return without_zeros(as_ids(column).str.normalize("NFC"))


def stem(ids: pd.Series) -> pd.Series:
    """Return ids without folders and the ending of an image file, in Unicode's form NFC."""
    names = (
        ids.str.normalize("NFC").str.replace("\\", "/", regex=False).str.rsplit("/", n=1).str[-1]
    )
    return names.str.replace(_ENDING, "", regex=True)


def place_ids(files: pd.Series) -> pd.Series:
    """Return the paths of files as ids: without ending where that leaves them different."""
    plain = files.str.replace(r"(?<=[^/])\.[^./]+$", "", regex=True)
    return plain.mask(plain.duplicated(keep=False), files)


def name_ids(files: pd.Series) -> pd.Series:
    """Return the names of files as ids; those that several have with their folders."""
    names = files.str.rsplit("/", n=1).str[-1].str.replace(r"(?<=.)\.[^.]+$", "", regex=True)
    return names.mask(names.duplicated(keep=False), place_ids(files))


def _plain(ids: pd.Series) -> pd.Series:
    """Return stems as a spreadsheet writes numbers: without leading zeros, without ``.0``."""
    return stem(ids).str.replace(r"^0*(\d+?)(?:\.0)?$", r"\1", regex=True)


def _loose(ids: pd.Series) -> pd.Series:
    """Return plain stems in lower case, compatible letters made equal, without what encloses them.

    That is what programs put about a name: ``="x"``, ``{x}``, ``('x',)``, ``b'x'``, ``x?key=1``.
    """
    bare = ids.str.normalize("NFKC").str.replace(r"^(.+://[^?#]*)[?#].*$", r"\1", regex=True)
    bare = bare.str.replace(r"^[=b](?=['\"])", "", regex=True).str.strip(_ENCLOSING)
    return _plain(bare.map(unquote, na_action="ignore")).str.strip(_ENCLOSING).str.casefold()


def _in_folder(ids: pd.Series) -> pd.Series:
    """Return stems with the name of the folder that they are in."""
    folders = ids.str.replace("\\", "/", regex=False).str.rsplit("/", n=2).str[-2]
    return folders.astype("string").fillna("").str.normalize("NFC") + "/" + stem(ids)


# How ids are compared, the strictest way first: as written, by stem, as plain numbers, loosely.
_Key: TypeAlias = "Callable[[pd.Series], pd.Series]"
_KEYS: tuple[_Key, ...] = (lambda ids: ids, stem, _plain, _loose)


def common_key(left: pd.Series, right: pd.Series) -> _Key:
    """Return the function of ids by which most of ``left`` match, the strictest of equals.

    The ids as written, their stems, plain numbers, or without regard to capitals.
    """
    return max(_KEYS, key=lambda key: _matches(key(left), key(right)))


def _matches(left: pd.Series, right: pd.Series) -> int:
    return int(left.isin(set(right.dropna())).sum())


def _is_repeated(key: _Key, left: pd.Series, right: pd.Series) -> bool:
    """Return whether an id in both is in several rows of the right one, or no id is in both."""
    ids = key(right).dropna()
    ids = ids[ids.isin(set(key(left).dropna()))]
    return ids.empty or bool(ids.duplicated().any())


def check_unique(ids: pd.Series, where: str) -> None:
    """Raise InputError if an id is in more than one row; rows without an id do not count."""
    ids = ids.dropna()
    twice = list(dict.fromkeys(ids[ids.duplicated()]))
    if twice:
        raise InputError(
            f"{where}: {len(twice)} image {'id is' if len(twice) == 1 else 'ids are'} in more than "
            f"one row ({first_few(twice)}); keep one row per image."
        )


def match_rows(
    left: pd.Series,
    right: pd.Series,
    names: tuple[str, str],
    *,
    repeats: bool = False,
    key: _Key | None = None,
) -> Matching:
    """Match ids as they are written, or by `common_key` where that matches more of them.

    Args:
        left: Ids of the left table, from `find_ids`.
        right: Ids of the right table.
        names: What to call the two tables in a message.
        repeats: Whether an image may be in several rows of the left table.
        key: A function applied to the ids first; None: `common_key`.

    Raises:
        InputError: An id that both tables have is twice in one of them (in the left one unless
            ``repeats``), or no id is in both.
    """
    import pandas as pd

    key = key or common_key(left, right)
    left, right = left.astype("string"), right.astype("string")
    numbered = _number_rows(left) and _number_rows(right)
    repeated = key is not _KEYS[0] and _is_repeated(key, left, right)
    if repeated and not _is_repeated(_in_folder, left, right):
        key = _in_folder  # pictures of one name in several folders
    left, right = key(left), key(right)
    shared = set(left.dropna()) & set(right.dropna())
    if not shared:
        raise InputError(
            f"none of the {len(left)} image ids of {names[0]} ({first_few(left.dropna().tolist())})"
            f" is among the {len(right)} of {names[1]} ({first_few(right.dropna().tolist())}); "
            "check that both name the same images, or name the column that does."
        )
    if not repeats:
        check_unique(left[left.isin(shared)], names[0])
    check_unique(right[right.isin(shared)], names[1])
    first = right[right.notna() & ~right.duplicated()]
    there = np.flatnonzero((right.notna() & ~right.duplicated()).to_numpy(bool))
    place = pd.Index(first).get_indexer(pd.Index(left.fillna("\0")))
    matched = place >= 0
    others = right[right.notna() & ~right.isin(shared)]
    return Matching(
        np.flatnonzero(matched),
        there[place[matched]],
        tuple(dict.fromkeys(left[~matched & left.notna().to_numpy(bool)])),
        tuple(dict.fromkeys(others)),
        int(left.isna().sum()),
        int(right.isna().sum()),
        tuple(dict.fromkeys(others[others.duplicated()])),
        numbered,
    )


def _number_rows(ids: pd.Series) -> bool:
    """Return whether ids are those that pandas and spreadsheets give to rows: 0, 1, 2, ..."""
    first = {"0": 0, "1": 1}.get(str(ids.iloc[0])) if len(ids) >= _NUMBERED else None
    if first is None:
        return False
    return ids.fillna("").tolist() == [str(number) for number in range(first, first + len(ids))]


def match_tables(
    left: pd.DataFrame,
    right: pd.DataFrame,
    names: tuple[str, str],
    *,
    columns: tuple[str | None, str | None] = (None, None),
    repeats: bool = False,
) -> Matching:
    """Match the rows of two tables by the columns that name their images.

    Where no column is named and a table has several (a manifest has ``image_id`` and ``path``), the
    first pair of columns is used by which half of the shorter table matches, ids as written before
    their stems; if there is none, the pair that matches most.

    Args:
        left: A table.
        right: Another table, one row per image.
        names: What to call the two in a message.
        columns: The column of ids in each table; None finds it.
        repeats: Whether an image may be in several rows of the left table.

    Raises:
        InputError: No such column, or as `match_rows` does.
    """
    best, most = None, -1
    for key in _KEYS:
        for a in _candidates(left, columns[0]):
            for b in _candidates(right, columns[1]):
                pair = find_ids(left, a, names[0]), find_ids(right, b, names[1])
                matched = _matches(key(pair[0]), key(pair[1]))
                if matched > most:
                    best, most = (*pair, key), matched
                if matched >= _ENOUGH * min(len(left), len(right)):
                    return match_rows(*pair, names, repeats=repeats, key=key)
    assert best is not None
    return match_rows(*best[:2], names, repeats=repeats, key=best[2])


def _candidates(frame: pd.DataFrame, wanted: str | None) -> Sequence[str | None]:
    if wanted is not None:
        return [wanted]
    return [name for name in id_columns(frame) if not frame[name].isna().all()] or [None]


def join_columns(
    frame: pd.DataFrame,
    table: pd.DataFrame,
    columns: Sequence[str],
    names: tuple[str, str],
) -> tuple[pd.DataFrame, Matching]:
    """Return a table with columns of another about the same images, and how they matched.

    An image may be in several rows of ``frame``; one that ``table`` lacks gets empty cells.

    Args:
        frame: The table to add to; columns of these names are replaced.
        table: The table with the columns, one row per image.
        columns: What to add.
        names: What to call the two tables in a message.

    Raises:
        InputError: As `match_tables`.
    """
    rows = match_tables(frame, table, names, repeats=True)
    place = np.full(len(frame), -1, dtype=np.intp)
    place[rows.left] = rows.right
    added = {
        name: table[name].reset_index(drop=True).reindex(place).set_axis(frame.index)
        for name in columns
    }
    return frame.drop(columns=[name for name in columns if name in frame]).assign(**added), rows


def numbered_notes(rows: Matching, names: tuple[str, str]) -> list[str]:
    """Return a sentence if two tables were matched by what may be no more than row numbers."""
    if not rows.numbered:
        return []
    return [
        f"The image ids of {names[0]} and {names[1]} are the numbers of their rows; if these do "
        "not name images, name the column that does."
    ]


def unmatched_notes(rows: Matching, names: tuple[str, str]) -> list[str]:
    """Return a sentence for each reason why rows of the two tables matched nothing."""
    notes = [
        f"{len(ids):,} images of {name} are not in {other} ({first_few(ids)})."
        for ids, name, other in (
            (rows.left_only, names[0], names[1]),
            (rows.right_only, names[1], names[0]),
        )
        if ids
    ]
    notes += [
        f"{count:,} rows of {name} have no image id and match nothing."
        for count, name in ((rows.left_empty, names[0]), (rows.right_empty, names[1]))
        if count
    ]
    notes += numbered_notes(rows, names)
    if rows.doubles:
        notes.append(
            f"{len(rows.doubles):,} of the images that are only in {names[1]} are there in more "
            f"than one row ({first_few(rows.doubles)})."
        )
    return notes
