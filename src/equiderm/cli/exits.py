"""How a command ends: its exit status, and one sentence where it did not end well."""

from __future__ import annotations

import errno
import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from equiderm import __version__
from equiderm.cli.console import let_go, write_words
from equiderm.errors import InputError, as_flags, reason_of
from equiderm.files import cannot_write
from equiderm.format import visible

DONE, INCOMPLETE, UNUSABLE, CONDITION, UNFORESEEN, STOPPED, CLOSED = 0, 1, 2, 3, 70, 130, 141
STATUSES: dict[int, str] = {
    DONE: "done",
    INCOMPLETE: "done, but some images or rows could not be used; they are named",
    UNUSABLE: "nothing was done: the arguments or the input cannot be used",
    CONDITION: "`audit` or `compare` was done, and a `--fail-if` condition holds",
    UNFORESEEN: "an unexpected error; its traceback is in a file",
    STOPPED: "stopped by Ctrl-C",
    CLOSED: "the reader of the output stopped reading, as `head` does",
}
# Errors that a disk can raise at any moment: full, read-only, gone.
_PLACES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENODEV, errno.ENOTCONN)
_LONGEST_PATH = 4096
# What a user's results may depend on; `equiderm --version --verbose` prints them.
_PACKAGES = (
    "numpy", "pandas", "scipy", "scikit-learn", "opencv-python-headless", "pillow", "pyarrow",
    "matplotlib", "pydantic", "typer", "torch", "torchvision", "timm", "accelerate",
)  # fmt: skip


def guarded(command: Callable[..., Any], *, resumes: bool) -> Callable[..., Any]:
    """Return the command wrapped so that every ending has an exit status and one sentence.

    Args:
        command: The function for Typer to call.
        resumes: Whether the same command resumes where it was stopped.
    """

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        with Ending(resumes=resumes):
            try:
                return command(*arguments, **options)
            finally:
                let_go()

    return run


class Ending:
    """A ``with`` block that turns what is raised in it into an exit status and one sentence."""

    def __init__(self, *, resumes: bool = False) -> None:
        self._resumes = resumes

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None or isinstance(error, SystemExit | typer.Exit | typer.Abort):
            return
        raise SystemExit(end(error, resumes=self._resumes)) from error


def end(error: BaseException, *, resumes: bool = False) -> int:
    """Print an error on stderr, in one sentence, and return the exit status."""
    if isinstance(error, BrokenPipeError):
        _silence()
        return CLOSED
    if isinstance(error, InputError):
        _print_error(as_flags(str(error)))
        return UNUSABLE
    if isinstance(error, OSError) and (error.errno in _PLACES or _is_gone(error)):
        named = error.filename if isinstance(error.filename, str | bytes) else "the output"
        path = os.fsdecode(named)
        gone = f"{path}: is no longer there; see to its disk and run the command again."
        _print_error(gone if _is_gone(error) else cannot_write(Path(path), error))
        return UNUSABLE
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return end(InputError(f"{error.filename}: is longer than a name may be; shorten it."))
    if isinstance(error, KeyboardInterrupt):
        further = "resumes where it stopped" if resumes else "starts again"
        _print_error(f"stopped; the same command {further}.")
        return STOPPED
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        name = error.object if len(error.object) <= _LONGEST_PATH else "a file or folder"
        return end(InputError(f"{name}: its name is not UTF-8; rename it."))
    if _is_out_of_memory(error):
        _print_error("out of memory; give fewer --workers or fewer images at a time.")
        return UNFORESEEN
    if isinstance(error, OSError) and _found(Path.cwd) is None:
        return end(InputError("the folder that you work in is no longer there; change to another."))
    if isinstance(error, OSError) and _found(tempfile.gettempdir) is None:
        return end(
            InputError("no folder for temporary files can be written; set TMPDIR to one that can.")
        )
    named = type(error).__name__
    if (reason := visible(reason_of(error, most=300))) != named:
        named += f": {reason}"
    _print_error(
        f"an unexpected error ({named}); its traceback is in {write_traceback(error)}: please send "
        "it with a report."
    )
    return UNFORESEEN


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out: of an array, a process, or a library that is loaded."""
    no_memory = isinstance(error, OSError) and error.errno == errno.ENOMEM
    unloaded = isinstance(error, ImportError) and "failed to map segment" in str(error)
    return isinstance(error, MemoryError) or no_memory or unloaded


def _is_gone(error: OSError) -> bool:
    """Return whether a file went under way: inputs that were never there are named before."""
    return error.errno == errno.ENOENT and error.filename is not None


def _print_error(sentence: str) -> None:
    write_words(f"equiderm: {visible(sentence)}\n")


def _silence() -> None:
    """Redirect stdout to nowhere, so that Python's last flush does not report the closed pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def state_folder() -> Path:
    """Return the user's folder for tracebacks; it need not exist yet."""
    if sys.platform in ("win32", "darwin"):
        return Path(typer.get_app_dir("equiderm"))
    base = os.environ.get("XDG_STATE_HOME", "")
    return Path(base if base.startswith("/") else Path.home() / ".local" / "state") / "equiderm"


def _found(folder: Callable[[], Path | str]) -> Path | None:
    """Return the folder; None where a container has no home, or nothing that can be written to."""
    try:
        return Path(folder())
    except (OSError, RuntimeError):
        return None


def write_traceback(error: BaseException) -> Path | str:
    """Write versions, command line and traceback to a file of the user's; return its path."""
    text = "\n".join(
        [
            *describe_installation(),
            f"command: {' '.join(sys.argv)}",
            "",
            *traceback.format_exception(error),
        ]
    )
    for place in map(_found, (state_folder, tempfile.gettempdir)):
        if place is None:
            continue
        try:
            place.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=place, prefix="traceback-", suffix=".txt")
            os.close(handle)
            Path(name).write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue
        return Path(name)
    traceback.print_exception(error)
    return "the lines above"


def describe_installation() -> list[str]:
    """Return versions, platform and where files go, a line each; imports none of the packages."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    lines = [
        f"equiderm {__version__} in {Path(__file__).parents[1]}",
        f"Python {platform.python_version()} ({sys.executable})",
        f"{platform.platform()}, {os.cpu_count()} processors",
    ]
    for package in _PACKAGES:
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package} not installed")
    lines.append(f"tracebacks: {_found(state_folder) or _found(tempfile.gettempdir) or 'printed'}")
    lines.append(f"temporary files: {_found(tempfile.gettempdir) or 'no folder; set TMPDIR'}")
    return lines
