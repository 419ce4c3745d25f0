"""Schemes that turn a measured colour into a named band, with their thresholds and sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from equiderm.columns import read_numbers
from equiderm.errors import InputError
from equiderm.tone.color import ciede2000, srgb_to_lab
from equiderm.tone.fitted_scheme import FittedScheme, load_fitted

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Scheme:
    """A named way to cut colour into bands: by published thresholds or swatches, or by a fit.

    A band is computed from one photograph's colours, that of a fitted scheme too. It is not a
    Fitzpatrick type or a Monk tone, which people judge.

    Attributes:
        name: As given to ``--scheme``: a key of `SCHEMES`, or the file of a fitted scheme.
        title: For people.
        bands: Band names, lightest first.
        cuts: ITA thresholds in degrees, descending, one fewer than the bands; empty where the
            scheme goes by the nearest swatch or by more than the angle.
        includes_cut: Whether an ITA equal to a threshold belongs to the lighter band.
        swatches: sRGB of each band as hex, for schemes that go by the nearest swatch.
        source: Where the thresholds or swatches were published, or what was fitted.
        fit: What `equiderm calibrate` saved; None for a published scheme.
    """

    name: str
    title: str
    bands: tuple[str, ...]
    source: str
    cuts: tuple[float, ...] = ()
    includes_cut: tuple[bool, ...] = ()
    swatches: tuple[str, ...] = ()
    fit: FittedScheme | None = None

    def assign(self, ita: NDArray[np.floating], lab: NDArray[np.floating]) -> NDArray[np.object_]:
        """Return the band of each colour, shape (n,); None where the angle is NaN.

        Args:
            ita: Angles in degrees, shape (n,).
            lab: CIELAB colours, shape (n, 3); used by schemes that go by swatches.
        """
        if self.fit is not None:
            import pandas as pd

            colours = dict(zip(("L", "a", "b"), lab.T, strict=True))
            return self.fit.predict(pd.DataFrame({"ita": ita, **colours}))
        if self.swatches:
            index = ciede2000(lab[:, None, :], _swatch_lab(self.swatches)[None]).argmin(axis=1)
        else:
            index = np.zeros(len(ita), dtype=int)
            for cut, included in zip(self.cuts, self.includes_cut, strict=True):
                index += ~((ita >= cut) if included else (ita > cut))
        names = np.array(self.bands, dtype=object)[index]
        names[np.isnan(ita)] = None
        return names

    def band(self, row: Mapping[str, Any]) -> str | None:
        """Return the band of one estimate, a mapping of the columns that `label` writes."""
        if self.fit is not None:
            import pandas as pd

            return self.fit.predict(pd.DataFrame([row]))[0]
        ita = np.array([np.nan if row["ita"] is None else row["ita"]])
        return self.assign(ita, np.array([[row["L"], row["a"], row["b"]]]))[0]

    def assign_table(self, tones: pd.DataFrame) -> NDArray[np.object_]:
        """Return the band of each row of a tone table, shape (n,)."""
        if self.fit is not None:
            return self.fit.predict(tones)
        missing = {"ita", "L", "a", "b"} - set(tones.columns)
        if missing:
            names = ", ".join(sorted(missing))
            raise InputError(f"the table has no column {names}; give one that `label` wrote.")
        ita, *lab = (read_numbers(tones, name, "the table") for name in ("ita", "L", "a", "b"))
        return self.assign(ita, np.stack(lab, axis=1))


def fitted(path: str) -> Scheme:
    """Return the scheme that `equiderm calibrate` saved.

    Raises:
        InputError: The file cannot be read or is no fitted scheme.
    """
    fit = load_fitted(Path(path))
    on_ita = fit.columns == ("ita",) and fit.cuts is not None
    cuts = tuple(map(float, fit.cuts)) if on_ita and fit.cuts is not None else ()
    return Scheme(
        name=path,
        title=f"the fitted scheme {Path(path).name}",
        bands=fit.names,
        source=f"fitted by equiderm calibrate from {', '.join(fit.columns)}",
        cuts=cuts,
        includes_cut=(False,) * len(cuts),
        fit=fit,
    )


Fitted = fitted  # its name, kept for one version


def _swatch_lab(swatches: Sequence[str]) -> NDArray[np.float64]:
    return srgb_to_lab(np.array([list(bytes.fromhex(code)) for code in swatches], np.uint8))


def _cut_scheme(
    name: str,
    title: str,
    bands: Sequence[str],
    cuts: Sequence[float],
    source: str,
    *,
    first_included: bool = False,
) -> Scheme:
    included = (first_included, *([False] * (len(cuts) - 1)))
    return Scheme(name, title, tuple(bands), source, tuple(cuts), included)


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        _cut_scheme(
            "paper",
            "Eq. 2 of the paper, six bands",
            ("1", "2", "3", "4", "5", "6"),
            (55, 41, 28, 19, 10),
            "Bevan and Atapour-Abarghouei 2022, Eq. 2, after Groh et al. 2021 and Kinyanjui et al. "
            "2019; the paper calls these bands types",
        ),
        _cut_scheme(
            "groh",
            "Groh's empirical bands",
            ("1", "2", "3", "4", "5", "6"),
            (45, 28, 17, 5, -20),
            "Groh et al. 2021, arXiv 2104.09957, chosen on Fitzpatrick17k: the published notebook",
            first_included=True,
        ),
        _cut_scheme(
            "kinyanjui",
            "Kinyanjui's eight bands",
            ("very_lt", "lt2", "lt1", "int2", "int1", "tan2", "tan1", "dark"),
            (55, 48, 41, 34.5, 28, 19, 10),
            "Kinyanjui et al. 2019, arXiv 1910.13268",
        ),
        _cut_scheme(
            "del-bino",
            "Chardon's and Del Bino's six bands",
            ("very-light", "light", "intermediate", "tan", "brown", "dark"),
            (55, 41, 28, 10, -30),
            "Chardon et al. 1991, doi 10.1111/j.1467-2494.1991.tb00561.x; Del Bino and Bernerd "
            "2013, doi 10.1111/bjd.12529",
        ),
        _cut_scheme(
            "25-degrees",
            "Bands of 25 degrees",
            ("1", "2", "3", "4", "5", "6"),
            (50, 25, 0, -25, -50),
            "As tabulated by Corbin and Marques 2022, doi 10.1007/s11042-022-14211-1, after arXiv "
            "2104.14685",
        ),
        Scheme(
            "monk",
            "Nearest Monk swatch by CIEDE2000",
            ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10"),
            "Monk 2019 (revised 2023), Monk Skin Tone scale, the ten published swatches; nearest "
            "by Sharma et al. 2005. Computed, not a tone that a person judged",
            swatches=(
                "f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96",
                "a07e56", "825c43", "604134", "3a312a", "292420",
            ),
        ),
    )
}  # fmt: skip


def get_scheme(name: str) -> Scheme:
    """Return the scheme of that name, or the fitted one in the file of that name.

    Raises:
        InputError: There is none; the message lists those there are.
    """
    if name in SCHEMES:
        return SCHEMES[name]
    if name.endswith(".json"):
        return fitted(name)
    known = ", ".join(SCHEMES)
    raise InputError(f"there is no scheme '{name}'; choose one of {known}, or a fitted .json file.")


def assign_bands(tones: pd.DataFrame, scheme: str) -> pd.DataFrame:
    """Return a table of tone estimates with its bands made anew by another scheme.

    The images are not touched: the table's own columns decide.

    Args:
        tones: A table that `equiderm.tone.label` made.
        scheme: A key of `SCHEMES`, or a fitted scheme's file.

    Raises:
        InputError: Unknown scheme, or a table without the columns that it needs.
    """
    return tones.assign(scheme=scheme, ita_band=get_scheme(scheme).assign_table(tones))
