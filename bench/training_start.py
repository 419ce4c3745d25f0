"""From command to first step with a store of 35,000 images, and the host memory that training adds.

    python bench/training_start.py [--images 35000] [--size 256] [--folder /tmp]

The store is built first, by the package, from as many links to one photograph (7 GB at the
defaults, in a temporary folder that is deleted), and is not part of the time. Then `equiderm train`
runs as a user runs it, saving its state after every step: its first file of state ends the time.
Goals: under 15 s to the first step; under 2 GB of memory beyond the page cache. Prints both, and
the start as a multiple of importing torch, timm and Accelerate alone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

EXPERIMENT = """
[method]
name = "clgr"

[backbone]
name = "{backbone}"
weights = "random"

[data]
size = {size}

[training]
epochs = 1
batch_size = 16
checkpoint_steps = 1
"""


def make_manifest(folder, *, images, size):
    """Return a manifest's path and rows: links to one photograph, drawn targets and types."""
    import pandas as pd
    from PIL import Image

    from equiderm.data.manifest import write_manifest

    generator = np.random.default_rng(0)
    photographs = folder / "photographs"
    photographs.mkdir()
    first = photographs / "0.jpg"
    pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((size, size)).save(first, quality=90)
    names = [str(number) for number in range(images)]
    for name in names[1:]:
        (photographs / f"{name}.jpg").symlink_to(first)
    frame = pd.DataFrame(
        {
            "image_id": names,
            "path": [str(photographs / f"{name}.jpg") for name in names],
            "patient_id": names,
            "source": "bench",
            "target": generator.integers(0, 2, images),
            "target_name": "malignant",
            "rater": "drawn",
            "split": "train",
            "fitzpatrick_type": generator.integers(1, 7, images),
        }
    )
    write_manifest(frame, folder / "manifest.parquet")
    return folder / "manifest.parquet"


def watch(process, state, *, seconds):
    """Return seconds to the first step, and GB of private memory at most, then end the process."""
    start = time.perf_counter()
    first, most = None, 0.0
    while first is None or time.perf_counter() - start < first + seconds:
        if process.poll() is not None:
            raise RuntimeError(f"equiderm train ended after {time.perf_counter() - start:.1f} s")
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        private = (line.split()[1] for line in lines if line.startswith(("RssAnon", "RssShmem")))
        most = max(most, sum(map(int, private)) * 1024 / 1e9)
        if first is None and state.exists():
            first = time.perf_counter() - start
        time.sleep(0.02)
    process.kill()
    process.wait()
    return first, most


def main():
    """Print the two figures."""
    from equiderm.data.images import build_store
    from equiderm.data.manifest import read_manifest

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=35_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--backbone", default="test_resnet")
    parser.add_argument("--seconds", type=float, default=10, help="watched after the first step")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as place:
        folder = Path(place)
        manifest = make_manifest(folder, images=args.images, size=args.size)
        store, _ = build_store(read_manifest(manifest), folder / "store", size=args.size)
        experiment = folder / "experiment.toml"
        experiment.write_text(EXPERIMENT.format(backbone=args.backbone, size=args.size))
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch, timm, accelerate"], check=True)
        imports = time.perf_counter() - start
        options = {"--data": manifest, "--store": store.directory, "--out": folder / "run"}
        command = [sys.executable, "-m", "equiderm", "train", experiment]
        command += [part for option in options.items() for part in option]
        process = subprocess.Popen(command, env=os.environ)
        first, memory = watch(process, folder / "run" / "state.safetensors", seconds=args.seconds)
        print(f"command to first step: {first:.1f} s, {first / imports:.2f} x the imports")
        print(f"private memory at most: {memory:.2f} GB (store {store.images.nbytes / 1e9:.1f} GB)")


if __name__ == "__main__":
    main()
