"""Small faults planted one at a time: do the tests see each?

    python bench/mutants.py [--only debias] [--sample 40] [--seed 0] [--keep FOLDER]

A fault is a change of one operator, number, comparison, condition or returned value in a function
of `ROOMS` (debias, training, the audit's statistics, tone's measuring, the sources' tables). It is
planted in a copy of the package, and the room's tests run there until the first fails: those that
run its line, the quickest first, of a minute of processor time in all. A fault that no test sees is
printed with its line: read it, and write the test, or note why it changes nothing. One with which
the tests do not end counts as seen and is printed, too: on a busy machine it may only be slow.
Messages, docstrings and types are not changed.

Every run is a fork of a process that has imported the libraries: Linux and macOS only.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import gc
import importlib
import json
import math
import os
import py_compile
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import coverage
import pytest

HOME = Path(__file__).parents[1]
PACKAGE = HOME / "src" / "equiderm"
LIMIT = 1800  # s; for a room without a fault
ENOUGH = 60  # s of tests for a fault; where they see nothing, more would seldom see more
AT_MOST = 60 + 10 * ENOUGH  # s by the clock; one that makes tests hang is one that they see
AT_IMPORT = 99  # a status: the fault is in what runs when its file is imported
BROKEN = 98  # another: a fault of this script
SAYS = os.fdopen(os.dup(1), "w", buffering=1)  # the standard output, wherever a fork's leads
LOG = f"{tempfile.gettempdir()}/mutants-{os.getpid()}.log"  # what the latest run of tests printed
LIBRARIES = ("cv2", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn", "timm")
# The warning: a library that is also a plugin of pytest was imported before it.
WARNING = "ignore::pytest.PytestAssertRewriteWarning"
OPTIONS = ["-x", "-q", "-s", "-p", "no:cacheprovider", "-W", WARNING]
# Each room: the files that are changed, and the tests that are to see it.
ROOMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "debias": (("debias/[!_]*.py",), ("tests/debias", "tests/training/test_experiment.py")),
    "training": (
        ("training/loop.py", "training/rows.py", "training/checkpoint.py", "training/probe.py",
         "training/predict.py", "training/averaging.py"),
        ("tests/training",),
    ),
    "audit": (
        ("audit/adjust.py", "audit/along.py", "audit/calibration.py", "audit/class_figures.py",
         "audit/classes.py", "audit/comparable.py", "audit/condition.py", "audit/confusions.py",
         "audit/counters.py", "audit/counting.py", "audit/designs.py", "audit/differences.py",
         "audit/find.py", "audit/gaps.py", "audit/groups.py", "audit/influence.py",
         "audit/label_error.py", "audit/metrics.py", "audit/planning.py", "audit/power.py",
         "audit/sampling.py", "audit/subsets.py", "audit/thirds.py", "audit/thresholds.py",
         "audit/verdict.py", "statistics/*.py"),
        ("tests/statistics", "tests/audit"),
    ),
    "tone": (
        ("tone/color.py", "tone/corrections.py", "tone/estimate.py", "tone/estimators.py",
         "tone/fitted_scheme.py", "tone/robust.py", "tone/scales.py", "tone/skin.py",
         "tone/splines.py", "tone/view.py"),
        ("tests/tone", "tests/test_records.py",
         *(f"tests/agreement/test_{name}.py" for name in ("calibrate", "crossfit", "cuts"))),
    ),
    "sources": (
        ("data/sources/*.py",),
        ("tests/data/test_sources.py", "tests/data/test_unmoved.py", "tests/test_columns.py"),
    ),
}  # fmt: skip
DRAWN = {"debias/describe.py", "debias/flow.py"}  # pages and figures of the documents
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


class Fault(NamedTuple):
    """One fault: its file, line and description, and which change of which node it is."""

    path: Path
    line: int
    what: str
    place: int
    number: int

    @property
    def file(self) -> str:
        """The file within the package."""
        return str(self.path.relative_to(PACKAGE))

    def __str__(self) -> str:
        source = self.path.read_text().splitlines()[self.line - 1].strip()
        return f"{self.file}:{self.line}: {self.what}: {source}"


def faults(tree: ast.Module) -> Iterator[tuple[int, str, int, int]]:
    """Yield the line, a description, the node's place and the number of every fault of a file."""
    nodes = list(ast.walk(tree))
    skipped = {id(one) for node in nodes for one in _words(node)}
    for place, node in enumerate(nodes):
        if id(node) in skipped:
            continue
        for number, (what, _) in enumerate(_changes(node)):
            yield getattr(node, "lineno", 0), what, place, number


