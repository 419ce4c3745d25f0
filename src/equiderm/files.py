"""Files: what their names say, and writing them whole or not at all, one run at a time."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO, Any, TypeAlias

from equiderm.errors import InputError, InUse
from equiderm.remote import url_of, write_url

AnyPath: TypeAlias = "str | os.PathLike[str]"
STANDARD = Path("-")
_JPEG = "jpg jpeg jpe jfif"
JPEG_ENDINGS = frozenset(f".{ending}" for ending in _JPEG.split())
# Images that can be read; those of the last three lines need the extras heic, jxl and dicom.
_IMAGES = (
    f"{_JPEG} png apng tif tiff bmp dib webp gif ppm pgm pnm jp2 jpf jpx j2k j2c jpc "
    "avif avifs tga qoi pcx psd "
    "heic heif hif "
    "jxl "
    "dcm dicom"
)
IMAGE_ENDINGS = frozenset(f".{ending}" for ending in _IMAGES.split())
# Images too: in a folder they are reported with the reason why they are not read, never skipped.
_FOREIGN = (
    "raw dng nef nrw crw cr2 cr3 arw sr2 srf srw raf orf rw2 rwl pef x3f 3fr iiq kdc dcr mrw erf "
    "mef mos fff gpr jxr wdp jls jph exr ico sgi pam pfm psb heics heifs"
)
FOREIGN_ENDINGS = frozenset(f".{ending}" for ending in _FOREIGN.split())
_NEW_FOLDER = ".new-folder"
_KEPT, _ENDING = 180, 40  # bytes of a name and of its ending in those beside it; systems allow 255


@contextlib.contextmanager
def write_whole(path: AnyPath, *, folder: bool = False) -> Generator[Path]:
    """Yield a temporary path; it becomes ``path`` only if the block succeeds.

    A failure of any kind, a full disk included, leaves an existing ``path`` as it was and nothing
    temporary behind. A symbolic link stays and its target is replaced. ``-``, a device such as
    /dev/null and a FIFO are written to, once the block has succeeded, and never replaced. What goes
    to a URL is sent once it is whole.

    Args:
        path: The file to write.
        folder: Yield a folder for files instead; an existing one is replaced with all that it
            holds. A kill between the two steps of that leaves it aside, for `sweep` to put back.

    Raises:
        InputError: The folder cannot be created or written to, or the disk is full.
    """
    path = Path(path)
    if is_stream(path):
        with tempfile.TemporaryDirectory(prefix="equiderm-") as place:
            temporary = Path(place, f"output{path.suffix}")
            if folder:
                temporary.mkdir()
            yield temporary
            _pour(temporary, path)
        return
    target = Path(os.path.realpath(path))
    beside: Any = {"dir": target.parent, "prefix": f".{_kept(target.name)}."}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_name(target)
        if folder:
            name = tempfile.mkdtemp(**beside, suffix=_NEW_FOLDER)
        else:
            handle, name = tempfile.mkstemp(**beside, suffix=_ending(path))
            os.close(handle)
    except OSError as error:
        raise InputError(cannot_write(path, error)) from error
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        for file in temporary.iterdir() if folder else [temporary]:
            file.chmod(0o666 & ~mask)
            with file.open("rb+") as written:
                os.fsync(written.fileno())
        if folder:
            temporary.chmod(0o777 & ~mask)
            _replace_folder(temporary, target)
        else:
            temporary.replace(target)
    except OSError as error:
        raise InputError(cannot_write(path, error)) from error
    finally:
        remove(temporary)


def hidden_beside(path: Path, kind: str) -> Path:
    """Return the path of a hidden file beside ``path``, called after it and its kind.

    A name too long for that is cut, and told from others of the same beginning by a digest.
    """
    path = path if path.name else path.resolve()  # the folder that one works in
    return path.with_name(f".{_kept(path.name)}.{kind}")


def _kept(name: str) -> str:
    whole = os.fsencode(name)
    if len(whole) <= _KEPT:
        return name
    digest = hashlib.sha256(whole).hexdigest()[:16]
    return f"{whole[: _KEPT - 17].decode(errors='ignore')}-{digest}"


def _ending(path: Path) -> str:
    return path.suffix if len(os.fsencode(path.suffix)) <= _ENDING else ""


def _check_name(path: Path) -> None:
    """Raise OSError where no file can have this name: before the work, not after it."""
    with contextlib.suppress(FileNotFoundError):
        path.lstat()


def _replace_folder(new: Path, target: Path) -> None:
    aside = _aside(target)
    is_there = target.exists()
    if is_there:
        target.rename(aside)
    try:
        new.rename(target)
    except OSError:
        if is_there:
            aside.rename(target)
        raise
    remove(aside)


def _aside(target: Path) -> Path:
    """Return where the earlier folder lies while a new one takes its place."""
    return hidden_beside(target, "earlier-folder")


def remove(path: Path) -> None:
    """Delete a file, or a folder with all that it holds, if it is there."""
    import shutil

    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sweep(*paths: Path) -> None:
    """Delete what killed runs left half written of these files; the caller alone writes them."""
    wanted: dict[Path, set[tuple[str, str]]] = {}  # folder: names and endings, as in `write_whole`
    asides: set[Path] = set()
    for path in paths:
        target = Path(os.path.realpath(path))
        name, aside = _kept(target.name), _aside(target)
        wanted.setdefault(target.parent, set()).update(((name, _ending(path)), (name, _NEW_FOLDER)))
        asides.add(aside)
        with contextlib.suppress(OSError):
            if aside.is_dir() and not target.exists():
                aside.rename(target)
    for folder, names in wanted.items():
        endings = {ending for _, ending in names}
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder):
                possible = [_NEW_FOLDER] if entry.is_dir() else endings - {_NEW_FOLDER}
                half = any((_whole_name(entry.name, end), end) in names for end in possible)
                if half or folder / entry.name in asides:
                    remove(Path(entry))


def _whole_name(temporary: str, ending: str) -> str | None:
    """Return of which file `write_whole` would call this the temporary one, if of any."""
    match = re.fullmatch(rf"\.(.*)\.[a-z0-9_]{{8}}{re.escape(ending)}", temporary, re.DOTALL)
    return match and match[1]


def make_folder(path: Path) -> None:
    """Make a folder unless it is there; InputError where no file can be written into it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    except FileExistsError as error:
        raise InputError(f"{path}: is a file; choose a folder.") from error
    except OSError as error:
        raise InputError(cannot_write(path, error)) from error


