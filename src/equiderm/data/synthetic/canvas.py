"""What pictures are drawn from: noise and cells of fixed grids, the same at every size."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # float32 throughout; the stubs of OpenCV know no element types
_TILE = 512  # pixels of a tile of cells
_CELLS = 24  # cells along a tile


@contextlib.contextmanager
def one_thread() -> Generator[None]:
    """Let OpenCV compute in one thread, as workers do.

    With several threads OpenCV splits the work differently, which changes the last bits.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


@lru_cache(maxsize=8)
def grid(size: int) -> tuple[Floats, Floats]:
    """Return x and y of each pixel, shape (size, size), the frame reaching from -1 to 1."""
    line = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(line, line)
    return x, y


def noise(rng: np.random.Generator, size: int, cells: int, *, octaves: int = 1) -> Floats:
    """Return smooth noise of mean about 0 and deviation about 1, shape (size, size).

    Args:
        rng: Draws the same numbers whatever the size, so that one seed is one picture.
        size: Pixels per side.
        cells: Bumps across the frame in the coarsest octave; each next one has twice as many.
        octaves: How many are summed, each half as strong as the one before.
    """
    total = rng.standard_normal((cells, cells), dtype=np.float32)
    octave, side = 1, cells
    while octave < octaves or side < 40:  # from 40 points on, straight lines look smooth
        side *= 2
        total = cv2.resize(total, (side, side), interpolation=cv2.INTER_CUBIC)
        if octave < octaves:
            total += rng.standard_normal((side, side), dtype=np.float32) * 0.5**octave
        octave += 1
    return cv2.resize(total, (size, size), interpolation=cv2.INTER_LINEAR) * 1.3


@lru_cache(maxsize=1)
def _tile() -> Floats:
    """Return the distance to the nearest of scattered seeds, (tile, tile), wrapping, mean 1."""
    rng = np.random.default_rng(0)
    pitch = _TILE / _CELLS
    row, column = np.mgrid[:_CELLS, :_CELLS]
    shift = rng.uniform(-0.42, 0.42, (2, _CELLS, _CELLS))
    x = ((column + 0.5 + 0.5 * (row % 2) + shift[0]) * pitch) % _TILE
    y = ((row + 0.5 + shift[1]) * pitch) % _TILE
    seeds = np.full((3 * _TILE, 3 * _TILE), 255, np.uint8)
    for down in range(3):
        for right in range(3):
            seeds[(y + down * _TILE).astype(int), (x + right * _TILE).astype(int)] = 0
    with one_thread():  # cached for the whole process
        distance = cv2.distanceTransform(seeds, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    middle = distance[_TILE : 2 * _TILE, _TILE : 2 * _TILE]
    return (middle / middle.mean()).astype(np.float32)


def cells(
    rng: np.random.Generator, size: int, across: float, *, stretch: float = 1.0, warp: float = 0.0
) -> Floats:
    """Return distances to the centre of the nearest cell, mean about 1, shape (size, size).

    Ridges (above 1.5) are the net between the cells; pits (below 0.4) are dots.

    Args:
        rng: Draws the position in the tile and the turn.
        size: Pixels per side.
        across: Cells across the frame.
        stretch: How much longer cells are along x (before the turn) than along y.
        warp: How far cells are displaced, in cells.
    """
    angle, left, top = rng.uniform(0, math.tau), rng.uniform(0, _TILE), rng.uniform(0, _TILE)
    push_x, push_y = (noise(rng, size, 5) * warp for _ in range(2))
    x, y = grid(size)
    scale = _TILE / _CELLS
    turned_x = (x * math.cos(angle) - y * math.sin(angle)) * (across / 2 / stretch) + push_x
    turned_y = (x * math.sin(angle) + y * math.cos(angle)) * (across / 2) + push_y
    column = (turned_x * scale + left).astype(np.int32) & (_TILE - 1)
    row = (turned_y * scale + top).astype(np.int32) & (_TILE - 1)
    distance = np.take(_tile(), row * _TILE + column)
    visible = min(1.0, size / (3 * across))  # cells smaller than three pixels average out
    return 1 + (distance - 1) * visible


def ramp(values: Floats, low: float, high: float) -> Floats:
    """Return 0 below ``low``, 1 above ``high`` and a smooth step between."""
    step = (values - low) * (1 / (high - low))
    np.clip(step, 0, 1, out=step)
    return step * step * (3 - 2 * step)


@lru_cache(maxsize=1)
def _encoding() -> NDArray[np.uint8]:
    return np.round(srgb(np.arange(65536) / 65535) * 255).astype(np.uint8)


def srgb(linear: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return sRGB in 0..1 of linear sRGB in 0..1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def encode(linear: Floats) -> NDArray[np.uint8]:
    """Return 8-bit sRGB of linear sRGB in 0..1 (clipped)."""
    return _encoding()[(np.clip(linear, 0, 1) * 65535).astype(np.uint16)]
