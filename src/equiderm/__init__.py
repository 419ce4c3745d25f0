"""Label skin tone, train classifiers that unlearn it, and audit any lesion classifier by tone.

Equiderm measures and mitigates; it is not a diagnosis tool. Public names and submodules are loaded
when first used, so that ``import equiderm`` stays quick; those of ``training``, ``debias`` and
``batch`` need torch, the others never.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # with ``python -m`` a typing.py of the working folder would be imported
if TYPE_CHECKING:  # each from where it is defined
    from typing import Any

    from equiderm import agreement as agreement
    from equiderm import audit as audit
    from equiderm import batch as batch
    from equiderm import compare as compare
    from equiderm import data as data
    from equiderm import debias as debias
    from equiderm import photo as photo
    from equiderm import reproduce as reproduce
    from equiderm import tone as tone
    from equiderm import training as training
    from equiderm.errors import InputError
    from equiderm.progress import ProgressBar
    from equiderm.tone.estimate import ToneEstimate, estimate
    from equiderm.tone.label import label

__version__ = "0.1.0"

_PUBLIC = {
    "InputError": "equiderm.errors",
    "ProgressBar": "equiderm.progress",
    "ToneEstimate": "equiderm.tone",
    "estimate": "equiderm.tone",
    "label": "equiderm.tone",
}
_SUBMODULES = (
    "agreement", "audit", "batch", "compare", "data", "debias", "photo", "reproduce", "tone",
    "training",
)  # fmt: skip
__all__ = ["InputError", "ProgressBar", "ToneEstimate", "__version__", "estimate", "label"]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"equiderm.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'equiderm' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBMODULES])
