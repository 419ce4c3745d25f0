"""``equiderm demo``: the work from photographs to pages, on photographs made for it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.demo import Size


def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where everything is written.")
    ] = Path("demo"),
    images: Annotated[int, typer.Option(min=6, help="Photographs to make and look at.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same pictures.")] = 0,
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Train, compare and audit, as well.")
    ] = True,
) -> None:
    """Make lesion photographs on skin of known tone, label them, train on them, compare, audit.

    The training part needs the extra train, two cores and a few minutes.

    Examples:
        equiderm demo
        equiderm demo trial --images 200 --no-train
    """
    from importlib.util import find_spec

    from equiderm.demo import Size, write_index

    labels = _label(directory, images, seed)
    if train and find_spec("torch") is not None:
        page = train_part(directory, labels, seed=seed, size=Size())
    else:
        page = write_index(directory, labels)
        if train:
            typer.echo(
                "Training, comparison and audits need torch: pip install 'equiderm[train]', then "
                "run the demo again."
            )
    typer.echo(f"Open {page} in a browser. These are drawings, no evidence about patients.")


@contextlib.contextmanager
def _step(sentence: str) -> Generator[None]:
    typer.echo(f"{sentence} ...")
    start = time.monotonic()
    yield
    typer.echo(f"   took {time.monotonic() - start:.0f} s")


def _label(directory: Path, images: int, seed: int) -> pd.DataFrame:
    from equiderm.cli.label import print_summary
    from equiderm.data.synthetic import synthesize, write_archive
    from equiderm.demo import against_truth
    from equiderm.tone import label
    from equiderm.tone.report import write_report

    with _step(f"1. Making {images} synthetic photographs, light to very dark skin"):
        archive = synthesize(images, seed=seed, size=256)
        manifest = write_archive(archive, directory / "photographs")
    with _step("2. Labelling their skin tone"):
        output, report = directory / "tones.parquet", directory / "tones.html"
        tones = label([manifest], output=output, overlays=directory / "overlays", overwrite=True)
        write_report(tones, report)
        print_summary(tones, output, report)
    with _step("3. Comparing the labels with the skin that was drawn"):
        table = against_truth(tones, archive.table["skin_ita"])
        typer.echo(table.to_string(index=False))
    return table


def train_part(
    directory: Path, labels: pd.DataFrame, *, seed: int, size: Size, workers: int | None = None
) -> Path:
    """Make the archive, train, compare and audit; return the page that leads to all of it."""
    from equiderm.cli.compare import default_workers, print_comparison
    from equiderm.demo import compare_methods, labelled, make_archive, write_audits, write_index

    with _step(
        f"4. Making and labelling an archive: {size.train:,} images of light skin to train on, "
        f"{size.test:,} of every tone to test on"
    ):
        manifest, table = make_archive(directory / "archive", size, seed=seed)
        typer.echo(f"   {labelled(table)}")
    with _step(
        f"5. Training six methods over {size.seeds} seeds, small backbone, {size.epochs} epochs"
    ):
        compared = compare_methods(
            directory,
            manifest,
            size,
            workers=workers or default_workers(),
            watch=lambda sentence: typer.echo(f"   {sentence}"),
        )
        print_comparison(compared)
    with _step("6. Auditing each method by skin tone"):
        audits = write_audits(directory, compared, size)
    return write_index(directory, labels, compared, audits)
