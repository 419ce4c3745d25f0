"""Batches balanced by target and group."""

from __future__ import annotations

import torch
from torch import Tensor

from equiderm.debias.erm import ERM


class Resampling(ERM):
    r"""Resampling: ERM on batches in which all (target, group) pairs are equally frequent.

    .. math:: P(\text{draw } i) \propto 1 \, / \, n_{y_i, b_i}

    with n the number of training images of that target y and group b; images are drawn with
    replacement, as many per epoch as there are. Images of unknown group form a group of their own.

    Hyper-parameters: `ERM`'s. Not in the paper; the simplest rival of its methods.

    Source:
        Idrissi et al. 2022, Simple data balancing achieves competitive worst-group-accuracy.
    """

    targets = frozenset({"binary", "classes", "ordered"})
    takes = frozenset({"several"})

    def sample_weights(self, target: Tensor, group: Tensor) -> Tensor:
        """Return 1 / (number of images with the same target and group) for each image."""
        pairs = torch.stack([target.long(), group], dim=1)
        _, index, counts = pairs.unique(dim=0, return_inverse=True, return_counts=True)
        return 1.0 / counts[index].double()
