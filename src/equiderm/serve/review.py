"""The photographs of a review: which they are, in which order, and how one is shown."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from equiderm.errors import InputError
from equiderm.format import number
from equiderm.photo.raster import PhotoError, upright
from equiderm.photo.readers import read_file
from equiderm.photo.walk import find_images, printable
from equiderm.remote import url_of
from equiderm.tables import is_table
from equiderm.tone.estimate import FLAG_COLUMN, FLAGS
from equiderm.tone.gallery import by_doubt
from equiderm.tone.report import is_tone_table
from equiderm.tone.table import read_tones

LONGEST_SIDE = 1_024  # px of a photograph on the page
_QUALITY = 90


@dataclass(frozen=True)
class Review:
    """What is to be judged.

    Attributes:
        names: Of the images, as a table of judgements has them, the most doubtful first.
        files: Of each name, its file.
        machine: Of each name that was measured, the computed tone in words.
        patients: Of each name, its patient, where a table says so.
        by_doubt: Whether the order says anything.
        tones: The table that `equiderm label` wrote; None where the photographs came otherwise.
    """

    names: tuple[str, ...]
    files: dict[str, str]
    machine: dict[str, str] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    by_doubt: bool = False
    tones: Path | None = None


def read_review(paths: Sequence[str]) -> Review:
    """Return the photographs that the arguments mean.

    A single table of `equiderm label` is sorted by doubt; what could not be read is left out. Of
    all else, folders are walked, and the order is theirs.

    Raises:
        InputError: No photograph, or two of one name.
    """
    files = [file if url_of(file) else os.path.normpath(file) for file in find_images(paths)]
    named = {printable(file): file for file in files}
    if len(paths) > 1 or not is_table(Path(paths[0])):
        return Review(tuple(named), named)
    frame = read_tones(Path(paths[0]))
    if is_tone_table(frame):
        names = frame["image"].astype(str).tolist()
        order = by_doubt(frame).tolist()
        if not order:
            raise InputError(f"{paths[0]}: holds no photograph that could be read.")
    else:
        names, order = [printable(file) for file in files], range(len(files))
    chosen = {names[row]: files[row] for row in order}
    machine = {names[row]: _words(frame.iloc[row]) for row in order if is_tone_table(frame)}
    patients: dict[str, str] = {}
    if "patient_id" in frame.columns and len(frame) == len(names):
        known = frame["patient_id"].astype("string").fillna("").tolist()
        patients = {names[row]: known[row] for row in order if known[row]}
    table = Path(paths[0]).absolute() if machine else None
    return Review(tuple(chosen), chosen, machine, patients, by_doubt=bool(machine), tones=table)


def _words(row: Any) -> str:
    flags = row[FLAG_COLUMN].split() if isinstance(row[FLAG_COLUMN], str) else []
    doubts = "".join(f"; {name}: {FLAGS.get(name, name)}" for name in flags)
    if not isinstance(row["ita_band"], str):
        return f"no tone computed{doubts}"
    return f"computed: ITA {number(row['ita'], 1)}°, band {row['ita_band']}{doubts}"


def picture(file: str) -> bytes:
    """Return a whole photograph upright in sRGB, as a JPEG of at most `LONGEST_SIDE` px a side.

    Raises:
        PhotoError: It cannot be read.
    """
    path = Path(file)
    if not path.is_file():
        raise PhotoError("is no file any more")
    with path.open("rb") as stream:
        raster = read_file(stream, LONGEST_SIDE)
    width, height = raster.upright_size
    pixels = upright(raster.part(0, 0, width, height), raster.orientation)
    share = LONGEST_SIDE / max(pixels.shape[:2])
    if share < 1:
        size = [max(1, round(side * share)) for side in pixels.shape[1::-1]]
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels, np.uint8)).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
