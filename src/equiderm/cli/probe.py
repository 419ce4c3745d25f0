"""``equiderm probe``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.cli.console import Console, Json, Quiet
from equiderm.errors import InputError, require_training
from equiderm.format import counted, interval, number

if TYPE_CHECKING:
    from equiderm.training import NumberProbe, Probe


def probe(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of equiderm train.")],
    data: Annotated[Path, typer.Option(help="Manifest with the run's group column.")],
    split: Annotated[
        str | None, typer.Option(help="Only rows of this split, best one not trained on: test.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="Image store of equiderm train; without it, images are decoded again."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="Features of the images in place of the images; see equiderm embed."),
    ] = None,
    quiet: Quiet = False,
    json_out: Json = False,
) -> None:
    """Measure how well skin tone can still be read from a run's features.

    Two fresh probes, a linear one and a small network, predict the group for patients that they
    were not trained on. Their balanced accuracies are shown with 95 % intervals, chance, and those
    of the untrained backbone; for a number, Spearman's correlations. A group is unlearned only
    where neither reads it, and even then another may. Each group column has a table of its own.

    Examples:
        equiderm probe runs/lntl --data manifest.parquet --split test
    """
    from dataclasses import asdict

    require_training()

    from equiderm.training import load_run
    from equiderm.training import probe as measure
    from equiderm.training.images import images_of_run, read_rows, rows_of_split

    console = Console(quiet=quiet, as_json=json_out)
    trained = load_run(run)
    columns = [attribute.name for attribute in trained.attributes]
    frame = rows_of_split(read_rows([data], group=columns), split)
    if "split" in frame.columns:
        seen = (frame["split"].astype(str) == trained.experiment.data.train).sum()
        if seen:
            console.warn(
                f"{seen:,} of {counted(len(frame), 'image')} are of the split that the run trained "
                "on: what it learned by heart reads otherwise in new images."
            )
    with contextlib.ExitStack() as decoded:
        with console.progress("decoding") as bar:
            images, readable, errors = decoded.enter_context(
                images_of_run(trained, frame, store=store, features=features, progress=bar)
            )
        with console.progress("probing") as bar:
            probes = measure(
                trained, images, readable, note=console.warn, progress=bar, leave_out=True
            )
    if not probes:
        raise InputError(f"{data}: no column has two groups of 5 patients or more to probe for.")
    console.json([asdict(result) for result in probes])
    for column in dict.fromkeys(result.group for result in probes):
        of_column = [result for result in probes if result.group == column]
        console.table(
            [row for result in of_column for row in _rows(result)],
            title=f"How well {column} is read from the features: "
            f"{counted(of_column[0].n, 'image')} of {counted(of_column[0].patients, 'patient')}, "
            f"each in one fold; {of_column[0].figure}, 95 % interval",
        )
    if len(errors):
        console.warn(f"{counted(len(errors), 'image')} left out, as they cannot be read.")
        raise typer.Exit(1)


def _rows(result: Probe | NumberProbe) -> list[dict[str, object]]:
    figures = {
        "linear": (result.value, result.low, result.high),
        "network": (result.mlp, result.mlp_low, result.mlp_high),
    }
    return [
        {
            "features": result.features,
            "probe": kind,
            result.figure: number(value),
            "interval": interval(low, high),
            "chance": number(result.chance),
        }
        for kind, (value, low, high) in figures.items()
    ]
