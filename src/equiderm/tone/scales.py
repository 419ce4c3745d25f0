"""Schemes that turn a measured colour into a named band, with their thresholds and sources."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from equiderm.columns import read_numbers
from equiderm.errors import InputError
from equiderm.files import read_json
from equiderm.tone.color import ciede2000, individual_typology_angle, srgb_to_lab
from equiderm.tone.fitted_scheme import FittedScheme, load_fitted

if TYPE_CHECKING:
    import pandas as pd


ESTIMATED = "estimated:"  # before the types that a trained model estimates, lightest first


@dataclass(frozen=True)
class Scheme:
    """A named way to divide colour into bands: by published thresholds or swatches, or by a fit.

    A band is computed from one photograph's colours, also by a fitted scheme. It is not a
    Fitzpatrick type or a Monk tone, which people judge.

    Attributes:
        name: As given to ``--scheme``: a key of `SCHEMES`, ``cuts:55,41,28``, or a file.
        title: A title for readers.
        bands: Band names, lightest first.
        cuts: ITA thresholds in degrees, descending, one fewer than the bands; empty where the
            scheme goes by the nearest swatch or by more than the angle.
        includes_cut: Whether an ITA equal to a threshold belongs to the lighter band.
        swatches: sRGB of each band as hex, for schemes that go by the nearest swatch.
        source: Where the thresholds or swatches were published, or what was fitted.
        fit: What `equiderm calibrate` saved; None for a published scheme.
        caution: A warning to print wherever the bands are printed; "" for none.
    """

    name: str
    title: str
    bands: tuple[str, ...]
    source: str
    cuts: tuple[float, ...] = ()
    includes_cut: tuple[bool, ...] = ()
    swatches: tuple[str, ...] = ()
    fit: FittedScheme | None = None
    caution: str = ""

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
        self._check_colours()
        if self.swatches:
            index = ciede2000(lab[:, None, :], _swatch_lab(self.swatches)[None]).argmin(axis=1)
        else:
            index = np.zeros(len(ita), dtype=int)
            for cut, included in zip(self.cuts, self.includes_cut, strict=True):
                index += ~((ita >= cut) if included else (ita > cut))
        return self._named(index, ita)

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
        self._check_colours()
        ita = read_numbers(tones, "ita", "the table")
        if not self.swatches:
            return self.assign(ita, np.empty((len(ita), 0)))
        if {"L", "a", "b"} <= set(tones.columns):
            lab = [read_numbers(tones, name, "the table") for name in ("L", "a", "b")]
            return self.assign(ita, np.stack(lab, axis=1))
        warnings.warn(
            "the table has no columns L, a and b: each band is that of the swatch whose angle is "
            "nearest, not whose colour is.",
            stacklevel=3,
        )
        angles = individual_typology_angle(_swatch_lab(self.swatches))
        return self._named(np.abs(ita[:, None] - angles).argmin(axis=1), ita)

    def _check_colours(self) -> None:
        if not self.cuts and not self.swatches:
            raise InputError(
                f"scheme '{self.name}': a trained model estimated these types from the picture; "
                "they do not follow from colours. Name another scheme."
            )

    def _named(self, index: NDArray[np.intp], ita: NDArray[np.floating]) -> NDArray[np.object_]:
        names = np.array(self.bands, dtype=object)[index]
        names[np.isnan(ita)] = None
        return names


def fitted(path: str) -> Scheme:
    """Return the scheme that `equiderm calibrate` saved.

    Raises:
        InputError: The file cannot be read or is not a fitted scheme.
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
        caution=fit.caution,
    )


Fitted = fitted  # the former name, kept for one version


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
            "by Sharma et al. 2005. Computed, not a tone that a person judged, and not validated "
            "against such tones",
            caution="nearest swatch, not validated against Monk tones that people chose",
            swatches=(
                "f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96",
                "a07e56", "825c43", "604134", "3a312a", "292420",
            ),
        ),
    )
}  # fmt: skip


def get_scheme(name: str) -> Scheme:
    """Return the scheme of that name.

    Args:
        name: A key of `SCHEMES`; thresholds such as ``cuts:55,41,28,19,10`` (`cut_at`); or a .json
            file, of a fitted scheme or of a palette (`palette`).

    Raises:
        InputError: There is none; the message lists the known ones.
    """
    if name in SCHEMES:
        return SCHEMES[name]
    if name.startswith("cuts:"):
        return cut_at(name.removeprefix("cuts:"))
    if name.startswith(ESTIMATED):
        return _estimated(name)
    if name.endswith(".json"):
        return palette(name) if _is_palette(name) else fitted(name)
    known = ", ".join(SCHEMES)
    raise InputError(
        f"there is no scheme '{name}'; choose one of {known}, thresholds such as cuts:55,41,28, or "
        "the .json file of a fitted scheme or a palette."
    )


