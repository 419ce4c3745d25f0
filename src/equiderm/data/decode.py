"""Decoding into a file block by block, so that a killed build goes on where it stopped."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from equiderm.errors import InputError
from equiderm.files import write_whole

BLOCK = 256  # images decoded, written and checked together: 50 MB at 256 pixels
PIXELS, INDEX, _LEDGER = "images.u8", "store.json", "building.jsonl"
Progress = Callable[[int, int], None]


def digest(pixels: bytes) -> str:
    """Return the checksum of some pixels: BLAKE2b, 128 bits, in hexadecimal."""
    return hashlib.blake2b(pixels, digest_size=16).hexdigest()


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
) -> None:
    """Decode into ``directory``, after what is there of the same source; write the index last.

    Raises:
        InputError: A half-built store of another source, a full disk, or no readable image.
    """
    ledger = _resume(directory, source, size)
    _append(directory, ledger, ids, paths, size, exact, workers, progress)
    kept = [name for block in ledger for name in block["ids"]]
    if not kept:
        first = ledger[0]["errors"][0]
        raise InputError(
            f"none of the {len(ids)} images can be read, the first is {first['path']}: "
            f"{first['error']}"
        )
    index = {
        "size": size,
        "source_hash": source,
        "image_ids": kept,
        "checksums": [(len(block["ids"]), block["digest"]) for block in ledger],
        "errors": [error for block in ledger for error in block["errors"]],
    }
    with write_whole(directory / INDEX) as temporary:
        temporary.write_text(json.dumps(index))
    (directory / _LEDGER).unlink()


def _append(
    directory: Path,
    ledger: list[dict[str, Any]],
    ids: list[str],
    paths: list[str],
    size: int,
    exact: bool,
    workers: int | None,
    progress: Progress | None,
) -> None:
    """Decode the blocks that the ledger lacks, in order, adding each to file and ledger."""
    from joblib import Parallel, delayed

    starts = range(len(ledger) * BLOCK, len(ids), BLOCK)
    made = Parallel(n_jobs=workers or os.cpu_count() or 1, return_as="generator")(
        delayed(_decode_block)(paths[start : start + BLOCK], size, exact) for start in starts
    )
    made = cast("Iterator[tuple[NDArray[np.uint8], dict[int, str]]]", made)
    with (directory / PIXELS).open("ab") as pixels, (directory / _LEDGER).open("a") as lines:
        for start, (squares, reasons) in zip(starts, made, strict=True):
            coded = squares.tobytes()
            _write_out(pixels, coded)
            names = ids[start : start + BLOCK]
            block = {
                "ids": [name for row, name in enumerate(names) if row not in reasons],
                "digest": digest(coded),
                "errors": [
                    {"image_id": names[row], "path": paths[start + row], "error": reason}
                    for row, reason in reasons.items()
                ],
            }
            _write_out(lines, f"{json.dumps(block)}\n")
            ledger.append(block)
            if progress is not None:
                progress(min(start + BLOCK, len(ids)), len(ids))


def _decode_block(
    paths: list[str], size: int, exact: bool
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """Return the squares that can be read, and why the others cannot, by position."""
    from equiderm.photo.decode import PhotoError, load_square

    squares: list[NDArray[np.uint8]] = []
    reasons: dict[int, str] = {}
    for row, path in enumerate(paths):
        try:
            squares.append(load_square(path, size, exact=exact))
        except PhotoError as error:
            reasons[row] = str(error)
    return np.array(squares, np.uint8).reshape(-1, size, size, 3), reasons


def _write_out(file: Any, data: bytes | str) -> None:
    """Write and wait until the disk has it."""
    try:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise InputError(
            f"{file.name}: cannot be written ({error.strerror}); free some space and run the "
            "command again, it goes on where it stopped."
        ) from error


def _resume(directory: Path, source: str, size: int) -> list[dict[str, Any]]:
    """Return the blocks that an earlier build of the same images left whole, and cut off the rest.

    A ledger line is written after its pixels are on the disk; pixels without a line are not
    trusted, nor is a line whose checksum fails.
    """
    path, pixels = directory / _LEDGER, directory / PIXELS
    pixels.touch()
    lines: list[dict[str, Any]] = []
    if path.exists():
        for text in path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # the line that the kill cut short
                lines.append(json.loads(text))
    if lines and lines[0] != {"source": source}:
        raise InputError(
            f"{directory}: holds a half-built store of other images or settings; choose another "
            "folder, or delete it."
        )
    blocks: list[dict[str, Any]] = []
    with pixels.open("rb+") as file:
        end = 0
        for line in lines[1:]:
            if digest(file.read(len(line["ids"]) * size * size * 3)) != line["digest"]:
                break
            blocks.append(line)
            end = file.tell()
        file.truncate(end)
    with write_whole(path) as temporary:
        temporary.write_text(
            "".join(f"{json.dumps(line)}\n" for line in [{"source": source}, *blocks])
        )
    return blocks
