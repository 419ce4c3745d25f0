"""MRA-MIDAS: one lesion from a foot, from six inches and through a dermatoscope, with pathology."""

from __future__ import annotations

from pathlib import Path

from equiderm.columns import known, with_columns
from equiderm.data.sources.release import Folder, Premalignant, Reading, Release, Target, reading

_SKIN_WORDS = r"(?i)^((?:type\s+)?[iv]+)\s.*"  # "ii fair skin, blue eyes"
_MODALITY = {"dscope": "dermoscopic", "6in": "clinical", "1ft": "clinical"}


def read_mra_midas(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read MRA-MIDAS: biopsied lesions at several distances, and healthy skin as controls.

    Images: 3,416 rows; some 60 of them name no file of the release.
    Patients: not published; ``midas_record_id`` keeps the images of a record together, as lesion.
    Label: the owner's ``midas_path``, which begins with benign or malignant. The owner counts
    actinic keratosis as malignant (``malignant- ak``); here it counts as benign, as in every other
    source, unless ``premalignant`` says otherwise. Controls and rows without pathology have no
    target.
    Skin type: ``midas_fitzpatrick``, Roman numerals with words (``ii fair skin, blue eyes``); who
    judged it is not stated in the table.
    How to get it: register at its page, unpack the download into DIR. First save the sheet of
    ``release_midas.xlsx`` as ``release_midas.csv``.
    Known faults: names in the table and of the files differ in case and ending (``.jpeg`` for
    ``.jpg``), and are matched without both; ``midas_pathreport`` and the clinical impressions give
    the answer away and are not carried over. Columns as public code reads them, not from the
    owner's own file.
    """
    import pandas as pd

    folder = Folder(directory, MRA_MIDAS.title)
    columns = ["midas_record_id", "midas_file_name", "midas_path", "midas_distance"]
    table = folder.table("release_midas.csv", columns=columns)
    wanted = ["midas_iscontrol", "midas_fitzpatrick", "midas_age", "midas_gender"]
    table = with_columns(table, [*wanted, "midas_location"])
    table = table[table["midas_file_name"].notna()].reset_index(drop=True)
    pathology = table["midas_path"].str.lower().str.replace(r"\s*-\s*", "-", regex=True)
    control = (table["midas_iscontrol"].str.lower() == "yes").fillna(False)
    pathology = pathology.mask(control)
    words = pathology.str.extract(r"^(benign|malignant)", expand=False).astype("string")
    words = words.fillna("unknown").where(pathology.notna())
    malignant = (words == "malignant").fillna(False)
    words = words.mask(malignant & pathology.str.contains("melanoma").fillna(False), "melanoma")
    keratosis = pathology.str.contains(r"\bak\b|actinic keratosis").fillna(False)
    words = words.mask(keratosis, "actinic keratosis")
    skin = table["midas_fitzpatrick"].str.replace(_SKIN_WORDS, r"\1", regex=True)
    distance = table["midas_distance"].str.lower()
    images = {name.lower(): path for name, path in folder.images().items()}
    files = table["midas_file_name"].str.replace(r"\.\w+$", "", regex=True).str.lower()
    rows = pd.DataFrame(
        {
            "image_id": files,
            "diagnosis": pathology,
            "lesion_id": table["midas_record_id"],
            "fitzpatrick_type": skin,
            "rater": "not told",
            "age": table["midas_age"],
            "sex": table["midas_gender"],
            "site": known(table["midas_location"]),
            "modality": distance.map(_MODALITY).fillna("clinical").astype("string"),
            "distance": distance,
            "control": control,
        }
    ).join(MRA_MIDAS.targets(words, target, premalignant))
    return reading(rows, images, folder, files=files, **MRA_MIDAS.constants)


MRA_MIDAS = Release(
    name="mra-midas",
    title="MRA-MIDAS",
    images=3416,
    licence="research agreement",
    purpose="biopsied lesions at three distances, with skin type",
    page="https://doi.org/10.71718/15nz-jv40",
    citation="Chiou et al. 2025, NEJM AI, doi:10.71718/15nz-jv40",
    read=read_mra_midas,
    labels={
        "melanoma": "melanoma",
        "malignant": "malignant",
        "actinic keratosis": "premalignant",
        "benign": "benign",
        "unknown": "unknown",
    },
    by_hand=(
        "Register with Stanford AIMI at https://doi.org/10.71718/15nz-jv40, accept the agreement "
        "and unpack the download (release_midas.csv and the images) into DIR."
    ),
)
