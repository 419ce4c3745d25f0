"""The script of a worker process: it reads work from its parent's pipe and ends with its parent.

Only `equiderm.engine` runs it. It imports nothing from the package until the parent has sent the
folders from which modules may be imported.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle

import contextlib
import importlib.util
import os
import pickle
import queue
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

LENGTH = struct.Struct(">Q")
PATIENCE = 0.05  # s; results are sent together, unless the first has waited longer


def send(pipe: BinaryIO, blob: bytes) -> None:
    """Write one message: its length, then its bytes."""
    pipe.write(LENGTH.pack(len(blob)))
    pipe.write(blob)
    pipe.flush()


def receive(pipe: BinaryIO) -> bytes | None:
    """Return the next message, or None where the other side has closed the pipe or died."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    blob = pipe.read(length)
    return blob if len(blob) == length else None


def attempt(function: Callable[[Any, Any], Any], item: Any, shared: Any) -> tuple[bool, Any]:
    """Return True and the result, or False and the exception, with its traceback as a note."""
    try:
        return True, function(item, shared)
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        error.__context__ = error.__cause__ = None  # they would keep the item's memory alive
        return False, error.with_traceback(None)


class _Inbox(threading.Thread):
    """Reads the parent's messages, so that its end is noticed in the middle of an item.

    An empty message asks to end after the current item; a closed pipe means that the parent died.
    """

    def __init__(self, tasks: BinaryIO) -> None:
        super().__init__(daemon=True)
        self._tasks = tasks
        self._waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.enough = threading.Event()

    def run(self) -> None:
        while (message := receive(self._tasks)) is not None:
            if not message:
                self.enough.set()
            self._waiting.put(message)
        os._exit(0)

    def next_chunk(self) -> list[tuple[int, Any]] | None:
        """Wait for a chunk; None when there will be no more."""
        message = self._waiting.get()
        return None if self.enough.is_set() else pickle.loads(message)


def main() -> None:
    """Serve the parent until it closes its pipe."""
    tasks, results = _take_pipes()
    start = pickle.loads(receive(tasks) or b"")
    _end_with(start["parent"])
    sys.path[:] = start["path"]
    inbox = _Inbox(tasks)
    try:
        _load_package(start["package"])
        function, shared = pickle.loads(start["work"])
        limit_threads()
    except Exception as error:
        send(results, pickle.dumps(("unusable", f"{type(error).__name__}: {error}")))
        return
    inbox.start()
    send(results, pickle.dumps(("ready", None)))
    while (chunk := inbox.next_chunk()) is not None:
        try:
            _do(chunk, function, shared, results, inbox)
        except BrokenPipeError:  # the parent died while it was sent to
            break
    os._exit(0)  # an orderly exit would wait for the thread that reads


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the parent's pipes, and keep what libraries print and read out of them."""
    tasks, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # the parent has no standard error
        os.dup2(nothing, 1)
    return tasks, results


def _end_with(parent: int) -> None:
    """Have the kernel end this process with its parent, on Linux; elsewhere the pipe does."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _load_package(folder: str) -> None:
    """Load the parent's own copy of the package, wherever it is."""
    init = Path(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location(
        "equiderm", init, submodule_search_locations=[folder]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["equiderm"] = module
    spec.loader.exec_module(module)


def limit_threads(count: int = 1) -> None:
    """Give each library that is loaded so many threads.

    One, as every core has a process of its own already; those loaded later read that from the
    environment. More are for a process that works alone.
    """
    import threadpoolctl

    threadpoolctl.threadpool_limits(count)
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(count)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)


def _do(
    chunk: list[tuple[int, Any]],
    function: Callable[[Any, Any], Any],
    shared: Any,
    results: BinaryIO,
    inbox: _Inbox,
) -> None:
    ready: list[tuple[int, bool, Any]] = []
    since = time.monotonic()
    for place, (index, item) in enumerate(chunk, 1):
        if inbox.enough.is_set():
            return
        ready.append((index, *attempt(function, item, shared)))
        if place == len(chunk) or time.monotonic() - since > PATIENCE:
            send(results, coded(ready))
            ready, since = [], time.monotonic()


def coded(ready: list[tuple[int, bool, Any]]) -> bytes:
    """Return results as bytes; a result that cannot be sent becomes the reason why."""
    try:
        blob = pickle.dumps(("results", ready), pickle.HIGHEST_PROTOCOL)
        if not all(good for _, good, _ in ready):
            pickle.loads(blob)  # some exceptions can be written but not read back
        return blob
    except Exception:
        return pickle.dumps(("results", [_sendable(*result) for result in ready]))


def _sendable(index: int, good: bool, value: Any) -> tuple[int, bool, Any]:
    try:
        pickle.loads(pickle.dumps(value))
    except Exception as error:
        reason = f"{type(value).__name__}: {value}" if not good else f"result not sendable: {error}"
        return index, False, RuntimeError(reason)
    return index, good, value


if __name__ == "__main__":
    main()
