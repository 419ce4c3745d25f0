"""What commands print, and the options that they share: one way for all of them.

Results go to stdout; progress, notes and warnings go to stderr. Nothing here is a library function:
what a command does takes frames or paths and returns a result, which the command then prints.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import shutil
import stat
import sys
import threading
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from equiderm.errors import InputError
from equiderm.files import STANDARD, is_stream, only_one
from equiderm.format import (
    MISSING,
    count,
    data_size,
    duration,
    is_known,
    json_text,
    number,
    visible,
)

if TYPE_CHECKING:
    import pandas as pd

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress, notes or summary; errors are printed.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes.", show_default="all processors")
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="local|ray",
        help="Work in processes here, or on the Ray cluster that this machine belongs to "
        "(extra ray); --workers is then the most tasks at once.",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace an output made with other settings."),
]
TABLE_HELP = (
    "The table to write: .parquet, .csv or .tsv; a name without an ending is a folder of Parquet "
    "files; - writes CSV to standard output."
)
Output = Annotated[Path, typer.Option("--output", "-o", metavar="TABLE", help=TABLE_HELP)]
OptionalOutput = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="TABLE", help=TABLE_HELP)
]

HELD = "What the table holds"  # the panel of options that name columns
Target = Annotated[
    str,
    typer.Option(
        help="Column of 0 and 1, or of class names with --positive.", rich_help_panel=HELD
    ),
]
Positive = Annotated[
    list[str] | None,
    typer.Option(
        help="Classes that count as positive, repeated or separated by commas.",
        rich_help_panel=HELD,
    ),
]
NoPatient = Annotated[
    bool,
    typer.Option(
        "--no-patient", help="Take images as independent of each other.", rich_help_panel=HELD
    ),
]
REPORTS = (".html", ".md", ".json")

PATIENCE = 2.0  # seconds of work that need no progress bar
_NUMBER = re.compile(r"[-+]?[\d∞]|[<>] ?\d|–")


_held = contextlib.ExitStack()  # the outputs of the command that runs
STDOUT = (STANDARD, *map(Path, ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")))


def keep_apart(outputs: Iterable[Path | None], inputs: Iterable[str | Path | None]) -> None:
    """Raise InputError where two outputs are one file, or an output is a file that is read."""
    files = [path for path in outputs if path and not is_stream(path)]
    read = {os.path.realpath(path) for path in inputs if path}
    for earlier, path in enumerate(files):
        place = os.path.realpath(path)
        if place in read:
            raise InputError(f"{path}: is read, and would be replaced; name another output.")
        if place in map(os.path.realpath, files[:earlier]):
            raise InputError(f"{path}: is named for two outputs; give each its own name.")


class Console:
    """The output of one run of a command.

    Args:
        quiet: Print results that were asked for and errors, nothing else.
        as_json: Stdout holds one JSON document: no tables, no sentences.
        output: The table that the command writes; where it is ``-`` or a device that stands for
            stdout, it has stdout to itself and every sentence goes to stderr.

    Raises:
        InputError: JSON and a table are both to go to stdout, or one of them and it is closed.
    """

    def __init__(
        self, *, quiet: bool = False, as_json: bool = False, output: Path | None = None
    ) -> None:
        on_stdout = output is not None and output in STDOUT
        if as_json and on_stdout:
            raise InputError("--json and -o - both write to standard output; name a file for one.")
        if (as_json or on_stdout) and sys.__stdout__ is None:
            raise InputError("standard output is closed; redirect it to a file, such as > result.")
        self.quiet, self.as_json = quiet, as_json
        self._words_to_stderr = on_stdout

    def hold(self, *outputs: Path | None, inputs: Iterable[str | Path | None] = ()) -> None:
        """Keep every other run from writing these files, until the command ends.

        Args:
            *outputs: What the command will write.
            inputs: What it reads and must not replace by something else.

        Raises:
            InUse: Another run is writing one of them.
            InputError: Two of them are one file, one is an input, or its folder cannot be made or
                written.
        """
        keep_apart(outputs, inputs)
        for path in filter(None, outputs):
            _held.enter_context(only_one(path))

    def say(self, text: str = "") -> None:
        """Print a part of the summary."""
        if not (self.quiet or self.as_json):
            _write(_safe_lines(text), self._summary)

    def table(
        self, rows: pd.DataFrame | Sequence[Mapping[str, object]], *, title: str = ""
    ) -> None:
        """Print a table as a part of the summary; numbers are aligned, missing cells are dashes."""
        if not (self.quiet or self.as_json):
            _write(render_table(rows, self._summary, title=title), self._summary)

    def json(self, content: Any) -> None:
        """Print the result, where ``--json`` asks for it."""
        if self.as_json:
            self.print(json_text(content))

    def print(self, text: str) -> None:
        """Print on stdout what was asked for, quiet or not."""
        _write(text, sys.stdout)

    def note(self, text: str) -> None:
        """Print on stderr what the user should know and need not act on."""
        if not self.quiet:
            _write(_safe_lines(text), sys.stderr)

    def warn(self, text: str) -> None:
        """Print on stderr, in one line, what went wrong with a part of the input."""
        _write(f"{visible(f'equiderm: {text}')}\n", sys.stderr)

    def warn_each(self, problems: Iterable[str], *, most: int = 10, rest: str = "") -> None:
        """Print the first problems on stderr, and how many more there are.

        Args:
            problems: A sentence each.
            most: How many to print.
            rest: Where all of them are listed.
        """
        every = list(problems)
        for problem in every[:most]:
            self.warn(problem)
        if len(every) > most:
            self.warn(f"and {len(every) - most:,} more" + (f"; {rest}" if rest else "."))

    def progress(self, title: str, unit: str = "images") -> Bar:
        """Return a progress bar for a ``with`` block; it is called with done and total.

        Args:
            title: What is being done, such as ``labelling``.
            unit: What is counted; ``bytes`` are written as sizes; empty where it changes.
        """
        return Bar(title, unit, shown=not self.quiet and sys.stderr.isatty())

    @contextlib.contextmanager
    def step(self, sentence: str) -> Generator[None]:
        """Print a sentence before a step of longer work, and after it how long it took."""
        self.say(f"{sentence} ...")
        start = time.monotonic()
        yield
        self.say(f"   took {duration(time.monotonic() - start)}")

    @property
    def _summary(self) -> TextIO:
        return sys.stderr if self._words_to_stderr else sys.stdout


def open_streams() -> None:
    """Connect the standard streams that this process was started without, as by ``>&-``.

    They lead nowhere. Without that the first file that is opened would take their number, and get
    what libraries print.
    """
    for place, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(place)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number
        if getattr(sys, name) is None:
            setattr(sys, name, open(place, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def let_go() -> None:
    """Let other runs write what `Console.hold` held."""
    _held.close()


def check_endings(outputs: list[Path] | None) -> list[Path]:
    """Return the reports to write; raise InputError for one of another ending."""
    for path in outputs or []:
        if path.suffix.lower() not in REPORTS:
            raise InputError(f"{path}: a report ends in one of {', '.join(REPORTS)}; rename it.")
    return outputs or []


def reports_of(result: Any, outputs: list[Path]) -> list[tuple[Path, str]]:
    """Return the text of every report."""
    texts = {".html": result.to_html, ".md": result.to_markdown, ".json": result.to_json}
    return [(path, texts[path.suffix.lower()]()) for path in outputs]


def split_commas(values: list[str] | None) -> tuple[str, ...]:
    """Return the parts of options that are repeated or separated by commas."""
    return tuple(part.strip() for text in values or [] for part in text.split(",") if part.strip())


class Bar:
    """A progress bar with time left, on stderr, once the work has taken `PATIENCE` seconds.

    Call it with the number done and, where known, the total; from any thread.
    """

    def __init__(self, title: str, unit: str, *, shown: bool) -> None:
        self._title, self._unit, self._shown = title, unit, shown
        self._lock = threading.Lock()
        self._state: tuple[int, int | None, str] = (0, None, "")
        self._bar: Any = None
        self._timer: threading.Timer | None = None
        self._first: tuple[int, float] | None = None  # what an earlier run had done, and when

    def __enter__(self) -> Bar:
        if self._shown:
            self._timer = threading.Timer(PATIENCE, self._start)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._shown = False
            if self._bar is not None:
                with contextlib.suppress(OSError):  # the terminal may be gone
                    self._bar.stop()

    def __call__(self, done: int, total: int | None = None, text: str = "") -> None:
        """Show the number done, the total, and a few words such as the last loss."""
        with self._lock:
            self._first = self._first or (done, time.monotonic())
            self._state = (done, total if total is not None else self._state[1], text)
            if self._bar is not None:
                self._bar.update(self._task, **self._fields())

    def _start(self) -> None:
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        with self._lock:
            if not self._shown:
                return
            self._bar = Progress(
                TextColumn(self._title, markup=False, table_column=Column(no_wrap=True)),
                BarColumn(bar_width=24),
                TextColumn(
                    "{task.fields[amount]}", markup=False, table_column=Column(no_wrap=True)
                ),
                TimeRemainingColumn(elapsed_when_finished=True),
                TextColumn("{task.fields[words]}", markup=False, table_column=Column(no_wrap=True)),
                console=Terminal(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", **self._fields())
            self._bar.start()

    def _fields(self) -> dict[str, Any]:
        done, total, words = self._state
        write = data_size if self._unit == "bytes" else count
        of = "" if total is None else f" of {write(total)}"
        unit = "" if self._unit in ("bytes", "") else f" {self._unit}"
        amount = f"{write(done)}{of}{unit}" if done or total else ""
        first, since = self._first or (0, time.monotonic())
        rate = (done - first) / max(time.monotonic() - since, 0.5)
        if rate >= 1:
            amount += f", {write(rate)} per second"
        return {"completed": done, "total": total, "amount": amount, "words": visible(words)}


def render_table(
    rows: pd.DataFrame | Sequence[Mapping[str, object]], stream: TextIO, *, title: str = ""
) -> str:
    """Return a table as text: as wide as the terminal, or as its cells where there is none."""
    from rich.console import Console as Terminal
    from rich.table import Table
    from rich.text import Text

    columns, lines = _cells(rows)
    terminal = stream.isatty()
    narrow = terminal or "COLUMNS" in os.environ
    width = shutil.get_terminal_size().columns if narrow else 100_000
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for k, name in enumerate(columns):
        of_numbers = all(_NUMBER.match(line[k]) for line in lines)
        table.add_column(
            Text(name), justify="right" if of_numbers and lines else "left", overflow="fold"
        )
    for line in lines:
        table.add_row(*map(Text, line))
    text = io.StringIO()
    Terminal(file=text, force_terminal=terminal, width=width, legacy_windows=False).print(table)
    body = "\n".join(line.rstrip() for line in text.getvalue().splitlines())
    return f"{visible(title)}\n\n{body}\n" if title else f"{body}\n"


def _cells(
    rows: pd.DataFrame | Sequence[Mapping[str, object]],
) -> tuple[list[str], list[list[str]]]:
    if isinstance(rows, Sequence):
        names = list(dict.fromkeys(name for row in rows for name in row))
        values = [[row.get(name) for name in names] for row in rows]
    else:
        names, values = list(rows.columns), rows.astype(object).to_numpy().tolist()
    return [visible(name).strip() for name in names], [
        [_cell(value) for value in row] for row in values
    ]


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return visible(value)
    if hasattr(value, "item"):
        value = value.item()  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return number(value)
    return visible(value) if is_known(value) else MISSING


def _safe_lines(text: str) -> str:
    return "".join(f"{visible(line)}\n" for line in text.split("\n"))


def write_words(text: str) -> None:
    """Write on stderr, where somebody may read it: work does not end because nobody can."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _write(text: str, stream: TextIO) -> None:
    """Write and flush, so that lines on stdout and stderr keep their order."""
    if stream is sys.stderr:
        write_words(text)
        return
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno == errno.EIO and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):
            return  # the terminal is gone, and the work goes on
        reason = error.strerror or error
        raise InputError(f"standard output: cannot be written ({reason}); redirect it.") from error
