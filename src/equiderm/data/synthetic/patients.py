"""Who the patients are: their tone, their lesions, how tone and diagnosis go together."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equiderm.data.synthetic.lesion import draw_traits
from equiderm.data.synthetic.scene import Scene
from equiderm.errors import InputError

LOOKS = {
    "dermoscopic": {
        "hair": 0.5, "ruler": 0.2, "ink": 0.08, "bubbles": 0.2, "glare": 0.12, "vignette": 0.4
    },
    "clinical": {
        "hair": 0.4, "ruler": 0.08, "ink": 0.06, "bubbles": 0.0, "glare": 0.25, "vignette": 0.0
    },
}  # fmt: skip
ARTEFACTS = tuple(LOOKS["dermoscopic"])
DARKEST, LIGHTEST = -50.0, 70.0
_BLOCK = 12  # images among which patients are dealt, so that image i depends on its block alone
_SITES = ("trunk", "upper extremity", "lower extremity", "head/neck", "palms/soles")
Quantile = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Prevalence = float | Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Recipe:
    """The arguments of `synthesize` that one image depends on, checked."""

    key: tuple[int, int]
    look: str
    tone: Quantile
    prevalence: Callable[[float], float]
    overall: float
    confounding: float
    shift: float
    artefacts: Mapping[str, float]
    split: str
    arguments: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return read_recipe, self.arguments  # its functions cannot be sent to a worker


def read_recipe(
    seed: int,
    look: str,
    tones: str | Sequence[float],
    prevalence: Prevalence,
    confounding: float,
    shift: float,
    artefacts: Mapping[str, float] | None,
    split: str,
) -> Recipe:
    """Return the arguments of `synthesize` as a recipe; InputError where one is out of range."""
    if look not in LOOKS:
        raise InputError(f"look {look!r} is unknown; choose one of {', '.join(LOOKS)}.")
    if not -1 <= confounding <= 1:
        raise InputError(f"confounding {confounding} is outside -1..1; choose a share.")
    chances = LOOKS[look] if artefacts is None else artefacts
    unknown = set(chances) - set(ARTEFACTS)
    if unknown:
        known = ", ".join(ARTEFACTS)
        raise InputError(f"artefact {min(unknown)!r} is unknown; choose from {known}.")
    points = [(0.0, prevalence)] if isinstance(prevalence, int | float) else sorted(prevalence)
    angles, shares = zip(*points, strict=True)
    if not all(0 <= share <= 1 for share in shares):
        raise InputError(f"prevalence {prevalence} is outside 0..1; give shares.")
    tone = _quantile(tones)
    overall = float(np.interp(tone(np.linspace(0.0005, 0.9995, 1000)), angles, shares).mean())
    return Recipe(
        key=(seed, zlib.crc32(split.encode())),
        look=look,
        tone=tone,
        prevalence=lambda ita: float(np.interp(ita, angles, shares)),
        overall=overall,
        confounding=confounding,
        shift=shift,
        artefacts=chances,
        split=split,
        arguments=(seed, look, tones, prevalence, confounding, shift, artefacts, split),
    )


def _quantile(tones: str | Sequence[float]) -> Quantile:
    """Return the ITA, in degrees, at each rank in 0..1 from the darkest patient to the lightest."""
    if isinstance(tones, str):
        if tones == "uniform":
            return lambda rank: DARKEST + (LIGHTEST - DARKEST) * rank
        if tones == "archive":
            normal = NormalDist(43, 8)

            def light(rank: Any) -> Any:
                angles = [normal.inv_cdf(share) for share in np.ravel(rank)]
                return np.clip(np.reshape(angles, np.shape(rank)), DARKEST, LIGHTEST)

            return light
        raise InputError(f"tones {tones!r} is unknown; choose uniform, archive or give ITA values.")
    values = np.asarray(tones, dtype=float)
    if not len(values) or not np.isfinite(values).all():
        raise InputError("tones: at least one ITA is needed, and none may be missing.")
    return lambda rank: np.clip(np.quantile(values, rank), DARKEST, LIGHTEST)


def _patient(recipe: Recipe, index: int) -> tuple[str, np.random.Generator]:
    """Return the name of an image's patient and the random generator of that patient."""
    block, position = divmod(index, _BLOCK)
    rng = np.random.default_rng((*recipe.key, 0, block))
    first = 0
    while first + (count := int(rng.integers(1, 6))) <= position:
        first += count
    number = block * _BLOCK + first
    return f"{number:07d}", np.random.default_rng((*recipe.key, 1, number))


def plan(recipe: Recipe, index: int) -> tuple[Scene, dict[str, Any]]:
    """Return the scene of one image and its row of the table."""
    patient, person = _patient(recipe, index)
    rank = float(np.clip(person.random(), 1e-4, 1 - 1e-4))
    ita = float(recipe.tone(np.array(rank)))
    blood = min(0.04, 0.0096 * person.lognormal(0, 0.6))
    hairiness, age, sex = person.random(), person.integers(18, 90), person.integers(2)
    rng = np.random.default_rng((*recipe.key, 2, index))
    ita += rng.normal(0, 2)  # body sites differ
    melanoma = _has_melanoma(recipe, rank, ita, rng)
    traits = draw_traits(rng, melanoma)
    frame = rng.uniform(12, 18) if recipe.look == "dermoscopic" else rng.uniform(20, 32)
    has = {name: bool(rng.random() < recipe.artefacts.get(name, 0.0)) for name in ARTEFACTS}
    scene = Scene(
        seed=(*recipe.key, 3, index),
        look=recipe.look,
        ita=ita,
        blood=blood,
        traits=traits,
        frame_mm=max(frame, 1.3 * traits.diameter_mm),
        hairiness=hairiness,
        artefacts=has,
        shift=recipe.shift,
    )
    row = {
        "number": index,
        "target": int(melanoma),
        "patient": patient,
        "age": float(age),
        "sex": ("female", "male")[sex],
        "site": _SITES[rng.choice(5, p=[0.45, 0.2, 0.2, 0.12, 0.03])],
        **vars(traits),
        **has,
    }
    return scene, row


def _has_melanoma(recipe: Recipe, rank: float, ita: float, rng: np.random.Generator) -> bool:
    if rng.random() < abs(recipe.confounding):
        towards = rank if recipe.confounding > 0 else 1 - rank
        return towards > 1 - recipe.overall
    return bool(rng.random() < recipe.prevalence(ita))
