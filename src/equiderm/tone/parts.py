"""A table of labels while it grows: settings, schema, finished parts, and the whole at the end."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from equiderm import __version__
from equiderm.errors import InputError
from equiderm.files import write_whole
from equiderm.photo.walk import printable
from equiderm.tone.estimate import COLUMNS
from equiderm.tone.estimators import get_method
from equiderm.tone.scales import get_scheme

Row = dict[str, Any]

_TYPES: dict[str, pa.DataType] = {
    "width": pa.int32(),
    "height": pa.int32(),
    "patch_ita": pa.list_(pa.float64()),
} | dict.fromkeys(
    ("L", "a", "b", "hue", "ita", "spread", "confidence", "hair_fraction"), pa.float64()
)
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
PART_SCHEMA = SCHEMA.append(pa.field("stamp", pa.string()))


@dataclass(frozen=True)
class Settings:
    """What decides a label; two tables with different settings are never mixed."""

    method: str = "patch-max"
    scheme: str = "paper"
    exact: bool = False
    overlays: str | None = None
    version: str = __version__
    fitted: str | None = None  # digest of a fitted scheme's file

    def check(self) -> None:
        """Raise InputError for an unknown method or scheme."""
        get_method(self.method)
        get_scheme(self.scheme)


class Parts:
    """The finished parts of a run, kept in a hidden folder beside the output until it is whole."""

    def __init__(self, output: Path, settings: Settings) -> None:
        self.folder = output.parent / f".{output.name}.parts"
        self._settings = json.dumps(dataclasses.asdict(settings), sort_keys=True)
        self._count = 0

    def load(self, images: Sequence[str], *, changed: bool = False) -> pa.Table:
        """Return the newest row of each image that has one.

        Parts of other settings are deleted. A row whose file changed since (size or time) is left
        out, unless ``changed`` asks for it.
        """
        key = self.folder / "settings.json"
        if self.folder.exists() and (
            not key.exists() or key.read_text(encoding="utf-8") != self._settings
        ):
            self.remove()
        paths = sorted(self.folder.glob("[0-9]*.parquet")) if self.folder.exists() else []
        self._count = int(paths[-1].stem) + 1 if paths else 0
        tables = [pq.read_table(path, schema=PART_SCHEMA) for path in paths]
        table = pa.concat_tables(tables) if tables else PART_SCHEMA.empty_table()
        names = table["image"].to_pylist()
        newest = {name: place for place, name in enumerate(names)}
        if not changed:
            stamps = table["stamp"].to_pylist()
            now = {printable(image): stamp_of(image) for image in images}
            newest = {
                name: place for name, place in newest.items() if now.get(name) == stamps[place]
            }
        return table.take(pa.array(sorted(newest.values()), pa.int64()))

    def add(self, rows: list[Row]) -> None:
        """Keep one more part, whole or not at all."""
        key = self.folder / "settings.json"
        if not key.exists():
            with write_whole(key) as temporary:
                temporary.write_text(self._settings, encoding="utf-8")
        with write_whole(self.folder / f"{self._count:08d}.parquet") as temporary:
            pq.write_table(pa.Table.from_pylist(rows, PART_SCHEMA), temporary)
        self._count += 1

    def remove(self) -> None:
        """Delete the parts."""
        shutil.rmtree(self.folder, ignore_errors=True)


def stamp_of(image: str) -> str:
    """Return the size and time of a file, by which a change is noticed; "" where there is none."""
    try:
        found = os.stat(image)  # noqa: PTH116 a name may hold a null byte, which Path refuses later
    except (OSError, ValueError):
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def in_order(table: pa.Table, images: Sequence[str]) -> pa.Table:
    """Return one row for each image asked for, in that order, without the stamps."""
    place = {name: index for index, name in enumerate(table["image"].to_pylist())}
    places = pa.array([place[printable(image)] for image in images], pa.int64())
    return table.select(SCHEMA.names).take(places).combine_chunks()


def check_output(
    output: Path, settings: Settings, images: Sequence[str], *, overwrite: bool
) -> None:
    """Raise InputError where the output exists and is not this run's own, unless overwritten."""
    if overwrite or not output.exists():
        return
    known = {printable(image) for image in images}
    try:
        if output.suffix.lower() == ".parquet":
            metadata = pq.read_schema(output).metadata or {}
            same = json.loads(metadata[b"equiderm"]) == _lasting(settings)
            old = pq.read_table(output, columns=["image"])["image"].to_pylist()
        else:
            from equiderm.files import read_table

            frame = read_table(output)
            same = set(frame["method"]) == {settings.method}
            same = same and set(frame["scheme"]) == {settings.scheme}
            old = frame["image"].tolist()
    except (InputError, KeyError, ValueError, OSError, pa.ArrowException):
        same, old = False, []
    if not same or not known.issuperset(old):
        what = "holds images that are not in this run" if same else "was made with other settings"
        raise InputError(f"{output}: exists and {what}; choose another output or add --overwrite.")


def _lasting(settings: Settings) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(settings).items() if key != "overlays"}


def write_labels(table: pa.Table, output: Path, settings: Settings) -> None:
    """Write the whole table, its settings in the metadata of a Parquet file."""
    if output.suffix.lower() == ".parquet":
        metadata = {**(table.schema.metadata or {}), b"equiderm": json.dumps(_lasting(settings))}
        with write_whole(output) as temporary:
            pq.write_table(table.replace_schema_metadata(metadata), temporary)
    else:
        from equiderm.files import write_table

        write_table(table.to_pandas(), output)
