"""Decode images into a file block by block, so that an interrupted build resumes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equiderm.engine import Failure, run
from equiderm.errors import InputError, NoneReadable
from equiderm.files import write_text, write_whole
from equiderm.format import data_size
from equiderm.remote import open_regular, read_url, url_of

BLOCK = 256  # images decoded, written and checked together: 50 MB at 256 pixels
PIXELS, INDEX, LEDGER = "images.u8", "store.json", "building.jsonl"
FILES = "files.npy"  # checksum of each original, in the manifest's order; empty where it is missing
Progress = Callable[[int, int], None]


def digest(pixels: bytes) -> str:
    """Return the checksum of bytes: BLAKE2b, 128 bits, in hexadecimal."""
    return hashlib.blake2b(pixels, digest_size=16).hexdigest()


def file_digest(path: str) -> str:
    """Return the checksum of a file's bytes; "" where it cannot be read."""
    try:
        if url := url_of(path):
            return digest(read_url(url))
        with open_regular(path) as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return ""


def decode(
    directory: Path,
    ids: list[str],
    paths: list[str],
    *,
    size: int,
    exact: bool,
    source: str,
    workers: int | None,
    progress: Progress | None,
    engine: str = "local",
) -> None:
    """Decode into ``directory``, after the blocks of an earlier build; write the index last.

    Raises:
        InputError: A half-built store of another source, a full disk, or no readable image.
    """
    ledger = _resume(directory, source, size)
    start = len(ledger) * BLOCK
    _check_space(directory, len(paths) - start, size)
    decoded = run(
        _decode_one,
        paths[start:],
        shared=(size, exact),
        workers=workers,
        largest_chunk=16,
        ordered=True,
        engine=engine,
    )
    _append(directory, ledger, decoded, ids, paths, progress)
    kept = [name for block in ledger for name in block["ids"]]
    if not kept:
        first = ledger[0]["errors"][0]
        error = NoneReadable(
            f"none of the {len(ids)} images can be read, the first is {first['path']}: "
            f"{first['error']}"
        )
        error.images = tuple(row for block in ledger for row in block["errors"])
        raise error
    files = [checksum for block in ledger for checksum in block["files"]]
    with write_whole(directory / FILES) as temporary, temporary.open("wb") as file:
        np.save(file, np.array(files, "S32"))
    index = {
        "size": size,
        "exact": exact,
        "source_hash": source,
        "image_ids": kept,
        "checksums": [(len(block["ids"]), block["digest"]) for block in ledger],
        "errors": [error for block in ledger for error in block["errors"]],
    }
    write_text(directory / INDEX, json.dumps(index))
    (directory / LEDGER).unlink()


def _check_space(directory: Path, images: int, size: int) -> None:
    needed, free = images * size * size * 3, shutil.disk_usage(directory).free
    if needed > free:
        raise InputError(
            f"{directory}: {images:,} images of {size} x {size} pixels need "
            f"{data_size(needed)}, and the disk has {data_size(free)}; take a smaller size, or a "
            "store on another disk."
        )


def _append(
    directory: Path,
    ledger: list[dict[str, Any]],
    decoded: Generator[tuple[int, Any]],
    ids: list[str],
    paths: list[str],
    progress: Progress | None,
) -> None:
    """Add the blocks that the ledger lacks, in order, each to file and ledger."""
    start = len(ledger) * BLOCK
    block = Block(start)
    with (
        closing(decoded),
        (directory / PIXELS).open("ab") as pixels,
        (directory / LEDGER).open("a", encoding="utf-8") as lines,
    ):
        for index, image in decoded:
            row = start + index
            block.add(ids[row], paths[row], image)
            if row + 1 < min(block.start + BLOCK, len(ids)):
                continue
            coded = b"".join(block.squares)
            _write_out(pixels, coded)
            block.line["digest"] = digest(coded)
            _write_out(lines, f"{json.dumps(block.line)}\n")
            ledger.append(block.line)
            block = Block(row + 1)
            if progress is not None:
                progress(row + 1, len(ids))


class Block:
    """Images that are written together, from row ``start`` on: pixels, and the ledger's line."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.squares: list[bytes] = []
        self.line: dict[str, Any] = {"ids": [], "digest": "", "errors": [], "files": []}

    def add(self, name: str, path: str, decoded: tuple[NDArray[np.uint8], str] | Failure) -> None:
        """Add one image with the checksum of its file, or the reason why it cannot be read."""
        if isinstance(decoded, Failure):
            error = {"image_id": name, "path": path, "error": decoded.reason}
            self.line["errors"].append(error)
            self.line["files"].append(file_digest(path))
        else:
            square, written = decoded
            self.squares.append(square.tobytes())
            self.line["ids"].append(name)
            self.line["files"].append(written)


def _decode_one(path: str, how: tuple[int, bool]) -> tuple[NDArray[np.uint8], str]:
    from equiderm.photo.decode import load_square, read_image_url

    size, exact = how
    if url := url_of(path):
        blob = read_image_url(url)  # once
        return load_square(blob, size, exact=exact), digest(blob)
    return load_square(path, size, exact=exact), file_digest(path)


def _write_out(file: Any, data: bytes | str) -> None:
    """Write, and wait until it is on the disk."""
    try:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else f"cannot be written ({error.strerror})"
        raise InputError(
            f"{file.name}: {reason}; free some space and run the command again: it resumes where "
            "it stopped."
        ) from error


def _resume(directory: Path, source: str, size: int) -> list[dict[str, Any]]:
    """Return the blocks that an earlier build of the same images left whole, and cut off the rest.

    A ledger line is written after its pixels are on the disk; pixels without a line are not
    trusted, nor is a line whose checksum fails.
    """
    path, pixels = directory / LEDGER, directory / PIXELS
    pixels.touch()
    lines = _read_ledger(path)
    if lines and lines[0] != {"source": source}:
        raise InputError(
            f"{directory}: holds a half-built store of other images or settings; choose another "
            "folder, or delete it."
        )
    blocks: list[dict[str, Any]] = []
    with pixels.open("rb+") as file:
        end = 0
        for line in lines[1:]:
            if not all(isinstance(line.get(key), list) for key in ("ids", "errors", "files")):
                break
            if digest(file.read(len(line["ids"]) * size * size * 3)) != line.get("digest"):
                break
            blocks.append(line)
            end = file.tell()
        file.truncate(end)
    write_text(path, "".join(f"{json.dumps(line)}\n" for line in [{"source": source}, *blocks]))
    return blocks


def _read_ledger(path: Path) -> list[dict[str, Any]]:
    """Return the ledger's lines up to the first that is damaged, which a kill may have cut short.

    Warns:
        UserWarning: Its first line is damaged, so that the source of its blocks is unknown.
    """
    if not path.exists():
        return []
    lines: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            break
        if not isinstance(line, dict):
            break
        lines.append(line)
    if lines[:1] and "source" in lines[0]:
        return lines
    warnings.warn(f"{path}: is empty or damaged; all images are decoded again.", stacklevel=2)
    return []
