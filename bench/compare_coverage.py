"""How often a comparison's 95 % intervals hold the true figure: few seeds, paired scores.

Binormal scores: an image's own part, shared by every run; a seed's own skill; noise of the run.
The truth is the mean over endless seeds and images, computed from a large draw.

    python bench/compare_coverage.py [DRAWS]
"""

import sys

import numpy as np

from equiderm.audit.groupings import Grouping
from equiderm.audit.input import Study
from equiderm.compare.statistics import interval, spread

GROUPS, N = 3, 600
SKILL, OF_SEED = np.array([1.2, 1.2]), 0.25  # of two methods; standard deviation over seeds


def runs(random, seeds, n):
    """Return a study and its scores, shape (2 methods, seeds, n)."""
    target = random.random(n) < 0.3
    shared = random.normal(0, 0.8, n)
    skill = SKILL[:, None] + random.normal(0, OF_SEED, (2, seeds))
    scores = skill[..., None] * target + shared + random.normal(0, 0.6, (2, seeds, n))
    grouping = Grouping("group", ("1", "2", "3"), random.integers(0, GROUPS, n), ("group",))
    return Study("drawn", target, np.zeros(n), (grouping,)), scores


def truth(random):
    """Return the overall AUROC that a seed has on average, over endless images."""
    from scipy.special import ndtr

    skill = random.normal(SKILL[0], OF_SEED, 1_000_000)
    return float(ndtr(skill / np.sqrt(2 * (0.8**2 + 0.6**2))).mean())


def main():
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    random = np.random.default_rng(0)
    overall = truth(random)
    for seeds in (2, 3, 5):
        held, told, paired = 0, 0, 0
        for k in range(draws):
            found = spread(*runs(random, seeds, N), replicates=200, seed=k)
            low, high, _ = interval(found.values[0, :, 0], found.drawn[:, 0, 0], found.clusters)
            held += low <= overall <= high
            for f, count in ((0, "overall"), (-2, "worst")):
                off = found.values[0, :, f] - found.values[1, :, f]
                drawn = found.drawn[:, 0, f] - found.drawn[:, 1, f]
                low, high, _ = interval(off, drawn, found.clusters)
                if count == "overall":
                    paired += low <= 0 <= high
                else:
                    told += low <= 0 <= high
        print(
            f"{seeds} seeds, {draws} draws: overall {100 * held / draws:.1f} %, paired difference "
            f"{100 * paired / draws:.1f} %, paired worst group {100 * told / draws:.1f} %",
            flush=True,
        )


if __name__ == "__main__":
    main()
