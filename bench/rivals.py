r"""Other packages on the same tables with known truth: the gap's interval, false claims, time.

    python -m venv rivals && rivals/bin/pip install . fairlearn fmm-fairness-eval model-auditor \
        fairscope aequitas confidenceinterval
    rivals/bin/python bench/rivals.py [--draws 40] [--replicates 300] [--only 'no gap']

The gap is the greatest sensitivity of a group minus the least. Coverage: how often the 95 %
interval that a package gives for it holds the true gap; of a package that compares groups with a
reference, how often each interval holds that group's true difference. A claim is an interval that
excludes 0 (for ours: an established difference). What is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from scipy.stats import norm

PACKAGES = {  # by the name that pip takes: the module
    "equiderm": "equiderm",
    "fairlearn": "fairlearn",
    "fmm-fairness-eval": "fmm_fairness",
    "model-auditor": "model_auditor",
    "fairscope": "fairscope",
    "aequitas": "aequitas",
    "confidenceinterval": "confidenceinterval",
}
WITHOUT_GAP = {
    "fairscope": "an interval of each group's AUROC; none of a gap",
    "aequitas": "figures, disparities and parity by threshold; no intervals",
    "confidenceinterval": "an interval of one figure of one group; none of a gap",
}
SIZES = np.array([600, 400, 200])


class Design(NamedTuple):
    """One kind of table: three groups, sensitivity 0.80 but in the third."""

    third: float = 0.80
    images_per_patient: int = 1


DESIGNS = {
    "no gap": Design(),
    "no gap, 4 images per patient": Design(images_per_patient=4),
    "gap of 0.20": Design(third=0.60),
}


class Answer(NamedTuple):
    """What a package says of one table: intervals, each with what it should hold, and a claim."""

    intervals: list[tuple[float, float, float]]
    claim: bool


def table(random: np.random.Generator, one: Design) -> pd.DataFrame:
    """Return one table of 1,200 images, 30 % positive."""
    group = np.repeat([1, 2, 3], SIZES)
    patient = np.concatenate(
        [k * 10_000 + np.arange(size) // one.images_per_patient for k, size in enumerate(SIZES)]
    )
    _, place = np.unique(patient, return_inverse=True)
    target = random.random(len(group)) < 0.3
    share = 0.5 if one.images_per_patient > 1 else 0.0
    shared = random.normal(size=place.max() + 1)[place]
    noise = np.sqrt(share) * shared + np.sqrt(1 - share) * random.normal(size=len(group))
    reach = np.where(group == 3, norm.ppf(one.third), norm.ppf(0.80))
    noise += np.where(target, reach, -norm.ppf(0.80))
    columns = {"target": target.astype(int), "score": 1 / (1 + np.exp(-noise)), "tone": group}
    return pd.DataFrame(columns).assign(patient_id=place)


def with_equiderm(made: pd.DataFrame, one: Design, replicates: int) -> Answer:
    """Return our gap and whether the verdict on sensitivity is a gap."""
    from equiderm.audit import Options, audit

    patient = "patient_id" if one.images_per_patient > 1 else None
    result = audit(made, by="tone", patient=patient, options=Options(replicates=replicates))
    gap = result.gap("sensitivity")
    rows = result.results["tone"].differences().compared("sensitivity")
    claim = any(row.established for row in rows)
    return Answer([(gap.low, gap.high, 0.80 - one.third)], claim)


def with_fairlearn(made: pd.DataFrame, one: Design, replicates: int) -> Answer:
    """Return the bootstrap interval of MetricFrame.difference."""
    from fairlearn.metrics import MetricFrame, true_positive_rate

    frame = MetricFrame(
        metrics=true_positive_rate,
        y_true=made["target"],
        y_pred=(made["score"] >= 0.5).astype(int),
        sensitive_features=made["tone"],
        n_boot=replicates,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )
    low, high = map(float, frame.difference_ci())
    return Answer([(low, high, 0.80 - one.third)], low > 0)


def with_fmm(made: pd.DataFrame, one: Design, replicates: int) -> Answer:
    """Return the bootstrap interval of equal_opportunity_gap."""
    from fmm_fairness.metrics import equal_opportunity_gap

    given = made.assign(
        y_true=made["target"], y_pred=(made["score"] >= 0.5).astype(int), y_score=made["score"]
    )
    gap = equal_opportunity_gap(given, "tone", bootstrap_iters=replicates)
    return Answer([(gap.gap_ci_low, gap.gap_ci_high, 0.80 - one.third)], gap.gap_ci_low > 0)


def with_model_auditor(made: pd.DataFrame, one: Design, replicates: int) -> Answer:
    """Return the difference of each group and the largest, with whole patients resampled."""
    from model_auditor import Auditor, InferenceConfig
    from model_auditor.metrics import Sensitivity

    auditor = Auditor(data=made.assign(tone=made["tone"].astype(str)))
    auditor.add_feature(name="tone", label="tone")
    auditor.add_score(name="score", threshold=0.5)
    auditor.add_outcome(name="target")
    auditor.set_metrics([Sensitivity()])
    inference = InferenceConfig(random_state=0)
    if one.images_per_patient > 1:
        inference = InferenceConfig(random_state=0, resampling="cluster", cluster="patient_id")
    result = auditor.compare_groups(
        "score", "tone", "1", n_bootstraps=replicates, inference=inference
    )
    levels = next(iter(result.features.values())).levels
    intervals: list[tuple[float, float, float]] = []
    for name, level in levels.items():
        low, high = next(iter(level.metrics.values())).interval
        intervals.append((float(low), float(high), (one.third if name == "3" else 0.80) - 0.80))
    return Answer(intervals, any(low > 0 or high < 0 for low, high, _ in intervals))


RUN: dict[str, Callable[[pd.DataFrame, Design, int], Answer]] = {
    "equiderm": with_equiderm,
    "fmm-fairness-eval": with_fmm,
    "model-auditor": with_model_auditor,
    "fairlearn": with_fairlearn,
}


def installed() -> dict[str, str]:
    """Return the version of each package that can be imported, and print what is absent."""
    there: dict[str, str] = {}
    for name, module in PACKAGES.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            print(f"not here: {name} ({error})")
        else:
            there[name] = importlib.metadata.version(name)
    return there


def main() -> None:
    """Print a row per kind of table and package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--replicates", type=int, default=300)
    parser.add_argument("--only", nargs="*", default=list(DESIGNS), choices=list(DESIGNS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    there = installed()
    versions = ", ".join(f"{name} {number}" for name, number in there.items())
    print(f"{datetime.now(UTC):%d %B %Y}: {versions}; {arguments.draws} tables each")
    for name, what in WITHOUT_GAP.items():
        if name in there:
            print(f"{name} gives {what}.")
    print(
        "\n| tables | package | interval holds the truth | claims | time |\n|---|---|---|---|---|"
    )
    for kind in arguments.only:
        one, ours = DESIGNS[kind], 1.0
        for name, run in RUN.items():
            if name not in there:
                continue
            held = seen = claims = 0
            run(table(np.random.default_rng(0), one), one, 100)  # what is imported, is not timed
            start = time.process_time()
            for k in range(arguments.draws):
                answer = run(table(np.random.default_rng([8, k]), one), one, arguments.replicates)
                claims += answer.claim
                seen += len(answer.intervals)
                held += sum(low <= true <= high for low, high, true in answer.intervals)
            took = time.process_time() - start
            ours = took if name == "equiderm" else ours
            cells = f"{held} of {seen} | {claims} of {arguments.draws} | {took / ours:.1f}"
            print(f"| {kind} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
