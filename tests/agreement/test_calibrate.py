import json

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_predict

from equiderm.agreement import crossfit
from equiderm.agreement.calibrate import calibrate, read_target
from equiderm.agreement.distributions import (
    calibration_error,
    measure_distributions,
    ranked_probability_scores,
)
from equiderm.errors import InputError
from equiderm.tone.fitted_scheme import decide, load_fitted, read_features, shift_prior

TYPES = (1, 2, 3, 4, 5, 6)


def judged_photographs(n_patients=60, photographs=10, seed=0):
    """Two angles that fall with the type, with an error that a patient's photographs share."""
    generator = np.random.default_rng(seed)
    kind = generator.integers(1, 7, n_patients)
    own = generator.normal(0, 5, n_patients)
    truth = np.repeat(kind, photographs)
    patient = np.repeat(np.arange(n_patients), photographs)
    base = 70 - 14 * truth + own[patient]
    return pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in range(len(truth))],
            "fitzpatrick_type": truth,
            "patient_id": patient,
            "fold": patient % 4,
            "ita": base + generator.normal(0, 12, len(truth)),
            "ita_other": base + generator.normal(0, 12, len(truth)),
        }
    )


@pytest.fixture(scope="module")
def photographs():
    return judged_photographs()


@pytest.fixture(scope="module")
def fitted(photographs):
    truth = photographs["fitzpatrick_type"].to_numpy(float)
    return {
        columns: calibrate(
            photographs, truth, TYPES, columns=columns, patient=photographs["patient_id"]
        )
        for columns in (("ita",), ("ita", "ita_other"))
    }


@pytest.mark.parametrize("columns", [("ita",), ("ita", "ita_other")])
def test_a_saved_scheme_answers_as_the_fitted_one(fitted, photographs, columns, tmp_path):
    scheme = fitted[columns].scheme
    scheme.save(tmp_path / "scheme.json")
    loaded = load_fitted(tmp_path / "scheme.json")
    assert loaded.kind == ("cuts" if len(columns) == 1 else "ordinal")
    assert loaded.to_json() == scheme.to_json()
    assert (loaded.predict(photographs) == scheme.predict(photographs)).all()
    shares = loaded.predict_proba(photographs)
    assert np.array_equal(shares, scheme.predict_proba(photographs))
    assert shares.sum(axis=1) == pytest.approx(1)


def test_an_ordinal_model_of_two_columns_beats_cut_points_of_one(fitted):
    one, two = fitted[("ita",)], fitted[("ita", "ita_other")]
    assert two.agreement.figures["kappa"].value > one.agreement.figures["kappa"].value + 0.02
    score = two.quality.ranked_probability_score[0]
    assert score < one.quality.ranked_probability_score[0] < one.quality.marginal


def test_no_row_of_a_tested_fold_takes_part_in_its_fit_or_its_choices(photographs):
    index = photographs["fitzpatrick_type"].to_numpy() - 1
    folds = photographs["fold"].to_numpy()
    features = photographs[["ita"]].to_numpy()
    options = {"types": TYPES, "columns": ("ita",)}
    plain = crossfit.crossfit(features, index, folds, **options)
    spoiled = np.where(folds == 2, 5 - index, index)
    other = crossfit.crossfit(features, spoiled, folds, **options)
    assert plain.choices[2] == other.choices[2]
    assert (plain.index[folds == 2] == other.index[folds == 2]).all()
    assert (plain.index[folds != 2] != other.index[folds != 2]).any()


def test_folds_are_drawn_by_patient(photographs, monkeypatch):
    seen = {}
    original = crossfit.crossfit

    def spy(features, index, folds, **options):
        seen["folds"] = folds
        return original(features, index, folds, **options)

    monkeypatch.setattr("equiderm.agreement.calibrate.crossfit", spy)
    truth = photographs["fitzpatrick_type"].to_numpy(float)
    patient = photographs["patient_id"]
    calibrate(photographs, truth, TYPES, columns=["ita"], patient=patient)
    assert pd.Series(seen["folds"]).groupby(patient.to_numpy()).nunique().max() == 1
    assert len(set(seen["folds"])) == 5


def test_noise_is_not_fitted_out_of_fold():
    frame = judged_photographs(seed=4)
    generator = np.random.default_rng(0)
    frame["ita"] = generator.normal(0, 1, len(frame))
    frame["ita_other"] = generator.normal(0, 1, len(frame))
    truth = frame["fitzpatrick_type"].to_numpy(float)
    columns = ["ita", "ita_other"]
    result = calibrate(frame, truth, TYPES, columns=columns, patient=frame["patient_id"])
    assert abs(result.agreement.figures["kappa"].value) < 0.1
    score = result.quality.ranked_probability_score[0]
    assert score > result.quality.marginal - 0.003


