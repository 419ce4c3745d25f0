"""A manifest and its image store as a torch Dataset, for a training loop of your own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from equiderm.errors import InputError
from equiderm.training.images import rows_of_split
from equiderm.training.pixels import Images
from equiderm.training.rows import group_index, plain_value, target_of


class ManifestDataset(Dataset[tuple[Any, Tensor, Tensor]]):
    """Rows of a manifest as ``(image, target, group)``, in the order of `equiderm.batch.Batch`.

    Rows without a target are left out. Workers of a DataLoader map the same store.

    Args:
        manifest: Columns ``image_id``, ``target``, ``group``, and ``split`` where one is named.
        images: The uint8 store that holds the manifest's images.
        split: The rows of this split; None takes all rows.
        group: The group column.
        groups: Its values, in the order of their index, such as ``train.groups`` for a test set;
            by default those of these rows, sorted. Any other value gets the index -1, not known.
        transform: Called with a uint8 tensor (3, h, w), as torchvision's v2; by default the image
            becomes float32 in [0, 1].

    Attributes:
        frame: The rows, in order.
        target: float32 of 0 and 1, shape (n,).
        group: int64 in [0, K), or -1, shape (n,).
        groups: The values of the K groups.

    Raises:
        InputError: No such column or split, a target that is not 0 or 1, or an image that is not
            in the store.
    """

    def __init__(
        self,
        manifest: pd.DataFrame,
        images: Images,
        *,
        split: str | None = None,
        group: str = "fitzpatrick_type",
        groups: Sequence[Any] | None = None,
        transform: Callable[[Tensor], Any] | None = None,
    ) -> None:
        for name in ("image_id", "target", group):
            if name not in manifest.columns:
                has = ", ".join(map(str, manifest.columns))
                raise InputError(f"manifest: no column {name!r}; it has {has}.")
        frame: Any = rows_of_split(manifest, split)
        target = target_of(frame)
        kept = ~np.isnan(target)
        self.frame = frame[kept].reset_index(drop=True)
        if groups is None:
            known = self.frame[group].dropna().unique()
            groups = [plain_value(value) for value in sorted(known)]
        self.groups = tuple(groups)
        self.target = torch.tensor(target[kept], dtype=torch.float32)
        self.group = torch.tensor(group_index(self.frame[group], self.groups))
        self.transform = transform or _to_unit
        self._images = images
        self._rows = images.rows(self.frame["image_id"].astype(str).tolist())

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, index: int) -> tuple[Any, Tensor, Tensor]:
        pixels = torch.from_numpy(np.array(self._images.images[self._rows[index]]))
        return self.transform(pixels.permute(2, 0, 1)), self.target[index], self.group[index]

    def __repr__(self) -> str:
        return f"ManifestDataset({len(self)} images, {len(self.groups)} groups)"


def _to_unit(image: Tensor) -> Tensor:
    return image.float() / 255
