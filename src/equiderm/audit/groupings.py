"""Group columns: the group of each row, the order of the groups, and intersections."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.columns import UNKNOWN_WORDS, plain_spelling, types_of_cell
from equiderm.errors import InputError
from equiderm.format import counted
from equiderm.records import Record
from equiderm.statistics.ranks import rank_correlation

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

MOST_GROUPS = 50
MOST_BANDS = 10  # of the Monk scale, the longest in use
SAME_THING = 0.3  # rank correlation from which columns with the same names label the same thing
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
_STEP = re.compile(
    r"(?:[0-9]{1,2}[.:=)]\s+)?"  # a code before its label, as in "3. Type III"
    r"(?:(?:fitzpatrick|skin|photo)[ _-]?)*(?:(?:type|tone|fst|fp|mst|monk|band)[ _-]?)?"
    r"(?P<first>[0-9]{1,2}|[IVX]+)(?:\s*(?:-|–|/|to|and)\s*(?:[0-9]{1,2}|[IVX]+))?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?[0-9]*\.?[0-9]+(e-?[0-9]+)?")
_WHOLE = re.compile(r"(-?[0-9]+)(?:\.0+|,00?)")
_TAKEN = frozenset(("overall", "gap", "worst"))  # rows of the results beside the groups
_SHORT = {"f": "female", "m": "male"}
_ORDERS = (
    ("I", "II", "III", "IV", "V", "VI"),
    ("very-light", "light", "intermediate", "tan", "brown", "dark"),
    ("very light", "light", "intermediate", "tan", "brown", "dark"),
    ("light", "medium", "dark"),
    ("light", "middle", "dark"),
    ("very_lt", "lt2", "lt1", "int2", "int1", "tan2", "tan1", "dark"),
)


@dataclass(frozen=True, eq=False, repr=False)
class Grouping(Record):
    """A division of the rows into groups.

    Attributes:
        name: Name of the group column, or of the crossed columns.
        labels: Names of the groups, in order.
        codes: Index of each row's group, shape (n,); -1 for none.
        columns: The column, or the crossed columns.
        left_out: Rows of intersections that are too small.
        unshown: Intersections that are large enough, but beyond the `MOST_GROUPS` largest.
        unshown_rows: Rows of these.
    """

    name: str
    labels: tuple[str, ...]
    codes: NDArray[np.intp]
    columns: tuple[str, ...]
    left_out: int = 0
    unshown: tuple[str, ...] = ()
    unshown_rows: int = 0

    @property
    def is_intersection(self) -> bool:
        """Whether it is the intersection of several columns."""
        return len(self.columns) > 1

    @property
    def is_ordered(self) -> bool:
        """Whether the groups have an order: numbered bands up to ten, or tones light to dark."""
        if self.is_intersection:
            return False
        if all(label.isdecimal() and 0 < int(label) <= MOST_BANDS for label in self.labels):
            return True
        return rank_of_tone(self.labels) is not None


def as_text(value: Any) -> str:
    """Return a cell as the name of a group: stripped, in Unicode form NFC, "2" for 2.0."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = unicodedata.normalize("NFC", str(value).strip())
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def make_grouping(
    column: Any, shown: str, name: str, missing: Collection[str] = ()
) -> tuple[Grouping, list[str]]:
    """Return the groups of a column, and notes on suspect names: case twins, words for unknown.

    Args:
        column: A pandas series; an empty cell, or one in ``missing``, is in no group.
        shown: Name of the column.
        name: Name of the table for messages.
        missing: Texts that mean "not known".

    Raises:
        InputError: The column is empty, has over `MOST_GROUPS` values, or a group's name is taken.
    """
    import pandas as pd

    codes, values = column.factorize()
    texts = [as_text(value) for value in values]
    unknown = [text == "" or text in missing for text in texts]
    kept = list(dict.fromkeys(t for t, out in zip(texts, unknown, strict=True) if not out))
    if len(kept) > MOST_GROUPS:
        raise InputError(_too_many(kept, shown, name))
    if not kept:
        raise InputError(f"{name}: column '{shown}' is empty; choose another group column.")
    if taken := sorted(_TAKEN & set(kept)):
        raise InputError(
            f"{name}: column '{shown}' has a group '{taken[0]}', as the results call a row of "
            "their own; write another name in the table."
        )
    if isinstance(column.dtype, pd.CategoricalDtype):
        known = [as_text(value) for value in column.cat.categories]
        wanted = sorted(kept, key=known.index)
    else:
        wanted = sorted(kept, key=_rank_of(kept))
    place = {text: k for k, text in enumerate(wanted)}
    position = np.array(
        [-1 if out else place[text] for text, out in zip(texts, unknown, strict=True)] + [-1],
        dtype=np.intp,
    )
    grouping = Grouping(shown, tuple(wanted), position[codes], (shown,))
    return grouping, _doubts(grouping)


