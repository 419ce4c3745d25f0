"""Each figure of the audit as one pure function of targets and scores.

``target`` is a 0/1 array of shape (n,), ``score`` a probability in [0, 1] of shape (n,); an image
is called positive where ``score >= threshold``. A figure that has no meaning for the rows given
(one class only, nobody called positive) is NaN, never 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from equiderm.statistics.delong import influence as rank_influence

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

PAUC_SENSITIVITY = 0.80  # ISIC 2024 challenge: the area above this sensitivity
CALIBRATION_BINS = 10
ROWS_PER_BIN = 10
GIVEN = "threshold"  # the user's, and not one chosen on the data
LOGIT_CLIP = 1e-6  # a score of exactly 0 or 1 has no logit; it is read as 1e-6 or 1 - 1e-6


class Metric(NamedTuple):
    """A figure: its function, and what else the audit needs to know of it.

    ``better`` is 1 where high is better, -1 where low is, 0 where neither is (then ``ideal`` may
    say which value is). ``measure`` is its function, called with the threshold that ``at`` names,
    if any. ``needs`` names what is counted for the smallest number: "classes"
    (positives and negatives), "positives", "negatives", "called", "cleared" or "rows".
    ``rests_on`` is the share of the positives that decide the figure. ``influence`` tells how much
    each row moves the figure (`audit.influence`), called as ``measure`` is.
    """

    label: str
    measure: Callable[..., float]
    better: int
    needs: str
    ideal: float = float("nan")
    proportion: bool = False
    at: str = ""
    rests_on: float = 1.0
    influence: Callable[..., NDArray[np.float64]] | None = None


def _classes(target: ArrayLike, score: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    positive = np.asarray(target).astype(bool)
    scores = np.asarray(score, dtype=float)
    return scores[positive], scores[~positive]


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")


def auroc(target: ArrayLike, score: ArrayLike) -> float:
    """Return the area under the ROC curve, in [0, 1]; a tie of the two classes counts one half.

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

    A useless score gets the prevalence, so groups of different prevalence do not compare.
    """
    positive, negative = _classes(target, score)
    if not len(positive) or not len(negative):
        return float("nan")
    levels, count = np.unique(positive, return_counts=True)
    found = count[::-1].cumsum()[::-1]
    wrong = len(negative) - np.searchsorted(np.sort(negative), levels, "left")
    return float((count * found / (found + wrong)).sum() / len(positive))


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
    wrong_low = np.searchsorted(ordered, levels, "left") / len(negative)
    wrong_high = np.searchsorted(ordered, levels, "right") / len(negative)
    start = np.maximum(low, PAUC_SENSITIVITY)
    wrong_start = wrong_low + (wrong_high - wrong_low) * (start - low) / (high - low)
    width = np.maximum(high - start, 0)
    return float((width * (1 - (wrong_start + wrong_high) / 2)).sum())


def pauc_isic2024_normalised(target: ArrayLike, score: ArrayLike) -> float:
    """Return `pauc_isic2024` divided by its greatest value, 0.20: in [0, 1]; chance is 0.10."""
    return pauc_isic2024(target, score) / (1 - PAUC_SENSITIVITY)


def sensitivity(target: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Return the share of the positives that are called positive."""
    positive, _ = _classes(target, score)
    return _share((positive >= threshold).sum(), len(positive))


