"""Bootstrap replicates: patients resampled within strata, with the same results on any machine."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CHUNK = 50  # replicates per random stream, whatever the number of workers
HALF = np.uint64(32)
WORDS = 1 << 14  # 64-bit random words per call: they and their products fit in the cache
AT_ONCE = 1 << 18  # weights per array: the system maps a larger one anew each time, at a cost


class Resampler:
    """Draws patients (or rows) with replacement within strata.

    Args:
        stratum: A code for every cluster, shape (clusters,).
        cluster: The cluster of every row, shape (n,); None where every row is its own.

    Attributes:
        clusters: Number of clusters.
        place: Each row's column in the results of `draw` and `blocks`, shape (n,). Their columns
            are ordered by stratum, so that a draw needs no lookup and its memory accesses stay
            close together.
    """

    def __init__(self, stratum: NDArray[np.intp], cluster: NDArray[np.intp] | None = None) -> None:
        self.clusters = len(stratum)
        members = np.argsort(stratum, kind="stable")
        ordered = stratum[members]
        sizes = np.bincount(stratum)[ordered].astype(np.uint64)  # of each draw's stratum
        starts = np.searchsorted(ordered, ordered, "left").astype(np.uint64)
        self._words = min(WORDS, (self.clusters + 1) // 2)
        self._parts: list[tuple[int, Any, Any]] = []
        for k in range(0, self.clusters, 2 * self._words):
            size, start = (values[k : k + 2 * self._words] for values in (sizes, starts))
            if start[0] == start[-1]:  # one stratum: two scalars replace the arrays
                self._parts.append((len(size), size[0], start[0]))
            else:
                self._parts.append((len(size), size, start))
        place = np.empty(self.clusters, dtype=np.intp)
        place[members] = np.arange(self.clusters)
        self.place = place if cluster is None else place[cluster]

    def draw(self, random: np.random.Generator, count: int) -> NDArray[np.int32]:
        """Return how often each cluster is drawn in ``count`` draws, shape (count, clusters).

        `place` gives each row's column.
        """
        weights = np.empty((count, self.clusters), dtype=np.int32)
        # Halves of 64 random bits, scaled to the size of the stratum: with a thousand clusters a
        # probability is off by less than one part in a million. One part at a time fits the cache.
        picks = np.empty(2 * self._words, dtype=np.uint64)
        once = np.int32(1)
        for weight in weights:
            weight.fill(0)
            for length, size, start in self._parts:
                bits = random.bit_generator.random_raw(self._words).view(np.uint32)
                pick = picks[:length]
                np.multiply(bits[:length], size, out=pick)
                np.right_shift(pick, HALF, out=pick)
                np.add(pick, start, out=pick)
                np.add.at(weight, pick.view(np.int64), once)
        return weights

    def rows(self, weights: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the weight of each row from those of the clusters, shape (count, n)."""
        return weights.take(self.place, axis=1)

    def blocks(self, count: int) -> NDArray[np.int32]:
        """Return weights, shape (blocks, clusters), that each leave out one block of clusters.

        There are ``count`` blocks, or one per cluster if there are fewer clusters. Each block is
        spread over the strata.
        """
        count = min(count, self.clusters)
        block = np.arange(self.clusters) % count
        return (block != np.arange(count)[:, None]).astype(np.int32)


def replicate(
    statistic: Callable[[np.random.Generator, int], NDArray[np.float64]],
    *,
    rows: int,
    replicates: int,
    seed: int,
    workers: int | None = None,
) -> NDArray[np.float64]:
    """Return ``replicates`` bootstrap results, the same whatever the number of workers.

    Args:
        statistic: ``statistic(random, count)`` returns ``count`` results along the first axis.
        rows: Rows of the table: the more it has, the fewer results are asked for in one call.
        replicates: Number of results.
        seed: Seed of the random streams.
        workers: Threads (numpy releases the lock while it sorts and sums); two at most by default.
    """
    streams = np.random.SeedSequence(seed).spawn(-(-replicates // CHUNK))
    workers = workers or min(2, os.cpu_count() or 1)

    def chunk(k: int) -> NDArray[np.float64]:
        random = np.random.Generator(np.random.SFC64(streams[k]))
        count, step = min(CHUNK, replicates - k * CHUNK), max(1, AT_ONCE // max(rows, 1))
        parts = [statistic(random, min(step, count - j)) for j in range(0, count, step)]
        return np.concatenate(parts)

    if workers == 1:
        return np.concatenate([chunk(k) for k in range(len(streams))])
    with ThreadPoolExecutor(workers) as pool:
        return np.concatenate(list(pool.map(chunk, range(len(streams)))))
