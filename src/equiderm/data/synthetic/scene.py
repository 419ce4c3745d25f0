"""One photograph: skin of known colour, a lesion, light, artefacts, a camera."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from equiderm.data.synthetic import artefacts, optics
from equiderm.data.synthetic.canvas import Floats, cells, encode, grid, noise, ramp
from equiderm.data.synthetic.lesion import Traits, draw_lesion

_DIGITS = 6  # of the true ITA, in degrees; beyond them builds of OpenCV differ
_CAST = (-0.22, -0.12, 0.02)  # log gains of red, green, blue at a shift of 1: dimmer and colder


@dataclass(frozen=True)
class Scene:
    """Everything that decides a photograph except its size."""

    seed: tuple[int, ...]
    look: str
    ita: float
    blood: float
    traits: Traits
    frame_mm: float
    hairiness: float
    artefacts: Mapping[str, bool]
    shift: float


def render(scene: Scene, size: int) -> tuple[NDArray[np.uint8], float]:
    """Return a photograph, uint8 sRGB (size, size, 3), and the true ITA of its healthy skin.

    The ITA, in degrees, is of the mean L* and b* of the bare skin under D65, before the lesion,
    light, artefacts and camera. It stays within about a degree of ``scene.ita``.
    """
    rng = np.random.default_rng(scene.seed)
    dermoscopic = scene.look == "dermoscopic"
    melanin, blood = optics.pigments_for(scene.ita, scene.blood)
    relief = _relief(rng, size, dermoscopic)
    skin_melanin, skin_blood = _skin(rng, size, melanin, blood, relief)
    step = max(1, size // 32)
    bare = optics.colour(skin_melanin[::step, ::step], skin_blood[::step, ::step])
    truth = round(float(optics.mean_ita(bare.reshape(-1, 3))), _DIGITS)
    lesion = draw_lesion(rng, size, scene.traits, frame_mm=scene.frame_mm, skin_melanin=melanin)
    picture = optics.colour(skin_melanin + lesion.melanin, skin_blood + lesion.blood, lesion.deep)
    picture *= _light(rng, size, relief, lesion.inside, dermoscopic)[..., None]
    return _photograph(rng, scene, picture, relief), truth


def _relief(rng: np.random.Generator, size: int, dermoscopic: bool) -> Floats:
    """Return the height of the skin surface, about 1: furrows between small plateaus."""
    across = rng.uniform(26, 40) if dermoscopic else rng.uniform(40, 64)
    field = cells(rng, size, across, stretch=rng.uniform(1.0, 1.8), warp=0.35)
    return 1.35 - 0.35 * field


def _skin(
    rng: np.random.Generator, size: int, melanin: float, blood: float, relief: Floats
) -> tuple[Floats, Floats]:
    """Return melanin and blood of bare skin, (size, size) each: mottled, with fine vessels."""
    mottle = 1 + 0.07 * noise(rng, size, 6, octaves=5) - 0.2 * (relief - 1)
    flush = 1 + 0.20 * noise(rng, size, 3, octaves=5)
    thread = np.abs(noise(rng, size, 5, octaves=3))
    vessels = (1 - ramp(thread, 0.0, 0.16)) * ramp(noise(rng, size, 3), 0.2, 1.2)
    vessels *= np.float32(rng.choice([0.0, 0.006, 0.015]))
    return (
        np.maximum(melanin * mottle, 0).astype(np.float32),
        np.maximum(blood * flush + vessels, 0).astype(np.float32),
    )


def _light(
    rng: np.random.Generator, size: int, relief: Floats, inside: Floats, dermoscopic: bool
) -> Floats:
    """Return each pixel's illumination, about 1: even behind a dermoscope, oblique elsewhere."""
    x, y = grid(size)
    angle = rng.uniform(0, math.tau)
    slope = np.float32(rng.uniform(0, 0.06) if dermoscopic else rng.uniform(0.05, 0.28))
    light = 1 + slope * (x * math.cos(angle) + y * math.sin(angle))
    if dermoscopic:
        return light * (1 + 0.03 * (relief - 1))
    height = relief * 0.5 + cv2.GaussianBlur(inside, (0, 0), size / 40) * 3
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3)
    dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3)
    facing = (dx * math.cos(angle) + dy * math.sin(angle)) * (size / 128)
    return light * np.clip(1 + 0.10 * facing, 0.6, 1.35)


def _photograph(
    rng: np.random.Generator, scene: Scene, picture: Floats, relief: Floats
) -> NDArray[np.uint8]:
    """Return the 8-bit photograph of a lit scene: artefacts, lens, colour cast and noise."""
    size = picture.shape[0]
    has = scene.artefacts
    if has["ink"]:
        picture = artefacts.ink(rng, picture)
    if has["hair"]:
        picture = artefacts.hair(rng, picture, scene.hairiness, fair=scene.ita > 35)
    if has["bubbles"]:
        picture = artefacts.bubbles(rng, picture)
    if has["glare"]:
        picture = artefacts.glare(rng, picture, relief)
    if has["ruler"]:
        picture = artefacts.ruler(rng, picture, scene.frame_mm)
    if has["vignette"]:
        picture = artefacts.vignette(rng, picture)
    picture = cv2.GaussianBlur(picture, (0, 0), (rng.uniform(0.15, 0.4) * size + 24) / 128)
    gain = np.exp(scene.shift * rng.normal(_CAST, [0.08, 0.04, 0.10]))
    grain = rng.standard_normal((size, size, 1), dtype=np.float32)
    picture = picture * gain.astype(np.float32)
    return encode(picture * (1 + 0.012 * grain))
