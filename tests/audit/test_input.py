"""Bad input: each kind is one clear sentence that names the place and the remedy."""

import json
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from equiderm.audit import audit
from equiderm.audit.groupings import are_labelings, step_of
from equiderm.audit.input import Reading, make_study, subject_of, to_probability
from equiderm.errors import InputError

WORDS = {"target": "target", "score": "score", "by": ["group"], "name": "p.csv"}


def table(**columns):
    made = {
        "image_id": [f"i{k}" for k in range(8)],
        "target": [0, 1] * 4,
        "score": np.linspace(0.1, 0.9, 8),
        "group": list("aabbaabb"),
    }
    return pd.DataFrame(made | columns)


BAD = {
    "a positive class in capitals, too": (
        table(target=["mel", "nv", "MEL", "nv"] * 2),
        {"reading": Reading(positive=("mel",))},
        "has 'mel', 'MEL'.*capitals.*`positive=\"mel,MEL\"`",
    ),
    "some scores with a sign": (
        table(score=["23%", "0.5", *["50%"] * 6]),
        {"reading": Reading(percent=True)},
        "'0.5'.*row 2.*no % sign",
    ),
    "scores that are words": (table(score=["no", "yes"] * 4), {}, "holds no number.*`score="),
    "a column in capitals": (
        table(),
        {"target": "Target"},
        "no column 'Target'.*`target=\"target\"`",
    ),
    "no rows": (table().iloc[:0], {}, "holds no rows"),
    "a score above 1": (table(score=[2.7, *[0.5] * 7]), {}, "2.7.*row 1.*`logits=True`"),
    "a score below 0": (table(score=[0.5, -0.1, *[0.5] * 6]), {}, "-0.1.*row 2.*`logits=True`"),
    "an infinite score": (table(score=[np.inf, *[0.5] * 7]), {}, "'inf'.*row 1"),
    "a score that is text": (table(score=["high", *[0.5] * 7]), {}, "'high'.*row 1"),
    "thousands apart": (
        table(score=["2.5", "1.000,50", "7,738.00", *["0.5"] * 5]),
        {},
        r"'1\.000,50'.*row 2, has separators of thousands",
    ),
    "a missing score": (table(score=[0.1, None, *[0.5] * 6]), {}, "1 row has no.*row 2.*`drop_mi"),
    "a missing target": (table(target=[None, 0, 1, 0, 1, 0, 1, 0]), {}, "first is row 1"),
    "a target of 2": (table(target=[0, 1, 2, 0, 1, 0, 1, 0]), {}, "'2'.*row 3.*1 for a positive"),
    "a target that is text": (
        table(target=list("mbmbmbmb")),
        {},
        "'m'.*row 1.*`positive=\"[mb]\"`.*has 'm', 'b'",
    ),
    "one class": (table(target=[1] * 8), {}, "every target.*both classes"),
    "constant scores": (table(score=[0.3] * 8), {}, "every score.*0.3.*cannot be ranked"),
    "a repeated id": (table(image_id=["x", "x", *"abcdef"]), {"image": "image_id"}, "'x'.*once"),
    "no such column": (table(), {"by": ["tone"]}, "no column 'tone'.*it has 'image_id'"),
    "a score for each class": (
        table(target=["mel", "nv"] * 4, score_mel=0.4, score_nv=0.6).drop(columns="score"),
        {},
        "no column 'score'.*each class in 'target' .score_mel and score_nv.*`positive=\"mel\"`",
    ),
    "scores of other classes": (
        table(score_mel=0.4, score_nv=0.6).drop(columns="score"),
        {},
        "those of several classes .score_mel and score_nv.*audit --target COLUMN --classes all",
    ),
    "no such column among many": (
        table(**{f"more{n}": 1 for n in range(12)}),
        {"by": ["tone"]},
        "'more7', ...;",
    ),
    "no group column": (table(), {"by": []}, "no group column.*`by="),
    "an empty group column": (table(group=[None] * 8), {}, "'group' is empty"),
    "per cent": (table(score=[23.0, *[50.0] * 7]), {}, "23.*row 1.*per cent.*`percent=True`"),
    "per cent signs": (table(score=["23 %", *["50%"] * 7]), {}, "'23 %'.*`percent=True`"),
    "log-odds in per cent": (
        table(),
        {"reading": Reading(logits=True, percent=True)},
        "either log-odds or per cent",
    ),
    "a positive class that is not there": (
        table(target=list("mbmbmbmb")),
        {"reading": Reading(positive=("x",))},
        "never has 'x'.*'m'",
    ),
    "views that differ": (
        table(image_id=list("aabbccdd"), group=list("abaaaaaa")),
        {"image": "image_id", "reading": Reading(average_views=True)},
        "rows of image 'a' differ in '(target|group)'",
    ),
    "views without an image": (
        table(),
        {"reading": Reading(average_views=True)},
        "no column of images.*`image=",
    ),
    "edges that fall": (
        table(group=range(8)),
        {"reading": Reading(cut={"group": (5.0, 2.0)})},
        "must ascend",
    ),
    "words among numbers to cut": (
        table(group=["old", *range(7)]),
        {"reading": Reading(cut={"group": (2.0,)})},
        "'old'.*row 1.*`missing=",
    ),
    "log-odds to sum": (
        table(other=0.1),
        {"score": ["score", "other"], "reading": Reading(logits=True)},
        "log-odds cannot be summed",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_sentence(case):
    frame, words, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        make_study(frame, **(WORDS | words))
    text = str(caught.value)
    assert text.startswith("p.csv: ")
    assert text.endswith(".")
    assert "\n" not in text


def test_five_thousand_groups_are_refused_by_number():
    frame = pd.DataFrame({"target": [0, 1] * 2500, "score": np.linspace(0, 1, 5000)})
    frame["group"] = [f"g{k}" for k in range(5000)]
    with pytest.raises(InputError, match="5000 different values, but at most 50"):
        make_study(frame, **WORDS)


def test_two_columns_of_one_name_are_refused():
    frame = table()
    frame.columns = ["score", "target", "score", "group"]
    with pytest.raises(InputError, match="2 columns called 'score'"):
        make_study(frame, **WORDS)


def test_logits_are_fine_when_said():
    study = make_study(
        table(score=np.linspace(-700, 700, 8)), reading=Reading(logits=True), **WORDS
    )
    assert study.score.min() >= 0
    assert study.score.max() <= 1
    assert (np.diff(study.score) >= 0).all()


def test_rows_left_out_are_counted():
    study = make_study(
        table(score=[None, *np.linspace(0, 1, 7)]), reading=Reading(drop_missing=True), **WORDS
    )
    assert len(study.target) == 7
    assert study.notes == ("1 row without target or score left out.",)


def test_rows_without_a_group_count_overall_only():
    study = make_study(table(group=[None, "", *"aabbab"]), **WORDS)
    assert study.groupings[0].codes.tolist() == [-1, -1, 0, 0, 1, 1, 0, 1]
    assert "2 rows have no group" in study.notes[0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([10, 9, 1, 2, 10, 9, 1, 2], ("1", "2", "9", "10")),
        ([2.0, 1.0, None, 3.0, 1.0, 2.0, 3.0, 1.0], ("1", "2", "3")),
        (["dark", "tan", "very-light", "light"] * 2, ("very-light", "light", "tan", "dark")),
        (["V", "II", "IV", "I"] * 2, ("I", "II", "IV", "V")),
        (pd.Categorical(["lo", "hi"] * 4, categories=["lo", "hi"]), ("lo", "hi")),
        (["b", "a"] * 4, ("a", "b")),
    ],
)
def test_groups_come_in_their_natural_order(values, expected):
    study = make_study(table(group=values), **WORDS)
    assert study.groupings[0].labels == expected


def test_intersections_go_down_to_the_smallest_number_and_count_the_rest():
    frame = pd.concat([table(sex=list("ffffffmm")), table(sex=list("fmfmfmfm"))])
    study = make_study(frame, **(WORDS | {"by": ["group", "sex"]}), reading=Reading(min_rows=5))
    both = study.groupings[-1]
    assert both.is_intersection
    counts = frame.groupby(["group", "sex"]).size()
    assert len(both.labels) == (counts >= 5).sum() > 0
    assert both.left_out == counts[counts < 5].sum()


def test_intersections_beyond_the_fifty_largest_are_named():
    frame = pd.DataFrame([(a, b, k % 2) for a in range(8) for b in range(8) for k in range(6)])
    frame.columns = ["a", "b", "target"]
    frame = pd.concat([frame, *[frame[frame["a"] == 7]] * 2]).assign(score=np.linspace(0, 1, 480))
    study = make_study(frame, **(WORDS | {"by": ["a", "b"]}), reading=Reading(min_rows=5))
    both = study.groupings[-1]
    assert len(both.labels) == 50 and {f"7 × {k}" for k in range(8)} <= set(both.labels)
    assert both.unshown[0] == "5 × 2" and both.unshown[-1] == "6 × 7"
    assert (len(both.unshown), both.unshown_rows, both.left_out) == (14, 84, 0)
    assert (both.codes < 0).sum() == 84
    (note,) = study.notes
    assert note.startswith("Of 64 intersections of a × b the 50 with the most images are shown; ")
    assert ": 5 × 2, 5 × 3," in note and "6 × 7 (84 images, which" in note


def test_a_note_is_text_that_keeps_its_subject_when_copied():
    note = make_study(
        table(mel=0.1, bcc=[0, 0.2] * 4), **(WORDS | {"score": ["mel", "bcc"]})
    ).notes[0]
    assert json.loads(json.dumps([note])) == ["The score is the sum of the columns mel + bcc."]
    assert {subject_of(note), subject_of(pickle.loads(pickle.dumps(note)))} == {"score"}
    assert subject_of("3 rows left out.") == "rows"


def test_several_labelings_of_one_thing_are_not_crossed():
    frame = table(one=[1, 2, 3, 1, 2, 3, 1, 2], two=[1, 2, 3, 1, 2, 2, 1, 3])
    study = make_study(frame, **(WORDS | {"by": ["one", "two"]}))
    assert [one.name for one in study.groupings] == ["one", "two"]
    assert are_labelings(study.groupings)


def test_unrelated_columns_with_the_same_names_are_crossed():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"target": [0, 1] * 200, "score": random.random(400)})
    frame["site"], frame["fitzpatrick"] = random.integers(1, 4, (2, 400))
    study = make_study(
        frame, target="target", score="score", by=["site", "fitzpatrick"],
        reading=Reading(min_rows=10),
    )  # fmt: skip
    assert [one.name for one in study.groupings][2] == "site × fitzpatrick"
    assert len(study.groupings[2].labels) == 9


