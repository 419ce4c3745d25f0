"""Photographs decoded, resized and cleared of hair in batches by torch, on a GPU if there is one.

Only JPEGs of plain sRGB pixels are. What is turned, converted, of another format or perhaps damaged
is left to `equiderm.photo`, so that it is read, or refused, as always. A GPU's decoder measures a
damaged file without a word; libjpeg therefore reads each file first, without computing its pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torchvision.io import ImageReadMode, decode_jpeg

from equiderm.errors import InputError
from equiderm.photo.decode import Photo, has_colour
from equiderm.photo.readers import JpegHead, check_scan, jpeg_head

_MOST = 32_000_000  # pixels that are worked on together: 400 MB as floats
_LARGEST = 100_000_000  # pixels of one photograph, which is decoded at full size here
_SMALLEST = 20  # px a side; the ordinary way refuses smaller ones
_CHECKERS = 8  # files checked at a time; libjpeg works without Python's lock
_LOBES = 3  # of the Lanczos filter
_GRAY = (9798, 19235, 3735)  # of 32,768: OpenCV's weights of red, green and blue
_HAIR, _HAIR_CONTRAST = 17, 10  # as in `equiderm.tone.skin`
_AROUND = 10  # px around a sample within which its hair is filled, as in `equiderm.tone.view`
_BEYOND = 2  # px: how far a neighbour's neighbour is
_NO_SLOPE, _LEAST_WEIGHT = 0.01, 1e-6  # Telea's weight of a neighbour across the front


@dataclass(frozen=True)
class Square:
    """A photograph as `equiderm.photo.load_photo` returns it, and its hair.

    Attributes:
        photo: The photograph.
        hair: The hair mask, shape (size, size), 0 or 1.
        samples: The samples asked for, with hair filled, shape (n, side, side, 3), uint8.
    """

    photo: Photo
    hair: NDArray[np.uint8]
    samples: NDArray[np.uint8]


def check_device(name: str) -> None:
    """Raise InputError unless torch has that device: ``cuda``, ``cuda:1`` or ``cpu``."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"there is no device '{name}'; choose cuda, cuda:1 or cpu.") from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"photographs are not decoded on '{name}'; choose cuda, cuda:1 or cpu.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"torch has no device '{name}' here; label without `device`, or on another machine."
        )


@torch.inference_mode()
def read_squares(
    blobs: Sequence[bytes],
    device: str,
    *,
    size: int,
    corners: Sequence[tuple[int, int]],
    side: int,
    exact: bool = False,
) -> list[Square | None]:
    """Return the square of each JPEG; None for a file that is to be read in the ordinary way.

    Args:
        blobs: Whole files.
        device: Of torch.
        size: Side of the squares, px.
        corners: Top and left of each sample, px.
        side: Of a sample, px.
        exact: Resize from full size always, as of `equiderm.photo.load_photo`.
    """
    squares: list[Square | None] = [None] * len(blobs)
    for group in _groups(blobs, 0 if exact else 2 * size):
        pictures = _decode([blobs[place] for place, _ in group], device)
        whole = [
            (place, head, picture)
            for (place, head), picture in zip(group, pictures, strict=True)
            if picture is not None and picture.shape == (3, head.height, head.width)
        ]
        if not whole:
            continue
        pixels = torch.stack([_square(picture, head, size) for _, head, picture in whole])
        hair = _hair_masks(pixels)
        samples = _filled_samples(pixels, hair, corners, side)
        arrays = [part.cpu().numpy() for part in (_last(pixels), hair, _last(samples))]
        for row, (place, head, _) in enumerate(whole):
            square, mask, boxes = (np.ascontiguousarray(array[row]) for array in arrays)
            photo = Photo(square, head.width, head.height, has_colour(square))
            squares[place] = Square(photo, mask, boxes)
    return squares


def _groups(blobs: Sequence[bytes], smallest: int) -> Iterator[list[tuple[int, JpegHead]]]:
    """Yield the place and head of JPEGs of plain pixels, as many as memory holds together."""
    with ThreadPoolExecutor(_CHECKERS) as threads:
        heads = list(threads.map(lambda blob: _plain_head(blob, smallest), blobs))
    group: list[tuple[int, JpegHead]] = []
    pixels = 0
    for place, head in enumerate(heads):
        if head is None:
            continue
        if group and pixels + head.width * head.height > _MOST:
            yield group
            group, pixels = [], 0
        group.append((place, head))
        pixels += head.width * head.height
    if group:
        yield group


