"""How often the audit's 95 % intervals contain the truth, by simulation.

    python bench/interval_coverage.py [--draws 2000] [--replicates 400] [--jobs 2]
        [--designs rows patients gap] [--sizes 20 50 100 200 500 2000] [--figures auroc ...]

Figures with a closed form (AUROC, sensitivity, specificity, PPV, NPV, selection rate) take a
minute, those that need the bootstrap some hours of one core.

Scores are binormal on the log-odds scale (AUROC 0.85, 30 % positive, one group) so that every true
figure is known: from the formula for the AUROC, from one sample of four million rows for the rest.
"patients": the same with five images a patient that share a part of the score. "gap": three groups
of n rows each whose true AUROCs are 0.90, 0.85 and 0.80.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from scipy.stats import norm

from equiderm.audit import METRICS, Options, audit
from equiderm.audit.metrics import figure, threshold_at_sensitivity, threshold_at_specificity

SIZES = (20, 50, 100, 200, 500, 2000)
PREVALENCE = 0.3
SHARED = 0.6  # standard deviation of what a patient's images share; the whole has 1
THRESHOLD = 0.4


def separation(auroc: float) -> float:
    """Return the distance of two unit normal distributions that gives this AUROC."""
    return float(np.sqrt(2) * norm.ppf(auroc))


def sample(
    random: np.random.Generator, n: int, auroc: float = 0.85, patients: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return target, score and patient of n rows."""
    target = random.random(n) < PREVALENCE
    patient = np.arange(n) // 5 if patients else np.arange(n)
    noise = random.normal(size=n)
    if patients:
        shared = random.normal(size=int(patient.max()) + 1)[patient]
        noise = SHARED * shared + np.sqrt(1 - SHARED**2) * noise
    return target, 1 / (1 + np.exp(-(noise + separation(auroc) * target - 1.3))), patient


def truth() -> dict[str, float]:
    """Return every figure of the distribution that `sample` draws from."""
    target, score, _ = sample(np.random.default_rng(99), 4_000_000)
    cuts = {
        "threshold": THRESHOLD,
        "specificity": threshold_at_specificity(target, score, 0.9),
        "sensitivity": threshold_at_sensitivity(target, score, 0.9),
    }
    return {name: figure(name, target, score, cuts) for name in METRICS} | {"auroc": 0.85}


def draw(task: tuple[int, int, str, int, dict[str, float]]) -> dict[str, tuple[int, int]]:
    """Return, by figure, whether an interval was given and whether it holds the truth."""
    seed, n, design, replicates, true = task
    random = np.random.default_rng([seed, n])
    options = Options(threshold=THRESHOLD, replicates=replicates, seed=seed)
    if design == "gap":
        parts = [sample(random, n, auroc) for auroc in (0.90, 0.85, 0.80)]
        target, score = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        group = np.repeat([0, 1, 2], n)
        gap = audit(target=target, score=score, by=group, options=options).gap("auroc")
        return {"gap of AUROC": (int(not gap.why), int(gap.low <= 0.10 <= gap.high))}
    target, score, patient = sample(random, n, patients=design == "patients")
    if target.all() or not target.any():
        return {}
    made = audit(target=target, score=score, by=np.zeros(n), patient=patient, options=options)
    found: dict[str, tuple[int, int]] = {}
    for name, value in true.items():
        one = made.figure(name)
        found[name] = (int(not one.why), int(one.low <= value <= one.high))
    return found


def main() -> None:
    """Print one table a design: coverage in percent by figure and n."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--designs", nargs="*", default=["rows", "patients", "gap"])
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--figures", nargs="*", choices=METRICS, default=list(METRICS))
    arguments = parser.parse_args()
    true = {name: value for name, value in truth().items() if name in arguments.figures}
    noise = 196 * np.sqrt(0.95 * 0.05 / arguments.draws)
    print(f"{arguments.draws} draws; a true 95 % shows as 95 +- {noise:.1f} %")
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for design in arguments.designs:
            print(f"\n{design:28}" + "".join(f"{n:>8}" for n in arguments.sizes))
            columns: list[dict[str, tuple[int, int]]] = []
            for n in arguments.sizes:
                tasks = [(k, n, design, arguments.replicates, true) for k in range(arguments.draws)]
                sums: dict[str, tuple[int, int]] = {}
                for found in pool.map(draw, tasks, chunksize=20):
                    for name, (given, held) in found.items():
                        before = sums.get(name, (0, 0))
                        sums[name] = before[0] + given, before[1] + given * held
                columns.append(sums)
            for name in columns[-1]:
                cells = [column.get(name, (0, 0)) for column in columns]
                shown = "".join(
                    f"{100 * held / given:8.1f}" if given > arguments.draws / 10 else "       -"
                    for given, held in cells
                )
                print(f"{name:28}{shown}", flush=True)


if __name__ == "__main__":
    main()
