"""``equiderm calibrate``: how colour becomes a type, fitted on images that people judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.agreement.calibrate import Calibration


def calibrate(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="Table with colour columns, as `label` writes.")
    ],
    truth_column: Annotated[
        str, typer.Option(help="Column of judged types, such as fitzpatrick_type.")
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
        str | None, typer.Option(help="Column of patients: folds and intervals go by it.")
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
            help="Column that names the image, in both tables.",
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
) -> None:
    """Fit a scheme from colour to type, judge it out of fold, and save it for `label --scheme`.

    One column gives cut-points; several columns, or a column of lists, give an ordinal model. All
    figures are of people whom the fit has not seen: name --patient or --fold. A scheme fitted on
    one population answers for its distribution of types; name the one where it will be used.

    What a fitted scheme answers is computed from one photograph; nobody has judged it.

    Examples:
        equiderm calibrate tones.csv --truth-column fitzpatrick_type -o scheme.json
        equiderm calibrate tones.csv --truth judged.csv --truth-column type -o scheme.json
    """
    import json

    from equiderm.agreement.calibrate import calibrate as fit
    from equiderm.agreement.calibrate import read_target
    from equiderm.agreement.page import agreement_page
    from equiderm.cli.agree import print_agreement
    from equiderm.files import write_whole
    from equiderm.identity import parse_types, read_types, require_column

    scale = parse_types(types)
    target = None if target_distribution is None else read_target(target_distribution, scale)
    frame, people, where = _read(table, truth, id_column)
    judged = read_types(require_column(people, truth_column, where), scale, where)
    result = fit(
        frame,
        judged,
        scale,
        columns=column or ["ita"],
        patient=None if patient is None else require_column(people, patient, where),
        fold=None if fold is None else require_column(people, fold, where),
        target=target,
    )
    result.scheme.save(output)
    if agreement is not None:
        with write_whole(agreement) as temporary:
            content = json.dumps(result.agreement.to_json(), indent=1) + "\n"
            temporary.write_text(content, encoding="utf-8")
    if report is not None:
        page = agreement_page(
            result.agreement,
            title="A fitted scheme against people, out of fold",
            quality=result.quality,
            remarks=result.remarks,
        )
        with write_whole(report) as temporary:
            temporary.write_text(page, encoding="utf-8")
    print_agreement(result.agreement)
    _print_quality(result)
    typer.echo(f"Written: {output}. Use it with equiderm label --scheme {output}.")


def _read(
    table: Path, truth: Path | None, id_column: str | None
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Return the table of colours, the table of people's types row by row, and its name."""
    from equiderm.files import read_table
    from equiderm.identity import (
        ID_COLUMNS,
        check_unique,
        find_ids,
        match_rows,
        unmatched_notes,
    )

    frame = read_table(table)
    if truth is None:
        if id_column is not None or set(ID_COLUMNS) & set(frame.columns):
            check_unique(find_ids(frame, id_column, str(table)), str(table))
        return frame, frame, str(table)
    people, names = read_table(truth), (str(table), str(truth))
    ids = (find_ids(frame, id_column, names[0]), find_ids(people, id_column, names[1]))
    rows = match_rows(*ids, names)
    for note in unmatched_notes(rows, names):
        typer.echo(note, err=True)
    frame = frame.iloc[rows.left].reset_index(drop=True)
    return frame, people.iloc[rows.right].reset_index(drop=True), names[1]


def _print_quality(result: Calibration) -> None:
    value, low, high = result.quality.ranked_probability_score
    typer.echo(
        f"Distribution over types: ranked probability score {value:.4f} ({low:.4f} to {high:.4f}), "
        f"the judged distribution for everyone {result.quality.marginal:.4f}; expected calibration "
        f"error {100 * result.quality.calibration_error:.1f} points."
    )
    for remark in result.remarks:
        typer.echo(remark)
