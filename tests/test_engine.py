import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

from equiderm.engine import Failure, Kept, default_workers, place, run
from equiderm.engine.chunks import Chunks
from equiderm.errors import InputError

JOBS = """
import os, random, signal, sys, time
from pathlib import Path

def square(item, shared):
    return item * item + shared

def crash_on(item, bad):
    if item in bad:
        os._exit(11)
    return item

def kill_on(item, bad):
    if item in bad:
        os.kill(os.getpid(), signal.SIGKILL)
    return item

def kill_once(item, folder):
    if not Path(folder, str(item)).exists():
        Path(folder, str(item)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item

def raise_on(item, bad):
    if item in bad:
        raise ValueError(f"{item} is bad.")
    return item

def late_first(item, folder):
    if item == 0:
        while not Path(folder, "5").exists():
            time.sleep(0.01)
    Path(folder, str(item)).touch()
    return item

def say_pid_and_wait(item, folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)

def threads(item, _):
    import cv2, numpy, threadpoolctl
    limits = {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    return limits, cv2.getNumThreads(), os.environ["OMP_NUM_THREADS"]

def process_of(item, _):
    if item == "crash":
        os._exit(11)
    time.sleep(600 if item == "wait" else 0)
    return os.getpid()

def print_much(item, _):
    print("to standard output", flush=True)
    os.write(1, b"and below it")
    return item

def lock(item, _):
    import threading
    return threading.Lock()

class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")

def raise_odd(item, _):
    raise Odd("this", "that")

def place_once_all_are_here(item, folder):
    from equiderm.engine import place
    Path(folder, str(place())).touch()
    while len(list(Path(folder).iterdir())) < 2:
        time.sleep(0.01)
    return place()
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Return a module that workers can import, as one that is installed."""
    folder = tmp_path / "installed"
    folder.mkdir()
    (folder / "some_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "some_jobs", raising=False)
    import some_jobs  # pyright: ignore[reportMissingImports]

    return some_jobs


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("ordered", [False, True])
def test_every_item_yields_its_result(jobs, workers, ordered):
    results = list(run(jobs.square, range(101), shared=7, workers=workers, ordered=ordered))
    assert sorted(results) == [(item, item * item + 7) for item in range(101)]
    assert not ordered or results == sorted(results)


def test_nothing_to_do_yields_nothing(jobs):
    assert list(run(jobs.square, [], shared=7, workers=2)) == []


def test_an_ordered_run_holds_back_what_comes_early(jobs, tmp_path):
    results = run(jobs.late_first, range(10), shared=str(tmp_path), workers=2, ordered=True)
    assert [index for index, _ in results] == list(range(10))


def test_progress_counts_every_item(jobs):
    seen: list[tuple[int, int]] = []
    for _ in run(jobs.square, range(30), shared=0, workers=2, progress=lambda *a: seen.append(a)):
        pass
    assert seen == [(done, 30) for done in range(1, 31)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_item_that_raises_is_a_failure_and_the_others_are_done(jobs, workers):
    results = dict(run(jobs.raise_on, range(60), shared=(3, 41), workers=workers))
    failures = {index: one for index, one in results.items() if isinstance(one, Failure)}
    assert {index: one.reason for index, one in failures.items()} == {
        3: "3 is bad",
        41: "41 is bad",
    }
    assert all(isinstance(one.error, ValueError) for one in failures.values())
    assert "raise_on" in failures[3].error.__notes__[0]
    assert sum(index == one for index, one in results.items()) == 58


@pytest.mark.parametrize(
    ("function", "reason"),
    [("crash_on", r"crashed \(exit status 11\)"), ("kill_on", "was killed")],
)
def test_only_the_item_that_ends_its_process_fails(jobs, function, reason):
    results = dict(run(getattr(jobs, function), range(200), shared=(0, 77, 199), workers=2))
    failures = {index: one for index, one in results.items() if isinstance(one, Failure)}
    assert sorted(failures) == [0, 77, 199]
    for one in failures.values():
        assert re.search(reason, one.reason)
        assert one.error is None
    assert sum(index == one for index, one in results.items()) == 197


def test_an_item_whose_process_was_killed_once_is_done_again(jobs, tmp_path):
    assert dict(run(jobs.kill_once, range(2), shared=str(tmp_path), workers=2)) == {0: 0, 1: 1}
    assert {"0", "1"} < {path.name for path in tmp_path.iterdir()}


def test_a_result_or_an_exception_that_cannot_be_sent_is_a_failure(jobs):
    locks = dict(run(jobs.lock, range(2), shared=None, workers=2))
    assert all("not sendable" in one.reason for one in locks.values())
    odd = dict(run(jobs.raise_odd, range(2), shared=None, workers=2))
    assert [one.reason for one in odd.values()] == ["Odd: this and that"] * 2


def test_what_a_worker_prints_is_no_result(jobs):
    assert len(dict(run(jobs.print_much, range(20), shared=None, workers=2))) == 20


def test_numerical_libraries_have_one_thread_in_a_worker(jobs):
    for limits, opencv, openmp in dict(run(jobs.threads, range(2), shared=0, workers=2)).values():
        assert (limits, opencv, openmp) == ({1}, 1, "1")


def test_each_worker_has_a_place_of_its_own(jobs, tmp_path):
    (tmp_path / "places").mkdir()
    folder = str(tmp_path / "places")
    places = dict(run(jobs.place_once_all_are_here, range(2), shared=folder, workers=2))
    assert sorted(places.values()) == [0, 1]
    assert place() is None


def test_work_that_only_this_process_knows_is_done_here_with_a_warning():
    with pytest.warns(RuntimeWarning, match="in this process alone"):
        results = dict(run(lambda item, _: os.getpid(), range(4), shared=None, workers=2))
    assert set(results.values()) == {os.getpid()}


def test_processes_that_cannot_start_are_one_error(jobs, monkeypatch, tmp_path):
    for executable in (str(tmp_path / "no_python"), "/bin/false"):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(InputError, match="workers=1"):
            list(run(jobs.square, range(9), shared=0, workers=2))


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def wait_until(condition) -> None:
    """Wait as long as a very slow machine may take."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come to pass in two minutes")


PARENT = """
import signal, sys
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, above the tests, has it ignored
sys.path.insert(0, sys.argv[1])
import some_jobs
from equiderm.engine import run
list(run(some_jobs.say_pid_and_wait, range(4), shared=sys.argv[2], workers=2))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP"])
def test_workers_end_with_their_parent_however_it_ends(jobs, tmp_path, name):
    pids = tmp_path / "pids"
    pids.mkdir()
    arguments = [str(tmp_path / "installed"), str(pids)]
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *arguments], start_new_session=True)
    wait_until(lambda: len(list(pids.iterdir())) == 2)
    parent.send_signal(getattr(signal, name))
    parent.wait()
    workers = [int(path.name) for path in pids.iterdir()]
    wait_until(lambda: not any(map(is_running, workers)))


