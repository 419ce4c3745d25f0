"""A run as an estimator of skin tone, for `equiderm.tone.label`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from equiderm.data.manifest import file_sha256
from equiderm.errors import InputError
from equiderm.files import AnyPath
from equiderm.models import FEATURES
from equiderm.records import brief, one_line
from equiderm.tone.learned import Scale, columns_of
from equiderm.training.checkpoint import EXPERIMENT, MODEL, RUN, Run, load_run
from equiderm.training.pixels import ArrayImages
from equiderm.training.predict import predict, score_columns


class ToneModel:
    """Finished runs whose targets are skin tone: types in their order, or numbers.

    Args:
        runs: Their folders: one with an ordered target, such as ``fitzpatrick_type``, whose classes
            become bands; or several with numbers, where ``ita``, ``L``, ``a`` and ``b`` become the
            skin's colour.

    Attributes:
        digest: SHA-256 of the runs' files.
        scales: What each run estimates.

    Raises:
        InputError: No finished run, one on features, a target of another kind, or two runs that
            estimate the same.
    """

    def __init__(self, *runs: AnyPath) -> None:
        self._folders = [Path(run).absolute() for run in runs]
        if not runs:
            raise InputError("a model of skin tone needs a run; give its folder.")
        self.scales = tuple(_scale(run) for run in self._runs)
        files = [folder / name for folder in self._folders for name in (EXPERIMENT, RUN, MODEL)]
        self.digest = hashlib.sha256("".join(map(file_sha256, files)).encode()).hexdigest()
        _ = columns_of(self)

    def __repr__(self) -> str:
        return one_line("ToneModel", [f"{s.column}={brief(s.names)}" for s in self.scales])

    def __getstate__(self) -> dict[str, Any]:
        """Return what a worker process needs: it reads the weights itself."""
        return {name: value for name, value in vars(self).items() if name != "_runs"}

    @cached_property
    def _runs(self) -> list[Run]:
        return [load_run(folder) for folder in self._folders]

    def estimate(self, picture: Callable[[int], NDArray[np.uint8]]) -> list[NDArray[np.float64]]:
        """Return what `predict` gives for one photograph: a distribution or a number per run.

        Args:
            picture: Returns its central square, uint8 sRGB, for a given side in pixels.
        """
        frame, estimates = pd.DataFrame({"image_id": ["0"]}), []
        for run in self._runs:
            square = ArrayImages(picture(run.experiment.data.size)[None], ["0"])
            columns = score_columns(run.target)
            wanted = columns if run.target.kind == "number" else columns[:-1]
            scored = predict(run, square, frame)[wanted]
            estimates.append(scored.to_numpy(np.float64)[0])
        return estimates


def _scale(run: Run) -> Scale:
    column, kind = run.experiment.data.target, run.target.kind
    if run.experiment.backbone.name == FEATURES:
        raise InputError(
            f"{run.directory}: was trained on features, not on pictures; label photographs with a "
            "run on images."
        )
    if kind not in ("ordered", "number"):
        raise InputError(
            f"{run.directory}: its target {column!r} is of kind {kind}; a scale of tone has an "
            "order: train with [data] target_kind = 'ordered', or 'number' for a measured one."
        )
    return Scale(column, tuple(map(str, run.target.names)))
