"""The estimates for one table of the paper, beside the published figures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm.errors import InputError
from equiderm.format import MISSING, count, number, percent, with_interval
from equiderm.page import PALETTE, figure_block, new_figure
from equiderm.records import Record
from equiderm.reproduce.rows import LeftOut

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from equiderm.reproduce.downloads import Download
    from equiderm.reproduce.work import Settings

NAN = float("nan")


@dataclass(frozen=True)
class Figure:
    """One cell of a table.

    Attributes:
        row: As the paper names it.
        column: Likewise.
        published: The paper's figure; NaN where it has none.
        value: Our estimate, the mean over seeds where models are trained; NaN where there is none.
        low: Lower end of its 95 % interval.
        high: Upper end.
        trivial: The figure of the best trivial answer.
        n: Images.
        positives: Positive images; None where nothing is diagnosed.
        origin: Source of the published figure.
    """

    row: str
    column: str
    published: float
    value: float = NAN
    low: float = NAN
    high: float = NAN
    trivial: float = NAN
    n: int = 0
    positives: int | None = None
    origin: str = "paper"

    @property
    def holds_published(self) -> bool | None:
        """Return whether the published figure lies in the interval; None where one is missing."""
        if math.isnan(self.published) or math.isnan(self.low):
            return None
        return self.low <= self.published <= self.high


Estimate = tuple[float, float, float]  # a value, and the ends of its interval


def written(
    estimate: Figure | Difference, *, as_percent: bool = False, with_sign: bool = False
) -> str:
    """Return a figure or a difference with its interval, as `with_interval` writes it."""
    ends = estimate.low, estimate.high
    return with_interval(estimate.value, *ends, as_percent=as_percent, with_sign=with_sign)


def difference_interval(first: Estimate, second: Estimate) -> Estimate:
    """Return first minus second with an interval: half widths in quadrature.

    Source:
        Zou and Donner 2008, Statistics in Medicine 27:1693 (MOVER). It takes the two as
        independent; where their errors agree, the interval is wider than necessary.
    """
    value = first[0] - second[0]
    return (
        value,
        value - math.hypot(first[0] - first[1], second[2] - second[0]),
        value + math.hypot(first[2] - first[0], second[0] - second[1]),
    )


@dataclass(frozen=True)
class Difference:
    """One row of a table minus another, on one column.

    Attributes:
        row: As the paper names it.
        base: The row that is subtracted.
        column: As the paper names it.
        published: The paper's difference; NaN where it lacks one.
        value: Our estimate, the mean over seeds.
        low: Lower end of its 95 % interval, adjusted for all differences; NaN for one seed.
        high: Upper end.
    """

    row: str
    base: str
    column: str
    published: float
    value: float
    low: float
    high: float

    @property
    def established(self) -> bool:
        """Return whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Result:
    """One table, or the reason why there is none.

    Attributes:
        name: As on the command line.
        title: What it shows.
        missing: Why it, or a part of it, did not run; empty where all did.
        percent: Whether figures are shown in per cent.
        figures: Its cells.
        differences: Of its rows, where something was trained.
        listed: Rows of the owners' tables that it starts from.
        left_out: Rows that are left out.
        kept: Images by part, such as by split.
        answers: What follows from it besides how it agrees with the paper, in sentences.
        notes: What a reader has to know.
        tables: Further tables, with their captions.
        pictures: Blocks of `equiderm.page`.
        detail: For the JSON: everything that was measured.
        page: File of the whole comparison, beside the page.
        trained_on: What stands in place of the paper's training data, such as ``isic2017 alone``;
            empty where all of it is there.
        seconds: How long it took in this call; results of an earlier one are reused.
    """

    name: str
    title: str
    missing: tuple[str, ...] = ()
    percent: bool = False
    figures: tuple[Figure, ...] = ()
    differences: tuple[Difference, ...] = ()
    listed: int = 0
    left_out: tuple[LeftOut, ...] = ()
    kept: Mapping[str, int] = field(default_factory=dict[str, int])
    answers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[tuple[str, pd.DataFrame], ...] = ()
    pictures: tuple[Any, ...] = ()
    detail: Any = None
    page: str = ""
    trained_on: str = ""
    seconds: float = 0.0

    @property
    def compared(self) -> tuple[Figure, ...]:
        """Return the figures that may stand against published ones: of the paper's own data."""
        return () if self.trained_on else self.figures

    @property
    def conclusions(self) -> tuple[str, ...]:
        """Return how many published figures lie in our intervals, and what else follows."""
        if not self.figures:
            return self.answers
        if self.trained_on:
            first = (
                "No published figure is compared with those from here, whose training data are "
                f"others ({self.trained_on})."
            )
        else:
            first = agreement_with_paper(self.figures, as_percent=self.percent)
        return (first, *self.answers)

    @property
    def status(self) -> str:
        """Return ``done``, ``in part`` or ``not run``."""
        if not self.listed:
            return "not run"
        return "in part" if self.missing else "done"


@dataclass(frozen=True, eq=False, repr=False)
class Reproduction(Record):
    """The tables that were asked for, as far as they have run.

    Attributes:
        settings: The options of the run.
        downloads: Every source that the tables need or use, there or not.
        results: One per table, in the paper's order.
    """

    settings: Settings
    downloads: Mapping[str, Download]
    results: tuple[Result, ...]

    @property
    def complete(self) -> bool:
        """Return whether everything ran."""
        return all(result.status == "done" for result in self.results)

    @property
    def plot(self) -> Plots:
        """The page's pictures as matplotlib figures: ``plot.published()``, ``plot.bands()``."""
        return Plots(self)


