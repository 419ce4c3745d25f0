"""One offline HTML page: the shell, the style and the pictures that every report shares."""

from __future__ import annotations

import base64
import functools
import io
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

# Okabe and Ito's palette (2008): told apart by readers with any common colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442", "#000000")


_WORDS = "<!-- words -->"


@dataclass(frozen=True)
class Section:
    """A heading with plain-text paragraphs and notes (escaped) and HTML blocks of this module.

    ``printed``: whether it is in the print, too; where one is not, the print says so.
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
    """Return a whole HTML page that needs no network; every text given is escaped.

    At its end the words of the glossary that it uses are explained.

    Args:
        title: Of the page, and its heading unless ``first`` has its own.
        sections: What follows.
        lead: A paragraph below the heading.
        first: A block that is the first sheet of the print (`first_screen_block`).
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
            unprinted=[one.heading for one in sections if not one.printed],
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
    """Return a real HTML table with header cells; numbers right-aligned, a missing cell a dash."""
    rows = [[_cell(value, digits) for value in row] for row in frame.itertuples(index=False)]
    return _blocks().table(caption, [str(name) for name in frame.columns], rows)


def _cell(value: Any, digits: int) -> tuple[bool, str]:
    if isinstance(value, bool | str):
        return False, str(value)
    if isinstance(value, float) or not is_known(value):
        return True, number(value, digits)
    return True, str(value)


def figure_axes(height: float, width: float = 4.4) -> tuple[Any, Any]:
    """Return a figure for a page, in inches, drawn without pyplot, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    return figure, axes


def _png(figure: Figure, scale: int = 144) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # of a name in another script, a box stands for what is missing
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(buffer, format="png", dpi=scale, bbox_inches="tight")
    return buffer.getvalue()


@dataclass(frozen=True)
class Picture:
    """A matplotlib figure with its words; in a page or a notebook it is an embedded PNG.

    Attributes:
        figure: To restyle and save as one likes; drawn without pyplot, so nothing keeps it.
        alt: What it shows, for readers who do not see it.
        caption: Below it.
        scale: Pixels per inch of the PNG.
    """

    figure: Figure
    alt: str
    caption: str = ""
    scale: int = 144

    def __post_init__(self) -> None:
        # A notebook shows figures of pyplot alone, unless they say how.
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
    """Return figure blocks side by side where there is room, else below one another."""
    return _blocks().grid("panels", blocks)


def sheet_block(blocks: list[Any]) -> Any:
    """Return picture blocks laid out as a contact sheet."""
    return _blocks().grid("sheet", blocks)


def sheet_of(images: Any, names: Sequence[str], *, title: str, most: int = 8) -> str:
    """Return the first of many images as an HTML fragment for notebooks.

    Args:
        images: uint8 sRGB, shape (n, h, w, 3).
        names: The name of each, n of them.
        title: Above them.
        most: How many are shown.
    """
    from PIL import Image

    def card(k: int) -> Any:
        buffer = io.BytesIO()
        Image.fromarray(images[k]).resize((96, 96)).save(buffer, "PNG")
        return image_block(buffer.getvalue(), alt=f"image {names[k]}", caption=str(names[k]))

    cards = [card(k) for k in range(min(most, len(names)))]
    return _blocks().row(title, cards)


def gallery_block(**content: Any) -> Any:
    """Return the gallery of a table of tones (`equiderm.tone.report`) as a block."""
    return _safe(_environment().get_template("gallery.html").render(**content))


def link_block(target: str, text: str) -> Any:
    """Return a paragraph that is a link to another file beside the page."""
    return _blocks().link(target, text)


def bullets_block(texts: Sequence[str]) -> Any:
    """Return texts as a bulleted list."""
    return _blocks().bullets(list(texts))


def _safe(html: str) -> Any:
    from markupsafe import Markup

    return Markup(html)


def verdict_block(outcome: str, headline: str, sentences: Sequence[str]) -> Any:
    """Return a conclusion in a box: one sentence large, below it what it rests on.

    ``outcome`` sets the colour: ``gap``, ``mixed``, ``cannot-say`` or ``none-found``.
    """
    return _blocks().verdict(outcome, headline, list(sentences))
