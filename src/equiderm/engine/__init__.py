"""One function over many items: in this process, in processes that may crash, or on a cluster.

All worker processes are started here. Python's own pools are not used for four reasons: their
processes import from the working folder, run the caller's script again, live on when their parent
is killed, and break all together when one of them crashes. `equiderm.engine.cluster` is the same
`run` on the machines of a Ray cluster.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from equiderm.engine.chunks import Chunks, Failure, failure_of, too_late
from equiderm.engine.worker import attempt, receive, send
from equiderm.errors import InputError

Item = TypeVar("Item")
Shared = TypeVar("Shared")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]

ENGINES = ("local", "ray")
LARGEST_CHUNK = 50  # items sent together: few messages, and little to do again after a crash
_PATIENCE = 2.0  # s; how long a process that is asked to stop may take for its current item
_PLACE = "EQUIDERM_WORKER"
_PACKAGE = Path(__file__).parents[1]
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


def default_workers() -> int:
    """Return the cores that this process may use: its affinity, and its container's share."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        cores = min(cores, max(1, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        pass
    return cores


def place() -> int | None:
    """Return this worker's number, 0 or more, unique in its run; None outside a worker."""
    number = os.environ.get(_PLACE)
    return None if number is None else int(number)


def run(
    function: Callable[[Item, Shared], Result],
    items: Sequence[Item],
    *,
    shared: Shared,
    workers: int | None = 1,
    largest_chunk: int = LARGEST_CHUNK,
    ordered: bool = False,
    seconds: float | None = None,
    progress: Progress | None = None,
    engine: str = "local",
    gpus: bool = False,
) -> Generator[tuple[int, Result | Failure]]:
    """Yield the position of each item and its result, as they come.

    An item whose function raises, or whose process crashes or is killed twice, yields a `Failure`;
    all others are done. Close the generator (`contextlib.closing`) to stop: its processes end at
    once. They also end with this process, however it ends. They import nothing from the working
    folder, and give each numerical library one thread.

    Args:
        function: Called with an item and ``shared``; of a module that is installed.
        items: What to work on.
        shared: What every call needs; sent to each process once.
        workers: Processes; None takes every core. With 1, or a single item, the work is done in
            this process, which does not survive a crash.
        largest_chunk: Most items sent to a process together.
        ordered: Yield in the order of the items; a few are held back until their turn.
        seconds: Time limit for all items, for untrusted input: an item that is not done by then is
            a `Failure`. The work is then done in other processes, even for a single item; on a
            cluster the time begins once it is reached.
        progress: Called with the number of items done and in total.
        engine: ``ray`` works on the Ray cluster that this machine belongs to, or on one that is
            started here. ``workers`` is then the most chunks in progress at once, None for two per
            core of the cluster.
        gpus: A call of the function uses a GPU where there is one: on a cluster that has any, each
            chunk is given one of its own. Here `place` says which worker asks.

    Raises:
        InputError: Worker processes cannot start; an engine that is unknown or not installed.

    Warns:
        RuntimeWarning: The function, or what it needs, cannot be sent to another process (it is
            defined in a script, a notebook or the working folder): the work is done here.
    """
    if engine not in ENGINES:
        raise InputError(f"no engine is called {engine!r}; there are {' and '.join(ENGINES)}.")
    count = min(workers or default_workers(), len(items))
    results = _here(function, items, shared)
    if engine == "ray":
        from equiderm.engine.cluster import run_on_ray  # Ray is an extra

        results = run_on_ray(
            function, items, shared, workers, largest_chunk, ordered, seconds=seconds, gpus=gpus
        )
    elif count > 1 or (seconds is not None and items):
        results = _in_processes(function, items, shared, count, largest_chunk, ordered, seconds)
    try:
        for done, (index, result) in enumerate(results, 1):
            if progress is not None:
                progress(done, len(items))
            yield index, result
    finally:
        results.close()


