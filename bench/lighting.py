"""Consistent lighting, as augmentation and as a loss, against ERM on HAM10000: a small trial.

    python bench/lighting.py HAM [--seeds 3]

HAM is a folder of HAM10000's images with ``manifest.csv`` (`image`, `label`, `lesion_id`,
`ita_fda`). 1,450 images of 1,100 lesions train a small network from scratch, 1,000 other lesions
test it, one image each; groups are thirds of the healthy skin's ITA by segmentation, published by
others. Prints AUROCs and differences from ERM, with intervals over seeds and lesions.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from equiderm.compare import compare_scores
from equiderm.format import with_interval
from equiderm.training import ArrayImages, experiment_from, fit, predict

SIDE = 64
ARMS = {
    "erm": {"name": "erm"},
    "augmentation": {"name": "color_consistency", "consistency_weight": 0.0},
    "consistency": {"name": "color_consistency", "consistency_weight": 0.5},
}


def read_rows(folder: Path) -> pd.DataFrame:
    """Return the rows that train and those that test, with the third of their tone."""
    table = pd.read_csv(folder / "manifest.csv")
    lesions = np.array(sorted(table["lesion_id"].unique()))
    np.random.default_rng(0).shuffle(lesions)
    train, test = set(lesions[:2300]), set(lesions[2300:3800])
    table = table[table["lesion_id"].isin(train | test) & table["ita_fda"].notna()]
    trains = table["lesion_id"].isin(train)
    cuts = table.loc[trains, "ita_fda"].quantile([1 / 3, 2 / 3]).to_numpy()
    thirds = np.array(["3 dark", "2 middle", "1 light"])[np.digitize(table["ita_fda"], cuts)]
    frame = pd.DataFrame(
        {
            "image_id": [Path(one).stem for one in table["image"]],
            "source": "ham10000",
            "target": table["label"].isin(["malignant", "premalignant"]).astype(int),
            "lesion_id": table["lesion_id"],
            "patient_id": table["lesion_id"],
            "split": np.where(trains, "train", "test"),
            "tone": thirds,
        }
    )
    part = frame[frame["split"] == "train"]
    fewer = part["lesion_id"].drop_duplicates().sample(1100, random_state=0)
    tested = frame[frame["split"] == "test"].drop_duplicates("lesion_id").head(1000)
    return pd.concat([part[part["lesion_id"].isin(set(fewer))], tested], ignore_index=True)


def read_pixels(folder: Path, rows: pd.DataFrame) -> np.ndarray:
    """Return the images' central squares, uint8 (n, SIDE, SIDE, 3)."""
    pixels = []
    for name in rows["image_id"]:
        with Image.open(folder / "images" / f"{name}.jpg") as image:
            width, height = image.size
            left = (width - height) // 2
            square = image.convert("RGB").crop((left, 0, left + height, height))
        pixels.append(np.asarray(square.resize((SIDE, SIDE))))
    return np.stack(pixels)


def experiment(arm: str, seed: int):
    """Return the experiment of one arm and seed."""
    return experiment_from(
        {
            "seed": seed,
            "method": ARMS[arm],
            "backbone": {"name": "test_byobnet", "weights": "random"},
            "data": {"group": "tone", "size": SIDE},
            "optimizer": {"backbone": 0.01, "target_head": 0.01},
            "training": {"epochs": 8, "batch_size": 32, "tracker": "none"},
            "prediction": {"views": 1},
        }
    )


def main() -> None:
    """Train every arm with every seed, and print what they came to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ham", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    rows = read_rows(options.ham)
    images = ArrayImages(read_pixels(options.ham, rows), rows["image_id"])
    tested = rows[rows["split"] == "test"]
    tables: list[pd.DataFrame] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            for arm in ARMS:
                run = fit(experiment(arm, seed), rows, Path(folder, f"{arm}-{seed}"), images=images)
                scores = predict(run, images, tested)
                tables.append(scores.assign(experiment=arm, seed=seed))
                print(f"{arm}, seed {seed}: trained", flush=True)
    report(pd.concat(tables, ignore_index=True))


def report(scores: pd.DataFrame) -> None:
    """Print AUROC overall, of the worst third and the gap, and each arm less ERM."""
    test = compare_scores(scores, by="tone", references=["erm"]).tests[0]
    for figure in ("overall", "worst", "gap"):
        for arm in ARMS:
            one = test.figure(arm, figure)
            print(f"{figure}, {arm}: {with_interval(one['value'], one['low'], one['high'])}")
            less = test.difference(arm, "erm", figure)
            if less is not None:
                shown = with_interval(less["difference"], less["low"], less["high"], with_sign=True)
                print(f"{figure}, {arm} less erm: {shown}")


if __name__ == "__main__":
    main()
