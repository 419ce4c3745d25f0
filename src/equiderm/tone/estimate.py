"""One photograph to one tone estimate: the paper's estimator and its rivals, one function each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from equiderm.errors import InputError
from equiderm.photo import Photo, PhotoError, Source, load_photo
from equiderm.tone import skin
from equiderm.tone.color import (
    hue_angle,
    individual_typology_angle,
    one_argument_angle,
    srgb_to_lab,
)
from equiderm.tone.robust import robust
from equiderm.tone.scales import Fitted, Scheme, get_scheme
from equiderm.tone.view import EIGHT_SAMPLES, SAMPLE, SIDE, Measurement, View

_EIGHT_BOXES = tuple((top, left, SAMPLE) for top, left in EIGHT_SAMPLES.values())

# Corbin and Marques 2022: squares of 8 px, 4 % of the border dropped, then the outermost ring.
_RING_SQUARE, _RING_MARGIN = 8, 12
_RING_COUNT = (SIDE - 2 * _RING_MARGIN) // _RING_SQUARE
_RING_BOXES = tuple(
    (_RING_MARGIN + row * _RING_SQUARE, _RING_MARGIN + column * _RING_SQUARE, _RING_SQUARE)
    for row in range(_RING_COUNT)
    for column in range(_RING_COUNT)
    if not (0 < row < _RING_COUNT - 1 and 0 < column < _RING_COUNT - 1)
)

# Which samples may be the lightest: those within 0.3 degrees of it as roughly filled, or 3 where
# hair is dense.
_NEARLY, _NEARLY_CROWDED = 0.3, 3.0

FLAGS: dict[str, str] = {
    "no-colour": "the picture is in shades of gray: no tone can be measured",
    "no-skin": "no pixel passed the method's test for healthy skin: no tone can be measured",
    "no-angle": "L* is 50 and b* is 0, where ITA has no value",
    "b-not-positive": "b* of the measured colour is 0 or less (bluish or polarised light): ITA "
    "says more of the light than of the skin, and the band is not to be trusted",
    "like-paper": "the measured colour is light (L* over 80) and nearly gray (chroma under 8): "
    "paper, gauze, a ruler or a sticker rather than skin",
    "glare": "over a tenth of the measured sample is burnt out (245 of 255 in every channel)",
    "not-skin-hue": "the hue of the measured colour lies outside -45 to 95 degrees, or its "
    "lightness under 15: background rather than skin",
    "dark-edge": "at least one sample is a dark corner or border: L* under 20 and at least 25 "
    "below the lightest sample",
    "hairy": "the hair mask covers over a quarter of the picture",
    "over-exposed": "over 15 % of the picture is clipped (252 of 255 in red or green): more light "
    "and lighter skin cannot be told apart",
    "two-tones": "two colours over 20 degrees of ITA apart are almost equally frequent: which of "
    "them is the skin cannot be told, and none is measured",
    "samples-disagree": "the middle half of the samples (or pixels) spans over 20 degrees of ITA",
}


@dataclass(frozen=True)
class ToneEstimate:
    """The measured skin colour of one photograph, and how far to trust it.

    Attributes:
        width: Of the original picture, px.
        height: Likewise.
        method: The estimator, a key of `METHODS`.
        L: CIELAB lightness of the measured skin, 0 to 100. None where nothing could be measured,
            like every figure below.
        a: CIELAB a* (green to red).
        b: CIELAB b* (blue to yellow).
        hue: atan2(b*, a*), degrees.
        ita: Individual typology angle, degrees; high for light skin.
        scheme: The scheme of the band.
        ita_band: The band of that scheme; computed, not a type that a person judged.
        patch: The sample chosen, for methods that choose one.
        patch_ita: ITA of every sample, degrees, in the order of the method's samples.
        spread: Inter-quartile range of the samples' (or the used pixels') ITA, degrees.
        confidence: Share of what may be skin whose ITA agrees with the result, 0 to 1; None for
            methods other than `robust`.
        hair_fraction: Share of the picture under the hair mask, 0 to 1.
        flags: Why the estimate may be wrong or is missing; keys of `FLAGS`, in that order.
        error: Why the picture could not be read; only in tables of many images.
    """

    width: int | None
    height: int | None
    method: str
    L: float | None
    a: float | None
    b: float | None
    hue: float | None
    ita: float | None
    scheme: str
    ita_band: str | None
    patch: str | None
    patch_ita: tuple[float, ...]
    spread: float | None
    confidence: float | None
    hair_fraction: float | None
    flags: tuple[str, ...]
    error: str | None = None


COLUMNS = ("image", *(field.name for field in fields(ToneEstimate)))


def _eight(view: View) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the eight samples, (8, 20, 20, 3), and their mean CIELAB colours, (8, 3)."""
    samples = view.eight[0].copy()
    return samples, _mean_lab(samples)


