"""The replayed backbone: the same gradients as its own, wherever it cannot say it is the same."""

import pytest
import torch
from torch import nn

from equiderm.training.replay import Recording, Replayed, replayed

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="records CUDA graphs")


class OnOneSpot:
    """A recording that computes anew, into the same tensors at every replay, as a graph does."""

    def __init__(self, forward, module, image):
        self.image, self._of = image.clone(), forward
        self.parameters = list(module.parameters())
        with torch.no_grad():
            self.features = forward(image)
        self.gradient = torch.zeros_like(self.features)
        self.gradients = [torch.zeros_like(one) for one in self.parameters]
        self.replays = 0

    def forward(self):
        self.replays += 1
        with torch.enable_grad():
            self._kept = self._of(self.image)
        self.features.copy_(self._kept.detach())

    def backward(self):
        found = torch.autograd.grad(self._kept, self.parameters, self.gradient)
        for kept, one in zip(self.gradients, found, strict=True):
            kept.copy_(one)


def both(*, seed=0):
    """Return a module, the same that is replayed, and the latter's wrapper."""
    torch.manual_seed(seed)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    again = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    again.load_state_dict(plain.state_dict())
    wrapper = Replayed(again, again.forward, OnOneSpot)
    again.forward = wrapper
    return plain, again, wrapper


def images(count=6, seed=1):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def gradients(module):
    return [one.grad for one in module.parameters()]


def assert_same(one, other):
    for a, b in zip(gradients(one), gradients(other), strict=True):
        torch.testing.assert_close(a, b)


def replays(wrapper):
    return wrapper._recording.replays


def test_gradients_of_a_replay_add_up_as_the_module_s_own_do():
    plain, again, wrapper = both()
    for seed in (1, 2, 3):
        for module in (plain, again):
            module(images(seed=seed)).square().sum().backward()
    assert_same(plain, again)
    assert replays(wrapper) == 3


def test_a_second_forward_before_the_backward_pass_of_the_first_takes_nothing_from_it():
    plain, again, wrapper = both()
    for module in (plain, again):
        first, second = module(images(seed=1)), module(images(seed=2))
        (first.square().sum() + 3 * second.sum()).backward()
    assert_same(plain, again)
    assert replays(wrapper) == 1


def test_features_that_nobody_goes_back_from_do_not_stop_the_next_replay():
    _, again, wrapper = both()
    again(images(seed=1)).detach()
    with torch.no_grad():
        again(images(seed=2))
    again(images(seed=3)).sum().backward()
    assert replays(wrapper) == 3


def test_features_stay_as_they_were_when_the_next_batch_is_replayed():
    plain, again, _ = both()
    with torch.no_grad():
        kept = again(images(seed=1))
        again(images(seed=2))
    torch.testing.assert_close(kept, plain(images(seed=1)))


@pytest.mark.parametrize("how", ["another shape", "evaluation", "an image with a gradient"])
def test_what_the_recording_is_not_of_runs_the_module_itself(how):
    plain, again, wrapper = both()
    again(images()).sum().backward()
    again.zero_grad()
    image = images(1) if how == "another shape" else images(seed=4)
    image.requires_grad_(how == "an image with a gradient")
    for module in (plain, again):
        module.train(how != "evaluation")
        module(image).square().sum().backward()
    assert_same(plain, again)
    assert replays(wrapper) == 1


def test_a_second_backward_pass_is_an_error_not_another_gradient():
    _, again, _ = both()
    loss = again(images()).square().sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="cuda_graph = false"):
        loss.backward()


def test_a_module_that_cannot_be_recorded_is_run_and_says_so():
    def refuse(forward, module, image):
        raise RuntimeError("operation not permitted when stream is capturing")

    plain, again, _ = both()
    again.forward = Replayed(again, type(again).forward.__get__(again), refuse)
    with pytest.warns(UserWarning, match=r"not permitted when.*one by one"):
        again(images()).square().sum().backward()
    again(images()).square().sum().backward()  # once is enough
    for _ in range(2):
        plain(images()).square().sum().backward()
    assert_same(plain, again)


def test_a_module_has_its_own_forward_again_after_the_block():
    plain, _, _ = both()
    before = plain.forward
    with replayed(plain):
        assert isinstance(plain.forward, Replayed)
    assert plain.forward == before


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(),
        nn.Linear(288, 5),
    ).cuda()  # fmt: skip


@on_gpu
@pytest.mark.parametrize("half", [False, True])
def test_on_a_gpu_weights_and_statistics_move_as_without_graphs(half):
    results = []
    for graphs in (False, True):
        module = network()
        module[3].p = 0.0
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, fused=True)
        forward = module.forward
        if graphs:
            module.forward = Replayed(module, forward)
        for step in range(6):
            for part in range(2):  # gradients of two parts add up
                with torch.autocast("cuda", torch.bfloat16, enabled=half):
                    features = module(images(16, seed=2 * step + part).cuda())
                    loss = features.float().square().mean()
                loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=step % 2 == 0)
        results.append(module.state_dict())
    plain, again = results
    for name, value in plain.items():
        close = {"rtol": 2e-2, "atol": 2e-3} if half else {"rtol": 1e-3, "atol": 1e-5}
        torch.testing.assert_close(again[name], value, **close)


@on_gpu
def test_on_a_gpu_dropout_is_drawn_anew_at_every_replay():
    module = network()
    module.forward = Replayed(module, module.forward)
    with torch.no_grad():
        one, other = module(images(16).cuda()), module(images(16).cuda())
    assert not torch.equal(one, other)


@on_gpu
def test_on_a_gpu_recording_changes_neither_statistics_nor_random_numbers():
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    random = torch.cuda.get_rng_state()
    Recording(module.forward, module, images(16).cuda())
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert torch.equal(torch.cuda.get_rng_state(), random)


@on_gpu
def test_on_a_gpu_a_module_that_asks_for_a_value_is_run_and_says_so():
    module = network()
    own = module.forward
    module.forward = Replayed(module, lambda image: own(image) * float(image.mean() > -9))
    with pytest.warns(UserWarning, match="one by one"):
        module(images(16).cuda()).sum().backward()
    assert all(one.grad is not None for one in module.parameters())
