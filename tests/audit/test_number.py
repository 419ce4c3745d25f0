"""Audits of a predicted number: figures by hand, claims, what is refused, page and JSON."""

import html
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from equiderm.audit import Options, audit_number
from equiderm.audit.differences import Differences
from equiderm.audit.number_figures import OF_NUMBERS
from equiderm.audit.saved import read_audit
from equiderm.errors import InputError
from equiderm.statistics.ranks import rank_correlation, rank_influence


def made(rows=600, *, seed=0, larger=1.0, higher=0.0, per=1, groups=3):
    """Return predictions of a number; the last group's are worse if so asked."""
    random = np.random.default_rng(seed)
    patient = np.arange(rows) // per
    tone = random.integers(1, groups + 1, patient[-1] + 1)[patient]
    error = random.normal(size=patient[-1] + 1)[patient] if per > 1 else random.normal(size=rows)
    last = tone == groups
    ita = random.normal(30, 10, rows)
    predicted = ita + 4 * error * np.where(last, larger, 1.0) + higher * last
    columns = {"ita": ita, "predicted": predicted, "tone": tone, "patient_id": patient}
    return pd.DataFrame(columns)


def audited(table, **options):
    return audit_number(table, **{"target": "ita", "by": "tone", **options})


@pytest.fixture(scope="module")
def worse():
    return audited(made(larger=2.0, higher=3.0))


def test_figures_are_those_computed_by_hand():
    table = made()
    figures = audited(table).table.set_index(["group", "figure"])
    for group, part in [("overall", table), ("2", table[table["tone"] == 2])]:
        off = part["predicted"] - part["ita"]
        expected = off.abs().mean(), off.mean(), spearmanr(part["ita"], part["predicted"])[0]
        medians = table["ita"].median(), part["ita"].median()
        always = [((m - part["ita"]).abs().mean(), m - part["ita"].mean(), 0) for m in medians]
        for k, figure in enumerate(OF_NUMBERS):
            row = figures.loc[(group, figure)]
            assert row["value"] == pytest.approx(expected[k])
            assert row["low"] < row["value"] < row["high"]
            assert (row["constant"], row["own_constant"]) == pytest.approx(
                (always[0][k], always[1][k])
            )
            assert row["n"] == row["patients"] == len(part)


def test_a_bias_interval_is_student_s():
    part = made().query("tone == 1")
    off = (part["predicted"] - part["ita"]).to_numpy()
    row = audited(made()).table.query("group == '1' and figure == 'bias'").iloc[0]
    half = 1.97 * off.std(ddof=1) / np.sqrt(len(off))
    assert (row["high"] - row["low"]) / 2 == pytest.approx(half, rel=0.01)


@pytest.mark.parametrize("ties", [False, True])
def test_the_influence_of_a_rank_correlation_is_what_leaving_a_row_out_changes(ties):
    random = np.random.default_rng(1)
    one = random.normal(size=80)
    other = one + random.normal(size=80)
    if ties:
        one, other = one.round(), other.round()
    whole = rank_correlation(one, other)[0]
    without = [rank_correlation(np.delete(one, k), np.delete(other, k))[0] for k in range(80)]
    moved = 79 / 80 * (whole - np.array(without))
    found = rank_influence(one, other)
    assert found == pytest.approx(moved - moved.mean(), abs=0.1 * moved.std())
    assert found.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_verdict_interval_and_p_agree_in_every_row(seed):
    result = audited(made(300, seed=seed, larger=1.0 + 0.2 * seed, higher=0.5 * seed))
    rows = result.findings()
    assert {(row.metric, row.group) for row in rows} == {
        (figure, group) for figure in OF_NUMBERS for group in "123"
    }
    for row in rows:
        outside = row.low_adjusted > 0 or row.high_adjusted < 0
        assert row.established == outside == (row.p_adjusted < 0.05)
    claimed = result.answers()[0].endswith(": more than chance explains.")
    assert claimed == any(row.established for row in rows)


def test_a_gap_is_named_with_group_size_and_unit(worse):
    first, evidence, *others = worse.answers()
    assert first.startswith("In tone 3 predicted ita is off by")
    assert evidence.startswith("Difference +") and "in the unit of ita, p" in evidence
    assert any("In tone 3 predicted ita is 3.08" in line and "too high" in line for line in others)


def test_the_three_figures_are_one_family():
    result = audited(made(300, higher=1.5))
    alone = Differences(result._figures(None)[0]).compared("bias")
    together = {row.group: row for row in result.findings() if row.metric == "bias"}
    assert all(together[row.group].p_adjusted > row.p_adjusted for row in alone)
    assert min(together[row.group].p_adjusted / row.p_adjusted for row in alone) < 10
    assert max(together[row.group].p_adjusted / row.p_adjusted for row in alone) > 2


