"""A confusion matrix and its resamples: every figure of agreement from counts alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
FIGURES = {
    "exact": "exact",
    "within_one": "within one type",
    "mean_within_one": "within one, mean over types",
    "mean_absolute_error": "mean absolute error (types)",
    "kappa": "quadratic-weighted kappa",
    "spearman": "Spearman correlation",
    "recall_dark": "recall of the dark types",
    "precision_dark": "precision of the dark types",
}

Counts = NDArray[np.float64]


def dark_types(types: Sequence[int]) -> tuple[int, ...]:
    """Return the darkest third of a scale: 5 and 6 of 1-6, 8 to 10 of 1-10."""
    return tuple(types[-max(1, round(len(types) / 3)) :])


def cell_index(
    truth: NDArray[np.float64], label: NDArray[np.float64], types: Sequence[int]
) -> NDArray[np.intp]:
    """Return the cell of each image in a flat (k, k + 1) table of truth by label, shape (n,).

    Args:
        truth: Judged types, shape (n,); none missing.
        label: Types to judge, shape (n,); NaN where there is none: the last column.
        types: The scale, length k.
    """
    k = len(types)
    rows = np.searchsorted(types, truth)
    columns = np.where(np.isnan(label), k, np.searchsorted(types, np.nan_to_num(label)))
    return rows * (k + 1) + columns


def confusion_matrix(
    truth: NDArray[np.float64], label: NDArray[np.float64], types: Sequence[int]
) -> NDArray[np.int64]:
    """Return counts of truth by label, shape (k, k + 1); the last column counts no label."""
    k = len(types)
    cells = cell_index(truth, label, types)
    return np.bincount(cells, minlength=k * (k + 1)).reshape(k, k + 1)


def reweight(counts: Counts, target: NDArray[np.float64] | None) -> Counts:
    """Return counts, shape (..., k, k), whose rows sum to the target shares of the truth, (k,).

    A type that no image has stays empty. None leaves the counts as they are.

    Source:
        Saerens, Latinne and Decaestecker 2002, Neural Computation 14:21: prior shift.
    """
    if target is None:
        return counts
    rows = counts.sum(-1, keepdims=True)
    share = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
    return share * target[:, None] * counts.sum((-2, -1), keepdims=True)


def agreement_figures(counts: Counts, n_dark: int) -> dict[str, NDArray[np.float64]]:
    """Return every figure of `FIGURES` of confusion matrices, each of shape (...).

    Args:
        counts: Counts or weights, shape (..., k, k); rows truth, columns labels.
        n_dark: How many of the last types count as dark.

    Returns:
        NaN where a figure is undefined: no image, no dark image, or no spread.

    Source:
        Kappa: Cohen 1968, Psychological Bulletin 70:213, with squared distances as weights.
    """
    k = counts.shape[-1]
    distance = np.abs(np.arange(k)[:, None] - np.arange(k))
    total = counts.sum((-2, -1))
    truth, label = counts.sum(-1), counts.sum(-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        near = (counts * (distance <= 1)).sum(-1) / truth
        expected = np.einsum("...i,...j,ij->...", truth, label, distance**2) / total
        dark = counts[..., -n_dark:, -n_dark:].sum((-2, -1))
        seen = (truth > 0).sum(-1)
        return {
            "exact": np.trace(counts, axis1=-2, axis2=-1) / total,
            "within_one": (counts * (distance <= 1)).sum((-2, -1)) / total,
            "mean_within_one": np.nan_to_num(near).sum(-1) / seen,
            "mean_absolute_error": (counts * distance).sum((-2, -1)) / total,
            "kappa": 1 - (counts * distance**2).sum((-2, -1)) / expected,
            "spearman": _spearman(counts, truth, label, total),
            "recall_dark": dark / truth[..., -n_dark:].sum(-1),
            "precision_dark": dark / label[..., -n_dark:].sum(-1),
        }


def _spearman(counts: Counts, truth: Counts, label: Counts, total: Counts) -> Counts:
    """Pearson's correlation of mid-ranks, from the table alone."""
    ranks = [margin.cumsum(-1) - margin / 2 - total[..., None] / 2 for margin in (truth, label)]
    covariance = np.einsum("...ij,...i,...j->...", counts, *ranks)
    spread = (truth * ranks[0] ** 2).sum(-1) * (label * ranks[1] ** 2).sum(-1)
    return covariance / np.sqrt(spread)


def resample(
    cells: NDArray[np.intp],
    n_cells: int,
    *,
    clusters: NDArray[np.intp] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Counts:
    """Return bootstrap counts of cells, shape (draws, n_cells).

    Drawing n images with replacement is drawing cell counts from a multinomial; drawing patients
    is weighting their tables with a multinomial. So no row is ever copied.

    Args:
        cells: The cell of each image, shape (n,), in [0, n_cells).
        n_cells: How many cells there are.
        clusters: The patient of each image as 0, 1, ..., shape (n,); None draws images.
        draws: How many resamples.
        seed: Of the random numbers.

    Source:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 6 and 13.
    """
    generator = np.random.default_rng(seed)
    if clusters is None:
        share = np.bincount(cells, minlength=n_cells) / len(cells)
        return generator.multinomial(len(cells), share, size=draws).astype(float)
    n_clusters = int(clusters.max()) + 1
    flat = np.bincount(clusters * n_cells + cells, minlength=n_clusters * n_cells)
    tables: Counts = flat.reshape(n_clusters, n_cells).astype(np.float64)
    even = np.full(n_clusters, 1 / n_clusters)
    chunks: list[Counts] = [
        generator.multinomial(n_clusters, even, size=min(200, draws - start)) @ tables
        for start in range(0, draws, 200)
    ]
    return np.concatenate(chunks)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 2.5 and 97.5 % quantiles of the resamples that have a value; NaN if none has."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


def best_constants(truth_counts: Counts, n_dark: int) -> dict[str, tuple[float, int | None]]:
    """Return, for each figure, the best value that one constant answer reaches, and its index."""
    k = len(truth_counts)
    constant = np.zeros((k, k, k))
    constant[np.arange(k), :, np.arange(k)] = truth_counts
    best: dict[str, tuple[float, int | None]] = {}
    for name, values in agreement_figures(constant, n_dark).items():
        if name in ("kappa", "spearman") or np.isnan(values).all():
            best[name] = (0.0 if name == "kappa" else float("nan"), None)
            continue
        index = int(np.nanargmin(values) if name == "mean_absolute_error" else np.nanargmax(values))
        best[name] = (float(values[index]), index)
    return best
