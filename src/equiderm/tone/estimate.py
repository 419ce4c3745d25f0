"""One photograph to one tone estimate: measured, banded, with what may be wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from equiderm.page import table_block
from equiderm.photo.decode import Photo, PhotoError, Source, load_photo
from equiderm.photo.reference import parse_reference
from equiderm.records import brief, one_line
from equiderm.tone import skin
from equiderm.tone.color import hue_angle
from equiderm.tone.estimators import get_method
from equiderm.tone.scales import Scheme, get_scheme
from equiderm.tone.view import SIDE, Measurement, View

FLAGS: dict[str, str] = {
    "no-colour": "the picture is in shades of gray: no tone can be measured",
    "no-skin": "no pixel passed the method's test for healthy skin: no tone can be measured",
    "no-angle": "L* is 50 and b* is 0, where ITA has no value",
    "b-not-positive": "b* of the measured colour is 0 or less (bluish or polarised light): ITA "
    "describes the light more than the skin; do not trust the band",
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
    "dim": "99 of 100 pixels are below 110 of 255 in every channel: a dim lamp and darker skin "
    "cannot be told apart",
    "two-tones": "two colours over 20 degrees of ITA apart are almost equally frequent: it is "
    "unclear which is the skin, and no tone is measured",
    "lighter-edge": "one of the eight samples near the edge is over 13 degrees of ITA lighter and "
    "in band 1 or 2 of the paper: a lesion that fills the frame, or its shade, may have been taken "
    "for the skin",
    "cut-out": "the lesion was cut out, or the picture has a frame or a reference: areas that are "
    "transparent, or flat and without colour along a whole side or in all four corners, and the "
    "reference are not measured",
    "colour-unsure": "the file says that its colours are not sRGB, but not clearly which space "
    "they are in",
    "several-pictures": "the file holds several pages or frames: the first was measured",
    "model-unsure": "a trained model is less sure of its answer and the types next to it than a "
    "quarter of the way from guessing to certainty: no band",
    "samples-disagree": "the middle half of the samples (or pixels) spans over 20 degrees of ITA",
}


@dataclass(frozen=True, repr=False)
class ToneEstimate:
    """The measured skin colour of one photograph, and how far it can be trusted.

    Attributes:
        width: Width of the original picture, px.
        height: Likewise.
        method: The estimator, a key of `METHODS`.
        L: CIELAB lightness of the measured skin, 0 to 100. None where nothing could be measured,
            like every value below.
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

    def __repr__(self) -> str:
        kept = ("ita", "ita_band", "method", "scheme", "flags", "error")
        known = [(name, getattr(self, name)) for name in kept]
        parts = [f"{name}={brief(value)}" for name, value in known if value not in (None, ())]
        return one_line("ToneEstimate", parts)

    def _repr_html_(self) -> str:
        import pandas as pd

        rows = [(field.name, _text(getattr(self, field.name))) for field in fields(self)]
        return str(table_block(pd.DataFrame(rows, columns=["", "value"]), caption=repr(self)))


@dataclass(frozen=True)
class Measured:
    """One photograph measured: the estimate, and what an overlay shows of it.

    Attributes:
        view: The square picture.
        measurement: What the method returned; None where there is no skin or no colour.
        estimate: The row of the table.
    """

    view: View
    measurement: Measurement | None
    estimate: ToneEstimate


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_text, value))
    return "" if value is None else brief(value).strip("'")


FLAG_COLUMN = "tone_flags"  # pandas has an attribute `flags` of its own
COLUMNS = (
    "image",
    *(FLAG_COLUMN if field.name == "flags" else field.name for field in fields(ToneEstimate)),
)


def estimate(
    source: Source,
    *,
    method: str = "patch-max",
    scheme: str = "paper",
    exact: bool = False,
    channels: str = "rgb",
    reference: str | None = None,
) -> ToneEstimate:
    """Return the skin tone of one photograph.

    Args:
        source: A path, a file's bytes, an open file, a Pillow image, or pixels as an array or a
            torch tensor; see `equiderm.photo.decode.load_photo`.
        method: A key of `METHODS`.
        scheme: A key of `equiderm.tone.SCHEMES`, or a fitted scheme's .json file.
        exact: Decode large JPEGs at full size; slower, and differs in about 1 band of 500.
        channels: "bgr" for pixels in OpenCV's order.
        reference: A gray or white patch by which exposure and white balance are corrected:
            ``LEFT,TOP,WIDTH,HEIGHT`` in px of the upright photograph, optionally with its ``,L*``
            (default 49.5, a gray card). Or the 24 fields of a colour card:
            ``card:LEFT,TOP,WIDTH,HEIGHT``, or ``card:`` and four corners X,Y; ``card`` alone
            searches the photograph for the card.

    Raises:
        InputError: Unknown method or scheme, or a picture that cannot be read.

    Example:
        >>> import numpy as np
        >>> skin = np.full((300, 400, 3), (224, 172, 138), dtype=np.uint8)
        >>> round(estimate(skin).ita, 1)
        44.4
    """
    estimator, bands = get_method(method), get_scheme(scheme)
    patch = None if reference is None else parse_reference(reference)
    try:
        photo = load_photo(source, SIDE, exact=exact, channels=channels, reference=patch)
    except PhotoError as error:
        named = isinstance(source, str | os.PathLike)
        raise PhotoError(f"{os.fspath(source)}: {error}." if named else f"{error}.") from error
    return estimate_photo(photo, method, estimator, bands)


