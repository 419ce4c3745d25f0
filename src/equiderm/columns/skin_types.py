"""Skin types as people write them: numbers, Roman numerals, ranges, codes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from equiderm.columns.cells import DASH, UNKNOWN_WORDS, short, with_points
from equiderm.errors import InputError
from equiderm.tables import MISSING_WORDS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "X": 10}
_TYPE_WORDS = re.compile(
    r"^(?:(?:fitzpatrick|photo|skin|photo-?types?|types?|tones?|bands?|scale|between|foto-?tipo|"
    r"tipo|hauttyp|typ|fst|spt|fp|f|monk|mst)[\s_:.-]*)+",
    re.IGNORECASE,
)
_CODED = re.compile(r"([0-9]{1,2})\s*[.:=)]\s*([^0-9\s].*)")  # "3. Type III", as Stata writes
_DECIMAL = re.compile(r"[0-9]{1,2},[05]0*")  # a type as a number with a decimal comma
_MONTHS = "jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]"
_RANGE = rf"{DASH}|/|\bTO\b|\bTHROUGH\b|\bBIS\b"
_BETWEEN_TYPES = re.compile(rf"\s*(?:{_RANGE}|_|,|;|\||\+|&|\bOR\b|\bAND\b)\s*")


def parse_types(text: str) -> tuple[int, ...]:
    """Return the types of a scale written as ``LIGHTEST-DARKEST``, such as ``1-6`` or ``1-10``.

    Example:
        >>> parse_types("1-6")
        (1, 2, 3, 4, 5, 6)
    """
    first, _, last = text.partition("-")
    if not (re.fullmatch("[0-9]{1,3}-[0-9]{1,3}", text) and 1 <= int(last) - int(first) <= 19):
        raise InputError(f"types {text}: write the first and the last type, as in 1-6 or 1-10.")
    return tuple(range(int(first), int(last) + 1))


def read_types(
    column: pd.Series,
    types: Sequence[int],
    where: str,
    *,
    bands: Mapping[str, int] | None = None,
) -> NDArray[np.float64]:
    """Return types as numbers, shape (n,); NaN where the cell is empty or says that it is unknown.

    Understands whole numbers, Roman numerals, words before them (``Type III``, ``FST 3``) and,
    where ``bands`` maps them, the names of a scheme.

    Raises:
        InputError: A cell holds something else, several types, or a type outside the scale.
    """
    sets = read_type_sets(column, types, where, bands=bands)
    counts = sets.sum(axis=1)
    if (counts > 1).any():
        row = int(np.flatnonzero(counts > 1)[0])
        raise InputError(
            f"{where}: column '{column.name}' holds {short(column.iloc[row])} in line {row + 2}, "
            "which is several types where one is needed; ranges are understood in the column of "
            "judged types only."
        )
    return np.where(counts == 1, np.asarray(types, dtype=float)[sets.argmax(axis=1)], np.nan)


def read_type_sets(
    column: pd.Series,
    types: Sequence[int],
    where: str,
    *,
    bands: Mapping[str, int] | None = None,
) -> NDArray[np.bool_]:
    """Return which types each cell allows, shape (n, k); none where it is empty or unknown.

    Unknown is what `UNKNOWN_WORDS` holds, such as -1. A judgement may be a range. Besides what
    `read_types` understands: ``III-IV``, ``3-4``, ``3/4``, ``3 to 4``, ``3 or 5`` (these two),
    ``3.5`` (3 and 4; also ``3,5`` where no comma can mean two judgements), a code before its label
    (``3. Type III``), and the groups ``12``, ``34``, ``56`` where the scale has no such number;
    where all cells are such, ``3/6`` (3 of 6) and the letters A to J of Monk's ten. A remark in
    brackets and a question mark are ignored.

    Args:
        column: Judged types as people write them.
        types: The scale, lightest first, length k.
        where: What to call the table in a message.
        bands: Names that count as a type.

    Raises:
        InputError: A cell holds something else or a type outside the scale.
    """
    import pandas as pd

    text = column.astype("string").str.strip().fillna("")
    codes, cells = pd.factorize(text)
    commas = [str(cell) for cell in cells if re.fullmatch("[0-9]+,[0-9]+", cell)]
    if all(map(_DECIMAL.fullmatch, commas)):  # else "3,4" is what two people judged
        cells = with_points(pd.Series(cells, dtype="string"))
    cells = _of_scale(pd.Series(cells, dtype="string"), types)
    known = {str(cell): types_of_cell(str(cell), types, bands or {}) for cell in cells}
    wrong = np.array([known[str(cell)] is None for cell in cells], dtype=bool)
    if wrong.any():
        rows = np.flatnonzero(wrong[codes])
        first = text.iloc[rows[0]]
        advice = "correct them or choose other types"
        if re.search(
            rf"[0-9]{{4}}-[0-9]|[0-9][-. ]+({_MONTHS})|^({_MONTHS})[a-z.]* [0-9]", first, re.I
        ):
            advice = "spreadsheets turn ranges such as 3-4 into dates: format the column as text"
        raise InputError(
            f"{where}: {len(rows)} cells of column '{column.name}' are not types of the scale "
            f"{types[0]}-{types[-1]}, the first {short(first)} in line {rows[0] + 2}; {advice}."
        )
    place = {kind: position for position, kind in enumerate(types)}
    allowed = np.zeros((len(cells), len(types)), dtype=np.bool_)
    for number, cell in enumerate(cells):
        for kind in known[str(cell)] or ():
            allowed[number, place[kind]] = True
    return allowed[codes]


def _of_scale(cells: pd.Series, types: Sequence[int]) -> pd.Series:
    """Return cells that all say "3/6", for 3 of 6, or all a letter of Monk's A to J, as numbers."""
    given = cells[~cells.str.casefold().isin([*UNKNOWN_WORDS, ""])]
    of = given.str.extract(rf"^\s*([0-9]{{1,2}})\s*/\s*{types[-1]}\s*$")[0]
    if of.notna().all() and (of.astype("float64") < types[-1] - 1).any():
        return cells.str.replace(r"\s*/.*", "", regex=True)
    letters = given.str.extract(r"(?i)^(?:monk|mst)?[\s_-]*([A-J])$")[0].str.upper()
    if len(types) == 10 and letters.notna().all() and (letters != "I").any():
        numbers = {letter: str(number) for letter, number in zip("ABCDEFGHIJ", types, strict=True)}
        return cells.mask(letters.reindex(cells.index).notna(), letters.map(numbers))
    return cells


