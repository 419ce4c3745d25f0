"""Two models on the same images, paired."""

import re

import numpy as np
import pandas as pd
import pytest

from equiderm.audit import Options, Provenance, audit
from equiderm.errors import InputError

WORDS = {"by": ["ita_band"], "image": "image_id", "options": Options(replicates=200)}


@pytest.fixture(scope="module")
def pair(predictions):
    frame = predictions(1200)
    noise = np.random.default_rng(1).normal(size=len(frame))
    logit = np.log(frame["score"] / (1 - frame["score"]))
    worse = frame.assign(score=1 / (1 + np.exp(-(logit + noise))))
    return frame, worse


def test_a_model_against_itself_differs_by_nothing(pair):
    one = audit(pair[0], **WORDS)
    table = one.compare(audit(pair[0], **WORDS)).table.dropna(subset="difference")
    assert (table[["difference", "low", "high"]].abs() < 1e-12).all(axis=None)
    assert (table["p"] == 1).all()


def test_the_better_model_wins_and_pairing_narrows_the_interval(pair):
    a, b = (audit(frame, **WORDS) for frame in pair)
    row = a.compare(b).table.query("figure == 'auroc' and group == 'overall'").iloc[0]
    assert row["low"] > 0
    assert row["p"] < 0.001
    unpaired = np.hypot(*(one.figure("auroc").high - one.figure("auroc").low for one in (a, b)))
    assert row["high"] - row["low"] < 0.9 * unpaired


def test_the_order_of_the_second_table_does_not_matter(pair):
    a = audit(pair[0], **WORDS)
    straight = a.compare(audit(pair[1], **WORDS)).table
    shuffled = a.compare(audit(pair[1].sample(frac=1, random_state=0), **WORDS)).table
    assert straight.equals(shuffled)


def test_gaps_are_compared_on_the_groups_that_both_have(pair):
    a, b = (audit(frame, **WORDS) for frame in pair)
    row = a.compare(b).table.query("figure == 'auroc' and group == 'gap'").iloc[0]
    assert row["difference"] == pytest.approx(a.gap().value - b.gap().value)


def test_in_a_large_table_gaps_are_resampled_from_all_rows(predictions):
    frame = predictions(2400).assign(ita_band=np.where(np.arange(2400) % 16 == 0, 3, 1))
    random = np.random.default_rng(0)
    other = frame.assign(score=np.clip(frame["score"] + random.normal(0, 0.1, 2400), 0, 1))
    table = audit(frame, **WORDS).compare(audit(other, **WORDS)).table
    gap = table.query("figure == 'auroc' and group == 'gap'").iloc[0]
    groups = table.query("figure == 'auroc' and group not in ('gap', 'overall')")
    assert gap["low"] < gap["difference"] < gap["high"]
    widest = (groups["high"] - groups["low"]).max()
    assert 0.5 * widest < gap["high"] - gap["low"] < 1.5 * widest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(image_id="x" + f["image_id"]), "none of the .* image ids of"),
        (lambda f: f.assign(target=1 - f["target"]), "its target in row 1 differs"),
        (lambda f: f.assign(ita_band=1), "its groups differ"),
    ],
)
def test_other_images_targets_or_groups_are_refused(pair, change, message):
    a, b = audit(pair[0], **WORDS), audit(change(pair[1]), **WORDS)
    with pytest.raises(InputError, match=message):
        a.compare(b)


def test_the_answer_says_which_model_is_better_and_for_whom(predictions):
    frame = predictions(3000, shares=(0.5, 0.5))
    dark = frame["ita_band"] == 2
    weaker = frame.assign(score=frame["score"].where(~dark, frame["score"] ** 3))
    noisy = np.random.default_rng(0).random(3000)
    weaker["score"] = weaker["score"].where(~dark, 0.5 * weaker["score"] + 0.5 * noisy)
    a, b = (
        audit(one, **WORDS, provenance=Provenance(model=name))
        for one, name in ((weaker, "old"), (frame, "new"))
    )
    sentences = a.compare(b).answer()
    assert sentences[0].startswith("new is better than old overall: AUROC ")
    assert any("On the darkest skin (band 2) new tells positives from" in one for one in sentences)
    assert not any("lightest skin" in one for one in sentences), "they are the same there"
    assert any(one.startswith("new differs less between groups of ita_band") for one in sentences)


def test_equal_models_are_not_told_apart(predictions):
    a = audit(predictions(600), **WORDS)
    sentences = a.compare(a).answer()
    assert sentences[0].startswith("Neither")
    assert "Neither is established to be better for any group of ita_band" in sentences[1]


