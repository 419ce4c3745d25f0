import sys

import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.tone.pictures import skin_picture

from equiderm.columns import settle_corrections
from equiderm.errors import InputError
from equiderm.tables import read_table
from equiderm.tone import assign_bands, label
from equiderm.tone.corrections import apply_corrections


def tones(**columns):
    plain = {"image": ["a.jpg", "b.jpg", "c.jpg"], "scheme": "paper", "ita": [60.0, 50.0, 30.0]}
    return pd.DataFrame(plain | {"ita_band": ["1", "2", "3"]} | columns)


def decided(**columns):
    plain = {"image": ["b.jpg"], "ita_band_corrected": ["5"], "excluded": [""]}
    rest = {"corrected_by": "A", "corrected_at": "2026-11-26T10:00:00Z", "corrected_why": "dim"}
    return pd.DataFrame(plain | rest | columns)


def checked(**columns):
    return apply_corrections(tones(), decided(**columns), "c.csv").tones


def test_a_correction_stands_beside_the_computed_band():
    after = checked()
    assert after["ita_band"].tolist() == ["1", "2", "3"]
    assert after["ita_band_corrected"].fillna("").tolist() == ["", "5", ""]
    assert after.loc[1, ["corrected_by", "corrected_why", "corrected_scheme"]].tolist() == [
        "A",
        "dim",
        "paper",
    ]
    assert after["excluded"].tolist() == [False, False, False]


def test_a_later_correction_replaces_an_earlier_one_of_the_same_image_only():
    later = decided(image=["b.jpg", "c.jpg"], ita_band_corrected=[None, "6"], excluded=["true", ""])
    after = apply_corrections(checked(), later.assign(corrected_by="B"), "c.csv").tones
    assert after["ita_band_corrected"].fillna("").tolist() == ["", "", "6"]
    assert after["excluded"].tolist() == [False, True, False]
    again = apply_corrections(after, decided(image=["a.jpg"]), "c.csv").tones
    assert again["corrected_by"].tolist() == ["A", "B", "B"]
    assert again["excluded"].tolist() == [False, True, False]


def test_the_settled_table_has_the_corrected_band_and_no_excluded_row():
    settled, notes = settle_corrections(
        checked(image=["b.jpg", "c.jpg"], ita_band_corrected=["5", None], excluded=["", "true"])
    )
    assert settled["ita_band"].tolist() == ["1", "5"]
    assert notes == [
        "1 image was excluded by hand by A.",
        "The band of 1 image was corrected by hand by A.",
    ]
    assert list(settled) == list(tones())


def test_corrections_in_other_bands_are_kept_and_leave_no_band():
    other = assign_bands(checked(), "groh")
    assert other["ita_band_corrected"].fillna("").tolist() == ["", "5", ""]
    settled, notes = settle_corrections(other)
    assert settled["ita_band"].isna().tolist() == [False, True, False]
    assert "bands of paper, which are not this table's" in notes[0]
    back, _ = settle_corrections(assign_bands(other, "paper"))
    assert back["ita_band"].tolist() == ["1", "5", "3"]


def test_a_column_excluded_of_another_s_table_is_left_alone():
    frame = tones(excluded=[True, False, False])
    settled, notes = settle_corrections(frame)
    assert notes == [] and len(settled) == 3


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ita_band_corrected": ["7"]}, "line 2 has band '7'; paper has 1, 2, 3, 4, 5 and 6"),
        ({"corrected_by": None}, "line 2 has no corrected_by"),
        ({"image": ["x.jpg"]}, "none of its images is in the table"),
        (
            {"corrected_scheme": "monk"},
            "corrects bands of 'monk', but the table has those of 'paper'",
        ),
        ({"image": ["b.jpg", "b.jpg"], "ita_band_corrected": "5", "excluded": ""}, "has two rows"),
    ],
)
def test_corrections_that_cannot_be_meant_are_one_sentence(columns, message):
    with pytest.raises(InputError, match=message):
        checked(**columns)


def test_a_band_as_a_spreadsheet_writes_it_is_understood():
    after = checked(ita_band_corrected=[" 5.0"])
    assert after["ita_band_corrected"].fillna("").tolist() == ["", "5", ""]


def test_a_table_without_bands_is_one_sentence():
    with pytest.raises(InputError, match="has no column 'scheme'"):
        apply_corrections(tones().drop(columns="scheme"), decided(), "c.csv")


def test_an_image_that_the_table_lacks_is_named():
    more = decided(image=["b.jpg", "gone.jpg"], ita_band_corrected=["5", "4"], excluded=["", ""])
    applied = apply_corrections(tones(), more, "c.csv")
    assert (applied.corrected, applied.excluded, applied.unknown) == (1, 0, ("gone.jpg",))


@pytest.mark.parametrize("table", ["t.csv", "t.parquet", "t"])
def test_corrections_survive_a_run_that_measures_what_is_new(table, equiderm, tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ab":
        Image.fromarray(skin_picture((66, 12, 17))).save(tmp_path / "in" / f"{name}.png")
    decided(image=["in/b.png"]).to_csv(tmp_path / "c.csv", index=False)
    assert equiderm("label", "in", "-o", table).returncode == 0
    measured = read_table(tmp_path / table)
    assert equiderm("reband", table, "-o", table, "--corrections", "c.csv").returncode == 0
    Image.fromarray(skin_picture((40, 12, 17))).save(tmp_path / "in" / "c.png")
    assert equiderm("label", "in", "-o", table).returncode == 0
    after = read_table(tmp_path / table, text=["ita_band_corrected"])
    assert after["ita_band_corrected"].fillna("").tolist() == ["", "5", ""]
    assert after["ita"].tolist()[:2] == measured["ita"].tolist()
    assert after.tone_flags is not None and len(after) == 3


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_finished_table_with_the_flags_under_their_old_name_is_not_measured_again(
    ending, tmp_path, monkeypatch
):
    Image.new("L", (64, 64), 99).save(tmp_path / "gray.png")
    output = tmp_path / "out" / f"t.{ending}"
    label([tmp_path / "gray.png"], output=output)
    record = output if ending == "parquet" else output.with_name(f".{output.name}.labels.parquet")
    table = pq.read_table(record)
    old = ["flags" if name == "tone_flags" else name for name in table.column_names]
    pq.write_table(table.rename_columns(old).replace_schema_metadata(table.schema.metadata), record)
    monkeypatch.setattr(sys.modules["equiderm.tone.label"], "label_one", None)
    assert label([tmp_path / "gray.png"], output=output).tone_flags.tolist() == ["no-colour"]


def test_the_returned_frame_s_flags_are_an_attribute(tmp_path):
    Image.new("L", (64, 64), 99).save(tmp_path / "a.png")
    assert label([tmp_path]).tone_flags.tolist() == ["no-colour"]


@pytest.mark.parametrize("word", ["WAHR", "ja", "1.0", "X", "VRAI", " true "])
def test_an_exclusion_is_read_as_a_spreadsheet_or_a_person_writes_it(word):
    table = decided(ita_band_corrected=[None], excluded=[word])
    after = apply_corrections(tones(), table, "c.csv").tones
    assert after["excluded"].tolist() == [False, True, False]
    assert len(settle_corrections(after.assign(excluded=["FALSCH", word, "nein"]))[0]) == 2


def test_an_exclusion_that_is_neither_yes_nor_no_is_refused():
    with pytest.raises(InputError, match="line 2 has excluded 'maybe'; write true or false"):
        checked(excluded=["maybe"])
