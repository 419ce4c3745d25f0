"""Tables in and files out: read what people really send, write whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TABLE_ENDINGS = (".parquet", ".csv", ".tsv")
STANDARD = Path("-")  # in place of a table's path: standard input, or CSV to standard output


@contextlib.contextmanager
def write_whole(path: Path) -> Generator[Path]:
    """Yield a temporary path beside ``path``; it becomes ``path`` only if the block succeeds.

    A failure of any kind, a full disk included, leaves an existing ``path`` as it was and no
    temporary file behind.

    Raises:
        InputError: The folder cannot be made or written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name[:80]}.", suffix=path.suffix
        )
        os.close(handle)
    except OSError as error:
        raise InputError(_cannot_write(path, error)) from error
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InputError(_cannot_write(path, error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        kept = "the file that was there is untouched" if path.exists() else "nothing was written"
        return f"{path}: the disk is full, {kept}; free some space and run the command again."
    reason = error.strerror or str(error)
    return f"{path}: cannot be written ({reason}); choose another place for the output."


@contextlib.contextmanager
def only_one(path: Path) -> Generator[None]:
    """Hold the lock of what is being written, so that no second run writes it too.

    The lock is a hidden file beside ``path``, which goes when the block ends; the system lets go of
    it when the process dies.

    Raises:
        InputError: Another run holds it, or the folder cannot be made or written.
    """
    import filelock

    place = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(place, timeout=0)
        lock.acquire()
    except filelock.Timeout as error:
        raise InputError(
            f"{path}: another run is writing it; wait until that has ended, or choose another "
            "output."
        ) from error
    except OSError as error:
        raise InputError(_cannot_write(path, error)) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows deletes no open file; it is empty and hidden
            place.unlink()  # before it is released: who waits for it then sees that it is gone
        lock.release()


def check_table_path(path: Path) -> None:
    """Raise InputError unless ``path`` ends in a table format that `write_table` knows."""
    if path != STANDARD and path.suffix.lower() not in TABLE_ENDINGS:
        known = ", ".join(TABLE_ENDINGS)
        raise InputError(f"{path}: a table's name must end in one of {known}; rename the output.")


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet, CSV or TSV by the ending of ``path``, whole or not at all.

    ``-`` is standard output, as CSV. List-valued cells stay lists in Parquet and become
    space-separated text in CSV and TSV.
    """
    check_table_path(path)
    if path == STANDARD:
        _flatten(frame).to_csv(sys.stdout, index=False)
        sys.stdout.flush()
        return
    with write_whole(path) as temporary:
        if path.suffix.lower() == ".parquet":
            frame.to_parquet(temporary, index=False)
        else:
            separator = "\t" if path.suffix.lower() == ".tsv" else ","
            _flatten(frame).to_csv(temporary, index=False, sep=separator)


def _flatten(frame: pd.DataFrame) -> pd.DataFrame:
    flat = frame.copy()
    for column in flat.columns:
        if flat[column].map(lambda cell: hasattr(cell, "__len__")).any():
            flat[column] = flat[column].map(_flatten_cell)
    return flat


def _flatten_cell(cell: object) -> object:
    if isinstance(cell, str) or not hasattr(cell, "__iter__"):
        return cell
    return " ".join(f"{item:.4f}" if isinstance(item, float) else str(item) for item in cell)  # pyright: ignore[reportGeneralTypeIssues]


def read_table(path: Path, *, as_text: bool = False) -> pd.DataFrame:
    """Return a table from Parquet, CSV or TSV, whatever its encoding, separator or ending.

    A Parquet file is known by its first bytes. Text is read as UTF-8 (with or without a mark),
    UTF-16 with a mark, or else Windows-1252; the separator (comma, semicolon, tab) is the one that
    the header line holds most of. A comma as decimal sign is understood beside semicolons.

    Args:
        path: The file; ``-`` is standard input.
        as_text: Keep the cells of a CSV or TSV as text, so that ``000123`` stays a name; an empty
            cell is missing. Parquet has its own types and keeps them.

    Raises:
        InputError: No such file, not a table, or a table without a header.
    """
    import pandas as pd

    if path.is_dir():
        raise InputError(f"{path}: is a folder, a table (CSV or Parquet) is expected.")
    try:
        raw = sys.stdin.buffer.read() if path == STANDARD else path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name.") from error
    if path == STANDARD:
        path = Path("standard input")  # in messages
    if raw[:4] == b"PAR1":
        try:
            return pd.read_parquet(io.BytesIO(raw))
        except Exception as error:
            raise InputError(f"{path}: a damaged Parquet file; make it anew.") from error
    return _read_text(path, raw, as_text=as_text)


def _read_text(path: Path, raw: bytes, *, as_text: bool) -> pd.DataFrame:
    import pandas as pd

    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = raw.decode("utf-16", errors="replace")
    else:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("cp1252", errors="replace")
    header = text.lstrip("\r\n").split("\n", 1)[0]
    if not header.strip() or "\x00" in text:
        raise InputError(
            f"{path}: holds no table; a CSV with a header line or Parquet is expected."
        )
    separator = max(",;\t", key=header.count)
    decimal = "," if separator == ";" else "."
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=separator, decimal=decimal, dtype="string" if as_text else None
        )
    except (ValueError, pd.errors.ParserError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise InputError(
            f"{path}: cannot be read as a table ({reason}); check that line."
        ) from error
    frame.columns = [str(column).strip() for column in frame.columns]
    return frame
