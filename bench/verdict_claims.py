"""How often the audit claims a gap: where there is none, and where there is one of known size.

    python bench/verdict_claims.py [--draws 2000] [--only none masked power pairs]

Scores are binormal on the log-odds scale. "none": tables without a gap; a claim is a finding of
AUROC, sensitivity or specificity that is called a gap. Where scores are shifted or scaled between
groups, sensitivity and specificity do differ, so there only claims of the AUROC count. "masked":
AUROC 0.80 against 0.90 with a small third group. "power": the drop that an audit of one table
calls noticeable in 80 of 100 is built into new tables of the same sizes. "pairs": two models on the
same images, whose sensitivities truly differ by 0.08.
"""

from __future__ import annotations

import argparse
import itertools
import os
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.stats import multinomial, norm

from equiderm.audit import audit
from equiderm.audit.audit import Audit
from equiderm.audit.comparison import closed_difference
from equiderm.audit.metrics import HEADLINE
from equiderm.statistics.intervals import Z95, tango


class Group(NamedTuple):
    """One group of a simulated table: rows are per patient where ``patients`` is not 0."""

    rows: int
    auroc: float = 0.85
    prevalence: float = 0.3
    shift: float = 0.0
    scale: float = 1.0
    patients: int = 0
    raised: float = 0.0  # threshold for this group's positives only: its sensitivity alone falls


SHARED = 0.6  # standard deviation of what a patient's images share; the whole has 1
ANY, RANKS = HEADLINE, ("auroc",)
NONE: dict[str, tuple[list[Group], tuple[str, ...]]] = {
    "1000 / 1000": ([Group(1000)] * 2, ANY),
    "15 / 200 / 2000": ([Group(15), Group(200), Group(2000)], ANY),
    "six groups: 100, 200, 300, 300, 200, 40": (
        [Group(n) for n in (100, 200, 300, 300, 200, 40)],
        ANY,
    ),
    "12 patients x 20 images in two groups": ([Group(20, patients=6)] * 2, ANY),
    "12 and 12 patients x 20 images": ([Group(20, patients=12)] * 2, ANY),
    "100 and 40 patients x 5 images": ([Group(5, patients=100), Group(5, patients=40)], ANY),
    "5 % against 50 % positive": (
        [Group(1000, prevalence=0.05), Group(1000, prevalence=0.5)],
        ANY,
    ),
    "shifted by 1.5": ([Group(1000), Group(1000, shift=1.5)], RANKS),
    "shifted, three groups": ([Group(500), Group(1000, shift=1.5), Group(300, shift=-1)], RANKS),
    "scaled by 2 about 0.5": ([Group(1000), Group(1000, scale=2.0)], ANY),
}
MASKED: dict[str, list[Group]] = {
    "0.80 / 0.90": [Group(1000, 0.80), Group(1000, 0.90)],
    "and 15 more": [Group(1000, 0.80), Group(1000, 0.90), Group(15, 0.85)],
    "and 60 more": [Group(1000, 0.80), Group(1000, 0.90), Group(60, 0.85)],
}
PAIRS = (  # positives, patients, the part of their noise that both models share
    (10, 0, 0.7), (20, 0, 0.7), (50, 0, 0.7), (20, 40, 0.7), (50, 60, 0.7), (50, 0, 0.995),
    (300, 0, 0.995),
)  # fmt: skip
EXACT = (0.05, 0.1, 0.2, 0.35, 0.5)  # shares of rows on which two models differ
POWER: dict[str, list[Group]] = {
    "1000 / 1000": [Group(1000)] * 2,
    "200 / 2000": [Group(200), Group(2000)],
    "six groups of 400": [Group(400)] * 6,
    "15 / 200 / 2000": [Group(15), Group(200), Group(2000)],
    "60 and 60 patients x 5 images": [Group(5, patients=60)] * 2,
}


def separation(auroc: float) -> float:
    """Return the distance of two unit normal distributions that gives this AUROC."""
    return float(np.sqrt(2) * norm.ppf(auroc))


def table(random: np.random.Generator, groups: list[Group]) -> Audit:
    """Return the audit of one simulated table."""
    parts: list[tuple[np.ndarray, ...]] = []
    first = 0
    for k, one in enumerate(groups):
        count = one.patients or one.rows
        rows = count * one.rows if one.patients else one.rows
        patient = np.arange(rows) % count
        target = random.random(rows) < one.prevalence
        noise = random.normal(size=rows)
        if one.patients:
            shared = random.normal(size=count)[patient]
            noise = SHARED * shared + np.sqrt(1 - SHARED**2) * noise
        logit = one.scale * (noise + separation(one.auroc) * target - 1.3) + one.shift
        logit -= one.raised * target
        score = 1 / (1 + np.exp(-logit))
        parts.append((target, score, np.full(rows, k), patient + first))
        first += count
    target, score, group, patient = (np.concatenate([part[k] for part in parts]) for k in range(4))
    clustered = any(one.patients for one in groups)
    return audit(target=target, score=score, by=group, patient=patient if clustered else None)


def claims(made: Audit, metrics: tuple[str, ...] = ANY) -> bool:
    """Return whether a difference of one of the figures is established."""
    differences = made.results["group"].differences()
    return any(row.established for name in metrics for row in differences.compared(name))


def share(draws: int, groups: list[Group], metrics: tuple[str, ...], seed: int) -> float:
    """Return the percentage of tables with a claim."""
    count = 0
    for k in range(draws):
        count += claims(table(np.random.default_rng([seed, k]), groups), metrics)
    return 100 * count / draws


