"""The checked input of an audit: what people send becomes arrays, or one clear sentence."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.groupings import Grouping, are_labelings, intersect, make_grouping
from equiderm.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Provenance:
    """Where the audited rows came from, for the report; everything may be unknown.

    Attributes:
        files: Name and SHA-256 of each input file.
        command: The command line.
        model: What the audited model is called.
        tone_source: How the tone labels were made, in words.
        finding: What a positive image shows, in the singular: "melanoma".
    """

    files: tuple[tuple[str, str], ...] = ()
    command: str = ""
    model: str = ""
    tone_source: str = ""
    finding: str = "positive"


@dataclass(frozen=True)
class Study:
    """Targets, scores, patients and groupings of the same rows, in the order they came.

    ``patient`` holds codes from 0; it is None where every row stands for itself. ``ids`` names the
    rows where an id column was given.
    """

    name: str
    target: NDArray[np.bool_]
    score: NDArray[np.float64]
    groupings: tuple[Grouping, ...]
    patient: NDArray[np.intp] | None = None
    ids: NDArray[Any] | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def order(self) -> NDArray[np.intp]:
        """Rows by descending score."""
        return np.argsort(-self.score, kind="stable")

    def take(self, rows: NDArray[np.intp]) -> Study:
        """Return the study of these rows, in this order."""
        groupings = tuple(replace(one, codes=one.codes[rows]) for one in self.groupings)
        return replace(
            self,
            target=self.target[rows],
            score=self.score[rows],
            groupings=groupings,
            patient=None if self.patient is None else self.patient[rows],
            ids=None if self.ids is None else self.ids[rows],
        )


def make_study(
    frame: Any,
    *,
    target: str,
    score: str,
    by: Sequence[str],
    patient: str | None = None,
    image: str | None = None,
    logits: bool = False,
    drop_missing: bool = False,
    min_rows: int = 30,
    name: str = "the table",
) -> Study:
    """Return the checked study of a table.

    Args:
        frame: A data frame, one row an image.
        target: Column of 0 and 1.
        score: Column of probabilities in [0, 1], or of logits where ``logits`` is true.
        by: Group columns; the intersections of several are made as well, unless the columns are
            labelings of the same thing.
        patient: Column that says which rows belong to one patient.
        image: Column whose values must be unique.
        logits: Whether the scores are log-odds.
        drop_missing: Leave rows without target or score out, and count them, instead of refusing.
        min_rows: Smallest intersection that is shown.
        name: What messages call the table.

    Raises:
        InputError: Anything that cannot be audited; the message says what to mend.
    """
    if not len(frame):
        raise InputError(f"{name}: holds no rows; give a table with one row an image.")
    if not by:
        raise InputError(f"{name}: no group column is named; say which with --by.")
    for column in dict.fromkeys([target, score, *by, *filter(None, [patient, image])]):
        _check_column(frame, column, name)
    notes: list[str] = []
    empty = (frame[target].isna() | frame[score].isna()).to_numpy()
    if empty.any():
        frame = _drop(frame, empty, (target, score), drop_missing, name, notes)
    study = Study(
        name=name,
        target=_targets(frame[target], name),
        score=_scores(frame[score], name, logits),
        groupings=(),
        patient=None if patient is None else _patients(frame[patient], name),
        ids=None if image is None else _ids(frame[image], name),
    )
    columns = [make_grouping(frame[column], str(column), name) for column in dict.fromkeys(by)]
    for one in columns:
        if (absent := int((one.codes < 0).sum())) > 0:
            notes.append(
                f"{absent} rows have no {one.name}; they count overall but in none of its groups."
            )
    groupings = columns
    if len(columns) > 1 and not are_labelings(columns):
        groupings = [*columns, intersect(columns, min_rows)]
    return replace(study, groupings=tuple(groupings), notes=tuple(notes))


def _check_column(frame: pd.DataFrame, column: str, name: str) -> None:
    found = [one for one in frame.columns if one == column]
    if len(found) > 1:
        raise InputError(f"{name}: has {len(found)} columns called '{column}'; rename all but one.")
    if not found:
        there = ", ".join(f"'{one}'" for one in list(frame.columns)[:12])
        raise InputError(f"{name}: has no column '{column}'; it has {there}.")


def _drop(
    frame: pd.DataFrame,
    empty: NDArray[np.bool_],
    columns: tuple[str, str],
    allowed: bool,
    name: str,
    notes: list[str],
) -> pd.DataFrame:
    count, first = int(empty.sum()), int(np.flatnonzero(empty)[0]) + 1
    if not allowed:
        raise InputError(
            f"{name}: {count} rows have no {columns[0]} or {columns[1]}, the first is row {first}; "
            "fill them or leave them out with --drop-missing."
        )
    if count == len(frame):
        raise InputError(f"{name}: no row has both {columns[0]} and {columns[1]}; check the names.")
    notes.append(f"{count} rows without {columns[0]} or {columns[1]} were left out.")
    return frame.loc[~empty]


def _numbers(column: Any, name: str, what: str) -> NDArray[np.float64]:
    import pandas as pd

    coerced: Any = pd.to_numeric(column, errors="coerce")
    numbers = coerced.to_numpy(dtype=float, na_value=np.nan)
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        value = column.iloc[int(wrong[0])]
        raise InputError(f"{name}: '{value}' in column '{column.name}', row {wrong[0] + 1}, {what}")
    return numbers


def _targets(column: Any, name: str) -> NDArray[np.bool_]:
    what = "is not a target; write 1 for a positive image and 0 for a negative one."
    numbers = _numbers(column, name, what)
    wrong = np.flatnonzero((numbers != 0) & (numbers != 1))
    if len(wrong):
        value = column.iloc[int(wrong[0])]
        raise InputError(f"{name}: '{value}' in column '{column.name}', row {wrong[0] + 1}, {what}")
    if numbers.min() == numbers.max():
        raise InputError(
            f"{name}: every target in column '{column.name}' is {numbers[0]:.0f}; "
            "an audit needs images of both classes."
        )
    return numbers.astype(bool)


def _scores(column: Any, name: str, logits: bool) -> NDArray[np.float64]:
    numbers = _numbers(column, name, "is not a finite number; mend or remove that row.")
    if logits:
        numbers = 1 / (1 + np.exp(-np.clip(numbers, -500, 500)))
    wrong = np.flatnonzero((numbers < 0) | (numbers > 1))
    if len(wrong):
        raise InputError(
            f"{name}: the score {numbers[wrong[0]]:g} in column '{column.name}', row "
            f"{wrong[0] + 1}, is outside 0 to 1; if these are logits, say so with --logits."
        )
    if numbers.min() == numbers.max():
        raise InputError(
            f"{name}: every score in column '{column.name}' is {numbers[0]:g}; a constant score "
            "tells no image from another, check the model's output."
        )
    return numbers


def _patients(column: Any, name: str) -> NDArray[np.intp] | None:
    codes, known = column.factorize()
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0]) + 1
        raise InputError(
            f"{name}: column '{column.name}' is empty in row {row}; name every row's patient, or "
            "audit without --patient."
        )
    return None if len(known) == len(codes) else codes.astype(np.intp)


def _ids(column: Any, name: str) -> NDArray[Any]:
    twice = column[column.duplicated()]
    if len(twice):
        raise InputError(
            f"{name}: '{twice.iloc[0]}' stands more than once in column '{column.name}' "
            f"({len(twice)} repeats); keep one row an image."
        )
    return column.astype(str).to_numpy(dtype=object)


def from_arrays(
    target: Any, score: Any, by: Any, patient: Any = None
) -> tuple[pd.DataFrame, list[str]]:
    """Return fairlearn-style arrays as one table and the names of its group columns.

    Args:
        target: Shape (n,).
        score: Shape (n,).
        by: ``sensitive_features``: a mapping of names to arrays, a data frame, a named series, or
            one array (then called "group").
        patient: Shape (n,), or None.

    Raises:
        InputError: The arrays differ in length.
    """
    import pandas as pd

    if isinstance(by, pd.DataFrame):
        features: Mapping[str, Any] = {str(name): by[name] for name in by.columns}
    elif hasattr(by, "items") and not isinstance(by, pd.Series):
        features = {str(name): values for name, values in by.items()}
    else:
        features = {str(getattr(by, "name", None) or "group"): by}
    columns: dict[str, Any] = {"target": target, "score": score, **features}
    if patient is not None:
        columns["patient_id"] = patient
    sizes = {name: len(values) for name, values in columns.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise InputError(f"the arrays differ in length ({told}); give one value an image.")
    table = pd.DataFrame(
        {
            name: values.reset_index(drop=True) if isinstance(values, pd.Series) else list(values)
            for name, values in columns.items()
        }
    )
    return table, list(features)
