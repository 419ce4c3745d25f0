"""All of a run's state is saved, and the caller's state is left as it was."""

import ctypes
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from equiderm.debias import METHODS
from equiderm.debias.method import new_optimizer
from equiderm.errors import InputError
from equiderm.models import create_backbone
from equiderm.training import fit, load_run, predict, probe, read_experiment
from equiderm.training.checkpoint import read_about
from equiderm.training.loop import _Loop
from equiderm.training.precision import autocast, has_bf16, settings_of


class Stop(Exception):
    pass


def stop_at(number, error=Stop):
    def watch(progress):
        if progress.step == number:
            raise error

    return watch


def assert_identical(one, other):
    one, other = (load_file(run / "model.safetensors") for run in (one, other))
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", ["erm", "tabe"])
def test_a_stopped_run_of_adamw_goes_on_to_bit_identical_weights(
    name, fused, make_experiment, lesions, tmp_path
):
    images, frame = lesions
    options = {"second_backbone_rate": 0.01} if name == "tabe" else {}
    experiment = make_experiment(
        name,
        method_options=options,
        optimizer={"name": "adamw", "weight_decay": 0.01, "fused": fused},
        training={"checkpoint_steps": 2},
    )
    whole = fit(experiment, frame, tmp_path / "whole", images=images)
    with pytest.raises(Stop):
        fit(experiment, frame, tmp_path / "stopped", images=images, watch=stop_at(5))
    assert_identical(whole, fit(experiment, frame, tmp_path / "stopped", images=images))


@pytest.mark.parametrize("kind", ["Adagrad", "RMSprop", "NAdam", "Rprop", "Adadelta", "ASGD"])
def test_the_state_of_any_optimiser_of_a_method_s_own_is_restored(
    kind, make_experiment, lesions, tmp_path, monkeypatch
):
    images, frame = lesions

    def optimizers(self, rates, **options):
        return {"main": getattr(torch.optim, kind)(self.parameters(), lr=0.01)}

    monkeypatch.setattr(METHODS["erm"], "optimizers", optimizers)
    experiment = make_experiment(training={"checkpoint_steps": 2})
    whole = fit(experiment, frame, tmp_path / "whole", images=images)
    with pytest.raises(Stop):
        fit(experiment, frame, tmp_path / "stopped", images=images, watch=stop_at(5))
    assert_identical(whole, fit(experiment, frame, tmp_path / "stopped", images=images))


def test_weight_decay_and_the_name_reach_every_optimiser(make_experiment):
    experiment = make_experiment("clgr", optimizer={"name": "adamw", "weight_decay": 0.1})
    method = experiment.build_method(torch.nn.Linear(2, 2), 2, 2, torch.ones(2))
    made = experiment.build_optimizers(method)
    assert {type(one) for one in made.values()} == {torch.optim.AdamW}
    assert {group["weight_decay"] for one in made.values() for group in one.param_groups} == {0.1}
    plain = new_optimizer([{"params": [torch.nn.Parameter(torch.ones(1))], "lr": 0.1}])
    assert isinstance(plain, torch.optim.SGD)


def test_a_thread_that_gets_no_signals_trains_without_them():
    before, seen, made = signal.getsignal(signal.SIGINT), [], object.__new__(_Loop)
    made.processes = 1

    def train():
        with made._stops_between_steps():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert seen == [before]


