"""Two methods, two seeds, tiny lesions: training, scoring and what the comparison says of them."""

import dataclasses
import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import roc_auc_score
from tests.compare.test_runs import experiment
from tests.training.conftest import make_lesions

from equiderm.compare import as_dict, compare, render
from equiderm.compare.runs import Job, Work, check, make_runs, run_job
from equiderm.errors import InputError
from equiderm.training import ArrayImages, Features


@pytest.fixture(scope="module")
def material():
    images, frame = make_lesions(240)
    frame["split"] = np.where(np.arange(240) < 96, "train", "test")
    frame["half"] = np.where(np.arange(240) % 2, "odd", "even")
    return ArrayImages(images, frame["image_id"].tolist()), frame


EXPERIMENTS = {"erm": experiment(), "tabe": experiment("tabe")}


@pytest.fixture(scope="module")
def made(material, tmp_path_factory):
    images, frame = material
    out = tmp_path_factory.mktemp("runs")
    said = []
    compared = compare(EXPERIMENTS, frame, out, images=images, seeds=2, watch=said.append)
    return compared, out, said


def scores_of(out, name, seed):
    return pd.read_parquet(out / name / f"seed-{seed}" / "test.parquet")


def plain_figures(frame):
    by_group = {
        str(group): roc_auc_score(part["target"], part["score"])
        for group, part in frame.groupby("fitzpatrick_type")
    }
    overall = roc_auc_score(frame["target"], frame["score"])
    worst = min(by_group.values())
    return {"overall": overall, **by_group, "worst": worst, "gap": max(by_group.values()) - worst}


def test_every_figure_is_the_mean_over_seeds_of_a_plain_reckoning(made):
    compared, out, _ = made
    for name in EXPERIMENTS:
        plain = [plain_figures(scores_of(out, name, seed)) for seed in (0, 1)]
        for figure in plain[0]:
            found = compared.tests[0].figure(name, figure)
            assert found["value"] == pytest.approx(np.mean([one[figure] for one in plain]))
            assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1, figure


def test_comparing_leaves_the_caller_s_generators_and_plots_as_they_were(material, tmp_path):
    images, frame = material
    before = generators()
    compared = compare({"erm": experiment()}, frame, str(tmp_path), images=images, seeds=1)
    assert generators() == before
    assert isinstance(compared.plot.curves("erm"), Figure)
    render(compared)
    assert pyplot.get_fignums() == []


def generators():
    numpy = np.random.get_state()[1].tolist()  # noqa: NPY002
    return random.getstate(), numpy, torch.get_rng_state().tolist()


def test_every_group_stands_beside_the_gap(made):
    figures = set(made[0].tests[0].figures["figure"])
    assert figures == {"overall", "1", "2", "3", "worst", "gap"}


def test_a_paired_difference_is_the_mean_of_the_differences_of_each_seed(made):
    compared, out, _ = made
    table = compared.tests[0].differences
    row = table[(table["experiment"] == "tabe") & (table["figure"] == "worst")].iloc[0]
    plain = [
        plain_figures(scores_of(out, "tabe", seed))["worst"]
        - plain_figures(scores_of(out, "erm", seed))["worst"]
        for seed in (0, 1)
    ]
    assert row["difference"] == pytest.approx(np.mean(plain))
    assert row["low"] <= row["difference"] <= row["high"]


def test_runs_that_are_there_are_picked_up_and_give_the_same(made, material):
    compared, out, said = made
    assert all(sentence.endswith("trained") for sentence in said)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    images, frame = material
    again_said = []
    again = compare(EXPERIMENTS, frame, out, images=images, seeds=2, watch=again_said.append)
    assert all(sentence.endswith("found") for sentence in again_said)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
    pd.testing.assert_frame_equal(again.tests[0].figures, compared.tests[0].figures)
    pd.testing.assert_frame_equal(again.tests[0].differences, compared.tests[0].differences)


