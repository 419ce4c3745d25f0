"""Group distributionally robust optimisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from equiderm.batch import Batch
from equiderm.debias import terms
from equiderm.debias.method import Method, Update
from equiderm.debias.settings import NonNegative, settings


class GroupDRO(Method):
    r"""Group DRO: the worst group's loss, by weights that grow where the loss is high.

    .. math::
        q_b \leftarrow q_b \exp\Big(\eta \big(L_b + C / \sqrt{n_b}\big)\Big) \, / \, Z, \qquad
        \min_{f, g} \; \sum_b q_b \, L_b

    with :math:`L_b` the mean of :math:`\mathrm{BCE}(g(f(x)), y)` over the batch's images of group
    b, q ``group_share``, :math:`n_b` the training images of group b, eta ``step_size`` and C
    ``adjustment``. Images of unknown group have the weight that they have in ERM.

    Hyper-parameters: step_size 0.01; adjustment 0 to 5. Without regularisation it has no lasting
    effect: a network that fits every training image has no worst group. Give ``weight_decay`` under
    ``[optimizer]``, 1e-2 to 1, or stop early by ``worst_group_auroc``. It tends to follow the
    noisiest small group.

    Args:
        backbone: Maps images to features.
        n_features: Width of the features.
        step_size: eta, >= 0; 0 weights all groups equally.
        adjustment: C, >= 0: small groups, whose training loss is less certain, weigh more.
        options: `Method`'s, too.

    Source:
        Sagawa et al. 2020, Distributionally robust neural networks for group shifts, section 3.
    """

    targets = frozenset({"binary", "classes", "ordered", "number"})
    uses_group = True

    @settings("[method]")
    class Options(Method.Options):
        """GroupDRO's hyper-parameters."""

        step_size: NonNegative = 0.01
        adjustment: NonNegative = 0.0

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, backbone: nn.Module, n_features: int, **options: Any) -> None:
        super().__init__(backbone, n_features, **options)
        present = (self.counts.sum(0) > 0).float()
        self.register_buffer("group_share", present / present.sum())
        self.group_share: Tensor

    def updates(self, batch: Batch) -> Iterator[Update]:
        """Move the groups' weights, and yield one update."""
        logit = self.target_head(self.backbone(batch.image))
        losses = self.target_losses(logit, batch.target)
        means, counts = terms.group_means(losses, batch.group, self.n_groups)
        sizes = self.counts.sum(0).clamp_min(1)
        with torch.no_grad():
            raised = means + self.options.adjustment / sizes.sqrt()
            # As logarithms: a huge loss must not overflow, nor set a group's share to 0 for good.
            share = self.group_share.log() + self.options.step_size * raised
            present = self.group_share > 0
            self.group_share.copy_(share.softmax(0).clamp_min(1e-30) * present)
        # Each image's weight, so that the batch's mean is the equation's sum.
        each = self.group_share.to(losses.dtype) * counts.sum() / counts.clamp_min(1)
        known = batch.group >= 0
        weight = torch.where(known, each[batch.group.clamp_min(0)], 1.0)
        loss = terms.batch_mean(losses * weight)
        yield Update("target", loss, steps=("main",))
