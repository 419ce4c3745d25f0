"""What label, duplicates, embed and audit cost as images and rows grow: processor seconds, memory.

Every measurement is a process of its own with one thread, so that its peak memory is its own; the
processor seconds of a busy machine are those of an idle one within noise. Images are made up:
smooth random colours, of which no two are alike, so that what `duplicates` costs is that of a set
without any. `order` is the exponent between two sizes: 1 is linear, 2 quadratic.

    python bench/scale.py
    python bench/scale.py --jobs audit,table --sizes 1000,10000,100000,1000000
    python bench/scale.py --jobs label --side 133x133 --sizes 1000,10000,100000
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

SIZES = {
    "label": (500, 2_000, 8_000),
    "duplicates": (1_000, 4_000, 16_000),
    "colours": (20_000, 40_000, 80_000),
    "hashes": (20_000, 80_000, 320_000),
    "embed": (100, 400),
    "embed_tiny": (2_000, 8_000, 32_000),
    "predict": (2_000, 8_000, 32_000),
    "features": (10_000, 50_000, 200_000),
    "audit": (1_000, 10_000, 100_000, 1_000_000),
    "table": (10_000, 100_000, 1_000_000),
    "parts": (10_000, 100_000, 1_000_000),
}
SIDES = {"label": (1024, 768), "duplicates": (256, 192), "embed": (256, 192)}
SIDES |= {"predict": (40, 40), "embed_tiny": (40, 40)}
TINY = {"backbone": {"name": "test_resnet", "weights": "random"}, "data": {"size": 32}}


def draw(folder: Path, n: int, width: int, height: int) -> None:
    """Write n images of smooth random colours, with the grain of a sensor."""
    import cv2

    random = np.random.default_rng(0)
    grain = np.empty((height, width, 3), np.int16)
    folder.mkdir()
    for k in range(n):
        small = random.normal(random.uniform(60, 200, 3), 40, (9, 12, 3)).clip(0, 255)
        picture = cv2.resize(small.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
        picture = cv2.add(picture, cv2.randn(grain, 0, 6), dtype=cv2.CV_8U)
        cv2.imwrite(str(folder / f"{k:07d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])


def label(folder: Path, n: int) -> None:
    import equiderm

    equiderm.label(folder / "images", workers=1, output=folder / "t.parquet")


def table(folder: Path, n: int, name: str = "t.parquet") -> None:
    """Write the table of n images whose parts are all there, as after a late kill."""
    import pyarrow as pa

    from equiderm.tone.table import Settings, in_order, newest, write_labels

    schema = Settings().part_schema
    names = [f"images/{k:07d}.jpg" for k in range(n)]
    random = np.random.default_rng(0)
    row = {
        name: pa.array(random.normal(size=n)) for name in ("L", "a", "b", "hue", "ita", "spread")
    }
    row |= {"image": names, "file": [os.fsencode(one) for one in names], "stamp": ["1 2 3"] * n}
    patches = pa.ListArray.from_arrays(np.arange(n + 1) * 8, random.normal(size=8 * n))
    row |= {"patch_ita": patches, "ita_band": ["3"] * n, "tone_flags": [""] * n}
    columns = [
        pa.array(row[field.name], field.type) if field.name in row else pa.nulls(n, field.type)
        for field in schema
    ]
    rows = in_order(newest([pa.table(columns, schema=schema)]), names)
    write_labels(rows, folder / name, Settings()).to_pandas()


def parts(folder: Path, n: int) -> None:
    """Write the same as a folder of Parquet files."""
    table(folder, n, "t")


def duplicates(folder: Path, n: int) -> None:
    from equiderm.data.duplicates import find_duplicates, read_images

    find_duplicates(read_images(folder / "images"), workers=1)


def colours(folder: Path, n: int) -> None:
    """Look for pairs of like colours among n made-up histograms: what of `duplicates` is n x n."""
    from equiderm.data.placement import COLOUR_BINS, pairs_of_like_colours

    random = np.random.default_rng(0)
    histograms = np.zeros((n, COLOUR_BINS), np.float16)
    for start in range(0, n, 4096):
        part = random.exponential(size=(min(4096, n - start), COLOUR_BINS)) ** 4
        histograms[start : start + 4096] = part / np.linalg.norm(part, axis=1, keepdims=True)
    pairs_of_like_colours(histograms, np.arange(n))


def hashes(folder: Path, n: int) -> None:
    """Look for near hashes among n made-up ones."""
    from equiderm.data.fingerprints import Fingerprints, near_pairs

    random = np.random.default_rng(0)
    bits = random.integers(0, 2**63, (n, 2), dtype=np.uint64)
    thumbs = random.integers(0, 255, (n, 2, 32, 32), dtype=np.uint8)
    none = np.zeros((n, 0), np.float16)
    near_pairs(Fingerprints([""] * n, bits, thumbs, {}, none, [None] * n, none.astype(np.int8)))


def embed(folder: Path, n: int, backbone: str = "tf_efficientnet_lite0", size: int = 224) -> None:
    from equiderm.cli.embed import embed as command

    images, output = [folder / "images"], folder / "features.parquet"
    command(backbone, images, output, weights="random", size=size, quiet=True)


def embed_tiny(folder: Path, n: int) -> None:
    """Compute the features of a tiny network, so that everything else is what counts."""
    embed(folder, n, "test_resnet", 32)


def run_of(folder: Path, experiment: dict[str, object], images: object) -> Path:
    """Train a run for one epoch of 64 rows of made-up targets."""
    from equiderm.training import experiment_from, fit

    names = [f"{k:07d}" for k in range(64)]
    rows = pd.DataFrame({"image_id": names, "split": "train", "fitzpatrick_type": 1})
    rows = rows.assign(target=np.arange(64) % 2, fitzpatrick_type=np.arange(64) % 3 + 1)
    one = {"epochs": 1, "batch_size": 16, "tracker": "none"}
    return fit(experiment_from(experiment | {"training": one}), rows, folder / "run", images=images)


def predict(folder: Path, n: int) -> None:
    """Score n images with a tiny network, 1,000 decoded at a time."""
    from equiderm.data.duplicates import read_images
    from equiderm.training import ArrayImages, parts

    noise = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)
    run = run_of(folder, TINY, ArrayImages(noise, [f"{k:07d}" for k in range(64)]))
    parts.AT_ONCE = 1_000
    job = parts.Job(str(run), None, 32, decoders=1)
    done = parts.in_parts(job, read_images(folder / "images"), workers=1)
    pd.concat([one.table for one in done]).to_parquet(folder / "scores.parquet")


def features(folder: Path, n: int) -> None:
    """Score n rows of 256 features."""
    from equiderm.training import Features
    from equiderm.training import predict as score

    names = [f"{k:07d}" for k in range(n)]
    values = np.random.default_rng(0).normal(size=(n, 256)).astype(np.float32)
    store = Features(values, names)
    run = run_of(folder, {"backbone": {"name": "features"}}, store)
    score(run, store, pd.DataFrame({"image_id": names})).to_parquet(folder / "scores.parquet")


def audit(folder: Path, n: int) -> None:
    from equiderm.audit import audit as measure

    random = np.random.default_rng(0)
    target = random.random(n) < 0.1
    frame = pd.DataFrame(
        {
            "target": target.astype(int),
            "score": 1 / (1 + np.exp(-random.normal(2 * target - 2, 1.5))),
            "ita_band": random.integers(1, 7, n),
            "patient_id": [f"p{k // 3}" for k in range(n)],
        }
    )
    measure(frame, by="ita_band", patient="patient_id").to_html()


JOBS = {
    one.__name__: one
    for one in (
        label,
        table,
        parts,
        duplicates,
        colours,
        hashes,
        embed,
        embed_tiny,
        predict,
        features,
        audit,
    )
}


def usage() -> tuple[float, float]:
    """Return processor seconds, with those of processes that have ended, and peak memory in MB."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(one.ru_utime + one.ru_stime for one in both)
    # not ru_maxrss, which begins with that of the process that started this one
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert peak is not None
    return seconds, int(peak[1]) / 1024


