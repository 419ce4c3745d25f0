"""One file over HTTP, resumed where it broke off: the downloader that pooch calls."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 18
_TIMEOUT = (15, 60)  # seconds to connect, and of silence


class DownloadError(Exception):
    """A download that cannot succeed; the message says which file and why."""


class Stopped(Exception):
    """The user stopped the downloads; what has come stays for the next run."""


class ResumingDownloader:
    """Download a file in pooch's way, and go on where an earlier attempt, or run, broke off.

    What has come lies in ``.NAME.part`` beside the file, with what the server said of it (length,
    ETag) in ``.NAME.part.json``. The rest is asked for with ``Range`` and ``If-Range``; a server
    that ignores the range, or has another file by now, makes it start again from nothing.

    Args:
        name: Name of the file, for ``.NAME.part`` and messages.
        size: Its bytes, where published.
        progress: Called with the bytes that are here and the bytes in all (None if not known).
        stop: Set it to stop at the next chunk.
        tries: Attempts in a row that bring nothing new before it gives up.
        pause: Seconds before the second attempt; each further one waits twice as long, to 30 s.
    """

    def __init__(
        self,
        name: str,
        *,
        size: int | None = None,
        progress: Callable[[int, int | None], None] | None = None,
        stop: threading.Event | None = None,
        tries: int = 6,
        pause: float = 1.0,
    ):
        self.name, self.size, self.tries, self.pause = name, size, tries, pause
        self.progress = progress or (lambda here, total: None)
        self.stop = stop or threading.Event()

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        """Download ``url`` to ``output_file``, a path; pooch checks and places it then.

        Raises:
            DownloadError: The server refuses, or too many attempts brought nothing.
            Stopped: ``stop`` was set.
        """
        import requests

        output = Path(output_file)
        part = output.with_name(f".{self.name}.part")
        most = part.stat().st_size if part.exists() else 0
        fruitless, reason = 0, ""
        while fruitless < self.tries:
            try:
                if self._attempt(url, part):
                    part.replace(output)
                    _note(part).unlink(missing_ok=True)
                    return
                reason = "the server sent less than it announced"
            except requests.exceptions.RequestException as error:
                reason = _reason(error)
            after = part.stat().st_size if part.exists() else 0
            fruitless = 0 if after > most else fruitless + 1
            most = max(most, after)
            if self.stop.wait(min(self.pause * 2 ** max(fruitless - 1, 0), 30)):
                raise Stopped(self.name)
        raise DownloadError(f"{self.name}: {url} gave nothing in {self.tries} attempts ({reason})")

    def _attempt(self, url: str, part: Path) -> bool:
        """Get what is left of the file; True when it is complete."""
        import requests

        here, known = _state(part)
        headers = {"Accept-Encoding": "identity"}
        if here:
            headers["Range"] = f"bytes={here}-"
            if known.get("etag"):
                headers["If-Range"] = known["etag"]
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == 416:
                return self._past_the_end(part, here, known)
            self._refuse(url, answer)
            start, total = _range(answer)
            changed = total != known["total"] if here and "total" in known else False
            if start not in (0, here) or (start and changed):
                part.unlink()
                return False
            if self.size and total and total != self.size:
                raise DownloadError(
                    f"{self.name}: {url} has {total:,} bytes instead of {self.size:,}; "
                    "the owner has changed it"
                )
            etag = answer.headers.get("ETag", "")
            strong = etag if not etag.startswith("W/") else ""
            _note(part).write_text(json.dumps({"etag": strong, "total": total}))
            here = self._receive(answer, part, start, total)
        return total is None or here == total

    def _receive(self, answer: requests.Response, part: Path, start: int, total: int | None) -> int:
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            here = start
            self.progress(here, total)
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)
                here += len(chunk)
                self.progress(here, total)
                if self.stop.is_set():
                    raise Stopped(self.name)
            file.truncate()
        return here

    def _past_the_end(self, part: Path, here: int, known: dict[str, Any]) -> bool:
        if here and here == known.get("total"):
            return True
        part.unlink(missing_ok=True)
        return False

    def _refuse(self, url: str, answer: requests.Response) -> None:
        """Raise for a refusal: at once for what will not change, else as a passing fault."""
        status = answer.status_code
        if 400 <= status < 500 and status not in (408, 425, 429):
            raise DownloadError(f"{self.name}: {url} answers {status} {answer.reason}")
        if status in (429, 503) and answer.headers.get("Retry-After", "").isdigit():
            time.sleep(min(int(answer.headers["Retry-After"]), 60))
        answer.raise_for_status()


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _state(part: Path) -> tuple[int, dict[str, Any]]:
    """Return the bytes that are here, and what the server said of the file then."""
    try:
        return part.stat().st_size, json.loads(_note(part).read_text())
    except (OSError, ValueError):
        part.unlink(missing_ok=True)  # bytes without their note could be of another file
        return 0, {}


def _range(answer: requests.Response) -> tuple[int, int | None]:
    """Return the first byte of the body and the length of the whole file (None if not told)."""
    if answer.status_code == 206:
        span, _, total = (
            answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        )
        first = span.partition("-")[0]
        return int(first) if first.isdigit() else -1, int(total) if total.isdigit() else None
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:200] or type(error).__name__