def test_a_target_distribution_moves_the_answers_towards_it(photographs, fitted):
    truth = photographs["fitzpatrick_type"].to_numpy(float)
    light = np.array([0.4, 0.4, 0.1, 0.05, 0.03, 0.02])
    index = truth.astype(int) - 1
    weight = (light / np.bincount(index))[index]
    for columns in (("ita",), ("ita", "ita_other")):
        moved = calibrate(
            photographs, truth, TYPES, columns=columns, fold=photographs["fold"], target=light
        )
        plain = fitted[columns].scheme.predict(photographs).astype(int)
        assert moved.scheme.predict(photographs).astype(int).mean() < plain.mean() - 0.1
        shares = moved.scheme.predict_proba(photographs)
        assert np.average(shares, axis=0, weights=weight) == pytest.approx(light, abs=0.04)


def test_a_row_without_a_colour_abstains(photographs, fitted):
    frame = photographs.copy()
    frame.loc[[3, 5], "ita"] = np.nan
    for scheme in (result.scheme for result in fitted.values()):
        answers = scheme.predict(frame)
        assert [answers[3], answers[5]] == [None, None]
        assert np.isnan(scheme.predict_proba(frame)[3]).all()
        assert answers[4] in scheme.names
    truth = frame["fitzpatrick_type"].to_numpy(float)
    result = calibrate(frame, truth, TYPES, columns=["ita"], patient=frame["patient_id"])
    assert result.agreement.abstained.sum() == 2


def test_a_column_of_lists_gives_five_quantiles_whatever_their_order_or_ending():
    lists = pd.DataFrame({"patch_ita": [[3.0, 1.0, 2.0], [5.0, np.nan, 4.0], []]})
    text = pd.DataFrame({"patch_ita": ["1.0 2.0 3.0", "4.0 5.0", None]})
    expected = [[1, 1.5, 2, 2.5, 3], [4, 4.25, 4.5, 4.75, 5], [np.nan] * 5]
    for frame in (lists, text):
        got = read_features(frame, ["patch_ita"], "A")
        assert np.array_equal(got, expected, equal_nan=True)


def test_the_prior_shift_is_bayes_rule():
    shares = np.array([[0.5, 0.3, 0.2]])
    moved = shift_prior(shares, np.array([0.5, 0.25, 0.25]), np.array([0.1, 0.4, 0.5]))
    likelihood = shares[0] / [0.5, 0.25, 0.25]
    expected = likelihood * [0.1, 0.4, 0.5]
    assert moved[0] == pytest.approx(expected / expected.sum())


def test_a_row_of_none_of_the_types_that_were_judged_has_the_target_distribution():
    target = np.array([0.3, 0.7])
    moved = shift_prior(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0.0, 1.0]), target)
    assert moved.tolist() == [target.tolist(), [0.0, 1.0]]


def test_the_costs_answer_the_mode_the_median_and_the_mean():
    shares = np.array([[0.4, 0.0, 0.15, 0.2, 0.25], [0.1, 0.2, 0.4, 0.2, 0.1]])
    assert decide(shares, "exact").tolist() == [0, 2]
    assert decide(shares, "absolute").tolist() == [2, 2]
    assert decide(shares, "squared").tolist() == [2, 2]
    assert decide(np.array([[0.6, 0, 0, 0, 0.4]]), "squared").tolist() == [2]


def test_the_ranked_probability_score_is_its_definition():
    shares = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
    expected = [((0.2 - 0) ** 2 + (0.7 - 1) ** 2) / 2, (1 + 1) / 2]
    assert ranked_probability_scores(shares, np.array([1, 2])) == pytest.approx(expected)


def test_the_calibration_error_sees_a_forecast_that_is_too_sure():
    generator = np.random.default_rng(0)
    chance = generator.uniform(0, 1, 20000)
    index = (generator.uniform(0, 1, 20000) < chance).astype(int)
    honest = np.column_stack([1 - chance, chance])
    sure = np.column_stack([chance < 0.5, chance >= 0.5]).astype(float)
    even = np.ones(20000)
    assert calibration_error(honest, index, even) < 0.01
    assert calibration_error(sure, index, even) == pytest.approx(0.25, abs=0.01)
    quality = measure_distributions(honest, index, n_dark=1, weights=even)
    value, low, high = quality.ranked_probability_score
    assert low < value < high < quality.marginal


