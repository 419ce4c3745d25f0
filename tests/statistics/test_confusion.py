import json

import numpy as np
import pytest

from equiderm.errors import InputError
from equiderm.statistics.confusion import Confusion, confusion_json, read_confusion


def test_what_is_written_is_read_and_ranges_are_left_out(tmp_path):
    counts = np.array([[5, 1], [2, 7], [3, 4]])
    (tmp_path / "a.json").write_text(json.dumps(confusion_json((1, 2), ("1", "2", "1-2"), counts)))
    read = read_confusion(tmp_path / "a.json")
    assert read.types == ("1", "2")
    assert read.confusion.tolist() == [[5, 1], [2, 7]]
    assert read.exact == pytest.approx(12 / 15)


def test_a_transition_is_smoothed_and_its_rows_sum_to_1():
    transition = Confusion(("1", "2"), np.array([[9.0, 0], [0, 0]])).transition
    assert transition == pytest.approx(np.array([[0.95, 0.05], [0.5, 0.5]]))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"schema": "x"}', "its schema is 'x'"),
        ('{"schema": "equiderm.agreement/1"}', "cannot be read"),
        ('{"schema": "equiderm.agreement/1", "types": [1, 2], "confusion": [[1, -1], [0, 1]]}',
         "must hold a count for every pair"),
        ('{"schema": "equiderm.agreement/1", "types": [1, 2], "confusion": [[1, NaN], [0, 1]]}',
         "must hold a count for every pair"),
        ('{"schema": "equiderm.agreement/1", "types": [1, 2], "confusion": [[1], [0]]}',
         "must hold a count for every pair"),
        ('{"schema": "equiderm.agreement/1", "types": [1, 2], "confusion": [[1, 0], [0, 1%s]]}'
         % ("0" * 400), "cannot be read"),
        ('{"schema": "equiderm.agreement/1", "types": [1, 2], "confusion": [[0, 0], [0, 0]]}',
         "counts no images"),
    ],
)  # fmt: skip
def test_a_file_that_agree_did_not_write_is_one_sentence(tmp_path, content, sentence):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_confusion(tmp_path / "a.json")


def test_a_confusion_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: No such file"):
        read_confusion(tmp_path / "none.json")
