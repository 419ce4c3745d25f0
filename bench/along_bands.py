"""How often the bands along ITA hold a known curve, and how often a flat curve is called not flat.

    python bench/along_bands.py [--draws 1000] [--only flat falling ...] [--sizes 600 2000]

ITA is drawn as in a collection of mostly light skin: 80 % about 42 degrees, 20 % about 0. Scores
are binormal, so that AUROC, sensitivity and specificity at every ITA are known. "flat": none of
them depends on ITA. "falling": the classes part less and less towards dark skin. "step": they part
less below 10 degrees. "shift": scores rise towards dark skin, so that the AUROC is flat while
sensitivity rises and specificity falls. "bump": worst in the middle. "by patient": 1 to 6 images
of a patient, who share a third of the noise.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.stats import norm

from equiderm.audit.along import curves_along
from equiderm.audit.input import Study

SHARED = 0.36  # part of the noise's variance that a patient's images share
CUT, PREVALENCE = 0.9, 0.25  # the threshold in units of the noise


def parted(ita, kind):
    """Return how far apart the classes are at each ITA, and the shift of all scores there."""
    light = 1 / (1 + np.exp(-(ita - 10) / 12))
    if kind == "falling":
        return 1.0 + 0.012 * (ita + 20), np.zeros_like(ita)
    if kind == "step":
        return 0.9 + 0.9 * light, np.zeros_like(ita)
    if kind == "shift":
        return np.full_like(ita, 1.6), 0.6 * (1 - light)
    if kind == "bump":
        return 1.8 - 0.8 * np.exp(-(((ita - 25) / 18) ** 2)), np.zeros_like(ita)
    return np.full_like(ita, 1.6), np.zeros_like(ita)


def table(random, n, kind, patients):
    """Return a study of n images and their ITA."""
    if patients:
        sizes = random.integers(1, 7, n)
        patient = np.repeat(np.arange(n), sizes)[:n]
    else:
        patient = np.arange(n)
    count = patient.max() + 1
    own = np.where(
        random.random(count) < 0.8, random.normal(42, 14, count), random.normal(0, 22, count)
    )
    ita = own[patient] + (random.normal(0, 4, n) if patients else 0)
    target = random.random(n) < PREVALENCE
    noise = random.normal(size=n)
    if patients:
        noise = np.sqrt(SHARED) * random.normal(size=count)[patient] + np.sqrt(1 - SHARED) * noise
    apart, shift = parted(ita, kind)
    score = norm.cdf(noise + apart * target + shift)
    return Study("", target, score, (), patient if patients else None), ita


def truth(x, kind):
    apart, shift = parted(x, kind)
    return {
        "auroc": norm.cdf(apart / np.sqrt(2)),
        "sensitivity": norm.cdf(apart + shift - CUT),
        "specificity": norm.cdf(CUT - shift),
    }


def main():
    """Print coverage of the bands, and how often each curve is called not flat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--only", nargs="+", default=["flat", "falling", "step", "shift", "bump"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[600, 2000])
    parser.add_argument("--designs", nargs="+", default=["rows", "by patient"])
    given = parser.parse_args()
    for kind in given.only:
        for n in given.sizes:
            for design in given.designs:
                held = {m: [] for m in truth(np.zeros(1), kind)}
                bent = {m: [] for m in held}
                miss = {m: [] for m in held}
                where, start = [], time.process_time()
                for seed in range(given.draws):
                    study, ita = table(
                        np.random.default_rng([seed, n]), n, kind, design == "by patient"
                    )
                    found = {
                        one.metric: one
                        for one in curves_along(study, "ita", ita, float(norm.cdf(CUT))).curves
                    }
                    for metric, one in found.items():
                        true = truth(one.x, kind)[metric]
                        out = (one.low > true) | (true > one.high)
                        held[metric].append(not out.any())
                        bent[metric].append(one.p < 0.05)
                        miss[metric].append(out)
                    where.append((one.x[0], one.x[-1]))
                a, b = np.mean(where, axis=0)
                took = (time.process_time() - start) / given.draws
                print(f"{kind}, {n} {design}, {a:.0f} to {b:.0f} degrees, {took:.3f} s a table")
                for metric in held:
                    m = np.mean(miss[metric], axis=0)
                    print(
                        f"    {metric:12} held {100 * np.mean(held[metric]):5.1f}   "
                        f"not flat {100 * np.mean(bent[metric]):5.1f}   "
                        f"missed at the dark end, middle, light end "
                        f"{100 * m[0]:.1f} {100 * m[20]:.1f} {100 * m[-1]:.1f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
