"""What a step gives a GPU to do, counted on a CPU: few operations, and nothing to wait for."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from equiderm.batch import Batch
from equiderm.debias import METHODS, Rates

GROUPS, WIDTH, N = 6, 8, 64
MOST = 200  # operations; a GPU starts some 100,000 a second
FREE = {"view", "slice", "select", "transpose", "alias", "detach", "expand", "permute", "unsqueeze"}
FREE |= {"squeeze", "t", "_unsafe_view", "as_strided", "unbind", "split", "empty", "empty_like"}
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "bincount", "_unique2", "equal"}
WAITING |= {"lift_fresh", "linalg_inv_ex"}  # a tensor from figures of the processor's; an inverse


class Counted(TorchDispatchMode):
    """Counts operations by name, and those for whose result the processor waits on a GPU."""

    def __init__(self):
        super().__init__()
        self.started, self.waits = [], []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.split("::")[1]
        if name not in FREE:
            self.started.append(name)
        by_mask = name in {"index", "index_put", "index_put_", "_index_put_impl_"}
        if name in WAITING or (by_mask and any(_is_mask(one) for one in args[1])):
            self.waits.append(name)
        return function(*args, **(kwargs or {}))


def _is_mask(index):
    return index is not None and index.dtype in (torch.bool, torch.uint8)


def _method(name, **options):
    torch.manual_seed(0)
    backbone = torch.nn.Linear(WIDTH, WIDTH)
    if METHODS[name].uses_pictures:
        backbone = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16, WIDTH))
    if METHODS[name].uses_group:
        options["n_groups"] = GROUPS
    return METHODS[name](backbone, WIDTH, **options).train()


def _batch(name):
    generator = torch.Generator().manual_seed(1)
    shape = (N, 3, 4, 4) if METHODS[name].uses_pictures else (N, WIDTH)
    target = torch.randint(0, 2, (N,), generator=generator).float()
    group = torch.randint(-1, GROUPS, (N,), generator=generator)
    return Batch(torch.randn(shape, generator=generator), target, group)


def _steps(method, batch):
    optimizers = method.optimizers(Rates(0.1, 0.1, 0.1), fused=True)
    for update in method.updates(batch):
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        update.loss.backward()
        for name in update.steps:
            optimizers[name].step()


VARIANTS = [(name, {}) for name in METHODS]
VARIANTS += [(name, {"schedule": "alternating"}) for name in ("lntl", "tabe", "clgr")]
VARIANTS += [("dann", {"gradient_penalty": 1.0}), ("cdann", {"gradient_penalty": 1.0})]


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_a_step_starts_few_operations_and_waits_for_none(name, options):
    method, batch = _method(name, **options), _batch(name)
    _steps(method, batch)
    with Counted() as counted:
        _steps(method, batch)
    assert not counted.waits
    assert 10 < len(counted.started) <= MOST
