"""MClass, the melanoma classification benchmark: 100 dermoscopic and 100 clinical images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from equiderm.data.sources.release import Folder, Label, Reading, Release, RemoteFile, reading

_SITE = "https://skinclass.de/MClass/"
_LABELS: dict[str, Label] = {"benign": "benign", "malign": "melanoma", "malignant": "melanoma"}


def read_mclass_d(directory: Path) -> Reading:
    """Read MClass-D: 100 dermoscopic test images, 20 melanomas, that 157 dermatologists judged.

    Images: 100, in the folders ``BenchmarkDermoscopic/benign`` and ``malign``.
    Patients: not published.
    Label: the folder; malign is melanoma, benign is nevus.
    Skin type: none.
    How to get it: ``equiderm fetch mclass-d DIR``.
    Known faults: the file names are ISIC archive ids, since the images are in the archive and in
    ISIC training sets, so take them out of training before you test on this set. With 20
    melanomas an AUROC has a wide interval.
    """
    return _read(directory, MCLASS_D, "BenchmarkDermoscopic", "dermoscopic")


def read_mclass_c(directory: Path) -> Reading:
    """Read MClass-C (MClass-ND): 100 clinical test images, 20 melanomas, judged by dermatologists.

    Images: 100, in the folders ``BenchmarkClinical/benign`` and ``malign``.
    Patients: not published.
    Label: the folder; malign is melanoma, benign is nevus.
    Skin type: none.
    How to get it: ``equiderm fetch mclass-c DIR``. The archive's name at its owner has no ending.
    Known faults: with 20 melanomas an AUROC has a wide interval.
    """
    return _read(directory, MCLASS_C, "BenchmarkClinical", "clinical")


def _read(directory: Path, release: Release, top: str, modality: str) -> Reading:
    import pandas as pd

    folder = Folder(directory, release.title)
    images = {
        stem: path
        for stem, path in folder.images().items()
        if path.parent.name.lower() in _LABELS and path.parent.parent.name == top
    }
    if not images:
        raise folder.refusal(f"images in {top}/benign and {top}/malign")
    words = pd.Series([path.parent.name.lower() for path in images.values()], dtype="string")
    names = pd.Series(list(images), dtype="string")
    rows = pd.DataFrame({"image_id": names, "diagnosis": words, "modality": modality})
    rows = rows.join(release.targets(words, "melanoma"))
    return reading(rows, images, folder, files=names, split="test", **release.constants)


def _release(title: str, read: Callable[[Path], Reading], file: RemoteFile) -> Release:
    return Release(
        name=title.lower(),
        title=title,
        images=100,
        licence="not stated",
        purpose="test (Table 2), beside dermatologists",
        page="https://skinclass.de/mclass/",
        citation="Brinker et al. 2019, European Journal of Cancer 111:30-37",
        read=read,
        labels=_LABELS,
        files=(file,),
    )


MCLASS_D = _release(
    "MClass-D", read_mclass_d, RemoteFile("MClass-D.zip", (f"{_SITE}MClass-D.zip",))
)
MCLASS_C = _release("MClass-C", read_mclass_c, RemoteFile("MClass-ND.zip", (f"{_SITE}MClass-ND",)))
