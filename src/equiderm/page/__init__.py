"""One offline HTML page: the shell, the style and the pictures that every report shares."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from equiderm import __version__

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

NOT_A_DIAGNOSIS = (
    "Equiderm measures; it is not a diagnosis tool. An ITA band is computed from one photograph's "
    "colours and is not a Fitzpatrick type, which a person judges."
)

# Okabe and Ito's palette (2008): told apart by readers with any common colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442", "#000000")

_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="equiderm {{ version }}">
<title>{{ title }}</title>
<style>
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { font-size: 1.25rem; margin-top: 2rem; }
.lead { font-size: 1.1rem; border-left: 4px solid #0072B2; padding-left: .8rem; }
.note { color: #444; font-size: .92rem; }
figure { margin: 1rem 0; } figure img, figure svg { max-width: 100%; height: auto; }
figcaption { color: #444; font-size: .92rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
caption { text-align: left; color: #444; padding: .2rem 0; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #ccc; text-align: left; }
td.number { text-align: right; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr));
          gap: 1rem; } .panels figure { margin: 0; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .8rem; }
.sheet figure { margin: 0; } .sheet figcaption { overflow-wrap: anywhere; font-size: .8rem; }
footer { margin-top: 3rem; border-top: 1px solid #ccc; color: #444; font-size: .85rem; }
@media print { :root { font-size: 80%; } body { max-width: none; font-size: 1rem; padding: 0; }
  .panels { grid-template-columns: 1fr 1fr; } h2, h2 + p, caption { break-after: avoid; }
  figure, tr { break-inside: avoid; } }
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
{% if lead %}<p class="lead">{{ lead }}</p>{% endif %}
{% for section in sections %}
<section>
{% if section.heading %}<h2>{{ section.heading }}</h2>{% endif %}
{% for paragraph in section.paragraphs %}<p>{{ paragraph }}</p>
{% endfor %}{% for block in section.blocks %}{{ block }}
{% endfor %}{% for note in section.notes %}<p class="note">{{ note }}</p>
{% endfor %}</section>
{% endfor %}
</main>
<footer><p>{{ disclaimer }}</p><p>Made by equiderm {{ version }} on {{ date }}.</p></footer>
</body>
</html>
"""


@dataclass(frozen=True)
class Section:
    """A heading with plain-text paragraphs and notes (escaped) and HTML blocks of this module."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    blocks: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()


def _environment() -> Any:
    import jinja2

    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)


def render_page(title: str, sections: list[Section], *, lead: str = "") -> str:
    """Return a whole HTML page that needs no network; every text given is escaped."""
    return (
        _environment()
        .from_string(_TEMPLATE)
        .render(
            title=title,
            lead=lead,
            sections=sections,
            version=__version__,
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            disclaimer=NOT_A_DIAGNOSIS,
        )
    )


def table_block(frame: pd.DataFrame, *, caption: str, digits: int = 3) -> Any:
    """Return a real HTML table with header cells; numbers right-aligned, a missing cell a dash."""
    template = """<div class="scroll"><table><caption>{{ caption }}</caption>
<thead><tr>{% for name in names %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in rows %}<tr>{% for number, text in row %}
{%- if loop.first %}<th scope="row">{{ text }}</th>
{%- else %}<td{% if number %} class="number"{% endif %}>{{ text }}</td>{% endif %}
{%- endfor %}</tr>
{% endfor %}</tbody></table></div>"""
    rows = [[_cell(value, digits) for value in row] for row in frame.itertuples(index=False)]
    return _safe(
        _environment()
        .from_string(template)
        .render(caption=caption, names=[str(name) for name in frame.columns], rows=rows)
    )


def _cell(value: Any, digits: int) -> tuple[bool, str]:
    if value is None or value != value:
        return True, "–"
    if isinstance(value, bool | str):
        return False, str(value)
    if isinstance(value, float):
        return True, f"{value:.{digits}f}"
    return True, str(value)


def figure_block(figure: Figure, *, alt: str, caption: str = "", scale: int = 144) -> Any:
    """Return a matplotlib figure as an embedded PNG with its text alternative, and close it."""
    from matplotlib import pyplot

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=scale, bbox_inches="tight")
    pyplot.close(figure)
    return image_block(buffer.getvalue(), alt=alt, caption=caption)


def image_block(image: bytes, *, alt: str, caption: str = "", kind: str = "png") -> Any:
    """Return encoded image bytes (PNG or JPEG) as an embedded picture with its text alternative."""
    template = """<figure><img src="data:image/{{ kind }};base64,{{ data }}" alt="{{ alt }}">
{%- if caption %}<figcaption>{{ caption }}</figcaption>{% endif %}</figure>"""
    data = base64.b64encode(image).decode("ascii")
    return _safe(
        _environment().from_string(template).render(kind=kind, data=data, alt=alt, caption=caption)
    )


def panel_block(blocks: list[Any]) -> Any:
    """Return figure blocks side by side where there is room, else below one another."""
    template = '<div class="panels">{% for block in blocks %}{{ block }}{% endfor %}</div>'
    return _safe(_environment().from_string(template).render(blocks=blocks))


def sheet_block(blocks: list[Any]) -> Any:
    """Return picture blocks laid out as a contact sheet."""
    template = '<div class="sheet">{% for block in blocks %}{{ block }}{% endfor %}</div>'
    return _safe(_environment().from_string(template).render(blocks=blocks))


def link_block(target: str, text: str) -> Any:
    """Return a paragraph that is a link to another file beside the page."""
    template = '<p><a href="{{ target }}">{{ text }}</a></p>'
    return _safe(_environment().from_string(template).render(target=target, text=text))


def _safe(html: str) -> Any:
    from markupsafe import Markup

    return Markup(html)
