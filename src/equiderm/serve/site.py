"""What every page of the server shares: settings, templates, uploads within their limits."""

from __future__ import annotations

import contextlib
import functools
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
from starlette.responses import HTMLResponse

from equiderm import __version__
from equiderm.errors import InputError
from equiderm.page import NOT_A_DIAGNOSIS
from equiderm.serve.guard import Limits
from equiderm.serve.judgements import Judgements
from equiderm.serve.review import Review

HERE = Path(__file__).parent
WAITING = 20  # uploads that may wait for their turn


@dataclass
class Site:
    """One server.

    Attributes:
        review: What is to be judged; None where no photographs were named.
        judgements: Where judgements go; None likewise.
        limits: Of one upload.
        seconds: That measuring or auditing one upload may take.
    """

    review: Review | None = None
    judgements: Judgements | None = None
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
    """Return a ``with`` block that has what a form holds; its files are gone after it."""
    limits = site_of(request).limits
    return request.form(max_files=limits.files, max_fields=50, max_part_size=100_000)


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


@contextlib.asynccontextmanager
async def turn(request: Request) -> AsyncGenerator[None]:
    """Return a ``with`` block that one upload at a time is in, so that memory is bounded.

    Raises:
        HTTPException: 503, too many are waiting.
    """
    site = site_of(request)
    if site.waiting >= WAITING:
        busy = "Too many uploads are waiting; try again in a minute."
        raise HTTPException(503, busy, headers={"retry-after": "60"})
    site.waiting += 1
    try:
        async with site.lock:
            yield
    finally:
        site.waiting -= 1
