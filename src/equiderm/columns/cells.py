"""What a cell of any column says: a number, a truth, a word for "not known"; and its column."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from equiderm.errors import InputError
from equiderm.tables import MISSING_WORDS, columns_by_name

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

DASH = "[-\u2010-\u2015\u2212]"
_DECIMAL_COMMA = r"^\s*([-+]?[0-9]*),([0-9]+(?:[eE][-+]?[0-9]+)?)\s*$"
# What people write where something is not known, besides `MISSING_WORDS`; in lower case.
UNKNOWN_WORDS = frozenset(
    ("-1", "-9", "-99", "-999", "-9999", "99", "999", "9999", "unknown", "unk", "not known",
     "unclear", "nan", "na", "n.a.", "n/a", "#n/a", "none", "null", "missing", "not available",
     "not recorded", "not assessed", "not specified", "not reported", "not applicable", "not sure",
     "unsure", "don't know", "i don't know", "prefer not to say", "prefer not to answer",
     "declined", "none identified", "none_identified", "n.d.", "nr", "unbekannt", "keine angabe",
     "k.a.", "<missing>", "<undefined>", "undefined", "(blank)", "(null)",
     "ungradable", "?", "??", "-", "--", "\u2013", "\u2014", ".")
)  # fmt: skip
_HUGE = 1e9  # a number beyond may stand for a missing one
_TRUTH_WORDS = {
    **dict.fromkeys(("true", "yes", "x", "wahr", "ja", "vrai", "1.0"), "1"),
    **dict.fromkeys(("false", "no", "falsch", "nein", "faux", "0.0"), "0"),
}  # as spreadsheets write TRUE and FALSE


def require_column(frame: pd.DataFrame, name: str, where: str) -> pd.Series:
    """Return a column, or raise InputError with the names of the columns."""
    import pandas as pd

    if name not in frame.columns:
        known = ", ".join(map(str, frame.columns))
        raise InputError(f"{where}: has no column '{name}'; its columns are {known}.")
    column: pd.Series | pd.DataFrame = frame[name]
    if isinstance(column, pd.DataFrame):
        raise InputError(f"{where}: has several columns '{name}'; rename all but one.")
    return column


def read_numbers(frame: pd.DataFrame, name: str, where: str) -> NDArray[np.float64]:
    """Return a column of numbers, shape (n,), NaN where empty or a word for a missing number.

    Raises:
        InputError: A cell is not a finite number.
    """
    import pandas as pd

    column = require_column(frame, name, where)
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(float, na_value=np.nan)
    cells = column.astype("string").str.strip()
    cells = cells.mask(cells.isin(MISSING_WORDS) | cells.isin([".", "-"]))
    cells = with_points(cells)
    numbers = np.asarray(
        pd.to_numeric(cells, errors="coerce").to_numpy(float, na_value=np.nan), dtype=np.float64
    )
    wrong = ~np.isfinite(numbers) & cells.notna().to_numpy(bool)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{where}: column '{name}' holds a cell that is not a number "
            f"({short(cells.iloc[row])} in line {row + 2}); name a column of numbers."
        )
    return numbers


def short(cell: object) -> str:
    """Return a cell in quotes for a message, at most its first 40 characters."""
    text = str(cell)
    return f"'{text}'" if len(text) <= 40 else f"'{text[:40]}...'"


def placeholder(values: NDArray[np.floating]) -> float | None:
    """Return a number that seems to mean "not known": -1, 999, 1e30, far from all others; or None.

    Far is farther than all others lie apart.
    """
    known = values[~np.isnan(values)]
    for number in (known.min(), known.max()) if len(known) else ():
        others = known[known != number]
        like_one = abs(number) >= _HUGE or f"{number:g}" in UNKNOWN_WORDS
        if like_one and len(others) > 1 and np.abs(others - number).min() > np.ptp(others):
            return float(number)
    return None


def plain_spelling(name: str) -> str:
    """Return a name without what is easily overlooked: capitals, blanks, dashes, hidden signs."""
    shown = (c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return re.sub(DASH, "-", " ".join("".join(shown).casefold().split()))


def as_named(table: pd.DataFrame, wanted: Sequence[str]) -> pd.DataFrame:
    """Return the table with the wanted columns so named, whatever their capitals were."""
    known_as = columns_by_name(table)
    return table.rename(
        columns={
            known_as[name.lower()]: name
            for name in wanted
            if name not in table and name.lower() in known_as
        }
    )


def with_columns(table: pd.DataFrame, wanted: Sequence[str]) -> pd.DataFrame:
    """Return the table with each wanted column; those it lacks are text, and null throughout."""
    import pandas as pd

    table = as_named(table, wanted)
    null = pd.Series(pd.NA, index=table.index, dtype="string")
    return table.assign(**{column: null for column in wanted if column not in table})


def one_hot(frame: pd.DataFrame, classes: Sequence[str], title: str) -> pd.Series:
    """Return the one class of each row whose cell is 1; null where all its cells are empty.

    Args:
        frame: The row's name in the first column, and the classes' columns.
        classes: Names of the classes' columns.
        title: What to call the table in messages.

    Raises:
        InputError: A row with no class or several.
    """
    cells = frame[list(classes)]
    empty = cells.isna().all(axis=1)
    chosen = cells.apply(lambda column: number(truths(column), 0, 1)) >= 0.5
    wrong = (chosen.sum(axis=1) != 1) & ~empty
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(
            f"{title}: row {row + 1} ({frame.iloc[row, 0]}) marks "
            f"{int(chosen.iloc[row].sum())} classes instead of one; download the table again."
        )
    return chosen.idxmax(axis=1).astype("string").mask(empty)


def with_points(cells: pd.Series) -> pd.Series:
    """Return text with decimal commas turned into points and minus signs into hyphens."""
    cells = cells.str.replace(r"^\s*\u2212(?=[0-9.,])", "-", regex=True)
    return cells.str.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)


def without_zeros(text: pd.Series) -> pd.Series:
    """Return text in which whole numbers have no ".0", as empty cells give them: 7 for 7.0."""
    return text.str.replace(r"^(-?[0-9]+)\.0+$", r"\1", regex=True)


def number(values: pd.Series, low: float, high: float) -> pd.Series:
    """Return numbers within [low, high]; words such as ``unknown``, and anything else, are null.

    A decimal comma is read as a point.
    """
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(values):
        values = with_points(values.astype("string"))
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return numbers.where((numbers >= low) & (numbers <= high))


def whole(values: pd.Series, low: float, high: float) -> pd.Series:
    """Return whole numbers within [low, high], ``Int64``; anything else is null."""
    numbers = number(values, low, high)
    return numbers.where(numbers % 1 == 0).astype("Int64")


def truths(values: pd.Series) -> pd.Series:
    """Return text with ``1`` and ``0`` for words such as TRUE and FALSE."""
    text = values.astype("string").str.strip()
    words = {word: _TRUTH_WORDS.get(word.casefold(), word) for word in text.dropna().unique()}
    return text.map(words).astype("string")


def known(values: pd.Series) -> pd.Series:
    """Return the text, null where a word says that it is not known."""
    text = values.astype("string")
    return text.mask(text.str.casefold().isin([*UNKNOWN_WORDS, ""]).fillna(False))


def known_ids(values: pd.Series) -> pd.Series:
    """Return ids as text without ``.0``, null where a word, not a number, says "not known"."""
    ids = without_zeros(values.astype("string").str.strip())
    return ids.where(known(ids).notna() | ids.str.isdigit().fillna(False))
