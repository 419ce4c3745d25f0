"""Do the methods unlearn, and does the gap close? Five seeds of confounded data, paired with ERM.

A spot on skin: malignant spots are a fifth darker, in proportion to the skin, so that they show
less on dark skin. In training the lighter half of the skins is malignant in 80 % of the images; in
the test tone and target are independent. A small network, trained by the ten-line loop.
"""

import numpy as np
import pytest
import torch
from scipy.stats import t
from torch import nn

from equiderm.batch import Batch
from equiderm.debias import METHODS, Rates, take_step
from equiderm.training.figures import auroc
from equiderm.training.probe import probe_features

SEEDS, SIZE, K = 5, 16, 3
CONFOUNDING = 0.8
BENIGN, MALIGNANT = 0.8, 0.5  # brightness of a lesion, as a share of the skin's
RATES = Rates(backbone=0.005, target_head=0.005, group_head=0.02)
# Ten and thirty times the published weights, which were set for four epochs of 35,000 images.
OPTIONS = {
    "erm": {},
    "lntl": {"entropy_weight": 0.3},
    "tabe": {"confusion_weight": 0.3},
    "clgr": {"confusion_weight": 0.3},
}


def spots(n, *, confounding, generator):
    """Return images (n, 3, SIZE, SIZE), targets and tone groups 0 (dark) to 2 (light)."""
    brightness = generator.uniform(0, 1, n)
    follows = generator.random(n) < confounding
    target = np.where(follows, brightness > 0.5, generator.random(n) < 0.5).astype(int)
    skin = 0.25 + 0.65 * brightness
    y, x = np.mgrid[:SIZE, :SIZE]
    middle = SIZE * generator.uniform(0.35, 0.65, (2, n, 1, 1))
    inside = np.hypot(y - middle[0], x - middle[1]) < SIZE * generator.uniform(0.15, 0.3, (n, 1, 1))
    depth = np.where(target == 1, MALIGNANT, BENIGN)[:, None, None]
    gray = skin[:, None, None] * np.where(inside, depth, 1.0)
    images = np.repeat(gray[:, None], 3, axis=1)
    images = images + generator.normal(0, 0.05, images.shape)
    group = np.minimum((brightness * K).astype(int), K - 1)
    return torch.tensor(images - 0.5).float(), torch.tensor(target), torch.tensor(group)


def network():
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after)]
        layers += [nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def figures_of(name, options, seed, *, epochs=8):
    generator = np.random.default_rng(seed)
    image, target, group = spots(2048, confounding=CONFOUNDING, generator=generator)
    tested, wanted, tone = spots(3000, confounding=0.0, generator=generator)
    torch.manual_seed(seed)
    if name != "erm":
        options = {"n_groups": K, **options}
    method = METHODS[name](network(), 32, **options)
    optimizers = method.optimizers(RATES)
    for _ in range(epochs):
        for rows in torch.randperm(2048).split(64):
            take_step(method, optimizers, Batch(image[rows], target[rows].float(), group[rows]))
    method.eval()
    with torch.no_grad():
        features = method.backbone(tested).numpy()
        logit = method(tested).numpy()
    by_group = [auroc(wanted[tone == k].numpy(), logit[tone == k]) for k in range(K)]
    found = probe_features(features, tone.numpy(), np.arange(len(tone)), name=name)
    return {
        "probe": found.balanced_accuracy,
        "auroc": auroc(wanted.numpy(), logit),
        "worst": min(by_group),
        "gap": max(by_group) - min(by_group),
    }


def interval(differences):
    """Return the 95 % t interval of the mean of paired differences."""
    values = np.array(differences)
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean() - half, values.mean() + half


@pytest.fixture(scope="module")
def measured():
    return {
        name: [figures_of(name, options, seed) for seed in range(SEEDS)]
        for name, options in OPTIONS.items()
    }


@pytest.mark.slow
@pytest.mark.xfail(
    strict=False,
    reason="not reached with any constants tried: docs/train.md, What was measured",
)
@pytest.mark.parametrize("figure", ["probe", "gap"])
@pytest.mark.parametrize("name", ["lntl", "tabe", "clgr"])
def test_a_method_lowers_the_probe_and_the_gap_against_erm(measured, name, figure):
    pairs = zip(measured[name], measured["erm"], strict=True)
    _, high = interval([one[figure] - other[figure] for one, other in pairs])
    assert high < 0
