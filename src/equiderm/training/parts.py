"""Score or embed many images part by part, so that disk and memory do not grow with their number.

A part is decoded, scored or embedded, and deleted: in this process, in several (one per GPU), or on
a Ray cluster.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import closing
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from equiderm.engine import Failure, default_workers, place, run
from equiderm.errors import InputError, NoneReadable
from equiderm.training.images import decoded
from equiderm.training.precision import take_gpu

if TYPE_CHECKING:
    import pandas as pd

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
        progress: Called with images done and in total.

    Raises:
        InputError: No image of any part can be read; the engine's errors.
    """
    count = workers or max(torch.cuda.device_count(), 1)
    alone, ray = count == 1 and engine == "local", engine == "ray"
    size = AT_ONCE if alone else max(min(AT_ONCE, math.ceil(len(frame) / (4 * count))), LEAST)
    first = range(0, max(len(frame), 1), size)
    parts = [frame.iloc[k : k + size].reset_index(drop=True) for k in first]
    results = _here(job, parts, len(frame), progress)
    if not alone:
        job = job._replace(decoders=1 if ray else max(default_workers() // count, 1))
        tasks = run(
            do_part, parts, shared=job, workers=workers if ray else count, largest_chunk=1,
            ordered=True, engine=engine, gpus=True,
        )  # fmt: skip
        results = _elsewhere(tasks, parts, len(frame), progress)
    unreadable: NoneReadable | None = None
    readable = 0
    with closing(results):
        for part, result in zip(parts, results, strict=True):
            if isinstance(result, NoneReadable):
                unreadable = unreadable or result
                result = _all_in_error(part, result)
            readable += len(result.table)
            yield result
    if unreadable is not None and not readable:
        raise unreadable


def _here(
    job: Job, parts: list[pd.DataFrame], n: int, progress: Progress | None
) -> Generator[Done | NoneReadable]:
    before = 0
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
    n: int,
    progress: Progress | None,
) -> Generator[Done | NoneReadable]:
    done = 0
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
    from equiderm.training.predict import embed, predict

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
    from equiderm.training.checkpoint import load_run

    return load_run(folder)


def _all_in_error(part: pd.DataFrame, error: NoneReadable) -> Done:
    import pandas as pd

    return Done(part.iloc[:0], pd.DataFrame(error.images, columns=["image_id", "path", "error"]))
