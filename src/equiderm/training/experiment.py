"""Experiment: everything that decides a training run, read from one TOML file."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import json
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from equiderm.debias import METHODS, GroupMethod, Method, Rates
from equiderm.errors import InputError


@dataclass(frozen=True)
class BackboneChoice:
    """``[backbone]``: a timm name or alias, and ``pretrained``, ``random`` or a weights file."""

    name: str = "resnext101"
    weights: str = "pretrained"


@dataclass(frozen=True)
class DataChoice:
    """``[data]``: which columns and rows of the manifest, at which size.

    Attributes:
        group: Column of the protected attribute, ``fitzpatrick_type`` (people judged it) or
            ``ita_band`` (computed), or any other.
        groups: Its values in order; K is their number. Those of the training rows where not given.
        size: Side of the square images, in pixels.
        train: Value of ``split`` that trains.
        validation: Value of ``split`` that is scored after every epoch.
        augmentation: ``none``, as published, or ``standard``: see `equiderm.training.pixels`.
    """

    group: str = "fitzpatrick_type"
    groups: tuple[str | int | float, ...] | None = None
    size: int = 256
    train: str = "train"
    validation: str = "validation"
    augmentation: Literal["none", "standard"] = "none"


@dataclass(frozen=True)
class OptimizerChoice(Rates):
    """``[optimizer]``: SGD as published; rates by what they move.

    Attributes:
        momentum: Momentum of every optimiser.
        zero_gradients: ``none`` clears gradients; ``zeros`` writes zeros, as torch did before 2.0,
            so that momentum moves the target head in the bias step, too.
        fused: One kernel for all parameters; the faster one, on GPUs most.
    """

    momentum: float = 0.9
    zero_gradients: Literal["none", "zeros"] = "none"
    fused: bool = True


@dataclass(frozen=True)
class TrainingChoice:
    """``[training]``: how long, in what batches, at what precision.

    Attributes:
        epochs: Passes over the training rows.
        batch_size: Images a step, over all processes together.
        drop_last: Leave out an epoch's last batch where it is smaller.
        precision: ``auto`` is bf16 on a GPU that has it and fp32 elsewhere.
        compile: Compile the backbone; worth its minutes on a GPU from some ten thousand steps.
        channels_last: Memory order of the convolutions; the faster one on GPUs.
        checkpoint_steps: Steps between two saved states from which a killed run goes on.
        tracker: Where losses are logged, through Accelerate.
    """

    epochs: int = 4
    batch_size: int = 64
    drop_last: bool = True
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    channels_last: bool = True
    checkpoint_steps: int = 500
    tracker: Literal["none", "tensorboard", "mlflow", "wandb"] = "tensorboard"


@dataclass(frozen=True)
class ValidationChoice:
    """``[validation]``: which weights are kept, and when to stop.

    Attributes:
        figure: ``none`` keeps the last weights, as published; ``auroc`` or ``worst_group_auroc``
            keeps those of the epoch where the figure is highest.
        patience: Epochs without a better figure after which training stops; 0 never stops.
        folds: Cross-validation by patient over the training rows; 0 for none.
    """

    figure: Literal["none", "auroc", "worst_group_auroc"] = "none"
    patience: int = 0
    folds: int = 0


@dataclass(frozen=True)
class PredictionChoice:
    """``[prediction]``: ``views`` 8 averages over the flips and transposes, as published."""

    views: Literal[1, 8] = 8


@dataclass(frozen=True)
class Experiment:
    """A training run, but for its data.

    Attributes:
        method: Name of the method, a key of `equiderm.debias.METHODS`, with its hyper-parameters:
            those that its constructor names.
        seed: Seed of weights, order, dropout and augmentation.
    """

    method: Mapping[str, Any] = field(default_factory=lambda: {"name": "erm"})
    seed: int = 0
    backbone: BackboneChoice = BackboneChoice()
    data: DataChoice = DataChoice()
    optimizer: OptimizerChoice = OptimizerChoice()
    training: TrainingChoice = TrainingChoice()
    validation: ValidationChoice = ValidationChoice()
    prediction: PredictionChoice = PredictionChoice()

    def __post_init__(self) -> None:
        """Check what the types cannot.

        Raises:
            InputError: An unknown method or hyper-parameter, or a value out of range.
        """
        name = self.method.get("name")
        if name not in METHODS:
            raise InputError(f"[method] name = {name!r}: give one of {', '.join(METHODS)}.")
        known = hyper_parameters(METHODS[name])
        for key, value in self.method.items():
            if key == "name":
                continue
            if key not in known:
                raise InputError(f"[method] {key}: {_unknown(key, known, f'{name} has')}")
            _checked(value, known[key].kind, f"[method] {key}")
        training, validation = self.training, self.validation
        for holds, message in (
            (training.epochs >= 1, "[training] epochs: give 1 or more."),
            (training.batch_size >= 1, "[training] batch_size: give 1 or more."),
            (training.checkpoint_steps >= 1, "[training] checkpoint_steps: give 1 or more."),
            (self.data.size >= 16, "[data] size: give 16 pixels or more."),
            (validation.folds == 0 or validation.folds >= 2, "[validation] folds: give 0, 2, ..."),
            (
                validation.patience == 0 or validation.figure != "none",
                "[validation] patience: needs a figure to watch, such as figure = 'auroc'.",
            ),
            (
                min(dataclasses.astuple(self.optimizer)[:3]) >= 0,
                "[optimizer] backbone, target_head, group_head: a learning rate is 0 or more.",
            ),
        ):
            if not holds:
                raise InputError(message)

    def build_method(self, backbone: Any, n_features: int, n_groups: int, weights: Any) -> Method:
        """Return the experiment's method around a backbone."""
        name = self.method["name"]
        options = {key: value for key, value in self.method.items() if key != "name"}
        if issubclass(METHODS[name], GroupMethod):
            options |= {"n_groups": n_groups, "group_weights": weights}
        try:
            return METHODS[name](backbone, n_features, **options)
        except ValueError as error:
            raise InputError(f"[method] {name}: {error}.") from error

    def to_toml(self) -> str:
        """Return the experiment with every default written out."""
        known = hyper_parameters(METHODS[self.method["name"]])
        defaults = {key: parameter.default for key, parameter in known.items()}
        tables = {"method": {"name": self.method["name"], **defaults, **self.method}}
        for choice in dataclasses.fields(self)[2:]:
            tables[choice.name] = dataclasses.asdict(getattr(self, choice.name))
        lines = [f"seed = {self.seed}"]
        for name, table in tables.items():
            lines += ["", f"[{name}]"]
            lines += [f"{k} = {json.dumps(v)}" for k, v in table.items() if v is not None]
        return "\n".join(lines) + "\n"


