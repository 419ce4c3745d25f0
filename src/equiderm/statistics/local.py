"""Local regression along a number: what a share or an AUROC is at one place, without bins.

At each place a parabola is laid through the rows near it, by weights that fall with distance. A
local line of this width would be biased where the curve bends; the parabola takes that bias away,
and its interval allows for having done so (a local line corrected for its bias is this parabola).

Source:
    Fan and Gijbels 1996, Local Polynomial Modelling and Its Applications. Bias taken away instead
    of made small: Calonico, Cattaneo and Farrell 2018, JASA 113:767.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEGREE = 2
WIDTH = 4.5  # of the half width, in standard deviations times n^(-1/5); by simulation (docs)


@dataclass(frozen=True)
class Local:
    """The weights of the rows near one place.

    Attributes:
        rows: Which rows are near, in ascending order of x, as a slice of the sorted rows.
        weight: Of these rows; they sum to 1 and some are below 0.
        design: Powers of the distance, shape (rows near, DEGREE + 1).
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
        """How many independent rows of equal weight would be as good."""
        square = float((self.weight**2).sum())
        return 1 / square if square > 0 else 0.0

    def residuals(
        self, values: NDArray[np.float64], patient: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Return values minus the parabola, each widened by the leverage of its patient's rows.

        HC2; with several rows of a patient, which draw the parabola to themselves together, the sum
        of their leverages stands for its matrix (CR2).
        """
        moments = self.design.T @ (self.kernel * values)
        fitted = self.design @ (self.inverse @ moments)
        leverage = self.kernel * np.einsum("ij,jk,ik->i", self.design, self.inverse, self.design)
        whole = np.bincount(patient, leverage)[patient]
        return (values - fitted) / np.sqrt(np.clip(1 - whole, 0.1, 1.0))


def half_width(x: NDArray[np.float64], patients: int) -> float:
    """Return how far rows count around a place, for x of so many patients."""
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
    """Return the weights of sorted ``x`` around a place; None where too few rows are near.

    Args:
        x: Ascending, shape (n,).
        place: Where.
        width: Rows farther away count nothing.
        counts: Sampling weights of the rows.
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
