"""No statistic moves unnoticed: each function over a grid that holds its limits, as it was before.

Where a difference is meant, `python -m tests.statistics.test_unmoved` writes the numbers anew.
"""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from equiderm.audit import formulas, influence, thresholds
from equiderm.audit.calibration import calibration_edges, calibration_fit, calibration_interval
from equiderm.audit.designs import (
    USUAL,
    Design,
    Sample,
    _established,
    _estimate,
    _quantiles,
    _rank_correlation,
    figures_correlation,
    notices,
)
from equiderm.audit.differences import combined
from equiderm.audit.power import is_noticed, least_luck
from equiderm.audit.sampling import lacking
from equiderm.audit.thirds import Third
from equiderm.statistics import calibrated, delong, estimates, intervals, local, simultaneous
from equiderm.statistics.estimates import Curved, OfShares, Ranked, Scaled, Share

GOLDEN = Path(__file__).parents[1] / "golden" / "statistics.json"
ROWS = np.arange(40)
TARGET = ROWS * 7 % 10 < 4
SCORE = np.round(0.6 * (ROWS * 13 % 17 / 17) + 0.3 * TARGET, 1)
RIVAL = np.round(0.8 * (ROWS * 5 % 19 / 19) + 0.1 * TARGET, 1)
WEIGHT = 1.0 + ROWS % 4
PATIENT = ROWS // 3 % 12
HALVES = np.tile([1.0, -1.0], 20)  # each patient of two rows moves a share by nothing
NAN, INF = math.nan, math.inf
SHARES = [Share(v, n, f) for v, n, f in [(0, 4, INF), (0.3, 20, 6), (0.5, 2.5, 1), (1, 30, INF)]]
RANKED = [Ranked(v, s, 9, 14, f) for v, s, f in [(0.8, 0.01, 9), (1, 0, INF), (0.5, 0.02, 3)]]
CURVED = [
    Curved(v, 0.02, f, scale)
    for scale in ("logit", "log", "plain") for v, f in [(0, 5), (0.4, INF), (1, 2.0)]
]  # fmt: skip
OTHERS = [
    Scaled(0.4, 0.3, 0.6, 4),
    OfShares(1.5, (SHARES[1], SHARES[2]), lambda a, b: a / b if b else INF),
]
EVERY = [*SHARES, *RANKED, *CURVED, *OTHERS]
PAIRS = [(SHARES[1], SHARES[2]), (SHARES[3], SHARES[1]), (RANKED[0], RANKED[2]), (RANKED[0],) * 2]
CORRELATION = np.array([[1, 0.5, -1, 0], [0.5, 1, -0.5, 0], [-1, -0.5, 1, 0], [0, 0, 0, 1.0]])


def over(function, *values):
    """The results of a function for every combination of the values."""
    return [function(*one) for one in itertools.product(*values)]


def differences():
    for (one, other), shared, paired in itertools.product(PAIRS, (0.0, 0.6), (False, True)):
        yield simultaneous.Difference(one, other, shared, paired=paired)


def of_rows():
    """What is computed of rows: alone, of patients, with weights, and with both."""
    for weight, patient in itertools.product((None, WEIGHT), (None, PATIENT)):
        yield delong.delong(TARGET, [SCORE, RIVAL], patient=patient, weight=weight)
        yield estimates.ranked(TARGET, SCORE, patient, weight)
        yield simultaneous.same_rows(
            Share(0.6, 30), Share(0.5, 28), (1.0 * (SCORE > 0.4), 1.0 * TARGET), weight, patient
        )  # fmt: skip
        yield calibration_interval(TARGET, SCORE, patient, weight=weight)
        for part in (SCORE > 0.5, TARGET):
            moved = (part - part.mean()) / 40
            yield estimates.weighted_share(part.mean(), moved, WEIGHT, patient)
            yield estimates.clustered_share(part.mean(), 40, moved, patient, patients=12)


