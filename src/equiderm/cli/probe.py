"""``equiderm probe``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.cli.console import Console, Json, Quiet
from equiderm.errors import require_training
from equiderm.format import counted, interval, number

if TYPE_CHECKING:
    from equiderm.training import Probe


def probe(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of equiderm train.")],
    data: Annotated[Path, typer.Option(help="Manifest with the run's group column.")],
    split: Annotated[
        str | None, typer.Option(help="Only rows of this split; test answers best.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="Store of equiderm train that holds the images; else decoded again."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="Features of the images in place of the images; see equiderm embed."),
    ] = None,
    quiet: Quiet = False,
    json_out: Json = False,
) -> None:
    """Measure how well skin tone can still be read from a run's features.

    Two fresh probes, a linear one and a small network, name the group of images of patients that
    they have not seen. Their balanced accuracies stand beside their 95 % intervals, chance, and
    what the untrained backbone gives. A group is unlearned only where neither reads it.

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
    group = trained.about["group"]
    frame = rows_of_split(read_rows([data], group=group), split)
    with contextlib.ExitStack() as decoded:
        with console.progress("decoding") as bar:
            images, readable, errors = decoded.enter_context(
                images_of_run(trained, frame, store=store, features=features, progress=bar)
            )
        with console.progress("probing") as bar:
            probes = measure(trained, images, readable, note=console.note, progress=bar)
    console.json([asdict(one) for one in probes])
    console.table(
        [row for one in probes for row in _rows(one)],
        title=f"How well {group} is read from the features: {counted(probes[0].n, 'image')} of "
        f"{counted(probes[0].patients, 'patient')}, each in one fold; balanced accuracy, 95 % "
        "interval",
    )
    if len(errors):
        console.warn(f"{counted(len(errors), 'image')} left out, as they cannot be read.")
        raise typer.Exit(1)


def _rows(one: Probe) -> list[dict[str, object]]:
    figures = {
        "linear": (one.balanced_accuracy, one.low, one.high),
        "network": (one.mlp, one.mlp_low, one.mlp_high),
    }
    return [
        {
            "features": one.features,
            "probe": kind,
            "balanced accuracy": number(value),
            "interval": interval(low, high),
            "chance": number(one.chance),
        }
        for kind, (value, low, high) in figures.items()
    ]
