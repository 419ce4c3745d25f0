import bz2
import csv
import errno
import gzip
import json
import math
import os
import stat
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from equiderm import tables
from equiderm.errors import InputError
from equiderm.tables import MISSING_WORDS, is_parquet_folder, read_table, write_table

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


def test_labels_of_rows_that_pandas_wrote_are_columns_where_they_are_named(tmp_path):
    FRAME.iloc[::-1].to_parquet(tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read, FRAME.iloc[::-1].reset_index(drop=True))
    FRAME.set_index(FRAME.columns[0]).to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), FRAME)


def test_parquet_under_a_csv_name_is_read(tmp_path):
    FRAME.to_parquet(tmp_path / "t.csv")
    assert len(read_table(tmp_path / "t.csv")) == 2


def test_lists_become_text_in_csv(tmp_path):
    write_table(pd.DataFrame({"x": [[1.0, 2.5], []]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines()[1:] == ["1.0 2.5", '""']


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


def test_a_writer_that_fails_half_way_leaves_the_old_table(tmp_path, monkeypatch):
    for ending in ("csv", "parquet", "jsonl", "csv.gz"):
        path = tmp_path / f"t.{ending}"
        write_table(FRAME, path)
        before = path.read_bytes()

        def half(first: object, second: object) -> None:
            path = first if isinstance(first, Path) else second
            with path.open("wb") as file:
                file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", half)
            patch.setattr(pq, "write_table", half)
            with pytest.raises(InputError, match="the disk is full"):
                write_table(FRAME.assign(n=[3, 4]), path)
        assert path.read_bytes() == before
        path.unlink()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "ending", [".csv", ".csv.gz", ".tsv", ".jsonl", ".jsonl.gz", ".parquet", ""]
)
def test_every_kind_of_table_comes_back(tmp_path, ending):
    write_table(FRAME, tmp_path / f"t{ending}")
    exact = ending in (".parquet", "")
    pd.testing.assert_frame_equal(read_table(tmp_path / f"t{ending}"), FRAME, check_dtype=exact)


def names_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(tables.parquet, "PART_ROWS", 1)
    write_table(FRAME, tmp_path / "t")
    two = ["t", "t/part-00000-of-00002.parquet", "t/part-00001-of-00002.parquet"]
    assert names_below(tmp_path) == two
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in two[:2]]
    (tmp_path / "plain").mkdir()
    assert modes[0] == stat.S_IMODE((tmp_path / "plain").stat().st_mode) == modes[1] | 0o111
    (tmp_path / "plain").rmdir()
    written: list[Path] = []

    def fill_the_disk(_: object, path: Path) -> None:
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        path.touch()

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", fill_the_disk)
        with pytest.raises(InputError, match="the disk is full"):
            write_table(FRAME, tmp_path / "t")
    assert names_below(tmp_path) == two
    assert len(read_table(tmp_path / "t")) == 2
    write_table(FRAME.head(1), tmp_path / "t")
    assert names_below(tmp_path) == ["t", "t/part-00000-of-00001.parquet"]


@pytest.mark.parametrize(
    "content", ["notes.txt", "a.parquet", "site=1/part-00000-of-00001.parquet"]
)
def test_a_folder_that_holds_anything_else_is_never_replaced(tmp_path, content):
    (tmp_path / "t" / content).parent.mkdir(parents=True)
    (tmp_path / "t" / content).touch()
    with pytest.raises(InputError, match=r"t: is a folder that holds something else"):
        write_table(FRAME, tmp_path / "t")
    assert (tmp_path / "t" / content).exists()


def test_a_file_without_an_ending_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "t").write_text("mine")
    with pytest.raises(InputError, match="t: is a file"):
        write_table(FRAME, tmp_path / "t")
    assert (tmp_path / "t").read_text() == "mine"


def test_of_the_parts_of_two_tables_none_is_read(tmp_path, monkeypatch):
    write_table(FRAME, tmp_path / "t")
    monkeypatch.setattr(tables.parquet, "PART_ROWS", 1)
    write_table(FRAME, tmp_path / "u")
    for part in (tmp_path / "u").iterdir():
        part.rename(tmp_path / "t" / part.name)
    with pytest.raises(InputError, match="t: holds 3 files of a table of 1 or of 2"):
        read_table(tmp_path / "t")


RISKY = ["=1+1", "+cmd", "-x", "@SUM(A1)", "\tx", "\rx", "\x1b[31m", "'=1", "''-x", "'plain", "a=b"]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_cells_that_a_spreadsheet_would_run_come_back_unchanged(tmp_path, ending):
    frame = pd.DataFrame({"=name": RISKY, "n": range(len(RISKY))})
    write_table(frame, tmp_path / f"t.{ending}")
    read = read_table(tmp_path / f"t.{ending}")
    assert read["=name"].tolist() == RISKY
    assert read["n"].tolist() == list(range(len(RISKY)))