def test_ctrl_c_ends_the_step_and_the_run_goes_on_from_it(make_experiment, lesions, tmp_path):
    images, frame = lesions
    experiment = make_experiment("lntl", training={"checkpoint_steps": 500})
    whole = fit(experiment, frame, tmp_path / "whole", images=images)

    def interrupt(progress):
        if progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(experiment, frame, tmp_path / "run", images=images, watch=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    steps = []
    fit(experiment, frame, tmp_path / "run", images=images, watch=lambda p: steps.append(p.step))
    assert steps == list(range(4, 9))
    assert_identical(whole, tmp_path / "run")
    histories = [load_run(tmp_path / name).about["history"] for name in ("whole", "run")]
    assert histories[0] == histories[1]


def test_a_validation_figure_moves_no_weight_and_no_batch_statistic(
    make_experiment, lesions, tmp_path
):
    images, frame = lesions
    one = make_experiment(training={"epochs": 1})
    watched = make_experiment(training={"epochs": 1}, validation={"figure": "auroc"})
    runs = [
        fit(experiment, frame, tmp_path / name, images=images)
        for name, experiment in (("plain", one), ("watched", watched))
    ]
    assert_identical(*runs)


def test_the_seed_decides_the_order_of_rows(make_experiment, lesions, tmp_path):
    from equiderm.training import loop

    images, frame = lesions
    orders = []
    for seed in (1, 2):
        experiment = make_experiment(seed=seed)
        rows = loop.select_rows(experiment, frame)
        made = loop._Loop(experiment, rows, tmp_path / str(seed), images, None)
        orders.append(made._order(0))
    assert sorted(orders[0]) == sorted(orders[1])
    assert list(orders[0]) != list(orders[1])


def test_the_seed_decides_the_first_weights(make_experiment, lesions, tmp_path):
    images, frame = lesions
    still = dict.fromkeys(("backbone", "target_head", "group_head"), 0.0)
    ends = [
        load_file(
            fit(
                make_experiment("lntl", seed=seed, optimizer=still, training={"epochs": 1}),
                frame,
                tmp_path / str(seed),
                images=images,
            )
            / "model.safetensors"
        )
        for seed in (1, 2)
    ]
    for part in ("backbone", "target_head", "group_head"):
        named = [key for key in ends[0] if key.startswith(part) and ends[0][key].ndim > 1]
        assert named
        for name in named:
            assert not torch.equal(ends[0][name], ends[1][name]), name


def global_state():
    return (
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        torch.get_rng_state().tolist(),
        torch.backends.cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
        torch.is_grad_enabled(),
    )


def test_fit_predict_and_probe_leave_the_caller_s_state_as_it_was(
    make_experiment, lesions, tmp_path
):
    images, frame = lesions
    before = global_state()
    run = fit(make_experiment("lntl"), frame, tmp_path / "run", images=images)
    assert global_state() == before
    predict(run, images, frame)
    assert global_state() == before
    probe(run, images, frame)
    assert global_state() == before
    with pytest.raises(Stop):
        fit(make_experiment(), frame, tmp_path / "b", images=images, watch=stop_at(2))
    assert global_state() == before


@pytest.fixture
def pretend_gpu(monkeypatch):
    """A card of which only what is asked about it is pretended."""
    able = {"emulated": True, "own": False}
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: able["emulated" if including_emulation else "own"],
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return able


def test_auto_is_bf16_only_where_the_card_has_it(pretend_gpu, make_experiment):
    device = torch.device("cuda")
    assert not has_bf16(device)
    pretend_gpu["own"] = True
    assert has_bf16(device)
    assert not has_bf16(torch.device("cpu"))
    assert not autocast(make_experiment(), torch.device("cpu"))._enabled


def test_fp32_allows_no_tf32(pretend_gpu, make_experiment):
    with settings_of(make_experiment(training={"precision": "fp32"})):
        assert not torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "highest"
    with settings_of(make_experiment(training={"precision": "auto"})):
        assert torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "high"


class Freed(ctypes.Structure):
    """What glibc's mallinfo2 returns; `fordblks` counts the bytes freed and kept."""

    _fields_ = [
        *((f"other{k}", ctypes.c_size_t) for k in range(8)),
        ("fordblks", ctypes.c_size_t),
        ("keepcost", ctypes.c_size_t),
    ]


@pytest.mark.parametrize("own", [None, "MALLOC_ARENA_MAX"])
def test_freed_memory_is_kept_within_the_block_unless_the_user_has_settings(
    own, make_experiment, monkeypatch
):
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("no glibc of 2.33 or later here")
    if torch.cuda.is_available():
        pytest.skip("what a GPU computes with is not glibc's")
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    if own:
        monkeypatch.setenv(own, "2")
    libc.mallinfo2.restype, libc.malloc.restype = Freed, ctypes.c_void_p
    libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
    large = 100_000_000  # bytes

    def grows():
        before = libc.mallinfo2().fordblks
        libc.free(libc.malloc(before + large))  # more than any hole that earlier tests left
        return libc.mallinfo2().fordblks - before > 0.9 * large

    with settings_of(make_experiment()):
        assert grows() == (own is None)
    assert not grows()


def test_a_folder_in_which_one_trains_is_refused(make_experiment, lesions, tmp_path):
    images, frame = lesions
    hold = "import sys; from pathlib import Path; from equiderm.files import only_one\n"
    hold += "with only_one(Path(sys.argv[1], 'run.json')): print('held', flush=True); input()"
    out = tmp_path / "run"
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(out)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="another run is writing it"):
        fit(make_experiment(), frame, out, images=images)
    other.kill()  # however it ends
    other.communicate()
    assert fit(make_experiment(), frame, out, images=images) == out
    assert not list(out.glob(".*lock"))


@pytest.fixture
def with_weights(tmp_path, make_experiment):
    """An experiment file with a file of weights beside it."""
    folder = tmp_path / "mine"
    folder.mkdir()
    save_weights(folder / "first.safetensors", seed=5)
    experiment = make_experiment("lntl", training={"epochs": 1})
    named = dataclasses.replace(experiment.backbone, weights="first.safetensors")
    path = folder / "mine.toml"
    path.write_text(dataclasses.replace(experiment, backbone=named).to_toml())
    return path


