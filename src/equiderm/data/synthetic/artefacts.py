"""What gets between camera and skin: hair, rulers, ink, bubbles, glare and dark corners."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from equiderm.data.synthetic.canvas import Floats, grid, noise, ramp

_SHIFT = 4  # OpenCV draws at 1/16 pixel


def _stroke(mask: NDArray[np.uint8], points: NDArray[np.floating], width: float, size: int) -> None:
    """Draw a line through points of the -1..1 frame, ``width`` in pixels, onto a coverage mask."""
    pixels = np.round(((points + 1) / 2 * size - 0.5) * 2**_SHIFT).astype(np.int32)
    strength = int(255 * min(1.0, width))
    cv2.polylines(mask, [pixels], False, strength, max(1, round(width)), cv2.LINE_AA, _SHIFT)


def _blend(picture: Floats, mask: NDArray[np.uint8], tint: NDArray[np.floating]) -> Floats:
    share = mask.astype(np.float32)[..., None] * np.float32(1 / 255)
    return picture + (tint.astype(np.float32) - picture) * share


def hair(rng: np.random.Generator, picture: Floats, density: float, *, fair: bool) -> Floats:
    """Return the picture under few (``density`` 0) to many (1) hairs, all dark unless fair."""
    size = picture.shape[0]
    mask = np.zeros((size, size), np.uint8)
    along, steps = rng.uniform(0, np.pi), np.linspace(0, 1, 12)[:, None]
    for _ in range(int(2 + 26 * density**1.8)):
        angle = along + rng.normal(0, 0.45)
        length = rng.uniform(0.4, 1.6)
        direction = np.array([np.cos(angle), np.sin(angle)])
        start = rng.uniform(-1.1, 1.1, 2) - direction * length / 2
        bend = rng.normal(0, 0.22) * length * np.array([-direction[1], direction[0]])
        end = start + direction * length
        curve = (1 - steps) ** 2 * start + 2 * steps * (1 - steps) * (start + end + 2 * bend) / 2
        _stroke(mask, curve + steps**2 * end, rng.uniform(0.35, 0.95) * size / 128, size)
    dark = np.array([0.030, 0.018, 0.012])
    shade = rng.choice([0.5, 1.0, 2.5, 6.0], p=[0.3, 0.4, 0.2, 0.1])
    return _blend(picture, mask, dark * (shade if fair else 0.5))


def ruler(rng: np.random.Generator, picture: Floats, frame_mm: float) -> Floats:
    """Return the picture with a scale along one side, its ticks a millimetre apart."""
    size = picture.shape[0]
    mask = np.zeros((size, size), np.uint8)
    angle = rng.choice([0, np.pi / 2, np.pi, -np.pi / 2]) + rng.normal(0, 0.12)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    step, height, start = 2 / frame_mm, rng.uniform(0.70, 0.85), rng.uniform(-0.75, -0.35)
    count = min(int(0.9 * frame_mm / 2), 15)
    width = size / 150
    ends = np.array([[start, height], [start + count * step, height]])
    _stroke(mask, ends @ turn, width, size)
    for tick in range(count + 1):
        tall = 0.075 if tick % 5 == 0 else 0.04
        at = start + tick * step
        _stroke(mask, np.array([[at, height], [at, height - tall]]) @ turn, width, size)
    return _blend(picture, mask, np.full(3, rng.choice([0.01, 0.03, 0.75], p=[0.5, 0.3, 0.2])))


def ink(rng: np.random.Generator, picture: Floats) -> Floats:
    """Return the picture with strokes of a surgical skin marker near a border."""
    size = picture.shape[0]
    x, y = grid(size)
    angle = rng.uniform(0, math.tau)
    across = x * math.cos(angle) + y * math.sin(angle) + noise(rng, size, 4) * 0.06
    rubbed = ramp(noise(rng, size, 24, octaves=2), -0.9, 0.8)
    place = rng.uniform(0.72, 0.95)
    share = rubbed * ramp(-np.abs(across - place), -0.11, -0.05) * rng.uniform(0.5, 0.9)
    return picture * (1 - share[..., None] * (1 - np.array([0.22, 0.12, 0.52], np.float32)))


def bubbles(rng: np.random.Generator, picture: Floats) -> Floats:
    """Return the picture with bubbles in the immersion fluid: thin bright and dark rims."""
    size = picture.shape[0]
    x, y = grid(size)
    place = rng.uniform(-0.9, 0.9, 2)
    light = np.zeros((size, size), np.float32)
    for _ in range(rng.integers(3, 10)):
        centre = (place + rng.normal(0, 0.22, 2)).astype(np.float32)
        radius = rng.uniform(0.025, 0.11)
        dx, dy = x - centre[0], y - centre[1]
        away = cv2.sqrt(dx * dx + dy * dy) / radius
        rim = np.exp(-(((away - 1) / 0.16) ** 2))
        spot = np.exp(-(((dx / radius + 0.35) ** 2 + (dy / radius + 0.35) ** 2) / 0.03))
        light += rim * (0.15 - 0.25 * dy / radius) + spot * 0.5
    return picture + light[..., None] * (picture.mean() + 0.12)


def glare(rng: np.random.Generator, picture: Floats, relief: Floats) -> Floats:
    """Return the picture with the lamp mirrored in wet or oily skin, broken up by its relief."""
    size = picture.shape[0]
    x, y = grid(size)
    light = np.zeros((size, size), np.float32)
    for _ in range(rng.integers(1, 5)):
        centre = rng.uniform(-0.9, 0.9, 2).astype(np.float32)
        width = rng.uniform(0.05, 0.35, 2).astype(np.float32)
        light += np.exp(-(((x - centre[0]) / width[0]) ** 2) - ((y - centre[1]) / width[1]) ** 2)
    broken = light * (0.4 + 0.6 * relief + 0.25 * noise(rng, size, 20, octaves=2))
    shine = 0.06 * light + rng.uniform(0.1, 0.5) * ramp(broken, 0.35, 1.5)
    return picture + shine[..., None]


def vignette(rng: np.random.Generator, picture: Floats) -> Floats:
    """Return the picture through a round opening: dark corners with a soft or a hard rim."""
    x, y = grid(picture.shape[0])
    centre = rng.normal(0, 0.05, 2).astype(np.float32)
    away = cv2.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2)
    radius = rng.uniform(1.0, 1.2)
    soft = rng.choice([0.03, 0.25, 0.6])
    open_share = 1 - ramp(away, radius - soft / 2, radius + soft / 2)
    return picture * (0.01 + 0.99 * open_share)[..., None]
