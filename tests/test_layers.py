"""Dependencies point one way: an import against the arrows fails here."""

import ast
from pathlib import Path

import equiderm

ROOT = Path(equiderm.__file__).parent
GROUND = {
    "errors",
    "files",
    "page",
    "photo",
    "identity",
    "columns",
    "format",
    "statistics",
    "__init__",
}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "format": set(),
    "files": {"errors"},
    "page": {"__init__"},
    "photo": {"errors", "files"},
    "identity": {"errors", "files", "columns"},
    "columns": {"errors", "files"},
    "statistics": {"errors", "format"},
    "batch": set(),
    "models": GROUND,
    "tone": GROUND,
    "agreement": GROUND | {"tone"},
    "audit": GROUND,
    "data": GROUND | {"tone", "batch"},
    "debias": GROUND | {"models", "batch"},
    "training": GROUND | {"data", "debias", "models", "audit", "batch"},
    "compare": GROUND | {"tone", "data", "debias", "training", "audit", "models", "batch"},
    "reproduce": GROUND | {"tone", "agreement", "data", "training", "audit", "compare"},
    "demo": GROUND | {"tone", "data", "training", "audit", "compare"},
}
TOP = {"cli", "web", "__main__"}  # may import anything; nothing imports them
HEAVY = {"torch", "torchvision", "timm", "accelerate", "safetensors"}
MAY_USE_TORCH = {"batch", "models", "debias", "training", "compare", "reproduce", "cli"}


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    """Return every module that a file imports, wherever in the file, in absolute form."""
    names: set[str] = set()
    package = ["equiderm", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return names


SOURCES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


def test_every_module_belongs_to_a_known_layer():
    unknown = {layer_of(path) for path in SOURCES} - set(MAY_IMPORT) - TOP
    assert not unknown, f"name them in MAY_IMPORT: {unknown}"


def test_no_import_goes_against_the_arrows():
    wrong: list[str] = []
    for path in SOURCES:
        layer = layer_of(path)
        if layer in TOP:
            continue
        for name in imported(path):
            parts = name.split(".")
            if parts[0] != "equiderm" or len(parts) < 2:
                continue
            target = (
                parts[1]
                if (ROOT / parts[1]).exists() or (ROOT / f"{parts[1]}.py").exists()
                else "__init__"
            )
            if target != layer and target not in MAY_IMPORT[layer]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, wrong


def test_only_the_training_side_names_torch():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in SOURCES
        if layer_of(path) not in MAY_USE_TORCH
        for name in imported(path)
        if name.split(".")[0] in HEAVY
    ]
    assert not wrong, wrong


def test_the_layers_test_sees_a_wrong_arrow(tmp_path, monkeypatch):
    folder = tmp_path / "tone"
    folder.mkdir()
    (folder / "bad.py").write_text(
        "def f():\n    from equiderm.audit import report\n    import torch\n"
    )
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert imported(folder / "bad.py") == {"equiderm.audit.report", "torch"}