def test_no_text_cell_of_a_csv_begins_with_what_a_spreadsheet_runs(tmp_path):
    write_table(pd.DataFrame({"=name": RISKY}), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        cells = [row[0] for row in csv.reader(file)]
    assert len(cells) == 1 + len(RISKY)
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r\x1b"]


def test_negative_numbers_stay_plain_numbers(tmp_path):
    frame = pd.DataFrame(
        {"ita": [-12.3, 5.0], "text": ["-12.3", "-1e-05"], "list": [[-1.0, -1e-20], []]}
    )
    write_table(frame, tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[1:] == ["-12.3,-12.3,-1.0 -1e-20", "5.0,-1e-05,"]


def test_a_return_within_a_name_keeps_its_row(tmp_path):
    frame = pd.DataFrame({"image": ["a\rb.jpg", "c\nd.jpg", "e\r\nf.jpg", "g"], "n": [1, 2, 3, 4]})
    write_table(frame, tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv")["image"].tolist() == frame["image"].tolist()


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), min_size=1)
)
def test_any_text_comes_back_from_csv(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("text") / "t.csv"
    cells = [cell.replace("\0", "") or "x" for cell in cells]
    write_table(pd.DataFrame({"image": cells, "n": 1}), path)
    assert read_table(path)["image"].tolist() == cells


def test_only_an_empty_cell_of_text_is_missing(tmp_path):
    (tmp_path / "t.csv").write_text("region,x\nNA,1\nNone,NA\nnan,3\n,4\n")
    frame = read_table(tmp_path / "t.csv")
    assert frame["region"].fillna("-").tolist() == ["NA", "None", "nan", "-"]
    assert frame["x"].isna().tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["007", "1"], ["007", "1"]),
        (["1", "12"], [1, 12]),
        (["1.50", ".5"], [1.5, 0.5]),
        (["1e3", "-2"], [1000.0, -2.0]),
        (["True", "FALSE"], [True, False]),
        (["9" * 19, "1"], ["9" * 19, "1"]),
        (["9" * 400, "1.5"], ["9" * 400, "1.5"]),
        (["1e999", "1"], ["1e999", "1"]),
        (["0x10", "1"], ["0x10", "1"]),
        (["Inf", "-inf", "1"], [float("inf"), float("-inf"), 1.0]),
        (["Inf", "Inf"], ["Inf", "Inf"]),
        ([str(2**53 + 1), "0.5"], [str(2**53 + 1), "0.5"]),
        ([str(2**53 + 1), "1"], [2**53 + 1, 1]),
    ],
)
def test_a_column_is_numbers_only_where_nothing_is_lost(tmp_path, cells, expected):
    (tmp_path / "t.csv").write_text("x\n" + "\n".join(cells) + "\n")
    assert read_table(tmp_path / "t.csv")["x"].tolist() == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a,b\n1,2,3\n", "rows have more cells than the header"),
        ("a,b,c\n1,2,3\n4,5", "its last line has no end .*seems cut off"),
        ("Rücken\nM\u00fcller\n".encode() + b"x\xffy\n", "line 3 holds a byte that is not UTF-8"),
        (b"\x1f\x8b\x08broken", "a damaged gzip file"),
        ('{"a": 1}\n{"a": ' + "[" * 100000, "line 2 is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "line 1 is not JSON"),
        ('{"a": 1}\n[2]\n', "line 2 is not a JSON object"),
    ],
)
def test_a_damaged_table_is_one_sentence(tmp_path, content, sentence):
    body = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "t.csv").write_bytes(body)
    with pytest.raises(InputError, match=sentence):
        read_table(tmp_path / "t.csv")


def test_a_cell_too_many_that_is_empty_shifts_nothing(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2,\n3,4,\n")
    assert read_table(tmp_path / "t.csv").to_dict("list") == {"a": [1, 3], "b": [2, 4]}


def test_parquet_with_text_that_is_not_utf8_is_one_sentence(tmp_path):
    broken = pa.array([b"a", b"\xff\xfe"]).view(pa.string())
    pq.write_table(pa.table({"image": broken}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="a damaged Parquet file"):
        read_table(tmp_path / "t.parquet")


def test_a_packed_table_that_is_a_bomb_is_stopped_while_it_unpacks(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"\0" * 120_000_000, 1))
    with pytest.raises(InputError, match="a decompression bomb"):
        read_table(tmp_path / "t.csv.gz")


def test_a_minus_is_standard_output_and_input():
    script = (
        "from pathlib import Path\nfrom equiderm.tables import read_table, write_table\n"
        "write_table(read_table(Path('-')), Path('-'))"
    )
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, input=b"image,n\n007,1\n", capture_output=True, check=True)
    assert run.stdout == b"image,n\n007,1\n"


