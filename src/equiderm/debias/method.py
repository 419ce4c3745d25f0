"""Method and Update: what a method is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from equiderm.batch import Batch
from equiderm.debias.settings import NonNegative, Share, settings
from equiderm.errors import InputError
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
        n_groups: K, the number of groups; 0 for a method that knows nothing of them.
        group_weights: Weight of each group in the bias loss, shape (K,); equal where not given.
        counts: Training images of each target and group, shape (2, K); equal where not given.
        options: Fields of `Options`, the method's hyper-parameters.

    Raises:
        InputError: An unknown option, or a value of the wrong type or out of range.

    Attributes:
        progress: How far training is, from 0 to 1; whoever runs the method sets it before a step.
        uses_group: Whether the method is given the groups.
        moves_backbone: Whether the method is nothing without a backbone that learns.
        uses_pictures: Whether the method reads images as pictures, shape (n, 3, h, w).
        values: Of the training images in the method's `column`, shape (n,), NaN where unknown;
            whoever runs the method sets them. None where it has no such column.
        normalisation: Channel means and deviations of such images, as sRGB in [0, 1]; whoever runs
            the method sets them.
        refits: The rows on whose features `refit` is called once training is over: ``train``,
            ``validation``, or ``none``.
    """

    uses_group: ClassVar[bool] = False
    moves_backbone: ClassVar[bool] = False
    uses_pictures: ClassVar[bool] = False
    refits: ClassVar[Literal["none", "train", "validation"]] = "none"

    @settings("[method]")
    class Options:
        """What every method has: keys of ``[method]`` in an experiment file.

        Attributes:
            deep_heads: A group head of two linear layers in place of one (section 4.4); only for a
                method that has one.
            deep_target_head: A target head of two linear layers in place of one.
            dropout: Share of the features dropped before the target head, in [0, 1).
        """

        has_group_head: ClassVar[bool] = False

        deep_heads: bool = False
        deep_target_head: bool = False
        dropout: Share = 0.5

        def __post_init__(self) -> None:
            """Check what the types cannot."""
            if self.deep_heads and not self.has_group_head:
                raise InputError(
                    "[method] deep_heads: deepens the group head, which this method lacks; "
                    "deep_target_head deepens the target's."
                )

    options: Options

    def __init__(
        self,
        backbone: nn.Module,
        n_features: int,
        *,
        n_groups: int = 0,
        group_weights: Tensor | None = None,
        counts: Tensor | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.options = self.Options(**options)
        self.n_groups, self.progress = n_groups, 0.0
        self.values: Tensor | None = None
        self.normalisation: tuple[tuple[float, ...], tuple[float, ...]] = ((0.5,) * 3, (0.5,) * 3)
        if self.uses_group and n_groups < 2:
            raise ValueError(f"{type(self).__name__} needs two groups or more, got {n_groups}")
        self.backbone = backbone
        self.target_head, self.group_head = self.make_heads(n_features)
        weights = torch.ones(n_groups) if group_weights is None else group_weights
        counts = torch.ones(2, n_groups) if counts is None else counts
        if len(weights) != n_groups or counts.shape != (2, n_groups):
            raise ValueError(f"{len(weights)} group weights for {n_groups} groups")
        self.register_buffer("group_weights", weights, persistent=False)
        self.register_buffer("counts", counts, persistent=False)
        self.group_weights: Tensor
        self.counts: Tensor

    @property
    def column(self) -> str | None:
        """The column of measured numbers that the method reads, if any."""
        return None

    def make_heads(self, n_features: int) -> tuple[nn.Module, nn.Module | None]:
        """Return the target head and the group head, where the method has one."""
        deep, dropout = self.options.deep_target_head, self.options.dropout
        return Head(n_features, 1, deep=deep, dropout=dropout), None

    def features(self, image: Tensor) -> Tensor:
        """Return what the target head reads of each image, shape (n, n_features)."""
        return self.backbone(image)

    def forward(self, image: Tensor) -> Tensor:
        """Return the target's logit of each image, shape (n,)."""
        return self.target_head(self.features(image)).squeeze(1)

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

    @classmethod
    def check_refit(cls, target: Any, group: Any, groups: Sequence[Any]) -> None:
        """Raise InputError unless the rows do for `refit`; called before training, too.

        Args:
            target: Targets of the rows, an array (n,).
            group: Group indices, an array (n,), -1 where unknown.
            groups: The groups' names, K of them.
        """

    def refit(self, features: Tensor, target: Tensor, group: Tensor) -> dict[str, Any]:
        """Refit what is fitted once training is over, and return what is to be recorded of it.

        Args:
            features: The backbone's, in evaluation mode, shape (n, n_features).
            target: Targets, shape (n,).
            group: Group indices, shape (n,), -1 where unknown.

        Raises:
            InputError: The rows do not do for it.
        """
        raise NotImplementedError


class GroupMethod(Method):
    """A method with a group head (others: auxiliary head, adversary), which it always has."""

    uses_group = True
    moves_backbone = True

    @settings("[method]")
    class Options(Method.Options):
        """What every method with a group head has."""

        has_group_head: ClassVar[bool] = True

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]
    group_head: nn.Module  # pyright: ignore[reportIncompatibleVariableOverride]

    def make_heads(self, n_features: int) -> tuple[nn.Module, nn.Module | None]:
        """Return the target head and a group head of K logits."""
        target_head, _ = super().make_heads(n_features)
        return target_head, Head(n_features, self.n_groups, deep=self.options.deep_heads)


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
