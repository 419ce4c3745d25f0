"""The comparison: experiments, seeds and a manifest in, every figure with its interval out."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from equiderm.audit.groupings import MOST_GROUPS
from equiderm.compare.cost import step_costs
from equiderm.compare.inference import Mean
from equiderm.compare.measures import default_margin
from equiderm.compare.result import Compared, lost_runs, no_images, no_splits, no_trials
from equiderm.compare.runs import (
    Job,
    Outcome,
    Work,
    axis_of,
    check,
    curves,
    make_runs,
    read_probes,
    read_scores,
    test_rows,
)
from equiderm.compare.scores import (
    check_margin,
    in_splits,
    make_test,
    results_of,
    run_seeds,
    split_table,
)
from equiderm.compare.search import check_search
from equiderm.compare.search import search as search_settings
from equiderm.compare.splits import DRAWN, draw_splits
from equiderm.errors import InputError
from equiderm.files import AnyPath, only_one
from equiderm.models import FEATURES
from equiderm.statistics.intervals import ALPHA, Z95
from equiderm.training import Experiment, Images, read_experiment
from equiderm.training.features import select_features
from equiderm.training.images import build_images, read_rows
from equiderm.training.rows import select_rows

LOST = ("diverged", "failed")  # states of runs that have no scores
FIGURES = ("balanced_accuracy", "spearman")  # of the linear probe: for groups, for a number


class Material(NamedTuple):
    """What `compare` takes, as `read_files` reads it.

    Attributes:
        experiments: By name, that of the file.
        manifest: The rows whose images could be read.
        images: Their store.
        unreadable: ``image_id``, ``path``, ``error`` of the other rows.
    """

    experiments: dict[str, Experiment]
    manifest: pd.DataFrame
    images: Images
    unreadable: pd.DataFrame


def read_files(
    experiments: Sequence[AnyPath],
    data: AnyPath,
    *,
    store: AnyPath | None = None,
    features: AnyPath | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Material:
    """Return what `compare` takes from experiment files and a manifest file.

    Args:
        experiments: TOML files; a file's stem is the experiment's name.
        data: The manifest.
        store: Folder of the decoded images, filled once; by default beside the manifest.
        features: A table of features (`equiderm.training.read_features`), in place of the images.
        progress: Called with the number of images decoded and in total.

    Raises:
        InputError: No file, two of one name, one that cannot be read, or a backbone that is not
            available; a manifest that cannot be read, or none of whose images can.
    """
    chosen = {Path(path).stem: read_experiment(path) for path in experiments}
    if not chosen or len(chosen) < len(experiments):
        raise InputError("give one or more experiment files, each with a name of its own.")
    for experiment in chosen.values():
        experiment.check_backbone()
    data = Path(data)
    if features is not None:
        images, rows, errors = select_features(read_rows([data]), Path(features))
        return Material(chosen, rows, images, errors)
    if lacking := [
        name for name, experiment in chosen.items() if experiment.backbone.name == FEATURES
    ]:
        advice = 'name their table, as in `features="features.parquet"`'
        raise InputError(f"{lacking[0]}: is for features; {advice}.")
    size = next(iter(chosen.values())).data.size
    place = Path(store) if store else data.with_name(f"{data.stem}-{size}px")
    images, rows, errors = build_images(read_rows([data]), place, size=size, progress=progress)
    return Material(chosen, rows, images, errors)


def compare(
    experiments: Mapping[str, Experiment],
    manifest: pd.DataFrame,
    out: AnyPath,
    *,
    images: Images,
    by: str | None = None,
    tests: Sequence[str] | None = None,
    splits: int | Sequence[str] = 1,
    seeds: int = 5,
    search: int = 0,
    margin: float | None = None,
    workers: int = 1,
    keep_going: bool = False,
    share: bool = False,
    watch: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    replicates: int | None = None,
    unreadable: pd.DataFrame | None = None,
) -> Compared:
    """Train what is not trained yet, score every test split, and return the comparison.

    Runs are stored in ``out/NAME/seed-K``. A run that has finished with the same experiment, seed
    and training rows is used as it is; an interrupted one resumes; a test set that is new or has
    changed is scored; what was damaged since is named and run again, and a folder that holds a run
    of other settings or rows is named and set aside. Two comparisons in one folder take turns, or
    divide the runs (``share``); none is trained twice. With several splits runs are stored in
    ``out/NAME/split-J/seed-K``, and no two of them have the same seed.

    Args:
        experiments: By name; at least one is ERM. Their own seeds are not used.
        manifest: As for `equiderm.training.fit`.
        out: Folder of the runs.
        images: The uint8 store that holds the manifest's images.
        by: Column by which test sets are grouped, where it is not that of the experiments.
        tests: The test sets; by default every split whose name starts with ``test``.
        splits: How often ``train``, ``validation`` and ``test`` are drawn anew, by patient (see
            `equiderm.compare.splits.draw_splits`); 1 takes the manifest's. Names of test sets are
            still taken here too, as ``tests``.
        seeds: How many, of each split; they are 0, 1, ...
        search: Draws from each experiment's ``[search]`` ranges; the one with the highest
            validation figure, in each split its own, is compared. 0 compares the experiments as
            they are.
        margin: Difference below which methods count as equivalent, in what is compared: AUROC,
            macro AUROC of several classes, weighted kappa of ordered ones, mean absolute error of
            a number. 0.03 by default; of a number a tenth of its standard deviation.
        workers: Runs at a time; more than 1 are processes of their own.
        keep_going: Leave out a run that fails, and go on. A run that diverges never stops the rest.
        share: Run only what no other process or machine that shares the folder is running, and wait
            for the rest.
        watch: Called with a sentence after every run.
        progress: Called with the number of runs done and in total.
        replicates: No longer used: variances are computed, not drawn.
        unreadable: ``image_id``, ``path``, ``error`` of images left out, which the page names.

    Raises:
        InputError: Experiments or a manifest that cannot be used.
    """
    if not isinstance(splits, int):
        tests, splits = splits, 1
    if margin is not None and experiments:
        check_margin(margin, next(iter(experiments.values())).data.target_kind)
    if search:
        check_search(experiments)
    works = _works(experiments, manifest, images, by=by, tests=tests, splits=splits)
    work, seen = works[0], run_seeds(splits, seeds)
    say = watch or (lambda sentence: None)

    def make(jobs: list[Job], work: Work) -> list[Outcome]:
        return make_runs(
            jobs, work, workers=workers, watch=say, keep_going=keep_going, progress=progress
        )

    out = Path(out)
    alone = only_one(out / "runs", wait=True, watch=say)
    with contextlib.nullcontext() if share else alone:
        done = _make_all(experiments, works, out, seen, search, make, say)
        scored = [_scored(done, works, test) for test in work.tests]
    settled = done.experiments[0] if splits == 1 else experiments  # each split has its own
    first = next(iter(settled.values()))
    if margin is None:
        margin = default_margin(scored[0][0].kind, scored[0][0].target)
    references = tuple(
        name for name, experiment in settled.items() if experiment.method["name"] == "erm"
    )
    probes = [_probe_table(done, test, splits, work.groups[0]) for test in work.tests]
    results = results_of(scored, list(settled), references, seen, margin, probes)
    rows = select_rows(first, work.manifest)
    return Compared(
        experiments=dict(settled),
        references=references,
        seeds=seen[:seeds],
        group=work.groups[0],
        by=work.by,
        margin=margin,
        tests=tuple(results),
        costs=step_costs(settled, references[0], rows=rows, images=images),
        selection=_selection(settled, work.manifest, search),
        failed=_failed(done),
        unreadable=no_images() if unreadable is None else unreadable,
        curves=curves(done.ordered),
        tried=done.tried,
        splits=_splits(works, dict(zip(work.tests, scored, strict=True)), first),
        measure=scored[0][0].measure.key,
    )


def _works(
    experiments: Mapping[str, Experiment],
    manifest: pd.DataFrame,
    images: Images,
    *,
    by: str | None,
    tests: Sequence[str] | None,
    splits: int,
) -> list[Work]:
    """Return what the jobs of each split share, after checking that they can be compared."""
    chosen = check(experiments, manifest, tests)
    data = next(iter(experiments.values())).data
    if by is None and data.columns[0] in data.numbers:
        raise InputError(
            f"[data] group = {data.columns[0]!r}: is a number, by which no test set is grouped; "
            'name a column of groups with `by="ita_band"`.'
        )
    by = by or data.columns[0]
    if by not in manifest.columns:
        raise InputError(
            f"manifest: no column {by!r} to group by; it has {', '.join(manifest.columns)}."
        )
    for test in chosen:  # before any training
        values = manifest.loc[manifest["split"].astype(str) == test, by].nunique()
        if values > MOST_GROUPS:
            raise InputError(
                f"manifest: column {by!r} has {values} different values in split {test!r}, but at "
                f"most {MOST_GROUPS} can be compared; name a column of bands, such as ita_band."
            )
    drawn = [manifest]
    if splits != 1:
        drawn = draw_splits(
            manifest, splits, (data.train, data.validation), chosen, tone=by,
            target=data.target, is_number=data.target_kind == "number",
        )  # fmt: skip
        for frame in drawn:
            check(experiments, frame, chosen)
    first = next(iter(experiments.values()))
    outcomes = [select_rows(first, frame).outcome for frame in drawn]
    if len({outcome.names for outcome in outcomes}) > 1:
        raise InputError(
            f"[data] {data.target!r}: the splits train on different classes; name all of them, as "
            "[data] targets."
        )
    return [
        Work(frame, images, chosen, data.columns, by, data.target, outcome)
        for frame, outcome in zip(drawn, outcomes, strict=True)
    ]


class _Done(NamedTuple):
    """The runs of a comparison.

    Attributes:
        experiments: Experiments of each split, with the settings that its search chose.
        tried: Every draw of the searches.
        jobs: Jobs of each experiment, one split after the other.
        ordered: All jobs, in the order in which they were run.
        outcomes: Their outcomes.
    """

    experiments: list[Mapping[str, Experiment]]
    tried: pd.DataFrame
    jobs: dict[str, list[Job]]
    ordered: list[Job]
    outcomes: list[Outcome]

    @property
    def lost(self) -> set[Path]:
        """Folders of runs without scores."""
        both = zip(self.ordered, self.outcomes, strict=True)
        return {job.folder for job, outcome in both if outcome.state in LOST}


def _make_all(
    experiments: Mapping[str, Experiment],
    works: list[Work],
    out: Path,
    seeds: Sequence[int],
    search: int,
    make: Callable[[list[Job], Work], list[Outcome]],
    say: Callable[[str], None],
) -> _Done:
    """Search and run split by split, and in each seed by seed.

    A comparison that is stopped then has every method on the splits and seeds so far.
    """
    done = _Done([], no_trials(), {name: [] for name in experiments}, [], [])
    tried: list[pd.DataFrame] = []
    each = len(seeds) // len(works)
    for j, work in enumerate(works):
        part, settled = "", experiments
        if len(works) > 1:
            part = f"split-{j}"
            say(f"split {j}, one of {len(works)}")
        if search:
            settled, drawn = search_settings(experiments, search, work, out, make, part=part)
            tried.append(drawn.assign(split=j) if part else drawn)
        own = _jobs(settled, out, part, seeds[j * each : (j + 1) * each])
        ordered = [own[name][k] for k in range(each) for name in own]
        done.outcomes.extend(make(ordered, work))
        done.ordered.extend(ordered)
        done.experiments.append(settled)
        for name, jobs in own.items():
            done.jobs[name].extend(jobs)
    return done._replace(tried=pd.concat(tried, ignore_index=True)) if tried else done


def _splits(works: list[Work], scored: Mapping[str, Any], first: Experiment) -> pd.DataFrame:
    """Return how many images train, validate and test in each split, where there are several."""
    if len(works) == 1:
        return no_splits()
    training = [
        {
            what: int((work.manifest["split"].astype(str) == name).sum())
            for what, name in (("train", first.data.train), ("validation", first.data.validation))
        }
        for work in works
    ]
    return split_table(scored[DRAWN][0], training)


def _jobs(
    experiments: Mapping[str, Experiment], out: Path, part: str, seeds: Sequence[int]
) -> dict[str, list[Job]]:
    jobs: dict[str, list[Job]] = {}
    probed: set[tuple[str, str]] = set()
    for name, experiment in experiments.items():
        backbone = (experiment.backbone.name, experiment.backbone.weights)
        jobs[name] = [
            Job(
                name,
                dataclasses.replace(experiment, seed=seed),
                out / name / part / f"seed-{seed}",
                untrained=backbone not in probed,  # the same for every method around it
            )
            for seed in seeds
        ]
        probed.add(backbone)
    return jobs


def _scored(done: _Done, works: list[Work], test: str) -> tuple[Any, Any]:
    """Return the images of a test set, and the scores (experiments, runs, n) of all runs.

    With several splits the images that any of them tests; NaN where a run's own does not.
    """
    by, outcome, frames = works[0].by, works[0].outcome, [test_rows(part, test) for part in works]
    frame = pd.concat(frames).drop_duplicates("image_id", ignore_index=True)
    images = make_test(
        f"split {test}",
        frame[works[0].target],
        frame["patient_id"],
        frame[by],
        by=by,
        kind=outcome.kind,
        classes=() if outcome.kind == "binary" else outcome.names,
    )
    place = pd.Index(frame["image_id"].astype(str))
    rows = [place.get_indexer(pd.Index(part["image_id"].astype(str))) for part in frames]
    seeds, lost = len(done.ordered) // len(done.jobs) // len(works), done.lost
    scores = np.full((len(done.jobs), seeds * len(works), len(frame), *axis_of(outcome)), np.nan)
    for e, runs in enumerate(done.jobs.values()):
        for j, own in enumerate(rows):
            here = slice(j * seeds, (j + 1) * seeds)
            read = read_scores(runs[here], test, place[own].tolist(), outcome, lost)
            scores[e, here, own] = read.swapaxes(0, 1)
    return dataclasses.replace(in_splits(images, rows), name=test), scores


def _failed(done: _Done) -> pd.DataFrame:
    return lost_runs(
        [
            {"experiment": job.name, "seed": job.experiment.seed, "reason": outcome.reason}
            for job, outcome in zip(done.ordered, done.outcomes, strict=True)
            if outcome.state in LOST
        ]
    )


def _probe_table(done: _Done, test: str, splits: int, first: str) -> pd.DataFrame:
    """Return the probes' means over seeds and splits; intervals add the variance over images."""
    rows: list[dict[str, Any]] = []
    for name, runs in done.jobs.items():
        kept = [k for k, job in enumerate(runs) if job.folder not in done.lost]
        stored = [read_probes(runs[k], test) for k in kept]
        for key in dict.fromkeys(key for run in stored for key in sorted(run, key=_trained)):
            probes = [run[key] for run in stored if key in run]
            units = [
                k * splits // len(runs) if splits > 1 else k
                for k, run in zip(kept, stored, strict=True)
                if key in run
            ]
            figure = next(of for of in FIGURES if of in probes[0])
            row: dict[str, Any] = {"experiment": name, "features": key.partition(" ")[0]}
            # Probes of earlier versions are of the first column, and do not name it.
            row |= {"group": probes[0].get("group", first), "figure": figure}
            means = pd.DataFrame(probes).groupby(units).mean(numeric_only=True)
            for prefix, value in (("", figure), ("mlp_", "mlp")):  # linear, and a small network
                of = (value, f"{prefix}low", f"{prefix}high")
                values = (means[column].to_numpy() for column in of)
                row |= _probe_mean(prefix, *values, least=-1.0 if figure == "spearman" else 0.0)
            rows.append({**row, "chance": probes[0]["chance"], "n": probes[0]["n"]})
    return pd.DataFrame(rows)


def _trained(key: str) -> bool:
    return not key.startswith("untrained")


def _probe_mean(prefix: str, values: Any, low: Any, high: Any, *, least: float) -> dict[str, float]:
    seeds = float(values.var(ddof=1)) if len(values) > 1 else float("nan")
    images = float((((high - low) / (2 * Z95)) ** 2).mean())
    mean = Mean(float(values.mean()), len(values), seeds, images, float("inf"))
    half = mean.half(ALPHA)
    ends = max(mean.value - half, least), min(mean.value + half, 1.0)
    return dict(
        zip((f"{prefix}value", f"{prefix}low", f"{prefix}high"), (mean.value, *ends), strict=True)
    )


def _selection(
    experiments: Mapping[str, Experiment], manifest: pd.DataFrame, search: int
) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for name, experiment in experiments.items():
        figure, seen = experiment.validation.figure, 0
        rule = "the last epoch's weights"
        if figure != "none":
            seen = len(select_rows(experiment, manifest).validation)
            rule = f"the epoch with the highest {figure} on split {experiment.data.validation}"
        if search:
            rule += f", with the settings of the best of {search} draws by the same figure"
        rows.append({"experiment": name, "rule": rule, "images": seen, "test_images": 0})
    return pd.DataFrame(rows)
