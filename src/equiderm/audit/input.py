"""The checked input of an audit: what people send becomes arrays, or one clear sentence.

Messages name options as Python does, in backticks; the command line prints them as its flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.groupings import (
    Grouping,
    are_labelings,
    as_text,
    cut,
    intersect,
    make_grouping,
    take_groups,
)
from equiderm.columns import without_excluded, without_foreign_bands
from equiderm.errors import InputError
from equiderm.records import Record
from equiderm.statistics.delong import people

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray


_USUAL = {  # what else columns are called
    "target": ("y_true", "label", "truth", "malignant", "dx", "diagnosis", "class", "y"),
    "score": ("y_score", "y_prob", "prob", "probability", "proba", "y_pred", "prediction", "pred"),
    "by": ("ita_band", "fitzpatrick_type", "fitzpatrick", "skin_tone", "tone", "monk_tone", "fst"),
    "patient": ("patient_id", "patient"),
    "image": ("image_id", "image", "isic_id", "path"),
}
_LIKE_POSITIVE = ("malignant", "melanoma", "mel", "positive", "pos", "yes", "cancer", "m", "y")
_WEIGHTS = ("weight", "weights", "sample_weight", "sample_weights")
_NO_NUMBER = ("", "na", "n/a", "nan", "null", "none", "<na>")  # as R, pandas and others write it
_DECIMAL_COMMA = r"^\s*(-?[0-9]*),([0-9]+(?:[eE][-+]?[0-9]+)?)\s*$"


@dataclass(frozen=True)
class Provenance:
    """Where the audited rows came from, for the report; everything may be unknown.

    Attributes:
        files: Name and SHA-256 of each input file.
        command: The command line.
        model: What the audited model is called.
        tone_source: How the tone labels were made, in words.
        finding: What a positive image shows, in the singular: "melanoma".
        missed: Name of the file that lists the missed positives of the worst group, if any.
    """

    files: tuple[tuple[str, str], ...] = ()
    command: str = ""
    model: str = ""
    tone_source: str = ""
    finding: str = "positive"
    missed: str = ""


@dataclass(frozen=True)
class Weighting:
    """How rows are weighted, for the report.

    Attributes:
        column: What the weights are called.
        sum: Of the weights, as they came.
        effective_n: How many rows of equal weight are as good (Kish): (sum w)^2 / sum w^2.
    """

    column: str
    sum: float
    effective_n: float


@dataclass(frozen=True, eq=False, repr=False)
class Study(Record):
    """Targets, scores, patients and groupings of the same rows, in the order they came.

    ``patient`` holds codes from 0; it is None where every row stands for itself. ``ids`` names the
    rows where an id column was given. ``notes`` say what was left out or replaced, ``doubts`` which
    groups look like a fault of the table. Without ``truth`` every target is False and means
    nothing: only the selection rate can be read. ``weight`` holds sampling weights above 0 in units
    of ``weight_unit``, the mean of those that came from the column ``weight_name``; it is None
    where every row counts once.
    """

    name: str
    target: NDArray[np.bool_]
    score: NDArray[np.float64]
    groupings: tuple[Grouping, ...]
    patient: NDArray[np.intp] | None = None
    ids: NDArray[Any] | None = None
    notes: tuple[str, ...] = field(default=())
    doubts: tuple[str, ...] = field(default=())
    truth: bool = True
    weight: NDArray[np.float64] | None = None
    weight_name: str = ""
    weight_unit: float = 1.0

    @property
    def weighting(self) -> Weighting | None:
        """How the rows are weighted; None where every row counts once."""
        if self.weight is None:
            return None
        total = float(self.weight.sum() * self.weight_unit)
        return Weighting(self.weight_name, total, people(self.weight))

    @property
    def order(self) -> NDArray[np.intp]:
        """Rows by descending score."""
        return np.argsort(-self.score, kind="stable")

    def take(self, rows: NDArray[np.intp]) -> Study:
        """Return the study of these rows, in this order."""
        groupings = tuple(take_groups(one, rows) for one in self.groupings)
        return replace(
            self,
            target=self.target[rows],
            score=self.score[rows],
            groupings=groupings,
            patient=None if self.patient is None else self.patient[rows],
            ids=None if self.ids is None else self.ids[rows],
            weight=None if self.weight is None else self.weight[rows],
        )


@dataclass(frozen=True)
class Reading:
    """How the cells of a table are read.

    Attributes:
        positive: Names of the classes that count as positive; empty where the target is 0 and 1.
        missing: Texts that mean "not known" in target, group and patient columns.
        cut: For a column of numbers, the edges of the bands that it is cut into.
        logits: Whether the scores are log-odds.
        percent: Whether the scores are per cent, 0 to 100.
        drop_missing: Leave rows without target or score out, and count them.
        average_views: Average the scores of the rows that share an image id.
        min_rows: Smallest intersection of groups that is shown.
    """

    positive: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    cut: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    logits: bool = False
    percent: bool = False
    drop_missing: bool = False
    average_views: bool = False
    min_rows: int = 30


def as_texts(values: str | Sequence[str]) -> tuple[str, ...]:
    """Return one text, or several, as a tuple; a comma in one text separates several."""
    given = values.split(",") if isinstance(values, str) else values
    return tuple(as_text(value) for value in given)


def parse_cuts(
    cuts: str | Sequence[str] | Mapping[str, Sequence[float]],
) -> dict[str, tuple[float, ...]]:
    """Return the edges of each column that is cut into bands.

    Raises:
        InputError: A text that is not a column and its edges.

    Example:
        >>> parse_cuts("age=40,60")
        {'age': (40.0, 60.0)}
    """
    if isinstance(cuts, Mapping):
        return {str(column): tuple(map(float, edges)) for column, edges in cuts.items()}
    parsed: dict[str, tuple[float, ...]] = {}
    for text in [cuts] if isinstance(cuts, str) else cuts:
        column, _, edges = text.rpartition("=")
        try:
            parsed[column.strip()] = tuple(float(edge) for edge in edges.split(","))
        except ValueError as error:
            raise InputError(
                f"'{text}' is no column and its edges; write for example `cut=\"age=40,60\"`."
            ) from error
    return parsed


def make_study(
    frame: Any,
    *,
    target: str | None,
    score: str | Sequence[str],
    by: Sequence[str],
    patient: str | None = None,
    image: str | None = None,
    weight: str | None = None,
    reading: Reading | None = None,
    name: str = "the table",
) -> Study:
    """Return the checked study of a table.

    Args:
        frame: A data frame, one row per image.
        target: Column of 0 and 1, or of class names; None where the truth is not known yet.
        score: Column of probabilities, or several that are summed.
        by: Group columns; the intersections of several are made as well, unless the columns are
            labelings of the same thing.
        patient: Column that says which rows belong to one patient.
        image: Column whose values must be unique.
        weight: Column of sampling weights; every row counts once where not given.
        reading: How the cells are read.
        name: What messages call the table.

    Raises:
        InputError: Anything that cannot be audited; the message says what to mend.
    """
    reading, by = reading or Reading(), list(dict.fromkeys(by))
    if reading.logits and reading.percent:
        raise InputError(
            f"{name}: a score is either log-odds or per cent; give `logits=True` or `percent=True`."
        )
    if not len(frame):
        raise InputError(f"{name}: holds no rows; give a table with one row per image.")
    if not by:
        raise InputError(f'{name}: no group column is named; say which, as in `by="ita_band"`.')
    notes = [
        f'The column {column} was not used; `weight="{column}"` weights the rows by it.'
        for column in frame.columns
        if str(column).lower() in _WEIGHTS and column not in by and weight is None
    ]
    scores = _score_columns(frame, score, reading, name, notes)
    named = {"target": [target], "score": scores, "by": by, "patient": [patient]}
    named |= {"image": [image], "weight": [weight]}
    for option, columns in named.items():
        for column in columns:
            if column is not None:
                check_column(frame, column, name, option)
    rows = _canonical(frame, (target, scores, by, patient, image, weight), reading, name, notes)
    if target is not None:
        _check_classes(rows["target"].to_numpy(float), target, name)
    numbers = rows["score"].to_numpy(float)
    if numbers.min() == numbers.max():
        raise InputError(
            f"{name}: every score in column '{_names(scores)}' is {numbers[0]:g}; a constant score "
            "tells no image from another, check the model's output."
        )
    columns: list[Grouping] = []
    doubts: list[str] = []
    for column in by:
        grouping, faults = make_grouping(rows[f"by {column}"], str(column), name, reading.missing)
        columns.append(grouping)
        doubts += faults
        if (absent := int((grouping.codes < 0).sum())) > 0:
            notes.append(
                f"{_rows(absent)} no {grouping.name}; they count overall but in none of its groups."
            )
    if len(columns) > 1 and not are_labelings(columns):
        crossed = intersect(columns, reading.min_rows)
        if crossed.labels:
            columns.append(crossed)
        else:
            notes.append(f"No intersection of {crossed.name} has {reading.min_rows} rows.")
    weighted: dict[str, Any] = {}
    if weight is not None:
        weighted = _weighted(rows["weight"].to_numpy(float), str(weight), notes)
    return Study(
        name=name,
        target=rows["target"].to_numpy(float) == 1,
        score=to_probability(numbers) if reading.logits else numbers,
        groupings=tuple(columns),
        patient=None if patient is None else _patients(rows["patient"], str(patient), notes),
        ids=None if image is None else _ids(rows["image"], str(image), name),
        notes=tuple(notes),
        doubts=tuple(doubts),
        truth=target is not None,
        **weighted,
    )


def check_column(frame: pd.DataFrame, column: Any, name: str, option: str = "") -> None:
    """Raise InputError unless the table has exactly one column of that name.

    Args:
        frame: The table.
        column: The name.
        name: What messages call the table.
        option: The argument that names the column, for the advice.
    """
    found = [one for one in frame.columns if one == column]
    if len(found) > 1:
        raise InputError(f"{name}: has {len(found)} columns called '{column}'; rename all but one.")
    if not found:
        there = ", ".join(f"'{one}'" for one in list(frame.columns)[:12])
        known = [name for name in _USUAL.get(option, ()) if name in frame.columns]
        likely = known[0] if known else "COLUMN"
        advice = f'; name the right one, as in `{option}="{likely}"`' if option else ""
        raise InputError(f"{name}: has no column '{column}'; it has {there}{advice}.")


def _rows(count: int) -> str:
    return f"{count:,} row has" if count == 1 else f"{count:,} rows have"


def _names(columns: Sequence[Any]) -> str:
    return " + ".join(str(column) for column in columns)


def _score_columns(
    frame: pd.DataFrame,
    score: str | Sequence[str],
    reading: Reading,
    name: str,
    notes: list[str],
) -> list[Any]:
    """Return the columns to sum: those named, or one per positive class where these are columns."""
    columns = [score] if isinstance(score, str) or not hasattr(score, "__len__") else list(score)
    known = set(frame.columns)
    if len(columns) == 1 and columns[0] not in known and "," in str(columns[0]):
        columns = list(as_texts(columns[0]))
    if columns == ["score"] and "score" not in known and set(reading.positive) & known:
        columns = [name for name in reading.positive if name in known]
    if len(columns) > 1:
        if reading.logits:
            raise InputError(
                f"{name}: log-odds cannot be summed over classes ({_names(columns)}); give "
                "probabilities, or one column."
            )
        notes.append(f"The score is the sum of the columns {_names(columns)}.")
    elif columns != [score] and columns != ["score"]:
        notes.append(f"The score is the column {columns[0]}.")
    return columns


def _canonical(
    frame: Any,
    named: tuple[Any, list[Any], list[Any], Any, Any, Any],
    reading: Reading,
    name: str,
    notes: list[str],
) -> pd.DataFrame:
    """Return the rows that count, in columns target, score, image, patient, weight and "by ..."."""
    import pandas as pd

    target, scores, by, patient, image, weight = named
    frame = frame.reset_index(drop=True)
    for settle in (without_excluded, without_foreign_bands):
        frame, said = settle(frame)
        notes += said
    if frame.empty:
        raise InputError(f"{name}: {notes[-1].rstrip('.')}, and there is no other row.")
    made: dict[str, Any] = {"score": _scores(frame, scores, reading, name)}
    made["target"] = (
        np.zeros(len(frame)) if target is None else _targets(frame[target], reading, name)
    )
    for column in by:
        cells = _corrected(frame, column, notes)
        if (edges := reading.cut.get(str(column))) is not None:
            cells = cut(_filled(cells, reading.missing), edges, str(column), name)
        made[f"by {column}"] = cells
    if patient is not None:
        made["patient"] = _filled(frame[patient], reading.missing)
    if image is not None:
        made["image"] = frame[image]
    if weight is not None:
        made["weight"] = _weights(frame[weight], name)
    rows = pd.DataFrame(made)
    if weight is not None and (idle := (rows["weight"] == 0).to_numpy()).any():
        count = int(idle.sum())
        notes.append(f"{count:,} row{'s' if count > 1 else ''} with a {weight} of 0 left out.")
        rows = rows.loc[~idle]
    empty = (rows["target"].isna() | rows["score"].isna()).to_numpy()
    if empty.any():
        rows = _drop(rows, empty, (target, _names(scores)), reading, name, notes)
    if reading.average_views:
        rows = _average(rows, (target, by, image, weight), name, notes)
    return rows.reset_index(drop=True)


def _corrected(frame: Any, column: Any, notes: list[str]) -> Any:
    """Return a group column with what a person corrected in its place, counted."""
    given = frame[column]
    if f"{column}_corrected" not in frame.columns:
        return given
    corrected = _filled(frame[f"{column}_corrected"])
    by_hand = corrected.notna()
    if not by_hand.any():
        return given
    who = ""
    if "corrected_by" in frame.columns:
        people = dict.fromkeys(_filled(frame["corrected_by"][by_hand]).dropna())
        who = f" by {', '.join(people)}" if people else ""
    count = int(by_hand.sum())
    labels = f"1 label of {column} was" if count == 1 else f"{count:,} labels of {column} were"
    notes.append(f"{labels} corrected by hand{who}.")
    return _filled(given).where(~by_hand, corrected)


def _filled(column: Any, missing: Sequence[str] = ()) -> Any:
    """Return the cells as text, None where one is empty or means "not known"."""
    import pandas as pd

    codes, values = column.factorize()
    texts = [as_text(value) for value in values]
    kept = [None if text == "" or text in missing else text for text in texts]
    cells = np.array([*kept, None], dtype=object)[codes]
    return pd.Series(cells, index=column.index, name=column.name, dtype=object)


def _drop(
    rows: pd.DataFrame,
    empty: NDArray[np.bool_],
    columns: tuple[str | None, str],
    reading: Reading,
    name: str,
    notes: list[str],
) -> pd.DataFrame:
    count, first = int(empty.sum()), int(np.flatnonzero(empty)[0]) + 1
    what = " or ".join(str(column) for column in columns if column is not None)
    if count == len(rows):
        advice = "; where the truth is not known yet, say so with `no_truth=True`"
        known = columns[0] is None or rows["target"].notna().any()
        raise InputError(
            f"{name}: no row has both {' and '.join(str(c) for c in columns if c is not None)}; "
            f"check the names{'' if known else advice}."
        )
    if not reading.drop_missing:
        raise InputError(
            f"{name}: {_rows(count)} no {what}, the first is row {first}; fill them or leave "
            "them out with `drop_missing=True`."
        )
    notes.append(f"{count:,} row{'s' if count > 1 else ''} without {what} left out.")
    return rows.loc[~empty]


def _average(
    rows: pd.DataFrame, named: tuple[Any, list[Any], Any, Any], name: str, notes: list[str]
) -> pd.DataFrame:
    """Return one row per image: the mean score of its rows, which agree in all else.

    Raises:
        InputError: No image column, or an image whose rows differ in target, group or patient.
    """
    target, by, image, weight = named
    if image is None:
        raise InputError(
            f"{name}: views are averaged by image, and no column names the image; name it with "
            '`image="image_id"`.'
        )
    rows = rows.assign(image=rows["image"].map(as_text, na_action="ignore"))
    if rows["image"].isna().any():
        row = int(np.flatnonzero(rows["image"].isna().to_numpy())[0]) + 1
        raise InputError(f"{name}: column '{image}' is empty in row {row}; name every image.")
    grouped = rows.groupby("image", sort=False)
    shown = {"target": target, **{f"by {column}": column for column in by}, "patient": "patient"}
    shown["weight"] = weight
    for column in rows.columns.difference(["image", "score"], sort=False):
        distinct = rows[column].astype("string").groupby(rows["image"], sort=False)
        if (several := distinct.nunique(dropna=False) > 1).any():
            raise InputError(
                f"{name}: the rows of image '{several.idxmax()}' differ in '{shown[column]}'; "
                "views of one image have one target, group and patient."
            )
    made = grouped.first()
    made["score"] = grouped["score"].mean()
    if len(made) < len(rows):
        notes.append(
            f"{len(rows):,} rows are views of {len(made):,} images (test-time augmentation): each "
            "image has the mean of its scores."
        )
    return made.reset_index()


def _numbers(column: Any) -> NDArray[np.float64]:
    """Return a column as numbers, NaN where the cell is empty and inf where it holds text."""
    import pandas as pd

    written = column.astype("string").str.strip().str.lower()
    empty = (written.isna() | written.isin(_NO_NUMBER)).to_numpy(bool)
    coerced: Any = pd.to_numeric(column, errors="coerce")
    text = pd.api.types.is_string_dtype(column.dtype)
    if text and (coerced.isna().to_numpy(bool) & ~empty).any():
        pointed = column.astype("string").str.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)
        coerced = pd.to_numeric(pointed, errors="coerce")
    numbers = coerced.to_numpy(dtype=float, na_value=np.nan, copy=True)
    numbers[np.isnan(numbers) & ~empty] = np.inf
    return numbers


def _weights(column: Any, name: str) -> NDArray[np.float64]:
    """Return a column of sampling weights, shape (n,).

    Raises:
        InputError: A weight is no finite number or negative, or all are 0.
    """
    numbers = _numbers(column)
    wrong = np.flatnonzero(~np.isfinite(numbers) | (numbers < 0))
    if len(wrong):
        cell = as_text(column.iloc[int(wrong[0])]) if not np.isnan(numbers[wrong[0]]) else ""
        raise InputError(
            f"{name}: the weight '{cell}' in column '{column.name}', row {wrong[0] + 1}, is not a "
            "finite number of 0 or above; mend it, or give 0 to leave the row out."
        )
    if not (numbers > 0).any():
        raise InputError(
            f"{name}: every weight in column '{column.name}' is 0; give weights above 0 to the "
            "rows that count."
        )
    return numbers


def _weighted(weight: NDArray[np.float64], shown: str, notes: list[str]) -> dict[str, Any]:
    """Return what a study holds of the weights of its rows: nothing where they are all equal."""
    unit = float(weight.mean())
    if weight.min() == weight.max():
        notes.append(f"Every {shown} is {weight[0]:g}: the figures are those without weights.")
        return {}
    scaled = weight / unit
    notes.append(
        f"Every figure is weighted by {shown}: {len(weight):,} images with weights that add up to "
        f"{weight.sum():,.6g} are as good as {people(scaled):,.0f} of equal weight (effective n). "
        "Counts of images, positives and patients are not weighted."
    )
    return {"weight": scaled, "weight_name": shown, "weight_unit": unit}


def _targets(column: Any, reading: Reading, name: str) -> NDArray[np.float64]:
    """Return 1 where positive, 0 where negative, NaN where not known; shape (n,)."""
    column = _filled(column, reading.missing)
    known = column.notna().to_numpy(bool)
    if reading.positive:
        for one in reading.positive:
            if not (column == one).any():
                raise InputError(
                    f"{name}: column '{column.name}' never says '{one}'; it says {_said(column)}."
                )
        return np.where(known, column.isin(reading.positive).to_numpy(float), np.nan)
    words = {"true": "1", "True": "1", "TRUE": "1", "false": "0", "False": "0", "FALSE": "0"}
    numbers = _numbers(column.replace(words))
    wrong = np.flatnonzero(known & (numbers != 0) & (numbers != 1))
    if len(wrong):
        value = as_text(column.iloc[int(wrong[0])])
        words = list(column.value_counts().index[::-1])  # the rarest first
        likely = next((word for word in words if str(word).lower() in _LIKE_POSITIVE), words[0])
        remedy = f'name what is positive, as in `positive="{likely}"` (it says {_said(column)})'
        if column.nunique() > 20 or _all_numbers(column):
            remedy = (
                "write 1 for a positive image and 0 for a negative one, or name what is positive "
                f'(`positive="{value}"`)'
            )
        raise InputError(
            f"{name}: '{value}' in column '{column.name}', row {wrong[0] + 1}, is not 0 or 1; "
            f"{remedy}."
        )
    return numbers


def _all_numbers(column: Any) -> bool:
    """Return whether every cell of a column is a number or empty."""
    return bool(np.isfinite(_numbers(column)[column.notna().to_numpy(bool)]).all())


def _said(column: Any) -> str:
    values = [f"'{as_text(value)}'" for value in column.dropna().unique()[:8]]
    more = ", ..." if column.nunique() > 8 else ""
    return ", ".join(values) + more


def _check_classes(target: NDArray[np.float64], column: str, name: str) -> None:
    if target.min() == target.max():
        raise InputError(
            f"{name}: every target in column '{column}' is {target[0]:.0f}; an audit needs images "
            "of both classes (without a truth, say so with `no_truth=True`)."
        )


def _scores(frame: Any, columns: list[Any], reading: Reading, name: str) -> NDArray[np.float64]:
    """Return the summed score columns, in [0, 1] or as log-odds, shape (n,); NaN where empty."""
    total = np.zeros(len(frame))
    for column in columns:
        cells = _unsigned(frame[column]) if reading.percent else frame[column]
        numbers = _numbers(cells)
        wrong = np.flatnonzero(np.isinf(numbers))
        if len(wrong):
            value = frame[column].iloc[int(wrong[0])]
            if str(value).strip().endswith("%"):
                raise InputError(
                    f"{name}: '{value}' in column '{column}', row {wrong[0] + 1}, is per cent; say "
                    "so with `percent=True`."
                )
            raise InputError(
                f"{name}: '{value}' in column '{column}', row {wrong[0] + 1}, is not a finite "
                "number; mend or remove that row."
            )
        total += numbers
    if reading.logits:
        return total
    if reading.percent:
        total = total / 100
    total = np.where((total > 1) & (total < 1 + 1e-6), 1.0, total)  # a sum's rounding
    wrong = np.flatnonzero((total < 0) | (total > 1))
    if len(wrong):
        seen = total * (100 if reading.percent else 1)
        like_percent = np.nanmin(total) >= 0 and 2 < np.nanmax(total) <= 100
        hint = "if these are log-odds, say so with `logits=True`"
        if reading.percent:
            hint = "a score in per cent lies in 0 to 100"
        elif like_percent:
            hint = "per cent? Say so with `percent=True` (log-odds: `logits=True`)"
        raise InputError(
            f"{name}: the score {seen[wrong[0]]:g} in column '{_names(columns)}', row "
            f"{wrong[0] + 1}, is outside 0 to {100 if reading.percent else 1}; {hint}."
        )
    return total


def _unsigned(column: Any) -> Any:
    """Return a column of text without the per cent signs at the end of its cells."""
    import pandas as pd

    if not (pd.api.types.is_string_dtype(column.dtype) or column.dtype == object):
        return column
    return column.astype("string").str.replace(r"\s*%\s*$", "", regex=True)


def to_probability(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of log-odds, in the same order and with the same ties.

    Where neighbouring log-odds round to one probability (from 37 on all are 1), each is moved to
    the next smaller number, so that no rank is lost; the change is below 1e-9 for a million rows.
    """
    levels, place = np.unique(np.maximum(logits, -700.0), return_inverse=True)
    odds = np.exp(-np.abs(levels))
    probability = np.where(levels >= 0, 1 / (1 + odds), odds / (1 + odds))
    steps = np.arange(len(levels))
    bits = probability.view(np.int64) - steps  # the bits of positive numbers order as they do
    bits = np.minimum.accumulate(bits[::-1])[::-1] + steps
    return bits.view(np.float64)[place.reshape(-1)]


