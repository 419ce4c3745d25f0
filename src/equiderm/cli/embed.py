"""``equiderm embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from equiderm.cli.console import Console, Engine, Output, Quiet
from equiderm.errors import InputError, require_training
from equiderm.remote import name_of


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
        typer.Option(
            help="Image store of equiderm train, or its URL; without it, images are decoded again."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that decode and read, where there is no store. Default: one per GPU.",
        ),
    ] = None,
    engine: Engine = "local",
    quiet: Quiet = False,
) -> None:
    """Write the features that a network computes for each image: a table with a row per image.

    train, predict and probe take such a table with --features, from this command or any other
    network, and need seconds on a CPU. An image that cannot be read keeps its row, without features
    and with the reason in error; the command then ends with status 1. Without a store, images are
    decoded 16,384 at a time, in a process for each GPU or on a Ray cluster.

    Examples:
        equiderm embed tf_efficientnet_lite0 --data manifest.parquet -o features.parquet
        equiderm embed resnet50 --data photographs --size 256 -o features.parquet
    """
    require_training()

    import numpy as np
    import pandas as pd

    from equiderm.tables import check_table_path, write_table
    from equiderm.training import experiment_from
    from equiderm.training.images import find_images, read_rows
    from equiderm.training.parts import Job, forget, in_parts
    from equiderm.training.predict import embed as features_of

    check_table_path(output)
    console = Console(quiet=quiet, output=output)
    console.hold(output, inputs=data)
    table = {"backbone": {"name": backbone, "weights": weights}, "data": {"size": size}}
    experiment = experiment_from(table)
    experiment.check_backbone()
    frame = read_rows(data)
    with console.progress("reading features") as bar:
        if store is not None:
            if workers is not None or engine != "local":
                raise InputError("--workers and --engine: are for images that are decoded; leave "
                                 "them out with --store.")  # fmt: skip
            images, readable, errors = find_images(frame, store)
            ids = readable["image_id"].astype(str)
            values = features_of(experiment, images, ids.tolist(), progress=bar)
        else:
            job = Job(None, experiment, size)
            how: Any = {"workers": workers, "engine": engine, "output": output}
            done = list(in_parts(job, frame, **how, progress=bar))
            errors = pd.concat([one.errors for one in done], ignore_index=True)
            ids = pd.concat([one.table["image_id"] for one in done], ignore_index=True)
            values = np.concatenate([one.features for one in done if len(one.table)])
    names = [f"feature_{k:04d}" for k in range(values.shape[1])]
    features = pd.DataFrame(values, columns=names, index=pd.Index(ids, name="image_id"))
    if len(errors):
        features["error"] = pd.NA
    rows = features.reindex(frame["image_id"].astype(str)).reset_index()
    if len(errors):
        reasons = errors.set_index("image_id")["error"]
        rows["error"] = rows["image_id"].map(reasons)
    write_table(rows, output)
    forget(output)
    console.say(f"{name_of(output)}: {values.shape[1]} features of {len(values)} images")
    if len(errors):
        console.warn(f"{len(errors)} images cannot be read and have no features.")
        raise typer.Exit(1)
