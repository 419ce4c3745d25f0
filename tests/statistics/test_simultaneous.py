"""Several differences at once: interval and p of one statistic, and how wide all of them are."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import multinomial, norm

from equiderm.statistics.estimates import Curved, Ranked, Share, clustered_share
from equiderm.statistics.intervals import Z95
from equiderm.statistics.simultaneous import (
    Difference,
    Largest,
    SameRows,
    beside,
    correlation_of,
    paired,
    same_rows,
)

shares = st.builds(
    Share,
    st.integers(0, 20).map(lambda k: k / 20),
    st.floats(5, 2000),
    st.sampled_from([3.0, 12.0, math.inf]),
)


@given(shares, shares, st.sampled_from([0.0, 0.6]))
def test_the_interval_excludes_0_exactly_where_p_is_below_5_percent(one, other, correlation):
    difference = Difference(one, other, correlation)
    low, high = difference.interval(Z95)
    assert (low > 0 or high < 0) == (difference.p < 0.05)


@given(shares, shares, st.floats(0.5, 4))
def test_the_interval_touches_0_at_the_level_of_the_statistic(one, other, z):
    difference = Difference(one, other)
    low, high = difference.interval(z)
    if abs(z - difference.statistic) > 1e-6:
        assert (low > 0 or high < 0) == (z < difference.statistic)


def test_shares_of_independent_rows_have_newcombes_interval_of_a_difference():
    # Newcombe 1998, Statistics in Medicine 17:873, table II, example (a): 56/70 against 48/80.
    low, high = Difference(Share(56 / 70, 70), Share(48 / 80, 80)).interval(Z95)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_two_groups_are_one_comparison():
    largest = Largest(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert largest.quantile() == pytest.approx(Z95)
    assert largest.p(Z95) == pytest.approx(0.05)


@pytest.mark.parametrize("count", [2, 5, 18])
def test_independent_statistics_have_sidaks_quantile(count):

    expected = norm.ppf((1 + 0.95 ** (1 / count)) / 2)
    assert Largest(np.eye(count)).quantile() == pytest.approx(expected, abs=0.03)


def test_the_quantile_is_where_p_passes_5_percent():
    correlation = correlation_of(np.array([[2.0, -0.5, 0.1], [-0.5, 1.0, 0.0], [0.1, 0.0, 3.0]]))
    largest = Largest(correlation)
    quantile = largest.quantile()
    assert largest.p(quantile + 1e-9) < 0.05 <= largest.p(quantile)
    values = [largest.p(z) for z in np.linspace(0, 8, 200)]
    assert values == sorted(values, reverse=True)
    assert 0 < values[-1] < 1e-12
    drawn = np.abs(largest.deviates).max(axis=1)
    assert largest.p(2.0) == (1 + (drawn >= 2.0).sum()) / (1 + len(drawn))


def test_few_patients_have_students_quantiles_by_welch():
    one = Curved(1.0, 0.01, freedom=5)
    assert Difference(one, Curved(0.0, 0.01, freedom=5)).freedom == pytest.approx(10)
    assert Difference(one, Curved(0.0, 1e-9, freedom=1e9)).freedom == pytest.approx(5, rel=1e-4)


@pytest.mark.parametrize(
    ("n", "both", "first", "second"),
    [(10, 0.40, 0.60, 0.52), (20, 0.45, 0.60, 0.52), (20, 0.63, 0.80, 0.72), (30, 0.4, 0.5, 0.5)],
)
def test_two_models_shares_of_the_same_rows_are_covered(n, both, first, second):
    cells = [both, first - both, second - both, 1 - first - second + both]
    held = np.zeros(2)
    for a, b, c in itertools.product(range(n + 1), repeat=3):
        counts = (a, b, c, n - a - b - c)
        if counts[3] < 0 or (chance := multinomial.pmf(counts, n, cells)) < 1e-8:
            continue
        calls = np.repeat([[1, 1, 0, 0], [1, 0, 1, 0]], counts, axis=1)
        values = calls.mean(axis=1)
        influences = (calls - values[:, None]) / n
        one, other = (Share(float(value), n) for value in values)
        ends = [
            paired(one, other, (influences[0], influences[1])).interval(Z95),
            same_rows(one, other, calls.astype(np.float64)).interval(Z95),
        ]
        held += chance * np.array([low <= first - second <= high for low, high in ends])
    assert (held >= 0.93).all()
    assert (held <= 0.972).all()


def _same_rows(first_only: int, second_only: int, n: int) -> SameRows:
    counted = np.zeros((2, n))
    counted[:, first_only + second_only : n // 2] = 1
    counted[0, :first_only] = counted[1, first_only : first_only + second_only] = 1
    one, other = (Share(float(value), n) for value in counted.mean(axis=1))
    return same_rows(one, other, (counted[0], counted[1]))


@pytest.mark.parametrize("cells", [(0, 0, 10), (3, 0, 10), (1, 4, 25), (7, 2, 50), (12, 0, 40)])
def test_tangos_ends_are_where_the_score_with_the_likeliest_rest_is_the_quantile(cells):
    b, c, n = cells

    def score(off: float) -> float:
        def unlikely(second: float) -> float:
            chances = (second + off, second, 1 - off - 2 * second)
            pairs = zip((b, c, n - b - c), chances, strict=True)
            return -sum(k * math.log(max(one, 1e-300)) for k, one in pairs if k)

        edges = max(0.0, -off), (1 - off) / 2
        likely = minimize_scalar(unlikely, bounds=edges, options={"xatol": 1e-12}).x
        return (b - c - n * off) / math.sqrt(n * (2 * likely + off - off**2))

    low, high = _same_rows(b, c, n).interval(Z95)
    assert -1 < low <= (b - c) / n <= high < 1
    assert (score(low), score(high)) == pytest.approx((Z95, -Z95), abs=1e-4)


def test_the_p_of_two_models_shares_is_mcnemars():
    one = _same_rows(14, 4, 60)
    assert one.p == pytest.approx(2 * norm.sf(10 / math.sqrt(18)))
    assert _same_rows(5, 5, 60).p == 1.0


def test_copies_of_a_patients_rows_say_no_more_of_two_models_than_the_patients():
    random = np.random.default_rng(1)
    counted = random.random((2, 40)) < 0.7
    patient = np.repeat(np.arange(40), 6)
    shares = [
        clustered_share(float(r.mean()), 240, (r.repeat(6) - r.mean()) / 240, patient, patients=40)
        for r in counted * 1.0
    ]
    copied = same_rows(shares[0], shares[1], counted.repeat(6, axis=1) * 1.0, patient=patient)
    assert copied.rows == pytest.approx(39)


def test_two_models_that_each_win_a_row_of_every_patient_do_not_differ():
    patient, counted = np.repeat(np.arange(20), 2), np.tile([1.0, 0.0], 20)
    share = clustered_share(0.5, 40, (counted - 0.5) / 40, patient, patients=20)
    one = same_rows(share, share, (counted, 1 - counted), patient=patient)
    assert (one.value, one.p, one.rows) == (0, 1, pytest.approx(40))  # no variance to count by


def test_a_patients_repeated_rows_count_as_one():
    random = np.random.default_rng(0)
    hit = np.repeat(random.random(60) < 0.4, 10)
    patient = np.repeat(np.arange(60), 10)
    value = float(hit.mean())
    share = clustered_share(value, 600, (hit - value) / 600, patient, patients=60)
    assert share.n == pytest.approx(59)
    assert share.freedom == pytest.approx(59)
    alone = clustered_share(value, 600)
    assert alone.n == 600


def test_a_ratio_of_shares_has_about_katzs_interval():
    one, other = Share(0.6, 500), Share(0.5, 400)
    ratio, low, high = Difference(one, other).ratio(Z95)
    error = math.sqrt(0.4 / 300 + 0.5 / 200)
    assert ratio == pytest.approx(1.2)
    assert (low, high) == pytest.approx(
        (1.2 * math.exp(-Z95 * error), 1.2 * math.exp(Z95 * error)), rel=0.01
    )
    assert math.isnan(Difference(Share(0.0, 50), other).ratio(Z95)[0])


def test_two_aurocs_that_share_their_errors_have_an_even_interval():
    one, other = Ranked(0.84, 0.0016, 30, 70), Ranked(0.88, 0.0012, 30, 70)
    low, high = Difference(one, other, 0.98, paired=True).interval(Z95)
    assert high + 0.04 == pytest.approx(-0.04 - low)
    apart = np.sqrt(0.0016 + 0.0012 - 2 * 0.98 * np.sqrt(0.0016 * 0.0012))
    assert high - low == pytest.approx(2 * Z95 * apart, rel=0.1)


def test_two_models_that_agree_on_every_row_do_not_differ():
    hit = (np.arange(40) % 3 > 0).astype(float)
    share = Share(float(hit.mean()), 40)
    one = same_rows(share, share, (hit, hit))
    assert (one.value, one.statistic, one.p) == (0, 0, 1)


def test_the_correlation_of_two_models_shares_is_lowered_by_three_tenths_of_a_row():
    one, other, moved = Share(0.6, 20), Share(0.5, 30), np.array([0.1, -0.1, 0.2, -0.2])
    off = paired(one, other, (moved, moved))
    assert off.correlation == pytest.approx(1 - 0.3 / (25 * math.sqrt(0.6 * 0.4 * 0.5 * 0.5)))
    assert paired(one, other, (moved, -moved)).correlation == pytest.approx(-1)
    assert paired(Share(1.0, 20), other, (moved, moved)).correlation == 0
    assert paired(Share(0.6, 1), Share(0.5, 1), (moved, moved)).correlation == 0
    ranks = Ranked(0.6, 0.01, 20, 20), Ranked(0.5, 0.01, 20, 20)
    halves = np.array([0.2, 0, 0.2, -0.4])
    assert paired(*ranks, (moved, halves)).correlation == pytest.approx(0.14 / math.sqrt(0.024))
    of = np.array([0, 0, 1, 1])  # the rows of a patient cancel in the first
    assert paired(*ranks, (moved, halves), of).correlation == 0


def test_mcnemars_statistic_is_of_the_rows_that_only_one_model_counts():
    off = SameRows(Share(0.6, 50), Share(0.5, 50), paired=True, discordant=0.4, rows=50)
    assert off.statistic == pytest.approx(0.1 * math.sqrt(50 / 0.4))
    equal = SameRows(Share(0.5, 50), Share(0.5, 50), paired=True, discordant=0.4, rows=50)
    assert equal.statistic == 0


def test_p_goes_to_the_side_of_5_percent_on_which_the_interval_lies():
    inside, beyond = (-0.1, 0.1), (0.001, 0.1)
    assert beside(0.049, *inside) == 0.05 and beside(0.3, *inside) == 0.3
    assert beside(0.051, *beyond) < 0.05 and beside(0.01, *beyond) == 0.01
    assert beside(0.04, 0.0, 0.1) == beside(0.04, -0.1, 0.0) == 0.05
    assert beside(0.06, -0.2, -0.1) < 0.05
    assert beside(0.04, *inside, level=0.9) == 0.1


def test_p_counts_the_draws_down_to_the_last_and_follows_the_normal_tail_beyond():
    largest = Largest(np.eye(3), draws=4000)
    drawn = np.sort(np.abs(largest.deviates).max(axis=1))[::-1]
    start = drawn[8]  # 0.2 % of the draws
    assert largest.p(start) == (1 + (drawn >= start).sum()) / 4001
    beyond = start + 0.5
    assert largest.p(beyond) == pytest.approx(9 / 4001 * norm.sf(beyond) / norm.sf(start))


def test_of_few_patients_the_interval_of_two_models_widens_with_the_level():
    one, other = Ranked(0.4835, 0.00085, 15, 131, 1.14), Ranked(0.4550, 0.00168, 15, 131, 1.98)
    off = Difference(one, other, 1.0, paired=True)
    widths = [high - low for low, high in map(off.interval, (1.0, 1.5, 1.96, 2.4, 2.8))]
    assert widths == sorted(widths)
    assert widths[-1] > 1.5 * widths[2]
    low, high = off.interval(off.statistic)
    assert min(abs(low), abs(high)) < 1e-9
