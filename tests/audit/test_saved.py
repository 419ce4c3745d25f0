"""The audit's JSON: its schema, and an audit read back from it."""

import json
import pickle

import numpy as np
import pytest
from tests.audit.conftest import make_predictions

from equiderm.audit import Audit, SavedAudit, audit
from equiderm.audit.metrics import METRICS
from equiderm.audit.saved import SCHEMA_FILE, json_schema
from equiderm.errors import InputError
from equiderm.statistics.confusion import Confusion


@pytest.fixture(scope="module")
def result() -> Audit:
    table = make_predictions(400, drop=1.0)
    table["sex"] = np.resize(["female", "male"], 400)
    agreement = Confusion(("1", "2", "3"), np.array([[40.0, 5, 0], [4, 30, 3], [0, 2, 20]]))
    return audit(table, by=["ita_band", "sex"], patient="patient_id", agreement=agreement)


@pytest.fixture(scope="module")
def saved(result) -> SavedAudit:
    return Audit.from_json(result.to_json())


def test_the_shipped_schema_is_that_of_the_code():
    def plain(one):  # older versions of pydantic wrap a reference
        return {**one.pop("allOf", [{}])[0], **one}

    code = json.loads(json.dumps(json_schema()), object_hook=plain)
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == code, (
        "write it anew: SCHEMA_FILE.write_text(json.dumps(json_schema(), indent=1) + '\\n')"
    )


def test_an_audit_without_figures_is_one_sentence(result):
    content = json.loads(result.to_json()) | {"figures": []}
    with pytest.raises(InputError, match="is an audit without figures"):
        Audit.from_json(json.dumps(content))


def test_an_audit_read_back_writes_the_same_json(result, saved):
    assert saved.to_json() == result.to_json()


def test_an_audit_read_back_has_every_figure_gap_and_verdict(result, saved):
    for by in result.results:
        for metric in METRICS:
            for group in ("overall", *result.results[by].grouping.labels):
                one, other = result.figure(metric, group, by=by), saved.figure(metric, group, by=by)
                assert np.array_equal(one[:3], other[:3], equal_nan=True)
                assert one.why == other.why
            assert repr(saved.gap(metric, by=by)) == repr(result.gap(metric, by=by))
        assert repr(saved.verdict(by)) == repr(result.verdict(by))
    assert saved.answer() == tuple(result.answer())


def test_tables_of_a_live_and_a_read_audit_are_the_same(result, saved):
    live, read = result.tables(), saved.tables()
    assert list(live) == list(read)
    assert all(live[name].equals(read[name]) for name in live)
    assert len(live["gaps"]) == len(result.results) * len(METRICS)
    assert set(live["detectable"].columns) == {"by", "figure", "group", "drop"}


def test_an_audit_is_read_from_a_file(result, saved, tmp_path):
    path = tmp_path / "audit.json"
    path.write_text(result.to_json(), encoding="utf-8")
    assert Audit.from_json(path) == Audit.from_json(str(path)) == saved


def test_an_audit_without_truth_is_read_back():
    table = make_predictions(200).drop(columns="target")
    result = audit(table, by="ita_band", no_truth=True)
    assert Audit.from_json(result.to_json()).to_json() == result.to_json()


def test_audits_of_the_same_rows_are_equal_and_survive_pickling(result):
    table = make_predictions(200)
    one, same = (audit(table, by="ita_band") for _ in range(2))
    assert one == same
    assert one != audit(table.assign(score=1 - table["score"]), by="ita_band")
    one.figure("auroc")
    assert pickle.loads(pickle.dumps(one)) == same
    assert pickle.loads(pickle.dumps(result)).to_json() == result.to_json()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": "many"}, "rows: Input should be a valid integer"),
        (
            {"schema": "equiderm.audit/1"},
            "schema: Input should be 'equiderm.audit/3' or 'equiderm.audit/2'",
        ),
        ({"extra": 1}, "extra: Extra inputs are not permitted"),
    ],
)
def test_json_of_another_kind_is_refused_with_the_place(saved, change, said):
    with pytest.raises(InputError, match=said):
        Audit.from_json(json.dumps(saved.content | change))


@pytest.mark.parametrize("text", ["{", "absent.json"])
def test_what_cannot_be_read_is_one_sentence(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        Audit.from_json(text)


def test_unknown_columns_and_figures_are_named(saved):
    with pytest.raises(InputError, match="no group column 'age'"):
        saved.gap(by="age")
    with pytest.raises(InputError, match="no row of gaps for metric 'nothing'"):
        saved.gap("nothing")


FIGURE = {"by": "tone", "group": "1", "figure": "bias", "value": None, "low": None, "high": None}
OTHER = {
    "answer": [], "summaries": [], "rows": 1, "patients": None, "notes": [],
    "provenance": {"files": []}, "figures": [FIGURE | {"n": 1, "missing": "too few"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(OTHER | {"schema": "equiderm.classes/1"}), "an audit of several classes"),
        (json.dumps(OTHER | {"schema": "equiderm.number/1"}), "an audit of a predicted number"),
        ('{"schema": "equiderm.number/1"}', "answer: Field required"),
        ('{"schema": {"equiderm.number/1": 1}}', "schema: "),
        ("{}", "schema: Field required|: Field required"),
    ],
)
def test_the_json_of_another_audit_is_named_as_what_it_is(text, said):
    with pytest.raises(InputError, match=rf"the JSON of an audit .*: .*{said}"):
        Audit.from_json(text)
