"""What in a lesion photograph is not healthy skin: hair, lesion, dark corners, glare.

Every function takes and returns arrays on the square grid of `equiderm.photo.load_photo`: pixels
(n, n, 3) uint8 sRGB, masks (n, n) uint8 with 1 inside. Kernel sizes are for n = 256.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_HAIR_KERNEL = cv2.getStructuringElement(cv2.MORPH_CROSS, (17, 17))
_HAIR_CONTRAST = 10
_DARK = 45  # of 255 in gray: darker than the darkest skin under a dermoscope's lamp
_GLARE = 245  # of 255 in every channel
_LESION_CONTRAST = 12  # gray levels between the two classes, below which no lesion is assumed
_DIM = 110
_WHITE, _BLACK, _FLAT, _ALL_ROUND = 250, 3, 4, 0.98
_LEAST_CUT = 0.01  # of the picture
_AROUND_CUT = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
_AROUND_LESION = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (21, 21))
_AROUND_GLARE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


def hair_mask(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mask of dark hair: black-hat of the gray picture with a 17 x 17 cross, over 10.

    Source:
        Bevan and Atapour-Abarghouei 2022, section 3.2; kernel and threshold from their released
        code.
    """
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    dips = cv2.morphologyEx(gray, cv2.MORPH_BLACKHAT, _HAIR_KERNEL)
    return cv2.threshold(dips, _HAIR_CONTRAST, 1, cv2.THRESH_BINARY)[1]  # type: ignore[return-value]


def fill_hair(pixels: NDArray[np.uint8], hair: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture with hair filled in by Telea inpainting, radius 1.

    Source:
        Telea 2004, J. Graphics Tools 9:23; radius from the authors' released code.
    """
    return cv2.inpaint(pixels, hair, 1, cv2.INPAINT_TELEA)  # type: ignore[return-value]


def dark_surround(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the dark corners and borders: very dark areas that reach the picture's edge.

    They surround a dermoscope's round field, or are black frames; 6 px are added for the blurred
    edge.
    """
    gray = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (5, 5), 0)
    dark = cv2.threshold(gray, _DARK, 1, cv2.THRESH_BINARY_INV)[1]
    return cv2.dilate(_reaching_edge(dark), np.ones((13, 13), np.uint8))  # type: ignore[return-value]


