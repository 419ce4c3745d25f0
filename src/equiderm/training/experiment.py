"""Experiment: everything that decides a training run, read from one TOML file."""

from __future__ import annotations

import contextlib
import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field, TypeAdapter

from equiderm.batch import Kind, Target
from equiderm.debias import METHODS, Attribute, Method, Rates, find_method, installed_names
from equiderm.debias.method import BINARY
from equiderm.debias.settings import Count, Listed, NonNegative, Share, settings
from equiderm.debias.two_steps import TwoSteps
from equiderm.errors import InputError
from equiderm.files import AnyPath
from equiderm.models import FEATURES, OWN_SIZE, Backbone, check_backbone, create_backbone
from equiderm.training.ranges import check_ranges


@settings("[backbone]")
class BackboneChoice:
    """``[backbone]``: a timm name or alias, and where its weights come from.

    Attributes:
        name: A key of `equiderm.models.ALIASES`, or any timm model.
        weights: ``pretrained``, ``random``, or a file of that timm model, relative to the folder of
            the experiment file.
        img_size: Side of the images that the network is built for, in pixels, for one that has a
            fixed size, such as a vision transformer; images of another size are resized to it.
        dynamic_img_size: Let a vision transformer take any size, its positions interpolated.
        freeze: Leave the backbone as it is: neither its weights nor its batch statistics move, and
            it computes as in evaluation; only the heads learn.
        units: With ``name = "features"`` only: width of a layer that learns, between the features
            and the heads, for the methods that move the backbone.
    """

    name: str = "resnext101"
    weights: str = "pretrained"
    img_size: Annotated[int, Field(ge=16)] | None = None
    dynamic_img_size: bool = False
    freeze: bool = False
    units: Annotated[int, Field(ge=1)] | None = None

    @property
    def moves(self) -> bool:
        """Return whether training moves any of its weights."""
        return not self.freeze and (self.name != FEATURES or self.units is not None)


def _each_once(values: Sequence[object], least: int) -> bool:
    """Return whether there are ``least`` values or more, each once and none of them NaN."""
    return len({str(value) for value in values} - {"nan"}) >= max(len(values), least)


@settings("[data]")
class DataChoice:
    """``[data]``: which columns and rows of the manifest, at which size.

    Attributes:
        group: Column of the protected attribute, ``fitzpatrick_type`` (people judged it) or
            ``ita_band`` (computed), or any other; or a list of several.
        groups: Its values in order; K is their number. Those of the training rows where not given.
        numbers: Those columns of ``group`` that are measured numbers, not groups.
        target: Column of what is learned.
        target_kind: ``binary``, 0 or 1; ``classes``; ``ordered``, classes that have an order;
            ``number``, a measured one.
        targets: The classes' values in order, the lowest first; those of the training rows, sorted,
            where not given.
        size: Side of the square images, in pixels.
        train: Value of ``split`` that trains.
        validation: Value of ``split`` that is scored after every epoch.
        augmentation: ``none``, as published, or ``standard``: see `equiderm.training.augmentation`.
    """

    group: str | Annotated[tuple[str, ...], Listed] = "fitzpatrick_type"
    groups: Annotated[tuple[str | int | float, ...], Listed] | None = None
    numbers: Annotated[tuple[str, ...], Listed] = ()
    target: str = "target"
    target_kind: Kind = "binary"
    targets: Annotated[tuple[str | int | float, ...], Listed] | None = None
    size: Annotated[int, Field(ge=16)] = 256
    train: str = "train"
    validation: str = "validation"
    augmentation: Literal["none", "standard"] = "none"

    def __post_init__(self) -> None:
        """Check what the types cannot."""
        if self.groups is not None and not _each_once(self.groups, 1):
            raise InputError(f"[data] groups = {list(self.groups)}: give each group once.")
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise InputError(f"[data] group = {list(self.columns)}: give each column once.")
        if self.groups is not None and (len(self.columns) > 1 or self.numbers):
            raise InputError("[data] groups: lists the groups of one column; leave it out.")
        if self.targets is not None and self.target_kind in ("binary", "number"):
            raise InputError(
                "[data] targets: lists the values of classes; take target_kind = 'classes' or "
                "'ordered', or leave it out."
            )
        if self.targets is not None and not _each_once(self.targets, 2):
            raise InputError(
                f"[data] targets = {list(self.targets)}: give two classes or more, each once."
            )
        if self.train == self.validation:
            raise InputError(
                f"[data] validation = {self.validation!r}: is the split that trains; name another."
            )
        if other := sorted(set(self.numbers) - set(self.columns)):
            raise InputError(f"[data] numbers = {other}: is not a column of [data] group.")

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that training reads for the experiment: those of the group, the target."""
        return (*self.columns, self.target)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of ``group``."""
        return (self.group,) if isinstance(self.group, str) else self.group


