"""Which downloads are there, and how to get those that are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiderm.data import get_release, read_source
from equiderm.errors import InputError
from equiderm.format import count, data_size

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
}

# Images of each source when it is whole. Of Fitzpatrick17k 41 rows have no URL; of ISIC 2018 the
# training part is enough, and of ISIC 2019 too.
EXPECTED = {
    "fitzpatrick17k": 16_536,
    "isic2017": 2750,
    "isic2018": 10_015,
    "isic2019": 25_331,
    "isic2020": 33_126,
    "atlas": 2022,
    "asan": 852,
    "mclass-d": 100,
    "mclass-c": 100,
}

NO_FOLDER = "there is no such folder"


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

        Empty where all of it is here, and where none.
        """
        if self.reading is None:
            return ""
        here, whole = len(self.reading.frame), EXPECTED[self.source]
        return "" if here >= whole else f"{self.source}: {count(here)} of {count(whole)} images"


def read_downloads(data: Path, sources: Sequence[str]) -> dict[str, Download]:
    """Return each source as read from its folder in ``data``, or why it cannot be used.

    Raises:
        InputError: ``data`` is no folder.
    """
    if not data.is_dir():
        raise InputError(
            f"{data}: is no folder; give the one that holds the downloads, one folder per source, "
            f"as `equiderm fetch {sources[0]} {data / sources[0]}` leaves them."
        )
    return {source: _read(source, data / source) for source in sources}


def _read(source: str, folder: Path) -> Download:
    get = how_to_get(source, folder)
    if not folder.is_dir():
        return Download(source, None, NO_FOLDER, get)
    try:
        return Download(source, read_source(source, folder, **OPTIONS[source]), "", get)
    except InputError as error:
        return Download(source, None, str(error), get)


def how_to_get(source: str, folder: Path) -> str:
    """Return what to do for a source to lie in a folder, in one or two sentences."""
    release = get_release(source)
    ways: list[str] = []
    if release.files:
        size = f" ({data_size(release.bytes)})" if release.bytes else ""
        ways.append(f"equiderm fetch {source} {folder}{size}")
    if release.by_hand:
        ways.append(release.by_hand.replace("DIR", str(folder)))
    return "; then: ".join(ways)


def state(downloads: Mapping[str, Download]) -> list[dict[str, Any]]:
    """Return one row per source: whether it is there, its images, and how to get it if not."""
    rows: list[dict[str, Any]] = []
    for one in downloads.values():
        reading = one.reading
        rows.append(
            {
                "source": one.source,
                "images": None if reading is None else len(reading.frame),
                "not_in_folder": None if reading is None else len(reading.missing),
                "missing": one.missing or one.fragment,
                "get": "" if reading is not None and not one.fragment else one.get,
                "notes": [] if reading is None else list(reading.notes),
            }
        )
    return rows
