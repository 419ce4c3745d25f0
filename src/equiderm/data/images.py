"""The image store: every photograph decoded once into one memory-mapped array."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from equiderm.data.decode import FILES, INDEX, LEDGER, PIXELS, Progress, decode, digest, file_digest
from equiderm.errors import InputError
from equiderm.files import AnyPath, only_one, write_text, write_whole
from equiderm.format import data_size
from equiderm.identity import find_rows
from equiderm.records import Record
from equiderm.remote import fetch_url, name_of, read_url, stamp_urls, twin_of, url_of, write_url

if TYPE_CHECKING:
    import pandas as pd


_SENT, _COPIED = (PIXELS, FILES, INDEX), "copied.json"  # the index last: it says that all is there
_INDEX_KEYS = {"size", "source_hash", "image_ids", "checksums", "errors"}


@dataclass(frozen=True, eq=False, repr=False)
class ImageStore(Record):
    """Decoded photographs by image id, shared between processes through the page cache.

    Only its folder is pickled: a worker process maps the same file.

    Attributes:
        directory: Its folder.
        images: Read-only uint8 sRGB memory map, shape (n, size, size, 3).
        image_ids: The name of each, n of them.
        source_hash: Of what it was built from: ids, paths, file sizes and times, and settings.
        checksums: Of each block of pixels, in order: (rows, BLAKE2b).
    """

    directory: Path = field(compare=False)
    images: NDArray[np.uint8] = field(compare=False)  # the checksums are compared
    image_ids: tuple[str, ...]
    source_hash: str = field(repr=False)
    checksums: tuple[tuple[int, str], ...] = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageStore.open, (self.directory,)

    @classmethod
    def open(cls, directory: AnyPath) -> ImageStore:
        """Return the finished store of a folder, without reading its pixels.

        A store at a URL is copied to this machine once, and again when it has changed there.

        Raises:
            InputError: No finished store is there, or its file is not as long as it was.
        """
        directory = Path(directory)
        if url := url_of(directory):
            directory = twin_of(url, "stores")
            with only_one(directory / INDEX, wait=True):
                if not _fetch(url, directory):
                    raise InputError(f"{url}: holds no finished image store; check the name.")
        try:
            index = _read_index(directory)
        except OSError as error:
            raise InputError(
                f"{directory}: holds no finished image store; check the name, or run the "
                "`equiderm train … --store` that builds it."
            ) from error
        except ValueError as error:
            raise InputError(f"{directory / INDEX}: {error}; build the store again.") from error
        pixels, size = directory / PIXELS, index["size"]
        shape = (len(index["image_ids"]), size, size, 3)
        written = pixels.stat().st_size if pixels.exists() else 0
        if written != np.prod(shape):
            raise InputError(
                f"{pixels}: has {written} bytes instead of {np.prod(shape)}; build the store again."
            )
        return cls(
            directory=directory,
            images=np.memmap(pixels, np.uint8, mode="r", shape=shape),
            image_ids=tuple(index["image_ids"]),
            source_hash=index["source_hash"],
            checksums=tuple((rows, checksum) for rows, checksum in index["checksums"]),
        )

    def _repr_html_(self) -> str:
        from equiderm.page import sheet_of

        return sheet_of(self.images, self.image_ids, title=repr(self))

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.image_ids)}

    def rows(self, image_ids: Iterable[str]) -> NDArray[np.int64]:
        """Return the position of each image.

        Raises:
            InputError: An image that is not in the store.
        """
        where = f"the store {self.directory}"
        return find_rows(self._row, image_ids, where, "build it from this manifest")

    def verify(self) -> None:
        """Read every pixel and raise InputError unless all are as they were written."""
        start = 0
        for rows, checksum in self.checksums:
            if digest(self.images[start : start + rows].tobytes()) != checksum:
                raise InputError(
                    f"{self.directory}: images {start} to {start + rows - 1} have changed on "
                    f"disk; delete {self.directory / INDEX} and build the store again."
                )
            start += rows


def build_store(
    frame: pd.DataFrame,
    directory: AnyPath,
    *,
    size: int = 256,
    workers: int | None = None,
    exact: bool = False,
    engine: str = "local",
    progress: Progress | None = None,
) -> tuple[ImageStore, pd.DataFrame]:
    """Decode a manifest's images into a store, or open the store already built from them.

    Images are in the manifest's order, each centre-cropped to a square (`equiderm.photo`). One
    that cannot be read is left out and listed, never a row of zeros. An interrupted build resumes
    after the last whole block. The bytes do not depend on the number of workers. Two processes
    that build one store at once take turns, and the second opens what the first built. A store is
    recognised by its images' content: it still opens when it or they were copied or moved, or when
    the originals are gone.

    Args:
        frame: Columns ``image_id`` (each once) and ``path``.
        directory: Folder of the store alone; not a folder of images. A store at a URL is built on
            this machine and then sent, or copied from there if it is finished.
        size: Side of the square images, in pixels.
        workers: Processes; None takes one per core.
        exact: Decode large JPEGs at full size; several times slower.
        engine: ``ray`` decodes on a Ray cluster, whose machines see the images under the same
            paths; see `equiderm.engine.run`.
        progress: Called with images done and in total.

    Returns:
        The store, and the images left out: ``image_id, path, error``.

    Raises:
        InputError: An id given twice, a folder of images or of another store, or no image that
            can be read.
    """
    directory = Path(directory)
    ids = [str(name) for name in frame["image_id"]]
    paths = [str(path) for path in frame["path"]]
    _check(ids, paths, directory)
    source = _source_hash(ids, paths, size, exact)
    url = url_of(directory)
    local = twin_of(url, "stores") if url else directory
    with only_one(local / INDEX, wait=True):
        is_there = url is None or _fetch(url, local)
        if not _is_whole(local):
            decode(
                local, ids, paths,
                size=size, exact=exact, source=source, workers=workers, progress=progress,
                engine=engine,
            )  # fmt: skip
        store = ImageStore.open(local)
        if store.source_hash != source:
            _check_content(store, name_of(directory), ids, paths, size, exact, source)
        if url and not is_there:
            _send(local, url)
    return store, _errors(local)


def _stamps(url: str) -> dict[str, str]:
    """Return the stamp of each file of a store at a URL, "" of one that is not there."""
    stamps = stamp_urls(f"{url}/{name}" for name in _SENT)
    return {place.rpartition("/")[2]: stamp for place, stamp in stamps.items()}


def _fetch(url: str, directory: Path) -> bool:
    """Copy a store from a URL unless it is here; return whether a finished one is there.

    Warns:
        UserWarning: It is copied, and where to.

    Raises:
        InputError: It cannot be read.
    """
    try:
        stamps, copied = _stamps(url), directory / _COPIED
        if not stamps[INDEX]:
            with contextlib.suppress(FileNotFoundError):
                read_url(f"{url}/{INDEX}")  # says why, unless there is none
            return False
        if copied.exists() and json.loads(copied.read_text(encoding="utf-8")) == stamps:
            return True
        size = stamps[PIXELS].partition(" ")[0]
        size = f"its {data_size(int(size))} are" if size.isdigit() else "it is"
        warnings.warn(f"{url}: {size} copied once, to {directory}.", stacklevel=4)
        for name in (_COPIED, INDEX, LEDGER):
            (directory / name).unlink(missing_ok=True)
        for name in filter(stamps.get, _SENT):
            with write_whole(directory / name) as temporary:
                fetch_url(f"{url}/{name}", temporary)
        write_text(copied, json.dumps(stamps))
    except OSError as error:
        raise InputError(f"{url}: cannot be read ({error.strerror}); check the name.") from error
    return True


def _send(directory: Path, url: str) -> None:
    """Send a finished store to a URL, its index last.

    Raises:
        InputError: It cannot be written.
    """
    try:
        for name in _SENT:
            write_url(directory / name, f"{url}/{name}")
    except OSError as error:
        raise InputError(
            f"{url}: cannot be written ({error.strerror}); the store is kept in {directory}: run "
            "the same command to send it."
        ) from error
    write_text(directory / _COPIED, json.dumps(_stamps(url)))


def store_readable(
    frame: pd.DataFrame,
    directory: AnyPath,
    *,
    size: int = 256,
    workers: int | None = None,
    engine: str = "local",
    progress: Progress | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build the store of a manifest; return the rows that it holds, and the images left out.

    Arguments and errors are those of `build_store`.
    """
    store, errors = build_store(
        frame, directory, size=size, workers=workers, engine=engine, progress=progress
    )
    held = frame["image_id"].astype(str).isin(store.image_ids)
    return frame[held].reset_index(drop=True), errors