def _patients(column: Any, shown: str, notes: list[str]) -> NDArray[np.intp] | None:
    codes, known = column.factorize()
    unnamed = codes < 0
    if unnamed.any():
        notes.append(
            f"{_rows(int(unnamed.sum()))} no {shown}; each counts as a patient of its own."
        )
        codes = np.where(unnamed, len(known) + np.cumsum(unnamed) - 1, codes)
    return None if len(known) + unnamed.sum() == len(codes) else codes.astype(np.intp)


def _ids(column: Any, shown: str, name: str) -> NDArray[Any]:
    ids = column.map(as_text, na_action="ignore").astype(str)
    twice = ids[ids.duplicated()]
    if len(twice):
        raise InputError(
            f"{name}: '{twice.iloc[0]}' is in column '{shown}' more than once ({len(twice):,} "
            "repeats); keep one row per image, average its views with `average_views=True`, or "
            'name the column of the models with `model_column="model"`.'
        )
    return ids.to_numpy(dtype=object)


def from_arrays(
    frame: Any, target: Any, score: Any, by: Any, patient: Any, weight: Any = None
) -> tuple[pd.DataFrame, tuple[Any, Any, list[Any], Any, Any]]:
    """Return one table, and the names of its target, scores, groups, patient and weight.

    Without a frame everything is an array, as fairlearn takes them; with one, an array stands
    beside its columns. Series are aligned by their index.

    Args:
        frame: A data frame, a mapping of columns, a polars frame, or None.
        target: Column or array (n,); None where the truth is not known.
        score: Column, several columns, or array (n,), (n, 1) or (n, 2): the second column of
            ``predict_proba`` is that of the positive class.
        by: Columns, or ``sensitive_features``: a mapping of names to arrays, a data frame, a
            series, or one array (then called "group").
        patient: Column or array (n,), or None.
        weight: Column or array (n,), or None.

    Raises:
        InputError: The arrays differ in length or index.
    """
    import pandas as pd

    frame = None if frame is None else as_frame(frame)
    given: dict[str, Any] = {}

    def column(value: Any, name: str) -> Any:
        if value is None or is_name(value):
            if frame is None and value is not None:
                raise InputError(f"{name}='{value}' names a column, but no table was given.")
            return value
        given[name] = _array(value, name)
        return name

    named_target = column(target, "target")
    if isinstance(score, list | tuple) and score and all(isinstance(one, str) for one in score):
        scores: Any = list(score)
    else:
        scores = column(score, "score")
    groups = by
    if is_name(by):
        groups = [column(by, "group")]
    elif isinstance(by, list | tuple) and frame is not None and all(is_name(one) for one in by):
        groups = list(by)
    elif by is None:
        groups = []
    else:
        groups = []
        for one in by if isinstance(by, list | tuple) and not all(map(_is_cell, by)) else [by]:
            features = {} if is_name(one) else _features(one, f"group_{len(groups)}")
            given |= {name: _array(values, name) for name, values in features.items()}
            groups += list(features) or [one]
    named = (
        *(named_target, scores, groups),
        *(column(patient, "patient_id"), column(weight, "weight")),
    )
    if frame is not None:
        if not given:
            return frame, named
        given = {"the table": frame, **given}
    aligned = _align(given)
    if frame is not None:
        table = aligned.pop("the table").assign(**{str(k): v for k, v in aligned.items()})
        return table.reset_index(drop=True), named
    return pd.DataFrame(aligned), named


