"""The comparison: experiments, seeds and a manifest in, every figure with its interval out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.input import make_study
from equiderm.compare.cost import step_costs
from equiderm.compare.runs import Job, Work, check, make_runs, probe_path, read_scores, test_rows
from equiderm.compare.statistics import (
    difference_table,
    figure_table,
    spread,
    t_interval,
    why_missing,
)
from equiderm.training import Experiment, Images
from equiderm.training.rows import select_rows

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TestSet:
    """What was found on one test split.

    Attributes:
        split: Its name.
        n: Images.
        patients: Patients (lesions or images, where those are unknown).
        positives: Images with target 1.
        groups: ``group``, ``n``, ``positives`` and, where it has no AUROC, ``missing``: why.
        figures: ``experiment``, ``figure`` (``overall``, a group, ``worst``, ``gap``), ``value``
            (mean over seeds), ``low``, ``high``, ``seed_deviation``.
        differences: ``experiment``, ``against``, ``figure``, ``difference``, ``low``, ``high``,
            ``p``, ``p_holm``.
        probes: ``experiment``, ``features``, ``value`` (balanced accuracy, mean over seeds),
            ``low``, ``high``, ``chance``, ``n``; empty where too few patients.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    split: str
    n: int
    patients: int
    positives: int
    groups: pd.DataFrame
    figures: pd.DataFrame
    differences: pd.DataFrame
    probes: pd.DataFrame

    def figure(self, experiment: str, figure: str) -> Mapping[str, float]:
        """Return a row of `figures`."""
        table: Any = self.figures
        row = table[(table["experiment"] == experiment) & (table["figure"] == figure)]
        return row.iloc[0].to_dict()


@dataclass(frozen=True)
class Compared:
    """Every experiment on every test split.

    Attributes:
        experiments: By name, in order.
        references: Names of those that are ERM; the others are compared with each.
        seeds: Seeds of the runs.
        group: The group column of the experiments, which probes read.
        by: The column by which test sets are grouped.
        replicates: Bootstrap replicates.
        tests: What was found on each test split.
        costs: Time of a training step on an image, relative to the first reference's.
        selection: For each experiment, ``rule`` and the images of validation that it saw.
    """

    experiments: Mapping[str, Experiment]
    references: tuple[str, ...]
    seeds: tuple[int, ...]
    group: str
    by: str
    replicates: int
    tests: tuple[TestSet, ...]
    costs: Mapping[str, float]
    selection: pd.DataFrame


def compare(
    experiments: Mapping[str, Experiment],
    manifest: pd.DataFrame,
    out: Path,
    *,
    images: Images,
    by: str | None = None,
    seeds: int = 5,
    replicates: int = 2000,
    workers: int = 1,
    watch: Callable[[str], None] | None = None,
) -> Compared:
    """Train what is not trained yet, score every test split, and return the comparison.

    Runs lie in ``out/NAME/seed-K``. One that has finished with the same experiment, seed and rows
    to train on is used as it is; one that was stopped goes on; a test set that is new or has
    changed is scored.

    Args:
        experiments: By name; at least one is ERM. Their own seeds are not used.
        manifest: As for `equiderm.training.fit`; every split whose name starts with ``test`` is
            a test set.
        out: Folder of the runs.
        images: The uint8 store that holds the manifest's images.
        by: Column by which test sets are grouped, where it is not that of the experiments.
        seeds: How many; they are 0, 1, ...
        replicates: Bootstrap replicates.
        workers: Runs at a time; more than 1 are processes of their own.
        watch: Called with a sentence after every run.

    Raises:
        InputError: Experiments or a manifest that cannot be used; a folder of another run.
    """
    tests = check(experiments, manifest)
    first = next(iter(experiments.values()))
    work = Work(manifest, images, tests, first.data.group, by or first.data.group)
    jobs = _jobs(experiments, out, seeds)
    # Seed by seed: a comparison that is stopped has every method on the seeds so far.
    ordered = [jobs[name][k] for k in range(seeds) for name in experiments]
    make_runs(ordered, work, workers=workers, watch=watch or (lambda sentence: None))
    references = tuple(name for name, one in experiments.items() if one.method["name"] == "erm")
    n_groups = len(select_rows(first, manifest).groups)
    return Compared(
        experiments=dict(experiments),
        references=references,
        seeds=tuple(range(seeds)),
        group=work.group,
        by=work.by,
        replicates=replicates,
        tests=tuple(_test_set(jobs, work, test, references, replicates) for test in tests),
        costs=step_costs(experiments, references[0], n_groups=max(n_groups, 2)),
        selection=_selection(experiments, manifest),
    )


