"""Comparing scores that are there already: what is compared, adjusted, concluded and refused."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from tests.compare.drawn import draw

from equiderm.compare import as_dict, compare_scores
from equiderm.compare.answer import conclude
from equiderm.errors import InputError


def drawn(shift, seeds=5, seed=0, sizes=(200, 200, 200), **options):
    return draw(np.random.default_rng(seed), shift, seeds, sizes, **options)


def test_holm_is_over_methods_references_figures_and_tests_together():
    found = compare_scores(*drawn(np.zeros((4, 3))), references=["method 0", "method 1"])
    table = found.tests[0].differences
    p = table["p"].to_numpy()
    assert len(p) == 5 * 6  # two references are compared once; overall, groups, worst, gap
    order = np.argsort(p)
    expected = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    np.testing.assert_allclose(table["p_holm"].to_numpy()[order], expected)


def test_interval_and_p_go_together_in_every_row():
    shift = np.zeros((4, 3))
    shift[2, 0], shift[3] = 1.5, -1.0
    for seed in range(3):
        table = compare_scores(*drawn(shift, seed=seed)).tests[0].differences
        off = (table["low_holm"] > 0) | (table["high_holm"] < 0)
        assert (off == (table["p_holm"] < 0.05)).all()
        alone = (table["low"] > 0) | (table["high"] < 0)
        assert (alone == (table["p"] < 0.05)).all()
        assert off.any()


def test_six_equal_methods_are_seldom_called_different():
    wrong = 0
    for seed in range(40):
        found = compare_scores(
            *drawn(np.zeros((6, 3)), seeds=3, seed=seed), references=["method 0", "method 1"]
        )
        wrong += (found.tests[0].differences["p_holm"] < 0.05).any()
    assert wrong <= 4  # 2 of 40 are 5 of 100


def test_three_seeds_that_agree_by_luck_establish_nothing():
    scores, target, patient, group = drawn(np.zeros((2, 3)), seeds=3)
    scores[1] = scores[0] - 0.1 * target + np.linspace(0, 0.02, 3)[:, None]  # nearly one run
    table = compare_scores(scores[:, :2], target, patient, group).tests[0].differences
    assert (table["p_holm"] >= 0.05).all()


def test_a_small_group_does_not_hide_what_a_large_one_gains():
    shift = np.array([[0, -0.5, -0.4], [0, 0.3, -0.4]])
    seen = 0
    for seed in range(20):
        found = compare_scores(*drawn(shift, seed=seed, sizes=(400, 200, 34)))
        row = found.tests[0].difference("method 1", "method 0", "1")
        seen += row["p_holm"] < 0.05 and row["difference"] > 0
    assert seen >= 15


def test_a_group_that_every_run_separates_is_no_evidence_of_equality():
    scores, target, patient, group = drawn(np.zeros((2, 3)), sizes=(200, 200, 60))
    scores[:, :, group == 2] += 20 * target[group == 2]
    row = (
        compare_scores(scores, target, patient, group)
        .tests[0]
        .difference("method 1", "method 0", "2")
    )
    assert row["difference"] == 0
    assert np.isnan([row["low"], row["high"], row["p"], row["at_most"]]).all()


def test_a_group_without_enough_is_named_and_not_compared():
    found = compare_scores(*drawn(np.zeros((2, 3)), sizes=(200, 200, 6)))
    groups = found.tests[0].groups.set_index("group")
    assert "positives" in groups.loc["2", "missing"]
    assert "2" not in set(found.tests[0].differences["figure"])


def test_a_run_of_nan_is_left_out_counted_and_named():
    scores, *rest = drawn(np.zeros((2, 3)))
    scores[1, 3] = np.nan
    found = compare_scores(scores, *rest)
    assert found.failed.to_dict("records") == [
        {"experiment": "method 1", "seed": 3, "reason": "has no scores"}
    ]
    assert set(found.tests[0].differences["seeds"]) == {4}
    whole = compare_scores(np.delete(scores, 3, axis=1), *rest)
    left = found.tests[0].differences.drop(columns="seeds")
    np.testing.assert_allclose(
        left.select_dtypes("number"),
        whole.tests[0].differences.drop(columns="seeds").select_dtypes("number"),
    )
    assert any("method 1 seed 3" in one for one in conclude(found).sentences)


def test_methods_that_all_diverged_could_not_be_compared():
    scores, *rest = drawn(np.zeros((2, 3)))
    scores[1] = np.nan
    found = conclude(compare_scores(scores, *rest))
    assert found.headline == "The methods could not be compared."
    assert found.kind == "unknown"


def test_names_may_be_given_by_a_mapping_with_fewer_seeds_for_some():
    scores, *rest = drawn(np.zeros((2, 3)))
    found = compare_scores({"erm": scores[0], "tabe": scores[1, :3]}, *rest, by="ita_band")
    assert found.names == ["erm", "tabe"]
    assert set(found.tests[0].differences["seeds"]) == {3}
    assert as_dict(found)["by"] == "ita_band"


def test_scores_without_groups_are_compared_overall():
    scores, target, patient, _ = drawn(np.zeros((2, 1)), sizes=(300,))
    found = compare_scores(scores, target, patient)
    assert np.isfinite(found.tests[0].difference("method 1", "method 0", "overall")["p"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, t, p, g: (s[0], t, p, g), "2 dimensions; give methods, seeds and images"),
        (lambda s, t, p, g: (s[..., :-1], t, p, g), "599 images, targets for 600"),
        (lambda s, t, p, g: (s, t + 1, p, g), "neither 0 nor 1"),
        (lambda s, t, p, g: (s, t * 0, p, g), "one class"),
        (lambda s, t, p, g: (s, t, p[:-1], g), "599 patients for 600 targets"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    scores, target, patient, group = drawn(np.zeros((2, 3)))
    with pytest.raises(InputError, match=message):
        compare_scores(*change(scores, target.astype(int), patient, group))


def test_a_run_with_some_nan_is_refused_by_name():
    scores, *rest = drawn(np.zeros((2, 3)))
    scores[1, 2, :7] = np.nan
    with pytest.raises(InputError, match="method 1, seed 2: 7 of 600 scores"):
        compare_scores(scores, *rest)


def test_an_unknown_reference_is_refused():
    with pytest.raises(InputError, match="reference 'erm'"):
        compare_scores(*drawn(np.zeros((2, 3))), references=["erm"])


def test_it_needs_no_torch():
    code = "import sys; sys.modules['torch'] = None; from equiderm.compare import compare_scores"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_groups_count_overall_alone():
    scores, target, patient, group = drawn(np.zeros((2, 3)))
    named = pd.Series(group).astype("object").where(np.arange(600) % 10 > 0)
    found = compare_scores(scores, target, patient, named)
    assert found.tests[0].groups["n"].sum() == 540
    assert found.tests[0].n == 600


def long_table(scores, target, group):
    rows = [
        {"experiment": name, "seed": seed, "image_id": f"{k:04d}", "score": score}
        | {"target": target[k], "patient_id": k // 2, "ita_band": group[k]}
        for name, runs in zip(("erm", "dann"), scores, strict=True)
        for seed, run in enumerate(runs)
        for k, score in enumerate(run)
    ]
    return pd.DataFrame(rows)


def test_a_table_with_a_row_per_score_gives_what_the_arrays_give():
    random = np.random.default_rng(3)
    target, group = np.arange(120) % 2, np.arange(120) // 60 + 1
    scores = random.normal(size=(2, 3, 120)) + target
    table = long_table(scores, target, group).sample(frac=1, random_state=1)
    table = table.sort_values("experiment", ascending=False, kind="stable")
    given = compare_scores(dict(zip(("erm", "dann"), scores, strict=True)), target,
                           np.arange(120) // 2, group, by="ita_band")  # fmt: skip
    read = compare_scores(table, by="ita_band")
    assert read.names == ["erm", "dann"]
    pd.testing.assert_frame_equal(
        read.tests[0].differences, given.tests[0].differences, check_exact=False
    )


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda table: table.drop(columns="seed"), "no column 'seed'"),
        (lambda table: pd.concat([table, table[:1]]), "two rows of erm, 0, 0000"),
        (lambda table: table[~((table["experiment"] == "dann") & (table["seed"] == 1))], "seeds"),
        (
            lambda table: table.assign(target=np.arange(len(table)) % 2),
            r"more than one target \(0 and 1\)",
        ),
        (lambda table: table[1:], "erm, seed 0: has no row of image 0000, which another"),
        (
            lambda table: table.assign(
                image_id=table["image_id"].where(table["experiment"] == "erm", "0")
            ).drop_duplicates(["experiment", "seed", "image_id"]),
            "seed 0: has no row of image 0,.*7 is not 007",
        ),
        (lambda table: table.drop(columns="ita_band"), "no column 'ita_band'"),
        (lambda table: pd.concat([table, table["score"]], axis=1), "two columns 'score'"),
        (lambda table: table[:0], "has no rows"),
        (lambda table: table.assign(score="0,5"), "not an array of numbers"),
        (lambda table: table.assign(split="train"), "column split holds 'train'"),
    ],
)
def test_a_table_of_scores_that_cannot_be_used_says_why(spoil, said):
    table = long_table(np.zeros((2, 2, 5)), [0, 1, 0, 1, 0], [1] * 5)
    with pytest.raises(InputError, match=said):
        compare_scores(spoil(table), by="ita_band")


def test_an_image_without_a_patient_is_on_its_own():
    scores = np.random.default_rng(0).normal(size=(2, 3, 40))
    patient = [None if k < 10 else k // 3 for k in range(40)]
    test = compare_scores(scores, np.arange(40) % 2, patient).tests[0]
    assert test.patients == 10 + len(set(patient[10:]))


def test_a_copied_run_is_no_further_seed():
    scores, *rest = drawn(np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    whole = compare_scores(scores[:, :4], *rest)
    scores[1, 4] = scores[1, 2]
    found = compare_scores(scores, *rest)
    assert found.failed["reason"].tolist() == ["has the scores of seed 2"]
    pd.testing.assert_frame_equal(found.tests[0].differences, whole.tests[0].differences)
    assert any("once: method 1 seed 4 has the" in one for one in conclude(found).sentences)
    copies = compare_scores(np.repeat(scores[:, :1], 5, axis=1), *rest)
    assert copies.tests[0].differences["p"].isna().all()


def test_runs_that_fall_to_one_constant_are_not_called_copies():
    scores, *rest = drawn(np.zeros((2, 3)))
    scores[1] = 0.5
    assert len(compare_scores(scores, *rest).failed) == 0


def test_methods_of_which_no_run_errs_are_not_called_equivalent():
    scores, target, *rest = drawn(np.zeros((2, 3)), sizes=(20, 20, 20))
    found = compare_scores(scores + 20 * target, target, *rest)
    assert found.tests[0].differences["at_most"].isna().all()
    assert conclude(found).kind == "unknown"


def test_images_of_one_patient_have_no_p():
    scores, target, patient, group = drawn(np.zeros((2, 3)))
    table = compare_scores(scores, target, patient * 0, group).tests[0].differences
    assert table["p"].isna().all()


def test_the_seeds_of_a_table_keep_their_names():
    table = long_table(np.random.default_rng(0).normal(size=(2, 3, 40)), [0, 1] * 20, [1] * 40)
    gone = (table["experiment"] == "dann") & (table["seed"] == 2)
    named = table.assign(seed=table["seed"] + 7, score=table["score"].mask(gone))
    assert compare_scores(named, by="ita_band").failed["seed"].tolist() == [9]


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        ({}, {}, "no method"),
        (np.zeros((2, 0, 4)), {}, "hold none"),
        (np.full((2, 3, 4), "high"), {}, "not an array of numbers"),
        (np.zeros((2, 3, 4)), {"references": []}, "`references` is empty"),
        (np.zeros((2, 3, 4, 2)), {"kind": "classes"}, "`classes` names two classes"),
        (np.full((2, 3, 4), 7), {"kind": "ordered", "classes": [0, 1]}, "an answer is 7, which"),
    ],
)
def test_what_is_no_comparison_is_one_sentence(scores, options, message):
    with pytest.raises(InputError, match=message):
        compare_scores(scores, [0, 1, 0, 1], **options)


def test_a_reference_may_be_one_name_or_a_number():
    scores, *rest = drawn(np.zeros((2, 3)))
    assert compare_scores({1: scores[0], 2: scores[1]}, *rest, references=[2]).references == ("2",)
    assert compare_scores({"a": scores[0], "b": scores[1]}, *rest, references="b").references == (
        "b",
    )


@pytest.mark.parametrize("margin", [0, 2])
def test_a_margin_is_above_0_and_no_more_than_the_figure_can_differ(margin):
    with pytest.raises(InputError, match=f"margin of {margin}: .* above 0 and at most 1, such as"):
        compare_scores(np.zeros((2, 3, 4)), [0, 1, 0, 1], margin=margin)
