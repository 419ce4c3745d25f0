"""Any photograph, as people really store them, to one square of 8-bit sRGB pixels."""

from __future__ import annotations

import io
import math
import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from equiderm.errors import InputError

Source: TypeAlias = "str | os.PathLike[str] | bytes | NDArray[Any]"

SMALLEST_SIDE = 20  # px; below it a 20 px sample of the 256 px square is under 2 px of the original
MOST_PIXELS = 250_000_000  # a 250-megapixel file is a scan of a wall or a decompression bomb
_GRAY_SPREAD = 2  # of 255; JPEG of a gray picture in RGB keeps its channels this close
_JPEG_END = b"\xff\xd9"
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


class PhotoError(InputError):
    """A photograph that cannot be used; the message is the reason, without the file's name."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph, centre-cropped to a square and resized.

    Attributes:
        square: sRGB pixels, shape (size, size, 3), uint8, upright.
        width: Of the original, in px, after its orientation tag was followed.
        height: Likewise.
        has_colour: False for a picture in shades of gray, however it was stored.
    """

    square: NDArray[np.uint8]
    width: int
    height: int
    has_colour: bool


def load_square(source: Source, size: int = 256, *, exact: bool = False) -> NDArray[np.uint8]:
    """Return only the pixels of `load_photo`, shape (size, size, 3), uint8 sRGB."""
    return load_photo(source, size, exact=exact).square


def load_photo(source: Source, size: int = 256, *, exact: bool = False) -> Photo:
    """Return a photograph cropped to its central square and resized with a Lanczos filter.

    Orientation tags are followed, embedded colour profiles converted to sRGB, palettes, CMYK,
    16-bit and gray expanded, and transparency shown on white, as an image viewer does.

    Args:
        source: A file's path, a file's bytes, or pixels: shape (h, w), (h, w, 3) or (h, w, 4),
            uint8, uint16, or floats in [0, 1], taken as sRGB.
        size: Side of the square in px.
        exact: Decode JPEGs at full size. Otherwise libjpeg decodes a large one at 1/2, 1/4 or 1/8,
            never below twice the target, which is several times as fast.

    Raises:
        PhotoError: It cannot be read; the message says why.

    Source:
        Centre crop to the short side and Lanczos: the authors' preparation of their images
        (Bevan and Atapour-Abarghouei 2022, released code).
    """
    try:
        if isinstance(source, np.ndarray):
            pixels = _pixels_of_array(source)
            full_height, full_width = pixels.shape[:2]
        else:
            blob = source if isinstance(source, bytes) else _read_bytes(Path(source))
            pixels, full_width, full_height = _decode(blob, 0 if exact else 2 * size)
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError("too large for this machine's memory") from error
    if min(full_width, full_height) < SMALLEST_SIDE:
        raise PhotoError(
            f"{full_width} x {full_height} px is too small; at least {SMALLEST_SIDE} px a side"
        )
    square = _central_square(pixels, full_width, full_height, size)
    return Photo(square, full_width, full_height, _has_colour(square))


def _read_bytes(path: Path) -> bytes:
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            os.scandir(path).close()  # raises where it cannot be opened
            raise PhotoError("is a folder, not an image")
        if not stat.S_ISREG(kind):
            raise PhotoError("is not a regular file")
        blob = path.read_bytes()
    except FileNotFoundError as error:
        reason = "is a link that leads nowhere" if path.is_symlink() else "no such file"
        raise PhotoError(reason) from error
    except OSError as error:
        raise PhotoError(f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise PhotoError(f"not a usable file name ({error})") from error
    if not blob:
        raise PhotoError("the file is empty")
    return blob


def _decode(blob: bytes, smallest: int) -> tuple[NDArray[np.uint8], int, int]:
    """Return upright sRGB pixels, perhaps reduced, and the full width and height.

    The square of the reduced pixels is at least ``smallest`` px a side; 0 forbids reducing.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata; what matters raises
        try:
            image = Image.open(io.BytesIO(blob))
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise PhotoError(f"{width} x {height} px is too large (a decompression bomb?)")
            profile = image.info.get("icc_profile")
            orientation = image.getexif().get(0x0112, 1)
            fast = (
                image.format in ("JPEG", "MPO")
                and image.mode == "RGB"
                and blob.endswith(_JPEG_END)
                and not _is_other_space(profile)
            )
            pixels = _decode_jpeg(blob, width, height, smallest) if fast else None
            if pixels is None:
                pixels = _decode_any(image, blob, smallest)
        except PhotoError:
            raise
        except Image.DecompressionBombError as error:
            raise PhotoError("too many pixels (a decompression bomb?)") from error
        except UnidentifiedImageError as error:
            raise PhotoError("not an image in a known format") from error
        except MemoryError:
            raise
        except Exception as error:  # decoders raise every kind of error on damaged files
            reason = str(error).strip().rstrip(".") or type(error).__name__
            raise PhotoError(f"damaged or truncated ({reason})") from error
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    return _upright(pixels, orientation), width, height


def _is_other_space(profile: bytes | None) -> bool:
    """Return whether an embedded profile names another colour space than sRGB."""
    if not profile:
        return False
    lower = profile.replace(b"\x00", b"").lower()  # descriptions come in ASCII and in UTF-16
    return b"srgb" not in lower


def _decode_jpeg(blob: bytes, width: int, height: int, smallest: int) -> NDArray[np.uint8] | None:
    """Return an RGB JPEG's pixels at the smallest allowed scale; None if OpenCV refuses it."""
    scale = 1
    while smallest and scale < 8 and min(width, height) // (scale * 2) >= smallest:
        scale *= 2
    flags = _REDUCED[scale] | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(blob, np.uint8), flags)
    if decoded is None:
        return None
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, dst=decoded)  # type: ignore[return-value]


