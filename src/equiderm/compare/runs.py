"""The runs of a comparison: every experiment with every seed, trained once, scored on every test.

A run is a folder of `equiderm.training.fit` with, beside it, its scores and probes of each test.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.errors import InputError
from equiderm.files import write_table, write_whole
from equiderm.training import Experiment, Images, fit, load_run, predict, probe
from equiderm.training.probe import FOLDS
from equiderm.training.rows import patients_of, select_rows

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.training import Run


@dataclass(frozen=True)
class Job:
    """One run: an experiment with its seed, and where it lies."""

    name: str
    experiment: Experiment
    folder: Path
    untrained: bool


@dataclass(frozen=True)
class Work:
    """What every job of a comparison shares.

    Attributes:
        manifest: Rows of training, validation and tests.
        images: Their store.
        tests: Test splits.
        group: Column of the experiments' group, which probes read.
        by: Column by which the test sets are grouped; the same unless another is asked for.
    """

    manifest: pd.DataFrame
    images: Images
    tests: tuple[str, ...]
    group: str
    by: str


def check(experiments: Mapping[str, Experiment], manifest: pd.DataFrame) -> tuple[str, ...]:
    """Return the test splits, after checking that the experiments can be compared on them.

    Raises:
        InputError: No ERM among the experiments, experiments of different group columns or sizes,
            one with folds, no test split, or a patient or image of a test split among the rows
            that train or select.
    """
    if not any(one.method["name"] == "erm" for one in experiments.values()):
        raise InputError("no experiment is ERM, with which the others are compared; add one.")
    first = next(iter(experiments.values()))
    for name, one in experiments.items():
        for key in ("group", "size", "train", "validation"):
            if getattr(one.data, key) != getattr(first.data, key):
                raise InputError(
                    f"{name}: [data] {key} differs from that of {next(iter(experiments))}; compare "
                    "experiments on the same rows, groups and size."
                )
        if one.validation.folds:
            raise InputError(f"{name}: has [validation] folds; a comparison trains on all rows.")
        select_rows(one, manifest)
    splits = manifest["split"].dropna().astype(str)
    tests = tuple(sorted(split for split in set(splits) if split.startswith("test")))
    if not tests:
        found = ", ".join(sorted(set(splits)))
        raise InputError(f"manifest: no split is called test or test-...; it has {found}.")
    _check_apart(manifest, (first.data.train, first.data.validation), tests)
    return tests


def _check_apart(manifest: pd.DataFrame, seen: tuple[str, ...], tests: tuple[str, ...]) -> None:
    split = manifest["split"].astype(str)
    who = patients_of(manifest)
    seeing = split.isin(seen).to_numpy()
    for test in tests:
        shared = sorted(set(who[seeing]) & set(who[(split == test).to_numpy()]))
        if test in seen or shared:
            whom = shared[0] if shared else "every row"
            raise InputError(
                f"manifest: {whom} is in split {test!r} and among the rows that train or select; "
                "make the splits with equiderm split."
            )


def make_runs(jobs: list[Job], work: Work, *, workers: int, watch: Callable[[str], None]) -> None:
    """Train, score and probe every job that is not done; the rest is left as it is.

    Args:
        jobs: What to run.
        work: Rows and images.
        workers: Runs at a time, each in a process of its own with one thread or, in turn, one of
            the GPUs; 1 runs them here.
        watch: Called with a sentence after every run.

    Raises:
        InputError: A run that cannot be trained; the message names it.
    """
    for done, (job, trained) in enumerate(_run_all(jobs, work, workers), 1):
        what = "trained" if trained else "found"
        watch(f"{done} of {len(jobs)}: {job.name}, seed {job.experiment.seed}: {what}")


def _run_all(jobs: list[Job], work: Work, workers: int) -> Iterator[tuple[Job, bool]]:
    if workers == 1:
        for job in jobs:
            yield job, run_job(job, work)
        return
    context = multiprocessing.get_context("spawn")
    places = context.SimpleQueue()
    for place in range(workers):
        places.put(place)
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(places,))
    try:
        futures = {pool.submit(run_job, job, work): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _start(places: Any) -> None:
    import torch

    place = places.get()
    torch.set_num_threads(1)
    if gpus := torch.cuda.device_count():
        os.environ["CUDA_VISIBLE_DEVICES"] = str(place % gpus)


def run_job(job: Job, work: Work) -> bool:
    """Train, score and probe one run, each unless it is done; return whether it was trained.

    A run is of the rows that train and validate alone: a test set may be added to finished runs.
    """
    data = job.experiment.data
    split = work.manifest["split"].astype(str)
    seen: Any = work.manifest[split.isin((data.train, data.validation))]
    try:
        before = _finished(job.folder)
        fit(job.experiment, seen, job.folder, images=work.images)
        run: Run | None = None
        for test in work.tests:
            scores, probes = score_path(job.folder, test), probe_path(job.folder, test)
            frame = test_rows(work.manifest, test)
            slim = _slim(frame, work)
            if before and probes.is_file() and _is_of(scores, slim):
                continue
            run = run or load_run(job.folder)
            write_table(predict(run, work.images, slim), scores)
            found = _probe(run, work, frame, untrained=job.untrained)
            with write_whole(probes) as temporary:
                temporary.write_text(json.dumps(found), encoding="utf-8")
    except InputError as error:
        raise InputError(f"{job.name}, seed {job.experiment.seed}: {error}") from error
    return not before


def _finished(folder: Path) -> bool:
    from equiderm.training.checkpoint import RUN

    path = folder / RUN
    return path.is_file() and "history" in json.loads(path.read_text(encoding="utf-8"))


def score_path(folder: Path, test: str) -> Path:
    """Return where a run's scores of a test split lie."""
    return folder / f"{test}.parquet"


