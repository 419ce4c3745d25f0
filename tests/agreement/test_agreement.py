import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, spearmanr
from sklearn import metrics

from equiderm.agreement.agreement import measure_agreement, patient_codes
from equiderm.agreement.confusion import agreement_figures, dark_types, resample
from equiderm.errors import InputError

TYPES = (1, 2, 3, 4, 5, 6)


def judged_and_labelled(n=400, seed=0, noise=1.2):
    generator = np.random.default_rng(seed)
    truth = generator.choice(TYPES, n, p=[0.15, 0.35, 0.2, 0.15, 0.1, 0.05]).astype(float)
    label = np.clip(np.rint(truth + generator.normal(0, noise, n)), 1, 6)
    return truth, label


@pytest.mark.parametrize("seed", range(3))
def test_every_figure_is_scikit_learns_or_scipys(seed):
    truth, label = judged_and_labelled(seed=seed)
    got = {k: f.value for k, f in measure_agreement(truth, label, TYPES).figures.items()}
    near = np.abs(truth - label) <= 1
    dark = {"y_true": truth >= 5, "y_pred": label >= 5}
    expected = {
        "exact": metrics.accuracy_score(truth, label),
        "within_one": near.mean(),
        "mean_within_one": np.mean([near[truth == kind].mean() for kind in TYPES]),
        "mean_absolute_error": metrics.mean_absolute_error(truth, label),
        "kappa": metrics.cohen_kappa_score(truth, label, weights="quadratic"),
        "spearman": spearmanr(truth, label).statistic,
        "recall_dark": metrics.recall_score(**dark),
        "precision_dark": metrics.precision_score(**dark),
    }
    assert got == pytest.approx(expected, abs=1e-12)


def test_reweighting_to_a_target_is_scikit_learns_sample_weight():
    truth, label = judged_and_labelled()
    target = np.array([0.3, 0.3, 0.2, 0.1, 0.06, 0.04])
    share = np.array([(truth == kind).mean() for kind in TYPES])
    weight = (target / share)[truth.astype(int) - 1]
    measured = measure_agreement(truth, label, TYPES, target=target)
    figures = measured.figures
    kappa = metrics.cohen_kappa_score(truth, label, weights="quadratic", sample_weight=weight)
    assert figures["kappa"].value == pytest.approx(kappa, abs=1e-12)
    assert measured.answered[0]["kappa"] == figures["kappa"].value
    assert "reweighted" in measured.notes[-1]
    assert figures["exact"].value == pytest.approx(
        metrics.accuracy_score(truth, label, sample_weight=weight), abs=1e-12
    )


def test_the_best_constant_is_the_best_of_the_six():
    truth, label = judged_and_labelled()
    figures = measure_agreement(truth, label, TYPES).figures
    shares = {kind: (np.abs(truth - kind) <= 1).mean() for kind in TYPES}
    assert figures["within_one"].constant == max(shares.values())
    assert figures["within_one"].constant_type == max(shares, key=lambda kind: shares[kind])
    errors = {kind: np.abs(truth - kind).mean() for kind in TYPES}
    assert figures["mean_absolute_error"].constant == pytest.approx(min(errors.values()))
    assert figures["kappa"].constant == 0


def test_resampled_counts_spread_as_resampled_rows_do():
    truth, label = judged_and_labelled(n=150)
    generator = np.random.default_rng(1)
    slow = []
    for _ in range(1500):
        rows = generator.integers(len(truth), size=len(truth))
        slow.append(metrics.cohen_kappa_score(truth[rows], label[rows], weights="quadratic"))
    figure = measure_agreement(truth, label, TYPES).figures["kappa"]
    assert [figure.low, figure.high] == pytest.approx(np.quantile(slow, (0.025, 0.975)), abs=0.02)


def test_an_interval_by_patient_is_wider_where_patients_repeat():
    truth, label = judged_and_labelled(n=60)
    copies = 10
    patient = pd.Series(np.repeat(np.arange(60), copies))
    truth, label = np.repeat(truth, copies), np.repeat(label, copies)
    by_image = measure_agreement(truth, label, TYPES).figures["exact"]
    by_patient = measure_agreement(truth, label, TYPES, patient=patient).figures["exact"]
    ratio = (by_patient.high - by_patient.low) / (by_image.high - by_image.low)
    assert ratio == pytest.approx(np.sqrt(copies), rel=0.15)


def test_a_cluster_of_one_row_each_draws_as_rows_do():
    cells = np.array([0, 1, 1, 2] * 25)
    drawn = resample(cells, 3, clusters=np.arange(100), draws=4000)
    assert (drawn.sum(axis=1) == 100).all()
    assert drawn.mean(axis=0) == pytest.approx([25, 50, 25], abs=0.5)
    assert drawn.std(axis=0) == pytest.approx([4.33, 5.0, 4.33], abs=0.2)


