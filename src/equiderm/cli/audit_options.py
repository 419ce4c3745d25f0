"""The options of ``equiderm audit``, by subject: a type for each, as in `equiderm.cli.console`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equiderm.cli.console import HELD

_GROUPS = "Groups"
_STATISTICS = "Thresholds and statistics"
_REPORT = "What is written"

Predictions = Annotated[
    Path,
    typer.Argument(help="CSV, Parquet or JSON lines, one row per image: target, score, groups."),
]
Other = Annotated[
    Path | None, typer.Argument(help="A second model's table of the same images: A minus B.")
]
By = Annotated[
    list[str] | None,
    typer.Option(
        help="Group columns, repeated or separated by commas; their intersections follow. "
        "Default: ita_band.",
        show_default=False,
    ),
]

# What the table holds, and how its cells are read.
Classes = Annotated[
    list[str] | None,
    typer.Option(
        help="Audit several classes, each against the rest: their names, or all. Their scores "
        "are in columns of these names (or p_..., prob_...).",
        rich_help_panel=HELD,
    ),
]
Predicted = Annotated[
    str | None,
    typer.Option(
        help="Column of the class (with --number of the number) that the model predicts. "
        "Default: the class with the highest score; the column predicted.",
        show_default=False,
        rich_help_panel=HELD,
    ),
]
Number = Annotated[
    bool,
    typer.Option(
        "--number",
        help="Audit a predicted number: --target is the column of the true one, in any unit.",
        rich_help_panel=HELD,
    ),
]
Score = Annotated[
    str,
    typer.Option(
        help="Column of probabilities, or several, by commas, to be summed.",
        rich_help_panel=HELD,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        help="Models to compare in one table: their score columns, or their names in "
        "--model-column.",
        rich_help_panel=HELD,
    ),
]
ModelColumn = Annotated[
    str | None,
    typer.Option(help="Column that names the model of each row's score.", rich_help_panel=HELD),
]
Truth = Annotated[
    Path | None,
    typer.Option(
        help="Table with the target of each image, or one column per class.",
        rich_help_panel=HELD,
    ),
]
NoTruth = Annotated[
    bool,
    typer.Option(
        "--no-truth",
        help="There is no target yet: selection rates only.",
        rich_help_panel=HELD,
    ),
]
Patient = Annotated[
    str | None,
    typer.Option(
        help="Column of the patient: one patient's images stay together. Default: "
        "patient_id where there is one.",
        show_default=False,
        rich_help_panel=HELD,
    ),
]
Image = Annotated[
    str | None,
    typer.Option(
        help="Column of the image. Default: image_id, image or path.", rich_help_panel=HELD
    ),
]
Weight = Annotated[
    str | None,
    typer.Option(
        help="Column of sampling weights: every figure is weighted by it, with an interval "
        "that allows for it; counts are not. Default: every image counts once.",
        show_default=False,
        rich_help_panel=HELD,
    ),
]
AverageViews = Annotated[
    bool,
    typer.Option(
        "--average-views",
        help="Average the scores of rows with the same image.",
        rich_help_panel=HELD,
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        help="Words that mean not known in target, score, groups and patient: -1,unknown.",
        rich_help_panel=HELD,
    ),
]
Cut = Annotated[
    list[str] | None,
    typer.Option(
        help="Cut a column of numbers into bands: age=40,60; repeatable.",
        rich_help_panel=HELD,
    ),
]
Logits = Annotated[
    bool, typer.Option("--logits", help="The scores are log-odds.", rich_help_panel=HELD)
]
Percent = Annotated[
    bool,
    typer.Option("--percent", help="The scores are per cent, 0 to 100.", rich_help_panel=HELD),
]
DropMissing = Annotated[
    bool,
    typer.Option(
        "--drop-missing", help="Leave rows without target or score out.", rich_help_panel=HELD
    ),
]

# The groups.
Along = Annotated[
    list[str] | None,
    typer.Option(
        help="Columns of numbers to draw the figures along, without bins: ita.",
        rich_help_panel=_GROUPS,
    ),
]
Adjust = Annotated[
    list[str] | None,
    typer.Option(
        help="Columns of the case mix to hold equal between groups: diagnosis,age,site.",
        rich_help_panel=_GROUPS,
    ),
]
Tones = Annotated[
    Path | None,
    typer.Option(
        help="Tone table (from `equiderm label`) to join by image.", rich_help_panel=_GROUPS
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the images: label their tone on the way.", rich_help_panel=_GROUPS
    ),
]
Find = Annotated[
    list[str] | None,
    typer.Option(
        help="Look through these columns and their intersections for the subgroups that differ "
        "most: sex,age,site.",
        show_default=False,
        rich_help_panel=_GROUPS,
    ),
]
FindDepth = Annotated[
    int,
    typer.Option(
        min=1,
        max=3,
        help="Most conditions that define such a subgroup.",
        rich_help_panel=_GROUPS,
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        help="Group of the first column to compare with. Default: the largest.",
        show_default=False,
        rich_help_panel=_GROUPS,
    ),
]
LabelError = Annotated[
    Path | None,
    typer.Option(
        help="JSON from `equiderm agree`: how the labeller errs.", rich_help_panel=_GROUPS
    ),
]
MinRows = Annotated[
    int, typer.Option(min=1, help="Smallest intersection shown.", rich_help_panel=_GROUPS)
]

# Thresholds and statistics.
Threshold = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Score from which an image is called positive.",
        rich_help_panel=_STATISTICS,
    ),
]
Specificity = Annotated[
    float,
    typer.Option(
        min=0.01,
        max=0.99,
        help="Overall specificity to read sensitivity at.",
        rich_help_panel=_STATISTICS,
    ),
]
Sensitivity = Annotated[
    float,
    typer.Option(
        min=0.01,
        max=0.99,
        help="Overall sensitivity to read specificity at.",
        rich_help_panel=_STATISTICS,
    ),
]
MinCount = Annotated[
    int,
    typer.Option(
        min=2,
        help="Fewest positives (negatives, ...) that a figure needs.",
        rich_help_panel=_STATISTICS,
    ),
]
Replicates = Annotated[
    int,
    typer.Option(
        min=100,
        help="Bootstrap replicates, for figures of small groups.",
        rich_help_panel=_STATISTICS,
    ),
]
Interval = Annotated[
    str,
    typer.Option(help="Bootstrap interval: bca or percentile.", rich_help_panel=_STATISTICS),
]
Seed = Annotated[
    int, typer.Option(min=0, help="Seed of all random draws.", rich_help_panel=_STATISTICS)
]
Acceptable = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        max=1,
        help="The largest difference between groups that is acceptable: 0.05. Where all are "
        "established to be smaller the verdict says so.",
        rich_help_panel=_STATISTICS,
    ),
]

# What is written.
Output = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        "-o",
        help="Report to write: .html, .md or .json; repeatable.",
        rich_help_panel=_REPORT,
    ),
]
FailIf = Annotated[
    list[str] | None,
    typer.Option(
        help='Exit with 3 if it holds: "gap(auroc) > 0.05 with confidence".',
        rich_help_panel=_REPORT,
    ),
]
Model = Annotated[
    str, typer.Option(help="The model's name, for the report.", rich_help_panel=_REPORT)
]
Finding = Annotated[
    str,
    typer.Option(
        help="What a positive image shows, in the singular: melanoma.", rich_help_panel=_REPORT
    ),
]
Summary = Annotated[
    Path | None,
    typer.Option(
        help="Write the first sheet alone, as .html.",
        show_default=False,
        rich_help_panel=_REPORT,
    ),
]
Answers = Annotated[
    Path | None,
    typer.Option(
        help="TOML or JSON with answers for the checklist, by key.",
        show_default=False,
        rich_help_panel=_REPORT,
    ),
]
Missed = Annotated[
    Path | None,
    typer.Option(
        help="Write the missed positives of the worst group, as CSV or Parquet.",
        show_default=False,
        rich_help_panel=_REPORT,
    ),
]
