"""``equiderm compare``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.cli.console import Console, Json, Quiet

if TYPE_CHECKING:
    from equiderm.compare import Compared


def compare(
    experiments: Annotated[
        list[Path],
        typer.Argument(metavar="EXPERIMENT.toml...", help="What to compare, ERM among them."),
    ],
    data: Annotated[
        Path, typer.Option(help="Manifest; splits train, maybe validation, and test or test-...")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write, .html.")],
    store: Annotated[
        Path | None,
        typer.Option(help="Folder of the decoded images; built once, beside the manifest."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="Features of the images in place of the images; see equiderm embed."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each experiment, in each split.")] = 5,
    splits: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Draw train, validation and test N times, by patient, and compare over all "
            "splits. Default: the manifest's own.",
        ),
    ] = None,
    search: Annotated[
        int,
        typer.Option(
            min=0,
            help="Draws of each experiment from its [search] ranges, the best by validation then "
            "compared.",
        ),
    ] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the runs. Default: runs beside the page.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="Column to group test sets by. Default: that of the experiments."),
    ] = None,
    tests: Annotated[
        str | None,
        typer.Option(help="Test splits, separated by commas. Default: all called test..."),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            help="Difference below which methods count as equivalent. Default: 0.03; of a number a "
            "tenth of its standard deviation."
        ),
    ] = None,
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going",
            help="Leave out a run that fails, and go on. One that diverges never stops the rest.",
        ),
    ] = False,
    share: Annotated[
        bool,
        typer.Option(
            "--share",
            help="Share the runs with the same command on other machines that see the folder: "
            "train those that no machine has begun, wait for the rest.",
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at a time. Default: one per GPU, else one per core."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train several experiments over several seeds, and compare them on every test split.

    First the verdict: whom a method helps, by how much, and what stays undecided. AUROC (of several
    classes their mean; of ordered ones weighted kappa; of a number mean absolute error) overall, of
    every group and of the worst, gaps, paired differences against each ERM, how well the group can
    be read from the features, and the cost, each with its interval. Finished runs are reused; an
    interrupted comparison resumes; two in one folder take turns, or with --share divide the runs.
    JSON, and tables as CSV and LaTeX, are written beside the page.

    Examples:
        equiderm compare erm.toml lntl.toml --data manifest.parquet -o comparison.html
        equiderm compare erm.toml tabe.toml --data manifest.parquet -o page.html --margin 0.02
        equiderm compare erm.toml lntl.toml --data manifest.parquet -o page.html --search 8
        equiderm compare erm.toml dfr.toml --data all.parquet -o page.html --splits 10 --seeds 1
        equiderm compare erm.toml clgr.toml --data all.parquet -o page.html --by fitzpatrick_type
        equiderm compare erm.toml dfr.toml --data all.parquet --features all-f.parquet -o page.html
    """
    from equiderm.errors import InputError, InUse, require_training
    from equiderm.files import only_one

    require_training()
    from equiderm.compare import as_dict, read_files
    from equiderm.compare import compare as measure
    from equiderm.compare.report import write

    console = Console(quiet=quiet, as_json=as_json)
    if output.suffix.lower() != ".html":
        raise InputError(f"{output}: a page's name ends in .html; rename it.")
    with contextlib.suppress(InUse), only_one(output):  # a folder that cannot be written, now
        pass
    with console.progress("decoding") as bar:
        material = read_files(experiments, data, store=store, features=features, progress=bar)
    if count := len(material.unreadable):
        why = "cannot be read" if features is None else f"have no features in {features}"
        console.warn(f"{count:,} images {why} and are left out; the page names them.")
    with console.progress("comparing", "runs") as bar:
        compared = measure(
            material.experiments,
            material.manifest,
            out or output.with_name("runs"),
            images=material.images,
            by=by,
            tests=_names(tests) if tests else None,
            splits=_splits(splits),
            seeds=seeds,
            search=search,
            margin=margin,
            workers=workers or default_workers(),
            keep_going=keep_going,
            share=share,
            watch=console.note,
            progress=bar,
            unreadable=material.unreadable,
        )
    files = write(compared, output)
    console.json(as_dict(compared))
    print_comparison(compared, console)
    console.say(f"page: {files[0]}; tables: {files[-1].parent}")
    if count or len(compared.failed):
        raise typer.Exit(1)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _splits(text: str | None) -> int | list[str]:
    """Return the number of splits; or names of test sets, as before --tests."""
    if text is None:
        return 1
    return int(text) if text.strip().lstrip("-").isdecimal() else _names(text)


def default_workers() -> int:
    """Return one run per GPU, else one per core."""
    import torch

    from equiderm.engine import default_workers as cores

    return torch.cuda.device_count() or cores()


def print_comparison(compared: Compared, console: Console | None = None) -> None:
    """Print the answer, and below it the tables of each test split."""
    from equiderm.compare.answer import answer
    from equiderm.compare.tables import difference_rows, figures_by_group, probe_rows
    from equiderm.format import counted

    console, what = console or Console(), compared.about.name
    for sentence in answer(compared):
        console.say(sentence)
    for test in compared.tests:
        over = f" of {counted(len(compared.splits), 'split')}" if len(compared.splits) else ""
        title = f"\n{test.split}{over}: {test.n:,} images of {test.patients:,} patients, {what}"
        console.say(title)
        console.table(figures_by_group(compared, test))
        for reference in compared.references:
            table = difference_rows(compared, test, reference)
            if len(table):
                console.say()
                console.table(table)
        if len(probes := probe_rows(compared, test)):
            console.say()
            console.table(probes)