def write_text(path: AnyPath, text: str) -> None:
    """Write a text file as UTF-8, whole or not at all; a name that is not UTF-8 is escaped."""
    with write_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def is_stream(path: Path) -> bool:
    """Return whether a path is standard output, a device, a FIFO or a URL.

    These are written to at the end; they have no files beside them, no lock, and cannot be resumed.
    """
    if url_of(path) is not None:
        return True
    if path == STANDARD or path.as_posix().startswith(("/dev/std", "/dev/fd/", "/proc/self/fd/")):
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _pour(temporary: Path, path: Path) -> None:
    """Copy a finished file into standard output, a device or a FIFO, or send it to a URL."""
    import shutil

    try:
        if url := url_of(path):
            write_url(temporary, url)
            return
        with temporary.open("rb") as source, _open_stream(path) as sink:
            shutil.copyfileobj(source, sink)
    except OSError as error:
        raise InputError(cannot_write(path, error)) from error


def _open_stream(path: Path) -> IO[bytes]:
    numbers = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}
    name = path.as_posix()
    number = numbers.get(name)
    if number is None and (match := re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", name)):
        number = int(match[1])
    if number is None:
        return path.open("wb")
    if number == 1:
        sys.stdout.flush()
    return os.fdopen(os.dup(number), "wb")  # opened by name, a redirected file would be truncated


def cannot_write(path: Path, error: OSError) -> str:
    """Return the sentence that says why a file cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        kept = "the file that was there is untouched" if path.exists() else "nothing was written"
        return f"{path}: the disk is full, {kept}; free some space and run the command again."
    reason = error.strerror or str(error)
    return f"{path}: cannot be written ({reason}); choose another place for the output."


@contextlib.contextmanager
def only_one(
    path: Path, *, wait: bool = False, watch: Callable[[str], None] | None = None
) -> Generator[None]:
    """Hold the lock of what is being written, so that no second run writes it too.

    The lock is a hidden file beside ``path``. It is deleted when the block ends, and with it a
    folder that was created for it and is empty; the system releases it when the process dies. A
    stream, which no run replaces, has none. Half-written files of ``path`` that a killed run left
    are deleted.

    Args:
        path: The file or folder to write.
        wait: Wait until the other run has ended, instead of raising.
        watch: Called with a sentence before it waits.

    Raises:
        InUse: Another run holds it.
        InputError: The folder cannot be created or written to.
    """
    import filelock

    if is_stream(path):
        yield
        return
    lock = filelock.FileLock(hidden_beside(path, "lock"))
    is_new = not path.parent.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_name(path)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            if not wait:
                raise InUse(
                    f"{path}: another run is writing it; wait until that has ended, or choose "
                    "another output."
                ) from error
            if watch is not None:
                watch(f"{path}: another run is writing it; waiting until that has ended.")
            lock.acquire()
    except OSError as error:
        if path.parent.is_file():
            raise InputError(f"{path.parent}: is a file; choose a folder.") from error
        raise InputError(cannot_write(path, error)) from error
    try:
        sweep(path)
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows deletes no open file; it is empty and hidden
            Path(lock.lock_file).unlink()  # while it is held: a run that waits sees that it is gone
        lock.release()
        if is_new:
            with contextlib.suppress(OSError):
                path.parent.rmdir()


def read_json(path: Path, advice: str) -> Any:
    """Return what a JSON file holds.

    Args:
        path: The file.
        advice: What to do where it cannot be read; ends the sentence.

    Raises:
        InputError: No such file, or it is empty, cut off, damaged or nested too deeply, or holds
            half of a surrogate pair, which no table or file can hold.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(content, ensure_ascii=False).encode()
        return content
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be read ({reason}); {advice}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is empty or damaged; {advice}.") from error
