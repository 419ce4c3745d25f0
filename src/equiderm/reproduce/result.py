"""What one table of the paper came to here, beside what was published."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from equiderm.errors import InputError
from equiderm.format import MISSING, count, number, percent, with_interval
from equiderm.page import PALETTE, figure_block
from equiderm.records import Record
from equiderm.reproduce.rows import LeftOut

if TYPE_CHECKING:
    import pandas as pd
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
        value: Ours, the mean over seeds where something was trained; NaN where there is none.
        low: Lower end of its 95 % interval.
        high: Upper end.
        trivial: What the best trivial answer gets.
        n: Images.
        positives: Of them; None where nothing is diagnosed.
        origin: Where the published figure stands.
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


@dataclass(frozen=True)
class Difference:
    """One row of a table minus another, on one column.

    Attributes:
        row: As the paper names it.
        base: The row that is subtracted.
        column: As the paper names it.
        published: The paper's difference; NaN where it lacks one.
        value: Ours, the mean over seeds.
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
        """Return whether the interval leaves 0 out."""
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
        answers: What follows from it, in sentences.
        notes: What a reader has to know.
        tables: Further tables, with their captions.
        pictures: Blocks of `equiderm.page`.
        detail: For the JSON: everything that was measured.
        page: File of the whole comparison, beside the page.
        trained_on: What stands in place of the paper's training data, such as ``isic2017 alone``;
            empty where all of it is there.
        seconds: How long it took, less whatever an earlier call had left.
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
    def status(self) -> str:
        """Return ``done``, ``in part`` or ``not run``."""
        if not self.listed:
            return "not run"
        return "in part" if self.missing else "done"


@dataclass(frozen=True, eq=False, repr=False)
class Reproduction(Record):
    """What was asked for, so far.

    Attributes:
        settings: As asked.
        downloads: Every source that the tables need or use, there or not.
        results: One per table, in the paper's order.
    """

    settings: Settings
    downloads: Mapping[str, Download]
    results: tuple[Result, ...]

    @property
    def complete(self) -> bool:
        """Return whether everything ran."""
        return all(one.status == "done" for one in self.results)

    @property
    def plot(self) -> Plots:
        """The page's pictures as matplotlib figures: ``plot.published()``, ``plot.bands()``."""
        return Plots(self)


class Plots:
    """Pictures of a reproduction, as its page has them; `Reproduction.plot` is the way in.

    Each is a new figure that pyplot knows nothing of: change ``figure.axes[0]``, then
    ``figure.savefig``.
    """

    def __init__(self, reproduction: Reproduction) -> None:
        self._results = {one.name: one for one in reproduction.results}

    def published(self, table: str | None = None) -> Canvas:
        """Return every figure of a table with its interval beside the published one.

        Args:
            table: Such as "table2"; by default the first that has figures.

        Raises:
            InputError: The table is unknown or has no figures; the message says why.
        """
        drawn = [name for name, one in self._results.items() if one.figures]
        name = table or next(iter(drawn), "")
        if name not in drawn:
            why = " ".join(self._results[name].missing) if name in self._results else ""
            raise InputError(
                f"there are no figures of '{name}'; there are of: {', '.join(drawn) or 'none'}."
                + (f" {why}" if why else "")
            )
        return picture(self._results[name]).figure

    def bands(self) -> Canvas:
        """Return Figure 4: the ISIC training images by band, under both estimators.

        Raises:
            InputError: It was not run; the message says why.
        """
        one = self._results.get("figure4")
        if one is None or not one.pictures:
            why = " ".join(one.missing) if one is not None else "ask for it by its name, figure4."
            raise InputError(f"Figure 4 was not drawn: {why}")
        return one.pictures[-1].figure


