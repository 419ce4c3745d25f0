"""Domain-independent training."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from equiderm.batch import Batch
from equiderm.debias import terms
from equiderm.debias.method import Method, Update
from equiderm.models import Head


class DomainIndependent(Method):
    r"""Domain-independent training: a target head per group on shared features.

    .. math:: \min_{f, g} \; \mathrm{BCE}(g_b(f(x)), y), \qquad
        s = \frac{1}{K} \sum_b \sigma(g_b(f(x)))

    with b the image's group in training and s the score at use, which needs no group. An image of
    unknown group trains the mean of the heads, by which it is scored.

    Hyper-parameters: ERM's. The heads share every feature: nothing is unlearned, but the group no
    longer helps to predict the target.

    Source:
        Wang et al. 2020, Towards fairness in visual recognition, section 4.4.

    Differs:
        The score is the mean of the heads' probabilities; the paper sums scores before the sigmoid.
    """

    uses_group = True

    def make_heads(self, n_features: int) -> tuple[nn.Module, nn.Module | None]:
        """Return the target heads, one output each, and no group head."""
        deep, dropout = self.options.deep_target_head, self.options.dropout
        return Head(n_features, self.n_groups, deep=deep, dropout=dropout), None

    def forward(self, image: Tensor) -> Tensor:
        """Return the logit of the mean of the heads' probabilities, shape (n,)."""
        return _mixture(self.target_head(self.backbone(image)))

    def updates(self, batch: Batch) -> Iterator[Update]:
        """Yield one update."""
        logits = self.target_head(self.backbone(batch.image))
        own = logits.gather(1, batch.group.clamp_min(0).unsqueeze(1)).squeeze(1)
        logit = torch.where(batch.group >= 0, own, _mixture(logits))
        yield Update("target", terms.target_loss(logit.unsqueeze(1), batch.target), steps=("main",))


def _mixture(logits: Tensor) -> Tensor:
    """Return the logit of the mean of sigmoids, shape (n,), without rounding at the ends."""
    positive = functional.logsigmoid(logits).logsumexp(dim=1)
    return positive - functional.logsigmoid(-logits).logsumexp(dim=1)
