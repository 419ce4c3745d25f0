"""Figures of many resampled copies of one segment at once, from its counts in order of score."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LEAST = 1e-9  # a weight that is as good as none: of a block of which no row is drawn


@dataclass
class Counts:
    """What sums say of a segment under r sets of weights.

    Attributes:
        found: Running sums of the positives' weights by descending score, shape (r, 1 + positives),
            of all segments end to end: a part of a row is copied before it is read.
        wrong: The same of the negatives.
        none: Where the segment begins in ``found``: the sum before it, shape (r,).
        nobody: The same of ``wrong``.
        positives: Weight of the segment's positives, shape (r,).
        negatives: Weight of its negatives, shape (r,).
        blocks: Where equal scores of positives begin, in ``found``.
        above: How many negatives score higher than each block, as places in ``wrong``.
        among: Those and the ones that tie.
        thresholds: By name, true and false positives, each (r,).
        threshold: The user's.
        losses: Sums of the loss terms (`audit.calibration.loss_terms`), shape (terms, r).
        slope: The calibration slope of the segment itself.
        bins: Sums of the residuals in each calibration bin, shape (r, bins).
    """

    found: NDArray[Any]
    wrong: NDArray[Any]
    none: NDArray[np.float64]
    nobody: NDArray[np.float64]
    positives: NDArray[np.float64]
    negatives: NDArray[np.float64]
    blocks: NDArray[np.intp]
    above: NDArray[np.intp]
    among: NDArray[np.intp]
    thresholds: dict[str, tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=dict)
    threshold: float = float("nan")
    losses: NDArray[np.float64] | None = None
    slope: float = float("nan")
    bins: NDArray[np.float64] | None = None

    @cached_property
    def steps(self) -> tuple[NDArray[Any], ...]:
        """Positives down to, and above, each score; negatives above it, and down to it."""
        nobody = self.nobody[:, None]
        down = self.found.take(self.blocks, axis=1) - self.none[:, None]
        above = self.wrong.take(self.above, axis=1) - nobody
        among = above  # without ties of the two classes
        if self.among is not self.above:
            among = self.wrong.take(self.among, axis=1) - nobody
        return down[:, 1:], down[:, :-1], above, among

    def at(self, name: str) -> tuple[NDArray[Any], ...]:
        """Return true positives, false positives, positives and negatives at a threshold."""
        return *self.thresholds[name], self.positives, self.negatives


def auroc(counts: Counts) -> NDArray[np.float64]:
    """Return the area under each ROC curve."""
    high, low, above, among = counts.steps
    drawn = high - low
    either = 2 * _dot(drawn, above) if among is above else _dot(drawn, above + among)
    return 1 - either / (2.0 * counts.positives * counts.negatives)


def auprc(counts: Counts) -> NDArray[np.float64]:
    """Return each average precision."""
    high, low, _, among = counts.steps
    precise = high / np.maximum(high + among, LEAST)
    values = _dot(high - low, precise) / counts.positives
    return np.where(counts.negatives > 0, values, np.nan)


def pauc(least: float, *, normalised: bool = False) -> Callable[[Counts], NDArray[np.float64]]:
    """Return what gives each area above the sensitivity ``least``."""
    most = 1 - least if normalised else 1.0

    def counter(counts: Counts) -> NDArray[np.float64]:
        high, low, above, among = counts.steps
        edge = least * counts.positives[:, None]
        top = int((high <= edge).sum(axis=1).min()) if len(high) else 0
        high, low, above, among = high[:, top:], low[:, top:], above[:, top:], among[:, top:]
        start = np.maximum(low, edge)
        inside = (start - low) / np.maximum(high - low, LEAST)
        wide = 2 * counts.negatives[:, None] - above - (among - above) * inside - among
        area = _dot(np.maximum(high - start, 0), wide)
        return area / (2.0 * counts.positives * counts.negatives) / most

    return counter


def brier(counts: Counts) -> NDArray[np.float64]:
    """Return each mean squared error."""
    assert counts.losses is not None
    return counts.losses[0] / (counts.positives + counts.negatives)


def calibration_error(counts: Counts) -> NDArray[np.float64]:
    """Return each mean distance of observed share and mean score over the bins."""
    assert counts.bins is not None
    return np.abs(counts.bins).sum(axis=1) / (counts.positives + counts.negatives)


def calibration_slope(counts: Counts) -> NDArray[np.float64]:
    """Return each calibration slope, one Newton step from the segment's own."""
    assert counts.losses is not None
    if len(counts.losses) == 1:
        return np.full(len(counts.positives), np.nan)
    g0, g1, h00, h01, h11 = counts.losses[1:]
    size = h00 * h11 - h01 * h01
    step = (h00 * g1 - h01 * g0) / size
    return np.where(size > 1e-12 * h00 * h11, counts.slope + step, np.nan)


def _dot(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    return np.einsum("rn,rn->r", one, other).astype(np.float64)
