"""The methods, by name. Called "debias" after the papers; none makes a model free of bias."""

from equiderm.debias.clgr import CLGR
from equiderm.debias.erm import ERM
from equiderm.debias.lntl import LNTL
from equiderm.debias.method import GroupMethod, Method, Rates, Update, take_step
from equiderm.debias.resampling import Resampling
from equiderm.debias.tabe import TABE

METHODS: dict[str, type[Method]] = {
    "erm": ERM,
    "lntl": LNTL,
    "tabe": TABE,
    "clgr": CLGR,
    "resampling": Resampling,
}

__all__ = [
    "CLGR",
    "ERM",
    "LNTL",
    "METHODS",
    "TABE",
    "GroupMethod",
    "Method",
    "Rates",
    "Resampling",
    "Update",
    "take_step",
]