def beside_published(result: Result) -> pd.DataFrame:
    """Return the table as the paper has it: each row twice, as published and as estimated here."""
    import pandas as pd

    show = percent if result.percent else number
    columns = list(dict.fromkeys(one.column for one in result.figures))
    cells = {(one.row, one.column): one for one in result.figures}
    lines: list[dict[str, str]] = []
    for row in dict.fromkeys(one.row for one in result.figures):
        here = {c: cells[row, c] for c in columns if (row, c) in cells}
        paper = {c: show(one.published) for c, one in here.items()}
        origin = next((one.origin for one in here.values()), "paper")
        ours = {c: _estimate(one, result) for c, one in here.items()}
        if any(text != MISSING for text in paper.values()):
            lines.append({"": row, "from": origin, **paper})
        if any(text != MISSING for text in ours.values()):
            lines.append({"": row, "from": from_here(result), **ours})
    first = {c: next(one for one in result.figures if one.column == c) for c in columns}
    trivial = {c: show(one.trivial) for c, one in first.items()}
    what = "best constant answer" if result.percent else "any constant score"
    lines.append({"": what, "from": "", **trivial})
    counts = {c: _count(one) for c, one in first.items()}
    what = "images" if all(one.positives is None for one in first.values()) else "images (positive)"
    lines.append({"": what, "from": "", **counts})
    return pd.DataFrame(lines).fillna(MISSING)


def from_here(result: Result) -> str:
    """Return what a row that was estimated here is called: with its training data, if not all."""
    return f"here, {result.trained_on}" if result.trained_on else "here"


def _estimate(one: Figure, result: Result) -> str:
    return with_interval(one.value, one.low, one.high, as_percent=result.percent)


def _count(one: Figure) -> str:
    if not one.n:
        return MISSING
    return count(one.n) if one.positives is None else f"{count(one.n)} ({count(one.positives)})"


def agreement_with_paper(figures: Sequence[Figure], *, as_percent: bool = False) -> str:
    """Return how many published figures lie in our intervals, in a sentence."""
    known = [one for one in figures if one.holds_published is not None]
    if not known:
        return "No published figure can be set beside one from here."
    held = sum(bool(one.holds_published) for one in known)
    width = statistics.median(one.high - one.low for one in known)
    shown = f"{number(100 * width, 1)} percentage points" if as_percent else number(width)
    return (
        f"{held} of {len(known)} published figures that can be compared lie within the 95 % "
        f"intervals here, whose median width is {shown}: the wider, the less it "
        "tells."
    )


def picture(result: Result) -> Any:
    """Return every figure with its interval beside the published one, one panel per column."""
    from matplotlib.figure import Figure as Canvas

    show = percent if result.percent else number
    columns = list(dict.fromkeys(one.column for one in result.figures if one.n))
    rows = list(dict.fromkeys(one.row for one in result.figures))
    height = 0.9 + 0.34 * len(rows)
    per_line = min(3, len(columns))
    lines = math.ceil(len(columns) / per_line)
    canvas = Canvas(figsize=(9.3, height * lines + 0.3), layout="constrained")
    panels: Any = canvas.subplots(lines, per_line, squeeze=False, sharey=True)
    scale = 100 if result.percent else 1
    for panel, column in zip(panels.flat, columns, strict=False):
        for one in (one for one in result.figures if one.column == column):
            y = rows.index(one.row)
            if not math.isnan(one.value):
                ends = [scale * one.low, scale * one.high]
                panel.plot(ends, [y, y], color=PALETTE[0], linewidth=2)
                panel.plot(scale * one.value, y, "o", color=PALETTE[0], markersize=5)
            if not math.isnan(one.published):
                panel.plot(scale * one.published, y, "D", color=PALETTE[1], mfc="none")
            panel.axvline(scale * one.trivial, color="#666666", linewidth=1, linestyle=":")
        panel.set_title(column, fontsize="medium")
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.set_yticks(range(len(rows)), rows)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels.flat[len(columns) :]:
        panel.set_visible(False)
    described = "; ".join(
        f"{one.row}, {one.column}: published {show(one.published)}, here {_estimate(one, result)}"
        for one in result.figures
    )
    caption = (
        "Dots: estimated here, with 95 % intervals. Diamonds: published. Dotted: the best trivial "
        "answer."
    )
    return figure_block(canvas, alt=f"{result.title}. {described}.", caption=caption)