def test_a_stopped_run_goes_on_to_the_same_scores(made, material, tmp_path, monkeypatch):
    _, out, _ = made
    images, frame = material
    job = Job("erm", dataclasses.replace(EXPERIMENTS["erm"], seed=1), tmp_path / "run", True)
    work = Work(frame, images, ("test",), ("fitzpatrick_type",), "fitzpatrick_type")
    from equiderm.training.loop import _Loop

    step, count = _Loop._step, []

    def stop_at_four(self, positions):
        if len(count) == 4:
            raise KeyboardInterrupt
        count.append(1)
        step(self, positions)

    monkeypatch.setattr(_Loop, "_step", stop_at_four)
    with pytest.raises(KeyboardInterrupt):
        run_job(job, work)
    monkeypatch.setattr(_Loop, "_step", step)
    assert not (job.folder / "test.parquet").exists()
    assert run_job(job, work).state == "trained"
    pd.testing.assert_frame_equal(
        pd.read_parquet(job.folder / "test.parquet"), scores_of(out, "erm", 1)
    )


@pytest.mark.slow
def test_runs_of_several_processes_give_what_one_gives(made, material, tmp_path):
    _, out, _ = made
    images, frame = material
    jobs = [
        Job(name, dataclasses.replace(one, seed=0), tmp_path / name, False)
        for name, one in EXPERIMENTS.items()
    ]
    make_runs(
        jobs,
        Work(frame, images, ("test",), ("fitzpatrick_type",), "fitzpatrick_type"),
        workers=2,
        watch=lambda sentence: None,
    )
    for job in jobs:
        one, other = pd.read_parquet(job.folder / "test.parquet"), scores_of(out, job.name, 0)
        np.testing.assert_allclose(one["score"], other["score"], atol=1e-4)


def test_a_test_set_may_be_added_to_finished_runs_and_is_grouped_as_asked(made, material, tmp_path):
    import shutil

    _, out, _ = made
    images, frame = material
    shutil.copytree(out / "erm", tmp_path / "erm")
    more = frame.copy()
    more.loc[200:, "split"] = "test-b"
    said = []
    found = compare(
        {"erm": EXPERIMENTS["erm"]},
        more,
        tmp_path,
        images=images,
        by="half",
        seeds=2,
        watch=said.append,
    )
    assert all(sentence.endswith("found") for sentence in said)
    assert [test.split for test in found.tests] == ["test", "test-b"]
    assert set(found.tests[1].groups["group"]) == {"even", "odd"}
    whole = pd.concat(
        pd.read_parquet(tmp_path / "erm" / "seed-1" / f"{one}.parquet")
        for one in ("test", "test-b")
    )
    np.testing.assert_allclose(whole["score"], scores_of(out, "erm", 1)["score"], atol=1e-5)


def test_probes_stand_beside_chance_and_the_untrained_backbone(made):
    probes = made[0].tests[0].probes
    assert set(probes["features"]) == {"trained", "untrained"}
    assert (probes["chance"] == 1 / 3).all()
    assert ((probes["low"] <= probes["value"]) & (probes["value"] <= probes["high"])).all()


def test_the_cost_of_erm_is_one(made):
    assert made[0].costs["erm"] == 1
    assert made[0].costs["tabe"] > 0


def test_page_and_json_hold_every_experiment_the_best_constant_and_what_selection_saw(made):
    page, content = render(made[0], lead="Drawings."), as_dict(made[0])
    for text in ("Drawings.", "erm", "tabe", "any constant score", "What model selection saw"):
        assert text in page
    assert "http" not in page
    assert content["schema"] == "equiderm.compare/2"
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["selection"][0]["test_images"] == 0


# What cannot be compared.


@pytest.mark.parametrize(
    ("experiments", "message"),
    [
        ({"tabe": experiment("tabe")}, "no experiment is ERM"),
        ({"erm": experiment(), "b": experiment(data={"size": 64})}, "size differs"),
        ({"erm": experiment(validation={"folds": 2})}, "folds"),
    ],
)
def test_experiments_that_cannot_be_compared_are_refused(material, experiments, message):
    with pytest.raises(InputError, match=message):
        check(experiments, material[1])


def test_a_patient_of_the_test_who_trains_is_refused(material):
    frame = material[1].copy()
    frame.loc[frame["split"] == "test", "patient_id"] = "patient-0000"
    with pytest.raises(InputError, match="patient-0000 is in split 'test'"):
        check(EXPERIMENTS, frame)


def test_test_sets_may_be_named_and_must_be_there(material):
    frame = material[1].copy()
    frame.loc[200:, "split"] = "holdout"
    assert check(EXPERIMENTS, frame, ["holdout"]) == ("holdout",)
    with pytest.raises(InputError, match="no split is called 'elsewhere'; it has holdout, test"):
        check(EXPERIMENTS, frame, ["elsewhere"])
    with pytest.raises(InputError, match="'train' and among the rows that train"):
        check(EXPERIMENTS, frame, ["train"])


