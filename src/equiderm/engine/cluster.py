"""One function over many items on the machines of a Ray cluster; a lost machine loses no item.

Ray's tasks are used, not Ray Data: there, an item that crashes its process ends the run or takes
its whole block with it, and here it is one `Failure`. The results of a chunk arrive once or not at
all, and the chunks of a lost machine are done again elsewhere.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import pickle
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from equiderm import __version__
from equiderm.engine.chunks import Chunks, Failure, failure_of, too_late
from equiderm.engine.worker import attempt, coded, limit_threads
from equiderm.errors import InputError, reason_of

_TRIES = 3  # an item that ended this many processes, alone in each, is not tried again
_ASK = 5.0  # s; how often the cluster is asked how many cores it has
_loaded: tuple[str, Any] | None = None  # in a worker: the work of its latest run, by its id


def run_on_ray(
    function: Any,
    items: Sequence[Any],
    shared: Any,
    workers: int | None,
    largest: int,
    ordered: bool,
    *,
    seconds: float | None = None,
    gpus: bool = False,
) -> Generator[tuple[int, Any]]:
    """Yield the position of each item and its result or `Failure`; see `equiderm.engine.run`.

    Raises:
        InputError: Ray is not installed, no cluster can be reached, or its machines cannot load
            the work or have another version of Equiderm.
    """
    if not items:
        return
    with _cluster() as ray:
        gpus = gpus and ray.cluster_resources().get("GPU", 0) >= 1
        count = workers or _many(ray, "GPU" if gpus else "CPU")
        chunks = Chunks(items, count, largest)
        submitted = _Submitted(ray, (function, shared), chunks, workers, gpus=gpus)
        results = submitted.results(len(items), math.inf if seconds is None else seconds)
        try:
            yield from chunks.in_order(results) if ordered else results
        finally:
            submitted.stop()


@contextlib.contextmanager
def _cluster() -> Generator[Any]:
    """Yield Ray, connected; disconnect at the end if it was not connected before."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to its makers
    ray: Any  # typed in part
    try:
        import ray  # pyright: ignore[reportAssignmentType]
    except ImportError as error:
        raise InputError(
            "the engine ray is not installed; `pip install 'equiderm[ray]'`, on every machine."
        ) from error
    if ray.is_initialized():
        yield ray
        return
    try:
        with _out_of_the_working_folder():
            ray.init(log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
        raise InputError(
            f"no Ray cluster can be reached ({reason_of(error)}); check RAY_ADDRESS and that "
            "`ray status` answers here."
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _out_of_the_working_folder() -> Generator[None]:
    """Leave the working folder while Ray starts: its workers would import from it."""
    here = os.getcwd()  # noqa: PTH109
    os.chdir(sys.prefix)
    try:
        yield
    finally:
        os.chdir(here)


def _many(ray: Any, resource: str) -> int:
    return max(1, int(ray.cluster_resources().get(resource, 1)))


class _Submitted:
    """The chunks that are on the cluster, and their results.

    Args:
        ray: The library, connected.
        work: The function, and what its calls share; sent to each machine once.
        chunks: What is not done yet.
        most: Most chunks on the cluster at once; None for two per core, so that no core waits.
        gpus: Whether each chunk is given a GPU; they are then counted in place of cores.
    """

    def __init__(
        self,
        ray: Any,
        work: tuple[Any, Any],
        chunks: Chunks,
        most: int | None,
        *,
        gpus: bool = False,
    ) -> None:
        self._ray, self._chunks, self._given = ray, chunks, most
        self._counted = "GPU" if gpus else "CPU"
        try:
            self._work = ray.put(work)
        except Exception as error:
            raise InputError(
                f"the work cannot be sent to the cluster ({error}); define what it needs in a "
                "module that every machine has."
            ) from error
        # retries are ours: Ray would repeat a crash and then give up on the whole chunk
        self._do = ray.remote(
            num_cpus=1, num_gpus=int(gpus), max_retries=0, scheduling_strategy="SPREAD"
        )(do_chunk)
        self._out: dict[Any, dict[int, Any]] = {}
        self._lost: dict[int, int] = {}  # how often each item was alone in a lost process
        self._most, self._asked = 1, -float("inf")

    def results(self, items: int, seconds: float) -> Iterator[tuple[int, Any]]:
        """Yield results as they arrive; after the time limit, a failure for each of the rest."""
        left = set(range(items))
        end = time.monotonic() + seconds
        while left and (rest := end - time.monotonic()) > 0:
            self._share_out()
            done, _ = self._ray.wait(list(self._out), timeout=min(1, rest))  # Ctrl-C is heard
            for task in done:
                for result in self._take(task, self._out.pop(task)):
                    left.discard(result[0])
                    yield result
        for index in sorted(left):
            yield index, too_late(seconds)

    def stop(self) -> None:
        """Have the cluster drop the chunks that it still has."""
        for task in self._out:
            with contextlib.suppress(Exception):  # the cluster may be gone
                self._ray.cancel(task, force=True)
        self._out.clear()

    def _share_out(self) -> None:
        if time.monotonic() - self._asked > _ASK:
            self._most, self._asked = (
                self._given or 2 * _many(self._ray, self._counted),
                time.monotonic(),
            )
        while len(self._out) < self._most and (chunk := self._chunks.next()) is not None:
            # in a list, the work is passed by reference, and read once by each process
            task = self._do.remote(list(chunk.items()), [self._work], os.getcwd(), __version__)  # noqa: PTH109
            self._out[task] = chunk

    def _take(self, task: Any, chunk: dict[int, Any]) -> Iterator[tuple[int, Any]]:
        try:
            blob = self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:  # before it began
            raise InputError(
                f"the machines of the cluster cannot load the work ({reason_of(error.cause)}); "
                "install the same version of Equiderm, and the module of your own method, on each."
            ) from error
        except self._ray.exceptions.RayError as error:
            yield from self._retry(chunk, error)
            return
        _, results = pickle.loads(blob)
        for index, good, value in results:
            yield index, value if good else failure_of(value)

    def _retry(self, chunk: dict[int, Any], error: Exception) -> Iterator[tuple[int, Failure]]:
        """Queue a lost chunk again, or yield the failure of an item that ends its process."""
        if len(chunk) > 1:
            self._chunks.put_back_apart(chunk)
            return
        (index,) = chunk
        self._lost[index] = self._lost.get(index, 0) + 1
        if self._lost[index] < _TRIES:
            self._chunks.put_back(chunk)
        elif isinstance(error, self._ray.exceptions.OutOfMemoryError):
            yield index, Failure("its process was killed, as systems do when memory runs out")
        else:
            yield index, Failure(f"its process crashed ({_TRIES} times)")


def do_chunk(chunk: list[tuple[int, Any]], holder: list[Any], folder: str, version: str) -> bytes:
    """Return the results of a chunk, as bytes; run by Ray on a machine of the cluster.

    Args:
        chunk: Positions and items.
        holder: One reference to the function and what its calls share.
        folder: The folder of relative paths; machines share it, or the paths are absolute.
        version: The version of Equiderm that started the run.

    Raises:
        RuntimeError: This machine has another version.
    """
    global _loaded
    import ray

    if version != __version__:
        raise RuntimeError(f"Equiderm {version} started the run, but a machine has {__version__}")
    with contextlib.suppress(OSError):
        os.chdir(folder)
    name = holder[0].hex()
    if _loaded is None or _loaded[0] != name:
        _loaded = (name, ray.get(holder[0]))
        limit_threads()
    function, shared = _loaded[1]
    return coded([(index, *attempt(function, item, shared)) for index, item in chunk])
