"""A table of tone estimates as one offline page: bands, angles, flags and the doubtful images."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiderm.errors import InputError
from equiderm.files import write_whole
from equiderm.page import (
    PALETTE,
    Section,
    figure_block,
    image_block,
    render_page,
    sheet_block,
    table_block,
)
from equiderm.photo.decode import PhotoError, load_photo
from equiderm.tone.estimate import FLAGS, ToneEstimate, measure_photo
from equiderm.tone.estimators import get_method
from equiderm.tone.overlay import draw_overlay
from equiderm.tone.scales import get_scheme
from equiderm.tone.view import SIDE

if TYPE_CHECKING:
    import pandas as pd

SHEET = 24  # images on the contact sheet
NO_BAND = "no band"


def summarize(tones: pd.DataFrame) -> dict[str, Any]:
    """Return the counts of a table of tone estimates, ready for JSON.

    Keys: images, errors, unmeasured (read, but without a tone), flagged (of those with a band),
    method, scheme, bands (a list of band, images, share of all images, flagged), flags (name to
    count).
    """
    flags = tones["flags"].fillna("").str.split()
    banded = tones["ita_band"].notna()
    errors = tones["error"].notna()
    flagged = flags.map(len) > 0
    scheme = str(tones["scheme"].iloc[0]) if len(tones) else ""
    order = get_scheme(scheme).bands if scheme else ()
    bands: list[dict[str, Any]] = []
    for band in order:
        here = tones["ita_band"].astype(str) == band
        bands.append(_band_row(band, here & banded, flagged))
    if not banded.all():
        bands.append(_band_row(NO_BAND, ~banded, flagged))
    counts = flags.explode().value_counts()
    return {
        "images": len(tones),
        "errors": int(errors.sum()),
        "unmeasured": int((~banded & ~errors).sum()),
        "flagged": int((flagged & banded).sum()),
        "method": str(tones["method"].iloc[0]) if len(tones) else "",
        "scheme": scheme,
        "bands": bands,
        "flags": {name: int(counts[name]) for name in FLAGS if name in counts},
    }


def _band_row(band: str, here: pd.Series[bool], flagged: pd.Series[bool]) -> dict[str, Any]:
    count = int(here.sum())
    return {
        "band": band,
        "images": count,
        "share": count / max(len(here), 1),
        "flagged": int((here & flagged).sum()),
    }


def write_report(tones: pd.DataFrame, path: Path) -> None:
    """Write the page on a table that `equiderm.tone.label` returned; needs the images again.

    Raises:
        InputError: The table is empty or lacks the columns of a tone table.
    """
    missing = {"image", "method", "scheme", "ita", "ita_band", "flags", "error"} - set(tones)
    if missing or tones.empty:
        raise InputError("the page needs a table of at least one image that `label` wrote.")
    page = render_page("Skin tone of lesion photographs", _sections(tones), lead=_lead(tones))
    with write_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _lead(tones: pd.DataFrame) -> str:
    summary = summarize(tones)
    measured = summary["images"] - summary["errors"] - summary["unmeasured"]
    return (
        f"{measured:,} of {summary['images']:,} photographs have a measured tone "
        f"({summary['errors']:,} could not be read, {summary['unmeasured']:,} have no measurable "
        f"tone); {summary['flagged']:,} of the measured carry a flag that says why the label may "
        f"be wrong. Method {summary['method']}, bands after {get_scheme(summary['scheme']).title}."
    )


def _sections(tones: pd.DataFrame) -> list[Section]:
    import pandas as pd

    summary = summarize(tones)
    scheme = get_scheme(summary["scheme"])
    bands = pd.DataFrame(summary["bands"])
    bands["share"] = (100 * bands["share"]).map("{:.1f} %".format)
    bands.columns = ["ITA band", "images", "share of all", "of these flagged"]
    flags = pd.DataFrame(
        [(name, count, FLAGS[name]) for name, count in summary["flags"].items()],
        columns=["flag", "images", "why it matters"],
    )
    sections = [
        Section(
            "Bands",
            blocks=(
                _band_chart(summary),
                table_block(bands, caption="Images by computed ITA band, lightest first"),
            ),
            notes=(f"Thresholds: {scheme.source}.",),
        ),
        Section("Angles", blocks=(_histogram(tones, scheme.cuts),)),
        Section(
            "Flags",
            paragraphs=("A flag does not remove a label; it says why to look at the photograph.",),
            blocks=(table_block(flags, caption="Flags and the images that carry them"),),
        ),
    ]
    doubtful = _contact_sheet(tones)
    if doubtful:
        sections.append(Section("The most doubtful labels", blocks=(sheet_block(doubtful),)))
    errors = tones.loc[tones["error"].notna(), ["image", "error"]]
    if len(errors):
        shown = f"Photographs that could not be read ({min(len(errors), 200)} of {len(errors)})"
        sections.append(Section("Errors", blocks=(table_block(errors.head(200), caption=shown),)))
    return sections


def _band_chart(summary: dict[str, Any]) -> Any:
    from matplotlib.figure import Figure

    rows = summary["bands"]
    figure = Figure(figsize=(7.2, 3.2))
    axes = figure.subplots()
    colours = [PALETTE[0] if row["band"] != NO_BAND else "0.6" for row in rows]
    places = range(len(rows))
    bars = axes.bar(places, [row["images"] for row in rows], color=colours)
    axes.bar_label(bars, [f"{row['images']:,}" for row in rows], fontsize=8, padding=2)
    axes.set_xticks(places, [row["band"] for row in rows])
    axes.set_xlabel("ITA band, lightest to darkest")
    axes.set_ylabel("images")
    axes.spines[["top", "right"]].set_visible(False)
    alt = "Bar chart of images by band: " + ", ".join(
        f"{row['band']} {row['images']}" for row in rows
    )
    return figure_block(figure, alt=alt, caption="As the paper's Figure 4.")


def _histogram(tones: pd.DataFrame, cuts: tuple[float, ...]) -> Any:
    import numpy as np
    from matplotlib.figure import Figure

    ita = tones["ita"].dropna().to_numpy(np.float64)
    figure = Figure(figsize=(7.2, 3.2))
    axes = figure.subplots()
    axes.hist(ita, bins=np.arange(-180, 181, 5).tolist(), color=PALETTE[0])
    for cut in cuts:
        axes.axvline(cut, color=PALETTE[1], linewidth=1, linestyle="--")
    if len(ita):
        axes.set_xlim(min(ita.min(), -40) - 5, max(ita.max(), 90) + 5)
        axes.invert_xaxis()
    axes.set_xlabel("ITA in degrees, light skin to the left; dashed: thresholds of the bands")
    axes.set_ylabel("images")
    axes.spines[["top", "right"]].set_visible(False)
    middle = f"median {np.median(ita):.1f} degrees" if len(ita) else "no image measured"
    return figure_block(figure, alt=f"Histogram of ITA over {len(ita)} images, {middle}.")


def _contact_sheet(tones: pd.DataFrame) -> list[Any]:
    """Return overlays of the images with most flags, then widest spread, that can still be read."""
    ranked = tones[tones["error"].isna()].assign(
        count=lambda table: table["flags"].fillna("").str.split().map(len)
    )
    ranked = ranked[ranked["count"] > 0].sort_values(
        ["count", "spread"], ascending=False, na_position="first", kind="stable"
    )
    blocks: list[Any] = []
    for row in ranked.head(SHEET).to_dict("records"):
        image, method, scheme = (str(row[name]) for name in ("image", "method", "scheme"))
        try:
            photo = load_photo(image, SIDE)
        except PhotoError:
            continue  # moved or changed since; its row in the table stands
        measured = measure_photo(photo, method, get_method(method), get_scheme(scheme))
        overlay, estimate = draw_overlay(measured), measured.estimate
        blocks.append(_thumbnail(image, photo_overlay=overlay, row=estimate))
    return blocks


def _thumbnail(image: str, *, photo_overlay: Any, row: ToneEstimate) -> Any:
    small = photo_overlay.crop((0, 0, photo_overlay.width, photo_overlay.width)).resize((240, 240))
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=80)
    name = os.path.basename(image)  # noqa: PTH119 keeps undecodable bytes
    angle = "no tone" if row.ita is None else f"ITA {row.ita:.0f}°, band {row.ita_band}"
    caption = f"{name}: {angle}; {', '.join(row.flags)}"
    return image_block(
        buffer.getvalue(), alt=f"{name} with what was measured", caption=caption, kind="jpeg"
    )