def cut_out(pixels: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Return the area outside a cut-out lesion or a framed picture; None if there is none.

    It is flat, without colour and fills at least 98 % of a side: white (250 of 255 or more in every
    channel), gray (within 4 levels), or black (3 or less) only where the other sides are flat too,
    because a dermoscope's dark rim has a flag of its own. Four corners of one such white or gray
    count as well. 3 px are added for the blurred cut.
    """
    last = len(pixels) - 1
    corners = pixels[::last, ::last].reshape(4, 3).tolist()  # both of a flat side have no colour
    if sum(max(corner) - min(corner) <= _FLAT or min(corner) >= _WHITE for corner in corners) < 2:
        return None  # nearly every picture
    ranges = [_flat_range(*spots) for spots in _spots(pixels)]
    sides = (pixels[0], pixels[:, -1], pixels[-1], pixels[:, 0])
    flat = {
        limits
        for limits, side in zip(ranges, sides, strict=True)
        if limits and (limits[0] > 0 or None not in ranges) and _is_within(side, *limits)
    }
    values = [value for corner in corners for value in corner]
    limits = _flat_range(min(values), max(values))
    if not flat and limits and limits[0] > 0:
        flat = {limits}  # a round picture, or one that fades out, on paper or gray
    if not flat:
        return None
    masks = [cv2.inRange(pixels, (low,) * 3, (high,) * 3) // 255 for low, high in flat]
    outside = _reaching_edge(np.maximum.reduce(masks))
    return around_cut(outside) if cv2.countNonZero(outside) >= _LEAST_CUT * outside.size else None


def _spots(pixels: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Return the lowest and highest value in three pixels of each side, clockwise from the top."""
    last, half = len(pixels) - 1, len(pixels) // 2
    down, across = [0, 0, 0, half, last, last, last, half], [0, half, last, last, last, half, 0, 0]
    spots = pixels[down, across].tolist()
    spots.append(spots[0])
    values = [spots[side] + spots[side + 1] + spots[side + 2] for side in (0, 2, 4, 6)]
    return [(min(three), max(three)) for three in values]


def _flat_range(low: int, high: int) -> tuple[int, int] | None:
    """Return the value range of a flat side whose spots have these limits; None if not flat."""
    if low >= _WHITE:
        return _WHITE, 255
    if high <= _BLACK:
        return 0, _BLACK
    return None if high - low > _FLAT or low < _DARK else (high - _FLAT, low + _FLAT)


def _is_within(side: NDArray[np.uint8], low: int, high: int) -> bool:
    return bool(np.count_nonzero((side >= low) & (side <= high)) >= _ALL_ROUND * side.size)


def around_cut(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask grown by 3 px, where resizing mixes its two sides."""
    return cv2.dilate(mask.astype(np.uint8), _AROUND_CUT).astype(bool)


def is_dim(pixels: NDArray[np.uint8]) -> bool:
    """Return whether 99 of 100 pixels are below 110 of 255 in every channel.

    None of 400 photographs, 50 renders and 214 drawings of light and dark skin is dim as exposed;
    two stops darker, a quarter to a half of the photographs are (docs/tone.md).
    """
    size = (pixels.shape[1] // 4, pixels.shape[0] // 4)
    red, green, blue = cv2.split(cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST))
    highest = cv2.max(cv2.max(red, green), blue)
    lit = cv2.countNonZero(cv2.threshold(highest, _DIM - 1, 1, cv2.THRESH_BINARY)[1])
    return lit * 100 < highest.size


def _reaching_edge(mask: Any) -> NDArray[np.uint8]:
    """Return the parts of a mask that touch the picture's edge, 0 or 1."""
    _, parts = cv2.connectedComponents(mask)
    edge = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    return np.isin(parts, np.unique(edge[edge > 0])).astype(np.uint8)


def glare_mask(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the burnt-out highlights: every channel at 245 of 255 or more, and 2 px around."""
    return cv2.dilate(burnt(pixels), _AROUND_GLARE)  # type: ignore[return-value]


def burnt(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return where every channel is at 245 of 255 or more."""
    red, green, blue = cv2.split(pixels)
    lowest = cv2.min(cv2.min(red, green), blue)
    return cv2.threshold(lowest, _GLARE - 1, 1, cv2.THRESH_BINARY)[1]  # type: ignore[return-value]


def lesion_mask(pixels: NDArray[np.uint8], surround: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the lesion: the areas darker than Otsu's threshold that reach the middle, dilated.

    The threshold is computed outside the dark surround. Where the two classes differ by less than
    12 gray levels no lesion is assumed. 10 px are added around it.

    Source:
        Otsu 1979, IEEE Trans. SMC 9:62, on the blurred gray picture, the usual classical baseline
        of lesion segmentation (Celebi et al. 2009, Comput. Med. Imaging Graph. 33:148).
    """
    gray = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), 3)
    inside = gray[surround == 0]
    if inside.size == 0:
        return np.zeros_like(surround)
    threshold = cv2.threshold(inside.reshape(1, -1), 0, 255, cv2.THRESH_OTSU)[0]
    below = inside <= threshold
    one_class = below.all() or not below.any()
    if one_class or inside[~below].mean() - inside[below].mean() < _LESION_CONTRAST:
        return np.zeros_like(surround)
    darker = ((gray <= threshold) & (surround == 0)).astype(np.uint8)
    _, parts = cv2.connectedComponents(darker)
    side = len(pixels)
    middle = parts[side // 4 : -side // 4, side // 4 : -side // 4]
    lesion = np.isin(parts, np.unique(middle[middle > 0])).astype(np.uint8)
    return cv2.dilate(lesion, _AROUND_LESION)  # type: ignore[return-value]


def looks_like_skin(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where a pixel lies in the skin range of RGB and YCbCr together.

    Source:
        Kolkur et al. 2017, arXiv 1708.02694, rules for RGB and YCbCr, as Groh et al. 2021 use them
        on Fitzpatrick17k.
    """
    red, green, blue = (pixels[..., i].astype(np.int16) for i in range(3))
    ycc = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    luma, cr, cb = ycc[..., 0], ycc[..., 1], ycc[..., 2]
    rgb_rule = (red > 95) & (green > 40) & (blue > 20) & (red > green) & (red > blue)
    rgb_rule &= np.abs(red - green) > 15
    chroma_rule = (cr > 135) & (cb > 85) & (luma > 80)
    chroma_rule &= (cr <= 1.5862 * cb + 20) & (cr >= 0.3448 * cb + 76.2069)
    chroma_rule &= cr >= -4.5652 * cb + 234.5652
    chroma_rule &= (cr <= -1.15 * cb + 301.75) & (cr <= -2.2857 * cb + 432.85)
    return rgb_rule & chroma_rule
