"""The two steps that LNTL, TABE and CLGR share: of features and target head, and of group heads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from equiderm.batch import Batch
from equiderm.debias.method import GroupMethod, Schedule, Update
from equiderm.debias.settings import Finite, settings
from equiderm.models import frozen


class TwoSteps(GroupMethod):
    r"""A regulariser of the group heads' outputs in one step, their losses in the other.

    .. math::
        (1)\quad & \min_{f, g} \; L_t + \sum_m R_m(h_m(f(x))) \\
        (2)\quad & \min_{h_1, \dots, h_M} \; \sum_m L_{b_m}, \quad f \text{ moved along }
            + \sum_m c_m \, \nabla_f L_{b_m}

    over the M attributes, usually one, each with its ``regulariser`` R and its ``reversal`` c.
    """

    targets = frozenset({"binary", "classes", "ordered", "number"})
    takes = frozenset({"number", "several"})

    @settings("[method]")
    class Options(GroupMethod.Options):
        """Options of the methods of two steps."""

        of_head: ClassVar[tuple[str, ...]] = ("deep_heads", "reversal")

        schedule: Schedule = "alternating"
        reversal: Finite = 0.0

        def regulariser(self, outputs: Tensor, kind: str) -> Tensor:
            """Return R of a head's outputs, (n, K), or (n, 1) where its ``kind`` is number."""
            raise NotImplementedError

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def first_steps(self) -> tuple[str, ...]:
        """The optimisers of (1)."""
        return ("main",)

    def updates(self, batch: Batch) -> Iterator[Update]:
        """Yield the update of features and target head, then that of the group heads; or both."""
        features = self.backbone(batch.image)
        loss = self.target_loss(self.target_head(features), batch.target)
        for head in self.heads:
            loss = loss + head.options.regulariser(frozen(head, features), head.target.kind)
        reverses = any(head.options.reversal for head in self.heads)
        if self.options.schedule == "alternating":
            yield Update("target", loss, steps=self.first_steps)
            with torch.set_grad_enabled(reverses):
                features = self.backbone(batch.image)
        group_loss, parts = self.head_losses(features, batch)
        if self.options.schedule == "alternating":
            steps = ("main", "group") if reverses else ("group",)
            yield Update("group", group_loss, steps=steps, parts=parts)
        else:
            parts = {"target": loss, "group": group_loss, **parts}
            yield Update("joint", loss + group_loss, steps=("main", "group"), parts=parts)
