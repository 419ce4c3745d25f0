"""The manifest: one table, one row per image, for every data set; read, checked, written."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from equiderm.columns import (
    as_named,
    corrected_by_hand,
    excluded_by_hand,
    settle_corrections,
    truths,
    with_points,
)
from equiderm.engine import default_workers
from equiderm.errors import InputError
from equiderm.files import AnyPath
from equiderm.identity import join_columns, unmatched_notes
from equiderm.remote import join_url, open_regular, url_of
from equiderm.tables import MISSING_WORDS, read_table, write_table

if TYPE_CHECKING:
    import pandas as pd

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]


class Columns(BaseModel):
    """The columns of a manifest in their order; each description says what a cell holds.

    A value that the source does not give is empty (null), never guessed. Further columns of a
    source may follow these; columns that give the answer away (`LEAKS`) may not.
    """

    model_config = ConfigDict(strict=True)

    image_id: list[Text] = Field(description="name of the image, unique within its source")
    path: list[Text] = Field(description="image file; in a file, relative to the manifest's folder")
    source: list[Text] = Field(description="data set, a name of `equiderm datasets`")
    target: list[Literal[0, 1] | None] = Field(
        description="1 where the disease of target_name is present, 0 where not"
    )
    target_name: list[Literal["malignant", "melanoma"] | None] = Field(
        description="what target 1 means: malignant or melanoma"
    )
    diagnosis: list[Text | None] = Field(description="diagnosis in the words of the source")
    patient_id: list[Text | None] = Field(description="the person, as the source names it")
    lesion_id: list[Text | None] = Field(description="the lesion, as the source names it")
    split: list[Text | None] = Field(
        description="train, validation, test or a fold, if there is one"
    )
    fitzpatrick_type: list[Annotated[int, Field(ge=1, le=6)] | None] = Field(
        description="Fitzpatrick skin type 1 to 6, judged by people"
    )
    rater: list[Text | None] = Field(description="who judged fitzpatrick_type")
    ita: list[Annotated[float, Field(ge=-180, le=180)] | None] = Field(
        description="individual typology angle in degrees, computed"
    )
    ita_band: list[Text | None] = Field(description="band of ita, computed")
    tone_method: list[Text | None] = Field(description="what computed ita and ita_band")
    monk_tone: list[Annotated[int, Field(ge=1, le=10)] | None] = Field(
        description="Monk skin tone 1 to 10, judged by people"
    )
    age: list[Annotated[float, Field(ge=0, le=120)] | None] = Field(description="age in years")
    sex: list[Literal["female", "male", "other"] | None] = Field(
        description="female, male or other"
    )
    site: list[Text | None] = Field(description="place on the body, in the words of the source")
    modality: list[Literal["dermoscopic", "clinical"] | None] = Field(
        description="dermoscopic or clinical"
    )
    licence: list[Text | None] = Field(description="licence of the image")
    sha256: list[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None] = Field(
        description="SHA-256 of the image file, 64 hexadecimal digits"
    )


COLUMNS: tuple[str, ...] = tuple(Columns.model_fields)
_INTEGERS = {"target", "fitzpatrick_type", "monk_tone"}
_NUMBERS = {"ita", "age"}

# Pattern of a column's name -> why it gives the answer away. Case and punctuation do not matter.
LEAKS: dict[str, str] = {
    r"biops": "every cancer was biopsied",
    r"^dx_?type$|confirm_type|confirmation|histopath|^patholog": (
        "histology was done where cancer was suspected"
    ),
    r"^management$|excision": "excision was advised for melanoma",
    r"^mel_|breslow|clark_level|mitotic|ulcer|thick_?mm|invasion": "only cancer has one",
    r"^iddx|benign_malignant|^malignan(t|cy)$|^melanoma$|^is_?cancer$": "it is the answer",
}


def leak_of(column: str) -> str | None:
    """Return why a column of this name gives the answer away, or None if it does not."""
    plain = re.sub(r"[^a-z0-9]+", "_", str(column).strip().lower())
    return next((why for pattern, why in LEAKS.items() if re.search(pattern, plain)), None)


def conform(frame: pd.DataFrame, *, name: str = "manifest") -> pd.DataFrame:
    """Return the table with every column of the manifest, in order and in its type.

    Absent columns become null; further columns follow, untouched. Text is ``string``, numbers are
    ``Int64`` or ``float64``. Capitals of the names do not matter, nor do blanks about the text.

    Raises:
        InputError: image_id, path or source is absent, or a column of numbers holds something else.
    """
    import pandas as pd

    frame = as_named(frame, COLUMNS)
    absent = [column for column in ("image_id", "path", "source") if column not in frame]
    if absent:
        raise InputError(f"{name}: has no column {absent[0]}; it is not a manifest.")
    columns: dict[str, pd.Series] = {}
    nothing = pd.Series(pd.NA, index=frame.index, dtype="string")
    for column in COLUMNS:
        values: Any = frame.get(column, nothing)
        if column in _INTEGERS | _NUMBERS:
            columns[column] = _numbers(frame, values, column, name)
        else:
            text = values.astype("string")
            text = text if column in ("image_id", "path") else text.str.strip()
            columns[column] = text.mask(text == "")
    further = {str(key): frame[key] for key in frame.columns if key not in COLUMNS}
    return pd.DataFrame({**columns, **further}).reset_index(drop=True)


def _numbers(frame: pd.DataFrame, values: pd.Series, column: str, name: str) -> pd.Series:
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(values):
        values = values.astype("string").str.strip()
        values = with_points(values.mask(values.isin(list(MISSING_WORDS))))
        if column == "target":
            values = truths(values)
    numbers = pd.to_numeric(values, errors="coerce").astype("Float64")
    bad = numbers.isna() & values.notna() & (values.astype("string") != "")
    if column in _INTEGERS:
        bad |= (numbers % 1 != 0).fillna(False)
    if bad.any():
        expected = f"it must be {Columns.model_fields[column].description}"
        _refuse(frame, column, int(bad.to_numpy().argmax()), expected, name)
    return numbers.astype("Int64" if column in _INTEGERS else "float64")


def check_manifest(frame: pd.DataFrame, *, name: str = "manifest") -> None:
    """Raise unless the table is a manifest: columns, types, ranges, and rows that agree.

    Args:
        frame: A table as `conform` returns it.
        name: What messages call it, usually the file.

    Raises:
        InputError: A rule is broken: the first such row (counted from 1), and what to do.
    """
    for column in frame.columns:
        why = None if column in COLUMNS else leak_of(column)
        if why is not None:
            raise InputError(f"{name}: column {column} leaks the answer ({why}); take it out.")
    _check_cells(frame, name)
    for column, bad, what in _disagreements(frame):
        if bad.any():
            _refuse(frame, column, int(bad.to_numpy().argmax()), what, name)


def _check_cells(frame: pd.DataFrame, name: str) -> None:
    """Check every distinct value of every column once; 400,000 rows take well under a second."""
    import pandas as pd

    distinct = {column: frame[column].drop_duplicates() for column in COLUMNS if column in frame}
    cells = {
        column: [None if pd.isna(cell) else cell for cell in values.tolist()]
        for column, values in distinct.items()
    }
    try:
        Columns.model_validate({column: cells.get(column, []) for column in COLUMNS})
    except ValidationError as error:
        first = error.errors()[0]
        column, place = str(first["loc"][0]), int(first["loc"][1])
        row = int(frame.index.get_indexer(distinct[column].index[[place]])[0])
        expected = Columns.model_fields[column].description
        _refuse(frame, column, row, f"it must be {expected}", name)


def _disagreements(frame: pd.DataFrame) -> Iterator[tuple[str, pd.Series, str]]:
    """Yield column, rows at fault and the reason, for what a cell alone cannot show."""
    has = {column: frame[column].notna() for column in COLUMNS}
    twice = frame.duplicated(["source", "image_id"])
    yield "image_id", twice, "an earlier row of the same source has this name"
    yield "target_name", has["target"] & ~has["target_name"], "say what target means"
    yield "rater", has["fitzpatrick_type"] & ~has["rater"], "say who judged fitzpatrick_type"
    computed = (has["ita"] | has["ita_band"]) & ~has["tone_method"]
    yield "tone_method", computed, "say what computed ita or ita_band"
    people = frame[has["lesion_id"] & has["patient_id"]]
    owners = people.groupby(["source", "lesion_id"])["patient_id"].transform("first")
    shared = (people["patient_id"] != owners).reindex(frame.index, fill_value=False)
    yield "patient_id", shared, "an earlier row gives the same lesion to another person"


def _refuse(frame: pd.DataFrame, column: str, row: int, what: str, name: str) -> None:
    import pandas as pd

    image = frame["image_id"].iloc[row] if "image_id" in frame else "?"
    cell = frame[column].iloc[row]
    shown = "empty" if pd.isna(cell) else repr(str(cell))
    raise InputError(
        f"{name}: row {row + 1} (image {image}), {column} is {shown}: {what}; "
        "mend that row or leave it out."
    )


def read_manifest(path: AnyPath) -> pd.DataFrame:
    """Return a checked manifest from Parquet or CSV; paths come back absolute.

    Raises:
        InputError: Not a table, not a manifest, or a row that breaks a rule of `Columns`.
    """
    path = Path(path)
    frame = conform(read_table(path, as_text=True), name=path.name)
    check_manifest(frame, name=path.name)
    return with_places(frame, path)


def with_places(frame: pd.DataFrame, table: Path) -> pd.DataFrame:
    """Return a manifest whose paths, relative to the table they were read from, are absolute."""
    folder, url = table.absolute().parent, url_of(table)
    places = [
        (join_url(url, str(name)) if url else url_of(str(name)))
        or os.path.normpath(folder / str(name))
        for name in frame["path"]
    ]
    return frame.assign(path=places).astype({"path": "string"})


def write_manifest(frame: pd.DataFrame, path: AnyPath) -> None:
    """Check and write a manifest (Parquet, CSV or TSV), whole or not at all.

    Images below the manifest's own folder are named relative to it, so that the folder can move;
    others keep their absolute path.
    """
    path = Path(path)
    frame = conform(frame, name=path.name)
    check_manifest(frame, name=path.name)
    folder = f"{path.absolute().parent}{os.sep}"
    frame["path"] = [
        url_of(str(name)) or Path(str(name).removeprefix(folder)).as_posix()
        for name in frame["path"]
    ]
    write_table(frame.astype({"path": "string"}), path)


def join_tones(frame: pd.DataFrame, tones: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a manifest with ``ita``, ``ita_band`` and ``tone_method`` of a table of tones.

    Args:
        frame: A manifest.
        tones: Table of `equiderm.tone.label`, matched to the manifest by path or by name; see
            `equiderm.identity.match_tables`. Images that it lacks keep empty cells.

    Returns:
        The manifest, and a sentence for each reason why rows of the two did not match.

    Raises:
        InputError: Not such a table, an image labelled twice, or none of the manifest's images.
    """
    by_hand = corrected_by_hand(tones)[~excluded_by_hand(tones)]
    tones, decided = settle_corrections(tones)
    absent = [name for name in ("ita", "ita_band", "method", "scheme") if name not in tones]
    if absent:
        raise InputError(f"the tone table: has no column {absent[0]}; give a table of `label`.")
    how = tones["method"].astype("string") + ", " + tones["scheme"].astype("string") + " bands"
    how = how.str.replace("monk bands", "monk bands (not validated)", regex=False)
    if "model" in tones:  # which estimated the bands or colours
        model = tones["model"].astype("string")
        how = how.where(tones["method"].astype("string") == model, how + " by " + model)
    how = how.mask(by_hand, how + ", corrected by hand")
    labels = tones.assign(tone_method=how.where(tones["ita_band"].notna()))
    names = ("the manifest", "the tone table")
    filled, rows = join_columns(frame, labels, ["ita", "ita_band", "tone_method"], names)
    columns = list(dict.fromkeys([*frame.columns, *filled.columns]))
    return filled[columns], [*decided, *unmatched_notes(rows, names)]


