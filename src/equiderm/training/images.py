"""Read a manifest, a folder or images into rows with a uint8 store."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm.data.images import ImageStore, build_store
from equiderm.data.manifest import check_manifest, conform, with_places
from equiderm.errors import InputError
from equiderm.models import FEATURES
from equiderm.photo.walk import find_images as images_below
from equiderm.photo.walk import printable, walk
from equiderm.remote import name_of, url_of
from equiderm.tables import is_table, read_table
from equiderm.training.features import divided, select_features
from equiderm.training.pixels import Images
from equiderm.training.rows import READ

if TYPE_CHECKING:
    from equiderm.training.checkpoint import Run


def rows_of_split(frame: pd.DataFrame, split: str | None) -> pd.DataFrame:
    """Return the rows of a split, or all where none is named.

    Raises:
        InputError: No row of that split.
    """
    if split is None:
        return frame
    named: Any = frame[frame["split"].astype(str) == split] if "split" in frame.columns else []
    if not len(named):
        raise InputError(f"manifest: no row of split {split!r}; check its column split.")
    return named.reset_index(drop=True)


def read_rows(data: Sequence[Path], *, group: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Return a table with ``image_id`` and an absolute ``path``.

    Args:
        data: One manifest, or folders and image files; an image's id is then its file name
            without the ending, or the whole path where two have the same.
        group: Column of the group, or several, which are checked, too.

    Raises:
        InputError: No such file, no image, a table without image_id or path, or a manifest whose
            columns that training reads break a rule. Other columns are not checked.
    """
    first = data[0]
    if len(data) == 1 and is_table(first):
        columns = (group,) if isinstance(group, str) else group or ()
        return _read_table(data[0], columns)
    files: list[Path] = []
    for path in data:
        if url := url_of(path):
            files += [Path(name) for name in images_below([url])]
        elif path.is_dir():
            walked = walk(path)
            files += [Path(printable(name)) for name in [*walked.images, *walked.closed]]
        elif path.is_file():
            files.append(path)
        else:
            raise InputError(f"{path}: no such manifest, folder or image; check the name.")
    if not files:
        raise InputError(f"{data[0]}: holds no image; give a manifest, a folder or images.")
    frame = pd.DataFrame(
        {
            "image_id": [path.stem for path in files],
            "path": [url_of(path) or str(path.absolute()) for path in files],
        }
    )
    twice = frame["image_id"].duplicated(keep=False)
    frame.loc[twice, "image_id"] = [
        name_of(path) for path, two in zip(files, twice, strict=True) if two
    ]
    return frame


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    name, frame = path.name, read_table(path, as_text=True)
    read = [column for column in frame if column in READ or column in columns]
    filled = {"source": path.stem} if "source" not in frame else {}
    rows = conform(frame[read].assign(**filled), name=name)
    # Columns that other columns require; training does not read them.
    check_manifest(rows.assign(target_name="malignant", rater="-", tone_method="-"), name=name)
    for column in frame.columns.difference(read, sort=False):
        try:
            typed = conform(rows.assign(**{column: frame[column]}))[column]
        except InputError:
            typed = frame[column]  # not of the manifest's type; kept as it is
        rows[column] = typed
    return with_places(rows, path)


def build_images(
    frame: pd.DataFrame,
    directory: Path,
    *,
    size: int,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Images, pd.DataFrame, pd.DataFrame]:
    """Return the store of a table's images, the rows that it holds, and those in error.

    Args:
        frame: Columns ``image_id`` and ``path``.
        directory: Folder of the store; it is built there once.
        size: Side of the square images, in pixels.
        workers: Processes; None takes one per core.
        progress: Called with images decoded and in total.

    Returns:
        The store; the rows of ``frame`` in it; ``image_id``, ``path`` and ``error`` of the rest.
    """
    if len(frame) < 512:  # decoded faster than processes start
        workers = 1
    store, errors = build_store(frame, directory, size=size, workers=workers, progress=progress)
    failed: Any = frame["image_id"].isin(errors["image_id"]).to_numpy()
    kept: Any = frame[~failed]
    return store, kept.reset_index(drop=True), errors


@contextlib.contextmanager
def images_of_run(
    run: Run,
    frame: pd.DataFrame,
    *,
    store: Path | None = None,
    features: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Generator[tuple[Images, pd.DataFrame, pd.DataFrame]]:
    """Yield what a run reads of a table's images, the rows that have it, and those in error.

    Args:
        run: The run, which decides the size of the images.
        frame: Columns ``image_id`` and ``path``.
        store: Store that holds the images; None decodes them to a folder removed after the block.
        features: Features in place of the images.
        progress: Called with images decoded and in total.

    Raises:
        InputError: A run on features without them, or a store or features of other images.
    """
    if features is not None:
        read, rows, errors = select_features(frame, features)
        yield read.in_order(run.about.get("feature_names", ())), rows, errors
    elif run.experiment.backbone.name == FEATURES:
        raise InputError('the run was trained on features; name their table: `features="TABLE"`.')
    elif store is not None:
        yield find_images(frame, store)
    else:
        with decoded(frame, run.experiment.data.size, progress=progress) as images:
            yield images


@contextlib.contextmanager
def decoded(
    frame: pd.DataFrame,
    size: int,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Generator[tuple[Images, pd.DataFrame, pd.DataFrame]]:
    """Yield what `build_images` returns, with a store that is deleted after the block."""
    with tempfile.TemporaryDirectory() as folder:
        yield build_images(frame, Path(folder), size=size, workers=workers, progress=progress)


def find_images(frame: pd.DataFrame, directory: Path) -> tuple[Images, pd.DataFrame, pd.DataFrame]:
    """Return an existing store, the rows of a table that it holds, and those that it does not.

    Returns:
        As `build_images`.
    """
    store = ImageStore.open(directory)
    there: Any = frame["image_id"].isin(store.image_ids).to_numpy()
    return store, *divided(frame, there, f"not in the store {name_of(directory)}")
