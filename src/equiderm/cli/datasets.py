"""``equiderm datasets``: which data sets there are, and what they are for."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer

from equiderm.cli.console import Console, Json
from equiderm.format import count, data_size


def datasets(
    as_json: Json = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the documentation page of all sources.")
    ] = False,
) -> None:
    """List the data sets that can be read: images, patients, size, licence and purpose.

    "fetch" means that `equiderm fetch` downloads it, "by hand" that its owner asks you to register
    first: `equiderm fetch SOURCE DIR` then says where.

    Examples:
        equiderm datasets
        equiderm datasets --json
    """
    from equiderm.data import catalogue

    console = Console(as_json=as_json)
    if markdown:
        typer.echo(catalogue.markdown(), nl=False)
        return
    rows = catalogue.catalogue()
    console.json(rows)
    console.table(
        [
            {
                "source": row["source"],
                "images": count(row["images"] or None),
                "size": data_size(row["bytes"]),
                "access": row["access"],
                "licence": row["licence"],
                "for": row["purpose"],
            }
            for row in rows
        ]
    )
    console.say()
    console.say(textwrap.fill(catalogue.decided(), 80, break_on_hyphens=False))
