"""Correlation alignment of the groups of a target."""

from __future__ import annotations

import torch
from torch import Tensor

from equiderm.debias.mmd import MMD, pair_sums, products


class CORAL(MMD):
    r"""Correlation alignment given the target: features with the same mean and covariance by group.

    .. math::
        \min_{f, g} \; L_t + \lambda \, \frac{1}{|S|} \sum_{(y, a, b) \in S}
        \Big( \frac{1}{d} |\mu_a - \mu_b|^2 + \frac{1}{d^2} |C_a - C_b|_F^2 \Big)

    with :math:`\mu` and C mean and covariance of the d features of a target's images in a group,
    and the rest as in `MMD`.

    Hyper-parameters: distance_weight 0.1 to 10. The distance shrinks with the features, so check
    that AUROC does not fall.

    Args:
        backbone: Maps images to features.
        n_features: d.
        distance_weight: lambda, >= 0.
        options: `Method`'s, too.

    Source:
        Sun and Saenko 2016, Deep CORAL, section 3.1.

    Differs:
        Given the target, between groups of one data set, with the means aligned, too, and without
        the factor 1/4; as Gulrajani and Lopez-Paz 2021, In search of lost domain generalization.
    """

    def distances(self, z: Tensor, member: Tensor, counts: Tensor) -> Tensor:
        """Return the distance of each two groups of each target, (T, K, K); see `MMD`.

        Covariances are not written out, as there are d x d figures in each: the product of two,
        summed, is that of all inner products of their images, squared.
        """
        n_features = z.shape[1]
        means = torch.einsum("itk,id->tkd", member, z) / counts.clamp_min(1).unsqueeze(2)
        means_apart = (means.unsqueeze(2) - means.unsqueeze(1)).square().sum(3)
        centred = z - torch.einsum("itk,tkd->id", member, means)
        traces = pair_sums((centred @ centred.T).square(), member) / products(counts - 1)
        own = traces.diagonal(dim1=1, dim2=2)
        covariances_apart = own.unsqueeze(2) + own.unsqueeze(1) - 2 * traces
        return means_apart / n_features + covariances_apart / n_features**2
