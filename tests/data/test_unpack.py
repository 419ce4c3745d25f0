"""Archives that try to leave the folder, fill the disk or are damaged."""

import contextlib
import io
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equiderm.data import unpack
from equiderm.data.unpack import unpack_zip
from equiderm.errors import InputError


def archive(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def refuse(tmp_path: Path, path: Path, message: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(InputError, match=message):
        unpack_zip(path, inside / "out")
    assert not list(inside.iterdir()), "nothing was to be unpacked"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil", "leads out of the folder"),
        ("a/../../evil", "leads out of the folder"),
        ("/etc/evil", "leads out of the folder"),
        ("a\\..\\..\\evil", "has an entry named"),
        ("C:/evil", "has an entry named"),
    ],
)
def test_a_name_that_leads_out_is_refused(tmp_path, name, message):
    info = zipfile.ZipInfo("x")
    info.filename = name
    refuse(tmp_path, archive(tmp_path / "a.zip", ("fine", b"1"), (info, b"2")), message)


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK]
)
def test_a_link_or_special_file_is_refused(tmp_path, kind):
    path = archive(tmp_path / "a.zip", (entry("link", kind | 0o777), b"/etc/passwd"))
    refuse(tmp_path, path, "is a link or a special file")


def test_a_plain_file_with_a_mode_is_unpacked(tmp_path):
    path = archive(tmp_path / "a.zip", (entry("a", stat.S_IFREG | 0o644), b"1"))
    assert unpack_zip(path, tmp_path / "out") == 1


def test_two_entries_of_one_name_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(tmp_path / "a.zip", ("a", b"1"), ("a", b"2"))
    refuse(tmp_path, path, "has 'a' twice")


def test_a_bomb_is_refused_by_what_it_announces(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_SLACK", 1000)
    path = archive(tmp_path / "a.zip", ("zeros", bytes(10_000_000)))
    refuse(tmp_path, path, "unpacks to more than 30 times its size")


def test_a_bomb_that_lies_about_its_size_is_stopped_while_it_unpacks(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_SLACK", 1000)
    monkeypatch.setattr(unpack, "_check", lambda *_: None)  # as if the sizes had been lies
    path = archive(tmp_path / "a.zip", ("zeros", bytes(10_000_000)))
    refuse(tmp_path, path, "unpacks to more than 30 times its size")


def test_a_bomb_inside_an_archive_is_stopped_too(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_SLACK", 1000)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", bytes(10_000_000))
    refuse(tmp_path, archive(tmp_path / "a.zip", ("in.zip", inner.getvalue())), "unpacks to more")


def test_too_many_entries_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_ENTRIES", 3)
    members = [(f"{n}", b"") for n in range(4)]
    refuse(tmp_path, archive(tmp_path / "a.zip", *members), "unpacks to more")


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_cut_archive_is_refused(tmp_path, keep):
    path = archive(tmp_path / "a.zip", ("a", bytes(range(256)) * 40), ("b", b"2"))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    refuse(tmp_path, path, "is not a complete ZIP archive")


def test_a_flipped_bit_is_found_by_the_crc(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("image", b"skin" * 1000)
    raw = bytearray(path.read_bytes())
    raw[2000] ^= 1
    path.write_bytes(raw)
    refuse(tmp_path, path, "is not a complete ZIP archive")


def test_an_archive_inside_is_unpacked_beside_and_removed(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("1.png", b"one")
    path = archive(tmp_path / "a.zip", ("images/part_1.zip", inner.getvalue()), ("list.csv", b"x"))
    assert unpack_zip(path, tmp_path / "out") == 2
    assert (tmp_path / "out" / "images" / "part_1" / "1.png").read_bytes() == b"one"
    assert not list((tmp_path / "out").rglob("*.zip"))


def test_a_folder_left_by_a_kill_is_made_anew(tmp_path):
    half = tmp_path / ".out.unpacking"
    half.mkdir()
    (half / "old").write_text("half")
    assert unpack_zip(archive(tmp_path / "a.zip", ("a", b"1")), tmp_path / "out") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    assert not half.exists()


def test_a_full_disk_is_said_before_unpacking(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 3})
    monkeypatch.setattr(unpack.shutil, "disk_usage", lambda _: usage)
    refuse(tmp_path, archive(tmp_path / "a.zip", ("a", b"12345")), "are free")


@settings(max_examples=80)
@given(st.text(alphabet="ab./\\:~ \0", min_size=1, max_size=12))
def test_no_name_writes_outside_the_folder(tmp_path_factory, name):
    root = tmp_path_factory.mktemp("root")
    info = zipfile.ZipInfo("x")
    info.filename = name
    path = root / "a.zip"
    try:
        archive(path, (info, b"1"))
    except ValueError:
        return
    (root / "in").mkdir()
    with contextlib.suppress(InputError):
        unpack_zip(path, root / "in" / "out")
    outside = [p for p in root.rglob("*") if root / "in" / "out" not in (p, *p.parents)]
    assert {p.name for p in outside} <= {"a.zip", "in"}
