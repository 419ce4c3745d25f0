"""The loop: what it saves, where it goes on, how processes share a batch."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tests.training.conftest import make_lesions

from equiderm.debias import METHODS, Rates, take_step
from equiderm.errors import InputError
from equiderm.training import ArrayImages, fit, load_run, loop
from equiderm.training.checkpoint import Position

GPU = torch.cuda.is_available()
MAKE = Path(__file__).with_name("conftest.py")


def weights(run):
    return load_file(run / "model.safetensors")


def assert_identical(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_and_leaves_a_whole_run(name, make_experiment, tmp_path):
    pixels, frame = make_lesions(240)  # validation rows of every target and group, for dfr
    frame["ita"] = np.linspace(-40, 60, len(frame))  # for density
    images = ArrayImages(pixels, frame["image_id"].tolist())
    run = fit(make_experiment(name), frame, tmp_path / "run", images=images)
    assert {path.name for path in run.iterdir()} == {
        "experiment.toml", "run.json", "model.safetensors"
    }  # fmt: skip
    about = load_run(run).about
    assert about["groups"] == [1, 2, 3]
    assert about["versions"]["torch"] == torch.__version__
    assert len(about["manifest"]) == 64
    assert [entry["epoch"] for entry in about["history"]] == [1, 2]


def test_the_loop_takes_the_same_steps_as_the_ten_line_one(make_experiment, lesions, tmp_path):
    images, frame = lesions
    experiment = make_experiment(
        "clgr",
        method_options={"dropout": 0.0},
        data={"augmentation": "standard"},
        optimizer={"schedule": "cosine", "warmup": 0.4},
        training={"epochs": 1, "channels_last": False, "precision": "fp32"},
    )
    seen = []
    run = fit(experiment, frame, tmp_path / "run", images=images, watch=seen.append)
    made = loop._Loop(
        experiment, loop.select_rows(experiment, frame), tmp_path / "other", images, None
    )
    optimizers = made.method.optimizers(Rates(0.02, 0.02, 0.02), fused=True)
    schedule = loop.Schedule(optimizers, "cosine", 0.4)
    order = made._order(0)
    made.method.train()
    losses = []
    with loop.settings_of(experiment):  # no TF32
        for step in range(4):
            rows = order[16 * step : 16 * step + 16]
            image = made.pixels.batch(made.store_rows[rows], training=True)
            schedule.set((step + 0.5) / 4)
            losses.append(
                take_step(
                    made.method,
                    optimizers,
                    loop.Batch(image, made.target[rows], made.groups[0][rows]),
                )
            )
    for name, value in weights(run).items():
        own = made.method.state_dict()[name].cpu()
        torch.testing.assert_close(value, own, rtol=0, atol=1e-3 if GPU else 0, msg=name)
    assert [(one.step, one.steps, one.epoch) for one in seen] == [(k, 4, 1) for k in (1, 2, 3, 4)]
    (entry,) = load_run(run).about["history"]
    assert {"epoch", *losses[0]} <= entry.keys()
    for name in losses[0]:
        near = pytest.approx(np.mean([one[name] for one in losses]), abs=1e-3 if GPU else 1e-6)
        assert entry[name] == near
        assert GPU or seen[-1].losses[name] == pytest.approx(losses[-1][name], abs=1e-6)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    make_experiment, lesions, tmp_path
):
    images, frame = lesions
    runs = [
        fit(make_experiment(seed=seed), frame, tmp_path / name, images=images)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert_identical(runs[0], runs[1])
    assert not torch.equal(*(weights(run)["target_head.1.weight"] for run in runs[1:]))


class Stop(Exception):
    pass


@pytest.mark.parametrize("name", ["erm", "lntl", "tabe"])
@pytest.mark.parametrize("stop_at", [3, 5, 8])
def test_a_stopped_run_goes_on_to_bit_identical_weights(
    name, stop_at, make_experiment, lesions, tmp_path
):
    images, frame = lesions
    options = {"schedule": "alternating"} if name == "tabe" else {}
    experiment = make_experiment(
        name,
        method_options=options,
        data={"augmentation": "standard"},
        training={"checkpoint_steps": 2, "epochs": 3},
        validation={"figure": "auroc"},
    )

    def stop(progress):
        if progress.step == stop_at:
            raise Stop

    whole = fit(experiment, frame, tmp_path / "whole", images=images)
    with pytest.raises(Stop):
        fit(experiment, frame, tmp_path / "stopped", images=images, watch=stop)
    torch.manual_seed(99)  # another process knows nothing of this one's generators
    with pytest.raises(InputError, match="not finished"):
        load_run(tmp_path / "stopped")
    again = fit(experiment, frame, tmp_path / "stopped", images=images)
    assert_identical(whole, again)
    assert load_run(whole).about["history"] == load_run(again).about["history"]


SCRIPT = """
import importlib.util, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("made", sys.argv[1])
made = importlib.util.module_from_spec(spec); spec.loader.exec_module(made)
from equiderm.training import ArrayImages, experiment_from, fit
import torch
torch.set_num_threads(1)
images, frame = made.make_lesions()
experiment = experiment_from({
    "method": {"name": "lntl", **eval(sys.argv[4])},
    "backbone": {"name": sys.argv[3], "weights": "random"},
    "data": {"size": 32},
    "optimizer": {"backbone": 0.02, "target_head": 0.02, "group_head": 0.02},
    "training": {"epochs": int(sys.argv[5]), "batch_size": 16, "tracker": sys.argv[7],
                 "checkpoint_steps": 1},
    "validation": {"figure": sys.argv[6]},
})
def watch(progress):
    if progress.step == int(sys.argv[8]):
        time.sleep(600)
