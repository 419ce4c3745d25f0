"""Group columns: which rows belong to which group, the groups' order, and their intersections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MOST_GROUPS = 50
_ORDERS = (
    ("I", "II", "III", "IV", "V", "VI"),
    ("very-light", "light", "intermediate", "tan", "brown", "dark"),
    ("very light", "light", "intermediate", "tan", "brown", "dark"),
    ("very_lt", "lt2", "lt1", "int2", "int1", "tan2", "tan1", "dark"),
)


@dataclass(frozen=True)
class Grouping:
    """One way to part the rows: group names in order and each row's code, -1 where it has none."""

    name: str
    labels: tuple[str, ...]
    codes: NDArray[np.intp]
    columns: tuple[str, ...]
    left_out: int = 0

    @property
    def is_intersection(self) -> bool:
        """Whether the groups are those of several columns at once."""
        return len(self.columns) > 1


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def make_grouping(column: Any, shown: str, name: str) -> Grouping:
    """Return the groups of a pandas column called ``shown``, of a table called ``name``.

    Raises:
        InputError: The column is empty, or has over `MOST_GROUPS` values.
    """
    import pandas as pd

    filled = column.mask(column == "") if pd.api.types.is_string_dtype(column.dtype) else column
    codes, values = filled.factorize()
    if len(values) > MOST_GROUPS:
        raise InputError(
            f"{name}: column '{shown}' has {len(values)} different values, at most {MOST_GROUPS} "
            "can be compared; choose a column of groups, or join values first."
        )
    if not len(values):
        raise InputError(f"{name}: column '{shown}' is empty; choose another group column.")
    texts = [_text(value) for value in values]
    if isinstance(column.dtype, pd.CategoricalDtype):
        known = [_text(value) for value in column.cat.categories]
        wanted = sorted(set(texts), key=known.index)
    else:
        wanted = sorted(set(texts), key=_rank_of(texts))
    position = np.array([wanted.index(text) for text in texts], dtype=np.intp)
    placed = np.where(codes < 0, -1, position[np.maximum(codes, 0)]).astype(np.intp)
    return Grouping(shown, tuple(wanted), placed, (shown,))


def _rank_of(texts: list[str]) -> Any:
    """Return the sorting key: numbers by value, known tone bands light to dark, else by text."""
    try:
        values = {text: float(text) for text in texts}
        return lambda text: (values[text], text)
    except ValueError:
        pass
    for order in _ORDERS:
        if {text.lower() for text in texts} <= {one.lower() for one in order}:
            place = {one.lower(): k for k, one in enumerate(order)}
            return lambda text: place[text.lower()]
    return lambda text: text


def are_labelings(columns: Sequence[Grouping]) -> bool:
    """Return whether several columns look like labelers of one thing: the same three or more names.

    Their intersections are then disagreements, not groups of people, and are not made.
    """
    sets = [set(one.labels) for one in columns]
    largest = max(sets, key=len)
    return len(columns) > 1 and len(largest) > 2 and all(one <= largest for one in sets)


def intersect(columns: Sequence[Grouping], min_rows: int) -> Grouping:
    """Return the groups of several columns at once that have at least ``min_rows`` rows."""
    codes = np.zeros(len(columns[0].codes), dtype=np.intp)
    valid = np.ones(len(codes), dtype=bool)
    labels = [""]
    for one in columns:
        codes = codes * len(one.labels) + np.maximum(one.codes, 0)
        valid &= one.codes >= 0
        labels = [f"{left} × {right}" if left else right for left in labels for right in one.labels]
    counts = np.bincount(codes[valid], minlength=len(labels))
    kept = np.flatnonzero(counts >= min_rows)[:MOST_GROUPS]
    place = np.full(len(labels), -1, dtype=np.intp)
    place[kept] = np.arange(len(kept))
    placed = np.where(valid, place[codes], -1)
    return Grouping(
        " × ".join(one.name for one in columns),
        tuple(labels[k] for k in kept),
        placed,
        tuple(one.name for one in columns),
        left_out=int((valid & (placed < 0)).sum()),
    )
