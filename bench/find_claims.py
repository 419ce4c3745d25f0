"""What a search over subgroups claims: where nothing differs, and where one intersection does.

    python bench/find_claims.py [--draws 200] [--match patients] [--rows 100000]

Four columns (tone of six bands, sex, age, five sites), intersections of two or three. Scores are
normal in both classes, AUROC 0.85. With a planted difference the positives of one intersection
move towards the threshold. ``--rows`` times one search instead and states its memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from equiderm.audit.find import find_subgroups

COLUMNS = ["tone", "sex", "age", "site"]


class Design(NamedTuple):
    """One simulated table."""

    rows: int = 4000
    depth: int = 2
    images_per_patient: int = 1
    drop: float = 0.0  # of the positives of tone 5 and sex f, in normal units
    prevalence: float = 0.25


DESIGNS = {
    "nothing: two conditions": Design(),
    "nothing: three conditions": Design(depth=3),
    "nothing: 10 % positive": Design(prevalence=0.10),
    "nothing: patients of 4 images": Design(images_per_patient=4),
    "planted: women of tone 5, 1.0": Design(drop=1.0),
    "planted: women of tone 5, 1.0, three conditions": Design(drop=1.0, depth=3),
}


def table(random: np.random.Generator, one: Design) -> pd.DataFrame:
    """Return one table."""
    patient = np.arange(one.rows) // one.images_per_patient
    count = int(patient[-1]) + 1
    tone = random.choice([1, 2, 3, 4, 5, 6], count, p=[0.2, 0.25, 0.2, 0.15, 0.12, 0.08])[patient]
    sex, age = random.choice(["f", "m"], count)[patient], random.integers(18, 95, count)[patient]
    site = random.choice(["back", "leg", "arm", "face", "other"], one.rows)
    target = random.random(one.rows) < one.prevalence
    noise = random.normal(size=one.rows)
    if one.images_per_patient > 1:
        noise = np.sqrt(0.4) * random.normal(size=count)[patient] + np.sqrt(0.6) * noise
    noise += 1.466 * target - 0.7
    noise[target & (tone == 5) & (sex == "f")] -= one.drop
    columns = {"tone": tone, "sex": sex, "age": age, "site": site, "patient_id": patient}
    return pd.DataFrame(
        {"target": target.astype(int), "score": 1 / (1 + np.exp(-noise)), **columns}
    )


def main() -> None:
    """Print a row per design."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--match", default="")
    parser.add_argument("--rows", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.rows:
        for depth in (2, 3):
            made = table(np.random.default_rng(0), Design(arguments.rows))
            start = time.process_time()
            found = find_subgroups(made, COLUMNS, depth=depth)
            took = time.process_time() - start
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{arguments.rows:,} rows, {found.looked} subgroups: {took:.1f} s, {peak:.0f} MB")
        return
    draws = arguments.draws
    print(f"{draws} tables each; a true 5 % shows as 5 +- {196 * np.sqrt(0.0475 / draws):.1f} %")
    print("\n| tables | subgroups | any claim, % | planted one claimed, % |\n|---|---|---|---|")
    for name, one in DESIGNS.items():
        if arguments.match not in name:
            continue
        claims = planted = looked = 0
        for k in range(draws):
            found = find_subgroups(
                table(np.random.default_rng([5, k]), one),
                COLUMNS,
                depth=one.depth,
                patient="patient_id" if one.images_per_patient > 1 else None,
            )
            looked += found.looked
            claims += bool(found.established)
            wanted = {("tone", "5"), ("sex", "f")}
            planted += any(set(row.conditions) == wanted for row in found.established)
        hit = f"{100 * planted / draws:.1f}" if one.drop else "–"
        print(f"| {name} | {looked / draws:.0f} | {100 * claims / draws:.1f} | {hit} |", flush=True)


if __name__ == "__main__":
    main()
