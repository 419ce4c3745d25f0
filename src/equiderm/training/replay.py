"""The backbone's training step as CUDA graphs: recorded once, replayed at every step.

On a GPU a small network is held up by launching its kernels one by one. Replayed, forward and
backward are one launch each. Heads, losses and optimisers are not recorded, so that a method may do
between two steps whatever it likes.
"""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Callable, Generator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from equiderm.errors import reason_of
from equiderm.training.precision import free_memory

WARM_UP = 3  # steps before recording, in which cuDNN chooses its algorithms


class Recording:
    """Forward and backward of a module in training mode, on tensors that stay where they are.

    Args:
        forward: Maps images to features.
        module: Its parameters and buffers; what warming up changes in the buffers is undone.
        image: Images of the shape and the memory order to come, shape (n, 3, h, w), on a GPU.

    Attributes:
        image: What `forward` reads.
        features: What it writes.
        gradient: What `backward` reads: the derivative by the features.
        parameters: Those of the module that the features depend on.
        gradients: What `backward` writes: the derivative by each of them.
    """

    def __init__(self, forward: Callable[[Tensor], Tensor], module: nn.Module, image: Tensor):
        self.image = image.detach().clone()
        learning = [one for one in module.parameters() if one.requires_grad]
        # Casts of the weights are to be recorded, not taken from what an earlier step cast.
        precision = {"dtype": torch.get_autocast_dtype("cuda"), "cache_enabled": False}
        wanted = torch.is_autocast_enabled("cuda")

        def features() -> Tensor:
            with torch.enable_grad(), torch.autocast("cuda", enabled=wanted, **precision):
                return forward(self.image)

        def gradients(of: Tensor, given: Tensor, by: list[Any]) -> tuple[Any, ...]:
            with torch.autocast("cuda", enabled=False):
                return torch.autograd.grad(of, by, given, allow_unused=True)

        with _as_before(module, self.image.device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                used: list[bool] = []
                for _ in range(WARM_UP):
                    warm = features()
                    found = gradients(warm, torch.ones_like(warm), learning)
                    used = [one is not None for one in found]
                    del warm, found
            torch.cuda.current_stream().wait_stream(side)
            self.parameters = [one for one, is_used in zip(learning, used, strict=True) if is_used]
            self._forward, self._backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
            record: Any = torch.cuda.graph
            with record(self._forward, capture_error_mode="thread_local"):
                self.features = features()
            self.gradient = torch.zeros_like(self.features)
            pool = self._forward.pool()
            with record(self._backward, pool=pool, capture_error_mode="thread_local"):
                self.gradients = gradients(self.features, self.gradient, self.parameters)
            self.features = self.features.detach()

    def forward(self) -> None:
        """Compute the features of the image."""
        self._forward.replay()

    def backward(self) -> None:
        """Compute the gradients; `forward` must have run since the last time."""
        self._backward.replay()


class Replayed:
    """A module's forward that replays a recording wherever that is the same, and else runs it.

    It is not the same for another shape, in evaluation mode, for an image that needs a gradient,
    and while the backward pass of an earlier replay is still to come, whose values another would
    write over.

    Args:
        module: The module, whose parameters the recording moves.
        forward: Its own forward.
        record: Makes the recording.
    """

    def __init__(
        self,
        module: nn.Module,
        forward: Callable[[Tensor], Tensor],
        record: Callable[..., Any] = Recording,
    ) -> None:
        self._module, self._forward, self._record = module, forward, record
        self._recording: Any = None
        self._tried = False
        self._open: weakref.ref[Any] | None = None  # the node whose backward pass is to come

    def __call__(self, image: Tensor) -> Tensor:
        """Return the features of images, shape (n, n_features)."""
        is_open = self._open is not None and self._open() is not None
        if not self._module.training or image.requires_grad or is_open or not self._fits(image):
            return self._forward(image)
        return _Replay.apply(self, image, *self._recording.parameters)

    def _fits(self, image: Tensor) -> bool:
        if not self._tried:
            self._tried = True
            self._recording = self._make(image)
        kept = None if self._recording is None else self._recording.image
        return kept is not None and (kept.shape, kept.dtype) == (image.shape, image.dtype)

    def _make(self, image: Tensor) -> Any:
        free = free_memory(image.device)
        try:
            recording = self._record(self._forward, self._module, image)
        except RuntimeError as error:  # out of memory, too
            warnings.warn(
                f"the backbone cannot be recorded as a CUDA graph ({reason_of(error)}); its "
                "kernels start one by one. [training] cuda_graph = false spares the warning.",
                stacklevel=2,
            )
            return None
        # A batch of another size needs as much once more, beside the recording.
        left = free_memory(image.device)
        return recording if left >= free - left else None

    def replay(self, node: Any, image: Tensor) -> Tensor:
        """Return a copy of the features of an image."""
        recording = self._recording
        recording.image.copy_(image)
        recording.forward()
        self._open = weakref.ref(node)
        return recording.features.clone()

    def replay_backward(self, node: Any, gradient: Tensor) -> list[Tensor]:
        """Return copies of the gradients."""
        if self._open is None or self._open() is not node:
            raise RuntimeError(
                "a second backward pass through the backbone, which is replayed as a CUDA graph; "
                "set [training] cuda_graph = false"
            )
        recording, self._open = self._recording, None
        recording.gradient.copy_(gradient)
        recording.backward()
        multiply: Any = torch._foreach_mul  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
        return list(multiply(recording.gradients, 1.0))  # copies, in few launches


class _Replay(torch.autograd.Function):
    """A replay in autograd's graph: the parameters are its inputs, so that they get gradients."""

    @staticmethod
    def forward(ctx: Any, replayed: Replayed, image: Tensor, *parameters: Tensor) -> Tensor:
        ctx.replayed = replayed
        return replayed.replay(ctx, image)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None, None, *ctx.replayed.replay_backward(ctx, gradient)


@contextlib.contextmanager
def replayed(module: nn.Module) -> Generator[None]:
    """Replay a module's training passes as CUDA graphs inside the block."""
    forward = module.forward
    module.forward = Replayed(module, forward)
    try:
        yield
    finally:
        module.forward = forward


@contextlib.contextmanager
def _as_before(module: nn.Module, device: torch.device) -> Generator[None]:
    """Put a module's buffers and the device's random numbers back after the block."""
    kept = [(buffer, buffer.clone()) for buffer in module.buffers()]
    random = torch.cuda.get_rng_state(device)
    try:
        yield
    except RuntimeError:  # the generator still takes itself to be recorded: a new state is not
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        generator.graphsafe_set_state(torch.Generator(device).graphsafe_get_state())
        raise
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
        torch.cuda.set_rng_state(random, device)
