"""From command to first step with a store of 35,000 images, and the host memory that training adds.

    python bench/training_start.py [--images 35000] [--size 256]

The store is written first (random bytes, 7 GB at the defaults, in a temporary folder) and is not
part of the time. Goals: under 15 s to the first step; under 2 GB of memory beyond the page cache.
Prints both, and the start as a multiple of importing torch and timm alone.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CHILD = """
import sys, time
import numpy as np, pandas as pd
from pathlib import Path
from equiderm.training import experiment_from, fit

class Store:
    def __init__(self, path, n, size):
        self.images = np.memmap(path, np.uint8, mode="r", shape=(n, size, size, 3))
    def rows(self, image_ids):
        return np.array([int(name) for name in image_ids])

path, n, size, out, backbone = sys.argv[1:]
n, size = int(n), int(size)
frame = pd.read_parquet(Path(path).with_name("manifest.parquet"))
experiment = experiment_from({
    "method": {"name": "clgr"}, "backbone": {"name": backbone, "weights": "random"},
    "data": {"size": size}, "training": {"epochs": 1, "tracker": "none", "batch_size": 16},
})

def private():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(l for l in lines if l.startswith("RssAnon")).split()[1]) / 1e6

def watch(progress):
    if progress.step == 1:
        print("first", flush=True)
    if progress.step == 25:
        print(f"memory {private():.2f}", flush=True)
        raise SystemExit

fit(experiment, frame, Path(out), images=Store(path, n, size), watch=watch)
"""


def main():
    """Print the two figures."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=35_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--backbone", default="test_resnet")
    args = parser.parse_args()
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.bin"
        with path.open("wb") as file:
            for _ in range(0, args.images, 500):
                file.write(generator.bytes(500 * args.size * args.size * 3))
        frame = pd.DataFrame(
            {
                "image_id": [str(n) for n in range(args.images)],
                "target": generator.integers(0, 2, args.images),
                "split": "train",
                "fitzpatrick_type": generator.integers(1, 7, args.images),
            }
        )
        frame.to_parquet(path.with_name("manifest.parquet"))
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch, timm, accelerate"], check=True)
        imports = time.perf_counter() - start
        arguments = [str(path), str(args.images), str(args.size), f"{folder}/run", args.backbone]
        start = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("first"):
                first = time.perf_counter() - start
                print(f"command to first step: {first:.1f} s, {first / imports:.2f} x the imports")
            elif line.startswith("memory"):
                size = path.stat().st_size / 1e9
                print(f"private memory after 25 steps: {line.split()[1]} GB (store {size:.1f} GB)")
        child.wait()


if __name__ == "__main__":
    main()
