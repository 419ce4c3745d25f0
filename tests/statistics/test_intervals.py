"""Intervals contain their estimate, stay in range, and equal published or computed values."""

from inspect import signature

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import bootstrap

from equiderm.statistics.estimates import interval, ranked
from equiderm.statistics.intervals import (
    bca,
    difference,
    effective_n,
    expanded,
    holm,
    logit_interval,
    newcombe_auroc,
    percentile,
    simultaneous_z,
    wilson,
)


@given(st.integers(1, 500), st.data())
def test_wilson_equals_scipy(n, data):
    hits = data.draw(st.integers(0, n))
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits / n, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_perfect_share_of_five_has_a_wide_interval():
    low, high = wilson(1.0, 5)
    assert high == 1.0
    assert low < 0.6


def test_more_variance_than_binomial_means_fewer_effective_images():
    assert effective_n(0.5, 0.25 / 40, 100, 100) == pytest.approx(40)
    assert effective_n(0.5, 0.25 / 400, 100, 100) == 100
    assert effective_n(1.0, 0.0, 100, 30) == 30


@given(st.integers(2, 30), st.integers(2, 30), st.integers(0, 10_000))
def test_auroc_interval_contains_its_estimate_within_0_and_1(m, n, seed):
    random = np.random.default_rng(seed)
    target = np.repeat([1, 0], [m, n])
    one = ranked(target == 1, random.integers(0, 6, m + n) + 2.0 * target)
    low, high = interval(one)
    assert 0 <= low <= one.value <= high <= 1
    assert high - low > 0.001


def test_perfect_separation_keeps_a_wide_interval():
    low, high = interval(ranked(np.arange(12) > 5, np.arange(12.0)))
    assert high == 1.0
    assert 0.5 < low < 0.8
    assert (1 - high, 1 - low) == pytest.approx(newcombe_auroc(0.0, 6, 6), abs=1e-6)


def test_bca_of_a_mean_agrees_with_scipy():
    random = np.random.default_rng(0)
    sample = random.exponential(size=60)
    seeded = {"rng" if "rng" in signature(bootstrap).parameters else "random_state": random}
    scipys = bootstrap((sample,), np.mean, n_resamples=9999, method="BCa", **seeded)
    drawn = np.array([random.choice(sample, 60).mean() for _ in range(9999)])
    jackknife = (sample.sum() - sample) / 59
    expected = scipys.confidence_interval
    assert bca(sample.mean(), drawn, jackknife) == pytest.approx(
        (expected.low, expected.high), abs=0.03
    )
    low, _ = percentile(drawn)
    assert low < expected.low, "BCa moves a skewed mean's interval up"


def test_the_expanded_bootstrap_of_a_mean_is_students_interval():
    random = np.random.default_rng(0)
    sample = random.normal(size=12)
    drawn = random.choice(sample, (100_000, 12)).mean(axis=1)
    expected = stats.t.interval(0.95, 11, sample.mean(), stats.sem(sample))
    assert percentile(drawn, expanded(1.959964, 12)) == pytest.approx(expected, abs=0.06)
    assert expanded(1.959964, 10**6) == pytest.approx(1.959964, abs=1e-4)
    assert expanded(1.959964, 1) == 1.959964


def test_difference_equals_newcombes_published_example():
    # Newcombe 1998, Statistics in Medicine 17:873, method 10: 56/70 against 48/80.
    one, other = (56 / 70, *wilson(56 / 70, 70)), (48 / 80, *wilson(48 / 80, 80))
    assert difference(one, other) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(("groups", "level"), [(2, 0.95), (3, 0.975), (6, 0.95), (40, 0.95)])
def test_the_simultaneous_quantile_is_tukeys(groups, level):
    expected = stats.studentized_range.ppf(level, groups, 1e5) / np.sqrt(2)
    assert simultaneous_z(groups, level) == pytest.approx(expected, abs=2e-3)


def test_two_groups_need_no_wider_quantile():
    assert simultaneous_z(2) == pytest.approx(1.959964, abs=1e-5)


def test_holm_keeps_missing_p_values_missing():
    adjusted = holm([0.01, float("nan"), 0.02])
    assert adjusted[[0, 2]].tolist() == [0.02, 0.02]
    assert np.isnan(adjusted[1])


def test_two_draws_have_an_interval_and_one_has_none():
    pair = np.array([0.4, 0.6, np.nan])
    assert percentile(pair, 0.0) == pytest.approx((0.5, 0.5))
    assert bca(0.5, pair, np.zeros(0), 0.0) == pytest.approx((0.5, 0.5))
    for draws in (pair[1:], pair[2:]):
        assert np.isnan(percentile(draws)).all() and np.isnan(bca(0.5, draws, pair)).all()


def test_logits_far_below_are_0_and_tukey_s_quantile_is_of_95_percent():
    low, high = logit_interval(0.01, 900.0, 30.0)
    assert (low, high) == (0.0, 1.0)
    assert simultaneous_z(2) == pytest.approx(1.959964, abs=1e-4)
    assert simultaneous_z(3) == pytest.approx(
        stats.studentized_range.ppf(0.95, 3, np.inf) / 2**0.5, abs=1e-3
    )