def test_arrays_as_fairlearn_takes_them_give_the_same_as_a_frame():
    frame = table()
    by_frame = audit(frame, by=["group"])
    for features in (frame["group"], frame[["group"]], {"group": frame["group"].to_numpy()}):
        by_array = audit(target=frame["target"].to_numpy(), score=list(frame["score"]), by=features)
        pd.testing.assert_frame_equal(by_array.by_group(), by_frame.by_group())


def test_arrays_of_different_length_are_refused():
    with pytest.raises(InputError, match=r"differ in length.*target 3.*score 2"):
        audit(target=[0, 1, 0], score=[0.1, 0.2], by=["a", "b", "a"])


def test_log_odds_keep_their_ranks_where_probabilities_would_be_equal():
    logits = np.array([40.0, 50.0, 45.0, -800.0, -700.0, 0.0, 50.0])
    made = to_probability(logits)
    assert (
        np.argsort(made, kind="stable").tolist()
        == np.argsort(np.maximum(logits, -700), kind="stable").tolist()
    )
    assert made[1] == made[6] <= 1
    assert made[5] == 0.5


def test_a_million_log_odds_move_by_less_than_a_millionth():
    logits = np.linspace(-60, 60, 1_000_000)
    made = to_probability(logits)
    assert (np.diff(made) > 0).all()
    assert np.abs(made - 1 / (1 + np.exp(-logits))).max() < 1e-9


