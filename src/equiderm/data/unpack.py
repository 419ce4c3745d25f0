"""Unpack downloaded archives so that nothing is written outside the folder or fills the disk."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from equiderm.errors import InputError
from equiderm.files import hidden_beside
from equiderm.format import data_size

MAX_RATIO = 30  # photographs hardly shrink; text tables shrink to a tenth
MAX_SLACK = 200_000_000  # bytes that any archive may unpack to, whatever its size
MAX_ENTRIES = 2_000_000
_CHUNK = 1 << 20


class ArchiveError(InputError):
    """The archive itself is damaged or not safe: another one is needed."""


def unpack_zip(archive: Path, folder: Path) -> int:
    """Unpack a ZIP into a new folder, whole or not at all; return the number of files.

    Every entry is checked before a byte is written, and every file against its CRC while it is
    written. A ZIP inside is unpacked into a folder beside it and removed.

    Args:
        archive: The ZIP file.
        folder: The new folder; its parent exists. A folder that exists is left as it is (0 files).

    Raises:
        ArchiveError: Not a ZIP or damaged; a name that leads out of the folder; a link, device or
            other special file; an encrypted entry; two entries of one name; more bytes than
            `MAX_RATIO` times the archive.
        InputError: The disk is full or cannot be written.
    """
    if folder.exists():
        return 0
    partial = hidden_beside(folder, "unpacking")
    shutil.rmtree(partial, ignore_errors=True)
    allowed = archive.stat().st_size * MAX_RATIO + MAX_SLACK
    try:
        allowed -= _unpack(archive, partial, allowed)
        for inner in sorted(partial.rglob("*")):
            if inner.suffix.lower() == ".zip" and inner.is_file():
                allowed -= _unpack(inner, inner.with_suffix(""), allowed)
                inner.unlink()
        count = sum(path.is_file() for path in partial.rglob("*"))
        partial.rename(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}).") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return count


def _unpack(archive: Path, folder: Path, allowed: int) -> int:
    """Unpack one archive and return its bytes; no more than are allowed."""
    written = 0
    folder.mkdir(exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as file:
            entries = file.infolist()
            _check(archive, entries, allowed)
            _check_space(archive, folder, sum(entry.file_size for entry in entries))
            for entry in entries:
                target = folder / entry.filename
                if entry.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                written += _write(file, entry, target, allowed - written, archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ArchiveError(
            f"{archive}: is not a complete ZIP archive ({error}); delete it and fetch it again."
        ) from error
    return written


def _write(
    file: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, allowed: int, archive: Path
) -> int:
    """Write one entry and return its bytes, counted as they come, whatever the entry claims."""
    written = 0
    with file.open(entry) as source, target.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > allowed:
                raise _bomb(archive)
            sink.write(chunk)
    return written


def _check(archive: Path, entries: list[zipfile.ZipInfo], allowed: int) -> None:
    names: set[str] = set()
    for entry in entries:
        name = entry.filename
        parts = PurePosixPath(name).parts
        if not name.strip("/") or "\\" in name or "\0" in name or ":" in (parts or (":",))[0]:
            raise ArchiveError(f"{archive}: has an entry named {name!r}; nothing was unpacked.")
        if name.startswith("/") or ".." in parts:
            raise ArchiveError(
                f"{archive}: entry {name!r} leads out of the folder; nothing was unpacked."
            )
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ArchiveError(
                f"{archive}: entry {name!r} is a link or a special file; nothing was unpacked."
            )
        if entry.flag_bits & 1:
            raise ArchiveError(f"{archive}: entry {name!r} is encrypted; nothing was unpacked.")
        if name.rstrip("/") in names and not entry.is_dir():
            raise ArchiveError(f"{archive}: has {name!r} twice; nothing was unpacked.")
        names.add(name.rstrip("/"))
    if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > allowed:
        raise _bomb(archive)


def _bomb(archive: Path) -> ArchiveError:
    return ArchiveError(
        f"{archive}: unpacks to more than {MAX_RATIO} times its size, which no image archive does; "
        "nothing was unpacked."
    )


def _check_space(archive: Path, folder: Path, needed: int) -> None:
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise InputError(
            f"{archive}: needs {data_size(needed)} to unpack and {data_size(free)} are free; "
            "free some space and run the command again."
        )
