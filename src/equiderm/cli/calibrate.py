"""``equiderm calibrate``: how colour becomes a type, fitted on images that people judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equiderm.cli.console import Console, Json, Quiet
from equiderm.remote import name_of


def calibrate(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="Table with colour columns, as `label` writes.")
    ],
    truth_column: Annotated[
        list[str],
        typer.Option(
            help="Column of judged types or ranges, such as fitzpatrick_type; repeat for several "
            "raters.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="JSON", help="The fitted scheme to write.")
    ],
    column: Annotated[
        list[str] | None,
        typer.Option(help="Colour column to fit from; repeat for several.", show_default="ita"),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Table that holds --truth-column, --patient and --fold.", show_default="TABLE"
        ),
    ] = None,
    patient: Annotated[
        str | None, typer.Option(help="Column of patients: folds and intervals are by patient.")
    ] = None,
    fold: Annotated[str | None, typer.Option(help="Column of given folds, three or more.")] = None,
    target_distribution: Annotated[
        str | None,
        typer.Option(
            help="Shares of the types where the scheme will be used: 0.3,0.4,... or a .json file.",
            show_default="as judged",
        ),
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(
            help="Column that names the image, in every table that has it.",
            show_default="image, image_id, isic_id, ...",
        ),
    ] = None,
    types: Annotated[
        str, typer.Option(help="The scale, lightest to darkest: 1-6, or 1-10 for Monk tones.")
    ] = "1-6",
    agreement: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Write the out-of-fold figures as `agree` does."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="HTML", help="Write one offline page.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit a scheme from colour to type, test it out of fold, and save it for `label --scheme`.

    One column gives cut-points; several columns, or a column of lists, give an ordinal model. All
    figures are of people that were not fitted on: name --patient or --fold; an image without a
    patient counts as a patient of its own. A scheme fitted on one population assumes its
    distribution of types; give --target-distribution where it will be used on another.

    The label of a fitted scheme is computed from one photograph; nobody has judged it.

    Examples:
        equiderm calibrate tones.csv --truth-column fitzpatrick_type -o scheme.json
        equiderm calibrate tones.csv --truth judged.csv --truth-column type -o scheme.json
    """
    from equiderm.agreement.calibrate import read_target
    from equiderm.agreement.page import agreement_page, figure_table, quality_line, summary_lines
    from equiderm.agreement.tables import calibrate_tables
    from equiderm.columns import parse_types
    from equiderm.files import write_text
    from equiderm.format import json_text

    console = Console(quiet=quiet, as_json=as_json, output=output)
    console.hold(output, agreement, report, inputs=[table, truth])
    scale = parse_types(types)
    result = calibrate_tables(
        table,
        truth,
        truth_columns=truth_column,
        columns=column or ["ita"],
        types=scale,
        id_column=id_column,
        patient=patient,
        fold=fold,
        target=None if target_distribution is None else read_target(target_distribution, scale),
    )
    result.scheme.save(output)
    if agreement is not None:
        write_text(agreement, json_text(result.agreement.to_json()))
    if report is not None:
        page = agreement_page(
            result.agreement,
            title="A fitted scheme against people, out of fold",
            quality=result.quality,
            remarks=result.remarks,
        )
        write_text(report, page)
    console.json({"output": name_of(output), **result.agreement.to_json()})
    console.table(figure_table(result.agreement))
    for line in (*summary_lines(result.agreement), quality_line(result.quality), *result.remarks):
        console.say(line)
    name = name_of(output)
    console.say(f"Written: {name}. Use it with equiderm label --scheme {name}.")
