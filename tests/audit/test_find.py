"""A search over subgroups: what it claims, what it says it could not see, what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from equiderm.audit import Audit, find, find_subgroups
from equiderm.audit.find import ALPHA, _thirds
from equiderm.audit.input import Study
from equiderm.audit.subsets import Subsets
from equiderm.errors import InputError


def made(rows=3000, *, drop=0.0, seed=0, per=1):
    """Return predictions; ``drop`` moves the positives of women of tone 3 to the threshold."""
    random = np.random.default_rng(seed)
    patient = np.arange(rows) // per
    tone = random.choice([1, 2, 3], rows, p=[0.5, 0.3, 0.2])
    sex, age = random.choice(["f", "m"], rows), random.integers(18, 95, rows)
    target = random.random(rows) < 0.3
    noise = random.normal(size=rows) + 1.5 * target - 0.7
    noise[target & (tone == 3) & (sex == "f")] -= drop
    columns = {"tone": tone, "sex": sex, "age": age, "patient_id": patient}
    return pd.DataFrame(
        {"target": target.astype(int), "score": 1 / (1 + np.exp(-noise)), **columns}
    )


COLUMNS = ["tone", "sex", "age"]


@pytest.fixture(scope="module")
def planted():
    return find_subgroups(made(drop=1.5), COLUMNS)


def test_the_planted_intersection_is_the_surest(planted):
    assert planted.established
    assert dict(planted.rows[0].conditions) == {"tone": "3", "sex": "f"}
    assert planted.rows[0].established
    assert not replace(planted.rows[0], p=ALPHA).established


def test_figures_are_those_of_scikit_learn(planted):
    table = made(drop=1.5)
    part = (table["tone"] == 3) & (table["sex"] == "f")
    row = next(
        one
        for one in planted.rows
        if one.metric == "auroc" and dict(one.conditions) == {"tone": "3", "sex": "f"}
    )
    inside, outside = (
        roc_auc_score(rows["target"], rows["score"]) for rows in (table[part], table[~part])
    )
    assert row.value == pytest.approx(inside) and row.others_value == pytest.approx(outside)
    assert (row.images, row.positives) == (part.sum(), table["target"][part].sum())


def test_every_interval_excludes_0_exactly_where_p_is_below_5_percent(planted):
    assert all((one.p < 0.05) == (one.low > 0 or one.high < 0) for one in planted.rows)


def test_nothing_is_claimed_where_nothing_differs():
    found = find_subgroups(made(seed=7), COLUMNS, depth=3)
    assert not found.established and "none differs" in found.answer()[0]
    assert found.looked == 3 + 2 + 3 + 6 + 9 + 6 + 18


def test_a_column_of_many_numbers_is_cut_at_its_thirds(planted):
    bands = {value for one in planted.rows for column, value in one.conditions if column == "age"}
    assert len(bands) == 3 and "age was cut at" in planted.notes[0]


def test_what_is_too_small_is_named_and_counted():
    table = made(400)
    table["site"] = np.where(np.arange(400) < 15, "nail", "other")
    found = find_subgroups(table, ["site", "sex"])
    assert found.unseen_count == 3 and found.unseen[0].name == "site nail"
    assert "too small to be compared" in " ".join(found.answer())


def test_repeated_images_of_a_patient_claim_nothing_more():
    once = made(600, per=1)
    four = pd.concat([once] * 4).reset_index(drop=True)
    wanted = {"metrics": "sensitivity", "patient": "patient_id"}
    a, b = (find_subgroups(table, COLUMNS, **wanted) for table in (once, four))
    p = {one.name: one.p for one in a.rows}
    assert all(abs(p[one.name] - one.p) < 0.15 for one in b.rows if one.name in p)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"depth": 4}, "1 to 3"), ({"metrics": "ppv"}, "not searched"), ({"columns": "x"}, "'x'")],
)
def test_what_cannot_be_searched_is_one_sentence(change, said):
    with pytest.raises(InputError, match=said):
        find_subgroups(made(200), **{"columns": COLUMNS, **change})


def test_the_command_shows_writes_and_reads_back(equiderm, tmp_path):
    made(1500, drop=1.5).to_csv(tmp_path / "p.csv", index=False)
    done = equiderm(
        *("audit", "p.csv", "--by", "tone", "--find", "tone,sex", "--replicates", "100"),
        *("-o", "a.json", "-o", "a.html"),
    )
    assert done.returncode == 0 and "subgroups that differ most" in done.stdout
    content = json.loads((tmp_path / "a.json").read_text())["find"]
    assert content["columns"] == ["tone", "sex"] and content["rows"][0]["p"] < 0.05
    rows = Audit.from_json(tmp_path / "a.json").tables()["subgroups"]
    assert len(rows) == len(content["rows"])
    assert "Search for subgroups" in (tmp_path / "a.html").read_text()


def test_whole_weights_count_as_rows_repeated_within_a_patient():
    table = made(600).assign(w=np.resize([1, 2, 3], 600))
    again = table.loc[table.index.repeat(table["w"])].reset_index(drop=True)
    weighted = find_subgroups(table, ["tone", "sex"], weight="w")
    repeated = find_subgroups(again, ["tone", "sex"], patient="patient_id")
    other = {(one.name, one.metric): one for one in repeated.rows}
    assert len(weighted.rows) == len(other) == 3 * 11
    for one in weighted.rows:
        same = other[one.name, one.metric]
        assert (one.value, one.difference) == pytest.approx((same.value, same.difference))
        width = same.high - same.low  # copies count as rows where degrees of freedom are estimated
        assert (one.low, one.high) == pytest.approx((same.low, same.high), abs=0.08 * width)
        assert one.images < same.images


def test_a_column_of_over_10_numbers_is_cut_at_the_thirds_of_its_rows():
    assert _thirds(pd.Series(np.arange(10.0))) == ()
    assert _thirds(pd.Series(np.arange(11.0))) == (4, 7)
    assert _thirds(pd.Series([*np.arange(12.0), None])) == (4, 8)
    assert _thirds(pd.Series([f"{number},5" for number in range(11)])) == (4.5, 7.5)
    assert _thirds(pd.Series([*np.arange(12.0), "x"])) == ()
    assert _thirds(pd.Series([*np.zeros(30), *np.arange(1.0, 12)])) == ()
    assert _thirds(pd.Series([*np.zeros(20), *np.arange(1.0, 12)])) == (1,)


@pytest.mark.parametrize("few", [9, 10])
def test_a_subgroup_and_the_rest_need_10_patients_of_each_class(few):
    target = np.repeat([True, False, True, False], [few, 30, 10, 10])
    inside = np.arange(len(target)) < few + 30
    study = Study("t", target, target * 0.5, ())
    rows = Subsets(study, 0.5)
    assert rows.lacks(inside) == (few < 10) and not rows.lacks(~inside)
    patient = np.maximum(np.arange(len(target)) - 1, 0)  # two images of one patient
    study = replace(study, patient=patient)
    assert Subsets(study, 0.5).lacks(inside) and study.count_patients(inside) == few + 29


def test_no_difference_above_1_is_said_to_be_noticed(monkeypatch):
    monkeypatch.setattr(find, "Z95", 30.0)
    rows = find_subgroups(made(300), ["sex"], depth=1).rows
    assert {one.noticed for one in rows} == {1.0}


def test_a_subgroup_in_which_no_patient_s_figure_varies_is_searched():
    rows = np.arange(120)
    table = pd.DataFrame({"target": rows % 2, "patient": rows // 4, "tone": rows // 60})
    table["score"] = np.where((rows < 60) | (rows % 3 > 0), 0.2 + 0.6 * table["target"], 0.3)
    result = find_subgroups(table, "tone", metrics="sensitivity", patient="patient", depth=1)
    values = {row.name: (row.value, row.others_value) for row in result.rows}
    assert values["tone 0"] == (1, pytest.approx(2 / 3))
