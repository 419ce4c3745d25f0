"""Scores of known truth: an image's own part that all runs share, a seed's skill, a run's noise."""

import numpy as np


def draw(
    random, auroc_shift, seeds, sizes=(200, 200, 200), *, of_seed=0.1, of_run=0.4, per_patient=3
):
    """Return scores (methods, seeds, n), targets, patients and groups.

    ``auroc_shift`` holds what is added to the distance of the classes, shape (methods, groups);
    ``of_seed`` is its standard deviation over seeds.
    """
    shift = np.asarray(auroc_shift, dtype=float)
    group = np.repeat(np.arange(len(sizes)), sizes)
    n = len(group)
    patient = np.arange(n) // per_patient
    target = random.random(n) < 0.3
    image = random.normal(size=n) * 0.9 + random.normal(size=patient.max() + 1)[patient] * 0.4
    skill = 1.5 + shift[:, None, :] + of_seed * random.normal(size=(len(shift), seeds, 1))
    scores = skill[..., group] * target + image
    return scores + of_run * random.normal(size=scores.shape), target, patient, group
