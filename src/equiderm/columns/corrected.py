"""What a person corrected in a table of tones, and which rows that leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from equiderm.columns.cells import truths

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

# What `equiderm reband --corrections` adds to a table of tones; `corrected_scheme` names the scheme
# of `ita_band_corrected`.
CORRECTION_COLUMNS = (
    "ita_band_corrected", "corrected_by", "corrected_at", "corrected_why", "corrected_scheme",
    "excluded",
)  # fmt: skip


def corrected_by_hand(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows have a band corrected by a person, shape (n,)."""
    return _is_filled(frame, "ita_band_corrected")


def excluded_by_hand(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows of a table of tones a person excluded, shape (n,)."""
    if not {"excluded", "corrected_by"} <= set(frame.columns):  # else it is the user's own column
        return np.zeros(len(frame), dtype=np.bool_)
    return (truths(frame["excluded"]) == "1").fillna(False).to_numpy(bool)


def settle_corrections(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a table of tones with corrections applied, and a sentence on each kind of change.

    Excluded rows are left out, a corrected band becomes the row's ``ita_band``, and the columns of
    corrections are dropped.
    """
    import pandas as pd

    frame, notes = without_excluded(frame)
    frame, more = without_foreign_bands(frame)
    by_hand = corrected_by_hand(frame)
    if by_hand.any() and "ita_band" in frame.columns:
        given = frame["ita_band_corrected"]
        if not (pd.api.types.is_numeric_dtype(frame["ita_band"]) or given.dtype == object):
            given = given.astype("string").str.removesuffix(".0")  # 4.0: numbers with empty cells
        band = frame["ita_band"].astype(object).mask(by_hand, given.astype(object))
        frame = frame.assign(ita_band=band)
        who = people_of(frame[by_hand])
        more.append(f"The band of {_images(by_hand)} was corrected by hand{who}.")
    present = [name for name in CORRECTION_COLUMNS if name in frame.columns]
    return frame.drop(columns=present if notes or more else []), notes + more


def without_excluded(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that are not excluded by hand, and a sentence on the others."""
    excluded = excluded_by_hand(frame)
    if not excluded.any():
        return frame, []
    verb = "was" if excluded.sum() == 1 else "were"
    note = f"{_images(excluded)} {verb} excluded by hand{people_of(frame[excluded])}."
    return frame[~excluded].reset_index(drop=True), [note]


def without_foreign_bands(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a table without bands in rows corrected in a scheme that is not the table's.

    The correction is not a band of the table's scheme, and the computed band was judged wrong.
    """
    other = corrected_by_hand(frame) & corrected_in_another_scheme(frame)
    if not other.any() or "ita_band" not in frame.columns:
        return frame, []
    bands = {
        name: frame[name].astype(object).mask(other) for name in ("ita_band", "ita_band_corrected")
    }
    verb = "is" if other.sum() == 1 else "are"
    return frame.assign(**bands), [
        f"{_images(other)} {verb} left without a band: corrected by hand in bands of "
        f"{frame['corrected_scheme'][other].iloc[0]}, which are not this table's."
    ]


def people_of(frame: pd.DataFrame) -> str:
    """Return who corrected the rows, as the end of a sentence; "" where nobody is named."""
    if "corrected_by" not in frame.columns:
        return ""
    people = frame["corrected_by"].dropna().astype(str).drop_duplicates()
    return f" by {', '.join(people)}" if len(people) else ""


def corrected_in_another_scheme(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows were corrected in a scheme that is not their own, shape (n,)."""
    if not {"corrected_scheme", "scheme"} <= set(frame.columns):
        return np.zeros(len(frame), dtype=np.bool_)
    theirs, here = (
        frame[name].astype("string").fillna("") for name in ("corrected_scheme", "scheme")
    )
    return ((theirs != "") & (theirs != here)).to_numpy(bool)


def _is_filled(frame: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    if name not in frame.columns:
        return np.zeros(len(frame), dtype=np.bool_)
    cells = frame[name].astype("string").str.strip()
    return (cells.notna() & (cells != "")).to_numpy(bool)


def _images(rows: NDArray[np.bool_]) -> str:
    count = int(rows.sum())
    return "1 image" if count == 1 else f"{count:,} images"
