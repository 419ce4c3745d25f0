"""PAD-UFES-20: smartphone photographs from Espírito Santo, Brazil."""

from __future__ import annotations

from pathlib import Path

from equiderm.columns import known, known_ids, with_columns
from equiderm.data.sources.release import (
    Folder,
    Premalignant,
    Reading,
    Release,
    RemoteFile,
    Target,
    reading,
)

_FILES = "https://data.mendeley.com/public-files/datasets/zr7vgbcyr2/files/"


def read_pad_ufes_20(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read PAD-UFES-20: 2,298 smartphone images of 1,373 patients and 1,641 lesions.

    Images: 2,298, clinical, 52 of them melanoma.
    Patients: 1,373, with ids. Split by patient.
    Label: BCC, SCC (with Bowen's disease, BOD) and MEL are malignant; ACK is actinic keratosis and
    counts as benign unless ``premalignant`` says otherwise; NEV and SEK are benign.
    Skin type: Fitzpatrick type that the clinicians noted, in the column ``fitspatrick`` (so
    spelled); empty for about a third of the images.
    How to get it: ``equiderm fetch pad-ufes-20 DIR``, 3.6 GB.
    Known faults: ``biopsed`` gives the answer away, since every cancer was biopsied, and is not
    carried over; few melanomas.
    """
    import pandas as pd

    folder = Folder(directory, PAD_UFES_20.title)
    columns = ["patient_id", "lesion_id", "diagnostic", "fitspatrick", "img_id", "region"]
    table = folder.table("metadata.csv", columns=columns)
    table = with_columns(table, ["age", "gender"])
    label = PAD_UFES_20.targets(table["diagnostic"], target, premalignant)
    names = table["img_id"].str.replace(r"\.\w+$", "", regex=True)
    rows = pd.DataFrame(
        {
            "image_id": names,
            "diagnosis": table["diagnostic"],
            "patient_id": table["patient_id"],
            "lesion_id": table["patient_id"] + "_" + known_ids(table["lesion_id"]),
            "fitzpatrick_type": table["fitspatrick"],
            "rater": "clinician",
            "age": table["age"],
            "sex": table["gender"],
            "site": known(table["region"]),
            "modality": "clinical",
        }
    ).join(label)
    return reading(rows, folder.images(), folder, files=names, **PAD_UFES_20.constants)


PAD_UFES_20 = Release(
    name="pad-ufes-20",
    title="PAD-UFES-20",
    images=2298,
    patients=1373,
    bytes=3_592_712_972,
    licence="CC BY 4.0",
    purpose="smartphone photographs with skin type",
    page="https://data.mendeley.com/datasets/zr7vgbcyr2/1",
    citation="Pacheco et al. 2020, Data in Brief 32:106221",
    read=read_pad_ufes_20,
    labels={
        "MEL": "melanoma",
        "BCC": "malignant",
        "SCC": "malignant",
        "BOD": "malignant",
        "ACK": "premalignant",
        "NEV": "benign",
        "SEK": "benign",
    },
    # Sizes and SHA-256 as Mendeley Data publishes them for version 1.
    files=(
        RemoteFile(
            "metadata.csv",
            (f"{_FILES}fa850265-57da-48f0-ba3e-998b3e44b1f6/file_downloaded",),
            316_209,
            "sha256:14d145235cedb022548257acb0d84dcd949e2c916f65d2baa7c38ed5339e9527",
        ),
        RemoteFile(
            "imgs_part_1.zip",
            (f"{_FILES}1cc2f71f-20a2-412d-b746-a9b9bc20c966/file_downloaded",),
            1_245_184_680,
            "sha256:0ab44f60938bf57445e12f518a8878954cc734e6b0aec6d01194e2d26b4b2dca",
        ),
        RemoteFile(
            "imgs_part_2.zip",
            (f"{_FILES}559a60ed-5504-475d-996c-6a8bc253b5e7/file_downloaded",),
            1_126_646_990,
            "sha256:e2d9a3cbd58e823f5ae33163c48643e7d1b54ae3f9e145f01f8e9f16a363a60b",
        ),
        RemoteFile(
            "imgs_part_3.zip",
            (f"{_FILES}34dcdf8e-e5f1-4b35-aa0b-5135051ff852/file_downloaded",),
            1_220_565_093,
            "sha256:ecc4ef10143a43e1d01cb736773148607a78b530417eb76f2c38ad24bf5d0d2c",
        ),
    ),
)
