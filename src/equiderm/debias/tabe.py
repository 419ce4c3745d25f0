"""Turning a Blind Eye."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch

from equiderm.batch import Batch
from equiderm.debias import terms
from equiderm.debias.method import GroupMethod, Rates, Schedule, Update, new_optimizer
from equiderm.debias.settings import Finite, NonNegative, settings
from equiderm.errors import InputError
from equiderm.models import frozen, reverse_gradient


class TABE(GroupMethod):
    r"""Turning a Blind Eye: features that leave the bias head at the uniform distribution.

    .. math::
        (1)\quad & \min_{f, g} \; L_t + \alpha \, E\Big[-\sum_k u_k \log q_k\Big],
            \qquad u_k = 1/K, \; q = \mathrm{softmax}(h(f(x))) \\
        (2)\quad & \min_{h} \; L_b, \quad f \text{ moved along } + c \, \nabla_f L_b,
            \qquad L_b = \mathrm{CE}_w(h(f(x)), b)

    with f the ``backbone``, g the ``target_head``, h the ``group_head``, b the group, w the
    ``group_weights``, alpha ``confusion_weight`` and c ``reversal``, 0 here: h learns alone.

    Hyper-parameters as published: confusion_weight 0.03, rates 3e-4 and 3e-3 for h. As released
    (``experiments/tabe-as-released.toml``): confusion_target ``noise``, reversal -1 (the bias step
    moves the backbone towards the group), second_backbone_rate 3e-3, schedule ``alternating``.

    Args:
        backbone: Maps images to features.
        n_features: Width of the features.
        n_groups: K, at least 2.
        schedule: ``alternating``, as published: (1) and (2) each with its own forward. ``joint``:
            one forward for both, h held constant in (1).
        confusion_weight: alpha, >= 0.
        confusion_target: u: ``uniform``, or ``noise`` in [0, 1), fresh for every batch.
        reversal: c; 0 trains h alone in (2), -1 is no reversal.
        second_backbone_rate: Rate of a second optimiser that steps the backbone on the gradient
            of (1) once more; 0 for none. Only with ``alternating``.
        options: `Method`'s, too.

    Source:
        Alvi et al. 2018, Turning a Blind Eye, section 3; constants from the released code
        of Bevan and Atapour-Abarghouei 2022.

    Differs:
        The released code differs from both papers in the three options named above. Log-softmax
        here where it takes the logarithm of a softmax.
    """

    @settings("[method]")
    class Options(GroupMethod.Options):
        """TABE's hyper-parameters."""

        schedule: Schedule = "alternating"
        confusion_weight: NonNegative = 0.03
        confusion_target: Literal["uniform", "noise"] = "uniform"
        reversal: Finite = 0.0
        second_backbone_rate: NonNegative = 0.0

        def __post_init__(self) -> None:
            """Check what the types cannot."""
            super().__post_init__()
            if self.second_backbone_rate and self.schedule == "joint":
                raise InputError("[method] second_backbone_rate: needs schedule = 'alternating'.")

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]

    def optimizers(
        self, rates: Rates, *, momentum: float = 0.9, **options: Any
    ) -> dict[str, torch.optim.Optimizer]:
        """Return ``main``, ``group`` and, where asked for, the second one of the backbone."""
        optimizers = super().optimizers(rates, momentum=momentum, **options)
        if self.options.second_backbone_rate:
            rate = self.options.second_backbone_rate
            second = [{"params": list(self.backbone.parameters()), "lr": rate}]
            optimizers["second"] = new_optimizer(second, momentum=momentum, **options)
        return optimizers

    def updates(self, batch: Batch) -> Iterator[Update]:
        """Yield the update of features and target head, then that of the group head; or both."""
        features = self.backbone(batch.image)
        target_loss = terms.target_loss(self.target_head(features), batch.target)
        logits = frozen(self.group_head, features)
        noise = torch.rand_like(logits) if self.options.confusion_target == "noise" else None
        loss = target_loss + self.options.confusion_weight * terms.confusion(logits, noise)
        if self.options.schedule == "alternating":
            second = ("second",) if self.options.second_backbone_rate else ()
            yield Update("target", loss, steps=("main", *second))
            with torch.set_grad_enabled(self.options.reversal != 0):
                features = self.backbone(batch.image)
        logits = self.group_head(reverse_gradient(features, self.options.reversal))
        group_loss = terms.group_loss(logits, batch.group, self.group_weights)
        if self.options.schedule == "alternating":
            steps = ("main", "group") if self.options.reversal else ("group",)
            yield Update("group", group_loss, steps=steps)
        else:
            parts = {"target": loss, "group": group_loss}
            yield Update("joint", loss + group_loss, steps=("main", "group"), parts=parts)
