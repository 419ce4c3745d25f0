"""Checkpoints: what is written is read back, and a folder is known as this run, another or none."""

import dataclasses
import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from safetensors import SafetensorError

from equiderm.batch import Target
from equiderm.data.manifest import manifest_hash
from equiderm.debias.method import BINARY
from equiderm.errors import AnotherRun, InputError
from equiderm.training import checkpoint, load_run
from equiderm.training.checkpoint import Run, check_folder, load_tensors, read_about, save_tensors

ABOUT = {
    "manifest": "m", "fold": 1, "groups": ["1", "2"], "group_weights": [0.25, 0.75],
    "group": "tone", "processes": 2, "weights": None, "method": "erm", "seed": 3,
}  # fmt: skip
TENSORS = {"a": torch.tensor([1.0, 2]), "b": torch.arange(6).reshape(2, 3).T}


def test_tensors_and_their_record_are_read_back(tmp_path):
    save_tensors(tmp_path / "x", TENSORS, {"epoch": 3})
    tensors, about = load_tensors(tmp_path / "x")
    assert {name: one.tolist() for name, one in tensors.items()} == {
        name: one.tolist() for name, one in TENSORS.items()
    }
    assert about == {"epoch": 3}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("I/O error: No space left on device (os error 28)", "the disk is full, nothing was"),
        ("another", r"cannot be written \(another\)"),
    ],
)
def test_tensors_that_cannot_be_written_are_a_full_disk_or_a_fault_of_it(
    said, sentence, tmp_path, monkeypatch
):
    def fail(*_, **__):
        raise SafetensorError(said)

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(InputError, match=sentence):
        save_tensors(tmp_path / "x", TENSORS, {})
    assert not list(tmp_path.iterdir())


def test_a_record_of_an_earlier_version_has_one_column_of_groups_and_a_binary_target():
    (one,) = checkpoint.attributes_of(ABOUT)
    assert (one.name, one.target) == ("tone", Target("classes", ("1", "2")))
    assert one.weights.tolist() == [0.25, 0.75]
    assert checkpoint.target_of_run(ABOUT) == BINARY
    number = {"kind": "number", "names": [], "mean": 4.0, "std": 2.5}
    assert checkpoint.target_of_run({"target": number}) == Target("number", (), 4.0, 2.5)


def test_rows_are_known_by_what_training_reads_where_another_column_holds_anything():
    frame = pd.DataFrame({"image_id": ["a", "b"], "target": [0, 1], "mine": [1, 2], "age": [3, 4]})
    assert checkpoint._rows_hash(frame, ["mine"]) == manifest_hash(frame)
    frame["age"] = ["young", "old"]
    read = manifest_hash(frame[["image_id", "target", "mine"]])
    assert checkpoint._rows_hash(frame, ["mine"]) == read


def test_only_a_file_of_initial_weights_has_a_hash(make_experiment, tmp_path):
    (tmp_path / "w").write_bytes(b"abc")
    hashes = [
        checkpoint.weights_hash(make_experiment(backbone={"name": "test_resnet", "weights": one}))
        for one in ("random", "pretrained", str(tmp_path / "w"))
    ]
    assert hashes[:2] == [None, None]
    assert hashes[2] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def folder(tmp_path, make_experiment):
    """Write a run's record and experiment; check the folder against a run of the same, changed."""
    experiment = make_experiment()

    def state(written=None, now=None, *, other=experiment):
        (tmp_path / "run.json").write_text(json.dumps({**ABOUT, **(written or {})}))
        (tmp_path / "experiment.toml").write_text(experiment.to_toml())
        return check_folder(tmp_path, other, {**ABOUT, **(now or {})})

    return state


def test_a_folder_without_a_run_is_free(tmp_path, make_experiment):
    assert check_folder(tmp_path, make_experiment(), ABOUT) is False


def test_a_run_of_the_same_has_finished_where_it_has_its_history_and_weights(folder, tmp_path):
    assert folder() is False
    save_tensors(tmp_path / "model.safetensors", TENSORS, {})
    assert folder() is False
    assert folder({"history": []}) is True
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"model\.safetensors.*; the run is trained again\.$"):
        assert folder({"history": []}) is False


@pytest.mark.parametrize(
    ("changed", "what"),
    [({"manifest": "n"}, "manifest"), ({"fold": 2}, "fold"), ({"fold": None}, "fold"),
     ({"features": "f"}, "table of features")],
)  # fmt: skip
def test_a_run_of_other_rows_is_named(folder, changed, what):
    for finished in ({}, {"history": []}):
        with pytest.raises(AnotherRun, match=f"another {what};"):
            folder(finished, changed)


def test_a_run_of_other_settings_is_another_experiment(folder, make_experiment):
    for other in (make_experiment(seed=9), make_experiment(backbone={"name": "test_vit"})):
        with pytest.raises(AnotherRun, match="another experiment;"):
            folder(other=other)


def test_initial_weights_are_another_s_by_their_content_where_both_have_a_file(
    folder, make_experiment
):
    named = dataclasses.replace(make_experiment().backbone, weights="elsewhere")
    other = dataclasses.replace(make_experiment(), backbone=named)
    assert folder({"weights": "w"}, {"weights": "w"}, other=other) is False
    with pytest.raises(AnotherRun, match="another file of initial weights;"):
        folder({"weights": "w"}, {"weights": "v"}, other=other)
    for before, now in ((None, "w"), ("w", None)):
        with pytest.raises(AnotherRun, match="another experiment;"):
            folder({"weights": before}, {"weights": now}, other=other)


