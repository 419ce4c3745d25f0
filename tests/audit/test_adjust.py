"""The gap at equal case mix: what the weights do, who is left out, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from equiderm.audit import Audit, Options, audit
from equiderm.audit.comparable import Comparable, Covariate, LeftOut, Thin, covariate_of
from equiderm.audit.input import Study
from equiderm.audit.report.case_mix import sentences
from equiderm.errors import InputError
from equiderm.statistics.calibrated import balanced

HARD = {"easy": 1.0, "hard": -1.0}


def make_table(rows: int = 2000, *, seed: int = 0, drop: float = 0.0) -> pd.DataFrame:
    """Return two groups that differ in how many of their diagnoses are hard, and by ``drop``."""
    random = np.random.default_rng(seed)
    tone = np.where(random.random(rows) < 0.3, "dark", "light")
    hard = random.random(rows) < np.where(tone == "dark", 0.7, 0.25)
    diagnosis = np.where(hard, "hard", "easy")
    target = random.random(rows) < 0.4
    level = random.normal(size=rows) + np.where(hard, -0.6, 0.6) + 1.2 * target - 0.6
    level -= drop * (target & (tone == "dark"))
    return pd.DataFrame(
        {
            "target": target.astype(int),
            "score": 1 / (1 + np.exp(-level)),
            "tone": tone,
            "diagnosis": diagnosis,
            "age": random.integers(20, 90, rows),
        }
    )


@pytest.fixture(scope="module")
def mixed() -> Audit:
    return audit(make_table(), by="tone", adjust="diagnosis", options=Options(replicates=100))


def test_with_one_column_the_figures_are_those_of_direct_standardisation(mixed):
    table, adjusted = make_table(), mixed.adjusted()
    for metric, target in (("sensitivity", 1), ("specificity", 0)):
        rows = table[table["target"] == target]
        shares = rows["diagnosis"].value_counts(normalize=True)
        right = (rows["score"] >= 0.5) == (target == 1)
        for group in ("dark", "light"):
            own = right[rows["tone"] == group].groupby(rows["diagnosis"]).mean()
            expected = float((own * shares).sum())
            assert adjusted.row(metric, group).adjusted.value == pytest.approx(expected, abs=1e-6)


def test_a_gap_of_case_mix_alone_is_claimed_as_it_is_and_not_at_equal_mix(mixed):
    row = mixed.adjusted().row("sensitivity", "dark")
    assert row.raw.p_adjusted < 0.001 and row.raw.difference < -0.1
    assert row.adjusted.p_adjusted > 0.05 and abs(row.adjusted.difference) < 0.08


def test_a_true_gap_is_kept():
    row = audit(make_table(drop=0.8), by="tone", adjust="diagnosis,age").adjusted()
    row = row.row("sensitivity", "dark")
    assert row.adjusted.p_adjusted < 0.01 and row.adjusted.difference < -0.1


def test_every_interval_excludes_0_where_its_p_is_below_five_per_cent(mixed):
    for result in (mixed, audit(make_table(600, drop=0.3), by="tone", adjust="diagnosis,age")):
        for row in result.adjusted().rows:
            one = row.adjusted
            assert (one.p < 0.05) == (one.difference_low > 0 or one.difference_high < 0)
            assert (one.p_adjusted < 0.05) == (one.low_adjusted > 0 or one.high_adjusted < 0)


def test_copies_of_a_patients_images_make_no_interval_narrower():
    table = make_table(800).assign(patient_id=np.arange(800))
    width = []
    for rows in (table, pd.concat([table] * 3)):
        result = audit(rows, by="tone", patient="patient_id", adjust="diagnosis,age")
        one = result.adjusted().row("auroc", "dark").adjusted
        width.append(one.difference_high - one.difference_low)
    assert width[1] == pytest.approx(width[0], rel=0.1)


def test_a_kind_that_a_group_lacks_is_left_out_and_named():
    table = make_table()
    light = np.flatnonzero((table["tone"] == "light") & (table["target"] == 1))
    table.loc[light[:12], "diagnosis"] = "rare"
    result = audit(table, by="tone", adjust=["diagnosis", "age"])
    adjusted = result.adjusted()
    (thin,) = adjusted.thin
    assert (thin.among, thin.column, thin.level) == ("positives", "diagnosis", "rare")
    assert (thin.group, thin.count, thin.images) == ("dark", 0, 12)
    assert adjusted.kept["positives"] == adjusted.total["positives"] - 12
    assert any("12 positives with diagnosis rare (dark has 0)" in one for one in
               sentences(result, adjusted))  # fmt: skip


def test_a_group_that_lacks_most_kinds_is_left_out_instead():
    table = make_table()
    odd = table["tone"].eq("light") & (np.arange(len(table)) % 7 == 0)
    table.loc[odd, ["tone", "diagnosis"]] = ["other", "another"]
    adjusted = audit(table, by="tone", adjust="diagnosis").adjusted()
    assert {one.group for one in adjusted.left_out} == {"other"}
    assert adjusted.row("sensitivity", "other").missing.startswith("under 5 positives with")
    assert not adjusted.row("sensitivity", "dark").missing


def test_groups_without_any_kind_in_common_are_not_compared_and_it_is_said():
    table = make_table()
    table["apart"] = "of " + table["tone"]
    result = audit(table, by="tone", adjust="apart")
    assert all(row.missing for row in result.adjusted().rows)
    words = " ".join(sentences(result, result.adjusted()))
    assert "It cannot be adjusted (see below)" in words
    assert "under 5 positives with apart of light (0)" in words


def test_weights_have_the_wanted_mix_or_there_are_none():
    mix = np.random.default_rng(0).normal(size=(200, 3))
    wanted = np.array([0.3, -0.2, 0.1])
    weight = balanced(mix, wanted)
    assert weight.sum() == pytest.approx(1) and weight.min() > 0
    assert weight @ mix == pytest.approx(wanted, abs=1e-6)
    assert balanced(mix, np.array([9.0, 0, 0])) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adjust": "site"}, "has no column 'site'"),
        ({"adjust": "tone"}, "'tone' is the group column itself"),
        ({"adjust": "one"}, "every value in column 'one' is 'x'"),
        (
            {"adjust": "id"},
            "column 'id' has 300 different values, but at most 50 can be held equal",
        ),
    ],
)
def test_what_cannot_be_held_equal_is_refused_in_one_sentence(change, message):
    table = make_table(300).assign(one="x", id=[f"I{k}" for k in range(300)])
    with pytest.raises(InputError, match=message):
        audit(table, by="tone", **change).adjusted()


def test_the_equal_case_mix_is_read_back_from_json(mixed):
    saved = Audit.from_json(mixed.to_json())
    assert saved.adjusted() == mixed.adjusted()
    assert saved.tables()["adjusted"].equals(mixed.adjusted().table)


def test_words_say_what_remains(mixed):
    first = sentences(mixed, mixed.adjusted())[0]
    assert first.startswith("On dark skin the model finds ")
    assert "At equal diagnosis it would be" in first and "What remains may be chance" in first


def test_of_two_groups_that_cost_as_much_the_smaller_is_left_out():
    positives = [("a", "y", 60), ("b", "x", 30), ("c", "x", 70), ("c", "y", 40)]
    negatives = [(group, kind, 30) for group in "abc" for kind in "xy"]
    rows = [
        {"tone": group, "kind": kind, "target": target, "score": k % 10 / 10}
        for target, parts in enumerate((negatives, positives))
        for group, kind, n in parts
        for k in range(n)
    ]
    left_out = audit(pd.DataFrame(rows), by="tone", adjust="kind").adjusted().left_out
    assert [(one.among, one.group) for one in left_out][:1] == [("positives", "b")]


def comparable(groups, *, least=5):
    """Positives of groups, each a mapping of kinds to how many it has."""
    parts = [(g, kind, n) for g, kinds in enumerate(groups) for kind, n in kinds.items()]
    codes = np.repeat([g for g, _, _ in parts], [n for _, _, n in parts])
    names, kinds = np.unique([kind for _, kind, _ in parts], return_inverse=True)
    kind = np.repeat(kinds, [n for _, _, n in parts])
    study = Study("t", np.ones(len(codes), bool), np.ones(len(codes)), ())
    results = SimpleNamespace(
        study=study,
        grouping=SimpleNamespace(labels=("a", "b", "c")[: len(groups)], codes=codes),
        options=SimpleNamespace(min_count=least),
    )
    covariate = Covariate("kind", tuple(names.tolist()), kind, None)
    return Comparable(results, [covariate] if len(names) > 1 else [], "positives")


def test_a_group_needs_twenty_images_of_a_class():
    made = comparable([{"x": 30}, {"x": 20}, {"x": 19}])
    assert made.left_out == [LeftOut("positives", "c", "19 positives, 20 are needed")]
    assert made.total == 69 and len(made.index) == 50
    assert {name: weight.tolist() for name, (_, weight) in made.weights.items()} == {
        "a": pytest.approx([1 / 30] * 30),
        "b": pytest.approx([1 / 20] * 20),
    }


def test_a_kind_needs_the_least_images_in_every_group():
    assert comparable([{"x": 20, "y": 5}, {"x": 40, "y": 5}]).thin == []
    made = comparable([{"x": 20, "y": 5}, {"x": 40, "y": 4}])
    assert made.thin == [Thin("positives", "kind", "y", "b", 4, 9)]
    assert len(made.index) == 60 and made.left_out == []


@pytest.mark.parametrize(
    ("first", "kept"),
    [({"x": 20, "y": 20}, True), ({"x": 20, "y": 21}, False), ({"x": 19, "y": 9}, False)],
)
def test_where_under_half_of_a_group_or_under_twenty_are_left_the_costly_group_is_left_out(
    first, kept
):
    made = comparable([first, {"x": 60, "y": 4}])
    assert bool(made.thin) == kept
    if not kept:
        (out,) = made.left_out
        cost, images = first["y"] + 4, sum(first.values()) + 64
        assert out.group == "b" and out.reason == (
            f"under 5 positives with kind y (4); together these are {cost} of the {images} of all "
            "groups"
        )


def test_a_group_needs_four_images_for_each_share_that_is_held_equal():
    six, seven = dict(zip("uvwxyz", (3, 3, 3, 3, 4, 4), strict=True)), dict.fromkeys("tuvwxyz", 3)
    many = dict.fromkeys("tuvwxyz", 20)
    enough = comparable([six, {kind: many[kind] for kind in six}], least=3)
    assert enough.weights.keys() == {"a", "b"} and enough.left_out == []
    made = comparable([seven | {"z": 2}, many], least=2)
    reason = "20 positives for 6 shares and means to hold equal"
    assert made.left_out == [LeftOut("positives", "a", reason)]


def test_over_ten_numbers_are_five_bands_and_a_number_whose_gaps_are_its_median():
    study = SimpleNamespace(name="t")
    few = covariate_of(study, "age", np.array([*range(10)], object), "tone")
    assert few.levels == tuple("0123456789") and few.number is None
    made = covariate_of(study, "age", np.array([*range(11), None], object), "tone")
    bands = ("under 2", "2 to under 4", "4 to under 6", "6 to under 8", "8 or more", "not known")
    assert made.levels == bands
    assert made.codes.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5]
    expected = np.array([*range(11), 5]) - 5
    assert made.number == pytest.approx(expected / expected.std())
    gaps = covariate_of(study, "site", np.array(["b", None, "a"], object), "tone")
    assert gaps.levels == ("a", "b", "not known") and gaps.codes.tolist() == [1, 2, 0]
