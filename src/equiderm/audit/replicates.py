"""Figures of many reweighted copies of the same rows: sorted once, then counted.

A bootstrap replicate or a shuffling of the groups changes how often a row counts or where, never
its score. So the rows of every segment (all rows, a group, the rest) are put in order of score
once, and a replicate costs a few cumulative sums: linear in the rows.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from equiderm.audit.metrics import (
    GIVEN,
    METRICS,
    PAUC_SENSITIVITY,
    calibration_edges,
    calibration_fit,
    figure,
    logit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

# The figures that sums over the sorted rows give; any other is taken from the rows drawn.
COUNTED = (
    *("auroc", "auprc", "pauc_isic2024", "pauc_isic2024_normalised"),
    *("sensitivity_at_specificity", "specificity_at_sensitivity"),
    *("sensitivity", "specificity", "ppv", "npv", "selection_rate"),
    *("brier", "calibration_error", "calibration_slope"),
)
CHUNK = 50  # replicates drawn from one random stream, whatever the number of workers


class _Part:
    """One class's rows of every segment, end to end; within a segment scores descend."""

    def __init__(self, rows: list[NDArray[np.intp]], score: NDArray[np.float64]) -> None:
        self.rows = rows
        self.keys = [-score[one] for one in rows]  # ascending, for searchsorted
        self.order = np.concatenate(rows) if rows else np.empty(0, dtype=np.intp)
        ends = np.cumsum([0, *map(len, rows)]).tolist()
        self.cuts = list(itertools.pairwise(ends))
        self.terms: list[NDArray[np.float64]] = []


class _Counted:
    """A part under one set of weights: the weights and their running sums, a segment at a time."""

    def __init__(self, part: _Part, weight: NDArray[Any]) -> None:
        drawn = weight.take(part.order)
        running = np.zeros(len(drawn) + 1, dtype=drawn.dtype)
        np.cumsum(drawn, out=running[1:])
        # Not from zero: a segment's own counts are differences from its first value.
        self.running = [running[start : end + 1] for start, end in part.cuts]
        self.weights = [drawn[start:end] for start, end in part.cuts]


class LossTerms(NamedTuple):
    """Residual, squared error and the Newton terms of the slope: one row for each of the table."""

    values: NDArray[np.float64]
    slope: float


def loss_terms(
    target: NDArray[np.bool_], score: NDArray[np.float64], fit: tuple[float, float]
) -> LossTerms:
    """Return the terms, shape (n, 2 or 7), around the intercept and slope of `calibration_fit`."""
    residual = target - score
    values = [residual, residual**2]
    intercept, slope = fit
    if np.isfinite(slope):
        x = logit(score)
        expected = 1 / (1 + np.exp(-np.clip(intercept + slope * x, -500, 500)))
        h = expected * (1 - expected)
        off = target - expected
        values += [off, off * x, h, h * x, h * x * x]
    return LossTerms(np.stack(values, axis=1), slope)


