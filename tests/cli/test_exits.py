import errno
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from equiderm.cli import app
from equiderm.cli.exits import STATUSES, describe_installation, end, write_traceback
from equiderm.errors import InputError
from equiderm.files import only_one

DOCS = Path(__file__).parents[2] / "docs"
# A command that does what its first line says; the rest is how a user starts it.
COMMAND = """
import sys, typer
from equiderm import cli
def probe_command() -> None:
    {body}
cli.app.command("do")(cli.guarded(probe_command, resumes={resumes}))
sys.argv = ["equiderm", "do"]
cli.main()
"""


@pytest.fixture
def do(tmp_path):
    def run(body: str, *, resumes: bool = False, **options) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", COMMAND.format(body=body, resumes=resumes)],
            cwd=tmp_path,
            **{"env": {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}, **options},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_unusable_input_is_one_sentence_and_2(do):
    done = do("from equiderm import InputError; raise InputError('t.csv: is no table.')")
    assert (done.returncode, done.stderr) == (2, "equiderm: t.csv: is no table.\n")


def test_what_nobody_foresaw_is_one_sentence_a_traceback_in_a_file_and_70(do, tmp_path):
    done = do("{}['k\\x1b[31m\\nx']")
    assert done.returncode == 70
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr
    files = list((tmp_path / "state" / "equiderm").iterdir())
    assert len(files) == 1
    assert str(files[0]) in done.stderr
    content = files[0].read_text()
    assert "KeyError" in content
    assert f"numpy {version('numpy')}" in content
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_traceback_goes_to_the_temporary_folder_where_there_is_no_other(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    written = write_traceback(ValueError("x"))
    assert isinstance(written, Path)
    assert written.parent == tmp_path


@pytest.mark.parametrize(
    ("resumes", "said"), [(True, "resumes where it stopped"), (False, "starts again")]
)
def test_ctrl_c_says_how_to_go_on_and_ends_on_130(do, resumes, said):
    done = do("raise KeyboardInterrupt", resumes=resumes)
    assert done.returncode == 130
    assert done.stderr == f"equiderm: stopped; the same command {said}.\n"


def test_the_signal_itself_ends_on_130(tmp_path):
    code = COMMAND.format(body="import time; print('on', flush=True); time.sleep(60)", resumes=True)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout
    process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors.count("\n")) == (130, 1)


def test_memory_that_a_library_or_a_process_does_not_get_is_no_unexpected_error(capsys):
    for error in (
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ):
        assert end(error) == 70
        assert capsys.readouterr().err.startswith("equiderm: out of memory;")


def test_memory_that_runs_out_is_one_sentence(do):
    done = do("raise MemoryError")
    assert done.returncode == 70
    assert done.stderr == (
        "equiderm: out of memory; give fewer --workers or fewer images at a time.\n"
    )


def test_a_closed_pipe_is_quiet(tmp_path):
    code = COMMAND.format(body="[print('x' * 999) for _ in range(9999)]", resumes=False)
    reader = f"{sys.executable} -c '{code.replace(chr(39), chr(34))}' | head -c 5"
    done = subprocess.run(
        ["bash", "-c", f"{reader}; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1].endswith("141")


TALK = "from equiderm.cli.console import Console; c = Console({}); c.say('a'); c.note('b'); "


def test_a_command_started_without_streams_does_its_work_and_keeps_what_it_writes_apart(
    do, tmp_path
):
    body = TALK.format("") + "import os; f = open('o', 'w'); os.write(1, b'x'); f.write('result')"
    done = do(body, preexec_fn=lambda: os.closerange(0, 3))
    assert done.returncode == 0
    assert (tmp_path / "o").read_text() == "result"
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


def test_a_result_for_a_stdout_that_is_closed_is_refused(do):
    done = do(TALK.format("as_json=True"), preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "standard output is closed" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_stdout_that_is_full_is_named_and_a_stderr_that_is_full_stops_nothing(do):
    def full(number: int) -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), number)

    done = do(TALK.format(""), preexec_fn=lambda: full(1))
    assert done.returncode == 2
    assert done.stderr.startswith("equiderm: standard output: cannot be written (No space left")
    warned = "import warnings; warnings.warn('w'); c.warn('d'); print('done')"
    done = do(TALK.format("") + warned, preexec_fn=lambda: full(2))
    assert (done.returncode, done.stdout) == (0, "a\ndone\n")


@pytest.mark.skipif(sys.platform == "win32", reason="no such terminals")
def test_a_terminal_that_is_gone_stops_nothing(tmp_path):
    mine, its = os.openpty()

    def hang_up() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (1, 2):
            os.dup2(its, number)
        os.close(its)
        os.close(mine)

    body = "import time; time.sleep(0.2); " + TALK.format("") + "open('o', 'w').write('z')"
    code = COMMAND.format(body=body, resumes=False)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, preexec_fn=hang_up)
    os.close(its)
    os.close(mine)
    assert process.wait(60) == 0
    assert (tmp_path / "o").read_text() == "z"


