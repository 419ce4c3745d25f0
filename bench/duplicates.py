"""How many copies of each kind the search for duplicates finds, and how long it takes.

    python bench/duplicates.py [FOLDER ...] [--copies 100] [--others 300] [--hashes]
    python bench/duplicates.py FOLDER ... --write OUT --images 100000    # photographs to search

Copies are made of drawn images, or of those of the first FOLDER, each kind of its own, and looked
for among the originals and others. Times are ratios to only reading the files' bytes; equal file
names across folders are taken as the truth that the recall by picture is counted against.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from equiderm.data.duplicates import find_duplicates
from equiderm.data.fingerprints import Fingerprints, near_pairs, take_fingerprints
from equiderm.data.split import units
from equiderm.data.synthetic import synthesize

Pixels = NDArray[np.uint8]


def main() -> None:
    """Print seconds, ratios, memory and recall."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--copies", type=int, default=100, help="of each kind")
    parser.add_argument("--others", type=int, default=300, help="images without a copy")
    parser.add_argument("--hashes", action="store_true", help="search 100,000 made-up hashes, too")
    parser.add_argument("--write", type=Path, help="write so many photographs, and search nothing")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    if arguments.write:
        _write(arguments.folders, arguments.write, arguments.images)
        return
    _kinds(arguments.folders[:1], arguments.copies, arguments.others, arguments.workers)
    if len(arguments.folders) > 1:
        _files(arguments.folders, arguments.workers)
    if arguments.hashes:
        _hashes(100_000)


def _write(folders: list[Path], out: Path, count: int) -> None:
    """Write the folders' JPEGs, and others of 200 x 150 pixels that are no copies of them.

    Those are turned by 20 to 70 degrees (and by right angles), mirrored, cut to half, bent and
    recoloured, so that no copy that is looked for explains them; a part that two of them share may
    be found all the same, rightly. A name begins with its version's number, 0 for originals.
    """
    out.mkdir(parents=True)
    sources = sorted(path for folder in folders for path in folder.glob("*.jpg"))
    for path in sources:
        shutil.copyfile(path, out / f"0_{path.name}")
    random = np.random.default_rng(5)
    rows, columns = np.mgrid[0:150, 0:200].astype(np.float32)
    for k in range(count - len(sources)):
        path = sources[k % len(sources)]
        image = cv2.resize(cv2.imread(str(path)), (200, 150), interpolation=cv2.INTER_AREA)
        angle = np.deg2rad(random.uniform(20, 70) + 90 * random.integers(4))
        zoom, mirror = random.uniform(0.4, 0.6), random.choice([-1, 1])
        x0, y0 = 100 + random.uniform(-24, 24), 75 + random.uniform(-18, 18)
        across, down = (columns - 100) * zoom * mirror, (rows - 75) * zoom
        bend = ((columns - 100) ** 2 + (rows - 75) ** 2) / 200**2
        bend = 1 + random.uniform(-0.25, 0.25) * bend
        x = x0 + (across * np.cos(angle) - down * np.sin(angle)) * bend
        y = y0 + (across * np.sin(angle) + down * np.cos(angle)) * bend
        place = x.astype(np.float32), y.astype(np.float32)
        image = cv2.remap(image, *place, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        gains, power = random.uniform(0.85, 1.15, 3), random.uniform(0.8, 1.25)
        image = np.clip(255 * (image / 255) ** power * gains, 0, 255).astype(np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(75, 95))]
        cv2.imwrite(str(out / f"{1 + k // len(sources)}_{path.name}"), image, quality)


def _crop(share: float, anywhere: bool = True) -> Callable[[Pixels, np.random.Generator], Pixels]:
    def crop(image: Pixels, random: np.random.Generator) -> Pixels:
        sides = np.array(image.shape[:2])
        kept = np.round(sides * (1 - share)).astype(int)
        y, x = random.integers(0, sides - kept + 1) if anywhere else (sides - kept) // 2
        return image[y : y + kept[0], x : x + kept[1]]

    return crop


def _turn(image: Pixels, random: np.random.Generator) -> Pixels:
    height, width = image.shape[:2]
    angle = random.uniform(2, 8) * random.choice([-1, 1])
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    return cv2.warpAffine(image, matrix, (width, height))


