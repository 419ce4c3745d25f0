"""Many photographs to one table: find, measure, record each error as a row, resume after a kill."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from equiderm.columns import require_column
from equiderm.engine import Failure, default_workers, run
from equiderm.errors import InputError, require_training
from equiderm.files import JPEG_ENDINGS, is_stream, make_folder, only_one, sweep
from equiderm.format import counted
from equiderm.identity import find_ids, match_rows
from equiderm.parts import Parts, Row
from equiderm.photo.decode import Photo, PhotoError, load_photo
from equiderm.photo.dicom import check_attributes, read_attributes
from equiderm.photo.reference import AnyReference, parse_reference
from equiderm.photo.walk import as_paths, find_images, keep_out_of_image_folders, printable
from equiderm.remote import name_of, read_file, twin_of, url_of
from equiderm.tables import check_table_path, read_table, table_ending, write_table
from equiderm.tone.estimate import COLUMNS, FLAG_COLUMN, ToneEstimate, measure_photo
from equiderm.tone.estimators import get_method
from equiderm.tone.learned import Model, check_bands, columns_of, fill_row, scheme_of_model
from equiderm.tone.overlay import overlay_names, write_overlay, written_overlays
from equiderm.tone.scales import ESTIMATED, SCHEMES, Scheme, get_scheme
from equiderm.tone.table import (
    MODEL_COLUMN,
    OF_A_TABLE,
    Settings,
    check_output,
    finished_rows,
    in_order,
    model_name,
    newest,
    read_corrections,
    stamp_of,
    stamps_of,
    table_at_url,
    write_labels,
)
from equiderm.tone.view import EIGHT_SAMPLES, SAMPLE, SIDE, Measurement, View

if TYPE_CHECKING:
    import pandas as pd


Task = tuple[str, str | None]  # an image, and the overlay to write for it
Progress = Callable[[int, int], None]

_BATCH = 64  # photographs that a device is given together
_READERS = 8  # files read at a time, while a device waits
_DEVICE_WORKERS = 4  # processes that share a GPU, unless told: each holds some of its memory


@dataclass(frozen=True)
class Measuring:
    """What all images of a run share; sent to each worker once."""

    settings: Settings
    estimator: Callable[[View], Measurement | None]
    scheme: Scheme
    references: Mapping[str, str] | None = None  # of each image, where they differ
    engine: str = "local"
    model: Model | None = None
    device: str | None = None  # of torch, for batches of JPEGs

    @property
    def colour_scheme(self) -> Scheme:
        """The scheme of the measured angle; with a model, `fill_row` replaces its bands."""
        return self.scheme if self.model is None else SCHEMES["paper"]


@dataclass(frozen=True)
class Prepared:
    """A photograph that a device has decoded, with the stamp that its file had before."""

    stamp: str
    photo: Photo
    view: View


def label(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    method: str = "patch-max",
    scheme: str = "paper",
    exact: bool = False,
    reference: str | None = None,
    model: Model | None = None,
    dicom_columns: Sequence[str] = (),
    workers: int | None = 1,
    engine: str = "local",
    device: str | None = None,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    overlays: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return the table of tone estimates of many photographs, one row per path, in order.

    Args:
        paths: Folders (walked), image files, glob patterns, and tables with an ``image`` column,
            or their URLs; or a single one of these. A file that is named twice has two rows.
        method: A key of `equiderm.tone.METHODS`.
        scheme: A key of `equiderm.tone.SCHEMES`, or a fitted scheme's .json file.
        exact: Decode large JPEGs at full size.
        reference: The place of a gray or white patch or a colour card in every photograph; see
            `estimate`. Or a table with columns ``image`` and ``reference``, with each image's own.
        model: A trained model, such as `equiderm.training.ToneModel`: its estimates replace the
            band or the colour of every photograph in which ``method`` measures an angle. See
            `equiderm.tone.learned.fill_row`.
        dicom_columns: Attributes of DICOM files that become columns of text, such as PatientAge;
            nothing else of such a file but its picture reaches the table.
        workers: Processes; None takes every core.
        engine: ``ray`` works on a Ray cluster whose machines have the photographs at the same
            paths; see `equiderm.engine.run`.
        device: ``cuda``, ``cuda:1`` or ``cpu``: torch decodes JPEGs, resizes them and removes hair
            there, many at a time; every other file is read as without it. About 1 band of 2,000
            differs (docs/scale.md). None does not need torch.
        output: A .parquet, .csv or .tsv file to write as well, or its URL; a name without an
            ending is a folder of Parquet files; "-" writes CSV to standard output. Finished parts
            are kept beside it until the run ends: the same call resumes an interrupted run, and
            measures what is new or has changed since a finished one.
        overwrite: Replace an output that was made with other settings or of other images.
        overlays: A folder, or its URL, for one picture per image, showing what was measured.
        progress: Called with the number of images done and in total.

    Returns:
        Columns as in `ToneEstimate`, with ``image`` first; with a model, also ``model`` and its
        estimates that have no column there. An image that cannot be read has its reason in
        ``error`` and no values.

    Raises:
        InputError: Unusable arguments, an output that must not be replaced or that another run is
            writing, or an output or overlay folder among the images.
    """
    if dicom_columns:
        check_attributes(dicom_columns)
    arguments = as_paths(paths)
    images = find_images(arguments)
    folder = None
    if overlays is not None:
        folder = url_of(overlays) or str(Path(overlays).absolute())
    scheme = get_scheme(scheme).name
    if model is not None:
        scheme = scheme_of_model(model, scheme)
        check_bands(model, get_scheme(scheme))
    elif scheme.startswith(ESTIMATED):
        raise InputError(f"scheme '{scheme}': is a trained model's; give the model, `model=...`.")
    references = None
    if reference is not None and table_ending(Path(reference)) is not None:
        references = _read_references(Path(reference), images)
        digest = hashlib.sha256(json.dumps(sorted(references.items())).encode()).hexdigest()
        reference = f"{OF_A_TABLE}{digest}"
    kind = None if device is None else _check_device(device)
    settings = Settings(method, scheme, exact, folder, reference=reference, device=kind)
    settings.check()
    if scheme.endswith(".json"):
        digest = hashlib.sha256(Path(scheme).read_bytes()).hexdigest()
        settings = dataclasses.replace(settings, fitted=digest)
    if model is not None:
        settings = dataclasses.replace(settings, model=model.digest, estimated=columns_of(model))
    path = Path(output) if output is not None else None
    if path is not None:
        check_table_path(path)
    keep_out_of_image_folders([path, folder], arguments, images)
    if folder is not None and url_of(folder) is None:
        make_folder(Path(folder))
    bands = get_scheme(scheme)
    how = Measuring(settings, get_method(method), bands, references, engine, model, device)
    url = None if path is None else url_of(path)
    if path is not None and (url or not is_stream(path)):
        with table_at_url(url) if url else only_one(path):
            local = twin_of(url) if url else path
            check_output(local, settings, images, overwrite=overwrite)
            return _label_to_file(images, how, workers, local, progress, dicom_columns).to_pandas()
    once = list(dict.fromkeys(images))
    with closing(_measure(once, how, workers, progress, _overlay_files(once, settings))) as rows:
        table = pa.Table.from_pylist(list(rows), settings.part_schema)
    frame = in_order(table, images).select(settings.schema.names).to_pandas()
    frame = frame.assign(**_attributes(images, dicom_columns))
    if path is not None:
        write_table(frame, path)
    return frame


