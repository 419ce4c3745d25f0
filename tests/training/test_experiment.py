import dataclasses
import math
from pathlib import Path

import pytest

from equiderm.debias import METHODS
from equiderm.errors import InputError
from equiderm.training import experiment_from, experiment_schema, read_experiment

FOLDER = Path(__file__).parents[2] / "experiments"
EXPERIMENTS = sorted(FOLDER.rglob("*.toml"))
NEW = {
    "group_dro",
    "dfr",
    "domain_independent",
    "dann",
    "cdann",
    "leace",
    "color_consistency",
}  # not in the paper
PUBLISHED = sorted(
    path
    for path in [*FOLDER.glob("*.toml"), *FOLDER.glob("fitzpatrick17k/*.toml")]
    if path.stem not in NEW
)


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


def test_a_mark_at_the_beginning_of_a_file_is_not_part_of_it(tmp_path):
    path = tmp_path / "windows.toml"
    path.write_text('[method]\nname = "tabe"\n', encoding="utf-8-sig")
    assert read_experiment(path).method["name"] == "tabe"


def test_the_resolved_copy_writes_every_hyper_parameter_out():
    resolved = experiment_from({"method": {"name": "clgr"}}).to_toml()
    assert "reversal = 0.1" in resolved
    assert "confusion_weight = 0.03" in resolved
    assert "momentum = 0.9" in resolved


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"methodd": {}}, "did you mean method"),
        ({"method": {"name": "LNLT"}}, r"did you mean lntl\? Give one of erm"),
        ({"data": {"validation": "train"}}, "'train': is the split that trains"),
        (
            {"method": {"name": "dann"}, "data": {"group": "target"}},
            "is the target, which dann would be given as the group too",
        ),
        ({"method": {"name": "none"}}, "one of erm, lntl, tabe, clgr, resampling, group_dro"),
        ({"method": {"name": ["erm"]}}, "one of erm, lntl, tabe, clgr, resampling, group_dro"),
        ({"method": {}}, "one of erm, lntl, tabe, clgr, resampling, group_dro"),
        ({"method": {"name": "tabe", "confusion_wait": 1.0}}, "did you mean confusion_weight"),
        ({"method": {"name": "erm", "deep_heads": True}}, "deep_target_head deepens the target's"),
        (
            {"method": {"name": "erm", "reversal": 0.1}},
            "there is deep_heads, deep_target_head, dropout",
        ),
        ({"method": {"name": "lntl", "reversal": "much"}}, "a number is expected"),
        ({"method": {"name": "tabe", "n_groups": 2}}, "unknown key"),
        ({"method": {"name": "clgr", "dropout": 1.0}}, r"\[method\] dropout = 1.0: .*less than 1"),
        ({"method": {"name": "tabe", "confusion_weight": -1}}, "0 or more"),
        ({"method": {"name": "lntl", "reversal": math.inf}}, "a finite number"),
        ({"method": {"name": "clgr", "schedule": "joint", "second_backbone_rate": 1.0}}, "altern"),
        ({"data": {"size": 256.5}}, "a whole number is expected"),
        ({"data": {"size": "256"}}, "a whole number is expected"),
        ({"data": {"groups": []}}, "each group once"),
        ({"data": {"groups": ["a", "b", "a"]}}, "each group once"),
        ({"data": {"groups": [True]}}, "groups = True"),
        ({"backbone": {"name": 3}}, r"\[backbone\] name = 3: text is expected"),
        ({"data": {"groups": 6}}, "a list is expected"),
        ({"data": 3}, "a table is expected"),
        ({"training": {"precision": "fp8"}}, "'auto', 'fp32' or 'bf16'"),
        ({"training": {"epochs": 0}}, "1 or more"),
        ({"training": {"drop_last": 1}}, "true or false is expected"),
        ({"optimizer": {"backbone": -1.0}}, "0 or more"),
        ({"optimizer": {"backbone": math.nan}}, "a finite number"),
        ({"optimizer": {"momentum": -0.9}}, r"\[optimizer\] momentum = -0.9: give 0 or more"),
        ({"optimizer": {"momentum": 1.0}}, "less than 1"),
        ({"validation": {"patience": 3}}, "needs a figure"),
        ({"validation": {"figure": "auroc", "patience": -1}}, "patience = -1: give 0 or more"),
        ({"validation": {"folds": 1}}, "folds"),
        ({"prediction": {"views": 4}}, "give 1 or 8"),
        ({"prediction": {"views": True}}, "give 1 or 8"),
        ({"seed": "one"}, "a whole number is expected"),
        ({"seed": True}, "a whole number is expected"),
        ({"seed": -1}, "seed = -1: give 0 or more"),
        ({"seed": 2**63}, "seed = 9223372036854775808: give less"),
    ],
)
def test_a_wrong_experiment_is_refused_with_its_key(table, message):
    with pytest.raises(InputError, match=message):
        experiment_from(table)


def test_a_changed_experiment_is_checked_as_a_read_one_is():
    one = experiment_from({})
    assert dataclasses.replace(one, seed=3).seed == 3
    with pytest.raises(InputError, match="seed = -1"):
        dataclasses.replace(one, seed=-1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.seed = 3


@pytest.mark.parametrize("group", ["👋🏻", 'quo"te', "back\\slash", "new\nline", "\x7f", "日本"])
def test_a_group_of_any_name_survives_the_run_s_copy(group, tmp_path):
    one = experiment_from({"data": {"group": group, "groups": [group, "other"]}})
    path = tmp_path / "experiment.toml"
    path.write_text(one.to_toml(), encoding="utf-8")
    assert read_experiment(path).data == one.data


def test_the_schema_names_every_key_type_range_and_default():
    schema = experiment_schema()
    assert schema["properties"]["seed"]["minimum"] == 0
    assert schema["properties"]["seed"]["default"] == 0
    assert schema["$defs"]["OptimizerChoice"]["properties"]["momentum"]["exclusiveMaximum"] == 1
    assert schema["additionalProperties"] is False
    methods = {one["title"]: one for one in schema["properties"]["method"]["oneOf"]}
    assert set(methods) == set(METHODS)
    assert methods["clgr"]["properties"]["reversal"]["default"] == 0.1
    assert methods["clgr"]["properties"]["name"] == {"const": "clgr"}


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
