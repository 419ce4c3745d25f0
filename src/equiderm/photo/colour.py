"""What the numbers in an image file mean as colours, and their conversion to sRGB.

A file says it in one of five ways: an ICC profile, PNG's or HEIF's code points (cICP, nclx), PNG's
gAMA and cHRM, or EXIF's ColorSpace. All become a `ColourSpace`, or None where they mean sRGB. A
profile is judged by what it does to colours, never by its name.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from equiderm.errors import InputError

_Floats = NDArray[np.floating]
_Curve = Callable[[_Floats], _Floats]  # coded values to linear light, both in [0, 1]

# x, y of red, green, blue and white. Source: ITU-T H.273 (2024), table 2, by its code points.
_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
_SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65)
_PRIMARIES = {
    1: _SRGB,
    2: _SRGB,  # "unspecified"
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
# Source: Adobe RGB (1998) Color Image Encoding, version 2005-05.
_ADOBE_PRIMARIES = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65)
_ADOBE_GAMMA = 563 / 256

# Source: Bradford adaptation; the ICC's connection space is relative to D50 (ICC.1:2022, annex E).
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50_XYZ = np.array([0.9642, 1.0, 0.8249])
_GAMMA_OF_SRGB = 0.45455  # what PNG writers put into gAMA when they mean sRGB's own curve
_SAME = 1 / 255  # a space that moves no colour farther is sRGB
_HDR = (16, 18)  # code points of PQ and HLG
_IS_HDR = "is an HDR picture (PQ or HLG); save it as an ordinary one (SDR)"
_RELATIVE = ImageCms.Intent.RELATIVE_COLORIMETRIC
_HEAD, _TAG = 128, 12  # bytes of an ICC profile's header, and of an entry of its tag table


class Conversion(Protocol):
    """A way from a file's values to sRGB."""

    def to_srgb(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return sRGB pixels, shape (h, w, 3), of 8-bit values, shape (h, w, channels)."""
        ...


class UnusableProfile(InputError):
    """A profile that is damaged, or is for other pixels than the file's."""


@dataclass(frozen=True, eq=False)
class ColourSpace:
    """An RGB space of three curves and a matrix, as nearly all photographs have.

    Attributes:
        curves: Of each channel, from coded values to linear light, both in [0, 1].
        matrix: From its linear light to that of sRGB, shape (3, 3), for column vectors.
    """

    curves: tuple[_Curve, _Curve, _Curve]
    matrix: NDArray[np.float64]

    def to_srgb(self, values: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Return sRGB pixels, (h, w, 3) uint8, of coded values of 8 or 16 bits of the same shape.

        Colours outside sRGB are clipped to it.
        """
        top = np.iinfo(values.dtype).max
        codes = np.arange(top + 1) / top
        tables = [curve(codes).astype(np.float32) for curve in self.curves]
        linear = np.stack([table[values[..., i]] for i, table in enumerate(tables)], axis=-1)
        return np.round(255 * from_linear(linear @ self.matrix.T.astype(np.float32))).astype(
            np.uint8
        )

    def is_srgb(self) -> bool:
        """Return whether no colour moves by more than one 255th."""
        steps = np.linspace(0, 1, 9)
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
        linear = np.stack([curve(grid[:, i]) for i, curve in enumerate(self.curves)], axis=-1)
        return bool(np.abs(from_linear(linear @ self.matrix.T) - grid).max() <= _SAME)


@dataclass(frozen=True)
class ProfileTable:
    """Any other profile (lookup tables, CMYK, Lab, gray), converted by littleCMS in 8 bits.

    Attributes:
        profile: The ICC profile.
        mode: Pillow's name of the pixels that it is for.
    """

    profile: bytes
    mode: str

    def to_srgb(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return sRGB pixels, (h, w, 3) uint8."""
        image = Image.fromarray(values) if values.ndim == 2 else _image_of(values, self.mode)
        converted = ImageCms.applyTransform(image, _transform(self.profile, self.mode))
        return np.asarray(converted)


def of_profile(profile: bytes, mode: str) -> Conversion | None:
    """Return the conversion that an ICC profile describes, None where it changes nothing.

    Args:
        profile: The profile's bytes.
        mode: Pillow's name of the pixels: "RGB", "CMYK", "LAB" or "L".

    Raises:
        UnusableProfile: It is damaged or for another kind of pixels.
    """
    return _of_profile(bytes(profile), mode)


@lru_cache(maxsize=64)
def _of_profile(profile: bytes, mode: str) -> Conversion | None:
    _refuse_hdr(profile)
    if mode == "RGB" and (space := _matrix_profile(profile)) is not None:
        return None if space.is_srgb() else space
    try:
        _transform(profile, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise UnusableProfile(str(error)) from error
    return ProfileTable(profile, mode)


def _refuse_hdr(profile: bytes) -> None:
    """Raise InputError for a profile whose cicp tag names PQ or HLG (ICC.1:2022, 9.2.17)."""
    try:
        tag = _tags(profile).get(b"cicp", b"")
    except struct.error:
        return
    if len(tag) >= 12 and tag[9] in _HDR:
        raise InputError(_IS_HDR)


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    # The colours as they were measured; the tables for the perceptual intent embellish them.
    source, intent = ImageCms.ImageCmsProfile(io.BytesIO(profile)), _RELATIVE
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB", intent)


def of_lab() -> Conversion:
    """Return the conversion of CIELAB pixels that carry no profile: relative to D50."""
    return ProfileTable(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(), "LAB")


def of_code_points(primaries: int, transfer: int) -> ColourSpace | None:
    """Return the space of code points as PNG's cICP and HEIF's nclx hold them, None for sRGB.

    Raises:
        InputError: Unknown or reserved codes, and PQ and HLG, whose brightness has no one meaning
            on an ordinary screen.

    Source:
        ITU-T H.273 (2024), tables 2 and 3.
    """
    if transfer in _HDR:
        raise InputError(_IS_HDR)
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS:
        raise InputError(
            f"its colours are described by code points that are not understood ({primaries}, "
            f"{transfer}); save it as sRGB"
        )
    return _space(_PRIMARIES[primaries], _TRANSFERS[transfer])


def of_gamma(
    gamma: float | None, chromaticities: tuple[float, ...] | None = None
) -> ColourSpace | None:
    """Return the space of PNG's gAMA (as a share of 1) and cHRM (white, red, green, blue).

    Source:
        PNG specification, third edition, 11.3.2. A gAMA of 1/2.2 without other primaries than
        sRGB's is what writers of sRGB put there for readers that know no better, and means sRGB's
        curve.
    """
    curve = to_linear
    primaries = _SRGB
    if chromaticities and len(chromaticities) == 8 and all(y > 0 for y in chromaticities[1::2]):
        white, *others = zip(chromaticities[::2], chromaticities[1::2], strict=True)
        primaries = (*others, white)
    is_srgb = np.abs(np.subtract(primaries, _SRGB)).max() < 0.002
    if gamma and not (is_srgb and abs(gamma - _GAMMA_OF_SRGB) <= 0.005):
        curve = partial(_power, exponent=1 / gamma)
    return _space(primaries, curve)


def adobe_rgb() -> ColourSpace:
    """Return Adobe RGB (1998), which cameras name in EXIF instead of embedding it."""
    curve = partial(_power, exponent=_ADOBE_GAMMA)
    return ColourSpace((curve, curve, curve), _matrix_of(_ADOBE_PRIMARIES))


def display_p3() -> ColourSpace:
    """Return Display P3, in which Apple's cameras take photographs."""
    return ColourSpace((to_linear, to_linear, to_linear), _matrix_of(_PRIMARIES[12]))


def romm_rgb() -> ColourSpace:
    """Return ROMM RGB (ProPhoto), which DICOM can name.

    Source:
        ANSI/I3A IT10.7666:2003.
    """
    primaries = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585))
    curve = partial(_power, exponent=1.8)
    return ColourSpace((curve, curve, curve), _matrix_of(primaries))


def _space(primaries: Any, curve: _Curve) -> ColourSpace | None:
    space = ColourSpace((curve, curve, curve), _matrix_of(primaries))
    return None if space.is_srgb() else space


def to_linear(values: _Floats) -> _Floats:
    """Return the linear light of sRGB values, both in [0, 1] (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def from_linear(linear: _Floats) -> _Floats:
    """Return the sRGB values of linear light, clipped to [0, 1]; the inverse of `to_linear`."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def _power(values: _Floats, exponent: float) -> _Floats:
    return values**exponent


def _rec709(values: _Floats) -> _Floats:
    return np.where(values < 0.081, values / 4.5, ((values + 0.099) / 1.099) ** (1 / 0.45))


# By the code points of H.273: which curve decodes.
_TRANSFERS: Mapping[int, _Curve] = {
    **dict.fromkeys((1, 6, 14, 15), _rec709),
    **dict.fromkeys((2, 13), to_linear),
    4: partial(_power, exponent=2.2),
    5: partial(_power, exponent=2.8),
    8: partial(_power, exponent=1.0),
}


def _to_xyz(primaries: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the matrix from linear RGB to XYZ, and the white's XYZ."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    return xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3]), xyz[:, 3]


def _adapt(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix that takes XYZ from one white to another.

    Source:
        Bradford (Lam 1985), as the ICC and lindbloom.com give it.
    """
    gain = (_BRADFORD @ target) / (_BRADFORD @ source)
    return np.linalg.inv(_BRADFORD) @ np.diag(gain) @ _BRADFORD


def _matrix_of(primaries: Any) -> NDArray[np.float64]:
    matrix, white = _to_xyz(primaries)
    srgb, d65 = _to_xyz(_SRGB)
    return np.linalg.inv(srgb) @ _adapt(white, d65) @ matrix


def _matrix_profile(profile: bytes) -> ColourSpace | None:
    """Return the space of an RGB profile of curves and a matrix; None for profiles of tables.

    Source:
        ICC.1:2022, 7.2, 9.2 and 10.
    """
    try:
        if profile[16:24] != b"RGB XYZ ":
            return None
        tags = _tags(profile)
        # tables come first, as in littleCMS
        if b"A2B0" in tags or b"A2B1" in tags or b"rTRC" not in tags:
            return None
        columns = [
            np.array(struct.unpack_from(">3i", tags[name], 8)) / 65536
            for name in (b"rXYZ", b"gXYZ", b"bXYZ")
        ]
        curves = tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    except (KeyError, struct.error, ValueError, IndexError) as error:
        raise UnusableProfile("the colour profile is damaged") from error
    srgb, d65 = _to_xyz(_SRGB)
    matrix = np.linalg.inv(srgb) @ _adapt(_D50_XYZ, d65) @ np.stack(columns, axis=1)
    return ColourSpace((curves[0], curves[1], curves[2]), matrix)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    count = struct.unpack_from(">I", profile, _HEAD)[0]
    tags: dict[bytes, bytes] = {}
    for entry in range(min(count, 100)):
        name, start, size = struct.unpack_from(">4sII", profile, _HEAD + 4 + entry * _TAG)
        tags[name] = profile[start : start + size]
    return tags


def _curve(tag: bytes) -> _Curve:
    """Return the function of a curveType or parametricCurveType element."""
    if tag[:4] == b"curv":
        count = struct.unpack_from(">I", tag, 8)[0]
        if count == 0:
            return partial(_power, exponent=1.0)
        values = np.array(struct.unpack_from(f">{count}H", tag, 12))
        if count == 1:
            return partial(_power, exponent=float(values[0]) / 256)
        return partial(np.interp, xp=np.linspace(0, 1, count), fp=values / 65535)
    if tag[:4] == b"para":
        kind = struct.unpack_from(">H", tag, 8)[0]
        count = (1, 3, 4, 5, 7)[kind]
        numbers = np.array(struct.unpack_from(f">{count}i", tag, 12)) / 65536
        return partial(_parametric, kind=kind, numbers=tuple(numbers.tolist()))
    raise ValueError("an unknown type of curve")


def _parametric(values: _Floats, kind: int, numbers: tuple[float, ...]) -> _Floats:
    """Return the linear values by one of the five functions of ICC.1:2022, table 68."""
    g, a, b, c, d, e, f = (*numbers, *(0.0,) * (7 - len(numbers)))
    if kind == 0:
        return values**g
    power = np.maximum(a * values + b, 0) ** g
    if kind == 1:
        return np.where(values >= -b / a, power, 0)
    if kind == 2:
        return np.where(values >= -b / a, power + c, c)
    return np.where(values >= d, power + e, c * values + f)


def _image_of(values: NDArray[np.uint8], mode: str) -> Image.Image:
    height, width = values.shape[:2]
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(values).tobytes())
