"""Types that people judged: one type or a range of types per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from equiderm.columns import read_type_sets, require_column
from equiderm.errors import InputError
from equiderm.records import Record

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
ROUNDS = 200


@dataclass(frozen=True, eq=False, repr=False)
class JudgedTypes(Record):
    """People's judgements of n images on a scale of k types.

    Attributes:
        types: The scale, lightest first, length k.
        members: The types of each judgement, shape (r, k): the k single types first, then every
            range that occurs.
        row: Each image's judgement as the index of a row of ``members``, shape (n,); -1 if none.
    """

    types: tuple[int, ...]
    members: Bools
    row: NDArray[np.intp]

    @property
    def known(self) -> Bools:
        """Which images have a judgement, shape (n,)."""
        return self.row >= 0

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each judgement, length r: ``3``, ``3-4`` or ``3, 5``."""
        return tuple(
            _name([t for t, inside in zip(self.types, row, strict=True) if inside])
            for row in self.members
        )

    @property
    def has_ranges(self) -> bool:
        """Whether any judgement is more than one type."""
        return len(self.members) > len(self.types)

    @property
    def allowed(self) -> Bools:
        """Which types each image may be, shape (n, k); all False without a judgement."""
        return self.members[self.row] & self.known[:, None]

    def take(self, images: Bools | NDArray[np.intp]) -> JudgedTypes:
        """Return the judgements of the given images, with ``members`` unchanged."""
        return JudgedTypes(self.types, self.members, self.row[images])

    def counts(self) -> Floats:
        """Return how many images have each judgement, shape (r,)."""
        return np.bincount(self.row[self.known], minlength=len(self.members)).astype(float)

    def shares(self) -> Floats:
        """Return the share of each type, shape (k,), as `type_shares` does."""
        return type_shares(self.counts(), self.members)


def _name(types: Sequence[int]) -> str:
    if (len(types) > 2 and types[-1] - types[0] == len(types) - 1) or (
        len(types) == 2 and types[1] - types[0] == 1
    ):
        return f"{types[0]}-{types[-1]}"
    return ", ".join(map(str, types))


def as_judged(
    truth: NDArray[np.float64] | Bools | JudgedTypes, types: Sequence[int]
) -> JudgedTypes:
    """Return judgements from types or sets of types.

    Args:
        truth: Types, shape (n,), NaN where there is none; or which types are allowed, shape (n, k).
        types: The scale, lightest first, length k.

    Raises:
        InputError: A type outside the scale, or another shape.
    """
    if isinstance(truth, JudgedTypes):
        return truth
    single = np.eye(len(types), dtype=np.bool_)
    given: NDArray[Any] = np.asarray(truth)
    if given.ndim == 1:
        values = given.astype(float)
        place = np.searchsorted(types, np.nan_to_num(values, nan=types[0]))
        place = np.minimum(place, len(types) - 1)
        if not (np.isnan(values) | (np.asarray(types)[place] == values)).all():
            raise InputError(f"a judged type is not on the scale {types[0]}-{types[-1]}.")
        return JudgedTypes(tuple(types), single, np.where(np.isnan(values), -1, place))
    if given.shape[1] != len(types):
        raise InputError(f"{given.shape[1]} columns of types; {len(types)} are expected.")
    sets = given.astype(np.bool_)
    kinds, place = np.unique(sets, axis=0, return_inverse=True)
    ranges = kinds[kinds.sum(axis=1) > 1]
    middle = (ranges * np.arange(len(types))).sum(axis=1) / np.maximum(ranges.sum(axis=1), 1)
    members = np.vstack([single, ranges[np.argsort(middle, kind="stable")]])
    rows = np.array(
        [np.flatnonzero((members == kind).all(axis=1))[0] if kind.any() else -1 for kind in kinds],
        dtype=np.intp,
    )
    return JudgedTypes(tuple(types), members, rows[place.reshape(-1)])


def read_judged(
    frame: pd.DataFrame, columns: Sequence[str], types: Sequence[int], where: str
) -> JudgedTypes:
    """Return the judgement of each row, a range if a rater gives one or raters differ.

    Args:
        frame: A table of judgements.
        columns: The column of judged types, or one column per rater: an image may then be any type
            that one of them names.
        types: The scale, lightest first.
        where: Name of the table for messages.

    Raises:
        InputError: No such column, or a cell that is not a type on the scale.
    """
    sets = [read_type_sets(require_column(frame, name, where), types, where) for name in columns]
    return as_judged(np.logical_or.reduce(sets), types)


def type_shares(counts: Floats, members: Bools) -> Floats:
    """Return the maximum likelihood share of each type, shape (k,), given counts of judgements.

    Args:
        counts: Count or weight of each judgement, shape (r,).
        members: The types of each judgement, shape (r, k).

    Source:
        Dempster, Laird and Rubin 1977, JRSS B 39:1, section 4.1: a grouped multinomial.
    """
    nothing = np.zeros(members.shape[1])
    return counts_of_types(counts, members, nothing) / counts.sum()


def counts_of_types(counts: Floats, members: Bools, before: Floats) -> Floats:
    """Return the maximum likelihood counts of types, shape (k,), given counts of judgements (EM).

    Args:
        counts: Count or weight of each judgement, shape (r,).
        members: The types of each judgement, shape (r, k).
        before: Further counts of types, shape (k,), which are added.
    """
    single = members.sum(axis=1) == 1
    fixed = before + counts[single] @ members[single]
    if not counts[~single].any():
        return fixed
    types = fixed + 1 / len(fixed)
    for _ in range(ROUNDS):
        types = fixed + _distributed(counts[~single], members[~single], types)
    return types


def _distributed(counts: Floats, members: Bools, shares: Floats) -> Floats:
    """Return counts of types, shape (k,): each judgement divided in proportion to the shares."""
    inside = members * shares
    total = inside.sum(axis=1, keepdims=True)
    even = members / np.maximum(members.sum(axis=1, keepdims=True), 1)
    return counts @ np.divide(inside, total, out=even.astype(float), where=total > 0)


def distances(members: Bools) -> NDArray[np.intp]:
    """Return the distance in types from each judgement's nearest type to each answer, (r, k)."""
    k = members.shape[1]
    apart = np.abs(np.arange(k)[:, None] - np.arange(k))
    return np.where(members[:, :, None], apart, k).min(axis=1)


def ends(judged: NDArray[np.intp] | Bools) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the last type of each row, as 0 .. k - 1, each of shape (n,).

    Args:
        judged: Types as 0 .. k - 1, shape (n,), or the types that are allowed, shape (n, k).
    """
    if judged.ndim == 1:
        index = judged.astype(np.intp)
        return index, index
    return judged.argmax(axis=1), judged.shape[1] - 1 - judged[:, ::-1].argmax(axis=1)
