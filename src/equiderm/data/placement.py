"""Copies that a hash of the whole frame misses: cropped, turned, mirrored, marked, framed.

The colours of a photograph hardly change when it is turned or cropped: pictures of similar colours
are candidates. Each pair is aligned, and its fine detail decides.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
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
_WIDTHS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75)  # of one picture, as a share of the other's width
_TURNS = (-7.5, -5.0, -2.5, 2.5, 5.0, 7.5)  # degrees; the alignment finds what lies between
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
    """Return a picture, gray or RGB, without black strips along its sides."""
    dark = (pixels if pixels.ndim == 2 else pixels.max(axis=2)) < 24
    rows, columns = (np.flatnonzero(dark.mean(axis=axis) < 0.9) for axis in (1, 0))
    if len(rows) < 0.4 * dark.shape[0] or len(columns) < 0.4 * dark.shape[1]:
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


def place(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Placement:
    """Return the best alignment of two gray pictures: eight ways round, crops, small turns.

    Args:
        first: uint8, longer side of `SIDE` pixels (`resized`).
        second: The same.
    """
    likely, turned = _quick_scores(first, second)
    if max(likely.max(), turned) < _QUICK:
        return Placement(-1.0)
    one, other = (_parts(picture.tobytes(), picture.shape)[0] for picture in (first, second))
    best = Placement(-1.0)
    for way in np.flatnonzero(likely >= likely.max() - _SLACK):
        mirrored, quarters = _WAYS[way]
        score, warp = _fit(one, np.ascontiguousarray(_turned(other, mirrored, quarters)))
        if score > best.score:
            best = Placement(score, mirrored, quarters, 0.0, _matrix(*warp))
    if best.score >= PLACED or turned < likely.max() - _SLACK:
        return best
    for angle in _TURNS:
        way = _rotated(other, angle)
        height, width = way.shape
        top, left = height // 8, width // 8
        part = way[top : height - top, left : width - left]
        score, (_, x, y) = _inside(one, part, part.shape[1] / one.shape[1])
        if score > best.score:
            best = Placement(score, False, 0, angle, _matrix(1.0, left - x, top - y))
    return best


def upright_score(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the correlation of coarse detail of two pictures, upright and stretched to squares.

    The highest of their whole frames and centre squares, each a crop of the other or not.

    Args:
        first: uint8 gray, longer side of `SIDE` pixels (`resized`).
        second: The same.
    """
    views = [_upright(picture.tobytes(), picture.shape) for picture in (first, second)]
    best = -1.0
    for one, other in itertools.product(*views):
        best = max(best, _fit(one, other)[0])
        if best >= UPRIGHT:
            break
    return best


@functools.lru_cache(maxsize=64)  # one picture is compared with several, one after another
def _upright(pixels: bytes, shape: tuple[int, int]) -> list[Gray]:
    """Return the coarse detail of a picture stretched to a square, and of its centre square."""
    gray, side = np.frombuffer(pixels, np.uint8).reshape(shape), min(shape)
    top, left = ((length - side) // 2 for length in shape)
    views = [gray] if shape[0] == shape[1] else [gray, gray[top : top + side, left : left + side]]
    return [_coarse(cv2.resize(view, (SIDE, SIDE), interpolation=cv2.INTER_AREA)) for view in views]


def _fit(one: Gray, other: Gray) -> tuple[float, tuple[float, float, float]]:
    """Return how well one picture fits as a crop of the other, and the map from one to other."""
    best, warp = -1.0, (1.0, 0.0, 0.0)
    for width in _WIDTHS:
        score, (scale, x, y) = _inside(one, other, width)
        if score > best:  # from the first to the second: the other way round
            best, warp = score, (1 / scale, -x / scale, -y / scale)
        score, found = _inside(other, one, width) if width < 1 else (-1.0, warp)
        if score > best:
            best, warp = score, found
    return best, warp


def _quick_scores(
    first: NDArray[np.uint8], second: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], float]:
    """Return the highest correlations of parts of one picture with the other, on a coarse grid.

    Of each of the eight ways round of the second (`_WAYS`), and of it turned a little. Most
    candidates fail all, at a tenth of the cost of aligning them; the way round of a copy is the
    best of the eight or close to it.
    """
    (_, a, a_ways), (_, b, b_ways) = (
        _parts(picture.tobytes(), picture.shape) for picture in (first, second)
    )
    one, other = (a @ b_ways).max(axis=0), (b @ a_ways).max(axis=0)
    return np.maximum(one[:8], other[_BACK]), float(max(one[8:].max(), other[8:].max()))


_WAYS = [(mirrored, quarters) for mirrored in (False, True) for quarters in range(4)]
_BACK = [0, 3, 2, 1, 4, 5, 6, 7]  # the way that undoes each


@functools.lru_cache(maxsize=64)  # one picture is compared with several, one after another
def _parts(pixels: bytes, shape: tuple[int, int]) -> tuple[Gray, Gray, Gray]:
    """Return the coarse detail of a picture, and grids of length 1 of its parts and of its ways.

    The parts (n, cells) are crops; the ways (cells, m) are the whole in its eight ways round and
    turned by 5 degrees either way.
    """
    coarse = _coarse(np.frombuffer(pixels, np.uint8).reshape(shape))
    crops = _grids(coarse, *_cells(*shape))
    inner = tuple(cells[-1:] for cells in _cells(*shape))
    turned = [_grids(_rotated(coarse, angle), *inner) for angle in (-5, 5)]
    return coarse, crops, np.concatenate([crops[0][_CELL_OF_WAY], *turned]).T


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
    """Return top, bottom, left and right of the cells (n, cells) of crops; the last is the centre.

    The whole comes first, then crops of 90 and 80 % of each side, at nine places each.
    """
    boxes = [(0.0, 0.0, 1.0)]
    for side in (0.9, 0.8):
        starts = (0.0, 1 - side, (1 - side) / 2)
        boxes += [(y, x, side) for y in starts for x in starts]
    edges = np.linspace(0, 1, _GRID + 1)
    sides: list[list[NDArray[np.intp]]] = [[], [], [], []]
    for y, x, side in boxes:
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


def detail_likeness(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the correlation, -1 to 1, of the detail of two gray pictures in their best alignment.

    Two thirds of it are of fine detail, the median over small tiles, so that a mark, a strip or a
    ruler on one does not decide; the rest is that of `place`. -1 where the two hardly overlap.

    Args:
        first: uint8 gray of any size, black strips taken away.
        second: The same.
    """
    placed = place(resized(first, SIDE), resized(second, SIDE))
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