def shares_of_patients():
    pairs = np.repeat(np.arange(20), 2)
    yield estimates.weighted_share(0.5, HALVES / 80, np.ones(40), pairs)
    yield estimates.weighted_share(0.5, HALVES / 80, WEIGHT, ROWS * 0)
    alone = np.maximum(ROWS - 14, 0)  # 25 patients of one row, and one of fifteen
    yield estimates.clustered_share(0.5, 40, HALVES / 80, alone, patients=26)
    yield estimates.clustered_share(0.5, 40, np.sort(HALVES) / 80, alone, patients=26)
    for value, patients in [(0.5, 20), (0.0, 20), (1.0, 3), (0.5, 40), (0.5, 1)]:
        yield estimates.clustered_share(value, 40, HALVES / 80, pairs, patients=patients)
        yield estimates.clustered_share(value, 40, np.sort(HALVES) / 80, pairs, patients=patients)


def at_thresholds():
    levels = [0.0, 0.25, 0.5, 0.75, 1.0]
    for level, weight in itertools.product(levels, (None, WEIGHT)):
        yield thresholds.threshold_at_specificity(TARGET, SCORE, level, weight)
        yield thresholds.threshold_at_sensitivity(TARGET, SCORE, level, weight)
        for of_positives in (False, True):
            yield influence.threshold_share(
                TARGET, SCORE, ROWS < 30, weight, threshold=level, of_positives=of_positives
            )  # fmt: skip
    for level in levels[1:]:
        yield thresholds.specificity_at_true_sensitivity(TARGET, SCORE, SCORE[~TARGET], level)


def near():
    x = np.sort(ROWS * 11 % 23 / 2.0)
    yield local.half_width(x, 12)
    yield local.half_width(np.repeat([1.0, 2], [38, 2]), 12)
    for count in (3, 4, 5):  # rows near a place
        one = local.local_weights(np.arange(float(count)), 1.5, 9)
        yield None if one is None else one.weight
    for place, width, counts in itertools.product((0, 5.25, 11), (0.6, 1, 3), (None, WEIGHT)):
        if (one := local.local_weights(x, place, width, counts)) is None:
            yield None
        else:
            yield one.weight, one.size, one.residuals(SCORE[one.rows], PATIENT[one.rows])


def counted():
    kinds = ("rows", "positives", "negatives", "called", "cleared")
    for few, patients in itertools.product((4, 5, 6, 12), (1, 4, 5)):
        counts = dict.fromkeys(kinds, few) | {f"clusters_{kind}": patients for kind in kinds}
        yield [len(lacking(counts, needs, 5)) > 0 for needs in ("classes", "called")]
        yield [len(lacking(counts, "positives", 3, share)) > 0 for share in (0.25, 0.5, 0.6)]


def judged():
    for correlation in (CORRELATION[:1, :1], CORRELATION[:2, :2], CORRELATION):
        largest = simultaneous.Largest(correlation, 400)
        yield largest.kept, [largest.p(z) for z in (0, 1, 2, 3, 4)]
        yield [largest.quantile(level) for level in (0.5, 0.95, 0.9999)]
    yield simultaneous.correlation_of(np.array([[4.0, 1, 0], [1, 1, 0], [0, 0, 0]]))
    yield over(simultaneous.beside, (0.01, 0.05, 0.2), (-1, 0, 0.5), (0, 1))


def noticed():
    errors = [simultaneous.Difference(*pair) for pair in (PAIRS[0], PAIRS[2])]
    for loading in ([1.0, -0.5], [1.0, 0.0], [0.5, 1.0]):
        yield least_luck(errors, np.array(loading), CORRELATION[:2, :2], 2.2)
    yield over(is_noticed, differences(), (0.84, 1.5), (0.5, 1.96))


def mixes():
    mix = np.stack([SCORE > 0.4, RIVAL], axis=1)
    for wanted, counts in itertools.product(([0.5, 0.5], [0.45, 0.4], [2, 0]), (None, WEIGHT)):
        yield calibrated.balanced(mix, np.array(wanted, float), counts)
    for patient in (None, PATIENT):
        yield calibrated.residuals(TARGET.astype(float), mix, WEIGHT / WEIGHT.sum(), patient)


