"""The rooms of CONTRIBUTING.md stand in an order: an import goes down, or stays in its room."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import equiderm

ROOT = Path(equiderm.__file__).parent
PAGE = ROOT.parents[1] / "CONTRIBUTING.md"
ROW = re.compile(r"^\| (?P<rooms>`[^|]+`) \| [^|]+ \| (?P<torch>yes|) *\|$", re.M)
HEAVY = {"torch", "torchvision", "timm", "accelerate", "safetensors"}


class Import(NamedTuple):
    """One import of one module, wherever in the file it stands."""

    importer: str
    imported: str


class Order(NamedTuple):
    """How high each room stands, 0 the lowest, and which may use torch."""

    height: dict[str, int]
    torch: set[str]


def read_order(text: str) -> Order:
    """Return the order of the rooms, a row of the table each height, the lowest first."""
    rows = [
        (re.findall(r"`(\w+)`", row["rooms"]), bool(row["torch"])) for row in ROW.finditer(text)
    ]
    height = {room: place for place, (names, _) in enumerate(rows) for room in names}
    return Order(height, {room for names, torch in rows if torch for room in names})


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """Return the room of a module of ours; the package itself is `__init__`."""
    return [*module.split("."), "__init__"][1]


def imports(root: Path) -> list[Import]:
    """Return every import that runs, wherever it stands; those for type checkers do not."""
    files = {module_name(path, root): path for path in sorted(root.rglob("*.py"))}
    return [
        Import(name, target)
        for name, path in files.items()
        for target in _targets(ast.parse(path.read_text("utf-8")), name, path, set(files))
    ]


def _targets(node: ast.AST, name: str, path: Path, known: set[str]) -> Iterator[str]:
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = package[: len(package) - child.level + 1] if child.level else []
            module = ".".join([*base, *([child.module] if child.module else [])])
            for alias in child.names:
                whole = f"{module}.{alias.name}"
                yield whole if whole in known else module
        yield from _targets(child, name, path, known)


def wrong_arrows(root: Path, order: Order) -> list[str]:
    """Return what imports upwards, sideways, or torch where it may not."""
    wrong: list[str] = []
    for one in imports(root):
        room, target = room_of(one.importer), one.imported.split(".")[0]
        if target in HEAVY and room not in order.torch:
            wrong.append(f"{one.importer} imports {one.imported}")
        if target != root.name or room in ("__init__", "__main__"):
            continue
        other = room_of(one.imported)  # the package itself holds its version and lies below all
        if other not in (room, "__init__") and order.height[other] >= order.height[room]:
            wrong.append(f"{one.importer} imports {one.imported}")
    return wrong


def circle(root: Path) -> list[str]:
    """Return modules that import each other, at once or from inside a function; none if it can."""
    graph: dict[str, set[str]] = {}
    for one in imports(root):
        ours = one.imported.split(".")[0] == root.name and one.imported != one.importer
        if ours:
            graph.setdefault(one.importer, set()).add(one.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


ORDER = read_order(PAGE.read_text(encoding="utf-8"))


def test_the_table_of_rooms_is_that_of_the_folder():
    there = {path.stem for path in ROOT.iterdir() if path.suffix == ".py"}
    there |= {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert set(ORDER.height) == there - {"__init__", "__main__"}


def test_every_import_goes_down_or_stays_in_its_room():
    assert wrong_arrows(ROOT, ORDER) == []


def test_no_modules_import_each_other_not_even_from_inside_a_function():
    assert circle(ROOT) == []


@pytest.fixture
def house(tmp_path):
    """A small package of three rooms, the order of which is right."""
    files = {
        "low/__init__.py": "",
        "low/a.py": "import os\n",
        "beside.py": "from equiderm.low import a\n",
        "high/__init__.py": "",
        "high/b.py": "from equiderm.low.a import x\nimport torch\n",
    }
    root = tmp_path / "equiderm"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "__init__.py").write_text("")
    return root


SMALL = read_order("| `low` | x | |\n| `beside`, `level` | x | |\n| `high` | x | yes |\n")


def test_a_house_in_order_has_no_wrong_arrow(house):
    assert SMALL.height == {"low": 0, "beside": 1, "level": 1, "high": 2}
    assert wrong_arrows(house, SMALL) == []
    assert circle(house) == []


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("low/a.py", "from equiderm.high import b", "low.a imports equiderm.high.b"),
        ("low/a.py", "import equiderm.high.b", "low.a imports equiderm.high.b"),
        ("low/a.py", "from ..high.b import x", "low.a imports equiderm.high.b"),
        ("low/a.py", "def f():\n    from equiderm import high", "low.a imports equiderm.high"),
        ("low/a.py", "def f():\n    import torch.nn", "low.a imports torch.nn"),
        ("level.py", "import equiderm.beside", "level imports equiderm.beside"),
    ],
)
def test_a_planted_wrong_arrow_is_seen(house, file, text, said):
    (house / file).write_text(text)
    assert wrong_arrows(house, SMALL) == [f"equiderm.{said}"]


def test_an_import_for_type_checkers_alone_is_no_arrow(house):
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import equiderm.high.b\n"
    (house / "low" / "a.py").write_text(text)
    assert wrong_arrows(house, SMALL) == []


@pytest.mark.parametrize("back", ["import equiderm.low.c", "def f():\n    import equiderm.low.c"])
def test_a_planted_circle_is_seen_though_a_function_breaks_it(house, back):
    (house / "low" / "a.py").write_text(back)
    (house / "low" / "c.py").write_text("from equiderm.low import a")
    assert {"equiderm.low.a", "equiderm.low.c"} == set(circle(house))
