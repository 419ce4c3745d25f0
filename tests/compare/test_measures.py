"""What is compared of each kind of target, against plain reckonings, and which way is better."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error, roc_auc_score

from equiderm.compare import as_dict, compare_scores, render
from equiderm.compare.answer import conclude
from equiderm.compare.scores import in_splits, make_test
from equiderm.compare.spread import spread
from equiderm.errors import InputError

NAMES = ("bcc", "mel", "nv")


def drawn(kind, *, seed=0, methods=2, seeds=4, patients=100, better=0.0):
    """Return scores, targets, patients and groups; a method but the first errs less by a share."""
    random = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), 3)
    n, group = len(patient), np.tile([1, 2], patients * 2)[: len(patient)]
    own = 0.5 * random.normal(size=patients)[patient]
    share = np.where(np.arange(methods) > 0, 1 - better, 1.0)[:, None, None]
    noise = share * (own + random.normal(size=(1, 1, n)) + 0.3 * random.normal(
        size=(methods, seeds, n)))  # fmt: skip
    if kind == "number":
        target = random.normal(60, 5, n)
        return target + 2 * noise * (1 + 0.3 * group), target, patient, group
    target = random.integers(0, 4 if kind == "ordered" else 3, n)
    if kind == "ordered":
        return np.clip(np.round(target + noise), 0, 3), target, patient, group
    other = random.normal(size=(methods, seeds, n, 3))
    scores = np.eye(3)[target] * 1.2 + share[..., None] * other
    return scores, np.array(NAMES)[target], patient, group


PLAIN = {
    "classes": lambda t, s: roc_auc_score(t, s, multi_class="ovr"),
    "ordered": lambda t, s: cohen_kappa_score(t, s, weights="quadratic"),
    "number": lambda t, s: -mean_absolute_error(t, s),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_every_figure_is_that_of_scikit_learn_and_its_variance_that_of_a_bootstrap(kind):
    scores, target, patient, group = drawn(kind)
    if kind == "classes":  # as scikit-learn takes them
        scores = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    test = make_test("t", target, patient, group, by="g", kind=kind,
                     classes=NAMES if kind == "classes" else ())  # fmt: skip
    found = spread(test, scores)
    each = [PLAIN[kind](target[group == g], scores[1, 2][group == g]) for g in (1, 2)]
    overall = PLAIN[kind](target, scores[1, 2])
    plain = [overall, *each, min(each), max(each) - min(each)]
    np.testing.assert_allclose(found.values[1, 2], plain)
    random, off = np.random.default_rng(1), []
    for _ in range(300):
        rows = random.integers(0, 100, 100)[:, None] * 3 + np.arange(3)
        off.append(PLAIN[kind](target[rows.ravel()], scores[1, 2][rows.ravel()]))
    error = np.sqrt((found.parts[1, 2, 0].astype(float) ** 2).sum())
    assert error == pytest.approx(np.std(off, ddof=1), rel=0.2)


@pytest.mark.parametrize(("kind", "sign"), [("classes", 1), ("ordered", 1), ("number", -1)])
def test_a_method_that_errs_less_is_found_to_help_whichever_way_the_figure_runs(kind, sign):
    scores, *rest = drawn(kind, better=0.6)
    classes = NAMES if kind == "classes" else ()
    found = compare_scores(scores, *rest, kind=kind, classes=classes, names=["erm", "mine"])
    row = found.tests[0].difference("mine", "erm", "worst")
    assert sign * row["difference"] > 0
    assert row["low"] < row["difference"] < row["high"]
    assert row["p_holm"] < 0.05
    assert conclude(found).headline.startswith("The worst group gains from mine.")
    level = found.tests[0].figure("mine", "worst")
    assert level["low"] < level["value"] < level["high"]
    of_groups = [found.tests[0].figure("mine", one)["value"] for one in ("1", "2")]
    worst = min(of_groups) if sign > 0 else max(of_groups)
    assert level["value"] == pytest.approx(worst, abs=0.05 if sign > 0 else 0.5)
    assert found.about.name in render(found)
    assert as_dict(found)["measure"] == found.measure
    assert as_dict(found)["tests"][0]["groups"][0]["positives"] is None


def test_the_best_constant_answer_stands_beside_every_figure():
    scores, target, patient, group = drawn("number")
    constant = compare_scores(scores, target, patient, group, kind="number").tests[0].constant
    assert constant["overall"] == pytest.approx(np.abs(target - np.median(target)).mean())
    assert constant["worst"] >= constant["overall"]
    ordered = compare_scores(*drawn("ordered"), kind="ordered").tests[0].constant
    assert list(ordered.values()) == pytest.approx([0.0] * len(ordered))


def test_a_margin_of_a_number_is_a_tenth_of_its_standard_deviation_unless_named():
    scores, target, *rest = drawn("number")
    assert compare_scores(scores, target, *rest, kind="number").margin == target.std() / 10
    assert compare_scores(scores, target, *rest, kind="number", margin=2.5).margin == 2.5
    with pytest.raises(InputError, match="a margin of 3: give a difference in weighted kappa"):
        compare_scores(*drawn("ordered"), kind="ordered", margin=3)


def test_a_table_of_scores_of_classes_gives_what_arrays_give():
    scores, target, patient, group = drawn("classes")
    rows = [
        {"experiment": f"m{e}", "seed": s, "image_id": f"i{k}", "target": target[k],
         "patient_id": patient[k], "group": group[k]}
        | {f"score_{name}": scores[e, s, k, j] for j, name in enumerate(NAMES)}
        for e, s, k in np.ndindex(scores.shape[:3])
    ]  # fmt: skip
    table = compare_scores(pd.DataFrame(rows), kind="classes", classes=NAMES)
    arrays = compare_scores(scores, target, patient, group, kind="classes", names=["m0", "m1"],
                            classes=NAMES)  # fmt: skip
    pd.testing.assert_frame_equal(table.tests[0].differences, arrays.tests[0].differences)


def test_a_macro_auroc_is_over_the_classes_that_every_group_has():
    _, target, patient, group = drawn("classes", patients=200)
    target[(group == 2) & (target == "nv")] = "bcc"
    test = make_test("t", target, patient, group, by="g", kind="classes", classes=NAMES)
    assert test.measure.classes == (0, 1)
    assert [test.missing(k) for k in range(2)] == ["", ""]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("many", {}, "one of binary, classes, ordered, number"),
        ("classes", {"classes": ("a", "b")}, "the target of image .* is none of the classes a, b"),
        ("number", {"target": ["x"] * 300}, "the target of image 1 is no number"),
        ("ordered", {"target": [2] * 300}, "all 300 targets are of one class; two are needed"),
        ("number", {"target": [2] * 300}, "all 300 targets are the same number"),
    ],
)
def test_targets_that_are_not_of_their_kind_are_refused(kind, options, message):
    drawing = drawn(kind if kind in PLAIN else "number")
    target = options.get("target", drawing[1])
    with pytest.raises(InputError, match=message):
        compare_scores(drawing[0], target, *drawing[2:], kind=kind,
                       classes=options.get("classes", ()))  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("binary", "all 2 targets of split 1 are of one class; both are needed"),
        ("ordered", "all 2 targets of split 1 are of one class; two are needed"),
        ("number", "all 2 targets of split 1 are the same number"),
    ],
)
def test_a_split_whose_targets_do_not_differ_is_refused_in_the_words_of_their_kind(kind, message):
    test = make_test("t", [0, 1, 1], None, None, by="g", kind=kind)
    with pytest.raises(InputError, match=message):
        in_splits(test, [np.array([0, 1]), np.array([1, 2])])
