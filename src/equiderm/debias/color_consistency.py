"""Consistency under a change of skin colour."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from equiderm.batch import Batch
from equiderm.debias import terms
from equiderm.debias.erm import ERM
from equiderm.debias.method import Update
from equiderm.debias.settings import NonNegative, settings

# sRGB (IEC 61966-2-1) to XYZ, over the D65 white of the two-degree observer.
_TO_XYZ = (
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)
_FROM_XYZ = tuple(map(tuple, np.linalg.inv(_TO_XYZ).tolist()))
_FRAME = 8  # the skin is read in a frame of an eighth of the side


class ColorConsistency(ERM):
    r"""Colour consistency: features that stay the same when the skin's tone changes.

    .. math::
        \min_{f, g} \; L_t(x) + L_t(\tilde x) + \lambda \, |f(x) - f(\tilde x)|^2

    with :math:`\tilde x` the image at another tone: in CIELAB the colour of its frame, taken as its
    skin, is turned about (L* 50, b* 0) by an angle :math:`\delta \sim U(-s, s)` degrees, which
    changes its ITA by as much, and every pixel moves as the skin does. So the contrast of lesion
    and skin is kept, except at the limits of sRGB. lambda is ``consistency_weight``, s ``shift``,
    and an image is changed with ``probability``; :math:`|\cdot|^2` is the mean over the features.

    Hyper-parameters: shift 30, probability 0.5, consistency_weight 0.1 to 1. It needs no group
    label, and so no judgement of tone. What goes with tone but is not colour, such as the camera,
    it does not remove.

    Args:
        backbone: Maps images to features.
        n_features: Width of the features.
        shift: s, in degrees of ITA, >= 0.
        probability: Share of the images that are changed, in [0, 1].
        consistency_weight: lambda, >= 0.
        options: `Method`'s, too.

    Source:
        Pakzad, Abhishek and Hamarneh 2022, CIRCLe: color invariant representation learning for
        unbiased classification of skin lesions, section 3.

    Differs:
        The tone is changed by a rule, not by a generative network, and continuously.
    """

    moves_backbone = True
    uses_pictures = True

    @settings("[method]")
    class Options(ERM.Options):
        """Colour consistency's hyper-parameters."""

        shift: NonNegative = 30.0
        probability: Annotated[float, Field(ge=0, le=1)] = 0.5
        consistency_weight: NonNegative = 0.5

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]

    def updates(self, batch: Batch) -> Iterator[Update]:
        """Yield one update."""
        count = len(batch.image)
        drawn = torch.rand(2, count, device=batch.image.device)
        degrees = self.options.shift * (2 * drawn[0] - 1) * (drawn[1] < self.options.probability)
        mean, std = (
            _constant(values, drawn.device, torch.float32).view(1, 3, 1, 1)
            for values in self.normalisation
        )
        moved = (shift_tone(batch.image.float() * std + mean, degrees) - mean) / std
        # An image that is not changed stays the same to the last digit.
        moved = torch.where(
            degrees.view(-1, 1, 1, 1) == 0, batch.image, moved.to(batch.image.dtype)
        )
        features = self.backbone(torch.cat([batch.image, moved]))
        logit = self.target_head(features)
        original, changed = (self.target_loss(part, batch.target) for part in logit.split(count))
        before, after = features.float().split(count)
        distance = terms.batch_mean((before - after).square().mean(dim=1))
        loss = original + changed + self.options.consistency_weight * distance
        parts = {"original": original, "moved": changed, "distance": distance}
        yield Update("target", loss, steps=("main",), parts=parts)


def shift_tone(image: Tensor, degrees: Tensor) -> Tensor:
    """Return images with another skin tone and the same contrast.

    Args:
        image: sRGB in [0, 1], shape (n, 3, h, w); the frame is taken as skin.
        degrees: By how much the ITA of the skin changes, shape (n,); it stays within -90 and 90.
    """
    with torch.autocast(image.device.type, enabled=False):
        lab = srgb_to_lab(image.clamp(0, 1))
        light, blue = skin_of(lab)
        angle = torch.atan2(light - 50, blue)
        radius = torch.hypot(light - 50, blue)
        limit = math.pi / 2
        turned = (angle + torch.deg2rad(degrees)).clamp(-limit, limit)
        turned = torch.where(angle.abs() > limit, angle, turned)  # not skin: left as it is
        move = torch.zeros(len(image), 3, 1, 1, device=image.device, dtype=lab.dtype)
        move[:, 0, 0, 0] = radius * turned.sin() - (light - 50)
        move[:, 2, 0, 0] = radius * turned.cos() - blue
        return lab_to_srgb(lab + move).clamp(0, 1)


def skin_of(lab: Tensor) -> tuple[Tensor, Tensor]:
    """Return the median L* and b* (n,) of the frame of CIELAB images (n, 3, h, w)."""
    edge = max(min(lab.shape[2:]) // _FRAME, 1)
    inner = lab[:, :, edge:-edge]
    sides = (lab[:, :, :edge], lab[:, :, -edge:], inner[..., :edge], inner[..., -edge:])
    median = torch.cat([side.flatten(2) for side in sides], dim=2).median(dim=2).values
    return median[:, 0], median[:, 2]


def srgb_to_lab(image: Tensor) -> Tensor:
    """Return CIELAB (D65) of sRGB in [0, 1], both of shape (n, 3, h, w)."""
    linear = torch.where(image > 0.04045, ((image + 0.055) / 1.055) ** 2.4, image / 12.92)
    matrix = _constant(_TO_XYZ, image.device, image.dtype)
    xyz = torch.einsum("ij,njhw->nihw", matrix, linear)
    root = xyz.clamp_min(1e-12) ** (1 / 3)
    f = torch.where(xyz > (6 / 29) ** 3, root, xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.unbind(dim=1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def lab_to_srgb(lab: Tensor) -> Tensor:
    """Return sRGB of CIELAB (D65), both of shape (n, 3, h, w); not in [0, 1] outside its gamut."""
    light, a, b = lab.unbind(dim=1)
    y = (light + 16) / 116
    f = torch.stack([y + a / 500, y, y - b / 200], dim=1)
    xyz = torch.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    matrix = _constant(_FROM_XYZ, lab.device, lab.dtype)
    linear = torch.einsum("ij,njhw->nihw", matrix, xyz)
    curved = 1.055 * linear.clamp_min(1e-12) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curved, 12.92 * linear)


@functools.cache
def _constant(values: tuple[Any, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return figures on a device, moved there once: each move waits for all that it has to do."""
    return torch.tensor(values, device=device, dtype=dtype)
