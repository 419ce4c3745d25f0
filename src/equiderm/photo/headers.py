"""What a file's own bytes say before a library decodes it: its tags, pages and colours.

It reads what the libraries leave out, read wrongly or read only with the pixels.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from typing import IO, Any

from PIL import Image, TiffImagePlugin

from equiderm.photo import colour
from equiderm.photo.raster import UNSURE, PhotoError

ORIENTATION, _EXIF_IFD, _INTEROP_IFD = 0x0112, 0x8769, 0xA005
_COLOUR_SPACE, _INTEROP_INDEX, _MAKE, _EXIF_VERSION = 0xA001, 0x0001, 0x010F, 0x9000
_UNCALIBRATED, _NON_STANDARD_ADOBE = 65535, 2
_WIDTH, _DNG_VERSION, _SUB_PAGES, _MOST_PAGES = 256, 50706, 330, 100
LARGEST_PROFILE = 8_000_000  # bytes; printers' largest are some 3 MB


def jpeg_segments(blob: bytes) -> tuple[dict[int, Any], bytes, bool, bool, int]:
    """Return EXIF's tags, the ICC profile, whether Adobe's and progressive, and bits per channel.

    An orientation that only XMP states is among the tags, as Pillow has it for other formats. The
    bits are 0 where the headers do not end.
    """
    exif, xmp, parts = b"", b"", dict[int, bytes]()
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
            exif = blob[place + 10 : end]
        elif kind == 0xE1 and blob.startswith(b"http://ns.adobe.com/xap/1.0/\0", place + 4):
            xmp = blob[place + 4 : end]
        elif kind == 0xE2 and blob.startswith(b"ICC_PROFILE\0", place + 4):
            parts[blob[place + 16]] = blob[place + 18 : end]
        elif kind == 0xEE and blob.startswith(b"Adobe", place + 4):
            is_adobe = True
        elif kind == 0xF7 or (0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC)):  # the frame
            is_progressive = kind in (0xC2, 0xC6, 0xCA, 0xCE)
            bits = blob[place + 4]
        place = end
    else:
        bits = 0
    profile = b"".join(parts[number] for number in sorted(parts))
    tags = exif_tags(exif) if exif else {}
    if ORIENTATION not in tags and (told := re.search(rb"tiff:Orientation(?:=.|>)([1-8])", xmp)):
        tags[ORIENTATION] = int(told[1])
    return tags, profile, is_adobe, is_progressive, bits


def has_all_scans(blob: bytes, planes: int) -> bool:
    """Return whether a progressive JPEG's scans give every coefficient its last bit.

    libjpeg does not complain of a file that was cut off between two scans and closed with an end
    mark: it has the whole picture, but coarsely.

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


def tags_of(image: Image.Image) -> Mapping[int, Any]:
    """Return the EXIF tags that matter here: of the orientation, of colours, and who wrote them."""
    try:
        exif = image.getexif()
        tags: dict[int, Any] = {ORIENTATION: exif.get(ORIENTATION, 1), _MAKE: exif.get(_MAKE)}
        inner = exif.get_ifd(_EXIF_IFD)
        tags.update({tag: inner.get(tag) for tag in (_COLOUR_SPACE, _EXIF_VERSION)})
        if _INTEROP_IFD in inner:
            tags[_INTEROP_INDEX] = exif.get_ifd(_INTEROP_IFD).get(_INTEROP_INDEX)
        return tags
    except Exception:  # damaged EXIF is no reason to refuse a picture
        return {}


def exif_tags(tiff: bytes) -> dict[int, Any]:
    """Return the same tags of EXIF or of a whole TIFF; Pillow would read all of some hundred.

    Source:
        Exif 3.0 (CIPA DC-008), 4.6: directories of 12-byte entries.
    """
    order = "<" if tiff[:2] == b"II" else ">"
    tags: dict[int, Any] = {}

    def read(directory: int, wanted: tuple[int, ...]) -> None:
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, size = struct.unpack_from(f"{order}HHI", tiff, entry)
            if tag in wanted:
                place = entry + 8
                if kind == 2 and size > 4:  # a longer text lies elsewhere
                    (place,) = struct.unpack_from(f"{order}I", tiff, place)
                form = {2: f"{size}s", 3: f"{order}H", 4: f"{order}I"}.get(kind, "4s")
                (tags[tag],) = struct.unpack_from(form, tiff, place)

    try:
        read(struct.unpack_from(f"{order}I", tiff, 4)[0], (ORIENTATION, _EXIF_IFD, _MAKE))
        if _EXIF_IFD in tags:
            read(tags[_EXIF_IFD], (_COLOUR_SPACE, _INTEROP_IFD, _EXIF_VERSION))
        if _INTEROP_IFD in tags:
            read(tags[_INTEROP_IFD], (_INTEROP_INDEX,))
    except (struct.error, TypeError):
        pass  # damaged EXIF is no reason to refuse a picture
    return tags


