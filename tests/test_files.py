import errno
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from equiderm.errors import InputError
from equiderm.files import only_one, read_json, write_text, write_whole


def test_a_failure_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), write_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_whole_and_says_so(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("old")
    message = "the disk is full, the file that was there is untouched"
    with pytest.raises(InputError, match=message), write_whole(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "t.txt"
    with pytest.raises(InputError, match="choose another place"), write_whole(place):
        pass


def test_the_file_has_the_usual_permissions(tmp_path):
    write_text(tmp_path / "t.txt", "new")
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("t.txt", "plain")]
    assert modes[0] == modes[1]


def test_a_folder_that_a_kill_left_aside_is_put_back(tmp_path):
    folder = tmp_path / "t"
    folder.mkdir()
    (folder / "part").touch()
    folder.rename(tmp_path / ".t.earlier-folder")  # killed before the second step
    (tmp_path / ".t.abcdef12.new-folder").mkdir()
    (tmp_path / ".t.my_notes").mkdir()
    with only_one(folder):
        pass
    (tmp_path / ".t.my_notes").rmdir()
    assert sorted(tmp_path.rglob("*")) == [folder, folder / "part"]
    (tmp_path / ".t.earlier-folder").mkdir()  # killed after it
    with only_one(folder):
        pass
    assert sorted(tmp_path.rglob("*")) == [folder, folder / "part"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 5_000, rb'["\ud800"]']
)
def test_json_that_is_damaged_is_one_sentence_with_the_advice(tmp_path, content):
    (tmp_path / "t.json").write_bytes(content)
    with pytest.raises(InputError, match=r"t\.json: is empty or damaged; make it anew\.$"):
        read_json(tmp_path / "t.json", "make it anew")


def test_a_device_is_written_to_and_stays_a_device():
    before = Path("/dev/null").stat()
    write_text("/dev/null", "new")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert Path("/dev/null").stat().st_ino == before.st_ino


def test_a_fifo_is_written_to_and_stays_a_fifo(tmp_path):
    path = tmp_path / "pipe.txt"
    os.mkfifo(path)
    got = []
    reader = threading.Thread(target=lambda: got.append(path.read_text()))
    reader.start()
    write_text(path, "new")
    reader.join(10)
    assert got == ["new"]
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "t.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link.txt", "real", "t.txt"]


def test_standard_output_sent_to_a_file_keeps_what_was_printed_before(tmp_path):
    script = (
        "from pathlib import Path\nfrom equiderm.files import write_text\n"
        "print('first')\nwrite_text(Path('/dev/stdout'), 'second\\n')"
    )
    with (tmp_path / "out").open("w") as file:
        subprocess.run([sys.executable, "-c", script], stdout=file, check=True)
    assert (tmp_path / "out").read_text() == "first\nsecond\n"


def test_a_stream_has_no_lock(tmp_path):
    with only_one(Path("/dev/null")):
        assert not Path("/dev/.null.lock").exists()


def test_what_a_killed_run_left_half_written_goes_with_the_next_run(tmp_path):
    with write_whole(tmp_path / "t.csv") as temporary:
        left = temporary.with_name(f".t.csv.{'0' * 8}.csv")  # as one that was never renamed
        left.touch()
        others = {tmp_path / name for name in (".u.csv.00000000.csv", ".t.csv.parts", ".t.csv.csv")}
        for other in others:
            other.touch()
        temporary.touch()
    with only_one(tmp_path / "t.csv"):
        assert not left.exists()
    assert set(tmp_path.iterdir()) == others | {tmp_path / "t.csv"}


def test_a_lock_leaves_neither_a_file_nor_a_folder_that_was_made_for_it(tmp_path):
    with only_one(tmp_path / "new" / "run.json"):
        assert (tmp_path / "new").is_dir()
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with only_one(tmp_path / "old" / "run.json"):
        pass
    assert list((tmp_path / "old").iterdir()) == []


LONG = [
    "n" * 255,
    "n" * 251 + ".csv",
    "n." + "e" * 250,
    "\N{GRINNING FACE}" * 60 + ".csv",
    os.fsdecode(b"\xff" * 240 + b".csv"),
]


@pytest.mark.parametrize("name", LONG, ids=range(len(LONG)))
def test_whatever_name_a_system_allows_is_written_as_file_and_folder_and_locked(tmp_path, name):
    file, folder = tmp_path / "file" / name, tmp_path / "folder" / name
    for text in ("old", "new"):
        with only_one(file), only_one(folder):
            write_text(file, text)
            with write_whole(folder, folder=True) as temporary:
                (temporary / text).touch()
    assert file.read_text() == "new"
    there = {file.parent, folder.parent, file, folder, folder / "new"}
    assert set(tmp_path.rglob("*")) == there


def test_of_two_long_names_that_begin_alike_neither_sweeps_what_the_other_is_writing(tmp_path):
    one, two = tmp_path / ("n" * 200 + "1.csv"), tmp_path / ("n" * 200 + "2.csv")
    with only_one(two), write_whole(two) as temporary:
        temporary.write_text("two")
        with only_one(one):
            pass
    assert two.read_text() == "two"


@pytest.mark.parametrize("name", ["n" * 256, "\N{GRINNING FACE}" * 64])
def test_a_name_that_no_system_allows_is_one_sentence_before_the_work(tmp_path, name):
    for hold in (only_one, write_whole):
        with pytest.raises(InputError, match="File name too long"), hold(tmp_path / name):
            raise AssertionError("the work began")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_that_one_works_in_is_locked_beside_it(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with only_one(Path()):
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [".here.lock"]


def test_a_text_that_quotes_a_name_that_is_not_utf_8_is_written(tmp_path):
    write_text(tmp_path / "a.json", '["\udcff"]')
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == ["\udcff"]
