"""A gray or white patch in the picture, by which exposure and white balance are corrected."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equiderm.errors import InputError
from equiderm.photo.colour import from_linear, to_linear
from equiderm.photo.raster import PhotoError, Raster

GRAY_CARD = 49.5  # L* of 18 % reflectance
_CLIPPED, _BLACK = 250, 5  # of 255: a patch beyond them says nothing of the light


@dataclass(frozen=True)
class Reference:
    """Where a neutral patch lies in each photograph, and how light it is.

    Attributes:
        left: In px of the upright original.
        top: Likewise.
        width: Likewise.
        height: Likewise.
        lightness: L* of the patch, 0 to 100; 49.5 is a gray card of 18 %, about 95 white paper.
    """

    left: int
    top: int
    width: int
    height: int
    lightness: float = GRAY_CARD

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Return the reference that ``LEFT,TOP,WIDTH,HEIGHT`` or with ``,L*`` describes.

        Raises:
            InputError: It is something else.
        """
        try:
            numbers = [float(part) for part in text.split(",")]
            left, top, width, height = (int(number) for number in numbers[:4])
            lightness = numbers[4] if len(numbers) > 4 else GRAY_CARD
        except (ValueError, OverflowError) as error:
            raise InputError(f"{text}: {_EXPECTED}") from error
        sensible = len(numbers) <= 5 and min(left, top) >= 0 and min(width, height) >= 4
        if not sensible or not 10 <= lightness <= 100:
            raise InputError(f"{text}: {_EXPECTED}")
        return cls(left, top, width, height, lightness)

    def correct(self, square: NDArray[np.uint8], raster: Raster) -> NDArray[np.uint8]:
        """Return sRGB pixels as if the patch had come out neutral and as light as it is.

        Each channel's linear light is multiplied by one number (von Kries in sRGB).

        Raises:
            PhotoError: The patch lies outside of the picture, is clipped or is black.

        Source:
            von Kries 1902; L* to luminance by CIE 15:2004.
        """
        seen = self._colour(raster)
        y = (self.lightness + 16) / 116
        gain = (y**3 if y > 6 / 29 else (y - 16 / 116) / 7.787) / to_linear(seen / 255)
        codes = np.arange(256) / 255
        tables = np.round(255 * from_linear(to_linear(codes)[:, None] * gain)).astype(np.uint8)
        return np.stack([tables[square[..., i], i] for i in range(3)], axis=-1)

    def _colour(self, raster: Raster) -> NDArray[np.float64]:
        """Return the patch's median sRGB colour, shape (3,), of 255."""
        width, height = raster.upright_size
        if self.left + self.width > width or self.top + self.height > height:
            raise PhotoError(f"the reference patch lies outside of its {width} x {height} px")
        patch = raster.part(self.left, self.top, self.width, self.height).reshape(-1, 3)
        colour = np.median(patch, axis=0)
        if colour.max() >= _CLIPPED:
            raise PhotoError("the reference patch is over-exposed")
        if colour.min() <= _BLACK or not math.isfinite(colour.sum()):
            raise PhotoError("the reference patch is black")
        return colour


_EXPECTED = (
    "a reference is LEFT,TOP,WIDTH,HEIGHT in px of the upright photograph, at least 4 x 4 px, and "
    "perhaps ,L* of the patch (49.5, a gray card, unless given)."
)
