"""How often a comparison over several splits is wrong: as compare_coverage.py, at known truth.

A pool of patients is dealt anew for each split: 64 % train, 20 % test (or halves, each tested by
what the other trained). The tests of two splits overlap by chance. Beside the image's own part,
seeds and runs' noise, a run's skill moves with who trains: every training patient adds to it, half
for all groups and half by group. TRAINING is how far two splits of one pool differ by that.

    python bench/split_coverage.py [DRAWS]

prints how many of 100 comparisons of six equal methods with two references call any difference
established, and how many of 100 intervals hold the truth of two methods that differ in one group:
the mean over endless seeds, splits of this pool and test patients. The last columns show the
difference in a group if the pool's training patients, too, were drawn from endless ones: what the
intervals do not claim.
"""

import sys

import numpy as np

from compare_coverage import (
    LEVEL,
    PER_PATIENT,
    PREVALENCE,
    is_any_established,
    of_seeds,
    slopes,
    tally,
    truth,
)
from equiderm.compare.scores import compare_scores, in_splits, make_test
from equiderm.compare.spread import spread

SIZES = {"1,200": (400, 400, 400), "6,000": (2000, 2000, 2000)}
DESIGNS = ((3, 1), (3, 5), (5, 1), (10, 1))  # splits, seeds of each
CELLS = (("1,200", False), ("1,200", True), ("6,000", False))  # images, and whether halves
TRAINING = (0.0, 0.02)
SEED, SPLIT_NOISE, RUN_NOISE = 0.01, 0.3, 0.3
TRAIN, TEST = 0.64, 0.2


def deal(random, patients, halves, splits):
    """Return who trains and who is tested, booleans of shape (splits, patients)."""
    if halves:
        order = [random.permutation(patients) < patients / 2 for _ in range((splits + 1) // 2)]
        first = np.array([one for pair in order for one in (pair, ~pair)])[:splits]
        return first, ~first
    place = np.array([random.permutation(patients) for _ in range(splits)]) / patients
    return place < TRAIN, place >= 1 - TEST


def draw(random, skill, splits, seeds, sizes, training, *, halves=False, endless=False):
    """Return scores (methods, splits, seeds, n), targets, patients and groups.

    Scores are NaN where a split does not test. With ``endless`` the pool's own mean effect of
    training stays in; without, truth is that of this pool.
    """
    methods, groups = skill.shape
    group = np.repeat(np.arange(len(sizes)), sizes)
    patient = np.unique(np.arange(len(group)) // PER_PATIENT + 10_000 * group,
                        return_inverse=True)[1]  # fmt: skip
    n_patients = patient.max() + 1
    target = random.random(len(group)) < PREVALENCE
    image = 0.9 * random.normal(size=len(group))
    image += np.sqrt(1 - 0.9**2) * random.normal(size=n_patients)[patient]
    train, test = deal(random, n_patients, halves, splits)
    share = train.mean()
    own = random.normal(size=(methods, 1, n_patients)) + random.normal(
        size=(methods, groups, n_patients)
    )
    if not endless:
        own -= own.mean(axis=-1, keepdims=True)
    scale = training * np.sqrt(share * n_patients / (1 - share) / 2) / slopes(skill)
    moved = np.einsum("mgp,sp->msg", own, train / train.sum(axis=1, keepdims=True))
    apart = of_seeds(random, skill, splits * seeds, SEED).reshape(methods, splits, seeds, groups)
    apart = apart + (scale[:, None, :] * moved)[:, :, None, :]
    noise = SPLIT_NOISE * random.normal(size=(methods, splits, 1, len(group)))
    noise = noise + RUN_NOISE * random.normal(size=(methods, splits, seeds, len(group)))
    rest = np.sqrt(1 - SPLIT_NOISE**2 - RUN_NOISE**2)
    scores = apart[..., group] * target + rest * image + noise
    scores[:, ~test[:, patient][:, None].repeat(seeds, axis=1)] = np.nan
    return scores, target, patient, group


def false_differences(draws, *design, halves=False):
    """Return how many of 100 comparisons of six equal methods call any difference established."""
    random, wrong = np.random.default_rng(0), 0
    skill = np.full((6, len(design[2])), LEVEL)
    for _ in range(draws):
        scores, *images = draw(random, skill, *design, halves=halves)
        test = make_test("test", *images, by="group")
        test = in_splits(test, [np.flatnonzero(one) for one in np.isfinite(scores).any((0, 2))])
        runs = spread(test, scores.reshape(6, -1, scores.shape[-1]))
        wrong += is_any_established(runs)
    return 100 * wrong / draws


def coverage(draws, *design, halves=False, endless=False):
    """Return by figure how many of 100 intervals hold the truth, levels and differences."""
    random = np.random.default_rng(0)
    skill = np.full((2, len(design[2])), LEVEL)
    skill[1, 0] -= 0.07
    known, held, n = truth(skill, np.hypot(SEED, design[3])), {}, {}
    for _ in range(draws):
        drawn = draw(random, skill, *design, halves=halves, endless=endless)
        tally(held, n, compare_scores(*drawn).tests[0], known)
    return {name: 100 * held[name] / n[name] for name in held}


def main():
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    columns = ("group", "worst", "gap")
    columns += tuple(f"difference, {one}" for one in columns)
    print(f"{draws} comparisons; splits x seeds; deviation of splits by training\n")
    print("| images | test | training | design | six equal: any | " + " | ".join(columns), end="")
    print(" | difference, group: endless patients train |\n" + "|---" * (6 + len(columns)) + "|")
    for name, halves in CELLS:
        for training in TRAINING:
            for design in DESIGNS:
                every = (*design, SIZES[name], training)
                wrong = false_differences(draws, *every, halves=halves)
                held = coverage(draws, *every, halves=halves)
                more = coverage(draws, *every, halves=halves, endless=True)
                cells = [f"{held.get(one, np.nan):.1f}" for one in columns]
                cells.append(f"{more['difference, group']:.1f}")
                what = f"{name} | {'half' if halves else 'a fifth'} | {training:g} | "
                what += f"{design[0]} x {design[1]} | {wrong:.1f}"
                print(f"| {what} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
