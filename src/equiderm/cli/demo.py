"""``equiderm demo``: the work from photographs to pages, on photographs made for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.cli.console import Console, Quiet
from equiderm.format import counted

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
    quiet: Quiet = False,
) -> None:
    """Make lesion photographs on skin of known tone, label them, train on them, compare, audit.

    The training part needs the extra train, two cores and a few minutes.

    Examples:
        equiderm demo
        equiderm demo trial --images 200 --no-train
    """
    from importlib.util import find_spec

    from equiderm.demo import Size, write_index

    console = Console(quiet=quiet)
    labels = _label(console, directory, images, seed)
    if train and find_spec("torch") is not None:
        page = train_part(directory, labels, seed=seed, size=Size(), console=console)
    else:
        page = write_index(directory, labels)
        if train:
            console.say(
                "Training, comparison and audits need torch: pip install 'equiderm[train]', then "
                "run the demo again."
            )
    console.say(f"Open {page} in a browser. These are drawings, no evidence about patients.")


def _label(console: Console, directory: Path, images: int, seed: int) -> pd.DataFrame:
    from equiderm.cli.label import print_summary
    from equiderm.demo import against_truth, draw_photographs, label_photographs

    photographs = counted(images, "synthetic photograph")
    sentence = f"1. Making {photographs}, light to very dark skin"
    with console.step(sentence), console.progress("drawing") as bar:
        drawn = draw_photographs(directory, images, seed=seed, progress=bar)
    with console.step("2. Labelling their skin tone"):
        with console.progress("labelling") as bar:
            tones, files = label_photographs(directory, progress=bar)
        print_summary(console, tones, files)
    with console.step("3. Comparing the labels with the skin that was drawn"):
        table = against_truth(tones, drawn["skin_ita"])
        console.table(table)
    return table


def train_part(
    directory: Path,
    labels: pd.DataFrame,
    *,
    seed: int,
    size: Size,
    workers: int | None = None,
    console: Console | None = None,
) -> Path:
    """Make the archive, train, compare and audit; return the page that leads to all of it."""
    from equiderm.cli.compare import default_workers, print_comparison
    from equiderm.demo import compare_methods, labelled, make_archive, write_audits, write_index

    console = console or Console()
    with console.step(
        f"4. Making and labelling an archive: {size.train:,} images of light skin to train on, "
        f"{size.test:,} of every tone to test on"
    ):
        with console.progress("drawing and labelling") as bar:
            manifest, table = make_archive(directory / "archive", size, seed=seed, progress=bar)
        console.say(f"   {labelled(table)}")
    with console.step(
        f"5. Training six methods over {size.seeds} seeds, small backbone, {size.epochs} epochs"
    ):
        compared = compare_methods(
            directory,
            manifest,
            size,
            workers=workers or default_workers(),
            watch=lambda sentence: console.say(f"   {sentence}"),
        )
        if not console.quiet:
            print_comparison(compared)
    with console.step("6. Auditing each method by skin tone"):
        audits = write_audits(directory, compared, size)
    return write_index(directory, labels, compared, audits)
