"""How long the search for duplicates takes, against only reading the files' bytes.

Give folders of images; equal file names across folders are taken as the truth that the recall by
picture is counted against.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd

from equiderm.data.duplicates import find_duplicates
from equiderm.data.fingerprints import Fingerprints, near_pairs, take_fingerprints


def main() -> None:
    """Print seconds, ratios, memory and recall."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    if arguments.folders:
        _files(arguments.folders, arguments.workers)
    _hashes(100_000)


def _files(folders: list[Path], workers: int | None) -> None:
    files = [path for folder in folders for path in sorted(folder.iterdir())]
    frame = pd.DataFrame(
        {
            "image_id": [path.stem for path in files],
            "path": [str(path) for path in files],
            "source": [str(path.parent) for path in files],
        }
    )
    start = time.perf_counter()
    for path in files:
        hashlib.sha256(path.read_bytes())
    read = time.perf_counter() - start
    prints = take_fingerprints(frame["path"].tolist(), workers=workers)
    taken = time.perf_counter() - start - read
    near = {tuple(pair) for pair in near_pairs(prints)}
    searched = time.perf_counter() - start - read - taken
    pairs, _ = find_duplicates(frame, workers=workers)
    n, same_id = len(files), pairs[pairs["same_id"] & (pairs["source_a"] != pairs["source_b"])]
    found = [pair in near for pair in same_id[["row_a", "row_b"]].itertuples(index=False)]
    print(f"{n} images: {taken:.1f} s fingerprints ({1e3 * taken / n:.1f} ms each), ", end="")
    print(f"{taken / read:.1f} times reading and hashing the bytes; {searched:.1f} s search")
    print(
        f"same id across folders: {sum(found)} of {len(found)} are candidates by picture, ", end=""
    )
    print(f"{int(same_id['same_picture'].sum())} confirmed")
    print(f"same picture, other id: {int((pairs['same_picture'] & ~pairs['same_id']).sum())}")


def _hashes(n: int) -> None:
    """Search n made-up fingerprints, crowded as those of one kind of picture are."""
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 2**63, n // 50, dtype=np.uint64)
    hashes = np.repeat(rng.choice(centres, n)[:, None], 2, axis=1)
    for _ in range(8):
        hashes ^= np.uint64(1) << rng.integers(0, 64, n, dtype=np.uint64)[:, None]
    thumbs = rng.integers(0, 255, (n, 2, 32, 32), dtype=np.uint8)
    start = time.perf_counter()
    near_pairs(Fingerprints([""] * n, hashes, thumbs, {}))
    searched = time.perf_counter() - start
    start = time.perf_counter()
    for row in range(200):
        np.bitwise_count(hashes[row, 0] ^ hashes[:, 0])
    brute = (time.perf_counter() - start) / 200 * n
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{n} fingerprints: searched in {searched:.1f} s, one by one against all {brute:.0f} s ",
        end="",
    )
    print(f"({brute / searched:.1f} times as long); peak memory {peak:.2f} GB")


if __name__ == "__main__":
    main()
