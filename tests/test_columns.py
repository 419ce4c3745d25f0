import numpy as np
import pandas as pd
import pytest

from equiderm.columns import (
    age,
    doubtful_patients,
    parse_types,
    placeholder,
    read_numbers,
    read_type_sets,
    read_types,
)
from equiderm.errors import InputError

TYPES = (1, 2, 3, 4, 5, 6)


def allowed(cell, types=TYPES):
    (row,) = read_type_sets(pd.Series([cell], name="t"), types, "A")
    return tuple(kind for kind, inside in zip(types, row, strict=True) if inside)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("3", (3,)), ("3.0", (3,)), ("III", (3,)), ("iii", (3,)), ("Type III", (3,)),
        ("FST 3", (3,)), ("FST-III", (3,)), ("Fitzpatrick skin type 3", (3,)), (" 3 ", (3,)),
        ("phototype_IV", (4,)), ("III-IV", (3, 4)), ("Type III-IV", (3, 4)), ("III/IV", (3, 4)),
        ("3 to 4", (3, 4)), ("2\u20134", (2, 3, 4)), ("types I-III", (1, 2, 3)),
        ("FST I to FST II", (1, 2)), ("3.5", (3, 4)), ("4.5", (4, 5)), ("12", (1, 2)),
        ("34", (3, 4)), ("56.0", (5, 6)), ("3 or 5", (3, 5)), ("2,3", (2, 3)), ("-1", ()),
        ("", ()), ("NA", ()), (None, ()), (2, (2,)), (2.5, (2, 3)), (56, (5, 6)),
        ("I\u2212II", (1, 2)), ("III\u2011IV", (3, 4)), ("V through VI", (5, 6)), ("V_VI", (5, 6)),
        ("between 5 and 6", (5, 6)), ("type 4?", (4,)), ("(IV)", (4,)), ("IV (by ITA)", (4,)),
        ("III-IV (3/4)", (3, 4)), ("\u2162", (3,)), ("3\u00bd", (3, 4)), ("III.", (3,)),
        ("['3', '4']", (3, 4)), ("SPT III", (3,)), ("unknown", ()), ("Not assessed", ()), ("-", ()),
        (".", ()), ("?", ()), ("-9", ()), ("999", ()), ("(?)", ()), ("Skin type: unknown", ()),
        ("I / II", (1, 2)), ("V to VI (dark)", (5, 6)),
    ],
)  # fmt: skip
def test_a_judged_type_is_read_as_people_write_it(cell, expected):
    assert allowed(cell) == expected


@pytest.mark.parametrize(
    "cell", ["7", "0", "6.5", "V-VII", "dark", "3-", "35", "-2", "1e1", "3 (5)"]
)
def test_what_is_no_type_of_the_scale_is_named_by_its_line(cell):
    with pytest.raises(InputError, match=r"1 cells of column 't' .* scale 1-6, .* in line 3"):
        read_type_sets(pd.Series(["1", cell], name="t"), TYPES, "A")


def test_on_a_scale_of_ten_ten_is_a_tone_and_twelve_two():
    scale = parse_types("1-10")
    assert allowed("10", scale) == (10,)
    assert allowed("12", scale) == (1, 2)
    assert allowed("Monk 07", scale) == (7,)


def test_a_range_where_one_type_is_needed_is_one_sentence():
    with pytest.raises(InputError, match="'III-IV' in line 2, which is several types"):
        read_types(pd.Series(["III-IV"], name="t"), TYPES, "A")


def test_types_are_read_from_numbers_words_and_bands_and_gaps_are_gaps():
    column = pd.Series(["1", "2.0", "VI", "tan", "-1", "", None], name="t")
    got = read_types(column, TYPES, "A", bands={"tan": 4})
    assert np.array_equal(got, [1, 2, 6, 4, np.nan, np.nan, np.nan], equal_nan=True)


def test_numeric_columns_of_any_kind_are_read():
    for kind in ("int64", "float64", "Int64"):
        assert read_types(pd.Series([3, 4], dtype=kind), TYPES, "A").tolist() == [3, 4]


def test_a_scale_that_cannot_be_read_is_one_sentence():
    assert parse_types("1-10")[-1] == 10
    for text in ("six", "1-²", "1-" + "9" * 5000):
        with pytest.raises(InputError, match="as in 1-6 or 1-10"):
            parse_types(text)


def test_words_for_a_missing_number_are_missing():
    frame = pd.DataFrame({"x": ["1.5", "NA", "", " 2 ", None]})
    got = read_numbers(frame, "x", "A")
    assert np.array_equal(got, [1.5, np.nan, np.nan, 2, np.nan], equal_nan=True)


