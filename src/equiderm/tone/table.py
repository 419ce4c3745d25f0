"""The table of tone labels as a file: its columns, its settings, and how a change is noticed."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import warnings
import zlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from equiderm import __version__
from equiderm.columns import CORRECTION_COLUMNS, excluded_by_hand
from equiderm.errors import InputError
from equiderm.files import hidden_beside, is_stream, only_one, remove, write_whole
from equiderm.photo.reference import parse_reference
from equiderm.photo.walk import printable
from equiderm.remote import (
    files_below,
    read_url,
    stamp_url,
    stamp_urls,
    twin_of,
    url_of,
    write_url,
)
from equiderm.tables import is_written_as_folder, parts_of, read_table, write_parts, write_table
from equiderm.tone.estimate import COLUMNS, FLAG_COLUMN
from equiderm.tone.estimators import get_method
from equiderm.tone.scales import Scheme, get_scheme

if TYPE_CHECKING:
    import pandas as pd

pc: Any = pyarrow.compute  # its functions are made at run time, unknown to a type checker
_TYPES: dict[str, pa.DataType] = {
    "width": pa.int32(),
    "height": pa.int32(),
    "patch_ita": pa.list_(pa.float64()),
} | dict.fromkeys(
    ("L", "a", "b", "hue", "ita", "spread", "confidence", "hair_fraction"), pa.float64()
)
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
# A row while the table grows: `file` is the name byte by byte, as two names may print alike.
OF_A_PART = (pa.field("file", pa.binary()), pa.field("stamp", pa.string()))
_CORRECTION_TYPES = dict.fromkeys(CORRECTION_COLUMNS, pa.string()) | {"excluded": pa.bool_()}
COLOUR = frozenset(("L", "a", "b", "ita"))  # what a model may estimate in place of a method
MODEL_COLUMN = "model"
OF_A_TABLE = "table:"  # before the digest of a table of references
_SETTINGS, _STAMPS = b"equiderm", b"equiderm.stamps"


@dataclass(frozen=True)
class Settings:
    """What decides a label; two tables with different settings are never mixed."""

    method: str = "patch-max"
    scheme: str = "paper"
    exact: bool = False
    overlays: str | None = None
    version: str = __version__
    fitted: str | None = None  # digest of a fitted scheme's file
    reference: str | None = None  # of every image, or the digest of a table of each one's
    model: str | None = None  # digest of a trained model's files
    estimated: tuple[str, ...] = ()  # the columns that it fills
    device: str | None = None  # the kind of device that decoded JPEGs and filled hair, if any

    @property
    def row_method(self) -> str:
        """The method, or the model, that a row's colour and angle come from."""
        if self.model is None or not COLOUR.intersection(self.estimated):
            return self.method
        return model_name(self.model)

    @property
    def schema(self) -> pa.Schema:
        """The table's columns; a model's estimates may add their own."""
        if self.model is None:
            return SCHEMA
        more = [name for name in self.estimated if name not in SCHEMA.names]
        fields = [pa.field(MODEL_COLUMN, pa.string()), *(pa.field(n, pa.float64()) for n in more)]
        return pa.schema([*SCHEMA, *fields])

    @property
    def part_schema(self) -> pa.Schema:
        """A row while the table grows."""
        return pa.schema([*self.schema, *OF_A_PART])

    def check(self) -> None:
        """Raise InputError for an unknown method or scheme, or an unusable reference."""
        get_method(self.method)
        get_scheme(self.scheme)
        if self.reference is not None and not self.reference.startswith(OF_A_TABLE):
            parse_reference(self.reference)

    def lasting(self) -> dict[str, Any]:
        """Return the settings that decide a row; overlays do not."""
        lasting = dataclasses.asdict(self)
        del lasting["overlays"]
        if self.reference is None:  # as in tables written before references existed
            del lasting["reference"]
        if self.device is None:  # or devices
            del lasting["device"]
        lasting["estimated"] = list(self.estimated)  # as JSON reads it back
        if self.model is None:  # or models
            del lasting["model"], lasting["estimated"]
        return lasting


def model_name(digest: str) -> str:
    """Return a model's name in a table's rows: the first digits of its digest."""
    return f"model-{digest[:12]}"