class HyperParameter(NamedTuple):
    """Type and default of a method's hyper-parameter."""

    kind: Any
    default: Any


def hyper_parameters(method: type[Method]) -> dict[str, HyperParameter]:
    """Return what a method's constructors accept, its parents' included, by name."""
    found: dict[str, HyperParameter] = {}
    for cls in reversed(method.__mro__):
        if issubclass(cls, Method) and "__init__" in vars(cls):
            hints = typing.get_type_hints(cls.__init__)
            for name, parameter in inspect.signature(cls.__init__).parameters.items():
                if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                    found[name] = HyperParameter(hints[name], parameter.default)
    return {k: v for k, v in found.items() if k not in ("n_groups", "group_weights")}


def read_experiment(path: Path) -> Experiment:
    """Return the experiment of a TOML file.

    Raises:
        InputError: No such file, not TOML, an unknown key, or a value of the wrong type; the
            message names the file and the key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file ({error}); correct that line.") from error
    try:
        return experiment_from(table)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def experiment_from(table: Mapping[str, Any]) -> Experiment:
    """Return the experiment of nested mappings, as a TOML file holds them."""
    return _build(Experiment, table, "")


def _build(cls: Callable[..., Any], table: Mapping[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            raise InputError(f"{where}{key}: {_unknown(key, hints, 'there is')}")
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                raise InputError(f"{key}: a table is expected; write [{key}].")
            values[key] = _build(typing.cast(Any, hint), value, f"[{key}] ")
        else:
            values[key] = _checked(value, hint, f"{where}{key}")
    return cls(**values)


def _checked(value: Any, hint: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in arguments or isinstance(value, bool):
            known = ", ".join(repr(item) for item in arguments)
            raise InputError(f"{where} = {value!r}: give one of {known}.")
        return value
    if origin in (types.UnionType, typing.Union):
        tuples = [item for item in arguments if typing.get_origin(item) is tuple]
        if isinstance(value, list) and tuples:
            return tuple(value)
        kinds = tuple(item for item in arguments if isinstance(item, type))
    elif origin is not None:
        if not isinstance(value, dict):
            raise InputError(f"{where} = {value!r}: a table is expected.")
        return value
    else:
        kinds = (hint,)
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(kind.__name__ for kind in kinds if kind is not types.NoneType)
        raise InputError(f"{where} = {value!r}: {names or 'a list'} is expected.")
    return value


def _unknown(key: str, known: Mapping[str, Any], intro: str) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"{intro} {', '.join(known)}."
    return f"unknown key; {hint}"
