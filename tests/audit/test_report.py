"""The report: whole, offline, small, escaped, and the same numbers in every form."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from equiderm.audit import METRICS, Agreement, Options, Provenance, audit, audit_number
from equiderm.audit.report.checklist import KEYS, checklist, read_answers
from equiderm.errors import InputError

EVIL = '<script>alert("x")</script>'


class Page(HTMLParser):
    """Counts tags and keeps the attributes of images and links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.images: list[dict[str, str | None]] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        found = dict(attrs)
        if tag == "img":
            self.images.append(found)
        self.addresses += [found[name] for name in ("src", "href") if found.get(name)]


@pytest.fixture(scope="module")
def made(predictions):
    frame = predictions(900, drop=1.0)
    frame["sex"] = np.where(np.arange(900) % 2, "f", "m")
    return audit(
        frame,
        by=["ita_band", "sex"],
        agreement=None,
        options=Options(replicates=200),
        provenance=Provenance(files=(("p.csv", "0" * 64),), model="net", finding="melanoma"),
    )


@pytest.fixture(scope="module")
def html(made):
    return made.to_html()


def test_a_notebook_shows_the_columns_and_computes_no_intersection():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"target": np.resize([0, 1], 400), "site": np.resize(list("aabb"), 400)})
    frame["score"] = np.clip(0.3 * frame["target"] + random.normal(0.4, 0.2, 400), 0, 1)
    frame["sex"] = random.choice(["f", "m"], 400)
    result = audit(frame, by=["site", "sex"])
    html = result._repr_html_()
    assert "by site, with" in html
    assert "by sex, with" in html
    assert "_remembered" in vars(result.results["site"])
    assert "_remembered" not in vars(result.results["site × sex"])


def test_the_page_is_small_and_asks_nothing_of_the_network(html):
    page = Page(html)
    assert len(html.encode()) < 3_000_000
    assert page.addresses
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert "script" not in page.tags
    assert "url(" not in html


def test_every_picture_has_a_text_that_says_what_it_shows(html):
    page = Page(html)
    assert len(page.images) >= 9
    assert all(len(image["alt"] or "") > 40 for image in page.images)


def test_tables_are_real_with_captions_and_header_cells(html):
    page = Page(html)
    assert page.tags["table"] == page.tags["caption"] >= 10
    assert page.tags["th"] > page.tags["table"]
    assert html.count('scope="row"') > 20


def test_the_page_says_what_the_brief_asks_for(html, made):
    for words in (
        "does it work equally well on all skin tones?",
        "What to do next",
        "What was audited",
        "Out of 100 patients",
        "of 100 melanomas, found",
        "of 100 images without a melanoma, correctly negative",
        "The gap, chance and power",
        "If the group labels are wrong",
        "Limits",
        "STANDING Together",
        "CLAIM 2024",
        "Model card",
        "to be filled in",
        "0" * 64,
        "ita_band × sex",
        "differences follow fairlearn",
    ):
        assert words in html, words
    for word in (" unbiased", " debiased"):
        assert word not in html.lower()
    assert len(made.answer()) == 3


def test_the_three_sentences_have_the_figures_of_the_verdict(made):
    verdict, rest, steps = made.answer()
    first = next(one for one in made.verdict().findings if one.difference < 0)
    assert first.outcome == "gap"
    assert "the darkest skin (band 3)" in verdict
    assert f"{100 * made.figure('sensitivity', first.group).value:.0f} on the darkest skin" in rest
    assert "Chance does not explain this" in rest
    assert "Do not rely on it for the darkest skin (band 3)" in steps


def test_nothing_that_is_not_adjusted_looks_like_a_finding(html):
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', html)
    assert {head for head in heads if re.match(r"p\b", head)} == {"p, adjusted"}


