"""Every download of the paper in its owner's layout, small: drawn lesions, and what must not train.

``releases.py`` writes each release; here those that train get enough images for two classes and
six types, and, as in the real ones, images that come again elsewhere.
"""

import csv
import dataclasses
import hashlib
import shutil
from pathlib import Path

import numpy as np
import releases
from PIL import Image

from equiderm.data.synthetic import synthesize
from equiderm.tone import SCHEMES
from equiderm.training import read_experiment

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SOURCES = ("fitzpatrick17k", "isic2017", "isic2018", "isic2020")
SOURCES += ("atlas", "asan", "mclass-d", "mclass-c")
SKIN = (62, 48, 35, 24, 15, -10)  # degrees, one in each of the six bands
SMALLEST = (40, 30)  # pixels; a smaller file is no photograph
BLUISH = "ISIC_0900003"  # b* below 0: light skin by one arctangent, the darkest by the other
TESTED_PERSON = "IP_0000001"


def write_downloads(root, *, judged=150, isic=80):
    """Write all eight sources; ``judged`` and ``isic`` drawn images besides the few of each."""
    for name in SOURCES:
        releases.write_release(name, root / name)
    for path in root.rglob("*.*"):
        if path.suffix.lower() in (".jpg", ".png"):
            releases.write_image(path, size=SMALLEST)
    _grow_fitzpatrick17k(root / "fitzpatrick17k", judged)
    _grow_isic(root, isic)
    return root


def _draw(n, seed):
    archive = synthesize(n, seed=seed, size=64, tones=SKIN, prevalence=0.45, workers=1)
    rows = archive.table.assign(type=SCHEMES["paper"].assign(archive.table["skin_ita"], None))
    return zip(archive.images, rows.to_dict("records"), strict=True)


def _append(table, rows):
    with table.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _save(pixels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


def _grow_fitzpatrick17k(folder, n):
    rows = []
    for k, (pixels, row) in enumerate(_draw(n, seed=0)):
        md5 = hashlib.md5(f"drawn {k}".encode()).hexdigest()
        kind = "malignant" if row["target"] else "benign"
        url = f"http://atlasdermatologico.com.br/img?imageId={9000 + k}"
        rows.append((md5, row["type"], row["type"], "drawn", "drawn", kind, "", url, f"x{k}.jpg"))
        _save(pixels, folder / "images" / f"{md5}.jpg")
    _append(folder / "fitzpatrick17k.csv", rows)


def _grow_isic(root, n):
    drawn = list(_draw(n, seed=1))
    older, newer = drawn[: n // 2], drawn[n // 2 :]
    folder = root / "isic2017"
    for k, (pixels, _) in enumerate(older):
        _save(pixels, folder / "ISIC-2017_Training_Data" / f"ISIC_01{k:05d}.jpg")
    truth = [(f"ISIC_01{k:05d}", float(row["target"]), 0.0) for k, (_, row) in enumerate(older)]
    _append(folder / "ISIC-2017_Training_Part3_GroundTruth.csv", truth)
    folder = root / "isic2020"
    rows = []
    for k, (pixels, row) in enumerate(newer):
        _save(pixels, folder / "train" / f"ISIC_02{k:05d}.jpg")
        rows.append(_row_2020(f"ISIC_02{k:05d}", f"IP_1{row['patient_id']}", row["target"]))
    _append(folder / "ISIC_2020_Training_GroundTruth_v2.csv", rows)
    _plant(root)


def _row_2020(name, patient, target):
    words = ("malignant", 1) if target else ("benign", 0)
    return (name, patient, f"IL_{name[5:]}", "male", 50, "torso", "unknown", *words)


def _plant(root):
    """Add images that are in two places, as the real releases have them."""
    folder = root / "isic2020"
    planted = {
        "ISIC_0900000": TESTED_PERSON,  # itself in MClass-D
        "ISIC_0900001": TESTED_PERSON,  # the same person
        "ISIC_0900002": "IP_0000002",  # a photograph of the Atlas under an archive id
        "ISIC_0100000": "IP_0000003",  # also in ISIC 2017
        "ISIC_0024300": "IP_0000004",  # also in ISIC 2018
        BLUISH: "IP_0000005",
    }
    for name in planted:
        releases.write_image(folder / "train" / f"{name}.jpg", size=SMALLEST)
    _append(
        folder / "ISIC_2020_Training_GroundTruth_v2.csv",
        [_row_2020(name, patient, 0) for name, patient in planted.items()],
    )
    light = np.random.default_rng(0).normal((180, 190, 230), 2, (64, 64, 3))
    _save(light.astype(np.uint8), folder / "train" / f"{BLUISH}.jpg")
    atlas = root / "atlas" / "release_v0" / "images" / "NEL" / "NEL00.jpg"
    shutil.copy(atlas, folder / "train" / "ISIC_0900002.jpg")
    tested = root / "mclass-d" / "BenchmarkDermoscopic" / "malign" / "ISIC_0900000.jpg"
    releases.write_image(tested, size=SMALLEST)


def write_experiments(root):
    """Write the project's own experiments with a backbone that trains in a second."""
    for path in EXPERIMENTS.rglob("*.toml"):
        one = read_experiment(path)
        small = dataclasses.replace(
            one,
            backbone=dataclasses.replace(one.backbone, name="test_resnet", weights="random"),
            data=dataclasses.replace(one.data, size=32),
            training=dataclasses.replace(one.training, epochs=1, batch_size=16, tracker="none"),
            prediction=dataclasses.replace(one.prediction, views=1),
        )
        place = root / path.relative_to(EXPERIMENTS)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(small.to_toml(), encoding="utf-8")
    return root
