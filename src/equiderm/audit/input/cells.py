"""Read the cells of a column: targets, scores, weights and names, or raise an `InputError`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.groupings import as_text
from equiderm.columns import placeholder, plain_spelling, short, with_points
from equiderm.errors import InputError
from equiderm.format import counted
from equiderm.tables import MISSING_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LIKE_POSITIVE = ("malignant", "melanoma", "mel", "positive", "pos", "yes", "cancer", "m", "y")
PREFIXES = ("", "p_", "prob_", "score_", "proba_")  # of a column that is called as its class
NO_NUMBER = frozenset(word.lower() for word in MISSING_WORDS)
_OF_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}([., ']?[0-9]{3})+([.,][0-9]*)?")
_ROUNDING = 1e-6  # of a score or a sum of scores beyond 0 or 1
_TRUTHS = {"true": "1", "True": "1", "TRUE": "1", "false": "0", "False": "0", "FALSE": "0"}


@dataclass(frozen=True)
class Reading:
    """How the cells of a table are read.

    Attributes:
        positive: Names of the classes that count as positive; empty if the target is 0 and 1.
        missing: Texts that mean "not known" in target, score, group and patient columns.
        cut: By column of numbers, the edges of the bands that it is cut into.
        logits: Whether the scores are log-odds.
        percent: Whether the scores are per cent, 0 to 100.
        drop_missing: Leave rows without target or score out, and count them.
        average_views: Average the scores of the rows that share an image id.
        min_rows: Fewest rows of an intersection of groups that is shown.
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
    """Return one or several texts as a tuple; a single text is split at commas."""
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
                f"'{text}' is not a column and its edges; write for example `cut=\"age=40,60\"`."
            ) from error
    return parsed


def fill(column: Any, missing: Sequence[str] = ()) -> Any:
    """Return the cells as text, None where a cell is empty or means "not known"."""
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
        return column.to_numpy(dtype=float, copy=True)  # faster than converting cells to text
    written = column.astype("string").str.strip().str.lower()
    empty = (written.isna() | written.isin(NO_NUMBER)).to_numpy(bool)
    coerced: Any = pd.to_numeric(column, errors="coerce")
    text = pd.api.types.is_string_dtype(column.dtype)
    if text and (coerced.isna().to_numpy(bool) & ~empty).any():
        coerced = pd.to_numeric(with_points(column.astype("string")), errors="coerce")
    numbers = coerced.to_numpy(dtype=float, na_value=np.nan, copy=True)
    numbers[np.isnan(numbers) & ~empty] = np.inf
    return numbers


def numbers_of(column: Any) -> Any:
    """Return a column with texts of numbers as numbers, NaN where empty; other cells unchanged."""
    numbers = _numbers(column)
    return column.where(np.isinf(numbers), numbers)


def read_numbers(
    column: Any, missing: Sequence[str], name: str, needs: str = "a curve"
) -> NDArray[np.float64]:
    """Return a column of numbers, NaN where a cell is empty or not known, shape (n,).

    Args:
        column: A pandas series.
        missing: Texts that mean "not known".
        name: Name of the table for messages.
        needs: What needs the numbers, for messages.

    Raises:
        InputError: A cell is no finite number.
    """
    numbers = _numbers(fill(column, missing).astype("string"))
    wrong = np.flatnonzero(np.isinf(numbers))
    if len(wrong):
        value = as_text(column.iloc[int(wrong[0])])
        _check_thousands(value, column.name, int(wrong[0]), name)
        raise InputError(
            f"{name}: '{value}' in column '{column.name}', row {wrong[0] + 1}, is no number; "
            f'{needs} needs a column of numbers (if it means not known: `missing="{value}"`).'
        )
    if np.isnan(numbers).all():
        raise InputError(f"{name}: column '{column.name}' is empty; {needs} needs numbers.")
    return numbers


def _check_thousands(value: str, column: Any, row: int, name: str) -> None:
    if _OF_THOUSANDS.fullmatch(value.strip()):
        raise InputError(
            f"{name}: '{value}' in column '{column}', row {row + 1}, has separators of thousands; "
            "write numbers without them, as in 7738.5."
        )


def doubtful_number(values: NDArray[np.float64], column: Any) -> list[str]:
    """Return a sentence on a number that seems to mean "not known", if there is one."""
    odd = placeholder(values)
    if odd is None:
        return []
    rows = counted(int((values == odd).sum()), "row")
    return [
        f"{odd:g} stands in {rows} of column '{column}', far from all other numbers; if it means "
        f'not known, say so with `missing="{odd:g}"`.'
    ]