def _jobs(experiments: Mapping[str, Experiment], out: Path, seeds: int) -> dict[str, list[Job]]:
    jobs: dict[str, list[Job]] = {}
    probed: set[tuple[str, str]] = set()
    for name, one in experiments.items():
        backbone = (one.backbone.name, one.backbone.weights)
        jobs[name] = [
            Job(
                name,
                dataclasses.replace(one, seed=seed),
                out / name / f"seed-{seed}",
                untrained=backbone not in probed,  # the same for every method around it
            )
            for seed in range(seeds)
        ]
        probed.add(backbone)
    return jobs


def _test_set(
    jobs: dict[str, list[Job]], work: Work, test: str, references: tuple[str, ...], replicates: int
) -> TestSet:
    import pandas as pd

    frame = test_rows(work.manifest, test)
    names = list(jobs)
    ids = frame["image_id"].astype(str).tolist()
    scores = np.stack([read_scores(jobs[name], test, ids) for name in names])
    study = make_study(
        frame.assign(score=np.linspace(0, 1, len(frame))),  # every run has its own
        target="target",
        score="score",
        by=[work.by],
        patient="patient_id",
        name=f"split {test}",
    )
    found = spread(study, scores, replicates=replicates)
    grouping = study.groupings[0]
    groups = [
        {
            "group": label,
            "n": int((grouping.codes == k).sum()),
            "positives": int(study.target[grouping.codes == k].sum()),
            "missing": why_missing(study, k),
        }
        for k, label in enumerate(grouping.labels)
    ]
    return TestSet(
        split=test,
        n=len(frame),
        patients=found.clusters,
        positives=int(study.target.sum()),
        groups=pd.DataFrame(groups),
        figures=figure_table(found, names),
        differences=difference_table(found, names, references),
        probes=_probe_table(jobs, test, found.clusters),
    )


def _probe_table(jobs: dict[str, list[Job]], test: str, clusters: int) -> pd.DataFrame:
    """Mean over seeds; the variance is that over seeds and, of the runs' own, that over images."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name, runs in jobs.items():
        read = [json.loads(probe_path(job.folder, test).read_text("utf-8")) for job in runs]
        for features in ("untrained", "trained"):
            found = [one[features] for one in read if features in one]
            if not found:
                continue
            values = np.array([one["balanced_accuracy"] for one in found])
            ends = np.array([one["high"] - one["low"] for one in found]) / (2 * 1.96)
            over_seeds = values.var(ddof=1) / len(values) if len(values) > 1 else 0.0
            low, high, _ = t_interval(values, float(over_seeds + (ends**2).mean()), clusters)
            row = {"experiment": name, "features": features, "value": float(values.mean())}
            row |= {"low": max(low, 0.0), "high": min(high, 1.0)}
            rows.append({**row, "chance": found[0]["chance"], "n": found[0]["n"]})
    return pd.DataFrame(rows)


def _selection(experiments: Mapping[str, Experiment], manifest: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name, one in experiments.items():
        figure, seen = one.validation.figure, 0
        rule = "the last epoch's weights"
        if figure != "none":
            seen = len(select_rows(one, manifest).validation)
            rule = f"the epoch with the highest {figure} on split {one.data.validation}"
        rows.append({"experiment": name, "rule": rule, "images": seen, "test_images": 0})
    return pd.DataFrame(rows)
