"""Tables and picture of docs/results.md, from the figures of bench/study.py.

    python bench/study_tables.py features.json [--matched matched.json] [--planted planted.json]
        [--planted-matched planted-matched.json] [--fine-tuned fine-tuned.json]
        [--planted-fine-tuned planted-fine-tuned.json]
        [--picture results.png]

Prints Markdown. Intervals of differences are adjusted as the comparison adjusts them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from equiderm.compare.result import MARGIN

WHOLE = {"overall": "overall", "worst": "worst group", "gap": "gap"}


def rows_of(test: dict[str, Any], table: str) -> list[dict[str, Any]]:
    """Return a summary's table as a row per line."""
    return [dict(zip(test[table]["columns"], row, strict=True)) for row in test[table]["data"]]


def level_table(test: dict[str, Any]) -> None:
    """Print every arm's figures, with 95 % intervals."""
    rows = rows_of(test, "figures")
    figures = list(dict.fromkeys(row["figure"] for row in rows))
    print("| | " + " | ".join(WHOLE.get(name, name) for name in figures) + " |")
    print("|---" * (len(figures) + 1) + "|")
    for arm in dict.fromkeys(row["experiment"] for row in rows):
        own = {row["figure"]: row for row in rows if row["experiment"] == arm}
        cells = [_bracket(own[name], "value", "low", "high", "{:.3f}") for name in figures]
        print(f"| {arm} | " + " | ".join(cells) + " |")
    print()


def difference_table(test: dict[str, Any], figures: tuple[str, ...] = tuple(WHOLE)) -> None:
    """Print every arm less the reference; what is established is bold."""
    rows = rows_of(test, "differences")
    print("| less ERM | " + " | ".join(WHOLE.get(name, name) for name in figures) + " | at most |")
    print("|---" * (len(figures) + 2) + "|")
    for arm in dict.fromkeys(row["experiment"] for row in rows):
        own = {row["figure"]: row for row in rows if row["experiment"] == arm}
        cells = [_bracket(own[name], "difference", "low_holm", "high_holm", "{:+.3f}",
                          own[name]["p_holm"]) for name in figures]  # fmt: skip
        most = own["worst"]["at_most"] if "worst" in own else None
        cells.append("" if most is None else f"{most:+.3f}")
        print(f"| {arm} | " + " | ".join(cells) + " |")
    print()


def _bracket(row: Any, value: str, low: str, high: str, form: str, p: float | None = None) -> str:
    if row.get(value) is None:
        return ""
    ends = [form.format(row[end]) if row.get(end) is not None else "?" for end in (low, high)]
    text = f"{form.format(row[value])} [{ends[0]}, {ends[1]}]"
    return f"**{text}**" if p is not None and p < 0.05 else text


def sensitivity_table(rows: list[dict[str, Any]]) -> None:
    """Print sensitivity of the worst group at the threshold of 90 % specificity."""
    print("| | sensitivity, worst group | less ERM | specificity |\n|---|---|---|---|")
    for row in rows:
        own = _bracket(row, "worst", "worst_low", "worst_high", "{:.3f}")
        apart = "difference" in row and (row["low"] > 0 or row["high"] < 0)
        less = _bracket(row, "difference", "low", "high", "{:+.3f}", 0.0 if apart else None)
        print(f"| {row['arm']} | {own} | {less} | {row['specificity']:.3f} |")
    print()


def arm_table(arms: dict[str, Any]) -> None:
    """Print what the search kept, and the probes."""
    print(
        "| | kept by the search | linear probe | network | seconds a run |\n|---|---|---|---|---|"
    )
    for arm, about in arms.items():
        setting = ", ".join(f"{k} {v:g}" for k, v in about["setting"].items())
        probes = [_range(about.get(kind)) for kind in ("linear", "network")]
        print(f"| {arm} | {setting} | {probes[0]} | {probes[1]} | {about['seconds']} |")
    print()


def _range(three: list[float] | None) -> str:
    return "{:.3f} ({:.3f} to {:.3f})".format(*three) if three else ""


def matched_table(matched: dict[str, Any]) -> None:
    """Print each rival less ERM at the rate and momentum that the rival's search kept."""
    more = any("sensitivity" in about for about in matched["rivals"].values())
    last = " sensitivity, worst group |" if more else ""
    print(f"| | rate, momentum | ERM there, worst group | overall | worst group | at most |{last}")
    print("|---" * (7 if more else 6) + "|")
    for arm, about in matched["rivals"].items():
        test = about["tests"][0]
        worst = next(row for row in rows_of(test, "figures") if row["figure"] == "worst")
        own = {row["figure"]: row for row in rows_of(test, "differences")}
        cells = [_bracket(own[name], "difference", "low_holm", "high_holm", "{:+.3f}",
                          own[name]["p_holm"]) for name in ("overall", "worst")]  # fmt: skip
        setting = f"{about['setting']['rate']:g}, {about['setting']['momentum']:g}"
        erm = _bracket(worst, "value", "low", "high", "{:.3f}")
        cells.append(f"{own['worst']['at_most']:+.3f}")
        for row in about.get("sensitivity", []):
            if row["arm"] == arm:
                apart = row["low"] > 0 or row["high"] < 0
                cells.append(_bracket(row, "difference", "low", "high", "{:+.3f}",
                                      0.0 if apart else None))  # fmt: skip
        print(f"| {arm} | {setting} | {erm} | " + " | ".join(cells) + " |")
    print()


