"""A gray patch or a colour card in the picture, by which exposure and colours are corrected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from equiderm.errors import InputError
from equiderm.photo.card import LONGEST, find_cards
from equiderm.photo.colour import from_linear, to_linear
from equiderm.photo.raster import PhotoError, Raster, upright

GRAY_CARD = 49.5  # L* of 18 % reflectance
CARD = "card:"  # before the place of a colour card
_CLIPPED, _BLACK = 250, 5  # of 255: a patch beyond them does not show the light
_FEWEST_FIELDS = 12  # of 24, neither clipped nor black
_FARTHEST = 12.0  # mean CIE 1976 difference of the corrected fields of such a card
_MOST_PIXELS = 60_000_000  # held in memory while a card is searched for
_FRAME = 1.1  # times the reference's size is not skin
_FIELD = 0.4  # of a field's side, about its middle, is measured, away from edges and shadows

# The 24 fields in four rows, from dark skin to black, 8-bit sRGB. Source: the maker's values, as
# tabulated by Pascale 2006, RGB coordinates of the Macbeth ColorChecker, The BabelColor Company.
FIELDS = np.array(
    [
        (115, 82, 68), (194, 150, 130), (98, 122, 157),
        (87, 108, 67), (133, 128, 177), (103, 189, 170),
        (214, 126, 44), (80, 91, 166), (193, 90, 99),
        (94, 60, 108), (157, 188, 64), (224, 163, 46),
        (56, 61, 150), (70, 148, 73), (175, 54, 60),
        (231, 199, 31), (187, 86, 149), (8, 133, 161),
        (243, 243, 242), (200, 200, 200), (160, 160, 160),
        (122, 122, 121), (85, 85, 85), (52, 52, 52),
    ],
    np.uint8,
)  # fmt: skip


Corners: TypeAlias = tuple[tuple[float, float], ...]
Corrected: TypeAlias = tuple[NDArray[np.uint8], Corners]  # and where the reference lies, clockwise


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
        """Return the reference that ``LEFT,TOP,WIDTH,HEIGHT``, perhaps with ``,L*``, describes.

        Raises:
            InputError: The text is something else.
        """
        numbers = _numbers(text)
        left, top, width, height = (int(number) for number in (*numbers, 0, 0, 0, 0)[:4])
        lightness = numbers[4] if len(numbers) > 4 else GRAY_CARD
        sensible = len(numbers) in (4, 5) and min(left, top) >= 0 and min(width, height) >= 4
        if not sensible or not 10 <= lightness <= 100:
            raise InputError(f"{text}: {_EXPECTED}")
        return cls(left, top, width, height, lightness)

    def correct(self, square: NDArray[np.uint8], raster: Raster) -> Corrected:
        """Return sRGB pixels as if the patch came out neutral and as light as it is, and its place.

        Each channel's linear light is multiplied by one number (von Kries in sRGB).

        Raises:
            PhotoError: The patch lies outside the picture, is clipped or is black.

        Source:
            von Kries 1902; L* to luminance by CIE 15:2004.
        """
        seen = self._colour(raster)
        y = (self.lightness + 16) / 116
        gain = (y**3 if y > 6 / 29 else (y - 16 / 116) / 7.787) / to_linear(seen / 255)
        codes = np.arange(256) / 255
        tables = np.round(255 * from_linear(to_linear(codes)[:, None] * gain)).astype(np.uint8)
        right, bottom = self.left + self.width, self.top + self.height
        box = ((self.left, self.top), (right, self.top), (right, bottom), (self.left, bottom))
        return np.stack([tables[square[..., i], i] for i in range(3)], axis=-1), box

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


@dataclass(frozen=True)
class ColourCard:
    """Where a card of 24 known colours lies, 6 fields by 4, in any of four orientations.

    Attributes:
        corners: x and y of the corners of its fields, clockwise, in px of the upright original.
    """

    corners: Corners

    @classmethod
    def parse(cls, text: str) -> ColourCard:
        """Return the card at ``LEFT,TOP,WIDTH,HEIGHT`` or at four corners ``X,Y,X,Y,X,Y,X,Y``.

        Raises:
            InputError: The text is something else.
        """
        numbers = _numbers(text)
        if len(numbers) == 4:
            left, top, width, height = numbers
            right, bottom = left + width, top + height
            numbers = [left, top, right, top, right, bottom, left, bottom]
        if len(numbers) != 8 or min(numbers) < 0:
            raise InputError(f"{CARD}{text}: {_EXPECTED}")
        corners = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        if cv2.contourArea(np.array(corners, np.float32)) < 24 * 4**2:
            raise InputError(f"{CARD}{text}: {_EXPECTED}")
        return cls(corners)

    def correct(self, square: NDArray[np.uint8], raster: Raster) -> Corrected:
        """Return sRGB pixels corrected so that the fields have their known colours, and its place.

        Linear light is multiplied by the matrix of least squares over the fields that are neither
        clipped nor black.

        Raises:
            PhotoError: The card lies outside the picture, too few of its fields can be used, or
                its colours match in no orientation.

        Source:
            Finlayson, Mackiewicz and Hurlbert 2015, IEEE Trans. Image Process. 24:1460: the linear
            correction, which holds at any exposure, as a polynomial one does not.
        """
        best, matrix = self.best_fit(raster)
        if best > _FARTHEST:
            raise PhotoError(
                f"the colour card is not where it should be: its fields are {best:.0f} CIELAB "
                "units from their colours on average after the correction"
            )
        return _through(matrix, square), self.corners

    def best_fit(self, raster: Raster) -> tuple[float, NDArray[np.float64]]:
        """Return the mean difference after the correction, and the matrix, of the best orientation.

        Raises:
            PhotoError: The card lies outside the picture, or too few fields can be used.
        """
        return min((self._fit(raster, turn) for turn in range(4)), key=lambda fit: fit[0])

    def _fit(self, raster: Raster, turn: int) -> tuple[float, NDArray[np.float64]]:
        """Return the mean difference after the correction, and the matrix, in one orientation."""
        seen = self._seen(raster, turn)
        usable = (seen.max(axis=1) < _CLIPPED) & (seen.min(axis=1) > _BLACK)
        if usable.sum() < _FEWEST_FIELDS:
            raise PhotoError(
                f"{24 - usable.sum()} of the colour card's 24 fields are over-exposed or black"
            )
        true = FIELDS[usable] / 255
        light = to_linear(seen[usable] / 255)
        matrix = np.linalg.lstsq(light, to_linear(true), rcond=None)[0]
        corrected = from_linear(np.clip(light @ matrix, 0, 1))
        pair = np.stack([corrected, true]).astype(np.float32)
        lab = cv2.cvtColor(pair, cv2.COLOR_RGB2LAB)
        apart = float(np.linalg.norm(lab[0] - lab[1], axis=1).mean())
        return apart, matrix.astype(np.float64)

    def _seen(self, raster: Raster, turn: int) -> NDArray[np.float64]:
        """Return the fields' median sRGB colours, shape (24, 3), of 255."""
        width, height = raster.upright_size
        corners = np.roll(np.array(self.corners, np.float32), turn, axis=0)
        if (corners > (width, height)).any():
            raise PhotoError(f"the colour card lies outside of its {width} x {height} px")
        card = np.array([(0, 0), (6, 0), (6, 4), (0, 4)], np.float32)
        place = cv2.getPerspectiveTransform(card, corners)
        middles = np.array([[(x + 0.5, y + 0.5)] for y in range(4) for x in range(6)], np.float32)
        side = _FIELD * min(
            np.linalg.norm(corners[1] - corners[0]) / 6, np.linalg.norm(corners[2] - corners[1]) / 4
        )
        size = max(int(side), 1)
        colours: list[NDArray[np.float64]] = []
        for x, y in cv2.perspectiveTransform(middles, place).reshape(-1, 2):
            left, top = max(int(x - side / 2), 0), max(int(y - side / 2), 0)
            field = raster.part(left, top, size, size)
            colours.append(np.median(field.reshape(-1, 3), axis=0))
        return np.array(colours)


