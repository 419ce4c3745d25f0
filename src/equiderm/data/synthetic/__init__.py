"""Lesion photographs on skin of known ITA, for tests, demonstrations and teaching.

Not evidence about real lesions or real people: see `synthesize` for what it may not be used to
claim.
"""

from equiderm.data.synthetic.archive import (
    Archive,
    join,
    synthesize,
    synthesize_to,
    write_archive,
)
from equiderm.data.synthetic.patients import ARTEFACTS, LOOKS

__all__ = ["ARTEFACTS", "LOOKS", "Archive", "join", "synthesize", "synthesize_to", "write_archive"]
