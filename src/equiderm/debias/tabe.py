"""Turning a Blind Eye."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from equiderm.batch import Target
from equiderm.debias import terms
from equiderm.debias.method import Rates, new_optimizer
from equiderm.debias.settings import NonNegative, settings
from equiderm.debias.two_steps import TwoSteps
from equiderm.errors import InputError


class TABE(TwoSteps):
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
    class Options(TwoSteps.Options):
        """TABE's hyper-parameters."""

        of_head: ClassVar[tuple[str, ...]] = (
            "deep_heads",
            "confusion_weight",
            "confusion_target",
            "reversal",
        )

        confusion_weight: NonNegative = 0.03
        confusion_target: Literal["uniform", "noise"] = "uniform"
        second_backbone_rate: NonNegative = 0.0

        def __post_init__(self) -> None:
            """Check what the types cannot."""
            super().__post_init__()
            if self.second_backbone_rate and self.schedule == "joint":
                raise InputError("[method] second_backbone_rate: needs schedule = 'alternating'.")

        def regulariser(self, outputs: Tensor, kind: str) -> Tensor:
            """Return the weighted confusion of a head's outputs."""
            if kind == "number":
                return self.confusion_weight * terms.number_confusion(outputs)
            noise = torch.rand_like(outputs) if self.confusion_target == "noise" else None
            return self.confusion_weight * terms.confusion(outputs, noise)

        def check_attribute(self, name: str, target: Target) -> None:
            """Refuse noise for a number, which has no classes to draw it for."""
            if target.kind == "number" and self.confusion_target == "noise":
                raise InputError(
                    f"[method] confusion_target = 'noise': {name} is a number, and noise is drawn "
                    "for each of K groups; use 'uniform'."
                )

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def first_steps(self) -> tuple[str, ...]:
        """The optimisers of (1)."""
        return ("main", "second") if self.options.second_backbone_rate else ("main",)

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
