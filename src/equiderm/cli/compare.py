"""``equiderm compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from equiderm.compare import Compared


def compare(
    experiments: Annotated[
        list[Path],
        typer.Argument(metavar="EXPERIMENT.toml...", help="What to compare, ERM among them."),
    ],
    data: Annotated[
        Path, typer.Option(help="Manifest; splits train, maybe validation, and test or test-...")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write, .html.")],
    store: Annotated[
        Path | None,
        typer.Option(help="Folder of the decoded images; built once, beside the manifest."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each experiment.")] = 5,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the runs. Default: runs beside the page.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at a time. Default: one a GPU, else one a core."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train several experiments over several seeds, and compare them on every test split.

    AUROC overall, of every group and of the worst, gaps, paired differences against each ERM,
    what the features still tell of the group, and the cost, each with its interval. Runs that are
    there already are used; a comparison that was stopped goes on. JSON is written beside the page.

    Examples:
        equiderm compare erm.toml lntl.toml --data manifest.parquet -o comparison.html
        equiderm compare erm.toml tabe.toml --data manifest.parquet -o page.html --seeds 10
    """
    from equiderm.errors import InputError, require_training

    require_training()
    from equiderm.audit.report.export import as_text
    from equiderm.compare import as_dict, render
    from equiderm.compare import compare as measure
    from equiderm.files import write_whole
    from equiderm.training import read_experiment
    from equiderm.training.images import build_images, read_rows

    if output.suffix.lower() != ".html":
        raise InputError(f"{output}: a page's name ends in .html; rename it.")
    chosen = {path.stem: read_experiment(path) for path in experiments}
    if len(chosen) < len(experiments):
        raise InputError("two experiment files have one name; rename one.")
    for one in chosen.values():
        one.check_backbone()
    size = next(iter(chosen.values())).data.size
    frame = read_rows([data])
    place = store or data.with_name(f"{data.stem}-{size}px")
    images, frame, errors = build_images(frame, place, size=size)
    if len(errors):
        typer.echo(f"equiderm: {len(errors)} images cannot be read and are left out.", err=True)
    compared = measure(
        chosen,
        frame,
        out or output.with_name("runs"),
        images=images,
        seeds=seeds,
        workers=workers or default_workers(),
        watch=lambda sentence: typer.echo(sentence, err=True),
    )
    text = as_text(as_dict(compared))
    for path, content in ((output, render(compared)), (output.with_suffix(".json"), text)):
        with write_whole(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    if as_json:
        typer.echo(text, nl=False)
    else:
        print_comparison(compared)
        typer.echo(f"page: {output}")
    if len(errors):
        raise typer.Exit(1)


def default_workers() -> int:
    """Return one run a GPU, else one a core."""
    import joblib
    import torch

    return torch.cuda.device_count() or joblib.cpu_count()


def print_comparison(compared: Compared) -> None:
    """Print the tables of each test split and the answer."""
    from equiderm.compare.report import answer, auroc_table, difference_rows, probe_rows

    for test in compared.tests:
        typer.echo(f"\n{test.split}: {test.n} images of {test.patients} patients, AUROC")
        typer.echo(auroc_table(test, list(compared.experiments)).to_string(index=False))
        for reference in compared.references:
            table = difference_rows(test, reference)
            if len(table):
                typer.echo("\n" + table.to_string(index=False))
        typer.echo("\n" + probe_rows(test, compared).to_string(index=False))
    typer.echo()
    for sentence in answer(compared):
        typer.echo(sentence)