def test_the_words_NA_and_None_are_names_and_only_an_empty_cell_is_missing():
    study = make_study(table(group=["NA", "None", "", None, "NA", "None", "NA", "x"]), **WORDS)
    assert study.groupings[0].labels == ("NA", "None", "x")
    assert (study.groupings[0].codes < 0).sum() == 2


def test_blanks_are_stripped_and_case_twins_and_minus_one_are_pointed_out():
    study = make_study(table(group=[" f", "f", "F", "-1", "f ", "m", "m", "f"]), **WORDS)
    assert study.groupings[0].labels == ("-1", "F", "f", "m")
    assert "'F' and 'f' are separate groups" in study.doubts[1]
    assert '`missing="-1"`' in study.doubts[0]


def test_words_that_mean_missing_are_no_groups():
    made = audit(table(group=["-1", "unknown", *"aabbab"]), by="group", missing="-1,unknown")
    assert made.study.groupings[0].labels == ("a", "b")
    assert made.study.notes == (
        "2 rows have no group; they count overall but in none of its groups.",
    )


def test_rows_without_a_patient_are_patients_of_their_own():
    study = make_study(table(p=["a", None, "a", "", "b", "b", "c", "d"]), patient="p", **WORDS)
    assert study.patient is not None
    assert len(set(study.patient)) == 6
    assert "2 rows have no p; each counts as a patient of its own." in study.notes


