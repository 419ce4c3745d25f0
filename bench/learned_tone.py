"""What a trained estimator of skin tone knows, on its own kind of picture and on others.

    python bench/learned_tone.py DATA [--only drawn|types|archive|renders] [--train N] [--test N]

DATA holds folders `ssynth_melanin` and `ham10000_200x150`, each with a `manifest.csv` and its
images. Every network is an experiment of experiments/tone:

  drawn    trained on drawn skin under random lamps; judged on other drawn skin, on the renders'
           pigment, and on photographs beside `ita_fda`, a rank by lightness that others published;
  types    the same drawings with the paper's bands of their ITA, as ordered classes;
  archive  trained on `ita_fda` of half of 600 lesions, judged on the other half;
  renders  a ridge on statistics of EfficientNet-Lite0's blocks, fitted on half of the renders and
           judged on the other, over 30 random halvings.

Intervals are 95 % bootstrap intervals over images, those of a difference paired. One seed.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.metrics import cohen_kappa_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from equiderm.data.synthetic import LOOKS, synthesize
from equiderm.models import create_backbone
from equiderm.photo.decode import load_square
from equiderm.tone import SCHEMES, estimate
from equiderm.tone.learned import middle_type
from equiderm.training import ArrayImages, fit, predict, read_experiment
from robust_tone import SIDE, Pixels, angles, interval, rank_correlation
from uncalibrated import LAMPS, under_lamp

Floats = NDArray[np.float64]
EXPERIMENTS = Path(__file__).parents[1] / "experiments" / "tone"
METHODS = ("robust", "patch-median")
WIDTHS = (32, 16, 24, 24, 40, 40, 40)  # of Lite0's stem and first three stages
HALVINGS = 30
SCORES = [f"score_{band}" for band in range(1, 7)]
ARCHIVES = {"ssynth_melanin": "melanosome_fraction", "ham10000_200x150": "ita_fda"}


def random_light(picture: Pixels, random: np.random.Generator) -> Pixels:
    """Return a picture under a lamp between two of `LAMPS`, at -1 to 1/2 stop."""
    lamps = np.array(sorted(LAMPS.values(), reverse=True))
    place, share = random.integers(len(lamps) - 1), random.random()
    x, y = share * lamps[place] + (1 - share) * lamps[place + 1] + random.normal(0, 0.006, 2)
    return under_lamp(picture, (float(x), float(y)), random.uniform(-1, 0.5))


def drawn(n: int, seed: int, size: int) -> tuple[list[Pixels], Floats]:
    """Return n pictures of drawn skin of both looks under random light, and their true ITA."""
    random, pictures, truth = np.random.default_rng(seed), [], []
    for place, look in enumerate(LOOKS):
        archive = synthesize(n // 2, seed=seed + place, size=size, look=look, workers=1)
        pictures += [random_light(picture, random) for picture in archive.images]
        truth.append(archive.table["skin_ita"].to_numpy(np.float64))
    return pictures, np.concatenate(truth)


def read(folder: Path, column: str, most: int) -> tuple[list[Pixels], Floats]:
    """Return photographs, one of each lesion where that is known, and what is known of them."""
    table = pd.read_csv(folder / "manifest.csv")
    table = table[table[column].notna()]
    if "lesion_id" in table:
        table = table.drop_duplicates("lesion_id")
    table = table.sample(min(most, len(table)), random_state=0)
    pictures = [load_square(folder / path, SIDE) for path in table["image"]]
    return pictures, table[column].to_numpy(np.float64)


def store(pictures: list[Pixels], size: int) -> tuple[ArrayImages, pd.DataFrame]:
    """Return pictures as a network reads them, and a table of their ids."""
    ids = [str(place) for place in range(len(pictures))]
    pixels = np.stack([load_square(picture, size) for picture in pictures])
    return ArrayImages(pixels, ids), pd.DataFrame({"image_id": ids})


class Network:
    """An experiment of experiments/tone, trained."""

    def __init__(self, name: str, pictures: list[Pixels], values: object, folder: Path) -> None:
        experiment = read_experiment(EXPERIMENTS / f"{name}.toml")
        column, group = "value", "anything"  # ERM uses no group
        data = dataclasses.replace(experiment.data, target=column, group=group)
        experiment = dataclasses.replace(experiment, data=data)
        self.size = experiment.data.size
        images, frame = store(pictures, self.size)
        frame = frame.assign(value=values, anything=frame.index % 2, split="train")
        self.run = fit(experiment, frame, folder, images=images)

    def predict(self, pictures: list[Pixels]) -> pd.DataFrame:
        """Return what it predicts of each picture."""
        images, frame = store(pictures, self.size)
        return predict(self.run, images, frame)


def measured(pictures: list[Pixels], method: str) -> Floats:
    """Return ITA by a method, NaN where nothing is measured."""
    return angles([estimate(picture, method=method) for picture in pictures])


def ranks(name: str, known: Floats, by: dict[str, Floats], sign: int = 1) -> None:
    """Print each estimate's rank correlation with what is known, and the first's less each other's.

    Pictures that a method does not measure are left out for it, and from its difference.
    """
    print(f"\n{name}: Spearman, n = {len(known)}")
    first = next(iter(by))
    for word, values in by.items():
        there = np.isfinite(values)
        pair = (sign * values[there], known[there])
        print(f"  {word}: {interval(rank_correlation, *pair)} (not measured {(~there).sum()})")
        if word != first:
            mine = sign * by[first][there]
            less = interval(
                lambda a, b, c: rank_correlation(a, c) - rank_correlation(b, c), mine, *pair
            )
            print(f"    {first} less it: {less}", flush=True)


def errors(truth: Floats, by: dict[str, Floats], constant: float) -> None:
    """Print each estimate's mean absolute error beside that of one constant answer."""
    for word, values in (by | {"constant": np.full(len(truth), constant)}).items():
        away = np.abs(values - truth)[np.isfinite(values)]
        print(f"  mean |error|, {word}: {interval(lambda e: float(e.mean()), away)} degrees")


