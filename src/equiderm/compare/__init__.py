"""Compare methods over seeds and test sets: train, score, and say how sure every difference is."""

from typing import TYPE_CHECKING, Any

from equiderm.compare.report import as_dict, render
from equiderm.compare.result import Compared, TestSet
from equiderm.compare.scores import compare_scores

if TYPE_CHECKING:
    from equiderm.compare.comparison import compare

__all__ = ["Compared", "TestSet", "as_dict", "compare", "compare_scores", "render"]


def __getattr__(name: str) -> Any:
    """Return `compare`, whose import loads torch; comparing scores needs none of it."""
    if name == "compare":
        from equiderm.compare.comparison import compare

        return compare
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
