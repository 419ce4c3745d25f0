"""Read tables of predictions: join truth and tone labels by image, split models."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.groupings import as_text
from equiderm.audit.groups import Options
from equiderm.audit.input import Reading, as_texts, check_column
from equiderm.audit.input.cells import named_classes, read_targets
from equiderm.columns import without_foreign_bands
from equiderm.errors import InputError
from equiderm.files import STANDARD
from equiderm.identity import (
    Matching,
    first_few,
    id_columns,
    match_tables,
    numbered_notes,
    unmatched_notes,
)
from equiderm.tables import is_parquet_folder, parquet_files, parse_table, read_bytes, read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from equiderm.audit.label_error import Agreement

_CORRECTION = ("corrected_by", "corrected_at", "corrected_why", "excluded")
_FLAG_COLUMNS = ("tone_flags", "flags")  # the second: its name until 0.1


@dataclass(frozen=True)
class Request:
    """What to audit: columns, other tables, how cells are read, and names for the report.

    Attributes:
        by: Group columns.
        target: Column of the truth.
        score: Column of the score, or several to sum.
        patient: Column of the patient; by default ``patient_id`` if the table has it.
        no_patient: Treat all images as independent, even if there is a column of patients.
        image: Column of the image; by default the first usual name in the table.
        weight: Column of sampling weights.
        along: Columns of numbers to draw curves along.
        adjust: Columns of the case mix to hold equal between groups.
        models: Names of the models to audit: score columns, or values of ``model_column``.
        model_column: Column that names the model of a row's score.
        truth: Table with the targets (a column ``target``, or one column per class).
        tones: Table with the group labels of the images.
        tone_source: Origin of the group labels, in words.
        reference: Group of the first column to compare the others with.
        agreement: The labeller's errors.
        options: Threshold, levels, replicates, seed.
        cells: How cells are read: the keyword arguments of `audit` from ``positive`` on.
        model: Name of the model.
        finding: What a positive image shows, in the singular.
        command: The command line.
        find: Columns to search for subgroups; empty for no search.
        depth: The most conditions of a subgroup.
        missed: Name of the file that will list the missed positives, if any.
        answers: Answers to points of the checklist, by key.
        notes: Sentences on how tables were joined, from `read_joined`.
    """

    by: tuple[str, ...] = ("ita_band",)
    target: str = "target"
    score: tuple[str, ...] = ("score",)
    patient: str | None = None
    no_patient: bool = False
    image: str | None = None
    weight: str | None = None
    along: tuple[str, ...] = ()
    adjust: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    model_column: str | None = None
    truth: Path | None = None
    tones: pd.DataFrame | Path | None = None
    tone_source: str = ""
    reference: str | None = None
    agreement: Agreement | Path | None = None
    options: Options = field(default_factory=Options)
    cells: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    finding: str = "positive"
    command: str = ""
    missed: str = ""
    find: tuple[str, ...] = ()
    depth: int = 2
    answers: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def others(self) -> list[str]:
        """Columns other than target and score, which may be in another table."""
        names = [*self.by, self.patient or "patient_id"]
        names += [self.weight] if self.weight else []
        return [*names, *self.along, *self.adjust]

    def named_in(self, table: Any) -> Request:
        """Return the request with names of a table's columns that hold commas joined again."""
        columns = [str(column) for column in table.columns]
        several = ("by", "along", "adjust", "models", "find")
        return replace(
            self, **{name: tuple(named_classes(getattr(self, name), columns)) for name in several}
        )


def read_joined(
    path: Path, request: Request, beside: Path | None = None
) -> tuple[Any, str, list[tuple[str, str]], str, Request]:
    """Return a table with truth and tones, its name, the files' checksums and the tones' origin.

    Columns that the file lacks (target, groups, patients) are taken from ``beside``, by image. The
    request comes back last, in the names of the joined table's columns.

    Raises:
        InputError: A table cannot be read or joined.
    """
    frame, digest = read_predictions(path)
    called = digest[0]
    request = request.named_in(frame)
    if beside is not None and beside != STANDARD:
        frame, request = _completed(frame, beside, request, called)
    files, tone_source = [digest], request.tone_source
    if request.truth is not None:
        truth, truth_file = read_predictions(request.truth)
        frame, request = _aside(frame, request.named_in(truth), called)
        frame, notes = join_truth(frame, truth, request, names=(called, truth_file[0]))
        request = replace(request, notes=(*request.notes, *notes))
        files.append(truth_file)
    if request.tones is not None:
        tones = request.tones
        if not hasattr(tones, "columns"):
            tones, tone_file = read_predictions(tones)  # pyright: ignore[reportArgumentType]
            tone_source += f"Tone labels from {tone_file[0]}: "
            files.append(tone_file)
        request = request.named_in(tones)
        by = (*request.by, *(name for name in request.along if name not in frame.columns))
        frame, joined, notes = join_tones(frame, tones, image=request.image, by=by, name=called)
        request = replace(request, notes=(*request.notes, *notes))
        tone_source += joined
    return frame, called, files, tone_source, request


