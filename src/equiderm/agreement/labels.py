"""Read labels: a column of types or bands, an ITA column cut by a scheme, or a fitted scheme."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from equiderm.columns import read_numbers, read_types, require_column
from equiderm.errors import InputError
from equiderm.tone.scales import SCHEMES, Scheme, get_scheme


def read_labels(
    frame: pd.DataFrame,
    types: Sequence[int],
    where: str,
    *,
    column: str | None = None,
    scheme: str | None = None,
) -> NDArray[np.float64]:
    """Return the label of each row on the scale of types, shape (n,); NaN where there is none.

    A band is matched to the type at the same place on its scale, lightest first. That measures
    agreement; it does not make a band a type.

    Args:
        frame: A table of labels, such as `label` writes.
        types: The scale, lightest first.
        where: Name of the table for messages.
        column: The column of labels, by default ``ita_band``; with a scheme, of angles, ``ita``.
        scheme: A scheme of `SCHEMES` that cuts the angles, or a file that `calibrate` wrote.

    Raises:
        InputError: No such column or scheme, or a label outside the scale.
    """
    if scheme is not None:
        bands = get_scheme(scheme)
        if bands.fit is not None:
            return read_types(pd.Series(bands.assign_table(frame), name=scheme), types, where)
        return _cut_angles(frame, types, where, column or "ita", bands)
    name = column or "ita_band"
    if column is None and name not in frame.columns:
        known = ", ".join(map(str, frame.columns))
        raise InputError(
            f'{where}: name the column of labels, as in `label_column="ita_band"`; it has {known}.'
        )
    labels = require_column(frame, name, where)
    return read_types(labels, types, where, bands=_band_places(frame, types, where))


def _cut_angles(
    frame: pd.DataFrame, types: Sequence[int], where: str, column: str, scheme: Scheme
) -> NDArray[np.float64]:
    if scheme.swatches:
        raise InputError(
            f"scheme '{scheme.name}' uses swatches, not cuts; relabel the table with `reband`."
        )
    _check_length(scheme, types, where)
    ita = read_numbers(frame, column, where)
    if np.isnan(ita).all():
        raise InputError(f"{where}: column '{column}' holds no angle; name one in degrees.")
    bands = scheme.assign(ita, np.empty((len(ita), 0)))
    places = dict(zip(scheme.bands, types, strict=True))
    return np.array([places.get(band, np.nan) for band in bands], dtype=float)


def _band_places(frame: pd.DataFrame, types: Sequence[int], where: str) -> dict[str, int] | None:
    names = set(frame["scheme"].dropna()) if "scheme" in frame.columns else set()
    if len(names) != 1 or not names <= set(SCHEMES):
        return None
    scheme = SCHEMES[names.pop()]
    _check_length(scheme, types, where)
    return dict(zip(scheme.bands, types, strict=True))


def _check_length(scheme: Scheme, types: Sequence[int], where: str) -> None:
    if len(scheme.bands) != len(types):
        raise InputError(
            f"{where}: scheme '{scheme.name}' has {len(scheme.bands)} bands, the scale "
            f"{types[0]}-{types[-1]} has {len(types)} types; choose a scheme of that length or "
            "other types."
        )