def test_words_that_an_owner_writes_for_empty_cells_are_missing_where_they_are_named(tmp_path):
    (tmp_path / "t.csv").write_text("patient,x\nNA,1\np2,nan\n")
    frame = read_table(tmp_path / "t.csv", as_text=True, missing=MISSING_WORDS)
    assert frame.isna().to_numpy().tolist() == [[True, False], [False, True]]


LINES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [b'{"image": 1}', b'{"image": [', b"null", b'{"a": 1e999}', b'{"a": NaN}', b"[[[[",
             b'{"\\u0000": "\\ud800"}', b"image;x", b'"a\nb",1', b"=1,2,3,4", b"a,a", b",,,"]
        ),
    ),
    max_size=6,
)  # fmt: skip


@given(lines=LINES, packed=st.booleans(), name=st.sampled_from(["t.csv", "t.jsonl", "t.parquet"]))
def test_no_lines_crash_the_reader_or_the_writer_packed_or_not(
    tmp_path_factory, lines, packed, name
):
    path = tmp_path_factory.mktemp("fuzz") / name
    content = b"\n".join(lines)
    path.write_bytes(gzip.compress(content) if packed else content)
    try:
        write_table(read_table(path), path.with_name("again.csv"))
    except InputError as error:
        assert str(error).endswith(".")


TABLE = "image,ita,band\na,1.5,2\nb,-2.25,3\n"


@pytest.mark.parametrize(
    "content",
    [
        f"sep=;\r\n{TABLE.replace(',', ';').replace('.', ',')}".encode(),
        TABLE.replace(",", "|").encode(),
        TABLE.encode("utf-16-le"),
        f"{TABLE},,\n,,\n".encode(),
        b'{"image": {"0": "a", "1": "b"}, "ita": {"0": 1.5, "1": -2.25}, "band": {"0": 2, "1": 3}}',
    ],
    ids=["named separator", "bars", "UTF-16 without a mark", "empty lines", "JSON of columns"],
)
def test_tables_as_spreadsheets_and_pandas_write_them_are_read(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    read = read_table(tmp_path / "t.csv").reset_index(drop=True)
    assert read["image"].tolist() == ["a", "b"]
    assert read["ita"].tolist() == [1.5, -2.25]
    assert read["band"].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"PK\x03\x04xx", "an Excel file"), (b"\n<!DOCTYPE html>", "a web page")],
)
def test_what_is_no_table_is_called_by_its_name(tmp_path, content, what):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=f"is {what}.*save it as CSV"):
        read_table(tmp_path / "t.csv")


def test_a_folder_of_parquet_files_is_one_table_with_its_partitions_as_columns(tmp_path):
    frame = pd.DataFrame(
        {"image": ["a", "b", "c", "d"], "site": [1, 2, 1, 2], "patient_id": ["007", "8", "8", None]}
    )
    frame.to_parquet(tmp_path / "t", partition_cols=["site", "patient_id"])
    (tmp_path / "t" / "_SUCCESS").touch()
    read = read_table(tmp_path / "t").sort_values("image").reset_index(drop=True)
    assert read["site"].tolist() == [1, 2, 1, 2]
    assert read["patient_id"].fillna("none").tolist() == ["007", "8", "8", "none"]
    assert read["image"].tolist() == list("abcd")
    assert not is_parquet_folder(tmp_path)
    (tmp_path / "t" / "photograph.jpg").touch()
    assert not is_parquet_folder(tmp_path / "t")  # a folder of images, to whoever walks it


@pytest.mark.parametrize("form", ["records", "split", "index", "columns", "table"])
@pytest.mark.parametrize("named", [True, False])
def test_json_is_read_in_every_form_of_pandas(tmp_path, form, named):
    frame = pd.DataFrame(
        {"image_id": list("abcd"), "target": [0, 1, 1, 1], "score": [0.1, 2, 3, 4]}
    )
    if named and form in ("index", "columns"):
        frame = frame.set_index("image_id")
    (tmp_path / "t.json").write_text(frame.to_json(orient=form, indent=2))
    read = read_table(tmp_path / "t.json")
    assert read["target"].tolist() == [0, 1, 1, 1]
    assert read["score"].tolist() == [0.1, 2, 3, 4]
    if named and form in ("index", "columns"):
        assert read["image"].tolist() == list("abcd")


