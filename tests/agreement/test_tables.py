import json

import numpy as np
import pandas as pd
import pytest

from equiderm.agreement.tables import agree_tables, calibrate_tables, compare_tables
from equiderm.audit.label_error import read_agreement
from equiderm.data.manifest import write_manifest
from equiderm.errors import InputError
from equiderm.tables import write_table
from equiderm.tone.table import caution_of


@pytest.fixture
def judged():
    generator = np.random.default_rng(0)
    truth = generator.integers(1, 7, 120)
    label = np.clip(truth + generator.integers(-1, 2, 120), 1, 6)
    ids = [f"{i:04}" for i in range(120)]
    tones = pd.DataFrame(
        {
            "image": [f"photos/{name}.jpg" for name in ids],
            "ita": 80 - 14.0 * truth + generator.normal(0, 6, 120),
            "ita_band": label.astype(str),
        }
    )
    people = pd.DataFrame(
        {
            "image_id": ids,
            "fitzpatrick_type": truth,
            "patient_id": [f"p{i // 4}" for i in range(120)],
        }
    )
    return tones, people, truth, label


def test_frames_and_files_of_every_kind_give_one_result(judged, tmp_path):
    tones, people, *_ = judged
    options = {"truth_columns": ["fitzpatrick_type"], "patient": "patient_id"}
    expected = agree_tables(tones, people, **options).to_json()
    for ending in ("csv", "tsv", "parquet", "jsonl", "csv.gz"):
        for name, frame in (("tones", tones), ("people", people)):
            write_table(frame, tmp_path / f"{name}.{ending}")
        paths = (tmp_path / f"{name}.{ending}" for name in ("tones", "people"))
        assert agree_tables(*paths, **options).to_json() == expected


def test_labels_corrected_or_excluded_by_hand_count_as_such_and_are_said(judged, tmp_path):
    tones, people, truth, label = judged
    wrong = np.flatnonzero(label != truth)
    checked = tones.assign(ita_band_corrected=None, excluded=False, corrected_by=None)
    checked.loc[wrong, "ita_band_corrected"] = truth[wrong].astype(str)
    checked.loc[wrong, "corrected_by"] = "Dr A"
    checked.loc[0, ["excluded", "corrected_by"]] = [True, "Dr A"]
    write_table(checked, tmp_path / "checked.csv")
    options = {"truth_columns": ["fitzpatrick_type"], "patient": "patient_id"}
    for table in (checked, tmp_path / "checked.csv"):
        found = agree_tables(table, people, **options)
        assert found.figures["exact"].value == 1
        assert found.n == 119
        assert "1 image was excluded by hand by Dr A." in found.notes
        kept = len(wrong[wrong != 0])
        assert f"The band of {kept} images was corrected by hand by Dr A." in found.notes


WRITTEN = {
    "numeral": lambda kind: ["I", "II", "III", "IV", "V", "VI"][kind - 1],
    "word": lambda kind: f"Type {['I', 'II', 'III', 'IV', 'V', 'VI'][kind - 1]}",
    "scale": lambda kind: f"FST {kind}",
    "float": lambda kind: f"{kind}.0",
}


@pytest.mark.parametrize("how", WRITTEN)
def test_types_as_people_write_them_are_the_same_types(judged, how):
    tones, people, *_ = judged
    options = {"truth_columns": ["fitzpatrick_type"]}
    expected = agree_tables(tones, people, **options).to_json()
    written = people.assign(fitzpatrick_type=people["fitzpatrick_type"].map(WRITTEN[how]))
    assert agree_tables(tones, written, **options).to_json() == expected


