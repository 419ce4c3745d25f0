"""Check the rows of a table and return them as a study, or raise an `InputError`.

Messages name options as in Python, in backticks; the command line prints them as its flags.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from equiderm.audit.groupings import (
    MOST_GROUPS,
    Grouping,
    are_labelings,
    as_text,
    cut,
    intersect,
    make_grouping,
)
from equiderm.audit.input.cells import (
    PREFIXES,
    Reading,
    as_texts,
    columns_of,
    doubtful_number,
    fill,
    joined,
    named_classes,
    numbers_of,
    read_numbers,
    read_scores,
    read_targets,
    read_weights,
    to_probability,
)
from equiderm.audit.input.study import CORRECTED, SCORE, WEIGHTED, Note, Study
from equiderm.columns import (
    doubtful_patients,
    names_patients,
    patients_alike,
    short,
    without_excluded,
    without_foreign_bands,
)
from equiderm.errors import InputError
from equiderm.format import count as as_count
from equiderm.format import counted, listed
from equiderm.statistics.delong import kish_n

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray


_USUAL = {  # other usual names of columns
    "target": ("y_true", "label", "truth", "malignant", "dx", "diagnosis", "class", "y"),
    "score": ("y_score", "y_prob", "prob", "probability", "proba", "y_pred", "prediction", "pred"),
    "by": ("ita_band", "fitzpatrick_type", "fitzpatrick", "skin_tone", "tone", "monk_tone", "fst"),
    "patient": ("patient_id", "patient"),
    "image": ("image_id", "image", "isic_id", "path"),
}
_FRACTION = re.compile(r"-?[0-9]*[.,][0-9]+(e-?[0-9]+)?")
_ENOUGH = 20  # scores, to tell of their range
_NAMED = 20  # most intersections that a note names; `Grouping.unshown` has all
_ROW = "row of the table"
_WEIGHTS = ("weight", "weights", "sample_weight", "sample_weights")


def make_study(
    frame: Any,
    *,
    target: str | None,
    score: str | Sequence[str] | None,
    by: Sequence[str],
    patient: str | None = None,
    image: str | None = None,
    weight: str | None = None,
    unscored: str | None = None,
    along: Sequence[str] = (),
    adjust: Sequence[str] = (),
    reading: Reading | None = None,
    name: str = "the table",
) -> Study:
    """Return the checked study of a table.

    Args:
        frame: A data frame, one row per image.
        target: Column of 0 and 1, or of class names; None if the truth is not known yet.
        score: Column of probabilities, or several to sum; None reads none, and every score is 0.
        by: Group columns; several are also crossed, unless they are labelings of the same thing.
        patient: Column of patients: rows of one patient are not independent.
        image: Column of unique image ids.
        weight: Column of sampling weights; by default every row counts once.
        unscored: Where ``score`` is None, a column that is true for rows without a score, which is
            the caller's to read; without a target, its name says what they lack.
        along: Columns of numbers to draw curves along.
        adjust: Columns of the case mix to hold equal between groups.
        reading: How the cells are read.
        name: Name of the table for messages.

    Raises:
        InputError: Anything that cannot be audited; the message says what to correct.
    """
    reading, by = reading or Reading(), list(dict.fromkeys(by))
    if reading.logits and reading.percent:
        raise InputError(
            f"{name}: a score is either log-odds or per cent; give `logits=True` or `percent=True`."
        )
    if not len(frame):
        raise InputError(f"{name}: holds no rows; give a table with one row per image.")
    if not by:
        raise InputError(f'{name}: no group column is named; name it, as in `by="ita_band"`.')
    notes = _unused(frame, by, patient, weight)
    scores = _score_columns(frame, score, reading, name, notes)
    if scores == ["score"]:
        _check_not_by_class(frame, target, reading, name)
    numbers, mix = (list(dict.fromkeys(columns)) for columns in (along, adjust))
    named = _Named(target, scores, by, patient, image, weight, numbers, mix)
    for option, columns in named.by_option().items():
        for column in columns:
            check_column(frame, column, name, option)
    rows = _canonical(frame, named, unscored, reading, name, notes)
    if target is not None:
        _check_classes(rows["target"].to_numpy(float), target, name)
    score_of = rows["score"].to_numpy(float)
    if scores and score_of.min() == score_of.max():
        raise InputError(
            f"{name}: every score in column '{joined(scores)}' is {score_of[0]:g}, so that images "
            "cannot be ranked; check the model's output."
        )
    doubts = _doubts(frame, rows, named, reading)
    groupings = _groupings(rows, by, reading, name, notes, doubts)
    weighted: dict[str, Any] = {}
    if weight is not None:
        weighted = _weighted(rows["weight"].to_numpy(float), str(weight), notes)
    return Study(
        name=name,
        target=rows["target"].to_numpy(float) == 1,
        score=to_probability(score_of) if reading.logits else score_of,
        groupings=tuple(groupings),
        patient=None if patient is None else _patients(rows["patient"], str(patient), notes),
        ids=None if image is None else _ids(rows["image"], str(image), name),
        notes=tuple(notes),
        doubts=tuple(doubts),
        truth=target is not None,
        numbers={str(column): rows[f"along {column}"].to_numpy(float) for column in numbers},
        mix={str(column): rows[f"mix {column}"].to_numpy(dtype=object) for column in mix},
        **weighted,
    )


class _Named(NamedTuple):
    """The columns of a table that an audit reads, each kind once, as in `make_study`."""

    target: Any
    scores: list[Any]
    by: list[Any]
    patient: Any
    image: Any
    weight: Any
    along: list[Any]
    adjust: list[Any]

    def by_option(self) -> dict[str, list[Any]]:
        """Return the columns that are there by the option that names them."""
        options = dict(zip(("target", "score", *self._fields[2:]), self, strict=True))
        return {
            option: columns if isinstance(columns, list) else [columns]
            for option, columns in options.items()
            if columns is not None
        }


def study_of_read(
    frame: pd.DataFrame,
    unread: NDArray[np.bool_],
    lacks: str,
    *,
    by: str | Sequence[str],
    **options: Any,
) -> tuple[Study, NDArray[np.intp]]:
    """Return the study of a table whose answers the caller has read, and the rows that count.

    Args:
        frame: A data frame, one row per image, indexed from 0.
        unread: Which rows lack an answer, shape (n,).
        lacks: What these rows lack, for messages.
        by: Group columns.
        options: Further arguments of `make_study`.
    """
    table = frame.assign(**{lacks: unread, _ROW: np.arange(len(frame))})
    columns = [by] if isinstance(by, str) else by
    study = make_study(table, score=None, unscored=lacks, by=columns, image=_ROW, **options)
    assert study.ids is not None
    return replace(study, ids=None), study.ids.astype(np.intp)


def _unused(
    frame: pd.DataFrame, by: Sequence[str], patient: str | None, weight: str | None
) -> list[str]:
    """Return notes on columns of weights and of patients that no option names."""
    notes = [
        f'The column {column} was not used; `weight="{column}"` weights the rows by it.'
        for column in frame.columns
        if str(column).lower() in _WEIGHTS and column not in by and weight is None
    ]
    return notes + [
        f'The column {column} was not used; `patient="{column}"` keeps the images of one together.'
        for column in frame.columns
        if patient is None
        and column not in by
        and (names_patients(str(column)) or _are_lesions(frame, column))
    ]


def _groupings(
    rows: pd.DataFrame,
    by: Sequence[str],
    reading: Reading,
    name: str,
    notes: list[str],
    doubts: list[Any],
) -> list[Grouping]:
    """Return the group columns, crossed unless they are labelings; add to notes and doubts."""
    columns: list[Grouping] = []
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
        if crossed.unshown:
            notes.append(_unshown(crossed))
    return columns


def _are_lesions(frame: pd.DataFrame, column: Any) -> bool:
    """Return whether a column names lesions, some of which have several images."""
    if str(column).casefold() != "lesion_id" or list(frame.columns).count(column) > 1:
        return False
    return bool(frame[column].dropna().duplicated().any())


def check_column(frame: pd.DataFrame, column: Any, name: str, option: str = "") -> None:
    """Raise InputError unless the table has exactly one column of that name.

    Args:
        frame: The table.
        column: Name of the column.
        name: Name of the table for messages.
        option: The argument that names the column, for the advice.
    """
    count = sum(other == column for other in frame.columns)
    if count > 1:
        raise InputError(f"{name}: has {count} columns called '{column}'; rename all but one.")
    if not count:
        there = ", ".join(f"'{other}'" for other in list(frame.columns)[:12])
        there += ", ..." * (len(frame.columns) > 12)
        spelled = {str(other).casefold(): other for other in frame.columns}
        usual = [str(column), *_USUAL.get(option, ())]
        known = [spelled[name.casefold()] for name in usual if name.casefold() in spelled]
        likely = known[0] if known else "COLUMN"
        advice = f'; name the right one, as in `{option}="{likely}"`' if option else ""
        if any(_FRACTION.fullmatch(str(other)) for other in frame.columns):
            advice = "; write the names of the columns into the first line"
        if sum(str(other).startswith("Unnamed: ") for other in frame.columns) > 1:
            advice = "; take out the lines above the one that names the columns"
        if len(frame.columns) == 1:
            advice = "; that is one column: separate the cells by commas, in the first line, too"
        raise InputError(f"{name}: has no column '{column}'; it has {there}{advice}.")
    if frame[column].dtype == object:  # as JSON and Parquet may hold
        for row, cell in enumerate(frame[column]):
            if isinstance(cell, list | dict | np.ndarray):
                raise InputError(
                    f"{name}: column '{column}', row {row + 1}, holds several values "
                    f"({short(cell)}); write one per cell, each kind in a column of its own."
                )


def _check_not_by_class(frame: pd.DataFrame, target: Any, reading: Reading, name: str) -> None:
    """Raise InputError where no column is called score, but each class has one of its own."""
    columns = list(frame.columns)
    if "score" in columns or columns.count(target) != 1 or reading.positive:
        return
    classes = sorted({str(one) for one in frame[target].dropna().unique()[: MOST_GROUPS + 1]})
    named = columns_of(classes, columns)
    if named:
        raise InputError(
            f"{name}: has no column 'score' but one for each class in '{target}' "
            f"({listed(named, most=_NAMED)}); name the classes that count as positive, as in "
            f'`positive="{classes[0]}"`, or audit each against the rest with '
            "`equiderm audit --classes all`, in Python `audit_classes`."
        )
    scores = [column for column in columns if str(column).startswith("score_")]
    if len(scores) > 1:
        raise InputError(
            f"{name}: has no column 'score' but those of several classes "
            f"({listed(scores, most=_NAMED)}); name the column of the true class and audit each "
            "against the rest with `equiderm audit --target COLUMN --classes all`, in Python "
            "`audit_classes`."
        )


def _doubts(frame: pd.DataFrame, rows: pd.DataFrame, named: _Named, reading: Reading) -> list[str]:
    """Return a sentence on each likely fault of the table; those of its groups are added later."""
    scores = rows["score"].to_numpy(float)
    sentences: list[str] = []
    if reading.logits and scores.min() >= 0 and scores.max() <= 1:
        sentences.append(
            "Every score is within 0 to 1: if these are probabilities and not log-odds, leave "
            "`logits=True` out."
        )
    if reading.percent and scores.max() <= 0.01:
        sentences.append(
            "Every score is at most 1: if these are probabilities and not per cent, leave "
            "`percent=True` out."
        )
    if named.patient is not None:
        sentences += [
            f"'{name}' is one patient with {count:,} images; if it means not known, say so with "
            f'`missing="{name}"`.'
            for name, count in doubtful_patients(rows["patient"])
        ]
        if twins := patients_alike(rows["patient"]):
            sentences.append(
                f"{len(twins):,} patients differ in capitals, blanks, dashes or leading zeros only "
                f"({listed(twins, most=4)}); if "
                "they are the same people, write them alike."
            )
    every = [column for columns in named.by_option().values() for column in columns]
    sentences += [
        f"The table has several columns '{column}'; the first was used."
        for column in dict.fromkeys(every)
        if f"{column}.1" in frame.columns  # as pandas calls the second
    ]
    if named.scores and named.target is not None:
        sentences += _odd_scores(scores, reading)
    for column in named.along:
        sentences += doubtful_number(rows[f"along {column}"].to_numpy(float), column)
    return sentences


def _odd_scores(scores: NDArray[np.float64], reading: Reading) -> list[str]:
    """Return a sentence if the scores look like decisions, or like those of the predicted class."""
    if set(np.unique(scores)) == {0.0, 1.0}:
        return [
            "Every score is 0 or 1, as decisions are: AUROC and calibration need the probabilities "
            "behind them."
        ]
    if not reading.logits and len(scores) >= _ENOUGH and scores.min() >= 0.5:
        return [
            "Every score is 0.5 or more, as the probability of the predicted class is: the score "
            "must be that of the positive class, also where another is predicted."
        ]
    return []


def _unshown(crossed: Grouping) -> str:
    """Return a sentence on the intersections that are large enough but beyond the most shown."""
    every = len(crossed.labels) + len(crossed.unshown)
    return (
        f"Of {every:,} intersections of {crossed.name} the {MOST_GROUPS} with the most images are "
        f"shown; not shown: {listed(crossed.unshown, most=_NAMED)} "
        f"({counted(crossed.unshown_rows, 'image')}, which count in each column alone)."
    )


def _rows(count: int) -> str:
    return f"{count:,} row has" if count == 1 else f"{count:,} rows have"


def _score_columns(
    frame: pd.DataFrame,
    score: str | Sequence[str] | None,
    reading: Reading,
    name: str,
    notes: list[str],
) -> list[Any]:
    """Return the columns to sum: those named, or one per positive class if these are columns."""
    if score is None:
        return []
    columns = [score] if isinstance(score, str) or not hasattr(score, "__len__") else list(score)
    known = set(frame.columns)
    if len(columns) == 1 and columns[0] not in known and "," in str(columns[0]):
        columns = list(as_texts(columns[0]))
    if columns == ["score"] and "score" not in known and reading.positive:
        there = [str(column) for column in frame.columns]
        classes = [name.removeprefix(prefix) for prefix in PREFIXES for name in there]
        columns = columns_of(named_classes(reading.positive, classes), there) or columns
    if len(columns) > 1:
        if reading.logits:
            raise InputError(
                f"{name}: log-odds cannot be summed over classes ({joined(columns)}); give "
                "probabilities, or one column."
            )
        notes.append(Note(f"The score is the sum of the columns {joined(columns)}.", SCORE))
    elif columns != [score] and columns != ["score"]:
        notes.append(Note(f"The score is the column {columns[0]}.", SCORE))
    return columns


def _canonical(
    frame: Any,
    named: _Named,
    unscored: str | None,
    reading: Reading,
    name: str,
    notes: list[str],
) -> pd.DataFrame:
    """Return the rows that count, in canonical columns.

    They are target, score, image, patient, weight, "by ...", "along ..." and "mix ...".
    """
    import pandas as pd

    target, scores, by, patient, image, weight, along, adjust = named
    frame = frame.reset_index(drop=True)
    for settle in (without_excluded, without_foreign_bands):
        frame, remarks = settle(frame)
        notes += remarks
    if frame.empty:
        raise InputError(f"{name}: {notes[-1].rstrip('.')}, and there is no other row.")
    cells: dict[str, Any] = {"score": np.zeros(len(frame))}
    if scores:
        cells["score"] = read_scores(frame, scores, reading, name)
    elif unscored is not None:
        cells["score"] = np.where(frame[unscored], np.nan, 0.0)
    cells["target"] = (
        np.zeros(len(frame)) if target is None else read_targets(frame[target], reading, name)
    )
    for column in by:
        groups = _corrected(frame, column, notes)
        if (edges := reading.cut.get(str(column))) is not None:
            groups = cut(numbers_of(fill(groups, reading.missing)), edges, str(column), name)
        cells[f"by {column}"] = groups
    if patient is not None:
        cells["patient"] = fill(frame[patient], reading.missing)
    if image is not None:
        cells["image"] = frame[image]
    if weight is not None:
        cells["weight"] = read_weights(frame[weight], name)
    for column in along:
        cells[f"along {column}"] = read_numbers(frame[column], reading.missing, name)
    for column in adjust:
        cells[f"mix {column}"] = fill(frame[column], reading.missing)
    rows = pd.DataFrame(cells)
    if weight is not None and (unused := (rows["weight"] == 0).to_numpy()).any():
        count = int(unused.sum())
        notes.append(f"{count:,} row{'s' if count > 1 else ''} with a {weight} of 0 left out.")
        rows = rows.loc[~unused]
    empty = (rows["target"].isna() | rows["score"].isna()).to_numpy()
    if empty.any():
        bare = unscored if target is None or unscored is None else "score"
        shown = joined(scores) if scores else bare
        rows = _drop(rows, empty, (target, shown), reading, name, notes)
    if reading.average_views:
        rows = _average(rows, named, name, notes)
    return rows.reset_index(drop=True)


def _corrected(frame: Any, column: Any, notes: list[str]) -> Any:
    """Return a group column with people's corrections in place, and note their number."""
    given = frame[column]
    if f"{column}_corrected" not in frame.columns:
        return given
    corrected = fill(frame[f"{column}_corrected"])
    by_hand = corrected.notna()
    if not by_hand.any():
        return given
    who = ""
    if "corrected_by" in frame.columns:
        people = dict.fromkeys(fill(frame["corrected_by"][by_hand]).dropna())
        who = f" by {', '.join(people)}" if people else ""
    count = int(by_hand.sum())
    labels = f"1 label of {column} was" if count == 1 else f"{count:,} labels of {column} were"
    notes.append(Note(f"{labels} corrected by hand{who}.", CORRECTED))
    return fill(given).where(~by_hand, corrected)


