"""``equiderm fetch``: one data set, downloaded, checked and unpacked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from equiderm.data.fetch import Fetched
    from equiderm.data.sources.release import Release


def fetch(
    source: Annotated[str, typer.Argument(help="A data set; `equiderm datasets` lists them.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put it.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it starts.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=16, help="Files at a time.")] = 4,
) -> None:
    """Download a data set, check it, and unpack it safely.

    Shows licence and size first and asks. Killed and started again, the same command goes on
    where it stopped. For a data set that wants a registration it says where to register.

    Exit status: 0 all is here, 1 a part must still be got by hand, 2 failed or refused.

    Examples:
        equiderm fetch ham10000 data/ham10000
        equiderm fetch isic2018 data/isic2018 --yes --jobs 8
    """
    from equiderm.data import fetch as fetching
    from equiderm.data import get_release
    from equiderm.errors import InputError

    release = get_release(source)
    typer.echo(_introduction(release), err=True)
    if not release.files:
        raise InputError(f"{source}: cannot be downloaded by a program. {release.by_hand}")
    if not yes and not typer.confirm(f"Download to {directory}?", err=True):
        raise InputError("nothing was downloaded; answer y, or give --yes.")
    with _bars() as show:
        done = fetching.fetch(release, directory, jobs=jobs, progress=show)
    _report(done)
    if release.by_hand:
        typer.echo(f"equiderm: still to do: {release.by_hand}", err=True)
        raise typer.Exit(1)
    typer.echo(f"Next: equiderm manifest {source} {directory} -o {source}.parquet", err=True)


def _introduction(release: Release) -> str:
    from equiderm.data.catalogue import gigabytes

    images = f"{release.images:,} images" if release.images else "images not counted"
    return "\n".join(
        [
            f"{release.title}: {images}, {gigabytes(release.bytes)} to download",
            f"Licence:  {release.licence}",
            f"Cite:     {release.citation or '–'}",
            f"Page:     {release.page or '–'}",
        ]
    )


def _bars():
    """Return a context manager that gives the function to call with what has come."""
    import contextlib
    import threading

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    @contextlib.contextmanager
    def running():
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        columns += (TransferSpeedColumn(), TimeRemainingColumn())
        tasks, lock = {}, threading.Lock()
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

            def show(name: str, here: int, total: int | None) -> None:
                with lock:
                    if name not in tasks:
                        tasks[name] = progress.add_task(Path(name).name, total=total)
                progress.update(
                    tasks[name], completed=here, total=total, visible=total is None or here < total
                )

            yield show

    return running()


def _report(done: list[Fetched]) -> None:
    """Print one line a file; of many small ones, the sum."""
    shown = done if len(done) <= 20 else [file for file in done if "/" not in file.name]
    for file in shown:
        unpacked = f", {file.unpacked:,} files unpacked" if file.unpacked else ""
        typer.echo(f"{file.name}: {file.bytes:,} bytes{unpacked}")
        if file.verified == "checksum":
            typer.echo("  matches the published checksum")
        else:
            archive = " and every file in it passed its CRC" if file.unpacked else ""
            typer.echo(f"  no checksum is published: it {_arrival(file.verified)}{archive}")
            typer.echo(f"  sha256 as seen: {file.sha256}")
    if len(shown) < len(done):
        rest = [file for file in done if file not in shown]
        typer.echo(f"{len(rest):,} further files: {sum(file.bytes for file in rest):,} bytes")


def _arrival(verified: str) -> str:
    return "has the published size" if verified == "size" else "arrived whole"
