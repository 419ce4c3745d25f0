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

from equiderm.tone import SCHEMES, estimate
from equiderm.tone.estimate import FLAGS
from equiderm.tone.estimators import METHODS

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


@pytest.fixture(scope="module")
def before():
    return json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("method", METHODS)
def test_no_estimate_has_moved(method, before):
    for name, picture in drawings().items():
        now = numbers_of(estimate(picture, method=method))
        np.testing.assert_allclose(now, before[f"{name}, {method}"], atol=0.02, err_msg=name)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(found(), indent=0) + "\n")