@settings("[optimizer]")
class OptimizerChoice(Rates):
    """``[optimizer]``: SGD as published, or AdamW; rates by what they move.

    Attributes:
        name: ``sgd`` or ``adamw``.
        momentum: Momentum of every SGD, below 1.
        weight_decay: Weight decay of every optimiser, as torch defines it for each.
        schedule: ``constant``, as published, or ``cosine``: every rate falls to 0 along half a
            cosine, see `equiderm.training.schedule`.
        warmup: Share of the steps over which the rates first rise from 0, in [0, 1).
        clip: Largest norm of the gradient of all that an update steps; a larger one is scaled down
            to it. 0 leaves gradients as they are.
        zero_gradients: ``none`` clears gradients; ``zeros`` writes zeros, as torch did before 2.0,
            so that momentum moves the target head in the bias step, too.
        fused: One kernel for all parameters; the faster one, on GPUs most.
    """

    name: Literal["sgd", "adamw"] = "sgd"
    momentum: Share = 0.9
    weight_decay: NonNegative = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: Share = 0.0
    clip: NonNegative = 0.0
    zero_gradients: Literal["none", "zeros"] = "none"
    fused: bool = True


@settings("[training]")
class TrainingChoice:
    """``[training]``: how long, in what batches, at what precision.

    Attributes:
        epochs: Passes over the training rows.
        batch_size: Images per step, over all processes together.
        accumulate: Parts into which a batch is cut. They go through the network one after another,
            and their gradients are summed before a step; for batches that do not fit the memory.
            Batch statistics, and the weights of a group's loss, are then each part's own.
        drop_last: Leave out an epoch's last batch where it is smaller.
        precision: ``auto`` is bf16 on a GPU that has it and fp32 elsewhere.
        compile: Compile the backbone; worth its minutes on a GPU from some ten thousand steps.
        cuda_graph: Replay the backbone's passes on a GPU as recorded at the first step, in place of
            launching their kernels one by one; off for a backbone that decides anew at every step.
        channels_last: Memory order of the convolutions; the faster one on GPUs.
        average: Decay of an exponential moving average of the weights, such as 0.999, which is
            then what is validated, kept and scored; 0 keeps the last weights. See
            `equiderm.training.averaging`.
        checkpoint_steps: Steps between two saved states, from which an interrupted run resumes.
        tracker: Where losses are logged, through Accelerate.
    """

    epochs: Count = 4
    batch_size: Count = 64
    accumulate: Count = 1
    drop_last: bool = True
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    cuda_graph: bool = True
    channels_last: bool = True
    average: Share = 0.0
    checkpoint_steps: Count = 500
    tracker: Literal["none", "tensorboard", "mlflow", "wandb"] = "tensorboard"

    def __post_init__(self) -> None:
        """Check what the types cannot."""
        if self.accumulate > self.batch_size:
            raise InputError(
                f"[training] accumulate = {self.accumulate}: a batch of {self.batch_size} images "
                "has no more parts than that."
            )


@settings("[validation]")
class ValidationChoice:
    """``[validation]``: which weights are kept, and when to stop.

    Attributes:
        figure: ``none`` keeps the last weights, as published; ``auroc``, ``worst_group_auroc``
            or ``spearman`` keeps those of the epoch where the figure is highest. For several
            classes ``auroc`` is the mean over them, each against the rest; ``spearman`` is for
            ordered classes and numbers, ``worst_group_auroc`` for two classes.
        least: Positives, and negatives, that a group must have among the validation rows to count
            in ``worst_group_auroc``; the lowest of noisy figures is mostly the noisiest.
        patience: Epochs without a better figure after which training stops; 0 never stops.
        folds: Cross-validation by patient over the training rows; 0 for none.
    """

    figure: Literal["none", "auroc", "worst_group_auroc", "spearman"] = "none"
    least: Count = 10
    patience: Annotated[int, Field(ge=0)] = 0
    folds: Annotated[int, Field(ge=0)] = 0

    def __post_init__(self) -> None:
        """Check what the types cannot."""
        if self.folds == 1:
            raise InputError("[validation] folds = 1: give 2 or more, or 0 for none.")
        if self.patience and self.figure == "none":
            raise InputError(
                "[validation] patience: needs a figure to watch, such as figure = 'auroc'."
            )


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):  # which equals 1, also for pydantic
        raise InputError(f"[prediction] views = {value}: give 1 or 8.")
    return value


@settings("[prediction]")
class PredictionChoice:
    """``[prediction]``: ``views`` 8 averages over the flips and transposes, as published."""

    views: Annotated[Literal[1, 8], BeforeValidator(_no_bool)] = 8


