"""MILK10k: lesions with a clinical and a dermoscopic image each."""

from __future__ import annotations

from pathlib import Path

from equiderm.columns import known, one_hot, whole
from equiderm.data.sources.archive import archive_rows
from equiderm.data.sources.release import (
    Folder,
    Premalignant,
    Reading,
    Release,
    RemoteFile,
    Target,
    one_row_each,
    reading,
)

_S3 = "https://isic-archive.s3.amazonaws.com/challenges/milk10k/"


def read_milk10k(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read MILK10k: 5,240 lesions, each with a clinical close-up and a dermoscopic image.

    Images: 10,480.
    Patients: not published; ``lesion_id`` keeps the two images together.
    Label: eleven classes; BCC, MEL, SCCKA and MAL_OTH are malignant, AKIEC mixes actinic keratosis
    with carcinoma in situ and counts as benign unless ``premalignant`` says otherwise.
    The supplement's ``diagnosis_full``, which is finer, follows in its own column where
    ``MILK10k_Training_Supplement.csv`` is there; how it was confirmed is not carried over.
    Skin type: ``skin_tone_class`` from 0 (very dark) to 5 (very light): the reverse order of the
    Fitzpatrick scale, and no Fitzpatrick type, so ``fitzpatrick_type`` stays empty and the class
    follows in its own column. Lesions of class 0 to 5: 6, 105, 506, 3,174, 1,066, 383.
    How to get it: ``equiderm fetch milk10k DIR``, 0.3 GB. Licence by image, in the table.
    Known faults: hardly any dark skin; the ``MONET_*`` columns are a model's, not people's, and
    are not carried over.
    """
    folder = Folder(directory, MILK10K.title)
    classes = list(MILK10K.labels)
    truth = folder.table("MILK10k_Training_GroundTruth.csv", columns=["lesion_id", *classes])
    columns = ["lesion_id", "isic_id", "image_type", "skin_tone_class", "site"]
    table = folder.table("MILK10k_Training_Metadata.csv", columns=columns)
    truth = one_row_each(truth[["lesion_id", *classes]], "lesion_id", "the truth of MILK10k")
    diagnosis = one_hot(truth, classes, MILK10K.title).set_axis(truth["lesion_id"])
    words = table["lesion_id"].map(diagnosis).astype("string")
    label = MILK10K.targets(words, target, premalignant)
    rows = archive_rows(table).assign(diagnosis=words, site=known(table["site"])).join(label)
    rows["skin_tone_class"] = whole(table["skin_tone_class"], 0, 5)
    supplement = folder.find("MILK10k_Training_Supplement.csv")
    if supplement is not None:
        full = folder.values(supplement, "isic_id", "diagnosis_full")
        rows["diagnosis_full"] = table["isic_id"].map(full)
    files = table["isic_id"]
    constants = {"source": MILK10K.name, "split": "train"}
    return reading(rows, folder.images(), folder, files=files, **constants)


MILK10K = Release(
    name="milk10k",
    title="MILK10k",
    images=10_480,
    bytes=314_000_000,
    licence="by image",
    purpose="pairs, clinical and dermoscopic; tone class",
    page="https://challenge.isic-archive.com/landing/milk10k/",
    citation="Tschandl et al. 2025, J. Investigative Dermatology, doi:10.1016/j.jid.2025.06.1594; "
    "doi:10.34970/648456",
    read=read_milk10k,
    labels={
        "AKIEC": "premalignant",
        "BCC": "malignant",
        "BEN_OTH": "benign",
        "BKL": "benign",
        "DF": "benign",
        "INF": "benign",
        "MAL_OTH": "malignant",
        "MEL": "melanoma",
        "NV": "benign",
        "SCCKA": "malignant",
        "VASC": "benign",
    },
    files=tuple(
        RemoteFile(name, (f"{_S3}{name}",))
        for name in (
            "MILK10k_Training_GroundTruth.csv",
            "MILK10k_Training_Metadata.csv",
            "MILK10k_Training_Input.zip",
        )
    ),
)