def test_a_positive_class_is_named_and_its_column_is_the_score():
    frame = table(dx=["mel", "nv", "bcc", "nv"] * 2, mel=[0.6, 0.1, 0.2, 0.3] * 2, bcc=0.1)
    made = audit(frame.drop(columns="score"), target="dx", positive="mel,bcc", by="group")
    assert made.study.target.tolist() == [True, False, True, False] * 2
    assert made.study.score == pytest.approx([0.7, 0.2, 0.3, 0.4] * 2)
    assert made.study.notes == ("The score is the sum of the columns mel + bcc.",)


def test_true_and_false_are_targets():
    for values in ([True, False] * 4, ["True", "false"] * 4):
        assert make_study(table(target=values), **WORDS).target.tolist() == [True, False] * 4


def test_views_of_an_image_get_its_mean_score():
    frame = pd.concat([table(), table(score=np.linspace(0.3, 0.7, 8))])
    made = audit(frame, by="group", image="image_id", average_views=True)
    assert made.study.score == pytest.approx(
        (np.linspace(0.1, 0.9, 8) + np.linspace(0.3, 0.7, 8)) / 2
    )
    assert "16 rows are views of 8 images" in made.study.notes[0]


def test_numbers_are_cut_into_bands_in_their_order():
    made = audit(table(age=[10, 39, 40, 59, 60, 85, None, 5]), by="age", cut={"age": [40, 60]})
    (grouping,) = made.study.groupings
    assert grouping.labels == ("under 40", "40 to under 60", "60 or more")
    assert grouping.codes.tolist() == [0, 0, 1, 1, 2, 2, -1, 0]


def test_labels_corrected_by_hand_replace_the_computed_ones_and_are_counted():
    frame = table(group_corrected=["b", *[None] * 7], corrected_by=["Dr A", *[None] * 7])
    made = audit(frame, by="group")
    assert made.study.groupings[0].codes[0] == 1
    assert made.study.notes == ("1 label of group was corrected by hand by Dr A.",)


def test_rows_excluded_by_hand_are_left_out_and_counted():
    more = {"excluded": ["true", *[None] * 7], "corrected_by": ["Dr A", *[None] * 7]}
    made = audit(table(**more), by="group")
    assert len(made.study.groupings[0].codes) == 7
    assert made.study.notes == ("1 image was excluded by hand by Dr A.",)


def test_a_column_excluded_that_no_curator_wrote_is_not_used():
    made = audit(table(excluded=[True, *[False] * 7]), by="group")
    assert len(made.study.groupings[0].codes) == 8


def test_series_are_aligned_by_their_index():
    frame = table().set_index("image_id")
    shuffled = frame["score"].sample(frac=1, random_state=0)
    made = audit(target=frame["target"], score=shuffled, by=frame["group"])
    pd.testing.assert_series_equal(made.overall, audit(frame, by="group").overall)


def test_series_whose_indexes_cannot_be_aligned_are_refused():
    frame = table()
    other = frame["score"].set_axis(range(100, 108))
    with pytest.raises(InputError, match="target and score have different indexes"):
        audit(target=frame["target"], score=other, by=frame["group"])
    with pytest.raises(InputError, match="different indexes"):
        audit(target=frame["target"], score=frame["score"][::-1], by=list(frame["group"]))


