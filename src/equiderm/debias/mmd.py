"""Maximum mean discrepancy between the groups of a target."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

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
        """Return the mean distance over targets and pairs of groups; 0 where a batch has none."""
        wide = features if features.dtype == torch.float64 else features.float()
        z = terms.of_all_processes(wide)
        target, group = map(terms.of_all_processes, (batch.target, batch.group))
        z = z - z.detach().mean(0)  # changes no distance, and keeps digits
        scale = _median(z.detach())
        cells = [
            [z[(target == y) & (group == k)] for k in range(self.n_groups)]
            for y in range(self.n_targets)
        ]
        distances = [
            self.distance(first, second, scale)
            for of_target in cells
            for first, second in combinations([c for c in of_target if len(c) >= LEAST], 2)
        ]
        return torch.stack(distances).mean() if distances else z.sum() * 0

    def distance(self, first: Tensor, second: Tensor, scale: Tensor) -> Tensor:
        """Return the distance of two groups' features, (n, d) and (m, d).

        Args:
            first: Features of the first group.
            second: Features of the second.
            scale: m, the median squared distance.
        """
        n, m = len(first), len(second)
        within_first = (_kernel(first, first, scale).sum() - n) / (n * (n - 1))
        within_second = (_kernel(second, second, scale).sum() - m) / (m * (m - 1))
        return within_first + within_second - 2 * _kernel(first, second, scale).mean()


def _kernel(first: Tensor, second: Tensor, scale: Tensor) -> Tensor:
    """Return k of all pairs, (n, m)."""
    squared = _squared(first, second) / scale
    return torch.stack([(-squared / s).exp() for s in SCALES]).mean(0)


def _squared(first: Tensor, second: Tensor) -> Tensor:
    lengths = first.square().sum(1, keepdim=True) + second.square().sum(1)
    return (lengths - 2 * first @ second.T).clamp_min(0)


def _median(z: Tensor) -> Tensor:
    """Return the median squared distance of two different images, above 0."""
    apart = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    squared = _squared(z, z)[apart]
    middle = squared.median() if len(squared) else z.new_ones(())
    return middle.clamp_min(torch.finfo(z.dtype).tiny ** 0.5)
