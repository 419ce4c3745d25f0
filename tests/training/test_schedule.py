"""Rates along a run, clipped gradients, batches in parts, and a backbone that stands still."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from equiderm.errors import InputError
from equiderm.models import create_backbone
from equiderm.training import fit, load_run
from equiderm.training.schedule import Schedule


def sgd(rate):
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=rate)


def weights(run):
    return load_file(run / "model.safetensors")


def test_cosine_rises_along_a_line_and_falls_along_half_a_cosine():
    optimizers = {"main": sgd(0.4), "group": sgd(4.0)}
    schedule = Schedule(optimizers, "cosine", 0.2)
    for progress, factor in (
        (0.0, 0.0), (0.1, 0.5), (0.2, 1.0), (0.4, (1 + math.cos(math.pi / 4)) / 2),
        (0.6, 0.5), (1.0, 0.0),
    ):  # fmt: skip
        schedule.set(progress)
        assert optimizers["main"].param_groups[0]["lr"] == pytest.approx(0.4 * factor, abs=1e-12)
        assert optimizers["group"].param_groups[0]["lr"] == pytest.approx(4 * factor, abs=1e-12)


def test_a_constant_rate_stays_as_it_is_after_its_warm_up():
    schedule = Schedule({"main": sgd(1.0)}, "constant", 0.5)
    assert [schedule.factor(p) for p in (0.25, 0.5, 0.9)] == [0.5, 1.0, 1.0]


@pytest.mark.parametrize("name", ["erm", "tabe"])
def test_a_stopped_run_goes_on_along_its_schedule_to_bit_identical_weights(
    name, make_experiment, lesions, tmp_path
):
    images, frame = lesions
    experiment = make_experiment(
        name,
        method_options={"second_backbone_rate": 0.01} if name == "tabe" else {},
        optimizer={"schedule": "cosine", "warmup": 0.3, "clip": 0.5, "weight_decay": 0.01},
        training={"checkpoint_steps": 2, "accumulate": 3},
    )
    plain = make_experiment(name, method_options=dict(experiment.method))
    whole = fit(experiment, frame, tmp_path / "whole", images=images)

    def stop(progress):
        if progress.step == 5:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fit(experiment, frame, tmp_path / "stopped", images=images, watch=stop)
    one, other = (
        weights(whole),
        weights(fit(experiment, frame, tmp_path / "stopped", images=images)),
    )
    assert all(torch.equal(one[key], other[key]) for key in one)
    constant = weights(fit(plain, frame, tmp_path / "plain", images=images))
    assert not torch.equal(one["target_head.1.weight"], constant["target_head.1.weight"])


def test_a_step_is_no_longer_than_its_rate_times_the_clipped_norm(
    make_experiment, lesions, tmp_path
):
    images, frame = lesions
    frame = frame[(frame["split"] != "train") | (np.arange(len(frame)) < 24)]
    still = dict.fromkeys(("backbone", "target_head"), 0.0)
    fast = dict.fromkeys(("backbone", "target_head"), 2.0)
    ends = []
    for name, optimizer in (("still", still), ("fast", fast)):
        experiment = make_experiment(
            optimizer={**optimizer, "momentum": 0.0, "clip": 1e-3}, training={"epochs": 1}
        )
        run = fit(experiment, frame, tmp_path / name, images=images)
        assert len(load_run(run).about["history"]) == 1
        ends.append(weights(run))
    parameters = dict(load_run(run).method.named_parameters())
    moved = [(ends[1][name] - ends[0][name]).square().sum() for name in parameters]
    assert float(sum(moved)) ** 0.5 == pytest.approx(2.0 * 1e-3, rel=1e-3)


@pytest.mark.parametrize("name", ["erm", "clgr"])
def test_parts_of_a_batch_end_on_the_weights_of_the_whole(name, make_experiment, lesions, tmp_path):
    images, frame = lesions
    # As many images of each group: the group loss of a part weighs them as that of the whole.
    frame = frame.assign(fitzpatrick_type=np.arange(len(frame)) // 4 % 2 + 1)
    ends = []
    for parts in (1, 4):
        experiment = make_experiment(
            name,
            method_options={"dropout": 0.0},
            backbone={"name": "test_vit"},  # without batch statistics, which are each part's own
            training={"epochs": 1, "accumulate": parts, "precision": "fp32"},
        )
        run = fit(experiment, frame, tmp_path / f"{name}-{parts}", images=images)
        ends.append((weights(run), load_run(run).about["history"]))
    for key, value in ends[0][0].items():
        torch.testing.assert_close(value, ends[1][0][key], rtol=0, atol=1e-5, msg=key)
    for key, value in ends[0][1][0].items():
        assert ends[1][1][0][key] == pytest.approx(value, abs=1e-5)


def test_more_parts_than_images_are_refused(make_experiment):
    with pytest.raises(InputError, match="a batch of 16 images has no more parts"):
        make_experiment(training={"accumulate": 17})


@pytest.mark.parametrize("name", ["erm", "group_dro"])
def test_a_frozen_backbone_keeps_weights_and_batch_statistics(
    name, make_experiment, lesions, tmp_path
):
    images, frame = lesions
    experiment = make_experiment(
        name, backbone={"freeze": True}, optimizer={"name": "adamw", "weight_decay": 0.1}
    )
    end = weights(fit(experiment, frame, tmp_path / "run", images=images))
    torch.manual_seed(experiment.seed)
    before = create_backbone("test_resnet", "random").module.state_dict()
    assert any("running_mean" in key for key in before)
    for key, value in before.items():
        assert torch.equal(end[f"backbone.{key}"], value), key
    still = make_experiment(name, backbone={"freeze": True}, optimizer={"target_head": 0.0})
    start = weights(fit(still, frame, tmp_path / "still", images=images))
    assert not torch.equal(end["target_head.1.weight"], start["target_head.1.weight"])


def test_a_method_that_moves_the_backbone_refuses_a_frozen_one(make_experiment):
    with pytest.raises(
        InputError,
        match=r"lntl: needs a backbone that learns; leave freeze out, or take one of erm",
    ):
        make_experiment("lntl", backbone={"freeze": True})