@pytest.mark.parametrize("name", ["test/../../x", "test\\x", "test\0"])
def test_a_split_whose_name_is_a_path_is_refused(material, name):
    frame = material[1].replace({"split": {"test": name}})
    with pytest.raises(InputError, match="names files"):
        check(EXPERIMENTS, frame)


def test_a_column_to_group_by_must_be_there(material, tmp_path):
    images, frame = material
    with pytest.raises(InputError, match="no column 'hospital' to group by"):
        compare(EXPERIMENTS, frame, tmp_path, images=images, by="hospital")


def test_numbers_to_group_by_are_refused_before_training(material, tmp_path):
    images, frame = material[:2]
    measured = pd.concat([frame] * 2).assign(ita=np.linspace(0, 60, 2 * len(frame)), split="test-x")
    measured["image_id"] = measured["patient_id"] = [f"x{k}" for k in range(len(measured))]
    measured = measured.drop(columns=["path", "sha256"], errors="ignore")
    with pytest.raises(InputError, match="different values in split 'test-x', but at most 50"):
        compare(EXPERIMENTS, pd.concat([frame, measured]), tmp_path, images=images, by="ita")
    assert not any(tmp_path.rglob("run.json"))


def test_a_manifest_without_a_test_is_refused(material):
    with pytest.raises(InputError, match="no split is called test"):
        check(EXPERIMENTS, material[1].assign(split="train"))


# As a command.


@pytest.fixture
def on_disk(material, tmp_path):
    images, frame = material
    frame = frame.assign(
        source="made",
        rater="us",
        target_name="melanoma",
        path=[f"{name}.png" for name in frame["image_id"]],
    )
    for picture, name in zip(images.images, frame["path"], strict=True):
        Image.fromarray(picture).save(tmp_path / name)
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    for name, one in EXPERIMENTS.items():
        (tmp_path / f"{name}.toml").write_text(one.to_toml())
    return tmp_path


COMMAND = (
    "compare", "erm.toml", "tabe.toml", "--data", "manifest.csv", "-o", "page.html",
    "--seeds", "2", "--workers", "1",
)  # fmt: skip


@pytest.mark.slow
def test_the_command_stopped_by_a_kill_goes_on_and_writes_page_and_json(equiderm, on_disk):
    command = [sys.executable, "-m", "equiderm", *COMMAND]
    process = subprocess.Popen(
        command, cwd=on_disk, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    first = on_disk / "runs" / "erm" / "seed-0" / "test-probe.json"
    until = time.monotonic() + 300
    while not first.exists() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (on_disk / "page.html").exists()
    done = equiderm(*COMMAND, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "erm, seed 0: found" in done.stderr
    assert "tabe, seed 1: trained" in done.stderr
    assert "any constant score" in done.stdout
    assert (on_disk / "page.html").stat().st_size > 20_000
    assert json.loads((on_disk / "page.json").read_text())["seeds"] == [0, 1]
    again = equiderm(*COMMAND, "--by", "half", "--splits", "test", "--margin", "0.1", timeout=300)
    assert again.returncode == 0, again.stderr
    content = json.loads((on_disk / "page.json").read_text())
    assert (content["by"], content["margin"]) == ("half", 0.1)
    assert {one["group"] for one in content["tests"][0]["groups"]} == {"even", "odd"}
    assert (on_disk / "page-tables" / "test-auroc.tex").is_file()


def test_experiments_on_features_are_compared_and_their_steps_timed(material, tmp_path):
    frame = material[1]
    values = np.random.default_rng(0).normal(size=(len(frame), 6))
    values[:, 0] += 2 * frame["target"]
    layer = {"backbone": {"name": "features", "units": 4}, "data": {"group": "fitzpatrick_type"}}
    both = {name: experiment(name, **layer) for name in ("erm", "tabe")}
    features = Features(values, frame["image_id"].tolist())
    compared = compare(both, frame, tmp_path / "runs", images=features, seeds=2)
    assert compared.tests[0].figure("erm", "overall")["value"] > 0.6
    assert compared.costs["erm"] == 1.0
    assert compared.costs["tabe"] > 0
