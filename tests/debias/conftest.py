"""A tiny network in float64, and SGD with momentum written out by hand."""

import pytest
import torch
from torch import nn

from equiderm.batch import Batch
from equiderm.debias import METHODS

K, WIDTH, N = 4, 5, 12
WEIGHTS = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)


def build_method(name, **options):
    """A method over linear 7 -> 5 and tanh, in float64, the same weights at every call."""
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Linear(7, WIDTH), nn.Tanh())
    if METHODS[name].uses_group:
        options = {"n_groups": K, "group_weights": WEIGHTS.clone(), **options}
    return METHODS[name](backbone, WIDTH, **{"dropout": 0.0, **options}).double()


def build_batches(count=4, *, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [
        Batch(
            torch.randn(N, 7, dtype=torch.float64, generator=generator),
            torch.randint(0, 2, (N,), generator=generator).double(),
            torch.randint(0, K, (N,), generator=generator),
        )
        for _ in range(count)
    ]


def moved_by(method, optimizers, update):
    """Take the step of one update; the names of the parameters that it changes."""
    before = {n: p.detach().clone() for n, p in method.named_parameters()}
    for optimizer in optimizers.values():
        optimizer.zero_grad()
    update.loss.backward()
    for step in update.steps:
        optimizers[step].step()
    return {n for n, p in method.named_parameters() if not torch.equal(p, before[n])}


class Flat:
    """The same network as bare tensors: f, g, h of the equations, and SGD of their gradients."""

    def __init__(self, method):
        self.theta = {name: value.detach().clone() for name, value in method.named_parameters()}
        for value in self.theta.values():
            value.requires_grad_()
        self.velocity = {}

    def f(self, x):
        return torch.tanh(x @ self.theta["backbone.0.weight"].T + self.theta["backbone.0.bias"])

    def g(self, z):
        return (z @ self.theta["target_head.0.weight"].T + self.theta["target_head.0.bias"])[:, 0]

    def h(self, z):
        return z @ self.theta["group_head.0.weight"].T + self.theta["group_head.0.bias"]

    def bce(self, logit, y):
        p = 1 / (1 + torch.exp(-logit))
        return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()

    def softmax(self, logits):
        e = torch.exp(logits)
        return e / e.sum(dim=1, keepdim=True)

    def weighted_ce(self, logits, b):
        p = self.softmax(logits)
        w = WEIGHTS[b]
        return -(w * torch.log(p[torch.arange(len(b)), b])).sum() / w.sum()

    def gradient(self, loss, *modules):
        """d loss / d parameters of the modules named, by parameter."""
        names = [n for n in self.theta if n.split(".")[0] in modules]
        grads = torch.autograd.grad(loss, [self.theta[n] for n in names], retain_graph=True)
        return dict(zip(names, grads, strict=True))

    def descend(self, gradient, rate, *, optimizer="main", momentum=0.9):
        with torch.no_grad():
            for name, grad in gradient.items():
                key = (optimizer, name)
                old = self.velocity.get(key)
                self.velocity[key] = grad if old is None else momentum * old + grad
                self.theta[name] -= rate * self.velocity[key]

    def assert_equals(self, method, tolerance=1e-12):
        for name, value in method.named_parameters():
            torch.testing.assert_close(value, self.theta[name], rtol=0, atol=tolerance, msg=name)


@pytest.fixture
def make_method():
    return build_method


@pytest.fixture
def make_flat():
    return Flat


@pytest.fixture
def batches():
    return build_batches()
