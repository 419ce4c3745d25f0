"""Pixels: from the uint8 store to normalised batches on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from equiderm.errors import InputError
from equiderm.identity import find_rows
from equiderm.models import Backbone
from equiderm.records import brief
from equiderm.training.augmentation import augmented
from equiderm.training.experiment import Experiment
from equiderm.training.features import FeatureBatches, check_matches
from equiderm.training.precision import free_memory, on_device

CHUNK = 512  # images copied to the device at once: 100 MB at 256 pixels


class Images(Protocol):
    """What training needs of an image store; `equiderm.data.images.ImageStore` is one.

    Attributes:
        images: uint8, shape (n, size, size, 3), red, green, blue; an array or a memory map. Or
            features, float32, shape (n, n_features): see `equiderm.training.features`.
    """

    @property
    def images(self) -> NDArray[Any]:
        """The pictures, or the features."""
        ...

    def rows(self, image_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the position of each image."""
        ...


class ArrayImages:
    """Images held in an array, as a store.

    Args:
        images: uint8, shape (n, size, size, 3).
        image_ids: The name of each, n of them.
    """

    def __init__(self, images: NDArray[np.uint8], image_ids: Sequence[str]) -> None:
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise InputError(
                f"images of shape {images.shape} and type {images.dtype}: "
                "uint8 of shape (n, size, size, 3) is expected."
            )
        if len(images) != len(image_ids):
            raise InputError(f"{len(images)} images but {len(image_ids)} image ids.")
        self.images = images
        self._row = {str(name): index for index, name in enumerate(image_ids)}

    def __repr__(self) -> str:
        return f"ArrayImages({brief(self.images)})"

    def rows(self, image_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the position of each image.

        Raises:
            InputError: An image that is not here.
        """
        advice = "leave them out, or give their pixels"
        return find_rows(self._row, image_ids, "the array of images", advice)


def batches(
    images: Images,
    experiment: Experiment,
    backbone: Backbone,
    *,
    device: torch.device,
    resident: bool | None = None,
) -> Pixels | FeatureBatches:
    """Return the batches of a store: of its pictures (`Pixels`), or of its features.

    Raises:
        InputError: The experiment is for the other kind, or for another number of features.
    """
    check_matches(experiment, images)
    if images.images.ndim == 2:
        given, wanted = images.images.shape[1], len(backbone.module.get_buffer("mean"))
        if given != wanted:
            raise InputError(
                f"{given} features are given, and the run was trained on {wanted}; give features "
                "of the same network."
            )
        return FeatureBatches(images, device=device)
    return Pixels(images, experiment, backbone, device=device, resident=resident)


class Pixels:
    """Normalised batches of a store's images, on a device.

    The whole store moves to a GPU once where it fits in half of the free memory; otherwise, and on
    a CPU, each batch is read from the memory map. Beyond the page cache, host memory holds a chunk.

    Args:
        images: The store.
        experiment: Its size, augmentation and backbone decide what a batch looks like.
        backbone: Its mean and standard deviation.
        device: Where batches go.
        resident: Whether the store moves; None decides by the free memory. Not worth it where each
            image is read once.
    """

    def __init__(
        self,
        images: Images,
        experiment: Experiment,
        backbone: Backbone,
        *,
        device: torch.device,
        resident: bool | None = None,
    ) -> None:
        self.device = device
        size = experiment.data.size
        if images.images.shape[1:] != (size, size, 3):
            raise InputError(
                f"[data] size = {size}: the images given are {images.images.shape[1]} pixels wide."
            )
        self.side = experiment.side
        self._augments = experiment.data.augmentation == "standard"
        self.memory_format = (
            torch.channels_last if experiment.training.channels_last else torch.contiguous_format
        )
        self._mean = torch.tensor(backbone.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(backbone.std, device=device).view(1, 3, 1, 1)
        self._images = images.images
        if resident is None:
            resident = 2 * self._images.nbytes < free_memory(device)
        self._resident = self._move() if resident else None

    def _move(self) -> Tensor:
        moved = torch.empty(self._images.shape, dtype=torch.uint8, device=self.device)
        for start in range(0, len(moved), CHUNK):
            chunk = np.array(self._images[start : start + CHUNK])
            moved[start : start + CHUNK] = torch.from_numpy(chunk)
        return moved

    def batch(self, rows: NDArray[np.int64], *, training: bool = False) -> Tensor:
        """Return images of the store's rows, normalised, float32, shape (n, 3, side, side)."""
        if self._resident is not None:
            pixels = self._resident[on_device(rows, self.device)]
        else:
            pixels = on_device(np.ascontiguousarray(self._images[rows]), self.device)
        pixels = pixels.permute(0, 3, 1, 2)  # (n, 3, h, w), still channels last in memory
        pixels = augmented(pixels) if training and self._augments else pixels.float()
        image = normalise(pixels, self._mean, self._std, side=self.side)
        return image.contiguous(memory_format=self.memory_format)


def normalise(image: Tensor, mean: Tensor, std: Tensor, *, side: int) -> Tensor:
    """Return what a backbone reads, float32, shape (n, 3, side, side).

    Args:
        image: float32 in 0 to 255, shape (n, 3, h, w).
        mean: Channel means of images in 0 to 1, shape (1, 3, 1, 1).
        std: Their standard deviations, the same shape.
        side: Side of the result, in pixels; images of another size are resized.
    """
    if image.shape[2:] != (side, side):
        image = torch.nn.functional.interpolate(
            image, size=(side, side), mode="bilinear", antialias=True
        )
    return (image - 255 * mean) / (255 * std)


def dihedral_views(image: Tensor) -> list[Tensor]:
    """Return the eight flips and transposes of square images (n, 3, s, s), the original first."""
    turned = [image, image.flip(2), image.flip(3), image.flip(2, 3)]
    return [*turned, *(view.transpose(2, 3) for view in turned)]
