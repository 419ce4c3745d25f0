"""Each long command, disturbed at random moments and started again: is the result the same?

    python bench/torture.py [--only label,train] [--by kill,full] [--moments 5] [--seed 0]

Every command runs once undisturbed. It is then disturbed at moments drawn over its whole time, and
given again until it ends well, as a user would do. It survived if nothing but the expected happened
(no traceback, no error that nobody foresaw, a full disk named) and the result is the undisturbed
one: the same tables, pixels and weights, nothing hidden left over.

- ``kill``: SIGKILL; ``term``: SIGTERM.
- ``full``: the outputs lie on a file system of a random size too small for them, which grows later.
- ``readonly``: the file system becomes read-only, and later writable again.
- ``vanish``: the file system is taken away (detached) and later put back.

The last three need root on Linux (they mount a tmpfs); elsewhere they are left out, and said so.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

EQUIDERM = [sys.executable, "-P", "-m", "equiderm"]
WAYS = ("kill", "term", "full", "readonly", "vanish")
TRIES = 4  # how often the command is given again before it counts as a dead end
PATIENCE = 300  # s
# What is different in every run by its nature.
VARIES = {
    "seconds", "made", "date", "created", "cost", "versions", "memory", "train_seconds", "time",
    "seconds_per_epoch", "costs", "output", "report", "pages", "wall", "peak_memory",
}  # fmt: skip


class Bench:
    """Inputs, made once, and the place of outputs, which can be disturbed."""

    def __init__(self, home: Path) -> None:
        self.home, self.out = home, home / "out"
        self.out.mkdir()
        self.behind = home / "behind"  # the file system itself; out is a view of it
        self.behind.mkdir()
        self.mounts = _can_mount(home)

    def equiderm(self, *words: str | Path) -> None:
        """Run a command that has to succeed."""
        command = [*EQUIDERM, *map(str, words), "-q"]
        done = subprocess.run(command, cwd=self.home, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{' '.join(command)}: {done.stderr}")

    def fresh(self, size: str = "2g") -> None:
        """Give the outputs an empty file system."""
        self.take_away()
        for folder in (self.behind, self.out):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(exist_ok=True)
        if self.mounts:
            _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.behind)
            self.put_back()

    def take_away(self) -> None:
        """Detach the view, and what lies behind it where nothing will come back."""
        if self.mounts:
            for folder in (self.out, self.behind):
                while _run("umount", "-l", folder):
                    pass

    def put_back(self) -> None:
        """Attach the view again."""
        if self.mounts and not os.path.ismount(self.out):
            shutil.rmtree(self.out, ignore_errors=True)  # what was written where nothing was
            self.out.mkdir(exist_ok=True)
            if not _run("mount", "--bind", self.behind, self.out):
                raise SystemExit(f"cannot mount {self.behind} at {self.out}")

    def read_only(self, on: bool) -> None:
        """Lay a read-only view over the other, which stays writable while a lock is open in it."""
        words = [("--bind", self.behind, self.out), ("-o", "remount,bind,ro", self.out)]
        if (
            not all(_run("mount", *one) for one in words)
            if on
            else not _run("umount", "-l", self.out)
        ):
            raise SystemExit(f"cannot make {self.out} {'read-only' if on else 'writable again'}")

    def grow(self) -> None:
        """End the shortage."""
        _run("mount", "-o", "remount,size=2g", self.behind)


def _run(*words: str | Path) -> bool:
    return subprocess.run([*map(str, words)], capture_output=True, check=False).returncode == 0


def _can_mount(home: Path) -> bool:
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    place = home / "try"
    place.mkdir()
    able = _run("mount", "-t", "tmpfs", "tmpfs", place)
    if able:
        _run("umount", place)
    return able


# Commands ----------------------------------------------------------------------------------------

EXPERIMENT = """
[method]
name = "{method}"
[backbone]
name = "test_resnet"
weights = "random"
[data]
group = "ita_band"
size = 32
[training]
epochs = {epochs}
batch_size = 16
[prediction]
views = 1
[validation]
figure = "none"
"""


def prepare(bench: Bench) -> dict[str, list[str]]:
    """Draw the inputs; return the words of each command."""
    home, out = bench.home, bench.out
    bench.equiderm("synthesize", home / "drawn", "--n", 160, "--test", 80, "--size", 64)
    manifest = home / "drawn" / "manifest.parquet"
    bench.equiderm("label", home / "drawn" / "images", "-o", home / "tones.parquet")
    bench.equiderm(
        "split", manifest, "--tones", home / "tones.parquet", "-o", home / "data.parquet"
    )
    for name, epochs in (("erm", 2), ("long", 12)):
        text = EXPERIMENT.format(method="erm", epochs=epochs)
        (home / f"{name}.toml").write_text(text)
    (home / "lntl.toml").write_text(EXPERIMENT.format(method="lntl", epochs=2))
    _tables(home)
    (home / "classes").mkdir()
    (home / "drawn" / "images").rename(home / "classes" / "drawn")
    (home / "drawn" / "images").symlink_to(home / "classes" / "drawn")
    data = ["--data", str(home / "data.parquet"), "--store", str(home / "store")]
    bench.equiderm("train", home / "erm.toml", *data, "-o", home / "warm")  # builds the store
    one = ["--workers", "1"]
    return {
        "label": ["label", f"{home}/drawn/images", "-o", f"{out}/tones.parquet", *one],
        "store": ["manifest", "folder", f"{home}/classes", "-o", f"{out}/m.parquet",
                  "--store", f"{out}/store", "--size", "128", *one],
        "train": ["train", f"{home}/long.toml", *data, "-o", f"{out}/run"],
        "compare": ["compare", f"{home}/erm.toml", f"{home}/lntl.toml", *data, "--seeds", "1",
                    "-o", f"{out}/page.html", *one],
        "audit": ["audit", f"{home}/scored.csv", "--by", "tone", "-o", f"{out}/audit.html",
                  "-o", f"{out}/audit.json"],
        "calibrate": ["calibrate", f"{home}/judged.csv", "--truth-column", "fitzpatrick_type",
                      "--column", "ita", "--column", "b", "--patient", "patient_id",
                      "-o", f"{out}/scheme.json", "--report", f"{out}/fit.html"],
        "duplicates": ["duplicates", f"{home}/drawn/images", "-o", f"{out}/pairs.csv",
                       "--report", f"{out}/pairs.html", *one],
        "synthesize": ["synthesize", f"{out}/drawn", "--n", "250", "--size", "96", *one],
    }  # fmt: skip


def _tables(home: Path) -> None:
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    rows = 3000
    target = rng.integers(0, 2, rows)
    frame = pd.DataFrame(
        {
            "image_id": [f"i{row}" for row in range(rows)],
            "patient_id": [f"p{row // 2}" for row in range(rows)],
            "tone": rng.choice(["light", "dark"], rows),
            "target": target,
            "score": 1 / (1 + np.exp(-(target + rng.normal(0, 1.2, rows)))),
        }
    )
    frame.to_csv(home / "scored.csv", index=False)
    ita = rng.uniform(-40, 70, rows)
    judged = np.clip(np.round((70 - ita) / 20 + rng.normal(0, 0.7, rows)), 1, 6).astype(int)
    frame = frame[["image_id", "patient_id"]].assign(
        ita=ita, b=15 + rng.normal(0, 3, rows), fitzpatrick_type=judged
    )
    frame.to_csv(home / "judged.csv", index=False)


# Results -----------------------------------------------------------------------------------------


def result(out: Path) -> dict[str, str]:
    """Return a hash of the content of every file below a folder, but pages and logs."""
    found: dict[str, str] = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.is_dir() or "log/" in name or path.suffix == ".html":
            if path.suffix == ".html":
                found[name] = "a page" if path.stat().st_size > 1000 else "no page"
            continue
        found[name] = hashlib.sha256(_content(path)).hexdigest()[:12]
    return found


def _content(path: Path) -> bytes:
    import pandas as pd

    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        return frame.drop(columns="path", errors="ignore").to_json(default_handler=str).encode()
    if path.suffix == ".json":
        return json.dumps(_lasting(json.loads(path.read_text())), sort_keys=True).encode()
    if path.parent.name == "page-tables":  # a cost is a ratio of times
        frame = pd.read_csv(path.with_suffix(".csv"))
        return frame.drop(columns="cost of a step", errors="ignore").to_csv().encode()
    return path.read_bytes()


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(one) for key, one in value.items() if key not in VARIES}
    if isinstance(value, list):
        return [_lasting(one) for one in value]
    return value


# Disturbances ------------------------------------------------------------------------------------


def start(bench: Bench, words: list[str]) -> subprocess.Popen[str]:
    """Start a command, its standard error in a file."""
    log = (bench.home / "stderr").open("w")
    return subprocess.Popen(
        [*EQUIDERM, *words, "-q"],
        cwd=bench.home,
        stdout=subprocess.DEVNULL,
        stderr=log,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def disturb(
    bench: Bench, words: list[str], way: str, moment: float, share: float, used: int
) -> tuple[int, str]:
    """Run a command, disturb it at a moment (s), and return its status and what it said.

    If it ends before, it is run again with half the time.
    """
    size = str(max(int(used * share), 4096)) if way == "full" else "2g"
    bench.fresh(size)
    process = start(bench, words)
    while way != "full" and _ends_within(process, moment):
        moment /= 2
        bench.fresh(size)
        process = start(bench, words)
    end: Callable[[], object] = lambda: None  # noqa: E731
    if way in ("kill", "term"):
        process.send_signal(signal.SIGKILL if way == "kill" else signal.SIGTERM)
    elif way == "readonly":
        bench.read_only(True)
        end = lambda: bench.read_only(False)  # noqa: E731
    elif way == "vanish":
        _run("umount", "-l", bench.out)
        end = bench.put_back
    elif way == "full":
        end = bench.grow
    try:
        status = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        status = -99
    time.sleep(0.2)  # its workers end with it
    end()
    return status, (bench.home / "stderr").read_text(errors="replace")


def _ends_within(process: subprocess.Popen[str], seconds: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.poll() is not None


def judge(
    bench: Bench, words: list[str], way: str, status: int, said: str, expected: dict[str, str]
) -> str:
    """Give the command again until it ends well; return what went wrong, "" if nothing did."""
    killed = {"kill": -signal.SIGKILL, "term": -signal.SIGTERM}.get(way)
    if status == -99:
        return "it did not end"
    if status not in (0, 2, killed):
        return f"ended with {status}: {said.strip()[-200:]}"
    if "Traceback" in said:
        return f"a traceback: {said.strip()[-200:]}"
    if way == "full" and status == 2 and "full" not in said:
        return f"the full disk is not named: {said.strip()[-200:]}"
    if result(bench.out) == expected:
        return ""  # all that was left to do was to exit
    for _ in range(TRIES):
        again = start(bench, words)
        status = again.wait(PATIENCE)
        if status == 0:
            break
    else:
        last = (bench.home / "stderr").read_text(errors="replace").strip()[-200:]
        return f"a dead end ({status}): {last}"
    found = result(bench.out)
    if found != expected:
        wrong = sorted({*found.items()} ^ {*expected.items()})
        return f"another result: {', '.join(sorted({name for name, _ in wrong}))[:160]}"
    return ""


def main() -> int:
    """Print a line for each command and disturbance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--by", default=",".join(WAYS))
    parser.add_argument("--moments", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        try:
            return torture(bench, given)
        finally:
            bench.take_away()


def torture(bench: Bench, given: argparse.Namespace) -> int:
    """Disturb every command in every way."""
    ways = [way for way in given.by.split(",") if bench.mounts or way in ("kill", "term")]
    if len(ways) < len(given.by.split(",")):
        print("full, readonly and vanish need root on Linux: left out", file=sys.stderr)
    commands, failed = prepare(bench), 0
    for name in given.only.split(",") if given.only else commands:
        words = commands[name]
        bench.fresh()
        begun = time.monotonic()
        if (status := start(bench, words).wait(PATIENCE)) != 0:
            raise SystemExit(f"{name}: {status} {(bench.home / 'stderr').read_text()}")
        took = time.monotonic() - begun
        expected = result(bench.out)
        used = sum(path.stat().st_size for path in bench.out.rglob("*") if path.is_file())
        print(f"{name}: {took:.1f} s undisturbed, {len(expected)} files", flush=True)
        for way in ways:
            rng = random.Random(f"{given.seed} {name} {way}")
            survived = 0
            for _ in range(given.moments):
                moment, share = rng.uniform(0.3, took), rng.uniform(0.02, 0.95)
                status, said = disturb(bench, words, way, moment, share, used)
                wrong = judge(bench, words, way, status, said, expected)
                survived += not wrong
                if wrong:
                    failed += 1
                    when = f"{share:.0%} of its space" if way == "full" else f"{moment:.2f} s"
                    print(f"  {name}, {way} at {when}: {wrong}", flush=True)
            print(f"  {name} | {way} | survived {survived} of {given.moments}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
