"""A file's bytes to a `Raster`: which library reads which format, and what it leaves to us.

Each reader checks the memory it will need before it decodes, converts colours as the file states
them, and refuses in one sentence what it would otherwise read wrongly.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import IO, Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from equiderm.errors import reason_of
from equiderm.photo import colour
from equiderm.photo.dicom import is_dicom, read_dicom
from equiderm.photo.headers import (
    LARGEST_PROFILE,
    ORIENTATION,
    bmp_profile,
    conversion_of,
    exif_tags,
    gif_profile,
    has_all_scans,
    is_coarse_avif,
    jp2_colours,
    jpeg_segments,
    jxl_header,
    nclx,
    png_colours,
    tags_of,
    tiff_pages,
)
from equiderm.photo.raster import LEAST_HIGHEST, SEVERAL, UNSURE, PhotoError, Raster, check_size

# Bytes per pixel while decoding, measured by bench/decode_memory.py; where a format is not listed,
# those of Pillow's pixels.
_BYTES_PER_PIXEL = {"WEBP": 16, "JPEG2000": 20, "AVIF": 10, "HEIF": 8, "JXL": 8}
_DEEP = 3  # bytes of OpenCV's memory per byte of a 16-bit or float picture
_FORMATS = [
    "PNG",
    "JPEG",
    "TIFF",
    "BMP",
    "DIB",
    "GIF",
    "WEBP",
    "PPM",
    "JPEG2000",
    "AVIF",
    "HEIF",
    "JXL",
    "TGA",
    "PCX",
    "SGI",
    "ICO",
    "PSD",
    "QOI",
]

_NOT_UNDERSTOOD = "damaged or truncated, or of a kind that is not understood"
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIGNATURES = (*_TIFF_SIGNATURES, b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"8BPS")
# TIFF's numbers of compressions, those that Pillow's libtiff has and those that OpenCV's has, too.
_TIFF_DEEP = (1, 5, 7, 8, 32773, 32946)
_TIFF_COMPRESSIONS = (*_TIFF_DEEP, 2, 3, 4, 6, 34925, 50000)
_STILLS = (b"mif1", b"msf1", b"hei", b"hevc", b"hevx", b"avif", b"avis")  # among many brands
_JXL_SIGNATURES = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")


def read_blob(blob: bytes, smallest: int) -> Raster:
    """Return the picture in a file's bytes.

    Args:
        blob: The file.
        smallest: A large JPEG may be decoded reduced as long as its central square keeps this many
            px a side; 0 forbids it.

    Raises:
        PhotoError: It cannot be read; the message says why.
    """
    with _one_sentence():
        if blob.startswith(b"\xff\xd8"):
            return _read_jpeg(blob, smallest)
        return _read_other(io.BytesIO(blob), lambda: blob, smallest)


def read_file(file: IO[bytes], smallest: int) -> Raster:
    """Return the picture in an open file; only a JPEG is read into memory whole."""
    head = file.read(4)
    file.seek(0)
    if head.startswith(b"\xff\xd8"):
        return read_blob(file.read(), smallest)
    with _one_sentence():
        return _read_other(file, lambda: _whole(file), smallest)


def read_image(image: Image.Image) -> Raster:
    """Return a picture that is open in Pillow."""
    with _one_sentence():
        return _of_pillow(image, {})


def _whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


@contextlib.contextmanager
def _one_sentence() -> Generator[None]:
    """Turn whatever a decoder raises into a reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata; what matters raises
        try:
            yield
        except (PhotoError, MemoryError):
            raise
        except colour.InputError as error:
            raise PhotoError(str(error)) from error
        except Image.DecompressionBombError as error:
            raise PhotoError("too many pixels (a decompression bomb?)") from error
        except UnidentifiedImageError as error:
            raise PhotoError("not an image in a known format") from error
        except Exception as error:  # decoders raise every kind of error on damaged files
            raise PhotoError(f"damaged or truncated ({reason_of(error)})") from error


@dataclass(frozen=True)
class JpegHead:
    """What a JPEG is, as far as its headers say, and how it is decoded.

    Attributes:
        width: Of the picture, px.
        height: Likewise.
        mode: "RGB", "L" or "CMYK".
        space: libjpeg's name for the colours in the file, such as "YCbCr".
        sampling: Of the chroma, such as "420".
        scale: The reduction in which it is decoded: 1, 2, 4 or 8.
        quick: Whether a few levels of difference from the exact way are acceptable.
        is_progressive: Whether its scans refine each other.
        is_adobe: Whether Adobe's marker is there.
        orientation: EXIF tag 0x0112.
        conversion: From its values to sRGB; None where they are sRGB.
        flags: As of `Raster`.
    """

    width: int
    height: int
    mode: str
    space: str
    sampling: str
    scale: int
    quick: bool
    is_progressive: bool
    is_adobe: bool
    orientation: int
    conversion: colour.Conversion | None
    flags: tuple[str, ...]


