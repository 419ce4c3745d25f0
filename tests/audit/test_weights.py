import json

import numpy as np
import pandas as pd
import pytest

from equiderm.audit import METRICS, Audit, GroupScorer, Options, audit, from_metricframe
from equiderm.audit.calibration import calibration_interval
from equiderm.audit.counting import Segments
from equiderm.audit.label_error import _figure
from equiderm.errors import InputError
from equiderm.statistics.estimates import clustered_variance

FEW = Options(replicates=200)
CUTS = {"threshold": 0.5, "specificity": 0.5, "sensitivity": 0.4}


def table(rows: int = 400, patients: int | None = None) -> pd.DataFrame:
    random = np.random.default_rng(5)
    patient = random.integers(0, patients or rows, rows)
    target = random.random(rows) < 0.3
    noise = random.normal(size=rows) + 0.5 * random.normal(size=patient.max() + 1)[patient]
    score = np.round(1 / (1 + np.exp(-(noise + 1.5 * target - 0.8))), 3)
    frame = pd.DataFrame({"target": target.astype(int), "score": score})
    frame["group"] = np.where(random.random(rows) < 0.4, "a", "b")
    frame["patient_id"] = patient
    frame["w"] = random.integers(1, 4, rows)
    return frame


def repeated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.loc[frame.index.repeat(frame["w"])].drop(columns="w")


def test_equal_weights_give_the_figures_without_weights_to_the_last_digit():
    frame = table()
    plain, weighted = (
        audit(one, by="group", weight=weight, options=FEW).table
        for one, weight in ((frame.drop(columns="w"), None), (frame.assign(w=2.5), "w"))
    )
    pd.testing.assert_frame_equal(plain, weighted, check_exact=True)


@pytest.mark.parametrize("factor", [1.0, 1e-3, 1e5])
def test_a_weight_of_two_is_the_row_twice_for_every_figure(factor):
    frame = table(3000)
    plain = audit(repeated(frame), by="group", options=FEW).by_group()
    weighted = audit(frame.assign(w=frame["w"] * factor), by="group", weight="w", options=FEW)
    weighted = weighted.by_group()
    np.testing.assert_allclose(weighted, plain, rtol=1e-9)


@pytest.mark.parametrize(
    "metric", ["auroc", "sensitivity", "specificity", "ppv", "accuracy", "selection_rate"]
)
def test_whole_weights_and_rows_repeated_within_a_patient_have_the_same_interval(metric):
    frame = table(3000, patients=600)
    plain = audit(repeated(frame), by="group", patient="patient_id", options=FEW)
    weighted = audit(frame, by="group", patient="patient_id", weight="w", options=FEW)
    for group in ("overall", "a", "b"):
        expected = plain.figure(metric, group)
        one = weighted.figure(metric, group)
        # To 1 % of its width: copies count as rows where degrees of freedom are estimated.
        assert one[:3] == pytest.approx(expected[:3], abs=0.01 * (expected.high - expected.low))
        results = [r.results["group"] for r in (weighted, plain)]
        variances = [
            clustered_variance(r.influence(metric, group), r.study.patient_of(r.of(group)))[0]
            for r in results
        ]
        assert variances[0] == pytest.approx(variances[1], rel=1e-9)


def test_the_calibration_error_has_the_interval_of_repeated_rows():
    frame = table(3000, patients=600)
    whole = repeated(frame)
    weight, patient = frame["w"].to_numpy(float), frame["patient_id"].to_numpy()
    expected = calibration_interval(
        whole["target"].to_numpy(bool), whole["score"].to_numpy(), whole["patient_id"].to_numpy()
    )
    rows = frame["target"].to_numpy(bool), frame["score"].to_numpy(), patient
    assert calibration_interval(*rows, weight=weight) == pytest.approx(expected, rel=0.02)
    once = calibration_interval(rows[0], rows[1])
    assert calibration_interval(rows[0], rows[1], weight=np.full(3000, 2.5)) == pytest.approx(once)


