"""Small faults planted one at a time: do the tests see each?

    python bench/mutants.py [--only debias] [--sample 40] [--seed 0] [--list]

A fault is a change of one operator, number, comparison, condition or returned value in a function
of `ROOMS` (debias, training, the audit's statistics, tone's measuring, the sources' tables). It is
planted in a copy of the package, and the room's tests run there until the first fails. A fault
that no test sees is printed with its line: read it, and write the test, or note why it changes
nothing. Messages, docstrings and types are not changed.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HOME = Path(__file__).parents[1]
PACKAGE = HOME / "src" / "equiderm"
LIMIT = 900  # s; a fault that makes the tests hang is one that they see
# Each room: the files that are changed, and the tests that are to see it.
ROOMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "debias": (("debias/*.py",), ("tests/debias",)),
    "training": (
        ("training/loop.py", "training/rows.py", "training/checkpoint.py", "training/probe.py",
         "training/predict.py", "training/averaging.py"),
        ("tests/training",),
    ),
    "audit": (
        ("audit/metrics.py", "audit/groups.py", "audit/gaps.py", "audit/differences.py",
         "audit/counting.py", "audit/verdict.py", "statistics/*.py"),
        ("tests/statistics", "tests/audit"),
    ),
    "tone": (
        ("tone/color.py", "tone/skin.py", "tone/view.py", "tone/estimators.py", "tone/robust.py",
         "tone/scales.py"),
        ("tests/tone",),
    ),
    "sources": (("data/sources/*.py",), ("tests/data/test_sources.py",)),
}  # fmt: skip
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


def faults(tree: ast.Module) -> Iterator[tuple[int, str, int, int]]:
    """Yield the line, a description, the node's place and the number of every fault of a file."""
    nodes = list(ast.walk(tree))
    skipped = {id(one) for node in nodes for one in _words(node)}
    for place, node in enumerate(nodes):
        if id(node) in skipped:
            continue
        for number, (what, _) in enumerate(_changes(node)):
            yield getattr(node, "lineno", 0), what, place, number


def planted(path: Path, place: int, number: int) -> str:
    """Return the source of a file with one fault."""
    tree = ast.parse(path.read_text())
    node = list(ast.walk(tree))[place]
    list(_changes(node))[number][1](node)
    return ast.unparse(tree)


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


def is_seen(tests: tuple[str, ...], home: Path) -> bool:
    """Return whether the tests fail on the package in a folder."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(home), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, cwd=HOME, env=environment, capture_output=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main() -> int:
    """Plant a sample of the faults and print those that nobody saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(ROOMS))
    parser.add_argument("--sample", type=int, default=20, help="faults of each room; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="print the faults, run nothing")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        shutil.copytree(PACKAGE, home / "equiderm", ignore=shutil.ignore_patterns("__pycache__"))
        for room in given.only.split(","):
            files, tests = ROOMS[room]
            paths = sorted({path for pattern in files for path in PACKAGE.glob(pattern)})
            every = [(path, *one) for path in paths for one in faults(ast.parse(path.read_text()))]
            rng = random.Random(f"{given.seed} {room}")
            chosen = rng.sample(every, min(given.sample or len(every), len(every)))
            print(f"{room}: {len(every):,} faults, {len(chosen)} of them planted", flush=True)
            if not given.list and is_seen(tests, home):
                raise SystemExit(f"{room}: its tests fail without a fault")
            for path, line, what, place, number in chosen:
                where = f"{path.relative_to(PACKAGE)}:{line}: {what}"
                if given.list:
                    print(f"  {where}")
                    continue
                target = home / "equiderm" / path.relative_to(PACKAGE)
                target.write_text(planted(path, place, number))
                seen = is_seen(tests, home)
                shutil.copy(path, target)
                counts[f"{room} {'seen' if seen else 'not seen'}"] += 1
                if not seen:
                    source = path.read_text().splitlines()[line - 1].strip()
                    print(f"  not seen: {where}: {source}", flush=True)
            print(f"{room}: {counts[f'{room} seen']} of {len(chosen)} seen", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
