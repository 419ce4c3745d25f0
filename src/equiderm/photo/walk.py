"""The photographs that a command's arguments name: folders, files, patterns and tables."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from equiderm.errors import InputError
from equiderm.files import FOREIGN_ENDINGS, IMAGE_ENDINGS
from equiderm.photo.dicom import is_dicom
from equiderm.remote import files_below, join_url, url_of
from equiderm.tables import ID_COLUMNS, columns_by_name, is_table, read_table, table_ending

# Columns that name an image's file, before those that name an image and may not be a file's name.
_FILE_COLUMNS = ("image", "path", "image_path", "file", "filename", "file_name", *ID_COLUMNS)
AnyPaths: TypeAlias = "str | bytes | os.PathLike[str] | Iterable[str | os.PathLike[str]]"
_BRANDS = (
    b"ftypavif", b"ftypavis", b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1", b"ftypmsf1",
    b"JXL \r\n\x87\n", b"jP  \r\n\x87\n",
)  # fmt: skip
_SIGNATURES = (
    b"\xff\xd8\xff",
    b"\xff\x0a",
    b"\x89PNG",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00",
    b"MM\x00+",
    b"BM",
    b"GIF8",
    b"P6",
    b"P5",
)


def as_paths(paths: AnyPaths) -> list[str]:
    """Return paths as text: of one path, of several, or of an iterator, which is read once."""
    several = [paths] if isinstance(paths, str | bytes | os.PathLike) else paths
    return [os.fsdecode(path) for path in several]


def find_images(paths: AnyPaths) -> list[str]:
    """Return the image files that the arguments mean, in their order.

    A folder is walked (`walk`). A CSV, TSV or Parquet table means the files in its ``image`` (or
    ``path``) column, relative to the table's folder or to the working folder. A pattern is
    expanded. An image named in the arguments or in a table is listed as often as it is named; one
    from a folder or a pattern is listed once. A file that is missing or damaged is kept, and so is
    a folder inside another that cannot be opened: each becomes a row with its error.

    A URL works like a path, but photographs are recognised by their ending alone.

    Raises:
        InputError: A pattern or a folder that holds no image, a name that is neither file nor
            folder nor image, a table without the column.
    """
    images: list[str] = []
    seen: set[str] = set()
    for argument in as_paths(paths):
        found, named = _expand(argument)
        images += [image for image in found if named or image not in seen]
        seen.update(found)
    if not images:
        raise InputError("no photograph was named; give a folder, files or a table.")
    return images


def _expand(argument: str) -> tuple[list[str], bool]:
    """Return the files that an argument means, and whether it names each of them."""
    path = Path(argument)
    if url := url_of(argument):
        return _expand_url(url)
    if is_table(path):
        return list(_from_table(path)), True
    if os.path.isdir(argument):  # noqa: PTH112 accepts every name
        found = walk(argument)
        if not found.images:
            raise InputError(found.empty_because(argument))
        return [*found.images, *found.closed], False
    exists = os.path.lexists(argument)
    if glob.has_magic(argument) and not exists:
        return _expand_pattern(argument), False
    if exists or path.suffix.lower() in IMAGE_ENDINGS | FOREIGN_ENDINGS:
        return [argument], True
    raise InputError(f"{printable(argument)}: no such file or folder; check the name.")


def _expand_url(url: str) -> tuple[list[str], bool]:
    name = Path(url.partition("?")[0])  # a signed URL ends in its signature
    if table_ending(name) is not None:
        return list(_from_table(Path(url))), True
    endings = IMAGE_ENDINGS | FOREIGN_ENDINGS
    if "*" not in url and name.suffix.lower() in endings:
        return [url], True
    try:
        below = files_below(url)
    except OSError as error:
        raise InputError(f"{url}: cannot be listed ({error.strerror}); check the name.") from error
    images = [
        file for file in below if Path(file).suffix.lower() in endings and not _is_hidden(file)
    ]
    if not images:
        if is_table(Path(url)):
            return list(_from_table(Path(url))), True
        raise InputError(f"{url}: holds no photograph; check the name.")
    return images, False


def _is_hidden(url: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in Path(url).parts)


def _expand_pattern(pattern: str) -> list[str]:
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    files = [match for match in matches if not os.path.isdir(match)]  # noqa: PTH112
    if not files:
        raise InputError(f"{printable(pattern)}: no file matches this pattern; check it.")
    return files


@dataclass(frozen=True)
class Walk:
    """What a folder holds.

    Attributes:
        images: Files that are images by their ending or first bytes, of formats that cannot be
            read too, in a fixed order.
        closed: Folders that cannot be opened.
    """

    images: list[str]
    closed: list[str]

    def empty_because(self, folder: str) -> str:
        """Return the sentence that says why there is no image in ``folder``."""
        if self.closed:
            shut = printable(self.closed[0])
            return f"{shut}: cannot be opened; check its permissions."
        return f"{printable(folder)}: holds no photograph; check the folder."


def walk(folder: str | os.PathLike[str]) -> Walk:
    """Return the images below a folder, in a fixed order; every command uses this walk.

    An image is a file with an image's ending, or whose first bytes are an image's. Hidden files
    and folders are passed over; a link to a folder is followed once.
    """
    images: list[str] = []
    closed: list[str] = []
    seen: set[tuple[int, int]] = set()

    def note(error: OSError) -> None:
        closed.append(os.fsdecode(error.filename))

    for place, folders, files in os.walk(os.fspath(folder), followlinks=True, onerror=note):
        here = os.stat(place)  # noqa: PTH116
        if (here.st_dev, here.st_ino) in seen:
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name != "__MACOSX"
        )
        for name in sorted(files):
            file = os.path.join(place, name)  # noqa: PTH118 a Path would drop a leading "./"
            if not name.startswith(".") and _is_image_name(file):
                images.append(file)
    return Walk(images, closed)


def keep_out_of_image_folders(
    places: Iterable[str | os.PathLike[str] | None], arguments: Iterable[str], images: Iterable[str]
) -> None:
    """Raise InputError where something would be written among the photographs that are read.

    That is inside a folder that is walked, at any depth, or beside a file that is read.

    Args:
        places: Files and folders that will be written; None is passed over.
        arguments: The command's arguments: folders, and patterns with ``**``, are walked.
        images: The files that are read.
    """
    places, images = [place for place in places if place is not None], list(images)
    _keep_out_of_urls(filter(None, map(url_of, places)), arguments, images)
    wanted = [os.path.realpath(place) for place in places if url_of(place) is None]
    if not wanted:
        return
    images = [image for image in images if url_of(image) is None]
    beside = {os.path.realpath(name) for name in {os.path.dirname(image) for image in images}}  # noqa: PTH120
    walked = {os.path.realpath(root) for root in map(_walked_root, arguments) if root is not None}
    for place in wanted:
        above = {str(parent) for parent in Path(place).parents} | {place}
        inside = next(iter(sorted(walked & above)), None)
        if inside is None and (near := {place, os.path.dirname(place)} & beside):  # noqa: PTH120
            inside = min(near)
        if inside is not None:
            raise InputError(
                f"{printable(place)}: lies in {printable(inside)}, a folder of the images that are "
                "read, and nothing is written into those; choose a place outside it."
            )


def _keep_out_of_urls(places: Iterable[str], arguments: Iterable[str], images: list[str]) -> None:
    beside = {image.rpartition("/")[0] for image in images if url_of(image)}
    walked = [url.rstrip("/") + "/" for url in map(url_of, arguments) if url and "*" not in url]
    for place in places:
        near = {place, place.rpartition("/")[0]}
        if near & beside or any(f"{place}/".startswith(root) for root in walked):
            raise InputError(
                f"{place}: lies among the images that are read, and nothing is written there; "
                "choose a place outside it."
            )


def _walked_root(argument: str) -> str | None:
    if os.path.isdir(argument):  # noqa: PTH112
        return argument
    fixed = argument.partition("**")[0]
    if fixed == argument or os.path.lexists(argument):
        return None
    while glob.has_magic(fixed):
        fixed = os.path.dirname(fixed)  # noqa: PTH120
    return fixed or os.curdir


def _is_image_name(file: str) -> bool:
    if os.path.splitext(file)[1].lower() in IMAGE_ENDINGS | FOREIGN_ENDINGS:  # noqa: PTH122
        return True
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):  # noqa: PTH116 a pipe would block when opened
            return False
        with open(file, "rb", buffering=0) as handle:  # noqa: PTH123
            head = handle.read(132)
    except (OSError, ValueError):
        return False
    return is_image_head(head)


def is_image_head(head: bytes) -> bool:
    """Return whether a file's first 132 bytes are those of an image."""
    inside = (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or head[4:12] in _BRANDS
    return head.startswith(_SIGNATURES) or inside or is_dicom(head)


def _from_table(path: Path) -> Iterator[str]:
    frame = read_table(path)
    there = columns_by_name(frame)
    column = next((there[name] for name in _FILE_COLUMNS if name in there), None)
    if column is None:
        names = ", ".join(map(str, frame.columns[:8]))
        raise InputError(f"{path}: has no column 'image' (it has {names}); rename the column.")
    empty = frame[column].isna()
    if bool(empty.any()):
        row = int(empty.to_numpy().argmax()) + 2
        raise InputError(f"{path}: line {row} has no image name; fill it in or drop the line.")
    if frame.empty:
        raise InputError(f"{path}: has no rows; a table of images is expected.")
    root = url_of(path)
    for name in frame[column].astype(str):
        if named := url_of(name.strip()):
            yield named
            continue
        if root is not None:
            yield join_url(root, name)
            continue
        beside = os.path.join(path.parent, name)  # noqa: PTH118
        plain = name.strip().replace("\\", "/")  # as Windows or a spreadsheet wrote it
        other = os.path.join(path.parent, plain)  # noqa: PTH118
        places = (place for place in (beside, name, other, plain) if os.path.lexists(place))
        yield next(places, beside)


def printable(name: str) -> str:
    r"""Return a file name as valid text: bytes that are not UTF-8 become ``\xNN``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
