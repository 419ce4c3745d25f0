"""Export: a run as one file that other software runs, its preprocessing inside."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from equiderm.batch import Target
from equiderm.debias.terms import scores_of
from equiderm.errors import InputError, reason_of
from equiderm.files import AnyPath, write_whole
from equiderm.models import FEATURES
from equiderm.training.checkpoint import Run, load_run
from equiderm.training.pixels import ArrayImages, Pixels, dihedral_views, normalise
from equiderm.training.predict import target_logits, target_scores

ENDINGS = (".onnx", ".pt2")
PARITY = 1e-4  # largest difference from predict; relative for logits beyond -1 to 1
CHECKED = 32  # images on which an export is checked
OPSET = 18  # the first whose Resize has antialiasing
USE = "Research and assessment; not for diagnosis."

Scorer = Callable[[NDArray[np.uint8]], tuple[NDArray[Any], NDArray[Any]]]


class Network(nn.Module):
    """A run as one network: sRGB pictures in, logit and score out, as `predict` gives them.

    Inside: the resize from ``[data] size`` to the backbone's own where they differ, division by
    255, the backbone's mean and standard deviation, the eight views where the run has them, the
    backbone, the target head, what turns its logits into scores, and the means over the views.

    Args:
        run: A finished run on images.

    Raises:
        InputError: A run on features, which has no pictures to start from.
    """

    def __init__(self, run: Run) -> None:
        if run.experiment.backbone.name == FEATURES:
            raise InputError(
                f"{run.directory}: was trained on features, not on pictures; export the network "
                "that computes them, or train on images."
            )
        super().__init__()
        self.target = run.target
        self.method = run.method.eval()
        self.size, self.side = run.experiment.data.size, run.experiment.side
        self.views = run.experiment.prediction.views
        self.register_buffer("mean", torch.tensor(run.backbone.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(run.backbone.std).view(1, 3, 1, 1))
        self.mean: Tensor
        self.std: Tensor

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return logit and score, float32, of images (n, size, size, 3) in 0 to 255.

        Of a binary target both have the shape (n,). Of several classes the score is (n, C), the
        probability of each; of a number it is the number, (n,), and the logit is standardised.
        """
        pixels = image.permute(0, 3, 1, 2).float()
        pixels = normalise(pixels, self.mean, self.std, side=self.side)
        if self.views == 8:  # one pass over all views: the graph holds the backbone once
            pixels = torch.cat(dihedral_views(pixels))
        logits = self.method(pixels)
        scores = scores_of(self.target, logits)
        if self.target.kind in ("binary", "number"):
            logits, scores = logits.flatten(), scores.flatten()
        return self._mean(logits), self._mean(scores)

    def _mean(self, values: Tensor) -> Tensor:
        return values.view(self.views, -1, *values.shape[1:]).mean(0)


@dataclass(frozen=True)
class Export:
    """A file written by `export`.

    Attributes:
        path: Its path.
        images: Number of images on which it was compared with `predict`.
        logit: Largest difference of a logit, relative where the logit is beyond -1 to 1.
        score: Largest difference of a score.
    """

    path: Path
    images: int
    logit: float
    score: float


def export(run: AnyPath | Run, path: AnyPath, images: NDArray[np.uint8]) -> Export:
    """Write a run as ONNX or as a program of torch.export, and compare it with `predict`.

    The file is read back and scores the images, one by one and all at once; it is kept only where
    every logit and score is within ``PARITY`` of those of `predict` on the CPU in fp32.

    Args:
        run: A finished run on images, or its folder.
        path: ``.onnx`` or ``.pt2``.
        images: uint8 sRGB, shape (n, size, size, 3); photographs as
            `equiderm.photo.load_square` reads them are the best check.

    Raises:
        InputError: A run on features, another ending, a library that is not installed, a network
            that cannot be exported, or one whose file does not give the run's scores.
    """
    run, path = run if isinstance(run, Run) else load_run(run), Path(path)
    check_export_path(path)
    network = Network(run).cpu()
    expected = _predicted(run, images)
    write, read = (_write_onnx, _read_onnx) if path.suffix == ".onnx" else (_write_pt2, _read_pt2)
    with write_whole(path) as temporary:
        try:
            with _quiet():
                write(network, temporary, describe(run))
                scorer = read(temporary)
        except (InputError, OSError, KeyboardInterrupt):
            raise
        except Exception as error:  # exporters raise errors of many kinds
            raise InputError(
                f"{path}: this network cannot be exported ({reason_of(error)}); try the other "
                f"format, {' or '.join(ENDINGS)}."
            ) from error
        logit, score = _largest_differences(scorer, images, expected)
        if not max(logit, score) <= PARITY:
            raise InputError(
                f"{path}: the exported network differs from predict by {logit:.2g} in the logit "
                f"and {score:.2g} in the score, more than {PARITY:g}; it is not written."
            )
    return Export(path, len(images), logit, score)


