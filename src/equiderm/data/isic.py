"""The challenges of the International Skin Imaging Collaboration: 2017 to 2020, and 2024.

Challenge years share photographs: 2019 contains 2018, which is HAM10000, and many of 2017. The
``image_id`` is the archive's own (``ISIC_0000000``) in all of them, so that they can be compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.data.archive import archive_rows
from equiderm.data.release import (
    Folder,
    Label,
    Premalignant,
    Reading,
    Release,
    RemoteFile,
    Target,
    known,
    number,
    one_hot,
    reading,
    sex,
    targets,
    with_columns,
)

if TYPE_CHECKING:
    import pandas as pd

_HOSTS = (
    "https://isic-archive.s3.amazonaws.com/challenges",
    "https://isic-challenge-data.s3.amazonaws.com",
)
_PAGE = "https://challenge.isic-archive.com/data/"


def _files(year: int, *names: str) -> tuple[RemoteFile, ...]:
    return tuple(RemoteFile(n, tuple(f"{host}/{year}/{n}" for host in _HOSTS)) for n in names)


def read_isic2017(directory: Path, *, target: Target = "malignant") -> Reading:
    """Read ISIC 2017: 2,750 dermoscopic images in the official split, no patient ids.

    Images: 2,000 training, 150 validation and 600 test; 521 melanomas, 386 seborrhoeic keratoses.
    Patients: not published; two images of one person cannot be kept together.
    Label: the two columns of the Part 3 truth; neither means nevus. Melanoma is the only
    malignant diagnosis, so both targets agree.
    Skin type: none.
    How to get it: ``equiderm fetch isic2017 DIR``, 12 GB.
    Known faults: the image folders hold a ``_superpixels.png`` beside every photograph (passed
    over here); many images are in ISIC 2019 as well, and in MClass-D.
    """
    import pandas as pd

    folder = Folder(directory, ISIC2017.title)
    tables: list[pd.DataFrame] = []
    for part, split in (("Training", "train"), ("Validation", "validation"), ("Test_v2", "test")):
        truth = folder.find(f"ISIC-2017_{part}_Part3_GroundTruth.csv")
        if truth is None:
            continue
        table = folder.read(truth, ["image_id", "melanoma", "seborrheic_keratosis"])
        people = folder.find(f"ISIC-2017_{part}_Data_metadata.csv")
        if people is not None:
            wanted = ["image_id", "age_approximate", "sex"]
            table = table.merge(folder.read(people, wanted)[wanted], on="image_id", how="left")
        tables.append(table.assign(split=split))
    if not tables:
        raise folder.refusal("ISIC-2017_Training_Part3_GroundTruth.csv")
    table = with_columns(pd.concat(tables, ignore_index=True), ["age_approximate", "sex"])
    classes = ["melanoma", "seborrheic_keratosis"]
    table["nevus"] = (table[classes].apply(pd.to_numeric) == 0).all(axis=1).astype(int)
    diagnosis = one_hot(table, ["melanoma", "seborrheic_keratosis", "nevus"], ISIC2017.title)
    rows = pd.DataFrame(
        {
            "image_id": table["image_id"],
            "diagnosis": diagnosis,
            "split": table["split"],
            "age": number(table["age_approximate"], 0, 120),
            "sex": sex(table["sex"]),
        }
    ).join(targets(diagnosis, ISIC2017.labels, target=target, title=ISIC2017.title))
    images = folder.images(skip="_superpixels")
    return reading(rows, images, folder, files=rows["image_id"], **_constants(ISIC2017))


def read_isic2018(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read ISIC 2018, task 3: HAM10000 as training set, with 193 validation and 1,512 test images.

    Images: 10,015 training (the whole of HAM10000), 193 validation, 1,512 test.
    Patients: not published; the training set has lesion ids (7,470 lesions).
    Label: seven classes; AKIEC mixes actinic keratosis with Bowen's disease, a carcinoma in situ,
    and counts as benign unless ``premalignant`` says otherwise.
    Skin type: none.
    How to get it: ``equiderm fetch isic2018 DIR``, 3 GB.
    Known faults: 2,545 photographs show a lesion for the second time or more; the lesion table's
    ``diagnosis_confirm_type`` gives the answer away and is not carried over.
    """
    return _seven_classes(directory, ISIC2018, target, premalignant)


