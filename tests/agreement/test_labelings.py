import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from equiderm.agreement.labelings import align_labelings, compare_labelings
from equiderm.errors import InputError

TYPES = (1, 2, 3, 4, 5, 6)


def test_a_pair_has_scikit_learns_figures_over_the_images_that_both_label():
    generator = np.random.default_rng(0)
    first = generator.integers(1, 7, 200).astype(float)
    second = np.clip(first + generator.integers(-1, 3, 200), 1, 6)
    second[:20] = np.nan
    (pair,) = compare_labelings({"a": first, "b": second}, TYPES)
    a, b = first[20:], second[20:]
    assert (pair.n, pair.one_only) == (180, 20)
    expected = {
        "changed": 1 - metrics.accuracy_score(a, b),
        "exact": metrics.accuracy_score(a, b),
        "within_one": (np.abs(a - b) <= 1).mean(),
        "kappa": metrics.cohen_kappa_score(a, b, weights="quadratic"),
    }
    assert {name: figure[0] for name, figure in pair.figures.items()} == pytest.approx(expected)
    assert all(low <= value <= high for value, low, high in pair.figures.values())


def test_three_labelings_make_three_pairs():
    same = np.tile(TYPES, 10).astype(float)
    pairs = compare_labelings({"a": same, "b": same, "c": 7 - same}, TYPES)
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert pairs[0].figures["kappa"][0] == 1


def test_labelings_are_aligned_by_stem_and_a_gap_stays_a_gap():
    aligned = align_labelings(
        {
            "a": (pd.Series(["x/1.jpg", "x/2.jpg"]), np.array([1.0, 2.0])),
            "b": (pd.Series(["2", "3"]), np.array([5.0, 6.0])),
        }
    )
    table = sorted(zip(aligned["a"].tolist(), aligned["b"].tolist(), strict=True), key=str)
    assert str(table) == "[(1.0, nan), (2.0, 5.0), (nan, 6.0)]"


def test_a_pair_with_too_few_images_is_one_sentence():
    with pytest.raises(InputError, match="a and b both label only 6 images"):
        compare_labelings({"a": np.arange(1.0, 7), "b": np.arange(1.0, 7)}, TYPES)


def test_labelings_that_agree_everywhere_have_an_exact_interval():
    same = np.tile(TYPES, 10).astype(float)
    (pair,) = compare_labelings({"a": same, "b": same}, TYPES)
    bound = 0.025 ** (1 / 60)
    assert pair.figures["exact"] == pytest.approx((1, bound, 1))
    assert pair.figures["changed"] == pytest.approx((0, 0, 1 - bound))


def test_an_image_twice_in_one_labeling_is_one_sentence():
    ids = pd.Series(["a", "b", "b"])
    with pytest.raises(InputError, match=r"B: 1 image id is in more than one row \(b\)"):
        align_labelings({"A": (pd.Series(["a"]), np.ones(1)), "B": (ids, np.ones(3))})


def test_rows_without_an_id_are_left_out_of_labelings():
    aligned = align_labelings(
        {
            "a": (pd.Series(["1", None]), np.array([1.0, 2.0])),
            "b": (pd.Series(["1", None]), np.array([3.0, 4.0])),
        }
    )
    assert [values.tolist() for values in aligned.values()] == [[1.0], [3.0]]