def test_a_figure_that_no_resample_can_vary_has_no_interval():
    truth = np.tile(TYPES, 10).astype(float)
    figures = measure_agreement(truth, truth, TYPES).figures
    for name in ("mean_absolute_error", "kappa", "spearman"):
        assert np.isnan([figures[name].low, figures[name].high]).all()
    assert 0.9 < figures["exact"].low < 1


def test_a_row_without_a_patient_is_a_patient_of_its_own():
    codes = patient_codes(pd.Series(["a", None, "a", None]))
    assert len(set(codes)) == 3
    assert codes[0] == codes[2]


@settings(max_examples=30)
@given(st.lists(st.tuples(*[st.sampled_from(TYPES)] * 2), min_size=40, max_size=80))
def test_figures_do_not_depend_on_the_order_of_rows(rows):
    truth, label = np.array(rows, dtype=float).T
    if len(set(truth)) < 2:
        return
    figures = measure_agreement(truth, label, TYPES).figures
    turned = measure_agreement(truth[::-1], label[::-1], TYPES).figures
    for name, figure in figures.items():
        assert np.array_equal(
            [figure.value, figure.low], [turned[name].value, turned[name].low], equal_nan=True
        )
        if not np.isnan(figure.low):  # all right or all wrong: no resample can vary it
            assert figure.low - 1e-9 <= figure.value <= figure.high + 1e-9


def test_a_figure_of_no_image_is_nan_and_null_in_json():
    truth = np.array([1.0, 2.0] * 15)
    agreement = measure_agreement(truth, truth, TYPES)
    assert np.isnan(agreement.figures["recall_dark"].value)
    content = json.loads(json.dumps(agreement.to_json(), allow_nan=False))
    assert content["figures"]["recall_dark"]["value"] is None
    assert np.isnan(agreement_figures(np.zeros((6, 6)), 2)["kappa"])


def test_the_dark_types_are_the_darkest_third():
    assert dark_types(TYPES) == (5, 6)
    assert dark_types(range(1, 11)) == (8, 9, 10)


def test_a_missing_label_is_an_abstention_and_not_an_error_of_the_label():
    truth, label = judged_and_labelled()
    label[:100] = np.nan
    agreement = measure_agreement(truth, label, TYPES)
    assert agreement.n == 300
    assert agreement.abstained.sum() == 100
    assert agreement.answered[0]["share"] == 0.75
    assert agreement.figures["exact"].value == (truth[100:] == label[100:]).mean()


def test_accuracy_rises_as_the_doubtful_labels_are_left_out():
    truth, label = judged_and_labelled(n=1000)
    doubt = np.abs(truth - label) + np.random.default_rng(0).uniform(0, 0.5, 1000)
    curve = measure_agreement(truth, label, TYPES, doubt=doubt).answered
    within = [row["within_one"] for row in curve]
    assert [row["share"] for row in curve] == [1.0, *(np.arange(9, 0, -1) / 10)]
    assert within == sorted(within)
    assert within[-1] == 1.0


def test_a_share_of_one_has_the_exact_interval_of_its_count():
    truth, _ = judged_and_labelled(n=80)
    figures = measure_agreement(truth, truth, TYPES).figures
    for name, count in (("exact", 80), ("recall_dark", (truth >= 5).sum())):
        expected = binomtest(int(count), int(count)).proportion_ci(0.95, method="exact")
        assert [figures[name].low, figures[name].high] == pytest.approx(list(expected))


def test_a_second_rater_stands_beside_the_labels():
    truth, label = judged_and_labelled()
    rater = np.clip(truth + 1, 1, 6)
    figure = measure_agreement(truth, label, TYPES, second_rater=rater).figures["within_one"]
    value, low, high = figure.second_rater
    assert low < value == high == 1.0


@pytest.mark.parametrize(
    ("rows", "patients", "sentence"),
    [
        (12, 12, "only 12 images have both a judged type and a label"),
        (60, 4, "only 4 patients have labelled images"),
    ],
)
def test_too_little_for_an_interval_is_one_sentence(rows, patients, sentence):
    truth, label = judged_and_labelled(n=rows)
    with pytest.raises(InputError, match=sentence):
        measure_agreement(truth, label, TYPES, patient=pd.Series(np.arange(rows) % patients))


def test_one_judged_type_only_is_one_sentence():
    with pytest.raises(InputError, match="every labelled image was judged type 2"):
        measure_agreement(np.full(50, 2.0), np.tile([1.0, 2.0], 25), TYPES)