@dataclass(frozen=True)
class SoughtCard:
    """A card of 24 known colours that lies somewhere in the picture."""

    def correct(self, square: NDArray[np.uint8], raster: Raster) -> Corrected:
        """Return sRGB pixels corrected by the card found in the picture, and its place.

        Raises:
            PhotoError: No 24 fields have the card's layout and colours.
        """
        width, height = raster.upright_size
        if raster.size[0] * raster.size[1] > _MOST_PIXELS:
            raise PhotoError("too large to look for a colour card in it; give the card's place")
        pixels = upright(raster.part(0, 0, width, height), raster.orientation)
        scale = min(1, LONGEST / max(pixels.shape[:2]))
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        small: Any = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        best, matrix, overexposed = _FARTHEST, None, ""
        place: Corners = ()
        for corners in find_cards(small):
            places = tuple((float(x), float(y)) for x, y in corners * (width, height) / size)
            try:
                apart, fitted = ColourCard(places).best_fit(raster)
            except PhotoError as error:
                overexposed = str(error)
                continue
            if apart < best:
                best, matrix, place = apart, fitted, places
        if matrix is None:
            raise PhotoError(
                overexposed
                or f"no colour card was found in it; give its place, {CARD}LEFT,TOP,WIDTH,HEIGHT"
            )
        return _through(matrix, square), place


