"""Speed of the audit's bootstrap as ratios within one run, and the whole report on a large table.

    python bench/audit_speed.py [--rows 20000] [--report-rows 100000]

First the AUROC of six groups: ours against a loop of scikit-learn's ``roc_auc_score`` over as many
draws, and against fairlearn's ``MetricFrame`` with ``n_boot``, as medians of rounds taken in turn,
in processor time so that other work on the machine counts for none. Then the cost for one, two and
four times the rows. Then all figures, the null distribution and the HTML of ``--report-rows`` rows
with 2,000 replicates: seconds and peak memory, in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from equiderm.audit import Options, audit
from equiderm.audit.counting import Segments
from equiderm.statistics.bootstrap import Resampler, replicate

SHARES = (0.34, 0.31, 0.20, 0.10, 0.035, 0.015)
LEVELS = {"threshold": 0.5, "specificity": 0.9, "sensitivity": 0.9}


def make_table(rows: int) -> pd.DataFrame:
    """Return a table with six groups, a tenth positive, and two images a patient."""
    random = np.random.default_rng(0)
    target = random.random(rows) < 0.1
    score = 1 / (1 + np.exp(-(random.normal(size=rows) + 1.6 * target - 1.5)))
    group = random.choice(len(SHARES), rows, p=SHARES)
    patient = np.arange(rows) // 2
    return pd.DataFrame({"target": target * 1, "score": score, "group": group, "patient": patient})


def ours(table: pd.DataFrame, replicates: int) -> np.ndarray:
    """Return the AUROC of each group in each replicate, sorting included."""
    target, score = table["target"].to_numpy() == 1, table["score"].to_numpy()
    group = table["group"].to_numpy()
    order = np.argsort(-score, kind="stable")
    rows = [order[group[order] == k] for k in range(len(SHARES))]
    resampler = Resampler(group)
    segments = Segments(
        *(target, score, rows), levels=LEVELS, metrics=["auroc"], place=resampler.place
    )
    return replicate(
        lambda random, count: segments.count(resampler.draw(random, count)),
        rows=len(table),
        replicates=replicates,
        seed=0,
        workers=1,
    )


def scikit_learn(table: pd.DataFrame, replicates: int) -> np.ndarray:
    """Return the same by ``roc_auc_score`` on the rows written out again."""
    target, score = table["target"].to_numpy(), table["score"].to_numpy()
    group = table["group"].to_numpy()
    members = [np.flatnonzero(group == k) for k in range(len(SHARES))]
    random = np.random.default_rng(0)
    drawn = [[random.choice(rows, len(rows)) for rows in members] for _ in range(replicates)]
    return np.array([[roc_auc_score(target[r], score[r]) for r in one] for one in drawn])


def fairlearn(table: pd.DataFrame, replicates: int) -> object:
    """Return fairlearn's bootstrapped frame of the same figure."""
    from fairlearn.metrics import MetricFrame

    return MetricFrame(
        metrics=roc_auc_score,
        y_true=table["target"],
        y_pred=table["score"],
        sensitive_features=table["group"],
        n_boot=replicates,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )


def seconds(work: Callable[[pd.DataFrame, int], object], table: pd.DataFrame, count: int) -> float:
    """Return the processor's seconds of one replicate; all three use one thread."""
    started = time.process_time()
    work(table, count)
    return (time.process_time() - started) / count


def report(rows: int) -> None:
    """Make the whole report in this process and print seconds and peak memory."""
    started = time.perf_counter()
    made = audit(make_table(rows), by=["group"], patient="patient", options=Options(seed=0))
    size = len(made.to_html())
    taken, busy = time.perf_counter() - started, time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{rows:,} rows, 2,000 replicates, all figures and the page ({size / 1e6:.1f} MB):")
    print(f"  {taken:.1f} s ({busy:.1f} s of processor), peak memory {peak:.0f} MB")


def main() -> None:
    """Print the ratios, the cost by rows, and the whole report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--report-rows", type=int, default=100_000)
    parser.add_argument(
        "--only-report", action="store_true", help="what the process of its own does"
    )
    arguments = parser.parse_args()
    if arguments.only_report:
        report(arguments.report_rows)
        return
    warnings.simplefilter("ignore")  # fairlearn's bootstrap warns of itself
    table = make_table(arguments.rows)
    rounds: list[tuple[float, float, float]] = []
    for _ in range(5):
        fast = seconds(ours, table, 1000)
        rounds.append((fast, seconds(scikit_learn, table, 10), seconds(fairlearn, table, 3)))
    fast = statistics.median(one[0] for one in rounds)
    print(f"{arguments.rows:,} rows, six groups: {1000 * fast:.3f} ms a replicate")
    for k, name in ((1, "roc_auc_score in a loop"), (2, "fairlearn MetricFrame n_boot")):
        slow = statistics.median(one[k] for one in rounds)
        ratio = statistics.median(one[k] / one[0] for one in rounds)
        print(f"  {name}: {1000 * slow:.1f} ms, {ratio:.0f} times ours")
    for times in (1, 2, 4):
        cost = seconds(ours, make_table(times * arguments.rows), 500)
        print(f"  {times} x rows: {cost / fast:.2f} x the time")
    size = str(arguments.report_rows)
    command = [sys.executable, __file__, "--only-report", "--report-rows", size]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
