"""Checkpoints: safetensors files, each written whole or not at all, and the record of a run."""

from __future__ import annotations

import dataclasses
import errno
import json
import platform
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch
from torch import Tensor

from equiderm import __version__
from equiderm.batch import Target
from equiderm.data.manifest import file_sha256, manifest_hash
from equiderm.debias import Attribute, Method
from equiderm.debias.method import BINARY
from equiderm.errors import AnotherRun, InputError
from equiderm.files import AnyPath, read_json, write_whole
from equiderm.models import FEATURES, Backbone
from equiderm.page import table_block
from equiderm.records import brief, one_line
from equiderm.training.experiment import Experiment, read_experiment
from equiderm.training.features import bare_backbone
from equiderm.training.rows import READ, Rows

Kept = TypeVar("Kept")

_ELSEWHERE = "choose another folder"
_ABOUT = {"manifest", "fold", "groups", "group_weights", "processes"}
EXPERIMENT, RUN, MODEL, STATE = (
    "experiment.toml",
    "run.json",
    "model.safetensors",
    "state.safetensors",
)


@dataclass
class Position:
    """The position of a run in its training; saved with its weights.

    Attributes:
        epoch: Epochs done.
        batch: Batches of the next epoch done.
        sums: Sum of each loss over those batches.
        best: Highest validation figure so far.
        waited: Epochs since then.
        history: Mean losses and figures of every epoch done.
    """

    epoch: int = 0
    batch: int = 0
    sums: dict[str, float] = field(default_factory=dict[str, float])
    best: float | None = None
    waited: int = 0
    history: list[dict[str, float]] = field(default_factory=list[dict[str, float]])


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors, and ``about`` as JSON in the header, whole or not at all."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with write_whole(path) as temporary:
        try:
            save_file(plain, temporary, metadata={"equiderm": json.dumps(about)})
        except SafetensorError as error:
            full = "No space left" in str(error)
            raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what `save_tensors` wrote.

    Raises:
        InputError: No such file, or a damaged one.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("equiderm", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: no readable checkpoint ({error}); train again.") from error


def versions() -> dict[str, str]:
    """Return the versions that decide a run's arithmetic."""
    import numpy
    import timm
    import torchvision

    return {
        "equiderm": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "timm": timm.__version__,
        "numpy": numpy.__version__,
    }


def about_run(
    experiment: Experiment, rows: Rows, *, fold: int | None, processes: int
) -> dict[str, Any]:
    """Return the content of ``run.json`` when a run starts."""
    return {
        "method": experiment.method["name"],
        "seed": experiment.seed,
        "fold": fold,
        # The first column, by which rows are grouped; earlier versions read this one only.
        "group": experiment.data.columns[0],
        "groups": list(rows.groups),
        "group_weights": [float(weight) for weight in rows.group_weights],
        "attributes": [_about_attribute(attribute) for attribute in rows.attributes],
        "target": {"column": experiment.data.target, **asdict(rows.outcome)},
        "rows": {"training": len(rows.train), "validation": len(rows.validation)},
        "manifest": _rows_hash(rows.frame, experiment.data.read),
        "weights": weights_hash(experiment),
        "processes": processes,
        "versions": versions(),
    }


def _about_attribute(attribute: Attribute) -> dict[str, Any]:
    weights: Any = attribute.weights
    return {"column": attribute.name, **asdict(attribute.target), "weights": weights.tolist()}


def attributes_of(about: Mapping[str, Any]) -> list[Attribute]:
    """Return the group columns of a run from what ``run.json`` holds."""
    if "attributes" not in about:  # of an earlier version
        groups = Target("classes", tuple(about["groups"]))
        return [Attribute(about["group"], groups, torch.tensor(about["group_weights"]))]
    return [
        Attribute(saved["column"], _target_from(saved), torch.tensor(saved["weights"]))
        for saved in about["attributes"]
    ]


def target_of_run(about: Mapping[str, Any]) -> Target:
    """Return the target of a run from what ``run.json`` holds."""
    return _target_from(about["target"]) if "target" in about else BINARY


def _target_from(saved: Mapping[str, Any]) -> Target:
    return Target(saved["kind"], tuple(saved["names"]), saved["mean"], saved["std"])


def _rows_hash(frame: pd.DataFrame, columns: Sequence[str]) -> str:
    try:
        return manifest_hash(frame)
    except InputError:  # a column that training does not read holds what a manifest's cannot
        return manifest_hash(frame[[name for name in frame if name in READ or name in columns]])


def weights_hash(experiment: Experiment) -> str | None:
    """Return the SHA-256 of the file of initial weights; None where there is no such file.

    Raises:
        InputError: The file cannot be read.
    """
    weights = experiment.backbone.weights
    return None if weights in ("pretrained", "random") else file_sha256(weights)


def check_folder(out: Path, experiment: Experiment, about: Mapping[str, Any]) -> bool:
    """Return whether the run of a folder has finished; False for a free folder.

    Warns:
        UserWarning: A file of the run is damaged; it is trained again.

    Raises:
        AnotherRun: The folder holds a run of other settings or rows.
        InputError: It holds this one, with more or fewer processes.
    """
    if not (out / RUN).is_file():
        return False
    before = _or_damaged(lambda: read_about(out))
    stored = _or_damaged(lambda: read_experiment(out / EXPERIMENT))
    changed: list[str] = []
    if before is not None:
        changed += [key for key in ("manifest", "fold") if before.get(key) != about[key]]
        changed += ["table of features"] if before.get("features") != about.get("features") else []
    if stored is not None:
        if before and about["weights"] and before.get("weights"):
            if before["weights"] != about["weights"]:
                changed.append("file of initial weights")
            # a file of weights is known by its content, not by its path
            stored = dataclasses.replace(stored, backbone=experiment.backbone)
        if stored.to_toml() != experiment.to_toml():
            changed.append("experiment")
    if changed:
        raise AnotherRun(f"{out}: holds a run of another {changed[0]}; {_ELSEWHERE}.")
    if before is None or stored is None:
        return False
    if "history" in before:
        if _or_damaged(lambda: load_tensors(out / MODEL)) is None:
            return False
        if not _wrote(out, before):
            raise AnotherRun(f"{out}: holds weights that its run did not write; {_ELSEWHERE}.")
        return True
    if before.get("processes") != about["processes"]:
        raise InputError(
            f"{out}: was started with {before.get('processes')} processes; resume with as many, or "
            "choose another folder."
        )
    return False


def _wrote(directory: Path, about: Mapping[str, Any]) -> bool:
    """Return whether the weights are those that the run wrote; earlier versions do not say."""
    return about.get("model") in (None, file_sha256(directory / MODEL))


def _or_damaged(read: Callable[[], Kept]) -> Kept | None:
    """Return what a file of a run holds; None, with a warning, where it cannot be read."""
    try:
        return read()
    except InputError as error:
        what = str(error).rpartition("; ")[0] or str(error)
        warnings.warn(f"{what}; the run is trained again.", stacklevel=2)
        return None


def read_about(directory: Path) -> dict[str, Any]:
    """Return what ``run.json`` of a run's folder holds.

    Raises:
        InputError: It is empty, cut or damaged.
    """
    advice = "give the same train command again"
    about = read_json(directory / RUN, advice)
    whole = isinstance(about, dict) and about.keys() >= _ABOUT
    epochs = about.get("history", []) if whole else None
    if not isinstance(epochs, list) or not all(isinstance(epoch, dict) for epoch in epochs):
        raise InputError(f"{directory / RUN}: is not the record of a run; {advice}.")
    return about


@dataclass(frozen=True, repr=False)
class Run:
    """A finished training run, ready to predict.

    Attributes:
        directory: Its folder.
        experiment: As it ran, every default written out.
        about: ``run.json``: groups, their weights, seed, versions, manifest hash, history.
        backbone: The trained backbone, with its mean and standard deviation.
        method: The trained method, in evaluation mode.
    """

    directory: Path
    experiment: Experiment
    about: dict[str, Any]
    backbone: Backbone
    method: Method

    @property
    def attributes(self) -> list[Attribute]:
        """The group columns that it was trained with."""
        return attributes_of(self.about)

    @property
    def target(self) -> Target:
        """What it predicts."""
        return target_of_run(self.about)

    def require_binary(self, what: str) -> None:
        """Raise InputError unless the target is 0 or 1, which ``what`` needs."""
        if self.target.kind != "binary":
            raise InputError(
                f"{self.directory}: its target is of kind {self.target.kind}; {what} needs a "
                "binary one."
            )

    def __repr__(self) -> str:
        kept = {name: self.about.get(name) for name in ("method", "group", "groups", "seed")}
        parts = [f"{name}={brief(value)}" for name, value in kept.items()]
        history = self.about.get("history", [])
        return one_line("Run", [brief(self.directory), *parts, f"epochs={len(history)}"])

    def _repr_html_(self) -> str:
        return str(table_block(pd.DataFrame(self.about.get("history", [])), caption=repr(self)))


def load_run(directory: AnyPath) -> Run:
    """Return a run with its trained weights, on the CPU.

    Raises:
        InputError: Not a run, an unfinished run, or a run with a damaged file.
    """
    directory = Path(directory)
    if not (directory / RUN).is_file():
        raise InputError(f"{directory}: holds no training run; give the output of equiderm train.")
    about = read_about(directory)
    if "history" not in about:
        raise InputError(
            f"{directory}: this run has not finished; start the same train command again."
        )
    experiment = read_experiment(directory / EXPERIMENT)
    data, kind = experiment.data, target_of_run(about).kind
    column = about.get("target", {}).get("column", data.target)
    if (column, kind) != (data.target, data.target_kind):
        raise InputError(
            f"{directory}: {EXPERIMENT} has the target {data.target!r} of kind {data.target_kind}, "
            f"and {RUN} {column!r} of kind {kind}; they are of two runs: take both from one."
        )
    tensors, _ = load_tensors(directory / MODEL)
    try:
        backbone, method = _with_weights(experiment, about, tensors)
    except InputError:
        raise
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        remedy = "train again"
        if experiment.options.deep_heads and not experiment.options.deep_target_head:
            remedy = (
                "earlier versions deepened the target head with deep_heads, too: for a run of "
                "those, write deep_target_head = true below it"
            )
        raise InputError(
            f"{directory / MODEL}: its weights do not fit {EXPERIMENT} and {RUN}; {remedy}."
        ) from error
    if not _wrote(directory, about):
        raise InputError(
            f"{directory / MODEL}: is not what the run of {RUN} wrote; take both from one run, or "
            "train again."
        )
    return Run(directory, experiment, about, backbone, method)


def _with_weights(
    experiment: Experiment, about: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> tuple[Backbone, Method]:
    attributes, target = attributes_of(about), target_of_run(about)
    with torch.random.fork_rng(devices=[]):  # leaves the caller's generator as it was
        if experiment.backbone.name == FEATURES:
            mean, std = tensors["backbone.mean"], tensors["backbone.std"]
            backbone = bare_backbone(mean, std, experiment.backbone.units)
        else:
            backbone = experiment.build_backbone("random")
        method = experiment.build_method(
            backbone.module, backbone.n_features, attributes=attributes, target=target
        )
    method.load_state_dict(tensors)
    return backbone, method.eval()


def training_state(
    method: Method, optimizers: Mapping[str, torch.optim.Optimizer]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return weights, buffers and the optimisers' state: tensors by name, and the rest."""
    tensors = {f"method.{name}": tensor for name, tensor in method.state_dict().items()}
    rest: dict[str, Any] = {}
    for name, optimizer in optimizers.items():
        packed = optimizer.state_dict()
        plain: dict[str, dict[str, Any]] = {}
        for index, entry in packed["state"].items():
            for key, value in entry.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{name}.{index}.{key}"] = value
                else:
                    plain.setdefault(str(index), {})[key] = value
        rest[name] = {"groups": packed["param_groups"], "plain": plain}
    return tensors, rest


def tensors_of(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def restore_state(
    tensors: Mapping[str, Tensor],
    rest: Mapping[str, Any],
    method: Method,
    optimizers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """Put back what `training_state` returned."""
    method.load_state_dict(tensors_of("method.", tensors))
    for name, optimizer in optimizers.items():
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        state: dict[int, dict[str, Any]] = {
            int(index): dict(entry) for index, entry in rest[name]["plain"].items()
        }
        for key, value in tensors.items():
            kind, owner, *place = key.split(".")
            if (kind, owner) == ("optimizer", name):
                parameter = parameters[int(place[0])]
                if value.shape == parameter.shape:  # in its memory order, which fused steps need
                    value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
                state.setdefault(int(place[0]), {})[place[1]] = value
        optimizer.load_state_dict({"state": state, "param_groups": rest[name]["groups"]})


def random_state(device: torch.device) -> Tensor:
    """Return the state of torch's generators, CPU first, as bytes."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)


def restore_random_state(state: Tensor, device: torch.device) -> None:
    """Put back what `random_state` returned."""
    size = len(torch.get_rng_state())
    torch.set_rng_state(state[:size])
    if device.type == "cuda" and len(state) > size:
        torch.cuda.set_rng_state(state[size:], device)
