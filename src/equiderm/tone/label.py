"""Many photographs to one table: find them, share them out, survive faults, go on after a kill."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import pyarrow as pa
import pyarrow.parquet as pq

from equiderm import __version__
from equiderm.errors import InputError
from equiderm.files import check_table_path, write_whole
from equiderm.photo import PhotoError, load_photo
from equiderm.tone.estimate import COLUMNS, SIDE, estimate_photo, get_method
from equiderm.tone.overlay import overlay_names, write_overlay
from equiderm.tone.scales import SCHEMES, get_scheme
from equiderm.tone.sources import find_images, printable

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Task = tuple[str, str | None]  # an image, and the overlay to write for it

CHUNK = 50  # images a task: a second or so of work, and what a kill can lose for each worker

_TYPES: dict[str, pa.DataType] = {
    "width": pa.int32(),
    "height": pa.int32(),
    "patch_ita": pa.list_(pa.float64()),
} | dict.fromkeys(("L", "a", "b", "hue", "ita", "spread", "hair_fraction"), pa.float64())
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
_PART_SCHEMA = SCHEMA.append(pa.field("stamp", pa.string()))


@dataclass(frozen=True)
class Settings:
    """What decides a label; two tables with different settings are never mixed."""

    method: str = "patch-max"
    scheme: str = "paper"
    exact: bool = False
    overlays: str | None = None
    version: str = __version__
    fitted: str | None = None  # digest of a fitted scheme's file

    def check(self) -> None:
        """Raise InputError for an unknown method or scheme."""
        get_method(self.method)
        get_scheme(self.scheme)


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
        return _in_order(pa.Table.from_pylist(rows, _PART_SCHEMA), images).to_pandas()
    path = Path(output)
    check_table_path(path)
    _check_output(path, settings, images, overwrite=overwrite)
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
    table = _in_order(parts.load(images, changed=True), images)
    _write(table, output, settings)
    parts.remove()
    return table


class Parts:
    """The finished parts of a run, kept in a hidden folder beside the output until it is whole."""

    def __init__(self, output: Path, settings: Settings) -> None:
        self.folder = output.parent / f".{output.name}.parts"
        self._settings = json.dumps(dataclasses.asdict(settings), sort_keys=True)
        self._count = 0

    def load(self, images: Sequence[str], *, changed: bool = False) -> pa.Table:
        """Return the newest row of each image that has one.

        Parts of other settings are deleted. A row whose file changed since (size or time) is left
        out, unless ``changed`` asks for it.
        """
        key = self.folder / "settings.json"
        if self.folder.exists() and (
            not key.exists() or key.read_text(encoding="utf-8") != self._settings
        ):
            self.remove()
        paths = sorted(self.folder.glob("[0-9]*.parquet")) if self.folder.exists() else []
        self._count = int(paths[-1].stem) + 1 if paths else 0
        tables = [pq.read_table(path, schema=_PART_SCHEMA) for path in paths]
        table = pa.concat_tables(tables) if tables else _PART_SCHEMA.empty_table()
        names = table["image"].to_pylist()
        newest = {name: place for place, name in enumerate(names)}
        if not changed:
            stamps = table["stamp"].to_pylist()
            now = {printable(image): _stamp(image) for image in images}
            newest = {
                name: place for name, place in newest.items() if now.get(name) == stamps[place]
            }
        return table.take(pa.array(sorted(newest.values()), pa.int64()))

    def add(self, rows: list[Row]) -> None:
        """Keep one more part, whole or not at all."""
        key = self.folder / "settings.json"
        if not key.exists():
            with write_whole(key) as temporary:
                temporary.write_text(self._settings, encoding="utf-8")
        with write_whole(self.folder / f"{self._count:08d}.parquet") as temporary:
            pq.write_table(pa.Table.from_pylist(rows, _PART_SCHEMA), temporary)
        self._count += 1

    def remove(self) -> None:
        """Delete the parts."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _stamp(image: str) -> str:
    """Return the size and time of a file, by which a change is noticed; "" where there is none."""
    try:
        found = os.stat(image)  # noqa: PTH116 a name may hold a null byte, which Path refuses later
    except (OSError, ValueError):
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def _in_order(table: pa.Table, images: Sequence[str]) -> pa.Table:
    """Return one row for each image asked for, in that order, without the stamps."""
    place = {name: index for index, name in enumerate(table["image"].to_pylist())}
    places = pa.array([place[printable(image)] for image in images], pa.int64())
    return table.select(SCHEMA.names).take(places).combine_chunks()


def _check_output(
    output: Path, settings: Settings, images: Sequence[str], *, overwrite: bool
) -> None:
    if overwrite or not output.exists():
        return
    known = {printable(image) for image in images}
    try:
        if output.suffix.lower() == ".parquet":
            metadata = pq.read_schema(output).metadata or {}
            same = json.loads(metadata[b"equiderm"]) == _lasting(settings)
            old = pq.read_table(output, columns=["image"])["image"].to_pylist()
        else:
            from equiderm.files import read_table

            frame = read_table(output)
            same = set(frame["method"]) == {settings.method}
            same = same and set(frame["scheme"]) == {settings.scheme}
            old = frame["image"].tolist()
    except (InputError, KeyError, ValueError, OSError, pa.ArrowException):
        same, old = False, []
    if not same or not known.issuperset(old):
        what = "holds images that are not in this run" if same else "was made with other settings"
        raise InputError(f"{output}: exists and {what}; choose another output or add --overwrite.")


def _lasting(settings: Settings) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(settings).items() if key != "overlays"}


def _write(table: pa.Table, output: Path, settings: Settings) -> None:
    if output.suffix.lower() == ".parquet":
        metadata = {**(table.schema.metadata or {}), b"equiderm": json.dumps(_lasting(settings))}
        with write_whole(output) as temporary:
            pq.write_table(table.replace_schema_metadata(metadata), temporary)
    else:
        from equiderm.files import write_table

        write_table(table.to_pandas(), output)


_scheme = lru_cache(get_scheme)  # a fitted scheme is a file: read once a process


def label_one(image: str, settings: Settings, overlay: str | None = None) -> Row:
    """Return one image's row, ready for the table; never raises for the image's own faults."""
    stamp = _stamp(image)
    try:
        photo = load_photo(image, SIDE, exact=settings.exact)
        estimator, scheme = get_method(settings.method), _scheme(settings.scheme)
        estimate = estimate_photo(photo, settings.method, estimator, scheme)
        if overlay is not None:
            write_overlay(photo, estimate, Path(overlay))
    except PhotoError as error:
        return _error_row(image, settings, str(error), stamp)
    except cv2.error as error:
        return _error_row(image, settings, f"cannot be measured ({error.err})", stamp)
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
            return _error_row(task[0], settings, reason, _stamp(task[0]))


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
