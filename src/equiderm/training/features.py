"""Features in place of images: one row of numbers for each image, from any network.

A table of features is trained on, scored and probed like a store of images. The backbone of such an
experiment, ``[backbone] name = "features"``, standardises them; nothing in it learns except a layer
of ``units``, where the experiment asks for one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from equiderm.errors import InputError, reason_of
from equiderm.files import AnyPath
from equiderm.identity import as_ids, find_rows, first_few
from equiderm.models import FEATURES, Backbone
from equiderm.records import brief
from equiderm.tables import read_table
from equiderm.training.precision import on_device

if TYPE_CHECKING:
    from equiderm.training.experiment import Experiment
    from equiderm.training.pixels import Images


class Features:
    """Features of images, as a store.

    Args:
        values: Shape (n, n_features); numbers.
        image_ids: The image of each row, n of them.
        names: What the columns are called; empty where they have no names.

    Attributes:
        images: The values, float32; the name is that of a store of images.

    Raises:
        InputError: Another shape, a value that is not a number, an image twice.
    """

    def __init__(
        self, values: NDArray[Any], image_ids: Sequence[str], names: Sequence[str] = ()
    ) -> None:
        values = np.asarray(values)
        if values.ndim != 2 or values.dtype.kind not in "fiu" or len(values) != len(image_ids):
            raise InputError(
                f"features of shape {values.shape} and type {values.dtype} for {len(image_ids)} "
                "images: numbers of shape (n, n_features) are expected."
            )
        ids = [str(name) for name in image_ids]
        wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(wrong):
            raise InputError(
                f"features: {len(wrong)} images have values that are not numbers, such as "
                f"{ids[wrong[0]]}; leave them out."
            )
        self.names = tuple(map(str, names))
        self._row = {name: index for index, name in enumerate(ids)}
        if len(self._row) < len(ids):
            twice = [name for name in self._row if ids.count(name) > 1]
            raise InputError(f"features: {first_few(twice)} are in more than one row; keep one.")
        self.images: NDArray[Any] = values.astype(np.float32)

    def __repr__(self) -> str:
        return f"Features({brief(self.images)})"

    @property
    def image_ids(self) -> list[str]:
        """The image of each row."""
        return list(self._row)

    def in_order(self, names: Sequence[str]) -> Features:
        """Return the same features with their columns in the order of their names.

        Raises:
            InputError: Other columns.
        """
        if not names or not self.names or self.names == tuple(names):
            return self
        if differ := sorted({*names} ^ {*self.names}):
            has = "lack" if differ[0] in names else "have"
            raise InputError(
                f"the features {has} a column {differ[0]!r}, other than those that the run was "
                "trained on; give features of the same network."
            )
        order = [self.names.index(name) for name in names]
        return Features(self.images[:, order], self.image_ids, names)

    def rows(self, image_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the position of each image.

        Raises:
            InputError: An image that is not here.
        """
        advice = "leave them out, or add their features"
        return find_rows(self._row, image_ids, "the features", advice)


def read_features(path: AnyPath) -> Features:
    """Return the features of a file.

    Args:
        path: A table (Parquet, CSV) with ``image_id`` and a column for each feature, or one column
            ``features`` of lists; or a NumPy file .npz with arrays ``image_id`` and ``features``.
            Rows without numbers, such as those that `embed` could not read, are left out, as is a
            column ``error``.

    Raises:
        InputError: Not such a file.
    """
    path = Path(path)
    if path.suffix.lower() == ".npz":
        return _read_arrays(path)
    frame = read_table(path, as_text=True)
    if "image_id" not in frame:
        raise InputError(f"{path}: has no column image_id; name the image of each row.")
    frame = frame.assign(image_id=as_ids(frame["image_id"]))
    values = frame.drop(columns=["image_id", "error"], errors="ignore")
    names: list[str] = []
    if list(values.columns) == ["features"]:
        known = values["features"].notna().to_numpy()
        matrix = _stacked(values["features"][known], frame["image_id"][known], path)
    else:
        numbers = values.apply(pd.to_numeric, errors="coerce")
        text = [str(name) for name in values if (numbers[name].isna() & values[name].notna()).any()]
        if text or not len(values.columns):
            what = f"column {text[0]} holds no numbers" if text else "holds no feature"
            raise InputError(f"{path}: {what}; give image_id and a column for each feature.")
        known = numbers.notna().all(axis=1).to_numpy()
        matrix, names = numbers[known].to_numpy(np.float32), list(values.columns)
    return Features(matrix, frame["image_id"][known].astype(str).tolist(), names)


