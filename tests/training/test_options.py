"""Precision, compilation, memory order, fused steps, deep heads, trackers: each option, run."""

import importlib.util
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from equiderm.errors import InputError
from equiderm.training import fit, load_run


@pytest.fixture
def train(make_experiment, lesions, tmp_path):
    """Train with the options given, and return the folder of the run."""

    def run(method="erm", **tables):
        images, frame = lesions
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        return fit(make_experiment(method, **tables), frame, out, images=images)

    return run


def assert_near(one, other, tolerance):
    one, other = (load_file(run / "model.safetensors") for run in (one, other))
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=tolerance, msg=name)


def test_bf16_trains(train):
    run = load_run(train("clgr", training={"precision": "bf16"}))
    assert all(np.isfinite(value) for value in run.about["history"][-1].values())


def test_fused_steps_end_on_the_weights_of_plain_ones(train):
    assert_near(train("lntl"), train("lntl", optimizer={"fused": False}), 1e-6)


def test_memory_order_does_not_change_what_is_learnt(train):
    losses = [
        load_run(
            train(
                method_options={"dropout": 0.0},
                training={"channels_last": order, "epochs": 1, "precision": "fp32"},
            )
        ).about["history"][0]["target"]
        for order in (True, False)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_deep_heads_deepen_the_group_head_alone_and_are_read_back(train):
    method = load_run(train("clgr", method_options={"deep_heads": True})).method
    assert method.group_head[2].weight.shape == (3, 128)
    assert [type(layer).__name__ for layer in method.target_head] == ["Dropout", "Linear"]


def test_a_run_whose_deep_heads_deepened_both_says_what_to_write(train):
    run = train("clgr", method_options={"deep_heads": True, "deep_target_head": True})
    file = run / "experiment.toml"
    lines = [line for line in file.read_text().splitlines() if "deep_target_head" not in line]
    file.write_text("\n".join(lines))
    with pytest.raises(InputError, match="write deep_target_head = true below it"):
        load_run(run)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # the compiler's own
def test_a_compiled_backbone_learns_the_same_and_its_weights_keep_their_names(train):
    validation = {"figure": "auroc"}
    compiled = train("tabe", training={"compile": True, "epochs": 1}, validation=validation)
    assert_near(compiled, train("tabe", training={"epochs": 1}, validation=validation), 1e-3)


def test_a_batch_of_one_trains_where_batch_statistics_have_more_than_a_value(train):
    run = train(backbone={"name": "test_vit"}, training={"batch_size": 1, "epochs": 1})
    assert np.isfinite(load_run(run).about["history"][-1]["target"])
    with pytest.raises(InputError, match="batch of one image"):
        train(training={"batch_size": 1, "epochs": 1})


def test_the_log_holds_losses_and_figures_at_steps_that_never_go_back(train):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    training = {"tracker": "tensorboard", "drop_last": False}
    run = train("lntl", training=training, validation={"figure": "auroc"})
    log = EventAccumulator(str(run / "log"))
    log.Reload()
    steps = {name: [point.step for point in log.Scalars(name)] for name in log.Tags()["scalars"]}
    # A GPU is asked for its losses only now and then, so that it need not wait.
    logged = [5, 10] if torch.cuda.is_available() else list(range(1, 11))
    assert steps["loss/target"] == steps["loss/group"] == logged
    assert steps["auroc"] == [5, 10]


def test_a_log_that_goes_under_way_is_one_error(make_experiment, lesions, tmp_path, capfd):
    images, frame = lesions
    experiment = make_experiment(training={"tracker": "tensorboard"})
    remove = partial(shutil.rmtree, tmp_path / "run" / "log", ignore_errors=True)
    with pytest.raises(FileNotFoundError, match="tfevents"):
        fit(experiment, frame, tmp_path / "run", images=images, watch=lambda _: remove())
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is not None, reason="mlflow is installed")
def test_a_tracker_that_is_not_installed_is_an_input_error_before_the_first_batch(train):
    with pytest.raises(InputError, match="pip install mlflow"):
        train(training={"tracker": "mlflow"})
