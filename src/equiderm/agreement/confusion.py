"""A confusion matrix and its bootstrap resamples; all measures of agreement from counts alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from equiderm.agreement.judged import distances

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
    row: NDArray[np.intp], label: NDArray[np.float64], types: Sequence[int]
) -> NDArray[np.intp]:
    """Return the cell of each image in a flat (r, k + 1) table of judgement by label, shape (n,).

    Args:
        row: Each image's judgement as 0 .. r - 1, shape (n,); none missing.
        label: Labels, shape (n,); NaN where there is none, which is the last column.
        types: The scale, length k.
    """
    k = len(types)
    columns = np.where(np.isnan(label), k, np.searchsorted(types, np.nan_to_num(label)))
    return row * (k + 1) + columns


def confusion_matrix(
    row: NDArray[np.intp], label: NDArray[np.float64], types: Sequence[int], rows: int
) -> NDArray[np.int64]:
    """Return counts of judgement by label, shape (rows, k + 1); last column: without a label."""
    columns = len(types) + 1
    cells = cell_index(row, label, types)
    return np.bincount(cells, minlength=rows * columns).reshape(rows, columns)


def reweight(counts: Counts, target: NDArray[np.float64] | None) -> Counts:
    """Return counts, shape (..., r, k), with row sums in proportion to the target, shape (r,).

    A judgement without images stays empty. None leaves the counts unchanged.

    Source:
        Saerens, Latinne and Decaestecker 2002, Neural Computation 14:21: prior shift.
    """
    if target is None:
        return counts
    rows = counts.sum(-1, keepdims=True)
    share = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
    return share * target[:, None] * counts.sum((-2, -1), keepdims=True)


def agreement_figures(
    counts: Counts, n_dark: int, members: NDArray[np.bool_] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Return every measure of `FIGURES` of confusion matrices, each of shape (...).

    A label inside a range of types is right; outside, the nearest type of the range counts.

    Args:
        counts: Counts or weights, shape (..., r, k); rows are judgements, columns labels.
        n_dark: How many of the last types count as dark. A range counts as dark for the recall if
            all of its types are dark, and for the precision if any is.
        members: The types of each judgement, shape (r, k); None: one type per row.

    Returns:
        NaN where a measure is undefined: no image, no dark image, or no variance.

    Source:
        Kappa: Cohen 1968, Psychological Bulletin 70:213, with squared distances as weights.
    """
    if members is None:
        members = np.eye(counts.shape[-1], dtype=np.bool_)
    distance = distances(members)
    all_dark = ~members[:, :-n_dark].any(axis=1)
    any_dark = members[:, -n_dark:].any(axis=1)
    total = counts.sum((-2, -1))
    truth, label = counts.sum(-1), counts.sum(-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        near = (counts * (distance <= 1)).sum(-1) / truth
        expected = np.einsum("...i,...j,ij->...", truth, label, distance**2) / total
        labelled_dark = counts[..., -n_dark:].sum(-1)
        types_present = (truth > 0).sum(-1)
        return {
            "exact": (counts * (distance == 0)).sum((-2, -1)) / total,
            "within_one": (counts * (distance <= 1)).sum((-2, -1)) / total,
            "mean_within_one": np.nan_to_num(near).sum(-1) / types_present,
            "mean_absolute_error": (counts * distance).sum((-2, -1)) / total,
            "kappa": 1 - (counts * distance**2).sum((-2, -1)) / expected,
            "spearman": _spearman(counts, members),
            "recall_dark": labelled_dark[..., all_dark].sum(-1) / truth[..., all_dark].sum(-1),
            "precision_dark": labelled_dark[..., any_dark].sum(-1) / labelled_dark.sum(-1),
        }


def _spearman(counts: Counts, members: NDArray[np.bool_]) -> Counts:
    """Return Pearson's correlation of mid-ranks from counts; a range is ranked by its middle."""
    middle = members @ np.arange(members.shape[1]) / np.maximum(members.sum(axis=1), 1)
    place = np.unique(middle, return_inverse=True)[1]
    counts = np.moveaxis(counts, -2, 0)
    merged = np.zeros((int(place.max()) + 1, *counts.shape[1:]))
    np.add.at(merged, place, counts)
    counts = np.moveaxis(merged, 0, -2)
    truth, label, total = counts.sum(-1), counts.sum(-2), counts.sum((-2, -1))
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

    To draw n images with replacement is to draw the cell counts from a multinomial; to draw
    patients is to weight their counts by a multinomial. No row is copied.

    Args:
        cells: The cell of each image, shape (n,), in [0, n_cells).
        n_cells: Number of cells.
        clusters: The patient of each image as 0, 1, ..., shape (n,); None draws images.
        draws: Number of resamples.
        seed: Seed of the random numbers.

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


def exact_bound(n: int) -> float:
    """Return the lower end of the 95 % interval of a share of 1 in n draws.

    The upper end for a share of 0 is one minus this.

    Source:
        Clopper and Pearson 1934, Biometrika 26:404.
    """
    return 0.025 ** (1 / n) if n > 0 else 0.0


def exact_mean_bound(n: NDArray[np.float64]) -> float:
    """Return the lower end of the 95 % interval of a mean of shares that are all 1.

    The lowest mean of shares p for which all draws succeed with probability 0.025; for a single
    share this is `exact_bound`. Solved by bisection on the logarithm of the Lagrange multiplier of
    the constraint sum n log p = log 0.025.

    Args:
        n: Draws of each share (may be fractional), shape (m,), each above 0.
    """
    low, high = -50.0, float(-np.log(n.min()))
    for _ in range(200):
        middle = (low + high) / 2
        spent = (n * np.minimum(0.0, middle + np.log(n))).sum()
        low, high = (middle, high) if spent < np.log(0.025) else (low, middle)
    return float(np.minimum(1.0, np.exp(high) * n).mean())


def best_constants(
    judged_counts: Counts, n_dark: int, members: NDArray[np.bool_] | None = None
) -> dict[str, tuple[float, int | None]]:
    """Return, for each measure, the best value of a constant answer and the index of its type.

    Args:
        judged_counts: Count or weight of each judgement, shape (r,).
        n_dark: As in `agreement_figures`.
        members: As in `agreement_figures`.
    """
    r = len(judged_counts)
    k = r if members is None else members.shape[1]
    constant = np.zeros((k, r, k))
    constant[np.arange(k), :, np.arange(k)] = judged_counts
    best: dict[str, tuple[float, int | None]] = {}
    for name, values in agreement_figures(constant, n_dark, members).items():
        if name in ("kappa", "spearman") or np.isnan(values).all():
            best[name] = (0.0 if name == "kappa" else float("nan"), None)
            continue
        index = int(np.nanargmin(values) if name == "mean_absolute_error" else np.nanargmax(values))
        best[name] = (float(values[index]), index)
    return best
