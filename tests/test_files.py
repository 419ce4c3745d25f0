import errno
import os
import stat

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equiderm.errors import InputError
from equiderm.files import read_table, write_table, write_whole

FRAME = pd.DataFrame({"image": ["a.jpg", "b,c.jpg"], "ita": [1.5, -2.25], "n": [1, 2]})


@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv"])
def test_a_table_survives_writing_and_reading(tmp_path, ending):
    write_table(FRAME, tmp_path / f"t.{ending}")
    pd.testing.assert_frame_equal(read_table(tmp_path / f"t.{ending}"), FRAME)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_any_encoding_and_separator_is_read(tmp_path, encoding, separator):
    decimal = "," if separator == ";" else "."
    text = FRAME.assign(site="Rücken").to_csv(index=False, sep=separator, decimal=decimal)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    read = read_table(tmp_path / "t.csv")
    assert read["ita"].tolist() == [1.5, -2.25]
    assert set(read["site"]) == {"Rücken"}


def test_parquet_under_a_csv_name_is_read(tmp_path):
    FRAME.to_parquet(tmp_path / "t.csv")
    assert len(read_table(tmp_path / "t.csv")) == 2


def test_lists_become_text_in_csv(tmp_path):
    write_table(pd.DataFrame({"x": [[1.0, 2.5], []]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines()[1:] == ["1.0000 2.5000", '""']


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\x01\x02", b"PAR1 damaged"])
def test_what_is_no_table_is_one_sentence(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"t\.csv: "):
        read_table(tmp_path / "t.csv")


def test_missing_table_and_unknown_ending_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "gone.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_table(tmp_path)
    with pytest.raises(InputError, match="must end in one of"):
        write_table(FRAME, tmp_path / "t.xlsx")


@given(content=st.binary(max_size=300))
def test_no_bytes_crash_the_reader(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "t.csv"
    path.write_bytes(content)
    try:
        assert isinstance(read_table(path), pd.DataFrame)
    except InputError as error:
        assert str(error).startswith(str(path))


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
    write_table(FRAME, tmp_path / "t.csv")
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("t.csv", "plain")]
    assert modes[0] == modes[1]
