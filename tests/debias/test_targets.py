"""Targets of every kind: their losses and scores by hand, and every method that learns them."""

import math

import pytest
import torch
from tests.debias.conftest import K, N, build_batches, build_method

from equiderm.batch import Batch, Target
from equiderm.debias import METHODS, Rates, take_step, terms

THREE = Target("classes", ("nevus", "keratosis", "melanoma"))
FOUR = Target("ordered", (1, 2, 3, 4))
NUMBER = Target("number", (), 20.0, 15.0)
KINDS = {"classes": THREE, "ordered": FOUR, "number": NUMBER}
LEARNT = [
    (name, kind)
    for name, cls in METHODS.items()
    for kind in KINDS
    if kind in cls.targets and not cls.uses_pictures
]


def batch_of(target, *, seed=1):
    b = build_batches(1, seed=seed)[0]
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(N, dtype=torch.float64, generator=generator)
    if target.kind != "number":
        drawn = torch.randint(0, len(target.names), (N,), generator=generator).double()
    return Batch(b.image, drawn, b.group)


def by_hand(target, row, y):
    if target.kind == "number":
        return (row[0] - y) ** 2
    if target.kind == "classes":
        return -row[int(y)] + math.log(sum(math.exp(one) for one in row))
    p = [1 / (1 + math.exp(-one)) for one in row]  # of lying above each step
    return -sum(math.log(one if y > k else 1 - one) for k, one in enumerate(p))


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_a_target_is_that_of_its_equation(kind):
    target = KINDS[kind]
    outputs = torch.randn(N, target.outputs, dtype=torch.float64)
    y = batch_of(target).target
    expected = [by_hand(target, row, value) for row, value in zip(outputs.tolist(), y, strict=True)]
    found = terms.losses_of(target, outputs, y)
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12
    )


def test_two_ordered_classes_are_a_binary_target():
    logit, y = torch.randn(N, 1, dtype=torch.float64), batch_of(Target("ordered", (0, 1))).target
    one = terms.losses_of(Target("ordered", (0, 1)), logit, y)
    torch.testing.assert_close(one, terms.losses_of(Target(), logit, y), rtol=0, atol=1e-14)


def test_scores_are_probabilities_and_a_number_has_its_unit():
    outputs = torch.tensor([[2.0, 0.0, -1.0], [-5.0, 3.0, 0.0]], dtype=torch.float64)
    above = torch.sigmoid(outputs[0])
    ordered = terms.scores_of(FOUR, outputs)
    expected = torch.stack([1 - above[0], above[0] - above[1], above[1] - above[2], above[2]])
    torch.testing.assert_close(ordered[0], expected, rtol=0, atol=1e-14)
    assert (ordered >= 0).all()  # though a later step of the second row is likelier
    for scores in (ordered, terms.scores_of(THREE, outputs)):
        torch.testing.assert_close(scores.sum(1), torch.ones(2).double(), rtol=0, atol=1e-14)
    assert terms.scores_of(NUMBER, torch.tensor([[2.0]]))[0, 0] == 50.0


@pytest.mark.parametrize(("name", "kind"), LEARNT)
def test_every_method_moves_every_weight_by_a_target_of_its_kinds(name, kind):
    target = KINDS[kind]
    method = build_method(name, target=target)
    assert method.target_head(torch.zeros(1, 5).double()).shape == (1, target.outputs)
    method.progress = 0.5
    before = {key: value.detach().clone() for key, value in method.named_parameters()}
    losses = take_step(method, method.optimizers(Rates(0.1, 0.1, 0.1)), batch_of(target))
    assert all(map(math.isfinite, losses.values()))
    assert all(not torch.equal(value, before[key]) for key, value in method.named_parameters())


@pytest.mark.parametrize(("kind", "rows"), [("classes", 3), ("ordered", 4), ("number", 1)])
def test_groups_are_counted_within_each_class_and_once_for_a_number(kind, rows):
    counts = torch.arange(rows * K).reshape(rows, K).double()
    method = build_method("lntl", target=KINDS[kind], counts=counts)
    assert torch.equal(method.counts, counts)
    with pytest.raises(ValueError, match="group weights"):
        build_method("lntl", target=KINDS[kind], counts=counts.repeat(2, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_s_loss_falls_as_it_is_learned(kind):
    target = KINDS[kind]
    method, batch = build_method("erm", target=target), batch_of(target)
    optimizers = method.optimizers(Rates(0.1, 0.1, 0.1))
    losses = [take_step(method, optimizers, batch)["target"] for _ in range(200)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("name", ["dfr", "leace", "domain_independent"])
def test_a_method_of_a_binary_target_refuses_another(name):
    with pytest.raises(ValueError, match="learns no target of kind classes"):
        build_method(name, target=THREE)
