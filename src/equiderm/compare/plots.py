"""The comparison's pictures as matplotlib figures, to restyle and to save."""

from __future__ import annotations

from typing import TYPE_CHECKING

from equiderm.compare import charts
from equiderm.compare.ranks import rank_table
from equiderm.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from equiderm.compare.result import Compared, TestSet


class Plots:
    """Pictures of a comparison, as its report has them; `Compared.plot` returns it.

    Each is a new figure, not registered with pyplot. ``test`` is the name of a test split, by
    default the first; ``figure`` is "overall", "worst", "gap" or a group.
    """

    def __init__(self, compared: Compared) -> None:
        self._compared = compared

    def pareto(self, *, test: str | None = None) -> Figure:
        """Return the worst group's figure against the overall one, a mark per experiment."""
        return charts.pareto(self._compared, self._test(test)).figure

    def levels(self, figure: str = "worst", *, test: str | None = None) -> Figure:
        """Return a figure of every experiment: mean, 95 % interval, every seed as a dot."""
        return charts.levels(self._compared, self._test(test, figure), figure).figure

    def differences(self, figure: str = "worst", *, test: str | None = None) -> Figure:
        """Return a figure's paired differences from every reference, intervals adjusted."""
        return charts.differences(self._compared, self._test(test, figure), figure).figure

    def curves(self, experiment: str | None = None) -> Figure:
        """Return losses and validation figures of an experiment (the first) by epoch."""
        table = self._compared.curves
        name = experiment or self._compared.names[0]
        pictures = charts.learning_curves(self._compared)
        drawn = list(dict.fromkeys(table["experiment"])) if len(table) else []
        if name not in drawn:
            raise InputError(
                f"there are no learning curves of '{name}'; there are of: "
                f"{', '.join(map(str, drawn)) or 'none'}."
            )
        return pictures[drawn.index(name)].figure

    def ranks(self) -> Figure:
        """Return mean ranks by the worst group's figure over the test splits.

        The bar is the critical difference.

        Raises:
            InputError: There is one test split only.
        """
        if len(self._compared.tests) < 2:
            raise InputError("ranks are over several test splits; this comparison has one.")
        return charts.ranks(self._compared, *rank_table(self._compared)).figure

    def _test(self, name: str | None, figure: str = "overall") -> TestSet:
        named = {test.split: test for test in self._compared.tests}
        if name is not None and name not in named:
            raise InputError(f"there is no test split '{name}'; there are {', '.join(named)}.")
        test = self._compared.tests[0] if name is None else named[name]
        known = list(dict.fromkeys(test.figures["figure"]))
        if figure not in known:
            raise InputError(f"there is no figure '{figure}'; choose one of {', '.join(known)}.")
        return test
