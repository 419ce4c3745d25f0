"""The challenges of the International Skin Imaging Collaboration: 2017 to 2019.

Challenge years share photographs: 2019 contains 2018, which is HAM10000, and many of 2017. The
``image_id`` is the archive's own (``ISIC_0000000``) in all of them, so that they can be compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.columns import known, number, one_hot, whole, with_columns
from equiderm.data.sources.ham10000 import HAM10000, TABLE
from equiderm.data.sources.release import (
    Folder,
    Label,
    Premalignant,
    Reading,
    Release,
    RemoteFile,
    Target,
    reading,
)
from equiderm.identity import stem

if TYPE_CHECKING:
    import pandas as pd

_HOSTS = (
    "https://isic-archive.s3.amazonaws.com/challenges",
    "https://isic-challenge-data.s3.amazonaws.com",
)
PAGE = "https://challenge.isic-archive.com/data/"


def challenge_files(year: int, *names: str) -> tuple[RemoteFile, ...]:
    """Return the files of a challenge year, each at both of the owner's hosts."""
    return tuple(RemoteFile(n, tuple(f"{host}/{year}/{n}" for host in _HOSTS)) for n in names)


def read_isic2017(directory: Path, *, target: Target = "malignant") -> Reading:
    """Read ISIC 2017: 2,750 dermoscopic images in the official split, no patient ids.

    Images: 2,000 training, 150 validation and 600 test; 521 melanomas, 386 seborrhoeic keratoses.
    Patients: not published; two images of one person cannot be kept together.
    Label: the two columns of the Part 3 truth; neither means nevus. Melanoma is the only
    malignant diagnosis, so both targets agree.
    Skin type: none.
    How to get it: ``equiderm fetch isic2017 DIR``, 12 GB.
    Known faults: the image folders hold a ``_superpixels.png`` beside every photograph (skipped
    here); many images are in ISIC 2019 as well, and in MClass-D.
    """
    import pandas as pd

    folder = Folder(directory, ISIC2017.title)
    tables: list[pd.DataFrame] = []
    for part, split in (("Training", "train"), ("Validation", "validation"), ("Test_v2", "test")):
        truth = folder.find(f"ISIC-2017_{part}_Part3_GroundTruth.csv")
        if truth is None:
            continue
        table = folder.read(truth, ["image_id", "melanoma", "seborrheic_keratosis"])
        people, wanted = f"ISIC-2017_{part}_Data_metadata.csv", ["age_approximate", "sex"]
        table = folder.beside(table, people, key="image_id", columns=wanted)
        tables.append(table.assign(split=split))
    if not tables:
        raise folder.refusal("ISIC-2017_Training_Part3_GroundTruth.csv")
    table = with_columns(pd.concat(tables, ignore_index=True), ["age_approximate", "sex"])
    classes = ["melanoma", "seborrheic_keratosis"]
    marks = table[classes].apply(number, low=0, high=1)
    nevus = (marks == 0).all(axis=1).astype(int).astype("string")
    table["nevus"] = nevus.mask(marks.isna().any(axis=1))
    diagnosis = one_hot(table, ["melanoma", "seborrheic_keratosis", "nevus"], ISIC2017.title)
    rows = pd.DataFrame(
        {
            "image_id": table["image_id"],
            "diagnosis": diagnosis,
            "split": table["split"],
            "age": table["age_approximate"],
            "sex": table["sex"],
            "modality": "dermoscopic",
        }
    ).join(ISIC2017.targets(diagnosis, target))
    images = folder.images(skip="_superpixels")
    return reading(rows, images, folder, files=rows["image_id"], **ISIC2017.constants)


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
    return _one_hot_challenge(directory, ISIC2018, target, premalignant)


