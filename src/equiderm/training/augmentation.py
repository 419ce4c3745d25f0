"""The ``standard`` augmentation: geometry alone, drawn anew for each image and step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from equiderm.training.precision import on_device

SMALLEST = 0.8  # of an image's area that a crop keeps


def augmented(pixels: Tensor) -> Tensor:
    """Return images flipped, transposed and cropped at random, on their own device.

    Each of the eight symmetries of the square is as likely as the others; of the area a square of
    80 to 100 % stays, resized to the whole. Brightness, contrast and hue stay, because the colour
    of skin is what is studied. The draws are those of torch's generator of the CPU.

    Args:
        pixels: uint8, shape (n, 3, size, size).

    Returns:
        float32 in 0 to 255, whole numbers, the same shape.
    """
    n, _, _, size = pixels.shape
    drawn = torch.rand(6, n)
    side = (size * (SMALLEST + (1 - SMALLEST) * drawn[0]).sqrt()).round()
    start = (drawn[1:3] * (size - side + 1)).floor()
    choices = torch.cat([side[None], start, (drawn[3:] < 0.5).float()])
    if pixels.is_cuda:
        return _together(pixels, on_device(choices.numpy(), pixels.device))
    return _one_by_one(pixels, choices)


def _one_by_one(pixels: Tensor, choices: Tensor) -> Tensor:
    """Return the images that are chosen; on a CPU, which is fast with the bytes of one image.

    Args:
        pixels: As in `augmented`.
        choices: Of each image the side of its crop, in pixels, where it begins from the top and
            from the left, and whether it is flipped up and down, left and right, and transposed,
            shape (6, n).
    """
    size = pixels.shape[2]
    changed = torch.empty_like(pixels, dtype=torch.float32)
    for image, chosen, written in zip(pixels, choices.T.int().tolist(), changed, strict=True):
        side, top, left, down, across, transposed = chosen
        crop = image[:, top : top + side, left : left + side]
        crop = crop.flip([axis for axis, flips in ((1, down), (2, across)) if flips])
        crop = crop.transpose(1, 2) if transposed else crop
        written.copy_(
            functional.interpolate(crop[None], (size, size), mode="bilinear", antialias=True)[0]
        )
    return changed


def _together(pixels: Tensor, choices: Tensor) -> Tensor:
    """Return the same in few operations; on a GPU, which starts each of them by itself."""
    size = pixels.shape[2]
    side, start, flips, transposed = choices[0], choices[1:3], choices[3:5], choices[5]
    # Where the centres of the pixels come from, in pixels of the image: shape (2, n, size).
    centre = (torch.arange(size, device=pixels.device) + 0.5) / size
    centre = torch.where(flips[:, :, None] > 0, 1 - centre, centre)
    place = start[:, :, None] + centre * side[:, None] - 0.5
    last = (start + side - 1)[:, :, None]
    row, column = 2 * (place.maximum(start[:, :, None]).minimum(last) + 0.5) / size - 1
    whole = (-1, size, size)
    grid = torch.stack([column[:, None].expand(whole), row[:, :, None].expand(whole)], dim=3)
    grid = torch.where(transposed[:, None, None, None] > 0, grid.transpose(1, 2), grid)
    sampled = functional.grid_sample(
        pixels.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled.round()
