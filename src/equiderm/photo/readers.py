"""A file's bytes to a `Raster`: which library reads which format, and what it leaves to us.

Each reader says how much memory it will need before it decodes, follows the file's own statement of
its colours, and refuses in one sentence what it would otherwise read wrongly.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import IO, Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from equiderm.photo import colour
from equiderm.photo.dicom import is_dicom, read_dicom
from equiderm.photo.raster import SEVERAL, UNSURE, PhotoError, Raster

MOST_PIXELS = 250_000_000  # a 250-megapixel file is a scan of a wall or a decompression bomb
MOST_BYTES = 700_000_000  # for decoding; with the libraries at rest a process stays below 1 GB

# Bytes a pixel while decoding, measured by bench/decode_memory.py; where a format is not listed,
# those of Pillow's pixels.
_BYTES_A_PIXEL = {"WEBP": 16, "JPEG2000": 20, "AVIF": 10, "HEIF": 8, "JXL": 8}
_DEEP = 3  # for each byte of a 16-bit or float picture, by OpenCV
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

_ORIENTATION, _EXIF_IFD, _INTEROP_IFD = 0x0112, 0x8769, 0xA005
_COLOUR_SPACE, _INTEROP_INDEX = 0xA001, 0x0001
_UNCALIBRATED, _NON_STANDARD_ADOBE = 65535, 2
_WIDTH, _DNG_VERSION, _SUB_PAGES, _MOST_PAGES = 256, 50706, 330, 100
_LARGEST_PROFILE = 8_000_000  # bytes; printers' largest are some 3 MB
_NOT_UNDERSTOOD = "damaged or truncated, or of a kind that is not understood"
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIGNATURES = (*_TIFF_SIGNATURES, b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"8BPS")
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
            reason = (str(error).strip().splitlines() or [""])[0][:160].rstrip(". ")
            raise PhotoError(f"damaged or truncated ({reason or type(error).__name__})") from error


def check_size(width: int, height: int, bytes_a_pixel: float) -> None:
    """Raise PhotoError where decoding would take more memory than a worker may."""
    if width * height > MOST_PIXELS:
        raise PhotoError(f"{width} x {height} px is too large (a decompression bomb?)")
    if width * height * bytes_a_pixel > MOST_BYTES:
        most = MOST_BYTES / bytes_a_pixel / 1e6
        raise PhotoError(
            f"{width} x {height} px is too large for 1 GB of memory (in this format at most "
            f"{most:.0f} megapixels); save it smaller"
        )


# --- JPEG ------------------------------------------------------------------------------------


def _read_jpeg(blob: bytes, smallest: int) -> Raster:
    """Return a JPEG's picture, decoded reduced where that is allowed.

    libjpeg's warnings count as errors: it fills what a cut-off file lacks with gray.
    """
    exif, profile, is_adobe, is_progressive, bits = _jpeg_segments(blob)
    if bits != 8:
        raise PhotoError(f"a JPEG of {bits} bits a channel; save it with 8")
    header: Any = simplejpeg.decode_jpeg_header(blob, strict=False)
    height, width, space, sampling = header
    scale = 1
    while smallest and scale < 8 and min(width, height) // (scale * 2) >= smallest:
        scale *= 2
    mode = {"Gray": "L", "GRAY": "L", "CMYK": "CMYK", "YCCK": "CMYK"}.get(space, "RGB")
    planes = 1 if mode == "L" else 4 if mode == "CMYK" else 3
    coefficients = (2 * planes if sampling == "444" else 4) if is_progressive else 0
    check_size(width, height, coefficients + planes / scale**2 + len(blob) / (width * height))
    quick = 0 < smallest <= min(width, height)
    least: dict[str, Any] = {"min_height": -(-height // scale), "min_width": -(-width // scale)}
    least |= {"fastdct": quick, "fastupsample": quick}
    pixels = _decode_jpeg(blob, "GRAY" if mode == "L" else mode, least)
    if is_progressive and not _has_all_scans(blob, planes):
        raise PhotoError("damaged or truncated (the last scans of a progressive JPEG are missing)")
    if mode == "L":
        pixels = pixels[:, :, 0]
    if mode == "CMYK" and is_adobe:
        pixels = 255 - pixels  # Adobe stores how much light is left, not how much ink there is
    tags = _exif_tags(exif[6:]) if exif else {}
    conversion, flags = _conversion(mode, profile, tags)
    orientation = tags.get(_ORIENTATION) or 1
    return Raster(pixels, width, height, orientation, conversion, mode, flags, quick)


def _decode_jpeg(blob: bytes, space: str, options: Mapping[str, Any]) -> NDArray[np.uint8]:
    try:
        return simplejpeg.decode_jpeg(blob, space, **options)
    except ValueError as error:
        if "extraneous bytes before marker 0xd9" not in str(error):  # padding after the last row
            raise
        return simplejpeg.decode_jpeg(blob, space, **options, strict=False)


def _has_all_scans(blob: bytes, planes: int) -> bool:
    """Return whether a progressive JPEG's scans give every coefficient its last bit.

    A file that was cut off between two scans and closed with an end mark is one that libjpeg does
    not complain of: it has all of the picture, but coarsely.

    Source:
        ITU-T T.81 (1992), B.2.3 and G.1.
    """
    known = dict[int, set[int]]()
    place = blob.find(b"\xff\xda")
    while place >= 0:
        count = blob[place + 4]
        first, last, bits = blob[place + 5 + 2 * count : place + 8 + 2 * count]
        if bits & 15 == 0:
            for part in blob[place + 5 : place + 5 + 2 * count : 2]:
                known.setdefault(part, set()).update(range(first, last + 1))
        place = blob.find(b"\xff\xda", place + 2)
    return sum(len(coefficients) == 64 for coefficients in known.values()) >= planes


def _jpeg_segments(blob: bytes) -> tuple[bytes, bytes, bool, bool, int]:
    """Return EXIF, the ICC profile, if Adobe's marker and progressive scans are there, and bits."""
    exif, parts = b"", dict[int, bytes]()
    is_adobe = is_progressive = False
    bits = 8
    place = 2
    while place + 4 <= len(blob) and blob[place] == 0xFF:
        kind = blob[place + 1]
        if kind == 0xFF:  # a fill byte
            place += 1
            continue
        if kind == 0xDA:  # the picture itself begins
            break
        if 0xD0 <= kind <= 0xD8 or kind == 0x01:  # markers without a length
            place += 2
            continue
        end = place + 2 + int.from_bytes(blob[place + 2 : place + 4], "big")
        if kind == 0xE1 and blob.startswith(b"Exif\0\0", place + 4) and not exif:
            exif = blob[place + 4 : end]
        elif kind == 0xE2 and blob.startswith(b"ICC_PROFILE\0", place + 4):
            parts[blob[place + 16]] = blob[place + 18 : end]
        elif kind == 0xEE and blob.startswith(b"Adobe", place + 4):
            is_adobe = True
        elif 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):  # the frame's header
            is_progressive = kind in (0xC2, 0xC6, 0xCA, 0xCE)
            bits = blob[place + 4]
        place = end
    profile = b"".join(parts[number] for number in sorted(parts))
    return exif, profile, is_adobe, is_progressive, bits