def test_what_other_libraries_return_is_taken():
    frame = table()
    expected = audit(frame, by="group").by_group()
    two = np.stack([1 - frame["score"], frame["score"]], axis=1)
    words = {"target": frame["target"].to_numpy()[:, None], "by": {"group": frame["group"]}}
    for score in (two, frame["score"].to_numpy()[:, None]):
        pd.testing.assert_frame_equal(audit(score=score, **words).by_group(), expected)
    arrow = pa.Table.from_pandas(frame)
    pd.testing.assert_frame_equal(audit(arrow, by="group").by_group(), expected)
    pd.testing.assert_frame_equal(audit(score=arrow["score"], **words).by_group(), expected)
    by_mapping = audit({name: frame[name].tolist() for name in frame}, by="group").by_group()
    pd.testing.assert_frame_equal(by_mapping, expected)
    numbered = frame.set_axis(range(4), axis=1)
    numbered = audit(numbered, target=1, score=2, by=3).by_group()
    assert numbered.to_numpy() == pytest.approx(expected.to_numpy(), nan_ok=True)
    beside = audit(frame.drop(columns="group"), by=frame["group"]).by_group()
    pd.testing.assert_frame_equal(beside, expected)


def test_frames_and_series_of_polars_are_taken():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(table().to_dict("list"))
    expected = audit(table(), by="group").by_group()
    series = audit(target=frame["target"], score=frame["score"], by=frame.select("group"))
    two = polars.DataFrame({"benign": 1 - frame["score"], "malignant": frame["score"]})
    of_two = audit(target=frame["target"], score=two, by=frame.select("group"))
    for one in (audit(frame, by="group"), audit(frame.lazy(), by="group"), series, of_two):
        pd.testing.assert_frame_equal(one.by_group(), expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"score": np.ones((8, 3)) / 3}, "score has the shape .8, 3."),
        ({"score": np.ones((8, 2))}, "do not add up to 1"),
        ({"score": 0.5}, "score is a float"),
        ({"frame": "p.csv", "by": "group"}, "a str is not a table"),
        ({"target": "target", "score": [0.1] * 8}, "no table was given"),
    ],
)
def test_arrays_of_another_shape_are_one_sentence(words, message):
    given = {"target": [0, 1] * 4, "score": np.linspace(0, 1, 8), "by": list("aabbaabb")}
    with pytest.raises(InputError, match=message):
        audit(**(given | words))


def test_without_a_truth_only_the_selection_rate_is_given():
    made = audit(table().drop(columns="target"), by="group", no_truth=True)
    assert made.results["group"].value("selection_rate")[0] == 0.5
    assert made.figure("auroc").why


def test_per_cent_signs_are_read():
    cells = [f"{k} %" for k in range(10, 90, 10)]
    made = audit(table(score=cells), by="group", percent=True)
    assert made.study.score == pytest.approx(np.arange(0.1, 0.9, 0.1))


def test_a_column_of_weights_is_said_not_to_be_used():
    made = audit(table(sample_weight=2.0), by="group")
    assert made.study.notes == (
        'The column sample_weight was not used; `weight="sample_weight"` weights the rows by it.',
    )


def test_groups_may_be_columns_and_arrays_at_once():
    frame = table(sex=list("fmfmfmfm"))
    made = audit(frame.drop(columns="sex"), by=["group", frame["sex"]], min_rows=1)
    assert made.columns == ["group", "sex"]
    alone = audit(
        target=frame["target"], score=frame["score"], by=[frame["group"], frame["sex"]], min_rows=1
    )
    assert alone.columns == ["group", "sex"]


def test_a_class_with_commas_in_its_name_can_be_positive():
    frame = table(target=["Melanoma, NOS", "Nevus, NOS"] * 4)
    reading = Reading(positive=("Melanoma", "NOS"))  # as the command splits it
    assert make_study(frame, **WORDS, reading=reading).target.tolist() == [True, False] * 4


