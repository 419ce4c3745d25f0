"""The checked rows of an audit: targets, scores, patients and groups, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.groupings import Grouping, take_groups
from equiderm.records import Record
from equiderm.statistics.delong import kish_n

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


SCORE, CORRECTED, WEIGHTED, ROWS = "score", "corrections by hand", "weights", "rows"


class Note(str):
    """A sentence on how a table was read, which knows its subject.

    Attributes:
        about: `SCORE` (its columns), `CORRECTED` (labels), `WEIGHTED` (figures) or `ROWS` that are
            left out, replaced or in no group.
    """

    __slots__ = ("about",)
    about: str

    def __new__(cls, text: str, about: str = ROWS) -> Note:
        """Return the sentence ``text`` on a subject."""
        note = super().__new__(cls, text)
        note.about = about
        return note


def subject_of(note: str) -> str:
    """Return what a note is about; text without a subject is on rows."""
    return note.about if isinstance(note, Note) else ROWS


@dataclass(frozen=True)
class Provenance:
    """Origin of the audited rows, for the report; any field may be empty.

    Attributes:
        files: Name and SHA-256 of each input file.
        command: The command line.
        model: Name of the audited model.
        tone_source: Origin of the tone labels, in words.
        finding: What a positive image shows, in the singular: "melanoma".
        missed: Name of the file that lists the missed positives of the worst group, if any.
    """

    files: tuple[tuple[str, str], ...] = ()
    command: str = ""
    model: str = ""
    tone_source: str = ""
    finding: str = "positive"
    missed: str = ""


@dataclass(frozen=True)
class Weighting:
    """How rows are weighted, for the report.

    Attributes:
        column: Name of the column of weights.
        sum: Sum of the weights, as given.
        effective_n: Kish's effective number of rows, (sum w)^2 / sum w^2.
    """

    column: str
    sum: float
    effective_n: float


@dataclass(frozen=True, eq=False, repr=False)
class Study(Record):
    """Targets, scores, patients and groupings of the same rows, in the order of the table.

    Attributes:
        name: Name of the table for messages.
        target: Whether each row is positive, shape (n,); all False without ``truth``.
        score: Scores in [0, 1], shape (n,).
        groupings: The group columns, and their intersection if there is one.
        patient: Patient codes from 0, shape (n,); None if every row is another patient's.
        ids: Image ids as text, shape (n,); None without an id column.
        notes: Sentences on rows that were left out or replaced, and on how the rest was read; what
            each is about is `subject_of`.
        doubts: Sentences on likely faults of the table.
        truth: Whether the targets are known; if not, only the selection rate can be computed.
        weight: Sampling weights above 0, mean 1, shape (n,); None if every row counts once.
        weight_name: Name of the column of weights.
        weight_unit: Mean of the weights as given.
        numbers: By name the columns to draw curves along, shape (n,), NaN where not known.
        mix: By name the columns to hold equal between groups, as text, shape (n,).
    """

    name: str
    target: NDArray[np.bool_]
    score: NDArray[np.float64]
    groupings: tuple[Grouping, ...]
    patient: NDArray[np.intp] | None = None
    ids: NDArray[Any] | None = None
    notes: tuple[str, ...] = field(default=())
    doubts: tuple[str, ...] = field(default=())
    truth: bool = True
    weight: NDArray[np.float64] | None = None
    weight_name: str = ""
    weight_unit: float = 1.0
    numbers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    mix: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def weighting(self) -> Weighting | None:
        """How the rows are weighted; None if every row counts once."""
        if self.weight is None:
            return None
        total = float(self.weight.sum() * self.weight_unit)
        return Weighting(self.weight_name, total, kish_n(self.weight))

    @property
    def patients(self) -> int | None:
        """Number of patients; None if the table names none."""
        return None if self.patient is None else int(self.patient.max()) + 1

    @property
    def clusters(self) -> int:
        """Number of patients; of rows if the table names none."""
        return len(self.target) if self.patients is None else self.patients

    def cluster_of(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the patient code of each of these rows; the row itself without patients."""
        return rows if self.patient is None else self.patient[rows]

    def patient_of(self, rows: NDArray[Any]) -> NDArray[np.intp] | None:
        """Return the patient code of each of these rows (indices or a mask), or None."""
        return None if self.patient is None else self.patient[rows]

    def weight_of(self, rows: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the sampling weight of each of these rows (indices or a mask), or None."""
        return None if self.weight is None else self.weight[rows]

    def count_patients(self, rows: NDArray[Any]) -> int:
        """Return the number of patients of these rows; of rows if the table names no patients."""
        patient = self.patient_of(rows)
        return len(self.target[rows]) if patient is None else len(np.unique(patient))

    def effective_n(self, rows: NDArray[Any]) -> float:
        """Return how many patients of equal weight these weighted rows are worth (Kish)."""
        assert self.weight is not None
        return kish_n(self.weight[rows], self.patient_of(rows))

    @property
    def order(self) -> NDArray[np.intp]:
        """Rows by descending score."""
        return np.argsort(-self.score, kind="stable")

    def take(self, rows: NDArray[np.intp]) -> Study:
        """Return the study of these rows, in this order; its patients are numbered from 0 again."""
        groupings = tuple(take_groups(grouping, rows) for grouping in self.groupings)
        patient = self.patient
        if patient is not None:
            patient = np.unique(patient[rows], return_inverse=True)[1].astype(np.intp)
        return replace(
            self,
            target=self.target[rows],
            score=self.score[rows],
            groupings=groupings,
            patient=patient,
            ids=None if self.ids is None else self.ids[rows],
            weight=self.weight_of(rows),
            numbers={name: values[rows] for name, values in self.numbers.items()},
            mix={name: cells[rows] for name, cells in self.mix.items()},
        )