def formula_values():
    names = [
        "sensitivity", "specificity", "ppv", "npv", "selection_rate", "accuracy", "f1",
        "balanced_accuracy", "miss_rate", "false_alarm_rate", "positive_likelihood_ratio",
        "negative_likelihood_ratio", "net_benefit",
    ]  # fmt: skip
    for name, cut in itertools.product(names, (0.0, 0.3, 0.9)):
        with np.errstate(all="ignore"):
            yield formulas.value(getattr(formulas, name), TARGET, SCORE, cut)


THERE = [(60, 90, (1.5, 1.2)), (25, 70, (1.0, 2.0)), (9, 40, (1.2, 1.0))]  # no two alike
THIRDS = tuple(Third("", (), 1, m + n, m, n, 1, 1, of) for m, n, of in THERE)
PLANNED = Design(THIRDS, 0.25, (1.5, 1.2), 0.2, None)


def plans():
    yield over(_rank_correlation, (0.0, 0.05, 0.5, 1.0), (0.6, 0.85, 0.9995))
    yield over(figures_correlation, (0.7, 0.9), (0.6, 0.8), (0.9,), (0.2, 0.5))
    for share, count in itertools.product(("sensitivity", "specificity"), (2, 3)):
        groups = [Sample(40, 70, (1.5, 1.2)), Sample(60, 90, (1, 2)), Sample(20, 50, (1, 1))]
        for drop in (0.02, 0.34):
            yield _established(share, 0.85, drop, groups[:count], 0.3, 2.4)
    for metric in USUAL:
        yield _quantiles(PLANNED, metric, 0.8, 60.0)
        for count, drop in [(1.9, 0.29), (60, 0.1), (60, 0.25), (300, 0.2)]:
            yield 1.0 * notices(PLANNED, metric, USUAL[metric], count, drop)


