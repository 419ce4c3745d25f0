"""Tables and picture of docs/results-older.md, from the runs of bench/photographs.py.

    python bench/photograph_tables.py WORK [--picture docs/results-older.png]

Prints Markdown. Differences are paired (same seeds, same images) with 95 % intervals over seeds and
patients (lesions here), bold where p is under 0.05 after Holm over one column of one table.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equiderm.compare.inference import Contrast, level
from equiderm.compare.scores import make_test
from equiderm.compare.spread import Spread, spread
from equiderm.statistics.intervals import holm
from photographs import GROUPED, LABELS, MAIN, SCALES, TESTS, Job, plan

GROUPINGS = {"tone_robust": "robust thirds", "tone_fda": "ita_fda thirds", "band": "robust bands"}
Arm = tuple[str, float, str]  # label, scale of the rates, experiment


class Results:
    """Scores of every arm whose seeds all ended, and what was found on each test and grouping."""

    def __init__(self, work: Path, seeds: int) -> None:
        self.work = work
        self.frame = pd.read_parquet(work / "manifest.parquet")
        self.runs: dict[Arm, list[Job]] = {}
        self.diverged: dict[Arm, int] = {}
        for job in plan(seeds):
            if not (job.folder(work) / "probes.json").is_file():
                continue
            arm = (job.label, job.scale, job.name)
            if "diverged" in self.probes(job):
                self.diverged[arm] = self.diverged.get(arm, 0) + 1
            self.runs.setdefault(arm, []).append(job)
        ended = {arm: jobs for arm, jobs in self.runs.items() if len(jobs) == seeds}
        self.runs = {arm: jobs for arm, jobs in ended.items() if arm not in self.diverged}
        self.arms = list(self.runs)
        self.scores = {
            arm: [pd.read_parquet(job.folder(work) / "scores.parquet") for job in jobs]
            for arm, jobs in self.runs.items()
        }
        self.found: dict[tuple[str, str], Spread] = {}

    def probes(self, job: Job) -> dict[str, Any]:
        """Return a run's probes by label."""
        return json.loads((job.folder(self.work) / "probes.json").read_text("utf-8"))

    def at(self, test: str, grouping: str) -> Spread:
        """Return every arm's figures on the rows of a test that have a group."""
        if (test, grouping) not in self.found:
            rows = self.frame[(self.frame["split"] == test) & self.frame[grouping].notna()]
            ids = rows["image_id"].tolist()
            scores = [
                [one.set_index("image_id").loc[ids, "score"] for one in self.scores[arm]]
                for arm in self.arms
            ]
            images = make_test(
                test, rows["target"], rows["patient_id"], rows[grouping], by=grouping
            )
            self.found[test, grouping] = spread(images, np.asarray(scores, np.float64))
        return self.found[test, grouping]

    def value(self, arm: Arm, test: str, grouping: str, figure: str) -> tuple[float, float, float]:
        """Return the mean over seeds, and its interval."""
        found, e = self.at(test, grouping), self.arms.index(arm)
        f = found.figures.index(figure)
        mean, low, high = level(found, e, f)
        return mean.value, low, high

    def off(self, arm: Arm, other: Arm, test: str, grouping: str, figure: str):
        """Return the difference of each seed, and the mean's low, high and p."""
        found = self.at(test, grouping)
        e, r, f = self.arms.index(arm), self.arms.index(other), found.figures.index(figure)
        off = found.values[e, :, f] - found.values[r, :, f]
        estimate = Contrast(found, e, r).estimate(f)
        return off, *estimate.interval(), estimate.p()


def print_table(rows: list[dict[str, str]]) -> None:
    """Print rows as a Markdown table."""
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(row.values()) + " |")
    print()


def signed(off: np.ndarray, low: float, high: float, star: bool) -> str:
    """Return a mean difference with its interval, bold where it holds after Holm."""
    text = f"{off.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
    return f"**{text}**" if star else text


def level_table(results: Results, test: str) -> None:
    """Print AUROC of the main arm, overall and by third, worst and gap."""
    found = results.at(test, MAIN)
    rows = []
    for arm in results.arms:
        if arm[:2] != (MAIN, 1.0):
            continue
        row = {"": arm[2]}
        for figure in found.figures:
            value, low, high = results.value(arm, test, MAIN, figure)
            row[figure] = f"{value:.3f} [{low:.3f}, {high:.3f}]"
        rows.append(row)
    print_table(rows)