def conversion_of(
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
    space = tags.get(_COLOUR_SPACE)
    index, make, version = (_text(tags, tag) for tag in (_INTEROP_INDEX, _MAKE, _EXIF_VERSION))
    if mode != "RGB" or space not in (_UNCALIBRATED, _NON_STANDARD_ADOBE) or index == "R98":
        return None, ()
    # Source: DCF 2.0 (CIPA DC-009): "R03" beside an uncalibrated colour space is Adobe RGB.
    if index == "R03" or space == _NON_STANDARD_ADOBE:
        return colour.adobe_rgb(), ()
    if not make and version == "0210":  # libexif's filling, as in every JPEG that libvips writes
        return None, ()
    # An application has dropped the profile: Apple's cameras take P3, others have Adobe RGB.
    return colour.display_p3() if make == "Apple" else colour.adobe_rgb(), (UNSURE,)


def _text(tags: Mapping[int, Any], tag: int) -> str:
    value = tags.get(tag) or ""
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip("\0 ")


def png_colours(file: IO[bytes]) -> dict[str, Any]:
    """Return what a PNG's chunks before the pixels say of its colours, as for `readers._of_pillow`.

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
            chunks[kind] = file.read(min(size, LARGEST_PROFILE))
        place += 12 + size
    file.seek(0)
    if len(code := chunks.get(b"cICP", b"")) == 4:
        if code[3] == 0:
            raise PhotoError("its values are those of a video (narrow range); save it as sRGB")
        return {"conversion": colour.of_code_points(code[0], code[1])}
    if b"iCCP" in chunks:
        packed = chunks[b"iCCP"].partition(b"\0")[2][1:]
        try:
            return {"profile": zlib.decompressobj().decompress(packed, LARGEST_PROFILE)}
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


def jp2_colours(head: bytes) -> dict[str, Any]:
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


def gif_profile(blob: bytes) -> dict[str, Any]:
    """Return the ICC profile in a GIF's application extension (ICC.1:2022, annex B.5), if any."""
    name = b"\x21\xff\x0bICCRGBG1012"
    place = blob.find(name) + len(name)
    profile = b""
    while place >= len(name) and place < len(blob) and (size := blob[place]):
        profile += blob[place + 1 : place + 1 + size]
        place += 1 + size
    return {"profile": profile} if profile else {}


def bmp_profile(head: bytes, file: IO[bytes]) -> dict[str, Any]:
    """Return the ICC profile in a BMP of version 5, or a note that its colours are not sRGB.

    Source:
        Microsoft, BITMAPV5HEADER: bV5CSType and bV5Endpoints at 56 and 60, the profile at 112.
    """
    kind, endpoints = head[70:74][::-1], head[74:110]
    if int.from_bytes(head[14:18], "little") < 108 or (kind == bytes(4) and not any(endpoints)):
        return {}
    if kind == b"MBED":
        start, size = struct.unpack_from("<II", head.ljust(134), 126)
        file.seek(14 + start)
        return {"profile": file.read(min(size, LARGEST_PROFILE))}
    return {"profile": b"another space"} if kind in (bytes(4), b"LINK") else {}


def nclx(head: bytes) -> tuple[int, int] | None:
    """Return the code points (primaries, transfer) in an AVIF or HEIF file's head, if any."""
    place = head.find(b"colrnclx")
    return None if place < 0 else struct.unpack_from(">HH", head.ljust(place + 12), place + 8)


def is_coarse_avif(head: bytes) -> bool:
    """Return whether an AVIF has a narrow range and the matrix of BT.709 or BT.2020.

    libyuv, by which Pillow and others decode it, clamps their factor of blue on most processors:
    skin comes out up to three levels too blue, which is 2 degrees of ITA.

    Source:
        libyuv, `row_common.cc`: UB is 128 where 135 and 137 are meant.
    """
    place = head.find(b"colrnclx")
    matrix, is_full = struct.unpack_from(">HB", head.ljust(place + 15), place + 12)
    return place >= 0 and matrix in (1, 9) and not is_full & 128


def jxl_header(blob: bytes) -> tuple[int, int, bool, int]:
    """Return a JPEG XL file's width, height, whether it is animated, and bits a channel.

    The bits are 0 for floats, and where an animation or a preview comes before them.

    Source:
        ISO/IEC 18181-1:2024, D.2 (SizeHeader) and D.3 (ImageMetadata); 18181-2 for the boxes.
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
    if take(1):  # all is as usual
        return width, height, False, 8
    if take(1):
        take(3)  # the orientation
        if take(1):
            size()  # the intrinsic one
        if take(1):  # a preview
            return width, height, False, 0
        if take(1):
            return width, height, True, 0
    is_float, depth = take(1), take(2)
    bits = (8, 10, 12)[depth] if depth < 3 else take(6) + 1
    return width, height, False, 0 if is_float else bits


def tiff_pages(file: IO[bytes]) -> tuple[list[TiffImagePlugin.ImageFileDirectory_v2], int]:
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
