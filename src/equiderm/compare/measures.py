"""The figure compared for each kind of target, and what each patient adds to its error.

Internally higher is always better: an error is negated (`Measure.sign`), and only the tables
restore its sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from equiderm.statistics.delong import contributions
from equiderm.statistics.intervals import newcombe_auroc

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Whose = NDArray[np.intp]

MIN_COUNT = 5  # positives and negatives behind a group's AUROC; as in an audit
MARGIN = 0.03


@dataclass(frozen=True)
class Measure:
    """The AUROC of a binary target; the base of the others.

    Attributes:
        key: Its name in JSON.
        name: Its name in a sentence.
        says: What it is, in a sentence.
        trivial: The best answer that is the same for every image.
        sign: -1 where less is better.
        best: The best value, times the sign.
        span: No difference is larger.
        exact: Values, times the sign, at which a figure has no error of its own.
    """

    key: ClassVar[str] = "auroc"
    name: ClassVar[str] = "AUROC"
    says: ClassVar[str] = (
        "AUROC: how often the model scores an image with the finding above one without it; 0.5 is "
        "chance, 1 is always."
    )
    trivial: ClassVar[str] = "any constant score"
    sign: ClassVar[int] = 1
    best: ClassVar[float] = 1.0
    span: ClassVar[float] = 1.0
    exact: ClassVar[tuple[float, ...]] = (0.0, 1.0)

    def of(
        self, target: NDArray[Any], score: NDArray[Any], patient: Whose
    ) -> tuple[float, NDArray[np.float64]]:
        """Return the figure, times the sign, and what each patient adds to its error.

        Args:
            target: Target of each image, shape (n,).
            score: Score of each image, shape (n,) or (n, classes).
            patient: Whole numbers from 0, shape (n,).

        Returns:
            As `equiderm.statistics.delong.contributions`.
        """
        return contributions(target, score, patient)

    def missing(self, target: NDArray[Any], patient: Whose) -> str:
        """Return why so few images have no figure, or nothing."""
        short: list[str] = []
        for word, part in (("positives", target), ("negatives", ~target)):
            images, patients = int(part.sum()), len(np.unique(patient[part]))
            if images < MIN_COUNT:
                short.append(f"{images} {word}, at least {MIN_COUNT} are needed")
            elif patients < 2:
                short.append(f"its {images} {word} are of one patient, two are needed")
        return "; ".join(short)

    def behind(self, target: NDArray[Any], patient: Whose) -> tuple[int, int]:
        """Return how many patients are behind the figure: with and without the finding."""
        return len(np.unique(patient[target])), len(np.unique(patient[~target]))

    def bounds(self, value: float, half: float, behind: tuple[int, int]) -> tuple[float, float]:
        """Return the ends of an interval that is symmetric on the figure's own scale.

        Args:
            value: The figure, times the sign.
            half: Half the interval's width, on the scale of the value.
            behind: Patients, as from `behind`.
        """
        if not 0 < value < 1 or half == 0:
            return newcombe_auroc(value, *behind)
        slope, centre = value * (1 - value), np.log(value / (1 - value))
        return _both_ends(lambda d: float(1 / (1 + np.exp(-(centre + d * half / slope)))))

    def constant(self, target: NDArray[Any]) -> NDArray[Any]:
        """Return the best answer that is the same for every image, as scores."""
        return np.zeros(len(target))


@dataclass(frozen=True)
class MacroAuroc(Measure):
    """The mean over classes of each one's AUROC against the rest.

    Attributes:
        classes: Indices of the classes that it is the mean over.
        names: Names of all classes.
    """

    key: ClassVar[str] = "macro_auroc"
    name: ClassVar[str] = "macro AUROC"
    says: ClassVar[str] = (
        "Macro AUROC: how often the model gives an image of a class a higher score of that class "
        "than it gives an image of another, mean over the classes; 0.5 is chance, 1 is always."
    )
    classes: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def of(
        self, target: NDArray[Any], score: NDArray[Any], patient: Whose
    ) -> tuple[float, NDArray[np.float64]]:
        """Return the mean of the AUROCs, and of what each patient adds to their errors."""
        each = [contributions(target == k, score[:, k], patient) for k in self.classes]
        values, parts = zip(*each, strict=True)
        return float(np.mean(values)), np.mean(parts, axis=0)

    def missing(self, target: NDArray[Any], patient: Whose) -> str:
        """Return which class has too few images, or nothing."""
        for k in self.classes:
            if why := super().missing(target == k, patient):
                return f"{self.names[k]}: {why}"
        return ""

    def behind(self, target: NDArray[Any], patient: Whose) -> tuple[int, int]:
        """Return the patients of the rarest class, and of the others."""
        each = [super(MacroAuroc, self).behind(target == k, patient) for k in self.classes]
        return min(each, key=min)

    def constant(self, target: NDArray[Any]) -> NDArray[Any]:
        """Return the same scores for every image."""
        return np.zeros((len(target), len(self.names)))


@dataclass(frozen=True)
class Kappa(Measure):
    """Quadratic-weighted kappa of the answered and the true class, or rank.

    Source:
        Cohen 1968, Psychological Bulletin 70:213; the error by the derivatives of its two means.
    """

    key: ClassVar[str] = "weighted_kappa"
    name: ClassVar[str] = "weighted kappa"
    says: ClassVar[str] = (
        "Weighted kappa: how far the answered class agrees with the true one beyond chance; a miss "
        "by two steps counts four times a miss by one; 0 is any constant answer, 1 always right. "
        "A group whose true classes differ little has a lower kappa for the same misses."
    )
    span: ClassVar[float] = 2.0
    exact: ClassVar[tuple[float, ...]] = (1.0,)

    def of(
        self, target: NDArray[Any], score: NDArray[Any], patient: Whose
    ) -> tuple[float, NDArray[np.float64]]:
        """Return kappa, and what each patient adds to its error."""
        t, a = np.asarray(target, dtype=float), np.asarray(score, dtype=float)
        off = (t - a) ** 2
        chance = t.var() + a.var() + (t.mean() - a.mean()) ** 2
        if not chance > 0:
            return float("nan"), np.full(int(patient.max()) + 1, np.nan)
        by_chance = _centred(t**2 + a**2 - 2 * (a.mean() * t + t.mean() * a))
        moved = (off.mean() / chance * by_chance - _centred(off)) / chance
        return float(1 - off.mean() / chance), _by_patient(moved / len(t), patient)

    def missing(self, target: NDArray[Any], patient: Whose) -> str:
        """Return why so few images have no figure, or nothing."""
        if why := _few(target, patient):
            return why
        return "" if len(np.unique(target)) > 1 else "all of one class, two are needed"

    def behind(self, target: NDArray[Any], patient: Whose) -> tuple[int, int]:
        """Return the patients, twice."""
        patients = len(np.unique(patient))
        return patients, patients

    def bounds(self, value: float, half: float, behind: tuple[int, int]) -> tuple[float, float]:
        """Return ends that are symmetric on the scale of Fisher's z; unknown without an error."""
        if half == 0 or not -1 < value < 1:
            return float("nan"), float("nan")
        centre, slope = np.arctanh(value), 1 - value**2
        return _both_ends(lambda d: float(np.tanh(centre + d * half / slope)))


