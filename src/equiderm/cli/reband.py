"""``equiderm reband``: new bands for a table of tones, without touching the images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reband(
    tones: Annotated[Path, typer.Argument(metavar="TONES", help="A table that `label` wrote.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The table to write: .parquet, .csv or .tsv.")
    ],
    scheme: Annotated[
        str,
        typer.Option(
            help="Bands: paper, groh, kinyanjui, del-bino, 25-degrees, monk, or a file that "
            "`calibrate` saved."
        ),
    ],
) -> None:
    """Cut the colours of a tone table into the bands of another scheme.

    Examples:
        equiderm reband tones.csv -o monk.csv --scheme monk
    """
    from equiderm.files import read_table, write_table
    from equiderm.tone import assign_bands

    table = assign_bands(read_table(tones), scheme)
    write_table(table, output)
    counts = table["ita_band"].value_counts()
    typer.echo("\n".join(f"{band}: {counts[band]:,}" for band in sorted(counts.index)))