def test_a_worker_ends_in_the_middle_of_an_item_when_its_pipe_closes(jobs, tmp_path):
    """What ends it where the kernel does not: on macOS and Windows."""
    import equiderm.engine as engine

    pool = engine._Pool(
        engine.pickle.dumps((jobs.say_pid_and_wait, str(tmp_path))), Chunks(range(2), 1, 1), 2, 1
    )
    pool._share_out()
    child, _ = pool._inbox.get(timeout=120)
    child.ready = True
    pool._share_out()
    wait_until(lambda: [path for path in tmp_path.iterdir() if path.name.isdigit()])
    child._tasks.close()
    assert child._process.wait(timeout=120) == 0
    child._results.close()


def test_closing_the_results_ends_the_workers(jobs, tmp_path):
    with closing(run(jobs.square, range(10**6), shared=0, workers=2)) as results:
        next(results)
        children = [int(one) for one in children_of(os.getpid())]
        assert len(children) >= 1
    wait_until(lambda: not any(map(is_running, children)))


def test_a_kept_worker_serves_every_call_and_another_takes_its_place_when_it_fails(jobs):
    kept = Kept(jobs.process_of, None)
    first, same = kept.run(["a", "b"], seconds=120)
    assert kept.run(["c"], seconds=120) == [first] == [same]
    slow, left = kept.run(["wait", "d"], seconds=0.2)
    assert "not done within" in slow.reason
    assert "not done within" in left.reason
    crash, second = kept.run(["crash", "e"], seconds=120)
    assert "crashed" in crash.reason
    assert second != first
    wait_until(lambda: not is_running(first))
    kept.close()
    wait_until(lambda: not is_running(second))


