"""BCN20000, as the ISIC Archive gives it, or as figshare ships it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.columns import known, with_columns
from equiderm.data.sources.archive import ARCHIVE_LABELS, archive_labels, archive_rows
from equiderm.data.sources.isic import ISIC2019
from equiderm.data.sources.release import Folder, Premalignant, Reading, Release, Target, reading

if TYPE_CHECKING:
    import pandas as pd


def read_bcn20000(
    directory: Path, *, target: Target = "malignant", premalignant: Premalignant = "benign"
) -> Reading:
    """Read BCN20000: 18,946 dermoscopic images from the Hospital Clínic de Barcelona.

    Images: 18,946, among them nails, mucosa and lesions larger than the dermoscope's field.
    Patients: not published; split by ``lesion_id``.
    Label: in the figshare release the eight classes of ISIC 2019 (AK counts as benign unless
    ``premalignant`` says otherwise); in the archive's table its tree of diagnoses
    (``diagnosis_1`` to ``diagnosis_5``), where Indeterminate leaves ``target`` empty, except for
    solar or actinic keratosis, which follows ``premalignant`` too.
    Skin type: where the archive's table gives one.
    How to get it: ``isic image download --collections 249 DIR`` and
    ``isic metadata download --collections 249 -o DIR/bcn20000_metadata.csv`` with the ISIC
    Archive's own tool (isic-cli), or from figshare.
    Known faults: overlaps ISIC 2019, under other names in the figshare release; the archive's
    ``concomitant_biopsy`` and ``diagnosis_confirm_type`` give the answer away and are not carried
    over; the figshare test table has no diagnoses (target empty).
    """
    folder = Folder(directory, BCN20000.title)
    archive = folder.find_dated("bcn20000_metadata")
    if archive is not None:
        table = folder.read(archive, ["isic_id", "diagnosis_1", "lesion_id"])
        rows, label, files = archive_rows(table), archive_labels(table), table["isic_id"]
    else:
        rows, label, files = _figshare(folder)
    rows["licence"] = rows["licence"].fillna(BCN20000.licence)
    rows = rows.join(BCN20000.targets(label, target, premalignant))
    constants = {"source": BCN20000.name, "modality": "dermoscopic"}
    return reading(rows, folder.images(), folder, files=files, **constants)


def _figshare(folder: Folder) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    import pandas as pd

    columns = ["bcn_filename", "age_approx", "anatom_site_general", "lesion_id", "sex"]
    tables = [
        folder.read(path, columns).assign(split=split)
        for name, split in (("bcn_20k_train.csv", "train"), ("bcn_20k_test.csv", "test"))
        if (path := folder.find(name)) is not None
    ]
    if not tables:
        raise folder.refusal(
            "bcn20000_metadata*.csv (ISIC Archive) or bcn_20k_train.csv (figshare)"
        )
    table = pd.concat(tables, ignore_index=True)
    table = with_columns(table, ["diagnosis"])
    names = table["bcn_filename"].str.replace(r"\.\w+$", "", regex=True)
    rows = pd.DataFrame(
        {
            "image_id": names,
            "diagnosis": table["diagnosis"].astype("string"),
            "lesion_id": table["lesion_id"],
            "split": table["split"],
            "age": table["age_approx"],
            "sex": table["sex"],
            "site": known(table["anatom_site_general"]),
            "licence": pd.Series(pd.NA, table.index, dtype="string"),
        }
    )
    return rows, rows["diagnosis"].str.upper(), names


BCN20000 = Release(
    name="bcn20000",
    title="BCN20000",
    images=18_946,
    licence="CC-BY-NC",
    purpose="training; lesions in hard places",
    page="https://api.isic-archive.com/collections/249/",
    citation="Hernández-Pérez et al. 2024, Scientific Data 11:641",
    read=read_bcn20000,
    labels={
        **{name: label for name, label in ISIC2019.labels.items() if name != "UNK"},
        **ARCHIVE_LABELS,
    },
    by_hand=(
        "No account is needed, but the archive packs the collection on request: "
        "pip install isic-cli, then isic image download --collections 249 DIR and "
        "isic metadata download --collections 249 -o DIR/bcn20000_metadata.csv."
    ),
)
