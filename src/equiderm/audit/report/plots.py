"""The plots of the report as matplotlib figures, to restyle and save."""

from __future__ import annotations

from typing import TYPE_CHECKING

from equiderm.audit.metrics import HEADLINE
from equiderm.audit.report import case_mix, charts, curves
from equiderm.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from equiderm.audit.audit import Audit
    from equiderm.audit.comparison import Comparison


class Plots:
    """The plots of an audit's report; from `Audit.plot`.

    Each call returns a new figure, created without pyplot: change ``figure.axes[0]``, then call
    ``figure.savefig``. ``by`` is a group column, the first by default.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def forest(self, metric: str = "auroc", *, by: str | None = None) -> Figure:
        """Return a figure overall and by group, with 95 % intervals."""
        self._audit.figure(metric, by=by)  # raises for an unknown figure or column
        return charts.forest(self._audit, by or self._audit.columns[0], metric).figure

    def roc(self, *, by: str | None = None) -> Figure:
        """Return the ROC curve of each group that has an AUROC, the largest seven at most."""
        return charts.roc(self._audit, self._with_truth(by)).figure

    def calibration(self, *, by: str | None = None) -> Figure:
        """Return the observed share of positives against the mean score, by group."""
        return charts.calibration(self._audit, self._with_truth(by)).figure

    def chance(self, metric: str = "auroc", *, by: str | None = None) -> Figure:
        """Return the observed gap beside the gaps of groups that do not differ."""
        gap = self._audit.gap(metric, by=by)
        if gap.why:
            raise InputError(f"the gap in {metric} is missing: {gap.why}.")
        return charts.chance(self._audit, gap).figure

    def along(self, metric: str = "auroc", *, column: str | None = None) -> Figure:
        """Return the curve of a figure along a number, with its band (`Audit.along`)."""
        curves_along = self._audit.along(column)
        return curves.picture(curves_along, curves_along.curve(metric).metric).figure

    def case_mix(self, metric: str = "auroc", *, by: str | None = None) -> Figure:
        """Return each group minus the others, as it is and at equal case mix."""
        adjusted = self._audit.adjusted(by)
        if metric not in HEADLINE:
            raise InputError(
                f"'{metric}' has no plot at equal case mix; choose from {', '.join(HEADLINE)}."
            )
        return case_mix.picture(self._audit, adjusted, metric).figure

    def _with_truth(self, by: str | None) -> str:
        if not self._audit.study.truth:
            raise InputError("this audit has no target; only the selection rate can be drawn.")
        self._audit.figure("auroc", by=by)  # raises for an unknown column
        return by or self._audit.columns[0]


class PairedPlots:
    """The plots of a comparison of two models; from `Comparison.plot`."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison

    def forest(self, metric: str = "auroc", *, by: str | None = None) -> Figure:
        """Return A minus B by group, with 95 % intervals."""
        a = self._comparison.a
        a.figure(metric, by=by)  # raises for an unknown figure or column
        return charts.paired_forest(self._comparison, by or a.columns[0], metric).figure
