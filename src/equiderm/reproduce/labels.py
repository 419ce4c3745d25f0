"""The paper's labelling without any training: against people, and over the ISIC training data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from equiderm.agreement.agreement import Agreement, measure_agreement
from equiderm.errors import InputError
from equiderm.format import MISSING, count, counted, number, percent, with_interval
from equiderm.page import PALETTE, figure_block, new_figure
from equiderm.reproduce.published import (
    FIGURE4,
    FIGURE4_SHARES,
    ISIC_IMAGES,
    LABELLING,
    LABELLINGS,
    METHODS_OF_FIGURE4,
    Labelling,
)
from equiderm.reproduce.result import NAN, Figure, Result
from equiderm.reproduce.rows import is_neoplastic, isic_rows, judged_rows, training
from equiderm.reproduce.work import Settings, measure_tones
from equiderm.tone.scales import SCHEMES, assign_bands

if TYPE_CHECKING:
    from equiderm.data.sources.release import Reading

SUBSETS = ("all", "neoplastic")
TYPES = (1, 2, 3, 4, 5, 6)
_CAPTION = "Fitzpatrick17k, {}: 95 % intervals, and the best constant answer's figure"
_SHOWN = {
    "within_one": "within one type",
    "mean_within_one": "mean over types",
    "exact": "exact",
    "kappa": "kappa",
    "recall_dark": "recall of types 5-6",
}


def run_labelling(readings: Mapping[str, Reading], settings: Settings) -> Result:
    """Return how often each labelling is within one type of people's, beside the paper's figures.

    Raises:
        InputError: Too few judged images for an interval.
    """
    rows = judged_rows(readings["fitzpatrick17k"])
    truth = rows.frame["fitzpatrick_type"].to_numpy(float, na_value=np.nan)
    subsets = {"all": np.ones(len(truth), bool), "neoplastic": is_neoplastic(rows.frame)}
    agreements: dict[tuple[str, str], Agreement] = {}
    for labelling in LABELLINGS:
        tones = measure_tones(rows.frame, labelling.method, settings)
        bands = pd.to_numeric(assign_bands(tones, labelling.scheme)["ita_band"])
        label = bands.to_numpy(float, na_value=np.nan)
        for subset, chosen in subsets.items():
            agreement = measure_agreement(truth[chosen], label[chosen], TYPES)
            agreements[labelling.name, subset] = agreement
    figures = tuple(
        _figure(labelling, subset, agreements) for labelling in LABELLINGS for subset in SUBSETS
    )
    return Result(
        LABELLING.name,
        LABELLING.title,
        percent=True,
        figures=figures,
        listed=rows.listed,
        left_out=tuple(rows.left_out),
        kept={subset: int(chosen.sum()) for subset, chosen in subsets.items()},
        answers=tuple(_against_constant(figures, s) for s in SUBSETS),
        notes=(
            "Within one type is the paper's measure; the best constant, the mean over types and "
            "kappa (0 for any constant) say what it is worth. Intervals are by image: whom a "
            "photograph shows is not published. Where b* is 0 or less, the published figures of "
            "the whole image and of Groh's mask have the one-argument arctangent, ours do not. "
            "Published: "
            + "; ".join(f"{way.name}: {way.source}" for way in LABELLINGS if way.source)
            + ".",
        ),
        tables=tuple((_CAPTION.format(subset), _table(subset, agreements)) for subset in SUBSETS),
        detail={
            f"{name}, {subset}": agreement.to_json()
            for (name, subset), agreement in agreements.items()
        },
    )


def _figure(
    labelling: Labelling, subset: str, agreements: Mapping[tuple[str, str], Agreement]
) -> Figure:
    agreement = agreements[labelling.name, subset]
    estimate = agreement.figures["within_one"]
    return Figure(
        labelling.name,
        subset,
        labelling.published.get(subset, NAN),
        estimate.value,
        estimate.low,
        estimate.high,
        trivial=estimate.constant,
        n=agreement.n,
    )


def _against_constant(figures: tuple[Figure, ...], subset: str) -> str:
    here = [figure for figure in figures if figure.column == subset]
    better = [figure.row for figure in here if figure.low > figure.trivial]
    constant = percent(here[0].trivial)
    return (
        f"On {subset} images always answering one type is within one type on {constant}; of "
        f"{len(here)} labellings {len(better)} do better"
        + (f": {'; '.join(better)}." if better else ".")
    )


def _table(subset: str, agreements: Mapping[tuple[str, str], Agreement]) -> pd.DataFrame:
    lines: list[dict[str, Any]] = []
    for labelling in LABELLINGS:
        agreement = agreements[labelling.name, subset]
        line: dict[str, Any] = {"labelling": labelling.name}
        for name, words in _SHOWN.items():
            figure = agreement.figures[name]
            line[words] = with_interval(
                figure.value, figure.low, figure.high, as_percent=name != "kappa"
            )
        line |= {"images": count(agreement.n), "no label": count(agreement.abstained.sum())}
        lines.append(line)
    first = agreements[LABELLINGS[0].name, subset]
    constants = {
        words: (number if name == "kappa" else percent)(first.figures[name].constant)
        for name, words in _SHOWN.items()
    }
    lines.append(
        {"labelling": "best constant of each figure", **constants, "images": count(first.n)}
    )
    return pd.DataFrame(lines).fillna(MISSING)


def run_figure4(readings: Mapping[str, Reading], settings: Settings) -> Result:
    """Return the bands of the ISIC training rows by the published and the corrected estimator."""
    rows = isic_rows(readings, settings)
    trains: Any = rows.frame[rows.frame["split"] == "train"]
    if trains.empty:
        raise InputError("ISIC: no training image is left; check the folders.")
    bands = {
        method: measure_tones(trains, method, settings)["ita_band"].to_numpy(object)
        for method in METHODS_OF_FIGURE4
    }
    table = band_table(bands)
    shown = _with_per_cent(table)
    substitute = training(readings, settings).substitute
    if substitute:
        shown.insert(1, "images here", substitute)
    published, corrected = (bands[method] for method in METHODS_OF_FIGURE4)
    known = pd.notna(published) & pd.notna(corrected)
    changed = int((published[known] != corrected[known]).sum())
    dark = {method: int((labels == "6").sum()) for method, labels in bands.items()}
    return Result(
        FIGURE4.name,
        FIGURE4.title,
        listed=rows.listed,
        left_out=tuple(rows.left_out),
        kept={"train": len(trains)},
        answers=(
            _against_figure4(table),
            f"The corrected arctangent changes the band of {count(changed)} of "
            f"{counted(int(known.sum()), 'image')}; band 6 holds {count(dark['patch-max-arctan'])} "
            f"as published and {count(dark['patch-max'])} corrected.",
        ),
        notes=(
            "Published shares and counts are those of the authors' own plot of Figure 4; the text "
            "says that band 6 is over-counted. "
            f"{count(ISIC_IMAGES)} images are 32,692 of ISIC 2020 (33,126 less 434 that the table "
            "of its Kaggle copy marks with tfrecord -1, commonly read as duplicates) and 2,882 "
            "that the released code calls 2017: not the challenge's 2,750, but images of ISIC "
            "2019's training set that are neither HAM10000 nor BCN20000. Bands are computed; "
            "nobody judged a type.",
        ),
        tables=(("Images by computed band, lightest first", shown),),
        pictures=(_band_picture(table),),
        detail={"changed": changed, "both_known": int(known.sum()), "bands": table.to_dict("list")},
    )


def _against_figure4(table: pd.DataFrame) -> str:
    """Return how far the published shares differ from those of the published estimator here."""
    ours = table.set_index("band")["patch-max-arctan, share (%)"]
    difference = {band: ours[band] - share for band, (share, _) in FIGURE4_SHARES.items()}
    band = max(difference, key=lambda name: abs(difference[name]))
    published = {name: percent(FIGURE4_SHARES[name][0] / 100) for name in ("1", "6")}
    here = {name: percent(ours[name] / 100) for name in published}
    return (
        f"Published: {published['1']} of the images in band 1 and {published['6']} in band 6; here "
        f"{here['1']} and {here['6']}. The shares differ most in band {band}: by "
        f"{number(abs(difference[band]), 1)} percentage points."
    )


def band_table(bands: Mapping[str, Any]) -> pd.DataFrame:
    """Return images and shares of all images in each band, as published and by method.

    The last row is of the images without a band.
    """
    table = pd.DataFrame({"band": [*SCHEMES["paper"].bands, "none"]})
    published = [FIGURE4_SHARES.get(band, (0.0, 0)) for band in table["band"]]
    table["published, images"] = [images for _, images in published]
    table["published, share"] = [share for share, _ in published]
    for method, labels in bands.items():
        named = pd.Series(labels, dtype="object").fillna("none").astype(str)
        counts = named.value_counts().reindex(table["band"], fill_value=0).to_numpy()
        table[f"{method}, images"] = counts
        table[f"{method}, share"] = (100 * counts / max(len(named), 1)).round(1)
    return table.rename(columns={c: f"{c} (%)" for c in table if str(c).endswith("share")})


def _with_per_cent(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of bands with its shares as text, the published ones as published."""
    shown = table.copy()
    for name in map(str, table.columns):
        if name.endswith("share (%)"):
            digits = 2 if name.startswith("published") else 1
            shown[name] = [percent(share / 100, digits) for share in table[name]]
    return shown.rename(columns=lambda name: str(name).removesuffix(" (%)"))


def _band_picture(table: pd.DataFrame) -> Any:
    canvas = new_figure(7.2, 3.2)
    axes: Any = canvas.subplots()
    places = np.arange(len(table))
    descriptions: list[str] = []
    for k, method in enumerate(METHODS_OF_FIGURE4):
        counts = table[f"{method}, images"]
        axes.bar(places + 0.4 * (k - 0.5), counts, 0.4, color=PALETTE[k], label=method)
        descriptions.append(f"{method}: " + ", ".join(map(count, counts)))
    axes.set_xticks(places, table["band"])
    axes.set(xlabel="computed band", ylabel="images")
    axes.spines[["top", "right"]].set_visible(False)
    canvas.legend(frameon=False, loc="outside upper right", ncols=2)
    return figure_block(
        canvas,
        alt=f"Images by computed band 1 to 6 and none. {'; '.join(descriptions)}.",
        caption="ISIC training images by computed band; the same images under both estimators.",
    )
