"""The labeller's error: read from JSON, worsened, and followed back."""

import json

import numpy as np
import pytest

from equiderm.audit import Agreement, Options, audit, read_agreement
from equiderm.audit.label_error import STEPS, _extrapolate, correct, worsened
from equiderm.errors import InputError

CONFUSION = np.array([[80, 15, 5], [15, 70, 15], [5, 15, 80]], dtype=float)


def write(path, **changes):
    content = {"schema": "equiderm.agreement/1", "types": [1, 2, 3]}
    content |= {"confusion": CONFUSION.tolist(), "n": 300} | changes
    path.write_text(json.dumps(content))
    return path


def test_the_agreement_file_is_read(tmp_path):
    read = read_agreement(write(tmp_path / "a.json"))
    assert read.types == ("1", "2", "3")
    assert read.exact == pytest.approx(230 / 300)
    assert read.transition.sum(axis=1) == pytest.approx(np.ones(3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "other/2"}, "its schema is 'other/2'"),
        ({"types": [1, 2]}, "a count for every pair"),
        ({"confusion": [[1, -1, 0]] * 3}, "a count for every pair"),
        ({"confusion": [[0] * 3] * 3}, "counts no images"),
        ({"confusion": "none"}, "cannot be read"),
    ],
)
def test_an_unusable_agreement_file_is_one_sentence(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_agreement(write(tmp_path / "a.json", **changes))


def test_a_file_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("type,label\n1,2\n")
    with pytest.raises(InputError, match="is not JSON"):
        read_agreement(tmp_path / "a.json")


def test_worsening_twice_by_half_is_worsening_once():
    transition = Agreement(("1", "2", "3"), CONFUSION).transition
    half = worsened(transition, 0.5)
    assert half @ half == pytest.approx(worsened(transition, 1.0), abs=1e-6)
    assert worsened(transition, 0.0) == pytest.approx(np.eye(3), abs=1e-9)


def test_taking_the_label_error_away_comes_closer_to_the_truth(predictions):
    frame = predictions(12_000, drop=1.2, shares=(0.4, 0.3, 0.3))
    truth = audit(frame, by=["ita_band"]).by_group()["auroc"]
    agreement = Agreement(("1", "2", "3"), CONFUSION)
    random = np.random.default_rng(99)
    chances = (CONFUSION / CONFUSION.sum(axis=1, keepdims=True))[frame["ita_band"] - 1]
    noisy = (random.random(len(frame))[:, None] > chances.cumsum(axis=1)).sum(axis=1) + 1
    made = audit(
        frame.assign(ita_band=noisy),
        by=["ita_band"],
        options=Options(replicates=200),
    )
    corrected = correct(made.results["ita_band"], agreement, "auroc")
    assert corrected is not None
    off_before = np.abs(corrected.labelled - truth).max()
    off_after = np.abs(corrected.corrected - truth).max()
    assert off_after < 0.6 * off_before
    assert corrected.gap_labelled < corrected.gap_corrected
    assert (np.abs(corrected.corrected - truth) < 1.5 * corrected.error).all()
    assert corrected.worst_corrected == "3"
    assert corrected.worst_stays > 0.95


def test_groups_that_the_agreement_does_not_know_are_refused(predictions):
    made = audit(predictions(200), by=["ita_band"], agreement=Agreement(("I", "II"), np.eye(2)))
    with pytest.raises(InputError, match=r"group '1'.*not among the types.*I, II"):
        made.corrected()


def test_no_error_more_is_the_error_itself_and_none_is_the_identity():
    transition = Agreement(("1", "2", "3"), CONFUSION).transition
    assert worsened(transition, 1.0) == pytest.approx(transition, abs=1e-9)
    assert worsened(transition, 2.0) == pytest.approx(transition @ transition, abs=1e-9)


def test_an_error_that_has_no_root_is_worsened_by_the_nearest_one_that_has():
    """No error in small steps is only between neighbours: after two steps it skips one."""
    between = np.array([[0.8, 0.2, 0], [0.2, 0.6, 0.2], [0, 0.2, 0.8]])
    half, whole = worsened(between, 0.5), worsened(between, 1.0)
    assert half @ half == pytest.approx(whole, abs=1e-9)
    assert whole[0, 2] > 0.01 and np.abs(whole - between).max() < 0.1
    assert whole.sum(axis=1) == pytest.approx(np.ones(3))


def test_the_trend_is_followed_back_to_no_error_by_a_parabola():
    steps = np.array(STEPS)
    path = np.stack([2 - 3 * steps + steps**2 / 2, 1 + 0 * steps], axis=1)
    assert _extrapolate(path) == pytest.approx([5.5, 1])