def test_the_difference_of_groups_has_the_interval_of_repeated_rows():
    frame = table(3000, patients=600)
    plain = audit(repeated(frame), by="group", patient="patient_id", options=FEW)
    weighted = audit(frame, by="group", patient="patient_id", weight="w", options=FEW)
    for metric in ("auroc", "sensitivity", "net_benefit"):
        one, other = (r.results["group"].differences().compared(metric) for r in (weighted, plain))
        assert [row[4:7] for row in one] == [pytest.approx(row[4:7], abs=1e-3) for row in other]


def test_weights_that_differ_widen_the_interval_of_the_same_figure():
    random, rows = np.random.default_rng(3), 4000
    weight = np.tile([0.05, 4.0], rows // 2)
    frame = table(rows).assign(w=weight, target=random.integers(0, 2, rows))
    weighted, plain = (
        audit(frame, by="group", weight=one, options=FEW).figure("sensitivity")
        for one in ("w", None)
    )
    # Half of the rows hardly count: about as wide as with half of the rows.
    ratio = (weighted.high - weighted.low) / (plain.high - plain.low)
    assert ratio == pytest.approx(2**0.5, abs=0.06)


@pytest.mark.parametrize("metric", [m for m, kind in METRICS.items() if kind.influence])
def test_a_weighted_influence_is_the_derivative_of_the_figure_times_the_weight(metric):
    frame, kind = table(200), METRICS[metric]
    target, score = frame["target"].to_numpy(bool), frame["score"].to_numpy().round(1)
    weight = frame["w"].to_numpy(float)
    order = np.argsort(-score, kind="stable")

    def figure(weight: np.ndarray) -> float:
        levels = {"threshold": 0.5, "specificity": 0.9, "sensitivity": 0.9}
        segments = Segments(target, score, [order], levels=levels, cuts=CUTS, weight=weight)
        return float(segments.count(np.ones((1, 200)))[0, list(METRICS).index(metric), 0])

    at = {"threshold": CUTS[kind.at]} if kind.at else {}
    assert kind.influence is not None
    moved = kind.influence(target, score, weight=weight, **at)
    for row in (0, 50, 100, int(np.flatnonzero(target)[0]), int(np.argmax(score))):
        step = 1e-4 * weight * (np.arange(200) == row)
        slope = (figure(weight + step) - figure(weight - step)) / 2e-4
        assert moved[row] == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (-1, "the weight '-1'"),
        (np.inf, "the weight 'inf'"),
        ("much", "the weight 'much'"),
        (None, "the weight ''"),
    ],
)
def test_a_weight_that_is_no_finite_number_of_0_or_above_is_refused_by_row(cell, words):
    frame = table().astype({"w": object})
    frame.loc[6, "w"] = cell
    with pytest.raises(InputError, match=rf"{words} in column 'w', row 7, is not a finite number"):
        audit(frame, by="group", weight="w")


def test_weights_that_are_all_0_are_refused():
    with pytest.raises(InputError, match="every weight in column 'w' is 0"):
        audit(table().assign(w=0), by="group", weight="w")


def test_rows_with_a_weight_of_0_are_left_out_and_counted():
    frame = table()
    frame.loc[:9, "w"] = 0
    made = audit(frame, by="group", weight="w", options=FEW)
    assert len(made.study.target) == 390
    assert "10 rows with a w of 0 left out." in made.study.notes
    kept = audit(frame[10:], by="group", weight="w", options=FEW)
    pd.testing.assert_frame_equal(made.table, kept.table)


def test_counts_of_images_and_positives_are_not_weighted():
    frame = table()
    made = audit(frame, by="group", weight="w", options=FEW)
    assert made.table["n"].max() == 400
    assert made.table["positives"].max() == frame["target"].sum()
    assert made.figure("sensitivity").counted == frame["target"].sum()


