"""Audits of several classes: figures that others compute alike, claims, and what is refused."""

import html
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, roc_auc_score

from equiderm.audit import audit_classes, classes
from equiderm.audit.class_figures import MeanOf, OneClass, in_every_group
from equiderm.audit.classes import (
    ClassFinding,
    _by_p,
    _classes,
    _finding,
    _judge,
    _least,
    _score_columns,
)
from equiderm.audit.confusions import Confused, confusions
from equiderm.audit.differences import Compared
from equiderm.audit.input import Study
from equiderm.audit.metrics import HEADLINE
from equiderm.errors import InputError
from equiderm.statistics.estimates import Curved, Scaled, spread
from equiderm.statistics.intervals import Z95, wilson

NAMES = ["bkl", "df", "mel", "nv"]


def made(rows=1200, *, seed=0, raised=0.0, per=1):
    """Return predictions; ``raised`` makes melanomas of tone 3 look like naevi."""
    random = np.random.default_rng(seed)
    patient = np.arange(rows) // per
    tone = random.integers(1, 4, patient[-1] + 1)[patient]
    truth = random.choice(4, rows, p=[0.2, 0.1, 0.3, 0.4])
    numbers = random.normal(size=(rows, 4)) + 2 * np.eye(4)[truth]
    numbers[(tone == 3) & (truth == 2), 3] += raised
    scores = np.exp(numbers) / np.exp(numbers).sum(axis=1, keepdims=True)
    table = pd.DataFrame(scores, columns=NAMES)
    return table.assign(target=np.array(NAMES)[truth], tone=tone, patient_id=patient)


@pytest.fixture(scope="module")
def raised():
    return audit_classes(made(2400, raised=2.0), by="tone")


def value(result, name, figure, group="overall"):
    rows = result.table.set_index(["class", "figure", "group"])
    return rows.loc[(name, figure, group), "value"]


@pytest.mark.parametrize("group", ["overall", "2"])
def test_figures_are_those_of_scikit_learn(group):
    table = made()
    result = audit_classes(table, by="tone")
    part = table if group == "overall" else table[table["tone"] == int(group)]
    answer = part[NAMES].idxmax(axis=1)
    scores = part[NAMES]
    expected = {
        "auroc": roc_auc_score(part["target"], scores, multi_class="ovr", labels=NAMES),
        "sensitivity": balanced_accuracy_score(part["target"], answer),
        "f1": f1_score(part["target"], answer, average="macro"),
        "accuracy": (part["target"] == answer).mean(),
    }
    for figure, number in expected.items():
        assert value(result, "macro", figure, group) == pytest.approx(number)
    one = roc_auc_score(part["target"] == "mel", part["mel"])
    assert value(result, "mel", "auroc", group) == pytest.approx(one)
    counts = confusion_matrix(part["target"], answer, labels=NAMES)
    assert (result.confusion(group) == counts).all()


def test_a_planted_confusion_is_the_one_that_is_named(raised):
    established = [one for one in raised.confusions() if one.established]
    assert (established[0].truth, established[0].answer) == ("mel", "nv")
    assert {(one.truth, one.answer) for one in established} == {("mel", "nv")}
    assert "mel is taken for nv in" in " ".join(raised.answers())


def test_a_class_that_loses_sensitivity_is_found_and_others_are_not(raised):
    names = {one.name for one in raised.findings() if one.established}
    assert "mel" in names and names <= {"mel", "nv"}


def test_every_interval_excludes_0_exactly_where_p_is_below_5_percent(raised):
    rows = [*raised.findings(), *raised.macro_findings(), *raised.confusions()]
    assert len(rows) > 60
    assert all((one.p < 0.05) == (one.low > 0 or one.high < 0) for one in rows)


def test_nothing_is_claimed_where_nothing_differs():
    result = audit_classes(made(seed=5), by="tone")
    rows = [*result.findings(), *result.macro_findings(), *result.confusions()]
    assert not any(one.established for one in rows)
    assert "no class" in result.answers()[0]


def test_correct_answers_stand_beside_the_best_constant_answer():
    table = made()
    always = table.assign(**{name: float(name == "nv") for name in NAMES})
    constant, trained = (audit_classes(one, by="tone").answers()[-1] for one in (always, table))
    share = (table["target"] == "nv").mean()
    assert f"always answering nv would be correct in {100 * share:.0f}" in trained
    assert trained.endswith(f"{100 * share:.0f}.")
    assert f"Of 100 answers {100 * share:.0f} (" in constant
    assert constant.endswith("the model is not established to do better than that.")


