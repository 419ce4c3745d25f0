"""Curves along a number: what they hold, whom they leave out, and what they refuse."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from equiderm.audit import Audit, Options, along, audit
from equiderm.audit.input import Study
from equiderm.audit.report import case_mix, curves
from equiderm.audit.report.curves import is_ita, sentences
from equiderm.errors import InputError
from equiderm.page import render_page

CUT = 0.9
QUICK = Options(threshold=float(norm.cdf(CUT)), replicates=100)


def make_table(rows: int = 1500, *, seed: int = 0, falls: float = 0.0) -> pd.DataFrame:
    """Return a table whose classes part by 1.6, less by ``falls`` for each degree below 60."""
    random = np.random.default_rng(seed)
    ita = random.uniform(-40, 60, rows)
    target = random.random(rows) < 0.3
    apart = 1.6 - falls * (60 - ita)
    score = norm.cdf(random.normal(size=rows) + apart * target)
    band = np.where(ita < 10, "dark", "light")
    return pd.DataFrame({"target": target.astype(int), "score": score, "ita": ita, "tone": band})


def audited(table: pd.DataFrame, **more: object) -> Audit:
    return audit(table, **({"by": "tone", "along": "ita", "options": QUICK} | more))


@pytest.fixture(scope="module")
def falling() -> Audit:
    return audited(make_table(seed=1, falls=0.014))


def test_bands_hold_the_curves_that_the_table_was_drawn_from(falling):
    along = falling.along()
    apart = 1.6 - 0.014 * (60 - along.curve().x)
    truth = {
        "auroc": norm.cdf(apart / np.sqrt(2)),
        "sensitivity": norm.cdf(apart - CUT),
        "specificity": np.full(len(apart), norm.cdf(CUT)),
    }
    for metric, true in truth.items():
        one = along.curve(metric)
        assert np.all((one.low <= true) & (true <= one.high))
        assert np.all((one.low <= one.value) & (one.value <= one.high))


def test_curves_that_fall_are_not_called_flat_and_the_level_one_is(falling):
    bends = {one.metric: one.bends for one in falling.along().curves}
    assert bends == {"auroc": True, "sensitivity": True, "specificity": False}


def test_where_no_level_line_lies_in_the_band_p_is_below_five_per_cent():
    for seed in range(5):
        for one in audited(make_table(600, seed=seed, falls=0.01)).along().curves:
            assert one.p < 0.05 or one.low.max() <= one.high.min()
            assert one.p_adjusted >= one.p


def test_copies_of_a_patients_images_make_the_band_no_narrower():
    table = make_table(600).assign(patient_id=np.arange(600))
    copied = pd.concat([table] * 3)
    width = {}
    for name, (rows, patient) in {
        "once": (table, "patient_id"),
        "copied": (copied, "patient_id"),
        "as if independent": (copied, None),
    }.items():
        one = audited(rows, patient=patient).along().curve("sensitivity")
        width[name] = float((one.high - one.low)[10:30].mean())
    assert width["copied"] == pytest.approx(width["once"], rel=0.1)
    assert width["as if independent"] < 0.75 * width["once"]


def test_images_of_few_patients_do_not_draw_the_curve_to_themselves():
    table = make_table(200).assign(patient_id=np.arange(200))
    once, copied = (
        audited(rows, patient="patient_id").along() for rows in (table, pd.concat([table] * 3))
    )
    for metric in ("auroc", "sensitivity", "specificity"):
        one, other = once.curve(metric), copied.curve(metric)
        assert (other.high - other.low).mean() >= (one.high - one.low).mean()


def test_order_of_the_rows_changes_nothing(falling):
    shuffled = audited(make_table(seed=1, falls=0.014).sample(frac=1, random_state=1))
    for one, other in zip(falling.along().curves, shuffled.along().curves, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-9)
        assert one.p == pytest.approx(other.p, abs=1e-3)


def test_images_beyond_the_ends_and_without_a_number_are_counted():
    table = make_table()
    table.loc[:9, "ita"] = np.nan
    table.loc[10, "ita"] = -300.0
    along = audited(table).along()
    known = table["ita"].dropna()
    assert along.unknown == 10
    assert along.below == int((known < along.start).sum()) >= 1
    assert along.above == int((known > along.end).sum())
    assert "as far as -300" in sentences(audited(table), along)[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"along": "itta"}, "has no column 'itta'"),
        ({"along": "tone"}, "is no number; a curve needs a column of numbers"),
        ({"along": "one"}, "every value in column 'one' is 1"),
        ({"along": "few"}, "column 'few' has 3 different values, but a curve needs 10"),
        ({"along": "empty"}, "column 'empty' is empty; a curve needs numbers"),
        ({"along": "rare"}, "positive images have a value in column 'rare', but a curve needs"),
        ({"no_truth": True}, "curves and the case mix need a target"),
    ],
)
def test_what_gives_no_curve_is_refused_in_one_sentence(change, message):
    table = make_table(300).assign(one=1, few=np.arange(300) % 3, empty=np.nan)
    table["rare"] = np.where(np.arange(300) < 40, table["ita"], np.nan)
    with pytest.raises(InputError, match=message):
        audited(table, **change).along()


def test_a_curve_that_was_not_asked_for_is_refused(falling):
    with pytest.raises(
        InputError, match="'age' was not given as `along` when auditing; choose ita"
    ):
        falling.along("age")


def test_curves_are_read_back_from_json(falling):
    saved = Audit.from_json(falling.to_json())
    assert saved.along() == falling.along()
    assert saved.tables()["along"].equals(falling.along().table)
    assert set(saved.tables()["along_tests"]["figure"]) == {"auroc", "sensitivity", "specificity"}


def test_json_of_the_schema_before_curves_is_read():
    content = json.loads(audit(make_table(300), by="tone", options=QUICK).to_json())
    del content["along"], content["adjusted"]
    content["schema"] = "equiderm.audit/2"
    assert Audit.from_json(json.dumps(content)).columns == ["tone"]


def test_words_say_which_end_of_ita_is_dark(falling):
    first = sentences(falling, falling.along())[0]
    assert "(the dark end) the model finds" in first
    assert "Chance does not explain that this changes along ita" in first
    assert is_ita("mean_ita") and is_ita("ITA (degrees)") and not is_ita("italy")


def test_curves_that_do_not_reach_dark_skin_say_so_first():
    table = make_table()
    result = audited(table[(table["ita"] > 0) | (np.arange(len(table)) < 20)])
    assert sentences(result, result.along())[0].startswith("Dark skin was hardly tested: below an")


def test_the_page_has_a_picture_and_a_table_of_every_curve(falling):
    page = render_page("", curves.sections(falling))
    assert "Performance along ita, without bands" in page
    assert page.count("holds the whole curve in 95 of 100 samples") == 3


def test_an_audit_without_curves_has_none_of_this():
    result = audit(make_table(300), by="tone")
    assert curves.sections(result) == case_mix.sections(result) == result.more_answers() == []


def test_a_curve_can_be_had_as_a_figure(falling):
    axes = falling.plot.along("sensitivity").axes[0]
    assert axes.get_ylabel() == "Sensitivity"
    assert axes.get_xlabel() == "ita, degrees (left: dark skin)"


def test_a_curve_of_ones_is_a_curve():
    table = make_table(400)
    table["score"] = np.where(table["target"] == 1, 0.99, table["score"] * 0.98)
    curve = audited(table).along().curve("sensitivity")
    assert np.all(curve.value <= 1)
    assert curve.high == pytest.approx(1)


@pytest.mark.parametrize(("positives", "enough"), [(30, True), (29, False)])
def test_thirty_images_of_either_class_are_enough(positives, enough):
    table = make_table(600)
    kept = np.flatnonzero(table["target"] == 1)[:positives]
    table = table[(table["target"] == 0) | table.index.isin(kept)]
    if enough:
        assert audited(table).along().images == len(table)
    else:
        with pytest.raises(InputError, match=r"29 positive images .* needs 30"):
            audited(table).along()


def test_a_row_between_two_places_has_the_mean_of_their_figures():
    table, places = np.tile([10.0, 20, 40], (4, 1)), np.array([0.0, 2, 4])
    x = np.array([-9.0, 0.5, 3, 9])
    assert along._at(x, places, table).tolist() == [10, 12.5, 30, 40]


@pytest.mark.parametrize(
    ("hit", "expected", "shared"),
    [
        ([1, 1, 1, 1, 0], 0.8, 0.25),  # each hit is half a deviation above, a miss two below
        ([1, 1, 0, 0, 1], 0.5, 1),
        ([1, 0, 1, 0, 1], 0.5, 0),
        ([1, 1, 0, 0, 0], 0.8, 1),
    ],
)
def test_rows_of_a_patient_correlate_as_the_products_of_their_deviations(hit, expected, shared):
    of = np.array([0, 0, 1, 1, 2])
    found = along._together(np.array(hit, float), np.full(5, expected), of)
    assert found == pytest.approx(shared)


def test_a_curve_bends_below_5_percent_and_ends_at_its_last_place():
    x = np.array([0.0, 1, 3])
    lines = np.array([0.5, 0.7, 0.9]), np.array([0.4, 0.6, 0.8]), np.array([0.6, 0.8, 1])
    curve = along.Curve("auroc", x, *lines, x, x, 0.7, 0.01, 0.05)
    assert not curve.bends
    assert replace(curve, p_adjusted=0.0499).bends
    assert curve.at(2) == pytest.approx((0.8, 0.7, 0.9))
    assert curve.at(3) == (0.9, 0.8, 1.0)
    assert np.isnan(curve.at(3.1)).all() and np.isnan(curve.at(-0.1)).all()


def study_of(positives, negatives, values):
    """A study without patients, and a number that takes so many values."""
    target = np.repeat([True, False], [positives, negatives])
    study = Study("t", target, np.linspace(0, 1, len(target)), ())
    return study, (np.arange(len(target)) * 7 % values).astype(float)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((30, 30, 10), ""), ((30, 30, 9), "has 9 different values, but a curve needs 10"),
        ((29, 30, 10), "29 positive images"), ((30, 29, 10), "29 negative images"),
        ((30, 30, 1), "every value in column 'x' is 0"),
    ],
)  # fmt: skip
def test_a_curve_needs_thirty_patients_of_each_class_and_ten_values(counts, message):
    study, x = study_of(*counts)
    if not message:
        assert [rows.patients for rows in along._classes(study, "x", x)] == [30, 30]
        return
    with pytest.raises(InputError, match=message):
        along._classes(study, "x", x)


def test_places_reach_from_the_fifth_patient_to_the_fifth_last_of_both_classes():
    study, _ = study_of(200, 300, 1)
    x = np.concatenate([np.linspace(0, 40, 200), np.linspace(-5, 50, 300)])
    places = along._places(along._classes(study, "x", x))
    assert len(places) == along.PLACES and np.ptp(np.diff(places)) < 1e-9
    assert (places[0], places[-1]) == pytest.approx((4 * 40 / 199, 40 - 4 * 40 / 199))
    study = replace(
        study, patient=np.arange(500) // 2
    )  # five patients have ten rows, of which the last counts
    places = along._places(along._classes(study, "x", x))
    assert (places[0], places[-1]) == pytest.approx((8 * 40 / 199, 40 - 8 * 40 / 199))


def test_of_two_ranges_the_one_with_more_positives_has_the_curve():
    study, _ = study_of(240, 240, 1)
    parts = [np.linspace(0, 10, 50), np.linspace(100, 130, 190)]
    places = along._places(along._classes(study, "x", np.concatenate([*parts, *parts])))
    assert 75 < places[0] <= 101 and places[-1] == pytest.approx(130 - 4 * 30 / 189)
    others = np.linspace(0, 30, 190), np.linspace(120, 130, 50)  # of these there are more below
    places = along._places(along._classes(study, "x", np.concatenate([*parts, *others])))
    assert 119 < places[0] < 123 and 125 < places[-1] < 130