def test_rows_beside_remarks_in_one_json_object_are_read(tmp_path):
    (tmp_path / "t.json").write_text('{"model": "m", "results": [{"a": 1}, {"a": 2}]}')
    assert read_table(tmp_path / "t.json")["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (bz2.compress(b"a,b\n1,2\n"), "packed with bzip2"), (b"ARROW1\0\0\xff", "Arrow"),
        (b"\x93NUMPY\x01\0v\0", "a NumPy array"), (b"r\x02\x01\0\xff\xc3\xa9", "is not text"),
        (b'<table border="1"><tr>', "a web page"),
    ],
)  # fmt: skip
def test_files_that_are_no_text_are_named_as_such(tmp_path, raw, what):
    (tmp_path / "t.csv").write_bytes(raw)
    with pytest.raises(InputError, match=what):
        read_table(tmp_path / "t.csv")


@given(
    numbers=st.lists(st.floats(), min_size=1, max_size=4),
    ending=st.sampled_from([".csv", ".tsv", ".jsonl", ".jsonl.gz", ".parquet", ""]),
)
@example([1e-20, 0.12345678901, 5e-324, 1e300, 0.1 + 0.2], ".jsonl")
@example([-0.0, 1e16, float("inf"), float("-inf"), float("nan")], ".jsonl")
def test_every_number_comes_back_exactly(tmp_path_factory, numbers, ending):
    path = tmp_path_factory.mktemp("t") / f"t{ending}"
    lists = [[number] for number in numbers if not math.isnan(number)]
    write_table(
        pd.DataFrame({"x": [0.5, *numbers], "list": [[0.5], *[numbers] * len(numbers)]}), path
    )
    read = read_table(path)
    assert read["x"].map(repr).tolist() == list(map(repr, [0.5, *numbers]))
    if "sv" not in ending and lists:
        assert [[x] for x in read["list"].iloc[-1] if x is not None and not math.isnan(x)] == lists


@pytest.mark.parametrize("dtype", ["float32", "Float32"])
def test_a_float32_has_no_more_digits_in_json_than_in_csv(tmp_path, dtype):
    frame = pd.DataFrame({"x": pd.Series([0.1, 1e-12, 1 / 3, None], dtype=dtype)})
    for ending in ("csv", "jsonl"):
        write_table(frame.assign(n=1), tmp_path / f"t.{ending}")
    assert (tmp_path / "t.csv").read_text() == "x,n\n0.1,1\n1e-12,1\n0.33333334,1\n,1\n"
    assert (tmp_path / "t.jsonl").read_text().split("\n")[:3] == [
        '{"x":0.1,"n":1}', '{"x":1e-12,"n":1}', '{"x":0.33333334,"n":1}'
    ]  # fmt: skip


def test_what_json_does_not_know_is_text_or_null(tmp_path):
    cells = [
        None, True, np.int64(7), np.float32(0.1), b"a\xff", ("b", [np.nan]), Path("c"), "\udc80",
        date(2026, 1, 2), pd.Timestamp("2026-01-02T03:04:05.000006+01"), pd.NaT, {"n": np.True_},
    ]  # fmt: skip
    write_table(pd.DataFrame({"%s": pd.Series(cells, dtype=object)}), tmp_path / "t.jsonl")
    lines = (tmp_path / "t.jsonl").read_text().splitlines()
    assert [json.loads(line)["%s"] for line in lines] == [
        None, True, 7, 0.1, "a\\xff", ["b", [None]], "c", "\\udc80",
        "2026-01-02", "2026-01-02T03:04:05.000006+01:00", None, {"n": True},
    ]  # fmt: skip


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_whole_number_beside_a_missing_one_loses_no_digit(tmp_path, ending):
    numbers = pd.Series([2**53 + 1, None, 1], dtype="Int64")
    write_table(pd.DataFrame({"case": numbers, "few": [1, None, 3]}), tmp_path / f"t{ending}")
    read = read_table(tmp_path / f"t{ending}")
    assert read["case"].dropna().astype(str).tolist() == [str(2**53 + 1), "1"]
    assert read["few"].dtype == "float64"


