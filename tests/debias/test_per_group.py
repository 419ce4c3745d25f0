"""Scores and thresholds by group: calibrated where they were not, and no group's order changed."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from equiderm.debias.per_group import ALL, OWN, fit_per_group
from equiderm.errors import InputError

TRUE = {"light": (0.5, 1.5), "dark": (-1.0, 0.6)}  # intercept and slope that undo the score's error


def scored(n=4000, seed=0):
    """Rows whose target follows the group's own intercept and slope of the score's logit."""
    generator = np.random.default_rng(seed)
    group = np.array(["light", "dark"])[np.arange(n) % 2]
    x = generator.normal(-1, 1.5, n)
    a, c = np.array([TRUE[one] for one in group]).T
    target = generator.random(n) < 1 / (1 + np.exp(-(a + c * x)))
    return pd.DataFrame(
        {"score": 1 / (1 + np.exp(-x)), "target": target.astype(int), "ita_band": group}
    )


def test_each_group_has_the_intercept_and_slope_that_the_targets_follow():
    table = fit_per_group(scored(40_000), by="ita_band").table.set_index("group")
    for group, (intercept, slope) in TRUE.items():
        assert table.loc[group, "intercept"] == pytest.approx(intercept, abs=0.1)
        assert table.loc[group, "slope"] == pytest.approx(slope, abs=0.1)


def test_the_fit_is_logistic_regression_on_platt_s_targets():
    rows = scored(400)
    rows = rows[rows["ita_band"] == "dark"]
    y = rows["target"].to_numpy()
    x = np.log(rows["score"] / (1 - rows["score"])).to_numpy()
    upper, lower = (y.sum() + 1) / (y.sum() + 2), 1 / ((1 - y).sum() + 2)
    share = np.where(y == 1, upper, lower)
    model = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000)
    model.fit(
        np.tile(x, 2)[:, None],
        np.repeat([1, 0], len(x)),
        sample_weight=np.concatenate([share, 1 - share]),
    )
    row = fit_per_group(rows, by="ita_band").table.iloc[0]
    assert row["intercept"] == pytest.approx(model.intercept_[0], abs=1e-4)
    assert row["slope"] == pytest.approx(model.coef_[0, 0], abs=1e-4)


def test_new_rows_are_calibrated_in_each_group_and_each_auroc_stays():
    fitted, fresh = fit_per_group(scored(), by="ita_band"), scored(seed=1)
    after = fitted.apply(fresh)
    for _, rows in fresh.groupby("ita_band"):
        new = after.loc[rows.index, "score"]
        high = rows["score"] > rows["score"].quantile(0.75)
        truth = rows.loc[high, "target"].mean()
        assert abs(new[high].mean() - truth) < 0.05 < abs(rows.loc[high, "score"].mean() - truth)
        assert roc_auc_score(rows["target"], new) == roc_auc_score(rows["target"], rows["score"])


def test_the_sensitivity_asked_for_is_reached_in_every_group_of_the_fitted_rows():
    rows = scored()
    after = fit_per_group(rows, by="ita_band", sensitivity=0.9).apply(rows)
    for _, one in after[after["target"] == 1].groupby("ita_band"):
        assert 0.9 <= one["positive"].mean() < 0.91


def test_a_group_of_few_positives_has_the_fit_of_all_rows():
    rows = scored(1000)
    few = rows[rows["ita_band"] == "light"].index[:30]
    rows.loc[few, "ita_band"] = "tan"
    table = fit_per_group(rows, by="ita_band", sensitivity=0.8).table.set_index("group")
    assert table["fitted_on"].to_dict() == {
        "dark": OWN, "light": OWN, "tan": ALL, "(any other)": ALL,
    }  # fmt: skip
    for name in ("intercept", "slope", "threshold"):
        assert table.loc["tan", name] == table.loc["(any other)", name]


def test_rows_without_a_group_or_score_are_kept():
    rows = scored(1000)
    fitted = fit_per_group(rows, by="ita_band", sensitivity=0.8)
    odd = rows.head(4).assign(
        ita_band=["light", None, "unseen", "dark"], score=[0.5, 0.5, 0.5, np.nan]
    )
    after = fitted.apply(odd)
    assert after["score"].notna().tolist() == [True, True, True, False]
    assert after["score"].iloc[1] == after["score"].iloc[2] != after["score"].iloc[0]
    assert after["positive"].isna().tolist() == [False, False, False, True]


def test_a_group_whose_order_would_be_turned_round_has_the_fit_of_all_rows():
    rows = scored()
    dark = rows["ita_band"] == "dark"
    rows.loc[dark, "target"] = (rows.loc[dark, "score"] < 0.2).astype(int)
    rows = pd.concat([rows, *[rows[~dark]] * 9], ignore_index=True)  # the order of all rows stays
    table = fit_per_group(rows, by="ita_band").table.set_index("group")
    assert table.loc["dark", "fitted_on"] == ALL


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: f.drop(columns="target"), {}, "no column 'target'"),
        (lambda f: f.assign(score=f["score"] / f["score"].max() * 1.5), {}, "from 0 to 1"),
        (lambda f: f.head(30), {}, "20 of each are needed"),
        (lambda f: f[f["target"].cumsum() < 10], {}, "9 positives and .* 20 of each are needed"),
        (lambda f: f[(1 - f["target"]).cumsum() < 10], {}, "9 negatives .* 20 of each are needed"),
        (lambda f: f.assign(target=2), {}, "0 and 1 are expected"),
        (lambda f: f, {"sensitivity": 90}, "a share above 0"),
    ],
)
def test_what_cannot_be_fitted_on_is_one_sentence(change, options, message):
    with pytest.raises(InputError, match=message):
        fit_per_group(change(scored(200)), by="ita_band", **options)


def test_scores_of_0_and_1_are_calibrated_to_numbers_between():
    rows = scored(400)
    rows.loc[:7, "score"] = [0, 1, 0, 1, 1, 0, 1, 0]
    fitted = fit_per_group(rows, by="ita_band")
    assert np.isfinite(fitted.table[["intercept", "slope"]].to_numpy()).all()
    assert fitted.apply(rows)["score"].between(0, 1).all()


def test_scores_that_fall_as_the_target_rises_are_refused():
    rows = pd.DataFrame({"score": [0.9, 0.1] * 40, "target": [0, 1] * 40, "tone": ["a", "b"] * 40})
    with pytest.raises(InputError, match="do not rise with the target"):
        fit_per_group(rows, by="tone")


def test_twenty_positives_and_twenty_negatives_suffice():
    rows = scored(2000)
    rows = rows[rows["ita_band"] == "dark"]
    few = [rows[rows["target"] == y].head(20) for y in (0, 1)]
    table = fit_per_group(pd.concat(few), by="ita_band", sensitivity=1.0).table
    assert table["fitted_on"].tolist() == [OWN, ALL]
    assert table["threshold"].notna().all() and table["n"].tolist() == [40, 40]
    for one in (0, 1):
        with pytest.raises(InputError, match="20 of each are needed"):
            fit_per_group(pd.concat([few[one], few[1 - one].head(19)]), by="ita_band")
    with pytest.raises(InputError, match="a share above 0"):
        fit_per_group(rows, by="ita_band", sensitivity=0.0)


def test_no_threshold_is_given_where_none_was_asked_for():
    assert fit_per_group(scored(400), by="ita_band").table["threshold"].isna().all()
