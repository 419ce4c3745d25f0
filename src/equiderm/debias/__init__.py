"""The methods, by name. Called "debias" after the papers; none makes a model free of bias."""

from equiderm.debias.cdann import CDANN
from equiderm.debias.clgr import CLGR
from equiderm.debias.color_consistency import ColorConsistency
from equiderm.debias.dann import DANN
from equiderm.debias.dfr import DFR
from equiderm.debias.domain_independent import DomainIndependent
from equiderm.debias.erm import ERM
from equiderm.debias.group_dro import GroupDRO
from equiderm.debias.leace import LEACE
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
    "group_dro": GroupDRO,
    "dfr": DFR,
    "domain_independent": DomainIndependent,
    "dann": DANN,
    "cdann": CDANN,
    "leace": LEACE,
    "color_consistency": ColorConsistency,
}

__all__ = [
    "CDANN",
    "CLGR",
    "DANN",
    "DFR",
    "ERM",
    "LEACE",
    "LNTL",
    "METHODS",
    "TABE",
    "ColorConsistency",
    "DomainIndependent",
    "GroupDRO",
    "GroupMethod",
    "Method",
    "Rates",
    "Resampling",
    "Update",
    "take_step",
]
