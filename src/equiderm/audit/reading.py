"""Tables from files: the predictions, the tone labels joined to them, and what both were."""

from __future__ import annotations

import hashlib
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from equiderm.errors import InputError
from equiderm.files import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

IMAGE_COLUMNS = ("image_id", "image", "path", "file", "isic_id")


def read_predictions(path: Path) -> tuple[pd.DataFrame, tuple[str, str]]:
    """Return a table and its name with SHA-256.

    Raises:
        InputError: No such file, or no table.
    """
    frame = read_table(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return frame, (path.name, digest)


def image_column(frame: pd.DataFrame, wanted: str | None) -> str | None:
    """Return the column that names the images: the wanted one, or the first usual name there is."""
    if wanted is not None:
        return wanted
    return next((name for name in IMAGE_COLUMNS if name in frame.columns), None)


def join_tones(
    frame: Any, tones: Any, *, image: str | None, by: Sequence[str], name: str
) -> tuple[pd.DataFrame, str]:
    """Return the predictions with the tone table's columns, and a sentence about the labels.

    Images are matched by the whole name, or else by the file's name without folder and ending.

    Raises:
        InputError: A column is missing, no image matches, or a name fits several labels.
    """
    here, there = image_column(frame, image), image_column(tones, None)
    if here is None or there is None:
        which = name if here is None else "the tone table"
        raise InputError(
            f"{which}: has no column that names the image; call it image_id, or name it with "
            "--image."
        )
    if here not in frame.columns:
        raise InputError(f"{name}: has no column '{here}' to join the tone labels by.")
    wanted = [column for column in dict.fromkeys(by) if column in tones.columns]
    if not wanted:
        raise InputError(
            f"the tone table has none of the columns {', '.join(by)}; it has "
            f"{', '.join(str(column) for column in list(tones.columns)[:12])}."
        )
    keys, names = frame[here].astype(str), tones[there].astype(str)
    if not keys.isin(set(names)).any():
        keys, names = keys.map(_stem), names.map(_stem)
    twice = names[names.duplicated()]
    if (used := twice[twice.isin(set(keys))]).size:
        raise InputError(f"the tone table labels '{used.iloc[0]}' more than once; keep one row.")
    matched = keys.isin(set(names))
    if not matched.any():
        raise InputError(
            f"no image of {name} is in the tone table ('{keys.iloc[0]}' against "
            f"'{names.iloc[0]}'); check that both name the same images."
        )
    labels = tones.assign(_key=names).drop_duplicates("_key").set_index("_key")
    joined = frame.drop(columns=[column for column in wanted if column in frame.columns])
    joined = joined.assign(**{column: keys.map(labels[column]) for column in wanted})
    return joined, _describe(labels.reindex(keys[matched]), int((~matched).sum()), wanted)


def _stem(text: str) -> str:
    return PurePath(text.replace("\\", "/")).stem


def _describe(labels: Any, absent: int, wanted: Sequence[str]) -> str:
    """Return what the report says about the tone labels, from the columns that `label` writes."""
    parts = [f"{', '.join(wanted)} joined by image name"]
    for column in ("method", "scheme"):
        if column in labels.columns and labels[column].notna().any():
            parts.append(f"{column} {labels[column].dropna().iloc[0]}")
    if absent:
        parts.append(f"{absent} images are not in the tone table")
    if (unlabelled := int(labels[list(wanted)].isna().any(axis=1).sum())) > 0:
        parts.append(f"{unlabelled} images could not be labelled")
    if "flags" in labels.columns:
        flagged = labels["flags"].map(lambda cell: hasattr(cell, "__len__") and len(cell) > 0)
        parts.append(f"{int(flagged.sum())} labels are marked doubtful by the labeller")
    return "; ".join(parts) + "."
