"""The figures that validation watches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from equiderm.batch import Target
from equiderm.statistics.ranks import rank_correlation

FIGURES = {  # what validation can watch of each kind of target
    "binary": ("auroc", "worst_group_auroc"),
    "classes": ("auroc",),
    "ordered": ("spearman",),
    "number": ("spearman",),
}


def figures_of(target: Target, value: NDArray[Any], scores: NDArray[Any]) -> dict[str, float]:
    """Return the figure of a target that is not binary.

    Args:
        target: The target.
        value: Indices of classes, or the number, shape (n,).
        scores: Probabilities of the classes (n, C), or the number (n, 1).

    Returns:
        ``auroc`` of classes, the mean over those that some but not all images have; or
        ``spearman``, 0 for a constant answer, of ordered classes by their mean rank.
    """
    if target.kind == "classes":
        each = [auroc(value == k, scores[:, k]) for k in range(scores.shape[1])]
        known = [value for value in each if not np.isnan(value)]
        return {"auroc": float(np.mean(known)) if known else float("nan")}
    answer = scores @ np.arange(scores.shape[1]) if target.kind == "ordered" else scores[:, 0]
    return {"spearman": float(rank_correlation(answer, value)[0])}


def figures(
    target: NDArray[Any], score: NDArray[Any], group: NDArray[Any], *, least: int = 1
) -> dict[str, float]:
    """Return ``auroc`` and ``worst_group_auroc``, the lowest of the groups that are large enough.

    Args:
        target: 0 or 1, shape (n,).
        score: Higher is more malignant, shape (n,); a logit will do.
        group: Group indices, shape (n,), -1 where unknown; those count in ``auroc`` alone.
        least: Positives, and negatives, that a group needs to count.

    Returns:
        NaN for a figure that no images define.
    """
    counted = large_groups(target, group, least=least)
    by_group = [auroc(target[group == k], score[group == k]) for k in counted]
    return {
        "auroc": auroc(target, score),
        "worst_group_auroc": min(by_group) if by_group else float("nan"),
    }


def large_groups(target: NDArray[Any], group: NDArray[Any], *, least: int) -> list[int]:
    """Return the groups with at least ``least`` positives and as many negatives."""
    counts = {
        int(k): np.bincount(target[group == k].astype(int), minlength=2)
        for k in np.unique(group[group >= 0])
    }
    return [k for k, count in counts.items() if count.min() >= least]


def auroc(target: NDArray[Any], score: NDArray[Any]) -> float:
    """Return the area under the ROC curve; NaN where only one target occurs."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(target, score)) if len(np.unique(target)) == 2 else float("nan")
