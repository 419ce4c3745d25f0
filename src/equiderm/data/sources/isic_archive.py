"""The ISIC Archive itself: whatever its own tool, isic-cli, downloads."""

from __future__ import annotations

from pathlib import Path

from equiderm.columns import with_columns
from equiderm.data.sources.archive import ARCHIVE_LABELS, archive_labels, archive_rows
from equiderm.data.sources.release import (
    Folder,
    Premalignant,
    Reading,
    Release,
    Target,
    reading,
    targets,
)


def read_isic_archive(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read images of the ISIC Archive with the ``metadata.csv`` that isic-cli writes beside them.

    Images: as many as were asked for; some 540,000 are public.
    Patients: ``patient_id`` where the contributor gives one, else split by ``lesion_id``.
    Label: the archive's tree of diagnoses (``diagnosis_1`` to ``diagnosis_5``). Indeterminate and
    no diagnosis leave ``target`` empty, but solar or actinic keratosis follows ``premalignant``.
    Skin type: ``fitzpatrick_skin_type`` (I to VI), which the contributors judged; mostly empty.
    How to get it: with the archive's own tool, ``pip install isic-cli``, and your own account where
    a collection asks for one: ``isic image download --collections 70 DIR``, or
    ``isic image download --search 'fitzpatrick_skin_type:*' DIR``.
    Known faults: the licence is by image, and so is whom to name (``attribution``); challenge sets
    share images; diagnoses confirmed by histology are mostly those that were suspected of cancer,
    so columns on confirmation and biopsy are not carried over.
    """
    folder = Folder(directory, ISIC_ARCHIVE.title)
    columns = ["isic_id", "diagnosis_1"]
    path = folder.find("metadata.csv") or folder.find_ending("isic", ".csv")
    if path is None:
        raise folder.refusal("metadata.csv (columns isic_id, diagnosis_1)")
    table = folder.read(path, columns)
    rows = archive_rows(table).join(
        targets(
            archive_labels(table),
            ARCHIVE_LABELS,
            target=target,
            premalignant=premalignant,
            title=ISIC_ARCHIVE.title,
        )
    )
    rows["attribution"] = with_columns(table, ["attribution"])["attribution"]
    files = table["isic_id"]
    return reading(rows, folder.images(), folder, files=files, source=ISIC_ARCHIVE.name)


ISIC_ARCHIVE = Release(
    name="isic-archive",
    title="ISIC Archive",
    images=None,
    patients=None,
    bytes=None,
    licence="by image",
    purpose="any collection or search of the archive",
    page="https://www.isic-archive.com/",
    citation="the attribution of each image, in the manifest",
    read=read_isic_archive,
    labels=ARCHIVE_LABELS,
    by_hand=(
        "pip install isic-cli, then isic image download --collections NUMBER DIR (or --search): "
        "images and metadata.csv come into DIR, under your own account where one is asked for."
    ),
)
