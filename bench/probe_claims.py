"""Probes of drawn features with known truth: how often their 95 % intervals miss it.

    python bench/probe_claims.py [--draws 200] [--seed 0] [--match noise]

Features are standard normal; the first tells the groups apart by ``signal`` standard deviations.
Without a signal the truth is chance. With one it is the mean figure over all draws of the design:
what probes trained on so many rows reach. Printed are the mean, its standard deviation over draws
beside the one that the intervals tell, and how often an interval lies above or below the truth.
"""

from __future__ import annotations

import argparse
import os
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from equiderm.statistics.intervals import Z95, wilson
from equiderm.training.probe import probe_features, probe_number


class Design(NamedTuple):
    """One simulated set of features."""

    rows: int = 400
    features: int = 64
    signal: float = 0.0
    groups: tuple[float, ...] = (0.5, 0.5)  # none: a number in place of a group
    images_per_patient: int = 2


DESIGNS = {
    "noise": Design(),
    "noise, 200 rows": Design(200),
    "noise, 2,000 rows": Design(2000),
    "noise, 512 features": Design(features=512),
    "noise, one image a patient": Design(images_per_patient=1),
    "noise, 8 images a patient": Design(images_per_patient=8),
    "noise, three uneven groups": Design(600, groups=(0.6, 0.3, 0.1)),
    "noise, a number": Design(groups=()),
    "signal 0.5": Design(signal=0.5),
    "signal 1": Design(signal=1.0),
    "signal 1, 512 features": Design(features=512, signal=1.0),
    "signal 2": Design(signal=2.0),
    "signal 1, three uneven groups": Design(600, signal=1.0, groups=(0.6, 0.3, 0.1)),
    "signal 1, a number": Design(signal=1.0, groups=()),
}


def draw(random: np.random.Generator, one: Design) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, groups (or numbers) and patients."""
    patient = np.arange(one.rows) // one.images_per_patient
    count = int(patient[-1]) + 1
    if one.groups:
        values = random.choice(len(one.groups), count, p=one.groups)[patient].astype(float)
        centre = values.mean()
    else:
        values, centre = random.normal(size=count)[patient], 0.0
    person = random.normal(size=(count, one.features))[patient]  # half of what varies
    features = np.sqrt(0.5) * (person + random.normal(size=(one.rows, one.features)))
    features[:, 0] += one.signal * (values - centre)
    return features.astype(np.float32), values, patient


def figures(random: np.random.Generator, one: Design) -> np.ndarray:
    """Return value, low and high of both probes, shape (2, 3)."""
    features, values, patient = draw(random, one)
    if one.groups:
        done = probe_features(features, values.astype(int), patient, name="drawn")
    else:
        done = probe_number(features, values, patient, name="drawn")
    return np.array([[done.value, done.low, done.high], [done.mlp, done.mlp_low, done.mlp_high]])


def main() -> None:
    """Print a line for each design and probe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--match", default="", help="designs whose name holds this alone")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| design | probe | truth | mean | SD | told SD | above | below | missed (95 %) |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, one in DESIGNS.items():
        if args.match not in name:
            continue
        random = np.random.default_rng(args.seed)
        drawn = np.stack([figures(random, one) for _ in range(args.draws)])  # (draws, 2, 3)
        chance = 1 / len(one.groups) if one.groups else 0.0
        for probe, (value, low, high) in zip(
            ("linear", "network"), drawn.transpose(1, 2, 0), strict=True
        ):
            truth = value.mean() if one.signal else chance
            above, below = int((low > truth).sum()), int((high < truth).sum())
            start, end = wilson((above + below) / args.draws, args.draws)
            told = (high - low).mean() / (2 * Z95)
            print(
                f"| {name} | {probe} | {truth:.3f} | {value.mean():.3f} | {value.std():.3f} | "
                f"{told:.3f} | {above / args.draws:.1%} | {below / args.draws:.1%} | "
                f"{start:.1%} to {end:.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
