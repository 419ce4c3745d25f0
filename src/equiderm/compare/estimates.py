"""Tables of a comparison: figures with intervals, and all differences adjusted together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from equiderm.compare.inference import Contrast, Estimate, level
from equiderm.statistics.intervals import ALPHA, holm_levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from equiderm.compare.spread import Spread

NAN = float("nan")


def figure_table(runs: Spread, names: Sequence[str]) -> pd.DataFrame:
    """Return one row for each experiment and figure: `TestSet.figures`."""
    rows: list[dict[str, Any]] = []
    for e, name in enumerate(names):
        for f, figure in enumerate(runs.figures):
            mean, low, high = level(runs, e, f)
            row = {"experiment": name, "figure": figure, "value": mean.value}
            if _is_turned(runs, figure):
                row["value"], low, high = -mean.value, -high, -low
            row |= {"low": low, "high": high, "seed_deviation": float(np.sqrt(mean.over_seeds))}
            rows.append({**row, "seeds": int(np.isfinite(runs.values[e, :, 0]).sum())})
    return pd.DataFrame(rows)


def run_table(runs: Spread, names: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    """Return every figure of every run: `TestSet.runs`."""
    return pd.DataFrame(
        [
            {"experiment": name}
            | ({"split": int(runs.split[s])} if runs.split.any() else {})
            | {"seed": seed, "figure": figure}
            | {"value": runs.values[e, s, f] * (-1 if _is_turned(runs, figure) else 1)}
            for e, name in enumerate(names)
            for s, seed in enumerate(seeds)
            for f, figure in enumerate(runs.figures)
        ]
    )


def difference_tables(
    spreads: Sequence[Spread], names: Sequence[str], references: Sequence[str], margin: float
) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Return `TestSet.differences` and `TestSet.needs` of every test set.

    Holm's adjustment is over all experiments, references, figures and test sets together.
    """
    rows: list[dict[str, Any]] = []
    estimates: list[Estimate] = []
    for t, runs in enumerate(spreads):
        for name, reference in _pairs(names, references):
            contrast = Contrast(runs, names.index(name), names.index(reference))
            for f, figure in enumerate(runs.figures):
                estimate = contrast.estimate(f)
                row = {"test": t, "experiment": name, "against": reference, "figure": figure}
                rows.append({**row, "difference": estimate.value, "seeds": estimate.seeds})
                estimates.append(estimate)
    p = np.array([estimate.p() for estimate in estimates])
    adjusted, alphas = holm_levels(p)
    for row, estimate, alone, after, alpha in zip(
        rows, estimates, p, adjusted, alphas, strict=True
    ):
        row["low"], row["high"] = estimate.interval()
        row["p"] = float(alone)
        row["low_holm"], row["high_holm"] = estimate.interval(alpha)
        row["p_holm"] = float(after)
        row["at_least"], row["at_most"] = estimate.interval(2 * ALPHA)
        if _is_turned(spreads[row["test"]], row["figure"]):
            _turn(row)
    columns = ["test", "experiment", "against", "figure", "difference", "seeds", "low", "high"]
    columns += ["p", "low_holm", "high_holm", "p_holm", "at_least", "at_most"]
    table = pd.DataFrame(rows, columns=columns)
    needed = _needs(rows, estimates, margin, ALPHA / max(int(np.isfinite(p).sum()), 1))
    return [
        tuple(
            every[every["test"] == t].drop(columns="test").reset_index(drop=True)
            for every in (table, needed)
        )
        for t in range(len(spreads))
    ]  # pyright: ignore[reportReturnType]


def _is_turned(runs: Spread, figure: str) -> bool:
    """Return whether a figure is negated inside: an error, of which less is better; not its gap."""
    return runs.measure.sign < 0 and figure != "gap"


def _turn(row: dict[str, Any]) -> None:
    row["difference"] = -row["difference"]
    for low, high in (("low", "high"), ("low_holm", "high_holm"), ("at_least", "at_most")):
        row[low], row[high] = -row[high], -row[low]


def _pairs(names: Sequence[str], references: Sequence[str]) -> list[tuple[str, str]]:
    """Return each experiment with each reference; two references are compared once."""
    return [
        (name, reference)
        for reference in references
        for name in names
        if name != reference
        and not (name in references and names.index(name) < names.index(reference))
    ]


def _needs(
    rows: list[dict[str, Any]], estimates: list[Estimate], margin: float, alpha: float
) -> pd.DataFrame:
    """Return what would establish a difference of the margin in the worst group."""
    needed: list[dict[str, Any]] = []
    for row, estimate in zip(rows, estimates, strict=True):
        if row["figure"] == "worst" and estimate.below:
            seeds, times = estimate.below[0].needed(margin, alpha)
            about = {key: row[key] for key in ("test", "experiment", "against")}
            needed.append({**about, "seeds": seeds, "images": times})
    return pd.DataFrame(needed, columns=["test", "experiment", "against", "seeds", "images"])
