"""``equiderm export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from equiderm.cli.console import Console, Json, Quiet
from equiderm.errors import InputError, require_training
from equiderm.format import counted
from equiderm.remote import name_of

if TYPE_CHECKING:
    from equiderm.training import Run


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of equiderm train.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The network: .onnx or .pt2."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Manifest, folder or image to compare on; may be given several times.",
            show_default="drawn lesions",
        ),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="MD", help="Model card to write, such as README.md.")
    ] = None,
    audit: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Audit of the run's predictions, for the card."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a run for other software, its preprocessing inside, and a model card.

    The network takes a batch of square uint8 sRGB images of the run's size and returns logit and
    score. The file is read back and kept only where both are within 0.0001 of those of equiderm
    predict on the CPU in fp32; ONNX is checked with onnxruntime.

    Examples:
        equiderm export runs/lntl -o lntl.onnx --data photographs
        equiderm export runs/lntl --card README.md --audit audit.json
    """
    require_training()

    from equiderm.audit.saved import read_saved
    from equiderm.files import write_text
    from equiderm.training import export as write
    from equiderm.training import load_run, model_card
    from equiderm.training.export import check_export_path

    console = Console(quiet=quiet, as_json=as_json)
    if output is None and card is None:
        raise InputError(
            'nothing to write; give `output="model.onnx"`, `card="README.md"` or both.'
        )
    if audit is not None and card is None:
        raise InputError('an audit goes into a model card; name it with `card="README.md"`.')
    if output is not None:
        check_export_path(output)
    if card is not None and card.suffix.lower() != ".md":
        raise InputError(f"{card}: a model card is Markdown; name a file that ends in .md.")
    console.hold(output, card)
    audited = read_saved(audit) if audit is not None else None
    trained = load_run(run)
    content: dict[str, Any] = {}
    if output is not None:
        images, kind = _images(trained, data, console)
        done = write(trained, output, images)
        content |= {"output": name_of(output), "images": done.images, "of": kind}
        content |= {"logit_difference": done.logit, "score_difference": done.score}
        console.say(
            f"{name_of(output)}: on {counted(done.images, kind)} within {done.logit:.1g} of "
            f"predict in the logit, {done.score:.1g} in the score"
        )
    if card is not None:
        write_text(card, model_card(trained, audited))
        content |= {"card": str(card)}
        console.say(f"{card}: model card" + ("" if audited else ", without figures: no --audit"))
    console.json(content)


def _images(run: Run, data: list[Path] | None, console: Console) -> tuple[Any, str]:
    """Return the images on which the file is compared, and what they are."""
    import numpy as np

    from equiderm.data.synthetic import synthesize
    from equiderm.training.export import CHECKED
    from equiderm.training.images import images_of_run, read_rows

    if not data:
        size = run.experiment.data.size
        return synthesize(CHECKED, size=size, workers=1).images, "drawn lesion"
    frame = read_rows(data)
    spread = np.linspace(0, len(frame) - 1, min(CHECKED, len(frame))).round().astype(int)
    frame = frame.iloc[spread].reset_index(drop=True)
    with images_of_run(run, frame) as (images, readable, errors):
        if len(errors):
            console.warn(f"{counted(len(errors), 'image')} left out, as they cannot be read.")
        rows = images.rows(readable["image_id"].astype(str).tolist())
        return np.array(images.images[rows]), "image"