DRAWN = np.append(np.round(np.sin(ROWS) * 3) / 10, NAN)
RESULTS = {
    "wilson": lambda: over(intervals.wilson, (0, 0.3, 1, NAN), (0, 0.5, 30), (0, 1.96, 2e100)),
    "effective n": lambda: over(intervals.effective_n, (0, 0.4, 1), (0, 0.002, 0.1), (30,), (7,)),
    "steadied": lambda: over(intervals.steadied, (0.0, 0.01), (0.5, 0.9), (3, 20), (5,)),
    "logit": lambda: over(intervals.logit_interval, (0.01, 0.6), (0, 0.1, 900), (0, 1.96, 30)),
    "Newcombe": lambda: over(intervals.newcombe_auroc, (0, 0.4, 1), (2, 9), (5,), (0, 1e-3, 2)),
    "Student": lambda: over(intervals.t_quantile, (0, 1.96, 9), (0.5, 1, 4, INF)),
    "from Student": lambda: over(intervals.z_of, (0, 1.96, 9), (0.5, 1, 4, INF)),
    "percentile": lambda: over(intervals.percentile, (DRAWN, DRAWN[:1]), (1, 1.96)),
    "expanded": lambda: over(intervals.expanded, (1, 1.96), (1, 2, 3, 30)),
    "BCa": lambda: over(
        intervals.bca, (0.1, -0.3, 0.3, 0.4, NAN), (DRAWN, DRAWN[:1]),
        (DRAWN[:9], DRAWN[:1], DRAWN[40:]),
    ),
    "MOVER": lambda: over(
        intervals.difference, ((0.5, 0.3, 0.6), (0, 0, 0.2)), ((0.4, 0.3, 0.7),), (0, 0.5, 1)
    ),
    "Tango": lambda: over(intervals.tango, (-0.3, 0, 0.3, 1), (0.3, 1), (5, 50), (0, 1.96)),
    "Tukey": lambda: over(intervals.simultaneous_z, (2, 5), (0.9, 0.95)),
    "Holm": lambda: over(
        intervals.holm_levels, ([0.01, 0.04, NAN, 0.03], [0.05, 0.05], [0.001, 0.02, 0.026], [NAN])
    ),
    "bounds": lambda: over(lambda one, z: one.bounds(z), EVERY, (0, 1, 1.96, 40)),
    "moved": lambda: over(
        lambda one, value: vars(one.moved(value)), EVERY, (-0.2, 0, 0.004, 0.3, 1, 1.2)
    ),
    "spread": lambda: over(lambda one: (estimates.spread(one), estimates.interval(one)), EVERY),
    "shares of patients": lambda: list(shares_of_patients()),
    "rows": lambda: list(of_rows()),
    "clustered": lambda: [
        *over(estimates.clustered_variance, (SCORE, HALVES), (None, PATIENT * 2, ROWS * 0 + 3)),
        estimates.clustered_variance(SCORE[:1]),
    ],
    "differences": lambda: [
        (one.freedom, one.value, one.interval(1.96), one.ratio(1.96), one.p, one.statistic)
        for one in differences()
    ],
    "pairs": lambda: [
        vars(simultaneous.paired(*pair, (SCORE - 0.4, RIVAL - 0.4), patient))
        for pair in PAIRS for patient in (None, PATIENT)
    ],
    "combined": lambda: over(
        lambda parts, weights: combined(
            parts, np.array(weights), np.array([9.0, 14, 3]), np.eye(3) * 0.01
        ),
        (SHARES[:3], RANKED, CURVED[3:6]), ([0.2, 0.8, 0], [0.5, 0.2, 0.3], [0, 0, 1]),
    ),
    "planned": lambda: over(
        _estimate, ("auroc", "sensitivity", "specificity"), (0.8,),
        (Sample(30, 60, (1.5, 3.0)), Sample(12, 7, (1, 1))), (0.0, 0.3),
    ),
    "plans": lambda: list(plans()),
    "judged": lambda: list(judged()),
    "noticed": lambda: list(noticed()),
    "patients": lambda: [delong.kish_n(WEIGHT), delong.kish_n(WEIGHT, PATIENT)],
    "contributions": lambda: [
        delong.contributions(TARGET, SCORE, PATIENT),
        delong.contributions(TARGET, SCORE, np.where(TARGET, 0, ROWS)),
        *over(delong.influence, (TARGET,), (SCORE,), (None, WEIGHT)),
        delong.delong(ROWS < 1, SCORE), delong.delong(ROWS < 2, SCORE, patient=PATIENT),
    ],
    "local": lambda: list(near()),
    "mixes": lambda: list(mixes()),
    "thresholds": lambda: list(at_thresholds()),
    "formulas": lambda: list(formula_values()),
    "too few": lambda: list(counted()),
    "calibration": lambda: [
        *over(calibration_edges, (SCORE, SCORE[:19], SCORE[:20]), (None,)),
        calibration_edges(SCORE, WEIGHT),
        *over(calibration_fit, (TARGET, SCORE > 0.4, ROWS < 0), (SCORE, SCORE * 0), (None, WEIGHT)),
    ],
}  # fmt: skip


def flat(value):
    """Every number of a result, in its order; what is no number counts as none."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Share | Ranked | Curved | Scaled | simultaneous.Difference):
        value = vars(value)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [number for one in value for number in flat(one)]
    if not isinstance(value, int | float):
        return [-999.0]
    known = value if math.isfinite(value) else {INF: 888.0, -INF: -888.0}.get(value, -777.0)
    return [float(f"{known:.8g}")]


@pytest.mark.parametrize("name", RESULTS)
def test_no_statistic_has_moved(name):
    now, before = flat(RESULTS[name]()), json.loads(GOLDEN.read_text())[name]
    assert len(before) > 1
    np.testing.assert_allclose(now, before, rtol=2e-6, atol=1e-12)


if __name__ == "__main__":
    every = {name: flat(make()) for name, make in RESULTS.items()}
    GOLDEN.write_text(json.dumps(every, separators=(",", ":")) + "\n")
