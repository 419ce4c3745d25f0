"""Import the report, which imports the audit, only when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def report() -> ModuleType:
    """Return the package `equiderm.audit.report`."""
    from equiderm.audit import report

    return report
