"""The paper's experiment on real photographs: trained on HAM10000, tested on it and on ISIC 2017.

    python bench/photographs.py join WORK HAM.csv ISIC.csv      # writes WORK/manifest.parquet
    python bench/photographs.py run WORK [--seeds 5] [--workers 2]
    python bench/photographs.py tables WORK > tables.md         # and docs/results-older.png

docs/results-older.md has the commands that make what ``join`` reads. An arm trains methods with one
tone label at one learning rate. All arms share rows, seeds and images, so that every difference is
paired; ERM knows no label and is trained once a rate. Runs that are there are used.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ROOT / "experiments" / "photographs"
LABELS = {  # column of the manifest: what it is
    "tone_robust": "`robust`, thirds",
    "tone_fda": "`ita_fda`, thirds",
    "tone_published": "published algorithm, six bands",
}
MAIN = "tone_robust"
GROUPED = ("resampling", "lntl", "tabe", "clgr")  # those that see a label
SCALES = (1.0, 3.0, 1 / 3)  # of the rates in the experiment files
TESTS = ("test-ham", "test-isic2017", "test-isic2017-more")
SIZE = 64


def join(work: Path, tables: list[Path]) -> None:
    """Write both data sets as one manifest, every tone label a column.

    Thirds are cut at the terciles of the training rows, and the same cuts serve every split.
    """
    ham, isic = (pd.read_parquet(work / f"{name}.parquet") for name in ("ham", "isic"))
    # Nothing of ISIC 2017 trains here; its owner's validation and test parts are the main test.
    isic["split"] = np.where(isic["split"] == "training", "test-isic2017-more", "test-isic2017")
    frame = pd.concat([ham, isic], ignore_index=True)
    frame["patient_id"] = frame["lesion_id"].where(frame["lesion_id"].notna(), frame["image_id"])
    for column, method in (("robust", "robust"), ("published", "patch-max-arctan")):
        names = [work / f"{name}-{method}.parquet" for name in ("ham", "isic")]
        tones = pd.concat([pd.read_parquet(name) for name in names])
        tones.index = pd.Index([Path(image).stem for image in tones["image"]])
        frame[f"ita_{column}"] = tones["ita"].reindex(frame["image_id"]).to_numpy()
        frame[f"band_{column}"] = tones["ita_band"].reindex(frame["image_id"]).to_numpy()
    others = pd.concat([pd.read_csv(table) for table in tables])
    others.index = pd.Index([Path(image).stem for image in others["image"]])
    frame["ita_fda"] = others["ita_fda"].reindex(frame["image_id"]).to_numpy()
    for name in ("robust", "fda"):
        angle = frame[f"ita_{name}"].astype(float)
        cuts = angle[frame["split"] == "train"].quantile([1 / 3, 2 / 3]).to_numpy()
        thirds = np.array(["3 dark", "2 middle", "1 light"], dtype=object)
        third = pd.Series(thirds[np.digitize(angle, cuts)], index=frame.index)
        frame[f"tone_{name}"] = third.where(angle.notna())
        print(f"{name}: thirds cut at {cuts.round(1)} degrees of ITA")
    frame["tone_published"] = frame["band_published"]
    dark = frame["band_robust"].isin(list("3456"))
    frame["band"] = frame["band_robust"].mask(dark, "3 to 6")
    frame.to_parquet(work / "manifest.parquet")
    for column in (*LABELS, "band"):
        print(pd.crosstab(frame["split"], frame[column].fillna("none")), "\n")
    angles = frame.loc[frame["split"] == "train", ["ita_robust", "ita_fda", "ita_published"]]
    print(angles.corr("spearman").round(2))


class Job(NamedTuple):
    """One run: its arm (label and scale of the rates), experiment file and seed."""

    label: str
    scale: float
    name: str
    seed: int

    def folder(self, work: Path) -> Path:
        """Return where the run lies."""
        return work / "runs" / f"{self.label}-x{self.scale:.2g}" / self.name / f"seed-{self.seed}"


def plan(seeds: int) -> list[Job]:
    """Return every run, the main arm first, seed by seed."""
    names = sorted(path.stem for path in EXPERIMENTS.glob("*.toml"))
    jobs: list[Job] = []
    for scale in SCALES:
        for label in LABELS if scale == 1.0 else (MAIN,):
            wanted = [name for name in names if label == MAIN or name in GROUPED]
            wanted = [name for name in wanted if scale == 1.0 or name != "erm-rate-matched"]
            jobs += [Job(label, scale, name, seed) for seed in range(seeds) for name in wanted]
    return jobs


def experiment_of(job: Job):
    """Return the file's experiment with the job's label, rates and seed."""
    from equiderm.training import read_experiment

    read = read_experiment(EXPERIMENTS / f"{job.name}.toml")
    rates = dataclasses.asdict(read.optimizer)
    for key in ("backbone", "target_head", "group_head"):
        rates[key] *= job.scale
    method = dict(read.method)
    if "second_backbone_rate" in method:
        method["second_backbone_rate"] *= job.scale
    return dataclasses.replace(
        read,
        seed=job.seed,
        method=method,
        data=dataclasses.replace(read.data, group=job.label),
        optimizer=dataclasses.replace(read.optimizer, **rates),
    )


def run_one(job: Job, work: Path) -> str:
    """Train, score and probe one run unless that is done; return how it ended."""
    import torch

    from equiderm.errors import InputError
    from equiderm.files import write_whole
    from equiderm.tables import write_table
    from equiderm.training import fit, load_run, predict, probe
    from equiderm.training.images import build_images, read_rows

    torch.set_num_threads(1)
    folder = job.folder(work)
    ended = folder / "probes.json"
    if ended.is_file():
        return "found"
    frame = read_rows([work / "manifest.parquet"])
    images, frame, _ = build_images(frame, work / "store", size=SIZE)
    try:
        fit(experiment_of(job), frame, folder, images=images)
    except InputError as error:  # a run that diverged is a result, too
        folder.mkdir(parents=True, exist_ok=True)
        probes, how = {"diverged": str(error)[:200]}, "diverged"
    else:
        run, how = load_run(folder), "trained"
        tested = frame[frame["split"].isin(TESTS)].reset_index(drop=True)
        write_table(predict(run, images, tested), folder / "scores.parquet")
        probes = {}
        labels = LABELS if "erm" in job.name else (job.label,)
        for label in labels:
            one = dataclasses.replace(run, about={**run.about, "group": label})
            known = _probed(tested, label)
            untrained = job.name == "erm" and job.scale == 1.0
            found = probe(one, images, known, untrained=untrained)
            probes[label] = {each.features: dataclasses.asdict(each) for each in found}
    with write_whole(ended) as temporary:
        temporary.write_text(json.dumps(probes), encoding="utf-8")
    return how


def _probed(tested: pd.DataFrame, label: str) -> pd.DataFrame:
    """Return HAM10000's test rows of a label's groups that have ten patients or more."""
    known = tested[(tested["split"] == "test-ham") & tested[label].notna()]
    sizes = known.groupby(label)["patient_id"].nunique()
    return known[known[label].isin(sizes.index[sizes >= 10])].reset_index(drop=True)


def run(work: Path, seeds: int, workers: int) -> None:
    """Make every run."""
    from equiderm.training.images import build_images, read_rows

    build_images(read_rows([work / "manifest.parquet"]), work / "store", size=SIZE)
    jobs = plan(seeds)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(run_one, job, work): job for job in jobs}
        for done, future in enumerate(as_completed(futures), 1):
            print(f"{done} of {len(jobs)}: {futures[future]}: {future.result()}", flush=True)


def main() -> None:
    """Do one of the three."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["join", "run", "tables"])
    parser.add_argument("work", type=Path)
    parser.add_argument("tables", type=Path, nargs="*", help="with join: tables with ita_fda")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.what == "join":
        join(arguments.work, arguments.tables)
    elif arguments.what == "run":
        run(arguments.work, arguments.seeds, arguments.workers)


if __name__ == "__main__":
    main()