def planted(path: Path, place: int, number: int) -> ast.Module:
    """Return the tree of a file with one fault."""
    tree = ast.parse(path.read_text())
    node = list(ast.walk(tree))[place]
    list(_changes(node))[number][1](node)
    return tree


def _words(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is below a message, an annotation or a raise: not changed."""
    if isinstance(node, ast.Raise | ast.JoinedStr):
        yield from ast.walk(node)
    for name in ("annotation", "returns", "decorator_list"):
        part = getattr(node, name, None) or []
        for one in part if isinstance(part, list) else [part]:
            yield from ast.walk(one)


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[Any], object]]]:
    operator = getattr(node, "op", None)
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(operator) in SWAPS:
        other = SWAPS[type(operator)]
        yield (
            f"{type(operator).__name__} -> {other.__name__}",
            lambda one: setattr(one, "op", other()),
        )
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in SWAPS:
        instead = SWAPS[type(node.ops[0])]
        yield (
            f"{type(node.ops[0]).__name__} -> {instead.__name__}",
            lambda one: setattr(one, "ops", [instead()]),
        )
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield "sign or not dropped", _without_operator
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        value = node.value
        yield f"{value} -> {value + 1}", lambda one: setattr(one, "value", value + 1)
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        truth = not node.value
        yield f"{not truth} -> {truth}", lambda one: setattr(one, "value", truth)
    if isinstance(node, ast.Return) and not isinstance(node.value, ast.Constant | None):
        yield "returns None", lambda one: setattr(one, "value", ast.Constant(None))


def _without_operator(node: ast.UnaryOp) -> None:
    """Make ``-x`` or ``not x`` into ``+x`` or ``not not x``."""
    if isinstance(node.op, ast.USub):
        node.op = ast.UAdd()
    else:
        node.operand = ast.UnaryOp(ast.Not(), node.operand)


class Watched(NamedTuple):
    """The tests of a room: processor time of each (s), and by file and line which run it."""

    seconds: dict[str, float]
    lines: dict[str, dict[str, list[str]]]

    def order(self, fault: Fault, *, at_import: bool = False) -> list[str]:
        """Return the tests that run the line of a fault, the quickest first, of a minute."""
        of_line = self.lines.get(fault.file, {}).get(str(fault.line), [])
        running = {test for test in of_line if test in self.seconds}
        if (
            at_import or not running
        ):  # whoever imports it first, or in a process of its own: any may
            running = set(self.seconds)
        order: list[str] = []
        left = ENOUGH
        for test in sorted(running, key=self.seconds.__getitem__):
            left -= self.seconds[test]
            if order and left < 0:
                break
            order.append(test)
        return order


class Server:
    """In pytest, the tests collected: watches them, then plants faults in forks of itself."""

    def __init__(self, home: Path, note: Path, faults: list[Fault]) -> None:
        self.home, self.note, self.faults = home, note, faults

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Note how each fault ended: 0 where no test sees it, `AT_IMPORT` where not planted."""
        if not self.note.exists() and in_fork(lambda: self.watch(session), LIMIT):
            print(f"{Path(LOG).read_text()[-2000:]}\nits tests fail without a fault", file=SAYS)
            return True
        watched = Watched(*json.loads(self.note.read_text()))
        print(f"{len(watched.seconds)} tests, {sum(watched.seconds.values()):.0f} s", file=SAYS)
        items = {item.nodeid: item for item in session.items}
        ended: list[int] = []
        for fault in self.faults:
            order = [items[name] for name in watched.order(fault) if name in items]
            with on_disk(fault, self.home):
                work = lambda: exchange(fault, self.home) or run(session, order)  # noqa: B023, E731
                ended.append(in_fork(work, AT_MOST))
        (self.home / "ended.json").write_text(json.dumps(ended))
        return True

    def watch(self, session: pytest.Session) -> int:
        """Run every test once, and write what it takes and which lines it runs."""
        seen = coverage.Coverage(data_file=None, source=[str(self.home / "equiderm")])
        seconds: dict[str, float] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package was imported before
            seen.start()
        for item, after in zip(session.items, [*session.items[1:], None], strict=True):
            seen.switch_context(item.nodeid)
            start, failed = sum(os.times()[:4]), session.testsfailed
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if session.testsfailed > failed:
                print(f"  fails without a fault, left out: {item.nodeid}", file=SAYS)
                continue
            seconds[item.nodeid] = sum(os.times()[:4]) - start
        seen.stop()
        data = seen.get_data()
        lines = {
            str(Path(file).relative_to(self.home / "equiderm")): data.contexts_by_lineno(file)
            for file in data.measured_files()
        }
        self.note.write_text(json.dumps([seconds, lines]))
        return 0


def run(session: pytest.Session, items: list[pytest.Item]) -> int:
    """Return 1 where one of the tests fails, and then do not run the others."""
    for item, after in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if session.testsfailed:
            return 1
    return 0


def exchange(fault: Fault, home: Path) -> int:
    """Put a fault's code into the functions of this process; `AT_IMPORT` where that is not all."""
    path = str(home / "equiderm" / fault.file)
    tree = ast.fix_missing_locations(planted(fault.path, fault.place, fault.number))
    codes: dict[tuple[str, int], list[CodeType]] = {}
    left = [compile(tree, path, "exec")]
    while left:
        inner = [one for one in left.pop().co_consts if isinstance(one, CodeType)]
        left += inner
        for code in inner:
            codes.setdefault((code.co_qualname, code.co_firstlineno), []).append(code)
    changed = 0
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__code__.co_filename == path:
            old = one.__code__
            fresh = codes.get((old.co_qualname, old.co_firstlineno), [])
            if len(fresh) != 1 or fresh[0].co_freevars != old.co_freevars:
                continue
            changed += fresh[0] != old
            one.__code__ = fresh[0]
    return 0 if changed else AT_IMPORT


@contextlib.contextmanager
def on_disk(fault: Fault, home: Path) -> Iterator[None]:
    """Keep a fault in the copy of the package, for the processes that tests start."""
    copy = home / "equiderm" / fault.file
    copy.write_text(ast.unparse(planted(fault.path, fault.place, fault.number)))
    try:
        yield
    finally:
        shutil.copy(fault.path, copy)


def in_fork(work: Callable[[], int], limit: float) -> int:
    """Return the status of work that is done in a fork; of one that takes too long, not 0."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setpgid(0, 0)
            log = os.open(LOG, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            for stream in (0, 1, 2):
                os.dup2(log, stream)
            status = int(work())
        except Exception:  # ours, not a test's
            traceback.print_exc()
            status = BROKEN
        finally:
            os._exit(status)
    until = time.monotonic() + limit
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > until:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # what its tests started
    if (status := os.waitstatus_to_exitcode(ended[1])) == BROKEN:
        raise SystemExit(Path(LOG).read_text()[-2000:])
    return status


def unseen(room: str, home: Path, note: Path, faults: list[Fault]) -> list[Fault]:
    """Return the faults that no test of a room sees; what its tests run is noted in a file."""
    server = Server(home, note, faults)
    in_fork(lambda: pytest.main([*OPTIONS, *ROOMS[room][1]], plugins=[server]), math.inf)
    if not (home / "ended.json").exists():
        raise SystemExit(f"{Path(LOG).read_text()[-2000:]}\n{room}: see above")
    watched = Watched(*json.loads(note.read_text()))
    missed: list[Fault] = []
    for fault, status in zip(faults, json.loads((home / "ended.json").read_text()), strict=True):
        if status == AT_IMPORT:  # the tests import the package with it
            order = watched.order(fault, at_import=True)
            files = sorted({test.partition("::")[0] for test in order})
            with on_disk(fault, home):
                work = lambda: pytest.main([*OPTIONS, *files], plugins=[Chosen(order)])  # noqa: B023, E731
                status = in_fork(work, AT_MOST)
        if status == 0:
            missed.append(fault)
        if status == -signal.SIGKILL:
            print(f"  its tests do not end: {fault}")
    (home / "ended.json").unlink()
    return missed


class Chosen:
    """What pytest runs: chosen tests in a chosen order."""

    def __init__(self, order: list[str]) -> None:
        self.order = {test: place for place, test in enumerate(order)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the tests that were chosen, in their order."""
        items[:] = [item for item in items if item.nodeid in self.order]
        items.sort(key=lambda item: self.order[item.nodeid])


def prepare(home: Path) -> None:
    """Copy the package, to be imported from there by forks and by what they start."""
    shutil.copytree(PACKAGE, home / "equiderm", ignore=shutil.ignore_patterns("__pycache__"))
    # Bytecode by the hash of its source: by its time it would be stale after two quick changes.
    compileall.compile_dir(
        home, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
    )
    sys.path.insert(0, str(home))
    os.environ |= {"PYTHONPATH": str(home), "OMP_NUM_THREADS": "1"}
    os.chdir(HOME)
    for library in LIBRARIES:
        importlib.import_module(library)


def drawn(rooms: list[str], sample: int, seed: int) -> dict[str, list[Fault]]:
    """Return a random sample of the faults of all rooms, by room."""
    every = [
        (room, Fault(path, *one))
        for room in rooms
        for path in sorted({path for pattern in ROOMS[room][0] for path in PACKAGE.glob(pattern)})
        if str(path.relative_to(PACKAGE)) not in DRAWN
        for one in faults(ast.parse(path.read_text()))
    ]
    size = min(sample or len(every), len(every))
    chosen = random.Random(seed).sample(every, size)
    print(f"{len(every):,} faults, {size:,} of them drawn", flush=True)
    return {room: [fault for of, fault in chosen if of == room] for room in rooms}


def main() -> int:
    """Plant a sample of the faults and print those that nobody saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(ROOMS))
    parser.add_argument("--sample", type=int, default=100, help="faults of all rooms; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder of which tests run a line, for more runs")
    parser.add_argument("--list", action="store_true", help="print the faults, run nothing")
    given = parser.parse_args()
    chosen = drawn(given.only.split(","), given.sample, given.seed)
    if given.list:
        print("\n".join(str(fault) for faults in chosen.values() for fault in faults))
        return 0
    seen = 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        prepare(home)
        for name, of_room in chosen.items():
            note = (given.keep or home) / f"{name}-tests.json"
            missed = unseen(name, home, note, of_room) if of_room else []
            for fault in missed:
                print(f"  not seen: {fault}")
            seen += len(of_room) - len(missed)
            print(f"{name}: {len(of_room) - len(missed)} of {len(of_room)} seen", flush=True)
        # Not before: the forks import the package with its fault.
        from equiderm.statistics.intervals import wilson

    size = sum(map(len, chosen.values()))
    low, high = wilson(seen / size, size)
    print(f"{seen} of {size} seen: {seen / size:.1%} (95 % interval {low:.1%} to {high:.1%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