def with_flag_column(tones: pd.DataFrame) -> pd.DataFrame:
    """Return a table of tones with its flags in ``tone_flags``; until 0.1 that was ``flags``."""
    if FLAG_COLUMN in tones.columns or "flags" not in tones.columns:
        return tones
    return tones.rename(columns={"flags": FLAG_COLUMN})


def read_tones(path: Path) -> pd.DataFrame:
    """Return a table of tones, or any other; bands, flags and corrections are text, even empty.

    Raises:
        InputError: It cannot be read.
    """
    text = ("ita_band", FLAG_COLUMN, "flags", *CORRECTION_COLUMNS)
    return with_flag_column(read_table(path, text=text))


def scheme_name(tones: pd.DataFrame) -> str:
    """Return the name of the scheme of a table's bands, "" where it has no row."""
    names = tones["scheme"].dropna()
    return str(names.iloc[0]) if len(names) else ""


def bands_of(tones: pd.DataFrame) -> tuple[str, ...]:
    """Return the bands of a table's scheme, lightest first; those present if its file is gone."""
    scheme = scheme_of(tones)
    return scheme.bands if scheme else tuple(sorted(set(tones["ita_band"].dropna().astype(str))))


def scheme_of(tones: pd.DataFrame) -> Scheme | None:
    """Return the scheme of a table's bands; None if its file is gone."""
    try:
        return get_scheme(scheme_name(tones))
    except InputError:
        return None


def caution_of(tones: pd.DataFrame) -> str:
    """Return the warning to print with the bands of a table; "" for none."""
    scheme = scheme_of(tones)
    if scheme is None:
        return ""
    fitted_on = scheme.fit.fitted_on if scheme.fit else None
    method = fitted_on.get("method") if isinstance(fitted_on, dict) else None
    here = tones["method"].dropna().unique() if "method" in tones else []
    if method and len(here) and set(here) != {method}:
        return f"{scheme.caution}; these are by {', '.join(map(str, here))}, so do not trust them"
    return scheme.caution


def stamp_of(image: str) -> str:
    """Return a file's size and times, by which a change is noticed; "" if there is no file.

    The time of the entry's own last change shows that a file was replaced by another of the same
    size and date. A URL's stamp is its size and the version that the server states.
    """
    if url := url_of(image):
        return stamp_url(url)
    try:
        status = os.stat(image)  # noqa: PTH116 a name may hold a null byte, which Path refuses later
    except (OSError, ValueError):
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def stamps_of(images: Sequence[str]) -> dict[bytes, str]:
    """Return the stamp of each image; several URLs are queried at a time."""
    stamps = stamp_urls(images)
    return {os.fsencode(i): stamps[i] if i in stamps else stamp_of(i) for i in images}


def newest(tables: Sequence[pa.Table], stamps: Mapping[bytes, str] | None = None) -> pa.Table:
    """Return the last row of each file among tables of `Settings.part_schema`.

    Args:
        tables: Later ones take precedence.
        stamps: Leave out files that are not in it, or have another stamp there.
    """
    table = pa.concat_tables(tables)
    files = table["file"].to_pylist()
    place = {file: row for row, file in enumerate(files)}
    if stamps is not None:
        recorded = table["stamp"].to_pylist()
        place = {file: row for file, row in place.items() if stamps.get(file) == recorded[row]}
    return table.take(pa.array(sorted(place.values()), pa.int64()))


def in_order(table: pa.Table, images: Sequence[str]) -> pa.Table:
    """Return one row for each image asked for, in that order, of the same columns."""
    place = {file: row for row, file in enumerate(table["file"].to_pylist())}
    rows = pa.array([place[os.fsencode(image)] for image in images], pa.int64())
    return table.take(rows).combine_chunks()


def check_output(
    output: Path, settings: Settings, images: Sequence[str], *, overwrite: bool
) -> None:
    """Raise InputError where the output exists and is not this run's own, unless overwritten.

    Warns:
        UserWarning: The output is empty or a damaged Parquet file; there is nothing to keep.
    """
    if overwrite or not output.exists():
        return
    if _is_damaged(output):
        warnings.warn(f"{output}: is empty or damaged; it is made again.", stacklevel=3)
        return
    try:
        if _record_of(output) == output:
            records = _records_of(output)
            same = all(json.loads(_noted(one)[_SETTINGS]) == settings.lasting() for one in records)
            tables = [pq.read_table(one, columns=["image"]) for one in records]
            old = [name for table in tables for name in table["image"].to_pylist()]
        else:
            frame = read_table(output, as_text=True)
            same = set(frame["method"]) == {settings.row_method}
            same = same and set(frame["scheme"]) == {settings.scheme}
            models = set(frame[MODEL_COLUMN]) if MODEL_COLUMN in frame else {None}
            same = same and models == {settings.model and model_name(settings.model)}
            old = frame["image"].tolist()
    except (InputError, KeyError, ValueError, OSError, pa.ArrowException):
        same, old = False, []
    if not same or not {printable(image) for image in images}.issuperset(old):
        what = "holds images that are not in this run" if same else "was made with other settings"
        raise InputError(
            f"{output}: exists and {what}; choose another output, or `overwrite=True`."
        )


