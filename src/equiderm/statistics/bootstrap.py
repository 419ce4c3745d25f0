"""Bootstrap replicates: whole patients drawn again within strata, the same on any machine."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CHUNK = 50  # replicates drawn from one random stream, whatever the number of workers
HALF = np.uint64(32)
WORDS = 1 << 14  # of random bits at once: they and what is made of them stay in the cache
AT_ONCE = 1 << 18  # weights drawn together; larger arrays are mapped again each time, at a cost


class Resampler:
    """Draws patients (or rows) with replacement within strata.

    Args:
        stratum: A code for every cluster, shape (clusters,).
        cluster: The cluster of every row, shape (n,); None where every row is its own.

    Attributes:
        clusters: How many there are.
        place: The column of `draw` and `blocks` that is each row's, shape (n,). Clusters are
            ordered by stratum there: a draw then reads no other table, and stays within a part of
            the memory.
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
            size, start = (one[k : k + 2 * self._words] for one in (sizes, starts))
            if start[0] == start[-1]:  # one stratum: two numbers, that need not be read
                self._parts.append((len(size), size[0], start[0]))
            else:
                self._parts.append((len(size), size, start))
        place = np.empty(self.clusters, dtype=np.intp)
        place[members] = np.arange(self.clusters)
        self.place = place if cluster is None else place[cluster]

    def draw(self, random: np.random.Generator, count: int) -> NDArray[np.int32]:
        """Return how often clusters are drawn in each of ``count`` draws, shape (count, clusters).

        `place` says which of them is each row's.
        """
        weights = np.empty((count, self.clusters), dtype=np.int32)
        # Halves of random 64 bits, scaled to the stratum: a bias below one in a billion of a draw
        # of a thousand. A part at a time: it stays in the cache.
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
        """Return the weights of clusters as those of the rows, shape (count, n)."""
        return weights.take(self.place, axis=1)

    def blocks(self, count: int) -> NDArray[np.int32]:
        """Return weights, shape (blocks, clusters), that each leave out one block of clusters.

        There are ``count`` blocks, or one per cluster where there are fewer; each is spread over
        the strata.
        """
        count = min(count, self.clusters)
        block = np.arange(self.clusters) % count
        return (block != np.arange(count)[:, None]).astype(np.int32)


def replicate(
    some: Callable[[np.random.Generator, int], NDArray[np.float64]],
    *,
    rows: int,
    replicates: int,
    seed: int,
    workers: int | None = None,
) -> NDArray[np.float64]:
    """Return ``replicates`` results; the same whatever the number of workers.

    ``some(random, count)`` returns ``count`` of them, along the first axis, of a table of ``rows``;
    of a large table few are asked for at once. Threads, because numpy lets others run while it
    sorts and sums; by default two at most.
    """
    streams = np.random.SeedSequence(seed).spawn(-(-replicates // CHUNK))
    workers = workers or min(2, os.cpu_count() or 1)

    def chunk(k: int) -> NDArray[np.float64]:
        random = np.random.Generator(np.random.SFC64(streams[k]))
        count, step = min(CHUNK, replicates - k * CHUNK), max(1, AT_ONCE // max(rows, 1))
        return np.concatenate([some(random, min(step, count - j)) for j in range(0, count, step)])

    if workers == 1:
        return np.concatenate([chunk(k) for k in range(len(streams))])
    with ThreadPoolExecutor(workers) as pool:
        return np.concatenate(list(pool.map(chunk, range(len(streams)))))
