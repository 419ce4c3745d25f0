"""Skin tone of lesion photographs: estimate one, label many, band, compare with people."""

from equiderm.tone.corrections import apply_corrections
from equiderm.tone.estimate import ToneEstimate, estimate
from equiderm.tone.estimators import METHODS
from equiderm.tone.label import label
from equiderm.tone.scales import SCHEMES, Scheme, assign_bands

__all__ = [
    "METHODS",
    "SCHEMES",
    "Scheme",
    "ToneEstimate",
    "apply_corrections",
    "assign_bands",
    "estimate",
    "label",
]
