"""AUROC of many runs on one test set: means over seeds, intervals, paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from equiderm.audit.counting import Segments
from equiderm.audit.sampling import count_cells, lacking, make_resampler
from equiderm.statistics.bootstrap import replicate
from equiderm.statistics.intervals import holm

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.audit.input import Study

MIN_COUNT = 5  # positives and negatives behind a group's AUROC; as in an audit
LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """Every figure of every run, and of its bootstrap means.

    Attributes:
        figures: Names of the figures, F of them: ``overall``, the groups, ``worst``, ``gap``.
        values: Of each run, shape (experiments, seeds, F).
        drawn: Bootstrap means over seeds, shape (replicates, experiments, F).
        clusters: Patients (or images, where patients are unknown) that were drawn.
    """

    figures: tuple[str, ...]
    values: NDArray[np.float64]
    drawn: NDArray[np.float64]
    clusters: int


def spread(study: Study, scores: NDArray[np.float64], *, replicates: int, seed: int = 0) -> Spread:
    """Return the figures of every run, with their hierarchical bootstrap.

    A replicate draws patients within strata of their group, the same for every run, and, apart
    from that, seeds, the same for every experiment: runs of one seed start from the same weights.
    Of k seeds k - 1 are drawn, so that the variance over seeds is not too small by (k - 1) / k.

    Args:
        study: Targets, patients and one grouping; its score is not used.
        scores: Shape (experiments, seeds, n).
        replicates: How many.
        seed: Of the draws.

    Source:
        Crossed draws: Owen 2007, Annals of Applied Statistics 1:386. k - 1 of k: McCarthy and
        Snowden 1985, The Bootstrap and Finite Population Sampling.
    """
    grouping = study.groupings[0]
    kept = [k for k in range(len(grouping.labels)) if not why_missing(study, k)]
    runs = [[_segments(study, run, kept) for run in seeds] for seeds in scores]

    def count(weights: NDArray[Any]) -> NDArray[np.float64]:
        counted = [[segments.count(weights)[:, 0] for segments in seeds] for seeds in runs]
        return _with_worst_and_gap(np.moveaxis(np.array(counted), 2, 0))

    resampler = make_resampler(study, grouping)
    values = count(np.ones((1, len(study.target)), dtype=np.int64))[0]
    counted = replicate(
        lambda random, times: count(resampler.draw(random, times)),
        rows=len(study.target),
        replicates=replicates,
        seed=seed,
    )
    k = scores.shape[1]
    times = np.random.default_rng([seed, k]).multinomial(
        max(k - 1, 1), np.full(k, 1 / k), size=replicates
    )
    drawn = np.einsum("resf,rs->ref", counted, times / max(k - 1, 1))
    names = ("overall", *(grouping.labels[k] for k in kept), "worst", "gap")
    return Spread(names, values, drawn, resampler.clusters)


def why_missing(study: Study, group: int) -> str:
    """Return why a group has no AUROC, or nothing."""
    rows = np.flatnonzero(study.groupings[0].codes == group)
    return lacking(count_cells(study, rows, 0.5), "classes", MIN_COUNT)


def _segments(study: Study, score: NDArray[np.float64], kept: Sequence[int]) -> Segments:
    order = np.argsort(-score, kind="stable")
    codes = study.groupings[0].codes[order]
    rows = [order, *(order[codes == k] for k in kept)]
    return Segments(study.target, score, rows, levels={}, metrics=("auroc",))


def _with_worst_and_gap(auroc: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add each run's own worst group and gap to overall and groups, in the last axis."""
    groups = auroc[..., 1:]
    if groups.shape[-1] < 2:
        worst = gap = np.full(auroc.shape[:-1], np.nan)
    else:
        worst, gap = groups.min(-1), groups.max(-1) - groups.min(-1)
    return np.concatenate([auroc, worst[..., None], gap[..., None]], axis=-1)


def figure_table(found: Spread, names: Sequence[str]) -> pd.DataFrame:
    """Return one row for each experiment and figure: value, low, high, and the spread of seeds.

    ``seed_deviation`` is the standard deviation of the runs' values; NaN for one seed.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for e, name in enumerate(names):
        for f, figure in enumerate(found.figures):
            low, high, _ = interval(found.values[e, :, f], found.drawn[:, e, f], found.clusters)
            rows.append(
                {
                    "experiment": name,
                    "figure": figure,
                    "value": float(found.values[e, :, f].mean()),
                    "low": max(low, 0.0) if low == low else low,
                    "high": min(high, 1.0) if high == high else high,
                    "seed_deviation": _deviation(found.values[e, :, f]),
                }
            )
    return pd.DataFrame(rows)


def difference_table(
    found: Spread, names: Sequence[str], references: Sequence[str]
) -> pd.DataFrame:
    """Return the paired differences, experiment minus reference, for every figure.

    ``p_holm`` is Holm's adjustment over all comparisons of one figure, with every reference.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for f, figure in enumerate(found.figures):
        family: list[dict[str, Any]] = []
        for reference in references:
            r = names.index(reference)
            for e, name in enumerate(names):
                if name == reference or (name in references and e < r):
                    continue  # two references are compared once
                off = found.values[e, :, f] - found.values[r, :, f]
                drawn = found.drawn[:, e, f] - found.drawn[:, r, f]
                low, high, p = interval(off, drawn, found.clusters)
                row = {"experiment": name, "against": reference, "figure": figure}
                row |= {"difference": float(off.mean()), "low": low, "high": high, "p": p}
                family.append(row)
        for row, p in zip(family, holm([row["p"] for row in family]), strict=True):
            rows.append({**row, "p_holm": float(p)})
    return pd.DataFrame(rows)


def interval(
    values: NDArray[np.float64], drawn: NDArray[np.float64], clusters: int
) -> tuple[float, float, float]:
    """Return low, high and p (of no difference from 0) of the mean over seeds.

    The bootstrap gives the variance; with few seeds its part over seeds is itself unsure, so that
    quantiles are those of t with Welch and Satterthwaite's degrees of freedom.

    Args:
        values: Of each seed, shape (k,).
        drawn: Bootstrap means over seeds, shape (replicates,).
        clusters: Patients drawn.

    Source:
        Satterthwaite 1946, Biometrics Bulletin 2:110.
    """
    known = drawn[np.isfinite(drawn)]
    if len(known) < 2 or not np.isfinite(values).all():
        return float("nan"), float("nan"), float("nan")
    return t_interval(values, float(known.var(ddof=1)), clusters)


def t_interval(
    values: NDArray[np.float64], variance: float, clusters: int
) -> tuple[float, float, float]:
    """Return low, high and p of the mean of the seeds' values, whose variance is given."""
    from scipy import special

    mean, k = float(values.mean()), len(values)
    if variance <= 0:
        return mean, mean, float(mean == 0)
    over_seeds = min(float(values.var(ddof=1)) / k if k > 1 else 0.0, variance)
    over_images = variance - over_seeds
    uncertain = over_seeds**2 / max(k - 1, 1) + over_images**2 / max(clusters - 1, 1)
    freedom = variance**2 / uncertain
    error = float(np.sqrt(variance))
    half = float(special.stdtrit(freedom, (1 + LEVEL) / 2)) * error
    p = 2 * float(special.stdtr(freedom, -abs(mean) / error))
    return mean - half, mean + half, p


def _deviation(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
