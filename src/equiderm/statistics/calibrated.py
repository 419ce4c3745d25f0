"""Weights that give a sample a wanted mix, and how sure a mean with such weights is.

Source:
    Hainmueller 2012, Political Analysis 20:25 (entropy balancing). The variance is that of the
    residuals of a regression on what was balanced: Deville and Sarndal 1992, JASA 87:376.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS, CLOSE = 60, 1e-8


def balanced(
    mix: NDArray[np.float64],
    wanted: NDArray[np.float64],
    counts: NDArray[np.float64] | None = None,
) -> NDArray[np.float64] | None:
    """Return the weights nearest to equal ones whose mean of ``mix`` is ``wanted``.

    Args:
        mix: What is balanced, shape (n, k).
        wanted: Its wanted mean, shape (k,).
        counts: Sampling weights, to stay near to instead of equal ones, shape (n,).

    Returns:
        Weights above 0, shape (n,), that sum to 1; None where none have that mean.
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
    """Return values minus their weighted regression on the mix, and its slopes.

    Each residual is widened by its leverage, since the regression follows few rows closely: as
    leaving its row out would widen it (HC3); with patients by the root of that (CR2), in which the
    sum of the leverages of a patient's rows stands for its matrix and is rather too much.

    Args:
        values: Shape (n,).
        mix: What was balanced, shape (n, k).
        weight: Of the rows, summing to 1, shape (n,).
        patient: Whose row each is; None where each is of another, shape (n,).
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
