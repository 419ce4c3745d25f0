"""The methods, by name. Called "debias" after the papers; none makes a model free of bias."""

import difflib
from importlib.metadata import entry_points

from equiderm.debias.cdann import CDANN
from equiderm.debias.clgr import CLGR
from equiderm.debias.color_consistency import ColorConsistency
from equiderm.debias.coral import CORAL
from equiderm.debias.dann import DANN
from equiderm.debias.density import Density
from equiderm.debias.dfr import DFR
from equiderm.debias.domain_independent import DomainIndependent
from equiderm.debias.erm import ERM
from equiderm.debias.group_dro import GroupDRO
from equiderm.debias.leace import LEACE
from equiderm.debias.lntl import LNTL
from equiderm.debias.method import (
    Attribute,
    GroupMethod,
    Method,
    Rates,
    Update,
    take_step,
)
from equiderm.debias.mmd import MMD
from equiderm.debias.per_group import PerGroup, fit_per_group
from equiderm.debias.resampling import Resampling
from equiderm.debias.tabe import TABE
from equiderm.errors import InputError
from equiderm.models import load_installed

INSTALLED = "equiderm.methods"  # entry points by which an installed package offers its own
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
    "mmd": MMD,
    "coral": CORAL,
    "density": Density,
}


def installed_names() -> list[str]:
    """Return the names of methods that installed packages offer and that are not loaded yet."""
    return sorted(entry_points(group=INSTALLED).names - METHODS.keys())


def find_method(name: object) -> type[Method]:
    """Return a method's class by its name: one of `METHODS`, or an installed package's.

    A package offers one as an entry point of the group ``equiderm.methods``; it is then added to
    `METHODS`.

    Raises:
        InputError: No such method, or one that cannot be imported or is not a class of `Method`.
    """
    if isinstance(name, str) and name in METHODS:
        return METHODS[name]
    method = load_installed(INSTALLED, name) if isinstance(name, str) else None
    if method is None:
        names = [*METHODS, *installed_names()]
        near = difflib.get_close_matches(name.lower() if isinstance(name, str) else "", names, n=1)
        hint = f"did you mean {near[0]}? Give one of" if near else "give one of"
        raise InputError(f"[method] name = {name!r}: {hint} {', '.join(names)}.")
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise InputError(f"[method] name = {name!r}: its package offers no class of Method.")
    METHODS[str(name)] = method
    return method


__all__ = [
    "CDANN",
    "CLGR",
    "CORAL",
    "DANN",
    "DFR",
    "ERM",
    "LEACE",
    "LNTL",
    "METHODS",
    "MMD",
    "TABE",
    "Attribute",
    "ColorConsistency",
    "Density",
    "DomainIndependent",
    "GroupDRO",
    "GroupMethod",
    "Method",
    "PerGroup",
    "Rates",
    "Resampling",
    "Update",
    "find_method",
    "fit_per_group",
    "installed_names",
    "take_step",
]
