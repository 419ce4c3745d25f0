"""The report of an audit: sentences, tables, plots and the page.

It imports the audit; the audit imports it only through `equiderm.audit.shown`.
"""

from __future__ import annotations

from equiderm.audit.report import (
    case_mix,
    classes,
    curves,
    export,
    first_screen,
    number,
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
    "number",
    "page",
    "paired",
    "planned",
    "plots",
    "subgroups",
    "tables",
    "words",
]
