import numpy as np
import pandas as pd
import pytest

from equiderm.agreement.agreement import measure_agreement
from equiderm.agreement.calibrate import calibrate
from equiderm.agreement.confusion import exact_bound, exact_mean_bound
from equiderm.agreement.crossfit import crossfit
from equiderm.agreement.distributions import calibration_error, ranked_probability_scores
from equiderm.agreement.judged import as_judged, distances, read_judged, type_shares
from equiderm.agreement.page import verdict
from equiderm.errors import InputError
from equiderm.tone.splines import fit_cumulative_logits

TYPES = (1, 2, 3, 4, 5, 6)
DDI = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]], dtype=bool)


def drawn(n=400, seed=0):
    generator = np.random.default_rng(seed)
    truth = generator.integers(1, 7, n).astype(float)
    label = np.clip(np.rint(truth + generator.normal(0, 1.2, n)), 1, 6)
    return truth, label, np.eye(6, dtype=bool)[truth.astype(int) - 1]


def test_sets_of_one_type_have_the_figures_and_intervals_of_types():
    truth, label, sets = drawn()
    plain, by_sets = (measure_agreement(given, label, TYPES) for given in (truth, sets))
    assert plain.to_json() == by_sets.to_json()


def test_a_label_inside_its_range_is_right_and_outside_the_nearest_type_counts():
    sets = DDI[[0] * 10 + [1] * 10 + [2] * 10]
    label = np.array([1.0, 2] * 5 + [3.0, 5] * 5 + [6.0, 3] * 5)
    result = measure_agreement(sets, label, TYPES)
    figures = {name: figure.value for name, figure in result.figures.items()}
    assert figures["exact"] == pytest.approx(20 / 30)
    assert figures["within_one"] == pytest.approx(25 / 30)
    assert figures["mean_absolute_error"] == pytest.approx((5 * 1 + 5 * 2) / 30)
    assert figures["recall_dark"] == 0.5
    assert figures["precision_dark"] == 0.5
    assert result.judged[6:] == ("1-2", "3-4", "5-6")
    assert result.confusion[6:].sum(axis=1).tolist() == [10, 10, 10]


def test_a_constant_has_kappa_0_against_ranges_too():
    sets = DDI[np.arange(60) % 3]
    for kind in TYPES:
        result = measure_agreement(sets, np.full(60, float(kind)), TYPES)
        assert result.figures["kappa"].value == pytest.approx(0)


def test_the_nearest_type_of_a_range_is_the_distance():
    members = np.array([[0, 1, 1, 0, 0, 0], [1, 0, 0, 0, 1, 0]], dtype=bool)
    assert distances(members).tolist() == [[1, 0, 0, 1, 2, 3], [0, 1, 2, 1, 0, 1]]


def test_two_raters_who_differ_allow_either_type():
    frame = pd.DataFrame({"a": ["3", "2", None, ""], "b": ["III", "4", "5", None]})
    judged = read_judged(frame, ["a", "b"], TYPES, "A")
    assert [judged.names[row] if row >= 0 else None for row in judged.row] == [
        "3", "2, 4", "5", None,
    ]  # fmt: skip


def test_shares_of_types_from_ranges_are_the_likeliest():
    members = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]], dtype=bool)
    shares = type_shares(np.array([40.0, 30, 10, 20]), members)
    assert shares == pytest.approx([0.4, 0.45, 0.15])
    assert type_shares(np.array([2.0, 1, 1, 0]), members).tolist() == [0.5, 0.25, 0.25]


