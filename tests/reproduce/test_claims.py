"""The verdict on each claim of the paper, from results whose figures are known."""

import dataclasses
import math

import pytest

from equiderm.reproduce.claims import CLAIMS, judge, people_interval, summary
from equiderm.reproduce.published import TABLE1
from equiderm.reproduce.report import claim_summary, claim_table
from equiderm.reproduce.result import Difference, Figure, Reproduction, Result
from equiderm.reproduce.tables import _minus
from equiderm.statistics.intervals import wilson

NAN = math.nan


def one(table, *, figures=(), differences=(), missing=(), listed=10):
    result = Result(
        table, table, missing=missing, listed=listed, figures=figures, differences=differences
    )
    return Reproduction(None, {}, (result,))


def verdicts(made, says):
    found = [judged for judged in judge(made) if judged.claim.says.startswith(says)]
    assert found, says
    return found[0]


def gap(low, high):
    return Difference("CLGR", "Baseline", "Gap", -0.007, (low + high) / 2, low, high)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.03, -0.01, "held"),
        (-0.01, 0.02, "cannot be told here"),
        (0.01, 0.03, "not held"),
        (NAN, NAN, "cannot be told here"),
    ],
)
def test_a_narrower_gap_holds_only_where_the_interval_is_below_0(low, high, verdict):
    difference = dataclasses.replace(gap(low, high), value=-0.01)
    assert verdicts(one("table1", differences=(difference,)), "CLGR narrows").verdict == verdict


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (0.04, 0.01, 0.07, "held"),
        (-0.04, -0.07, -0.01, "not held"),
        (0.04, -0.01, 0.09, "cannot be told here"),
    ],
)
def test_the_baseline_gap_is_signed(value, low, high, verdict):
    figure = Figure("Baseline", "Gap", 0.037, value, low, high, 0.0, 100)
    assert verdicts(one("table1", figures=(figure,)), "A network trained").verdict == verdict


def mclass(dermoscopic, clinical):
    return tuple(
        Difference("LNTL", "Baseline", column, 0.01, (low + high) / 2, low, high)
        for column, (low, high) in (
            ("MClass, dermoscopic", dermoscopic),
            ("MClass, clinical", clinical),
        )
    )


@pytest.mark.parametrize(
    ("one_test", "other", "verdict"),
    [
        ((0.01, 0.03), (0.01, 0.02), "held"),
        ((0.01, 0.03), (-0.01, 0.02), "cannot be told here"),
        ((0.01, 0.03), (-0.04, -0.02), "not held"),
    ],
)
def test_a_claim_on_several_tests_holds_only_if_it_holds_on_each(one_test, other, verdict):
    made = one("table2", differences=mclass(one_test, other))
    assert verdicts(made, "LNTL does better on both MClass").verdict == verdict


def test_labels_that_a_constant_beats_do_not_outperform():
    name = "Patch-max as published, one-argument arctangent"
    figure = Figure(name, "all", 0.6061, 0.61, 0.60, 0.62, trivial=0.69, n=100)
    judged = verdicts(one("labelling", figures=(figure,)), "The labelling outperforms")
    assert judged.verdict == "not held"
    assert verdicts(one("labelling", figures=(figure,)), "The labels are within").verdict == "held"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.87, 0.99, "held"), (0.70, 0.95, "cannot be told here"), (0.40, 0.55, "not held")],
)
def test_people_on_20_melanomas_have_an_interval_too(low, high, verdict):
    middle = (low + high) / 2
    figure = Figure("TABE", "MClass, clinical", 0.859, middle, low, high, 0.5, 100, 20)
    judged = verdicts(one("table2", figures=(figure,)), "The models do better than 145")
    assert judged.verdict == verdict
    assert "145 people 0.769 (0.654 to 0.830)" in judged.here and "20 melanomas" in judged.why


def test_people_s_interval_is_that_of_one_reader():
    value, low, high = people_interval("MClass, dermoscopic")
    assert value == pytest.approx(0.671, abs=6e-4)  # as the paper prints it
    sensitivity, specificity = wilson(0.741, 20), wilson(0.600, 80)
    assert (sensitivity[0] + specificity[0]) / 2 < low < value < high
    assert high < (sensitivity[1] + specificity[1]) / 2


def deeper(low, high):
    return tuple(
        Difference(row, "Baseline", column, NAN, 0.0, low, high)
        for name in ("LNTL", "TABE", "CLGR")
        for row in (name, f"{name}, deeper head")
        for column in ("Types 3&4", "Types 5&6")
    )


@pytest.mark.parametrize(
    ("half", "verdict"), [(0.002, "held"), (0.03, "cannot be told here"), (NAN, None)]
)
def test_deeper_heads_make_no_difference_only_where_every_interval_is_small(half, verdict):
    judged = verdicts(one("heads", differences=deeper(-half, half)), "Deeper secondary heads")
    assert judged.verdict == (verdict or "cannot be told here")


