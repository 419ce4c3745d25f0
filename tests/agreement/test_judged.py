import numpy as np
import pandas as pd
import pytest

from equiderm.agreement.agreement import measure_agreement
from equiderm.agreement.calibrate import calibrate
from equiderm.agreement.judged import as_judged, distances, read_judged, type_shares
from equiderm.agreement.page import verdict
from equiderm.errors import InputError

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


def judged_by_groups(n=180, seed=0):
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
    assert result.agreement.unnamed == 180
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
