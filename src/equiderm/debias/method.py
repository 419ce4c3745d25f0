"""Method and Update: what a method is."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from equiderm.batch import Batch, Target
from equiderm.debias import terms
from equiderm.debias.settings import NonNegative, Share, settings
from equiderm.errors import InputError
from equiderm.models import Head, OrderedHead, reverse_gradient

Schedule = Literal["joint", "alternating"]
BINARY = Target()


@dataclass(frozen=True)
class Update:
    """One backward pass and the optimisers that step after it.

    Attributes:
        name: Name of the loss in the log.
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
        options: Further options of torch's, such as ``fused`` and ``weight_decay``.
    """
    if name == "adamw":
        return torch.optim.AdamW(groups, **{"weight_decay": 0.0, **options})
    return torch.optim.SGD(groups, momentum=momentum, **options)


@dataclass(frozen=True)
class Attribute:
    """A protected attribute, as given to a method.

    Attributes:
        name: Its column.
        target: What its values are: ``classes``, K groups, or a ``number``.
        weights: Weight of each group in the bias loss, shape (K,); equal where not given.
        counts: Training images of each target and group, shape (C, K); equal where not given.
        options: Options of its group head; the method's where not given.
    """

    name: str
    target: Target
    weights: Tensor | None = None
    counts: Tensor | None = None
    options: Method.Options | None = None

    @property
    def n_groups(self) -> int:
        """K; 0 for a number."""
        return len(self.target.names)


class Method(nn.Module):
    """A backbone with its heads, and the order in which losses move them.

    A method says in `updates`, batch by batch, which losses move which parameters. The training
    loop zeroes the gradients, calls backward and steps the named optimisers between two yields, so
    that a second forward sees the moved weights.

    Args:
        backbone: Maps images (n, 3, h, w) to features (n, n_features).
        n_features: Width of the features.
        n_groups: K, the number of groups; 0 for a method that does not use them.
        group_weights: Weight of each group in the bias loss, shape (K,); equal where not given.
        counts: Training images of each target and group, shape (C, K); equal where not given.
        attributes: In place of the three above: several attributes, or one that is a number.
        target: The target, of C classes; binary where not given.
        options: Fields of `Options`, the method's hyper-parameters.

    Raises:
        InputError: An unknown option, or a value of the wrong type or out of range.

    Attributes:
        progress: Progress of training, from 0 to 1; the training loop sets it before a step.
        uses_group: Whether the method is given the groups.
        targets: Kinds of targets that it can learn, see `equiderm.batch.Target`.
        takes: Attributes it can use besides one column of groups: ``number``, ``several``.
        moves_backbone: Whether the method needs a backbone that learns.
        uses_pictures: Whether the method reads images as pictures, shape (n, 3, h, w).
        values: Values of the training images in the method's `column`, shape (n,), NaN where
            unknown; the training loop sets them. None where it has no such column.
        normalisation: Channel means and deviations of such images, as sRGB in [0, 1]; the training
            loop sets them.
        refits: The rows on whose features `refit` is called once training is over: ``train``,
            ``validation``, or ``none``.
    """

    uses_group: ClassVar[bool] = False
    targets: ClassVar[frozenset[str]] = frozenset({"binary"})
    takes: ClassVar[frozenset[str]] = frozenset()
    moves_backbone: ClassVar[bool] = False
    uses_pictures: ClassVar[bool] = False
    refits: ClassVar[Literal["none", "train", "validation"]] = "none"

    @settings("[method]")
    class Options:
        """Options of every method: keys of ``[method]`` in an experiment file.

        Attributes:
            deep_heads: A group head of two linear layers in place of one (section 4.4); only for a
                method that has one.
            deep_target_head: A target head of two linear layers in place of one.
            dropout: Share of the features dropped before the target head, in [0, 1).
        """

        has_group_head: ClassVar[bool] = False
        of_head: ClassVar[tuple[str, ...]] = ()  # those that a group head may have of its own

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

        def check_attribute(self, name: str, target: Target) -> None:
            """Raise InputError where a group head with these options cannot learn an attribute."""

    options: Options

    def __init__(
        self,
        backbone: nn.Module,
        n_features: int,
        *,
        n_groups: int = 0,
        group_weights: Tensor | None = None,
        counts: Tensor | None = None,
        attributes: Sequence[Attribute] = (),
        target: Target = BINARY,
        **options: Any,
    ) -> None:
        super().__init__()
        self.options = self.Options(**options)
        if target.kind not in self.targets:
            raise ValueError(f"{type(self).__name__} learns no target of kind {target.kind}")
        self.target = target
        groups = Target("classes", tuple(range(n_groups)))
        self.attributes = tuple(attributes) or (Attribute("group", groups, group_weights, counts),)
        first = self.attributes[0]
        self.n_groups, self.progress = first.n_groups, 0.0
        self.values: Tensor | None = None
        self.normalisation: tuple[tuple[float, ...], tuple[float, ...]] = ((0.5,) * 3, (0.5,) * 3)
        if self.uses_group:
            check_attributes(type(self), self.attributes)
        self.backbone = backbone
        self.target_head, self.group_head = self.make_heads(n_features)
        weights, counts = weights_and_counts(first, self.n_targets)
        self.register_buffer("group_weights", weights, persistent=False)
        self.register_buffer("counts", counts, persistent=False)
        self.group_weights: Tensor
        self.counts: Tensor

    @property
    def n_targets(self) -> int:
        """How many classes the target has; 1 for a number."""
        return max(len(self.target.names), 1)

    @property
    def column(self) -> str | None:
        """The column of measured numbers that the method reads, if any."""
        return None

    def make_heads(self, n_features: int) -> tuple[nn.Module, nn.Module | None]:
        """Return the target head and the group head, where the method has one."""
        kind = OrderedHead if self.target.kind == "ordered" else Head
        options: Any = {"deep": self.options.deep_target_head, "dropout": self.options.dropout}
        return kind(n_features, self.target.outputs, **options), None

    def features(self, image: Tensor) -> Tensor:
        """Return the features that the target head reads, shape (n, n_features)."""
        return self.backbone(image)

    def forward(self, image: Tensor) -> Tensor:
        """Return the target's logit of each image, (n,); of several outputs (n, outputs)."""
        outputs = self.target_head(self.features(image))
        return outputs.squeeze(1) if self.target.kind == "binary" else outputs

    def target_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return each image's loss (n,) of the target head's outputs with the batch's target."""
        return terms.losses_of(self.target, outputs, target)

    def target_loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean of `target_losses` over the global batch."""
        return terms.batch_mean(self.target_losses(outputs, target))

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
        """Return the relative frequency of drawing each training image; None: each once per epoch.

        Args:
            target: Targets of the training set, shape (n,).
            group: Group indices of the training set, shape (n,), -1 where unknown.
        """
        return None

    @classmethod
    def check_refit(cls, target: Any, group: Any, groups: Sequence[Any]) -> None:
        """Raise InputError unless the rows suffice for `refit`; also called before training.

        Args:
            target: Targets of the rows, an array (n,).
            group: Group indices, an array (n,), -1 where unknown.
            groups: The groups' names, K of them.
        """

    def refit(
        self, features: Tensor, target: Tensor, group: Tensor, *more: Tensor
    ) -> dict[str, Any]:
        """Fit what the method fits after training, and return what the run records of it.

        Args:
            features: The backbone's, in evaluation mode, shape (n, n_features).
            target: Targets, shape (n,).
            group: The first attribute, as in `Batch`, shape (n,).
            more: The others, where there are several.

        Raises:
            InputError: The rows do not suffice.
        """
        raise NotImplementedError


def check_attributes(method: type[Method], attributes: Sequence[Attribute]) -> None:
    """Raise ValueError unless a method can learn these attributes."""
    for attribute in attributes:
        wanted = "number" if attribute.target.kind == "number" else "several"
        if wanted not in method.takes and (wanted == "number" or len(attributes) > 1):
            raise ValueError(f"{method.__name__} takes one column of groups")
        if wanted != "number" and attribute.n_groups < 2:
            raise ValueError(
                f"{method.__name__} needs two groups or more, got {attribute.n_groups}"
            )


def weights_and_counts(attribute: Attribute, n_targets: int) -> tuple[Tensor, Tensor]:
    """Return an attribute's weights (K,) and counts (C, K), all 1 where they are not given."""
    n, weights, counts = attribute.n_groups, attribute.weights, attribute.counts
    weights = torch.ones(n) if weights is None else weights
    counts = torch.ones(n_targets, n) if counts is None else counts
    if len(weights) != n or counts.shape != (n_targets, n):
        raise ValueError(f"{len(weights)} group weights for {n} groups")
    return weights, counts


