"""The items of a run in chunks, and the failure that takes the place of a missing result."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_WINDOW = 4  # chunks per worker by which an ordered run may be ahead of the slowest


@dataclass(frozen=True)
class Failure:
    """What takes the place of a missing result.

    Attributes:
        reason: A phrase without the item's name.
        error: The exception that the function raised; None where its process died.
    """

    reason: str
    error: Exception | None = None


def failure_of(error: Exception) -> Failure:
    """Return the failure of an item whose function raised."""
    return Failure(str(error).strip().rstrip(".") or type(error).__name__, error)


def too_late(seconds: float) -> Failure:
    """Return the failure of an item that was not done within a run's time limit."""
    return Failure(f"was not done within {seconds:g} seconds")


class Chunks:
    """Items by position, a few at a time, and those that must be done again.

    Args:
        items: What to work on.
        workers: Number of workers.
        largest: Most items in a chunk.
    """

    def __init__(self, items: Sequence[Any], workers: int, largest: int) -> None:
        self._items = items
        self.size = max(1, min(largest, len(items) // (4 * workers)))
        self._window = _WINDOW * workers * self.size
        self._turn: int | None = None  # the item that an ordered run yields next
        self._next = 0  # the first item that no chunk holds yet
        self._again: deque[dict[int, Any]] = deque()
        self._suspected: set[int] = set()  # what a worker was at when it ended

    def are_left(self) -> bool:
        """Return whether items wait for a worker."""
        return bool(self._again) or self._next < len(self._items)

    def next(self) -> dict[int, Any] | None:
        """Return a chunk; None where none is left, or an ordered run is too far ahead."""
        if self._again:
            return self._again.popleft()
        begin = self._next
        too_far = self._turn is not None and begin >= self._turn + self._window
        if begin >= len(self._items) or too_far:
            return None
        self._next = min(begin + self.size, len(self._items))
        return {index: self._items[index] for index in range(begin, self._next)}

    def put_back(self, chunk: dict[int, Any]) -> None:
        """Queue a chunk again that no worker began."""
        self._again.append(chunk)

    def put_back_apart(self, chunk: dict[int, Any]) -> int | None:
        """Queue each item alone: any may have ended the worker, or none, as where memory ran out.

        Returns:
            The item that has now ended a second worker, alone, and is not queued again.
        """
        if len(chunk) == 1 and chunk.keys() <= self._suspected:
            return next(iter(chunk))
        self._suspected.update(chunk)
        self._again.extend({index: item} for index, item in chunk.items())
        return None

    def in_order(self, results: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Yield results in the items' order; `next` then stays close to the next of them."""
        held: dict[int, Any] = {}
        self._turn = 0
        for index, result in results:
            held[index] = result
            while self._turn in held:
                yield self._turn, held.pop(self._turn)
                self._turn += 1
