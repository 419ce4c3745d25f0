"""Bridges to other libraries: from fairlearn's MetricFrame, and a scorer for scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.audit import audit
from equiderm.audit.condition import parse_subject
from equiderm.audit.gaps import worst_of
from equiderm.audit.groups import Options
from equiderm.audit.metrics import METRICS
from equiderm.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from equiderm.audit.audit import Audit


def from_metricframe(
    *,
    y_true: Any,
    y_pred: Any,
    sensitive_features: Any,
    control_features: Any = None,
    sample_params: Any = None,
    metrics: Any = None,
    **options: Any,
) -> Audit:
    """Return an audit from the arguments of a ``fairlearn.metrics.MetricFrame``.

    A MetricFrame keeps no rows, so its arguments are needed. ``metrics`` and those of its bootstrap
    (``n_boot``, ``ci_quantiles``, ``random_state``) are ignored.

    Args:
        y_true: Targets, shape (n,).
        y_pred: Scores in [0, 1], shape (n,); decisions of 0 and 1 are scores, too.
        sensitive_features: Groups, in any form that MetricFrame takes.
        control_features: More groups, which are also crossed with the others.
        sample_params: ``{"sample_weight": weights}``, or by metric, as MetricFrame takes it: one
            set of weights, shape (n,), which weights every figure.
        metrics: Not used.
        options: Further arguments of `audit`.

    Raises:
        InputError: Metrics with different weights, or input that cannot be audited.

    Source:
        Bird et al. 2020, Fairlearn (Microsoft MSR-TR-2020-32); MetricFrame of fairlearn 0.15.
    """
    del metrics
    if sample_params and (weight := _weight_of(sample_params)) is not None:
        options.setdefault("weight", weight)
    for name in ("n_boot", "ci_quantiles", "random_state"):
        options.pop(name, None)
    features = [_named(sensitive_features, "sensitive_feature")]
    if control_features is not None:
        features.append(_named(control_features, "control_feature"))
    by = {name: values for part in features for name, values in part.items()}
    return audit(target=y_true, score=y_pred, by=by, **options)


def _weight_of(sample_params: Mapping[str, Any]) -> Any:
    """Return the set of weights in a MetricFrame's ``sample_params``, or None.

    Raises:
        InputError: Another parameter, or weights that differ between metrics.
    """
    nested = all(
        hasattr(value, "items") and not hasattr(value, "index") for value in sample_params.values()
    )
    parts = list(sample_params.values()) if nested else [sample_params]
    if other := [key for part in parts for key in part if key != "sample_weight"]:
        raise InputError(
            f"sample_params: '{other[0]}' is not used in an audit; give sample_weight alone."
        )
    weights = [part["sample_weight"] for part in parts if part.get("sample_weight") is not None]
    if any(not np.array_equal(np.asarray(other), np.asarray(weights[0])) for other in weights):
        raise InputError(
            "sample_params: the metrics have different weights, but an audit takes one set; run "
            "one audit per set."
        )
    return weights[0] if weights else None


def _named(features: Any, called: str) -> dict[str, Any]:
    """Return features by name; unnamed ones are numbered as in MetricFrame."""
    if hasattr(features, "columns"):
        return {str(name): features[name] for name in features.columns}
    if hasattr(features, "items") and not hasattr(features, "index"):
        return {str(name): values for name, values in features.items()}
    name = getattr(features, "name", None)
    array = np.asarray(features)
    if array.ndim == 2 and array.shape[1] > 1:
        return {f"{called}_{k}": array[:, k] for k in range(array.shape[1])}
    return {str(name if name is not None else f"{called}_0"): features}


@dataclass(frozen=True)
class GroupScorer:
    """A scorer for scikit-learn: called with an estimator, its X and y, it returns one number.

    Attributes:
        of: The score: ``worst(auroc)``, ``gap(sensitivity)``, ``overall(auroc)``. A gap, or a
            figure for which lower is better (``brier``), is negated, so that higher is always
            better.
        by: Column of X with the groups, or a series of groups with the index of X.
        threshold: Score from which an image is called positive.
        min_count: Fewest positives (negatives, ...) that a figure needs.
    """

    of: str
    by: Any
    threshold: float = 0.5
    min_count: int = 5

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score of a fitted estimator; NaN if a group has too few images.

        ``sample_weight``, shape (n,), weights the figure.

        Raises:
            InputError: X has no such column, or the groups do not have its index.
        """
        function, metric = parse_subject(self.of)
        groups = X[self.by] if isinstance(self.by, str) else self.by
        if hasattr(groups, "loc") and hasattr(X, "index"):
            groups = groups.loc[X.index]
        if len(groups) != len(X):
            raise InputError(
                f"the scorer has {len(groups)} groups for {len(X)} rows; give a series with the "
                "index of X, or the name of a column of X."
            )
        result = audit(
            target=np.asarray(y),
            score=_scores(estimator, X),
            by=np.asarray(groups),
            weight=None if sample_weight is None else np.asarray(sample_weight),
            options=Options(threshold=self.threshold, min_count=self.min_count),
        )
        sign = METRICS[metric].better or 1
        if function == "overall":
            return sign * result.results["group"].value(metric)[0]
        named = {str(group): float(v) for group, v in result.by_group()[metric].items()}
        if np.isnan(list(named.values())).any():
            return float("nan")
        if function == "gap":
            return -(max(named.values()) - min(named.values()))
        worst = worst_of(metric, named)
        if not worst:
            raise InputError(f"{metric} has no worse direction; score its gap instead.")
        return sign * named[worst]


def _scores(estimator: Any, features: Any) -> Any:
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(features))[:, 1]
    if hasattr(estimator, "decision_function"):
        return 1 / (1 + np.exp(-np.asarray(estimator.decision_function(features))))
    return np.asarray(estimator.predict(features), dtype=float)
