import numpy as np
import pandas as pd
import pytest

from equiderm.errors import InputError
from equiderm.files import IMAGE_ENDINGS
from equiderm.identity import (
    find_ids,
    find_rows,
    join_columns,
    match_rows,
    match_tables,
    stem,
    unmatched_notes,
)
from equiderm.tables import read_table


def test_ids_match_by_path_stem_where_they_do_not_match_as_written():
    left = pd.Series(["photos/ISIC_1.JPG", "C:\\scans\\ISIC_2.png", "x/1.2.840.7"])
    right = pd.Series(["1.2.840.7", "ISIC_2", "ISIC_1", "ISIC_9"])
    rows = match_rows(left, right, ("A", "B"))
    assert rows.left.tolist() == [0, 1, 2]
    assert rows.right.tolist() == [2, 1, 0]
    assert rows.right_only == ("ISIC_9",)
    assert unmatched_notes(rows, ("A", "B")) == ["1 images of B are not in A (ISIC_9)."]


@pytest.mark.parametrize("ending", sorted(IMAGE_ENDINGS | {".heic", ".jxl", ".dcm", ".JPG"}))
def test_an_id_matches_whatever_the_ending_of_its_image(ending):
    rows = match_rows(pd.Series([f"p/a.1{ending}"]), pd.Series(["a.1"]), ("A", "B"))
    assert rows.left.tolist() == [0]


def test_what_is_no_ending_of_an_image_stays_in_the_stem():
    ids = pd.Series(["x/1.2.840.7", "p1.left", "p1.right.jpg"], dtype="string")
    assert stem(ids).tolist() == ["1.2.840.7", "p1.left", "p1.right"]


def test_numbers_match_though_a_spreadsheet_dropped_their_leading_zeros():
    rows = match_rows(pd.Series(["p/007.jpg", "p/100.jpg"]), pd.Series(["100", "7.0"]), ("A", "B"))
    assert rows.right.tolist() == [1, 0]


def test_ids_with_leading_zeros_are_text_in_every_kind_of_table(tmp_path):
    (tmp_path / "a.csv").write_text("image_id,score\n0000,0.5\n0001,0.25\n")
    (tmp_path / "b.tsv").write_text("image_id\tscore\n0000\t0.5\n0001\t0.25\n")
    (tmp_path / "c.csv").write_text("image_id;score\n0000;0,5\n0001;0,25\n")
    (tmp_path / "d.jsonl").write_text('{"image_id": "0000", "score": 0.5}\n{"image_id": "0001"}\n')
    for path in sorted(tmp_path.iterdir()):
        frame = read_table(path)
        assert find_ids(frame, None, "A").tolist() == ["0000", "0001"]
        assert frame["score"].iloc[0] == 0.5


def test_the_words_for_nothing_are_names_and_only_an_empty_id_is_missing(tmp_path):
    (tmp_path / "a.csv").write_text("image,x\nNA,1\nNone,2\nnan,3\n,4\n")
    ids = find_ids(read_table(tmp_path / "a.csv"), None, "A")
    assert ids.iloc[:3].tolist() == ["NA", "None", "nan"]
    assert ids.isna().tolist() == [False, False, False, True]


def test_same_names_in_two_folders_match_by_their_whole_path():
    ids = pd.Series(["a/1.jpg", "b/1.jpg"])
    assert match_rows(ids, ids[::-1], ("A", "B")).right.tolist() == [1, 0]


def test_numbers_as_ids_match_whether_whole_or_read_as_floats():
    frame = pd.DataFrame({"image": [1.0, 2.0, None]})
    assert find_ids(frame, None, "A").iloc[:2].tolist() == ["1", "2"]


def test_the_rows_of_images_are_found_and_those_that_are_not_there_counted():
    row_of = {name: row for row, name in enumerate("abc")}
    assert find_rows(row_of, ["c", "a"], "the store", "build it").tolist() == [2, 0]
    message = r"4 of 5 images are not in the store \(v, w, x, \.\.\.\); build it\."
    with pytest.raises(InputError, match=message):
        find_rows(row_of, ["v", "w", "b", "x", "y"], "the store", "build it")


def test_ids_that_do_not_match_are_counted_and_three_are_shown():
    left = pd.Series([f"a{i}" for i in range(5)])
    with pytest.raises(InputError, match=r"none of the 5 image ids of A \(a0, a1, a2, \.\.\.\)"):
        match_rows(left, pd.Series(["b"]), ("A", "B"))


def test_an_id_that_both_have_in_two_rows_is_one_sentence():
    with pytest.raises(InputError, match=r"B: 1 image id is in more than one row \(x\)"):
        match_rows(pd.Series(["x"]), pd.Series(["x", "x"]), ("A", "B"))