def test_images_of_a_patient_count_together():
    table = made(per=4)
    twice = pd.concat([table] * 3).reset_index(drop=True)
    once = audit_classes(table, by="tone", patient="patient_id").table
    thrice = audit_classes(twice, by="tone", patient="patient_id").table
    width = (thrice["high"] - thrice["low"]) / (once["high"] - once["low"])
    part = thrice["class"].eq("macro") & thrice["group"].eq("overall")
    assert width[part].between(0.9, 1.1).all()


def test_an_answer_alone_has_no_auroc():
    table = made()
    given = table[["target", "tone"]].assign(said=table[NAMES].idxmax(axis=1))
    result = audit_classes(given, predicted="said", by="tone")
    whole = audit_classes(table, by="tone")
    assert np.isnan(value(result, "mel", "auroc"))
    assert value(result, "macro", "f1") == value(whole, "macro", "f1")


def test_rows_without_a_class_or_an_answer_are_counted_and_the_others_keep_theirs():
    given = made(400)[["target", "tone"]].assign(said="mel")
    given.loc[given.index % 2 == 1, "said"] = None  # every other row
    given.loc[0, "target"] = None
    with pytest.raises(InputError, match="201 rows have no target or score, the first is row 1"):
        audit_classes(given, predicted="said", by="tone")
    result = audit_classes(given, predicted="said", by="tone", drop_missing=True)
    assert result.study.notes == ("201 rows without target or score left out.",)
    assert [result.classes[k] for k in result.truth] == given["target"][2::2].tolist()


def test_a_rare_class_is_left_out_of_every_mean_and_named():
    table = made()
    rare = table[(table["target"] != "df") | (table["tone"] != 3)]
    result = audit_classes(rare, by="tone")
    assert result.left_out() == ["df"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ["mel", "nv", "bkl"]}, "has 'df', which is not one of the classes"),
        ({"classes": [*NAMES, "vasc"]}, "never has the class 'vasc'"),
        ({"target": "patient_id"}, "has 1200 classes, but at most 50"),
        ({"target": "tone"}, "'tone' says the class, so that each of its groups holds one"),
        ({"classes": "all", "scores": {"mel": "mel"}}, "no score column is named for"),
        ({"predicted": "nothing"}, "nothing"),
    ],
)
def test_what_cannot_be_audited_is_one_sentence(change, said):
    with pytest.raises(InputError, match=said):
        audit_classes(made(), by="tone", **change)


def test_fewer_than_two_groups_with_enough_images_are_no_finding():
    table = made(seed=5, per=2)
    few = table[(table["tone"] == 1) | (table.index < 20)]
    result = audit_classes(few, by="tone", patient="patient_id")
    assert result.too_few() == ["2", "3"] and not result.can_say()
    first, second, *_ = result.answers()
    assert first.startswith("By tone: nobody can say whether the classes differ between groups")
    assert second.startswith("tone 2 and 3 have under 5 images (or patients) of most classes")
    assert "verdict cannot-say" in result.to_html()
    table = made(seed=5)
    two = audit_classes(table[(table["tone"] < 3) | (table.index < 20)], by="tone")
    assert two.can_say() and "no class, no mean" in two.answers()[0]
    assert two.answers()[1].startswith("tone 3 has under 5 images of most classes")
    assert "verdict none-found" in two.to_html()
    whole = audit_classes(table, by="tone")
    assert whole.too_few() == [] and "of most classes" not in " ".join(whole.answers())


def test_answers_that_are_worse_than_the_best_constant_one_are_said_to_be():
    table = made()
    wrong = table.assign(**{name: float(name == "df") for name in NAMES})
    assert audit_classes(wrong, by="tone").answers()[-1].endswith("the model does worse than that.")


