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
        str | None,
        typer.Argument(
            metavar="TABLE",
            help="table1, table2, table3, labelling, figure4, backbones, heads or all of them.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the downloads, one folder per source: DIR/isic2020, ..."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATH", help="A source in another folder; repeat it."),
    ] = None,
    needed: Annotated[
        bool,
        typer.Option(
            "--list", help="Print what is needed (sources, sizes, hours, registrations), and stop."
        ),
    ] = False,
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
    stand_in: Annotated[
        bool,
        typer.Option(
            "--stand-in",
            help="Where ISIC 2020 is absent, train on HAM10000, with a small network; every "
            "table says so.",
        ),
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

    Published numbers are shown beside ours with 95 % intervals. Tables whose data is there run;
    missing downloads are named with how to get them. An interrupted reproduction resumes; finished
    labels and runs are reused. labelling and figure4 need no torch.

    Exit status: 0 all ran, 1 some could not, 2 unusable.

    Examples:
        equiderm reproduce --list
        equiderm reproduce labelling --data data
        equiderm reproduce all --data data --source isic2020=/kaggle -o reproduced --seeds 3
        equiderm reproduce table1 --data data --as-published
    """
    from equiderm.errors import InputError
    from equiderm.reproduce import Settings
    from equiderm.reproduce import reproduce as run
    from equiderm.reproduce.report import file_stem, to_dict
    from equiderm.reproduce.story import choose, project_experiments

    console = Console(quiet=quiet, as_json=as_json)
    if needed:
        _list(console, choose(table or "all"), stand_in=stand_in)
        return
    if table is None:
        raise InputError("TABLE is missing: give table1, ..., or all; --list says what they need.")
    if data is None and not source:
        raise InputError("--data is missing: give the folder of the downloads; see --list.")
    names = choose(table)
    with console.progress("working", "") as bar:
        settings = Settings(
            data=data or Path(),
            out=out or Path("reproduced-as-published" if as_published else "reproduced"),
            experiments=experiments or project_experiments(),
            as_published=as_published,
            places=_places(source or []),
            stand_in=stand_in,
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


def _places(pairs: list[str]) -> dict[str, Path]:
    from equiderm.errors import InputError

    places: dict[str, Path] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise InputError(f"--source {pair}: give NAME=PATH, such as isic2020=/data/kaggle.")
        places[name] = Path(path)
    return places


def _list(console: Console, names: list[str], *, stand_in: bool) -> None:
    """Print what the parts need, before any folder exists."""
    from equiderm.format import MISSING, count, data_size, number
    from equiderm.reproduce.downloads import needed_parts, needed_sources
    from equiderm.reproduce.published import TABLES, gpu_hours

    parts = needed_parts(names, stand_in=stand_in)
    sources = needed_sources(names, stand_in=stand_in)
    console.json({"parts": parts, "sources": sources})
    console.table(
        [
            {
                "part": row["part"],
                "needs": ", ".join(row["needs"]),
                "tests": ", ".join(row["tests"]) or MISSING,
                "download": data_size(row["bytes"] or None)
                + (" and more" if row["bytes"] and row["size_unknown"] else ""),
                "GPU hours per seed": number(row["gpu_hours"], 1),
                "register for": ", ".join(row["register"]) or MISSING,
            }
            for row in parts
        ]
    )
    console.say()
    console.table(
        [
            {
                "source": row["source"],
                "": "optional" if row["optional"] else "",
                "images": count(row["images"]),
                "download": data_size(row["bytes"]),
                "get": row["get"],
            }
            for row in sources
        ]
    )
    console.say()
    hours = number(gpu_hours([TABLES[name] for name in names]), 1)
    wanted = [row for row in sources if not row["optional"]]
    whole = data_size(sum(row["bytes"] or 0 for row in wanted))
    unknown = [row["source"] for row in wanted if row["bytes"] is None]
    rest = f", {', '.join(unknown)} not counted (size not published)" if unknown else ""
    console.say(
        f"Together {whole} without the optional ones{rest}, and {hours} GPU hours per seed on the "
        "authors' two Titan RTX, by their logs; rows that tables share count once."
    )
    if any(TABLES[name].any_of for name in names):
        console.say(
            "table2 and figure4 run in part on isic2017 or isic2020 alone. The copies at 256 px "
            "(a Kaggle account) in place of isic2020 and isic2017 save some 35 GB. --stand-in: "
            "ham10000 (2.8 GB) trains where isic2020 is absent."
        )


def _print(console: Console, reproduction: Reproduction) -> None:
    """Print each table beside the paper's, what is told of the claims, what ran, the rest's way."""
    from equiderm.reproduce.claims import UNDECIDED
    from equiderm.reproduce.report import (
        claim_summary,
        claim_table,
        left_out_table,
        run_table,
        source_table,
    )
    from equiderm.reproduce.result import beside_published

    for result in reproduction.results:
        if result.listed:
            console.say()
            console.table(left_out_table(result), title=result.title)
            tables = [table for _, table in result.tables]
            for frame in [beside_published(result)] if result.figures else tables:
                console.say()
                console.table(frame)
            for sentence in result.answers:
                console.say(sentence)
    console.say()
    console.say(claim_summary(reproduction))
    claims = claim_table(reproduction).iloc[:, :2]
    told = claims[claims["verdict"] != UNDECIDED]
    for frame in filter(len, (told, source_table(reproduction), run_table(reproduction))):
        console.say()
        console.table(frame)