def test_a_name_that_is_not_text_is_one_sentence(capsys):
    assert end(UnicodeEncodeError("utf-8", "a/\udcff", 2, 3, "surrogates not allowed")) == 2
    assert capsys.readouterr().err == "equiderm: a/\\udcff: its name is not UTF-8; rename it.\n"


def test_without_a_home_and_a_temporary_folder_there_is_a_sentence_or_a_printed_traceback(
    monkeypatch, capsys
):
    def missing(*_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    def homeless() -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("tempfile.gettempdir", missing)
    monkeypatch.setattr("pathlib.Path.home", homeless)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert describe_installation()[-2:] == [
        "tracebacks: printed", "temporary files: no folder; set TMPDIR",
    ]  # fmt: skip
    assert end(OSError("matplotlib requires a folder")) == 2
    assert "set TMPDIR" in capsys.readouterr().err
    assert end(ValueError("x")) == 70
    assert "ValueError: x\nequiderm: an unexpected error" in capsys.readouterr().err


def test_a_working_folder_that_was_deleted_is_one_sentence(tmp_path):
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        ["sh", "-c", f"rmdir ../gone; {sys.executable} -P -m equiderm synthesize made"],
        cwd=tmp_path / "gone", env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "made" in done.stderr


def test_where_a_working_folder_is_missed_on_the_way_it_is_named(monkeypatch, capsys):
    def gone() -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr("pathlib.Path.cwd", gone)
    assert end(FileNotFoundError(errno.ENOENT, "No such file or directory")) == 2
    assert "the folder that you work in is no longer there" in capsys.readouterr().err


def test_commands_draw_in_a_style_of_their_own(do, tmp_path):
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: red\nnonsense: 5\n")
    draw = "from equiderm.page import figure_axes; print(figure_axes(1)[1].get_facecolor())"
    done = do(draw, env={**os.environ, "MPLBACKEND": "junk"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "(1.0, 1.0, 1.0, 1.0)\n", "")


def test_an_exit_that_a_command_chose_is_kept(do):
    assert do("raise typer.Exit(3)").returncode == 3


def test_the_statuses_stand_in_the_documentation():
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    for status, meaning in STATUSES.items():
        assert f"| {status} | {meaning} |" in page


def test_errors_that_are_not_foreseen_do_not_pass_for_rows_in_error(capsys):
    statuses = {end(error) for error in (ValueError("x"), OSError("x"), RuntimeError("x"))}
    assert statuses == {70}
    assert end(InputError("x")) == 2


def test_a_place_that_is_full_read_only_or_gone_is_no_fault_of_the_program(capsys):
    assert end(OSError(errno.EROFS, "Read-only file system", "runs/log")) == 2
    assert "runs/log: cannot be written (Read-only file system)" in capsys.readouterr().err
    assert end(OSError(errno.ENOSPC, "No space left on device")) == 2
    assert "the disk is full" in capsys.readouterr().err
    for name in ("store/building.jsonl", b"store/building.jsonl"):
        assert end(OSError(errno.ENOENT, "No such file or directory", name)) == 2
        assert capsys.readouterr().err.startswith("equiderm: store/building.jsonl: is no longer")


def test_a_name_that_is_too_long_is_one_sentence_wherever_it_is_looked_at(capsys):
    assert end(OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300)) == 2
    assert capsys.readouterr().err.endswith("xxx: is longer than a name may be; shorten it.\n")


def test_version_verbose_names_what_results_depend_on(equiderm):
    lines = equiderm("--version", "--verbose").stdout.splitlines()
    assert f"pillow {version('pillow')}" in lines
    assert any(line.startswith("Python ") for line in lines)
    assert any(line.startswith("tracebacks: ") for line in lines)


@pytest.mark.parametrize(
    "words",
    [
        "audit t.csv -o OUT.html", "audit t.csv -o a.json --summary OUT.html", "plan -o OUT.json",
        "split t.csv -o OUT.csv", "manifest folder photographs -o OUT.parquet",
        "duplicates photographs --report OUT.html", "agree t.csv u.csv --report OUT.html",
        "calibrate t.csv --truth-column fst -o a.json --report OUT.html",
        "predict run --data t.csv -o OUT.csv", "embed resnet18 --data t.csv -o OUT.parquet",
        "export run --card OUT.md",
    ],
)  # fmt: skip
def test_of_two_runs_of_one_output_the_second_says_so_before_it_reads(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photographs").mkdir()
    Image.new("RGB", (8, 8), (200, 160, 140)).save("photographs/a.png")
    output = words[words.index("OUT") :].split()[0]
    with only_one(Path(output)):
        done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 2
    assert f"{output}: another run is writing it" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["photographs"]
