"""How long the image store takes to build and open, against decoding each time."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from equiderm.data.images import ImageStore, build_store
from equiderm.data.synthetic import synthesize, write_archive
from equiderm.photo.decode import load_square


def main() -> None:
    """Print build, open and read times of a store of real or, by default, synthetic images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="a folder of images")
    parser.add_argument("--rows", type=int, default=35_000, help="rows of the store to open")
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = arguments.folder
        if folder is None:
            folder = Path(place) / "made"
            write_archive(synthesize(500, size=256), folder)
            folder = folder / "images"
        files = sorted(folder.iterdir())
        frame = pd.DataFrame({"image_id": [f.stem for f in files], "path": list(map(str, files))})
        start = time.perf_counter()
        store, errors = build_store(frame, Path(place) / "a", workers=arguments.workers)
        built = time.perf_counter() - start
        rows = np.random.default_rng(0).permutation(len(store.image_ids))[:256]
        start = time.perf_counter()
        sum(int(store.images[row].sum()) for row in rows)
        mapped = time.perf_counter() - start
        start = time.perf_counter()
        sum(int(load_square(files[row]).sum()) for row in rows)
        decoded = time.perf_counter() - start
        print(f"{len(files)} images built in {built:.1f} s ({len(errors)} unreadable); ", end="")
        print(f"reading them decoded is {decoded / mapped:.0f} times as fast as decoding")
        _open_large(frame, arguments.rows, Path(place) / "b", arguments.workers)


def _open_large(frame: pd.DataFrame, rows: int, place: Path, workers: int | None) -> None:
    many = pd.concat([frame] * (rows // len(frame) + 1), ignore_index=True).head(rows)
    many["image_id"] = [f"{name}_{row}" for row, name in enumerate(many["image_id"])]
    build_store(many, place, size=24, workers=workers)
    start = time.perf_counter()
    store = ImageStore.open(place)
    store.rows(many["image_id"].tail(64))
    print(f"a store of {rows} rows opened in {time.perf_counter() - start:.3f} s")


if __name__ == "__main__":
    main()
