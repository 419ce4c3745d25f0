"""A table of tone estimates as an offline page: bands, angles, flags and a gallery by doubt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiderm.columns import corrected_by_hand, excluded_by_hand
from equiderm.errors import InputError
from equiderm.files import AnyPath, write_text
from equiderm.format import count, counted, number, percent
from equiderm.page import (
    PALETTE,
    Picture,
    Section,
    figure_block,
    gallery_block,
    link_block,
    new_figure,
    panel_block,
    render_page,
    table_block,
)
from equiderm.tone.estimate import FLAG_COLUMN, FLAGS
from equiderm.tone.gallery import FAR, Progress, galleries
from equiderm.tone.scales import ESTIMATED, Scheme, band_word
from equiderm.tone.table import bands_of, caution_of, scheme_name, scheme_of, with_flag_column

if TYPE_CHECKING:
    import pandas as pd

NO_BAND = "no band"
_NEEDED = ("image", "method", "scheme", "ita", "ita_band", FLAG_COLUMN, "error")


def is_tone_table(tones: pd.DataFrame) -> bool:
    """Return whether a table has at least the columns that a page on it needs."""
    return set(_NEEDED) <= set(with_flag_column(tones).columns)


def summarize(tones: pd.DataFrame) -> dict[str, Any]:
    """Return the counts of a table of tone estimates, ready for JSON.

    Keys: images, errors, unmeasured (read, but without a band), why (they have none), flagged (of
    those with a band), method, scheme, caution (a warning to print with its bands), bands (a list
    of band, images, share of all images, flagged), flags (name to count), corrected and excluded
    (by hand; the bands are counted as computed).
    """
    tones = with_flag_column(tones)
    flags = tones[FLAG_COLUMN].fillna("").str.split()
    banded = tones["ita_band"].notna()
    errors = tones["error"].notna()
    flagged = flags.map(len) > 0
    bands: list[dict[str, Any]] = []
    for band in bands_of(tones):
        here = tones["ita_band"].astype(str) == band
        bands.append(_band_row(band, here & banded, flagged))
    if not banded.all():
        bands.append(_band_row(NO_BAND, ~banded, flagged))
    counts = flags.explode().value_counts()
    return {
        "images": len(tones),
        "errors": int(errors.sum()),
        "unmeasured": int((~banded & ~errors).sum()),
        "why": "no measurable tone" + (" or no sure type" if "model-unsure" in counts else ""),
        "flagged": int((flagged & banded).sum()),
        "method": str(tones["method"].iloc[0]) if len(tones) else "",
        "scheme": scheme_name(tones),
        "caution": caution_of(tones),
        "bands": bands,
        "flags": {name: int(counts[name]) for name in FLAGS if name in counts},
        "corrected": int(corrected_by_hand(tones).sum()),
        "excluded": int(excluded_by_hand(tones).sum()),
    }


def _band_row(band: str, here: pd.Series[bool], flagged: pd.Series[bool]) -> dict[str, Any]:
    count = int(here.sum())
    return {
        "band": band,
        "images": count,
        "share": count / max(len(here), 1),
        "flagged": int((here & flagged).sum()),
    }


def write_report(
    tones: pd.DataFrame,
    path: AnyPath,
    *,
    files: Sequence[str] | None = None,
    overlays: AnyPath | None = None,
    workers: int | None = 1,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the page on a table of tones, with a gallery of all its photographs by doubt.

    Nothing is measured again, except for the masks in the thumbnails of doubtful photographs
    without an overlay. Photographs beyond `equiderm.tone.gallery.PER_PAGE` continue on
    ``NAME-2.html``.

    Args:
        tones: A table of `equiderm.tone.label`.
        path: The page; links to photographs and overlays are relative to it.
        files: The photograph of each row; None: the column ``image``.
        overlays: The folder in which `label` wrote overlays.
        workers: Processes that read the photographs; None takes every core.
        progress: Called with the number of photographs read and in total.

    Returns:
        The pages written.

    Raises:
        InputError: The table is empty or lacks the columns of a tone table.
    """
    if tones.empty or not is_tone_table(tones):
        raise InputError("the page needs a table of at least one image that `label` wrote.")
    tones = with_flag_column(tones)
    pages = galleries(
        tones,
        Path(path),
        files=files,
        overlays=None if overlays is None else Path(overlays),
        workers=workers,
        progress=progress,
    )
    title = "Skin tone of lesion photographs"
    for place, (page, content) in enumerate(pages):
        gallery = _gallery_section(content)
        if place == 0:
            html = render_page(title, _sections(tones, gallery), lead=_lead(tones))
        else:
            html = render_page(f"{title}: gallery, page {place + 1}", [gallery])
        write_text(page, html)
    return [page for page, _ in pages]


def _gallery_section(content: dict[str, Any]) -> Section:
    return Section(
        "Photographs, the most doubtful first",
        paragraphs=(
            f"First those far from the others (ITA over {FAR} robust standard deviations from the "
            "median, or below that of any skin), then by the number of flags, then by spread. Far "
            "does not mean wrong: in a light archive dark skin is far from the others. Squares are "
            "the samples (green: the chosen one); what was left out is darkened.",
        ),
        blocks=(gallery_block(**content),),
    )


