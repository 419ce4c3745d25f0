"""Moles and melanomas as maps of pigment, which differ as the ABCD rule says.

Source:
    Nachbar et al. 1994, J. Am. Acad. Dermatol. 30:551 (asymmetry, border, colours, structures);
    diameter above 6 mm: Abbasi et al. 2004, JAMA 292:2771.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from equiderm.data.synthetic.canvas import Floats, cells, grid, noise, ramp


@dataclass(frozen=True)
class Traits:
    """The ABCD traits of one lesion: three from 0 (as in a harmless mole) to 1, and its diameter.

    A single trait says little: they overlap between moles and melanomas.
    """

    asymmetry: float
    border: float
    colours: float
    diameter_mm: float


@dataclass(frozen=True)
class Pigment:
    """What a lesion adds to the skin, as maps (size, size)."""

    melanin: Floats
    blood: Floats
    deep: Floats | None
    inside: Floats  # 0 outside the lesion .. 1 inside


def draw_traits(rng: np.random.Generator, melanoma: bool) -> Traits:
    """Return the traits of a mole or a melanoma, with the overlap that makes diagnosis hard."""
    atypia = rng.beta(4.2, 2.2) if melanoma else rng.beta(2.0, 4.2)
    drift = rng.normal(0, 0.13, 3)
    asymmetry, border, colours = np.clip(atypia + drift, 0, 1)
    middle = 5.2 + 3.2 * atypia
    return Traits(
        asymmetry=float(asymmetry),
        border=float(border),
        colours=float(colours),
        diameter_mm=float(np.clip(middle * rng.lognormal(0, 0.28), 2.0, 14.0)),
    )


def draw_lesion(
    rng: np.random.Generator, size: int, traits: Traits, *, frame_mm: float, skin_melanin: float
) -> Pigment:
    """Return the pigment maps of one lesion near the middle of a frame.

    Args:
        rng: The source of its shape and pattern.
        size: Pixels per side.
        traits: How atypical it is.
        frame_mm: Width of the frame, in millimetres.
        skin_melanin: Melanin of the skin around it: moles on darker skin hold more pigment.
    """
    edge, angle, radius = _outline(rng, size, traits, frame_mm)
    colours = traits.colours
    melanin = _body(rng, size, traits, radius, frame_mm)
    melanin *= rng.uniform(0.20, 0.45) + 0.9 * skin_melanin
    blotch = ramp(noise(rng, size, 5, octaves=2), 0.35, 1.1) * ramp(radius, -0.2, 0.6)
    melanin += blotch * edge * max(0.0, colours - 0.25) * (0.7 + skin_melanin)
    regressed = ramp(noise(rng, size, 4, octaves=2), 0.5, 1.3) * max(0.0, colours - 0.4)
    melanin *= 1 - 0.95 * np.minimum(1, 1.5 * regressed)
    red = ramp(noise(rng, size, 4, octaves=2), 0.1, 1.2)
    blood = edge * (rng.uniform(0, 0.012) + 0.05 * colours**2 * red)
    deep = None
    if colours > 0.45:
        veil = ramp(noise(rng, size, 3, octaves=3), 0.3, 1.5) * edge * (1 - ramp(radius, 0.6, 0.95))
        deep = veil * np.float32(min(1.0, 2.2 * (colours - 0.45)))
        melanin *= 1 - 0.6 * deep
    satellites = _satellites(rng, size, traits, angle, radius)
    return Pigment(melanin * edge + satellites, blood, deep, edge)


def _outline(
    rng: np.random.Generator, size: int, traits: Traits, frame_mm: float
) -> tuple[Floats, Floats, Floats]:
    """Return the lesion's soft mask, and angle and radius (1 at its edge) of each pixel."""
    x, y = grid(size)
    centre = rng.normal(0, 0.07, 2)
    distance, angle = cv2.cartToPolar(x - np.float32(centre[0]), y - np.float32(centre[1]))
    turns = np.linspace(0, 2 * np.pi, 256, endpoint=False)

    def wave(order: int, amplitude: float) -> np.ndarray:
        return amplitude * np.cos(order * turns + rng.uniform(0, math.tau))

    odd, ragged = traits.asymmetry, traits.border
    reach = 1 + wave(2, rng.uniform(0.03, 0.17)) + wave(1, 0.30 * odd) + wave(3, 0.22 * odd**1.5)
    reach += sum(
        wave(order, ragged * rng.uniform(0, 0.32) / order**0.8) for order in (4, 5, 7, 9, 12, 16)
    )
    # Abrupt ends in some directions, a fading edge in others: an irregular border is uneven.
    fade = np.interp(np.cos(turns + rng.uniform(0, math.tau)), [-1, 1], [1 - 0.85 * ragged, 1.0])
    index = (angle * np.float32(256 / (math.tau))).astype(np.int32) & 255
    length = (traits.diameter_mm / frame_mm * reach / np.sqrt(np.mean(reach**2))).astype(np.float32)
    radius = distance / length[index]
    radius += noise(rng, size, 12, octaves=2) * (0.03 + 0.07 * ragged)
    softness = (rng.uniform(0.22, 0.60) * fade).astype(np.float32)[index]
    edge = np.clip((1 - radius) / softness + 0.5, 0, 1)
    return edge * edge * (3 - 2 * edge), angle, radius


def _body(
    rng: np.random.Generator, size: int, traits: Traits, radius: Floats, frame_mm: float
) -> Floats:
    """Return the relative pigment of the body: a net, globules or an even brown, about 1."""
    pattern = rng.choice(["network", "globules", "even"], p=[0.5, 0.2, 0.3])
    centre = rng.uniform(-0.15, 0.45)  # darker or lighter in the middle
    body = 1 + centre * (1 - np.minimum(radius, 1.2) * 1.6)
    body += noise(rng, size, 6, octaves=3) * (0.10 + 0.22 * traits.colours)
    if pattern != "even":
        per_mm = rng.uniform(1.8, 2.8) if pattern == "network" else rng.uniform(1.2, 2.0)
        mesh = cells(rng, size, frame_mm * per_mm, warp=0.25 + 0.5 * traits.border)
        strength = ramp(noise(rng, size, 5, octaves=2), -1.5, 1.0)  # patchy, as in life
        if pattern == "network":
            body *= 1 + strength * (0.9 * ramp(mesh, 0.6, 1.9) - 0.35)
        else:
            body *= 1 + strength * (0.9 * (1 - ramp(mesh, 0.25, 1.0)) - 0.2)
    return np.maximum(body, 0.08)


def _satellites(
    rng: np.random.Generator, size: int, traits: Traits, angle: Floats, radius: Floats
) -> Floats:
    """Return dots of pigment beyond one side of an irregular border."""
    if traits.border <= 0.45:
        return np.zeros_like(radius)
    side = ramp(np.cos(angle - rng.uniform(0, math.tau)), 0.2, 0.9)
    rim = np.exp(-(((radius - 1.05) / 0.22) ** 2))
    dots = 1 - ramp(cells(rng, size, 34, warp=0.4), 0.25, 0.6)
    return dots * side * rim * (0.55 * (traits.border - 0.45))
