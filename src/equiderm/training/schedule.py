"""Learning rates along the steps of a run, and the size of a step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch


class Schedule:
    r"""Every rate of a run's optimisers, along its steps.

    .. math:: \eta(p) = \eta \cdot \begin{cases} p / w & p < w \\
        \frac{1}{2} \Big(1 + \cos \pi \frac{p - w}{1 - w}\Big) & p \ge w \end{cases}

    with p the share of the steps that are done, in the middle of a step, and w ``warmup``;
    ``constant`` stays at eta after the warm-up. It depends on p alone, so that an interrupted run
    resumes with the same rates.

    Args:
        optimizers: By name, with the rates eta that they were built with.
        name: ``constant`` or ``cosine``.
        warmup: w, in [0, 1).

    Source:
        Loshchilov and Hutter 2017, SGDR, equation 5, without restarts; the linear warm-up of Goyal
        et al. 2017, Accurate, large minibatch SGD, section 2.2.
    """

    def __init__(
        self, optimizers: Mapping[str, torch.optim.Optimizer], name: str, warmup: float
    ) -> None:
        self._optimizers, self._name, self._warmup = optimizers, name, warmup
        self._rates = {
            key: [group["lr"] for group in optimizer.param_groups]
            for key, optimizer in optimizers.items()
        }

    def factor(self, progress: float) -> float:
        """Return the factor of the rates at ``progress``, the share of steps done, in [0, 1]."""
        if progress < self._warmup:
            return progress / self._warmup
        if self._name == "constant":
            return 1.0
        return (1 + math.cos(math.pi * (progress - self._warmup) / (1 - self._warmup))) / 2

    def set(self, progress: float) -> None:
        """Give every optimiser the rates of a step."""
        if self._name == "constant" and not self._warmup:
            return
        factor = self.factor(progress)
        for key, optimizer in self._optimizers.items():
            for group, rate in zip(optimizer.param_groups, self._rates[key], strict=True):
                group["lr"] = rate * factor


def clip_gradients(optimizers: Iterable[torch.optim.Optimizer], largest: float) -> None:
    """Scale down the gradients of the optimisers' parameters if their joint norm is larger."""
    moved = {
        id(parameter): parameter
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    torch.nn.utils.clip_grad_norm_(list(moved.values()), largest)
