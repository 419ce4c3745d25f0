import math

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
