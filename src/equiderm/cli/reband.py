"""``equiderm reband``: new bands for a table of tones, without touching the images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equiderm.cli.console import Console, Json, Output, Quiet


def reband(
    tones: Annotated[
        Path,
        typer.Argument(metavar="TONES", help="A table that `label` wrote; - reads it from stdin."),
    ],
    output: Output,
    scheme: Annotated[
        str,
        typer.Option(
            help="Bands: paper, groh, kinyanjui, del-bino, 25-degrees, monk, or a file that "
            "`calibrate` saved."
        ),
    ],
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Cut the colours of a tone table into the bands of another scheme.

    Examples:
        equiderm reband tones.csv -o monk.csv --scheme monk
        equiderm reband tones.csv -o fitted.csv --scheme scheme.json
    """
    from equiderm.files import check_table_path, read_table, write_table
    from equiderm.tone import assign_bands

    console = Console(quiet=quiet, as_json=as_json, output=output)
    check_table_path(output)
    table = assign_bands(read_table(tones), scheme)
    write_table(table, output)
    counts = table["ita_band"].value_counts().sort_index()
    rows = [{"ITA band": str(band), "images": int(n)} for band, n in counts.items()]
    console.json({"output": str(output), "bands": rows})
    console.table(rows)