def types(truth: Floats, scored: pd.DataFrame, ita: Floats) -> None:
    """Print how far bands agree with the true ones: the network's, robust's, and the best constant.

    And the network's where it is sure, by `equiderm.tone.learned.middle_type`.
    """
    paper = SCHEMES["paper"]
    no_lab = np.empty((len(truth), 0))
    true = paper.assign(truth, no_lab).astype(float)
    answer = scored["predicted"].to_numpy(np.float64)
    shares = scored[SCORES].to_numpy(np.float64)
    by = {
        "network": answer,
        "network, where it is sure": np.where(is_sure(scored), answer, np.nan),
        "robust": paper.assign(ita, no_lab).astype(float),
    }
    for away in (0, 1):
        best = max(range(1, 7), key=lambda k: (abs(true - k) <= away).mean())
        share = interval(_share, abs(true - best) <= away)
        print(f"  best constant, within {away}: always {best}, {share}")
    for word, bands in by.items():
        there = np.isfinite(bands)
        pair = bands[there], true[there]
        exact, near = (interval(_share, abs(bands - true)[there] <= away) for away in (0, 1))
        kappa = interval(_kappa, *pair)
        print(f"  {word}: n {there.sum()}, exact {exact}, within one {near}, kappa {kappa}")
    even = np.bincount(true.astype(int), minlength=7)[1:] / len(true)
    score = {"network": shares, "judged distribution": np.tile(even, (len(true), 1))}
    above = true[:, None] > np.arange(1, 6)
    for word, one in score.items():
        apart = ((1 - one.cumsum(1)[:, :5] - above) ** 2).mean(1)
        print(f"  ranked probability score, {word}: {interval(lambda e: float(e.mean()), apart)}")


def is_sure(scored: pd.DataFrame) -> NDArray[np.bool_]:
    """Return whether `equiderm label --model` would give each picture a band, shape (n,)."""
    return np.array([middle_type(row).is_sure for row in scored[SCORES].to_numpy(np.float64)])


def _share(rows: NDArray[np.bool_]) -> float:
    return float(rows.mean())


def _kappa(first: Floats, second: Floats) -> float:
    return float(cohen_kappa_score(first, second, weights="quadratic"))


def on_drawings(data: Path, n: int, m: int, folder: Path) -> None:
    """Train on drawn skin under random lamps; judge there, on renders and on photographs."""
    pictures, truth = drawn(n, 1, 128)
    others, known = drawn(m, 11, SIDE)
    network = Network("ita", pictures, truth, folder / "ita")
    by = {"network": network.predict(others)["predicted"].to_numpy(np.float64)}
    by |= {method: measured(others, method) for method in METHODS}
    ranks("drawn skin under other random lamps", known, by)
    errors(known, by, float(np.median(truth)))
    for name, column in ARCHIVES.items():
        photos, values = read(data / name, column, 600)
        found = {"network": network.predict(photos)["predicted"].to_numpy(np.float64)}
        found |= {method: measured(photos, method) for method in METHODS}
        sign = -1 if column == "melanosome_fraction" else 1  # more pigment, a lower angle
        ranks(f"{name}, {column}, trained on drawings alone", values, found, sign)


