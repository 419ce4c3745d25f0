"""Images of a test set in each third of the tones, and whether each third has a quarter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from equiderm.audit.groupings import as_text, rank_of_tone, step_of
from equiderm.audit.input import Reading, check_column, make_study
from equiderm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

THIRDS = ("light", "middle", "dark")
QUARTER, PARTICIPANTS = 0.25, 150
SOURCE = (
    "FDA draft guidance of 7 January 2025, 'Pulse Oximeters for Medical Purposes - Non-Clinical "
    "and Clinical Performance Testing, Labeling, and Premarket Submission Recommendations' "
    "(Federal Register 2024-31540)"
)
SAYS = (
    "It is about pulse oximeters, not about images of skin, and it is a draft: at least 150 "
    "participants, and at least a quarter of them in each third of the Monk scale (1 to 4, 5 to 7, "
    "8 to 10). Known to us from the notice and from public summaries, not from its own text. It "
    "counts people by a Monk tone that a person judged."
)


@dataclass(frozen=True)
class Third:
    """The images of a test set in one third of the tones.

    Attributes:
        name: "light", "middle" or "dark".
        labels: The tone labels of the third.
        patients: Number of patients; of images if patients are not known.
        images: Number of images.
        positives: Positive images.
        negatives: Negative images.
        patients_with_positives: Patients with a positive image.
        patients_with_negatives: Patients with a negative image.
        together: For positive and for negative images, the mean over images of how many images of
            this class their patient has.
    """

    name: str
    labels: tuple[str, ...]
    patients: int
    images: int
    positives: int
    negatives: int
    patients_with_positives: int
    patients_with_negatives: int
    together: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Rule:
    """Whether a test set has a quarter in each third of the tones; see `SOURCE`.

    Attributes:
        counted: "patients", or "images" if patients are not known.
        number: How many of them have a tone.
        shares: Share of each third, by name.
        quarter: Whether each third has at least a quarter.
        enough: Whether there are 150 or more.
        source: Source of the rule.
        says: What the rule is about.
    """

    counted: str
    number: int
    shares: Mapping[str, float]
    quarter: bool
    enough: bool
    source: str = SOURCE
    says: str = SAYS


def thirds_of(labels: Sequence[str], column: str = "", given: str = "") -> dict[str, int]:
    """Return the third of each tone label: 0 light, 1 middle, 2 dark.

    Args:
        labels: The tone labels.
        column: Name of their column; with "monk" or "mst" in it, the labels are of that scale.
        given: The labels of the thirds, as in "1,2/3,4/5,6".

    Raises:
        InputError: Labels that are not of a known scale, or not in a given third.

    Example:
        >>> thirds_of(["I", "III", "VI"])
        {'I': 0, 'III': 1, 'VI': 2}
    """
    if given:
        parts = [[as_text(label) for label in part.split(",")] for part in given.split("/")]
        if len(parts) != 3:
            raise InputError(
                f"'{given}' is not three thirds; write the labels of light, middle and dark tones "
                'as in `thirds="1,2/3,4/5,6"`.'
            )
        place = {label: k for k, part in enumerate(parts) for label in part}
        if absent := [label for label in labels if label not in place]:
            raise InputError(f"the tone '{absent[0]}' is in none of the thirds '{given}'.")
        return {label: place[label] for label in labels}
    order = rank_of_tone(labels)
    if order is not None:
        steps = {label: order[label] + 1 for label in labels}
        length = 8 if any(label == "very_lt" or label[-1:].isdigit() for label in labels) else 6
        return {label: min(3 * (step - 1) // length, 2) for label, step in steps.items()}
    step_by_label = {label: step_of(label) for label in labels}
    if unknown := [label for label, step in step_by_label.items() if step is None]:
        raise InputError(
            f"'{unknown[0]}' in column '{column}' is not a step of a tone scale; name the labels "
            'of light, middle and dark, as in `thirds="1,2/3,4/5,6"`, or, if it means not known, '
            f'`missing="{unknown[0]}"`.'
        )
    numbers = {label: int(step or 0) for label, step in step_by_label.items()}
    monk = max(numbers.values()) > 6 or any(word in column.lower() for word in ("monk", "mst"))
    edges = (4, 7) if monk else (2, 4)
    return {label: int(sum(step > edge for edge in edges)) for label, step in numbers.items()}


def of_split(frame: pd.DataFrame, split: str, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows of one split; if none is named and there are several, all, with a note."""
    if not split:
        parts = frame["split"].dropna().unique() if "split" in frame.columns else []
        if len(parts) < 2:
            return frame, ()
        named = ", ".join(sorted(map(as_text, parts)))
        return frame, (f'All splits are counted ({named}); `split="test"` counts only one.',)
    check_column(frame, "split", name)
    rows = frame["split"].map(as_text, na_action="ignore") == split
    if not rows.any():
        raise InputError(f"{name}: column 'split' has no '{split}'; name a split that it has.")
    return frame[rows], ()


