import math
import threading
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equiderm.debias import terms

LOGITS = st.lists(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3), min_size=1, max_size=6
)


@given(LOGITS)
def test_negative_entropy_lies_between_minus_log_k_and_zero(rows):
    value = float(terms.negative_entropy(torch.tensor(rows)))
    assert -math.log(3) - 1e-5 <= value <= 1e-6


@given(LOGITS)
def test_confusion_is_at_least_log_k(rows):
    assert float(terms.confusion(torch.tensor(rows))) >= math.log(3) - 1e-5


def test_confusion_is_least_where_the_answer_is_uniform():
    logits = torch.zeros(2, 5, requires_grad=True)
    loss = terms.confusion(logits)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(math.log(5))
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) < 1e-7


@given(LOGITS, st.integers(0, 2))
def test_group_loss_agrees_with_torch_s_weighted_cross_entropy(rows, group):
    logits = torch.tensor(rows)
    index = torch.full((len(rows),), group)
    index[0] = 0
    weights = torch.tensor([0.2, 0.3, 0.5])
    expected = torch.nn.functional.cross_entropy(logits, index, weights)
    torch.testing.assert_close(terms.group_loss(logits, index, weights), expected)


def test_bf16_logits_far_apart_give_finite_losses_and_gradients():
    logits = torch.tensor([[3e4, -3e4, 0.0]], dtype=torch.bfloat16, requires_grad=True)
    for loss in (
        terms.negative_entropy(logits),
        terms.confusion(logits),
        terms.group_loss(logits, torch.tensor([1]), torch.ones(3)),
        terms.target_loss(logits[:, :1], torch.tensor([0.0])),
    ):
        loss.backward()
        assert bool(loss.isfinite())
        assert logits.grad is not None
        assert bool(logits.grad.isfinite().all())


def test_a_mean_of_a_batch_is_weighted_and_0_without_any_weight():
    values = torch.tensor([1.0, 2, 4], requires_grad=True)
    assert float(terms.batch_mean(values).detach()) == pytest.approx(7 / 3)
    assert float(terms.batch_mean(values.detach(), torch.tensor([1, 0, 3]))) == 13 / 4
    nothing = terms.batch_mean(values, torch.zeros(3))
    nothing.backward()
    assert float(nothing.detach()) == 0 and values.grad.tolist() == [0, 0, 0]
    whole = terms.global_mean(values, torch.tensor([1, 0, 3]))
    assert float(whole) == 13 / 4 and not whole.requires_grad


def test_a_group_s_mean_leaves_unknown_groups_out_and_is_0_where_there_is_none():
    values = torch.tensor([1.0, 2, 3, 9], requires_grad=True)
    means, counts = terms.group_means(values, torch.tensor([0, 0, 2, -1]), 4)
    assert (means.tolist(), counts.tolist()) == ([1.5, 0, 3, 0], [2, 0, 1, 0])
    assert not means.requires_grad


def test_the_squared_error_of_a_number_leaves_unknown_ones_out():
    output, value = torch.tensor([[1.0], [2], [3]]), torch.tensor([0.0, float("nan"), 5])
    assert float(terms.number_loss(output, value)) == 2.5
    assert float(terms.number_confusion(output)) == pytest.approx(14 / 3)


def test_an_adversary_s_weight_rises_from_0_to_almost_1():
    assert terms.ramp(0.0) == 0
    assert terms.ramp(0.1) == pytest.approx(math.tanh(0.5))
    assert terms.ramp(1.0) == pytest.approx(math.tanh(5))


def test_confusion_towards_a_distribution_is_its_cross_entropy():
    logits, towards = (
        torch.tensor([[0.0, 1, 2], [1, 0, 0]]),
        torch.tensor([[0.5, 0.5, 0], [0, 0, 1]]),
    )
    expected = torch.nn.functional.cross_entropy(logits, towards)
    assert float(terms.confusion(logits, towards)) == pytest.approx(float(expected))


@pytest.fixture
def in_two_processes(monkeypatch):
    """Run a function of a rank in two threads that exchange tensors as two processes do."""
    both, meet, own = [None, None], threading.Barrier(2, timeout=5), threading.local()

    def exchange(tensor):
        both[own.rank] = tensor.clone()
        meet.wait()
        every = list(both)
        meet.wait()
        return every

    def all_gather(places, tensor):
        for place, one in zip(places, exchange(tensor), strict=True):
            place.copy_(one)

    talk = SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True, all_gather=all_gather,
        get_world_size=lambda: 2, get_rank=lambda: own.rank,
        all_reduce=lambda tensor: tensor.copy_(sum(exchange(tensor))),
    )  # fmt: skip
    monkeypatch.setattr(terms, "dist", talk)

    def run(work):
        results = [None, None]

        def of(rank):
            own.rank = rank
            results[rank] = work(rank)

        threads = [threading.Thread(target=of, args=(rank,)) for rank in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    return run


PARTS = torch.tensor([[1.0, 2], [3, 5], [4, 4]]), torch.tensor([[-1.0, 0.5]])  # of two processes


def test_every_process_has_the_rows_of_all_in_their_order(in_two_processes):
    for rows in in_two_processes(lambda rank: terms.of_all_processes(PARTS[rank])):
        assert rows.tolist() == torch.cat(PARTS).tolist() and not rows.requires_grad


def test_the_processes_mean_gradient_of_a_loss_of_pairs_is_that_of_the_whole(in_two_processes):
    def gradient(rows_of):
        weight = torch.tensor([0.5, -0.25], requires_grad=True)
        torch.pdist(rows_of(weight)).square().sum().backward()
        return weight.grad.tolist()

    each = in_two_processes(
        lambda rank: gradient(lambda weight: terms.of_all_processes(PARTS[rank] * weight))
    )
    whole = gradient(lambda weight: torch.cat(PARTS) * weight)
    assert [sum(both) / 2 for both in zip(*each, strict=True)] == pytest.approx(whole)


def test_means_are_over_the_images_of_all_processes(in_two_processes):
    values = torch.tensor([1.0, 2, 6]), torch.tensor([5.0])
    weights, group = (
        (torch.tensor([1.0, 0, 2]), torch.tensor([1.0])),
        (torch.tensor([0, 1, -1]), torch.tensor([1])),
    )

    def work(rank):
        before = values[rank].clone().requires_grad_()
        share = terms.batch_mean(before, weights[rank])
        share.backward()
        average = terms.average(values[rank][:1]).tolist()
        means, counts = terms.group_means(values[rank], group[rank], 3)
        every = float(terms.global_mean(values[rank], weights[rank])), average
        return float(share.detach()), before.grad.tolist(), *every, means.tolist(), counts.tolist()

    one, other = in_two_processes(work)
    assert one[:2] == (6.5, [0.5, 0, 1]) and other[:2] == (2.5, [0.5])  # of the mean weight, 2
    assert one[2:] == other[2:] == (4.5, [3.0], [1.0, 3.5, 0], [1.0, 2.0, 0])
    assert values[0].tolist() == [1, 2, 6] and values[1].tolist() == [5]
