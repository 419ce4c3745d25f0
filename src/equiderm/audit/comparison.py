"""Paired comparison of two models on the same images: overall, by group, and of the gaps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.counting import Segments
from equiderm.audit.metrics import HEADLINE, METRICS
from equiderm.audit.sampling import cells, make_resampler
from equiderm.audit.shown import report
from equiderm.errors import InputError
from equiderm.format import json_text
from equiderm.identity import match_rows
from equiderm.records import Record
from equiderm.statistics.bootstrap import replicate
from equiderm.statistics.estimates import Scaled, Share
from equiderm.statistics.intervals import ALPHA, Z95, holm_levels, percentile
from equiderm.statistics.simultaneous import Difference, beside, paired, same_rows

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from equiderm.audit.audit import Audit
    from equiderm.audit.groups import ByGroup
    from equiderm.audit.input import Study
    from equiderm.audit.report.plots import PairedPlots


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Record):
    """Model A minus model B; from `Audit.compare`.

    Attributes:
        table: One row per column, group ("overall", a group, "gap") and figure: the figure of A and
            of B, and their difference with a 95 % interval and p of this difference alone. Columns
            in ``_holm`` are adjusted over the groups and, for AUROC, sensitivity and specificity,
            over these three ("overall" only over the three). An interval excludes 0 exactly if its
            p is below 0.05. ``better`` is "a" or "b" if ``p_holm`` is below 0.05.
    """

    a: Audit
    b: Audit
    table: pd.DataFrame

    @property
    def audits(self) -> tuple[Audit, ...]:
        """Both audits."""
        return self.a, self.b

    def answer(self) -> tuple[str, ...]:
        """Return which model is better, for whom, and how certain that is."""
        return report().paired.paired_answer(self)

    def summaries(self, *, crossed: bool = True) -> list[tuple[str, pd.DataFrame]]:
        """Return titles and small tables of text for a terminal, one per grouping.

        Args:
            crossed: Whether intersections of the group columns are included.
        """
        return [
            (f"A minus B by {by}", report().tables.paired_table(self, by, HEADLINE))
            for by in (self.a.results if crossed else self.a.columns)
        ]

    def to_html(self) -> str:
        """Return the comparison as one HTML page that needs no network."""
        return report().page.render_comparison(self)

    def to_markdown(self) -> str:
        """Return the paired differences as Markdown."""
        return report().export.comparison_to_markdown(self)

    def to_json(self) -> str:
        """Return the comparison as JSON, in the schema "equiderm.comparison/1"."""
        return json_text(report().export.comparison_to_dict(self))

    @property
    def plot(self) -> PairedPlots:
        """The report's pictures as matplotlib figures: ``plot.forest("auroc")``."""
        return report().plots.PairedPlots(self)

    def _repr_html_(self) -> str:
        return report().export.fragment(self.answer(), self.summaries(crossed=False))


@dataclass(frozen=True)
class Comparisons:
    """The first of several models minus each of the others, on the same images."""

    pairs: tuple[Comparison, ...]

    @property
    def audits(self) -> tuple[Audit, ...]:
        """Every model's audit, the first model's first."""
        return self.pairs[0].a, *(pair.b for pair in self.pairs)

    def answer(self) -> tuple[str, ...]:
        """Return the answers of all pairs."""
        return tuple(sentence for pair in self.pairs for sentence in pair.answer())

    def summaries(self) -> list[tuple[str, pd.DataFrame]]:
        """Return titles and small tables of text for a terminal, of all pairs."""
        return [
            (f"{title} (B is {pair.b.provenance.model or pair.b.study.name})", table)
            for pair in self.pairs
            for title, table in pair.summaries()
        ]

    def to_html(self) -> str:
        """Return all comparisons as one HTML page that needs no network."""
        return report().page.render_comparisons(self.pairs)

    def to_markdown(self) -> str:
        """Return all paired differences as Markdown."""
        return "\n".join(pair.to_markdown() for pair in self.pairs)

    def to_json(self) -> str:
        """Return the comparisons as JSON: ``comparisons``, each "equiderm.comparison/1"."""
        pairs = [report().export.comparison_to_dict(pair) for pair in self.pairs]
        return json_text({"schema": "equiderm.comparisons/1", "comparisons": pairs})