def save_weights(path, *, seed):
    torch.manual_seed(seed)
    save_file(create_backbone("test_resnet", "random").module.state_dict(), path)


def test_a_weights_file_is_named_from_the_folder_of_its_experiment(
    with_weights, lesions, tmp_path, monkeypatch
):
    images, frame = lesions
    monkeypatch.chdir(tmp_path)
    experiment = read_experiment(with_weights)
    experiment.check_backbone()
    run = fit(experiment, frame, tmp_path / "run", images=images)
    assert len(json.loads((run / "run.json").read_text())["weights"]) == 64


def test_a_weights_file_is_known_by_what_it_holds(with_weights, lesions, tmp_path):
    images, frame = lesions
    run = fit(read_experiment(with_weights), frame, tmp_path / "run", images=images)
    moved = with_weights.parent.rename(tmp_path / "elsewhere") / "mine.toml"
    fit(read_experiment(moved), frame, run, images=images)  # the same file: the same run
    save_weights(moved.with_name("first.safetensors"), seed=6)
    with pytest.raises(InputError, match="another file of initial weights"):
        fit(read_experiment(moved), frame, run, images=images)


def test_without_its_initial_weights_a_run_is_probed_alone_and_says_so(
    with_weights, lesions, tmp_path
):
    images, frame = lesions
    run = fit(read_experiment(with_weights), frame, tmp_path / "run", images=images)
    assert [one.features for one in probe(run, images, frame)] == ["trained", "untrained"]
    file = with_weights.with_name("first.safetensors")
    save_weights(file, seed=6)
    said = []
    assert [one.features for one in probe(run, images, frame, note=said.append)] == ["trained"]
    assert "holds other weights" in said[0]
    file.unlink()
    assert [one.features for one in probe(run, images, frame, note=said.append)] == ["trained"]
    assert "cannot be read" in said[1]


class Payload:
    def __reduce__(self):
        return print, ("this code was run",)


def test_a_pickled_weights_file_is_never_run(tmp_path, capsys):
    path = tmp_path / "weights.pth"
    torch.save({"weight": Payload()}, path)
    with pytest.raises(InputError, match="cannot be loaded"):
        create_backbone("test_resnet", str(path))
    assert "was run" not in capsys.readouterr().out


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("run.json", truncate),
        ("run.json", lambda path: path.write_text("{}")),
        ("run.json", lambda path: path.write_text("[" * 100_000)),
        ("experiment.toml", lambda path: path.write_text("")),
        ("experiment.toml", lambda path: path.write_text("x = " + "[" * 5_000)),
        ("model.safetensors", truncate),
        ("model.safetensors", lambda path: path.unlink()),
    ],
)
def test_a_damaged_file_of_a_finished_run_is_named_and_the_run_trained_again(
    make_experiment, lesions, tmp_path, name, damage
):
    images, frame = lesions
    experiment = make_experiment(training={"epochs": 1})
    run = fit(experiment, frame, tmp_path / "run", images=images)
    before = {k: v.clone() for k, v in load_file(run / "model.safetensors").items()}  # not mapped
    damage(run / name)
    if name == "experiment.toml" and not (run / name).read_bytes():
        with pytest.raises(InputError, match="another experiment"):  # every default is one, too
            fit(experiment, frame, run, images=images)
        return
    with pytest.raises(InputError, match=name.partition(".")[0]):
        load_run(run)
    with pytest.warns(UserWarning, match=f"{name}.*; the run is trained again"):
        fit(experiment, frame, run, images=images)
    after = load_file(run / "model.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("history", [1, None, {"epoch": 1}, [1]])
def test_a_record_whose_history_is_no_list_of_epochs_is_damaged(tmp_path, history):
    whole = dict.fromkeys(["manifest", "fold", "groups", "group_weights", "processes"], 1)
    (tmp_path / "run.json").write_text(json.dumps({**whole, "history": history}))
    with pytest.raises(InputError, match="not the record of a run"):
        read_about(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(whole))
    assert read_about(tmp_path) == whole  # a run that has not finished


@pytest.mark.parametrize("damage", [truncate, lambda path: path.write_bytes(b"")])
def test_a_damaged_state_is_named_and_the_run_starts_from_its_first_epoch(
    make_experiment, lesions, tmp_path, damage
):
    images, frame = lesions
    experiment = make_experiment(training={"checkpoint_steps": 2})
    whole = fit(experiment, frame, tmp_path / "whole", images=images)
    with pytest.raises(Stop):
        fit(experiment, frame, tmp_path / "run", images=images, watch=stop_at(5))
    damage(tmp_path / "run" / "state.safetensors")
    with pytest.warns(UserWarning, match=r"state\.safetensors: is damaged"):
        fit(experiment, frame, tmp_path / "run", images=images)
    assert_identical(whole, tmp_path / "run")