class GroupHead(Head):
    """The head of one attribute: K logits or, for a number, the standardised number.

    Args:
        n_features: Width of the features.
        attribute: What it learns.
        place: Index of the attribute in `Batch.groups`.
        options: The method's options; the attribute's own take precedence.
        n_targets: Classes of the target.
        copies: How many such heads there are side by side.
    """

    def __init__(
        self,
        n_features: int,
        attribute: Attribute,
        place: int,
        *,
        options: Method.Options,
        n_targets: int = 2,
        copies: int = 1,
    ) -> None:
        own: Any = attribute.options or options
        super().__init__(n_features, copies * attribute.target.outputs, deep=own.deep_heads)
        self.name, self.target, self.place = attribute.name, attribute.target, place
        self.options = own
        weights, counts = weights_and_counts(attribute, n_targets)
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("counts", counts, persistent=False)
        self.weights: Tensor
        self.counts: Tensor

    def loss(self, outputs: Tensor, group: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the bias loss of outputs, (n, K) or (n, 1), with the attribute's values (n,)."""
        if self.target.kind == "number":
            return terms.number_loss(outputs, group)
        return terms.group_loss(outputs, group, self.weights if weights is None else weights)


class GroupMethod(Method):
    """A method with a group head (elsewhere called auxiliary head or adversary).

    With several attributes each has a head of its own; ``group_head`` is then the list of them.
    """

    uses_group = True
    moves_backbone = True

    @settings("[method]")
    class Options(Method.Options):
        """Options of every method with a group head."""

        has_group_head: ClassVar[bool] = True
        of_head: ClassVar[tuple[str, ...]] = ("deep_heads",)

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]
    group_head: nn.Module  # pyright: ignore[reportIncompatibleVariableOverride]

    def make_heads(self, n_features: int) -> tuple[nn.Module, nn.Module | None]:
        """Return the target head and a group head of K logits, or one for each attribute."""
        target_head, _ = super().make_heads(n_features)
        return target_head, self.make_group_heads(n_features)

    def make_group_heads(self, n_features: int, *, copies: int = 1) -> nn.Module:
        """Return a head for each attribute, each with so many copies side by side."""
        heads = [
            GroupHead(
                n_features,
                attribute,
                place,
                options=self.options,
                n_targets=self.n_targets,
                copies=copies,
            )
            for place, attribute in enumerate(self.attributes)
        ]
        return heads[0] if len(heads) == 1 else nn.ModuleList(heads)

    @property
    def heads(self) -> list[GroupHead]:
        """The group heads, one for each attribute."""
        several = isinstance(self.group_head, nn.ModuleList)
        return list(self.group_head) if several else [self.group_head]  # pyright: ignore[reportReturnType, reportArgumentType]

    def head_loss(self, head: GroupHead, features: Tensor, batch: Batch) -> Tensor:
        """Return the bias loss of one head on features, shape (n, n_features)."""
        return head.loss(head(features), batch.groups[head.place])

    def head_losses(
        self, features: Tensor, batch: Batch, *, strength: float = 1.0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum of the heads' losses, each reversed into the features, and its parts.

        Args:
            features: Shape (n, n_features).
            batch: Their batch.
            strength: Factor of every head's own reversal.
        """
        losses: dict[str, Tensor] = {}
        for head in self.heads:
            turned = reverse_gradient(features, head.options.reversal * strength)
            losses[f"group {head.name}"] = self.head_loss(head, turned, batch)
        total = functools.reduce(operator.add, losses.values())
        return total, losses if len(losses) > 1 else {}


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
