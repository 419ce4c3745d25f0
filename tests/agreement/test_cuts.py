from itertools import combinations_with_replacement

import numpy as np
import pytest

from equiderm.agreement.cuts import fit_cuts
from equiderm.tone.fitted_scheme import cost_matrix


def total_cost(values, judged, cost, cuts):
    return sum(
        cost[(value <= cuts).sum(), kind] for value, kind in zip(values, judged, strict=True)
    )


@pytest.mark.parametrize("decision", ["exact", "absolute", "squared"])
def test_no_other_cut_points_cost_less(decision):
    generator = np.random.default_rng(3)
    judged = generator.integers(0, 4, 14)
    values = np.rint(60 - 10 * judged + generator.normal(0, 12, 14))
    weights = np.eye(4)[judged]
    cost = cost_matrix(decision, 4)
    found = total_cost(values, judged, cost, fit_cuts(values, weights, cost))
    places = np.concatenate([[values.max() + 1], np.unique(values)[::-1] - 0.5])
    every = combinations_with_replacement(places, 3)
    assert found == min(total_cost(values, judged, cost, np.array(cuts)) for cuts in every)


def test_well_parted_types_are_cut_midway_between_them():
    values = np.array([60.0, 58, 40, 38, 10, 8])
    cuts = fit_cuts(values, np.eye(3)[[0, 0, 1, 1, 2, 2]], cost_matrix("absolute", 3))
    assert cuts.tolist() == [49.0, 24.0]


def test_weights_move_the_cut():
    values = np.array([50.0, 40, 30, 20])
    weights = np.eye(2)[[0, 1, 0, 1]]
    cost = cost_matrix("exact", 2)
    assert fit_cuts(values, weights * [5, 1], cost).tolist() == [25.0]
    assert fit_cuts(values, weights * [1, 5], cost).tolist() == [45.0]


def test_a_type_that_no_value_is_best_called_is_never_answered():
    cuts = fit_cuts(np.array([50.0, 40]), np.eye(3)[[1, 2]], cost_matrix("exact", 3))
    assert cuts.tolist() == [230.0, 45.0]
