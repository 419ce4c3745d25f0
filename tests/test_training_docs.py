"""The training pages: generated text is current, and what the own loop claims holds."""

import re
from pathlib import Path

import pytest
import torch

from equiderm.debias.describe import methods_page

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "train.md").read_text(encoding="utf-8")


def block(name):
    found = re.search(rf"<!-- test: {name} -->\n```python\n(.*?)```", PAGE, re.S)
    assert found is not None
    return found[1]


def test_the_page_of_the_methods_is_current():
    written = (DOCS / "methods.md").read_text(encoding="utf-8")
    assert written == methods_page(), "run: python -m equiderm.debias.describe docs/methods.md"


def test_the_own_loop_trains_and_takes_ten_lines():
    code = block("own loop")
    assert len([line for line in code.splitlines() if line and "import" not in line]) <= 10
    torch.manual_seed(0)
    backbone = torch.nn.Linear(4, 8)
    before = backbone.weight.detach().clone()
    loader = [(torch.randn(5, 4), torch.tensor([0.0, 1, 0, 1, 1]), torch.arange(5))] * 3
    exec(code, {"backbone": backbone, "n_features": 8, "loader": loader})
    assert not torch.equal(backbone.weight, before)


@pytest.mark.parametrize("name", ["train", "predict", "probe"])
def test_every_training_command_is_on_the_page(name):
    assert f"equiderm {name} " in PAGE
