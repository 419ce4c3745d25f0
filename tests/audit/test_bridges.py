"""fairlearn's arguments in, a scorer for scikit-learn out."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from equiderm.audit import GroupScorer, audit, from_metricframe
from equiderm.errors import InputError


def test_the_arguments_of_a_metricframe_give_its_figures(predictions):
    from fairlearn.metrics import MetricFrame
    from sklearn.metrics import roc_auc_score

    frame = predictions(600, drop=1.0)
    words = {
        "y_true": frame["target"],
        "y_pred": frame["score"],
        "sensitive_features": frame[["ita_band"]],
        "metrics": roc_auc_score,
    }
    theirs = MetricFrame(**words)
    ours = from_metricframe(**words)
    assert ours.by_group()["auroc"].to_numpy() == pytest.approx(theirs.by_group.to_numpy())
    assert ours.overall["auroc"] == pytest.approx(theirs.overall)


def test_control_features_are_crossed_with_the_sensitive_ones(predictions):
    frame = predictions(600)
    sex = np.where(np.arange(600) % 2, "f", "m")
    made = from_metricframe(
        y_true=frame["target"].to_numpy(), y_pred=frame["score"].to_numpy(),
        sensitive_features=frame["ita_band"].to_numpy(), control_features=sex,
    )  # fmt: skip
    assert list(made.results) == [
        "sensitive_feature_0", "control_feature_0", "sensitive_feature_0 × control_feature_0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "of", ["worst(auroc)", "worst(brier)", "gap(sensitivity)", "overall(auroc)"]
)
def test_the_scorer_gives_the_audits_figure_in_every_fold(predictions, of):
    frame = predictions(600, drop=1.0)
    features = pd.DataFrame({"x": np.log(frame["score"]), "tone": frame["ita_band"]})
    model = LogisticRegression()
    by_column = cross_val_score(model, features, frame["target"], scoring=GroupScorer(of, "tone"))
    by_series = cross_val_score(
        model, features, frame["target"], scoring=GroupScorer(of, frame["ita_band"])
    )
    assert by_column.tolist() == by_series.tolist()
    fitted = model.fit(features, frame["target"])
    made = audit(target=frame["target"], score=fitted.predict_proba(features), by=frame["ita_band"])
    expected = {
        "worst(auroc)": made.by_group()["auroc"].min(),
        "worst(brier)": -made.by_group()["brier"].max(),
        "gap(sensitivity)": -made.difference()["sensitivity"],
        "overall(auroc)": made.overall["auroc"],
    }[of]
    assert GroupScorer(of, "tone")(fitted, features, frame["target"]) == pytest.approx(expected)


def test_a_scorer_of_an_unknown_figure_is_refused():
    with pytest.raises(InputError, match="is not understood"):
        GroupScorer("best(auroc)", "tone")(None, pd.DataFrame({"tone": [1]}), [0])
