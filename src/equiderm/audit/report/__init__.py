"""An audit for people: words, tables, pictures, one page.

It imports the audit; the audit comes back here by one way only, `equiderm.audit.shown`.
"""

from __future__ import annotations

from equiderm.audit.report import (
    case_mix,
    classes,
    curves,
    export,
    first_screen,
    page,
    paired,
    planned,
    plots,
    subgroups,
    tables,
    words,
)

__all__ = [
    "case_mix",
    "classes",
    "curves",
    "export",
    "first_screen",
    "page",
    "paired",
    "planned",
    "plots",
    "subgroups",
    "tables",
    "words",
]