def compare(a: Audit, b: Audit) -> Comparison:
    """Return A minus B on the same images.

    AUROC, shares and means are compared by each patient's contribution to both; other figures by a
    bootstrap that draws the same patients for both.

    Raises:
        InputError: The two do not audit the same images by the same groups.
    """
    import pandas as pd

    first, study = _aligned(a.study, b.study)
    a = a if first is a.study else replace(a, study=first)
    paired = replace(b, study=study, options=a.options)
    rows: list[dict[str, Any]] = []
    for by in a.results:
        rows += _compare_column(a.results[by], paired.results[by], by)
    return Comparison(a, paired, pd.DataFrame(rows))


def _aligned(one: Study, other: Study) -> tuple[Study, Study]:
    """Return both studies with the images that both have, in the order of the first.

    Raises:
        InputError: Their rows cannot be paired, or differ in target, weight or group.
    """
    if one.ids is not None and other.ids is not None:
        one, other = _shared(one, other)
    elif len(one.target) != len(other.target):
        raise InputError(
            f"{one.name} has {len(one.target)} rows and {other.name} {len(other.target)}; name the "
            'column that identifies an image, as in `image="image_id"`.'
        )
    if (one.target != other.target).any():
        row = int(np.flatnonzero(one.target != other.target)[0]) + 1
        raise InputError(
            f"{other.name}: its target in row {row} differs from that of {one.name}; compare two "
            "models on the same images and targets."
        )
    mine, theirs = (np.ones(len(s.target)) if s.weight is None else s.weight for s in (one, other))
    if not np.allclose(mine, theirs):
        raise InputError(
            f"{other.name}: its weights differ from those of {one.name}; give an image the same "
            "weight for both models."
        )
    same = [
        x.labels == y.labels and (x.codes == y.codes).all()
        for x, y in zip(one.groupings, other.groupings, strict=True)
    ]
    if not all(same):
        raise InputError(
            f"{other.name}: its groups differ from those of {one.name}; give both the same groups."
        )
    return one, other


def _shared(one: Study, other: Study) -> tuple[Study, Study]:
    """Return the paired rows of the images that both have, with a note on those left out."""
    import pandas as pd

    assert one.ids is not None
    assert other.ids is not None
    mine, theirs = (pd.Series(study.ids, dtype="string") for study in (one, other))
    rows = match_rows(mine, theirs, (one.name, other.name))
    kept, only = rows.left, len(one.ids) + len(other.ids) - 2 * len(rows.left)
    other = other.take(rows.right)
    if not only:
        return one, other
    note = f"{only:,} images that only one of the models has are left out; {len(kept):,} remain."
    one = one.take(kept)
    return replace(one, notes=(*one.notes, note)), replace(other, notes=(*other.notes, note))


def _compare_column(a: ByGroup, b: ByGroup, by: str) -> list[dict[str, Any]]:
    drawn_a, drawn_b = _paired_replicates(a, b)
    segments = ["overall", *a.grouping.labels]
    rows: list[dict[str, Any]] = []
    families: dict[object, list[tuple[dict[str, Any], Difference | None]]] = {}
    for m, metric in enumerate(METRICS):
        for s, group in enumerate(segments):
            one, other = a.value(metric, group)[0], b.value(metric, group)[0]
            row = {"by": by, "group": group, "figure": metric, "a": one, "b": other}
            if METRICS[metric].influence is not None and one == one and other == other:
                difference = closed_difference(a, b, metric, group)
            else:
                difference = _drawn(one, other, drawn_a[:, m, s] - drawn_b[:, m, s])
            rows.append(row | _ends(difference))
            family = "figures" if metric in HEADLINE else metric, group == "overall"
            families.setdefault(family, []).append((rows[-1], difference))
        if gap := _gap_row(a, b, by, metric, (drawn_a[:, m], drawn_b[:, m])):
            rows.append(gap[0])
            families[metric, "gap"] = [gap]
    for family in families.values():
        _adjust(family)
    return rows


def _adjust(family: list[tuple[dict[str, Any], Difference | None]]) -> None:
    """Add Holm's adjustment to the rows of a family of differences."""
    from scipy import special

    adjusted, alphas = holm_levels([row["p"] for row, _ in family])
    for (row, difference), p, alpha in zip(family, adjusted, alphas, strict=True):
        low, high = row["low"], row["high"]
        if difference is not None and alpha < ALPHA:
            low, high = difference.interval(-float(special.ndtri(alpha / 2)))
        p = beside(float(p), low, high) if p == p else float(p)
        row |= {"low_holm": low, "high_holm": high, "p_holm": p}
        row["better"] = (
            "" if row["group"] == "gap" else _better(row["figure"], row["difference"], p)
        )


