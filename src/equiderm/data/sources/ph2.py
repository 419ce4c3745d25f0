"""PH2: 200 dermoscopic images from Porto, with segmentations and dermoscopic criteria."""

from __future__ import annotations

import io
from pathlib import Path

from equiderm.data.sources.release import Folder, Reading, Release, Target, reading
from equiderm.errors import InputError

_DIAGNOSES = {"0": "common nevus", "1": "atypical nevus", "2": "melanoma"}


def read_ph2(directory: Path, *, target: Target = "melanoma") -> Reading:
    """Read PH2: 200 dermoscopic images of moles, 40 of them melanoma.

    Images: 200; masks of lesion and colours beside them are skipped.
    Patients: not published.
    Label: the clinical diagnosis in ``PH2_dataset.txt``: 0 common nevus, 1 atypical nevus,
    2 melanoma. The histological diagnosis, which only 41 have, gives the answer away.
    Skin type: none.
    How to get it: ask at its page, unpack the archive into DIR.
    Known faults: one clinic, one camera, light skin. Columns as public code reads them, not from
    the owner's own file.
    """
    import pandas as pd

    folder = Folder(directory, PH2.title)
    path = folder.find("PH2_dataset.txt")
    if path is None:
        raise folder.refusal("PH2_dataset.txt (columns Name, Clinical Diagnosis)")
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    cells = [line.strip().strip("|").replace("||", "|") for line in lines if "|" in line]
    table = pd.read_csv(
        io.StringIO("\n".join(cells) or "empty"), sep="|", dtype="string", skipinitialspace=True
    )
    table.columns = table.columns.str.strip()
    for column in ("Name", "Clinical Diagnosis"):
        if column not in table:
            raise InputError(f"{path}: has no column {column}; is it PH2's own table?")
    table = table.apply(lambda column: column.str.strip())
    table = table[table["Name"].str.fullmatch(r"IMD\d+").fillna(False)].reset_index(drop=True)
    words = table["Clinical Diagnosis"].replace(_DIAGNOSES)
    images = {name: path for name, path in folder.images().items() if "_" not in name}
    rows = pd.DataFrame(
        {
            "image_id": table["Name"],
            "diagnosis": words,
            "modality": "dermoscopic",
        }
    ).join(PH2.targets(words, target))
    return reading(rows, images, folder, files=table["Name"], **PH2.constants)


PH2 = Release(
    name="ph2",
    title="PH2",
    images=200,
    licence="for research and education",
    purpose="small dermoscopic test",
    page="https://www.fc.up.pt/addi/ph2%20database.html",
    citation="Mendonça et al. 2013, EMBC, doi:10.1109/EMBC.2013.6610779",
    read=read_ph2,
    labels={"melanoma": "melanoma", "atypical nevus": "benign", "common nevus": "benign"},
    by_hand=(
        "Ask for it at https://www.fc.up.pt/addi/ph2%20database.html and unpack the archive into "
        "DIR."
    ),
)
