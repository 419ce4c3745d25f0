import numpy as np
import pytest

from equiderm.agreement.distributions import calibration_error, ranked_probability_scores


def test_a_score_costs_nothing_within_a_range():
    shares = np.array([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
    allowed = np.array([[1, 1, 0], [0, 1, 0]], dtype=bool)
    expected = [(0.7 - 1) ** 2 / 2, (0.2**2 + (0.7 - 1) ** 2) / 2]
    assert ranked_probability_scores(shares, allowed) == pytest.approx(expected)


def test_calibration_error_of_an_honest_forecast_of_ranges_is_small():
    generator = np.random.default_rng(0)
    chance = generator.uniform(0, 1, 4000)
    dark = generator.uniform(0, 1, 4000) < chance
    shares = np.column_stack([(1 - chance) / 2, (1 - chance) / 2, chance / 2, chance / 2])
    allowed = np.where(dark[:, None], [0, 0, 1, 1], [1, 1, 0, 0]).astype(bool)
    assert calibration_error(shares, allowed, np.ones(4000)) < 0.02
    sure = np.where(chance[:, None] > 0.5, [0, 0, 0.5, 0.5], [0.5, 0.5, 0, 0])
    assert calibration_error(sure, allowed, np.ones(4000)) > 0.1
