"""What is taken from folders and zip archives: photographs, within limits, and nothing else."""

import io
import struct
import tracemalloc
import zipfile
from dataclasses import replace

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")

from equiderm.serve.archive import MOST_LISTED, MOST_RATIO, unpack
from equiderm.serve.guard import Limits

LIMITS = Limits(files=5, file_bytes=3_000_000, request_bytes=4_000_000)
JPEG = b"\xff\xd8\xff" + bytes(range(256)) * 4


def zipped(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, blob in members:
            archive.writestr(name, blob)
    return buffer.getvalue()


def sent(members, **limits):
    return unpack([("p.zip", zipped(members))], limits=replace(LIMITS, **limits))


def test_photographs_of_an_archive_are_taken_by_ending_or_first_bytes_and_all_else_is_counted():
    got = sent([("a/b.jpg", b"x"), ("no_ending", JPEG), ("notes.txt", b"text"),
                ("a/.hidden.jpg", JPEG), ("__MACOSX/a/b.jpg", b"x"), ("a/", b"")])  # fmt: skip
    assert got.photographs == [("a/b.jpg", b"x"), ("no_ending", JPEG)]
    assert got.refused == []
    assert got.notes() == ["Passed over: 1 file that is no photograph."]


def test_a_member_with_a_path_outside_is_only_a_name_and_no_file_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sent([("../../x.jpg", JPEG)]).photographs == [("../../x.jpg", JPEG)]
    assert not list(tmp_path.parent.glob("x.jpg"))
    assert not list(tmp_path.iterdir())


def test_a_bomb_is_refused_and_the_others_are_taken():
    got = sent([("bomb.png", bytes(2_000_000)), ("a.jpg", JPEG)])
    assert [name for name, _ in got.photographs] == ["a.jpg"]
    assert f"more than {MOST_RATIO} times its size" in dict(got.refused)["bomb.png"]


def test_a_member_that_is_larger_than_it_claims_is_unpacked_no_further_than_that():
    blob = bytearray(zipped([("a.jpg", bytes(50_000_000)), ("b.jpg", JPEG)]))
    size = struct.pack("<L", 50_000_000)
    while (place := blob.find(size)) >= 0:
        blob[place : place + 4] = struct.pack("<L", 1_000)
    sent = bytes(blob)
    tracemalloc.start()
    got = unpack([("p.zip", sent)], limits=LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [name for name, _ in got.photographs] == ["b.jpg"]
    assert got.refused == [("a.jpg", "is damaged in the archive")]
    assert peak < 5_000_000


@pytest.mark.parametrize(
    ("reason", "change"),
    [("encrypted", lambda blob: blob.replace(b"PK\x01\x02\x14\x03\x14\x00\x00",
                                             b"PK\x01\x02\x14\x03\x14\x00\x01")),
     ("damaged", lambda blob: blob.replace(JPEG[:40], bytes(40), 1)),
     ("damaged", lambda blob: blob.replace(b"PK\x03\x04", b"PK\x03\x05", 2)
                                  .replace(b"PK\x03\x05", b"PK\x03\x04", 1))],
)  # fmt: skip
def test_a_member_that_cannot_be_read_is_named_and_the_others_are_taken(reason, change):
    blob = change(zipped([("a.jpg", b"1" + JPEG), ("b.jpg", b"2" + JPEG)], zipfile.ZIP_STORED))
    got = unpack([("p.zip", blob), ("c.jpg", JPEG)], limits=LIMITS)
    assert got.refused
    assert reason in got.refused[0][1]
    assert ("c.jpg", JPEG) in got.photographs


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_may_ask_for_any_memory_is_not_unpacked(method):
    got = unpack([("p.zip", zipped([("a.jpg", JPEG)], method))], limits=LIMITS)
    assert got.photographs == []
    assert "in an unusual way" in got.refused[0][1]


def test_all_members_together_are_no_more_than_an_upload_may_hold():
    noise = [(f"{n}.jpg", bytes(range(256)) * 4_000) for n in range(5)]
    blob = zipped(noise, zipfile.ZIP_STORED)
    got = unpack([("p.zip", blob), ("q.zip", blob)], limits=replace(LIMITS, files=20))
    assert sum(len(one) for _, one in got.photographs) <= LIMITS.request_bytes
    assert len(got.photographs) + len(got.refused) == 10


def test_photographs_beyond_the_limit_are_counted():
    got = sent([(f"{n}.jpg", JPEG) for n in range(8)])
    assert (len(got.photographs), got.too_many) == (5, 3)
    assert "3 photographs beyond the first 5" in got.notes()[0]


@pytest.mark.parametrize(
    "blob", [b"PK\x03\x04", b"PK\x05\x06" + b"\xff" * 40, b"PK\x03\x04" + b"PK\x01\x02" * 20_000]
)
def test_an_archive_that_cannot_be_read_is_one_row(blob):
    got = unpack([("p.zip", blob), ("a.jpg", JPEG)], limits=LIMITS)
    assert [name for name, _ in got.refused] == ["p.zip"]
    assert got.refused[0][1].startswith("the archive cannot be read")
    assert got.photographs == [("a.jpg", JPEG)]


def test_an_archive_that_lists_too_many_files_is_not_opened():
    got = unpack([("p.zip", zipped([(f"{n}.jpg", b"") for n in range(MOST_LISTED + 1)]))],
                 limits=LIMITS)  # fmt: skip
    assert "lists more than 10,000 files" in got.refused[0][1]


def test_of_a_folder_what_is_no_photograph_is_passed_over_and_a_damaged_one_is_kept():
    folder = [("f/a.jpg", b"broken"), ("f/t.csv", b"1,2"), ("f/.DS_Store", b"x"), ("f/b", JPEG)]
    got = unpack([], folder, limits=LIMITS)
    assert [name for name, _ in got.photographs] == ["f/a.jpg", "f/b"]
    assert got.passed_over == 1
