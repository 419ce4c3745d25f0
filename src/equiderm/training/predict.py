"""Predictions: a run and images in, one row per image out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from equiderm.batch import Target
from equiderm.debias import Method
from equiderm.debias.terms import scores_of
from equiderm.files import AnyPath
from equiderm.training.checkpoint import Run, load_run
from equiderm.training.features import FeatureBatches
from equiderm.training.pixels import Images, Pixels, batches, dihedral_views
from equiderm.training.precision import autocast, choose_device, settings_of

if TYPE_CHECKING:
    from equiderm.training.experiment import Experiment

BATCH, ON_GPU = 64, 512  # images in one forward pass: a GPU needs many to be busy


def predict(
    run: AnyPath | Run,
    images: Images,
    frame: pd.DataFrame,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Return ``frame`` with each image's ``logit`` and ``score``.

    For several classes these are ``score_NAME`` for each and ``predicted``, the likeliest (of
    ordered classes the median); for a number, ``predicted`` alone.

    With ``views = 8`` in the experiment both are means over the eight flips and transposes, as
    published; the score, a mean of sigmoids, is then not the sigmoid of the logit.

    Args:
        run: A finished run, or its folder.
        images: A store of the run's image size.
        frame: Column ``image_id``; every other column is kept.
        progress: Called with images scored and in total.
    """
    run = run if isinstance(run, Run) else load_run(run)
    device = choose_device()
    pixels = batches(images, run.experiment, run.backbone, device=device, resident=False)
    rows = images.rows(frame["image_id"].astype(str).tolist())
    views = 1 if images.images.ndim == 2 else run.experiment.prediction.views
    score: Any = target_logits if run.target.kind == "binary" else target_scores
    with settings_of(run.experiment), autocast(run.experiment, device):
        scores = score(run.method.to(device), pixels, rows, views=views, progress=progress)
    if run.target.kind == "binary":
        return frame.assign(logit=scores[0], score=scores[1])
    names = run.target.names
    if run.target.kind == "number":
        return frame.assign(predicted=scores[:, 0])
    index = scores.argmax(1)
    if run.target.kind == "ordered":
        index = (scores.cumsum(1) < 0.5).sum(1).clip(0, len(names) - 1)
    columns = dict(zip(score_columns(run.target), scores.T, strict=False))
    return frame.assign(**columns, predicted=[names[k] for k in index])


def score_columns(target: Target) -> list[str]:
    """Return the columns that `predict` adds for a target."""
    if target.kind == "binary":
        return ["logit", "score"]
    scores = [] if target.kind == "number" else [f"score_{name}" for name in target.names]
    return [*scores, "predicted"]


def target_logits(
    method: Method,
    pixels: Pixels | FeatureBatches,
    rows: NDArray[np.int64],
    *,
    views: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return logit and score of a store's rows, means over 1 or 8 views, in evaluation mode."""

    def both(image: Tensor) -> Tensor:
        logits = torch.stack(_of_views(method, image, views)).double()
        return torch.stack([logits.mean(0), logits.sigmoid().mean(0)], dim=1)

    means = _over_batches(method, both, pixels, rows, progress, views=views).cpu().numpy()
    return means[:, 0], means[:, 1]


def target_scores(
    method: Method,
    pixels: Pixels | FeatureBatches,
    rows: NDArray[np.int64],
    *,
    views: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Return the scores of a store's rows, means over 1 or 8 views, in evaluation mode.

    Returns:
        Probabilities of the classes (n, C), or the number (n, 1).
    """

    def mean(image: Tensor) -> Tensor:
        outputs = _of_views(method, image, views)
        return torch.stack([scores_of(method.target, one.double()) for one in outputs]).mean(0)

    return _over_batches(method, mean, pixels, rows, progress, views=views).cpu().numpy()


def _of_views(method: Method, image: Tensor, views: int) -> list[Tensor]:
    """Return the method's outputs of each of 1 or 8 views; on a GPU in one forward pass."""
    seen = dihedral_views(image) if views == 8 else [image]
    if not image.is_cuda:
        return [method(view) for view in seen]
    return list(method(torch.cat(seen)).chunk(len(seen)))


def features(
    module: nn.Module,
    pixels: Pixels | FeatureBatches,
    rows: NDArray[np.int64],
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Return features of a store's rows, float32, shape (n, d), on the device.

    Args:
        module: A backbone, or a method, whose features are what its target head reads.
        pixels: The images.
        rows: Their positions in the store.
        progress: Called with images done and in total.
    """
    read = module.features if isinstance(module, Method) else module
    return _over_batches(module, lambda image: read(image).float(), pixels, rows, progress)


def embed(
    experiment: Experiment,
    images: Images,
    image_ids: Sequence[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Return a backbone's features of images, in evaluation mode, shape (n, n_features).

    Args:
        experiment: Its backbone, size and precision.
        images: A store of that size.
        image_ids: The images.
        progress: Called with images done and in total.
    """
    with settings_of(experiment):
        torch.manual_seed(experiment.seed)
        backbone, device = experiment.build_backbone(), choose_device()
        pixels = Pixels(images, experiment, backbone, device=device, resident=False)
        module, rows = backbone.module.to(device), images.rows(list(image_ids))
        with autocast(experiment, device):
            matrix = _over_batches(
                module, lambda image: module(image).float(), pixels, rows, progress
            )
    return matrix.cpu().numpy()


def _over_batches(
    module: nn.Module,
    function: Callable[[Tensor], Tensor],
    pixels: Pixels | FeatureBatches,
    rows: NDArray[np.int64],
    progress: Callable[[int, int], None] | None = None,
    *,
    views: int = 1,
) -> Tensor:
    was_training = module.training
    module.eval()
    parts: list[Tensor] = []
    size = ON_GPU // views if pixels.device.type == "cuda" else BATCH
    with torch.no_grad():
        for start in range(0, len(rows), size):
            parts.append(function(pixels.batch(rows[start : start + size])))
            if progress is not None:
                progress(min(start + size, len(rows)), len(rows))
    module.train(was_training)
    return torch.cat(parts) if parts else torch.empty(0, 2)