def _stacked(lists: pd.Series, image_ids: pd.Series, path: Path) -> NDArray[np.float32]:
    """Return lists of numbers as rows of a matrix."""
    rows: list[Any] = []
    for image_id, values in zip(image_ids, lists, strict=True):
        try:
            row = np.asarray(values, np.float32)
        except (TypeError, ValueError):
            row = np.empty(())
        if row.ndim != 1 or not len(row) or (rows and len(row) != len(rows[0])):
            raise InputError(
                f"{path}: the features of image {image_id} are not a list of numbers as long as "
                "the first image's; make the table again."
            )
        rows.append(row)
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def _read_arrays(path: Path) -> Features:
    try:
        with (
            path.open("rb") as raw,
            np.load(raw, allow_pickle=False) as file,
        ):  # runs no pickled code
            values, image_ids = file["features"], file["image_id"].astype(str).tolist()
    except Exception as error:  # NumPy, zipfile and zlib raise errors of many kinds
        raise InputError(
            f"{path}: cannot be read ({reason_of(error)}); give arrays image_id, of text, and "
            "features."
        ) from error
    return Features(values, image_ids)


def select_features(frame: pd.DataFrame, path: Path) -> tuple[Features, pd.DataFrame, pd.DataFrame]:
    """Return a file's features, the rows of a table that have them, and those that have none.

    Returns:
        The features; the rows of ``frame`` that have them; ``image_id``, ``path`` and ``error`` of
        the rest.

    Raises:
        InputError: Not such a file, one with a column of the table, such as ``target``, or none of
            the images is in it.
    """
    features = read_features(path)
    if both := [name for name in features.names if name in frame.columns]:
        raise InputError(
            f"{path}: column {both[0]!r} is one of the manifest's too, and would be learned from "
            "as a feature; leave it out, or rename it."
        )
    there: Any = frame["image_id"].astype(str).isin(features.image_ids).to_numpy()
    if not there.any():
        raise InputError(
            f"{path}: has features for none of the images ({frame['image_id'].iloc[0]!r} against "
            f"{features.image_ids[0]!r})."
        )
    return features, *divided(frame, there, f"no features in {path}")


def divided(
    frame: pd.DataFrame, there: NDArray[np.bool_], why: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows that are there; and ``image_id``, ``path`` and ``error`` of the others."""
    absent = frame.loc[~there].reindex(columns=["image_id", "path"]).assign(error=why)
    return frame.loc[there].reset_index(drop=True), absent.reset_index(drop=True)


class Standardise(nn.Module):
    """The backbone of features: each less its mean, over its standard deviation.

    Args:
        mean: Shape (n_features,).
        std: Likewise; infinite for what does not vary.
        units: Width of a layer with ReLU that learns; None for no layer.
    """

    def __init__(self, mean: Tensor, std: Tensor, units: int | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.mean: Tensor
        self.std: Tensor
        self.layer = None if units is None else nn.Linear(len(mean), units)

    def forward(self, values: Tensor) -> Tensor:
        """Return standardised features, shape (n, n_features), or the layer's, (n, units)."""
        standardised = (values - self.mean) / self.std
        return standardised if self.layer is None else self.layer(standardised).relu()


def features_backbone(values: NDArray[Any], units: int | None = None) -> Backbone:
    """Return the backbone of training features, shape (n, n_features)."""
    rows = torch.from_numpy(np.asarray(values, np.float64))
    std = rows.std(0, correction=0)
    std = torch.where(std > 1e-6 * std.max(), std, torch.inf)  # constant features become 0
    return bare_backbone(rows.mean(0).float(), std.float(), units)


def bare_backbone(mean: Tensor, std: Tensor, units: int | None = None) -> Backbone:
    """Return a backbone with given means and standard deviations."""
    module = Standardise(mean, std, units)
    return Backbone(module, units or len(mean), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class FeatureBatches:
    """Batches of features on a device, as `equiderm.training.pixels.Pixels` are of images.

    Args:
        features: The store.
        device: Where batches go.
    """

    def __init__(self, features: Images, *, device: torch.device) -> None:
        self._values, self.device = torch.from_numpy(features.images).to(device), device

    def batch(self, rows: NDArray[np.int64], *, training: bool = False) -> Tensor:
        """Return the features of the store's rows, float32, shape (n, n_features)."""
        return self._values[on_device(rows, self.device)]


def check_matches(experiment: Experiment, images: Images) -> None:
    """Raise InputError where an experiment is for images and features are given, or the reverse."""
    are_features = images.images.ndim == 2
    if are_features != (experiment.backbone.name == FEATURES):
        given = "features are" if are_features else "images are"
        raise InputError(
            f"[backbone] name = {experiment.backbone.name!r}: {given} given; to train on features "
            f"take name = {FEATURES!r} and a table of features."
        )


def content_hash(images: Images) -> str | None:
    """Return the SHA-256 of features, in their order; None for images."""
    if images.images.ndim != 2:
        return None
    return hashlib.sha256(np.ascontiguousarray(images.images).tobytes()).hexdigest()