class Kept:
    """Worker processes that are kept from call to call: what they loaded serves the next, too.

    They start with the first call that needs them, and again after a crash or an item that took too
    long.

    Args:
        function: As `run` takes it.
        shared: Likewise.
        workers: Processes.
    """

    def __init__(
        self, function: Callable[[Item, Shared], Result], shared: Shared, *, workers: int = 1
    ) -> None:
        work = pickle.dumps((function, shared), pickle.HIGHEST_PROTOCOL)
        self._workers = workers
        self._pool = _Pool(work, Chunks((), 1, 1), 0, workers)
        # One thread starts every process: Linux ends a process with the thread that started it.
        self._thread = ThreadPoolExecutor(1)
        self.close = weakref.finalize(self, _end, self._pool, self._thread)

    def run(self, items: Sequence[Any], *, seconds: float) -> list[Any]:
        """Return the result of each item, or its `Failure`, in the items' order.

        Args:
            items: What to work on.
            seconds: Time for all of them, once those of earlier calls are done.

        Raises:
            InputError: The processes cannot start.
        """
        return self._thread.submit(self._run, items, seconds).result()

    def _run(self, items: Sequence[Any], seconds: float) -> list[Any]:
        self._pool.take_on(Chunks(items, self._workers, 1), len(items), seconds)
        try:
            results = dict(self._pool.results())
        except BaseException:
            self._pool.stop()
            raise
        if not self._pool.is_idle():
            self._pool.stop()
        return [results[index] for index in range(len(items))]


def _end(pool: _Pool, thread: ThreadPoolExecutor) -> None:
    """End what a `Kept` has started, when it is closed or nobody has it any more."""
    pool.stop()
    thread.shutdown()


def _here(function: Any, items: Sequence[Any], shared: Any) -> Any:
    for index, item in enumerate(items):
        good, value = attempt(function, item, shared)
        yield index, value if good else failure_of(value)


class _UnusableError(Exception):
    """The work cannot be sent to another process."""


def _in_processes(
    function: Any,
    items: Sequence[Any],
    shared: Any,
    count: int,
    largest: int,
    ordered: bool,
    seconds: float | None,
) -> Any:
    chunks = Chunks(items, count, largest)
    pool = None
    try:
        try:
            work = pickle.dumps((function, shared), pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            raise _UnusableError(str(error)) from error
        pool = _Pool(work, chunks, len(items), count, seconds)
        yield from chunks.in_order(pool.results()) if ordered else pool.results()
    except _UnusableError as error:
        warnings.warn(
            f"the work is done in this process alone: another cannot load it ({error}). Put what "
            "you defined into a module that is installed.",
            RuntimeWarning,
            stacklevel=4,
        )
        yield from _here(function, items, shared)
    finally:
        if pool is not None:
            pool.stop()


class _Child:
    """A worker process, and the chunks that it holds: the items by position, oldest chunk first."""

    def __init__(
        self, start: bytes, inbox: queue.SimpleQueue[tuple[_Child, Any]], place: int
    ) -> None:
        self.place = place
        self.chunks: deque[dict[int, Any]] = deque()
        self.ready = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_PACKAGE / "engine" / "worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**_environment(), _PLACE: str(place)},
        )
        self._tasks = cast(BinaryIO, self._process.stdin)
        self._results = cast(BinaryIO, self._process.stdout)
        self._thread = threading.Thread(target=self._listen, args=(inbox,), daemon=True)
        self._thread.start()
        self._send(start)

    def _listen(self, inbox: queue.SimpleQueue[tuple[_Child, Any]]) -> None:
        while (blob := receive(self._results)) is not None:
            inbox.put((self, pickle.loads(blob)))
        inbox.put((self, None))

    def _send(self, blob: bytes) -> None:
        with contextlib.suppress(OSError):  # it has died, and the inbox says so
            send(self._tasks, blob)

    def give(self, chunk: dict[int, Any]) -> None:
        """Send a chunk."""
        self.chunks.append(chunk)
        self._send(pickle.dumps(list(chunk.items()), pickle.HIGHEST_PROTOCOL))

    def mark_done(self, index: int) -> None:
        """Note that an item's result has arrived."""
        del self.chunks[0][index]
        if not self.chunks[0]:
            self.chunks.popleft()

    def ask_to_stop(self) -> None:
        """Ask the process to end after its current item."""
        self._send(b"")

    def stop(self, patience: float) -> int:
        """Wait until the process ends, or end it, and return its exit status."""
        try:
            status = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._thread.join()
        self._results.close()
        with contextlib.suppress(OSError):  # unsent messages have no receiver
            self._tasks.close()
        return status

    def end(self) -> str:
        """Return how a process that closed its pipe ended, as a phrase."""
        status = self.stop(10)
        if status == -9:
            return "its process was killed, as systems do when memory runs out"
        if status < 0:
            return f"its process crashed ({signal.Signals(-status).name})"
        return f"its process crashed (exit status {status})"


