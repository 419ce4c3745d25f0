"""Audit any classifier by group: from one table to figures with intervals and a report."""

from __future__ import annotations

from equiderm.audit.adjust import Adjusted
from equiderm.audit.along import Along, Curve
from equiderm.audit.audit import Audit, audit
from equiderm.audit.bridges import GroupScorer, from_metricframe
from equiderm.audit.classes import ClassesAudit, audit_classes
from equiderm.audit.comparison import Comparison, Comparisons
from equiderm.audit.condition import Condition, parse_condition
from equiderm.audit.find import Found, find_subgroups
from equiderm.audit.from_tables import audit_files, audit_models
from equiderm.audit.gaps import Gap
from equiderm.audit.groups import Figure, Options
from equiderm.audit.input import Provenance
from equiderm.audit.label_error import Agreement, Corrected, read_agreement
from equiderm.audit.metrics import METRICS
from equiderm.audit.number import NumberAudit, audit_number
from equiderm.audit.planning import Plan, plan
from equiderm.audit.reading import Request
from equiderm.audit.saved import SavedAudit
from equiderm.audit.verdict import Finding, TooFew, Verdict

__all__ = [
    "METRICS",
    "Adjusted",
    "Agreement",
    "Along",
    "Audit",
    "ClassesAudit",
    "Comparison",
    "Comparisons",
    "Condition",
    "Corrected",
    "Curve",
    "Figure",
    "Finding",
    "Found",
    "Gap",
    "GroupScorer",
    "NumberAudit",
    "Options",
    "Plan",
    "Provenance",
    "Request",
    "SavedAudit",
    "TooFew",
    "Verdict",
    "audit",
    "audit_classes",
    "audit_files",
    "audit_models",
    "audit_number",
    "find_subgroups",
    "from_metricframe",
    "parse_condition",
    "plan",
    "read_agreement",
]
