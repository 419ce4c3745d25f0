"""Diverse Dermatology Images (DDI) and DDI-2, Stanford."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.columns import known_ids, truths, types_of_cell, with_columns
from equiderm.data.sources.release import Folder, Premalignant, Reading, Release, Target, reading

if TYPE_CHECKING:
    import pandas as pd


def read_ddi(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read DDI: 656 clinical images, pathology-proven, balanced over three groups of skin type.

    Images: 656.
    Patients: 570, no ids in the release.
    Label: the owner's ``malignant``, or melanoma in ``disease``; ``actinic-keratosis`` follows
    ``premalignant``.
    Skin type: judged by two board-certified dermatologists from the visit's notes and photographs,
    in three groups: 12 (types 1 and 2), 34, 56. A group is not a type, so ``fitzpatrick_type``
    stays empty; the column ``fitzpatrick_group`` says 1-2, 3-4 or 5-6.
    How to get it: register at its page, unpack the download into DIR.
    Known faults: small groups: 171 malignant images in all.
    """
    import pandas as pd

    folder = Folder(directory, DDI.title)
    columns = ["DDI_file", "skin_tone", "malignant", "disease"]
    table = folder.table("ddi_metadata.csv", columns=columns)
    words = _words(table["malignant"], "true", table["disease"])
    groups = known_ids(table["skin_tone"]).map(_group, na_action="ignore").astype("string")
    names = table["DDI_file"].str.replace(r"\.\w+$", "", regex=True)
    rows = pd.DataFrame(
        {
            "image_id": names,
            "diagnosis": table["disease"],
            "rater": "dermatologists",
            "modality": "clinical",
            "fitzpatrick_group": groups,
        }
    ).join(DDI.targets(words, target, premalignant))
    return reading(rows, folder.images(), folder, files=names, **DDI.constants)


def _group(tone: str) -> str | None:
    """Return a group of types, such as 1-2 for 12; None for anything else."""
    types = types_of_cell(tone, range(1, 7), {})
    return f"{types[0]}-{types[-1]}" if types and len(types) > 1 else None


def _words(truth: pd.Series, malignant: str, disease: pd.Series) -> pd.Series:
    """Return the owner's truth, but melanoma and actinic keratosis where the disease says so."""
    words = truths(truth).str.lower().replace({"1": "true", "0": "false"})
    melanoma = disease.str.contains("melanoma", case=False).fillna(False)
    words = words.mask(melanoma & (words == malignant).fillna(False), "melanoma")
    keratosis = disease.str.contains("actinic.keratosis", case=False).fillna(False)
    return words.mask(keratosis, "actinic keratosis")


DDI = Release(
    name="ddi",
    title="DDI (Diverse Dermatology Images)",
    images=656,
    patients=570,
    licence="research agreement",
    purpose="test by skin type, to types 5 and 6",
    page="https://ddi-dataset.github.io/",
    citation="Daneshjou et al. 2022, Science Advances 8:eabq6147",
    read=read_ddi,
    labels={
        "true": "malignant",
        "false": "benign",
        "melanoma": "melanoma",
        "actinic keratosis": "premalignant",
    },
    by_hand=(
        "Register at https://stanfordaimi.azurewebsites.net/datasets/"
        "35866158-8196-48d8-87bf-50dca81df965, accept the agreement and unpack the download "
        "(ddi_metadata.csv and the images) into DIR."
    ),
)


def read_ddi2(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read DDI-2: clinical images of Asian patients, as cropped for publication.

    Images: as many as the table names; others count 665.
    Patients: no ids in the known columns.
    Label: the owner's ``benign/malignant``, or melanoma in ``diagnosis_detailed``; actinic
    keratosis follows ``premalignant``.
    Skin type: ``fitzpatrick_skin_type``, a type or two (``3, 4``): ``fitzpatrick_group`` holds both
    (``3-4``), ``fitzpatrick_type`` only a single type; the table does not say who judged it.
    How to get it: register at its page, unpack the download into DIR. First save the sheet of
    ``final_DDI2_Asian_spreadsheet.xlsx`` as a CSV of that name.
    Known faults: 71 malignant images, 4 of them melanoma, as others count them. Columns as public
    code reads them, not from the owner's own file.
    """
    import pandas as pd

    folder = Folder(directory, DDI_2.title)
    path = folder.find_dated("final_ddi2")
    columns = ["photo_id", "fitzpatrick_skin_type", "benign/malignant"]
    if path is None:
        raise folder.refusal(f"final_DDI2_Asian_spreadsheet.csv (columns {', '.join(columns)})")
    also = ["diagnosis_detailed", "diagnosis_general"]
    table = with_columns(folder.read(path, columns, also), also)
    disease = table["diagnosis_detailed"].fillna(table["diagnosis_general"])
    words = _words(table["benign/malignant"], "malignant", disease)
    types = table["fitzpatrick_skin_type"].str.replace(r"[^1-6]+", "-", regex=True).str.strip("-")
    groups = types.mask(types == "")
    names = table["photo_id"].str.replace(r"\.\w+$", "", regex=True)
    rows = pd.DataFrame(
        {
            "image_id": names,
            "diagnosis": disease,
            "fitzpatrick_type": groups.where(groups.str.len() == 1),
            "rater": "not told",
            "modality": "clinical",
            "fitzpatrick_group": groups,
        }
    )
    label = DDI_2.targets(words, target, premalignant)
    return reading(rows.join(label), folder.images(), folder, files=names, **DDI_2.constants)


DDI_2 = Release(
    name="ddi-2",
    title="DDI-2 (Diverse Dermatology Images 2)",
    licence="research agreement",
    purpose="test on Asian skin, with skin type",
    page="https://stanfordaimi.azurewebsites.net/datasets/1d6cdb9b-0791-4b52-abd1-48014d2117a1",
    citation="Stanford AIMI, DDI-2, at its page",
    read=read_ddi2,
    labels={
        "malignant": "malignant",
        "benign": "benign",
        "melanoma": "melanoma",
        "actinic keratosis": "premalignant",
    },
    by_hand=(
        "Register at https://stanfordaimi.azurewebsites.net/datasets/"
        "1d6cdb9b-0791-4b52-abd1-48014d2117a1, accept the agreement and unpack the download into "
        "DIR; save the sheet of final_DDI2_Asian_spreadsheet.xlsx as a CSV of that name."
    ),
)
