"""Do the methods unlearn, and does it help? Paired over seeds, against ERM on the same data.

    python bench/effect.py                        # synthetic, confounded: tone goes with diagnosis
    python bench/effect.py --data manifest.csv    # a manifest with image_id, path, target, ita, ...

Each seed makes (or splits) its own data, trains every variant on it and measures on test images:
the balanced accuracy of a fresh linear probe for tone, the AUROC of all images, the lowest of the
tone groups, and the gap between the highest and the lowest. Printed are means over seeds and the
paired difference from the reference with its 95 % t interval.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from equiderm.training import ArrayImages, experiment_from, fit, load_run, predict, probe
from equiderm.training.figures import auroc

GROUPS = ("dark", "medium", "light")
# (variant, method, its hyper-parameters); "published" are the paper's constants.
PUBLISHED = {
    "erm": ("erm", {}),
    "lntl": ("lntl", {}),
    "tabe": ("tabe", {}),
    "clgr": ("clgr", {}),
    "resampling": ("resampling", {}),
}
STRONG = {
    "lntl strong": ("lntl", {"entropy_weight": 0.3, "reversal": 1.0}),
    "tabe strong": ("tabe", {"confusion_weight": 1.0}),
    "clgr strong": ("clgr", {"confusion_weight": 1.0, "reversal": 1.0}),
}
JOINT = {
    f"{name} joint": (method, {**options, "schedule": "joint"})
    for name, (method, options) in {**PUBLISHED, **STRONG}.items()
    if method not in ("erm", "resampling")
}
VARIANTS = {**PUBLISHED, **STRONG, **JOINT}
FIGURES = ("probe", "auroc", "worst", "gap")


def synthetic(seed, *, n_train, n_test, size, confounding):
    """Return images and a manifest whose training rows go with tone and whose test rows do not."""
    from equiderm.data.synthetic import join, synthesize

    both = join(
        synthesize(
            n_train, seed=seed, size=size, prevalence=0.5, confounding=confounding, workers=1
        ),
        synthesize(n_test, seed=seed, size=size, prevalence=0.5, split="test", workers=1),
    )
    frame = both.table
    # Thirds of the uniform range of ITA that is drawn, -50 to 70 degrees.
    frame["tone"] = pd.cut(frame["skin_ita"], [-np.inf, -10, 30, np.inf], labels=GROUPS).astype(str)
    return ArrayImages(both.images, frame["image_id"].tolist()), frame


def spots(seed, *, n_train, n_test, size, confounding):
    """Return images and a manifest of the plainest lesions: a spot on skin of one brightness.

    A malignant spot is darker by a fifth than a benign one, in proportion to the skin, so that it
    shows less on dark skin, whose noise is the same. In the confounded share of the training rows
    the lighter half of the skins is malignant.
    """
    generator = np.random.default_rng(seed)
    n = n_train + n_test
    training = np.arange(n) < n_train
    brightness = generator.uniform(0, 1, n)
    follows = training & (generator.random(n) < confounding)
    target = np.where(follows, brightness > 0.5, generator.random(n) < 0.5).astype(int)
    skin = (60 + 160 * brightness)[:, None, None, None] * np.array([1.0, 0.85, 0.7])
    images = np.broadcast_to(skin, (n, 1, 1, 3)).repeat(size, 1).repeat(size, 2)
    radius = size * generator.uniform(0.15, 0.3, n)
    y, x = np.mgrid[:size, :size]
    middle = size * generator.uniform(0.35, 0.65, (2, n))
    away = np.hypot(y - middle[0][:, None, None], x - middle[1][:, None, None])
    inside = (away < radius[:, None, None])[..., None]
    depth = np.where(target == 1, 0.6, 0.75)[:, None, None, None]
    images = np.where(inside, images * depth, images)
    images = images + generator.normal(0, 12, images.shape)
    frame = pd.DataFrame(
        {
            "image_id": [f"spot-{row}" for row in range(n)],
            "target": target,
            "split": np.where(training, "train", "test"),
            "tone": pd.cut(brightness, [-1, 1 / 3, 2 / 3, 2], labels=GROUPS).astype(str),
        }
    )
    return ArrayImages(images.clip(0, 255).astype(np.uint8), frame["image_id"].tolist()), frame


def photographs(manifest, *, size):
    """Return images and manifest of real photographs; tone is a third of their ``ita``."""
    import cv2

    frame = pd.read_csv(manifest)
    frame = frame[frame["ita"].notna()].reset_index(drop=True)
    images = np.empty((len(frame), size, size, 3), np.uint8)
    for row, name in enumerate(frame["path"]):
        image = cv2.imread(str(manifest.parent / name))[..., ::-1]
        side = min(image.shape[:2])
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        square = image[top : top + side, left : left + side]
        images[row] = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    thirds = frame["ita"].quantile([1 / 3, 2 / 3]).tolist()
    frame["tone"] = pd.cut(frame["ita"], [-np.inf, *thirds, np.inf], labels=GROUPS).astype(str)
    return ArrayImages(images, frame["image_id"].tolist()), frame


def resplit(frame, seed):
    """Return the table with 60 % of its lesions (or patients) in training and the rest in test."""
    from equiderm.training.rows import patients_of

    who = patients_of(frame)
    names = np.unique(who.astype(str))
    training = np.random.default_rng(seed).random(len(names)) < 0.6
    chosen = set(names[training])
    return frame.assign(split=["train" if name in chosen else "test" for name in who])


def measure(name, images, frame, *, seed, args):
    """Train one variant and return its figures on the test rows."""
    method, options = VARIANTS[name]
    experiment = experiment_from(
        {
            "seed": seed,
            "method": {"name": method, **options},
            "backbone": {"name": args.backbone, "weights": "random"},
            "data": {"group": "tone", "groups": list(GROUPS), "size": args.size},
            "optimizer": dict.fromkeys(("backbone", "target_head", "group_head"), args.rate),
            "training": {"epochs": args.epochs, "tracker": "none"},
            "prediction": {"views": 1},
        }
    )
    test = frame[frame["split"] == "test"].reset_index(drop=True)
    with tempfile.TemporaryDirectory() as folder:
        run = load_run(fit(experiment, frame, Path(folder) / "run", images=images))
    scored = predict(run, images, test)
    target, score, tone = (scored[c].to_numpy() for c in ("target", "logit", "tone"))
    by_group = [auroc(target[tone == g], score[tone == g]) for g in GROUPS]
    return {
        "probe": probe(run, images, test, untrained=False)[0].balanced_accuracy,
        "auroc": auroc(target, score),
        "worst": min(by_group),
        "gap": max(by_group) - min(by_group),
    }


def interval(values):
    """Return mean and half-width of the 95 % t interval of a few paired differences."""
    from scipy.stats import t

    values = np.asarray(values)
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half)


def differences(results, name, reference, figure):
    """Return a variant's figure less the reference's, seed by seed."""
    pairs = zip(results[name], results[reference], strict=True)
    return [one[figure] - other[figure] for one, other in pairs]


def run_all(names, args):
    """Return figures by variant, one entry a seed."""
    real = photographs(args.data, size=args.size) if args.data else None
    results = {name: [] for name in names}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        if real is None:
            images, frame = (spots if args.scene == "spots" else synthetic)(
                seed,
                n_train=args.train,
                n_test=args.test,
                size=args.size,
                confounding=args.confounding,
            )
        else:
            images, frame = real[0], resplit(real[1], seed)
        for name in names:
            results[name].append(measure(name, images, frame, seed=seed, args=args))
            shown = " ".join(f"{k} {v:.3f}" for k, v in results[name][-1].items())
            print(f"seed {seed} {name:20s} {shown}", flush=True)
    return results


def report(results, reference):
    """Print means and paired differences from the reference."""
    print(f"\n{'':22s}" + "".join(f"{figure:>10s}" for figure in FIGURES))
    for name, rows in results.items():
        means = [np.mean([row[figure] for row in rows]) for figure in FIGURES]
        print(f"{name:22s}" + "".join(f"{mean:10.3f}" for mean in means))
    print(f"\ndifference from {reference}, with 95 % interval over {len(results[reference])} seeds")
    for name in results:
        if name == reference:
            continue
        cells = []
        for figure in FIGURES:
            mean, half = interval(differences(results, name, reference, figure))
            cells.append(f"{figure} {mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]")
        print(f"{name:22s}" + "  ".join(cells))


def parse(arguments=None):
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", nargs="+", default=[*PUBLISHED, *STRONG])
    parser.add_argument("--reference", default="erm")
    parser.add_argument("--data", type=Path, help="manifest CSV; synthetic where not given")
    parser.add_argument("--scene", choices=("synthetic", "spots"), default="synthetic")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--train", type=int, default=1280)
    parser.add_argument("--test", type=int, default=1500)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rate", type=float, default=0.03)
    parser.add_argument("--confounding", type=float, default=0.9)
    parser.add_argument("--backbone", default="test_resnet")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(arguments)


def main():
    """Run the comparison named on the command line."""
    args = parse()
    results = run_all(args.variants, args)
    report(results, args.reference)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