def power(draws: int, groups: list[Group], seed: int) -> list[float]:
    """Return how often the drop that one table calls noticeable is noticed, AUROC and sensitivity.

    The drop is built into the first group, and is the median of those that 101 tables give.
    """
    noticed: list[float] = []
    some = [table(np.random.default_rng([seed, 1, k]), groups) for k in range(101)]
    for metric in ("auroc", "sensitivity"):
        drop = float(np.median([made.gap(metric).detectable.get("0", np.nan) for made in some]))
        if drop != drop:
            noticed.append(drop)
            continue
        one = groups[0]
        if metric == "auroc":
            moved = one._replace(auroc=one.auroc - drop)
        else:
            reach = separation(one.auroc) - 1.3
            moved = one._replace(raised=reach - float(norm.ppf(norm.cdf(reach) - drop)))
        noticed.append(share(draws, [moved, *groups[1:]], (metric,), seed + 1))
    return noticed


def paired_coverage(
    draws: int, positives: int, patients: int, seed: int, alike: float = 0.7
) -> dict[str, float]:
    """Return how often the interval of a true difference of two models holds it, in percent.

    ``alike`` is the part of their noise that the models share; their sensitivities differ by 0.08
    at a score of 0.5.
    """
    reach = {"a": float(norm.ppf(0.60)), "b": float(norm.ppf(0.52))}
    true = {
        "sensitivity": 0.08,
        "auroc": float(np.subtract(*(norm.cdf((r + 1.0) / np.sqrt(2)) for r in reach.values()))),
    }
    held = dict.fromkeys(true, 0)
    for k in range(draws):
        random = np.random.default_rng([seed, k])
        target = np.arange(4 * positives) < positives
        patient = random.permutation(len(target)) % patients if patients else None
        shared = random.normal(size=len(target))
        if patient is not None:
            of_patient = random.normal(size=patients)[patient]
            shared = SHARED * of_patient + np.sqrt(1 - SHARED**2) * shared
        pair: list[Audit] = []
        for r in reach.values():
            noise = np.sqrt(alike) * shared + np.sqrt(1 - alike) * random.normal(size=len(target))
            score = 1 / (1 + np.exp(-(noise + np.where(target, r, -1.0))))
            group = np.zeros(len(target), dtype=int)
            pair.append(audit(target=target, score=score, by=group, patient=patient))
        results = [one.results["group"] for one in pair]
        for metric, value in true.items():
            difference = closed_difference(results[0], results[1], metric, "overall")
            low, high = difference.interval(Z95)
            held[metric] += low <= value <= high
    return {metric: 100 * count / draws for metric, count in held.items()}


def exact_coverage(n: int, discordant: float, off: float) -> float:
    """Return how often Tango's interval of two shares of ``n`` rows holds ``off``, in percent.

    Over all counts of rows on which the models differ, a ``discordant`` share of all.
    """
    chances = ((discordant + off) / 2, (discordant - off) / 2, 1 - discordant)
    held = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            low, high = tango((b - c) / n, (b + c) / n, n)
            if low <= off <= high:
                held += float(multinomial.pmf((b, c, n - b - c), n, chances))
    return 100 * held


def main() -> None:
    """Print one table for each question."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--only", nargs="*", default=["none", "masked", "power", "pairs", "exact"])
    parser.add_argument("--match", default="", help="only designs whose name holds this")
    arguments = parser.parse_args()
    draws = arguments.draws
    noise = 196 * np.sqrt(0.05 * 0.95 / draws)
    print(f"{draws} tables each; a true 5 % shows as 5 +- {noise:.1f} %")
    if "none" in arguments.only:
        print("\n| no gap | claims, % |\n|---|---|")
        for name, (groups, metrics) in NONE.items():
            if arguments.match in name:
                print(f"| {name} | {share(draws, groups, metrics, 1):.1f} |", flush=True)
    if "pairs" in arguments.only:
        print("\n| two models, % of intervals that hold | sensitivity | AUROC |\n|---|---|---|")
        for positives, patients, alike in PAIRS:
            found = paired_coverage(draws, positives, patients, 5, alike)
            of = f" and {3 * positives} others" + (f" of {patients} patients" if patients else "")
            of += ", nearly the same model" if alike > 0.9 else ""
            cells = f"{found['sensitivity']:.1f} | {found['auroc']:.1f}"
            print(f"| {positives} positives{of} | {cells} |", flush=True)
    if "exact" in arguments.only:
        print("\n| n | differ on, rows | by, of 100 | held, % |\n|---|---|---|---|")
        for n, discordant, off in itertools.product((10, 15, 20, 30, 50), EXACT, (0.0, 0.08, 0.15)):
            if discordant > off:
                held = exact_coverage(n, discordant, off)
                print(f"| {n} | {n * discordant:.1f} | {100 * off:.0f} | {held:.1f} |", flush=True)
    if "masked" in arguments.only:
        print("\n| AUROC | claims of AUROC, % |\n|---|---|")
        for name, groups in MASKED.items():
            print(f"| {name} | {share(draws, groups, RANKS, 2):.1f} |", flush=True)
    if "power" in arguments.only:
        print("\n| noticed, % (aim: 80) | AUROC | sensitivity |\n|---|---|---|")
        for name, groups in POWER.items():
            if arguments.match in name:
                cells = " | ".join(f"{value:.1f}" for value in power(draws, groups, 3))
                print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
