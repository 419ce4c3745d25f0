"""`tests/golden/debias_steps.npz`: the published code's arithmetic re-run in torch 2.

A tiny network (12 -> 16 tanh -> 8 tanh; K = 6), three batches of 10, one step of the alternating
schedule each, momentum 0.9, rates 100 times the published ones. `tabe` there moves the backbone in
the bias step as well; two optimisers step the backbone of `tabe` and `clgr`. Gradients are set to
None between steps, as torch 2 does.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from equiderm.batch import Batch
from equiderm.debias import CLGR, ERM, LNTL, TABE, Rates, take_step

GOLDEN = Path(__file__).parents[1] / "golden" / "debias_steps.npz"
METHODS = ["baseline", "lntl", "lntl_no_reversal", "tabe", "clgr"]


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as stored:
        return {name: stored[name] for name in stored.files}


def build(name, golden):
    encoder = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 8), nn.Tanh())
    heads = {
        "dropout": 0.0,
        "n_groups": 6,
        "group_weights": torch.tensor(golden["aux_class_weight"]),
        "schedule": "alternating",
    }
    slow, fast = float(golden["hyper/lr_base"]), float(golden["hyper/lr_bias"])
    reversal = float(golden["hyper/reversal"])
    entropy = {"entropy_weight": float(golden["hyper/lambda"])}
    confuse = {"confusion_weight": float(golden["hyper/alpha"]), "second_backbone_rate": fast}
    if name == "baseline":
        return ERM(encoder, 8, dropout=0.0), Rates(slow, slow, slow)
    if name.startswith("lntl"):
        reversal = -1.0 if name == "lntl_no_reversal" else reversal
        return LNTL(encoder, 8, reversal=reversal, **entropy, **heads), Rates(slow, slow, slow)
    if name == "tabe":
        return TABE(encoder, 8, reversal=-1.0, **confuse, **heads), Rates(slow, slow, fast)
    return CLGR(encoder, 8, reversal=reversal, **confuse, **heads), Rates(slow, slow, fast)


def weights(method):
    names = {"encoder": "backbone"}
    found = {f"{k}.{i}.{p}": (names[k], i, p) for k in names for i in "02" for p in PARTS}
    state = method.state_dict()
    flat = {key: state[f"{module}.{i}.{p}"] for key, (module, i, p) in found.items()}
    flat |= {f"target_head.layer.{p}": state[f"target_head.0.{p}"] for p in PARTS}
    if method.group_head is not None:
        flat |= {f"bias_head.layer.{p}": state[f"group_head.0.{p}"] for p in PARTS}
    return flat


PARTS = ("weight", "bias")


@pytest.mark.parametrize("name", METHODS)
def test_three_alternating_steps_end_on_the_published_weights_and_losses(name, golden):
    method, rates = build(name, golden)
    for key, value in weights(method).items():
        value.copy_(torch.tensor(golden[f"initial/{key}"]))
    optimizers = method.optimizers(rates, momentum=float(golden["hyper/momentum"]))
    batches = [
        Batch(torch.tensor(x), torch.tensor(y), torch.tensor(b))
        for x, y, b in zip(golden["x"], golden["target"], golden["skin_type_index"], strict=True)
    ]
    steps = [take_step(method, optimizers, batch) for batch in batches]
    losses = [step["target"] for step in steps]
    np.testing.assert_allclose(losses, golden[f"{name}/loss"], rtol=0, atol=1e-6)
    if name != "baseline":
        bias = [step["group"] for step in steps]
        np.testing.assert_allclose(bias, golden[f"{name}/bias_loss"], rtol=0, atol=1e-6)
    for key, value in weights(method).items():
        np.testing.assert_allclose(value, golden[f"{name}/{key}"], rtol=0, atol=1e-6, err_msg=key)


def test_the_golden_weights_moved_far_more_than_the_tolerance(golden):
    for name in METHODS:
        moved = np.abs(golden[f"{name}/encoder.0.weight"] - golden["initial/encoder.0.weight"])
        assert moved.max() > 1e-3, name