def test_one_patient_s_images_are_not_independent():
    table = made(600, per=6)
    alone, together = (
        audited(table, patient=patient).table.query("group == 'overall' and figure == 'bias'")
        for patient in (None, "patient_id")
    )
    widths = [float((part["high"] - part["low"]).iloc[0]) for part in (alone, together)]
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(6), rel=0.1)
    assert together["patients"].iloc[0] == 100


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_another_unit_changes_no_p_and_no_sentence_but_its_numbers(unit):
    table = made(larger=1.2, higher=1.0)
    one = audited(table)
    other = audited(table.assign(ita=table["ita"] * unit, predicted=table["predicted"] * unit))
    for a, b in zip(one.findings(), other.findings(), strict=True):
        size = 1.0 if a.metric == "spearman" else unit
        assert (a.metric, a.group) == (b.metric, b.group)
        assert b.p_adjusted == pytest.approx(a.p_adjusted, rel=0.02, abs=1e-6)
        assert (b.low_adjusted, b.estimate.value) == pytest.approx(
            (a.low_adjusted * size, a.estimate.value * size), rel=0.02
        )
    assert [b / unit for b in other.noticed().values()] == pytest.approx(
        list(one.noticed().values()), rel=0.02
    )


def test_of_two_groups_a_difference_is_said_once():
    answers = audited(made(larger=2.0, higher=3.0, groups=2)).answers()
    assert sum("is off by" in line for line in answers) == 1
    assert sum("too high" in line for line in answers) == 1
    assert any(line.startswith("In tone 2 predicted ita is 3.") for line in answers)


def test_each_column_s_tables_stand_in_its_own_section():
    table = made().assign(sex=np.where(np.arange(600) % 2, "f", "m"))
    page = audited(table, by=["tone", "sex"]).to_html()
    assert page.count("each group minus the others, by tone<") == 1
    assert page.count("each group minus the others, by tone × sex<") == 1


def test_a_group_that_happens_to_hold_no_outlier_is_not_taken_for_certain():
    table = made()
    last = table["tone"] == 3
    alike = np.where(np.arange(600) % 2, 3.0, -3.2)
    table.loc[last, "predicted"] = table["ita"] + alike
    rows = audited(table).table.query("figure == 'mean_absolute_error'").set_index("group")
    width = (rows["high"] - rows["low"]) / rows["value"] * np.sqrt(rows["n"])
    assert width["3"] > 0.4 * width["1"]  # its own errors alone would give 0.05


def test_none_found_says_what_would_have_been_found():
    result = audited(made())
    assert "neither mean absolute error nor bias nor Spearman's" in result.answers()[0]
    noticed = result.noticed()
    assert set(noticed) == {"1", "2", "3"} and all(0.3 < size < 3 for size in noticed.values())
    assert "would be found in 80 of 100 such tables" in result.answers()[1]


def test_small_groups_are_named_and_not_compared():
    table = pd.concat([made(), made(9).assign(tone=4)])
    result = audited(table)
    assert result.too_few() == ["4"]
    assert "4" not in {row.group for row in result.findings()}
    assert "tone 4 has under 10 images: this audit says nothing about it." in result.answers()


def test_nobody_can_say_with_fewer_than_two_groups_left():
    table = made(100, groups=1)
    table.loc[:8, "tone"] = 2
    result = audited(table)
    assert result.answers()[0].startswith("By tone: nobody can say")
    assert result.findings() == [] and "cannot-say" in result.to_html()
    assert audited(made(60), options=Options(min_count=50)).can_say() is False


def test_a_model_no_better_than_the_median_is_said_to_be_so():
    table = made()
    random = np.random.default_rng(3)
    table["noise"] = random.normal(30, 10, len(table))
    table["middle"] = table["ita"].median() + random.normal(0, 0.01, len(table))
    assert audited(table, predicted="noise").answers()[-2].endswith("does worse than that.")
    assert "not established to do better" in " ".join(audited(table, predicted="middle").answers())
    assert "median" in audited(table).answers()[-1]
    assert "that." not in audited(table).answers()[-1]
    assert (
        "than always answering that group's own median"
        in (audited(table, predicted="noise").answers()[-1])
    )


