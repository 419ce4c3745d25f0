"""Where a card of six by four colour fields may be in a picture, by the shapes alone.

Fields are flat, about square, of one size, and form a lattice. Their colours then decide whether
they are the card (`equiderm.photo.reference`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ACROSS, DOWN = 6, 4
LONGEST = 1000  # px, the longer side of the picture that is searched
_FLAT = (8, 14, 24)  # of 255: the range of 3 x 3 px within a field, from clean to noisy pictures
_LEAST_SIDE, _MOST_SIDE = 8, 0.2  # of a field, px and share of the longer side
_FILLED = 0.8  # of its smallest enclosing rectangle
_FEWEST = 12  # fields to find in a lattice
_NEAR = 0.3  # of a step: how far from its place in the lattice a field may be

_Point = tuple[int, int]


def find_cards(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.float64]]:
    """Yield the corners, (4, 2) clockwise in px, of every place where such a card may be.

    Args:
        pixels: sRGB, shape (h, w, 3).
    """
    for flat in _FLAT:
        middles, sides = _fields(pixels, flat)
        left = np.ones(len(middles), bool)
        while left.sum() >= _FEWEST:
            seed = int(np.flatnonzero(left)[np.argmax(_neighbours(middles, sides, left))])
            places = _lattice(middles, sides, left, seed)
            left[[seed, *places.values()]] = False
            if len(places) >= _FEWEST:
                yield from _windows(middles, places)


def _fields(
    pixels: NDArray[np.uint8], flat: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middles, (n, 2), and the sides, (n,), of what is flat and about square."""
    smooth = cv2.medianBlur(pixels, 3)
    ranges = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(axis=2)
    even = (ranges <= flat).astype(np.uint8)
    outlines, _ = cv2.findContours(even, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    most = _MOST_SIDE * max(pixels.shape[:2])
    middles: list[tuple[float, float]] = []
    sides: list[float] = []
    for outline in outlines:
        middle, (width, height), _ = cv2.minAreaRect(outline)
        short, long = min(width, height), max(width, height)
        is_square = short >= _LEAST_SIDE and long <= min(1.6 * short, most)
        if is_square and cv2.contourArea(outline) >= _FILLED * width * height:
            middles.append((middle[0], middle[1]))
            sides.append(float(np.sqrt(width * height)) + 2)  # the rim was no longer flat
    return np.array(middles, float).reshape(-1, 2), np.array(sides)


def _neighbours(
    middles: NDArray[np.float64], sides: NDArray[np.float64], left: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return for each field left how many of about its size are within two sides of it."""
    places, sizes = middles[left], sides[left]
    near = np.linalg.norm(places[:, None] - places[None], axis=2) < 2 * sizes[:, None]
    alike = np.abs(np.log(sizes[:, None] / sizes[None])) < 0.35
    return (near & alike).sum(axis=1)


def _lattice(
    middles: NDArray[np.float64], sides: NDArray[np.float64], left: NDArray[np.bool_], seed: int
) -> dict[_Point, int]:
    """Return the fields that form one lattice with the seed, by their place in it.

    A field's steps start from those of the neighbour it was reached from, so that they may grow or
    turn slowly, as they do in perspective.
    """
    usable = left & (np.abs(np.log(sides / sides[seed])) < 0.5)
    steps = _steps(middles, usable, seed, sides[seed])
    if steps is None:
        return {}
    places = {(0, 0): seed}
    queue = deque([((0, 0), steps)])
    while queue:
        (column, row), (right, down) = queue.popleft()
        here = middles[places[column, row]]
        for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
            step = sign * (right, down)[axis]
            place = (column + sign, row) if axis == 0 else (column, row + sign)
            away = np.where(usable, np.linalg.norm(middles - here - step, axis=1), np.inf)
            nearest = int(away.argmin())
            if place in places or away[nearest] > _NEAR * np.linalg.norm(step):
                continue
            if nearest in places.values():
                continue
            places[place] = nearest
            walked = sign * (middles[nearest] - here)
            queue.append((place, (walked, down) if axis == 0 else (right, walked)))
    return places


def _steps(
    middles: NDArray[np.float64], usable: NDArray[np.bool_], seed: int, side: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the steps to the nearest neighbour and to one about at right angles to it."""
    ways = middles - middles[seed]
    lengths = np.where(usable, np.linalg.norm(ways, axis=1), np.inf)
    lengths[seed] = np.inf
    order = [i for i in lengths.argsort()[:8] if 0.8 * side < lengths[i] < 2 * side]
    for second in order[1:]:
        right, down = ways[order[0]], ways[second]
        cosine = right @ down / (lengths[order[0]] * lengths[second])
        if abs(cosine) < 0.35 and lengths[second] < 1.5 * lengths[order[0]]:
            return right, down
    return None


def _windows(
    middles: NDArray[np.float64], places: dict[_Point, int]
) -> Iterator[NDArray[np.float64]]:
    """Yield the corners of each six by four placement that contains the fields of a lattice."""
    lattice = np.array(list(places), np.float64)
    seen = middles[list(places.values())]
    matrix: Any = cv2.findHomography(lattice, seen, cv2.RANSAC, 3.0)[0]
    if matrix is None:
        return
    low, high = lattice.min(axis=0).astype(int), lattice.max(axis=0).astype(int)
    for width, height in ((ACROSS, DOWN), (DOWN, ACROSS)):
        for left in range(high[0] - width + 1, low[0] + 1):
            for top in range(high[1] - height + 1, low[1] + 1):
                right, bottom = left + width, top + height
                box = np.array([[(left, top), (right, top), (right, bottom), (left, bottom)]])
                corners = cv2.perspectiveTransform(box - 0.5, matrix)[0]
                if width < height:  # the first side is one of six fields
                    corners = np.roll(corners, -1, axis=0)
                if cv2.contourArea(corners.astype(np.float32), oriented=True) < 0:
                    corners = corners[[1, 0, 3, 2]]
                yield corners.astype(np.float64)
