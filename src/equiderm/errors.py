"""The exception for what a user can correct: input, or an extra that is not installed."""

import os
import re
import shlex
from pathlib import Path

from equiderm.remote import name_of

LONGEST = 1_000  # characters of a message
_OPTION = re.compile(r"`(\w+)=([^`]*)`")


class InputError(ValueError):
    """Input that cannot be used; its message is one sentence: what is wrong, where, what to do.

    The command line prints the message and exits with status 2; from Python it is a ``ValueError``.
    A keyword argument in backticks, such as `logits=True`, is printed there as its flag
    (`as_flags`). A path in front that is a URL is printed as one, though `Path` takes a slash from
    it; a message that quotes a huge value is shortened in its middle.
    """

    def __init__(self, message: object = "") -> None:
        text = name_of(str(message))
        if len(text) > LONGEST:
            text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
        super().__init__(text)


class Diverged(InputError):
    """A training run whose losses, weights or scores have become NaN or infinite.

    That is a result of its settings; other runs of a comparison continue.
    """


class NoneReadable(InputError):
    """Images of which none can be read.

    Attributes:
        images: ``image_id``, ``path`` and ``error`` of each, where they are known.
    """

    images: tuple[dict[str, str], ...] = ()


class InUse(InputError):
    """Something that another process is writing."""


class AnotherRun(InputError):
    """A folder that holds a training run of other settings or rows."""


def as_flags(text: str) -> str:
    """Return a message with the keyword arguments in backticks spelled as command-line flags.

    Example:
        >>> as_flags('say so with `missing="-1"` or `logits=True`.')
        'say so with --missing -1 or --logits.'
    """

    def flag(match: re.Match[str]) -> str:
        name, value = f"--{match[1].replace('_', '-')}", match[2].strip("\"'")
        return name if match[2] == "True" else f"{name} {shlex.quote(value)}"

    return _OPTION.sub(flag, text)


def reason_of(error: BaseException, *, line: int = 0, most: int = 160) -> str:
    """Return one line of a library's error, cut between words and without its full stop.

    It goes into the brackets of our own message. An error without text gives the name of its class.

    Args:
        error: Any exception.
        line: Which of its non-blank lines: 0 for the first, -1 for the last.
        most: Characters to keep at most.

    Example:
        >>> reason_of(OSError("The file is damaged."))
        'The file is damaged'
    """
    lines = [text for text in str(error).splitlines() if text.strip(". ")]
    if not lines:
        return type(error).__name__
    text = " ".join(lines[line].split()).rstrip(". ")
    if len(text) > most:
        text = f"{text[:most].rpartition(' ')[0] or text[:most]} ..."
    return text


def require_training() -> None:
    """Raise InputError unless the packages of the extra ``train`` are installed."""
    from importlib.util import find_spec

    needed = ("torch", "torchvision", "timm", "accelerate", "safetensors", "tomli_w", "filelock")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise InputError(f"{missing[0]} is not installed; run: pip install 'equiderm[train]'")
    Path.cwd()  # raises in a working folder that was deleted, where MKL ends the process
    _name_user()


def _name_user() -> None:
    """Name the user of a container who has a number alone; torch asks when it is imported."""
    import getpass

    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = "nobody"