def with_types(data: Path, n: int, m: int, folder: Path) -> None:
    """Train on the paper's bands of the drawings; judge there, and how sure it is elsewhere."""
    pictures, truth = drawn(n, 1, 128)
    others, known = drawn(m, 11, SIDE)
    bands = SCHEMES["paper"].assign(truth, np.empty((n, 0))).astype(int)
    network = Network("types", pictures, bands, folder / "types")
    print("\ndrawn skin under other random lamps: the paper's bands of the true ITA")
    types(known, network.predict(others), measured(others, "robust"))
    for name, column in ARCHIVES.items():
        photos, _ = read(data / name, column, 600)
        scored = network.predict(photos)
        sure = interval(_share, is_sure(scored))
        middle = np.bincount(scored["predicted"].astype(int), minlength=7)[1:]
        print(f"  {name}: sure of {sure}, n {len(photos)}; answers 1 to 6: {middle.tolist()}")


def on_an_archive(data: Path, folder: Path) -> None:
    """Train on half of an archive's lesions, judge on the other half."""
    photos, values = read(data / "ham10000_200x150", "ita_fda", 600)
    network = Network("ita", photos[:300], values[:300], folder / "archive")
    rest = photos[300:]
    by = {"network": network.predict(rest)["predicted"].to_numpy(np.float64)}
    by |= {method: measured(rest, method) for method in METHODS}
    ranks("ham10000_200x150, ita_fda, trained on the other half", values[300:], by)
    errors(values[300:], {"network": by["network"]}, float(np.median(values[:300])))


def block_statistics(pictures: list[Pixels]) -> Floats:
    """Return mean and deviation of each channel of Lite0's stem and first stages, (n, 432)."""
    backbone, found = create_backbone("tf_efficientnet_lite0"), []
    network = backbone.module.eval()
    stages: list[torch.nn.Module] = [network.bn1]  # pyright: ignore[reportAssignmentType]
    stages += [block for stage in network.blocks for block in stage]  # pyright: ignore
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (backbone.mean, backbone.std))

    def keep(_: object, __: object, out: torch.Tensor) -> None:
        found[-1].append(torch.cat([out.mean((2, 3)), out.std((2, 3))], 1))

    for stage in stages[: len(WIDTHS)]:
        stage.register_forward_hook(keep)
    with torch.inference_mode():
        for start in range(0, len(pictures), 50):
            part = np.stack([load_square(one, 128) for one in pictures[start : start + 50]])
            found.append([])
            network((torch.from_numpy(part).permute(0, 3, 1, 2) / 255 - mean) / std)
    return np.concatenate([torch.cat(one, 1).numpy() for one in found]).astype(np.float64)


def on_renders(data: Path) -> None:
    """Fit the pigment on half of the renders, judge on the other, over random halvings."""
    pictures, pigment = read(data / "ssynth_melanin", "melanosome_fraction", 50)
    random = np.random.default_rng(0)
    plain = block_statistics(pictures)
    features = {
        "as they are": plain[:, None],
        "under 8 lamps": np.stack(
            [block_statistics([random_light(one, random) for one in pictures]) for _ in range(8)], 1
        ),
    }
    others = {method: -measured(pictures, method) for method in METHODS}
    halves = [random.permutation(len(pictures)) for _ in range(HALVINGS)]
    print(f"\nssynth_melanin, half of {len(pictures)} renders, {HALVINGS} halvings: Spearman")
    robust = [_rank(others["robust"][one[25:]], pigment[one[25:]]) for one in halves]
    for word, values in features.items():
        found: list[float] = []
        for one in halves:
            model = make_pipeline(StandardScaler(), Ridge(1000.0))
            seen = values[one[:25]]
            model.fit(np.concatenate(seen), np.repeat(pigment[one[:25]], seen.shape[1]))
            found.append(_rank(model.predict(plain[one[25:]]), pigment[one[25:]]))
        _print_halvings(f"ridge, fitted {word}", found)
        won = np.mean(np.array(found) > np.array(robust))
        print(f"    higher than robust in {won:.2f} of the halvings")
    for method, values in others.items():
        _print_halvings(method, [_rank(values[one[25:]], pigment[one[25:]]) for one in halves])


def _rank(found: Floats, known: Floats) -> float:
    there = np.isfinite(found)
    return rank_correlation(found[there], known[there])


def _print_halvings(word: str, found: list[float]) -> None:
    low, high = np.quantile(found, [0.1, 0.9])
    print(f"  {word}: mean {np.mean(found):.2f}, in 80 of 100 {low:.2f} to {high:.2f}", flush=True)


def main() -> None:
    """Print the figures of docs/learned-tone.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=["drawn", "types", "archive", "renders"])
    parser.add_argument("--train", type=int, default=1200, help="drawings to train on")
    parser.add_argument("--test", type=int, default=400, help="drawings to judge on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        if options.only in (None, "drawn"):
            on_drawings(options.data, options.train, options.test, Path(folder))
        if options.only in (None, "types"):
            with_types(options.data, options.train, options.test, Path(folder))
        if options.only in (None, "archive"):
            on_an_archive(options.data, Path(folder))
        if options.only in (None, "renders"):
            on_renders(options.data)


if __name__ == "__main__":
    main()
