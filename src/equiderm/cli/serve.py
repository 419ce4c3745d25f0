"""``equiderm serve``: a local page to look, judge and audit with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equiderm.cli.console import Console, Quiet
from equiderm.format import counted


def serve(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Photographs to judge: folders, files, patterns, or a table that `label` wrote, "
            "which is sorted by doubt.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")] = 8000,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. Any but this machine's own asks visitors for a token."
        ),
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(envvar="EQUIDERM_TOKEN", help="The token to ask for.", show_default="random"),
    ] = None,
    judgements: Annotated[
        Path, typer.Option(metavar="SQLITE", help="Where judgements are saved, each at once.")
    ] = Path("judgements.sqlite"),
    scale: Annotated[
        str, typer.Option(help="What is judged: fitzpatrick (1 to 6) or monk (1 to 10).")
    ] = "fitzpatrick",
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Folder of equiderm train, to score photographs; extra `train`."
        ),
    ] = None,
    audit: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON",
            help="Audit of the run's predictions, shown beside each score.",
            show_default="RUN/audit.json, if there",
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(
            help="Bands to show first, as label's; of a scheme that `calibrate` fitted also how "
            "likely people would judge each type.",
            show_default="paper",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Open a page on this machine: look at photographs, judge skin types by key, audit a table.

    Needs the extra `web`. Nothing leaves the machine, and files dropped on the page are not kept;
    judgements are saved one by one, so that an interruption loses none. Stop it with Ctrl-C.

    Examples:
        equiderm serve
        equiderm serve tones.csv --judgements judgements.sqlite
        equiderm serve photographs --scale monk --port 8080
        equiderm serve --run runs/lntl --audit audit.json
        equiderm serve --scheme scheme.json
    """
    from equiderm.serve import listen, open_site, web_address

    console = Console(quiet=quiet)
    if run is not None:
        console.say(f"Loading {run} ...")
    site, asked = open_site(
        paths or [],
        judgements,
        scale,
        host=host,
        token=token,
        run=run,
        audit=audit,
        scheme=scheme,
    )
    if site.review is not None:
        console.say(
            f"{counted(len(site.review.names), 'photograph')} to judge; answers go to {judgements}."
        )
        if site.judgements is not None and (absent := site.judgements.absent()):
            console.note(
                f"{judgements} holds answers on {counted(absent, 'other image')}, which stay "
                "there; if they are these photographs, name them as you did then."
            )
    address = web_address(host, port, asked)

    def say_where() -> None:  # quiet or not: it may hold the token
        console.print(f"Open {address} in a browser; Ctrl-C stops it.\n")

    listen(site, host=host, port=port, token=asked, ready=say_where)