def test_equal_errors_and_equal_predictions_have_no_figure_and_no_claim():
    table = made().assign(predicted=lambda t: t["ita"] + 1.0)
    assert audited(table).answers()[0].startswith("By tone: nobody can say")
    figures = audited(table).table.set_index(["group", "figure"])["missing"]
    assert (figures == "every row says the same").all()
    figures = audited(made().assign(predicted=5.0)).table.set_index(["group", "figure"])
    assert figures.loc[("1", "spearman"), "missing"] == "a rank needs numbers that differ"
    assert np.isnan(figures.loc[("1", "spearman"), "value"])
    table = made()
    table.loc[table["tone"] == 3, "predicted"] = table["ita"]  # one group without any error
    result = audited(table)
    assert {row.group for row in result.findings()} == {"1", "2"}
    assert "– (every row says the same)" in result.to_html()


def test_rows_without_a_number_are_refused_or_counted():
    table = made().astype({"predicted": object})
    table.loc[[2, 5], "ita"] = np.nan
    table.loc[7, "predicted"] = "7.738,00"
    with pytest.raises(InputError, match=r"'7\.738,00'.*row 8, has separators of thousands"):
        audited(table)
    table.loc[7, "predicted"] = "unknown"
    with pytest.raises(InputError, match=r"'unknown' in column 'predicted', row 8, is no number"):
        audited(table)
    with pytest.raises(InputError, match=r"3 rows have no ita or predicted, the first is row 3"):
        audited(table, missing="unknown")
    result = audited(table, missing="unknown", drop_missing=True)
    assert "3 rows without ita or predicted left out." in result.study.notes
    kept = table.drop([2, 5, 7]).astype(float)
    assert result.truth.tolist() == kept["ita"].tolist()
    assert result.predicted.tolist() == kept["predicted"].tolist()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"ita": 3.0}, {}, "every number in column 'ita' is 3"),
        ({}, {"by": "ita"}, "'ita' is a number and no group"),
        ({}, {"predicted": "ita"}, "cannot be both"),
        ({}, {"predicted": "answer"}, "has no column 'answer'"),
        ({"predicted": None}, {}, "column 'predicted' is empty; an audit of a number needs"),
    ],
)
def test_what_cannot_be_audited_is_one_sentence(change, options, message):
    with pytest.raises(InputError, match=message):
        audited(made(60).assign(**change), **options)


def test_bands_of_the_number_are_groups_and_a_note_says_what_to_expect():
    result = audited(made(), by="ita", cut={"ita": [20, 40]})
    assert result.study.groupings[0].labels == ("under 20", "20 to under 40", "40 or more")
    assert any("drawn to the middle" in note for note in result.study.notes)
    assert not audited(made()).study.notes


def test_the_json_is_plain_and_is_no_audit_of_classes(worse):
    content = json.loads(worse.to_json())
    assert content["schema"] == "equiderm.number/1"
    page = (Path(__file__).parents[2] / "docs" / "number.md").read_text(encoding="utf-8")
    named = {*content, *content["against_constant"]}
    named |= {*content["figures"][0], *content["findings"][0]}
    assert [key for key in named - {"schema"} if f"`{key}`" not in page] == []
    assert len(content["figures"]) == 12 and len(content["findings"]) == 9
    assert content["against_constant"]["high"] < 0
    with pytest.raises(InputError, match="it is an audit of a predicted number"):
        read_audit(worse.to_json())


def test_a_number_that_seems_to_mean_not_known_is_pointed_out_wherever_the_answer_is():
    table = made(120)
    table.loc[[3, 8], "ita"] = -999.0
    result = audited(table)
    doubt = "-999 stands in 2 rows of column 'ita', far from all other numbers"
    assert doubt in result.to_markdown() and doubt in html.unescape(result.to_html())
    assert any(note.startswith(doubt) for note in result.to_dict()["notes"])
    assert not audited(table, missing="-999", drop_missing=True).study.doubts


def test_text_of_the_table_is_escaped_on_the_page():
    table = made(120, groups=2).assign(tone=lambda t: "<b>" + t["tone"].astype(str))
    result = audited(table)
    assert "<b>1" not in result.to_html() and "&lt;b&gt;1" in result.to_html()
    assert "<b>1" not in result._repr_html_()


def test_the_command_prints_the_answer_and_writes_page_markdown_and_json(equiderm, tmp_path):
    made(larger=2.0).to_csv(tmp_path / "p.csv", index=False)
    given = ("audit", tmp_path / "p.csv", "--target", "ita", "--number", "--by", "tone")
    done = equiderm(*given, "-o", "r.html", "-o", "r.md", "-o", "r.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("In tone 3 predicted ita is off by")
    assert "Audit of predicted ita: p.csv" in (tmp_path / "r.html").read_text()
    assert (tmp_path / "r.md").read_text().startswith("# Audit of predicted ita")
    assert json.loads((tmp_path / "r.json").read_text())["patients"] is None
    done = equiderm(*given, "--along", "ita")
    assert done.returncode == 2
    assert "--along is not for an audit of a number" in done.stderr