def _decode_any(image: Image.Image, blob: bytes, smallest: int) -> NDArray[np.uint8]:
    """Return the pixels of any other picture that Pillow, or for deep colour OpenCV, can read."""
    if smallest and image.format in ("JPEG", "MPO"):
        ratio = smallest / min(image.size)
        image.draft(None, (math.ceil(image.width * ratio), math.ceil(image.height * ratio)))
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        deep = cv2.imdecode(
            np.frombuffer(blob, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
        )
        return _pixels_of_array(np.asarray(image) if deep is None else _bgr_to_rgb(deep))
    image.load()
    if _is_other_space(profile) and image.mode in ("RGB", "CMYK", "L"):
        converted = _to_srgb(image, profile)
        if converted is not None:
            return np.asarray(converted)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        image = Image.alpha_composite(white, layered)
    return np.asarray(image.convert("RGB"))


def _to_srgb(image: Image.Image, profile: Any) -> Image.Image | None:
    """Return the picture converted from its profile; None where the profile is unusable."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except ImageCms.PyCMSError:
        return None


def _bgr_to_rgb(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        return pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]
    return pixels


def _pixels_of_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return (h, w, 3) uint8 from an array of any usual shape and type."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise PhotoError(f"an array of shape {array.shape} is not a picture; (h, w, 3) is expected")
    if array.size == 0:
        raise PhotoError("the picture has no pixels")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise PhotoError("holds NaN or infinite values")
        if array.min() < 0 or array.max() > 1:
            raise PhotoError("floats must lie in [0, 1]; divide by the largest possible value")
        array = np.round(array * 255).astype(np.uint8)
    elif np.issubdtype(array.dtype, np.integer):
        lowest, highest = int(array.min()), int(array.max())
        if lowest < 0 or highest > 65535:
            raise PhotoError("integers must lie in 0..255 or, for 16 bits, in 0..65535")
        if array.dtype == np.uint16 or highest > 255:
            array = np.round(array / 257)
        array = array.astype(np.uint8)
    else:
        raise PhotoError(f"pixels of type {array.dtype} are not understood")
    if array.ndim == 2:
        return np.repeat(array[:, :, None], 3, axis=2)
    if array.shape[2] == 4:
        alpha = array[:, :, 3:].astype(np.float32) / 255
        return np.round(array[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return array


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return the pixels turned as EXIF tag 0x0112 says; values outside 2..8 change nothing."""
    if orientation not in range(2, 9):
        return pixels
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(pixels)
    picture.info["exif"] = exif.tobytes()
    return np.asarray(ImageOps.exif_transpose(picture))


def _central_square(
    pixels: NDArray[np.uint8], full_width: int, full_height: int, size: int
) -> NDArray[np.uint8]:
    """Return the central square of the full picture, cut from perhaps reduced pixels.

    A square that was decoded reduced is first averaged down to 1.5 times the size: the Lanczos
    filter alone would take several times as long.
    """
    side = min(full_width, full_height)
    left, top = round((full_width - side) / 2), round((full_height - side) / 2)
    height, width = pixels.shape[:2]
    if (width, height) == (full_width, full_height) and side == size:
        return np.ascontiguousarray(pixels[top : top + size, left : left + size])
    across, down = width / full_width, height / full_height
    box = (left * across, top * down, (left + side) * across, (top + side) * down)
    # cut whole pixels first: Pillow copies what it is given, and a margin outside is waste
    x0, y0 = int(box[0]), int(box[1])
    cut = pixels[y0 : math.ceil(box[3]), x0 : math.ceil(box[2])]
    if (width, height) != (full_width, full_height) and min(cut.shape[:2]) > 2 * size:
        cut = cv2.resize(cut, (size * 3 // 2, size * 3 // 2), interpolation=cv2.INTER_AREA)
        return np.asarray(Image.fromarray(cut).resize((size, size), Image.Resampling.LANCZOS))
    inner = (box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0)
    picture = Image.fromarray(np.ascontiguousarray(cut))
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=inner))


def _has_colour(square: NDArray[np.uint8]) -> bool:
    """Return whether over a thousandth of the pixels differ between channels by more than 2."""
    return _is_coloured(square[::16]) or _is_coloured(square)  # a few rows tell most pictures


def _is_coloured(rows: NDArray[np.uint8]) -> bool:
    red, green, blue = cv2.split(np.ascontiguousarray(rows))
    spread = cv2.max(cv2.absdiff(red, green), cv2.absdiff(green, blue))
    coloured = cv2.countNonZero(cv2.threshold(spread, _GRAY_SPREAD, 1, cv2.THRESH_BINARY)[1])
    return coloured * 1000 > spread.size
