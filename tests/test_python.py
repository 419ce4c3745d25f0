"""What a user of the package sees from Python: its names, its types, what it leaves alone."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import equiderm
from equiderm.agreement.tables import compare_tables
from equiderm.audit import audit_files
from equiderm.data.images import ImageStore, build_store
from equiderm.data.manifest import read_manifest, write_manifest
from equiderm.data.synthetic import synthesize, synthesize_to, write_archive
from equiderm.tables import read_table, write_table
from equiderm.tone.report import write_report
from equiderm.training import load_run, read_experiment, read_features

PACKAGE = Path(equiderm.__file__).parent
SOURCE = PACKAGE.parent

SCRIPT = """
from pathlib import Path

import numpy as np
import pandas as pd

import equiderm
from equiderm import InputError, ToneEstimate
from equiderm.audit import Audit, audit
from equiderm.tone import estimate

one: ToneEstimate = equiderm.estimate(np.zeros((9, 9, 3), np.uint8))
angle: float | None = one.ita
two: ToneEstimate = estimate(Path("a.jpg"))
table: pd.DataFrame = equiderm.label("photographs", workers=None)
result: Audit = audit(table, by="ita_band")
again: Audit = equiderm.audit.audit(table, by="ita_band")
low: float = result.gap("auroc").low
manifest: pd.DataFrame = equiderm.data.read_source("isic2018", Path("isic2018")).frame
try:
    equiderm.tone.label("photographs")
except InputError as error:
    print(error)
"""
WRONG = "text: str = one.ita\nequiderm.label(3)\n"
LAST = SCRIPT.count("\n")


def fresh(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_package_offers_its_public_names_and_nothing_else():
    submodules = (
        "agreement", "audit", "batch", "compare", "data", "debias", "photo", "reproduce", "tone",
        "training",
    )  # fmt: skip
    assert fresh("import equiderm; print(*dir(equiderm))").split() == sorted(
        [
            "InputError",
            "ProgressBar",
            "ToneEstimate",
            "__version__",
            "estimate",
            "label",
            *submodules,
        ]
    )


def test_every_offered_name_is_there():
    assert all(getattr(equiderm, name) is not None for name in dir(equiderm))


def test_a_submodule_is_there_without_an_import_of_its_own():
    code = "import equiderm; print(equiderm.audit.audit(target=[0, 1] * 9, score=[0.3, 0.6] * 9,"
    assert fresh(code + " by=['a', 'a', 'b'] * 6))") == "Audit(18 rows by group)"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'equiderm' has no attribute 'labels'"):
        equiderm.labels  # noqa: B018 - reading it is the test


def test_paths_are_text_or_paths(tmp_path):
    manifest = read_manifest(str(write_archive(synthesize(4, size=32, workers=1), str(tmp_path))))
    write_manifest(manifest, str(tmp_path / "again.parquet"))
    build_store(manifest, str(tmp_path / "store"), size=32, workers=1)
    assert ImageStore.open(str(tmp_path / "store")).images.shape == (4, 32, 32, 3)
    tones = equiderm.label(str(tmp_path / "images"), output=str(tmp_path / "t.csv"))
    assert len(tones) == 4
    assert write_report(tones, str(tmp_path / "t.html")) == [tmp_path / "t.html"]
    drawn, _ = synthesize_to(str(tmp_path / "drawn"), {"n": 4, "size": 32}, workers=1)
    assert len(read_table(str(drawn))) == 4
    write_table(tones, str(tmp_path / "u.csv"))
    with pytest.raises(equiderm.InputError, match=r"t\.csv and u\.csv both label only 4"):
        compare_tables([str(tmp_path / "t.csv"), str(tmp_path / "u.csv")])
    for read in (load_run, read_experiment, read_features):
        with pytest.raises(equiderm.InputError, match="nowhere"):
            read(str(tmp_path / "nowhere.csv"))
    with pytest.raises(equiderm.InputError, match="again"):
        audit_files(str(tmp_path / "again.parquet"))


def test_no_message_of_the_package_names_a_flag_of_a_command():
    flags = [
        f"{path.relative_to(PACKAGE)}: {text}"
        for path in PACKAGE.rglob("*.py")
        if "cli" not in path.parts
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("InputError", "PhotoError")
        for text in map(ast.unparse, call.args)
        if re.search(r"(?<![-\w])--[a-z]", re.sub(r"`(equiderm|isic) [^`]*`", "", text))
    ]
    assert flags == []


def check_with_mypy(script: Path) -> list[int]:
    (script.parent / "mypy.ini").write_text(
        "[mypy]\nfollow_imports = silent\n[mypy-torch.*]\nfollow_imports = skip\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", script.name],
        cwd=script.parent,
        env={**os.environ, "MYPYPATH": str(SOURCE)},
        capture_output=True,
        text=True,
    )
    assert not done.stderr, done.stderr
    return [int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line]


def check_with_pyright(script: Path) -> list[int]:
    settings = {"extraPaths": [str(SOURCE)], "typeCheckingMode": "strict", "include": ["."]}
    (script.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"],
        cwd=script.parent,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    return sorted(one["range"]["start"]["line"] + 1 for one in found if one["severity"] == "error")


@pytest.mark.parametrize("check", [check_with_mypy, check_with_pyright])
def test_a_typed_script_is_right_but_for_its_mistakes(check, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT + WRONG)
    assert check(script) == [LAST + 1, LAST + 2]