TABLES: dict[str, type] = {
    "backbone": BackboneChoice,
    "data": DataChoice,
    "optimizer": OptimizerChoice,
    "training": TrainingChoice,
    "validation": ValidationChoice,
    "prediction": PredictionChoice,
}


@settings("")
class Experiment:
    """A training run, except its data.

    Attributes:
        method: Name of the method, see `equiderm.debias.find_method`, with its options that differ
            from the defaults; with several group columns a table named after a column holds the
            options of that column's head.
        seed: Seed of weights, order, dropout and augmentation.
        search: Ranges of settings by table and key, from which ``equiderm compare --search`` draws:
            a list of choices, or ``low`` and ``high`` of a `equiderm.training.ranges.Range`. They
            do not affect a single run, and are not part of its record.

    Raises:
        InputError: An unknown key or method, or a value of the wrong type or out of range.
    """

    method: Mapping[str, Any] = field(default_factory=lambda: {"name": "erm"})
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    backbone: BackboneChoice = BackboneChoice()
    data: DataChoice = DataChoice()
    optimizer: OptimizerChoice = OptimizerChoice()
    training: TrainingChoice = TrainingChoice()
    validation: ValidationChoice = ValidationChoice()
    prediction: PredictionChoice = PredictionChoice()
    search: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """Check the method's name and options, and the ranges."""
        name = self.method.get("name")
        method, backbone = find_method(name), self.backbone
        _ = self.options
        for column in self.data.columns:
            _ = self.options_of(column)
        if method.uses_group and self.data.target in self.data.columns:
            raise InputError(
                f"[data] group = {self.data.target!r}: is the target, which {name} would be given "
                "as the group too; name another column."
            )
        on_features = backbone.name == FEATURES
        if backbone.units is not None and (backbone.freeze or not on_features):
            with_what = "freeze" if on_features else f"name = {backbone.name!r}"
            raise InputError(
                "[backbone] units: a layer that learns on features, which does not go with "
                f"{with_what}; leave one of them out."
            )
        if on_features and method.uses_pictures:
            raise InputError(
                f"[method] {name}: changes pictures, and the experiment is on features; "
                "name a network in [backbone]."
            )
        if method.moves_backbone and not backbone.moves:
            heads = ", ".join(key for key, kind in METHODS.items() if not kind.moves_backbone)
            instead = (
                "give [backbone] units = 64, a layer that learns"
                if on_features
                else "leave freeze out"
            )
            raise InputError(
                f"[method] {name}: needs a backbone that learns; {instead}, or take one of {heads}."
            )
        check_ranges(self)

    @property
    def side(self) -> int:
        """Side of the images as the backbone gets them, in pixels."""
        own = OWN_SIZE.get(self.backbone.name.split(".")[0])
        return own or self.backbone.img_size or self.data.size

    @property
    def options(self) -> Method.Options:
        """The method's options, defaults included."""
        heads = self._own_tables
        given = {k: value for k, value in self.method.items() if k != "name" and k not in heads}
        return METHODS[self.method["name"]].Options(**given)

    @property
    def _own_tables(self) -> dict[str, Mapping[str, Any]]:
        """Tables of ``[method]`` by the column whose group head they are for."""
        tables = {name: self.method.get(name) for name in self.data.columns}
        return {name: dict(table) for name, table in tables.items() if isinstance(table, Mapping)}

    def options_of(self, column: str) -> Method.Options:
        """Return the options of a column's group head: the method's, changed by its own table.

        Raises:
            InputError: A key that is not a setting of a head, or a method that shares no steps.
        """
        own = dict(self._own_tables.get(column, {}))
        if not own:
            return self.options
        name = own.pop("name", self.method["name"])
        method, kind = find_method(self.method["name"]), find_method(name)
        if not method.Options.has_group_head:
            raise InputError(f"[method.{column}]: {self.method['name']} has no group head.")
        if method is not kind and not (issubclass(method, TwoSteps) and issubclass(kind, TwoSteps)):
            pairs = ", ".join(key for key, one in METHODS.items() if issubclass(one, TwoSteps))
            raise InputError(
                f"[method.{column}] name = {name!r}: does not go with {self.method['name']}; only "
                f"{pairs} can be combined."
            )
        if unknown := sorted(own.keys() - set(kind.Options.of_head)):
            raise InputError(
                f"[method.{column}] {unknown[0]}: is not a setting of a group head of {name}; "
                f"those are {', '.join(kind.Options.of_head)}."
            )
        rest = dataclasses.asdict(self.options) if kind is method else {}
        return kind.Options(**{**rest, **own})

    def build_optimizers(self, method: Method) -> dict[str, torch.optim.Optimizer]:
        """Return the method's optimisers, with the experiment's rates and options."""
        choice = self.optimizer
        return method.optimizers(
            choice,
            name=choice.name,
            momentum=choice.momentum,
            weight_decay=choice.weight_decay,
            fused=choice.fused,
        )

    def build_method(
        self,
        backbone: Any,
        n_features: int,
        n_groups: int = 0,
        weights: Any = None,
        counts: Any = None,
        *,
        attributes: Sequence[Attribute] = (),
        target: Target = BINARY,
    ) -> Method:
        """Return the experiment's method around a backbone.

        Args:
            backbone: Maps images to features.
            n_features: Width of the features.
            n_groups: K.
            weights: Weight of each group in the bias loss, shape (K,).
            counts: Training images of each target and group, shape (2, K).
            attributes: The group columns, in place of the three above.
            target: What is learned.
        """
        name, options = self.method["name"], dataclasses.asdict(self.options)
        if METHODS[name].uses_group:
            groups = Target("classes", tuple(range(n_groups)))
            attributes = attributes or [Attribute(self.data.columns[0], groups, weights, counts)]
            first = attributes[0]
            options |= {"n_groups": first.n_groups}  # for methods of other packages that take these
            options |= {"group_weights": first.weights, "counts": first.counts}
            options["attributes"] = [
                dataclasses.replace(attribute, options=self.options_of(attribute.name))
                for attribute in attributes
            ]
        if target.kind != "binary":
            options["target"] = target
        try:
            return METHODS[name](backbone, n_features, **options)
        except ValueError as error:
            raise InputError(f"[method] {name}: {error}.") from error

    def build_backbone(self, weights: str | None = None) -> Backbone:
        """Return the experiment's backbone, with other weights where they are named."""
        choice = self.backbone
        return create_backbone(
            choice.name,
            weights or choice.weights,
            img_size=choice.img_size,
            dynamic_img_size=choice.dynamic_img_size,
        )

    def check_backbone(self) -> None:
        """Raise InputError unless the backbone exists, with its weights, and takes the images."""
        choice = self.backbone
        check_backbone(
            choice.name,
            choice.weights,
            side=self.side,
            img_size=choice.img_size,
            dynamic_img_size=choice.dynamic_img_size,
        )

    def to_toml(self) -> str:
        """Return the experiment as TOML with every default written out, without ``[search]``."""
        import tomli_w

        method = {"name": self.method["name"], **dataclasses.asdict(self.options)}
        for column, own in self._own_tables.items():
            options = self.options_of(column)
            method[column] = {"name": own.get("name", method["name"])} | {
                key: getattr(options, key) for key in options.of_head
            }
        tables = {name: dataclasses.asdict(getattr(self, name)) for name in TABLES}
        known = {
            name: {key: value for key, value in table.items() if value is not None}
            for name, table in {"method": method, **tables}.items()
        }
        return tomli_w.dumps({"seed": self.seed, **known})