@contextlib.contextmanager
def table_at_url(url: str) -> Generator[None]:
    """Let a table at a URL be written to a local twin, and upload it when the block succeeds.

    An existing table is downloaded first, so that a run resumes from it. If the upload fails, the
    twin stays, and the same run uploads it again.

    Raises:
        InputError: It cannot be downloaded or uploaded, or another run here is writing it.
    """
    local = twin_of(url)
    files = {_record_of(local): url.removesuffix(local.name) + _record_of(local).name, local: url}
    try:
        with only_one(local):
            for here, there in files.items():
                _fetch(there, here)
            try:
                yield
            except BaseException:  # the parts stay; what was fetched can be fetched again
                for here in files:
                    remove(here)
                raise
            for here, there in files.items():
                write_url(here, there)
            for here in files:
                remove(here)
    except OSError as error:
        raise InputError(
            f"{url}: {error.strerror or error}; the work is kept: run the same command to resume."
        ) from error
    except InputError as error:
        raise InputError(str(error).replace(str(local), url)) from error


def _fetch(url: str, local: Path) -> None:
    if is_written_as_folder(local):
        for part in files_below(url):
            local.mkdir(exist_ok=True)
            (local / part.rpartition("/")[2]).write_bytes(read_url(part))
        return
    try:
        local.write_bytes(read_url(url))
    except FileNotFoundError:
        return


def _is_damaged(output: Path) -> bool:
    try:
        with output.open("rb") as file:
            head = file.read(4)
        if head == b"PAR1":
            pq.ParquetFile(output).close()
    except pa.ArrowException:
        return True
    except OSError:
        return False
    return not head


def finished_rows(output: Path, settings: Settings) -> pa.Table:
    """Return the rows of the table that a run of these settings has written, as of a part."""
    records = [_finished_rows(record, settings) for record in _records_of(output)]
    return pa.concat_tables([settings.part_schema.empty_table(), *records])


def _finished_rows(record: Path, settings: Settings) -> pa.Table:
    empty = settings.part_schema.empty_table()
    try:
        metadata = _noted(record)
        if json.loads(metadata[_SETTINGS]) != settings.lasting():
            return empty
        table, stamps = _read_labels(record, settings.schema), _stamps(metadata)
        # a name that is not UTF-8 is written escaped, and its file is measured again
        files = [name.encode() for name in table["image"].to_pylist()]
        table = table.append_column(OF_A_PART[0], pa.array(files, pa.binary()))
        return table.append_column(OF_A_PART[1], pa.array(stamps, pa.string()))
    except (KeyError, ValueError, OSError, zlib.error, pa.ArrowException):
        return empty  # a table that is not ours, or no longer whole


def _read_labels(path: Path, schema: pa.Schema) -> pa.Table:
    """Return those columns of a Parquet table, the flags under their name until 0.1."""
    old = FLAG_COLUMN not in pq.read_schema(path).names
    fields = [
        field.with_name("flags") if old and field.name == FLAG_COLUMN else field for field in schema
    ]
    return pq.read_table(path, schema=pa.schema(fields)).rename_columns(schema.names)


def _record_of(output: Path) -> Path:
    """Return where an output's settings and stamps are: in it if it is Parquet, or beside it."""
    if output.suffix.lower() == ".parquet" or is_written_as_folder(output):
        return output
    return hidden_beside(output, "labels.parquet")


def _records_of(output: Path) -> list[Path]:
    """Return the Parquet files of an output's settings and stamps, a folder's in order."""
    record = _record_of(output)
    return sorted(record.glob("*.parquet")) if is_written_as_folder(record) else [record]


