"""Each figure of the audit as one pure function of targets and scores.

``target`` is a 0/1 array of shape (n,), ``score`` a probability in [0, 1] of shape (n,). An image
is called positive if ``score >= threshold``. A figure that is undefined for the given rows (one
class only, or no image called positive) is NaN, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit import counters, formulas, influence, phrases
from equiderm.audit.calibration import (
    calibration_error,
    calibration_fit,
    calibration_slope,
    logit,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from equiderm.audit.counters import Counts
    from equiderm.audit.phrases import Phrases

PAUC_SENSITIVITY = 0.80  # ISIC 2024 challenge: the area above this sensitivity
GIVEN = "threshold"  # the user's threshold, as against one chosen on the data


@dataclass(frozen=True)
class Metric:
    """A figure: its function and all properties that the audit uses.

    Attributes:
        label: Its name in the report.
        measure: Its function, called with the threshold that ``at`` names, if any.
        better: 1 if higher is better, -1 if lower is, 0 if neither is (see ``ideal``).
        needs: The rows that `Options.min_count` applies to: "classes" (positives and negatives),
            "positives", "negatives", "called", "cleared" or "rows".
        ideal: The best value, if neither higher nor lower is better.
        interval: The scale of its interval: "rank" (DeLong), "share" (Wilson), "logit" (in 0 to 1),
            "log" (above 0), "plain", "calibration" (`audit.calibration`).
        at: "threshold" (the user's), "specificity" or "sensitivity" (chosen on all rows), or "".
        rests_on: The share of the positives on which it depends.
        influence: How much each row moves it (`audit.influence`), called like ``measure``.
        counter: Its values for many resampled tables (`audit.counters`).
        formula: Its formula of the counts at a threshold (`audit.formulas`), for all three above.
        resampled: Whether its interval in a small group needs the bootstrap.
        phrases: Its words in a verdict; None if it gets no verdict.
    """

    label: str
    measure: Callable[..., float]
    better: int
    needs: str
    ideal: float = float("nan")
    interval: str = "plain"
    at: str = ""
    rests_on: float = 1.0
    influence: Callable[..., NDArray[np.float64]] | None = None
    counter: Callable[[Counts], NDArray[np.float64]] | None = None
    formula: Callable[..., Any] | None = None
    resampled: bool = True
    phrases: Phrases | None = None

    @property
    def is_of_positives(self) -> bool:
        """Whether it depends on the positives, so that a worse figure means missed positives."""
        return self.needs != "negatives"

    @property
    def proportion(self) -> bool:
        """Whether it is a share of the rows that it needs."""
        return self.interval == "share"

    @property
    def is_of_fixed_rows(self) -> bool:
        """Whether it is a share of rows that do not depend on the model."""
        chosen = self.needs in ("called", "cleared") or self.at != GIVEN
        return self.proportion and not chosen


def _classes(target: ArrayLike, score: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    positive = np.asarray(target).astype(bool)
    scores = np.asarray(score, dtype=float)
    return scores[positive], scores[~positive]


def auroc(target: ArrayLike, score: ArrayLike) -> float:
    """Return the area under the ROC curve, in [0, 1]; a tie between the classes counts one half.

    Source:
        Hanley and McNeil 1982, Radiology 143:29.
    """
    positive, negative = _classes(target, score)
    if not len(positive) or not len(negative):
        return float("nan")
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left")
    upto = np.searchsorted(ordered, positive, "right")
    return float((below + upto).sum() / (2 * len(positive) * len(negative)))


def auprc(target: ArrayLike, score: ArrayLike) -> float:
    """Return the area under the precision-recall curve as average precision, in [0, 1].

    An uninformative score has the prevalence, so groups of different prevalence are not comparable.
    """
    positive, negative = _classes(target, score)
    if not len(positive) or not len(negative):
        return float("nan")
    levels, count = np.unique(positive, return_counts=True)
    tp = count[::-1].cumsum()[::-1]
    fp = len(negative) - np.searchsorted(np.sort(negative), levels, "left")
    return float((count * tp / (tp + fp)).sum() / len(positive))


def pauc_isic2024(target: ArrayLike, score: ArrayLike) -> float:
    """Return the area of the ROC curve above 80 % sensitivity, in [0, 0.20]; chance is 0.02.

    Source:
        ISIC 2024 challenge, primary score: the area between the curve and sensitivity 0.80.
    """
    positive, negative = _classes(target, score)
    if not len(positive) or not len(negative):
        return float("nan")
    levels, count = np.unique(-positive, return_counts=True)
    ordered = np.sort(-negative)
    high = count.cumsum() / len(positive)
    low = high - count / len(positive)
    fpr_low = np.searchsorted(ordered, levels, "left") / len(negative)
    fpr_high = np.searchsorted(ordered, levels, "right") / len(negative)
    start = np.maximum(low, PAUC_SENSITIVITY)
    fpr_start = fpr_low + (fpr_high - fpr_low) * (start - low) / (high - low)
    width = np.maximum(high - start, 0)
    return float((width * (1 - (fpr_start + fpr_high) / 2)).sum())


def pauc_isic2024_normalised(target: ArrayLike, score: ArrayLike) -> float:
    """Return `pauc_isic2024` divided by its maximum of 0.20, in [0, 1]; chance is 0.10."""
    return pauc_isic2024(target, score) / (1 - PAUC_SENSITIVITY)


class OfCounts:
    """A figure of the four counts at a threshold: its formula as a function of targets and scores.

    Args:
        formula: One of `equiderm.audit.formulas`, which says what it is.
    """

    def __init__(self, formula: Callable[..., Any]) -> None:
        self.formula, self.__doc__ = formula, formula.__doc__

    def __call__(self, target: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
        """Return the figure of these rows; NaN where it is undefined."""
        return formulas.value(self.formula, target, score, threshold)


sensitivity = OfCounts(formulas.sensitivity)
specificity = OfCounts(formulas.specificity)
ppv = OfCounts(formulas.ppv)
npv = OfCounts(formulas.npv)
selection_rate = OfCounts(formulas.selection_rate)
accuracy = OfCounts(formulas.accuracy)
balanced_accuracy = OfCounts(formulas.balanced_accuracy)
f1 = OfCounts(formulas.f1)
false_negative_rate = OfCounts(formulas.miss_rate)
false_positive_rate = OfCounts(formulas.false_alarm_rate)
positive_likelihood_ratio = OfCounts(formulas.positive_likelihood_ratio)
negative_likelihood_ratio = OfCounts(formulas.negative_likelihood_ratio)
net_benefit = OfCounts(formulas.net_benefit)


def brier(target: ArrayLike, score: ArrayLike) -> float:
    """Return the mean squared difference of score and target, in [0, 1].

    Source:
        Brier 1950, Monthly Weather Review 78:1.
    """
    error = np.asarray(score, dtype=float) - np.asarray(target, dtype=float)
    return float((error**2).mean()) if len(error) else float("nan")


def _decided(
    label: str,
    measure: OfCounts,
    better: int,
    needs: str,
    interval: str = "share",
    at: str = GIVEN,
    phrases: Phrases | None = None,
) -> Metric:
    """Return a figure of the counts at a threshold."""
    formula = measure.formula

    def counter(counts: Counts) -> NDArray[np.float64]:
        return formula(*counts.at(at), counts.threshold)

    return Metric(
        label,
        measure,
        better,
        needs,
        interval=interval,
        at=at,
        influence=partial(formulas.influence, formula),
        counter=counter,
        formula=formula,
        resampled=at != GIVEN,
        phrases=phrases,
    )


METRICS: dict[str, Metric] = {
    "auroc": Metric(
        "AUROC", auroc, 1, "classes", interval="rank", influence=influence.auroc,
        counter=counters.auroc, resampled=False, phrases=phrases.AUROC,
    ),
    "auprc": Metric(
        "AUPRC", auprc, 1, "classes", interval="logit", influence=influence.auprc,
        counter=counters.auprc,
    ),
    "sensitivity_at_specificity": _decided(
        "Sensitivity at the overall specificity", sensitivity, 1, "positives", at="specificity"
    ),
    "specificity_at_sensitivity": _decided(
        "Specificity at the overall sensitivity", specificity, 1, "negatives", at="sensitivity"
    ),
    "sensitivity": _decided(
        "Sensitivity", sensitivity, 1, "positives", phrases=phrases.SENSITIVITY
    ),
    "specificity": _decided(
        "Specificity", specificity, 1, "negatives", phrases=phrases.SPECIFICITY
    ),
    "ppv": _decided("PPV", ppv, 1, "called"),
    "npv": _decided("NPV", npv, 1, "cleared"),
    "pauc_isic2024": Metric(
        "pAUC, ISIC 2024 (0 to 0.20)", pauc_isic2024, 1, "classes",
        rests_on=1 - PAUC_SENSITIVITY, influence=influence.pauc(1 - PAUC_SENSITIVITY),
        counter=counters.pauc(PAUC_SENSITIVITY),
    ),
    "pauc_isic2024_normalised": Metric(
        "pAUC, normalised (0 to 1)", pauc_isic2024_normalised, 1, "classes", interval="logit",
        rests_on=1 - PAUC_SENSITIVITY,
        influence=influence.pauc(1 - PAUC_SENSITIVITY, normalised=True),
        counter=counters.pauc(PAUC_SENSITIVITY, normalised=True),
    ),
    "brier": Metric(
        "Brier score", brier, -1, "rows", interval="logit", influence=influence.brier,
        counter=counters.brier,
    ),
    "calibration_error": Metric(
        "Calibration error", calibration_error, -1, "rows", interval="calibration",
        counter=counters.calibration_error, resampled=False,
    ),
    "calibration_slope": Metric(
        "Calibration slope", calibration_slope, 0, "classes", ideal=1.0,
        influence=influence.calibration_slope(calibration_fit, logit),
        counter=counters.calibration_slope,
    ),
    "selection_rate": _decided("Selection rate", selection_rate, 0, "rows"),
    "accuracy": _decided("Accuracy", accuracy, 1, "rows"),
    "balanced_accuracy": _decided("Balanced accuracy", balanced_accuracy, 1, "classes", "logit"),
    "f1": _decided("F1", f1, 1, "positives", "logit"),
    "false_negative_rate": _decided("False negative rate", false_negative_rate, -1, "positives"),
    "false_positive_rate": _decided("False positive rate", false_positive_rate, -1, "negatives"),
    "positive_likelihood_ratio": _decided(
        "Positive likelihood ratio", positive_likelihood_ratio, 1, "classes", "log"
    ),
    "negative_likelihood_ratio": _decided(
        "Negative likelihood ratio", negative_likelihood_ratio, -1, "classes", "log"
    ),
    "net_benefit": _decided("Net benefit", net_benefit, 1, "rows", "plain"),
}  # fmt: skip


WITHOUT_TRUTH = ("selection_rate",)  # the figures that need no targets
HEADLINE = tuple(name for name, kind in METRICS.items() if kind.phrases)  # those of the verdict


def phrases_of(name: str) -> Phrases:
    """Return the words of a figure that gets a verdict."""
    kind = METRICS[name].phrases
    assert kind is not None
    return kind


def figure(name: str, target: ArrayLike, score: ArrayLike, thresholds: dict[str, float]) -> float:
    """Return the figure ``name``; ``thresholds`` has the user's and the two chosen thresholds."""
    kind = METRICS[name]
    if not kind.at:
        return kind.measure(target, score)
    return kind.measure(target, score, threshold=thresholds[kind.at])
