"""The counting engine against the plain figures of rows written out again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equiderm.audit import calibration, counting, metrics, thresholds
from equiderm.audit.counting import Segments
from equiderm.statistics import bootstrap
from equiderm.statistics.bootstrap import Resampler, replicate

LEVELS = {"threshold": 0.5, "specificity": 0.9, "sensitivity": 0.8}
EXACT = [name for name in metrics.METRICS if name not in ("calibration_slope", "calibration_error")]


def cut(seed: int, rows: int = 300, steps: int = 20):
    random = np.random.default_rng(seed)
    target = random.random(rows) < 0.3
    score = (1 / (1 + np.exp(-(random.normal(size=rows) + target))) * steps).round() / steps
    group = random.integers(0, 3, rows)
    order = np.argsort(-score, kind="stable")
    parts = [order, *(order[group[order] == k] for k in range(3))]
    return target, score, group, parts


def levels_of(target, score):
    return {
        "threshold": LEVELS["threshold"],
        "specificity": thresholds.threshold_at_specificity(target, score, LEVELS["specificity"]),
        "sensitivity": thresholds.threshold_at_sensitivity(target, score, LEVELS["sensitivity"]),
    }


@given(st.integers(0, 10_000), st.sampled_from([3, 20, 10**6]))
def test_counting_each_row_once_gives_every_figure_of_the_data(seed, steps):
    target, score, _, parts = cut(seed, 120, steps)
    counted = Segments(target, score, parts, levels=LEVELS).count(np.ones((1, 120), dtype=int))[0]
    at = levels_of(target, score)
    for k, rows in enumerate(parts):
        for m, name in enumerate(metrics.METRICS):
            expected = metrics.figure(name, target[rows], score[rows], at)
            assert counted[m, k] == pytest.approx(expected, abs=1e-7, nan_ok=True), name


@given(st.integers(0, 10_000), st.sampled_from([3, 20, 10**6]))
def test_weights_equal_rows_written_out_again(seed, steps):
    target, score, group, parts = cut(seed, 120, steps)
    resampler = Resampler(group)
    weights = resampler.draw(np.random.default_rng(seed), 3)
    segments = Segments(target, score, parts, levels=LEVELS, place=resampler.place)
    counted = segments.count(weights)[1]
    again = np.repeat(np.arange(120), resampler.rows(weights)[1])
    at = levels_of(target[again], score[again])
    for k, rows in enumerate(parts):
        kept = again[np.isin(again, rows)]
        for name in EXACT:
            expected = metrics.figure(name, target[kept], score[kept], at)
            found = counted[list(metrics.METRICS).index(name), k]
            assert found == pytest.approx(expected, abs=1e-9, nan_ok=True), name


def test_a_set_of_weights_counts_the_same_alone_and_among_others(monkeypatch):
    target, score, group, parts = cut(2, 120)
    segments = Segments(target, score, parts, levels=LEVELS)
    weights = Resampler(group).draw(np.random.default_rng(0), 7)
    together = segments.count(weights)
    alone = np.concatenate([segments.count(one[None]) for one in weights])
    assert together == pytest.approx(alone, nan_ok=True)
    monkeypatch.setattr(counting, "AT_ONCE", 3 * 2 * 120)
    assert segments.count(weights) == pytest.approx(together, nan_ok=True)


def test_the_one_step_slope_is_close_to_the_refitted_one():
    target, score, group, parts = cut(1, 4000, 10**6)
    resampler = Resampler(group)
    segments = Segments(target, score, parts, levels=LEVELS, place=resampler.place)
    for seed in range(5):
        weights = resampler.draw(np.random.default_rng(seed), 1)
        again = np.repeat(np.arange(4000), resampler.rows(weights)[0])
        expected = calibration.calibration_slope(target[again], score[again])
        found = segments.count(weights)[0, list(metrics.METRICS).index("calibration_slope"), 0]
        assert found == pytest.approx(expected, abs=0.01)


def test_a_draw_keeps_the_size_of_every_stratum():
    stratum = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [9000, 30, 2]))
    for seed in range(20):
        resampler = Resampler(stratum)
        weight = resampler.rows(resampler.draw(np.random.default_rng(seed), 1))[0]
        assert [weight[stratum == k].sum() for k in range(3)] == [9000, 30, 2]


def test_rows_of_one_patient_are_drawn_together():
    resampler = Resampler(np.zeros(3, dtype=int), np.array([0, 0, 1, 1, 1, 2]))
    for seed in range(20):
        weight = resampler.rows(resampler.draw(np.random.default_rng(seed), 1))[0]
        assert weight[0] == weight[1]
        assert len({*weight[2:5].tolist()}) == 1
        assert weight[0] + weight[2] + weight[5] == 3


def test_blocks_leave_every_patient_out_once():
    resampler = Resampler(np.array([1, 0, 1, 0, 1]), np.array([0, 0, 1, 2, 3, 4]))
    blocks = resampler.rows(resampler.blocks(3))
    assert (blocks[:, 0] == blocks[:, 1]).all()
    assert (len(blocks) - np.sum(blocks, axis=0)).tolist() == [1] * 6


def test_the_number_of_workers_changes_no_replicate():
    def some(random: np.random.Generator, count: int):
        return random.random((count, 2, 2))

    single = replicate(some, rows=10, replicates=120, seed=3, workers=1)
    assert single.shape == (120, 2, 2)
    assert (single == replicate(some, rows=10, replicates=120, seed=3, workers=3)).all()
    assert (single != replicate(some, rows=10, replicates=120, seed=4, workers=1)).all()


def test_the_size_of_the_table_changes_no_replicate():
    resampler = Resampler(np.repeat([0, 1], [8, 12]))
    drawn = [
        replicate(resampler.draw, rows=rows, replicates=120, seed=3)
        for rows in (0, 20, 10**5, 10**9)
    ]
    assert all((drawn[0] == other).all() for other in drawn)


@pytest.mark.parametrize("clusters", [1, 3, 2 * bootstrap.WORDS + 1])
def test_patients_are_drawn_as_often_as_there_are_whatever_their_number(clusters):
    drawn = Resampler(np.zeros(clusters, dtype=int)).draw(np.random.default_rng(0), 2)
    assert drawn.sum(axis=1).tolist() == [clusters] * 2
    assert clusters == 1 or (drawn[0] != drawn[1]).any()


def test_a_figure_of_one_s_own_is_computed_of_the_drawn_rows_and_not_beside_weights(monkeypatch):
    target, score, group, parts = cut(3, 60)
    own = metrics.Metric("Mean score", lambda target, score: float(np.mean(score)), 0, "rows")
    monkeypatch.setitem(metrics.METRICS, "own", own)
    resampler = Resampler(group)
    weights = resampler.draw(np.random.default_rng(0), 2)
    given = {"levels": LEVELS, "metrics": ("auroc", "own"), "place": resampler.place}
    counted = Segments(target, score, parts, **given).count(weights)
    again = resampler.rows(weights)
    for k, rows in enumerate(parts):
        expected = [np.average(score[rows], weights=row[rows]) for row in again]
        assert counted[:, 1, k] == pytest.approx(expected)
    weighted = Segments(target, score, parts, weight=np.ones(60), **given).count(weights)
    assert np.isnan(weighted[:, 1]).all() and np.isfinite(weighted[:, 0]).all()