def place_in_square(corners: Corners, raster: Raster, size: int) -> NDArray[np.bool_]:
    """Return where a reference lies in the central square, shape (size, size).

    A tenth is added around it, for a card's frame.
    """
    width, height = raster.upright_size
    side = min(width, height)
    places = np.array(corners) - (round((width - side) / 2), round((height - side) / 2))
    middle = places.mean(axis=0)
    grown = (middle + _FRAME * (places - middle)) * size / side
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, np.round(grown).astype(np.int32), 1)
    return mask.astype(bool)


def _through(matrix: NDArray[np.float64], square: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return sRGB pixels whose linear light went through a matrix."""
    linear = to_linear(square / 255) @ matrix
    return np.round(255 * from_linear(np.clip(linear, 0, 1))).astype(np.uint8)


AnyReference: TypeAlias = Reference | ColourCard | SoughtCard


def parse_reference(text: str) -> AnyReference:
    """Return the reference that a text describes: a patch, or after ``card:`` a colour card.

    ``card`` alone means that the colour card is searched for.

    Raises:
        InputError: The text is something else.
    """
    if text.strip().lower() == CARD[:-1]:
        return SoughtCard()
    if text.strip().lower().startswith(CARD):
        return ColourCard.parse(text.strip()[len(CARD) :])
    return Reference.parse(text)


def _numbers(text: str) -> list[float]:
    """Return numbers between commas or blanks, none of them infinite."""
    try:
        numbers = [float(part) for part in text.replace(",", " ").split()]
    except ValueError as error:
        raise InputError(f"{text}: {_EXPECTED}") from error
    if not all(math.isfinite(number) for number in numbers):
        raise InputError(f"{text}: {_EXPECTED}")
    return numbers


_EXPECTED = (
    "a reference is LEFT,TOP,WIDTH,HEIGHT in px of the upright photograph, at least 4 x 4 px, and "
    "perhaps ,L* of the patch (by default 49.5, a gray card); or card:LEFT,TOP,WIDTH,HEIGHT or "
    "card: and the corners X,Y,X,Y,X,Y,X,Y, clockwise, of the fields of a card of 24 colours, or "
    "card alone to search for it."
)
