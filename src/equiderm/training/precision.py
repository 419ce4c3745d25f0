"""Precision on a device, and the caller's settings left as they were."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from equiderm.training.experiment import Experiment


def choose_device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def on_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array on a device; a GPU is not waited for."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def free_memory(device: torch.device) -> int:
    """Return the free memory of a GPU, in bytes; 0 of a CPU."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else 0


def take_gpu(place: int | None) -> None:
    """See one GPU in a worker where there are several: they are taken in turn.

    Args:
        place: Number of the worker; None outside one.
    """
    if place is not None and (count := torch.cuda.device_count()) > 1:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[place % count]


def autocast(experiment: Experiment, device: torch.device) -> torch.autocast:
    """Return the context of the experiment's precision on a device."""
    wanted = experiment.training.precision
    enabled = wanted == "bf16" or (wanted == "auto" and has_bf16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def has_bf16(device: torch.device) -> bool:
    """Return whether a GPU computes in bf16 itself; older ones emulate it, slowly."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


@contextlib.contextmanager
def settings_of(experiment: Experiment) -> Generator[None]:
    """Set torch up for an experiment inside the block, and leave the caller's state as it was.

    ``precision = "fp32"`` is fp32: no TF32 in products or convolutions. What is put back: the
    generators of `random`, numpy and torch, and TF32. How glibc keeps freed memory is set back to
    its defaults. cuDNN does not search for the fastest algorithms: in every process, and for every
    size of batch, that takes longer than a short run.
    """
    cudnn: Any = torch.backends.cudnn
    matmul = torch.get_float32_matmul_precision()
    before = (random.getstate(), np.random.get_state(), torch.get_rng_state())  # noqa: NPY002
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    tf32 = cudnn.allow_tf32
    tuned = _keep_freed_memory()
    try:
        if torch.cuda.is_available():
            exact = experiment.training.precision == "fp32"
            torch.set_float32_matmul_precision("highest" if exact else "high")
            cudnn.allow_tf32 = not exact
        yield
    finally:
        cudnn.allow_tf32 = tf32
        torch.set_float32_matmul_precision(matmul)
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
        if on_gpus:
            torch.cuda.set_rng_state_all(on_gpus)
        if tuned:
            _return_freed_memory()


MMAP_MAX, TRIM_THRESHOLD = -4, -1  # names of mallopt's parameters, from glibc's malloc.h
DEFAULTS = {MMAP_MAX: 65536, TRIM_THRESHOLD: 128 * 1024}  # their values, from `man mallopt`


def _keep_freed_memory() -> bool:
    """Let glibc keep the memory that tensors free; return whether it does.

    By default every tensor above 32 MB is mapped anew, zeroed page by page and returned: a quarter
    of the time of a CPU step with a batch of 64 images at 128 pixels (bench/step_memory.py).
    Settings of the user's own (``MALLOC_...``) are left alone.
    """
    if torch.cuda.is_available() or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc; TypeError: Windows
        return False
    return bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, 2**31 - 1))


def _return_freed_memory() -> None:
    libc = ctypes.CDLL(None)
    for name, value in DEFAULTS.items():
        libc.mallopt(name, value)
    libc.malloc_trim(0)
