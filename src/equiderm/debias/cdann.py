"""Conditional domain-adversarial training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equiderm.batch import Batch
from equiderm.debias.dann import DANN
from equiderm.debias.method import GroupHead


class CDANN(DANN):
    r"""Conditional domain-adversarial training: `DANN` with an adversary per target.

    .. math:: L_b = \mathrm{CE}_w(h_y(f(x)), b), \qquad w_{y, b} \propto 1 / n_{y, b}

    with :math:`h_y` the outputs of ``group_head`` for an image of target y and :math:`n_{y, b}` the
    training images of target y and group b. The features should say no more about the group than
    the target does: where malignancy goes with tone, DANN removes some of the target, too.

    Hyper-parameters: `DANN`'s.

    Source:
        Li et al. 2018, Deep domain generalization via conditional invariant adversarial networks.

    Differs:
        One joint step, and no second adversary on the class-prior-normalised features.
    """

    targets = frozenset({"binary", "classes", "ordered"})

    def make_heads(self, n_features: int) -> tuple[nn.Module, nn.Module | None]:
        """Return the target head and group heads of 2 K logits, K for each target."""
        target_head, _ = super().make_heads(n_features)
        return target_head, self.make_group_heads(n_features, copies=self.n_targets)

    def head_loss(self, head: GroupHead, features: Tensor, batch: Batch) -> Tensor:
        """Return the loss of each image's own adversary."""
        outputs = head(features).unflatten(1, (self.n_targets, head.target.outputs))
        target = batch.target.long()
        outputs = outputs[torch.arange(len(target), device=outputs.device), target]
        inverse = torch.where(head.counts > 0, 1 / head.counts.clamp_min(1), 0.0)
        weights = inverse / inverse.sum(1, keepdim=True).clamp_min(1e-12)
        return head.loss(outputs, batch.groups[head.place], weights[target])
