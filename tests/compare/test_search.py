"""The search before a comparison: ranges, draws, and a choice that no test has a part in."""

import dataclasses
import json

import numpy as np
import pytest
from tests.compare.test_runs import experiment
from tests.training.conftest import make_lesions

from equiderm.compare.comparison import compare
from equiderm.compare.report import as_dict, render
from equiderm.errors import InputError
from equiderm.training import ArrayImages
from equiderm.training.ranges import Range, draw

RATES = {"optimizer": {"backbone": {"low": 1e-4, "high": 0.1, "log": True}}}


def test_a_logarithmic_range_is_even_in_the_logarithm():
    one = Range(low=1e-4, high=1e-2, log=True)
    assert [one.at(share) for share in (0, 0.5, 1)] == pytest.approx([1e-4, 1e-3, 1e-2])


def test_each_whole_number_of_a_range_is_as_likely_as_the_others():
    one = Range(low=2, high=5)
    values = [one.at(share) for share in np.linspace(0, 1, 4001)[1:-1]]
    assert {type(value) for value in values} == {int}
    assert np.allclose(np.bincount(values, minlength=6)[2:] / len(values), 0.25, atol=0.001)


def test_the_same_range_has_the_same_draws_in_every_experiment_and_more_begin_alike():
    both = [experiment(name, search=RATES) for name in ("erm", "lntl")]
    drawn = [[draw(one, number)[1] for number in range(4)] for one in both]
    assert drawn[0] == drawn[1]
    rates = [one["optimizer.backbone"] for one in drawn[0]]
    assert len(set(rates)) == 4
    assert draw(both[0], 2)[0].optimizer.backbone == rates[2]


def test_choices_are_drawn_from_a_list():
    one = experiment("lntl", search={"method": {"reversal": [0.1, 1.0]}})
    assert {draw(one, number)[0].options.reversal for number in range(12)} == {0.1, 1.0}


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"optimizer": {"bakcbone": [0.1]}}, "bakcbone: unknown key"),
        ({"optimizer": {"backbone": {"low": -1.0, "high": 1.0}}}, "give 0 or more"),
        ({"optimizer": {"backbone": {"low": 0.0, "high": 1.0, "log": True}}}, "needs low above 0"),
        ({"optimizer": {"backbone": {"low": 2.0, "high": 1.0}}}, "low must be below high"),
        ({"optimizer": {"backbone": 0.1}}, "a list of choices"),
        ({"data": {"size": [32, 64]}}, r"\[search\] data: give ranges"),
        ({"method": {"name": ["erm", "lntl"]}}, "write a file for each method"),
        ({"backbone": 3}, r"\[search\] backbone: give ranges"),
    ],
)
def test_a_range_that_cannot_be_drawn_from_is_named_when_the_file_is_read(search, message):
    with pytest.raises(InputError, match=message):
        experiment(search=search)


def searched(name, **tables):
    return experiment(name, validation={"figure": "auroc"}, search=RATES, **tables)


@pytest.fixture(scope="module")
def material():
    images, frame = make_lesions(160, groups=(1, 2))
    frame["split"] = np.select(
        [np.arange(160) < 80, np.arange(160) < 120], ["train", "validation"], "test"
    )
    return frame, ArrayImages(images, frame["image_id"].tolist())


@pytest.fixture(scope="module")
def compared(material, tmp_path_factory):
    frame, images = material
    out = tmp_path_factory.mktemp("runs")
    both = {name: searched(name) for name in ("erm", "lntl")}
    said = []
    return compare(both, frame, out, images=images, seeds=1, search=2, watch=said.append), out, said


def test_the_draw_with_the_highest_validation_figure_is_compared(compared):
    result, out, _ = compared
    for name in ("erm", "lntl"):
        rows = result.tried[result.tried["experiment"] == name]
        values = {}
        for row in rows.to_dict("records"):
            about = json.loads(
                (out / name / "search" / f"draw-{row['draw']}" / "run.json").read_text()
            )
            assert row["value"] == max(entry["auroc"] for entry in about["history"])
            values[row["draw"]] = row["value"]
        assert sorted(values) == [0, 1]
        chosen = rows[rows["chosen"]]
        assert chosen["value"].item() == max(values.values())
        rate = json.loads(chosen["settings"].item())["optimizer.backbone"]
        assert result.experiments[name].optimizer.backbone == rate


def test_no_draw_is_scored_on_a_test(compared):
    _, out, _ = compared
    assert (out / "erm" / "seed-0" / "test.parquet").is_file()
    assert not list(out.glob("*/search/*/test*"))


def test_a_search_that_was_made_is_used_as_it_is(compared, material):
    result, out, said = compared
    frame, images = material
    again = []
    both = {name: searched(name) for name in ("erm", "lntl")}
    second = compare(both, frame, out, images=images, seeds=1, search=2, watch=again.append)
    assert sum(line.endswith("trained") for line in said) == 6
    assert [line for line in again if not line.endswith("found")] == []
    assert second.tried.equals(result.tried)


def test_the_report_shows_every_draw(compared):
    result, _, _ = compared
    page = render(result)
    assert "What was tried before" in page
    assert "the best of 2 draws" in page
    assert len(as_dict(result)["tried"]) == 4


def test_a_search_needs_ranges_of_every_experiment_and_one_figure(material, tmp_path):
    frame, images = material
    erm = searched("erm")
    for other, message in (
        (dataclasses.replace(searched("lntl"), search={}), "lntl: states no range"),
        (experiment("lntl", search=RATES), "figure = 'auroc' and 'none'"),
    ):
        with pytest.raises(InputError, match=message):
            compare({"erm": erm, "lntl": other}, frame, tmp_path, images=images, search=2)
