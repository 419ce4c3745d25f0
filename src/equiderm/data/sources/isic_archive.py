"""The ISIC Archive itself: whatever its own tool, isic-cli, downloads."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from equiderm.columns import with_columns
from equiderm.data.sources.archive import ARCHIVE_LABELS, archive_labels, archive_rows
from equiderm.data.sources.release import Folder, Premalignant, Reading, Release, Target, reading
from equiderm.errors import InputError


def read_isic_archive(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read images of the ISIC Archive with the ``metadata.csv`` that isic-cli writes beside them.

    Images: as many as were asked for; some 540,000 are public.
    Patients: ``patient_id`` where the contributor gives one, else split by ``lesion_id``.
    Label: the archive's tree of diagnoses (``diagnosis_1`` to ``diagnosis_5``). Indeterminate and
    no diagnosis leave ``target`` empty, but solar or actinic keratosis follows ``premalignant``.
    Skin type: ``fitzpatrick_skin_type`` (I to VI), which the contributors judged; mostly empty.
    How to get it: ``equiderm fetch isic-archive DIR --collection 70``, or with
    ``--search 'fitzpatrick_skin_type:*'``. It runs the archive's own tool, which must be installed:
    ``pip install isic-cli``; log in with your own account (``isic user login``) where a collection
    asks for one.
    Known faults: the licence is by image, and so is whom to name (``attribution``); challenge sets
    share images; diagnoses confirmed by histology are mostly those that were suspected of cancer,
    so columns on confirmation and biopsy are not carried over.
    """
    folder = Folder(directory, ISIC_ARCHIVE.title)
    columns = ["isic_id", "diagnosis_1"]
    path = folder.find("metadata.csv") or folder.find_dated("isic")
    if path is None:
        raise folder.refusal("metadata.csv (columns isic_id, diagnosis_1)")
    table = folder.read(path, columns)
    rows = archive_rows(table).join(
        ISIC_ARCHIVE.targets(archive_labels(table), target, premalignant)
    )
    rows["attribution"] = with_columns(table, ["attribution"])["attribution"]
    files = table["isic_id"]
    return reading(rows, folder.images(), folder, files=files, source=ISIC_ARCHIVE.name)


ISIC_ARCHIVE = Release(
    name="isic-archive",
    title="ISIC Archive",
    licence="by image",
    purpose="any collection or search of the archive",
    page="https://www.isic-archive.com/",
    citation="the attribution of each image, in the manifest",
    read=read_isic_archive,
    labels=ARCHIVE_LABELS,
    by_hand=(
        "pip install isic-cli, then equiderm fetch isic-archive DIR --collection NUMBER (or "
        "--search): images and metadata.csv come into DIR, under your own account where one is "
        "asked for."
    ),
)


def download(directory: Path, *, collections: Sequence[int] = (), search: str = "") -> int:
    """Download images and their metadata.csv through isic-cli, and count the images that are there.

    What the tool prints goes to stderr.

    Args:
        directory: Folder for this download alone: its metadata.csv is overwritten.
        collections: Numbers of collections; `isic collection list` names them.
        search: A query in the archive's own language, such as ``age_approx:50``.

    Raises:
        InputError: Nothing is asked for, isic-cli is not installed or ends with an error, or images
            that its table names are missing.
    """
    if not (collections or search):
        raise InputError(
            'name what to download of the archive: `collection="NUMBER"` or `search="QUERY"`.'
        )
    tool = shutil.which("isic")
    if tool is None:
        raise InputError(
            "the ISIC Archive is downloaded by its own tool, which is not installed: "
            "pip install isic-cli, then run this command again."
        )
    command = [tool, "image", "download"]
    if collections:
        command += ["--collections", ",".join(map(str, collections))]
    if search:
        command += ["--search", search]
    done = subprocess.run([*command, str(Path(directory).absolute())], stdout=sys.stderr)
    if done.returncode:
        raise InputError(
            f"isic image download ended with status {done.returncode}; what it printed says why. "
            "Where it asks for an account, run isic user login."
        )
    read = read_isic_archive(directory)  # the tool ends with 0 even where single images failed
    if len(read.missing):
        raise InputError(
            f"{len(read.missing)} of {len(read.missing) + len(read.frame)} images are missing; "
            "run the same command again: images that are there are kept."
        )
    return len(read.frame)