def _drop(
    rows: pd.DataFrame,
    empty: NDArray[np.bool_],
    columns: tuple[str | None, str | None],
    reading: Reading,
    name: str,
    notes: list[str],
) -> pd.DataFrame:
    count, first = int(empty.sum()), int(np.flatnonzero(empty)[0]) + 1
    what = " or ".join(str(column) for column in columns if column is not None)
    if count == len(rows):
        advice = "; if the truth is not known yet, say so with `no_truth=True`"
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


def _average(rows: pd.DataFrame, named: _Named, name: str, notes: list[str]) -> pd.DataFrame:
    """Return one row per image with the mean score of its rows.

    Raises:
        InputError: No image column, or an image whose rows differ in target, group or patient.
    """
    if named.image is None:
        raise InputError(
            f"{name}: views are averaged by image, but no column of images is named; name it with "
            '`image="image_id"`.'
        )
    rows = rows.assign(image=rows["image"].map(as_text, na_action="ignore"))
    if rows["image"].isna().any():
        row = int(np.flatnonzero(rows["image"].isna().to_numpy())[0]) + 1
        raise InputError(f"{name}: column '{named.image}' is empty in row {row}; name every image.")
    grouped = rows.groupby("image", sort=False)
    shown = {f"by {column}": column for column in named.by}
    shown |= {"target": named.target, "patient": "patient", "weight": named.weight}
    averaged = ["score", *(name for name in rows.columns if name.startswith("along "))]
    for column in rows.columns.difference(["image", *averaged], sort=False):
        distinct = rows[column].astype("string").groupby(rows["image"], sort=False)
        if (several := distinct.nunique(dropna=False) > 1).any():
            raise InputError(
                f"{name}: the rows of image '{several.idxmax()}' differ in "
                f"'{shown.get(column, column.removeprefix('mix '))}'; "
                "give all views of an image the same target, group and patient."
            )
    images = grouped.first()
    images[averaged] = grouped[averaged].mean()
    if len(images) < len(rows):
        notes.append(
            f"{len(rows):,} rows are views of {len(images):,} images (test-time augmentation): "
            "each image has the mean of its scores."
        )
    return images.reset_index()


