"""Methods in the loop: what they are given, refits, resume and two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.training.conftest import make_lesions

from equiderm.debias import METHODS
from equiderm.errors import InputError
from equiderm.training import ArrayImages, fit, load_run, loop, predict, probe
from equiderm.training.rows import select_rows

NEW = ["group_dro", "domain_independent", "dann", "cdann", "dfr", "leace", "mmd", "coral"]


class Stop(Exception):
    pass


@pytest.fixture
def lesions():
    """240 images of two groups: rows enough to fit a head on those of the validation."""
    images, frame = make_lesions(240, groups=(1, 2))
    return ArrayImages(images, frame["image_id"].tolist()), frame


def weights(run):
    return load_file(run / "model.safetensors")


# color_consistency draws angles, each process its own: alike in one process alone.
@pytest.mark.parametrize("name", [*NEW, "color_consistency"])
@pytest.mark.parametrize("figure", ["none", "auroc"])
def test_a_stopped_run_of_each_method_ends_on_bit_identical_weights(
    name, figure, make_experiment, lesions, tmp_path
):
    images, frame = lesions
    experiment = make_experiment(
        name, training={"checkpoint_steps": 2}, validation={"figure": figure}
    )

    def stop(progress):
        if progress.step == 15:
            raise Stop

    whole = fit(experiment, frame, tmp_path / "whole", images=images)
    with pytest.raises(Stop):
        fit(experiment, frame, tmp_path / "stopped", images=images, watch=stop)
    again = fit(experiment, frame, tmp_path / "stopped", images=images)
    one, other = weights(whole), weights(again)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    a, b = (load_run(run).about for run in (whole, again))
    assert (a["history"], a.get("refit")) == (b["history"], b.get("refit"))


def test_a_method_is_given_the_training_rows_of_each_target_and_group(
    make_experiment, lesions, tmp_path
):
    images, frame = lesions
    experiment = make_experiment("group_dro")
    rows = select_rows(experiment, frame)
    made = loop._Loop(experiment, rows, tmp_path / "run", images, None)
    train = frame[frame["split"] == "train"]
    for y in (0, 1):
        for k, value in enumerate((1, 2)):
            expected = ((train["target"] == y) & (train["fitzpatrick_type"] == value)).sum()
            assert made.method.counts[y, k] == expected


def test_a_method_knows_how_far_training_is(make_experiment, lesions, tmp_path, monkeypatch):
    images, frame = lesions
    seen = []
    updates = METHODS["dann"].updates

    def watched(self, batch):
        seen.append(self.progress)
        yield from updates(self, batch)

    monkeypatch.setattr(METHODS["dann"], "updates", watched)
    fit(make_experiment("dann"), frame, tmp_path / "run", images=images)
    np.testing.assert_allclose(seen, np.arange(22) / 22)


def test_group_dro_s_shares_move_and_are_kept(make_experiment, lesions, tmp_path):
    images, frame = lesions
    experiment = make_experiment("group_dro", method_options={"step_size": 0.5})
    share = weights(fit(experiment, frame, tmp_path / "run", images=images))["group_share"]
    assert share.sum() == pytest.approx(1)
    assert share.max() - share.min() > 0.01


def test_what_leace_erases_no_linear_probe_of_the_training_rows_reads(
    make_experiment, lesions, tmp_path
):
    images, frame = lesions
    # fp32: the features that are erased and those that are probed are rounded alike.
    exact = {"training": {"precision": "fp32"}}
    run = fit(make_experiment("leace", **exact), frame, tmp_path / "run", images=images)
    about = load_run(run).about
    assert about["refit"] == {"erased_dimensions": 1, "rows": 180}
    train = frame[frame["split"] == "train"].reset_index(drop=True)
    erased = probe(run, images, train, untrained=False)[0]
    erm = fit(make_experiment(), frame, tmp_path / "erm", images=images)
    plain = probe(erm, images, train, untrained=False)[0]
    assert erased.balanced_accuracy < 0.6 < plain.balanced_accuracy
    assert np.isfinite(predict(run, images, frame)["score"]).all()


def test_dfr_without_rows_of_every_target_and_group_is_refused_before_the_first_batch(
    make_experiment, lesions
):
    _, frame = lesions
    light = (frame["split"] == "validation") & (frame["fitzpatrick_type"] == 2)
    with pytest.raises(InputError, match="0 validation rows have group 2 and target 1"):
        select_rows(make_experiment("dfr"), frame.assign(target=frame["target"].mask(light, 0)))


def test_dfr_without_validation_rows_is_refused_before_the_first_batch(make_experiment, lesions):
    _, frame = lesions
    with pytest.raises(InputError, match="fits its head on validation rows"):
        select_rows(make_experiment("dfr"), frame.assign(split="train"))


SCRIPT = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("made", sys.argv[1])
made = importlib.util.module_from_spec(spec); spec.loader.exec_module(made)
from equiderm.training import ArrayImages, experiment_from, fit
import torch
torch.set_num_threads(1)
images, frame = made.make_lesions(112, groups=(1, 2))
store = ArrayImages(images, list(frame.image_id))
frame["ita"] = 60.0 - 30 * frame.fitzpatrick_type + frame.index % 7
frame["instrument"] = frame.index % 3
double = {"group": ["ita", "instrument"], "numbers": ["ita"]}
for name in sys.argv[3].split(","):
    heads = {"instrument": {"name": "lntl"}} if name == "clgr" else {}
    experiment = experiment_from({
        "method": {"name": name, "dropout": 0.0, **heads},
        "backbone": {"name": "test_vit", "weights": "random"},
        "data": {"size": 32, **(double if name == "clgr" else {})},
        "optimizer": {"backbone": 0.02, "target_head": 0.02, "group_head": 0.02},
        "training": {"epochs": 1, "batch_size": 16, "tracker": "none"},
    })
    fit(experiment, frame, Path(sys.argv[2]) / name, images=store)
"""


