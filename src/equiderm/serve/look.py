"""Photographs that were dropped on the page: every method's estimate, and what it saw."""

from __future__ import annotations

import base64
import io
import string
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.engine import Failure, Kept
from equiderm.format import number, of_100, visible
from equiderm.photo.decode import PhotoError, load_photo
from equiderm.tone.color import lab_to_srgb
from equiderm.tone.estimate import COLUMNS, FLAG_COLUMN, FLAGS, ToneEstimate, measure_photo
from equiderm.tone.estimators import METHODS, get_method
from equiderm.tone.learned import middle_type
from equiderm.tone.overlay import draw_overlay
from equiderm.tone.scales import SCHEMES, Scheme
from equiderm.tone.view import SIDE

if TYPE_CHECKING:
    import pandas as pd

SECONDS = 60.0  # for all photographs of one upload
LIGHTEST, DARKEST = 75.0, -55.0  # degrees at the ends of the drawn scale
LETTERS = string.ascii_uppercase  # of the methods; bands have numbers
MARK = 4.0  # hundredths of the scale that a method's mark covers
_QUALITY = 80
Card = dict[str, Any]  # what a template shows


@dataclass(frozen=True)
class Seen:
    """One method on one photograph.

    Attributes:
        estimate: What it measured.
        overlay: What it rests on, as JPEG; b"" where only the estimate was asked for.
        shares: Of each type, how likely people would call it that, by a fitted scheme.
    """

    estimate: ToneEstimate
    overlay: bytes
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Looked:
    """One photograph.

    Attributes:
        name: As it was sent.
        seen: Of each method.
        error: Why it could not be read; "" where it could.
        shares: As `Seen.shares`, by a trained network.
    """

    name: str
    seen: tuple[Seen, ...] = ()
    error: str = ""
    shares: tuple[float, ...] = ()

    @property
    def is_measured(self) -> bool:
        """Whether any method measured a tone."""
        return any(seen.estimate.ita is not None for seen in self.seen)


@dataclass(frozen=True)
class Types:
    """What a distribution is over.

    Attributes:
        names: The types, lightest first.
        heading: What they are.
        source: What computed the distribution.
        abstains: Whether its answer is the middle type, unless that is unlikely: as
            `equiderm.tone.learned` has it. A fitted scheme has an answer of its own, its band.
    """

    names: tuple[str, ...]
    heading: str
    source: str
    abstains: bool = True

    def card(self, shares: Sequence[float]) -> Card:
        """Return a distribution as the page shows it."""
        rows = [(name, of_100(share)) for name, share in zip(self.names, shares, strict=True)]
        answer = self._answer(shares) if self.abstains else ""
        return {"heading": self.heading, "source": self.source, "rows": rows, "answer": answer}

    def _answer(self, shares: Sequence[float]) -> str:
        middle = middle_type(np.array(shares))
        near, of = [self.names[place] for place in middle.near], of_100(middle.share)
        ends, have = f"{near[0]} to {near[-1]}", "have"
        if len(near) == 1:
            ends, have = near[0], "has"
        if not middle.is_sure:
            return f"No answer: {ends}, the middle, {have} only {of} of 100."
        together = " together" if len(near) > 1 else ""
        return f"Answer: {self.names[middle.place]}; {ends}{together} {have} {of} of 100."


How = tuple[tuple[str, ...], Scheme, bool]  # methods, scheme, and whether to draw


def look(
    eyes: Kept,
    photographs: Sequence[tuple[str, bytes]],
    *,
    methods: Sequence[str] = tuple(METHODS),
    scheme: Scheme = SCHEMES["paper"],
    overlays: bool = True,
    seconds: float = SECONDS,
) -> list[Looked]:
    """Return what each method sees in each photograph, in the order given.

    Args:
        eyes: The processes that decode and measure (`see`), which may crash or be slow without
            harm.
        photographs: Name and bytes of each.
        methods: Keys of `METHODS`.
        scheme: Of the bands.
        overlays: Whether to draw what was measured.
        seconds: For all of them.

    Raises:
        InputError: Unknown method.
    """
    for method in methods:
        get_method(method)
    how = (tuple(methods), scheme, overlays)
    results = eyes.run([(blob, how) for _, blob in photographs], seconds=seconds)
    return [
        Looked(visible(name), error=result.reason)
        if isinstance(result, Failure)
        else Looked(visible(name), result)
        for (name, _), result in zip(photographs, results, strict=True)
    ]


def open_eyes() -> Kept:
    """Return processes for `look`."""
    return Kept(see, None, workers=2)