def test_score_columns_are_found_by_the_name_that_the_audit_reads():
    table = made(400)
    numbers = {"bkl": "1.0", "df": "nan", "mel": "Me\u0301l", "nv": "nv, common "}
    columns = {name: f"score_{other}" for name, other in numbers.items()}
    renamed = table.rename(columns=columns).assign(target=table["target"].map(numbers))
    result = audit_classes(renamed, by="tone")
    assert result.classes == ("1", "M\u00e9l", "nan", "nv, common")
    whole = audit_classes(table, by="tone")
    assert value(result, "1", "auroc") == value(whole, "bkl", "auroc")


def test_a_class_with_a_comma_is_named_as_it_is(equiderm, tmp_path):
    table = made(400).rename(columns={name: f"score_{name}" for name in NAMES})
    table = table.rename(columns={"score_nv": "score_nevus, common"})
    table["target"] = table["target"].replace("nv", "nevus, common")
    table.to_csv(tmp_path / "p.csv", index=False)
    names = "bkl,df,mel,nevus, common"
    done = equiderm("audit", "p.csv", "--classes", names, "--by", "tone", "-o", "c.json")
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "c.json").read_text())
    assert content["classes"] == ["bkl", "df", "mel", "nevus, common"]
    one = equiderm("audit", "p.csv", "--positive", "nevus, common", "--by", "tone", "--json")
    assert json.loads(one.stdout)["positives"] == int((table["target"] == "nevus, common").sum())


def test_a_class_without_a_score_column_is_named_where_the_others_have_one():
    table = made(400)
    table["said"] = table[NAMES].idxmax(axis=1)
    table.loc[:9, "target"] = "unseen"
    with pytest.raises(InputError, match="has no score column 'unseen' for the class 'unseen'"):
        audit_classes(table, by="tone")
    result = audit_classes(table, by="tone", predicted="said")
    assert result.study.notes[0].startswith("No AUROC: the class 'unseen' has no score column.")


def test_two_classes_are_no_several():
    table = made()
    with pytest.raises(InputError, match="three or more"):
        audit_classes(table[table["target"].isin(["mel", "nv"])], by="tone")


def test_likely_faults_of_the_table_are_said_wherever_the_answer_is(equiderm, tmp_path):
    table = made()
    table["tone"] = table["tone"].astype(object)
    table.loc[:40, "tone"] = -1
    table.to_csv(tmp_path / "t.csv", index=False)
    done = equiderm(
        "audit", "t.csv", "--classes", "all", "--by", "tone", "-o", "t.html", "-o", "t.md"
    )
    doubt = "'-1' is a group of tone with 41 rows; if it means not known, say so with --missing -1"
    shown = (done.stderr, (tmp_path / "t.html").read_text(), (tmp_path / "t.md").read_text())
    for text in shown:
        assert doubt in html.unescape(text)


def test_the_command_writes_page_and_json(equiderm, tmp_path):
    made().to_csv(tmp_path / "p.csv", index=False)
    command = ("audit", "p.csv", "--classes", "all", "--by", "tone", "-o", "c.html", "-o", "c.json")
    done = equiderm(*command)
    assert done.returncode == 0 and "each class against the rest by tone" in done.stdout
    content = json.loads((tmp_path / "c.json").read_text())
    assert content["schema"] == "equiderm.classes/1" and content["classes"] == NAMES
    assert np.array(content["confusion"]["tone"]["overall"]).sum() == 1200
    assert "Confusion of overall" in (tmp_path / "c.html").read_text()


def test_options_of_one_class_are_refused(equiderm, tmp_path):
    made().to_csv(tmp_path / "p.csv", index=False)
    done = equiderm("audit", "p.csv", "--classes", "all", "--by", "tone", "--positive", "mel")
    assert done.returncode == 2 and "--positive is for an audit of one class" in done.stderr


def test_scores_of_0_to_100_are_per_cent_only_where_that_is_said():
    table = made(400)
    whole = audit_classes(table, by="tone").table
    table[NAMES] *= 100
    with pytest.raises(InputError, match="percent=True"):
        audit_classes(table, by="tone")
    said = audit_classes(table, by="tone", percent=True).table
    np.testing.assert_allclose(said["value"], whole["value"])