def is_name(value: Any) -> bool:
    """Return whether a value names a column: a text or a whole number."""
    return isinstance(value, str | int | np.integer) and not isinstance(value, bool)


def as_frame(table: Any) -> pd.DataFrame:
    """Return a pandas frame of a pandas or polars frame, a mapping of columns or a matrix.

    Raises:
        InputError: It is none of these.
    """
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return table
    if hasattr(table, "to_pandas"):  # polars, pyarrow
        return table.to_pandas()
    if hasattr(table, "items") or (isinstance(table, np.ndarray) and table.ndim == 2):
        try:
            return pd.DataFrame(table)
        except ValueError as error:
            raise InputError(f"the columns of the table differ in length ({error}).") from error
    raise InputError(
        f"a {type(table).__name__} is no table; give a data frame, or arrays as target, score, by."
    )


def _is_cell(value: Any) -> bool:
    return not hasattr(value, "__len__") or isinstance(value, str)


def _features(by: Any, called: str = "group_0") -> dict[str, Any]:
    import pandas as pd

    if isinstance(by, pd.DataFrame) or (hasattr(by, "to_pandas") and hasattr(by, "columns")):
        by = as_frame(by)
        return {str(name): by[name] for name in by.columns}
    if hasattr(by, "items") and not isinstance(by, pd.Series):
        return {str(name): values for name, values in by.items()}
    name = getattr(by, "name", None)
    return {str(name if name is not None else "group" if called == "group_0" else called): by}


