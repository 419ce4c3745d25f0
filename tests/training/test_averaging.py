"""The average of the weights: its equation, what is kept, and resume."""

import pytest
import torch
from safetensors.torch import load_file
from tests.training.test_state import Stop, assert_identical, stop_at

from equiderm.training import fit, loop
from equiderm.training.averaging import Average


def test_the_average_follows_its_equation():
    torch.manual_seed(0)
    module = torch.nn.Linear(3, 2).double()
    average = Average(module, 0.5)
    expected = module.weight.detach().clone()
    for t in range(1, 8):
        with torch.no_grad():
            module.weight += torch.randn(2, 3).double()
        average.update()
        decay = min(0.5, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * module.weight.detach()
    torch.testing.assert_close(average.values["weight"], expected, rtol=0, atol=1e-14)


def test_what_is_infinite_and_stands_still_stays_infinite():
    module = torch.nn.Linear(1, 1)
    module.register_buffer("std", torch.tensor([torch.inf]))
    average = Average(module, 0.9)
    average.update()
    assert average.values["std"].item() == torch.inf


def test_the_module_has_its_own_weights_again_after_the_block():
    module = torch.nn.Linear(3, 2)
    average = Average(module, 0.9)
    first = module.weight.detach().clone()
    with torch.no_grad():
        module.weight += 1
    with average.in_place():
        assert torch.equal(module.weight, first)
    assert torch.equal(module.weight, first + 1)


def averaged(make_experiment, **tables):
    return make_experiment(
        "lntl", training={"average": 0.9, "epochs": 2, "checkpoint_steps": 2}, **tables
    )


@pytest.mark.parametrize("figure", ["none", "auroc"])
def test_the_average_is_what_a_run_keeps(figure, make_experiment, lesions, tmp_path, monkeypatch):
    images, frame = lesions
    seen = []
    update = Average.update

    def watched(self):
        update(self)
        seen.append({name: value.clone().cpu() for name, value in self.values.items()})

    monkeypatch.setattr(Average, "update", watched)
    monkeypatch.setattr(loop, "figures", lambda *_, **__: {"auroc": 0.5})  # the first is the best
    experiment = averaged(make_experiment, validation={"figure": figure})
    run = fit(experiment, frame, tmp_path / "run", images=images)
    kept = load_file(run / "model.safetensors")
    expected = seen[-1] if figure == "none" else seen[3]
    for name, value in kept.items():
        assert torch.equal(value, expected[name]), name
    plain = fit(make_experiment("lntl"), frame, tmp_path / "plain", images=images)
    assert not torch.equal(
        load_file(plain / "model.safetensors")["target_head.1.weight"],
        kept["target_head.1.weight"],
    )


@pytest.mark.parametrize("figure", ["none", "auroc"])
def test_a_stopped_run_goes_on_to_the_same_average(figure, make_experiment, lesions, tmp_path):
    images, frame = lesions
    experiment = averaged(make_experiment, validation={"figure": figure})
    whole = fit(experiment, frame, tmp_path / "whole", images=images)
    with pytest.raises(Stop):
        fit(experiment, frame, tmp_path / "stopped", images=images, watch=stop_at(5))
    assert_identical(whole, fit(experiment, frame, tmp_path / "stopped", images=images))