def test_the_checklist_is_filled_from_answers_and_unknown_keys_are_refused(made, tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('ethics = "We asked <people>."\nmodel = "Net 2, ours"\n')
    html = made.to_html(answers=read_answers(path))
    assert "We asked &lt;people&gt;." in html
    assert "Net 2, ours" in html
    assert "This is not legal advice" in html
    assert len(checklist(made)) == len(KEYS) == 39
    for text, message in (
        ('nothing = "x"', "'nothing' is not a point"),
        ("ethics = 3", "is not text"),
        ("ethics", "not valid TOML or JSON"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_answers(path)


def test_answers_may_be_json(tmp_path):
    (tmp_path / "a.json").write_text('{"harms": "none known"}')
    assert read_answers(tmp_path / "a.json") == {"harms": "none known"}


def test_html_in_names_and_cells_is_escaped_everywhere(predictions):
    frame = predictions(300).rename(columns={"ita_band": EVIL, "target": EVIL + "t"})
    frame[EVIL] = frame[EVIL].map({1: EVIL, 2: "$x_{1}$", 3: "a|b`c"})
    made = audit(
        frame,
        target=EVIL + "t",
        by=[EVIL],
        options=Options(replicates=200),
        provenance=Provenance(model=EVIL, finding=EVIL, command=EVIL, files=((EVIL, EVIL),)),
    )
    for text in (made.to_html(), made.to_summary(), made._repr_html_(), made.to_markdown()):
        assert "<script" not in text
        assert "&lt;script&gt;" in text
    rows = [line for line in made.to_markdown().splitlines() if line.startswith("| &lt;script")]
    assert rows
    pair = made.compare(made)
    assert "<script" not in pair.to_html() + pair.to_markdown()


def test_json_follows_its_schema_and_has_no_nan(made):
    read = json.loads(made.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert read["schema"] == "equiderm.audit/3"
    assert [one["by"] for one in read["verdicts"]] == list(made.results)
    assert read["verdicts"][0]["outcome"] == made.verdict().outcome
    points = {one["key"]: one for one in read["checklist"]}
    assert tuple(points) == KEYS
    assert points["counts"]["state"] == "filled" and points["counts"]["answer"]
    assert (points["harms"]["answer"], points["harms"]["state"]) == ("", "to be filled in")
    assert set(read) == {
        "schema", "answer", "verdicts", "truth", "rows", "patients", "positives", "notes",
        "options", "weighting", "provenance",
        "versions", "thresholds", "figures", "gaps", "differences", "against_rest",
        "against_reference", "label_error", "along", "adjusted", "find", "checklist",
    }  # fmt: skip
    assert {row["figure"] for row in read["figures"]} == set(METRICS)
    found = next(
        row
        for row in read["figures"]
        if (row["by"], row["group"], row["figure"]) == ("ita_band", "3", "auroc")
    )
    assert found["value"] == pytest.approx(made.figure("auroc", "3").value)
    assert {row["name"] for row in read["differences"]} == {
        "equal_opportunity_difference",
        "equalized_odds_difference",
    }


def test_markdown_has_the_same_answer_and_well_formed_tables(made):
    text = made.to_markdown()
    screen = made.first_screen()
    for sentence in (screen.headline, *screen.meaning):
        assert sentence in text
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1


def test_the_label_error_moves_into_the_report(predictions):
    counts = np.full((3, 3), 5.0) + 80 * np.eye(3)
    made = audit(
        predictions(1500, drop=1.2),
        by=["ita_band"],
        agreement=Agreement(("1", "2", "3"), counts),
        options=Options(replicates=200),
    )
    html = made.to_html()
    assert "corrected for label error" in html
    assert "the labeller was right in 89 % of 285 images" in html
    assert [one["metric"] for one in made.to_dict()["label_error"]] == [
        "auroc", "sensitivity", "specificity",
    ]  # fmt: skip


def test_two_labelings_are_set_side_by_side(predictions):
    frame = predictions(600)
    frame["second"] = frame["ita_band"].where(np.arange(600) % 5 > 0, 1)
    made = audit(frame, by=["ita_band", "second"], options=Options(replicates=200))
    assert made.labelings
    html = made.to_html()
    share = 100 * (frame["ita_band"] == frame["second"]).mean()
    assert f"ita_band and second agree on {share:.0f} % of 600 images" in html
    assert "ita_band × second" not in html


def test_the_notebook_view_is_a_fragment(made):
    text = made._repr_html_()
    assert "<table>" in text
    assert "<html" not in text


def test_markdown_has_all_of_the_first_sheet_and_no_markup_of_names(predictions):
    frame = predictions(300).assign(site=np.resize(["<b>arm</b>", "leg"], 300))
    made = audit(frame, by=["ita_band", "site"], options=Options(replicates=100))
    screen, text = made.first_screen(), made.to_markdown()
    for sentence in (*screen.others, *screen.trust, *screen.left_out):
        assert sentence.replace("<", "&lt;").replace(">", "&gt;") in text
    frame["true"] = frame["score"].round(1)
    number = audit_number(frame, target="true", predicted="score", by="site")
    assert "<b>" not in text + number.to_markdown()