def count_thirds(
    frame: pd.DataFrame,
    by: str,
    target: str,
    patient: str | None,
    reading: Reading,
    thirds: str,
    name: str,
) -> tuple[tuple[Third, ...], tuple[str, ...], int | None]:
    """Return the three thirds of a test set, notes, and the number of patients, None if not known.

    The table is read as by an audit, without scores.
    """
    study = make_study(
        frame,
        target=target,
        score=None,
        by=[by],
        patient=patient,
        reading=reading,
        name=name,
    )
    grouping = study.groupings[0]
    place = thirds_of(grouping.labels, by, thirds)
    codes = np.array([*(place[label] for label in grouping.labels), -1])[grouping.codes]
    who = study.cluster_of(np.arange(len(codes)))

    def third(k: int) -> Third:
        rows = codes == k
        of = [who[rows & (study.target == is_positive)] for is_positive in (True, False)]
        sizes = [np.unique(part, return_counts=True)[1] for part in of]
        usual = [float((s**2).sum() / s.sum()) if len(s) else 1.0 for s in sizes]
        labels = tuple(label for label in grouping.labels if place[label] == k)
        return Third(
            THIRDS[k],
            labels,
            patients=len(np.unique(who[rows])),
            images=int(rows.sum()),
            positives=len(of[0]),
            negatives=len(of[1]),
            patients_with_positives=len(sizes[0]),
            patients_with_negatives=len(sizes[1]),
            together=(usual[0], usual[1]),
        )

    parts = tuple(third(k) for k in range(3))
    people = len(np.unique(who[codes >= 0]))
    notes = [*study.notes, *study.doubts]
    if (twice := sum(part.patients for part in parts) - people) > 0:
        notes.append(
            f"Of {people:,} patients some have images in several thirds ({twice:,} times): they "
            "count in each of these, and once in all."
        )
    return parts, tuple(notes), None if patient is None else people


def prevalence_of(thirds: Sequence[Third]) -> float:
    """Return the share of positive images, in (0, 1)."""
    positives = sum(third.positives for third in thirds)
    images = sum(third.images for third in thirds)
    return min(max(positives / images, 1e-4), 1 - 1e-4) if images else 0.25


def together_of(thirds: Sequence[Third]) -> tuple[float, float]:
    """Return `Third.together` over all thirds."""

    def mean(parts: list[tuple[int, float]]) -> float:
        total = sum(count for count, _ in parts)
        return sum(count * size for count, size in parts) / total if total else 1.0

    return (
        mean([(third.positives, third.together[0]) for third in thirds]),
        mean([(third.negatives, third.together[1]) for third in thirds]),
    )


def quarter_rule(thirds: Sequence[Third], people: int | None) -> Rule:
    """Return whether each third has a quarter of the patients.

    Args:
        thirds: The thirds; one who is in several has a part in the share of each.
        people: Number of patients, each counted once; None if not known, and images are counted.
    """
    known = people is not None
    counts = {third.name: third.patients if known else third.images for third in thirds}
    total = sum(counts.values())
    number = total if people is None else people
    shares = {key: value / total if total else 0.0 for key, value in counts.items()}
    return Rule(
        "patients" if known else "images",
        number,
        shares,
        total > 0 and min(shares.values()) >= QUARTER,
        number >= PARTICIPANTS,
    )
