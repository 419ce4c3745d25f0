"""Corrections of labels by a person, in columns beside the computed ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from equiderm.columns import CORRECTION_COLUMNS, excluded_by_hand, require_column, truths
from equiderm.errors import InputError
from equiderm.format import listed
from equiderm.tone.scales import get_scheme

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Applied:
    """A table with corrections applied, and how many were.

    Attributes:
        tones: The table; the computed columns are as they were.
        corrected: Images whose band was corrected.
        excluded: Images excluded.
        unknown: Images of the corrections that the table lacks.
    """

    tones: pd.DataFrame
    corrected: int
    excluded: int
    unknown: tuple[str, ...]


def apply_corrections(tones: pd.DataFrame, corrections: pd.DataFrame, where: str) -> Applied:
    """Return a table of tones with the corrections that the gallery of `write_report` saves.

    A later correction of an image replaces an earlier one; the other images keep theirs.

    Args:
        tones: A table of `equiderm.tone.label`.
        corrections: Columns ``image``, ``ita_band_corrected``, ``excluded``, ``corrected_by``,
            ``corrected_at``, ``corrected_why`` and ``corrected_scheme``; those that are absent are
            empty.
        where: What to call the corrections in a message.

    Raises:
        InputError: A band that the scheme does not have, a correction without a name, an image
            twice, or no image of the table.
    """
    import pandas as pd

    for name in ("image", "scheme", "ita_band"):
        require_column(tones, name, "the table of tones")
    given = corrections.reset_index(drop=True).astype("string")
    images = require_column(given, "image", where)
    if not {"ita_band_corrected", "excluded"} & set(given.columns):
        raise InputError(f"{where}: needs a column ita_band_corrected or excluded.")
    if images.duplicated().any():
        row = int(images.duplicated().to_numpy().argmax())
        raise InputError(f"{where}: {images[row]} has two rows, the second in line {row + 2}.")
    given = given.assign(
        **{name: None for name in CORRECTION_COLUMNS if name not in given.columns}
    ).astype("string")
    said = truths(given["excluded"])
    if (odd := (said.fillna("") != "") & ~said.isin(["0", "1"])).any():
        row = int(odd.to_numpy().argmax())
        raise InputError(
            f"{where}: line {row + 2} has excluded '{said[row]}'; write true or false."
        )
    given["excluded"] = excluded_by_hand(given)
    _check(given, where, tones)
    names = tones["image"].astype("string")
    place = pd.Index(images).get_indexer(pd.Index(names))
    known = place >= 0
    unknown = images[~images.isin(names)].tolist()
    if not known.any():
        raise InputError(
            f"{where}: none of its images is in the table ('{images.iloc[0]}' is not); apply it to "
            "the table that the page shows."
            if len(images)
            else f"{where}: holds no correction."
        )
    after = {name: _merged(tones, given, name, place) for name in CORRECTION_COLUMNS}
    return Applied(
        tones.assign(**after),
        int(given["ita_band_corrected"].iloc[place[known]].notna().sum()),
        int(given["excluded"].iloc[place[known]].sum()),
        tuple(unknown),
    )


def _check(given: pd.DataFrame, where: str, tones: pd.DataFrame) -> None:
    schemes = tones["scheme"].dropna().astype(str).drop_duplicates().tolist()
    scheme = schemes[0] if len(schemes) == 1 else ""
    given["corrected_scheme"] = given["corrected_scheme"].fillna(scheme)
    other = given["corrected_scheme"] != scheme
    if other.any():
        raise InputError(
            f"{where}: corrects bands of '{given['corrected_scheme'][other].iloc[0]}', but the "
            f"table has those of '{scheme}'; apply it to the table that the page shows."
        )
    bands = get_scheme(scheme).bands
    cells = given["ita_band_corrected"].str.strip()
    cells = cells.where(cells.isin(bands), cells.str.removesuffix(".0"))  # as spreadsheets write 4
    given["ita_band_corrected"] = cells
    wrong = cells.notna() & ~cells.isin(bands)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(
            f"{where}: line {row + 2} has band '{cells[row]}'; {scheme} has {listed(bands)}."
        )
    nobody = given["corrected_by"].isna() & (cells.notna() | given["excluded"])
    if nobody.any():
        row = int(nobody.to_numpy().argmax())
        raise InputError(f"{where}: line {row + 2} has no corrected_by; say who decided.")


def _merged(tones: pd.DataFrame, given: pd.DataFrame, name: str, place: np.ndarray) -> pd.Series:
    """Return a column of corrections: the given ones, else the earlier ones."""
    import pandas as pd

    new = given[name].take(np.maximum(place, 0)).set_axis(tones.index)
    empty = pd.Series(False if name == "excluded" else None, index=tones.index, dtype=object)
    old = tones[name] if name in tones.columns else empty
    merged = old.astype(object).where(place < 0, new.astype(object))
    if name == "excluded":
        return (truths(merged) == "1").fillna(False).astype(bool)
    return merged.astype("string")