def types_of_cell(
    cell: str, types: Sequence[int], bands: Mapping[str, int]
) -> tuple[int, ...] | None:
    """Return the types that a cell means, empty where it is missing; None for anything else.

    Args:
        cell: What people wrote; see `read_type_sets`.
        types: The scale, lightest first.
        bands: Names that count as a type.
    """
    if cell in bands:
        return (bands[cell],)
    cell = unicodedata.normalize("NFKC", cell.replace("½", ".5")).strip()
    if cell in MISSING_WORDS or cell.removesuffix(".0").casefold() in UNKNOWN_WORDS:
        return ()
    if coded := _CODED.fullmatch(cell):
        code, label = (types_of_cell(part, types, bands) for part in coded.groups())
        return label if not label or label == code else None
    if remark := re.fullmatch(r"(.*[^\s(])\s*\(([^()]*)\)", cell):
        outside, inside = (types_of_cell(part, types, bands) for part in remark.groups())
        return outside if not inside or inside == outside else None
    cell = re.sub(r"[][(){}'\"?]", " ", cell).strip().rstrip(".")
    bare = _TYPE_WORDS.sub("", cell).strip().upper()
    if not cell or bare.casefold() in UNKNOWN_WORDS:  # "(?)", "type unknown"
        return ()
    single = _one_type(bare)
    if single is not None:
        wanted = _from_number(single, types)
    else:
        ends = [_one_type(_TYPE_WORDS.sub("", part).strip()) for part in _BETWEEN_TYPES.split(bare)]
        if len(ends) < 2 or any(end is None or end % 1 for end in ends):
            return None
        numbers = [int(end) for end in ends if end is not None]
        between = re.search(_RANGE, bare) is not None and len(numbers) == 2
        wanted = tuple(range(min(numbers), max(numbers) + 1)) if between else tuple(numbers)
    return wanted if wanted and set(wanted) <= set(types) else None


def _one_type(text: str) -> float | None:
    if text in ROMAN:
        return float(ROMAN[text])
    return float(text) if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", text) else None


def _from_number(number: float, types: Sequence[int]) -> tuple[int, ...]:
    if number % 1:  # between two types: it may be either
        return (int(number), int(number) + 1)
    tens, ones = divmod(int(number), 10)
    if int(number) not in types and ones == tens + 1:  # DDI's 12, 34 and 56
        return (tens, ones)
    return (int(number),)


def skin_type(values: pd.Series) -> pd.Series:
    """Return Fitzpatrick types 1 to 6, ``Int64``; null where a cell is no type or several."""
    cells = with_points(values.astype("string"))
    kinds = {cell: types_of_cell(cell, range(1, 7), {}) or () for cell in cells.dropna().unique()}
    one = {cell: types[0] for cell, types in kinds.items() if len(types) == 1}
    return cells.map(one).astype("Int64")
