"""Method and Update: what a method is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from equiderm.batch import Batch
from equiderm.debias.settings import NonNegative, Share, settings
from equiderm.models import Head

Schedule = Literal["joint", "alternating"]


@dataclass(frozen=True)
class Update:
    """One backward pass and who moves after it.

    Attributes:
        name: What the log calls the loss.
        loss: The scalar to minimise.
        steps: Names of the optimisers that step on its gradient, in that order.
        parts: Terms of the loss, for the log alone.
    """

    name: str
    loss: Tensor
    steps: tuple[str, ...]
    parts: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


@dataclass(frozen=True)
class Rates:
    """Learning rates by what they move."""

    backbone: NonNegative = 3e-4
    target_head: NonNegative = 3e-4
    group_head: NonNegative = 3e-4


def new_optimizer(
    groups: list[dict[str, Any]], *, name: str = "sgd", momentum: float = 0.9, **options: Any
) -> torch.optim.Optimizer:
    """Return an optimiser of parameter groups, each with its ``lr``.

    Args:
        groups: ``params`` and ``lr`` of each.
        name: ``sgd``, as published, or ``adamw``, which has no momentum of that kind.
        momentum: Of SGD.
        options: Others of torch's, such as ``fused`` and ``weight_decay``.
    """
    if name == "adamw":
        return torch.optim.AdamW(groups, **{"weight_decay": 0.0, **options})
    return torch.optim.SGD(groups, momentum=momentum, **options)


class Method(nn.Module):
    """A backbone with its heads, and the order in which losses move them.

    A method says in `updates`, batch by batch, which losses move which parameters. Whoever runs it
    zeroes the gradients, calls backward and steps the named optimisers between two yields, so that
    a second forward sees the moved weights.

    Args:
        backbone: Maps images (n, 3, h, w) to features (n, n_features).
        n_features: Width of the features.
        n_groups: K, the number of groups; 0 for a method without a group head.
        group_weights: Weight of each group in the bias loss, shape (K,); equal where not given.
        options: Fields of `Options`, the method's hyper-parameters.

    Raises:
        InputError: An unknown option, or a value of the wrong type or out of range.
    """

    @settings("[method]")
    class Options:
        """What every method has: keys of ``[method]`` in an experiment file.

        Attributes:
            deep_heads: Heads of two linear layers in place of one.
            dropout: Share of the features dropped before the target head, in [0, 1).
        """

        deep_heads: bool = False
        dropout: Share = 0.5

    options: Options

    def __init__(
        self,
        backbone: nn.Module,
        n_features: int,
        *,
        n_groups: int = 0,
        group_weights: Tensor | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.options = self.Options(**options)
        deep = self.options.deep_heads
        self.backbone = backbone
        self.target_head = Head(n_features, 1, deep=deep, dropout=self.options.dropout)
        self.group_head = Head(n_features, n_groups, deep=deep) if n_groups else None
        weights = torch.ones(n_groups) if group_weights is None else group_weights
        if len(weights) != n_groups:
            raise ValueError(f"{len(weights)} group weights for {n_groups} groups")
        self.register_buffer("group_weights", weights, persistent=False)
        self.group_weights: Tensor

    def forward(self, image: Tensor) -> Tensor:
        """Return the target's logit of each image, shape (n,)."""
        return self.target_head(self.backbone(image)).squeeze(1)

    def updates(self, batch: Batch) -> Iterator[Update]:
        """Yield the updates of one batch, in order."""
        raise NotImplementedError

    def optimizers(
        self, rates: Rates, *, momentum: float = 0.9, **options: Any
    ) -> dict[str, torch.optim.Optimizer]:
        """Return optimisers by name; ``options`` go to each, see `new_optimizer`."""
        main = [
            {"params": list(self.backbone.parameters()), "lr": rates.backbone},
            {"params": list(self.target_head.parameters()), "lr": rates.target_head},
        ]
        optimizers = {"main": new_optimizer(main, momentum=momentum, **options)}
        if self.group_head is not None:
            group = [{"params": list(self.group_head.parameters()), "lr": rates.group_head}]
            optimizers["group"] = new_optimizer(group, momentum=momentum, **options)
        return optimizers

    def sample_weights(self, target: Tensor, group: Tensor) -> Tensor | None:
        """Return how often to draw each training image, relatively; None: each once an epoch.

        Args:
            target: Targets of the training set, shape (n,).
            group: Group indices of the training set, shape (n,), -1 where unknown.
        """
        return None


class GroupMethod(Method):
    """A method with a group head (others: auxiliary head, adversary), which it always has."""

    group_head: nn.Module  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, backbone: nn.Module, n_features: int, *, n_groups: int, **options: Any):
        super().__init__(backbone, n_features, n_groups=n_groups, **options)
        if n_groups < 2:
            raise ValueError(f"{type(self).__name__} needs two groups or more, got {n_groups}")


def take_step(
    method: Method, optimizers: Mapping[str, torch.optim.Optimizer], batch: Batch
) -> dict[str, float]:
    """Run one batch through a method on one device and return its losses by name.

    The whole contract between a method and a training loop; `equiderm.training.loop` adds
    precision, processes and checkpoints.
    """
    losses: dict[str, float] = {}
    for update in method.updates(batch):
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        update.loss.backward()
        for name in update.steps:
            optimizers[name].step()
        losses[update.name] = float(update.loss.detach())
    return losses


def check_all_parameters_move(
    method: Method, optimizers: Mapping[str, torch.optim.Optimizer]
) -> None:
    """Raise ValueError where a parameter of a method belongs to none of its optimisers."""
    owned = {
        id(parameter)
        for optimizer in optimizers.values()
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for name, parameter in method.named_parameters():
        if parameter.requires_grad and id(parameter) not in owned:
            raise ValueError(f"{type(method).__name__}.optimizers() names no optimiser for {name}")