def read_targets(column: Any, reading: Reading, name: str) -> NDArray[np.float64]:
    """Return 1 where positive, 0 where negative, NaN where not known; shape (n,).

    Raises:
        InputError: A class that is never used or is spelled in several ways, or a cell that is not
            0 or 1.
    """
    column = fill(column, reading.missing)
    known = column.notna().to_numpy(bool)
    if reading.positive:
        positive = named_classes(reading.positive, column.dropna().unique())
        for kind in positive:
            if not (column == kind).any():
                raise InputError(
                    f"{name}: column '{column.name}' never has '{kind}'; it has {_values(column)}."
                )
        alike = {plain_spelling(kind) for kind in positive}
        twins = [kind for kind in column.dropna().unique() if plain_spelling(kind) in alike]
        if len(twins) > len(positive):
            raise InputError(
                f"{name}: column '{column.name}' has {_listed(twins)}, which differ in capitals, "
                "blanks or dashes only; write them alike, or name all of them "
                f'(`positive="{",".join(twins)}"`).'
            )
        return np.where(known, column.isin(positive).to_numpy(float), np.nan)
    numbers = _numbers(column.replace(_TRUTHS))
    wrong = np.flatnonzero(~np.isnan(numbers) & (numbers != 0) & (numbers != 1))
    if len(wrong):
        value = as_text(column.iloc[int(wrong[0])])
        words = list(column.value_counts().index[::-1])  # the rarest first
        likely = next((word for word in words if str(word).lower() in _LIKE_POSITIVE), words[0])
        remedy = f'name the positive class, as in `positive="{likely}"` (it has {_values(column)})'
        if (numbers == 0).any() and (numbers == 1).any():
            remedy = (
                "write 1 for a positive image and 0 for a negative one or, if it means not known, "
                f'say so with `missing="{value}"`'
            )
        elif column.nunique() > 20 or _all_numbers(column):
            largest = as_text(
                column.iloc[int(np.nanargmax(np.where(np.isinf(numbers), np.nan, numbers)))]
            )
            remedy = (
                "write 1 for a positive image and 0 for a negative one, or name the positive value "
                f'(`positive="{largest}"`)'
            )
        raise InputError(
            f"{name}: '{value}' in column '{column.name}', row {wrong[0] + 1}, is not 0 or 1; "
            f"{remedy}."
        )
    return numbers


def named_classes(positive: Sequence[str], there: Sequence[str]) -> list[str]:
    """Return names of classes, each once; names that contain commas are joined again.

    Args:
        positive: The names as given, split at commas.
        there: The names in the table.
    """
    known, names, first = set(there), [], 0
    while first < len(positive):
        last = len(positive)
        while last > first + 1 and not known & {
            joint.join(positive[first:last]) for joint in (",", ", ")
        }:
            last -= 1
        joint = ", " if ", ".join(positive[first:last]) in known else ","
        names.append(joint.join(positive[first:last]))
        first = last
    return list(dict.fromkeys(names))


def columns_of(classes: Sequence[str], columns: Sequence[Any]) -> list[Any] | None:
    """Return the score column of each class; None if a class has none.

    It has the name of the class in any case, also after ``p_``, ``prob_``, ``score_`` or
    ``proba_``; a name as `as_text` reads it, so that ``score_1.0`` is of the class 1.
    """
    for spell in (str, str.casefold):
        for prefix in PREFIXES:
            known = {
                spell(as_text(str(column)[len(prefix) :])): column
                for column in reversed(columns)
                if spell(str(column)).startswith(prefix)
            }
            named = [known.get(spell(as_text(kind))) for kind in classes]
            if None not in named:
                return named
    return None


def _all_numbers(column: Any) -> bool:
    """Return whether every cell of a column is a number or empty."""
    return bool(np.isfinite(_numbers(column)[column.notna().to_numpy(bool)]).all())


def _values(column: Any) -> str:
    return _listed(column.dropna().unique())


def _listed(values: Sequence[Any]) -> str:
    more = ", ..." if len(values) > 8 else ""
    return ", ".join(short(as_text(value)) for value in values[:8]) + more


def read_scores(frame: Any, columns: list[Any], reading: Reading, name: str) -> NDArray[np.float64]:
    """Return the summed score columns, in [0, 1] or as log-odds, shape (n,); NaN where empty.

    Raises:
        InputError: A cell that is not a finite number, or a score out of range.
    """
    total = np.zeros(len(frame))
    for column in columns:
        cells = frame[column]
        if _is_text(cells):
            cells = _unsigned(cells, name) if reading.percent else cells.replace(_TRUTHS)
        numbers = _numbers(cells)
        numbers[_means_missing(frame[column], numbers, reading)] = np.nan
        wrong = np.flatnonzero(np.isinf(numbers))
        if len(wrong):
            none = not np.isfinite(numbers).any()
            raise InputError(_no_score(frame[column], column, int(wrong[0]), name, none=none))
        total += numbers
    if reading.logits:
        return total
    if reading.percent:
        total = total / 100
    total = np.where((total > 1) & (total < 1 + _ROUNDING), 1.0, total)
    total = np.where((total < 0) & (total > -_ROUNDING), 0.0, total)
    wrong = np.flatnonzero((total < 0) | (total > 1))
    if len(wrong):
        highest = 100 if reading.percent else 1
        raise InputError(
            f"{name}: the score {total[wrong[0]] * highest:g} in column '{joined(columns)}', row "
            f"{wrong[0] + 1}, is outside 0 to {highest}; {_range_hint(total, reading)}."
        )
    return total


