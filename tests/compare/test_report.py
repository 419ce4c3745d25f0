"""The page, its pictures and its tables."""

import csv
import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.cli.test_hostile_names import Page
from tests.compare.drawn import draw

from equiderm.compare import as_dict, compare_scores, render
from equiderm.compare.answer import answer
from equiderm.compare.ranks import rank_table
from equiderm.compare.report import write
from equiderm.errors import InputError


@pytest.fixture(scope="module")
def compared():
    scores, *rest = draw(np.random.default_rng(0), np.zeros((3, 3)), 3)
    scores[2, 1] = np.nan
    names = ["erm", "tabe", "clgr"]
    return compare_scores(scores, *rest, names=names, by="ita_band")


def test_the_verdict_comes_before_every_table(compared):
    page = render(compared, lead="Drawings.")
    assert page.index('class="verdict') < page.index("<table")
    assert page.index("Worst group and gap") < page.index("AUROC of every group")
    for text in ("Drawings.", "any constant score", "Holm&#39;s adjustment", "1 (lightest)"):
        assert text in page
    assert "http" not in page
    assert "nan" not in page.replace("financ", "").lower().split("base64")[0]


def test_json_holds_everything_and_no_nan(compared):
    content = as_dict(compared)
    assert content["schema"] == "equiderm.compare/2"
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["failed"] == [{"experiment": "clgr", "seed": 1, "reason": "has no scores"}]
    runs = [one for one in content["tests"][0]["runs"] if one["experiment"] == "clgr"]
    assert {one["value"] for one in runs if one["seed"] == 1} == {None}


def test_every_table_is_written_as_csv_and_latex(compared, tmp_path):
    files = write(compared, tmp_path / "page.html")
    names = {path.name for path in files}
    assert {"page.html", "page.json", "test-auroc.csv", "test-auroc.tex"} <= names
    assert {"test-minus-erm.csv", "test-minus-erm.tex", "test-runs.csv"} <= names
    with (tmp_path / "page-tables" / "test-runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 3 * 6  # methods, seeds, figures
    assert "\\toprule" in (tmp_path / "page-tables" / "test-minus-erm.tex").read_text()


def test_no_name_runs_in_the_page_or_in_a_spreadsheet(tmp_path):
    evil = "'\"><img src=x onerror=x>"
    scores, target, patient, group = draw(np.random.default_rng(0), np.zeros((2, 2)), 2, (150, 150))
    label = np.array([evil, "=cmd|' /C calc'!A0"])[group]
    given = {"names": ["erm", f"=1+{evil}"], "by": f"tone{evil}"}
    files = write(compare_scores(scores, target, patient, label, **given), tmp_path / "page.html")
    assert Page(files[0].read_text("utf-8")).run == []
    for path in files[2:]:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                cells = [cell for row in csv.reader(file) for cell in row]
            assert not [cell for cell in cells if re.match(r"[=@]|[+-](?!\d)", cell)]
    differences = tmp_path / "page-tables" / "test-minus-erm.csv"
    assert re.search(r",[+-]\d\.\d+ \([+-]\d", differences.read_text("utf-8"))  # as it is printed


def test_ranks_are_means_over_tests_with_nemenyis_critical_difference(compared):
    import dataclasses

    second = dataclasses.replace(compared.tests[0], split="test-b")
    two = dataclasses.replace(compared, tests=(compared.tests[0], second))
    table, critical = rank_table(two)
    assert sorted(table["rank"]) == [1, 2, 3]
    assert critical == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 2)), rel=1e-3)  # Demšar, table 5
    assert "critical difference" in render(two)
    assert two.plot.ranks().axes[0].get_xlabel().startswith("Mean rank")
    with pytest.raises(InputError, match="ranks are over several test splits"):
        compared.plot.ranks()


def test_a_group_alone_is_compared_without_worst_and_gap():
    scores, target, patient, _ = draw(np.random.default_rng(0), np.zeros((2, 1)), 3, (300,))
    assert "overall" in render(compare_scores(scores, target, patient)).lower()


def test_the_comparison_is_one_line_and_a_short_table_in_a_notebook(compared):
    assert repr(compared).startswith("Compared(erm, tabe, clgr, 3 seeds, by ita_band, on ")
    assert len(repr(compared)) <= 160
    assert len(repr(compared.tests[0])) <= 160
    assert answer(compared)[0] in compared._repr_html_().replace("&#39;", "'")


def test_the_pictures_are_figures(compared):
    for figure in (
        compared.plot.levels("gap"),
        compared.plot.pareto(),
        compared.plot.differences(),
    ):
        assert isinstance(figure, Figure)
    assert compared.plot.levels("overall").axes[0].get_xlabel() == "overall AUROC"
    for unknown in (
        lambda: compared.plot.levels("nothing"),
        lambda: compared.plot.levels(test="nothing"),
        lambda: compared.plot.curves(),
    ):
        with pytest.raises(InputError, match=r"there (is|are) no"):
            unknown()
