"""How large a test set must be by the audit's own test, and what a test set has."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, ndtri

from equiderm.audit import plan
from equiderm.audit.designs import (
    Design,
    Sample,
    _joined,
    _larger,
    _rank_correlation,
    _weight,
    figures_correlation,
)
from equiderm.audit.metrics import HEADLINE
from equiderm.audit.planning import Need, _check, _need
from equiderm.audit.thirds import (
    Third,
    of_split,
    prevalence_of,
    quarter_rule,
    thirds_of,
    together_of,
)
from equiderm.errors import InputError
from equiderm.statistics.estimates import Ranked, Share


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
        (["4", "5", "7"], "tone", "", [0, 1, 1]),
        (["2", "3", "4", "5", "6"], "tone", "", [0, 1, 1, 2, 2]),
        (["4", "5"], "MST", "", [0, 1]),
        (
            ["very_lt", "lt2", "lt1", "int2", "int1", "tan2", "tan1", "dark"],
            *("band", "", [0, 0, 0, 1, 1, 1, 2, 2]),
        ),
        (
            ["very-light", "light", "intermediate", "tan", "brown", "dark"],
            *("band", "", [0, 0, 1, 1, 2, 2]),
        ),
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


def third(positives, negatives, *, together=(1.0, 1.0), patients=1):
    return Third("", (), patients, positives + negatives, positives, negatives, 1, 1, together)


def groups(*thirds, others=None, negative):
    return Design(thirds, 0.2, (1.5, 2.0), 0.0, others).groups(10, negative=negative)


@pytest.mark.parametrize(("negative", "images"), [(False, (10, 40)), (True, (2.5, 10))])
def test_the_other_class_is_planned_in_proportion_and_the_other_tones_alike(negative, images):
    dark = Sample(*images, (1.5, 2.0))
    assert groups(negative=negative) == [dark] * 3
    fixed = Sample(30, 120, (1.5, 2.0))
    assert groups(others=30, negative=negative) == [dark, fixed, fixed]


def test_a_present_test_set_keeps_its_images_and_a_third_of_under_5_of_a_class_is_left_out():
    there = third(5, 60, together=(2.0, 3.0)), third(90, 4), third(7, 50)
    light = Sample(5, 60, (2.0, 3.0))
    assert groups(*there, negative=False) == [Sample(10, 50, (1.5, 2.0)), light]
    assert groups(*there, negative=True) == [Sample(7, 10, (1.5, 2.0)), light]
    more = third(5, 4), third(5, 5), third(1, 30)
    assert groups(*more, negative=False) == [Sample(10, 40, (1.5, 2.0)), Sample(5, 5, (1.0, 1.0))]
    assert groups(*more, others=30, negative=True)[1:] == [Sample(30, 120, (1.5, 2.0))] * 2


@pytest.mark.parametrize(("positives", "negatives"), [(5, 40), (40, 5), (4, 40), (40, 4)])
def test_what_a_test_set_would_notice_is_said_from_five_dark_images_of_the_class_on(
    positives, negatives
):
    design = Design(
        (third(99, 99), third(99, 99), third(positives, negatives)), 0.5, (1, 1), 0, None
    )
    for metric in ("sensitivity", "specificity"):
        need = _need(design, metric, 0.8, 0.1)
        assert need.have == (positives if metric == "sensitivity" else negatives)
        assert (need.noticed == need.noticed) == (need.have >= 5)


def test_the_larger_class_is_the_one_with_more_images():
    assert [_larger(Sample(*images, (1, 1))) for images in ((5, 4), (5, 5), (4, 5))] == [1, 2, 2]


def test_a_group_weighs_its_images_or_by_the_patients_of_both_classes():
    sample = Sample(30, 60, (1.5, 3.0))
    assert [_weight(metric, sample) for metric in HEADLINE] == [10, 30, 60]


def test_the_other_groups_of_a_plan_count_together():
    joined = _joined("sensitivity", [Share(0.8, 30, 9), Share(0.6, 20, 7)], np.array([0.75, 0.25]))
    assert joined == Share(pytest.approx(0.75), 50, 7)
    parts = [Ranked(0.8, 0.02, 30, 60, 9), Ranked(0.6, 0.04, 20, 10, 7)]
    joined = _joined("auroc", parts, np.array([0.5, 0.5]))
    assert joined == Ranked(pytest.approx(0.7), pytest.approx(0.015), 50, 70, 7)


def test_auroc_goes_with_both_shares_and_these_not_with_each_other():
    """Of normal scores that part with an AUROC of 0.84, drawn 200,000 times."""
    table = figures_correlation(0.84, 0.8, 0.9, prevalence=0.3)
    assert np.allclose(table, table.T) and np.diag(table).tolist() == [1, 1, 1]
    assert table[1, 2] == 0
    random = np.random.default_rng(0)
    grid = random.normal(size=200_000)
    v10, v01 = ndtr(grid + 2**0.5 * ndtri(0.84)), ndtr(2**0.5 * ndtri(0.84) - grid)
    size = (v10.var() / 0.3 + v01.var() / 0.7) ** 0.5
    for k, (values, hit, part) in enumerate(
        [(v10, grid > -ndtri(0.8), 0.3), (v01, grid < ndtri(0.9), 0.7)], 1
    ):
        expected = np.cov(values, hit)[0, 1] / hit.std() / (size * part**0.5)
        assert table[0, k] == pytest.approx(expected, abs=0.005)


def test_the_prevalence_of_a_test_set_is_never_0_or_1():
    parts = [third(3, 10), third(1, 6)], [], [third(0, 5)], [third(5, 0)]
    assert [prevalence_of(one) for one in parts] == [0.2, 0.25, 1e-4, 1 - 1e-4]


def test_images_per_patient_are_the_mean_over_the_images_of_a_class():
    parts = third(10, 4, together=(2.0, 1.0)), third(30, 12, together=(1.0, 3.0))
    assert together_of(parts) == (1.25, 2.5)
    assert together_of([third(0, 0, together=(9.0, 9.0))]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("counts", "quarter", "enough"),
    [((38, 38, 76), True, True), ((37, 38, 75), False, True), ((36, 39, 74), False, False),
     ((50, 50, 49), True, False), ((0, 0, 0), False, False)],
)  # fmt: skip
def test_the_rule_asks_for_a_quarter_in_each_third_and_150_in_all(counts, quarter, enough):
    names = ("light", "middle", "dark")
    parts = [replace(third(n, n, patients=n), name=k) for k, n in zip(names, counts, strict=True)]
    rule = quarter_rule(parts, sum(counts))
    assert (rule.quarter, rule.enough, rule.number) == (quarter, enough, sum(counts))
    assert rule.counted == "patients"
    assert sum(rule.shares.values()) == pytest.approx(1 if any(counts) else 0)
    images = quarter_rule(parts, None)
    assert (images.counted, images.number) == ("images", 2 * sum(counts))


AT_LIMITS = {"size": 1, "correlation": 1, "prevalence": 0.001, "others": 5}


def check(metric, base, drop, **given):
    _check([metric], {metric: drop}, {metric: base}, *(AT_LIMITS | given).values())


def test_numbers_at_the_ends_of_their_ranges_are_taken():
    for given in ({}, {"correlation": 0}, {"prevalence": 0.999}):
        check("auroc", 0.75, 0.25, **given)
        check("specificity", 0.25, 0.25, **given)
    check("auroc", 0.75, 0.001, **dict.fromkeys(("size", "prevalence", "others")))


@pytest.mark.parametrize(
    ("figure", "given"),
    [
        (("auroc", 0.5, 0.1), {}), (("auroc", 1, 0.1), {}), (("auroc", 0.75, 0.2501), {}),
        (("auroc", 0.75, 0), {}), (("sensitivity", 0, 0.1), {}), (("sensitivity", 0.5, 0.51), {}),
        (("auroc", 0.75, 0.1), {"size": 0.99}), (("auroc", 0.75, 0.1), {"correlation": -0.01}),
        (("auroc", 0.75, 0.1), {"correlation": 1.01}), (("auroc", 0.75, 0.1), {"prevalence": 0}),
        (("auroc", 0.75, 0.1), {"prevalence": 1}), (("auroc", 0.75, 0.1), {"others": 4.9}),
    ],
)  # fmt: skip
def test_a_number_just_outside_its_range_is_refused(figure, given):
    with pytest.raises(InputError):
        check(*figure, **given)


def test_what_is_missing_is_never_below_0():
    need = Need("auroc", 0.85, 0.05, "positive", 60.0, 60.0, 180.0, 50, 0.06)
    assert (need.missing, replace(need, have=61).missing) == (10, 0)


def test_placements_of_a_patient_correlate_as_those_of_drawn_scores_with_a_shared_part():
    own, other, shared = np.random.default_rng(0).normal(size=(3, 200_000))
    pair = [0.7**0.5 * shared + 0.3**0.5 * one for one in (own, other)]
    right = np.corrcoef(*(one < ndtri(0.8) for one in pair))[0, 1]
    placed = np.corrcoef(*(ndtr(2**0.5 * ndtri(0.9) + one) for one in pair))[0, 1]
    assert _rank_correlation(float(right), 0.9) == pytest.approx(placed, abs=0.01)


def test_a_plan_of_a_table_records_what_it_was_asked_for_and_what_the_table_has():
    table = pd.DataFrame(
        {"target": [0, 1] * 30, "tone": np.repeat(["light", "middle", "dark"], 20)}
    )
    given = {"by": "tone", "metrics": "sensitivity", "drop": 0.6}
    own = plan(table, patient=None, **given)
    assert (own.by, own.images_per_patient, own.correlation) == ("tone", 1, 0)
    assert own.prevalence == 0.5 and math.isnan(own.others)
    of = table.assign(patient=np.arange(60) // 4)
    known = plan(of, patient="patient", correlation=0.4, **given)
    assert (known.images_per_patient, known.correlation) == (2, 0.4)
    other = plan(of, patient="patient", images_per_patient=3, others=8, prevalence=0.2, **given)
    assert (other.images_per_patient, other.others, other.prevalence) == (3, 8, 0.2)
    assert list(other.table["missing"]) == [other.needs[0].missing]


def test_the_rows_of_a_split_are_those_of_that_name():
    frame = pd.DataFrame({"split": ["test", "train", None, "test", "validation"]})
    rows, notes = of_split(frame, "test", "t.csv")
    assert list(rows.index) == [0, 3]
    assert notes == ()


def test_a_patient_with_images_in_several_thirds_counts_once_in_all():
    frame = made(400).assign(ita_band=np.arange(400) % 2 * 5 + 1)  # each patient light and dark
    planned = plan(frame, patient="patient_id", metrics="sensitivity")
    assert planned.rule.number == 200
    assert "Of 200 patients some have images in several thirds (200 times)" in planned.notes[-1]


def test_a_test_set_without_the_negatives_that_an_auroc_needs_is_not_enough():
    frame = pd.DataFrame({"ita_band": np.repeat(range(1, 7), 600), "target": np.tile([0, 1], 1800)})
    dark = frame["ita_band"] > 4
    frame = frame[~dark | (frame["target"] == 1) | (np.arange(len(frame)) % 100 == 0)]
    need = plan(frame, by="ita_band", metrics="auroc", drop=0.2)
    text = need.answer()[0]
    assert (need.needs[0].missing, need.needs[0].have_negatives) == (0, 12)
    assert "There are 600 (and 12 negative): " in text and "more negative images are needed" in text
    assert "enough" not in text
    share = plan(frame, by="ita_band", metrics="sensitivity", drop=0.2).needs[0]
    assert share.missing == 0 and share.noticed < 0.2


def test_a_drop_that_too_few_images_show_is_written_above_the_one_planned():
    frame = pd.DataFrame({"ita_band": np.repeat(range(1, 7), 310), "target": np.tile([0, 1], 930)})
    made = plan(frame, by="ita_band", metrics="sensitivity", drop=0.10)
    assert 0.10 < made.needs[0].noticed < 0.105 and made.needs[0].missing > 0
    assert made.answer()[0].endswith("They alone would show a drop of 0.11.")