def test_p_over_several_classes_is_at_most_1_and_on_the_side_of_its_interval():
    def p(value, low, high):
        ends = (0.6, 0.5, 0.1, 0, 0.2, 0.01, low, high, value, 1, 1, 1)
        row = Compared("auroc", "a", *(SimpleNamespace(value=one) for one in ends[:2]), *ends[2:])
        return _finding(row, "tone", "mel", 4, 30).p

    assert p(0.3, -0.1, 0.3) == 1
    assert p(0.01, -0.1, 0.3) == 0.05 and p(0.02, -0.1, 0.3) == pytest.approx(0.08)
    assert p(0.001, 0.01, 0.3) == pytest.approx(0.004)
    assert p(0.02, 0.01, 0.3) < 0.05 > p(0.02, -0.3, -0.01)
    assert p(0.01, 0.0, 0.3) == p(0.01, -0.3, 0.0) == 0.05


def test_classes_are_compared_in_groups_that_have_half_of_them():
    has = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 1]], dtype=bool)
    assert in_every_group(has) == ([0, 1, 2], [0])
    assert in_every_group(has[:, :2]) == ([0, 1], [0, 1, 3])
    assert in_every_group(np.zeros((2, 2), bool)) == ([], [])


def test_the_interval_of_a_mean_adds_the_distances_of_its_parts_in_quadrature():
    parts = Scaled(0.8, 0.7, 0.85, 8), Scaled(0.6, 0.4, 0.9, 3)
    mean = MeanOf(parts, ratio=2.0)
    below, above = np.hypot(0.1, 0.2), np.hypot(0.05, 0.3)
    assert mean.value == pytest.approx(0.7)
    assert mean.bounds(Z95) == pytest.approx((0.7 - below, 0.7 + above))
    moved = mean.moved(0.4).moved(0.5)
    assert moved.value == pytest.approx(0.5)
    assert moved.bounds(Z95) == pytest.approx((0.5 - below, 0.5 + above))
    one, other = spread(parts[0]), spread(parts[1])
    assert mean.freedom == pytest.approx((one + other) ** 2 / (one**2 / 8 + other**2 / 3))
    known = MeanOf((Scaled(0.8, 0.7, 0.9), Scaled(0.6, 0.4, 0.9)))
    assert known.freedom == np.inf and known.ratio == 1


def confused(first, second, *, images=(10, 10), patients=None):
    """Images of one class in two groups, of which so many are called another."""
    counts = zip((first, second), images, strict=True)
    answer = np.concatenate([np.arange(n) < hits for hits, n in counts]).astype(int)
    grouping = SimpleNamespace(name="tone", labels=("a", "b"), codes=np.repeat([0, 1], images))
    study = Study("t", np.ones(len(answer), bool), np.ones(len(answer)), (), patients)
    return confusions(study, grouping, np.zeros(len(answer), int), answer, ("nevus", "melanoma"))


