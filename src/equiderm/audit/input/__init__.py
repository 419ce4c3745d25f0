"""Input of an audit: checked arrays from any table, or an `InputError`.

`arrays` turns Python objects into one table, `cells` reads its columns, `rows` selects the rows,
and `study` holds the result.
"""

from __future__ import annotations

from equiderm.audit.input.arrays import as_frame, from_arrays, is_name
from equiderm.audit.input.cells import Reading, as_texts, parse_cuts, to_probability
from equiderm.audit.input.rows import check_column, make_study, study_of_read
from equiderm.audit.input.study import CORRECTED, ROWS, Provenance, Study, Weighting, subject_of

__all__ = [
    "CORRECTED",
    "ROWS",
    "Provenance",
    "Reading",
    "Study",
    "Weighting",
    "as_frame",
    "as_texts",
    "check_column",
    "from_arrays",
    "is_name",
    "make_study",
    "parse_cuts",
    "study_of_read",
    "subject_of",
    "to_probability",
]
