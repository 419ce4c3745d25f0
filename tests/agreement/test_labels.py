import numpy as np
import pandas as pd
import pytest

from equiderm.agreement.labels import read_labels
from equiderm.errors import InputError
from equiderm.tone.fitted_scheme import FittedScheme

TYPES = (1, 2, 3, 4, 5, 6)


def test_the_bands_of_a_scheme_count_by_their_place():
    frame = pd.DataFrame({"scheme": "del-bino", "ita_band": ["very-light", None, "dark"]})
    assert np.array_equal(read_labels(frame, TYPES, "A"), [1, np.nan, 6], equal_nan=True)


def test_angles_are_cut_by_a_named_scheme_and_text_is_read_as_numbers():
    frame = pd.DataFrame({"ita": ["60", "50.5", "NA", "-5"]})
    got = read_labels(frame, TYPES, "A", scheme="paper")
    assert np.array_equal(got, [1, 2, np.nan, 6], equal_nan=True)


def test_a_fitted_scheme_gives_its_types(tmp_path):
    even, cuts = np.full(3, 1 / 3), np.array([50.0, 30.0])
    fit = FittedScheme(("2", "4", "6"), ("ita",), "exact", even, cuts=cuts, given_band=np.eye(3))
    fit.save(tmp_path / "s.json")
    frame = pd.DataFrame({"ita": [60.0, 40.0, 20.0]})
    got = read_labels(frame, TYPES, "A", scheme=str(tmp_path / "s.json"))
    assert got.tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    ("frame", "options", "sentence"),
    [
        ({"x": [1]}, {}, "name the column of labels, as in `label_column="),
        ({"ita": ["a"]}, {"scheme": "paper"}, "column 'ita' holds a cell that is not a number"),
        ({"ita": [None]}, {"scheme": "paper"}, "column 'ita' holds no angle"),
        ({"ita": [1.0]}, {"scheme": "monk"}, "uses swatches"),
        ({"ita_band": ["III-IV"]}, {}, "which is several types"),
    ],
)
def test_labels_that_cannot_be_read_are_one_sentence(frame, options, sentence):
    with pytest.raises(InputError, match=sentence):
        read_labels(pd.DataFrame(frame), TYPES, "A", **options)
