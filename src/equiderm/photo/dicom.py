"""Photographs in DICOM files: visible light and dermoscopy, raw or compressed."""

from __future__ import annotations

from typing import IO, Any, BinaryIO, cast

import numpy as np

from equiderm.photo import colour
from equiderm.photo.raster import PhotoError, Raster

SEVERAL = "several-pictures"


def read_dicom(file: IO[bytes], check_size: Any, conversion_of: Any) -> Raster:
    """Return the first picture of an open DICOM file; nothing else of the file is kept.

    Args:
        file: Open for reading bytes.
        check_size: Raises where a picture of so many px, with so many bytes each, is too large.
        conversion_of: Returns a profile's conversion, and flags.

    Source:
        DICOM PS3.3, C.7.6.3 (pixels) and C.11.15 (profiles and names of colour spaces).
    """
    from pydicom import dcmread
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    header = dcmread(file, stop_before_pixels=True)
    if "Rows" not in header or "Columns" not in header:
        raise PhotoError("is a DICOM file without a picture")
    photometric = str(header.get("PhotometricInterpretation", ""))
    samples, allocated = header.get("SamplesPerPixel", 1), header.get("BitsAllocated", 8)
    check_size(header.Columns, header.Rows, 3 * samples * allocated / 8)
    file.seek(0)
    try:
        pixels = pixel_array(cast("BinaryIO", file), index=0)
    except (RuntimeError, NotImplementedError) as error:
        syntax = header.file_meta.TransferSyntaxUID.name
        raise PhotoError(
            f"is a DICOM file compressed as {syntax}, which cannot be decoded here; convert it to "
            "an uncompressed one"
        ) from error
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, header)
    elif photometric == "MONOCHROME1":
        pixels = pixels.max() - pixels
    top = 2 ** int(header.get("BitsStored", allocated)) - 1
    if pixels.dtype != np.uint8:
        if pixels.min() < 0 or pixels.max() > top:
            raise PhotoError("its pixels lie outside the range that the DICOM file states")
        deep = photometric == "PALETTE COLOR"
        scale = np.float32(65535 / (65535 if deep else top))
        pixels = np.round(pixels * scale).astype(np.uint16)
    mode = "L" if pixels.ndim == 2 else "RGB"
    conversion, flags = _colours(header, mode, conversion_of)
    if int(header.get("NumberOfFrames", 1) or 1) > 1:
        flags += (SEVERAL,)
    return Raster(pixels, header.Columns, header.Rows, 1, conversion, mode, flags)


def _colours(header: Any, mode: str, conversion_of: Any) -> tuple[Any, tuple[str, ...]]:
    paths = header.get("OpticalPathSequence") or [header]
    profile = header.get("ICCProfile") or paths[0].get("ICCProfile")
    if profile:
        return conversion_of(mode, profile, {})
    named = str(paths[0].get("ColorSpace") or header.get("ColorSpace") or "").upper()
    spaces = {"ADOBERGB": colour.adobe_rgb, "ROMMRGB": colour.romm_rgb}
    return (spaces[named]() if named in spaces and mode == "RGB" else None), ()