def _too_many(kept: list[str], shown: str, name: str) -> str:
    start = f"{name}: column '{shown}' has {len(kept)} different values, but at most {MOST_GROUPS} "
    numbers = sorted(float(text) for text in kept if _NUMBER.fullmatch(text))
    if len(numbers) < 0.8 * len(kept):
        return start + "can be compared; choose a column of groups, or merge values first."
    edges = ",".join(f"{numbers[len(numbers) * k // 3]:g}" for k in (1, 2))
    return start + f'can be compared; cut it into bands, as in `cut="{shown}={edges}"`.'


def _doubts(grouping: Grouping) -> list[str]:
    shown, labels = grouping.name, grouping.labels
    counts = np.bincount(grouping.codes[grouping.codes >= 0], minlength=len(labels))
    notes: list[str] = []
    for k, label in enumerate(labels):
        if label.casefold() in UNKNOWN_WORDS:
            notes.append(
                f"'{label}' is a group of {shown} with {counted(int(counts[k]), 'row')}; if it "
                "means not known, "
                f'say so with `missing="{label}"`.'
            )
    twins: dict[str, list[str]] = {}
    for label in labels:
        alike = plain_spelling(label)
        steps = ()
        if not re.search("[0-9][.,]", alike):  # IV, 4, 04, Type IV
            steps = types_of_cell(alike, range(1, MOST_BANDS + 1), {})
        twins.setdefault(f"{steps}" if steps else _SHORT.get(alike, alike), []).append(label)
    notes += [
        f"{' and '.join(map(repr, same))} are separate groups of {shown}; if they mean the same, "
        "write them the same way in the table."
        for same in twins.values()
        if len(same) > 1
    ]
    return notes


def cut(column: Any, edges: Sequence[float], shown: str, name: str) -> Any:
    """Return numbers as ordered bands: below the first edge, between edges, from the last on.

    Raises:
        InputError: A cell is no number, or the edges do not ascend.
    """
    import pandas as pd

    if not edges or any(a >= b for a, b in pairwise(edges)):
        raise InputError(
            f"{name}: the edges at which '{shown}' is cut must ascend; write them as in "
            f'`cut="{shown}=40,60"`.'
        )
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column.notna() & numbers.isna()
    if numbers.isna().all():
        raise InputError(f"{name}: column '{shown}' has no numbers to cut into bands.")
    if wrong.any():
        row = int(np.flatnonzero(wrong.to_numpy())[0])
        raise InputError(
            f"{name}: '{column.iloc[row]}' in column '{shown}', row {row + 1}, is no number and "
            f"cannot be cut into bands; if it means not known, say so with "
            f'`missing="{column.iloc[row]}"`.'
        )
    return pd.cut(numbers, [-np.inf, *edges, np.inf], right=False, labels=band_names(edges))


def band_names(edges: Sequence[float]) -> list[str]:
    """Return the names of the bands between ascending edges, one more than edges."""
    return [
        f"under {edges[0]:g}",
        *(f"{low:g} to under {high:g}" for low, high in pairwise(edges)),
        f"{edges[-1]:g} or more",
    ]


