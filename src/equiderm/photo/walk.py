"""Which photographs a command line means: folders, files, patterns and tables."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from equiderm.errors import InputError
from equiderm.files import ID_COLUMNS, IMAGE_ENDINGS, read_table, table_ending

# Of the columns that name an image, those that name its file, before those that may not.
_FILE_COLUMNS = ("image", "path", "image_path", "file", "filename", "file_name", *ID_COLUMNS)
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"II*\x00", b"MM\x00*", b"BM", b"GIF8", b"P6", b"P5")


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return the image files that the arguments mean, each once, in a fixed order.

    A folder is walked: every file with an image's ending, and every other whose first bytes are an
    image's; hidden files are passed over. A CSV, TSV or Parquet table means the files in its
    ``image`` (or ``path``) column, relative to the table's folder or to the working folder. A
    pattern is expanded. A file that is missing or damaged is kept: it becomes a row with its error.

    Raises:
        InputError: A pattern or a folder that holds no image, a name that is neither file nor
            folder nor image, a table without the column.
    """
    found: dict[str, None] = {}
    for argument in paths:
        found.update(dict.fromkeys(_expand(os.fspath(argument))))
    if not found:
        raise InputError("no photograph was named; give a folder, files or a table.")
    return list(found)


def _expand(argument: str) -> Iterator[str]:
    path = Path(argument)
    if os.path.isdir(argument):  # noqa: PTH112 accepts every name
        files = list(_walk(argument))
        if not files:
            raise InputError(f"{printable(argument)}: holds no photograph; check the folder.")
        yield from files
    elif table_ending(path) is not None:
        yield from _from_table(path)
    elif os.path.lexists(argument) or path.suffix.lower() in IMAGE_ENDINGS:
        if glob.has_magic(argument) and not os.path.lexists(argument):
            yield from _expand_pattern(argument)
        else:
            yield argument
    elif glob.has_magic(argument):
        yield from _expand_pattern(argument)
    else:
        raise InputError(f"{printable(argument)}: no such file or folder; check the name.")


def _expand_pattern(pattern: str) -> Iterator[str]:
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    files = [match for match in matches if not os.path.isdir(match)]  # noqa: PTH112
    if not files:
        raise InputError(f"{printable(pattern)}: no file matches this pattern; check it.")
    yield from files


def _walk(folder: str) -> Iterator[str]:
    """Yield the images below a folder, sorted; a link to a folder is followed once."""
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        here = os.stat(place)  # noqa: PTH116
        if (here.st_dev, here.st_ino) in seen:
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            file = os.path.join(place, name)  # noqa: PTH118 a Path would drop a leading "./"
            if not name.startswith(".") and _is_image_name(file):
                yield file


def _is_image_name(file: str) -> bool:
    if os.path.splitext(file)[1].lower() in IMAGE_ENDINGS:  # noqa: PTH122
        return True
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):  # noqa: PTH116 a pipe would block when opened
            return False
        with open(file, "rb", buffering=0) as handle:  # noqa: PTH123
            head = handle.read(12)
    except (OSError, ValueError):
        return False
    return head.startswith(_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def _from_table(path: Path) -> Iterator[str]:
    frame = read_table(path)
    column = next((name for name in _FILE_COLUMNS if name in frame.columns), None)
    if column is None:
        names = ", ".join(map(str, frame.columns[:8]))
        raise InputError(f"{path}: has no column 'image' (it has {names}); rename the column.")
    empty = frame[column].isna()
    if bool(empty.any()):
        row = int(empty.to_numpy().argmax()) + 2
        raise InputError(f"{path}: line {row} has no image name; fill it in or drop the line.")
    if frame.empty:
        raise InputError(f"{path}: has no rows; a table of images is expected.")
    for name in frame[column].astype(str):
        beside = os.path.join(path.parent, name)  # noqa: PTH118
        yield name if os.path.lexists(name) and not os.path.lexists(beside) else beside


def printable(name: str) -> str:
    r"""Return a file name as valid text: bytes that are not UTF-8 become ``\xNN``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
