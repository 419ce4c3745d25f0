"""Backbones by name, heads, and the two ways a head's gradient is steered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from equiderm.errors import InputError

# The paper's five (section 3.4), each with the ImageNet weights that torchvision trained, or, for
# EfficientNet-B3, which the authors took from elsewhere, timm's own.
ALIASES = {
    "resnext101": "resnext101_32x8d.tv_in1k",
    "resnet101": "resnet101.tv_in1k",
    "densenet161": "densenet161.tv_in1k",
    "efficientnet_b3": "efficientnet_b3.ra2_in1k",
    "inception_v3": "inception_v3.tv_in1k",
}
# Its pooling layers leave no pixel of a much smaller image; it was trained at this size.
OWN_SIZE = {"inception_v3": 299}


@dataclass(frozen=True)
class Backbone:
    """A feature extractor and what it expects.

    Attributes:
        module: Maps images (n, 3, h, w) to features (n, n_features).
        n_features: Width of the features.
        mean: Channel means to subtract from images in [0, 1], as the weights were trained.
        std: Channel standard deviations to divide by.
    """

    module: nn.Module
    n_features: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def create_backbone(name: str, weights: str = "pretrained") -> Backbone:
    """Return a timm model without its classifier.

    Args:
        name: One of `ALIASES` or any timm model name.
        weights: ``pretrained`` (timm's download or cache), ``random``, or a file of weights of
            that timm model (safetensors, or a PyTorch file that holds only tensors).

    Raises:
        InputError: No such model, or weights that cannot be loaded.
    """
    import timm

    full_name = ALIASES.get(name, name)
    if full_name.split(".")[0] not in timm.list_models():
        near = ", ".join(timm.list_models(f"*{full_name.split('.')[0]}*")[:5])
        hint = f"; near it: {near}" if near else ""
        raise InputError(f"backbone {name!r}: no timm model of that name{hint}.")
    options: dict[str, Any] = {"pretrained": weights == "pretrained"}
    if weights not in ("pretrained", "random"):
        if not Path(weights).is_file():
            raise InputError(
                f"backbone weights {weights!r}: no such file; give 'pretrained', 'random' or a file."
            )
        options = {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights)}}
    try:
        module = timm.create_model(full_name, num_classes=0, **options)
    except Exception as error:
        if weights == "random":
            raise
        raise InputError(
            f"backbone {name!r}: the weights {weights!r} cannot be loaded "
            f"({str(error).splitlines()[0][:160]}); name a local file or use weights = 'random'."
        ) from error
    config: dict[str, Any] = module.pretrained_cfg  # pyright: ignore[reportAssignmentType]
    return Backbone(
        module=module,
        n_features=int(module.num_features),  # pyright: ignore[reportArgumentType]
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def make_head(
    n_features: int, n_outputs: int, *, deep: bool = False, dropout: float = 0.0
) -> nn.Module:
    """Return a head: one linear layer, or linear 128, ReLU, linear (section 4.4), after dropout."""
    if deep:
        layers = [nn.Linear(n_features, 128), nn.ReLU(), nn.Linear(128, n_outputs)]
    else:
        layers = [nn.Linear(n_features, n_outputs)]
    return nn.Sequential(nn.Dropout(dropout), *layers) if dropout else nn.Sequential(*layers)


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return grad * -ctx.factor, None


def reverse_gradient(x: Tensor, factor: float) -> Tensor:
    """Return ``x``, whose gradient is multiplied by ``-factor`` on the way back.

    A positive factor makes the features unlearn what the head after it learns; 0 cuts the
    gradient, so that the head learns alone; -1 is no reversal at all.

    Source:
        Ganin and Lempitsky 2015, Unsupervised domain adaptation by backpropagation, section 3.1.
    """
    return x.detach() if factor == 0 else _Reversal.apply(x, factor)  # pyright: ignore[reportReturnType]


def frozen(head: nn.Module, x: Tensor) -> Tensor:
    """Return ``head(x)`` with the head's weights held constant: the gradient reaches only ``x``."""
    constant = {name: value.detach() for name, value in head.named_parameters()}
    return torch.func.functional_call(head, constant, (x,))
