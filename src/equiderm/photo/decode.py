"""Photographs in any common format to one square of 8-bit sRGB pixels."""

from __future__ import annotations

import io
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from equiderm.photo import readers
from equiderm.photo.raster import PhotoError, Raster
from equiderm.photo.reference import AnyReference, place_in_square
from equiderm.remote import read_url, url_of

__all__ = ["Photo", "PhotoError", "Source", "load_photo", "load_square"]

# The last is a torch tensor, or anything else that numpy can make an array of.
Source: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | Any
)

SMALLEST_SIDE = 20  # px; below it a 20 px sample of the 256 px square is under 2 px of the original
_GRAY_SPREAD = 2  # of 255; JPEG of a gray picture in RGB keeps its channels this close


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph, centre-cropped to a square and resized.

    Attributes:
        square: sRGB pixels, shape (size, size, 3), uint8, upright.
        width: Width of the original, in px, after its orientation tag was followed.
        height: Likewise.
        has_colour: False for a picture in shades of gray, however it was stored.
        transparent: Where the original is transparent or has a reference, shape (size, size); None
            where nowhere.
        flags: What a user should know about how it was read: ``several-pictures`` where the file
            holds further pages or frames, ``colour-unsure`` where it does not say clearly what its
            colours mean.
    """

    square: NDArray[np.uint8]
    width: int
    height: int
    has_colour: bool
    transparent: NDArray[np.bool_] | None = None
    flags: tuple[str, ...] = ()


def load_square(source: Source, size: int = 256, *, exact: bool = False) -> NDArray[np.uint8]:
    """Return only the pixels of `load_photo`, shape (size, size, 3), uint8 sRGB."""
    return load_photo(source, size, exact=exact).square


def load_photo(
    source: Source,
    size: int = 256,
    *,
    exact: bool = False,
    channels: str = "rgb",
    reference: AnyReference | None = None,
) -> Photo:
    """Return a photograph cropped to its central square and resized with a Lanczos filter.

    Orientation tags are followed; colours are converted to sRGB from what the file says they are
    (an ICC profile, PNG's cICP, gAMA and cHRM, HEIF's code points, EXIF's Adobe RGB); palettes,
    CMYK, Lab, 16-bit and gray are expanded, and transparency is shown on white. Of several pages or
    frames the first is read.

    Args:
        source: A file's path or URL, a file's bytes or a file open for reading bytes; a Pillow
            image; or pixels: shape (h, w), (h, w, 3) or (h, w, 4), uint8, uint16, or floats in
            [0, 1], taken as sRGB. A torch tensor may have its channels first.
        size: Side of the square in px.
        exact: Decode JPEGs at full size. Otherwise libjpeg decodes a large one at 1/2, 1/4 or 1/8,
            never below twice the target, which is several times as fast.
        channels: "bgr" for pixels in OpenCV's order.
        reference: A neutral patch or a colour card by which exposure and colours are corrected.

    Raises:
        PhotoError: It cannot be read; the message says why.

    Source:
        Centre crop to the short side and Lanczos: the authors' preparation of their images
        (Bevan and Atapour-Abarghouei 2022, released code).
    """
    if channels not in ("rgb", "bgr"):
        raise PhotoError(f"channels are 'rgb' or 'bgr', not {channels!r}")
    try:
        raster = _raster(source, 0 if exact else 2 * size, channels)
        width, height = raster.upright_size
        if min(width, height) < SMALLEST_SIDE:
            raise PhotoError(
                f"{width} x {height} px is too small; at least {SMALLEST_SIDE} px a side"
            )
        square, transparent = raster.square(size)
        if reference is not None:
            square, corners = reference.correct(square, raster)
            covered = place_in_square(corners, raster, size)
            if covered.any():
                transparent = covered if transparent is None else transparent | covered
    except MemoryError as error:
        raise PhotoError("too large for this machine's memory") from error
    return Photo(square, width, height, has_colour(square), transparent, raster.flags)


def _raster(source: Source, smallest: int, channels: str) -> Raster:
    if isinstance(source, str | os.PathLike):
        _only_pixels(channels)
        if url := url_of(source):
            return readers.read_blob(read_image_url(url), smallest)
        return _read_path(Path(source), smallest)
    if isinstance(source, bytes | bytearray | memoryview):
        _only_pixels(channels)
        return readers.read_blob(bytes(source), smallest)
    if isinstance(source, Image.Image):
        _only_pixels(channels)
        return readers.read_image(source)
    if hasattr(source, "read"):
        _only_pixels(channels)
        return readers.read_blob(_read_open(cast("IO[bytes]", source)), smallest)
    pixels, mode = _pixels(source)
    if channels == "bgr" and pixels.ndim == 3:
        pixels = pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]
    return Raster(pixels, pixels.shape[1], pixels.shape[0], mode=mode)


def read_image_url(url: str) -> bytes:
    """Return the bytes of a photograph at a URL.

    Raises:
        PhotoError: It cannot be read, or is empty.
    """
    try:
        blob = read_url(url)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise PhotoError(
            "no such file" if missing else f"cannot be read ({error.strerror})"
        ) from error
    if not blob:
        raise PhotoError("the file is empty")
    return blob


def _only_pixels(channels: str) -> None:
    if channels != "rgb":
        raise PhotoError("channels='bgr' is for arrays of pixels; a file says its own order")


def _read_open(file: IO[bytes]) -> bytes:
    blob: Any = file.read()
    if not isinstance(blob, bytes):
        raise PhotoError("the file is open as text; open it with mode 'rb'")
    if not blob:
        raise PhotoError("the file is empty, or was read to its end")
    return blob


def _read_path(path: Path, smallest: int) -> Raster:
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            os.scandir(path).close()  # raises where it cannot be opened
            raise PhotoError("is a folder, not an image")
        if not stat.S_ISREG(kind):
            raise PhotoError("is not a regular file")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise PhotoError(why_absent(path)) from error
    except OSError as error:
        raise PhotoError(f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise PhotoError(f"not a usable file name ({error})") from error
    with file:
        if file.seek(0, io.SEEK_END) == 0:
            raise PhotoError("the file is empty")
        file.seek(0)
        return readers.read_file(file, smallest)


def why_absent(path: str | os.PathLike[str]) -> str:
    """Return why there is no file of this name; one that a table cannot hold stands there escaped.

    See `equiderm.photo.walk.printable`.
    """
    if Path(path).is_symlink():
        return "is a link that leads nowhere"
    escape = rb"\\x([0-9a-f]{2})"
    name = re.sub(escape, lambda byte: bytes.fromhex(byte[1].decode()), os.fsencode(path))
    return "its name is not UTF-8; rename it" if os.path.lexists(name) else "no such file"


def _pixels(source: Any) -> tuple[NDArray[Any], str]:
    """Return an array or tensor as pixels of 8 or 16 bits, and their mode."""
    is_tensor = type(source).__module__.partition(".")[0] == "torch"
    array = np.asarray(source.detach().cpu() if is_tensor else source)
    if is_tensor and array.ndim == 3 and array.shape[0] in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise PhotoError(f"an array of shape {array.shape} is not a picture; (h, w, 3) is expected")
    if array.size == 0:
        raise PhotoError("the picture has no pixels")
    mode = "L" if array.ndim == 2 else "RGB" if array.shape[2] == 3 else "RGBA"
    return readers.whole_numbers(array), mode


def has_colour(square: NDArray[np.uint8]) -> bool:
    """Return whether over a thousandth of the pixels differ between channels by more than 2."""
    return _is_coloured(square[::16]) or _is_coloured(square)  # a few rows decide for most pictures


def _is_coloured(rows: NDArray[np.uint8]) -> bool:
    red, green, blue = cv2.split(np.ascontiguousarray(rows))
    spread = cv2.max(cv2.absdiff(red, green), cv2.absdiff(green, blue))
    coloured = cv2.countNonZero(cv2.threshold(spread, _GRAY_SPREAD, 1, cv2.THRESH_BINARY)[1])
    return coloured * 1000 > spread.size