def _environment() -> dict[str, str]:
    """Return a worker's environment: one thread per library, no working folder in its path."""
    environment = {**os.environ, **dict.fromkeys(_THREADS, "1"), "PYTHONSAFEPATH": "1"}
    given = environment.pop("PYTHONPATH", "")
    if kept := _without_working_folder(given.split(os.pathsep)):
        environment["PYTHONPATH"] = os.pathsep.join(kept)
    return environment


def _without_working_folder(paths: Sequence[str]) -> list[str]:
    here = os.path.realpath(os.curdir)
    return [path for path in paths if path and os.path.realpath(path) != here]


class _Pool:
    """Worker processes, the chunks that wait for them, and their results."""

    def __init__(
        self, work: bytes, chunks: Chunks, items: int, count: int, seconds: float | None = None
    ) -> None:
        self._count = count
        self.take_on(chunks, items, seconds)
        self._inbox: queue.SimpleQueue[tuple[_Child, Any]] = queue.SimpleQueue()
        self._start = pickle.dumps(
            {
                "parent": os.getpid(),
                "path": _without_working_folder(sys.path),
                "package": str(_PACKAGE),
                "work": work,
            }
        )
        self._children: list[_Child] = []
        self._worked = False  # whether any process was ever ready
        self._failed_starts = 0  # processes that ended before they were ready, since the last ready

    def take_on(self, chunks: Chunks, items: int, seconds: float | None) -> None:
        """Have these chunks done next."""
        self._chunks, self._items = chunks, items
        self._seconds = math.inf if seconds is None else seconds
        # items sent alone may be long: none waits in one process while another is free
        self._ahead = 2 if chunks.size > 1 else 1

    def is_idle(self) -> bool:
        """Return whether no process holds an item."""
        return not any(child.chunks for child in self._children)

    def stop(self) -> None:
        """End every process, after its current item if that is done in time."""
        for child in self._children:
            child.ask_to_stop()
        until = time.monotonic() + _PATIENCE
        for child in self._children:
            child.stop(max(0.0, until - time.monotonic()))
        self._children.clear()
        self._inbox = queue.SimpleQueue()  # what is in it is of processes that are gone

    def results(self) -> Iterator[tuple[int, Any]]:
        """Yield results as they arrive; after the time limit, a failure for each of the rest."""
        left = set(range(self._items))
        end = time.monotonic() + self._seconds
        while left and (rest := end - time.monotonic()) > 0:
            self._share_out()
            try:  # a time limit, as Windows leaves Ctrl-C waiting until then
                child, message = self._inbox.get(timeout=min(1, rest))
            except queue.Empty:
                continue
            for result in self._handle(child, message):
                left.discard(result[0])
                yield result
        for index in sorted(left):
            yield index, too_late(self._seconds)

    def _handle(self, child: _Child, message: Any) -> Iterator[tuple[int, Any]]:
        kind, value = message or ("gone", ())
        if kind == "results":
            for index, good, result in value:
                child.mark_done(index)
                yield index, result if good else failure_of(result)
        elif kind == "ready":
            child.ready = self._worked = True
            self._failed_starts = 0
        elif kind == "unusable" and not self._worked:
            raise _UnusableError(value)
        elif kind == "gone":
            yield from self._remove(child)

    def _share_out(self) -> None:
        """Give each process the chunks that it may hold; start processes while work is left."""
        for child in self._children:
            while child.ready and len(child.chunks) < self._ahead:
                chunk = self._chunks.next()
                if chunk is None:
                    break
                child.give(chunk)
        while len(self._children) < self._count and self._chunks.are_left():
            try:
                taken = {child.place for child in self._children}
                free = min(set(range(self._count)) - taken)
                self._children.append(_Child(self._start, self._inbox, free))
            except OSError as error:
                self._note_failed_start(error.strerror or str(error))
                break

    def _remove(self, child: _Child) -> Iterator[tuple[int, Failure]]:
        """Yield the failure of the item that ended a process; its other items are done again."""
        self._children.remove(child)
        reason = child.end()
        if not child.ready:
            self._note_failed_start(reason)
            return
        if child.chunks:
            guilty = self._chunks.put_back_apart(child.chunks.popleft())
            if guilty is not None:
                yield guilty, Failure(reason)
        for chunk in child.chunks:
            self._chunks.put_back(chunk)

    def _note_failed_start(self, reason: str) -> None:
        """Raise InputError where processes end again and again before they begin."""
        self._failed_starts += 1
        if self._failed_starts > 3:
            raise InputError(
                f"worker processes cannot start ({reason}); work in one process: `workers=1`."
            )
        time.sleep(0.1 * self._failed_starts)  # memory may be freed
