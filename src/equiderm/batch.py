"""Batch: the one type that crosses from data to methods."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """One training batch, all on one device.

    Attributes:
        image: Normalised images, shape (n, 3, height, width).
        target: The diagnosis label, 1 for malignant (or whatever the manifest's target names) and
            0 otherwise, shape (n,), floating point.
        group: Index of the protected attribute in [0, K), shape (n,), int64; -1 where the group of
            an image is unknown. Such an image trains the target and is left out of the bias loss.
    """

    image: Tensor
    target: Tensor
    group: Tensor
