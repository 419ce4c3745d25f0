"""How often the audit's 95 % intervals contain the truth, by simulation.

    python bench/interval_coverage.py [--draws 2000] [--replicates 1000] [--jobs 2]
        [--designs rows patients gap] [--prevalence 0.3] [--auroc 0.85]
        [--sizes 20 50 100 200 500 2000] [--figures auroc ...]

Scores are binormal on the log-odds scale (AUROC 0.85, if not said) so that every true figure is
known: from the formula for the AUROC, from one sample of four million rows for the rest (for the
calibration error in as many bins as the n rows get). "patients": the same with five images a
patient that share a part of the score. "gap": three groups of n rows each whose true AUROCs are
0.90, 0.85 and 0.80.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.stats import norm

from equiderm.audit import METRICS, Options, audit
from equiderm.audit.calibration import CALIBRATION_BINS, ROWS_PER_BIN
from equiderm.audit.groupings import Grouping
from equiderm.audit.groups import ByGroup
from equiderm.audit.input import Study
from equiderm.audit.metrics import figure
from equiderm.audit.thresholds import threshold_at_sensitivity, threshold_at_specificity

SIZES = (20, 50, 100, 200, 500, 2000)
SHARED = 0.6  # standard deviation of what a patient's images share; the whole has 1
THRESHOLD = 0.4
GAP = "gap of AUROC"


class Task(NamedTuple):
    """One simulated data set, and the figures that its intervals should hold."""

    seed: int
    n: int
    design: str
    prevalence: float
    auroc: float
    replicates: int
    true: dict[str, float]


def separation(auroc: float) -> float:
    """Return the distance of two unit normal distributions that gives this AUROC."""
    return float(np.sqrt(2) * norm.ppf(auroc))


def sample(
    random: np.random.Generator,
    n: int,
    prevalence: float,
    auroc: float,
    patients: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return target, score and patient of n rows."""
    target = random.random(n) < prevalence
    patient = np.arange(n) // 5
    noise = random.normal(size=n)
    if patients:
        shared = random.normal(size=int(patient.max()) + 1)[patient]
        noise = SHARED * shared + np.sqrt(1 - SHARED**2) * noise
    return target, 1 / (1 + np.exp(-(noise + separation(auroc) * target - 1.3))), patient


def truth(prevalence: float, auroc: float, sizes: list[int]) -> dict[int, dict[str, float]]:
    """Return, for each n, every figure of the distribution that `sample` draws from."""
    target, score, _ = sample(np.random.default_rng(99), 4_000_000, prevalence, auroc)
    cuts = {
        "threshold": THRESHOLD,
        "specificity": threshold_at_specificity(target, score, 0.9),
        "sensitivity": threshold_at_sensitivity(target, score, 0.9),
    }
    found = {name: figure(name, target, score, cuts) for name in METRICS} | {"auroc": auroc}
    residual = (target - score)[np.argsort(score)]
    errors = {
        bins: sum(abs(part.sum()) for part in np.array_split(residual, bins)) / len(residual)
        for bins in range(1, CALIBRATION_BINS + 1)
    }
    bins_of = {n: max(1, min(CALIBRATION_BINS, n // ROWS_PER_BIN)) for n in sizes}
    return {n: found | {"calibration_error": float(errors[bins])} for n, bins in bins_of.items()}


def draw(task: Task) -> dict[str, tuple[int, int]]:
    """Return, by figure, whether an interval was given and whether it holds the truth."""
    random = np.random.default_rng([task.seed, task.n])
    if task.design == "gap":
        parts = [sample(random, task.n, task.prevalence, auroc) for auroc in (0.90, 0.85, 0.80)]
        target, score = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        group = np.repeat([0, 1, 2], task.n)
        # The gap's interval comes from those of the groups; only its null is resampled.
        options = Options(threshold=THRESHOLD, replicates=2)
        gap = audit(target=target, score=score, by=group, options=options).gap("auroc")
        return {GAP: (int(not gap.why), int(gap.low <= 0.10 <= gap.high))}
    patients = task.design == "patients"
    target, score, patient = sample(random, task.n, task.prevalence, task.auroc, patients)
    if target.all() or not target.any():
        return {}
    study = Study("simulated", target, score, (), patient if patients else None)
    nobody = Grouping("nothing", (), np.full(task.n, -1), ())
    options = Options(threshold=THRESHOLD, replicates=task.replicates, seed=task.seed)
    made = ByGroup(study, nobody, options)
    found: dict[str, tuple[int, int]] = {}
    for name, value in task.true.items():
        one = made.figure(name)
        found[name] = (int(not one.why), int(one.low <= value <= one.high))
    return found


def coverage(pool: ProcessPoolExecutor, tasks: list[Task]) -> dict[str, str]:
    """Return, by figure, the share of intervals that hold the truth; "-" where few were given."""
    given: dict[str, int] = {}
    held: dict[str, int] = {}
    for found in pool.map(draw, tasks, chunksize=20):
        for name, (is_given, is_held) in found.items():
            given[name] = given.get(name, 0) + is_given
            held[name] = held.get(name, 0) + is_given * is_held
    return {
        name: f"{100 * held[name] / count:.1f}" if count > len(tasks) / 10 else "-"
        for name, count in given.items()
    }


def main() -> None:
    """Print one table a design: coverage in percent by figure and n."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--designs", nargs="*", default=["rows", "patients", "gap"])
    parser.add_argument("--prevalence", type=float, default=0.3)
    parser.add_argument("--auroc", type=float, default=0.85, help="of rows and patients")
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--figures", nargs="*", choices=METRICS, default=list(METRICS))
    arguments = parser.parse_args()
    true = truth(arguments.prevalence, arguments.auroc, list(arguments.sizes))
    noise = 196 * np.sqrt(0.95 * 0.05 / arguments.draws)
    print(f"{arguments.draws} draws, {arguments.prevalence:.0%} positive, one bootstrap of")
    print(f"{arguments.replicates} replicates each; a true 95 % shows as 95 +- {noise:.1f} %")
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for design in arguments.designs:
            columns: list[dict[str, str]] = []
            for n in arguments.sizes:
                wanted = {name: true[n][name] for name in arguments.figures}
                shared = arguments.prevalence, arguments.auroc, arguments.replicates, wanted
                tasks = [Task(k, n, design, *shared) for k in range(arguments.draws)]
                columns.append(coverage(pool, tasks))
            print(f"\n| {design} |" + "".join(f" {n:,} |" for n in arguments.sizes))
            print("|---" * (1 + len(arguments.sizes)) + "|")
            for name in [GAP] if design == "gap" else arguments.figures:
                cells = " | ".join(column.get(name, "-") for column in columns)
                print(f"| `{name}` | {cells} |", flush=True)


if __name__ == "__main__":
    main()
