"""No estimate moves unnoticed: drawn photographs of every kind against what they gave before.

Where a difference is meant, `python -m tests.tone.test_unmoved` writes the estimates anew, and the
changelog says what moved.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.tone.pictures import skin_picture

from equiderm.tone import SCHEMES, color, estimate, robust, skin
from equiderm.tone.estimate import FLAGS, _flags, _interquartile_range
from equiderm.tone.estimators import METHODS
from equiderm.tone.view import Measurement, View

GOLDEN = Path(__file__).parents[1] / "golden" / "tones.json"
NUMBERS = ("L", "a", "b", "hue", "ita", "spread", "confidence", "hair_fraction")


def square(lab, **kind):
    return np.array(skin_picture(lab, width=256, height=256, **kind))


def drawings():
    """Photographs with what estimators must tell from skin, each near a threshold or two."""
    ruled = square((66, 13, 17), hairs=18, seed=1)
    ruled[:34] = (205, 198, 190)
    ruled[:20, ::9] = 20
    y, x = np.mgrid[:256, :256]
    glowing = square((44, 11, 16), hairs=5, hair_width=3, seed=2).astype(float)
    glow = np.exp(-((np.hypot(y - 40, x - 60) / 40) ** 2))[..., None]
    glowing = np.round(glowing + (252.0 - glowing) * glow).astype(np.uint8)
    masked = square((55, 15, 19), seed=3, shade=0.2)
    masked[np.hypot(y - 128, x - 128) > 112] = 6
    halves = square((64, 18, 9), lesion=False, seed=4)
    halves[:, :118] = square((57, 10, 24), lesion=False, seed=5)[:, :118]
    large = square((70, 12, 15), lesion=False, seed=6)
    dark = tuple(int(value) for value in large[0, 0] * 0.5)
    cv2.ellipse(large, (128, 128), (112, 98), 20, 0, 360, dark, -1)
    dim = square((24, 8, 9), seed=7, noise=2)
    return {
        "ruler and hairs": ruled,
        "glow": glowing,
        "round mask": masked,
        "two tones": halves,
        "large lesion": large,
        "dim": dim,
        "wide": np.array(skin_picture((61, 9, 5), width=520, height=300, hairs=25, seed=8)),
    }


RAISED = [flag for flag in FLAGS if flag != "model-unsure"]  # by methods


def numbers_of(found):
    values = [getattr(found, name) for name in NUMBERS]
    values = [-999.0 if value is None or value != value else value for value in values]
    bands = [list(SCHEMES["paper"].bands).index(found.ita_band) if found.ita_band else -1]
    return [*values, *bands, *(float(flag in found.flags) for flag in RAISED), *found.patch_ita]


def found():
    return {
        f"{name}, {method}": [
            round(float(one), 4) for one in numbers_of(estimate(picture, method=method))
        ]
        for name, picture in drawings().items()
        for method in METHODS
    }


# Levels at which a limit of `skin` or `robust` lies, and their neighbours.
LEVELS = [0, 3, 4, 10, 20, 44, 45, 46, 90, 109, 110, 111, 128, 132, 133, 189, 190, 205, 206]
LEVELS += [240, 244, 245, 246, 249, 250, 251, 252, 255]


def patched(k):
    """A picture of blocks whose levels lie about the limits; some with a frame or a rim."""
    draw = np.random.default_rng(k)
    size = (8, 16, 32, 64)[k % 4]
    levels = draw.choice(LEVELS[k % 7 * 3 :][:8], (256 // size, 256 // size, 3))
    picture = levels.repeat(size, 0).repeat(size, 1).astype(np.uint8)
    if k % 3 == 0:
        picture[..., 1], picture[..., 2] = picture[..., 0], picture[..., 0]
    if k % 5 == 0:
        wide = (1, 2, 12, 40)[k % 4]
        picture[:wide] = picture[:, :wide] = LEVELS[k * 7 % len(LEVELS)]
    if k % 10 == 0:
        picture[-9:] = picture[:, -9:] = LEVELS[k * 7 % len(LEVELS)]
    return picture


def moments(mask):
    """How much of a mask there is, and where."""
    y, x = np.nonzero(mask)
    return [len(y), int(y.sum()), int(x.sum())]


def masks(k):
    picture = patched(k)
    surround = skin.dark_surround(picture)
    cut = skin.cut_out(picture)
    every = (skin.hair_mask, skin.glare_mask, skin.burnt, skin.looks_like_skin)
    parts = [moments(of(picture)) for of in every]
    parts += [moments(surround), moments(skin.lesion_mask(picture, surround))]
    parts.append([-1] if cut is None else moments(cut))
    view = View(picture, picture[..., 0] > 200 if k % 4 == 1 else None)
    found = robust.robust(view)
    used = [-1] if found is None or found.used is None else moments(found.used)
    raised = skin.is_dim(picture), robust._is_clipped(view)
    return [*(k for one in parts for k in one), *used, *(99 * int(one) for one in raised)]


def limits():
    """What the functions of colour and cells give about every number that they compare with."""
    light, red, yellow = (
        axis.ravel()
        for axis in np.meshgrid([11.9, 12, 20, 50, 80.5, 96], *2 * [np.arange(-9, 22.0)])
    )
    lab = np.stack([light, red, yellow], axis=1).astype(np.float32)
    shares = np.tile(np.float32([0.14, 0.15, 0.9]), len(lab) // 3 + 1)[: len(lab)]
    inside = np.zeros((32, 32), bool)
    inside[3:20, 8:30] = True
    cells = lab[:1024].copy()
    mode, rival = robust._main_mode(cells, 1 + np.arange(1024, dtype=np.float32) % 3)
    edges = []
    for k in range(60):  # one sample lighter than the rest, by a little more each time
        picture = np.full((256, 256, 3), (120, 84, 62), np.uint8)
        picture[228:252, 110:140] = (120 + 2 * k, 84 + 2 * k, 62 + 3 * k)
        view = View(picture)
        edges.append(
            [robust._is_lighter_near_the_edge(view, angle) for angle in (0, 27.5, 41, 55.5)]
        )
    ramp = np.arange(256, dtype=np.uint8)
    gray = np.stack([ramp, ramp, ramp], axis=1)
    flags = []
    for one in lab[::11]:
        found = Measurement(one.astype(float), 30.0, np.array([30.0]), gray[230:254])
        flags.append([FLAGS_KNOWN.index(name) for name in _flags(found, one[1] + 10, one[2] / 60)])
    colours = np.stack(np.meshgrid(*3 * [np.arange(0, 256, 6, np.uint8)], indexing="ij"), axis=-1)
    return {
        "skin by red": skin.looks_like_skin(colours.reshape(43, -1, 3)).sum(axis=1).tolist(),
        "may be skin": moments(robust._may_be_skin(lab, shares).reshape(31, -1)),
        "away from the dark": moments(robust._away_from_the_dark(cells).reshape(32, 32)),
        "towards the border": robust._towards_border(inside.ravel())[::37].tolist(),
        "mode": [*mode.tolist(), *([] if rival is None else rival.tolist())],
        "angle": robust.light_tolerant_angle(lab)[::97].tolist(),
        "edge": np.array(edges).sum(axis=0).tolist(),
        "flags": [*map(len, flags), *(k for one in flags for k in one)],
        "Lab": color.srgb_to_lab(gray / 255)[::5].ravel().tolist(),
        "sRGB": color.lab_to_srgb(lab[::173].astype(float)).ravel().tolist(),
        "apart": color.ciede2000(lab[::97].astype(float), lab[5::97][: len(lab[::97])]).tolist(),
        "spread": [_interquartile_range(np.sin(np.arange(float(n)))) for n in (1, 2, 5, 8, 9, 30)],
        "flat": [
            [-1, -1] if (found := skin._flat_range(low, high)) is None else list(found)
            for low in LEVELS for high in LEVELS if high >= low
        ],
    }  # fmt: skip


FLAGS_KNOWN = list(FLAGS)
PATCHED = 60


@pytest.fixture(scope="module")
def before():
    return json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("part", range(4))
def test_no_mask_of_a_picture_about_the_limits_has_moved(part, before):
    for k in range(part, PATCHED, 4):  # a block is of 64 pixels or more
        np.testing.assert_allclose(masks(k), before["masks"][k], rtol=0.003, atol=40, err_msg=k)


def test_no_result_about_a_limit_has_moved(before):
    now = limits()
    assert now.keys() == before["limits"].keys()
    for name, values in before["limits"].items():
        np.testing.assert_allclose(
            np.ravel(now[name]), np.ravel(values), rtol=1e-5, atol=1e-6, err_msg=name
        )


@pytest.mark.parametrize("method", METHODS)
def test_no_estimate_has_moved(method, before):
    for name, picture in drawings().items():
        now = numbers_of(estimate(picture, method=method))
        np.testing.assert_allclose(now, before[f"{name}, {method}"], atol=0.02, err_msg=name)


if __name__ == "__main__":
    every = found() | {"limits": limits(), "masks": [masks(k) for k in range(PATCHED)]}
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in every.items())
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
