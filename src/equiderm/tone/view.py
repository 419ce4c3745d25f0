"""The input of an estimator of skin tone, a view of one picture, and its result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from equiderm.tone import skin

SIDE = 256  # px: the side of the square to which every photograph is cropped and resized
SAMPLE = 20  # px: the side of one of the paper's samples

# Top-left corners (row, column) on the 256 grid. Source: the authors' released code.
EIGHT_SAMPLES: dict[str, tuple[int, int]] = {
    "bottom": (230, 115),
    "top": (5, 115),
    "left": (115, 5),
    "right": (115, 230),
    "bottom-right": (216, 216),
    "bottom-left": (216, 20),
    "top-left": (20, 20),
    "top-right": (20, 216),
}

# Filling hair takes most of an estimate's time. A hair pixel's colour comes from at most half the
# 17 px kernel of the hair mask away. So filling a sample's hair with 10 px around it gives what
# filling the whole picture does, in a fifth of the time. (Of 7,336 samples of ISIC 2017, 6 differ
# in a few pixels, by 4 levels at most.)
_AROUND = 10  # px


@dataclass(frozen=True)
class Measurement:
    """What an estimator returns; `estimate` adds the rest.

    Attributes:
        lab: The skin's colour, shape (3,).
        ita: Its angle by the method's formula, degrees.
        sample_ita: Angles of the samples or of the used pixels, shape (n,), for the spread.
        patch: Name of the chosen sample, for methods that choose one.
        pixels: The pixels measured, for the tests of glare, shape (..., 3) uint8.
        sample_lab: Colours of all samples, shape (n, 3), where the method has samples.
        boxes: Top, left and side of each sample in px, for the overlay.
        used: Which pixels were used, shape (256, 256), for methods without samples.
        doubts: Flags that the method itself raises.
        confidence: Share of what may be skin that agrees with the result, 0 to 1; None for methods
            that do not compute it.
    """

    lab: NDArray[np.float64]
    ita: float
    sample_ita: NDArray[np.float64]
    pixels: NDArray[np.uint8]
    patch: str | None = None
    sample_lab: NDArray[np.float64] | None = None
    boxes: tuple[tuple[int, int, int], ...] = ()
    used: NDArray[np.bool_] | None = None
    doubts: tuple[str, ...] = ()
    confidence: float | None = None


class View:
    """One square picture and its parts that estimators use, each computed at most once.

    Attributes:
        pixels: sRGB, shape (256, 256, 3), uint8.
        transparent: Where the picture is transparent, shape (256, 256); None where nowhere.

    Args:
        hair: The hair mask, if it has been computed elsewhere.
        samples: The samples after hair removal, likewise.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        transparent: NDArray[np.bool_] | None = None,
        *,
        hair: NDArray[np.uint8] | None = None,
        samples: NDArray[np.uint8] | None = None,
    ) -> None:
        self.pixels = pixels
        self.transparent = transparent
        if hair is not None:
            self.hair = hair
        if samples is not None:
            self.samples = samples

    @cached_property
    def outside(self) -> NDArray[np.bool_] | None:
        """Transparent pixels and the surround of a cut-out lesion, (256, 256); None if none."""
        cut = skin.cut_out(self.pixels)
        if self.transparent is None:
            return cut
        transparent = skin.around_cut(self.transparent)
        return transparent if cut is None else cut | transparent

    def is_inside(self, boxes: Iterable[tuple[int, int, int]]) -> NDArray[np.bool_]:
        """Return which squares (top, left, side) lie wholly inside the picture, shape (n,)."""
        squares = list(boxes)
        if self.outside is None:
            return np.ones(len(squares), bool)
        return np.array(
            [not self.outside[y : y + side, x : x + side].any() for y, x, side in squares]
        )

    @cached_property
    def hair(self) -> NDArray[np.uint8]:
        """The hair mask, shape (256, 256), 0 or 1."""
        return skin.hair_mask(self.pixels)

    @cached_property
    def hair_fraction(self) -> float:
        """Share of the picture under the hair mask."""
        return cv2.countNonZero(self.hair) / self.hair.size

    @cached_property
    def filled(self) -> NDArray[np.uint8]:
        """The whole picture after hair removal."""
        return skin.fill_hair(self.pixels, self.hair)

    @cached_property
    def samples(self) -> NDArray[np.uint8]:
        """The eight samples of the picture after hair removal, shape (8, 20, 20, 3)."""
        return np.stack([self._sample(top, left) for top, left in EIGHT_SAMPLES.values()])

    def _sample(self, top: int, left: int) -> NDArray[np.uint8]:
        box = np.s_[top : top + SAMPLE, left : left + SAMPLE]
        x, y, width, height = cv2.boundingRect(self.hair[box])
        if width == 0:
            return self.pixels[box]
        x0, y0 = max(left + x - _AROUND, 0), max(top + y - _AROUND, 0)
        window = np.s_[y0 : top + y + height + _AROUND, x0 : left + x + width + _AROUND]
        filled = skin.fill_hair(self.pixels[window].copy(), self.hair[window].copy())
        sample = self.pixels[box].copy()
        part = np.s_[top + y - y0 : top + y - y0 + height, left + x - x0 : left + x - x0 + width]
        sample[y : y + height, x : x + width] = filled[part]
        return sample
