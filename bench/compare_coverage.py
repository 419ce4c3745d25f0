"""How often a comparison is wrong: false differences, and intervals that miss, at known truth.

Scores are binormal: an image's own part, shared by every run; each run's own noise; a seed's own
skill, half of it common to all groups and half by group. Settings: seed deviations of 0.005 to 0.05
in AUROC, 2 to 10 seeds, 60 to 3,600 images of patients with three each, a small third group. The
truth is the mean over endless seeds and images.

    python bench/compare_coverage.py [DRAWS]
    python bench/compare_coverage.py [DRAWS] --kind classes|ordered|number

The first prints two Markdown tables: how many of 100 comparisons of six equal methods with two
references call any difference established, and how many of 100 intervals hold the truth of two
methods that differ in one group. The second prints the same of another kind of target, where an
answer is the truth and an error of patient, image and run, whose size differs by seed and group.
"""

import argparse
import functools

import numpy as np
from scipy.special import ndtr, ndtri

from equiderm.compare.inference import Contrast
from equiderm.compare.measures import MEASURES, MacroAuroc
from equiderm.compare.scores import compare_scores, make_test
from equiderm.compare.spread import spread
from equiderm.statistics.intervals import ALPHA

SIZES = {
    "60": (30, 30),
    "600": (200, 200, 200),
    "631, a third group of 34": (397, 200, 34),
    "3,600": (1200, 1200, 1200),
}
DEVIATIONS, SEEDS = (0.005, 0.02, 0.05), (2, 3, 5, 10)
PREVALENCE, PER_PATIENT, RUN_NOISE = 0.28, 3, 0.4
LEVEL = 0.85


def draw(random, skill, seeds, sizes, deviation):
    """Return scores (methods, seeds, n), targets, patients and groups.

    ``skill`` holds the AUROC of each method in each group, shape (methods, groups).
    """
    group = np.repeat(np.arange(len(sizes)), sizes)
    patient = np.arange(len(group)) // PER_PATIENT + 10_000 * group
    _, patient = np.unique(patient, return_inverse=True)
    target = random.random(len(group)) < PREVALENCE
    image = 0.9 * random.normal(size=len(group))
    image += np.sqrt(1 - 0.9**2) * random.normal(size=patient.max() + 1)[patient]
    apart = of_seeds(random, skill, seeds, deviation)
    scores = apart[..., group] * target + np.sqrt(1 - RUN_NOISE**2) * image
    return scores + RUN_NOISE * random.normal(size=scores.shape), target, patient, group


def of_seeds(random, skill, seeds, deviation):
    """Return each run's distance of the classes by group, shape (methods, seeds, groups)."""
    methods, groups = skill.shape
    off = random.normal(size=(methods, seeds, 1)) + random.normal(size=(methods, seeds, groups))
    off *= deviation / np.sqrt(2) / slopes(skill)[:, None, :]
    return np.sqrt(2) * ndtri(skill)[:, None, :] + off


def slopes(skill):
    """Return how much AUROC a distance of the classes adds, where the AUROC is ``skill``."""
    return np.exp(-(ndtri(skill) ** 2) / 2) / np.sqrt(4 * np.pi)


def truth(skill, deviation):
    """Return by figure what endless seeds and images would give, shape (methods,) each."""
    distance = of_seeds(np.random.default_rng(1), skill, 200_000, deviation)
    auroc = ndtr(distance / np.sqrt(2))
    worst, best = auroc.min(-1), auroc.max(-1)
    known = {"worst": worst.mean(1), "gap": (best - worst).mean(1)}
    return known | {str(g): auroc[..., g].mean(1) for g in range(skill.shape[1])}


def false_differences(draws, seeds, sizes, deviation):
    """Return how many of 100 comparisons of six equal methods call any difference established."""
    random, wrong = np.random.default_rng(0), 0
    skill = np.full((6, len(sizes)), LEVEL)
    for _ in range(draws):
        scores, *images = draw(random, skill, seeds, sizes, deviation)
        found = spread(make_test("test", *images, by="group"), scores)
        wrong += is_any_established(found)
    return 100 * wrong / draws


