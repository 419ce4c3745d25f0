"""The gap between groups whose figures and differences are given: every number of it."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from equiderm.audit import Options, audit, gaps, parse_condition
from equiderm.audit.differences import Compared, combined
from equiderm.audit.gaps import gap, null_spread, odds_difference, versus
from equiderm.errors import InputError
from equiderm.statistics.estimates import Share, spread
from equiderm.statistics.intervals import simultaneous_z, wilson

GROUPS = {"a": Share(0.7, 80), "b": Share(0.9, 50), "c": Share(0.6, 120)}
NEAR = (-0.1, 0.2)  # an interval that holds 0


def row(group, low, high, *, p=0.5, difference=0.1):
    ends = (difference, -0.5, 0.5, 0.3, low, high, p, 1.1, 0.9, 1.3)
    return Compared("sensitivity", group, GROUPS["a"], GROUPS["b"], *ends)


def groups(*intervals, has=("a", "b", "c"), units=None, ps=(0.4, 0.2, 0.3), seed=0):
    """Results of three groups and one without the figure, with these adjusted intervals."""
    rows = [row(name, *ends, p=p) for name, ends, p in zip(GROUPS, intervals, ps, strict=False)]
    return SimpleNamespace(
        gaps={},
        grouping=SimpleNamespace(name="tone", labels=(*GROUPS, "d")),
        options=SimpleNamespace(seed=seed),
        compared=lambda metric: list(has),
        units=lambda metric: list(units or has),
        pooled={name: (f"{name} 1", f"{name} 2") for name in units or () if name not in has},
        value=lambda metric, name: (GROUPS[name].value, 9, ""),
        estimate=lambda metric, name: GROUPS[name],
        figure=lambda metric, name, z: (GROUPS[name].value, *GROUPS[name].bounds(z), 9, ""),
        differences=lambda reference=None: SimpleNamespace(compared=lambda metric: rows),
    )


@pytest.fixture(autouse=True)
def drops(monkeypatch):
    """The drop that would be noticed is tested with the plans."""
    monkeypatch.setattr(gaps, "detectable", lambda results, metric, name: {"a": 0.1}.get(name, 0.2))


def test_a_gap_is_from_the_lowest_to_the_highest_group_and_names_the_worst():
    of = gap(groups(NEAR, NEAR, NEAR), "sensitivity")
    assert of.value == pytest.approx(0.3)
    assert (of.metric, of.by, of.lowest, of.highest, of.why) == (
        "sensitivity",
        "tone",
        "c",
        "b",
        "",
    )
    assert (of.worst, gap(groups(NEAR, NEAR, NEAR), "brier").worst) == ("c", "b")
    assert of.p == 0.2 and of.detectable == {"a": 0.1, "b": 0.2, "c": 0.2}


@pytest.mark.parametrize(
    ("intervals", "low"),
    [
        ([NEAR, NEAR, NEAR], 0.0),
        ([NEAR, (0.05, 0.4), NEAR], 0.05),
        ([NEAR, (0.05, 0.4), (-0.3, -0.12)], 0.12),
        ([(0.05, 0.4), (0.07, 0.3), NEAR], 0.07),
        ([(0.0, 0.4), (-0.4, 0.0), NEAR], 0.0),
        ([NEAR, (0.5, 0.9), NEAR], 0.3),  # no more than the gap itself
    ],
)
def test_a_gap_s_lower_end_is_the_nearest_to_0_of_the_difference_farthest_from_it(intervals, low):
    assert gap(groups(*intervals), "sensitivity").low == pytest.approx(low)


@pytest.mark.parametrize(
    ("has", "level"), [(("a", "b", "c"), 0.95), (("a", "b"), 0.95), (("a", "b", "c"), 0.975)]
)
def test_a_gap_s_upper_end_is_of_the_widest_pair_with_tukey_s_quantile(has, level):
    results = groups(NEAR, NEAR, NEAR, has=has)
    z = simultaneous_z(len(has), level)
    ends = {name: wilson(GROUPS[name].value, GROUPS[name].n, z) for name in has}
    highest = max(
        GROUPS[one].value - GROUPS[other].value
        + math.hypot(ends[one][1] - GROUPS[one].value, GROUPS[other].value - ends[other][0])
        for one in has for other in has if one != other
    )  # fmt: skip
    of = gap(results, "sensitivity") if level == 0.95 else gap(results, "sensitivity", level)
    assert of.high == pytest.approx(highest)


def test_the_gap_of_two_groups_by_chance_is_the_size_of_a_normal_difference():
    results = groups(NEAR, NEAR, has=("a", "c"))
    error = math.sqrt(spread(GROUPS["a"]) + spread(GROUPS["c"]))
    drawn = null_spread(results, "sensitivity")
    assert drawn.shape == (10_000,)
    of = gap(results, "sensitivity")
    assert of.null_mean == drawn.mean() == pytest.approx(error * math.sqrt(2 / math.pi), rel=0.03)
    assert of.null_95 == np.quantile(drawn, 0.95) == pytest.approx(1.96 * error, rel=0.03)
    assert gap(groups(NEAR, NEAR, has=("a", "c"), seed=1), "sensitivity").null_mean != of.null_mean


def test_a_gap_is_computed_once_for_each_figure_and_level():
    results = groups(NEAR, NEAR, NEAR)
    one = gap(results, "sensitivity")
    assert gap(results, "sensitivity", 0.95) is one
    assert gap(results, "specificity") is not one
    assert gap(results, "sensitivity", 0.99).high > one.high


def test_a_gap_needs_two_groups_or_two_of_joined_bands():
    none = gap(groups(has=("a",)), "sensitivity")
    assert none.why == "1 of 4 groups has the figure, 2 are needed"
    numbers = none.value, none.low, none.high, none.p, none.null_mean, none.null_95
    assert np.isnan(numbers).all() and none.detectable == {}
    assert (none.lowest, none.highest, none.worst) == ("", "", "")
    joined = gap(groups(NEAR, NEAR, has=("a",), units=("a", "c")), "sensitivity")
    assert (joined.why, joined.lowest) == ("", "c")
    assert gap(groups(NEAR, NEAR, has=("a", "b"), units=("c",)), "sensitivity").highest == "b"
    assert gap(groups(has=("a", "b")), "sensitivity").why.startswith("2 of 4")  # none compared


def test_a_difference_of_odds_is_the_largest_gap_of_its_figures_at_a_shared_level(monkeypatch):
    asked = []
    sizes = {"sensitivity": (0.2, 0.1, 0.3, ""), "specificity": (0.3, 0.0, 0.35, "")}

    def one(results, metric, level):
        asked.append((metric, level))
        return SimpleNamespace(
            **dict(zip(("value", "low", "high", "why"), sizes[metric], strict=True))
        )

    monkeypatch.setattr(gaps, "gap", one)
    assert odds_difference(None, "equal_opportunity_difference") == (0.2, 0.1, 0.3, "")
    assert odds_difference(None, "equalized_odds_difference") == (0.3, 0.1, 0.35, "")
    levels = [("sensitivity", 0.95), ("sensitivity", 0.975), ("specificity", 0.975)]
    assert asked == levels
    sizes["sensitivity"] = (math.nan, math.nan, math.nan, "few")
    *numbers, why = odds_difference(None, "equalized_odds_difference")
    assert np.isnan(numbers).all() and why == "few"
    with pytest.raises(InputError, match="there is no 'odds'; choose equal_opportunity_diff"):
        odds_difference(None, "odds")


def test_groups_against_the_others_have_each_end_of_both_intervals_by_its_name():
    numbers = {
        "difference": 0.11, "low": 0.01, "high": 0.21, "p": 0.02, "low_adjusted": -0.03,
        "high_adjusted": 0.31, "p_holm": 0.09, "ratio": 1.2, "ratio_low": 1.0, "ratio_high": 1.4,
    }  # fmt: skip
    given = Compared("auroc", "a", GROUPS["a"], GROUPS["b"], *numbers.values())
    asked = []

    def differences(reference):
        asked.append(reference)
        return SimpleNamespace(compared=lambda metric: [given])

    results = SimpleNamespace(differences=differences)
    assert versus(results, "auroc") == [{"group": "a", **numbers}]
    versus(results, "auroc", "b")
    assert asked == [None, "b"]


def test_shares_of_one_in_every_group_are_one_together_whatever_the_weights_round_to():
    random, above = np.random.default_rng(0), 0
    for _ in range(200):
        size = random.integers(5, 90, 6)
        weights = size / size.sum()
        above += sum(weights) > 1
        whole = combined([Share(1.0, n) for n in size], weights, size, np.eye(6) * 1e-4)
        assert whole.value == 1
        assert whole.bounds(0.0)[1] == 1
    assert above


def test_a_gap_counts_bands_that_are_judged_together():
    counts = {"1": (200, 200), "2": (200, 200), "3": (4, 1), "4": (4, 0)}  # positives, found
    parts = [
        pd.DataFrame(
            {
                "band": band,
                "target": np.repeat([1, 0], [m, 200]),
                "score": np.r_[np.repeat([0.9, 0.1], [found, m - found]), np.full(200, 0.2)],
            }
        )
        for band, (m, found) in counts.items()
    ]
    made = audit(pd.concat(parts), by="band", options=Options(replicates=100))
    gap = made.gap("sensitivity")
    assert made.verdict().outcome == "gap"
    assert (gap.worst, gap.value) == ("3 to 4", 1 - 1 / 8)
    assert gap.low > 0
    assert parse_condition("gap(sensitivity) > 0 with confidence").holds(made)[0]
