from pathlib import Path

import pytest

from equiderm.debias import METHODS
from equiderm.errors import InputError
from equiderm.training import experiment_from, read_experiment

FOLDER = Path(__file__).parents[2] / "experiments"
EXPERIMENTS = sorted(FOLDER.rglob("*.toml"))
PUBLISHED = sorted([*FOLDER.glob("*.toml"), *FOLDER.glob("fitzpatrick17k/*.toml")])


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_of_the_project_can_be_read(path):
    assert read_experiment(path).method["name"] in METHODS


def test_every_method_has_an_experiment():
    assert {read_experiment(path).method["name"] for path in EXPERIMENTS} == set(METHODS)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_the_resolved_copy_reads_back_as_the_same_experiment(path, tmp_path):
    resolved = read_experiment(path).to_toml()
    copy = tmp_path / "copy.toml"
    copy.write_text(resolved)
    assert read_experiment(copy).to_toml() == resolved


def test_the_resolved_copy_writes_every_hyper_parameter_out():
    resolved = experiment_from({"method": {"name": "clgr"}}).to_toml()
    assert "reversal = 0.1" in resolved
    assert "confusion_weight = 0.03" in resolved
    assert "momentum = 0.9" in resolved


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"methodd": {}}, "did you mean method"),
        ({"method": {"name": "dann"}}, "one of erm, lntl, tabe, clgr, resampling"),
        ({"method": {"name": "tabe", "confusion_wait": 1.0}}, "did you mean confusion_weight"),
        ({"method": {"name": "erm", "reversal": 0.1}}, "erm has deep_heads, dropout"),
        ({"method": {"name": "lntl", "reversal": "much"}}, "float is expected"),
        ({"method": {"name": "tabe", "n_groups": 2}}, "unknown key"),
        ({"data": {"size": 256.5}}, "int is expected"),
        ({"data": {"groups": 6}}, "a list is expected"),
        ({"data": 3}, "a table is expected"),
        ({"training": {"precision": "fp8"}}, "'auto', 'fp32', 'bf16'"),
        ({"training": {"epochs": 0}}, "1 or more"),
        ({"training": {"drop_last": 1}}, "bool is expected"),
        ({"optimizer": {"backbone": -1.0}}, "0 or more"),
        ({"validation": {"patience": 3}}, "needs a figure"),
        ({"validation": {"folds": 1}}, "folds"),
        ({"prediction": {"views": 4}}, "one of 1, 8"),
        ({"seed": "one"}, "int is expected"),
    ],
)
def test_a_wrong_experiment_is_refused_with_its_key(table, message):
    with pytest.raises(InputError, match=message):
        experiment_from(table)


def test_the_message_names_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[method]\nname = 'erm'\nrate = 3\n")
    with pytest.raises(InputError, match=r"mine\.toml: \[method\] rate"):
        read_experiment(path)
    path.write_text("[method\n")
    with pytest.raises(InputError, match="not a TOML file"):
        read_experiment(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_experiment(tmp_path / "none.toml")


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_published_constants_are_in_the_experiments(path):
    one = read_experiment(path)
    assert one.training.batch_size == 64
    assert one.optimizer.momentum == 0.9
    assert one.data.size == 256
    assert one.optimizer.target_head == 3e-4
    if path.stem == "erm-rate-matched":
        assert one.optimizer.backbone == pytest.approx(3.3e-3)
    if path.stem.startswith(("tabe", "clgr")):
        assert one.optimizer.group_head == 3e-3
