"""Batches balanced along a measured tone, without bands."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from equiderm.debias.erm import ERM
from equiderm.debias.settings import NonNegative, settings


class Density(ERM):
    r"""Density weights: ERM on batches in which rare tones are drawn more often, along the ITA.

    .. math::
        P(\text{draw } i) \propto \hat p(a_i)^{-\gamma}, \qquad
        \hat p(a) = \frac{1}{n h} \sum_j \varphi\Big(\frac{a - a_j}{h}\Big)

    with :math:`a_i` the ITA of image i in degrees, :math:`\varphi` the normal density, h Scott's
    bandwidth and gamma ``gamma``; images are drawn with replacement, as many per epoch as there
    are, and one without a tone as often as the mean. No cut between bands decides what is rare.

    Hyper-parameters: `ERM`'s; gamma 0.5 to 1, where 0 draws all images and 1 all tones equally
    often. With 1 a few images at the ends of the scale are drawn very often.

    Args:
        backbone: Maps images to features.
        n_features: Width of the features.
        gamma: >= 0.
        column: The manifest's column of measured numbers.
        options: `Method`'s, too.

    Source:
        Paxton 2025, arXiv 2512.08733, with the weights as frequencies of drawing, not factors of
        the loss; Scott 1992, Multivariate density estimation.
    """

    @settings("[method]")
    class Options(ERM.Options):
        """The hyper-parameters of density weights."""

        gamma: NonNegative = 0.5
        column: str = "ita"

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def column(self) -> str | None:
        """The column of measured numbers."""
        return self.options.column

    def sample_weights(self, target: Tensor, group: Tensor) -> Tensor | None:
        """Return the density of each image's tone to the power of -gamma."""
        if self.values is None:
            return None
        from scipy.stats import gaussian_kde

        values = self.values.double().cpu().numpy()
        known = np.isfinite(values)
        density = gaussian_kde(values[known])(values[known])
        weights = np.ones(len(values))
        weights[known] = density**-self.options.gamma
        weights[~known] = weights[known].mean()
        return torch.from_numpy(weights)