@dataclass(frozen=True)
class MeanError(Kappa):
    """Mean absolute error of a number, negated."""

    key: ClassVar[str] = "mean_absolute_error"
    name: ClassVar[str] = "mean absolute error"
    says: ClassVar[str] = (
        "Mean absolute error: the mean distance of the answer from the truth, in the target's "
        "unit. Less is better: the worst group has the highest."
    )
    trivial: ClassVar[str] = "the median for every image"
    sign: ClassVar[int] = -1
    best: ClassVar[float] = 0.0
    span: ClassVar[float] = float("inf")
    exact: ClassVar[tuple[float, ...]] = (0.0,)

    def of(
        self, target: NDArray[Any], score: NDArray[Any], patient: Whose
    ) -> tuple[float, NDArray[np.float64]]:
        """Return the negated error, and what each patient adds to its error."""
        off = -np.abs(np.asarray(target, dtype=float) - score)
        return float(off.mean()), _by_patient(_centred(off) / len(off), patient)

    def missing(self, target: NDArray[Any], patient: Whose) -> str:
        """Return why so few images have no figure, or nothing."""
        return _few(target, patient)

    def bounds(self, value: float, half: float, behind: tuple[int, int]) -> tuple[float, float]:
        """Return ends that are symmetric on the logarithmic scale; unknown without an error."""
        if half == 0 or not value < 0:
            return float("nan"), float("nan")
        return _both_ends(lambda d: float(value * np.exp(d * half / value)))

    def constant(self, target: NDArray[Any]) -> NDArray[Any]:
        """Return the median for every image."""
        return np.full(len(target), np.median(target))


MEASURES: dict[str, Measure] = {  # of each kind of target
    "binary": Measure(),
    "classes": MacroAuroc(),
    "ordered": Kappa(),
    "number": MeanError(),
}
BY_KEY = {measure.key: measure for measure in MEASURES.values()}


def default_margin(kind: str, target: NDArray[Any]) -> float:
    """Return the default margin of equivalence.

    0.03; for a number, a tenth of the standard deviation of the tested values.
    """
    return float(np.std(target)) / 10 if kind == "number" else MARGIN


def _few(target: NDArray[Any], patient: Whose) -> str:
    images, patients = len(target), len(np.unique(patient))
    if images < 2 * MIN_COUNT:
        return f"{images} images, at least {2 * MIN_COUNT} are needed"
    return "" if patients > 1 else f"its {images} images are of one patient, two are needed"


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values - values.mean()


def _by_patient(moved: NDArray[np.float64], patient: Whose) -> NDArray[np.float64]:
    count = len(np.unique(patient))
    if count < 2:
        return np.full(int(patient.max()) + 1, np.nan)
    return np.sqrt(count / (count - 1)) * np.bincount(patient, weights=moved)


def _both_ends(end: Callable[[int], float]) -> tuple[float, float]:
    return end(-1), end(1)