class Segments:
    """Rows of one table cut into overlapping segments, ready to be counted under weights.

    Args:
        target: Booleans, shape (n,).
        score: Shape (n,).
        rows: One index array for each segment, **by descending score**; the first one sets the
            thresholds that are chosen by specificity and sensitivity.
        levels: "threshold", "specificity" and "sensitivity": the given one, and what the others
            are chosen for.
        cuts: Thresholds by the same names, where they are to be held instead of chosen.
        terms: `loss_terms` of every row by one fit for all segments; where not given, each
            segment has its own.
        metrics: Which of `METRICS` to count.
    """

    def __init__(
        self,
        target: NDArray[np.bool_],
        score: NDArray[np.float64],
        rows: Sequence[NDArray[np.intp]],
        *,
        levels: dict[str, float],
        cuts: dict[str, float] | None = None,
        terms: LossTerms | None = None,
        metrics: Sequence[str] = tuple(METRICS),
    ) -> None:
        self.metrics = tuple(metrics)
        self._levels = levels
        self._held = cuts
        self._table = target, score, rows
        shares = [METRICS[name].at for name in self.metrics if METRICS[name].proportion]
        self._at_threshold = "threshold" in shares
        self._positive = _Part([one[target[one]] for one in rows], score)
        self._negative = _Part([one[~target[one]] for one in rows], score)
        self._slopes: list[float] | None = None
        self._tie_blocks()
        self._bins = (
            [self._bin_ends(score[one], k) for k, one in enumerate(rows)]
            if "calibration_error" in self.metrics
            else None
        )
        if "brier" in self.metrics or "calibration_slope" in self.metrics:
            self._slopes = []
            for k, one in enumerate(rows):
                fit = terms or loss_terms(target, score, calibration_fit(target[one], score[one]))
                self._slopes.append(fit.slope)
                for part in (self._positive, self._negative):
                    part.terms.append(fit.values.take(part.rows[k], axis=0))

    def _tie_blocks(self) -> None:
        """Find where equal scores of positives begin, and the negatives above and among them."""
        self._blocks: list[NDArray[np.intp]] = []
        self._above: list[NDArray[np.intp]] = []
        self._among: list[NDArray[np.intp]] = []
        for positive, negative in zip(self._positive.keys, self._negative.keys, strict=True):
            fresh = np.flatnonzero(np.diff(positive, prepend=np.nan) != 0)
            levels = positive[fresh]
            self._blocks.append(np.append(fresh, len(positive)))
            self._above.append(np.searchsorted(negative, levels, "left"))
            self._among.append(np.searchsorted(negative, levels, "right"))

    def _bin_ends(
        self, score: NDArray[np.float64], k: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        edges = -calibration_edges(score) if len(score) else np.array([np.inf])
        return (
            np.append(0, np.searchsorted(self._positive.keys[k], edges, "right")),
            np.append(0, np.searchsorted(self._negative.keys[k], edges, "right")),
        )

    def count(self, weight: NDArray[Any]) -> NDArray[np.float64]:
        """Return the figures, shape (metrics, segments), of rows counted ``weight`` times each."""
        if self._slopes is not None:
            weight = weight.astype(np.float64)  # for the products; whole numbers sum faster
        found, wrong = _Counted(self._positive, weight), _Counted(self._negative, weight)
        cuts = self._cuts(found.running[0], wrong.running[0])
        columns = [
            self._count_segment(k, found, wrong, cuts) for k in range(len(self._positive.rows))
        ]
        counted = np.array(columns).T
        self._draw(counted[None], weight[None])
        return counted

    def _draw(self, counted: NDArray[np.float64], weights: NDArray[Any]) -> None:
        """Fill in the figures that no sums give, each from the rows drawn: slower, any figure."""
        added = [m for m, name in enumerate(self.metrics) if name not in COUNTED]
        if not added:
            return
        target, score, rows = self._table
        cuts = self._held or {GIVEN: self._levels[GIVEN]}
        for m in added:
            name = self.metrics[m]
            for r, weight in enumerate(weights.astype(np.intp)):
                for k, one in enumerate(rows):
                    drawn = np.repeat(one, weight[one])
                    counted[r, m, k] = figure(name, target[drawn], score[drawn], cuts)

    def _cuts(self, found: NDArray[Any], wrong: NDArray[Any]) -> dict[str, tuple[float, str]]:
        """Return, for each way to set a threshold, the key to search for and the side."""
        if self._held is not None:
            return {at: (-value, "right") for at, value in self._held.items()}
        cuts: dict[str, tuple[float, str]] = {}
        if self._at_threshold:
            cuts["threshold"] = (-self._levels["threshold"], "right")
        if "sensitivity_at_specificity" in self.metrics and wrong[-1]:
            allowed = (1 - self._levels["specificity"]) * wrong[-1] + 1e-9
            first = int(np.searchsorted(wrong, allowed, "right")) - 1
            keys = self._negative.keys[0]
            cuts["specificity"] = (keys[first] if first < len(keys) else np.inf, "left")
        if "specificity_at_sensitivity" in self.metrics and found[-1]:
            needed = self._levels["sensitivity"] * found[-1] - 1e-9
            last = int(np.searchsorted(found, needed, "left"))
            cuts["sensitivity"] = (self._positive.keys[0][max(last, 1) - 1], "right")
        return cuts

    def _count_segment(
        self, k: int, found: _Counted, wrong: _Counted, cuts: dict[str, tuple[float, str]]
    ) -> list[float]:
        up, down = found.running[k], wrong.running[k]
        p, n = float(up[-1] - up[0]), float(down[-1] - down[0])
        values: dict[str, float] = {}
        if p and n:
            self._rank(values, k, up, down)
        for at, (key, side) in cuts.items():
            tp = up[np.searchsorted(self._positive.keys[k], key, side=side)]  # pyright: ignore
            fp = down[np.searchsorted(self._negative.keys[k], key, side=side)]  # pyright: ignore
            _decide(values, at, (float(tp - up[0]), float(fp - down[0]), p, n))
        if self._slopes is not None and p + n:
            self._lose(values, k, found.weights[k], wrong.weights[k])
        return [values.get(name, np.nan) for name in self.metrics]

    def _rank(
        self, values: dict[str, float], k: int, found: NDArray[Any], wrong: NDArray[Any]
    ) -> None:
        p, n = float(found[-1] - found[0]), float(wrong[-1] - wrong[0])
        upto = found[self._blocks[k]] - found[0]
        high, low = upto[1:], upto[:-1]
        above, among = wrong[self._above[k]] - wrong[0], wrong[self._among[k]] - wrong[0]
        if "auroc" in self.metrics:
            values["auroc"] = 1 - float((high - low) @ (above + among)) / (2 * p * n)
        if "auprc" in self.metrics:
            values["auprc"] = float((high - low) @ (high / np.maximum(high + among, 1))) / p
        if "pauc_isic2024" in self.metrics:
            least = PAUC_SENSITIVITY * p
            top = slice(int(np.searchsorted(high, least, "right")), None)
            high, low, above, among = high[top], low[top], above[top], among[top]
            start = np.maximum(low, least)
            inside = (start - low) / np.maximum(high - low, 1)
            area = (high - start) @ (2 * n - above - (among - above) * inside - among)
            values["pauc_isic2024"] = float(area) / (2 * p * n)
            values["pauc_isic2024_normalised"] = values["pauc_isic2024"] / (1 - PAUC_SENSITIVITY)

    def _lose(
        self,
        values: dict[str, float],
        k: int,
        found: NDArray[np.float64],
        wrong: NDArray[np.float64],
    ) -> None:
        """Add the Brier score, the calibration error, and the slope one Newton step away."""
        terms, others = self._positive.terms[k], self._negative.terms[k]
        total = float(found.sum() + wrong.sum())
        sums = (found @ terms + wrong @ others)[1:]
        values["brier"] = float(sums[0]) / total
        if self._bins is not None:
            of_positive, of_negative = self._bins[k]
            off = _between(terms[:, 0] * found, of_positive) + _between(
                others[:, 0] * wrong, of_negative
            )
            values["calibration_error"] = float(np.abs(off).sum()) / total
        if len(sums) > 1:
            assert self._slopes is not None
            g0, g1, h00, h01, h11 = (float(term) for term in sums[1:])
            size = h00 * h11 - h01 * h01
            if size > 1e-12 * h00 * h11:
                values["calibration_slope"] = self._slopes[k] + (h00 * g1 - h01 * g0) / size


def _between(values: NDArray[np.float64], ends: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the sum of the values from each end to the next."""
    sums = values.cumsum()
    return (
        np.diff(np.where(ends > 0, sums[ends - 1], 0.0)) if len(sums) else np.zeros(len(ends) - 1)
    )


def _decide(values: dict[str, float], at: str, counts: tuple[float, float, float, float]) -> None:
    tp, fp, p, n = counts
    if at == "specificity":
        values["sensitivity_at_specificity"] = tp / p if p else np.nan
    elif at == "sensitivity":
        values["specificity_at_sensitivity"] = 1 - fp / n if n else np.nan
    else:
        values["sensitivity"] = tp / p if p else np.nan
        values["specificity"] = 1 - fp / n if n else np.nan
        values["ppv"] = tp / (tp + fp) if tp + fp else np.nan
        cleared = p + n - tp - fp
        values["npv"] = (n - fp) / cleared if cleared else np.nan
        values["selection_rate"] = (tp + fp) / (p + n) if p + n else np.nan


class Resampler:
    """Draws patients (or rows) with replacement within strata, as weights of the rows.

    Args:
        stratum: A code for every cluster, shape (clusters,).
        cluster: The cluster of every row, shape (n,); None where every row is its own.
    """

    def __init__(self, stratum: NDArray[np.intp], cluster: NDArray[np.intp] | None = None) -> None:
        self._members = np.argsort(stratum, kind="stable")
        sizes = np.bincount(stratum)[stratum[self._members]]
        self._size = sizes.astype(np.float64)  # of the stratum that each draw is from
        self._start = np.searchsorted(stratum[self._members], stratum[self._members], "left")
        self._cluster = cluster
        self.clusters = len(stratum)

    def draw(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Return how often each row is drawn, shape (n,)."""
        picks = (random.random(self.clusters) * self._size).astype(np.intp)
        picks += self._start
        weight = np.bincount(self._members.take(picks), minlength=self.clusters)
        return weight if self._cluster is None else weight.take(self._cluster)

    def blocks(self, count: int) -> list[NDArray[np.int64]]:
        """Return weights that leave out one of ``count`` blocks of clusters, spread over strata."""
        count = min(count, self.clusters)
        block = np.empty(self.clusters, dtype=np.intp)
        block[self._members] = np.arange(self.clusters) % count
        kept = [(block != k).astype(np.int64) for k in range(count)]
        return kept if self._cluster is None else [one.take(self._cluster) for one in kept]


def replicate(
    one: Callable[[np.random.Generator], NDArray[np.float64]],
    *,
    replicates: int,
    seed: int,
    workers: int | None = None,
) -> NDArray[np.float64]:
    """Return ``replicates`` results of ``one``, stacked; the same whatever the number of workers.

    Threads, because numpy lets others run while it sorts and sums; by default two at most.
    """
    streams = np.random.SeedSequence(seed).spawn(-(-replicates // CHUNK))
    workers = workers or min(2, os.cpu_count() or 1)

    def chunk(k: int) -> list[NDArray[np.float64]]:
        random = np.random.Generator(np.random.SFC64(streams[k]))
        return [one(random) for _ in range(min(CHUNK, replicates - k * CHUNK))]

    if workers == 1:
        parts = [chunk(k) for k in range(len(streams))]
    else:
        with ThreadPoolExecutor(workers) as pool:
            parts = list(pool.map(chunk, range(len(streams))))
    return np.stack([result for part in parts for result in part])