def _strips(image: Pixels, random: np.random.Generator) -> Pixels:
    image, height = image.copy(), image.shape[0]
    deep = round(height * random.uniform(0.06, 0.14))
    image[:deep] = image[height - deep :] = 0
    return image


def _framed(image: Pixels, random: np.random.Generator) -> Pixels:
    deep = round(image.shape[0] * random.uniform(0.1, 0.2))
    return cv2.copyMakeBorder(image, deep, deep, 0, 0, cv2.BORDER_CONSTANT)


def _watermark(image: Pixels, random: np.random.Generator) -> Pixels:
    height, width = image.shape[:2]
    place = (round(0.08 * width), round(height * random.uniform(0.3, 0.8)))
    marked, thick = image.copy(), max(1, width // 130)
    cv2.putText(
        marked, "(c) an archive", place, 0, width / 280, (255, 255, 255), thick, cv2.LINE_AA
    )
    return np.uint8(0.4 * image + 0.6 * marked)  # type: ignore[return-value]


KINDS: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "recompressed": lambda image, _: image,
    "half the size": lambda image, _: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=3),
    **{f"mirrored {way}": lambda image, _, way=way: cv2.flip(image, way) for way in (0, 1)},
    **{f"turned {90 * q}": lambda image, _, q=q: np.rot90(image, q) for q in (1, 2, 3)},
    "transposed": lambda image, _: image.swapaxes(0, 1),
    "transposed, turned 180": lambda image, _: np.rot90(image.swapaxes(0, 1), 2),
    **{f"centre crop {share} %": _crop(share / 100, False) for share in (5, 10, 20)},
    **{f"crop {share} % anywhere": _crop(share / 100) for share in (10, 20)},
    "turned 2 to 8 degrees": _turn,
    "watermark": _watermark,
    "black strips laid on": _strips,
    "black strips beside": _framed,
    "28 copies": lambda image, _: image,
}


def _kinds(folder: list[Path], copies: int, others: int, workers: int | None) -> None:
    """Print how many copies of each kind are found, and how many pairs are none."""
    if folder:
        files = sorted(path for path in folder[0].rglob("*") if path.suffix in (".jpg", ".png"))
        chosen = np.random.default_rng(0).permutation(len(files))[: copies + others]
        images = [cv2.imread(str(files[number])) for number in chosen]
    else:
        drawn = synthesize(copies + others, size=256, seed=7, workers=workers).images
        images = [image[32:224, :, ::-1] for image in drawn]
    print(f"{'kind':24} found of {copies}, pairs that are none")
    for kind, make in KINDS.items():
        with tempfile.TemporaryDirectory() as place:
            names: list[str] = []

            def keep(name: str, image: Pixels, ending: str, place: str = place) -> None:
                path = f"{place}/{name}{ending}"
                quality = [cv2.IMWRITE_JPEG_QUALITY, 85] if ending == ".jpg" else []
                cv2.imwrite(path, image, quality)
                names.append(path)  # noqa: B023

            for number, image in enumerate(images):
                keep(f"{number:05}-original", image, ".png")
            random, each = np.random.default_rng(1), 28 if kind == "28 copies" else 1
            for number in range(copies // each):
                for copy in range(each):
                    keep(f"{number:05}-{copy}", make(images[number], random), ".jpg")
            frame = pd.DataFrame({"image_id": [Path(name).stem for name in names], "path": names})
            pairs, _ = find_duplicates(frame, workers=workers)
            of = frame["image_id"].str[:5].to_numpy()
            rows = pairs[["row_a", "row_b"]].to_numpy()
            true = of[rows[:, 0]] == of[rows[:, 1]]
            group = units(frame[[]], same=pairs[true])
            linked = group[len(images) :] == group[of[len(images) :].astype(int)]
            print(f"{kind:24} {linked.sum():3} of {len(linked)}, {(~true).sum()}", flush=True)


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
    colours, frames = np.zeros((n, 0), np.float16), [None] * n
    near_pairs(
        Fingerprints([""] * n, hashes, thumbs, {}, colours, frames, np.zeros((n, 0), np.int8))
    )
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