def _mean_lab(samples: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean CIELAB colour of each sample, (n, 3), of pixels (n, 20, 20, 3)."""
    return srgb_to_lab(samples.reshape(len(samples), -1, 3)).mean(axis=1)


def _lightest(view: View, angle: Callable[..., NDArray[np.float64]]) -> Measurement:
    samples, lab = _eight(view)
    ita = angle(lab)
    corners = tuple(EIGHT_SAMPLES.values())
    rough = view.eight[1].copy()
    nearly = _NEARLY_CROWDED if view.crowded else _NEARLY
    while True:
        known = np.where(np.isnan(ita), -np.inf, ita)
        best = int(known.argmax())
        near = np.flatnonzero(rough & (known > known[best] - nearly))
        if not len(near):
            break
        for place in near:
            samples[place] = view.sample(*corners[place])
        lab[near] = _mean_lab(samples[near])
        ita[near] = angle(lab[near])
        rough[near] = False
    name = tuple(EIGHT_SAMPLES)[best]
    return Measurement(lab[best], float(ita[best]), ita, samples[best], name, lab, _EIGHT_BOXES)


def patch_max(view: View) -> Measurement:
    """The lightest of eight 20 x 20 samples near the edges, hair removed.

    Source:
        Bevan and Atapour-Abarghouei 2022, section 3.2, constants from their released code.

    Differs:
        The two-argument arctangent, as Kalb et al. 2023 (arXiv 2308.09640) corrected it.
    """
    return _lightest(view, individual_typology_angle)


def patch_max_arctan(view: View) -> Measurement:
    """`patch_max` with Eq. 1 to the letter; reproduces the published labels, wraps where b* < 0.

    Source:
        Bevan and Atapour-Abarghouei 2022, Eq. 1.
    """
    return _lightest(view, one_argument_angle)


def patch_median(view: View) -> Measurement:
    """The median ITA of the paper's eight samples; its colour is the mean of the middle two.

    Source:
        The samples of Bevan and Atapour-Abarghouei 2022; the median, as Corbin and Marques 2022
        take it over patches.
    """
    samples, lab = _eight(view)
    ita = individual_typology_angle(lab)
    middle = np.argsort(ita)[3:5]
    return Measurement(
        lab[middle].mean(axis=0),
        float(np.median(ita)),
        ita,
        samples[middle],
        sample_lab=lab,
        boxes=_EIGHT_BOXES,
    )


def whole(view: View) -> Measurement:
    """The mean colour of the whole picture, hair removed.

    Source:
        Bevan and Atapour-Abarghouei 2022, section 4.4 (the ablation of sampling).
    """
    lab = srgb_to_lab(view.filled.reshape(-1, 3))
    mean = lab.mean(axis=0)
    return Measurement(
        mean, float(individual_typology_angle(mean)), individual_typology_angle(lab), view.filled
    )


def border_median(view: View) -> Measurement:
    """The median ITA of 112 squares of 8 px in a ring along the border; no hair step.

    Source:
        Corbin and Marques 2022, doi 10.1007/s11042-022-14211-1: "structured patches", 8 px, with 4
        % of each border dropped (here 12 of 256 px, so that whole squares fit).
    """
    inner = view.pixels[_RING_MARGIN:-_RING_MARGIN, _RING_MARGIN:-_RING_MARGIN]
    count, square = _RING_COUNT, _RING_SQUARE
    grid = inner.reshape(count, square, count, square, 3).swapaxes(1, 2)
    ring = np.concatenate([grid[0], grid[-1], grid[1:-1, 0], grid[1:-1, -1]])
    lab = srgb_to_lab(ring.reshape(len(ring), -1, 3)).mean(axis=1)
    ita = individual_typology_angle(lab)
    order = np.argsort(ita)[len(ita) // 2 - 1 : len(ita) // 2 + 1]
    return Measurement(
        lab[order].mean(axis=0),
        float(np.median(ita)),
        ita,
        ring[order],
        sample_lab=lab,
        boxes=_RING_BOXES,
    )


def ycbcr(view: View) -> Measurement | None:
    """The mean colour of pixels in the skin range of RGB and YCbCr, within one standard deviation.

    Source:
        Groh et al. 2021, arXiv 2104.09957, section 4; the ranges are Kolkur et al.'s (2017).
    """
    return _within_one_deviation(view.pixels, skin.looks_like_skin(view.pixels))


def healthy_skin(view: View) -> Measurement | None:
    """The mean colour of what is left without lesion, hair, dark corners and glare.

    Source:
        The idea of Kinyanjui et al. 2020 (arXiv 1910.13268): segment, drop the lesion, take pixels
        within one standard deviation.

    Differs:
        They trained a segmentation network; here Otsu's threshold finds the lesion.
    """
    surround = skin.dark_surround(view.pixels)
    left_out = surround | skin.lesion_mask(view.filled, surround)
    left_out |= skin.glare_mask(view.pixels) | view.hair
    return _within_one_deviation(view.pixels, left_out == 0)


def _within_one_deviation(pixels: NDArray[np.uint8], used: NDArray[np.bool_]) -> Measurement | None:
    """Return each channel's mean over used pixels within one deviation of it; None under 1 %."""
    chosen = pixels[used]
    if len(chosen) < used.size // 100:
        return None
    lab = srgb_to_lab(chosen)
    near = np.abs(lab - lab.mean(axis=0)) <= lab.std(axis=0)
    mean = (lab * near).sum(axis=0) / near.sum(axis=0)
    ita = individual_typology_angle(lab)
    return Measurement(mean, float(individual_typology_angle(mean)), ita, chosen, used=used)


METHODS: dict[str, Callable[[View], Measurement | None]] = {
    "patch-max": patch_max,
    "patch-max-arctan": patch_max_arctan,
    "patch-median": patch_median,
    "whole": whole,
    "border-median": border_median,
    "ycbcr": ycbcr,
    "healthy-skin": healthy_skin,
    "robust": robust,
}


def get_method(name: str) -> Callable[[View], Measurement | None]:
    """Return the estimator of that name; InputError, listing those there are, if there is none."""
    if name not in METHODS:
        raise InputError(f"there is no method '{name}'; choose one of {', '.join(METHODS)}.")
    return METHODS[name]


def estimate(
    source: Source, *, method: str = "patch-max", scheme: str = "paper", exact: bool = False
) -> ToneEstimate:
    """Return the skin tone of one photograph.

    Args:
        source: A path, a file's bytes, or pixels; see `equiderm.photo.load_photo`.
        method: A key of `METHODS`.
        scheme: A key of `equiderm.tone.SCHEMES`, or a fitted scheme's .json file.
        exact: Decode large JPEGs at full size; slower, and differs in about 1 band of 500.

    Raises:
        InputError: Unknown method or scheme, or a picture that cannot be read.

    Example:
        >>> import numpy as np
        >>> skin = np.full((300, 400, 3), (224, 172, 138), dtype=np.uint8)
        >>> round(estimate(skin).ita, 1)
        44.4
    """
    estimator, bands = get_method(method), get_scheme(scheme)
    try:
        photo = load_photo(source, SIDE, exact=exact)
    except PhotoError as error:
        named = isinstance(source, str | os.PathLike)
        raise PhotoError(f"{os.fspath(source)}: {error}." if named else f"{error}.") from error
    return estimate_photo(photo, method, estimator, bands)


def estimate_photo(
    photo: Photo,
    method: str,
    estimator: Callable[[View], Measurement | None],
    scheme: Scheme | Fitted,
) -> ToneEstimate:
    """Return the estimate of a photograph already decoded; `estimate` is the way in."""
    view = View(photo.square)
    found = estimator(view) if photo.has_colour else None
    common: dict[str, Any] = {
        "width": photo.width,
        "height": photo.height,
        "method": method,
        "scheme": scheme.name,
        "hair_fraction": view.hair_fraction,
    }
    if found is None:
        missing = "no-skin" if photo.has_colour else "no-colour"
        empty: dict[str, Any] = dict.fromkeys(("L", "a", "b", "hue", "ita", "ita_band", "patch"))
        return ToneEstimate(
            **common, **empty, patch_ita=(), spread=None, confidence=None, flags=(missing,)
        )
    spread = _interquartile_range(found.sample_ita)
    sampled = found.sample_lab is not None
    common |= {
        "L": float(found.lab[0]),
        "a": float(found.lab[1]),
        "b": float(found.lab[2]),
        "hue": float(hue_angle(found.lab)),
        "ita": None if np.isnan(found.ita) else found.ita,
        "patch": found.patch,
        "patch_ita": tuple(found.sample_ita.tolist()) if sampled else (),
        "spread": spread,
        "confidence": found.confidence,
    }
    flags = _flags(found, spread, view.hair_fraction)
    return ToneEstimate(**common, ita_band=scheme.band(common), flags=flags)


def _interquartile_range(values: NDArray[np.float64]) -> float | None:
    if len(values) <= 8:  # quantiles of a few numbers without numpy's overhead
        ordered = sorted(value for value in values.tolist() if value == value)
        if not ordered:
            return None
        return _quantile(ordered, 0.75) - _quantile(ordered, 0.25)
    known = values[~np.isnan(values)]
    return float(np.subtract(*np.quantile(known, [0.75, 0.25]))) if known.size else None


def _quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _flags(found: Measurement, spread: float | None, hair: float) -> tuple[str, ...]:
    lightness, red, yellow = found.lab.tolist()
    hue = float(hue_angle(found.lab))
    burnt = cv2.countNonZero((found.pixels.reshape(-1, 3).min(axis=1) >= 245).astype(np.uint8))
    dark_edge = False
    if found.sample_lab is not None:
        lights = found.sample_lab[:, 0]
        dark_edge = bool(lights.min() < min(20.0, lights.max() - 25))
    raised = {
        **dict.fromkeys(found.doubts, True),
        "no-angle": bool(np.isnan(found.ita)) and not found.doubts,
        "b-not-positive": yellow <= 0,
        "like-paper": lightness > 80 and np.hypot(red, yellow) < 8,
        "glare": burnt * 10 > found.pixels.size / 3,
        "not-skin-hue": not -45 <= hue <= 95 or lightness < 15,
        "dark-edge": dark_edge,
        "hairy": hair > 0.25,
        "samples-disagree": spread is not None and spread > 20,
    }
    return tuple(name for name in FLAGS if raised.get(name))
