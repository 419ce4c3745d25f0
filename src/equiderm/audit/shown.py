"""What audits of several classes and of a number share: their columns, and the way to the report.

The report imports the audit, and is imported here only when it is needed.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from equiderm.errors import InputError
from equiderm.format import json_text
from equiderm.records import Record

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd

    from equiderm.audit.groupings import Grouping
    from equiderm.audit.groups import Options
    from equiderm.audit.input import Provenance, Study


def report() -> ModuleType:
    """Return the package `equiderm.audit.report`."""
    from equiderm.audit import report

    return report


class ShownAudit(Record):
    """An audit of a study whose answer is sentences and tables."""

    study: Study
    options: Options
    provenance: Provenance

    @property
    def columns(self) -> list[str]:
        """The group columns, and their intersection if there are several."""
        return [grouping.name for grouping in self.study.groupings]

    @property
    def patients(self) -> int | None:
        """Number of patients; None if the table names none."""
        return self.study.patients

    def _grouping(self, by: str | None) -> Grouping:
        for grouping in self.study.groupings:
            if grouping.name == (by or self.columns[0]):
                return grouping
        raise InputError(f"there is no group column '{by}'; choose {', '.join(self.columns)}.")

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, and what looks like a fault of the table."""
        return (*self.study.notes, *self.study.doubts)

    @property
    @abstractmethod
    def title(self) -> str:
        """What is audited, in a few words."""

    @abstractmethod
    def answers(self) -> tuple[str, ...]:
        """Return the verdict and its evidence, in words."""

    @property
    @abstractmethod
    def claims(self) -> bool:
        """Whether a difference between groups is established."""

    @abstractmethod
    def can_say(self, by: str | None = None) -> bool:
        """Return whether two groups or more can be compared."""

    @abstractmethod
    def summaries(self) -> list[tuple[str, pd.DataFrame]]:
        """Return titles and small tables of text for a terminal."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types."""

    def _about(self, schema: str) -> dict[str, Any]:
        return {
            "schema": schema,
            "answer": self.answers(),
            "summaries": [
                {"title": title, "rows": frame.to_dict("records")}
                for title, frame in self.summaries()
            ],
            "rows": len(self.study.target),
            "patients": self.patients,
            "notes": self.notes,
            "options": asdict(self.options),
            "provenance": asdict(self.provenance),
            "versions": report().tables.versions(),
        }

    def to_json(self) -> str:
        """Return `to_dict` as text, which `read_saved` reads back; a missing number is null."""
        return json_text(self.to_dict())

    def to_markdown(self) -> str:
        """Return the answer and the tables as Markdown."""
        return report().export.answered_markdown(self)

    def _repr_html_(self) -> str:
        return report().export.fragment(self.answers(), self.summaries())