def specificity(target: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Return the share of the negatives that are called negative."""
    _, negative = _classes(target, score)
    return _share((negative < threshold).sum(), len(negative))


def ppv(target: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Return the positive predictive value: the share of those called positive that are."""
    positive, negative = _classes(target, score)
    found = (positive >= threshold).sum()
    return _share(found, found + (negative >= threshold).sum())


def npv(target: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Return the negative predictive value: the share of those called negative that are."""
    positive, negative = _classes(target, score)
    cleared = (negative < threshold).sum()
    return _share(cleared, cleared + (positive < threshold).sum())


def selection_rate(target: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Return the share of all rows that are called positive."""
    del target
    scores = np.asarray(score, dtype=float)
    return _share((scores >= threshold).sum(), len(scores))


def brier(target: ArrayLike, score: ArrayLike) -> float:
    """Return the mean squared difference of score and target, in [0, 1].

    Source:
        Brier 1950, Monthly Weather Review 78:1.
    """
    wrong = np.asarray(score, dtype=float) - np.asarray(target, dtype=float)
    return float((wrong**2).mean()) if len(wrong) else float("nan")


def calibration_edges(score: NDArray[Any]) -> NDArray[Any]:
    """Return the lower edges of bins that hold about equally many scores, descending.

    Ten bins, fewer where a bin would hold under 10 rows; equal scores share a bin.
    """
    bins = max(1, min(CALIBRATION_BINS, len(score) // ROWS_PER_BIN))
    starts = np.arange(1, bins) * len(score) // bins
    ordered = np.partition(score, starts) if bins > 1 else score
    return np.concatenate([np.unique(ordered[starts])[::-1], [-np.inf]])


def calibration_error(target: ArrayLike, score: ArrayLike) -> float:
    """Return the expected calibration error over bins of equally many rows, in [0, 1].

    The mean over the rows of their bin's distance between observed share and mean score
    (`calibration_edges` makes the bins).
    It is biased upwards where rows are few.

    Source:
        Nixon et al. 2019, arXiv:1904.01685 (adaptive bins).
    """
    scores = np.asarray(score, dtype=float)
    if not len(scores):
        return float("nan")
    bin_of = np.searchsorted(-calibration_edges(scores), -scores, "left")
    residual = np.bincount(bin_of, weights=np.asarray(target, dtype=float) - scores)
    return float(np.abs(residual).sum() / len(scores))


def logit(score: ArrayLike) -> NDArray[np.float64]:
    """Return log-odds of scores in [0, 1]; 0 and 1 themselves are read as 1e-6 from the end."""
    clipped = np.clip(np.asarray(score, dtype=float), LOGIT_CLIP, 1 - LOGIT_CLIP)
    return np.log(clipped / (1 - clipped))


def calibration_fit(target: ArrayLike, score: ArrayLike) -> tuple[float, float]:
    """Return intercept and slope of the logistic regression of the target on the score's logit.

    NaN where no finite fit exists: one class, constant scores, or classes that a threshold parts.

    Source:
        Cox 1958, Biometrika 45:562.
    """
    missing = (float("nan"), float("nan"))
    y, x = np.asarray(target, dtype=float), logit(score)
    if not 0 < y.sum() < len(y) or np.ptp(x) == 0:
        return missing
    centre, scale = x.mean(), x.std()
    design = np.stack([np.ones_like(x), (x - centre) / scale])
    fit = np.array([np.log(y.mean() / (1 - y.mean())), 0.0])
    for _ in range(50):
        expected = 1 / (1 + np.exp(-np.clip(fit @ design, -500, 500)))
        information = (design * expected * (1 - expected)) @ design.T
        if np.linalg.cond(information) > 1e12:
            return missing
        step = np.linalg.solve(information, design @ (y - expected))
        fit += step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-300))
        if np.abs(fit).max() > 200:
            return missing
        if np.abs(step).max() < 1e-10:
            slope = float(fit[1] / scale)
            return float(fit[0] - slope * centre), slope
    return missing


def calibration_slope(target: ArrayLike, score: ArrayLike) -> float:
    """Return the calibration slope: 1 is ideal, below 1 the scores are too extreme."""
    return calibration_fit(target, score)[1]


def share_influence(needs: str) -> Callable[..., NDArray[np.float64]]:
    """Return the influence of rows on the share of those who ``needs`` that are called rightly."""

    def influence(
        target: NDArray[np.bool_], score: NDArray[np.float64], *, threshold: float
    ) -> NDArray[np.float64]:
        called = score >= threshold
        counted = {"positives": target, "negatives": ~target, "called": called, "cleared": ~called}
        member = counted.get(needs, np.ones(len(score), dtype=bool))
        hit = called if needs == "rows" else target == called
        count = max(int(member.sum()), 1)
        return member * (hit - (hit & member).sum() / count) / count

    return influence


METRICS: dict[str, Metric] = {
    "auroc": Metric("AUROC", auroc, 1, "classes", influence=rank_influence),
    "auprc": Metric("AUPRC", auprc, 1, "classes"),
    "sensitivity_at_specificity": Metric(
        "Sensitivity at the overall specificity",
        sensitivity,
        1,
        "positives",
        proportion=True,
        at="specificity",
    ),
    "specificity_at_sensitivity": Metric(
        "Specificity at the overall sensitivity",
        specificity,
        1,
        "negatives",
        proportion=True,
        at="sensitivity",
    ),
    "sensitivity": Metric(
        "Sensitivity",
        sensitivity,
        1,
        "positives",
        proportion=True,
        at=GIVEN,
        influence=share_influence("positives"),
    ),
    "specificity": Metric(
        "Specificity",
        specificity,
        1,
        "negatives",
        proportion=True,
        at=GIVEN,
        influence=share_influence("negatives"),
    ),
    "ppv": Metric(
        "PPV", ppv, 1, "called", proportion=True, at=GIVEN, influence=share_influence("called")
    ),
    "npv": Metric(
        "NPV", npv, 1, "cleared", proportion=True, at=GIVEN, influence=share_influence("cleared")
    ),
    "pauc_isic2024": Metric(
        "pAUC, ISIC 2024 (0 to 0.20)", pauc_isic2024, 1, "classes", rests_on=1 - PAUC_SENSITIVITY
    ),
    "pauc_isic2024_normalised": Metric(
        "pAUC, normalised (0 to 1)",
        pauc_isic2024_normalised,
        1,
        "classes",
        rests_on=1 - PAUC_SENSITIVITY,
    ),
    "brier": Metric("Brier score", brier, -1, "rows"),
    "calibration_error": Metric("Calibration error", calibration_error, -1, "rows"),
    "calibration_slope": Metric("Calibration slope", calibration_slope, 0, "classes", ideal=1.0),
    "selection_rate": Metric(
        "Selection rate",
        selection_rate,
        0,
        "rows",
        proportion=True,
        at=GIVEN,
        influence=share_influence("rows"),
    ),
}


WITHOUT_TRUTH = ("selection_rate",)  # what can be read while nobody knows who is positive
HEADLINE = ("auroc", "sensitivity", "specificity")  # what gets a verdict


def figure(name: str, target: ArrayLike, score: ArrayLike, thresholds: dict[str, float]) -> float:
    """Return the figure called ``name``; ``thresholds`` holds "threshold" and the chosen two."""
    kind = METRICS[name]
    if not kind.at:
        return kind.measure(target, score)
    return kind.measure(target, score, threshold=thresholds[kind.at])
