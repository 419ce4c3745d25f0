"""Bootstrap replicates: whole patients drawn again within strata, the same on any machine."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CHUNK = 50  # replicates drawn from one random stream, whatever the number of workers
HALF = np.uint64(32)
WORDS = 1 << 12  # of random bits at once; they stay in the cache
AT_ONCE = 1 << 18  # weights drawn together; larger arrays are mapped again each time, at a cost


class Resampler:
    """Draws patients (or rows) with replacement within strata, as weights of the rows.

    Args:
        stratum: A code for every cluster, shape (clusters,).
        cluster: The cluster of every row, shape (n,); None where every row is its own.
    """

    def __init__(self, stratum: NDArray[np.intp], cluster: NDArray[np.intp] | None = None) -> None:
        self._members = np.argsort(stratum, kind="stable")
        sizes = np.bincount(stratum)[stratum[self._members]]
        self._size = sizes.astype(np.uint64)  # of the stratum that each draw is from
        start = np.searchsorted(stratum[self._members], stratum[self._members], "left")
        self._start = start.astype(np.uint64)
        self._cluster = cluster
        self.clusters = len(stratum)

    def draw(self, random: np.random.Generator, count: int) -> NDArray[np.int32]:
        """Return how often each row is drawn in each of ``count`` draws, shape (count, n)."""
        weights = np.empty((count, self.clusters), dtype=np.int32)
        # Halves of random 64 bits, scaled to the stratum: a bias below one in a billion of a draw
        # of a thousand. Arrays are used again: fresh ones cost more than what is done with them.
        picks = np.empty(self.clusters, dtype=np.uint64)
        drawn = np.empty(self.clusters, dtype=np.intp)
        words = min(WORDS, (self.clusters + 1) // 2)
        parts = [slice(k, k + 2 * words) for k in range(0, self.clusters, 2 * words)]
        for weight in weights:
            for part in parts:
                bits = random.bit_generator.random_raw(words).view(np.uint32)
                size = self._size[part]
                np.multiply(bits[: len(size)], size, out=picks[part])
            np.right_shift(picks, HALF, out=picks)
            np.add(picks, self._start, out=picks)
            self._members.take(picks.view(np.int64), out=drawn, mode="clip")
            weight[:] = np.bincount(drawn, minlength=self.clusters)
        return weights if self._cluster is None else weights.take(self._cluster, axis=1)

    def blocks(self, count: int) -> NDArray[np.int64]:
        """Return weights, shape (blocks, n), that each leave out one block of clusters.

        There are ``count`` blocks, or one per cluster where there are fewer; each is spread over
        the strata.
        """
        count = min(count, self.clusters)
        block = np.empty(self.clusters, dtype=np.intp)
        block[self._members] = np.arange(self.clusters) % count
        kept = (block != np.arange(count)[:, None]).astype(np.int64)
        return kept if self._cluster is None else kept.take(self._cluster, axis=1)


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