def _tags_of(image: Image.Image) -> Mapping[int, Any]:
    """Return the EXIF tags that matter here: orientation, colour space, interoperability index."""
    try:
        exif = image.getexif()
        tags: dict[int, Any] = {_ORIENTATION: exif.get(_ORIENTATION, 1)}
        inner = exif.get_ifd(_EXIF_IFD)
        tags[_COLOUR_SPACE] = inner.get(_COLOUR_SPACE)
        if _INTEROP_IFD in inner:
            tags[_INTEROP_INDEX] = exif.get_ifd(_INTEROP_IFD).get(_INTEROP_INDEX)
        return tags
    except Exception:  # damaged EXIF is no reason to refuse a picture
        return {}


def _exif_tags(tiff: bytes) -> dict[int, Any]:
    """Return the same tags of EXIF or of a whole TIFF; Pillow would read all of some hundred.

    Source:
        Exif 3.0 (CIPA DC-008), 4.6: directories of 12-byte entries.
    """
    order = "<" if tiff[:2] == b"II" else ">"
    tags: dict[int, Any] = {}

    def read(directory: int, wanted: tuple[int, ...]) -> None:
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag in wanted:
                form = {3: f"{order}H", 4: f"{order}I"}.get(kind, "4s")
                (tags[tag],) = struct.unpack_from(form, tiff, entry + 8)

    try:
        read(struct.unpack_from(f"{order}I", tiff, 4)[0], (_ORIENTATION, _EXIF_IFD))
        if _EXIF_IFD in tags:
            read(tags[_EXIF_IFD], (_COLOUR_SPACE, _INTEROP_IFD))
        if _INTEROP_IFD in tags:
            read(tags[_INTEROP_IFD], (_INTEROP_INDEX,))
    except (struct.error, TypeError):
        pass  # damaged EXIF is no reason to refuse a picture
    return tags


