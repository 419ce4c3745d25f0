"""Label skin tone, train classifiers that unlearn it, and audit any lesion classifier by tone.

Equiderm measures and mitigates; it is not a diagnosis tool. The public names are loaded when first
used, so that ``import equiderm`` stays quick and never needs torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equiderm.errors import InputError
    from equiderm.tone import ToneEstimate, estimate, label

__version__ = "0.1.0"

_PUBLIC = {
    "InputError": "equiderm.errors",
    "ToneEstimate": "equiderm.tone",
    "estimate": "equiderm.tone",
    "label": "equiderm.tone",
}
__all__ = ["InputError", "ToneEstimate", "__version__", "estimate", "label"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'equiderm' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
