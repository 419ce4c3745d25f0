"""The Interactive Atlas of Dermoscopy, as the seven-point criteria database (derm7pt) ships it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.columns import known, known_ids, number
from equiderm.data.sources.release import Folder, Label, Reading, Release, Target, reading
from equiderm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def read_atlas(directory: Path, *, target: Target = "melanoma") -> Reading:
    """Read the Interactive Atlas of Dermoscopy (derm7pt): 1,011 cases, two images each.

    Images: 2,022: per case a dermoscopic image (``derm``) and a clinical one (``clinic``).
    The paper says 1,000 cases; the release has 1,011, 252 of them melanoma.
    Patients: not published; a case is one lesion, and ``lesion_id`` is its case number.
    Label: melanoma against the rest, as in the paper; with target malignant, basal cell carcinoma
    is 1 as well.
    Skin type: none.
    Split: the owner's train, valid and test indexes.
    How to get it: register at its page, put ``release_v0.zip`` into DIR and unpack it.
    Known faults: ``management`` gives the answer away (excision) and is not carried over; file
    names differ from the table in upper and lower case. No case occurs twice (where a mirror's
    table repeats a case number, the repetition is left out, with a note).
    """
    import pandas as pd

    folder = Folder(directory, ATLAS.title)
    table = folder.table(
        "meta.csv", columns=["case_num", "diagnosis", "location", "derm", "clinic"], also=["sex"]
    )
    table["split"] = _splits(folder, len(table))
    table["case_num"] = known_ids(table["case_num"])
    repeated = table.duplicated("case_num")
    notes = [f"case {n}: repeated in meta.csv, left out" for n in table.loc[repeated, "case_num"]]
    table = table[~repeated].reset_index(drop=True)
    if not number(table["case_num"], 0, 1e9).is_monotonic_increasing:  # the indexes count rows
        table["split"] = pd.NA
        notes.append("meta.csv is not in the order of its case numbers: the owner's split is lost")
    images = {f"{path.parent.name}/{stem}".lower(): path for stem, path in folder.images().items()}
    label = ATLAS.targets(table["diagnosis"], target)
    parts: list[pd.DataFrame] = []
    for column, modality in (("derm", "dermoscopic"), ("clinic", "clinical")):
        part = pd.DataFrame(
            {
                "image_id": "case" + table["case_num"] + "-" + modality,
                "diagnosis": table["diagnosis"],
                "lesion_id": table["case_num"],
                "split": table["split"],
                "sex": table.get("sex", pd.NA),
                "site": known(table["location"]),
                "modality": modality,
            }
        ).join(label)
        part["file"] = table[column].str.replace(r"\.\w+$", "", regex=True).str.lower()
        parts.append(part)
    rows = pd.concat(parts, ignore_index=True)
    files = rows.pop("file")
    return reading(rows, images, folder, files=files, notes=notes, **ATLAS.constants)


def _splits(folder: Folder, n: int) -> pd.Series:
    """Return the owner's split of each row; its files list row numbers from 0."""
    import pandas as pd

    split = pd.Series(pd.NA, index=range(n), dtype="string")
    names = (("train", "train"), ("valid", "validation"), ("test", "test"))
    for name, word in names:
        path = folder.find(f"{name}_indexes.csv")
        if path is not None:
            listed = number(folder.read(path, ["indexes"])["indexes"], 0, n - 1)
            if listed.isna().any():
                row = int(listed.isna().to_numpy().argmax())
                raise InputError(
                    f"{path}: line {row + 2} names no row of meta.csv; get the release again."
                )
            split[split.index.isin(listed.astype(int))] = word
    return split


_BENIGN = (
    *("blue nevus", "clark nevus", "combined nevus", "congenital nevus", "dermal nevus"),
    *("recurrent nevus", "reed or spitz nevus", "dermatofibroma", "lentigo", "melanosis"),
    *("miscellaneous", "seborrheic keratosis", "vascular lesion"),
)
_MELANOMA = (
    *("melanoma", "melanoma (in situ)", "melanoma (less than 0.76 mm)"),
    *("melanoma (0.76 to 1.5 mm)", "melanoma (more than 1.5 mm)", "melanoma metastasis"),
)
_LABELS: dict[str, Label] = {
    **dict.fromkeys(_MELANOMA, "melanoma"),
    "basal cell carcinoma": "malignant",
    **dict.fromkeys(_BENIGN, "benign"),
}

ATLAS = Release(
    name="atlas",
    title="Interactive Atlas of Dermoscopy (derm7pt release_v0)",
    images=2022,
    licence="research agreement",
    purpose="test (Table 2), dermoscopic and clinical",
    page="https://derm.cs.sfu.ca/",
    citation="Kawahara et al. 2019, IEEE J. Biomedical and Health Informatics 23:538; Lio and "
    "Nghiem 2004, J. American Academy of Dermatology 50:807",
    read=read_atlas,
    labels=_LABELS,
    by_hand="Register at https://derm.cs.sfu.ca/, download release_v0.zip and unpack it into DIR.",
)
