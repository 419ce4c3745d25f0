"""Bad input: each kind is one clear sentence that names the place and the remedy."""

import numpy as np
import pandas as pd
import pytest

from equiderm.audit import audit
from equiderm.audit.groupings import are_labelings
from equiderm.audit.input import make_study
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
    "no rows": (table().iloc[:0], {}, "holds no rows"),
    "a score above 1": (table(score=[2.7, *[0.5] * 7]), {}, "2.7.*row 1.*--logits"),
    "a score below 0": (table(score=[0.5, -0.1, *[0.5] * 6]), {}, "-0.1.*row 2.*--logits"),
    "an infinite score": (table(score=[np.inf, *[0.5] * 7]), {}, "'inf'.*row 1"),
    "a score that is text": (table(score=["high", *[0.5] * 7]), {}, "'high'.*row 1"),
    "a missing score": (table(score=[0.1, None, *[0.5] * 6]), {}, "1 rows have no.*row 2.*drop-mi"),
    "a missing target": (table(target=[None, 0, 1, 0, 1, 0, 1, 0]), {}, "first is row 1"),
    "a target of 2": (table(target=[0, 1, 2, 0, 1, 0, 1, 0]), {}, "'2'.*row 3.*1 for a positive"),
    "a target that is text": (table(target=list("mbmbmbmb")), {}, "'m'.*row 1.*1 for a positive"),
    "one class": (table(target=[1] * 8), {}, "every target.*both classes"),
    "constant scores": (table(score=[0.3] * 8), {}, "every score.*0.3.*constant"),
    "a repeated id": (table(image_id=["x", "x", *"abcdef"]), {"image": "image_id"}, "'x'.*once"),
    "no such column": (table(), {"by": ["tone"]}, "no column 'tone'.*it has 'image_id'"),
    "no group column": (table(), {"by": []}, "no group column.*--by"),
    "an empty group column": (table(group=[None] * 8), {}, "'group' is empty"),
    "an empty patient": (table(p=["a", None, *"cdefgh"]), {"patient": "p"}, "empty in row 2"),
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
    with pytest.raises(InputError, match="5000 different values, at most 50"):
        make_study(frame, **WORDS)


def test_two_columns_of_one_name_are_refused():
    frame = table()
    frame.columns = ["score", "target", "score", "group"]
    with pytest.raises(InputError, match="2 columns called 'score'"):
        make_study(frame, **WORDS)


def test_logits_are_fine_when_said():
    study = make_study(table(score=np.linspace(-700, 700, 8)), logits=True, **WORDS)
    assert study.score.min() >= 0
    assert study.score.max() <= 1
    assert (np.diff(study.score) >= 0).all()


def test_rows_left_out_are_counted():
    study = make_study(table(score=[None, *np.linspace(0, 1, 7)]), drop_missing=True, **WORDS)
    assert len(study.target) == 7
    assert study.notes == ("1 rows without target or score were left out.",)


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
    frame = pd.concat([table(sex=list("ffffmmmm")), table(sex=list("fmfmfmfm"))])
    study = make_study(frame, **(WORDS | {"by": ["group", "sex"]}), min_rows=5)
    both = study.groupings[-1]
    assert both.is_intersection
    counts = frame.groupby(["group", "sex"]).size()
    assert len(both.labels) == (counts >= 5).sum()
    assert both.left_out == counts[counts < 5].sum()


def test_several_labelings_of_one_thing_are_not_crossed():
    frame = table(one=list("IIV") * 2 + ["I", "II"], two=list("VII") * 2 + ["I", "II"])
    study = make_study(frame, **(WORDS | {"by": ["one", "two"]}))
    assert [one.name for one in study.groupings] == ["one", "two"]
    assert are_labelings(study.groupings)


def test_arrays_as_fairlearn_takes_them_give_the_same_as_a_frame():
    frame = table()
    by_frame = audit(frame, by=["group"])
    for features in (frame["group"], frame[["group"]], {"group": frame["group"].to_numpy()}):
        by_array = audit(target=frame["target"].to_numpy(), score=list(frame["score"]), by=features)
        pd.testing.assert_frame_equal(by_array.by_group(), by_frame.by_group())


def test_arrays_of_different_length_are_refused():
    with pytest.raises(InputError, match=r"differ in length.*target 3.*score 2"):
        audit(target=[0, 1, 0], score=[0.1, 0.2], by=["a", "b", "a"])
