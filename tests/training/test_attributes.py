"""A measured number as group, and several group columns: from the experiment to the probe."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import spearmanr
from tests.training.test_state import Stop, assert_identical, stop_at

from equiderm.batch import Target
from equiderm.debias import Attribute
from equiderm.errors import InputError
from equiderm.training import NumberProbe, Probe, experiment_from, fit, load_run, probe
from equiderm.training.probe import _rank_intervals, probe_number
from equiderm.training.rows import select_rows

DOUBLE = {"group": ["ita", "instrument"], "numbers": ["ita"]}


@pytest.fixture
def double(make_experiment):
    """LNTL of the instrument beside TABE of the tone."""

    def make(**tables):
        options = {"schedule": "alternating", "ita": {"name": "tabe", "confusion_weight": 0.2}}
        return make_experiment("lntl", method_options=options, data=DOUBLE, **tables)

    return make


def test_a_stopped_run_of_two_heads_goes_on_to_bit_identical_weights(double, toned, tmp_path):
    images, frame = toned
    experiment = double(training={"checkpoint_steps": 2})

    whole = fit(experiment, frame, tmp_path / "whole", images=images)
    with pytest.raises(Stop):
        fit(experiment, frame, tmp_path / "stopped", images=images, watch=stop_at(5))
    again = fit(experiment, frame, tmp_path / "stopped", images=images)
    assert_identical(whole, again)
    names = load_file(whole / "model.safetensors").keys()
    assert {"group_head.0.0.weight", "group_head.1.0.weight"} < names
    assert {"group ita", "group instrument"} < load_run(whole).about["history"][0].keys()


def test_a_run_of_two_columns_is_probed_for_each(double, toned, tmp_path):
    images, frame = toned
    run = load_run(fit(double(training={"epochs": 1}), frame, tmp_path / "run", images=images))
    number, groups = run.about["attributes"]
    train = frame.loc[frame["split"] == "train", "ita"]
    assert (number["column"], number["kind"]) == ("ita", "number")
    assert (number["mean"], number["std"]) == pytest.approx((train.mean(), train.std(ddof=0)))
    assert groups["names"] == ["camera", "lens"]
    seen = []
    found = probe(run, images, frame, progress=lambda *of: seen.append(of))
    assert {total for _, total in seen} == {96 * 6}  # two backbones, each read and probed twice
    assert seen[0][0] > 0
    assert seen[-1][0] == 96 * 6
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert [(one.features, one.group) for one in found] == [
        ("trained", "ita"), ("trained", "instrument"),
        ("untrained", "ita"), ("untrained", "instrument"),
    ]  # fmt: skip
    tone, instrument = found[:2]
    assert isinstance(tone, NumberProbe)
    assert isinstance(instrument, Probe)
    assert (tone.n, instrument.n) == (95, 96)
    assert tone.low > 0.3  # the skin's brightness is in every feature
    assert instrument.low < instrument.chance < instrument.high


def test_the_head_of_one_group_column_has_what_its_own_table_says(make_experiment):
    options = {"fitzpatrick_type": {"reversal": 0.9}}
    experiment = make_experiment("lntl", method_options=options)
    attribute = Attribute("fitzpatrick_type", Target("classes", (1, 2)))
    method = experiment.build_method(torch.nn.Linear(2, 2), 2, attributes=[attribute])
    assert method.heads[0].options.reversal == 0.9


def test_the_number_that_the_method_is_given_is_standardised_by_the_training_rows(double, toned):
    _, frame = toned
    labels = select_rows(double(), frame).labels[0]
    train = (frame["split"] == "train").to_numpy() & (frame.index != 5)
    assert labels.values[train].mean() == pytest.approx(0, abs=1e-12)
    assert labels.values[train].std() == pytest.approx(1)
    assert np.isnan(labels.values[5])


def test_resampling_balances_the_cells_of_all_columns(make_experiment, toned):
    _, frame = toned
    columns = ["fitzpatrick_type", "instrument"]
    cell = select_rows(make_experiment("resampling", data={"group": columns}), frame).cell
    assert len(set(cell)) == 6
    assert frame.assign(cell=cell).groupby(columns)["cell"].nunique().eq(1).all()


@pytest.mark.parametrize(
    ("method", "tables", "message"),
    [
        ("lntl", {"data": {"group": "ita", "numbers": ["ita"]}}, "ita is a number"),
        ("group_dro", {"data": {"group": "ita", "numbers": ["ita"]}}, "compares groups"),
        ("resampling", {"data": {"group": "ita", "numbers": ["ita"]}}, "compares groups"),
        ("mmd", {"data": {"group": ["fitzpatrick_type", "instrument"]}}, "mmd takes one column"),
        ("tabe", {"data": {"group": "instrument", "numbers": ["instrument"]}}, "no number"),
        (
            "tabe",
            {"data": DOUBLE, "validation": {"figure": "worst_group_auroc"}},
            "ita is a number, without groups",
        ),
    ],
)
def test_what_a_method_cannot_learn_is_refused_before_the_first_batch(
    make_experiment, toned, method, tables, message
):
    with pytest.raises(InputError, match=message):
        select_rows(make_experiment(method, **tables), toned[1])


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"data": {"group": []}}, "give each column once"),
        ({"data": {"group": ["a", "a"]}}, "give each column once"),
        ({"data": {"group": "a", "numbers": ["b"]}}, "is not a column of"),
        ({"data": {"group": ["a", "b"], "groups": [1, 2]}}, "lists the groups of one column"),
        ({"method": {"name": "erm", "a": {"reversal": 1.0}}, "data": {"group": "a"}}, "no group h"),
        (
            {"method": {"name": "lntl", "a": {"name": "dann"}}, "data": {"group": ["a", "b"]}},
            "does not go with lntl; only lntl, tabe, clgr",
        ),
        (
            {"method": {"name": "lntl", "a": {"schedule": "joint"}}, "data": {"group": "a"}},
            r"\[method.a\] schedule: is not a setting of a group head of lntl; those are",
        ),
    ],
)
def test_wrong_group_columns_and_heads_are_refused_with_their_key(tables, message):
    with pytest.raises(InputError, match=message):
        experiment_from(tables)


def test_a_head_has_the_method_s_options_but_for_its_own_and_both_are_written_out(double):
    one = double()
    assert one.options_of("instrument").entropy_weight == 0.01
    assert one.options_of("ita").confusion_weight == 0.2
    text = one.to_toml()
    assert "[method.ita]" in text
    import tomllib

    assert experiment_from(tomllib.loads(text)).to_toml() == text


def test_a_probe_reads_a_number_that_is_there_and_none_that_is_not():
    generator = np.random.default_rng(0)
    value = generator.normal(20, 15, 400)
    noise = generator.normal(size=(400, 6))
    bent = np.stack([np.abs(value - 20), value], axis=1)  # the number is a bend of the first
    there = probe_number(noise + bent[:, 1:], value, np.arange(400) // 2, name="trained")
    absent = probe_number(noise, value, np.arange(400) // 2, name="trained")
    only_network = probe_number(noise + value[:, None], bent[:, 0], np.arange(400), name="trained")
    assert there.low > 0.9
    assert there.low <= there.spearman <= there.high
    assert absent.low < 0 < absent.high
    assert only_network.high < 0.4 < only_network.mlp_low
    assert (there.n, there.patients, there.chance) == (400, 200, 0)


def test_the_interval_of_a_rank_correlation_goes_by_patient():
    generator = np.random.default_rng(0)
    a = generator.normal(size=80)
    b = a + generator.normal(size=80)
    once = _rank_intervals([a, -a], b, np.arange(80))
    ten, turned = (np.repeat(one, 10) for one in (a, -a))
    twice = _rank_intervals([ten, turned], np.repeat(b, 10), np.repeat(np.arange(80), 10))
    assert np.allclose(twice, once, atol=1e-3)
    low, high = once[0]
    assert low == pytest.approx(-once[1][1])
    assert low < spearmanr(a, b)[0] < high
