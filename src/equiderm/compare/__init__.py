"""Compare methods over seeds and test sets: train, score, and say how sure every difference is."""

from typing import TYPE_CHECKING, Any

from equiderm.compare.report import as_dict, render
from equiderm.compare.result import Compared, TestSet
from equiderm.compare.scores import compare_scores

if TYPE_CHECKING:
    from equiderm.compare.comparison import compare, read_files

__all__ = [
    "Compared",
    "TestSet",
    "as_dict",
    "compare",
    "compare_scores",
    "read_files",
    "render",
]


def __getattr__(name: str) -> Any:
    """Return what trains, whose import loads torch; comparing scores needs none of it."""
    if name in ("compare", "read_files"):
        from equiderm.compare import comparison

        return getattr(comparison, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