def difference_table(results: Results, arms: list[Arm], test: str, grouping: str, other) -> None:
    """Print differences from ``other(arm)``, and what single seeds would have said."""
    rows = [{"": words(arm)} for arm in arms]
    for figure, better in (("overall", 1), ("worst", 1), ("gap", -1)):
        found = [results.off(arm, other(arm), test, grouping, figure) for arm in arms]
        adjusted = holm([one[3] for one in found])
        for row, (off, low, high, _), p in zip(rows, found, adjusted, strict=True):
            row[figure] = signed(off, low, high, bool(p < 0.05))
            row[f"{figure}, seeds"] = (
                f"{off.min():+.2f} to {off.max():+.2f}; {int((better * off > 0).sum())} better"
            )
    print_table(rows)


def words(arm: Arm) -> str:
    """Return an arm in words."""
    label, scale, name = arm
    rate = {1.0: "", 3.0: ", rates x 3"}.get(scale, ", rates / 3")
    return f"{name}, {LABELS[label]}{rate}" if name in GROUPED else f"{name}{rate}"


def probe_table(results: Results) -> None:
    """Print the probe's balanced accuracy on HAM10000's test rows: mean and range over seeds."""
    rows = []
    start = (MAIN, 1.0, "erm")
    for features, arms in (("untrained", [start]), ("trained", results.arms)):
        for arm in arms:
            row = {"": words(arm) if features == "trained" else features}
            read = [results.probes(job) for job in results.runs[arm]]
            for label, what in LABELS.items():
                found = [one[label][features]["balanced_accuracy"] for one in read if label in one]
                row[what] = (
                    f"{np.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})" if found else ""
                )
            rows.append(row)
    print_table(rows)


def picture(results: Results, path: Path) -> None:
    """Draw every arm's difference from ERM at its rate, in the worst third."""
    from matplotlib.figure import Figure

    arms = [arm for arm in results.arms if arm[2] != "erm"]
    figure = Figure(figsize=(9, 0.26 * len(arms) + 1.2), layout="constrained", dpi=90)
    panels = figure.subplots(1, len(TESTS), sharey=True)
    for axes, test in zip(panels, TESTS, strict=True):
        for y, arm in enumerate(arms):
            other = (MAIN, arm[1], "erm")
            off, low, high, _ = results.off(arm, other, test, MAIN, "worst")
            colour = "#0072B2" if low <= 0 <= high else "#D55E00"
            axes.plot([low, high], [y, y], color=colour, linewidth=1.5)
            axes.plot(off.mean(), y, "o", color=colour, markersize=5)
            axes.plot(off, [y] * len(off), "|", color="#666666", markersize=7)
        axes.axvline(0, color="#000000", linewidth=0.8)
        axes.set_title(test, fontsize="medium")
        axes.set_xlabel("AUROC less ERM's")
    panels[0].set_yticks(range(len(arms)), [words(arm).replace("`", "") for arm in arms])
    panels[0].invert_yaxis()
    figure.savefig(path)


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    results = Results(arguments.work, arguments.seeds)
    main_arms = [arm for arm in results.arms if arm[:2] == (MAIN, 1.0)]
    methods = [arm for arm in main_arms if arm[2] != "erm"]
    for test in TESTS:
        print(f"## {test}: AUROC by third of `robust`\n")
        level_table(results, test)
        for reference in ("erm", "erm-rate-matched"):
            if (MAIN, 1.0, reference) in results.arms:
                print(f"### less {reference}\n")
                one = [arm for arm in methods if arm[2] != reference]
                difference_table(results, one, test, MAIN, lambda _, r=reference: (MAIN, 1.0, r))
    labelled = [arm for arm in results.arms if arm[1] == 1.0 and arm[2] in GROUPED]
    labelled.sort(key=lambda arm: GROUPED.index(arm[2]))
    for test in TESTS:
        for grouping, what in GROUPINGS.items():
            print(f"## {test}: labels in training, judged by {what}, less erm\n")
            difference_table(results, labelled, test, grouping, lambda _: (MAIN, 1.0, "erm"))
    for test in TESTS:
        print(f"## {test}: rates, less erm at the same rate\n")
        rated = [a for a in results.arms if a[0] == MAIN and a[2] != "erm"]
        rated.sort(key=lambda arm: (arm[2], SCALES.index(arm[1])))
        difference_table(results, rated, test, MAIN, lambda arm: (MAIN, arm[1], "erm"))
        level = [a for a in results.arms if "erm" in a[2]]
        print_table(
            [
                {"": words(arm)}
                | {
                    figure: "{:.3f} [{:.3f}, {:.3f}]".format(
                        *results.value(arm, test, MAIN, figure)
                    )
                    for figure in ("overall", "worst", "gap")
                }
                for arm in level
            ]
        )
    print("## probe\n")
    probe_table(results)
    print(f"Runs that diverged: {sum(results.diverged.values())}.")
    if arguments.picture:
        picture(results, arguments.picture)


if __name__ == "__main__":
    main()