def _no_score(column: Any, shown: Any, row: int, name: str, *, none: bool) -> str:
    """Return what is wrong with a cell that is no finite number; with ``none`` no cell is one."""
    value = str(column.iloc[row])
    where = f"{name}: '{value}' in column '{shown}', row {row + 1}, is"
    if value.strip().endswith("%"):
        return f"{where} in per cent; say so with `percent=True`."
    _check_thousands(value, shown, row, name)
    if not none:
        return (
            f"{where} not a finite number; correct or remove that row (if it means not known: "
            f'`missing="{value}"`).'
        )
    remedy = 'name the column of the scores, as in `score="COLUMN"`'
    if any(sign.isdigit() for sign in value):  # "[0.2 0.8]", "tensor(0.8)"
        remedy = (
            "write one plain number per cell, the scores of several classes in columns of their own"
        )
    return f"{name}: column '{shown}' holds no number ({_values(column)}); {remedy}."


def _range_hint(total: NDArray[np.float64], reading: Reading) -> str:
    """Return on which scale scores may be that are not in 0 to 1."""
    if reading.percent:
        return "a score in per cent is within 0 to 100"
    if np.nanmin(total) < 0:
        return "if these are log-odds, say so with `logits=True`"
    if 10 < np.nanmax(total) <= 100:
        return "per cent? Say so with `percent=True` (log-odds: `logits=True`)"
    return "divide the scores by their highest possible value (log-odds: `logits=True`)"


def _is_text(column: Any) -> bool:
    import pandas as pd

    return pd.api.types.is_string_dtype(column.dtype) or column.dtype == object


def _unsigned(column: Any, name: str) -> Any:
    """Return a column of text without the per cent signs at the end of its cells.

    Raises:
        InputError: Some numbers have the sign and others do not.
    """
    texts = column.astype("string").str.strip()
    signed = texts.str.endswith("%").fillna(False).to_numpy(bool)
    bare = np.flatnonzero(~signed & np.isfinite(_numbers(column)))
    if signed.any() and len(bare):
        raise InputError(
            f"{name}: '{column.iloc[int(bare[0])]}' in column '{column.name}', row {bare[0] + 1}, "
            "has no % sign, but other rows have one; write all of them alike."
        )
    return texts.str.replace(r"\s*%$", "", regex=True)


def _means_missing(
    column: Any, numbers: NDArray[np.float64], reading: Reading
) -> NDArray[np.bool_]:
    """Return which scores mean "not known", shape (n,); a number only if it cannot be a score."""
    if not reading.missing:
        return np.zeros(len(numbers), dtype=np.bool_)
    impossible = (numbers < 0) | (numbers > (100 if reading.percent else 1))
    if reading.logits:
        impossible = np.isinf(numbers)
    return fill(column, reading.missing).isna().to_numpy(bool) & impossible


def joined(columns: Sequence[Any]) -> str:
    """Return the names of summed columns as one text, such as "mel + bcc"."""
    return " + ".join(str(column) for column in columns)


def read_weights(column: Any, name: str) -> NDArray[np.float64]:
    """Return a column of sampling weights, shape (n,).

    Raises:
        InputError: A weight is not a finite number or is negative, or all are 0.
    """
    numbers = _numbers(column)
    wrong = np.flatnonzero(~np.isfinite(numbers) | (numbers < 0))
    if len(wrong):
        cell = as_text(column.iloc[int(wrong[0])]) if not np.isnan(numbers[wrong[0]]) else ""
        raise InputError(
            f"{name}: the weight '{cell}' in column '{column.name}', row {wrong[0] + 1}, is not a "
            "finite number of 0 or above; correct it, or give 0 to leave the row out."
        )
    if not (numbers > 0).any():
        raise InputError(
            f"{name}: every weight in column '{column.name}' is 0; give weights above 0 to the "
            "rows that count."
        )
    return numbers


def to_probability(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of log-odds, shape (n,), with the same order and the same ties.

    If different log-odds round to the same probability (above 37 all round to 1), the lower ones
    are moved to the next smaller numbers to keep the ranks. With a million rows a probability
    changes by less than 1e-9.
    """
    levels, place = np.unique(np.maximum(logits, -700.0), return_inverse=True)
    odds = np.exp(-np.abs(levels))
    probability = np.where(levels >= 0, 1 / (1 + odds), odds / (1 + odds))
    steps = np.arange(len(levels))
    bits = probability.view(np.int64) - steps  # positive floats sort like their bits
    bits = np.minimum.accumulate(bits[::-1])[::-1] + steps
    return bits.view(np.float64)[place.reshape(-1)]
