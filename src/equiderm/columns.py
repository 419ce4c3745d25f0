"""Columns as the owners write them, read as the manifest has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from equiderm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def with_columns(table: pd.DataFrame, wanted: Sequence[str]) -> pd.DataFrame:
    """Return the table with each wanted column; those it lacks are text, and null throughout."""
    import pandas as pd

    null = pd.Series(pd.NA, index=table.index, dtype="string")
    return table.assign(**{column: null for column in wanted if column not in table})


def one_hot(frame: pd.DataFrame, classes: Sequence[str], title: str) -> pd.Series:
    """Return the one class of each row whose cell is 1.

    Raises:
        InputError: A row with no class or several.
    """
    import pandas as pd

    chosen = frame[list(classes)].apply(pd.to_numeric, errors="coerce").fillna(0) >= 0.5
    wrong = chosen.sum(axis=1) != 1
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(
            f"{title}: row {row + 1} marks {int(chosen.iloc[row].sum())} classes instead of one; "
            "download the table again."
        )
    return chosen.idxmax(axis=1).astype("string")


def sex(values: pd.Series) -> pd.Series:
    """Return female, male, other or null from the words of the sources."""
    words = {"f": "female", "m": "male", "other": "other"}
    words["other_or_unspecified"] = "other"
    named = values.astype("string").str.lower()
    return named.map(words | {"female": "female", "male": "male"}).astype("string")


def number(values: pd.Series, low: float, high: float) -> pd.Series:
    """Return numbers within [low, high]; words such as ``unknown``, and anything else, are null.

    A decimal comma is read as a point.
    """
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(values):
        values = values.astype("string").str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return numbers.where((numbers >= low) & (numbers <= high))


def known(values: pd.Series) -> pd.Series:
    """Return the text with the words for not known made null."""
    words = ["unknown", "unk", "none", "n/a", ""]
    return values.astype("string").mask(
        values.astype("string").str.lower().isin(words).fillna(False)
    )