def _lead(tones: pd.DataFrame) -> str:
    summary = summarize(tones)
    measured = summary["images"] - summary["errors"] - summary["unmeasured"]
    scheme = scheme_of(tones)
    is_band = band_word(summary["scheme"]) == "ITA band"
    a_tone = "a measured tone" if is_band else "an estimated type"
    by_hand = summary["corrected"] or summary["excluded"]
    return (
        f"{measured:,} of {summary['images']:,} photographs have {a_tone} "
        f"({summary['errors']:,} could not be read, {summary['unmeasured']:,} have "
        f"{summary['why']}); {summary['flagged']:,} of these carry a flag that says why the label "
        f"may be wrong. Method {summary['method']}, bands after "
        f"{scheme.title if scheme else summary['scheme']}"
        + (f" ({summary['caution']})." if summary["caution"] else ".")
        + (
            f" By hand: {counted(summary['corrected'], 'band')} corrected, "
            f"{counted(summary['excluded'], 'image')} excluded; the bands here are as computed."
            if by_hand
            else ""
        )
    )


def _sections(tones: pd.DataFrame, gallery: Section) -> list[Section]:
    import pandas as pd

    summary = summarize(tones)
    scheme = scheme_of(tones)
    bands = pd.DataFrame(summary["bands"])
    bands["share"] = bands["share"].map(percent)
    word = band_word(summary["scheme"])
    bands.columns = [word, "images", "share of all", "of these flagged"]
    flags = pd.DataFrame(
        [(name, count, FLAGS[name]) for name, count in summary["flags"].items()],
        columns=["flag", "images", "why it matters"],
    )
    sections = [
        Section("", blocks=(link_block("#photographs", "To the photographs, by doubt"),)),
        Section(
            "Bands and angles",
            blocks=(
                panel_block([band_picture(tones), ita_picture(tones)]),
                table_block(bands, caption=_by_band(word)),
            ),
            notes=(f"{_what_bands_rest_on(scheme)}: {scheme.source}.",) if scheme else (),
        ),
        Section(
            "Flags",
            paragraphs=("A flag does not remove a label; it says why to look at the photograph.",),
            blocks=(table_block(flags, caption="Flags and the images that carry them"),),
        ),
    ]
    sections.append(gallery)
    errors = tones.loc[tones["error"].notna(), ["image", "error"]]
    if len(errors):
        shown = f"Photographs that could not be read ({min(len(errors), 200)} of {len(errors)})"
        sections.append(Section("Errors", blocks=(table_block(errors.head(200), caption=shown),)))
    return sections


def _by_band(word: str) -> str:
    if word == "ITA band":
        return "Images by computed ITA band, lightest first"
    return f"Images by {word}, in the order of the model's target"


def _what_bands_rest_on(scheme: Scheme) -> str:
    if scheme.name.startswith(ESTIMATED):
        return "Types"
    return "Swatches" if scheme.swatches else "Thresholds"


def band_picture(tones: pd.DataFrame) -> Picture:
    """Return the chart of images per band of a tone table; restyle it by its ``.figure``."""
    rows = summarize(tones)["bands"]
    figure = new_figure(4.8, 3.0, layout=None)
    axes = figure.subplots()
    colours = [PALETTE[0] if row["band"] != NO_BAND else "0.6" for row in rows]
    places = range(len(rows))
    bars = axes.bar(places, [row["images"] for row in rows], color=colours)
    axes.bar_label(bars, [count(row["images"]) for row in rows], fontsize=8, padding=2)
    axes.set_xticks(places, [row["band"] for row in rows])
    word = band_word(scheme_name(tones))
    computed = word == "ITA band"
    axes.set_xlabel(f"{word}, lightest to darkest" if computed else word)
    axes.set_ylabel("images")
    axes.spines[["top", "right"]].set_visible(False)
    alt = "Bar chart of images by band: " + ", ".join(
        f"{row['band']} {row['images']}" for row in rows
    )
    caption = "As the paper's Figure 4." if computed else _by_band(word)
    return figure_block(figure, alt=alt, caption=caption)


def ita_picture(tones: pd.DataFrame) -> Picture:
    """Return the histogram of a tone table's ITA, with thresholds; restyle it by ``.figure``."""
    import numpy as np

    scheme = scheme_of(tones)
    ita = tones["ita"].dropna().to_numpy(np.float64)
    figure = new_figure(4.8, 3.0, layout=None)
    axes = figure.subplots()
    axes.hist(ita, bins=np.arange(-180, 181, 5).tolist(), color=PALETTE[0])
    for cut in scheme.cuts if scheme else ():
        axes.axvline(cut, color=PALETTE[1], linewidth=1, linestyle="--")
    if len(ita):
        axes.set_xlim(min(ita.min(), -40) - 5, max(ita.max(), 90) + 5)
        axes.invert_xaxis()
    axes.set_xlabel("ITA in degrees, light skin to the left; dashed: thresholds of the bands")
    axes.set_ylabel("images")
    axes.spines[["top", "right"]].set_visible(False)
    middle = f"median {number(np.median(ita), 1)} degrees" if len(ita) else "no image measured"
    return figure_block(figure, alt=f"Histogram of ITA over {len(ita)} images, {middle}.")
