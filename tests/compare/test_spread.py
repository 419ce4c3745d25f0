"""AUROCs of many runs and what patients add to their errors, against plain reckonings."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tests.compare.drawn import draw

from equiderm.compare.scores import make_test
from equiderm.compare.spread import spread


@pytest.fixture(scope="module")
def drawn():
    scores, target, patient, group = draw(
        np.random.default_rng(0), np.zeros((2, 3)), 3, (150, 150, 60)
    )
    test = make_test("t", target, patient, group, by="g")
    return test, scores, spread(test, scores)


def test_every_figure_is_that_of_scikit_learn(drawn):
    test, scores, found = drawn
    for e, s in np.ndindex(scores.shape[:2]):
        groups = [
            roc_auc_score(
                test.target[test.grouping.codes == k], scores[e, s][test.grouping.codes == k]
            )
            for k in range(3)
        ]
        overall = roc_auc_score(test.target, scores[e, s])
        plain = [overall, *groups, min(groups), max(groups) - min(groups)]
        np.testing.assert_allclose(found.values[e, s], plain)


def test_the_variance_of_a_difference_is_that_of_a_bootstrap_of_whole_patients(drawn):
    test, scores, found = drawn
    random = np.random.default_rng(1)
    rows_of = [np.flatnonzero(test.patient == p) for p in range(test.patient.max() + 1)]
    off = []
    for _ in range(600):
        rows = np.concatenate([rows_of[p] for p in random.integers(0, len(rows_of), len(rows_of))])
        one, other = (roc_auc_score(test.target[rows], scores[e, 0, rows]) for e in (1, 0))
        off.append(one - other)
    parts = (found.parts[1, 0, 0] - found.parts[0, 0, 0]).astype(float)
    assert np.sqrt((parts**2).sum()) == pytest.approx(np.std(off, ddof=1), rel=0.1)


def test_repeating_every_image_within_its_patient_leaves_the_errors_as_they_are(drawn):
    test, scores, found = drawn
    twice = make_test(
        "t", np.tile(test.target, 2), np.tile(test.patient, 2), np.tile(test.grouping.codes, 2),
        by="g",
    )  # fmt: skip
    again = spread(twice, np.tile(scores, 2))
    np.testing.assert_allclose(again.parts, found.parts, atol=1e-6)


def test_a_run_without_scores_has_no_figure_and_the_others_keep_theirs(drawn):
    test, scores, found = drawn
    holed = scores.copy()
    holed[1, 2] = np.nan
    again = spread(test, holed)
    assert np.isnan(again.values[1, 2]).all()
    np.testing.assert_array_equal(again.values[0], found.values[0])


def test_a_group_of_too_few_or_of_one_patient_has_no_auroc_and_a_reason():
    target = np.r_[np.arange(40) % 2, np.zeros(10), np.arange(20) % 2]
    patient = np.r_[np.arange(40), np.arange(40, 50), np.full(20, 50)]
    group = np.repeat(["a", "b", "c"], [40, 10, 20])
    test = make_test("t", target, patient, group, by="g")
    assert [test.missing(k) for k in range(3)] == [
        "",
        "0 positives, at least 5 are needed",
        "its 10 positives are of one patient, two are needed; "
        "its 10 negatives are of one patient, two are needed",
    ]
    found = spread(test, np.random.default_rng(0).random((1, 2, 70)))
    assert found.figures == ("overall", "a", "worst", "gap")
    assert np.isnan(found.values[..., -2:]).all()  # one group is neither worst nor best


def test_noise_moves_the_worst_of_equal_groups_and_not_of_groups_far_apart():
    random = np.random.default_rng(3)
    equal, apart = (
        spread(make_test("t", target, patient, group, by="g"), scores)
        for scores, target, patient, group in (
            draw(random, [[0, 0, 0]], 2, (300, 300, 300)),
            draw(random, [[-1.4, 0, 1.5]], 2, (300, 300, 300)),
        )
    )
    assert equal.noise.min() > 0.01
    assert equal.maybe_worst.all()
    assert apart.noise[..., 0].max() < 0.002
    assert apart.maybe_worst.tolist() == [[True, False, False]]
    assert apart.maybe_best.tolist() == [[False, False, True]]
