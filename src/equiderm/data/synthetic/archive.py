"""Many photographs and their table: who the patients are, how tone and diagnosis go together."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from equiderm import __version__
from equiderm.data.synthetic.canvas import one_thread
from equiderm.data.synthetic.patients import Prevalence, Recipe, plan, read_recipe
from equiderm.data.synthetic.scene import render
from equiderm.engine import Failure, run
from equiderm.errors import InputError
from equiderm.files import AnyPath, only_one, write_whole
from equiderm.page import sheet_of
from equiderm.parts import Parts
from equiderm.records import Record
from equiderm.tables import write_table
from equiderm.tone import SCHEMES

MANIFEST = "manifest.parquet"
MANY = 512  # images from which several processes are worth their start
_PART = pa.schema(
    [
        ("set", pa.int32()),
        ("index", pa.int64()),
        *((name, pa.string()) for name in ("path", "sha256", "row")),
    ]
)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False, repr=False)
class Archive(Record):
    """Synthetic photographs and their manifest, row by row.

    Attributes:
        images: uint8 sRGB, shape (n, size, size, 3).
        table: The columns of a manifest; then ``skin_ita`` (the true ITA of the healthy skin, in
            degrees; ``ita`` starts as the same), ``asymmetry, border, colours`` (0..1),
            ``diameter_mm``, and True or False for each of `ARTEFACTS`.
    """

    images: NDArray[np.uint8]
    table: pd.DataFrame

    def _repr_html_(self) -> str:
        return sheet_of(self.images, self.table["image_id"].tolist(), title=repr(self))


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
        n: Number of photographs.
        seed: 0 or more.
        size: Pixels per side, 16 or more.
        look: "dermoscopic" (close, evenly lit) or "clinical" (further off, lit from a side).
        tones: How patients' ITA is drawn: "uniform" over -50..70 degrees; "archive", light as the
            public archives are (normal, 43 and 8 degrees); or values to draw from.
        prevalence: Share of melanoma: one number, or points (ITA, share) with straight lines
            between.
        confounding: From -1 to 1. In this share of images the diagnosis is decided by tone alone,
            the lightest patients having the melanomas (below 0: the darkest), with the overall
            prevalence unchanged.
        shift: How far cameras differ from the reference: 0 none; 1 dimmer, colder and uneven.
        artefacts: Chance of each of `ARTEFACTS`; absent ones do not occur. None: those of the look.
        split: Name written in the table; another name is another set of patients.
        workers: Processes; None takes one per core when there is enough to do.
        progress: Called with images drawn and in total.

    Raises:
        InputError: A value out of its range.
    """
    recipe = read_recipe(seed, look, tones, prevalence, confounding, shift, artefacts, split)
    _check_size(n, size)
    images = np.empty((n, size, size, 3), np.uint8)
    rows: list[dict[str, Any]] = []
    drawn = run(
        _draw,
        range(n),
        shared=(recipe, size),
        workers=workers or (None if n >= MANY else 1),
        largest_chunk=16,
        ordered=True,
        progress=progress,
    )
    with closing(drawn):
        for index, result in drawn:
            images[index], row = _result_or_raise(result)
            rows.append(row)
    return Archive(images, _table(rows, split, look))


_OF_RECIPE = tuple(inspect.signature(read_recipe).parameters)
_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(synthesize).parameters.items()
    if name in ("size", *_OF_RECIPE)
}


def join(*archives: Archive) -> Archive:
    """Return several archives, of images of one size, as one."""
    return Archive(
        np.concatenate([archive.images for archive in archives]),
        pd.concat([archive.table for archive in archives], ignore_index=True),
    )


def write_archive(archive: Archive, directory: AnyPath, *, ending: str = ".jpg") -> Path:
    """Write the images (JPEG quality 95, or lossless with ".png") and return the manifest's path.

    Images go to ``directory/images``; ``directory/manifest.parquet`` is written last, so that a
    manifest always has its images. Its paths are relative to it.

    Raises:
        InputError: An ending other than .jpg and .png, or a folder that cannot be written.
    """
    _check_ending(ending)
    directory = Path(directory)
    table = archive.table.copy()
    table["path"] = [f"images/{name}{ending}" for name in table["image_id"]]
    table["sha256"] = [
        _write_image(image, directory / path)
        for image, path in zip(archive.images, table["path"], strict=True)
    ]
    write_table(table, directory / MANIFEST)
    return directory / MANIFEST