@pytest.mark.slow
def test_two_processes_end_on_the_weights_and_scores_of_one_with_every_method(lesions, tmp_path):
    script, names = tmp_path / "script.py", [*NEW, "density", "clgr"]
    script.write_text(SCRIPT)
    made = str(Path(__file__).with_name("conftest.py"))
    launch = {
        "one": [sys.executable, str(script)],
        "two": [sys.executable, "-m", "torch.distributed.run", "--standalone",
                "--nproc-per-node", "2", str(script)],
    }  # fmt: skip
    # On the CPU: two processes would want two GPUs.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    for where, command in launch.items():
        # density draws its images by weights; clgr has a number and a second column, two heads.
        arguments = [*command, made, str(tmp_path / where), ",".join(names)]
        subprocess.run(arguments, env=environment, check=True)
    for name in names:
        first, second = (weights(tmp_path / where / name) for where in launch)
        for key, value in first.items():
            if key.startswith("backbone"):
                torch.testing.assert_close(second[key], value, rtol=0, atol=1e-4, msg=name + key)
        scores = [predict(tmp_path / where / name, *lesions)["score"] for where in launch]
        np.testing.assert_allclose(*scores, atol=2e-3, err_msg=name)
        one, two = (
            json.loads((tmp_path / where / name / "run.json").read_text()) for where in launch
        )
        assert two["processes"] == 2
        for key, value in one["history"][0].items():  # losses are of all images, not of a share
            assert two["history"][0][key] == pytest.approx(value, rel=1e-4), (name, key)


@pytest.fixture
def with_ita(lesions):
    """Nine in ten images light, the others dark; a few unknown."""
    images, frame = lesions
    generator = np.random.default_rng(0)
    ita = np.where(np.arange(240) % 10 == 0, -30.0, 45.0) + generator.normal(0, 5, 240)
    ita[[1, 2]] = np.nan
    return images, frame.assign(ita=ita)


def test_density_draws_rare_tones_more_often_by_the_equation(make_experiment, with_ita, tmp_path):
    images, frame = with_ita
    ita = frame.loc[frame["split"] == "train", "ita"].to_numpy()
    known = np.isfinite(ita)
    a = ita[known]
    h = a.std(ddof=1) * len(a) ** -0.2
    density = np.exp(-(((a[:, None] - a) / h) ** 2) / 2).sum(1) / (len(a) * h * np.sqrt(2 * np.pi))
    shares = []
    for gamma in (0.0, 1.0):
        experiment = make_experiment("density", method_options={"gamma": gamma})
        rows = select_rows(experiment, frame)
        made = loop._Loop(experiment, rows, tmp_path / str(gamma), images, None)
        weights = made.method.sample_weights(None, None).numpy()
        expected = density**-gamma
        np.testing.assert_allclose(weights[known], expected, rtol=1e-6)
        np.testing.assert_allclose(weights[~known], expected.mean(), rtol=1e-6)
        drawn = frame["ita"].to_numpy()[np.concatenate([made._order(k) for k in range(5)])]
        shares.append((drawn < 0).mean())
    assert shares[0] < 0.15
    assert shares[1] > 0.3


def test_density_without_measured_tones_is_refused_before_the_first_batch(
    make_experiment, with_ita
):
    _, frame = with_ita
    with pytest.raises(InputError, match="0 different numbers in 'ita'"):
        select_rows(make_experiment("density"), frame.assign(ita=None))
    with pytest.raises(InputError, match="no column 'ita'"):
        select_rows(make_experiment("density"), frame.drop(columns="ita"))


def test_a_stopped_run_of_density_draws_on_as_it_would_have(make_experiment, with_ita, tmp_path):
    images, frame = with_ita
    experiment = make_experiment("density", training={"checkpoint_steps": 2})

    def stop(progress):
        if progress.step == 5:
            raise Stop

    whole = weights(fit(experiment, frame, tmp_path / "whole", images=images))
    with pytest.raises(Stop):
        fit(experiment, frame, tmp_path / "stopped", images=images, watch=stop)
    again = weights(fit(experiment, frame, tmp_path / "stopped", images=images))
    assert all(torch.equal(whole[key], again[key]) for key in whole)
