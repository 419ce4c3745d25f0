"""Several splits beside several seeds: how they are dealt, and what intervals over both say."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.compare.drawn import draw

from equiderm.compare import as_dict, compare, compare_scores
from equiderm.compare.answer import answer
from equiderm.compare.splits import draw_splits
from equiderm.compare.tables import paper_tables
from equiderm.errors import InputError
from equiderm.training import Features, experiment_from


def manifest(n=400):
    random = np.random.default_rng(0)
    patient = np.arange(n) // 2
    frame = pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(n)],
            "patient_id": [f"p{k}" for k in patient],
            "source": "one",
            "target": random.integers(0, 2, n),
            "tone": random.integers(0, 2, n).astype(str),
            "split": np.array(["train", "train", "validation", "test", "test-b"])[patient % 5],
        }
    )
    frame.loc[frame["split"] == "test-b", "source"] = "two"
    frame.loc[(frame["source"] == "two") & (frame.index % 20 > 13), "split"] = "train"
    return frame


def dealt(frame, count=3, tests=("test", "test-b")):
    return draw_splits(frame, count, ("train", "validation"), tests, tone="tone")


def test_splits_deal_the_tested_archive_by_patient_in_its_shares_and_leave_the_rest():
    frame = manifest()
    splits = dealt(frame)
    own = frame["source"] == "one"
    for one in splits:
        assert one.groupby("patient_id")["split"].nunique().max() == 1
        assert (one.loc[~own, "split"] == frame.loc[~own, "split"]).all()
        shares = one.loc[own, "split"].value_counts()
        assert abs(shares - frame.loc[own, "split"].value_counts()).max() <= 4
    assert not splits[0]["split"].equals(splits[1]["split"])
    assert splits[1]["split"].equals(dealt(frame, 2)[1]["split"])


def test_several_splits_need_a_test_of_the_archive_that_trains():
    with pytest.raises(InputError, match="draw the split 'test' anew"):
        dealt(manifest(), tests=("test-b",))
    with pytest.raises(InputError, match="0 splits: give 2 or more"):
        dealt(manifest(), 0)


def split_scores(splits=3, seeds=2, n=300, share=0.4, shift=0.0):
    """Return scores (2, splits, seeds, n) of tests that overlap, targets, patients and groups."""
    random = np.random.default_rng(3)
    scores, *images = draw(
        random, [[0.0] * 3, [shift] * 3], splits * seeds, (n // 3,) * 3, of_seed=0.2
    )
    scores = scores.reshape(2, splits, seeds, n)
    patient = images[1]
    for j in range(splits):
        out = random.permutation(patient.max() + 1) >= share * (patient.max() + 1)
        scores[:, j, :, out[patient]] = np.nan
    return scores, *images


def as_table(scores, target, patient, group):
    rows = [
        {"experiment": f"method {m}", "split": j, "seed": k, "image_id": i, "score": score}
        | {"target": target[i], "patient_id": patient[i], "group": group[i]}
        for (m, j, k, i), score in np.ndenumerate(scores)
        if np.isfinite(score)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def test_a_table_with_a_split_column_is_compared_as_the_array_of_its_splits():
    drawn = split_scores()
    of_array, of_table = compare_scores(*drawn), compare_scores(as_table(*drawn))
    numbers = [one.tests[0].differences.drop(columns=["p"]) for one in (of_array, of_table)]
    pd.testing.assert_frame_equal(*numbers)
    assert len(of_table.splits) == 3
    assert of_table.repeats == "3 splits of 2 seeds"


def test_splits_of_one_seed_that_test_the_same_images_are_seeds():
    scores, *images = draw(np.random.default_rng(0), [[0.0] * 3, [0.3] * 3], 5)
    seeds, splits = (compare_scores(one, *images).tests[0] for one in (scores, scores[:, :, None]))
    pd.testing.assert_frame_equal(seeds.differences, splits.differences)
    pd.testing.assert_frame_equal(seeds.figures, splits.figures)


def test_splits_whose_tests_share_no_patient_have_the_interval_of_independent_means():
    scores, target, patient, group = split_scores(4, 2, share=1.0)
    for j in range(4):
        scores[:, j, :, patient % 4 != j] = np.nan
    found = compare_scores(scores, target, patient, group).tests[0]
    runs = found.runs[found.runs["figure"] == "overall"]
    means = runs.groupby(["split", "experiment"])["value"].mean().unstack()
    off = means["method 1"] - means["method 0"]
    half = stats.t.ppf(0.975, 3) * off.std() / 2
    row = found.difference("method 1", "method 0", "overall")
    assert row["difference"] == pytest.approx(off.mean())
    assert (row["low"], row["high"]) == pytest.approx((off.mean() - half, off.mean() + half))
    assert row["p"] == pytest.approx(stats.ttest_1samp(off, 0).pvalue, rel=1e-3)


def test_answer_and_tables_speak_of_splits():
    found = compare_scores(*split_scores())
    assert any("splits on these images (now 3)" in one or "splits and" in one
               for one in answer(found))  # fmt: skip
    assert "splits" in paper_tables(found)
    assert as_dict(found)["splits"][0]["patients"] == 40


def test_a_split_without_scores_or_with_holes_in_them_is_named():
    scores, *images = split_scores()
    holed = scores.copy()
    holed[0, 1, 1, np.flatnonzero(np.isfinite(holed[0, 1, 1]))[0]] = np.nan
    with pytest.raises(InputError, match="method 0, seed 1001: 1 of 120 scores"):
        compare_scores(holed, *images)
    scores[:, 2] = np.nan
    with pytest.raises(InputError, match="no run of split 2 has scores"):
        compare_scores(scores, *images)


def test_experiments_are_compared_over_splits_and_found_again(tmp_path):
    frame = manifest()
    frame = frame[frame["split"] != "test-b"]
    values = np.random.default_rng(1).normal(size=(len(frame), 4)) + frame[["target"]].to_numpy()
    features = Features(values, frame["image_id"].tolist())
    table = {
        "method": {"name": "erm"},
        "backbone": {"name": "features"},
        "data": {"group": "tone"},
        "training": {"epochs": 1, "batch_size": 64, "tracker": "none"},
    }
    experiments, said = {"erm": experiment_from(table)}, []
    for _ in range(2):
        found = compare(experiments, frame, tmp_path, images=features, splits=2, seeds=1,
                        watch=said.append)  # fmt: skip
    states = [one.rpartition(": ")[2] for one in said if "seed" in one]
    assert states == ["trained", "trained", "found", "found"]
    assert (tmp_path / "erm" / "split-1" / "seed-1000" / "test.parquet").is_file()
    assert found.splits["test"].tolist() == pytest.approx([80, 80], abs=4)
    assert set(found.tests[0].runs["seed"]) == {0, 1000}