def test_a_run_is_resumed_by_as_many_processes_and_kept_by_any(folder, tmp_path):
    with pytest.raises(InputError, match="was started with 2 processes; resume with as many") as no:
        folder(now={"processes": 1})
    assert not isinstance(no.value, AnotherRun)
    save_tensors(tmp_path / "model.safetensors", TENSORS, {})
    assert folder({"history": []}, {"processes": 1}) is True


def test_beside_a_damaged_record_the_experiment_still_tells_another_run(
    folder, tmp_path, make_experiment
):
    assert folder() is False
    (tmp_path / "run.json").write_text("[")
    with pytest.warns(UserWarning, match=r"run\.json.*; the run is trained again"):
        assert check_folder(tmp_path, make_experiment(), ABOUT) is False
    with (
        pytest.warns(UserWarning, match=r"run\.json"),
        pytest.raises(AnotherRun, match="another experiment"),
    ):
        check_folder(tmp_path, make_experiment(seed=9), ABOUT)


@pytest.mark.parametrize("missing", ["manifest", "fold", "groups", "group_weights", "processes"])
def test_a_record_without_one_of_its_parts_is_damaged(tmp_path, missing):
    (tmp_path / "run.json").write_text(json.dumps({k: ABOUT[k] for k in ABOUT if k != missing}))
    with pytest.raises(InputError, match="not the record of a run; give the same train command"):
        read_about(tmp_path)


@pytest.mark.parametrize("text", ["[]", "1", "null", '"run"'])
def test_a_record_that_is_no_table_is_damaged(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match="not the record of a run"):
        read_about(tmp_path)


def test_a_run_is_shown_in_a_line_and_refuses_what_needs_a_binary_target():
    about = {**ABOUT, "history": [{}, {}]}
    run = Run(Path("out"), None, about, None, None)
    shown = "Run('out', method='erm', group='tone', groups=('1', '2'), seed=3, epochs=2)"
    assert repr(run) == shown
    run.require_binary("saliency")
    target = {"kind": "classes", "names": ["a", "b"], "mean": 0.0, "std": 1.0}
    run = dataclasses.replace(run, about={**about, "target": target})
    with pytest.raises(InputError, match="kind classes; saliency needs a binary one"):
        run.require_binary("saliency")


def test_a_run_that_has_not_finished_is_not_read(folder, tmp_path):
    folder()
    with pytest.raises(InputError, match="this run has not finished"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({}, "; train again"),
        ({"deep_heads": True}, "write deep_target_head = true below it"),
        ({"deep_heads": True, "deep_target_head": True}, "; train again"),
    ],
)
def test_weights_that_do_not_fit_say_what_to_do(tmp_path, make_experiment, options, remedy):
    experiment = make_experiment("clgr", method_options=options)
    (tmp_path / "run.json").write_text(json.dumps({**ABOUT, "history": []}))
    (tmp_path / "experiment.toml").write_text(experiment.to_toml())
    save_tensors(tmp_path / "model.safetensors", TENSORS, {})
    before = torch.get_rng_state()
    with pytest.raises(InputError, match=f"its weights do not fit experiment.toml.*{remedy}"):
        load_run(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def two_layers(seed):
    torch.manual_seed(seed)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 2), torch.nn.Flatten(), torch.nn.Linear(8, 1)
    )
    module = module.to(memory_format=torch.channels_last)
    conv, linear = module[0].parameters(), module[2].parameters()
    return module, {
        "main": torch.optim.AdamW(conv, lr=0.1, amsgrad=True),
        "target_head": torch.optim.SGD([{"params": one} for one in linear], lr=0.1, momentum=0.9),
        "still": torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5),
    }


def step(module, optimizers, seed):
    x = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(seed))
    module(x).square().sum().backward()
    for one in optimizers.values():
        one.step()
        one.zero_grad()


def test_weights_and_every_optimiser_s_state_are_those_that_were_saved(tmp_path):
    saved, fresh = two_layers(0), two_layers(1)
    step(*saved, 1)
    for group in saved[1]["main"].param_groups:
        group["lr"] = 0.03  # as a schedule left it
    save_tensors(tmp_path / "x", *checkpoint.training_state(*saved))
    checkpoint.restore_state(*load_tensors(tmp_path / "x"), *fresh)
    assert fresh[1]["main"].param_groups[0]["lr"] == 0.03
    kernel, conv = fresh[0][0].weight, fresh[1]["main"]
    assert conv.state[kernel]["exp_avg"].stride() == kernel.stride()
    for seed in (2, 3):
        step(*saved, seed)
        step(*fresh, seed)
    for one, other in zip(saved[0].parameters(), fresh[0].parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_the_state_of_the_generators_is_put_back_on_the_device_it_is_of(kind, monkeypatch):
    device, card, put = SimpleNamespace(type=kind), torch.tensor([7, 8], dtype=torch.uint8), []
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda of: card)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, of: put.append(state.tolist()))
    before = torch.get_rng_state()
    state = checkpoint.random_state(device)
    assert len(state) == len(before) + 2 * (kind == "cuda")
    first = torch.rand(3).tolist()
    checkpoint.restore_random_state(state, device)
    assert torch.rand(3).tolist() == first
    assert put == ([[7, 8]] if kind == "cuda" else [])
    checkpoint.restore_random_state(before, device)  # of a run on the CPU
    checkpoint.restore_random_state(torch.cat([before, card]), SimpleNamespace(type="cpu"))
    assert len(put) == (kind == "cuda")
    torch.set_rng_state(before)


def test_a_damaged_file_is_a_warning_and_another_one_is_read():
    def fail():
        raise InputError("x.json: is damaged; give the same command again.")

    with pytest.warns(UserWarning, match=r"^x\.json: is damaged; the run is trained again\.$"):
        assert checkpoint._or_damaged(fail) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoint._or_damaged(lambda: 0) == 0