def check_export_path(path: Path) -> None:
    """Raise InputError unless a path ends as an export does and its format can be written."""
    from importlib.util import find_spec

    if path.suffix not in ENDINGS:
        raise InputError(f"{path}: name a file that ends in {' or '.join(ENDINGS)}.")
    if path.suffix == ".onnx":
        needed = ("onnx", "onnxscript", "onnxruntime")
        missing = [name for name in needed if find_spec(name) is None]
        if missing:
            raise InputError(f"{missing[0]} is not installed; run: pip install 'equiderm[export]'")


def describe(run: Run) -> dict[str, str]:
    """Return the metadata of an exported file: text by key."""
    experiment, about = run.experiment, run.about
    return {
        "input": f"image: uint8 sRGB, shape (n, {experiment.data.size}, {experiment.data.size}, 3)",
        "output": _outputs(run.target),
        "target": json.dumps({"column": experiment.data.target, **asdict(run.target)}),
        "use": USE,
        "method": experiment.method["name"],
        "backbone": experiment.backbone.name,
        "views": str(experiment.prediction.views),
        "group": str(about["group"]),
        "groups": json.dumps(about["groups"]),
        "seed": str(about.get("seed")),
        "manifest": str(about["manifest"]),
        "versions": json.dumps(about.get("versions", {})),
    }


def _outputs(target: Target) -> str:
    if target.kind == "number":
        return "logit, standardised, and score, the number: float32, shape (n,)"
    if target.kind == "binary":
        return "logit, score: float32, shape (n,)"
    k = len(target.names)
    return f"logit: float32, shape (n, {target.outputs}); score: float32, shape (n, {k})"


def _predicted(run: Run, images: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return logit and score as `predict` computes them, on the CPU in fp32."""
    store = ArrayImages(images, [str(n) for n in range(len(images))])
    cpu = torch.device("cpu")
    pixels = Pixels(store, run.experiment, run.backbone, device=cpu)
    views = run.experiment.prediction.views
    method, rows = run.method.to(cpu), np.arange(len(images))
    logit, score = target_logits(method, pixels, rows, views=views)
    if run.target.kind != "binary":
        score = target_scores(method, pixels, rows, views=views)
    if run.target.kind == "number":
        return logit.squeeze(1), score.squeeze(1)
    return logit, score


def _largest_differences(
    scorer: Scorer, images: NDArray[np.uint8], expected: tuple[NDArray[Any], NDArray[Any]]
) -> tuple[float, float]:
    """Return the largest difference of logits and of scores, of one image and of all at once.

    It is relative where the expected value is beyond -1 to 1: fp32 has seven digits.
    """
    single, batch = scorer(images[:1]), scorer(images)
    largest: list[float] = []
    for first, every, values in zip(single, batch, expected, strict=True):
        wanted = np.concatenate([values[:1], values])
        off = np.abs(np.concatenate([first, every]) - wanted) / np.maximum(np.abs(wanted), 1)
        largest.append(float(off.max()))
    return largest[0], largest[1]


def _example(network: Network) -> tuple[Tensor]:
    return (torch.zeros(2, network.size, network.size, 3, dtype=torch.uint8),)


def _shapes() -> dict[str, Any]:
    return {"image": {0: torch.export.Dim("n", min=1)}}


def _write_pt2(network: Network, path: Path, about: dict[str, str]) -> None:
    program = torch.export.export(network, _example(network), dynamic_shapes=_shapes())
    whole = io.BytesIO()  # into a file, torch aborts the process where the disk is full
    torch.export.save(program, whole, extra_files={"equiderm.json": json.dumps(about)})
    path.write_bytes(whole.getbuffer())


def _read_pt2(path: Path) -> Scorer:
    module: Any = torch.export.load(path).module()

    def score(images: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        with torch.inference_mode():
            logit, score = module(torch.from_numpy(images))
        return logit.numpy(), score.numpy()

    return score


def _write_onnx(network: Network, path: Path, about: dict[str, str]) -> None:
    import onnx

    program: Any = torch.onnx.export(
        network, _example(network), dynamo=True, opset_version=OPSET, dynamic_shapes=_shapes(),
        input_names=["image"], output_names=["logit", "score"], verbose=False,
    )  # fmt: skip
    model = program.model_proto
    model.doc_string = USE
    onnx.helper.set_model_props(model, {f"equiderm.{key}": text for key, text in about.items()})
    onnx.checker.check_model(model)
    onnx.save_model(model, path)


def _read_onnx(path: Path) -> Scorer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def score(images: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        logit, score = session.run(["logit", "score"], {"image": images})
        return np.asarray(logit), np.asarray(score)

    return score


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Silence what exporters print, log and warn."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
