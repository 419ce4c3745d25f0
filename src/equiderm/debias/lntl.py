"""Learning Not to Learn."""

from __future__ import annotations

from collections.abc import Iterator

from equiderm.batch import Batch
from equiderm.debias import terms
from equiderm.debias.method import GroupMethod, Schedule, Update
from equiderm.debias.settings import Finite, NonNegative, settings
from equiderm.models import frozen, reverse_gradient


class LNTL(GroupMethod):
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
    class Options(GroupMethod.Options):
        """LNTL's hyper-parameters."""

        schedule: Schedule = "alternating"
        entropy_weight: NonNegative = 0.01
        reversal: Finite = 0.1

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]

    def updates(self, batch: Batch) -> Iterator[Update]:
        """Yield the update of features and target head, then that of the group head; or both."""
        features = self.backbone(batch.image)
        target_loss = terms.target_loss(self.target_head(features), batch.target)
        penalty = terms.negative_entropy(frozen(self.group_head, features))
        loss = target_loss + self.options.entropy_weight * penalty
        if self.options.schedule == "alternating":
            yield Update("target", loss, steps=("main",))
            features = self.backbone(batch.image)
        logits = self.group_head(reverse_gradient(features, self.options.reversal))
        group_loss = terms.group_loss(logits, batch.group, self.group_weights)
        if self.options.schedule == "alternating":
            yield Update("group", group_loss, steps=("main", "group"))
        else:
            parts = {"target": loss, "group": group_loss}
            yield Update("joint", loss + group_loss, steps=("main", "group"), parts=parts)
