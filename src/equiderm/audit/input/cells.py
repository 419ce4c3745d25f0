"""How the cells of a column are read: targets, scores, weights and names, or one clear sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.groupings import as_text
from equiderm.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LIKE_POSITIVE = ("malignant", "melanoma", "mel", "positive", "pos", "yes", "cancer", "m", "y")
_NO_NUMBER = ("", "na", "n/a", "nan", "null", "none", "<na>")  # as R, pandas and others write it
_DECIMAL_COMMA = r"^\s*(-?[0-9]*),([0-9]+(?:[eE][-+]?[0-9]+)?)\s*$"


@dataclass(frozen=True)
class Reading:
    """How the cells of a table are read.

    Attributes:
        positive: Names of the classes that count as positive; empty where the target is 0 and 1.
        missing: Texts that mean "not known" in target, group and patient columns.
        cut: For a column of numbers, the edges of the bands that it is cut into.
        logits: Whether the scores are log-odds.
        percent: Whether the scores are per cent, 0 to 100.
        drop_missing: Leave rows without target or score out, and count them.
        average_views: Average the scores of the rows that share an image id.
        min_rows: Smallest intersection of groups that is shown.
    """

    positive: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    cut: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    logits: bool = False
    percent: bool = False
    drop_missing: bool = False
    average_views: bool = False
    min_rows: int = 30


def as_texts(values: str | Sequence[str]) -> tuple[str, ...]:
    """Return one text, or several, as a tuple; a comma in one text separates several."""
    given = values.split(",") if isinstance(values, str) else values
    return tuple(as_text(value) for value in given)


def parse_cuts(
    cuts: str | Sequence[str] | Mapping[str, Sequence[float]],
) -> dict[str, tuple[float, ...]]:
    """Return the edges of each column that is cut into bands.

    Raises:
        InputError: A text that is not a column and its edges.

    Example:
        >>> parse_cuts("age=40,60")
        {'age': (40.0, 60.0)}
    """
    if isinstance(cuts, Mapping):
        return {str(column): tuple(map(float, edges)) for column, edges in cuts.items()}
    parsed: dict[str, tuple[float, ...]] = {}
    for text in [cuts] if isinstance(cuts, str) else cuts:
        column, _, edges = text.rpartition("=")
        try:
            parsed[column.strip()] = tuple(float(edge) for edge in edges.split(","))
        except ValueError as error:
            raise InputError(
                f"'{text}' is no column and its edges; write for example `cut=\"age=40,60\"`."
            ) from error
    return parsed


def fill(column: Any, missing: Sequence[str] = ()) -> Any:
    """Return the cells as text, None where one is empty or means "not known"."""
    import pandas as pd

    codes, values = column.factorize()
    texts = [as_text(value) for value in values]
    kept = [None if text == "" or text in missing else text for text in texts]
    cells = np.array([*kept, None], dtype=object)[codes]
    return pd.Series(cells, index=column.index, name=column.name, dtype=object)


def _numbers(column: Any) -> NDArray[np.float64]:
    """Return a column as numbers, NaN where the cell is empty and inf where it holds text."""
    import pandas as pd

    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiu":
        return column.to_numpy(dtype=float, copy=True)  # without a text of every cell
    written = column.astype("string").str.strip().str.lower()
    empty = (written.isna() | written.isin(_NO_NUMBER)).to_numpy(bool)
    coerced: Any = pd.to_numeric(column, errors="coerce")
    text = pd.api.types.is_string_dtype(column.dtype)
    if text and (coerced.isna().to_numpy(bool) & ~empty).any():
        pointed = column.astype("string").str.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)
        coerced = pd.to_numeric(pointed, errors="coerce")
    numbers = coerced.to_numpy(dtype=float, na_value=np.nan, copy=True)
    numbers[np.isnan(numbers) & ~empty] = np.inf
    return numbers


def read_numbers(column: Any, missing: Sequence[str], name: str) -> NDArray[np.float64]:
    """Return a column of numbers, NaN where a cell is empty or not known, shape (n,).

    Raises:
        InputError: A cell is no finite number.
    """
    numbers = _numbers(fill(column, missing).astype("string"))
    wrong = np.flatnonzero(np.isinf(numbers))
    if len(wrong):
        value = as_text(column.iloc[int(wrong[0])])
        raise InputError(
            f"{name}: '{value}' in column '{column.name}', row {wrong[0] + 1}, is no number; a "
            f'curve needs a column of numbers (if it means not known: `missing="{value}"`).'
        )
    if np.isnan(numbers).all():
        raise InputError(f"{name}: column '{column.name}' is empty; a curve needs numbers.")
    return numbers


def read_targets(column: Any, reading: Reading, name: str) -> NDArray[np.float64]:
    """Return 1 where positive, 0 where negative, NaN where not known; shape (n,)."""
    column = fill(column, reading.missing)
    known = column.notna().to_numpy(bool)
    if reading.positive:
        for one in reading.positive:
            if not (column == one).any():
                raise InputError(
                    f"{name}: column '{column.name}' never says '{one}'; it says {_said(column)}."
                )
        return np.where(known, column.isin(reading.positive).to_numpy(float), np.nan)
    words = {"true": "1", "True": "1", "TRUE": "1", "false": "0", "False": "0", "FALSE": "0"}
    numbers = _numbers(column.replace(words))
    wrong = np.flatnonzero(known & (numbers != 0) & (numbers != 1))
    if len(wrong):
        value = as_text(column.iloc[int(wrong[0])])
        words = list(column.value_counts().index[::-1])  # the rarest first
        likely = next((word for word in words if str(word).lower() in _LIKE_POSITIVE), words[0])
        remedy = f'name what is positive, as in `positive="{likely}"` (it says {_said(column)})'
        if column.nunique() > 20 or _all_numbers(column):
            remedy = (
                "write 1 for a positive image and 0 for a negative one, or name what is positive "
                f'(`positive="{value}"`)'
            )
        raise InputError(
            f"{name}: '{value}' in column '{column.name}', row {wrong[0] + 1}, is not 0 or 1; "
            f"{remedy}."
        )
    return numbers


def _all_numbers(column: Any) -> bool:
    """Return whether every cell of a column is a number or empty."""
    return bool(np.isfinite(_numbers(column)[column.notna().to_numpy(bool)]).all())


def _said(column: Any) -> str:
    values = [f"'{as_text(value)}'" for value in column.dropna().unique()[:8]]
    more = ", ..." if column.nunique() > 8 else ""
    return ", ".join(values) + more


def read_scores(frame: Any, columns: list[Any], reading: Reading, name: str) -> NDArray[np.float64]:
    """Return the summed score columns, in [0, 1] or as log-odds, shape (n,); NaN where empty."""
    total = np.zeros(len(frame))
    for column in columns:
        cells = _unsigned(frame[column]) if reading.percent else frame[column]
        numbers = _numbers(cells)
        wrong = np.flatnonzero(np.isinf(numbers))
        if len(wrong):
            value = frame[column].iloc[int(wrong[0])]
            if str(value).strip().endswith("%"):
                raise InputError(
                    f"{name}: '{value}' in column '{column}', row {wrong[0] + 1}, is per cent; say "
                    "so with `percent=True`."
                )
            raise InputError(
                f"{name}: '{value}' in column '{column}', row {wrong[0] + 1}, is not a finite "
                "number; mend or remove that row."
            )
        total += numbers
    if reading.logits:
        return total
    if reading.percent:
        total = total / 100
    total = np.where((total > 1) & (total < 1 + 1e-6), 1.0, total)  # a sum's rounding
    wrong = np.flatnonzero((total < 0) | (total > 1))
    if len(wrong):
        seen = total * (100 if reading.percent else 1)
        like_percent = np.nanmin(total) >= 0 and 2 < np.nanmax(total) <= 100
        hint = "if these are log-odds, say so with `logits=True`"
        if reading.percent:
            hint = "a score in per cent lies in 0 to 100"
        elif like_percent:
            hint = "per cent? Say so with `percent=True` (log-odds: `logits=True`)"
        raise InputError(
            f"{name}: the score {seen[wrong[0]]:g} in column '{joined(columns)}', row "
            f"{wrong[0] + 1}, is outside 0 to {100 if reading.percent else 1}; {hint}."
        )
    return total


def _unsigned(column: Any) -> Any:
    """Return a column of text without the per cent signs at the end of its cells."""
    import pandas as pd

    if not (pd.api.types.is_string_dtype(column.dtype) or column.dtype == object):
        return column
    return column.astype("string").str.replace(r"\s*%\s*$", "", regex=True)


def joined(columns: Sequence[Any]) -> str:
    """Return the names of summed columns as one: "mel + bcc"."""
    return " + ".join(str(column) for column in columns)


def read_weights(column: Any, name: str) -> NDArray[np.float64]:
    """Return a column of sampling weights, shape (n,).

    Raises:
        InputError: A weight is no finite number or negative, or all are 0.
    """
    numbers = _numbers(column)
    wrong = np.flatnonzero(~np.isfinite(numbers) | (numbers < 0))
    if len(wrong):
        cell = as_text(column.iloc[int(wrong[0])]) if not np.isnan(numbers[wrong[0]]) else ""
        raise InputError(
            f"{name}: the weight '{cell}' in column '{column.name}', row {wrong[0] + 1}, is not a "
            "finite number of 0 or above; mend it, or give 0 to leave the row out."
        )
    if not (numbers > 0).any():
        raise InputError(
            f"{name}: every weight in column '{column.name}' is 0; give weights above 0 to the "
            "rows that count."
        )
    return numbers


def to_probability(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of log-odds, in the same order and with the same ties.

    Where neighbouring log-odds round to one probability (from 37 on all are 1), each is moved to
    the next smaller number, so that no rank is lost; the change is below 1e-9 for a million rows.
    """
    levels, place = np.unique(np.maximum(logits, -700.0), return_inverse=True)
    odds = np.exp(-np.abs(levels))
    probability = np.where(levels >= 0, 1 / (1 + odds), odds / (1 + odds))
    steps = np.arange(len(levels))
    bits = probability.view(np.int64) - steps  # the bits of positive numbers order as they do
    bits = np.minimum.accumulate(bits[::-1])[::-1] + steps
    return bits.view(np.float64)[place.reshape(-1)]
