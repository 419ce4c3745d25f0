"""How large a test set must be by the audit's own test, and what a test set has."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from equiderm.audit import plan
from equiderm.audit.thirds import of_split, thirds_of
from equiderm.errors import InputError


def made(rows=1200, *, shares=(0.3, 0.3, 0.2, 0.1, 0.06, 0.04), seed=0):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "patient_id": np.arange(rows) // 2,
            "ita_band": np.repeat(random.choice(6, rows // 2, p=shares), 2) + 1,
            "target": np.arange(rows) % 4 == 0,
        }
    ).astype({"target": int})


def images(**options):
    return plan(metrics="sensitivity", base=0.8, **options).needs[0].images


def test_half_the_drop_takes_about_four_times_the_images():
    assert 3 < images(drop=0.1) / images(drop=0.2) < 5


def test_the_number_is_about_that_of_a_textbook_formula():
    """Of two shares, 0.80 in twice as many and 0.70, at the z of the audit's largest of nine."""
    textbook = (2.75 + 0.84) ** 2 * (0.8 * 0.2 / 2 + 0.7 * 0.3) / 0.1**2
    assert images(drop=0.1) == pytest.approx(textbook, rel=0.15)


def test_correlated_images_of_a_patient_count_less():
    alone, together = images(drop=0.1), images(drop=0.1, images_per_patient=3, correlation=0.5)
    assert 1.8 < together / alone < 2.3  # the design effect is 1 + 2 x 0.5


def test_none_suffice_where_the_other_tones_have_too_few():
    assert images(drop=0.1, others=20) == math.inf
    text = " ".join(plan(metrics="sensitivity", drop=0.1, others=20).answer())
    assert "no number of images of dark skin" in text


def test_a_test_set_that_is_planned_so_large_is_large_enough():
    need = int(images(drop=0.15))
    target = np.tile([1, 0, 0, 0], 3 * need)
    table = pd.DataFrame({"target": target, "tone": np.repeat([1, 3, 6], 4 * need)})
    one = plan(table, by="tone", metrics="sensitivity", base=0.8, drop=0.15).needs[0]
    assert one.have == need and one.missing <= 1
    assert one.noticed == pytest.approx(0.15, abs=0.003)


def test_counts_of_the_thirds_are_those_of_the_table():
    table = made()
    result = plan(table, patient="patient_id", metrics="sensitivity")
    dark = table[table["ita_band"] >= 5]
    third = result.thirds[2]
    assert (third.images, third.positives) == (len(dark), int(dark["target"].sum()))
    assert third.patients == dark["patient_id"].nunique() and third.labels == ("5", "6")
    assert result.rule.counted == "patients" and not result.rule.quarter and result.rule.enough


def test_a_quarter_in_each_third_is_seen():
    assert plan(made(shares=(1 / 6,) * 6), metrics="sensitivity").rule.quarter


def test_the_rule_says_what_it_is_about():
    says = " ".join(plan(made(), metrics="sensitivity").answer())
    assert "pulse oximeters, not about images of skin" in says and "draft" in says


@pytest.mark.parametrize(
    ("labels", "column", "given", "expected"),
    [
        (["1", "2", "3", "4", "5", "6"], "ita_band", "", [0, 0, 1, 1, 2, 2]),
        (["12", "34", "56"], "skin_tone", "", [0, 1, 2]),
        (["I", "IV", "V"], "fitzpatrick", "", [0, 1, 2]),
        (["4", "5", "8"], "mst", "", [0, 1, 2]),
        (["1", "7", "10"], "tone", "", [0, 1, 2]),
        (["light", "tan", "dark"], "band", "", [0, 1, 2]),
        (["a", "b", "c"], "band", "a/b/c", [0, 1, 2]),
    ],
)
def test_thirds_follow_the_scale(labels, column, given, expected):
    assert list(thirds_of(labels, column, given).values()) == expected


def test_names_of_no_scale_are_refused_with_the_remedy():
    with pytest.raises(InputError, match='thirds="1,2/3,4/5,6"'):
        thirds_of(["red", "blue"], "colour")


@pytest.mark.parametrize(
    "wrong",
    [{"drop": 0.9}, {"base": 1.2}, {"drop": {"f1": 0.1}}, {"metrics": "ppv"}, {"correlation": 2}],
)
def test_numbers_outside_their_range_are_refused(wrong):
    with pytest.raises(InputError):
        plan(**wrong)


def test_one_split_is_counted_alone():
    table = made().assign(split=np.repeat(["train", "test"], 600))
    assert sum(one.images for one in plan(table, split="test", metrics="sensitivity").thirds) == 600
    assert "All splits" in of_split(table, "", "the table")[1][0]


def test_the_command_prints_writes_and_exports(equiderm, tmp_path):
    made().to_csv(tmp_path / "manifest.csv", index=False)
    done = equiderm(
        "plan",
        "manifest.csv",
        "--figure",
        "sensitivity",
        "-o",
        "plan.html",
        "-o",
        "plan.json",
        cwd=tmp_path,
    )
    assert done.returncode == 0 and "more are needed" in done.stdout
    content = json.loads((tmp_path / "plan.json").read_text())
    assert content["schema"] == "equiderm.plan/1" and len(content["needs"]) == 1
    assert "<img" in (tmp_path / "plan.html").read_text()


def test_rows_without_a_target_and_doubtful_patients_are_said():
    frame = made(400).astype({"target": object, "patient_id": object})
    frame.loc[:9, "target"] = "NA"
    frame.loc[10:19, "patient_id"] = "unknown"
    notes = plan(frame, metrics="sensitivity", patient="patient_id").notes
    assert notes[0] == "10 rows without target left out."
    assert notes[1].startswith("'unknown' is one patient with 10 images")
