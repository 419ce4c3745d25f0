"""MED-NODE: clinical photographs of melanomas and moles from Groningen."""

from __future__ import annotations

from pathlib import Path

from equiderm.data.sources.release import Folder, Reading, Release, RemoteFile, Target, reading


def read_med_node(directory: Path, *, target: Target = "melanoma") -> Reading:
    """Read MED-NODE: 170 clinical photographs, 70 melanomas and 100 moles.

    Images: 170, close-ups, lesions filling most of the frame.
    Patients: not published.
    Label: the folder, ``melanoma`` or ``naevus``.
    Skin type: none.
    How to get it: ``equiderm fetch med-node DIR``; the address was seen in public code.
    Known faults: little healthy skin around the lesions, so tone estimates are poor; hair and
    glare; the same number may stand for an image in both folders, so ids carry the folder.
    """
    import pandas as pd

    folder = Folder(directory, MED_NODE.title)
    files = [
        path
        for paths in folder.images_by_path()
        for path in paths
        if path.parent.name.lower() in MED_NODE.labels
    ]
    if not files:
        raise folder.refusal("folders melanoma and naevus with images")
    files.sort(key=lambda path: (path.parent.name.lower(), path.name))
    words = pd.Series([path.parent.name.lower() for path in files], dtype="string")
    names = words + "/" + pd.Series([path.stem for path in files], dtype="string")
    rows = pd.DataFrame(
        {
            "image_id": names,
            "diagnosis": words,
            "modality": "clinical",
        }
    ).join(MED_NODE.targets(words, target))
    images = dict(zip(names, files, strict=True))
    return reading(rows, images, folder, files=names, **MED_NODE.constants)


MED_NODE = Release(
    name="med-node",
    title="MED-NODE",
    images=170,
    licence="not stated",
    purpose="small clinical test",
    page="https://www.cs.rug.nl/~imaging/databases/melanoma_naevi/",
    citation="Giotis et al. 2015, Expert Systems with Applications 42(19):6578-6585",
    read=read_med_node,
    labels={"melanoma": "melanoma", "naevus": "benign"},
    files=(
        RemoteFile(
            "complete_mednode_dataset.zip",
            (
                "https://www.cs.rug.nl/~imaging/databases/melanoma_naevi/"
                "complete_mednode_dataset.zip",
            ),
        ),
    ),
)
