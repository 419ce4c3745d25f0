"""Every photograph of a table of tones on offline pages, the most doubtful first."""

from __future__ import annotations

import base64
import io
import os
import urllib.parse
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from equiderm.columns import corrected_by_hand, excluded_by_hand
from equiderm.engine import Failure, run
from equiderm.format import number
from equiderm.photo.decode import PhotoError, load_photo
from equiderm.remote import read_file, url_of
from equiderm.tone.color import lab_to_srgb
from equiderm.tone.estimate import FLAG_COLUMN, measure_photo
from equiderm.tone.estimators import METHODS
from equiderm.tone.overlay import CHOSEN, OTHER, draw_overlay, overlay_names, written_overlays
from equiderm.tone.scales import SCHEMES
from equiderm.tone.table import bands_of, scheme_name
from equiderm.tone.view import EIGHT_SAMPLES, SAMPLE, SIDE

if TYPE_CHECKING:
    import pandas as pd

PER_PAGE = 10_000  # images
# Bytes of all thumbnails on a page at most: 4/3 of it as text, and about 600 more per photograph
MOST_BYTES = 9_500_000
# Images on a page at most, side of a thumbnail in px, quality of its WebP: the fewer, the larger.
THUMBNAILS = ((400, 224, 70), (2_000, 160, 60), (5_000, 112, 50), (PER_PAGE, 96, 45))
FAR = 3.5  # Iglewicz and Hoaglin 1993, "How to detect and handle outliers": the modified z-score
LEAST_SCALE = 5.0  # degrees: in an archive of one tone, a few degrees are no outlier
DARKEST = -59.8  # degrees; first percentile of 1,838 colorimeter readings, types I to VI (MSKCC)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Task:
    """One thumbnail to make.

    Attributes:
        file: The photograph.
        overlay: Its overlay, "" where there is none.
        patch: The sample chosen, of methods that have the eight samples; None for others.
        measure: The method whose mask or samples are drawn, by measuring the photograph again.
    """

    file: str
    overlay: str
    patch: str | None
    measure: str | None


