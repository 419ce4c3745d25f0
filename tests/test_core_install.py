"""The core works where torch is not installed: it is never even asked for."""

import subprocess
import sys

import pytest

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


def test_the_block_blocks():
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + "import torch"], capture_output=True, text=True
    )
    assert "not part of the core install" in done.stderr
