"""How much a row moves a figure, against the figure without the row."""

import numpy as np
import pytest

from equiderm.audit import influence, metrics
from equiderm.audit.metrics import METRICS

WITH = [name for name, kind in METRICS.items() if kind.influence is not None]


def table(steps: int, rows: int = 900):
    random = np.random.default_rng(0)
    target = random.random(rows) < 0.3
    score = 1 / (1 + np.exp(-(random.normal(size=rows) + 1.4 * target - 1)))
    return target, np.round(score, steps)


@pytest.mark.parametrize("steps", [1, 6])
@pytest.mark.parametrize("name", WITH)
def test_influences_sum_to_0_and_equal_what_leaving_a_row_out_changes(name, steps):
    target, score = table(steps)
    kind = METRICS[name]
    at = {"threshold": 0.35} if kind.at else {}
    values = kind.influence(target, score, **at)
    assert values.sum() == pytest.approx(0, abs=1e-9)
    whole, some = kind.measure(target, score, **at), np.arange(0, len(target), 7)
    left = [whole - kind.measure(np.delete(target, k), np.delete(score, k), **at) for k in some]
    assert values[some] == pytest.approx(np.array(left), abs=0.15 * np.abs(left).max())
    assert np.corrcoef(values[some], left)[0, 1] > 0.998


def test_a_row_of_the_other_class_moves_a_share_by_the_threshold_it_moves():
    random = np.random.default_rng(1)
    target = random.random(40_000) < 0.5
    score = random.random(40_000) * (1 + target) / 2
    segment = random.random(40_000) < 0.3
    cut = float(np.quantile(score[~target], 0.9))
    values = influence.threshold_share(target, score, segment, threshold=cut, of_positives=True)
    # Of positives, uniform on 0 to 1, those below the negatives' 0.9 quantile, 0.45, are missed;
    # a negative's share more or less above moves the threshold by half of it, and so the share.
    positives, negatives = (segment & target).sum(), (~target).sum()
    expected = 0.55 * 0.45 / positives + 0.5**2 * 0.9 * 0.1 / negatives
    assert values @ values == pytest.approx(expected, rel=0.05)
    assert values.sum() == pytest.approx(0, abs=1e-9)


def test_the_new_figures_of_the_confusion_matrix_equal_scikit_learn():
    from sklearn import metrics as sklearn

    target, score = table(2)
    called = score >= 0.4
    tn, fp, fn, tp = sklearn.confusion_matrix(target, called).ravel()
    expected = {
        "accuracy": sklearn.accuracy_score(target, called),
        "balanced_accuracy": sklearn.balanced_accuracy_score(target, called),
        "f1": sklearn.f1_score(target, called),
        "false_negative_rate": fn / (fn + tp),
        "false_positive_rate": fp / (fp + tn),
        "positive_likelihood_ratio": sklearn.class_likelihood_ratios(target, called)[0],
        "negative_likelihood_ratio": sklearn.class_likelihood_ratios(target, called)[1],
        "net_benefit": tp / 900 - fp / 900 * 0.4 / 0.6,
    }
    for name, value in expected.items():
        assert metrics.figure(name, target, score, {"threshold": 0.4}) == pytest.approx(value), name


@pytest.mark.parametrize("of_positives", [True, False])
def test_rows_of_one_weight_move_a_share_as_rows_without_weights(of_positives):
    target, score = table(6)
    segment = np.arange(len(target)) % 3 < 2
    cut = float(np.quantile(score[target != of_positives], 0.7))
    given = {"threshold": cut, "of_positives": of_positives}
    plain = influence.threshold_share(target, score, segment, **given)
    weighted = influence.threshold_share(target, score, segment, np.full(len(target), 3.0), **given)
    assert weighted == pytest.approx(plain, abs=np.abs(plain).max() / 50)


@pytest.mark.parametrize(
    "of",
    [influence.brier, influence.auprc, influence.auroc,
     *(influence.pauc(share) for share in (0.2, 0.4, 0.45, 1.0)),
     influence.pauc(0.4, normalised=True)],
)  # fmt: skip
def test_a_row_of_weight_2_moves_a_figure_as_two_rows(of):
    target, score = table(1, 60)
    target[:18], target[18:] = True, False
    score[:5], score[50:] = np.arange(5) / 10 + 0.05, np.arange(10) / 10  # one between each two
    weight = np.where(np.arange(60) % 4 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(60), weight.astype(int))
    for rows in (np.arange(60), np.arange(8)[::-1], np.arange(12, 40)):
        rows = np.append(rows, np.arange(50, 60))
        copies = np.concatenate([np.flatnonzero(twice == row) for row in rows])
        alone = of(target[twice][copies], score[twice][copies])
        starts = np.append(0, np.cumsum(weight[rows])[:-1]).astype(int)
        weighted = of(target[rows], score[rows], weight[rows])
        assert weighted == pytest.approx(np.add.reduceat(alone, starts), abs=1e-12)
        once = of(target[rows], score[rows], np.full(len(rows), 1.0))
        assert once == pytest.approx(of(target[rows], score[rows]), abs=1e-12)
