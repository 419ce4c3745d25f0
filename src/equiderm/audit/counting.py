"""Figures of many reweighted copies of the same rows: sorted once, then counted.

A bootstrap replicate changes how often a row counts, never its score. The rows of every segment
(all rows, or a group) are therefore sorted by score once, and a replicate costs a few cumulative
sums, linear in the rows.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit import counters
from equiderm.audit.calibration import calibration_edges, calibration_fit, loss_terms
from equiderm.audit.counters import Counts
from equiderm.audit.metrics import GIVEN, METRICS, figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LOSSES = (counters.brier, counters.calibration_error, counters.calibration_slope)
AT_ONCE = 1 << 20  # weights per array; more only takes memory


_buffers = threading.local()


def _buffer(name: str, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array to fill, in the thread's memory of the last call of this name.

    To map new memory would cost more than the sums.
    """
    flat = getattr(_buffers, name, None)
    if flat is None or flat.dtype != dtype or len(flat) < shape[0] * shape[1]:
        flat = np.empty(shape[0] * shape[1], dtype=dtype)
        setattr(_buffers, name, flat)
    return flat[: shape[0] * shape[1]].reshape(shape)


class _Part:
    """The rows of one class in every segment, end to end; within a segment scores descend."""

    def __init__(
        self,
        name: str,
        rows: list[NDArray[np.intp]],
        score: NDArray[np.float64],
        weight: NDArray[np.float64] | None,
        place: NDArray[np.intp] | None,
    ) -> None:
        self.name = name
        self.rows = rows
        self.keys = [-score[index] for index in rows]  # ascending, for searchsorted
        order = np.concatenate(rows) if rows else np.empty(0, dtype=np.intp)
        self.columns = order if place is None else place[order]
        self.weight = None if weight is None else weight[order]
        ends = np.cumsum([0, *map(len, rows)]).tolist()
        self.cuts = list(itertools.pairwise(ends))
        self.first, self.last = np.array(ends[:-1]), np.array(ends[1:])
        self.terms: list[NDArray[np.float64]] = []


class _Counted:
    """A part under r sets of weights, with their running sums; valid until the next is counted.

    Per segment, ``weights`` has shape (r, rows) and ``running`` has shape (r, rows + 1).
    """

    def __init__(self, part: _Part, weights: NDArray[Any]) -> None:
        shape = len(weights), len(part.columns)
        drawn = _buffer(f"{part.name} drawn", shape, weights.dtype)
        weights.take(part.columns, axis=1, out=drawn, mode="clip")  # "raise" would copy
        if part.weight is not None:
            drawn = drawn * part.weight
        running = _buffer(f"{part.name} running", (shape[0], shape[1] + 1), drawn.dtype)
        running[:, 0] = 0
        np.cumsum(drawn, axis=1, out=running[:, 1:])
        self.whole = running
        self.before = running.take(part.first, axis=1).astype(np.float64)
        self.total = running.take(part.last, axis=1) - self.before
        # These do not start at 0: the counts of a segment are differences from its first value.
        self.running = [running[:, start : end + 1] for start, end in part.cuts]
        self.weights = [drawn[:, start:end] for start, end in part.cuts]


