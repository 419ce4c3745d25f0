"""Reproduce published figures on tone labels from published tables: ours beside theirs.

python bench/trust_tables.py TABLES_DIR, where TABLES_DIR holds fitzpatrick17k.csv (Groh et al.
2021), fitzpatrick17k_authors_labels.csv and isic2018_authors_labels.csv (Bevan and
Atapour-Abarghouei 2022 and their algorithm re-run), mskcc_tone.csv (MSKCC Skin Tone Labeling
Dataset, doi 10.34970/962049, with image angles and a network's types). Fails when a share differs
by more than 0.1 points, or a kappa by more than its rounding, or a fit misses its goal.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from equiderm.agreement.agreement import measure_agreement
from equiderm.agreement.calibrate import calibrate
from equiderm.agreement.labelings import compare_labelings
from equiderm.agreement.labels import read_labels
from equiderm.columns import read_types
from equiderm.identity import match_rows
from equiderm.tone.color import individual_typology_angle

TYPES = (1, 2, 3, 4, 5, 6)
SHARE_TOLERANCE, KAPPA_TOLERANCE = 0.1, 0.005
FILES = (
    "fitzpatrick17k.csv",
    "fitzpatrick17k_authors_labels.csv",
    "isic2018_authors_labels.csv",
    "mskcc_tone.csv",
)


class Checks:
    """Published figures beside ours, and how many differ."""

    def __init__(self) -> None:
        self.failed = 0

    def compare(self, what: str, published: float, ours: float, tolerance: float) -> None:
        """Print one figure; count it where it differs by more than the tolerance."""
        wrong = not abs(published - ours) <= tolerance + 1e-9
        self.failed += wrong
        print(f"  {what:<28}{published:>10g}{ours:>12.3f}{'   DIFFERS' if wrong else ''}")

    def agreement(self, title: str, truth: np.ndarray, label: np.ndarray, **published: float):
        """Print every published figure of one labeling beside ours with its interval."""
        result = measure_agreement(truth, label, TYPES)
        print(f"{title}: n = {result.n:,}")
        for name, value in published.items():
            if name == "n":
                self.compare("n", value, result.n, 0)
                continue
            figure = result.figures[name.removeprefix("constant_")]
            ours = figure.constant if name.startswith("constant_") else figure.value
            is_kappa = name == "kappa"
            tolerance = KAPPA_TOLERANCE if is_kappa else SHARE_TOLERANCE
            self.compare(name, value, ours if is_kappa else 100 * ours, tolerance)


def fitzpatrick17k(folder: Path, checks: Checks) -> None:
    """The paper's own labels, the best constant and the two human raters."""
    people = pd.read_csv(folder / FILES[0])
    authors = pd.read_csv(folder / FILES[1])
    rows = match_rows(authors["md5hash"], people["md5hash"], FILES[:2])
    truth = read_types(people["fitzpatrick_scale"], TYPES, FILES[0])
    other = read_types(people["fitzpatrick_centaur"], TYPES, FILES[0])
    published = {
        "pred_kin": {"exact": 27.8, "within_one": 64.8, "mean_within_one": 47.0, "kappa": 0.17},
        "pred_emp": {"exact": 23.2, "within_one": 58.5, "mean_within_one": 39.6, "kappa": 0.08},
    }
    for column, figures in published.items():
        label = read_labels(authors, TYPES, FILES[1], column=column)[rows.left]
        constant = {"constant_exact": 32.8, "constant_within_one": 75.1}
        title = f"Fitzpatrick17k neoplastic, {column}"
        checks.agreement(title, truth[rows.right], label, n=4311, **figures, **constant)
    everyone = np.where(np.isnan(truth), np.nan, 2.0)
    checks.agreement(
        "Fitzpatrick17k, always 2", truth, everyone, n=16012, exact=30.0, within_one=69.1, kappa=0
    )
    checks.agreement(
        "Fitzpatrick17k, rater against rater", truth, other,
        n=15230, exact=47.9, within_one=91.0, kappa=0.79,
    )  # fmt: skip


