"""``equiderm reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.cli.console import Console, Json, Quiet

if TYPE_CHECKING:
    from equiderm.reproduce import Reproduction


def reproduce(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="table1, table2, table3, labelling, figure4 or all of them."
        ),
    ],
    data: Annotated[
        Path, typer.Option(help="Folder of the downloads, one folder per source: DIR/isic2020, ...")
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
            min=1, help="Processes. Default: one per core to label, one run per GPU to train."
        ),
    ] = None,
    experiments: Annotated[
        Path | None,
        typer.Option(help="Folder of experiment files in place of the project's own."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
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
    from equiderm.reproduce import TABLES, Settings
    from equiderm.reproduce import reproduce as run
    from equiderm.reproduce.report import file_stem, to_dict
    from equiderm.reproduce.story import project_experiments

    names = list(TABLES) if table == "all" else [table]
    console = Console(quiet=quiet, as_json=as_json)
    with console.progress("working") as bar:
        settings = Settings(
            data=data,
            out=out or Path("reproduced-as-published" if as_published else "reproduced"),
            experiments=experiments or project_experiments(),
            as_published=as_published,
            seeds=seeds,
            workers=workers,
            watch=console.note,
            bar=bar,
        )
        reproduction = run(names, settings)
    console.json(to_dict(reproduction))
    _print(console, reproduction)
    console.say(f"page: {settings.out / file_stem(names)}.html")
    if not reproduction.complete:
        raise typer.Exit(1)


def _print(console: Console, reproduction: Reproduction) -> None:
    """Print each table beside the paper's, what ran, and how to get what is missing."""
    from equiderm.reproduce.report import left_out_table, run_table, source_table
    from equiderm.reproduce.result import beside_published

    for one in reproduction.results:
        if one.listed:
            console.say()
            console.table(left_out_table(one), title=one.title)
            shown = [beside_published(one)] if one.figures else [table for _, table in one.tables]
            for frame in shown:
                console.say()
                console.table(frame)
            for sentence in one.answers:
                console.say(sentence)
    for frame in (source_table(reproduction), run_table(reproduction)):
        console.say()
        console.table(frame)
