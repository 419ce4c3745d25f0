"""``equiderm reband``: new bands and corrections for a table of tones, without its images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equiderm.cli.console import Console, Json, Output, Quiet, keep_apart
from equiderm.format import counted
from equiderm.remote import name_of


def reband(
    tones: Annotated[
        Path,
        typer.Argument(metavar="TONES", help="A table that `label` wrote; - reads it from stdin."),
    ],
    output: Output,
    scheme: Annotated[
        str | None,
        typer.Option(
            help="Bands: paper, groh, kinyanjui, del-bino, 25-degrees, monk (not validated), or a "
            ".json file: a scheme that `calibrate` saved, or a palette.",
            show_default="as they are",
        ),
    ] = None,
    cuts: Annotated[
        str | None,
        typer.Option(
            metavar="DEGREES", help="Thresholds of your own, from light to dark: 55,41,28,19,10."
        ),
    ] = None,
    corrections: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV", help="What was corrected or excluded on the page of label --report."
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Cut the colours of a tone table into other bands, or add what a person corrected.

    A palette is a JSON array of colours, or an object of band names and colours, lightest first. A
    table needs only a column `ita`; a palette is then applied by the nearest angle.

    Corrections get columns of their own (ita_band_corrected, excluded, corrected_by,
    corrected_at, corrected_why, corrected_scheme); the computed columns stay, and so do the
    corrections in every later `label`, `reband`, `agree` and `audit`.

    Examples:
        equiderm reband tones.csv -o monk.csv --scheme monk
        equiderm reband tones.csv -o own.csv --cuts 55,41,28,19,10
        equiderm reband tones.csv -o checked.csv --corrections corrections.csv
    """
    from equiderm.columns import (
        CORRECTION_COLUMNS,
        corrected_by_hand,
        corrected_in_another_scheme,
        excluded_by_hand,
    )
    from equiderm.errors import InputError
    from equiderm.tables import check_table_path, read_table, write_table
    from equiderm.tone import assign_bands
    from equiderm.tone.corrections import apply_corrections
    from equiderm.tone.table import caution_of, write_corrected

    console = Console(quiet=quiet, as_json=as_json, output=output)
    check_table_path(output)
    keep_apart([output], [corrections])
    if scheme is not None and cuts is not None:
        raise InputError("--scheme and --cuts both choose the bands; name one.")
    chosen = f"cuts:{cuts}" if cuts is not None else scheme
    if chosen is None and corrections is None:
        raise InputError("name what to change: --scheme, --cuts or --corrections.")
    table = read_table(tones, text=("ita_band", *CORRECTION_COLUMNS))
    if chosen is not None:
        table = assign_bands(table, chosen)
    unknown: tuple[str, ...] = ()
    if corrections is not None:
        applied = apply_corrections(
            table, read_table(corrections, as_text=True), name_of(corrections)
        )
        table, unknown = applied.tones, applied.unknown
    if chosen is None:
        write_corrected(table, output, tones)
    else:
        write_table(table, output)
    counts = table["ita_band"].value_counts().sort_index()
    rows = [{"ITA band": str(band), "images": int(n)} for band, n in counts.items()]
    by_hand, excluded = corrected_by_hand(table), excluded_by_hand(table)
    foreign = by_hand & corrected_in_another_scheme(table)
    caution = caution_of(table)
    console.json(
        {
            "output": name_of(output),
            "bands": rows,
            "caution": caution,
            "corrected": int(by_hand.sum()),
            "corrected_in_another_scheme": int(foreign.sum()),
            "excluded": int(excluded.sum()),
            "corrections_without_a_row": list(unknown),
        }
    )
    console.table(rows)
    if caution:
        console.say(f"Bands: {caution}.")
    if by_hand.any() or excluded.any():
        console.say(
            f"By hand: {counted(int(by_hand.sum()), 'band')} corrected, "
            f"{counted(int(excluded.sum()), 'image')} excluded."
        )
    if foreign.any():
        console.warn(
            f"{counted(int(foreign.sum()), 'correction')} in bands of "
            f"{table['corrected_scheme'][foreign].iloc[0]}: kept, and those images have no band in "
            "an audit of these bands until they are corrected in them."
        )
    console.warn_each(
        (f"{image}: corrected, but not in {name_of(tones)}." for image in unknown), most=5
    )
