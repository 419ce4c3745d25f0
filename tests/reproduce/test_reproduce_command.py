"""``equiderm reproduce`` as a user runs it, and what the package and the page must hold for it."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.reproduce.miniature import EXPERIMENTS, write_downloads

import equiderm as package
from equiderm.reproduce import TABLES
from equiderm.reproduce.published import gpu_hours
from equiderm.reproduce.story import project_experiments

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
WITHOUT_TORCH = (
    "import sys; sys.modules['torch'] = None\n"
    "from equiderm.cli import main; sys.argv[0] = 'equiderm'; main()"
)


def test_without_torch_labels_are_measured_and_a_table_says_what_to_install(tmp_path):
    write_downloads(tmp_path / "dl", judged=40, isic=4)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "reproduce", "all", "--data", "dl", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    told = {one["table"]: one for one in json.loads(done.stdout)["tables"]}
    assert told["labelling"]["status"] == told["figure4"]["status"] == "in part"
    assert any("of 16,536 images" in why for why in told["labelling"]["missing"])
    assert told["table1"]["missing"] == ["training needs torch: pip install 'equiderm[train]'"]
    assert (tmp_path / "reproduced" / "all.html").stat().st_size > 20_000


def test_an_empty_folder_names_every_source_with_how_to_get_it_and_exits_1(equiderm, tmp_path):
    (tmp_path / "dl").mkdir()
    done = equiderm("reproduce", "figure4", "--data", "dl")
    assert done.returncode == 1
    assert "equiderm fetch isic2020 dl/isic2020 (23 GB)" in done.stdout
    assert "Register at https://derm.cs.sfu.ca/" in done.stdout
    assert "isic2017 is missing" in done.stdout


def test_list_needs_no_folder_and_says_sizes_hours_and_registrations(equiderm, tmp_path):
    done = equiderm("reproduce", "--list", "--json")
    assert done.returncode == 0 and list(tmp_path.iterdir()) == []
    told = json.loads(done.stdout)
    parts = {one["part"]: one for one in told["parts"]}
    assert list(parts) == list(TABLES)
    assert (parts["table2"]["bytes"], parts["table2"]["gpu_hours"]) == (35_000_000_000, 3.9)
    assert parts["table1"]["register"] == ["fitzpatrick17k"]
    assert {one["source"]: one["images"] for one in told["sources"]}["isic2020"] == 33_126
    optional = {one["source"] for one in told["sources"] if one["optional"]}
    assert optional == {"isic2018", "isic2019"}
    printed = equiderm("reproduce", "--list").stdout
    assert "Together 35 GB without the optional ones" in printed
    assert "jpeg-melanoma-256x256" in printed and "8.4 GPU hours per seed" in printed


def test_hours_of_rows_that_tables_share_count_once():
    hours = {name: gpu_hours([table]) for name, table in TABLES.items()}
    assert gpu_hours([TABLES["table1"], TABLES["table3"]]) < hours["table1"] + hours["table3"]
    assert hours["table1"] == pytest.approx(30 * (2 * 27 + 3 * 53) / 3600)


def test_a_source_elsewhere_is_read_and_one_of_another_name_beside_is_suggested(equiderm, tmp_path):
    write_downloads(tmp_path / "dl", judged=4, isic=4)
    (tmp_path / "dl" / "isic2020").rename(tmp_path / "dl" / "siim-isic")
    (tmp_path / "dl" / "isic2017").rename(tmp_path / "elsewhere")
    done = equiderm("reproduce", "figure4", "--data", "dl", "--source", "isic2017=elsewhere")
    assert "it seems to be in dl/siim-isic: --source isic2020=dl/siim-isic" in done.stdout
    assert "here, isic2017 alone" not in done.stdout  # Figure 4 has a column instead
    assert "isic2017 alone" in done.stdout
    assert done.returncode == 1
    both = ["--source", "isic2017=elsewhere", "--source", "isic2020=dl/siim-isic"]
    assert "alone" not in equiderm("reproduce", "figure4", "--data", "dl", *both).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["figure4", "--data", "gone"], "gone: is not a folder"),
        (["figure4"], "--data is missing"),
        ([], "TABLE is missing"),
        (["figure4", "--source", "isic2020"], "give NAME=PATH"),
        (
            ["figure4", "--source", "isic2020=gone"],
            "gone: is not a folder; give the one that holds isic2020",
        ),
        (["figure4", "--source", "isic=."], "isic: is not a source of the paper"),
        (["table2", "--data", ".", "--stand-in", "--as-published"], "choose one"),
        (["table9", "--data", "."], "table9: there is no such table; choose table1, table2"),
    ],
)
def test_unusable_arguments_exit_2_with_one_sentence(equiderm, arguments, message):
    done = equiderm("reproduce", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_wheel_and_the_source_archive_carry_the_experiments():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    forced = build["targets"]["wheel"]["force-include"]
    assert (ROOT / next(iter(forced))) == EXPERIMENTS
    assert forced == {"experiments": "equiderm/experiments"}
    assert "experiments" in build["targets"]["sdist"]["include"]


def test_the_installed_package_s_own_experiments_are_found_first(tmp_path, monkeypatch):
    installed = tmp_path / "equiderm"
    (installed / "experiments").mkdir(parents=True)
    (installed / "experiments" / "erm.toml").touch()
    assert project_experiments() == EXPERIMENTS
    monkeypatch.setattr(package, "__file__", str(installed / "__init__.py"))
    assert project_experiments() == installed / "experiments"


def test_the_page_names_every_part_and_every_source_it_needs():
    for name, table in TABLES.items():
        assert f"`{name}`" in PAGE
        for source in table.needs:
            assert f"`{source}`" in PAGE


def test_the_page_has_every_key_of_the_json(equiderm, tmp_path):
    (tmp_path / "dl").mkdir()
    content = json.loads(equiderm("reproduce", "figure4", "--data", "dl", "--json").stdout)
    assert content["schema"] == "equiderm.reproduce/2"
    keys = {*content, *content["sources"][0], *content["tables"][0]}
    assert [key for key in keys if f"`{key}`" not in PAGE] == []
