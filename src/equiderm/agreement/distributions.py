"""Quality of predicted distributions over ordered types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equiderm.agreement.confusion import DRAWS
from equiderm.agreement.judged import as_judged, ends, type_shares
from equiderm.records import Record
from equiderm.statistics.intervals import percentile

Floats = NDArray[np.float64]
Judged = NDArray[np.intp] | NDArray[np.bool_]
BINS = 10


@dataclass(frozen=True, eq=False, repr=False)
class DistributionQuality(Record):
    """Quality of predicted distributions, out of fold.

    Attributes:
        ranked_probability_score: Value, low, high; 0 is perfect.
        marginal: The score of the best constant: the judged distribution, for every image.
        calibration_error: Mean over thresholds of the expected calibration error of P(type > j).
        dark_reliability: Predicted and observed share of the dark types, one row per tenth of the
            images, with its n.
    """

    ranked_probability_score: tuple[float, float, float]
    marginal: float
    calibration_error: float
    dark_reliability: tuple[dict[str, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the quality as plain values."""
        value, low, high = self.ranked_probability_score
        return {
            "ranked_probability_score": {
                "value": value, "low": low, "high": high, "constant": self.marginal,
            },
            "calibration_error": self.calibration_error,
            "dark_reliability": list(self.dark_reliability),
        }  # fmt: skip


def ranked_probability_scores(shares: Floats, judged: Judged) -> Floats:
    """Return each row's ranked probability score, shape (n,), in [0, 1]; 0 is perfect.

    Args:
        shares: Predicted distributions, shape (n, k).
        judged: Judged types as 0 .. k - 1, shape (n,), or the types that are allowed, shape (n, k):
            a threshold inside a range adds nothing to the score.

    Source:
        Epstein 1969, J. Applied Meteorology 8:985; divided by k - 1.
    """
    k = shares.shape[1]
    first, last = ends(judged)
    reached = np.arange(k) >= last[:, None]
    known = reached | (np.arange(k) < first[:, None])
    off = np.where(known, shares.cumsum(axis=1) - reached, 0.0)
    return (off[:, :-1] ** 2).sum(axis=1) / (k - 1)


def reliability(predicted: Floats, observed: Floats, weights: Floats) -> list[dict[str, float]]:
    """Return predicted and observed share by tenths of the images, in order of prediction.

    Args:
        predicted: Shares, shape (n,).
        observed: The outcome, 0 or 1, or a share where it is not known, shape (n,).
        weights: Weight of each row, shape (n,).
    """
    rows: list[dict[str, float]] = []
    for part in np.array_split(np.argsort(predicted, kind="stable"), BINS):
        weight = weights[part].sum()
        if weight > 0:
            rows.append(
                {
                    "predicted": float((predicted * weights)[part].sum() / weight),
                    "observed": float((observed * weights)[part].sum() / weight),
                    "n": float(len(part)),
                    "weight": float(weight / weights.sum()),
                }
            )
    return rows


def _beyond(shares: Floats, judged: Judged, j: int) -> tuple[Floats, Floats]:
    """Return the predicted P(type > j) and the observed outcome, each of shape (n,).

    If a range straddles the threshold, the outcome is the predicted share of the range above it:
    without these rows one side would lose more than the other.
    """
    predicted = shares[:, j + 1 :].sum(axis=1)
    if judged.ndim == 1:
        return predicted, (judged > j).astype(float)
    inside = shares * judged
    total = inside.sum(axis=1)
    even = judged[:, j + 1 :].sum(axis=1) / judged.sum(axis=1)
    observed = np.divide(inside[:, j + 1 :].sum(axis=1), total, out=even, where=total > 0)
    first, last = ends(judged)
    return predicted, np.where(first > j, 1.0, np.where(last <= j, 0.0, observed))


def calibration_error(shares: Floats, judged: Judged, weights: Floats) -> float:
    """Return the expected calibration error of P(type > j), mean over thresholds, in [0, 1].

    Source:
        Naeini, Cooper and Hauskrecht 2015, AAAI; with ten bins of equal size.
    """
    errors = [
        sum(
            row["weight"] * abs(row["predicted"] - row["observed"])
            for row in reliability(*_beyond(shares, judged, j), weights)
        )
        for j in range(shares.shape[1] - 1)
    ]
    return float(np.mean(errors))


def measure_distributions(
    shares: Floats,
    judged: Judged,
    *,
    n_dark: int,
    weights: Floats,
    clusters: NDArray[np.intp] | None = None,
) -> DistributionQuality:
    """Return the quality of distributions beside that of the marginal, with a bootstrap interval.

    Args:
        shares: Predicted distributions, shape (n, k), none missing.
        judged: As in `ranked_probability_scores`.
        n_dark: How many of the last types count as dark.
        weights: Weight of each row, shape (n,); all 1 unless reweighted to a target.
        clusters: The patient of each row as 0, 1, ..., shape (n,); None draws rows.
    """
    k = shares.shape[1]
    scores = ranked_probability_scores(shares, judged)
    marginal = _marginal(judged, k, weights)
    constant = ranked_probability_scores(np.broadcast_to(marginal, shares.shape), judged)
    unit = np.arange(len(judged)) if clusters is None else clusters
    sums = np.bincount(unit, weights * scores), np.bincount(unit, weights)
    generator = np.random.default_rng(0)
    n_units = len(sums[0])
    drawn = [
        np.bincount(generator.integers(n_units, size=n_units), minlength=n_units)
        for _ in range(DRAWS // 4)
    ]
    means = np.array([(sums[0] @ times) / (sums[1] @ times) for times in drawn])
    dark = reliability(*_beyond(shares, judged, k - n_dark - 1), weights)
    return DistributionQuality(
        (float(np.average(scores, weights=weights)), *percentile(means)),
        float(np.average(constant, weights=weights)),
        calibration_error(shares, judged, weights),
        tuple(dark),
    )


def _marginal(judged: Judged, k: int, weights: Floats) -> Floats:
    if judged.ndim == 1:
        return np.bincount(judged, weights, minlength=k) / weights.sum()
    kinds = as_judged(judged.astype(np.bool_), range(k))
    counts = np.bincount(kinds.row, weights, minlength=len(kinds.members)).astype(np.float64)
    return type_shares(counts, kinds.members)