@pytest.mark.parametrize("seed", range(3))
def test_what_a_page_shows_of_a_difference_agrees_with_itself(predictions, seed):
    frame = predictions(500, seed=seed)
    logit = np.log(frame["score"] / (1 - frame["score"]))
    noise = 0.5 * np.random.default_rng(seed).normal(size=len(frame))
    other = frame.assign(score=1 / (1 + np.exp(-(logit + noise + 0.12 * frame["target"]))))
    result = audit(frame, **WORDS).compare(audit(other, **WORDS))
    table = result.table.dropna(subset="p")
    for low, high, p in (("low", "high", "p"), ("low_holm", "high_holm", "p_holm")):
        assert (((table[low] > 0) | (table[high] < 0)) == (table[p] < 0.05)).all()
    assert (table["p_holm"] >= table["p"]).all()
    words = " ".join(result.answer())
    judged = table.query("figure in ['auroc', 'sensitivity', 'specificity'] and group != 'gap'")
    overall = judged.query("group == 'overall'")["better"] != ""
    groups = judged.query("group != 'overall'")["better"] != ""
    assert ("better than" in words or "Over all groups" in words) == overall.any()
    assert ("better for any group of ita_band" in words) == (not groups.any())


def test_images_are_paired_whatever_their_folder_ending_and_capitals(pair):
    a = audit(pair[0], **WORDS)
    renamed = pair[1].assign(image_id="scans/" + pair[1]["image_id"].str.lower() + ".JPG")
    assert a.compare(audit(renamed, **WORDS)).table.equals(a.compare(audit(pair[1], **WORDS)).table)


def test_images_that_only_one_model_has_are_left_out_with_their_patients(pair):
    words = {**WORDS, "patient": "patient_id"}
    a, b = (frame.assign(patient_id=np.arange(len(frame)) // 3) for frame in pair)
    fewer = audit(a, **words).compare(audit(b.iloc[30:], **words))
    same = audit(a.iloc[30:], **words).compare(audit(b.iloc[30:], **words))
    assert fewer.table.equals(same.table)


def audits_of(frame, *scores, by="g", **options):
    return [
        audit(frame, score=score, by=by, options=Options(replicates=200, **options))
        for score in scores
    ]


def test_where_an_auroc_is_missing_the_figures_at_the_threshold_are_compared_all_the_same():
    frame = pd.DataFrame({"target": 1, "a": np.tile([0.9, 0.8], 60), "b": np.tile([0.9, 0.1], 60)})
    frame.loc[:1, "target"] = 0
    frame["g"] = np.repeat(["x", "y"], 60)
    a, b = audits_of(frame, "a", "b")
    first, second, *_ = a.compare(b).answer()
    assert first.endswith("overall cannot be said: too few images for an AUROC.")
    assert re.match(r"Over all groups .* finds 100 of 100 positives and .* 50", second)


def test_a_gap_whose_resamples_do_not_vary_is_no_evidence():
    frame = pd.DataFrame({"g": np.repeat(["x", "y"], 10), "target": np.tile([0, 1], 10)})
    frame["a"] = frame["target"] * 0.8 + 0.1
    frame["b"] = np.where(frame["g"] == "x", frame["a"], 0.5)
    a, b = audits_of(frame, "a", "b")
    made = a.compare(b)
    row = made.table.query("group == 'gap' and figure == 'auroc'").iloc[0]
    assert (row["a"], row["b"]) == (0.0, 0.5)
    assert np.isnan(row["p"])
    assert any("too few to say which is smaller" in one for one in made.answer())


def test_equal_scores_of_a_group_differ_where_a_threshold_chosen_on_all_images_does():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"target": np.tile([0, 1], 100), "g": np.repeat(["x", "y"], 100)})
    frame["a"] = np.clip(frame["target"] * 0.2 + random.random(200) * 0.8, 0, 1)
    frame["b"] = np.where(frame["g"] == "x", frame["a"], frame["a"] / 10)
    a, b = audits_of(frame, "a", "b")
    row = (
        a.compare(b).table.query("group == 'x' and figure == 'specificity_at_sensitivity'").iloc[0]
    )
    assert row["a"] != row["b"]
    assert row["difference"] == pytest.approx(row["a"] - row["b"])


def test_of_several_columns_the_answer_names_the_one_it_speaks_of(pair):
    one, other = (audit(frame, **WORDS) for frame in pair)
    assert not any(text.startswith("By ") for text in one.compare(other).answer())
    frame = pd.DataFrame({"target": np.tile([0, 1], 100), "g": np.repeat(["x", "y"], 100)})
    frame = frame.assign(a=0.6 * frame["target"] + 0.2, b=0.2, h=np.resize(["v", "w"], 200))
    frame.loc[0, "b"] = 0.3
    made = audits_of(frame, "a", "b", by=["g", "h"])
    text = " ".join(made[0].compare(made[1]).answer())
    assert "By g: In group x of g" in text and "By h: " in text
