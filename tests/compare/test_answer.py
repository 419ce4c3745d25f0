"""What is concluded, and from what: gains, losses, equivalence, levelling down, nothing."""

import dataclasses

import numpy as np
import pytest
from tests.compare.drawn import draw

from equiderm.compare import compare_scores
from equiderm.compare.answer import answer, conclude


def compared(shift, seeds=6, seed=0, sizes=(900, 900, 900), **options):
    drawn = draw(np.random.default_rng(seed), shift, seeds, sizes, of_seed=0.03)
    return compare_scores(*drawn, by="ita_band", **options)


def test_a_method_that_helps_the_worst_group_is_said_to():
    found = conclude(compared([[-1.2, 0, 0], [-0.3, 0, 0]]))
    assert found.kind == "help"
    assert found.headline == "The worst group gains from method 1."
    assert any("higher by" in one and "worst group's AUROC" in one for one in found.sentences)


def test_a_gain_of_a_group_that_need_not_be_the_worst_is_said_of_that_group():
    found = conclude(compared([[0, 0, 0], [0, 0.9, 0]]))
    assert found.kind == "help"
    assert found.headline.startswith("Better: ita_band 1 (lightest) by method 1; for the worst")


def test_equal_methods_are_equivalent_where_the_bounds_say_so():
    found = conclude(compared(np.zeros((3, 3)), margin=0.1))
    assert found.kind == "equivalent"
    assert found.headline == "No method helps the worst group by more than 0.1 of AUROC."


def test_equal_methods_on_few_images_cannot_be_told_and_more_seeds_or_images_are_named():
    found = conclude(compared(np.zeros((2, 3)), seeds=3, sizes=(60, 60, 60), margin=0.01))
    assert found.kind == "unknown"
    assert "cannot be decided from 3 seeds" in found.headline
    assert any("80 of 100 comparisons" in one and "images" in one for one in found.sentences)


def test_levelling_down_is_said_where_the_best_loses_and_the_worst_does_not_gain():
    found = compared([[-0.6, 0.8, 0], [-0.6, -0.3, 0]], margin=0.05)
    told = [one for one in answer(found) if one.startswith("Levelling down")]
    assert len(told) == 1
    assert "method 1 lowers the best group, ita_band 1 (lightest)" in told[0]


def test_levelling_down_is_not_said_of_equal_methods():
    said = 0
    for seed in range(15):
        found = compared(np.zeros((6, 3)), seed=seed, seeds=3, sizes=(200, 200, 200))
        said += any("Levelling down" in one for one in answer(found))
    assert said == 0


def test_levelling_down_is_not_said_where_the_worst_may_have_gained():
    found = compared([[-0.6, 0.8, 0], [0.1, -0.3, 0]], margin=0.03)
    assert not any("Levelling down" in one for one in answer(found))


def test_a_loss_alone_is_harm():
    found = conclude(compared([[0, 0, 0], [-1.2, -1.2, -1.2]]))
    assert found.kind == "harm"
    assert "Worse:" in found.headline


def test_a_gain_over_one_of_two_references_names_it():
    shift = [[-1.2, 0, 0], [-0.3, 0, 0], [-0.3, 0, 0]]
    found = conclude(compared(shift, references=["method 0", "method 1"]))
    assert found.headline == (
        "The worst group gains from method 2 (against method 0, not against method 1)."
    )


def test_a_loss_over_all_images_is_in_the_headline_though_no_group_loses():
    scores, target, patient, group = draw(np.random.default_rng(0), np.zeros((2, 3)), 6)
    scores[1] += 3 * group  # ranks groups, and within a group as before
    found = conclude(compare_scores(scores, target, patient, group, margin=0.5))
    assert found.kind == "harm"
    assert found.headline.endswith("Worse: overall AUROC by method 1.")


def test_what_is_no_better_than_a_constant_score_is_said():
    scores, *rest = draw(np.random.default_rng(0), np.zeros((3, 3)), 4)
    scores[1], scores[2] = -scores[1], 0.5
    told = " ".join(answer(compare_scores(scores, *rest)))
    assert "method 1 does worse than any constant score (0.500)" in told
    assert "method 2 is not established to do better than any constant score" in told
    assert "method 0 is not" not in told


def test_a_group_too_small_to_compare_is_said():
    told = " ".join(answer(compared(np.zeros((2, 3)), sizes=(600, 600, 6))))
    assert "On test, not compared, and so not the worst group: ita_band 2 (" in told


def test_one_group_has_no_worst_group():
    scores, target, patient, group = draw(np.random.default_rng(0), np.zeros((2, 3)), 4)
    found = conclude(compare_scores(scores, target, patient, group * 0))
    assert found.headline.startswith("There is no worst group: fewer than two groups")


def test_one_seed_is_a_sentence_and_no_p():
    one = compared(np.zeros((2, 3)), seeds=1)
    assert one.tests[0].differences["p"].isna().all()
    assert one.tests[0].differences["low"].isna().all()
    found = conclude(one)
    assert found.headline == "The methods could not be compared."
    assert "One seed of each method" in found.sentences[0]


def test_a_method_that_has_one_seed_left_is_among_those_that_cannot_be_told():
    scores, *rest = draw(np.random.default_rng(0), np.zeros((3, 3)), 4, of_seed=0.03)
    scores[1, 1:] = np.nan
    conclusion = conclude(compare_scores(scores, *rest, margin=0.5))
    assert any(
        "cannot be decided for method 1: fewer than two of its seeds" in one
        for one in conclusion.sentences
    )
    assert not any("–" in one for one in conclusion.sentences)


def test_what_would_decide_is_that_of_the_methods_that_are_undecided():
    scores, *rest = draw(np.random.default_rng(0), np.zeros((4, 3)), 4, of_run=0.01, of_seed=0.0)
    scores[3] += np.array([-0.3, 0.3, -0.3, 0.3])[:, None] * rest[0]  # its seeds differ
    compared = compare_scores(scores, *rest)
    needs = compared.tests[0].needs.set_index("experiment")
    told = next(one for one in answer(compared) if "cannot be decided for" in one)
    assert "cannot be decided for method 3: " in told
    assert f"about {needs.loc['method 3', 'seeds']} seeds on these images (now 4)" in told
    assert needs.loc["method 1", "seeds"] < 4 < needs.loc["method 3", "seeds"]


def test_references_alone_are_no_comparison_of_methods():
    found = conclude(compared(np.zeros((1, 3))))
    assert "no method beside method 0" in found.sentences[0]


def test_no_sentence_rests_on_an_estimate_alone():
    found = compared(np.zeros((2, 3)), seeds=3, sizes=(60, 60, 60))
    table = found.tests[0].differences.assign(difference=0.3)  # large, and not established
    changed = dataclasses.replace(
        found, tests=(dataclasses.replace(found.tests[0], differences=table),)
    )
    assert conclude(changed).headline == conclude(found).headline


@pytest.mark.parametrize(("by", "name"), [("ita_band", "6 (darkest)"), ("hospital", "6")])
def test_the_end_of_a_scale_of_tone_is_named(by, name):
    from equiderm.compare.answer import group_name

    assert group_name(by, "6") == name