# --- colours ---------------------------------------------------------------------------------


def _conversion(
    mode: str, profile: bytes | None, tags: Mapping[int, Any]
) -> tuple[colour.Conversion | None, tuple[str, ...]]:
    """Return the conversion that a profile or EXIF asks for, and a flag where either is unclear."""
    if profile:
        try:
            return colour.of_profile(profile, mode), ()
        except colour.UnusableProfile:
            return None, () if mode == "L" else (UNSURE,)
    if mode == "LAB":
        return colour.of_lab(), ()
    if mode == "CMYK":
        return None, (UNSURE,)  # the same inks are another colour on every press
    space, index = tags.get(_COLOUR_SPACE), tags.get(_INTEROP_INDEX) or ""
    index = (index.decode("latin-1") if isinstance(index, bytes) else str(index)).strip("\0 ")
    if mode != "RGB" or space not in (_UNCALIBRATED, _NON_STANDARD_ADOBE) or index == "R98":
        return None, ()
    # Source: DCF 2.0 (CIPA DC-009): "R03" beside an uncalibrated colour space is Adobe RGB. Without
    # it nothing else is in use, but an application may also have dropped the profile.
    sure = index == "R03" or space == _NON_STANDARD_ADOBE
    return colour.adobe_rgb(), () if sure else (UNSURE,)


