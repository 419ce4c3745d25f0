"""Many photographs to one table: find them, share them out, survive faults, go on after a kill."""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pyarrow as pa

from equiderm.errors import InputError
from equiderm.files import check_table_path
from equiderm.photo.decode import PhotoError, load_photo
from equiderm.photo.walk import find_images, printable
from equiderm.tone.estimate import COLUMNS, measure_photo
from equiderm.tone.estimators import get_method
from equiderm.tone.overlay import overlay_names, write_overlay
from equiderm.tone.parts import (
    PART_SCHEMA,
    Parts,
    Row,
    Settings,
    check_output,
    in_order,
    stamp_of,
    write_labels,
)
from equiderm.tone.scales import SCHEMES, get_scheme
from equiderm.tone.view import SIDE

if TYPE_CHECKING:
    import pandas as pd

Task = tuple[str, str | None]  # an image, and the overlay to write for it

CHUNK = 50  # images a task: a second or so of work, and what a kill can lose for each worker


def label(
    paths: Iterable[str | os.PathLike[str]],
    *,
    method: str = "patch-max",
    scheme: str = "paper",
    exact: bool = False,
    workers: int | None = 1,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    overlays: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Return the table of tone estimates of many photographs, one row an image, in order.

    Args:
        paths: Folders (walked), image files, glob patterns, and tables with an ``image`` column.
        method: A key of `equiderm.tone.METHODS`.
        scheme: A key of `equiderm.tone.SCHEMES`, or a fitted scheme's .json file.
        exact: Decode large JPEGs at full size.
        workers: Processes; None takes every core. More than one needs, as all of Python's process
            pools, that a script calls this under ``if __name__ == "__main__":``.
        output: A .parquet, .csv or .tsv file to write as well. With it the run keeps its finished
            parts beside the output until it ends, and the same call after a kill goes on there.
        overwrite: Replace an output that was made with other settings or of other images.
        overlays: A folder for one picture an image, showing what was measured.
        progress: Called with the images done and the images in all.

    Returns:
        Columns as in `ToneEstimate`, with ``image`` first; an image that cannot be read has its
        reason in ``error`` and no figures.

    Raises:
        InputError: Unusable arguments, or an output that must not be replaced.
    """
    images = find_images(paths)
    folder = str(Path(overlays).absolute()) if overlays is not None else None
    settings = Settings(method, scheme, exact, folder)
    settings.check()
    if scheme not in SCHEMES:
        digest = hashlib.sha256(Path(scheme).read_bytes()).hexdigest()
        settings = dataclasses.replace(settings, fitted=digest)
    if folder:
        _keep_out_of_image_folders(Path(folder), paths)
    count = workers or os.cpu_count() or 1
    if output is None:
        rows = [row for rows in _run(images, settings, count, progress) for row in rows]
        return in_order(pa.Table.from_pylist(rows, PART_SCHEMA), images).to_pandas()
    path = Path(output)
    check_table_path(path)
    check_output(path, settings, images, overwrite=overwrite)
    return _label_to_file(images, settings, count, path, progress).to_pandas()


def _keep_out_of_image_folders(folder: Path, paths: Iterable[str | os.PathLike[str]]) -> None:
    for path in map(Path, paths):
        if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
            raise InputError(
                f"{folder}: overlays may not go into the image folder {path}, where the next run "
                "would take them for photographs; choose another folder."
            )


def _label_to_file(
    images: Sequence[str],
    settings: Settings,
    workers: int,
    output: Path,
    progress: Callable[[int, int], None] | None,
) -> pa.Table:
    parts = Parts(output, settings)
    finished = set(parts.load(images)["image"].to_pylist())
    left = [image for image in images if printable(image) not in finished]
    already = len(images) - len(left)
    if progress and already:
        progress(already, len(images))

    def report(count: int, _: int) -> None:
        if progress:
            progress(already + count, len(images))

    kept: list[Row] = []
    since = time.monotonic()
    try:
        for rows in _run(left, settings, workers, report):
            kept += rows
            if len(kept) >= 500 or time.monotonic() - since > 2:
                parts.add(kept)
                kept, since = [], time.monotonic()
    finally:
        if kept:
            parts.add(kept)
    table = in_order(parts.load(images, changed=True), images)
    write_labels(table, output, settings)
    parts.remove()
    return table


_scheme = lru_cache(get_scheme)  # a fitted scheme is a file: read once a process


def label_one(image: str, settings: Settings, overlay: str | None = None) -> Row:
    """Return one image's row, ready for the table; never raises for the image's own faults."""
    stamp = stamp_of(image)
    try:
        photo = load_photo(image, SIDE, exact=settings.exact)
        estimator, scheme = get_method(settings.method), _scheme(settings.scheme)
        measured = measure_photo(photo, settings.method, estimator, scheme)
        if overlay is not None:
            write_overlay(measured, Path(overlay))
    except PhotoError as error:
        return _error_row(image, settings, str(error), stamp)
    except cv2.error as error:
        return _error_row(image, settings, f"cannot be measured ({error.err})", stamp)
    estimate = measured.estimate
    row: Row = {name: getattr(estimate, name) for name in COLUMNS[1:]}
    row |= {"image": printable(image), "flags": " ".join(estimate.flags), "stamp": stamp}
    return row


def _error_row(image: str, settings: Settings, reason: str, stamp: str) -> Row:
    row: Row = dict.fromkeys(COLUMNS)
    row |= {"image": printable(image), "method": settings.method, "scheme": settings.scheme}
    row |= {"patch_ita": [], "flags": "", "error": reason, "stamp": stamp}
    return row


def _label_chunk(tasks: Sequence[Task], settings: Settings) -> list[Row]:
    return [label_one(image, settings, overlay) for image, overlay in tasks]


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    cv2.setNumThreads(1)


def _run(
    images: Sequence[str],
    settings: Settings,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> Iterator[list[Row]]:
    """Yield the rows of each chunk as it is done, in any order."""
    overlays = overlay_names(images, settings.overlays) if settings.overlays and images else []
    tasks: list[Task] = list(zip(images, overlays or [None] * len(images), strict=True))
    size = max(1, min(CHUNK, len(tasks) // (4 * workers)))
    chunks = [tasks[start : start + size] for start in range(0, len(tasks), size)]
    done = 0
    spread = _spread_out if workers > 1 and len(chunks) > 1 else _one_by_one
    for rows in spread(chunks, settings, min(workers, len(chunks))):
        done += len(rows)
        if progress:
            progress(done, len(images))
        yield rows


def _one_by_one(chunks: list[list[Task]], settings: Settings, _: int) -> Iterator[list[Row]]:
    for chunk in chunks:
        yield _label_chunk(chunk, settings)


def _spread_out(chunks: list[list[Task]], settings: Settings, workers: int) -> Iterator[list[Row]]:
    """Yield from several processes; an image that kills its process becomes a row with an error."""
    waiting = iter(chunks)
    crashed: list[list[Task]] = []
    with _pool(workers) as pool:
        running: dict[Future[list[Row]], list[Task]] = {}
        try:
            while True:
                while len(running) < 2 * workers and (chunk := next(waiting, None)) is not None:
                    running[pool.submit(_label_chunk, chunk, settings)] = chunk
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    rows = future.result()
                    del running[future]
                    yield rows
        except BrokenProcessPool:
            crashed = [*running.values(), *waiting]
    for chunk in crashed:
        yield [_label_apart(task, settings) for task in chunk]


def _label_apart(task: Task, settings: Settings) -> Row:
    """Label one image in a process of its own."""
    with _pool(1) as pool:
        try:
            return pool.submit(_label_chunk, [task], settings).result()[0]
        except BrokenProcessPool:
            reason = "its decoder crashed"
            return _error_row(task[0], settings, reason, stamp_of(task[0]))


@contextmanager
def _pool(workers: int) -> Generator[ProcessPoolExecutor]:
    """Yield a process pool that leaves at once when the block ends by an exception."""
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context(method), initializer=_start_worker
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
