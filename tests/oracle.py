"""The paper's section 3.2 written out once more, plainly and slowly, to hold the fast path against.

Whole-image hair removal, scikit-image's colours, Pillow's full decoding; nothing of ours.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab

CORNERS = [(230, 115), (5, 115), (115, 5), (115, 230), (216, 216), (216, 20), (20, 20), (20, 216)]


def square_of(image: Image.Image) -> NDArray[np.uint8]:
    """Centre-crop to the short side, then Lanczos to 256 x 256."""
    image = image.convert("RGB")
    width, height = image.size
    side = min(width, height)
    left, top = round((width - side) / 2), round((height - side) / 2)
    cropped = image.crop((left, top, left + side, top + side))
    return np.asarray(cropped.resize((256, 256), Image.Resampling.LANCZOS))


def without_hair(square: NDArray[np.uint8]) -> NDArray[np.uint8]:
    gray = cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (17, 17))
    dips = cv2.morphologyEx(gray, cv2.MORPH_BLACKHAT, cross)
    return cv2.inpaint(square, (dips > 10).astype(np.uint8) * 255, 1, cv2.INPAINT_TELEA)


def sample_angles(square: NDArray[np.uint8], *, two_arguments: bool) -> list[float]:
    lab = rgb2lab(without_hair(square))
    angles: list[float] = []
    for row, column in CORNERS:
        sample = lab[row : row + 20, column : column + 20]
        lightness, yellow = sample[:, :, 0].mean(), sample[:, :, 2].mean()
        if two_arguments:
            angles.append(np.degrees(np.arctan2(lightness - 50, yellow)))
        else:
            angles.append(np.degrees(np.arctan((lightness - 50) / yellow)))
    return angles


def eq2(ita: float) -> str:
    for band, threshold in enumerate((55, 41, 28, 19, 10), start=1):
        if ita > threshold:
            return str(band)
    return "6"


def label(image: Image.Image, *, two_arguments: bool = True) -> tuple[float, str]:
    ita = max(sample_angles(square_of(image), two_arguments=two_arguments))
    return ita, eq2(ita)
