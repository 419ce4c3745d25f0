"""Least-squares concept erasure."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from equiderm.debias.dfr import set_layer
from equiderm.debias.erm import ERM
from equiderm.debias.method import Attribute
from equiderm.debias.settings import Share, settings
from equiderm.errors import InputError


class LEACE(ERM):
    r"""Least-squares concept erasure: ERM, then features that hide the group from linear probes.

    .. math::
        r(z) = z - S^{1/2} P \, S^{-1/2} (z - \mu), \qquad
        P \text{ the projector on the columns of } S^{-1/2} \, \mathrm{cov}(z, b)

    with z = f(x) of the trained ``backbone``, mu and S their mean and covariance over the training
    rows and b the one-hot group, the measured number, or those of several attributes together. Of
    all maps after which the covariance with the group is zero this one moves z least. The target
    head is then refitted on r(z), by logistic regression with an L2 penalty, C = 1.

    The control that tells "unlearned" from "better": the linear probe is at chance by construction,
    a non-linear one need not be, and the target's AUROC shows what that costs.

    Hyper-parameters: `ERM`'s for the training; shrink 1e-3.

    Args:
        backbone: Maps images to features.
        n_features: Width of the features.
        shrink: Share of the mean variance that is mixed into S, in [0, 1).
        options: `Method`'s, too; ``deep_target_head`` has no single layer to fit
            and is refused.

    Source:
        Belrose et al. 2023, LEACE: perfect linear concept erasure in closed form, theorem 4.3.
    """

    uses_group = True
    targets = frozenset({"binary"})
    takes = frozenset({"number", "several"})
    refits = "train"

    @settings("[method]")
    class Options(ERM.Options):
        """LEACE's hyper-parameters."""

        shrink: Share = 1e-3

        def __post_init__(self) -> None:
            """Check what the types cannot."""
            super().__post_init__()
            if self.deep_target_head:
                raise InputError(
                    "[method] deep_target_head: this method fits one layer; leave it out."
                )

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, backbone: nn.Module, n_features: int, **options: Any) -> None:
        super().__init__(backbone, n_features, **options)
        # r(z) = z - (z - mean) @ erased; nothing is erased before the training is over.
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("erased", torch.zeros(n_features, n_features))
        self.mean: Tensor
        self.erased: Tensor

    def features(self, image: Tensor) -> Tensor:
        """Return the erased features, shape (n, n_features)."""
        z = self.backbone(image).to(self.erased.dtype)
        with torch.autocast(z.device.type, enabled=False):
            off = z - self.mean
            left = off - off @ self.erased
            # The rest of a whole feature that was erased is rounding, which may tell the group.
            rounding = 16 * torch.finfo(z.dtype).eps * off.abs().amax(1, keepdim=True)
            return self.mean + torch.where(left.abs() > rounding, left, 0)

    def refit(
        self, features: Tensor, target: Tensor, group: Tensor, *more: Tensor
    ) -> dict[str, Any]:
        """Fit the eraser on the rows of known group and the target head on all; return its rank."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        z = features.cpu().double()
        label = torch.cat(
            [
                label_of(attribute, values.cpu())
                for attribute, values in zip(self.attributes, (group, *more), strict=True)
            ],
            dim=1,
        )
        known = label.isfinite().all(dim=1)
        mean, erased, rank = eraser(z[known], label[known], shrink=self.options.shrink)
        self.mean.copy_(mean)
        self.erased.copy_(erased)
        kept = (z - (z - mean) @ erased).numpy()
        scaler: Any = StandardScaler().fit(kept)
        model: Any = LogisticRegression(C=1.0, max_iter=2000)
        model.fit(scaler.transform(kept), target.cpu().numpy().astype(int))
        weight = model.coef_[0] / scaler.scale_
        set_layer(self.target_head, weight, float(model.intercept_[0] - weight @ scaler.mean_))
        return {"erased_dimensions": rank, "rows": int(known.sum())}


def label_of(attribute: Attribute, values: Tensor) -> Tensor:
    """Return b of rows: one-hot groups (n, K), or a number (n, 1); NaN where unknown."""
    if attribute.target.kind == "number":
        return values.double().unsqueeze(1)
    label = functional.one_hot(values.clamp_min(0), attribute.n_groups).double()
    return label.masked_fill((values < 0).unsqueeze(1), torch.nan)


def eraser(z: Tensor, label: Tensor, *, shrink: float) -> tuple[Tensor, Tensor, int]:
    """Return the mean (d,) and matrix (d, d) of r(z) = z - (z - mean) @ matrix, and its rank.

    Args:
        z: Features, float64, shape (n, d).
        label: b, such as one-hot groups, float64, shape (n, K).
        shrink: Share of the mean variance in the covariance.
    """
    mean = z.mean(0)
    centred = z - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(z))
    live = values > 1e-10 * values.max()  # a direction without variance holds nothing to erase
    vectors = vectors[:, live]
    values = (1 - shrink) * values[live] + shrink * values.mean()
    root = vectors * values.sqrt() @ vectors.T
    whiten = vectors * values.rsqrt() @ vectors.T
    cross = whiten @ (centred.T @ (label - label.mean(0)) / len(z))  # (d, K)
    u, sizes, _ = torch.linalg.svd(cross, full_matrices=False)
    u = u[:, sizes > 1e-8 * sizes.max().clamp_min(1e-30)]
    return mean, (root @ u @ u.T @ whiten).T, u.shape[1]
