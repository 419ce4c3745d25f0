"""Audit any classifier by group: one table in, figures with intervals and one report out."""

from __future__ import annotations

from equiderm.audit.audit import Audit, audit
from equiderm.audit.comparison import Comparison
from equiderm.audit.condition import Condition, parse_condition
from equiderm.audit.gaps import Gap
from equiderm.audit.groups import Figure, Options
from equiderm.audit.input import Provenance
from equiderm.audit.label_error import Agreement, Corrected, read_agreement
from equiderm.audit.metrics import METRICS
from equiderm.audit.verdict import Finding, TooFew, Verdict

__all__ = [
    "METRICS",
    "Agreement",
    "Audit",
    "Comparison",
    "Condition",
    "Corrected",
    "Figure",
    "Finding",
    "Gap",
    "Options",
    "Provenance",
    "TooFew",
    "Verdict",
    "audit",
    "parse_condition",
    "read_agreement",
]
