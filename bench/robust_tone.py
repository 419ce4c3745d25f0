"""How the tone estimators compare on known pigment, known ITA, planted artefacts and light.

    python bench/robust_tone.py DATA [--images 400] [--seed 0]

DATA holds folders `ssynth_melanin`, `ham10000_200x150` and `isic2017_256`, each with a
`manifest.csv` (columns image, and melanosome_fraction or ita_fda) and its images; folders that are
missing are passed over. Intervals are 95 % bootstrap intervals over images. Times are processor
times, as ratios to `patch-max` within the run.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from equiderm.data.synthetic import LOOKS, synthesize
from equiderm.photo.colour import from_linear, to_linear
from equiderm.photo.decode import Photo, PhotoError, load_photo
from equiderm.tone.estimate import ToneEstimate, estimate, estimate_photo
from equiderm.tone.estimators import get_method
from equiderm.tone.scales import SCHEMES
from equiderm.tone.skin import is_dim

METHODS = ("patch-max", "patch-median", "border-median", "whole", "healthy-skin", "robust")
Pixels = NDArray[np.uint8]
SIDE = 256


def estimates(photos: list[Photo], method: str) -> list[ToneEstimate]:
    """Return the estimates of photographs already decoded."""
    measure, scheme = get_method(method), SCHEMES["paper"]
    return [estimate_photo(photo, method, measure, scheme) for photo in photos]


def angles(found: list[ToneEstimate]) -> NDArray[np.float64]:
    """Return ITA in degrees, NaN where none was measured."""
    return np.array([np.nan if one.ita is None else one.ita for one in found])


def interval(statistic: Callable[..., float], *columns: NDArray[np.float64]) -> str:
    """Return a statistic of paired columns with its 95 % bootstrap interval, as text."""
    random, n = np.random.default_rng(0), len(columns[0])
    if n < 2:
        return "too few"
    draws = [
        statistic(*(column[rows] for column in columns))
        for rows in random.integers(0, n, (1000, n))
    ]
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return f"{statistic(*columns):.2f} ({low:.2f} to {high:.2f})"


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return Spearman's rho."""
    return float(spearmanr(first, second).statistic)  # type: ignore[union-attr]


def load(folder: Path, most: int, seed: int) -> tuple[pd.DataFrame, list[Photo]]:
    """Return a manifest, or a random part of it, and its photographs."""
    table = pd.read_csv(folder / "manifest.csv")
    if len(table) > most:
        table = table.sample(most, random_state=seed)
    return table.reset_index(drop=True), [load_photo(folder / path) for path in table["image"]]


