"""``equiderm agree``: how far tone labels can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equiderm.cli.console import Console, Json, Quiet


def agree(
    labels: Annotated[
        list[Path],
        typer.Argument(
            metavar="LABELS...",
            help="Tables of labels; two or more without --truth. - reads one from stdin.",
        ),
    ],
    truth: Annotated[
        Path | None, typer.Option(help="Table with the types that people judged.")
    ] = None,
    truth_column: Annotated[
        list[str] | None,
        typer.Option(
            help="Its column of judged types or ranges, such as fitzpatrick_type; repeat for "
            "several raters: a label is then right if it is that of any rater.",
        ),
    ] = None,
    label_column: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of labels (types, bands or, with --scheme, angles).",
            show_default="ita_band",
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(
            help="Cut the angles of the label column by this scheme, or use a fitted "
            "scheme's .json file."
        ),
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(
            help="Column that names the image, in every table that has it.",
            show_default="image, image_id, isic_id, ...",
        ),
    ] = None,
    patient: Annotated[
        str | None, typer.Option(help="TRUTH's column of patients: intervals by patient.")
    ] = None,
    second_rater: Annotated[
        str | None, typer.Option(help="TRUTH's column of a second person's types.")
    ] = None,
    doubt: Annotated[
        str | None,
        typer.Option(
            help="LABELS' column that is higher where a label is less sure, such as "
            "spread: accuracy against share answered."
        ),
    ] = None,
    types: Annotated[
        str, typer.Option(help="The scale, lightest to darkest: 1-6, or 1-10 for Monk tones.")
    ] = "1-6",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="JSON", help="Write the figures.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="HTML", help="Write one offline page.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare tone labels with types that people judged, or labelings with each other.

    Every figure is shown with a 95 % interval and that of the best constant answer. Where
    people judged a range (III-IV, 3.5, or DDI's 12, 34 and 56) a label inside it is right. A label
    left empty (or -1) is an abstention. Without --truth, each pair of labelings of the same
    images is compared: several tables, or several --label-column of one.

    A band or a label is compared with judged types to see how far they agree; it is not a type.

    Examples:
        equiderm agree tones.csv --truth judged.csv --truth-column fitzpatrick_type
        equiderm agree paper.csv robust.csv --report agreement.html
    """
    from equiderm.agreement.labelings import labelings_json
    from equiderm.agreement.page import (
        agreement_page,
        figure_table,
        labelings_page,
        labelings_table,
        summary_lines,
    )
    from equiderm.agreement.tables import agree_tables, compare_tables
    from equiderm.columns import parse_types
    from equiderm.errors import InputError
    from equiderm.files import write_text
    from equiderm.format import json_text

    console = Console(quiet=quiet, as_json=as_json, output=output)
    console.hold(output, report, inputs=[*labels, truth])
    scale = parse_types(types)
    columns = label_column or []
    if truth is None:
        _refuse_alone(truth_column=truth_column, patient=patient, doubt=doubt, rater=second_rater)
        pairs = compare_tables(
            labels, label_columns=columns, types=scale, scheme=scheme, id_column=id_column
        )
        content, table, lines = labelings_json(pairs, scale), labelings_table(pairs), []
        page = labelings_page(pairs, scale) if report else ""
    else:
        if len(labels) > 1 or len(columns) > 1 or not truth_column:
            raise InputError(
                "--truth takes one table of labels, at most one --label-column, and --truth-column."
            )
        agreement = agree_tables(
            labels[0],
            truth,
            truth_columns=truth_column,
            types=scale,
            label_column=columns[0] if columns else None,
            scheme=scheme,
            id_column=id_column,
            patient=patient,
            second_rater=second_rater,
            doubt=doubt,
        )
        content, table = agreement.to_json(), figure_table(agreement)
        lines = summary_lines(agreement)
        page = agreement_page(agreement, title="Tone labels against people") if report else ""
    for path, text in ((output, json_text(content)), (report, page)):
        if path is not None:
            write_text(path, text)
    console.json(content)
    console.table(table)
    for line in lines:
        console.say(line)


def _refuse_alone(**options: object) -> None:
    from equiderm.errors import InputError

    flags = {"truth_column": "--truth-column", "patient": "--patient", "doubt": "--doubt"}
    for name, value in options.items():
        if value:
            flag = flags.get(name, "--second-rater")
            raise InputError(f"{flag} needs --truth, the table with the judged types.")
