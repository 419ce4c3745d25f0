"""``equiderm reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.reproduce import Reproduction


def reproduce(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="table1, table2, table3, labelling, figure4 or all of them."
        ),
    ],
    data: Annotated[
        Path, typer.Option(help="Folder of the downloads, a folder a source: DIR/isic2020, ...")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder of page, manifests, labels and runs. Default: reproduced, or "
            "reproduced-as-published.",
        ),
    ] = None,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="Follow the released code, faults included.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each row; the paper has one.")] = 5,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes. Default: one a core to label, one run a GPU to train."
        ),
    ] = None,
    experiments: Annotated[
        Path | None,
        typer.Option(help="Folder of experiment files in place of the project's own."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run the paper's tables again from the data sets as their owners ship them.

    Published numbers stand beside ours with 95 % intervals. What can run runs;
    downloads that are missing are named with how to get them. A reproduction
    that was stopped goes on; finished labels and runs are used. labelling and
    figure4 need no torch.

    Exit status: 0 all ran, 1 some could not, 2 unusable.

    Examples:
        equiderm reproduce labelling --data data
        equiderm reproduce all --data data -o reproduced --seeds 3
        equiderm reproduce table1 --data data --as-published
    """
    from equiderm.audit.report.export import as_text
    from equiderm.reproduce import TABLES, Settings
    from equiderm.reproduce import reproduce as run
    from equiderm.reproduce.report import file_stem, to_dict
    from equiderm.reproduce.story import project_experiments

    names = list(TABLES) if table == "all" else [table]
    settings = Settings(
        data=data,
        out=out or Path("reproduced-as-published" if as_published else "reproduced"),
        experiments=experiments or project_experiments(),
        as_published=as_published,
        seeds=seeds,
        workers=workers,
        watch=lambda sentence: typer.echo(sentence, err=True),
    )
    made = run(names, settings)
    if as_json:
        typer.echo(as_text(to_dict(made)), nl=False)
    else:
        _print(made)
        typer.echo(f"page: {settings.out / file_stem(names)}.html")
    if not made.complete:
        raise typer.Exit(1)


def _print(made: Reproduction) -> None:
    """Print each table beside the paper's, what ran, and how to get what is missing."""
    from equiderm.reproduce.report import left_out_table, run_table, source_table
    from equiderm.reproduce.result import beside_published

    for one in made.results:
        if one.listed:
            typer.echo(f"\n{one.title}\n")
            _print_table(left_out_table(one))
            shown = [beside_published(one)] if one.figures else [table for _, table in one.tables]
            for frame in shown:
                typer.echo("\n" + frame.to_string(index=False))
            for sentence in one.answers:
                typer.echo(sentence)
    typer.echo()
    _print_table(source_table(made))
    typer.echo()
    _print_table(run_table(made))


def _print_table(frame: pd.DataFrame) -> None:
    """Print a table of text, its last column wrapped to the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in frame.columns:
        right = name == "images"
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*map(str, row))
    Console().print(table, highlight=False)
