"""How often the audit's 95 % intervals of weighted tables contain the truth, by simulation.

    python bench/weighted_coverage.py [--draws 1000] [--sizes 300 1000] [--designs rows patients]
        [--figures auroc sensitivity ...]

A population of two groups, in which some images are hard, is sampled unequally: positives, the
small group and hard images more often, by factors of 3, 2.9 and 2.5. Each image's weight is one
over its probability to be in the sample. "patients": whole patients of five images are sampled.
The truth is that of 4 million images of the population; beside each coverage stands that of the
same table audited without the weights, which is what they are there to mend.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from equiderm.audit import Audit, Options, audit

FIGURES = ("auroc", "sensitivity", "specificity", "brier", "auprc", "selection_rate")
COMPARED = ("auroc", "sensitivity", "specificity")
THRESHOLD, IMAGES = 0.4, 5
SHARED = 0.6  # standard deviation of what a patient's images share; the whole has 1


class Population(NamedTuple):
    """Images: target, score, group (0 common, 1 rare), patient, chance to be sampled."""

    target: np.ndarray
    score: np.ndarray
    group: np.ndarray
    patient: np.ndarray
    chance: np.ndarray


def population(random: np.random.Generator, n: int, design: str) -> Population:
    """Return n images; by patients these are of five images each."""
    patient = np.arange(n) // (IMAGES if design == "patients" else 1)
    count = int(patient.max()) + 1
    group = (random.random(count) < 0.25)[patient]
    hard = (random.random(count) < 0.4)[patient]
    target = random.random(n) < 0.2
    noise = random.normal(size=n)
    if design == "patients":
        noise = SHARED * random.normal(size=count)[patient] + np.sqrt(1 - SHARED**2) * noise
    apart = np.where(hard, 0.8, 2.0) - 0.4 * group
    score = 1 / (1 + np.exp(-(noise + apart * target - 1.3)))
    positive = np.bincount(patient, weights=target)[patient] > 0
    chance = np.where(positive, 0.9, 0.3) * np.where(group, 1.0, 0.35) * np.where(hard, 1.0, 0.4)
    return Population(target, score, group.astype(int), patient, chance)


def sampled(random: np.random.Generator, n: int, design: str) -> dict[str, np.ndarray]:
    """Return about n sampled images with their weights, as columns."""
    mean = 0.17 if design == "rows" else 0.27
    one = population(random, int(n / mean) // IMAGES * IMAGES, design)
    kept = (random.random(int(one.patient.max()) + 1)[one.patient]) < one.chance
    return {
        "target": one.target[kept].astype(int),
        "score": one.score[kept],
        "group": np.array(["common", "rare"])[one.group[kept]],
        "patient_id": one.patient[kept],
        "w": 1 / one.chance[kept],
    }


def shown(result: Audit, figures: tuple[str, ...]) -> dict[str, tuple[float, float, float]]:
    """Return value and interval of every figure and of the differences of the groups."""
    results = result.results["group"]
    found = {
        f"{metric} {name}": results.figure(metric, name)[:3]
        for metric in figures
        for name in ("overall", "common", "rare")
    }
    for metric in (one for one in figures if one in COMPARED):
        rows = {row.group: row for row in results.differences().compared(metric)}
        if "rare" in rows:
            row = rows["rare"]
            found[f"{metric} rare - common"] = row.difference, row.low, row.high
    return found


def main() -> None:
    """Print coverage with and without the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--designs", nargs="+", default=["rows", "patients"])
    parser.add_argument("--figures", nargs="+", default=list(FIGURES))
    parser.add_argument("--replicates", type=int, default=400)
    given = parser.parse_args()
    figures, options = tuple(given.figures), Options(THRESHOLD, replicates=given.replicates)
    for design in given.designs:
        whole = population(np.random.default_rng(99), 4_000_000, design)
        truth: dict[str, float] = {}
        from equiderm.audit.metrics import figure

        for name, part in (("overall", whole.group >= 0), ("common", whole.group == 0),
                           ("rare", whole.group == 1)):  # fmt: skip
            for metric in figures:
                cuts = {"threshold": THRESHOLD}
                value = figure(metric, whole.target[part], whole.score[part], cuts)
                truth[f"{metric} {name}"] = value
        for metric in figures:
            truth[f"{metric} rare - common"] = truth[f"{metric} rare"] - truth[f"{metric} common"]
        for n in given.sizes:
            hits: dict[str, list[list[float]]] = defaultdict(lambda: [[], [], [], []])
            rows = []
            for seed in range(given.draws):
                table = sampled(np.random.default_rng([seed, n]), n, design)
                rows.append(len(table["target"]))
                for k, weight in enumerate(("w", None)):
                    result = audit(
                        table, by="group", patient="patient_id", weight=weight, options=options
                    )
                    for name, (value, low, high) in shown(result, figures).items():
                        if value == value:
                            hits[name][k].append(float(low <= truth[name] <= high))
                            hits[name][2 + k].append(value - truth[name])
            print(f"\n{design}, {np.mean(rows):.0f} images, {given.draws} tables")
            print(f"{'figure':32} truth  weighted: covers %, bias    without: covers %, bias")
            for name, (weighted, plain, off, off_plain) in hits.items():
                print(
                    f"{name:32} {truth[name]:.3f}  {100 * np.mean(weighted):16.1f} "
                    f"{np.mean(off):+.3f} {100 * np.mean(plain):18.1f} {np.mean(off_plain):+.3f}"
                    f"   of {len(weighted)}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
