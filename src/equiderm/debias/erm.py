"""Empirical risk minimisation."""

from __future__ import annotations

from collections.abc import Iterator

from equiderm.batch import Batch
from equiderm.debias.method import Method, Update


class ERM(Method):
    r"""Empirical risk minimisation: the baseline, which knows nothing of groups.

    .. math:: \min_{f, g} \; L_t, \qquad L_t = \mathrm{BCE}(g(f(x)), y)

    with f the ``backbone`` and g the ``target_head``.

    Hyper-parameters as published: SGD, momentum 0.9, rate 3e-4 for backbone and head, batch 64.
    The released TABE and CLGR move the backbone about eleven times as fast (3e-4 and then 3e-3 on
    one gradient); ERM with ``backbone = 3.3e-3`` is the control for it that the paper lacks.

    Source:
        Bevan and Atapour-Abarghouei 2022, section 3.4, and the authors' released code.
    """

    targets = frozenset({"binary", "classes", "ordered", "number"})
    takes = frozenset({"number", "several"})

    def updates(self, batch: Batch) -> Iterator[Update]:
        """Yield one update."""
        logit = self.target_head(self.backbone(batch.image))
        yield Update("target", self.target_loss(logit, batch.target), steps=("main",))
