"""The core works where torch is not installed: it is never even asked for."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'torch', 'torchvision', 'timm', 'accelerate', 'safetensors'}:
            raise ImportError(f'{name} is not part of the core install')

sys.meta_path.insert(0, Refuse())
"""


@pytest.mark.parametrize(
    "code",
    [
        "import equiderm; equiderm.estimate; equiderm.label",
        "import equiderm.tone, equiderm.tone.report, equiderm.tone.overlay",
        "import equiderm.data.synthetic",
        "from equiderm.cli import app; app(['--help'], standalone_mode=False)",
        "import numpy, equiderm; equiderm.estimate(numpy.full((99, 99, 3), 128, 'uint8'))",
    ],
)
def test_it_runs_with_torch_blocked(code):
    subprocess.run([sys.executable, "-c", BLOCK + code], check=True, capture_output=True)


IMPORT = """
import os, random, signal, sys, warnings
before = set(sys.modules)
state = dict(os.environ), list(warnings.filters), list(sys.path), random.getstate()
signals = [signal.getsignal(number) for number in signal.valid_signals()]
import equiderm
assert (dict(os.environ), list(warnings.filters), list(sys.path), random.getstate()) == state
assert [signal.getsignal(number) for number in signal.valid_signals()] == signals
new = {name.split('.')[0] for name in set(sys.modules) - before}
print(sorted(new - set(sys.stdlib_module_names)))
"""


def test_import_equiderm_touches_nothing(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-B", "-c", IMPORT],
        cwd=home,
        env={**os.environ, "HOME": str(home), "TMPDIR": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("['equiderm']\n", "")
    assert list(home.iterdir()) == []


def test_the_core_needs_nothing_of_the_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}
    assert not core & {"torch", "torchvision", "timm", "accelerate", "imagehash", "pooch"}


def test_the_block_blocks():
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + "import torch"], capture_output=True, text=True
    )
    assert "not part of the core install" in done.stderr