def test_a_confusion_of_ten_images_is_compared_between_groups_with_ten_of_the_class():
    one, other = confused(9, 1)
    assert (one.truth, one.answer, one.group, one.count, one.n) == ("nevus", "melanoma", "a", 9, 10)
    assert (other.group, other.count, other.n) == ("b", 1, 10)
    assert (one.share, one.others_share) == pytest.approx((0.9, 0.1))
    assert (one.difference, other.difference) == pytest.approx((0.8, -0.8))
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert 0 < one.low < 0.8 < one.high < 1 and one.established and one.p == other.p
    assert confused(8, 1) == []
    assert confused(9, 1, images=(10, 9)) == [] != confused(9, 1, images=(11, 10))
    rows = np.arange(20)
    assert confused(9, 1, patients=rows) == confused(9, 1)
    assert confused(9, 1, patients=np.maximum(rows - 1, 0)) == []  # of nine patients in a
    alone, together = (
        confused(9, 1, images=(20, 20), patients=of)[0] for of in (None, np.arange(40) // 2)
    )
    assert together.high - together.low > alone.high - alone.low


def one_class(called, *, least=2):
    target = np.repeat([True, False], [4, 6])
    study = Study("t", target, np.full(10, np.nan), ())
    grouping = SimpleNamespace(labels=("a",), codes=np.zeros(10, int))
    return OneClass(study, grouping, np.array(called, bool), least)


def test_f1_of_a_class_and_its_interval_are_of_its_hits_and_errors():
    figures = one_class([1, 1, 1, 0, 1, 0, 0, 0, 0, 0])
    value, moved = figures.f1("a")
    assert value == 0.75
    assert moved == pytest.approx(np.array([4, 4, 4, -6, -6, 0, 0, 0, 0, 0]) / 64)
    estimate = figures.f1_estimate("a")
    assert estimate == Curved(0.75, pytest.approx((moved**2).sum() * 10 / 9), 3, "logit")
    whole = one_class([1] * 4 + [0] * 6).f1_estimate("a")
    assert whole == Scaled(1, wilson(1, 4)[0], 1)
    none = one_class([0] * 4 + [1] * 6).f1_estimate("a")
    assert none == Scaled(0, 0, wilson(0, 4)[1])


def test_a_class_s_shares_weigh_their_images_and_its_auroc_both_kinds():
    figures = one_class([1, 1, 1, 0, 1, 0, 0, 0, 0, 0])
    assert [figures.weight(metric, "a") for metric in HEADLINE] == [2.4, 4, 6]
    assert figures.influence("sensitivity", "a") == pytest.approx(
        [1 / 16] * 3 + [-3 / 16] + [0] * 6
    )
    assert figures.influence("specificity", "a") == pytest.approx(
        [0] * 4 + [-5 / 36] + [1 / 36] * 5
    )
    assert figures.value("sensitivity", "a") == (0.75, 4, "")
    assert figures.value("specificity", "a") == (pytest.approx(5 / 6), 6, "")
    assert figures.value("auroc", "a")[1:] == (10, "there is an answer and no score")
    few = one_class([1] * 10, least=5)
    assert few.value("sensitivity", "a")[1:] == (4, "4 positives, at least 5 are needed")
    assert few.value("specificity", "a")[2] == ""


def compared(group, p, low, high, *, metric="auroc", difference=0.1):
    ends = (difference, 0, 0.2, p, low, high, p, 1, 1, 1)
    return Compared(metric, group, SimpleNamespace(value=0.6), SimpleNamespace(value=0.5), *ends)


@pytest.fixture
def judged(monkeypatch):
    """Judge classes by the p of their one row; its interval excludes 0 where p is below alpha."""

    def judge(*ps, questions=1):
        levels = []

        class OfClass:
            def __init__(self, figures, level=0.95):
                self.p, self.low = figures.p, -0.1 if figures.p >= 1 - level else 0.01
                levels.append((figures.p, round(1 / (1 - level), 6)))

            def compared(self, metric):
                row = compared("dark", self.p, self.low, 0.2)
                return [row] if metric == "auroc" and self.p is not None else []

        monkeypatch.setattr(classes, "Differences", OfClass)
        value = lambda metric, group: (0.5, {"sensitivity": 7}[metric], "")  # noqa: E731
        figures = [SimpleNamespace(p=p, value=value) for p in ps]
        # first each alone, by three figures
        return _judge("tone", NAMES, figures, _least(figures), questions), levels[3 * len(ps) :]

    return judge


def test_classes_are_adjusted_by_holm_s_steps_until_one_is_not_established(judged):
    rows, levels = judged(0.02, 0.5, 0.001, 0.03)
    assert levels == [(0.001, 80), (0.02, 60), (0.03, 60), (0.5, 60)]
    assert [(row.name, row.images) for row in rows] == [
        ("mel", 7), ("bkl", 7), ("nv", 7), ("df", 7)
    ]  # fmt: skip
    assert [row.p for row in rows] == pytest.approx([0.004, 0.06, 0.09, 1])
    assert [row.established for row in rows] == [True, False, False, False]
    rows, levels = judged(0.02, 0.5, 0.001)
    assert levels == [(0.001, 60), (0.02, 40), (0.5, 20)]
    assert [row.p for row in rows] == pytest.approx([0.003, 0.04, 0.5])
    rows, levels = judged(0.02, 0.001, questions=3)
    assert levels == [(0.001, 120), (0.02, 60)]
    assert [row.p for row in rows] == pytest.approx([0.006, 0.06])


def test_a_difference_at_exactly_5_percent_is_not_established():
    figures = (0.6, 0.5, 0.1, 0, 0.2)
    assert not ClassFinding("tone", "mel", "auroc", "a", *figures, 0.05, 9).established
    assert ClassFinding("tone", "mel", "auroc", "a", *figures, 0.0499, 9).established
    assert not Confused("tone", "mel", "nv", "a", 9, 10, *figures, 0.05).established
    assert not compared("a", 0.05, 0, 0.2).established


def test_findings_are_in_the_order_of_p_and_then_of_the_size_of_their_difference():
    rows = [
        SimpleNamespace(p=p, difference=off) for p, off in ((0.2, 0.3), (0.1, 0.1), (0.1, -0.4))
    ]
    assert [row.difference for row in _by_p(rows)] == [-0.4, 0.1, 0.3]


SMALL = pd.DataFrame(
    {
        "target": np.array(["a", "b", "c"])[np.arange(90) % 3],
        "said": np.array(["a", "b", "c"])[(np.arange(90) % 3 + (np.arange(90) % 4 == 0)) % 3],
        "tone": np.array(["dark", "light"])[np.arange(90) // 3 % 2],
        "site": np.array(["arm", "face"])[np.arange(90) // 60],
        "person": np.arange(90) // 2,
    }
)


@pytest.fixture(scope="module")
def small():
    return audit_classes(SMALL, predicted="said", by="tone", patient="person")


def test_an_audit_of_classes_counts_patients_confusions_and_steps(small):
    assert small.patients == 45
    assert audit_classes(SMALL, predicted="said", by="tone").patients is None
    assert small.study.target.tolist() == (SMALL["target"] == "a").tolist()
    for group in ("overall", "dark", "light"):
        part = SMALL if group == "overall" else SMALL[SMALL["tone"] == group]
        theirs = confusion_matrix(part["target"], part["said"], labels=["a", "b", "c"])
        assert (small.confusion(group) == theirs).all()
    with pytest.raises(InputError, match="no group 'none'; choose light, dark"):
        small.confusion("none")
    with pytest.raises(InputError, match="no group column 'none'; choose tone"):
        small.findings("none")
    steps = []
    small.compute(lambda done, of: steps.append((done, of)))
    assert steps == [(0, 3), (1, 3), (3, 3)]


def test_the_means_over_classes_are_adjusted_threefold_and_count_every_image(small, monkeypatch):
    levels = []

    class Level:
        def __init__(self, macro, level):
            levels.append(level)

        def compared(self, metric):
            p = {"sensitivity": 0.01, "f1": 0.4, "accuracy": 0.2}.get(metric)
            return [] if p is None else [compared("dark", p, -0.1, 0.2, metric=metric)]

    monkeypatch.setattr(classes, "Differences", Level)
    macro = small._figures(None)[1]
    rows = classes._judge_macro("tone", macro, 1)
    assert levels == pytest.approx([1 - 0.05 / 3])
    assert [(row.name, row.metric, row.images) for row in rows] == [
        ("macro", "sensitivity", 45), ("macro", "accuracy", 45), ("macro", "f1", 45)
    ]  # fmt: skip
    assert [row.p for row in rows] == pytest.approx([0.05, 0.6, 1])
    assert classes._judge_macro("tone", macro, 2)[0].p == pytest.approx(0.06)
    assert levels[1] == pytest.approx(1 - 0.05 / 6)


@pytest.mark.parametrize(
    ("ps", "times"),
    [
        ((0.02, 0.001, 0.04), {"macro": 3, "classes": 2, "confusions": 1}),
        ((0.02, 0.03, 0.5), {"classes": 3, "macro": 3, "confusions": 3}),
        ((0.02, 0.001, None), {"macro": 2, "classes": 1}),
    ],
)
def test_the_questions_of_a_page_are_adjusted_by_holm_s_steps(monkeypatch, ps, times):
    asked = {}

    def judge(name, p):
        def rows(*args, **options):
            asked[name] = options.get("times", args[-1])
            p_now = 1 if p is None else min(p * asked[name], 1)
            one = SimpleNamespace(p=p_now, difference=0.1, established=p_now < 0.05)
            return [] if p is None else [one]

        return rows

    monkeypatch.setattr(classes, "_least", lambda single: {0: ps[0]})
    monkeypatch.setattr(classes, "_judge", judge("classes", ps[0]))
    monkeypatch.setattr(classes, "_judge_macro", judge("macro", ps[1]))
    monkeypatch.setattr(classes, "confusions", judge("confusions", ps[2]))
    result = audit_classes(SMALL, predicted="said", by="tone")
    established = [
        one.established
        for rows in (result.findings(), result.macro_findings(), result.confusions())
        for one in rows
    ]
    assert {name: count for name, count in asked.items() if name in times} == times
    assert established == [p * times[name] < 0.05 for name, p in zip(
        ("classes", "macro", "confusions"), ps, strict=True) if p is not None]  # fmt: skip


def test_a_crossing_of_groups_with_30_rows_is_shown_and_one_of_fewer_is_not():
    crossed = audit_classes(SMALL, predicted="said", by=["tone", "site"])
    assert crossed.study.groupings[2].labels == ("light × arm", "dark × arm")
    fewer = audit_classes(SMALL[1:], predicted="said", by=["tone", "site"])
    assert fewer.study.groupings[2].labels == ("light × arm",)


def named(count):
    return pd.Series([f"k{k:02d}" for k in range(count)])


def test_an_audit_of_classes_is_of_3_to_50_classes():
    for count in (3, 50):
        assert _classes((), named(count), None, "target", "t") == tuple(named(count))
    with pytest.raises(InputError, match=r"has k00 and k01; an audit of classes needs three"):
        _classes((), named(2), None, "target", "t")
    with pytest.raises(InputError, match="has 51 classes, but at most 50"):
        _classes((), named(51), None, "target", "t")
    with pytest.raises(InputError, match="malignant"):
        _classes((), named(0), None, "target", "t")


def test_the_classes_are_those_of_truth_and_answers_unless_they_are_named():
    said, answered = pd.Series(["b", "a", None, "a"]), pd.Series(["c", None, "a", "d"])
    for every in ((), ("all",)):
        assert _classes(every, said, answered, "target", "t") == ("a", "b", "c", "d")
    with pytest.raises(InputError, match="never has the class 'd'"):
        _classes(("d", "c", "b", "a"), said, answered, "target", "t")
    with pytest.raises(InputError, match="has 'd', which is not one"):
        _classes(("c", "b", "a"), said, answered, "target", "t")
    two = pd.Series(["b", "a", "c"])
    assert _classes(("c", "b", "b", "a"), two, None, "target", "t") == ("c", "b", "a")


def test_score_columns_are_those_that_are_named_or_called_like_the_classes():
    frame, names = pd.DataFrame({"p_a": [0.5], "p_b": [0.5], "x": [0]}), ("a", "b")
    assert _score_columns(frame, names, None, "t", needed=True) == ["p_a", "p_b"]
    given = {"b": "p_b", "a": "x"}
    assert _score_columns(frame, names, given, "t", needed=True) == ["x", "p_b"]
    with pytest.raises(InputError, match="no score column is named for the class 'a'"):
        _score_columns(frame, names, {"b": "p_b"}, "t", needed=False)
    assert _score_columns(frame, ("a", "c"), None, "t", needed=False) is None
    with pytest.raises(InputError, match="has no score column 'c'"):
        _score_columns(frame, ("a", "c"), None, "t", needed=True)


def test_logits_of_classes_become_shares_of_1_and_the_highest_is_the_answer():
    numbers = np.log([[1.0, 2, 5], [6, 3, 1], [1, 8, 1]] * 30)
    table = SMALL[["target", "tone"]].assign(
        **{f"p_{k}": numbers[:, n] for n, k in enumerate("abc")}
    )
    result = audit_classes(table, by="tone", logits=True)
    np.testing.assert_allclose(
        result.scores[:3], [[1 / 8, 2 / 8, 5 / 8], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]]
    )
    assert result.answer[:3].tolist() == [2, 0, 1]
    table.loc[4, "p_b"] = np.nan
    assert len(audit_classes(table, by="tone", logits=True, drop_missing=True).truth) == 89


def test_classes_whose_names_hold_commas_are_named_whole():
    said = pd.Series(["nevus", "BCC, nodular", "melanoma"] * 3)
    given = ("nevus", "BCC", "nodular", "melanoma")
    assert _classes(given, said, None, "dx", "p.csv") == ("nevus", "BCC, nodular", "melanoma")


def test_answers_that_are_spelled_in_another_way_than_the_truth_are_refused():
    said = pd.Series(["nevus", "bcc", "melanoma"] * 3)
    with pytest.raises(InputError, match="'melanoma' and 'Melanoma' are classes"):
        _classes((), said, pd.Series(["nevus", "bcc", "Melanoma"] * 3), "dx", "p.csv")