def band_word(scheme: str) -> str:
    """Return what the bands of a scheme of this name are."""
    return "estimated type" if scheme.startswith(ESTIMATED) else "ITA band"


def _estimated(name: str) -> Scheme:
    return Scheme(
        name=name,
        title="types that a trained model estimates",
        bands=tuple(name.removeprefix(ESTIMATED).split(",")),
        source="estimated from the picture by a trained model; its run says by what types",
        caution="a trained model's estimates, not types that a person judged",
    )


def cut_at(thresholds: str) -> Scheme:
    """Return the scheme of bands 1, 2, ... that are cut at the user's own thresholds.

    Args:
        thresholds: ITA in degrees, separated by commas, from light to dark or the other way. An
            angle equal to a threshold is in the darker band, as in Eq. 2 of the paper.

    Raises:
        InputError: No numbers, equal ones, or one outside -180 to 180 degrees.
    """
    try:
        cuts = sorted((float(part) for part in thresholds.split(",")), reverse=True)
    except ValueError:
        cuts = []
    inside = all(-180 < cut < 180 for cut in cuts)
    if not cuts or not inside or len(set(cuts)) < len(cuts):
        raise InputError(
            f"thresholds '{thresholds}': write different angles between -180 and 180 degrees, "
            "separated by commas, such as 55,41,28,19,10."
        )
    written = ",".join(f"{cut:g}" for cut in cuts)
    bands = [str(place) for place in range(1, len(cuts) + 2)]
    title = f"the user's own thresholds, {written.replace(',', ', ')} degrees"
    return _cut_scheme(f"cuts:{written}", title, bands, cuts, "given by the user")


def palette(path: str) -> Scheme:
    """Return the scheme that gives each colour the nearest swatch of a palette, by CIEDE2000.

    Args:
        path: JSON, lightest first: an array of colours (``"#f6ede4"``), whose bands are 1, 2, ...,
            or an object of band names and colours.

    Raises:
        InputError: The file holds something else, fewer than two colours, or the darkest first.
    """
    content = _read_json(path)
    named = content if isinstance(content, dict) else {}
    if isinstance(content, list):
        named = {str(place): colour for place, colour in enumerate(content, 1)}
    codes = [str(colour).strip().removeprefix("#").lower() for colour in named.values()]
    wrong = [code for code in codes if not re.fullmatch("[0-9a-f]{6}", code)]
    if wrong or len(codes) < 2 or len(set(codes)) < len(codes):
        what = "needs two or more colours, all different"
        if wrong:
            what = f"'{wrong[0][:40]}' is not a colour"
        raise InputError(
            f"{path}: {what}; write an array of colours or an object of band names and colours, "
            'lightest first, such as ["#f6ede4", "#a07e56"].'
        )
    lightness = _swatch_lab([codes[0], codes[-1]])[:, 0]
    if lightness[0] < lightness[1]:
        raise InputError(
            f"{path}: its first colour is darker than its last; write the lightest first."
        )
    return Scheme(
        name=path,
        title=f"the nearest colour of {Path(path).name} by CIEDE2000",
        bands=tuple(str(band) for band in named),
        source="given by the user; nearest by Sharma et al. 2005",
        swatches=tuple(codes),
        caution="nearest colour of a palette, not validated against tones that people chose",
    )


def _is_palette(path: str) -> bool:
    content = _read_json(path)
    return isinstance(content, list) or (isinstance(content, dict) and "schema" not in content)


def _read_json(path: str) -> Any:
    try:
        return read_json(Path(path), "")
    except InputError:
        return {"schema": None}  # `load_fitted` says what is wrong with the file


def assign_bands(tones: pd.DataFrame, scheme: str) -> pd.DataFrame:
    """Return a table of tone estimates with the bands of another scheme.

    The images are not read: the bands follow from the table's own columns. Corrections by hand
    stay as they are.

    Args:
        tones: A table of `equiderm.tone.label`, or any with a column ``ita``; schemes that go by
            swatches use L, a and b where present.
        scheme: As in `get_scheme`.

    Raises:
        InputError: Unknown scheme, or a table without the columns that it needs.

    Warns:
        UserWarning: A scheme of swatches on a table without colours: the nearest angle decides.
    """
    bands = get_scheme(scheme)
    return tones.assign(scheme=bands.name, ita_band=bands.assign_table(tones))
