"""Score or embed many images part by part, so that disk and memory do not grow with their number.

A part is decoded, scored or embedded, and deleted: in this process, in several (one per GPU), or on
a Ray cluster. Its results are kept beside the output until that is written, so that a command that
was killed resumes.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Generator
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from equiderm import __version__
from equiderm.data.manifest import file_sha256
from equiderm.engine import Failure, default_workers, place, run
from equiderm.errors import InputError, NoneReadable
from equiderm.files import hidden_beside, is_stream, write_whole
from equiderm.remote import stamp_urls
from equiderm.training.checkpoint import load_run, weights_hash
from equiderm.training.images import decoded
from equiderm.training.precision import take_gpu
from equiderm.training.predict import embed, predict

if TYPE_CHECKING:
    from equiderm.training.experiment import Experiment

    Progress = Callable[[int, int], None]

AT_ONCE = 16_384  # images that are decoded together: 2.5 GB of disk at 224 px
LEAST = 64  # images of a part that has its own process, which loads the network and decodes


class Job(NamedTuple):
    """What is done with each part.

    Attributes:
        run: Folder of the run that scores; None where features are computed.
        experiment: The experiment whose backbone computes features, where no run scores.
        size: Side of the images, in pixels.
        decoders: Processes that decode a part; None takes one per core.
    """

    run: str | None
    experiment: Experiment | None
    size: int
    decoders: int | None = None


class Done(NamedTuple):
    """The results of a part.

    Attributes:
        table: Its readable rows with the run's scores; for features, ``image_id`` alone.
        errors: ``image_id``, ``path`` and ``error`` of the others.
        features: Shape (rows, n_features), where no run scores.
    """

    table: pd.DataFrame
    errors: pd.DataFrame
    features: Any = None


def in_parts(
    job: Job,
    frame: pd.DataFrame,
    *,
    workers: int | None = None,
    engine: str = "local",
    output: Path | None = None,
    progress: Progress | None = None,
) -> Generator[Done]:
    """Yield the parts of a table of images in their order, each when it is done.

    Args:
        job: What is done with them.
        frame: Columns ``image_id`` and ``path``; the others are kept.
        workers: Processes; None takes one per GPU, or one without any. On a cluster the most parts
            at once; None takes as many as it has GPUs, or cores.
        engine: ``ray`` works on a Ray cluster, whose machines see images and run under the same
            paths; see `equiderm.engine.run`.
        output: The file that is written from them: finished parts are kept beside it, and taken
            from there, until `forget` deletes them. The caller holds its lock.
        progress: Called with images done and in total.

    Raises:
        InputError: No image of any part can be read; the engine's errors.
    """
    count = workers or max(torch.cuda.device_count(), 1)
    alone, ray = count == 1 and engine == "local", engine == "ray"
    size = AT_ONCE if alone else max(min(AT_ONCE, math.ceil(len(frame) / (4 * count))), LEAST)
    first = range(0, max(len(frame), 1), size)
    parts = [frame.iloc[k : k + size].reset_index(drop=True) for k in first]
    kept = None if output is None or is_stream(output) else _Kept(output, job)
    names = [kept.name(part) if kept else "" for part in parts]
    finished = [kept.load(name) if kept else None for name in names]
    to_do = [part for part, result in zip(parts, finished, strict=True) if result is None]
    before = len(frame) - sum(map(len, to_do))
    if alone:
        results = _here(job, to_do, before, len(frame), progress)
    else:
        job = job._replace(decoders=1 if ray else max(default_workers() // count, 1))
        tasks = run(
            do_part, to_do, shared=job, workers=workers if ray else count, largest_chunk=1,
            ordered=True, engine=engine, gpus=True,
        )  # fmt: skip
        results = _elsewhere(tasks, to_do, before, len(frame), progress)
    unreadable: NoneReadable | None = None
    readable = 0
    with closing(results):
        for part, name, result in zip(parts, names, finished, strict=True):
            if result is None:
                result = next(results)
                if isinstance(result, NoneReadable):
                    unreadable = unreadable or result
                    errors = pd.DataFrame(result.images, columns=["image_id", "path", "error"])
                    result = Done(part.iloc[:0], errors)
                elif kept:
                    kept.save(name, result)
            readable += len(result.table)
            yield result
    if unreadable is not None and not readable:
        raise unreadable


def forget(output: Path) -> None:
    """Delete the finished parts that are kept beside an output; it has been written."""
    shutil.rmtree(_folder(output), ignore_errors=True)


def _folder(output: Path) -> Path:
    return hidden_beside(output, "parts")


class _Kept:
    """The finished parts of a job, in a hidden folder beside its output.

    A part is known by the job, its rows, and the size and time of its images.
    """

    def __init__(self, output: Path, job: Job) -> None:
        self._folder = _folder(output)
        self._job = _identity(job)

    def name(self, part: pd.DataFrame) -> str:
        digest = hashlib.sha256(self._job.encode())
        digest.update(part.to_csv(index=False).encode("utf-8", "surrogatepass"))
        paths = [str(path) for path in part["path"]]
        there = stamp_urls(paths)
        for path in paths:
            digest.update(f"\n{there[path] if path in there else _stamp(path)}".encode())
        return digest.hexdigest()[:32]

    def load(self, name: str) -> Done | None:
        """Return a finished part; None where it is not there or damaged."""
        table, errors, features = self._files(name)
        try:
            results = pd.read_parquet(table), pd.read_parquet(errors)
            return Done(*results, np.load(features) if features.exists() else None)
        except (OSError, ValueError):  # pyarrow's errors are of these kinds
            return None

    def save(self, name: str, result: Done) -> None:
        """Keep a part: its table last, which says that all of it is there."""
        table, errors, features = self._files(name)
        if result.features is not None:
            with write_whole(features) as temporary:
                np.save(temporary, result.features)
        for frame, path in ((result.errors, errors), (result.table, table)):
            with write_whole(path) as temporary:
                frame.to_parquet(temporary)

    def _files(self, name: str) -> tuple[Path, Path, Path]:
        stem = str(self._folder / name)
        return Path(f"{stem}.parquet"), Path(f"{stem}.errors.parquet"), Path(f"{stem}.npy")


def _identity(job: Job) -> str:
    """Return what decides the results of a job, as text."""
    what: list[Any] = [__version__, job.size]
    if job.run is not None:
        what += [file_sha256(Path(job.run, name)) for name in ("run.json", "model.safetensors")]
    if job.experiment is not None:
        what += [job.experiment.to_toml(), weights_hash(job.experiment)]
    return json.dumps(what)


def _stamp(path: str) -> str:
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return "none"
    return f"{status.st_size} {status.st_mtime_ns}"


def _here(
    job: Job, parts: list[pd.DataFrame], before: int, n: int, progress: Progress | None
) -> Generator[Done | NoneReadable]:
    for part in parts:

        def half_done(done: int, count: int, start: int = before) -> None:
            if progress is not None:  # of each part, decoding and scoring count as one half each
                progress(start + done // 2, n)

        try:
            yield do_part(part, job, half_done)
        except NoneReadable as error:
            yield error
        before += len(part)


def _elsewhere(
    results: Generator[tuple[int, Any]],
    parts: list[pd.DataFrame],
    done: int,
    n: int,
    progress: Progress | None,
) -> Generator[Done | NoneReadable]:
    with closing(results):
        for index, result in results:
            if isinstance(result, Failure) and isinstance(result.error, NoneReadable):
                result = result.error
            if isinstance(result, Failure):
                first = parts[index]["image_id"].iloc[0]
                raise result.error or InputError(
                    f"the {len(parts[index]):,} images from {first} on: {result.reason}; take "
                    "fewer workers."
                )
            done += len(parts[index])
            if progress is not None:
                progress(done, n)
            yield result


def do_part(part: pd.DataFrame, job: Job, progress: Progress | None = None) -> Done:
    """Return the results of a part: decode it, and score it or compute its features.

    Args:
        part: Columns ``image_id`` and ``path``.
        job: What is done with it.
        progress: Called with images decoded, then with the images decoded plus those scored.
    """

    def second(done: int, count: int) -> None:
        if progress is not None:
            progress(len(part) + done, 2 * count)

    take_gpu(place())
    with decoded(part, job.size, workers=job.decoders, progress=progress) as (
        images,
        readable,
        errors,
    ):
        if job.run is not None:
            return Done(predict(_loaded(job.run), images, readable, progress=second), errors)
        assert job.experiment is not None
        ids = readable["image_id"].astype(str)
        values = embed(job.experiment, images, ids.tolist(), progress=second)
        return Done(ids.to_frame(), errors, values)


@lru_cache(1)
def _loaded(folder: str) -> Any:
    return load_run(folder)
