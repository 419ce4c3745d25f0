"""DeLong's variance of the AUROC of one or several scores on the same rows, also with patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class DeLong(NamedTuple):
    """AUROCs (k,), their covariance (k, k), and the degrees of freedom (k,) of each variance."""

    auroc: NDArray[np.float64]
    covariance: NDArray[np.float64]
    freedom: NDArray[np.float64]


def delong(
    target: ArrayLike,
    scores: ArrayLike,
    *,
    patient: NDArray[Any] | None = None,
    weight: NDArray[np.float64] | None = None,
) -> DeLong:
    """Return the AUROC of each score and their covariance, exact with ties.

    Args:
        target: 0/1, shape (n,), with at least two of each class (else the covariance is NaN).
        scores: Shape (n,) or (k, n): k models' scores of the same rows.
        patient: Patient codes, whole numbers, shape (n,); rows of one patient are not independent.
        weight: Sampling weights, above 0, shape (n,); any scale. The covariance is linearised and
            treats each class's total weight as random.

    Returns:
        AUROCs, covariance, and Satterthwaite's degrees of freedom of each variance.

    Source:
        DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837; the components by midranks as in
        Sun and Xu 2014, IEEE Signal Processing Letters 21:1389. With patients: Obuchowski 1997,
        Biometrics 53:567. Degrees of freedom: Brunner and Munzel 2000, Biometrical Journal 42:17.
        With weights: Binder 1983, International Statistical Review 51:279.
    """
    positive = np.asarray(target).astype(bool)
    table = np.atleast_2d(np.asarray(scores, dtype=float))
    if weight is not None:
        return _weighted(positive, table, weight, patient)
    v10 = np.stack([placements(row[positive], row[~positive])[0] for row in table])
    v01 = np.stack([placements(row[positive], row[~positive])[1] for row in table])
    auroc = v10.mean(axis=1) if v10.size and v01.size else np.full(len(table), np.nan)
    m, n = v10.shape[1], v01.shape[1]
    if m < 2 or n < 2:
        missing = np.full((len(table), len(table)), np.nan)
        return DeLong(auroc, missing, np.full(len(table), np.nan))
    if patient is not None:
        return _clustered(auroc, v10, v01, (patient[positive], patient[~positive]))
    s10 = np.atleast_2d(np.cov(v10)) / m
    s01 = np.atleast_2d(np.cov(v01)) / n
    freedom = _satterthwaite(np.diag(s10), np.diag(s01), m, n)
    return DeLong(auroc, s10 + s01, freedom)


def influence(
    target: NDArray[np.bool_],
    score: NDArray[np.float64],
    weight: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return how much each row moves the AUROC, shape (n,); the values sum to 0.

    The variance is about the sum of their squares; with patients, of the squared sums per patient.
    """
    values = np.empty(len(score))
    if weight is not None:
        up, down = weight[target], weight[~target]
        v10, v01 = placements(score[target], score[~target], (up, down))
        values[target] = up * (v10 - up @ v10 / up.sum()) / up.sum()
        values[~target] = down * (v01 - down @ v01 / down.sum()) / down.sum()
        return values
    v10, v01 = placements(score[target], score[~target])
    values[target] = (v10 - v10.mean()) / len(v10)
    values[~target] = (v01 - v01.mean()) / len(v01)
    return values


def _weighted(
    positive: NDArray[np.bool_],
    table: NDArray[np.float64],
    weight: NDArray[np.float64],
    patient: NDArray[Any] | None,
) -> DeLong:
    """Return `delong` of weighted rows; without patients each row is a patient of its own."""
    missing = np.full(len(table), np.nan)
    if not 0 < positive.sum() < len(positive):
        return DeLong(missing, np.full((len(table), len(table)), np.nan), missing)
    of = np.arange(len(positive)) if patient is None else patient
    parts, up = (of[positive], of[~positive]), weight[positive]
    components = [
        placements(row[positive], row[~positive], (up, weight[~positive])) for row in table
    ]
    auroc = np.array([up @ v10 / up.sum() for v10, _ in components])
    scaled = np.where(positive, weight / up.mean(), weight / weight[~positive].mean())
    # Centred values times weights, plus the AUROC that `_clustered` subtracts.
    v10, v01 = (
        np.stack([row[k] - value for row, value in zip(components, auroc, strict=True)])
        * scaled[part]
        + auroc[:, None]
        for k, part in enumerate((positive, ~positive))
    )
    result = _clustered(auroc, v10, v01, parts)
    counts = [kish_n(weight[part], of[part]) for part in (positive, ~positive)]
    freedom = np.minimum(result.freedom, sum(counts) - 2)
    return result._replace(freedom=np.maximum(freedom, 1.0))