def _aside(frame: Any, request: Request, name: str) -> tuple[Any, Request]:
    """Return predictions whose score is called as the truth is, under another name.

    A submission may call its score "target"; the truth would take its place.
    """
    column = request.target
    if column not in frame.columns or column not in (*request.score, *request.models):
        return frame, request
    other = f"{column} of {name}"
    score, models = (
        tuple(other if part == column else part for part in parts)
        for parts in (request.score, request.models)
    )
    return frame.rename(columns={column: other}), replace(request, score=score, models=models)


def _completed(frame: Any, beside: Path, request: Request, name: str) -> tuple[Any, Request]:
    """Return a second model's table with columns that only the first model's table has."""
    wanted = dict.fromkeys([request.target, *request.others])
    if set(wanted) <= set(frame.columns) or request.truth is not None:
        return frame, request
    first, (called, _) = read_predictions(beside)
    request = request.named_in(first)
    wanted = dict.fromkeys([request.target, *request.others])
    absent = [column for column in wanted if column in first.columns and column not in frame]
    if not absent:
        return frame, request
    place, _ = _place(frame, first, request.image, (name, called), called)
    return frame.assign(**{column: _taken(first, column, place) for column in absent}), request


def split_models(
    frame: Any, *, score: Any, request: Request, image: str | None, name: str
) -> dict[str, tuple[Any, Any, list[str]]]:
    """Return by model its rows, score column and notes; a table of one model has the key "".

    Raises:
        InputError: No such model, or no image that all models have scored.
    """
    if request.model_column is not None:
        return _models_in_rows(frame, score, request, image, name)
    if not request.models:
        return {"": (frame, score, [])}
    for column in request.models:
        check_column(frame, column, name)
    several = list(request.models) if len(request.models) > 1 else []
    empty = frame[several].isna().any(axis=1).to_numpy(bool)
    notes = _left_out(int(empty.sum()), len(frame), request.models, name)
    kept = frame.loc[~empty]
    return {model: (kept, model, notes) for model in request.models}


def _models_in_rows(
    frame: Any, score: Any, request: Request, image: str | None, name: str
) -> dict[str, tuple[Any, Any, list[str]]]:
    column = request.model_column
    assert column is not None
    check_column(frame, column, name)
    if image is None:
        raise InputError(
            f"{name}: models in rows are paired by image, but no column of images is named; name "
            'it with `image="image_id"`.'
        )
    check_column(frame, image, name)
    model = frame[column].map(as_text, na_action="ignore")
    there = list(dict.fromkeys(model.dropna()))
    wanted = named_classes(request.models, there) or there
    if unknown := [value for value in wanted if value not in there]:
        raise InputError(
            f"{name}: column '{column}' has no model '{unknown[0]}'; it has {first_few(there)}."
        )
    scores = [score] if isinstance(score, str) else list(score)
    scored = frame[[value for value in scores if value in frame.columns]].notna().all(axis=1)
    parts = {key: frame[(model == key) & (scored if len(wanted) > 1 else True)] for key in wanted}
    ids = [set(part[image].map(as_text)) for part in parts.values()]
    common, every = set.intersection(*ids), set.union(*ids)
    notes = _left_out(len(every) - len(common), len(every), wanted, name)
    return {
        key: (part[part[image].map(as_text).isin(common)], score, notes)
        for key, part in parts.items()
    }


def _left_out(count: int, rows: int, models: Sequence[str], name: str) -> list[str]:
    """Return a note on ``count`` of the rows (or images) that lack a score of some model."""
    if count == rows:
        raise InputError(f"{name}: no row has a score of {' and of '.join(models)}.")
    if not count:
        return []
    return [
        f"{count:,} {'row lacks' if count == 1 else 'rows lack'} a score of "
        f"{' or '.join(models)} and {'is' if count == 1 else 'are'} left out of all."
    ]


def read_predictions(path: Path) -> tuple[pd.DataFrame, tuple[str, str]]:
    """Return a table (of text cells if the file is text), and its name with SHA-256.

    Raises:
        InputError: The file cannot be read, or is not a table.
    """
    if is_parquet_folder(path):
        digest = hashlib.sha256()
        for file in parquet_files(path):
            digest.update(hashlib.sha256(read_bytes(file)).digest())
        return read_table(path, as_text=True), (path.name, digest.hexdigest())
    raw = read_bytes(path)  # once: a pipe cannot be read again
    name = "standard input" if path == STANDARD else path.name
    return parse_table(raw, path, as_text=True), (name, hashlib.sha256(raw).hexdigest())


def image_column(frame: pd.DataFrame, wanted: str | None) -> str | None:
    """Return the column that names the images: the wanted one, or the first usual name, or None."""
    return wanted if wanted is not None else next(iter(id_columns(frame)), None)


def patient_column(frame: pd.DataFrame, request: Request) -> str | None:
    """Return the column of the patient: the wanted one, or ``patient_id`` if present, or None."""
    if request.no_patient:
        return None
    return request.patient or ("patient_id" if "patient_id" in frame.columns else None)


