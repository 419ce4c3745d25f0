"""Which downloads are there, and how to get the missing ones."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiderm.data import get_release, read_source
from equiderm.data.catalogue import WHOLE, fragment
from equiderm.errors import InputError
from equiderm.format import data_size
from equiderm.reproduce.published import TABLES, Trained, gpu_hours, sources_of
from equiderm.reproduce.work import Settings

if TYPE_CHECKING:
    from equiderm.data.sources.release import Reading

# What the paper counts as positive: malignant on Fitzpatrick17k, melanoma on every other set.
OPTIONS: dict[str, dict[str, str]] = {
    "fitzpatrick17k": {"target": "malignant", "premalignant": "malignant", "subset": "all"},
    "isic2017": {"target": "melanoma"},
    "isic2018": {"target": "melanoma"},
    "isic2019": {"target": "melanoma"},
    "isic2020": {"target": "melanoma"},
    "atlas": {"target": "melanoma"},
    "asan": {"target": "melanoma", "subset": "paper"},
    "mclass-d": {},
    "mclass-c": {},
    "ham10000": {"target": "melanoma"},
}

NO_FOLDER = "there is no such folder"
MOST_LOOKED_INTO = 30  # folders of other names that are read; further ones count by name alone

# Smaller copies by others, where the originals are not needed. Source: the pages named; the
# released code reads these two.
COPIES = {
    "isic2020": "or the copy at 256 px, kaggle datasets download cdeotte/jpeg-melanoma-256x256",
    "isic2019": "or the copy at 256 px, kaggle datasets download cdeotte/jpeg-isic2019-256x256",
}


@dataclass(frozen=True)
class Download:
    """One source: what was read of it, or why it could not be.

    Attributes:
        source: Its name, also that of its folder.
        reading: Its rows; None where it cannot be used.
        missing: Why it cannot be used; empty where it can.
        get: How to get it.
    """

    source: str
    reading: Reading | None
    missing: str
    get: str

    @property
    def fragment(self) -> str:
        """Return how much of the source is here, such as ``isic2020: 5 of 33,126 images``.

        Empty where it is complete, and where it is absent.
        """
        return "" if self.reading is None else fragment(self.source, len(self.reading.frame))


def read_downloads(settings: Settings, sources: Sequence[str]) -> dict[str, Download]:
    """Return each source as read from its folder, or why it cannot be used.

    Raises:
        InputError: The folder of all downloads, or one named for a source, does not exist.
    """
    for source in settings.places:
        if source not in OPTIONS:
            raise InputError(
                f"{source}: is not a source of the paper; those are {', '.join(OPTIONS)}."
            )
        if not settings.place(source).is_dir():
            raise InputError(
                f"{settings.place(source)}: is not a folder; give the one that holds {source}."
            )
    data = settings.data
    if not data.is_dir() and not settings.places:
        raise InputError(
            f"{data}: is not a folder; give the one that holds the downloads, one folder per "
            f"source, as `equiderm fetch {sources[0]} {data / sources[0]}` leaves them."
        )
    return {source: _read(source, settings) for source in sources}


def _read(source: str, settings: Settings) -> Download:
    folder = settings.place(source)
    get = how_to_get(source, folder)
    if not folder.is_dir():
        likely = _likely_folder(source, settings)
        if likely is not None:
            get = f"it seems to be in {likely}: --source {source}={likely}"
        return Download(source, None, NO_FOLDER, get)
    try:
        return Download(source, read_source(source, folder, **OPTIONS[source]), "", get)
    except InputError as error:
        return Download(source, None, str(error), get)


def _likely_folder(source: str, settings: Settings) -> Path | None:
    """Return the folder of another name that holds most of a source, or has a similar name.

    The folders in the folder of downloads are read, and those in them.
    """
    if not settings.data.is_dir():
        return None
    taken = {settings.place(name).resolve() for name in OPTIONS}
    folders = [folder for folder in _folders(settings.data) if folder.resolve() not in taken]
    deeper = [inner for folder in folders for inner in _folders(folder)]
    rows: dict[Path, int] = {}
    for folder in [*deeper, *folders][-MOST_LOOKED_INTO:]:
        with contextlib.suppress(InputError):
            rows[folder] = len(read_source(source, folder, **OPTIONS[source]).frame)
    if rows:
        return max(rows, key=lambda folder: rows[folder])  # of equals the deeper, which comes first
    names = {_plain_name(folder.name): folder for folder in folders}
    near = difflib.get_close_matches(_plain_name(source), names, n=1, cutoff=0.8)
    return names[near[0]] if near else None


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder; none where it cannot be read."""
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return []
    return [path for path in inside if path.is_dir() and not path.name.startswith(".")]


