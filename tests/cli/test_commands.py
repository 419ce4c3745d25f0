import inspect
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from tests.tone.pictures import skin_picture
from typer.main import get_command
from typer.testing import CliRunner

import equiderm as package
from equiderm import cli
from equiderm.cli import app


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        picture = skin_picture((75 - 15 * number, 12, 17), seed=number)
        Image.fromarray(picture).save(folder / f"{number}.jpg")
    return folder


def every_command(group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Walk the app: the words of each command after `equiderm`, and the command."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from every_command(command, (*before, name))
        else:
            yield " ".join((*before, name)), command


COMMANDS = dict(every_command(get_command(app)))
FUNCTIONS = {one.callback.__name__: one.callback for one in app.registered_commands}


def test_every_module_of_the_command_line_is_a_command():
    modules = {path.stem for path in Path(cli.__file__).parent.glob("*.py")}
    assert set(COMMANDS) == modules - {"__init__", "audit_options", "console", "exits"}
    assert set(COMMANDS) == set(FUNCTIONS)


def test_help_lists_every_command_with_its_first_line(equiderm):
    done = equiderm("--help")
    assert done.returncode == 0
    listed = " ".join(done.stdout.replace("│", " ").split())
    for name, command in COMMANDS.items():
        assert f"{name} {command.help.partition(chr(10))[0].strip()}" in listed


def test_no_command_and_an_unknown_one_are_unusable(equiderm):
    assert equiderm().returncode == 2
    assert equiderm("labl").returncode == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_s_help_has_examples_that_its_own_parser_takes(name):
    _, title, examples = inspect.getdoc(FUNCTIONS[name]).partition("Examples:")
    lines = [shlex.split(line) for line in examples.splitlines() if line.strip()]
    assert title and lines
    for words in lines:
        assert words[0] == "equiderm" and " ".join(words[1:]).startswith(name)
        COMMANDS[name].make_context(name, words[1 + len(name.split()) :])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_s_help_shows_its_examples_and_options(name):
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "300"})
    assert shown.exit_code == 0
    assert "Examples:" in shown.stdout
    assert f"equiderm {name}" in shown.stdout.partition("Examples:")[2]
    for option in options_of(name):
        assert option.opts[0] in shown.stdout


