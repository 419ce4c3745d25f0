"""The report's pictures as figures of matplotlib."""

import pickle

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from tests.audit.conftest import make_predictions

from equiderm.audit import METRICS, audit, groups
from equiderm.audit.calibration import calibration_edges
from equiderm.errors import InputError


@pytest.fixture(scope="module")
def result():
    return audit(make_predictions(400), by="ita_band")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("forest", "AUROC"),
        ("roc", "1 - specificity"),
        ("calibration", "Mean score"),
        ("chance", "Gap of AUROC"),
    ],
)
def test_each_picture_is_a_figure_of_its_own(result, name, label):
    one, two = (getattr(result.plot, name)() for _ in range(2))
    assert isinstance(one, Figure)
    assert one.axes[0].get_xlabel() == label
    assert one is not two
    assert one._repr_png_().startswith(b"\x89PNG")  # what a notebook shows
    assert isinstance(pickle.loads(pickle.dumps(one)), Figure)
    assert pyplot.get_fignums() == []


def test_a_notebook_shows_the_answer_and_the_headline_figures_and_draws_no_bootstrap(monkeypatch):
    monkeypatch.setattr(groups, "replicate", None)  # a call of it would fail
    result = audit(make_predictions(400), by="ita_band")
    page = result._repr_html_()
    assert result.answer()[0] in page
    assert "<table" in page
    with pytest.raises(TypeError):
        result.compute()


def test_computing_the_rest_reports_every_step():
    seen = []
    audit(make_predictions(200), by="ita_band").compute(lambda *step: seen.append(step))
    assert [done for done, _ in seen] == list(range(len(METRICS) + 1))
    assert {total for _, total in seen} == {len(METRICS)}


def test_the_forest_draws_the_values_of_the_audit(result):
    axes = result.plot.forest("sensitivity").axes[0]
    drawn = {float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 1}
    groups = ["overall", *result.results["ita_band"].grouping.labels]
    assert drawn == {result.figure("sensitivity", group).value for group in groups}


def test_a_comparison_draws_its_differences(result):
    worse = make_predictions(400)
    worse["score"] = 0.5 * worse["score"] + 0.25 * (worse.index % 3 == 0)
    comparison = result.compare(audit(worse, by="ita_band"))
    axes = comparison.plot.forest().axes[0]
    assert axes.get_xlabel() == "AUROC, A minus B"
    assert len(repr(comparison)) <= 160


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda plot: plot.forest("nothing"), "there is no figure 'nothing'"),
        (lambda plot: plot.forest(by="age"), "there is no group column 'age'"),
        (lambda plot: plot.roc(by="age"), "there is no group column 'age'"),
    ],
)
def test_what_is_unknown_is_named(result, draw, said):
    with pytest.raises(InputError, match=said):
        draw(result.plot)


def test_a_column_that_is_none_is_named_by_the_answers_in_words(result):
    for answer in (result.first_screen, result.reference_of):
        with pytest.raises(InputError, match="there is no group column 'age'; choose ita_band"):
            answer("age")


def test_without_a_target_there_is_no_roc():
    result = audit(make_predictions(200).drop(columns="target"), by="ita_band", no_truth=True)
    with pytest.raises(InputError, match="has no target"):
        result.plot.roc()


def test_the_calibration_picture_draws_the_bins_of_the_weighted_error():
    frame = make_predictions(400).assign(w=lambda t: np.where(t["score"] > 0.5, 9.0, 1.0))
    weighted = audit(frame, by="ita_band", weight="w")
    results = weighted.results["ita_band"]
    line = weighted.plot.calibration().axes[0].lines[1]  # the first is the diagonal
    study = results.study
    mean = set()
    for group in results.compared("auroc"):
        rows = frame["ita_band"].astype(str).to_numpy() == str(group)
        edges = calibration_edges(study.score[rows], study.weight[rows])
        bin_of = np.searchsorted(-edges, -study.score[rows], "left")
        mean.add(tuple(np.round([
            np.average(study.score[rows][bin_of == k], weights=study.weight[rows][bin_of == k])
            for k in range(len(edges))
        ], 9)))  # fmt: skip
    assert tuple(np.round(line.get_xdata(), 9)) in mean