class Plots:
    """Pictures of a reproduction, as its page has them; see `Reproduction.plot`.

    Each is a new figure, unknown to pyplot: change ``figure.axes[0]``, then ``figure.savefig``.
    """

    def __init__(self, reproduction: Reproduction) -> None:
        self._results = {result.name: result for result in reproduction.results}

    def published(self, table: str | None = None) -> Canvas:
        """Return every figure of a table with its interval beside the published one.

        Args:
            table: Such as "table2"; by default the first that has figures.

        Raises:
            InputError: The table is unknown or has no figures; the message says why.
        """
        drawn = [name for name, result in self._results.items() if result.figures]
        name = table or next(iter(drawn), "")
        if name not in drawn:
            why = " ".join(self._results[name].missing) if name in self._results else ""
            raise InputError(
                f"'{name}' has no figures; tables with figures: {', '.join(drawn) or 'none'}."
                + (f" {why}" if why else "")
            )
        return picture(self._results[name]).figure

    def bands(self) -> Canvas:
        """Return Figure 4: the ISIC training images by band, under both estimators.

        Raises:
            InputError: It was not run; the message says why.
        """
        result = self._results.get("figure4")
        if result is None or not result.pictures:
            why = "ask for it by its name, figure4." if result is None else " ".join(result.missing)
            raise InputError(f"Figure 4 was not drawn: {why}")
        return result.pictures[-1].figure


def beside_published(result: Result) -> pd.DataFrame:
    """Return the table as the paper has it: each row twice, as published and as estimated here."""
    show = percent if result.percent else number
    columns = list(dict.fromkeys(figure.column for figure in result.figures))
    cells = {(figure.row, figure.column): figure for figure in result.figures}
    lines: list[dict[str, str]] = []
    for row in dict.fromkeys(figure.row for figure in result.figures):
        here = {c: cells[row, c] for c in columns if (row, c) in cells}
        paper = {c: show(figure.published) for c, figure in here.items()}
        origin = next((figure.origin for figure in here.values()), "paper")
        ours = {c: written(figure, as_percent=result.percent) for c, figure in here.items()}
        if any(text != MISSING for text in paper.values()):
            lines.append({"": row, "from": origin, **paper})
        if any(text != MISSING for text in ours.values()):
            lines.append({"": row, "from": from_here(result.trained_on), **ours})
    first = {c: next(figure for figure in result.figures if figure.column == c) for c in columns}
    trivial = {c: show(figure.trivial) for c, figure in first.items()}
    what = "best constant answer" if result.percent else "any constant score"
    lines.append({"": what, "from": "", **trivial})
    counts = {c: _count(figure) for c, figure in first.items()}
    diagnosed = any(figure.positives is not None for figure in first.values())
    lines.append({"": "images (positive)" if diagnosed else "images", "from": "", **counts})
    return pd.DataFrame(lines).fillna(MISSING)


def from_here(trained_on: str) -> str:
    """Return the name of rows estimated here, with their training data where it is not all."""
    return f"here, {trained_on}" if trained_on else "here"


def _count(figure: Figure) -> str:
    if not figure.n:
        return MISSING
    images = count(figure.n)
    return images if figure.positives is None else f"{images} ({count(figure.positives)})"


def agreement_with_paper(figures: Sequence[Figure], *, as_percent: bool = False) -> str:
    """Return how many published figures lie in our intervals, in a sentence."""
    known = [figure for figure in figures if figure.holds_published is not None]
    if not known:
        return "No published figure can be compared with one from here."
    held = sum(bool(figure.holds_published) for figure in known)
    width = statistics.median(figure.high - figure.low for figure in known)
    shown = f"{number(100 * width, 1)} percentage points" if as_percent else number(width)
    return (
        f"{held} of {len(known)} published figures that can be compared lie within the 95 % "
        f"intervals here, whose median width is {shown}: the wider, the weaker the evidence."
    )


def picture(result: Result) -> Any:
    """Return every figure with its interval beside the published one, one panel per column."""
    show = percent if result.percent else number
    columns = list(dict.fromkeys(figure.column for figure in result.figures if figure.n))
    rows = list(dict.fromkeys(figure.row for figure in result.figures))
    height = 0.9 + 0.34 * len(rows)
    per_line = min(3, len(columns))
    lines = math.ceil(len(columns) / per_line)
    canvas = new_figure(9.3, height * lines + 0.3)
    panels: Any = canvas.subplots(lines, per_line, squeeze=False, sharey=True)
    scale = 100 if result.percent else 1
    for panel, column in zip(panels.flat, columns, strict=False):
        for figure in (figure for figure in result.figures if figure.column == column):
            y = rows.index(figure.row)
            if not math.isnan(figure.value):
                ends = [scale * figure.low, scale * figure.high]
                panel.plot(ends, [y, y], color=PALETTE[0], linewidth=2)
                panel.plot(scale * figure.value, y, "o", color=PALETTE[0], markersize=5)
            if not math.isnan(figure.published):
                panel.plot(scale * figure.published, y, "D", color=PALETTE[1], mfc="none")
            panel.axvline(scale * figure.trivial, color="#666666", linewidth=1, linestyle=":")
        panel.set_title(column, fontsize="medium")
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.set_yticks(range(len(rows)), rows)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels.flat[len(columns) :]:
        panel.set_visible(False)
    described = "; ".join(
        f"{f.row}, {f.column}: published {show(f.published)}, "
        f"here {written(f, as_percent=result.percent)}"
        for f in result.figures
    )
    caption = (
        "Dots: estimated here, with 95 % intervals. Diamonds: published. Dotted: the best trivial "
        "answer."
    )
    return figure_block(canvas, alt=f"{result.title}. {described}.", caption=caption)
