"""Figures by group, gaps, power: what must hold for any table, and known truths recovered."""

import importlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from equiderm.audit import METRICS, Options, audit
from equiderm.audit.condition import Condition
from equiderm.audit.differences import Compared, row_to_name
from equiderm.audit.gaps import versus, worst_of
from equiderm.audit.groups import ByGroup
from equiderm.audit.input import Study
from equiderm.audit.metrics import Metric
from equiderm.audit.sampling import count_cells, fewest, lacking, make_resampler
from equiderm.statistics.estimates import Share
from equiderm.statistics.intervals import wilson

QUICK = Options(replicates=200)


def test_every_interval_contains_its_figure(predictions):
    made = audit(predictions(600), by=["ita_band"], options=QUICK)
    table = made.table[made.table["missing"] == ""]
    assert len(table) == 4 * len(METRICS)
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()


@pytest.mark.parametrize("interval", ["bca", "percentile"])
def test_bootstrap_intervals_of_a_mean_loss_agree_with_its_standard_error(predictions, interval):
    frame = predictions(2000)
    made = audit(frame, by=["ita_band"], options=Options(replicates=1000, interval=interval))
    figure = made.figure("brier", "2")
    loss = ((frame["score"] - frame["target"]) ** 2)[frame["ita_band"] == 2]
    width = 2 * 1.96 * loss.std() / np.sqrt(len(loss))
    assert figure.high - figure.low == pytest.approx(width, rel=0.12)


def test_a_tiny_and_a_one_class_group_are_missing_with_the_reason(predictions):
    frame = predictions(400)
    frame["ita_band"] = "many"
    frame.loc[frame["target"].eq(1).pipe(lambda s: s[s].index[:3]), "ita_band"] = "tiny"
    frame.loc[frame["target"].eq(0).pipe(lambda s: s[s].index[:40]), "ita_band"] = "healthy"
    made = audit(frame, by=["ita_band"], options=QUICK)
    assert made.figure("auroc", "healthy").why == "0 positives, at least 5 are needed"
    assert made.figure("specificity", "healthy").why == ""
    assert "3 positives and 0 negatives" in made.figure("auroc", "tiny").why
    rows = made.table.query("group == 'tiny'")
    assert rows["value"].isna().all()
    assert (rows["missing"] != "").all()
    assert made.gap("auroc").why == "1 of 3 groups has the figure, 2 are needed"
    made.to_html()


def test_a_real_gap_is_found_and_an_absent_one_is_not(predictions):
    real = audit(predictions(3000, drop=1.4), by=["ita_band"], options=QUICK).gap()
    assert real.worst == "3"
    assert real.p < 0.01
    assert real.low > 0
    absent = audit(predictions(3000), by=["ita_band"], options=QUICK).gap()
    assert absent.p > 0.05
    assert absent.low == 0


def test_the_null_shows_how_large_a_gap_noise_alone_makes(predictions):
    small = audit(predictions(300), by=["ita_band"], options=QUICK).gap()
    large = audit(predictions(4800), by=["ita_band"], options=QUICK).gap()
    assert small.null_mean > 2.5 * large.null_mean
    assert 0 < large.null_mean < large.null_95


def test_a_drop_of_the_detectable_size_is_noticed_four_times_in_five(predictions):
    gap = audit(predictions(1000), by=["ita_band"], options=Options(replicates=1000)).gap()
    drop = _shift_for(gap.detectable["3"])
    noticed = [
        audit(predictions(1000, seed=seed, drop=drop), by=["ita_band"], options=QUICK).gap().p
        for seed in range(1, 21)
    ]
    assert 12 <= np.sum(np.array(noticed) < 0.05) <= 20
    unnoticed = [
        audit(predictions(1000, seed=seed, drop=drop / 4), by=["ita_band"], options=QUICK).gap().p
        for seed in range(1, 11)
    ]
    assert np.sum(np.array(unnoticed) < 0.05) <= 5


def _shift_for(loss: float) -> float:
    """Return the loss of separation that lowers a binormal AUROC of separation 1.6 by ``loss``."""
    from scipy.stats import norm

    return float(1.6 - np.sqrt(2) * norm.ppf(norm.cdf(1.6 / np.sqrt(2)) - loss))


def test_the_smaller_group_needs_the_larger_drop(predictions):
    frame = predictions(1500, shares=(0.75, 0.2, 0.05))
    detectable = audit(frame, by=["ita_band"], options=QUICK).gap().detectable
    assert detectable["3"] > detectable["2"]