def test_a_figure_that_cannot_carry_weights_is_missing_with_the_reason():
    made = audit(table(), by="group", weight="w", options=FEW)
    assert "with sampling weights" in made.figure("specificity_at_sensitivity").why


def test_the_chosen_threshold_keeps_the_weighted_specificity():
    frame = table(3000)
    cut = audit(frame, by="group", weight="w").results["group"].thresholds["specificity"]
    negative = frame[frame["target"] == 0]
    below = negative.loc[negative["score"] < cut, "w"].sum() / negative["w"].sum()
    lower = frame.loc[frame["score"] < cut, "score"].max()
    with_lower = negative.loc[negative["score"] < lower, "w"].sum() / negative["w"].sum()
    assert with_lower < 0.9 <= below


def test_an_array_of_weights_is_the_column():
    frame = table()
    by_name, by_array = (
        audit(frame, by="group", weight=one, options=FEW) for one in ("w", frame["w"].to_numpy())
    )
    pd.testing.assert_frame_equal(by_name.table, by_array.table)
    assert by_array.study.weighting.column == "weight"


def test_the_json_says_what_the_weights_are_and_is_read_back():
    frame = table()
    content = json.loads(audit(frame, by="group", weight="w", options=FEW).to_json())
    w = frame["w"]
    assert content["weighting"] == {
        "column": "w",
        "sum": pytest.approx(w.sum()),
        "effective_n": pytest.approx(w.sum() ** 2 / (w**2).sum()),
    }
    assert Audit.from_json(json.dumps(content)).to_dict() == content
    del content["weighting"]  # as it was written before rows could be weighted
    assert Audit.from_json(json.dumps(content)).figure("auroc").counted == len(frame)


def test_the_first_screen_the_page_and_the_notes_say_that_figures_are_weighted():
    made = audit(table(), by="group", weight="w", options=FEW)
    assert "Every figure is weighted by w (the weights add up to" in made.first_screen().about
    assert "effective n" in made.to_html()
    assert any("Every figure is weighted by w" in note for note in made.study.notes)


def test_without_a_truth_the_selection_rate_is_weighted():
    frame = table()
    made = audit(frame, by="group", weight="w", no_truth=True, options=FEW)
    share = np.average(frame["score"] >= 0.5, weights=frame["w"])
    assert made.figure("selection_rate").value == pytest.approx(share)
    assert "weighted by w" in made.to_html()


def test_models_whose_images_are_weighted_differently_are_not_compared():
    frame = table()
    one, other = (
        audit(f, by="group", weight="w")
        for f in (frame, frame.assign(w=frame["w"][::-1].to_numpy()))
    )
    with pytest.raises(InputError, match="its weights differ"):
        one.compare(other)


def test_two_weighted_models_have_the_difference_of_their_weighted_figures():
    frame = table()
    one = audit(frame, by="group", weight="w", options=FEW)
    other = audit(
        frame.assign(score=frame["score"][::-1].to_numpy()), by="group", weight="w", options=FEW
    )
    rows = one.compare(other).table.set_index(["group", "figure"])
    for metric in ("auroc", "auprc", "sensitivity"):
        expected = one.figure(metric).value - other.figure(metric).value
        assert rows.loc[("overall", metric), "difference"] == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["auroc", "sensitivity", "specificity"])
def test_the_figure_that_the_label_error_is_followed_back_from_is_weighted(metric):
    results = audit(table(), by="group", weight="w", options=FEW).results["group"]
    value, variance = _figure(results, results.rows[1], metric)
    assert value == pytest.approx(results.value(metric, "a")[0])
    assert variance > 0


def test_the_weights_of_a_metricframe_are_taken():
    frame = table()
    given = {"y_true": frame["target"], "y_pred": frame["score"], "options": FEW}
    given["sensitive_features"] = frame["group"]
    expected = audit(frame, by="group", weight="w", options=FEW).by_group()
    params = {"sample_weight": frame["w"]}
    for sample_params in (params, {"accuracy": params, "recall": params}):
        made = from_metricframe(**given, sample_params=sample_params)
        pd.testing.assert_frame_equal(made.by_group(), expected)


