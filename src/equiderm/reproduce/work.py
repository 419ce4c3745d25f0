"""Options, folders and caches of a reproduction."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from equiderm import __version__
from equiderm.errors import InputError
from equiderm.files import AnyPath
from equiderm.format import count
from equiderm.tables import read_table, write_table
from equiderm.tone import label

LEAST_REPORTED = 1000  # images from which a step reports its progress in sentences


class _Folder:
    """A field that accepts text or a Path, and holds a Path."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, instance: object, owner: type) -> Path:
        if instance is None:
            raise AttributeError(self._name)  # a field without a default
        return getattr(instance, self._name)

    def __set__(self, instance: object, value: AnyPath) -> None:
        object.__setattr__(instance, self._name, Path(value))


@dataclass(frozen=True)
class Settings:
    """Options of a reproduction.

    Attributes:
        data: Folder of the downloads, one folder per source.
        out: Folder of pages, manifests, labels, decoded images and runs.
        experiments: Folder of the experiment files.
        as_published: Follow the released code instead of the paper and its corrections.
        places: Folders of single sources that are not in ``data``.
        stand_in: Train on HAM10000 and ISIC 2017 where a training archive is absent.
        seeds: Runs of each row.
        workers: Processes that label, and runs at a time; None: one per core, and one run per GPU.
        replicates: Bootstrap replicates.
        watch: Called with a sentence on the progress.
        bar: Called with images done, in total, and what is being done with them.
    """

    data: _Folder = _Folder()
    out: _Folder = _Folder()
    experiments: _Folder = _Folder()
    as_published: bool = False
    places: Mapping[str, AnyPath] = field(default_factory=dict[str, AnyPath])
    stand_in: bool = False
    seeds: int = 5
    workers: int | None = None
    replicates: int = 2000
    watch: Callable[[str], None] = lambda sentence: None
    bar: Callable[[int, int, str], None] = lambda done, total, what: None

    @property
    def tone_method(self) -> str:
        """Return the estimator that labels the training data."""
        return "patch-max-arctan" if self.as_published else "patch-max"

    def place(self, source: str) -> Path:
        """Return the folder of a source."""
        return Path(self.places.get(source, self.data / source))

    def progress(self, what: str) -> Callable[[int, int], None]:
        """Return a function to call with images done and in total; of many it reports tenths."""
        last = [0]

        def report(done: int, total: int) -> None:
            self.bar(done, total, what)
            tenth = 10 * done // max(total, 1)
            if total >= LEAST_REPORTED and tenth > last[0]:
                last[0] = tenth
                self.watch(f"{what}: {count(done)} of {count(total)}")

        return report


def cached(
    stem: Path, paths: Sequence[str], compute: Callable[[Path], pd.DataFrame]
) -> pd.DataFrame:
    """Return the table that ``compute`` returns, or its copy saved for the same files.

    Args:
        stem: Path of the copy, without a digest of the files (names, sizes, times) and ".parquet".
        paths: The files that the table depends on, in order.
        compute: Called with the path of the copy; where it does not write it, it is written here.

    Warns:
        UserWarning: The copy is damaged; the table is computed again.
    """
    copy = stem.with_name(f"{stem.name}-{digest_of(paths)}.parquet")
    if copy.is_file():
        try:
            return read_table(copy)
        except InputError:
            warnings.warn(f"{copy}: is empty or damaged; it is computed again.", stacklevel=2)
            copy.unlink()
    table = compute(copy)
    if not copy.is_file():
        write_table(table, copy)
    return table


def digest_of(paths: Sequence[str]) -> str:
    """Return a digest of files: their names in order, sizes and times; and of this version."""
    digest = hashlib.blake2b(__version__.encode(), digest_size=6)
    for path in paths:
        status = Path(path).stat() if Path(path).exists() else None
        digest.update(f"\n{path}\t{status and (status.st_size, status.st_mtime_ns)}".encode())
    return digest.hexdigest()


def measure_tones(frame: pd.DataFrame, method: str, settings: Settings) -> pd.DataFrame:
    """Return the tone table of a manifest's images by one method, row by row."""
    paths = frame["path"].astype(str).tolist()
    progress = settings.progress(f"labelling with {method}")
    return cached(
        settings.out / "tones" / method,
        paths,
        lambda path: label(
            paths, method=method, output=path, workers=settings.workers, progress=progress
        ),
    )