def run_one(job: str, folder: Path, n: int) -> None:
    """Do a job and print what it cost, without what starting and importing do."""
    before = usage()[0]
    JOBS[job](folder, n)
    seconds, memory = usage()
    print(json.dumps({"seconds": seconds - before, "memory": memory}))


def measure(job: str, n: int) -> dict[str, float]:
    """Return what a job of n costs, in a process of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if job in SIDES:
            draw(folder / "images", n, *SIDES[job])
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--one", job, str(folder), str(n)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        disk = sum(one.stat().st_size for one in folder.rglob("*") if "images" not in one.parts)
        return json.loads(done.stdout.splitlines()[-1]) | {"disk": disk / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", default=",".join(JOBS))
    parser.add_argument("--sizes", default="")
    parser.add_argument("--side", default="", help="of the images, such as 133x133")
    parser.add_argument("--one", nargs=3, metavar=("JOB", "DIR", "N"))
    options = parser.parse_args()
    if options.one:
        job, folder, n = options.one
        run_one(job, Path(folder), int(n))
        return
    if options.side:
        width, height = (int(one) for one in options.side.split("x"))
        SIDES.update(dict.fromkeys(SIDES, (width, height)))
    print("| job | n | processor s | ms per item | order | memory, MB | disk, MB |")
    print("|---|---|---|---|---|---|---|")
    for job in options.jobs.split(","):
        last: tuple[int, float] | None = None
        for n in [int(one) for one in options.sizes.split(",") if one] or SIZES[job]:
            cost = measure(job, n)
            seconds = cost["seconds"]
            order = "–" if last is None else f"{math.log(seconds / last[1], n / last[0]):.2f}"
            last = (n, seconds)
            print(
                f"| {job} | {n:,} | {seconds:,.1f} | {1000 * seconds / n:.2f} | {order} "
                f"| {cost['memory']:,.0f} | {cost['disk']:,.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
