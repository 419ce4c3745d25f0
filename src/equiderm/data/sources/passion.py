"""PASSION: common skin diseases of children and young people in sub-Saharan Africa."""

from __future__ import annotations

from pathlib import Path

from equiderm.columns import known, with_columns
from equiderm.data.sources.release import Folder, Reading, Release, one_row_each, reading


def read_passion(directory: Path) -> Reading:
    """Read PASSION: smartphone photographs of eczema, fungi, scabies and others on dark skin.

    Images: as many as the folder holds; the table has a row per person, whose images are named by
    the person, ``_`` and a number.
    Patients: ``subject_id``. Split by patient.
    Label: none; the diseases (``conditions_PASSION``) are not tumours, so ``target`` is empty.
    Skin type: ``fitzpatrick``, per person, judged by the collectors; mostly 4 to 6.
    How to get it: ask for it at its page, unpack ``label.csv`` and the images into DIR.
    Known faults: children, mostly; columns as public code reads them, not from the owner's own
    file. A validation set of tone estimates, not of classifiers of tumours.
    """
    import pandas as pd

    folder = Folder(directory, PASSION.title)
    columns = ["subject_id", "fitzpatrick", "conditions_PASSION"]
    table = with_columns(folder.table("label.csv", columns=columns), ["age", "sex", "body_loc"])
    table = table[[*columns, "age", "sex", "body_loc"]]
    table = one_row_each(table, "subject_id", "label.csv").reset_index(drop=True)
    images = folder.images()
    names = pd.DataFrame({"image_id": pd.array(sorted(images), dtype="string")})
    names["subject_id"] = names["image_id"].str.replace(r"_[^_]*$", "", regex=True)
    table = table.merge(names, on="subject_id", how="left", sort=False)
    names = table["image_id"].fillna(table["subject_id"])  # a person without any image
    rows = pd.DataFrame(
        {
            "image_id": names,
            "diagnosis": table["conditions_PASSION"],
            "patient_id": table["subject_id"],
            "fitzpatrick_type": table["fitzpatrick"],
            "rater": "collectors",
            "age": table["age"],
            "sex": table["sex"],
            "site": known(table["body_loc"]),
            "modality": "clinical",
        }
    )
    return reading(rows, images, folder, files=names, **PASSION.constants)


PASSION = Release(
    name="passion",
    title="PASSION",
    licence="on request",
    purpose="validation of tone labels, dark skin",
    page="https://passionderm.github.io/",
    citation="Gottfrois et al. 2024, MICCAI, arXiv:2411.04584",
    read=read_passion,
    by_hand=(
        "Ask for it at https://passionderm.github.io/ and unpack label.csv and the images into DIR."
    ),
)
