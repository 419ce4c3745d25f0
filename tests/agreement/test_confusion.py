import numpy as np
import pytest

from equiderm.agreement.confusion import exact_bound, exact_mean_bound


def test_the_exact_bound_of_one_share_is_clopper_and_pearsons():
    from scipy.stats import binomtest

    expected = binomtest(37, 37).proportion_ci(method="exact").low
    assert exact_bound(37) == pytest.approx(expected)
    assert exact_mean_bound(np.array([37.0])) == pytest.approx(expected)


def test_the_exact_bound_of_a_mean_is_the_least_mean_that_may_still_succeed_throughout():
    n = np.array([20.0, 5.0, 60.0])
    bound = exact_mean_bound(n)
    grid = np.linspace(0.3, 1, 141)
    a, b, c = np.meshgrid(grid, grid, grid)
    possible = n[0] * np.log(a) + n[1] * np.log(b) + n[2] * np.log(c) >= np.log(0.025)
    assert bound == pytest.approx(((a + b + c) / 3)[possible].min(), abs=0.005)
