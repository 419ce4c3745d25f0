"""Probe: how well the group can still be read from a run's features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from equiderm.errors import InputError
from equiderm.models import create_backbone
from equiderm.training.checkpoint import Run, load_run
from equiderm.training.pixels import Images, Pixels
from equiderm.training.predict import autocast, features
from equiderm.training.rows import patients_of

if TYPE_CHECKING:
    import pandas as pd

FOLDS, RESAMPLES = 5, 2000


@dataclass(frozen=True)
class Probe:
    """How well a linear probe reads the group from features, out of fold by patient.

    Attributes:
        features: ``trained``, or ``untrained``: the backbone as the run started.
        balanced_accuracy: Mean over groups of the share of a group's images that are named right.
        low: Lower end of its 95 % interval, a bootstrap over patients.
        high: Upper end.
        chance: 1 / K, what any constant answer reaches.
        accuracy: Share of all images that are named right.
        best_constant: What always naming the commonest group reaches of that.
        n: Images probed.
        patients: Patients they are of.
    """

    features: str
    balanced_accuracy: float
    low: float
    high: float
    chance: float
    accuracy: float
    best_constant: float
    n: int
    patients: int


def probe(
    run: Path | Run, images: Images, frame: pd.DataFrame, *, untrained: bool = True
) -> list[Probe]:
    """Return what a fresh linear probe reads of the group, from the run's features and before.

    "Unlearned" means that the first figure lies below ERM's, not that it is zero: pictures differ
    by group in more than skin.

    Args:
        run: A finished run, or its folder.
        images: A store of the run's image size.
        frame: Columns ``image_id``, the run's group column and, where known, ``patient_id`` or
            ``lesion_id``. Rows of unknown group are left out. Rows that the run did not train on
            answer best.
        untrained: Probe the untrained backbone, too.

    Raises:
        InputError: No such column, or too few patients in two groups.
    """
    run = load_run(run) if isinstance(run, Path) else run
    column = run.about["group"]
    if column not in frame.columns:
        raise InputError(f"no column {column!r} to probe for, which the run was trained with.")
    known: Any = frame[frame[column].notna()].reset_index(drop=True)
    group = known[column].astype(str).to_numpy(dtype=object)
    patients = patients_of(known)
    backbones = {"trained": run.method.backbone}
    if untrained:
        torch.manual_seed(run.experiment.seed)
        choice = run.experiment.backbone
        backbones["untrained"] = create_backbone(choice.name, choice.weights).module
    found: list[Probe] = []
    for name, module in backbones.items():
        matrix = _features(run, module, images, known["image_id"].astype(str).tolist())
        found.append(probe_features(matrix, group, patients, name=name))
    return found


def _features(
    run: Run, module: torch.nn.Module, images: Images, image_ids: list[str]
) -> NDArray[np.float64]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pixels = Pixels(images, run.experiment, run.backbone, device=device)
    with autocast(run.experiment, device):
        return features(module.to(device), pixels, images.rows(image_ids))


def probe_features(
    matrix: NDArray[np.floating], group: NDArray[Any], patients: NDArray[Any], *, name: str
) -> Probe:
    """Return how well a logistic regression reads the group from features, out of fold.

    Args:
        matrix: Features, shape (n, n_features).
        group: Group of each image, shape (n,).
        patients: Whom each image is of, shape (n,); no patient is in two folds.
        name: What the features are called.
    """
    groups, index = np.unique(group, return_inverse=True)
    counts = [len(set(patients[index == k])) for k in range(len(groups))]
    if len(groups) < 2 or min(counts) < FOLDS:
        least = "" if len(groups) < 2 else f"; {groups[int(np.argmin(counts))]!r} has {min(counts)}"
        raise InputError(
            f"a probe needs two groups of {FOLDS} patients or more{least}; leave that group out."
        )
    right = _out_of_fold(matrix, index, patients) == index
    low, high = _interval(right, index, patients, len(groups))
    return Probe(
        features=name,
        balanced_accuracy=_balanced(right, index, len(groups)),
        low=low,
        high=high,
        chance=1 / len(groups),
        accuracy=float(right.mean()),
        best_constant=float(np.bincount(index).max() / len(index)),
        n=len(index),
        patients=len(set(patients)),
    )


def _out_of_fold(
    matrix: NDArray[Any], index: NDArray[Any], patients: NDArray[Any]
) -> NDArray[np.int64]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # Weighted by inverse frequency: the probe is not to win by naming the commonest group.
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced")
    )
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    return np.asarray(cross_val_predict(model, matrix, index, groups=patients, cv=folds))


def _balanced(right: NDArray[Any], index: NDArray[Any], n_groups: int) -> float:
    return float(np.mean([right[index == k].mean() for k in range(n_groups)]))


def _interval(
    right: NDArray[Any], index: NDArray[Any], patients: NDArray[Any], n_groups: int
) -> tuple[float, float]:
    """Percentile bootstrap over patients of the balanced accuracy."""
    _, who = np.unique(patients.astype(str), return_inverse=True)
    size = who.max() + 1
    named = np.zeros((n_groups, size))
    total = np.zeros((n_groups, size))
    np.add.at(named, (index, who), right)
    np.add.at(total, (index, who), 1)
    generator = np.random.default_rng(0)
    times = generator.multinomial(size, np.full(size, 1 / size), size=RESAMPLES)
    with np.errstate(invalid="ignore"):
        shares = (times @ named.T) / (times @ total.T)  # (resamples, K); NaN: no image drawn
    low, high = np.quantile(np.nanmean(shares, axis=1), (0.025, 0.975))
    return float(low), float(high)