def _weighted(weight: NDArray[np.float64], shown: str, notes: list[str]) -> dict[str, Any]:
    """Return the fields of a study for the weights of its rows; none if all are equal."""
    unit = float(weight.mean())
    if weight.min() == weight.max():
        notes.append(f"Every {shown} is {weight[0]:g}: the figures are those without weights.")
        return {}
    scaled = weight / unit
    text = (
        f"Every figure is weighted by {shown}: {len(weight):,} images with weights that add up to "
        f"{weight.sum():,.6g} are as good as {as_count(kish_n(scaled))} of equal weight "
        "(effective n). Counts of images, positives and patients are not weighted."
    )
    notes.append(Note(text, WEIGHTED))
    return {"weight": scaled, "weight_name": shown, "weight_unit": unit}


def _check_classes(target: NDArray[np.float64], column: str, name: str) -> None:
    if target.min() == target.max():
        raise InputError(
            f"{name}: every target in column '{column}' is {target[0]:.0f}; an audit needs images "
            "of both classes (if the truth is not known, say so with `no_truth=True`)."
        )


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
    ids = fill(column)
    twice = ids[ids.notna() & ids.duplicated()]
    if len(twice):
        raise InputError(
            f"{name}: '{twice.iloc[0]}' is in column '{shown}' more than once ({len(twice):,} "
            "repeats); keep one row per image, average its views with `average_views=True`, or "
            'name the column of the models with `model_column="model"`.'
        )
    return ids.to_numpy(dtype=object)
