"""Effect of the labeller's errors on the figures by group: simulation extrapolation (SIMEX).

The labeller's own error is added to the labels in steps, the figures are computed at each step, and
the trend is extrapolated to a labeller without error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from equiderm.audit import formulas, metrics
from equiderm.audit.metrics import METRICS
from equiderm.errors import InputError
from equiderm.statistics.confusion import Confusion, read_confusion
from equiderm.statistics.delong import delong
from equiderm.statistics.intervals import Z95

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from equiderm.audit.groups import ByGroup

STEPS = (0.0, 0.5, 1.0, 1.5, 2.0)  # added error, in multiples of the labeller's
DRAWS = 50


# Earlier names, kept as aliases
Agreement = Confusion
read_agreement = read_confusion


@dataclass(frozen=True)
class Corrected:
    """A figure by group as labelled, at twice the error, and extrapolated to no error.

    Attributes:
        metric: The figure.
        groups: The groups that have it, length k.
        labelled: The figure as labelled, shape (k,).
        doubled: At twice the labeller's error, shape (k,).
        corrected: Extrapolated to no error, in [0, 1], shape (k,).
        error: Half width of the 95 % interval of ``corrected``, shape (k,).
        worst_labelled: The group with the lowest value as labelled.
        worst_corrected: The group with the lowest extrapolated value.
        worst_stays: Share of draws in which ``worst_labelled`` is lowest after extrapolation.
        gap_labelled: Max - min as labelled.
        gap_corrected: Max - min of ``corrected``.
        gap_low: Lower end of its 95 % interval.
        gap_high: Upper end.
    """

    metric: str
    groups: tuple[str, ...]
    labelled: NDArray[np.float64]
    doubled: NDArray[np.float64]
    corrected: NDArray[np.float64]
    error: NDArray[np.float64]
    worst_labelled: str
    worst_corrected: str
    worst_stays: float
    gap_labelled: float
    gap_corrected: float
    gap_low: float
    gap_high: float


def worsened(transition: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Return the transition matrix at ``step`` times the error, its matrix power, shape (k, k).

    Source:
        Küchenhoff, Mwalili and Lesaffre 2006, Biometrics 62:85; a root with negative entries is
        adjusted as in Israel, Rosenthal and Wei 2001, Mathematical Finance 11:245.
    """
    from scipy.linalg import expm, logm

    rates = np.real(np.asarray(logm(transition)))
    rates = np.where(np.eye(len(rates), dtype=bool), 0.0, np.maximum(rates, 0.0))
    rates -= np.diag(rates.sum(axis=1))
    power = np.clip(np.real(np.asarray(expm(step * rates))), 0.0, 1.0)
    return power / power.sum(axis=1, keepdims=True)


def correct(results: ByGroup, agreement: Agreement, metric: str) -> Corrected | None:
    """Return a figure by group extrapolated to a labeller without error.

    It assumes that the error does not depend on target or score within a group. None if fewer than
    two groups have the figure.

    Source:
        Cook and Stefanski 1994, JASA 89:1314; the variance by Stefanski and Cook 1995, 90:1247.

    Raises:
        InputError: The groups are not among the agreement's types.
    """
    labels = results.grouping.labels
    if foreign := [name for name in labels if name not in agreement.types]:
        raise InputError(
            f"group '{foreign[0]}' of column '{results.grouping.name}' is not among the types of "
            f"the label error ({', '.join(agreement.types)}); give the label error of this scale."
        )
    names = results.compared(metric)
    if len(names) < 2:
        return None
    random = np.random.default_rng(results.options.seed + 2)
    place = np.array([agreement.types.index(name) for name in labels])
    wanted = np.array([agreement.types.index(name) for name in names])
    codes = np.where(results.grouping.codes < 0, -1, place[results.grouping.codes])
    path = [_at_step(results, codes, wanted, (agreement, step), metric, random) for step in STEPS]
    means, variances = np.array([p[0] for p in path]), np.array([p[1] for p in path])
    corrected = np.clip(_extrapolate(means), 0.0, 1.0)
    variance = np.maximum(_extrapolate(variances), variances[0])
    return _summarise(metric, tuple(names), means, corrected, np.sqrt(variance), random)


def _at_step(
    results: ByGroup,
    codes: NDArray[np.intp],
    wanted: NDArray[np.intp],
    error: tuple[Agreement, float],
    metric: str,
    random: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and Stefanski's variance over relabelled copies, each of shape (groups,)."""
    agreement, step = error
    draws = 1 if step == 0 else DRAWS
    cumulative = worsened(agreement.transition, step).cumsum(axis=1)
    values = np.full((draws, len(wanted)), np.nan)
    sampling = np.full((draws, len(wanted)), np.nan)
    for d in range(draws):
        drawn = (random.random(len(codes))[:, None] > cumulative[np.maximum(codes, 0)]).sum(axis=1)
        drawn = np.where(codes < 0, -1, drawn) if step else codes
        for k, code in enumerate(wanted):
            values[d, k], sampling[d, k] = _figure(results, np.flatnonzero(drawn == code), metric)
    between = np.nanvar(values, axis=0, ddof=1) if draws > 1 else np.zeros(len(wanted))
    return np.nanmean(values, axis=0), np.nanmean(sampling, axis=0) - between


def _figure(results: ByGroup, rows: NDArray[np.intp], metric: str) -> tuple[float, float]:
    study = results.study
    target, score = study.target[rows], study.score[rows]
    weight = study.weight_of(rows)
    if METRICS[metric].interval == "rank":
        result = delong(target, score, patient=study.patient_of(rows), weight=weight)
        return float(result.auroc[0]), float(result.covariance[0, 0])
    value = metrics.figure(metric, target, score, results.thresholds)
    if weight is not None:
        kind, cut = METRICS[metric], results.options.threshold
        assert kind.influence is not None
        assert kind.formula is not None
        moved = kind.influence(target, score, weight, threshold=cut)
        return formulas.value(kind.formula, target, score, cut, weight), float((moved**2).sum())
    n = int((target if METRICS[metric].needs == "positives" else ~target).sum())
    return value, value * (1 - value) / n if n else float("nan")


def _extrapolate(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the value at -1 of a quadratic fitted to the steps: the labeller's error removed."""
    coefficients = np.polynomial.polynomial.polyfit(np.array(STEPS), path, 2)
    return coefficients[0] - coefficients[1] + coefficients[2]


def _summarise(
    metric: str,
    names: tuple[str, ...],
    means: NDArray[np.float64],
    corrected: NDArray[np.float64],
    error: NDArray[np.float64],
    random: np.random.Generator,
) -> Corrected:
    drawn = np.clip(random.normal(corrected, error, (4000, len(names))), 0.0, 1.0)
    low, high = np.quantile(np.ptp(drawn, axis=1), [0.025, 0.975])
    worst = int(means[0].argmin())
    return Corrected(
        metric,
        names,
        labelled=means[0],
        doubled=means[STEPS.index(1.0)],
        corrected=corrected,
        error=error * Z95,
        worst_labelled=names[worst],
        worst_corrected=names[int(corrected.argmin())],
        worst_stays=float((drawn.argmin(axis=1) == worst).mean()),
        gap_labelled=float(np.ptp(means[0])),
        gap_corrected=float(np.ptp(corrected)),
        gap_low=float(low),
        gap_high=float(high),
    )
