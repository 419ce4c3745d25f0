"""An average of the weights over the steps of training."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Average:
    r"""The exponential moving average of a module's weights and batch statistics.

    .. math:: \theta' \leftarrow d_t \theta' + (1 - d_t) \theta, \qquad
        d_t = \min\Big(d, \frac{1 + t}{10 + t}\Big)

    after step t, counted from 1, with d the decay: early on it forgets its random beginning.

    Args:
        module: The module that is averaged.
        decay: d, in [0, 1).

    Attributes:
        values: theta', by the names of the module's state.
        steps: t.

    Source:
        Polyak and Juditsky 1992, SIAM Journal on Control and Optimization 30:838; the start as in
        TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module, self._decay = module, decay
        self.steps = 0
        self.values: dict[str, Tensor] = _copy(module)

    def update(self) -> None:
        """Add the weights after one more step."""
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        now = self._module.state_dict()
        learned = [name for name, value in now.items() if value.is_floating_point()]
        averages = [self.values[name] for name in learned]
        # All at once, as a GPU starts each operation by itself. Not lerp, whose difference is no
        # number where both are infinite, as the deviation of a feature that is the same in all
        # training rows is.
        together: Any = torch
        with torch.no_grad():
            together._foreach_mul_(averages, decay)
            together._foreach_add_(averages, [now[name] for name in learned], alpha=1 - decay)
            others = list(now.keys() - learned)
            if others:
                kept = [self.values[name] for name in others]
                together._foreach_copy_(kept, [now[name] for name in others])

    def restore(self, values: Mapping[str, Tensor], steps: int) -> None:
        """Restore saved values and steps."""
        self.steps = steps
        for name, value in values.items():
            self.values[name].copy_(value)

    @contextlib.contextmanager
    def in_place(self) -> Generator[None]:
        """Load the average into the module for the block, and its own weights again after it."""
        own = _copy(self._module)
        self._module.load_state_dict(self.values)
        try:
            yield
        finally:
            self._module.load_state_dict(own)


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