@pytest.mark.parametrize(
    ("sample_params", "words"),
    [
        ({"beta": 2}, "'beta' is not used"),
        ({"a": {"sample_weight": [1, 2]}, "b": {"sample_weight": [2, 1]}}, "different weights"),
    ],
)
def test_other_sample_params_of_a_metricframe_are_refused(sample_params, words):
    with pytest.raises(InputError, match=words):
        from_metricframe(
            y_true=[0, 1], y_pred=[0, 1], sensitive_features=["a", "b"], sample_params=sample_params
        )


def test_the_scorer_takes_sample_weight():
    frame = table()

    class Model:
        def predict(self, features: pd.DataFrame) -> np.ndarray:
            return features["score"].to_numpy()

    score = GroupScorer("overall(sensitivity)", "group")(
        Model(), frame, frame["target"], frame["w"]
    )
    assert score == audit(frame, by="group", weight="w").figure("sensitivity").value


def test_the_command_weights_and_says_so(equiderm, tmp_path):
    table().to_csv(tmp_path / "p.csv", index=False)
    options = ("--by", "group", "--replicates", 200, "--weight", "w", "-o", "r.json")
    done = equiderm("audit", "p.csv", *options)
    assert done.returncode == 0, done.stderr
    assert "Every figure is weighted by w" in " ".join((done.stdout + done.stderr).split())
    assert json.loads((tmp_path / "r.json").read_text())["weighting"]["column"] == "w"


def test_a_group_in_which_one_image_has_all_the_weight_has_no_figure():
    frame = table()
    one = frame.index[(frame["group"] == "a") & (frame["target"] == 1)][0]
    frame["w"] = np.where(frame.index == one, 1e6, 1.0)
    made = audit(frame, by="group", weight="w", options=FEW)
    why = made.figure("sensitivity", "a").why
    assert "positives that weigh as much as 1.0 of equal weight, at least 5 are needed" in why
    assert made.verdict().findings[-1].outcome == "cannot say"
    assert made.figure("sensitivity", "b").why == ""


def test_figures_of_two_weighted_rows_have_one_degree_of_freedom():
    frame = pd.DataFrame({"target": np.tile([1, 1, 0, 0], 5), "group": ["a"] * 4 + ["b"] * 16})
    frame["score"] = np.tile([0.9, 0.2, 0.7, 0.1], 5) + np.arange(20) / 1000
    frame["w"] = [1.0] * 4 + [2.0, 1.0] * 8
    options = Options(min_count=2, replicates=100)
    results = audit(frame, by="group", weight="w", options=options).results["group"]
    for metric in ("sensitivity", "specificity", "ppv", "npv", "sensitivity_at_specificity"):
        assert results.estimate(metric, "a").freedom == 1, metric
    pair = frame.assign(group=np.where(frame.index < 3, "a", "b")).drop(index=0)
    results = audit(pair, by="group", weight="w", options=options).results["group"]
    assert results.estimate("net_benefit", "a").freedom == 1


def test_two_models_that_decide_alike_on_weighted_images_differ_by_nothing(predictions):
    frame = predictions(300).assign(w=lambda f: 1 + np.arange(len(f)) % 7 / 3)
    frame["other"] = frame["score"] * 0.999 + 0.0005  # the same decisions at 0.5
    made = [
        audit(frame, score=score, by="ita_band", weight="w", options=Options(replicates=100))
        for score in ("score", "other")
    ]
    table = made[0].compare(made[1]).table
    rows = table[(table["figure"] == "sensitivity") & (table["group"] != "gap")]
    assert (rows["difference"] == 0).all()
    assert (rows["p"] == 1).all()
