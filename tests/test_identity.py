import numpy as np
import pandas as pd
import pytest

from equiderm.errors import InputError
from equiderm.identity import (
    find_ids,
    match_rows,
    parse_types,
    read_types,
    unmatched_notes,
)

TYPES = (1, 2, 3, 4, 5, 6)


def test_ids_match_by_path_stem_where_they_do_not_match_as_written():
    left = pd.Series(["photos/ISIC_1.JPG", "C:\\scans\\ISIC_2.png", "x/1.2.840.7"])
    right = pd.Series(["1.2.840.7", "ISIC_2", "ISIC_1", "ISIC_9"])
    rows = match_rows(left, right, ("A", "B"))
    assert rows.left.tolist() == [0, 1, 2]
    assert rows.right.tolist() == [2, 1, 0]
    assert rows.right_only == ("ISIC_9",)
    assert unmatched_notes(rows, ("A", "B")) == ["1 images of B are not in A (ISIC_9)."]


def test_numbers_match_though_a_spreadsheet_dropped_their_leading_zeros():
    rows = match_rows(pd.Series(["p/007.jpg", "p/100.jpg"]), pd.Series(["100", "7"]), ("A", "B"))
    assert rows.right.tolist() == [1, 0]


def test_same_names_in_two_folders_match_by_their_whole_path():
    ids = pd.Series(["a/1.jpg", "b/1.jpg"])
    assert match_rows(ids, ids[::-1], ("A", "B")).right.tolist() == [1, 0]


def test_numbers_as_ids_match_whether_whole_or_read_as_floats():
    frame = pd.DataFrame({"image": [1.0, 2.0]})
    assert find_ids(frame, None, "A").tolist() == ["1", "2"]


def test_ids_that_do_not_match_are_counted_and_three_are_shown():
    left = pd.Series([f"a{i}" for i in range(5)])
    with pytest.raises(InputError, match=r"none of the 5 image ids of A \(a0, a1, a2, \.\.\.\)"):
        match_rows(left, pd.Series(["b"]), ("A", "B"))


def test_an_id_in_two_rows_is_one_sentence():
    with pytest.raises(InputError, match=r"B: 1 image ids stand in more than one row \(x\)"):
        match_rows(pd.Series(["x"]), pd.Series(["x", "x"]), ("A", "B"))


def test_a_row_without_an_id_is_named_by_its_line():
    with pytest.raises(InputError, match="line 3 has no image id in column 'image'"):
        find_ids(pd.DataFrame({"image": ["a", None]}), None, "A")


def test_a_table_without_an_id_column_says_which_are_known():
    with pytest.raises(InputError, match="name it with --id-column"):
        find_ids(pd.DataFrame({"x": [1]}), None, "A")


def test_types_are_read_from_numbers_words_and_bands_and_gaps_are_gaps():
    column = pd.Series(["1", "2.0", "VI", "tan", "-1", "", None], name="t")
    got = read_types(column, TYPES, "A", bands={"tan": 4})
    assert np.array_equal(got, [1, 2, 6, 4, np.nan, np.nan, np.nan], equal_nan=True)


def test_numeric_columns_of_any_kind_are_read():
    for kind in ("int64", "float64", "Int64"):
        assert read_types(pd.Series([3, 4], dtype=kind), TYPES, "A").tolist() == [3, 4]


def test_a_type_outside_the_scale_is_named_by_its_line():
    with pytest.raises(InputError, match=r"1 cells of column 't' .* scale 1-6, .* '7' in line 3"):
        read_types(pd.Series([1, 7], name="t"), TYPES, "A")


def test_a_scale_that_cannot_be_read_is_one_sentence():
    assert parse_types("1-10")[-1] == 10
    with pytest.raises(InputError, match="as in 1-6 or 1-10"):
        parse_types("six")