def _array(values: Any, name: str) -> Any:
    """Return one value per row: a series, or an array or list of shape (n,).

    Raises:
        InputError: Another shape.
    """
    import pandas as pd

    if isinstance(values, pd.Series):
        return values
    if isinstance(values, pd.DataFrame):
        index, values = values.index, values.to_numpy()
        return pd.Series(_array(values, name), index=index)
    if hasattr(values, "to_pandas"):
        return values.to_pandas().to_numpy()
    if hasattr(values, "detach"):  # torch
        values = values.detach().cpu().numpy()
    if not hasattr(values, "__len__") or isinstance(values, str):
        raise InputError(f"{name} is a {type(values).__name__}; give one value per image.")
    shape = np.shape(values) if isinstance(values, np.ndarray) else ()
    if len(shape) < 2:
        nested = len(values) > 0 and isinstance(next(iter(values)), list | tuple | np.ndarray)
        return _array(np.array(list(values)), name) if nested else list(values)
    if len(shape) == 2 and shape[1] == 1:
        return list(values[:, 0])
    if len(shape) == 2 and shape[1] == 2 and name == "score":
        if np.allclose(np.asarray(values, float).sum(axis=1), 1.0, atol=1e-3):
            return list(values[:, 1])
        raise InputError(
            "score has two columns that do not add up to 1; give the column of the positive class."
        )
    raise InputError(
        f"{name} has the shape {shape}; give one value per image, the positive class's for a score."
    )


def _align(given: dict[str, Any]) -> dict[str, Any]:
    """Return arrays and frames row by row: series by their index, the rest by position.

    Raises:
        InputError: Lengths differ, or an index that cannot be aligned.
    """
    import pandas as pd

    sizes = {name: len(values) for name, values in given.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise InputError(f"the arrays differ in length ({told}); give one value per image.")
    indexed = {n: v for n, v in given.items() if isinstance(v, pd.Series | pd.DataFrame)}
    if indexed:
        first = next(iter(indexed))
        index = indexed[first].index
        for name, values in indexed.items():
            if values.index.equals(index):
                continue
            unique = index.is_unique and values.index.is_unique
            if not unique or len(values.index.difference(index)) or len(indexed) < len(given):
                raise InputError(
                    f"{first} and {name} have different indexes, so their rows cannot be paired; "
                    "give both the same index, or arrays."
                )
            given[name] = values.loc[index]
    return {
        name: values.reset_index(drop=True) if name in indexed else values
        for name, values in given.items()
    }
