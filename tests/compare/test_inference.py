"""One formula for interval and p, at known truth and by its properties."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.compare.drawn import draw

from equiderm.compare.inference import Contrast, Mean, level
from equiderm.compare.scores import make_test
from equiderm.compare.spread import spread
from equiderm.statistics.intervals import holm_levels

MEANS = st.builds(
    Mean,
    value=st.floats(-0.5, 0.5),
    units=st.integers(2, 20),
    over_seeds=st.floats(1e-8, 0.05),
    over_images=st.floats(0, 0.01),
    freedom=st.floats(1, 500),
)


@given(MEANS, st.floats(1e-6, 0.5))
def test_an_interval_leaves_zero_out_exactly_where_p_is_below_its_alpha(mean, alpha):
    p, half = mean.p(), mean.half(alpha)
    if abs(p - alpha) > 1e-9:
        assert (abs(mean.value) > half) == (p < alpha)


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=40))
def test_an_adjusted_interval_leaves_zero_out_exactly_where_the_adjusted_p_is_below_five_percent(p):
    values = np.array(p)
    adjusted, alphas = holm_levels(values)
    known = np.isfinite(values)
    assert ((values < alphas) == (adjusted < 0.05))[known].all()
    assert np.isnan(adjusted[~known]).all()


def test_without_images_the_interval_is_that_of_student():
    values = np.array([0.01, 0.03, 0.02, 0.06])
    mean = Mean(values.mean(), 4, values.var(ddof=1), 0.0, 100.0)
    expected = stats.ttest_1samp(values, 0)
    assert mean.p() == pytest.approx(expected.pvalue)
    low = expected.confidence_interval().low
    assert mean.value - mean.half(0.05) == pytest.approx(low)


def test_without_seeds_scatter_the_interval_is_that_of_the_patients():
    mean = Mean(0.1, 5, 0.0, 0.04**2, 1e9)
    assert mean.half(0.05) == pytest.approx(1.95996 * 0.04, rel=1e-4)
    assert mean.p() == pytest.approx(2 * stats.norm.sf(0.1 / 0.04), rel=1e-4)


def contrast_of(seed, shift, seeds, sizes=(200, 200, 200), **options):
    scores, target, patient, group = draw(
        np.random.default_rng(seed), shift, seeds, sizes, **options
    )
    found = spread(make_test("t", target, patient, group, by="g"), scores)
    return found, Contrast(found, 1, 0)


def test_the_runs_own_noise_is_counted_once():
    # No seed effect: all of s^2 is noise of the runs on these patients, none of it is shared.
    shared, own, scatter = [], [], []
    for seed in range(40):
        found, contrast = contrast_of(seed, np.zeros((2, 1)), 6, (300,), of_seed=0, of_run=1.0)
        mean = contrast.difference(0)
        shared.append(mean.over_images)
        own.append(mean.own)
        scatter.append((contrast.values[:, 0] - contrast.values[:, len(found.figures)]).var(ddof=1))
    assert np.mean(scatter) == pytest.approx(np.mean(own), rel=0.15)
    assert np.mean(shared) < 0.15 * np.mean(own)


def test_intervals_hold_the_truth_in_92_to_99_of_100():
    # 240 of each; a share of 0.95 shows as 0.92 to 0.98, one of 0.98 as up to 1.
    for seeds in (2, 3, 5):
        held = []
        for seed in range(120):
            _, contrast = contrast_of(seed, np.zeros((2, 2)), seeds, (90, 90))
            held += [contrast.difference(f).p() >= 0.05 for f in (0, 1)]
        assert 0.92 <= np.mean(held) <= 1, seeds


def test_two_seeds_that_agree_to_the_digit_are_no_evidence():
    _, contrast = contrast_of(0, np.zeros((2, 1)), 2, (300,))
    mean = contrast.difference(0)
    lucky = dataclasses.replace(mean, value=0.03, over_seeds=0.1 * mean.own)
    assert lucky.p() > 0.05
    assert mean.over_seeds >= 0.1 * mean.own


def test_a_gain_of_the_worst_group_is_established_only_where_every_group_that_may_be_it_gains():
    shift = np.array([[0, 0, 0], [0.8, 0, 0]])  # groups are alike: any may be the worst
    found, contrast = contrast_of(1, shift, 6, (600, 600, 600))
    worst = contrast.estimate(len(found.figures) - 2)
    assert contrast.estimate(1).p() < 0.001  # group 0 gains
    assert worst.interval()[0] < 0 < worst.interval()[1]
    shift = np.array([[-1.0, 0, 0], [-0.2, 0, 0]])  # group 0 is the worst before
    found, contrast = contrast_of(1, shift, 6, (600, 600, 600))
    assert contrast.estimate(len(found.figures) - 2).p() < 0.01


def test_bounds_of_worst_and_gap_hold_the_estimate_and_the_truth():
    held = {"worst": 0, "gap": 0}
    for seed in range(60):
        found, contrast = contrast_of(seed, [[0, 0, 0], [-0.5, 0, 0]], 5, of_seed=0)
        # AUROC of a distance d is Phi(d / sqrt(2 v)), v = 0.81 + 0.16 + 0.16
        lost = float(np.diff(stats.norm.cdf(np.array([1.0, 1.5]) / np.sqrt(2 * 1.13)))[0])
        for figure, truth in (("worst", -lost), ("gap", lost)):
            estimate = contrast.estimate(found.figures.index(figure))
            low, high = estimate.interval()
            assert low <= estimate.value <= high
            held[figure] += low <= truth <= high
    assert min(held.values()) >= 56


def test_one_seed_has_no_interval_of_a_difference():
    _, contrast = contrast_of(0, np.zeros((2, 3)), 1)
    estimate = contrast.estimate(0)
    assert np.isfinite(estimate.value)
    assert np.isnan(estimate.interval()).all()
    assert np.isnan(estimate.p())


def test_a_level_stays_between_0_and_1_and_holds_its_value():
    found, _ = contrast_of(2, np.full((2, 3), 2.5), 3, (60, 60, 60))
    for f in range(len(found.figures)):
        mean, low, high = level(found, 0, f)
        assert 0 <= low <= mean.value <= high <= 1


def test_the_gap_of_equal_groups_reaches_down_to_nothing():
    held = 0
    for seed in range(40):
        found, _ = contrast_of(seed, np.zeros((2, 3)), 5, of_seed=0)
        held += level(found, 0, len(found.figures) - 1)[1] == 0
    assert held >= 38


def test_separated_classes_have_a_wide_interval():
    target = np.arange(20) % 2
    scores = np.tile(target.astype(float), (1, 2, 1)) + np.linspace(0, 0.1, 20)
    found = spread(make_test("t", target, None, np.zeros(20), by="g"), scores)
    mean, low, high = level(found, 0, 0)
    assert mean.value == high == 1
    assert low < 0.85


def test_more_seeds_and_images_are_asked_for_where_they_are_needed():
    steady = Mean(0.0, 3, 0.01**2, 0.001**2, 500.0)
    seeds, times = steady.needed(0.03, 0.05)
    assert (seeds, times) == (3, 1.0)
    seeds, times = Mean(0.0, 3, 0.01**2, 0.03**2, 500.0).needed(0.03, 0.05)
    assert times > 5
    # the plan holds: a difference of the margin is established in about 80 of 100
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        values = 0.03 + random.normal(0, 0.01, 3)
        image = random.normal(0, 0.001)
        mean = Mean(values.mean() + image, 3, values.var(ddof=1), 0.001**2, 500.0)
        hits += mean.p() < 0.05
    assert 300 <= hits <= 400
