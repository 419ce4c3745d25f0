"""Each method beside a second, flat writing of its published equations: four batches, float64."""

import pytest
import torch

from equiderm.debias import Rates, take_step

RATE, FAST = 0.05, 0.4


def run(method, batches, *, group_rate=RATE):
    optimizers = method.optimizers(Rates(RATE, RATE, group_rate))
    for batch in batches:
        take_step(method, optimizers, batch)


def test_erm_descends_the_cross_entropy(make_method, make_flat, batches):
    method = make_method("erm")
    flat = make_flat(method)
    run(method, batches)
    for b in batches:
        loss = flat.bce(flat.g(flat.f(b.image)), b.target)
        flat.descend(flat.gradient(loss, "backbone", "target_head"), RATE)
    flat.assert_equals(method)


@pytest.mark.parametrize("reversal", [0.1, -1.0, 0.0])
def test_lntl_alternates_entropy_and_reversed_bias_loss(make_method, make_flat, batches, reversal):
    method = make_method("lntl", schedule="alternating", entropy_weight=0.3, reversal=reversal)
    flat = make_flat(method)
    run(method, batches)
    for b in batches:
        z = flat.f(b.image)
        q = flat.softmax(flat.h(z))
        loss = flat.bce(flat.g(z), b.target) + 0.3 * (q * torch.log(q)).sum() / len(q)
        flat.descend(flat.gradient(loss, "backbone", "target_head"), RATE)
        bias = flat.weighted_ce(flat.h(flat.f(b.image)), b.group)
        if reversal:
            toward = flat.gradient(bias, "backbone")
            away = {name: -reversal * gradient for name, gradient in toward.items()}
        else:
            away = {}
        head = flat.gradient(bias, "group_head")
        flat.descend(away, RATE)
        flat.descend(head, RATE, optimizer="group")
    flat.assert_equals(method)


@pytest.mark.parametrize("name", ["tabe", "clgr"])
def test_tabe_and_clgr_alternate_confusion_and_bias_loss(make_method, make_flat, batches, name):
    method = make_method(name, schedule="alternating", confusion_weight=0.3)
    flat = make_flat(method)
    run(method, batches, group_rate=FAST)
    for b in batches:
        z = flat.f(b.image)
        q = flat.softmax(flat.h(z))
        confusion = -(torch.log(q) / q.shape[1]).sum() / len(q)
        loss = flat.bce(flat.g(z), b.target) + 0.3 * confusion
        flat.descend(flat.gradient(loss, "backbone", "target_head"), RATE)
        bias = flat.weighted_ce(flat.h(flat.f(b.image)), b.group)
        head = flat.gradient(bias, "group_head")
        if name == "clgr":
            toward = flat.gradient(bias, "backbone")
            flat.descend({name: -0.1 * gradient for name, gradient in toward.items()}, RATE)
        flat.descend(head, FAST, optimizer="group")
    flat.assert_equals(method)


def test_tabe_as_released_steps_the_backbone_twice_and_towards_the_group(
    make_method, make_flat, batches
):
    method = make_method(
        "tabe",
        schedule="alternating",
        confusion_weight=0.3,
        confusion_target="noise",
        reversal=-1.0,
        second_backbone_rate=FAST,
    )
    flat = make_flat(method)
    torch.manual_seed(5)
    run(method, batches, group_rate=FAST)
    torch.manual_seed(5)
    for b in batches:
        z = flat.f(b.image)
        logits = flat.h(z)
        noise = torch.rand(logits.shape, dtype=logits.dtype)
        confusion = -(noise * torch.log(flat.softmax(logits))).sum() / len(logits)
        loss = flat.bce(flat.g(z), b.target) + 0.3 * confusion
        both = flat.gradient(loss, "backbone", "target_head")
        backbone = {n: gradient for n, gradient in both.items() if n.startswith("backbone")}
        flat.descend(both, RATE)
        flat.descend(backbone, FAST, optimizer="second")
        bias = flat.weighted_ce(flat.h(flat.f(b.image)), b.group)
        head, toward = flat.gradient(bias, "group_head"), flat.gradient(bias, "backbone")
        flat.descend(toward, RATE)
        flat.descend(head, FAST, optimizer="group")
    flat.assert_equals(method)


@pytest.mark.parametrize("name", ["lntl", "tabe", "clgr"])
def test_joint_descends_the_sum_of_both_losses_from_one_forward(
    make_method, make_flat, batches, name
):
    method = make_method(name, schedule="joint")
    flat = make_flat(method)
    run(method, batches, group_rate=FAST)
    for b in batches:
        z = flat.f(b.image)
        logits = flat.h(z)
        q = flat.softmax(logits)
        loss = flat.bce(flat.g(z), b.target)
        if name == "lntl":
            loss = loss + 0.01 * (q * torch.log(q)).sum() / len(q)
        else:
            loss = loss - 0.03 * (torch.log(q) / q.shape[1]).sum() / len(q)
        bias = flat.weighted_ce(logits, b.group)
        main = flat.gradient(loss, "backbone", "target_head")
        if name != "tabe":
            for key, gradient in flat.gradient(bias, "backbone").items():
                main[key] = main[key] - 0.1 * gradient
        head = flat.gradient(bias, "group_head")
        flat.descend(main, RATE)
        flat.descend(head, FAST, optimizer="group")
    flat.assert_equals(method)


def test_resampling_draws_each_pair_of_target_and_group_as_often(make_method):
    method = make_method("resampling")
    target = torch.tensor([1, 0, 0, 0, 1, 0])
    group = torch.tensor([0, 0, 0, 1, 1, -1])
    weights = method.sample_weights(target, group)
    assert weights is not None
    assert weights.tolist() == [1.0, 0.5, 0.5, 1.0, 1.0, 1.0]


def test_resampling_descends_as_erm_does(make_method, batches):
    one, other = make_method("erm"), make_method("resampling")
    run(one, batches)
    run(other, batches)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
