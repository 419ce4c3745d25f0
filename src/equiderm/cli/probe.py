"""``equiderm probe``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.cli.console import Console, Json, Quiet
from equiderm.errors import InputError, require_training

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
        typer.Option(help="Store of equiderm train that holds the images; else decoded anew."),
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
    import tempfile
    from dataclasses import asdict

    require_training()

    from equiderm.models import FEATURES
    from equiderm.training import load_run
    from equiderm.training import probe as measure
    from equiderm.training.features import select_features
    from equiderm.training.images import build_images, find_images, read_rows, rows_of_split

    console = Console(quiet=quiet, as_json=json_out)
    trained = load_run(run)
    group = trained.about["group"]
    frame = rows_of_split(read_rows([data], group=group), split)
    with tempfile.TemporaryDirectory() as temporary:
        if features is not None:
            images, readable, errors = select_features(frame, features)
        elif trained.experiment.backbone.name == FEATURES:
            raise InputError(f"{run}: was trained on features; name their table with --features.")
        elif store is not None:
            images, readable, errors = find_images(frame, store)
        else:
            size = trained.experiment.data.size
            with console.progress("decoding") as bar:
                images, readable, errors = build_images(
                    frame, Path(temporary), size=size, progress=bar
                )
        with console.progress("probing"):
            found = measure(trained, images, readable, note=console.note)
    console.json([asdict(one) for one in found])
    console.table(
        [row for one in found for row in _rows(one)],
        title=f"How well {group} is read from the features: {found[0].n} images of "
        f"{found[0].patients} patients, each in one fold; balanced accuracy, 95 % interval",
    )
    if len(errors):
        console.warn(f"{len(errors)} images cannot be read and are left out.")
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
            "balanced accuracy": f"{value:.3f}",
            "interval": f"{low:.3f} to {high:.3f}",
            "chance": f"{one.chance:.3f}",
        }
        for kind, (value, low, high) in figures.items()
    ]