def _rank_of(texts: list[str]) -> Any:
    """Return the sort key: numbers (also in text) by value, known tones from light to dark."""
    try:
        values = {text: float(text) for text in texts}
    except ValueError:
        values = {}
    if values and np.isfinite(list(values.values())).all():
        return lambda text: (values[text], text)
    place = rank_of_tone(texts)
    if place is not None:
        return lambda text: place[text]
    steps = {text: step_of(text) for text in texts}
    if None not in steps.values():
        return lambda text: (steps[text], text)
    return lambda text: [
        int(part) if k % 2 else part for k, part in enumerate(re.split("([0-9]+)", text))
    ]


def step_of(text: str) -> int | None:
    """Return the first step that a name on a tone scale means: 3 for "III-IV", "Type 3", "34"."""
    match = _STEP.fullmatch(text.strip())
    if not match:
        return None
    first = match["first"].upper()
    if first.isdigit():
        tens, ones = divmod(int(first), 10)
        step = tens if ones == tens + 1 and tens else int(first)  # DDI's 12, 34 and 56
        return step if step <= MOST_BANDS else None
    return _ROMAN.index(first) + 1 if first in _ROMAN else None


def rank_of_tone(texts: Sequence[str]) -> dict[str, int] | None:
    """Return the place of each name in a known order of tones, light to dark, or None."""
    for order in _ORDERS:
        if {text.lower() for text in texts} <= {name.lower() for name in order}:
            place = {name.lower(): k for k, name in enumerate(order)}
            return {text: place[text.lower()] for text in texts}
    return None


def are_labelings(columns: Sequence[Grouping]) -> bool:
    """Return whether several columns are labelings of the same thing.

    They are if they share three or more names and each agrees with the first by the rank
    correlation of the labels. Their intersections are then disagreements, not groups of people, and
    are left out.
    """
    sets = [set(column.labels) for column in columns]
    largest = max(sets, key=len)
    if len(columns) < 2 or len(largest) < 3 or not all(names <= largest for names in sets):
        return False
    return all(_agreement(columns[0], other) >= SAME_THING for other in columns[1:])


def _agreement(one: Grouping, other: Grouping) -> float:
    """Return Spearman's correlation of the labels of rows that have both; 0 without any."""
    both = (one.codes >= 0) & (other.codes >= 0)
    order = {label: k for k, label in enumerate(max(one.labels, other.labels, key=len))}
    places = (np.array([order[label] for label in g.labels])[g.codes[both]] for g in (one, other))
    return float(rank_correlation(*places)[0]) if both.any() else 0.0


def take_groups(grouping: Grouping, rows: NDArray[np.intp]) -> Grouping:
    """Return the grouping of the given rows, without groups that are then empty."""
    codes = grouping.codes[rows]
    kept = np.unique(codes[codes >= 0])
    place = np.full(len(grouping.labels) + 1, -1, dtype=np.intp)
    place[kept] = np.arange(len(kept))
    labels = tuple(grouping.labels[k] for k in kept)
    return replace(grouping, labels=labels, codes=place[codes])


def intersect(columns: Sequence[Grouping], min_rows: int) -> Grouping:
    """Return the intersections of columns with at least ``min_rows`` rows.

    Of more than `MOST_GROUPS` those with the most rows are kept, and the others named.
    """
    codes = np.zeros(len(columns[0].codes), dtype=np.intp)
    valid = np.ones(len(codes), dtype=bool)
    labels = [""]
    for column in columns:
        codes = codes * len(column.labels) + np.maximum(column.codes, 0)
        valid &= column.codes >= 0
        labels = [
            f"{left} × {right}" if left else right for left in labels for right in column.labels
        ]
    counts = np.bincount(codes[valid], minlength=len(labels))
    enough = np.flatnonzero(counts >= min_rows)
    kept = np.sort(enough[np.argsort(-counts[enough], kind="stable")[:MOST_GROUPS]])
    others = np.setdiff1d(enough, kept)
    place = np.full(len(labels), -1, dtype=np.intp)
    place[kept] = np.arange(len(kept))
    placed = np.where(valid, place[codes], -1)
    return Grouping(
        " × ".join(column.name for column in columns),
        tuple(labels[k] for k in kept),
        placed,
        tuple(column.name for column in columns),
        left_out=int(counts[counts < min_rows].sum()),
        unshown=tuple(labels[k] for k in others),
        unshown_rows=int(counts[others].sum()),
    )