def test_the_forms_of_unicode_are_one_name():
    frame = table(target=["me\u0301lanome", "nevus"] * 4, group=["e\u0301", "\u00e9"] * 4)
    study = make_study(frame, **WORDS, reading=Reading(positive=("m\u00e9lanome",)))
    assert study.target.sum() == 4
    assert study.groupings[0].labels == ("\u00e9",)


def test_words_for_a_missing_number_are_missing_targets_and_scores():
    frame = table(target=["NA", 1, 0, 1, 0, 1, 0, 1], score=[0.1, "-", -9, 0.4, 0.5, 0.6, 0.7, 0.8])
    reading = Reading(missing=("-", "-9"), drop_missing=True)
    study = make_study(frame, **WORDS, reading=reading)
    assert study.notes == ("3 rows without target or score left out.",)
    assert study.score.tolist() == [0.4, 0.5, 0.6, 0.7, 0.8]


def test_scores_are_found_by_the_classes_names_in_capitals_and_with_a_prefix():
    frame = table(target=["mel", "nv"] * 4).rename(columns={"score": "MEL"})
    assert make_study(frame, **WORDS, reading=Reading(positive=("mel",))).score[0] == 0.1
    frame = frame.rename(columns={"MEL": "prob_mel"})
    assert make_study(frame, **WORDS, reading=Reading(positive=("mel",))).score[0] == 0.1


def test_what_looks_like_a_fault_is_said():
    frame = table(patient_id=["NA", "NA", "NA", *"abcde"], PatientID="x")
    study = make_study(frame, **WORDS, patient="patient_id", reading=Reading(logits=True))
    assert [text.split(":")[0] for text in study.doubts] == [
        "Every score is within 0 to 1",
        "'NA' is one patient with 3 images; if it means not known, say so with `missing=\"NA\"`.",
    ]
    assert "The column PatientID was not used" in make_study(frame, **WORDS).notes[0]


def test_rows_without_an_image_id_are_images_and_pair_with_nothing():
    frame = table(image_id=["a", "b", "c", "d", "e", None, "", None])
    one = audit(frame, by="group", image="image_id")
    other = audit(frame.assign(score=frame["score"] ** 2), by="group", image="image_id")
    assert len(one.study.target) == 8
    assert len(one.compare(other).a.study.target) == 5


@pytest.mark.parametrize(("text", "step"), [("99", None), ("0", 0), ("10", 10), ("34", 3)])
def test_a_step_of_a_scale_of_tone_is_at_most_ten(text, step):
    assert step_of(text) == step


def test_bands_are_cut_from_decimal_commas_and_words_for_a_missing_number():
    frame = table(age=["39,5", "40", "NA", "60,0", "61", "20", "", "45"])
    reading = Reading(cut={"age": (40.0, 60.0)})
    study = make_study(frame, **(WORDS | {"by": ["age"]}), reading=reading)
    assert study.groupings[0].codes.tolist() == [0, 1, -1, 2, 2, 0, -1, 1]


def test_group_names_that_differ_in_a_dash_or_a_decimal_comma_are_pointed_out_or_one():
    frame = table(group=["I-II", "I\u2013II", "V-VI", "V-VI"] * 2)
    assert "'I-II' and 'I\u2013II' are separate groups" in make_study(frame, **WORDS).doubts[0]
    frame = table(group=["1,0", "1", "1,000", "2,0"] * 2)
    assert make_study(frame, **WORDS).groupings[0].labels == ("1", "1,000", "2")


def test_a_class_that_is_spelled_in_two_ways_is_refused_whatever_the_difference():
    for other in ("basal  cell", "Basal cell", "basal\u200b cell", "basal\u00a0cell"):
        frame = table(target=["basal cell", other, "nevus", "nevus"] * 2)
        with pytest.raises(InputError, match="write them alike"):
            make_study(frame, **WORDS, reading=Reading(positive=("basal cell",)))


@pytest.mark.parametrize(
    "twins", [("IV", "4"), ("Type IV", "iv"), ("04", "4"), ("m", "male"), ("dark", "dark\u200b")]
)
def test_group_names_that_mean_the_same_are_pointed_out(twins):
    doubts = make_study(table(group=[*twins, "x", "x"] * 2), **WORDS).doubts
    assert any("are separate groups" in doubt for doubt in doubts)
    others = table(group=["3", "4", "4-5", "female"] * 2)
    assert not make_study(others, **WORDS).doubts