def _label_to_file(
    images: Sequence[str],
    how: Measuring,
    workers: int | None,
    output: Path,
    progress: Progress | None,
    dicom_columns: Sequence[str],
) -> pa.Table:
    """Measure what is new or changed since the output or its parts were written, and write all."""
    settings = how.settings
    once = list(dict.fromkeys(images))
    parts = Parts(output, dataclasses.asdict(settings), settings.part_schema)
    stamps = stamps_of(once)
    earlier = newest([finished_rows(output, settings), parts.load()], stamps)
    done = set(earlier["file"].to_pylist())
    overlays = _overlay_files(once, settings)
    drawn = written_overlays(overlays.values(), settings.overlays) if settings.overlays else set()
    done -= {os.fsencode(image) for image, file in overlays.items() if file not in drawn}
    left = [image for image in once if os.fsencode(image) not in done]
    already = len(once) - len(left)
    if progress and already:
        progress(already, len(once))

    def report(count: int, _: int) -> None:
        if progress:
            progress(already + count, len(once))

    measured = _measure(left, how, workers, report, overlays)
    with closing(measured) as rows, parts.growing() as keep:
        for row in rows:
            keep(row)
    sweep(*(Path(file) for file in overlays.values() if url_of(file) is None))
    rows = in_order(newest([earlier, parts.load()]), images)
    more = _attributes(images, dicom_columns)
    table = write_labels(rows, output, settings, read_corrections(output), more)
    parts.remove()
    return table


