"""``equiderm datasets``: which data sets there are, and what they are for."""

from __future__ import annotations

from typing import Annotated

import typer


def datasets(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the documentation page of all sources.")
    ] = False,
) -> None:
    """List the data sets that can be read: images, patients, size, licence and purpose.

    "fetch" means that `equiderm fetch` downloads it, "by hand" that its owner wants to know you
    first: `equiderm fetch SOURCE DIR` then says where to register.

    Examples:
        equiderm datasets
        equiderm datasets --json
    """
    import json

    from equiderm.data import catalogue

    if markdown:
        typer.echo(catalogue.markdown(), nl=False)
        return
    rows = catalogue.catalogue()
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("source", "images", "size", "access", "licence", "for"):
        right = name in ("images", "size")
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "for")
    for row in rows:
        size = row["bytes"]
        table.add_row(
            str(row["source"]),
            f"{row['images']:,}" if row["images"] else "–",
            catalogue.gigabytes(size if isinstance(size, int) else None),
            *(str(row[key]) for key in ("access", "licence", "purpose")),
        )
    Console().print(table)
