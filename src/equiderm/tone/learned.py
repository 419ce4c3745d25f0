"""A trained model in place of a method or a scheme: its interface, and the row that it fills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from equiderm.errors import InputError
from equiderm.format import listed
from equiderm.tone.color import hue_angle, individual_typology_angle
from equiderm.tone.estimate import COLUMNS, FLAG_COLUMN, in_order
from equiderm.tone.scales import ESTIMATED, Scheme
from equiderm.tone.table import COLOUR

SURE = 0.25  # least confidence, on the way from a model that knows nothing to certainty
FEW = 3  # types of a scale in which an answer and those next to it would be nearly all
# Columns that a method measures and a model that estimates colour does not.
_OF_A_METHOD = ("L", "a", "b", "hue", "ita", "ita_band", "patch", "patch_ita", "spread")
Picture = Callable[[int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Scale:
    """What a model estimates from a photograph: types or a number.

    Attributes:
        column: The target column of the table on which it was trained.
        names: The types, in their order; empty for a number.
    """

    column: str
    names: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it fills, as `equiderm.training.predict` names them."""
        return tuple(f"score_{name}" for name in self.names) or (self.column,)


class Model(Protocol):
    """A trained estimator of skin tone, such as `equiderm.training.ToneModel`.

    It is sent to worker processes, so it must be picklable.

    Attributes:
        digest: SHA-256 of everything that decides its estimates.
        scales: What it estimates; at most one scale of types.
    """

    digest: str
    scales: tuple[Scale, ...]

    def estimate(self, picture: Picture) -> Sequence[NDArray[np.float64]]:
        """Return a distribution over the types, or one number, shape (1,), for each scale.

        Args:
            picture: Returns the photograph's central square of a side in px, uint8 sRGB.
        """
        ...


def columns_of(model: Model) -> tuple[str, ...]:
    """Return the columns that a model fills.

    Raises:
        InputError: Several scales of types, a column twice, or a column of the table of tones.
    """
    columns = [name for scale in model.scales for name in scale.columns]
    types = [scale.column for scale in model.scales if scale.names]
    if len(types) > 1 or len(set(columns)) < len(columns):
        what = f"types ({listed(types)})" if len(types) > 1 else listed(sorted(columns))
        raise InputError(f"several models estimate {what}; name one of them.")
    taken = sorted((set(COLUMNS) - COLOUR).intersection(columns))
    if taken:
        raise InputError(
            f"the model estimates '{taken[0]}', which is another column of a table of tones; give "
            "the target another name and train again."
        )
    return tuple(columns)


def scheme_of_model(model: Model, scheme: str) -> str:
    """Return the scheme of a model's table: its types where it estimates types, else as asked for.

    Raises:
        InputError: Another scheme than the default is asked for where the types are the bands.
    """
    names = next((scale.names for scale in model.scales if scale.names), None)
    if names is None:
        return scheme
    if scheme != "paper":
        raise InputError(
            f"scheme '{scheme}': the bands are the types that the model estimates; leave it out."
        )
    comma = [name for name in names if "," in name]
    if comma:
        raise InputError(f"the model's type '{comma[0]}' has a comma; rename it and train again.")
    return ESTIMATED + ",".join(names)


def check_bands(model: Model, scheme: Scheme) -> None:
    """Raise InputError where a scheme needs columns that a model's table leaves empty."""
    given = set(columns_of(model))
    if not COLOUR & given or scheme.name.startswith(ESTIMATED):
        return
    if {"L", "b"} <= given:
        given |= {"ita"}
    if {"a", "b"} <= given:
        given |= {"hue"}
    needed = set(scheme.fit.columns) if scheme.fit else {"ita"}
    needed |= {"L", "a", "b"} if scheme.swatches else set()
    missing = sorted(needed & set(_OF_A_METHOD) - given)
    if missing:
        raise InputError(
            f"scheme '{scheme.name}' needs {listed(missing)}, which the model does not estimate "
            f"({listed(sorted(given))}); name models of these too, or another scheme."
        )


def fill_row(row: dict[str, Any], model: Model, picture: Picture, scheme: Scheme) -> dict[str, Any]:
    """Return a row with a model's estimates; unchanged where the method measured no angle.

    The median type becomes ``ita_band``; ``confidence`` is the probability of it and of the types
    next to it. Where that is no answer (`Middle`), the band is empty and the flag
    ``model-unsure`` is set. Numbers of
    `COLOUR` replace all that the method measured; others have columns of their own.

    Args:
        row: The columns of `equiderm.tone.label`.
        model: The trained model.
        picture: The photograph.
        scheme: The scheme of the bands.
    """
    if row["ita"] is None:
        return row
    estimates = {
        scale.column: (scale, values)
        for scale, values in zip(model.scales, model.estimate(picture), strict=True)
    }
    numbers = {
        name: float(values[0]) for name, (scale, values) in estimates.items() if not scale.names
    }
    if COLOUR & numbers.keys():
        row = {**row, **dict.fromkeys(_OF_A_METHOD), "patch_ita": [], "confidence": None}
        row |= _colour(numbers)
    row = {**row, **numbers}
    for scale, shares in estimates.values():
        if scale.names:
            return row | _answer(scale, shares, row[FLAG_COLUMN])
    return {**row, "ita_band": scheme.band(row)}


def _colour(numbers: dict[str, float]) -> dict[str, float]:
    """Return the angles that follow from estimates of L*, a* and b*."""
    lab = np.array([numbers.get(name, np.nan) for name in ("L", "a", "b")])
    angles = {"ita": individual_typology_angle(lab), "hue": hue_angle(lab)}
    return {name: float(angle) for name, angle in angles.items() if not np.isnan(angle)}


@dataclass(frozen=True)
class Middle:
    """The middle of a distribution over types.

    Attributes:
        place: The place of the median type.
        near: The places that count with it: those next to it too, where there are over `FEW` types.
        share: Their probability.
        is_sure: Whether that is `SURE` of the way from what they have in the distribution of a
            model that knows nothing, in which every type has the same, to 1.
    """

    place: int
    near: range
    share: float
    is_sure: bool


def middle_type(shares: NDArray[np.float64]) -> Middle:
    """Return the middle of a distribution over types in their order, shape (k,)."""
    place = min(int((shares.cumsum() < 0.5).sum()), len(shares) - 1)
    beside = 1 if len(shares) > FEW else 0
    near = range(max(place - beside, 0), min(place + beside + 1, len(shares)))
    share, even = min(float(shares[near].sum()), 1.0), len(near) / len(shares)
    return Middle(place, near, share, share >= even + SURE * (1 - even))


def _answer(scale: Scale, shares: NDArray[np.float64], flags: str) -> dict[str, Any]:
    middle = middle_type(shares)
    answer = dict(zip(scale.columns, map(float, shares), strict=True))
    answer |= {"confidence": middle.share, "ita_band": scale.names[middle.place]}
    if not middle.is_sure:
        flags = " ".join(in_order([*flags.split(), "model-unsure"]))
        answer |= {"ita_band": None, FLAG_COLUMN: flags}
    return answer