def _overlay_files(images: Sequence[str], settings: Settings) -> dict[str, str]:
    """Return the overlay's path of each image; the names depend on all images of the run."""
    if not settings.overlays:
        return {}
    return dict(zip(images, overlay_names(images, settings.overlays), strict=True))


def _measure(
    images: Sequence[str],
    how: Measuring,
    workers: int | None,
    progress: Progress | None,
    overlays: Mapping[str, str],
) -> Generator[Row]:
    """Yield the row of each image as it is done, in any order; write its overlay, if it has one."""
    settings = how.settings
    tasks: list[Task] = [(image, overlays.get(image)) for image in images]
    if how.device is not None:
        yield from _measure_in_batches(tasks, how, workers, progress)
        return
    results = run(
        label_one, tasks, shared=how, workers=workers, progress=progress, engine=how.engine
    )
    with closing(results):
        for index, row in results:
            if isinstance(row, Failure):
                row = _error_row(images[index], settings, row.reason, stamp_of(images[index]))
            yield row


def _measure_in_batches(
    tasks: Sequence[Task], how: Measuring, workers: int | None, progress: Progress | None
) -> Generator[Row]:
    """Yield rows as `_measure` does, batch by batch; a batch that fails is measured without."""
    if workers is None and how.engine == "local":
        workers = min(default_workers(), _DEVICE_WORKERS)
    batches = [tasks[start : start + _BATCH] for start in range(0, len(tasks), _BATCH)]
    rest: list[Task] = []
    reason, done = "", 0

    def report(count: int, _: int) -> None:
        if progress:
            progress(count, len(tasks))

    results = run(
        label_batch,
        batches,
        shared=how,
        workers=workers,
        largest_chunk=1,
        engine=how.engine,
        gpus=True,
    )
    with closing(results):
        for index, rows in results:
            if isinstance(rows, Failure):
                reason = reason or rows.reason
                rest += batches[index]
                continue
            for row in rows:
                done += 1
                report(done, 0)
                yield row
    if rest:
        warnings.warn(
            f"{counted(len(rest), 'image')} measured without the device: {reason}.", stacklevel=2
        )
        without = dataclasses.replace(how, device=None)
        overlays = {image: overlay for image, overlay in rest if overlay is not None}
        names = [image for image, _ in rest]
        with closing(
            _measure(names, without, workers, lambda n, _: report(done + n, 0), overlays)
        ) as rows:
            yield from rows


def label_batch(tasks: Sequence[Task], how: Measuring) -> list[Row]:
    """Return the rows of many images; JPEGs are decoded and cleared of hair on a device."""
    from equiderm.gpu import read_squares  # needs torch

    assert how.device is not None
    images = [image for image, _ in tasks]
    stamps = [stamp_of(image) for image in images]
    blobs = [b""] * len(images)  # a reference corrects the whole photograph, in the ordinary way
    if how.settings.reference is None:
        with ThreadPoolExecutor(_READERS) as threads:
            blobs = list(threads.map(_read_jpeg, images))
    squares = read_squares(
        blobs,
        how.device,
        size=SIDE,
        corners=list(EIGHT_SAMPLES.values()),
        side=SAMPLE,
        exact=how.settings.exact,
    )
    rows: list[Row] = []
    for task, stamp, square in zip(tasks, stamps, squares, strict=True):
        prepared = None
        if square is not None:
            view = View(square.photo.square, hair=square.hair, samples=square.samples)
            prepared = Prepared(stamp, square.photo, view)
        rows.append(label_one(task, how, prepared))
    return rows