def see(item: tuple[bytes, How], _: None) -> tuple[Seen, ...]:
    """Return what each method sees in one file; the work of one process.

    Raises:
        PhotoError: It cannot be read.
    """
    blob, (methods, scheme, overlays) = item
    if not blob:
        raise PhotoError("the file is empty")
    photo = load_photo(blob, SIDE)
    seen: list[Seen] = []
    for method in methods:
        measured = measure_photo(photo, method, METHODS[method], scheme)
        buffer = io.BytesIO()
        if overlays:
            draw_overlay(measured).save(buffer, "JPEG", quality=_QUALITY)
        seen.append(Seen(measured.estimate, buffer.getvalue(), _shares(measured.estimate, scheme)))
    return tuple(seen)


def _shares(estimate: ToneEstimate, scheme: Scheme) -> tuple[float, ...]:
    import pandas as pd

    if scheme.fit is None or estimate.ita is None:
        return ()
    return tuple(scheme.fit.predict_proba(pd.DataFrame([vars(estimate)]))[0].tolist())


def as_table(looked: Sequence[Looked], methods: Sequence[str], scheme: Scheme) -> pd.DataFrame:
    """Return a row per photograph and method, with the columns of `equiderm.label`."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for one in looked:
        if one.error:
            common = {"image": one.name, "scheme": scheme.name, FLAG_COLUMN: "", "error": one.error}
            rows += [{**common, "method": method} for method in methods]
        for seen in one.seen:
            row = {item.name: getattr(seen.estimate, item.name) for item in fields(ToneEstimate)}
            flags = " ".join(row.pop("flags"))
            rows.append({"image": one.name, **row, FLAG_COLUMN: flags})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def cards(looked: Sequence[Looked], scheme: Scheme, types: Types | None = None) -> list[Card]:
    """Return what the page shows of each photograph.

    Args:
        looked: The photographs.
        scheme: Of their bands.
        types: What a trained network tells apart; None where there is none.
    """
    return [
        {
            "name": one.name,
            "error": one.error,
            "types": types.card(one.shares) if types and one.shares else None,
            "methods": [
                _method(seen, letter, scheme)
                for seen, letter in zip(one.seen, LETTERS, strict=False)
            ],
            "marks": _marks(one.seen),
        }
        for one in looked
    ]


def _method(seen: Seen, letter: str, scheme: Scheme) -> Card:
    estimate = seen.estimate
    known = estimate.ita is not None
    tone = f"ITA {number(estimate.ita, 1)}°, band {estimate.ita_band}" if known else "no tone"
    types = Types(scheme.bands, "Type", scheme.title, abstains=False)
    return {
        "name": estimate.method,
        "letter": letter,
        "tone": tone,
        "colour": colour_of(estimate),
        "lab": ", ".join(number(x, 1) for x in (estimate.L, estimate.a, estimate.b)),
        "confidence": "" if estimate.confidence is None else number(estimate.confidence, 2),
        "spread": number(estimate.spread, 1),
        "flags": [(name, FLAGS[name]) for name in estimate.flags],
        "overlay": base64.b64encode(seen.overlay).decode("ascii"),
        "types": types.card(seen.shares) if seen.shares else None,
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


def _marks(seen: Sequence[Seen]) -> list[dict[str, Any]]:
    """Return where each method's angle is marked, by the method's letter; near ones in rows.

    ``x`` and ``row`` are from the left and from below; a mark is `MARK` wide.
    """
    angles = [(one.estimate.ita, k) for k, one in enumerate(seen)]
    known = sorted((place_of(ita), k) for ita, k in angles if ita is not None)
    ends: list[float] = []  # of the last mark in each row
    marks: list[dict[str, Any]] = []
    for x, k in known:
        row = next((row for row, end in enumerate(ends) if x >= end), len(ends))
        ends[row : row + 1] = [x + MARK]
        method = seen[k].estimate.method
        marks.append({"method": method, "letter": LETTERS[k], "x": round(x, 2), "row": row})
    return marks


def scale_bands(scheme: Scheme) -> list[dict[str, Any]]:
    """Return the bands of a scheme as pieces of the drawn scale; none where it has no cuts."""
    if not scheme.cuts:
        return []
    ends = [0.0, *(place_of(cut) for cut in scheme.cuts), 100.0]
    return [
        {"name": band, "x": round(left, 2), "width": round(right - left, 2)}
        for band, left, right in zip(scheme.bands, ends, ends[1:], strict=False)
        if right > left  # a fitted scheme may have no place for a type that nobody gave
    ]
