"""The training pages: generated text is current, and every Python block of train.md runs."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from equiderm.debias import METHODS
from equiderm.debias.describe import methods_page
from equiderm.training import experiment_from

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "train.md").read_text(encoding="utf-8")


def block(name):
    found = re.search(rf"<!-- test: {name} -->\n```python\n(.*?)```", PAGE, re.S)
    assert found is not None
    return found[1]


def test_the_page_of_the_methods_is_current():
    written = (DOCS / "methods.md").read_text(encoding="utf-8")
    assert written == methods_page(), "run: python -m equiderm.debias.describe docs/methods.md"


def test_the_experiment_in_the_page_can_be_read():
    found = re.search(r"```toml\n(.*?)```", PAGE, re.S)
    assert found is not None
    assert experiment_from(tomllib.loads(found[1])).method["name"] == "clgr"


def test_the_own_loop_trains_and_takes_ten_lines():
    code = block("own loop")
    assert len([line for line in code.splitlines() if line and "import" not in line]) <= 10
    torch.manual_seed(0)
    backbone = torch.nn.Linear(4, 8)
    before = backbone.weight.detach().clone()
    loader = [(torch.randn(5, 4), torch.tensor([0.0, 1, 0, 1, 1]), torch.arange(5))] * 3
    exec(code, {"backbone": backbone, "n_features": 8, "loader": loader})
    assert not torch.equal(backbone.weight, before)


def lesions():
    generator = np.random.default_rng(0)
    manifest = pd.DataFrame(
        {
            "image_id": [str(n) for n in range(60)],
            "target": generator.integers(0, 2, 60),
            "split": "train",
            "fitzpatrick_type": np.arange(60) % 3 + 1,
        }
    )
    return generator.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8), manifest


def test_fit_predict_and_probe_run_as_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pixels, manifest = lesions()
    scope = {"pixels": pixels, "manifest": manifest}
    exec(block("fit"), scope)
    assert len(scope["scores"]) == 60
    assert "untrained" in capsys.readouterr().out


def test_the_method_of_the_walk_through_trains_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "dann", METHODS["erm"])  # restores the table afterwards
    scope = {"__name__": __name__}
    exec(compile(block("add a method"), "dann.py", "exec"), scope)
    assert METHODS["dann"] is scope["DANN"]
    monkeypatch.chdir(tmp_path)
    pixels, manifest = lesions()
    code = block("fit").replace('"name": "lntl"', '"name": "dann", "reversal": 0.2')
    run = {"pixels": pixels, "manifest": manifest}
    exec(code, run)
    assert "reversal = 0.2" in (tmp_path / "run" / "experiment.toml").read_text()


@pytest.mark.parametrize("name", ["train", "predict", "probe"])
def test_every_training_command_is_on_the_page(name):
    assert f"equiderm {name} " in PAGE