def _noted(record: Path) -> dict[bytes, bytes]:
    """Return what a Parquet file notes beside its columns."""
    return pq.read_schema(record).metadata or {}


def _stamps(metadata: Mapping[bytes, bytes]) -> list[str]:
    return json.loads(zlib.decompress(base64.b64decode(metadata[_STAMPS])))


def _write_record(table: pa.Table, stamps: Sequence[str], settings: str, record: Path) -> None:
    """Write a table as Parquet, a file or a folder, with the settings and stamps of its rows."""

    def noted(part: pa.Table) -> pa.Table:
        packed = zlib.compress(json.dumps(part["stamp"].to_pylist()).encode())
        notes = {_SETTINGS: settings, _STAMPS: base64.b64encode(packed)}
        return part.drop_columns("stamp").replace_schema_metadata(notes)

    table = table.append_column(OF_A_PART[1], pa.array(stamps, pa.string()))
    if is_written_as_folder(record):
        write_parts(list(map(noted, parts_of(table))), record)
        return
    with write_whole(record) as temporary:
        pq.write_table(noted(table), temporary)


def read_corrections(output: Path) -> pa.Table | None:
    """Return the corrections by hand in an existing table; None if there are none."""
    try:
        frame = read_table(output, text=CORRECTION_COLUMNS) if output.exists() else None
    except InputError:  # damaged: there is nothing to keep
        return None
    if frame is None or not {"image", "corrected_by"} <= set(frame.columns):
        return None
    names = [name for name in CORRECTION_COLUMNS if name in frame.columns]
    frame = frame[["image", *names]].drop_duplicates("image")
    schema = pa.schema(
        [("image", pa.string()), *((name, _CORRECTION_TYPES[name]) for name in names)]
    )
    texts = frame.astype({name: "string" for name in names if name != "excluded"})
    return pa.Table.from_pandas(texts.assign(**{"excluded": excluded_by_hand(frame)}), schema)


def write_corrected(tones: pd.DataFrame, output: Path, source: Path) -> None:
    """Write a table of tones that has corrections, so that `label` still recognises it.

    Args:
        tones: The rows of ``source``, with the same computed columns.
        output: The table to write.
        source: The table it was read from; settings and stamps in Parquet are kept.
    """
    notes: list[dict[bytes, bytes]] = []
    if _record_of(output) == output and _record_of(source) == source and not is_stream(source):
        notes = [_noted(record) for record in _records_of(source)]
    if not notes or not all({_SETTINGS, _STAMPS} <= set(one) for one in notes):
        write_table(tones, output)
        return
    table = pa.Table.from_pandas(tones, preserve_index=False)
    types = {**dict(zip(SCHEMA.names, SCHEMA.types, strict=True)), **_CORRECTION_TYPES}
    fields = [
        pa.field(name, types.get(name, table.schema.field(name).type))
        for name in table.schema.names
    ]
    table = pa.Table.from_pandas(tones, pa.schema(fields), preserve_index=False)
    stamps = [stamp for one in notes for stamp in _stamps(one)]
    _write_record(table, stamps, notes[0][_SETTINGS].decode(), output)


def write_labels(
    rows: pa.Table,
    output: Path,
    settings: Settings,
    corrections: pa.Table | None = None,
    more: Mapping[str, Sequence[str | None]] | None = None,
) -> pa.Table:
    """Write the whole table and return it, without the columns that only later runs read.

    Args:
        rows: Rows of `Settings.part_schema`, in order.
        output: A .parquet file or a folder of them, which hold settings and stamps in their
            metadata; or .csv or .tsv, beside which a hidden Parquet file holds them.
        settings: The settings of the run.
        corrections: From `read_corrections`, kept for the images that are still there.
        more: Further columns of text, a value per row.
    """
    table = rows.select(settings.schema.names)
    for name, values in (more or {}).items():
        table = table.append_column(name, pa.array(values, pa.string()))
    if corrections is not None:
        place = pc.index_in(table["image"], corrections["image"])
        table = pa.table(
            {name: table[name] for name in table.column_names}
            | {name: corrections[name].take(place) for name in corrections.column_names[1:]}
        )
    stamps = rows["stamp"].to_pylist()
    _write_record(table, stamps, json.dumps(settings.lasting()), _record_of(output))
    if _record_of(output) != output:
        write_table(table.to_pandas(), output)
    return table
