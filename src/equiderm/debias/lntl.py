"""Learning Not to Learn."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from equiderm.batch import Target
from equiderm.debias import terms
from equiderm.debias.settings import Finite, NonNegative, settings
from equiderm.debias.two_steps import TwoSteps
from equiderm.errors import InputError


class LNTL(TwoSteps):
    r"""Learning Not to Learn: features whose bias head is unsure, and reversal of its loss.

    .. math::
        (1)\quad & \min_{f, g} \; L_t + \lambda \, E\Big[\sum_k q_k \log q_k\Big],
            \qquad q = \mathrm{softmax}(h(f(x))) \\
        (2)\quad & \min_{h} \; L_b, \quad f \text{ moved along } + c \, \nabla_f L_b,
            \qquad L_b = \mathrm{CE}_w(h(f(x)), b)

    with f the ``backbone``, g the ``target_head``, h the ``group_head`` (the bias prediction
    network), b the group, w the ``group_weights``, lambda ``entropy_weight`` and c ``reversal``.

    Hyper-parameters as published: entropy_weight 0.01, reversal 0.1, all rates 3e-4. Table 3's
    LNTL* has no reversal: the bias loss then moves the features towards the group, reversal -1.

    Args:
        backbone: Maps images to features.
        n_features: Width of the features.
        n_groups: K, at least 2.
        schedule: ``alternating``, as published: (1) and (2) each with its own forward. ``joint``:
            one forward for both, h held constant in (1); the same gradients but for the update in
            between, at half the cost.
        entropy_weight: lambda, >= 0.
        reversal: c; 0 trains h alone in (2), -1 is no reversal.
        options: `Method`'s, too.

    Source:
        Kim et al. 2019, Learning Not to Learn, section 3; constants from the released code
        of Bevan and Atapour-Abarghouei 2022.

    Differs:
        Log-softmax where the released code takes the logarithm of a softmax.
    """

    @settings("[method]")
    class Options(TwoSteps.Options):
        """LNTL's hyper-parameters."""

        of_head: ClassVar[tuple[str, ...]] = ("deep_heads", "entropy_weight", "reversal")

        entropy_weight: NonNegative = 0.01
        reversal: Finite = 0.1

        def regulariser(self, outputs: Tensor, kind: str) -> Tensor:
            """Return the weighted negative entropy of a head's outputs."""
            return self.entropy_weight * terms.negative_entropy(outputs)

        def check_attribute(self, name: str, target: Target) -> None:
            """Refuse the entropy of a number's head, which has none."""
            if target.kind == "number" and self.entropy_weight:
                raise InputError(
                    f"[method] entropy_weight = {self.entropy_weight:g}: {name} is a number, and a "
                    "head's output for a number has no entropy; set entropy_weight = 0, or use "
                    "tabe, clgr or dann."
                )

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]
