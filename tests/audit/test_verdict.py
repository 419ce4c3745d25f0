"""The verdict: what is established, to whose disadvantage, and of whom nothing can be said."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equiderm.audit import Finding, Options, audit, parse_condition
from equiderm.audit.gaps import versus
from equiderm.audit.metrics import HEADLINE, METRICS
from equiderm.audit.power import needed, smallest
from equiderm.audit.verdict import ACCEPTABLE, _hopeless, _outcome, by_figure, verdict
from equiderm.errors import InputError
from equiderm.statistics.estimates import Share

QUICK = Options(replicates=100)


def group(name, rows, *, auroc_shift=1.5, raised=0.0, prevalence=0.3, seed=0, patients=None):
    """Return rows of one group: ``raised`` lifts all its log-odds, positives lie further up."""
    random = np.random.default_rng([seed, *name.encode()])
    target = (np.arange(rows) < prevalence * rows).astype(int)
    logit = random.normal(size=rows) + auroc_shift * target - 1.2 + raised
    patient = np.arange(rows) if patients is None else random.integers(0, patients, rows)
    return pd.DataFrame(
        {"target": target, "score": 1 / (1 + np.exp(-logit)), "tone": name}
        | {"patient_id": [f"{name}{k}" for k in patient]}
    )


def verdict_of(*parts, **words):
    return audit(pd.concat(parts), by=["tone"], options=QUICK).verdict(**words)


def test_a_gap_names_the_worse_group_and_the_worst_figure_first():
    dark = group("dark", 800, auroc_shift=0.7)
    result = verdict_of(dark, group("light", 800))
    assert result.outcome == "gap"
    assert [one.metric for one in result.findings[:2]] == ["sensitivity", "auroc"]
    first = result.findings[0]
    assert (first.group, first.outcome, first.positives, first.negatives) == (
        "dark",
        "gap",
        240,
        560,
    )
    assert first.difference == pytest.approx(first.value - first.others_value)
    assert first.difference_low < first.difference < first.difference_high < 0


def test_equal_ranks_with_shifted_scores_are_a_gap_of_sensitivity_and_none_of_the_auroc():
    result = verdict_of(group("dark", 1000, raised=-1.5), group("light", 1000))
    outcome = {one.metric: one.outcome for one in result.findings}
    assert outcome == {"sensitivity": "gap", "specificity": "gap", "auroc": "none found"}
    assert result.findings[0].metric == "sensitivity"
    assert result.findings[0].group == "dark"


def test_a_group_that_is_worse_by_both_figures_is_a_gap_whichever_each_names_first():
    ranks = group("brown", 1500, auroc_shift=0.6, raised=0.9)
    misses, both = (group("dark", 1500, auroc_shift=x, raised=-1.6) for x in (1.5, 0.8))
    rest = [group(name, 1500) for name in ("light", "medium")]
    assert verdict_of(ranks, misses, *rest).outcome == "mixed"
    result = verdict_of(ranks, both, *rest)
    named = {one.metric: one.group for one in result.findings}
    assert (named["auroc"], named["sensitivity"]) == ("brown", "dark")
    assert [(one.metric, one.group) for one in result.also] == [("auroc", "dark")]
    assert result.worse("auroc") == ["brown", "dark"]
    assert result.outcome == "gap"


def test_a_small_group_cannot_hide_two_large_ones():
    large = group("dark", 1000, auroc_shift=1.2), group("light", 1000, auroc_shift=1.8)
    alone, masked = verdict_of(*large), verdict_of(*large, group("few", 15))
    for result in (alone, masked):
        one = next(one for one in result.findings if one.metric == "auroc")
        assert (one.outcome, one.group) == ("gap", "dark")
    widths = [
        one.difference_high - one.difference_low
        for result in (alone, masked)
        for one in result.findings
        if one.metric == "auroc"
    ]
    assert widths[1] < 1.3 * widths[0]  # by the third comparison; the 15 rows' own is far wider
    assert [one.group for one in masked.too_few] == ["few"]


def test_groups_alike_have_no_gap_and_the_drop_that_would_be_noticed_is_told():
    result = verdict_of(group("dark", 900), group("light", 900, seed=1))
    assert result.outcome == "none found"
    assert all(one.outcome == "none found" for one in result.findings)
    assert 0.02 < result.detectable["auroc"]["dark"] < 0.12
    assert 0.08 < result.detectable["sensitivity"]["dark"] < 0.25


def test_an_acceptable_difference_turns_none_found_into_less_than_that():
    parts = group("dark", 4000), group("light", 4000, seed=1)
    assert verdict_of(*parts).findings[0].outcome == "none found"
    result = verdict_of(*parts, acceptable=0.12)
    assert {one.outcome for one in result.findings} == {"within acceptable"}
    narrow = verdict_of(*parts, acceptable={"auroc": 0.0001})
    assert next(f.outcome for f in narrow.findings if f.metric == "auroc") == "none found"


def test_what_one_group_lacks_of_the_others_is_within_the_acceptable_only_if_all_of_it_is():
    parts = [group(name, 900, seed=2) for name in "abcd"] + [group("e", 900, auroc_shift=1.35)]
    results = audit(pd.concat(parts), by=["tone"], options=QUICK).results["tone"]
    rows = results.differences().compared("auroc")
    lacks, gains = max(-row.low_adjusted for row in rows), max(row.high_adjusted for row in rows)
    assert lacks > gains + 0.01
    outcomes = []
    for limit in (lacks + 1e-6, lacks - 1e-6):
        found = verdict(results, {"auroc": limit}).findings
        outcomes.append(next(one.outcome for one in found if one.metric == "auroc"))
    assert outcomes[0] == "within acceptable" != outcomes[1]


def test_six_positives_of_one_patient_are_one():
    dark = group("dark", 46, prevalence=0)
    ill = group("ill", 6, prevalence=1).assign(tone="dark", patient_id="P0")
    frame = pd.concat([dark, ill, group("light", 500)])
    made = audit(frame, by=["tone"], patient="patient_id", options=QUICK)
    why = "6 positives of 1 patient, at least 5 patients are needed"
    assert made.figure("auroc", "dark").why == why
    result = made.verdict()
    assert result.outcome == "cannot say"
    assert [(one.group, one.reason) for one in result.too_few] == [("dark", why)]
    outcome, sentence = parse_condition("worst(auroc) < 0.7 with confidence").decide(made)
    assert outcome is None
    assert why in sentence


def test_a_condition_that_holds_among_the_others_holds_whoever_is_missing():
    frame = pd.concat([group("a", 500), group("b", 500, auroc_shift=0.3), group("c", 6)])
    made = audit(frame, by=["tone"], options=QUICK)
    assert parse_condition("worst(auroc) < 0.75").decide(made)[0] is True
    assert parse_condition("worst(auroc) < 0.2").decide(made)[0] is None
    assert parse_condition("gap(auroc) > 0.9").decide(made)[0] is False


def test_neighbouring_bands_with_too_few_each_are_judged_together():
    bands = [group(str(k), 400, seed=k) for k in (1, 2, 3)]
    few = [group(str(k), 12, seed=k, auroc_shift=-2) for k in (4, 5, 6)]
    made = audit(pd.concat([*bands, *few]), by=["tone"], options=QUICK)
    assert all(made.figure("auroc", name).why for name in ("4", "5", "6"))
    result = made.verdict()
    assert result.pooled == (("4", "5", "6"),)
    one = next(one for one in result.findings if one.metric == "auroc")
    assert (one.group, one.outcome, one.positives) == ("4 to 6", "gap", 12)
    assert result.too_few == ()


def test_bands_without_an_order_are_not_joined():
    frame = pd.concat([group("x", 400), group("y", 400), group("v", 12), group("w", 12)])
    result = audit(frame, by=["tone"], options=QUICK).verdict()
    assert result.pooled == ()
    assert [one.group for one in result.too_few] == ["v", "w"]


def test_a_group_where_a_large_loss_would_go_unnoticed_cannot_be_judged():
    result = verdict_of(group("dark", 24), group("light", 900))
    assert result.outcome == "cannot say"
    assert result.too_few[0].reason.startswith("8 positives: even if")
    assert 50 < result.too_few[0].needed_positives < 2000


def test_twice_the_acceptable_difference_needs_about_a_quarter_of_the_positives():
    parts = group("dark", 24), group("light", 900)
    fine, coarse = (
        verdict_of(*parts, acceptable=size).too_few[0].needed_positives for size in (0.05, 0.10)
    )
    assert 2.5 < fine / coarse < 5


def test_ever_larger_drops_need_fewer_positives_down_to_those_that_a_figure_needs():
    table = pd.concat([group("dark", 600), group("light", 900)])
    results = [audit(table, by=["tone"], options=Options(min_count=k)).results for k in (5, 2)]
    most, least = (
        [needed(one["tone"], "sensitivity", "dark", drop) for drop in (0.1, 0.3, 0.45, 0.6, 0.9)]
        for one in results
    )
    assert most == [463, 28, 9, 5, 5]
    assert least == [463, 28, 9, 2, 2]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.sampled_from([20, 60, 300]), min_size=2, max_size=4),
    st.floats(0, 1.5),
    st.booleans(),
)
def test_interval_p_gap_verdict_and_condition_agree(seed, sizes, drop, clustered):
    parts = [
        group(str(k), rows, seed=seed, auroc_shift=1.5 - drop * (k == 0), patients=rows // 3)
        for k, rows in enumerate(sizes)
    ]
    made = audit(
        pd.concat(parts), by=["tone"], patient="patient_id" if clustered else None, options=QUICK
    )
    findings = {one.metric: one for one in made.verdict().findings}
    for metric in HEADLINE:
        rows = versus(made.results["tone"], metric)
        for row in rows:
            assert (row["low"] > 0 or row["high"] < 0) == (row["p"] < 0.05)
            apart = row["low_adjusted"] > 0 or row["high_adjusted"] < 0
            assert apart == (row["p_holm"] < 0.05)
        if not rows:
            continue
        gap, one = made.gap(metric), findings[metric]
        assert one.p in [row["p_holm"] for row in rows]
        assert (one.p < 0.05) == (min(row["p_holm"] for row in rows) < 0.05)
        assert (one.outcome == "gap") == (one.p < 0.05)
        if not gap.why:
            assert gap.p == one.p
            assert (gap.low > 0) == (gap.p < 0.05)
            held, _ = parse_condition(f"gap({metric}) > 0 with confidence").decide(made)
            assert held == (one.outcome == "gap")


def test_the_others_auroc_is_within_groups_so_shifted_scores_make_no_gap():
    parts = [group(str(k), 600, raised=k - 1.0, seed=k) for k in range(3)]
    made = audit(pd.concat(parts), by=["tone"], options=QUICK)
    rows = versus(made.results["tone"], "auroc")
    values = [made.figure("auroc", str(k)).value for k in range(3)]
    assert rows[0]["difference"] == pytest.approx(values[0] - np.mean(values[1:]), abs=1e-3)
    assert made.figure("auroc").value < min(values)  # of all rows: between groups too


def test_the_difference_from_a_reference_has_its_own_p():
    from scipy.stats import norm

    parts = [group("A", 1500), group("B", 1500, auroc_shift=1.0), group("C", 1500, auroc_shift=1.2)]
    made = audit(pd.concat(parts), by=["tone"], options=QUICK)
    row = next(r for r in versus(made.results["tone"], "auroc", "A") if r["group"] == "C")
    one, other = (made.results["tone"].estimate("auroc", name) for name in ("C", "A"))
    z = (one.value - other.value) / np.hypot(one.variance**0.5, other.variance**0.5)
    assert np.log10(row["p"]) == pytest.approx(np.log10(2 * norm.sf(abs(z))), abs=0.7)
    assert row["p"] <= row["p_holm"]


@pytest.mark.parametrize("metric", list(METRICS))
def test_large_groups_have_the_same_interval_by_closed_form_and_by_resampling(metric, monkeypatch):
    from equiderm.audit import groups

    frame = pd.concat([group("a", 3000), group("b", 2500, auroc_shift=1.2)])
    closed = audit(frame, by=["tone"]).figure(metric, "a")
    monkeypatch.setattr(groups, "LARGE_ROWS", 10**9)
    monkeypatch.setattr(groups, "VAST_ROWS", 10**9)
    drawn = audit(frame, by=["tone"], options=Options(replicates=400)).figure(metric, "a")
    assert closed.value == drawn.value
    assert closed.high - closed.low == pytest.approx(drawn.high - drawn.low, rel=0.16)


def test_the_gap_is_over_joined_bands_where_under_two_have_the_figure_alone():
    few = [group(str(k), 9, auroc_shift=0.0, raised=-1.0) for k in (2, 3)]
    result = audit(pd.concat([group("1", 600, auroc_shift=3.0), *few]), by=["tone"], options=QUICK)
    assert result.verdict().pooled == (("2", "3"),)
    established = result.verdict().findings[0]
    assert (established.metric, established.group) == ("sensitivity", "2 to 3")
    gap = result.gap("sensitivity")
    assert gap.why == ""
    assert (gap.low > 0) == (gap.p < 0.05) == (established.p < 0.05)


def found(metric, outcome="gap", group="dark", *, better=False):
    values = (0.6, 0.5, 0.7, 0.8, 0.7, 0.9, 0.2 if better else -0.2, -0.3, 0.3, 0.01)
    return Finding(metric, "tone", group, *values, outcome, 9, 9, 9)


NO, UNKNOWN = found("auroc", "none found"), found("auroc", "cannot say")


@pytest.mark.parametrize(
    ("findings", "also", "few", "outcome"),
    [
        ([NO, UNKNOWN], [], False, "none found"),
        ([NO, UNKNOWN], [], True, "cannot say"),
        ([UNKNOWN, UNKNOWN], [], False, "cannot say"),
        ([found("auroc"), NO], [], True, "gap"),
        ([found("specificity")], [], False, "gap"),
        ([found("auroc"), found("sensitivity", group="tan")], [], False, "mixed"),
        ([found("auroc"), found("sensitivity")], [], False, "gap"),
        ([found("auroc"), found("specificity", group="tan")], [], False, "gap"),
        ([found("auroc"), found("sensitivity", group="tan", better=True)], [], False, "gap"),
        (
            [found("auroc"), found("sensitivity", group="tan")],
            *([found("auroc", group="tan")], False, "gap"),
        ),
    ],
)
def test_an_outcome_follows_from_the_findings_of_the_figures(findings, also, few, outcome):
    assert _outcome(findings, also, few) == outcome


def test_acceptable_differences_are_5_and_10_points_unless_others_are_given():
    usual = ACCEPTABLE, "acceptable"
    assert by_figure(None, *usual) == {"auroc": 0.05, "sensitivity": 0.1, "specificity": 0.1}
    assert by_figure(0.2, *usual) == dict.fromkeys(("auroc", "sensitivity", "specificity"), 0.2)
    assert by_figure({"auroc": 0.2}, *usual) == ACCEPTABLE | {"auroc": 0.2}


def compared(metric, value, other, *, established=False, n=(5, 500)):
    row = SimpleNamespace(metric=metric, group="dark", established=established)
    row.estimate, row.other = Share(value, n[0]), Share(other, n[1])
    return row


@pytest.mark.parametrize(
    ("noticed", "more", "hopeless"),
    [
        ((0.126, 0.251), {}, True),
        ((0.125, 0.251), {}, False),  # half of what the others' AUROC is above 0.5
        ((0.126, 0.25), {}, False),  # half of the others' sensitivity
        ((0.126, 0.251), {"established": True}, False),
        ((0.126, 0.251), {"n": (500, 5)}, False),
    ],
)
def test_a_group_is_hopeless_where_even_half_of_the_others_figures_goes_unnoticed(
    noticed, more, hopeless
):
    rows = {m: [compared(m, 0.5, v, **more)] for m, v in (("auroc", 0.75), ("sensitivity", 0.5))}
    results = SimpleNamespace(differences=lambda: SimpleNamespace(compared=rows.__getitem__))
    drops = {m: {"dark": drop} for m, drop in zip(rows, noticed, strict=True)}
    drops["auroc"]["light"] = 0.1
    assert _hopeless(results, "dark", drops) == hopeless
    assert not _hopeless(results, "dark", drops | {"auroc": {"dark": 0.126}})


def test_a_figure_is_worse_by_its_own_direction():
    assert found("auroc").is_worse and not found("auroc", better=True).is_worse
    assert not found("brier").is_worse and found("brier", better=True).is_worse
    assert not found("selection_rate").is_worse


def test_half_of_the_range_is_found_to_a_millionth():
    for edge in (0.0, 0.3, 0.75):
        assert smallest(lambda value, edge=edge: value >= edge, 1.0) == pytest.approx(
            edge, abs=1e-6
        )
    assert smallest(lambda value: False, 2.0) == 2.0


def test_a_group_or_figure_that_is_not_there_is_one_sentence(predictions):
    made = audit(predictions(200), by="ita_band", options=Options(replicates=100))
    for asked in (lambda: made.figure("auroc", "9"), lambda: made.missed(group="9")):
        with pytest.raises(InputError, match=r"no group '9'; choose overall, 1, 2, 3\."):
            asked()
    with pytest.raises(InputError, match=r"no group column 'no'; choose ita_band\."):
        made.missed("no")
    with pytest.raises(InputError, match=r"`acceptable` names 'aurok'; choose from auroc, "):
        made.verdict(acceptable={"aurok": 0.1})
