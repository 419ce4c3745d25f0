"""Weights that balance a sample to a given mix of covariates, and the variance of a weighted mean.

Source:
    Hainmueller 2012, Political Analysis 20:25 (entropy balancing). The variance is that of the
    residuals of a regression on the covariates: Deville and Sarndal 1992, JASA 87:376.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS, CLOSE = 60, 1e-8  # Newton steps at most; the imbalance at which they stop


def balanced(
    mix: NDArray[np.float64],
    wanted: NDArray[np.float64],
    counts: NDArray[np.float64] | None = None,
) -> NDArray[np.float64] | None:
    """Return the weights closest to equal that give ``mix`` the weighted mean ``wanted``.

    Args:
        mix: The covariates to balance, shape (n, k).
        wanted: Their mean after weighting, shape (k,).
        counts: Sampling weights, shape (n,): the result stays closest to these instead of equal.

    Returns:
        Weights above 0, shape (n,), that sum to 1; None if no weights reach that mean.
    """
    off = mix - wanted
    base = np.ones(len(off)) if counts is None else counts
    lead = np.zeros(off.shape[1])

    def weights(lead: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        level = off @ lead
        top = float(level.max())
        raw = base * np.exp(level - top)
        return raw / raw.sum(), top + float(np.log(raw.sum()))

    weight, height = weights(lead)
    for _ in range(STEPS):
        slope = weight @ off
        if np.abs(slope).max(initial=0.0) < CLOSE:
            return weight
        curvature = (off * weight[:, None]).T @ off - np.outer(slope, slope)
        step = np.linalg.lstsq(curvature, -slope, rcond=1e-10)[0]
        share = 1.0
        while share > 1e-6:
            following, lower = weights(lead + share * step)
            if lower <= height + 1e-4 * share * float(slope @ step):
                break
            share /= 2
        else:
            break
        lead, weight, height = lead + share * step, following, lower
    return weight if np.abs(weight @ off).max(initial=0.0) < 1e-5 else None


def residuals(
    values: NDArray[np.float64],
    mix: NDArray[np.float64],
    weight: NDArray[np.float64],
    patient: NDArray[np.intp] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the residuals of a weighted regression on the mix, shape (n,), and its slopes, (k,).

    Each residual is divided by 1 - leverage (HC3), because the regression fits few rows too
    closely. With patients it is divided by the square root of that (CR2), where the sum of the
    leverages of a patient's rows replaces their matrix and corrects slightly too much.

    Args:
        values: The outcome, shape (n,).
        mix: The covariates that were balanced, shape (n, k).
        weight: Weights of the rows, summing to 1, shape (n,).
        patient: Patient code of each row, shape (n,); None if each row is another patient's.
    """
    centre = weight @ mix
    design = np.column_stack([np.ones(len(mix)), mix - centre])
    inverse = np.linalg.pinv((design * weight[:, None]).T @ design, rcond=1e-10)
    slopes = inverse @ (design.T @ (weight * values))
    leverage = weight * np.einsum("ij,jk,ik->i", design, inverse, design)
    kept = np.clip(1 - leverage, 0.1, 1.0)
    if patient is not None:
        codes = np.unique(patient, return_inverse=True)[1]
        kept = np.sqrt(np.clip(1 - np.bincount(codes, leverage)[codes], 0.1, 1.0))
    off = (values - design @ slopes) / kept
    return off, slopes[1:]
