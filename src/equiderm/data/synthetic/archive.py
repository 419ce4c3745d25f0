"""Many photographs and their table: who the patients are, how tone and diagnosis go together."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from equiderm.data.synthetic.patients import Prevalence, Recipe, plan, read_recipe
from equiderm.data.synthetic.scene import render
from equiderm.errors import InputError
from equiderm.files import write_table, write_whole
from equiderm.tone import SCHEMES


@dataclass(frozen=True)
class Archive:
    """Synthetic photographs and their manifest, row by row.

    Attributes:
        images: uint8 sRGB, shape (n, size, size, 3).
        table: The columns of a manifest; then ``skin_ita`` (the true ITA of the healthy skin, in
            degrees; ``ita`` starts as the same), ``asymmetry, border, colours`` (0..1),
            ``diameter_mm``, and True or False for each of `ARTEFACTS`.
    """

    images: NDArray[np.uint8]
    table: pd.DataFrame


def synthesize(
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    look: str = "dermoscopic",
    tones: str | Sequence[float] = "uniform",
    prevalence: Prevalence = 0.3,
    confounding: float = 0.0,
    shift: float = 0.0,
    artefacts: Mapping[str, float] | None = None,
    split: str = "train",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Archive:
    """Return n lesion photographs on skin of known ITA, with their manifest.

    Image i depends on the seed, the split and i, not on n, the size or the workers: a larger
    archive begins with the smaller one, and another size shows the same scenes. A patient has one
    skin, one hair and one to five lesions; splits share no patient.

    **What it may not be used to claim.** These are drawings by a rule, not patients. They show
    whether a method, a metric or a program does what it says when the truth is known. They say
    nothing about how any model performs on real lesions or on people of any skin tone, nothing
    about how diseases look on darker skin, and a model trained on them is no diagnostic tool.
    Their ITA is that of a simplified optical model; no Fitzpatrick or Monk type is given, because
    nobody judged one.

    Args:
        n: How many.
        seed: 0 or more.
        size: Pixels of a side, 16 or more.
        look: "dermoscopic" (close, evenly lit) or "clinical" (further off, lit from a side).
        tones: How patients' ITA is spread: "uniform" over -50..70 degrees; "archive", light as the
            public archives are (normal, 43 and 8 degrees); or values to draw from.
        prevalence: Share of melanoma: one number, or points (ITA, share) with straight lines
            between.
        confounding: From -1 to 1. In this share of images the diagnosis is decided by tone alone,
            the lightest patients having the melanomas (below 0: the darkest), with the overall
            prevalence unchanged.
        shift: How far cameras lie from the reference: 0 none; 1 dimmer, colder and uneven.
        artefacts: Chance of each of `ARTEFACTS`; absent ones do not occur. None: those of the look.
        split: Name written in the table; another name is another set of patients.
        workers: Processes; None takes one per core when there is enough to do.
        progress: Called with images drawn and in all.

    Raises:
        InputError: A value out of its range.
    """
    recipe = read_recipe(seed, look, tones, prevalence, confounding, shift, artefacts, split)
    if n < 1 or size < 16:
        raise InputError(f"n = {n}, size = {size}: n must be 1 or more and size 16 or more.")
    jobs = workers or ((os.cpu_count() or 1) if n >= 512 else 1)
    chunks = [range(start, min(start + 64, n)) for start in range(0, n, 64)]
    made = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_make)(recipe, chunk, size) for chunk in chunks
    )
    parts: list[tuple[NDArray[np.uint8], list[dict[str, Any]]]] = []
    for chunk, part in zip(chunks, cast("Iterator[Any]", made), strict=True):
        parts.append(part)
        if progress is not None:
            progress(chunk.stop, n)
    images = np.concatenate([images for images, _ in parts])
    table = _table([row for _, rows in parts for row in rows], split, look)
    return Archive(images, table)


def join(*archives: Archive) -> Archive:
    """Return several archives, of images of one size, as one."""
    return Archive(
        np.concatenate([archive.images for archive in archives]),
        pd.concat([archive.table for archive in archives], ignore_index=True),
    )


def write_archive(archive: Archive, directory: Path, *, ending: str = ".jpg") -> Path:
    """Write the images (JPEG quality 95, or lossless with ".png") and return the manifest's path.

    Images go to ``directory/images``; ``directory/manifest.parquet`` is written last, so that a
    manifest always has its images. Its paths are relative to it.

    Raises:
        InputError: An ending other than .jpg and .png, or a folder that cannot be written.
    """
    if ending not in (".jpg", ".png"):
        raise InputError(f"{ending}: images are written as .jpg or .png; choose one of them.")
    table = archive.table.copy()
    table["path"] = [f"images/{name}{ending}" for name in table["image_id"]]
    digests: list[str] = []
    for image, path in zip(archive.images, table["path"], strict=True):
        coded = cv2.imencode(ending, image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        with write_whole(directory / path) as temporary:
            temporary.write_bytes(coded)
        digests.append(hashlib.sha256(coded).hexdigest())
    table["sha256"] = digests
    write_table(table, directory / "manifest.parquet")
    return directory / "manifest.parquet"


def _make(
    recipe: Recipe, chunk: range, size: int
) -> tuple[NDArray[np.uint8], list[dict[str, Any]]]:
    images = np.empty((len(chunk), size, size, 3), np.uint8)
    rows: list[dict[str, Any]] = []
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # how OpenCV cuts its work among threads shows in the last bit
    try:
        for place, index in enumerate(chunk):
            scene, row = plan(recipe, index)
            images[place], row["skin_ita"] = render(scene, size)
            rows.append(row)
    finally:
        cv2.setNumThreads(threads)
    return images, rows


def _table(rows: list[dict[str, Any]], split: str, look: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    names = [f"syn_{split}_{number:07d}" for number in frame.pop("number")]
    ita = frame["skin_ita"].to_numpy()
    nothing = pd.Series(pd.NA, index=frame.index, dtype="string")
    number = pd.Series(pd.NA, index=frame.index, dtype="Int64")
    columns: dict[str, Any] = {
        "image_id": pd.array(names, dtype="string"),
        "path": nothing,
        "source": "synthetic",
        "target": frame.pop("target").astype("Int64"),
        "target_name": "melanoma",
        "diagnosis": "nevus",
        "patient_id": f"syn_{split}_p" + frame.pop("patient"),
        "lesion_id": pd.array([f"{name}_l" for name in names], dtype="string"),
        "split": split,
        "fitzpatrick_type": number,
        "rater": nothing,
        "ita": ita,
        "ita_band": SCHEMES["paper"].assign(ita, np.zeros((len(ita), 3))),
        "tone_method": "synthetic truth, paper bands",
        "monk_tone": number,
        **{name: frame.pop(name) for name in ("age", "sex", "site")},
        "modality": look,
        "licence": "CC0-1.0",
        "sha256": nothing,
    }
    table = pd.DataFrame(columns, index=frame.index)
    table.loc[table["target"] == 1, "diagnosis"] = "melanoma"
    return pd.concat([table, frame.sort_index(axis=1)], axis=1)
