"""ISIC challenges whose tables name patients: 2020 and 2024."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.columns import known, number, truths, whole, with_columns
from equiderm.data.sources.archive import archive_rows
from equiderm.data.sources.isic import PAGE, challenge_files
from equiderm.data.sources.release import Folder, Reading, Release, Target, reading
from equiderm.errors import InputError
from equiderm.identity import stem

if TYPE_CHECKING:
    import pandas as pd


def read_isic2020(directory: Path, *, target: Target = "malignant") -> Reading:
    """Read ISIC 2020 (SIIM-ISIC): 33,126 dermoscopic images of 2,056 patients.

    Images: 33,126 training images; 584 malignant, every one a melanoma, so both targets agree.
    Patients: 2,056, with ids; lesion ids in version 2 of the table. Split by patient.
    Label: the owner's ``target``. For 27,124 benign images the diagnosis is ``unknown``.
    Skin type: none.
    How to get it: ``equiderm fetch isic2020 DIR``, 23 GB. The table of the Kaggle competition
    (``train.csv``) is read as well, and so is the Kaggle copy at 256 px
    (``jpeg-melanoma-256x256``, with an account).
    Known faults: 425 duplicate pairs in the owner's own list (in column ``duplicate_of`` here when
    the list is in the folder); a random split puts nearly every benign patient on both sides. The
    table of the Kaggle copy at 256 px has a column ``tfrecord``, -1 for 434 images; it is kept.
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
    if table["diagnosis"].isin(["NV", "MEL"]).any():  # the Kaggle copy of 2019 has this table, too
        raise InputError(f"{directory}: is ISIC 2019, not {ISIC2020.title}; read it as isic2019.")
    truth = table["benign_malignant"].str.lower()
    marked = _as_words(table["target"])
    if (wrong := (marked != truth).fillna(False)).any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(
            f"{ISIC2020.title}: row {row + 1} ({table['image_name'][row]}) has the target "
            f"{table['target'][row]} and is {truth[row]}; download the table again."
        )
    rows = pd.DataFrame(
        {
            "image_id": table["image_name"],
            "diagnosis": table["diagnosis"],
            "patient_id": table["patient_id"],
            "lesion_id": table["lesion_id"],
            "split": "train",
            "age": table["age_approx"],
            "sex": table["sex"],
            "site": known(table["anatom_site_general_challenge"]),
            "modality": "dermoscopic",
        }
    ).join(ISIC2020.targets(truth, target))
    pairs = folder.find("ISIC_2020_Training_Duplicates.csv")
    if pairs is not None:
        named = ["image_name_1", "image_name_2"]
        linked = folder.read(pairs, named)[named].apply(stem)
        rows["duplicate_of"] = stem(rows["image_id"]).map(_first_of_each(linked))
    if "tfrecord" in table:
        rows["tfrecord"] = whole(table["tfrecord"], -1, 1e9)
    files = table["image_name"]
    return reading(rows, folder.images(), folder, files=files, **ISIC2020.constants)


def _as_words(target: pd.Series) -> pd.Series:
    """Return benign for 0 and malignant for 1; anything else as it is."""
    plain = truths(target).str.replace(r"[.,]0+$", "", regex=True)
    return plain.replace({"0": "benign", "1": "malignant"})


def _first_of_each(pairs: pd.DataFrame) -> dict[str, str]:
    """Return, for each image of which another is named first, the first of those linked to it."""
    first: dict[str, str] = {}

    def of(name: str) -> str:
        while name in first:
            name = first[name]
        return name

    for one, other in pairs.dropna().itertuples(index=False):
        if of(one) != of(other):
            first[of(other)] = of(one)
    return {name: of(name) for name in first}


def read_isic2024(directory: Path) -> Reading:
    """Read ISIC 2024 (SLICE-3D): 401,059 crops from total-body photographs, 393 malignant.

    Images: 401,059 crops of 15 mm, 61 to 239 pixels wide, not dermoscopic.
    Patients: 1,042, with ids. Split by patient.
    Label: the owner's ``malignant`` (melanoma, basal and squamous cell carcinoma).
    Skin type: none. The camera's software measures the colour of the skin around each lesion
    (``tbp_lv_Lext``, ``tbp_lv_Aext``, ``tbp_lv_Bext``, CIELAB): where the table has them, they
    follow in their own columns and ``ita`` is computed from them. A proxy of tone, not a skin type.
    How to get it: ``equiderm fetch isic2024 DIR``, 1 GB; Kaggle's ``train-metadata.csv`` is read
    as well. Licence by image, in the table.
    Known faults: 1 malignant in 1,020; only suspicious lesions have a lesion id, which would give
    the answer away, so it is not carried over; nor are thickness and mitoses.
    """
    import pandas as pd

    folder = Folder(directory, ISIC2024.title)
    table = folder.table(
        "train-metadata.csv",
        "metadata.csv",
        columns=["isic_id", "patient_id"],
        also=["malignant", "target", *_AROUND],
    )
    for name in ("ISIC_2024_Training_GroundTruth.csv", "ISIC_2024_Training_Supplement.csv"):
        table = folder.beside(table, name, key="isic_id", also=["malignant", "iddx_full"])
    truth = "malignant" if "malignant" in table else "target"
    if truth not in table:
        raise folder.refusal("ISIC_2024_Training_GroundTruth.csv")
    words = _as_words(table[truth])
    rows = archive_rows(table.drop(columns="lesion_id", errors="ignore"))
    rows = rows.assign(modality="clinical", split="train")
    rows["diagnosis"] = table.get("iddx_full", pd.NA)
    rows = rows.assign(**_skin_around(table))
    rows = rows.join(ISIC2024.targets(words, "malignant"))
    files = table["isic_id"]
    return reading(rows, folder.images(), folder, files=files, source=ISIC2024.name)


_AROUND = ("tbp_lv_Lext", "tbp_lv_Aext", "tbp_lv_Bext")


def _skin_around(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the measured colour of the skin around the lesions, and the angle computed from it."""
    import pandas as pd

    from equiderm.tone.color import individual_typology_angle

    if any(column not in table for column in _AROUND):
        return {}
    lab = {column: number(table[column], -128, 128) for column in _AROUND}
    ita = pd.Series(individual_typology_angle(pd.DataFrame(lab).to_numpy()), index=table.index)
    method = pd.Series("tbp_lv_Lext and tbp_lv_Bext of the owner's table", index=table.index)
    return {**lab, "ita": ita, "tone_method": method.astype("string").where(ita.notna())}


ISIC2020 = Release(
    name="isic2020",
    title="ISIC 2020",
    images=33_126,
    patients=2056,
    bytes=23_000_000_000,
    licence="CC-BY-NC 4.0",
    purpose="training (Table 2)",
    page=PAGE + "#2020",
    citation="Rotemberg et al. 2021, Scientific Data 8:34, doi:10.34970/2020-ds01",
    read=read_isic2020,
    labels={"benign": "benign", "malignant": "melanoma"},
    files=challenge_files(
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
    page=PAGE + "#2024",
    citation="Kurtansky et al. 2024, Scientific Data 11:884, doi:10.34970/2024-slice-3d",
    read=read_isic2024,
    labels={"benign": "benign", "malignant": "malignant"},
    files=challenge_files(
        2024,
        "ISIC_2024_Training_GroundTruth.csv",
        "ISIC_2024_Training_Supplement.csv",
        "ISIC_2024_Training_Input.zip",
    ),
)