def mskcc(folder: Path, checks: Checks) -> None:
    """Angles cut by published bands, a network, and the colorimeter itself."""
    table = pd.read_csv(folder / FILES[3])
    truth = read_types(table["fitzpatrick_type"], TYPES, FILES[3])
    for column, scheme, exact, within_one, kappa, recall in (
        ("ita_patch_max", "paper", 25.6, 56.8, 0.48, None),
        ("ita_patch_max", "groh", 23.7, 51.6, 0.41, None),
        ("ita_kmeans", "paper", 24.9, 67.3, 0.43, 21),
        ("ita_kmeans", "groh", 20.9, 47.0, 0.26, 4),
    ):
        label = read_labels(table, TYPES, FILES[3], column=column, scheme=scheme)
        figures = {"exact": exact, "within_one": within_one, "kappa": kappa}
        title = f"MSKCC, {column}, bands {scheme}"
        checks.agreement(title, truth, label, n=4879, **figures)
        if recall is not None:
            dark = measure_agreement(truth, label, TYPES).figures["recall_dark"].value
            checks.compare("recall of types 5-6", recall, 100 * dark, 0.5)
    network = read_labels(table, TYPES, FILES[3], column="network_type")
    checks.agreement(
        "MSKCC, ordinal network", truth, network, exact=34.1, within_one=84.9, kappa=0.745
    )
    lab = table[["colorimeter_L", "colorimeter_a", "colorimeter_b"]].to_numpy(float)
    # Sixteen of these angles are 45 degrees exactly. Groh's notebook counts 45 to the lighter band,
    # as `groh` does (exact 43.1 %); the published 43.5 % counts it to the darker one.
    table["ita"] = individual_typology_angle(lab) - 1e-6
    for scheme, exact, within_one, kappa in (
        ("del-bino", 41.3, 83.5, 0.79),
        ("groh", 43.5, 77.1, 0.76),
        ("paper", 35.6, 77.6, 0.78),
    ):
        label = read_labels(table, TYPES, FILES[3], scheme=scheme)
        title = f"MSKCC, colorimeter, bands {scheme}"
        figures = {"exact": exact, "within_one": within_one, "kappa": kappa}
        checks.agreement(title, truth, label, n=1838, **figures)


def fitted(folder: Path, checks: Checks) -> None:
    """Schemes fitted on one and on two image angles, out of the table's folds."""
    table = pd.read_csv(folder / FILES[3])
    truth = read_types(table["fitzpatrick_type"], TYPES, FILES[3])
    for columns in (["ita_patch_max"], ["ita_patch_max", "ita_kmeans"]):
        result = calibrate(table, truth, TYPES, columns=columns, fold=table["fold"])
        print(f"MSKCC, fitted out of fold on {', '.join(columns)}: n = {result.agreement.n:,}")
        for name, figure in result.agreement.figures.items():
            interval = f"{figure.low:.3f} to {figure.high:.3f}"
            print(f"  {name:<28}{'':>10}{figure.value:>12.3f}   {interval}")
    goals = {"within_one": 0.82, "kappa": 0.68, "recall_dark": 0.70}
    for name, goal in goals.items():
        missed = result.agreement.figures[name].value < goal
        checks.failed += missed
        print(f"  {name} of the last: at least {goal:g} {'MISSED' if missed else 'reached'}")


def isic2018(folder: Path, checks: Checks) -> None:
    """How many labels the arctangent alone changes."""
    table = pd.read_csv(folder / FILES[2])
    names = ("type_arctan", "type_arctan2")
    labels = {name: read_labels(table, TYPES, FILES[2], column=name) for name in names}
    (pair,) = compare_labelings(labels, TYPES)
    print(f"ISIC 2018, one- against two-argument arctangent: n = {pair.n:,}")
    checks.compare("changed", 21, 100 * pair.figures["changed"][0], 0.5)
    for name, published in zip(names, (1934, 9), strict=True):
        checks.compare(f"images of type 6, {name}", published, (labels[name] == 6).sum(), 0)


def main() -> int:
    """Print every figure; 1 where one differs."""
    if len(sys.argv) != 2 or not all((Path(sys.argv[1]) / name).is_file() for name in FILES):
        print(f"skipped: name the folder that holds {', '.join(FILES)}")
        return 0
    checks = Checks()
    print(f"  {'figure':<28}{'published':>10}{'ours':>12}")
    for part in (fitzpatrick17k, mskcc, isic2018, fitted):
        part(Path(sys.argv[1]), checks)
    print(f"{checks.failed} figures differ")
    return int(checks.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