def options_of(name: str) -> list[Any]:
    return [one for one in COMMANDS[name].params if one.param_type_name == "option"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_option_says_what_it_is(name):
    silent = [one.name for one in COMMANDS[name].params if not getattr(one, "help", None)]
    assert silent == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_words_mean_the_same_everywhere(name):
    short = {"--output": "-o", "--quiet": "-q", "--yes": "-y"}
    flags = {"--quiet", "--json", "--overwrite", "--yes"}
    for option in options_of(name):
        long = option.opts[0]
        other = [word for word in option.opts[1:] if word != "--out"]  # its name until 0.1
        assert other == ([short[long]] if long in short else []), long
        assert option.is_flag or long not in flags
        assert long.islower() and "_" not in long


def test_the_version_is_the_package_s(equiderm):
    assert equiderm("--version").stdout.strip() == f"equiderm {package.__version__}"


def test_help_imports_nothing_heavy():
    heavy = "numpy", "pandas", "cv2", "torch", "matplotlib", "scipy", "pydantic"
    code = (
        "import sys; from equiderm.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        f"print(sorted({set(heavy)} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_label_writes_the_table_and_the_page_and_exits_0(equiderm, photos, tmp_path):
    done = equiderm("label", "photos", "-o", "t.csv", "--report", "t.html", "--overlays", "o")
    assert done.returncode == 0, done.stderr
    assert "3 images" in done.stdout
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["ita"].is_monotonic_decreasing
    assert table["image"].tolist() == [f"photos/{number}.jpg" for number in range(3)]
    assert (tmp_path / "t.html").stat().st_size > 10_000
    assert len(list((tmp_path / "o").iterdir())) == 3


def test_a_row_with_an_error_is_named_and_exits_1(equiderm, photos, tmp_path):
    (photos / "bad.jpg").write_bytes(b"no")
    done = equiderm("label", "photos", "-o", "t.parquet")
    assert done.returncode == 1
    assert "photos/bad.jpg: not an image in a known format." in done.stderr
    assert len(pd.read_parquet(tmp_path / "t.parquet")) == 4


def test_what_would_be_written_among_the_images_is_refused(equiderm, photos):
    for option, name in (("-o", "t.csv"), ("--report", "t.html"), ("--overlays", "o")):
        given = [] if option == "-o" else ["-o", "t.csv"]
        done = equiderm("label", "photos", *given, option, f"photos/{name}")
        assert done.returncode == 2
        assert f"photos/{name}: lies in" in done.stderr
    assert {path.suffix for path in photos.iterdir()} == {".jpg"}


def test_a_damaged_output_is_named_in_a_sentence_and_made_again(equiderm, photos, tmp_path):
    (tmp_path / "t.parquet").touch()
    done = equiderm("label", "photos", "-o", "t.parquet")
    assert done.returncode == 0
    assert "equiderm: t.parquet: is empty or damaged; it is made again." in done.stderr
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["label", "gone", "-o", "t.csv"], "gone: no such file or folder; check the name."),
        (["label", "photos", "-o", "t.xlsx"], "must end in one of .parquet, .csv, .tsv"),
        (["label", "photos", "-o", "t.csv", "--method", "x"], "there is no method 'x'"),
        (["label", "photos", "-o", "t.csv", "--scheme", "x"], "there is no scheme 'x'"),
        (["label", "photos"], "--output"),
        (["label", "photos", "-o", "t.csv", "--workers", "0"], "workers"),
        (["reband", "gone.csv", "-o", "t.csv", "--scheme", "groh"], "gone.csv: cannot be read"),
    ],
)
def test_unusable_arguments_exit_2_with_one_sentence(equiderm, photos, arguments, message):
    done = equiderm(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_json_summary_is_all_that_stdout_holds(equiderm, photos):
    done = equiderm("label", "photos", "-o", "t.csv", "--json")
    summary = json.loads(done.stdout)
    assert summary["images"] == 3
    assert sum(band["images"] for band in summary["bands"]) == 3


def test_reband_changes_bands_and_nothing_else(equiderm, photos, tmp_path):
    equiderm("label", "photos", "-o", "t.csv")
    assert equiderm("reband", "t.csv", "-o", "monk.csv", "--scheme", "monk").returncode == 0
    before, after = (pd.read_csv(tmp_path / name) for name in ("t.csv", "monk.csv"))
    assert set(after["scheme"]) == {"monk"}
    changed = ["scheme", "ita_band"]
    pd.testing.assert_frame_equal(before.drop(columns=changed), after.drop(columns=changed))


def test_a_page_of_a_table_that_is_there_measures_nothing(equiderm, photos, tmp_path):
    equiderm("label", "photos", "-o", "t.csv")
    table = pd.read_csv(tmp_path / "t.csv").assign(ita=33.3)
    table.to_csv(tmp_path / "t.csv", index=False)
    before = (tmp_path / "t.csv").read_bytes()
    done = equiderm("label", "t.csv", "--report", "p.html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "t.csv").read_bytes() == before
    assert (tmp_path / "p.html").read_text().count("ITA 33.3°, band") >= 3


def test_a_table_of_something_else_needs_an_output(equiderm, photos, tmp_path):
    (tmp_path / "m.csv").write_text("image\nphotos/0.jpg\n")
    done = equiderm("label", "m.csv", "--report", "p.html")
    assert done.returncode == 2
    assert "m.csv: is not a table of tones" in done.stderr


def test_reband_cuts_at_one_s_own_thresholds_and_refuses_two_choices(equiderm, tmp_path):
    (tmp_path / "t.csv").write_text("ita\n50\n-70\n")
    assert equiderm("reband", "t.csv", "-o", "n.csv", "--cuts", "55,41,28,19,10").returncode == 0
    assert pd.read_csv(tmp_path / "n.csv")["ita_band"].tolist() == [2, 6]
    done = equiderm("reband", "t.csv", "-o", "n.csv", "--cuts", "5", "--scheme", "groh")
    assert done.returncode == 2 and "name one" in done.stderr


def listen_to_ctrl_c() -> None:
    """Undo what a background shell job hands down: that interrupts are ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(skin_picture((70, 12, 17), width=256, height=256)).save(folder / "a.jpg")
    for number in range(1500):
        (folder / f"{number:04d}.jpg").symlink_to(folder / "a.jpg")
    command = [sys.executable, "-m", "equiderm", "label", "photos", "-o", "t.csv", "--workers", "2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        start_new_session=True, preexec_fn=listen_to_ctrl_c,
    )  # fmt: skip
    until = time.monotonic() + 300
    while not list(tmp_path.glob(".t.csv.parts/*")) and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "the same command resumes where it stopped" in errors
    assert not (tmp_path / "t.csv").exists()
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert len(pd.read_csv(tmp_path / "t.csv")) == 1501


def test_the_demo_labels_what_it_draws_and_names_its_page(equiderm, tmp_path):
    done = equiderm("demo", "out", "--images", "12", "--no-train")
    assert done.returncode == 0, done.stderr
    assert "out/index.html" in done.stdout
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 12
    assert "no evidence about patients" in (tmp_path / "out" / "index.html").read_text()
    tones = pd.read_parquet(tmp_path / "out" / "tones.parquet")
    assert tones["error"].isna().all()


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"datasets"}))
def test_every_command_can_be_quiet(name):
    assert any("--quiet" in option.opts for option in options_of(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_reading_the_help_of_a_command_imports_nothing_heavy(name):
    code = (
        "import sys; from equiderm.cli import app\n"
        f"try: app([*{name.split()}, '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'pandas', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