def _plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def how_to_get(source: str, folder: Path) -> str:
    """Return how to get a source into a folder, in one or two sentences."""
    release = get_release(source)
    ways: list[str] = []
    if release.files:
        size = f" ({data_size(release.bytes)})" if release.bytes else ""
        ways.append(f"equiderm fetch {source} {folder}{size}")
    if release.by_hand:
        ways.append(release.by_hand.replace("DIR", str(folder)))
    ways = ["; then: ".join(ways), *([COPIES[source]] if source in COPIES else [])]
    return "; ".join(ways)


def state(downloads: Mapping[str, Download]) -> list[dict[str, Any]]:
    """Return one row per source: whether it is there, its images, and how to get it if not."""
    rows: list[dict[str, Any]] = []
    for download in downloads.values():
        reading = download.reading
        rows.append(
            {
                "source": download.source,
                "images": None if reading is None else len(reading.frame),
                "not_in_folder": None if reading is None else len(reading.missing),
                "missing": download.missing or download.fragment,
                "get": "" if reading is not None and not download.fragment else download.get,
                "notes": [] if reading is None else list(reading.notes),
            }
        )
    return rows


def needed_parts(names: Sequence[str], *, stand_in: bool = False) -> list[dict[str, Any]]:
    """Return what each part of the paper needs, before anything is there.

    Each row has ``part``, ``title``, ``needs``, ``tests``, ``optional`` (sources), ``bytes`` of
    what it needs and is tested on, ``size_unknown`` (sources not counted in it, as their owners do
    not publish a size), ``gpu_hours`` (on the authors' hardware, one seed) and ``register``
    (sources that have to be asked for).
    """
    rows: list[dict[str, Any]] = []
    for name in names:
        table = TABLES[name]
        tests = tuple(dict.fromkeys(table.tests.values())) if isinstance(table, Trained) else ()
        wanted = (*table.needs, *tests)
        used = sources_of(table, as_published=True, stand_in=stand_in)
        rows.append(
            {
                "part": name,
                "title": table.title,
                "needs": list(table.needs),
                "tests": list(tests),
                "optional": [source for source in used if source not in wanted],
                "bytes": sum(get_release(source).bytes or 0 for source in wanted),
                "size_unknown": [source for source in wanted if get_release(source).bytes is None],
                "gpu_hours": round(gpu_hours([table]), 1),
                "register": [source for source in wanted if get_release(source).by_hand],
            }
        )
    return rows


def needed_sources(names: Sequence[str], *, stand_in: bool = False) -> list[dict[str, Any]]:
    """Return each source of the parts: its images, its size, who uses it, and how to get it.

    ``optional`` is true of those that no part needs or is tested on.
    """
    users: dict[str, list[str]] = {}
    for name in names:
        for source in sources_of(TABLES[name], as_published=True, stand_in=stand_in):
            users.setdefault(source, []).append(name)
    parts = needed_parts(names, stand_in=stand_in)
    wanted = {source for part in parts for source in (*part["needs"], *part["tests"])}
    return [
        {
            "source": source,
            "for": used_by,
            "optional": source not in wanted,
            "images": WHOLE.get(source),
            "bytes": get_release(source).bytes,
            "licence": get_release(source).licence,
            "get": how_to_get(source, Path("DIR") / source),
        }
        for source, used_by in users.items()
    ]