def _read_jpeg(image: str) -> bytes:
    """Return the bytes of a file that is called a JPEG; none where it cannot be read."""
    if Path(image).suffix.lower() not in JPEG_ENDINGS:
        return b""
    if not (url_of(image) or os.path.isfile(image)):  # noqa: PTH113 a name may hold a null byte
        return b""
    try:
        return read_file(image)
    except (OSError, ValueError):  # the ordinary way says why
        return b""


def _check_device(name: str) -> str:
    """Return the kind of a device of torch.

    Raises:
        InputError: Torch is not installed, or has no such device.
    """
    require_training()
    from equiderm.gpu import check_device

    check_device(name)
    return name.partition(":")[0]


def label_one(task: Task, how: Measuring, prepared: Prepared | None = None) -> Row:
    """Return one image's row, ready for the table; never raises for the image's own faults."""
    image, overlay = task
    stamp = stamp_of(image) if prepared is None else prepared.stamp
    settings = how.settings
    try:
        reference = _reference_of(image, how)
        view = None
        if prepared is None:
            photo = load_photo(image, SIDE, exact=settings.exact, reference=reference)
        else:
            photo, view = prepared.photo, prepared.view
        measured = measure_photo(photo, settings.method, how.estimator, how.colour_scheme, view)
        if overlay is not None:
            write_overlay(measured, Path(overlay))
        row = _row_of(measured.estimate, settings)
        if how.model is not None:

            def square(side: int) -> NDArray[np.uint8]:
                if side == SIDE:
                    return photo.square
                return load_photo(image, side, exact=settings.exact, reference=reference).square

            row = fill_row(row, how.model, square, how.scheme)
    except PhotoError as error:
        return _error_row(image, how.settings, str(error), stamp)
    except cv2.error as error:
        return _error_row(image, how.settings, f"cannot be measured ({error.err})", stamp)
    return row | {"image": printable(image), "file": os.fsencode(image), "stamp": stamp}


def _row_of(estimate: ToneEstimate, settings: Settings) -> Row:
    row: Row = {name: getattr(estimate, name, None) for name in COLUMNS}
    row |= {FLAG_COLUMN: " ".join(estimate.flags)}
    return row | _of_settings(settings)


def _of_settings(settings: Settings) -> Row:
    """Return the cells that are the same in every row: method, scheme and model."""
    row: Row = {"method": settings.row_method, "scheme": settings.scheme}
    return row if settings.model is None else row | {MODEL_COLUMN: model_name(settings.model)}


def _attributes(images: Sequence[str], names: Sequence[str]) -> dict[str, list[str | None]]:
    """Return the columns of the DICOM attributes asked for."""
    if not names:
        return {}
    read = {image: read_attributes(image, names) for image in dict.fromkeys(images)}
    return {name: [read[image][i] for image in images] for i, name in enumerate(names)}


def _reference_of(image: str, how: Measuring) -> AnyReference | None:
    if how.references is None:
        place = how.settings.reference
        return None if place is None else parse_reference(place)
    if image not in how.references:
        raise PhotoError("has no place in the table of references")
    return parse_reference(how.references[image])


def _read_references(table: Path, images: Sequence[str]) -> dict[str, str]:
    """Return the place of each image's reference, as text, from a table of them."""
    import pandas as pd

    frame = read_table(table, text=("reference",))
    places = require_column(frame, "reference", name_of(table))
    known = places.notna() & (places.astype(str).str.strip() != "")
    frame, places = frame[known], places[known].astype(str)
    for place in places.unique():
        try:
            parse_reference(place)
        except InputError as error:
            raise InputError(f"{table}: {error}") from error
    once = list(dict.fromkeys(images))
    rows = match_rows(
        pd.Series([printable(image) for image in once], dtype="string"),
        find_ids(frame, None, name_of(table)),
        ("the photographs", name_of(table)),
    )
    return {once[i]: places.iloc[j] for i, j in zip(rows.left, rows.right, strict=True)}


def _error_row(image: str, settings: Settings, reason: str, stamp: str) -> Row:
    row: Row = dict.fromkeys(COLUMNS)
    row |= {"image": printable(image), **_of_settings(settings)}
    row |= {"patch_ita": [], FLAG_COLUMN: "", "error": reason}
    return row | {"file": os.fsencode(image), "stamp": stamp}
