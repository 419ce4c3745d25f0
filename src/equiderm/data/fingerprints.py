"""What tells one photograph from another: bytes, a perceptual hash, and its pixels."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import imagehash
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from PIL import Image, ImageOps

THUMB = 32  # pixels of a thumbnail's side, what the perceptual hash is made of
DETAIL = 128  # pixels of a side at which two pictures are compared
HASH_DISTANCE = 7  # of 64 bits; at most 7 differ, so one of 8 bytes is the same
LIKE = 0.94  # correlation of two thumbnails below which no further look is taken
SAME = 0.5  # correlation of fine detail from which two files show one picture
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Fingerprints:
    """Of n images; those that cannot be read have an error and match nothing.

    Attributes:
        sha256: Of each file, hexadecimal; "" where the file is not there.
        hashes: uint64, shape (n, 2): of the whole frame drawn to a square, and of its centre
            square, so that stretched and cropped copies meet their originals.
        thumbs: uint8 gray, shape (n, 2, 32, 32), of the same two.
        errors: Why an image cannot be read, by row.
    """

    sha256: list[str]
    hashes: NDArray[np.uint64]
    thumbs: NDArray[np.uint8]
    errors: dict[int, str]


def take_fingerprints(
    paths: list[str], *, workers: int | None = None, progress: Progress | None = None
) -> Fingerprints:
    """Return the fingerprints of image files, read once in parallel: 2.1 kB of memory each."""
    n = len(paths)
    hashes = np.zeros((n, 2), np.uint64)
    thumbs = np.zeros((n, 2, THUMB, THUMB), np.uint8)
    digests: list[str] = []
    errors: dict[int, str] = {}
    starts = range(0, n, 128)
    jobs = (workers or os.cpu_count() or 1) if n > 128 else 1
    made = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_take)(paths[start : start + 128]) for start in starts
    )
    for start, block in zip(starts, cast("Iterator[list[_One]]", made), strict=True):
        for row, one in enumerate(block, start):
            digests.append(one.sha256)
            if one.error:
                errors[row] = one.error
            else:
                hashes[row], thumbs[row] = one.hashes, one.thumbs
        if progress is not None:
            progress(min(start + 128, n), n)
    return Fingerprints(digests, hashes, thumbs, errors)


@dataclass(frozen=True)
class _One:
    sha256: str
    error: str = ""
    hashes: tuple[int, int] = (0, 0)
    thumbs: NDArray[np.uint8] | int = 0


def _take(paths: list[str]) -> list[_One]:
    return [_take_one(path) for path in paths]


def _take_one(path: str) -> _One:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return _One("", error=error.strerror or str(error))
    digest = hashlib.sha256(data).hexdigest()
    try:
        thumbs = [
            np.asarray(square.resize((THUMB, THUMB), Image.Resampling.BOX))
            for square in _squares(data, "L", 2 * THUMB)
        ]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return _One(digest, error=f"cannot be decoded ({error})")
    whole, centre = (_hash(thumb) for thumb in thumbs)
    return _One(digest, hashes=(whole, centre), thumbs=np.stack(thumbs))


def _squares(data: bytes, mode: str, least: int) -> list[Image.Image]:
    """Return an image's whole frame and its centre square, decoded no larger than is needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata and of very large images
        image = Image.open(io.BytesIO(data))
        image.draft(mode, (least, least))
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # 16 bits: Pillow would clip, not scale
            image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
        image = image.convert(mode)
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return [image, image.crop((left, top, left + side, top + side))]


