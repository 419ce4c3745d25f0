"""``equiderm agree``: how far tone labels can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.agreement.agreement import Agreement


def agree(
    labels: Annotated[
        list[Path],
        typer.Argument(metavar="LABELS...", help="Tables of labels; two or more without --truth."),
    ],
    truth: Annotated[
        Path | None, typer.Option(help="Table with the types that people judged.")
    ] = None,
    truth_column: Annotated[
        str | None, typer.Option(help="Its column of judged types, such as fitzpatrick_type.")
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
            help="Column that names the image, in every table.",
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
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare tone labels with types that people judged, or labelings with each other.

    Every figure has a 95 % interval and stands beside what the best constant answer reaches. A
    label left empty (or -1) is an abstention. Without --truth, each pair of labelings of the same
    images is compared: several tables, or several --label-column of one.

    A band or a label is set beside a judged type to see how far they agree; it is not one.

    Examples:
        equiderm agree tones.csv --truth judged.csv --truth-column fitzpatrick_type
        equiderm agree paper.csv robust.csv --report agreement.html
    """
    from equiderm.errors import InputError
    from equiderm.identity import parse_types

    scale = parse_types(types)
    columns = label_column or []
    if truth is None:
        given = {
            "--truth-column": truth_column,
            "--patient": patient,
            "--doubt": doubt,
            "--second-rater": second_rater,
        }
        alone = [name for name, value in given.items() if value is not None]
        if alone:
            raise InputError(f"{alone[0]} needs --truth, the table with the judged types.")
        _compare(labels, columns, scheme, id_column, scale, (output, report, as_json))
        return
    if len(labels) > 1 or len(columns) > 1 or truth_column is None:
        raise InputError(
            "--truth takes one table of labels, at most one --label-column, and --truth-column."
        )
    agreement = _against_truth(
        labels[0],
        truth,
        truth_column,
        scale,
        {"column": columns[0] if columns else None, "scheme": scheme},
        {"id": id_column, "patient": patient, "second": second_rater, "doubt": doubt},
    )
    from equiderm.agreement.page import agreement_page

    page = agreement_page(agreement, title="Tone labels against people") if report else ""
    _finish(agreement.to_json(), page, (output, report, as_json))
    if not as_json:
        print_agreement(agreement)


def _against_truth(
    labels: Path,
    truth: Path,
    truth_column: str,
    scale: tuple[int, ...],
    label: dict[str, str | None],
    names: dict[str, str | None],
) -> Agreement:
    from equiderm.agreement.agreement import measure_agreement
    from equiderm.agreement.labels import read_labels
    from equiderm.files import read_table
    from equiderm.identity import (
        find_ids,
        match_rows,
        read_numbers,
        read_types,
        require_column,
        unmatched_notes,
    )

    mine, theirs = read_table(labels), read_table(truth)
    called = (str(labels), str(truth))
    answers = read_labels(mine, scale, called[0], **label)
    judged = read_types(require_column(theirs, truth_column, called[1]), scale, called[1])
    ids = (find_ids(mine, names["id"], called[0]), find_ids(theirs, names["id"], called[1]))
    rows = match_rows(*ids, called)
    second = patient = doubt = None
    if names["second"]:
        rater = require_column(theirs, names["second"], called[1])
        second = read_types(rater, scale, called[1])[rows.right]
    if names["patient"]:
        patient = require_column(theirs, names["patient"], called[1]).iloc[rows.right]
    if names["doubt"]:
        doubt = read_numbers(mine, names["doubt"], called[0])[rows.left]
    return measure_agreement(
        judged[rows.right],
        answers[rows.left],
        scale,
        patient=patient,
        second_rater=second,
        doubt=doubt,
        notes=unmatched_notes(rows, called),
    )


def _compare(
    tables: list[Path],
    columns: list[str],
    scheme: str | None,
    id_column: str | None,
    scale: tuple[int, ...],
    outputs: tuple[Path | None, Path | None, bool],
) -> None:
    from equiderm.agreement.labelings import align_labelings, compare_labelings, labelings_json
    from equiderm.agreement.page import labelings_page, labelings_table
    from equiderm.agreement.labels import read_labels
    from equiderm.errors import InputError
    from equiderm.files import read_table
    from equiderm.identity import find_ids

    wanted: list[str | None] = [*columns] or [None]
    if len(tables) * len(wanted) < 2:
        raise InputError("name --truth, or two labelings to compare (tables or --label-column).")
    frames = [read_table(path) for path in tables]
    read: dict[str, tuple[pd.Series, Any]] = {}
    for path, frame in zip(tables, frames, strict=True):
        ids = find_ids(frame, id_column, str(path))
        for column in wanted:
            answers = read_labels(frame, scale, str(path), column=column, scheme=scheme)
            parts = [path.name if len(tables) > 1 else None, column if len(wanted) > 1 else None]
            name = ":".join(part for part in parts if part)
            if name in read:
                raise InputError(f"two labelings are called {name}; rename one of the files.")
            read[name] = (ids, answers)
    pairs = compare_labelings(align_labelings(read), scale)
    page = labelings_page(pairs, scale) if outputs[1] else ""
    _finish(labelings_json(pairs, scale), page, outputs)
    if not outputs[2]:
        print_table(labelings_table(pairs))


def _finish(content: dict[str, Any], page: str, outputs: tuple[Path | None, Path | None, bool]):
    import json

    from equiderm.files import write_whole

    output, report, as_json = outputs
    for path, text in ((output, json.dumps(content, indent=1) + "\n"), (report, page)):
        if path is not None:
            with write_whole(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(content))


def print_agreement(agreement: Agreement) -> None:
    """Print the table of figures, its notes and the verdict."""
    from equiderm.agreement.page import figure_table, interval_note, verdict

    print_table(figure_table(agreement))
    missing = int(agreement.abstained.sum())
    share = agreement.n / (agreement.n + missing)
    typer.echo(f"Answered: {share:.1%} of {agreement.n + missing:,} judged images.")
    for row in agreement.answered[1:]:
        typer.echo(
            f"  the surest {row['share']:.0%}: {row['within_one']:.1%} within one type "
            f"({row['low']:.1%} to {row['high']:.1%})"
        )
    for note in (interval_note(agreement), *agreement.notes):
        typer.echo(note)
    typer.echo(verdict(agreement))


def print_table(frame: pd.DataFrame) -> None:
    """Print a table of text."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for position, name in enumerate(frame.columns):
        table.add_column(str(name).strip(), justify="right" if position else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*map(str, row))
    Console().print(table)
