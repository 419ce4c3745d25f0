"""The calibration error's interval: where it begins, what it holds, how patients widen it."""

import numpy as np
import pytest

from equiderm.audit.calibration import calibration_fit, calibration_interval
from equiderm.audit.metrics import calibration_error
from equiderm.statistics.intervals import Z95


def draw(seed: int, n: int, extreme: float = 1.0):
    """Return targets, and scores whose log-odds are ``extreme`` times the true ones."""
    random = np.random.default_rng(seed)
    logit = random.normal(-1, 1.5, n)
    target = random.random(n) < 1 / (1 + np.exp(-logit))
    return target, 1 / (1 + np.exp(-extreme * logit))


def test_calibrated_scores_are_not_told_from_perfect_ones():
    lows = [calibration_interval(*draw(seed, 300))[0] for seed in range(40)]
    assert np.mean(np.array(lows) == 0) > 0.85


@pytest.mark.parametrize("n", [100, 400])
@pytest.mark.parametrize("extreme", [1.5, 3.0])
def test_the_truth_is_held_about_as_often_as_is_said(n, extreme):
    true = calibration_error(*draw(10**6, 500_000, extreme))
    made = [calibration_interval(*draw(seed, n, extreme)) for seed in range(300)]
    assert 0.91 < np.mean([low <= true <= high for low, high in made]) < 0.99


def test_scores_far_off_in_one_bin_get_the_normal_interval():
    target = np.repeat([True, False], [300, 700])
    low, high = calibration_interval(target, np.full(1000, 0.8))
    half = Z95 * np.sqrt(0.3 * 0.7 / 1000)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-3)


def test_copies_of_a_patients_row_tell_no_more_than_the_row():
    target, score = draw(3, 400, 2.0)
    once = calibration_interval(target, score)
    copied = np.repeat(target, 5), np.repeat(score, 5)
    assert calibration_interval(*copied, np.repeat(np.arange(400), 5)) == pytest.approx(
        once, abs=0.01
    )
    low, high = calibration_interval(*copied)
    assert high - low < 0.6 * (once[1] - once[0])


@pytest.mark.parametrize("target", [np.zeros(12, dtype=bool), np.ones(12, dtype=bool)])
def test_one_class_gives_ends_within_0_and_1(target):
    low, high = calibration_interval(target, np.linspace(0, 1, 12))
    assert 0 <= low < calibration_error(target, np.linspace(0, 1, 12)) < high <= 1


def test_no_rows_give_no_interval():
    assert np.isnan(calibration_interval(np.zeros(0, dtype=bool), np.zeros(0))).all()


def test_the_fit_of_nearly_separate_classes_is_scikit_learn_s():
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(276)  # one in which undamped steps of the fit lead nowhere
    logit = random.normal(size=60)
    target = random.random(60) < 1 / (1 + np.exp(-12 * logit - 6))
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=100_000)
    model.fit(logit[:, None], target)
    found = calibration_fit(target, 1 / (1 + np.exp(-logit)))
    assert found == pytest.approx((model.intercept_[0], model.coef_[0, 0]), rel=1e-5)
