"""The one way from figures to the report, which imports them: opened when something is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def report() -> ModuleType:
    """Return the package `equiderm.audit.report`."""
    from equiderm.audit import report

    return report
