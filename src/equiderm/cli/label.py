"""``equiderm label``: photographs in, one table of skin tones out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd


def label(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Folders (walked), image files, patterns, or a CSV or Parquet table with an "
            "'image' column.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The table to write: .parquet, .csv or .tsv.")
    ],
    method: Annotated[
        str,
        typer.Option(
            help="patch-max (the paper's, arctangent corrected), patch-max-arctan (as published), "
            "patch-median, whole, border-median, ycbcr, healthy-skin or robust (1,024 small cells; "
            "leaves out what is not skin, abstains where there is none)."
        ),
    ] = "patch-max",
    scheme: Annotated[
        str,
        typer.Option(
            help="Bands: paper, groh, kinyanjui, del-bino, 25-degrees, monk, or a file that "
            "`calibrate` saved."
        ),
    ] = "paper",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="all cores")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Decode large JPEGs at full size; several times slower.")
    ] = False,
    overlays: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a picture an image: what was measured."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="HTML", help="Write one offline page on the result.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an output made with other settings.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Label the skin tone of lesion photographs: one row an image.

    The table has the raw colour (L, a, b), the angle (ITA), its band, flags that say why a label
    may be wrong, and the reason where an image could not be read. Image folders are never written
    to. Killed and started again, the same command goes on where it stopped.

    Exit status: 0 all read, 1 some rows have an error, 2 unusable arguments.

    Examples:
        equiderm label photographs -o tones.csv --report tones.html
        equiderm label manifest.parquet --method robust -o tones.parquet --overlays overlays
    """
    import time

    from equiderm.tone import label as label_images

    started = time.monotonic()
    with _progress(as_json) as progress:
        tones = label_images(
            paths,
            method=method,
            scheme=scheme,
            exact=exact,
            workers=workers,
            output=output,
            overwrite=overwrite,
            overlays=overlays,
            progress=progress,
        )
    if report is not None:
        from equiderm.tone.report import write_report

        write_report(tones, report)
    seconds = time.monotonic() - started
    if as_json:
        _print_json(tones, output, report, seconds)
    else:
        print_summary(tones, output, report, seconds)
    if tones["error"].notna().any():
        raise typer.Exit(1)


class _progress:
    """A rich progress bar on stderr, with rate and time left."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        self._bar = Progress(
            TextColumn("labelling"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeLeft(),
            console=Console(stderr=True),
            disable=quiet,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, rate="")
        self._first: int | None = None

    def __enter__(self):
        self._bar.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _show(self, done: int, total: int) -> None:
        import time

        now = time.monotonic()
        if self._first is None:
            self._first, self._since = done, now
        spent = now - self._since
        rate = f"{(done - self._first) / spent:,.0f} a second" if spent > 0.5 else ""
        self._bar.update(self._task, completed=done, total=total, rate=rate)


def _print_json(tones: pd.DataFrame, output: Path, report: Path | None, seconds: float) -> None:
    import json

    from equiderm.tone.report import summarize

    files = {"output": str(output), "report": str(report) if report else None}
    typer.echo(json.dumps({**summarize(tones), **files, "seconds": round(seconds, 2)}))


def print_summary(
    tones: pd.DataFrame, output: Path, report: Path | None, seconds: float | None = None
) -> None:
    """Print the bands, flags and errors of a tone table."""
    from rich.console import Console
    from rich.table import Table

    from equiderm.tone.report import summarize

    summary = summarize(tones)
    console = Console()
    table = Table(title=f"{summary['method']}, scheme {summary['scheme']}", title_justify="left")
    for name in ("ITA band", "images", "share", "flagged"):
        table.add_column(name, justify="left" if name == "ITA band" else "right")
    for band in summary["bands"]:
        table.add_row(
            band["band"], f"{band['images']:,}", f"{band['share']:.1%}", f"{band['flagged']:,}"
        )
    console.print(table)
    for name, count in summary["flags"].items():
        console.print(f"  {name}: {count:,}", highlight=False)
    rate = f" in {seconds:.1f} s ({summary['images'] / seconds:,.0f} a second)" if seconds else ""
    console.print(
        f"{summary['images']:,} images{rate}, {summary['errors']:,} could not be read, "
        f"{summary['unmeasured']:,} have no measurable tone. Written: {output}"
        + (f", {report}" if report else ""),
        highlight=False,
        soft_wrap=True,
    )
    for row in tones[tones["error"].notna()].head(5).to_dict("records"):
        typer.echo(f"equiderm: {row['image']}: {row['error']}.", err=True)
