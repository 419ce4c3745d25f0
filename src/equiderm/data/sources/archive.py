"""The metadata table of the ISIC Archive, as its site, its tool and several releases give it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from equiderm.columns import known, number, sex, with_columns

if TYPE_CHECKING:
    import pandas as pd

_ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6}


def archive_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return manifest columns from an archive table: ids, person, place, kind and licence.

    The diagnosis is the deepest level given (``diagnosis_5`` before ``diagnosis_1``). The skin
    type is the archive's ``fitzpatrick_skin_type`` (I to VI), which its contributors judged.
    Confirmation and biopsy columns are not carried over, they give the answer away.
    """
    import pandas as pd

    text = with_columns(table, _WANTED)
    diagnosis = text["diagnosis"]
    for level in (5, 4, 3, 2, 1):
        diagnosis = diagnosis.fillna(text[f"diagnosis_{level}"])
    kinds = text["image_type"].str.lower()
    modality = pd.Series(pd.NA, index=text.index, dtype="string")
    modality = modality.mask(kinds.str.startswith("clinical").fillna(False), "clinical")
    modality = modality.mask((kinds == "dermoscopic").fillna(False), "dermoscopic")
    skin = text["fitzpatrick_skin_type"].str.upper().map(_ROMAN).astype("Int64")
    site = text["anatom_site_special"].fillna(text["anatom_site_general"])
    return pd.DataFrame(
        {
            "image_id": text["isic_id"],
            "diagnosis": diagnosis,
            "patient_id": text["patient_id"],
            "lesion_id": text["lesion_id"],
            "fitzpatrick_type": skin,
            "rater": pd.Series("clinician", text.index, dtype="string").where(skin.notna()),
            "age": number(text["age_approx"], 0, 120),
            "sex": sex(text["sex"]),
            "site": known(site),
            "modality": modality,
            "licence": text["copyright_license"],
        }
    )


_WANTED = [
    *("isic_id", "patient_id", "lesion_id", "fitzpatrick_skin_type", "age_approx", "sex"),
    *("anatom_site_general", "anatom_site_special", "image_type", "copyright_license"),
    *("diagnosis", "diagnosis_1", "diagnosis_2", "diagnosis_3", "diagnosis_4", "diagnosis_5"),
]
