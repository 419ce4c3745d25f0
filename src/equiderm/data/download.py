"""Download one file over HTTP, resumed where it broke off; every answer is checked."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urljoin, urlsplit

from equiderm import __version__
from equiderm.data.checksums import stored_checksum
from equiderm.errors import reason_of

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 16  # most bytes read at a time
_STEP = 1 << 19  # bytes between two calls of progress
_TIMEOUT = (15, 60)  # seconds to connect, and of silence
_WINDOW, _LEAST = 60, 6000  # seconds, and the fewest bytes that must arrive in them
_REDIRECTS = 10
MOST_BYTES = 200_000_000_000  # of one file, where nothing says how large it is
_FREE_BYTES = 100_000_000  # left on the disk
_AGENT = f"equiderm/{__version__} (dermatology fairness software)"


class DownloadError(Exception):
    """A download that cannot succeed; the message says which file and why."""


class Stopped(Exception):
    """The user stopped the downloads; what has come stays for the next run."""


@dataclass
class Downloader:
    """Download one file, resumed where an earlier attempt, or run, broke off.

    The bytes received are in ``part``; the length and validator that the server gave are in a file
    beside it. The rest is asked for with ``Range`` and ``If-Range`` where the server gave a strong
    ETag or a date; otherwise, or where it ignores the range or now has another file, the download
    starts again. Only the answers 200 and 206 are taken, and redirects never leave https.

    Args:
        name: Name of the file, for messages.
        part: File of the bytes received, until they are complete.
        page: Web page on which the owner offers the file, for messages.
        size: Its size in bytes, where published.
        most: Largest size accepted, in bytes.
        progress: Called with the bytes received and in total (None if not known).
        stop: Set it to stop at the next chunk.
        tries: Attempts in a row that bring nothing new before it gives up.
        pause: Seconds before the second attempt; each further one waits twice as long, to 30 s.
    """

    name: str
    part: Path
    page: str = ""
    size: int | None = None
    most: int = MOST_BYTES
    progress: Callable[[int, int | None], None] = lambda here, total: None
    stop: threading.Event = field(default_factory=threading.Event)
    tries: int = 6
    pause: float = 1.0
    checksum: str | None = field(default=None, init=False)  # as the server gave it with the file

    def get(self, url: str) -> Path:
        """Return ``part`` when all of ``url`` is in it.

        Raises:
            DownloadError: The server refuses or sends something other than the file, or too many
                attempts brought nothing.
            Stopped: ``stop`` was set.
        """
        import requests
        import urllib3

        most = self._here()
        fruitless, reason = 0, ""
        while fruitless < self.tries:
            try:
                if self._attempt(url):
                    self._check_content(url)
                    self._note.unlink(missing_ok=True)
                    return self.part
                reason = "the server sent less than it announced"
            except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
                reason = reason_of(error)
            after = self._here()
            fruitless = 0 if after >= most + _LEAST else fruitless + 1
            most = max(most, after)
            if self.stop.wait(min(self.pause * 2 ** max(fruitless - 1, 0), 30)):
                raise Stopped(self.name)
        raise DownloadError(f"{self.name}: {url} gave nothing in {self.tries} attempts ({reason})")

    def discard(self) -> None:
        """Delete the bytes received, so that the next run starts again."""
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def _here(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _state(self) -> tuple[int, dict[str, Any]]:
        """Return the bytes from which to resume, and what the server said of the file then."""
        try:
            known = json.loads(self._note.read_text(encoding="utf-8"))
            validator = isinstance(known, dict) and known.get("validator")
            if validator and isinstance(validator, str) and (here := self._here()):
                return here, known
        except (OSError, ValueError):
            pass
        self.discard()  # without a validator the bytes could be of another file
        return 0, {}

    def _attempt(self, url: str) -> bool:
        """Get what is left of the file; True when it is complete."""
        here, known = self._state()
        headers = {"Accept-Encoding": "identity", "User-Agent": _AGENT}
        if here:
            headers |= {"Range": f"bytes={here}-", "If-Range": known["validator"]}
        with self._asked(url, headers) as answer:
            if answer.status_code == 416:
                if here and here == known.get("total"):
                    return True
                self.discard()
                return False
            self._refuse(url, answer)
            start, total = _range(answer)
            moved = (known.get("validator"), known.get("total")) != (_validator(answer), total)
            if start not in (0, here) or (start and moved):
                self.discard()
                return False
            self._check_size(url, total)
            self.checksum = stored_checksum(answer.headers)
            note = {"validator": _validator(answer), "total": total}
            self._note.write_text(json.dumps(note), encoding="utf-8")
            here = self._receive(url, answer, start, total)
        return total is None or here == total

    @contextmanager
    def _asked(self, url: str, headers: dict[str, str]) -> Generator[requests.Response]:
        """Yield the answer of a server, redirects followed: never from https to anything else."""
        import requests

        with requests.Session() as session:
            for _ in range(_REDIRECTS):
                answer = session.get(
                    url, headers=headers, stream=True, timeout=_TIMEOUT, allow_redirects=False
                )
                if answer.status_code not in (301, 302, 303, 307, 308):
                    with answer:
                        yield answer
                    return
                answer.close()
                to = urljoin(url, answer.headers.get("Location", ""))
                before, after = urlsplit(url).scheme, urlsplit(to).scheme
                if after != "https" and after != before:
                    raise DownloadError(f"{self.name}: {url} leads to {to}, which is not https")
                url = to
        raise DownloadError(f"{self.name}: gave up after {_REDIRECTS} redirects, at {url}")

    def _receive(self, url: str, answer: requests.Response, start: int, total: int | None) -> int:
        most = self.size or total or self.most
        with self.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            here = reported = start
            self.progress(here, total)
            for chunk in _pieces(answer):
                here += len(chunk)
                if here > most:
                    self._give_up(url, f"sends more than the {most:,} bytes that it may have")
                file.write(chunk)
                if here - reported >= _STEP:
                    reported = here
                    self.progress(here, total)
                    if shutil.disk_usage(self.part.parent).free < _FREE_BYTES:
                        raise OSError("the disk is full")
                if self.stop.is_set():
                    raise Stopped(self.name)
            file.truncate()
            self.progress(here, total)
        return here

    def _check_size(self, url: str, total: int | None) -> None:
        """Raise where the file cannot have the announced length."""
        if total is None:
            return
        if total == 0 and self.size != 0:
            self._reject(url, "an empty answer")
        if self.size and total != self.size:
            instead = f"{total:,} bytes instead of {self.size:,}"
            self._give_up(url, f"has {instead}; the owner has changed it")
        if total > self.most:
            more = f"more than the {self.most:,} that it may have"
            self._give_up(url, f"has {total:,} bytes, {more}")

    def _check_content(self, url: str) -> None:
        """Raise where the answer is empty, or a web page in place of a table or an archive."""
        if self.size is not None and self._here() != self.size:
            instead = f"{self._here():,} bytes instead of {self.size:,}"
            self._give_up(url, f"gave {instead}; the owner has changed it")
        with self.part.open("rb") as file:
            start = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        if not start:
            self._reject(url, "an empty answer")
        is_page = start.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))
        if is_page and not self.name.lower().endswith((".html", ".htm")):
            self._reject(url, "a web page")

    def _reject(self, url: str, what: str) -> None:
        by_hand = f": open {self.page} and download it there" if self.page else ""
        self._give_up(
            url, f"gives {what} instead of the file; the owner's site wants a browser{by_hand}"
        )

    def _give_up(self, url: str, why: str) -> NoReturn:
        """Delete what has come, which another attempt could not complete, and raise."""
        self.discard()
        raise DownloadError(f"{self.name}: {url} {why}")

    def _refuse(self, url: str, answer: requests.Response) -> None:
        """Raise for a refusal: at once for what will not change, else as a passing fault."""
        status = answer.status_code
        if 400 <= status < 500 and status not in (408, 425, 429):
            raise DownloadError(f"{self.name}: {url} answers {status} {answer.reason}")
        if status in (429, 503) and answer.headers.get("Retry-After", "").isdigit():
            time.sleep(min(int(answer.headers["Retry-After"]), 60))
        answer.raise_for_status()
        if status not in (200, 206):
            self._reject(url, f"the answer {status} {answer.reason}")


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    """Yield the bytes received; raise where fewer than `_LEAST` arrive within `_WINDOW` seconds.

    Each piece is of one read from the network, so that a slow answer can be stopped.
    """
    import requests

    received, since = 0, time.monotonic()
    while piece := answer.raw.read1(_CHUNK, decode_content=True):
        received += len(piece)
        yield piece
        now = time.monotonic()
        if now - since >= _WINDOW:
            if received < _LEAST:
                seconds = f"{now - since:.0f} seconds"
                raise requests.exceptions.ReadTimeout(f"{received} bytes in {seconds}")
            received, since = 0, now


def _validator(answer: requests.Response) -> str:
    """Return the strong ETag or the date of the file; "" if the server gives neither.

    An answer that came compressed, though that was not asked for, has no validator.
    """
    if _compressed(answer):
        return ""
    etag = answer.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return answer.headers.get("Last-Modified", "")


def _range(answer: requests.Response) -> tuple[int, int | None]:
    """Return the first byte of the body and the length of the whole file (None if not given)."""
    if _compressed(answer):
        return (0 if answer.status_code == 200 else -1), None
    if answer.status_code == 206:
        span, _, total = (
            answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        )
        first = span.partition("-")[0]
        return int(first) if first.isdigit() else -1, int(total) if total.isdigit() else None
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _compressed(answer: requests.Response) -> bool:
    return answer.headers.get("Content-Encoding", "identity") != "identity"
