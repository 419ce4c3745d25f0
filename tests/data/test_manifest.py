"""The manifest: columns, types, checks, and the round trip through a file."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from equiderm.cli import app
from equiderm.data.manifest import (
    COLUMNS,
    add_tones,
    check_manifest,
    conform,
    hash_images,
    join_tones,
    manifest_hash,
    read_manifest,
    write_manifest,
)
from equiderm.errors import InputError


def table(n: int = 3, **columns: object) -> pd.DataFrame:
    rows = {
        "image_id": [f"{i:06d}" for i in range(n)],
        "path": [f"/images/{i}.jpg" for i in range(n)],
        "source": "folder",
    }
    return conform(pd.DataFrame({**rows, **columns}))


def test_the_columns_are_those_of_the_documented_order():
    assert ",".join(COLUMNS) == (
        "image_id,path,source,target,target_name,diagnosis,patient_id,lesion_id,split,"
        "fitzpatrick_type,rater,ita,ita_band,tone_method,monk_tone,age,sex,site,modality,"
        "licence,sha256"
    )


def test_columns_that_a_table_lacks_are_null_and_further_ones_follow():
    frame = table(skin_tone_class=[0, 1, 2])
    assert list(frame.columns) == [*COLUMNS, "skin_tone_class"]
    assert frame[list(COLUMNS[3:])].isna().all(axis=None)


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        (
            "target",
            [0, 3, 1],
            "row 2 (image 000001), target is '3': it must be 1 where the disease",
        ),
        ("fitzpatrick_type", [1, 2, 7], "row 3 (image 000002), fitzpatrick_type is '7'"),
        ("fitzpatrick_type", [0, 1, 2], "row 1 (image 000000), fitzpatrick_type is '0'"),
        ("target_name", ["malignant", "cancer", None], "target_name is 'cancer'"),
        ("monk_tone", [None, 11, 1], "monk_tone is '11'"),
        ("sex", ["f", "male", "male"], "sex is 'f': it must be female, male or other"),
        ("modality", ["clinical", "photo", None], "modality is 'photo'"),
        ("age", [30, 40, 200], "row 3 (image 000002), age is '200.0'"),
        ("sha256", ["a" * 64, "b" * 63, None], "row 2"),
        ("image_id", ["a", "b", "a"], "an earlier row of the same source has this name"),
        ("image_id", ["a", None, "c"], "row 2 (image <NA>), image_id is empty"),
        ("path", ["a", "b", ""], "row 3 (image 000002), path is empty"),
        ("target", [0, 1, None], "target_name is empty: say what target means"),
        ("fitzpatrick_type", [None, 3, None], "rater is empty: say who judged"),
        ("ita", [None, None, 45.0], "tone_method is empty: say what computed"),
        ("ita_band", [None, "tan", None], "row 2 (image 000001), tone_method is empty"),
    ],
)
def test_a_wrong_cell_is_named_with_its_row_and_the_remedy(column, cells, message):
    frame = table(**{column: cells})
    with pytest.raises(InputError) as caught:
        check_manifest(frame, name="m.csv")
    assert message in str(caught.value)
    assert str(caught.value).startswith("m.csv: ")
    assert "mend that row or leave it out" in str(caught.value)


@pytest.mark.parametrize("cell", ["two", "1.5"])
def test_a_number_column_refuses_what_is_no_such_number(cell):
    with pytest.raises(InputError, match=r"row 2 .* target is '.*': it must be 1 where"):
        table(target=["0", cell, "1"])


def test_one_lesion_of_two_people_is_an_error():
    frame = table(lesion_id=["a", "a", "b"], patient_id=["p", "q", "p"])
    with pytest.raises(InputError, match=r"row 2 .*same lesion to another person"):
        check_manifest(frame)


def test_one_lesion_name_in_two_sources_is_no_error():
    frame = table(2, lesion_id=["a", "a"], patient_id=["p", "q"])
    frame["source"] = pd.Series(["isic2019", "isic2020"], dtype="string")
    check_manifest(frame)


@pytest.mark.parametrize(
    "column",
    [
        *("biopsed", "Biopsed", "concomitant_biopsy", "dx_type", "diagnosis_confirm_type"),
        *("management", "mel_thick_mm", "mel_type", "mel_ulcer", "mel_mitotic_index"),
        *("iddx_full", "iddx_1", "benign_malignant", "Invasion thickness interval", "is_cancer"),
    ],
)
def test_a_column_that_gives_the_answer_away_is_refused(column):
    with pytest.raises(InputError, match=f"column {column} leaks the answer"):
        check_manifest(table(**{column: "x"}))


def test_a_table_that_is_no_manifest_is_refused(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("image,score\na,0.5\n")
    with pytest.raises(InputError, match=r"scores\.csv"):
        read_manifest(path)


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".tsv"])
def test_a_manifest_comes_back_as_it_was_written(tmp_path, ending):
    frame = table(
        target=[0, 1, None],
        target_name=["melanoma", "melanoma", None],
        patient_id=["007", "008", None],
        age=[30.5, None, 40],
        fitzpatrick_type=[1, None, 6],
        rater=["people", None, "people"],
        ita=[-12.25, None, 61.5],
        tone_method=["patch-max", None, "patch-max"],
    )
    write_manifest(frame, tmp_path / f"m{ending}")
    again = read_manifest(tmp_path / f"m{ending}")
    pd.testing.assert_frame_equal(again, frame)
    assert manifest_hash(again) == manifest_hash(frame)


def test_a_manifest_beside_its_images_can_move(tmp_path):
    here = tmp_path / "here"
    (here / "images").mkdir(parents=True)
    frame = table(1, path=str(here / "images" / "a.jpg"))
    write_manifest(frame, here / "m.csv")
    assert pd.read_csv(here / "m.csv")["path"].tolist() == ["images/a.jpg"]
    moved = here.rename(tmp_path / "moved")
    assert read_manifest(moved / "m.csv")["path"].tolist() == [str(moved / "images" / "a.jpg")]


def test_a_wrong_manifest_is_not_written(tmp_path):
    with pytest.raises(InputError):
        write_manifest(table(target=[0, 1, 2]), tmp_path / "m.parquet")
    assert not list(tmp_path.iterdir())


def test_a_csv_of_a_german_spreadsheet_is_read(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("image_id;path;source;age\r\n001;a.jpg;folder;55,5\r\n", encoding="cp1252")
    frame = read_manifest(path)
    assert (frame["image_id"][0], frame["age"][0]) == ("001", 55.5)


@settings(max_examples=10)
@given(st.permutations(range(4)), st.integers(0, 3), st.sampled_from(["sex", "target", "tone"]))
def test_the_hash_ignores_order_and_place_but_no_cell(order, row, column):
    frame = table(4, target=[0, 1, 0, 1], target_name="melanoma", sex="male", tone=[1, 2, 3, 4])
    shuffled = frame.iloc[order].assign(path="elsewhere.jpg")[list(frame.columns[::-1])]
    assert manifest_hash(shuffled) == manifest_hash(frame)
    changed = frame.copy()
    cell = {"sex": "female", "target": 1 - changed.loc[row, "target"], "tone": 9}[column]
    changed.loc[row, column] = cell
    assert manifest_hash(changed) != manifest_hash(frame)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.integers(-1, 2) | st.none(), st.integers(-1, 8) | st.none(), st.integers(-5, 130)
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_table_passes_exactly_when_every_cell_is_in_range(rows):
    target, skin, age = zip(*rows, strict=True)
    frame = table(
        len(rows), target=target, fitzpatrick_type=skin, age=age, target_name="melanoma", rater="x"
    )
    fine = all(
        t in (None, 0, 1) and (s is None or 1 <= s <= 6) and 0 <= a <= 120 for t, s, a in rows
    )
    if fine:
        check_manifest(frame)
    else:
        with pytest.raises(InputError):
            check_manifest(frame)


def test_hashing_fills_in_only_what_is_empty(tmp_path):
    (tmp_path / "a").write_bytes(b"skin")
    frame = table(2, path=str(tmp_path / "a"), sha256=[None, "f" * 64])
    assert hash_images(frame)["sha256"].tolist() == [hashlib.sha256(b"skin").hexdigest(), "f" * 64]


def test_the_command_hashes_with_the_workers_that_it_is_given(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(
        "equiderm.data.manifest.hash_images",
        lambda frame, *, workers, progress: given.append(workers) or frame,
    )
    (tmp_path / "images" / "nevus").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "nevus" / "a.png")
    arguments = ["folder", str(tmp_path / "images"), "-o", str(tmp_path / "out.csv"), "--hash"]
    done = CliRunner().invoke(app, ["manifest", *arguments, "--workers", "3"])
    assert done.exit_code == 0, done.output
    assert given == [3]


def test_hashing_names_a_file_that_cannot_be_read():
    with pytest.raises(InputError, match=r"/images/0\.jpg: cannot be read"):
        hash_images(table(1))


def test_checking_names_the_file_of_a_manifest(tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text("image_id,path,source,target\na,a.jpg,folder,5\n")
    with pytest.raises(InputError, match=r"^mine\.csv: row 1 \(image a\), target is '5'"):
        read_manifest(path)


def tones(*images: str) -> pd.DataFrame:
    labels = {"image": images, "ita": [50.0] * len(images), "ita_band": "2"}
    return pd.DataFrame({**labels, "method": "patch-max", "scheme": "paper"})


def test_tones_corrected_by_hand_count_and_are_named_in_the_method():
    by_hand = tones("0.jpg", "1.jpg").assign(
        ita_band_corrected=["4", None], excluded=[False, True], corrected_by="Dr A"
    )
    found, notes = join_tones(table(), by_hand)
    assert found["ita_band"].fillna("").tolist() == ["4", "", ""]
    assert found["tone_method"].iloc[0] == "patch-max, paper bands, corrected by hand"
    assert notes[:2] == [
        "1 image was excluded by hand by Dr A.",
        "The band of 1 image was corrected by hand by Dr A.",
    ]


@pytest.mark.parametrize("images", [("/images/1.jpg", "x.png"), ("1.png",)])
def test_tones_are_found_by_path_or_else_by_name_and_the_rest_stays_empty(images):
    found = add_tones(table(), tones(*images))
    assert found["ita"].isna().tolist() == [True, False, True]
    assert found["ita_band"].tolist()[1] == "2"
    assert found["tone_method"].tolist()[1] == "patch-max, paper bands"
    assert found["tone_method"].isna().tolist() == [True, False, True]
    check_manifest(conform(found))


@pytest.mark.parametrize(
    ("given_tones", "message"),
    [
        (tones("1.jpg").drop(columns="scheme"), "has no column scheme"),
        (tones("a/1.jpg", "b/1.jpg"), r"1 image id is in more than one row \(1\)"),
        (tones("other.jpg"), "none of the 3 image ids of the manifest"),
    ],
)
def test_a_table_of_tones_that_does_not_fit_is_refused(given_tones, message):
    with pytest.raises(InputError, match=message):
        add_tones(table(), given_tones)


def test_names_that_look_like_nothing_are_names_and_words_for_a_missing_number_are_missing(
    tmp_path,
):
    (tmp_path / "m.csv").write_text(
        "image_id,path,source,split,age,fitzpatrick_type,rater\n"
        "NA,a.jpg,mine,None,NA,nan,\n0007,b.jpg,mine,train,61,3,nan\n"
    )
    frame = read_manifest(tmp_path / "m.csv")
    assert frame["image_id"].tolist() == ["NA", "0007"]
    assert frame["split"].tolist() == ["None", "train"]
    assert frame["rater"].fillna("-").tolist() == ["-", "nan"]
    assert (
        frame["age"].isna().tolist() == frame["fitzpatrick_type"].isna().tolist() == [True, False]
    )


@pytest.mark.parametrize("cell", ["9" * 400, "1e400", "inf", "3.5"])
def test_a_number_that_no_column_can_hold_is_one_sentence(tmp_path, cell):
    (tmp_path / "m.csv").write_text(
        f"image_id,path,source,fitzpatrick_type,rater\na,a.jpg,mine,{cell},x\n"
    )
    with pytest.raises(InputError, match=r"row 1 \(image a\), fitzpatrick_type is"):
        read_manifest(tmp_path / "m.csv")


def test_a_manifest_may_have_capitals_blanks_and_words_for_truths_as_a_spreadsheet_writes_them():
    plain = {"Image_ID": ["a", "b"], "PATH": ["a.jpg", "b.jpg"], "source": "s"}
    rest = {"Target": ["WAHR", "false"], "target_name": " melanoma ", "split": ["train ", "train"]}
    frame = conform(pd.DataFrame(plain | rest))
    check_manifest(frame)
    assert frame["target"].tolist() == [1, 0] and frame["split"].nunique() == 1