def far_from_others(ita: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which angles, shape (n,), are far from the others or beyond those of skin.

    Far is a modified z-score of over 3.5 (distance to the median over 1.4826 times the median
    absolute deviation, of at least 5 degrees); beyond is below -59.8 degrees. That says where to
    look first, not that a label is wrong: dark skin is far from the others in a light archive.
    """
    return (distance(ita) > FAR) | (ita < DARKEST)


def distance(ita: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the modified z-score of each angle, shape (n,); NaN where it is missing."""
    if np.isnan(ita).all():
        return np.full(len(ita), np.nan)
    away = np.abs(ita - np.nanmedian(ita))
    return away / max(1.4826 * float(np.nanmedian(away)), LEAST_SCALE)


def by_doubt(tones: pd.DataFrame) -> NDArray[np.intp]:
    """Return the rows that could be read, the most doubtful first.

    First the angles far from the others, the farthest first; then by the number of flags; then by
    the spread of the samples.
    """
    ita = tones["ita"].to_numpy(float)
    flags = tones[FLAG_COLUMN].fillna("").str.split().map(len).to_numpy()
    spread = tones["spread"].to_numpy(float) if "spread" in tones else np.zeros(len(tones))
    far = far_from_others(ita)
    order = np.lexsort(
        (
            -np.nan_to_num(spread, nan=np.inf),
            -flags,
            np.where(far, -np.nan_to_num(distance(ita)), 0.0),
            ~far,
        )
    )
    return order[tones["error"].isna().to_numpy()[order]]


def galleries(
    tones: pd.DataFrame,
    page: Path,
    *,
    files: Sequence[str] | None = None,
    overlays: Path | None = None,
    workers: int | None = 1,
    progress: Progress | None = None,
) -> list[tuple[Path, dict[str, Any]]]:
    """Return what each page of the gallery shows (`equiderm.page.gallery_block`), and its path.

    Args:
        tones: A table of `equiderm.tone.label`.
        page: The first page; links are relative to its folder.
        files: The photograph of each row; None: the column ``image``.
        overlays: The folder of `label`'s overlays, of which those that are there are linked.
        workers: Processes that read photographs; None takes every core.
        progress: Called with the number of photographs read and in total.
    """
    tones = tones.reset_index(drop=True)
    files = list(files) if files is not None else tones["image"].astype(str).tolist()
    over = [""] * len(files)
    if overlays is not None:
        over = overlay_names(files, str(overlays))
        drawn = written_overlays(over, str(overlays))
        over = [name if name in drawn else "" for name in over]
    order = by_doubt(tones)
    parts = [order[first : first + PER_PAGE] for first in range(0, len(order), PER_PAGE)] or [order]
    paths = [page, *(_page_name(page, place) for place in range(2, len(parts) + 1))]
    side, quality = next((s, q) for most, s, q in THUMBNAILS if len(parts[0]) <= most)
    far = far_from_others(tones["ita"].to_numpy(float))
    doubtful = far | (tones[FLAG_COLUMN].fillna("") != "").to_numpy()
    tasks = [_task(tones, row, files[row], over[row], bool(doubtful[row])) for row in order]
    pictures: list[bytes | str] = [""] * len(tasks)
    how = (side, quality, MOST_BYTES // max(len(parts[0]), 1))
    results = run(picture_of, tasks, shared=how, workers=workers, progress=progress)
    with closing(results):
        for place, picture in results:
            pictures[place] = picture.reason if isinstance(picture, Failure) else picture
    cards = [
        _card(tones, row, page, files[row], over[row], bool(far[row]), picture)
        for row, picture in zip(order, pictures, strict=True)
    ]
    names = _page_texts([len(part) for part in parts])
    return [
        (
            path,
            {
                "cards": cards[place * PER_PAGE : place * PER_PAGE + len(part)],
                "pages": [
                    ("" if here == place else urllib.parse.quote(paths[here].name), text)
                    for here, text in enumerate(names)
                ],
                "side": side,
                "name": path.stem,
                **_choices(tones),
            },
        )
        for place, (path, part) in enumerate(zip(paths, parts, strict=True))
    ]


def _page_name(page: Path, number: int) -> Path:
    return page.with_name(f"{page.stem}-{number}{page.suffix}")


def _page_texts(sizes: Sequence[int]) -> list[str]:
    ends = np.cumsum(sizes).tolist()
    return [f"{end - size + 1:,} to {end:,}" for size, end in zip(sizes, ends, strict=True)]


def _choices(tones: pd.DataFrame) -> dict[str, Any]:
    """Return what can be filtered by and corrected to."""
    raised = set(" ".join(tones[FLAG_COLUMN].fillna("")).split())
    bands = bands_of(tones)
    present = set(tones["ita_band"].dropna().astype(str))
    missing = ["no band"] if tones["ita_band"].isna().any() else []
    return {
        "scheme": scheme_name(tones),
        "bands": bands,
        "shown_bands": [*(band for band in bands if band in present), *missing],
        "flags": sorted(raised),
    }


def _task(tones: pd.DataFrame, row: int, file: str, overlay: str, doubtful: bool) -> Task:
    method = str(tones["method"].iloc[row])
    samples = method in ("patch-max", "patch-max-arctan", "patch-median")
    patch = tones["patch"].iloc[row] if "patch" in tones else None
    again = method if doubtful and not samples and method in METHODS else None
    return Task(
        file, overlay, (patch if isinstance(patch, str) else "") if samples else None, again
    )


def picture_of(task: Task, how: tuple[int, int, int]) -> bytes | str:
    """Return a photograph's thumbnail as WebP, or why there is none.

    Args:
        task: The photograph.
        how: Side in px, quality, and the most bytes that it may have, for which quality is lowered.
    """
    side, quality, most = how
    try:
        if task.overlay:
            with Image.open(io.BytesIO(read_file(task.overlay))) as sheet:
                small = _square(sheet.convert("RGB"), side)
        else:
            photo = load_photo(task.file, SIDE)
            if task.measure is None:
                small = _square(Image.fromarray(photo.square), side)
                if task.patch is not None:
                    _draw_samples(small, task.patch)
            else:
                method = METHODS[task.measure]
                measured = measure_photo(photo, task.measure, method, SCHEMES["paper"])
                small = _square(draw_overlay(measured), side)
    except PhotoError as error:  # moved or changed since; its row in the table stands
        return str(error)
    except OSError:
        return f"the overlay {task.overlay} cannot be read"
    coded = b""
    while quality >= 0 and (not coded or len(coded) > most):
        buffer = io.BytesIO()
        small.save(buffer, format="WEBP", quality=quality, method=3)
        coded, quality = buffer.getvalue(), quality - 10
    return coded


def _square(picture: Image.Image, side: int) -> Image.Image:
    width = picture.width
    return picture.resize((side, side), Image.Resampling.LANCZOS, (0, 0, width, width))


def _draw_samples(picture: Image.Image, chosen: str) -> None:
    draw, scale = ImageDraw.Draw(picture), picture.width / SIDE
    for name, (top, left) in EIGHT_SAMPLES.items():
        box = [round(value * scale) for value in (left, top, left + SAMPLE, top + SAMPLE)]
        width = max(1, picture.width // 80) if name == chosen else 1
        draw.rectangle(box, outline=CHOSEN if name == chosen else OTHER, width=width)


def _card(
    tones: pd.DataFrame,
    row: int,
    page: Path,
    file: str,
    overlay: str,
    far: bool,
    picture: bytes | str,
) -> dict[str, Any]:
    record = tones.iloc[row]
    raised = str(record[FLAG_COLUMN]) if isinstance(record[FLAG_COLUMN], str) else ""
    ita, band = record["ita"], record["ita_band"]
    known = ita == ita and ita is not None
    tone = f"ITA {number(ita, 1)}°, band {band}" if known else "no tone"
    doubts = ", ".join([*(["far from the others"] if far else []), *raised.split()])
    name = os.path.basename(str(record["image"]))  # noqa: PTH119 keeps undecodable bytes
    frame = tones.iloc[[row]]
    corrected = bool(corrected_by_hand(frame)[0])
    excluded = bool(excluded_by_hand(frame)[0])
    return {
        "image": record["image"],
        "name": name,
        "band": str(band)
        if isinstance(band, str) or (band == band and band is not None)
        else "no band",
        "marks": f"{'far ' if far else ''}{raised}",
        "ita": round(float(ita), 1) if known and ita is not None else None,
        "picture": base64.b64encode(picture).decode() if isinstance(picture, bytes) else "",
        "why": picture if isinstance(picture, str) else "",
        "colour": _colour(record),
        "tone": tone,
        "doubts": doubts,
        "alt": f"{name}: {tone}" + (f"; {doubts}" if doubts else ""),
        "file": link(file, page),
        "overlay": link(overlay, page) if overlay else "",
        "corrected": str(record["ita_band_corrected"]) if corrected else "",
        "excluded": excluded,
        "decided": _decided(record, corrected, excluded),
    }


def _colour(record: pd.Series) -> str:
    lab = np.array([record.get(name, np.nan) for name in ("L", "a", "b")], dtype=float)
    if np.isnan(lab).any():
        return ""
    return "#" + bytes((lab_to_srgb(lab) * 255).round().astype(np.uint8).tolist()).hex()


def _decided(record: pd.Series, corrected: bool, excluded: bool) -> str:
    if not (corrected or excluded):
        return ""
    what = ["excluded"] if excluded else []
    what += [f"corrected to band {record['ita_band_corrected']}"] if corrected else []
    by, at, why = (
        str(record[name]) if isinstance(record.get(name), str) else ""
        for name in ("corrected_by", "corrected_at", "corrected_why")
    )
    return (
        " and ".join(what)
        + f" by {by}"
        + (f", {at[:10]}" if at else "")
        + (f": {why}" if why else "")
    )


def link(target: str, page: Path) -> str:
    """Return a file's address relative to the folder of a page."""
    if url := url_of(target):
        return urllib.parse.quote(url, safe=":/?=&%")
    full = os.path.abspath(target)  # noqa: PTH100 keeps undecodable bytes
    try:
        path = os.path.relpath(full, os.path.abspath(page.parent))  # noqa: PTH100
    except ValueError:  # another drive
        return Path(full).as_uri()
    return urllib.parse.quote(os.fsencode(path.replace(os.sep, "/")))