def eight_bit_angle(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return atan2(2.55 L* - 50, b* + 128): ITA's formula fed OpenCV's 8-bit CIELAB codes."""
    return np.degrees(np.arctan2(2.55 * lab[:, 0] - 50, lab[:, 2] + 128))


def against_reference(name: str, table: pd.DataFrame, photos: list[Photo], column: str) -> None:
    """Print rank correlations with a column, of ITA and of the formula that explains `ita_fda`."""
    truth = table[column].to_numpy(np.float64)
    print(f"\n{name}: Spearman with {column}, n = {np.isfinite(truth).sum()}")
    for method in METHODS:
        found = estimates(photos, method)
        ita = angles(found)
        known = np.isfinite(ita) & np.isfinite(truth)
        text = interval(rank_correlation, ita[known], truth[known])
        if column == "ita_fda":
            lab = np.array([(one.L, one.a, one.b) for one in found], dtype=float)
            codes = eight_bit_angle(lab)
            text += f"; median difference {np.median((ita - truth)[known]):+.1f}; 8-bit formula "
            text += interval(rank_correlation, codes[known], truth[known])
            text += f", median absolute difference {np.median(abs(codes - truth)[known]):.2f}"
        print(f"  {method:14s} {text}; none for {(~np.isfinite(ita)).sum()}")


def by_band(look: str, n: int, seed: int) -> None:
    """Print the mean absolute error on synthetic skin, by the bands of two schemes."""
    archive = synthesize(n, seed=seed, size=SIDE, look=look, workers=1)
    photos = [Photo(image, SIDE, SIDE, has_colour=True) for image in archive.images]
    truth = archive.table["skin_ita"].to_numpy(np.float64)
    errors = {method: abs(angles(estimates(photos, method)) - truth) for method in METHODS}
    for scheme in ("paper", "del-bino"):
        bands = SCHEMES[scheme].assign(truth, np.zeros((n, 3)))
        print(f"\nsynthetic, {look}, {scheme}: mean absolute error in degrees")
        for band in SCHEMES[scheme].bands:
            here = bands == band
            texts = []
            for method in METHODS:
                known = errors[method][here & np.isfinite(errors[method])]
                texts.append(f"{method} {interval(lambda e: float(e.mean()), known)}")
            print(f"  {band} (n = {here.sum()}): " + "; ".join(texts))


def white_square(random: np.random.Generator, picture: Pixels) -> None:
    """Lay a piece of white paper on the picture."""
    side = int(random.integers(20, 61))
    y, x = random.integers(0, SIDE - side, 2)
    picture[y : y + side, x : x + side] = random.integers(235, 256)


def ruler(random: np.random.Generator, picture: Pixels) -> None:
    """Lay a ruler along one side: a light gray strip with black ticks."""
    strip = np.full((int(random.integers(16, 45)), SIDE, 3), random.integers(190, 250), np.uint8)
    for tick in range(0, SIDE, int(random.integers(6, 16))):
        strip[: len(strip) // 2, tick : tick + 2] = 20
    turned = np.rot90(picture, int(random.integers(4)))  # a view: drawn on the picture itself
    turned[: len(strip)] = strip


def round_mask(random: np.random.Generator, picture: Pixels) -> None:
    """Show the picture through a round black opening."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + random.normal(0, 5, (2, 1, 1))
    picture[np.hypot(x, y) > random.uniform(0.35, 0.52) * SIDE] = random.integers(0, 15)


def black_border(random: np.random.Generator, picture: Pixels) -> None:
    """Frame the picture in black."""
    top, bottom, left, right = random.integers(0, 41, 4)
    shade = random.integers(0, 15)
    picture[:top] = picture[SIDE - bottom :] = shade
    picture[:, :left] = picture[:, SIDE - right :] = shade


def glare(random: np.random.Generator, picture: Pixels) -> None:
    """Add one to six soft-edged burnt-out reflections of a lamp."""
    y, x = np.mgrid[:SIDE, :SIDE]
    light = np.zeros((SIDE, SIDE))
    for _ in range(random.integers(1, 7)):
        (cy, cx), (sy, sx) = random.uniform(0, SIDE, 2), random.uniform(4, 22, 2)
        light += np.exp(-(((y - cy) / sy) ** 2) - ((x - cx) / sx) ** 2)
    picture[:] = np.clip(picture + 400 * np.clip(light - 0.15, 0, 1)[..., None], 0, 255)


def dark_hair(random: np.random.Generator, picture: Pixels) -> None:
    """Draw 5 to 60 dark bent hairs, 1 to 3 px wide."""
    shade = tuple(int(value) for value in random.integers(10, 50, 3))
    steps = np.linspace(0, 1, 16)[:, None]
    for _ in range(random.integers(5, 61)):
        a, b, c = random.uniform(-20, SIDE + 20, (3, 2))
        b = (a + c) / 2 + (b - SIDE / 2) * 0.3
        curve = (1 - steps) ** 2 * a + 2 * steps * (1 - steps) * b + steps**2 * c
        points = [np.round(curve).astype(np.int32)]
        cv2.polylines(picture, points, False, shade, int(random.integers(1, 4)), cv2.LINE_AA)


ARTEFACTS = (white_square, ruler, round_mask, black_border, glare, dark_hair)


def planted(name: str, photos: list[Photo], seed: int) -> None:
    """Print the share of bands that change when an artefact is planted."""
    print(f"\n{name}: share of bands changed by a planted artefact, n = {len(photos)}")
    clean = {method: estimates(photos, method) for method in METHODS}
    for number, plant in enumerate(ARTEFACTS):
        random = np.random.default_rng((seed, number))
        spoilt: list[Photo] = []
        for photo in photos:
            picture = photo.square.copy()
            plant(random, picture)
            spoilt.append(Photo(picture, SIDE, SIDE, photo.has_colour))
        texts = [_changes(clean[method], estimates(spoilt, method), method) for method in METHODS]
        print(f"  {plant.__name__}: " + "; ".join(texts))


def _changes(before: list[ToneEstimate], after: list[ToneEstimate], method: str) -> str:
    pairs = [pair for pair in zip(before, after, strict=True) if pair[0].ita is not None]
    gone = sum(new.ita is None for _, new in pairs)
    kept = [(old.ita_band, new.ita_band) for old, new in pairs if new.ita is not None]
    changed = np.array([old != new for old, new in kept], dtype=float)
    return f"{method} {interval(lambda c: float(c.mean()), changed)}, {gone} abstain"


def in_other_light(picture: Pixels, gain: NDArray[np.float64]) -> Pixels:
    """Return the picture with each channel's linear light multiplied, clipped, encoded again."""
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    lit = np.clip(linear[:, None] * gain, 0, 1)
    coded = np.where(lit <= 0.0031308, 12.92 * lit, 1.055 * lit ** (1 / 2.4) - 0.055)
    table = np.round(255 * coded).astype(np.uint8)
    return np.stack([table[picture[..., channel], channel] for channel in range(3)], axis=-1)


LIGHTS = {
    **{f"exposure {stops:+} stop": (2.0**stops,) * 3 for stops in (-1, -0.5, 0.5, 1)},
    "warmer (red +10 %, blue -10 %)": (1.1, 1, 0.9),
    "colder (red -10 %, blue +10 %)": (0.9, 1, 1.1),
    "much colder (red -20 %, blue +20 %)": (0.8, 1, 1.2),
}


def drift(name: str, photos: list[Photo]) -> None:
    """Print how far ITA moves in other light, and how many moves over 10 degrees go unflagged."""
    print(f"\n{name}: |ITA change| in degrees (exposure: per stop), n = {len(photos)}")
    clean = {method: angles(estimates(photos, method)) for method in METHODS}
    for light, gain in LIGHTS.items():
        lit = [
            Photo(in_other_light(photo.square, np.array(gain)), SIDE, SIDE, photo.has_colour)
            for photo in photos
        ]
        stops = abs(np.log2(gain[0])) if light.startswith("exposure") else 1.0
        texts = []
        for method in METHODS:
            found = estimates(lit, method)
            moved = abs(angles(found) - clean[method])
            silent = np.mean(
                [m > 10 and not one.flags for m, one in zip(moved, found, strict=True)]
            )
            known = moved[np.isfinite(moved)] / stops
            text = interval(lambda m: float(m.mean()), known)
            texts.append(f"{method} {text}, unflagged over 10: {silent:.2f}")
        print(f"  {light}: " + "; ".join(texts))


def dim(name: str, pictures: list[Pixels]) -> None:
    """Print the share of pictures that carry the flag `dim`, as exposed and darker."""
    print(f"\n{name}: share flagged dim, n = {len(pictures)}")
    for stops in (0, -1, -2, -3):
        gain = np.full(3, 2.0**stops)
        flagged = np.array([is_dim(in_other_light(picture, gain)) for picture in pictures], float)
        print(f"  {stops:+d} stops: {interval(lambda f: float(f.mean()), flagged)}")


def drawn_dim(n: int, seed: int) -> None:
    """Print the same for drawn skin, light (ITA over 28 degrees) and dark (-30 or less)."""
    for look in LOOKS:
        archive = synthesize(n, seed=seed, size=SIDE, look=look, workers=1)
        truth = archive.table["skin_ita"].to_numpy(np.float64)
        dim(f"synthetic, {look}, light", [archive.images[i] for i in np.flatnonzero(truth > 28)])
        dim(f"synthetic, {look}, dark", [archive.images[i] for i in np.flatnonzero(truth <= -30)])


# x, y of ten lamps. Source: CIE 15:2004 (A, F2, F11); Planckian or daylight for the others.
LAMPS = {
    "2,400 K": (0.4862, 0.4147), "A": (0.4476, 0.4074), "3,200 K": (0.4234, 0.3990),
    "4,000 K": (0.3804, 0.3767), "F2": (0.3721, 0.3751), "F11": (0.3805, 0.3769),
    "5,000 K": (0.3451, 0.3516), "6,500 K": (0.3135, 0.3237), "8,000 K": (0.2952, 0.3048),
    "10,000 K": (0.2807, 0.2884),
}  # fmt: skip
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
BOX = (300, 40, 40, 40)  # the patch, beside the central square of a picture of 256 x 352 px


def under_lamp(picture: Pixels, lamp: tuple[float, float], stops: float) -> Pixels:
    """Return a picture as a camera set to daylight records it under another lamp.

    The lamp acts on cone responses, not on the camera's channels: the correction by channels is
    not its inverse.
    """
    white = np.array([lamp[0] / lamp[1], 1, (1 - lamp[0] - lamp[1]) / lamp[1]])
    gain = (BRADFORD @ white) / (BRADFORD @ TO_XYZ.sum(axis=1))
    matrix = np.linalg.inv(BRADFORD @ TO_XYZ) @ np.diag(gain * 2.0**stops) @ BRADFORD @ TO_XYZ
    return np.round(255 * from_linear(to_linear(picture / 255) @ matrix.T)).astype(np.uint8)


def by_reference(name: str, pictures: list[Pixels], truth: NDArray[np.float64] | None) -> None:
    """Print the error of ITA under lamps and exposures, without and with a gray card beside."""
    random = np.random.default_rng(0)
    canvases: list[Pixels] = []
    for picture in pictures:
        canvas = np.full((SIDE, 352, 3), picture.mean(axis=(0, 1)), np.uint8)
        canvas[:, 48:304] = picture
        left, top, width, height = BOX
        gray = random.normal(118, 2, (height, width, 1))  # L* 49.5
        canvas[top : top + height, left + 6 : left + 6 + width] = gray
        canvases.append(canvas)
    patch = f"{BOX[0] + 10},{BOX[1] + 4},{BOX[2] - 8},{BOX[3] - 8}"
    print(f"\n{name}: mean |error of ITA| in degrees, n = {len(pictures)} x {len(LAMPS)} lamps")
    for method in ("patch-max", "robust"):
        known = truth
        if known is None:
            known = angles([estimate(canvas, method=method) for canvas in canvases])
        for stops in (-1.0, 0.0, 0.5):
            before, after = [], []
            for lamp in LAMPS.values():
                lit = [under_lamp(canvas, lamp, stops) for canvas in canvases]
                before.append(abs(angles([estimate(one, method=method) for one in lit]) - known))
                after.append(abs(angles([by_patch(one, method, patch) for one in lit]) - known))
            texts = [
                f"{word} {interval(lambda e: float(np.nanmean(e)), np.nanmean(errors, axis=0))}"
                for word, errors in (("without", before), ("with", after))
            ]
            missing = np.isnan(after).mean()
            print(f"  {method}, {stops:+.1f} stops: {'; '.join(texts)}; none for {missing:.2f}")


def by_patch(picture: Pixels, method: str, patch: str) -> ToneEstimate:
    """Return the estimate by a reference; without an angle where the patch is clipped."""
    try:
        return estimate(picture, method=method, reference=patch)
    except PhotoError:
        return replace(estimate(picture, method=method), ita=None)


def speed(folder: Path, n: int) -> None:
    """Print processor time an image, decoding included, as a ratio to `patch-max`."""
    paths = sorted((folder / "images").iterdir())[:n]
    scheme = SCHEMES["paper"]
    times: dict[str, list[float]] = {method: [] for method in METHODS}
    for _ in range(7):
        for method in METHODS:
            measure, start = get_method(method), time.process_time()
            for path in paths:
                estimate_photo(load_photo(path), method, measure, scheme)
            times[method].append(time.process_time() - start)
    base = np.array(times["patch-max"])
    print(
        f"\n{folder.name}: processor time against patch-max, median of 7 rounds, n = {len(paths)}"
    )
    for method in METHODS:
        print(f"  {method:14s} {np.median(np.array(times[method]) / base):.2f}")


def main() -> None:
    """Print every figure of docs/tone.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=Path())
    parser.add_argument("--images", type=int, default=400, help="photographs of each folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", choices=["reference", "synthetic", "planted", "light", "dim", "card", "speed"]
    )
    arguments = parser.parse_args()
    data, most, seed, only = arguments.data, arguments.images, arguments.seed, arguments.only
    cv2.setNumThreads(1)
    if only in (None, "synthetic"):
        for look in LOOKS:
            by_band(look, most, seed)
    if only in (None, "dim"):
        drawn_dim(most, seed)
    if only in (None, "card"):
        for look in LOOKS:
            archive = synthesize(min(most, 60), seed=seed, size=SIDE, look=look, workers=1)
            truth = archive.table["skin_ita"].to_numpy(np.float64)
            by_reference(f"synthetic, {look}", list(archive.images), truth)
    columns = {"ssynth_melanin": "melanosome_fraction"}
    for name in ("ssynth_melanin", "ham10000_200x150", "isic2017_256"):
        if not (data / name).is_dir():
            continue
        table, photos = load(data / name, most, seed)
        if only in (None, "reference"):
            against_reference(name, table, photos, columns.get(name, "ita_fda"))
        if only in (None, "planted"):
            planted(name, photos, seed)
        if only in (None, "light"):
            drift(name, photos)
        if only in (None, "card") and name == "ssynth_melanin":
            by_reference(name, [photo.square for photo in photos[:60]], None)
        if only in (None, "dim"):
            dim(name, [photo.square for photo in photos])
    if only in (None, "speed") and (data / "isic2017_256").is_dir():
        speed(data / "isic2017_256", 60)


if __name__ == "__main__":
    main()
