"""``equiderm predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of equiderm train.")],
    data: Annotated[
        list[Path], typer.Option(help="Manifest, folder or image; may be given several times.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Table to write: .parquet, .csv or .tsv.")
    ],
    split: Annotated[
        str | None, typer.Option(help="Only the manifest's rows of this split, such as test.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Folder of the decoded images; else decoded and let go.")
    ] = None,
) -> None:
    """Score images with a trained run: image_id, target, logit, score and the group columns.

    An image that cannot be read keeps its row, without a score and with the reason in error; the
    command then ends with status 1.
    """
    import tempfile

    from equiderm.errors import InputError
    from equiderm.files import check_table_path, write_table
    from equiderm.training import load_run
    from equiderm.training import predict as score
    from equiderm.training.sources import open_images, read_rows

    check_table_path(out)
    trained = load_run(run)
    frame = read_rows(data)
    if split is not None:
        if "split" not in frame.columns or not (frame["split"].astype(str) == split).any():
            raise InputError(f"{data[0]}: no row of split {split!r}; check the column split.")
        frame = frame[frame["split"].astype(str) == split].reset_index(drop=True)
    with tempfile.TemporaryDirectory() as temporary:
        place = store or Path(temporary) / "store"
        images, readable, errors = open_images(frame, place, size=trained.experiment.data.size)
        scored = score(trained, images, readable)
    frame = frame.merge(scored[["image_id", "logit", "score"]], on="image_id", how="left")
    if len(errors):
        frame = frame.merge(errors[["image_id", "error"]], on="image_id", how="left")
    write_table(frame, out)
    typer.echo(f"{out}: {len(scored)} images scored, {len(errors)} in error")
    if len(errors):
        raise typer.Exit(1)
