"""What distinguishes one photograph from another: its bytes, a perceptual hash, its pixels."""

from __future__ import annotations

import hashlib
import io
import itertools
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.fft import dct

from equiderm.data.placement import (
    COLOUR_BINS,
    GRIDS,
    SIDE,
    Placement,
    Upright,
    coarse_square,
    colour_histogram,
    detail_likeness,
    fine_detail,
    grids_of,
    likeness_aligned,
    place_views,
    resized,
    trimmed,
)
from equiderm.engine import Failure, run
from equiderm.photo.decode import SMALLEST_SIDE, PhotoError, load_square, why_absent
from equiderm.remote import read_file

THUMB = 32  # pixels of a thumbnail's side, from which the perceptual hash is computed
DETAIL = 128  # pixels of a side at which two pictures are compared
ENOUGH = 192  # pixels of the shorter side at which they are decoded for that
HASH_DISTANCE = 7  # of 64 bits; at most 7 differ, so one of 8 bytes is the same
CROWD = 64  # near hashes that are compared, for each hash and byte
LIKE = 0.90  # correlation of two thumbnails below which a pair is dropped
SAME = 0.65  # correlation of fine detail from which two files show one picture
ALIGNED = 0.85  # correlation from which they need not be aligned first
_INNER = np.pad(np.ones((DETAIL - 12, DETAIL - 12), bool), 6)  # rims and rulers stand outside
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of n images; those that cannot be read have an error and match nothing.

    Attributes:
        sha256: Of each file, hexadecimal; "" where the file is not there.
        hashes: uint64, shape (n, 2): of the whole frame resized to a square, and of its centre
            square, so that stretched and cropped copies match their originals.
        thumbs: uint8 gray, shape (n, 2, 32, 32), of the same two.
        errors: Why an image cannot be read, by row.
        colours: float16, shape (n, bins): `placement.colour_histogram` of each.
        frames: uint8 gray of each, black strips taken away, `placement.SIDE` pixels the longer
            side; None of those that cannot be read.
        grids: int8, shape (n, grids, cells): `placement.grids_of` each frame.
    """

    sha256: list[str]
    hashes: NDArray[np.uint64]
    thumbs: NDArray[np.uint8]
    errors: dict[int, str]
    colours: NDArray[np.float16]
    frames: list[NDArray[np.uint8] | None]
    grids: NDArray[np.int8]


def take_fingerprints(
    paths: list[str],
    *,
    workers: int | None = None,
    engine: str = "local",
    progress: Progress | None = None,
) -> Fingerprints:
    """Return the fingerprints of image files, read once in parallel: 9 kB of memory each."""
    n = len(paths)
    hashes = np.zeros((n, 2), np.uint64)
    thumbs = np.zeros((n, 2, THUMB, THUMB), np.uint8)
    digests = [""] * n
    errors: dict[int, str] = {}
    colours = np.zeros((n, COLOUR_BINS), np.float16)
    frames: list[NDArray[np.uint8] | None] = [None] * n
    grids = np.zeros((n, *GRIDS), np.int8)
    few = 1 if n <= 128 and engine == "local" else workers
    results = run(_take, paths, shared=None, workers=few, engine=engine, progress=progress)
    with closing(results):
        for row, image in results:
            if isinstance(image, Failure):
                errors[row] = image.reason
                continue
            digests[row] = image.sha256
            if image.error:
                errors[row] = image.error
            else:
                hashes[row], thumbs[row] = image.hashes, image.thumbs
                colours[row], frames[row] = image.colours, image.frame
                grids[row] = image.grids
    return Fingerprints(digests, hashes, thumbs, errors, colours, frames, grids)


@dataclass(frozen=True)
class _Fingerprint:
    sha256: str
    error: str = ""
    hashes: tuple[int, int] = (0, 0)
    thumbs: NDArray[np.uint8] | int = 0
    colours: NDArray[np.float16] | int = 0
    frame: NDArray[np.uint8] | None = None
    grids: NDArray[np.int8] | int = 0


def _take(path: str, _: None) -> _Fingerprint:
    try:
        data = read_file(path)
    except FileNotFoundError:
        return _Fingerprint("", error=why_absent(path))
    except OSError as error:
        return _Fingerprint("", error=f"cannot be read ({error.strerror or error})")
    digest = hashlib.sha256(data).hexdigest()
    try:
        image = _image(data, "RGB", 2 * THUMB)
    except PhotoError as error:
        return _Fingerprint(digest, error=str(error))
    thumbs = [
        np.asarray(view.resize((THUMB, THUMB), Image.Resampling.BOX))
        for view in _views(image.convert("L"))
    ]
    hashes = [perceptual_hash(thumb) for thumb in thumbs]
    pixels = np.asarray(image)
    frame = resized(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8), SIDE)
    return _Fingerprint(
        digest,
        hashes=(hashes[0], hashes[-1]),
        thumbs=np.stack([thumbs[0], thumbs[-1]]),
        colours=colour_histogram(pixels),
        frame=frame,
        grids=grids_of(frame),
    )


def _image(data: bytes, mode: str, least: int) -> Image.Image:
    """Return an image, decoded no larger than is needed.

    Black strips along the sides are taken away: two pictures that share nothing else have the
    same. Where Pillow cannot read the file, the centre square stands for the whole.

    Raises:
        PhotoError: It cannot be read.
    """
    try:
        image = _open(data, mode, least)
    except Exception:  # decoders raise every kind of error on damaged files
        image = Image.fromarray(load_square(data, max(least, SMALLEST_SIDE))).convert(mode)
    pixels = np.asarray(image)
    kept = trimmed(pixels)
    return image if kept.shape == pixels.shape else Image.fromarray(kept)


def _views(image: Image.Image) -> list[Image.Image]:
    """Return an image and, unless it is a square, its centre square."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return [image] if width == height else [image, square]


