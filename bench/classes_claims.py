"""Audits of several classes on tables with known truth: false claims, coverage, a confusion found.

    python bench/classes_claims.py [--draws 300] [--match patients]

Seven classes with the shares of HAM10000, three groups. Scores are a softmax of normal numbers, of
which the true class's is raised by 2; patients share a part of theirs. Without a gap a claim is an
established difference of any class (AUROC, sensitivity, specificity), of any mean over classes, or
of any confusion; anything is the page's claim. With a gap, melanomas of the third group are taken
for naevi more often.
"""

from __future__ import annotations

import argparse
import os
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from equiderm.audit import audit_classes

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
SHARES = np.array([327, 514, 1099, 115, 1113, 6705, 142]) / 10015
MEL, NV = CLASSES.index("mel"), CLASSES.index("nv")
SHARED = 0.5  # of the variance, of a patient's images


class Design(NamedTuple):
    """One simulated table."""

    rows: int
    groups: tuple[float, ...] = (0.6, 0.3, 0.1)
    images_per_patient: int = 1
    even: bool = False  # as many of each class
    raised: float = 0.0  # the third group's melanomas' number for naevus


DESIGNS = {
    "3,000 images": Design(3000),
    "3,000 images, classes even": Design(3000, even=True),
    "10,000 images, 5 % in the third group": Design(10_000, (0.65, 0.30, 0.05)),
    "patients: 600 of 5 images, classes even": Design(3000, images_per_patient=5, even=True),
    "300 images, 8 of 100 in the third group": Design(300, (0.5, 0.42, 0.08)),
    "naevus for melanoma in the third group": Design(6000, raised=1.2),
}


def table(random: np.random.Generator, one: Design, groups: int | None = None) -> pd.DataFrame:
    """Return one table; of one group alone where ``groups`` says which."""
    patient = np.arange(one.rows) // one.images_per_patient
    count = int(patient[-1]) + 1
    group = random.choice(len(one.groups), count, p=one.groups)[patient]
    if groups is not None:
        group[:] = groups
    shares = None if one.even else SHARES
    truth = random.choice(len(CLASSES), one.rows, p=shares)
    numbers = random.normal(size=(one.rows, len(CLASSES)))
    if one.images_per_patient > 1:
        shared = random.normal(size=(count, len(CLASSES)))[patient]
        numbers = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * numbers
    numbers[np.arange(one.rows), truth] += 2
    numbers[(group == 2) & (truth == MEL), NV] += one.raised
    score = np.exp(numbers)
    made = pd.DataFrame(score / score.sum(axis=1, keepdims=True), columns=list(CLASSES))
    return made.assign(
        target=np.array(CLASSES)[truth], tone=group + 1, patient_id=[f"p{k}" for k in patient]
    )


def truths(one: Design) -> dict[tuple[str, str], float]:
    """Return the true means over all classes, of a table of 400,000 rows of one group."""
    large = table(np.random.default_rng(99), one._replace(rows=400_000, raised=0.0), 0)
    figures = audit_classes(large, by="tone").table
    part = figures[(figures["class"] == "macro") & (figures["group"] == "overall")]
    return dict(zip(part["figure"], part["value"], strict=True))


def main() -> None:
    """Print a row per design."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--match", default="")
    arguments = parser.parse_args()
    draws = arguments.draws
    print(f"{draws} tables each; a true 5 % shows as 5 +- {196 * np.sqrt(0.0475 / draws):.1f} %")
    head = "tables | anything | a class | a mean | a confusion | means held | planted found"
    print(f"\n| {head} |\n|---|---|---|---|---|---|---|")
    for name, one in DESIGNS.items():
        if arguments.match not in name:
            continue
        true = truths(one) if not one.raised else {}
        claims, held, seen, found = np.zeros(4), 0, 0, 0
        for k in range(draws):
            made = audit_classes(
                table(np.random.default_rng([3, k]), one),
                by="tone",
                patient="patient_id" if one.images_per_patient > 1 else None,
            )
            confused = made.confusions()
            kinds = (made.findings(), made.macro_findings(), confused)
            claimed = [any(row.established for row in rows) for rows in kinds]
            claims += (any(claimed), *claimed)
            found += any(
                row.established and (row.truth, row.answer, row.group) == ("mel", "nv", "3")
                for row in confused
            )
            if not true or made.left_out():  # a mean over fewer classes has another truth
                continue
            figures = made.table[made.table["class"] == "macro"]
            for row in figures.to_dict("records"):
                seen += 1
                held += row["low"] <= true[row["figure"]] <= row["high"]
        cells = [f"{100 * value / draws:.1f}" for value in claims]
        cells.append(f"{100 * held / seen:.1f} of {seen}" if seen else "–")
        cells.append(f"{100 * found / draws:.1f}" if one.raised else "–")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
