"""Scores of runs from one table with a row per score, as `compare_scores` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from equiderm.errors import InputError
from equiderm.identity import as_ids

LONG = ("experiment", "seed", "image_id", "target")
GROUP = "group"  # the column of groups, which a table may lack where none is named


def class_text(value: Any) -> str:
    """Return a class as text, 3.0 as 3."""
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value) if whole else value)


class TableScores(NamedTuple):
    """What a table of scores holds.

    Attributes:
        scores: By experiment, shape (seeds, images), with splits before and classes behind.
        target: Of each image.
        patient: Of each image; None if the table has no such column.
        group: The same.
        seeds: Where they are whole numbers of one split; else none.
    """

    scores: dict[str, NDArray[Any]]
    target: Any
    patient: Any
    group: Any
    seeds: tuple[int, ...]


def from_table(frame: Any, by: str, kind: str, classes: Sequence[Any]) -> TableScores:
    """Return the scores of a table with a row per experiment, seed and image.

    Args:
        frame: Columns `LONG`, ``score`` (of a number or an order ``predicted``, of classes
            ``score_NAME`` each), and perhaps ``split``, ``patient_id`` and ``by``.
        by: Column of the groups.
        kind: Kind of the target.
        classes: Names of the classes, in order.

    Raises:
        InputError: A column, a cell or a row that is missing, doubled or contradicts another.
    """
    frame = frame.to_pandas() if hasattr(frame, "to_pandas") else frame
    values = ["score"] if kind == "binary" else ["predicted"]
    if kind == "classes":
        values = [f"score_{name}" for name in classes]
    _check_columns(frame, (*LONG, *values, *(() if by == GROUP else (by,))))
    frame = frame.assign(image_id=as_ids(frame["image_id"]))
    if frame["seed"].dtype == object:
        frame = frame.assign(seed=frame["seed"].map(class_text, na_action="ignore"))
    run = ["experiment", *(["split"] if "split" in frame.columns else []), "seed"]
    _check_keys(frame, [*run, "image_id"])
    _check_images(frame, [name for name in ("target", "patient_id", by) if name in frame.columns])
    _check_same_images(frame, run)
    runs = frame[run].drop_duplicates().set_index("experiment")
    _check_same_runs(runs)
    first = frame.drop_duplicates("image_id").set_index("image_id")
    names = list(dict.fromkeys(frame["experiment"]))
    shape = (*_shape(runs.loc[[names[0]]]), len(first))
    wide = [frame.pivot(index=run, columns="image_id", values=one)[first.index] for one in values]
    scores = {
        str(name): np.stack([one.loc[name].to_numpy().reshape(shape) for one in wide], axis=-1)
        for name in names
    }
    if kind != "classes":
        scores = {name: one[..., 0] for name, one in scores.items()}
    whole = pd.api.types.is_integer_dtype(frame["seed"]) and len(shape) < 3
    seeds = tuple(int(seed) for seed in sorted(frame["seed"].unique())) if whole else ()
    return TableScores(scores, first["target"], first.get("patient_id"), first.get(by), seeds)


def _check_columns(frame: Any, needed: Sequence[str]) -> None:
    if lacking := [name for name in needed if name not in frame.columns]:
        raise InputError(
            f"the table of scores has no column {lacking[0]!r}; it needs {', '.join(needed)}."
        )
    if len(twice := frame.columns[frame.columns.duplicated()]):
        raise InputError(f"the table of scores has two columns {twice[0]!r}; keep one.")
    if not len(frame):
        raise InputError("the table of scores has no rows.")


def _check_keys(frame: Any, keys: list[str]) -> None:
    """Raise InputError unless each row names its run and image, which no other row has."""
    if (empty := frame[keys].isna()).to_numpy().any():
        row, column = np.argwhere(empty.to_numpy())[0]
        raise InputError(f"the table of scores: row {row + 1} has no {keys[column]}; name it.")
    _check_splits(frame)
    if twice := frame.loc[frame.duplicated(keys), keys].astype(str).to_numpy().tolist():
        raise InputError(f"the table of scores has two rows of {', '.join(twice[0])}; keep one.")


def _check_images(frame: Any, about: list[str]) -> None:
    """Raise InputError unless all rows of an image say the same about it."""
    varied = frame.groupby("image_id", sort=False)[about].nunique(dropna=False) > 1
    if varied.to_numpy().any():
        row, column = np.argwhere(varied.to_numpy())[0]
        name, what = varied.index[row], about[column]
        cells = frame.loc[frame["image_id"] == name, what].unique()[:2]
        raise InputError(
            f"image {name}: has more than one {what} ({cells[0]!s} and {cells[1]!s}); correct the "
            "table."
        )


def _check_same_runs(runs: Any) -> None:
    """Raise InputError unless the experiments have the same seeds, and splits."""
    own = {name: set(runs.loc[[name]].itertuples(index=False)) for name in runs.index.unique()}
    for name, has in own.items():
        if lacks := set[Any]().union(*own.values()) - has:
            of = ", ".join(f"{key} {value}" for key, value in min(lacks)._asdict().items())
            raise InputError(
                f"the experiments do not have the same seeds: {name} has no {of}; give each the "
                "same ones."
            )


def _shape(runs: Any) -> tuple[int, ...]:
    """Return the numbers of splits, where there are several, and of seeds, as -1."""
    if "split" not in runs:
        return (-1,)
    each = runs.groupby("split")["seed"].size()
    if each.nunique() > 1:
        raise InputError(
            f"split {each.idxmin()} has {each.min()} seeds, split {each.idxmax()} "
            f"{each.max()}; give each split as many."
        )
    return (len(each), -1) if len(each) > 1 else (-1,)


def _check_splits(frame: Any) -> None:
    """Raise InputError where the column ``split`` holds the parts of one split."""
    if "split" in frame.columns:
        named = frame["split"].astype(str)
        if len(parts := named[named.isin(("train", "validation", "val"))]):
            raise InputError(
                f"the table of scores: column split holds {parts.iloc[0]!r}; it numbers splits "
                "that were drawn anew, each by its test rows. Keep the rows of the test set, and "
                "drop the column."
            )


def _check_same_images(frame: Any, run: list[str]) -> None:
    """Raise InputError where a run lacks an image that another run, of its split, scores."""
    splits = frame.groupby("split", sort=False) if "split" in frame.columns else [("", frame)]
    for _, part in splits:
        every = part["image_id"].drop_duplicates()
        for key, own in part.groupby(run, sort=False)["image_id"]:
            lacks = every[~every.isin(own)]
            if not len(lacks):
                continue
            name, has = lacks.iloc[0], set(own.str.lstrip("0"))
            alike = " (ids are text: 7 is not 007)" if name.lstrip("0") in has else ""
            of = ", ".join(f"{k} {v}" for k, v in zip(run[1:], key[1:], strict=True))
            raise InputError(
                f"{key[0]}, {of}: has no row of image {name}, which another run scores{alike}; a "
                "run is compared on every image or not at all."
            )
