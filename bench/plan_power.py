"""How often a drop is noticed in test sets of the size that `equiderm plan` gives for it.

    python bench/plan_power.py [--draws 400] [--match clustered]

Three groups of tone; scores are normal in both classes. The drop is built into the dark group: for
the AUROC its classes stand closer, for sensitivity (specificity) its positives (negatives) move
towards the threshold. A test set's drop is noticed where the audit's own test of the figure
establishes any difference between the groups. The aim is 80 %.
"""

from __future__ import annotations

import argparse
import os
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.special import ndtr
from scipy.stats import norm

from equiderm.audit import audit
from equiderm.audit.planning import Need, plan


class Design(NamedTuple):
    """What is planned, as `plan` takes it."""

    drop: float
    base: float
    metric: str = "sensitivity"
    prevalence: float = 0.25
    images_per_patient: int = 1
    correlation: float = 0.0
    others: float | None = None


DESIGNS: dict[str, Design] = {
    "sensitivity 0.80 to 0.70": Design(0.10, 0.80),
    "sensitivity 0.90 to 0.70": Design(0.20, 0.90),
    "sensitivity 0.80 to 0.60, 400 others each": Design(0.20, 0.80, others=400),
    "specificity 0.80 to 0.70": Design(0.10, 0.80, "specificity"),
    "AUROC 0.85 to 0.80": Design(0.05, 0.85, "auroc"),
    "AUROC 0.90 to 0.80, 5 % positive": Design(0.10, 0.90, "auroc", prevalence=0.05),
    "clustered: sensitivity 0.80 to 0.70, 3 images, 0.3": Design(
        0.10, 0.80, images_per_patient=3, correlation=0.3
    ),
    "clustered: sensitivity 0.80 to 0.65, 2 images, 0.5": Design(
        0.15, 0.80, images_per_patient=2, correlation=0.5
    ),
    "clustered: specificity 0.80 to 0.70, 5 images, 0.2": Design(
        0.10, 0.80, "specificity", 0.5, 5, 0.2
    ),
    "clustered: AUROC 0.85 to 0.78, 3 images, 0.3": Design(
        0.07, 0.85, "auroc", images_per_patient=3, correlation=0.3
    ),
}


def latent(share: float, correlation: float) -> float:
    """Return the normal correlation that gives a share of right calls this correlation."""
    if correlation == 0:
        return 0.0
    edge, grid = norm.ppf(share), norm.ppf((np.arange(2000) + 0.5) / 2000)

    def seen(rho: float) -> float:
        given = ndtr((edge + np.sqrt(rho) * grid) / np.sqrt(1 - rho))
        return float(given.var() / (share * (1 - share)))

    low, high = 0.0, 0.999
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if seen(middle) < correlation else (low, middle)
    return low


def scores(
    random: np.random.Generator, images: int, size: int, reach: float, rho: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return scores of one class about ``reach``, and whose they are."""
    patient = np.arange(images) // size
    shared = random.normal(size=patient[-1] + 1)[patient]
    return reach + np.sqrt(rho) * shared + np.sqrt(1 - rho) * random.normal(size=images), patient


def noticed(random: np.random.Generator, one: Design, need: Need, rho: float) -> bool:
    """Return whether one test set of the planned size shows the drop."""
    odds = one.prevalence / (1 - one.prevalence)
    negative = one.metric == "specificity"

    def counts(images: float) -> tuple[int, int]:
        pair = (images * odds, images) if negative else (images, images / odds)
        return int(np.ceil(pair[0])), int(np.ceil(pair[1]))

    rest = counts(need.images) if one.others is None else (one.others, int(one.others / odds))
    parts: list[tuple[np.ndarray, ...]] = []
    first = 0
    for tone, (m, n) in enumerate((rest, rest, counts(need.images))):
        drop = one.drop if tone == 2 else 0.0
        up, down = norm.ppf(0.80), -norm.ppf(0.80)
        if one.metric == "auroc":
            half = np.sqrt(2) * norm.ppf(one.base - drop) / 2
            up, down = half, -half
        elif negative:
            down = -norm.ppf(one.base - drop)
        else:
            up = norm.ppf(one.base - drop)
        for target, images, reach in ((1, int(m), up), (0, int(n), down)):
            value, patient = scores(random, images, one.images_per_patient, float(reach), rho)
            columns = np.full(images, target), ndtr(value), np.full(images, tone), patient + first
            parts.append(columns)
            first += int(patient[-1]) + 1
    target, score, group, patient = (np.concatenate([part[k] for part in parts]) for k in range(4))
    grouped = one.images_per_patient > 1
    made = audit(target=target, score=score, by=group, patient=patient if grouped else None)
    rows = made.results["group"].differences().compared(one.metric)
    return any(row.established for row in rows)


def main() -> None:
    """Print a row per design."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--match", default="", help="only designs whose name holds this")
    arguments = parser.parse_args()
    noise = 196 * np.sqrt(0.8 * 0.2 / arguments.draws)
    print(f"{arguments.draws} test sets each; a true 80 % shows as 80 +- {noise:.1f} %")
    print("\n| drop | images of dark skin | patients | noticed, % |\n|---|---|---|---|")
    for name, one in DESIGNS.items():
        if arguments.match not in name:
            continue
        need = plan(
            metrics=one.metric,
            drop=one.drop,
            base=one.base,
            prevalence=one.prevalence,
            images_per_patient=one.images_per_patient,
            correlation=one.correlation,
            others=one.others,
        ).needs[0]
        rho = latent(0.80 if one.metric == "auroc" else one.base, one.correlation)
        hits = sum(
            noticed(np.random.default_rng([7, k]), one, need, rho) for k in range(arguments.draws)
        )
        share = 100 * hits / arguments.draws
        print(f"| {name} | {need.images:,.0f} | {need.patients:,.0f} | {share:.1f} |", flush=True)


if __name__ == "__main__":
    main()
