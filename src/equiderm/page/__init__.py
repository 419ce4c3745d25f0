"""One offline HTML page: the shell, the style and the blocks that all reports share."""

from __future__ import annotations

import base64
import functools
import io
import logging
import os
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiderm import __version__
from equiderm.format import is_known, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure

NOT_A_DIAGNOSIS = (
    "Equiderm measures; it is not a diagnosis tool. An ITA band is computed from one photograph's "
    "colours and is not a Fitzpatrick type, which a person judges."
)

# Okabe and Ito's palette (2008): distinguishable with any common colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442", "#000000")


_WIDTH, _SHOWN = 4.4, 8  # inches of a plot; images of a sheet
_WORDS = "<!-- words -->"


@dataclass(frozen=True)
class Section:
    """A heading with plain-text paragraphs and notes (escaped) and HTML blocks of this module.

    ``printed``: whether it is printed too; the print lists the sections it leaves out.
    """

    heading: str
    paragraphs: tuple[str, ...] = ()
    blocks: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    printed: bool = True


@functools.cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["keep"] = lambda text: str(text).replace(" %", "\u00a0%")
    return environment


@functools.cache
def _blocks() -> Any:
    return _environment().get_template("blocks.html").module


def render_page(title: str, sections: list[Section], *, lead: str = "", first: Any = None) -> str:
    """Return a whole HTML page that needs no network; all text is escaped.

    The page ends with an explanation of the glossary terms that it uses.

    Args:
        title: Title of the page, and its heading unless ``first`` has its own.
        sections: The sections, in order.
        lead: A paragraph below the heading.
        first: A block that is the first printed sheet (`first_screen_block`).
    """
    from equiderm.page.glossary import used_in

    html: str = (
        _environment()
        .get_template("shell.html")
        .render(
            title=title,
            lead=lead,
            first=first,
            sections=sections,
            unprinted=[section.heading for section in sections if not section.printed],
            version=__version__,
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            disclaimer=NOT_A_DIAGNOSIS,
        )
    )
    return html.replace(_WORDS, str(_blocks().words(used_in(html))), 1)


def first_screen_block(screen: Any) -> Any:
    """Return the first screen of a report (`equiderm.audit.report.first_screen`) as a block."""
    return _safe(_environment().get_template("first_screen.html").render(screen=screen))


def table_block(frame: pd.DataFrame, *, caption: str, digits: int = 3) -> Any:
    """Return an HTML table with header cells; numbers are right-aligned, missing cells a dash."""
    rows = [[_cell(value, digits) for value in row] for row in frame.itertuples(index=False)]
    return _blocks().table(caption, [str(name) for name in frame.columns], rows)


def _cell(value: Any, digits: int) -> tuple[bool, str]:
    if isinstance(value, bool | str):
        return False, str(value)
    if isinstance(value, float) or not is_known(value):
        return True, number(value, digits)
    return True, str(value)


def ignore_style() -> None:
    """Have `new_figure` draw in matplotlib's own style from now on, as commands do.

    A ``matplotlibrc`` of the working folder or the user, and MPLBACKEND, may name colours, a LaTeX
    or a window system that pages can do without. What matplotlib says about them, or about a home
    that it cannot write to, is no concern of a command's user.
    """
    global _style_counts
    _style_counts = False
    os.environ["MPLBACKEND"] = "agg"
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


_style_counts = True


def new_figure(width: float, height: float, layout: Any = "constrained") -> Figure:
    """Return an empty matplotlib figure of this size in inches, created without pyplot."""
    import matplotlib
    from matplotlib.figure import Figure

    if not _style_counts:
        matplotlib.rcdefaults()
    return Figure(figsize=(width, height), layout=layout)


def figure_axes(height: float) -> tuple[Any, Any]:
    """Return a matplotlib figure of this height in inches, and its axes."""
    figure = new_figure(_WIDTH, height)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    return figure, axes


def _png(figure: Figure, scale: int = 144) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # the font lacks the glyphs of some scripts and draws a box
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(buffer, format="png", dpi=scale, bbox_inches="tight")
    return buffer.getvalue()


@dataclass(frozen=True)
class Picture:
    """A matplotlib figure with its caption; in a page or a notebook it is an embedded PNG.

    Attributes:
        figure: The figure, to restyle and save; created without pyplot, so nothing else holds it.
        alt: Text alternative for readers who cannot see it.
        caption: Text below it.
        scale: Pixels per inch of the PNG.
    """

    figure: Figure
    alt: str
    caption: str = ""
    scale: int = 144

    def __post_init__(self) -> None:
        # Without this method a notebook shows only figures of pyplot.
        vars(self.figure)["_repr_png_"] = functools.partial(_png, self.figure)

    def __html__(self) -> str:
        return str(image_block(_png(self.figure, self.scale), alt=self.alt, caption=self.caption))

    _repr_html_ = __str__ = __html__


def figure_block(figure: Figure, *, alt: str, caption: str = "", scale: int = 144) -> Picture:
    """Return a matplotlib figure as a block of a page."""
    return Picture(figure, alt, caption, scale)


def image_block(image: bytes, *, alt: str, caption: str = "", kind: str = "png") -> Any:
    """Return encoded image bytes (PNG or JPEG) as an embedded picture with its text alternative."""
    return _blocks().image(kind, base64.b64encode(image).decode("ascii"), alt, caption)


def panel_block(blocks: list[Any]) -> Any:
    """Return figure blocks side by side if there is room, else one below the other."""
    return _blocks().grid("panels", blocks)


def sheet_block(blocks: list[Any]) -> Any:
    """Return picture blocks laid out as a contact sheet."""
    return _blocks().grid("sheet", blocks)


def sheet_of(images: Any, names: Sequence[str], *, title: str) -> str:
    """Return the first of many images as an HTML fragment for notebooks.

    Args:
        images: uint8 sRGB, shape (n, h, w, 3).
        names: The name of each image, length n.
        title: Text above the images.
    """
    from PIL import Image

    def card(k: int) -> Any:
        buffer = io.BytesIO()
        Image.fromarray(images[k]).resize((96, 96)).save(buffer, "PNG")
        return image_block(buffer.getvalue(), alt=f"image {names[k]}", caption=str(names[k]))

    cards = [card(k) for k in range(min(_SHOWN, len(names)))]
    return _blocks().row(title, cards)


def gallery_block(**content: Any) -> Any:
    """Return the gallery of a table of tones (`equiderm.tone.report`) as a block."""
    return _safe(_environment().get_template("gallery.html").render(**content))


def link_block(target: str, text: str) -> Any:
    """Return a paragraph with a link to another file in the folder of the page."""
    return _blocks().link(target, text)


def bullets_block(texts: Sequence[str]) -> Any:
    """Return texts as a bulleted list."""
    return _blocks().bullets(list(texts))


def _safe(html: str) -> Any:
    from markupsafe import Markup

    return Markup(html)


def verdict_block(outcome: str, headline: str, sentences: Sequence[str]) -> Any:
    """Return a conclusion in a box: a headline with its evidence below.

    ``outcome`` sets the colour: ``gap``, ``mixed``, ``cannot-say`` or ``none-found``.
    """
    return _blocks().verdict(outcome, headline, list(sentences))
