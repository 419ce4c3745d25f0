"""A progress bar for calls from Python: HTML in a notebook, one line in a terminal."""

from __future__ import annotations

import sys
import time
from typing import Any

from equiderm.format import duration

EVERY = 0.2  # seconds between two drawings


class ProgressBar:
    """A bar to give as ``progress=`` (to `equiderm.label`) or ``watch=`` (to `fit`).

    It needs no widgets: a notebook shows it as HTML, a terminal as a line on standard error.
    Elsewhere nothing is written.

    Args:
        what: What is counted, in the plural.

    Example:
        >>> bar = ProgressBar("photographs")
        >>> bar(3, 10)
        >>> bar
        ProgressBar(3 of 10 photographs)
    """

    def __init__(self, what: str = "images") -> None:
        self.what, self.done, self.total = what, 0, 0
        self._start: float | None = None
        self._drawn = 0.0
        self._display: Any = None

    def __call__(self, done: Any, total: int | None = None) -> None:
        """Show that ``done`` of ``total`` are done, or the step that `fit` reports."""
        self.done, self.total = (done.step, done.steps) if total is None else (done, total)
        now = time.monotonic()
        if self._start is None or self.done == 0:
            self._start, self._before = now, self.done
        if self.done >= self.total or now - self._drawn >= EVERY:
            self._drawn = now
            self._draw(self._text(now))

    def _text(self, now: float) -> str:
        text = f"{self.done:,} of {self.total:,} {self.what}"
        counted, spent = self.done - self._before, now - (self._start or now)
        if self.done >= self.total or counted <= 0 or spent < 1:
            return text
        return f"{text}, {duration((self.total - self.done) * spent / counted)} left"

    def _draw(self, text: str) -> None:
        shell = _notebook()
        if shell is not None:
            self._draw_html(text)
        elif sys.stderr is not None and sys.stderr.isatty():
            end = "\n" if self.done >= self.total else ""
            print(f"\r\x1b[K{text}", end=end, file=sys.stderr, flush=True)

    def _draw_html(self, text: str) -> None:
        from IPython.display import HTML, display  # pyright: ignore[reportMissingImports]

        shown = HTML(f'<progress value="{self.done}" max="{max(self.total, 1)}"></progress> {text}')
        if self._display is None:
            self._display = display(shown, display_id=True)
        else:
            self._display.update(shown)

    def __repr__(self) -> str:
        return f"ProgressBar({self.done:,} of {self.total:,} {self.what})"


def _notebook() -> Any:
    """Return IPython's shell where it has a kernel, as in a notebook; None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if shell is not None and getattr(shell, "kernel", None) is not None else None
