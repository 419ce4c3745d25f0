"""Files by URL (s3://, gs://, az://, https://, hf:// ...), through fsspec and its own credentials.

A URL may stand for any path. `Path` takes a slash from it: `url_of` recognises both forms.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from typing import Any

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/{1,3}(?=[^/])")  # C:/ is a disk
_REQUESTS = 16  # at a time, where each is short
_STAMPS = ("ETag", "etag", "LastModified", "last_modified", "mtime", "updated", "created", "sha")


def url_of(path: str | os.PathLike[str]) -> str | None:
    """Return a path that is a URL in its full form; None for any other."""
    text = os.fspath(path)
    match = _URL.match(text)
    if match is None:
        return None
    slashes = ":///" if match["scheme"] == "file" else "://"
    return f"{match['scheme']}{slashes}{text[match.end() :]}"


def name_of(path: str | os.PathLike[str]) -> str:
    """Return a path or URL as people wrote it."""
    return url_of(path) or os.fspath(path)


def read_file(path: str) -> bytes:
    """Return the bytes of a file, here or at a URL.

    Raises:
        OSError: It cannot be read, or is a pipe or a device, which may never end.
    """
    if url := url_of(path):
        return read_url(url)
    with open_regular(path) as file:
        return file.read()


def open_regular(path: str | Path) -> BufferedReader:
    """Return a file open for reading bytes.

    Raises:
        OSError: It cannot be opened, or is a pipe or a device, which may never end.
    """
    kind = Path(path).stat().st_mode
    if stat.S_ISDIR(kind):
        os.scandir(path).close()  # raises where it cannot be opened
    if not stat.S_ISREG(kind):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return Path(path).open("rb")


def read_url(url: str) -> bytes:
    """Return the bytes of a file.

    Raises:
        OSError: It cannot be read; `strerror` says why, in a phrase.
    """
    try:
        files, place = _system(url)
        return files.cat_file(place)
    except Exception as error:
        raise _phrased(error) from error


def write_url(local: Path, url: str) -> None:
    """Write a local file to a URL, or the files of a folder in place of those below it.

    All are sent before any is shown, and those that were there are deleted just before.

    Raises:
        OSError: It cannot be written; `strerror` says why, in a phrase.
    """
    import shutil

    try:
        files, place = _system(url)
        sent = {local: place}
        if local.is_dir():
            sent = {one: f"{place}/{one.name}" for one in local.iterdir()}
        # an object store shows a file once it is sent whole; others once it is moved into place
        with files.transaction:
            for one, there in sorted(sent.items()):
                with one.open("rb") as source, files.open(there, "wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 22)
            if local.is_dir():
                files.invalidate_cache()
                for earlier in files.find(place):
                    files.rm_file(earlier)
    except Exception as error:
        raise _phrased(error) from error


def stamp_url(url: str) -> str:
    """Return a file's size and the version that its server states; "" if there is no file."""
    try:
        files, place = _system(url)
        about = files.info(place)
    except Exception:  # as for a local file: reading it says why
        return ""
    versions = [str(about[name]) for name in _STAMPS if about.get(name)]
    return " ".join([str(about.get("size")), *versions[:1]])


def stamp_urls(paths: Iterable[str]) -> dict[str, str]:
    """Return the stamp of each path that is a URL, by that path; several are queried at a time."""
    urls = {path: url for path in paths if (url := url_of(path))}
    with ThreadPoolExecutor(_REQUESTS) as threads:
        return dict(zip(urls, threads.map(stamp_url, urls.values()), strict=True))


def fetch_url(url: str, local: Path) -> None:
    """Copy a file from a URL to ``local``, a piece at a time.

    Raises:
        OSError: It cannot be read; `strerror` says why, in a phrase.
    """
    try:
        files, place = _system(url)
        files.get_file(place, str(local))
    except Exception as error:
        raise _phrased(error) from error


def join_url(url: str, name: str) -> str:
    """Return the URL of a name relative to another URL; the name itself if it is a URL."""
    plain = name.strip().replace("\\", "/")
    return url_of(plain) or f"{url.rpartition('/')[0]}/{plain}"


def files_below(url: str) -> list[str]:
    """Return the URLs of all files below a folder, or that match a pattern with ``*``, in order.

    Raises:
        OSError: It cannot be listed; `strerror` says why, in a phrase.
    """
    try:
        files, place = _system(url)
        listed: Any = files.glob(place) if "*" in url else files.find(place)
        return sorted(name_of(files.unstrip_protocol(name)) for name in listed)
    except Exception as error:
        raise _phrased(error) from error


def twin_of(url: str, kind: str = "outputs") -> Path:
    """Return the local path of a file or folder that is copied from or to a URL as a whole."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = hashlib.sha256(url.encode()).hexdigest()[:16]
    return Path(base, "equiderm", kind, folder, url.rpartition("/")[2])


def _system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the file's name in it."""
    from fsspec.core import url_to_fs

    return url_to_fs(url)


def _phrased(error: Exception) -> OSError:
    """Return an error of any of fsspec's file systems as an OSError with a phrase."""
    number = getattr(error, "errno", None) or 5
    if isinstance(error, ImportError):
        named = re.search(r"\b(?i:install) (?:the )?(\w+)", str(error))
        absent = getattr(error.__cause__, "name", None) or error.name or "fsspec"
        needed = named[1] if named else absent.partition(".")[0]
        extra = "'equiderm[remote]'" if needed in ("aiohttp", "fsspec", "s3fs") else needed
        return OSError(number, f"needs {needed}: `pip install {extra}`")
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(2, "no such file")
    text = re.sub(r"\s+", " ", str(error)).strip().rstrip(".")
    return OSError(number, f"{type(error).__name__}: {text}".rstrip(": ")[:300])