def _better(metric: str, difference: float, p: float) -> str:
    """Return "a" or "b" if one is better beyond chance, else an empty text."""
    if not p < ALPHA or not METRICS[metric].better:
        return ""
    return "a" if difference * METRICS[metric].better > 0 else "b"


def _ends(difference: Difference | None) -> dict[str, float]:
    """Return value, 95 % interval and p of a difference; NaN for None."""
    if difference is None:
        return dict.fromkeys(("difference", "low", "high", "p"), float("nan"))
    low, high = difference.interval(Z95)
    nothing_varies = low == high == difference.value
    p = float(difference.value == 0) if nothing_varies else difference.p
    return {"difference": difference.value, "low": low, "high": high, "p": p}


def closed_difference(a: ByGroup, b: ByGroup, metric: str, group: str) -> Difference:
    """Return the paired difference of a figure from each row's contribution to it."""
    place = a.names.index(group)
    rows, others = a.rows[place], b.rows[place]
    study = a.study
    one, other = a.estimate(metric, group), b.estimate(metric, group)
    # Equal scores of a group can differ by a threshold that is chosen on all groups.
    if one.value == other.value and (study.score[rows] == b.study.score[rows]).all():
        return Difference(Scaled(0.0, 0.0, 0.0), Scaled(0.0, 0.0, 0.0))
    if METRICS[metric].is_of_fixed_rows and isinstance(one, Share) and isinstance(other, Share):
        rows = rows[cells(study, rows, a.options.threshold)[METRICS[metric].needs]]
        return same_rows(
            *(one, other, [_counts_in(metric, by, rows) for by in (a, b)]),
            weight=study.weight_of(rows),
            patient=study.patient_of(rows),
        )
    whole = np.zeros((2, len(study.target)))
    whole[0, rows], whole[1, others] = a.influence(metric, group), b.influence(metric, group)
    return paired(one, other, (whole[0], whole[1]), study.patient)


def _counts_in(metric: str, by: ByGroup, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return whether each row counts in a share, 1 or 0: the figure of that row alone."""
    formula, cut = METRICS[metric].formula, by.options.threshold
    assert formula is not None
    target, called = by.study.target[rows], by.study.score[rows] >= cut
    each = (called & target, called & ~target, target, ~target)
    return formula(*(cell.astype(np.float64) for cell in each), cut)


def _paired_replicates(a: ByGroup, b: ByGroup) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return bootstrap figures of both, shape (replicates, metrics, 1 + groups), same draws."""
    count = 1 + len(a.groups)
    resampler = make_resampler(a.study, a.grouping)  # all rows; `ByGroup`'s omits large groups
    both = [
        Segments(
            *(results.study.target, results.study.score, results.rows[:count]),
            levels=results.levels,
            weight=results.study.weight,
            place=resampler.place,
        )
        for results in (a, b)
    ]

    def figures(random: np.random.Generator, times: int) -> NDArray[np.float64]:
        weights = resampler.draw(random, times)
        return np.stack([segments.count(weights) for segments in both], axis=1)

    drawn = replicate(
        figures,
        rows=len(a.study.target),
        replicates=a.options.replicates,
        seed=a.options.seed + 3,
    )
    return drawn[:, 0], drawn[:, 1]


def _drawn(a: float, b: float, off: NDArray[np.float64]) -> Difference | None:
    """Return A minus B with its bootstrap interval.

    None without finite replicates, or if they do not vary: then too few patients are resampled,
    and an interval without width would be no evidence.
    """
    value = a - b
    known = off[np.isfinite(off)]
    if value != value or len(known) < 2 or (value != 0 and np.ptp(known) == 0):
        return None
    low, high = percentile(known)
    return Difference(Scaled(value, min(low, value), max(high, value)), Scaled(0.0, 0.0, 0.0))


def _gap_row(
    a: ByGroup,
    b: ByGroup,
    by: str,
    metric: str,
    drawn: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[dict[str, Any], Difference | None] | None:
    names = [name for name in a.compared(metric) if name in b.compared(metric)]
    if len(names) < 2:
        return None
    columns = [1 + a.grouping.labels.index(name) for name in names]
    gaps = [float(np.ptp([by.value(metric, name)[0] for name in names])) for by in (a, b)]
    off = np.ptp(drawn[0][:, columns], axis=1) - np.ptp(drawn[1][:, columns], axis=1)
    row = {"by": by, "group": "gap", "figure": metric, "a": gaps[0], "b": gaps[1]}
    difference = _drawn(gaps[0], gaps[1], off)
    return row | _ends(difference), difference