def test_cut_points_do_as_well_as_a_tree_that_scikit_learn_grows(photographs, fitted):
    from sklearn.model_selection import GroupKFold
    from sklearn.tree import DecisionTreeRegressor

    truth = photographs["fitzpatrick_type"].to_numpy(float)
    tree = cross_val_predict(
        DecisionTreeRegressor(max_leaf_nodes=6, criterion="absolute_error"),
        photographs[["ita"]],
        truth,
        groups=photographs["patient_id"],
        cv=GroupKFold(5),
    )
    error = np.abs(np.rint(tree) - truth).mean()
    assert fitted[("ita",)].agreement.figures["mean_absolute_error"].value < error + 0.05


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"patient": None}, "name the column of patients, as in"),
        ({"columns": ["hue"]}, "has no column 'hue'"),
        ({"columns": ["image"]}, "column 'image' holds a cell that is not a number"),
        ({"truth": np.full(600, 2.0)}, "every image has the same judged type"),
        ({"truth": np.r_[np.full(590, np.nan), np.ones(10)]}, "only 10 images have a judged type"),
        ({"patient": pd.Series(np.arange(600) % 3)}, "only 3 patients"),
        ({"fold": pd.Series(np.arange(600) % 2)}, "patients are in more than one fold"),
        ({"patient": None, "fold": pd.Series(np.arange(600) % 2)}, "only 2 folds"),
        ({"patient": None, "fold": pd.Series([None] * 600, name="f")}, "column 'f' is empty"),
    ],
)
def test_bad_input_is_one_sentence(photographs, change, sentence):
    arguments = {
        "truth": photographs["fitzpatrick_type"].to_numpy(float),
        "columns": ["ita"],
        "patient": photographs["patient_id"],
    } | change
    truth = arguments.pop("truth")
    with pytest.raises(InputError, match=sentence):
        calibrate(photographs, truth, TYPES, **arguments)


def test_a_target_for_a_type_that_nobody_was_judged_is_one_sentence(photographs):
    truth = photographs["fitzpatrick_type"].to_numpy(float)
    truth[truth == 6] = np.nan
    with pytest.raises(InputError, match="has type 6, but the table has no image"):
        calibrate(
            photographs, truth, TYPES,
            columns=["ita"], patient=photographs["patient_id"], target=np.full(6, 1 / 6),
        )  # fmt: skip


def test_a_target_is_read_from_text_and_from_files(tmp_path):
    expected = [0.2, 0.3, 0.5]
    path = tmp_path / "target.json"
    path.write_text(json.dumps({"1": 2, "2": 3, "3": 5}))
    for text in ("0.2,0.3,0.5", "[2, 3, 5]", '{"1": 20, "2": 30, "3": 50}', str(path)):
        assert read_target(text, (1, 2, 3)) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["1,2", "a,b,c", "1,-1,1", '{"7": 1}', "0,0,0", "none.json"])
def test_a_target_that_cannot_be_read_is_one_sentence(text):
    with pytest.raises(InputError, match="target distribution"):
        read_target(text, (1, 2, 3))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is empty or damaged"),
        ("[" * 100_000, "is empty or damaged"),
        ("[]", "is not a fitted scheme"),
        ('{"schema": "equiderm.scheme/1"}', "a damaged scheme"),
    ],
)
def test_a_file_that_is_no_scheme_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "s.json"
    path.write_text(content)
    with pytest.raises(InputError, match=sentence):
        load_fitted(path)


@pytest.mark.parametrize("value", [float("nan"), 10**400, "x", None, [1]])
def test_a_scheme_with_a_value_that_is_no_number_is_one_sentence(fitted, tmp_path, value):
    for columns, place in ((("ita",), "cuts"), (("ita", "ita_other"), "intercepts")):
        content = fitted[columns].scheme.to_json()
        content[place][0] = value
        (tmp_path / "s.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match="a damaged scheme"):
            load_fitted(tmp_path / "s.json")


def test_a_scheme_without_a_column_is_one_sentence(fitted, tmp_path):
    content = fitted[("ita", "ita_other")].scheme.to_json() | {"columns": []}
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"a damaged scheme \(ValueError: no columns\)"):
        load_fitted(tmp_path / "s.json")


def test_a_scheme_with_a_coefficient_missing_is_one_sentence(fitted, tmp_path):
    content = fitted[("ita", "ita_other")].scheme.to_json()
    content["coefficients"] = [row[:-1] for row in content["coefficients"]]
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="a damaged scheme"):
        load_fitted(tmp_path / "s.json")