def _png_colours(file: IO[bytes]) -> dict[str, Any]:
    """Return what a PNG's chunks before the pixels say of its colours, as for `_of_pillow`.

    Source:
        PNG specification, third edition: cICP before iCCP before sRGB before gAMA and cHRM.
    """
    chunks: dict[bytes, bytes] = {}
    place = 8
    while True:
        file.seek(place)
        size, kind = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
        if kind in (b"IDAT", b"IEND", b"\0\0\0\0"):
            break
        if kind in (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"):
            chunks[kind] = file.read(min(size, _LARGEST_PROFILE))
        place += 12 + size
    file.seek(0)
    if len(code := chunks.get(b"cICP", b"")) == 4:
        if code[3] == 0:
            raise PhotoError("its values are those of a video (narrow range); save it as sRGB")
        return {"conversion": colour.of_code_points(code[0], code[1])}
    if b"iCCP" in chunks:
        packed = chunks[b"iCCP"].partition(b"\0")[2][1:]
        try:
            return {"profile": zlib.decompressobj().decompress(packed, _LARGEST_PROFILE)}
        except zlib.error:
            return {"profile": b"damaged"}
    if not chunks:
        return {}
    if b"sRGB" in chunks:
        return {"conversion": None}
    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big") / 100_000
    points = chunks.get(b"cHRM", b"")
    chromaticities = struct.unpack(">8I", points) if len(points) == 32 else ()
    points_of = tuple(value / 100_000 for value in chromaticities)
    return {"conversion": colour.of_gamma(gamma or None, points_of)}


def _jp2_colours(head: bytes) -> dict[str, Any]:
    """Return what the colour box of a JPEG 2000 file says; Pillow passes on none of it.

    Source:
        ISO/IEC 15444-1:2019, I.5.3.3, and 15444-2 for the further numbers.
    """
    place = head.find(b"colr")
    if place < 4 or len(head) < place + 11:
        return {}
    method, number = head[place + 4], struct.unpack_from(">I", head, place + 7)[0]
    if method == 1:  # CMYK, sRGB, gray and sYCC, which OpenJPEG makes RGB of
        return {} if number in (12, 16, 17, 18) else {"profile": b"another space"}
    end = place - 4 + struct.unpack_from(">I", head, place - 4)[0]
    return {"profile": head[place + 7 : end]}


def _gif_profile(blob: bytes) -> dict[str, Any]:
    """Return the ICC profile in a GIF's application extension (ICC.1:2022, annex B.5), if any."""
    name = b"\x21\xff\x0bICCRGBG1012"
    place = blob.find(name) + len(name)
    profile = b""
    while place >= len(name) and place < len(blob) and (size := blob[place]):
        profile += blob[place + 1 : place + 1 + size]
        place += 1 + size
    return {"profile": profile} if profile else {}


def _bmp_profile(head: bytes, file: IO[bytes]) -> dict[str, Any]:
    """Return the ICC profile in a BMP of version 5, or that other colours than sRGB are meant.

    Source:
        Microsoft, BITMAPV5HEADER: bV5CSType and bV5Endpoints at 56 and 60, the profile at 112.
    """
    kind, endpoints = head[70:74][::-1], head[74:110]
    if int.from_bytes(head[14:18], "little") < 108 or (kind == bytes(4) and not any(endpoints)):
        return {}
    if kind == b"MBED":
        start, size = struct.unpack_from("<II", head.ljust(134), 126)
        file.seek(14 + start)
        return {"profile": file.read(min(size, _LARGEST_PROFILE))}
    return {"profile": b"another space"} if kind in (bytes(4), b"LINK") else {}


def _nclx(head: bytes) -> tuple[int, int] | None:
    """Return the code points (primaries, transfer) in an AVIF or HEIF file's head, if any."""
    place = head.find(b"colrnclx")
    return None if place < 0 else struct.unpack_from(">HH", head.ljust(place + 12), place + 8)


# --- everything else -------------------------------------------------------------------------


def _read_other(file: IO[bytes], whole: Callable[[], bytes], smallest: int) -> Raster:
    head = file.read(65_536)
    file.seek(0)
    if head.startswith(_TIFF_SIGNATURES):
        return _read_tiff(file, whole)
    if head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"avis"):
        return _read_heif(file, {"nclx": _nclx(head)})
    if head.startswith(_JXL_SIGNATURES):
        return _read_jxl(whole(), smallest)
    if is_dicom(head):
        _need("pydicom", "dicom", "a DICOM file")
        return read_dicom(file, check_size, _conversion)
    said: Mapping[str, Any] = {}
    if head.startswith(b"\x89PNG"):
        said = _png_colours(file)
        depth, kind = head[24:26] if len(head) > 26 else (8, 2)
        if depth == 16 and kind in (2, 6):
            return _read_deep_png(file, whole, said)
    elif head[4:8] == b"ftyp":
        said = {"nclx": _nclx(head)}
    elif head[4:8] == b"jP  ":
        said = _jp2_colours(file.read(_LARGEST_PROFILE))
    elif head.startswith(b"GIF8"):
        said = _gif_profile(whole())
    elif head.startswith(b"BM"):
        said = _bmp_profile(head, file)
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


def _read_heif(file: IO[bytes], said: Mapping[str, Any]) -> Raster:
    """Return a HEIC picture; libheif turns it upright and pillow-heif then drops the tag."""
    images = _need("pillow_heif", "heic", "a HEIC picture").open_heif(file)
    primary = images[images.primary_index]
    check_size(primary.size[0], primary.size[1], _BYTES_A_PIXEL["HEIF"])
    raster = _of_pillow(primary.to_pillow(), said)
    return replace(raster, flags=(*raster.flags, SEVERAL)) if len(images) > 1 else raster


def _read_jxl(blob: bytes, smallest: int) -> Raster:
    """Return a JPEG XL picture; libjxl turns it upright, so its EXIF's orientation is history."""
    decoder = _need("pillow_jxl", "jxl", "a JPEG XL picture").Decoder(num_threads=0)
    width, height, is_animated = jxl_header(blob)
    if is_animated:
        raise PhotoError("an animated JPEG XL, of which only the last frame can be had; save one")
    check_size(width, height, _BYTES_A_PIXEL["JXL"])
    is_jpeg, header, data, profile, *_ = decoder(blob)  # boxes since 1.3.6
    if is_jpeg:  # one that was packed without loss: the very same file comes out
        return _read_jpeg(data, smallest)
    if header.mode not in ("L", "LA", "RGB", "RGBA"):
        raise PhotoError("a JPEG XL picture of over 8 bits; save it with 8 bits a channel")
    image = Image.frombuffer(header.mode, (header.width, header.height), data)
    if profile:
        image.info["icc_profile"] = profile
    return _of_pillow(image, {})