def jpeg_head(blob: bytes, smallest: int) -> JpegHead:
    """Return what a JPEG's headers say; ``smallest`` is as in `read_blob`.

    Raises:
        PhotoError: A JPEG of other than 8 bits.
        ValueError: It is damaged.
    """
    tags, profile, is_adobe, is_progressive, bits = jpeg_segments(blob)
    if bits not in (0, 8):
        raise PhotoError(f"a JPEG of {bits} bits a channel; save it with 8")
    height, width, space, sampling = _jpeg_header(blob, is_whole=bits > 0)
    scale = 1
    while smallest and scale < 8 and min(width, height) // (scale * 2) >= smallest:
        scale *= 2
    mode = {"Gray": "L", "GRAY": "L", "CMYK": "CMYK", "YCCK": "CMYK"}.get(space, "RGB")
    conversion, flags = conversion_of(mode, profile, tags)
    return JpegHead(
        width,
        height,
        mode,
        space,
        sampling,
        scale,
        0 < smallest <= min(width, height),
        is_progressive,
        is_adobe,
        tags.get(ORIENTATION) or 1,
        conversion,
        flags,
    )


def _jpeg_header(blob: bytes, *, is_whole: bool) -> Any:
    """Return height, width, space and sampling; libjpeg's interface knows only the usual ones."""
    try:
        return simplejpeg.decode_jpeg_header(blob, strict=False)
    except (KeyError, ValueError) as error:
        unknown = isinstance(error, KeyError) or "subsampling" in str(error)
        if not (unknown and is_whole):
            raise
        raise PhotoError(
            "a JPEG of an unusual kind (JPEG-LS, or chroma sampled in another way than 4:4:4, "
            "4:4:0, 4:2:2, 4:2:0 or 4:1:1); save it as an ordinary JPEG"
        ) from error


