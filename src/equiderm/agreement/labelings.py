"""Labelings of the same images compared with each other: how much depends on the method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from equiderm.agreement.agreement import MINIMUM_IMAGES, interval_json
from equiderm.agreement.confusion import (
    agreement_figures,
    cell_index,
    confusion_matrix,
    exact_bound,
    resample,
)
from equiderm.errors import InputError
from equiderm.identity import check_unique, common_key, match_rows
from equiderm.records import Record
from equiderm.statistics.intervals import percentile

SCHEMA = "equiderm.labelings/1"


@dataclass(frozen=True, eq=False, repr=False)
class Pair(Record):
    """Two labelings of the same images.

    Attributes:
        first: Name of the labeling in the rows of the confusion matrix.
        second: Name of the labeling in its columns.
        confusion: Counts of the images that both label, shape (k, k).
        one_only: Images labelled in only one of the two.
        figures: ``changed``, ``exact``, ``within_one`` and ``kappa``: value, low, high.
    """

    first: str
    second: str
    confusion: NDArray[np.int64]
    one_only: int
    figures: dict[str, tuple[float, float, float]]

    @property
    def n(self) -> int:
        """Number of images that both label."""
        return int(self.confusion.sum())


def align_labelings(
    labelings: Mapping[str, tuple[pd.Series, NDArray[np.float64]]],
) -> dict[str, NDArray[np.float64]]:
    """Return labelings over the union of their images, NaN where a labeling lacks an image.

    Args:
        labelings: Name to image ids (from `find_ids`) and their types, each of the same length;
            rows without an id are left out.

    Raises:
        InputError: An id occurs twice in a labeling, or a labeling shares no image with the first.
    """
    labelings = {
        name: (ids[ids.notna()], types[ids.notna().to_numpy(bool)])
        for name, (ids, types) in labelings.items()
    }
    ids = {name: pair[0] for name, pair in labelings.items()}
    first, *others = ids
    for name in others:
        match_rows(ids[first], ids[name], (first, name))
    keys = [common_key(ids[first], ids[name]) for name in others]
    for key in keys:
        ids = {name: key(series) for name, series in ids.items()}
    for name, series in ids.items():
        check_unique(series, name)
    columns = [
        pd.Series(types, index=pd.Index(ids[name]), name=name)
        for name, (_, types) in labelings.items()
    ]
    table = pd.concat(columns, axis=1)
    return {name: table[name].to_numpy(float) for name in ids}


def compare_labelings(
    labelings: Mapping[str, NDArray[np.float64]], types: Sequence[int]
) -> list[Pair]:
    """Return every pair of labelings with its figures and 95 % bootstrap intervals over images.

    Args:
        labelings: Name to types, each of shape (n,) over the same images; NaN where unlabelled.
        types: The scale, lightest first.

    Raises:
        InputError: A pair shares fewer images than an interval needs.
    """
    pairs: list[Pair] = []
    for (first, a), (second, b) in combinations(labelings.items(), 2):
        both = ~np.isnan(a) & ~np.isnan(b)
        if both.sum() < MINIMUM_IMAGES:
            raise InputError(
                f"{first} and {second} both label only {both.sum()} images; a 95 % interval needs "
                f"at least {MINIMUM_IMAGES}."
            )
        k = len(types)
        row = np.searchsorted(types, a[both])
        counts = confusion_matrix(row, b[both], types, k)[:, :-1]
        drawn = resample(cell_index(row, b[both], types), k * (k + 1))
        values = _pair_figures(counts.astype(float))
        spread = _pair_figures(drawn.reshape(-1, k, k + 1)[:, :, :-1])
        figures = {
            name: _exact_at_ends(
                name, (float(values[name]), *percentile(spread[name])), int(both.sum())
            )
            for name in values
        }
        pairs.append(Pair(first, second, counts, int((np.isnan(a) != np.isnan(b)).sum()), figures))
    return pairs


def _exact_at_ends(
    name: str, figure: tuple[float, float, float], n: int
) -> tuple[float, float, float]:
    """Return a share of 0 or 1, which no resample can vary, with its exact interval."""
    value, low, high = figure
    if name == "kappa" or value not in (0.0, 1.0):
        return figure
    return (value, exact_bound(n), high) if value else (value, low, 1 - exact_bound(n))


def _pair_figures(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    figures = agreement_figures(counts, 1)
    chosen = {name: figures[name] for name in ("exact", "within_one", "kappa")}
    return {"changed": 1 - figures["exact"], **chosen}


def labelings_json(pairs: Sequence[Pair], types: Sequence[int]) -> dict[str, Any]:
    """Return the pairs as plain values; an undefined figure is null."""
    return {
        "schema": SCHEMA,
        "types": list(types),
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                "n": pair.n,
                "labelled_by_one_only": pair.one_only,
                "confusion": pair.confusion.tolist(),
                "figures": {name: interval_json(of) for name, of in pair.figures.items()},
            }
            for pair in pairs
        ],
    }
