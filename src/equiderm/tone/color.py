"""sRGB to CIELAB, and the angles and distances computed from it; pure functions on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equiderm.photo.colour import from_linear, to_linear

_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65, 2-degree observer
_RGB_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_TO_RELATIVE_XYZ = (_RGB_TO_XYZ / _WHITE[:, None]).T
# L* = 116 y - 16, a* = 500 (x - y), b* = 200 (y - z), of cube roots x, y, z
_ROOT_TO_LAB = np.array([[0.0, 500.0, 0.0], [116.0, -500.0, 200.0], [0.0, 0.0, -200.0]])
_LINEAR_OF_BYTE = to_linear(np.arange(256) / 255).astype(np.float32)


def srgb_to_lab(pixels: NDArray[np.uint8] | NDArray[np.floating]) -> NDArray[np.float64]:
    """Return CIELAB (D65, 2-degree observer) of sRGB pixels.

    Args:
        pixels: Shape (..., 3); uint8, or floats in [0, 1].

    Returns:
        Shape (..., 3), float64: L* in [0, 100], a* and b* roughly in [-110, 110].

    Source:
        IEC 61966-2-1 for sRGB, CIE 15:2004 for L*a*b*.
    """
    return _roots(pixels).astype(np.float64) @ _ROOT_TO_LAB - (16.0, 0.0, 0.0)


def _roots(pixels: NDArray[np.uint8] | NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the cube roots of relative XYZ, in which CIELAB is linear."""
    if np.issubdtype(pixels.dtype, np.integer):  # single precision: within 1e-4 of double
        relative = _LINEAR_OF_BYTE.take(np.asarray(pixels, np.uint8)) @ _TO_RELATIVE_XYZ.astype(
            np.float32
        )
    else:
        relative = to_linear(pixels.astype(np.float64)) @ _TO_RELATIVE_XYZ
    root = np.cbrt(relative)
    dark = relative <= 0.008856
    return np.where(dark, 7.787 * relative + 16 / 116, root) if dark.any() else root


def mean_lab(samples: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean CIELAB colour of each sample, shape (n, 3), of pixels (n, h, w, 3)."""
    _, height, width, _ = samples.shape
    root = np.einsum("nhwc->nc", _roots(samples), dtype=np.float64) / (height * width)
    return root @ _ROOT_TO_LAB - (16.0, 0.0, 0.0)


def lab_to_srgb(lab: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return sRGB floats of CIELAB colours (D65); out-of-gamut colours are clipped to [0, 1].

    Args:
        lab: Shape (..., 3), L* in [0, 100].

    Returns:
        Shape (..., 3), in [0, 1].

    Source:
        The inverse of `srgb_to_lab`.
    """
    y = (lab[..., 0] + 16) / 116
    root = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    relative = np.where(root > 0.2068966, root**3, (root - 16 / 116) / 7.787)
    return from_linear(relative @ np.linalg.inv(_TO_RELATIVE_XYZ)).astype(np.float64, copy=False)


def individual_typology_angle(lab: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the individual typology angle (ITA) of each colour, in degrees.

    High for light skin, low or negative for dark. It describes a colour in one photograph; it is
    not a Fitzpatrick type.

    Args:
        lab: CIELAB colours (D65), shape (..., 3), with L* in [0, 100].

    Returns:
        Angles, shape (...), in (-180, 180]; above 90 where b* is negative and L* over 50. NaN
        where L* = 50 and b* = 0, where no angle exists.

    Source:
        Chardon, Cretois and Hourseau 1991, Int. J. Cosmetic Science 13:191.

    Differs:
        The paper's Eq. 1 takes atan((L* - 50) / b*), which turns a light bluish colour (b* < 0)
        into a very dark one; here the quadrant is kept. See `one_argument_angle`.

    Example:
        >>> float(individual_typology_angle(np.array([70.0, 12.0, 20.0])))
        45.0
    """
    above, yellow = lab[..., 0] - 50.0, lab[..., 2]
    angle = np.degrees(np.arctan2(above, yellow))
    return np.where((above == 0) & (yellow == 0), np.nan, angle)


def one_argument_angle(lab: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the paper's Eq. 1 to the letter: atan((L* - 50) / b*), in degrees.

    Kept to reproduce published labels. Wrong where b* < 0, where it wraps by 180 degrees.

    Args:
        lab: CIELAB colours (D65), shape (..., 3).

    Returns:
        Angles, shape (...), in [-90, 90]; NaN where L* = 50 and b* = 0.

    Source:
        Bevan and Atapour-Abarghouei 2022, Eq. 1.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.degrees(np.arctan((lab[..., 0] - 50.0) / lab[..., 2]))


def hue_angle(lab: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the CIELAB hue angle atan2(b*, a*) in degrees, shape (...): 0 red, 90 yellow.

    Source:
        CIE 15:2004; reported beside lightness as Thong, Joniak and Xiang 2023 advise.
    """
    return np.degrees(np.arctan2(lab[..., 2], lab[..., 1]))


def ciede2000(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the CIEDE2000 colour difference of broadcastable CIELAB colours, shape (...).

    Source:
        Sharma, Wu and Dalal 2005, Color Research and Application 30:21 (k_L = k_C = k_H = 1).
    """
    l1, a1, b1 = (first[..., i] for i in range(3))
    l2, a2, b2 = (second[..., i] for i in range(3))
    mean_chroma7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(mean_chroma7 / (mean_chroma7 + 25.0**7))
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1 = np.degrees(np.arctan2(b1, stretch * a1)) % 360
    h2 = np.degrees(np.arctan2(b2, stretch * a2)) % 360
    gray = c1 * c2 == 0
    turn = h2 - h1
    turn = np.where(gray, 0.0, turn - 360 * (turn > 180) + 360 * (turn < -180))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    mean_h = np.where(gray, h1 + h2, (h1 + turn / 2) % 360)
    weight = (
        1
        - 0.17 * np.cos(np.radians(mean_h - 30))
        + 0.24 * np.cos(np.radians(2 * mean_h))
        + 0.32 * np.cos(np.radians(3 * mean_h + 6))
        - 0.20 * np.cos(np.radians(4 * mean_h - 63))
    )
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * weight
    bend = 30 * np.exp(-(((mean_h - 275) / 25) ** 2))
    rotation = -np.sin(np.radians(2 * bend)) * 2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7))
    d_l = (l2 - l1) / s_l
    d_c = (c2 - c1) / s_c
    d_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / s_h
    return np.sqrt(np.maximum(d_l**2 + d_c**2 + d_h**2 + rotation * d_c * d_h, 0))