def _check(ids: list[str], paths: list[str], directory: Path) -> None:
    if not ids:
        raise InputError("the manifest has no rows; there is nothing to store.")
    seen: set[str] = set()
    for row, name in enumerate(ids):
        if name in seen:
            raise InputError(
                f"row {row + 1}: image_id {name} occurs twice; remove one (see `equiderm "
                "duplicates`) or build a store for each source."
            )
        seen.add(name)
    if os.path.realpath(directory) in {os.path.realpath(Path(path).parent) for path in paths}:
        raise InputError(f"{directory}: is a folder of images; choose another for the store.")


def _source_hash(ids: list[str], paths: list[str], size: int, exact: bool) -> str:
    """Return a hash of what decides the pixels, the files' contents by their sizes and times."""
    digest = hashlib.blake2b(f"1 {size} {exact}".encode(), digest_size=16)
    stamps = stamp_urls(paths)
    for name, path in zip(ids, paths, strict=True):
        try:
            stat = os.stat(path)  # noqa: PTH116 - a hundred thousand of them, three times faster
            state = f"{stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            state = stamps.get(path) or "absent"
        digest.update(f"\n{name}\t{path}\t{state}".encode())
    return digest.hexdigest()


def _check_content(
    store: ImageStore,
    name: str,
    ids: list[str],
    paths: list[str],
    size: int,
    exact: bool,
    source: str,
) -> None:
    """Raise unless a finished store holds these images, though files have other paths or times.

    Files that are no longer there are not checked. Where every file was read, the store notes
    their new paths and times, so that none is read the next time.

    Raises:
        InputError: It holds other images, or was built with other settings.
    """
    other = InputError(
        f"{name}: holds the store of other images or settings; choose another folder, or delete it."
    )
    index, record = _read_index(store.directory), store.directory / FILES
    if index["size"] != size or index.get("exact") != exact or not record.exists():
        raise other
    errors = {row["image_id"] for row in index["errors"]}
    held = [name for name in ids if name not in errors]
    try:
        written = np.load(record)
    except (ValueError, OSError, EOFError):
        raise other from None
    if held != index["image_ids"] or len(written) != len(ids):
        raise other
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(file_digest, paths))
    for image, then, now in zip(ids, written, digests, strict=True):
        if now and then.decode() != now:
            raise InputError(f"{str(other).removesuffix('.')} ({image} is not the file it was).")
    if all(digests):
        with contextlib.suppress(OSError):
            write_text(store.directory / INDEX, json.dumps(index | {"source_hash": source}))


