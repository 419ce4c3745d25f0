"""SCIN, the Skin Condition Image Network: photographs that people in the US sent in."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from equiderm.columns import number, with_columns
from equiderm.data.sources.release import (
    Folder,
    Reading,
    Release,
    RemoteFile,
    one_row_each,
    reading,
)
from equiderm.tables import MISSING_WORDS, read_table

if TYPE_CHECKING:
    import pandas as pd

_BUCKET = "https://storage.googleapis.com/dx-scin-public-data/"
_IMAGES = [f"image_{n}_path" for n in (1, 2, 3)]
_DERMATOLOGISTS = [f"dermatologist_fitzpatrick_skin_type_label_{n}" for n in (1, 2, 3)]


def read_scin(
    directory: Path, *, rater: Literal["dermatologist", "self"] = "dermatologist"
) -> Reading:
    """Read SCIN: 5,033 cases of everyday skin conditions, 10,379 images, with skin types.

    Images: 10,379, up to three per case, clinical, taken by the people themselves.
    Patients: no ids; a case is one contribution of one person, and ``lesion_id`` is the case, so
    that a split keeps its images together.
    Label: none here: most cases are inflammatory and only a few are tumours, so ``target`` is
    empty; ``diagnosis`` is the dermatologists' condition of highest weight.
    Skin type: ``rater`` chooses: up to three dermatologists from the photographs (the majority's
    type; empty where there is no majority), or the person's own answer.
    ``monk_tone`` is the US raters' and ``monk_tone_india`` the Indian raters'.
    How to get it: ``equiderm fetch scin DIR``, 12 GB in 10,379 files.
    Known faults: about 15 duplicate images; some gradable cases have no label.
    """
    import pandas as pd

    folder = Folder(directory, SCIN.title)
    cases = folder.table("scin_cases.csv", columns=["case_id", *_IMAGES, "fitzpatrick_skin_type"])
    labels = folder.table("scin_labels.csv", columns=["case_id", *_DERMATOLOGISTS])
    labels = one_row_each(labels, "case_id", "scin_labels.csv")
    cases = cases.merge(labels, on="case_id", how="left")
    wanted = ["sex_at_birth", "age_group", "weighted_skin_condition_label"]
    wanted += ["monk_skin_tone_label_us", "monk_skin_tone_label_india"]
    cases = with_columns(cases, wanted)
    skin = _types(cases[_DERMATOLOGISTS if rater == "dermatologist" else ["fitzpatrick_skin_type"]])
    who = {"dermatologist": "dermatologists (majority)", "self": "self-report"}[rater]
    table = pd.DataFrame(
        {
            "diagnosis": cases["weighted_skin_condition_label"].map(_heaviest).astype("string"),
            "lesion_id": cases["case_id"],
            "fitzpatrick_type": skin,
            "rater": who,
            "monk_tone": _monk(cases["monk_skin_tone_label_us"]),
            "sex": cases["sex_at_birth"],
            "modality": "clinical",
            "monk_tone_india": _monk(cases["monk_skin_tone_label_india"]),
            "age_group": cases["age_group"],
        }
    )
    parts = [table.assign(file=cases[column]) for column in _IMAGES]
    rows = pd.concat(parts).dropna(subset="file").sort_index(kind="stable").reset_index(drop=True)
    names = rows.pop("file").str.extract(r"([^/]+)\.\w+$")[0]
    rows.insert(0, "image_id", names)
    extra = rows.duplicated("image_id")
    notes = [f"image {name}: belongs to several cases, the first is kept" for name in names[extra]]
    rows, names = rows[~extra].reset_index(drop=True), names[~extra].reset_index(drop=True)
    return reading(rows, folder.images(), folder, files=names, notes=notes, **SCIN.constants)


def _types(answers: pd.DataFrame) -> pd.Series:
    """Return the type 1 to 6 that more than half of the answers give; null if there is none."""
    import pandas as pd

    numbers = answers.apply(lambda column: pd.to_numeric(column.str.extract(r"(?i)FST([1-6])$")[0]))
    most = numbers.mode(axis=1).reindex(columns=[0])[0]
    votes = numbers.eq(most, axis=0).sum(axis=1)
    return most.where(votes * 2 > numbers.notna().sum(axis=1)).astype("Int64")


def _monk(values: pd.Series) -> pd.Series:
    return number(values, 1, 10).round().astype("Int64")


def _heaviest(weights: object) -> str | None:
    """Return the condition of highest weight from text such as ``{'Eczema': 0.41}``."""
    if not isinstance(weights, str) or not weights.startswith("{"):
        return None
    try:
        table: dict[str, float] = ast.literal_eval(weights)
    except (ValueError, SyntaxError):
        return None
    return max(table, key=lambda name: table[name]) if table else None


def scin_images(tables: Path) -> list[RemoteFile]:
    """Return the image files that the downloaded table of cases names."""
    import pandas as pd

    cases = read_table(tables / "scin_cases.csv", as_text=True, missing=MISSING_WORDS)
    paths = pd.concat([cases[column] for column in _IMAGES]).dropna().drop_duplicates()
    return [RemoteFile(f"images/{Path(p).name}", (f"{_BUCKET}{p}",)) for p in paths]


SCIN = Release(
    name="scin",
    title="SCIN",
    images=10_379,
    bytes=12_000_000_000,
    licence="SCIN Data Use License",
    purpose="validation of tone labels, also Monk",
    page="https://github.com/google-research-datasets/scin",
    citation="Ward et al. 2024, JAMA Network Open 7:e2446615",
    read=read_scin,
    files=(
        RemoteFile("scin_cases.csv", (f"{_BUCKET}dataset/scin_cases.csv",)),
        RemoteFile("scin_labels.csv", (f"{_BUCKET}dataset/scin_labels.csv",)),
    ),
    more=scin_images,
)
