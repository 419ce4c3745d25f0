"""The walk-throughs of docs/extend.md, carried out word by word on a copy of the project."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import releases

from tests.test_doc_blocks import ALSO, ROOT, blocks, commands, write_presupposed
from tests.training.conftest import make_lesions

PAGE = ROOT / "docs" / "extend.md"
DIAGNOSES = ["nevus", "melanoma", "carcinoma", "nevus"]
PLACE = re.compile(r'(?:(?P<where>after|before) "(?P<line>[^"]+)"|file): (?P<path>\S+)')


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project, with the tables and photographs that the commands name."""
    root = tmp_path_factory.mktemp("project")
    for name in ("src", "tests", "docs", "experiments"):
        leave = shutil.ignore_patterns("_build", "*.jpg", "*.png")
        shutil.copytree(ROOT / name, root / name, ignore=leave)
    shutil.copy(ROOT / "pyproject.toml", root)
    write_presupposed(root)
    return root


def place(root: Path, mark: str, text: str) -> None:
    """Put a block where its mark says: after or before a line, or at the end of a file."""
    said = PLACE.fullmatch(mark)
    assert said, mark
    path = root / said["path"]
    path.parent.mkdir(parents=True, exist_ok=True)
    if said["where"] is None:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(before + text, encoding="utf-8")
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    at = next(k for k, line in enumerate(lines) if line.startswith(said["line"]))
    lines.insert(at + (said["where"] == "after"), text)
    path.write_text("".join(lines), encoding="utf-8")


