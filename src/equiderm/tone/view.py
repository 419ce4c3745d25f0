"""What an estimator of skin tone is given, a view of one picture, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from equiderm.tone import skin

SIDE = 256  # px: the square that every photograph becomes
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

# Hair is filled in a window around a sample, not in the whole picture. A margin of 4 px moves the
# sample's ITA by 0.2 degrees at most on photographs; one of 20 px, or 48 px where hair is dense, by
# nothing. All samples get the first in one go, those that may be the lightest get the second.
_NARROW, _WIDE, _WIDEST, _DENSE = 4, 20, 48, 0.25
_WINDOWS = tuple(
    np.s_[top - _NARROW : top + SAMPLE + _NARROW, left - _NARROW : left + SAMPLE + _NARROW]
    for top, left in EIGHT_SAMPLES.values()
)


@dataclass(frozen=True)
class Measurement:
    """What an estimator returns; `estimate` adds the rest.

    Attributes:
        lab: The skin's colour, shape (3,).
        ita: Its angle by the method's formula, degrees.
        sample_ita: Angles of the samples or of the used pixels, shape (n,); spread is theirs.
        patch: Name of the chosen sample, if one was.
        pixels: The pixels measured, for the tests of glare, shape (..., 3) uint8.
        sample_lab: Colours of all samples, shape (n, 3), where the method has samples.
        boxes: Top, left and side of each sample in px, for the overlay.
        used: Which pixels were used, shape (256, 256), for methods without samples.
        doubts: Flags that the method itself raises.
        confidence: How far what may be skin agrees with the result, 0 to 1, if the method says.
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
    """One square picture and what the estimators ask of it, each part computed at most once.

    Attributes:
        pixels: sRGB, shape (256, 256, 3), uint8.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels

    @cached_property
    def hair(self) -> NDArray[np.uint8]:
        """The hair mask, shape (256, 256), 0 or 1."""
        return skin.hair_mask(self.pixels)

    @cached_property
    def hair_fraction(self) -> float:
        """Share of the picture under the hair mask."""
        return cv2.countNonZero(self.hair) / self.hair.size

    @cached_property
    def crowded(self) -> bool:
        """Whether hair is so dense that filling it in draws on pixels farther away."""
        return self.hair_fraction > _DENSE

    @cached_property
    def filled(self) -> NDArray[np.uint8]:
        """The whole picture after hair removal."""
        return skin.fill_hair(self.pixels, self.hair)

    def sample(self, top: int, left: int) -> NDArray[np.uint8]:
        """Return one 20 x 20 sample after hair removal, as if the whole picture were filled."""
        margin = _WIDEST if self.crowded else _WIDE
        bottom, right = top + SAMPLE, left + SAMPLE
        y, x = max(top - margin, 0), max(left - margin, 0)
        window = np.s_[y : bottom + margin, x : right + margin]
        filled = skin.fill_hair(
            np.ascontiguousarray(self.pixels[window]), np.ascontiguousarray(self.hair[window])
        )
        return filled[top - y : bottom - y, left - x : right - x]

    @cached_property
    def eight(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The eight samples after hair removal, (8, 20, 20, 3), and which of them had hair, (8,).

        All windows are filled in one picture, one below the other.
        """
        pixels = np.stack([self.pixels[window] for window in _WINDOWS])
        hair = np.stack([self.hair[window] for window in _WINDOWS])
        inner = np.s_[:, _NARROW:-_NARROW, _NARROW:-_NARROW]
        hairy = np.asarray(hair[inner].any(axis=(1, 2)))
        if hairy.any():
            side = SAMPLE + 2 * _NARROW
            pixels = skin.fill_hair(pixels.reshape(-1, side, 3), hair.reshape(-1, side))
            pixels = pixels.reshape(8, side, side, 3)
        return np.ascontiguousarray(pixels[inner]), hairy
