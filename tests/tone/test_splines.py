import numpy as np
import pytest
from scipy.interpolate import BSpline
from sklearn.linear_model import LogisticRegression

from equiderm.tone.splines import (
    CumulativeLogits,
    _fit_thresholds,
    design,
    fit_cumulative_logits,
    spline_basis,
)


def test_the_basis_is_scipys():
    knots = np.array([-30.0, 0.0, 10.0, 55.0])
    values = np.linspace(-40, 60, 200)
    padded = np.concatenate([[knots[0]] * 3, knots, [knots[-1]] * 3])
    expected = BSpline.design_matrix(np.clip(values, -30, 55), padded, 3).toarray()
    assert spline_basis(values, knots) == pytest.approx(expected, abs=1e-12)


def test_products_come_after_the_features_own_splines():
    generator = np.random.default_rng(0)
    features = generator.uniform(0, 1, (20, 2))
    knots = (np.array([0.0, 1.0]), np.array([0.0, 0.5, 1.0]))
    basis = design(features, knots, True)
    first, second = (spline_basis(features[:, i], knots[i]) for i in range(2))
    assert basis.shape == (20, 4 + 5 + 20)
    assert basis[:, 9 + 1 * 5 + 2] == pytest.approx(first[:, 1] * second[:, 2])


def test_shares_are_a_distribution_and_follow_the_types():
    generator = np.random.default_rng(0)
    index = generator.integers(0, 6, 1500)
    features = np.column_stack([60 - 12 * index, 50 - 8 * index]) + generator.normal(
        0, 8, (1500, 2)
    )
    model = fit_cumulative_logits(features, index, 6, n_knots=4, strength=1.0)
    shares = model.predict_proba(features)
    assert shares.sum(axis=1) == pytest.approx(1, abs=1e-12)
    assert (shares >= -1e-12).all()
    assert shares.mean(axis=0) == pytest.approx(np.bincount(index) / 1500, abs=0.01)
    assert (np.abs(shares.argmax(axis=1) - index) <= 1).mean() > 0.95


def test_a_type_without_images_gets_almost_nothing():
    index = np.tile([1, 2], 100)
    features = np.where(index == 1, 40.0, 20.0)[:, None] + np.linspace(-5, 5, 200)[:, None]
    model = fit_cumulative_logits(features, index, 4, n_knots=4, strength=1.0)
    shares = model.predict_proba(features)
    assert shares[:, [0, 3]].max() < 0.01


def test_a_feature_with_one_value_changes_nothing():
    generator = np.random.default_rng(0)
    index = generator.integers(0, 3, 200)
    features = np.column_stack([-10.0 * index + generator.normal(0, 5, 200), np.full(200, 7.0)])
    shares = fit_cumulative_logits(features, index, 3, n_knots=4, strength=1.0).predict_proba(
        features
    )
    assert np.isfinite(shares).all()


def test_ranges_bias_no_threshold_of_an_ordinal_model():
    generator = np.random.default_rng(0)
    index = generator.integers(0, 4, 3000)
    features = (10.0 * index + generator.normal(0, 8, 3000))[:, None]
    allowed = np.eye(4, dtype=bool)[index]
    ranged = allowed.copy()
    hidden = np.arange(3000) % 2 == 0
    ranged[hidden] = np.repeat(np.eye(2, dtype=bool), 2, axis=1)[index[hidden] // 2]
    whole = fit_cumulative_logits(features, index, 4, n_knots=4, strength=1.0)
    same = fit_cumulative_logits(features, allowed, 4, n_knots=4, strength=1.0)
    parted = fit_cumulative_logits(features, ranged, 4, n_knots=4, strength=1.0)
    assert np.array_equal(whole.coefficients, same.coefficients)
    expected, got = whole.predict_proba(features), parted.predict_proba(features)
    assert np.abs(got.mean(axis=0) - expected.mean(axis=0)).max() < 0.02
    assert np.abs(got - expected).mean() < 0.04


def test_thresholds_that_cross_meet_in_the_mean_of_both_envelopes():
    model = CumulativeLogits((np.zeros(1),), False, np.log([1.0, 3.0]), np.zeros((2, 1)))
    shares = model.predict_proba(np.zeros((2, 1)))  # P(type > 0) is 1/2, P(type > 1) is 3/4
    assert shares == pytest.approx(np.tile([0.375, 0.0, 0.625], (2, 1)))


def test_a_threshold_that_all_rows_are_beyond_has_the_odds_of_half_a_row():
    index = np.tile([1, 2], 100)
    features = np.where(index == 1, 40.0, 20.0)[:, None] + np.linspace(-5, 5, 200)[:, None]
    model = fit_cumulative_logits(features, index, 4, n_knots=4, strength=1.0)
    assert model.intercepts[[0, 2]] == pytest.approx([np.log(401), -np.log(401)])
    assert not model.coefficients[[0, 2]].any() and model.coefficients[1].any()


def test_a_row_shared_among_types_counts_in_part_on_each_side():
    generator = np.random.default_rng(0)
    basis = generator.normal(size=(60, 2))
    parts = np.zeros((60, 3))
    parts[np.arange(60), generator.integers(0, 3, 60)] = 1
    parts[:20] = [0.5, 0.3, 0.2]
    given = {"C": 1.0, "tol": 1e-10, "max_iter": 5000}
    fits = [LogisticRegression(**given) for _ in range(2)]
    intercepts, coefficients = _fit_thresholds(basis, parts, fits)
    for j in range(2):
        beyond = parts[:, j + 1 :].sum(axis=1)
        weights = np.concatenate([beyond, 1 - beyond])
        model = LogisticRegression(**given)
        model.fit(np.tile(basis, (2, 1)), np.repeat([1, 0], 60), sample_weight=weights)
        assert intercepts[j] == pytest.approx(model.intercept_[0], abs=1e-5)
        assert coefficients[j] == pytest.approx(model.coef_[0], abs=1e-5)


def test_up_to_three_columns_have_products_and_one_has_none():
    features = np.random.default_rng(0).normal(size=(80, 4))
    index = (features[:, 0] > 0).astype(int)
    fitted = [
        fit_cumulative_logits(features[:, :n], index, 2, n_knots=3, strength=1.0)
        for n in (1, 2, 3, 4)
    ]
    assert [model.products for model in fitted] == [False, True, True, False]
    assert [model.coefficients.shape[1] for model in fitted] == [5, 35, 90, 20]