@given(
    names=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
        | st.sampled_from(["a;b;c", "x\ty", '"', "{", "[", "sep=;", "\ufeff", "=1", "'-", "%s"]),
        min_size=1, max_size=4, unique_by=str.strip,
    ).filter(lambda names: all(map(str.strip, names))),
    ending=st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet"]),
)  # fmt: skip
def test_any_name_of_a_column_comes_back(tmp_path_factory, names, ending):
    path = tmp_path_factory.mktemp("t") / f"t{ending}"
    write_table(pd.DataFrame([["a"] * len(names)] * 2, columns=names), path)
    read = read_table(path)
    assert [name.strip() for name in read.columns] == [name.strip() for name in names]
    assert (read == "a").all(axis=None)


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ('"image, name";x', ["image, name", "x"]),
        ('x;"a ""b"", c, d"', ["x", 'a "b", c, d']),
        ('"a,\nb,c";x', ["a,\nb,c", "x"]),
        ('5" wide;6" high', ['5" wide', '6" high']),
        ("x, x", ["x", "x.1"]),
    ],
)
def test_what_is_within_quotes_of_a_header_separates_no_columns(tmp_path, header, names):
    (tmp_path / "t.csv").write_text(f"{header}\n1{';' if ';' in header else ','}2\n")
    assert read_table(tmp_path / "t.csv").to_dict("list") == dict(
        zip(names, [[1], [2]], strict=True)
    )


def test_partitions_of_names_are_text_whatever_their_capitals(tmp_path):
    for folder in ("Patient_ID=7/Case=7", "Patient_ID=8/Case=8"):
        (tmp_path / "t" / folder).mkdir(parents=True)
        FRAME.to_parquet(tmp_path / "t" / folder / "part.parquet")
    assert read_table(tmp_path / "t", text=["CASE"]).iloc[0, -2:].tolist() == ["7", "7"]
    assert read_table(tmp_path / "t").iloc[0, -2:].tolist() == ["7", 7]


@pytest.mark.parametrize(
    ("frame", "ending", "sentence"),
    [
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), ".csv", "several columns 'x'; rename"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), ".jsonl", "several columns 'x'; rename"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), ".parquet", "several columns '1'; rename"),
        (pd.DataFrame({"x": ["a", 1]}), ".parquet", "column x with type object.*one type"),
        (pd.DataFrame({"x": ["a", 1]}), "", "column x with type object.*one type"),
        (pd.DataFrame({"x": [10**30]}), ".parquet", "Parquet cannot hold this table"),
        (pd.DataFrame({"x": ["a\0b"]}), ".csv", r"null character, which CSV cannot hold.*\.jsonl"),
    ],
)  # fmt: skip
def test_a_table_that_would_not_come_back_is_not_written(tmp_path, frame, ending, sentence):
    with pytest.raises(InputError, match=rf"t{ending}: .*{sentence}"):
        write_table(frame, tmp_path / f"t{ending}")
    assert list(tmp_path.iterdir()) == []


def test_a_last_line_without_an_end_is_read_where_no_cell_is_missing(tmp_path):
    for text in ("a,b\n1,2\n3,4", "a,b\n1\n3", "a,b\n1,2\n3\n", 'a,b\n"1,x",2\n3,4', "a,b"):
        (tmp_path / "t.csv").write_text(text)
        assert len(read_table(tmp_path / "t.csv")) == text.rstrip("\n").count("\n")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_table_of_one_column_comes_back(tmp_path, ending):
    frame = pd.DataFrame({"x": ["a,b", "c;d;e", "f\tg", None, "h|i"]})
    write_table(frame, tmp_path / f"t{ending}")
    assert read_table(tmp_path / f"t{ending}").equals(frame)
    if ending in (".jsonl", ".parquet"):
        write_table(pd.DataFrame({"x": [[1, 2]]}), tmp_path / f"t{ending}")
        assert read_table(tmp_path / f"t{ending}")["x"].map(list).tolist() == [[1, 2]]


def test_the_ending_decides_between_separators_that_are_as_frequent(tmp_path):
    for ending, names in ((".tsv", ["a,b", "c"]), (".csv", ["a", "b\tc"])):
        (tmp_path / f"t{ending}").write_text("a,b\tc\n")
        assert list(read_table(tmp_path / f"t{ending}").columns) == names


def test_a_name_longer_than_a_system_allows_is_one_sentence(tmp_path):
    for ending in ("", ".csv", ".parquet"):
        path = tmp_path / ("x" * 300 + ending)
        for work in (read_table, lambda path: write_table(FRAME, path)):
            with pytest.raises(InputError, match=f"xxx{ending}: cannot be .*File name too long"):
                work(path)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_table_never_takes_the_place_of_the_folder_that_one_works_in(tmp_path, monkeypatch, name):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    with pytest.raises(InputError, match="the folder that you work in"):
        write_table(pd.DataFrame({"x": [1]}), name)
    assert Path.cwd().is_dir()
    assert not list((tmp_path / "a" / "b").iterdir())
