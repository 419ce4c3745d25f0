"""The gap at equal case mix, on tables of known truth.

    python bench/adjust_gap.py [--draws 1000] [--sizes 1500 4000] [--only mix gap ...]

Scores depend on the diagnosis, the site and the age. Groups differ in how often each of these
occurs. "mix": within every diagnosis, site and age groups do not differ, so every gap is one of
case mix. "gap": besides, positives of the dark group score lower by 0.5 everywhere. "three": as
"mix", with three groups. "by patient": 1 to 6 images of a patient, who share a third of the noise,
the site and the age. For every figure: how often the interval of dark minus the others holds the
truth at equal mix (of 4 million images), raw and adjusted, each difference alone and as the verdict
has it; and how often a difference is claimed.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from equiderm.audit import audit
from equiderm.audit.adjust import adjust_mix
from equiderm.audit.metrics import HEADLINE

CUT, PREVALENCE, SHARED, DROP = 0.5, 0.3, 0.36, 0.5
POSITIVE, NEGATIVE = ("melanoma", "bcc", "scc"), ("nevus", "keratosis", "angioma")
SITES = ("face", "trunk", "foot")
HARD = {"melanoma": 0.2, "bcc": 0.7, "scc": -0.5, "nevus": -0.5, "keratosis": 0.4, "angioma": -0.9}
HARD |= {"face": 0.2, "trunk": 0.0, "foot": -0.4}
# A group's share of the patients, its shares of the diagnoses and of the sites, its mean age.
LIGHT, DARK = ((0.6, 0.3, 0.1), (0.3, 0.5, 0.2), 60.0), ((0.3, 0.2, 0.5), (0.2, 0.3, 0.5), 52.0)
BROWN = (0.45, 0.35, 0.2), (0.2, 0.5, 0.3), 56.0
GROUPS = {"light": (0.7, *LIGHT), "dark": (0.3, *DARK)}
THREE = {"light": (0.5, *LIGHT), "brown": (0.25, *BROWN), "dark": (0.25, *DARK)}


class Table(NamedTuple):
    """Columns of a table."""

    target: npt.NDArray[np.int_]
    score: npt.NDArray[np.float64]
    group: npt.NDArray[np.object_]
    patient_id: npt.NDArray[np.int_]
    diagnosis: npt.NDArray[np.object_]
    site: npt.NDArray[np.object_]
    age: npt.NDArray[np.float64]


def pick(random, names, shares):
    """Return one of the names per row, by the shares of the row."""
    below = np.cumsum(shares, axis=1)
    return np.array(names, dtype=object)[(random.random(len(shares))[:, None] > below).sum(axis=1)]


def table(random: np.random.Generator, n: int, kind: str, patients: bool) -> Table:
    """Return n images."""
    groups = THREE if kind == "three" else GROUPS
    sizes = random.integers(1, 7, n) if patients else np.ones(n, int)
    patient = np.repeat(np.arange(n), sizes)[:n]
    count = patient.max() + 1
    names = list(groups)
    code = random.choice(len(names), count, p=[one[0] for one in groups.values()])
    of = lambda k: np.array([one[k] for one in groups.values()])[code]  # noqa: E731
    site = pick(random, SITES, of(2))[patient]
    age = np.clip(random.normal(of(3), 14), 1, 95)[patient]
    target = random.random(n) < PREVALENCE
    mixes = of(1)[patient]
    diagnosis = np.where(target, pick(random, POSITIVE, mixes), pick(random, NEGATIVE, mixes))
    noise = random.normal(size=n)
    if patients:
        noise = np.sqrt(SHARED) * random.normal(size=count)[patient] + np.sqrt(1 - SHARED) * noise
    hard = np.array([HARD[d] + HARD[s] for d, s in zip(diagnosis, site, strict=True)])
    group = np.array(names, dtype=object)[code][patient]
    score = noise + hard + 0.015 * (age - 55) + 1.3 * target - 0.4
    if kind == "gap":
        score = score - DROP * (target & (group == "dark"))
    score = 1 / (1 + np.exp(-score))
    return Table(target.astype(int), score, group, patient, diagnosis, site, age)


def standardised(random, kind: str) -> dict[str, float]:
    """Return the true differences at equal mix: dark minus the others, each at the mix of all."""
    if kind != "gap":
        return dict.fromkeys(HEADLINE, 0.0)
    one = table(random, 2_000_000, "mix", patients=False)
    positive = one.target == 1
    logit = np.log(one.score / (1 - one.score))
    lower = logit - DROP
    cut = np.log(CUT / (1 - CUT))
    negative = np.sort(logit[~positive])
    above = lambda x: np.searchsorted(negative, x).mean() / len(negative)  # noqa: E731
    return {
        "sensitivity": float((lower[positive] >= cut).mean() - (logit[positive] >= cut).mean()),
        "specificity": 0.0,
        "auroc": float(above(lower[positive]) - above(logit[positive])),
    }


def main() -> None:
    """Print coverage of the truth at equal mix, raw and adjusted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1500, 4000])
    parser.add_argument("--only", nargs="+", default=["mix", "gap", "three"])
    parser.add_argument("--designs", nargs="+", default=["rows", "by patient"])
    given = parser.parse_args()
    for kind in given.only:
        truth = standardised(np.random.default_rng(99), kind)
        for n in given.sizes:
            for design in given.designs:
                seen = {metric: [] for metric in HEADLINE}
                start = time.process_time()
                for seed in range(given.draws):
                    one = table(np.random.default_rng([seed, n]), n, kind, design == "by patient")
                    result = audit(
                        one._asdict(), by="group", patient="patient_id", name="simulated"
                    ).results["group"]
                    columns = {name: getattr(one, name) for name in ("diagnosis", "site", "age")}
                    adjusted = adjust_mix(result, columns)
                    for metric in HEADLINE:
                        row = adjusted.row(metric, "dark")
                        raw, equal, true = row.raw, row.adjusted, truth[metric]
                        seen[metric].append(
                            (
                                raw.difference_low <= true <= raw.difference_high,
                                equal.difference_low <= true <= equal.difference_high,
                                equal.low_adjusted <= true <= equal.high_adjusted,
                                raw.p_adjusted < 0.05,
                                equal.p_adjusted < 0.05,
                                equal.difference - true,
                                row.effective_n / row.images,
                            )
                        )
                took = (time.process_time() - start) / given.draws
                print(f"{kind}, {n} {design}, {took:.3f} s a table")
                for metric, rows in seen.items():
                    held = np.nanmean(rows, axis=0)
                    print(
                        f"    {metric:12} truth {truth[metric]:+.3f} "
                        f"held raw {100 * held[0]:5.1f} "
                        f"adjusted {100 * held[1]:5.1f} (simultaneous {100 * held[2]:5.1f})   "
                        f"claimed raw {100 * held[3]:5.1f} adjusted {100 * held[4]:5.1f}   "
                        f"bias {held[5]:+.4f}  effective n {held[6]:.2f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
