"""Copies that a hash of the whole frame misses: cropped, turned, mirrored, marked, framed.

The colours of a photograph hardly change when it is turned or cropped: pictures of similar colours
are candidates. Each pair is aligned, and its fine detail decides.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 48  # pixels of the longer side at which one picture is looked for in the other
DETAIL = 128  # the same, at which they are compared
COLOURS = 0.955  # cosine of two colour histograms below which a pair is dropped
NEIGHBOURS = 8  # pictures of similar colours that each is compared with
COPY = 0.6  # correlation of detail, coarse and fine, from which two files show one picture
_COARSE = 0.35  # weight of coarse detail in it: false pairs agree in coarse or fine, not in both
PLACED = 0.72  # correlation of coarse detail from which the two are compared finely
_NEAR = 0.8  # cosine of two pictures' rarer colours below which they are not neighbours
_BINS, _RANGES = [10, 12, 12], [0, 256, 108, 188, 100, 180]
COLOUR_BINS = _BINS[0] * _BINS[1] * _BINS[2]
# The whole of a picture, and crops of 90 and 80 % of its sides at nine places each, the last the
# centre: their first row, first column and side, as shares of the picture's.
_CROPS = [(0.0, 0.0, 1.0)] + [
    (y, x, side)
    for side in (0.9, 0.8)
    for y in (0.0, 1 - side, (1 - side) / 2)
    for x in (0.0, 1 - side, (1 - side) / 2)
]
# What is tried where one of them fits, of the first picture and then of the second: whether it is a
# crop of the second, and its width as a share of the whole.
_WIDTHS = {1.0: (), 0.9: (0.95, 0.9, 0.85), 0.8: (0.85, 0.8, 0.75)}
_TRIED = [
    tuple((of_second, width) for width in _WIDTHS[side])
    or ((False, 1.0), (False, 0.95), (True, 0.95))
    for of_second in (False, True)
    for _, _, side in _CROPS
]
_EVERY = tuple(dict.fromkeys(itertools.chain(*_TRIED)))
_TURNS = ((-2.5, -5.0, -7.5), (2.5, 5.0, 7.5))  # degrees; the alignment finds what lies between
_QUICK = 0.64  # correlation of two coarse grids below which two pictures are not aligned
_SLACK = 0.1  # a way round that correlates worse than the best by more is not aligned
UPRIGHT = 0.72  # correlation of coarse detail from which two upright squares are compared finely
_GRID = 10  # cells of a side of such a grid
_HOPELESS = 0.4  # correlation of detail, aligned at half the size, below which two are unlike
_TILE = 16  # pixels; a mark or a strip spoils some tiles, not the median
_STRONG = 4.0  # gray levels at which coarse detail is cut off
_FLOOR = 0.5  # squared gray levels of detail per pixel below which a tile says little
Gray = NDArray[Any]  # float32


def trimmed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture, gray or RGB, without black or white strips along its sides."""
    channels = [pixels] if pixels.ndim == 2 else cv2.split(pixels)
    dark = cv2.threshold(functools.reduce(cv2.max, channels), 23, 1, cv2.THRESH_BINARY_INV)[1]
    white = cv2.threshold(functools.reduce(cv2.min, channels), 249, 1, cv2.THRESH_BINARY)[1]
    flat = cv2.max(dark, white)
    shares = (cv2.reduce(flat, way, cv2.REDUCE_AVG, dtype=cv2.CV_64F).ravel() for way in (1, 0))
    rows, columns = (np.flatnonzero(share < 0.9) for share in shares)
    if len(rows) < 0.4 * flat.shape[0] or len(columns) < 0.4 * flat.shape[1]:
        return pixels
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def colour_histogram(pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return the root of a smoothed histogram of CIELAB colours, of length 1; black left out.

    Args:
        pixels: uint8 RGB of any size.
    """
    small = cv2.resize(np.ascontiguousarray(pixels), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    lit = (lab[..., 0] > 24).astype(np.uint8)
    counts = cv2.calcHist([lab], [0, 1, 2], lit, _BINS, _RANGES)
    for axis in range(3):
        counts = (np.roll(counts, 1, axis) + 2 * counts + np.roll(counts, -1, axis)) / 4
    roots = np.sqrt(counts.ravel())
    return (roots / (np.linalg.norm(roots) + 1e-6)).astype(np.float16)


def resized(gray: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a gray picture resized so that its longer side has ``side`` pixels."""
    height, width = gray.shape
    scale = side / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(np.ascontiguousarray(gray), size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def pairs_of_like_colours(
    histograms: NDArray[np.float16], rows: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return pairs (m, 2) of rows of similar colours, the lower first, at most `NEIGHBOURS` each.

    Args:
        histograms: As `colour_histogram` gives them, one per image.
        rows: Rows to compare.
    """
    if len(rows) < 2:
        return np.empty((0, 2), np.intp)
    short = _short(histograms, rows)
    candidates: list[NDArray[np.intp]] = []
    for start in range(0, len(rows), 256):
        like = short[start : start + 256] @ short.T
        like[np.arange(len(like)), start + np.arange(len(like))] = -1
        for row in range(len(like)):
            near = np.flatnonzero(like[row] >= _NEAR)
            if len(near) > NEIGHBOURS:
                near = near[np.argpartition(-like[row, near], NEIGHBOURS)[:NEIGHBOURS]]
            candidates.append(np.stack([np.full(len(near), start + row), near], axis=1))
    pairs = np.unique(np.sort(rows[np.concatenate(candidates)], axis=1), axis=0)
    cosine = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), 4096):
        one, other = (histograms[side].astype(np.float32) for side in pairs[start : start + 4096].T)
        cosine[start : start + 4096] = np.einsum("ij,ij->i", one, other)
    return pairs[cosine >= COLOURS]


def _short(histograms: NDArray[np.float16], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the histograms in 64 numbers or fewer each, of length 1, rare colours weighted up.

    The colours of skin are common to all pictures and say little; dividing each principal
    direction by the fourth root of its variance lowers their weight.
    """
    sample = histograms[np.random.default_rng(0).permutation(rows)[:2048]].astype(np.float32)
    _, extent, directions = np.linalg.svd(sample, full_matrices=False)
    basis = (directions[:64] / np.sqrt(np.sqrt(extent[:64, None] + 1e-6))).T
    short = np.empty((len(rows), basis.shape[1]), np.float32)
    for start in range(0, len(rows), 4096):
        short[start : start + 4096] = histograms[rows[start : start + 4096]] @ basis
    return short / (np.linalg.norm(short, axis=1, keepdims=True) + 1e-6)


def _turned(pixels: NDArray[Any], mirrored: bool, quarters: int) -> NDArray[Any]:
    return np.rot90(pixels[:, ::-1] if mirrored else pixels, quarters)


@dataclass(frozen=True)
class Placement:
    """How one picture is aligned with another.

    Attributes:
        score: Correlation of coarse detail, -1 to 1.
        mirrored: Whether the second is mirrored first.
        quarters: Quarter turns of the second after that.
        angle: Degrees by which it is turned then.
        warp: Affine map (2, 3) from points of the first to points of the second so turned, both
            with a longer side of `SIDE` pixels.
    """

    score: float
    mirrored: bool = False
    quarters: int = 0
    angle: float = 0.0
    warp: tuple[tuple[float, float, float], ...] = ((1, 0, 0), (0, 1, 0))


@dataclass(frozen=True)
class Upright:
    """How two pictures are aligned that are upright and stretched to squares.

    Attributes:
        score: Correlation of coarse detail, -1 to 1.
        views: Of each the whole frame (0) or its centre square (1).
        warp: Affine map (2, 3) from points of the first to points of the second, both of `SIDE`
            pixels a side.
    """

    score: float
    views: tuple[int, int] = (0, 0)
    warp: tuple[tuple[float, float, float], ...] = ((1, 0, 0), (0, 1, 0))


@dataclass(frozen=True)
class Likely:
    """The alignments of two pictures that are worth trying.

    Attributes:
        ways: Of the second, by their numbers in `_WAYS`, each with the crop (`_CROPS`) that fits
            best: of the first picture, or, counted on from there, of the second.
        angles: Degrees by which the second may be turned a little.
    """

    ways: tuple[tuple[int, int], ...] = ()
    angles: tuple[float, ...] = ()


def place(
    first: NDArray[np.uint8], second: NDArray[np.uint8], likely: Likely | None = None
) -> Placement:
    """Return the best alignment of two gray pictures: eight ways round, crops, small turns.

    Args:
        first: uint8, longer side of `SIDE` pixels (`resized`).
        second: The same.
        likely: What to try, as `likely_alignments` gives it, which is asked if None.
    """
    if likely is None:
        grids = np.stack([grids_of(picture) for picture in (first, second)])
        likely = next(likely_alignments(grids, np.array([[0, 1]])))
    best = Placement(-1.0)
    if not (likely.ways or likely.angles):
        return best
    one, other = _coarse_of(first.tobytes(), first.shape), _coarse(second)
    for way, crop in likely.ways:
        mirrored, quarters = _WAYS[way]
        turned = np.ascontiguousarray(_turned(other, mirrored, quarters))
        score, warp = _fit(one, turned, _TRIED[crop] if way else _EVERY)
        if score > best.score:
            best = Placement(score, mirrored, quarters, 0.0, _matrix(*warp))
    if best.score >= PLACED:
        return best
    for angle in likely.angles:
        way = _rotated(other, angle)
        height, width = way.shape
        top, left = height // 8, width // 8
        part = way[top : height - top, left : width - left]
        score, (_, x, y) = _inside(one, part, part.shape[1] / one.shape[1])
        if score > best.score:
            best = Placement(score, False, 0, angle, _matrix(1.0, left - x, top - y))
    return best


def upright_score(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the `score` of `place_upright`."""
    return place_upright(first, second).score


def place_upright(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Upright:
    """Return the best alignment of two pictures, upright and stretched to squares.

    The best of their whole frames and centre squares, each a crop of the other or not.

    Args:
        first: uint8 gray, longer side of `SIDE` pixels (`resized`).
        second: The same.
    """
    one, other = (_upright(picture.tobytes(), picture.shape) for picture in (first, second))
    return place_views(one, other)


def place_views(ones: Sequence[Gray], others: Sequence[Gray]) -> Upright:
    """Return the best alignment of the coarse detail (`coarse_square`) of views of two pictures."""
    best = Upright(-1.0)
    for (i, one), (j, other) in itertools.product(enumerate(ones), enumerate(others)):
        score, warp = _fit(one, other, _EVERY)
        if score > best.score:
            best = Upright(score, (i, j), _matrix(*warp))
    return best


@functools.lru_cache(maxsize=64)  # one picture is compared with several, one after another
def _upright(pixels: bytes, shape: tuple[int, int]) -> list[Gray]:
    """Return the coarse detail of a picture stretched to a square, and of its centre square."""
    gray, side = np.frombuffer(pixels, np.uint8).reshape(shape), min(shape)
    top, left = ((length - side) // 2 for length in shape)
    views = [gray] if shape[0] == shape[1] else [gray, gray[top : top + side, left : left + side]]
    return [coarse_square(view) for view in views]


def coarse_square(gray: NDArray[Any]) -> Gray:
    """Return the coarse detail of a gray picture, stretched to a square of `SIDE` pixels."""
    return _coarse(cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def _fit(
    one: Gray, other: Gray, tried: tuple[tuple[bool, float], ...]
) -> tuple[float, tuple[float, float, float]]:
    """Return how well one picture fits as a crop of the other, and the map from one to other.

    Args:
        one: Coarse detail of a picture.
        other: Of the other.
        tried: Crops: whether of the other, and their width as a share of the whole.
    """
    best, warp = -1.0, (1.0, 0.0, 0.0)
    for of_other, width in tried:
        large, small = (other, one) if of_other else (one, other)
        score, (scale, x, y) = _inside(large, small, width)
        if score > best:  # from the small to the large; the map of a crop of the first is inverted
            best = score
            warp = (scale, x, y) if of_other else (1 / scale, -x / scale, -y / scale)
    return best, warp


def likely_alignments(grids: NDArray[np.int8], pairs: NDArray[np.intp]) -> Iterator[Likely]:
    """Yield the alignments of each pair of pictures that are worth trying; of most there are none.

    Crops of each picture are compared with the other on a coarse grid, in its eight ways round
    (`_WAYS`) and turned a little, a few thousand pairs at a time, at a small part of the cost of
    aligning them. The way round of a copy is the best of the eight or close to it.

    Args:
        grids: As `grids_of` gives them, one per picture.
        pairs: Rows of pictures, shape (m, 2).
    """
    n = len(_CROPS)
    for start in range(0, len(pairs), 2048):
        one, other = (
            grids[rows].astype(np.float32) / _STEPS for rows in pairs[start : start + 2048].T
        )
        both = []
        for crops, whole in ((one[:, :n], other), (other[:, :n], one)):
            ways = np.concatenate([whole[:, 0][:, _CELL_OF_WAY], whole[:, n:]], axis=1)
            both.append(crops @ ways.swapaxes(1, 2))
        scores = np.concatenate([both[0][..., :8], both[1][..., _BACK]], axis=1)
        crop, ways = scores.argmax(axis=1), scores.max(axis=1)
        turned = np.maximum(both[0][..., 8:].max(axis=1), both[1][..., :7:-1].max(axis=1))
        any_way = (np.maximum(ways.max(axis=1), turned.max(axis=1)) >= _QUICK)[:, None]
        least = np.maximum(_QUICK, ways.max(axis=1, keepdims=True)) - _SLACK
        tried = ((scores >= least) & any_way for scores in (ways, turned))
        for row, (likely, angled) in enumerate(zip(*tried, strict=True)):
            yield Likely(
                tuple((int(way), int(crop[row, way])) for way in np.flatnonzero(likely)),
                tuple(angle for sign in np.flatnonzero(angled) for angle in _TURNS[sign]),
            )


GRIDS = (len(_CROPS) + 2, _GRID**2)  # shape of the grids of a picture
_WAYS = [(mirrored, quarters) for mirrored in (False, True) for quarters in range(4)]
_BACK = [0, 3, 2, 1, 4, 5, 6, 7]  # the way that undoes each
_STEPS = 254.0  # of a cell of a grid in 8 bits


def grids_of(frame: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return the means of cells of crops of a picture's coarse detail, and of it turned a little.

    Args:
        frame: uint8 gray, longer side of `SIDE` pixels (`resized`).

    Returns:
        Shape (crops and two turns, cells), each of mean 0 and length 1 before it is rounded to
        8 bits: `_CROPS`, then the centre of the picture turned by -5 and by 5 degrees.
    """
    coarse = _coarse(frame)
    inner = tuple(cells[-1:] for cells in _cells(*frame.shape))
    turned = [_grids(_rotated(coarse, angle), *inner) for angle in (-5, 5)]
    grids = np.concatenate([_grids(coarse, *_cells(*frame.shape)), *turned])
    return np.round(np.clip(grids, -0.5, 0.5) * _STEPS).astype(np.int8)


@functools.lru_cache(maxsize=64)  # one picture is compared with several, one after another
def _coarse_of(pixels: bytes, shape: tuple[int, int]) -> Gray:
    return _coarse(np.frombuffer(pixels, np.uint8).reshape(shape))


_CELL_OF_WAY = np.stack(
    [_turned(np.arange(_GRID**2).reshape(_GRID, -1), *way).ravel() for way in _WAYS]
)


def _grids(coarse: Gray, top: Any, bottom: Any, left: Any, right: Any) -> Gray:
    """Return the means of cells (n, cells) of crops, each crop of mean 0 and length 1."""
    sums = cv2.integral(coarse)
    cells = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    cells /= (bottom - top) * (right - left)
    cells -= cells.mean(axis=1, keepdims=True)
    return (cells / (np.linalg.norm(cells, axis=1, keepdims=True) + 1e-6)).astype(np.float32)


@functools.lru_cache(maxsize=256)
def _cells(height: int, width: int) -> tuple[NDArray[np.intp], ...]:
    """Return top, bottom, left and right of the cells (n, cells) of `_CROPS`."""
    edges = np.linspace(0, 1, _GRID + 1)
    sides: list[list[NDArray[np.intp]]] = [[], [], [], []]
    for y, x, side in _CROPS:
        rows, columns = (
            np.round(length * (start + side * edges)).astype(np.intp)
            for length, start in ((height, y), (width, x))
        )
        grid = np.meshgrid(rows[:-1], columns[:-1], indexing="ij")
        rows, columns = (np.maximum(edge[1:], edge[:-1] + 1) for edge in (rows, columns))
        ends = np.meshgrid(rows, columns, indexing="ij")
        for kept, values in zip(sides, (grid[0], ends[0], grid[1], ends[1]), strict=True):
            kept.append(values.ravel())
    return tuple(np.array(kept) for kept in sides)


def detail_likeness(
    first: NDArray[np.uint8], second: NDArray[np.uint8], placed: Placement | None = None
) -> float:
    """Return the correlation, -1 to 1, of the detail of two gray pictures in their best alignment.

    Two thirds of it are of fine detail, the median over small tiles, so that a mark, a strip or a
    ruler on one does not decide; the rest is that of `place`. -1 where the two hardly overlap.

    Args:
        first: uint8 gray of any size, black strips taken away.
        second: The same.
        placed: Their best alignment, where it is known.
    """
    placed = placed or place(resized(first, SIDE), resized(second, SIDE))
    if placed.score < PLACED:
        return -1.0
    one = resized(first, DETAIL).astype(np.float32)
    other = _turned(resized(second, DETAIL), placed.mirrored, placed.quarters).astype(np.float32)
    other = np.ascontiguousarray(other)
    inner = np.pad(np.ones(np.subtract(other.shape, 8), np.float32), 4)
    if placed.angle:
        other, inner = _rotated(other, placed.angle), _rotated(inner, placed.angle, edge=False)
    start = np.array(placed.warp, np.float32)
    start[:, 2] *= DETAIL / SIDE
    a, b, where = _coarse(one), _coarse(other), (inner > 0.5).astype(np.uint8)

    def fine(warp: Gray) -> float:
        flags, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, one.shape[::-1]
        laid = cv2.warpAffine(other, warp, size, flags=flags)
        covered = cv2.warpAffine(inner, warp, size, flags=flags) > 0.99
        return _median_of_tiles(one, laid, covered)

    likeness, warp = likeness_aligned(a, b, start, where, fine) or (fine(start), start)
    stretch = np.linalg.svd(warp[:, :2], compute_uv=False) / start[0, 0]
    if not (0.9 < stretch[1] <= stretch[0] < 1.1 and stretch[0] < 1.04 * stretch[1]):
        return -1.0  # aligned only where one is distorted: two lesions
    return _COARSE * placed.score + (1 - _COARSE) * likeness if likeness > -1 else -1.0


def likeness_aligned(
    one: Gray, other: Gray, start: Gray, where: NDArray[np.uint8], likeness: Callable[[Gray], float]
) -> tuple[float, Gray] | None:
    """Return the likeness of two pictures under the affine warp that aligns them best.

    They are aligned at half their size first; where they are quite unlike even then, that is it.

    Args:
        one: float32 gray.
        other: The same.
        start: Affine map (2, 3) from points of the first to points of the second.
        where: Pixels of the second that count.
        likeness: Likeness of the two under a warp, -1 to 1.

    Returns:
        The likeness and the warp; None where they cannot be aligned.

    Source:
        Evangelidis and Psarakis 2008, doi 10.1109/TPAMI.2008.113.
    """
    halves = [
        cv2.resize(values, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        for values in (one, other, where)
    ]
    shift = np.array([[1, 1, 0.5], [1, 1, 0.5]], np.float32)
    warp = _aligning(halves[0], halves[1], start * shift, halves[2], steps=15, blur=3)
    if warp is not None and (rough := likeness(warp / shift)) < _HOPELESS:
        return rough, warp / shift
    warp = _aligning(one, other, start.copy(), where, steps=40, blur=5)
    return None if warp is None else (likeness(warp), warp)


def _aligning(
    one: Gray, other: Gray, start: Gray, where: NDArray[Any], *, steps: int, blur: int
) -> Gray | None:
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, 1e-4)
    try:
        return cv2.findTransformECC(one, other, start, cv2.MOTION_AFFINE, stop, where, blur)[1]
    except cv2.error as error:
        if error.code != cv2.Error.StsNoConv:
            raise
        return None


def _median_of_tiles(one: Gray, other: Gray, covered: NDArray[np.bool_]) -> float:
    a, b = fine_detail(one), fine_detail(other)
    rows, columns = (length // _TILE for length in one.shape)
    cut = (slice(rows * _TILE), slice(columns * _TILE))

    def tiles(values: NDArray[Any]) -> NDArray[Any]:
        squares = values[cut].reshape(rows, _TILE, columns, _TILE).swapaxes(1, 2)
        return squares.reshape(rows * columns, -1)

    a, b, seen = tiles(a), tiles(b), tiles(covered).astype(np.float32)
    enough = seen.mean(axis=1) >= 0.6
    if enough.mean() < 0.3:
        return -1.0
    a, b, seen = a[enough], b[enough], seen[enough]
    count = seen.sum(axis=1, keepdims=True)
    a = (a - (a * seen).sum(axis=1, keepdims=True) / count) * seen
    b = (b - (b * seen).sum(axis=1, keepdims=True) / count) * seen
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.median((a * b).sum(axis=1) / (lengths + _FLOOR * count[:, 0])))


def fine_detail(gray: Gray) -> Gray:
    """Return what is finer than a few pixels of a gray picture, without the grain."""
    smooth = cv2.GaussianBlur(gray, (0, 0), 1.0)  # recompression changes what is finer
    return smooth - cv2.GaussianBlur(smooth, (0, 0), 3.0)


def _coarse(gray: NDArray[Any]) -> Gray:
    """Return what is finer than a few pixels, cut off so that no bright mark outweighs the rest."""
    values = gray.astype(np.float32)
    band = cv2.GaussianBlur(values, (0, 0), 0.8) - cv2.GaussianBlur(values, (0, 0), 4.0)
    return np.clip(band, -_STRONG, _STRONG)


def _rotated(pixels: Gray, angle: float, *, edge: bool = True) -> Gray:
    height, width = pixels.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    border = cv2.BORDER_REPLICATE if edge else cv2.BORDER_CONSTANT
    return cv2.warpAffine(pixels, turn, (width, height), borderMode=border)


def _inside(large: Gray, small: Gray, width: float) -> tuple[float, tuple[float, float, float]]:
    """Return how well ``small``, at a share of the width of ``large``, fits into it, and where.

    A point of the small one times the scale, plus (x, y), is the point of the large one.
    """
    columns = round(width * large.shape[1])
    rows = round(columns * small.shape[0] / small.shape[1])
    if rows == large.shape[0] + 1:
        rows -= 1
    if not 0.6 * large.shape[0] <= rows <= large.shape[0]:
        return -1.0, (1.0, 0.0, 0.0)
    part = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR)
    scores = cv2.matchTemplate(large, part, cv2.TM_CCOEFF_NORMED)
    _, score, _, (x, y) = cv2.minMaxLoc(scores)
    return float(score), (columns / small.shape[1], float(x), float(y))


def _matrix(scale: float, x: float, y: float) -> tuple[tuple[float, float, float], ...]:
    return ((scale, 0.0, x), (0.0, scale, y))