images = ArrayImages(images, list(frame.image_id))
fit(experiment, frame, Path(sys.argv[2]), images=images, watch=watch)
"""


def command(
    out, *, backbone="test_resnet", options=None, epochs=2, figure="none", log="none", hold=0
):
    return ["-c", SCRIPT, MAKE, out, backbone, repr(options or {}), epochs, figure, log, hold]


def start(arguments, **options):
    # On the CPU: a GPU's library may choose other algorithms in another process, and two processes
    # would want two GPUs.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen([sys.executable, *map(str, arguments)], env=environment, **options)


@pytest.mark.slow
def test_killed_at_any_moment_a_run_ends_on_bit_identical_weights(tmp_path):
    assert start(command(tmp_path / "whole", epochs=6)).wait() == 0
    out = tmp_path / "killed"
    state, seen = out / "state.safetensors", 0
    for delay, hold in ((0.02, 12), (0.11, 24)):  # it waits at a step, should it come so far
        process = start(command(out, epochs=6, hold=hold))
        while not (state.exists() and state.stat().st_mtime_ns > seen):
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        seen = state.stat().st_mtime_ns
    assert start(command(out, epochs=6)).wait() == 0
    assert_identical(tmp_path / "whole", out)


@pytest.mark.slow
def test_two_processes_end_on_the_weights_of_one(tmp_path):
    options = {"dropout": 0.0, "schedule": "alternating"}
    # A vision transformer: no batch statistics, which every process would take of its own share.
    alike = {"backbone": "test_vit", "options": options, "epochs": 1, "figure": "auroc"}
    assert start(command(tmp_path / "one", **alike)).wait() == 0
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    two = command(tmp_path / "two", **alike, log="tensorboard")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script]
    assert start([*launch, *two[2:]]).wait() == 0
    first, second = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=2e-6, msg=name)
    a, b = (json.loads((tmp_path / d / "run.json").read_text()) for d in ("one", "two"))
    assert b["processes"] == 2
    assert a["history"][-1]["auroc"] == pytest.approx(b["history"][-1]["auroc"])


def test_a_loss_that_is_not_a_number_stops_with_the_batch_s_images(
    make_experiment, lesions, tmp_path
):
    images, frame = lesions
    experiment = make_experiment(optimizer={"backbone": 1e30, "target_head": 1e30})
    with pytest.raises(InputError, match=r"target loss is (nan|inf).*image-00\d\d, image-00"):
        fit(experiment, frame, tmp_path / "run", images=images)
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_finished_run_is_left_as_it_is(make_experiment, lesions, tmp_path):
    images, frame = lesions
    run = fit(make_experiment(), frame, tmp_path / "run", images=images)
    before = (run / "model.safetensors").stat().st_mtime_ns
    fit(make_experiment(), frame, run, images=images)
    assert (run / "model.safetensors").stat().st_mtime_ns == before


def test_a_folder_of_another_run_is_refused(make_experiment, lesions, tmp_path):
    images, frame = lesions
    run = fit(make_experiment(), frame, tmp_path / "run", images=images)
    with pytest.raises(InputError, match="another experiment"):
        fit(make_experiment("lntl"), frame, run, images=images)
    with pytest.raises(InputError, match="another manifest"):
        fit(make_experiment(), frame.iloc[:80], run, images=images)


def test_the_weights_of_the_best_epoch_are_kept(make_experiment, lesions, tmp_path, monkeypatch):
    images, frame = lesions
    values = iter([0.6, 0.9, 0.7, 0.8])
    kept = []
    monkeypatch.setattr(loop, "figures", lambda *_, **__: {"auroc": next(values)})
    save = loop._Loop._save_model
    monkeypatch.setattr(
        loop._Loop, "_save_model", lambda self: (kept.append(self.position.epoch), save(self))
    )
    experiment = make_experiment(
        training={"epochs": 9}, validation={"figure": "auroc", "patience": 2}
    )
    run = fit(experiment, frame, tmp_path / "run", images=images)
    assert kept == [0, 1]  # the epochs done when they were saved
    assert len(load_run(run).about["history"]) == 4  # two epochs without a better figure


def test_zeroed_gradients_let_momentum_move_the_target_head(make_experiment, lesions, tmp_path):
    images, frame = lesions
    ends = []
    for choice in ("none", "zeros"):
        experiment = make_experiment(
            "lntl",
            method_options={"schedule": "alternating"},
            optimizer={"zero_gradients": choice},
            training={"epochs": 1},
        )
        ends.append(fit(experiment, frame, tmp_path / choice, images=images))
    one, other = (weights(end)["target_head.1.weight"] for end in ends)
    assert not torch.allclose(one, other, atol=1e-4)


def test_a_parameter_that_no_optimiser_moves_is_found_before_the_first_batch(
    make_experiment, lesions, tmp_path, monkeypatch
):
    images, frame = lesions
    method = METHODS["lntl"]
    all_of_them = method.optimizers

    def without_group(self, rates, **options):
        return {"main": all_of_them(self, rates, **options)["main"]}

    monkeypatch.setattr(method, "optimizers", without_group)
    with pytest.raises(ValueError, match="no optimiser for group_head"):
        fit(make_experiment("lntl"), frame, tmp_path / "run", images=images)


def test_a_watcher_sees_every_step_and_the_losses_whose_means_the_history_holds(
    make_experiment, lesions, tmp_path, monkeypatch
):
    images, frame = lesions
    seen, schedule = [], []
    monkeypatch.setattr(loop.Schedule, "set", lambda self, progress: schedule.append(progress))
    monkeypatch.setattr(loop, "GPU_LOG_STEPS", 1)
    run = fit(make_experiment("lntl"), frame, tmp_path / "run", images=images, watch=seen.append)
    assert [(one.step, one.steps, one.epoch) for one in seen] == [
        (step, 8, 1 + (step > 4)) for step in range(1, 9)
    ]
    assert schedule == pytest.approx((np.arange(8) + 0.5) / 8)
    for entry, epoch in zip(load_run(run).about["history"], (seen[:4], seen[4:]), strict=True):
        for name in entry.keys() - {"epoch"}:
            assert np.mean([one.losses[name] for one in epoch]) == pytest.approx(entry[name])


def test_an_epoch_draws_every_image_once(make_experiment, lesions, tmp_path):
    images, frame = lesions
    experiment = make_experiment()
    rows = loop.select_rows(experiment, frame)
    made = loop._Loop(experiment, rows, tmp_path / "run", images, None)
    assert sorted(made._order(0)) == sorted(rows.train)
    assert list(made._order(0)) != list(made._order(1))


def test_resampling_draws_target_and_group_balanced(make_experiment, tmp_path):
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("made", MAKE)
    assert spec is not None and spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    pixels, frame = made.make_lesions(600, confounding=0.8)
    experiment = make_experiment("resampling")
    rows = loop.select_rows(experiment, frame)
    images = ArrayImages(pixels, frame["image_id"].tolist())
    run = loop._Loop(experiment, rows, tmp_path / "run", images, None)
    drawn = np.concatenate([run._order(epoch) for epoch in range(40)])
    pairs = rows.target[drawn] * 3 + rows.group[drawn]
    shares = np.bincount(pairs, minlength=6) / len(pairs)
    assert np.abs(shares - 1 / 6).max() < 0.01


def bare(rows=6, *, processes=1, rank=0, device="cpu", **training):
    """A loop without a network: what it counts, orders and shares out."""
    made = loop._Loop.__new__(loop._Loop)
    usual = {
        "batch_size": 2,
        "epochs": 2,
        "checkpoint_steps": 2,
        "drop_last": True,
        "accumulate": 1,
    }
    made.experiment = SimpleNamespace(
        seed=3,
        training=SimpleNamespace(**usual | training),
        validation=SimpleNamespace(figure="none", patience=0),
        backbone=SimpleNamespace(freeze=False),
    )
    frame = pd.DataFrame({"image_id": [f"i{k}" for k in range(rows)]})
    made.rows = SimpleNamespace(
        train=np.arange(rows), target=np.zeros(rows), cell=np.arange(rows), frame=frame
    )
    made.processes, made.rank, made.device = processes, rank, torch.device(device)
    made.position, made.average, made._pending, made._stopped = Position(), None, [], False
    made.accelerator = SimpleNamespace(log=lambda values, step: made.logged.append((step, values)))
    made.logged = []
    return made


@pytest.mark.parametrize(
    ("rows", "drop_last", "processes", "steps"),
    [(10, True, 1, 2), (10, False, 1, 3), (8, False, 1, 2), (10, False, 2, 3), (9, False, 2, 2)],
)
def test_an_incomplete_batch_is_a_step_where_every_process_has_an_image(
    rows, drop_last, processes, steps
):
    made = bare(rows, batch_size=4, drop_last=drop_last, processes=processes)
    assert made.steps_per_epoch == steps


def test_each_process_has_every_nth_image_of_each_part_and_its_share_of_the_batch():
    made = bare(7, processes=2, rank=1, accumulate=2)
    made.pixels = SimpleNamespace(batch=lambda rows, training: (rows.tolist(), training))
    made.store_rows, made.target = 10 + np.arange(7), torch.arange(7.0)
    made.groups = [torch.arange(7) * 2, torch.arange(7) * 3]
    parts = made._parts(np.arange(7))
    assert [batch.image for batch, _ in parts] == [([11, 13], True), ([15], True)]
    assert [share for _, share in parts] == pytest.approx([4 / 7, 3 / 7])
    batch, _ = parts[0]
    assert (batch.target.tolist(), batch.group.tolist()) == ([1, 3], [2, 6])
    assert [one.tolist() for one in batch.more] == [[3, 9]]
    made.experiment.training.accumulate = 9  # no part is without an image of every process
    assert len(made._parts(np.arange(7))) == 3
    assert len(made._parts(np.arange(1))) == 1


def test_the_order_of_an_epoch_is_by_seed_and_epoch_and_by_the_method_s_weights():
    made = bare(50)
    made.method = SimpleNamespace(sample_weights=lambda target, cell: None)
    first, second = made._order(0), made._order(1)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first.tolist() != second.tolist() and first.tolist() == made._order(0).tolist()
    weights = torch.tensor([0.0] * 48 + [1, 3])
    made.method.sample_weights = lambda target, cell: weights
    drawn = np.bincount(np.concatenate([made._order(k) for k in range(40)]), minlength=50)
    assert not drawn[:48].any() and drawn[49] / drawn.sum() == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(("device", "reads"), [("cpu", [5, 6, 6]), ("meta", [6, 6])])
def test_an_epoch_goes_on_at_its_batch_with_the_progress_of_the_whole_run(device, reads):
    made, seen, read, said = bare(device=device), [], [], []
    made.method = SimpleNamespace(train=lambda: None, sample_weights=lambda target, cell: None)
    made.schedule = SimpleNamespace(set=lambda share: seen.append((made.method.progress, share)))
    made._step = lambda rows: said.append(len(rows))
    made._read_losses = lambda step: read.append(step) or {"target": 1.0}
    made._save_state = lambda: said.append("saved")
    made.position.epoch, made.position.batch = 1, 1
    now = []
    made._epoch(now.append)
    assert seen == [pytest.approx((4 / 6, 4.5 / 6)), pytest.approx((5 / 6, 5.5 / 6))]
    assert said == [2, 2, "saved"] and read == reads and made.position.batch == 3
    assert [(one.step, one.steps, one.epoch) for one in now] == [(5, 6, 2), (6, 6, 2)]
    assert [len(one.losses) for one in now] == [int(device == "cpu"), 1]


def test_losses_are_summed_over_an_epoch_and_one_that_is_no_number_names_its_images():
    made = bare()
    part = lambda value: {"target": torch.tensor(value), "group": torch.tensor(1.0)}  # noqa: E731
    made._pending = [(part(0.5), np.array([0, 1])), (part(2.5), np.array([2, 3]))]
    assert made._read_losses(4) == {"target": 2.5, "group": 1.0} and made._pending == []
    assert made.position.sums == {"target": 3.0, "group": 2.0}
    assert made.logged == [(4, {"loss/target": 2.5, "loss/group": 1.0})]
    assert made._read_losses(5) == {} and len(made.logged) == 1
    made._pending = [(part(float("nan")), np.array([1, 4]))]
    with pytest.raises(
        InputError, match="target loss is nan at or before step 6, on the images i1, i4"
    ):
        made._read_losses(6)


def test_the_best_epoch_is_the_first_of_equals_and_patience_counts_those_after_it():
    made, saved = bare(), []
    made.experiment.validation = SimpleNamespace(figure="auroc", patience=2)
    made.accelerator.is_main_process = True
    made._save_model, made._save_state = lambda: saved.append(made.position.epoch), lambda: None
    waited = []
    for value in (0.6, 0.8, 0.8, 0.7):
        made._validate = lambda value=value: {"auroc": value}
        made.position.batch, made.position.sums = 3, {"target": 1.5}
        made._end_epoch()
        waited.append((made.position.waited, made._waited_enough()))
    assert saved == [0, 1]
    assert waited == [(0, False), (0, False), (1, False), (2, True)]
    assert made.position.best == 0.8
    assert made.position.history[3] == {"epoch": 4.0, "target": 0.5, "auroc": 0.7}
    assert (made.position.epoch, made.position.batch, made.position.sums) == (4, 0, {})
    assert [step for step, _ in made.logged] == [3, 6, 9, 12]
    for patience, enough in ((0, False), (1, True), (3, False)):
        made.experiment.validation.patience = patience
        assert made._waited_enough() == enough  # after two epochs