def _hash(thumb: NDArray[np.uint8]) -> int:
    bits = imagehash.phash(Image.fromarray(thumb)).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_pairs(prints: Fingerprints) -> NDArray[np.intp]:
    """Return pairs of rows (m, 2), the first lower, that may show one picture.

    Multi-index hashing (Norouzi, Punjani and Fleet 2012, doi 10.1109/CVPR.2012.6248043): hashes at
    most 7 bits apart agree in one of their 8 bytes, so only those of one bucket are compared.
    Pairs whose thumbnails do not correlate are dropped as they are found.
    """
    rows = np.array([row for row in range(len(prints.hashes)) if row not in prints.errors], int)
    alike = prints.hashes[rows, 0] == prints.hashes[rows, 1]
    views = np.concatenate([2 * rows, 2 * rows[~alike] + 1])  # a square image has one view
    hashes = prints.hashes.reshape(-1)[views]
    thumbs = _standardised(prints.thumbs.reshape(-1, THUMB * THUMB)[views])
    found: list[NDArray[np.intp]] = [np.empty((0, 2), np.intp)]
    for byte in range(8):
        keys = (hashes >> np.uint64(8 * byte)) & np.uint64(255)
        order = np.argsort(keys, kind="stable")
        ends = np.flatnonzero(np.diff(keys[order])) + 1
        for bucket in np.split(order, ends):
            found += _near_in(bucket, hashes, thumbs, views)
    return np.unique(np.concatenate(found), axis=0)


def _standardised(thumbs: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return thumbnails (n, pixels) of mean 0 and length 1; half precision, to save memory."""
    flat = np.empty(thumbs.shape, np.float16)
    for start in range(0, len(thumbs), 4096):
        part = thumbs[start : start + 4096].astype(np.float32)
        part -= part.mean(axis=1, keepdims=True)
        part /= np.linalg.norm(part, axis=1, keepdims=True) + 1e-6
        flat[start : start + 4096] = part
    return flat


def _near_in(
    bucket: NDArray[np.intp],
    hashes: NDArray[np.uint64],
    thumbs: NDArray[np.float16],
    views: NDArray[np.intp],
) -> Iterator[NDArray[np.intp]]:
    """Yield the near pairs of image rows within one bucket, a few thousand hashes at a time."""
    own = hashes[bucket]
    for start in range(0, len(bucket), 512):
        part = own[start : start + 512]
        distance = np.bitwise_count(part[:, None] ^ own[None, start:])
        first, second = np.nonzero(distance <= HASH_DISTANCE)
        later = second > first
        one, other = bucket[start + first[later]], bucket[start + second[later]]
        for low in range(0, len(one), 8192):
            a, b = one[low : low + 8192], other[low : low + 8192]
            like = np.einsum("ij,ij->i", thumbs[a], thumbs[b], dtype=np.float32) >= LIKE
            pairs = np.stack([views[a[like]] // 2, views[b[like]] // 2], axis=1)
            pairs = pairs[pairs[:, 0] != pairs[:, 1]]
            pairs.sort(axis=1)
            yield pairs


def likeness(path: str, other: str) -> float:
    """Return the correlation, -1 to 1, of the fine detail of two image files, at its best view.

    What is coarser than a sixteenth of the frame is taken out first: two photographs of one lesion
    share its shape, but not each hair, pore and bubble in its place. Of each file the whole frame
    and the centre square are tried.
    """
    mine, theirs = _details(path), _details(other)
    return max(float(np.vdot(a, b)) for a in mine for b in theirs)


def _details(path: str) -> list[NDArray[np.float32]]:
    details: list[NDArray[np.float32]] = []
    for square in _squares(Path(path).read_bytes(), "L", 2 * DETAIL):
        pixels = np.asarray(square.resize((DETAIL, DETAIL), Image.Resampling.BOX), np.float32)
        pixels = cv2.GaussianBlur(pixels, (0, 0), 1.0)  # below what recompression leaves alone
        fine = pixels - cv2.GaussianBlur(pixels, (0, 0), DETAIL / 32)
        fine = fine[4:-4, 4:-4]
        fine = np.clip(fine, -3 * fine.std(), 3 * fine.std())  # a ruler or a rim must not decide
        fine -= fine.mean()
        details.append(fine / (np.linalg.norm(fine) + np.float32(1e-6)))
    return details
