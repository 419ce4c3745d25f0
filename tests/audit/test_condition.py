"""The language of --fail-if."""

import pytest

from equiderm.audit import Options, audit, parse_condition
from equiderm.errors import InputError


@pytest.fixture(scope="module")
def made(predictions):
    return audit(predictions(2500, drop=1.4), by=["ita_band"], options=Options(replicates=200))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gap(auroc) > 0.05", True),
        ("gap(auroc) > 0.05 with confidence", True),
        ("gap(auroc)>.5", False),
        ("gap( auroc ) < 0.6 with  confidence", True),
        ("worst(sensitivity) < 0.99", True),
        ("worst(brier) > 0.9", False),
        ("overall(auroc) >= 0.5 with confidence", True),
        ("overall(auroc) <= 0.5", False),
        ("equal_opportunity_difference > 0.01", True),
        ("equalized_odds_difference > 0.99", False),
    ],
)
def test_a_condition_holds_or_not(made, text, expected):
    held, sentence = parse_condition(text).holds(made)
    assert held is expected
    assert text.strip() in sentence


def test_confidence_asks_for_the_whole_interval(made):
    gap = made.gap("auroc")
    between = (gap.low + gap.value) / 2
    assert parse_condition(f"gap(auroc) > {between:.6f}").holds(made)[0]
    assert not parse_condition(f"gap(auroc) > {between:.6f} with confidence").holds(made)[0]


@pytest.mark.parametrize(("sign", "at"), [(">", False), (">=", True), ("<", False), ("<=", True)])
def test_a_figure_of_exactly_the_number_is_at_it_and_not_beyond(sign, at):
    condition = parse_condition(f"overall(auroc) {sign} 0.5")
    assert condition._beyond(0.5, 0.4, 0.6) == at
    sure = parse_condition(f"overall(auroc) {sign} 0.5 with confidence")
    ends = (0.5, 0.6) if sign.startswith(">") else (0.4, 0.5)
    assert sure._beyond(0.5, *ends) == at


@pytest.mark.parametrize(
    "text",
    ["", "gap", "gap(auroc)", "gap(auroc) > x", "gap(auroc) == 0.1", "mean(auroc) > 0.1",
     "gap(auroc) > 0.1 surely", "gap(auroc) > 0.1; rm", "__import__('os')"],
)  # fmt: skip
def test_anything_else_is_not_understood(text):
    with pytest.raises(InputError, match="is not understood; write for example"):
        parse_condition(text)


def test_an_unknown_figure_is_named():
    with pytest.raises(InputError, match="no known figure; choose one of auroc"):
        parse_condition("gap(kappa) > 0.1")


def test_a_missing_figure_cannot_decide(predictions):
    frame = predictions(200).assign(ita_band="one")
    made = audit(frame, by=["ita_band"], options=Options(replicates=200))
    with pytest.raises(InputError, match=r"cannot be decided.*there is 1 group, 2 are needed"):
        parse_condition("gap(auroc) > 0.1").holds(made)


def test_of_a_figure_that_is_no_better_high_or_low_no_group_is_worst(made):
    with pytest.raises(InputError, match=r"cannot be decided.*no group is worst"):
        parse_condition("worst(selection_rate) > 0.1").holds(made)


def test_a_figure_of_one_image_is_refused():
    with pytest.raises(InputError, match="give at least 2"):
        Options(min_count=1)
