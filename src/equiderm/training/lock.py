"""One process a folder: a lock that ends with whoever holds it, however it ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

from equiderm.errors import InputError


@contextlib.contextmanager
def locked(out: Path) -> Generator[None]:
    """Hold the folder of a run; of several processes that share a run, the first holds it.

    Raises:
        InputError: Another run holds it, or the folder cannot be made.
    """
    from filelock import FileLock, Timeout

    if int(os.environ.get("RANK", "0")):
        yield
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".lock", timeout=0):
            try:
                yield
            finally:  # while it is held: nobody can have opened the file and wait for it
                with contextlib.suppress(OSError):
                    (out / ".lock").unlink()
    except Timeout as error:
        raise InputError(
            f"{out}: another process trains in this folder; wait for it, or choose another folder."
        ) from error
    except FileExistsError as error:
        raise InputError(f"{out}: is a file; choose a folder.") from error
    finally:
        with contextlib.suppress(OSError):
            out.rmdir()  # where nothing was written