def read_experiment(path: AnyPath) -> Experiment:
    """Return the experiment of a TOML file.

    Raises:
        InputError: No such file, not TOML, an unknown key, or a value of the wrong type or out of
            range; the message names the file and the key.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # as Windows' Notepad writes it
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name.") from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, a number of 5,000 digits
        raise InputError(f"{path}: not a TOML file ({error}); correct that line.") from error
    try:
        read = experiment_from(table)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    beside = path.absolute().parent / read.backbone.weights
    if read.backbone.weights in ("pretrained", "random") or not beside.is_file():
        return read
    return dataclasses.replace(
        read, backbone=dataclasses.replace(read.backbone, weights=str(beside))
    )


def experiment_from(table: Mapping[str, Any]) -> Experiment:
    """Return the experiment of nested mappings, as a TOML file holds them."""
    values: dict[str, Any] = dict(table)
    for name in (*TABLES, "method", "search"):
        if name in values and not isinstance(values[name], Mapping):
            raise InputError(f"{name} = {values[name]!r}: a table is expected; write [{name}].")
        if name in values and name in TABLES:
            values[name] = TABLES[name](**values[name])
    return Experiment(**values)


def experiment_schema() -> dict[str, Any]:
    """Return the JSON Schema of an experiment file: types, ranges, defaults, each method's keys."""
    schema = TypeAdapter(Experiment).json_schema()
    methods: list[dict[str, Any]] = []
    for name in installed_names():
        with contextlib.suppress(InputError):  # leaves out a package that is broken
            find_method(name)
    for name, method in METHODS.items():
        options = TypeAdapter(method.Options).json_schema()
        named = {"name": {"const": name}, **options["properties"]}
        if method.Options.of_head:  # tables of group columns
            options["additionalProperties"] = {"type": "object"}
        methods.append({**options, "title": name, "properties": named, "required": ["name"]})
    schema["properties"]["method"] = {"oneOf": methods, "default": {"name": "erm"}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
