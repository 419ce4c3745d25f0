"""Tiny lesions of our own: the target is a dark spot, the group the brightness around it."""

import numpy as np
import pandas as pd
import pytest

from equiderm.training import ArrayImages, experiment_from


def make_lesions(n=96, *, size=32, seed=0, groups=(1, 2, 3), confounding=0.0):
    """Return images (n, size, size, 3) and their manifest.

    ``confounding`` is the share of images whose target follows from their group.
    """
    generator = np.random.default_rng(seed)
    group = generator.integers(len(groups), size=n)
    target = np.where(
        generator.random(n) < confounding, group > 0, generator.random(n) < 0.5
    ).astype(int)
    skin = 220 - 120 * group / max(len(groups) - 1, 1)
    images = skin[:, None, None, None] + generator.normal(0, 8, (n, size, size, 3))
    images[:, size // 4 : size // 2, size // 4 : size // 2] -= 60 * target[:, None, None, None]
    frame = pd.DataFrame(
        {
            "image_id": [f"image-{i:04d}" for i in range(n)],
            "target": target,
            "patient_id": [f"patient-{i // 2:04d}" for i in range(n)],
            "split": np.where(np.arange(n) % 4 == 3, "validation", "train"),
            "fitzpatrick_type": np.array(groups)[group],
        }
    )
    return images.clip(0, 255).astype(np.uint8), frame


@pytest.fixture
def lesions():
    """A store of 96 images and its manifest."""
    images, frame = make_lesions()
    return ArrayImages(images, frame["image_id"].tolist()), frame


@pytest.fixture
def toned(lesions):
    """The lesions with a measured tone, which follows the skin, an instrument and a diagnosis."""
    images, frame = lesions
    generator = np.random.default_rng(0)
    ita = 60 - 30 * frame["fitzpatrick_type"] + generator.normal(0, 3, len(frame))
    instrument = np.where(generator.random(len(frame)) < 0.5, "lens", "camera")
    benign = np.where(generator.random(len(frame)) < 0.5, "nevus", "keratosis")
    return images, frame.assign(
        ita=ita.mask(frame.index == 5),
        instrument=instrument,
        dx=np.where(frame["target"] == 1, "melanoma", benign),
    )


@pytest.fixture
def make_experiment():
    """Build a tiny experiment: nested keyword tables over the defaults below."""

    def make(method="erm", **tables):
        table = {
            "method": {"name": method, **tables.pop("method_options", {})},
            "backbone": {"name": "test_resnet", "weights": "random"},
            "data": {"size": 32},
            "optimizer": {"backbone": 0.02, "target_head": 0.02, "group_head": 0.02},
            "training": {"epochs": 2, "batch_size": 16, "tracker": "none"},
            "prediction": {"views": 1},
        }
        for name, values in tables.items():
            table[name] = {**table.get(name, {}), **values} if isinstance(values, dict) else values
        return experiment_from(table)

    return make
