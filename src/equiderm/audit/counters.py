"""Figures of many resamples of one segment at once, from running sums by descending score."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LEAST = 1e-9  # avoids 0 / 0 in a block of which no row is drawn


@dataclass
class Counts:
    """Sums over one segment under r sets of weights.

    Attributes:
        positive_sums: Running sums of the positives' weights by descending score, shape
            (r, 1 + positives), of all segments end to end.
        negative_sums: The same for the negatives.
        positive_start: The sum before the segment in ``positive_sums``, shape (r,).
        negative_start: The same in ``negative_sums``.
        positives: Weight of the segment's positives, shape (r,).
        negatives: Weight of its negatives, shape (r,).
        blocks: Index in ``positive_sums`` at which each block of tied positives begins.
        above: Index in ``negative_sums`` after the negatives that score above each block.
        among: Index after those and the negatives that tie with the block.
        thresholds: By name, true and false positives, each of shape (r,).
        threshold: The user's threshold.
        losses: Sums of the loss terms (`audit.calibration.loss_terms`), shape (terms, r).
        slope: The calibration slope of the original segment.
        bins: Sums of the residuals in each calibration bin, shape (r, bins).
    """

    positive_sums: NDArray[Any]
    negative_sums: NDArray[Any]
    positive_start: NDArray[np.float64]
    negative_start: NDArray[np.float64]
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
        """Positives at or above, and above, each score; negatives above, and at or above it."""
        start = self.negative_start[:, None]
        down = self.positive_sums.take(self.blocks, axis=1) - self.positive_start[:, None]
        above = self.negative_sums.take(self.above, axis=1) - start
        among = above  # without ties between the two classes
        if self.among is not self.above:
            among = self.negative_sums.take(self.among, axis=1) - start
        return down[:, 1:], down[:, :-1], above, among

    def at(self, name: str) -> tuple[NDArray[Any], ...]:
        """Return true positives, false positives, positives and negatives at a threshold."""
        return *self.thresholds[name], self.positives, self.negatives


def auroc(counts: Counts) -> NDArray[np.float64]:
    """Return the area under each ROC curve, shape (r,)."""
    high, low, above, among = counts.steps
    drawn = high - low
    either = 2 * _dot(drawn, above) if among is above else _dot(drawn, above + among)
    return 1 - either / (2.0 * counts.positives * counts.negatives)


def auprc(counts: Counts) -> NDArray[np.float64]:
    """Return each average precision, shape (r,)."""
    high, low, _, among = counts.steps
    precise = high / np.maximum(high + among, LEAST)
    values = _dot(high - low, precise) / counts.positives
    return np.where(counts.negatives > 0, values, np.nan)


def pauc(least: float, *, normalised: bool = False) -> Callable[[Counts], NDArray[np.float64]]:
    """Return a counter of the area under the ROC curve above the sensitivity ``least``."""
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
    """Return each mean squared error, shape (r,)."""
    assert counts.losses is not None
    return counts.losses[0] / (counts.positives + counts.negatives)


def calibration_error(counts: Counts) -> NDArray[np.float64]:
    """Return each expected calibration error, shape (r,)."""
    assert counts.bins is not None
    return np.abs(counts.bins).sum(axis=1) / (counts.positives + counts.negatives)


def calibration_slope(counts: Counts) -> NDArray[np.float64]:
    """Return each calibration slope, by one Newton step from the segment's own, shape (r,)."""
    assert counts.losses is not None
    if len(counts.losses) == 1:
        return np.full(len(counts.positives), np.nan)
    g0, g1, h00, h01, h11 = counts.losses[1:]
    size = h00 * h11 - h01 * h01
    step = (h00 * g1 - h01 * g0) / size
    return np.where(size > 1e-12 * h00 * h11, counts.slope + step, np.nan)


def _dot(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    return np.einsum("rn,rn->r", one, other).astype(np.float64)
