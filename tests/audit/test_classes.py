"""Audits of several classes: figures that others compute alike, claims, and what is refused."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, roc_auc_score

from equiderm.audit import audit_classes
from equiderm.audit.class_figures import MeanOf, OneClass, in_every_group
from equiderm.audit.classes import _finding
from equiderm.audit.confusions import confusions
from equiderm.audit.differences import Compared
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
        ({"target": "tone", "scores": None}, "has no score column '1'"),
        ({"predicted": "nothing"}, "nothing"),
    ],
)
def test_what_cannot_be_audited_is_one_sentence(change, said):
    with pytest.raises(InputError, match=said):
        audit_classes(made(), by="tone", **change)


def test_two_classes_are_no_several():
    table = made()
    with pytest.raises(InputError, match="three or more"):
        audit_classes(table[table["target"].isin(["mel", "nv"])], by="tone")


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
    study = SimpleNamespace(patient=patients, target=np.ones(len(answer), bool))
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
    study = SimpleNamespace(target=target, score=np.full(10, np.nan), patient=None, weight=None)
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
