"""The figures that validation watches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def figures(target: NDArray[Any], score: NDArray[Any], group: NDArray[Any]) -> dict[str, float]:
    """Return ``auroc`` and ``worst_group_auroc``, the lowest of the groups that have both targets.

    Args:
        target: 0 or 1, shape (n,).
        score: Higher is more malignant, shape (n,); a logit will do.
        group: Group indices, shape (n,), -1 where unknown; those count in ``auroc`` alone.

    Returns:
        NaN for a figure that no images define.
    """
    by_group = [auroc(target[group == k], score[group == k]) for k in np.unique(group[group >= 0])]
    finite = [value for value in by_group if np.isfinite(value)]
    return {
        "auroc": auroc(target, score),
        "worst_group_auroc": min(finite) if finite else float("nan"),
    }


def auroc(target: NDArray[Any], score: NDArray[Any]) -> float:
    """Return the area under the ROC curve; NaN without both targets."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(target, score)) if len(np.unique(target)) == 2 else float("nan")
