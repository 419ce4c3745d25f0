"""The MSKCC Skin Tone Labeling Dataset: skin types judged in person, with a colorimeter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.columns import number
from equiderm.data.sources.archive import archive_rows
from equiderm.data.sources.release import Folder, Reading, Release, RemoteFile, reading

if TYPE_CHECKING:
    import pandas as pd

_S3 = "https://isic-archive.s3.amazonaws.com/dois/10.34970-962049/"


def read_mskcc(directory: Path) -> Reading:
    """Read the MSKCC Skin Tone Labeling Dataset: 4,879 images with in-person Fitzpatrick types.

    Images: 4,879, dermoscopic (3,678) and clinical.
    Patients: 64, with ids: many images per person. Split by patient.
    Label: none; the set has no malignancy task, ``target`` is empty.
    Skin type: judged in person, in ``fitzpatrick_skin_type`` (I to VI).
    Measured tone: a colorimeter read the skin sites of 1,838 images. Put the supplement
    ``s7.csv`` of the same DOI into DIR: ``ita`` is its ``average_ita``, the readings follow as
    ``colorimeter_l``, ``_a``, ``_b``. Its columns are as public code reads them.
    How to get it: ``equiderm fetch mskcc DIR``; the supplements by hand. Crowd ratings (``s8``) are
    not read.
    Known faults: few people; polarised dermoscopy looks bluish, so that ITA passes 90 degrees on
    48 % of the images.
    """
    folder = Folder(directory, MSKCC.title)
    columns = ["isic_id", "patient_id", "fitzpatrick_skin_type", "image_type"]
    path = folder.find_dated("mskcc-skin-tone-labeling-dataset")
    table = folder.read(path, columns) if path else folder.table("metadata.csv", columns=columns)
    rows = archive_rows(table)
    rows["rater"] = "clinician, in person"
    rows["licence"] = rows["licence"].fillna(MSKCC.licence)
    rows = rows.assign(**_colorimeter(folder, table["isic_id"]))
    files = table["isic_id"]
    return reading(rows, folder.images(), folder, files=files, source=MSKCC.name)


def _colorimeter(folder: Folder, ids: pd.Series) -> dict[str, pd.Series]:
    """Return the measured angle and colour of each image; nothing where the table is not there."""
    path = folder.find("s7.csv")
    if path is None:
        return {}
    table = folder.read(path, ["isic_id", "average_ita"], [f"average_{c}" for c in "lab"])
    table = table[table["isic_id"].isin(ids)].drop_duplicates("isic_id").set_index("isic_id")
    ita = number(ids.map(table["average_ita"]), -90, 90)
    method = ita.map(lambda _: "colorimeter (average_ita of s7.csv)", na_action="ignore")
    measured = {"ita": ita, "tone_method": method.astype("string")}
    for channel in "lab":
        if f"average_{channel}" in table:
            values = number(ids.map(table[f"average_{channel}"]), -128, 128)
            measured[f"colorimeter_{channel}"] = values
    return measured


MSKCC = Release(
    name="mskcc",
    title="MSKCC Skin Tone Labeling Dataset",
    images=4879,
    patients=64,
    licence="CC-BY",
    purpose="validation of tone labels, in person",
    page="https://doi.org/10.34970/962049",
    citation="Weir et al. 2025, npj Digital Medicine 8:787, doi:10.34970/962049",
    read=read_mskcc,
    files=(
        RemoteFile(
            "mskcc-skin-tone-labeling-dataset.csv", (f"{_S3}mskcc-skin-tone-labeling-dataset.csv",)
        ),
        RemoteFile(
            "mskcc-skin-tone-labeling-dataset.zip", (f"{_S3}mskcc-skin-tone-labeling-dataset.zip",)
        ),
    ),
)