def kish_n(weight: NDArray[np.float64], patient: NDArray[Any] | None = None) -> float:
    """Return Kish's effective n: how many patients of equal weight hold the same information.

    Source:
        Kish 1965, Survey Sampling, section 11.7.
    """
    whole = weight if patient is None else np.bincount(patient, weights=weight)
    return float(whole.sum() ** 2 / (whole**2).sum())


def placements(
    positive: NDArray[np.float64],
    negative: NDArray[np.float64],
    weights: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return DeLong's components V10 and V01, in [0, 1]; a tie counts half.

    V10 is for each positive the share of negatives (of their weight) that score below it; V01 is
    for each negative the share of positives that score above it.
    """
    if weights is not None:
        up, down = weights
        return _passed(positive, negative, down), _passed(-negative, -positive, up)

    def beaten(high: NDArray[np.float64], low: NDArray[np.float64]) -> NDArray[np.float64]:
        ordered = np.sort(low)
        below = np.searchsorted(ordered, high, "left") + np.searchsorted(ordered, high, "right")
        return np.asarray(below / (2 * max(len(low), 1)), dtype=np.float64)

    return beaten(positive, negative), beaten(-negative, -positive)


def _passed(
    high: NDArray[np.float64], low: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return, for each of ``high``, the share of the weight of ``low`` that lies below it."""
    order = np.argsort(low, kind="stable")
    running = np.concatenate([[0.0], np.cumsum(weight[order])])
    below, upto = (running[np.searchsorted(low[order], high, side)] for side in ("left", "right"))
    return (below + upto) / (2 * running[-1])


def _satterthwaite(
    one: NDArray[np.float64], other: NDArray[np.float64], m: int, n: int
) -> NDArray[np.float64]:
    below = one**2 / (m - 1) + other**2 / (n - 1)
    varies = below > 0
    return np.where(varies, (one + other) ** 2 / np.where(varies, below, 1.0), np.inf)


def _clustered(
    auroc: NDArray[np.float64],
    v10: NDArray[np.float64],
    v01: NDArray[np.float64],
    patients: tuple[NDArray[Any], NDArray[Any]],
) -> DeLong:
    size = int(max(patients[0].max(), patients[1].max())) + 1

    def per_patient(values: NDArray[np.float64], patient: NDArray[Any]) -> NDArray[np.float64]:
        centred = values - auroc[:, None]
        sums = [np.bincount(patient, weights=row, minlength=size) for row in centred]
        return np.stack(sums).astype(np.float64)

    def spread(a: NDArray[np.float64], b: NDArray[np.float64], count: int) -> NDArray[np.float64]:
        return count / (count - 1) * (a @ b.T)

    m, n = v10.shape[1], v01.shape[1]
    with_positive, with_negative = (len(np.unique(patient)) for patient in patients)
    if with_positive < 2 or with_negative < 2:
        missing = np.full((len(auroc), len(auroc)), np.nan)
        return DeLong(auroc, missing, np.full(len(auroc), np.nan))
    either = len(np.union1d(*patients))
    a, b = per_patient(v10, patients[0]), per_patient(v01, patients[1])
    s10 = spread(a, a, with_positive) / m**2
    s01 = spread(b, b, with_negative) / n**2
    cross = spread(a, b, either) / (m * n)
    covariance = s10 + s01 + cross + cross.T
    freedom = _satterthwaite(np.diag(s10), np.diag(s01), with_positive, with_negative)
    return DeLong(auroc, covariance, freedom)


def contributions(
    target: NDArray[np.bool_], score: NDArray[np.float64], patient: NDArray[Any]
) -> tuple[float, NDArray[np.float64]]:
    """Return an AUROC and each patient's contribution to its error.

    The squared contributions sum to the variance. The products of two scores' contributions, over
    the same patients, sum to their covariance. Many runs thus need one call per run, not per pair.

    Args:
        target: Booleans, shape (n,).
        score: Shape (n,).
        patient: Whole numbers from 0, shape (n,).

    Returns:
        The AUROC and the contributions, shape (largest patient + 1,); NaN where a class has fewer
        than two patients.

    Source:
        Obuchowski 1997, Biometrics 53:567, each class's part widened by sqrt(c / (c - 1)) for its
        c patients.
    """
    size = int(patient.max()) + 1
    v10, v01 = placements(score[target], score[~target])
    auroc = float(v10.mean()) if len(v10) and len(v01) else float("nan")
    total = np.zeros(size)
    for values, of in ((v10, patient[target]), (v01, patient[~target])):
        count = len(np.unique(of))
        if count < 2:
            return auroc, np.full(size, np.nan)
        sums = np.bincount(of, weights=values - auroc, minlength=size)
        total += np.sqrt(count / (count - 1)) * sums / len(values)
    return auroc, total
