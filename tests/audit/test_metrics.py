"""Figures against scikit-learn, and what they must not depend on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sklearn
from sklearn.linear_model import LogisticRegression

from equiderm.audit import calibration, metrics, thresholds

LEVELS = {"threshold": 0.5, "specificity": 0.5, "sensitivity": 0.5}


@st.composite
def rows(draw, least=1):
    size = draw(st.integers(2 * least, 60))
    steps = draw(st.sampled_from([3, 10, 1000]))
    score = draw(hnp.arrays(np.int64, size, elements=st.integers(0, steps))) / steps
    target = np.zeros(size, dtype=int)
    target[: draw(st.integers(least, size - least))] = 1
    return target, score


@given(rows())
def test_ranking_figures_equal_scikit_learn_with_ties(made):
    target, score = made
    assert metrics.auroc(target, score) == pytest.approx(sklearn.roc_auc_score(target, score))
    expected = sklearn.average_precision_score(target, score)
    assert metrics.auprc(target, score) == pytest.approx(expected)
    assert metrics.brier(target, score) == pytest.approx(np.mean((score - target) ** 2))


@given(rows())
def test_pauc_equals_the_challenge_definition(made):
    target, score = made
    largest = 0.2
    scaled = sklearn.roc_auc_score(1 - target, -score, max_fpr=largest)
    least = 0.5 * largest**2
    expected = least + (scaled - 0.5) / 0.5 * (largest - least)
    assert metrics.pauc_isic2024(target, score) == pytest.approx(expected, abs=1e-12)
    normalised = metrics.pauc_isic2024_normalised(target, score)
    assert normalised == pytest.approx(5 * metrics.pauc_isic2024(target, score))


def test_pauc_spans_0_to_one_fifth_and_its_normalised_form_0_to_1():
    assert metrics.pauc_isic2024([0, 1], [0.1, 0.9]) == pytest.approx(0.20)
    assert metrics.pauc_isic2024_normalised([0, 1], [0.1, 0.9]) == pytest.approx(1.0)
    assert metrics.pauc_isic2024([0, 1], [0.5, 0.5]) == pytest.approx(0.02)


@given(rows(), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_deciding_figures_equal_the_confusion_matrix(made, threshold):
    target, score = made
    called = score >= threshold
    tn, fp, fn, tp = sklearn.confusion_matrix(target, called, labels=[0, 1]).ravel()
    expected = {
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "ppv": (tp, tp + fp),
        "npv": (tn, tn + fn),
        "selection_rate": (tp + fp, len(score)),
    }
    for name, (part, whole) in expected.items():
        value = metrics.figure(name, target, score, {"threshold": threshold})
        if whole:
            assert value == pytest.approx(part / whole)
        else:
            assert np.isnan(value)


@given(rows(), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_chosen_thresholds_keep_their_level_and_the_next_one_does_not(made, level):
    target, score = made
    chosen = thresholds.threshold_at_specificity(target, score, level)
    assert metrics.specificity(target, score, threshold=chosen) >= level - 1e-9
    lower = score[score < chosen]
    if len(lower):
        assert metrics.specificity(target, score, threshold=lower.max()) < level
    chosen = thresholds.threshold_at_sensitivity(target, score, level)
    assert metrics.sensitivity(target, score, threshold=chosen) >= level - 1e-9
    higher = score[score > chosen]
    if len(higher):
        next_up = metrics.sensitivity(target, score, threshold=higher.min())
        assert next_up < level


@given(rows(), st.randoms())
def test_row_order_changes_no_figure(made, random):
    target, score = made
    order = np.array(random.sample(range(len(score)), len(score)))
    for name in metrics.METRICS:
        one = metrics.figure(name, target, score, LEVELS)
        other = metrics.figure(name, target[order], score[order], LEVELS)
        assert one == pytest.approx(other, nan_ok=True)


@given(rows())
def test_auroc_ignores_a_monotone_rescaling(made):
    target, score = made
    assert metrics.auroc(target, score) == pytest.approx(metrics.auroc(target, score**3 / 2))


@pytest.mark.parametrize("target", [[0, 0, 0], [1, 1, 1]])
@pytest.mark.parametrize("name", [k for k, v in metrics.METRICS.items() if v.needs == "classes"])
def test_one_class_gives_nan_never_zero(name, target):
    assert np.isnan(metrics.figure(name, target, [0.2, 0.4, 0.8], LEVELS))


def test_no_rows_give_nan_for_every_figure():
    for name in metrics.METRICS:
        assert np.isnan(metrics.figure(name, [], [], LEVELS)), name


def test_calibration_slope_equals_scikit_learns_logistic_regression():
    random = np.random.default_rng(0)
    score = random.uniform(0.02, 0.98, 800)
    target = random.random(800) < score**1.7
    x = np.log(score / (1 - score))[:, None]
    fitted = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(x, target)
    assert calibration.calibration_slope(target, score) == pytest.approx(
        fitted.coef_[0, 0], rel=1e-5
    )


def test_slope_of_classes_that_a_threshold_parts_is_missing():
    assert np.isnan(calibration.calibration_slope([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]))
    assert np.isnan(calibration.calibration_slope([0, 1, 1, 0], [0.5, 0.5, 0.5, 0.5]))


def test_calibration_error_of_constant_scores_is_their_distance_from_the_prevalence():
    target = np.repeat([0, 1], [60, 40])
    assert calibration.calibration_error(target, np.full(100, 0.7)) == pytest.approx(0.3)


def test_calibration_bins_hold_equal_shares_of_the_rows():
    score = np.linspace(0, 1, 1000)
    bin_of = np.searchsorted(-calibration.calibration_edges(score), -score)
    assert np.bincount(bin_of).tolist() == [100] * 10


def test_the_threshold_of_a_sensitivity_lies_as_low_as_new_positives_say():
    random = np.random.default_rng(0)
    negative = np.linspace(0, 1, 2001)  # a threshold's specificity is then the threshold itself
    target = np.ones(15, dtype=bool)
    made = [
        thresholds.specificity_at_true_sensitivity(target, random.random(15), negative, 0.8)
        for _ in range(2000)
    ]
    mean, variance = np.mean(made, axis=0)
    chosen = [thresholds.threshold_at_sensitivity(target, random.random(15), 0.8) for _ in made]
    assert np.mean(chosen) == pytest.approx(1 - 12 / 16, abs=0.01)
    assert abs(mean - 0.20) < 0.5 * abs(np.mean(chosen) - 0.20)
    rank = 0.8 * 0.2 / 17  # the variance of the 12th or 13th of 15; here a little wider, never less
    assert rank < variance < 1.5 * rank


def test_one_positive_says_next_to_nothing_of_a_threshold():
    args = np.array([True]), np.array([0.5]), np.array([0.1, 0.6, 0.9, 0.4])
    mean, variance = thresholds.specificity_at_true_sensitivity(*args, 0.9)
    assert mean == pytest.approx(0.9 * 0.25 + 0.1 * 0.75)
    assert variance > 0.02


def test_better_is_a_sign_and_a_figure_without_one_may_have_an_ideal():
    assert {kind.better for kind in metrics.METRICS.values()} == {-1, 0, 1}
    assert [n for n, kind in metrics.METRICS.items() if kind.ideal == 1 and not kind.better] == [
        "calibration_slope"
    ]


SHARES = {
    "sensitivity": (1, "positives"), "specificity": (1, "negatives"), "ppv": (1, "called"),
    "npv": (1, "cleared"), "selection_rate": (0, "rows"), "accuracy": (1, "rows"),
    "false_negative_rate": (-1, "positives"), "false_positive_rate": (-1, "negatives"),
}  # fmt: skip
KINDS = {name: (*kind, "share", "threshold", 1, False) for name, kind in SHARES.items()} | {
    "auroc": (1, "classes", "rank", "", 1, False),
    "auprc": (1, "classes", "logit", "", 1, True),
    "sensitivity_at_specificity": (1, "positives", "share", "specificity", 1, True),
    "specificity_at_sensitivity": (1, "negatives", "share", "sensitivity", 1, True),
    "pauc_isic2024": (1, "classes", "plain", "", 0.2, True),
    "pauc_isic2024_normalised": (1, "classes", "logit", "", 0.2, True),
    "brier": (-1, "rows", "logit", "", 1, True),
    "calibration_error": (-1, "rows", "calibration", "", 1, False),
    "calibration_slope": (0, "classes", "plain", "", 1, True),
    "balanced_accuracy": (1, "classes", "logit", "threshold", 1, False),
    "f1": (1, "positives", "logit", "threshold", 1, False),
    "positive_likelihood_ratio": (1, "classes", "log", "threshold", 1, False),
    "negative_likelihood_ratio": (-1, "classes", "log", "threshold", 1, False),
    "net_benefit": (1, "rows", "plain", "threshold", 1, False),
}


def test_every_figure_has_its_direction_its_rows_and_the_scale_of_its_interval():
    assert KINDS.keys() == metrics.METRICS.keys()
    for name, kind in metrics.METRICS.items():
        own = (kind.better, kind.needs, kind.interval, kind.at, kind.rests_on, kind.resampled)
        assert own == (*KINDS[name][:4], pytest.approx(KINDS[name][4]), KINDS[name][5]), name


def test_shares_of_rows_that_do_not_depend_on_the_model_are_these():
    fixed = {name for name, kind in metrics.METRICS.items() if kind.is_of_fixed_rows}
    assert fixed == SHARES.keys() - {"ppv", "npv"}
    of_negatives = {name for name, kind in metrics.METRICS.items() if not kind.is_of_positives}
    assert of_negatives == {"specificity", "specificity_at_sensitivity", "false_positive_rate"}