def test_group_names_do_not_change_the_gap(predictions):
    frame = predictions(500)
    one = audit(frame, by=["ita_band"], options=QUICK).gap()
    renamed = frame.assign(ita_band=frame["ita_band"].map({1: "x", 2: "y", 3: "z"}))
    other = audit(renamed, by=["ita_band"], options=QUICK).gap()
    assert (one.value, one.low, one.high, one.p) == (other.value, other.low, other.high, other.p)


def test_the_same_seed_gives_the_same_audit_and_another_differs(predictions):
    frame = predictions(300)
    one, same, other = (
        audit(frame, by=["ita_band"], options=Options(replicates=200, seed=seed))
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(one.table, same.table)
    assert not one.table.equals(other.table)
    nulls = [each.gap().null_mean for each in (one, same, other)]
    assert nulls[0] == nulls[1] != nulls[2]


def test_several_images_of_a_patient_widen_the_interval(predictions):
    frame = predictions(1500, images_a_patient=6)
    aware = audit(frame, by=["ita_band"], patient="patient_id", options=QUICK)
    unaware = audit(frame, by=["ita_band"], options=QUICK)
    for metric in ("specificity", "brier"):
        wide, narrow = aware.figure(metric), unaware.figure(metric)
        assert wide.value == narrow.value
        assert wide.high - wide.low > 1.1 * (narrow.high - narrow.low), metric


def test_a_group_of_few_positives_never_vanishes_from_a_replicate(predictions):
    frame = predictions(800, shares=(0.9, 0.08, 0.02), images_a_patient=2)
    for patient in (None, "patient_id"):
        made = audit(frame, by=["ita_band"], patient=patient, options=Options(min_count=2))
        results = made.results["ita_band"]
        smallest = results.groups[-1]
        assert frame["target"].to_numpy()[smallest].sum() < 10
        resampler = make_resampler(made.study, made.study.groupings[0])
        for seed in range(200):
            drawn = resampler.draw(np.random.default_rng(seed), 1)
            weight = resampler.rows(drawn)[0][smallest]
            assert (weight * made.study.target[smallest]).sum() > 0


def test_the_fewest_independent_rows_are_patients_of_the_rarer_class():
    frame = {"target": [1, 1, 1, 0, 0, 0, 0], "score": np.linspace(0, 1, 7), "by": [1] * 7}
    made = audit(**frame, patient=[0, 0, 1, 2, 3, 4, 4])
    counts = count_cells(made.study, np.arange(7), 0.5)
    assert fewest(counts, "classes") == 2
    assert fewest(counts, "rows") == 5


def test_holm_over_the_groups_and_the_reference_is_left_out(predictions):
    made = audit(predictions(1500, drop=1.2), by=["ita_band"], options=QUICK)
    rest = versus(made.results["ita_band"], "auroc")
    assert [row["group"] for row in rest] == ["1", "2", "3"]
    assert all(row["p_holm"] >= row["p"] for row in rest)
    assert rest[2]["p_holm"] < 0.05
    assert rest[2]["high"] < 0
    against = versus(made.results["ita_band"], "auroc", "1")
    assert [row["group"] for row in against] == ["2", "3"]
    value = made.figure("auroc", "3").value - made.figure("auroc", "1").value
    assert against[1]["difference"] == pytest.approx(value)


def test_the_worst_group_follows_the_figures_direction():
    values = {"a": 0.5, "b": 0.9, "c": 1.4}
    assert worst_of("auroc", values) == "a"
    assert worst_of("brier", values) == "c"
    assert worst_of("calibration_slope", values) == "a"
    assert worst_of("selection_rate", values) == ""


def test_by_group_and_differences_equal_fairlearn(predictions):
    fairlearn = importlib.import_module("fairlearn.metrics")
    from sklearn.metrics import recall_score, roc_auc_score

    frame = predictions(900, drop=0.8)
    made = audit(frame, by=["ita_band"], options=QUICK)
    called = (frame["score"] >= 0.5).astype(int)
    words = {"y_true": frame["target"], "sensitive_features": frame["ita_band"]}
    theirs = fairlearn.MetricFrame(metrics={"s": recall_score}, y_pred=called, **words)
    assert made.by_group()["sensitivity"].to_numpy() == pytest.approx(
        theirs.by_group["s"].to_numpy()
    )
    assert made.difference()["sensitivity"] == pytest.approx(theirs.difference()["s"])
    ranked = fairlearn.MetricFrame(metrics=roc_auc_score, y_pred=frame["score"], **words)
    assert made.overall["auroc"] == pytest.approx(ranked.overall)
    assert made.gap("auroc").value == pytest.approx(ranked.difference())
    for name in ("equal_opportunity_difference", "equalized_odds_difference"):
        expected = getattr(fairlearn, name)(y_pred=called, **words)
        value, low, high, why = made.odds_difference(name)
        assert value == pytest.approx(expected), name
        assert low <= value <= high
        assert why == ""


def test_a_partial_area_needs_enough_positives_in_its_part(predictions):
    frame = predictions(1200, shares=(0.9, 0.1))
    few = (frame["ita_band"] == 2) & (frame["target"] == 1)
    frame = frame.drop(frame.index[few][24:])
    made = audit(frame, by=["ita_band"], options=QUICK)
    for metric in ("pauc_isic2024", "pauc_isic2024_normalised"):
        assert made.figure(metric, "2").why == "24 positives, at least 25 are needed"
        assert made.figure(metric, "1").why == ""
    assert made.figure("auroc", "2").why == ""


def test_what_is_missing_names_each_kind_with_its_number():
    counts = {"positives": 12, "negatives": 3}
    why = "12 positives and 3 negatives, at least 25 and 5 are needed"
    assert lacking(counts, "classes", 5, rests_on=0.2) == why
    assert lacking(counts, "negatives", 5) == "3 negatives, at least 5 are needed"


@pytest.mark.parametrize("scarce", [0, 1])
def test_every_draw_keeps_the_few_images_of_a_class_that_a_group_has(scarce):
    few, rest = np.full(3, scarce), np.full(20, 1 - scarce)
    table = pd.DataFrame({"target": np.concatenate([few, rest, np.arange(60) % 2])})
    table = table.assign(score=np.arange(83) % 10 / 10, tone=np.repeat(["a", "b"], [23, 60]))
    results = audit(table, by="tone").results["tone"]
    resampler = make_resampler(results.study, results.grouping)
    drawn = resampler.rows(resampler.draw(np.random.default_rng(0), 50))
    assert set(drawn[:, :3].sum(axis=1)) == {3}


def test_patients_of_whom_each_has_one_hit_and_one_miss_have_an_interval():
    rows = np.arange(80)
    table = pd.DataFrame({"target": rows // 2 % 2, "patient": rows // 2, "tone": rows // 4 % 2})
    table["score"] = np.where(rows % 2, 0.8, 0.3)
    groups = audit(table, by="tone", patient="patient").results["tone"]
    figure = groups.figure("sensitivity", "0")
    assert figure.value == 0.5
    assert (figure.low, figure.high) == pytest.approx(wilson(0.5, 20))


def test_an_audit_is_at_one_half_and_90_percent_of_2000_replicates_unless_said_otherwise():
    assert Options() == Options(0.5, 0.9, 0.9, 2000, 5, "bca", 0, None)


@pytest.mark.parametrize(
    ("rows", "positives", "negatives", "large"),
    [(2000, 100, 100, True), (1999, 100, 100, False), (2000, 99, 900, False),
     (2000, 900, 99, False), (20_000, 1, 900, True), (19_999, 1, 900, False)],
)  # fmt: skip
def test_closed_forms_are_for_2000_rows_with_100_patients_of_each_class_or_20000_rows(
    rows, positives, negatives, large
):
    counts = {"clusters_positives": positives, "clusters_negatives": negatives, "rows": rows}
    results = ByGroup.__new__(ByGroup)
    results._counts = [counts]
    assert results._is_large(0) == large


@pytest.mark.parametrize(("few", "kept"), [(9, True), (10, False)])
@pytest.mark.parametrize("scarce", [False, True])
@pytest.mark.parametrize("per", [1, 2])
def test_under_10_images_of_a_class_are_in_every_draw_as_often_as_in_the_table(
    few, kept, scarce, per
):
    target = np.repeat([scarce, not scarce], [few, 30])
    patient = None if per == 1 else np.arange(few + 30)
    study = Study("t", target, np.zeros(few + 30), (), patient)
    grouping = SimpleNamespace(codes=np.zeros(few + 30, int), labels=("a",))
    resampler = make_resampler(study, grouping)
    drawn = resampler.rows(resampler.draw(np.random.default_rng(0), 50))
    assert (set(drawn[:, :few].sum(axis=1)) == {few}) == kept


def test_a_patient_is_drawn_with_the_rarest_of_its_groups():
    codes = np.repeat([0, 1, 1, -1], [40, 4, 1, 5])
    patient = np.concatenate([np.arange(44), [0], np.arange(44, 49)])  # one is in both groups
    study = Study("t", np.arange(50) % 2 > 0, np.zeros(50), (), patient)
    resampler = make_resampler(study, SimpleNamespace(codes=codes, labels=("a", "b")))
    drawn = resampler.rows(resampler.draw(np.random.default_rng(0), 50))
    assert set(drawn[:, 40:45].sum(axis=1)) == {5} == set(drawn[:, 45:].sum(axis=1))
    assert (drawn[:, 0] == drawn[:, 44]).all()


RATE = "selection_rate"  # neither higher nor lower is better


def row(group, p_adjusted, difference, *, p=0.5, metric="auroc"):
    nan = float("nan")
    ends = (nan, nan, p, nan, nan, p_adjusted, nan, nan, nan)
    return Compared(metric, group, Share(0.5, 9), Share(0.5, 9), difference, *ends)


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([row("a", 0.001, 0.2), row("b", 0.04, -0.1), row("c", 0.2, -0.3)], "b"),
        ([row("a", 0.001, 0.2), row("b", 0.2, -0.1)], "a"),
        ([row("a", 0.06, 0.2), row("b", 0.2, -0.1)], "b"),
        ([row("a", 0.2, -0.1), row("b", 0.06, -0.1)], "b"),
        ([row("a", 0.2, -0.1, p=0.1), row("b", 0.2, -0.1, p=0.05)], "b"),
        ([row("a", 0.2, -0.1), row("b", 0.2, -0.2)], "b"),
        ([row("a", 0.2, -0.1, metric="brier"), row("b", 0.3, 0.1, metric="brier")], "b"),
        ([row("a", 0.3, 0.1, metric=RATE), row("b", 0.4, -0.1, metric=RATE)], "b"),
        ([row("a", 0.05, -0.1), row("b", 0.049, 0.1)], "b"),
    ],
)  # fmt: skip
def test_the_row_to_name_is_established_then_worse_then_surest(rows, name):
    assert row_to_name(rows).group == name


def test_a_figure_beside_weights_is_missing_where_it_has_no_form_or_no_interval(monkeypatch):
    results, large = ByGroup.__new__(ByGroup), [False]
    monkeypatch.setattr(ByGroup, "_is_large", lambda self, s: large[0])
    monkeypatch.setitem(METRICS, "own", Metric("Own", np.mean, 1, "rows"))
    missing = [name for name in METRICS if results._not_weighted(name)]
    assert missing == ["specificity_at_sensitivity", "own"]
    assert results._not_weighted("own") == "it has no form with sampling weights"
    large[0] = True
    assert [name for name in METRICS if results._not_weighted(name)] == ["own"]


def test_groups_weigh_their_rows_or_the_patients_of_both_classes():
    results = ByGroup.__new__(ByGroup)
    results.names, results.rows = ["overall", "a"], [np.arange(9), np.arange(5)]
    results.study = SimpleNamespace(weight=None)
    counts = {"positives": 8, "negatives": 30, "rows": 38, "called": 7, "cleared": 31}
    results._counts = [{}, counts | {"clusters_positives": 6, "clusters_negatives": 12}]
    found = [results.weight(metric, "a") for metric in ("auroc", "sensitivity", "ppv", "brier")]
    assert found == [4, 8, 7, 38]


class Read(Condition):
    """A condition on figures that are given instead of read."""

    def _read(self, audit, column):
        return f"figure by {column}", audit.figures[column]

    def _unjudged(self, audit, column):
        return audit.unjudged.get(column, "")


LOW, HIGH, GONE = (0.4, 0.3, 0.5, ""), (0.6, 0.55, 0.7, ""), (np.nan, np.nan, np.nan, "too few")


@pytest.mark.parametrize(
    ("figures", "unjudged", "outcome"),
    [
        ((HIGH, GONE), {}, True), ((LOW, GONE), {}, None), ((LOW, LOW), {}, False),
        ((LOW, HIGH), {}, True), ((LOW, LOW), {"b": "c has none"}, None),
        ((HIGH, LOW), {"a": "c has none"}, True), (((0.6, np.nan, 0.7, ""), LOW), {}, None),
        (((0.6, 0.5, np.nan, ""), LOW), {}, None), (((0.6, 0.4, 0.7, ""), LOW), {}, False),
    ],
)  # fmt: skip
def test_a_condition_holds_for_any_column_and_is_open_where_a_figure_is_missing(
    figures, unjudged, outcome
):
    given = SimpleNamespace(columns=["a", "b"], unjudged=unjudged)
    given.figures = dict(zip("ab", figures, strict=True))
    condition = Read("gap(auroc) > 0.5 with confidence", "gap", "auroc", ">", 0.5, True)
    found, sentence = condition.decide(given)
    assert found is outcome and sentence.count("0.5 with confidence") == 2
    plain = condition._replace(confident=False)
    given.figures = {"a": (0.6, np.nan, np.nan, ""), "b": LOW}
    assert plain.decide(given)[0] is True
