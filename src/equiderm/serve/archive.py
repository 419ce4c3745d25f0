"""The photographs of one upload: files, those of a folder, and those inside zip archives."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from equiderm.files import FOREIGN_ENDINGS, IMAGE_ENDINGS
from equiderm.format import counted
from equiderm.photo.walk import is_image_head
from equiderm.serve.guard import Limits

MOST_LISTED = 10_000  # members that an archive may list: its table is held in memory
MOST_RATIO = 100  # of a member's size to what it takes in the archive
SMALL = 1_000_000  # bytes; a member of less may be packed as closely as it likes
_HEAD = 132  # bytes that tell an image
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_LISTED = b"PK\x01\x02"
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


@dataclass
class Sent:
    """What was sent.

    Attributes:
        photographs: Name and bytes of each.
        refused: Name of each other file that was meant as a photograph, and why it is none.
        passed_over: Files of folders and archives that are no photographs.
        too_many: Photographs beyond the limit.
    """

    photographs: list[tuple[str, bytes]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    passed_over: int = 0
    too_many: int = 0

    @property
    def count(self) -> int:
        """Of what becomes a row: photographs and refusals."""
        return len(self.photographs) + len(self.refused)

    def notes(self) -> list[str]:
        """Return what was left out, in words."""
        notes: list[str] = []
        if self.passed_over:
            files = counted(self.passed_over, "file that is no photograph", "files that are none")
            notes.append(f"Passed over: {files}.")
        if self.too_many:
            notes.append(
                f"Left out: {counted(self.too_many, 'photograph')} beyond the first "
                f"{self.count}; measure a whole folder with: equiderm label FOLDER."
            )
        return notes


def unpack(
    files: Sequence[tuple[str, bytes]],
    folder: Sequence[tuple[str, bytes]] = (),
    *,
    limits: Limits,
) -> Sent:
    """Return the photographs among what was sent, within the limits of one upload.

    No file is written, and a member's path is only shown. Members are unpacked one by one, to no
    more than what they claim, and all together to no more than one upload may hold.

    Args:
        files: Name and bytes of each file that was meant: photographs, damaged or not, and
            archives.
        folder: Likewise of a folder, in which what is no photograph is passed over.
        limits: How many photographs, and of how many bytes each and together.
    """
    sent, room = Sent(), limits.request_bytes
    for name, blob in files:
        if not blob.startswith(_ZIP):
            _take(sent, name, blob, limits)
            continue
        try:
            room -= _unpack_one(sent, blob, limits, room)
        except _DAMAGE as error:
            sent.refused.append((name, f"the archive cannot be read ({error})"))
    for name, blob in folder:
        if _is_photograph(name, blob[:_HEAD]):
            _take(sent, name, blob, limits)
        elif not _is_hidden(name):
            sent.passed_over += 1
    return sent


def _take(sent: Sent, name: str, blob: bytes, limits: Limits) -> None:
    if sent.count < limits.files:
        sent.photographs.append((name, blob))
    else:
        sent.too_many += 1


def _unpack_one(sent: Sent, blob: bytes, limits: Limits, room: int) -> int:
    """Add an archive's photographs, and return how many bytes they take."""
    if blob.count(_LISTED) > MOST_LISTED:
        raise ValueError(f"it lists more than {MOST_LISTED:,} files")
    used = 0
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        for member in _photographs(sent, archive):
            if sent.count >= limits.files:
                sent.too_many += 1
                continue
            reason = _refusal(member, limits)
            if not reason and used + member.file_size > room:
                reason = f"is beyond the {limits.request_bytes / 1e6:.0f} MB of one upload"
            if not reason:
                try:
                    sent.photographs.append((member.filename, _content(archive, member)))
                    used += member.file_size
                except _DAMAGE:
                    reason = "is damaged in the archive"
            if reason:
                sent.refused.append((member.filename, reason))
    return used


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member's bytes, at most those that it claims: `ZipFile.read` unpacks up to 2 GB."""
    with archive.open(member) as stream:
        return stream.read(member.file_size + 1)


def _photographs(sent: Sent, archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    for member in archive.infolist():
        if member.is_dir() or _is_hidden(member.filename):
            continue
        if _has_ending(member.filename) or is_image_head(_head(archive, member)):
            yield member
        else:
            sent.passed_over += 1


def _head(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if not _is_readable(member):
        return b""
    try:
        with archive.open(member) as stream:
            return stream.read(_HEAD)
    except _DAMAGE:
        return b""


def _is_readable(member: zipfile.ZipInfo) -> bool:
    """Return whether a member is packed in the usual way: others may ask for any memory."""
    return member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def _refusal(member: zipfile.ZipInfo, limits: Limits) -> str:
    if member.flag_bits & 1:
        return "is encrypted; unpack the archive and send its photographs"
    if not _is_readable(member):
        return "is packed in an unusual way; unpack the archive and send its photographs"
    if member.file_size > limits.file_bytes:
        return f"is larger than {limits.file_bytes / 1e6:.0f} MB"
    if member.file_size > max(SMALL, MOST_RATIO * member.compress_size):
        return f"unpacks to more than {MOST_RATIO} times its size, as no photograph does"
    return ""


def _is_photograph(name: str, head: bytes) -> bool:
    return not _is_hidden(name) and (_has_ending(name) or is_image_head(head))


def _has_ending(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_ENDINGS | FOREIGN_ENDINGS


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any(part == "__MACOSX" or part.startswith(".") for part in parts if part != "..")
