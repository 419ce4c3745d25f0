"""The comparison: experiments, seeds and a manifest in, every figure with its interval out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from equiderm.compare.cost import step_costs
from equiderm.compare.inference import Mean
from equiderm.compare.result import MARGIN, Compared, no_images, no_trials
from equiderm.compare.runs import (
    Job,
    Outcome,
    Work,
    check,
    curves,
    make_runs,
    read_probes,
    read_scores,
    test_rows,
)
from equiderm.compare.scores import make_test, results_of
from equiderm.compare.search import check_search
from equiderm.compare.search import search as search_settings
from equiderm.errors import InputError
from equiderm.files import AnyPath, only_one
from equiderm.models import FEATURES
from equiderm.statistics.intervals import ALPHA, Z95
from equiderm.training import Experiment, Images, read_experiment
from equiderm.training.features import select_features
from equiderm.training.images import build_images, read_rows
from equiderm.training.rows import select_rows

if TYPE_CHECKING:
    import pandas as pd

LOST = ("diverged", "failed")  # states of runs that have no scores
FIGURES = ("balanced_accuracy", "spearman")  # of the linear probe: of groups, of a number


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
        store: Where the decoded images lie, or are put, once; by default beside the manifest.
        features: A table of features (`equiderm.training.read_features`), in place of the images.
        progress: Called with images decoded and in all.

    Raises:
        InputError: No file, two of one name, one that cannot be read, or a backbone that cannot be
            had; a manifest that cannot be read, or none of whose images can.
    """
    chosen = {Path(path).stem: read_experiment(path) for path in experiments}
    if not chosen or len(chosen) < len(experiments):
        raise InputError("give one or more experiment files, each with a name of its own.")
    for one in chosen.values():
        one.check_backbone()
    data = Path(data)
    if features is not None:
        images, rows, errors = select_features(read_rows([data]), Path(features))
        return Material(chosen, rows, images, errors)
    if on := [name for name, one in chosen.items() if one.backbone.name == FEATURES]:
        advice = 'name their table, as in `features="features.parquet"`'
        raise InputError(f"{on[0]}: is for features; {advice}.")
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
    splits: Sequence[str] | None = None,
    seeds: int = 5,
    search: int = 0,
    margin: float = MARGIN,
    workers: int = 1,
    keep_going: bool = False,
    watch: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    replicates: int | None = None,
    unreadable: pd.DataFrame | None = None,
) -> Compared:
    """Train what is not trained yet, score every test split, and return the comparison.

    Runs lie in ``out/NAME/seed-K``. One that has finished with the same experiment, seed and rows
    to train on is used as it is; one that was stopped goes on; a test set that is new or has
    changed is scored; what was damaged since is named, and made again, and a folder that holds a
    run of other settings or rows is named and set aside. Two comparisons in one
    folder take turns.

    Args:
        experiments: By name; at least one is ERM. Their own seeds are not used.
        manifest: As for `equiderm.training.fit`.
        out: Folder of the runs.
        images: The uint8 store that holds the manifest's images.
        by: Column by which test sets are grouped, where it is not that of the experiments.
        splits: The test sets; by default every split whose name starts with ``test``.
        seeds: How many; they are 0, 1, ...
        search: Draws of each experiment's ``[search]`` ranges, of which the one with the highest
            validation figure is then compared; 0 compares the experiments as they stand.
        margin: Difference in AUROC below which methods count as equivalent.
        workers: Runs at a time; more than 1 are processes of their own.
        keep_going: Leave out a run that fails, and go on. A run that diverges never stops the rest.
        watch: Called with a sentence after every run.
        progress: Called with the runs done and in all.
        replicates: Not used any more: variances are computed, not drawn.
        unreadable: ``image_id``, ``path``, ``error`` of images left out, which the page names.

    Raises:
        InputError: Experiments or a manifest that cannot be used.
    """
    out = Path(out)
    tests = check(experiments, manifest, splits)
    first = next(iter(experiments.values()))
    columns = first.data.columns
    if by is None and columns[0] in first.data.numbers:
        raise InputError(
            f"[data] group = {columns[0]!r}: is a number, by which no test set is grouped; name a "
            'column of groups with `by="ita_band"`.'
        )
    work = Work(manifest, images, tests, columns, by or columns[0])
    if work.by not in manifest.columns:
        raise InputError(
            f"manifest: no column {work.by!r} to group by; it has {', '.join(manifest.columns)}."
        )
    if not margin > 0:
        raise InputError(f"margin {margin:g}: a difference in AUROC above 0 is expected.")
    if search:
        check_search(experiments)
    say = watch or (lambda sentence: None)
    tried = no_trials()

    def make(jobs: list[Job], work: Work) -> list[Outcome]:
        return make_runs(
            jobs, work, workers=workers, watch=say, keep_going=keep_going, progress=progress
        )

    with only_one(out / "runs", wait=True, watch=say):
        if search:
            experiments, tried = search_settings(experiments, search, work, out, make)
        jobs = _jobs(experiments, out, seeds)
        # Seed by seed: a comparison that is stopped has every method on the seeds so far.
        ordered = [jobs[name][k] for k in range(seeds) for name in experiments]
        outcomes = make(ordered, work)
        lost = {
            job.folder
            for job, outcome in zip(ordered, outcomes, strict=True)
            if outcome.state in LOST
        }
        scored = [_scored(jobs, work, test, lost) for test in tests]
    references = tuple(name for name, one in experiments.items() if one.method["name"] == "erm")
    return Compared(
        experiments=dict(experiments),
        references=references,
        seeds=tuple(range(seeds)),
        group=columns[0],
        by=work.by,
        margin=margin,
        tests=tuple(
            results_of(
                scored,
                list(experiments),
                references,
                range(seeds),
                margin,
                [_probe_table(jobs, test, lost, columns[0]) for test in tests],
            )
        ),
        costs=step_costs(
            experiments,
            references[0],
            attributes=select_rows(first, manifest).attributes,
            images=images,
        ),
        selection=_selection(experiments, manifest, search),
        failed=_failed(ordered, outcomes),
        unreadable=no_images() if unreadable is None else unreadable,
        curves=curves(ordered),
        tried=tried,
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


def _scored(
    jobs: dict[str, list[Job]], work: Work, test: str, lost: Collection[Path]
) -> tuple[Any, Any]:
    """Return the images of a test split, and the scores (experiments, seeds, n) of all runs."""
    frame = test_rows(work.manifest, test)
    ids = frame["image_id"].astype(str).tolist()
    scores = np.stack([read_scores(runs, test, ids, lost) for runs in jobs.values()])
    name = f"split {test}"
    images = make_test(name, frame["target"], frame["patient_id"], frame[work.by], by=work.by)
    return dataclasses.replace(images, name=test), scores


def _failed(jobs: list[Job], outcomes: list[Outcome]) -> pd.DataFrame:
    import pandas as pd

    rows = [
        {"experiment": job.name, "seed": job.experiment.seed, "reason": outcome.reason}
        for job, outcome in zip(jobs, outcomes, strict=True)
        if outcome.state in LOST
    ]
    return pd.DataFrame(rows, columns=["experiment", "seed", "reason"])


def _probe_table(
    jobs: dict[str, list[Job]], test: str, lost: Collection[Path], first: str
) -> pd.DataFrame:
    """Mean over seeds; its interval adds the variance over seeds to that over images."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name, runs in jobs.items():
        stored = [read_probes(job, test) for job in runs if job.folder not in lost]
        for key in dict.fromkeys(key for one in stored for key in sorted(one, key=_trained)):
            probes = [one[key] for one in stored if key in one]
            figure = next(of for of in FIGURES if of in probes[0])
            row: dict[str, Any] = {"experiment": name, "features": key.partition(" ")[0]}
            # Probes of earlier versions are of the first column, and do not name it.
            row |= {"group": probes[0].get("group", first), "figure": figure}
            for prefix, value in (("", figure), ("mlp_", "mlp")):  # linear, and a small network
                of = (value, f"{prefix}low", f"{prefix}high")
                values = (np.array([one[column] for one in probes]) for column in of)
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
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name, one in experiments.items():
        figure, seen = one.validation.figure, 0
        rule = "the last epoch's weights"
        if figure != "none":
            seen = len(select_rows(one, manifest).validation)
            rule = f"the epoch with the highest {figure} on split {one.data.validation}"
        if search:
            rule += f", with the settings of the best of {search} draws by the same figure"
        rows.append({"experiment": name, "rule": rule, "images": seen, "test_images": 0})
    return pd.DataFrame(rows)
