"""The paper's tables from the data sets as their owners ship them, beside what was published."""

from equiderm.reproduce.published import TABLES
from equiderm.reproduce.result import Reproduction
from equiderm.reproduce.story import reproduce
from equiderm.reproduce.work import Settings

__all__ = ["TABLES", "Reproduction", "Settings", "reproduce"]
