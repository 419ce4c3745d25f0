"""Batch, the one type that data pass to methods, and Target, the kind of its labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Kind = Literal["binary", "classes", "ordered", "number"]


@dataclass(frozen=True)
class Target:
    """What a head predicts: how many outputs it has, and what its labels mean.

    Attributes:
        kind: ``binary``, ``classes``, ``ordered`` (classes that have an order) or ``number``.
        names: The classes' values, in the order of their index; empty for a number.
        mean: A number's mean over the training rows; methods see (value - mean) / std.
        std: Its standard deviation there.
    """

    kind: Kind = "binary"
    names: tuple[Any, ...] = (0, 1)
    mean: float = 0.0
    std: float = 1.0

    @property
    def outputs(self) -> int:
        """How many outputs a head for it has: one per class, per step between classes, or one."""
        return {"classes": len(self.names), "ordered": len(self.names) - 1}.get(self.kind, 1)


@dataclass(frozen=True)
class Batch:
    """One training batch, all on one device.

    Attributes:
        image: Normalised images, shape (n, 3, height, width).
        target: The diagnosis label, 1 for malignant (or whatever the manifest's target names) and
            0 otherwise, shape (n,), floating point; with several classes the index of the image's
            class, for a number its standardised value.
        group: Index of the protected attribute in [0, K), shape (n,), int64; -1 where the group of
            an image is unknown. Such an image trains the target and is left out of the bias loss.
            For a measured number its standardised value, floating point, NaN where unknown.
        more: Further attributes, each like ``group``.
    """

    image: Tensor
    target: Tensor
    group: Tensor
    more: tuple[Tensor, ...] = ()

    @property
    def groups(self) -> tuple[Tensor, ...]:
        """All attributes, ``group`` first."""
        return (self.group, *self.more)
