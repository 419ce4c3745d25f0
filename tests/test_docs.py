"""What the documents say of methods, schemes and flags is what the code has."""

import re
from pathlib import Path

import pandas as pd
import pytest

from equiderm.audit import Provenance, audit
from equiderm.tone import METHODS, SCHEMES
from equiderm.tone.estimate import COLUMNS, FLAGS

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
LABEL = (ROOT / "docs" / "label.md").read_text(encoding="utf-8")


def test_every_method_scheme_and_column_has_its_row():
    for name in (*METHODS, *SCHEMES, *COLUMNS):
        assert f"`{name}`" in LABEL, name


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_stands_with_its_threshold(flag):
    assert f"| `{flag}` | {FLAGS[flag]} |" in LABEL


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_every_scheme_stands_with_its_thresholds_and_source(scheme):
    cuts = ", ".join(f"{cut:g}" for cut in scheme.cuts) or "nearest swatch"
    assert f"| {cuts} | {scheme.source} |" in LABEL


def test_the_readme_is_short_and_begins_with_the_demo():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert any("make demo" in line for line in lines[:25])


def test_the_auditor_s_tour_quotes_what_its_command_says():
    tour = (ROOT / "docs" / "tour-predictions.md").read_text(encoding="utf-8")
    quoted = " ".join(re.findall(r"^> (.*)$", tour, re.M)).replace("**", "")
    table = pd.read_csv(ROOT / "docs" / "tour" / "vendor.csv")
    options = {"target": "diagnosis", "positive": "melanoma", "patient": "patient"}
    about = Provenance(finding="melanoma")
    screen = audit(table, by="ita_band", provenance=about, **options).first_screen()
    said = f"{screen.headline} {screen.evidence[0]}".partition(" (p <")[0]
    assert quoted == f"{said}."


def anchors(page):
    """The headings of a page as the site and GitHub link to them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    kept = [
        re.sub(r"[^\w\- ]", "", title.lower()) for title in re.findall(r"^#+ (.+)$", text, re.M)
    ]
    return {title.strip().replace(" ", "-") for title in kept}


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_link_inside_leads_to_a_file_and_a_heading_and_every_picture_says_what_it_shows(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for shows, words, target in re.findall(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        name, _, heading = target.partition("#")
        file = page.parent / name if name else page
        assert "figures/" in name or file.exists(), target  # those are drawn as the site is built
        if heading and file.suffix == ".md":
            assert heading in anchors(file), target
        assert not shows or len(words) > 20, f"{target}: say what it shows"


@pytest.mark.parametrize("picture", [*ROOT.glob("docs/*.png"), *ROOT.glob("docs/*.jpg")])
def test_every_picture_is_small_enough_for_the_repository(picture):
    assert picture.stat().st_size < 200_000
