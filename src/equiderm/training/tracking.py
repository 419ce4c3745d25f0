"""Where losses are logged: TensorBoard, MLflow or Weights & Biases, through Accelerate."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers

from equiderm.errors import InputError, reason_of
from equiderm.training.experiment import Experiment


def check_tracker(name: str) -> None:
    """Raise InputError unless the package of a tracker is installed; ``none`` needs none.

    Accelerate itself would train without logging.
    """
    if name != "none" and name not in map(str, get_available_trackers()):
        raise InputError(
            f"[training] tracker = {name!r}: is not installed; pip install {name}, or take another."
        )


@contextlib.contextmanager
def tracking(accelerator: Accelerator, experiment: Experiment, out: Path) -> Generator[None]:
    """Log what `Accelerator.log` is given, from the first process, while the context is open.

    TensorBoard writes to ``log`` in the run's folder; the experiment is beside it. The others get a
    run of the project ``equiderm`` that holds the experiment, where the user's settings of MLflow
    or Weights & Biases say.

    Raises:
        InputError: The tracker cannot start: no server, no login.
    """
    name = experiment.training.tracker
    local = name == "tensorboard"
    options = {"mlflow": {"run_name": str(out)}, "wandb": {"name": str(out), "dir": str(out)}}
    if name != "none" and accelerator.is_main_process:
        try:
            accelerator.init_trackers(
                "log" if local else "equiderm",
                config=None if local else _flat(experiment),
                init_kwargs=options,
            )
        except Exception as error:
            raise InputError(
                f"[training] tracker = {name!r}: cannot start ({reason_of(error)}); set it up, or "
                "take another."
            ) from error
    with _once() if local else contextlib.nullcontext():
        try:
            yield
        finally:
            for tracker in accelerator.trackers:  # not end_training, which ends the process group
                tracker.finish()


@contextlib.contextmanager
def _once() -> Generator[None]:
    """Print no traceback of a thread that cannot write: TensorBoard raises its error again."""
    usual = threading.excepthook
    threading.excepthook = lambda args: None if issubclass(args.exc_type, OSError) else usual(args)
    try:
        yield
    finally:
        threading.excepthook = usual


def _flat(experiment: Experiment) -> dict[str, Any]:
    """Return the experiment's values by ``table.key``."""
    flat: dict[str, Any] = {}
    for name, table in dataclasses.asdict(experiment).items():
        flat |= (
            {f"{name}.{k}": v for k, v in table.items()}
            if isinstance(table, dict)
            else {name: table}
        )
    return {key: str(v) if isinstance(v, tuple | list) else v for key, v in flat.items()}
