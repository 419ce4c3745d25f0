"""What a photograph of skin can and cannot tell without, and with, a reference in the picture.

    python bench/uncalibrated.py DATA [--images 200] [--seed 0] [--only dim|reference|figure]

DATA holds folders `ssynth_melanin`, `ham10000_200x150` and `isic2017_256`, each with a
`manifest.csv` and its images; folders that are missing are passed over. The figure, of drawn skin
alone, is written to docs/tone-light.png. Intervals are 95 % bootstrap intervals over images.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from equiderm.data.synthetic import LOOKS, synthesize
from equiderm.photo.colour import from_linear, to_linear
from equiderm.photo.decode import PhotoError
from equiderm.photo.reference import FIELDS
from equiderm.tone import estimate
from equiderm.tone.skin import is_dim
from robust_tone import SIDE, Pixels, angles, in_other_light, interval, load, rank_correlation

Floats = NDArray[np.float64]
FIGURE = Path(__file__).parents[1] / "docs" / "tone-light.png"
STOPS = (-1.0, 0.0, 0.5)
ELECTRONS, READ_NOISE = 4000, 4  # at white, of a simulated sensor; electrons


def flagged_dim(name: str, pictures: list[Pixels]) -> None:
    """Print the share of pictures that carry the flag `dim`, as exposed and darker."""
    print(f"\n{name}: share flagged dim, n = {len(pictures)}")
    for stops in (0, -1, -2, -3):
        gain = np.full(3, 2.0**stops)
        flagged = np.array([is_dim(in_other_light(picture, gain)) for picture in pictures], float)
        print(f"  {stops:+d} stops: {interval(lambda f: float(f.mean()), flagged)}")


def drawn(n: int, seed: int) -> dict[str, tuple[Pixels, Floats]]:
    """Return drawn skin of each look, and its true ITA."""
    archives = {look: synthesize(n, seed=seed, size=SIDE, look=look, workers=1) for look in LOOKS}
    return {
        look: (archive.images, archive.table["skin_ita"].to_numpy(np.float64))
        for look, archive in archives.items()
    }


def statistics(picture: Pixels) -> Floats:
    """Return five numbers that may tell of too little light; higher ones tell more of it.

    Brightest percentile of the brightest channel; highlights, the brightest thousandth of the
    darkest channel; the clipped share; noise by the Laplacian mask and the median absolute
    deviation, in gray levels, and over the median gray.

    Source:
        The mask: Immerkaer 1996, Comput. Vis. Image Underst. 64:300.
    """
    top, low = picture.max(axis=2), picture.min(axis=2)
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    noise = float(np.median(np.abs(cv2.filter2D(gray, -1, mask)))) / (6 * 0.6745)
    brightest, highlight = np.percentile(top, 99), np.percentile(low, 99.9)
    clipped = (top >= 250).mean()
    return np.array(
        [-brightest, -highlight, -clipped, noise, noise / max(float(np.median(gray)), 1)]
    )


STATISTICS = ("brightest percentile", "highlights", "clipped share", "noise", "noise over median")


def darker(picture: Pixels, stops: float, random: np.random.Generator) -> Pixels:
    """Return a picture of less light, with the noise that a sensor adds to it."""
    light = to_linear(picture / 255) * 2.0**stops
    counted = random.poisson(light * ELECTRONS) + random.normal(0, READ_NOISE, light.shape)
    return np.round(255 * from_linear(np.clip(counted / ELECTRONS, 0, 1))).astype(np.uint8)


def telling(dark: list[Pixels], photos: list[Pixels], seed: int) -> None:
    """Print how many dimmed photographs each statistic tells from dark skin in good light.

    The threshold of each is where none of the dark pictures is flagged. The five together are a
    logistic regression fitted on every second picture; its threshold is that of the fitted half,
    its figures those of the other.
    """
    random = np.random.default_rng(seed)
    before = np.array([statistics(picture) for picture in dark])
    print(f"\nshare told from {len(dark)} pictures of dark skin, n = {len(photos)}")
    for stops in (-1.0, -2.0):
        dim = np.array([statistics(darker(picture, stops, random)) for picture in photos])
        for number, name in enumerate(STATISTICS):
            told = dim[:, number] > before[:, number].max()
            print(f"  {stops:+.0f} stops, {name}: {interval(_share, told)}")
        fit = make_pipeline(StandardScaler(), LogisticRegression())
        values = np.concatenate([dim[::2], before[::2]])
        fit.fit(values, np.arange(len(values)) < len(dim[::2]))
        limit = fit.decision_function(before[::2]).max()
        told, wrong = (fit.decision_function(rest[1::2]) > limit for rest in (dim, before))
        print(
            f"  {stops:+.0f} stops, all five: {interval(_share, told)}; of dark skin "
            f"{interval(_share, wrong)}"
        )


def _share(rows: NDArray[np.float64]) -> float:
    return float(rows.mean())


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
WIDE, LEFT = 460, 102  # px: the picture that holds the references, and the skin in it
REFERENCES = {
    "nothing": None,
    "gray card": "370,44,32,32",  # the middle of a card of 40 px
    "colour card": "card:6,40,84,56",
}


def with_references(picture: Pixels, random: np.random.Generator) -> Pixels:
    """Return skin with a gray card of L* 49.5 and a card of 24 colours beside the square."""
    canvas = np.full((SIDE, WIDE, 3), picture.mean(axis=(0, 1)), np.float64)
    canvas[:, LEFT : LEFT + SIDE] = picture
    canvas[40:80, 366:406] = 118
    canvas[40:96, 6:90] = np.kron(FIELDS.reshape(4, 6, 3), np.ones((14, 14, 1)))
    outside = np.r_[:LEFT, LEFT + SIDE : WIDE]
    canvas[:, outside] += random.normal(0, 2, (SIDE, len(outside), 1))
    return np.clip(np.round(canvas), 0, 255).astype(np.uint8)


def under_lamp(picture: Pixels, lamp: tuple[float, float], stops: float) -> Pixels:
    """Return a picture as a camera set to daylight records it under another lamp.

    The lamp acts on cone responses, not on the camera's channels: a correction by channels is not
    its inverse, while one by a matrix nearly is.
    """
    white = np.array([lamp[0] / lamp[1], 1, (1 - lamp[0] - lamp[1]) / lamp[1]])
    gain = (BRADFORD @ white) / (BRADFORD @ TO_XYZ.sum(axis=1))
    matrix = np.linalg.inv(BRADFORD @ TO_XYZ) @ np.diag(gain * 2.0**stops) @ BRADFORD @ TO_XYZ
    return np.round(255 * from_linear(to_linear(picture / 255) @ matrix.T)).astype(np.uint8)


def measured(canvases: list[Pixels], method: str, stops: float, reference: str | None) -> Floats:
    """Return ITA under each lamp, shape (lamps, pictures); NaN where nothing is measured."""
    table = np.full((len(LAMPS), len(canvases)), np.nan)
    for row, lamp in enumerate(LAMPS.values()):
        for column, canvas in enumerate(canvases):
            lit = under_lamp(canvas, lamp, stops)
            try:
                ita = estimate(lit, method=method, reference=reference).ita
            except PhotoError:  # the reference is clipped
                ita = None
            table[row, column] = np.nan if ita is None else ita
    return table


def by_reference(method: str, name: str, pictures: list[Pixels], truth: Floats | None) -> None:
    """Print the error of ITA under lamps and exposures, by what lies beside the skin."""
    random = np.random.default_rng(0)
    canvases = [with_references(picture, random) for picture in pictures]
    if truth is None:
        truth = angles([estimate(canvas, method=method) for canvas in canvases])
    print(f"\n{name}, {method}: mean |error of ITA|, n = {len(pictures)} x {len(LAMPS)} lamps")
    for stops in STOPS:
        texts: list[str] = []
        for word, reference in REFERENCES.items():
            errors = abs(measured(canvases, method, stops, reference) - truth)
            by_picture = np.nanmean(errors[:, np.isfinite(errors).any(axis=0)], axis=0)
            text = interval(lambda e: float(e.mean()), by_picture)
            texts.append(f"{word} {text} (none for {np.isnan(errors).mean():.2f})")
        print(f"  {stops:+.1f} stops: {'; '.join(texts)}", flush=True)


def figure(n: int, seed: int) -> None:
    """Draw measured against true ITA of drawn skin under one light, and under many."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    images, truth = drawn(n, seed)["clinical"]
    random = np.random.default_rng(0)
    canvases = [with_references(picture, random) for picture in images]
    many = {
        word: np.concatenate([measured(canvases, "robust", stops, text) for stops in STOPS])
        for word, text in REFERENCES.items()
    }
    one = measured(canvases, "robust", 0.0, None)[list(LAMPS).index("3,200 K")][None]
    panels = {
        "one unknown lamp,\nno reference": one,
        "ten lamps, three exposures,\nno reference": many["nothing"],
        "the same,\ngray card": many["gray card"],
        "the same,\ncolour card": many["colour card"],
    }
    shown, axes = plt.subplots(1, 4, figsize=(10, 3.1), sharex=True, sharey=True)
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        true = np.broadcast_to(truth, values.shape)
        known = np.isfinite(values)
        rank = rank_correlation(true[known], values[known])
        error = float(np.abs(values - true)[known].mean())
        print(f"{title!r}: rank correlation {rank:.3f}, mean |error| {error:.1f} degrees")
        axis.plot([-60, 75], [-60, 75], color="0.6", linewidth=1)
        axis.plot(true[known], values[known], ".", color="#1f5a93", markersize=3, alpha=0.35)
        axis.set_title(title, fontsize=9)
        axis.text(
            0.04, 0.96, f"rank correlation {rank:.2f}\nmean error {error:.0f}°",
            transform=axis.transAxes, va="top", fontsize=8,
        )  # fmt: skip
        axis.set(xlabel="true ITA, degrees", ylim=(-90, 115))
    axes[0].set_ylabel("measured ITA, degrees")
    shown.tight_layout()
    shown.savefig(FIGURE, dpi=110)
    print(f"written: {FIGURE}, {FIGURE.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Print the figures of docs/tone.md on light, and draw its picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=Path())
    parser.add_argument("--images", type=int, default=200, help="photographs of each folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["dim", "reference", "figure"])
    arguments = parser.parse_args()
    data, most, seed, only = arguments.data, arguments.images, arguments.seed, arguments.only
    cv2.setNumThreads(1)
    names = ("ham10000_200x150", "isic2017_256", "ssynth_melanin")
    archives = {name: load(data / name, most, seed) for name in names if (data / name).is_dir()}
    pictures = {name: [photo.square for photo in photos] for name, (_, photos) in archives.items()}
    if only in (None, "dim"):
        dark: list[Pixels] = []
        for look, (images, truth) in drawn(most, seed).items():
            flagged_dim(f"drawn, {look}, light (ITA over 28)", list(images[truth > 28]))
            flagged_dim(f"drawn, {look}, dark (-30 or less)", list(images[truth <= -30]))
            dark += list(images[truth <= -30])
        for name, some in pictures.items():
            flagged_dim(name, some)
        if "ssynth_melanin" in archives:
            fraction = archives["ssynth_melanin"][0]["melanosome_fraction"].to_numpy(np.float64)
            dark += [pictures["ssynth_melanin"][row] for row in np.flatnonzero(fraction >= 0.3)]
        photos = [picture for name in names[:2] for picture in pictures.get(name, [])]
        if photos:
            telling(dark, photos, seed)
    if only in (None, "reference"):
        skins = drawn(min(most, 60), seed)
        for method in ("robust", "patch-max"):
            for look, (images, truth) in skins.items():
                by_reference(method, f"drawn, {look}", list(images), truth)
            if "ssynth_melanin" in pictures:
                by_reference(method, "ssynth_melanin", pictures["ssynth_melanin"][:20], None)
    if only in (None, "figure"):
        figure(min(most, 60), seed)


if __name__ == "__main__":
    main()
