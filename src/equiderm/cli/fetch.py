"""``equiderm fetch``: one data set, downloaded, checked and unpacked."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equiderm.cli.console import Bar, Console, Quiet
from equiderm.format import MISSING, counted, data_size

if TYPE_CHECKING:
    from equiderm.data.fetch import Fetched, Progress
    from equiderm.data.sources.release import Release


def fetch(
    source: Annotated[str, typer.Argument(help="A data set; `equiderm datasets` lists them.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put it.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it starts.")] = False,
    collection: Annotated[
        list[int] | None,
        typer.Option(metavar="NUMBER", help="isic-archive: a collection; repeat it."),
    ] = None,
    search: Annotated[
        str, typer.Option(metavar="QUERY", help="isic-archive: a query of the archive.")
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, max=16, help="Files at a time.")] = 4,
    quiet: Quiet = False,
) -> None:
    """Download a data set, check it, and unpack it safely.

    Shows licence and size first and asks. After an interruption the same command resumes where it
    stopped. For a data set that requires a registration it says where to register.

    Exit status: 0 complete, 1 a part must still be fetched by hand, 2 failed or refused.

    Examples:
        equiderm fetch ham10000 data/ham10000
        equiderm fetch isic2018 data/isic2018 --yes --jobs 8
        equiderm fetch isic-archive data/70 --collection 70 --search "image_type:dermoscopic"
    """
    from equiderm.data import fetch as fetching
    from equiderm.data import get_release
    from equiderm.errors import InputError

    console = Console(quiet=quiet)
    release = get_release(source)
    console.note(_introduction(release))
    archive = source == "isic-archive"
    if (collection or search) and not archive:
        raise InputError(f"{source}: --collection and --search are for isic-archive only.")
    if not release.files and not archive:
        raise InputError(f"{source}: cannot be downloaded by a program. {release.by_hand}")
    if not yes and not _agrees(f"Download to {directory}?"):
        raise InputError("nothing was downloaded; answer y, or give --yes.")
    if archive:
        from equiderm.data.sources.isic_archive import download

        images = download(directory, collections=collection or (), search=search)
        console.say(f"{directory}: {counted(images, 'image')}, each with its licence")
        console.note(f"Next: equiderm manifest {source} {directory} -o {source}.parquet")
        return
    with console.progress("downloading", "bytes") as bar:
        done = fetching.fetch(release, directory, jobs=jobs, progress=_summed(bar, release.bytes))
    for line in _report(done):
        console.say(line)
    if release.by_hand:
        console.warn(f"still to do: {release.by_hand}")
        raise typer.Exit(1)
    console.note(f"Next: equiderm manifest {source} {directory} -o {source}.parquet")


def _agrees(question: str) -> bool:
    """Return whether the user says yes; no terminal and no answer is no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        typer.echo(err=True)  # ends the line of the question
        return False


def _introduction(release: Release) -> str:
    images = counted(release.images, "image") if release.images else "images not counted"
    return "\n".join(
        [
            f"{release.title}: {images}, {data_size(release.bytes)} to download",
            f"Licence:  {release.licence}",
            f"Cite:     {release.citation or MISSING}",
            f"Page:     {release.page or MISSING}",
        ]
    )


def _summed(bar: Bar, size: int | None) -> Progress:
    """Return the callback of the downloads, each of its own file; the bar shows their sum."""
    files: dict[str, tuple[int, int]] = {}
    lock = threading.Lock()

    def show(name: str, here: int, total: int | None) -> None:
        with lock:
            files[name] = (here, total or here)
            received, announced = (sum(column) for column in zip(*files.values(), strict=True))
            bar(received, max(announced, size or 0))

    return show


def _report(done: list[Fetched]) -> list[str]:
    """Return one line per file; of many small ones, the sum."""
    shown = done if len(done) <= 20 else [file for file in done if "/" not in file.name]
    lines: list[str] = []
    for file in shown:
        unpacked = f", {counted(file.unpacked, 'file')} unpacked" if file.unpacked else ""
        lines.append(f"{file.name}: {file.bytes:,} bytes{unpacked}")
        if file.verified == "checksum":
            kind = f", {file.checksum.partition(':')[0].upper()}" if file.checksum else ""
            lines.append(f"  matches the published checksum{kind}")
        else:
            arrived = "has the published size" if file.verified == "size" else "arrived whole"
            archive = " and every file in it passed its CRC" if file.unpacked else ""
            lines.append(f"  no published checksum is available: it {arrived}{archive}")
            lines.append(f"  computed sha256: {file.sha256}")
    if len(shown) < len(done):
        rest = [file for file in done if file not in shown]
        size = sum(file.bytes for file in rest)
        lines.append(f"{counted(len(rest), 'further file')}: {size:,} bytes")
    return lines