def backbones(low, high, base="Baseline, ResNeXt-101"):
    names = ("EfficientNet-B3", "ResNet-101", "DenseNet-161", "Inception-v3")
    return tuple(
        Difference(name, base, "Types 3 to 6", NAN, (low + high) / 2, low, high) for name in names
    )


def test_resnext_is_best_only_where_each_other_backbone_is_below_it():
    says = "Of five backbones"
    below, level = backbones(-0.04, -0.01), backbones(-0.02, 0.02)
    assert verdicts(one("backbones", differences=below), says).verdict == "held"
    mixed = (*below[:3], level[3])
    assert verdicts(one("backbones", differences=mixed), says).verdict == "cannot be told here"
    others = backbones(0.01, 0.03, base="ResNet-101")  # two of the others: no word on ResNeXt
    assert verdicts(one("backbones", differences=others), says).here == "–"


def methods(apart):
    return tuple(
        Difference(row, "Baseline", column, NAN, value, value - 0.005, value + 0.005)
        for row, value in (("LNTL", 0.0), ("TABE", 0.0), ("CLGR", apart))
        for column in ("Types 3&4", "Types 5&6")
    )


@pytest.mark.parametrize(
    ("apart", "verdict"), [(0.02, "held"), (-0.02, "not held"), (0.001, "cannot be told here")]
)
def test_clgr_is_the_most_effective_only_where_it_is_above_both_others(apart, verdict):
    judged = verdicts(one("table1", differences=methods(apart)), "CLGR is the most effective")
    assert judged.verdict == verdict


def test_a_table_on_other_training_data_tells_nothing_of_the_claim():
    made = one("table1", differences=(gap(-0.03, -0.01),))
    changed = dataclasses.replace(made.results[0], trained_on="stand-in: ham10000")
    judged = verdicts(Reproduction(None, {}, (changed,)), "CLGR narrows")
    assert judged.verdict == "cannot be told here"
    assert "stand-in: ham10000" in judged.why


def test_what_did_not_run_cannot_be_told_and_says_why():
    made = one("table2", missing=("isic2020 is missing",), listed=0)
    judged = verdicts(made, "TABE does better on Asan")
    assert judged.verdict == "cannot be told here"
    assert "isic2020 is missing" in judged.why


def test_a_part_of_the_data_is_named_beside_its_verdict():
    made = one(
        "table1", differences=(gap(-0.03, -0.01),), missing=("isic2020: 5 of 33,126 images",)
    )
    judged = verdicts(made, "CLGR narrows")
    assert judged.shown == "held, on a part of the data"
    assert "5 of 33,126" in judged.why
    assert "2 of the verdicts are on a part of the data" in summary(judge(made))


def test_there_are_some_twenty_claims_and_the_summary_counts_each():
    judged = judge(one("table1", differences=(gap(-0.03, -0.01),)))
    assert len(judged) == len(CLAIMS) >= 20
    assert summary(judged).startswith(f"Of {len(CLAIMS)} claims of the paper: 2 held, 0 not held")


def banded(published, corrected):
    """Figure 4 of so many images in bands 1, 3 and 6, by the one arctangent and the other."""
    bands = {"band": ["1", "2", "3", "4", "5", "6", "none"]}
    for name, (light, middle, dark) in (
        ("patch-max-arctan", published),
        ("patch-max", corrected),
    ):
        bands[f"{name}, images"] = [light, 0, middle, 0, 0, dark, 0]
    (result,) = one("figure4").results
    changed = dataclasses.replace(result, detail={"bands": bands})
    return Reproduction(None, {}, (changed,))


@pytest.mark.parametrize(
    ("light", "verdict"), [(700, "held"), (300, "not held"), (505, "cannot be told here")]
)
def test_the_data_are_mostly_light_only_where_more_than_half_is(light, verdict):
    judged = verdicts(banded((0, 500, 500), (light, 1000 - light, 0)), "The ISIC training data are")
    assert judged.verdict == verdict
    assert f"{light / 10:.1f} %" in judged.here


@pytest.mark.parametrize(
    ("dark", "verdict"), [(15, "held"), (70, "not held"), (32, "cannot be told here")]
)
def test_band_6_is_over_counted_only_where_the_intervals_do_not_meet(dark, verdict):
    judged = verdicts(banded((965, 0, 35), (1000 - dark, 0, dark)), "Band 6")
    assert judged.verdict == verdict


def test_claims_of_parts_that_were_not_asked_for_are_counted_and_not_listed():
    made = one("table1", differences=(gap(-0.03, -0.01),))
    listed = claim_table(made)["the paper says (section)"].tolist()
    assert "CLGR narrows that gap. (4.1)" in listed and len(listed) < len(CLAIMS)
    rest = f"{len(CLAIMS) - len(listed)} of them, on backbones, labelling, figure4, table2"
    assert rest in claim_summary(made)


def test_a_published_difference_is_the_method_minus_the_baseline():
    rows = {row.name: row for row in TABLE1.rows}
    published = [_minus(rows["CLGR"], rows["Baseline"], name) for name in ("Types 3&4", "Gap")]
    assert published == pytest.approx([0.011, -0.007])
