"""Maximum mean discrepancy between the groups of a target."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator

import torch
from torch import Tensor

from equiderm.batch import Batch
from equiderm.debias import terms
from equiderm.debias.method import Method, Update
from equiderm.debias.settings import NonNegative, settings

SCALES = (0.25, 1.0, 4.0)  # of the squared bandwidth
LEAST = 2  # images of a group and target in a batch


class MMD(Method):
    r"""Maximum mean discrepancy given the target: groups whose features are distributed alike.

    .. math::
        \min_{f, g} \; L_t + \lambda \, \frac{1}{|S|} \sum_{(y, a, b) \in S}
        \Big( E\, k(z_a, z_a') + E\, k(z_b, z_b') - 2 E\, k(z_a, z_b) \Big), \qquad
        k(z, z') = \frac{1}{3} \sum_{s \in \{1/4, 1, 4\}} e^{-|z - z'|^2 / (s m)}

    with z = f(x), the expectations over pairs of different images of one target y in groups a and
    b, S the targets and pairs of groups that have two images each in the batch, m the median of
    :math:`|z - z'|^2` in the batch, held constant, and lambda ``distance_weight``. Only images of
    one target are compared: groups may differ in how often they are malignant.

    Hyper-parameters: distance_weight 0.1 to 10. There is no adversary that could overshoot, but a
    batch must hold images of every target and group, so it must be large.

    Args:
        backbone: Maps images to features.
        n_features: Width of the features.
        distance_weight: lambda, >= 0.
        options: `Method`'s, too.

    Source:
        Gretton et al. 2012, A kernel two-sample test, lemma 6; as a loss Li et al. 2018, Domain
        generalization with adversarial feature learning.

    Differs:
        No adversarial autoencoder; the kernel's width follows the features, so that shrinking them
        gains nothing.
    """

    targets = frozenset({"binary", "classes", "ordered"})
    uses_group = True
    moves_backbone = True

    @settings("[method]")
    class Options(Method.Options):
        """MMD's hyper-parameters."""

        distance_weight: NonNegative = 1.0

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]

    def updates(self, batch: Batch) -> Iterator[Update]:
        """Yield one update."""
        features = self.backbone(batch.image)
        target = self.target_loss(self.target_head(features), batch.target)
        with torch.autocast(features.device.type, enabled=False):
            distance = self.between_groups(features, batch)
        loss = target + self.options.distance_weight * distance
        yield Update("target", loss, ("main",), parts={"target": target, "distance": distance})

    def between_groups(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the mean distance over targets and pairs of groups; 0 where a batch has none.

        All of them in a few operations and without waiting for the device: one by one they would be
        thousands, each of which a GPU starts by itself.
        """
        wide = features if features.dtype == torch.float64 else features.float()
        z = terms.of_all_processes(wide)
        target, group = map(terms.of_all_processes, (batch.target, batch.group))
        z = z - z.detach().mean(0)  # changes no distance, and keeps digits
        of_target = terms.is_of(target, self.n_targets).unsqueeze(2)
        member = (of_target & terms.is_of(group, self.n_groups).unsqueeze(1)).to(z.dtype)
        counts = member.sum(0)
        enough = counts >= LEAST
        compared = (enough.unsqueeze(2) & enough.unsqueeze(1)).triu(1)
        distances = self.distances(z, member, counts)
        return (distances * compared).sum() / compared.sum().clamp_min(1)

    def distances(self, z: Tensor, member: Tensor, counts: Tensor) -> Tensor:
        """Return the distance of each two groups of each target, (T, K, K).

        Args:
            z: Features, shape (n, d).
            member: 1 where an image is of a target and group, else 0, shape (n, T, K).
            counts: Images of each target and group, shape (T, K).
        """
        apart = _squared(z)
        squared = apart / _median(apart.detach())
        kernel = functools.reduce(operator.add, [(-squared / s).exp() for s in SCALES])
        others = 1 - torch.eye(len(z), device=z.device, dtype=z.dtype)
        sums = pair_sums(kernel * others / len(SCALES), member)
        across = sums / products(counts)
        within = sums.diagonal(dim1=1, dim2=2) / (counts * (counts - 1)).clamp_min(1)
        return within.unsqueeze(2) + within.unsqueeze(1) - 2 * across


def pair_sums(values: Tensor, member: Tensor) -> Tensor:
    """Return the sums of a value of each two images, (n, n), over each two groups, (T, K, K)."""
    return torch.einsum("itk,ij,jtl->tkl", member, values, member)


def products(counts: Tensor) -> Tensor:
    """Return the products of each two groups' counts, (T, K, K), at least 1."""
    return (counts.unsqueeze(2) * counts.unsqueeze(1)).clamp_min(1)


def _squared(z: Tensor) -> Tensor:
    lengths = z.square().sum(1)
    return (lengths.unsqueeze(1) + lengths - 2 * z @ z.T).clamp_min(0)


def _median(squared: Tensor) -> Tensor:
    """Return the median squared distance of two different images, above 0."""
    n = len(squared)
    row, column = torch.triu_indices(n, n, 1, device=squared.device)
    middle = squared[row, column].median() if len(row) else squared.new_ones(())
    return middle.clamp_min(torch.finfo(squared.dtype).tiny ** 0.5)