def _plain_head(blob: bytes, smallest: int) -> JpegHead | None:
    """Return the head of an undamaged JPEG that needs no more than decoding; None for any other."""
    if not blob.startswith(b"\xff\xd8"):
        return None
    try:
        head = jpeg_head(blob, smallest)
        needs_more = head.is_progressive or head.orientation != 1 or head.conversion or head.flags
        side, pixels = min(head.width, head.height), head.width * head.height
        if head.space != "YCbCr" or needs_more or side < _SMALLEST or pixels > _LARGEST:
            return None
        check_scan(blob)
    except Exception:  # the ordinary way says what is wrong
        return None
    return head


def _decode(blobs: Sequence[bytes], device: str) -> list[torch.Tensor | None]:
    """Return each picture, shape (3, h, w), uint8; None where the decoder refuses it."""
    coded = [torch.frombuffer(bytearray(blob), dtype=torch.uint8) for blob in blobs]
    try:
        return list(decode_jpeg(coded, ImageReadMode.RGB, device=device))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # of one file; nothing is returned of the others
        return [None] if len(blobs) == 1 else [_decode([blob], device)[0] for blob in blobs]


def _square(picture: torch.Tensor, head: JpegHead, size: int) -> torch.Tensor:
    """Return the central square, shape (3, size, size), uint8, resized as `Raster.square` does."""
    width, height, scale = head.width, head.height, head.scale
    side = min(width, height)
    left, top = round((width - side) / 2), round((height - side) / 2)
    if side == size:
        return picture[:, top : top + side, left : left + side]
    if not head.quick:
        part = picture[:, top : top + side, left : left + side].float()
        weights = torch.from_numpy(_lanczos(side, size)).to(picture.device)
        return _bytes(weights @ _bytes(part @ weights.T).float())
    across, down = -(-width // scale) / width, -(-height // scale) / height
    x, y = int(left * across), int(top * down)
    count = min(
        int(np.ceil((left + side) * across)) - x, int(np.ceil((top + side) * down)) - y
    )  # as many reduced pixels a side
    half = count // 2
    part = picture[:, y * scale : (y + 2 * half) * scale, x * scale : (x + 2 * half) * scale]
    reduced = _bytes(functional.avg_pool2d(part.float(), scale, ceil_mode=True))
    halved = _bytes(functional.avg_pool2d(reduced.float(), 2)).float()
    cubic = functional.interpolate(halved[None], (size, size), mode="bicubic")
    return _bytes(cubic[0])


def _bytes(values: torch.Tensor) -> torch.Tensor:
    return values.add(0.5).floor().clamp(0, 255).byte()


@lru_cache(64)
def _lanczos(side: int, size: int) -> NDArray[np.float32]:
    """Return the weights of the Lanczos filter from a row of pixels to another, (size, side)."""
    step = side / size
    width = max(step, 1.0)
    centre = (np.arange(size) + 0.5) * step
    place = np.arange(side)
    first = np.maximum((centre - _LOBES * width + 0.5).astype(int), 0)
    last = np.minimum((centre + _LOBES * width + 0.5).astype(int), side)
    away = (place + 0.5 - centre[:, None]) / width
    weights = np.where(np.abs(away) < _LOBES, np.sinc(away) * np.sinc(away / _LOBES), 0)
    weights *= (place >= first[:, None]) & (place < last[:, None])
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _last(pixels: torch.Tensor) -> torch.Tensor:
    """Return pixels (..., 3, h, w) with their channels last."""
    return pixels.movedim(-3, -1)


def _hair_masks(pixels: torch.Tensor) -> torch.Tensor:
    """Return `equiderm.tone.skin.hair_mask` of squares (n, 3, h, w): shape (n, h, w), uint8."""
    weights = torch.tensor(_GRAY, device=pixels.device, dtype=torch.int32)
    gray = ((pixels.int() * weights[:, None, None]).sum(dim=1, keepdim=True) + 16384) >> 15
    gray = gray.float()
    closed = -_highest_on_cross(-_highest_on_cross(gray))
    return (closed - gray > _HAIR_CONTRAST).byte()[:, 0]


def _highest_on_cross(values: torch.Tensor) -> torch.Tensor:
    across = functional.max_pool2d(values, (1, _HAIR), 1, (0, _HAIR // 2))
    down = functional.max_pool2d(values, (_HAIR, 1), 1, (_HAIR // 2, 0))
    return torch.maximum(across, down)


def _filled_samples(
    pixels: torch.Tensor, hair: torch.Tensor, corners: Sequence[tuple[int, int]], side: int
) -> torch.Tensor:
    """Return the samples of squares (n, 3, h, w), hair filled: (n, samples, 3, side, side)."""
    edge = _AROUND + _BEYOND
    boxes = [np.s_[..., y : y + side + 2 * edge, x : x + side + 2 * edge] for y, x in corners]

    def windows(values: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(values, (edge,) * 4)
        return torch.stack([padded[box] for box in boxes], dim=1).flatten(0, 1)

    inner = np.s_[..., edge:-edge, edge:-edge]
    values, is_hair = windows(pixels), windows(hair).bool()
    known = windows(torch.ones_like(hair)).bool() & ~is_hair
    for side_of in (known, is_hair):  # a rim of which nothing is known, and nothing filled
        side_of[..., :_BEYOND, :] = side_of[..., -_BEYOND:, :] = False
        side_of[..., :_BEYOND] = side_of[..., -_BEYOND:] = False
    is_hair &= is_hair[inner].flatten(1).any(dim=1)[:, None, None]
    filled = _fill(values, known, is_hair)
    return filled[inner].unflatten(0, (len(pixels), len(corners)))


def _fill(pixels: torch.Tensor, known: torch.Tensor, hair: torch.Tensor) -> torch.Tensor:
    """Return pixels (n, 3, h, w) with hair filled in by Telea's method, radius 1.

    Args:
        pixels: uint8.
        known: Where a pixel may be used, (n, h, w); nowhere in a rim of 2 px.
        hair: Where a pixel is to be filled, likewise.

    Source:
        Telea 2004, J. Graphics Tools 9:23, with the weights and the bound on the gradient's share
        of OpenCV's version, which `equiderm.tone.skin.fill_hair` calls.

    Differs:
        Hair pixels that touch a known one are filled all at once, then those that touch these, and
        so on; OpenCV fills one after the other, and each counts for the next. On photographs this
        moves a sample's ITA by some hundredths of a degree (docs/scale.md).
    """
    count, _, height, width = pixels.shape
    flat = pixels.movedim(1, 0).reshape(3, -1).float()
    known, left = known.reshape(-1).clone(), hair.reshape(-1).nonzero()[:, 0]
    arrival = torch.where(known, 0.0, torch.inf)
    beside = ((-width, 0, -1), (width, 0, 1), (-1, 1, -1), (1, 1, 1))  # offset, axis, direction
    while len(left):
        touches = torch.stack([known[left + offset] for offset, _, _ in beside]).any(dim=0)
        front, left = left[touches], left[~touches]
        if not len(front):
            break
        times = {offset: arrival[front + offset] for offset, _, _ in beside}
        time = _arrival(*times.values())
        slopes = [_change(arrival, known, front, step, time, 0.5) for step in (width, 1)]
        colour = torch.zeros((3, len(front)), device=flat.device)
        push = [torch.zeros_like(colour), torch.zeros_like(colour)]
        total = torch.full_like(time, 1e-20)
        for offset, axis, direction in beside:
            near = front + offset
            slope = slopes[axis].abs()
            weight = torch.where(slope <= _NO_SLOPE, _LEAST_WEIGHT, slope)
            weight = weight / (1 + (times[offset] - time).abs()) * known[near]
            change = _change(flat, known, near, (width, 1)[axis], flat[:, near], 2)
            colour += weight * flat[:, near]
            push[axis] += weight * change * direction
            total += weight
        level = (push[0] + push[1]) / (torch.hypot(*push) + 1e-20)
        flat[:, front] = (colour / total + level + 0.5).round().clamp(0, 255)
        arrival[front] = time
        known[front] = True
    return flat.byte().reshape(3, count, height, width).movedim(0, 1)


def _arrival(
    up: torch.Tensor, down: torch.Tensor, left: torch.Tensor, right: torch.Tensor
) -> torch.Tensor:
    """Return when a front of speed 1 arrives at a pixel, from its neighbours' times."""
    rows, columns = torch.minimum(up, down), torch.minimum(left, right)
    apart = torch.nan_to_num(rows - columns, nan=torch.inf)
    both = (rows + columns + (2 - apart**2).clamp(min=0).sqrt()) / 2
    return torch.where(apart.abs() < 1, both, 1 + torch.minimum(rows, columns))


def _change(
    values: torch.Tensor,
    known: torch.Tensor,
    places: torch.Tensor,
    step: int,
    here: torch.Tensor,
    over_both: float,
) -> torch.Tensor:
    """Return how values change along an axis, from the known neighbours or, of one, ``here``.

    ``over_both`` is the factor where both are known; OpenCV's is 2 for colours.
    """
    before, after = known[places - step], known[places + step]
    low = torch.where(before, values[..., places - step], here)
    high = torch.where(after, values[..., places + step], here)
    return (high - low) * torch.where(before & after, over_both, 1.0)