def add_tones(frame: pd.DataFrame, tones: pd.DataFrame) -> pd.DataFrame:
    """Return the manifest of `join_tones` without its notes; kept for one version."""
    return join_tones(frame, tones)[0]


def manifest_hash(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of what a manifest says, 64 hexadecimal digits.

    The order of rows and columns, the paths of the files (``path``) and the file format do not
    matter; every other cell does. A table without ``path`` or ``source``, such as one that goes
    with arrays in Python, counts as having them empty.
    """
    import pandas as pd

    absent = {column: "" for column in ("path", "source") if column not in frame}
    plain = conform(frame.assign(**absent)).drop(columns="path")
    ordered = [*(c for c in COLUMNS if c != "path"), *sorted(set(plain.columns) - set(COLUMNS))]
    plain = plain[ordered].sort_values(["source", "image_id"], kind="stable")
    for column in ordered:
        if column not in COLUMNS:  # 3 and 3.0, text and number, as CSV and Parquet give them
            numbers = pd.to_numeric(plain[column], errors="coerce")
            same = numbers.notna() | plain[column].isna()
            plain[column] = numbers.astype("float64") if same.all() else plain[column].astype(str)
    return hashlib.sha256(plain.to_csv(index=False).encode()).hexdigest()


def summarize(frame: pd.DataFrame) -> dict[str, Any]:
    """Return how many images, people and labels a manifest has, and its hash."""
    return {
        "images": len(frame),
        "patients": int(frame["patient_id"].nunique()),
        "lesions": int(frame["lesion_id"].nunique()),
        "target": frame["target_name"].dropna().drop_duplicates().tolist(),
        "positive": int((frame["target"] == 1).sum()),
        "negative": int((frame["target"] == 0).sum()),
        "with_fitzpatrick_type": int(frame["fitzpatrick_type"].notna().sum()),
        "manifest_hash": manifest_hash(frame),
    }


def hash_images(
    frame: pd.DataFrame,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Return the manifest with ``sha256`` filled in where it was empty; reads every such file.

    Args:
        frame: A manifest.
        workers: Files read at a time; None takes one per core.
        progress: Called with files read and in total.

    Raises:
        InputError: A file cannot be read.
    """
    wanted = frame["sha256"].isna()
    with ThreadPoolExecutor(workers or default_workers()) as pool:
        digests: list[str] = []
        for digest in pool.map(file_sha256, frame.loc[wanted, "path"]):
            digests.append(digest)
            if progress is not None:
                progress(len(digests), int(wanted.sum()))
    frame = frame.copy()
    frame.loc[wanted, "sha256"] = digests
    return frame


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits; InputError where it cannot be read."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file.") from error
