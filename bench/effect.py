"""Do the methods unlearn tone, and does it help? Paired over seeds with ERM on the same data.

    python bench/effect.py                   # the table of docs/train.md: seeds 0 to 4
    python bench/effect.py --seeds 100 101   # to choose constants on

A lesson in optimisation, not evidence about photographs: an image is four readings of a lesion and
four of the skin around it, mixed. Darker skin spreads over a wider range of readings. In 90 % of
the training images the lighter half of the skins is malignant; in the test images tone and target
are independent. Printed are means over seeds and paired differences from ERM, run at the same rates
and momentum, with 95 % t intervals.
"""

import argparse

import numpy as np
import torch
from scipy.stats import t
from torch import nn

from equiderm.batch import Batch
from equiderm.debias import METHODS, Rates, take_step
from equiderm.training.figures import auroc
from equiderm.training.probe import probe_features

K, WIDTH, EPOCHS = 3, 8, 20
TRAIN, TEST, PROBED = 2048, 12_000, 3000
CONFOUNDING = 0.9
FIGURES = ("probe", "mlp", "auroc", "worst", "gap")
STRONG = {
    "lntl": {"reversal": 1.0, "entropy_weight": 1.0},
    "tabe": {"confusion_weight": 1.0},
    "clgr": {"reversal": 1.0, "confusion_weight": 1.0},
}
# Setting: momentum, and what each method has. The rates, 0.2 (1 - momentum), move as far.
SETTINGS = {
    "strong, no momentum": (0.0, STRONG),
    "strong, no momentum, joint": (
        0.0,
        {name: {**weights, "schedule": "joint"} for name, weights in STRONG.items()},
    ),
    "published weights": (0.9, {name: {} for name in STRONG}),
    "strong": (0.9, STRONG),
}


def scene(n, *, confounding, generator, mixing):
    """Return readings (n, 8), targets and tone groups 0 (dark) to 2 (light)."""
    lightness = generator.uniform(0, 1, n)
    follows = generator.random(n) < confounding
    target = np.where(follows, lightness > 0.5, generator.random(n) < 0.5).astype(int)
    lesion = 0.7 * (target - 0.5)[:, None] + generator.normal(0, 1, (n, 4))
    skin = 3 * ((1 - lightness) ** 2 - 1 / 3)[:, None] + generator.normal(0, 0.3, (n, 4))
    readings = np.hstack([lesion, skin]) @ mixing
    group = np.minimum((lightness * K).astype(int), K - 1)
    return torch.tensor(readings).float(), torch.tensor(target), torch.tensor(group)


def train(name, options, *, momentum, seed):
    """Return a method trained on a seed's confounded images, and that seed's test images."""
    generator = np.random.default_rng(seed)
    mixing = np.linalg.qr(generator.normal(size=(8, 8)))[0]
    image, target, group = scene(TRAIN, confounding=CONFOUNDING, generator=generator, mixing=mixing)
    tested = scene(TEST, confounding=0.0, generator=generator, mixing=mixing)
    torch.manual_seed(seed)
    if METHODS[name].uses_group:
        options = {"n_groups": K, **options}
    backbone = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, WIDTH))
    method = METHODS[name](backbone, WIDTH, dropout=0.0, **options)
    rate = 0.2 * (1 - momentum)
    optimizers = method.optimizers(Rates(rate, rate, rate), momentum=momentum)
    weights = method.sample_weights(target, group)
    weights = torch.ones(TRAIN) if weights is None else weights
    for _ in range(EPOCHS):
        # Without replacement where all weights are equal.
        order = torch.multinomial(weights, TRAIN, replacement=bool(weights.std() > 0))
        for rows in order.split(64):
            take_step(method, optimizers, Batch(image[rows], target[rows].float(), group[rows]))
    return method.eval(), tested


def figures_of(name, options, *, momentum, seed):
    """Return what one run reaches on its test images; NaN where its features are not finite."""
    method, (image, target, group) = train(name, options, momentum=momentum, seed=seed)
    with torch.no_grad():
        features, logit = method.backbone(image).numpy(), method(image).numpy()
    if not np.isfinite(features).all():
        return dict.fromkeys(FIGURES, np.nan)
    target, group = target.numpy(), group.numpy()
    by_group = [auroc(target[group == k], logit[group == k]) for k in range(K)]
    probed = probe_features(features[:PROBED], group[:PROBED], np.arange(PROBED), name=name)
    return {
        "probe": probed.balanced_accuracy,
        "mlp": probed.mlp,
        "auroc": auroc(target, logit),
        "worst": min(by_group),
        "gap": max(by_group) - min(by_group),
    }


def interval(runs, reference, figure):
    """Return mean and half-width of the 95 % t interval of paired differences of a figure."""
    pairs = zip(runs, reference, strict=True)
    values = np.array([one[figure] - other[figure] for one, other in pairs])
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half)


def report(name, runs, reference):
    """Print one row of the table."""
    cells = [f"{np.mean([run[figure] for run in runs]):.3f}" for figure in FIGURES]
    if reference is not runs:
        for figure in FIGURES:
            mean, half = interval(runs, reference, figure)
            cells.append(f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]")
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    """Run every setting, each beside ERM with its momentum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    for setting in args.settings:
        momentum, weights = SETTINGS[setting]
        reference = []
        for name, options in {"erm": {}, **weights, "resampling": {}}.items():
            runs = [figures_of(name, options, momentum=momentum, seed=seed) for seed in args.seeds]
            reference = reference or runs
            report(f"{name}, {setting}", runs, reference)


if __name__ == "__main__":
    main()