def run(root: Path, words: list[str]) -> str:
    runs = {"python": [], "equiderm": ["-m", "equiderm"]}
    done = subprocess.run(
        [sys.executable, *runs[words[0]], *words[1:], *ALSO.get(words[1], [])],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def walk(root: Path, title: str) -> list[str]:
    """Do what the section says; return what its commands print."""
    text = PAGE.read_text(encoding="utf-8")
    start = text.count("\n", 0, text.index(f"\n## {title}\n"))
    end = text.find("\n## ", text.index(f"\n## {title}\n") + 1)
    end = text.count("\n", 0, end) if end >= 0 else text.count("\n")
    printed: list[str] = []
    for block in blocks(PAGE):
        if not start < block.line <= end:
            continue
        if block.kind == "sh":
            printed += [run(root, words) for words in commands(block.text)]
        else:
            place(root, block.mark, block.text)
    return printed


@pytest.mark.slow
def test_the_method_passes_its_tests_trains_and_describes_itself(project):
    tests, _, _ = walk(project, "A method")
    assert re.search(r"(\d+) passed", tests)
    assert "reversal = 0.2" in (project / "runs" / "grl" / "experiment.toml").read_text()
    assert "\n## grl\n" in (project / "docs" / "methods.md").read_text(encoding="utf-8")


def test_the_data_set_passes_the_tests_of_adapters_and_becomes_a_manifest(project):
    rows = [(f"p{n}", "AABCD"[n], DIAGNOSES[n], n + 1) for n in range(4)] + [
        ("p4", "D", "nevus", "")
    ]
    releases.write_csv(project / "downloads/clinic/clinic.csv", "photo,person,verdict,type", rows)
    for name, *_ in rows:
        releases.write_image(project / "downloads" / "clinic" / f"{name}.jpg")
    tests, _ = walk(project, "A data set")
    assert re.search(r"(\d+) passed", tests)
    frame = pd.read_parquet(project / "clinic.parquet")
    assert frame["target"].tolist() == [0, 1, 1, 0, 0]
    assert frame["fitzpatrick_type"].isna().tolist() == [False] * 4 + [True]


@pytest.mark.slow
def test_the_figure_stands_in_the_report_with_interval_gap_and_chance(project):
    walk(project, "A figure of the audit")
    assert "Log loss" in (project / "report.html").read_text(encoding="utf-8")
    made = json.loads((project / "report.json").read_text(encoding="utf-8"))
    overall = [f for f in made["figures"] if (f["figure"], f["group"]) == ("log_loss", "overall")]
    assert overall[0]["low"] < overall[0]["value"] < overall[0]["high"]
    gap = next(g for g in made["gaps"] if g["metric"] == "log_loss")
    assert gap["low"] <= gap["value"] <= gap["high"]
    assert 0 < gap["null_mean"] < gap["null_95"]


def test_the_estimator_passes_the_tests_of_estimators_and_labels_photographs(project):
    tests, _ = walk(project, "An estimator of skin tone")
    passed = re.search(r"(\d+) passed", tests)
    assert passed and int(passed[1]) > 2
    table = pd.read_csv(project / "second.csv")
    assert set(table["method"]) == {"patch-second"}
    assert table["ita"].notna().all()
    assert len(list((project / "overlays").iterdir())) == len(table)


def test_the_scheme_passes_the_tests_of_schemes_and_cuts_a_table(project):
    tests, _, _ = walk(project, "A scheme of bands")
    assert int(re.search(r"(\d+) passed", tests)[1]) >= 5
    before, after = (pd.read_csv(project / name) for name in ("photographs.csv", "two.csv"))
    assert ((after["ita_band"] == "lighter") == (before["ita"] > 28)).all()


@pytest.mark.slow
def test_the_command_passes_the_tests_of_commands_and_prints_its_table(project):
    tests, _, printed = walk(project, "A command")
    assert int(re.search(r"(\d+) passed", tests)[1]) >= 6
    header, *rows = printed.splitlines()
    assert header.split() == ["ITA", "band", "images"]
    assert sum(int(row.split()[-1]) for row in rows) == 41


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The page's package as pip would leave it: its module, and a record of its entry points."""
    from equiderm.debias import METHODS

    walk(tmp_path, "A package of your own")
    source = tmp_path / "greenhouse"
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    record = source / "greenhouse-0.1.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: greenhouse\nVersion: 0.1\n")
    lines = []
    for group, points in {
        **project["entry-points"],
        "equiderm.methods": {
            **project["entry-points"]["equiderm.methods"],
            "broken": "nowhere:Nothing",
            "none": "greenhouse:two_layers",
        },
    }.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (record / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(source)
    before = dict(METHODS)
    yield
    METHODS.clear()
    METHODS.update(before)
    sys.modules.pop("greenhouse", None)


def of_greenhouse(method, backbone="two_layers"):
    from equiderm.training import experiment_from

    return experiment_from(
        {
            "method": {"name": method} | ({"gamma": 1.0} if method == "focal" else {}),
            "backbone": {"name": backbone, "weights": "random"},
            "data": {"size": 32},
            "training": {"epochs": 1, "batch_size": 16, "tracker": "none"},
            "prediction": {"views": 1},
        }
    )


def test_an_installed_package_offers_a_method_and_a_backbone(installed, tmp_path):
    from equiderm.training import ArrayImages, fit, load_run, predict
    from equiderm.training.experiment import experiment_schema

    images, frame = make_lesions(64)
    store = ArrayImages(images, frame["image_id"].tolist())
    experiment = of_greenhouse("focal")
    experiment.check_backbone()
    titles = [one["title"] for one in experiment_schema()["properties"]["method"]["oneOf"]]
    assert "focal" in titles and "broken" not in titles
    run = fit(experiment, frame, tmp_path / "run", images=store)
    assert type(load_run(run).method).__name__ == "Focal"
    assert load_run(run).backbone.n_features == 8
    assert predict(run, store, frame)["score"].between(0, 1).all()


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("broken", "nowhere:Nothing, which an installed package offers, cannot be imported"),
        ("none", "its package offers no class of Method"),
        ("nothing", "density, broken, focal, none"),
    ],
)
def test_what_a_package_offers_in_vain_is_one_sentence(installed, method, said):
    from equiderm.errors import InputError

    with pytest.raises(InputError, match=said):
        of_greenhouse(method)
