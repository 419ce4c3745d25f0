"""How far a network is misled by tone that decides the diagnosis of its training images.

    python bench/drawn_confounding.py [--images 3000] [--test 1200] [--seeds 1] [--epochs 12]

A network of four convolutions learns drawn images of 64 px, once without and once with tone
deciding the diagnosis of 90 % of them, and is tested on images without. Printed: AUROC with its
interval, and the share of melanomas called malignant on dark and on lighter skin at the threshold
that calls 30 % of all test images so; the best constant answer has an AUROC of 0.5.
"""

import argparse

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from equiderm.audit import audit
from equiderm.data.synthetic import synthesize


def main() -> None:
    """Print a line per training set and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--test", type=int, default=1200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    test = synthesize(arguments.test, size=64, split="test")
    dark = (test.table["skin_ita"] < 10).to_numpy()
    truth = test.table["target"].to_numpy(int) == 1
    for confounding in (0.0, 0.9):
        train = synthesize(arguments.images, size=64, confounding=confounding)
        target = train.table["target"].to_numpy(np.float32)
        for seed in range(arguments.seeds):
            network = _train(train.images, target, seed, arguments.epochs)
            score = _scores(network, test.images)
            table = test.table[["image_id", "patient_id", "target"]].assign(score=score)
            table["skin"] = np.where(dark, "dark", "lighter")
            auroc = audit(table, by="skin").figure("auroc")
            called = score >= np.quantile(score, 0.7)
            shares = [called[truth & rows].mean() for rows in (dark, ~dark)]
            called_of = [
                f"{share:.0%} of {(truth & rows).sum()}"
                for share, rows in zip(shares, (dark, ~dark), strict=True)
            ]
            print(
                f"confounding {confounding}, seed {seed}: AUROC {auroc.value:.2f} "
                f"({auroc.low:.2f} to {auroc.high:.2f}); melanomas called malignant: "
                f"{called_of[0]} on dark skin, {called_of[1]} on lighter",
                flush=True,
            )


def _tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def _train(images: np.ndarray, target: np.ndarray, seed: int, epochs: int) -> nn.Module:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    pixels, truth = _tensor(images), torch.from_numpy(target)
    for _ in range(epochs):
        for batch in torch.randperm(len(pixels)).split(64):
            optimizer.zero_grad()
            logits = network(pixels[batch])[:, 0]
            binary_cross_entropy_with_logits(logits, truth[batch]).backward()
            optimizer.step()
    return network.eval()


@torch.no_grad()
def _scores(network: nn.Module, images: np.ndarray) -> np.ndarray:
    return network(_tensor(images))[:, 0].sigmoid().numpy()


if __name__ == "__main__":
    main()