def synthesize_to(
    directory: AnyPath,
    *sets: Mapping[str, Any],
    ending: str = ".jpg",
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[Path, pd.DataFrame]:
    """Draw into a folder, holding a few images in memory; return the manifest's path and table.

    It writes the same files as `write_archive` of the joined archives that `synthesize` returns.
    After an interruption the same call resumes with the missing images.

    Args:
        directory: New or empty, or left by an interrupted call with the same arguments.
        sets: Arguments of `synthesize` for each set, ``n`` among them; the splits differ.
        ending: ".jpg" (quality 95) or ".png".
        workers: Processes; None takes one per core when there is enough to do.
        progress: Called with images drawn and in total.

    Raises:
        InputError: A value out of its range, a folder that holds something else, or one that
            another run is writing.
    """
    directory = Path(directory)
    _check_ending(ending)
    given = [{**_DEFAULTS, **options} for options in sets]
    recipes = [read_recipe(**{name: options[name] for name in _OF_RECIPE}) for options in given]
    for options in given:
        _check_size(options["n"], options["size"])
    items = [(k, index) for k, options in enumerate(given) for index in range(options["n"])]
    settings = {"version": __version__, "ending": ending, "sets": [*map(_as_json, given)]}
    with only_one(directory / MANIFEST):
        parts = Parts(directory / MANIFEST, settings, _PART)
        _check_folder(directory, parts)
        for leftover in (directory / "images").glob(".syn_*"):  # half written by an interrupted run
            leftover.unlink()
        done = {(row["set"], row["index"]): row for row in parts.load().to_pylist()}
        done = {key: row for key, row in done.items() if _is_written(directory / row["path"], row)}
        left = [item for item in items if item not in done]
        parts.begin()
        shared = (directory, recipes, [options["size"] for options in given], ending)
        jobs = workers or (None if len(left) >= MANY else 1)
        already = len(items) - len(left)
        drawn = run(
            _draw_to,
            left,
            shared=shared,
            workers=jobs,
            progress=progress and (lambda count, _: progress(already + count, len(items))),
        )
        with closing(drawn), parts.growing() as keep:
            for position, result in drawn:
                row = _result_or_raise(result)
                done[left[position]] = row
                keep(row)
        table = pd.concat(
            [
                _written_table([done[k, index] for index in range(options["n"])], options)
                for k, options in enumerate(given)
            ],
            ignore_index=True,
        )
        write_table(table, directory / MANIFEST)
        parts.remove()
    return directory / MANIFEST, table


def _written_table(rows: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> pd.DataFrame:
    table = _table([json.loads(row["row"]) for row in rows], given["split"], given["look"])
    return table.assign(
        path=[row["path"] for row in rows],
        sha256=[row["sha256"] for row in rows],
    )


def _as_json(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as JSON types; a list of tones as its digest."""
    tones = given["tones"]
    if not isinstance(tones, str):
        tones = hashlib.sha256(np.asarray(tones, float).tobytes()).hexdigest()
    return {**given, "tones": tones}


def _check_folder(directory: Path, parts: Parts) -> None:
    if not directory.exists():
        return
    if not directory.is_dir():
        raise InputError(f"{directory}: is not an empty folder; choose a new one.")
    inside = {path.name for path in directory.iterdir() if path.suffix != ".lock"}
    if not inside or parts.are_there():  # beside the manifest, too: a run killed at its very end
        return
    holds = " (it holds a manifest)" if MANIFEST in inside else ""
    raise InputError(
        f"{directory}: is not an empty folder{holds}; choose a new one. (An interrupted run "
        "resumes only with the same arguments.)"
    )


def _is_written(path: Path, row: Mapping[str, Any]) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
    except OSError:
        return False


def _draw_to(
    item: tuple[int, int], shared: tuple[Path, list[Recipe], list[int], str]
) -> dict[str, Any]:
    """Draw one image into its file and return its row of the part file."""
    k, index = item
    directory, recipes, sizes, ending = shared
    image, row = _draw(index, (recipes[k], sizes[k]))
    path = f"images/{_name(recipes[k].split, index)}{ending}"
    digest = _write_image(image, directory / path)
    text = json.dumps(row, default=lambda value: value.item())
    return {"set": k, "index": index, "path": path, "sha256": digest, "row": text}


def _write_image(image: NDArray[np.uint8], path: Path) -> str:
    """Write one image and return the file's SHA-256."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix == ".jpg" else []
    coded = cv2.imencode(path.suffix, image[..., ::-1], quality)[1].tobytes()
    with write_whole(path) as temporary:
        temporary.write_bytes(coded)
    return hashlib.sha256(coded).hexdigest()


def _draw(index: int, shared: tuple[Recipe, int]) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    recipe, size = shared
    with one_thread():
        scene, row = plan(recipe, index)
        image, row["skin_ita"] = render(scene, size)
    return image, row


def _result_or_raise(result: Any) -> Any:
    """Return a result; raise for an image that cannot be drawn or written."""
    if isinstance(result, Failure):
        raise result.error or InputError(f"an image cannot be drawn: {result.reason}.")
    return result


def _check_size(n: int, size: int) -> None:
    if n < 1 or size < 16:
        raise InputError(f"n = {n}, size = {size}: n must be 1 or more and size 16 or more.")


def _check_ending(ending: str) -> None:
    if ending not in (".jpg", ".png"):
        raise InputError(f"{ending}: images are written as .jpg or .png; choose one of them.")


def _name(split: str, number: int) -> str:
    return f"syn_{split}_{number:07d}"


def _table(rows: list[dict[str, Any]], split: str, look: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    names = [_name(split, number) for number in frame.pop("number")]
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