def read_isic2019(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read ISIC 2019: 25,331 dermoscopic training images from Vienna, Barcelona and New York.

    Images: 25,331 training; the test set's 8,238 where its truth is in the folder.
    Patients: not published; lesion ids for most images.
    Label: eight classes and UNK (not known, target empty). AK is actinic keratosis and counts as
    benign unless ``premalignant`` says otherwise; SCC includes Bowen's disease.
    Skin type: none.
    How to get it: ``equiderm fetch isic2019 DIR``, 9 GB.
    Known faults: contains ISIC 2018 (HAM10000) and overlaps BCN20000; 2,074 images are named
    ``_downsampled``: the same photographs as in the archive, smaller (the suffix is dropped from
    ``image_id``, so that they are recognised).
    """
    return _seven_classes(directory, ISIC2019, target, premalignant)


def _seven_classes(
    directory: Path, release: Release, target: Target, premalignant: Premalignant
) -> Reading:
    import pandas as pd

    stem = {"isic2018": "ISIC2018_Task3_", "isic2019": "ISIC_2019_"}[release.name]
    folder = Folder(directory, release.title)
    classes = list(release.labels)
    tables: list[pd.DataFrame] = []
    for part, split in (("Training", "train"), ("Validation", "validation"), ("Test", "test")):
        truth = folder.find(f"{stem}{part}_GroundTruth.csv")
        if truth is not None:
            table = folder.read(truth, ["image", *classes])
            table = table[["image", *classes]].assign(split=split)
            tables.append(_beside(folder, table, f"{stem}{part}_Metadata.csv"))
    if not tables:
        raise folder.refusal(f"{stem}Training_GroundTruth.csv")
    table = _beside(
        folder, pd.concat(tables, ignore_index=True), f"{stem}Training_LesionGroupings.csv"
    )
    wanted = ["lesion_id", "age_approx", "sex", "anatom_site_general"]
    table = with_columns(table, wanted)
    diagnosis = one_hot(table, classes, release.title)
    label = targets(
        diagnosis, release.labels, target=target, premalignant=premalignant, title=release.title
    )
    rows = pd.DataFrame(
        {
            "image_id": table["image"].str.removesuffix("_downsampled"),
            "diagnosis": diagnosis,
            "lesion_id": table["lesion_id"],
            "split": table["split"],
            "age": number(table["age_approx"], 0, 120),
            "sex": sex(table["sex"]),
            "site": known(table["anatom_site_general"]),
        }
    ).join(label)
    return reading(rows, folder.images(), folder, files=table["image"], **_constants(release))


def _beside(folder: Folder, table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Join the lesion, age, sex and site of another table of the folder, where it is there."""
    path = folder.find(name)
    if path is None:
        return table
    other = folder.read(path, ["image"])
    wanted = ["image", "lesion_id", "age_approx", "sex", "anatom_site_general"]
    return table.merge(other[[c for c in wanted if c in other]], on="image", how="left")


def read_isic2020(directory: Path, *, target: Target = "malignant") -> Reading:
    """Read ISIC 2020 (SIIM-ISIC): 33,126 dermoscopic images of 2,056 patients.

    Images: 33,126 training images; 584 malignant, every one a melanoma, so both targets agree.
    Patients: 2,056, with ids; lesion ids in version 2 of the table. Split by patient.
    Label: the owner's ``target``. For 27,124 benign images the diagnosis is ``unknown``.
    Skin type: none.
    How to get it: ``equiderm fetch isic2020 DIR``, 23 GB. The table of the Kaggle competition
    (``train.csv``) is read as well.
    Known faults: 425 duplicate pairs in the owner's own list (in column ``duplicate_of`` here when
    the list is in the folder); a random split puts nearly every benign patient on both sides.
    """
    import pandas as pd

    folder = Folder(directory, ISIC2020.title)
    table = folder.table(
        "ISIC_2020_Training_GroundTruth_v2.csv",
        "ISIC_2020_Training_GroundTruth.csv",
        "train.csv",
        columns=["image_name", "patient_id", "benign_malignant", "target"],
    )
    wanted = ["lesion_id", "sex", "age_approx", "anatom_site_general_challenge", "diagnosis"]
    table = with_columns(table, wanted)
    truth = table["benign_malignant"].rename("diagnosis")
    rows = pd.DataFrame(
        {
            "image_id": table["image_name"],
            "diagnosis": table["diagnosis"],
            "patient_id": table["patient_id"],
            "lesion_id": table["lesion_id"],
            "split": "train",
            "age": number(table["age_approx"], 0, 120),
            "sex": sex(table["sex"]),
            "site": known(table["anatom_site_general_challenge"]),
        }
    ).join(targets(truth, ISIC2020.labels, target=target, title=ISIC2020.title))
    pairs = folder.find("ISIC_2020_Training_Duplicates.csv")
    if pairs is not None:
        pair = folder.read(pairs, ["image_name_1", "image_name_2"]).drop_duplicates("image_name_2")
        rows["duplicate_of"] = rows["image_id"].map(pair.set_index("image_name_2")["image_name_1"])
    files = table["image_name"]
    return reading(rows, folder.images(), folder, files=files, **_constants(ISIC2020))


def read_isic2024(directory: Path) -> Reading:
    """Read ISIC 2024 (SLICE-3D): 401,059 crops from total-body photographs, 393 malignant.

    Images: 401,059 crops of 15 mm, 61 to 239 pixels wide, not dermoscopic.
    Patients: 1,042, with ids. Split by patient.
    Label: the owner's ``malignant`` (melanoma, basal and squamous cell carcinoma).
    Skin type: none; the table's ``tbp_lv_*`` colours are measured, and not carried over.
    How to get it: ``equiderm fetch isic2024 DIR``, 1 GB; Kaggle's ``train-metadata.csv`` is read
    as well. Licence by image, in the table.
    Known faults: 1 malignant in 1,020; only suspicious lesions have a lesion id, which would give
    the answer away, so it is not carried over; nor are thickness and mitoses.
    """
    import pandas as pd

    folder = Folder(directory, ISIC2024.title)
    table = folder.table("train-metadata.csv", "metadata.csv", columns=["isic_id", "patient_id"])
    for name in ("ISIC_2024_Training_GroundTruth.csv", "ISIC_2024_Training_Supplement.csv"):
        path = folder.find(name)
        if path is not None:
            other = folder.read(path, ["isic_id"])
            new = ["isic_id", *(c for c in ("malignant", "iddx_full") if c in other)]
            table = table.merge(other[new], on="isic_id", how="left", suffixes=("", "_again"))
    truth = "malignant" if "malignant" in table else "target"
    if truth not in table:
        raise folder.refusal("ISIC_2024_Training_GroundTruth.csv")
    words = number(table[truth], 0, 1).map({0.0: "benign", 1.0: "malignant"}).astype("string")
    rows = archive_rows(table.drop(columns="lesion_id", errors="ignore"))
    rows = rows.assign(modality="clinical", split="train")
    rows["diagnosis"] = table.get("iddx_full", pd.NA)
    rows = rows.join(targets(words, ISIC2024.labels, target="malignant", title=ISIC2024.title))
    files = table["isic_id"]
    return reading(rows, folder.images(), folder, files=files, source=ISIC2024.name)


def _constants(release: Release) -> dict[str, str]:
    return {"source": release.name, "modality": "dermoscopic", "licence": release.licence}


_SEVEN: dict[str, Label] = {
    "MEL": "melanoma",
    "NV": "benign",
    "BCC": "malignant",
    "AKIEC": "premalignant",
    "BKL": "benign",
    "DF": "benign",
    "VASC": "benign",
}
_HAM = "Tschandl et al. 2018, Scientific Data 5:180161"

ISIC2017 = Release(
    name="isic2017",
    title="ISIC 2017",
    images=2750,
    patients=None,
    bytes=12_000_000_000,
    licence="CC0",
    purpose="training (Table 2)",
    page=_PAGE + "#2017",
    citation="Codella et al. 2018, ISBI, arXiv:1710.05006",
    read=read_isic2017,
    labels={"melanoma": "melanoma", "seborrheic_keratosis": "benign", "nevus": "benign"},
    files=_files(
        2017,
        "ISIC-2017_Training_Part3_GroundTruth.csv",
        "ISIC-2017_Validation_Part3_GroundTruth.csv",
        "ISIC-2017_Test_v2_Part3_GroundTruth.csv",
        "ISIC-2017_Training_Data.zip",
        "ISIC-2017_Validation_Data.zip",
        "ISIC-2017_Test_v2_Data.zip",
    ),
)
ISIC2018 = Release(
    name="isic2018",
    title="ISIC 2018 task 3",
    images=11_720,
    patients=None,
    bytes=3_000_000_000,
    licence="CC-BY-NC",
    purpose="tuning (Table 2)",
    page=_PAGE + "#2018",
    citation=f"Codella et al. 2019, arXiv:1902.03368; {_HAM}",
    read=read_isic2018,
    labels=_SEVEN,
    files=_files(
        2018,
        "ISIC2018_Task3_Training_LesionGroupings.csv",
        "ISIC2018_Task3_Training_GroundTruth.zip",
        "ISIC2018_Task3_Training_Input.zip",
        "ISIC2018_Task3_Validation_GroundTruth.zip",
        "ISIC2018_Task3_Validation_Input.zip",
        "ISIC2018_Task3_Test_GroundTruth.zip",
        "ISIC2018_Task3_Test_Input.zip",
    ),
)
ISIC2019 = Release(
    name="isic2019",
    title="ISIC 2019",
    images=25_331,
    patients=None,
    bytes=9_000_000_000,
    licence="CC-BY-NC",
    purpose="training",
    page=_PAGE + "#2019",
    citation=f"{_HAM}; Codella et al. 2018, arXiv:1710.05006; Combalia et al. 2019, "
    "arXiv:1908.02288",
    read=read_isic2019,
    labels={
        **{key: _SEVEN[key] for key in ("MEL", "NV", "BCC")},
        "AK": "premalignant",
        **{key: _SEVEN[key] for key in ("BKL", "DF", "VASC")},
        "SCC": "malignant",
        "UNK": "unknown",
    },
    files=_files(
        2019,
        "ISIC_2019_Training_GroundTruth.csv",
        "ISIC_2019_Training_Metadata.csv",
        "ISIC_2019_Training_Input.zip",
    ),
)
ISIC2020 = Release(
    name="isic2020",
    title="ISIC 2020",
    images=33_126,
    patients=2056,
    bytes=23_000_000_000,
    licence="CC-BY-NC 4.0",
    purpose="training (Table 2)",
    page=_PAGE + "#2020",
    citation="Rotemberg et al. 2021, Scientific Data 8:34, doi:10.34970/2020-ds01",
    read=read_isic2020,
    labels={"benign": "benign", "malignant": "melanoma"},
    files=_files(
        2020,
        "ISIC_2020_Training_GroundTruth_v2.csv",
        "ISIC_2020_Training_Duplicates.csv",
        "ISIC_2020_Training_JPEG.zip",
    ),
)
ISIC2024 = Release(
    name="isic2024",
    title="ISIC 2024 (SLICE-3D)",
    images=401_059,
    patients=1042,
    bytes=1_200_000_000,
    licence="CC-BY-NC 4.0",
    purpose="total-body photographs",
    page=_PAGE + "#2024",
    citation="Kurtansky et al. 2024, Scientific Data 11:884, doi:10.34970/2024-slice-3d",
    read=read_isic2024,
    labels={"benign": "benign", "malignant": "malignant"},
    files=_files(
        2024,
        "ISIC_2024_Training_GroundTruth.csv",
        "ISIC_2024_Training_Supplement.csv",
        "ISIC_2024_Training_Input.zip",
    ),
)
