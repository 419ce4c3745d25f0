"""Scores recalibrated, and thresholds chosen, for each group of a scored table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.thresholds import threshold_at_sensitivity
from equiderm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LEAST = 20  # positives, and negatives, that a group needs for a fit of its own
ALL, OWN = "all rows", "its own rows"
WARNING = (
    "A score that depends on the group needs the group of every person at use: anyone without a "
    "group, or with a wrong one, gets another group's score. Deciding by skin tone may be "
    "restricted by law, as by 45 CFR 92.210 in the USA or, where tone reveals ethnic origin, "
    "article 9 of the GDPR; ask before you do."
)


@dataclass(frozen=True)
class PerGroup:
    r"""Platt's scaling and, if asked for, a threshold for each group.

    .. math:: s' = \frac{1}{1 + e^{-(a_b + c_b \, \mathrm{logit}(s))}}, \qquad
        s' \ge t_b \Rightarrow \text{positive}

    The order of scores within a group stays, and so does its AUROC; calibration, sensitivity at a
    threshold, and the AUROC over all groups change. It needs the group of every person at use: see
    `WARNING`, which every page and command that applies it should say.

    Attributes:
        by: The group column.
        table: A row per group, then one for everyone else: ``group``, ``n``,
            ``positives``, ``fitted_on`` (`OWN` or, of fewer than 20 positives or negatives, `ALL`),
            ``intercept`` a, ``slope`` c and ``threshold`` t (NaN where none was asked for).

    Source:
        Platt 1999, Probabilistic outputs for support vector machines, with its targets that keep
        the fit finite; thresholds by group as Hardt, Price and Srebro 2016, Equality of opportunity
        in supervised learning, section 3.
    """

    by: str
    table: pd.DataFrame

    def apply(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a table with its ``score`` recalibrated, and ``positive`` where thresholds are.

        Args:
            frame: Columns ``score``, in [0, 1], and the group's; a row without a score stays so.

        Raises:
            InputError: A column is missing.
        """
        _check_columns(frame, self.by, "score")
        table: Any = self.table.set_index("group")
        rest = table.index[-1]
        group = frame[self.by].astype("object").where(frame[self.by].isin(table.index[:-1]), rest)
        own = table.loc[group.tolist()]
        logit = own["intercept"].to_numpy() + own["slope"].to_numpy() * _logit(frame["score"])
        result = frame.assign(score=1 / (1 + np.exp(-logit)))
        if table["threshold"].notna().any():
            positive = (result["score"] >= own["threshold"].to_numpy()).astype("boolean")
            result = result.assign(positive=positive.mask(result["score"].isna()))
        return result


def fit_per_group(
    frame: pd.DataFrame, *, by: str, sensitivity: float | None = None, least: int = LEAST
) -> PerGroup:
    """Fit each group's scaling, and threshold, on rows that no model was trained on.

    Args:
        frame: Columns ``score``, in [0, 1], ``target``, 0 or 1, and the group's, such as the scored
            validation rows. Rows without a score or target are left out.
        by: The group column.
        sensitivity: Share of the positives of every group that is to be called positive, in (0, 1];
            None for no thresholds.
        least: Positives, and negatives, that a group needs for a fit of its own; others get the fit
            of all rows.

    Raises:
        InputError: A column is missing, a sensitivity out of range, too few rows, or scores that
            do not rise with the target.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"score": [0.2, 0.4, 0.3, 0.8] * 20, "target": [0, 0, 1, 1] * 20})
        >>> rows["ita_band"] = ["light", "dark"] * 40
        >>> fitted = fit_per_group(rows, by="ita_band", sensitivity=1.0)
        >>> fitted.table["fitted_on"].tolist()
        ['its own rows', 'its own rows', 'all rows']
    """
    import pandas as pd

    _check_columns(frame, by, "score", "target")
    if sensitivity is not None and not 0 < sensitivity <= 1:
        raise InputError(f"sensitivity {sensitivity:g}: a share above 0, up to 1, is expected.")
    known: Any = frame[frame["score"].notna() & frame["target"].notna()]
    y = known["target"].to_numpy(float)
    if not set(y.tolist()) <= {0.0, 1.0}:
        raise InputError("column 'target': 0 and 1 are expected.")
    if min(int((y == 1).sum()), int((y == 0).sum())) < least:
        raise InputError(
            f"{int((y == 1).sum())} positives and {int((y == 0).sum())} negatives have a score; "
            f"{least} of each are needed to fit on."
        )
    every = _platt(_logit(known["score"]), y)
    if not every[1] > 0:
        raise InputError(
            "the scores do not rise with the target on the rows to fit on, so that recalibrating "
            "would reverse their order; check which class is positive, and the model."
        )
    rows: list[dict[str, Any]] = []
    for value in [*sorted(known[by].dropna().unique()), "(any other)"]:
        group = known if value == "(any other)" else known[known[by] == value]
        x, y = _logit(group["score"]), group["target"].to_numpy(float)
        enough = min(int((y == 1).sum()), int((y == 0).sum())) >= least
        scaling = _platt(x, y) if enough and value != "(any other)" else every
        if scaling[1] <= 0:  # would reverse the group's order
            scaling = every
        own = scaling is not every
        threshold = float("nan")
        if sensitivity is not None:
            base = group if own else known
            scaled = 1 / (1 + np.exp(-(scaling[0] + scaling[1] * _logit(base["score"]))))
            threshold = threshold_at_sensitivity(base["target"], scaled, sensitivity)
        about = {"group": value, "n": len(group), "positives": int(y.sum())}
        fit = {"intercept": scaling[0], "slope": scaling[1], "threshold": threshold}
        rows.append({**about, "fitted_on": OWN if own else ALL, **fit})
    return PerGroup(by, pd.DataFrame(rows))


def _check_columns(frame: pd.DataFrame, *names: str) -> None:
    for name in names:
        if name not in frame.columns:
            has = ", ".join(map(str, frame.columns))
            raise InputError(f"table: no column {name!r}; it has {has}.")
    score: Any = frame["score"].dropna()
    if not score.between(0, 1).all():
        raise InputError("column 'score': a number from 0 to 1 is expected.")


def _logit(score: pd.Series[Any]) -> NDArray[np.float64]:
    p = score.to_numpy(float).clip(1e-12, 1 - 1e-12)
    return np.log(p) - np.log1p(-p)


def _platt(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Return intercept and slope of a logistic regression on Platt's targets."""
    from scipy.optimize import minimize

    positives, negatives = float((y == 1).sum()), float((y == 0).sum())
    wanted = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, spread = float(x.mean()), float(x.std()) or 1.0
    z = (x - centre) / spread

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logit = at[0] + at[1] * z
        residual = 1 / (1 + np.exp(-logit)) - wanted
        value = float((np.logaddexp(0, logit) - wanted * logit).mean())
        return value, np.array([residual.mean(), (residual * z).mean()])

    a, c = minimize(loss, np.array([0.0, 1.0]), jac=True, method="BFGS", tol=1e-9).x
    return float(a - c * centre / spread), float(c / spread)
