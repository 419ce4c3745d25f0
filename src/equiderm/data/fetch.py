"""Download a release: several files at once, resumed, checked, unpacked, safe to interrupt."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from equiderm.data.checksums import checksum_of, listed_checksum
from equiderm.data.download import MOST_BYTES, Downloader, DownloadError, Stopped
from equiderm.data.manifest import file_sha256
from equiderm.data.sources.release import Release, RemoteFile
from equiderm.data.unpack import ArchiveError, unpack_zip
from equiderm.errors import InputError
from equiderm.files import AnyPath, only_one, write_text
from equiderm.format import data_size

Progress = Callable[[str, int, int | None], None]  # file, bytes received, bytes in total


@dataclass(frozen=True)
class Fetched:
    """A downloaded file.

    Attributes:
        name: Its name.
        bytes: Its size.
        sha256: Its SHA-256, computed.
        verified: What it was checked against: ``checksum``, ``size``, or ``arrived whole``.
        checksum: The published checksum that it matches, such as ``md5:...``; empty if none.
        unpacked: Number of files unpacked from it; 0 if it is not an archive.
    """

    name: str
    bytes: int
    sha256: str
    verified: str
    unpacked: int = 0
    checksum: str = ""


def fetch(
    release: Release,
    directory: AnyPath,
    *,
    jobs: int = 4,
    progress: Progress | None = None,
    pause: float = 1.0,
) -> list[Fetched]:
    """Download, check and unpack the files of a release; an interrupted call resumes.

    Files are stored in DIR/downloads and each archive is unpacked to a folder of its name in DIR.
    Finished files are listed in DIR/downloads/fetched.json and not fetched again, even if you
    delete an archive after it was unpacked.

    Args:
        release: Its record; `Release.files` and what `Release.more` adds.
        directory: The folder DIR; created if absent.
        jobs: Files at a time.
        progress: Called from several threads with a file, its bytes received and in total.
        pause: Seconds before a second attempt; doubles to 30 s.

    Raises:
        InputError: Nothing can be downloaded, the disk is full, a server refuses, a file is not
            what its owner published, or an archive is not safe to unpack.
    """
    if not release.files:
        raise InputError(f"{release.name}: cannot be downloaded by a program. {release.by_hand}")
    downloads = Path(directory).absolute() / "downloads"
    try:
        downloads.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{directory}: cannot be created ({error.strerror}).") from error
    with only_one(downloads / "fetched.json"):
        work = _Work(release, downloads, jobs, progress or (lambda name, here, total: None), pause)
        work.check_space()
        done = work.run(release.files)
        if release.more is not None:
            done += work.run(release.more(downloads))
    return done


class _Work:
    """The downloads of one release: a pool of threads and the list of what is finished."""

    def __init__(
        self, release: Release, downloads: Path, jobs: int, progress: Progress, pause: float
    ):
        self.release, self.downloads, self.jobs = release, downloads, jobs
        self.progress, self.pause = progress, pause
        self.stop, self.lock = threading.Event(), threading.Lock()
        self.lists: dict[str, object] = {}  # by address, each asked for once
        self.asking = threading.Lock()
        self.ledger, self.partial = downloads / "fetched.json", downloads / ".partial"
        self.finished = _read_ledger(self.ledger)
        # Twice what the release is said to have: an endless answer stops there.
        self.most = 2 * release.bytes + 10**9 if release.bytes else MOST_BYTES

    def check_space(self) -> None:
        """Raise unless the disk has space for what is still to be downloaded."""
        release = self.release
        files = [path for path in self.downloads.rglob("*") if path.is_file()]
        names = {path.relative_to(self.downloads).as_posix() for path in files}
        here = sum(path.stat().st_size for path in files)
        here += sum(done.bytes for name, done in self.finished.items() if name not in names)
        needed, free = (release.bytes or 0) - here, shutil.disk_usage(self.downloads).free
        if needed > free:
            raise InputError(
                f"{self.downloads}: {release.title} needs {data_size(needed)} more and "
                f"{data_size(free)} are free; choose another disk."
            )

    def run(self, files: Sequence[RemoteFile]) -> list[Fetched]:
        """Get all files; one that fails does not stop the others, and is raised at the end."""
        done: list[Fetched] = []
        failed: list[str] = []
        self.partial.mkdir(exist_ok=True)
        with ThreadPoolExecutor(self.jobs) as pool:
            futures = [pool.submit(self.get, file) for file in files]
            try:
                for future in futures:
                    try:
                        done.append(future.result())
                    except InputError as error:
                        failed.append(str(error))
            except BaseException:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        with contextlib.suppress(OSError):  # the part received of a file is kept
            self.partial.rmdir()
        if failed:
            rest = f" ({len(failed)} of {len(files)} files failed.)" if len(failed) > 1 else ""
            raise InputError(failed[0] + rest)
        return done

    def get(self, file: RemoteFile) -> Fetched:
        """Return the file when it is here, checked, unpacked and noted."""
        if self.stop.is_set():
            raise Stopped(file.name)
        earlier = self.finished.get(file.name)
        path = self.downloads / file.name
        folder = self.downloads.parent / Path(file.name).stem
        is_zip = path.suffix == ".zip"
        if earlier and (folder.is_dir() if is_zip else _has_size(path, earlier.bytes)):
            return earlier
        checksum = self._download(file, path)
        unpacked = self._unpack(path, folder) if is_zip else 0
        checked = "checksum" if checksum else "size" if file.size else "arrived whole"
        size, sha256 = path.stat().st_size, file_sha256(path)
        fetched = Fetched(file.name, size, sha256, checked, unpacked, checksum)
        with self.lock:
            self.finished[file.name] = fetched
            _write_ledger(self.ledger, self.finished)
        return fetched

    def _unpack(self, path: Path, folder: Path) -> int:
        """Unpack an archive; one that cannot be is deleted, so that the next run fetches it."""
        try:
            return unpack_zip(path, folder)
        except ArchiveError as error:
            path.unlink()
            reason = str(error).split("; delete it")[0].rstrip(".")
            raise InputError(f"{reason}; it was deleted, run the command again.") from error

    def _listed(self, file: RemoteFile) -> str | None:
        """Return the checksum in the owner's list of files; None where that does not answer."""
        if not file.listing:
            return None
        with self.asking:
            if file.listing not in self.lists:
                place = self.partial / f"{hashlib.md5(file.listing.encode()).hexdigest()}.part"
                downloader = Downloader(
                    "the owner's list of files", place, most=10**7, stop=self.stop, tries=2
                )
                try:
                    part = downloader.get(file.listing)
                    self.lists[file.listing] = json.loads(part.read_bytes())
                except (DownloadError, OSError, ValueError, RecursionError):
                    self.lists[file.listing] = None
                downloader.discard()
        return listed_checksum(self.lists[file.listing], file.urls[0])

    def _download(self, file: RemoteFile, path: Path) -> str:
        """Get a file from the first of its addresses that gives what its owner published.

        Returns:
            The published checksum, which it has; empty if none is published.
        """
        published = file.checksum or self._listed(file)
        place = self.partial / file.name.replace("/", "%2F")
        downloader = Downloader(
            file.name,
            place.with_name(f"{place.name}.part"),
            page=self.release.page,
            size=file.size,
            most=self.most,
            progress=lambda here, total: self.progress(file.name, here, total),
            stop=self.stop,
            pause=self.pause,
        )
        reasons: list[str] = []
        try:
            for url in file.urls:
                for _ in range(2):  # after a wrong checksum, once more from the start
                    try:
                        part = downloader.get(url)
                    except DownloadError as error:
                        reasons.append(str(error))
                        break
                    checksum = published or downloader.checksum or ""
                    if not checksum or checksum_of(part, checksum.partition(":")[0]) == checksum:
                        path.parent.mkdir(parents=True, exist_ok=True)
                        part.replace(path)
                        return checksum
                    downloader.discard()
                else:
                    reasons.append(
                        f"{file.name}: {url} gave a file whose checksum is not the published one"
                    )
        except OSError as error:
            raise InputError(f"{file.name}: cannot be written ({error}).") from error
        kept = "The part received is kept; run" if downloader.part.exists() else "Run"
        raise InputError(f"{'; '.join(reasons)}. {kept} the command again.")


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _read_ledger(path: Path) -> dict[str, Fetched]:
    try:
        return {row["name"]: Fetched(**row) for row in json.loads(path.read_text())}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_ledger(path: Path, finished: dict[str, Fetched]) -> None:
    rows = [vars(fetched) for fetched in finished.values()]
    write_text(path, json.dumps(rows, indent=1) + "\n")
