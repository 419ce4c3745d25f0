"""Correlation alignment of the groups of a target."""

from __future__ import annotations

from torch import Tensor

from equiderm.debias.mmd import MMD


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

    def distance(self, first: Tensor, second: Tensor, scale: Tensor) -> Tensor:
        """Return the distance of two groups' features, (n, d) and (m, d)."""
        means = (first.mean(0) - second.mean(0)).square().mean()
        return means + (first.T.cov() - second.T.cov()).square().mean()