def read_isic2019(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read ISIC 2019: 25,331 dermoscopic training images from Vienna, Barcelona and New York.

    Images: 25,331 training; the test set's 8,238 where its truth is in the folder.
    Patients: not published; lesion ids for most images.
    Label: eight classes and UNK (not known, target empty). AK is actinic keratosis and counts as
    benign unless ``premalignant`` says otherwise; SCC includes Bowen's disease.
    Skin type: none.
    How to get it: ``equiderm fetch isic2019 DIR``, 9 GB. The Kaggle copy at 256 px
    (``jpeg-isic2019-256x256``, with an account) is read as well by its ``train.csv``: it names no
    lesions, and the size of each original is in column ``original_size`` here.
    Known faults: contains ISIC 2018 (HAM10000) and overlaps BCN20000; 2,074 images are named
    ``_downsampled``: the same photographs as in the archive, smaller (the suffix is dropped from
    ``image_id``, so that they are recognised).
    """
    folder = Folder(directory, ISIC2019.title)
    copy = folder.find("train.csv")
    if copy is not None and folder.find("ISIC_2019_Training_GroundTruth.csv") is None:
        return _kaggle_2019(folder, copy, target, premalignant)
    return _one_hot_challenge(directory, ISIC2019, target, premalignant)


def _kaggle_2019(folder: Folder, path: Path, target: Target, premalignant: Premalignant) -> Reading:
    import pandas as pd

    table = folder.read(path, ["image_name", "diagnosis", "tfrecord"])
    wanted = ["sex", "age_approx", "anatom_site_general_challenge", "width", "height"]
    table = with_columns(table, wanted)
    rows = pd.DataFrame(
        {
            "image_id": stem(table["image_name"]).str.removesuffix("_downsampled"),
            "diagnosis": table["diagnosis"],
            "split": "train",
            "age": table["age_approx"],
            "sex": table["sex"],
            "site": known(table["anatom_site_general_challenge"]),
            "modality": "dermoscopic",
            "original_size": table["width"] + "x" + table["height"],
            "tfrecord": whole(table["tfrecord"], -1, 1e9),
        }
    )
    rows = rows.join(ISIC2019.targets(rows["diagnosis"], target, premalignant))
    note = f"lesions are unknown: {path.name} of the Kaggle copy names none"
    files = table["image_name"]
    constants = ISIC2019.constants
    return reading(rows, folder.images(), folder, files=files, notes=[note], **constants)


def _one_hot_challenge(
    directory: Path, release: Release, target: Target, premalignant: Premalignant
) -> Reading:
    import pandas as pd

    start = {"isic2018": "ISIC2018_Task3_", "isic2019": "ISIC_2019_"}[release.name]
    folder = Folder(directory, release.title)
    classes = list(release.labels)
    wanted = ["lesion_id", "age_approx", "sex", "anatom_site_general"]
    tables: list[pd.DataFrame] = []
    for part, split in (("Training", "train"), ("Validation", "validation"), ("Test", "test")):
        truth = folder.find(f"{start}{part}_GroundTruth.csv")
        if truth is not None:
            table = folder.read(truth, ["image", *classes])
            table = table[["image", *classes]].assign(split=split)
            people = f"{start}{part}_Metadata.csv"
            tables.append(folder.beside(table, people, key="image", also=wanted))
    if not tables:
        raise folder.refusal(f"{start}Training_GroundTruth.csv")
    table, lesions = pd.concat(tables, ignore_index=True), f"{start}Training_LesionGroupings.csv"
    table = with_columns(folder.beside(table, lesions, key="image", also=wanted), wanted)
    table["lesion_id"], notes = _lesions(folder, table)
    diagnosis = one_hot(table, classes, release.title)
    rows = pd.DataFrame(
        {
            "image_id": stem(table["image"]).str.removesuffix("_downsampled"),
            "diagnosis": diagnosis,
            "lesion_id": table["lesion_id"],
            "split": table["split"],
            "age": table["age_approx"],
            "sex": table["sex"],
            "site": known(table["anatom_site_general"]),
            "modality": "dermoscopic",
        }
    ).join(release.targets(diagnosis, target, premalignant))
    files, constants = table["image"], release.constants
    return reading(rows, folder.images(), folder, files=files, notes=notes, **constants)


def _lesions(folder: Folder, table: pd.DataFrame) -> tuple[pd.Series, list[str]]:
    """Return the lesion of each image, from HAM10000's table where the challenge's is absent."""
    lesions = table["lesion_id"]
    if lesions.notna().any():
        return lesions, []
    note = "no table of lesions is in the folder: lesions are unknown"
    ham = folder.find(*TABLE)
    if ham is not None:
        names = stem(table["image"]).str.removesuffix("_downsampled")
        lesions = names.map(folder.values(ham, "image_id", "lesion_id")).astype("string")
        absent = int(lesions.isna().sum())
        note = f"lesions are those of {ham.name}"
        if not absent:
            return lesions, [note]
        note = f"{note}, unknown for {absent:,} images"
    return lesions, [f"{note}; photographs of one lesion may be in training and test alike"]


_SEVEN: dict[str, Label] = {name.upper(): label for name, label in HAM10000.labels.items()}
_HAM = "Tschandl et al. 2018, Scientific Data 5:180161"

ISIC2017 = Release(
    name="isic2017",
    title="ISIC 2017",
    images=2750,
    bytes=12_000_000_000,
    licence="CC0",
    purpose="training (Table 2)",
    page=PAGE + "#2017",
    citation="Codella et al. 2018, ISBI, arXiv:1710.05006",
    read=read_isic2017,
    labels={"melanoma": "melanoma", "seborrheic_keratosis": "benign", "nevus": "benign"},
    files=challenge_files(
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
    bytes=3_000_000_000,
    licence="CC-BY-NC",
    purpose="tuning (Table 2)",
    page=PAGE + "#2018",
    citation=f"Codella et al. 2019, arXiv:1902.03368; {_HAM}",
    read=read_isic2018,
    labels=_SEVEN,
    files=challenge_files(
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
    bytes=9_000_000_000,
    licence="CC-BY-NC",
    purpose="training",
    page=PAGE + "#2019",
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
    files=challenge_files(
        2019,
        "ISIC_2019_Training_GroundTruth.csv",
        "ISIC_2019_Training_Metadata.csv",
        "ISIC_2019_Training_Input.zip",
    ),
)
