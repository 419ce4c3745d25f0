"""DeLong against pROC's own answers (tests/golden/delong.R made them) and against definitions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from equiderm.statistics.delong import contributions, delong, influence

GOLDEN = Path(__file__).parents[1] / "golden"
ANSWERS = pd.read_csv(GOLDEN / "delong.csv").to_dict("records")


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda one: f"case {one['case']:.0f}")
def test_auroc_variance_and_covariance_equal_proc_with_ties(answer):
    data = pd.read_csv(GOLDEN / "delong_data.csv").query(f"case == {answer['case']:.0f}")
    assert data["a"].nunique() < len(data) / 2, "the golden data have ties"
    result = delong(data["target"], data[["a", "b"]].to_numpy().T)
    assert result.auroc == pytest.approx([answer["auc_a"], answer["auc_b"]], abs=1e-10)
    expected = [[answer["var_a"], answer["cov"]], [answer["cov"], answer["var_b"]]]
    assert result.covariance == pytest.approx(np.array(expected), abs=1e-10)
    off = np.array([1, -1])
    z = off @ result.auroc / np.sqrt(off @ result.covariance @ off)
    assert z == pytest.approx(answer["z"], abs=1e-8)
    assert 2 * stats.norm.sf(abs(z)) == pytest.approx(answer["p"], abs=1e-8)


def test_patients_of_one_image_each_change_nothing():
    random = np.random.default_rng(0)
    target, score = random.random(80) < 0.4, random.random((2, 80)).round(1)
    one = delong(target, score)
    other = delong(target, score, patient=random.permutation(80))
    assert other.covariance == pytest.approx(one.covariance, abs=1e-12)
    assert other.freedom == pytest.approx(one.freedom)


def test_doubling_every_image_within_its_patient_keeps_the_variance():
    random = np.random.default_rng(1)
    target, score = random.random(100) < 0.4, random.random(100)
    once = delong(target, score)
    twice = delong(np.tile(target, 2), np.tile(score, 2), patient=np.tile(np.arange(100), 2))
    assert twice.covariance[0, 0] == pytest.approx(once.covariance[0, 0], rel=1e-9)
    unaware = delong(np.tile(target, 2), np.tile(score, 2))
    assert unaware.covariance[0, 0] < 0.6 * once.covariance[0, 0]


@pytest.mark.parametrize("positives", [0, 1, 19, 20])
def test_under_two_of_a_class_has_no_variance(positives):
    target = np.arange(20) < positives
    result = delong(target, np.linspace(0, 1, 20))
    assert np.isnan(result.covariance).all()


def test_a_patients_positives_and_negatives_are_allowed_to_depend_on_each_other():
    random = np.random.default_rng(2)
    count = 200
    level = random.normal(size=count)  # of a patient: lifts a positive and a negative alike
    score = np.concatenate([level + 0.3 * random.normal(size=count) + lift for lift in (0.5, 0)])
    target = np.repeat([True, False], count)
    patient = np.tile(np.arange(count), 2)
    higher = np.array([[(a > b) for b in score[~target]] for a in score[target]], dtype=float)
    auroc = higher.mean()
    found, spared = higher.mean(axis=1) - auroc, higher.mean(axis=0) - auroc
    scale = count / (count - 1) / count**2
    separate = scale * (found @ found + spared @ spared)
    obuchowski = separate + 2 * scale * (found @ spared)  # patients stand in the same order
    variance = delong(target, score, patient=patient).covariance[0, 0]
    assert variance == pytest.approx(obuchowski)
    assert variance < 0.5 * separate


def test_the_influences_give_the_variance():
    random = np.random.default_rng(3)
    target, score = random.random(400) < 0.3, random.random(400).round(2)
    values = influence(target, score)
    assert values.sum() == pytest.approx(0, abs=1e-12)
    assert values @ values == pytest.approx(delong(target, score).covariance[0, 0], rel=0.02)


def test_two_patients_of_each_class_have_contributions_whose_squares_are_the_variance():
    target = np.array([True, True, True, False, False, False])
    score, patient = np.array([0.9, 0.4, 0.8, 0.5, 0.3, 0.6]), np.array([0, 1, 1, 2, 3, 3])
    auroc, values = contributions(target, score, patient)
    expected = delong(target, score, patient=patient)
    assert auroc == pytest.approx(expected.auroc[0])
    assert values @ values == pytest.approx(expected.covariance[0, 0])
    assert np.isnan(contributions(target, score, np.minimum(patient, 2))[1]).all()
