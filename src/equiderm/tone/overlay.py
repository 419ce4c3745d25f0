"""The paper's Figure 3 for one image: what was measured, drawn on the picture."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from unicodedata import normalize

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from equiderm.errors import InputError
from equiderm.files import write_whole
from equiderm.format import number
from equiderm.remote import files_below, url_of
from equiderm.tone.color import lab_to_srgb
from equiderm.tone.estimate import Measured, ToneEstimate
from equiderm.tone.scales import SCHEMES
from equiderm.tone.view import Measurement

_SCALE = 2  # screen px for each px of the 256 square
_CAPTION = 44  # px
_LONGEST = 200  # bytes of a file name, without checksum and ending; file systems take 255
CHOSEN, OTHER = (0, 230, 64), (255, 255, 255)


def overlay_names(images: Sequence[str], folder: str) -> list[str]:
    """Return the overlay's path of each image: its path below the common folder, flattened.

    Where two would have one name on some file system (``a/x.jpg`` and ``a__x.jpg``, ``X.jpg`` and
    ``x.jpg``), or a name is too long, a checksum of the path is added.
    """
    full = [os.path.abspath(image) for image in images]  # noqa: PTH100 keeps undecodable bytes
    common = os.path.commonpath([os.path.dirname(name) for name in full])  # noqa: PTH120
    below = {name: os.path.relpath(name, common) for name in full}
    flat = {name: path.replace(os.sep, "__") for name, path in below.items()}
    often = Counter(normalize("NFC", name).casefold() for name in flat.values())
    for name, written in flat.items():
        if often[normalize("NFC", written).casefold()] > 1 or len(os.fsencode(written)) > _LONGEST:
            while len(os.fsencode(written)) > _LONGEST:
                written = written[1:]
            flat[name] = f"{written}-{blake2b(os.fsencode(below[name]), digest_size=4).hexdigest()}"
    names = [f"{flat[name]}.png" for name in full]
    if url := url_of(folder):
        return [f"{url}/{name}" for name in names]
    return [os.path.join(folder, name) for name in names]  # noqa: PTH118


def written_overlays(names: Iterable[str], folder: str) -> set[str]:
    """Return those overlays of a folder, here or at a URL, that are there.

    Raises:
        InputError: The URL cannot be listed.
    """
    url = url_of(folder)
    if url is None:
        return {name for name in names if os.path.isfile(name)}  # noqa: PTH113
    try:
        return set(names).intersection(files_below(url))
    except OSError as error:
        raise InputError(f"{url}: cannot be listed ({error.strerror}); check the name.") from error


def write_overlay(measured: Measured, path: Path) -> None:
    """Write the overlay of one image, whole or not at all."""
    with write_whole(path) as temporary:
        draw_overlay(measured).save(temporary, format="PNG", compress_level=3)


def draw_overlay(measured: Measured) -> Image.Image:
    """Return the picture after hair removal, with what was measured marked and named.

    Samples are outlined, the chosen one in green; for methods without samples, what was left out
    is darkened. The measured colour, ITA, band and flags are printed below. 512 px wide.
    """
    view, measurement = measured.view, measured.measurement
    picture = Image.fromarray(view.filled if measurement is not None else view.pixels)
    side = picture.width * _SCALE
    sheet = Image.new("RGB", (side, side + _CAPTION), "white")
    sheet.paste(picture.resize((side, side), Image.Resampling.BICUBIC))
    draw = ImageDraw.Draw(sheet)
    if measurement is not None:
        _mark(sheet, draw, measurement, side)
    _caption(sheet, draw, measured.estimate, side)
    return sheet


def _mark(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, measurement: Measurement, side: int
) -> None:
    if measurement.used is not None:
        left_out = Image.fromarray((~measurement.used).astype(np.uint8) * 170).resize((side, side))
        sheet.paste((20, 20, 60), (0, 0), left_out)
    for place, (top, left, size) in enumerate(measurement.boxes):
        chosen = measurement.patch is not None and _is_chosen(measurement, place)
        box = [value * _SCALE for value in (left, top, left + size, top + size)]
        draw.rectangle(box, outline=(0, 0, 0), width=5 if chosen else 3)
        inner = [box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1]
        draw.rectangle(inner, outline=CHOSEN if chosen else OTHER, width=3 if chosen else 1)


def _is_chosen(measurement: Measurement, place: int) -> bool:
    samples = measurement.sample_lab
    return samples is not None and np.array_equal(samples[place], measurement.lab)


def _caption(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, estimate: ToneEstimate, side: int
) -> None:
    if estimate.ita is None:
        first = "no tone measured"
    else:
        scheme = estimate.scheme
        if scheme in SCHEMES and SCHEMES[scheme].caution:
            scheme += ", not validated"
        first = f"ITA {number(estimate.ita, 1)}°   band {estimate.ita_band} ({scheme})"
        first += f"   sample: {estimate.patch}" if estimate.patch else f"   {estimate.method}"
    draw.text((8, side + 3), first, fill="black", font=ImageFont.load_default(18))
    second = " ".join(estimate.flags) or "no flags"
    draw.text((8, side + 25), second, fill=(150, 60, 0), font=ImageFont.load_default(14))
    if estimate.L is not None and estimate.a is not None and estimate.b is not None:
        colour = lab_to_srgb(np.array([estimate.L, estimate.a, estimate.b]))
        fill = tuple(round(value * 255) for value in colour)
        draw.rectangle([side - 36, side + 6, side - 8, side + 38], fill=fill, outline="black")