def test_each_reason_for_no_match_is_counted():
    left = pd.Series(["a", "b", None, "c"])
    right = pd.Series(["c", None, None, "d", "d", "e"])
    rows = match_rows(left, right, ("A", "B"))
    assert (rows.left.tolist(), rows.right.tolist()) == ([3], [0])
    assert unmatched_notes(rows, ("A", "B")) == [
        "2 images of A are not in B (a, b).",
        "2 images of B are not in A (d, e).",
        "1 rows of A have no image id and match nothing.",
        "2 rows of B have no image id and match nothing.",
        "1 of the images that are only in B are there in more than one row (d).",
    ]


def test_an_image_in_several_rows_is_joined_where_repeats_are_allowed():
    scores = pd.DataFrame({"image_id": ["a", "a", "b", "z"], "x": range(4)})
    tones = pd.DataFrame({"image": ["p/b.png", "p/a.png"], "band": ["dark", "light"]})
    joined, rows = join_columns(scores, tones, ["band"], ("scores", "tones"))
    assert joined["band"].fillna("-").tolist() == ["light", "light", "dark", "-"]
    assert rows.left_only == ("z",)


def test_tables_with_several_id_columns_match_by_the_one_that_fits():
    manifest = pd.DataFrame({"image_id": ["NA", "x2"], "path": ["p/1.jpg", "p/2.jpg"]})
    tones = pd.DataFrame({"image": ["p/2.jpg", "p/1.jpg"]})
    rows = match_tables(manifest, tones, ("A", "B"))
    assert rows.right.tolist() == [1, 0]


def test_a_whole_path_counts_before_a_name_that_two_sources_share():
    manifest = pd.DataFrame({"image_id": ["1", "1"], "path": ["a/1.jpg", "b/1.jpg"]})
    tones = pd.DataFrame({"image": ["b/1.jpg", "a/1.jpg"]})
    assert match_tables(manifest, tones, ("A", "B")).right.tolist() == [1, 0]


def test_a_table_without_any_id_is_one_sentence():
    with pytest.raises(InputError, match="column 'image' names no image"):
        find_ids(pd.DataFrame({"image": ["", None]}), None, "A")


def test_a_table_without_an_id_column_says_which_are_known():
    with pytest.raises(InputError, match="say which, as in `id_column="):
        find_ids(pd.DataFrame({"x": [1]}), None, "A")


def test_a_column_of_ids_is_known_whatever_its_case():
    assert find_ids(pd.DataFrame({" ISIC_ID": ["a"]}), None, "A").tolist() == ["a"]


def test_numbers_that_are_no_ids_are_text_all_the_same():
    for value in (float("inf"), 1e300, 0.5):
        assert find_ids(pd.DataFrame({"image": [value]}), None, "A").tolist() == [str(value)]


def test_ids_of_any_type_are_text():
    for values in ([3, 4], np.array([3, 4]), pd.array([3, 4], dtype="Int64"), ["3", " 4 "]):
        assert find_ids(pd.DataFrame({"image": values}), None, "A").tolist() == ["3", "4"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["N\u00e4vus_1.jpg", "N\u00e4vus_2.jpg"], ["Na\u0308vus_2", "Na\u0308vus_1"]),
        (["ISIC_1", "ISIC_2"], ["isic_2.JPG", "isic_1.JPG"]),
        (["a/1.jpg", "b/1.jpg"], ["/data/b/1.png", "C:\\data\\a\\1.png"]),
        (['="001"', '="002"'], ["2.jpg", "1.jpg"]),
        (["{AB-1}", "{AB-2}"], ["ab-2", "ab-1"]),
        (["('x1',)", "b'x2'"], ["x2.jpg", "x1.jpg"]),
        (["https://a.org/x%201.jpg?t=9", "https://a.org/x%202.jpg?t=8"], ["x 2", "x 1"]),
    ],
    ids=[
        "two forms of Unicode", "capitals", "one name in two folders", "formulas", "braces",
        "Python's signs", "URLs",
    ],
)  # fmt: skip
def test_ids_match_however_they_are_spelled(left, right):
    frames = (pd.DataFrame({"image": ids}) for ids in (left, right))
    rows = match_tables(*frames, ("A", "B"))
    expected = [1, 0]
    assert rows.right[np.argsort(rows.left)].tolist() == expected


def test_only_whole_columns_of_row_numbers_are_numbered():
    def numbered(ids):
        ids = pd.Series(ids, dtype="string")
        return match_rows(ids, ids, ("A", "B")).numbered

    counted = [str(number) for number in range(12)]
    assert numbered(counted) and numbered([*counted[1:], "12"])
    assert not numbered(counted[:9])
    assert not any(map(numbered, ([None, *counted], [*counted, None], counted[::-1])))