def is_any_established(found):
    """Return whether any difference of a `Spread` from its first two methods is established.

    Any is where the smallest p is below Holm's first step: the same as `compare_scores` says, and
    quicker than all of its tables.
    """
    pairs = [(e, r) for r in (0, 1) for e in range(r + 1, len(found.values))]
    every = [
        Contrast(found, *pair).estimate(f) for pair in pairs for f in range(len(found.figures))
    ]
    every = [one for one in every if one.value == one.value]
    ends = [one.interval(ALPHA / len(every)) for one in every]
    return any(low > 0 or high < 0 for low, high in ends)


def coverage(draws, seeds, sizes, deviation):
    """Return by figure how many of 100 intervals hold the truth, levels and differences."""
    random = np.random.default_rng(0)
    skill = np.full((2, len(sizes)), LEVEL)
    skill[1, 0] -= 0.07
    known, held, n = truth(skill, deviation), {}, {}
    for _ in range(draws):
        compared = compare_scores(*draw(random, skill, seeds, sizes, deviation))
        tally(held, n, compared.tests[0], known)
    return {name: 100 * held[name] / n[name] for name in held}


def tally(held, n, test, known):
    """Count the intervals of the first method and of the second against it."""
    for row in test.figures.to_dict("records"):
        if row["experiment"] == "method 0" and row["figure"] != "overall":
            figure = row["figure"] if row["figure"] in ("worst", "gap") else "group"
            count(held, n, figure, row, known[row["figure"]][0])
    for row in test.differences.to_dict("records"):
        if row["figure"] != "overall":
            figure = row["figure"] if row["figure"] in ("worst", "gap") else "group"
            here, before = known[row["figure"]][::-1]
            count(held, n, f"difference, {figure}", row, here - before)


def count(held, n, name, row, true):
    """Count an interval, and whether it holds the truth."""
    if row["low"] == row["low"]:
        held[name] = held.get(name, 0) + (row["low"] <= true <= row["high"])
        n[name] = n.get(name, 0) + 1


ERRORS = {"classes": 1.0, "ordered": 0.8, "number": 6.0}  # size of an answer's error
GRID = np.geomspace(0.4, 2.5, 43)  # sizes of errors, in units of these
SKEWED = {"240": (150, 90), "600": (200, 200, 200), "631, a third group of 34": (397, 200, 34)}


def answers(random, kind, size, patient):
    """Return targets, and answers with errors of a ``size`` of shape (methods, seeds, n)."""
    shape = (*size.shape, 3) if kind == "classes" else size.shape
    parts = shape[2:]  # an image's own
    shared = 0.5 * random.normal(size=(patient.max() + 1, *parts[1:]))[patient]
    shared = 0.9 * (shared + np.sqrt(0.75) * random.normal(size=parts))
    error = shared + np.sqrt(1 - 0.9**2) * random.normal(size=shape)
    if kind == "number":
        target = random.normal(60, 5, parts[0])
        return target, target + ERRORS[kind] * size * error
    target = random.integers(0, 3 if kind == "classes" else 4, parts[0])
    if kind == "classes":
        return target, 1.2 * np.eye(3)[target] + ERRORS[kind] * size[..., None] * error
    return target, np.clip(np.round(target + ERRORS[kind] * size * error), 0, 3)


def measure_of(kind):
    """Return the figure of a kind of target."""
    return MacroAuroc((0, 1, 2), ("a", "b", "c")) if kind == "classes" else MEASURES[kind]


@functools.cache
def on_the_grid(kind):
    """Return the figure of endless images at each size of `GRID`, times the measure's sign."""
    n = 60_000
    size = np.broadcast_to(GRID[None, :, None], (1, len(GRID), n))
    target, found = answers(np.random.default_rng(3), kind, size, np.arange(n))
    return [measure_of(kind).of(target, one, np.arange(n))[0] for one in found[0]]


def errors_of_seeds(random, size, seeds, deviation):
    """Return the size of each run's errors by group, shape (methods, seeds, groups)."""
    off = random.normal(size=(len(size), seeds, 1))
    off = (off + random.normal(size=(len(size), seeds, size.shape[1]))) / np.sqrt(2)
    return size[:, None, :] * np.exp(deviation * off)