def answer_of(summary: dict[str, Any]) -> None:
    """Print the comparison's own answer."""
    for sentence in (summary["headline"], *summary["answer"]):
        print(f"> {sentence}\n>")
    print()


def _of(test: dict[str, Any], figure: str) -> list[dict[str, Any]]:
    return [row for row in rows_of(test, "differences") if row["figure"] == figure]


def picture(features: Any, planted: Any, target: Path) -> None:
    """Draw every arm less ERM: the worst third, and overall where tone was planted."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ham = features["by"]["tone_ita"]["tests"][0]
    panels = [
        ("Photographs as they are:\nAUROC of the worst tone third, less ERM's", _of(ham, "worst"))
    ]
    if planted:
        last = planted["methods"]["tests"][0]
        name = f"Planted, {last['test']}:\n"
        panels.append((f"{name}AUROC overall, less ERM's", _of(last, "overall")))
        kept = [
            {"experiment": row["arm"], "low_holm": row["low"], "high_holm": row["high"],
             "difference": row["difference"], "p_holm": row["low"] <= 0 <= row["high"]}
            for row in planted[f"sensitivity at {last['test'].split()[-1]}"]
            if "difference" in row
        ]  # fmt: skip
        panels.append((f"{name}sensitivity of the worse half, less ERM's", kept))
    size = (4.4 * len(panels), 3.8)
    figure, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False)
    for axis, (title, rows) in zip(axes[0], panels, strict=True):
        for place, row in enumerate(reversed(rows)):
            colour = "#d95f02" if row["p_holm"] < 0.05 else "#555555"
            axis.plot([row["low_holm"], row["high_holm"]], [place, place], color=colour, lw=1.6)
            axis.plot(row["difference"], place, "o", color=colour, ms=5)
        names = [row["experiment"].replace("_", " ") for row in reversed(rows)]
        axis.set_yticks(range(len(rows)), names)
        axis.axvspan(-MARGIN, MARGIN, color="#e8eef4", zorder=0)
        axis.axvline(0, color="#999999", lw=0.8)
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(target, dpi=90)


def probe_table(test: dict[str, Any]) -> None:
    """Print what fresh probes read from each arm's features, with 95 % intervals."""
    print("| | linear probe | network | chance |\n|---|---|---|---|")
    for row in rows_of(test, "probes"):
        if row["features"] == "trained":
            cells = [_bracket(row, f"{kind}value", f"{kind}low", f"{kind}high", "{:.3f}")
                     for kind in ("", "mlp_")]  # fmt: skip
            print(f"| {row['experiment']} | " + " | ".join(cells) + f" | {row['chance']:.3f} |")
    print()


def by_tables(found: dict[str, Any], name: str) -> None:
    """Print a study's figures and differences by each grouping, and its sensitivities."""
    for by, summary in found["by"].items():
        print(f"## {name}, by {by}\n")
        answer_of(summary)
        for test in summary["tests"]:
            print(f"### {test['test']}: {test['n']} images, {test['positives']} malignant\n")
            groups = [
                f"{g['group']} {g['n']:,} ({g['positives']})" for g in rows_of(test, "groups")
            ]
            print(f"Images (malignant): {', '.join(groups)}.\n")
            level_table(test)
            difference_table(test)
            if "probes" in test:
                probe_table(test)
    print(f"## {name}, sensitivity\n")
    sensitivity_table(found["sensitivity"])


def main() -> None:
    """Print, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("features", type=Path)
    parser.add_argument("--matched", type=Path)
    parser.add_argument("--planted", type=Path)
    parser.add_argument("--planted-matched", type=Path)
    parser.add_argument("--fine-tuned", type=Path)
    parser.add_argument("--planted-fine-tuned", type=Path)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    features = json.loads(arguments.features.read_text())
    planted = json.loads(arguments.planted.read_text()) if arguments.planted else None
    by_tables(features, "Features")
    arm_table(features["arms"])
    if arguments.matched:
        print("## Rivals less ERM at their own rate and momentum\n")
        matched_table(json.loads(arguments.matched.read_text()))
    if planted:
        print("## Planted\n")
        for part in ("control", "methods"):
            answer_of(planted[part])
            for test in planted[part]["tests"]:
                print(f"### {part}, {test['test']}\n")
                level_table(test)
                difference_table(test)
        for key, value in planted.items():
            if key.startswith("sensitivity"):
                print(f"### {key}\n")
                sensitivity_table(value)
            elif key.startswith("arms"):
                print(f"### {key}\n")
                arm_table(value)
    if arguments.planted_matched:
        print("## Planted, rivals less ERM at their own rate and momentum\n")
        matched_table(json.loads(arguments.planted_matched.read_text()))
    if arguments.fine_tuned:
        by_tables(json.loads(arguments.fine_tuned.read_text()), "Fine-tuned")
    if arguments.planted_fine_tuned:
        found = json.loads(arguments.planted_fine_tuned.read_text())
        print("## Planted, fine-tuned\n")
        answer_of(found["methods"])
        level_table(found["methods"]["tests"][0])
        difference_table(found["methods"]["tests"][0])
        sensitivity_table(found["sensitivity"])
    if arguments.picture:
        picture(features, planted, arguments.picture)


if __name__ == "__main__":
    main()
