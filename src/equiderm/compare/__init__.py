"""Compare methods over seeds and test sets: train, score, and say how sure every difference is."""

from equiderm.compare.comparison import Compared, TestSet, compare
from equiderm.compare.report import as_dict, render

__all__ = ["Compared", "TestSet", "as_dict", "compare", "render"]
