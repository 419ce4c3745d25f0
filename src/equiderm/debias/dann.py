"""Domain-adversarial training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from equiderm.batch import Batch
from equiderm.debias import terms
from equiderm.debias.method import GroupHead, GroupMethod, Update
from equiderm.debias.settings import Finite, NonNegative, settings


class DANN(GroupMethod):
    r"""Domain-adversarial training: one step in which the group head's loss is reversed into f.

    .. math::
        \min_{f, g} \max_h \; L_t - \lambda_p L_b, \qquad L_b = \mathrm{CE}_w(h(f(x)), b), \qquad
        \lambda_p = c \Big(\frac{2}{1 + e^{-10 p}} - 1\Big)

    with h the ``group_head``, w the ``group_weights``, c ``reversal`` and p the progress of
    training, from 0 to 1, so that the adversary learns before it takes effect. h also descends
    :math:`\rho \, E |\nabla_z L_b|^2`, rho ``gradient_penalty``, so that the reversed gradient
    stays small.

    Hyper-parameters: reversal 0.1 to 1, gradient_penalty 0 to 10. `LNTL` and `CLGR` add a
    regulariser and a second forward, and have no ramp.

    Args:
        backbone: Maps images to features.
        n_features: Width of the features.
        reversal: c; 0 trains h alone.
        ramp: Whether lambda grows from 0, as published; ``false`` uses c from the first step.
        gradient_penalty: rho, >= 0.
        options: `Method`'s, too.

    Source:
        Ganin et al. 2016, Journal of Machine Learning Research 17(59); the penalty as in Gulrajani
        and Lopez-Paz 2021, In search of lost domain generalization.

    Differs:
        The penalty moves h alone, not the features.
    """

    targets = frozenset({"binary", "classes", "ordered", "number"})
    takes = frozenset({"number", "several"})

    @settings("[method]")
    class Options(GroupMethod.Options):
        """DANN's hyper-parameters."""

        of_head: ClassVar[tuple[str, ...]] = ("deep_heads", "reversal", "gradient_penalty")

        reversal: Finite = 1.0
        ramp: bool = True
        gradient_penalty: NonNegative = 0.0

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]

    def updates(self, batch: Batch) -> Iterator[Update]:
        """Yield the one update of a batch."""
        features = self.backbone(batch.image)
        target_loss = self.target_loss(self.target_head(features), batch.target)
        ramp = terms.ramp(self.progress) if self.options.ramp else 1.0
        group_loss, parts = self.head_losses(features, batch, strength=ramp)
        loss = target_loss + group_loss
        for head in self.heads:
            if head.options.gradient_penalty:
                loss = loss + head.options.gradient_penalty * self._penalty(head, features, batch)
        parts = {"target": target_loss, "group": group_loss, **parts}
        yield Update("joint", loss, steps=("main", "group"), parts=parts)

    def _penalty(self, head: GroupHead, features: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared gradient of each image's group loss by its features."""
        still = features.detach().requires_grad_()
        loss = self.head_loss(head, still, batch) * len(still)  # a sum: each row has its own
        (gradient,) = torch.autograd.grad(loss, still, create_graph=True)
        return terms.batch_mean(gradient.square().sum(dim=1))
