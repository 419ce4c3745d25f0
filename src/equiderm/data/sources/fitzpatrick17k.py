"""Fitzpatrick17k: clinical photographs of two atlases with skin types from two groups of raters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from equiderm.columns import known, number
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
from equiderm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["md5hash", "label", "nine_partition_label", "three_partition_label", "qc", "url"]
_MELANOMAS = ("lentigo maligna", "malignant melanoma", "melanoma", "superficial spreading melanoma")


def read_fitzpatrick17k(
    directory: Path,
    *,
    target: Target = "malignant",
    premalignant: Premalignant = "benign",
    rater: Literal["scale", "centaur"] = "scale",
    subset: Literal["all", "neoplastic", "cleaned"] = "all",
) -> Reading:
    """Read Fitzpatrick17k: 16,577 clinical photographs, 114 diagnoses, two human skin types each.

    Images: 16,577 rows, from dermaamin.com (12,631) and atlasdermatologico.com.br (3,905); 41 have
    no URL. Image files are named by ``md5hash`` or by ``url_alphanum``; both are found.
    Patients: not published, and one person may have several images.
    Label: the owner's ``three_partition_label`` (malignant; benign and non-neoplastic are 0), or
    melanoma among the 114 diagnoses. The owner counts actinic keratosis (175 images) as malignant;
    here it counts as benign, as in every other source, unless ``premalignant`` says otherwise.
    Skin type: judged from the photograph by annotators of Scale AI (``fitzpatrick_scale``) or
    Centaur Labs (``fitzpatrick_centaur``); they agree exactly on 47.9 % of the images, within one
    type on 91.0 %. ``rater`` chooses; both stay in the table. -1 is read as empty.
    Subset: ``neoplastic`` takes the rows that are not non-neoplastic, have a URL and a skin type,
    and are not ``3 Wrongly labelled`` in ``qc``: 4,311 (the paper's text says 4,316). ``cleaned``
    is Fitzpatrick17k-C (Abhishek, Jain and Hamarneh 2025): the rows that its authors' list keeps
    after removing duplicates and images without skin, in their split. Put that list,
    ``Fitzpatrick17k-C.csv`` (doi:10.5281/zenodo.11101337), into DIR; its columns ``md5hash`` and
    ``partition`` are as public code reads them.
    How to get it: ``equiderm fetch fitzpatrick17k DIR`` gets the label table; the images are given
    on request by the form on its page, put them into DIR/images.
    Known faults: the licence is that of the labels, the images belong to the two atlases; most
    URLs are dead; ``qc`` calls 17 rows wrongly labelled; others found off-topic images,
    near-duplicates and label errors (CleanPatrick, arXiv:2505.11034).
    """
    import pandas as pd

    folder = Folder(directory, FITZPATRICK17K.title)
    optional = ["fitzpatrick", "fitzpatrick_scale", "fitzpatrick_centaur", "url_alphanum"]
    table = folder.table("fitzpatrick17k.csv", columns=_COLUMNS, also=optional)
    skin = _skin_types(table, rater)
    if subset == "neoplastic":
        kept = neoplastic(table) & skin.notna()
        table, skin = table[kept].reset_index(drop=True), skin[kept].reset_index(drop=True)
    part = pd.Series(pd.NA, index=table.index, dtype="string")
    if subset == "cleaned":
        part = table["md5hash"].map(_cleaned(folder))
        kept = part.notna()
        table, skin = table[kept].reset_index(drop=True), skin[kept].reset_index(drop=True)
        part = part[kept].reset_index(drop=True)
    words, names = table["three_partition_label"].str.lower(), table["label"].str.lower()
    melanoma = names.str.startswith(_MELANOMAS).fillna(False)
    melanoma &= (words == "malignant").fillna(False)
    label = words.mask(melanoma, "melanoma")
    label = label.mask((names == "actinic keratosis").fillna(False), "actinic keratosis")
    images = folder.images()
    rows = pd.DataFrame(
        {
            "image_id": table["md5hash"],
            "diagnosis": table["label"],
            "fitzpatrick_type": skin,
            "rater": _RATERS[rater],
            "modality": "clinical",
            "split": part,
        }
    ).join(FITZPATRICK17K.targets(label, target, premalignant))
    further = ["fitzpatrick_scale", "fitzpatrick_centaur", *_COLUMNS[2:]]
    rows = rows.join(table[[column for column in further if column in table]])
    files = _file_names(table, images)
    return reading(rows, images, folder, files=files, **FITZPATRICK17K.constants)


def _cleaned(folder: Folder) -> pd.Series:
    """Return the split of each image that Fitzpatrick17k-C keeps, by its hash."""
    path = folder.find("Fitzpatrick17k-C.csv") or folder.find_dated("SimThresh_T_A2_T")
    if path is None:
        raise folder.refusal("Fitzpatrick17k-C.csv (columns md5hash, partition)")
    names = {"valid": "validation", "val": "validation"}
    return folder.values(path, "md5hash", "partition").str.lower().replace(names)


def neoplastic(table: pd.DataFrame) -> pd.Series:
    """Return which rows of the label table are the paper's neoplastic subset, skin type aside."""
    return (
        (table["three_partition_label"] != "non-neoplastic")
        & known(table["url"]).notna()
        & (table["qc"].fillna("") != "3 Wrongly labelled")
    )


def _skin_types(table: pd.DataFrame, rater: str) -> pd.Series:
    column = f"fitzpatrick_{rater}"
    if column not in table and rater == "scale":
        column = "fitzpatrick"  # its name in the first version of the table
    if column not in table:
        raise InputError(f"fitzpatrick17k.csv: has no column {column}; get the current table.")
    skin = number(table[column], 1, 6)
    return skin.where(skin % 1 == 0).astype("Int64")


def _file_names(table: pd.DataFrame, images: dict[str, Path]) -> pd.Series:
    """Return each row's file: the hash, or the URL without punctuation if that file is there."""
    names = table["md5hash"]
    if "url_alphanum" in table:
        by_url = table["url_alphanum"].str.replace(r"\.\w+$", "", regex=True)
        names = names.where(names.isin(list(images)) | ~by_url.isin(list(images)), by_url)
    return names


_RATERS = {"scale": "Scale AI annotators", "centaur": "Centaur Labs annotators"}
_LABELS: dict[str, Label] = {
    "melanoma": "melanoma",
    "malignant": "malignant",
    "actinic keratosis": "premalignant",
    "benign": "benign",
    "non-neoplastic": "benign",
}

FITZPATRICK17K = Release(
    name="fitzpatrick17k",
    title="Fitzpatrick17k",
    images=16_577,
    licence="CC BY-NC-SA 3.0",
    purpose="training, test and tone labels (section 4)",
    page="https://github.com/mattgroh/fitzpatrick17k",
    citation="Groh et al. 2021, CVPR Workshops, arXiv:2104.09957",
    read=read_fitzpatrick17k,
    labels=_LABELS,
    files=(
        RemoteFile(
            "fitzpatrick17k.csv",
            ("https://raw.githubusercontent.com/mattgroh/fitzpatrick17k/main/fitzpatrick17k.csv",),
        ),
    ),
    by_hand=(
        "Ask for the images by the form https://forms.gle/4fS35Kg8x9pkG2Bn9 (most of the original "
        "URLs are dead) and put them into DIR/images, named by md5hash or url_alphanum."
    ),
)
