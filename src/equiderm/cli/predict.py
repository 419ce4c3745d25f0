"""``equiderm predict``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from equiderm.cli.console import TABLE_HELP, Console, Json, Quiet
from equiderm.errors import require_training
from equiderm.format import count, counted


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of equiderm train.")],
    data: Annotated[
        list[Path], typer.Option(help="Manifest, folder or image; may be given several times.")
    ],
    out: Annotated[Path, typer.Option("--output", "-o", "--out", metavar="TABLE", help=TABLE_HELP)],
    split: Annotated[
        str | None, typer.Option(help="Only the manifest's rows of this split, such as test.")
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
    as_json: Json = False,
) -> None:
    """Score images with a trained run: image_id, target, logit, score and the group columns.

    An image that cannot be read keeps its row, without a score and with the reason in error; the
    command then ends with status 1. Columns logit, score and error of an earlier run are replaced.

    Examples:
        equiderm predict runs/lntl --data manifest.parquet --split test -o scores.csv
        equiderm predict runs/lntl --data photographs -o scores.csv
    """
    require_training()

    from equiderm.files import check_table_path, write_table
    from equiderm.training import load_run
    from equiderm.training import predict as score
    from equiderm.training.images import images_of_run, read_rows, rows_of_split

    console = Console(quiet=quiet, as_json=as_json, output=out)
    check_table_path(out)
    trained = load_run(run)
    frame = rows_of_split(read_rows(data, group=trained.about["group"]), split)
    with contextlib.ExitStack() as decoded:
        with console.progress("decoding") as bar:
            images, readable, errors = decoded.enter_context(
                images_of_run(trained, frame, store=store, features=features, progress=bar)
            )
        with console.progress("scoring") as bar:
            scored = score(trained, images, readable, progress=bar)
    replaced = [name for name in ("logit", "score", "error") if name in frame.columns]
    if replaced:
        console.note(f"{out}: {', '.join(replaced)} of the table given are replaced.")
    results = scored.drop_duplicates("image_id").set_index("image_id")[["logit", "score"]]
    if len(errors):
        results = results.join(errors.set_index("image_id")["error"], how="outer")
    frame = frame.drop(columns=replaced).join(results, on="image_id")
    write_table(frame, out)
    console.json({"output": str(out), "scored": len(scored), "errors": len(errors)})
    console.say(f"{out}: {counted(len(scored), 'image')} scored, {count(len(errors))} in error")
    if len(errors):
        raise typer.Exit(1)
