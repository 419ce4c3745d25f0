"""What every page of the server shares: settings, templates, uploads within their limits."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import jinja2
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from equiderm import __version__
from equiderm.errors import InputError
from equiderm.files import write_table
from equiderm.format import json_text
from equiderm.page import NOT_A_DIAGNOSIS
from equiderm.serve.guard import Limits
from equiderm.serve.judgements import Judgements
from equiderm.serve.predict import Scorer
from equiderm.serve.review import Review

HERE = Path(__file__).parent
WAITING = 100  # uploads that may wait to be read
READING = 3  # uploads that are read, or wait for their turn with their files, at one time
MOST_SENT = 250  # files of one upload, those of a folder that are no photographs among them


@dataclass
class Site:
    """One server.

    Attributes:
        review: What is to be judged; None where no photographs were named.
        judgements: Where judgements go; None likewise.
        scorer: The run that scores photographs; None where none was named.
        limits: Of one upload.
        seconds: That measuring or auditing one upload may take.
    """

    review: Review | None = None
    judgements: Judgements | None = None
    scorer: Scorer | None = None
    limits: Limits = field(default_factory=Limits)
    seconds: float = 60.0
    waiting: int = 0

    def close(self) -> None:
        """Close the file of judgements, if there is one."""
        if self.judgements is not None:
            self.judgements.close()

    @functools.cached_property
    def lock(self) -> anyio.Lock:
        """Return what `turn` holds."""
        return anyio.Lock()

    @functools.cached_property
    def reading(self) -> anyio.Semaphore:
        """Return what `read_upload` holds."""
        return anyio.Semaphore(READING)


def site_of(request: Request) -> Site:
    """Return the server that a request came to."""
    return request.app.state.site


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(version=__version__, disclaimer=NOT_A_DIAGNOSIS)
    return environment


def page(template: str, *, status: int = 200, **content: Any) -> HTMLResponse:
    """Return a page."""
    return HTMLResponse(_templates().get_template(template).render(**content), status)


def read_form(request: Request) -> AbstractAsyncContextManager[FormData]:
    """Return a ``with`` block that has what a form without files holds."""
    return request.form(max_files=0, max_fields=50, max_part_size=100_000)


@contextlib.asynccontextmanager
async def read_upload(request: Request) -> AsyncGenerator[FormData]:
    """Return a ``with`` block that has what was uploaded; the files are gone after it.

    Few uploads are read at a time, so that memory and disk are bounded; nothing is read of the
    others, which wait.

    Raises:
        HTTPException: 503, too many are waiting.
    """
    site = site_of(request)
    if site.waiting >= WAITING:
        busy = "Too many uploads are waiting; try again in a minute."
        raise HTTPException(503, busy, headers={"retry-after": "60"})
    site.waiting += 1
    try:
        async with (
            site.reading,
            request.form(max_files=MOST_SENT, max_fields=50, max_part_size=100_000) as form,
        ):
            yield form
    finally:
        site.waiting -= 1


def files_of(request: Request, form: FormData, field: str) -> list[UploadFile]:
    """Return every file of a field.

    Raises:
        InputError: One is larger than the limit.
    """
    most = site_of(request).limits.file_bytes
    files = [one for one in form.getlist(field) if isinstance(one, UploadFile) and one.filename]
    for one in files:
        if (one.size or 0) > most:
            raise InputError(
                f"{one.filename}: is larger than {most / 1e6:.0f} MB; send it smaller."
            )
    return files


async def content_of(file: UploadFile) -> tuple[str, bytes]:
    """Return a file's name and its bytes, in memory; only for the upload whose turn it is."""
    return str(file.filename), await file.read()


def text_of(form: FormData, name: str, default: str = "") -> str:
    """Return a field's text without blanks around it."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) and value.strip() else default


def turn(request: Request) -> AbstractAsyncContextManager[Any]:
    """Return a ``with`` block that one upload at a time is in, so that memory is bounded."""
    return site_of(request).lock


def csv_of(table: Any) -> bytes:
    """Return a table as `equiderm.files.write_table` writes it."""
    with tempfile.TemporaryDirectory(prefix="equiderm-") as folder:
        path = Path(folder) / "table.csv"
        write_table(table, path)
        return path.read_bytes()


def as_json(content: Any, status: int = 200) -> Response:
    """Return content as JSON, as the commands write it."""
    return Response(json_text(content), status, media_type="application/json")
