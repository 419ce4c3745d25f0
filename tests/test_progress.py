"""The bar for notebooks: what it shows, where, and what it makes of what it is given."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import equiderm
from equiderm import ProgressBar, progress


@pytest.fixture
def notebook(monkeypatch):
    """IPython as a notebook has it: a shell with a kernel, and displays that can be updated."""
    shown = []

    def display(content, display_id):
        shown.append(content)
        return SimpleNamespace(update=shown.append)

    shell = SimpleNamespace(kernel=object())
    module = SimpleNamespace(HTML=lambda text: text, display=display)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return SimpleNamespace(shown=shown, shell=shell)


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.seconds)
    return now


def test_a_notebook_shows_the_share_and_the_time_left(notebook, clock):
    bar = ProgressBar("photographs")
    for done, seconds in ((0, 100.0), (10, 101.0), (500, 150.0), (1000, 200.0)):
        clock.seconds = seconds
        bar(done, 1000)
    assert notebook.shown == [
        '<progress value="0" max="1000"></progress> 0 of 1,000 photographs',
        '<progress value="10" max="1000"></progress> 10 of 1,000 photographs, 1 min 39 s left',
        '<progress value="500" max="1000"></progress> 500 of 1,000 photographs, 50 s left',
        '<progress value="1000" max="1000"></progress> 1,000 of 1,000 photographs',
    ]


def test_quick_calls_are_not_all_drawn_but_the_last_is(notebook, clock):
    clock.seconds = 1.0
    bar = ProgressBar()
    for done in range(101):
        bar(done, 100)
    assert [text.rpartition("> ")[2] for text in notebook.shown] == [
        "0 of 100 images",
        "100 of 100 images",
    ]


def test_labelling_drives_the_bar(notebook, tmp_path):
    for name in "ab":
        picture = np.full((64, 64, 3), (224, 172, 138), np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    equiderm.label(tmp_path, progress=ProgressBar("photographs"))
    assert notebook.shown[-1].endswith("2 of 2 photographs")


def test_what_fit_reports_is_shown_as_steps(notebook):
    bar = ProgressBar("steps")
    bar(SimpleNamespace(step=4, steps=8))
    assert repr(bar) == "ProgressBar(4 of 8 steps)"


@pytest.mark.parametrize(("terminal", "text"), [(True, "\r\x1b[K2 of 2 images\n"), (False, "")])
def test_without_a_notebook_a_terminal_has_one_line_and_a_pipe_none(terminal, text, monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stream)
    ProgressBar()(2, 2)
    assert stream.getvalue() == text


def test_ipython_in_a_terminal_is_no_notebook(notebook):
    notebook.shell.kernel = None
    ProgressBar()(2, 2)
    assert notebook.shown == []
