"""`agree` and `calibrate` on tables of labels and of judgements, matched by image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from equiderm.agreement.agreement import Agreement, measure_agreement
from equiderm.agreement.calibrate import Calibration, calibrate
from equiderm.agreement.judged import JudgedTypes, as_judged, read_judged
from equiderm.agreement.labelings import Pair, align_labelings, compare_labelings
from equiderm.agreement.labels import read_labels
from equiderm.columns import (
    doubtful_patients,
    patients_alike,
    read_numbers,
    read_types,
    require_column,
    settle_corrections,
    without_excluded,
)
from equiderm.errors import InputError
from equiderm.files import AnyPath
from equiderm.identity import (
    check_unique,
    find_ids,
    first_few,
    id_columns,
    match_tables,
    person_ids,
    unmatched_notes,
)
from equiderm.remote import name_of
from equiderm.tables import read_table

SCALE = (1, 2, 3, 4, 5, 6)
Table = pd.DataFrame | Path


def agree_tables(
    labels: Table,
    truth: Table,
    *,
    truth_columns: Sequence[str],
    types: Sequence[int] = SCALE,
    label_column: str | None = None,
    scheme: str | None = None,
    id_column: str | None = None,
    patient: str | None = None,
    second_rater: str | None = None,
    doubt: str | None = None,
) -> Agreement:
    """Return how well a table of labels agrees with the types that people judged.

    Args:
        labels: A table such as `label` writes, or its path.
        truth: A table with the judged types, or its path.
        truth_columns: Its column of judged types, as `read_judged` reads it; with several raters,
            one column per rater (or one row per rater and image).
        types: The scale, lightest first.
        label_column: The column of labels, as `read_labels` takes it.
        scheme: A scheme that cuts the angles of that column.
        id_column: The column that names the image, in every table that has it; None detects it.
        patient: The column of patients in ``truth``, for intervals by patient.
        second_rater: The column of a second person's types in ``truth``.
        doubt: The column of ``labels`` that is higher for less certain labels.

    Raises:
        InputError: A table that cannot be read, matched or measured.
    """
    truth_columns = _listed(truth_columns)
    if _is_one(labels, truth) and scheme is None and (label_column or "ita_band") in truth_columns:
        raise InputError(
            f"column '{label_column or 'ita_band'}' is both the label and the truth; name the "
            "column that people judged."
        )
    (mine, here), (theirs, there) = _open(labels, id_column), _open(truth, id_column)
    mine, decided = settle_corrections(mine)
    names = _two_names(here, there)
    answers = read_labels(mine, types, here, column=label_column, scheme=scheme)
    judged = read_judged(theirs, truth_columns, types, there)
    theirs, judged, notes = _one_row_per_image(theirs, judged, id_column, patient, there)
    if "ita_band" in truth_columns:
        notes.append(f"The bands of {there} are computed from photographs; nobody judged them.")
    columns = (_in(mine, id_column), _in(theirs, id_column))
    _check_id_column(id_column, columns, names)
    rows = match_tables(mine, theirs, names, columns=columns)
    second = people = unsure = None
    if second_rater in truth_columns:
        raise InputError(
            f"column '{second_rater}' is both the truth and the second rater; name another."
        )
    if second_rater:
        rater = require_column(theirs, second_rater, there)
        second = read_types(rater, types, there)[rows.right]
    if patient:
        people = require_column(theirs, patient, there).iloc[rows.right].reset_index(drop=True)
        notes = [*notes, *_doubtful(people)]
    if doubt:
        unsure = read_numbers(mine, doubt, here)[rows.left]
        if np.isnan(unsure).all():
            raise InputError(f"{here}: column '{doubt}' holds no number; name another for doubt.")
    return measure_agreement(
        judged.take(rows.right),
        answers[rows.left],
        types,
        patient=people,
        second_rater=second,
        doubt=unsure,
        notes=[*decided, *notes, *unmatched_notes(rows, names)],
    )


def compare_tables(
    tables: Sequence[AnyPath],
    *,
    label_columns: Sequence[str] = (),
    types: Sequence[int] = SCALE,
    scheme: str | None = None,
    id_column: str | None = None,
) -> list[Pair]:
    """Return every pair of labelings of the same images: tables, columns, or both.

    Args:
        tables: Paths of tables of labels.
        label_columns: The columns of labels in each; if none, the default of `read_labels`.
        types: The scale, lightest first.
        scheme: A scheme that cuts the angles of those columns.
        id_column: The column that names the image, in every table; None detects it.

    Raises:
        InputError: Fewer than two labelings, two with the same name, or an unreadable table.

    Warns:
        UserWarning: A person corrected or excluded images of a table.
    """
    wanted: list[str | None] = [*label_columns] or [None]
    if len(tables) * len(wanted) < 2:
        raise InputError(
            "a comparison needs two labelings: give two tables or two columns of labels; or name "
            "the truth, `truth=judged.csv`."
        )
    labelings: dict[str, tuple[pd.Series, NDArray[np.float64]]] = {}
    for path in tables:
        frame, where = _open(Path(path), id_column)
        frame, decided = settle_corrections(frame)
        for note in decided:
            warnings.warn(f"{where}: {note}", stacklevel=2)
        ids = find_ids(frame, id_column, where)
        for column in wanted:
            answers = read_labels(frame, types, where, column=column, scheme=scheme)
            parts = (Path(path).name if len(tables) > 1 else "", column if len(wanted) > 1 else "")
            name = ":".join(part for part in parts if part)
            if name in labelings:
                raise InputError(f"two labelings are called {name}; rename one of the files.")
            labelings[name] = (ids, answers)
    return compare_labelings(align_labelings(labelings), types)


def calibrate_tables(
    table: Table,
    truth: Table | None = None,
    *,
    truth_columns: Sequence[str],
    columns: Sequence[str] = ("ita",),
    types: Sequence[int] = SCALE,
    id_column: str | None = None,
    patient: str | None = None,
    fold: str | None = None,
    target: NDArray[np.float64] | None = None,
) -> Calibration:
    """Return a scheme fitted to a table of colours and types that people judged.

    Args:
        table: A table with the colour columns, such as `label` writes, or its path.
        truth: A table with the judged types, patients and folds, or its path; None: ``table``.
        truth_columns: As in `agree_tables`.
        columns: Colour columns, as `calibrate` takes them.
        types: The scale, lightest first.
        id_column: The column that names the image, in every table that has it; None detects it.
        patient: The column of patients.
        fold: The column of given folds.
        target: Share of each type where the scheme will be used, shape (k,).

    Raises:
        InputError: A table that cannot be read, matched or fitted.
    """
    truth_columns = _listed(truth_columns)
    frame, here = _open(table, id_column)
    frame, decided = without_excluded(frame)
    if len(set(columns)) < len(columns):
        raise InputError(f"a column is named twice ({', '.join(columns)}); name each once.")
    people, where, notes = frame, here, []
    if truth is None:
        judged = read_judged(people, truth_columns, types, where)
        if id_column is not None or id_columns(frame):
            check_unique(find_ids(frame, id_column, here), here)
    else:
        people, where = _open(truth, id_column)
        judged = read_judged(people, truth_columns, types, where)
        people, judged, notes = _one_row_per_image(people, judged, id_column, patient, where)
        names = _two_names(here, where)
        chosen = (_in(frame, id_column), _in(people, id_column))
        _check_id_column(id_column, chosen, names)
        rows = match_tables(frame, people, names, columns=chosen)
        frame = frame.iloc[rows.left].reset_index(drop=True)
        people = people.iloc[rows.right].reset_index(drop=True)
        judged = judged.take(rows.right)
        notes += unmatched_notes(rows, names)
    if patient is not None:
        notes = [*notes, *_doubtful(require_column(people, patient, where))]
    return calibrate(
        frame,
        judged,
        types,
        columns=columns,
        patient=None if patient is None else require_column(people, patient, where),
        fold=None if fold is None else require_column(people, fold, where),
        target=target,
        notes=[*decided, *notes],
    )


def _one_row_per_image(
    frame: pd.DataFrame,
    judged: JudgedTypes,
    id_column: str | None,
    patient: str | None,
    where: str,
) -> tuple[pd.DataFrame, JudgedTypes, list[str]]:
    """Return a table of judgements with one row per image, also if it has one row per rater.

    An image may then be any type that one of its rows names. Rows are of one image if all columns
    that name it agree.

    Raises:
        InputError: The rows of one image name different patients.
    """
    keys = [id_column] if id_column in frame.columns else id_columns(frame)
    named = frame[keys].notna().all(axis=1) if keys else pd.Series(False, index=frame.index)
    repeated = named & frame.duplicated(keys or None, keep=False)
    if not repeated.any():
        return frame, judged, []
    image = frame.groupby(keys, dropna=False, sort=False).ngroup().to_numpy()
    image = np.where(named, image, image.max() + 1 + np.arange(len(frame)))
    image, first, place = np.unique(image, return_index=True, return_inverse=True)
    if patient is not None:
        people = person_ids(require_column(frame, patient, where)).groupby(place).nunique()
        if (people > 1).any():
            row = int(first[int((people > 1).to_numpy().argmax())]) + 2
            raise InputError(
                f"{where}: {int((people > 1).sum())} images have rows of different patients, the "
                f"first in line {row}; give each image one patient."
            )
    allowed = np.zeros((len(image), len(judged.types)), dtype=np.bool_)
    np.logical_or.at(allowed, place, judged.allowed)
    order = np.argsort(first)
    several = len(np.unique(place[repeated.to_numpy()]))
    return (
        frame.iloc[first[order]].reset_index(drop=True),
        as_judged(allowed[order], judged.types),
        [f"{several:,} images have several judgements; each may be what any of them says."],
    )


def _listed(columns: Sequence[str]) -> Sequence[str]:
    """Return names of columns; one name is a list of one."""
    if not columns:
        raise InputError('name the column of judged types, as in `truth_columns=["type"]`.')
    return [columns] if isinstance(columns, str) else columns


def _is_one(labels: Table, truth: Table) -> bool:
    """Return whether two tables are the same object or the same file."""
    if isinstance(labels, pd.DataFrame) or isinstance(truth, pd.DataFrame):
        return labels is truth
    return Path(labels).resolve() == Path(truth).resolve()


def _doubtful(people: pd.Series) -> list[str]:
    sentences = [
        f"'{name}' is one patient with {count:,} images; if it means not known, empty those cells."
        for name, count in doubtful_patients(people)
    ]
    if alike := patients_alike(person_ids(people)):
        sentences.append(
            f"{len(alike):,} patients differ in capitals, blanks, dashes or leading zeros only "
            f"({first_few(alike)}); if they are the same people, write them alike."
        )
    return sentences


def _open(table: Table, id_column: str | None) -> tuple[pd.DataFrame, str]:
    """Return a table and its name for messages."""
    if isinstance(table, pd.DataFrame):
        return table.reset_index(drop=True), "the table"
    return read_table(table, text=() if id_column is None else (id_column,)), name_of(table)


def _two_names(left: str, right: str) -> tuple[str, str]:
    return (left, right) if left != right else (f"{left} of labels", f"{right} of judgements")


def _in(frame: pd.DataFrame, column: str | None) -> str | None:
    return column if column in frame.columns else None


def _check_id_column(
    wanted: str | None, there: tuple[str | None, str | None], names: tuple[str, str]
) -> None:
    if wanted is not None and there == (None, None):
        raise InputError(f"neither {names[0]} nor {names[1]} has a column '{wanted}'.")
