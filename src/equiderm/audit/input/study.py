"""What an audit is made of: targets, scores, patients and groups of the same rows, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.groupings import Grouping, take_groups
from equiderm.records import Record
from equiderm.statistics.delong import people

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Provenance:
    """Where the audited rows came from, for the report; everything may be unknown.

    Attributes:
        files: Name and SHA-256 of each input file.
        command: The command line.
        model: What the audited model is called.
        tone_source: How the tone labels were made, in words.
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
        column: What the weights are called.
        sum: Of the weights, as they came.
        effective_n: How many rows of equal weight are as good (Kish): (sum w)^2 / sum w^2.
    """

    column: str
    sum: float
    effective_n: float


@dataclass(frozen=True, eq=False, repr=False)
class Study(Record):
    """Targets, scores, patients and groupings of the same rows, in the order they came.

    ``patient`` holds codes from 0; it is None where every row stands for itself. ``ids`` names the
    rows where an id column was given. ``notes`` say what was left out or replaced, ``doubts`` which
    groups look like a fault of the table. Without ``truth`` every target is False and means
    nothing: only the selection rate can be read. ``weight`` holds sampling weights above 0 in units
    of ``weight_unit``, the mean of those that came from the column ``weight_name``; it is None
    where every row counts once. ``numbers`` holds by name what figures are wanted along, NaN where
    it is not known; ``mix`` the cells, as text, of what is held equal between groups.
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
        """How the rows are weighted; None where every row counts once."""
        if self.weight is None:
            return None
        total = float(self.weight.sum() * self.weight_unit)
        return Weighting(self.weight_name, total, people(self.weight))

    @property
    def order(self) -> NDArray[np.intp]:
        """Rows by descending score."""
        return np.argsort(-self.score, kind="stable")

    def take(self, rows: NDArray[np.intp]) -> Study:
        """Return the study of these rows, in this order."""
        groupings = tuple(take_groups(one, rows) for one in self.groupings)
        return replace(
            self,
            target=self.target[rows],
            score=self.score[rows],
            groupings=groupings,
            patient=None if self.patient is None else self.patient[rows],
            ids=None if self.ids is None else self.ids[rows],
            weight=None if self.weight is None else self.weight[rows],
            numbers={name: values[rows] for name, values in self.numbers.items()},
            mix={name: cells[rows] for name, cells in self.mix.items()},
        )
