"""docs/audit.md says what the code has."""

import re
from pathlib import Path

from equiderm.audit import METRICS, Options, audit

TEXT = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")


def test_every_figure_is_described():
    for name in METRICS:
        assert f"`{name}`" in TEXT, name


def test_every_key_of_the_json_is_described(predictions):
    read = audit(predictions(200), by=["ita_band"], options=Options(replicates=100)).to_dict()
    named = [*read, *read["options"], *read["provenance"], *read["figures"][0], *read["gaps"][0]]
    for key in [*named, *read["differences"][0], *read["against_reference"][0]]:
        assert f"`{key}`" in TEXT, key


def test_the_grammar_is_that_of_the_code():
    from equiderm.audit import condition

    grammar = re.search(r"<!-- test: grammar -->\n```text\n(condition :=.*?)```", TEXT, re.S)
    assert grammar
    assert grammar[1].strip() in (condition.__doc__ or "")
