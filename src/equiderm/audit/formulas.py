"""Figures of the four counts at a threshold, one formula each for values, sums and variances.

A formula takes true positives, false positives, positives, negatives and the threshold. The counts
are numbers, arrays over resamples, or complex numbers for its derivative (`influence`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

STEP = 1e-20  # of the complex-step derivative, which has no cancellation


def sensitivity(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return the share of the positives that are called positive."""
    del fp, n, cut
    return tp / p


def specificity(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return the share of the negatives that are called negative."""
    del tp, p, cut
    return 1 - fp / n


def ppv(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return the positive predictive value: the share of positives among those called positive."""
    del p, n, cut
    return tp / (tp + fp)


def npv(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return the negative predictive value: the share of negatives among those called negative."""
    del cut
    return (n - fp) / (p + n - tp - fp)


def selection_rate(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return the share of all rows that are called positive."""
    del cut
    return (tp + fp) / (p + n)


def accuracy(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return the share of rows classified correctly; it favours answering the common class."""
    del cut
    return (tp + n - fp) / (p + n)


def balanced_accuracy(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return the mean of sensitivity and specificity, in [0, 1]; 0.5 is chance."""
    del cut
    return (tp / p + 1 - fp / n) / 2


def f1(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return the harmonic mean of sensitivity and PPV, in [0, 1]; it depends on prevalence.

    Source:
        van Rijsbergen 1979, Information Retrieval, chapter 7.
    """
    del n, cut
    return 2 * tp / (tp + fp + p)


def miss_rate(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return the share of the positives that are called negative."""
    del fp, n, cut
    return 1 - tp / p


def false_alarm_rate(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return the share of the negatives that are called positive."""
    del tp, p, cut
    return fp / n


def positive_likelihood_ratio(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return sensitivity over false positive rate, 0 or above; 1 is chance.

    Source:
        Deeks and Altman 2004, BMJ 329:168.
    """
    del cut
    return (tp * n) / (fp * p)


def negative_likelihood_ratio(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return false negative rate over specificity, 0 or above; 1 is chance, lower is better.

    Source:
        Deeks and Altman 2004, BMJ 329:168.
    """
    del cut
    return ((p - tp) * n) / ((n - fp) * p)


def net_benefit(tp: Any, fp: Any, p: Any, n: Any, cut: float) -> Any:
    """Return true positives minus false positives times the threshold's odds, per row.

    At most the prevalence; if below 0, it would be better to call no image positive.

    Source:
        Vickers and Elkin 2006, Medical Decision Making 26:565.
    """
    return (tp - fp * np.divide(cut, 1 - cut)) / (p + n)


def counts(
    target: ArrayLike,
    score: ArrayLike,
    threshold: float,
    weight: NDArray[np.float64] | None = None,
) -> tuple[float, ...]:
    """Return true positives, false positives, positives and negatives, or their weights."""
    positive = np.asarray(target).astype(bool)
    called = np.asarray(score, dtype=float) >= threshold
    if weight is not None:
        cells = (called & positive, called & ~positive, positive, ~positive)
        return tuple(float(weight[cell].sum()) for cell in cells)
    p, tp = int(positive.sum()), int((called & positive).sum())
    return float(tp), float(called.sum() - tp), float(p), float(len(positive) - p)


def value(
    formula: Callable[..., Any],
    target: ArrayLike,
    score: ArrayLike,
    cut: float,
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Return a figure by its formula; NaN if it is undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        result = float(formula(*map(np.float64, counts(target, score, cut, weight)), cut))
    return result if np.isfinite(result) else float("nan")


def influence(
    formula: Callable[..., Any],
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    weight: NDArray[np.float64] | None = None,
    *,
    threshold: float,
) -> NDArray[np.float64]:
    """Return how much each row moves a figure, shape (n,), by its formula's derivative.

    Source:
        The derivative by a complex step: Squire and Trapp 1998, SIAM Review 40:110.
    """
    at = np.array(counts(target, score, threshold, weight), dtype=complex)
    steps = at + 1j * STEP * np.eye(4)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_count = [np.imag(formula(*step, threshold)) / STEP for step in steps]
    called = score >= threshold
    moved = np.where(target, by_count[2] + called * by_count[0], by_count[3] + called * by_count[1])
    return moved if weight is None else weight * moved
