"""The Asan test set: clinical photographs from Seoul, sorted into folders by diagnosis."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

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


def read_asan(
    directory: Path,
    *,
    target: Target = "melanoma",
    premalignant: Premalignant = "benign",
    subset: Literal["all", "paper"] = "all",
) -> Reading:
    """Read the Asan test set: clinical images from South Korea, one folder per diagnosis.

    Images: the paper uses 852: nevus 235, seborrhoeic keratosis and lentigo 148, squamous cell
    carcinoma 122, dermatofibroma 116, basal cell carcinoma 110, actinic keratosis 62, melanoma 59.
    The release has further diagnoses (wart, haemangioma and others), which ``subset`` paper
    leaves out.
    Patients: not published.
    Label: the folder's name. Melanoma against the rest as in the paper, or malignant.
    Skin type: none; the people are from South Korea, which is not a skin type.
    How to get it: ``equiderm fetch asan DIR``.
    Known faults: thumbnails; the biopsied images are in a folder ``biopsy``.
    """
    import pandas as pd

    folder = Folder(directory, ASAN.title)
    images = {
        f"{path.parent.name}/{stem}": path
        for stem, path in folder.images().items()
        if (kind := _plain(path.parent.name)) in ASAN.labels
        and not (subset == "paper" and kind in _NOT_IN_PAPER)
    }
    if not images:
        raise folder.refusal("image folders such as malignantmelanoma and basalcellcarcinoma")
    words = pd.Series([_plain(path.parent.name) for path in images.values()], dtype="string")
    names = pd.Series(list(images), dtype="string")
    rows = pd.DataFrame({"image_id": names, "diagnosis": words, "modality": "clinical"})
    rows = rows.join(ASAN.targets(words, target, premalignant))
    return reading(rows, images, folder, files=names, split="test", **ASAN.constants)


def _plain(name: str) -> str:
    return re.sub("[^a-z]", "", name.lower())


_LABELS: dict[str, Label] = {
    "malignantmelanoma": "melanoma",
    "basalcellcarcinoma": "malignant",
    "squamouscellcarcinoma": "malignant",
    "intraepithelialcarcinoma": "malignant",
    "actinickeratosis": "premalignant",
    "dermatofibroma": "benign",
    "hemangioma": "benign",
    "lentigo": "benign",
    "melanocyticnevus": "benign",
    "pigmentednevus": "benign",
    "pyogenicgranuloma": "benign",
    "seborrheickeratosis": "benign",
    "wart": "benign",
}

_NOT_IN_PAPER = {"hemangioma", "intraepithelialcarcinoma", "pyogenicgranuloma", "wart"}

ASAN = Release(
    name="asan",
    title="Asan test set",
    licence="see its page",
    purpose="test (Table 2), clinical, 852 images used",
    page="https://doi.org/10.6084/m9.figshare.5406223",
    citation="Han et al. 2018, J. Investigative Dermatology 138:1529",
    read=read_asan,
    labels=_LABELS,
    files=(
        RemoteFile(
            "asan-test.zip",
            ("https://ndownloader.figshare.com/files/9328573",),
            listing="https://api.figshare.com/v2/articles/5406223/files",
        ),
    ),
)
