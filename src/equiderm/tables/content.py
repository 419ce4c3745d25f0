"""The content of a table's file: its bytes, unpacked, and their text."""

from __future__ import annotations

import gzip
import io
import re
import sys
import zlib
from pathlib import Path

from equiderm.errors import InputError
from equiderm.files import STANDARD
from equiderm.remote import read_url, url_of
from equiderm.tables.names import is_folder

_FOREIGN_FILES = {  # by the first bytes
    b"PK\x03\x04": "an Excel file or a zip archive", b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"$FL2": "an SPSS file", b"<stata_dta>": "a Stata file", b"%PDF": "a PDF",
    b"<!doctype": "a web page", b"<html": "a web page", b"<table": "a web page", b"<?xml": "XML",
    b"BZh": "packed with bzip2", b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd", b"ARROW1": "an Arrow (Feather) file",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file", b"SQLite format 3": "a database",
}  # fmt: skip
_UNPACKED, _UNPACKED_RATIO = 100_000_000, 200  # bytes of a packed table; beyond, times its size


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file, of standard input where it is ``-``, or of a URL.

    Raises:
        InputError: A folder, no such file, or no permission to read it.
    """
    if path == STANDARD:
        return sys.stdin.buffer.read()
    url = url_of(path)
    if url is None and is_folder(path):
        raise InputError(f"{path}: is a folder; give a table (CSV or Parquet).")
    try:
        return path.read_bytes() if url is None else read_url(url)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason}); check the name.") from error


def unpacked(raw: bytes, path: Path) -> bytes:
    """Return what gzip has packed, and other bytes as they are."""
    if raw[:2] != b"\x1f\x8b":
        return raw
    most = max(_UNPACKED, _UNPACKED_RATIO * len(raw))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            body = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: a damaged gzip file ({error}); write it again.") from error
    if len(body) > most:
        raise InputError(
            f"{path}: unpacks to more than {_UNPACKED_RATIO} times its size, which no table does "
            "(a decompression bomb?); unpack it yourself if it is one."
        )
    return body


def check_no_foreign_file(raw: bytes, path: Path) -> None:
    """Raise InputError where the first bytes are those of a program's own format."""
    start = raw[:20].lstrip().lower()
    for first, what in _FOREIGN_FILES.items():
        if start.startswith(first.lower()):
            raise InputError(f"{path}: is {what}, not a table; save it as CSV.")


def decoded(raw: bytes, path: Path) -> str:
    """Return the text of a table: UTF-8, UTF-16 or Windows-1252."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    for order, blank in (("utf-16-le", raw[1:8:2]), ("utf-16-be", raw[:8:2])):
        if len(raw) >= 8 and not any(blank):
            return raw.decode(order, errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in raw:
            raise InputError(
                f"{path}: is not text, hence no table that can be read; save it as CSV or Parquet."
            ) from error
        # A valid letter of several bytes tells a damaged UTF-8 file from Windows-1252
        if re.search(rb"[\xc3-\xf4][\x80-\xbf]{1,3}", raw):
            line = raw.count(b"\n", 0, error.start) + 1
            raise InputError(
                f"{path}: line {line} holds a byte that is not UTF-8, although other lines are; "
                "save the table again as UTF-8."
            ) from error
    return raw.decode("cp1252", errors="replace")


def utf8(text: str) -> bytes:
    """Return text as UTF-8; what a name that is not UTF-8 holds is escaped."""
    return text.encode("utf-8", "backslashreplace")
