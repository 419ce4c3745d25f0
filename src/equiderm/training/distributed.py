"""What several processes share: gradients, batch statistics, and figures of all their images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.distributed as dist
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor, nn


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes, in one exchange."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))


def take_buffers_of_the_first(module: nn.Module) -> None:
    """Give every process the first one's buffers: the batch statistics it has gathered."""
    for buffer in module.buffers():
        dist.broadcast(buffer, src=0)


def gather_states(state: Tensor, processes: int) -> list[Tensor]:
    """Return every process's tensor, in the order of their ranks."""
    return gather_object([state]) if processes > 1 else [state]


def join_shares(share: NDArray[np.float64], length: int, processes: int) -> NDArray[np.float64]:
    """Return the values of all images, of which process r holds every n-th from the r-th on."""
    if processes == 1:
        return share
    whole = np.full((length, *share.shape[1:]), np.nan)
    for rank, part in enumerate(gather_object([share])):
        whole[rank::processes] = part
    return whole