def _read_index(directory: Path) -> dict[str, Any]:
    """Return what a store's index holds; ValueError where it is damaged."""
    try:
        index = json.loads((directory / INDEX).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError("is empty or damaged") from error
    if not isinstance(index, dict) or not _is_index(index):
        raise ValueError("is not the index of an image store")
    return index


def _is_index(index: dict[str, Any]) -> bool:
    if not index.keys() >= _INDEX_KEYS or not isinstance(index["size"], int):
        return False
    lists = [index[key] for key in ("image_ids", "checksums", "errors")]
    return (
        0 < index["size"] < 1 << 16
        and isinstance(index["source_hash"], str)
        and all(isinstance(values, list) for values in lists)
        and all(isinstance(name, str) for name in lists[0])
        and all(isinstance(pair, list) and [*map(type, pair)] == [int, str] for pair in lists[1])
        and all(isinstance(error, dict) and "image_id" in error for error in lists[2])
    )


def _is_whole(directory: Path) -> bool:
    """Return whether a finished store lies there, after clearing away one that is damaged.

    Warns:
        UserWarning: It is damaged, and is built again.
    """
    if not (directory / INDEX).exists():
        return False
    try:
        ImageStore.open(directory)
    except InputError as error:
        warnings.warn(f"{error} It is built again.", stacklevel=3)
        (directory / INDEX).unlink()
        return False
    return True


def _errors(directory: Path) -> pd.DataFrame:
    import pandas as pd

    rows = _read_index(directory)["errors"]
    return pd.DataFrame(rows, columns=["image_id", "path", "error"])