def test_a_group_called_as_a_row_of_the_results_is_refused():
    with pytest.raises(InputError, match="a group 'overall', as the results call"):
        make_study(table(group=["overall", "x"] * 4), **WORDS)


def test_groups_with_numbers_in_their_names_are_in_the_order_of_the_numbers():
    study = make_study(table(group=["80-100", "100+", "0-20", "20-40"] * 2), **WORDS)
    assert study.groupings[0].labels == ("0-20", "20-40", "80-100", "100+")


@pytest.mark.parametrize("column", ["target", "score", "group"])
@pytest.mark.parametrize("cell", [[0, 1], np.array([0, 1]), {"a": 1}])
def test_a_cell_of_several_values_is_refused_with_its_row(column, cell):
    frame = table(**{column: [*table()[column][:7], None]}).astype({column: object})
    frame.at[7, column] = cell
    with pytest.raises(InputError, match=f"column '{column}', row 8, holds several values"):
        make_study(frame, **WORDS)


@pytest.mark.parametrize("written", ["[0.{} 0.5]", "tensor(0.{})", '="0.{}"'])
def test_numbers_that_are_wrapped_in_text_are_refused_with_how_to_write_them(written):
    with pytest.raises(InputError, match="write one plain number per cell"):
        make_study(table(score=[written.format(k) for k in range(8)]), **WORDS)


def test_minus_signs_and_rounding_below_0_are_read():
    scores = ["\u22120,5", "0,5", "1", "2", "3", "4", "5", "6"]
    study = make_study(table(score=scores), **WORDS, reading=Reading(logits=True))
    assert study.score[0] == pytest.approx(1 - study.score[1])
    assert make_study(table(score=["-1e-9", *"0000001"]), **WORDS).score.min() == 0


@pytest.mark.parametrize(
    ("scores", "doubt"),
    [((0.0, 1.0), "as decisions are"), ((0.5, 0.9), "predicted class"), ((0.4, 0.9), None)],
)
def test_scores_that_are_decisions_or_of_the_predicted_class_are_pointed_out(scores, doubt):
    frame = pd.DataFrame({"target": [0, 1] * 20, "score": scores * 20, "group": "a"})
    doubts = make_study(frame, **WORDS).doubts
    assert (doubt is None and not doubts) or doubt in doubts[0]


def test_patients_that_differ_in_capitals_and_lesions_that_go_unused_are_pointed_out():
    twins = table(patient_id=["p1", "P1", "p2", "p2", "p3", "p4", "p5", "p6"])
    study = make_study(twins, **WORDS, patient="patient_id")
    assert study.doubts[0].startswith(
        "2 patients differ in capitals, blanks, dashes or leading zeros only (p1 and P1)"
    )
    lesions = table(lesion_id=list("aabcdefg"))
    assert '`patient="lesion_id"`' in make_study(lesions, **WORDS).notes[0]
    assert not make_study(table(lesion_id=list("abcdefgh")), **WORDS).notes


def test_words_among_numbers_are_last_and_two_columns_of_one_name_are_said():
    study = make_study(table(group=["2", "NaN", "10", "1"] * 2), **WORDS)
    assert study.groupings[0].labels == ("1", "2", "10", "NaN")
    frame = table().assign(**{"score.1": 0.5})
    assert make_study(frame, **WORDS).doubts == (
        "The table has several columns 'score'; the first was used.",
    )


def test_a_first_line_that_names_no_columns_is_pointed_out():
    frame = pd.DataFrame(columns=["i1", "1", "0.7738", "a"], data=[["i2", "0", "0.1", "b"]])
    with pytest.raises(InputError, match="names of the columns into the first line"):
        make_study(frame, **WORDS)


def test_lines_above_the_names_of_the_columns_are_advised_to_be_taken_out():
    frame = pd.DataFrame({"Study": ["target"], "Unnamed: 1": ["score"], "Unnamed: 2": ["group"]})
    with pytest.raises(InputError, match="take out the lines above"):
        make_study(frame, **WORDS)