@pytest.mark.parametrize(
    "groups", [("12", "34", "56"), ("I-II", "III-IV", "V-VI"), ("1 or 2", "3/4", "5 to 6")]
)
def test_groups_of_types_are_a_truth_too(judged, groups):
    tones, people, truth, label = judged
    ranged = people.assign(fitzpatrick_type=[groups[(kind - 1) // 2] for kind in truth])
    result = agree_tables(tones, ranged, truth_columns=["fitzpatrick_type"])
    right = ((truth - 1) // 2 == (label - 1) // 2).mean()
    assert result.figures["exact"].value == pytest.approx(right)


def test_two_raters_in_two_columns_allow_what_either_says(judged):
    tones, people, _, label = judged
    people = people.assign(other=label)
    result = agree_tables(tones, people, truth_columns=["fitzpatrick_type", "other"])
    assert result.figures["exact"].value == 1
    assert result.figures["exact"].low == pytest.approx(0.025 ** (1 / 120))


def test_what_did_not_match_is_in_the_notes(judged):
    tones, people, *_ = judged
    people = pd.concat([people.iloc[2:], pd.DataFrame({"image_id": ["x", None]})])
    notes = agree_tables(tones, people, truth_columns=["fitzpatrick_type"]).notes
    assert notes[:3] == (
        "2 images of the table of labels are not in the table of judgements (0000, 0001).",
        "1 images of the table of judgements are not in the table of labels (x).",
        "1 rows of the table of judgements have no image id and match nothing.",
    )


def test_patients_that_are_not_named_are_counted(judged):
    tones, people, *_ = judged
    people.loc[::10, "patient_id"] = None
    result = agree_tables(tones, people, truth_columns=["fitzpatrick_type"], patient="patient_id")
    assert (result.patients, result.unnamed) == (30 + 12, 12)


def test_ddi_goes_from_its_manifest_to_a_scheme(judged, tmp_path):
    tones, people, truth, _ = judged
    manifest = pd.DataFrame(
        {
            "image_id": people["image_id"],
            "path": [str(tmp_path / f"photos/{name}.png") for name in people["image_id"]],
            "source": "ddi",
            "rater": "dermatologists",
            "fitzpatrick_group": [("1-2", "3-4", "5-6")[(kind - 1) // 2] for kind in truth],
        }
    )
    for ending in ("parquet", "csv"):
        write_manifest(manifest, tmp_path / f"m.{ending}")
        result = calibrate_tables(
            tones,
            tmp_path / f"m.{ending}",
            truth_columns=["fitzpatrick_group"],
            patient="patient_id",
        )
        assert result.agreement.figures["exact"].value > 0.75
        assert result.agreement.unnamed == 120
        assert "each counts as a patient of its own" in " ".join(result.agreement.notes)


def test_the_audit_reads_the_counts_that_agreement_writes(judged, tmp_path):
    tones, people, truth, label = judged
    options = {"truth_columns": ["fitzpatrick_type"]}
    people.loc[:9, "fitzpatrick_type"] = people.loc[:9, "fitzpatrick_type"].clip(1, 5)
    mixed = people.astype({"fitzpatrick_type": object})
    mixed.loc[:9, "fitzpatrick_type"] = "III-IV"
    path = tmp_path / "a.json"
    path.write_text(json.dumps(agree_tables(tones, mixed, **options).to_json()))
    counts = read_agreement(path)
    assert counts.types == ("1", "2", "3", "4", "5", "6")
    assert counts.confusion.sum() == 110
    assert counts.confusion[0, 1] == ((truth == 1) & (label == 2))[10:].sum()
    ranged = people.assign(fitzpatrick_type=["12" if kind < 3 else "56" for kind in truth])
    path.write_text(json.dumps(agree_tables(tones, ranged, **options).to_json()))
    with pytest.raises(InputError, match="only images that were judged a range"):
        read_agreement(path)


def test_labelings_are_compared_by_table_and_column(judged, tmp_path):
    tones, *_ = judged
    write_table(tones.assign(other="3"), tmp_path / "a.csv")
    write_table(tones.assign(other="4"), tmp_path / "b.csv")
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    pairs = compare_tables(paths, label_columns=["ita_band", "other"])
    assert len(pairs) == 6
    assert (pairs[0].first, pairs[0].second) == ("a.csv:ita_band", "a.csv:other")


def test_an_id_column_that_neither_table_has_is_one_sentence(judged):
    tones, people, *_ = judged
    with pytest.raises(InputError, match=r"neither the table of labels nor .* column 'photo'"):
        agree_tables(tones, people, truth_columns=["fitzpatrick_type"], id_column="photo")


def test_a_row_per_rater_allows_what_either_says(judged):
    tones, people, truth, label = judged
    other = people.iloc[10:50].assign(fitzpatrick_type=label[10:50])
    rows = pd.concat([people, other]).sample(frac=1, random_state=0)
    result = agree_tables(tones, rows, truth_columns=["fitzpatrick_type"], patient="patient_id")
    right = truth == label
    right[10:50] = True
    assert result.n == 120
    assert result.patients == 30
    assert result.figures["exact"].value == pytest.approx(right.mean())
    assert "40 images have several judgements" in result.notes[0]
    fitted = calibrate_tables(tones, rows, truth_columns=["fitzpatrick_type"], patient="patient_id")
    assert fitted.agreement.n == 120


def test_rows_of_one_image_that_name_two_patients_are_one_sentence(judged):
    tones, people, *_ = judged
    more = [people.iloc[[k]].assign(patient_id=name) for k, name in ((0, "q"), (1, "q"), (1, "r"))]
    rows = pd.concat([people, *more])
    with pytest.raises(InputError, match=r"2 images have .* patients, the first in line 2;"):
        agree_tables(tones, rows, truth_columns=["fitzpatrick_type"], patient="patient_id")


def test_images_of_one_name_in_two_sources_are_not_made_one(judged):
    tones, people, *_ = judged
    twice = pd.concat(
        [
            people.assign(path="a/" + people["image_id"]),
            people.assign(path="b/" + people["image_id"]),
        ]
    )
    with pytest.raises(InputError, match="120 image ids are in more than one row"):
        agree_tables(tones, twice, truth_columns=["fitzpatrick_type"])


def test_a_patient_is_one_however_the_id_is_written(judged):
    tones, people, *_ = judged
    kinds = ["{}", "{}.0", " {} "]
    forms = [kinds[i % 3].format(i // 6) for i in range(120)]
    options = {"truth_columns": ["fitzpatrick_type"], "patient": "patient_id"}
    assert agree_tables(tones, people.assign(patient_id=forms), **options).patients == 20
    twins = people.assign(patient_id=[f"{'pP'[i % 2]}{i // 4}" for i in range(120)])
    notes = agree_tables(tones, twins, **options).notes
    assert any("60 patients differ in capitals, blanks, dashes" in note for note in notes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"second_rater": "fitzpatrick_type"}, "both the truth and the second rater"),
        ({"doubt": "nothing"}, "'nothing' holds no number"),
    ],
)
def test_a_second_rater_who_is_the_truth_and_a_doubt_without_numbers_are_refused(
    options, words, judged
):
    tones, people, *_ = judged
    tones = tones.assign(nothing=np.nan)
    with pytest.raises(InputError, match=words):
        agree_tables(tones, people, truth_columns=["fitzpatrick_type"], **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": ["ita", "ita"]}, "named twice"),
        ({"target": np.array([0, 0, 0, 0, 0, 1.0])}, "one type alone"),
    ],
)
def test_a_fit_on_one_column_twice_or_for_one_type_is_refused(options, words, judged):
    tones, people, *_ = judged
    with pytest.raises(InputError, match=words):
        calibrate_tables(
            tones, people, truth_columns=["fitzpatrick_type"], patient="patient_id", **options
        )


def test_a_fitted_scheme_says_on_what_it_rests_and_where_it_does_not_fit(judged, tmp_path):
    tones, people, *_ = judged
    fit = calibrate_tables(
        tones.assign(method="patch-max"),
        people,
        truth_columns=["fitzpatrick_type"],
        patient="patient_id",
    )
    fit.scheme.save(tmp_path / "s.json")
    mine = tones.assign(scheme=str(tmp_path / "s.json"), method="patch-max")
    rests = "fitted on 120 images of 30 patients, measured by patch-max"
    assert caution_of(mine) == rests
    assert caution_of(mine.assign(method="robust")) == (
        f"{rests}; these are by robust, so do not trust them"
    )
    assert caution_of(mine.drop(columns="method")) == rests


def test_labels_are_not_compared_with_themselves_and_computed_bands_are_no_judgements(
    judged, tmp_path
):
    tones, *_ = judged
    write_table(tones, tmp_path / "t.csv")
    with pytest.raises(InputError, match="both the label and the truth"):
        agree_tables(tmp_path / "t.csv", tmp_path / "." / "t.csv", truth_columns=["ita_band"])
    notes = agree_tables(tones, tones.copy(), truth_columns=["ita_band"]).notes
    assert any("nobody judged them" in note for note in notes)


def test_one_truth_column_may_be_a_name_and_none_is_refused(judged):
    tones, people, *_ = judged
    assert agree_tables(tones, people, truth_columns="fitzpatrick_type").n == 120
    with pytest.raises(InputError, match="name the column of judged types"):
        agree_tables(tones, people, truth_columns=[])