def children_of(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


SHADOWS = (
    "random", "queue", "typing", "cv2", "numpy", "threadpoolctl", "sitecustomize", "equiderm",
)  # fmt: skip


@pytest.fixture
def hostile(tmp_path):
    """A working folder whose files are called like modules, and note that they were run."""
    from PIL import Image

    folder = tmp_path / "hostile"
    (folder / "in").mkdir(parents=True)
    for number in range(6):
        Image.new("RGB", (64, 64), (205, 160, 135)).save(folder / "in" / f"{number}.png")
    for name in SHADOWS:
        (folder / f"{name}.py").write_text(f"open('RAN-{name}', 'w')\nraise SystemExit\n")
    return folder


SCRIPT = "import equiderm; print(equiderm.label('in', workers=2)['error'].isna().sum())"


@pytest.mark.parametrize(
    "command",
    [
        ["-P", "-m", "equiderm", "label", "in", "-o", "t.csv", "--workers", "2", "--json"],
        ["-P", "-c", SCRIPT],
    ],
)
def test_no_file_of_the_working_folder_is_run_by_workers(hostile, command):
    environment = {**os.environ, "PYTHONPATH": str(Path(run.__code__.co_filename).parents[2])}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=hostile, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "6" in done.stdout
    assert not list(hostile.glob("RAN*"))


def test_ctrl_c_while_a_command_starts_ends_it_without_a_word(tmp_path):
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "equiderm", "--help"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_python_m_equiderm_runs_no_file_of_the_working_folder(hostile):
    for name in ("sitecustomize", "equiderm"):  # python -m finds this one before it is anybody's
        (hostile / f"{name}.py").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "equiderm", "label", "in", "-o", "t.csv", "--workers", "2"],
        cwd=hostile, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list(hostile.glob("RAN*"))


UNGUARDED = textwrap.dedent(
    """
    import equiderm
    print("once")
    print(equiderm.label("in", workers=2)["error"].isna().sum())
    """
)
NESTED = textwrap.dedent(
    """
    import multiprocessing
    import equiderm

    def count(_):
        return int(equiderm.label("in", workers=2)["error"].isna().sum())

    if __name__ == "__main__":
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print("once", *pool.map(count, [0]), sep="\\n")
    """
)


@pytest.mark.parametrize("script", [UNGUARDED, NESTED])
@pytest.mark.parametrize("way", ["file", "stdin"])
def test_a_script_needs_no_main_guard_and_may_be_a_worker_itself(tmp_path, script, way):
    if script is NESTED and way == "stdin":
        pytest.skip("Python's own pool cannot read such a script")
    from PIL import Image

    (tmp_path / "in").mkdir()
    for number in range(6):
        Image.new("RGB", (64, 64), (205, 160, 135)).save(tmp_path / "in" / f"{number}.png")
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py" if way == "file" else "-"],
        input=script if way == "stdin" else None,
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["once", "6"], done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a call of Linux")
def test_default_workers_are_the_cores_that_this_process_may_use():
    code = (
        "import os; from equiderm.engine import default_workers\n"
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(default_workers())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
    assert default_workers() >= 1
