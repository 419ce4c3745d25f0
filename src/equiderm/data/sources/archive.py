"""The metadata table of the ISIC Archive, as its site, its tool and several releases give it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from equiderm.columns import known, with_columns

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.data.sources.release import Label


def archive_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return manifest columns from an archive table: ids, person, place, kind and licence.

    The diagnosis is the deepest level given (``diagnosis_5`` before ``diagnosis_1``). The skin
    type is the archive's ``fitzpatrick_skin_type`` (I to VI), which its contributors judged.
    Confirmation and biopsy columns are not carried over: they give the answer away.
    """
    import pandas as pd

    text = with_columns(table, _WANTED)
    diagnosis = known(text["diagnosis"])
    for level in (5, 4, 3, 2, 1):
        diagnosis = diagnosis.fillna(known(text[f"diagnosis_{level}"]))
    kinds = text["image_type"].fillna("").str.lower()
    modality = pd.Series(pd.NA, index=text.index, dtype="string")
    modality = modality.mask(kinds.str.startswith("clinical"), "clinical")
    modality = modality.mask(kinds == "dermoscopic", "dermoscopic")
    site = known(text["anatom_site_special"]).fillna(known(text["anatom_site_general"]))
    for level in (5, 4, 3, 2, 1):
        site = site.fillna(known(text[f"anatom_site_{level}"]))
    return pd.DataFrame(
        {
            "image_id": text["isic_id"],
            "diagnosis": diagnosis,
            "patient_id": text["patient_id"],
            "lesion_id": text["lesion_id"],
            "fitzpatrick_type": text["fitzpatrick_skin_type"],
            "rater": "clinician",
            "age": text["age_approx"],
            "sex": text["sex"],
            "site": site,
            "modality": modality,
            "licence": text["copyright_license"],
        }
    )


def archive_labels(table: pd.DataFrame) -> pd.Series:
    """Return the label of each row's diagnosis, null where the archive gives none.

    The levels ``diagnosis_1`` to ``diagnosis_5`` are a path in the archive's tree of diagnoses.
    Indeterminate is unknown, except solar or actinic keratosis and cheilitis, which are
    premalignant. A collision with at least one malignant part is malignant, not a melanoma.

    Source:
        The tree: `DiagnosisEnum` of the archive's own package isic-metadata.
    """
    from isic_metadata.diagnosis_hierarchical import DiagnosisEnum

    levels = with_columns(table, [f"diagnosis_{k}" for k in range(1, 6)])
    levels = levels[[f"diagnosis_{k}" for k in range(1, 6)]].astype("string")
    paths = levels.fillna("").agg(":".join, axis=1).str.rstrip(":").str.lower()
    melanoma = DiagnosisEnum.malignant_malignant_melanocytic_proliferations_melanoma.value
    keratosis = "Indeterminate:Indeterminate epidermal proliferations:Solar or actinic"
    starts: dict[str, Label] = {  # the most specific first
        melanoma: "melanoma",
        keratosis: "premalignant",
        "Malignant": "malignant",
        "Benign": "benign",
        "Indeterminate": "unknown",
    }

    def label(path: str) -> Label | None:
        return next(
            (label for start, label in starts.items() if path.startswith(start.lower())), None
        )

    return paths.map({path: label(path) for path in paths.unique()}).astype("string")


ARCHIVE_LABELS: dict[str, Label] = {
    "melanoma": "melanoma",
    "malignant": "malignant",
    "premalignant": "premalignant",
    "benign": "benign",
    "unknown": "unknown",
}

_WANTED = [
    *("isic_id", "patient_id", "lesion_id", "fitzpatrick_skin_type", "age_approx", "sex"),
    *("anatom_site_general", "anatom_site_special", "image_type", "copyright_license"),
    *("diagnosis", *(f"diagnosis_{k}" for k in range(1, 6))),
    *(f"anatom_site_{k}" for k in range(1, 6)),
]
