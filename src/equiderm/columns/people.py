"""Columns about people: which column names them, who may be one person, age and sex."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from equiderm.columns.cells import UNKNOWN_WORDS, number, plain_spelling, with_points

if TYPE_CHECKING:
    import pandas as pd

_PATIENT = re.compile(r"(patient|subject|pat)[ _.-]?(id|nr|no|number)?", re.IGNORECASE)
_SEXES = {
    "other": "other", "other_or_unspecified": "other",
    **dict.fromkeys(
        ("female", "f", "fem", "woman", "w", "girl", "frau", "weiblich", "femme", "mujer",
         "féminin", "feminin", "femenino", "feminino"), "female"),
    **dict.fromkeys(
        ("male", "m", "man", "boy", "mann", "männlich", "homme", "hombre", "masculin",
         "masculino"), "male"),
}  # fmt: skip
# "75 years", DICOM's "075Y", "85+" and ">= 85" (at least 85, as ISIC's 85 means, too), "18 months"
_AGE = re.compile(
    r"(?:>=?|\u2265)?\s*([0-9]+(?:\.[0-9]+)?)\s*(?:\+|(?:and|or) (?:over|older|above|more))?\s*"
    r"(?:years?|yrs?|y|y[./ ]?\s?o|jahre?|j|an[s]?|años?|(m|mos?|months?))?\.?(?: old)?",
    re.IGNORECASE,
)


def names_patients(column: str) -> bool:
    """Return whether a column seems to name patients, in another way than ``patient_id``."""
    return column != "patient_id" and _PATIENT.fullmatch(column.strip()) is not None


def doubtful_patients(column: pd.Series) -> list[tuple[str, int]]:
    """Return patient ids that may mean "not known", with their image counts, if over one."""
    counts = column.astype("string").str.strip().value_counts()
    return [
        (str(name), int(count))
        for name, count in counts[counts > 1].items()
        if str(name).casefold() in UNKNOWN_WORDS and not str(name).isdigit()
    ]


def patients_alike(column: pd.Series) -> list[str]:
    """Return patient ids that differ from another in what is easily overlooked, side by side.

    That is what `plain_spelling` leaves out, the sign between two parts (``P-7``, ``P_7``, ``P 7``)
    and leading zeros.
    """
    names = column.astype("string").str.strip().dropna().drop_duplicates()
    plain = names.map(plain_spelling).str.replace(r"[-_ ]+", "-", regex=True)
    plain = plain.str.replace(r"^0+(?=[0-9]+$)", "", regex=True)
    alike = plain[plain.duplicated(keep=False)].sort_values(kind="stable")
    return names[alike.index].tolist()


def sex(values: pd.Series) -> pd.Series:
    """Return female, male, other or null from the terms of the sources."""
    named = values.astype("string").str.strip().str.lower().str.rstrip(".")
    return named.map(_SEXES).astype("string")


def age(values: pd.Series) -> pd.Series:
    """Return ages in years, 0 to 120; anything else is null.

    ``75 years``, ``85+`` (85) and ``18 months`` (1.5) are understood.
    """
    import pandas as pd

    text = with_points(values.astype("string")).str.strip()
    parts = {cell: _AGE.fullmatch(cell) for cell in text.dropna().unique()}
    years = {cell: float(part[1]) / (12 if part[2] else 1) for cell, part in parts.items() if part}
    return number(pd.to_numeric(text.map(years)), 0, 120)
