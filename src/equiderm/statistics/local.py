"""Local regression: a share or an AUROC at a given value of a covariate, without bins.

A parabola is fitted to the rows near that value, with weights that fall with distance. A local line
of this width would be biased where the curve bends. The parabola removes that bias, and its
interval allows for the correction (a bias-corrected local line is this parabola).

Source:
    Fan and Gijbels 1996, Local Polynomial Modelling and Its Applications. Bias corrected instead
    of kept small: Calonico, Cattaneo and Farrell 2018, JASA 113:767.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEGREE = 2
WIDTH = 4.5  # half width in standard deviations times patients^(-1/5); by simulation (docs)


@dataclass(frozen=True)
class Local:
    """The weights of the rows near one place.

    Attributes:
        rows: The near rows, as a slice of the rows sorted by x.
        weight: Weights of these rows; they sum to 1 and may be below 0.
        design: Powers of the distance, shape (near rows, DEGREE + 1).
        inverse: Shape (DEGREE + 1, DEGREE + 1); coefficients are ``inverse @ design' (kernel y)``.
        kernel: The weights by distance alone.
    """

    rows: slice
    weight: NDArray[np.float64]
    design: NDArray[np.float64]
    inverse: NDArray[np.float64]
    kernel: NDArray[np.float64]

    @property
    def size(self) -> float:
        """Effective number of rows of equal weight (Kish)."""
        square = float((self.weight**2).sum())
        return 1 / square if square > 0 else 0.0

    def residuals(
        self, values: NDArray[np.float64], patient: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Return values minus the parabola, each divided by sqrt(1 - leverage) (HC2).

        With several rows of a patient, the sum of their leverages replaces their matrix (CR2).
        """
        moments = self.design.T @ (self.kernel * values)
        fitted = self.design @ (self.inverse @ moments)
        leverage = self.kernel * np.einsum("ij,jk,ik->i", self.design, self.inverse, self.design)
        whole = np.bincount(patient, leverage)[patient]
        return (values - fitted) / np.sqrt(np.clip(1 - whole, 0.1, 1.0))


def half_width(x: NDArray[np.float64], patients: int) -> float:
    """Return the half width of the kernel, in units of ``x``, for this number of patients."""
    low, high = np.quantile(x, [0.25, 0.75])
    spread = float(np.std(x))
    robust = float(high - low) / 1.349
    return WIDTH * (min(spread, robust) if robust > 0 else spread) * patients**-0.2


def local_weights(
    x: NDArray[np.float64],
    place: float,
    width: float,
    counts: NDArray[np.float64] | None = None,
) -> Local | None:
    """Return the weights of rows around ``place``; None if too few rows are near.

    Args:
        x: Covariate in ascending order, shape (n,).
        place: The value of the covariate at which to estimate.
        width: Half width of the kernel; rows farther away have no weight.
        counts: Sampling weights of the rows, shape (n,).
    """
    near = slice(
        int(np.searchsorted(x, place - width, "right")), int(np.searchsorted(x, place + width))
    )
    away = (x[near] - place) / width
    kernel = 1 - away**2  # Epanechnikov's
    if counts is not None:
        kernel = kernel * counts[near]
    design = np.stack([away**k for k in range(DEGREE + 1)], axis=1)
    moments = design.T @ (kernel[:, None] * design)
    if len(away) <= DEGREE + 1 or np.linalg.cond(moments) > 1e10:
        return None
    inverse = np.asarray(np.linalg.inv(moments), dtype=np.float64)
    return Local(near, kernel * (design @ inverse[0]), design, inverse, kernel)
