"""docs/audit.md says what the code has."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from equiderm.audit import METRICS, Options, audit
from equiderm.audit.report.checklist import KEYS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")


def test_every_figure_is_described():
    for name in METRICS:
        assert f"`{name}`" in TEXT, name


def test_every_key_of_the_json_is_described(predictions):
    read = audit(predictions(200), by=["ita_band"], options=Options(replicates=100)).to_dict()
    named = [*read, *read["options"], *read["provenance"], *read["figures"][0], *read["gaps"][0]]
    for key in [*named, *read["differences"][0], *read["against_reference"][0]]:
        assert f"`{key}`" in TEXT, key


def test_every_key_of_the_verdict_is_described(predictions):
    frame = predictions(300, shares=(0.6, 0.39, 0.01))
    (verdict,) = audit(frame, by="ita_band", options=Options(replicates=100)).to_dict()["verdicts"]
    for key in [*verdict, *verdict["findings"][0], *verdict["too_few"][0]]:
        assert f"`{key}`" in TEXT, key


def test_the_keys_of_the_checklist_are_those_of_the_code():
    listed = re.search(r"<!-- test: checklist -->\n```text\n(.*?)```", TEXT, re.S)
    assert listed
    assert tuple(listed[1].split()) == KEYS


def test_the_grammar_is_that_of_the_code():
    from equiderm.audit import condition

    grammar = re.search(r"<!-- test: grammar -->\n```text\n(condition :=.*?)```", TEXT, re.S)
    assert grammar
    assert grammar[1].strip() in (condition.__doc__ or "")


@pytest.mark.parametrize("bench", sorted((ROOT / "bench").glob("*.py")), ids=lambda path: path.stem)
def test_what_a_bench_imports_of_the_audit_is_there(bench):
    for node in ast.walk(ast.parse(bench.read_text(encoding="utf-8"))):
        named = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        if named.startswith(("equiderm.audit", "equiderm.statistics")):
            module = importlib.import_module(named)
            assert [one.name for one in node.names if not hasattr(module, one.name)] == []
