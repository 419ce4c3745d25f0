"""From decoded pixels, however they are stored, to one upright square of 8-bit sRGB."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from equiderm.errors import InputError
from equiderm.photo.colour import ColourSpace, Conversion

MOST_PIXELS = 250_000_000  # no photograph has more; a decompression bomb does
MOST_BYTES = 700_000_000  # for decoding; with its libraries a process stays below 1 GB
SEVERAL, UNSURE = "several-pictures", "colour-unsure"  # flags of a file
LEAST_HIGHEST = 16_384  # 16-bit values that all lie below it may be of 8, 12 or 14 bits
_BAND = 1_000_000  # pixels that are converted at a time
_OPAQUE = 128  # of 255; less is outside the picture
_MIRRORED_ACROSS, _MIRRORED_DOWN, _TURNED = {2, 3, 7, 8}, {3, 4, 6, 7}, {5, 6, 7, 8}


class PhotoError(InputError):
    """A photograph that cannot be used; the message is the reason, without the file's name."""


def check_size(width: int, height: int, bytes_per_pixel: float) -> None:
    """Raise PhotoError where decoding would take more memory than a worker may."""
    if width * height > MOST_PIXELS:
        raise PhotoError(f"{width} x {height} px is too large (a decompression bomb?)")
    if width * height * bytes_per_pixel > MOST_BYTES:
        most = MOST_BYTES / bytes_per_pixel / 1e6
        raise PhotoError(
            f"{width} x {height} px is too large for 1 GB of memory (in this format at most "
            f"{most:.0f} megapixels); save it smaller"
        )


