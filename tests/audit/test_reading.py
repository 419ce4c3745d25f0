"""Tables as people send them, tone labels joined to them, and a reader that never breaks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from equiderm.audit import Options, Request, audit, audit_files, audit_models
from equiderm.audit.reading import join_tones, join_truth, read_predictions, split_models
from equiderm.errors import InputError

HEADER = "image_id;target;score;größe\n"
LINES = "".join(f"i{k};{k % 2};0,{k + 1};{'groß' if k % 3 else 'klein'}\n" for k in range(9))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_semicolons_decimal_commas_and_encodings_are_read(tmp_path, encoding):
    path = tmp_path / "p.csv"
    path.write_bytes((HEADER + LINES).encode(encoding))
    frame, (name, digest) = read_predictions(path)
    made = audit(frame, by=["größe"], options=Options(min_count=2, replicates=100))
    assert made.study.score.max() == pytest.approx(0.9)
    assert made.study.groupings[0].labels == ("groß", "klein")
    assert (name, len(digest)) == ("p.csv", 64)


@pytest.mark.parametrize("as_lines", [True, False])
def test_json_lines_and_an_array_of_json_objects_are_read(tmp_path, predictions, as_lines):
    frame = predictions(200)
    frame.to_json(tmp_path / "p.json", orient="records", lines=as_lines)
    read, _ = read_predictions(tmp_path / "p.json")
    made = audit(read, by=["ita_band"])
    pd.testing.assert_frame_equal(made.by_group(), audit(frame, by="ita_band").by_group())


CELLS = st.one_of(
    st.sampled_from(["0", "1", "0.5", "-1", "2", "nan", "inf", "", "1e400", "a", "<b>", "é", '"']),
    st.floats().map(str),
    st.text(max_size=4),
)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=12).map(
    lambda rows: "\n".join(",".join(row) for row in rows)
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), TABLES.map(lambda t: t.encode("utf-8", "replace"))))
@example(b"")
@example(b"PAR1")
@example(b"\xff\xfe")
@example(b"target,score,group\n")
@example(b"target,score,group\n0,0.1,a\n1,0.9,a,extra\n")
def test_whatever_the_bytes_the_reader_answers_or_says_what_is_wrong(tmp_path, raw):
    path = tmp_path / "p.csv"
    path.write_bytes(raw)
    try:
        frame, _ = read_predictions(path)
        audit(frame, by=["group"], options=Options(replicates=100)).by_group()
    except InputError as error:
        assert str(error).endswith(".")


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(CELLS, CELLS, st.sampled_from(["a", "b", "", "<c>"])), min_size=1, max_size=30
    )
)
def test_whatever_the_cells_the_audit_answers_or_says_what_is_wrong(rows):
    frame = pd.DataFrame(rows, columns=["target", "score", "group"])
    for words in ({}, {"logits": True, "drop_missing": True}):
        try:
            made = audit(frame, by=["group"], options=Options(min_count=2), **words)
        except InputError as error:
            assert str(error).endswith(".")
        else:
            assert len(made.by_group()) <= 3


def tones(**columns):
    made = {"image": ["/x/a.jpg", "/x/b.jpg", "/x/c.jpg"], "ita_band": ["1", None, "6"]}
    return pd.DataFrame(
        made | {"tone_flags": ["", "wrapped", "dark"], "method": "patch-max"} | columns
    )


def test_tones_join_by_the_files_stem_and_say_where_they_come_from():
    frame = pd.DataFrame({"image_id": ["c", "a", "b", "z"], "target": [0, 1, 0, 1]})
    joined, told, _ = join_tones(frame, tones(), image=None, by=["ita_band"], name="p.csv")
    assert joined["ita_band"].tolist()[:2] == ["6", "1"]
    assert joined["ita_band"].isna().tolist() == [False, False, True, True]
    assert "method patch-max" in told
    assert "1 images of p.csv are not in the tone table (z)" in told
    assert "1 images could not be labelled" in told
    assert "2 labels are marked doubtful" in told


def test_the_whole_name_joins_before_the_stem():
    frame = pd.DataFrame({"image": ["/x/c.jpg", "/x/a.jpg"]})
    joined, *_ = join_tones(frame, tones(), image=None, by=["ita_band"], name="p.csv")
    assert joined["ita_band"].tolist() == ["6", "1"]


@pytest.mark.parametrize(
    ("frame", "table", "message"),
    [
        ({"name": ["a"]}, tones(), "no column that names the image"),
        ({"image_id": ["q"]}, tones(), "none of the 1 image ids of p.csv"),
        (
            {"image_id": ["a"]},
            tones(image=["1/a.jpg", "2/a.png", "c"]),
            r"in more than one row \(a\)",
        ),
        ({"image_id": ["a"]}, tones().drop(columns="ita_band"), "none of the columns ita_band"),
    ],
)
def test_tones_that_do_not_fit_are_refused(frame, table, message):
    with pytest.raises(InputError, match=message):
        join_tones(pd.DataFrame(frame), table, image=None, by=["ita_band"], name="p.csv")


def test_a_repeated_tone_of_an_image_that_is_not_audited_is_no_fault():
    table = tones(image=["1/a.jpg", "2/a.png", "c.jpg"])
    joined, *_ = join_tones(
        pd.DataFrame({"image_id": ["c"]}), table, image=None, by=["ita_band"], name="p.csv"
    )
    assert joined["ita_band"].tolist() == ["6"]
    assert np.isscalar(joined["ita_band"].iloc[0])


@pytest.fixture
def two_models(predictions):
    frame = predictions(400).rename(columns={"score": "one"})
    return frame.assign(two=np.random.default_rng(1).random(400))


QUICK = Options(replicates=100)


def test_models_in_columns_and_in_rows_give_the_same_comparison(tmp_path, two_models):
    two_models.to_csv(tmp_path / "wide.csv", index=False)
    names = ["image_id", "patient_id", "target", "ita_band"]
    long = two_models.melt(names, ["one", "two"], var_name="model", value_name="score")
    long.sample(frac=1, random_state=0).to_csv(tmp_path / "long.csv", index=False)
    wide = audit_files(tmp_path / "wide.csv", request=Request(models=("one", "two"), options=QUICK))
    rows = audit_files(
        tmp_path / "long.csv",
        request=Request(model_column="model", models=("one", "two"), options=QUICK),
    )
    assert wide.a.provenance.model == rows.a.provenance.model == "one"
    for one, other in ((wide.a, rows.a), (wide.b, rows.b)):
        pd.testing.assert_frame_equal(one.by_group(), other.by_group())


def test_only_images_that_all_models_scored_are_compared_and_the_rest_is_counted(two_models):
    two_models.loc[:9, "one"] = None
    two_models.loc[5:19, "two"] = None
    made = audit_models(two_models, models=["one", "two"], by="ita_band", image="image_id")
    assert [len(one.study.target) for one in made.values()] == [380, 380]
    assert made["one"].study.notes[0].startswith("20 rows lack a score of one or two")
    apart = [
        audit(two_models, score=name, by="ita_band", image="image_id", drop_missing=True)
        for name in ("one", "two")
    ]
    pair = apart[0].compare(apart[1])
    assert len(pair.a.study.target) == len(pair.b.study.target) == 380
    assert any("15 images that only one" in note for note in pair.a.study.notes)


def test_models_in_rows_may_leave_out_more_images_than_they_share():
    frame = pd.DataFrame({"image": list("abca"), "model": list("mmmn"), "score": 0.5})
    request = Request(model_column="model")
    parts = split_models(frame, score="score", request=request, image="image", name="p.csv")
    assert {model: list(rows["image"]) for model, (rows, *_) in parts.items()} == {
        "m": ["a"], "n": ["a"],
    }  # fmt: skip
    assert parts["m"][2][0].startswith("2 rows lack a score of m or n")


def test_more_than_two_models_are_each_compared_with_the_first(tmp_path, two_models):
    two_models.assign(three=two_models["one"] ** 2).to_csv(tmp_path / "p.csv", index=False)
    made = audit_files(
        tmp_path / "p.csv", request=Request(models=("one", "two", "three"), options=QUICK)
    )
    assert [(pair.a.provenance.model, pair.b.provenance.model) for pair in made.pairs] == [
        ("one", "two"), ("one", "three"),
    ]  # fmt: skip
    assert made.to_html().count("Paired differences") > 2


def test_the_truth_comes_from_another_table_by_image(tmp_path, predictions):
    frame = predictions(400)
    frame[["image_id", "score"]].to_csv(tmp_path / "p.csv", index=False)
    truth = pd.DataFrame({"image": frame["image_id"] + ".jpg", "ita_band": frame["ita_band"]})
    truth["MEL"], truth["NV"] = frame["target"].astype(float), 1.0 - frame["target"]
    truth.sample(frac=1, random_state=0).to_csv(tmp_path / "t.csv", index=False)
    request = Request(truth=tmp_path / "t.csv", cells={"positive": ("MEL",)}, options=QUICK)
    made = audit_files(tmp_path / "p.csv", request=request)
    pd.testing.assert_frame_equal(made.by_group(), audit(frame, by="ita_band").by_group())
    assert [name for name, _ in made.provenance.files] == ["p.csv", "t.csv"]


def test_a_correction_by_hand_in_the_tone_table_is_carried_along():
    frame = pd.DataFrame({"image_id": ["a", "b", "c"]})
    table = tones(ita_band_corrected=[None, "4", None], corrected_by=[None, "Dr A", None])
    joined, *_ = join_tones(frame, table, image=None, by=["ita_band"], name="p.csv")
    assert joined["ita_band_corrected"].fillna("").tolist() == ["", "4", ""]
    assert joined["corrected_by"].fillna("").tolist() == ["", "Dr A", ""]


def test_a_second_table_without_target_and_groups_takes_them_from_the_first(tmp_path, two_models):
    first = two_models.rename(columns={"one": "score"}).drop(columns="two")
    first.to_csv(tmp_path / "a.csv", index=False)
    second = two_models[["image_id", "two"]].rename(columns={"two": "score"})
    second.sample(frac=1, random_state=0).to_csv(tmp_path / "b.csv", index=False)
    made = audit_files(tmp_path / "a.csv", tmp_path / "b.csv", Request(options=QUICK))
    expected = audit(two_models, score="two", by="ita_band", image="image_id")
    pd.testing.assert_frame_equal(made.b.by_group(), expected.by_group())


def test_a_truth_of_true_and_false_by_class_is_a_truth():
    frame = pd.DataFrame({"image_id": ["a", "b", "c"], "score": [0.1, 0.2, 0.3], "ita_band": "1"})
    truth = pd.DataFrame({"image_id": ["c", "b", "a"], "MEL": ["TRUE", "False", ""]})
    request = Request(cells={"positive": ("MEL",)})
    joined, _ = join_truth(frame, truth, request, names=("p.csv", "t.csv"))
    assert joined["target"].fillna("").tolist() == ["", "another", "MEL"]
    request = Request(cells={"positive": ("mel",)})
    with pytest.raises(InputError, match='as in `positive="MEL"`'):
        join_truth(frame, truth, request, names=("p.csv", "t.csv"))


def test_one_model_by_name_is_one_audit(tmp_path, predictions):
    frame = predictions(200).rename(columns={"score": "vendor"})
    frame.to_csv(tmp_path / "p.csv", index=False)
    made = audit_files(tmp_path / "p.csv", request=Request(models=("vendor",), options=QUICK))
    assert len(made.study.target) == 200


def test_a_submission_whose_score_is_called_target_keeps_it_beside_the_truth(tmp_path, predictions):
    frame = predictions(200)
    frame.to_csv(tmp_path / "whole.csv", index=False)
    frame.drop(columns="score").to_csv(tmp_path / "truth.csv", index=False)
    submission = frame[["image_id", "score"]].rename(columns={"score": "target"})
    submission.to_csv(tmp_path / "submission.csv", index=False)
    asked = Request(score=("target",), truth=tmp_path / "truth.csv")
    joined = audit_files(tmp_path / "submission.csv", request=asked)
    whole = audit_files(tmp_path / "whole.csv")
    pd.testing.assert_frame_equal(joined.by_group(), whole.by_group())
    assert joined.study.notes[0] == "The score is the column target of submission.csv."


def test_column_names_with_commas_are_taken_whole(tmp_path, predictions):
    question = "How does your skin, in summer, react?"
    frame = predictions(200).assign(**{question: ["burns", "tans"] * 100})
    frame.to_csv(tmp_path / "p.csv", index=False)
    asked = Request(by=("How does your skin", "in summer", "react?", "ita_band"))
    assert audit_files(tmp_path / "p.csv", request=asked).columns == [question, "ita_band"]


def test_images_of_the_truth_that_the_predictions_lack_are_said(tmp_path, predictions):
    frame = predictions(200)
    frame.drop(columns="score").to_csv(tmp_path / "truth.csv", index=False)
    frame[["image_id", "score"]].iloc[20:].to_csv(tmp_path / "p.csv", index=False)
    made = audit_files(tmp_path / "p.csv", request=Request(truth=tmp_path / "truth.csv"))
    assert made.study.notes[0].startswith("20 images of truth.csv are not in p.csv")


def test_tables_that_are_joined_by_the_numbers_of_their_rows_say_so(tmp_path, predictions):
    frame = predictions(200).drop(columns="image_id").assign(id=range(200))
    frame.drop(columns="ita_band").to_csv(tmp_path / "p.csv", index=False)
    asked = Request(tones=frame[["id", "ita_band"]])
    assert (
        "are the numbers of their rows"
        in audit_files(tmp_path / "p.csv", request=asked).study.notes[0]
    )
    named = Request(tones=frame[["id", "ita_band"]].sample(frac=1, random_state=0))
    assert not audit_files(tmp_path / "p.csv", request=named).study.notes


def test_models_with_commas_in_their_names_and_groups_as_numbers_are_found(tmp_path, predictions):
    frame = predictions(200)
    rows = pd.concat([frame.assign(model="A, small"), frame.assign(model="B")])
    rows.to_csv(tmp_path / "p.csv", index=False)
    asked = Request(models=("A", "small", "B"), model_column="model", reference="1.0")
    pair = audit_files(tmp_path / "p.csv", request=asked)
    assert [each.provenance.model for each in pair.audits] == ["A, small", "B"]
    assert pair.a.reference == {"ita_band": "1"}
    with pytest.raises(InputError, match="no group '9' to compare with; it has 1, 2"):
        audit(frame, by="ita_band", reference={"ita_band": "9"})
