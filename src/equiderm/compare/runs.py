"""The runs of a comparison: every experiment with every seed, trained once, scored on every test.

A run is a folder of `equiderm.training.fit` with, beside it, its scores and probes of each test.
The file of probes also holds the hashes of the scores and of the weights. They show what has since
been damaged, cut short or taken from another run, which is then computed again.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from equiderm import engine
from equiderm.batch import Target
from equiderm.data.manifest import file_sha256
from equiderm.debias import METHODS
from equiderm.debias.method import BINARY
from equiderm.errors import AnotherRun, Diverged, InputError, InUse
from equiderm.files import only_one, read_json, write_text
from equiderm.tables import write_table
from equiderm.training import Experiment, Images, fit, load_run, predict, probe, read_experiment
from equiderm.training.checkpoint import EXPERIMENT, MODEL, RUN, load_tensors, read_about
from equiderm.training.precision import take_gpu
from equiderm.training.predict import score_columns
from equiderm.training.rows import group_index, patients_of, select_rows

if TYPE_CHECKING:
    from equiderm.debias.method import Method
    from equiderm.training import Run


DIVERGED = "diverged.json"
SAME = ("target", "target_kind", "targets", "group", "numbers", "size", "train", "validation")
POLL = 5.0  # s; how often runs of other processes are looked at


@dataclass(frozen=True)
class Job:
    """One run: an experiment with its seed, and its folder."""

    name: str
    experiment: Experiment
    folder: Path
    untrained: bool


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        state: ``trained``, ``found`` (it had finished), ``diverged`` or ``failed``.
        reason: Why it diverged or failed.
        notes: Files that were not as the run left them, and were computed again.
    """

    state: str
    reason: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    """What every job of a comparison shares.

    Attributes:
        manifest: Rows of training, validation and tests.
        images: Their store.
        tests: Test splits.
        groups: Columns of the experiments' group, which probes read.
        by: Column by which the test sets are grouped; the same unless another is asked for.
        target: Column of what is learned.
        outcome: What its values are.
    """

    manifest: pd.DataFrame
    images: Images
    tests: tuple[str, ...]
    groups: tuple[str, ...]
    by: str
    target: str = "target"
    outcome: Target = BINARY


