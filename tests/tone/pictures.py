"""Pictures that the tests make: skin of a chosen colour with hair, a lesion, borders and noise."""

import cv2
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from equiderm.photo.decode import load_photo
from equiderm.tone.color import lab_to_srgb
from equiderm.tone.estimate import Measured, measure_photo
from equiderm.tone.estimators import get_method
from equiderm.tone.scales import SCHEMES


def skin_picture(
    lab: tuple[float, float, float],
    *,
    width: int = 320,
    height: int = 240,
    noise: float = 3.0,
    hairs: int = 0,
    hair_width: float = 2,
    lesion: bool = True,
    border: int = 0,
    shade: float = 0.0,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """Return a picture, shape (height, width, 3), whose clean skin has the given CIELAB colour.

    ``hair_width`` is in px, or below 1 a share of the shorter side.
    """
    random = np.random.default_rng(seed)
    colour = np.round(255 * lab_to_srgb(np.array(lab)))
    slope = 1 + shade * np.linspace(-1, 1, width)[None, :, None]
    picture = np.broadcast_to(colour, (height, width, 3)) * slope
    picture = picture + random.normal(0, noise, (height, width, 1))
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if lesion:
        axes = (width // 6, height // 7)
        dark = tuple(int(value * 0.45) for value in colour)
        cv2.ellipse(picture, (width // 2, height // 2), axes, 20, 0, 360, dark, -1)
    side = min(width, height)
    thick = max(1, round(hair_width if hair_width >= 1 else hair_width * side))
    for _ in range(hairs):
        ends = random.integers(0, [width, height], size=(2, 2))
        cv2.line(
            picture,
            tuple(map(int, ends[0])),
            tuple(map(int, ends[1])),
            (30, 22, 18),
            thick,
        )
    if border:
        picture[:border] = picture[-border:] = picture[:, :border] = picture[:, -border:] = 4
    return picture


def measured_by(method: str, picture: NDArray[np.uint8]) -> Measured:
    return measure_photo(load_photo(picture), method, get_method(method), SCHEMES["paper"])


def pictures() -> st.SearchStrategy[NDArray[np.uint8]]:
    """Any plausible photograph: light to dark, bluish to yellow, 60 to 700 px, hairy or clean."""
    lab = st.tuples(
        st.floats(22, 88), st.floats(0, 22), st.one_of(st.floats(2, 28), st.floats(-14, -2))
    )
    return st.builds(
        skin_picture,
        lab,
        width=st.integers(60, 700),
        height=st.integers(60, 700),
        noise=st.floats(1.5, 6),
        hairs=st.integers(0, 40),
        hair_width=st.floats(0.004, 0.016),
        lesion=st.booleans(),
        border=st.sampled_from([0, 0, 3, 12]),
        shade=st.floats(0, 0.25),
        seed=st.integers(0, 2**32 - 1),
    )
