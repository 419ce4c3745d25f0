"""HAM10000, as Harvard Dataverse and its mirrors ship it."""

from __future__ import annotations

from pathlib import Path

from equiderm.columns import known
from equiderm.data.sources.release import (
    Folder,
    Premalignant,
    Reading,
    Release,
    RemoteFile,
    Target,
    reading,
)

TABLE = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")
_FILE = "https://dataverse.harvard.edu/api/access/datafile/"
_LISTING = (
    "https://dataverse.harvard.edu/api/datasets/:persistentId/versions/:latest-published/files"
    "?persistentId=doi:10.7910/DVN/DBW86T"
)


def read_ham10000(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read HAM10000: 10,015 dermoscopic images of 7,470 lesions from Vienna and Queensland.

    Images: 10,015, of 600 x 450 pixels.
    Patients: not published; split by ``lesion_id``.
    Label: seven classes in ``dx``; akiec mixes actinic keratosis with Bowen's disease, a carcinoma
    in situ, and counts as benign unless ``premalignant`` says otherwise.
    Skin type: none; hardly any dark skin.
    How to get it: ``equiderm fetch ham10000 DIR``, 3 GB.
    Known faults: 2,545 photographs show a lesion for the second time or more; ``dx_type`` gives
    the answer away (histology where cancer was suspected) and is not carried over; it is the
    training set of ISIC 2018 and part of ISIC 2019; one mirror ships every image twice.
    """
    import pandas as pd

    folder = Folder(directory, HAM10000.title)
    table = folder.table(
        *TABLE, columns=["lesion_id", "image_id", "dx", "age", "sex", "localization"]
    )
    label = HAM10000.targets(table["dx"], target, premalignant)
    rows = pd.DataFrame(
        {
            "image_id": table["image_id"],
            "diagnosis": table["dx"],
            "lesion_id": table["lesion_id"],
            "age": table["age"],
            "sex": table["sex"],
            "site": known(table["localization"]),
            "modality": "dermoscopic",
        }
    ).join(label)
    return reading(rows, folder.images(), folder, files=table["image_id"], **HAM10000.constants)


HAM10000 = Release(
    name="ham10000",
    title="HAM10000",
    images=10_015,
    bytes=2_800_000_000,
    licence="CC BY-NC 4.0",
    purpose="training; skin tone by ITA",
    page="https://doi.org/10.7910/DVN/DBW86T",
    citation="Tschandl, Rosendahl and Kittler 2018, Scientific Data 5:180161",
    read=read_ham10000,
    labels={
        "mel": "melanoma",
        "nv": "benign",
        "bcc": "malignant",
        "akiec": "premalignant",
        "bkl": "benign",
        "df": "benign",
        "vasc": "benign",
    },
    files=(
        RemoteFile("HAM10000_metadata.csv", (f"{_FILE}4338392?format=original",)),
        RemoteFile("HAM10000_images_part_1.zip", (f"{_FILE}3172585",), listing=_LISTING),
        RemoteFile("HAM10000_images_part_2.zip", (f"{_FILE}3172584",), listing=_LISTING),
    ),
)
