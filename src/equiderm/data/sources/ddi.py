"""Diverse Dermatology Images (DDI), Stanford."""

from __future__ import annotations

from pathlib import Path

from equiderm.data.sources.release import (
    Folder,
    Premalignant,
    Reading,
    Release,
    Target,
    reading,
    targets,
)


def read_ddi(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read DDI: 656 clinical images, pathology-proven, balanced over three groups of skin type.

    Images: 656.
    Patients: 570, no ids in the release.
    Label: the owner's ``malignant``, or melanoma in ``disease``; ``actinic-keratosis`` follows
    ``premalignant``.
    Skin type: two board-certified dermatologists with the visit's notes and photographs, in three
    groups: 12 (types 1 and 2), 34, 56. A group is no type, so ``fitzpatrick_type`` stays empty;
    the column ``fitzpatrick_group`` says 1-2, 3-4 or 5-6.
    How to get it: register at its page, unpack the download into DIR.
    Known faults: small groups: 171 malignant images in all.
    """
    import pandas as pd

    folder = Folder(directory, DDI.title)
    columns = ["DDI_file", "skin_tone", "malignant", "disease"]
    table = folder.table("ddi_metadata.csv", columns=columns)
    truth = table["malignant"].str.lower()
    melanoma = table["disease"].str.contains("melanoma", case=False).fillna(False)
    words = truth.mask(melanoma & (truth == "true").fillna(False), "melanoma")
    keratosis = table["disease"].str.contains("actinic.keratosis", case=False).fillna(False)
    words = words.mask(keratosis, "actinic keratosis")
    groups = table["skin_tone"].map({"12": "1-2", "34": "3-4", "56": "5-6"}).astype("string")
    names = table["DDI_file"].str.replace(r"\.\w+$", "", regex=True)
    rows = pd.DataFrame(
        {
            "image_id": names,
            "source": DDI.name,
            "diagnosis": table["disease"],
            "rater": "dermatologists",
            "modality": "clinical",
            "licence": DDI.licence,
            "fitzpatrick_group": groups,
        }
    ).join(targets(words, DDI.labels, target=target, premalignant=premalignant, title=DDI.title))
    return reading(rows, folder.images(), folder, files=names)


DDI = Release(
    name="ddi",
    title="DDI (Diverse Dermatology Images)",
    images=656,
    patients=570,
    bytes=None,
    licence="research agreement",
    purpose="test by skin type, to types 5 and 6",
    page="https://ddi-dataset.github.io/",
    citation="Daneshjou et al. 2022, Science Advances 8:eabq6147",
    read=read_ddi,
    labels={
        "true": "malignant",
        "false": "benign",
        "melanoma": "melanoma",
        "actinic keratosis": "premalignant",
    },
    by_hand=(
        "Register at https://stanfordaimi.azurewebsites.net/datasets/"
        "35866158-8196-48d8-87bf-50dca81df965, accept the agreement and unpack the download "
        "(ddi_metadata.csv and the images) into DIR."
    ),
)