def _place(
    frame: Any, other: Any, image: str | None, names: tuple[str, str], title: str
) -> tuple[NDArray[np.intp], Matching]:
    """Return each row's index in the other table, shape (n,), -1 for none, and the matching.

    Raises:
        InputError: No column names the image, no image is in both, or one is in the other twice.
    """
    there = image if image in other.columns else None
    if image is not None:
        check_column(frame, image, names[0])
    nameless = [names[0]] if image is None and not id_columns(frame) else []
    nameless += [title] if there is None and not id_columns(other) else []
    if nameless:
        raise InputError(
            f"{nameless[0]}: has no column that names the image; call it image_id, or name it with "
            '`image="image_id"`.'
        )
    rows = match_tables(frame, other, (names[0], title), columns=(image, there), repeats=True)
    place = np.full(len(frame), -1, dtype=np.intp)
    place[rows.left] = rows.right
    return place, rows


def _taken(other: Any, column: str, place: Any) -> Any:
    cells = other[column].to_numpy(dtype=object)[np.maximum(place, 0)]
    return np.where(place >= 0, cells, None)


def join_truth(
    frame: Any, truth: Any, request: Request, *, names: tuple[str, str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the predictions with target, groups and patients of another table, and notes.

    The truth is the target column; or, if positive classes are named, one column per class that is
    1 where an image is of the class.

    Raises:
        InputError: No image matches, or the truth has neither such a column nor such classes.
    """
    positive = as_texts(request.cells.get("positive", ()))
    place, rows = _place(frame, truth, request.image, names, names[1])
    if request.target in truth.columns:
        target = _taken(truth, request.target, place)
    elif set(positive) & set(truth.columns):
        target = _taken(_class_of(truth, positive, names[1]), "target", place)
    else:
        alike = {kind.casefold() for kind in positive}
        if known := [name for name in map(str, truth.columns) if name.casefold() in alike]:
            raise InputError(
                f"{names[1]}: has a column '{known[0]}', but not '{positive[0]}'; write the "
                f'positive class as the column, as in `positive="{known[0]}"`.'
            )
        check_column(truth, request.target, names[1])
        raise AssertionError
    joined = frame.assign(**{request.target: target})
    for column in request.others:
        if column not in frame.columns and column in truth.columns:
            joined = joined.assign(**{column: _taken(truth, column, place)})
    return joined, unmatched_notes(rows, names)


def _class_of(truth: Any, positive: Sequence[str], name: str) -> Any:
    """Return the truth with a column ``target``: the positive class of a row, or "another"."""
    import pandas as pd

    marks = pd.DataFrame(index=truth.index)
    for column in positive:
        check_column(truth, column, name)
        marks[column] = read_targets(truth[column], Reading(), name)
    chosen = marks.fillna(0).idxmax(axis=1).where((marks == 1).any(axis=1), "another")
    return truth.assign(target=chosen.where(marks.notna().all(axis=1)))


def join_tones(
    frame: Any, tones: Any, *, image: str | None, by: Sequence[str], name: str
) -> tuple[pd.DataFrame, str, list[str]]:
    """Return the predictions with the tone table's columns, sentences on the labels, and notes.

    Images are matched by `equiderm.identity.match_tables`.

    Raises:
        InputError: A column is missing, no image matches, or a name fits several labels.
    """
    wanted = [column for column in dict.fromkeys(by) if column in tones.columns]
    if not wanted:
        raise InputError(
            f"the tone table has none of the columns {', '.join(by)}; it has "
            f"{', '.join(str(column) for column in list(tones.columns)[:12])}."
        )
    names = (name, "the tone table")
    tones, notes = without_foreign_bands(tones)
    place, rows = _place(frame, tones, image, names, names[1])
    taken = [*wanted, *(f"{column}_corrected" for column in wanted), *_CORRECTION]
    taken = [column for column in taken if column in tones.columns]
    joined = frame.assign(**{column: _taken(tones, column, place) for column in taken})
    labels = tones.iloc[place[place >= 0]]
    described = " ".join([_describe(labels, wanted), *notes, *unmatched_notes(rows, names)])
    return joined, described, numbered_notes(rows, names)


def _describe(labels: Any, wanted: Sequence[str]) -> str:
    """Return a sentence on the tone labels for the report, from the columns that `label` writes."""
    parts = [f"{', '.join(wanted)} joined by image name"]
    for column in ("method", "scheme"):
        if column in labels.columns and labels[column].notna().any():
            cell = labels[column].dropna().iloc[0]
            parts.append(f"{column} {cell}" + (" (not validated)" if cell == "monk" else ""))
    if (unlabelled := int(labels[list(wanted)].isna().any(axis=1).sum())) > 0:
        parts.append(f"{unlabelled} images could not be labelled")
    flags = next((name for name in _FLAG_COLUMNS if name in labels.columns), None)
    if flags is not None:
        flagged = labels[flags].map(lambda cell: hasattr(cell, "__len__") and len(cell) > 0)
        parts.append(f"{int(flagged.sum())} labels are marked doubtful by the labeller")
    return "; ".join(parts) + "."
