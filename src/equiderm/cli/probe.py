"""``equiderm probe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def probe(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of equiderm train.")],
    data: Annotated[Path, typer.Option(help="Manifest with the run's group column.")],
    split: Annotated[
        str | None, typer.Option(help="Only rows of this split; test answers best.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="Store of equiderm train that holds the images; else decoded anew."),
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how well skin tone can still be read from a run's features.

    A fresh linear probe names the group of images of patients it has not seen. Its balanced
    accuracy stands beside its 95 % interval, chance, and what the untrained backbone gives.

    Examples:
        equiderm probe runs/lntl --data manifest.parquet --split test
    """
    import json
    import tempfile
    from dataclasses import asdict

    from equiderm.training import load_run
    from equiderm.training import probe as measure
    from equiderm.training.images import build_images, find_images, read_rows, rows_of_split

    trained = load_run(run)
    frame = rows_of_split(read_rows([data]), split)
    with tempfile.TemporaryDirectory() as temporary:
        images, readable, errors = (
            find_images(frame, store)
            if store
            else build_images(frame, Path(temporary), size=trained.experiment.data.size)
        )
        found = measure(trained, images, readable)
    if json_out:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1))
    else:
        _print(found, trained.about["group"])
    if len(errors):
        typer.echo(f"equiderm: {len(errors)} images cannot be read and are left out.", err=True)
        raise typer.Exit(1)


def _print(found: list, group: str) -> None:
    typer.echo(f"how well {group} is read from the features ({found[0].n} images, ", nl=False)
    typer.echo(f"{found[0].patients} patients, each in one fold)")
    typer.echo("features   balanced accuracy   95 % interval   chance   accuracy   best constant")
    for one in found:
        typer.echo(
            f"{one.features:<10} {one.balanced_accuracy:17.3f}   {one.low:.3f} - {one.high:.3f}"
            f"   {one.chance:6.3f}   {one.accuracy:8.3f}   {one.best_constant:13.3f}"
        )