@pytest.mark.parametrize("cell", ["abc", "1" * 400, "1e400", "inf"])
def test_a_cell_that_is_no_number_is_named_by_its_line(cell):
    with pytest.raises(InputError, match=r"column 'x' holds a cell that is not a number .* line 3"):
        read_numbers(pd.DataFrame({"x": ["1", cell]}), "x", "A")


def test_two_columns_of_one_name_are_one_sentence():
    with pytest.raises(InputError, match="several columns 'x'"):
        read_numbers(pd.DataFrame([[1, 2]], columns=["x", "x"]), "x", "A")


def test_a_range_that_a_spreadsheet_took_for_a_date_is_explained():
    with pytest.raises(InputError, match=r"'03-Apr' in line 2; spreadsheets turn ranges"):
        read_type_sets(pd.Series(["03-Apr"], name="t"), TYPES, "A")


def test_words_for_unknown_that_are_a_patient_of_several_images_are_named():
    people = pd.Series(["NA", "NA", "p1", "p1", "unknown", "99", "99", None, None])
    assert doubtful_patients(people) == [("NA", 2)]


def test_decimal_commas_are_numbers():
    frame = pd.DataFrame({"ita": ["41,5", "-3,25", ".", "NA", "7"]})
    assert read_numbers(frame, "ita", "A").tolist()[:2] == [41.5, -3.25]
    assert np.isnan(read_numbers(frame, "ita", "A")[2:4]).all()


def test_an_age_is_of_0_to_120_years():
    cells = pd.Series(["-0.1", "0", "37,5", "120", "120.1", "unknown"], dtype="string")
    assert age(cells).fillna(-1).tolist() == [-1, 0, 37.5, 120, -1, -1]


def test_a_code_before_its_label_is_read_and_disagreement_of_the_two_is_not():
    cells = pd.Series(["3. Type III", "4: IV", "5) FST V", "9. unknown"], name="type")
    assert read_types(cells, range(1, 7), "t.csv").tolist()[:3] == [3, 4, 5]
    for cell in ("3. Type IV", "3. olive"):
        with pytest.raises(InputError, match="correct them or choose other types"):
            read_types(pd.Series([cell], name="type"), range(1, 7), "t.csv")


def test_a_decimal_comma_is_one_where_it_cannot_be_two_judgements():
    types = range(1, 7)
    halves = read_type_sets(pd.Series(["3,5", "2,00", "x?"[1:]]), types, "t.csv")
    assert [list(np.flatnonzero(row) + 1) for row in halves] == [[3, 4], [2], []]
    two = read_type_sets(pd.Series(["3,5", "2,4"]), types, "t.csv")
    assert [list(np.flatnonzero(row) + 1) for row in two] == [[3, 5], [2, 4]]


def test_answers_that_decline_are_not_known():
    cells = pd.Series(["Prefer not to say", "NONE_IDENTIFIED", "not sure", "III"])
    assert read_type_sets(cells, range(1, 7), "t.csv").sum(axis=1).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("cells", "types", "expected"),
    [
        (["1/6", "3 / 6", "6/6", "unknown"], range(1, 7), [[1], [3], [6], []]),
        (["3/4", "5/6", "1/2"], range(1, 7), [[3, 4], [5, 6], [1, 2]]),
        (["A", "monk j", "MST I", ""], range(1, 11), [[1], [10], [9], []]),
        (["I", "II", "X"], range(1, 11), [[1], [2], [10]]),
        (["Hauttyp III", "Typ 4", "fototipo II", "tipo V"], range(1, 7), [[3], [4], [2], [5]]),
    ],
)
def test_types_are_read_as_the_column_means_them(cells, types, expected):
    sets = read_type_sets(pd.Series(cells, name="t"), list(types), "the table")
    assert [[types[k] for k in np.flatnonzero(row)] for row in sets] == expected


@pytest.mark.parametrize(
    ("values", "odd"),
    [
        ([41.0, 12.5, -999, 30, -999], -999),
        ([41, 12, 99, 30, 88], None),  # as any age
        ([0.5, 0.7, 0.6, -1], -1),
        ([-20, 55, -1, 12], None),  # as any angle
        ([3, 4, 1e30, np.nan], 1e30),
        ([41, 12, 500, 30], None),
        ([999, 999], None),
        ([np.nan], None),
    ],
)
def test_a_number_that_means_not_known_is_far_from_all_others(values, odd):
    assert placeholder(np.array(values, dtype=float)) == odd