def test_a_target_reweights_ranges_by_bayes_rule():
    truth, label, sets = drawn()
    groups = DDI[(truth.astype(int) - 1) // 2]
    target = np.array([0.3, 0.3, 0.1, 0.1, 0.1, 0.1])
    share = np.array([groups[:, 2 * g].mean() for g in range(3)])
    weight = (target.reshape(3, 2).sum(axis=1) / share)[(truth.astype(int) - 1) // 2]
    inside = groups[np.arange(len(label)), label.astype(int) - 1]
    value = measure_agreement(groups, label, TYPES, target=target).figures["exact"].value
    assert value == pytest.approx(np.average(inside, weights=weight))
    assert sets.any()


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


def judged_by_groups(n=300, seed=0):
    generator = np.random.default_rng(seed)
    truth = generator.integers(1, 7, n)
    frame = pd.DataFrame(
        {
            "ita": 70 - 14 * truth + generator.normal(0, 8, n),
            "ita_other": 70 - 14 * truth + generator.normal(0, 8, n),
            "patient_id": [None] * n,
        }
    )
    return frame, DDI[(truth - 1) // 2], truth


@pytest.mark.parametrize("columns", [["ita"], ["ita", "ita_other"]])
def test_a_scheme_is_fitted_on_ddis_groups_without_patients(columns):
    frame, groups, truth = judged_by_groups()
    result = calibrate(frame, groups, TYPES, columns=columns, patient=frame["patient_id"])
    assert result.agreement.figures["exact"].value > 0.75
    assert result.agreement.unnamed == 300
    answers = result.scheme.predict(frame).astype(float)
    assert np.abs(answers - truth).mean() < 0.8
    assert result.scheme.predict_proba(frame).sum(axis=1) == pytest.approx(1)
    pairs = result.scheme.judged.reshape(3, 2)
    assert pairs[:, 0] == pytest.approx(pairs[:, 1])


def test_ranges_beside_types_help_a_fit_that_types_alone_are_too_few_for():
    frame, groups, truth = judged_by_groups(n=600, seed=3)
    sets = groups.copy()
    sets[::4] = np.eye(6, dtype=bool)[truth[::4] - 1]
    result = calibrate(frame, sets, TYPES, columns=["ita"], patient=frame["patient_id"])
    answers = result.scheme.predict(frame).astype(float)
    assert np.abs(answers - truth).mean() < 0.7


def test_no_fold_is_predicted_by_a_fit_that_saw_its_rows(monkeypatch):
    frame, groups, _ = judged_by_groups(n=120)
    folds = np.arange(120) % 4
    features = frame[["ita"]].to_numpy()
    seen: list[tuple[set, set]] = []
    from equiderm.agreement import crossfit as module

    fit, index_of = module._Problem.fit, module.FittedScheme.index_of
    fitted_on = {}

    def spy(self, rows, choice, names, columns):
        scheme = fit(self, rows, choice, names, columns)
        fitted_on[id(scheme)] = (scheme, set(features[rows, 0]))
        return scheme

    def watch(self, given):
        seen.append((fitted_on[id(self)][1], set(given[:, 0])))
        return index_of(self, given)

    monkeypatch.setattr(module._Problem, "fit", spy)
    monkeypatch.setattr(module.FittedScheme, "index_of", watch)
    crossfit(features, as_judged(groups, TYPES), folds, types=TYPES, columns=["ita"])
    assert len(seen) > 4 * 3 * 3
    assert not any(train & test for train, test in seen)


def test_perfect_agreement_is_better_than_any_constant():
    truth = np.array([2.0] * 180 + [5.0] * 20)
    patient = pd.Series(np.arange(200) // 4, name="p")
    result = measure_agreement(truth, truth, TYPES, patient=patient)
    assert result.figures["within_one"].constant == 0.9
    assert "The labels do better than that" in verdict(result)
    for name in ("exact", "within_one", "recall_dark", "precision_dark", "mean_within_one"):
        figure = result.figures[name]
        assert figure.value == 1
        assert figure.low < figure.high == 1


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


def test_blank_patients_are_counted_and_each_is_its_own():
    truth, label, _ = drawn(100)
    patient = pd.Series([f"p{i % 20}" if i % 4 else ["", " ", None][i % 3] for i in range(100)])
    result = measure_agreement(truth, label, TYPES, patient=patient.rename("who"))
    assert (result.patients, result.unnamed) == (15 + 25, 25)
    assert "25 images have no patient in column 'who'" in " ".join(result.notes)
    assert result.to_json()["images_without_patient"] == 25


def test_a_type_that_is_not_on_the_scale_is_one_sentence():
    with pytest.raises(InputError, match="not on the scale 1-6"):
        as_judged(np.array([1.0, 7.0]), TYPES)