def _read_jpeg(blob: bytes, smallest: int) -> Raster:
    """Return a JPEG's picture, decoded reduced where that is allowed.

    libjpeg's warnings count as errors: it fills what a cut-off file lacks with gray.
    """
    head = jpeg_head(blob, smallest)
    width, height, mode, scale = head.width, head.height, head.mode, head.scale
    planes = 1 if mode == "L" else 4 if mode == "CMYK" else 3
    coefficients = (2 * planes if head.sampling == "444" else 4) if head.is_progressive else 0
    check_size(width, height, coefficients + planes / scale**2 + len(blob) / (width * height))
    least: dict[str, Any] = {"min_height": -(-height // scale), "min_width": -(-width // scale)}
    least["fastupsample"] = head.quick  # its fast DCT saves nothing, and darkens red and blue by 1
    pixels = _decode_jpeg(blob, "GRAY" if mode == "L" else mode, least)
    if head.is_progressive and not has_all_scans(blob, planes):
        raise PhotoError("damaged or truncated (the last scans of a progressive JPEG are missing)")
    if mode == "L":
        pixels = pixels[:, :, 0]
    if mode == "CMYK" and head.is_adobe:
        pixels = 255 - pixels  # Adobe stores how much light is left, not how much ink there is
    shown = (head.orientation, head.conversion, mode, head.flags, head.quick)
    return Raster(pixels, width, height, *shown)


def _decode_jpeg(blob: bytes, space: str, options: Mapping[str, Any]) -> NDArray[np.uint8]:
    try:
        return simplejpeg.decode_jpeg(blob, space, **options)
    except ValueError as error:
        if "extraneous bytes before marker 0xd9" not in str(error):  # padding after the last row
            raise
        return simplejpeg.decode_jpeg(blob, space, **options, strict=False)


def check_scan(blob: bytes) -> None:
    """Raise ValueError where libjpeg finds a JPEG damaged; its pixels are not computed.

    It costs 55 to 80 % of decoding, which is what reading the codes takes.
    """
    _decode_jpeg(blob, "GRAY", {"min_height": 1, "min_width": 1})


def _read_other(file: IO[bytes], whole: Callable[[], bytes], smallest: int) -> Raster:
    head = file.read(65_536)
    file.seek(0)
    if head.startswith(_TIFF_SIGNATURES):
        return _read_tiff(file, whole)
    if head[4:8] == b"ftyp" and not any(kind in head[8:64] for kind in _STILLS):
        raise PhotoError("is a video or a camera's raw file; export a picture as a JPEG")
    if head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"avis"):
        return _read_heif(file, head)
    if head.startswith(_JXL_SIGNATURES):
        return _read_jxl(whole(), smallest)
    if is_dicom(head):
        _need("pydicom", "dicom", "a DICOM file")
        return read_dicom(file)
    said: Mapping[str, Any] = {}
    if head.startswith(b"\x89PNG"):
        said = png_colours(file)
        depth, kind = head[24:26] if len(head) > 26 else (8, 2)
        if depth == 16 and kind in (2, 6):
            return _read_deep_png(file, whole, said)
    elif head[4:8] == b"ftyp":
        said = {"nclx": nclx(head), "unsure": is_coarse_avif(head)}
    elif head[4:8] == b"jP  ":
        said = jp2_colours(file.read(LARGEST_PROFILE))
    elif head.startswith(b"GIF8"):
        said = gif_profile(whole())
    elif head.startswith(b"BM"):
        said = bmp_profile(head, file)
    elif head.startswith(b"qoif") and head[13:14] == b"\1":
        said = {"profile": b"linear, it says, but writers of sRGB say so, too"}
    file.seek(0)
    return _read_pillow(file, said)


def _read_pillow(file: IO[bytes], said: Mapping[str, Any]) -> Raster:
    Image.init()
    try:
        image = Image.open(file, formats=[f for f in _FORMATS if f in Image.OPEN])
    except UnidentifiedImageError as error:
        file.seek(0)
        if (head := file.read(12)).startswith(_SIGNATURES) or head[4:8] in (b"ftyp", b"jP  "):
            raise PhotoError(_NOT_UNDERSTOOD) from error
        raise
    if page := said.get("page"):
        image.seek(page)
    return _of_pillow(image, said)


def _need(module: str, extra: str, what: str) -> Any:
    """Return an optional package, or say how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise PhotoError(f"is {what}: pip install 'equiderm[{extra}]' to read it") from error


def _read_heif(file: IO[bytes], head: bytes) -> Raster:
    """Return a HEIC picture; libheif turns it upright and pillow-heif then drops the tag."""
    images = _need("pillow_heif", "heic", "a HEIC picture").open_heif(file)
    primary = images[images.primary_index]
    check_size(primary.size[0], primary.size[1], _BYTES_PER_PIXEL["HEIF"])
    points = primary.info.get("nclx_profile")
    its = (points["color_primaries"], points["transfer_characteristics"]) if points else nclx(head)
    raster = _of_pillow(primary.to_pillow(), {"nclx": its})
    return replace(raster, flags=(*raster.flags, SEVERAL)) if len(images) > 1 else raster


def _read_jxl(blob: bytes, smallest: int) -> Raster:
    """Return a JPEG XL picture; libjxl turns it upright, so its EXIF orientation is not used."""
    decoder = _need("pillow_jxl", "jxl", "a JPEG XL picture").Decoder(num_threads=0)
    width, height, is_animated, bits = jxl_header(blob)
    if is_animated:
        raise PhotoError("an animated JPEG XL, which is not supported; save one frame")
    if bits not in (0, 8, 16):  # they come out unscaled, which is black
        raise PhotoError(f"a JPEG XL picture of {bits} bits a channel; save it with 8 or 16")
    check_size(width, height, _BYTES_PER_PIXEL["JXL"])
    is_jpeg, header, data, profile, *_ = decoder(blob)  # boxes since 1.3.6
    if is_jpeg:  # one that was packed without loss: the same bytes come out
        return _read_jpeg(data, smallest)
    if header.mode not in ("L", "LA", "RGB", "RGBA"):
        raise PhotoError("a JPEG XL picture of over 8 bits; save it with 8 bits a channel")
    image = Image.frombuffer(header.mode, (header.width, header.height), data)
    if profile:
        image.info["icc_profile"] = profile
    return _of_pillow(image, {})


def _of_pillow(image: Image.Image, said: Mapping[str, Any]) -> Raster:
    """Return a Pillow image's picture.

    Args:
        image: Open, perhaps not yet decoded.
        said: What the file says about its colours beyond what Pillow passes on: ``conversion``,
            which comes before a profile; ``profile``, which Pillow may not have seen, or damaged;
            ``nclx``, code points, which come after a profile. ``several``: whether there are
            several pictures, where not every page counts. ``unsure``: whether the colours come
            out slightly wrong.
    """
    check_size(*image.size, max(_stored_bytes(image), _BYTES_PER_PIXEL.get(image.format or "", 0)))
    several = bool(getattr(image, "is_animated", False)) and image.format not in ("JPEG", "MPO")
    several = said.get("several", several)
    profile = said.get("profile") or image.info.get("icc_profile")
    image.load()
    tags = tags_of(image)  # Pillow turns a TIFF as it loads it, and then drops the tag
    mode = image.mode if image.mode in ("L", "CMYK", "LAB") else "RGB"
    if image.mode in ("1", "I", "I;16", "I;16B", "F", "LA", "La"):
        mode = "L"
    if "conversion" in said:
        conversion, flags = said["conversion"], ()
    elif not profile and mode == "RGB" and said.get("nclx"):
        conversion, flags = colour.of_code_points(*said["nclx"]), ()
    else:
        conversion, flags = conversion_of(mode, profile, tags)
    if mode == "L" and image.mode != "L":
        conversion = None  # gray of another kind is expanded, and has no tone anyway
    pixels: NDArray[Any] | Image.Image = image
    if image.mode.startswith("I") or image.mode == "F":
        pixels = whole_numbers(np.asarray(image))
    flags += (UNSURE,) if said.get("unsure") and not flags else ()
    flags += (SEVERAL,) if several else ()
    orientation = tags.get(ORIENTATION) or 1
    return Raster(pixels, *image.size, orientation, conversion, "L" if mode == "L" else mode, flags)


def _stored_bytes(image: Image.Image) -> int:
    return {"1": 1, "L": 1, "P": 1, "I;16": 8, "I;16B": 8}.get(image.mode, 4)


def _read_deep_png(file: IO[bytes], whole: Callable[[], bytes], said: Mapping[str, Any]) -> Raster:
    """Return a 16-bit colour PNG; Pillow would keep the upper 8 bits only."""
    image = Image.open(file, formats=["PNG"])
    width, height = image.size
    check_size(width, height, _DEEP * 2 * (3 if image.mode == "RGB" else 4))
    tags = tags_of(image)
    conversion, flags = said.get("conversion"), ()
    if "conversion" not in said:
        conversion, flags = conversion_of("RGB", said.get("profile"), tags)
    pixels, mode = _opencv(whole())
    orientation = tags.get(ORIENTATION) or 1
    return Raster(whole_numbers(pixels), width, height, orientation, conversion, mode, flags)


def _opencv(blob: bytes, page: int = 0) -> tuple[NDArray[Any], str]:
    """Return what OpenCV decodes, RGB in that order, and the mode."""
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    log: Any = getattr(cv2.utils, "logging", cv2)  # where OpenCV 5 has it, and where 4 has it
    values, level = np.frombuffer(blob, np.uint8), log.getLogLevel()
    log.setLogLevel(0)  # silent: it returns None on failure
    try:
        if page:
            _, pages = cv2.imdecodemulti(values, flags, range=(page, page + 1))
            pixels = pages[0] if pages else None
        else:
            pixels = cv2.imdecode(values, flags)
    finally:
        log.setLogLevel(level)
    if pixels is None:
        raise PhotoError(_NOT_UNDERSTOOD)
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.float32)
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        return cv2.cvtColor(pixels, code, dst=pixels), "RGB" if pixels.shape[2] == 3 else "RGBA"
    return pixels, "L"


def _read_tiff(file: IO[bytes], whole: Callable[[], bytes]) -> Raster:
    """Return a TIFF's first page but for thumbnails: 8 bits by Pillow, others by OpenCV."""
    if file.read(4) == b"MM\0+":
        raise PhotoError("a TIFF of a kind that is not understood (BigTIFF, big-endian)")
    file.seek(0)
    pages, at = tiff_pages(file)
    page, several = pages[0], len(pages) > 1
    bits, samples = page.get(258, (1,)), page.get(277, 1)
    depth = max(bits) if isinstance(bits, tuple) else bits
    compression, photometric = page.get(259, 1), page.get(262)
    together = page.get(284, 1) == 1
    # what Pillow misreads: raw YCbCr, as if its tags said nothing, and Lab whose channels lie apart
    is_raw_ycc = (depth, photometric, compression) == (8, 6, 1)
    is_shallow = depth <= 8 and not is_raw_ycc and (together or photometric != 8)
    by_pillow = is_shallow or (samples < 3 and depth == 16)
    if compression not in (_TIFF_COMPRESSIONS if by_pillow else _TIFF_DEEP):
        raise PhotoError(
            f"a TIFF compressed in an unusual way ({compression}, {depth} bits); save it with LZW "
            "or Deflate compression"
        )
    if by_pillow:
        return _read_pillow(file, {"page": at, "several": several})
    width, height = int(page.get(256, 0)), int(page.get(257, 0))
    kinds = page.get(339, (1,))
    kind = max(kinds) if isinstance(kinds, tuple) else kinds  # 1 unsigned, 2 signed, 3 float
    is_rgb = photometric == 2 and together and depth in {1: (16,), 3: (32, 64)}.get(kind, ())
    if not is_rgb and not is_raw_ycc:
        apart = "" if together else ", each channel apart"
        signed = ", signed" if kind == 2 else ""
        raise PhotoError(
            f"a TIFF of a kind that is not understood ({depth} bits{signed}{apart}); save it as "
            "RGB of 8 or 16 bits with the channels together"
        )
    check_size(width, height, _DEEP * samples * depth / 8)
    blob = whole()
    conversion, flags = conversion_of("RGB", page.get(34675), exif_tags(blob))
    pixels, mode = _opencv(blob, at)
    if page.get(274, 1) in (5, 6, 7, 8):
        width, height = height, width  # OpenCV turns a TIFF as it decodes it
    top = page.get(281, page.get(341))
    top = max(top) if isinstance(top, tuple) else top
    if top and pixels.dtype == np.uint16 and 255 < top < 65535:
        pixels = (pixels.astype(np.uint32) * 65535 // int(top)).clip(0, 65535).astype(np.uint16)
    pixels = whole_numbers(pixels)
    if mode == "RGBA":
        pixels, mode = _of_extra_sample(pixels, page.get(338, (0,)))
    flags += (SEVERAL,) if several else ()
    return Raster(pixels, width, height, 1, conversion, mode, flags)


def _of_extra_sample(pixels: NDArray[Any], kinds: Any) -> tuple[NDArray[Any], str]:
    """Return RGBA pixels by what TIFF's tag 338 says of the fourth channel, and the mode."""
    kind = kinds[0] if isinstance(kinds, tuple) else kinds
    if kind == 0:  # not said, or something else than opacity
        return np.ascontiguousarray(pixels[:, :, :3]), "RGB"
    if kind == 1:  # the colours are multiplied by it
        top = np.iinfo(pixels.dtype).max
        for row in pixels:
            opacity = np.maximum(row[:, 3:], 1).astype(np.uint32)
            row[:, :3] = np.minimum(row[:, :3].astype(np.uint32) * top // opacity, top)
    return pixels, "RGBA"


def whole_numbers(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return pixels as uint8 or uint16, from any type that a picture comes in.

    Raises:
        PhotoError: Values of unclear range: NaN, floats outside [0, 1], negative numbers, and
            16-bit numbers that all fit in 8, 12 or 14 bits, which would come out dark.
    """
    kind = pixels.dtype
    if kind == np.uint8:
        return pixels
    if kind == np.bool_:
        return pixels.astype(np.uint8) * 255
    if np.issubdtype(kind, np.floating):
        lowest, highest = pixels.min(), pixels.max()
        if not np.isfinite(lowest) or not np.isfinite(highest):  # NaN is passed on by both
            raise PhotoError("holds NaN or infinite values")
        if lowest < 0 or highest > 1:
            raise PhotoError("floats must lie in [0, 1]; divide by the largest possible value")
        deep = np.empty(pixels.shape, np.uint16)
        for row, values in zip(deep, pixels, strict=True):  # no second copy of the floats
            row[:] = np.round(values * 65535)
        return deep
    if not np.issubdtype(kind, np.integer):
        raise PhotoError(f"pixels of type {kind} are not understood")
    lowest, highest = int(pixels.min()), int(pixels.max())
    if lowest < 0 or highest > 65535:
        raise PhotoError("integers must lie in 0..255 or, for 16 bits, in 0..65535")
    if kind != np.uint16 and highest <= 255:
        return pixels.astype(np.uint8)
    if 0 < highest < LEAST_HIGHEST:
        bits = 12 if highest < 4096 else 14
        what, remedy = f"{bits} bits", f"multiply them by {2 ** (16 - bits)}"
        if highest <= 255:
            what, remedy = "0 to 255", "give them as uint8"
        raise PhotoError(f"the 16-bit values end at {highest}; if they are {what}, {remedy}")
    return pixels.astype(np.uint16, copy=False)