def _open(data: bytes, mode: str, least: int) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata and of very large images
        image = Image.open(io.BytesIO(data))
        image.draft(mode, (least, least))
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # 16 bits: Pillow would clip, not scale
            image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
        return image.convert(mode)


def perceptual_hash(thumb: NDArray[np.uint8]) -> int:
    """Return 64 bits: which of the 8 x 8 lowest frequencies of a gray thumbnail exceed the median.

    Args:
        thumb: uint8 gray, shape (32, 32).

    Source:
        Krawetz 2011, "Looks Like It", The Hacker Factor Blog; the same bits as ``phash`` of the
        package imagehash 4.3.
    """
    low: Any = dct(dct(thumb.astype(float), axis=0), axis=1)
    low = low[:8, :8]
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")


def near_pairs(prints: Fingerprints) -> NDArray[np.intp]:
    """Return pairs of rows (m, 2), the first lower, that may show one picture.

    Multi-index hashing (Norouzi, Punjani and Fleet 2012, doi 10.1109/CVPR.2012.6248043): hashes at
    most 7 bits apart agree in one of their 8 bytes, so only those of one bucket are compared.
    Pairs whose thumbnails do not correlate are dropped at once. For a hash with many neighbours
    only the `CROWD` nearest that follow are taken: they link all without comparing every pair.
    """
    rows = np.array([row for row in range(len(prints.hashes)) if row not in prints.errors], int)
    alike = prints.hashes[rows, 0] == prints.hashes[rows, 1]
    views = np.concatenate([2 * rows, 2 * rows[~alike] + 1])  # a square image has one view
    hashes = prints.hashes.reshape(-1)[views]
    thumbs = _standardised(prints.thumbs.reshape(-1, THUMB * THUMB)[views])
    pairs: list[NDArray[np.intp]] = [np.empty((0, 2), np.intp)]
    for byte in range(8):
        keys = (hashes >> np.uint64(8 * byte)) & np.uint64(255)
        order = np.argsort(keys, kind="stable")
        ends = np.flatnonzero(np.diff(keys[order])) + 1
        for bucket in np.split(order, ends):
            pairs += _near_in(bucket, hashes, thumbs, views, byte)
    return np.unique(np.concatenate(pairs), axis=0)


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
    byte: int,
) -> Iterator[NDArray[np.intp]]:
    """Yield the near pairs of image rows within one bucket, a few thousand hashes at a time.

    The bucket holds hashes that share this byte. Pairs that share an earlier one are left out.
    """
    own, lower = hashes[bucket], [np.uint64(255 << 8 * earlier) for earlier in range(byte)]
    for start in range(0, len(bucket), 512):
        differ = own[start : start + 512, None] ^ own[None, start:]
        near = np.triu(np.bitwise_count(differ) <= HASH_DISTANCE, 1)
        for mask in lower:  # a pair of an earlier bucket
            near &= (differ & mask) != 0
        for row in np.flatnonzero(near.sum(axis=1) > CROWD):
            others = np.flatnonzero(near[row])
            bits = np.bitwise_count(differ[row, others])
            near[row, others[np.argpartition(bits, CROWD)[CROWD:]]] = False
        first, second = np.nonzero(near)
        one, other = bucket[start + first], bucket[start + second]
        for low in range(0, len(one), 8192):
            a, b = one[low : low + 8192], other[low : low + 8192]
            like = np.einsum("ij,ij->i", thumbs[a], thumbs[b], dtype=np.float32) >= LIKE
            pairs = np.stack([views[a[like]] // 2, views[b[like]] // 2], axis=1)
            pairs = pairs[pairs[:, 0] != pairs[:, 1]]
            pairs.sort(axis=1)
            yield pairs


def likeness(path: str, other: str, placed: Upright | None = None) -> float:
    """Return the correlation, -1 to 1, of the fine detail of two image files, aligned.

    Only what is finer than a fiftieth of the frame counts, and a faint line as much as a strong
    one: two lesions may share outline and colour, but not each hair, pore and bubble. Of each file
    the whole frame and the centre square are tried, then the likelier ones aligned, as copies may
    be cropped, zoomed or turned a little.

    Args:
        path: An image file.
        other: Another.
        placed: Their alignment on a coarse scale, where it is known.
    """
    grays = (_grays(path), _grays(other))
    details = (map(_detail, views) for views in grays)
    best = max(_correlation(one, two, _INNER) for one, two in itertools.product(*details))
    if best > ALIGNED:
        return best
    if placed is None:
        ones, others = (list(map(coarse_square, views)) for views in grays)
        placed = place_views(ones, others)
    one, two = (
        views[min(view, len(views) - 1)] for views, view in zip(grays, placed.views, strict=True)
    )
    warp = np.vstack([placed.warp, (0, 0, 1)])
    if warp[0, 0] > 1:  # the wider one is laid on the other, which it covers
        one, two, warp = two, one, np.linalg.inv(warp)
    return max(best, _aligned(one, two, warp[:2]))


def placed_likeness(path: str, other: str, placed: Placement | None = None) -> float:
    """Return the correlation of detail of two image files in their best alignment.

    It recognises turned, mirrored, cropped, marked and framed copies (`placement`).

    Args:
        path: An image file.
        other: Another.
        placed: Their alignment on a coarse scale, where it is known.
    """
    one, two = (np.asarray(_image(read_file(name), "L", ENOUGH)) for name in (path, other))
    return detail_likeness(one, two, placed)


def _aligned(one: NDArray[Any], two: NDArray[Any], rough: Any) -> float:
    """Return the correlation of detail after the affine warp that aligns two gray squares.

    -1 where they cannot be aligned.

    Args:
        one: float32 gray, `DETAIL` pixels a side.
        two: The same.
        rough: The warp that aligns them at `SIDE` pixels a side.
    """
    flags, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, (DETAIL, DETAIL)

    own = _detail(one)

    def detail(warp: NDArray[Any]) -> float:
        laid = cv2.warpAffine(two, warp, size, flags=flags)
        covered = cv2.warpAffine(_INNER.astype(np.uint8), warp, size, flags=flags)
        both = _INNER & (cv2.erode(covered, np.ones((13, 13), np.uint8)) > 0)
        return _correlation(own, _detail(laid), both) if both.mean() >= 0.5 else -1.0

    start, everywhere = np.array(rough, np.float32), np.ones(one.shape, np.uint8)
    start[:, 2] *= DETAIL / SIDE
    found = likeness_aligned(one, two, start, everywhere, detail)
    return -1.0 if found is None else found[0]


def _grays(path: str) -> list[NDArray[np.float32]]:
    views, size = _views(_image(read_file(path), "L", ENOUGH)), (DETAIL, DETAIL)
    return [np.asarray(view.resize(size, Image.Resampling.BOX), np.float32) for view in views]


def _correlation(one: NDArray[Any], two: NDArray[Any], where: NDArray[np.bool_]) -> float:
    a, b = one[where], two[where]
    a, b = a - a.mean(), b - b.mean()
    return float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-6))


def _detail(gray: NDArray[Any]) -> NDArray[Any]:
    """Return the detail finer than a few pixels, divided by the local contrast."""
    fine = fine_detail(gray)
    return fine / (np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 6.0)) + 1.5)