class Segments:
    """Overlapping segments of the rows of a table, whose figures are counted under weights.

    Args:
        target: Booleans, shape (n,).
        score: Scores, shape (n,).
        rows: One index array per segment, **by descending score**; the first sets the thresholds
            that are chosen by specificity and sensitivity.
        levels: The given "threshold", and the "specificity" and "sensitivity" to choose others for.
        cuts: Thresholds by the same names, to hold fixed instead of choosing them.
        metrics: Which of `METRICS` to count.
        weight: Sampling weights of the rows, shape (n,), mean about 1; they multiply each set of
            weights.
        place: Each row's column in the weights, shape (n,); by default the row itself
            (`Resampler.place`).
    """

    def __init__(
        self,
        target: NDArray[np.bool_],
        score: NDArray[np.float64],
        rows: Sequence[NDArray[np.intp]],
        *,
        levels: dict[str, float],
        cuts: dict[str, float] | None = None,
        metrics: Sequence[str] = tuple(METRICS),
        weight: NDArray[np.float64] | None = None,
        place: NDArray[np.intp] | None = None,
    ) -> None:
        self.metrics = tuple(metrics)
        self._levels = levels
        self._held = cuts
        self._weight = weight
        self._table = target, score, rows
        self._place = place
        of_rows = score, weight, place
        self._positive = _Part("positives", [index[target[index]] for index in rows], *of_rows)
        self._negative = _Part("negatives", [index[~target[index]] for index in rows], *of_rows)
        self._slopes: list[float] | None = None
        self._tie_blocks()
        used = [METRICS[name].counter for name in self.metrics]
        self._bins = (
            [
                self._bin_ends(k, score[index], None if weight is None else weight[index])
                for k, index in enumerate(rows)
            ]
            if counters.calibration_error in used
            else None
        )
        if any(counter in used for counter in LOSSES):
            self._slopes = []
            for k, index in enumerate(rows):
                own = None if weight is None else weight[index]
                fit = calibration_fit(target[index], score[index], own)
                terms = loss_terms(target, score, fit)
                self._slopes.append(fit[1])
                for part in (self._positive, self._negative):
                    part.terms.append(terms.take(part.rows[k], axis=0))

    def _tie_blocks(self) -> None:
        """Set where blocks of tied positives begin, and the negatives above and among them."""
        self._blocks: list[NDArray[np.intp]] = []
        self._above: list[NDArray[np.intp]] = []
        self._among: list[NDArray[np.intp]] = []
        for k, (positive, negative) in enumerate(
            zip(self._positive.keys, self._negative.keys, strict=True)
        ):
            fresh = np.flatnonzero(np.diff(positive, prepend=np.nan) != 0)
            levels = positive[fresh]
            start, first = self._positive.cuts[k][0], self._negative.cuts[k][0]
            self._blocks.append(np.append(fresh, len(positive)) + start)
            above, among = (
                np.searchsorted(negative, levels, side) + first for side in ("left", "right")
            )
            self._above.append(above)
            self._among.append(above if (above == among).all() else among)

    def _bin_ends(
        self, k: int, score: NDArray[np.float64], weight: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        edges = -calibration_edges(score, weight) if len(score) else np.array([np.inf])
        return (
            np.append(0, np.searchsorted(self._positive.keys[k], edges, "right")),
            np.append(0, np.searchsorted(self._negative.keys[k], edges, "right")),
        )

    def count(self, weights: NDArray[Any]) -> NDArray[np.float64]:
        """Return the figures under each set of weights.

        Args:
            weights: How often each row counts, whole numbers, shape (r, n); or the columns that
                ``place`` refers to.

        Returns:
            Shape (r, metrics, segments); NaN where a figure is undefined.
        """
        rows = len(self._positive.columns) + len(self._negative.columns)
        step = max(1, AT_ONCE // max(1, rows))
        parts = [self._count(weights[k : k + step]) for k in range(0, len(weights), step)]
        return np.concatenate(parts)

    def _count(self, weights: NDArray[Any]) -> NDArray[np.float64]:
        if self._slopes is not None:
            weights = weights.astype(np.float64)  # for the products; integers sum faster
        positive, negative = _Counted(self._positive, weights), _Counted(self._negative, weights)
        counted = np.full((len(weights), len(self.metrics), len(self._positive.rows)), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):  # 0/0: the figure is undefined
            cuts = self._cuts(positive.running[0], negative.running[0])
            for k in range(counted.shape[2]):
                counts = self._counts(k, positive, negative, cuts)
                for m, name in enumerate(self.metrics):
                    if (counter := METRICS[name].counter) is not None:
                        counted[:, m, k] = counter(counts)
        counted[~np.isfinite(counted)] = np.nan
        self._draw(counted, weights)
        return counted

    def _draw(self, counted: NDArray[np.float64], weights: NDArray[Any]) -> None:
        """Fill in the figures without a counter, each from the drawn rows: slower, but general."""
        added = [m for m, name in enumerate(self.metrics) if METRICS[name].counter is None]
        if not added or self._weight is not None:  # half a row cannot be drawn
            return
        target, score, rows = self._table
        cuts = self._held or {GIVEN: self._levels[GIVEN]}
        for m in added:
            name = self.metrics[m]
            for r, weight in enumerate(weights.astype(np.intp)):
                for k, index in enumerate(rows):
                    times = weight[index if self._place is None else self._place[index]]
                    drawn = np.repeat(index, times)
                    counted[r, m, k] = figure(name, target[drawn], score[drawn], cuts)

    def _cuts(self, positive: NDArray[Any], negative: NDArray[Any]) -> dict[str, tuple[Any, str]]:
        """Return, for each kind of threshold, the keys to search for and the side."""
        if self._held is not None:
            return {at: (-value, "right") for at, value in self._held.items()}
        cuts: dict[str, tuple[Any, str]] = {}
        wanted = {METRICS[name].at for name in self.metrics}
        if GIVEN in wanted:
            cuts[GIVEN] = (-self._levels[GIVEN], "right")
        if "specificity" in wanted:
            allowed = (1 - self._levels["specificity"]) * negative[:, -1] + 1e-9
            first = _search(negative, allowed, "right") - 1
            keys = np.append(self._negative.keys[0], np.inf)
            cuts["specificity"] = (np.where(negative[:, -1] > 0, keys[first], np.nan), "left")
        if "sensitivity" in wanted:
            needed = self._levels["sensitivity"] * positive[:, -1] - 1e-9
            last = np.maximum(_search(positive, needed, "left"), 1) - 1
            keys = np.append(self._positive.keys[0], np.nan)
            cuts["sensitivity"] = (np.where(positive[:, -1] > 0, keys[last], np.nan), "right")
        return cuts

    def _counts(
        self, k: int, positive: _Counted, negative: _Counted, cuts: dict[str, tuple[Any, str]]
    ) -> Counts:
        up, down = positive.running[k], negative.running[k]
        counts = Counts(
            *(positive.whole, negative.whole),
            *(positive.before[:, k], negative.before[:, k]),
            *(positive.total[:, k], negative.total[:, k]),
            *(self._blocks[k], self._above[k], self._among[k]),
        )
        for at, (key, side) in cuts.items():
            counts.thresholds[at] = (
                _upto(up, self._positive.keys[k], key, side),
                _upto(down, self._negative.keys[k], key, side),
            )
        counts.threshold = self._levels.get(GIVEN, float("nan"))
        if self._slopes is not None:
            terms, others = self._positive.terms[k], self._negative.terms[k]
            up, down = positive.weights[k], negative.weights[k]
            counts.losses = (up @ terms + down @ others)[:, 1:].T
            counts.slope = self._slopes[k]
            if self._bins is not None:
                of_positive, of_negative = self._bins[k]
                counts.bins = _between(up * terms[:, 0], of_positive)
                counts.bins += _between(down * others[:, 0], of_negative)
        return counts


def _search(rows: NDArray[Any], values: NDArray[np.float64], side: Any) -> NDArray[np.intp]:
    return np.array([np.searchsorted(r, v, side) for r, v in zip(rows, values, strict=True)])


def _upto(running: NDArray[Any], keys: NDArray[np.float64], key: Any, side: Any) -> NDArray[Any]:
    """Return the running sum up to each set's key, shape (r,); NaN for a NaN key."""
    at = np.broadcast_to(np.searchsorted(keys, key, side), len(running))
    return np.where(np.isnan(key), np.nan, running[np.arange(len(running)), at] - running[:, 0])


def _between(values: NDArray[np.float64], ends: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the sums of the values between consecutive ends, shape (r, ends - 1)."""
    sums = np.zeros((len(values), len(ends) - 1))
    filled = np.flatnonzero(np.diff(ends))
    if len(filled):
        sums[:, filled] = np.add.reduceat(values, ends[filled], axis=1)
    return sums
