"""Photographs that were dropped on the page: every method's estimate, and what it saw."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.engine import Failure, run
from equiderm.errors import InputError
from equiderm.format import number, visible
from equiderm.photo.decode import PhotoError, load_photo
from equiderm.tone.color import lab_to_srgb
from equiderm.tone.estimate import COLUMNS, FLAG_COLUMN, FLAGS, ToneEstimate, measure_photo
from equiderm.tone.estimators import METHODS, get_method
from equiderm.tone.overlay import draw_overlay
from equiderm.tone.scales import SCHEMES, Scheme
from equiderm.tone.view import SIDE

if TYPE_CHECKING:
    import pandas as pd

SECONDS = 60.0  # for all photographs of one upload
LIGHTEST, DARKEST = 75.0, -55.0  # degrees at the ends of the drawn scale
_QUALITY = 80


@dataclass(frozen=True)
class Seen:
    """One method on one photograph.

    Attributes:
        estimate: What it measured.
        overlay: What it rests on, as JPEG; b"" where only the estimate was asked for.
    """

    estimate: ToneEstimate
    overlay: bytes


@dataclass(frozen=True)
class Looked:
    """One photograph.

    Attributes:
        name: As it was sent.
        seen: Of each method.
        error: Why it could not be read; "" where it could.
    """

    name: str
    seen: tuple[Seen, ...] = ()
    error: str = ""


def look(
    photographs: Sequence[tuple[str, bytes]],
    *,
    methods: Sequence[str] = tuple(METHODS),
    scheme: str = "paper",
    overlays: bool = True,
    seconds: float = SECONDS,
) -> list[Looked]:
    """Return what each method sees in each photograph, in the order given.

    Each photograph is decoded in another process, which may crash or be slow without harm.

    Args:
        photographs: Name and bytes of each.
        methods: Keys of `METHODS`.
        scheme: A key of `SCHEMES`; no file is read.
        overlays: Whether to draw what was measured.
        seconds: For all of them.

    Raises:
        InputError: Unknown method or scheme.
    """
    for method in methods:
        get_method(method)
    if scheme not in SCHEMES:
        raise InputError(f"there is no scheme '{scheme}'; choose one of {', '.join(SCHEMES)}.")
    looked = [Looked(visible(name)) for name, _ in photographs]
    blobs = [blob for _, blob in photographs]
    how = (tuple(methods), scheme, overlays)
    with closing(run(see, blobs, shared=how, workers=2, largest_chunk=1, seconds=seconds)) as done:
        for place, result in done:
            name = looked[place].name
            if isinstance(result, Failure):
                looked[place] = Looked(name, error=result.reason)
            else:
                looked[place] = Looked(name, result)
    return looked


def see(blob: bytes, how: tuple[tuple[str, ...], str, bool]) -> tuple[Seen, ...]:
    """Return what each method sees in one file; the work of one process.

    Raises:
        PhotoError: It cannot be read.
    """
    methods, scheme, overlays = how
    if not blob:
        raise PhotoError("the file is empty")
    photo = load_photo(blob, SIDE)
    seen: list[Seen] = []
    for method in methods:
        measured = measure_photo(photo, method, METHODS[method], SCHEMES[scheme])
        buffer = io.BytesIO()
        if overlays:
            draw_overlay(measured).save(buffer, "JPEG", quality=_QUALITY)
        seen.append(Seen(measured.estimate, buffer.getvalue()))
    return tuple(seen)


def as_table(looked: Sequence[Looked], methods: Sequence[str], scheme: str) -> pd.DataFrame:
    """Return a row per photograph and method, with the columns of `equiderm.label`."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for one in looked:
        if one.error:
            common = {"image": one.name, "scheme": scheme, FLAG_COLUMN: "", "error": one.error}
            rows += [{**common, "method": method} for method in methods]
        for seen in one.seen:
            row = {item.name: getattr(seen.estimate, item.name) for item in fields(ToneEstimate)}
            flags = " ".join(row.pop("flags"))
            rows.append({"image": one.name, **row, FLAG_COLUMN: flags})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def cards(looked: Sequence[Looked]) -> list[dict[str, Any]]:
    """Return what the page shows of each photograph."""
    return [
        {
            "name": one.name,
            "error": one.error,
            "methods": [_method(seen) for seen in one.seen],
            "marks": [_mark(seen.estimate) for seen in one.seen if seen.estimate.ita is not None],
        }
        for one in looked
    ]


def _method(seen: Seen) -> dict[str, Any]:
    estimate = seen.estimate
    known = estimate.ita is not None
    tone = f"ITA {number(estimate.ita, 1)}°, band {estimate.ita_band}" if known else "no tone"
    return {
        "name": estimate.method,
        "tone": tone,
        "colour": colour_of(estimate),
        "lab": ", ".join(number(x, 1) for x in (estimate.L, estimate.a, estimate.b)),
        "confidence": "" if estimate.confidence is None else number(estimate.confidence, 2),
        "spread": number(estimate.spread, 1),
        "flags": [(name, FLAGS[name]) for name in estimate.flags],
        "overlay": base64.b64encode(seen.overlay).decode("ascii"),
    }


def colour_of(estimate: ToneEstimate) -> str:
    """Return the measured colour as hex, "" where there is none."""
    lab = [estimate.L, estimate.a, estimate.b]
    if any(value is None for value in lab):
        return ""
    rgb = lab_to_srgb(np.array(lab, dtype=float))
    return "#" + bytes((rgb * 255).round().astype(np.uint8).tolist()).hex()


def place_of(ita: float) -> float:
    """Return where an angle lies on the drawn scale, 0 (light) to 100; beyond it, its end."""
    return min(100.0, max(0.0, 100 * (LIGHTEST - ita) / (LIGHTEST - DARKEST)))


def _mark(estimate: ToneEstimate) -> dict[str, Any]:
    assert estimate.ita is not None
    return {"method": estimate.method, "x": round(place_of(estimate.ita), 2)}


def scale_bands(scheme: Scheme) -> list[dict[str, Any]]:
    """Return the bands of a scheme as pieces of the drawn scale; none where it has no cuts."""
    if not scheme.cuts:
        return []
    ends = [0.0, *(place_of(cut) for cut in scheme.cuts), 100.0]
    return [
        {"name": band, "x": round(left, 2), "width": round(right - left, 2)}
        for band, left, right in zip(scheme.bands, ends, ends[1:], strict=False)
    ]