def coverage_of(kind, draws, seeds, sizes, deviation, apart):
    """Return by figure how many of 100 intervals hold the truth, and of 100 that tell any apart.

    ``apart`` is the second method's error in the first group, in units of the first method's.
    """
    size = np.ones((2, len(sizes)))
    size[1, 0] = apart
    sign = measure_of(kind).sign
    many = errors_of_seeds(np.random.default_rng(1), size, 100_000, deviation)
    value = np.interp(many, GRID, on_the_grid(kind))
    worst, best = value.min(-1), value.max(-1)
    known = {"worst": sign * worst.mean(1), "gap": (best - worst).mean(1)}
    known |= {str(g): sign * value[..., g].mean(1) for g in range(size.shape[1])}
    random, held, n, wrong = np.random.default_rng(0), {}, {}, 0
    group = np.repeat(np.arange(len(sizes)), sizes)
    patient = np.unique(np.arange(len(group)) // PER_PATIENT + 10_000 * group, return_inverse=True)[
        1
    ]
    classes = ("a", "b", "c") if kind == "classes" else ()
    for _ in range(draws):
        each = errors_of_seeds(random, size, seeds, deviation)[..., group]
        target, found = answers(random, kind, each, patient)
        target = np.array(classes)[target] if classes else target
        compared = compare_scores(found, target, patient, group, kind=kind, classes=classes)
        tally(held, n, compared.tests[0], known)
        wrong += bool((compared.tests[0].differences["p_holm"] < ALPHA).any())
    return {name: 100 * held[name] / n[name] for name in held} | {"any": 100 * wrong / draws}


def other_targets(kind, draws):
    """Print coverage, and how often methods that are equal are told apart."""
    columns = ("group", "worst", "gap")
    columns += tuple(f"difference, {one}" for one in columns)
    print(f"{kind}, {draws} comparisons: intervals with the truth; equal methods told apart\n")
    print("| images | seed deviation | seeds | " + " | ".join(columns) + " | told apart |")
    print("|---" * (4 + len(columns)) + "|")
    for name, sizes in SKEWED.items():
        for deviation in (0.02, 0.1):
            for k in (3, 5):
                found = coverage_of(kind, draws, k, sizes, deviation, 1.3)
                cells = [f"{found.get(one, np.nan):.1f}" for one in columns]
                cells.append(f"{coverage_of(kind, draws, k, sizes, deviation, 1.0)['any']:.1f}")
                print(f"| {name} | {deviation:g} | {k} | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("draws", type=int, nargs="?", default=200)
    parser.add_argument("--kind", choices=list(ERRORS))
    arguments = parser.parse_args()
    if arguments.kind:
        other_targets(arguments.kind, arguments.draws)
        return
    draws = arguments.draws
    print(f"Six equal methods, two references, {draws} comparisons: any difference established\n")
    print("| images | seed deviation | " + " | ".join(f"{k} seeds" for k in SEEDS) + " |")
    print("|---" * (2 + len(SEEDS)) + "|")
    for name, sizes in SIZES.items():
        for deviation in DEVIATIONS:
            found = [false_differences(draws, k, sizes, deviation) for k in SEEDS]
            cells = " | ".join(f"{one:.1f}" for one in found)
            print(f"| {name} | {deviation:g} | {cells} |", flush=True)
    print(f"\nTwo methods, 0.07 apart in one group, {draws} comparisons: intervals with the truth")
    columns = ("group", "worst", "gap")
    columns += tuple(f"difference, {one}" for one in columns)
    print("\n| images | seed deviation | seeds | " + " | ".join(columns) + " |")
    print("|---" * (3 + len(columns)) + "|")
    for name, sizes in SIZES.items():
        for deviation in DEVIATIONS:
            for k in SEEDS:
                found = coverage(draws, k, sizes, deviation)
                cells = " | ".join(f"{found.get(one, np.nan):.1f}" for one in columns)
                print(f"| {name} | {deviation:g} | {k} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