def jxl_header(blob: bytes) -> tuple[int, int, bool]:
    """Return the width and height that a JPEG XL file states, and whether it is animated.

    Source:
        ISO/IEC 18181-1:2024, D.2 (SizeHeader) and D.3.1 (ImageMetadata); 18181-2 for the boxes.
    """
    if not blob.startswith(b"\xff\x0a"):
        place = max(blob.find(b"jxlc"), 0) or blob.find(b"jxlp") + 4
        blob = blob[place + 4 :]
    bits = int.from_bytes(blob[2:34], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    def size() -> tuple[int, int]:
        small = take(1)

        def length() -> int:
            return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

        height = length()
        ratio = take(3)
        if ratio == 0:
            return length(), height
        across, down = ((1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
        return height * across // down, height

    width, height = size()
    is_default, has_more = take(1), take(1)
    if is_default or not has_more:
        return width, height, False
    take(3)  # the orientation
    if take(1):
        size()  # the intrinsic one
    has_preview = take(1)
    return width, height, bool(not has_preview and take(1))


def _of_pillow(image: Image.Image, said: Mapping[str, Any]) -> Raster:
    """Return a Pillow image's picture.

    Args:
        image: Open, perhaps not yet decoded.
        said: What the file says of its colours beyond what Pillow passes on: ``conversion``, which
            comes before a profile; ``profile``, which Pillow may not have seen, or damaged;
            ``nclx``, code points, which come after a profile. ``several``: whether there are
            several pictures, where it is not every page that counts.
    """
    check_size(*image.size, max(_stored_bytes(image), _BYTES_A_PIXEL.get(image.format or "", 0)))
    several = bool(getattr(image, "is_animated", False)) and image.format not in ("JPEG", "MPO")
    several = said.get("several", several)
    profile = said.get("profile") or image.info.get("icc_profile")
    image.load()
    tags = _tags_of(image)  # Pillow turns a TIFF as it loads it, and then drops the tag
    mode = image.mode if image.mode in ("L", "CMYK", "LAB") else "RGB"
    if image.mode in ("1", "I", "I;16", "I;16B", "F", "LA", "La"):
        mode = "L"
    if "conversion" in said:
        conversion, flags = said["conversion"], ()
    elif not profile and mode == "RGB" and said.get("nclx"):
        conversion, flags = colour.of_code_points(*said["nclx"]), ()
    else:
        conversion, flags = _conversion(mode, profile, tags)
    if mode == "L" and image.mode != "L":
        conversion = None  # gray of another kind is expanded, and has no tone anyway
    pixels: NDArray[Any] | Image.Image = image
    if image.mode.startswith("I") or image.mode == "F":
        pixels = whole_numbers(np.asarray(image))
    flags += (SEVERAL,) if several else ()
    orientation = tags.get(_ORIENTATION) or 1
    return Raster(pixels, *image.size, orientation, conversion, "L" if mode == "L" else mode, flags)


def _stored_bytes(image: Image.Image) -> int:
    return {"1": 1, "L": 1, "P": 1, "I;16": 8, "I;16B": 8}.get(image.mode, 4)


def _read_deep_png(file: IO[bytes], whole: Callable[[], bytes], said: Mapping[str, Any]) -> Raster:
    """Return a 16-bit colour PNG; Pillow would keep the upper 8 bits only."""
    image = Image.open(file, formats=["PNG"])
    width, height = image.size
    check_size(width, height, _DEEP * 2 * (3 if image.mode == "RGB" else 4))
    tags = _tags_of(image)
    conversion, flags = said.get("conversion"), ()
    if "conversion" not in said:
        conversion, flags = _conversion("RGB", said.get("profile"), tags)
    pixels, mode = _opencv(whole())
    orientation = tags.get(_ORIENTATION) or 1
    return Raster(whole_numbers(pixels), width, height, orientation, conversion, mode, flags)


def _opencv(blob: bytes, page: int = 0) -> tuple[NDArray[Any], str]:
    """Return what OpenCV decodes, RGB in that order, and the mode."""
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    values, level = np.frombuffer(blob, np.uint8), cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # None says that it failed
    try:
        if page:
            _, pages = cv2.imdecodemulti(values, flags, range=(page, page + 1))
            pixels = pages[0] if pages else None
        else:
            pixels = cv2.imdecode(values, flags)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if pixels is None:
        raise PhotoError(_NOT_UNDERSTOOD)
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.float32)
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        return cv2.cvtColor(pixels, code, dst=pixels), "RGB" if pixels.shape[2] == 3 else "RGBA"
    return pixels, "L"


def _tiff_pages(file: IO[bytes]) -> tuple[list[TiffImagePlugin.ImageFileDirectory_v2], int]:
    """Return a TIFF's first pages, and the place of the first that is no thumbnail.

    Raises:
        PhotoError: A camera's raw file, or one whose picture is not among its pages.

    Source:
        TIFF 6.0, tags 254 (NewSubfileType) and 255; TIFF/EP (ISO 12234-2) and DNG 1.7 for 330.
    """
    header = file.read(8)
    if b"+" in header[2:4]:
        header += file.read(8)  # a BigTIFF
    pages = TiffImagePlugin.ImageFileDirectory_v2(header)
    place, several = pages.next, list[TiffImagePlugin.ImageFileDirectory_v2]()
    seen = set[int]()
    while place and place not in seen and len(several) < _MOST_PAGES:
        seen.add(place)
        page = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(place)
        page.load(file)
        if several and _WIDTH not in page:  # a damaged chain leads anywhere
            break
        several.append(page)
        place = page.next
    file.seek(0)
    whole = [i for i, page in enumerate(several) if not page.get(254, 0) & 1 and page.get(255) != 2]
    if _DNG_VERSION in several[0] or (not whole and _SUB_PAGES in several[0]):
        raise PhotoError(
            "is a camera's raw file, or holds its picture beside its pages, of which the first is "
            "a thumbnail; export it as a JPEG or a TIFF of one page"
        )
    return [several[i] for i in whole] or several, whole[0] if whole else 0


def _read_tiff(file: IO[bytes], whole: Callable[[], bytes]) -> Raster:
    """Return a TIFF's first page but for thumbnails: 8 bits by Pillow, deeper ones by OpenCV."""
    if file.read(4) == b"MM\0+":
        raise PhotoError("a TIFF of a kind that is not understood (BigTIFF, big-endian)")
    file.seek(0)
    pages, at = _tiff_pages(file)
    page, several = pages[0], len(pages) > 1
    bits, samples = page.get(258, (1,)), page.get(277, 1)
    depth = max(bits) if isinstance(bits, tuple) else bits
    if depth <= 8 or (samples < 3 and depth == 16):
        return _read_pillow(file, {"page": at, "several": several})
    width, height, photometric = int(page.get(256, 0)), int(page.get(257, 0)), page.get(262)
    kinds = page.get(339, (1,))
    kind = max(kinds) if isinstance(kinds, tuple) else kinds  # 1 unsigned, 2 signed, 3 float
    together = page.get(284, 1) == 1
    if photometric != 2 or not together or depth not in {1: (16,), 3: (32, 64)}.get(kind, ()):
        apart = "" if together else ", each channel apart"
        signed = ", signed" if kind == 2 else ""
        raise PhotoError(
            f"a TIFF of a kind that is not understood ({depth} bits{signed}{apart}); save it as "
            "RGB of 8 or 16 bits with the channels together"
        )
    check_size(width, height, _DEEP * samples * depth / 8)
    blob = whole()
    conversion, flags = _conversion("RGB", page.get(34675), _exif_tags(blob))
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
        PhotoError: Values that cannot be placed: NaN, floats outside [0, 1], negative numbers, and
            16-bit numbers of which none is above 8 or 12 bits, which would come out black.
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
    if 0 < highest < 4096:
        eight, twelve = ("0 to 255", "give them as uint8"), ("12 bits", "multiply them by 16")
        what, remedy = eight if highest <= 255 else twelve
        raise PhotoError(f"the 16-bit values end at {highest}; if they are {what}, {remedy}")
    return pixels.astype(np.uint16, copy=False)
