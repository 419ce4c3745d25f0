"""The studies of docs/protocol.md: does unlearning tone help on frozen features of photographs?

    python bench/study.py features DATA OUT [--seeds 5] [--json features.json]
    python bench/study.py matched DATA OUT [--seeds 5] [--json matched.json]
    python bench/study.py planted DATA OUT [--seeds 5] [--arms erm ...] [--whole]
    python bench/study.py planted-matched DATA OUT [--seeds 5] [--json planted-matched.json]
    python bench/study.py audit DATA OUT        # of study 1's first ERM: OUT/erm-0.html and .json
    python bench/study.py fine-tuned DATA OUT [--seeds 5] [--draws 4]   # so many splits; a page
    python bench/study.py planted-fine-tuned DATA OUT [--seeds 5] [--arms erm ...]

Features are read at ``--size`` pixels, 160 unless told; another size needs another OUT.

DATA holds ``ham10000_200x150`` and ``isic2017_256``, each a folder ``images`` and a
``manifest.csv``. Manifests, tone labels, features, searches and runs that are in OUT are used as
they are, so that a command that was stopped goes on. bench/study_tables.py shows the figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from equiderm.batch import Batch
from equiderm.compare import compare_scores
from equiderm.compare.answer import conclude
from equiderm.compare.result import MARGIN, Compared
from equiderm.compare.scores import SPLIT_SEEDS, make_test, results_of
from equiderm.compare.splits import draw_splits
from equiderm.data.images import ImageStore, build_store
from equiderm.debias import METHODS, Method, Rates, take_step
from equiderm.files import write_whole
from equiderm.statistics.intervals import normal_quantile, t_quantile
from equiderm.tables import write_table
from equiderm.training import fit, predict, read_experiment, read_features
from equiderm.training.experiment import ValidationChoice
from equiderm.training.features import features_backbone
from equiderm.training.probe import probe_features

ARMS = (
    "erm",
    "resampling",
    "group_dro",
    "dfr",
    "domain_independent",
    "lntl",
    "tabe",
    "clgr",
    "dann",
    "cdann",
    "leace",
)
FINE_TUNED = (
    "erm",
    "resampling",
    "group_dro",
    "tabe",
    "erm-slow",
    "lntl-slow",
    "clgr-slow",
)
WEIGHT = {  # what the drawn weight of the tone's loss is called
    "group_dro": "step_size",
    "lntl": "entropy_weight",
    "tabe": "confusion_weight",
    "clgr": "confusion_weight",
}
MATCHED = ("group_dro", "domain_independent", "clgr", "dann", "cdann")
PLANTED_MATCHED = ("resampling", "dfr", "domain_independent", "clgr", "dann", "cdann")
REVERSED = ("lntl", "clgr", "dann", "cdann")
SIZE, UNITS, EPOCHS, BATCH = 160, 64, 8, 128
PLANTED_FINE_TUNED = ("erm", "resampling", "domain_independent", "tabe")
PIXELS, PLANTED_EPOCHS = 128, 4  # of study 3; of the planted rows, which are fewer
DRAWS, SEARCH_SEED, PROBED, RESAMPLES = 4, 100, 2000, 1000
SPECIFICITY = 0.9
CONFOUNDING = (0.0, 0.5, 0.9)
GROUPS = {  # column: what it is
    "tone_ita": "thirds of ITA",
    "tone_lightness": "thirds of L*",
    "band": "published bands of ITA",
}


EXPERIMENTS = Path(__file__).parents[1] / "experiments" / "fine-tuned"


class Data(NamedTuple):
    """The images of both archives, a row each, and their features where they were asked for."""

    frame: pd.DataFrame
    features: torch.Tensor


def prepare(data: Path, out: Path, embedded: bool = True, size: int = SIZE) -> Data:
    """Return rows and features; label and read what is not there yet."""
    folders = {"ham": data / "ham10000_200x150", "isic": data / "isic2017_256"}
    own = {
        "ham": ["--positive", "premalignant", "--column", "lesion_id=lesion_id"],
        "isic": ["--column", "split=split"],
    }
    frames: list[pd.DataFrame] = []
    for name, folder in folders.items():
        manifest, features = out / f"{name}.parquet", out / f"{name}-features.parquet"
        if not manifest.is_file():
            columns = ["--column", "path=image", "--column", "target=label"]
            table = [f"{folder}/manifest.csv", *columns, "--positive", "malignant", *own[name]]
            about = ["--column", "diagnosis=diagnosis", "--target", "malignant"]
            _equiderm("manifest", "folder", folder, "--table", *table, *about, "-o", manifest)
        if embedded and not features.is_file():
            network = ("tf_efficientnet_lite0", "--size", str(size))
            _equiderm("embed", *network, "--data", manifest, "-o", features)
        frames.append(pd.read_parquet(manifest).assign(archive=name))
    tones = out / "tones.parquet"
    if not tones.is_file():
        images = [folder / "images" for folder in folders.values()]
        _equiderm("label", *images, "--method", "robust", "-o", tones)
    frame = _with_splits(_with_tones(pd.concat(frames, ignore_index=True), tones))
    if not embedded:
        return Data(frame, torch.empty(len(frame), 0))
    stores = [read_features(out / f"{name}-features.parquet") for name in folders]
    ids = [name for store in stores for name in store.image_ids]
    values = pd.DataFrame(np.concatenate([store.images for store in stores]), index=ids)
    return Data(frame, torch.tensor(values.loc[frame["image_id"]].to_numpy(np.float32)))


def _equiderm(*words: Any) -> None:
    subprocess.run([sys.executable, "-m", "equiderm", *map(str, words)], check=True)


def _with_tones(frame: pd.DataFrame, tones: Path) -> pd.DataFrame:
    """Add thirds of ITA and of L*, bands, and which half of the ITAs; cut on HAM10000."""
    table = pd.read_parquet(tones)
    table.index = pd.Index([Path(image).stem for image in table["image"]])
    table = table.loc[frame["image_id"]].reset_index(drop=True)
    ham = frame["archive"] == "ham"
    for column, of in (("tone_ita", "ita"), ("tone_lightness", "L")):
        values = table[of].astype(float).where(table["ita"].notna())
        cuts = values[ham].quantile([1 / 3, 2 / 3]).to_numpy()
        names = np.array(["3 dark", "2 middle", "1 light"], dtype=object)
        third = pd.Series(names[np.digitize(values, cuts)])
        frame[column] = third.where(values.notna())
        print(f"{of}: thirds cut at {cuts.round(1)}")
    angle = table["ita"].astype(float)
    half = pd.Series(np.where(angle > angle[ham].median(), "1 light", "2 dark"), dtype=object)
    frame["tone_half"] = half.where(angle.notna())
    frame["band"] = table["ita_band"].astype("string").astype(object)
    return frame


def _with_splits(frame: pd.DataFrame) -> pd.DataFrame:
    """Add `lesion` and `split`: validation, ham, isic2017, or train."""
    frame["lesion"] = frame["lesion_id"].where(frame["lesion_id"].notna(), frame["image_id"])
    ham = frame["archive"] == "ham"
    lesions = np.sort(frame.loc[ham, "lesion"].unique())
    aside = np.random.default_rng(15).permutation(lesions)[: round(0.15 * len(lesions))]
    frame["split"] = frame["split"].map({"training": "train", "test": "isic2017"})
    frame.loc[ham, "split"] = np.where(frame.loc[ham, "lesion"].isin(aside), "validation", "ham")
    frame["split"] = frame["split"].fillna("validation")  # ISIC 2017's own validation part
    return frame


def halves(frame: pd.DataFrame, seed: int) -> list[np.ndarray]:
    """Return HAM10000's tested rows in two halves by lesion."""
    rows = np.flatnonzero(frame["split"] == "ham")
    lesion, names = pd.factorize(frame["lesion"].iloc[rows], sort=True)
    drawn = np.random.default_rng([seed, 2]).permutation(len(names))
    first = np.isin(lesion, drawn[: len(drawn) // 2])
    return [rows[first], rows[~first]]


class Setting(NamedTuple):
    """What the search draws."""

    rate: float
    momentum: float
    options: dict[str, float]


def draws(arm: str) -> list[Setting]:
    """Return an arm's draws; the first has the published constants."""
    generator = np.random.default_rng([2026, ARMS.index(arm)])
    settings = [Setting(0.03, 0.9, {})]
    for _ in range(DRAWS - 1):
        rate, weight, reversal = (
            float(np.exp(generator.uniform(np.log(low), np.log(high))))
            for low, high in ((0.003, 0.1), (0.01, 1), (0.1, 1))
        )
        options = {WEIGHT[arm]: weight} if arm in WEIGHT else {}
        options |= {"reversal": reversal} if arm in REVERSED else {}
        settings.append(Setting(rate, float(generator.choice([0.0, 0.9])), options))
    return settings


class Task(NamedTuple):
    """Rows to train on and to validate on, and the group that is unlearned."""

    train: np.ndarray
    validation: np.ndarray
    group: np.ndarray  # of every image, -1 where unknown
    n_groups: int


KEPT: dict[bytes, torch.Tensor] = {}  # standardised features, the same for every arm


def standardised(data: Data, train: np.ndarray) -> torch.Tensor:
    """Return all features in units of the training rows'."""
    key = train.tobytes()
    if key not in KEPT:
        while len(KEPT) > 1:
            KEPT.pop(next(iter(KEPT)))
        with torch.no_grad():
            KEPT[key] = features_backbone(data.features[train].numpy()).module(data.features)
    return KEPT[key]


def train(arm: str, setting: Setting, data: Data, task: Task, seed: int) -> tuple[Method, Any]:
    """Return a trained method and the standardised features of every image."""
    torch.manual_seed(seed)
    x = standardised(data, task.train)
    target = torch.as_tensor(data.frame["target"].to_numpy(np.float32))
    group = torch.as_tensor(task.group)
    rows = torch.as_tensor(task.train)
    counts = torch.zeros(2, task.n_groups)
    known = rows[group[rows] >= 0]
    counts.index_put_((target[known].long(), group[known]), torch.ones(len(known)), True)
    inverse = 1 / counts.sum(0)
    backbone = nn.Sequential(nn.Linear(x.shape[1], UNITS), nn.ReLU())
    about = {"n_groups": task.n_groups, "group_weights": inverse / inverse.sum(), "counts": counts}
    method = METHODS[arm](backbone, UNITS, **about, **setting.options)
    rates = Rates(setting.rate, setting.rate, 10 * setting.rate)
    optimizers = method.optimizers(rates, momentum=setting.momentum)
    often = method.sample_weights(target[rows], group[rows])
    steps = len(rows) // BATCH
    image = torch.empty(BATCH, x.shape[1])  # one buffer: allocating anew takes longer than a step
    method.train()
    for epoch in range(EPOCHS):
        if often is None:
            order = rows[torch.randperm(len(rows))]
        else:
            order = rows[torch.multinomial(often, len(rows), replacement=True)]
        for step in range(steps):
            batch = order[step * BATCH : (step + 1) * BATCH]
            method.progress = (epoch * steps + step) / (EPOCHS * steps)
            torch.index_select(x, 0, batch, out=image)
            take_step(method, optimizers, Batch(image, target[batch], group[batch]))
    method.eval()
    if method.refits != "none" and all(p.isfinite().all() for p in method.parameters()):
        held = rows if method.refits == "train" else torch.as_tensor(task.validation)
        with torch.no_grad():
            features = method.backbone(x[held])
        method.refit(features, target[held], group[held])
    return method, x


def logits(method: Method, x: torch.Tensor, task: Task, rows: np.ndarray) -> np.ndarray:
    """Return logits in units of the validation rows', so that the two halves' can be pooled."""
    with torch.no_grad():
        own = method(x[torch.as_tensor(task.validation)]).double().numpy()
        of = method(x[torch.as_tensor(rows)]).double().numpy()
    return (of - own.mean()) / max(own.std(), 1e-12)


def worst(target: np.ndarray, score: np.ndarray, group: np.ndarray) -> float:
    """Return the lowest AUROC of a group; -1 where the scores are no numbers."""
    if not np.isfinite(score).all():
        return -1.0
    return min(roc_auc_score(target[group == k], score[group == k]) for k in set(group) - {-1})


def search(arm: str, data: Data, task: Task, out: Path) -> Setting:
    """Return the draw with the best worst group on the validation rows."""
    path = out / arm / "search.json"
    settings = draws(arm)
    if not path.is_file():
        target = data.frame["target"].to_numpy()[task.validation]
        found: list[dict[str, Any]] = []
        for setting in settings:
            method, x = train(arm, setting, data, task, SEARCH_SEED)
            score = logits(method, x, task, task.validation)
            figure = worst(target, score, task.group[task.validation])
            found.append({**setting._asdict(), "worst_group_auroc": round(figure, 4)})
        _write(path, found)
    figures = [one["worst_group_auroc"] for one in json.loads(path.read_text())]
    return settings[int(np.argmax(figures))]


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


Make = Callable[[int, int], Task]  # of a seed and the half that trains


def run(arm: str, setting: Setting, data: Data, make: Make, seed: int, out: Path) -> pd.DataFrame:
    """Return a run's score of every test image, and whether it is called at 90 % specificity.

    Image by image of `ham` by the half that did not train, of `isic2017` by the first half's run.
    """
    path = out / arm / f"seed-{seed}.parquet"
    if path.is_file():
        return pd.read_parquet(path)
    begun, parts, probes = time.perf_counter(), [], {}
    for half in (0, 1):
        task = make(seed, half)
        method, x = train(arm, setting, data, task, seed)
        tested = halves(data.frame, seed)[1 - half]
        isic = np.flatnonzero(data.frame["split"] == "isic2017")
        rows = tested if half else np.concatenate([tested, isic])
        score = logits(method, x, task, rows)
        part = data.frame.iloc[rows][["image_id", "target", "lesion", "split", *GROUPS]]
        own = logits(method, x, task, task.validation)
        parts.append(part.assign(score=score, **_calls(data, task, own, score, rows), half=half))
        if half == 0 and np.isfinite(score).all() and seed < 3:
            probes = _probe(method, x, data, task, tested)
    table = pd.concat(parts, ignore_index=True)
    seconds = time.perf_counter() - begun
    about = {**setting._asdict(), "seconds": round(seconds, 1), "probe": probes}
    _write(path.with_suffix(".json"), about)
    write_table(table, path)
    return table


def _calls(data: Data, task: Task, own: Any, score: Any, rows: Any) -> dict[str, np.ndarray]:
    """Return who is called malignant, at one threshold, and at one per group."""
    benign = data.frame["target"].to_numpy()[task.validation] == 0
    one = np.quantile(own[benign], SPECIFICITY)
    cuts = np.full(len(rows), one)
    for k in range(task.n_groups):
        of = benign & (task.group[task.validation] == k)
        cuts[task.group[rows] == k] = np.quantile(own[of], SPECIFICITY)
    return {"called": score > one, "called_by_group": score > cuts}


def _probe(method: Method, x: Any, data: Data, task: Task, rows: np.ndarray) -> dict[str, float]:
    rows = rows[task.group[rows] >= 0][:PROBED]
    with torch.no_grad():
        features = method.features(x[torch.as_tensor(rows)])
    lesions = data.frame["lesion"].to_numpy()[rows]
    found = probe_features(features, task.group[rows].astype(str), lesions, name="trained")
    return {"linear": found.balanced_accuracy, "network": found.mlp, "chance": found.chance}


def codes(frame: pd.DataFrame, column: str) -> tuple[np.ndarray, int]:
    """Return group indices, -1 where unknown, and how many groups there are."""
    index, names = pd.factorize(frame[column], sort=True)
    return index.astype(np.int64), len(names)


def natural(data: Data) -> Make:
    """Return study 1's tasks: one half of HAM10000 and ISIC 2017's training part."""
    group, n_groups = codes(data.frame, "tone_ita")
    split = data.frame["split"].to_numpy()
    validation, isic = np.flatnonzero(split == "validation"), np.flatnonzero(split == "train")

    def make(seed: int, half: int) -> Task:
        rows = np.concatenate([halves(data.frame, seed)[half], isic])
        return Task(rows, validation, group, n_groups)

    return make


def planted(data: Data, confounding: float) -> Make:
    """Return study 2's tasks: rows chosen so that tone and diagnosis go together."""
    group, n_groups = codes(data.frame, "tone_half")
    target, base = data.frame["target"].to_numpy(), natural(data)

    def make(seed: int, half: int) -> Task:
        rows = base(seed, half).train
        generator = np.random.default_rng([seed, half, 9])
        chosen: list[np.ndarray] = []
        for y in (0, 1):
            of = [generator.permutation(rows[(target[rows] == y) & (group[rows] == k)])
                  for k in (0, 1)]  # fmt: skip
            total = int(min(map(len, of)) / (0.5 + max(CONFOUNDING) / 2))
            light = (1 + confounding) / 2 if y else (1 - confounding) / 2
            n = round(total * light)
            chosen += [of[0][:n], of[1][: total - n]]
        train = np.concatenate(chosen)
        return Task(train, base(seed, half).validation, group, n_groups)

    return make


def balanced_test(frame: pd.DataFrame) -> set[str]:
    """Return images of `ham`, as many light as dark of either diagnosis."""
    ham, generator = frame[frame["split"] == "ham"], np.random.default_rng(7)
    kept: list[str] = []
    for y in (0, 1):
        of = [ham.loc[(ham["target"] == y) & (ham["tone_half"] == tone), "image_id"].to_numpy()
              for tone in ("1 light", "2 dark")]  # fmt: skip
        least = min(map(len, of))
        kept += [name for one in of for name in generator.permutation(one)[:least]]
    return set(kept)


Runs = dict[str, list[pd.DataFrame]]


def make_runs(
    data: Data,
    make: Make,
    searched: Make,
    out: Path,
    search_in: Path,
    seeds: int,
    arms: Sequence[str] = ARMS,
) -> Runs:
    """Return every arm's runs, searched first; seed by seed."""
    task = searched(SEARCH_SEED, 0)
    settings = {arm: search(arm, data, task, search_in) for arm in arms}
    runs: Runs = {arm: [] for arm in arms}
    for seed in range(seeds):
        for arm in arms:
            begun = time.perf_counter()
            runs[arm].append(run(arm, settings[arm], data, make, seed, out))
            print(f"{out.name} {arm} {seed}: {time.perf_counter() - begun:.1f} s", flush=True)
    return runs


def scores_of(runs: Runs, test: str, by: str, keep: set[str] | None = None):
    """Return the images of a test and the scores of all runs, shape (arms, seeds, n)."""
    wide: list[list[np.ndarray]] = []
    first = None
    for tables in runs.values():
        wide.append([])
        for table in tables:
            rows = table[table["split"] == test]
            rows = rows if keep is None else rows[rows["image_id"].isin(keep)]
            rows = rows.sort_values("image_id")
            score = rows["score"].to_numpy()
            wide[-1].append(score if np.isfinite(score).all() else np.full(len(score), np.nan))
            first = rows if first is None else first
    return make_test(test, first["target"], first["lesion"], first[by], by=by), np.array(wide)


def compared(tests: list[Any], arms: list[str], by: str) -> Compared:
    """Return the comparison with ERM, adjusted over all tests together."""
    images, scores = tests[0]
    names = np.array([*images.grouping.labels, None], dtype=object)
    base = compare_scores(
        dict(zip(arms, scores, strict=True)), images.target, images.patient,
        names[images.grouping.codes], by=by,
    )  # fmt: skip
    results = results_of(tests, arms, (arms[0],), range(scores.shape[1]), MARGIN)
    return dataclasses.replace(base, tests=tuple(results))


def sensitivities(runs: Runs, by: str, keep: set[str] | None = None) -> list[dict[str, Any]]:
    """Return each arm's sensitivity in its worst group, and less ERM's, adjusted over arms.

    ERM is the first arm.
    """
    erm = next(iter(runs))
    arms = {arm: (arm, "called") for arm in runs}
    arms[f"{erm}, threshold per group"] = (erm, "called_by_group")
    called: dict[str, np.ndarray] = {}
    specificity: dict[str, float] = {}
    whole = pd.concat([table for tables in runs.values() for table in tables])
    whole = whole[(whole["split"] == "ham") & (whole["target"] == 1) & whole[by].notna()]
    ill = whole.drop_duplicates("image_id").sort_values("image_id").set_index("image_id")
    ill = ill if keep is None else ill[ill.index.isin(keep)]
    group, lesion = ill[by].to_numpy(), ill["lesion"].to_numpy()
    for name, (arm, column) in arms.items():
        each, correct = [], []
        for table in runs[arm]:
            rows = table[(table["split"] == "ham") & table[by].notna()]
            rows = rows if keep is None else rows[rows["image_id"].isin(keep)]
            rows = rows.set_index("image_id")
            each.append(rows[column].astype(float).reindex(ill.index).to_numpy())
            correct.append(1 - rows.loc[rows["target"] == 0, column].mean())
        called[name], specificity[name] = np.array(each), float(np.mean(correct))
    _, who = np.unique(lesion, return_inverse=True)
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(who.max() + 1, np.full(who.max() + 1, 1 / (who.max() + 1)),
                                  RESAMPLES)  # fmt: skip
    weights = np.concatenate([np.ones((1, len(who))), drawn[:, who]])
    groups = sorted(set(group))

    def least(name: str) -> np.ndarray:  # (1 + RESAMPLES, seeds): sensitivity of the worst group
        values, tested = np.nan_to_num(called[name].T), np.isfinite(called[name].T).astype(float)
        parts = [(weights * (group == one)) @ values / ((weights * (group == one)) @ tested)
                 for one in groups]  # fmt: skip
        return np.min(parts, axis=0)

    level = 1 - 0.05 / 2 / (len(arms) - 1)
    found: list[dict[str, Any]] = []
    reference = least(erm)
    for name in arms:
        own, less = least(name), least(name) - reference
        row = {"arm": name, "worst": float(own[0].mean()), "specificity": specificity[name]}
        if name != erm:
            row |= dict(zip(("difference", "low", "high"), _interval(less, level), strict=True))
        row |= dict(zip(("worst_low", "worst_high"), _interval(own, 0.975)[1:], strict=True))
        found.append({key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()})
    return found


def _interval(values: np.ndarray, level: float) -> tuple[float, float, float]:
    """Return mean and interval: t over seeds and a bootstrap over lesions, in quadrature."""
    mean, k = float(values[0].mean()), values.shape[1]
    z = normal_quantile(level)
    seeds = t_quantile(z, k - 1) ** 2 * values[0].var(ddof=1) / k if k > 1 else np.nan
    half = float(np.sqrt(seeds + z**2 * values[1:].mean(1).var(ddof=1)))
    return mean, mean - half, mean + half


def summary(one: Compared) -> dict[str, Any]:
    """Return verdict, answer and every figure of a comparison, rounded."""
    concluded = conclude(one)
    tests = []
    for test in one.tests:
        kept = {
            "groups": test.groups.drop(columns="missing"),
            "figures": test.figures,
            "differences": test.differences.drop(columns=["low", "high", "p"]),
            "needs": test.needs,
        }
        tests.append({"test": test.split, "n": test.n, "lesions": test.patients,
                      "positives": test.positives}
                     | {name: json.loads(table.round(4).to_json(orient="split", index=False))
                        for name, table in kept.items()})  # fmt: skip
    return {"verdict": concluded.kind, "headline": concluded.headline,
            "answer": list(concluded.sentences), "tests": tests}  # fmt: skip


def probes_of(out: Path, seeds: int, arms: Sequence[str] = ARMS) -> dict[str, Any]:
    """Return each arm's probes, the mean over seeds with the least and the most."""
    found: dict[str, Any] = {}
    for arm in arms:
        read = [json.loads((out / arm / f"seed-{seed}.json").read_text()) for seed in range(seeds)]
        known = [one["probe"] for one in read if one["probe"]]
        of = {kind: [one[kind] for one in known] for kind in ("linear", "network")}
        found[arm] = {kind: [round(float(f(v)), 3) for f in (np.mean, np.min, np.max)]
                      for kind, v in of.items() if v}  # fmt: skip
        seconds = round(float(np.mean([one["seconds"] for one in read])), 1)
        found[arm] |= {"seeds": len(known), "setting": _setting(read[0]), "seconds": seconds}
    return found


def _setting(about: dict[str, Any]) -> dict[str, Any]:
    flat = {"rate": about["rate"], "momentum": about["momentum"], **about["options"]}
    return {key: float(f"{value:.2g}") for key, value in flat.items()}


def study_features(data: Data, out: Path, seeds: int) -> dict[str, Any]:
    """Study 1."""
    make, place = natural(data), out / "features"
    runs = make_runs(data, make, make, place, place, seeds)
    arms = list(ARMS)
    found: dict[str, Any] = {"study": "features", "seeds": seeds, "by": {}}
    tests = [scores_of(runs, test, "tone_ita") for test in ("ham", "isic2017")]
    found["by"]["tone_ita"] = summary(compared(tests, arms, "tone_ita"))
    for by in ("tone_lightness", "band"):
        keep = _large(runs["erm"][0], by)
        found["by"][by] = summary(compared([scores_of(runs, "ham", by, keep)], arms, by))
    found["sensitivity"] = sensitivities(runs, "tone_ita")
    found["arms"] = probes_of(place, seeds)
    return found


def _large(table: pd.DataFrame, by: str) -> set[str]:
    """Return the images of `ham` in groups with ten malignant and ten other images."""
    rows = table[(table["split"] == "ham") & table[by].notna()]
    sizes = rows.groupby(by)["target"].agg(["sum", "size"])
    large = sizes.index[(sizes["sum"] >= 10) & (sizes["size"] - sizes["sum"] >= 10)]
    return set(rows.loc[rows[by].isin(large), "image_id"])


def write_photographs(data: Data, out: Path) -> Path:
    """Write study 3's manifest: both archives as files, in the splits that compare reads.

    ``test`` is a half of HAM10000's tested lesions, which ``--splits`` deals anew with the other.
    """
    frame = data.frame.assign(source=data.frame["archive"])
    frame["split"] = frame["split"].replace({"isic2017": "test-isic2017"})
    trains, tested = halves(data.frame, 0)
    for rows, name in ((trains, "train"), (tested, "test")):
        frame.loc[rows, "split"] = name
    columns = ["image_id", "path", "target", "diagnosis", "lesion_id", "source", "split", *GROUPS]
    path = out / "photographs.parquet"
    write_table(frame[columns], path)
    return path


def study_fine_tuned(
    data: Data, out: Path, splits: int, arms: Sequence[str], drawn: int
) -> dict[str, Any]:
    """Study 3, by ``equiderm compare``: a seed in each split, and so many draws there."""
    files = [EXPERIMENTS / f"{arm}.toml" for arm in arms]
    how = ("--splits", splits, "--seeds", 1, "--search", drawn, "--out", out / "fine-tuned")
    page = out / "fine-tuned.html"
    _equiderm("compare", *files, "--data", write_photographs(data, out), *how, "-o", page)
    whole = json.loads(page.with_suffix(".json").read_text())
    tests = [{key: test[key] for key in ("n", "patients", "positives")} | {"test": test["split"]}
             | {name: _columns(test[name]) for name in ("groups", "figures", "differences",
                                                        "needs", "probes")}
             for test in whole["tests"]]  # fmt: skip
    runs = fine_tuned_runs(out, arms, splits)
    found: dict[str, Any] = {"study": "fine-tuned", "splits": splits, "by": {}}
    found["by"]["tone_ita"] = {
        "verdict": whole["verdict"]["kind"],
        "headline": whole["verdict"]["headline"],
        "answer": whole["answer"][1:],  # the headline comes first there
        "tests": tests,
    }
    found["by"] |= by_other_groups(runs)
    found["sensitivity"] = sensitivities(runs, "tone_ita")
    return found


def by_other_groups(runs: Runs) -> dict[str, Any]:
    """Return the comparison of runs in several splits by thirds of L* and by band, on `ham`."""
    scores = pd.concat(
        [
            table[table["split"] == "ham"].assign(
                experiment=arm, split=j, seed=0, patient_id=table["lesion"]
            )
            for arm, tables in runs.items()
            for j, table in enumerate(tables)
        ]
    )
    tested, found = scores.drop_duplicates("image_id").assign(split="ham"), {}
    for by in ("tone_lightness", "band"):
        rows = scores[scores["image_id"].isin(_large(tested, by))]
        one = compare_scores(rows, by=by, test="ham", references=[next(iter(runs))])
        found[by] = summary(one)
    return found


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return rows as columns and data, rounded."""
    table = pd.DataFrame(rows).round(4)
    return json.loads(table.to_json(orient="split", index=False)) if len(table) else {}


def fine_tuned_runs(out: Path, arms: Sequence[str], splits: int) -> Runs:
    """Return each arm's tested images, split by split, and who is called at 90 % specificity.

    A threshold is that of the run's own validation rows, which are scored here.
    """
    manifest = pd.read_parquet(out / "photographs.parquet")
    whole = manifest.set_index("image_id")
    store, runs = ImageStore.open(out / f"photographs-{PIXELS}px"), {arm: [] for arm in arms}
    tested = ("test", "test-isic2017")
    parts = draw_splits(manifest, max(splits, 2), ("train", "validation"), tested, tone="tone_ita")
    for arm in arms:
        for j, part in enumerate(parts[:splits]):
            folder = out / "fine-tuned" / arm / f"split-{j}" / f"seed-{SPLIT_SEEDS * j}"
            held = folder / "validation.parquet"
            ids = pd.read_parquet(folder / "test.parquet")["image_id"]
            if set(ids) != set(part.loc[part["split"] == "test", "image_id"]):
                raise SystemExit(f"{folder}: was trained on another split")
            if not held.is_file():
                rows = part[part["split"] == "validation"].reset_index(drop=True)
                write_table(predict(folder, store, rows), held)
            own = _with_groups(pd.read_parquet(held), whole)
            tables = []
            for test, name in zip(tested, ("ham", "isic2017"), strict=True):
                scored = _with_groups(pd.read_parquet(folder / f"{test}.parquet"), whole)
                tables.append(_called(scored, own).assign(split=name))
            runs[arm].append(pd.concat(tables, ignore_index=True))
    return runs


def _with_groups(scored: pd.DataFrame, whole: pd.DataFrame) -> pd.DataFrame:
    about = whole.loc[scored["image_id"]].reset_index()
    lesion = about["lesion_id"].where(about["lesion_id"].notna(), about["image_id"])
    score = scored["logit"].to_numpy()
    return about[["image_id", "target", *GROUPS]].assign(lesion=lesion, score=score)


def _called(scored: pd.DataFrame, own: pd.DataFrame, by: str = "tone_ita") -> pd.DataFrame:
    """Add who is called malignant, at one threshold, and at one per group."""
    benign = own[own["target"] == 0]
    one = benign["score"].quantile(SPECIFICITY)
    each = benign.groupby(by)["score"].quantile(SPECIFICITY)
    cuts = scored[by].map(each).fillna(one)
    return scored.assign(called=scored["score"] > one, called_by_group=scored["score"] > cuts)


def study_planted_fine_tuned(
    data: Data, out: Path, seeds: int, arms: Sequence[str]
) -> dict[str, Any]:
    """Study 2 with study 3's network: ERM at no confounding, and all arms at the strongest."""
    keep, (weakest, *_, strongest) = balanced_test(data.frame), CONFOUNDING
    manifest = pd.read_parquet(write_photographs(data, out))
    store, _ = build_store(manifest, out / f"photographs-{PIXELS}px", size=PIXELS)
    levels = {arm: (arm, strongest) for arm in arms}
    levels[f"{arms[0]} without confounding"] = (arms[0], weakest)
    runs: Runs = {name: [] for name in levels}
    for seed in range(seeds):
        for name, (arm, c) in levels.items():
            begun, place = time.perf_counter(), out / f"planted-fine-tuned-{c:g}"
            runs[name].append(_planted_run(arm, c, data, seed, store, keep, place))
            print(f"{place.name} {arm} {seed}: {time.perf_counter() - begun:.1f} s", flush=True)
    scores = pd.concat(
        table.assign(experiment=name, split=seed, seed=0, patient_id=table["lesion"])
        for name, tables in runs.items()
        for seed, table in enumerate(tables)
    )
    one = compare_scores(scores, by="tone_half", test="ham", references=[arms[0]])
    found = {"study": "planted-fine-tuned", "seeds": seeds, "methods": summary(one)}
    return found | {"sensitivity": sensitivities(runs, "tone_half")}


def _planted_run(
    arm: str, c: float, data: Data, seed: int, store: ImageStore, keep: set[str], place: Path
) -> pd.DataFrame:
    """Return one run's score of every test image, trained on the first half's planted rows."""
    path = place / arm / f"seed-{seed}.parquet"
    if path.is_file():
        return pd.read_parquet(path)
    task, frame = planted(data, c)(seed, 0), data.frame.assign(lesion_id=data.frame["lesion"])
    rows = frame.iloc[task.train].assign(split="train").reset_index(drop=True)
    experiment = read_experiment(EXPERIMENTS / f"{arm}.toml")
    experiment = dataclasses.replace(
        experiment,
        data=dataclasses.replace(experiment.data, group="tone_half"),
        training=dataclasses.replace(experiment.training, epochs=PLANTED_EPOCHS),
        validation=ValidationChoice(),
        seed=seed,
    )
    folder = place / arm / f"seed-{seed}"
    fit(experiment, rows, folder, images=store)
    tested = frame.iloc[halves(frame, seed)[1]]
    tested = tested[tested["image_id"].isin(keep)].reset_index(drop=True)
    own = predict(folder, store, frame.iloc[task.validation].reset_index(drop=True))
    scored = predict(folder, store, tested)
    columns = ["image_id", "target", "lesion", "split", "tone_half", "score"]
    tables = [table.assign(score=table["logit"])[columns] for table in (scored, own)]
    table = _called(tables[0], tables[1], "tone_half")
    write_table(table, path)
    return table


def audit_first(data: Data, out: Path) -> Path:
    """Audit study 1's first ERM along ITA and at equal diagnosis; needs its runs."""
    table = pd.read_parquet(out / "features" / "erm" / "seed-0.parquet")
    table = table[table["split"] == "ham"].rename(columns={"lesion": "patient_id"})
    tones = pd.read_parquet(out / "tones.parquet")
    tones.index = pd.Index([Path(image).stem for image in tones["image"]])
    about = data.frame.set_index("image_id").loc[table["image_id"]]
    table = table.assign(
        score=1 / (1 + np.exp(-table["score"].astype(float))),
        ita=tones.loc[table["image_id"], "ita"].to_numpy(),
        diagnosis=about["diagnosis"].to_numpy(),
    )
    columns = ["image_id", "patient_id", "target", "score", "ita", "diagnosis", "tone_ita"]
    write_table(table[columns], out / "erm-0.csv")
    page = ("-o", out / "erm-0.html", "-o", out / "erm-0.json")
    how = ("--by", "tone_ita", "--along", "ita", "--adjust", "diagnosis")
    _equiderm("audit", out / "erm-0.csv", *how, *page)
    return out / "erm-0.html"


def study_matched(data: Data, out: Path, seeds: int) -> dict[str, Any]:
    """Each rival of study 1 beside ERM at the rate and momentum that the rival's search kept."""
    make = natural(data)
    found: dict[str, Any] = {"study": "matched", "seeds": seeds, "rivals": {}}
    for arm in MATCHED:
        rival = search(arm, data, make(SEARCH_SEED, 0), out / "features")
        erm = Setting(rival.rate, rival.momentum, {})
        place = out / "matched" / arm
        runs = {
            "erm": [run("erm", erm, data, make, seed, place) for seed in range(seeds)],
            arm: [run(arm, rival, data, make, seed, out / "features") for seed in range(seeds)],
        }
        print(f"matched {arm}", flush=True)
        tests = [scores_of(runs, "ham", "tone_ita")]
        found["rivals"][arm] = summary(compared(tests, list(runs), "tone_ita"))
        found["rivals"][arm]["setting"] = _setting(erm._asdict())
    return found


def study_planted_matched(data: Data, out: Path, seeds: int) -> dict[str, Any]:
    """The same at study 2's strongest confounding; needs its runs."""
    strongest = max(CONFOUNDING)
    make, keep = planted(data, strongest), balanced_test(data.frame)
    halves_of = data.frame.set_index("image_id")["tone_half"]
    found: dict[str, Any] = {"study": "planted-matched", "seeds": seeds, "rivals": {}}
    for arm in PLANTED_MATCHED:
        rival = search(arm, data, make(SEARCH_SEED, 0), out / "planted-search")
        erm = Setting(rival.rate, rival.momentum, {})
        place = out / "planted-matched" / arm
        whole = out / f"planted-{strongest:g}"
        runs = {
            "erm": [run("erm", erm, data, make, seed, place) for seed in range(seeds)],
            arm: [run(arm, rival, data, make, seed, whole) for seed in range(seeds)],
        }
        print(f"planted-matched {arm}", flush=True)
        for table in (table for tables in runs.values() for table in tables):
            table["tone_half"] = table["image_id"].map(halves_of)
        tests = [scores_of(runs, "ham", "tone_half", keep)]
        found["rivals"][arm] = summary(compared(tests, list(runs), "tone_half"))
        found["rivals"][arm]["setting"] = _setting(erm._asdict())
        found["rivals"][arm]["sensitivity"] = sensitivities(runs, "tone_half", keep)
    return found


def study_planted(
    data: Data, out: Path, seeds: int, chosen: Sequence[str] = ARMS, whole: bool = False
) -> dict[str, Any]:
    """Study 2; constants are searched at the strongest confounding, and serve the others.

    Every arm at the strongest; ERM alone at the others, unless ``whole``.
    """
    keep = balanced_test(data.frame)
    halves_of = data.frame.set_index("image_id")["tone_half"]
    strongest = max(CONFOUNDING)
    tests: list[Any] = []
    erm: dict[str, np.ndarray] = {}
    found: dict[str, Any] = {"study": "planted", "seeds": seeds}
    for c in sorted(CONFOUNDING, reverse=True):
        place, arms = out / f"planted-{c:g}", chosen if whole or c == strongest else chosen[:1]
        searched, at = planted(data, strongest), out / "planted-search"
        runs = make_runs(data, planted(data, c), searched, place, at, seeds, arms)
        for tables in runs.values():
            for table in tables:
                table["tone_half"] = table["image_id"].map(halves_of)
        images, scores = scores_of(runs, "ham", "tone_half", keep)
        erm[f"erm at {c:g}"] = scores[0]
        if len(arms) > 1:
            tests.append((dataclasses.replace(images, name=f"confounding {c:g}"), scores))
        found[f"sensitivity at {c:g}"] = sensitivities(runs, "tone_half", keep)
        found[f"arms at {c:g}"] = probes_of(place, seeds, arms)
    found["methods"] = summary(compared(tests, list(chosen), "tone_half"))
    names = sorted(erm)  # without confounding first: the reference
    control = [(dataclasses.replace(images, name="ham"), np.array([erm[name] for name in names]))]
    found["control"] = summary(compared(control, names, "tone_half"))
    return found


FINE_PLANTED = "planted-fine-tuned"
STUDIES = {
    "features": study_features,
    "matched": study_matched,
    "planted": study_planted,
    "planted-matched": study_planted_matched,
}


def main() -> None:
    """Do one study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=[*STUDIES, "audit", "fine-tuned", FINE_PLANTED])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", nargs="+", help="planted and fine-tuned: ERM first, and rivals")
    parser.add_argument("--size", type=int, default=SIZE, help="pixels at which features are read")
    parser.add_argument("--whole", action="store_true", help="planted: every arm at every level")
    parser.add_argument(
        "--draws", type=int, default=0, help="fine-tuned: of each arm, in each split"
    )
    parser.add_argument("--json", type=Path, help="where the figures go; default OUT/STUDY.json")
    arguments = parser.parse_args()
    fine = arguments.what in ("fine-tuned", FINE_PLANTED)
    if not fine:
        torch.set_num_threads(1)
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    embedded = not fine and arguments.what != "audit"
    data = prepare(arguments.data, out, embedded=embedded, size=arguments.size)
    if arguments.what == "audit":
        print(audit_first(data, out))
        return
    if arguments.what == "fine-tuned":
        found = study_fine_tuned(
            data, out, arguments.seeds, arguments.arms or FINE_TUNED, arguments.draws
        )
    elif arguments.what == FINE_PLANTED:
        arms = arguments.arms or PLANTED_FINE_TUNED
        found = study_planted_fine_tuned(data, out, arguments.seeds, arms)
    elif arguments.what == "planted":
        found = study_planted(data, out, arguments.seeds, arguments.arms or ARMS, arguments.whole)
    else:
        found = STUDIES[arguments.what](data, out, arguments.seeds)
    path = arguments.json or out / f"{arguments.what}.json"
    with write_whole(path) as temporary:
        temporary.write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