def probe_path(folder: Path, test: str) -> Path:
    """Return where a run's probes on a test split lie."""
    return folder / f"{test}-probe.json"


def test_rows(manifest: pd.DataFrame, test: str) -> pd.DataFrame:
    """Return the rows of a test split that have a target, whose `patient_id` is never empty."""
    frame: Any = manifest[(manifest["split"].astype(str) == test) & manifest["target"].notna()]
    return frame.assign(patient_id=patients_of(frame).astype(str)).reset_index(drop=True)


def _slim(frame: pd.DataFrame, work: Work) -> pd.DataFrame:
    columns = dict.fromkeys(["image_id", "patient_id", "target", work.group, work.by])
    return frame[list(columns)].astype({"target": int})


def _is_of(scores: Path, slim: pd.DataFrame) -> bool:
    """Return whether scores are there, and of the same images, targets and groups."""
    import pandas as pd

    if not scores.is_file():
        return False
    found = pd.read_parquet(scores)
    if not set(slim.columns) <= set(found.columns):
        return False
    return found[list(slim.columns)].astype(str).equals(slim.astype(str))


def _probe(run: Run, work: Work, frame: Any, *, untrained: bool) -> dict[str, Any]:
    """Return each probe as a table, over the groups that have the patients for it."""
    sizes = frame.groupby(work.group)["patient_id"].nunique()
    enough = sizes.index[sizes >= FOLDS]
    if len(enough) < 2:
        return {}
    frame = frame[frame[work.group].isin(enough)].reset_index(drop=True)
    found = probe(run, work.images, frame, untrained=untrained)
    return {one.features: dataclasses.asdict(one) for one in found}


def read_scores(jobs: list[Job], test: str, image_ids: list[str]) -> Any:
    """Return the jobs' scores of a test split, shape (jobs, n), in the order of the images."""
    import pandas as pd

    found: list[Any] = []
    for job in jobs:
        frame = pd.read_parquet(score_path(job.folder, test)).set_index("image_id")
        found.append(frame.loc[image_ids, "score"].to_numpy(np.float64))
    return np.stack(found)
