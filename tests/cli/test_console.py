import importlib
import io
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from equiderm.cli import app
from equiderm.cli import console as module
from equiderm.cli.console import Console, render_table
from equiderm.errors import InputError


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_a_table_aligns_numbers_and_writes_missing_cells_as_dashes(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    rows = [
        {"group": "light", "images": 12345, "auroc": 0.91234, "known": True},
        {"group": "dark", "images": np.int64(7), "auroc": float("nan"), "known": False},
        {"group": None, "images": pd.NA, "auroc": np.float32(0.5), "known": None},
    ]
    assert render_table(rows, io.StringIO()).splitlines() == [
        "group  images  auroc  known",
        "light  12,345  0.912  yes",
        "dark        7      –  no",
        "–           –  0.500  –",
    ]
    assert render_table(pd.DataFrame(rows), io.StringIO()) == render_table(rows, io.StringIO())


def test_a_table_that_is_piped_is_not_folded(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    text = render_table([{"path": "x" * 300, "n": 1}], io.StringIO())
    assert "x" * 300 in text
    monkeypatch.setenv("COLUMNS", "60")
    folded = render_table([{"path": "x" * 300}], Screen()).splitlines()
    assert max(line.count("x") for line in folded) == 60


def test_no_name_moves_the_terminal(capsys):
    Console().say("photo\x1b[2J.jpg")
    Console().table([{"image": "a\x1b[31m\u202e[bold]\n"}])
    Console().warn("b\r.jpg: is no image.")
    printed = capsys.readouterr()
    assert "\\x1b[2J" in printed.out
    assert "a\\x1b[31m\\u202e[bold]\\x0a" in printed.out
    assert printed.err == "equiderm: b\\x0d.jpg: is no image.\n"


def test_json_has_stdout_to_itself(capsys):
    console = Console(as_json=True)
    console.say("words")
    console.table([{"a": 1}])
    console.json({"share": float("nan"), "n": np.arange(2)})
    assert json.loads(capsys.readouterr().out) == {"share": None, "n": [0, 1]}


def test_json_that_is_not_asked_for_is_not_printed(capsys):
    Console().json({"n": 1})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("stdout", ["-", "/dev/stdout", "/dev/fd/1"])
def test_beside_a_table_on_stdout_words_go_to_stderr(capsys, stdout):
    console = Console(output=Path(stdout))
    console.say("words")
    console.table([{"a": 1}])
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "words\na\n1" in printed.err
    with pytest.raises(InputError, match="both write to standard output"):
        Console(as_json=True, output=Path(stdout))


def test_quiet_prints_errors_and_json_only(capsys):
    console = Console(quiet=True)
    console.say("words")
    console.note("a note")
    console.table([{"a": 1}])
    console.warn("x.jpg: is no image.")
    assert capsys.readouterr() == ("", "equiderm: x.jpg: is no image.\n")


def test_of_many_problems_the_first_are_printed_and_the_others_counted(capsys):
    Console().warn_each([f"{n}.jpg: is no image." for n in range(1200)], most=2, rest="see t.csv.")
    assert capsys.readouterr().err.splitlines() == [
        "equiderm: 0.jpg: is no image.",
        "equiderm: 1.jpg: is no image.",
        "equiderm: and 1,198 more; see t.csv.",
    ]


def shown_during(monkeypatch, console, *, seconds, patience, unit="images", screen=None) -> str:
    """Return what a terminal has got after some work."""
    importlib.import_module("rich.progress")  # takes longer than the work of these tests
    screen = screen or Screen()
    monkeypatch.setattr(module, "PATIENCE", patience)
    with monkeypatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setattr("sys.stderr", screen)
        with console.progress("labelling", unit) as bar:
            for done in range(1, 11):
                bar(done, 5000, "loss 0.25")
                time.sleep(seconds / 10)
    return screen.getvalue()


def test_progress_shows_what_is_done_of_how_much_and_the_time_left(monkeypatch):
    shown = shown_during(monkeypatch, Console(), seconds=1, patience=0.05)
    assert "labelling" in shown
    assert "10 of 5,000 images" in shown
    assert "0:0" in shown
    assert "loss 0.25" in shown


def test_progress_counts_bytes_as_sizes(monkeypatch):
    shown = shown_during(monkeypatch, Console(), seconds=0.5, patience=0, unit="bytes")
    assert "10 bytes of 5.0 kB" in shown


def test_short_work_shows_no_bar(monkeypatch):
    assert shown_during(monkeypatch, Console(), seconds=0.01, patience=2) == ""


def test_quiet_work_shows_no_bar(monkeypatch):
    assert shown_during(monkeypatch, Console(quiet=True), seconds=0.2, patience=0) == ""


def test_work_without_a_terminal_shows_no_bar(monkeypatch):
    file = io.StringIO()
    assert shown_during(monkeypatch, Console(), seconds=0.2, patience=0, screen=file) == ""


def test_an_output_is_no_input_and_no_other_output(tmp_path):
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    console = Console(quiet=True)
    with pytest.raises(InputError, match="is read, and would be replaced"):
        console.hold(other, tmp_path / "sub" / ".." / "one.csv", inputs=[None, one])
    with pytest.raises(InputError, match="is named for two outputs"):
        console.hold(one, None, tmp_path / "." / "one.csv")
    console.hold(Path("/dev/null"), Path("/dev/null"), inputs=[Path("/dev/null")])


@pytest.mark.parametrize(
    "command",
    [
        ("agree", "t.csv", "--truth", "j.csv", "--truth-column", "t", "--report", "j.csv"),
        ("calibrate", "t.csv", "--truth-column", "t", "--patient", "t", "-o", "t.csv"),
        ("duplicates", "t.csv", "-o", "t.csv"),
        ("duplicates", "t.csv", "j.csv", "--clean", "j.csv"),
        ("manifest", "folder", ".", "--table", "t.csv", "-o", "t.csv"),
        ("manifest", "folder", ".", "-o", "m.csv", "--report", "m.csv"),
        ("manifest", "folder", ".", "-o", "m.csv", "--store", "."),
        ("audit", "t.csv", "--missed", "t.csv"),
        ("label", "t.csv", "--report", "t.csv"),
        ("label", "t.csv", "-o", "l.csv", "--report", "l.csv"),
        ("reband", "j.csv", "--corrections", "t.csv", "-o", "t.csv"),
        ("split", "j.csv", "--pairs", "t.csv", "-o", "t.csv"),
    ],
)
def test_no_command_replaces_a_table_that_it_reads(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = "image_id,path,source,t\na,photos/a.jpg,s,1\n"
    for name in ("t.csv", "j.csv"):
        (tmp_path / name).write_text(before)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2 and "name" in done.stderr.splitlines()[-1]
    assert {(tmp_path / name).read_text() for name in ("t.csv", "j.csv")} == {before}
