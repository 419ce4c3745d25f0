"""The page that every report shares: escaped, offline, from templates that are loaded once."""

import re
from pathlib import Path

import pandas as pd
import pytest

from equiderm import page
from equiderm.page.glossary import TERMS, as_markdown

EVIL = '<img src=x onerror=alert("1")>'


def test_every_text_of_every_block_is_escaped():
    frame = pd.DataFrame({EVIL: [EVIL], "n": [1.5]})
    section = page.Section(
        EVIL,
        paragraphs=(EVIL,),
        blocks=(
            page.table_block(frame, caption=EVIL),
            page.image_block(b"x", alt=EVIL, caption=EVIL, kind=EVIL),
            page.link_block(EVIL, EVIL),
            page.bullets_block([EVIL]),
        ),
        notes=(EVIL,),
    )
    html = page.render_page(EVIL, [section], lead=EVIL)
    assert "<img src=x" not in html
    assert 'onerror=alert("' not in html
    assert html.count("&lt;img src=x") >= 12


def test_a_page_asks_nothing_of_the_network_and_names_its_maker():
    html = page.render_page("Title", [page.Section("One", paragraphs=("Text.",))])
    assert "://" not in html
    assert 'content="equiderm ' in html
    assert page.NOT_A_DIAGNOSIS.split(";")[0] in html


def test_missing_numbers_are_dashes_and_numbers_stand_to_the_right():
    frame = pd.DataFrame({"group": ["a"], "x": [float("nan")], "n": [pd.NA], "y": [0.12345]})
    html = page.table_block(frame, caption="c", digits=2)
    assert re.findall(r'<td class="number">([^<]*)</td>', html) == ["–", "–", "0.12"]
    assert '<th scope="row">a</th>' in html


def test_no_table_or_picture_may_break_over_two_sheets():
    style = (Path(page.__file__).parent / "templates" / "style.css").read_text()
    kept = re.search(r"([^}]*)\{ break-inside: avoid; \}", style.split("@media print")[1])
    assert kept
    assert {"table", "figure", ".verdict"} <= {name.strip() for name in kept[1].split(",")}


@pytest.mark.parametrize("name", ["shell.html", "blocks.html", "first_screen.html"])
def test_templates_are_loaded_once(name):
    environment = page._environment()
    assert environment.get_template(name) is environment.get_template(name)
    assert page._environment() is environment
    assert environment.autoescape is True


def test_a_page_explains_the_words_that_it_uses_and_no_others():
    html = page.render_page("One", [page.Section("", paragraphs=("The AUROC, Holm's, 5 %.",))])
    words = re.search(r'<details class="words">.*?</details>', html, re.S)
    assert words
    assert re.findall("<dt>(.*?)</dt>", words[0]) == [
        "AUROC",
        "Fitzpatrick skin type",
        "Holm&#39;s adjustment",
        "ITA",
    ]


def test_the_glossary_page_is_the_one_that_reports_show():
    written = Path(__file__).parents[1] / "docs" / "glossary.md"
    assert written.read_text(encoding="utf-8") == as_markdown(), (
        "run: python -m equiderm.page.glossary docs/glossary.md"
    )


def test_every_term_has_two_sentences_and_a_source():
    for term in TERMS:
        assert re.search(r"\. [A-Z]", term.meaning), term.name
        assert term.meaning.endswith("."), term.name
        assert term.source, term.name


def test_what_is_not_printed_is_on_the_page_and_named_in_the_print():
    parts = [page.Section("One"), page.Section("Two", paragraphs=("Long.",), printed=False)]
    html = page.render_page("Title", parts)
    assert html.count('<section class="unprinted">') == 1
    assert "On the page but not printed: Two." in html
    assert "Long." in html