def check(
    experiments: Mapping[str, Experiment],
    manifest: pd.DataFrame,
    splits: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Return the test splits, after checking that the experiments can be compared on them.

    Args:
        experiments: By name.
        manifest: All rows.
        splits: The test splits; by default all whose name starts with ``test``.

    Raises:
        InputError: No ERM among the experiments, experiments of different group columns or sizes,
            one with folds, no test split, one whose name is a path, or a patient or image of a
            test split among the rows that train or select.
    """
    if not any(experiment.method["name"] == "erm" for experiment in experiments.values()):
        raise InputError("no experiment is ERM, with which the others are compared; add one.")
    first, outcome = next(iter(experiments.values())), BINARY
    for name, experiment in experiments.items():
        for key in SAME:
            if getattr(experiment.data, key) != getattr(first.data, key):
                raise InputError(
                    f"{name}: [data] {key} differs from that of {next(iter(experiments))}; compare "
                    "experiments on the same rows, target, groups and size."
                )
        if experiment.validation.folds:
            raise InputError(f"{name}: has [validation] folds; a comparison trains on all rows.")
        outcome = select_rows(experiment, manifest).outcome
    present = sorted(set(manifest["split"].dropna().astype(str)))
    tests = tuple(dict.fromkeys(splits or [split for split in present if split.startswith("test")]))
    if not tests:
        raise InputError(
            f"manifest: no split is called test or test-...; it has {', '.join(present)}."
        )
    for test in tests:
        if test not in present:
            raise InputError(f"manifest: no split is called {test!r}; it has {', '.join(present)}.")
        if set(test) & set("/\\\0"):  # its files would lie outside the run's folder
            raise InputError(f"manifest: split {test!r} names files; take the / or \\ out.")
        _check_classes(manifest, test, first.data.target, outcome)
    _check_apart(manifest, (first.data.train, first.data.validation), tests)
    return tests


def _check_classes(manifest: pd.DataFrame, test: str, column: str, outcome: Target) -> None:
    """Raise InputError where a test holds a class that no training row has."""
    if outcome.kind not in ("classes", "ordered"):
        return
    values: Any = manifest.loc[manifest["split"].astype(str) == test, column].dropna()
    strange = values[group_index(values, outcome.names) < 0]
    if len(strange):
        raise InputError(
            f"manifest: split {test!r} holds {column} = {strange.iloc[0]}, which no training row "
            f"has ({', '.join(map(str, outcome.names))}); take those rows out, or name all classes "
            "as [data] targets."
        )


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


def make_runs(
    jobs: list[Job],
    work: Work,
    *,
    workers: int,
    watch: Callable[[str], None],
    keep_going: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Outcome]:
    """Train, score and probe every job that is not done; the rest is left as it is.

    A run that diverges is a result: it is noted in its folder, and the others continue. A run that
    another process or machine works on is left to it, and looked at when that has ended.

    Args:
        jobs: What to run.
        work: Rows and images.
        workers: Runs at a time, each in a process of its own with one thread or, in turn, one of
            the GPUs; 1 runs them here.
        watch: Called with a sentence after every run.
        keep_going: Go on after a run that fails otherwise, too.
        progress: Called with the number of runs done and in total.

    Returns:
        The outcome of each job, in their order.

    Raises:
        InputError: A run that cannot be trained; the message names it. Not with ``keep_going``.
    """
    outcomes: dict[Path, Outcome] = {}
    for job, outcome in _run_each_once(jobs, work, workers, watch):
        name = f"{job.name}, seed {job.experiment.seed}"
        if outcome.state == "failed" and not keep_going:
            raise InputError(f"{name}: {outcome.reason}")
        reason = f": {outcome.reason}" if outcome.reason else ""
        outcomes[job.folder] = outcome
        watch(f"{len(outcomes)} of {len(jobs)}: {name}: {outcome.state}{reason}")
        for note in outcome.notes:
            watch(f"   {note}")
        if progress is not None:
            progress(len(outcomes), len(jobs))
    return [outcomes[job.folder] for job in jobs]


def _run_each_once(
    jobs: list[Job], work: Work, workers: int, watch: Callable[[str], None]
) -> Iterator[tuple[Job, Outcome]]:
    """Run what no other process runs, then wait for the rest and run what is left."""
    left, free, waits = jobs, jobs, False
    while left:
        taken: list[Job] = []
        for job, outcome in _run_all(free, work, workers) if free else ():
            if outcome.state != "in use":
                taken.append(job)
                yield job, outcome
        left = [job for job in left if job not in taken]
        free = [job for job in left if not _is_in_use(job.folder)]
        if left and not free:
            if not waits:
                watch(f"{len(left)} of {len(jobs)} are run by other processes; waiting for them.")
            waits = True
            time.sleep(POLL)


def _is_in_use(folder: Path) -> bool:
    try:
        with only_one(folder):
            return False
    except InUse:
        return True


def _run_all(jobs: list[Job], work: Work, workers: int) -> Iterator[tuple[Job, Outcome]]:
    names = {job.experiment.method["name"] for job in jobs}
    shared = (work, {name: METHODS[name] for name in names})
    results = engine.run(_run_one, jobs, shared=shared, workers=workers, largest_chunk=1)
    with closing(results):
        for index, outcome in results:
            if isinstance(outcome, engine.Failure):
                if outcome.error is not None:  # unexpected
                    raise outcome.error
                outcome = Outcome("failed", f"{outcome.reason}; run the same command to resume.")
            yield jobs[index], outcome


def _run_one(job: Job, shared: tuple[Work, Mapping[str, type[Method]]]) -> Outcome:
    work, methods = shared
    METHODS.update(methods)  # a caller may have added some
    take_gpu(engine.place())
    try:
        with only_one(job.folder):
            return run_job(job, work)
    except InUse:
        return Outcome("in use")


def run_job(job: Job, work: Work) -> Outcome:
    """Train, score and probe one run, each unless it is done, and return the outcome.

    A run is of the rows that train and validate alone: a test set may be added to finished runs.
    """
    notes: list[str] = []
    try:
        if reason := _diverged_before(job):
            return Outcome("diverged", reason)
        _set_damaged_aside(job, notes)
        state = "found" if "history" in _read_json(job.folder / RUN) else "trained"
        try:
            _train(job, work)
        except AnotherRun as error:
            _set_aside(job.folder, str(error).partition(";")[0], notes, "other")
            state = "trained"
            _train(job, work)
        try:
            _score(job, work, notes)
        except _Unreadable as error:
            _set_aside(job.folder, str(error), notes)
            state = "trained"
            _train(job, work)
            _score(job, work, notes)
    except Diverged as error:
        about = {"reason": str(error), "experiment": job.experiment.to_toml()}
        write_text(job.folder / DIVERGED, json.dumps(about))
        return Outcome("diverged", str(error), tuple(notes))
    except InputError as error:
        return Outcome("failed", str(error), tuple(notes))
    return Outcome(state, notes=tuple(notes))


class _Unreadable(InputError):
    """A finished run whose weights cannot be read."""


def _train(job: Job, work: Work) -> None:
    data = job.experiment.data
    split = work.manifest["split"].astype(str)
    seen: Any = work.manifest[split.isin((data.train, data.validation))]
    fit(job.experiment, seen, job.folder, images=work.images)


def _score(job: Job, work: Work, notes: list[str]) -> None:
    """Score and probe the tests that are not done."""
    run: Run | None = None
    for test in work.tests:
        frame = test_rows(work, test)
        slim = _slim(frame, work)
        if _is_done(job.folder, test, slim, notes):
            continue
        if run is None:
            try:
                run = load_run(job.folder)
            except InputError as error:
                raise _Unreadable(str(error)) from error
        scores = predict(run, work.images, slim)
        if not np.isfinite(scores[_compared_columns(work.outcome)]).all(axis=None):
            raise Diverged(f"its scores on {test} are not finite; lower the learning rates.")
        probes = _probe(run, work, frame, untrained=job.untrained)
        write_table(scores, score_path(job.folder, test))
        about = {"probes": probes} | _hashes(job.folder, test)
        write_text(probe_path(job.folder, test), json.dumps(about))


def _hashes(folder: Path, test: str) -> dict[str, str]:
    return {
        "scores": file_sha256(score_path(folder, test)),
        "weights": file_sha256(folder / MODEL),
    }


def _is_done(folder: Path, test: str, slim: pd.DataFrame, notes: list[str]) -> bool:
    """Return whether a test is scored and probed as the run left it, on the same rows."""
    scores, probes = score_path(folder, test), probe_path(folder, test)
    if not (scores.is_file() and probes.is_file() and (folder / MODEL).is_file()):
        return False
    about = _read_json(probes)
    if not {"probes", "scores", "weights"} <= about.keys():
        notes.append(f"{probes}: is damaged or of an earlier version; scored and probed again.")
        return False
    now = _hashes(folder, test)
    for key, path in (("scores", scores), ("weights", folder / MODEL)):
        if now[key] != about[key]:
            notes.append(f"{path}: is not what this run wrote; scored and probed again.")
            return False
    return _is_of(scores, slim)


def _diverged_before(job: Job) -> str:
    """Return why this run diverged when it was tried before, or nothing."""
    about = _read_json(job.folder / DIVERGED)
    same = about.get("experiment") == job.experiment.to_toml()
    return str(about.get("reason", "")) if same else ""


def _set_damaged_aside(job: Job, notes: list[str]) -> None:
    """Move a run's folder away where a file of it cannot be read, so that it is trained again."""
    if not (job.folder / RUN).is_file():
        return
    try:
        if "history" in read_about(job.folder):
            read_experiment(job.folder / EXPERIMENT)
            load_tensors(job.folder / MODEL)
    except InputError as error:
        _set_aside(job.folder, str(error).rpartition("; ")[0], notes)


def _set_aside(folder: Path, why: str, notes: list[str], kind: str = "damaged") -> None:
    for k in itertools.count(1):
        aside = folder.with_name(f"{folder.name}-{kind}-{k}")
        if not aside.exists():
            folder.rename(aside)
            notes.append(f"{why.rstrip('.')}; set aside as {aside.name}, trained again.")
            return


def _read_json(path: Path) -> dict[str, Any]:
    """Return the object that a file holds; an empty one where there is none to read."""
    try:
        content = read_json(path, "")
    except InputError:
        return {}
    return content if isinstance(content, dict) else {}


def score_path(folder: Path, test: str) -> Path:
    """Return the file of a run's scores of a test split."""
    return folder / f"{test}.parquet"


def probe_path(folder: Path, test: str) -> Path:
    """Return the file of a run's probes on a test split."""
    return folder / f"{test}-probe.json"


def test_rows(work: Work, test: str) -> pd.DataFrame:
    """Return the rows of a test split that have a target, whose `patient_id` is never empty."""
    frame: Any = work.manifest[work.manifest["split"].astype(str) == test]
    frame = frame[frame[work.target].notna()]
    return frame.assign(patient_id=patients_of(frame).astype(str)).reset_index(drop=True)


def _slim(frame: pd.DataFrame, work: Work) -> pd.DataFrame:
    columns = dict.fromkeys(["image_id", "patient_id", work.target, *work.groups, work.by])
    slim = frame[list(columns)]
    return slim.astype({work.target: int}) if work.outcome.kind == "binary" else slim


def _is_of(scores: Path, slim: pd.DataFrame) -> bool:
    """Return whether scores are of the same images, targets and groups."""
    stored = pd.read_parquet(scores)
    if not set(slim.columns) <= set(stored.columns):
        return False
    return stored[list(slim.columns)].astype(str).equals(slim.astype(str))


def _probe(run: Run, work: Work, frame: Any, *, untrained: bool) -> dict[str, Any]:
    """Return each probe as a table, over the groups that have the patients for it."""
    probes = probe(run, work.images, frame, untrained=untrained, leave_out=True)
    first = run.about["group"]
    return {
        one.features if one.group == first else f"{one.features} {one.group}": asdict(one)
        for one in probes
    }


def axis_of(outcome: Target) -> tuple[int, ...]:
    """Return the last axis of scores: one for the classes, where there are several."""
    return (len(outcome.names),) if outcome.kind == "classes" else ()


def _compared_columns(outcome: Target) -> list[str]:
    """Return the columns of a prediction: the score, those of classes, or the number."""
    if outcome.kind == "binary":
        return ["score"]
    return score_columns(outcome)[:-1] or ["predicted"]


def read_scores(
    jobs: list[Job],
    test: str,
    image_ids: list[str],
    outcome: Target = BINARY,
    lost: Collection[Path] = (),
) -> Any:
    """Return the jobs' scores of a test split, shape (jobs, n), in the order of the images.

    For several classes (jobs, n, classes); for ordered ones the rank of the answer. All NaN for a
    job without scores, and for one whose folder is among the lost.
    """
    scores = np.full((len(jobs), len(image_ids), *axis_of(outcome)), np.nan)
    for row, job in zip(scores, jobs, strict=True):
        path = score_path(job.folder, test)
        if path.is_file() and job.folder not in lost:
            frame = pd.read_parquet(path).set_index("image_id")
            frame = frame.loc[image_ids]
            if outcome.kind == "ordered":
                row[:] = group_index(frame["predicted"], outcome.names)
            else:
                row[:] = frame[_compared_columns(outcome)].to_numpy(np.float64).reshape(row.shape)
    return scores


def read_probes(job: Job, test: str) -> dict[str, Any]:
    """Return a run's probes of a test split, by the features and any further group column."""
    return _read_json(probe_path(job.folder, test)).get("probes", {})


def best_figure(job: Job) -> float:
    """Return the highest validation figure of a run's epochs; NaN where it has not finished."""
    history = _read_json(job.folder / RUN).get("history", [])
    figure = job.experiment.validation.figure
    return max((float(entry[figure]) for entry in history), default=float("nan"))


def curves(jobs: list[Job]) -> pd.DataFrame:
    """Return the mean losses and validation figures of every epoch of every run."""
    rows: list[dict[str, Any]] = []
    for job in jobs:
        for entry in _read_json(job.folder / RUN).get("history", []):
            about = {"experiment": job.name, "seed": job.experiment.seed, "epoch": entry["epoch"]}
            rows += [
                {**about, "name": name, "value": value}
                for name, value in entry.items()
                if name != "epoch"
            ]
    return pd.DataFrame(rows, columns=["experiment", "seed", "epoch", "name", "value"])
