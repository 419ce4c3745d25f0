"""Speed of `equiderm label` as ratios within one run, one thread unless said.

    python bench/labelling.py FOLDER_256 FOLDER_LARGE [--images 600]
    python bench/labelling.py --device cuda [FOLDER] [--images 2000]

FOLDER_256 holds 256 px JPEGs, FOLDER_LARGE JPEGs of over 2,000 px (smaller ones are passed over).
Prints, each as the median of several rounds: ours against the plain oracle of `tests/oracle.py`
with the labels compared; the multiple of decoding alone; two workers against one; and how much the
peak memory grows from 1,000 to 20,000 images.

With ``--device`` it prints instead the images per second of the command with and without it, each
once on every core, and how many bands differ: of FOLDER's files, each named several times until
there are enough, or of drawings of three sizes.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests import oracle
from tests.tone.pictures import skin_picture

from equiderm.tone import estimate

Work = Callable[[Path], object]


def median_ratio(slow: Work, fast: Work, paths: list[Path], rounds: int) -> tuple[float, float]:
    """Return slow/fast and ms an image of fast, as medians of rounds taken in turn."""
    ratios: list[float] = []
    seconds: list[float] = []
    for _ in range(rounds):
        times: list[float] = []
        for work in (slow, fast):
            start = time.process_time()
            for path in paths:
                work(path)
            times.append(time.process_time() - start)
        ratios.append(times[0] / times[1])
        seconds.append(times[1])
    return statistics.median(ratios), 1000 * statistics.median(seconds) / len(paths)


def plain(path: Path) -> str:
    return oracle.label(Image.open(path))[1]


def ours(path: Path) -> str | None:
    return estimate(path).ita_band


def exact(path: Path) -> str | None:
    return estimate(path, exact=True).ita_band


def decode_pillow(path: Path) -> object:
    return np.asarray(Image.open(path).convert("RGB"))


def decode_opencv(path: Path) -> object:
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def decode_reduced(path: Path) -> object:
    blob = path.read_bytes()
    side, scale = min(Image.open(io.BytesIO(blob)).size), 1
    while scale < 8 and side // (2 * scale) >= 512:
        scale *= 2
    flag = {1: 1, 2: 17, 4: 33, 8: 65}[scale]
    return cv2.imdecode(np.frombuffer(blob, np.uint8), flag)


def compare(name: str, paths: list[Path], floors: dict[str, Work], rounds: int) -> None:
    changed = {work.__name__: sum(plain(p) != work(p) for p in paths) for work in (ours, exact)}
    ratio, cost = median_ratio(plain, ours, paths, rounds)
    print(f"{name}: {len(paths)} images, {cost:.2f} ms each, {ratio:.1f} times the plain oracle")
    print(f"  labels changed: {changed['ours']} by default, {changed['exact']} with --exact")
    for label, floor in floors.items():
        multiple, _ = median_ratio(ours, floor, paths, rounds)
        print(f"  {multiple:.2f} times the cost of decoding alone ({label})")


def run_command(folder: Path, workers: int) -> float:
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "equiderm", "label", str(folder), "--workers"]
        start = time.perf_counter()
        subprocess.run(
            [*command, str(workers), "-o", f"{out}/t.parquet"], check=True, capture_output=True
        )
        return time.perf_counter() - start


def links(paths: list[Path], count: int, folder: Path) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:06d}.jpg").symlink_to(paths[number % len(paths)].resolve())
    return folder


def workers(paths: list[Path], folder: Path, rounds: int) -> None:
    many = links(paths, 8000, folder / "many")
    ratios = [run_command(many, 1) / run_command(many, 2) for _ in range(rounds)]
    print(f"two workers against one, 8,000 images: {statistics.median(ratios):.2f} times as fast")


def memory(paths: list[Path], folder: Path) -> None:
    peaks: list[float] = []
    for count in (1000, 20_000):
        images = links(paths, count, folder / str(count))
        code = (
            "import sys, resource; from equiderm.cli import main\n"
            "try: main()\nexcept SystemExit: pass\n"
            "print(max(resource.getrusage(w).ru_maxrss for w in (0, -1)), file=sys.stderr)"
        )
        out = folder / f"{count}.parquet"
        command = [sys.executable, "-c", code, "label", str(images), "-o", str(out)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(int(done.stderr.split()[-1]) / 1024)
    print(f"peak memory of the largest process: {peaks[0]:.0f} MB at 1,000 images, ", end="")
    print(f"{peaks[1]:.0f} MB at 20,000: {peaks[1] - peaks[0]:+.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder_256", type=Path, nargs="?")
    parser.add_argument("folder_large", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device")
    options = parser.parse_args()
    if options.device:
        on_device(options.device, options.folder_256, options.images)
        return
    if options.folder_256 is None:
        print("needs photographs: python bench/labelling.py FOLDER_256 FOLDER_LARGE")
        return
    cv2.setNumThreads(1)
    print(f"{os.cpu_count()} cores, OpenCV {cv2.__version__}, Pillow {Image.__version__}")
    small = sorted(options.folder_256.rglob("*.jpg"))
    some = small[:: max(1, len(small) // options.images)]
    compare("256 px", some, {"OpenCV": decode_opencv, "Pillow": decode_pillow}, options.rounds)
    if options.folder_large:
        large = [p for p in sorted(options.folder_large.rglob("*.jpg")) if is_large(p)]
        floors = {"reduced, OpenCV": decode_reduced, "full, OpenCV": decode_opencv}
        compare("over 2,000 px", large, floors, max(2, options.rounds // 2))
    with tempfile.TemporaryDirectory() as folder:
        workers(small, Path(folder), options.rounds)
        memory(small, Path(folder))
    print(f"peak of this script: {resource.getrusage(0).ru_maxrss / 1024:.0f} MB")


def rate(folder: Path, method: str, device: str | None) -> tuple[float, pd.DataFrame]:
    """Return images per second of a whole run of the command, its start included, and its table."""
    with tempfile.TemporaryDirectory() as out:
        table = f"{out}/t.parquet"
        command = [sys.executable, "-m", "equiderm", "label", str(folder), "-o", table, "-q"]
        command += ["--method", method, *(["--device", device] if device else [])]
        start = time.perf_counter()
        done = subprocess.run(command, check=False)
        seconds = time.perf_counter() - start
        if done.returncode > 1:
            raise SystemExit(done.returncode)
        tones = pd.read_parquet(table)
    return len(tones) / seconds, tones


def draw(folder: Path, width: int, height: int, count: int) -> Path:
    """Draw 50 hairy pictures and name each several times, until there are enough."""
    folder.mkdir()
    for number in range(min(count, 50)):
        lab = (30 + number, 12.0, 16.0)
        size = {"width": width, "height": height, "seed": number}
        picture = skin_picture(lab, hairs=12, hair_width=0.008, shade=0.1, **size)
        Image.fromarray(picture).save(folder / f"{number}.jpg", quality=90)
    return links(sorted(folder.iterdir()), count, folder.with_name(f"{folder.name}-all"))


def on_device(device: str, given: Path | None, count: int) -> None:
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else "the CPU"
    print(f"device {device}: {name}; without it: {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as place:
        folders = [links(sorted(given.iterdir()), count, Path(place, given.name))] if given else []
        for width, height in [] if given else [(600, 450), (1024, 768), (4000, 3000)]:
            some = count if width < 4000 else max(count // 10, 1)
            folders.append(draw(Path(place, f"{width}x{height}"), width, height, some))
        for folder in folders:
            for method in ("patch-max", "robust"):
                slow, plain = rate(folder, method, None)
                fast, tones = rate(folder, method, device)
                changed = (plain["ita_band"].fillna("") != tones["ita_band"].fillna("")).mean()
                print(f"{folder.name}, {method}: {len(plain)} images")
                print(f"  per second {slow:.0f} without, {fast:.0f} with: {fast / slow:.2f} times")
                print(f"  {100 * changed:.2f} % of the bands differ", flush=True)


def is_large(path: Path) -> bool:
    with Image.open(path) as image:
        return max(image.size) > 2000


if __name__ == "__main__":
    main()