@dataclass(frozen=True)
class Raster:
    """A picture as its file stores it, before it is turned, cropped or converted.

    Attributes:
        pixels: Values of 8 or 16 bits, shape (h, w) or (h, w, channels), or a Pillow image.
        width: Width of the original in px; ``pixels`` may be a reduced version of it.
        height: Likewise.
        orientation: EXIF tag 0x0112.
        conversion: From the values to sRGB; None where they are sRGB.
        mode: Pillow's name for the channels of an array: "L", "RGB", "RGBA" or "CMYK".
        flags: What a user should know about how it was read.
        quick: Whether a few levels of difference from the Lanczos filter are acceptable.
    """

    pixels: NDArray[Any] | Image.Image
    width: int
    height: int
    orientation: int = 1
    conversion: Conversion | None = None
    mode: str = "RGB"
    flags: tuple[str, ...] = ()
    quick: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pixels at hand."""
        if isinstance(self.pixels, Image.Image):
            return self.pixels.width, self.pixels.height
        return int(self.pixels.shape[1]), int(self.pixels.shape[0])

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the original after its orientation tag is followed."""
        if self.orientation in _TURNED:
            return self.height, self.width
        return self.width, self.height

    def square(self, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """Return the central square as sRGB, (size, size, 3), and where it is transparent, if so.

        What is more than half transparent is shown as white.
        """
        values, alpha = _central_square(self, size)
        values = self._as_srgb(values)
        outside = None if alpha is None or alpha.min() >= _OPAQUE else alpha < _OPAQUE
        turned = upright(values, self.orientation)
        return turned, None if outside is None else upright(outside, self.orientation)

    def part(self, left: int, top: int, width: int, height: int) -> NDArray[np.uint8]:
        """Return a rectangle of the upright original as sRGB, (h, w, 3), perhaps reduced."""
        if self.orientation in _TURNED:
            left, top, width, height = top, left, height, width
        if self.orientation in _MIRRORED_ACROSS:
            left = self.width - left - width
        if self.orientation in _MIRRORED_DOWN:
            top = self.height - top - height
        across, down = self.size[0] / self.width, self.size[1] / self.height
        x = slice(int(left * across), max(int((left + width) * across), int(left * across) + 1))
        y = slice(int(top * down), max(int((top + height) * down), int(top * down) + 1))
        return self._as_srgb(np.concatenate([np.asarray(band) for band, _ in self.bands(x, y)]))

    def _as_srgb(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.conversion is not None and not self._is_deep:
            values = self.conversion.to_srgb(values)
        elif self.resize_mode == "CMYK":
            inks = Image.frombytes("CMYK", values.shape[1::-1], values.tobytes())
            values = np.asarray(inks.convert("RGB"))
        return np.repeat(values[:, :, None], 3, axis=2) if values.ndim == 2 else values

    @property
    def _is_deep(self) -> bool:
        return isinstance(self.pixels, np.ndarray) and self.pixels.dtype == np.uint16

    @property
    def resize_mode(self) -> str:
        """The mode in which the pixels are resized, before the conversion."""
        mode = self.pixels.mode if isinstance(self.pixels, Image.Image) else self.mode
        return "L" if mode == "1" else mode if mode in ("L", "CMYK", "LAB") else "RGB"

    def bands(self, x: slice, y: slice) -> Iterator[tuple[Image.Image, Image.Image | None]]:
        """Yield rows of a part of the picture, with their opacity where not all of it is opaque.

        A large picture is therefore never copied whole. Modes are "RGB", "L", "CMYK" or "LAB".
        """
        step = max(1, _BAND // (x.stop - x.start))
        for top in range(y.start, y.stop, step):
            bottom = min(top + step, y.stop)
            if isinstance(self.pixels, Image.Image):
                band = self.pixels.crop((x.start, top, x.stop, bottom))
            else:
                band = self._image_of(self.pixels[top:bottom, x])
            yield _opaque(band)

    def _image_of(self, pixels: NDArray[Any]) -> Image.Image:
        if pixels.dtype == np.uint16:
            alpha = pixels[..., 3:] if self.mode == "RGBA" else None
            colour = pixels[..., :3] if self.mode == "RGBA" else pixels
            if isinstance(self.conversion, ColourSpace) and colour.ndim == 3:
                colour = self.conversion.to_srgb(colour)
            else:
                colour = to_8_bits(colour)
                if self.conversion is not None and colour.ndim == 3:
                    colour = self.conversion.to_srgb(colour)
            pixels = colour if alpha is None else np.dstack([colour, to_8_bits(alpha)])
        if self.mode == "CMYK":
            height, width = pixels.shape[:2]
            return Image.frombytes("CMYK", (width, height), np.ascontiguousarray(pixels).tobytes())
        return Image.fromarray(np.ascontiguousarray(pixels))


def to_8_bits(pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return 16-bit values as 8-bit ones, rounded."""
    return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def _opaque(band: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return a picture without its alpha channel, and the channel if it is not all 255.

    What is more than half transparent becomes white; the rest keeps the colour of the skin, with
    no background mixed in.
    """
    if band.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in band.info:
        layered = band.convert("RGBA")
        alpha = layered.getchannel("A")
        if alpha.getextrema() == (255, 255):
            return layered.convert("RGB"), None
        seen = alpha.point([0] * _OPAQUE + [255] * (256 - _OPAQUE))
        white = Image.new("RGB", layered.size, "white")
        white.paste(layered.convert("RGB"), mask=seen)
        return white, alpha
    if band.mode in ("RGB", "L", "CMYK", "LAB"):
        return band, None
    return band.convert("L" if band.mode == "1" else "RGB"), None


def _central_square(
    raster: Raster, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Return the central square of the original, and its opacity where not all is opaque."""
    full_width, full_height = raster.width, raster.height
    side = min(full_width, full_height)
    left, top = round((full_width - side) / 2), round((full_height - side) / 2)
    if raster.orientation in _MIRRORED_ACROSS:
        left = full_width - side - left
    if raster.orientation in _MIRRORED_DOWN:
        top = full_height - side - top
    width, height = raster.size
    across, down = width / full_width, height / full_height
    box = (left * across, top * down, (left + side) * across, (top + side) * down)
    # cut whole pixels first: Pillow copies what it is given, and a margin outside is waste
    x = slice(int(box[0]), math.ceil(box[2]))
    y = slice(int(box[1]), math.ceil(box[3]))
    if isinstance(raster.pixels, np.ndarray) and raster.pixels.dtype == np.uint8:
        if raster.size == (full_width, full_height) and side == size and raster.mode != "RGBA":
            return np.ascontiguousarray(raster.pixels[y, x]), None
        if raster.quick:
            return _quickly(raster.pixels[y, x], size), None
    inner = (box[0] - x.start, box[1] - y.start, box[2] - x.start, box[3] - y.start)
    colours: list[NDArray[np.uint8]] = []
    opacities: list[NDArray[np.uint8] | None] = []
    for colour, alpha in raster.bands(x, y):
        colours.append(_across(colour, inner, size))
        opacities.append(None if alpha is None else _across(alpha, inner, size))
    mode = raster.resize_mode
    if all(band is None for band in opacities):
        return _down(colours, mode, inner, size), None
    filled = [
        np.full(colour.shape[:2], 255, np.uint8) if alpha is None else alpha
        for colour, alpha in zip(colours, opacities, strict=True)
    ]
    return _down(colours, mode, inner, size), _down(filled, "L", inner, size)


def _quickly(square: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return a square of over twice the size, halved by averaging and resized by a cubic filter.

    It takes a tenth of the Lanczos filter's time and moves a picture's ITA by 0.1 degrees on
    average.
    """
    half = min(square.shape[:2]) // 2
    halved = cv2.resize(square[: 2 * half, : 2 * half], (half, half), interpolation=cv2.INTER_AREA)
    return cv2.resize(halved, (size, size), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def _across(band: Image.Image, box: tuple[float, ...], size: int) -> NDArray[np.uint8]:
    """Return rows resized in width, as the first of the Lanczos filter's two passes does it."""
    part = (box[0], 0, box[2], band.height)
    resized = band.resize((size, band.height), Image.Resampling.LANCZOS, box=part)
    return np.asarray(resized)


def _down(
    bands: list[NDArray[np.uint8]], mode: str, box: tuple[float, ...], size: int
) -> NDArray[np.uint8]:
    """Return the second pass over all rows."""
    rows = bands[0] if len(bands) == 1 else np.concatenate(bands)
    tall = Image.frombytes(mode, (size, len(rows)), np.ascontiguousarray(rows).tobytes())
    part = (0, box[1], size, box[3])
    return np.asarray(tall.resize((size, size), Image.Resampling.LANCZOS, box=part))


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return pixels turned as EXIF tag 0x0112 says; values outside 2..8 change nothing."""
    if orientation in _TURNED:
        pixels = pixels.swapaxes(0, 1)
    turned = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
    down, across = turned.get(orientation, (1, 1))
    return np.ascontiguousarray(pixels[::down, ::across])
