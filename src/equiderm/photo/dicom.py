"""Photographs in DICOM files: visible light and dermoscopy, raw or compressed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np

from equiderm.errors import InputError, reason_of
from equiderm.photo import colour
from equiderm.photo.headers import conversion_of, jpeg_segments
from equiderm.photo.raster import LEAST_HIGHEST, SEVERAL, UNSURE, PhotoError, Raster, check_size

_COLOURS = (
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT",
    "YBR_RCT",
)  # fmt: skip
# The first bytes of a file without the preamble: the file's head, or (old) the data set itself.
_BARE = (b"\x02\0\0\0UL\x04\0", b"\x08\0\x05\0", b"\x08\0\x08\0", b"\x08\0\x16\0")
_NO_TEXT = ("SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN", "AT")  # sequences and bytes


def is_dicom(head: bytes) -> bool:
    """Return whether a file's first 132 bytes are those of DICOM, with its preamble or without."""
    return head[128:132] == b"DICM" or head.startswith(_BARE)


def read_dicom(file: IO[bytes]) -> Raster:
    """Return the first picture of an open DICOM file; nothing else of the file is kept.

    Args:
        file: Open for reading bytes.

    Source:
        DICOM PS3.3, C.7.6.3 (pixels) and C.11.15 (profiles and names of colour spaces).
    """
    from pydicom import dcmread
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

    header = dcmread(file, stop_before_pixels=True, force=True)
    if "Rows" not in header or "Columns" not in header:
        raise PhotoError("is a DICOM file without a picture")
    photometric = str(header.get("PhotometricInterpretation", ""))
    if photometric not in _COLOURS:
        raise PhotoError(f"is a DICOM file of colours that are not understood ({photometric})")
    samples, allocated = header.get("SamplesPerPixel", 1), header.get("BitsAllocated", 8)
    check_size(header.Columns, header.Rows, 3 * samples * allocated / 8)
    file.seek(0)
    source: Any = cast("BinaryIO", file)
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is None or syntax == DeflatedExplicitVRLittleEndian or header.preamble is None:
        source = dcmread(file, force=True)
        source.file_meta.TransferSyntaxUID = syntax or ImplicitVRLittleEndian
    try:
        pixels = pixel_array(source, index=0)
    except (RuntimeError, NotImplementedError) as error:
        if _is_decodable(syntax):
            raise PhotoError(
                "is a DICOM file whose picture is damaged or truncated, or of a kind that is not "
                f"understood ({reason_of(error, line=-1)})"
            ) from error
        raise PhotoError(
            f"is a DICOM file compressed as {getattr(syntax, 'name', syntax)}, which cannot be "
            "decoded here; `pip install python-gdcm` for JPEG Lossless and JPEG-LS, or convert it "
            "to an uncompressed one"
        ) from error
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, header)
    elif photometric == "MONOCHROME1":
        pixels = pixels.max() - pixels
    top = 2 ** int(header.get("BitsStored", allocated)) - 1
    if photometric == "PALETTE COLOR":
        top = 65535
    if pixels.dtype != np.uint8:
        if pixels.min() < 0 or pixels.max() > top:
            raise PhotoError("its pixels lie outside the range that the DICOM file states")
        if top == 65535 and 0 < (highest := int(pixels.max())) < LEAST_HIGHEST:
            raise PhotoError(f"the 16-bit values end at {highest}; state their bits (BitsStored)")
        pixels = np.round(pixels * np.float32(65535 / top)).astype(np.uint16)
    mode = "L" if pixels.ndim == 2 else "RGB"
    several = int(header.get("NumberOfFrames", 1) or 1) > 1
    conversion, flags = _colours(header, mode, b"" if several else _jpeg_profile(file, syntax))
    if several:
        flags += (SEVERAL,)
    return Raster(pixels, header.Columns, header.Rows, 1, conversion, mode, flags)


def check_attributes(names: Sequence[str]) -> None:
    """Raise InputError for a name that is not an attribute of DICOM files that text can hold."""
    try:
        from pydicom.datadict import dictionary_VR, tag_for_keyword
    except ImportError as error:
        raise InputError(
            "attributes of DICOM files need pydicom: pip install 'equiderm[dicom]'."
        ) from error
    for name in names:
        tag = tag_for_keyword(name)
        if tag is None or dictionary_VR(tag)[:2] in _NO_TEXT:
            raise InputError(
                f"{name}: is not an attribute of DICOM files that a column can hold; keywords are "
                "written like PatientAge or BodyPartExamined."
            )


def read_attributes(path: str | os.PathLike[str], names: Sequence[str]) -> list[str | None]:
    """Return the first data set's attributes of a file as text, None where they are missing.

    Args:
        path: Any file; one that is not DICOM, or cannot be read, has none.
        names: Keywords, as checked by `check_attributes`.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.multival import MultiValue

    try:
        with Path(path).open("rb") as file:
            if not is_dicom(file.read(132)):
                return [None] * len(names)
            file.seek(0)
            header = dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(names))
            values = [header.get(name) for name in names]
    except (OSError, ValueError, InvalidDicomError):
        return [None] * len(names)
    texts = [
        "; ".join(map(str, value)) if isinstance(value, MultiValue) else str(value or "").strip()
        for value in values
    ]
    return [" ".join(text.split()) or None for text in texts]


def _is_decodable(syntax: Any) -> bool:
    from pydicom.pixels.decoders.base import get_decoder

    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _jpeg_profile(file: IO[bytes], syntax: Any) -> bytes:
    """Return the ICC profile in the JPEG of a file of one frame, as phones wrote it, if any."""
    from pydicom import dcmread
    from pydicom.encaps import get_frame
    from pydicom.uid import JPEGBaseline8Bit

    if syntax != JPEGBaseline8Bit:
        return b""
    file.seek(0)
    frame = get_frame(dcmread(cast("BinaryIO", file), force=True).PixelData, 0, number_of_frames=1)
    return jpeg_segments(frame)[1]


def _colours(header: Any, mode: str, of_jpeg: bytes) -> tuple[Any, tuple[str, ...]]:
    paths = header.get("OpticalPathSequence") or [header]
    profile = header.get("ICCProfile") or paths[0].get("ICCProfile")
    if profile:
        return conversion_of(mode, profile, {})
    named = str(paths[0].get("ColorSpace") or header.get("ColorSpace") or "").upper()
    if of_jpeg and not named:
        return conversion_of(mode, of_jpeg, {})
    spaces = {"ADOBERGB": colour.adobe_rgb, "ROMMRGB": colour.romm_rgb}
    if mode != "RGB" or named in ("", "SRGB"):
        return None, ()
    return (spaces[named](), ()) if named in spaces else (None, (UNSURE,))
