"""``equiderm embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equiderm.cli.console import Console, Output, Quiet
from equiderm.errors import require_training


def embed(
    backbone: Annotated[
        str, typer.Argument(metavar="BACKBONE", help="Any timm model, or an alias of the paper's.")
    ],
    data: Annotated[
        list[Path], typer.Option(help="Manifest, folder or image; may be given several times.")
    ],
    output: Output,
    weights: Annotated[
        str, typer.Option(help="pretrained, random or a file of weights of that model.")
    ] = "pretrained",
    size: Annotated[int, typer.Option(min=16, help="Side of the square images, in pixels.")] = 224,
    store: Annotated[
        Path | None,
        typer.Option(help="Store of equiderm train that holds the images; else decoded again."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write the features that a network reads of each image: a table with a row per image.

    train, predict and probe take such a table with --features, from this command or any other
    network, and need seconds on a CPU. An image that cannot be read keeps its row, without features
    and with the reason in error; the command then ends with status 1.

    Examples:
        equiderm embed tf_efficientnet_lite0 --data manifest.parquet -o features.parquet
        equiderm embed resnet50 --data photographs --size 256 -o features.parquet
    """
    import tempfile

    require_training()

    import pandas as pd

    from equiderm.files import check_table_path, write_table
    from equiderm.training import experiment_from
    from equiderm.training.images import build_images, find_images, read_rows
    from equiderm.training.predict import embed as features_of

    check_table_path(output)
    console = Console(quiet=quiet, output=output)
    console.hold(output)
    table = {"backbone": {"name": backbone, "weights": weights}, "data": {"size": size}}
    experiment = experiment_from(table)
    experiment.check_backbone()
    frame = read_rows(data)
    with tempfile.TemporaryDirectory() as temporary:
        if store is not None:
            images, readable, errors = find_images(frame, store)
        else:
            with console.progress("decoding") as bar:
                images, readable, errors = build_images(
                    frame, Path(temporary), size=size, progress=bar
                )
        ids = readable["image_id"].astype(str)
        with console.progress("reading features") as bar:
            values = features_of(experiment, images, ids.tolist(), progress=bar)
    names = [f"feature_{k:04d}" for k in range(values.shape[1])]
    found = pd.DataFrame(values, columns=names, index=pd.Index(ids, name="image_id"))
    if len(errors):
        found["error"] = pd.NA
    whole = found.reindex(frame["image_id"].astype(str)).reset_index()
    if len(errors):
        reasons = errors.set_index("image_id")["error"]
        whole["error"] = whole["image_id"].map(reasons)
    write_table(whole, output)
    console.say(f"{output}: {values.shape[1]} features of {len(values)} images")
    if len(errors):
        console.warn(f"{len(errors)} images cannot be read and have no features.")
        raise typer.Exit(1)
