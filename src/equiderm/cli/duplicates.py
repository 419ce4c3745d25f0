"""``equiderm duplicates``: photographs that occur twice, across data sets and splits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")


def duplicates(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DATA...", help="Manifests (Parquet, CSV) or folders of images."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The table of pairs to write.")
    ] = None,
    clean: Annotated[
        Path | None,
        typer.Option(
            help="Write the first manifest without the training rows that occur elsewhere: in "
            "another split, in a later manifest, or a second time."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="HTML", help="Write a page that shows the pairs.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="all cores")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Find the same photograph twice: same id, same bytes, or same picture.

    Resized, recompressed, stretched and centre-cropped copies count as the same picture; another
    photograph of the same lesion does not.

    Exit status: 0 all read, 1 some images could not be read (listed on stderr), 2 unusable input.

    Examples:
        equiderm duplicates manifest.parquet
        equiderm duplicates manifest.parquet photographs --report pairs.html
        equiderm duplicates manifest.parquet other.parquet -o pairs.csv --clean cleaned.parquet
    """
    import json

    import pandas as pd

    from equiderm.data.duplicates import find_duplicates, rows_to_drop
    from equiderm.data.manifest import write_manifest
    from equiderm.files import check_table_path, write_table

    for path in filter(None, (output, clean)):
        check_table_path(path)
    frames = [_read(path) for path in data]
    frame = pd.concat(frames, ignore_index=True)
    with _bar() as progress:
        pairs, errors = find_duplicates(frame, workers=workers, progress=progress)
    if output is not None:
        write_table(pairs, output)
    own = frame.assign(split=frame["split"].fillna("train"))
    own.loc[len(frames[0]) :, "split"] = "elsewhere"
    drop = rows_to_drop(own, pairs)
    if clean is not None:
        write_manifest(frames[0].drop(index=drop), clean)
    if report is not None:
        _write_page(pairs, len(frame), report)
    summary = {
        "images": len(frame),
        "unreadable": len(errors),
        "pairs": len(pairs),
        **{name: int(pairs[name].sum()) for name in ("same_id", "same_bytes", "same_picture")},
        "same_picture_other_id": int((pairs["same_picture"] & ~pairs["same_id"]).sum()),
        "across_sources": int((pairs["source_a"] != pairs["source_b"]).sum()),
        "targets_differ": int(pairs["targets_differ"].sum()),
        "training_rows_to_drop": len(drop),
    }
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        for name, value in summary.items():
            typer.echo(f"{name.replace('_', ' '):24}{value:,}")
    for _, row in errors.iterrows():
        typer.echo(f"{row['path']}: {row['error']}", err=True)
    if len(errors):
        raise typer.Exit(1)


def _read(path: Path) -> pd.DataFrame:
    """Return the rows of a manifest, or of the image files below a folder."""
    import pandas as pd

    from equiderm.data.manifest import conform, read_manifest

    if not path.is_dir():
        return read_manifest(path)
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _ENDINGS)
    if not files:
        raise InputError(f"{path}: holds no images; give a folder of images or a manifest.")
    names = [file.stem for file in files]
    frame = pd.DataFrame({"image_id": names, "path": list(map(str, map(Path.absolute, files)))})
    return conform(frame.assign(source=str(path)), name=str(path))


def _bar():
    """Return a context manager that gives the function to call with images read and in all."""
    import contextlib

    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    @contextlib.contextmanager
    def running():
        columns = (*Progress.get_default_columns(), MofNCompleteColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("reading", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    return running()


def _write_page(pairs: pd.DataFrame, images: int, path: Path) -> None:
    """Write the pairs side by side, the least alike first: what a person should look at."""
    from equiderm.files import write_whole
    from equiderm.page import Section, render_page, sheet_block

    shown = pairs.sort_values("likeness").head(200)
    kinds = (
        ("One picture under two ids", shown["same_picture"] & ~shown["same_id"]),
        ("One id, one picture", shown["same_picture"] & shown["same_id"]),
        ("One id, two pictures", ~shown["same_picture"] & shown["same_id"]),
    )
    sections = [
        Section(heading, (f"{len(part)} pairs shown.",), (sheet_block(_cards(part)),))
        for heading, chosen in kinds
        if len(part := shown[chosen])
    ]
    lead = f"{len(pairs)} pairs among {images} images; up to 200 are shown, the least alike first."
    with write_whole(path) as temporary:
        temporary.write_text(render_page("Duplicate photographs", sections, lead=lead))


def _cards(pairs: pd.DataFrame) -> list[object]:
    import cv2
    import numpy as np

    from equiderm.page import image_block
    from equiderm.photo.decode import PhotoError, load_square

    cards: list[object] = []
    for _, pair in pairs.iterrows():
        try:
            both = [load_square(pair[f"path_{side}"], 160) for side in "ab"]
        except PhotoError:
            continue  # it is in the list of unreadable images
        coded = cv2.imencode(".jpg", np.hstack(both)[..., ::-1])[1].tobytes()
        names = " and ".join(f"{pair[f'image_id_{s}']} ({pair[f'source_{s}']})" for s in "ab")
        caption = f"{names}: detail correlates {pair['likeness']:.2f}"
        if pair["targets_differ"]:
            caption += "; their targets differ"
        cards.append(image_block(coded, alt=f"{names}, side by side", caption=caption, kind="jpeg"))
    return cards