def estimate_photo(
    photo: Photo,
    method: str,
    estimator: Callable[[View], Measurement | None],
    scheme: Scheme,
) -> ToneEstimate:
    """Return the estimate of a decoded photograph; `estimate` decodes and calls it."""
    return measure_photo(photo, method, estimator, scheme).estimate


def measure_photo(
    photo: Photo,
    method: str,
    estimator: Callable[[View], Measurement | None],
    scheme: Scheme,
    view: View | None = None,
) -> Measured:
    """Return the estimate of a decoded photograph with its view and measurement."""
    view = view or View(photo.square, photo.transparent)
    measurement = estimator(view) if photo.has_colour else None
    return Measured(view, measurement, _describe(photo, view, measurement, method, scheme))


def _describe(
    photo: Photo, view: View, measurement: Measurement | None, method: str, scheme: Scheme
) -> ToneEstimate:
    common: dict[str, Any] = {
        "width": photo.width,
        "height": photo.height,
        "method": method,
        "scheme": scheme.name,
        "hair_fraction": view.hair_fraction,
    }
    if measurement is None:
        missing = "no-skin" if photo.has_colour else "no-colour"
        empty: dict[str, Any] = dict.fromkeys(("L", "a", "b", "hue", "ita", "ita_band", "patch"))
        return ToneEstimate(
            **common,
            **empty,
            patch_ita=(),
            spread=None,
            confidence=None,
            flags=in_order((missing, *_file_flags(photo, view))),
        )
    spread = _interquartile_range(measurement.sample_ita)
    sampled = measurement.sample_lab is not None
    common |= {
        "L": float(measurement.lab[0]),
        "a": float(measurement.lab[1]),
        "b": float(measurement.lab[2]),
        "hue": float(hue_angle(measurement.lab)),
        "ita": None if np.isnan(measurement.ita) else measurement.ita,
        "patch": measurement.patch,
        "patch_ita": tuple(measurement.sample_ita.tolist()) if sampled else (),
        "spread": spread,
        "confidence": measurement.confidence,
    }
    flags = (*_flags(measurement, spread, view.hair_fraction), *_file_flags(photo, view))
    flags += ("dim",) if skin.is_dim(view.pixels) else ()
    return ToneEstimate(**common, ita_band=scheme.band(common), flags=in_order(flags))


def in_order(flags: Iterable[str]) -> tuple[str, ...]:
    """Return flags in the order of `FLAGS`, each once."""
    raised = set(flags)
    return tuple(name for name in FLAGS if name in raised)


def _file_flags(photo: Photo, view: View) -> tuple[str, ...]:
    is_cut = photo.has_colour and view.outside is not None
    return (*photo.flags, *(["cut-out"] if is_cut else []))


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


def _flags(measurement: Measurement, spread: float | None, hair: float) -> tuple[str, ...]:
    lightness, red, yellow = measurement.lab.tolist()
    hue = float(hue_angle(measurement.lab))
    burnt = cv2.countNonZero(skin.burnt(measurement.pixels.reshape(1, -1, 3)))
    dark_edge = False
    if measurement.sample_lab is not None:
        lights = measurement.sample_lab[:, 0]
        dark_edge = bool(lights.min() < min(20.0, lights.max() - 25))
    raised = {
        **dict.fromkeys(measurement.doubts, True),
        "no-angle": bool(np.isnan(measurement.ita)) and not measurement.doubts,
        "b-not-positive": yellow <= 0,
        "like-paper": lightness > 80 and np.hypot(red, yellow) < 8,
        "glare": burnt * 10 > measurement.pixels.size / 3,
        "not-skin-hue": not -45 <= hue <= 95 or lightness < 15,
        "dark-edge": dark_edge,
        "hairy": hair > 0.25,
        "samples-disagree": spread is not None and spread > 20,
    }
    return tuple(name for name in FLAGS if raised.get(name))
