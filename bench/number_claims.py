"""Audits of a predicted number on tables with known truth: false claims, coverage, gaps found.

    python bench/number_claims.py [--draws 300] [--match patients] [--seed 5]

True numbers are normal with standard deviation 10 within a group, their mean lower by 10 in each
further group, as a measured skin tone's is. Errors have standard deviation 5. Without a gap a claim
is any established difference of any group, in mean absolute error, bias or Spearman's correlation.
With one, the third group's errors are larger or its predictions too high, and it is found if a
difference of that figure in that group is established. Coverage is of the groups' own intervals.
"""

from __future__ import annotations

import argparse
import os
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from equiderm.audit import audit_number
from equiderm.audit.number_figures import OF_NUMBERS
from equiderm.statistics.intervals import wilson
from equiderm.statistics.ranks import rank_correlation

SHARED = 0.5  # of the errors' variance, of a patient's images


class Design(NamedTuple):
    """One simulated table."""

    rows: int = 900
    groups: tuple[float, ...] = (0.6, 0.3, 0.1)
    images_per_patient: int = 1
    heavy: bool = False  # Student's errors with 3 degrees of freedom
    larger: float = 1.0  # factor on the third group's errors
    higher: float = 0.0  # added to the third group's predictions


DESIGNS = {
    "normal errors": Design(),
    "heavy-tailed errors": Design(heavy=True),
    "patients: 225 of 4 images": Design(images_per_patient=4),
    "a small group, 4 %": Design(500, (0.7, 0.26, 0.04)),
    "a small group, 4 %, heavy-tailed": Design(500, (0.7, 0.26, 0.04), heavy=True),
    "six groups": Design(1200, (0.3, 0.3, 0.2, 0.1, 0.05, 0.05)),
    "gap: the third group's errors 1.4 times as large": Design(larger=1.4),
    "gap: the third group's predictions 2 too high": Design(higher=2.0),
    "gap: 2 too high, patients": Design(higher=2.0, images_per_patient=4),
}


def table(random: np.random.Generator, one: Design, group: int | None = None) -> pd.DataFrame:
    """Return one table; of one group alone where ``group`` says which."""
    patient = np.arange(one.rows) // one.images_per_patient
    count = int(patient[-1]) + 1
    groups = random.choice(len(one.groups), count, p=one.groups)[patient]
    if group is not None:
        groups[:] = group

    def drawn(size: int) -> np.ndarray:
        return random.standard_t(3, size) / np.sqrt(3) if one.heavy else random.normal(size=size)

    true = 40 - 10.0 * groups + 10 * random.normal(size=one.rows)
    error = drawn(one.rows)
    if one.images_per_patient > 1:
        error = np.sqrt(SHARED) * drawn(count)[patient] + np.sqrt(1 - SHARED) * error
    error = 5 * error * np.where(groups == 2, one.larger, 1.0) + one.higher * (groups == 2)
    names = {"ita": true, "predicted": true + error, "tone": groups + 1, "patient_id": patient}
    return pd.DataFrame(names)


def truths(one: Design) -> dict[str, float]:
    """Return the true figures of a group, of a table of 2,000,000 rows."""
    large = table(np.random.default_rng(99), one._replace(rows=2_000_000), 0)
    error = (large["predicted"] - large["ita"]).to_numpy()
    ranks = rank_correlation(large["ita"].to_numpy(), large["predicted"].to_numpy())
    return dict(zip(OF_NUMBERS, (float(np.abs(error).mean()), 0.0, float(ranks[0])), strict=True))


def main() -> None:
    """Print a row per design."""
    parser = argparse.ArgumentParser(
        description="Audits of a predicted number on tables with known truth."
    )
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--match", default="")
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    draws = arguments.draws
    head = "tables | a claim (95 % interval) | found | " + " | ".join(
        f"{name} held" for name in OF_NUMBERS
    )
    print(f"{draws} tables each\n\n| {head} |\n|---|---|---|---|---|---|", flush=True)
    for name, one in DESIGNS.items():
        if arguments.match not in name:
            continue
        planted = one.larger != 1 or one.higher != 0
        figure = "bias" if one.higher else OF_NUMBERS[0]
        true = {} if planted else truths(one)
        claims = found = 0
        held = {figure: [0, 0] for figure in true}
        for k in range(draws):
            made = audit_number(
                table(np.random.default_rng([arguments.seed, k]), one),
                target="ita",
                by="tone",
                patient="patient_id" if one.images_per_patient > 1 else None,
            )
            rows = [row for row in made.findings() if row.established]
            claims += bool(rows)
            found += any((row.metric, row.group) == (figure, "3") for row in rows)
            for row in made.table.to_dict("records") if true else []:
                if row["group"] != "overall" and not row["missing"]:
                    held[row["figure"]][0] += row["low"] <= true[row["figure"]] <= row["high"]
                    held[row["figure"]][1] += 1
        ends = [100 * end for end in wilson(claims / draws, draws)]
        cells = [f"{100 * claims / draws:.1f} % ({ends[0]:.1f} to {ends[1]:.1f})"]
        cells.append(f"{100 * found / draws:.0f} %" if planted else "–")
        cells += [f"{100 * a / b:.1f} % of {b:,}" for a, b in held.values()] or ["–"] * 3
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
